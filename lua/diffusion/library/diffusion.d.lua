---@meta diffusion
-- Definitions for LuaLS. Made by `make doc` from the comments above what is
-- public; change those.

---@class diffusion
---@field _VERSION string
local d = {}

---@class (exact) diffusion.adamw_options
---@field accumulate? "mean"|"sum" combines the gradients of the backward calls between two steps; default "mean"
---@field betas? number[] decays of both moments, in [0, 1); default {0.9, 0.999}
---@field bucket? number with `over`: MiB of gradients that are sent at once; range (0, 4096]; default 4
---@field clip? number largest L2 norm of the whole gradient; range > 0
---@field ema? diffusion.ema|diffusion.ema[] averages that each step updates
---@field epsilon? number added to the root of the second moment; range >= 1e-37; default 1e-8
---@field groups? diffusion.adamw_group_options[] options for parameters whose names match; the first matching group counts; default {}
---@field lr? number|fun(step: integer): number learning rate, or a function of the step from 1; range >= 0; default 0.001
---@field over? diffusion.mpi sums gradients over the ranks of diffusion.mpi
---@field reproducible? boolean with `over`: one order of sums, and so the same bits on any number of ranks; default true
---@field shard? boolean with `over`: each rank keeps and updates a part of the moments (ZeRO-1); no bit differs; default false
---@field weight_decay? number decoupled weight decay; range >= 0; default 0

---@class (exact) diffusion.adamw_group_options
---@field pattern string Lua pattern of the parameters' names
---@field lr? number|fun(step: integer): number learning rate, or a function of the step from 1; range >= 0; default the optimiser's
---@field weight_decay? number decoupled weight decay; range >= 0; default the optimiser's

---@class (exact) diffusion.adamw_step_options
---@field zero? boolean drops the gradient after the step; default true

---@class (exact) diffusion.allclose_options
---@field rtol? number tolerance relative to |y|; range >= 0; default 1e-5
---@field atol? number absolute tolerance; range >= 0; default 1e-8

---@class (exact) diffusion.attention_options
---@field heads? integer number of heads, which divides the width; range >= 1; default 1
---@field causal? boolean token i attends to tokens 1 .. i; default false
---@field mask? diffusion.tensor the mask, as above

---@class (exact) diffusion.autoencoderkl_options
---@field act_fn? "silu"|"swish"|"mish"|"gelu"|"relu" activation of the residual blocks; default "silu"
---@field block_out_channels? integer[] channels of each level; default {64}
---@field down_block_types? string[] the type of each level of the encoder; default {"DownEncoderBlock2D"}
---@field force_upcast? boolean activations are in float32 anyway; kept for the config; default true
---@field in_channels? integer channels of an image; range >= 1; default 3
---@field latent_channels? integer channels of the latents; range >= 1; default 4
---@field latents_mean? number[] mean of each channel of the latents; kept for the config
---@field latents_std? number[] standard deviation of each channel of the latents; kept for the config
---@field layers_per_block? integer residual blocks of a level of the encoder; one more in the decoder; range >= 1; default 1
---@field mid_block_add_attention? boolean attention between the two middle blocks; default true
---@field norm_num_groups? integer groups of the norms; range >= 1; default 32
---@field out_channels? integer channels of a decoded image; range >= 1; default 3
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field sample_size? integer|integer[] height and width of the images that it was trained on, and of a tile; range >= 1; default 32
---@field scaling_factor? number latents are multiplied by it in a pipeline; kept for the config; range > 0; default 0.18215
---@field shift_factor? number subtracted from latents in a pipeline before that; kept for the config
---@field up_block_types? string[] the type of each level of the decoder; default {"UpDecoderBlock2D"}
---@field use_post_quant_conv? boolean a 1x1 convolution before the decoder; default true
---@field use_quant_conv? boolean a 1x1 convolution behind the encoder; default true

---@class (exact) diffusion.autoencoderkl_call_options
---@field eps? diffusion.tensor the latents' standard normal numbers {B, h, w, latent_channels}; default drawn
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.autoencoderkl_decode_options
---@field tile? boolean|diffusion.autoencoderkl_tile_options images larger than a tile are computed in overlapping tiles, which takes less memory; default false

---@class (exact) diffusion.autoencoderkl_encode_options
---@field tile? boolean|diffusion.autoencoderkl_tile_options images larger than a tile are computed in overlapping tiles, which takes less memory; default false

---@class (exact) diffusion.autoencoderkl_tile_options
---@field overlap? number share of a tile that lies in the one before, rounded up to whole latents; range [0, 1); default 0.25
---@field size? integer height and width of a tile in pixels, rounded down to whole latents; range >= 1; default sample_size, at most 192; diffusers takes sample_size

---@class (exact) diffusion.autoencodertiny_options
---@field act_fn? "silu"|"swish"|"mish"|"gelu"|"relu" activation of the residual blocks; default "relu"
---@field decoder_block_out_channels? integer[] channels of each level of the decoder, all equal; default {64, 64, 64, 64}
---@field encoder_block_out_channels? integer[] channels of each level of the encoder, all equal; default {64, 64, 64, 64}
---@field force_upcast? boolean activations are in float32 anyway; kept for the config; default false
---@field in_channels? integer channels of an image; range >= 1; default 3
---@field latent_channels? integer channels of the latents; range >= 1; default 4
---@field latent_magnitude? number half the range that scale_latents maps to [0, 1]; range > 0; default 3
---@field latent_shift? number added to latents by scale_latents, which makes it the value of 0; default 0.5
---@field num_decoder_blocks? integer[] residual blocks of each level of the decoder; default {3, 3, 3, 1}
---@field num_encoder_blocks? integer[] residual blocks of each level of the encoder; default {1, 3, 3, 3}
---@field out_channels? integer channels of a decoded image; range >= 1; default 3
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field scaling_factor? number latents are multiplied by it in a pipeline; kept for the config; range > 0; default 1
---@field shift_factor? number subtracted from latents before that; kept for the config; default 0
---@field upsample_fn? "nearest"|"nearest-exact" the decoder enlarges by repeated pixels, for which these are two names; kept for the config; default "nearest"
---@field upsampling_scaling_factor? integer factor of each enlargement; range [1, 64]; default 2

---@class (exact) diffusion.backward_options
---@field keep? boolean keeps the record for another backward pass; default false

---@class (exact) diffusion.check_moments_options
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field exact_start? boolean starts from x_T's own distribution, not from noise; default false
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default "trailing"
---@field mean? number mean of the data; default 0
---@field std? number standard deviation of the data; range >= 0; default 1
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default 50, or T if less; T for annealed_langevin, ddpm and predictor_corrector

---@class (exact) diffusion.check_order_options
---@field exact? integer steps of the ODE's solution; range >= 10; default 500
---@field fine? integer steps of the reference, in multiples of the most steps; range >= 2; default 16
---@field from? number sigma of the start; range > 0; default 20
---@field process? diffusion.process the process; default cosine of 1000 steps, predicting x0
---@field quiet? boolean prints no table; default false
---@field reference? string|function|table sampler that follows the noise's path in more steps, as "dpmpp_sde"; default the sampler itself
---@field samples? integer number of samples; range >= 1; default 64
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1
---@field start? integer first steps that get the exact x, so that a multistep sampler starts with a history; range >= 0; default 0
---@field steps? integer[] numbers of steps that are compared; default {80, 160, 320, 640}
---@field to? number sigma of the end; range > 0; default 0.02

---@class (exact) diffusion.checkpoint_options
---@field model diffusion.model|diffusion.lora the network, or its adapters
---@field path string the file
---@field batches? diffusion.batches the batches, whose place is saved
---@field ema? diffusion.ema|diffusion.ema[] averages that are saved
---@field opt? diffusion.adamw the optimiser

---@class (exact) diffusion.cliptext_options
---@field attention_dropout? number attention has no dropout here; kept for the config; range [0, 1]; default 0
---@field bos_token_id? integer the tokenizer begins a text; kept for the config; range >= -1; default 49406
---@field eos_token_id? integer the token that ends a text; 2 stands for the largest id of each text; range >= -1; default 49407
---@field hidden_act? "gelu"|"gelu_accurate"|"gelu_fast"|"gelu_new"|"gelu_python"|"gelu_python_tanh"|"gelu_pytorch_tanh"|"linear"|"mish"|"quick_gelu"|"relu"|"silu"|"swish"|"tanh" activation of the feed-forward part; default "quick_gelu"
---@field hidden_size? integer width of a token; range >= 1; default 512
---@field initializer_factor? number factor of the tables' first values; range > 0; default 1
---@field initializer_range? number that class doesn't read it; kept for the config; default 0.02
---@field intermediate_size? integer width inside of the feed-forward part; range >= 1; default 2048
---@field layer_norm_eps? number added to the variance by the norms; range > 0; default 1e-5
---@field max_position_embeddings? integer tokens of a text at most; range >= 1; default 77
---@field num_attention_heads? integer number of heads of each attention; range >= 1; default 8
---@field num_hidden_layers? integer number of layers; range >= 1; default 12
---@field pad_token_id? integer the tokenizer pads; kept for the config; range >= -1; default 1
---@field projection? boolean CLIPTextModelWithProjection: the pooled state is projected; default false
---@field projection_dim? integer width of the projected text; range >= 1; default 512
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field vocab_size? integer rows of the table of tokens; range >= 1; default 49408

---@class (exact) diffusion.cliptext_call_options
---@field norm? boolean the final norm is applied to the states; default true
---@field skip? integer number of last layers that the states leave out; range >= 0; default 0

---@class (exact) diffusion.context_mlp_options
---@field context? integer dimensions of a context vector; range >= 1; default 2
---@field depth? integer number of residual blocks; range >= 1; default 3
---@field dim? integer dimensions of a point; range >= 1; default 2
---@field hidden? integer width of the blocks, even; range >= 2; default 64

---@class (exact) diffusion.conv2d_options
---@field stride? integer step between two places of the kernel; range >= 1; default 1
---@field pad? integer|integer[] zeros around the image: one number or {top, bottom, left, right}; range >= 0; default 0
---@field add? diffusion.tensor a tensor of the result's shape, which is added to it

---@class (exact) diffusion.convert_options
---@field from "eps"|"x0"|"v"|"score"|"flow"|"edm" the target of `value`
---@field to "eps"|"x0"|"v"|"score"|"flow"|"edm" the target of the result
---@field xt number|diffusion.tensor the noisy x_t
---@field t number|number[]|diffusion.tensor the level

---@class (exact) diffusion.data_buckets_options
---@field area? integer most pixels of a picture; range >= 1; default 262144
---@field max? integer greatest height and width; range [1, 65535]; default twice the root of the area
---@field min? integer least height and width; range [1, 65535]; default half the root of the area
---@field multiple? integer height and width are multiples of it; range [1, 32768]; default 64
---@field sizes? integer[][] {height, width} of each, in place of the other options

---@class (exact) diffusion.data_copy_options
---@field copy? boolean reads into memory instead of mapping the file; default false

---@class (exact) diffusion.data_emoji_options
---@field font? string a font with a PNG for each glyph; default "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
---@field list? string Unicode's list of emoji; default "/usr/share/unicode/emoji/emoji-test.txt"
---@field size? integer height and width of the pictures; range [1, 255]; default 64

---@class (exact) diffusion.data_folder_options
---@field buckets? boolean|diffusion.data_buckets_options sizes by the shapes of the pictures: true, or {area =, multiple =, min =, max =}
---@field captions? boolean|string|table<string, string>|fun(name: string, path: string): string? true for files next to the pictures or a table in the folder; a table's path; texts by name; or a function
---@field channels? integer 3 (RGB) or 1 (grey); range [1, 3]; default 3
---@field classes? boolean sub-folders are classes; default true
---@field crop? "centre"|"random" the part of a picture that stays: its middle, or another one each time by the seed of the batches; default "centre"
---@field recursive? boolean takes pictures of any depth, for the class of the outermost folder; default false
---@field size? integer|integer[] n or {height, width}: each picture is resized and cut to that form; range [1, 65535]; default as they are, all of one size
---@field skip? boolean leaves out in silence what would be an error; default false
---@field upright? boolean turned as the files' EXIF says; false leaves them as stored; default true

---@class (exact) diffusion.data_idx_options
---@field names? string[] names of the classes

---@class (exact) diffusion.data_set_options
---@field x diffusion.tensor [n,...]: numbers, or images [n,H,W,C] of u8 or of i64 in 0..255
---@field captions? string[] a text for each example
---@field class? integer|integer[]|diffusion.tensor the class of all examples or of each, 1 to classes
---@field classes? integer number of classes; range >= 1; default the largest class
---@field eps? diffusion.tensor noise that each example is paired with, as x (d.reflow)
---@field name? string the set's name; default "set"
---@field names? string[] names of the classes

---@class (exact) diffusion.data_split_options
---@field split? "train"|"test" the part of the set; default "train"

---@class (exact) diffusion.data_toy_checkerboard_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.data_toy_eight_gaussians_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0.07
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.data_toy_moons_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0.08
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.data_toy_spiral_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0.03
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.data_toy_swiss_roll_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0.04
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.dit_options
---@field image integer[] {H, W, C} of an image
---@field classes? integer number of classes; 0 makes an unconditional network; range >= 0; default 0
---@field depth? integer number of blocks; range >= 1; default 4
---@field dropout? number probability that an element inside of a block is set to 0 in training; range [0, 1); default 0
---@field heads? integer number of heads of each attention; range >= 1; default 4
---@field outputs? integer 2 also predicts a variance: the result has twice the channels; range [1, 2]; default 1
---@field patch? integer height and width of the pixels that become one token; range >= 1; default 2
---@field ratio? integer inner width of a block's two products, in multiples of `width`; range >= 1; default 4
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field self_condition? boolean the network is conditioned on its own x0, option x0 of its call; zeros if absent; default false
---@field width? integer width of a token, a multiple of 4; range >= 4; default 128

---@class (exact) diffusion.dittransformer2d_options
---@field activation_fn? "gelu"|"gelu-approximate"|"geglu"|"geglu-approximate"|"swiglu"|"linear-silu" activation of the feed-forward part; default "gelu-approximate"
---@field attention_bias? boolean q, k and v have a bias; default true
---@field attention_head_dim? integer width of a head; range >= 1; default 72
---@field class_dropout? number probability that a sample's class is forgotten in training, as in that class; range [0, 1); default 0.1
---@field dropout? number probability that an element inside of a block is set to 0 in training; range [0, 1); default 0
---@field freq_shift? number s of the time's frequencies 10000^(-k / (128 - s)): 1 in diffusers, 0 in the DiT of its authors; range [0, 128); default 1
---@field in_channels? integer channels of an image; range >= 1; default 4
---@field norm_elementwise_affine? boolean the norm before the feed-forward part has weight and bias; default false
---@field norm_eps? number added to the variance by that norm; the others add 1e-6; range > 0; default 1e-5
---@field norm_num_groups? integer this class has no group norm; kept for the config; range >= 1; default 32
---@field norm_type? "ada_norm_zero" the one kind of norm that this class runs with; kept for the config; default "ada_norm_zero"
---@field num_attention_heads? integer number of heads of each attention; range >= 1; default 16
---@field num_embeds_ada_norm? integer number of classes; range >= 1; default 1000
---@field num_layers? integer number of blocks; range >= 1; default 28
---@field out_channels? integer channels of the result; twice in_channels also predicts a variance; range >= 1; default in_channels
---@field patch_size? integer height and width of the pixels that become one token; range >= 1; default 2
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field sample_size? integer height and width of the images that it was trained on; range >= 1; default 32
---@field upcast_attention? boolean attention is in float32 anyway; kept for the config; default false

---@class (exact) diffusion.draw_options
---@field seed? integer seed of the numbers; default follows d.manual_seed
---@field generator? diffusion.generator|diffusion.generator[] source of the numbers, in place of a seed; a list has one for each sample, which is drawn as it would be alone

---@class (exact) diffusion.draw_one_options
---@field seed? integer seed of the numbers; default follows d.manual_seed
---@field generator? diffusion.generator source of the numbers, in place of a seed

---@class (exact) diffusion.dtype_options
---@field dtype? "f32"|"f64"|"f16"|"bf16"|"i64"|"u8" type of the numbers; default "f32", in the verification build "f64"

---@class (exact) diffusion.edit_img2img_options
---@field model diffusion.model|function the denoiser: a network, an average, or a function (xt, t, {class=})
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field x0 diffusion.tensor the pictures {B, ...}
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field grid? diffusion.grid|number[] a grid or a list of times; those below the start are taken; default by steps
---@field guidance? number|fun(model: function): function scale of classifier-free guidance, or a function that makes a denoiser of the model; default 1
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field on_step? fun(step: table) called with each step after it
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function; default "unipc"
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field self_condition? boolean the model is conditioned on its last x0; default false
---@field start? number level t of the start, 0 to T; 0 is x0 itself; default by strength
---@field steps? integer number of steps that follow; range >= 1; default 50, or all levels if less; all levels for annealed_langevin, ddpm and predictor_corrector
---@field strength? number the level nearest to strength T; range [0, 1]; default start instead

---@class (exact) diffusion.edit_interpolate_options
---@field a diffusion.tensor the first pictures {B, ...}
---@field b diffusion.tensor the second pictures, of a's shape
---@field model diffusion.model|function the denoiser: a network, an average, or a function (xt, t, {class=})
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field at? number level of the mixture; default T/2; by inversion the start of edit.invert
---@field by? "noise"|"inversion" the way: shared noise, or inversion; default "noise"
---@field class? integer|integer[]|diffusion.tensor the class of all pairs or of each, from 1; 0 is no class
---@field grid? diffusion.grid|number[] a grid or a list of times; those below the start are taken; default by steps
---@field guidance? number|fun(model: function): function scale of classifier-free guidance, or a function that makes a denoiser of the model; default 1
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field on_step? fun(step: table) called with each step after it
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function; default "unipc"; by inversion "ddim"
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field self_condition? boolean the model is conditioned on its last x0; default false
---@field steps? integer number of steps that follow; range >= 1; default 50, or all levels if less; all levels for annealed_langevin, ddpm and predictor_corrector
---@field tolerance? number residual at which the iteration ends; range > 0; default 1e-5
---@field u? number|number[] place between them, 0 is a and 1 is b; or n places; default 0.5

---@class (exact) diffusion.edit_invert_options
---@field model diffusion.model|function the denoiser: a network, an average, or a function (xt, t, {class=})
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field x0 diffusion.tensor the data {B, ...}
---@field check? boolean also measures how far ddim comes back from x0; default false
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field exact? boolean solves each step by iteration, so that ddim returns to the data; default true
---@field grid? diffusion.grid|number[] a grid or a list of times; those below the start are taken; default by steps
---@field guidance? number|fun(model: function): function scale of classifier-free guidance, or a function that makes a denoiser of the model; default 1
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}
---@field iterations? integer iterations of a step at most; range >= 1; default 100
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field on_step? fun(step: table) called with each step after it
---@field self_condition? boolean the model is conditioned on its last x0; default false
---@field start? number level of the noise; default T, or the last whole level at which x0 can be predicted
---@field steps? integer number of steps that follow; range >= 1; default 50, or all levels if less; all levels for annealed_langevin, ddpm and predictor_corrector
---@field tolerance? number residual at which the iteration ends; range > 0; default 1e-5

---@class (exact) diffusion.edit_plan_options
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field grid? diffusion.grid|number[] a grid or a list of times; those below the start are taken; default by steps
---@field start? number level t of the start, 0 to T; 0 is x0 itself; default by strength
---@field steps? integer number of steps that follow; range >= 1; default 50, or all levels if less; all levels for annealed_langevin, ddpm and predictor_corrector
---@field strength? number the level nearest to strength T; range [0, 1]; default start instead

---@class (exact) diffusion.edit_repaint_options
---@field keep diffusion.tensor 1 where x0 stays, 0 where it is painted; x0's shape, or one that broadcasts to it
---@field model diffusion.model|function the denoiser: a network, an average, or a function (xt, t, {class=})
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field x0 diffusion.tensor the pictures {B, ...}
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default "trailing"
---@field guidance? number|fun(model: function): function scale of classifier-free guidance, or a function that makes a denoiser of the model; default 1
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}
---@field jump? integer steps of a jump back; range >= 1; default 10
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field on_step? fun(step: table) called with each step after it, with the merged x
---@field resample? integer times that each stretch of a jump is walked; 1: no jumps; range >= 1; default 10
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function; default "ddpm"
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field self_condition? boolean the model is conditioned on its last x0; default false
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default 250, or T if less; those of d.sample for other samplers

---@class (exact) diffusion.edit_repaint_plan_options
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default "trailing"
---@field jump? integer steps of a jump back; range >= 1; default 10
---@field resample? integer times that each stretch of a jump is walked; 1: no jumps; range >= 1; default 10
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function; default "ddpm"
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default 250, or T if less; those of d.sample for other samplers

---@class (exact) diffusion.edm_options
---@field image integer[] {H, W, C} of an image
---@field attn_resolutions? integer[] heights of the images at which there is attention; default {16}
---@field augment_dim? integer width of the input `augment`, which describes an image's augmentation; 0 for none; range >= 0; default 0
---@field channel_mult? integer[] channels of each level, in multiples of model_channels; default {2, 2, 2}
---@field channel_mult_emb? integer width of the embedding, in multiples of model_channels; range >= 1; default 4
---@field channel_mult_noise? integer width of the waves of song, in multiples of model_channels; range >= 1; default 1
---@field classes? integer number of classes; 0 makes an unconditional network; range >= 0; default 0
---@field decoder_type? "standard"|"skip" sums of results at all sizes, of song; default "standard"
---@field dropout? number probability that an element inside of a block is set to 0 in training; range [0, 1); default 0
---@field embedding_type? "positional"|"fourier" waves of c_noise, of song; default "positional"
---@field encoder_type? "standard"|"skip"|"residual" paths of smaller images, of song; default "standard"
---@field head_channels? integer width of a head of dhariwal; song has one head; range >= 1; default 64
---@field kind? "song"|"dhariwal" SongUNet or DhariwalUNet; default "song"
---@field model_channels? integer channels in multiples of which the levels are counted, even; range >= 4; default 128
---@field num_blocks? integer residual blocks of a level; one more on the way up; range >= 1; default 4
---@field out_channels? integer channels of the result; those of the image if nil; range >= 1
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field resample_taps? integer length of the filter that changes sizes: 2 for 1 1, 4 for 1 3 3 1; range [2, 4]; default 2
---@field time_offset? number subtracted from t, which is c_noise; default 0

---@class (exact) diffusion.ema_options
---@field decay? "half_life"|"power"|"warmup"|number|table|fun(update: integer): number a number, {name, option = ...}, or a function of the update; range [0, 1); default 0.9995
---@field warmup? boolean r is at most (1 + k)/(10 + k), for a decay that is a number; default true

---@class (exact) diffusion.estimate_variance_options
---@field batch? integer samples in a batch; range >= 1; default 256
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field levels? integer levels at most, whole and about evenly spaced in ln SNR; range >= 2; default 50
---@field rounds? integer passes over the samples, each at other levels; range >= 1; default 1
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1
---@field t? number[] the levels, a list that rises; default by levels

---@class (exact) diffusion.fir_options
---@field taps number[] the filter: 1 to 8 numbers
---@field up? integer up - 1 zeros are put behind each pixel first; range >= 1; default 1
---@field down? integer every so many sums are taken; range >= 1; default 1
---@field before? integer zeros in front of each line; below 0: so many are cut off; default 0
---@field after? integer zeros behind each line; default 0
---@field reflect? boolean mirrored pixels instead of these zeros; default false

---@class (exact) diffusion.fourier_options
---@field offset? number subtracted from t first; default 0
---@field log? boolean takes ln t instead of t; default false
---@field cos_first? boolean the cosines come first; default false

---@class (exact) diffusion.generator_options
---@field kind? "philox"|"torch" the algorithm; default "philox"
---@field seed? integer seed of the numbers; default 0

---@class (exact) diffusion.gradcheck_options
---@field step? number step of the differences, times max(1, |x|); range > 0; default 1e-05 in double, else 0.01
---@field tolerance? number largest difference that passes; range >= 0; default 1e-06 in double, else 0.01

---@class (exact) diffusion.grid_beta_options
---@field alpha? number first parameter of the Beta distribution; range (0, 1000]; default 0.6
---@field beta? number second parameter of the Beta distribution; range (0, 1000]; default 0.6
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field of? "t"|"sigma" the quantity whose values are Beta quantiles; default "t"
---@field round? boolean takes the nearest whole levels, each once; default false
---@field sigma_max? number sigma of the first step, between those of levels 1 and T; default sigma of level T
---@field sigma_min? number sigma of the last step, between those of levels 1 and T; default sigma of level 1

---@class (exact) diffusion.grid_exponential_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field round? boolean takes the nearest whole levels, each once; default false
---@field sigma_max? number sigma of the first step, between those of levels 1 and T; default sigma of level T
---@field sigma_min? number sigma of the last step, between those of levels 1 and T; default sigma of level 1

---@class (exact) diffusion.grid_karras_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field rho? number steps are equal in the rho-th root of sigma; range > 0; default 7
---@field round? boolean takes the nearest whole levels, each once; default false
---@field sigma_max? number sigma of the first step, between those of levels 1 and T; default sigma of level T
---@field sigma_min? number sigma of the last step, between those of levels 1 and T; default sigma of level 1

---@class (exact) diffusion.grid_leading_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0

---@class (exact) diffusion.grid_linspace_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field round? boolean rounds times to whole levels; false leaves them real; default true

---@class (exact) diffusion.grid_list_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0

---@class (exact) diffusion.grid_log_snr_options
---@field from? number level of the first step; range > 0; default T
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field round? boolean takes the nearest whole levels, each once; default false
---@field to? number level from which the last step starts; range > 0; default 1

---@class (exact) diffusion.grid_poly_exponential_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field rho? number power of the curve in ln sigma; range > 0; default 1
---@field round? boolean takes the nearest whole levels, each once; default false
---@field sigma_max? number sigma of the first step, between those of levels 1 and T; default sigma of level T
---@field sigma_min? number sigma of the last step, between those of levels 1 and T; default sigma of level 1

---@class (exact) diffusion.grid_preset_options
---@field beta_d? number k-diffusion-vp: slope of beta(u); range > 0; default 19.9
---@field beta_min? number k-diffusion-vp: beta(0); range >= 0; default 0.1
---@field eps_s? number k-diffusion-vp: u of the last step; range (0, 1); default 0.001
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field offset? integer added to every time of leading spacing; range >= 0; default 0
---@field original? integer lcm: number of levels at which the network was distilled; range >= 1; default 50
---@field round? boolean takes the nearest whole levels, each once; default that of the grid
---@field shift_terminal? number flow: the path is stretched so that 1 - w ends here; range (0, 1)
---@field spacing? "leading"|"linspace"|"trailing" diffusers' karras, exponential and beta: the times whose sigmas are the curve's ends; default "linspace"

---@class (exact) diffusion.grid_quadratic_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0

---@class (exact) diffusion.grid_section_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0

---@class (exact) diffusion.grid_sigmas_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field round? boolean takes the nearest whole levels, each once; default false

---@class (exact) diffusion.grid_trailing_options
---@field last? number level at which the grid stops, below its last t; range >= 0; default 0
---@field round? boolean rounds times to whole levels; false leaves them real; default true

---@class (exact) diffusion.group_norm_options
---@field groups integer number of groups, which divides C; range >= 1
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field silu? boolean the same as act = "silu"; default false
---@field act? "none"|"silu"|"relu"|"gelu"|"mish"|"tanh" activation of the result; default "none"
---@field dropout? number probability that an element is set to 0; range [0, 1); default 0
---@field add? diffusion.tensor {B,C}, added to each pixel of x
---@field modulate? diffusion.tensor {B,2 C}: s, then t of the result (1 + s) + t

---@class (exact) diffusion.guidance_auto_options
---@field scale number 1 is the model alone
---@field interval? number[] {low, high} in t: guided only for low <= t <= high; default all t

---@class (exact) diffusion.guidance_cfg_options
---@field scale number 1 is the conditional model, 0 the unconditional one
---@field interval? number[] {low, high} in t: guided only for low <= t <= high; default all t
---@field rescale? number phi of Lin et al. 2024: share of the conditional output's deviation that is restored in each sample; range [0, 1]; default 0
---@field without? table<string, diffusion.tensor> named inputs of the unconditional call: {context = empty}; default the class is dropped

---@class (exact) diffusion.guidance_cfg_pp_options
---@field scale number lambda, 0 to 1 in the paper; range >= 0
---@field interval? number[] {low, high} in t: guided only for low <= t <= high; default all t
---@field without? table<string, diffusion.tensor> named inputs of the unconditional call: {context = empty}; default the class is dropped

---@class (exact) diffusion.guidance_classifier_options
---@field interval? number[] {low, high} in t: guided only for low <= t <= high; default all t
---@field scale? number factor of the gradient; default 1

---@class (exact) diffusion.guidance_gradient_options
---@field interval? number[] {low, high} in t: guided only for low <= t <= high; default all t
---@field of? "xt"|"x0" the argument of the energy: x_t or the predicted x0; default "xt"
---@field scale? number factor of the gradient; default 1

---@class (exact) diffusion.hub_load_options
---@field T? integer steps of the schedule; range >= 1; default that of the file
---@field cache? string folder of a cache of huggingface_hub, in which a name is looked up; default HF_HUB_CACHE, or $HF_HOME/hub, or ~/.cache/huggingface/hub
---@field class_name? string class of a component whose config names none; default that of the config
---@field classes? integer number of classes; the table of DiT may have a row for none behind them; range >= 1; default that of the file
---@field copy? boolean reads into memory instead of mapping the file; default false
---@field dtype? "f16"|"bf16"|"f32"|"f64" a type to which the weights are converted; default that of the file
---@field ema? boolean takes the denoiser's average, which some files of latent diffusion have next to its values; default the values in training
---@field frozen? boolean true uses the weights as they are, mapped; false copies them to f32 at once; default until training begins
---@field groups? integer groups of the residual blocks' norms; range >= 1; default that of the file
---@field head_channels? integer width of a head, in place of heads; range >= 1; default that of the file
---@field heads? integer|integer[] number of heads of each attention; or head_channels, the width of a head; range >= 1; default those of the file
---@field image? integer|integer[] height and width of an image: 64, {64, 48} or {64, 48, 3}; range >= 1; default that of the file
---@field key? string in a PyTorch file, the key under which the network is: "ema", "model"; default the only one
---@field labels? string[] names of the classes from 1; default those of the folder
---@field precondition? "edm"|"vp"|"ve"|"iddpm" how the network's input and output are scaled; see d.precondition; default that of the file
---@field predict? "eps"|"x0"|"v" the prediction target; default that of the file
---@field process? diffusion.process the process, in place of schedule, T, predict and variance; default made of the options above
---@field qkv_order? "legacy"|"new" order of the rows of q, k and v: by head, or "new": all of q first; default that of the file
---@field recompute? boolean networks recompute their blocks in the backward pass: training takes less memory and more time; default false
---@field rescale_timesteps? boolean whether the network sees timesteps as if T were 1000; default that of the file
---@field revision? string branch, tag or commit of a model in the cache; default main
---@field scaling_factor? number factor of an autoencoder's latents: 0.18215 in Stable Diffusion 1 and 2, 0.13025 in XL; range > 0; default that of the file's version
---@field schedule? string|diffusion.schedule the noise schedule: "linear", "cosine", "sigmoid", or one of d.schedule; default that of the file
---@field scheduler? string|table another scheduler: the path of a config, a config, or a class for the config in the folder; default that of the folder
---@field shift_factor? number subtracted from an autoencoder's latents before that
---@field sigma_data? number standard deviation of the data, for precondition = "edm"; range > 0; default that of the file
---@field steps? integer number of steps of a call that has none; range >= 1; default that of the pipeline
---@field text? boolean false leaves text encoders out; prompts are then given encoded; default true
---@field text_heads? integer in a file of latent diffusion, the number of heads of each attention of its text encoders; range >= 1; default one for 64 channels
---@field time? "t"|"log_snr"|"c_noise" the network's time: timesteps, ln of the SNR, or EDM's c_noise; default that of the file
---@field tiny? string a small autoencoder for pipe:preview: a folder, or a file of TAESD
---@field tokenizer? string a tokenizer for a single file of Stable Diffusion, which has none; see d.tokenizer; default that of the folder
---@field vae? string|false the folder of another autoencoder, or a file of TAESD or of latent diffusion; false for none; default that of the folder
---@field variance? "fixed_small"|"fixed_large"|"learned"|"learned_range" variance of the reverse step; default that of the file
---@field variant? string part of the name of the weights: fp16, non_ema; default the plain weights, or the only ones
---@field version? string version of the library that wrote the file: "1.4"; default that of the file

---@class (exact) diffusion.hub_save_options
---@field dtype? "f16"|"bf16"|"f32"|"f64" type of the weights in the file; default f32, or that of mapped weights
---@field labels? string[] names of the classes from 1
---@field max_shard_size? integer|string bytes of a file of weights at most: a number, or "5GB"; range >= 1; default 10000000000
---@field pipeline? string class of the pipeline; default by the networks
---@field process? diffusion.process the process that the denoiser was trained for
---@field scheduler? table the config of a scheduler of diffusers, with its _class_name; in place of a process
---@field text? diffusion.model|diffusion.ema a text encoder, d.cliptext
---@field text2? diffusion.model|diffusion.ema SDXL's second text encoder
---@field tokenizer? diffusion.tokenizer the tokenizer of text
---@field tokenizer2? diffusion.tokenizer the tokenizer of text2
---@field unet? diffusion.model|diffusion.ema the denoiser, or an average of one
---@field vae? diffusion.model|diffusion.ema an autoencoder
---@field variant? string part of the name of the weights: fp16, non_ema

---@class (exact) diffusion.hub_scheduler_options
---@field eta? number factor of the noise of DDIM and TCD; range >= 0; default that of the class
---@field first? integer number of the step to start at; later ones start from an image; range >= 1; default 1
---@field intermediate_timesteps? number SCM's second angle of two; range > 0; default that of diffusers
---@field jump_length? integer RePaint's steps of a jump back; range >= 1; default that of diffusers
---@field jump_n_sample? integer times that RePaint takes each stretch; range >= 1; default that of diffusers
---@field mask? diffusion.tensor RePaint's mask, 1 where the picture is known
---@field max_timesteps? number SCM's first angle; range > 0; default that of diffusers
---@field mu? number shift of the path, for use_dynamic_shifting
---@field order? integer order of LMS; range [1, 4]; default that of diffusers
---@field original? diffusion.tensor RePaint's picture, whose known part stays
---@field original_inference_steps? integer number of timesteps at which LCM's network was distilled; range >= 1; default that of the config
---@field s_churn? number noise that Euler adds before steps, over all of them; range >= 0; default that of diffusers
---@field s_noise? number factor of that noise; range >= 0; default that of diffusers
---@field s_tmax? number greatest sigma at which it does; range >= 0; default that of diffusers
---@field s_tmin? number least sigma at which it does; range >= 0; default that of diffusers
---@field sigmas? number[] noise levels of your own, as set_timesteps takes them: the list of Euler has the level of the end too
---@field steps? integer number of steps; range >= 1; default the grid is then a function of it
---@field strength? number share of training from whose timesteps LCM and TCD take theirs, for an image; range (0, 1]; default that of diffusers
---@field timesteps? number[] timesteps of your own, of diffusers' count from 0, the latest first
---@field use_clipped_model_output? boolean DDIM's eps is that of the clipped x0; default that of diffusers

---@class (exact) diffusion.huber_options
---@field delta? number error from which on the loss is straight; range > 0; default 1

---@class (exact) diffusion.image_animate_options
---@field columns? integer pictures in a row; range >= 1; default ceil(sqrt(B))
---@field delay? number|number[] seconds that a frame is shown, 0 to 65, or a list of them; default 0.1
---@field loop? integer times it plays; 0: without end; range >= 0; default 0

---@class (exact) diffusion.image_draw_options
---@field columns? integer pictures in a row; range >= 1; default ceil(sqrt(B))
---@field label? string a line above the picture
---@field style? "truecolor"|"256"|"ascii" colours or letters; default the terminal's best
---@field width? integer letters in a line; range [2, 10000]; default COLUMNS, the terminal's, or 80

---@class (exact) diffusion.image_grid_options
---@field columns? integer pictures in a row; range >= 1; default ceil(sqrt(B))
---@field pad? integer black pixels around each picture; range >= 0; default 2
---@field scale? integer pixels of the grid along a pixel's side; range >= 1; default 1

---@class (exact) diffusion.image_load_options
---@field channels? integer 1 (grey) or 3 (RGB); range [1, 3]; default as in the file
---@field upright? boolean turned as the file's EXIF says; false leaves it as stored; default true

---@class (exact) diffusion.image_read_options
---@field upright? boolean turned as the file's EXIF says; false leaves it as stored; default true

---@class (exact) diffusion.image_save_options
---@field text? table<string, any> tEXt chunks by key, which image.info reads back as strings; numbers keep all bits

---@class (exact) diffusion.layer_norm_options
---@field epsilon? number added to the variance; range > 0; default 1e-5

---@class (exact) diffusion.likelihood_dequantise_options
---@field levels? integer number of levels; range >= 2; default 256
---@field span? "centres"|"edges" [-1, 1] spans the centres of the levels, or their edges; default "centres"

---@class (exact) diffusion.likelihood_ode_options
---@field atol? number absolute tolerance of a step's error; range > 0; default 1e-5
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field dequantise? boolean|diffusion.likelihood_dequantise_options images: adds uniform noise to their levels; default false
---@field divergence? "auto"|"exact"|"hutchinson" "exact" takes D gradients, "hutchinson" estimates; "auto" is exact to 64 dimensions; default "auto"
---@field from? number level at which the ODE begins; range >= 1; default 1
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}
---@field most? integer steps after which the run is an error; range >= 1; default 10000
---@field over? diffusion.mpi deals the samples out over the ranks of diffusion.mpi
---@field probes? integer random vectors of Hutchinson's estimate; range >= 1; default 1
---@field rtol? number tolerance relative to the sample's size; range >= 0; default 1e-5
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1
---@field to? number level at which the prior is taken; default T, or the last level with an SNR of 3.7e-5

---@class (exact) diffusion.likelihood_vlb_options
---@field bins? integer levels of an image; range >= 2; default 256
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field clip? boolean clips the predicted x0 as the process does; default false
---@field decoder? "erf"|"tanh"|"gaussian" last term of the bound: levels by erf, or by its approximation tanh as in published figures; or a density; default "erf"
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}
---@field over? diffusion.mpi deals the samples out over the ranks of diffusion.mpi
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1
---@field t? integer|integer[] n strata of 2..T, even in ln(1 + SNR), with one t each; or a list of t whose terms are wanted; range >= 1; default all of 1..T

---@class (exact) diffusion.load_options
---@field copy? boolean reads into memory instead of mapping the file; default false
---@field dtype? "f16"|"bf16"|"f32"|"f64" the type of all tensors of floats; default the file's
---@field f8? "f16"|"bf16"|"f32"|"f64"|"u8" the type of tensors whose floats have 8 bits; u8 gives their codes; default dtype, or f16
---@field key? string in a PyTorch file, the key under which the tensors are: "ema" or "model.ema"; "" takes all of the file; default the only one
---@field raw? boolean gives the whole value of a PyTorch file as Lua tables; default false
---@field total_size? boolean compares the total_size of an index with its shards; default true

---@class (exact) diffusion.load_model_options
---@field copy? boolean reads into memory instead of mapping the file; default false
---@field frozen? boolean uses the file's values as they are, mapped, in their own type; default false
---@field process? diffusion.process a process in place of the file's; default that of the file

---@class (exact) diffusion.lora_save_options
---@field form? "diffusers"|"kohya" names in the file: those of diffusers and peft, or of kohya's scripts; default "diffusers"
---@field prefix? string the network's part of a pipeline: unet, text_encoder; default by the network
---@field weights? diffusion.lora|diffusion.ema an average whose values are saved; default the adapters'

---@class (exact) diffusion.lr_constant_options
---@field peak number the highest rate, at the end of the warm-up; range > 0
---@field warmup? integer steps in which the rate rises linearly to its peak; range >= 0; default 0

---@class (exact) diffusion.lr_cosine_options
---@field peak number the highest rate, at the end of the warm-up; range > 0
---@field total integer step at which the rate reaches its floor; range >= 1
---@field floor? number the rate from step `total` on; range >= 0; default 0

---@class (exact) diffusion.lr_linear_options
---@field peak number the highest rate, at the end of the warm-up; range > 0
---@field total integer step at which the rate reaches its floor; range >= 1
---@field floor? number the rate from step `total` on; range >= 0; default 0
---@field warmup? integer steps in which the rate rises linearly to its peak; range >= 0; default 0

---@class (exact) diffusion.lr_warmup_cosine_options
---@field peak number the highest rate, at the end of the warm-up; range > 0
---@field total integer step at which the rate reaches its floor; range >= 1
---@field floor? number the rate from step `total` on; range >= 0; default 0
---@field warmup? integer steps in which the rate rises linearly to its peak; range >= 0; default 0

---@class (exact) diffusion.lucidrains_options
---@field image integer[] {H, W, C} of an image
---@field attn_dim_head? integer|integer[] width of a head; a list has one for each level, and may have one more for the middle; range >= 1; default 32
---@field attn_heads? integer|integer[] number of heads of each attention; a list has one for each level, and may have one more for the middle; range >= 1; default 4
---@field attn_norm? "rms"|"layer"|"layer_bias" norm of the attentions: "layer" from 0.26.5 to 1.6, "layer_bias" before; default "rms"
---@field classes? integer number of classes; 0 makes an unconditional network; range >= 0; default 0
---@field cosine_attn? number factor of the scores if softmax attention has normalised q and k: 16 from 0.26 to 0.27.2, 10 to 0.27.12; range >= 0; default 0
---@field dim? integer channels in multiples of which the levels are counted, even; range >= 4; default 64
---@field dim_mults? integer[] channels of each level, in multiples of dim; default {1, 2, 4, 8}
---@field divide_values? boolean linear attention divides values by the number of pixels, as from 0.26.4 to 1.7.3; default false
---@field downsample? "unshuffle"|"conv" 2x2 pixels and a product, or a convolution of 4x4 as before 0.32; default "unshuffle"
---@field dropout? number probability that an element inside of a block is set to 0 in training; range [0, 1); default 0
---@field full_attn? boolean[] whether each level has softmax attention; others have linear attention; default true for the last level alone
---@field init_dim? integer channels of the first convolution; range >= 1; default dim
---@field learned_sinusoidal_cond? boolean sines and cosines of time have trained frequencies; default false
---@field learned_sinusoidal_dim? integer number of those sines and cosines, even; range >= 2; default 16
---@field norm? "rms"|"group" norm of the residual blocks: "group" before 2.0; default "rms"
---@field num_mem_kv? integer learned keys and values of each attention; range >= 0; default 4
---@field outputs? integer 2 also predicts a variance: the result has twice the channels; range [1, 2]; default 1
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field resnet_block_groups? integer groups of the norms, if norm = "group"; range >= 1; default 8
---@field self_condition? boolean the network is conditioned on its own x0, option x0 of its call; zeros if absent; default false
---@field sinusoidal_pos_emb_theta? number longest period of time over 2 pi; range > 0; default 10000
---@field standard_conv? boolean convolutions of the blocks have standardised weights, as from 0.27.3 to 1.7.1; default false
---@field time_offset? number subtracted from t: 1 for timesteps from 0; 0 for log SNR and noise levels; default 1

---@class (exact) diffusion.metric_energy_options
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field permutations? integer permutations of the labels, for p; range >= 0; default 200
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1

---@class (exact) diffusion.metric_fashion_options
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field over? diffusion.mpi deals the images out over the ranks of diffusion.mpi

---@class (exact) diffusion.metric_fashion_features_options
---@field over? diffusion.mpi deals the images out over the ranks of diffusion.mpi

---@class (exact) diffusion.metric_fashion_network_options
---@field trained? boolean parameters as examples/08_features.lua trained them; false: first values; default true

---@class (exact) diffusion.metric_frechet_options
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false

---@class (exact) diffusion.metric_kid_options
---@field block? integer pairs within blocks of so many samples only, as is usual (1,000); the interval is from their spread; range >= 4
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field permutations? integer permutations of the labels, for p; not with blocks; range >= 0; default 0
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1

---@class (exact) diffusion.metric_memorisation_options
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field ratio? number a sample is alone if its nearest is at most this times as far as its second; range (0, 1]; default 0.33333333333333
---@field share? number share of the fresh data that is nearer to the training set than `distance`; range (0, 1); default 0.01

---@class (exact) diffusion.metric_mmd_options
---@field bandwidth? number|number[] h, or a list of several; default median distance between samples of both sets
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field permutations? integer permutations of the labels, for p; range >= 0; default 200
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1

---@class (exact) diffusion.metric_mode_coverage_options
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field least? integer samples that make a mode covered; range >= 1; default 1
---@field std? number standard deviation of modes given as centres; range > 0; default that of the oracle
---@field weights? number[]|diffusion.tensor weights of modes given as centres; default equal
---@field within? number deviations within which a sample is near a mode; range > 0; default 3

---@class (exact) diffusion.metric_precision_recall_options
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field k? integer a ball reaches to the k-th neighbour; range >= 1; default 3

---@class (exact) diffusion.metric_sliced_wasserstein_options
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field p? number power of the distance; range [1, 8]; default 1
---@field permutations? integer permutations of the labels, for p; with 0 the interval holds only for distributions that differ; range >= 0; default 39
---@field projections? integer number of directions; range >= 1; default 100
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1

---@class (exact) diffusion.metric_two_sample_options
---@field hidden? integer units of each of the classifier's two layers; range >= 1; default 64
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1
---@field steps? integer training steps of 128 samples; range >= 1; default 400

---@class (exact) diffusion.metric_wasserstein1_options
---@field interval? boolean a second result: the 95 % interval, and which way the value errs; default false
---@field permutations? integer permutations of the labels, for p; with 0 the interval holds only for distributions that differ; range >= 0; default 99
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1

---@class (exact) diffusion.mlp_options
---@field classes? integer number of classes; 0 makes an unconditional network; range >= 0; default 0
---@field depth? integer number of residual blocks; range >= 1; default 4
---@field dim? integer dimensions of a point; range >= 1; default 2
---@field hidden? integer width of the blocks, even; range >= 2; default 128
---@field outputs? integer 2 also predicts a variance: the result has twice the channels; range [1, 2]; default 1
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field self_condition? boolean the network is conditioned on its own x0, option x0 of its call; zeros if absent; default false

---@class (exact) diffusion.model_call_options
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field x0? diffusion.tensor its last predicted x0, for a network with self_condition; default zeros

---@class (exact) diffusion.model_load_options
---@field copy? boolean reads into memory instead of mapping the file; default false

---@class (exact) diffusion.model_save_options
---@field process? diffusion.process the process that is saved with it
---@field weights? diffusion.model|diffusion.ema an average whose values are saved; default the model's

---@class (exact) diffusion.net_activation_options
---@field act? "none"|"silu"|"relu"|"gelu"|"mish"|"tanh" its name; default "silu"
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_add_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_attend_options
---@field heads? integer number of heads, which divides the width; range >= 1; default 1
---@field own? boolean the last keys are those of the queries' own tokens, for which the mask has no place; default false
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_attention_options
---@field bias? boolean the last product has a bias; default true
---@field causal? boolean token i attends to tokens 1 .. i; default false
---@field context? integer width of the context that keys and values are computed from; range >= 1; default width of the context
---@field fused? boolean q, k and v have one weight; default true without a context
---@field heads? integer number of heads, which divides the width; range >= 1; default 1
---@field init? "usual"|"zero" "usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0; default "usual"
---@field inner? integer width of q, k and v, which the heads divide; range >= 1; default width of the input
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field qkv_bias? boolean q, k and v have a bias; default true
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_attention_block_options
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field groups? integer groups of channels of the norm; range >= 1; default largest divisor <= 32 of the channels that leaves 4 each
---@field heads? integer number of heads, which divides the width; range >= 1; default 1
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_attention_pool_options
---@field heads? integer number of heads, which divides the width; range >= 1; default 1
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_avg_pool_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field times? integer divides height and width; range [1, 64]; default 2

---@class (exact) diffusion.net_block_options
---@field name? string the block's name in print(model); default "block"
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field text? string its description in print(model); default ""

---@class (exact) diffusion.net_cat_options
---@field fill? boolean an absent second value counts as zeros of the first's shape; default false
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_chunk_options
---@field at? integer which piece, from 1; range >= 1; default 1
---@field pieces? integer their number; range >= 1; default 2
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_conv_options
---@field out integer channels or width of the result; range >= 1
---@field bias? boolean adds a vector of `out` numbers; default true
---@field init? "usual"|"zero" "usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0; default "usual"
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field kernel? integer height and width of the kernel; range >= 1; default 3
---@field pad? integer|integer[] zeros around the input: one number or {top, bottom, left, right}; range >= 0; default kernel // 2
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field standard? boolean the weights of each output have mean 0 and variance 1 (Qiao et al. 2019); default false
---@field stride? integer step between two places of the kernel; range >= 1; default 1

---@class (exact) diffusion.net_downsample_options
---@field out integer channels or width of the result; range >= 1
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field pad? integer|integer[] zeros around the input: one number or {top, bottom, left, right}; DDPM has {0, 1, 0, 1}; range >= 0; default 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_dropout_options
---@field dropout? number probability that an element is set to 0 in training; range [0, 1); default 0.5
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_embedding_options
---@field inp integer rows of the table; range >= 1
---@field out integer channels or width of the result; range >= 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field within? number first values are uniform within it; 0: standard normal; range >= 0; default 0

---@class (exact) diffusion.net_enlarge_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field times? integer factor of height and width; range [1, 64]; default 2

---@class (exact) diffusion.net_fir_options
---@field after? integer zeros below and right of it; range >= -1048576; default 0
---@field before? integer zeros above and left of the enlarged image; below 0: so many are cut off; range >= -1048576; default 0
---@field down? integer every so many sums are taken; range [1, 64]; default 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field reflect? boolean mirrored pixels instead of these zeros; default false
---@field taps? integer length of the filter; range [1, 8]; default 4
---@field up? integer zeros are put between pixels, this many less one; the mean of the image stays; range [1, 64]; default 1

---@class (exact) diffusion.net_flatten_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_fourier_options
---@field width integer width of the result, even; range >= 2
---@field log? boolean takes ln t instead of t; default false
---@field offset? number subtracted from t first; default 0
---@field order? "cos_sin"|"sin_cos" which half comes first; default "sin_cos"
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field scale? number standard deviation of the frequencies; range > 0; default 16

---@class (exact) diffusion.net_gate_options
---@field at? integer which piece of the modulation, from 1; range >= 1; default 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_geglu_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_gelu_options
---@field by? "erf"|"tanh" "erf" is exact, "tanh" the approximation of GPT-2; default "erf"
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_group_norm_options
---@field act? "none"|"silu"|"relu"|"gelu"|"mish"|"tanh" activation after the norm; default "none"
---@field affine? boolean has weight and bias; default true
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field groups? integer groups of channels of the norm; range >= 1; default largest divisor <= 32 of the channels that leaves 4 each
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_join_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_labels_options
---@field classes integer number of classes; range >= 1
---@field dropout? number probability that a class is forgotten in training; range [0, 1); default 0
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_layer_norm_options
---@field affine? boolean has weight and bias; default true
---@field bias? boolean adds a vector of `inp` numbers, if affine; default true
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_learned_waves_options
---@field width integer width of the waves, even; range >= 2
---@field offset? number subtracted from t first; default 0
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_linear_options
---@field out integer channels or width of the result; range >= 1
---@field bias? boolean adds a vector of `out` numbers; default true
---@field init? "usual"|"zero" "usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0; default "usual"
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_linear_attention_options
---@field inner integer width of q, k and v, which the heads divide; range >= 1
---@field heads? integer number of heads, which divides the width; range >= 1; default 1
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field memory? integer number of learned keys and values; range >= 0; default 0
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field spread? boolean values are divided by the number of tokens; default false

---@class (exact) diffusion.net_memory_attention_options
---@field inner integer width of q, k and v, which the heads divide; range >= 1
---@field cosine? number factor of the scores of q and k divided by their lengths over the tokens; 0: of q and k as usual; range >= 0; default 0
---@field heads? integer number of heads, which divides the width; range >= 1; default 1
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field memory? integer number of learned keys and values; range >= 0; default 0
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_modulate_options
---@field at? integer which piece of the modulation, from 1; range >= 1; default 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_mul_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_norm_conv_options
---@field out integer channels or width of the result; range >= 1
---@field act? "none"|"silu"|"relu"|"gelu"|"mish"|"tanh" activation after the norm; default "silu"
---@field affine? boolean has weight and bias; default true
---@field bias? boolean adds a vector of `out` numbers; default true
---@field dropout? number probability that an element is set to 0 in training; range [0, 1); default 0
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field groups? integer groups of channels of the norm; range >= 1; default largest divisor <= 32 of the channels that leaves 4 each
---@field init? "usual"|"zero" "usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0; default "usual"
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field kernel? integer height and width of the kernel; range >= 1; default 3
---@field pad? integer|integer[] zeros around the input: one number or {top, bottom, left, right}; range >= 0; default kernel // 2
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field stride? integer step between two places of the kernel; range >= 1; default 1

---@class (exact) diffusion.net_one_hot_options
---@field classes integer number of classes; range >= 1
---@field factor? number the number in the place of the class; default 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_over_time_options
---@field offset? number subtracted from t first; default 0
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_patchify_options
---@field patch integer height and width of a patch; range >= 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_per_token_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_pixels_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_places_options
---@field base? integer the places of n rows or columns are scaled by base / n; 0: they are not scaled; range >= 0; default 0
---@field max_period? number the longest period over 2 pi; range > 0; default 10000
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_positions_options
---@field rows integer rows of the table: tokens at most; range >= 1
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field within? number first values are uniform within it; 0: standard normal; range >= 0; default 0

---@class (exact) diffusion.net_quick_gelu_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_res_block_options
---@field out integer channels or width of the result; range >= 1
---@field dropout? number probability that an element is set to 0 in training; range [0, 1); default 0
---@field embed? integer width of the embedding that the block adds; range >= 1; default width of the embedding
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field groups? integer groups of channels of the norm; range >= 1; default largest divisor <= 32 of the channels that leaves 4 each
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_rms_norm_options
---@field act? "none"|"silu"|"relu"|"gelu"|"mish"|"tanh" activation after the norm; default "none"
---@field epsilon? number added to the mean of squares; range > 0; default 1e-6
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_scale_options
---@field factor? number the factor; default 1
---@field plus? number added to all elements; default 0
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_silu_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_sinusoid_options
---@field width integer width of the result; range >= 1
---@field max_period? number the longest period over 2 pi; range > 0; default 10000
---@field offset? number subtracted from t first; default 0
---@field order? "cos_sin"|"sin_cos" which half comes first; default "cos_sin"
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field shift? number s of the frequencies max_period^(-k / (width/2 - s)): 0 in ADM, 1 in DDPM; default 0
---@field single? boolean frequencies and angles are rounded to f32, as in PyTorch; default false

---@class (exact) diffusion.net_time_embed_options
---@field inp integer width of the sinusoid; range >= 1
---@field out integer width of the result; range >= 1
---@field classes? integer number of classes; 0 for none; range >= 0; default 0
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_time_rows_options
---@field inp integer rows of the table; range >= 1
---@field out integer channels or width of the result; range >= 1
---@field offset? integer subtracted from t first; default 0
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_tokens_options
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_unflatten_options
---@field pieces integer their number n; range >= 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_unpatchify_options
---@field patch integer height and width of a patch; range >= 1
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false

---@class (exact) diffusion.net_upsample_options
---@field out integer channels or width of the result; range >= 1
---@field inp? integer channels or width of the input; range >= 1; default width of the input
---@field recompute? boolean recomputes the step in the backward pass instead of saving its values; default false
---@field times? integer factor of height and width; range >= 1; default 2

---@class (exact) diffusion.network_options
---@field build fun(net: diffusion.net, options: any): diffusion.value function (net, options) that adds the layers and returns the network's result
---@field inputs (string|table)[] names, or tables as {"context", shape = {"B", 4}, optional = true, whole = true}; x comes first
---@field adopt? table<string, diffusion.tensor> tensors by parameter name; they are used as they are, frozen, and not copied
---@field name? string the network's name in print(model); default "network"
---@field options? any the second argument of build

---@class (exact) diffusion.nn_attention_options
---@field bias? boolean the last product has a bias; default true
---@field causal? boolean token i attends to tokens 1 .. i; default false
---@field context? integer width of the context that keys and values are computed from; range >= 1; default width of the context
---@field fused? boolean q, k and v have one weight; default true without a context
---@field heads? integer number of heads, which divides the width; range >= 1; default 1
---@field init? "usual"|"zero" "usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0; default "usual"
---@field inner? integer width of q, k and v, which the heads divide; range >= 1; default width of the input
---@field qkv_bias? boolean q, k and v have a bias; default true

---@class (exact) diffusion.nn_conv_options
---@field bias? boolean adds a vector of `out` numbers; default true
---@field init? "usual"|"zero" "usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0; default "usual"
---@field kernel? integer height and width of the kernel; range >= 1; default 3
---@field pad? integer|integer[] zeros around the input: one number or {top, bottom, left, right}; range >= 0; default kernel // 2
---@field standard? boolean the weights of each output have mean 0 and variance 1 (Qiao et al. 2019); default false
---@field stride? integer step between two places of the kernel; range >= 1; default 1

---@class (exact) diffusion.nn_downsample_options
---@field pad? integer|integer[] zeros around the input: one number or {top, bottom, left, right}; DDPM has {0, 1, 0, 1}; range >= 0; default 1

---@class (exact) diffusion.nn_embedding_options
---@field within? number first values are uniform within it; 0: standard normal; range >= 0; default 0

---@class (exact) diffusion.nn_group_norm_options
---@field act? "none"|"silu"|"relu"|"gelu"|"mish"|"tanh" activation after the norm; default "none"
---@field affine? boolean has weight and bias; default true
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field groups? integer groups of channels of the norm; range >= 1; default largest divisor <= 32 of the channels that leaves 4 each

---@class (exact) diffusion.nn_layer_norm_options
---@field affine? boolean has weight and bias; default true
---@field bias? boolean adds a vector of `inp` numbers, if affine; default true
---@field epsilon? number added to the variance; range > 0; default 1e-5

---@class (exact) diffusion.nn_linear_options
---@field bias? boolean adds a vector of `out` numbers; default true
---@field init? "usual"|"zero" "usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0; default "usual"

---@class (exact) diffusion.nn_lora_options
---@field alpha? number|fun(path: string): number B A is multiplied by alpha / rank; a number, or a function of the layer's path; range > 0; default the rank
---@field dropout? number probability that an element of x is set to 0 before A, in training; range [0, 1); default 0
---@field init? "usual"|"gaussian" first values of A: "usual" as those of its layer, "gaussian" of standard deviation 1 / rank; B is 0; default "usual"
---@field load? string file of adapters, or a folder with pytorch_lora_weights.safetensors
---@field on? string|string[] Lua pattern of the paths of linear layers and convolutions, here or in diffusers, or a list of them; default all
---@field part? string part of a pipeline of which `load` takes the adapters: unet, text_encoder, text_encoder_2; default by the network
---@field rank? integer|fun(path: string): integer inner width of each adapter, or a function of the layer's path; range >= 1; default 4
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.nn_model_options
---@field adopt? table<string, diffusion.tensor> tensors by parameter name; they are used as they are, frozen, and not copied

---@class (exact) diffusion.nn_norm_conv_options
---@field act? "none"|"silu"|"relu"|"gelu"|"mish"|"tanh" activation after the norm; default "silu"
---@field affine? boolean has weight and bias; default true
---@field bias? boolean adds a vector of `out` numbers; default true
---@field dropout? number probability that an element is set to 0 in training; range [0, 1); default 0
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field groups? integer groups of channels of the norm; range >= 1; default largest divisor <= 32 of the channels that leaves 4 each
---@field init? "usual"|"zero" "usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0; default "usual"
---@field kernel? integer height and width of the kernel; range >= 1; default 3
---@field pad? integer|integer[] zeros around the input: one number or {top, bottom, left, right}; range >= 0; default kernel // 2
---@field stride? integer step between two places of the kernel; range >= 1; default 1

---@class (exact) diffusion.nn_res_block_options
---@field dropout? number probability that an element is set to 0 in training; range [0, 1); default 0
---@field embed? integer width of the embedding that the block adds; range >= 1; default width of the embedding
---@field epsilon? number added to the variance; range > 0; default 1e-5
---@field groups? integer groups of channels of the norm; range >= 1; default largest divisor <= 32 of the channels that leaves 4 each

---@class (exact) diffusion.nn_sinusoid_options
---@field max_period? number the longest period over 2 pi; range > 0; default 10000
---@field offset? number subtracted from t first; default 0
---@field order? "cos_sin"|"sin_cos" which half comes first; default "cos_sin"
---@field shift? number s of the frequencies max_period^(-k / (width/2 - s)): 0 in ADM, 1 in DDPM; default 0
---@field single? boolean frequencies and angles are rounded to f32, as in PyTorch; default false

---@class (exact) diffusion.nn_time_embed_options
---@field classes? integer number of classes; 0 for none; range >= 0; default 0

---@class (exact) diffusion.nn_upsample_options
---@field times? integer factor of height and width; range >= 1; default 2

---@class (exact) diffusion.objective_options
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field decoder? "erf"|"tanh"|"gaussian" last term of the bound: levels by erf, or by its approximation tanh as in published figures; or a density; default "erf"
---@field drop_class? number share of classes that are hidden, for guidance; range [0, 1]; default 0
---@field error? "huber"|"l1"|"mse"|"pseudo_huber"|string|table measure of the error: a name or {name, option = ...}; default "mse"
---@field offset_noise? number standard deviation of noise that a whole channel shares; range >= 0; default 0
---@field precondition? "edm"|"vp"|"ve"|"iddpm" the model is a raw network, scaled by d.precondition
---@field self_condition? number share of batches in which the model is conditioned on its own x0; range [0, 1]; default 0
---@field times? "importance"|"log_normal"|"logit_normal"|"mode"|"stratified"|"uniform"|string|table|function distribution of t: a name, {name, option = ...}, or a function (B) -> t {B}; default "uniform"
---@field vlb? number weight of the variational bound (Nichol & Dhariwal 2021, eq. 16), in nats a dimension; range >= 0; default 0.001 for a learned variance, else 0
---@field weighting? "edm"|"min_snr"|"p2"|"sigmoid"|"simple"|"snr"|"soft_min_snr"|"truncated_snr"|"uniform"|"vlb"|string|table|function weight on the squared error of x0: a name, {name, option = ...}, or a function of SNR; default "simple"

---@class (exact) diffusion.objective_call_options
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field eps? diffusion.tensor the noise, as x0: that of d.reflow's pairs; default drawn
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}

---@class (exact) diffusion.objective_floor_options
---@field data? diffusion.tensor|diffusion.set samples {n, ...}: the loss of the best affine network, by their covariance
---@field oracle? diffusion.oracle a known distribution: the loss of its best denoiser
---@field samples? integer number of samples of the oracle; range >= 2; default 20000
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1
---@field std? number|number[]|diffusion.tensor standard deviations of Gaussian data along its axes: exact

---@class (exact) diffusion.oracle_box_options
---@field high number|number[]|diffusion.tensor upper ends: D numbers, or one for all dimensions
---@field low number|number[]|diffusion.tensor lower ends: D numbers, or one for all dimensions

---@class (exact) diffusion.oracle_checkerboard_options
---@field cells? integer cells of a side; range >= 1; default 4
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0
---@field size? number side of the board; with four cells the default makes the variance 2 over both coordinates; range > 0; default 2 sqrt(3 (1 - noise^2))

---@class (exact) diffusion.oracle_curve_options
---@field points function|function[] function from u {n} to points {n,D}, or a list of such pieces, equally likely
---@field std number standard deviation of the noise; range > 0
---@field power? number p if the points are smooth in u^(1/p); range > 0; default 1

---@class (exact) diffusion.oracle_eight_gaussians_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0.07
---@field radius? number distance of the means from 0; range > 0; default sqrt(2 (1 - noise^2))
---@field std? number standard deviation of each Gaussian; range > 0; default noise

---@class (exact) diffusion.oracle_empirical_options
---@field std? number each point is a Gaussian of this standard deviation; range > 0

---@class (exact) diffusion.oracle_entropy_options
---@field samples? integer number of samples, if there is no formula; range >= 2; default 20000
---@field seed? integer seed of the measure's random numbers; fixed, whatever d.manual_seed says; default 1

---@class (exact) diffusion.oracle_gaussian_options
---@field cov? number[][]|diffusion.tensor covariance {D,D}; default std instead
---@field mean? number|number[]|diffusion.tensor the mean: D numbers, or one number for all dimensions; default 0
---@field std? number|number[]|diffusion.tensor standard deviations: D numbers, or one number for all dimensions; default cov instead

---@class (exact) diffusion.oracle_histogram_options
---@field weights number[]|diffusion.tensor K numbers of 0 or more
---@field edges? number[]|diffusion.tensor K + 1 ascending numbers; default low and high instead
---@field high? number upper end of the last of K bins of one width; default edges instead
---@field low? number lower end of the first of K bins of one width; default edges instead

---@class (exact) diffusion.oracle_log_prob_options
---@field a? number|diffusion.tensor signal of the level, one number or {B}; default 1
---@field s? number|diffusion.tensor noise of the level, one number or {B}; default 0

---@class (exact) diffusion.oracle_mixture_options
---@field means number[][]|diffusion.tensor means {K,D}
---@field covs? number[][][]|diffusion.tensor covariances {K,D,D}; default std instead
---@field std? number|number[]|diffusion.tensor standard deviations: K numbers, or one number for all components; default covs instead
---@field weights? number[]|diffusion.tensor K weights; default equal

---@class (exact) diffusion.oracle_moons_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0.08

---@class (exact) diffusion.oracle_sample_options
---@field generator? diffusion.generator source of the random numbers, in place of a seed
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.oracle_spiral_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0.03

---@class (exact) diffusion.oracle_swiss_roll_options
---@field noise? number standard deviation of the noise; the set's is 1; range [0, 1); default 0.04

---@class (exact) diffusion.pipe_options
---@field class? integer|string|(integer|string)[]|diffusion.tensor the class of all images or of each, from 1, or its name; 0 is no class
---@field eta? number factor of the noise of DDIM and TCD; range >= 0; default that of the scheduler
---@field generator? diffusion.generator|diffusion.generator[] draws images in PyTorch's order, in place of a seed; a list has one for each image
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default that of the scheduler
---@field guidance? number|fun(model: function): function scale of classifier-free guidance, or a function that makes a denoiser of the model; default that of the pipeline
---@field height? integer height of an image in pixels; range >= 1; default that of the network
---@field init? diffusion.tensor images {n, H, W, C} in [-1, 1] to start from
---@field n? integer number of images; range >= 1; default one, or one for each class or picture
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field on_step? fun(step: table) called with each step after it
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a sampler of this library in place of the scheduler's; default that of the scheduler
---@field scheduler? string|table another scheduler: a class of diffusers, or a config; default that of the pipe
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default those of the pipeline
---@field strength? number how much of the way to noise init goes; range [0, 1]; default 1
---@field tile? boolean|table the autoencoder works in tiles, with less memory: true, or {size =, overlap =}; default false
---@field width? integer width of an image in pixels; range >= 1; default that of the network

---@class (exact) diffusion.pipe_add_lora_options
---@field alpha? number|fun(path: string): number B A is multiplied by alpha / rank; a number, or a function of the layer's path; range > 0; default the rank
---@field dropout? number probability that an element of x is set to 0 before A, in training; range [0, 1); default 0
---@field init? "usual"|"gaussian" first values of A: "usual" as those of its layer, "gaussian" of standard deviation 1 / rank; B is 0; default "usual"
---@field name? string a name for pipe:lora; default "lora"
---@field on? string|string[] Lua pattern of the paths of the denoiser's layers, or a list of them; "." is all; default q, k, v and out of attention
---@field rank? integer|fun(path: string): integer inner width of each adapter, or a function of the layer's path; range >= 1; default 4
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field text? boolean adapters of the text encoders too; default false
---@field text_on? string|string[] the same for the text encoders; default q, k, v and out of attention

---@class (exact) diffusion.pipe_decode_options
---@field tile? boolean|table the autoencoder works in tiles, with less memory: true, or {size =, overlap =}; default false

---@class (exact) diffusion.pipe_encode_prompt_options
---@field prompt string|string[]|table a text, a list of texts, or the first result of pipe:encode_prompt
---@field clip_skip? integer last layers of the text encoder that are left out; range >= 0; default 0
---@field negative? string|string[]|table text of the unconditional call, for all prompts or each; or the second result of encode_prompt; default the empty text
---@field negative2? string|string[]|table text of the unconditional call for the second encoder; default negative
---@field prompt2? string|string[]|table the text for the second encoder; default prompt

---@class (exact) diffusion.pipe_encode_set_options
---@field clip_skip? integer last layers of the text encoder that are left out; range >= 0; default 0
---@field dtype? "f32"|"f16"|"bf16" type in which they are kept; default "f32"
---@field path? string the file that keeps them; if it is there, it is read
---@field size? integer pictures or texts that are encoded at once; range >= 1; default 4
---@field texts? boolean false keeps captions as texts, to be encoded at each step, as when the text encoder is trained; default true
---@field tile? boolean|table the autoencoder works in tiles; default false

---@class (exact) diffusion.pipe_image2image_options
---@field prompt string|string[]|table a text, a list of texts, or the first result of pipe:encode_prompt
---@field x0 diffusion.tensor images {n, H, W, 3} in [-1, 1]: one for all, or one for each prompt or image
---@field clip_skip? integer last layers of the text encoder that are left out; range >= 0; default 0
---@field eta? number factor of the noise of DDIM and TCD; range >= 0; default that of the scheduler
---@field generator? diffusion.generator|diffusion.generator[] draws images in PyTorch's order, in place of a seed; a list has one for each image
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default that of the scheduler
---@field guidance? number|fun(model: function, without: table): function scale of classifier-free guidance, none up to 1; or a function that makes a denoiser of the model, as d.guidance.cfg_pp(model, {scale = 0.6, without = without}); default that of the pipeline
---@field n? integer number of images for each prompt; range >= 1; default 1
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field negative? string|string[]|table text of the unconditional call, for all prompts or each; or the second result of encode_prompt; default the empty text
---@field negative2? string|string[]|table text of the unconditional call for the second encoder; default negative
---@field on_step? fun(step: table) called with each step after it
---@field prompt2? string|string[]|table the text for the second encoder; default prompt
---@field rescale? number share of the deviation that guidance restores; range [0, 1]; default 0
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a sampler of this library in place of the scheduler's; default that of the scheduler
---@field scheduler? string|table another scheduler: a class of diffusers, or a config; default that of the pipe
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field sizes? diffusion.pipe_sizes_options sizes that SDXL's network takes; default the size drawn
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default those of the pipeline
---@field strength? number how much of the way to noise x0 goes; range [0, 1]; default 0.8
---@field tile? boolean|table the autoencoder works in tiles, with less memory: true, or {size =, overlap =}; default false

---@class (exact) diffusion.pipe_inpaint_options
---@field keep diffusion.tensor 1 where x0 stays, 0 where it is painted: {H, W, 1}, or of x0's shape
---@field prompt string|string[]|table a text, a list of texts, or the first result of pipe:encode_prompt
---@field x0 diffusion.tensor images {n, H, W, 3} in [-1, 1]: one for all, or one for each prompt or image
---@field clip_skip? integer last layers of the text encoder that are left out; range >= 0; default 0
---@field eta? number factor of the noise of DDIM and TCD; range >= 0; default that of the scheduler
---@field generator? diffusion.generator|diffusion.generator[] draws images in PyTorch's order, in place of a seed; a list has one for each image
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default that of the scheduler
---@field guidance? number|fun(model: function, without: table): function scale of classifier-free guidance, none up to 1; or a function that makes a denoiser of the model, as d.guidance.cfg_pp(model, {scale = 0.6, without = without}); default that of the pipeline
---@field how? "blend"|"repaint"|table for networks without a mask: "blend" each step as diffusers does, or "repaint", also as {"repaint", jump = 10, resample = 10}; default by the network
---@field init_latents? diffusion.tensor normals {n, h, w, C} in place of drawn ones; default drawn
---@field n? integer number of images for each prompt; range >= 1; default 1
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field negative? string|string[]|table text of the unconditional call, for all prompts or each; or the second result of encode_prompt; default the empty text
---@field negative2? string|string[]|table text of the unconditional call for the second encoder; default negative
---@field on_step? fun(step: table) called with each step after it
---@field prompt2? string|string[]|table the text for the second encoder; default prompt
---@field rescale? number share of the deviation that guidance restores; range [0, 1]; default 0
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a sampler of this library in place of the scheduler's; default that of the scheduler
---@field scheduler? string|table another scheduler: a class of diffusers, or a config; default that of the pipe
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field sizes? diffusion.pipe_sizes_options sizes that SDXL's network takes; default the size drawn
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default those of the pipeline
---@field strength? number how much of the way to noise x0 goes; range [0, 1]; default 1
---@field tile? boolean|table the autoencoder works in tiles, with less memory: true, or {size =, overlap =}; default false

---@class (exact) diffusion.pipe_inputs_options
---@field clip_skip? integer last layers of the text encoder that are left out; range >= 0; default 0
---@field drop? number share of texts that are left out, for guidance; range [0, 1]; default 0

---@class (exact) diffusion.pipe_load_embedding_options
---@field word? string the word that stands for the vectors in a prompt; default that of the file

---@class (exact) diffusion.pipe_load_lora_options
---@field name? string a name for pipe:lora; default that of the file
---@field parts? ("unet"|"text"|"text2")[] the networks whose adapters are taken; default all of the file
---@field weight? number|table<string, number> factor of their effect, or {unet =, text =, text2 =}; default 1

---@class (exact) diffusion.pipe_lora_save_options
---@field form? "diffusers"|"kohya" names in the file: those of diffusers and peft, or of kohya's scripts; default "diffusers"
---@field weights? table<string, diffusion.ema> averages whose values are saved, {unet =, text =, text2 =}; default the adapters'

---@class (exact) diffusion.pipe_sizes_options
---@field crop? number[] {top, left} of the part that was cropped; {0, 0} if not given
---@field negative_crop? number[] crop of the unconditional call
---@field negative_original? number[] original of the unconditional call
---@field negative_score? number score of the unconditional call; default 2.5
---@field negative_target? number[] target of the unconditional call
---@field original? number[] {height, width} of the picture before it was cropped; the size drawn if not given
---@field score? number aesthetic score, for networks that take it in place of target; default 6
---@field target? number[] {height, width} to which it was cropped; the size drawn if not given

---@class (exact) diffusion.pipe_text2image_options
---@field prompt string|string[]|table a text, a list of texts, or the first result of pipe:encode_prompt
---@field clip_skip? integer last layers of the text encoder that are left out; range >= 0; default 0
---@field eta? number factor of the noise of DDIM and TCD; range >= 0; default that of the scheduler
---@field generator? diffusion.generator|diffusion.generator[] draws images in PyTorch's order, in place of a seed; a list has one for each image
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default that of the scheduler
---@field guidance? number|fun(model: function, without: table): function scale of classifier-free guidance, none up to 1; or a function that makes a denoiser of the model, as d.guidance.cfg_pp(model, {scale = 0.6, without = without}); default that of the pipeline
---@field height? integer height of an image in pixels; range >= 1; default that of the network
---@field init_latents? diffusion.tensor normals {n, h, w, C} in place of drawn ones; default drawn
---@field n? integer number of images for each prompt; range >= 1; default 1
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field negative? string|string[]|table text of the unconditional call, for all prompts or each; or the second result of encode_prompt; default the empty text
---@field negative2? string|string[]|table text of the unconditional call for the second encoder; default negative
---@field on_step? fun(step: table) called with each step after it
---@field prompt2? string|string[]|table the text for the second encoder; default prompt
---@field rescale? number share of the deviation that guidance restores; range [0, 1]; default 0
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a sampler of this library in place of the scheduler's; default that of the scheduler
---@field scheduler? string|table another scheduler: a class of diffusers, or a config; default that of the pipe
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field sizes? diffusion.pipe_sizes_options sizes that SDXL's network takes; default the size drawn
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default those of the pipeline
---@field tile? boolean|table the autoencoder works in tiles, with less memory: true, or {size =, overlap =}; default false
---@field width? integer width of an image in pixels; range >= 1; default that of the network

---@class (exact) diffusion.plot_lines_options
---@field file? string a file that ends in .png or .svg; default a window, or the terminal
---@field height? integer height in pixels; range [100, 10000]; default 600
---@field logy? boolean the vertical axis is logarithmic; default false
---@field title? string the picture's title
---@field width? integer width in pixels; range [100, 10000]; default 800
---@field xlabel? string name of the horizontal axis
---@field ylabel? string name of the vertical axis

---@class (exact) diffusion.plot_order_options
---@field file? string a file that ends in .png or .svg; default a window, or the terminal
---@field guides? number[] orders of the dashed lines; default {1, 2, 3}
---@field height? integer height in pixels; range [100, 10000]; default 600
---@field title? string the picture's title
---@field width? integer width in pixels; range [100, 10000]; default 800
---@field x? "evaluations"|"steps" quantity of the horizontal axis; default "evaluations"
---@field xlabel? string name of the horizontal axis; default by x
---@field ylabel? string name of the vertical axis; default "error"

---@class (exact) diffusion.plot_points_options
---@field file? string a file that ends in .png or .svg; default a window, or the terminal
---@field height? integer height in pixels; range [100, 10000]; default 600
---@field title? string the picture's title
---@field width? integer width in pixels; range [100, 10000]; default 800

---@class (exact) diffusion.plot_schedules_options
---@field file? string a file that ends in .png or .svg; default a window, or the terminal
---@field height? integer height in pixels; range [100, 10000]; default 600
---@field logy? boolean the vertical axis is logarithmic; default false
---@field title? string the picture's title
---@field what? "alpha_bar"|"beta"|"log_snr"|"snr"|"signal"|"noise"|"sigma" the quantity; default "log_snr"
---@field width? integer width in pixels; range [100, 10000]; default 800
---@field xlabel? string name of the horizontal axis; default "u = t/T"
---@field ylabel? string name of the vertical axis; default what

---@class (exact) diffusion.plot_trajectories_options
---@field count? integer the first samples that are drawn; range >= 1; default 50
---@field data? diffusion.tensor points {n,2} that are drawn behind curves in the plane
---@field file? string a file that ends in .png or .svg; default a window, or the terminal
---@field height? integer height in pixels; range [100, 10000]; default 600
---@field title? string the picture's title
---@field width? integer width in pixels; range [100, 10000]; default 800
---@field xlabel? string name of the horizontal axis; default "t" or "step"; none in the plane
---@field ylabel? string name of the vertical axis; default "x"; none in the plane

---@class (exact) diffusion.posthoc_ema_options
---@field sigma_rel number standard deviation of the average's profile over 0..1; range (0, 0.28867513459481)
---@field updates? integer number of updates after which the average is taken; range >= 1; default those of the last snapshot

---@class (exact) diffusion.precondition_options
---@field kind? "edm"|"vp"|"ve"|"iddpm" the row of the paper's table 1; default "edm"

---@class (exact) diffusion.process_options
---@field schedule diffusion.schedule the noise schedule
---@field clip? number|"dynamic"|{ratio: number, most: number} range [-clip, clip] of the predicted x0, "dynamic", or the quantile and the cap of a dynamic threshold; range > 0
---@field predict? "eps"|"x0"|"v"|"score"|"flow"|"edm" the prediction target; "flow" is eps - x0; default "eps"
---@field sigma_data? number standard deviation of the data, for edm; range > 0; default 0.5
---@field variance? "fixed_small"|"fixed_large"|"learned"|"learned_range"|"learned_direct"|"optimal"|fun(t: number, s: number): number variance of the reverse step: the posterior's, q's, learned, or optimal; default "fixed_small"
---@field x0_error? number[][] rows {t, mean squared error of x0} for "optimal", as d.estimate_variance measures them

---@class (exact) diffusion.process_chain_options
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.q_sample_options
---@field seed? integer seed of the noise; default follows d.manual_seed
---@field from? number|number[]|diffusion.tensor level s of x; range >= 0; default 0

---@class (exact) diffusion.q_step_options
---@field seed? integer seed of the noise; each t has its own; default follows d.manual_seed

---@class (exact) diffusion.reflow_options
---@field shape integer[] {n, ...}, the number of pairs first
---@field class? integer|integer[]|diffusion.tensor the class of all pairs or of each, from 1
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default "trailing"
---@field guidance? number|fun(model: function): function scale of classifier-free guidance, or a function that makes a denoiser of the model; default 1
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a sampler without noise of its own, as of d.sample; default "unipc"
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field self_condition? boolean the model is conditioned on its last x0; default false
---@field size? integer samples that are drawn at a time; range >= 1; default 1000
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default 50, or T if less; T for annealed_langevin, ddpm and predictor_corrector

---@class (exact) diffusion.rms_norm_options
---@field epsilon? number added to the mean of squares; range > 0; default 1e-6

---@class (exact) diffusion.sample_options
---@field model diffusion.model|function the denoiser: a network, an average, or a function (xt, t, {class=})
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default "trailing"
---@field guidance? number|fun(model: function): function scale of classifier-free guidance, or a function that makes a denoiser of the model; default 1
---@field init? diffusion.tensor x at the first level; default noise of the first level
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field noise? "independent"|"brownian"|diffusion.generator|diffusion.generator[]|fun(x: any): diffusion.tensor draws of each step, increments of one Brownian path, a generator or one for each sample, or a function; default "independent"
---@field on_step? fun(step: table) called with each step after it
---@field over? diffusion.mpi deals the samples out over the ranks of diffusion.mpi
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function; default "unipc"
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field self_condition? boolean the model is conditioned on its last x0; default false
---@field shape? integer[] {n, ...}, the number of samples first; default that of init
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default 50, or T if less; T for annealed_langevin, ddpm and predictor_corrector

---@class (exact) diffusion.sampler_step_options
---@field mix? function sum of c x; default d.mix
---@field mix_noise? function the same plus noise; default by seed
---@field mix_path? function the same plus an increment of the noise's path; default by seed
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field seed? integer seed of the random numbers; default follows d.manual_seed

---@class (exact) diffusion.sampler_steps_options
---@field model diffusion.model|function the denoiser: a network, an average, or a function (xt, t, {class=})
---@field process diffusion.process the process: schedule, prediction target, variance and clip
---@field class? integer|integer[]|diffusion.tensor the class of all samples or of each, from 1; 0 is no class
---@field grid? string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times; default "trailing"
---@field guidance? number|fun(model: function): function scale of classifier-free guidance, or a function that makes a denoiser of the model; default 1
---@field init? diffusion.tensor x at the first level; default noise of the first level
---@field inputs? table<string, diffusion.tensor> tensors by the names of the network's inputs, one row for each sample: {context = c}
---@field nan? "error"|"keep" a sample that is not finite ends the run with an error, or is kept; default "error"
---@field noise? "independent"|"brownian"|diffusion.generator|diffusion.generator[]|fun(x: any): diffusion.tensor draws of each step, increments of one Brownian path, a generator or one for each sample, or a function; default "independent"
---@field on_step? fun(step: table) called with each step after it
---@field sampler? "annealed_langevin"|"consistency"|"ddim"|"ddim_inversion"|"ddpm"|"deis"|"diffusers-ddim-eps-of-unclipped-x0"|"diffusers-ddim-inverse-told-next-time"|"diffusers-ddim-previous-by-stride"|"diffusers-ddpm-noise-in-last-step"|"diffusers-ddpm-without-last-noise"|"diffusers-dpm-inverse"|"diffusers-dpm-sde"|"diffusers-dpmpp-2m-inverse-threshold-capped"|"diffusers-dpmpp-2m-sde-drawn-twice"|"diffusers-dpmpp-2m-threshold-capped"|"diffusers-dpmpp-3m-inverse"|"diffusers-dpmpp-3m-sde-wrong-sign"|"diffusers-dpmpp-singlestep-sde-wrong-sign"|"diffusers-euler-churn-after-model"|"diffusers-flow-euler-ancestral"|"diffusers-ipndm-start-without-x0"|"diffusers-kdpm2-ancestral-midpoints-told-apart"|"diffusers-lms-of-missing-slopes"|"diffusers-pndm-previous-by-stride"|"diffusers-repaint-one-noise-for-both-parts"|"diffusers-score-vp-equal-steps"|"dpm2"|"dpm2_ancestral"|"dpm_adaptive"|"dpm_solver"|"dpm_solver_multistep"|"dpm_solver_singlestep"|"dpmpp_2m"|"dpmpp_2m_inversion"|"dpmpp_2m_sde"|"dpmpp_2s"|"dpmpp_2s_ancestral"|"dpmpp_3m"|"dpmpp_3m_sde"|"dpmpp_3s"|"dpmpp_sde"|"dpmpp_singlestep"|"euler"|"euler_ancestral"|"euler_churn"|"flow_euler"|"flow_heun"|"flow_midpoint"|"heun"|"ipndm"|"lcm"|"lms"|"plms"|"predictor_corrector"|"rk45"|"sa_solver"|"tcd"|"unipc"|"unipc_eps"|string|function|table a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function; default "unipc"
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field self_condition? boolean the model is conditioned on its last x0; default false
---@field shape? integer[] {n, ...}, the number of samples first; default that of init
---@field steps? integer number of steps; rk45 and dpm_adaptive find their own; range >= 1; default 50, or T if less; T for annealed_langevin, ddpm and predictor_corrector

---@class (exact) diffusion.schedule_constant_options
---@field T? integer number of steps; range >= 1; default 1000
---@field beta? number beta of every step; range > 0; default 0.02
---@field rescale? boolean betas are for T = 1000 and are multiplied by 1000/T; default true

---@class (exact) diffusion.schedule_cosine_options
---@field T? integer number of steps; range >= 1; default 1000
---@field max_beta? number betas above it are cut, as the last one is; range (0, 1]; default 0.999
---@field s? number offset that keeps beta from vanishing near t = 0; range >= 0; default 0.008

---@class (exact) diffusion.schedule_cosine_log_snr_options
---@field T? integer number of steps; range >= 1; default 1000
---@field log_snr_max? number ln SNR at u = 0, before the shift; default 15
---@field log_snr_min? number ln SNR of the last level, before the shift; default -15
---@field shift? number added to ln SNR; default 0
---@field shift_high? number added to ln SNR at u = 0; default shift
---@field shift_low? number added to ln SNR at u = 1; default shift

---@class (exact) diffusion.schedule_edm_options
---@field T? integer number of steps; range >= 1; default 1000
---@field rho? number steps are equal in the rho-th root of sigma; range > 0; default 7
---@field sigma_max? number sigma of level T; range > 0; default 80
---@field sigma_min? number sigma of level 1; range > 0; default 0.002

---@class (exact) diffusion.schedule_exponential_options
---@field T? integer number of steps; range >= 1; default 1000
---@field rate? number alpha_bar is e^(-rate u); range > 0; default 12

---@class (exact) diffusion.schedule_flow_options
---@field T? integer number of steps; range >= 1; default 1000
---@field shift? number moves the path towards noise if above 1; range > 0; default 1
---@field sigma_min? number noise that is left at the data's end; range [0, 1); default 0

---@class (exact) diffusion.schedule_from_alpha_bar_options
---@field T? integer number of steps; a function needs it; range >= 1; default length of the list
---@field max_beta? number betas above it are cut; range (0, 1]; default 1
---@field name? string the schedule's name; default "alpha_bar"

---@class (exact) diffusion.schedule_from_beta_options
---@field T? integer number of steps; a function needs it; range >= 1; default length of the list
---@field max_beta? number betas above it are cut; range (0, 1]; default 1
---@field name? string the schedule's name; default "beta"

---@class (exact) diffusion.schedule_from_log_snr_options
---@field T? integer number of steps; a function needs it; range >= 1; default length of the list
---@field max_beta? number betas above it are cut; range (0, 1]; default 1
---@field name? string the schedule's name; default "log_snr"

---@class (exact) diffusion.schedule_from_sigma_options
---@field T? integer number of steps; a function needs it; range >= 1; default length of the list
---@field form? "ve"|"vp" "ve": x_t = x_0 + sigma eps; "vp": a^2 + s^2 = 1; default "ve"
---@field max_beta? number betas above it are cut; range (0, 1]; default 1
---@field name? string the schedule's name; default "sigma"

---@class (exact) diffusion.schedule_jsd_options
---@field T? integer number of steps; range >= 1; default 1000
---@field max_beta? number betas above it are cut; range (0, 1]; default 1

---@class (exact) diffusion.schedule_laplace_options
---@field T? integer number of steps; range >= 1; default 1000
---@field b? number scale of the Laplace distribution; range > 0; default 0.5
---@field max_beta? number betas above it are cut; range (0, 1]; default 1
---@field mu? number median of ln SNR; default 0

---@class (exact) diffusion.schedule_linear_options
---@field T? integer number of steps; range >= 1; default 1000
---@field beta_end? number beta of the last step; range > 0; default 0.02
---@field beta_start? number beta of the first step; range > 0; default 0.0001
---@field rescale? boolean betas are for T = 1000 and are multiplied by 1000/T; default true

---@class (exact) diffusion.schedule_scaled_linear_options
---@field T? integer number of steps; range >= 1; default 1000
---@field beta_end? number beta of the last step; range > 0; default 0.012
---@field beta_start? number beta of the first step; range > 0; default 0.00085
---@field rescale? boolean betas are for T = 1000 and are multiplied by 1000/T; default true

---@class (exact) diffusion.schedule_sigmoid_options
---@field T? integer number of steps; range >= 1; default 1000
---@field ["end"]? number end of the logistic curve, over tau; default 3
---@field max_beta? number betas above it are cut, as the last one is; range (0, 1]; default 0.999
---@field start? number start of the logistic curve, over tau; default -3
---@field tau? number divisor of both ends; range > 0; default 1

---@class (exact) diffusion.schedule_sigmoid_beta_options
---@field T? integer number of steps; range >= 1; default 1000
---@field beta_end? number beta of the last step; range > 0; default 0.02
---@field beta_start? number beta of the first step; range > 0; default 0.0001
---@field rescale? boolean betas are for T = 1000 and are multiplied by 1000/T; default true

---@class (exact) diffusion.schedule_sub_vp_options
---@field T? integer number of steps; range >= 1; default 1000
---@field beta_max? number beta(1); range > 0; default 20
---@field beta_min? number beta(0); range > 0; default 0.1

---@class (exact) diffusion.schedule_ve_options
---@field T? integer number of steps; range >= 1; default 1000
---@field sigma_max? number sigma of level T; range > 0; default 100
---@field sigma_min? number sigma of level 1; range > 0; default 0.02

---@class (exact) diffusion.schedule_vp_options
---@field T? integer number of steps; range >= 1; default 1000
---@field beta_max? number beta(1); range > 0; default 20
---@field beta_min? number beta(0); range > 0; default 0.1

---@class (exact) diffusion.schedule_warmup_options
---@field T? integer number of steps; range >= 1; default 1000
---@field beta_end? number beta of the last step; range > 0; default 0.02
---@field beta_start? number beta of the first step; range > 0; default 0.0001
---@field fraction? number share of the levels in which beta rises; range (0, 1]; default 0.1
---@field rescale? boolean betas are for T = 1000 and are multiplied by 1000/T; default true

---@class (exact) diffusion.set_batches_options
---@field size integer examples in a batch; range >= 1
---@field epochs? number passes over the set, in place of steps; range > 0; default 1
---@field flip? boolean mirrors each image left to right with probability 1/2; default false
---@field over? diffusion.mpi deals each batch out over the ranks of diffusion.mpi
---@field pieces? integer with `over`: pieces of a batch whose gradients are summed in a fixed order, a power of 2; range >= 1; default 8 with over
---@field seed? integer seed of the random numbers; default follows d.manual_seed
---@field shuffle? boolean each epoch has an order of its own; default true
---@field steps? integer number of batches; range >= 0; default by epochs

---@class (exact) diffusion.sinusoid_options
---@field width integer width of the result, which ends in 0 if it is odd; range >= 1
---@field max_period? number the longest period over 2 pi; range > 0; default 10000
---@field shift? number in the frequencies: 0 in ADM, 1 in DDPM; default 0
---@field offset? number subtracted from t first; default 0
---@field sin_first? boolean the sines come first; default false
---@field single? boolean rounds frequencies and angles to f32, as PyTorch does; default false

---@class (exact) diffusion.tokenizer_options
---@field length? integer most tokens of a text, with bos and eos; range [2, 65536]; default the folder's model_max_length, or 77
---@field pad? integer|string the token that fills up a text, by its id or its text; default the folder's
---@field path? string a folder of a tokenizer, its tokenizer.json, or a list of merges
---@field words? string[] texts whose words are the vocabulary, in place of a path: each word is one token, others are <unk>

---@class (exact) diffusion.tokenizer_call_options
---@field length? integer tokens of a row, with bos and eos; range [2, 65536]; default the tokenizer's
---@field pad? boolean fills all rows up to `length`; if false, up to the longest; default true
---@field truncate? boolean cuts longer texts; if false, all rows are as long as the longest; default true

---@class (exact) diffusion.tokenizer_decode_options
---@field special? boolean keeps the special tokens, such as those before and after a text; default true

---@class (exact) diffusion.trainer_options
---@field batches diffusion.batches the batches
---@field model diffusion.model the network
---@field objective diffusion.objective|function d.objective, or a function (model, x0, {class}) -> loss, details
---@field opt diffusion.adamw the optimiser
---@field checkpoint? string file that the run resumes from and saves to
---@field ema? diffusion.ema|diffusion.ema[] averages that the checkpoint holds
---@field floor? number least loss, shown next to the loss; objective:floor gives it
---@field inputs? fun(batches: diffusion.batches): table<string, diffusion.tensor> makes inputs of the network for a batch, as pipe:inputs does of captions
---@field log? string CSV file of step, loss, lr and norm
---@field on_step? fun(step: integer, loss: number) called after each step
---@field quiet? boolean shows no progress; default false
---@field save_every? integer steps between two saves; range >= 1; default 500

---@class (exact) diffusion.unet_options
---@field image integer[] {H, W, C} of an image
---@field attention? integer[] downsampling factors at which there is attention, as {4}; default {}
---@field blocks? integer number of residual blocks of a level; one more on the way up; range >= 1; default 2
---@field channels? integer channels of the first level, even; range >= 2; default 32
---@field classes? integer number of classes; 0 makes an unconditional network; range >= 0; default 0
---@field dropout? number probability that an element inside of a block is set to 0 in training; range [0, 1); default 0
---@field groups? integer groups of channels of the norm; range >= 1; default largest divisor <= 32 of the channels that leaves 4 each
---@field heads? integer number of heads of each attention; range >= 1; default 1
---@field mult? integer[] channels of each level, in multiples of `channels`; default {1, 2, 2}
---@field outputs? integer 2 also predicts a variance: the result has twice the channels; range [1, 2]; default 1
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field self_condition? boolean the network is conditioned on its own x0, option x0 of its call; zeros if absent; default false

---@class (exact) diffusion.unet2d_options
---@field act_fn? string activation of the blocks: silu, swish, mish, gelu or relu; default "silu"
---@field add_attention? boolean attention in the middle; default true
---@field attention_head_dim? integer|false width of a head of attention; false for one head; range >= 1; default 8
---@field attn_norm_num_groups? integer groups of the norm before the attention in the middle; range >= 1
---@field block_out_channels? integer[] channels of each level; default {224, 448, 672, 896}
---@field center_input_sample? boolean 2 x - 1 is read instead of x; default false
---@field class_embed_type? "timestep"|"identity" "timestep": class is a number, embedded as t is; "identity": class is an embedding
---@field down_block_types? string[] the block of each level on the way down; default {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"}
---@field downsample_padding? integer 1 puts zeros around a convolution that halves an image, 0 only below and right; range [0, 1]; default 1
---@field downsample_type? string|false the layer that halves images behind an AttnDownBlock2D; default "conv"
---@field dropout? number probability that an element inside of a block is set to 0 in training; range [0, 1); default 0
---@field flip_sin_to_cos? boolean cosines come first; default true
---@field freq_shift? integer s of the frequencies 10000^(-k / (channels/2 - s)); default 0
---@field in_channels? integer channels of x; range >= 1; default 3
---@field layers_per_block? integer residual blocks of a level; one more on the way up; range >= 1; default 2
---@field mid_block_scale_factor? number divides the results of the blocks in the middle; default 1
---@field mid_block_type? string|false the block in the middle, false for none; default "UNetMidBlock2D"
---@field norm_eps? number added to the variance of norms; range > 0; default 1e-5
---@field norm_num_groups? integer|false groups of the norms; false for a quarter of the channels, at most 32; range >= 1; default 32
---@field num_class_embeds? integer number of classes, if class_embed_type is nil; range >= 1
---@field num_heads? integer number of heads of each attention, in place of attention_head_dim; range >= 1
---@field num_train_timesteps? integer rows of the table of time_embedding_type = "learned"; range >= 1
---@field out_channels? integer channels of the result; range >= 1; default 3
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field resnet_time_scale_shift? "default"|"scale_shift" "scale_shift": the embedding scales and shifts the second norm of a block; "default" adds it; default "default"
---@field sample_size? integer|integer[] height and width of the images that it was trained on; one number or both; range >= 1
---@field time_embedding_dim? integer width of the embedding of t; if nil, 4 times the first channels; range >= 1
---@field time_embedding_type? "positional"|"fourier"|"learned" waves of t, Fourier features of ln t, or rows of a table by t; default "positional"
---@field time_factor? number factor of timesteps, as of networks that count to 1000; range > 0; default 1
---@field time_offset? number model(x, t) is UNet2DModel at timestep t - time_offset; default 1, or 0 if time_embedding_type is "fourier"
---@field time_width? integer width of the waves of t; the first channels if nil; range >= 1
---@field up_block_types? string[] the block of each level on the way up; default {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"}
---@field upsample_type? string|false the layer that doubles images behind an AttnUpBlock2D; default "conv"

---@class (exact) diffusion.unet2dcondition_options
---@field act_fn? string activation of the blocks and of the embedding of the time: silu, swish, mish, gelu or relu; default "silu"
---@field addition_embed_type? "text"|"text_image"|"text_time"|"image"|"image_hint" an embedding that is added: of the context, of text_embeds with image_embeds or time_ids, or of image_embeds
---@field addition_embed_type_num_heads? integer heads of the attention of addition_embed_type = "text"; range >= 1; default 64
---@field addition_time_embed_dim? integer width of the waves of each of time_ids; range >= 1
---@field attention_head_dim? integer|integer[] the number of heads, in spite of its name; the width of a head in blocks of the types Attn, SimpleCrossAttn and KCrossAttn; range >= 1; default 8
---@field attention_type? "default" the one kind that is followed; kept for the config; default "default"
---@field block_out_channels? integer[] channels of each level; default {320, 640, 1280, 1280}
---@field center_input_sample? boolean 2 x - 1 is read instead of x; default false
---@field class_embed_type? "timestep"|"identity"|"projection"|"simple_projection" "timestep": class is a number, embedded as t is; "identity": an embedding; "projection" and "simple_projection": a row that two products or one make an embedding of
---@field class_embeddings_concat? boolean the embedding of the class is behind that of the time, not added to it; default false
---@field conv_in_kernel? integer height and width of the first convolution's kernel, odd; range >= 1; default 3
---@field conv_out_kernel? integer height and width of the last convolution's kernel, odd; range >= 1; default 3
---@field cross_attention_dim? integer|integer[] width of the context; one for all levels, or one for each; range >= 1; default 1280
---@field cross_attention_norm? "layer_norm"|"group_norm" norm of the context in blocks of the type SimpleCrossAttn
---@field down_block_types? string[] the block of each level on the way down; default {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"}
---@field downsample_padding? integer 1 puts zeros around a convolution that halves an image, 0 only below and right; range [0, 1]; default 1
---@field dropout? number probability that an element inside of a block is set to 0 in training; range [0, 1); default 0
---@field dual_cross_attention? boolean diffusers can't run it any more, and it is refused for CrossAttn blocks; default false
---@field encoder_hid_dim? integer width of the context that is projected to cross_attention_dim; range >= 1
---@field encoder_hid_dim_type? "text_proj"|"text_image_proj"|"image_proj" the context is projected from a text, a text and a picture, or a picture: text_proj, text_image_proj or image_proj; default none, or text_proj with encoder_hid_dim
---@field flip_sin_to_cos? boolean cosines come first; default true
---@field freq_shift? integer s of the frequencies 10000^(-k / (channels/2 - s)); default 0
---@field in_channels? integer channels of x; with a hint, four of them are the hint's; range >= 1; default 4
---@field layers_per_block? integer|integer[] residual blocks of a level; one more on the way up; one for all levels, or one for each; range >= 1; default 2
---@field mid_block_only_cross_attention? boolean the same for the middle of the type SimpleCrossAttn; default only_cross_attention, if that is one boolean
---@field mid_block_scale_factor? number divides the results of the residual blocks in the middle; default 1
---@field mid_block_type? string|false the block in the middle, false for none; default "UNetMidBlock2DCrossAttn"
---@field norm_eps? number added to the variance of norms; range > 0; default 1e-5
---@field norm_num_groups? integer|false groups of the norms; false for K blocks, and no norm before the last convolution; range >= 1; default 32
---@field num_attention_heads? nil can't be given, as in diffusers: attention_head_dim has the number; range >= 1
---@field num_class_embeds? integer number of classes, if class_embed_type is nil; range >= 1
---@field only_cross_attention? boolean|boolean[] the first attention of a transformer block is to the context too; one for all levels, or one for each; default false
---@field out_channels? integer channels of the result; range >= 1; default 4
---@field projection_class_embeddings_input_dim? integer width of the class that is projected, or of text_embeds and the waves of time_ids together; range >= 1
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field resnet_out_scale_factor? number divides the results of residual blocks of these types; default 1
---@field resnet_skip_time_act? boolean the embedding isn't activated in blocks of the types Resnet and SimpleCrossAttn; default false
---@field resnet_time_scale_shift? "default"|"scale_shift" "scale_shift": the embedding scales and shifts the second norm of a block; "default" adds it; default "default"
---@field reverse_transformer_layers_per_block? (integer|integer[])[] the same on the way up, from the deepest level
---@field sample_size? integer|integer[] height and width of the images that it was trained on; one number or both; range >= 1
---@field time_cond_proj_dim? integer width of time_cond, which is added to the waves of t; range >= 1
---@field time_embedding_act_fn? string activation of the whole embedding: as act_fn
---@field time_embedding_dim? integer width of the embedding of t; if nil, 4 times the first channels, with Fourier features 2 times; range >= 1
---@field time_embedding_type? "positional"|"fourier" waves of t, or Fourier features of it; default "positional"
---@field time_offset? number model(x, t) is UNet2DConditionModel at timestep t - time_offset; default 1, or 0 if time_embedding_type is "fourier"
---@field timestep_post_act? string activation of the embedding of t: as act_fn
---@field transformer_layers_per_block? integer|(integer|integer[])[] transformer blocks behind a residual block; one for all levels, or for each level one or a list; range >= 0; default 1
---@field up_block_types? string[] the block of each level on the way up; default {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"}
---@field upcast_attention? boolean attention is in float32 anyway; kept for the config; default false
---@field use_linear_projection? boolean the products around transformer blocks are of tokens, not 1x1 convolutions; default false

---@class (exact) diffusion.vq_options
---@field act_fn? "silu"|"swish"|"mish"|"gelu"|"relu" activation of the residual blocks; default "silu"
---@field beta? number weight of the smaller term of the codebook's loss; range >= 0; default 0.25
---@field block_out_channels? integer[] channels of each level; default {64}
---@field down_block_types? string[] the type of each level of the encoder; default {"DownEncoderBlock2D"}
---@field force_upcast? boolean activations are in float32 anyway; kept for the config; default false
---@field in_channels? integer channels of an image; range >= 1; default 3
---@field latent_channels? integer channels that the encoder ends with; range >= 1; default 3
---@field layers_per_block? integer residual blocks of a level of the encoder; one more in the decoder; range >= 1; default 1
---@field legacy? boolean beta weighs the term that moves the codebook, as in diffusers; false: the term that moves the latents, as in the paper; default true
---@field lookup_from_codebook? boolean decode(z, { force_not_quantize = true }) takes rows of the codebook; default false
---@field mid_block_add_attention? boolean attention between the two middle blocks; default true
---@field norm_num_groups? integer groups of the norms; range >= 1; default 32
---@field norm_type? "group"|"spatial" "spatial": the norms of the decoder are conditioned on the latents (Zheng et al. 2022); default "group"
---@field num_vq_embeddings? integer rows of the codebook; range >= 1; default 256
---@field out_channels? integer channels of a decoded image; range >= 1; default 3
---@field recompute? boolean recomputes blocks in the backward pass: the same bits, less memory, a third more time; default false
---@field sample_size? integer height and width of the images that it was trained on; kept for the config; range >= 1; default 32
---@field scaling_factor? number latents are multiplied by it in a pipeline; kept for the config; range > 0; default 0.18215
---@field up_block_types? string[] the type of each level of the decoder; default {"UpDecoderBlock2D"}
---@field vq_embed_dim? integer width of a row of the codebook; range >= 1; default latent_channels

---@class (exact) diffusion.vq_decode_options
---@field force_not_quantize? boolean decodes z itself; in a model with lookup_from_codebook, z are rows {B, h, w} of the codebook; default false

--- AdamW over the parameters that were trainable when it was made.
---@class diffusion.adamw
---@field lr number rate of the next step; can be set to a number or a function of the step
---@field steps integer steps taken
---@field skipped integer steps not taken, since the gradient wasn't finite
---@field loss number|nil with `over`: the mean loss of the last backward pass over all ranks
---@field over diffusion.mpi|nil the ranks
local adamw = {}

--- An added token.
---@class diffusion.added_token
---@field content string
---@field id integer
---@field ids integer[]|nil the tokens that it stands for, if it is not only one
---@field special boolean whether decoding may leave it out
---@field normalized boolean whether it is found after normalization, as its own normal form, or before
---@field lstrip boolean whether the white space before it belongs to it
---@field rstrip boolean the same for that after it
local added_token = {}

--- An array of a file that no tensor can hold. It has a type and a shape only.
---@class diffusion.array
local array = {}

--- An autoencoder of latent diffusion, as d.autoencoderkl makes it. Called with images, it
--- returns the decoded ones and the divergence of its latents from standard normal ones, for
--- training.
---@class diffusion.autoencoderkl: diffusion.model
---@field encoder diffusion.layer images to mean and ln variance, before quant_conv
---@field decoder diffusion.layer latents to images, after post_quant_conv
---@field quant_conv diffusion.layer|nil
---@field post_quant_conv diffusion.layer|nil
---@overload fun(x: diffusion.tensor, options?: diffusion.autoencoderkl_call_options?): diffusion.tensor, diffusion.tensor
local autoencoderkl = {}

--- An autoencoder of plain convolutions, as d.autoencodertiny makes it. Called with images, it
--- encodes and decodes them by way of latents of 8 bits.
---@class diffusion.autoencodertiny: diffusion.model
---@field encoder diffusion.layer images in [-1, 1] to latents
---@field decoder diffusion.layer latents to images in [-1, 1]
---@overload fun(x: diffusion.tensor): diffusion.tensor
local autoencodertiny = {}

--- An iterator over a set. Its state is its step.
---@class diffusion.batches
---@field step integer batches returned so far; can be set
---@field steps integer number of batches
---@field size integer examples in a batch
---@field n integer examples in the set
---@field seed integer seed of the order and the flips
---@field shuffle boolean
---@field flip boolean
---@field pieces integer|nil pieces into which a batch is cut, if it is dealt out over ranks
---@field examples integer[]|nil numbers in the set of the last batch's examples
---@field captions string[]|nil their captions, if the set has captions
---@field sizes table|nil sizes of their pictures, that SDXL is conditioned on: original = {height, width} of each before it was resized, crop = {top, left} of each, target = {height, width} of all
---@overload fun(): integer|nil, diffusion.tensor|nil, diffusion.tensor|nil, diffusion.tensor|nil
local batches = {}

--- The result of d.likelihood.vlb. It prints as a table.
---@class diffusion.bound
local bound = {}

--- A Brownian path over the levels of a schedule.
---@class diffusion.brownian
---@field low number
---@field high number
---@field depth integer
local brownian = {}

--- A training and the file that it is saved in.
---@class diffusion.checkpoint
---@field path string can be written
---@field extra table|nil after load: the value that was given to save
local checkpoint = {}

--- A text encoder, as d.cliptext makes it. Called with ids of tokens, it returns the tokens'
--- states and one pooled state a text.
---@class diffusion.cliptext: diffusion.model
---@field embeddings diffusion.layer ids from 1 to tokens with their positions
---@field encoder table its layers, the fields "0", "1" and so on of encoder.layers
---@field final_layer_norm diffusion.layer
---@field text_projection diffusion.layer|nil projects pooled states
---@field added diffusion.tensor[] rows of the tokens that add_tokens added
---@overload fun(ids: integer[][]|diffusion.tensor, options?: diffusion.cliptext_call_options?): diffusion.tensor, diffusion.tensor
local cliptext = {}

--- The course of a set's batches.
---@class diffusion.data_course
---@field counts integer[] number of examples in each bucket
---@field totals number[] number of examples of each bucket in all batches, infinite if there is no end
---@field size integer
---@field seed integer
---@field shuffle boolean
---@field epoch table|nil {before = batches until it, list = {bucket, batch}}
local data_course = {}

--- A running average of a model's values. It is a denoiser like the model.
---@class diffusion.ema
---@field updates integer number of updates; can be set
---@overload fun(xt: diffusion.tensor, t: number|number[]|diffusion.tensor, options?: diffusion.model_call_options?): diffusion.tensor
local ema = {}

--- A source of random numbers with its own counter. Each call returns the next numbers.
---@class diffusion.generator
local generator = {}

--- The times that a sampler visits: a list of {t, s}, later time first.
---@class diffusion.grid
---@field name string
---@field T integer
---@field schedule diffusion.schedule|nil
---@field last number the level at which the last step ends: 0 is the data
local grid = {}

--- A folder that was listed.
---@class diffusion.hub_folder
---@field path string
---@field files table<string, boolean> the names of its files, also of links that lead nowhere
---@field folders table<string, boolean>
local hub_folder = {}

---@class diffusion.interval
---@field low number the true value lies between low and high with a probability of `level`
---@field high number
---@field level number 0.95
---@field method string the method that found low and high
---@field n integer[] number of samples of each set
---@field bias string|number direction of the value's bias as a sentence, or its approximate size
---@field se number|nil standard error of the value
---@field p number|nil probability of such a value, or a larger one, if both sets have one distribution
local interval = {}

--- The report of an inversion. It prints as a line.
---@class diffusion.inversion
---@field grid diffusion.grid by which ddim returns to x0
---@field evaluations integer number of evaluations of the model, including those of `check`
---@field residual number|nil for exact steps: the largest last change, as a sample's root mean square
---@field tolerance number that the residual should reach
---@field error number|nil with check: the largest distance from x0, as a sample's root mean square
local inversion = {}

--- A part of a network, called with tensors once nn.model has given it values; its parts, if
--- it has any, are fields.
---@class diffusion.layer
---@field weight diffusion.tensor|nil
---@field bias diffusion.tensor|nil
local layer = {}

--- The result of d.likelihood.ode. It prints as two lines.
---@class diffusion.likelihood
local likelihood = {}

--- Low-rank adapters on some layers of a model: y = W x + scale (alpha / rank) B A x. They are
--- a denoiser, which calls the model with the adapters. d.adamw, d.ema, d.checkpoint and
--- d.trainer take them as a model whose parameters are the adapters.
---@class diffusion.lora
---@field scale number factor of all adapters, 1 at first; can be set
---@field merged boolean whether the adapters are in the model's weights
---@field enabled boolean whether they act; enable and disable set it
---@overload fun(xt: diffusion.tensor, t: number|number[]|diffusion.tensor, options?: diffusion.model_call_options?): diffusion.tensor
local lora = {}

--- The adapters of one part of a pipeline, as a file has them.
---@class diffusion.lora_part
---@field prefix string the part's name there: "unet"
---@field list table[] {name = their path, flat = the same as kohya's scripts write it, rank, alpha, down, up = tensors}
---@field dropout number
local lora_part = {}

--- A network with values, made by d.mlp and similar functions, d.network, nn.model or
--- d.load_model. It is a denoiser. The fields of the network can be read as its own.
---@class diffusion.model
---@overload fun(xt: diffusion.tensor, t: number|number[]|diffusion.tensor, options?: diffusion.model_call_options?): diffusion.tensor
local model = {}

--- The ranks that mpirun started: d.mpi, or the module diffusion.mpi. It is there if the
--- library was built with MPI; d.help "scale" says how to get it. All ranks must make these
--- calls.
---@class diffusion.mpi
---@field rank integer the number of this rank, from 0
---@field size integer the number of ranks
---@field host string the name of this rank's machine
---@field barrier fun() waits for all ranks
---@field broadcast fun(x: any, from: integer?): any a tensor, a model, an average or a table of tensors gets the values of rank `from`, 0 by default
---@field all_reduce fun(x: number|diffusion.tensor): number|diffusion.tensor the sum over all ranks
---@field gather fun(x: number|diffusion.tensor): diffusion.tensor the rows of all ranks, one after another
local mpi = {}

--- A network that is being written by the function `build` of d.network. Each method adds a
--- layer and returns its value. Inputs are fields: net.x, net.t.
---@class diffusion.net
local net = {}

--- A loss for d.record, of d.objective: called as (model, x0, {class=, eps=}).
---@class diffusion.objective
---@field process diffusion.process
---@field error string "mse", "l1", "huber" or "pseudo_huber"
---@field vlb number weight of the variational bound, if the variance is learned
---@overload fun(model: any, x0: diffusion.tensor, given?: diffusion.objective_call_options?): diffusion.tensor, table
local objective = {}

--- A distribution whose best denoiser is known, made by d.oracle. Its results have gradients
--- with respect to x and to the level.
---@class diffusion.oracle
---@field D integer its dimension
---@field mean diffusion.tensor|nil the mean, for a Gaussian
---@field cov diffusion.tensor|nil the covariance, for a Gaussian
---@field means diffusion.tensor|nil the means, for a mixture
---@field weights number[]|nil the weights, for a mixture or boxes
local oracle = {}

--- A denoiser with what is needed to draw images. Called with options, it draws them.
---@class diffusion.pipe
---@field class string the class of the pipeline in diffusers
---@field path string|nil the folder that it was read from
---@field unet diffusion.model the denoiser, of any family; can be written, also by an average
---@field vae diffusion.model|nil decodes latents; can be written
---@field process diffusion.process|nil the process that the denoiser was trained for; can be written
---@field sampler any as d.sample takes it
---@field scheduler table|nil the scheduler's config; a config or a class can be written
---@field labels table<integer, string>|nil the names of classes
---@field text diffusion.model|nil encodes prompts; can be written, as the three after it
---@field text2 diffusion.model|nil the second of SDXL's text encoders
---@field tokenizer any cuts prompts into tokens
---@field tokenizer2 any the same for text2
---@field tiny diffusion.model|nil a small autoencoder for previews; can be written
---@field loras diffusion.pipe_lora[]|nil the adapters of load_lora and add_lora
---@overload fun(options?: diffusion.pipe_options|diffusion.pipe_text2image_options?): diffusion.tensor
local pipe = {}

--- The source of a call's normals.
---@class diffusion.pipe_draws
---@field source any for d.sampler.steps: nil stands for the seed
---@field seed integer
---@field generators any
local pipe_draws = {}

--- Adapters of a pipe under one name.
---@class diffusion.pipe_lora
---@field name string
---@field weight number|table factor of their effect; can be set, also as {unet =, text =, text2 =}
---@field merged boolean whether they are in the networks' weights
---@field unet diffusion.lora|nil those of the denoiser
---@field text diffusion.lora|nil those of the text encoder
---@field text2 diffusion.lora|nil those of the second text encoder
local pipe_lora = {}

--- The start and the steps of an edit. It prints as a table.
---@class diffusion.plan
---@field start number the first level t; 0 if nothing is to be done
---@field steps integer exact number of steps
---@field grid diffusion.grid|nil the steps; nil if there are none
---@field snr number signal to noise ratio at the start, a^2/s^2
---@field signal number a in x_t = a x0 + s eps
---@field noise number s
---@field strength number|nil as given in the options
---@field evaluations integer|nil number of evaluations of the model, once the edit is done
local plan = {}

--- A schedule, and the parametrisation of the reverse step. It never changes.
---@class diffusion.process
---@field schedule diffusion.schedule
---@field T integer
---@field predict string the target that the network predicts: "eps", "x0", "v", "score", "flow", "edm"
---@field sigma_data number standard deviation of the data, for "edm"
---@field variance string|fun(t: number, s: number): number variance of the reverse step
---@field outputs integer width of the network's output in multiples of C: 2 if the variance is learned
---@field clip number|string|table|nil
---@field x0_error table|nil for variance "optimal": rows {t, E|x0 - x0'|^2/D}
local process = {}

--- The levels that RePaint visits: down its grid, with jumps back. It prints as a table.
---@class diffusion.repaint_plan
---@field grid diffusion.grid
---@field jump integer number of steps of a jump back
---@field resample integer how often each stretch is sampled
---@field jumps integer number of jumps
---@field steps integer number of reverse steps in all
---@field times number[] every level that is visited, in order, from the first to the data
---@field evaluations integer|nil number of evaluations of the model, once it is done
local repaint_plan = {}

--- A run of a sampler. run() takes a step; `for step in run do` takes all that are left.
---@class diffusion.run
---@field x diffusion.tensor the current samples; if written, the run continues from there without history
---@field i integer steps taken
---@field grid diffusion.grid
---@field seed integer
---@field history table the solver's own: tensors, numbers, and tables of these
---@field evaluations integer number of evaluations of the model so far
---@field draws integer number of draws of noise so far
---@field upward boolean|nil true if the run goes from data to noise
---@field on_step function|nil called after each step; may be written
---@overload fun(): table|nil
local run = {}

--- A noise schedule: x_t = signal(t) x_0 + noise(t) eps.
---@class diffusion.schedule
---@field T integer number of steps
---@field name string
local schedule = {}

--- Examples, with their classes if they have any.
---@class diffusion.set
---@field x diffusion.tensor|nil u8 images [n,H,W,C], or numbers [n,...]; nil if pictures have several sizes or crops
---@field class diffusion.tensor|nil i64 [n], 1..classes
---@field eps diffusion.tensor|nil noise that each example is paired with, as x
---@field n integer number of examples
---@field classes integer|nil
---@field names string[]|nil names of the classes
---@field name string
---@field captions string[]|nil a text for each example
---@field subgroups string[]|nil the name of each example's part of its class (d.data.emoji)
---@field paths string[]|nil the files of the pictures
---@field sizes integer[][]|nil {height, width} of each picture before it was resized
---@field buckets table[]|nil {height =, width =, n =} of each size, if pictures have several or crops
local set = {}

--- An array with up to 8 dimensions. Elements have type f32, f64, f16, bf16, i64 or u8. x[i],
--- x[{{1, 3}, {}, 2}] and #x read elements; x[i] = y writes them. Positions count from 1;
--- negative ones count from the end. Ranges include both ends, {} is a whole dimension, and
--- {2} means {2, 2}. x[#x + 1] is nil, so ipairs(x) ends; other positions out of range are
--- errors. + - * / ^ work element by element and broadcast. If x[i] is a plain number, reading
--- it while x is being recorded is an error, since its gradient would be lost. Use
--- x:select(dim, i), x[{ {i, i} }], or x:detach()[i] for a constant. The results of item(),
--- totable(), bytes() and print are constants too.
---@class diffusion.tensor
---@field grad diffusion.tensor|nil the gradient of a parameter after loss:backward()
---@operator add(diffusion.tensor|number): diffusion.tensor
---@operator sub(diffusion.tensor|number): diffusion.tensor
---@operator mul(diffusion.tensor|number): diffusion.tensor
---@operator div(diffusion.tensor|number): diffusion.tensor
---@operator pow(diffusion.tensor|number): diffusion.tensor
---@operator unm: diffusion.tensor
---@operator len: integer
local tensor = {}

--- CLIP's tokenizer, of d.tokenizer. Called as (text or list of texts, options).
---@class diffusion.tokenizer
---@field bos integer id of the token before a text
---@field eos integer id of the token after a text
---@field pad integer id of the token that fills up a text
---@field size integer number of tokens; ids are below it
---@field length integer most tokens of a text, with bos and eos
---@overload fun(text: string|string[], options?: diffusion.tokenizer_call_options?): diffusion.tensor, table
local tokenizer = {}

--- A training run, to be started by trainer:run().
---@class diffusion.trainer
local trainer = {}

--- A value inside of a network that is being written.
---@class diffusion.value
---@field width integer? its last size, where that is known
---@field optional boolean? an input that may be absent
local value = {}

--- An autoencoder whose latents are rows of a codebook, as d.vq makes it. Called with images,
--- it encodes, quantises and decodes them, and returns them with the loss of the codebook.
---@class diffusion.vq: diffusion.model
---@field encoder diffusion.layer images to latents, before quant_conv
---@field decoder diffusion.layer latents to images, after post_quant_conv
---@field quantize table called with latents, it returns those of the codebook, its loss, and the rows {B, h, w} from 1; quantize:lookup(rows) returns the latents of rows
---@overload fun(x: diffusion.tensor): diffusion.tensor, diffusion.tensor
local vq = {}

--- Copies a state in. It must have the moments of every parameter of this optimiser, and
--- nothing else. Rates that are numbers are restored. Functions of this optimiser stay.
---@param state table from state()
---@return diffusion.adamw self
function adamw:load_state(state) end

--- The state that a resumed training needs: {steps =, skipped =, lr =, first =, second =}. The
--- moments are windows on the optimiser's own, by name; with `shard` they are copies, and all
--- ranks call this. lr lists the groups' rates; false is a function, or the first group's
--- rate.
---@return table
function adamw:state() end

--- One step: mean of the gradients of the backward calls since the last step (accumulate =
--- "mean"), global-norm clip, AdamW, averages. A parameter without a gradient counts as 0. If
--- the norm is not finite, nothing is changed, the gradient is dropped and `skipped` grows by
--- one. The first such step prints a warning to stderr; 30 in a row are an error.
---@param options? diffusion.adamw_step_options?
---@return number norm L2, of the whole gradient before clipping
function adamw:step(options) end

--- Drops the accumulated gradients.
---@return diffusion.adamw self
function adamw:zero() end

--- Images of latents.
---@param z diffusion.tensor latents {B, h, w, latent_channels}
---@param options? diffusion.autoencoderkl_decode_options?
---@return diffusion.tensor images {B, H, W, C}
function autoencoderkl:decode(z, options) end

--- The distribution of the latents of images. Draw them as mean + std * noise.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@param options? diffusion.autoencoderkl_encode_options?
---@return diffusion.tensor mean {B, h, w, latent_channels}
---@return diffusion.tensor std
function autoencoderkl:encode(x, options) end

--- Images of latents.
---@param z diffusion.tensor latents {B, h, w, latent_channels}
---@param options nil none are taken, and they are refused
---@return diffusion.tensor images {B, H, W, C}
function autoencodertiny:decode(z, options) end

--- Latents of images.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@param options nil none are taken, and they are refused
---@return diffusion.tensor latents {B, h, w, latent_channels}
function autoencodertiny:encode(x, options) end

--- Latents scaled to [0, 1], as the bytes of a picture hold them: clamp(z / (2
--- latent_magnitude) + latent_shift).
---@param z diffusion.tensor
---@return diffusion.tensor
function autoencodertiny:scale_latents(z) end

--- The latents that scale_latents scaled.
---@param z diffusion.tensor
---@return diffusion.tensor
function autoencodertiny:unscale_latents(z) end

--- Continues from a state. The next batches are those that would have followed it.
---@param state table from `state()`
---@return true|nil done nil with a message if the state is from another set or has other sizes
---@return string|nil message
function batches:load_state(state) end

--- The state for a checkpoint.
---@return table state { step, seed, size, n, shuffle, flip }, and counts of the buckets if there are several
function batches:state() end

--- Resumes from the file, if there is one. Over ranks all of them read it. Their number may be
--- another than that of the ranks that saved it.
---@return boolean|nil loaded true; false if there is no file; nil and a message, with nothing changed, if the file can't be read or is from another training
---@return string|nil message
function checkpoint:load() end

--- Saves a training: parameters, moments, averages, random counters, the place in the data,
--- and `extra`. The file is written whole or not at all. Over ranks, rank 0 writes it.
---@param extra? table? equal in .extra after load: numbers, strings of any bytes, booleans, and tables of these, nested up to 60 deep. A table that occurs twice stays one. Anything else, or a table that contains itself, is an error, and nothing is written
---@return true|nil done nil with a message if it fails
---@return string|nil message
function checkpoint:save(extra) end

--- Adds tokens, as textual inversion does (Gal et al. 2022). A saved model has them in its
--- table. The rows are not copied. So rows that are parameters of another model train with it.
---@param rows diffusion.tensor {n, width}
---@return integer[] ids of the new tokens
function cliptext:add_tokens(rows) end

--- Vectors of tokens, without positions.
---@param ids integer[]|diffusion.tensor whole numbers from 0, of any shape
---@return diffusion.tensor vectors {..., width}
function cliptext:embed(ids) end

--- AdamW (Loshchilov & Hutter 2019, alg. 2) over the parameters that are trainable now. In a
--- list of models a parameter's name is "1.name".
---@param models diffusion.model|diffusion.model[]
---@param options? diffusion.adamw_options?
---@return diffusion.adamw
function d.adamw(models, options) end

--- The numbers first, first + step, ... up to last, both ends included.
---@param first number
---@param last number
---@param step? number default 1; not 0
---@return diffusion.tensor {n}, i64 if all three are Lua integers (1, not 1.0)
function d.arange(first, last, step) end

--- AutoencoderKL of diffusers, by the options of its config. It is the autoencoder of Stable
--- Diffusion, with methods encode and decode. Called with images {B, H, W, C}, it returns the
--- decoded ones and the divergence of the latents.
---@param options? diffusion.autoencoderkl_options?
---@return diffusion.autoencoderkl
function d.autoencoderkl(options) end

--- AutoencoderTiny of diffusers, by the options of its config. It is a small autoencoder with
--- methods encode, decode, scale_latents and unscale_latents. Called with images {B, H, W, C},
--- it returns the decoded ones.
---@param options? diffusion.autoencodertiny_options?
---@return diffusion.autoencodertiny
function d.autoencodertiny(options) end

--- 1 with probability p (to 2^-24), else 0. A dropout mask has p = the fraction kept.
---@param p number in [0, 1]
---@param shape? integer|integer[] sizes, or one list; default: one number
---@param opts? diffusion.draw_one_options
---@return diffusion.tensor elements 1 and 0
function d.bernoulli(p, shape, opts) end

--- Concatenates tensors along a dimension.
---@param list diffusion.tensor[] tensors of one type; all other sizes must be equal
---@param dim? integer default 1
---@return diffusion.tensor
function d.cat(list, dim) end

--- Samplers compared with theory: d.check.order and d.check.moments.
d.check = {}

--- The mean and variance of each coordinate of a sampler's result, in double. The data is
--- N(mean, std^2) and the denoiser the best one, unclipped. The sampler's steps must be linear
--- in x.
---@param sampler string|function|table as in d.sample
---@param options diffusion.check_moments_options
---@return number mean
---@return number variance
function d.check.moments(sampler, options) end

--- Measures how fast a sampler's error falls with the number of steps, which are uniform in ln
--- sigma. It prints a table, and returns the last order above rounding. The error of a
--- deterministic sampler is the root mean square distance from the ODE's solution. A sampler
--- that adds noise follows one Brownian path per sample for any number of steps. Its error is
--- the median distance from many more steps. A reference that is the sampler itself shows an
--- order of 1 as 1.05. In float32 errors end at some 1e-6; DIFFUSION_PRECISION=double
--- continues further.
---@param sampler string|function|table as in d.sample; not one whose noise has no path (euler_churn, lcm, annealed_langevin and similar)
---@param oracle any a distribution of d.oracle
---@param options? diffusion.check_order_options?
---@return number|nil order nil if all errors are due to rounding
---@return table rows { {steps, error, order, evaluations}, ... }
function d.check.order(sampler, oracle, options) end

--- A training and the file that it is saved in.
---@param options diffusion.checkpoint_options
---@return diffusion.checkpoint
function d.checkpoint(options) end

--- CLIPTextModel of transformers, by the options of its config, or
--- CLIPTextModelWithProjection. It is the text encoder of Stable Diffusion. Called with ids
--- {B, N}, it returns states and pooled states.
---@param options? diffusion.cliptext_options?
---@return diffusion.cliptext
function d.cliptext(options) end

--- Runs a command of the program `diffusion`: sample draws pictures, replay draws one again.
---@param name string "sample" or "replay"
---@param words string[] the words behind it; {"--help"} lists its flags
---@return string|nil text about what was written; nil with a message
---@return string|nil message
function d.command(name, words) end

--- A denoiser for points {B, dim} conditioned on a context vector {B, context}. It is called
--- as model(xt, t, {context = c}); without a context it is unconditional.
---@param options? diffusion.context_mlp_options?
---@return diffusion.model
function d.context_mlp(options) end

--- The mean of -ln softmax(x)[class]; inf with gradient 0 if a row is all -inf.
---@param x diffusion.tensor {B,n}
---@param class integer[]|diffusion.tensor {B} in 1..n
---@param over? string "sample" for one value per sample
---@return diffusion.tensor a number, or {B}
function d.cross_entropy(x, class, over) end

--- Data sets: files of the usual formats, the digits that come with the library, toy sets, and
--- sets of your own tensors. If a file can't be read, the result is nil and a message.
d.data = {}

--- NumPy's arrays: a .npy file's tensor, or the tensors of a .npz file by name. Some arrays of
--- a .npz fit no tensor: complex numbers, strings, records and objects. They are listed by
--- pairs, with dtype() and shape(), but indexing by the name of one is an error. Tensors are
--- windows on the mapped file if possible. If another program truncates the file meanwhile,
--- this one ends (SIGBUS). With copy = true they are copied into memory.
---@param path string
---@param options? diffusion.data_copy_options?
---@return diffusion.tensor|table<string, diffusion.tensor>|nil x f16, f32, f64, u8 or i64 (other integers are widened to i64, bool to u8), of either byte order; nil with a message
---@return string|nil message
function d.data.arrays(path, options) end

--- CIFAR-10 (Krizhevsky 2009), the binary version: 50,000 (test: 10,000) RGB images 32 x 32.
---@param dir string the folder of data_batch_1.bin to data_batch_5.bin and test_batch.bin
---@param options? diffusion.data_split_options?
---@return diffusion.set|nil set nil with a message if files are missing or damaged
---@return string|nil message
function d.data.cifar10(dir, options) end

--- The digits that come with the library: 1,797 grey images 8 x 8 (Alpaydin & Kaynak 1998,
--- UCI).
---@return diffusion.set set x u8 [1797,8,8,1], classes 1 to 10 named "0" to "9"
function d.data.digits() end

--- Emoji with their English names: 1,870 pictures of Noto Color Emoji (Google, SIL Open Font
--- License 1.1), without skin tones. They are read from Debian's packages
--- fonts-noto-color-emoji and unicode-data. A picture is in the middle of a white square,
--- averaged over areas. Those that the font doesn't have are left out.
---@param options? diffusion.data_emoji_options?
---@return diffusion.set|nil set x u8 [n,size,size,3], captions, groups as classes, subgroups; nil with a message
---@return string|nil message
function d.data.emoji(options) end

--- Fashion-MNIST (Xiao et al. 2017): 60,000 (test: 10,000) grey images 28 x 28 of 10 kinds of
--- clothes. The IDX files are read from `dir`, or else from $DIFFUSION_DATA, or else from
--- Debian's package.
---@param dir? string|diffusion.data_split_options|nil the folder; or the options
---@param options? diffusion.data_split_options?
---@return diffusion.set|nil set nil with a message if the files are missing
---@return string|nil message
function d.data.fashion_mnist(dir, options) end

--- A set of the PNG and JPEG pictures in a folder. Its sub-folders are the classes, numbered
--- from 1 in byte order of their names. A sub-folder without pictures keeps its number.
--- Without a picture in any sub-folder there are no classes. It is an error if a picture would
--- be left out. That happens outside the folders of classes, in deeper folders, and to other
--- formats. Names that begin with a dot are ignored. Links are followed, to each folder once
--- per class. A picture that can't be read is an error too. With captions, each picture has a
--- text, and `.captions` of the batches has those of the last batch. With buckets, pictures
--- keep their shapes. Each is resized until it covers the nearest size of equal area, and a
--- batch has pictures of one size.
---@param dir string
---@param options? diffusion.data_folder_options?
---@return diffusion.set|nil set x u8 [n,H,W,C], or no x with buckets and with random crops; nil with a message
---@return string|nil message
function d.data.folder(dir, options) end

--- A set of images, with labels if a file is named, from IDX files (MNIST's format), gzipped
--- or not.
---@param images string path of [n,H,W] or [n,H,W,C] bytes
---@param labels? string|nil path of [n] bytes from 0; classes are one more
---@param options? diffusion.data_idx_options?
---@return diffusion.set|nil set nil with a message
---@return string|nil message
function d.data.idx(images, labels, options) end

--- A set from NumPy's files. A .npy file holds the examples. A .npz file holds them as x,
--- images or data. It may also hold their class (from 1), or their labels, label or y (from
--- 0). As with d.data.arrays, the file must not be truncated while the set is in use, unless
--- copy = true.
---@param path string
---@param options? diffusion.data_copy_options?
---@return diffusion.set|nil set x numbers [n,...], or u8 [n,H,W] or [n,H,W,C]; nil with a message
---@return string|nil message
function d.data.npy(path, options) end

--- Makes a set of tensors: `.x .class .eps .n .classes .names .name .captions`.
---@param options diffusion.data_set_options
---@return diffusion.set
function d.data.set(options) end

--- Toy sets: points in the plane with mean 0 and a variance of 1 over both coordinates. These
--- hold for the distribution, not for the sample. Point i depends on (seed, i) alone, so fewer
--- points are the first of more.
d.data.toy = {}

--- The black squares of a 4 x 4 board, with uniform density.
---@param n integer points
---@param options? diffusion.data_toy_checkerboard_options?
---@return diffusion.set x [n,2]
function d.data.toy.checkerboard(n, options) end

--- Eight normal distributions around a circle, each a class.
---@param n integer points
---@param options? diffusion.data_toy_eight_gaussians_options?
---@return diffusion.set x [n,2], classes 1 to 8
function d.data.toy.eight_gaussians(n, options) end

--- Two half moons, each a class.
---@param n integer points
---@param options? diffusion.data_toy_moons_options?
---@return diffusion.set x [n,2], classes 1 and 2
function d.data.toy.moons(n, options) end

--- Two interleaved spirals, each a class. The radius equals the angle, up to 3 pi, and is
--- uniform in r^2.
---@param n integer points
---@param options? diffusion.data_toy_spiral_options?
---@return diffusion.set x [n,2], classes 1 and 2
function d.data.toy.spiral(n, options) end

--- A spiral whose radius equals its angle, from 1.5 pi to 4.5 pi.
---@param n integer points
---@param options? diffusion.data_toy_swiss_roll_options?
---@return diffusion.set x [n,2]
function d.data.toy.swiss_roll(n, options) end

--- The diffusion transformer of Peebles & Xie 2023 for images {B, H, W, C}. Patches are tokens
--- with fixed sines and cosines of their places. The shifts, scales and gates of its blocks
--- are linear in time and class (adaLN-Zero). The network starts at 0, and each block as the
--- identity. Other H and W may be used too, if the patch divides them.
---@param options diffusion.dit_options
---@return diffusion.model
function d.dit(options) end

--- DiTTransformer2DModel of diffusers, by the options of its config. It is a diffusion
--- transformer for images {B, H, W, C}, conditioned on a class. A missing class, or 0, is the
--- table's last row. Other H and W may be used too, if the patch divides them.
---@param options? diffusion.dittransformer2d_options?
---@return diffusion.model
function d.dittransformer2d(options) end

--- d.edit: pictures edited by an unmodified diffusion model. Each function takes one table of
--- options, and returns a plan of its steps, which can be printed.
d.edit = {}

--- Pictures similar to given ones: x0 is noised to a level by q(x_t | x0), and sampled from
--- there (Meng et al. 2022). With the same seed, sample k is the same alone or in a batch.
--- Give one of start and strength, as for edit.plan. A strength of 1 starts at T, or at the
--- last level at which a process that predicts eps or score unclipped can predict x0.
---@param options diffusion.edit_img2img_options
---@return diffusion.tensor x as x0
---@return diffusion.plan plan with evaluations
function d.edit.img2img(options) end

--- Pictures between a and b. By noise (Ho et al. 2020, sec. 4.3), both are noised to the level
--- `at` with the same noise, mixed as (1 - u) x_t + u x'_t, and sampled from there. By
--- inversion, both are inverted as by edit.invert, mixed by edit.slerp, and sampled by ddim. u
--- = 0 and 1 then return a and b.
---@param options diffusion.edit_interpolate_options
---@return diffusion.tensor x {B n, ...}: the n of the first pair, of the second, ...
---@return diffusion.plan plan with evaluations of the sampling
function d.edit.interpolate(options) end

--- The noise x_t from which ddim draws x0: ddim's steps backwards, each solved to a tolerance
--- (Song et al. 2021, "Denoising diffusion implicit models", sec. 4.3). Guidance above 1, or a
--- model that changes fast with x, can keep the residual above the tolerance. The report says
--- so. With exact = false a step is explicit, and the error falls as 1/steps. Beyond SNR
--- 3.7e-5 float32 holds too little of x0.
---@param options diffusion.edit_invert_options
---@return diffusion.tensor xt {B, ...}; d.sample{ init = xt, sampler = "ddim", grid = report.grid } comes back
---@return diffusion.inversion report
function d.edit.invert(options) end

--- The start and the steps of an edit, before it runs. It has exactly the given number of
--- steps, from exactly the given level. Give one of start and strength.
---@param options diffusion.edit_plan_options
---@return diffusion.plan
function d.edit.plan(options) end

--- Repaints the part that isn't kept, consistently with the kept part (Lugmayr et al. 2022,
--- algorithm 1). After each reverse step the kept part is x0 noised to the step's level with
--- independent noise, and after the last step x0 itself. Jumps back of `jump` steps by q(x_t |
--- x_s) repeat each stretch `resample` times. Every step then starts without the solver's
--- history.
---@param options diffusion.edit_repaint_options
---@return diffusion.tensor x as x0, and x0 itself where it is kept
---@return diffusion.repaint_plan plan with evaluations
function d.edit.repaint(options) end

--- The steps and levels of RePaint, before it runs.
---@param options diffusion.edit_repaint_plan_options
---@return diffusion.repaint_plan
function d.edit.repaint_plan(options) end

--- The point between a and b on the great circle, per sample: sin((1 - u) theta)/sin theta a +
--- sin(u theta)/sin theta b with theta the angle between them (Shoemake 1985). It keeps the
--- norm of noise. If sin theta < 1e-6 it is (1 - u) a + u b. u may lie outside 0..1.
---@param a diffusion.tensor {B, ...}
---@param b diffusion.tensor as a
---@param u number|number[] 0 is a and 1 is b; a list has one for each sample
---@return diffusion.tensor as a
function d.edit.slerp(a, b, u) end

--- The networks of EDM (Karras et al. 2022) for images {B, H, W, C}: SongUNet and
--- DhariwalUNet. model(x, c_noise) is the raw network; d.precondition(model, process) is a
--- denoiser. d.hub.load finds the options for a file.
---@param options diffusion.edm_options
---@return diffusion.model
function d.edm(options) end

--- A running average of a model's values. It is a denoiser like the model. d.adamw takes one
--- or a list, and updates them at each step: average = r average + (1 - r) values. The first
--- update copies the values. After k updates, the option decay determines r. A number gives
--- min(decay, (1 + k) / (10 + k)), or with warmup = false the number itself. {"warmup"} gives
--- 1 - (1 + k/inv_gamma)^-power, at most max. {"half_life", steps =} gives 0.5^(1 / min(steps,
--- ramp k)) (Karras et al. 2022). Divide a half-life in images by the batch size. ramp =
--- math.huge turns the ramp off. {"power"} gives (k / (k + 1))^(gamma + 1). A value's weight
--- grows as a power of its time, and has the relative width sigma_rel below 12^-1/2 (Karras et
--- al. 2024, algorithm 2). A function takes the number of the update, k + 1. d.help
--- "half_life" shows the options of a kind.
---@param of diffusion.model
---@param options? diffusion.ema_options?
---@return diffusion.ema
function d.ema(of, options) end

--- The same process with the best variance for a given network (Bao et al. 2022, theorem 1).
--- That is the posterior's plus c0^2 times the mean squared error of the predicted x0. It
--- takes one pass over the samples, each noised to one of the levels in turn. Between levels
--- ln of the error is linear in ln SNR. The error is that of the clipped x0, which samplers
--- use. It is saved in model files. The variance lies between the posterior's and (a_s/a_t)^2
--- times q's.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process
---@param x0 diffusion.tensor|diffusion.set samples {n, ...}, one a level or, with rounds, fewer; u8 become floats
---@param options? diffusion.estimate_variance_options?
---@return diffusion.process
function d.estimate_variance(model, process, x0, options) end

--- The identity matrix.
---@param n integer
---@param opts? diffusion.dtype_options
---@return diffusion.tensor {n,n}
function d.eye(n, opts) end

--- Creates a tensor from the bytes of a string, in the byte order of this machine. It is an
--- error if their number does not match the shape.
---@param bytes string
---@param shape integer[]
---@param dtype? string as d.tensor
---@return diffusion.tensor
function d.frombytes(bytes, shape, dtype) end

--- A tensor filled with one number.
---@param shape integer|integer[] a single number is a shape of one dimension
---@param value number an integer for i64
---@param opts? diffusion.dtype_options
---@return diffusion.tensor
function d.full(shape, value, opts) end

--- A separate source of random numbers. g:randn, g:rand, g:bernoulli, g:randint and g:randperm
--- are like the functions of d; g:state() and g:set_state(text) save and restore it. Kind
--- "torch" gives the numbers of PyTorch's CPU generator for the same seed. These are the
--- float32 numbers of torch.randn and torch.rand, tensor.bernoulli_(p), torch.randint (whose
--- high end is exclusive) and torch.randperm (which counts from 0).
---@param opts? diffusion.generator_options
---@return diffusion.generator
function d.generator(opts) end

--- The gradient of the first result of `fn` (one element) with respect to each float tensor
--- among its arguments. Parameters are constants: `p.grad` isn't changed. As with d.record, a
--- coroutine that yields within `fn` must be resumed, or closed, before others compute. Some
--- functions have points without a derivative. It is 0 there for norm, std, abs, relu and l1
--- at 0, and for rows of softmax and similar functions that are all -inf. Ties in max, min,
--- maximum and minimum share the gradient. Clamp passes gradients on at its bounds. sqrt, log
--- and powers below 1 give inf at 0.
---@param fn function
---@param ... any its arguments
---@return any ... one gradient for each float tensor, then what fn returned, detached
function d.grad(fn, ...) end

--- Compares the gradient of the sum of `fn(...)` with central differences.
---@param fn function (inputs...) -> tensor
---@param inputs table list of tensors; other values are passed on
---@param options? diffusion.gradcheck_options?
---@return boolean ok
---@return number worst the largest difference, relative to max(1, |gradient|)
function d.gradcheck(fn, inputs, options) end

--- d.grid: the times that a sampler visits. A grid is a list of steps {t, s}, later time
--- first, and every sampler takes any grid. This file has all grids by name, and lists of your
--- own.
d.grid = {}

--- Quantiles of a Beta distribution, dense at both ends for alpha, beta < 1 (Lee et al. 2024,
--- Beta sampling). With of = "t" it takes the quantiles of 1, 1 - 1/N, ..., 1/N as the share
--- of the way from 1 to T, and times are real unless rounded. With of = "sigma" it takes those
--- of 1, ..., 0 in equal steps as the share of the way from sigma_min to sigma_max, as
--- diffusers does. Only of = "sigma" has options sigma_min and sigma_max.
---@param source diffusion.process|diffusion.schedule|integer T alone is enough for of = "t"
---@param N integer number of steps
---@param o? diffusion.grid_beta_options?
---@return diffusion.grid
function d.grid.beta(source, N, o) end

--- ln sigma in equal steps from sigma_max to sigma_min: a geometric sequence.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o? diffusion.grid_exponential_options?
---@return diffusion.grid
function d.grid.exponential(source, N, o) end

--- Levels of sigma in equal steps of its rho-th root, from sigma_max to sigma_min, as real
--- times (Karras et al. 2022, eq. 5). A single step starts at sigma_max.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o? diffusion.grid_karras_options?
---@return diffusion.grid
function d.grid.karras(source, N, o) end

--- 1 + (N-1) k, ..., 1 + k, 1 with k = floor(T/N). The first step starts below T (Song et al.
--- 2021).
---@param source diffusion.process|diffusion.schedule|integer
---@param N integer number of steps, 1..T
---@param o? diffusion.grid_leading_options?
---@return diffusion.grid
function d.grid.leading(source, N, o) end

--- From T to 1 in N equal steps, rounded (half up).
---@param source diffusion.process|diffusion.schedule|integer
---@param N integer number of steps, 1..T; a single step starts from T
---@param o? diffusion.grid_linspace_options?
---@return diffusion.grid
function d.grid.linspace(source, N, o) end

--- A grid of your own times, strictly falling within 0 < t <= T. A final 0 may be given or
--- omitted.
---@param source diffusion.process|diffusion.schedule|integer
---@param times number[] real levels if the schedule has them
---@param o? diffusion.grid_list_options?
---@return diffusion.grid
function d.grid.list(source, times, o) end

--- ln SNR in equal steps between two levels of the schedule (Lu et al. 2022, DPM-Solver). ln
--- SNR is -2 ln sigma, so this equals exponential, but its ends are given as times.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o? diffusion.grid_log_snr_options?
---@return diffusion.grid
function d.grid.log_snr(source, N, o) end

--- The names of grids that take a number of steps, sorted. d.grid.presets() has more.
---@return string[]
function d.grid.names() end

--- ln sigma falls from sigma_max to sigma_min as (1 - u)^rho, with u in equal steps (Crowson's
--- k-diffusion). If rho > 1, more steps are near sigma_min. rho = 1 is exponential.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o? diffusion.grid_poly_exponential_options?
---@return diffusion.grid
function d.grid.poly_exponential(source, N, o) end

--- A grid as another library makes it, by the library's name and its option's. The presets of
--- diffusers begin with "diffusers-": leading, leading-offset1, trailing, linspace: DDPM,
--- DDIM, PNDM; euler-linspace: Euler, Heun and LMS, which don't round, and interpolate sigma
--- linearly; karras, exponential, beta: Euler, Heun, LMS, between the ends that `spacing`
--- gives; dpm-leading, dpm-trailing, dpm-linspace: DPMSolver, UniPC, DEIS, SA, with N + 1
--- points and one dropped; dpm-karras, dpm-exponential, dpm-lu, dpm-beta: the same, between
--- the schedule's ends; flow, flux, unipc-flow, dpm-flow, flow-shifted-twice: on
--- d.schedule.flow{ shift = }. FlowMatchEuler is flow-shifted-twice. Others are
--- guided-diffusion and guided-diffusion-ddim (timestep_respacing "N" and "ddimN"),
--- lucidrains, lcm, ddim-quadratic (the paper's) and ddim-repo-quadratic. edm has sigma from
--- 0.002 to 80, within the schedule's. k-diffusion's begin with "k-diffusion-": karras,
--- exponential, polyexponential, vp, discrete. stable-diffusion.cpp's begin with "sd.cpp-":
--- discrete, simple, sgm-uniform, karras, exponential. Levels have the library's sigmas. For
--- the curves of "diffusers-dpm-" the network is evaluated at whole times, as in DPMSolver
--- (the grid's field `told`).
---@param name string one of d.grid.presets()
---@return fun(source: diffusion.process|diffusion.schedule|integer, N: integer, options: diffusion.grid_preset_options?): diffusion.grid make with last = 1 as diffusers' set_alpha_to_one = false and final_sigmas_type = "sigma_min". Other presets take the options of our grid of that name.
function d.grid.preset(name) end

--- The names of all presets, sorted.
---@return string[]
function d.grid.presets() end

--- floor(T j^2 / N^2) for j = N, ..., 1: most steps are at low noise (Song et al. 2021, sec.
--- D.2). The earliest times, for which that would repeat a level, are j itself.
---@param source diffusion.process|diffusion.schedule|integer
---@param N integer number of steps, 1..T
---@param o? diffusion.grid_quadratic_options?
---@return diffusion.grid
function d.grid.quadratic(source, N, o) end

--- Cuts T into equal sections, one per number, the earliest first. Each number is the number
--- of steps of its section, from its first level to its last, rounded half to even. It is the
--- `timestep_respacing` in the code of Dhariwal & Nichol 2021. "ddimN" is 1, 1 + k, ... with
--- the smallest whole k that gives N steps. A section of one step has its first level:
--- section(T, 1) starts from t = 1.
---@param source diffusion.process|diffusion.schedule|integer
---@param sections string|integer[]|integer "10,15,20", {10, 15, 20}, 25 or "ddim25"
---@param o? diffusion.grid_section_options?
---@return diffusion.grid
function d.grid.section(source, sections, o) end

--- A grid of your own sigmas, strictly falling within those of levels 1..T. A final 0 may be
--- given or omitted.
---@param source diffusion.process|diffusion.schedule
---@param values number[]
---@param o? diffusion.grid_sigmas_options?
---@return diffusion.grid
function d.grid.sigmas(source, values, o) end

--- T, T - T/N, ..., T/N, rounded (half up). It starts from pure noise (Lin et al. 2024, table
--- 2).
---@param source diffusion.process|diffusion.schedule|integer a process, a schedule, or its T
---@param N integer number of steps, 1..T
---@param o? diffusion.grid_trailing_options?
---@return diffusion.grid
function d.grid.trailing(source, N, o) end

--- Guidance: functions from denoisers to a denoiser. They can be nested.
d.guidance = {}

--- A denoiser guided by a weaker version of itself: weak + scale (model - weak). See Karras et
--- al. 2024, "Guiding a diffusion model with a bad version of itself". Both get the same
--- arguments.
---@param model any a denoiser (xt, t, {class=})
---@param weak any another denoiser with the same target and process
---@param options diffusion.guidance_auto_options
---@return function denoiser
function d.guidance.auto(model, weak, options) end

--- A guided denoiser, u + scale (c - u): c is conditioned on the class and u is not (Ho &
--- Salimans 2022, eq. 6). The deviation that `rescale` restores is that of the prediction, so
--- results differ between eps and v.
---@param model any a denoiser (xt, t, {class=})
---@param options diffusion.guidance_cfg_options
---@return function denoiser
function d.guidance.cfg(model, options) end

--- A denoiser for CFG++ (Chung et al. 2024, algorithm 2). It returns u + scale (c - u), from
--- which samplers compute x0, and u, from which they compute eps. c is conditioned on the
--- class and u is not. It works with ddim, euler, euler_ancestral and your own samplers;
--- others refuse it. A caller that uses only the first output gets cfg's, so apply cfg_pp
--- last, around other guidances.
---@param model any a denoiser (xt, t, {class=})
---@param options diffusion.guidance_cfg_pp_options
---@return function denoiser
function d.guidance.cfg_pp(model, options) end

--- A denoiser guided by a classifier of noisy x (Dhariwal & Nichol 2021, algorithm 2): scale
--- times the gradient of log_prob is added to the score. The gradient is with respect to x
--- alone, and parameters' .grad is not changed. Samples of class 0, and calls without a class,
--- are not guided. An unconditional network is called without the class.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process
---@param log_prob function (xt, t, class) -> ln p(class | xt), {B}
---@param options? diffusion.guidance_classifier_options?
---@return function denoiser
function d.guidance.classifier(model, process, log_prob, options) end

--- A denoiser guided down an energy: -scale times its gradient with respect to x_t is added to
--- the score. With of = "x0" it is the energy of the predicted x0, unclipped, and the gradient
--- goes through the denoiser (Chung et al. 2023, algorithm 1). Parameters' .grad is not
--- changed.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process
---@param energy function (x, t, {class=}) -> {B}, or a sum over the samples; x is x_t or x0
---@param options? diffusion.guidance_gradient_options?
---@return function denoiser
function d.guidance.gradient(model, process, energy, options) end

--- Prints what there is (no argument), a guide, or what is written about a name, a function,
--- or the methods of a thing.
---@param what? any a name ("q_sample", "d.lr.cosine"), a guide ("samplers", "guide data"; "guides" lists them), a function, a table such as d.schedule, or a tensor, model, schedule, process, ...
function d.help(what) end

--- d.hub: models and schedulers of other libraries.
d.hub = {}

--- Opens a model that others trained. It may be a folder of diffusers: one with
--- model_index.json, or config.json of one component. It may be a name in the cache of
--- huggingface_hub. Or it is a PyTorch or safetensors file of guided-diffusion,
--- improved-diffusion, DiT, denoising-diffusion-pytorch, EDM, or of TAESD, whose other half
--- must lie next to it. Or it is one of Stable Diffusion in latent diffusion's form, also as
--- GGUF. Nothing is fetched. Weights are windows on mapped files, so a model opens at once;
--- d.adamw and d.ema copy them to f32 first. Components that the pipeline doesn't need are
--- passed over. The keys of a file tell sizes. Options that they don't tell are asked for:
--- image, heads, schedule and so on.
---@param path string a folder, or a name as "google/ddpm-cifar10-32"
---@param options? diffusion.hub_load_options?
---@return diffusion.pipe|nil pipe nil with a message
---@return string|nil message
function d.hub.load(path, options) end

--- Writes a folder that diffusers opens with from_pretrained: configs, weights and
--- model_index.json. A network of this library's own, d.unet, is written as a UNet2DModel if
--- that class can express it. Its classes keep their numbers less one, and a last row of zeros
--- stands for no class. An interrupted save leaves the old folder, or one that no program
--- opens.
---@param dir string
---@param parts any a pipe; a network, or an average of one, alone; or the options with a unet
---@param options? diffusion.hub_save_options? for a pipe or a network: variant, dtype, max_shard_size
---@return true|nil done nil with a message if it can't be written, or can't be expressed
---@return string|nil message
function d.hub.save(dir, parts, options) end

--- A scheduler of diffusers, by its config. The sampler, the grid and the denoiser wrap(model)
--- do what the class does with these options; d.help "schedulers" says where they don't. wrap
--- shows the network diffusers' timestep, which is our t - 1 or another, and its scale of x.
--- Options that the class doesn't know are ignored, as diffusers does. Without steps, grid is
--- a function for the option `grid` of d.sample. facts has diffusers' timesteps, the factor
--- `start` of the noise at the first step, and unit = "sigma" if diffusers' samples are x/a.
---@param config table|string a table with _class_name, the path of a scheduler_config.json, or its folder
---@param options? diffusion.hub_scheduler_options?
---@return diffusion.process|nil process nil with a message if the config can't be followed
---@return table|string sampler
---@return diffusion.grid|function grid
---@return fun(model: any): any wrap
---@return table facts {class, timesteps, start, unit, upward}
function d.hub.scheduler(config, options) end

--- The mean of the Huber loss (Huber 1964) of e = a - b: e^2/2 if |e| <= delta, else delta
--- (|e| - delta/2).
---@param a diffusion.tensor
---@param b diffusion.tensor the same shape
---@param over? string "sample" for one mean per sample
---@param opts? diffusion.huber_options
---@return diffusion.tensor a number, or {B}
function d.huber(a, b, over, opts) end

--- Pictures: reads and writes files, also animated ones, makes grids, and draws in a terminal.
--- A picture is a tensor [H,W,C] of numbers as in picture.lua. A batch has one more dimension
--- in front.
d.image = {}

--- Writes pictures as an animated PNG, whole or not at all. Browsers play it, and other
--- programs show the first frame. Frames share size and channels.
---@param path string ends in .png
---@param frames diffusion.tensor|table [F,H,W,C], or a list of [H,W,C] or of batches [B,H,W,C], each made one by image.grid; bytes, whole numbers 0..255 or floats in [-1, 1] (clamped), C in 1..4
---@param options? diffusion.image_animate_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function d.image.animate(path, frames, options) end

--- The text that image.show writes.
---@param x diffusion.tensor [H,W,C] or [B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]
---@param options? diffusion.image_draw_options?
---@return string
function d.image.draw(x, options) end

--- Pictures in a grid, row by row. Unused places and the gaps are black.
---@param x diffusion.tensor [B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]
---@param options? diffusion.image_grid_options?
---@return diffusion.tensor picture [rows (H+pad) + pad, columns (W+pad) + pad, C] of x's type (i64: u8), H and W scaled
function d.image.grid(x, options) end

--- The description of a picture file, without decoding its pixels. Its text has the file's
--- bytes. print and d.pp show characters that could control a terminal as escapes.
---@param path string
---@return table|nil info { height, width, channels, format, text = {key = value} }, and orientation, 2 to 8, if EXIF turns the picture: height and width are those of the upright one; nil with a message
---@return string|nil message
function d.image.info(path) end

--- Reads a picture, turned upright as its EXIF says. 16 bits per channel are rounded to 8.
---@param path string a PNG or a JPEG
---@param options? diffusion.image_load_options?
---@return diffusion.tensor|nil x floats [H,W,C] in [-1, 1]; nil with a message
---@return string|nil message
function d.image.load(path, options) end

--- A picture file's pixels as bytes. 16 bits per channel are rounded to 8. Gamma and colour
--- spaces in the file are ignored: values are returned as stored. A palette and inks (CMYK, as
--- Adobe writes them) become RGB.
---@param path string a PNG (grey, RGB, palette, alpha, up to 16 bits a channel) or a JPEG
---@param channels? integer|nil 1 grey or 3 RGB (transparent over white); as the file has them if not given
---@param options? diffusion.image_read_options?
---@return diffusion.tensor|nil x u8 [H,W,C], C in 1..4; nil with a message
---@return string|nil message
function d.image.read(path, channels, options) end

--- Writes a picture as PNG, whole or not at all.
---@param path string ends in .png
---@param x diffusion.tensor [H,W,C] or [1,H,W,C], bytes, whole numbers 0..255 or floats in [-1, 1] (clamped), C in 1..4
---@param options? diffusion.image_save_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function d.image.save(path, x, options) end

--- Draws in the terminal, with two pixels per character in 24-bit colour or 256 colours.
--- Without colours, with NO_COLOR or without a terminal it draws with letters.
---@param x diffusion.tensor [H,W,C] or [B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]
---@param options? diffusion.image_draw_options?
function d.image.show(x, options) end

--- The numbers of a picture as bytes 0..255. Floats in [-1, 1] are rounded, and those outside
--- are clamped. Whole numbers must be in 0..255. Bytes are returned unchanged. nan, infinity,
--- floats from 0 to beyond 4 and other whole numbers are errors.
---@param x diffusion.tensor u8, i64 or floats of any shape
---@return diffusion.tensor u8
function d.image.to_bytes(x) end

--- The numbers of a picture as floats v/127.5 - 1 in [-1, 1]. The numbers may be bytes, or
--- whole numbers 0..255, which for example `255 - x` gives for bytes. Floats are returned
--- unchanged.
---@param x diffusion.tensor u8, i64 or floats of any shape
---@return diffusion.tensor
function d.image.to_float(x) end

--- The version and the machine in a few lines.
---@return string
function d.info() end

--- The mean of |a - b|.
---@param a diffusion.tensor
---@param b diffusion.tensor the same shape
---@param over? string "sample" for one mean per sample
---@return diffusion.tensor a number, or {B}
function d.l1(a, b, over) end

--- The likelihood of data under a model: d.likelihood.vlb is a bound, term by term, and
--- d.likelihood.ode the density of its probability-flow ODE.
d.likelihood = {}

--- Returns -ln p(x0), the density of the model's probability-flow ODE (Song et al. 2021, score
--- SDE, eq. 39). The ODE takes x to noise in the angle atan(s/a), by adaptive steps of each
--- sample (as in the sampler rk45). The divergence of its field is integrated with it, and the
--- prior is evaluated at its end. The ODE can't start without noise, so it starts at level
--- `from`. The density is that of x0 + sigma eps with sigma = s/a there, evaluated at x0. For
--- the best denoiser the mean of -ln p is then the data's entropy plus KL(p || p with that
--- noise). That term is never negative, and falls as sigma^4 where p is smooth. (Song et al.
--- also use x0 as x at their first level.) At `to` the density is taken to be the prior's. The
--- error is due to the remains of x0 in x there. Up to 64 dimensions the divergence is exact,
--- with D gradients per evaluation. Beyond, it is Hutchinson's unbiased estimate from `probes`
--- vectors of -1 and 1. Bits per dimension are mean/(D ln 2) + c. Without dequantise c is 0.
--- With it, images have levels whose centres go from -1 to 1, as in d.image (y = x/127.5 - 1).
--- A uniform number within +-1/2 level is added, and c = log2(127.5) = 6.99435. With span =
--- "edges" they become y = (x + u)/128 - 1 with u in [0, 1), as in score SDE, and c =
--- log2(128) = 7.
---@param model function|table a denoiser, called as (xt, t, {class=}), without self-conditioning; gradients pass through it
---@param process diffusion.process its clip is not applied here
---@param x0 diffusion.tensor {B, ...}
---@param options? diffusion.likelihood_ode_options?
---@return diffusion.likelihood likelihood {nats = {B}, mean, error, bits, bits_error, constant, D, divergence, evaluations, from, to}: error is the standard error of mean, and an evaluation includes the gradients for the divergence
function d.likelihood.ode(model, process, x0, options) end

--- The variational bound on -ln p(x0) of a model's reverse process (Ho et al. 2020, eq. 5), by
--- term. The prior's term is L_T = KL(q(x_T | x_0) || p(x_T)). The terms of steps are
--- KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) for t = 2..T, and the decoder's is -ln p(x_0
--- | x_1). L_T is exact; the others are means with one noise for each sample and t. At t = 1
--- the posterior has no variance, so that of t = 2 is used, as in the code of Ho et al. 2020.
--- A learned variance, or a variance function that is above 0 at (1, 0), is used as it is. x0'
--- isn't clipped by default, since clipped means are not those of the model's reverse process.
--- Nor is the model conditioned on its own x0 (self_condition), since its steps would then
--- depend on more than x_t. Images are levels of [-1, 1], and the unit is bits per dimension:
--- a bound on the length of a code for the levels. For continuous data use decoder =
--- "gaussian", the density N(x0; x0', variance). The unit is then nats per sample, comparable
--- to an entropy.
---@param model function|table a denoiser, called as (xt, t, {class=}); its output is twice as wide if the process's variance is learned, and the variance is then per element
---@param process diffusion.process
---@param x0 diffusion.tensor {B, ...}
---@param options? diffusion.likelihood_vlb_options?
---@return diffusion.bound bound {total, error, prior, steps, decoder, errors = {prior, steps, decoder}, terms = { {t, from, to, value, error}, ... }, per_sample = {B}, samples, D, unit}. value is the mean of the terms of from..to. error is a standard error that includes the samples, their noise and the choice of t. total, steps and per_sample are nil if terms are missing
function d.likelihood.vlb(model, process, x0, options) end

--- Linear algebra for small matrices, by LAPACK in double. Lists and f64 tensors are read
--- exactly. Results are reals.
d.linalg = {}

--- The lower factor L of a = L L^T. No gradient.
---@param a diffusion.tensor|number[][] {n,n}; must be symmetric and positive definite; the error names the first leading minor that is not positive
---@return diffusion.tensor {n,n}, zeros above the diagonal
function d.linalg.cholesky(a) end

--- Eigenvalues and eigenvectors of a symmetric matrix, by LAPACK in double. No gradient.
---@param a diffusion.tensor|number[][] {n,n}; must be symmetric and finite
---@return diffusion.tensor values {n}, ascending
---@return diffusion.tensor vectors {n,n}, of unit length, in columns
function d.linalg.eigh(a) end

--- Solves a x = b by elimination in double. No gradient.
---@param a diffusion.tensor|number[][] {n,n}; a singular matrix is an error
---@param b diffusion.tensor|number[]|number[][] {n} or {n,m}
---@return diffusion.tensor as b
function d.linalg.solve(a, b) end

--- n equally spaced numbers, both ends included.
---@param first number
---@param last number
---@param n integer 1 or more
---@return diffusion.tensor {n}
function d.linspace(first, last, n) end

--- Reads a safetensors file, or all shards that an index file (model.safetensors.index.json)
--- lists, or a PyTorch file (.pt, .pth, .bin, .ckpt), or a GGUF file. A tensor is a window on
--- the mapped file, so a large file costs nothing until it is used. A tensor that must be
--- converted, or that isn't aligned, is read when it is first asked for. Writing to a tensor
--- doesn't change the file. If another program truncates the file meanwhile, this one ends
--- (SIGBUS). Replacing the file, as d.save does, is safe. With copy = true the file is read
--- into memory. Other integers and BOOL are widened to i64. F8 types become f16, and F8_E8M0
--- becomes f32. Types that no tensor holds (C64, F4, F6, U64 above i64) are listed by pairs,
--- with dtype() and shape(). Reading one by its name is an error. The second result of a
--- PyTorch file has its numbers, texts and booleans by name. Nothing in the file is run.
--- Reading a value of an unknown Python class by its name is an error. A file of one tensor
--- gives that tensor, and a file of a list of tensors gives the list. The second result of a
--- GGUF file has its facts. Tensors of its types Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 stay as they
--- are stored: they have a shape and windows, and networks read them. x:to "f32" makes numbers
--- of them.
---@param path string
---@param options? diffusion.load_options?
---@return table<string, diffusion.tensor>|nil tensors nil with a message if it isn't a good file
---@return table<string, string>|string metadata or the message
function d.load(path, options) end

--- Reads a model file (model:save) as a network with its values, and its process (nil if it
--- has none). The file is mapped while it is read. If another program truncates the file
--- meanwhile, this one ends (SIGBUS). With copy = true it is read into memory first.
---@param path string a file, or, if there is none of that name, a network that comes with the library: "digits" (8x8 pixels, classes 1 to 10 are the digits 0 to 9)
---@param options? diffusion.load_model_options?
---@return diffusion.model|nil model nil with a message if it isn't a good model file
---@return diffusion.process|string|nil process or the message
function d.load_model(path, options) end

--- Opens a pipe, which draws images: one that comes with the library, by its name, or a
--- folder, as d.hub.load does.
---@param name string "digits", "emoji" (texts to pictures), a folder, or a name in the cache of huggingface_hub
---@param options? diffusion.hub_load_options? for a folder
---@return diffusion.pipe|nil pipe nil with a message
---@return string|nil message
function d.load_pipeline(name, options) end

--- Learning rates: functions from the number of a step, counted from 1, to a rate.
d.lr = {}

--- One rate for every step, after a linear warm-up.
---@param options diffusion.lr_constant_options
---@return function step -> rate
function d.lr.constant(options) end

--- Half a cosine from peak to floor at step `total` (Loshchilov & Hutter 2017, eq. 5).
---@param options diffusion.lr_cosine_options
---@return function step -> rate
function d.lr.cosine(options) end

--- A straight line from peak to floor at step `total`, after a linear warm-up.
---@param options diffusion.lr_linear_options
---@return function step -> rate
function d.lr.linear(options) end

--- A linear warm-up of `warmup` steps, the first of which has peak/warmup, then half a cosine
--- from peak to floor at step `total`.
---@param options diffusion.lr_warmup_cosine_options
---@return function step -> rate
function d.lr.warmup_cosine(options) end

--- The UNet of lucidrains' denoising-diffusion-pytorch for images {B, H, W, C}. Options that
--- its constructor doesn't have describe older versions. d.hub.load finds them for a file.
---@param options diffusion.lucidrains_options
---@return diffusion.model
function d.lucidrains(options) end

--- Seeds all draws of this Lua state: tensors, first values, data, samples, dropout and an
--- objective's t and eps. All counters restart. Metrics, likelihoods, estimate_variance and
--- other measures have an option seed = 1 instead, so that two of them agree.
---@param seed integer
function d.manual_seed(seed) end

--- The bytes of tensors: live, their peak, kept for reuse (pooled), and the limit (0: none).
--- Also the number of blocks, and how often memory was obtained from the system (fresh).
--- `packs` are the live bytes of packed weights, and `pack_budget` is their limit. Adopted
--- parameters on a mapped file are not counted.
---@return table memory {live, peak, pooled, limit, blocks, fresh, packs, pack_budget}
function d.memory() end

--- Sets an upper limit for the memory of tensors. Above it packed weights are dropped first.
--- Then an op collects garbage and retries once, then raises an error. A training step that
--- fails this way can be repeated. Weights are as before the step, and gradients are dropped.
---@param bytes integer 0: no limit
function d.memory_limit(bytes) end

--- Distances between two sets of samples, and other measures of samples. Nothing is
--- downloaded. Each returns a number. With interval = true it also returns a confidence
--- interval, the direction of the value's bias, and a p-value if there is a test.
d.metric = {}

--- The energy distance (Szekely & Rizzo 2013, eq. 2.2): 2 E|X-Y| - E|X-X'| - E|Y-Y'|. It is
--- zero only for equal distributions. Pairs of a sample with itself are omitted, so the
--- estimate is unbiased and may be slightly negative.
---@param x diffusion.tensor samples {n, ...}, n >= 2
---@param y diffusion.tensor samples {m, ...}, m >= 2
---@param options? diffusion.metric_energy_options?
---@return number
---@return diffusion.interval|nil about with p, the share of permutations that differ as much
function d.metric.energy(x, y, options) end

--- The fraction of images that d.metric.fashion_network recognises as the class they were
--- sampled for.
---@param x diffusion.tensor images {n,28,28,1} in [-1, 1]
---@param class diffusion.tensor|integer[]|integer the intended class of each, 1 to 10
---@param options? diffusion.metric_fashion_options?
---@return number
---@return diffusion.interval|nil about Wilson's; the network recognises about 92 % of the real test images
function d.metric.fashion_accuracy(x, class, options) end

--- The features that fashion_frechet compares, for any other metric of two sets.
---@param x diffusion.tensor images {n,28,28,1} in [-1, 1]
---@param options? diffusion.metric_fashion_features_options?
---@return diffusion.tensor {n,64}
function d.metric.fashion_features(x, options) end

--- The Frechet distance of images from Fashion-MNIST's 10,000 test images, or from other
--- images. It is computed in the 64 features of d.metric.fashion_network, so it can't be
--- compared with FID. It is biased upwards for few images: compare equal numbers, or the
--- extrapolated value of `interval`. A part of the test images themselves is nearer than fresh
--- images are.
---@param x diffusion.tensor images {n,28,28,1} in [-1, 1]
---@param y? diffusion.tensor|diffusion.metric_fashion_options|nil other images {m,28,28,1}, by default the test images' moments; or the options
---@param options? diffusion.metric_fashion_options?
---@return number
---@return diffusion.interval|nil about with bias and extrapolated
function d.metric.fashion_frechet(x, y, options) end

--- A classifier of Fashion-MNIST with 261,866 parameters. network(x) returns logits {n,10} and
--- features {n,64} of images {n,28,28,1} in [-1, 1].
---@param options? diffusion.metric_fashion_network_options?
---@return diffusion.model
function d.metric.fashion_network(options) end

--- The Frechet distance between the Gaussians that fit two sets of features (Heusel et al.
--- 2017, eq. 6; Dowson & Landau 1982): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It is
--- computed in double, from any number of samples from 2 on. A covariance that isn't positive
--- semidefinite is an error. The value is biased upwards. If both are alike the bias is about
--- D^2/4 (1/n + 1/m) times the features' variance. So compare only equal numbers of samples,
--- or extrapolated values. The interval is around the value for infinitely many samples,
--- estimated from halves of the sets (Chong & Forsyth 2020). So it may not contain the value
--- itself. Halves of fewer than 4 D samples don't determine it; the interval then reaches from
--- 0 to above the value. Given moments count as exact. It takes three times as long.
---@param x diffusion.tensor|table features {n, D}, or their moments {mean = {D}, cov = {D,D}, n =}
---@param y diffusion.tensor|table features {m, D}, or their moments
---@param options? diffusion.metric_frechet_options?
---@return number
---@return diffusion.interval|nil about with bias, its estimate, and extrapolated, the value minus the bias
function d.metric.frechet(x, y, options) end

--- The kernel inception distance (Bińkowski et al. 2018, eq. 4), on any features: the squared
--- maximum mean discrepancy of the kernel (x.y/D + 1)^3. It is unbiased for any number of
--- samples, and may be negative. The kernel isn't invariant: features farther from 0 have
--- larger values.
---@param x diffusion.tensor features {n, D}, n >= 2
---@param y diffusion.tensor features {m, D}, m >= 2
---@param options? diffusion.metric_kid_options?
---@return number
---@return diffusion.interval|nil about
function d.metric.kid(x, y, options) end

--- The fraction of samples that are unusually near to the training set. Unusually means nearer
--- than all but a small share of fresh data. On average the result is that share if nothing
--- was memorised. It is 1 if all samples are copies. The fresh data must have no copies of the
--- training set, and at least 100 samples. The interval has a useful lower end from 3 / share
--- fresh samples on. Exact copies need fewer.
---@param x diffusion.tensor samples {n, ...}
---@param train diffusion.tensor the model's training set {N, ...}, N >= 2
---@param held diffusion.tensor fresh data {m, ...}, m >= 1 / share
---@param options? diffusion.metric_memorisation_options?
---@return number share of x
---@return diffusion.interval|nil about with the interval; distance, the threshold; nearer, the probability that a sample is nearer than a fresh one (1/2 expected), with p (Meehan et al. 2020); alone and alone_held, the fractions of samples and of fresh data whose nearest is at most `ratio` times as far as their second (Yoon et al. 2023)
function d.metric.memorisation(x, train, held, options) end

--- The squared maximum mean discrepancy (Gretton et al. 2012, eq. 3): E k(X,X') + E k(Y,Y') -
--- 2 E k(X,Y) with k = exp(-|x-y|^2 / 2 h^2), averaged over several h. It is zero only for
--- equal distributions. Pairs of a sample with itself are omitted, so the estimate is unbiased
--- and may be slightly negative. Values compare only at the same bandwidth.
---@param x diffusion.tensor samples {n, ...}, n >= 2
---@param y diffusion.tensor samples {m, ...}, m >= 2
---@param options? diffusion.metric_mmd_options?
---@return number
---@return diffusion.interval|nil about with p, and the bandwidths that were used
function d.metric.mmd(x, y, options) end

--- The modes that samples cover: the fraction of modes with a sample near them, and the
--- fraction of samples near a mode. Near is within so many deviations along each axis of the
--- covariance. kl is the divergence KL(shares || weights) of the modes' shares from the true
--- weights, in nats, biased upwards by about (K - 1)/2n. In two dimensions, 98.9 % of a
--- Gaussian lie within 3 deviations; in more, fewer.
---@param x diffusion.tensor samples {n, ...}
---@param modes diffusion.tensor|diffusion.oracle centres {K,D}, or a mixture or Gaussian of d.oracle
---@param options? diffusion.metric_mode_coverage_options?
---@return {covered: number, near: number, kl: number, counts: number[]} kl is inf if no sample is near a mode
---@return table|nil about intervals of covered, near and kl by name; covered.unseen is the share that an unseen mode may have, at 95 %
function d.metric.mode_coverage(x, modes, options) end

--- Precision, the fraction of samples that are like data, and recall, the fraction of data
--- that samples are like (Kynkäänniemi et al. 2019), on any features. Around each sample a
--- ball reaches to its k-th neighbour in its own set. Precision is the fraction of x in a ball
--- of y, and recall that of y in a ball of x. density is the number of balls of y around a
--- sample of x, divided by k. coverage is the fraction of y with one of x in their ball.
--- Outliers change these two less (Naeem et al. 2020). All depend on n and m: compare equal
--- numbers.
---@param x diffusion.tensor samples {n, ...}, n > k
---@param y diffusion.tensor data {m, ...}, m > k
---@param options? diffusion.metric_precision_recall_options?
---@return {precision: number, recall: number, density: number, coverage: number}
---@return table|nil about an interval of each by name, with the other set's balls held fixed
function d.metric.precision_recall(x, y, options) end

--- The sliced Wasserstein-p distance (Bonneel et al. 2015) is (E W_p(u.X, u.Y)^p)^(1/p) over
--- directions u of length 1. Each W_p is exact. It is biased upwards like wasserstein1. Few
--- lines add no bias to its p-th power. An interval needs n and m of 2 or more. It goes down
--- to 0 if random labels often cost as much (p > 0.025).
---@param x diffusion.tensor samples {n, ...}
---@param y diffusion.tensor samples {m, ...}
---@param options? diffusion.metric_sliced_wasserstein_options?
---@return number
---@return diffusion.interval|nil about with p, the share of permutations that differ as much
function d.metric.sliced_wasserstein(x, y, options) end

--- The classifier two-sample test (Lopez-Paz & Oquab 2017). A small network is trained on half
--- of both sets. The value is its accuracy in telling which set a sample of the other halves
--- is from. It is 0.5 if both distributions are equal. It is at most 1/2 plus half their total
--- variation, and biased downwards from that, as the network is small and trained on few
--- samples. The larger set is cut to the size of the smaller. The same seed gives the same
--- bits. d.manual_seed's counters are restored.
---@param x diffusion.tensor samples {n, ...}, n >= 20
---@param y diffusion.tensor samples {m, ...}, m >= 20
---@param options? diffusion.metric_two_sample_options?
---@return number accuracy
---@return diffusion.interval|nil about with p, the exact probability of this accuracy at even odds
function d.metric.two_sample(x, y, options) end

--- The Wasserstein-1 distance of two sets of numbers, exact: the area between their empirical
--- distribution functions. As an estimate of the distance between the distributions it is
--- biased upwards, by about n^(-1/2) of their spread if both are equal. The interval is that
--- of del Barrio & Loubes (2019). It goes down to 0 if random labels often cost as much (p >
--- 0.025).
---@param x diffusion.tensor samples {n} or {n, 1}
---@param y diffusion.tensor samples {m} or {m, 1}
---@param options? diffusion.metric_wasserstein1_options?
---@return number
---@return diffusion.interval|nil about with p, the share of permutations that differ as much
function d.metric.wasserstein1(x, y, options) end

--- c1 x1 + c2 x2 + ... in one pass. Noising, posteriors, guidance and sampler updates use it.
---@param c1 number|number[]|diffusion.tensor one number, or one per sample {B}; computed in double
---@param x1 diffusion.tensor {B,...}
---@param ... any more pairs, at most 16 in all; each x has the same shape
---@return diffusion.tensor like x1
function d.mix(c1, x1, ...) end

--- A denoiser for points {B, dim}: residual blocks of two products, conditioned on the time by
--- an embedding.
---@param options? diffusion.mlp_options?
---@return diffusion.model
function d.mlp(options) end

--- The mean of (a - b)^2.
---@param a diffusion.tensor
---@param b diffusion.tensor the same shape
---@param over? string "sample" for one mean per sample (the first dimension)
---@return diffusion.tensor a number, or {B}
function d.mse(a, b, over) end

--- Your own network, written as a list of layers that the core runs. The model saves, loads
--- and runs like a built-in one. The file stores the list. Values in `adopt`, as for nn.model,
--- may be a part of the parameters: then a new head trains on a frozen network.
---@param options diffusion.network_options
---@return diffusion.model model called as model(x, t, {context=, ...})
function d.network(options) end

--- nn: layers, your own modules, and models that pack them.
d.nn = {}

--- Multi-head self-attention over tokens {B, N, width} or pixels {B, H, W, width}. It has no
--- residual connection: write x + attention(norm(x)).
---@param width integer
---@param options? diffusion.nn_attention_options?
---@return diffusion.layer layer, parts qkv and out
function d.nn.attention(width, options) end

--- Cross-correlation over images: {B, H, W, inp} -> {B, H', W', out}.
---@param inp integer channels in
---@param out integer channels out
---@param options? diffusion.nn_conv_options?
---@return diffusion.layer layer, fields weight {out, kernel, kernel, inp}, bias {out}
function d.nn.conv(inp, out, options) end

--- A 3x3 convolution of stride 2: {B, H, W, inp} -> {B, H/2, W/2, out}.
---@param inp integer channels in
---@param out? integer|nil channels out, inp if nil
---@param options? diffusion.nn_downsample_options?
---@return diffusion.layer layer, part conv
function d.nn.downsample(inp, out, options) end

--- Dropout (Srivastava et al. 2014). It acts only in d.record, and not after model:eval().
---@param probability? number? probability that an element is set to 0, in [0, 1); 0.5 if nil
---@return diffusion.layer
function d.nn.dropout(probability) end

--- A table of n rows. It maps whole numbers 1..n (0: zeros) of any shape to that shape with
--- width added.
---@param n integer rows
---@param width integer
---@param options? diffusion.nn_embedding_options?
---@return diffusion.layer layer, field weight {n, width}
function d.nn.embedding(n, width, options) end

--- x Phi(x), with Phi the normal distribution function. This is a layer: nn.sequence(a,
--- nn.gelu, b).
d.nn.gelu = {}

--- Group normalisation (Wu & He 2018) of {B, ..., channels}. It is called as layer(x [, e [,
--- m]]); see nn.norm_conv.
---@param channels integer
---@param options? diffusion.nn_group_norm_options?
---@return diffusion.layer layer, fields weight, bias {channels}
function d.nn.group_norm(channels, options) end

--- A custom op. `forward(...)` returns a tensor, and optionally any value that `backward`
--- needs. `backward(dy, kept, ...)` gets the gradient of the result, that value, and the
--- arguments. It returns a gradient or nil for each argument, and may write to dy. The value
--- and the arguments must not be changed between the two calls.
---@param forward function
---@param backward function
---@return function
function d.nn.guest(forward, backward) end

--- Layer normalisation (Ba et al. 2016) over the last dimension.
---@param width integer
---@param options? diffusion.nn_layer_norm_options?
---@return diffusion.layer layer, fields weight, bias {width}
function d.nn.layer_norm(width, options) end

--- y = x w^T + b over the last dimension: ..., inp -> ..., out.
---@param inp integer
---@param out integer
---@param options? diffusion.nn_linear_options?
---@return diffusion.layer layer, fields weight {out, inp}, bias {out}
function d.nn.linear(inp, out, options) end

--- A module of n parts made by `make(i)`, read as list[i]. Their names are numbers.
---@param n integer
---@param make function (i) -> layer or module
---@return table module
function d.nn.list(n, make) end

--- Low-rank adapters (Hu et al. 2021, eq. 3) on a model's linear layers and convolutions: a
--- layer's result becomes W x + (alpha / rank) B A x. A is drawn and B begins at 0, so the
--- model's output is unchanged at first. The model is frozen, and only the adapters train.
--- Attention that has one weight for q, k and v gets adapters for each:
--- "mid.attention.attention.q". Those of a k x k convolution are a k x k convolution to `rank`
--- channels and a 1 x 1 convolution. The model may be of any origin, and weights of a mapped
--- file stay there. A model can have several. With `load`, the layers, ranks and values are
--- those of a file, of diffusers, peft, kohya's scripts or Lora:save.
---@param of diffusion.model
---@param options? diffusion.nn_lora_options?
---@return diffusion.lora|nil lora nil with a message if the file in `load` doesn't fit
---@return string|nil message
function d.nn.lora(of, options) end

--- A model of a layer or a module: names its parameters and gives each its first value, drawn
--- from the seed (d.manual_seed) and its name. A shared layer appears once, under its first
--- path. Values in `adopt` are neither drawn nor copied: f32, f16 or bf16 of any strides, such
--- as windows on a file. They are frozen. model:unfreeze copies them to f32 first.
---@param root any a layer or a module
---@param options? diffusion.nn_model_options?
---@return diffusion.model
function d.nn.model(root, options) end

--- Defines a module. The builder fills it with layers, modules and a `forward`. Fields that
--- are layers or modules are its parts.
---@param name string shown when a model is printed
---@param builder function (m, ...) fills m; returns nothing
---@return function constructor (...) -> module
function d.nn.module(name, builder) end

--- conv(dropout(silu(group_norm(x)))) in one layer: the norm writes the convolution's operand
--- directly. It is called as layer(x [, add [, e [, m]]]). add is added to the result, and e
--- {B, inp} to each pixel of x before the norm. m {B, 2 inp} is a scale s and a shift t: norm
--- (1 + s) + t.
---@param inp integer channels in
---@param out integer channels out
---@param options? diffusion.nn_norm_conv_options?
---@return diffusion.layer layer, parts norm and conv
function d.nn.norm_conv(inp, out, options) end

--- A single parameter that begins as a copy of `tensor`. As a module's field it reads as the
--- trained tensor.
---@param tensor diffusion.tensor
---@return diffusion.layer
function d.nn.parameter(tensor) end

--- A layer or module whose intermediate values are recomputed in the backward pass instead of
--- being saved. A model or a function of tensors can be given too.
---@param part any
---@return any module with the one part, or a function
function d.nn.recompute(part) end

--- The residual block of Ho et al. 2020. It is norm_conv, plus linear(e) of an embedding, then
--- norm_conv with dropout, which starts at zero, plus x. x goes through a 1x1 convolution if
--- the channels differ. It is called as block(x, e): x {B, H, W, inp}, e {B, embed},
--- activated.
---@param inp integer channels in
---@param out integer channels out
---@param options? diffusion.nn_res_block_options?
---@return diffusion.layer layer, parts one, two, embed, skip
function d.nn.res_block(inp, out, options) end

--- A module that calls its parts in order. Parts may be plain functions. Intermediate results
--- are freed at the end of the call.
---@param ... any layers, modules or functions of one tensor
---@return table module
function d.nn.sequence(...) end

--- x / (1 + e^-x). This is a layer, not a constructor: nn.sequence(a, nn.silu, b).
d.nn.silu = {}

--- cos and sin of t times width/2 frequencies: t {B} -> {B, width}. The last number of an odd
--- width is 0.
---@param width integer
---@param options? diffusion.nn_sinusoid_options?
---@return diffusion.layer
function d.nn.sinusoid(width, options) end

--- Time (and class) as a vector for residual blocks: silu(linear(silu(linear(sinusoid(t)))) +
--- class row). It is called as embed(t, class).
---@param inp integer width of the sinusoid
---@param width integer width of the result
---@param options? diffusion.nn_time_embed_options?
---@return diffusion.layer layer, parts sinusoid, one, two, class
function d.nn.time_embed(inp, width, options) end

--- Nearest-neighbour upsampling, then a 3x3 convolution: {B, H, W, inp} -> {B, times H, times
--- W, out}.
---@param inp integer channels in
---@param out? integer|nil channels out, inp if nil
---@param options? diffusion.nn_upsample_options?
---@return diffusion.layer layer, part conv
function d.nn.upsample(inp, out, options) end

--- Runs `fn` with nothing recorded. As with d.record, a coroutine that yields within `fn` must
--- be resumed, or closed, before others compute.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
function d.no_grad(fn, ...) end

--- A loss for `d.record`. t and eps are drawn, and the error of the model's prediction at x_t
--- is weighted. Weights apply to the squared error of x0 and are converted to the prediction
--- target. Conditional flow matching and rectified flow are predict = "flow" on
--- d.schedule.flow with weighting = "uniform": the plain error of eps - x0 at x_t = (1 - t/T)
--- x0 + t/T eps. The default weighting counts eps the same at every t. With "vlb", T times the
--- loss is the sum of the bound's L_t.
---@param options diffusion.objective_options
---@return diffusion.objective objective (model, x0, {class=, eps=}) -> loss (one number), {t, eps, xt, per_sample}: t {B}, eps and xt as x0, per_sample {B} weighted
function d.objective(options) end

--- A tensor filled with ones.
---@param shape integer|integer[] sizes, or one list of them
---@param opts? diffusion.dtype_options
---@return diffusion.tensor
function d.ones(shape, opts) end

--- Distributions whose best denoiser E[x0 | xt] is known exactly. They replace a trained
--- network, so that a sampler's result, a loss or a likelihood can be compared with the truth.
--- Each draws samples, gives ln p of the data with and without noise, its entropy, and the
--- denoiser of a process.
d.oracle = {}

--- The uniform distribution on a box.
---@param options diffusion.oracle_box_options
---@return diffusion.oracle
function d.oracle.box(options) end

--- The squares of one colour of a board, with uniform density. By default it is that of
--- d.data.toy.checkerboard, or of another size. Grathwohl et al. 2019 (FFJORD) use size = 8,
--- with entropy ln 32. With noise the entropy is by quadrature.
---@param options? diffusion.oracle_checkerboard_options?
---@return diffusion.oracle
function d.oracle.checkerboard(options) end

--- A curve with noise: points(u) for uniform u in (0, 1), plus N(0, std^2). It is exact,
--- except for an error of about 1e-10 of its quadrature near the curve.
---@param options diffusion.oracle_curve_options
---@return diffusion.oracle
function d.oracle.curve(options) end

--- The distribution of d.data.toy.eight_gaussians, or of another size. Grathwohl et al. 2019
--- (FFJORD) have radius = 4/1.414, std = 0.5/1.414.
---@param options? diffusion.oracle_eight_gaussians_options?
---@return diffusion.oracle
function d.oracle.eight_gaussians(options) end

--- The empirical distribution of a data set: its n points with equal weights. Its best
--- denoiser is that of a network that has memorised the set. log_prob(x) is ln of the fraction
--- of points equal to x, -inf elsewhere. entropy() is that of the points as symbols, ln n if
--- all differ. With a level, log_prob is a density. With std each point becomes a Gaussian (a
--- kernel density estimate), and both are those of a density. In float32, points of 16
--- dimensions or more are compared by products, whose rounding changes weights by a factor of
--- exp(1e-7 |x| |y| / s^2).
---@param x diffusion.tensor|diffusion.set {n,...}; u8, and i64 {n,H,W,C}, become floats in [-1, 1]
---@param options? diffusion.oracle_empirical_options?
---@return diffusion.oracle
function d.oracle.empirical(x, options) end

--- A Gaussian.
---@param options diffusion.oracle_gaussian_options
---@return diffusion.oracle
function d.oracle.gaussian(options) end

--- A histogram on the line: uniform within each of K bins.
---@param options diffusion.oracle_histogram_options
---@return diffusion.oracle
function d.oracle.histogram(options) end

--- A mixture of K Gaussians, isotropic or with any covariances. In one or two dimensions its
--- entropy is computed by quadrature.
---@param options diffusion.oracle_mixture_options
---@return diffusion.oracle
function d.oracle.mixture(options) end

--- The distribution of d.data.toy.moons.
---@param options? diffusion.oracle_moons_options?
---@return diffusion.oracle
function d.oracle.moons(options) end

--- Independent blocks of coordinates: those of the first part, then of the second, ...
---@param parts diffusion.oracle[] one or more
---@return diffusion.oracle
function d.oracle.product(parts) end

--- The distribution of d.data.toy.spiral.
---@param options? diffusion.oracle_spiral_options?
---@return diffusion.oracle
function d.oracle.spiral(options) end

--- The distribution of d.data.toy.swiss_roll.
---@param options? diffusion.oracle_swiss_roll_options?
---@return diffusion.oracle
function d.oracle.swiss_roll(options) end

--- Returns the budget of packed weights in bytes, and sets it. Kernels read weights in a
--- layout of their own. Packed weights that are not being trained are kept while the budget
--- has room. Others are packed again in each product, with the same results in less memory.
--- The default is 45 % of the bytes that models read from files in place, and at least 256
--- MiB. It doesn't count bytes of a pack for which as many bytes of such a file leave the
--- memory.
---@param bytes? integer|string 0: keep none; "default"
---@return integer
function d.pack_budget(bytes) end

--- Plots by gnuplot, an optional program that is looked for at run time. A plot is a PNG or
--- SVG file, a window if there is a display, or text in the terminal.
d.plot = {}

--- Curves y(x), one per series.
---@param series table { {name, y} or {name, y, x}, ... }: lists or tensors of one dimension, x and y of one length; without x it is 1, 2, ...
---@param options? diffusion.plot_lines_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function d.plot.lines(series, options) end

--- Errors of samplers against evaluations of the model, or steps, on logarithmic axes. Dashed
--- lines show the slopes of the orders in guides.
---@param series table rows {steps, error, order, evaluations} as d.check.order returns them, or { {name, rows}, ... }; errors and numbers of evaluations are above 0
---@param options? diffusion.plot_order_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function d.plot.order(series, options) end

--- Point clouds in the plane, in panels of one scale.
---@param series table { {name, x}, ... } with x {n, 2}
---@param options? diffusion.plot_points_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function d.plot.points(series, options) end

--- A quantity of several schedules against u = t/T.
---@param schedules table list of schedules
---@param options? diffusion.plot_schedules_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function d.plot.schedules(schedules, options) end

--- The trajectories of samples. Those of {B,1} are drawn against t, later times on the left,
--- or against the step for a list. Those of {B,2} are curves in the plane. A run is stepped to
--- its end. x is shown as it is, so it starts large if sigma does (ve, edm).
---@param series any a run, or a list of tensors, one a step; or { {name, run or list}, ... }, side by side at one scale
---@param options? diffusion.plot_trajectories_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function d.plot.trajectories(series, options) end

--- The values that a power average of any width would have, from snapshots that ema:snapshot
--- wrote during training. They should be of two averages, best with sigma_rel 0.05 and 0.1.
--- Least squares fits the target's profile by theirs (Karras et al. 2024, algorithm 3). It is
--- exact if the target is one of them.
---@param paths string[] one or more snapshots of one training
---@param options diffusion.posthoc_ema_options
---@return table<string, any>|nil state by name, for model:load_state; nil with a message if a file isn't such a snapshot, or they can't be combined
---@return table|string fit {weights = a list, one per snapshot, error = of the profile, relative to its norm}, or the message
function d.posthoc_ema(paths, options) end

--- Prints a table with its keys in order, four levels deep. Tensors and models take one line
--- each. Other values are printed as print does.
---@param t any
function d.pp(t) end

--- Returns the precision of matrix products and convolutions, and sets it.
---@param name? string "highest" (float32), "high" (relative error at most 1e-5, the default) or "medium" (operands rounded to bf16, added in float32)
---@return string
function d.precision(name) end

--- Makes a denoiser of a raw network, with its input and output scaled (Karras et al. 2022,
--- table 1). The network is called as (c_in x_t/a, c_noise, {class=}). The scales are: edm:
--- c_in = 1/sqrt(sigma^2 + sigma_data^2), c_noise = ln(sigma)/4 vp: c_in = 1/sqrt(sigma^2 +
--- 1), c_noise = 999 t of the VP SDE ve: c_in = 1, c_noise = ln(sigma/2) iddpm: as vp, with
--- the nearest level of the cosine schedule, counted from 0 The raw network is trained and
--- saved: an objective with precondition = kind takes it. Samplers take the function that is
--- returned here. The losses of table 1 are weighting = "edm" with times = "log_normal" for
--- edm, and weighting = "simple" for the others.
---@param net any a network (x, noise, {class=}) -> as x, or twice as wide if the process learns its variance
---@param process diffusion.process
---@param options? diffusion.precondition_options?
---@return function denoiser (xt, t, {class=}) -> the process's target; it raises if x_t holds no signal
function d.precondition(net, process, options) end

--- A process: a schedule, and how the reverse step is parametrised. A learned variance doubles
--- the network's output: "learned" is ln variance, "learned_range" lies between the
--- posterior's and q's (Nichol & Dhariwal 2021, eq. 15). "learned_direct" is the variance
--- itself, as diffusers' "learned" is.
---@param o diffusion.process_options
---@return diffusion.process
function d.process(o) end

--- Prints the time of `fn` by op, forward and backward, longest first. It also prints the
--- memory that each op saves for the backward pass.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
function d.profile(fn, ...) end

--- Reads lines at a prompt, with the module as d, until the input ends (Ctrl-D). Ctrl-C ends
--- running code, and values stay. The second Ctrl-C ends a coroutine. At a line it drops the
--- line.
function d.prompt() end

--- Uniform numbers in (0, 1).
---@param shape? integer|integer[] sizes, or one list; default: one number
---@param opts? diffusion.draw_options
---@return diffusion.tensor
function d.rand(shape, opts) end

--- Draws uniform integers in low..high, exact to 2^-64 of the size of the interval.
---@param low integer
---@param high integer >= low, inclusive
---@param shape? integer|integer[] sizes, or one list; default: one number
---@param opts? diffusion.draw_one_options
---@return diffusion.tensor i64
function d.randint(low, high, shape, opts) end

--- Standard normal numbers. With two or more dimensions, the first counts samples. With a
--- seed, sample k has the same bits in any batch.
---@param shape? integer|integer[] sizes, or one list; default: one number
---@param opts? diffusion.draw_options
---@return diffusion.tensor
function d.randn(shape, opts) end

--- A random permutation of 1..n.
---@param n integer >= 0
---@param opts? diffusion.draw_one_options
---@return diffusion.tensor i64 {n}
function d.randperm(n, opts) end

--- Records the computation of `fn` from trainable parameters, so that `loss:backward()` can
--- compute gradients. It is called like pcall, with a function and its arguments. All
--- coroutines share one stack of records and scopes. So a coroutine that yields within `fn`
--- must be resumed, or closed, before others compute. If a batch is dealt out over ranks, `fn`
--- runs once for each piece of it. An objective may run once for all of them, with the same
--- bits (d.help "scale").
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
function d.record(fn, ...) end

--- Pairs (x0, eps) of a model, where x0 is the end of its flow from eps. The result is a set
--- whose batches give step, x0, class and eps. Give eps to the objective, which then keeps
--- them paired. A trainer does that by itself.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process its x_T must be noise alone, as with d.schedule.flow
---@param options diffusion.reflow_options
---@return diffusion.set pairs .x, .eps, .class
function d.reflow(model, process, options) end

--- Draws samples: d.sampler.steps{...}:finish(). Over ranks each of them draws a part, and
--- gets the samples of all. They have the same bits on any number of ranks.
---@param options diffusion.sample_options
---@return diffusion.tensor x {n, ...}
function d.sample(options) end

--- Samplers by name, and the run that steps them. A sampler is `function(denoise, process,
--- opts)` that returns a step `function(x, pair, history) -> x`: denoise(x, t) x0 and eps
--- predicted at level t, clipped as the process says, and v of a learned variance, for
--- process:step_variance(t, s, v). If the model returns two outputs (CFG++), x0 is that of the
--- first and eps that of the second pair {t, s, i, n}: from level t to the earlier level s (s
--- = 0: the data), number i of n history the solver's own table, empty at the start. It may
--- hold tensors, numbers, strings and tables of these opts.mix sum of c x, in one pass (d.mix)
--- opts.mix_noise mix_noise(sigma, c1, x1, ...): adds sigma z to it. z comes from the run's
--- own counter, so sample k doesn't depend on its batch opts.nan "keep" to continue with
--- samples that aren't finite, else "error" opts.mix_path mix_path(sigma, from, to, eta, c1,
--- x1, ...): adds sigma z to it. z is the increment of a path between two levels, lambda =
--- ln(a/s), in the time e^(2 eta lambda). The path is the step's own, or the run's Brownian
--- path
d.sampler = {}

--- Describes a sampler: its source, its order, its evaluations of the model per step, and its
--- options. The order is that of its error with the default options. Without a name, it
--- returns a table of all samplers.
---@param name? string
---@return string
function d.sampler.explain(name) end

--- The names of all samplers, sorted.
---@return string[]
function d.sampler.names() end

--- The equivalent of another library's sampler: one of ours with the options that match it, to
--- be passed as `sampler`. A name begins with the library: "diffusers-", "dpm-solver-",
--- "edm-", "guided-diffusion-", "k-diffusion-" or "lucidrains-". d.sampler.presets() lists
--- them all. diffusers' DPMSolverMultistep is dpmpp-1, dpmpp-2m, dpm-1, dpm-2m, dpmpp-1-sde,
--- dpmpp-2m-sde or dpmpp-2m-inverse. Its solver_type is our option form, and its
--- euler_at_final has the same name. DPMSolverSinglestep is dpmpp-singlestep or
--- dpm-singlestep. A preset reproduces a defect of the other library only if its name ends in
--- the defect, as "diffusers-ddpm-noise-in-last-step". Other presets are correct.
--- d.grid.preset has the grids.
---@param name string one of d.sampler.presets()
---@param options? table<string, any> options of that sampler, which replace the preset's
---@return table {sampler, option = ...}
function d.sampler.preset(name, options) end

--- The names of all presets, sorted.
---@return string[]
function d.sampler.presets() end

--- Draws samples: d.sampler.steps{...}:finish(). Over ranks each of them draws a part, and
--- gets the samples of all. They have the same bits on any number of ranks.
---@param options diffusion.sample_options
---@return diffusion.tensor x {n, ...}
function d.sampler.sample(options) end

--- The step of a sampler, for a loop of your own.
---@param which string|function|table a name, a function, or {name, eta = ...}
---@param denoise function (x, t) -> x0, eps
---@param process diffusion.process
---@param o? diffusion.sampler_step_options?
---@return function step (x, {t, s, i, n}, history) -> x; history is a table, empty at first
function d.sampler.step(which, denoise, process, o) end

--- A run of a sampler. It takes a step by `run()`, or all by `for step in run do`. If neither
--- grid nor init is given and the process predicts eps or score unclipped, the run starts at
--- SNR 3.7e-5. The steps before are left out; print(run) shows those that stay. With noise =
--- "brownian" more steps refine one path; the noise of churn, Langevin steps, lcm, tcd and
--- consistency stays independent. Generators, and functions that return normals of x's shape,
--- draw the start too, as in PyTorch. With one generator sample k depends on its batch. Such a
--- run can't be saved.
---@param options diffusion.sampler_steps_options
---@return diffusion.run
function d.sampler.steps(options) end

--- Writes tensors as a safetensors file. It is written next to the old file, flushed to the
--- disk, then renamed over it, so the file is always whole.
---@param path string
---@param tensors table<string, diffusion.tensor> tensors of any shape and type
---@param metadata? table<string, string>|nil saved with them
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function d.save(path, tensors, metadata) end

--- d.schedule: noise schedules by name, from lists and from functions. A schedule has two
--- columns over 0..T: the signal a_t and the noise s_t of x_t = a_t x_0 + s_t eps. All else is
--- derived from them. Times are 1..T. Accessors take a number and return a double, or take a
--- list or a tensor and return a tensor.
d.schedule = {}

--- The same beta at every step (Ho et al. 2020, "const" of their code).
---@param o? diffusion.schedule_constant_options?
---@return diffusion.schedule
function d.schedule.constant(o) end

--- alpha_bar on a squared cosine (Nichol & Dhariwal 2021, eq. 17).
---@param o? diffusion.schedule_cosine_options?
---@return diffusion.schedule
function d.schedule.cosine(o) end

--- ln SNR = -2 ln tan of an angle, which moves linearly between those of log_snr_max and
--- log_snr_min (Hoogeboom et al. 2023, simple diffusion, sec. 3.1). shift adapts it to the
--- size of pictures: 2 ln(64/256) gives 256 x 256 pictures the noise of 64 x 64. u shift_low +
--- (1 - u) shift_high interpolates between two shifts: shift_low is for high noise and
--- shift_high for low noise.
---@param o? diffusion.schedule_cosine_log_snr_options?
---@return diffusion.schedule
function d.schedule.cosine_log_snr(o) end

--- a = 1 and sigma in equal steps of its rho-th root (Karras et al. 2022, eq. 5).
---@param o? diffusion.schedule_edm_options?
---@return diffusion.schedule
function d.schedule.edm(o) end

--- alpha_bar = e^(-rate u): beta is 1 - e^(-rate/T) at every step. diffusers calls it "exp".
---@param o? diffusion.schedule_exponential_options?
---@return diffusion.schedule
function d.schedule.exponential(o) end

--- The straight path x_t = (1 - w) x_0 + w eps with w = t/T. shift > 1 moves it towards noise:
--- w' = shift w / (1 + (shift - 1) w) (Esser et al. 2024, eq. 23). sigma_min leaves some noise
--- at the data's end: s = w + sigma_min (1 - w). That is the conditional flow of Lipman et al.
--- 2023, eq. 20 and 22. Its samplers are those for any path.
---@param o? diffusion.schedule_flow_options?
---@return diffusion.schedule
function d.schedule.flow(o) end

--- From alpha_bar_t = a_t^2, strictly falling in (0, 1), 0 at T only. A function is evaluated
--- between integers too, unless max_beta had to change it.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_beta
---@param o? diffusion.schedule_from_alpha_bar_options?
---@return diffusion.schedule
function d.schedule.from_alpha_bar(source, o) end

--- From betas, in (0, 1], 1 at T only.
---@param source number[]|fun(u: number, t: integer, T: integer): number T numbers, or a function of u = t/T
---@param o? diffusion.schedule_from_beta_options?
---@return diffusion.schedule
function d.schedule.from_beta(source, o) end

--- The schedule that a config describes.
---@param config table
---@return diffusion.schedule|nil schedule nil with a message if it describes none
---@return string|nil message
function d.schedule.from_config(config) end

--- From ln SNR = ln(a^2/s^2), strictly falling, with a^2 + s^2 = 1.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_alpha_bar
---@param o? diffusion.schedule_from_log_snr_options?
---@return diffusion.schedule
function d.schedule.from_log_snr(source, o) end

--- From sigma = s/a, strictly rising.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_alpha_bar
---@param o? diffusion.schedule_from_sigma_options?
---@return diffusion.schedule
function d.schedule.from_sigma(source, o) end

--- alpha_bar = 1 - t/T, so beta_t = 1/(T - t + 1): every step removes the same share of x_0
--- (Sohl-Dickstein et al. 2015, sec. 2.4.1; "jsd" in Ho et al.'s code). beta_T = 1, so x_T
--- holds no signal, as with laplace.
---@param o? diffusion.schedule_jsd_options?
---@return diffusion.schedule
function d.schedule.jsd(o) end

--- ln SNR as the quantiles of a Laplace distribution, mu - b sgn(1/2 - u) ln(1 - 2 |u - 1/2|)
--- (Hang et al. 2024). At u = 1 it is -inf, so x_T holds no signal and the network must
--- predict v or x0. max_beta < 1 cuts the last beta and avoids this.
---@param o? diffusion.schedule_laplace_options?
---@return diffusion.schedule
function d.schedule.laplace(o) end

--- Betas in equal steps (Ho et al. 2020, sec. 4).
---@param o? diffusion.schedule_linear_options?
---@return diffusion.schedule
function d.schedule.linear(o) end

--- The names of schedules, sorted.
---@return string[]
function d.schedule.names() end

--- Square roots of betas in equal steps (Rombach et al. 2022). With ends 1e-4 and 0.02 it is
--- the "quad" of Ho et al.'s code.
---@param o? diffusion.schedule_scaled_linear_options?
---@return diffusion.schedule
function d.schedule.scaled_linear(o) end

--- alpha_bar on a logistic curve (Jabri et al. 2023, alg. 1).
---@param o? diffusion.schedule_sigmoid_options?
---@return diffusion.schedule
function d.schedule.sigmoid(o) end

--- Betas on a logistic curve (Xu et al. 2022, GeoDiff).
---@param o? diffusion.schedule_sigmoid_beta_options?
---@return diffusion.schedule
function d.schedule.sigmoid_beta(o) end

--- The sub-variance-preserving SDE has vp's signal a and the noise 1 - a^2, so a^2 + s^2 < 1
--- (Song et al. 2021, score SDE, eq. 29).
---@param o? diffusion.schedule_sub_vp_options?
---@return diffusion.schedule
function d.schedule.sub_vp(o) end

--- The variance-exploding SDE has a = 1 and a geometric sigma from sigma_min to sigma_max
--- (Song et al. 2021, score SDE, eq. 31).
---@param o? diffusion.schedule_ve_options?
---@return diffusion.schedule
function d.schedule.ve(o) end

--- The variance-preserving SDE has ln a = -u^2 (beta_max - beta_min)/4 - u beta_min/2 with u =
--- t/T (Song et al. 2021, score SDE, eq. 33).
---@param o? diffusion.schedule_vp_options?
---@return diffusion.schedule
function d.schedule.vp(o) end

--- Betas in equal steps over the first floor(fraction T) levels, and the last beta from there
--- on (Ho et al. 2020, "warmup10" and "warmup50" of their code).
---@param o? diffusion.schedule_warmup_options?
---@return diffusion.schedule
function d.schedule.warmup(o) end

--- Runs `fn` and frees every tensor made inside, except its results (tensors returned
--- directly). The memory is free at once, before the collector runs. All coroutines share one
--- stack of records and scopes. So a coroutine that yields within `fn` must be resumed, or
--- closed, before others compute.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
function d.scope(fn, ...) end

--- Stacks tensors of one shape along a new dimension.
---@param list diffusion.tensor[]
---@param dim? integer its position in the result, default 1
---@return diffusion.tensor
function d.stack(list, dim) end

--- Creates a tensor from a number or a nested table. If a row is ragged or contains something
--- else than numbers, the error names the row. i64 accepts only integers. Other types round as
--- Tensor:to does.
---@param values number|table
---@param opts? diffusion.dtype_options
---@return diffusion.tensor
function d.tensor(values, opts) end

--- Returns the number of threads, and sets it. Results do not depend on it, to the bit. The
--- default is DIFFUSION_THREADS, or the number of CPUs that this process may use.
---@param n? integer 1 to 256
---@return integer
function d.threads(n) end

--- CLIP's tokenizer, as Hugging Face's CLIPTokenizer is: of a folder with vocab.json and
--- merges.txt, or with tokenizer.json. Or that of OpenAI's bpe_simple_vocab_16e6.txt.gz, which
--- needs no other file. Classes and lower case of characters are those of tokenizers 0.23,
--- which knows Unicode 15 and what came later. HTML and wrong encodings in a text are not
--- repaired. With `words` in place of a path, it has a token for each word of these texts, and
--- <unk> for others. Its words are runs of letters and numbers in lower case, as
--- PreTrainedTokenizerFast of transformers cuts them by its file.
---@param path string|diffusion.tokenizer_options the path, or a table of options
---@return diffusion.tokenizer|nil tokenizer nil with a message if the files can't be read
---@return string|nil message
function d.tokenizer(path) end

--- A training run.
---@param options diffusion.trainer_options
---@return diffusion.trainer
function d.trainer(options) end

--- The UNet of Ho et al. 2020 for images {B, H, W, C}, predicting C channels. It has residual
--- blocks with time and class, and attention in the middle and at the given factors. Other H
--- and W may be used too, if the levels divide them.
---@param options diffusion.unet_options
---@return diffusion.model
function d.unet(options) end

--- UNet2DModel of diffusers, by the options of its config. false stands for null. It predicts
--- out_channels channels of images {B, H, W, in_channels}. model(x, t) is UNet2DModel at
--- timestep t - 1, as t counts from 1 here; see time_offset. Classes count from 1; without a
--- class nothing is added to the embedding.
---@param options? diffusion.unet2d_options?
---@return diffusion.model
function d.unet2d(options) end

--- UNet2DConditionModel of diffusers, by the options of its config. false stands for null. It
--- predicts out_channels channels of images {B, H, W, in_channels}, conditioned on `context`,
--- the states of a text {B, N, width}. A mask of whole numbers {B, N} hides tokens of the
--- context that are 0. model(x, t) is UNet2DConditionModel at timestep t - 1, as t counts from
--- 1 here; see time_offset. Options of the call are its inputs by name: class, context, mask,
--- text_embeds and time_ids of Stable Diffusion XL, image_embeds, hint, time_cond.
---@param options? diffusion.unet2dcondition_options?
---@return diffusion.model
function d.unet2dcondition(options) end

--- VQModel of diffusers, by the options of its config. It is an autoencoder with methods
--- encode and decode. Called with images {B, H, W, C}, it returns the decoded ones and the
--- loss of the codebook.
---@param options? diffusion.vq_options?
---@return diffusion.vq
function d.vq(options) end

--- Sends warnings about likely mistakes to stderr (the default), nowhere, or to a function.
--- Each kind of warning is given once per model, objective or optimiser.
---@param where boolean|fun(message: string) true is stderr, false is nowhere
function d.warnings(where) end

--- Elements of a if the mask is not 0, else of b.
---@param mask diffusion.tensor
---@param a diffusion.tensor|number
---@param b diffusion.tensor|number
---@return diffusion.tensor with the broadcast shape of all three; i64 if a and b are integers and one of them is an integer tensor
function d.where(mask, a, b) end

--- A tensor filled with zeros.
---@param shape integer|integer[] sizes, or one list of them
---@param opts? diffusion.dtype_options
---@return diffusion.tensor
function d.zeros(shape, opts) end

--- The config of its model.
---@return table
function ema:config() end

--- Copies averages in, by name. The number of updates is the field `updates`. If it is 0, the
--- next update copies the model. The state of an adopted parameter must be its value.
---@param state table<string, any>
---@return diffusion.ema self
function ema:load_state(state) end

--- Writes a power average to a file for d.posthoc_ema.
---@param path string
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function ema:snapshot(path) end

--- The averages by name, as windows on them. load_state takes them, and so does the model's.
---@return table<string, any>
function ema:state() end

--- Updates the average from the model's values. An optimiser that was given the average calls
--- it.
---@return diffusion.ema self
function ema:update() end

--- 1 with probability p (to 2^-24), else 0. A dropout mask has p = the fraction kept.
---@param p number in [0, 1]
---@param shape? integer|integer[] sizes, or one list; default: one number
---@param opts? diffusion.draw_one_options
---@return diffusion.tensor elements 1 and 0
function generator:bernoulli(p, shape, opts) end

--- A second generator that draws the same numbers.
---@return diffusion.generator
function generator:clone() end

--- Uniform numbers in (0, 1).
---@param shape? integer|integer[] sizes, or one list; default: one number
---@param opts? diffusion.draw_options
---@return diffusion.tensor
function generator:rand(shape, opts) end

--- Draws uniform integers in low..high, exact to 2^-64 of the size of the interval.
---@param low integer
---@param high integer >= low, inclusive
---@param shape? integer|integer[] sizes, or one list; default: one number
---@param opts? diffusion.draw_one_options
---@return diffusion.tensor i64
function generator:randint(low, high, shape, opts) end

--- Standard normal numbers. With two or more dimensions, the first counts samples. With a
--- seed, sample k has the same bits in any batch.
---@param shape? integer|integer[] sizes, or one list; default: one number
---@param opts? diffusion.draw_options
---@return diffusion.tensor
function generator:randn(shape, opts) end

--- A random permutation of 1..n.
---@param n integer >= 0
---@param opts? diffusion.draw_one_options
---@return diffusion.tensor i64 {n}
function generator:randperm(n, opts) end

--- Continues from a state that state() returned.
---@param text string must be the state of a generator of the same kind
---@return diffusion.generator itself
function generator:set_state(text) end

--- The state of the generator, for set_state on this machine or one of the same kind.
---@return string
function generator:state() end

--- The times t of the steps, without the final 0.
---@return number[]
function grid:times() end

--- The config of the model.
---@return table
function lora:config() end

--- The number of elements of the adapters.
---@return integer total
---@return integer trainable
function lora:count() end

--- The model computes without the adapters, with the bits that it had before them. Their
--- values stay.
---@return diffusion.lora self
function lora:disable() end

--- Lets the adapters act again after disable.
---@return diffusion.lora self
function lora:enable() end

--- Turns dropout off, in the model and in the adapters.
---@return diffusion.lora self
function lora:eval() end

--- Freezes the adapters whose names match.
---@param pattern? string|string[]|nil a Lua pattern, or a list of them; all if nil
---@return diffusion.lora self
function lora:freeze(pattern) end

--- Reads values from a file into these adapters. It must have the same layers and ranks;
--- nn.lora(model, { load = path }) makes adapters as they are in a file.
---@param path string as for save
---@return diffusion.lora|nil self nil with a message, and nothing changed, if they don't fit
---@return string|nil message
function lora:load(path) end

--- Copies values in, by name. The state must have all of the adapters' values, of the same
--- shapes, and nothing else.
---@param state table<string, any>
---@return diffusion.lora self
function lora:load_state(state) end

--- Adds the adapters' products to the model's weights: the same function at the speed of the
--- model alone. Adopted weights, as those of a mapped file, are replaced by sums in f32, and
--- the file is not touched. The weights without adapters are kept for unmerge. A gradient no
--- longer reaches the adapters.
---@return diffusion.lora self
function lora:merge() end

--- Iterates over names and values: "PATH.lora_A.weight" and "PATH.lora_B.weight" for each
--- layer.
---@return function iterator
function lora:parameters() end

--- Removes the adapters from the model, which stays frozen. Merged ones stay in its weights
--- for good.
---@return diffusion.model model without them
function lora:remove() end

--- Writes the adapters as diffusers does, or as kohya's scripts do, under their names of the
--- layers if the network has such. The factor `scale` is not saved.
---@param path string a file, or a folder, which gets pytorch_lora_weights.safetensors
---@param options? diffusion.lora_save_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function lora:save(path, options) end

--- The adapters' values by name, as windows on them.
---@return table<string, any>
function lora:state() end

--- Turns dropout on again, inside d.record.
---@return diffusion.lora self
function lora:train() end

--- Undoes freeze.
---@param pattern? string|string[]|nil a Lua pattern, or a list of them; all if nil
---@return diffusion.lora self
function lora:unfreeze(pattern) end

--- Takes merged adapters out of the weights, which get back the bits that they had.
---@return diffusion.lora self
function lora:unmerge() end

--- A plain table from which the same network can be built: {kind = "unet", channels = ...}. A
--- network composed in Lua has only its name: {kind = "module", name = "net"}. Its constructor
--- builds it.
---@return table
function model:config() end

--- The number of elements of the parameters.
---@return integer total
---@return integer trainable
function model:count() end

--- Turns dropout off. It acts only inside d.record in any case.
---@return diffusion.model self
function model:eval() end

--- Freezes the parameters whose names match. They get no gradient, no moments and no step. The
--- model's accumulated gradients are dropped.
---@param pattern? string|string[]|nil a Lua pattern, or a list of them; all if nil
---@return diffusion.model self
function model:freeze(pattern) end

--- Reads the values of a model file into this model. As for d.load_model, the file must not be
--- truncated meanwhile, unless copy = true.
---@param path string
---@param options? diffusion.model_load_options?
---@return diffusion.model|nil self nil with a message, and nothing changed, if they don't fit
---@return string|nil message
function model:load(path, options) end

--- Copies values in, by name. The state must have every parameter, of the same shape, and
--- nothing else.
---@param state table<string, any>
---@return diffusion.model self
function model:load_state(state) end

--- Iterates over names and parameters in order: `for name, p in model:parameters() do`. A
--- parameter is a tensor; its gradient is p.grad.
---@return function iterator
function model:parameters() end

--- Writes the model as one file: its values (or an average's), its config, the target that an
--- objective trained it for, and the process. A process of another target is an error. Weights
--- in blocks become f16.
---@param path string
---@param options? diffusion.model_save_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function model:save(path, options) end

--- The parameters by name, as windows on the model's values.
---@return table<string, any>
function model:state() end

--- Turns dropout on again, inside d.record.
---@return diffusion.model self
function model:train() end

--- Undoes freeze. Adopted parameters are copied to f32 first.
---@param pattern? string|string[]|nil a Lua pattern, or a list of them; all if nil
---@return diffusion.model self
function model:unfreeze(pattern) end

--- An activation by name.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_activation_options?
---@return diffusion.value
function net:activation(path, inputs, options) end

--- The sum of two values; the first alone if the second is absent.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_add_options?
---@return diffusion.value
function net:add(path, inputs, options) end

--- Calls the part at a path again, with the same parameters.
---@param path string
---@param given diffusion.value|diffusion.value[]
---@return diffusion.value
function net:again(path, given) end

--- Attention of queries, keys and values that are there already, with a fourth input as mask.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_attend_options?
---@return diffusion.value
function net:attend(path, inputs, options) end

--- Multi-head attention of x, over a second input if given, with a third as mask.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_attention_options?
---@return diffusion.value
function net:attention(path, inputs, options) end

--- x + attention(group_norm(x)).
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_attention_block_options?
---@return diffusion.value
function net:attention_block(path, inputs, options) end

--- A row for a sequence of tokens: the attention of their mean, plus a learned vector, to them
--- and to itself.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_attention_pool_options?
---@return diffusion.value
function net:attention_pool(path, inputs, options) end

--- Means of times x times pixels.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_avg_pool_options?
---@return diffusion.value
function net:avg_pool(path, inputs, options) end

--- Adds a network inside of this one, as one step. Its inputs are named x, y, z, u, v, w in
--- the order of the list.
---@param path string
---@param given diffusion.value|diffusion.value[]
---@param options? diffusion.net_block_options?
---@param fn fun(b: diffusion.net, ...: diffusion.value): diffusion.value
---@return diffusion.value
function net:block(path, given, options, fn) end

--- Values joined along the last dimension.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_cat_options?
---@return diffusion.value
function net:cat(path, inputs, options) end

--- One of equal pieces of the last dimension.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_chunk_options?
---@return diffusion.value
function net:chunk(path, inputs, options) end

--- Cross-correlation over images; a second input of the result's shape is added.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_conv_options?
---@return diffusion.value
function net:conv(path, inputs, options) end

--- A 3x3 convolution of stride 2.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_downsample_options?
---@return diffusion.value
function net:downsample(path, inputs, options) end

--- Elements set to 0 at random in training.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_dropout_options?
---@return diffusion.value
function net:dropout(path, inputs, options) end

--- Rows of a table by whole numbers from 1; 0 gives zeros.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_embedding_options?
---@return diffusion.value
function net:embedding(path, inputs, options) end

--- Nearest neighbours: each pixel `times` times in both directions.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_enlarge_options?
---@return diffusion.value
function net:enlarge(path, inputs, options) end

--- A binomial filter, as 1 3 3 1, that makes images larger or smaller (Karras et al. 2020).
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_fir_options?
---@return diffusion.value
function net:fir(path, inputs, options) end

--- A row for each sample: {B, ...} as {B, the product of the rest}.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_flatten_options?
---@return diffusion.value
function net:flatten(path, inputs, options) end

--- sin and cos of 2 pi w t, for frequencies w that are drawn once and not trained.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_fourier_options?
---@return diffusion.value
function net:fourier(path, inputs, options) end

--- x + g y for inputs x, y, m; g is piece `at` of m.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_gate_options?
---@return diffusion.value
function net:gate(path, inputs, options) end

--- a gelu(b), for the halves a and b of the last dimension.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_geglu_options?
---@return diffusion.value
function net:geglu(path, inputs, options) end

--- x Phi(x), Phi the normal distribution function.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_gelu_options?
---@return diffusion.value
function net:gelu(path, inputs, options) end

--- Group normalisation of x, or of x plus a second input {B, inp}; a third {B, 2 inp} has a
--- scale s and a shift t: norm (1 + s) + t.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_group_norm_options?
---@return diffusion.value
function net:group_norm(path, inputs, options) end

--- The tokens of two values, one after another.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_join_options?
---@return diffusion.value
function net:join(path, inputs, options) end

--- The class {B} of each sample of the first input; classes + 1 where it is 0 or absent.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_labels_options?
---@return diffusion.value
function net:labels(path, inputs, options) end

--- Layer normalisation over the last dimension.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_layer_norm_options?
---@return diffusion.value
function net:layer_norm(path, inputs, options) end

--- u = t - offset, sin and cos of 2 pi w u, for trained frequencies w.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_learned_waves_options?
---@return diffusion.value
function net:learned_waves(path, inputs, options) end

--- y = x w^T + b over the last dimension.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_linear_options?
---@return diffusion.value
function net:linear(path, inputs, options) end

--- Attention without scores between tokens, to x and to learned keys and values (Shen et al.
--- 2021).
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_linear_attention_options?
---@return diffusion.value
function net:linear_attention(path, inputs, options) end

--- Attention of x to its tokens and to learned keys and values.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_memory_attention_options?
---@return diffusion.value
function net:memory_attention(path, inputs, options) end

--- x (1 + scale) + shift; pieces `at` and `at` + 1 of the second input are shift and scale.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_modulate_options?
---@return diffusion.value
function net:modulate(path, inputs, options) end

--- The product of two values.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_mul_options?
---@return diffusion.value
function net:mul(path, inputs, options) end

--- conv(dropout(silu(group_norm(x)))); the result plus a second input, x plus a third {B, inp}
--- first; a fourth {B, 2 inp} has a scale s and a shift t: norm (1 + s) + t.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_norm_conv_options?
---@return diffusion.value
function net:norm_conv(path, inputs, options) end

--- The class {B} of each sample of the first input as a row of zeros with one `factor`; all
--- zeros if it is 0 or absent.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_one_hot_options?
---@return diffusion.value
function net:one_hot(path, inputs, options) end

--- Sets the order of the parameters' names: these parts come first.
---@param names string[]
function net:order(names) end

--- x / (t - offset), for a t {B} as second input.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_over_time_options?
---@return diffusion.value
function net:over_time(path, inputs, options) end

--- Patches of an image {B, H, W, C} as tokens {B, H W / p^2, p^2 C}.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_patchify_options?
---@return diffusion.value
function net:patchify(path, inputs, options) end

--- An embedding {B, C} as {B, 1, C}, to act on each token.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_per_token_options?
---@return diffusion.value
function net:per_token(path, inputs, options) end

--- Tokens {B, H W, C} as an image of the second input's height and width.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_pixels_options?
---@return diffusion.value
function net:pixels(path, inputs, options) end

--- Sines and cosines of each pixel's row and column (He et al. 2022).
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_places_options?
---@return diffusion.value
function net:places(path, inputs, options) end

--- Tokens {B, N, inp} plus the first N rows of a table.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_positions_options?
---@return diffusion.value
function net:positions(path, inputs, options) end

--- x sigmoid(1.702 x).
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_quick_gelu_options?
---@return diffusion.value
function net:quick_gelu(path, inputs, options) end

--- The residual block of Ho et al. 2020 on x and an embedding.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_res_block_options?
---@return diffusion.value
function net:res_block(path, inputs, options) end

--- Root mean square norm over the last dimension; a second input {B, 2 inp} has a scale s and
--- a shift t: norm (1 + s) + t.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_rms_norm_options?
---@return diffusion.value
function net:rms_norm(path, inputs, options) end

--- factor x + plus.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_scale_options?
---@return diffusion.value
function net:scale(path, inputs, options) end

--- x / (1 + exp(-x)).
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_silu_options?
---@return diffusion.value
function net:silu(path, inputs, options) end

--- cos and sin of numbers {B} or {B, N} times width/2 frequencies; the last number of an odd
--- width is 0.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_sinusoid_options?
---@return diffusion.value
function net:sinusoid(path, inputs, options) end

--- Time, and class as a second input, as an embedding.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_time_embed_options?
---@return diffusion.value
function net:time_embed(path, inputs, options) end

--- Rows of a table by whole times {B}: row t - offset, from 1.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_time_rows_options?
---@return diffusion.value
function net:time_rows(path, inputs, options) end

--- An image {B, H, W, C} as tokens {B, H W, C}.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_tokens_options?
---@return diffusion.value
function net:tokens(path, inputs, options) end

--- A row {B, n C} as n tokens {B, n, C}.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_unflatten_options?
---@return diffusion.value
function net:unflatten(path, inputs, options) end

--- Tokens as patches of an image of the second input's height and width.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_unpatchify_options?
---@return diffusion.value
function net:unpatchify(path, inputs, options) end

--- Nearest neighbours, then a 3x3 convolution; a second input, an image, has the size of the
--- result if that is not `times` the first's.
---@param path? string? not needed for a layer without parameters
---@param inputs diffusion.value|diffusion.value[]
---@param options? diffusion.net_upsample_options?
---@return diffusion.value
function net:upsample(path, inputs, options) end

--- The weights at t as text, with their equations.
---@param t number in 1..T
---@return string
function objective:explain(t) end

--- The least possible expected loss. For Gaussian data it is exact: no network is better, and
--- the best affine one for each t reaches it. For other data it is the loss of the best affine
--- network, from their covariance; a network that learns more gets below it. For an oracle it
--- is a mean over samples. It covers the weighted error only, not a learned variance's bound.
--- It is known for error = "mse" and noise without offset. Give one of std, data and oracle.
---@param given diffusion.objective_floor_options
---@return number
---@return number|nil error its standard error, for an oracle
function objective:floor(given) end

--- Continues from a state.
---@param state? table|nil from `state()`
---@return true|nil done nil with a message, and nothing changed, if it is from another objective
---@return string|nil message
function objective:load_state(state) end

--- Plain values for a checkpoint: the losses from which times = "importance" learns.
---@return table|nil state {losses = a list for each t}; nil for other times
function objective:state() end

--- The loss weight at t for each prediction target. All describe the same loss.
---@param t number in 1..T
---@return table<string, number> weights x0, eps, v, score, flow, edm; infinite or nan if x_t has no signal and eps determines nothing
function objective:weights(t) end

--- The best possible denoiser E[x0 | xt], as a function (xt, t) -> the process's target. xt is
--- {B,...} with D numbers per sample. t is a number, a list or {B}.
---@param process diffusion.process
---@return function denoiser
function oracle:denoiser(process) end

--- The differential entropy in nats, -E ln p. That of the empirical distribution is the
--- entropy of its points as symbols. It is computed by a formula if there is one, by
--- quadrature in one or two dimensions, or as a mean over samples.
---@param options? diffusion.oracle_entropy_options?
---@return number
---@return number|nil error its standard error, if it is a mean over samples
function oracle:entropy(options) end

--- ln p(x) of each row. It is that of the data, or with a level that of a x0 + s eps. The
--- gradient of the latter is (a D(x) - x)/s^2 (Tweedie's formula), where D is the posterior
--- mean. Both are exact, except for quadratures that tostring(oracle) names.
---@param x diffusion.tensor {B,...}, D numbers per sample
---@param level? diffusion.process|diffusion.oracle_log_prob_options? a process with t, or a level
---@param t? number|number[]|diffusion.tensor? if level is a process
---@return diffusion.tensor {B}
function oracle:log_prob(x, level, t) end

--- The best prediction of x0 from x = a x0 + s eps: E[x0 | x].
---@param x diffusion.tensor {B,...}, D numbers per sample
---@param a number|diffusion.tensor signal, one or {B}
---@param s number|diffusion.tensor noise, one or {B}; above 0 if the data has points without width (empirical, boxes)
---@return diffusion.tensor as x
function oracle:posterior_mean(x, a, s) end

--- Draws samples.
---@param n integer
---@param options? diffusion.oracle_sample_options?
---@return diffusion.tensor x {n,D}
function oracle:sample(n, options) end

--- Adds new adapters, which have no effect at first, and freezes the networks. d.adamw takes
--- those of the denoiser as its model, or a list with those of the text encoders.
---@param options? diffusion.pipe_add_lora_options?
---@return diffusion.pipe_lora adapters
function pipe:add_lora(options) end

--- Images of a run's x, decoded if they are latents, within [-1, 1].
---@param x diffusion.tensor
---@param options? diffusion.pipe_decode_options?
---@return diffusion.tensor images {n, H, W, C}
function pipe:decode(x, options) end

--- The network as the denoiser of the pipe's process, for d.objective and d.sample. It is
--- pipe.unet itself unless the scheduler shows it other times or scales than those of the
--- process.
---@return any denoiser
function pipe:denoiser() end

--- Latents of images. Without an autoencoder they are the images.
---@param images diffusion.tensor {n, H, W, C} in [-1, 1]
---@return diffusion.tensor
function pipe:encode(images) end

--- Encodes prompts as inputs of the denoiser, one row for each. With SDXL they include the
--- embedding of the whole text. The option prompt takes the first result in place of texts,
--- and negative the second.
---@param options diffusion.pipe_encode_prompt_options
---@return table<string, diffusion.tensor> inputs {context, text_embeds}
---@return table<string, diffusion.tensor> without those of the unconditional call
function pipe:encode_prompt(options) end

--- A set of latents and texts' states, which are computed once. Its batches are latents, drawn
--- again each time from the autoencoder's mean and deviation. With a path they are kept in a
--- file. That is refused if the pipe's networks, the pictures or the captions have changed. A
--- call that was interrupted goes on from the parts in "PATH.parts". Without a set, the file
--- is read.
---@param set? diffusion.set|nil pictures, with captions or without
---@param options? diffusion.pipe_encode_set_options?
---@return diffusion.set|nil encoded nil with a message if the file doesn't fit or can't be written
---@return string|nil message
function pipe:encode_set(set, options) end

--- Changes images as a text says (Meng et al. 2022, SDEdit). Their latents are noised and
--- sampled from there.
---@param options diffusion.pipe_image2image_options
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]
function pipe:image2image(options) end

--- Paints a part of images as a text says. Networks that were trained for it get the mask and
--- the kept part. With others, each step puts the kept part back. how = "repaint" is
--- d.edit.repaint on latents.
---@param options diffusion.pipe_inpaint_options
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]; the autoencoder changes the kept part a little
function pipe:inpaint(options) end

--- Inputs of the denoiser for a training batch, as d.objective takes them: the states of its
--- captions and, for SDXL, the sizes of its pictures. In d.record, a gradient reaches the text
--- encoders. With a set of encode_set, the states are those that it holds.
---@param batch any batches of a set after a step, or captions, or {captions =, sizes =}
---@param options? diffusion.pipe_inputs_options?
---@return table<string, diffusion.tensor> inputs {context, text_embeds, time_ids}
function pipe:inputs(batch, options) end

--- Loads a word that textual inversion learned: learned_embeds of diffusers, a .pt of
--- stable-diffusion-webui, or SDXL's vectors for both text encoders. In a prompt the word
--- stands for its vectors.
---@param path string a file, or a folder with learned_embeds.safetensors or learned_embeds.bin
---@param options? diffusion.pipe_load_embedding_options?
---@return string|nil word nil with a message, and nothing changed, if it doesn't fit
---@return integer|string tokens number of its vectors, or the message
function pipe:load_embedding(path, options) end

--- Loads low-rank adapters of the denoiser and the text encoders, as kohya's scripts,
--- diffusers and peft write them. A pipe can have several, whose effects add up.
---@param path string a file, or a folder with pytorch_lora_weights.safetensors
---@param options? diffusion.pipe_load_lora_options?
---@return diffusion.pipe_lora|nil adapters nil with a message, and nothing changed, if they don't fit
---@return string|nil message
function pipe:load_lora(path, options) end

--- The adapters of a name.
---@param name string
---@return diffusion.pipe_lora adapters
function pipe:lora(name) end

--- Pictures of a predicted x0, without the decoder. pipe.tiny decodes them, a small
--- autoencoder. Without it, a linear map makes one pixel of each latent.
---@param x diffusion.tensor step.x0, or run.x
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]
function pipe:preview(x) end

--- A run of the pipe's sampler that can be stepped, as d.sampler.steps makes it. Its x are
--- latents if the pipe has an autoencoder; pipe:decode makes images of them. A pipe with text
--- encoders takes the options of text2image. With x0 it takes those of image2image, and with
--- keep those of inpaint.
---@param options? diffusion.pipe_options|diffusion.pipe_text2image_options?
---@return diffusion.run
function pipe:steps(options) end

--- Draws images of texts. Image k of a seed is the same alone or in a batch. Generators of
--- torch's kind draw in diffusers' order, and the images are the same.
---@param options diffusion.pipe_text2image_options
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]; the images of a prompt are next to one another
function pipe:text2image(options) end

--- The networks compute without the adapters. Their values stay.
---@return diffusion.pipe_lora self
function pipe_lora:disable() end

--- Lets the adapters act again after disable.
---@return diffusion.pipe_lora self
function pipe_lora:enable() end

--- Adds the adapters to the weights of their networks, as lora:merge does.
---@return diffusion.pipe_lora self
function pipe_lora:merge() end

--- Removes the adapters from the networks. Merged ones stay in the weights for good.
function pipe_lora:remove() end

--- Writes the adapters of all networks as one file, which diffusers reads too. The weight is
--- not saved.
---@param path string a file, or a folder, which gets pytorch_lora_weights.safetensors
---@param options? diffusion.pipe_lora_save_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function pipe_lora:save(path, options) end

--- Takes merged adapters out of the weights, which get back the bits that they had.
---@return diffusion.pipe_lora self
function pipe_lora:unmerge() end

--- The chain x_0 -> x_1 -> ... -> x_T: `for t, xt, eps in p:chain(x0, {seed = 1}) do`.
---@param x0 number|diffusion.tensor
---@param o? diffusion.process_chain_options?
---@return function iterator of t, xt, eps
function process:chain(x0, o) end

--- x0 clipped as the process says: to [-clip, clip], by the dynamic threshold, or not at all.
---@param x0 number|diffusion.tensor
---@return number|diffusion.tensor
function process:clipped(x0) end

--- Plain values for files, from which process_from_config makes the same process. Raises if
--- the variance is a function.
---@return table
function process:config() end

--- Converts a prediction from one target to another. It is an error if x_t has no signal and
--- the value does not depend on x_0 (eps or score at zero terminal SNR). The targets are x0,
--- eps, v = a eps - s x0 (Salimans & Ho 2022), score = -eps/s, flow = eps - x0, and edm, F of
--- Karras et al. 2022, eq. 7.
---@param value number|diffusion.tensor
---@param o diffusion.convert_options
---@return number|diffusion.tensor
function process:convert(value, o) end

--- The x0 predicted by a network, clipped as the process says, and the eps of this x0 and x_t.
--- The two are consistent even if x0 was clipped. v is that of a learned variance.
---@param output number|diffusion.tensor the kind process.predict, next to v if the variance is learned
---@param xt number|diffusion.tensor
---@param t number|number[]|diffusion.tensor
---@return number|diffusion.tensor x0
---@return number|diffusion.tensor eps
---@return diffusion.tensor|nil v for process:step_variance
function process:estimate(output, xt, t) end

--- The formulas of a step, with numbers.
---@param t integer in 1..T
---@param s? integer t - 1 if not given
---@return string
function process:explain(t, s) end

--- Logarithm of the variance that a network has learned for p_theta(x_s | x_t). With variance
--- = "learned" it is v, with "learned_direct" ln v. With "learned_range" it lies between the
--- posterior's and q's variance of this t and s: (1 - f) ln small + f ln large with f = (v +
--- 1)/2 (Nichol & Dhariwal 2021, eq. 15). At t = 1 the posterior's is that of t = 2, as in
--- posterior_log_variance.
---@param v diffusion.tensor {B, ...} of process:split
---@param t number|number[]|diffusion.tensor
---@param s? number|number[]|diffusion.tensor t - 1 if not given
---@return diffusion.tensor as v
function process:learned_log_variance(v, t, s) end

--- The variance that a network has learned for p_theta(x_s | x_t); see learned_log_variance.
---@param v diffusion.tensor {B, ...} of process:split
---@param t number|number[]|diffusion.tensor
---@param s? number|number[]|diffusion.tensor t - 1 if not given
---@return diffusion.tensor as v
function process:learned_variance(v, t, s) end

--- Mean and variance of q(x_s | x_t, x_0) (Ho et al. 2020, eq. 6 and 7, for any s < t).
---@param x0 number|diffusion.tensor
---@param xt number|diffusion.tensor
---@param t number|number[]|diffusion.tensor in 1..T
---@param s? number|number[]|diffusion.tensor default t - 1
---@return number|diffusion.tensor mean
---@return number|diffusion.tensor variance a number where t is, else {B}, or of the shape of the tensor t
function process:posterior(x0, xt, t, s) end

--- The coefficients of the posterior q(x_s | x_t, x_0) = N(c0 x_0 + ct x_t, variance).
---@param t number|number[]|diffusion.tensor
---@param s? number|number[]|diffusion.tensor default t - 1
---@return number|diffusion.tensor c0
---@return number|diffusion.tensor ct
---@return number|diffusion.tensor variance
function process:posterior_coefficients(t, s) end

--- Logarithm of the posterior variance. At t = 1 the variance is 0, and the result is that of
--- t = 2, as in the code of Ho et al. 2020.
---@param t number|number[]|diffusion.tensor
---@param s? number|number[]|diffusion.tensor default t - 1
---@return number|diffusion.tensor
function process:posterior_log_variance(t, s) end

--- Mean and variance of q(x_t | x_s = x).
---@param x number|diffusion.tensor
---@param t number|number[]|diffusion.tensor in 1..T
---@param s? number|number[]|diffusion.tensor 0 if not given
---@return number|diffusion.tensor mean
---@return number|diffusion.tensor variance a number where t is, else {B}, or of the shape of the tensor t
function process:q_moments(x, t, s) end

--- Draws x_t given x_0, in closed form: q(x_t | x_s) = N((a_t/a_s) x_s, s_t^2 - (a_t/a_s)^2
--- s_s^2). With s = 0 this is Ho et al. 2020, eq. 4. With a seed, sample k has the same noise
--- in any batch and at any t.
---@param x number|diffusion.tensor {B, ...}: x_0, or x_s with from = s
---@param t number|number[]|diffusion.tensor in 1..T, one or B
---@param eps? number|diffusion.tensor|diffusion.q_sample_options standard normal noise, or options of its draw
---@return number|diffusion.tensor xt
---@return number|diffusion.tensor eps
function process:q_sample(x, t, eps) end

--- Draws x_t given x_{t-1}: one step of the chain (Ho et al. 2020, eq. 2).
---@param x number|diffusion.tensor x_{t-1}
---@param t number|number[]|diffusion.tensor in 1..T
---@param eps? number|diffusion.tensor|diffusion.q_step_options standard normal noise, or options of its draw
---@return number|diffusion.tensor xt
---@return number|diffusion.tensor eps
function process:q_step(x, t, eps) end

--- Splits a network's output. If the variance is learned, the first half of the last dimension
--- is the prediction and the second half is v. Otherwise the output is the prediction.
---@param output number|diffusion.tensor [B,...,C], or [B,...,2C] if the variance is learned
---@return number|diffusion.tensor prediction of the kind process.predict
---@return diffusion.tensor|nil v as the prediction
function process:split(output) end

--- Variance of the noise that the step p_theta(x_s | x_t) adds. It is 0 at s = 0 for every
--- kind.
---@param t number
---@param s number
---@param v? diffusion.tensor v from process:split, if the variance is learned
---@return number|diffusion.tensor variance a tensor as v if the variance is learned
function process:step_variance(t, s, v) end

--- The training target of the network: the quantity that `predict` names. It is computed from
--- x_0 and eps, so it is also defined at zero terminal SNR.
---@param x0 number|diffusion.tensor
---@param eps number|diffusion.tensor the noise in x_t, as q_sample returns it
---@param t number|number[]|diffusion.tensor in 1..T, one or B
---@return number|diffusion.tensor target
function process:target(x0, eps, t) end

--- Goes back n steps. x is noised by q(x_t | x_s) from its level to the level of n steps ago,
--- with the run's own noise, and the solver's history is cleared. RePaint resamples this way
--- (Lugmayr et al. 2022).
---@param n? integer 1 if not given; at most the steps taken
---@return diffusion.tensor x
function run:back(n) end

--- An independent copy: x, the solver's history, its place and its count of draws. Generators
--- are copied; a function given as noise is shared.
---@return diffusion.run
function run:clone() end

--- Takes the steps that are left and returns x.
---@return diffusion.tensor
function run:finish() end

--- Continues from a file of run:save, in a run made with the same options.
---@param path string
---@return true|nil done nil with a message, and nothing changed, if the file is not from such a run
---@return string|nil message
function run:load(path) end

--- Writes the run to a file: x, history, place and counters.
---@param path string
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function run:save(path) end

--- alpha_bar_t/alpha_bar_s for the step from s to t; an error unless a^2 + s^2 = 1.
---@param t number|number[]|diffusion.tensor in 1..T
---@param s? number|number[]|diffusion.tensor 0 <= s < t; default t - 1
---@return number|diffusion.tensor
function schedule:alpha(t, s) end

--- a^2; an error unless a^2 + s^2 = 1.
---@param t number|number[]|diffusion.tensor in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function
---@return number|diffusion.tensor with the shape of the tensor t, or {B} for a list
function schedule:alpha_bar(t) end

--- 1 - alpha_bar_t/alpha_bar_s for the step from s to t; an error unless a^2 + s^2 = 1.
---@param t number|number[]|diffusion.tensor in 1..T
---@param s? number|number[]|diffusion.tensor 0 <= s < t; default t - 1
---@return number|diffusion.tensor
function schedule:beta(t, s) end

--- The two columns of the schedule: ln a_t and ln s_t for t = 1..T.
---@return number[] ln_a
---@return number[] ln_s
function schedule:columns() end

--- A table of plain values from which schedule.from_config makes the same schedule. Real
--- levels of a function are interpolated in it.
---@return table
function schedule:config() end

--- True if a^2 + s^2 = 1 at every level.
---@return boolean
function schedule:is_vp() end

--- The real t at which s/a = sigma.
---@param sigma number|number[]|diffusion.tensor 0, or from sigma(1) to sigma(T)
---@return number|diffusion.tensor
function schedule:level_of_sigma(sigma) end

--- ln(a^2/s^2).
---@param t number|number[]|diffusion.tensor in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function
---@return number|diffusion.tensor with the shape of the tensor t, or {B} for a list
function schedule:log_snr(t) end

--- s_t of x_t = a_t x_0 + s_t eps.
---@param t number|number[]|diffusion.tensor in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function
---@return number|diffusion.tensor with the shape of the tensor t, or {B} for a list
function schedule:noise(t) end

--- Plots a quantity of the schedule against u = t/T; see d.plot.schedules.
---@param o? diffusion.plot_schedules_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function schedule:plot(o) end

--- The variance of q(x_s | x_t, x_0) (Ho et al. 2020, eq. 7).
---@param t number|number[]|diffusion.tensor in 1..T
---@param s? number|number[]|diffusion.tensor 0 <= s < t; default t - 1
---@return number|diffusion.tensor
function schedule:posterior_variance(t, s) end

--- KL(q(x_T | x_0) || prior) per dimension, in bits: the information about x_0 that remains at
--- T.
---@param x? number |x_0|, default 1
---@return number
function schedule:prior_kl(x) end

--- Standard deviation of the noise from which sampling starts: 1 if a^2 + s^2 = 1, else s_T.
---@return number
function schedule:prior_std() end

--- The same schedule, shifted and scaled so that x_T holds no signal (Lin et al. 2024, alg.
--- 1). The first level is not changed.
---@return diffusion.schedule
function schedule:rescale_zero_terminal_snr() end

--- s/a, the noise in units of the data.
---@param t number|number[]|diffusion.tensor in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function
---@return number|diffusion.tensor with the shape of the tensor t, or {B} for a list
function schedule:sigma(t) end

--- a_t of x_t = a_t x_0 + s_t eps.
---@param t number|number[]|diffusion.tensor in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function
---@return number|diffusion.tensor with the shape of the tensor t, or {B} for a list
function schedule:signal(t) end

--- The signal-to-noise ratio a^2/s^2.
---@param t number|number[]|diffusion.tensor in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function
---@return number|diffusion.tensor with the shape of the tensor t, or {B} for a list
function schedule:snr(t) end

--- An iterator over batches: `for step, x0, class in set:batches{ size = 64 } do`. Images are
--- returned as floats in [-1, 1]. Each epoch has its own order. A batch may span two epochs,
--- so all batches are full, even if size > n, and no example is left out. With `epochs`, every
--- example occurs exactly that often, and the last batch may be short. If `.step` is set, the
--- next batch is step + 1. A set of pictures of several sizes has a bucket of each. A batch is
--- of one bucket, and batches of all are mixed.
---@param options diffusion.set_batches_options
---@return diffusion.batches
function set:batches(options) end

--- |x| of each element.
---@return diffusion.tensor with the shape of x
function tensor:abs() end

--- x + y, also written so. Operands are broadcast; it is an error if their shapes do not
--- match. Integers with integers give exact integers under + - *. It is an error if i64 cannot
--- hold a result, or if a real operand would round an integer (from 2^24 on).
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor with the broadcast shape
function tensor:add(y) end

--- Writes x + y to x. Type and shape of x stay, and y is broadcast to x. An i64 takes integers
--- only. If it cannot hold a result, an error is raised and x stays as it was. The backward
--- pass raises an error if a gradient needs the old values.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor x itself
function tensor:add_(y) end

--- True if no element is 0. True if there are no elements. A tensor itself is always true in
--- Lua, so write `if mask:any() then`.
---@param dim? integer|integer[] default: all elements, and the result is a boolean
---@param keep? boolean default false
---@return boolean|diffusion.tensor u8 along a dimension
function tensor:all(dim, keep) end

--- True if y has the same shape and |x - y| <= atol + rtol |y| for each element.
---@param y diffusion.tensor
---@param opts? diffusion.allclose_options
---@return boolean
function tensor:allclose(y, opts) end

--- True if any element is not 0. False if there are no elements. A tensor itself is always
--- true in Lua, so write `if mask:any() then`.
---@param dim? integer|integer[] default: all elements, and the result is a boolean
---@param keep? boolean default false
---@return boolean|diffusion.tensor u8 along a dimension
function tensor:any(dim, keep) end

--- The position of the largest element; the first one if several are equal.
---@param dim? integer default: all elements in one row
---@param keep? boolean default false
---@return diffusion.tensor i64, from 1
function tensor:argmax(dim, keep) end

--- The position of the smallest element; the first one if several are equal.
---@param dim? integer default: all elements in one row
---@param keep? boolean default false
---@return diffusion.tensor i64, from 1
function tensor:argmin(dim, keep) end

--- softmax(q k^T / sqrt(D) + mask) v in each head of width D (Vaswani et al. 2017, eq. 1); q
--- is x. With `causal`, query i sees the keys 1 to i + M - N, so the last query sees all. The
--- mask is {B,M} (of keys), {B,N,M} or {B,heads,N,M}; B, heads and N may be 1. A mask of
--- floats is added to the scores, and -inf hides a key. In a mask of u8 or i64, 0 hides a key
--- and any other value keeps it. A query that sees no key gets zeros. A mask has no gradient.
---@param k diffusion.tensor {B,M,heads D}
---@param v diffusion.tensor {B,M,heads D}
---@param opts? diffusion.attention_options
---@return diffusion.tensor {B,N,heads D} of x {B,N,heads D}
function tensor:attention(k, v, opts) end

--- The mean of each times x times block of pixels. H and W must be multiples of times.
---@param times? integer 2
---@return diffusion.tensor {B,H/times,W/times,C} of x {B,H,W,C}
function tensor:avg_pool(times) end

--- Runs the backward pass of the recorded ops and adds to the gradients of trainable
--- parameters. The tensor must have one element. A second backward pass, a value that was
--- overwritten, and a second derivative are errors. If it fails, also for lack of memory, the
--- gradients of all models reached so far are dropped.
---@param opts? diffusion.backward_options
function tensor:backward(opts) end

--- The bytes of the elements in order, for d.frombytes. They are constants: no gradient passes
--- through them.
---@return string
function tensor:bytes() end

--- Limits each element to [low, high].
---@param low? number nil: no lower limit
---@param high? number nil: no upper limit
---@return diffusion.tensor with the shape of x
function tensor:clamp(low, high) end

--- A copy with its own memory.
---@return diffusion.tensor
function tensor:clone() end

--- Returns x itself if its elements are in order without gaps, else a dense copy.
---@return diffusion.tensor
function tensor:contiguous() end

--- Cross-correlation: y[n,h,w,k] = b[k] + the sum over r, s, c of x[n, h stride + r - top, w
--- stride + s - left, c] w[k,r,s,c]. It is an error if channels differ, or if the kernel is
--- larger than the padded image.
---@param w diffusion.tensor {K,R,S,C}
---@param b? diffusion.tensor {K}
---@param opts? diffusion.conv2d_options
---@return diffusion.tensor {B,H',W',K} of x {B,H,W,C}
function tensor:conv2d(w, b, opts) end

--- Writes the elements of y to x, converted as by Tensor:to. An i64 takes integers only.
---@param y diffusion.tensor|number|number[] any type; it is broadcast to the shape of x
---@return diffusion.tensor x itself
function tensor:copy_(y) end

--- The cosine of each element, in radians.
---@return diffusion.tensor with the shape of x
function tensor:cos() end

--- Cumulative sum: y_i = x_1 + ... + x_i along a dimension. Integers give exact i64, or an
--- error.
---@param dim? integer default: the last
---@return diffusion.tensor with the shape of x
function tensor:cumsum(dim) end

--- The same values on the same memory, as a constant: no gradient passes through it.
---@return diffusion.tensor
function tensor:detach() end

--- The number of dimensions.
---@return integer
function tensor:dim() end

--- x / y, also written so; the result is real, also for integers. Operands are broadcast; it
--- is an error if their shapes do not match. Integers with integers give exact integers under
--- + - *. It is an error if i64 cannot hold a result, or if a real operand would round an
--- integer (from 2^24 on).
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor with the broadcast shape
function tensor:div(y) end

--- Writes x / y to x. Type and shape of x stay, and y is broadcast to x. An i64 takes integers
--- only. If it cannot hold a result, an error is raised and x stays as it was. The backward
--- pass raises an error if a gradient needs the old values.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor x itself
function tensor:div_(y) end

--- x / (1 - p) for kept elements, 0 for dropped ones (Srivastava et al. 2014).
---@param p number the fraction that is dropped, in [0, 1)
---@return diffusion.tensor with the shape of x
function tensor:dropout(p) end

--- The type of the elements.
---@return string "f32", "f64", "f16", "bf16", "i64" or "u8"
function tensor:dtype() end

--- Rows of a table: y[i] = w[x[i]], and zeros if x[i] is 0 (no class).
---@param w diffusion.tensor {n,D}
---@return diffusion.tensor with the shape of x and D; x holds integers in 0..n
function tensor:embedding(w) end

--- 1 if x = y, else 0. (Lua's == compares objects, not elements.) An integer and a real are
--- compared exactly: neither is rounded to the other's type.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor u8, 1 or 0, with the broadcast shape
function tensor:eq(y) end

--- True if y has the same shape and the same elements. nan equals nothing.
---@param y diffusion.tensor
---@return boolean
function tensor:equal(y) end

--- The error function of each element: 2/sqrt(pi) times the integral of e^(-u^2) from 0 to x.
---@return diffusion.tensor with the shape of x
function tensor:erf() end

--- 1 - erf(x) of each element, computed without cancellation.
---@return diffusion.tensor with the shape of x
function tensor:erfc() end

--- e^x of each element.
---@return diffusion.tensor with the shape of x
function tensor:exp() end

--- Repeats sizes of 1, and missing leading dimensions, without a copy.
---@param shape integer|integer[] numbers or one list
---@return diffusion.tensor a window; several elements share one place in memory
function tensor:expand(shape) end

--- Writes one number to every element.
---@param value number an integer if x is i64
---@return diffusion.tensor x itself
function tensor:fill_(value) end

--- The rows and columns of an image are filtered and resampled (Karras et al. 2020).
---@param opts diffusion.fir_options
---@return diffusion.tensor {B,H',W',C}; H' is (up H + before + after - taps) // down + 1
function tensor:fir(opts) end

--- Joins dimensions into one, like reshape.
---@param from? integer the first of them, 1
---@param to? integer the last of them, -1
---@return diffusion.tensor
function tensor:flatten(from, to) end

--- Reverses the order of elements along dimensions.
---@param dim integer|integer[]
---@return diffusion.tensor
function tensor:flip(dim) end

--- The largest integer not above x, for each element. No gradient.
---@return diffusion.tensor with the shape of x
function tensor:floor() end

--- sin and cos of 2 pi w t (Song et al. 2021, appendix C). No gradient.
---@param w diffusion.tensor {C} frequencies
---@param opts? diffusion.fourier_options
---@return diffusion.tensor {B,2 C} of t {B}
function tensor:fourier(w, opts) end

--- Frees the memory now, not at the next garbage collection. Using the tensor afterwards is an
--- error. Other windows on the same memory stay valid.
function tensor:free() end

--- Selects an element for each position: for dim 2, y[i][j] = x[i][places[i][j]].
---@param dim integer
---@param places diffusion.tensor i64 with as many dimensions as x, from 1
---@return diffusion.tensor with the shape of places
function tensor:gather(dim, places) end

--- 1 if x >= y, else 0. An integer and a real are compared exactly: neither is rounded to the
--- other's type.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor u8, 1 or 0, with the broadcast shape
function tensor:ge(y) end

--- a gelu(b), where a and b are the halves of the last dimension (Shazeer 2020). The gate is
--- the second half, as in diffusers' GEGLU.
---@return diffusion.tensor {...,C} of x {...,2 C}
function tensor:geglu() end

--- x Phi(x) of each element; Phi is the normal distribution function (Hendrycks & Gimpel
--- 2016). "tanh" gives its approximation, as in GPT-2 and T5: x (1 + tanh(sqrt(2/pi) (x +
--- 0.044715 x^3))) / 2.
---@param by? string "erf" (the default) or "tanh"
---@return diffusion.tensor with the shape of x
function tensor:gelu(by) end

--- (x - m) / sqrt(s2 + epsilon) w + b, with mean m and variance s2 over each group of channels
--- of an image (Wu & He 2018). silu and dropout are optional and run in the same pass.
---@param w? diffusion.tensor {C}
---@param b? diffusion.tensor {C}
---@param opts diffusion.group_norm_options
---@return diffusion.tensor {B,...,C} as x
function tensor:group_norm(w, b, opts) end

--- 1 if x > y, else 0. An integer and a real are compared exactly: neither is rounded to the
--- other's type.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor u8, 1 or 0, with the broadcast shape
function tensor:gt(y) end

--- Selects by positions along a dimension: y[..., j, ...] = x[..., places[j], ...].
---@param dim integer
---@param places integer[]|diffusion.tensor {n}, from 1
---@return diffusion.tensor the type of x; the size of the dimension is n
function tensor:index(dim, places) end

--- True if the elements are in order without gaps.
---@return boolean
function tensor:is_contiguous() end

--- 1 if x is neither infinite nor nan, else 0.
---@return diffusion.tensor u8, 1 or 0, with the shape of x
function tensor:isfinite() end

--- Returns the value of a tensor with one element; other tensors raise an error. The number is
--- a constant: no gradient passes through it, also inside d.record and d.grad.
---@return number
function tensor:item() end

--- Iterates over the first dimension: `for i, xi in x:iter() do`. If x is a vector, each xi is
--- a number. Then it raises an error while x is being recorded, like x[i].
---@return function iterator that returns i and x[i]
function tensor:iter() end

--- (x - m) / sqrt(s2 + epsilon) w + b, with mean m and variance s2 over the last dimension (Ba
--- et al. 2016).
---@param w? diffusion.tensor {C}
---@param b? diffusion.tensor {C}
---@param opts? diffusion.layer_norm_options
---@return diffusion.tensor {...,C} as x
function tensor:layer_norm(w, b, opts) end

--- 1 if x <= y, else 0. An integer and a real are compared exactly: neither is rounded to the
--- other's type.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor u8, 1 or 0, with the broadcast shape
function tensor:le(y) end

--- y = x w^T + b over the last dimension.
---@param w diffusion.tensor {K,C}
---@param b? diffusion.tensor {K}
---@return diffusion.tensor {...,K} of x {...,C}
function tensor:linear(w, b) end

--- ln x of each element. ln 0 is -inf; the result is nan for negative numbers.
---@return diffusion.tensor with the shape of x
function tensor:log() end

--- ln erfc(x) of each element, accurate even if erfc(x) underflows.
---@return diffusion.tensor with the shape of x
function tensor:log_erfc() end

--- x_i - ln sum_j e^x_j along a dimension. A row of -inf gives -inf with gradient 0.
---@param dim integer from 1, or from -1 for the last
---@return diffusion.tensor with the shape of x
function tensor:log_softmax(dim) end

--- ln sum e^x without overflow, along dimensions, or over all elements. It is -inf with
--- gradient 0 if there are no elements, or if all are -inf. The order of additions depends
--- only on the shape. Sums and products of integers are exact i64; it is an error if i64
--- cannot hold the result.
---@param dim? integer|integer[] from 1, or from -1 for the last; default: all
---@param keep? boolean keep reduced dimensions with size 1; default false
---@return diffusion.tensor
function tensor:logsumexp(dim, keep) end

--- 1 if x < y, else 0. An integer and a real are compared exactly: neither is rounded to the
--- other's type.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor u8, 1 or 0, with the broadcast shape
function tensor:lt(y) end

--- Matrix product. Two integer matrices give exact i64, or an error.
---@param b diffusion.tensor {k,n}, or {...,k,n} with the leading sizes of x {...,m,k}
---@return diffusion.tensor {m,n} or {...,m,n}
function tensor:matmul(b) end

--- The largest element; nan if any element is nan. It is an error if there are no elements.
--- Equal extremes share the gradient equally.
---@param dim? integer|integer[] default: all
---@param keep? boolean default false
---@return diffusion.tensor values
---@return diffusion.tensor|nil places i64 from 1, the first of equals; with a dimension only
function tensor:max(dim, keep) end

--- The larger of x and y for each element; nan if either is nan. Integers with integers give
--- integers.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor with the broadcast shape
function tensor:maximum(y) end

--- The mean along dimensions, or of all elements. The order of additions depends only on the
--- shape. Sums and products of integers are exact i64; it is an error if i64 cannot hold the
--- result.
---@param dim? integer|integer[] from 1, or from -1 for the last; default: all
---@param keep? boolean keep reduced dimensions with size 1; default false
---@return diffusion.tensor
function tensor:mean(dim, keep) end

--- The smallest element; nan if any element is nan. It is an error if there are no elements.
--- Equal extremes share the gradient equally.
---@param dim? integer|integer[] default: all
---@param keep? boolean default false
---@return diffusion.tensor values
---@return diffusion.tensor|nil places i64 from 1, the first of equals; with a dimension only
function tensor:min(dim, keep) end

--- The smaller of x and y for each element; nan if either is nan. Integers with integers give
--- integers.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor with the broadcast shape
function tensor:minimum(y) end

--- x tanh(ln(1 + e^x)) of each element (Misra 2019).
---@return diffusion.tensor with the shape of x
function tensor:mish() end

--- x y element by element, also written x * y. Operands are broadcast; it is an error if their
--- shapes do not match. Integers with integers give exact integers under + - *. It is an error
--- if i64 cannot hold a result, or if a real operand would round an integer (from 2^24 on).
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor with the broadcast shape
function tensor:mul(y) end

--- Writes x y to x. Type and shape of x stay, and y is broadcast to x. An i64 takes integers
--- only. If it cannot hold a result, an error is raised and x stays as it was. The backward
--- pass raises an error if a gradient needs the old values.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor x itself
function tensor:mul_(y) end

--- A range of one dimension.
---@param dim integer
---@param start integer first position, from 1
---@param length integer 0 or more
---@return diffusion.tensor a window
function tensor:narrow(dim, start, length) end

--- 1 if x ~= y, else 0. (Lua's ~= compares objects, not elements.) An integer and a real are
--- compared exactly: neither is rounded to the other's type.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor u8, 1 or 0, with the broadcast shape
function tensor:ne(y) end

--- -x, also written so.
---@return diffusion.tensor with the shape of x
function tensor:neg() end

--- The L2 norm, sqrt(sum x^2), along dimensions, or of all elements. Its gradient at 0 is 0.
--- The order of additions depends only on the shape. Sums and products of integers are exact
--- i64; it is an error if i64 cannot hold the result.
---@param dim? integer|integer[] from 1, or from -1 for the last; default: all
---@param keep? boolean keep reduced dimensions with size 1; default false
---@return diffusion.tensor
function tensor:norm(dim, keep) end

--- The number of elements.
---@return integer
function tensor:numel() end

--- Inserts sizes of 1 before the last dimension of x, so that {B,C} broadcasts over {B,H,W,C}.
--- A vector {B} gives one value per sample. It is an error if the result does not broadcast
--- over y.
---@param y diffusion.tensor
---@return diffusion.tensor a window
function tensor:over(y) end

--- Adds a margin around x.
---@param margins table for each dimension in order: n, {before, after} or {}; later dimensions may be left out
---@param value? number fills the margin, default 0; an integer if x is i64
---@return diffusion.tensor
function tensor:pad(margins, value) end

--- Changes the order of dimensions.
---@param order integer|integer[] each dimension once: numbers or one list
---@return diffusion.tensor a window
function tensor:permute(order) end

--- x^y, also written so, as C's pow: nan if x < 0 and y is not an integer. Integers to the
--- power of integers give integers, unless an exponent is negative. A result that i64 cannot
--- hold is an error.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor with the broadcast shape
function tensor:pow(y) end

--- The product along dimensions, or of all elements. The order of additions depends only on
--- the shape. Sums and products of integers are exact i64; it is an error if i64 cannot hold
--- the result.
---@param dim? integer|integer[] from 1, or from -1 for the last; default: all
---@param keep? boolean keep reduced dimensions with size 1; default false
---@return diffusion.tensor
function tensor:prod(dim, keep) end

--- The q-quantile, with linear interpolation between the two nearest elements.
---@param q number in [0, 1]
---@param dim? integer|integer[] default: all
---@param keep? boolean default false
---@return diffusion.tensor
function tensor:quantile(q, dim, keep) end

--- x sigmoid(1.702 x) of each element, as in CLIP's text encoder.
---@return diffusion.tensor with the shape of x
function tensor:quick_gelu() end

--- 1/x of each element.
---@return diffusion.tensor with the shape of x
function tensor:reciprocal() end

--- max(x, 0) of each element.
---@return diffusion.tensor with the shape of x
function tensor:relu() end

--- Repeats each entry of a dimension `times` times.
---@param times integer 0 or more
---@param dim? integer default 1
---@return diffusion.tensor
function tensor:repeat_each(times, dim) end

--- The same elements in another shape. They are copied only if necessary.
---@param shape integer|integer[] numbers or one list; one size may be -1 and is computed from the others
---@return diffusion.tensor
function tensor:reshape(shape) end

--- x / sqrt(m + epsilon) w, with m the mean of squares over the last dimension (Zhang &
--- Sennrich 2019).
---@param w? diffusion.tensor {C}
---@param opts? diffusion.rms_norm_options
---@return diffusion.tensor {...,C} as x
function tensor:rms_norm(w, opts) end

--- Shifts the elements along a dimension. Elements that leave at one end enter at the other.
---@param shift integer positions towards the end; negative: towards the start
---@param dim integer
---@return diffusion.tensor
function tensor:roll(shift, dim) end

--- The nearest integer, for each element; halves go to the even one. No gradient.
---@return diffusion.tensor with the shape of x
function tensor:round() end

--- Selects one position of a dimension. The result does not have that dimension.
---@param dim integer
---@param place integer from 1, or from -1 for the last
---@return diffusion.tensor a window
function tensor:select(dim, place) end

--- The sizes of all dimensions.
---@return integer[]
function tensor:shape() end

--- 1 / (1 + e^-x) of each element.
---@return diffusion.tensor with the shape of x
function tensor:sigmoid() end

--- -1, 0 or 1 for each element.
---@return diffusion.tensor with the shape of x
function tensor:sign() end

--- x / (1 + e^-x) of each element (Hendrycks & Gimpel 2016).
---@return diffusion.tensor with the shape of x
function tensor:silu() end

--- The sine of each element, in radians.
---@return diffusion.tensor with the shape of x
function tensor:sin() end

--- cos and sin of t times width/2 frequencies max_period^(-k / (width/2 - shift)). No
--- gradient.
---@param opts diffusion.sinusoid_options
---@return diffusion.tensor {B,width} of t {B}
function tensor:sinusoid(opts) end

--- The size of one dimension.
---@param dim integer from 1, or from -1 for the last
---@return integer
function tensor:size(dim) end

--- e^x_i / sum_j e^x_j along a dimension. A row of -inf gives zeros with gradient 0.
---@param dim integer from 1, or from -1 for the last
---@return diffusion.tensor with the shape of x
function tensor:softmax(dim) end

--- Sorts along a dimension. Equal elements keep their order, and nan comes last.
---@param dim? integer default: the last
---@param descending? boolean default false
---@return diffusion.tensor values
---@return diffusion.tensor places i64, where each stood, from 1
function tensor:sort(dim, descending) end

--- The square root of each element; nan if x < 0.
---@return diffusion.tensor with the shape of x
function tensor:sqrt() end

--- x^2 of each element. For integers it is i64 and exact, or an error.
---@return diffusion.tensor with the shape of x
function tensor:square() end

--- Removes a dimension of size 1, or all of them. A dimension of another size stays.
---@param dim? integer default: all
---@return diffusion.tensor a window
function tensor:squeeze(dim) end

--- The standard deviation, sqrt(sum (x - mean)^2 / (n - correction)). The result is nan if n
--- <= correction. The gradient of std is 0 if the variance is 0.
---@param dim? integer|integer[] default: all
---@param keep? boolean default false
---@param correction? integer default 1; 0 gives the mean square
---@return diffusion.tensor
function tensor:std(dim, keep, correction) end

--- x - y, also written so. Operands are broadcast; it is an error if their shapes do not
--- match. Integers with integers give exact integers under + - *. It is an error if i64 cannot
--- hold a result, or if a real operand would round an integer (from 2^24 on).
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor with the broadcast shape
function tensor:sub(y) end

--- Writes x - y to x. Type and shape of x stay, and y is broadcast to x. An i64 takes integers
--- only. If it cannot hold a result, an error is raised and x stays as it was. The backward
--- pass raises an error if a gradient needs the old values.
---@param y diffusion.tensor|number|number[]
---@return diffusion.tensor x itself
function tensor:sub_(y) end

--- The sum along dimensions, or of all elements. The order of additions depends only on the
--- shape. Sums and products of integers are exact i64; it is an error if i64 cannot hold the
--- result.
---@param dim? integer|integer[] from 1, or from -1 for the last; default: all
---@param keep? boolean keep reduced dimensions with size 1; default false
---@return diffusion.tensor
function tensor:sum(dim, keep) end

--- Transposes a matrix.
---@return diffusion.tensor {n,m} of x {m,n}, a window
function tensor:t() end

--- The hyperbolic tangent of each element.
---@return diffusion.tensor with the shape of x
function tensor:tanh() end

--- Converts to another type; x itself if it already has it. Conversion to u8 rounds and clamps
--- to 0..255. Conversion to i64 drops the fraction.
---@param dtype string "f32", "f64", "f16", "bf16", "i64" or "u8"
---@return diffusion.tensor
function tensor:to(dtype) end

--- The k largest elements along a dimension, in descending order.
---@param k integer from 0 to the size of the dimension
---@param dim? integer default: the last
---@return diffusion.tensor values
---@return diffusion.tensor places i64, from 1
function tensor:topk(k, dim) end

--- The elements as nested tables. They are constants: no gradient passes through them.
---@return table|number a number if x has no dimensions
function tensor:totable() end

--- Adds a dimension of size 1.
---@param dim integer its position in the result, from 1, or from -1 for the last
---@return diffusion.tensor a window
function tensor:unsqueeze(dim) end

--- Repeats each pixel `times` times in both directions (nearest neighbours).
---@param times? integer 2
---@return diffusion.tensor {B,times H,times W,C} of x {B,H,W,C}
function tensor:upsample(times) end

--- The variance, sum (x - mean)^2 / (n - correction). The result is nan if n <= correction.
--- The gradient of std is 0 if the variance is 0.
---@param dim? integer|integer[] default: all
---@param keep? boolean default false
---@param correction? integer default 1; 0 gives the mean square
---@return diffusion.tensor
function tensor:var(dim, keep, correction) end

--- The number of writes to the memory of this tensor.
---@return integer
function tensor:version() end

--- The same elements on the same memory in another shape. Raises an error if the strides do
--- not allow it.
---@param shape integer|integer[] numbers or one list; one size may be -1 and is computed from the others
---@return diffusion.tensor
function tensor:view(shape) end

--- Writes 0 to every element.
---@return diffusion.tensor x itself
function tensor:zero_() end

--- Adds a word with tokens of its own, as textual inversion does. Its n tokens are named word,
--- word_1, word_2 and so on, as diffusers names them. The word in a text becomes all n. Its
--- case doesn't matter.
---@param word string UTF-8, such as "<cat-toy>"
---@param n? integer|nil number of tokens, 1 if not given
---@return integer[] ids the new ids, which follow the last one
function tokenizer:add(word, n) end

--- The text of ids. It is in lower case, with a space after each word, also before a comma.
---@param ids integer[]|diffusion.tensor a list or a tensor [N], or a tensor [B,N]
---@param options? diffusion.tokenizer_decode_options?
---@return string|string[] text a list of texts for a tensor [B,N]
function tokenizer:decode(ids, options) end

--- The ids of a text's tokens, without those before and after it. Nothing is cut.
---@param text string UTF-8
---@return integer[] ids from 0
function tokenizer:encode(text) end

--- The tokens of a text as the vocabulary writes them. Bytes are in GPT-2's alphabet, and the
--- last token of a word ends with "</w>".
---@param text string UTF-8
---@return string[]
function tokenizer:pieces(text) end

--- Trains until the batches end, or until Ctrl-C or SIGTERM. The first Ctrl-C stops it after
--- the current step. Over ranks it stops all of them, after the next step. The second one has
--- its usual effect on the program. At the library's prompt a third one interrupts the step,
--- and nothing of that step is kept.
---@return table|nil report {step, loss (smoothed), seconds, rate (items per second), resumed = step}; nil and a message if Ctrl-C, or a checkpoint that doesn't fit, stopped it
---@return string|nil message
function trainer:run() end

--- Images of latents, which are quantised first.
---@param z diffusion.tensor latents {B, h, w, width of a row}
---@param options? diffusion.vq_decode_options?
---@return diffusion.tensor images {B, H, W, C}
---@return diffusion.tensor|nil loss that of the codebook, if z was quantised
function vq:decode(z, options) end

--- Latents of images, before they are quantised.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@param options nil none are taken, and they are refused
---@return diffusion.tensor latents {B, h, w, width of a row}
function vq:encode(x, options) end

return d

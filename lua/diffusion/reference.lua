-- What d.help shows. Made by `make doc` from the comments above what is public;
-- change those.
return {
  ["adamw"] = {
    signature = "adamw",
    text = "AdamW over the parameters that were trainable when it was made.",
    params = {
      { name = "lr", type = "number", text = "rate of the next step; can be set to a number or a function of the step" },
      { name = "steps", type = "integer", text = "steps taken" },
      { name = "skipped", type = "integer", text = "steps not taken, since the gradient wasn't finite" },
      { name = "loss", type = "number|nil", text = "with `over`: the mean loss of the last backward pass over all ranks" },
      { name = "over", type = "diffusion.mpi|nil", text = "the ranks" },
    },
  },
  ["adamw:load_state"] = {
    signature = "adamw:load_state(state)",
    text = "Copies a state in. It must have the moments of every parameter of this optimiser, and nothing else. Rates that are numbers are restored. Functions of this optimiser stay.",
    params = {
      { name = "state", type = "table", text = "from state()" },
    },
    returns = {
      { type = "diffusion.adamw", text = "self" },
    },
  },
  ["adamw:state"] = {
    signature = "adamw:state()",
    text = "The state that a resumed training needs: {steps =, skipped =, lr =, first =, second =}. The moments are windows on the optimiser's own, by name; with `shard` they are copies, and all ranks call this. lr lists the groups' rates; false is a function, or the first group's rate.",
    returns = {
      { type = "table" },
    },
  },
  ["adamw:step"] = {
    signature = "adamw:step([options])",
    text = "One step: mean of the gradients of the backward calls since the last step (accumulate = \"mean\"), global-norm clip, AdamW, averages. A parameter without a gradient counts as 0. If the norm is not finite, nothing is changed, the gradient is dropped and `skipped` grows by one. The first such step prints a warning to stderr; 30 in a row are an error.",
    params = {
      { name = "options", type = "diffusion.adamw_step_options?", optional = true },
    },
    options = {
      { name = "zero", type = "boolean", default = "true", text = "drops the gradient after the step" },
    },
    returns = {
      { type = "number", text = "norm L2, of the whole gradient before clipping" },
    },
  },
  ["adamw:zero"] = {
    signature = "adamw:zero()",
    text = "Drops the accumulated gradients.",
    returns = {
      { type = "diffusion.adamw", text = "self" },
    },
  },
  ["added_token"] = {
    signature = "added_token",
    text = "An added token.",
    params = {
      { name = "content", type = "string" },
      { name = "id", type = "integer" },
      { name = "ids", type = "integer[]|nil", text = "the tokens that it stands for, if it is not only one" },
      { name = "special", type = "boolean", text = "whether decoding may leave it out" },
      { name = "normalized", type = "boolean", text = "whether it is found after normalization, as its own normal form, or before" },
      { name = "lstrip", type = "boolean", text = "whether the white space before it belongs to it" },
      { name = "rstrip", type = "boolean", text = "the same for that after it" },
    },
  },
  ["array"] = {
    signature = "array",
    text = "An array of a file that no tensor can hold. It has a type and a shape only.",
  },
  ["autoencoderkl"] = {
    signature = "autoencoderkl",
    text = "An autoencoder of latent diffusion, as d.autoencoderkl makes it. Called with images, it returns the decoded ones and the divergence of its latents from standard normal ones, for training.",
    params = {
      { name = "encoder", type = "diffusion.layer", text = "images to mean and ln variance, before quant_conv" },
      { name = "decoder", type = "diffusion.layer", text = "latents to images, after post_quant_conv" },
      { name = "quant_conv", type = "diffusion.layer|nil" },
      { name = "post_quant_conv", type = "diffusion.layer|nil" },
    },
  },
  ["autoencoderkl()"] = {
    signature = "autoencoderkl(x, [options])",
    text = "Encodes images, draws latents and decodes them.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {B, H, W, C} in [-1, 1]" },
      { name = "options", type = "diffusion.autoencoderkl_call_options?", optional = true },
    },
    options = {
      { name = "eps", type = "tensor", default = "drawn", text = "the latents' standard normal numbers {B, h, w, latent_channels}" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images" },
      { type = "diffusion.tensor", text = "kl {B}, the divergence of the latents from standard normal ones" },
    },
  },
  ["autoencoderkl:decode"] = {
    signature = "autoencoderkl:decode(z, [options])",
    text = "Images of latents.",
    params = {
      { name = "z", type = "diffusion.tensor", text = "latents {B, h, w, latent_channels}" },
      { name = "options", type = "diffusion.autoencoderkl_decode_options?", optional = true },
    },
    options = {
      { name = "tile", type = "boolean or table", default = "false", text = "images larger than a tile are computed in overlapping tiles, which takes less memory" },
      { name = "tile.overlap", type = "number", range = "[0, 1)", default = "0.25", text = "share of a tile that lies in the one before, rounded up to whole latents" },
      { name = "tile.size", type = "integer", range = ">= 1", default = "sample_size, at most 192; diffusers takes sample_size", text = "height and width of a tile in pixels, rounded down to whole latents" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {B, H, W, C}" },
    },
  },
  ["autoencoderkl:encode"] = {
    signature = "autoencoderkl:encode(x, [options])",
    text = "The distribution of the latents of images. Draw them as mean + std * noise.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {B, H, W, C} in [-1, 1]" },
      { name = "options", type = "diffusion.autoencoderkl_encode_options?", optional = true },
    },
    options = {
      { name = "tile", type = "boolean or table", default = "false", text = "images larger than a tile are computed in overlapping tiles, which takes less memory" },
      { name = "tile.overlap", type = "number", range = "[0, 1)", default = "0.25", text = "share of a tile that lies in the one before, rounded up to whole latents" },
      { name = "tile.size", type = "integer", range = ">= 1", default = "sample_size, at most 192; diffusers takes sample_size", text = "height and width of a tile in pixels, rounded down to whole latents" },
    },
    returns = {
      { type = "diffusion.tensor", text = "mean {B, h, w, latent_channels}" },
      { type = "diffusion.tensor", text = "std" },
    },
  },
  ["autoencodertiny"] = {
    signature = "autoencodertiny",
    text = "An autoencoder of plain convolutions, as d.autoencodertiny makes it. Called with images, it encodes and decodes them by way of latents of 8 bits.",
    params = {
      { name = "encoder", type = "diffusion.layer", text = "images in [-1, 1] to latents" },
      { name = "decoder", type = "diffusion.layer", text = "latents to images in [-1, 1]" },
    },
  },
  ["autoencodertiny()"] = {
    signature = "autoencodertiny(x)",
    text = "Encodes and decodes images. Between the two, latents are rounded to the 256 values of a picture's bytes. The gradient passes as if they were not.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {B, H, W, C} in [-1, 1]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images" },
    },
  },
  ["autoencodertiny:decode"] = {
    signature = "autoencodertiny:decode(z, options)",
    text = "Images of latents.",
    params = {
      { name = "z", type = "diffusion.tensor", text = "latents {B, h, w, latent_channels}" },
      { name = "options", type = "nil", text = "none are taken, and they are refused" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {B, H, W, C}" },
    },
  },
  ["autoencodertiny:encode"] = {
    signature = "autoencodertiny:encode(x, options)",
    text = "Latents of images.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {B, H, W, C} in [-1, 1]" },
      { name = "options", type = "nil", text = "none are taken, and they are refused" },
    },
    returns = {
      { type = "diffusion.tensor", text = "latents {B, h, w, latent_channels}" },
    },
  },
  ["autoencodertiny:scale_latents"] = {
    signature = "autoencodertiny:scale_latents(z)",
    text = "Latents scaled to [0, 1], as the bytes of a picture hold them: clamp(z / (2 latent_magnitude) + latent_shift).",
    params = {
      { name = "z", type = "diffusion.tensor" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["autoencodertiny:unscale_latents"] = {
    signature = "autoencodertiny:unscale_latents(z)",
    text = "The latents that scale_latents scaled.",
    params = {
      { name = "z", type = "diffusion.tensor" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["batches"] = {
    signature = "batches",
    text = "An iterator over a set. Its state is its step.",
    params = {
      { name = "step", type = "integer", text = "batches returned so far; can be set" },
      { name = "steps", type = "integer", text = "number of batches" },
      { name = "size", type = "integer", text = "examples in a batch" },
      { name = "n", type = "integer", text = "examples in the set" },
      { name = "seed", type = "integer", text = "seed of the order and the flips" },
      { name = "shuffle", type = "boolean" },
      { name = "flip", type = "boolean" },
      { name = "pieces", type = "integer|nil", text = "pieces into which a batch is cut, if it is dealt out over ranks" },
      { name = "examples", type = "integer[]|nil", text = "numbers in the set of the last batch's examples" },
      { name = "captions", type = "string[]|nil", text = "their captions, if the set has captions" },
      { name = "sizes", type = "table|nil", text = "sizes of their pictures, that SDXL is conditioned on: original = {height, width} of each before it was resized, crop = {top, left} of each, target = {height, width} of all" },
    },
  },
  ["batches()"] = {
    signature = "batches()",
    text = "The next batch, or nil if none is left. Over ranks it is this rank's part.",
    returns = {
      { type = "integer|nil", text = "step counting from 1" },
      { type = "diffusion.tensor|nil", text = "x0 [B,...] floats" },
      { type = "diffusion.tensor|nil", text = "class i64 [B], 1..classes; nil if the set has none" },
      { type = "diffusion.tensor|nil", text = "eps as x0: the noise of each example, in a set of pairs (d.reflow)" },
    },
  },
  ["batches:load_state"] = {
    signature = "batches:load_state(state)",
    text = "Continues from a state. The next batches are those that would have followed it.",
    params = {
      { name = "state", type = "table", text = "from `state()`" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the state is from another set or has other sizes" },
      { type = "string|nil", text = "message" },
    },
  },
  ["batches:state"] = {
    signature = "batches:state()",
    text = "The state for a checkpoint.",
    returns = {
      { type = "table", text = "state { step, seed, size, n, shuffle, flip }, and counts of the buckets if there are several" },
    },
  },
  ["bound"] = {
    signature = "bound",
    text = "The result of d.likelihood.vlb. It prints as a table.",
  },
  ["brownian"] = {
    signature = "brownian",
    text = "A Brownian path over the levels of a schedule.",
    params = {
      { name = "low", type = "number" },
      { name = "high", type = "number" },
      { name = "depth", type = "integer" },
    },
  },
  ["checkpoint"] = {
    signature = "checkpoint",
    text = "A training and the file that it is saved in.",
    params = {
      { name = "path", type = "string", text = "can be written" },
      { name = "extra", type = "table|nil", text = "after load: the value that was given to save" },
    },
  },
  ["checkpoint:load"] = {
    signature = "checkpoint:load()",
    text = "Resumes from the file, if there is one. Over ranks all of them read it. Their number may be another than that of the ranks that saved it.",
    returns = {
      { type = "boolean|nil", text = "loaded true; false if there is no file; nil and a message, with nothing changed, if the file can't be read or is from another training" },
      { type = "string|nil", text = "message" },
    },
  },
  ["checkpoint:save"] = {
    signature = "checkpoint:save([extra])",
    text = "Saves a training: parameters, moments, averages, random counters, the place in the data, and `extra`. The file is written whole or not at all. Over ranks, rank 0 writes it.",
    params = {
      { name = "extra", type = "table?", text = "equal in .extra after load: numbers, strings of any bytes, booleans, and tables of these, nested up to 60 deep. A table that occurs twice stays one. Anything else, or a table that contains itself, is an error, and nothing is written", optional = true },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if it fails" },
      { type = "string|nil", text = "message" },
    },
  },
  ["cliptext"] = {
    signature = "cliptext",
    text = "A text encoder, as d.cliptext makes it. Called with ids of tokens, it returns the tokens' states and one pooled state a text.",
    params = {
      { name = "embeddings", type = "diffusion.layer", text = "ids from 1 to tokens with their positions" },
      { name = "encoder", type = "table", text = "its layers, the fields \"0\", \"1\" and so on of encoder.layers" },
      { name = "final_layer_norm", type = "diffusion.layer" },
      { name = "text_projection", type = "diffusion.layer|nil", text = "projects pooled states" },
      { name = "added", type = "diffusion.tensor[]", text = "rows of the tokens that add_tokens added" },
    },
  },
  ["cliptext()"] = {
    signature = "cliptext(ids, [options])",
    text = "States of tokens after a layer, and one pooled state a text. That is the state of the token that ends the text, after all layers, with the final norm. A model with projection projects it.",
    params = {
      { name = "ids", type = "integer[][]|diffusion.tensor", text = "{B, N}, whole numbers from 0 as a tokenizer gives them" },
      { name = "options", type = "diffusion.cliptext_call_options?", optional = true },
    },
    options = {
      { name = "norm", type = "boolean", default = "true", text = "the final norm is applied to the states" },
      { name = "skip", type = "integer", range = ">= 0", default = "0", text = "number of last layers that the states leave out" },
    },
    returns = {
      { type = "diffusion.tensor", text = "states {B, N, width}" },
      { type = "diffusion.tensor", text = "pooled {B, width}, or {B, projection_dim}" },
    },
  },
  ["cliptext:add_tokens"] = {
    signature = "cliptext:add_tokens(rows)",
    text = "Adds tokens, as textual inversion does (Gal et al. 2022). A saved model has them in its table. The rows are not copied. So rows that are parameters of another model train with it.",
    params = {
      { name = "rows", type = "diffusion.tensor", text = "{n, width}" },
    },
    returns = {
      { type = "integer[]", text = "ids of the new tokens" },
    },
  },
  ["cliptext:embed"] = {
    signature = "cliptext:embed(ids)",
    text = "Vectors of tokens, without positions.",
    params = {
      { name = "ids", type = "integer[]|diffusion.tensor", text = "whole numbers from 0, of any shape" },
    },
    returns = {
      { type = "diffusion.tensor", text = "vectors {..., width}" },
    },
  },
  ["d.adamw"] = {
    signature = "d.adamw(models, [options])",
    text = "AdamW (Loshchilov & Hutter 2019, alg. 2) over the parameters that are trainable now. In a list of models a parameter's name is \"1.name\".",
    params = {
      { name = "models", type = "diffusion.model|diffusion.model[]" },
      { name = "options", type = "diffusion.adamw_options?", optional = true },
    },
    options = {
      { name = "accumulate", type = "\"mean\" or \"sum\"", default = "\"mean\"", text = "combines the gradients of the backward calls between two steps" },
      { name = "betas", type = "list of 2 numbers", default = "{0.9, 0.999}", text = "decays of both moments, in [0, 1)" },
      { name = "bucket", type = "number", range = "(0, 4096]", default = "4", text = "with `over`: MiB of gradients that are sent at once" },
      { name = "clip", type = "number", range = "> 0", default = "none", text = "largest L2 norm of the whole gradient" },
      { name = "ema", type = "ema or list of emas", default = "none", text = "averages that each step updates" },
      { name = "epsilon", type = "number", range = ">= 1e-37", default = "1e-8", text = "added to the root of the second moment" },
      { name = "groups", type = "list of tables", default = "{}", text = "options for parameters whose names match; the first matching group counts" },
      { name = "groups.pattern", type = "string", default = "required", text = "Lua pattern of the parameters' names" },
      { name = "groups.lr", type = "number or function", range = ">= 0", default = "the optimiser's", text = "learning rate, or a function of the step from 1" },
      { name = "groups.weight_decay", type = "number", range = ">= 0", default = "the optimiser's", text = "decoupled weight decay" },
      { name = "lr", type = "number or function", range = ">= 0", default = "0.001", text = "learning rate, or a function of the step from 1" },
      { name = "over", type = "mpi", default = "none", text = "sums gradients over the ranks of diffusion.mpi" },
      { name = "reproducible", type = "boolean", default = "true", text = "with `over`: one order of sums, and so the same bits on any number of ranks" },
      { name = "shard", type = "boolean", default = "false", text = "with `over`: each rank keeps and updates a part of the moments (ZeRO-1); no bit differs" },
      { name = "weight_decay", type = "number", range = ">= 0", default = "0", text = "decoupled weight decay" },
    },
    returns = {
      { type = "diffusion.adamw" },
    },
    example = "local model = d.mlp{ hidden = 16, depth = 1 }\nlocal opt = d.adamw(model, { lr = d.lr.warmup_cosine{ peak = 1e-3, warmup = 10, total = 100 }, clip = 1 })\nd.record(function(x) return d.mse(model(x, 1), x) end, d.randn(8, 2)):backward()\nprint(opt:step())",
  },
  ["d.arange"] = {
    signature = "d.arange(first, last, [step])",
    text = "The numbers first, first + step, ... up to last, both ends included.",
    params = {
      { name = "first", type = "number" },
      { name = "last", type = "number" },
      { name = "step", type = "number", text = "default 1; not 0", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "{n}, i64 if all three are Lua integers (1, not 1.0)" },
    },
  },
  ["d.autoencoderkl"] = {
    signature = "d.autoencoderkl([options])",
    text = "AutoencoderKL of diffusers, by the options of its config. It is the autoencoder of Stable Diffusion, with methods encode and decode. Called with images {B, H, W, C}, it returns the decoded ones and the divergence of the latents.",
    family = true,
    params = {
      { name = "options", type = "diffusion.autoencoderkl_options?", optional = true },
    },
    options = {
      { name = "act_fn", type = "\"silu\", \"swish\", \"mish\", \"gelu\" or \"relu\"", default = "\"silu\"", text = "activation of the residual blocks" },
      { name = "block_out_channels", type = "list of integers", default = "{64}", text = "channels of each level" },
      { name = "down_block_types", type = "list of strings", default = "{\"DownEncoderBlock2D\"}", text = "the type of each level of the encoder" },
      { name = "force_upcast", type = "boolean", default = "true", text = "activations are in float32 anyway; kept for the config" },
      { name = "in_channels", type = "integer", range = ">= 1", default = "3", text = "channels of an image" },
      { name = "latent_channels", type = "integer", range = ">= 1", default = "4", text = "channels of the latents" },
      { name = "latents_mean", type = "list of numbers", default = "none", text = "mean of each channel of the latents; kept for the config" },
      { name = "latents_std", type = "list of numbers", default = "none", text = "standard deviation of each channel of the latents; kept for the config" },
      { name = "layers_per_block", type = "integer", range = ">= 1", default = "1", text = "residual blocks of a level of the encoder; one more in the decoder" },
      { name = "mid_block_add_attention", type = "boolean", default = "true", text = "attention between the two middle blocks" },
      { name = "norm_num_groups", type = "integer", range = ">= 1", default = "32", text = "groups of the norms" },
      { name = "out_channels", type = "integer", range = ">= 1", default = "3", text = "channels of a decoded image" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "sample_size", type = "integer or list of 2 integers", range = ">= 1", default = "32", text = "height and width of the images that it was trained on, and of a tile" },
      { name = "scaling_factor", type = "number", range = "> 0", default = "0.18215", text = "latents are multiplied by it in a pipeline; kept for the config" },
      { name = "shift_factor", type = "number", default = "none", text = "subtracted from latents in a pipeline before that; kept for the config" },
      { name = "up_block_types", type = "list of strings", default = "{\"UpDecoderBlock2D\"}", text = "the type of each level of the decoder" },
      { name = "use_post_quant_conv", type = "boolean", default = "true", text = "a 1x1 convolution before the decoder" },
      { name = "use_quant_conv", type = "boolean", default = "true", text = "a 1x1 convolution behind the encoder" },
    },
    returns = {
      { type = "diffusion.autoencoderkl" },
    },
    example = "local model = d.autoencoderkl{ block_out_channels = { 32, 32 },\n  down_block_types = { \"DownEncoderBlock2D\", \"DownEncoderBlock2D\" },\n  up_block_types = { \"UpDecoderBlock2D\", \"UpDecoderBlock2D\" } }\nlocal mean, std = model:encode(d.randn(1, 48, 48, 3))\nprint(mean:shape(), model:decode(mean, { tile = { size = 32 } }):shape())",
  },
  ["d.autoencodertiny"] = {
    signature = "d.autoencodertiny([options])",
    text = "AutoencoderTiny of diffusers, by the options of its config. It is a small autoencoder with methods encode, decode, scale_latents and unscale_latents. Called with images {B, H, W, C}, it returns the decoded ones.",
    family = true,
    params = {
      { name = "options", type = "diffusion.autoencodertiny_options?", optional = true },
    },
    options = {
      { name = "act_fn", type = "\"silu\", \"swish\", \"mish\", \"gelu\" or \"relu\"", default = "\"relu\"", text = "activation of the residual blocks" },
      { name = "decoder_block_out_channels", type = "list of integers", default = "{64, 64, 64, 64}", text = "channels of each level of the decoder, all equal" },
      { name = "encoder_block_out_channels", type = "list of integers", default = "{64, 64, 64, 64}", text = "channels of each level of the encoder, all equal" },
      { name = "force_upcast", type = "boolean", default = "false", text = "activations are in float32 anyway; kept for the config" },
      { name = "in_channels", type = "integer", range = ">= 1", default = "3", text = "channels of an image" },
      { name = "latent_channels", type = "integer", range = ">= 1", default = "4", text = "channels of the latents" },
      { name = "latent_magnitude", type = "number", range = "> 0", default = "3", text = "half the range that scale_latents maps to [0, 1]" },
      { name = "latent_shift", type = "number", default = "0.5", text = "added to latents by scale_latents, which makes it the value of 0" },
      { name = "num_decoder_blocks", type = "list of integers", default = "{3, 3, 3, 1}", text = "residual blocks of each level of the decoder" },
      { name = "num_encoder_blocks", type = "list of integers", default = "{1, 3, 3, 3}", text = "residual blocks of each level of the encoder" },
      { name = "out_channels", type = "integer", range = ">= 1", default = "3", text = "channels of a decoded image" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "scaling_factor", type = "number", range = "> 0", default = "1", text = "latents are multiplied by it in a pipeline; kept for the config" },
      { name = "shift_factor", type = "number", default = "0", text = "subtracted from latents before that; kept for the config" },
      { name = "upsample_fn", type = "\"nearest\" or \"nearest-exact\"", default = "\"nearest\"", text = "the decoder enlarges by repeated pixels, for which these are two names; kept for the config" },
      { name = "upsampling_scaling_factor", type = "integer", range = "[1, 64]", default = "2", text = "factor of each enlargement" },
    },
    returns = {
      { type = "diffusion.autoencodertiny" },
    },
    example = "local model = d.autoencodertiny{ encoder_block_out_channels = { 8, 8 },\n  decoder_block_out_channels = { 8, 8 }, num_encoder_blocks = { 1, 1 }, num_decoder_blocks = { 1, 1 } }\nlocal z = model:encode(d.randn(1, 16, 16, 3))\nprint(z:shape(), model:decode(z):shape())",
  },
  ["d.bernoulli"] = {
    signature = "d.bernoulli(p, [shape], [opts])",
    text = "1 with probability p (to 2^-24), else 0. A dropout mask has p = the fraction kept.",
    params = {
      { name = "p", type = "number", text = "in [0, 1]" },
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list; default: one number", optional = true },
      { name = "opts", type = "diffusion.draw_one_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator", default = "none", text = "source of the numbers, in place of a seed" },
    },
    returns = {
      { type = "diffusion.tensor", text = "elements 1 and 0" },
    },
    example = "print(d.bernoulli(0.3, 4, { seed = 1 }))",
  },
  ["d.cat"] = {
    signature = "d.cat(list, [dim])",
    text = "Concatenates tensors along a dimension.",
    params = {
      { name = "list", type = "diffusion.tensor[]", text = "tensors of one type; all other sizes must be equal" },
      { name = "dim", type = "integer", text = "default 1", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["d.check"] = {
    signature = "d.check",
    text = "Samplers compared with theory: d.check.order and d.check.moments.",
  },
  ["d.check.moments"] = {
    signature = "d.check.moments(sampler, options)",
    text = "The mean and variance of each coordinate of a sampler's result, in double. The data is N(mean, std^2) and the denoiser the best one, unclipped. The sampler's steps must be linear in x.",
    params = {
      { name = "sampler", type = "string|function|table", text = "as in d.sample" },
      { name = "options", type = "diffusion.check_moments_options" },
    },
    options = {
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "exact_start", type = "boolean", default = "false", text = "starts from x_T's own distribution, not from noise" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "\"trailing\"", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "mean", type = "number", default = "0", text = "mean of the data" },
      { name = "std", type = "number", range = ">= 0", default = "1", text = "standard deviation of the data" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or T if less; T for annealed_langevin, ddpm and predictor_corrector", text = "number of steps; rk45 and dpm_adaptive find their own" },
    },
    returns = {
      { type = "number", text = "mean" },
      { type = "number", text = "variance" },
    },
    example = "local p = d.process{ schedule = d.schedule.linear{} }\nprint(d.check.moments(\"ddim\", { process = p, steps = 10, std = 0.5 }))",
  },
  ["d.check.order"] = {
    signature = "d.check.order(sampler, oracle, [options])",
    text = "Measures how fast a sampler's error falls with the number of steps, which are uniform in ln sigma. It prints a table, and returns the last order above rounding. The error of a deterministic sampler is the root mean square distance from the ODE's solution. A sampler that adds noise follows one Brownian path per sample for any number of steps. Its error is the median distance from many more steps. A reference that is the sampler itself shows an order of 1 as 1.05. In float32 errors end at some 1e-6; DIFFUSION_PRECISION=double continues further.",
    params = {
      { name = "sampler", type = "string|function|table", text = "as in d.sample; not one whose noise has no path (euler_churn, lcm, annealed_langevin and similar)" },
      { name = "oracle", type = "any", text = "a distribution of d.oracle" },
      { name = "options", type = "diffusion.check_order_options?", optional = true },
    },
    options = {
      { name = "exact", type = "integer", range = ">= 10", default = "500", text = "steps of the ODE's solution" },
      { name = "fine", type = "integer", range = ">= 2", default = "16", text = "steps of the reference, in multiples of the most steps" },
      { name = "from", type = "number", range = "> 0", default = "20", text = "sigma of the start" },
      { name = "process", type = "process", default = "cosine of 1000 steps, predicting x0", text = "the process" },
      { name = "quiet", type = "boolean", default = "false", text = "prints no table" },
      { name = "reference", type = "string, function or table", default = "the sampler itself", text = "sampler that follows the noise's path in more steps, as \"dpmpp_sde\"" },
      { name = "samples", type = "integer", range = ">= 1", default = "64", text = "number of samples" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
      { name = "start", type = "integer", range = ">= 0", default = "0", text = "first steps that get the exact x, so that a multistep sampler starts with a history" },
      { name = "steps", type = "list of integers", default = "{80, 160, 320, 640}", text = "numbers of steps that are compared" },
      { name = "to", type = "number", range = "> 0", default = "0.02", text = "sigma of the end" },
    },
    returns = {
      { type = "number|nil", text = "order nil if all errors are due to rounding" },
      { type = "table", text = "rows { {steps, error, order, evaluations}, ... }" },
    },
    example = "local mixture = d.oracle.mixture{ means = { { -1 }, { 1 } }, std = 0.3 }\nd.check.order(\"heun\", mixture, { samples = 8, steps = { 20, 40 }, exact = 200 })\nd.check.order(\"euler_ancestral\", mixture, { samples = 8, steps = { 20, 40 }, fine = 4 })",
  },
  ["d.checkpoint"] = {
    signature = "d.checkpoint(options)",
    text = "A training and the file that it is saved in.",
    params = {
      { name = "options", type = "diffusion.checkpoint_options" },
    },
    options = {
      { name = "model", type = "model", default = "required", text = "the network, or its adapters" },
      { name = "path", type = "path", default = "required", text = "the file" },
      { name = "batches", type = "batches", default = "none", text = "the batches, whose place is saved" },
      { name = "ema", type = "ema or list of emas", default = "none", text = "averages that are saved" },
      { name = "opt", type = "adamw", default = "none", text = "the optimiser" },
    },
    returns = {
      { type = "diffusion.checkpoint" },
    },
  },
  ["d.cliptext"] = {
    signature = "d.cliptext([options])",
    text = "CLIPTextModel of transformers, by the options of its config, or CLIPTextModelWithProjection. It is the text encoder of Stable Diffusion. Called with ids {B, N}, it returns states and pooled states.",
    family = true,
    params = {
      { name = "options", type = "diffusion.cliptext_options?", optional = true },
    },
    options = {
      { name = "attention_dropout", type = "number", range = "[0, 1]", default = "0", text = "attention has no dropout here; kept for the config" },
      { name = "bos_token_id", type = "integer", range = ">= -1", default = "49406", text = "the tokenizer begins a text; kept for the config" },
      { name = "eos_token_id", type = "integer", range = ">= -1", default = "49407", text = "the token that ends a text; 2 stands for the largest id of each text" },
      { name = "hidden_act", type = "\"gelu\", \"gelu_accurate\", \"gelu_fast\", \"gelu_new\", \"gelu_python\", \"gelu_python_tanh\", \"gelu_pytorch_tanh\", \"linear\", \"mish\", \"quick_gelu\", \"relu\", \"silu\", \"swish\" or \"tanh\"", default = "\"quick_gelu\"", text = "activation of the feed-forward part" },
      { name = "hidden_size", type = "integer", range = ">= 1", default = "512", text = "width of a token" },
      { name = "initializer_factor", type = "number", range = "> 0", default = "1", text = "factor of the tables' first values" },
      { name = "initializer_range", type = "number", default = "0.02", text = "that class doesn't read it; kept for the config" },
      { name = "intermediate_size", type = "integer", range = ">= 1", default = "2048", text = "width inside of the feed-forward part" },
      { name = "layer_norm_eps", type = "number", range = "> 0", default = "1e-5", text = "added to the variance by the norms" },
      { name = "max_position_embeddings", type = "integer", range = ">= 1", default = "77", text = "tokens of a text at most" },
      { name = "num_attention_heads", type = "integer", range = ">= 1", default = "8", text = "number of heads of each attention" },
      { name = "num_hidden_layers", type = "integer", range = ">= 1", default = "12", text = "number of layers" },
      { name = "pad_token_id", type = "integer", range = ">= -1", default = "1", text = "the tokenizer pads; kept for the config" },
      { name = "projection", type = "boolean", default = "false", text = "CLIPTextModelWithProjection: the pooled state is projected" },
      { name = "projection_dim", type = "integer", range = ">= 1", default = "512", text = "width of the projected text" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "vocab_size", type = "integer", range = ">= 1", default = "49408", text = "rows of the table of tokens" },
    },
    returns = {
      { type = "diffusion.cliptext" },
    },
    example = "local model = d.cliptext{ vocab_size = 100, hidden_size = 16, intermediate_size = 32,\n  num_hidden_layers = 2, num_attention_heads = 2, eos_token_id = 99 }\nlocal states, pooled = model({ { 98, 5, 17, 99, 99 } }, { skip = 1 })\nprint(states, pooled)",
  },
  ["d.command"] = {
    signature = "d.command(name, words)",
    text = "Runs a command of the program `diffusion`: sample draws pictures, replay draws one again.",
    params = {
      { name = "name", type = "string", text = "\"sample\" or \"replay\"" },
      { name = "words", type = "string[]", text = "the words behind it; {\"--help\"} lists its flags" },
    },
    returns = {
      { type = "string|nil", text = "text about what was written; nil with a message" },
      { type = "string|nil", text = "message" },
    },
    example = "print(d.command(\"sample\", { \"--help\" }))",
  },
  ["d.context_mlp"] = {
    signature = "d.context_mlp([options])",
    text = "A denoiser for points {B, dim} conditioned on a context vector {B, context}. It is called as model(xt, t, {context = c}); without a context it is unconditional.",
    family = true,
    params = {
      { name = "options", type = "diffusion.context_mlp_options?", optional = true },
    },
    options = {
      { name = "context", type = "integer", range = ">= 1", default = "2", text = "dimensions of a context vector" },
      { name = "depth", type = "integer", range = ">= 1", default = "3", text = "number of residual blocks" },
      { name = "dim", type = "integer", range = ">= 1", default = "2", text = "dimensions of a point" },
      { name = "hidden", type = "integer", range = ">= 2", default = "64", text = "width of the blocks, even" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local model = d.context_mlp{ context = 3 }\nlocal process = d.process{ schedule = d.schedule.cosine{} }\nlocal c = d.randn(8, 3)\nprint(d.objective{ process = process }(model, d.randn(8, 2), { inputs = { context = c } }))\nprint(d.sample{ model = model, process = process, shape = { 8, 2 }, inputs = { context = c }, steps = 5 })",
  },
  ["d.cross_entropy"] = {
    signature = "d.cross_entropy(x, class, [over])",
    text = "The mean of -ln softmax(x)[class]; inf with gradient 0 if a row is all -inf.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "{B,n}" },
      { name = "class", type = "integer[]|diffusion.tensor", text = "{B} in 1..n" },
      { name = "over", type = "string", text = "\"sample\" for one value per sample", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "a number, or {B}" },
    },
  },
  ["d.data"] = {
    signature = "d.data",
    text = "Data sets: files of the usual formats, the digits that come with the library, toy sets, and sets of your own tensors. If a file can't be read, the result is nil and a message.",
  },
  ["d.data.arrays"] = {
    signature = "d.data.arrays(path, [options])",
    text = "NumPy's arrays: a .npy file's tensor, or the tensors of a .npz file by name. Some arrays of a .npz fit no tensor: complex numbers, strings, records and objects. They are listed by pairs, with dtype() and shape(), but indexing by the name of one is an error. Tensors are windows on the mapped file if possible. If another program truncates the file meanwhile, this one ends (SIGBUS). With copy = true they are copied into memory.",
    params = {
      { name = "path", type = "string" },
      { name = "options", type = "diffusion.data_copy_options?", optional = true },
    },
    options = {
      { name = "copy", type = "boolean", default = "false", text = "reads into memory instead of mapping the file" },
    },
    returns = {
      { type = "diffusion.tensor|table<string, diffusion.tensor>|nil", text = "x f16, f32, f64, u8 or i64 (other integers are widened to i64, bool to u8), of either byte order; nil with a message" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.data.cifar10"] = {
    signature = "d.data.cifar10(dir, [options])",
    text = "CIFAR-10 (Krizhevsky 2009), the binary version: 50,000 (test: 10,000) RGB images 32 x 32.",
    params = {
      { name = "dir", type = "string", text = "the folder of data_batch_1.bin to data_batch_5.bin and test_batch.bin" },
      { name = "options", type = "diffusion.data_split_options?", optional = true },
    },
    options = {
      { name = "split", type = "\"train\" or \"test\"", default = "\"train\"", text = "the part of the set" },
    },
    returns = {
      { type = "diffusion.set|nil", text = "set nil with a message if files are missing or damaged" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.data.digits"] = {
    signature = "d.data.digits()",
    text = "The digits that come with the library: 1,797 grey images 8 x 8 (Alpaydin & Kaynak 1998, UCI).",
    returns = {
      { type = "diffusion.set", text = "set x u8 [1797,8,8,1], classes 1 to 10 named \"0\" to \"9\"" },
    },
  },
  ["d.data.emoji"] = {
    signature = "d.data.emoji([options])",
    text = "Emoji with their English names: 1,870 pictures of Noto Color Emoji (Google, SIL Open Font License 1.1), without skin tones. They are read from Debian's packages fonts-noto-color-emoji and unicode-data. A picture is in the middle of a white square, averaged over areas. Those that the font doesn't have are left out.",
    params = {
      { name = "options", type = "diffusion.data_emoji_options?", optional = true },
    },
    options = {
      { name = "font", type = "path", default = "\"/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf\"", text = "a font with a PNG for each glyph" },
      { name = "list", type = "path", default = "\"/usr/share/unicode/emoji/emoji-test.txt\"", text = "Unicode's list of emoji" },
      { name = "size", type = "integer", range = "[1, 255]", default = "64", text = "height and width of the pictures" },
    },
    returns = {
      { type = "diffusion.set|nil", text = "set x u8 [n,size,size,3], captions, groups as classes, subgroups; nil with a message" },
      { type = "string|nil", text = "message" },
    },
    example = "local set = assert(d.data.emoji())\nprint(set, set.captions[1], set.names[set.class[1]], set.subgroups[1])",
  },
  ["d.data.fashion_mnist"] = {
    signature = "d.data.fashion_mnist([dir], [options])",
    text = "Fashion-MNIST (Xiao et al. 2017): 60,000 (test: 10,000) grey images 28 x 28 of 10 kinds of clothes. The IDX files are read from `dir`, or else from $DIFFUSION_DATA, or else from Debian's package.",
    params = {
      { name = "dir", type = "string|diffusion.data_split_options|nil", text = "the folder; or the options", optional = true },
      { name = "options", type = "diffusion.data_split_options?", optional = true },
    },
    options = {
      { name = "split", type = "\"train\" or \"test\"", default = "\"train\"", text = "the part of the set" },
    },
    returns = {
      { type = "diffusion.set|nil", text = "set nil with a message if the files are missing" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.data.folder"] = {
    signature = "d.data.folder(dir, [options])",
    text = "A set of the PNG and JPEG pictures in a folder. Its sub-folders are the classes, numbered from 1 in byte order of their names. A sub-folder without pictures keeps its number. Without a picture in any sub-folder there are no classes. It is an error if a picture would be left out. That happens outside the folders of classes, in deeper folders, and to other formats. Names that begin with a dot are ignored. Links are followed, to each folder once per class. A picture that can't be read is an error too. With captions, each picture has a text, and `.captions` of the batches has those of the last batch. With buckets, pictures keep their shapes. Each is resized until it covers the nearest size of equal area, and a batch has pictures of one size.",
    params = {
      { name = "dir", type = "string" },
      { name = "options", type = "diffusion.data_folder_options?", optional = true },
    },
    options = {
      { name = "buckets", type = "boolean or table", default = "none", text = "sizes by the shapes of the pictures: true, or {area =, multiple =, min =, max =}" },
      { name = "buckets.area", type = "integer", range = ">= 1", default = "262144", text = "most pixels of a picture" },
      { name = "buckets.max", type = "integer", range = "[1, 65535]", default = "twice the root of the area", text = "greatest height and width" },
      { name = "buckets.min", type = "integer", range = "[1, 65535]", default = "half the root of the area", text = "least height and width" },
      { name = "buckets.multiple", type = "integer", range = "[1, 32768]", default = "64", text = "height and width are multiples of it" },
      { name = "buckets.sizes", type = "list of lists of integers", default = "none", text = "{height, width} of each, in place of the other options" },
      { name = "captions", type = "boolean, string, table of strings by name or function", default = "none", text = "true for files next to the pictures or a table in the folder; a table's path; texts by name; or a function" },
      { name = "channels", type = "integer", range = "[1, 3]", default = "3", text = "3 (RGB) or 1 (grey)" },
      { name = "classes", type = "boolean", default = "true", text = "sub-folders are classes" },
      { name = "crop", type = "\"centre\" or \"random\"", default = "\"centre\"", text = "the part of a picture that stays: its middle, or another one each time by the seed of the batches" },
      { name = "recursive", type = "boolean", default = "false", text = "takes pictures of any depth, for the class of the outermost folder" },
      { name = "size", type = "integer or list of integers", range = "[1, 65535]", default = "as they are, all of one size", text = "n or {height, width}: each picture is resized and cut to that form" },
      { name = "skip", type = "boolean", default = "false", text = "leaves out in silence what would be an error" },
      { name = "upright", type = "boolean", default = "true", text = "turned as the files' EXIF says; false leaves them as stored" },
    },
    returns = {
      { type = "diffusion.set|nil", text = "set x u8 [n,H,W,C], or no x with buckets and with random crops; nil with a message" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.data.idx"] = {
    signature = "d.data.idx(images, [labels], [options])",
    text = "A set of images, with labels if a file is named, from IDX files (MNIST's format), gzipped or not.",
    params = {
      { name = "images", type = "string", text = "path of [n,H,W] or [n,H,W,C] bytes" },
      { name = "labels", type = "string|nil", text = "path of [n] bytes from 0; classes are one more", optional = true },
      { name = "options", type = "diffusion.data_idx_options?", optional = true },
    },
    options = {
      { name = "names", type = "list of strings", default = "none", text = "names of the classes" },
    },
    returns = {
      { type = "diffusion.set|nil", text = "set nil with a message" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.data.npy"] = {
    signature = "d.data.npy(path, [options])",
    text = "A set from NumPy's files. A .npy file holds the examples. A .npz file holds them as x, images or data. It may also hold their class (from 1), or their labels, label or y (from 0). As with d.data.arrays, the file must not be truncated while the set is in use, unless copy = true.",
    params = {
      { name = "path", type = "string" },
      { name = "options", type = "diffusion.data_copy_options?", optional = true },
    },
    options = {
      { name = "copy", type = "boolean", default = "false", text = "reads into memory instead of mapping the file" },
    },
    returns = {
      { type = "diffusion.set|nil", text = "set x numbers [n,...], or u8 [n,H,W] or [n,H,W,C]; nil with a message" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.data.set"] = {
    signature = "d.data.set(options)",
    text = "Makes a set of tensors: `.x .class .eps .n .classes .names .name .captions`.",
    params = {
      { name = "options", type = "diffusion.data_set_options" },
    },
    options = {
      { name = "x", type = "tensor", default = "required", text = "[n,...]: numbers, or images [n,H,W,C] of u8 or of i64 in 0..255" },
      { name = "captions", type = "list of strings", default = "none", text = "a text for each example" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all examples or of each, 1 to classes" },
      { name = "classes", type = "integer", range = ">= 1", default = "the largest class", text = "number of classes" },
      { name = "eps", type = "tensor", default = "none", text = "noise that each example is paired with, as x (d.reflow)" },
      { name = "name", type = "string", default = "\"set\"", text = "the set's name" },
      { name = "names", type = "list of strings", default = "none", text = "names of the classes" },
    },
    returns = {
      { type = "diffusion.set" },
    },
    example = "local set = d.data.set{ x = d.randn(100, 2), class = d.randint(1, 3, { 100 }) }\nprint(set)",
  },
  ["d.data.toy"] = {
    signature = "d.data.toy",
    text = "Toy sets: points in the plane with mean 0 and a variance of 1 over both coordinates. These hold for the distribution, not for the sample. Point i depends on (seed, i) alone, so fewer points are the first of more.",
  },
  ["d.data.toy.checkerboard"] = {
    signature = "d.data.toy.checkerboard(n, [options])",
    text = "The black squares of a 4 x 4 board, with uniform density.",
    params = {
      { name = "n", type = "integer", text = "points" },
      { name = "options", type = "diffusion.data_toy_checkerboard_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0", text = "standard deviation of the noise; the set's is 1" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "diffusion.set", text = "x [n,2]" },
    },
  },
  ["d.data.toy.eight_gaussians"] = {
    signature = "d.data.toy.eight_gaussians(n, [options])",
    text = "Eight normal distributions around a circle, each a class.",
    params = {
      { name = "n", type = "integer", text = "points" },
      { name = "options", type = "diffusion.data_toy_eight_gaussians_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0.07", text = "standard deviation of the noise; the set's is 1" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "diffusion.set", text = "x [n,2], classes 1 to 8" },
    },
  },
  ["d.data.toy.moons"] = {
    signature = "d.data.toy.moons(n, [options])",
    text = "Two half moons, each a class.",
    params = {
      { name = "n", type = "integer", text = "points" },
      { name = "options", type = "diffusion.data_toy_moons_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0.08", text = "standard deviation of the noise; the set's is 1" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "diffusion.set", text = "x [n,2], classes 1 and 2" },
    },
  },
  ["d.data.toy.spiral"] = {
    signature = "d.data.toy.spiral(n, [options])",
    text = "Two interleaved spirals, each a class. The radius equals the angle, up to 3 pi, and is uniform in r^2.",
    params = {
      { name = "n", type = "integer", text = "points" },
      { name = "options", type = "diffusion.data_toy_spiral_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0.03", text = "standard deviation of the noise; the set's is 1" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "diffusion.set", text = "x [n,2], classes 1 and 2" },
    },
  },
  ["d.data.toy.swiss_roll"] = {
    signature = "d.data.toy.swiss_roll(n, [options])",
    text = "A spiral whose radius equals its angle, from 1.5 pi to 4.5 pi.",
    params = {
      { name = "n", type = "integer", text = "points" },
      { name = "options", type = "diffusion.data_toy_swiss_roll_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0.04", text = "standard deviation of the noise; the set's is 1" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "diffusion.set", text = "x [n,2]" },
    },
  },
  ["d.dit"] = {
    signature = "d.dit(options)",
    text = "The diffusion transformer of Peebles & Xie 2023 for images {B, H, W, C}. Patches are tokens with fixed sines and cosines of their places. The shifts, scales and gates of its blocks are linear in time and class (adaLN-Zero). The network starts at 0, and each block as the identity. Other H and W may be used too, if the patch divides them.",
    family = true,
    params = {
      { name = "options", type = "diffusion.dit_options" },
    },
    options = {
      { name = "image", type = "list of 3 integers", default = "required", text = "{H, W, C} of an image" },
      { name = "classes", type = "integer", range = ">= 0", default = "0", text = "number of classes; 0 makes an unconditional network" },
      { name = "depth", type = "integer", range = ">= 1", default = "4", text = "number of blocks" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element inside of a block is set to 0 in training" },
      { name = "heads", type = "integer", range = ">= 1", default = "4", text = "number of heads of each attention" },
      { name = "outputs", type = "integer", range = "[1, 2]", default = "1", text = "2 also predicts a variance: the result has twice the channels" },
      { name = "patch", type = "integer", range = ">= 1", default = "2", text = "height and width of the pixels that become one token" },
      { name = "ratio", type = "integer", range = ">= 1", default = "4", text = "inner width of a block's two products, in multiples of `width`" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "self_condition", type = "boolean", default = "false", text = "the network is conditioned on its own x0, option x0 of its call; zeros if absent" },
      { name = "width", type = "integer", range = ">= 4", default = "128", text = "width of a token, a multiple of 4" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local model = d.dit{ image = { 8, 8, 1 }, width = 32, depth = 2, classes = 10 }\nprint(model(d.randn(4, 8, 8, 1), 500, { class = 3 }))",
  },
  ["d.dittransformer2d"] = {
    signature = "d.dittransformer2d([options])",
    text = "DiTTransformer2DModel of diffusers, by the options of its config. It is a diffusion transformer for images {B, H, W, C}, conditioned on a class. A missing class, or 0, is the table's last row. Other H and W may be used too, if the patch divides them.",
    family = true,
    params = {
      { name = "options", type = "diffusion.dittransformer2d_options?", optional = true },
    },
    options = {
      { name = "activation_fn", type = "\"gelu\", \"gelu-approximate\", \"geglu\", \"geglu-approximate\", \"swiglu\" or \"linear-silu\"", default = "\"gelu-approximate\"", text = "activation of the feed-forward part" },
      { name = "attention_bias", type = "boolean", default = "true", text = "q, k and v have a bias" },
      { name = "attention_head_dim", type = "integer", range = ">= 1", default = "72", text = "width of a head" },
      { name = "class_dropout", type = "number", range = "[0, 1)", default = "0.1", text = "probability that a sample's class is forgotten in training, as in that class" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element inside of a block is set to 0 in training" },
      { name = "freq_shift", type = "number", range = "[0, 128)", default = "1", text = "s of the time's frequencies 10000^(-k / (128 - s)): 1 in diffusers, 0 in the DiT of its authors" },
      { name = "in_channels", type = "integer", range = ">= 1", default = "4", text = "channels of an image" },
      { name = "norm_elementwise_affine", type = "boolean", default = "false", text = "the norm before the feed-forward part has weight and bias" },
      { name = "norm_eps", type = "number", range = "> 0", default = "1e-5", text = "added to the variance by that norm; the others add 1e-6" },
      { name = "norm_num_groups", type = "integer", range = ">= 1", default = "32", text = "this class has no group norm; kept for the config" },
      { name = "norm_type", type = "\"ada_norm_zero\"", default = "\"ada_norm_zero\"", text = "the one kind of norm that this class runs with; kept for the config" },
      { name = "num_attention_heads", type = "integer", range = ">= 1", default = "16", text = "number of heads of each attention" },
      { name = "num_embeds_ada_norm", type = "integer", range = ">= 1", default = "1000", text = "number of classes" },
      { name = "num_layers", type = "integer", range = ">= 1", default = "28", text = "number of blocks" },
      { name = "out_channels", type = "integer", range = ">= 1", default = "in_channels", text = "channels of the result; twice in_channels also predicts a variance" },
      { name = "patch_size", type = "integer", range = ">= 1", default = "2", text = "height and width of the pixels that become one token" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "sample_size", type = "integer", range = ">= 1", default = "32", text = "height and width of the images that it was trained on" },
      { name = "upcast_attention", type = "boolean", default = "false", text = "attention is in float32 anyway; kept for the config" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local model = d.dittransformer2d{ sample_size = 8, num_attention_heads = 2, attention_head_dim = 16,\n  num_layers = 2, num_embeds_ada_norm = 10 }\nprint(model(d.randn(4, 8, 8, 4), 500, { class = 3 }))",
  },
  ["d.edit"] = {
    signature = "d.edit",
    text = "d.edit: pictures edited by an unmodified diffusion model. Each function takes one table of options, and returns a plan of its steps, which can be printed.",
  },
  ["d.edit.img2img"] = {
    signature = "d.edit.img2img(options)",
    text = "Pictures similar to given ones: x0 is noised to a level by q(x_t | x0), and sampled from there (Meng et al. 2022). With the same seed, sample k is the same alone or in a batch. Give one of start and strength, as for edit.plan. A strength of 1 starts at T, or at the last level at which a process that predicts eps or score unclipped can predict x0.",
    params = {
      { name = "options", type = "diffusion.edit_img2img_options" },
    },
    options = {
      { name = "model", type = "a denoiser (xt, t, {class=})", default = "required", text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "x0", type = "a tensor [B,...]", default = "required", text = "the pictures {B, ...}" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "grid", type = "grid or list of numbers", default = "by steps", text = "a grid or a list of times; those below the start are taken" },
      { name = "guidance", type = "number or function", default = "1", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "sampler", type = "string, function or table", default = "\"unipc\"", text = "a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "self_condition", type = "boolean", default = "false", text = "the model is conditioned on its last x0" },
      { name = "start", type = "number", default = "by strength", text = "level t of the start, 0 to T; 0 is x0 itself" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or all levels if less; all levels for annealed_langevin, ddpm and predictor_corrector", text = "number of steps that follow" },
      { name = "strength", type = "number", range = "[0, 1]", default = "start instead", text = "the level nearest to strength T" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x as x0" },
      { type = "diffusion.plan", text = "plan with evaluations" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal set = d.data.digits()\nlocal x0 = d.image.to_float(set.x:narrow(1, 1, 8))\nlocal x, plan = d.edit.img2img{ model = model, process = process, x0 = x0, strength = 0.5, steps = 10, class = 4 }\nprint(plan)\nd.image.show(x)",
  },
  ["d.edit.interpolate"] = {
    signature = "d.edit.interpolate(options)",
    text = "Pictures between a and b. By noise (Ho et al. 2020, sec. 4.3), both are noised to the level `at` with the same noise, mixed as (1 - u) x_t + u x'_t, and sampled from there. By inversion, both are inverted as by edit.invert, mixed by edit.slerp, and sampled by ddim. u = 0 and 1 then return a and b.",
    params = {
      { name = "options", type = "diffusion.edit_interpolate_options" },
    },
    options = {
      { name = "a", type = "a tensor [B,...]", default = "required", text = "the first pictures {B, ...}" },
      { name = "b", type = "a tensor [B,...]", default = "required", text = "the second pictures, of a's shape" },
      { name = "model", type = "a denoiser (xt, t, {class=})", default = "required", text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "at", type = "number", default = "T/2; by inversion the start of edit.invert", text = "level of the mixture" },
      { name = "by", type = "\"noise\" or \"inversion\"", default = "\"noise\"", text = "the way: shared noise, or inversion" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all pairs or of each, from 1; 0 is no class" },
      { name = "grid", type = "grid or list of numbers", default = "by steps", text = "a grid or a list of times; those below the start are taken" },
      { name = "guidance", type = "number or function", default = "1", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "sampler", type = "string, function or table", default = "\"unipc\"; by inversion \"ddim\"", text = "a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "self_condition", type = "boolean", default = "false", text = "the model is conditioned on its last x0" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or all levels if less; all levels for annealed_langevin, ddpm and predictor_corrector", text = "number of steps that follow" },
      { name = "tolerance", type = "number", range = "> 0", default = "1e-5", text = "residual at which the iteration ends" },
      { name = "u", type = "number or list of numbers", default = "0.5", text = "place between them, 0 is a and 1 is b; or n places" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x {B n, ...}: the n of the first pair, of the second, ..." },
      { type = "diffusion.plan", text = "plan with evaluations of the sampling" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal x0 = d.image.to_float(d.data.digits().x)\nlocal x = d.edit.interpolate{ model = model, process = process, a = x0:narrow(1, 1, 2), b = x0:narrow(1, 3, 2),\n                              u = { 0, 0.25, 0.5, 0.75, 1 }, at = 300, steps = 10, seed = 1 }\nd.image.show(d.image.grid(x, { columns = 5 }))",
  },
  ["d.edit.invert"] = {
    signature = "d.edit.invert(options)",
    text = "The noise x_t from which ddim draws x0: ddim's steps backwards, each solved to a tolerance (Song et al. 2021, \"Denoising diffusion implicit models\", sec. 4.3). Guidance above 1, or a model that changes fast with x, can keep the residual above the tolerance. The report says so. With exact = false a step is explicit, and the error falls as 1/steps. Beyond SNR 3.7e-5 float32 holds too little of x0.",
    params = {
      { name = "options", type = "diffusion.edit_invert_options" },
    },
    options = {
      { name = "model", type = "a denoiser (xt, t, {class=})", default = "required", text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "x0", type = "a tensor [B,...]", default = "required", text = "the data {B, ...}" },
      { name = "check", type = "boolean", default = "false", text = "also measures how far ddim comes back from x0" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "exact", type = "boolean", default = "true", text = "solves each step by iteration, so that ddim returns to the data" },
      { name = "grid", type = "grid or list of numbers", default = "by steps", text = "a grid or a list of times; those below the start are taken" },
      { name = "guidance", type = "number or function", default = "1", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "iterations", type = "integer", range = ">= 1", default = "100", text = "iterations of a step at most" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "self_condition", type = "boolean", default = "false", text = "the model is conditioned on its last x0" },
      { name = "start", type = "number", default = "T, or the last whole level at which x0 can be predicted", text = "level of the noise" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or all levels if less; all levels for annealed_langevin, ddpm and predictor_corrector", text = "number of steps that follow" },
      { name = "tolerance", type = "number", range = "> 0", default = "1e-5", text = "residual at which the iteration ends" },
    },
    returns = {
      { type = "diffusion.tensor", text = "xt {B, ...}; d.sample{ init = xt, sampler = \"ddim\", grid = report.grid } comes back" },
      { type = "diffusion.inversion", text = "report" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal x0 = d.image.to_float(d.data.digits().x:narrow(1, 1, 2))\nlocal xt, report = d.edit.invert{ model = model, process = process, x0 = x0, steps = 20, check = true }\nprint(report, xt:std())",
  },
  ["d.edit.plan"] = {
    signature = "d.edit.plan(options)",
    text = "The start and the steps of an edit, before it runs. It has exactly the given number of steps, from exactly the given level. Give one of start and strength.",
    params = {
      { name = "options", type = "diffusion.edit_plan_options" },
    },
    options = {
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "grid", type = "grid or list of numbers", default = "by steps", text = "a grid or a list of times; those below the start are taken" },
      { name = "start", type = "number", default = "by strength", text = "level t of the start, 0 to T; 0 is x0 itself" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or all levels if less; all levels for annealed_langevin, ddpm and predictor_corrector", text = "number of steps that follow" },
      { name = "strength", type = "number", range = "[0, 1]", default = "start instead", text = "the level nearest to strength T" },
    },
    returns = {
      { type = "diffusion.plan" },
    },
    example = "local process = d.process{ schedule = d.schedule.cosine{}, predict = \"v\" }\nprint(d.edit.plan{ process = process, strength = 0.05, steps = 15 })",
  },
  ["d.edit.repaint"] = {
    signature = "d.edit.repaint(options)",
    text = "Repaints the part that isn't kept, consistently with the kept part (Lugmayr et al. 2022, algorithm 1). After each reverse step the kept part is x0 noised to the step's level with independent noise, and after the last step x0 itself. Jumps back of `jump` steps by q(x_t | x_s) repeat each stretch `resample` times. Every step then starts without the solver's history.",
    params = {
      { name = "options", type = "diffusion.edit_repaint_options" },
    },
    options = {
      { name = "keep", type = "a tensor [B,...]", default = "required", text = "1 where x0 stays, 0 where it is painted; x0's shape, or one that broadcasts to it" },
      { name = "model", type = "a denoiser (xt, t, {class=})", default = "required", text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "x0", type = "a tensor [B,...]", default = "required", text = "the pictures {B, ...}" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "\"trailing\"", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "1", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "jump", type = "integer", range = ">= 1", default = "10", text = "steps of a jump back" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it, with the merged x" },
      { name = "resample", type = "integer", range = ">= 1", default = "10", text = "times that each stretch of a jump is walked; 1: no jumps" },
      { name = "sampler", type = "string, function or table", default = "\"ddpm\"", text = "a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "self_condition", type = "boolean", default = "false", text = "the model is conditioned on its last x0" },
      { name = "steps", type = "integer", range = ">= 1", default = "250, or T if less; those of d.sample for other samplers", text = "number of steps; rk45 and dpm_adaptive find their own" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x as x0, and x0 itself where it is kept" },
      { type = "diffusion.repaint_plan", text = "plan with evaluations" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal x0 = d.image.to_float(d.data.digits().x:narrow(1, 1, 4))\nlocal keep = d.cat({ d.ones(4, 8, 1), d.zeros(4, 8, 1) }, 1)\nlocal x, plan = d.edit.repaint{ model = model, process = process, x0 = x0, keep = keep, steps = 20, jump = 5,\n                                resample = 4, seed = 1 }\nprint(plan.steps)\nd.image.show(d.cat({ x0, x0 * keep - (1 - keep), x }, 1))",
  },
  ["d.edit.repaint_plan"] = {
    signature = "d.edit.repaint_plan(options)",
    text = "The steps and levels of RePaint, before it runs.",
    params = {
      { name = "options", type = "diffusion.edit_repaint_plan_options" },
    },
    options = {
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "\"trailing\"", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "jump", type = "integer", range = ">= 1", default = "10", text = "steps of a jump back" },
      { name = "resample", type = "integer", range = ">= 1", default = "10", text = "times that each stretch of a jump is walked; 1: no jumps" },
      { name = "sampler", type = "string, function or table", default = "\"ddpm\"", text = "a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function" },
      { name = "steps", type = "integer", range = ">= 1", default = "250, or T if less; those of d.sample for other samplers", text = "number of steps; rk45 and dpm_adaptive find their own" },
    },
    returns = {
      { type = "diffusion.repaint_plan" },
    },
    example = "print(d.edit.repaint_plan{ process = d.process{ schedule = d.schedule.linear{} }, steps = 50 })",
  },
  ["d.edit.slerp"] = {
    signature = "d.edit.slerp(a, b, u)",
    text = "The point between a and b on the great circle, per sample: sin((1 - u) theta)/sin theta a + sin(u theta)/sin theta b with theta the angle between them (Shoemake 1985). It keeps the norm of noise. If sin theta < 1e-6 it is (1 - u) a + u b. u may lie outside 0..1.",
    params = {
      { name = "a", type = "diffusion.tensor", text = "{B, ...}" },
      { name = "b", type = "diffusion.tensor", text = "as a" },
      { name = "u", type = "number|number[]", text = "0 is a and 1 is b; a list has one for each sample" },
    },
    returns = {
      { type = "diffusion.tensor", text = "as a" },
    },
    example = "local a, b = d.randn(1, 100), d.randn(1, 100)\nprint(d.edit.slerp(a, b, 0.5):norm(), a:norm(), ((a + b) / 2):norm())",
  },
  ["d.edm"] = {
    signature = "d.edm(options)",
    text = "The networks of EDM (Karras et al. 2022) for images {B, H, W, C}: SongUNet and DhariwalUNet. model(x, c_noise) is the raw network; d.precondition(model, process) is a denoiser. d.hub.load finds the options for a file.",
    family = true,
    params = {
      { name = "options", type = "diffusion.edm_options" },
    },
    options = {
      { name = "image", type = "list of 3 integers", default = "required", text = "{H, W, C} of an image" },
      { name = "attn_resolutions", type = "list of integers", default = "{16}", text = "heights of the images at which there is attention" },
      { name = "augment_dim", type = "integer", range = ">= 0", default = "0", text = "width of the input `augment`, which describes an image's augmentation; 0 for none" },
      { name = "channel_mult", type = "list of integers", default = "{2, 2, 2}", text = "channels of each level, in multiples of model_channels" },
      { name = "channel_mult_emb", type = "integer", range = ">= 1", default = "4", text = "width of the embedding, in multiples of model_channels" },
      { name = "channel_mult_noise", type = "integer", range = ">= 1", default = "1", text = "width of the waves of song, in multiples of model_channels" },
      { name = "classes", type = "integer", range = ">= 0", default = "0", text = "number of classes; 0 makes an unconditional network" },
      { name = "decoder_type", type = "\"standard\" or \"skip\"", default = "\"standard\"", text = "sums of results at all sizes, of song" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element inside of a block is set to 0 in training" },
      { name = "embedding_type", type = "\"positional\" or \"fourier\"", default = "\"positional\"", text = "waves of c_noise, of song" },
      { name = "encoder_type", type = "\"standard\", \"skip\" or \"residual\"", default = "\"standard\"", text = "paths of smaller images, of song" },
      { name = "head_channels", type = "integer", range = ">= 1", default = "64", text = "width of a head of dhariwal; song has one head" },
      { name = "kind", type = "\"song\" or \"dhariwal\"", default = "\"song\"", text = "SongUNet or DhariwalUNet" },
      { name = "model_channels", type = "integer", range = ">= 4", default = "128", text = "channels in multiples of which the levels are counted, even" },
      { name = "num_blocks", type = "integer", range = ">= 1", default = "4", text = "residual blocks of a level; one more on the way up" },
      { name = "out_channels", type = "integer", range = ">= 1", default = "none", text = "channels of the result; those of the image if nil" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "resample_taps", type = "integer", range = "[2, 4]", default = "2", text = "length of the filter that changes sizes: 2 for 1 1, 4 for 1 3 3 1" },
      { name = "time_offset", type = "number", default = "0", text = "subtracted from t, which is c_noise" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local net = d.edm{ image = { 8, 8, 3 }, model_channels = 16, channel_mult = { 1, 2 }, num_blocks = 1 }\nlocal process = d.process{ schedule = d.schedule.edm{}, predict = \"edm\" }\nprint(d.precondition(net, process)(d.randn(2, 8, 8, 3), 500))",
  },
  ["d.ema"] = {
    signature = "d.ema(of, [options])",
    text = "A running average of a model's values. It is a denoiser like the model. d.adamw takes one or a list, and updates them at each step: average = r average + (1 - r) values. The first update copies the values. After k updates, the option decay determines r.  A number gives min(decay, (1 + k) / (10 + k)), or with warmup = false the number itself.  {\"warmup\"} gives 1 - (1 + k/inv_gamma)^-power, at most max.  {\"half_life\", steps =} gives 0.5^(1 / min(steps, ramp k)) (Karras et al. 2022). Divide a half-life in images by the batch size. ramp = math.huge turns the ramp off.  {\"power\"} gives (k / (k + 1))^(gamma + 1). A value's weight grows as a power of its time, and has the relative width sigma_rel below 12^-1/2 (Karras et al. 2024, algorithm 2).  A function takes the number of the update, k + 1. d.help \"half_life\" shows the options of a kind.",
    params = {
      { name = "of", type = "diffusion.model" },
      { name = "options", type = "diffusion.ema_options?", optional = true },
    },
    options = {
      { name = "decay", type = "number, table or function", range = "[0, 1)", default = "0.9995", text = "a number, {name, option = ...}, or a function of the update" },
      { name = "warmup", type = "boolean", default = "true", text = "r is at most (1 + k)/(10 + k), for a decay that is a number" },
    },
    returns = {
      { type = "diffusion.ema" },
    },
    example = "local model = d.mlp{ hidden = 16, depth = 1 }\nlocal short, long = d.ema(model, { decay = { \"half_life\", steps = 500 } }), d.ema(model, { decay = { \"power\" } })\nlocal opt = d.adamw(model, { ema = { short, long } })\nd.record(function(x) return d.mse(model(x, 1), x) end, d.randn(8, 2)):backward()\nopt:step()\nprint(short, long)",
  },
  ["d.estimate_variance"] = {
    signature = "d.estimate_variance(model, process, x0, [options])",
    text = "The same process with the best variance for a given network (Bao et al. 2022, theorem 1). That is the posterior's plus c0^2 times the mean squared error of the predicted x0. It takes one pass over the samples, each noised to one of the levels in turn. Between levels ln of the error is linear in ln SNR. The error is that of the clipped x0, which samplers use. It is saved in model files. The variance lies between the posterior's and (a_s/a_t)^2 times q's.",
    params = {
      { name = "model", type = "any", text = "a denoiser (xt, t, {class=})" },
      { name = "process", type = "diffusion.process" },
      { name = "x0", type = "diffusion.tensor|diffusion.set", text = "samples {n, ...}, one a level or, with rounds, fewer; u8 become floats" },
      { name = "options", type = "diffusion.estimate_variance_options?", optional = true },
    },
    options = {
      { name = "batch", type = "integer", range = ">= 1", default = "256", text = "samples in a batch" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "levels", type = "integer", range = ">= 2", default = "50", text = "levels at most, whole and about evenly spaced in ln SNR" },
      { name = "rounds", type = "integer", range = ">= 1", default = "1", text = "passes over the samples, each at other levels" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
      { name = "t", type = "list of numbers", default = "by levels", text = "the levels, a list that rises" },
    },
    returns = {
      { type = "diffusion.process" },
    },
    example = "local oracle = d.oracle.moons{}\nlocal p = d.process{ schedule = d.schedule.cosine{ T = 100 } }\nlocal q = d.estimate_variance(oracle:denoiser(p), p, oracle:sample(2000, { seed = 1 }))\nprint(p:step_variance(50, 40), q:step_variance(50, 40))",
  },
  ["d.eye"] = {
    signature = "d.eye(n, [opts])",
    text = "The identity matrix.",
    params = {
      { name = "n", type = "integer" },
      { name = "opts", type = "diffusion.dtype_options", optional = true },
    },
    options = {
      { name = "dtype", type = "\"f32\", \"f64\", \"f16\", \"bf16\", \"i64\" or \"u8\"", default = "\"f32\", in the verification build \"f64\"", text = "type of the numbers" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{n,n}" },
    },
  },
  ["d.frombytes"] = {
    signature = "d.frombytes(bytes, shape, [dtype])",
    text = "Creates a tensor from the bytes of a string, in the byte order of this machine. It is an error if their number does not match the shape.",
    params = {
      { name = "bytes", type = "string" },
      { name = "shape", type = "integer[]" },
      { name = "dtype", type = "string", text = "as d.tensor", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["d.full"] = {
    signature = "d.full(shape, value, [opts])",
    text = "A tensor filled with one number.",
    params = {
      { name = "shape", type = "integer|integer[]", text = "a single number is a shape of one dimension" },
      { name = "value", type = "number", text = "an integer for i64" },
      { name = "opts", type = "diffusion.dtype_options", optional = true },
    },
    options = {
      { name = "dtype", type = "\"f32\", \"f64\", \"f16\", \"bf16\", \"i64\" or \"u8\"", default = "\"f32\", in the verification build \"f64\"", text = "type of the numbers" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["d.generator"] = {
    signature = "d.generator([opts])",
    text = "A separate source of random numbers. g:randn, g:rand, g:bernoulli, g:randint and g:randperm are like the functions of d; g:state() and g:set_state(text) save and restore it. Kind \"torch\" gives the numbers of PyTorch's CPU generator for the same seed. These are the float32 numbers of torch.randn and torch.rand, tensor.bernoulli_(p), torch.randint (whose high end is exclusive) and torch.randperm (which counts from 0).",
    params = {
      { name = "opts", type = "diffusion.generator_options", optional = true },
    },
    options = {
      { name = "kind", type = "\"philox\" or \"torch\"", default = "\"philox\"", text = "the algorithm" },
      { name = "seed", type = "integer", default = "0", text = "seed of the numbers" },
    },
    returns = {
      { type = "diffusion.generator" },
    },
  },
  ["d.grad"] = {
    signature = "d.grad(fn, ...)",
    text = "The gradient of the first result of `fn` (one element) with respect to each float tensor among its arguments. Parameters are constants: `p.grad` isn't changed. As with d.record, a coroutine that yields within `fn` must be resumed, or closed, before others compute.  Some functions have points without a derivative. It is 0 there for norm, std, abs, relu and l1 at 0, and for rows of softmax and similar functions that are all -inf. Ties in max, min, maximum and minimum share the gradient. Clamp passes gradients on at its bounds. sqrt, log and powers below 1 give inf at 0.",
    params = {
      { name = "fn", type = "function" },
      { name = "...", type = "any", text = "its arguments" },
    },
    returns = {
      { type = "any", text = "... one gradient for each float tensor, then what fn returned, detached" },
    },
    example = "print(d.grad(function(x) return (x * x):sum() end, d.tensor{ 1, 2, 3 })) -- 2x, then the value",
  },
  ["d.gradcheck"] = {
    signature = "d.gradcheck(fn, inputs, [options])",
    text = "Compares the gradient of the sum of `fn(...)` with central differences.",
    params = {
      { name = "fn", type = "function", text = "(inputs...) -> tensor" },
      { name = "inputs", type = "table", text = "list of tensors; other values are passed on" },
      { name = "options", type = "diffusion.gradcheck_options?", optional = true },
    },
    options = {
      { name = "step", type = "number", range = "> 0", default = "1e-05 in double, else 0.01", text = "step of the differences, times max(1, |x|)" },
      { name = "tolerance", type = "number", range = ">= 0", default = "1e-06 in double, else 0.01", text = "largest difference that passes" },
    },
    returns = {
      { type = "boolean", text = "ok" },
      { type = "number", text = "worst the largest difference, relative to max(1, |gradient|)" },
    },
  },
  ["d.grid"] = {
    signature = "d.grid",
    text = "d.grid: the times that a sampler visits. A grid is a list of steps {t, s}, later time first, and every sampler takes any grid. This file has all grids by name, and lists of your own.",
  },
  ["d.grid.beta"] = {
    signature = "d.grid.beta(source, N, [o])",
    text = "Quantiles of a Beta distribution, dense at both ends for alpha, beta < 1 (Lee et al. 2024, Beta sampling). With of = \"t\" it takes the quantiles of 1, 1 - 1/N, ..., 1/N as the share of the way from 1 to T, and times are real unless rounded. With of = \"sigma\" it takes those of 1, ..., 0 in equal steps as the share of the way from sigma_min to sigma_max, as diffusers does. Only of = \"sigma\" has options sigma_min and sigma_max.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule|integer", text = "T alone is enough for of = \"t\"" },
      { name = "N", type = "integer", text = "number of steps" },
      { name = "o", type = "diffusion.grid_beta_options?", optional = true },
    },
    options = {
      { name = "alpha", type = "number", range = "(0, 1000]", default = "0.6", text = "first parameter of the Beta distribution" },
      { name = "beta", type = "number", range = "(0, 1000]", default = "0.6", text = "second parameter of the Beta distribution" },
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "of", type = "\"t\" or \"sigma\"", default = "\"t\"", text = "the quantity whose values are Beta quantiles" },
      { name = "round", type = "boolean", default = "false", text = "takes the nearest whole levels, each once" },
      { name = "sigma_max", type = "number", default = "sigma of level T", text = "sigma of the first step, between those of levels 1 and T" },
      { name = "sigma_min", type = "number", default = "sigma of level 1", text = "sigma of the last step, between those of levels 1 and T" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
  },
  ["d.grid.exponential"] = {
    signature = "d.grid.exponential(source, N, [o])",
    text = "ln sigma in equal steps from sigma_max to sigma_min: a geometric sequence.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule" },
      { name = "N", type = "integer", text = "number of steps" },
      { name = "o", type = "diffusion.grid_exponential_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "round", type = "boolean", default = "false", text = "takes the nearest whole levels, each once" },
      { name = "sigma_max", type = "number", default = "sigma of level T", text = "sigma of the first step, between those of levels 1 and T" },
      { name = "sigma_min", type = "number", default = "sigma of level 1", text = "sigma of the last step, between those of levels 1 and T" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
  },
  ["d.grid.karras"] = {
    signature = "d.grid.karras(source, N, [o])",
    text = "Levels of sigma in equal steps of its rho-th root, from sigma_max to sigma_min, as real times (Karras et al. 2022, eq. 5). A single step starts at sigma_max.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule" },
      { name = "N", type = "integer", text = "number of steps" },
      { name = "o", type = "diffusion.grid_karras_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "rho", type = "number", range = "> 0", default = "7", text = "steps are equal in the rho-th root of sigma" },
      { name = "round", type = "boolean", default = "false", text = "takes the nearest whole levels, each once" },
      { name = "sigma_max", type = "number", default = "sigma of level T", text = "sigma of the first step, between those of levels 1 and T" },
      { name = "sigma_min", type = "number", default = "sigma of level 1", text = "sigma of the last step, between those of levels 1 and T" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
    example = "print(d.grid.karras(d.schedule.scaled_linear{}, 5, { round = true }))",
  },
  ["d.grid.leading"] = {
    signature = "d.grid.leading(source, N, [o])",
    text = "1 + (N-1) k, ..., 1 + k, 1 with k = floor(T/N). The first step starts below T (Song et al. 2021).",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule|integer" },
      { name = "N", type = "integer", text = "number of steps, 1..T" },
      { name = "o", type = "diffusion.grid_leading_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
  },
  ["d.grid.linspace"] = {
    signature = "d.grid.linspace(source, N, [o])",
    text = "From T to 1 in N equal steps, rounded (half up).",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule|integer" },
      { name = "N", type = "integer", text = "number of steps, 1..T; a single step starts from T" },
      { name = "o", type = "diffusion.grid_linspace_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "round", type = "boolean", default = "true", text = "rounds times to whole levels; false leaves them real" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
  },
  ["d.grid.list"] = {
    signature = "d.grid.list(source, times, [o])",
    text = "A grid of your own times, strictly falling within 0 < t <= T. A final 0 may be given or omitted.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule|integer" },
      { name = "times", type = "number[]", text = "real levels if the schedule has them" },
      { name = "o", type = "diffusion.grid_list_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
  },
  ["d.grid.log_snr"] = {
    signature = "d.grid.log_snr(source, N, [o])",
    text = "ln SNR in equal steps between two levels of the schedule (Lu et al. 2022, DPM-Solver). ln SNR is -2 ln sigma, so this equals exponential, but its ends are given as times.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule" },
      { name = "N", type = "integer", text = "number of steps" },
      { name = "o", type = "diffusion.grid_log_snr_options?", optional = true },
    },
    options = {
      { name = "from", type = "number", range = "> 0", default = "T", text = "level of the first step" },
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "round", type = "boolean", default = "false", text = "takes the nearest whole levels, each once" },
      { name = "to", type = "number", range = "> 0", default = "1", text = "level from which the last step starts" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
  },
  ["d.grid.names"] = {
    signature = "d.grid.names()",
    text = "The names of grids that take a number of steps, sorted. d.grid.presets() has more.",
    returns = {
      { type = "string[]" },
    },
  },
  ["d.grid.poly_exponential"] = {
    signature = "d.grid.poly_exponential(source, N, [o])",
    text = "ln sigma falls from sigma_max to sigma_min as (1 - u)^rho, with u in equal steps (Crowson's k-diffusion). If rho > 1, more steps are near sigma_min. rho = 1 is exponential.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule" },
      { name = "N", type = "integer", text = "number of steps" },
      { name = "o", type = "diffusion.grid_poly_exponential_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "rho", type = "number", range = "> 0", default = "1", text = "power of the curve in ln sigma" },
      { name = "round", type = "boolean", default = "false", text = "takes the nearest whole levels, each once" },
      { name = "sigma_max", type = "number", default = "sigma of level T", text = "sigma of the first step, between those of levels 1 and T" },
      { name = "sigma_min", type = "number", default = "sigma of level 1", text = "sigma of the last step, between those of levels 1 and T" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
  },
  ["d.grid.preset"] = {
    signature = "d.grid.preset(name)",
    text = "A grid as another library makes it, by the library's name and its option's. The presets of diffusers begin with \"diffusers-\": leading, leading-offset1, trailing, linspace: DDPM, DDIM, PNDM; euler-linspace: Euler, Heun and LMS, which don't round, and interpolate sigma linearly; karras, exponential, beta: Euler, Heun, LMS, between the ends that `spacing` gives; dpm-leading, dpm-trailing, dpm-linspace: DPMSolver, UniPC, DEIS, SA, with N + 1 points and one dropped; dpm-karras, dpm-exponential, dpm-lu, dpm-beta: the same, between the schedule's ends; flow, flux, unipc-flow, dpm-flow, flow-shifted-twice: on d.schedule.flow{ shift = }. FlowMatchEuler is flow-shifted-twice. Others are guided-diffusion and guided-diffusion-ddim (timestep_respacing \"N\" and \"ddimN\"), lucidrains, lcm, ddim-quadratic (the paper's) and ddim-repo-quadratic. edm has sigma from 0.002 to 80, within the schedule's. k-diffusion's begin with \"k-diffusion-\": karras, exponential, polyexponential, vp, discrete. stable-diffusion.cpp's begin with \"sd.cpp-\": discrete, simple, sgm-uniform, karras, exponential. Levels have the library's sigmas. For the curves of \"diffusers-dpm-\" the network is evaluated at whole times, as in DPMSolver (the grid's field `told`).",
    params = {
      { name = "name", type = "string", text = "one of d.grid.presets()" },
    },
    options = {
      { name = "beta_d", type = "number", range = "> 0", default = "19.9", text = "k-diffusion-vp: slope of beta(u)" },
      { name = "beta_min", type = "number", range = ">= 0", default = "0.1", text = "k-diffusion-vp: beta(0)" },
      { name = "eps_s", type = "number", range = "(0, 1)", default = "0.001", text = "k-diffusion-vp: u of the last step" },
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "offset", type = "integer", range = ">= 0", default = "0", text = "added to every time of leading spacing" },
      { name = "original", type = "integer", range = ">= 1", default = "50", text = "lcm: number of levels at which the network was distilled" },
      { name = "round", type = "boolean", default = "that of the grid", text = "takes the nearest whole levels, each once" },
      { name = "shift_terminal", type = "number", range = "(0, 1)", default = "none", text = "flow: the path is stretched so that 1 - w ends here" },
      { name = "spacing", type = "\"leading\", \"linspace\" or \"trailing\"", default = "\"linspace\"", text = "diffusers' karras, exponential and beta: the times whose sigmas are the curve's ends" },
    },
    returns = {
      { type = "fun(source: diffusion.process|diffusion.schedule|integer, N: integer, options: diffusion.grid_preset_options?): diffusion.grid", text = "make with last = 1 as diffusers' set_alpha_to_one = false and final_sigmas_type = \"sigma_min\". Other presets take the options of our grid of that name." },
    },
    example = "print(d.grid.preset \"diffusers-leading\"(d.schedule.scaled_linear{}, 5, { offset = 1, last = 1 }))",
  },
  ["d.grid.presets"] = {
    signature = "d.grid.presets()",
    text = "The names of all presets, sorted.",
    returns = {
      { type = "string[]" },
    },
  },
  ["d.grid.quadratic"] = {
    signature = "d.grid.quadratic(source, N, [o])",
    text = "floor(T j^2 / N^2) for j = N, ..., 1: most steps are at low noise (Song et al. 2021, sec. D.2). The earliest times, for which that would repeat a level, are j itself.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule|integer" },
      { name = "N", type = "integer", text = "number of steps, 1..T" },
      { name = "o", type = "diffusion.grid_quadratic_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
  },
  ["d.grid.section"] = {
    signature = "d.grid.section(source, sections, [o])",
    text = "Cuts T into equal sections, one per number, the earliest first. Each number is the number of steps of its section, from its first level to its last, rounded half to even. It is the `timestep_respacing` in the code of Dhariwal & Nichol 2021. \"ddimN\" is 1, 1 + k, ... with the smallest whole k that gives N steps. A section of one step has its first level: section(T, 1) starts from t = 1.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule|integer" },
      { name = "sections", type = "string|integer[]|integer", text = "\"10,15,20\", {10, 15, 20}, 25 or \"ddim25\"" },
      { name = "o", type = "diffusion.grid_section_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
    example = "print(d.grid.section(300, \"3,2,1\"))",
  },
  ["d.grid.sigmas"] = {
    signature = "d.grid.sigmas(source, values, [o])",
    text = "A grid of your own sigmas, strictly falling within those of levels 1..T. A final 0 may be given or omitted.",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule" },
      { name = "values", type = "number[]" },
      { name = "o", type = "diffusion.grid_sigmas_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "round", type = "boolean", default = "false", text = "takes the nearest whole levels, each once" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
    example = "print(d.grid.sigmas(d.schedule.edm{}, { 80, 10, 1, 0.1, 0 }))",
  },
  ["d.grid.trailing"] = {
    signature = "d.grid.trailing(source, N, [o])",
    text = "T, T - T/N, ..., T/N, rounded (half up). It starts from pure noise (Lin et al. 2024, table 2).",
    params = {
      { name = "source", type = "diffusion.process|diffusion.schedule|integer", text = "a process, a schedule, or its T" },
      { name = "N", type = "integer", text = "number of steps, 1..T" },
      { name = "o", type = "diffusion.grid_trailing_options?", optional = true },
    },
    options = {
      { name = "last", type = "number", range = ">= 0", default = "0", text = "level at which the grid stops, below its last t" },
      { name = "round", type = "boolean", default = "true", text = "rounds times to whole levels; false leaves them real" },
    },
    returns = {
      { type = "diffusion.grid" },
    },
    example = "print(d.grid.trailing(d.schedule.cosine{}, 5))",
  },
  ["d.guidance"] = {
    signature = "d.guidance",
    text = "Guidance: functions from denoisers to a denoiser. They can be nested.",
  },
  ["d.guidance.auto"] = {
    signature = "d.guidance.auto(model, weak, options)",
    text = "A denoiser guided by a weaker version of itself: weak + scale (model - weak). See Karras et al. 2024, \"Guiding a diffusion model with a bad version of itself\". Both get the same arguments.",
    params = {
      { name = "model", type = "any", text = "a denoiser (xt, t, {class=})" },
      { name = "weak", type = "any", text = "another denoiser with the same target and process" },
      { name = "options", type = "diffusion.guidance_auto_options" },
    },
    options = {
      { name = "scale", type = "number", default = "required", text = "1 is the model alone" },
      { name = "interval", type = "list of numbers", default = "all t", text = "{low, high} in t: guided only for low <= t <= high" },
    },
    returns = {
      { type = "function", text = "denoiser" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal weak = d.oracle.empirical(d.data.digits(), { std = 0.3 }):denoiser(process)\nlocal guided = d.guidance.auto(model, function(xt, t) return weak(xt, t) end, { scale = 1.5 })\nd.image.show(d.sample{ model = guided, process = process, shape = { 1, 8, 8, 1 }, class = 3, steps = 10 })",
  },
  ["d.guidance.cfg"] = {
    signature = "d.guidance.cfg(model, options)",
    text = "A guided denoiser, u + scale (c - u): c is conditioned on the class and u is not (Ho & Salimans 2022, eq. 6). The deviation that `rescale` restores is that of the prediction, so results differ between eps and v.",
    params = {
      { name = "model", type = "any", text = "a denoiser (xt, t, {class=})" },
      { name = "options", type = "diffusion.guidance_cfg_options" },
    },
    options = {
      { name = "scale", type = "number", default = "required", text = "1 is the conditional model, 0 the unconditional one" },
      { name = "interval", type = "list of numbers", default = "all t", text = "{low, high} in t: guided only for low <= t <= high" },
      { name = "rescale", type = "number", range = "[0, 1]", default = "0", text = "phi of Lin et al. 2024: share of the conditional output's deviation that is restored in each sample" },
      { name = "without", type = "table of tensors by name", default = "the class is dropped", text = "named inputs of the unconditional call: {context = empty}" },
    },
    returns = {
      { type = "function", text = "denoiser" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal guided = d.guidance.cfg(model, { scale = 2, rescale = 0.7 })\nprint(guided(d.randn(1, 8, 8, 1), 500, { class = d.tensor({ 4 }, { dtype = \"i64\" }) }):std():item())",
  },
  ["d.guidance.cfg_pp"] = {
    signature = "d.guidance.cfg_pp(model, options)",
    text = "A denoiser for CFG++ (Chung et al. 2024, algorithm 2). It returns u + scale (c - u), from which samplers compute x0, and u, from which they compute eps. c is conditioned on the class and u is not. It works with ddim, euler, euler_ancestral and your own samplers; others refuse it. A caller that uses only the first output gets cfg's, so apply cfg_pp last, around other guidances.",
    params = {
      { name = "model", type = "any", text = "a denoiser (xt, t, {class=})" },
      { name = "options", type = "diffusion.guidance_cfg_pp_options" },
    },
    options = {
      { name = "scale", type = "number", range = ">= 0", default = "required", text = "lambda, 0 to 1 in the paper" },
      { name = "interval", type = "list of numbers", default = "all t", text = "{low, high} in t: guided only for low <= t <= high" },
      { name = "without", type = "table of tensors by name", default = "the class is dropped", text = "named inputs of the unconditional call: {context = empty}" },
    },
    returns = {
      { type = "function", text = "denoiser" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal guided = d.guidance.cfg_pp(model, { scale = 0.6 })\nd.image.show(d.sample{ model = guided, process = process, shape = { 1, 8, 8, 1 }, class = 3, sampler = \"ddim\",\n                       steps = 20 })",
  },
  ["d.guidance.classifier"] = {
    signature = "d.guidance.classifier(model, process, log_prob, [options])",
    text = "A denoiser guided by a classifier of noisy x (Dhariwal & Nichol 2021, algorithm 2): scale times the gradient of log_prob is added to the score. The gradient is with respect to x alone, and parameters' .grad is not changed. Samples of class 0, and calls without a class, are not guided. An unconditional network is called without the class.",
    params = {
      { name = "model", type = "any", text = "a denoiser (xt, t, {class=})" },
      { name = "process", type = "diffusion.process" },
      { name = "log_prob", type = "function", text = "(xt, t, class) -> ln p(class | xt), {B}" },
      { name = "options", type = "diffusion.guidance_classifier_options?", optional = true },
    },
    options = {
      { name = "interval", type = "list of numbers", default = "all t", text = "{low, high} in t: guided only for low <= t <= high" },
      { name = "scale", type = "number", default = "1", text = "factor of the gradient" },
    },
    returns = {
      { type = "function", text = "denoiser" },
    },
    example = "local p = d.process{ schedule = d.schedule.cosine{}, predict = \"eps\" }\nlocal left, right = d.oracle.gaussian{ mean = { -1 }, std = 0.3 }, d.oracle.gaussian{ mean = { 1 }, std = 0.3 }\nlocal both = d.oracle.mixture{ means = { { -1 }, { 1 } }, std = 0.3 }\nlocal function log_prob(xt, t) return right:log_prob(xt, p, t) - both:log_prob(xt, p, t) end\nlocal guided = d.guidance.classifier(both:denoiser(p), p, log_prob)\nprint(d.sample{ model = guided, process = p, shape = { 8, 1 }, steps = 20, class = 2 }, left, right)",
  },
  ["d.guidance.gradient"] = {
    signature = "d.guidance.gradient(model, process, energy, [options])",
    text = "A denoiser guided down an energy: -scale times its gradient with respect to x_t is added to the score. With of = \"x0\" it is the energy of the predicted x0, unclipped, and the gradient goes through the denoiser (Chung et al. 2023, algorithm 1). Parameters' .grad is not changed.",
    params = {
      { name = "model", type = "any", text = "a denoiser (xt, t, {class=})" },
      { name = "process", type = "diffusion.process" },
      { name = "energy", type = "function", text = "(x, t, {class=}) -> {B}, or a sum over the samples; x is x_t or x0" },
      { name = "options", type = "diffusion.guidance_gradient_options?", optional = true },
    },
    options = {
      { name = "interval", type = "list of numbers", default = "all t", text = "{low, high} in t: guided only for low <= t <= high" },
      { name = "of", type = "\"xt\" or \"x0\"", default = "\"xt\"", text = "the argument of the energy: x_t or the predicted x0" },
      { name = "scale", type = "number", default = "1", text = "factor of the gradient" },
    },
    returns = {
      { type = "function", text = "denoiser" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal function dark_below(x0) return (x0:narrow(2, 5, 4) + 1):square():sum({ 2, 3, 4 }) end\nlocal guided = d.guidance.gradient(model, process, dark_below, { scale = 0.1, of = \"x0\" })\nd.image.show(d.sample{ model = guided, process = process, shape = { 1, 8, 8, 1 }, steps = 10 })",
  },
  ["d.help"] = {
    signature = "d.help([what])",
    text = "Prints what there is (no argument), a guide, or what is written about a name, a function, or the methods of a thing.",
    params = {
      { name = "what", type = "any", text = "a name (\"q_sample\", \"d.lr.cosine\"), a guide (\"samplers\", \"guide data\"; \"guides\" lists them), a function, a table such as d.schedule, or a tensor, model, schedule, process, ...", optional = true },
    },
    example = "d.help \"q_sample\"",
  },
  ["d.hub"] = {
    signature = "d.hub",
    text = "d.hub: models and schedulers of other libraries.",
  },
  ["d.hub.load"] = {
    signature = "d.hub.load(path, [options])",
    text = "Opens a model that others trained. It may be a folder of diffusers: one with model_index.json, or config.json of one component. It may be a name in the cache of huggingface_hub. Or it is a PyTorch or safetensors file of guided-diffusion, improved-diffusion, DiT, denoising-diffusion-pytorch, EDM, or of TAESD, whose other half must lie next to it. Or it is one of Stable Diffusion in latent diffusion's form, also as GGUF. Nothing is fetched. Weights are windows on mapped files, so a model opens at once; d.adamw and d.ema copy them to f32 first. Components that the pipeline doesn't need are passed over. The keys of a file tell sizes. Options that they don't tell are asked for: image, heads, schedule and so on.",
    params = {
      { name = "path", type = "string", text = "a folder, or a name as \"google/ddpm-cifar10-32\"" },
      { name = "options", type = "diffusion.hub_load_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "that of the file", text = "steps of the schedule" },
      { name = "cache", type = "path", default = "HF_HUB_CACHE, or $HF_HOME/hub, or ~/.cache/huggingface/hub", text = "folder of a cache of huggingface_hub, in which a name is looked up" },
      { name = "class_name", type = "string", default = "that of the config", text = "class of a component whose config names none" },
      { name = "classes", type = "integer", range = ">= 1", default = "that of the file", text = "number of classes; the table of DiT may have a row for none behind them" },
      { name = "copy", type = "boolean", default = "false", text = "reads into memory instead of mapping the file" },
      { name = "dtype", type = "\"f16\", \"bf16\", \"f32\" or \"f64\"", default = "that of the file", text = "a type to which the weights are converted" },
      { name = "ema", type = "boolean", default = "the values in training", text = "takes the denoiser's average, which some files of latent diffusion have next to its values" },
      { name = "frozen", type = "boolean", default = "until training begins", text = "true uses the weights as they are, mapped; false copies them to f32 at once" },
      { name = "groups", type = "integer", range = ">= 1", default = "that of the file", text = "groups of the residual blocks' norms" },
      { name = "head_channels", type = "integer", range = ">= 1", default = "that of the file", text = "width of a head, in place of heads" },
      { name = "heads", type = "integer or list of integers", range = ">= 1", default = "those of the file", text = "number of heads of each attention; or head_channels, the width of a head" },
      { name = "image", type = "integer or list of integers", range = ">= 1", default = "that of the file", text = "height and width of an image: 64, {64, 48} or {64, 48, 3}" },
      { name = "key", type = "string", default = "the only one", text = "in a PyTorch file, the key under which the network is: \"ema\", \"model\"" },
      { name = "labels", type = "list of strings", default = "those of the folder", text = "names of the classes from 1" },
      { name = "precondition", type = "\"edm\", \"vp\", \"ve\" or \"iddpm\"", default = "that of the file", text = "how the network's input and output are scaled; see d.precondition" },
      { name = "predict", type = "\"eps\", \"x0\" or \"v\"", default = "that of the file", text = "the prediction target" },
      { name = "process", type = "process", default = "made of the options above", text = "the process, in place of schedule, T, predict and variance" },
      { name = "qkv_order", type = "\"legacy\" or \"new\"", default = "that of the file", text = "order of the rows of q, k and v: by head, or \"new\": all of q first" },
      { name = "recompute", type = "boolean", default = "false", text = "networks recompute their blocks in the backward pass: training takes less memory and more time" },
      { name = "rescale_timesteps", type = "boolean", default = "that of the file", text = "whether the network sees timesteps as if T were 1000" },
      { name = "revision", type = "string", default = "main", text = "branch, tag or commit of a model in the cache" },
      { name = "scaling_factor", type = "number", range = "> 0", default = "that of the file's version", text = "factor of an autoencoder's latents: 0.18215 in Stable Diffusion 1 and 2, 0.13025 in XL" },
      { name = "schedule", type = "string or schedule", default = "that of the file", text = "the noise schedule: \"linear\", \"cosine\", \"sigmoid\", or one of d.schedule" },
      { name = "scheduler", type = "string or table", default = "that of the folder", text = "another scheduler: the path of a config, a config, or a class for the config in the folder" },
      { name = "shift_factor", type = "number", default = "none", text = "subtracted from an autoencoder's latents before that" },
      { name = "sigma_data", type = "number", range = "> 0", default = "that of the file", text = "standard deviation of the data, for precondition = \"edm\"" },
      { name = "steps", type = "integer", range = ">= 1", default = "that of the pipeline", text = "number of steps of a call that has none" },
      { name = "text", type = "boolean", default = "true", text = "false leaves text encoders out; prompts are then given encoded" },
      { name = "text_heads", type = "integer", range = ">= 1", default = "one for 64 channels", text = "in a file of latent diffusion, the number of heads of each attention of its text encoders" },
      { name = "time", type = "\"t\", \"log_snr\" or \"c_noise\"", default = "that of the file", text = "the network's time: timesteps, ln of the SNR, or EDM's c_noise" },
      { name = "tiny", type = "path", default = "none", text = "a small autoencoder for pipe:preview: a folder, or a file of TAESD" },
      { name = "tokenizer", type = "path", default = "that of the folder", text = "a tokenizer for a single file of Stable Diffusion, which has none; see d.tokenizer" },
      { name = "vae", type = "string or false", default = "that of the folder", text = "the folder of another autoencoder, or a file of TAESD or of latent diffusion; false for none" },
      { name = "variance", type = "\"fixed_small\", \"fixed_large\", \"learned\" or \"learned_range\"", default = "that of the file", text = "variance of the reverse step" },
      { name = "variant", type = "string", default = "the plain weights, or the only ones", text = "part of the name of the weights: fp16, non_ema" },
      { name = "version", type = "string", default = "that of the file", text = "version of the library that wrote the file: \"1.4\"" },
    },
    returns = {
      { type = "diffusion.pipe|nil", text = "pipe nil with a message" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.hub.save"] = {
    signature = "d.hub.save(dir, parts, [options])",
    text = "Writes a folder that diffusers opens with from_pretrained: configs, weights and model_index.json. A network of this library's own, d.unet, is written as a UNet2DModel if that class can express it. Its classes keep their numbers less one, and a last row of zeros stands for no class. An interrupted save leaves the old folder, or one that no program opens.",
    params = {
      { name = "dir", type = "string" },
      { name = "parts", type = "any", text = "a pipe; a network, or an average of one, alone; or the options with a unet" },
      { name = "options", type = "diffusion.hub_save_options?", text = "for a pipe or a network: variant, dtype, max_shard_size", optional = true },
    },
    options = {
      { name = "dtype", type = "\"f16\", \"bf16\", \"f32\" or \"f64\"", default = "f32, or that of mapped weights", text = "type of the weights in the file" },
      { name = "labels", type = "list of strings", default = "none", text = "names of the classes from 1" },
      { name = "max_shard_size", type = "integer or string", range = ">= 1", default = "10000000000", text = "bytes of a file of weights at most: a number, or \"5GB\"" },
      { name = "pipeline", type = "string", default = "by the networks", text = "class of the pipeline" },
      { name = "process", type = "process", default = "none", text = "the process that the denoiser was trained for" },
      { name = "scheduler", type = "table", default = "none", text = "the config of a scheduler of diffusers, with its _class_name; in place of a process" },
      { name = "text", type = "model or ema", default = "none", text = "a text encoder, d.cliptext" },
      { name = "text2", type = "model or ema", default = "none", text = "SDXL's second text encoder" },
      { name = "tokenizer", type = "tokenizer", default = "none", text = "the tokenizer of text" },
      { name = "tokenizer2", type = "tokenizer", default = "none", text = "the tokenizer of text2" },
      { name = "unet", type = "model or ema", default = "none", text = "the denoiser, or an average of one" },
      { name = "vae", type = "model or ema", default = "none", text = "an autoencoder" },
      { name = "variant", type = "string", default = "none", text = "part of the name of the weights: fp16, non_ema" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if it can't be written, or can't be expressed" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.hub.scheduler"] = {
    signature = "d.hub.scheduler(config, [options])",
    text = "A scheduler of diffusers, by its config. The sampler, the grid and the denoiser wrap(model) do what the class does with these options; d.help \"schedulers\" says where they don't. wrap shows the network diffusers' timestep, which is our t - 1 or another, and its scale of x. Options that the class doesn't know are ignored, as diffusers does. Without steps, grid is a function for the option `grid` of d.sample. facts has diffusers' timesteps, the factor `start` of the noise at the first step, and unit = \"sigma\" if diffusers' samples are x/a.",
    params = {
      { name = "config", type = "table|string", text = "a table with _class_name, the path of a scheduler_config.json, or its folder" },
      { name = "options", type = "diffusion.hub_scheduler_options?", optional = true },
    },
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "that of the class", text = "factor of the noise of DDIM and TCD" },
      { name = "first", type = "integer", range = ">= 1", default = "1", text = "number of the step to start at; later ones start from an image" },
      { name = "intermediate_timesteps", type = "number", range = "> 0", default = "that of diffusers", text = "SCM's second angle of two" },
      { name = "jump_length", type = "integer", range = ">= 1", default = "that of diffusers", text = "RePaint's steps of a jump back" },
      { name = "jump_n_sample", type = "integer", range = ">= 1", default = "that of diffusers", text = "times that RePaint takes each stretch" },
      { name = "mask", type = "tensor", default = "none", text = "RePaint's mask, 1 where the picture is known" },
      { name = "max_timesteps", type = "number", range = "> 0", default = "that of diffusers", text = "SCM's first angle" },
      { name = "mu", type = "number", default = "none", text = "shift of the path, for use_dynamic_shifting" },
      { name = "order", type = "integer", range = "[1, 4]", default = "that of diffusers", text = "order of LMS" },
      { name = "original", type = "tensor", default = "none", text = "RePaint's picture, whose known part stays" },
      { name = "original_inference_steps", type = "integer", range = ">= 1", default = "that of the config", text = "number of timesteps at which LCM's network was distilled" },
      { name = "s_churn", type = "number", range = ">= 0", default = "that of diffusers", text = "noise that Euler adds before steps, over all of them" },
      { name = "s_noise", type = "number", range = ">= 0", default = "that of diffusers", text = "factor of that noise" },
      { name = "s_tmax", type = "number", range = ">= 0", default = "that of diffusers", text = "greatest sigma at which it does" },
      { name = "s_tmin", type = "number", range = ">= 0", default = "that of diffusers", text = "least sigma at which it does" },
      { name = "sigmas", type = "list of numbers", default = "none", text = "noise levels of your own, as set_timesteps takes them: the list of Euler has the level of the end too" },
      { name = "steps", type = "integer", range = ">= 1", default = "the grid is then a function of it", text = "number of steps" },
      { name = "strength", type = "number", range = "(0, 1]", default = "that of diffusers", text = "share of training from whose timesteps LCM and TCD take theirs, for an image" },
      { name = "timesteps", type = "list of numbers", default = "none", text = "timesteps of your own, of diffusers' count from 0, the latest first" },
      { name = "use_clipped_model_output", type = "boolean", default = "that of diffusers", text = "DDIM's eps is that of the clipped x0" },
    },
    returns = {
      { type = "diffusion.process|nil", text = "process nil with a message if the config can't be followed" },
      { type = "table|string", text = "sampler" },
      { type = "diffusion.grid|function", text = "grid" },
      { type = "fun(model: any): any", text = "wrap" },
      { type = "table", text = "facts {class, timesteps, start, unit, upward}" },
    },
    example = "local config = { _class_name = \"DDIMScheduler\", beta_schedule = \"squaredcos_cap_v2\" }\nlocal process, sampler, grid, wrap = d.hub.scheduler(config, { steps = 10 })\nlocal model = d.oracle.moons{}:denoiser(process)\nprint(d.sample{ model = wrap(model), process = process, sampler = sampler, grid = grid, shape = { 3, 2 } })",
  },
  ["d.huber"] = {
    signature = "d.huber(a, b, [over], [opts])",
    text = "The mean of the Huber loss (Huber 1964) of e = a - b: e^2/2 if |e| <= delta, else delta (|e| - delta/2).",
    params = {
      { name = "a", type = "diffusion.tensor" },
      { name = "b", type = "diffusion.tensor", text = "the same shape" },
      { name = "over", type = "string", text = "\"sample\" for one mean per sample", optional = true },
      { name = "opts", type = "diffusion.huber_options", optional = true },
    },
    options = {
      { name = "delta", type = "number", range = "> 0", default = "1", text = "error from which on the loss is straight" },
    },
    returns = {
      { type = "diffusion.tensor", text = "a number, or {B}" },
    },
  },
  ["d.image"] = {
    signature = "d.image",
    text = "Pictures: reads and writes files, also animated ones, makes grids, and draws in a terminal. A picture is a tensor [H,W,C] of numbers as in picture.lua. A batch has one more dimension in front.",
  },
  ["d.image.animate"] = {
    signature = "d.image.animate(path, frames, [options])",
    text = "Writes pictures as an animated PNG, whole or not at all. Browsers play it, and other programs show the first frame. Frames share size and channels.",
    params = {
      { name = "path", type = "string", text = "ends in .png" },
      { name = "frames", type = "diffusion.tensor|table", text = "[F,H,W,C], or a list of [H,W,C] or of batches [B,H,W,C], each made one by image.grid; bytes, whole numbers 0..255 or floats in [-1, 1] (clamped), C in 1..4" },
      { name = "options", type = "diffusion.image_animate_options?", optional = true },
    },
    options = {
      { name = "columns", type = "integer", range = ">= 1", default = "ceil(sqrt(B))", text = "pictures in a row" },
      { name = "delay", type = "number or list of numbers", default = "0.1", text = "seconds that a frame is shown, 0 to 65, or a list of them" },
      { name = "loop", type = "integer", range = ">= 0", default = "0", text = "times it plays; 0: without end" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the file can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.image.draw"] = {
    signature = "d.image.draw(x, [options])",
    text = "The text that image.show writes.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "[H,W,C] or [B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]" },
      { name = "options", type = "diffusion.image_draw_options?", optional = true },
    },
    options = {
      { name = "columns", type = "integer", range = ">= 1", default = "ceil(sqrt(B))", text = "pictures in a row" },
      { name = "label", type = "string", default = "none", text = "a line above the picture" },
      { name = "style", type = "\"truecolor\", \"256\" or \"ascii\"", default = "the terminal's best", text = "colours or letters" },
      { name = "width", type = "integer", range = "[2, 10000]", default = "COLUMNS, the terminal's, or 80", text = "letters in a line" },
    },
    returns = {
      { type = "string" },
    },
  },
  ["d.image.grid"] = {
    signature = "d.image.grid(x, [options])",
    text = "Pictures in a grid, row by row. Unused places and the gaps are black.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "[B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]" },
      { name = "options", type = "diffusion.image_grid_options?", optional = true },
    },
    options = {
      { name = "columns", type = "integer", range = ">= 1", default = "ceil(sqrt(B))", text = "pictures in a row" },
      { name = "pad", type = "integer", range = ">= 0", default = "2", text = "black pixels around each picture" },
      { name = "scale", type = "integer", range = ">= 1", default = "1", text = "pixels of the grid along a pixel's side" },
    },
    returns = {
      { type = "diffusion.tensor", text = "picture [rows (H+pad) + pad, columns (W+pad) + pad, C] of x's type (i64: u8), H and W scaled" },
    },
    example = "print(d.image.grid(d.zeros(6, 8, 8, 1), { columns = 3 }):shape()[2])",
  },
  ["d.image.info"] = {
    signature = "d.image.info(path)",
    text = "The description of a picture file, without decoding its pixels. Its text has the file's bytes. print and d.pp show characters that could control a terminal as escapes.",
    params = {
      { name = "path", type = "string" },
    },
    returns = {
      { type = "table|nil", text = "info { height, width, channels, format, text = {key = value} }, and orientation, 2 to 8, if EXIF turns the picture: height and width are those of the upright one; nil with a message" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.image.load"] = {
    signature = "d.image.load(path, [options])",
    text = "Reads a picture, turned upright as its EXIF says. 16 bits per channel are rounded to 8.",
    params = {
      { name = "path", type = "string", text = "a PNG or a JPEG" },
      { name = "options", type = "diffusion.image_load_options?", optional = true },
    },
    options = {
      { name = "channels", type = "integer", range = "[1, 3]", default = "as in the file", text = "1 (grey) or 3 (RGB)" },
      { name = "upright", type = "boolean", default = "true", text = "turned as the file's EXIF says; false leaves it as stored" },
    },
    returns = {
      { type = "diffusion.tensor|nil", text = "x floats [H,W,C] in [-1, 1]; nil with a message" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.image.read"] = {
    signature = "d.image.read(path, [channels], [options])",
    text = "A picture file's pixels as bytes. 16 bits per channel are rounded to 8. Gamma and colour spaces in the file are ignored: values are returned as stored. A palette and inks (CMYK, as Adobe writes them) become RGB.",
    params = {
      { name = "path", type = "string", text = "a PNG (grey, RGB, palette, alpha, up to 16 bits a channel) or a JPEG" },
      { name = "channels", type = "integer|nil", text = "1 grey or 3 RGB (transparent over white); as the file has them if not given", optional = true },
      { name = "options", type = "diffusion.image_read_options?", optional = true },
    },
    options = {
      { name = "upright", type = "boolean", default = "true", text = "turned as the file's EXIF says; false leaves it as stored" },
    },
    returns = {
      { type = "diffusion.tensor|nil", text = "x u8 [H,W,C], C in 1..4; nil with a message" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.image.save"] = {
    signature = "d.image.save(path, x, [options])",
    text = "Writes a picture as PNG, whole or not at all.",
    params = {
      { name = "path", type = "string", text = "ends in .png" },
      { name = "x", type = "diffusion.tensor", text = "[H,W,C] or [1,H,W,C], bytes, whole numbers 0..255 or floats in [-1, 1] (clamped), C in 1..4" },
      { name = "options", type = "diffusion.image_save_options?", optional = true },
    },
    options = {
      { name = "text", type = "table of anys by name", default = "none", text = "tEXt chunks by key, which image.info reads back as strings; numbers keep all bits" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the file can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.image.show"] = {
    signature = "d.image.show(x, [options])",
    text = "Draws in the terminal, with two pixels per character in 24-bit colour or 256 colours. Without colours, with NO_COLOR or without a terminal it draws with letters.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "[H,W,C] or [B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]" },
      { name = "options", type = "diffusion.image_draw_options?", optional = true },
    },
    options = {
      { name = "columns", type = "integer", range = ">= 1", default = "ceil(sqrt(B))", text = "pictures in a row" },
      { name = "label", type = "string", default = "none", text = "a line above the picture" },
      { name = "style", type = "\"truecolor\", \"256\" or \"ascii\"", default = "the terminal's best", text = "colours or letters" },
      { name = "width", type = "integer", range = "[2, 10000]", default = "COLUMNS, the terminal's, or 80", text = "letters in a line" },
    },
    example = "d.image.show(d.data.digits().x:narrow(1, 1, 10), { columns = 10 })",
  },
  ["d.image.to_bytes"] = {
    signature = "d.image.to_bytes(x)",
    text = "The numbers of a picture as bytes 0..255. Floats in [-1, 1] are rounded, and those outside are clamped. Whole numbers must be in 0..255. Bytes are returned unchanged. nan, infinity, floats from 0 to beyond 4 and other whole numbers are errors.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "u8, i64 or floats of any shape" },
    },
    returns = {
      { type = "diffusion.tensor", text = "u8" },
    },
  },
  ["d.image.to_float"] = {
    signature = "d.image.to_float(x)",
    text = "The numbers of a picture as floats v/127.5 - 1 in [-1, 1]. The numbers may be bytes, or whole numbers 0..255, which for example `255 - x` gives for bytes. Floats are returned unchanged.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "u8, i64 or floats of any shape" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["d.info"] = {
    signature = "d.info()",
    text = "The version and the machine in a few lines.",
    returns = {
      { type = "string" },
    },
  },
  ["d.l1"] = {
    signature = "d.l1(a, b, [over])",
    text = "The mean of |a - b|.",
    params = {
      { name = "a", type = "diffusion.tensor" },
      { name = "b", type = "diffusion.tensor", text = "the same shape" },
      { name = "over", type = "string", text = "\"sample\" for one mean per sample", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "a number, or {B}" },
    },
  },
  ["d.likelihood"] = {
    signature = "d.likelihood",
    text = "The likelihood of data under a model: d.likelihood.vlb is a bound, term by term, and d.likelihood.ode the density of its probability-flow ODE.",
  },
  ["d.likelihood.ode"] = {
    signature = "d.likelihood.ode(model, process, x0, [options])",
    text = "Returns -ln p(x0), the density of the model's probability-flow ODE (Song et al. 2021, score SDE, eq. 39). The ODE takes x to noise in the angle atan(s/a), by adaptive steps of each sample (as in the sampler rk45). The divergence of its field is integrated with it, and the prior is evaluated at its end.  The ODE can't start without noise, so it starts at level `from`. The density is that of x0 + sigma eps with sigma = s/a there, evaluated at x0. For the best denoiser the mean of -ln p is then the data's entropy plus KL(p || p with that noise). That term is never negative, and falls as sigma^4 where p is smooth. (Song et al. also use x0 as x at their first level.) At `to` the density is taken to be the prior's. The error is due to the remains of x0 in x there.  Up to 64 dimensions the divergence is exact, with D gradients per evaluation. Beyond, it is Hutchinson's unbiased estimate from `probes` vectors of -1 and 1. Bits per dimension are mean/(D ln 2) + c. Without dequantise c is 0. With it, images have levels whose centres go from -1 to 1, as in d.image (y = x/127.5 - 1). A uniform number within +-1/2 level is added, and c = log2(127.5) = 6.99435. With span = \"edges\" they become y = (x + u)/128 - 1 with u in [0, 1), as in score SDE, and c = log2(128) = 7.",
    params = {
      { name = "model", type = "function|table", text = "a denoiser, called as (xt, t, {class=}), without self-conditioning; gradients pass through it" },
      { name = "process", type = "diffusion.process", text = "its clip is not applied here" },
      { name = "x0", type = "diffusion.tensor", text = "{B, ...}" },
      { name = "options", type = "diffusion.likelihood_ode_options?", optional = true },
    },
    options = {
      { name = "atol", type = "number", range = "> 0", default = "1e-5", text = "absolute tolerance of a step's error" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "dequantise", type = "boolean or table", default = "false", text = "images: adds uniform noise to their levels" },
      { name = "dequantise.levels", type = "integer", range = ">= 2", default = "256", text = "number of levels" },
      { name = "dequantise.span", type = "\"centres\" or \"edges\"", default = "\"centres\"", text = "[-1, 1] spans the centres of the levels, or their edges" },
      { name = "divergence", type = "\"auto\", \"exact\" or \"hutchinson\"", default = "\"auto\"", text = "\"exact\" takes D gradients, \"hutchinson\" estimates; \"auto\" is exact to 64 dimensions" },
      { name = "from", type = "number", range = ">= 1", default = "1", text = "level at which the ODE begins" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "most", type = "integer", range = ">= 1", default = "10000", text = "steps after which the run is an error" },
      { name = "over", type = "mpi", default = "none", text = "deals the samples out over the ranks of diffusion.mpi" },
      { name = "probes", type = "integer", range = ">= 1", default = "1", text = "random vectors of Hutchinson's estimate" },
      { name = "rtol", type = "number", range = ">= 0", default = "1e-5", text = "tolerance relative to the sample's size" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
      { name = "to", type = "number", default = "T, or the last level with an SNR of 3.7e-5", text = "level at which the prior is taken" },
    },
    returns = {
      { type = "diffusion.likelihood", text = "likelihood {nats = {B}, mean, error, bits, bits_error, constant, D, divergence, evaluations, from, to}: error is the standard error of mean, and an evaluation includes the gradients for the divergence" },
    },
    example = "local process = d.process{ schedule = d.schedule.flow{}, predict = \"x0\" }\nlocal moons = d.oracle.moons{}\nprint(d.likelihood.ode(moons:denoiser(process), process, moons:sample(100, { seed = 1 })), moons:entropy())",
  },
  ["d.likelihood.vlb"] = {
    signature = "d.likelihood.vlb(model, process, x0, [options])",
    text = "The variational bound on -ln p(x0) of a model's reverse process (Ho et al. 2020, eq. 5), by term. The prior's term is L_T = KL(q(x_T | x_0) || p(x_T)). The terms of steps are KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) for t = 2..T, and the decoder's is -ln p(x_0 | x_1). L_T is exact; the others are means with one noise for each sample and t. At t = 1 the posterior has no variance, so that of t = 2 is used, as in the code of Ho et al. 2020. A learned variance, or a variance function that is above 0 at (1, 0), is used as it is. x0' isn't clipped by default, since clipped means are not those of the model's reverse process. Nor is the model conditioned on its own x0 (self_condition), since its steps would then depend on more than x_t.  Images are levels of [-1, 1], and the unit is bits per dimension: a bound on the length of a code for the levels. For continuous data use decoder = \"gaussian\", the density N(x0; x0', variance). The unit is then nats per sample, comparable to an entropy.",
    params = {
      { name = "model", type = "function|table", text = "a denoiser, called as (xt, t, {class=}); its output is twice as wide if the process's variance is learned, and the variance is then per element" },
      { name = "process", type = "diffusion.process" },
      { name = "x0", type = "diffusion.tensor", text = "{B, ...}" },
      { name = "options", type = "diffusion.likelihood_vlb_options?", optional = true },
    },
    options = {
      { name = "bins", type = "integer", range = ">= 2", default = "256", text = "levels of an image" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "clip", type = "boolean", default = "false", text = "clips the predicted x0 as the process does" },
      { name = "decoder", type = "\"erf\", \"tanh\" or \"gaussian\"", default = "\"erf\"", text = "last term of the bound: levels by erf, or by its approximation tanh as in published figures; or a density" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "over", type = "mpi", default = "none", text = "deals the samples out over the ranks of diffusion.mpi" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
      { name = "t", type = "integer or list of integers", range = ">= 1", default = "all of 1..T", text = "n strata of 2..T, even in ln(1 + SNR), with one t each; or a list of t whose terms are wanted" },
    },
    returns = {
      { type = "diffusion.bound", text = "bound {total, error, prior, steps, decoder, errors = {prior, steps, decoder}, terms = { {t, from, to, value, error}, ... }, per_sample = {B}, samples, D, unit}. value is the mean of the terms of from..to. error is a standard error that includes the samples, their noise and the choice of t. total, steps and per_sample are nil if terms are missing" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal x0 = d.data.digits().x:narrow(1, 1, 8)\nprint(d.likelihood.vlb(model, process, d.image.to_float(x0), { t = 10, seed = 1 }))",
  },
  ["d.linalg"] = {
    signature = "d.linalg",
    text = "Linear algebra for small matrices, by LAPACK in double. Lists and f64 tensors are read exactly. Results are reals.",
  },
  ["d.linalg.cholesky"] = {
    signature = "d.linalg.cholesky(a)",
    text = "The lower factor L of a = L L^T. No gradient.",
    params = {
      { name = "a", type = "diffusion.tensor|number[][]", text = "{n,n}; must be symmetric and positive definite; the error names the first leading minor that is not positive" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{n,n}, zeros above the diagonal" },
    },
  },
  ["d.linalg.eigh"] = {
    signature = "d.linalg.eigh(a)",
    text = "Eigenvalues and eigenvectors of a symmetric matrix, by LAPACK in double. No gradient.",
    params = {
      { name = "a", type = "diffusion.tensor|number[][]", text = "{n,n}; must be symmetric and finite" },
    },
    returns = {
      { type = "diffusion.tensor", text = "values {n}, ascending" },
      { type = "diffusion.tensor", text = "vectors {n,n}, of unit length, in columns" },
    },
  },
  ["d.linalg.solve"] = {
    signature = "d.linalg.solve(a, b)",
    text = "Solves a x = b by elimination in double. No gradient.",
    params = {
      { name = "a", type = "diffusion.tensor|number[][]", text = "{n,n}; a singular matrix is an error" },
      { name = "b", type = "diffusion.tensor|number[]|number[][]", text = "{n} or {n,m}" },
    },
    returns = {
      { type = "diffusion.tensor", text = "as b" },
    },
  },
  ["d.linspace"] = {
    signature = "d.linspace(first, last, n)",
    text = "n equally spaced numbers, both ends included.",
    params = {
      { name = "first", type = "number" },
      { name = "last", type = "number" },
      { name = "n", type = "integer", text = "1 or more" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{n}" },
    },
  },
  ["d.load"] = {
    signature = "d.load(path, [options])",
    text = "Reads a safetensors file, or all shards that an index file (model.safetensors.index.json) lists, or a PyTorch file (.pt, .pth, .bin, .ckpt), or a GGUF file. A tensor is a window on the mapped file, so a large file costs nothing until it is used. A tensor that must be converted, or that isn't aligned, is read when it is first asked for. Writing to a tensor doesn't change the file. If another program truncates the file meanwhile, this one ends (SIGBUS). Replacing the file, as d.save does, is safe. With copy = true the file is read into memory. Other integers and BOOL are widened to i64. F8 types become f16, and F8_E8M0 becomes f32. Types that no tensor holds (C64, F4, F6, U64 above i64) are listed by pairs, with dtype() and shape(). Reading one by its name is an error. The second result of a PyTorch file has its numbers, texts and booleans by name. Nothing in the file is run. Reading a value of an unknown Python class by its name is an error. A file of one tensor gives that tensor, and a file of a list of tensors gives the list. The second result of a GGUF file has its facts. Tensors of its types Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 stay as they are stored: they have a shape and windows, and networks read them. x:to \"f32\" makes numbers of them.",
    params = {
      { name = "path", type = "string" },
      { name = "options", type = "diffusion.load_options?", optional = true },
    },
    options = {
      { name = "copy", type = "boolean", default = "false", text = "reads into memory instead of mapping the file" },
      { name = "dtype", type = "\"f16\", \"bf16\", \"f32\" or \"f64\"", default = "the file's", text = "the type of all tensors of floats" },
      { name = "f8", type = "\"f16\", \"bf16\", \"f32\", \"f64\" or \"u8\"", default = "dtype, or f16", text = "the type of tensors whose floats have 8 bits; u8 gives their codes" },
      { name = "key", type = "string", default = "the only one", text = "in a PyTorch file, the key under which the tensors are: \"ema\" or \"model.ema\"; \"\" takes all of the file" },
      { name = "raw", type = "boolean", default = "false", text = "gives the whole value of a PyTorch file as Lua tables" },
      { name = "total_size", type = "boolean", default = "true", text = "compares the total_size of an index with its shards" },
    },
    returns = {
      { type = "table<string, diffusion.tensor>|nil", text = "tensors nil with a message if it isn't a good file" },
      { type = "table<string, string>|string", text = "metadata or the message" },
    },
    example = "local tensors, metadata = d.load(\"model.safetensors\", { dtype = \"f32\" })",
  },
  ["d.load_model"] = {
    signature = "d.load_model(path, [options])",
    text = "Reads a model file (model:save) as a network with its values, and its process (nil if it has none). The file is mapped while it is read. If another program truncates the file meanwhile, this one ends (SIGBUS). With copy = true it is read into memory first.",
    params = {
      { name = "path", type = "string", text = "a file, or, if there is none of that name, a network that comes with the library: \"digits\" (8x8 pixels, classes 1 to 10 are the digits 0 to 9)" },
      { name = "options", type = "diffusion.load_model_options?", optional = true },
    },
    options = {
      { name = "copy", type = "boolean", default = "false", text = "reads into memory instead of mapping the file" },
      { name = "frozen", type = "boolean", default = "false", text = "uses the file's values as they are, mapped, in their own type" },
      { name = "process", type = "process", default = "that of the file", text = "a process in place of the file's" },
    },
    returns = {
      { type = "diffusion.model|nil", text = "model nil with a message if it isn't a good model file" },
      { type = "diffusion.process|string|nil", text = "process or the message" },
    },
    example = "local model, process = d.load_model \"digits\"",
  },
  ["d.load_pipeline"] = {
    signature = "d.load_pipeline(name, [options])",
    text = "Opens a pipe, which draws images: one that comes with the library, by its name, or a folder, as d.hub.load does.",
    params = {
      { name = "name", type = "string", text = "\"digits\", \"emoji\" (texts to pictures), a folder, or a name in the cache of huggingface_hub" },
      { name = "options", type = "diffusion.hub_load_options?", text = "for a folder", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "that of the file", text = "steps of the schedule" },
      { name = "cache", type = "path", default = "HF_HUB_CACHE, or $HF_HOME/hub, or ~/.cache/huggingface/hub", text = "folder of a cache of huggingface_hub, in which a name is looked up" },
      { name = "class_name", type = "string", default = "that of the config", text = "class of a component whose config names none" },
      { name = "classes", type = "integer", range = ">= 1", default = "that of the file", text = "number of classes; the table of DiT may have a row for none behind them" },
      { name = "copy", type = "boolean", default = "false", text = "reads into memory instead of mapping the file" },
      { name = "dtype", type = "\"f16\", \"bf16\", \"f32\" or \"f64\"", default = "that of the file", text = "a type to which the weights are converted" },
      { name = "ema", type = "boolean", default = "the values in training", text = "takes the denoiser's average, which some files of latent diffusion have next to its values" },
      { name = "frozen", type = "boolean", default = "until training begins", text = "true uses the weights as they are, mapped; false copies them to f32 at once" },
      { name = "groups", type = "integer", range = ">= 1", default = "that of the file", text = "groups of the residual blocks' norms" },
      { name = "head_channels", type = "integer", range = ">= 1", default = "that of the file", text = "width of a head, in place of heads" },
      { name = "heads", type = "integer or list of integers", range = ">= 1", default = "those of the file", text = "number of heads of each attention; or head_channels, the width of a head" },
      { name = "image", type = "integer or list of integers", range = ">= 1", default = "that of the file", text = "height and width of an image: 64, {64, 48} or {64, 48, 3}" },
      { name = "key", type = "string", default = "the only one", text = "in a PyTorch file, the key under which the network is: \"ema\", \"model\"" },
      { name = "labels", type = "list of strings", default = "those of the folder", text = "names of the classes from 1" },
      { name = "precondition", type = "\"edm\", \"vp\", \"ve\" or \"iddpm\"", default = "that of the file", text = "how the network's input and output are scaled; see d.precondition" },
      { name = "predict", type = "\"eps\", \"x0\" or \"v\"", default = "that of the file", text = "the prediction target" },
      { name = "process", type = "process", default = "made of the options above", text = "the process, in place of schedule, T, predict and variance" },
      { name = "qkv_order", type = "\"legacy\" or \"new\"", default = "that of the file", text = "order of the rows of q, k and v: by head, or \"new\": all of q first" },
      { name = "recompute", type = "boolean", default = "false", text = "networks recompute their blocks in the backward pass: training takes less memory and more time" },
      { name = "rescale_timesteps", type = "boolean", default = "that of the file", text = "whether the network sees timesteps as if T were 1000" },
      { name = "revision", type = "string", default = "main", text = "branch, tag or commit of a model in the cache" },
      { name = "scaling_factor", type = "number", range = "> 0", default = "that of the file's version", text = "factor of an autoencoder's latents: 0.18215 in Stable Diffusion 1 and 2, 0.13025 in XL" },
      { name = "schedule", type = "string or schedule", default = "that of the file", text = "the noise schedule: \"linear\", \"cosine\", \"sigmoid\", or one of d.schedule" },
      { name = "scheduler", type = "string or table", default = "that of the folder", text = "another scheduler: the path of a config, a config, or a class for the config in the folder" },
      { name = "shift_factor", type = "number", default = "none", text = "subtracted from an autoencoder's latents before that" },
      { name = "sigma_data", type = "number", range = "> 0", default = "that of the file", text = "standard deviation of the data, for precondition = \"edm\"" },
      { name = "steps", type = "integer", range = ">= 1", default = "that of the pipeline", text = "number of steps of a call that has none" },
      { name = "text", type = "boolean", default = "true", text = "false leaves text encoders out; prompts are then given encoded" },
      { name = "text_heads", type = "integer", range = ">= 1", default = "one for 64 channels", text = "in a file of latent diffusion, the number of heads of each attention of its text encoders" },
      { name = "time", type = "\"t\", \"log_snr\" or \"c_noise\"", default = "that of the file", text = "the network's time: timesteps, ln of the SNR, or EDM's c_noise" },
      { name = "tiny", type = "path", default = "none", text = "a small autoencoder for pipe:preview: a folder, or a file of TAESD" },
      { name = "tokenizer", type = "path", default = "that of the folder", text = "a tokenizer for a single file of Stable Diffusion, which has none; see d.tokenizer" },
      { name = "vae", type = "string or false", default = "that of the folder", text = "the folder of another autoencoder, or a file of TAESD or of latent diffusion; false for none" },
      { name = "variance", type = "\"fixed_small\", \"fixed_large\", \"learned\" or \"learned_range\"", default = "that of the file", text = "variance of the reverse step" },
      { name = "variant", type = "string", default = "the plain weights, or the only ones", text = "part of the name of the weights: fp16, non_ema" },
      { name = "version", type = "string", default = "that of the file", text = "version of the library that wrote the file: \"1.4\"" },
    },
    returns = {
      { type = "diffusion.pipe|nil", text = "pipe nil with a message" },
      { type = "string|nil", text = "message" },
    },
    example = "local pipe = assert(d.load_pipeline \"digits\")\nprint(pipe)\nd.image.show(pipe{ class = { 4, 5 }, steps = 10, seed = 1 })",
  },
  ["d.lr"] = {
    signature = "d.lr",
    text = "Learning rates: functions from the number of a step, counted from 1, to a rate.",
  },
  ["d.lr.constant"] = {
    signature = "d.lr.constant(options)",
    text = "One rate for every step, after a linear warm-up.",
    params = {
      { name = "options", type = "diffusion.lr_constant_options" },
    },
    options = {
      { name = "peak", type = "number", range = "> 0", default = "required", text = "the highest rate, at the end of the warm-up" },
      { name = "warmup", type = "integer", range = ">= 0", default = "0", text = "steps in which the rate rises linearly to its peak" },
    },
    returns = {
      { type = "function", text = "step -> rate" },
    },
  },
  ["d.lr.cosine"] = {
    signature = "d.lr.cosine(options)",
    text = "Half a cosine from peak to floor at step `total` (Loshchilov & Hutter 2017, eq. 5).",
    params = {
      { name = "options", type = "diffusion.lr_cosine_options" },
    },
    options = {
      { name = "peak", type = "number", range = "> 0", default = "required", text = "the highest rate, at the end of the warm-up" },
      { name = "total", type = "integer", range = ">= 1", default = "required", text = "step at which the rate reaches its floor" },
      { name = "floor", type = "number", range = ">= 0", default = "0", text = "the rate from step `total` on" },
    },
    returns = {
      { type = "function", text = "step -> rate" },
    },
  },
  ["d.lr.linear"] = {
    signature = "d.lr.linear(options)",
    text = "A straight line from peak to floor at step `total`, after a linear warm-up.",
    params = {
      { name = "options", type = "diffusion.lr_linear_options" },
    },
    options = {
      { name = "peak", type = "number", range = "> 0", default = "required", text = "the highest rate, at the end of the warm-up" },
      { name = "total", type = "integer", range = ">= 1", default = "required", text = "step at which the rate reaches its floor" },
      { name = "floor", type = "number", range = ">= 0", default = "0", text = "the rate from step `total` on" },
      { name = "warmup", type = "integer", range = ">= 0", default = "0", text = "steps in which the rate rises linearly to its peak" },
    },
    returns = {
      { type = "function", text = "step -> rate" },
    },
  },
  ["d.lr.warmup_cosine"] = {
    signature = "d.lr.warmup_cosine(options)",
    text = "A linear warm-up of `warmup` steps, the first of which has peak/warmup, then half a cosine from peak to floor at step `total`.",
    params = {
      { name = "options", type = "diffusion.lr_warmup_cosine_options" },
    },
    options = {
      { name = "peak", type = "number", range = "> 0", default = "required", text = "the highest rate, at the end of the warm-up" },
      { name = "total", type = "integer", range = ">= 1", default = "required", text = "step at which the rate reaches its floor" },
      { name = "floor", type = "number", range = ">= 0", default = "0", text = "the rate from step `total` on" },
      { name = "warmup", type = "integer", range = ">= 0", default = "0", text = "steps in which the rate rises linearly to its peak" },
    },
    returns = {
      { type = "function", text = "step -> rate" },
    },
    example = "local rate = d.lr.warmup_cosine{ peak = 1e-3, warmup = 100, total = 1000 }\nprint(rate(1), rate(100), rate(1000))",
  },
  ["d.lucidrains"] = {
    signature = "d.lucidrains(options)",
    text = "The UNet of lucidrains' denoising-diffusion-pytorch for images {B, H, W, C}. Options that its constructor doesn't have describe older versions. d.hub.load finds them for a file.",
    family = true,
    params = {
      { name = "options", type = "diffusion.lucidrains_options" },
    },
    options = {
      { name = "image", type = "list of 3 integers", default = "required", text = "{H, W, C} of an image" },
      { name = "attn_dim_head", type = "integer or list of integers", range = ">= 1", default = "32", text = "width of a head; a list has one for each level, and may have one more for the middle" },
      { name = "attn_heads", type = "integer or list of integers", range = ">= 1", default = "4", text = "number of heads of each attention; a list has one for each level, and may have one more for the middle" },
      { name = "attn_norm", type = "\"rms\", \"layer\" or \"layer_bias\"", default = "\"rms\"", text = "norm of the attentions: \"layer\" from 0.26.5 to 1.6, \"layer_bias\" before" },
      { name = "classes", type = "integer", range = ">= 0", default = "0", text = "number of classes; 0 makes an unconditional network" },
      { name = "cosine_attn", type = "number", range = ">= 0", default = "0", text = "factor of the scores if softmax attention has normalised q and k: 16 from 0.26 to 0.27.2, 10 to 0.27.12" },
      { name = "dim", type = "integer", range = ">= 4", default = "64", text = "channels in multiples of which the levels are counted, even" },
      { name = "dim_mults", type = "list of integers", default = "{1, 2, 4, 8}", text = "channels of each level, in multiples of dim" },
      { name = "divide_values", type = "boolean", default = "false", text = "linear attention divides values by the number of pixels, as from 0.26.4 to 1.7.3" },
      { name = "downsample", type = "\"unshuffle\" or \"conv\"", default = "\"unshuffle\"", text = "2x2 pixels and a product, or a convolution of 4x4 as before 0.32" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element inside of a block is set to 0 in training" },
      { name = "full_attn", type = "list of booleans", default = "true for the last level alone", text = "whether each level has softmax attention; others have linear attention" },
      { name = "init_dim", type = "integer", range = ">= 1", default = "dim", text = "channels of the first convolution" },
      { name = "learned_sinusoidal_cond", type = "boolean", default = "false", text = "sines and cosines of time have trained frequencies" },
      { name = "learned_sinusoidal_dim", type = "integer", range = ">= 2", default = "16", text = "number of those sines and cosines, even" },
      { name = "norm", type = "\"rms\" or \"group\"", default = "\"rms\"", text = "norm of the residual blocks: \"group\" before 2.0" },
      { name = "num_mem_kv", type = "integer", range = ">= 0", default = "4", text = "learned keys and values of each attention" },
      { name = "outputs", type = "integer", range = "[1, 2]", default = "1", text = "2 also predicts a variance: the result has twice the channels" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "resnet_block_groups", type = "integer", range = ">= 1", default = "8", text = "groups of the norms, if norm = \"group\"" },
      { name = "self_condition", type = "boolean", default = "false", text = "the network is conditioned on its own x0, option x0 of its call; zeros if absent" },
      { name = "sinusoidal_pos_emb_theta", type = "number", range = "> 0", default = "10000", text = "longest period of time over 2 pi" },
      { name = "standard_conv", type = "boolean", default = "false", text = "convolutions of the blocks have standardised weights, as from 0.27.3 to 1.7.1" },
      { name = "time_offset", type = "number", default = "1", text = "subtracted from t: 1 for timesteps from 0; 0 for log SNR and noise levels" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "print(d.lucidrains{ image = { 8, 8, 1 }, dim = 16, dim_mults = { 1, 2 } })",
  },
  ["d.manual_seed"] = {
    signature = "d.manual_seed(seed)",
    text = "Seeds all draws of this Lua state: tensors, first values, data, samples, dropout and an objective's t and eps. All counters restart. Metrics, likelihoods, estimate_variance and other measures have an option seed = 1 instead, so that two of them agree.",
    params = {
      { name = "seed", type = "integer" },
    },
  },
  ["d.memory"] = {
    signature = "d.memory()",
    text = "The bytes of tensors: live, their peak, kept for reuse (pooled), and the limit (0: none). Also the number of blocks, and how often memory was obtained from the system (fresh). `packs` are the live bytes of packed weights, and `pack_budget` is their limit. Adopted parameters on a mapped file are not counted.",
    returns = {
      { type = "table", text = "memory {live, peak, pooled, limit, blocks, fresh, packs, pack_budget}" },
    },
    example = "print(d.memory())",
  },
  ["d.memory_limit"] = {
    signature = "d.memory_limit(bytes)",
    text = "Sets an upper limit for the memory of tensors. Above it packed weights are dropped first. Then an op collects garbage and retries once, then raises an error. A training step that fails this way can be repeated. Weights are as before the step, and gradients are dropped.",
    params = {
      { name = "bytes", type = "integer", text = "0: no limit" },
    },
  },
  ["d.metric"] = {
    signature = "d.metric",
    text = "Distances between two sets of samples, and other measures of samples. Nothing is downloaded. Each returns a number. With interval = true it also returns a confidence interval, the direction of the value's bias, and a p-value if there is a test.",
  },
  ["d.metric.energy"] = {
    signature = "d.metric.energy(x, y, [options])",
    text = "The energy distance (Szekely & Rizzo 2013, eq. 2.2): 2 E|X-Y| - E|X-X'| - E|Y-Y'|. It is zero only for equal distributions. Pairs of a sample with itself are omitted, so the estimate is unbiased and may be slightly negative.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "samples {n, ...}, n >= 2" },
      { name = "y", type = "diffusion.tensor", text = "samples {m, ...}, m >= 2" },
      { name = "options", type = "diffusion.metric_energy_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "permutations", type = "integer", range = ">= 0", default = "200", text = "permutations of the labels, for p" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
    },
    returns = {
      { type = "number" },
      { type = "diffusion.interval|nil", text = "about with p, the share of permutations that differ as much" },
    },
    example = "print(d.metric.energy(d.randn(500, 2), d.randn(500, 2), { interval = true }))",
  },
  ["d.metric.fashion_accuracy"] = {
    signature = "d.metric.fashion_accuracy(x, class, [options])",
    text = "The fraction of images that d.metric.fashion_network recognises as the class they were sampled for.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {n,28,28,1} in [-1, 1]" },
      { name = "class", type = "diffusion.tensor|integer[]|integer", text = "the intended class of each, 1 to 10" },
      { name = "options", type = "diffusion.metric_fashion_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "over", type = "mpi", default = "none", text = "deals the images out over the ranks of diffusion.mpi" },
    },
    returns = {
      { type = "number" },
      { type = "diffusion.interval|nil", text = "about Wilson's; the network recognises about 92 % of the real test images" },
    },
    example = "print(d.metric.fashion_accuracy(d.rand(4, 28, 28, 1), { 1, 2, 3, 4 }))",
  },
  ["d.metric.fashion_features"] = {
    signature = "d.metric.fashion_features(x, [options])",
    text = "The features that fashion_frechet compares, for any other metric of two sets.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {n,28,28,1} in [-1, 1]" },
      { name = "options", type = "diffusion.metric_fashion_features_options?", optional = true },
    },
    options = {
      { name = "over", type = "mpi", default = "none", text = "deals the images out over the ranks of diffusion.mpi" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{n,64}" },
    },
    example = "local x, y = d.rand(50, 28, 28, 1), d.rand(50, 28, 28, 1)\nprint(d.metric.kid(d.metric.fashion_features(x), d.metric.fashion_features(y)))",
  },
  ["d.metric.fashion_frechet"] = {
    signature = "d.metric.fashion_frechet(x, [y], [options])",
    text = "The Frechet distance of images from Fashion-MNIST's 10,000 test images, or from other images. It is computed in the 64 features of d.metric.fashion_network, so it can't be compared with FID. It is biased upwards for few images: compare equal numbers, or the extrapolated value of `interval`. A part of the test images themselves is nearer than fresh images are.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {n,28,28,1} in [-1, 1]" },
      { name = "y", type = "diffusion.tensor|diffusion.metric_fashion_options|nil", text = "other images {m,28,28,1}, by default the test images' moments; or the options", optional = true },
      { name = "options", type = "diffusion.metric_fashion_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "over", type = "mpi", default = "none", text = "deals the images out over the ranks of diffusion.mpi" },
    },
    returns = {
      { type = "number" },
      { type = "diffusion.interval|nil", text = "about with bias and extrapolated" },
    },
    example = "print(d.metric.fashion_frechet(d.rand(100, 28, 28, 1), { interval = true }))",
  },
  ["d.metric.fashion_network"] = {
    signature = "d.metric.fashion_network([options])",
    text = "A classifier of Fashion-MNIST with 261,866 parameters. network(x) returns logits {n,10} and features {n,64} of images {n,28,28,1} in [-1, 1].",
    params = {
      { name = "options", type = "diffusion.metric_fashion_network_options?", optional = true },
    },
    options = {
      { name = "trained", type = "boolean", default = "true", text = "parameters as examples/08_features.lua trained them; false: first values" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local network = d.metric.fashion_network()\nlocal logits, features = network(d.zeros(2, 28, 28, 1))\nprint(logits:argmax(2), features:shape())",
  },
  ["d.metric.frechet"] = {
    signature = "d.metric.frechet(x, y, [options])",
    text = "The Frechet distance between the Gaussians that fit two sets of features (Heusel et al. 2017, eq. 6; Dowson & Landau 1982): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It is computed in double, from any number of samples from 2 on. A covariance that isn't positive semidefinite is an error. The value is biased upwards. If both are alike the bias is about D^2/4 (1/n + 1/m) times the features' variance. So compare only equal numbers of samples, or extrapolated values. The interval is around the value for infinitely many samples, estimated from halves of the sets (Chong & Forsyth 2020). So it may not contain the value itself. Halves of fewer than 4 D samples don't determine it; the interval then reaches from 0 to above the value. Given moments count as exact. It takes three times as long.",
    params = {
      { name = "x", type = "diffusion.tensor|table", text = "features {n, D}, or their moments {mean = {D}, cov = {D,D}, n =}" },
      { name = "y", type = "diffusion.tensor|table", text = "features {m, D}, or their moments" },
      { name = "options", type = "diffusion.metric_frechet_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
    },
    returns = {
      { type = "number" },
      { type = "diffusion.interval|nil", text = "about with bias, its estimate, and extrapolated, the value minus the bias" },
    },
    example = "local value, about = d.metric.frechet(d.randn(500, 4), d.randn(500, 4) + 1, { interval = true })\nprint(value, about.extrapolated, about)",
  },
  ["d.metric.kid"] = {
    signature = "d.metric.kid(x, y, [options])",
    text = "The kernel inception distance (Bińkowski et al. 2018, eq. 4), on any features: the squared maximum mean discrepancy of the kernel (x.y/D + 1)^3. It is unbiased for any number of samples, and may be negative. The kernel isn't invariant: features farther from 0 have larger values.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "features {n, D}, n >= 2" },
      { name = "y", type = "diffusion.tensor", text = "features {m, D}, m >= 2" },
      { name = "options", type = "diffusion.metric_kid_options?", optional = true },
    },
    options = {
      { name = "block", type = "integer", range = ">= 4", default = "none", text = "pairs within blocks of so many samples only, as is usual (1,000); the interval is from their spread" },
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "permutations", type = "integer", range = ">= 0", default = "0", text = "permutations of the labels, for p; not with blocks" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
    },
    returns = {
      { type = "number" },
      { type = "diffusion.interval|nil", text = "about" },
    },
    example = "print(d.metric.kid(d.randn(300, 8), d.randn(300, 8) + 0.5, { interval = true }))",
  },
  ["d.metric.memorisation"] = {
    signature = "d.metric.memorisation(x, train, held, [options])",
    text = "The fraction of samples that are unusually near to the training set. Unusually means nearer than all but a small share of fresh data. On average the result is that share if nothing was memorised. It is 1 if all samples are copies. The fresh data must have no copies of the training set, and at least 100 samples. The interval has a useful lower end from 3 / share fresh samples on. Exact copies need fewer.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "samples {n, ...}" },
      { name = "train", type = "diffusion.tensor", text = "the model's training set {N, ...}, N >= 2" },
      { name = "held", type = "diffusion.tensor", text = "fresh data {m, ...}, m >= 1 / share" },
      { name = "options", type = "diffusion.metric_memorisation_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "ratio", type = "number", range = "(0, 1]", default = "0.33333333333333", text = "a sample is alone if its nearest is at most this times as far as its second" },
      { name = "share", type = "number", range = "(0, 1)", default = "0.01", text = "share of the fresh data that is nearer to the training set than `distance`" },
    },
    returns = {
      { type = "number", text = "share of x" },
      { type = "diffusion.interval|nil", text = "about with the interval; distance, the threshold; nearer, the probability that a sample is nearer than a fresh one (1/2 expected), with p (Meehan et al. 2020); alone and alone_held, the fractions of samples and of fresh data whose nearest is at most `ratio` times as far as their second (Yoon et al. 2023)" },
    },
    example = "local train, held = d.randn(500, 2), d.randn(500, 2)\nprint(d.metric.memorisation(train:narrow(1, 1, 100) + 0.001, train, held, { interval = true }))",
  },
  ["d.metric.mmd"] = {
    signature = "d.metric.mmd(x, y, [options])",
    text = "The squared maximum mean discrepancy (Gretton et al. 2012, eq. 3): E k(X,X') + E k(Y,Y') - 2 E k(X,Y) with k = exp(-|x-y|^2 / 2 h^2), averaged over several h. It is zero only for equal distributions. Pairs of a sample with itself are omitted, so the estimate is unbiased and may be slightly negative. Values compare only at the same bandwidth.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "samples {n, ...}, n >= 2" },
      { name = "y", type = "diffusion.tensor", text = "samples {m, ...}, m >= 2" },
      { name = "options", type = "diffusion.metric_mmd_options?", optional = true },
    },
    options = {
      { name = "bandwidth", type = "number or list of numbers", default = "median distance between samples of both sets", text = "h, or a list of several" },
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "permutations", type = "integer", range = ">= 0", default = "200", text = "permutations of the labels, for p" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
    },
    returns = {
      { type = "number" },
      { type = "diffusion.interval|nil", text = "about with p, and the bandwidths that were used" },
    },
    example = "print(d.metric.mmd(d.randn(500, 2), d.randn(500, 2), { bandwidth = { 0.5, 1, 2 } }))",
  },
  ["d.metric.mode_coverage"] = {
    signature = "d.metric.mode_coverage(x, modes, [options])",
    text = "The modes that samples cover: the fraction of modes with a sample near them, and the fraction of samples near a mode. Near is within so many deviations along each axis of the covariance. kl is the divergence KL(shares || weights) of the modes' shares from the true weights, in nats, biased upwards by about (K - 1)/2n. In two dimensions, 98.9 % of a Gaussian lie within 3 deviations; in more, fewer.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "samples {n, ...}" },
      { name = "modes", type = "diffusion.tensor|diffusion.oracle", text = "centres {K,D}, or a mixture or Gaussian of d.oracle" },
      { name = "options", type = "diffusion.metric_mode_coverage_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "least", type = "integer", range = ">= 1", default = "1", text = "samples that make a mode covered" },
      { name = "std", type = "number", range = "> 0", default = "that of the oracle", text = "standard deviation of modes given as centres" },
      { name = "weights", type = "list of numbers or tensor", default = "equal", text = "weights of modes given as centres" },
      { name = "within", type = "number", range = "> 0", default = "3", text = "deviations within which a sample is near a mode" },
    },
    returns = {
      { type = "{covered: number, near: number, kl: number, counts: number[]}", text = "kl is inf if no sample is near a mode" },
      { type = "table|nil", text = "about intervals of covered, near and kl by name; covered.unseen is the share that an unseen mode may have, at 95 %" },
    },
    example = "local oracle = d.oracle.mixture{ means = { { -1, 0 }, { 1, 0 }, { 0, 2 } }, std = 0.2 }\nd.pp(d.metric.mode_coverage(oracle:sample(500, { seed = 1 }), oracle))",
  },
  ["d.metric.precision_recall"] = {
    signature = "d.metric.precision_recall(x, y, [options])",
    text = "Precision, the fraction of samples that are like data, and recall, the fraction of data that samples are like (Kynkäänniemi et al. 2019), on any features. Around each sample a ball reaches to its k-th neighbour in its own set. Precision is the fraction of x in a ball of y, and recall that of y in a ball of x. density is the number of balls of y around a sample of x, divided by k. coverage is the fraction of y with one of x in their ball. Outliers change these two less (Naeem et al. 2020). All depend on n and m: compare equal numbers.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "samples {n, ...}, n > k" },
      { name = "y", type = "diffusion.tensor", text = "data {m, ...}, m > k" },
      { name = "options", type = "diffusion.metric_precision_recall_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "k", type = "integer", range = ">= 1", default = "3", text = "a ball reaches to the k-th neighbour" },
    },
    returns = {
      { type = "{precision: number, recall: number, density: number, coverage: number}" },
      { type = "table|nil", text = "about an interval of each by name, with the other set's balls held fixed" },
    },
    example = "print(d.metric.precision_recall(d.randn(500, 2) * 0.5, d.randn(500, 2)).recall)",
  },
  ["d.metric.sliced_wasserstein"] = {
    signature = "d.metric.sliced_wasserstein(x, y, [options])",
    text = "The sliced Wasserstein-p distance (Bonneel et al. 2015) is (E W_p(u.X, u.Y)^p)^(1/p) over directions u of length 1. Each W_p is exact. It is biased upwards like wasserstein1. Few lines add no bias to its p-th power. An interval needs n and m of 2 or more. It goes down to 0 if random labels often cost as much (p > 0.025).",
    params = {
      { name = "x", type = "diffusion.tensor", text = "samples {n, ...}" },
      { name = "y", type = "diffusion.tensor", text = "samples {m, ...}" },
      { name = "options", type = "diffusion.metric_sliced_wasserstein_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "p", type = "number", range = "[1, 8]", default = "1", text = "power of the distance" },
      { name = "permutations", type = "integer", range = ">= 0", default = "39", text = "permutations of the labels, for p; with 0 the interval holds only for distributions that differ" },
      { name = "projections", type = "integer", range = ">= 1", default = "100", text = "number of directions" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
    },
    returns = {
      { type = "number" },
      { type = "diffusion.interval|nil", text = "about with p, the share of permutations that differ as much" },
    },
    example = "print(d.metric.sliced_wasserstein(d.randn(500, 3), d.randn(400, 3) + 1, { p = 2, interval = true }))",
  },
  ["d.metric.two_sample"] = {
    signature = "d.metric.two_sample(x, y, [options])",
    text = "The classifier two-sample test (Lopez-Paz & Oquab 2017). A small network is trained on half of both sets. The value is its accuracy in telling which set a sample of the other halves is from. It is 0.5 if both distributions are equal. It is at most 1/2 plus half their total variation, and biased downwards from that, as the network is small and trained on few samples. The larger set is cut to the size of the smaller. The same seed gives the same bits. d.manual_seed's counters are restored.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "samples {n, ...}, n >= 20" },
      { name = "y", type = "diffusion.tensor", text = "samples {m, ...}, m >= 20" },
      { name = "options", type = "diffusion.metric_two_sample_options?", optional = true },
    },
    options = {
      { name = "hidden", type = "integer", range = ">= 1", default = "64", text = "units of each of the classifier's two layers" },
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
      { name = "steps", type = "integer", range = ">= 1", default = "400", text = "training steps of 128 samples" },
    },
    returns = {
      { type = "number", text = "accuracy" },
      { type = "diffusion.interval|nil", text = "about with p, the exact probability of this accuracy at even odds" },
    },
    example = "print(d.metric.two_sample(d.randn(200, 2), d.randn(200, 2) + 1, { steps = 50, interval = true }))",
  },
  ["d.metric.wasserstein1"] = {
    signature = "d.metric.wasserstein1(x, y, [options])",
    text = "The Wasserstein-1 distance of two sets of numbers, exact: the area between their empirical distribution functions. As an estimate of the distance between the distributions it is biased upwards, by about n^(-1/2) of their spread if both are equal. The interval is that of del Barrio & Loubes (2019). It goes down to 0 if random labels often cost as much (p > 0.025).",
    params = {
      { name = "x", type = "diffusion.tensor", text = "samples {n} or {n, 1}" },
      { name = "y", type = "diffusion.tensor", text = "samples {m} or {m, 1}" },
      { name = "options", type = "diffusion.metric_wasserstein1_options?", optional = true },
    },
    options = {
      { name = "interval", type = "boolean", default = "false", text = "a second result: the 95 % interval, and which way the value errs" },
      { name = "permutations", type = "integer", range = ">= 0", default = "99", text = "permutations of the labels, for p; with 0 the interval holds only for distributions that differ" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
    },
    returns = {
      { type = "number" },
      { type = "diffusion.interval|nil", text = "about with p, the share of permutations that differ as much" },
    },
    example = "print(d.metric.wasserstein1(d.randn(500), d.randn(300) + 1, { interval = true }))",
  },
  ["d.mix"] = {
    signature = "d.mix(c1, x1, ...)",
    text = "c1 x1 + c2 x2 + ... in one pass. Noising, posteriors, guidance and sampler updates use it.",
    params = {
      { name = "c1", type = "number|number[]|diffusion.tensor", text = "one number, or one per sample {B}; computed in double" },
      { name = "x1", type = "diffusion.tensor", text = "{B,...}" },
      { name = "...", type = "any", text = "more pairs, at most 16 in all; each x has the same shape" },
    },
    returns = {
      { type = "diffusion.tensor", text = "like x1" },
    },
    example = "print(d.mix(0.6, d.ones(2, 2), 0.8, d.randn(2, 2)))",
  },
  ["d.mlp"] = {
    signature = "d.mlp([options])",
    text = "A denoiser for points {B, dim}: residual blocks of two products, conditioned on the time by an embedding.",
    family = true,
    params = {
      { name = "options", type = "diffusion.mlp_options?", optional = true },
    },
    options = {
      { name = "classes", type = "integer", range = ">= 0", default = "0", text = "number of classes; 0 makes an unconditional network" },
      { name = "depth", type = "integer", range = ">= 1", default = "4", text = "number of residual blocks" },
      { name = "dim", type = "integer", range = ">= 1", default = "2", text = "dimensions of a point" },
      { name = "hidden", type = "integer", range = ">= 2", default = "128", text = "width of the blocks, even" },
      { name = "outputs", type = "integer", range = "[1, 2]", default = "1", text = "2 also predicts a variance: the result has twice the channels" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "self_condition", type = "boolean", default = "false", text = "the network is conditioned on its own x0, option x0 of its call; zeros if absent" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local model = d.mlp{ dim = 2, hidden = 64, depth = 2 }\nprint(model(d.randn(8, 2), 500))",
  },
  ["d.mse"] = {
    signature = "d.mse(a, b, [over])",
    text = "The mean of (a - b)^2.",
    params = {
      { name = "a", type = "diffusion.tensor" },
      { name = "b", type = "diffusion.tensor", text = "the same shape" },
      { name = "over", type = "string", text = "\"sample\" for one mean per sample (the first dimension)", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "a number, or {B}" },
    },
  },
  ["d.network"] = {
    signature = "d.network(options)",
    text = "Your own network, written as a list of layers that the core runs. The model saves, loads and runs like a built-in one. The file stores the list. Values in `adopt`, as for nn.model, may be a part of the parameters: then a new head trains on a frozen network.",
    params = {
      { name = "options", type = "diffusion.network_options" },
    },
    options = {
      { name = "build", type = "function", default = "required", text = "function (net, options) that adds the layers and returns the network's result" },
      { name = "inputs", type = "list of strings or tables", default = "required", text = "names, or tables as {\"context\", shape = {\"B\", 4}, optional = true, whole = true}; x comes first" },
      { name = "adopt", type = "table of tensors by name", default = "none", text = "tensors by parameter name; they are used as they are, frozen, and not copied" },
      { name = "name", type = "string", default = "\"network\"", text = "the network's name in print(model)" },
      { name = "options", type = "any", default = "none", text = "the second argument of build" },
    },
    returns = {
      { type = "diffusion.model", text = "model called as model(x, t, {context=, ...})" },
    },
    example = "local model = d.network{ inputs = { { \"x\", shape = { \"B\", 2 } }, \"t\", { \"context\", shape = { \"B\", 3 } } },\n  build = function(net)\n    local e = net:time_embed(\"time\", net.t, { inp = 16, out = 32 })\n    local h = net:add{ net:linear(\"inp\", net.x, { out = 32 }), net:linear(\"context\", net.context, { out = 32 }) }\n    h = net:linear(\"mid\", net:silu(net:add{ h, e }), { out = 32 })\n    return net:linear(\"out\", net:silu(h), { out = 2 })\n  end }\nprint(model(d.randn(4, 2), 500, { context = d.randn(4, 3) }))",
  },
  ["d.nn"] = {
    signature = "d.nn",
    text = "nn: layers, your own modules, and models that pack them.",
  },
  ["d.nn.attention"] = {
    signature = "d.nn.attention(width, [options])",
    text = "Multi-head self-attention over tokens {B, N, width} or pixels {B, H, W, width}. It has no residual connection: write x + attention(norm(x)).",
    params = {
      { name = "width", type = "integer" },
      { name = "options", type = "diffusion.nn_attention_options?", optional = true },
    },
    options = {
      { name = "bias", type = "boolean", default = "true", text = "the last product has a bias" },
      { name = "causal", type = "boolean", default = "false", text = "token i attends to tokens 1 .. i" },
      { name = "context", type = "integer", range = ">= 1", default = "width of the context", text = "width of the context that keys and values are computed from" },
      { name = "fused", type = "boolean", default = "true without a context", text = "q, k and v have one weight" },
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads, which divides the width" },
      { name = "init", type = "\"usual\" or \"zero\"", default = "\"usual\"", text = "\"usual\" draws first values uniformly within 1/sqrt(fan in), \"zero\" starts at 0" },
      { name = "inner", type = "integer", range = ">= 1", default = "width of the input", text = "width of q, k and v, which the heads divide" },
      { name = "qkv_bias", type = "boolean", default = "true", text = "q, k and v have a bias" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, parts qkv and out" },
    },
  },
  ["d.nn.conv"] = {
    signature = "d.nn.conv(inp, out, [options])",
    text = "Cross-correlation over images: {B, H, W, inp} -> {B, H', W', out}.",
    params = {
      { name = "inp", type = "integer", text = "channels in" },
      { name = "out", type = "integer", text = "channels out" },
      { name = "options", type = "diffusion.nn_conv_options?", optional = true },
    },
    options = {
      { name = "bias", type = "boolean", default = "true", text = "adds a vector of `out` numbers" },
      { name = "init", type = "\"usual\" or \"zero\"", default = "\"usual\"", text = "\"usual\" draws first values uniformly within 1/sqrt(fan in), \"zero\" starts at 0" },
      { name = "kernel", type = "integer", range = ">= 1", default = "3", text = "height and width of the kernel" },
      { name = "pad", type = "integer or list of 4 integers", range = ">= 0", default = "kernel // 2", text = "zeros around the input: one number or {top, bottom, left, right}" },
      { name = "standard", type = "boolean", default = "false", text = "the weights of each output have mean 0 and variance 1 (Qiao et al. 2019)" },
      { name = "stride", type = "integer", range = ">= 1", default = "1", text = "step between two places of the kernel" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, fields weight {out, kernel, kernel, inp}, bias {out}" },
    },
  },
  ["d.nn.downsample"] = {
    signature = "d.nn.downsample(inp, [out], [options])",
    text = "A 3x3 convolution of stride 2: {B, H, W, inp} -> {B, H/2, W/2, out}.",
    params = {
      { name = "inp", type = "integer", text = "channels in" },
      { name = "out", type = "integer|nil", text = "channels out, inp if nil", optional = true },
      { name = "options", type = "diffusion.nn_downsample_options?", optional = true },
    },
    options = {
      { name = "pad", type = "integer or list of 4 integers", range = ">= 0", default = "1", text = "zeros around the input: one number or {top, bottom, left, right}; DDPM has {0, 1, 0, 1}" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, part conv" },
    },
  },
  ["d.nn.dropout"] = {
    signature = "d.nn.dropout([probability])",
    text = "Dropout (Srivastava et al. 2014). It acts only in d.record, and not after model:eval().",
    params = {
      { name = "probability", type = "number?", text = "probability that an element is set to 0, in [0, 1); 0.5 if nil", optional = true },
    },
    returns = {
      { type = "diffusion.layer" },
    },
  },
  ["d.nn.embedding"] = {
    signature = "d.nn.embedding(n, width, [options])",
    text = "A table of n rows. It maps whole numbers 1..n (0: zeros) of any shape to that shape with width added.",
    params = {
      { name = "n", type = "integer", text = "rows" },
      { name = "width", type = "integer" },
      { name = "options", type = "diffusion.nn_embedding_options?", optional = true },
    },
    options = {
      { name = "within", type = "number", range = ">= 0", default = "0", text = "first values are uniform within it; 0: standard normal" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, field weight {n, width}" },
    },
  },
  ["d.nn.gelu"] = {
    signature = "d.nn.gelu",
    text = "x Phi(x), with Phi the normal distribution function. This is a layer: nn.sequence(a, nn.gelu, b).",
  },
  ["d.nn.group_norm"] = {
    signature = "d.nn.group_norm(channels, [options])",
    text = "Group normalisation (Wu & He 2018) of {B, ..., channels}. It is called as layer(x [, e [, m]]); see nn.norm_conv.",
    params = {
      { name = "channels", type = "integer" },
      { name = "options", type = "diffusion.nn_group_norm_options?", optional = true },
    },
    options = {
      { name = "act", type = "\"none\", \"silu\", \"relu\", \"gelu\", \"mish\" or \"tanh\"", default = "\"none\"", text = "activation after the norm" },
      { name = "affine", type = "boolean", default = "true", text = "has weight and bias" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "groups", type = "integer", range = ">= 1", default = "largest divisor <= 32 of the channels that leaves 4 each", text = "groups of channels of the norm" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, fields weight, bias {channels}" },
    },
  },
  ["d.nn.guest"] = {
    signature = "d.nn.guest(forward, backward)",
    text = "A custom op. `forward(...)` returns a tensor, and optionally any value that `backward` needs. `backward(dy, kept, ...)` gets the gradient of the result, that value, and the arguments. It returns a gradient or nil for each argument, and may write to dy. The value and the arguments must not be changed between the two calls.",
    params = {
      { name = "forward", type = "function" },
      { name = "backward", type = "function" },
    },
    returns = {
      { type = "function" },
    },
  },
  ["d.nn.layer_norm"] = {
    signature = "d.nn.layer_norm(width, [options])",
    text = "Layer normalisation (Ba et al. 2016) over the last dimension.",
    params = {
      { name = "width", type = "integer" },
      { name = "options", type = "diffusion.nn_layer_norm_options?", optional = true },
    },
    options = {
      { name = "affine", type = "boolean", default = "true", text = "has weight and bias" },
      { name = "bias", type = "boolean", default = "true", text = "adds a vector of `inp` numbers, if affine" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, fields weight, bias {width}" },
    },
  },
  ["d.nn.linear"] = {
    signature = "d.nn.linear(inp, out, [options])",
    text = "y = x w^T + b over the last dimension: ..., inp -> ..., out.",
    params = {
      { name = "inp", type = "integer" },
      { name = "out", type = "integer" },
      { name = "options", type = "diffusion.nn_linear_options?", optional = true },
    },
    options = {
      { name = "bias", type = "boolean", default = "true", text = "adds a vector of `out` numbers" },
      { name = "init", type = "\"usual\" or \"zero\"", default = "\"usual\"", text = "\"usual\" draws first values uniformly within 1/sqrt(fan in), \"zero\" starts at 0" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, fields weight {out, inp}, bias {out}" },
    },
  },
  ["d.nn.list"] = {
    signature = "d.nn.list(n, make)",
    text = "A module of n parts made by `make(i)`, read as list[i]. Their names are numbers.",
    params = {
      { name = "n", type = "integer" },
      { name = "make", type = "function", text = "(i) -> layer or module" },
    },
    returns = {
      { type = "table", text = "module" },
    },
  },
  ["d.nn.lora"] = {
    signature = "d.nn.lora(of, [options])",
    text = "Low-rank adapters (Hu et al. 2021, eq. 3) on a model's linear layers and convolutions: a layer's result becomes W x + (alpha / rank) B A x. A is drawn and B begins at 0, so the model's output is unchanged at first. The model is frozen, and only the adapters train. Attention that has one weight for q, k and v gets adapters for each: \"mid.attention.attention.q\". Those of a k x k convolution are a k x k convolution to `rank` channels and a 1 x 1 convolution. The model may be of any origin, and weights of a mapped file stay there. A model can have several. With `load`, the layers, ranks and values are those of a file, of diffusers, peft, kohya's scripts or Lora:save.",
    params = {
      { name = "of", type = "diffusion.model" },
      { name = "options", type = "diffusion.nn_lora_options?", optional = true },
    },
    options = {
      { name = "alpha", type = "number or function", range = "> 0", default = "the rank", text = "B A is multiplied by alpha / rank; a number, or a function of the layer's path" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element of x is set to 0 before A, in training" },
      { name = "init", type = "\"usual\" or \"gaussian\"", default = "\"usual\"", text = "first values of A: \"usual\" as those of its layer, \"gaussian\" of standard deviation 1 / rank; B is 0" },
      { name = "load", type = "path", default = "none", text = "file of adapters, or a folder with pytorch_lora_weights.safetensors" },
      { name = "on", type = "string or list of strings", default = "all", text = "Lua pattern of the paths of linear layers and convolutions, here or in diffusers, or a list of them" },
      { name = "part", type = "string", default = "by the network", text = "part of a pipeline of which `load` takes the adapters: unet, text_encoder, text_encoder_2" },
      { name = "rank", type = "integer or function", range = ">= 1", default = "4", text = "inner width of each adapter, or a function of the layer's path" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "diffusion.lora|nil", text = "lora nil with a message if the file in `load` doesn't fit" },
      { type = "string|nil", text = "message" },
    },
    example = "local model = d.unet{ image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 } }\nlocal lora = d.nn.lora(model, { rank = 2, on = { \"attention%.[qkv]$\", \"attention%.out$\" } })\nlocal opt = d.adamw(lora, { lr = 1e-3 })\nprint(lora)",
  },
  ["d.nn.model"] = {
    signature = "d.nn.model(root, [options])",
    text = "A model of a layer or a module: names its parameters and gives each its first value, drawn from the seed (d.manual_seed) and its name. A shared layer appears once, under its first path. Values in `adopt` are neither drawn nor copied: f32, f16 or bf16 of any strides, such as windows on a file. They are frozen. model:unfreeze copies them to f32 first.",
    params = {
      { name = "root", type = "any", text = "a layer or a module" },
      { name = "options", type = "diffusion.nn_model_options?", optional = true },
    },
    options = {
      { name = "adopt", type = "table of tensors by name", default = "none", text = "tensors by parameter name; they are used as they are, frozen, and not copied" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local nn = d.nn\nlocal half = d.randn(4, 2):to \"f16\"\nlocal net = nn.model(nn.sequence(nn.linear(2, 4), nn.linear(4, 1)), { adopt = { [\"1.weight\"] = half } })\nprint(net:count())",
  },
  ["d.nn.module"] = {
    signature = "d.nn.module(name, builder)",
    text = "Defines a module. The builder fills it with layers, modules and a `forward`. Fields that are layers or modules are its parts.",
    params = {
      { name = "name", type = "string", text = "shown when a model is printed" },
      { name = "builder", type = "function", text = "(m, ...) fills m; returns nothing" },
    },
    returns = {
      { type = "function", text = "constructor (...) -> module" },
    },
    example = "local nn = d.nn\nlocal Twice = nn.module(\"twice\", function(m, width)\n  m.inner = nn.linear(width, width)\n  function m:forward(x) return self.inner(self.inner(x)):silu() end\nend)\nprint(nn.model(Twice(4)))",
  },
  ["d.nn.norm_conv"] = {
    signature = "d.nn.norm_conv(inp, out, [options])",
    text = "conv(dropout(silu(group_norm(x)))) in one layer: the norm writes the convolution's operand directly. It is called as layer(x [, add [, e [, m]]]). add is added to the result, and e {B, inp} to each pixel of x before the norm. m {B, 2 inp} is a scale s and a shift t: norm (1 + s) + t.",
    params = {
      { name = "inp", type = "integer", text = "channels in" },
      { name = "out", type = "integer", text = "channels out" },
      { name = "options", type = "diffusion.nn_norm_conv_options?", optional = true },
    },
    options = {
      { name = "act", type = "\"none\", \"silu\", \"relu\", \"gelu\", \"mish\" or \"tanh\"", default = "\"silu\"", text = "activation after the norm" },
      { name = "affine", type = "boolean", default = "true", text = "has weight and bias" },
      { name = "bias", type = "boolean", default = "true", text = "adds a vector of `out` numbers" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element is set to 0 in training" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "groups", type = "integer", range = ">= 1", default = "largest divisor <= 32 of the channels that leaves 4 each", text = "groups of channels of the norm" },
      { name = "init", type = "\"usual\" or \"zero\"", default = "\"usual\"", text = "\"usual\" draws first values uniformly within 1/sqrt(fan in), \"zero\" starts at 0" },
      { name = "kernel", type = "integer", range = ">= 1", default = "3", text = "height and width of the kernel" },
      { name = "pad", type = "integer or list of 4 integers", range = ">= 0", default = "kernel // 2", text = "zeros around the input: one number or {top, bottom, left, right}" },
      { name = "stride", type = "integer", range = ">= 1", default = "1", text = "step between two places of the kernel" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, parts norm and conv" },
    },
  },
  ["d.nn.parameter"] = {
    signature = "d.nn.parameter(tensor)",
    text = "A single parameter that begins as a copy of `tensor`. As a module's field it reads as the trained tensor.",
    params = {
      { name = "tensor", type = "diffusion.tensor" },
    },
    returns = {
      { type = "diffusion.layer" },
    },
  },
  ["d.nn.recompute"] = {
    signature = "d.nn.recompute(part)",
    text = "A layer or module whose intermediate values are recomputed in the backward pass instead of being saved. A model or a function of tensors can be given too.",
    params = {
      { name = "part", type = "any" },
    },
    returns = {
      { type = "any", text = "module with the one part, or a function" },
    },
  },
  ["d.nn.res_block"] = {
    signature = "d.nn.res_block(inp, out, [options])",
    text = "The residual block of Ho et al. 2020. It is norm_conv, plus linear(e) of an embedding, then norm_conv with dropout, which starts at zero, plus x. x goes through a 1x1 convolution if the channels differ. It is called as block(x, e): x {B, H, W, inp}, e {B, embed}, activated.",
    params = {
      { name = "inp", type = "integer", text = "channels in" },
      { name = "out", type = "integer", text = "channels out" },
      { name = "options", type = "diffusion.nn_res_block_options?", optional = true },
    },
    options = {
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element is set to 0 in training" },
      { name = "embed", type = "integer", range = ">= 1", default = "width of the embedding", text = "width of the embedding that the block adds" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "groups", type = "integer", range = ">= 1", default = "largest divisor <= 32 of the channels that leaves 4 each", text = "groups of channels of the norm" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, parts one, two, embed, skip" },
    },
  },
  ["d.nn.sequence"] = {
    signature = "d.nn.sequence(...)",
    text = "A module that calls its parts in order. Parts may be plain functions. Intermediate results are freed at the end of the call.",
    params = {
      { name = "...", type = "any", text = "layers, modules or functions of one tensor" },
    },
    returns = {
      { type = "table", text = "module" },
    },
    example = "local nn = d.nn\nlocal net = nn.model(nn.sequence(nn.linear(2, 8), nn.silu, nn.linear(8, 1)))\nprint(net(d.randn(3, 2)))",
  },
  ["d.nn.silu"] = {
    signature = "d.nn.silu",
    text = "x / (1 + e^-x). This is a layer, not a constructor: nn.sequence(a, nn.silu, b).",
  },
  ["d.nn.sinusoid"] = {
    signature = "d.nn.sinusoid(width, [options])",
    text = "cos and sin of t times width/2 frequencies: t {B} -> {B, width}. The last number of an odd width is 0.",
    params = {
      { name = "width", type = "integer" },
      { name = "options", type = "diffusion.nn_sinusoid_options?", optional = true },
    },
    options = {
      { name = "max_period", type = "number", range = "> 0", default = "10000", text = "the longest period over 2 pi" },
      { name = "offset", type = "number", default = "0", text = "subtracted from t first" },
      { name = "order", type = "\"cos_sin\" or \"sin_cos\"", default = "\"cos_sin\"", text = "which half comes first" },
      { name = "shift", type = "number", default = "0", text = "s of the frequencies max_period^(-k / (width/2 - s)): 0 in ADM, 1 in DDPM" },
      { name = "single", type = "boolean", default = "false", text = "frequencies and angles are rounded to f32, as in PyTorch" },
    },
    returns = {
      { type = "diffusion.layer" },
    },
  },
  ["d.nn.time_embed"] = {
    signature = "d.nn.time_embed(inp, width, [options])",
    text = "Time (and class) as a vector for residual blocks: silu(linear(silu(linear(sinusoid(t)))) + class row). It is called as embed(t, class).",
    params = {
      { name = "inp", type = "integer", text = "width of the sinusoid" },
      { name = "width", type = "integer", text = "width of the result" },
      { name = "options", type = "diffusion.nn_time_embed_options?", optional = true },
    },
    options = {
      { name = "classes", type = "integer", range = ">= 0", default = "0", text = "number of classes; 0 for none" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, parts sinusoid, one, two, class" },
    },
  },
  ["d.nn.upsample"] = {
    signature = "d.nn.upsample(inp, [out], [options])",
    text = "Nearest-neighbour upsampling, then a 3x3 convolution: {B, H, W, inp} -> {B, times H, times W, out}.",
    params = {
      { name = "inp", type = "integer", text = "channels in" },
      { name = "out", type = "integer|nil", text = "channels out, inp if nil", optional = true },
      { name = "options", type = "diffusion.nn_upsample_options?", optional = true },
    },
    options = {
      { name = "times", type = "integer", range = ">= 1", default = "2", text = "factor of height and width" },
    },
    returns = {
      { type = "diffusion.layer", text = "layer, part conv" },
    },
  },
  ["d.no_grad"] = {
    signature = "d.no_grad(fn, ...)",
    text = "Runs `fn` with nothing recorded. As with d.record, a coroutine that yields within `fn` must be resumed, or closed, before others compute.",
    params = {
      { name = "fn", type = "function" },
      { name = "...", type = "any", text = "its arguments" },
    },
    returns = {
      { type = "any", text = "... what fn returns" },
    },
  },
  ["d.objective"] = {
    signature = "d.objective(options)",
    text = "A loss for `d.record`. t and eps are drawn, and the error of the model's prediction at x_t is weighted. Weights apply to the squared error of x0 and are converted to the prediction target. Conditional flow matching and rectified flow are predict = \"flow\" on d.schedule.flow with weighting = \"uniform\": the plain error of eps - x0 at x_t = (1 - t/T) x0 + t/T eps. The default weighting counts eps the same at every t. With \"vlb\", T times the loss is the sum of the bound's L_t.",
    params = {
      { name = "options", type = "diffusion.objective_options" },
    },
    options = {
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "decoder", type = "\"erf\", \"tanh\" or \"gaussian\"", default = "\"erf\"", text = "last term of the bound: levels by erf, or by its approximation tanh as in published figures; or a density" },
      { name = "drop_class", type = "number", range = "[0, 1]", default = "0", text = "share of classes that are hidden, for guidance" },
      { name = "error", type = "string or table", default = "\"mse\"", text = "measure of the error: a name or {name, option = ...}" },
      { name = "offset_noise", type = "number", range = ">= 0", default = "0", text = "standard deviation of noise that a whole channel shares" },
      { name = "precondition", type = "\"edm\", \"vp\", \"ve\" or \"iddpm\"", default = "none", text = "the model is a raw network, scaled by d.precondition" },
      { name = "self_condition", type = "number", range = "[0, 1]", default = "0", text = "share of batches in which the model is conditioned on its own x0" },
      { name = "times", type = "string, table or function", default = "\"uniform\"", text = "distribution of t: a name, {name, option = ...}, or a function (B) -> t {B}" },
      { name = "vlb", type = "number", range = ">= 0", default = "0.001 for a learned variance, else 0", text = "weight of the variational bound (Nichol & Dhariwal 2021, eq. 16), in nats a dimension" },
      { name = "weighting", type = "string, table or function", default = "\"simple\"", text = "weight on the squared error of x0: a name, {name, option = ...}, or a function of SNR" },
    },
    returns = {
      { type = "diffusion.objective", text = "objective (model, x0, {class=, eps=}) -> loss (one number), {t, eps, xt, per_sample}: t {B}, eps and xt as x0, per_sample {B} weighted" },
    },
    example = "local process = d.process{ schedule = d.schedule.cosine{}, predict = \"v\" }\nlocal loss_of = d.objective{ process = process, weighting = { \"min_snr\", gamma = 5 } }\nlocal loss, seen = d.record(loss_of, d.mlp{ hidden = 16, depth = 1 }, d.randn(8, 2))\nprint(loss:item(), seen.t, loss_of:explain(500))",
  },
  ["d.ones"] = {
    signature = "d.ones(shape, [opts])",
    text = "A tensor filled with ones.",
    params = {
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list of them" },
      { name = "opts", type = "diffusion.dtype_options", optional = true },
    },
    options = {
      { name = "dtype", type = "\"f32\", \"f64\", \"f16\", \"bf16\", \"i64\" or \"u8\"", default = "\"f32\", in the verification build \"f64\"", text = "type of the numbers" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["d.oracle"] = {
    signature = "d.oracle",
    text = "Distributions whose best denoiser E[x0 | xt] is known exactly. They replace a trained network, so that a sampler's result, a loss or a likelihood can be compared with the truth. Each draws samples, gives ln p of the data with and without noise, its entropy, and the denoiser of a process.",
  },
  ["d.oracle.box"] = {
    signature = "d.oracle.box(options)",
    text = "The uniform distribution on a box.",
    params = {
      { name = "options", type = "diffusion.oracle_box_options" },
    },
    options = {
      { name = "high", type = "number, list of numbers or tensor", default = "required", text = "upper ends: D numbers, or one for all dimensions" },
      { name = "low", type = "number, list of numbers or tensor", default = "required", text = "lower ends: D numbers, or one for all dimensions" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "local o = d.oracle.box{ low = -1, high = { 1, 3 } }\nprint(o:entropy(), o:posterior_mean(d.zeros(1, 2), 1, 0.5))",
  },
  ["d.oracle.checkerboard"] = {
    signature = "d.oracle.checkerboard([options])",
    text = "The squares of one colour of a board, with uniform density. By default it is that of d.data.toy.checkerboard, or of another size. Grathwohl et al. 2019 (FFJORD) use size = 8, with entropy ln 32. With noise the entropy is by quadrature.",
    params = {
      { name = "options", type = "diffusion.oracle_checkerboard_options?", optional = true },
    },
    options = {
      { name = "cells", type = "integer", range = ">= 1", default = "4", text = "cells of a side" },
      { name = "noise", type = "number", range = "[0, 1)", default = "0", text = "standard deviation of the noise; the set's is 1" },
      { name = "size", type = "number", range = "> 0", default = "2 sqrt(3 (1 - noise^2))", text = "side of the board; with four cells the default makes the variance 2 over both coordinates" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "print(d.oracle.checkerboard{ size = 8 }:entropy(), math.log(32))",
  },
  ["d.oracle.curve"] = {
    signature = "d.oracle.curve(options)",
    text = "A curve with noise: points(u) for uniform u in (0, 1), plus N(0, std^2). It is exact, except for an error of about 1e-10 of its quadrature near the curve.",
    params = {
      { name = "options", type = "diffusion.oracle_curve_options" },
    },
    options = {
      { name = "points", type = "function or list of functions", default = "required", text = "function from u {n} to points {n,D}, or a list of such pieces, equally likely" },
      { name = "std", type = "number", range = "> 0", default = "required", text = "standard deviation of the noise" },
      { name = "power", type = "number", range = "> 0", default = "1", text = "p if the points are smooth in u^(1/p)" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "local ring = d.oracle.curve{ std = 0.1, points = function(u)\n  local angle = u * (2 * math.pi)\n  return d.stack({ angle:cos(), angle:sin() }, 2)\nend }\nprint(ring:entropy())",
  },
  ["d.oracle.eight_gaussians"] = {
    signature = "d.oracle.eight_gaussians([options])",
    text = "The distribution of d.data.toy.eight_gaussians, or of another size. Grathwohl et al. 2019 (FFJORD) have radius = 4/1.414, std = 0.5/1.414.",
    params = {
      { name = "options", type = "diffusion.oracle_eight_gaussians_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0.07", text = "standard deviation of the noise; the set's is 1" },
      { name = "radius", type = "number", range = "> 0", default = "sqrt(2 (1 - noise^2))", text = "distance of the means from 0" },
      { name = "std", type = "number", range = "> 0", default = "noise", text = "standard deviation of each Gaussian" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "print(d.oracle.eight_gaussians{ radius = 2, std = 0.1 }:entropy()) -- 0.31215",
  },
  ["d.oracle.empirical"] = {
    signature = "d.oracle.empirical(x, [options])",
    text = "The empirical distribution of a data set: its n points with equal weights. Its best denoiser is that of a network that has memorised the set. log_prob(x) is ln of the fraction of points equal to x, -inf elsewhere. entropy() is that of the points as symbols, ln n if all differ. With a level, log_prob is a density. With std each point becomes a Gaussian (a kernel density estimate), and both are those of a density. In float32, points of 16 dimensions or more are compared by products, whose rounding changes weights by a factor of exp(1e-7 |x| |y| / s^2).",
    params = {
      { name = "x", type = "diffusion.tensor|diffusion.set", text = "{n,...}; u8, and i64 {n,H,W,C}, become floats in [-1, 1]" },
      { name = "options", type = "diffusion.oracle_empirical_options?", optional = true },
    },
    options = {
      { name = "std", type = "number", range = "> 0", default = "none", text = "each point is a Gaussian of this standard deviation" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "local digits = d.oracle.empirical(d.data.digits())\nprint(digits, digits:posterior_mean(d.randn(2, 8, 8, 1), 0.1, 0.9))",
  },
  ["d.oracle.gaussian"] = {
    signature = "d.oracle.gaussian(options)",
    text = "A Gaussian.",
    params = {
      { name = "options", type = "diffusion.oracle_gaussian_options" },
    },
    options = {
      { name = "cov", type = "list of lists of numbers or tensor", default = "std instead", text = "covariance {D,D}" },
      { name = "mean", type = "number, list of numbers or tensor", default = "0", text = "the mean: D numbers, or one number for all dimensions" },
      { name = "std", type = "number, list of numbers or tensor", default = "cov instead", text = "standard deviations: D numbers, or one number for all dimensions" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "local oracle = d.oracle.gaussian{ mean = { 1, -1 }, cov = { { 1, 0.3 }, { 0.3, 0.5 } } }\nprint(oracle:entropy(), oracle:posterior_mean(d.zeros(1, 2), 0.6, 0.8))",
  },
  ["d.oracle.histogram"] = {
    signature = "d.oracle.histogram(options)",
    text = "A histogram on the line: uniform within each of K bins.",
    params = {
      { name = "options", type = "diffusion.oracle_histogram_options" },
    },
    options = {
      { name = "weights", type = "list of numbers or tensor", default = "required", text = "K numbers of 0 or more" },
      { name = "edges", type = "list of numbers or tensor", default = "low and high instead", text = "K + 1 ascending numbers" },
      { name = "high", type = "number", default = "edges instead", text = "upper end of the last of K bins of one width" },
      { name = "low", type = "number", default = "edges instead", text = "lower end of the first of K bins of one width" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "print(d.oracle.histogram{ low = -1, high = 1, weights = { 1, 3, 0, 2 } }:entropy())",
  },
  ["d.oracle.mixture"] = {
    signature = "d.oracle.mixture(options)",
    text = "A mixture of K Gaussians, isotropic or with any covariances. In one or two dimensions its entropy is computed by quadrature.",
    params = {
      { name = "options", type = "diffusion.oracle_mixture_options" },
    },
    options = {
      { name = "means", type = "list of lists of numbers or tensor", default = "required", text = "means {K,D}" },
      { name = "covs", type = "list of lists of lists of numbers or tensor", default = "std instead", text = "covariances {K,D,D}" },
      { name = "std", type = "number, list of numbers or tensor", default = "covs instead", text = "standard deviations: K numbers, or one number for all components" },
      { name = "weights", type = "list of numbers or tensor", default = "equal", text = "K weights" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "local oracle = d.oracle.mixture{ means = { { -1 }, { 1 } }, std = 0.2 }\nlocal p = d.process{ schedule = d.schedule.cosine{}, predict = \"x0\" }\nlocal x = d.sample{ model = oracle:denoiser(p), process = p, shape = { 1000, 1 }, steps = 20, seed = 1 }\nprint(d.metric.wasserstein1(x, oracle:sample(1000, { seed = 2 })))",
  },
  ["d.oracle.moons"] = {
    signature = "d.oracle.moons([options])",
    text = "The distribution of d.data.toy.moons.",
    params = {
      { name = "options", type = "diffusion.oracle_moons_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0.08", text = "standard deviation of the noise; the set's is 1" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "local moons = d.oracle.moons{}\nprint(moons, moons:log_prob(d.data.toy.moons(1000, { seed = 1 }).x):mean():item())",
  },
  ["d.oracle.product"] = {
    signature = "d.oracle.product(parts)",
    text = "Independent blocks of coordinates: those of the first part, then of the second, ...",
    params = {
      { name = "parts", type = "diffusion.oracle[]", text = "one or more" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
    example = "local o = d.oracle.product{ d.oracle.gaussian{ std = 2 }, d.oracle.moons{} }\nprint(o, o.D, o:sample(4, { seed = 1 }))",
  },
  ["d.oracle.spiral"] = {
    signature = "d.oracle.spiral([options])",
    text = "The distribution of d.data.toy.spiral.",
    params = {
      { name = "options", type = "diffusion.oracle_spiral_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0.03", text = "standard deviation of the noise; the set's is 1" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
  },
  ["d.oracle.swiss_roll"] = {
    signature = "d.oracle.swiss_roll([options])",
    text = "The distribution of d.data.toy.swiss_roll.",
    params = {
      { name = "options", type = "diffusion.oracle_swiss_roll_options?", optional = true },
    },
    options = {
      { name = "noise", type = "number", range = "[0, 1)", default = "0.04", text = "standard deviation of the noise; the set's is 1" },
    },
    returns = {
      { type = "diffusion.oracle" },
    },
  },
  ["d.pack_budget"] = {
    signature = "d.pack_budget([bytes])",
    text = "Returns the budget of packed weights in bytes, and sets it. Kernels read weights in a layout of their own. Packed weights that are not being trained are kept while the budget has room. Others are packed again in each product, with the same results in less memory. The default is 45 % of the bytes that models read from files in place, and at least 256 MiB. It doesn't count bytes of a pack for which as many bytes of such a file leave the memory.",
    params = {
      { name = "bytes", type = "integer|string", text = "0: keep none; \"default\"", optional = true },
    },
    returns = {
      { type = "integer" },
    },
  },
  ["d.plot"] = {
    signature = "d.plot",
    text = "Plots by gnuplot, an optional program that is looked for at run time. A plot is a PNG or SVG file, a window if there is a display, or text in the terminal.",
  },
  ["d.plot.lines"] = {
    signature = "d.plot.lines(series, [options])",
    text = "Curves y(x), one per series.",
    params = {
      { name = "series", type = "table", text = "{ {name, y} or {name, y, x}, ... }: lists or tensors of one dimension, x and y of one length; without x it is 1, 2, ..." },
      { name = "options", type = "diffusion.plot_lines_options?", optional = true },
    },
    options = {
      { name = "file", type = "path", default = "a window, or the terminal", text = "a file that ends in .png or .svg" },
      { name = "height", type = "integer", range = "[100, 10000]", default = "600", text = "height in pixels" },
      { name = "logy", type = "boolean", default = "false", text = "the vertical axis is logarithmic" },
      { name = "title", type = "string", default = "none", text = "the picture's title" },
      { name = "width", type = "integer", range = "[100, 10000]", default = "800", text = "width in pixels" },
      { name = "xlabel", type = "string", default = "none", text = "name of the horizontal axis" },
      { name = "ylabel", type = "string", default = "none", text = "name of the vertical axis" },
    },
    returns = {
      { type = "boolean|nil", text = "ok nil with a message if it fails" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.plot.order"] = {
    signature = "d.plot.order(series, [options])",
    text = "Errors of samplers against evaluations of the model, or steps, on logarithmic axes. Dashed lines show the slopes of the orders in guides.",
    params = {
      { name = "series", type = "table", text = "rows {steps, error, order, evaluations} as d.check.order returns them, or { {name, rows}, ... }; errors and numbers of evaluations are above 0" },
      { name = "options", type = "diffusion.plot_order_options?", optional = true },
    },
    options = {
      { name = "file", type = "path", default = "a window, or the terminal", text = "a file that ends in .png or .svg" },
      { name = "guides", type = "list of numbers", default = "{1, 2, 3}", text = "orders of the dashed lines" },
      { name = "height", type = "integer", range = "[100, 10000]", default = "600", text = "height in pixels" },
      { name = "title", type = "string", default = "none", text = "the picture's title" },
      { name = "width", type = "integer", range = "[100, 10000]", default = "800", text = "width in pixels" },
      { name = "x", type = "\"evaluations\" or \"steps\"", default = "\"evaluations\"", text = "quantity of the horizontal axis" },
      { name = "xlabel", type = "string", default = "by x", text = "name of the horizontal axis" },
      { name = "ylabel", type = "string", default = "\"error\"", text = "name of the vertical axis" },
    },
    returns = {
      { type = "boolean|nil", text = "ok nil with a message if it fails" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.plot.points"] = {
    signature = "d.plot.points(series, [options])",
    text = "Point clouds in the plane, in panels of one scale.",
    params = {
      { name = "series", type = "table", text = "{ {name, x}, ... } with x {n, 2}" },
      { name = "options", type = "diffusion.plot_points_options?", optional = true },
    },
    options = {
      { name = "file", type = "path", default = "a window, or the terminal", text = "a file that ends in .png or .svg" },
      { name = "height", type = "integer", range = "[100, 10000]", default = "600", text = "height in pixels" },
      { name = "title", type = "string", default = "none", text = "the picture's title" },
      { name = "width", type = "integer", range = "[100, 10000]", default = "800", text = "width in pixels" },
    },
    returns = {
      { type = "boolean|nil", text = "ok nil with a message if it fails" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.plot.schedules"] = {
    signature = "d.plot.schedules(schedules, [options])",
    text = "A quantity of several schedules against u = t/T.",
    params = {
      { name = "schedules", type = "table", text = "list of schedules" },
      { name = "options", type = "diffusion.plot_schedules_options?", optional = true },
    },
    options = {
      { name = "file", type = "path", default = "a window, or the terminal", text = "a file that ends in .png or .svg" },
      { name = "height", type = "integer", range = "[100, 10000]", default = "600", text = "height in pixels" },
      { name = "logy", type = "boolean", default = "false", text = "the vertical axis is logarithmic" },
      { name = "title", type = "string", default = "none", text = "the picture's title" },
      { name = "what", type = "\"alpha_bar\", \"beta\", \"log_snr\", \"snr\", \"signal\", \"noise\" or \"sigma\"", default = "\"log_snr\"", text = "the quantity" },
      { name = "width", type = "integer", range = "[100, 10000]", default = "800", text = "width in pixels" },
      { name = "xlabel", type = "string", default = "\"u = t/T\"", text = "name of the horizontal axis" },
      { name = "ylabel", type = "string", default = "what", text = "name of the vertical axis" },
    },
    returns = {
      { type = "boolean|nil", text = "ok nil with a message if it fails" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.plot.trajectories"] = {
    signature = "d.plot.trajectories(series, [options])",
    text = "The trajectories of samples. Those of {B,1} are drawn against t, later times on the left, or against the step for a list. Those of {B,2} are curves in the plane. A run is stepped to its end. x is shown as it is, so it starts large if sigma does (ve, edm).",
    params = {
      { name = "series", type = "any", text = "a run, or a list of tensors, one a step; or { {name, run or list}, ... }, side by side at one scale" },
      { name = "options", type = "diffusion.plot_trajectories_options?", optional = true },
    },
    options = {
      { name = "count", type = "integer", range = ">= 1", default = "50", text = "the first samples that are drawn" },
      { name = "data", type = "tensor", default = "none", text = "points {n,2} that are drawn behind curves in the plane" },
      { name = "file", type = "path", default = "a window, or the terminal", text = "a file that ends in .png or .svg" },
      { name = "height", type = "integer", range = "[100, 10000]", default = "600", text = "height in pixels" },
      { name = "title", type = "string", default = "none", text = "the picture's title" },
      { name = "width", type = "integer", range = "[100, 10000]", default = "800", text = "width in pixels" },
      { name = "xlabel", type = "string", default = "\"t\" or \"step\"; none in the plane", text = "name of the horizontal axis" },
      { name = "ylabel", type = "string", default = "\"x\"; none in the plane", text = "name of the vertical axis" },
    },
    returns = {
      { type = "boolean|nil", text = "ok nil with a message if it fails" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.posthoc_ema"] = {
    signature = "d.posthoc_ema(paths, options)",
    text = "The values that a power average of any width would have, from snapshots that ema:snapshot wrote during training. They should be of two averages, best with sigma_rel 0.05 and 0.1. Least squares fits the target's profile by theirs (Karras et al. 2024, algorithm 3). It is exact if the target is one of them.",
    params = {
      { name = "paths", type = "string[]", text = "one or more snapshots of one training" },
      { name = "options", type = "diffusion.posthoc_ema_options" },
    },
    options = {
      { name = "sigma_rel", type = "number", range = "(0, 0.28867513459481)", default = "required", text = "standard deviation of the average's profile over 0..1" },
      { name = "updates", type = "integer", range = ">= 1", default = "those of the last snapshot", text = "number of updates after which the average is taken" },
    },
    returns = {
      { type = "table<string, any>|nil", text = "state by name, for model:load_state; nil with a message if a file isn't such a snapshot, or they can't be combined" },
      { type = "table|string", text = "fit {weights = a list, one per snapshot, error = of the profile, relative to its norm}, or the message" },
    },
    example = "local model = d.mlp{ hidden = 16, depth = 1 }\nlocal ema, path = d.ema(model, { decay = { \"power\", sigma_rel = 0.1 } }), os.tmpname()\nassert(ema:update():snapshot(path))\nlocal state, fit = assert(d.posthoc_ema({ path }, { sigma_rel = 0.1 }))\nmodel:load_state(state)\nprint(fit.weights[1], fit.error)\nos.remove(path)",
  },
  ["d.pp"] = {
    signature = "d.pp(t)",
    text = "Prints a table with its keys in order, four levels deep. Tensors and models take one line each. Other values are printed as print does.",
    params = {
      { name = "t", type = "any" },
    },
    example = "d.pp{ lr = 1e-3, shape = { 8, 28, 28, 1 }, x = d.zeros(3) }",
  },
  ["d.precision"] = {
    signature = "d.precision([name])",
    text = "Returns the precision of matrix products and convolutions, and sets it.",
    params = {
      { name = "name", type = "string", text = "\"highest\" (float32), \"high\" (relative error at most 1e-5, the default) or \"medium\" (operands rounded to bf16, added in float32)", optional = true },
    },
    returns = {
      { type = "string" },
    },
  },
  ["d.precondition"] = {
    signature = "d.precondition(net, process, [options])",
    text = "Makes a denoiser of a raw network, with its input and output scaled (Karras et al. 2022, table 1). The network is called as (c_in x_t/a, c_noise, {class=}). The scales are: edm: c_in = 1/sqrt(sigma^2 + sigma_data^2), c_noise = ln(sigma)/4 vp: c_in = 1/sqrt(sigma^2 + 1), c_noise = 999 t of the VP SDE ve: c_in = 1, c_noise = ln(sigma/2) iddpm: as vp, with the nearest level of the cosine schedule, counted from 0  The raw network is trained and saved: an objective with precondition = kind takes it. Samplers take the function that is returned here. The losses of table 1 are weighting = \"edm\" with times = \"log_normal\" for edm, and weighting = \"simple\" for the others.",
    params = {
      { name = "net", type = "any", text = "a network (x, noise, {class=}) -> as x, or twice as wide if the process learns its variance" },
      { name = "process", type = "diffusion.process" },
      { name = "options", type = "diffusion.precondition_options?", optional = true },
    },
    options = {
      { name = "kind", type = "\"edm\", \"vp\", \"ve\" or \"iddpm\"", default = "\"edm\"", text = "the row of the paper's table 1" },
    },
    returns = {
      { type = "function", text = "denoiser (xt, t, {class=}) -> the process's target; it raises if x_t holds no signal" },
    },
    example = "local process = d.process{ schedule = d.schedule.edm{}, predict = \"edm\", sigma_data = 1 }\nlocal net = d.mlp{ hidden = 16, depth = 1 }\nlocal loss_of = d.objective{ process = process, weighting = \"edm\", times = \"log_normal\", precondition = \"edm\" }\nprint(d.record(loss_of, net, d.randn(8, 2)):item())\nlocal model = d.precondition(net, process)\nprint(d.sample{ model = model, process = process, shape = { 4, 2 }, steps = 10 })",
  },
  ["d.process"] = {
    signature = "d.process(o)",
    text = "A process: a schedule, and how the reverse step is parametrised. A learned variance doubles the network's output: \"learned\" is ln variance, \"learned_range\" lies between the posterior's and q's (Nichol & Dhariwal 2021, eq. 15). \"learned_direct\" is the variance itself, as diffusers' \"learned\" is.",
    params = {
      { name = "o", type = "diffusion.process_options" },
    },
    options = {
      { name = "schedule", type = "schedule", default = "required", text = "the noise schedule" },
      { name = "clip", type = "a number above 0, \"dynamic\" or {ratio = 0.995, most = 1}", range = "> 0", default = "none", text = "range [-clip, clip] of the predicted x0, \"dynamic\", or the quantile and the cap of a dynamic threshold" },
      { name = "predict", type = "\"eps\", \"x0\", \"v\", \"score\", \"flow\" or \"edm\"", default = "\"eps\"", text = "the prediction target; \"flow\" is eps - x0" },
      { name = "sigma_data", type = "number", range = "> 0", default = "0.5", text = "standard deviation of the data, for edm" },
      { name = "variance", type = "\"fixed_small\", \"fixed_large\", \"learned\", \"learned_range\", \"learned_direct\", \"optimal\" or function", default = "\"fixed_small\"", text = "variance of the reverse step: the posterior's, q's, learned, or optimal" },
      { name = "x0_error", type = "list of lists of numbers", default = "none", text = "rows {t, mean squared error of x0} for \"optimal\", as d.estimate_variance measures them" },
    },
    returns = {
      { type = "diffusion.process" },
    },
    example = "local p = d.process{ schedule = d.schedule.cosine{}, predict = \"v\", clip = 1 }\nlocal xt, eps = p:q_sample(d.randn(8, 2), 500)\nprint(p:explain(500))",
  },
  ["d.profile"] = {
    signature = "d.profile(fn, ...)",
    text = "Prints the time of `fn` by op, forward and backward, longest first. It also prints the memory that each op saves for the backward pass.",
    params = {
      { name = "fn", type = "function" },
      { name = "...", type = "any", text = "its arguments" },
    },
    returns = {
      { type = "any", text = "... what fn returns" },
    },
  },
  ["d.prompt"] = {
    signature = "d.prompt()",
    text = "Reads lines at a prompt, with the module as d, until the input ends (Ctrl-D). Ctrl-C ends running code, and values stay. The second Ctrl-C ends a coroutine. At a line it drops the line.",
  },
  ["d.rand"] = {
    signature = "d.rand([shape], [opts])",
    text = "Uniform numbers in (0, 1).",
    params = {
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list; default: one number", optional = true },
      { name = "opts", type = "diffusion.draw_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "source of the numbers, in place of a seed; a list has one for each sample, which is drawn as it would be alone" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["d.randint"] = {
    signature = "d.randint(low, high, [shape], [opts])",
    text = "Draws uniform integers in low..high, exact to 2^-64 of the size of the interval.",
    params = {
      { name = "low", type = "integer" },
      { name = "high", type = "integer", text = ">= low, inclusive" },
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list; default: one number", optional = true },
      { name = "opts", type = "diffusion.draw_one_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator", default = "none", text = "source of the numbers, in place of a seed" },
    },
    returns = {
      { type = "diffusion.tensor", text = "i64" },
    },
  },
  ["d.randn"] = {
    signature = "d.randn([shape], [opts])",
    text = "Standard normal numbers. With two or more dimensions, the first counts samples. With a seed, sample k has the same bits in any batch.",
    params = {
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list; default: one number", optional = true },
      { name = "opts", type = "diffusion.draw_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "source of the numbers, in place of a seed; a list has one for each sample, which is drawn as it would be alone" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["d.randperm"] = {
    signature = "d.randperm(n, [opts])",
    text = "A random permutation of 1..n.",
    params = {
      { name = "n", type = "integer", text = ">= 0" },
      { name = "opts", type = "diffusion.draw_one_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator", default = "none", text = "source of the numbers, in place of a seed" },
    },
    returns = {
      { type = "diffusion.tensor", text = "i64 {n}" },
    },
  },
  ["d.record"] = {
    signature = "d.record(fn, ...)",
    text = "Records the computation of `fn` from trainable parameters, so that `loss:backward()` can compute gradients. It is called like pcall, with a function and its arguments. All coroutines share one stack of records and scopes. So a coroutine that yields within `fn` must be resumed, or closed, before others compute. If a batch is dealt out over ranks, `fn` runs once for each piece of it. An objective may run once for all of them, with the same bits (d.help \"scale\").",
    params = {
      { name = "fn", type = "function" },
      { name = "...", type = "any", text = "its arguments" },
    },
    returns = {
      { type = "any", text = "... what fn returns" },
    },
    example = "local model = d.mlp{ hidden = 16, depth = 1 }\nlocal loss = d.record(function(x) return model(x, 1):square():mean() end, d.randn(8, 2))\nloss:backward()\nfor name, p in model:parameters() do print(name, p.grad:norm():item()) end",
  },
  ["d.reflow"] = {
    signature = "d.reflow(model, process, options)",
    text = "Pairs (x0, eps) of a model, where x0 is the end of its flow from eps. The result is a set whose batches give step, x0, class and eps. Give eps to the objective, which then keeps them paired. A trainer does that by itself.",
    params = {
      { name = "model", type = "any", text = "a denoiser (xt, t, {class=})" },
      { name = "process", type = "diffusion.process", text = "its x_T must be noise alone, as with d.schedule.flow" },
      { name = "options", type = "diffusion.reflow_options" },
    },
    options = {
      { name = "shape", type = "list of integers", default = "required", text = "{n, ...}, the number of pairs first" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all pairs or of each, from 1" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "\"trailing\"", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "1", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "sampler", type = "string, function or table", default = "\"unipc\"", text = "a sampler without noise of its own, as of d.sample" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "self_condition", type = "boolean", default = "false", text = "the model is conditioned on its last x0" },
      { name = "size", type = "integer", range = ">= 1", default = "1000", text = "samples that are drawn at a time" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or T if less; T for annealed_langevin, ddpm and predictor_corrector", text = "number of steps; rk45 and dpm_adaptive find their own" },
    },
    returns = {
      { type = "diffusion.set", text = "pairs .x, .eps, .class" },
    },
    example = "local process = d.process{ schedule = d.schedule.flow{ T = 50 }, predict = \"flow\" }\nlocal model = d.oracle.gaussian{ std = { 1, 0.5 } }:denoiser(process)\nlocal pairs = d.reflow(model, process, { shape = { 64, 2 }, seed = 1 })\nlocal loss_of, net = d.objective{ process = process, weighting = \"uniform\" }, d.mlp{ hidden = 16, depth = 1 }\nfor step, x0, class, eps in pairs:batches{ size = 32, steps = 2 } do\n  d.record(loss_of, net, x0, { eps = eps }):backward()\nend",
  },
  ["d.sample"] = {
    signature = "d.sample(options)",
    text = "Draws samples: d.sampler.steps{...}:finish(). Over ranks each of them draws a part, and gets the samples of all. They have the same bits on any number of ranks.",
    params = {
      { name = "options", type = "diffusion.sample_options" },
    },
    options = {
      { name = "model", type = "a denoiser (xt, t, {class=})", default = "required", text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "\"trailing\"", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "1", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "init", type = "tensor", default = "noise of the first level", text = "x at the first level" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "noise", type = "\"independent\", \"brownian\", generator, list of generators or function", default = "\"independent\"", text = "draws of each step, increments of one Brownian path, a generator or one for each sample, or a function" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "over", type = "mpi", default = "none", text = "deals the samples out over the ranks of diffusion.mpi" },
      { name = "sampler", type = "string, function or table", default = "\"unipc\"", text = "a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "self_condition", type = "boolean", default = "false", text = "the model is conditioned on its last x0" },
      { name = "shape", type = "list of integers", default = "that of init", text = "{n, ...}, the number of samples first" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or T if less; T for annealed_langevin, ddpm and predictor_corrector", text = "number of steps; rk45 and dpm_adaptive find their own" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x {n, ...}" },
    },
    example = "local model, process = d.load_model \"digits\"\nd.image.show(d.sample{ model = model, process = process, shape = { 2, 8, 8, 1 }, class = { 3, 5 }, steps = 20 })",
  },
  ["d.sampler"] = {
    signature = "d.sampler",
    text = "Samplers by name, and the run that steps them. A sampler is `function(denoise, process, opts)` that returns a step `function(x, pair, history) -> x`:   denoise(x, t)     x0 and eps predicted at level t, clipped as the process says, and v of a                     learned variance, for process:step_variance(t, s, v). If the model returns                     two outputs (CFG++), x0 is that of the first and eps that of the second   pair              {t, s, i, n}: from level t to the earlier level s (s = 0: the data),                     number i of n   history           the solver's own table, empty at the start. It may hold tensors, numbers,                     strings and tables of these   opts.mix          sum of c x, in one pass (d.mix)   opts.mix_noise    mix_noise(sigma, c1, x1, ...): adds sigma z to it. z comes from the run's                     own counter, so sample k doesn't depend on its batch   opts.nan          \"keep\" to continue with samples that aren't finite, else \"error\"   opts.mix_path     mix_path(sigma, from, to, eta, c1, x1, ...): adds sigma z to it. z is the                     increment of a path between two levels, lambda = ln(a/s), in the time                     e^(2 eta lambda). The path is the step's own, or the run's Brownian path",
  },
  ["d.sampler.explain"] = {
    signature = "d.sampler.explain([name])",
    text = "Describes a sampler: its source, its order, its evaluations of the model per step, and its options. The order is that of its error with the default options. Without a name, it returns a table of all samplers.",
    params = {
      { name = "name", type = "string", optional = true },
    },
    returns = {
      { type = "string" },
    },
    example = "print(d.sampler.explain())\nprint(d.sampler.explain \"unipc\")",
  },
  ["d.sampler.names"] = {
    signature = "d.sampler.names()",
    text = "The names of all samplers, sorted.",
    returns = {
      { type = "string[]" },
    },
  },
  ["d.sampler.preset"] = {
    signature = "d.sampler.preset(name, [options])",
    text = "The equivalent of another library's sampler: one of ours with the options that match it, to be passed as `sampler`. A name begins with the library: \"diffusers-\", \"dpm-solver-\", \"edm-\", \"guided-diffusion-\", \"k-diffusion-\" or \"lucidrains-\". d.sampler.presets() lists them all. diffusers' DPMSolverMultistep is dpmpp-1, dpmpp-2m, dpm-1, dpm-2m, dpmpp-1-sde, dpmpp-2m-sde or dpmpp-2m-inverse. Its solver_type is our option form, and its euler_at_final has the same name. DPMSolverSinglestep is dpmpp-singlestep or dpm-singlestep. A preset reproduces a defect of the other library only if its name ends in the defect, as \"diffusers-ddpm-noise-in-last-step\". Other presets are correct. d.grid.preset has the grids.",
    params = {
      { name = "name", type = "string", text = "one of d.sampler.presets()" },
      { name = "options", type = "table<string, any>", text = "options of that sampler, which replace the preset's", optional = true },
    },
    returns = {
      { type = "table", text = "{sampler, option = ...}" },
    },
    example = "d.pp(d.sampler.preset(\"diffusers-dpmpp-2m\", { form = \"heun\" }))",
  },
  ["d.sampler.presets"] = {
    signature = "d.sampler.presets()",
    text = "The names of all presets, sorted.",
    returns = {
      { type = "string[]" },
    },
  },
  ["d.sampler.sample"] = {
    signature = "d.sampler.sample(options)",
    text = "Draws samples: d.sampler.steps{...}:finish(). Over ranks each of them draws a part, and gets the samples of all. They have the same bits on any number of ranks.",
    params = {
      { name = "options", type = "diffusion.sample_options" },
    },
    options = {
      { name = "model", type = "a denoiser (xt, t, {class=})", default = "required", text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "\"trailing\"", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "1", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "init", type = "tensor", default = "noise of the first level", text = "x at the first level" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "noise", type = "\"independent\", \"brownian\", generator, list of generators or function", default = "\"independent\"", text = "draws of each step, increments of one Brownian path, a generator or one for each sample, or a function" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "over", type = "mpi", default = "none", text = "deals the samples out over the ranks of diffusion.mpi" },
      { name = "sampler", type = "string, function or table", default = "\"unipc\"", text = "a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "self_condition", type = "boolean", default = "false", text = "the model is conditioned on its last x0" },
      { name = "shape", type = "list of integers", default = "that of init", text = "{n, ...}, the number of samples first" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or T if less; T for annealed_langevin, ddpm and predictor_corrector", text = "number of steps; rk45 and dpm_adaptive find their own" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x {n, ...}" },
    },
    example = "local model, process = d.load_model \"digits\"\nd.image.show(d.sample{ model = model, process = process, shape = { 2, 8, 8, 1 }, class = { 3, 5 }, steps = 20 })",
  },
  ["d.sampler.step"] = {
    signature = "d.sampler.step(which, denoise, process, [o])",
    text = "The step of a sampler, for a loop of your own.",
    params = {
      { name = "which", type = "string|function|table", text = "a name, a function, or {name, eta = ...}" },
      { name = "denoise", type = "function", text = "(x, t) -> x0, eps" },
      { name = "process", type = "diffusion.process" },
      { name = "o", type = "diffusion.sampler_step_options?", optional = true },
    },
    options = {
      { name = "mix", type = "function", default = "d.mix", text = "sum of c x" },
      { name = "mix_noise", type = "function", default = "by seed", text = "the same plus noise" },
      { name = "mix_path", type = "function", default = "by seed", text = "the same plus an increment of the noise's path" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "function", text = "step (x, {t, s, i, n}, history) -> x; history is a table, empty at first" },
    },
    example = "local p = d.process{ schedule = d.schedule.cosine{}, predict = \"x0\" }\nlocal model = d.oracle.gaussian{ std = { 1, 0.2 } }:denoiser(p)\nlocal step = d.sampler.step(\"heun\", function(x, t) return p:estimate(model(x, t), x, t) end, p)\nlocal x, history, grid = d.randn(5, 2), {}, d.grid.trailing(p, 10)\nfor i, pair in ipairs(grid) do x = step(x, { t = pair[1], s = pair[2], i = i, n = #grid }, history) end\nprint(x)",
  },
  ["d.sampler.steps"] = {
    signature = "d.sampler.steps(options)",
    text = "A run of a sampler. It takes a step by `run()`, or all by `for step in run do`. If neither grid nor init is given and the process predicts eps or score unclipped, the run starts at SNR 3.7e-5. The steps before are left out; print(run) shows those that stay. With noise = \"brownian\" more steps refine one path; the noise of churn, Langevin steps, lcm, tcd and consistency stays independent. Generators, and functions that return normals of x's shape, draw the start too, as in PyTorch. With one generator sample k depends on its batch. Such a run can't be saved.",
    params = {
      { name = "options", type = "diffusion.sampler_steps_options" },
    },
    options = {
      { name = "model", type = "a denoiser (xt, t, {class=})", default = "required", text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
      { name = "process", type = "process", default = "required", text = "the process: schedule, prediction target, variance and clip" },
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "\"trailing\"", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "1", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "init", type = "tensor", default = "noise of the first level", text = "x at the first level" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "noise", type = "\"independent\", \"brownian\", generator, list of generators or function", default = "\"independent\"", text = "draws of each step, increments of one Brownian path, a generator or one for each sample, or a function" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "sampler", type = "string, function or table", default = "\"unipc\"", text = "a name of d.sampler.names() or d.sampler.presets(), {name, option = ...}, or a function" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "self_condition", type = "boolean", default = "false", text = "the model is conditioned on its last x0" },
      { name = "shape", type = "list of integers", default = "that of init", text = "{n, ...}, the number of samples first" },
      { name = "steps", type = "integer", range = ">= 1", default = "50, or T if less; T for annealed_langevin, ddpm and predictor_corrector", text = "number of steps; rk45 and dpm_adaptive find their own" },
    },
    returns = {
      { type = "diffusion.run" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal run = d.sampler.steps{ model = model, process = process, shape = { 1, 8, 8, 1 }, class = 4, steps = 5 }\nfor step in run do print(step.i, step.t, step.s, step.x0:std():item()) end\nd.image.show(run.x)",
  },
  ["d.save"] = {
    signature = "d.save(path, tensors, [metadata])",
    text = "Writes tensors as a safetensors file. It is written next to the old file, flushed to the disk, then renamed over it, so the file is always whole.",
    params = {
      { name = "path", type = "string" },
      { name = "tensors", type = "table<string, diffusion.tensor>", text = "tensors of any shape and type" },
      { name = "metadata", type = "table<string, string>|nil", text = "saved with them", optional = true },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the file can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.schedule"] = {
    signature = "d.schedule",
    text = "d.schedule: noise schedules by name, from lists and from functions. A schedule has two columns over 0..T: the signal a_t and the noise s_t of x_t = a_t x_0 + s_t eps. All else is derived from them. Times are 1..T. Accessors take a number and return a double, or take a list or a tensor and return a tensor.",
  },
  ["d.schedule.constant"] = {
    signature = "d.schedule.constant([o])",
    text = "The same beta at every step (Ho et al. 2020, \"const\" of their code).",
    params = {
      { name = "o", type = "diffusion.schedule_constant_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "beta", type = "number", range = "> 0", default = "0.02", text = "beta of every step" },
      { name = "rescale", type = "boolean", default = "true", text = "betas are for T = 1000 and are multiplied by 1000/T" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.cosine"] = {
    signature = "d.schedule.cosine([o])",
    text = "alpha_bar on a squared cosine (Nichol & Dhariwal 2021, eq. 17).",
    params = {
      { name = "o", type = "diffusion.schedule_cosine_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "max_beta", type = "number", range = "(0, 1]", default = "0.999", text = "betas above it are cut, as the last one is" },
      { name = "s", type = "number", range = ">= 0", default = "0.008", text = "offset that keeps beta from vanishing near t = 0" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
    example = "print(d.schedule.cosine{ T = 1000 })",
  },
  ["d.schedule.cosine_log_snr"] = {
    signature = "d.schedule.cosine_log_snr([o])",
    text = "ln SNR = -2 ln tan of an angle, which moves linearly between those of log_snr_max and log_snr_min (Hoogeboom et al. 2023, simple diffusion, sec. 3.1). shift adapts it to the size of pictures: 2 ln(64/256) gives 256 x 256 pictures the noise of 64 x 64. u shift_low + (1 - u) shift_high interpolates between two shifts: shift_low is for high noise and shift_high for low noise.",
    params = {
      { name = "o", type = "diffusion.schedule_cosine_log_snr_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "log_snr_max", type = "number", default = "15", text = "ln SNR at u = 0, before the shift" },
      { name = "log_snr_min", type = "number", default = "-15", text = "ln SNR of the last level, before the shift" },
      { name = "shift", type = "number", default = "0", text = "added to ln SNR" },
      { name = "shift_high", type = "number", default = "shift", text = "added to ln SNR at u = 0" },
      { name = "shift_low", type = "number", default = "shift", text = "added to ln SNR at u = 1" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
    example = "print(d.schedule.cosine_log_snr{ shift = 2 * math.log(64 / 256) })",
  },
  ["d.schedule.edm"] = {
    signature = "d.schedule.edm([o])",
    text = "a = 1 and sigma in equal steps of its rho-th root (Karras et al. 2022, eq. 5).",
    params = {
      { name = "o", type = "diffusion.schedule_edm_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "rho", type = "number", range = "> 0", default = "7", text = "steps are equal in the rho-th root of sigma" },
      { name = "sigma_max", type = "number", range = "> 0", default = "80", text = "sigma of level T" },
      { name = "sigma_min", type = "number", range = "> 0", default = "0.002", text = "sigma of level 1" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.exponential"] = {
    signature = "d.schedule.exponential([o])",
    text = "alpha_bar = e^(-rate u): beta is 1 - e^(-rate/T) at every step. diffusers calls it \"exp\".",
    params = {
      { name = "o", type = "diffusion.schedule_exponential_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "rate", type = "number", range = "> 0", default = "12", text = "alpha_bar is e^(-rate u)" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.flow"] = {
    signature = "d.schedule.flow([o])",
    text = "The straight path x_t = (1 - w) x_0 + w eps with w = t/T. shift > 1 moves it towards noise: w' = shift w / (1 + (shift - 1) w) (Esser et al. 2024, eq. 23). sigma_min leaves some noise at the data's end: s = w + sigma_min (1 - w). That is the conditional flow of Lipman et al. 2023, eq. 20 and 22. Its samplers are those for any path.",
    params = {
      { name = "o", type = "diffusion.schedule_flow_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "shift", type = "number", range = "> 0", default = "1", text = "moves the path towards noise if above 1" },
      { name = "sigma_min", type = "number", range = "[0, 1)", default = "0", text = "noise that is left at the data's end" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.from_alpha_bar"] = {
    signature = "d.schedule.from_alpha_bar(source, [o])",
    text = "From alpha_bar_t = a_t^2, strictly falling in (0, 1), 0 at T only. A function is evaluated between integers too, unless max_beta had to change it.",
    params = {
      { name = "source", type = "number[]|fun(u: number, t: number, T: integer): number", text = "as from_beta" },
      { name = "o", type = "diffusion.schedule_from_alpha_bar_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "length of the list", text = "number of steps; a function needs it" },
      { name = "max_beta", type = "number", range = "(0, 1]", default = "1", text = "betas above it are cut" },
      { name = "name", type = "string", default = "\"alpha_bar\"", text = "the schedule's name" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
    example = "print(d.schedule.from_alpha_bar(function(u) return (1 - u) ^ 3 end, { T = 1000, max_beta = 0.999 }))",
  },
  ["d.schedule.from_beta"] = {
    signature = "d.schedule.from_beta(source, [o])",
    text = "From betas, in (0, 1], 1 at T only.",
    params = {
      { name = "source", type = "number[]|fun(u: number, t: integer, T: integer): number", text = "T numbers, or a function of u = t/T" },
      { name = "o", type = "diffusion.schedule_from_beta_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "length of the list", text = "number of steps; a function needs it" },
      { name = "max_beta", type = "number", range = "(0, 1]", default = "1", text = "betas above it are cut" },
      { name = "name", type = "string", default = "\"beta\"", text = "the schedule's name" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.from_config"] = {
    signature = "d.schedule.from_config(config)",
    text = "The schedule that a config describes.",
    params = {
      { name = "config", type = "table" },
    },
    returns = {
      { type = "diffusion.schedule|nil", text = "schedule nil with a message if it describes none" },
      { type = "string|nil", text = "message" },
    },
  },
  ["d.schedule.from_log_snr"] = {
    signature = "d.schedule.from_log_snr(source, [o])",
    text = "From ln SNR = ln(a^2/s^2), strictly falling, with a^2 + s^2 = 1.",
    params = {
      { name = "source", type = "number[]|fun(u: number, t: number, T: integer): number", text = "as from_alpha_bar" },
      { name = "o", type = "diffusion.schedule_from_log_snr_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "length of the list", text = "number of steps; a function needs it" },
      { name = "max_beta", type = "number", range = "(0, 1]", default = "1", text = "betas above it are cut" },
      { name = "name", type = "string", default = "\"log_snr\"", text = "the schedule's name" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.from_sigma"] = {
    signature = "d.schedule.from_sigma(source, [o])",
    text = "From sigma = s/a, strictly rising.",
    params = {
      { name = "source", type = "number[]|fun(u: number, t: number, T: integer): number", text = "as from_alpha_bar" },
      { name = "o", type = "diffusion.schedule_from_sigma_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "length of the list", text = "number of steps; a function needs it" },
      { name = "form", type = "\"ve\" or \"vp\"", default = "\"ve\"", text = "\"ve\": x_t = x_0 + sigma eps; \"vp\": a^2 + s^2 = 1" },
      { name = "max_beta", type = "number", range = "(0, 1]", default = "1", text = "betas above it are cut" },
      { name = "name", type = "string", default = "\"sigma\"", text = "the schedule's name" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.jsd"] = {
    signature = "d.schedule.jsd([o])",
    text = "alpha_bar = 1 - t/T, so beta_t = 1/(T - t + 1): every step removes the same share of x_0 (Sohl-Dickstein et al. 2015, sec. 2.4.1; \"jsd\" in Ho et al.'s code). beta_T = 1, so x_T holds no signal, as with laplace.",
    params = {
      { name = "o", type = "diffusion.schedule_jsd_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "max_beta", type = "number", range = "(0, 1]", default = "1", text = "betas above it are cut" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.laplace"] = {
    signature = "d.schedule.laplace([o])",
    text = "ln SNR as the quantiles of a Laplace distribution, mu - b sgn(1/2 - u) ln(1 - 2 |u - 1/2|) (Hang et al. 2024). At u = 1 it is -inf, so x_T holds no signal and the network must predict v or x0. max_beta < 1 cuts the last beta and avoids this.",
    params = {
      { name = "o", type = "diffusion.schedule_laplace_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "b", type = "number", range = "> 0", default = "0.5", text = "scale of the Laplace distribution" },
      { name = "max_beta", type = "number", range = "(0, 1]", default = "1", text = "betas above it are cut" },
      { name = "mu", type = "number", default = "0", text = "median of ln SNR" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.linear"] = {
    signature = "d.schedule.linear([o])",
    text = "Betas in equal steps (Ho et al. 2020, sec. 4).",
    params = {
      { name = "o", type = "diffusion.schedule_linear_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "beta_end", type = "number", range = "> 0", default = "0.02", text = "beta of the last step" },
      { name = "beta_start", type = "number", range = "> 0", default = "0.0001", text = "beta of the first step" },
      { name = "rescale", type = "boolean", default = "true", text = "betas are for T = 1000 and are multiplied by 1000/T" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
    example = "local s = d.schedule.linear{ T = 1000 }\nprint(s:alpha_bar(500), s:snr(500), s:prior_kl())",
  },
  ["d.schedule.names"] = {
    signature = "d.schedule.names()",
    text = "The names of schedules, sorted.",
    returns = {
      { type = "string[]" },
    },
  },
  ["d.schedule.scaled_linear"] = {
    signature = "d.schedule.scaled_linear([o])",
    text = "Square roots of betas in equal steps (Rombach et al. 2022). With ends 1e-4 and 0.02 it is the \"quad\" of Ho et al.'s code.",
    params = {
      { name = "o", type = "diffusion.schedule_scaled_linear_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "beta_end", type = "number", range = "> 0", default = "0.012", text = "beta of the last step" },
      { name = "beta_start", type = "number", range = "> 0", default = "0.00085", text = "beta of the first step" },
      { name = "rescale", type = "boolean", default = "true", text = "betas are for T = 1000 and are multiplied by 1000/T" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.sigmoid"] = {
    signature = "d.schedule.sigmoid([o])",
    text = "alpha_bar on a logistic curve (Jabri et al. 2023, alg. 1).",
    params = {
      { name = "o", type = "diffusion.schedule_sigmoid_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "end", type = "number", default = "3", text = "end of the logistic curve, over tau" },
      { name = "max_beta", type = "number", range = "(0, 1]", default = "0.999", text = "betas above it are cut, as the last one is" },
      { name = "start", type = "number", default = "-3", text = "start of the logistic curve, over tau" },
      { name = "tau", type = "number", range = "> 0", default = "1", text = "divisor of both ends" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.sigmoid_beta"] = {
    signature = "d.schedule.sigmoid_beta([o])",
    text = "Betas on a logistic curve (Xu et al. 2022, GeoDiff).",
    params = {
      { name = "o", type = "diffusion.schedule_sigmoid_beta_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "beta_end", type = "number", range = "> 0", default = "0.02", text = "beta of the last step" },
      { name = "beta_start", type = "number", range = "> 0", default = "0.0001", text = "beta of the first step" },
      { name = "rescale", type = "boolean", default = "true", text = "betas are for T = 1000 and are multiplied by 1000/T" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.sub_vp"] = {
    signature = "d.schedule.sub_vp([o])",
    text = "The sub-variance-preserving SDE has vp's signal a and the noise 1 - a^2, so a^2 + s^2 < 1 (Song et al. 2021, score SDE, eq. 29).",
    params = {
      { name = "o", type = "diffusion.schedule_sub_vp_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "beta_max", type = "number", range = "> 0", default = "20", text = "beta(1)" },
      { name = "beta_min", type = "number", range = "> 0", default = "0.1", text = "beta(0)" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.ve"] = {
    signature = "d.schedule.ve([o])",
    text = "The variance-exploding SDE has a = 1 and a geometric sigma from sigma_min to sigma_max (Song et al. 2021, score SDE, eq. 31).",
    params = {
      { name = "o", type = "diffusion.schedule_ve_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "sigma_max", type = "number", range = "> 0", default = "100", text = "sigma of level T" },
      { name = "sigma_min", type = "number", range = "> 0", default = "0.02", text = "sigma of level 1" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.vp"] = {
    signature = "d.schedule.vp([o])",
    text = "The variance-preserving SDE has ln a = -u^2 (beta_max - beta_min)/4 - u beta_min/2 with u = t/T (Song et al. 2021, score SDE, eq. 33).",
    params = {
      { name = "o", type = "diffusion.schedule_vp_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "beta_max", type = "number", range = "> 0", default = "20", text = "beta(1)" },
      { name = "beta_min", type = "number", range = "> 0", default = "0.1", text = "beta(0)" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.schedule.warmup"] = {
    signature = "d.schedule.warmup([o])",
    text = "Betas in equal steps over the first floor(fraction T) levels, and the last beta from there on (Ho et al. 2020, \"warmup10\" and \"warmup50\" of their code).",
    params = {
      { name = "o", type = "diffusion.schedule_warmup_options?", optional = true },
    },
    options = {
      { name = "T", type = "integer", range = ">= 1", default = "1000", text = "number of steps" },
      { name = "beta_end", type = "number", range = "> 0", default = "0.02", text = "beta of the last step" },
      { name = "beta_start", type = "number", range = "> 0", default = "0.0001", text = "beta of the first step" },
      { name = "fraction", type = "number", range = "(0, 1]", default = "0.1", text = "share of the levels in which beta rises" },
      { name = "rescale", type = "boolean", default = "true", text = "betas are for T = 1000 and are multiplied by 1000/T" },
    },
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["d.scope"] = {
    signature = "d.scope(fn, ...)",
    text = "Runs `fn` and frees every tensor made inside, except its results (tensors returned directly). The memory is free at once, before the collector runs. All coroutines share one stack of records and scopes. So a coroutine that yields within `fn` must be resumed, or closed, before others compute.",
    params = {
      { name = "fn", type = "function" },
      { name = "...", type = "any", text = "its arguments" },
    },
    returns = {
      { type = "any", text = "... what fn returns" },
    },
    example = "print(d.scope(function(x) return (x * x + 1):sum() end, d.ones(3)):item())",
  },
  ["d.stack"] = {
    signature = "d.stack(list, [dim])",
    text = "Stacks tensors of one shape along a new dimension.",
    params = {
      { name = "list", type = "diffusion.tensor[]" },
      { name = "dim", type = "integer", text = "its position in the result, default 1", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["d.tensor"] = {
    signature = "d.tensor(values, [opts])",
    text = "Creates a tensor from a number or a nested table. If a row is ragged or contains something else than numbers, the error names the row. i64 accepts only integers. Other types round as Tensor:to does.",
    params = {
      { name = "values", type = "number|table" },
      { name = "opts", type = "diffusion.dtype_options", optional = true },
    },
    options = {
      { name = "dtype", type = "\"f32\", \"f64\", \"f16\", \"bf16\", \"i64\" or \"u8\"", default = "\"f32\", in the verification build \"f64\"", text = "type of the numbers" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
    example = "print(d.tensor{{1, 2, 3}, {4, 5, 6}}:mean(1))",
  },
  ["d.threads"] = {
    signature = "d.threads([n])",
    text = "Returns the number of threads, and sets it. Results do not depend on it, to the bit. The default is DIFFUSION_THREADS, or the number of CPUs that this process may use.",
    params = {
      { name = "n", type = "integer", text = "1 to 256", optional = true },
    },
    returns = {
      { type = "integer" },
    },
  },
  ["d.tokenizer"] = {
    signature = "d.tokenizer(path)",
    text = "CLIP's tokenizer, as Hugging Face's CLIPTokenizer is: of a folder with vocab.json and merges.txt, or with tokenizer.json. Or that of OpenAI's bpe_simple_vocab_16e6.txt.gz, which needs no other file. Classes and lower case of characters are those of tokenizers 0.23, which knows Unicode 15 and what came later. HTML and wrong encodings in a text are not repaired. With `words` in place of a path, it has a token for each word of these texts, and <unk> for others. Its words are runs of letters and numbers in lower case, as PreTrainedTokenizerFast of transformers cuts them by its file.",
    params = {
      { name = "path", type = "string|diffusion.tokenizer_options", text = "the path, or a table of options" },
    },
    options = {
      { name = "length", type = "integer", range = "[2, 65536]", default = "the folder's model_max_length, or 77", text = "most tokens of a text, with bos and eos" },
      { name = "pad", type = "integer or string", default = "the folder's", text = "the token that fills up a text, by its id or its text" },
      { name = "path", type = "path", default = "none", text = "a folder of a tokenizer, its tokenizer.json, or a list of merges" },
      { name = "words", type = "list of strings", default = "none", text = "texts whose words are the vocabulary, in place of a path: each word is one token, others are <unk>" },
    },
    returns = {
      { type = "diffusion.tokenizer|nil", text = "tokenizer nil with a message if the files can't be read" },
      { type = "string|nil", text = "message" },
    },
    example = "local tokens = d.tokenizer{ words = { \"red apple\", \"green fox\" }, length = 6 }\nprint(tokens{ \"a red fox\" })",
  },
  ["d.trainer"] = {
    signature = "d.trainer(options)",
    text = "A training run.",
    params = {
      { name = "options", type = "diffusion.trainer_options" },
    },
    options = {
      { name = "batches", type = "batches (set:batches)", default = "required", text = "the batches" },
      { name = "model", type = "a model", default = "required", text = "the network" },
      { name = "objective", type = "objective or function", default = "required", text = "d.objective, or a function (model, x0, {class}) -> loss, details" },
      { name = "opt", type = "an optimiser (d.adamw)", default = "required", text = "the optimiser" },
      { name = "checkpoint", type = "path", default = "none", text = "file that the run resumes from and saves to" },
      { name = "ema", type = "ema or list of emas", default = "none", text = "averages that the checkpoint holds" },
      { name = "floor", type = "number", default = "none", text = "least loss, shown next to the loss; objective:floor gives it" },
      { name = "inputs", type = "function", default = "none", text = "makes inputs of the network for a batch, as pipe:inputs does of captions" },
      { name = "log", type = "path", default = "none", text = "CSV file of step, loss, lr and norm" },
      { name = "on_step", type = "function", default = "none", text = "called after each step" },
      { name = "quiet", type = "boolean", default = "false", text = "shows no progress" },
      { name = "save_every", type = "integer", range = ">= 1", default = "500", text = "steps between two saves" },
    },
    returns = {
      { type = "diffusion.trainer" },
    },
  },
  ["d.unet"] = {
    signature = "d.unet(options)",
    text = "The UNet of Ho et al. 2020 for images {B, H, W, C}, predicting C channels. It has residual blocks with time and class, and attention in the middle and at the given factors. Other H and W may be used too, if the levels divide them.",
    family = true,
    params = {
      { name = "options", type = "diffusion.unet_options" },
    },
    options = {
      { name = "image", type = "list of 3 integers", default = "required", text = "{H, W, C} of an image" },
      { name = "attention", type = "list of integers", default = "{}", text = "downsampling factors at which there is attention, as {4}" },
      { name = "blocks", type = "integer", range = ">= 1", default = "2", text = "number of residual blocks of a level; one more on the way up" },
      { name = "channels", type = "integer", range = ">= 2", default = "32", text = "channels of the first level, even" },
      { name = "classes", type = "integer", range = ">= 0", default = "0", text = "number of classes; 0 makes an unconditional network" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element inside of a block is set to 0 in training" },
      { name = "groups", type = "integer", range = ">= 1", default = "largest divisor <= 32 of the channels that leaves 4 each", text = "groups of channels of the norm" },
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads of each attention" },
      { name = "mult", type = "list of integers", default = "{1, 2, 2}", text = "channels of each level, in multiples of `channels`" },
      { name = "outputs", type = "integer", range = "[1, 2]", default = "1", text = "2 also predicts a variance: the result has twice the channels" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "self_condition", type = "boolean", default = "false", text = "the network is conditioned on its own x0, option x0 of its call; zeros if absent" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "print(d.unet{ image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, attention = { 2 }, classes = 10 })",
  },
  ["d.unet2d"] = {
    signature = "d.unet2d([options])",
    text = "UNet2DModel of diffusers, by the options of its config. false stands for null. It predicts out_channels channels of images {B, H, W, in_channels}. model(x, t) is UNet2DModel at timestep t - 1, as t counts from 1 here; see time_offset. Classes count from 1; without a class nothing is added to the embedding.",
    family = true,
    params = {
      { name = "options", type = "diffusion.unet2d_options?", optional = true },
    },
    options = {
      { name = "act_fn", type = "string", default = "\"silu\"", text = "activation of the blocks: silu, swish, mish, gelu or relu" },
      { name = "add_attention", type = "boolean", default = "true", text = "attention in the middle" },
      { name = "attention_head_dim", type = "integer in [1, 1048576] or false", range = ">= 1", default = "8", text = "width of a head of attention; false for one head" },
      { name = "attn_norm_num_groups", type = "integer", range = ">= 1", default = "none", text = "groups of the norm before the attention in the middle" },
      { name = "block_out_channels", type = "list of integers", default = "{224, 448, 672, 896}", text = "channels of each level" },
      { name = "center_input_sample", type = "boolean", default = "false", text = "2 x - 1 is read instead of x" },
      { name = "class_embed_type", type = "\"timestep\" or \"identity\"", default = "none", text = "\"timestep\": class is a number, embedded as t is; \"identity\": class is an embedding" },
      { name = "down_block_types", type = "list of strings", default = "{\"DownBlock2D\", \"AttnDownBlock2D\", \"AttnDownBlock2D\", \"AttnDownBlock2D\"}", text = "the block of each level on the way down" },
      { name = "downsample_padding", type = "integer", range = "[0, 1]", default = "1", text = "1 puts zeros around a convolution that halves an image, 0 only below and right" },
      { name = "downsample_type", type = "string or false", default = "\"conv\"", text = "the layer that halves images behind an AttnDownBlock2D" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element inside of a block is set to 0 in training" },
      { name = "flip_sin_to_cos", type = "boolean", default = "true", text = "cosines come first" },
      { name = "freq_shift", type = "integer", default = "0", text = "s of the frequencies 10000^(-k / (channels/2 - s))" },
      { name = "in_channels", type = "integer", range = ">= 1", default = "3", text = "channels of x" },
      { name = "layers_per_block", type = "integer", range = ">= 1", default = "2", text = "residual blocks of a level; one more on the way up" },
      { name = "mid_block_scale_factor", type = "number", default = "1", text = "divides the results of the blocks in the middle" },
      { name = "mid_block_type", type = "string or false", default = "\"UNetMidBlock2D\"", text = "the block in the middle, false for none" },
      { name = "norm_eps", type = "number", range = "> 0", default = "1e-5", text = "added to the variance of norms" },
      { name = "norm_num_groups", type = "integer in [1, 1048576] or false", range = ">= 1", default = "32", text = "groups of the norms; false for a quarter of the channels, at most 32" },
      { name = "num_class_embeds", type = "integer", range = ">= 1", default = "none", text = "number of classes, if class_embed_type is nil" },
      { name = "num_heads", type = "integer", range = ">= 1", default = "none", text = "number of heads of each attention, in place of attention_head_dim" },
      { name = "num_train_timesteps", type = "integer", range = ">= 1", default = "none", text = "rows of the table of time_embedding_type = \"learned\"" },
      { name = "out_channels", type = "integer", range = ">= 1", default = "3", text = "channels of the result" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "resnet_time_scale_shift", type = "\"default\" or \"scale_shift\"", default = "\"default\"", text = "\"scale_shift\": the embedding scales and shifts the second norm of a block; \"default\" adds it" },
      { name = "sample_size", type = "integer or list of 2 integers", range = ">= 1", default = "none", text = "height and width of the images that it was trained on; one number or both" },
      { name = "time_embedding_dim", type = "integer", range = ">= 1", default = "none", text = "width of the embedding of t; if nil, 4 times the first channels" },
      { name = "time_embedding_type", type = "\"positional\", \"fourier\" or \"learned\"", default = "\"positional\"", text = "waves of t, Fourier features of ln t, or rows of a table by t" },
      { name = "time_factor", type = "number", range = "> 0", default = "1", text = "factor of timesteps, as of networks that count to 1000" },
      { name = "time_offset", type = "number", default = "1, or 0 if time_embedding_type is \"fourier\"", text = "model(x, t) is UNet2DModel at timestep t - time_offset" },
      { name = "time_width", type = "integer", range = ">= 1", default = "none", text = "width of the waves of t; the first channels if nil" },
      { name = "up_block_types", type = "list of strings", default = "{\"AttnUpBlock2D\", \"AttnUpBlock2D\", \"AttnUpBlock2D\", \"UpBlock2D\"}", text = "the block of each level on the way up" },
      { name = "upsample_type", type = "string or false", default = "\"conv\"", text = "the layer that doubles images behind an AttnUpBlock2D" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local model = d.unet2d{ block_out_channels = { 32, 64 }, num_class_embeds = 10,\n  down_block_types = { \"DownBlock2D\", \"AttnDownBlock2D\" }, up_block_types = { \"AttnUpBlock2D\", \"UpBlock2D\" } }\nprint(model(d.randn(4, 16, 16, 3), 500, { class = 3 }))",
  },
  ["d.unet2dcondition"] = {
    signature = "d.unet2dcondition([options])",
    text = "UNet2DConditionModel of diffusers, by the options of its config. false stands for null. It predicts out_channels channels of images {B, H, W, in_channels}, conditioned on `context`, the states of a text {B, N, width}. A mask of whole numbers {B, N} hides tokens of the context that are 0. model(x, t) is UNet2DConditionModel at timestep t - 1, as t counts from 1 here; see time_offset. Options of the call are its inputs by name: class, context, mask, text_embeds and time_ids of Stable Diffusion XL, image_embeds, hint, time_cond.",
    family = true,
    params = {
      { name = "options", type = "diffusion.unet2dcondition_options?", optional = true },
    },
    options = {
      { name = "act_fn", type = "string", default = "\"silu\"", text = "activation of the blocks and of the embedding of the time: silu, swish, mish, gelu or relu" },
      { name = "addition_embed_type", type = "\"text\", \"text_image\", \"text_time\", \"image\" or \"image_hint\"", default = "none", text = "an embedding that is added: of the context, of text_embeds with image_embeds or time_ids, or of image_embeds" },
      { name = "addition_embed_type_num_heads", type = "integer", range = ">= 1", default = "64", text = "heads of the attention of addition_embed_type = \"text\"" },
      { name = "addition_time_embed_dim", type = "integer", range = ">= 1", default = "none", text = "width of the waves of each of time_ids" },
      { name = "attention_head_dim", type = "integer or list of integers", range = ">= 1", default = "8", text = "the number of heads, in spite of its name; the width of a head in blocks of the types Attn, SimpleCrossAttn and KCrossAttn" },
      { name = "attention_type", type = "\"default\"", default = "\"default\"", text = "the one kind that is followed; kept for the config" },
      { name = "block_out_channels", type = "list of integers", default = "{320, 640, 1280, 1280}", text = "channels of each level" },
      { name = "center_input_sample", type = "boolean", default = "false", text = "2 x - 1 is read instead of x" },
      { name = "class_embed_type", type = "\"timestep\", \"identity\", \"projection\" or \"simple_projection\"", default = "none", text = "\"timestep\": class is a number, embedded as t is; \"identity\": an embedding; \"projection\" and \"simple_projection\": a row that two products or one make an embedding of" },
      { name = "class_embeddings_concat", type = "boolean", default = "false", text = "the embedding of the class is behind that of the time, not added to it" },
      { name = "conv_in_kernel", type = "integer", range = ">= 1", default = "3", text = "height and width of the first convolution's kernel, odd" },
      { name = "conv_out_kernel", type = "integer", range = ">= 1", default = "3", text = "height and width of the last convolution's kernel, odd" },
      { name = "cross_attention_dim", type = "integer or list of integers", range = ">= 1", default = "1280", text = "width of the context; one for all levels, or one for each" },
      { name = "cross_attention_norm", type = "\"layer_norm\" or \"group_norm\"", default = "none", text = "norm of the context in blocks of the type SimpleCrossAttn" },
      { name = "down_block_types", type = "list of strings", default = "{\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", \"DownBlock2D\"}", text = "the block of each level on the way down" },
      { name = "downsample_padding", type = "integer", range = "[0, 1]", default = "1", text = "1 puts zeros around a convolution that halves an image, 0 only below and right" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element inside of a block is set to 0 in training" },
      { name = "dual_cross_attention", type = "boolean", default = "false", text = "diffusers can't run it any more, and it is refused for CrossAttn blocks" },
      { name = "encoder_hid_dim", type = "integer", range = ">= 1", default = "none", text = "width of the context that is projected to cross_attention_dim" },
      { name = "encoder_hid_dim_type", type = "\"text_proj\", \"text_image_proj\" or \"image_proj\"", default = "none, or text_proj with encoder_hid_dim", text = "the context is projected from a text, a text and a picture, or a picture: text_proj, text_image_proj or image_proj" },
      { name = "flip_sin_to_cos", type = "boolean", default = "true", text = "cosines come first" },
      { name = "freq_shift", type = "integer", default = "0", text = "s of the frequencies 10000^(-k / (channels/2 - s))" },
      { name = "in_channels", type = "integer", range = ">= 1", default = "4", text = "channels of x; with a hint, four of them are the hint's" },
      { name = "layers_per_block", type = "integer or list of integers", range = ">= 1", default = "2", text = "residual blocks of a level; one more on the way up; one for all levels, or one for each" },
      { name = "mid_block_only_cross_attention", type = "boolean", default = "only_cross_attention, if that is one boolean", text = "the same for the middle of the type SimpleCrossAttn" },
      { name = "mid_block_scale_factor", type = "number", default = "1", text = "divides the results of the residual blocks in the middle" },
      { name = "mid_block_type", type = "string or false", default = "\"UNetMidBlock2DCrossAttn\"", text = "the block in the middle, false for none" },
      { name = "norm_eps", type = "number", range = "> 0", default = "1e-5", text = "added to the variance of norms" },
      { name = "norm_num_groups", type = "integer in [1, 1048576] or false", range = ">= 1", default = "32", text = "groups of the norms; false for K blocks, and no norm before the last convolution" },
      { name = "num_attention_heads", type = "nil", range = ">= 1", default = "none", text = "can't be given, as in diffusers: attention_head_dim has the number" },
      { name = "num_class_embeds", type = "integer", range = ">= 1", default = "none", text = "number of classes, if class_embed_type is nil" },
      { name = "only_cross_attention", type = "boolean or list of booleans", default = "false", text = "the first attention of a transformer block is to the context too; one for all levels, or one for each" },
      { name = "out_channels", type = "integer", range = ">= 1", default = "4", text = "channels of the result" },
      { name = "projection_class_embeddings_input_dim", type = "integer", range = ">= 1", default = "none", text = "width of the class that is projected, or of text_embeds and the waves of time_ids together" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "resnet_out_scale_factor", type = "number", default = "1", text = "divides the results of residual blocks of these types" },
      { name = "resnet_skip_time_act", type = "boolean", default = "false", text = "the embedding isn't activated in blocks of the types Resnet and SimpleCrossAttn" },
      { name = "resnet_time_scale_shift", type = "\"default\" or \"scale_shift\"", default = "\"default\"", text = "\"scale_shift\": the embedding scales and shifts the second norm of a block; \"default\" adds it" },
      { name = "reverse_transformer_layers_per_block", type = "list of integers or lists of integers", default = "none", text = "the same on the way up, from the deepest level" },
      { name = "sample_size", type = "integer or list of 2 integers", range = ">= 1", default = "none", text = "height and width of the images that it was trained on; one number or both" },
      { name = "time_cond_proj_dim", type = "integer", range = ">= 1", default = "none", text = "width of time_cond, which is added to the waves of t" },
      { name = "time_embedding_act_fn", type = "string", default = "none", text = "activation of the whole embedding: as act_fn" },
      { name = "time_embedding_dim", type = "integer", range = ">= 1", default = "none", text = "width of the embedding of t; if nil, 4 times the first channels, with Fourier features 2 times" },
      { name = "time_embedding_type", type = "\"positional\" or \"fourier\"", default = "\"positional\"", text = "waves of t, or Fourier features of it" },
      { name = "time_offset", type = "number", default = "1, or 0 if time_embedding_type is \"fourier\"", text = "model(x, t) is UNet2DConditionModel at timestep t - time_offset" },
      { name = "timestep_post_act", type = "string", default = "none", text = "activation of the embedding of t: as act_fn" },
      { name = "transformer_layers_per_block", type = "integer or list of integers or lists of integers", range = ">= 0", default = "1", text = "transformer blocks behind a residual block; one for all levels, or for each level one or a list" },
      { name = "up_block_types", type = "list of strings", default = "{\"UpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"}", text = "the block of each level on the way up" },
      { name = "upcast_attention", type = "boolean", default = "false", text = "attention is in float32 anyway; kept for the config" },
      { name = "use_linear_projection", type = "boolean", default = "false", text = "the products around transformer blocks are of tokens, not 1x1 convolutions" },
    },
    returns = {
      { type = "diffusion.model" },
    },
    example = "local model = d.unet2dcondition{ block_out_channels = { 32, 64 }, cross_attention_dim = 16,\n  down_block_types = { \"CrossAttnDownBlock2D\", \"DownBlock2D\" },\n  up_block_types = { \"UpBlock2D\", \"CrossAttnUpBlock2D\" } }\nprint(model(d.randn(2, 16, 16, 4), 500, { context = d.randn(2, 77, 16) }))",
  },
  ["d.vq"] = {
    signature = "d.vq([options])",
    text = "VQModel of diffusers, by the options of its config. It is an autoencoder with methods encode and decode. Called with images {B, H, W, C}, it returns the decoded ones and the loss of the codebook.",
    family = true,
    params = {
      { name = "options", type = "diffusion.vq_options?", optional = true },
    },
    options = {
      { name = "act_fn", type = "\"silu\", \"swish\", \"mish\", \"gelu\" or \"relu\"", default = "\"silu\"", text = "activation of the residual blocks" },
      { name = "beta", type = "number", range = ">= 0", default = "0.25", text = "weight of the smaller term of the codebook's loss" },
      { name = "block_out_channels", type = "list of integers", default = "{64}", text = "channels of each level" },
      { name = "down_block_types", type = "list of strings", default = "{\"DownEncoderBlock2D\"}", text = "the type of each level of the encoder" },
      { name = "force_upcast", type = "boolean", default = "false", text = "activations are in float32 anyway; kept for the config" },
      { name = "in_channels", type = "integer", range = ">= 1", default = "3", text = "channels of an image" },
      { name = "latent_channels", type = "integer", range = ">= 1", default = "3", text = "channels that the encoder ends with" },
      { name = "layers_per_block", type = "integer", range = ">= 1", default = "1", text = "residual blocks of a level of the encoder; one more in the decoder" },
      { name = "legacy", type = "boolean", default = "true", text = "beta weighs the term that moves the codebook, as in diffusers; false: the term that moves the latents, as in the paper" },
      { name = "lookup_from_codebook", type = "boolean", default = "false", text = "decode(z, { force_not_quantize = true }) takes rows of the codebook" },
      { name = "mid_block_add_attention", type = "boolean", default = "true", text = "attention between the two middle blocks" },
      { name = "norm_num_groups", type = "integer", range = ">= 1", default = "32", text = "groups of the norms" },
      { name = "norm_type", type = "\"group\" or \"spatial\"", default = "\"group\"", text = "\"spatial\": the norms of the decoder are conditioned on the latents (Zheng et al. 2022)" },
      { name = "num_vq_embeddings", type = "integer", range = ">= 1", default = "256", text = "rows of the codebook" },
      { name = "out_channels", type = "integer", range = ">= 1", default = "3", text = "channels of a decoded image" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes blocks in the backward pass: the same bits, less memory, a third more time" },
      { name = "sample_size", type = "integer", range = ">= 1", default = "32", text = "height and width of the images that it was trained on; kept for the config" },
      { name = "scaling_factor", type = "number", range = "> 0", default = "0.18215", text = "latents are multiplied by it in a pipeline; kept for the config" },
      { name = "up_block_types", type = "list of strings", default = "{\"UpDecoderBlock2D\"}", text = "the type of each level of the decoder" },
      { name = "vq_embed_dim", type = "integer", range = ">= 1", default = "latent_channels", text = "width of a row of the codebook" },
    },
    returns = {
      { type = "diffusion.vq" },
    },
    example = "local levels = { \"DownEncoderBlock2D\", \"DownEncoderBlock2D\" }\nlocal model = d.vq{ block_out_channels = { 32, 32 }, down_block_types = levels,\n  up_block_types = { \"UpDecoderBlock2D\", \"UpDecoderBlock2D\" } }\nlocal x = d.randn(1, 16, 16, 3)\nlocal decoded, loss = model(x)\nprint(model:encode(x), decoded, loss)",
  },
  ["d.warnings"] = {
    signature = "d.warnings(where)",
    text = "Sends warnings about likely mistakes to stderr (the default), nowhere, or to a function. Each kind of warning is given once per model, objective or optimiser.",
    params = {
      { name = "where", type = "boolean|fun(message: string)", text = "true is stderr, false is nowhere" },
    },
    example = "d.warnings(function(message) print(\"note: \" .. message) end)\nd.warnings(true)",
  },
  ["d.where"] = {
    signature = "d.where(mask, a, b)",
    text = "Elements of a if the mask is not 0, else of b.",
    params = {
      { name = "mask", type = "diffusion.tensor" },
      { name = "a", type = "diffusion.tensor|number" },
      { name = "b", type = "diffusion.tensor|number" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the broadcast shape of all three; i64 if a and b are integers and one of them is an integer tensor" },
    },
  },
  ["d.zeros"] = {
    signature = "d.zeros(shape, [opts])",
    text = "A tensor filled with zeros.",
    params = {
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list of them" },
      { name = "opts", type = "diffusion.dtype_options", optional = true },
    },
    options = {
      { name = "dtype", type = "\"f32\", \"f64\", \"f16\", \"bf16\", \"i64\" or \"u8\"", default = "\"f32\", in the verification build \"f64\"", text = "type of the numbers" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["data_course"] = {
    signature = "data_course",
    text = "The course of a set's batches.",
    params = {
      { name = "counts", type = "integer[]", text = "number of examples in each bucket" },
      { name = "totals", type = "number[]", text = "number of examples of each bucket in all batches, infinite if there is no end" },
      { name = "size", type = "integer" },
      { name = "seed", type = "integer" },
      { name = "shuffle", type = "boolean" },
      { name = "epoch", type = "table|nil", text = "{before = batches until it, list = {bucket, batch}}" },
    },
  },
  ["decay half_life"] = {
    signature = "decay = {\"half_life\", ...}",
    text = "half of a value is left after `steps` updates: Karras et al. 2022",
    options = {
      { name = "steps", type = "number", range = "> 0", default = "required", text = "the half-life" },
      { name = "ramp", type = "number", range = "> 0", default = "0.05", text = "the half-life is at most this share of the updates so far" },
    },
  },
  ["decay power"] = {
    signature = "decay = {\"power\", ...}",
    text = "a power average: Karras et al. 2024, section 3.1",
    options = {
      { name = "sigma_rel", type = "number", range = "(0, 0.28867513459481)", default = "0.05", text = "standard deviation of the average's profile over 0..1" },
    },
  },
  ["decay warmup"] = {
    signature = "decay = {\"warmup\", ...}",
    text = "1 - (1 + k/inv_gamma)^-power at update k: diffusers and k-diffusion",
    options = {
      { name = "inv_gamma", type = "number", range = "> 0", default = "1", text = "inverse of gamma" },
      { name = "max", type = "number", range = "[0, 1)", default = "0.9999", text = "greatest decay" },
      { name = "power", type = "number", range = "> 0", default = "2/3", text = "power of the formula" },
    },
  },
  ["ema"] = {
    signature = "ema",
    text = "A running average of a model's values. It is a denoiser like the model.",
    params = {
      { name = "updates", type = "integer", text = "number of updates; can be set" },
    },
  },
  ["ema()"] = {
    signature = "ema(xt, t, [options])",
    text = "The model's output with the average's values. They are exchanged around the call.",
    params = {
      { name = "xt", type = "diffusion.tensor", text = "{B, ...}" },
      { name = "t", type = "number|number[]|diffusion.tensor" },
      { name = "options", type = "diffusion.model_call_options?", optional = true },
    },
    options = {
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "x0", type = "tensor", default = "zeros", text = "its last predicted x0, for a network with self_condition" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["ema:config"] = {
    signature = "ema:config()",
    text = "The config of its model.",
    returns = {
      { type = "table" },
    },
  },
  ["ema:load_state"] = {
    signature = "ema:load_state(state)",
    text = "Copies averages in, by name. The number of updates is the field `updates`. If it is 0, the next update copies the model. The state of an adopted parameter must be its value.",
    params = {
      { name = "state", type = "table<string, any>" },
    },
    returns = {
      { type = "diffusion.ema", text = "self" },
    },
  },
  ["ema:snapshot"] = {
    signature = "ema:snapshot(path)",
    text = "Writes a power average to a file for d.posthoc_ema.",
    params = {
      { name = "path", type = "string" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the file can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["ema:state"] = {
    signature = "ema:state()",
    text = "The averages by name, as windows on them. load_state takes them, and so does the model's.",
    returns = {
      { type = "table<string, any>" },
    },
  },
  ["ema:update"] = {
    signature = "ema:update()",
    text = "Updates the average from the model's values. An optimiser that was given the average calls it.",
    returns = {
      { type = "diffusion.ema", text = "self" },
    },
  },
  ["error huber"] = {
    signature = "error = {\"huber\", ...}",
    text = "square below delta, straight above",
    options = {
      { name = "delta", type = "number", range = "> 0", default = "1", text = "error from which on the loss is straight" },
    },
  },
  ["error l1"] = {
    signature = "error = \"l1\"",
    text = "mean absolute value",
  },
  ["error mse"] = {
    signature = "error = \"mse\"",
    text = "mean square",
  },
  ["error pseudo_huber"] = {
    signature = "error = {\"pseudo_huber\", ...}",
    text = "sqrt(mse + c^2) - c: Song & Dhariwal 2024, section 3.3, over sqrt(D)",
    options = {
      { name = "c", type = "number", range = "> 0", default = "0.00054", text = "c of the formula" },
    },
  },
  ["generator"] = {
    signature = "generator",
    text = "A source of random numbers with its own counter. Each call returns the next numbers.",
  },
  ["generator:bernoulli"] = {
    signature = "generator:bernoulli(p, [shape], [opts])",
    text = "1 with probability p (to 2^-24), else 0. A dropout mask has p = the fraction kept.",
    params = {
      { name = "p", type = "number", text = "in [0, 1]" },
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list; default: one number", optional = true },
      { name = "opts", type = "diffusion.draw_one_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator", default = "none", text = "source of the numbers, in place of a seed" },
    },
    returns = {
      { type = "diffusion.tensor", text = "elements 1 and 0" },
    },
    example = "print(d.bernoulli(0.3, 4, { seed = 1 }))",
  },
  ["generator:clone"] = {
    signature = "generator:clone()",
    text = "A second generator that draws the same numbers.",
    returns = {
      { type = "diffusion.generator" },
    },
  },
  ["generator:rand"] = {
    signature = "generator:rand([shape], [opts])",
    text = "Uniform numbers in (0, 1).",
    params = {
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list; default: one number", optional = true },
      { name = "opts", type = "diffusion.draw_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "source of the numbers, in place of a seed; a list has one for each sample, which is drawn as it would be alone" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["generator:randint"] = {
    signature = "generator:randint(low, high, [shape], [opts])",
    text = "Draws uniform integers in low..high, exact to 2^-64 of the size of the interval.",
    params = {
      { name = "low", type = "integer" },
      { name = "high", type = "integer", text = ">= low, inclusive" },
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list; default: one number", optional = true },
      { name = "opts", type = "diffusion.draw_one_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator", default = "none", text = "source of the numbers, in place of a seed" },
    },
    returns = {
      { type = "diffusion.tensor", text = "i64" },
    },
  },
  ["generator:randn"] = {
    signature = "generator:randn([shape], [opts])",
    text = "Standard normal numbers. With two or more dimensions, the first counts samples. With a seed, sample k has the same bits in any batch.",
    params = {
      { name = "shape", type = "integer|integer[]", text = "sizes, or one list; default: one number", optional = true },
      { name = "opts", type = "diffusion.draw_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "source of the numbers, in place of a seed; a list has one for each sample, which is drawn as it would be alone" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["generator:randperm"] = {
    signature = "generator:randperm(n, [opts])",
    text = "A random permutation of 1..n.",
    params = {
      { name = "n", type = "integer", text = ">= 0" },
      { name = "opts", type = "diffusion.draw_one_options", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the numbers" },
      { name = "generator", type = "generator", default = "none", text = "source of the numbers, in place of a seed" },
    },
    returns = {
      { type = "diffusion.tensor", text = "i64 {n}" },
    },
  },
  ["generator:set_state"] = {
    signature = "generator:set_state(text)",
    text = "Continues from a state that state() returned.",
    params = {
      { name = "text", type = "string", text = "must be the state of a generator of the same kind" },
    },
    returns = {
      { type = "diffusion.generator", text = "itself" },
    },
  },
  ["generator:state"] = {
    signature = "generator:state()",
    text = "The state of the generator, for set_state on this machine or one of the same kind.",
    returns = {
      { type = "string" },
    },
  },
  ["grid"] = {
    signature = "grid",
    text = "The times that a sampler visits: a list of {t, s}, later time first.",
    params = {
      { name = "name", type = "string" },
      { name = "T", type = "integer" },
      { name = "schedule", type = "diffusion.schedule|nil" },
      { name = "last", type = "number", text = "the level at which the last step ends: 0 is the data" },
    },
  },
  ["grid:times"] = {
    signature = "grid:times()",
    text = "The times t of the steps, without the final 0.",
    returns = {
      { type = "number[]" },
    },
  },
  ["hub_folder"] = {
    signature = "hub_folder",
    text = "A folder that was listed.",
    params = {
      { name = "path", type = "string" },
      { name = "files", type = "table<string, boolean>", text = "the names of its files, also of links that lead nowhere" },
      { name = "folders", type = "table<string, boolean>" },
    },
  },
  ["interval"] = {
    signature = "interval",
    text = "",
    params = {
      { name = "low", type = "number", text = "the true value lies between low and high with a probability of `level`" },
      { name = "high", type = "number" },
      { name = "level", type = "number", text = "0.95" },
      { name = "method", type = "string", text = "the method that found low and high" },
      { name = "n", type = "integer[]", text = "number of samples of each set" },
      { name = "bias", type = "string|number", text = "direction of the value's bias as a sentence, or its approximate size" },
      { name = "se", type = "number|nil", text = "standard error of the value" },
      { name = "p", type = "number|nil", text = "probability of such a value, or a larger one, if both sets have one distribution" },
    },
  },
  ["inversion"] = {
    signature = "inversion",
    text = "The report of an inversion. It prints as a line.",
    params = {
      { name = "grid", type = "diffusion.grid", text = "by which ddim returns to x0" },
      { name = "evaluations", type = "integer", text = "number of evaluations of the model, including those of `check`" },
      { name = "residual", type = "number|nil", text = "for exact steps: the largest last change, as a sample's root mean square" },
      { name = "tolerance", type = "number", text = "that the residual should reach" },
      { name = "error", type = "number|nil", text = "with check: the largest distance from x0, as a sample's root mean square" },
    },
  },
  ["layer"] = {
    signature = "layer",
    text = "A part of a network, called with tensors once nn.model has given it values; its parts, if it has any, are fields.",
    params = {
      { name = "weight", type = "diffusion.tensor|nil" },
      { name = "bias", type = "diffusion.tensor|nil" },
    },
  },
  ["likelihood"] = {
    signature = "likelihood",
    text = "The result of d.likelihood.ode. It prints as two lines.",
  },
  ["lora"] = {
    signature = "lora",
    text = "Low-rank adapters on some layers of a model: y = W x + scale (alpha / rank) B A x. They are a denoiser, which calls the model with the adapters. d.adamw, d.ema, d.checkpoint and d.trainer take them as a model whose parameters are the adapters.",
    params = {
      { name = "scale", type = "number", text = "factor of all adapters, 1 at first; can be set" },
      { name = "merged", type = "boolean", text = "whether the adapters are in the model's weights" },
      { name = "enabled", type = "boolean", text = "whether they act; enable and disable set it" },
    },
  },
  ["lora()"] = {
    signature = "lora(xt, t, [options])",
    text = "The model's output with the adapters.",
    params = {
      { name = "xt", type = "diffusion.tensor", text = "{B, ...}" },
      { name = "t", type = "number|number[]|diffusion.tensor" },
      { name = "options", type = "diffusion.model_call_options?", optional = true },
    },
    options = {
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "x0", type = "tensor", default = "zeros", text = "its last predicted x0, for a network with self_condition" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["lora:config"] = {
    signature = "lora:config()",
    text = "The config of the model.",
    returns = {
      { type = "table" },
    },
  },
  ["lora:count"] = {
    signature = "lora:count()",
    text = "The number of elements of the adapters.",
    returns = {
      { type = "integer", text = "total" },
      { type = "integer", text = "trainable" },
    },
  },
  ["lora:disable"] = {
    signature = "lora:disable()",
    text = "The model computes without the adapters, with the bits that it had before them. Their values stay.",
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora:enable"] = {
    signature = "lora:enable()",
    text = "Lets the adapters act again after disable.",
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora:eval"] = {
    signature = "lora:eval()",
    text = "Turns dropout off, in the model and in the adapters.",
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora:freeze"] = {
    signature = "lora:freeze([pattern])",
    text = "Freezes the adapters whose names match.",
    params = {
      { name = "pattern", type = "string|string[]|nil", text = "a Lua pattern, or a list of them; all if nil", optional = true },
    },
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora:load"] = {
    signature = "lora:load(path)",
    text = "Reads values from a file into these adapters. It must have the same layers and ranks; nn.lora(model, { load = path }) makes adapters as they are in a file.",
    params = {
      { name = "path", type = "string", text = "as for save" },
    },
    returns = {
      { type = "diffusion.lora|nil", text = "self nil with a message, and nothing changed, if they don't fit" },
      { type = "string|nil", text = "message" },
    },
  },
  ["lora:load_state"] = {
    signature = "lora:load_state(state)",
    text = "Copies values in, by name. The state must have all of the adapters' values, of the same shapes, and nothing else.",
    params = {
      { name = "state", type = "table<string, any>" },
    },
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora:merge"] = {
    signature = "lora:merge()",
    text = "Adds the adapters' products to the model's weights: the same function at the speed of the model alone. Adopted weights, as those of a mapped file, are replaced by sums in f32, and the file is not touched. The weights without adapters are kept for unmerge. A gradient no longer reaches the adapters.",
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora:parameters"] = {
    signature = "lora:parameters()",
    text = "Iterates over names and values: \"PATH.lora_A.weight\" and \"PATH.lora_B.weight\" for each layer.",
    returns = {
      { type = "function", text = "iterator" },
    },
  },
  ["lora:remove"] = {
    signature = "lora:remove()",
    text = "Removes the adapters from the model, which stays frozen. Merged ones stay in its weights for good.",
    returns = {
      { type = "diffusion.model", text = "model without them" },
    },
  },
  ["lora:save"] = {
    signature = "lora:save(path, [options])",
    text = "Writes the adapters as diffusers does, or as kohya's scripts do, under their names of the layers if the network has such. The factor `scale` is not saved.",
    params = {
      { name = "path", type = "string", text = "a file, or a folder, which gets pytorch_lora_weights.safetensors" },
      { name = "options", type = "diffusion.lora_save_options?", optional = true },
    },
    options = {
      { name = "form", type = "\"diffusers\" or \"kohya\"", default = "\"diffusers\"", text = "names in the file: those of diffusers and peft, or of kohya's scripts" },
      { name = "prefix", type = "string", default = "by the network", text = "the network's part of a pipeline: unet, text_encoder" },
      { name = "weights", type = "lora or ema", default = "the adapters'", text = "an average whose values are saved" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the file can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["lora:state"] = {
    signature = "lora:state()",
    text = "The adapters' values by name, as windows on them.",
    returns = {
      { type = "table<string, any>" },
    },
  },
  ["lora:train"] = {
    signature = "lora:train()",
    text = "Turns dropout on again, inside d.record.",
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora:unfreeze"] = {
    signature = "lora:unfreeze([pattern])",
    text = "Undoes freeze.",
    params = {
      { name = "pattern", type = "string|string[]|nil", text = "a Lua pattern, or a list of them; all if nil", optional = true },
    },
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora:unmerge"] = {
    signature = "lora:unmerge()",
    text = "Takes merged adapters out of the weights, which get back the bits that they had.",
    returns = {
      { type = "diffusion.lora", text = "self" },
    },
  },
  ["lora_part"] = {
    signature = "lora_part",
    text = "The adapters of one part of a pipeline, as a file has them.",
    params = {
      { name = "prefix", type = "string", text = "the part's name there: \"unet\"" },
      { name = "list", type = "table[]", text = "{name = their path, flat = the same as kohya's scripts write it, rank, alpha, down, up = tensors}" },
      { name = "dropout", type = "number" },
    },
  },
  ["model"] = {
    signature = "model",
    text = "A network with values, made by d.mlp and similar functions, d.network, nn.model or d.load_model. It is a denoiser. The fields of the network can be read as its own.",
  },
  ["model()"] = {
    signature = "model(xt, t, [options])",
    text = "The network's prediction for xt at level t. A network for another use is called as its forward requires.",
    params = {
      { name = "xt", type = "diffusion.tensor", text = "{B, ...}" },
      { name = "t", type = "number|number[]|diffusion.tensor", text = "one level, or one a sample {B}" },
      { name = "options", type = "diffusion.model_call_options?", text = "and the named inputs of a network of d.network", optional = true },
    },
    options = {
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "x0", type = "tensor", default = "zeros", text = "its last predicted x0, for a network with self_condition" },
    },
    returns = {
      { type = "diffusion.tensor", text = "as xt: the target that its process's `predict` names" },
    },
  },
  ["model:config"] = {
    signature = "model:config()",
    text = "A plain table from which the same network can be built: {kind = \"unet\", channels = ...}. A network composed in Lua has only its name: {kind = \"module\", name = \"net\"}. Its constructor builds it.",
    returns = {
      { type = "table" },
    },
  },
  ["model:count"] = {
    signature = "model:count()",
    text = "The number of elements of the parameters.",
    returns = {
      { type = "integer", text = "total" },
      { type = "integer", text = "trainable" },
    },
  },
  ["model:eval"] = {
    signature = "model:eval()",
    text = "Turns dropout off. It acts only inside d.record in any case.",
    returns = {
      { type = "diffusion.model", text = "self" },
    },
  },
  ["model:freeze"] = {
    signature = "model:freeze([pattern])",
    text = "Freezes the parameters whose names match. They get no gradient, no moments and no step. The model's accumulated gradients are dropped.",
    params = {
      { name = "pattern", type = "string|string[]|nil", text = "a Lua pattern, or a list of them; all if nil", optional = true },
    },
    returns = {
      { type = "diffusion.model", text = "self" },
    },
  },
  ["model:load"] = {
    signature = "model:load(path, [options])",
    text = "Reads the values of a model file into this model. As for d.load_model, the file must not be truncated meanwhile, unless copy = true.",
    params = {
      { name = "path", type = "string" },
      { name = "options", type = "diffusion.model_load_options?", optional = true },
    },
    options = {
      { name = "copy", type = "boolean", default = "false", text = "reads into memory instead of mapping the file" },
    },
    returns = {
      { type = "diffusion.model|nil", text = "self nil with a message, and nothing changed, if they don't fit" },
      { type = "string|nil", text = "message" },
    },
  },
  ["model:load_state"] = {
    signature = "model:load_state(state)",
    text = "Copies values in, by name. The state must have every parameter, of the same shape, and nothing else.",
    params = {
      { name = "state", type = "table<string, any>" },
    },
    returns = {
      { type = "diffusion.model", text = "self" },
    },
  },
  ["model:parameters"] = {
    signature = "model:parameters()",
    text = "Iterates over names and parameters in order: `for name, p in model:parameters() do`. A parameter is a tensor; its gradient is p.grad.",
    returns = {
      { type = "function", text = "iterator" },
    },
  },
  ["model:save"] = {
    signature = "model:save(path, [options])",
    text = "Writes the model as one file: its values (or an average's), its config, the target that an objective trained it for, and the process. A process of another target is an error. Weights in blocks become f16.",
    params = {
      { name = "path", type = "string" },
      { name = "options", type = "diffusion.model_save_options?", optional = true },
    },
    options = {
      { name = "process", type = "process", default = "none", text = "the process that is saved with it" },
      { name = "weights", type = "model or ema", default = "the model's", text = "an average whose values are saved" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the file can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["model:state"] = {
    signature = "model:state()",
    text = "The parameters by name, as windows on the model's values.",
    returns = {
      { type = "table<string, any>" },
    },
  },
  ["model:train"] = {
    signature = "model:train()",
    text = "Turns dropout on again, inside d.record.",
    returns = {
      { type = "diffusion.model", text = "self" },
    },
  },
  ["model:unfreeze"] = {
    signature = "model:unfreeze([pattern])",
    text = "Undoes freeze. Adopted parameters are copied to f32 first.",
    params = {
      { name = "pattern", type = "string|string[]|nil", text = "a Lua pattern, or a list of them; all if nil", optional = true },
    },
    returns = {
      { type = "diffusion.model", text = "self" },
    },
  },
  ["mpi"] = {
    signature = "mpi",
    text = "The ranks that mpirun started: d.mpi, or the module diffusion.mpi. It is there if the library was built with MPI; d.help \"scale\" says how to get it. All ranks must make these calls.",
    params = {
      { name = "rank", type = "integer", text = "the number of this rank, from 0" },
      { name = "size", type = "integer", text = "the number of ranks" },
      { name = "host", type = "string", text = "the name of this rank's machine" },
      { name = "barrier", type = "fun()", text = "waits for all ranks" },
      { name = "broadcast", type = "fun(x: any, from: integer?): any", text = "a tensor, a model, an average or a table of tensors gets the values of rank `from`, 0 by default" },
      { name = "all_reduce", type = "fun(x: number|diffusion.tensor): number|diffusion.tensor", text = "the sum over all ranks" },
      { name = "gather", type = "fun(x: number|diffusion.tensor): diffusion.tensor", text = "the rows of all ranks, one after another" },
    },
  },
  ["net"] = {
    signature = "net",
    text = "A network that is being written by the function `build` of d.network. Each method adds a layer and returns its value. Inputs are fields: net.x, net.t.",
  },
  ["net:activation"] = {
    signature = "net:activation([path], inputs, [options])",
    text = "An activation by name.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_activation_options?", optional = true },
    },
    options = {
      { name = "act", type = "\"none\", \"silu\", \"relu\", \"gelu\", \"mish\" or \"tanh\"", default = "\"silu\"", text = "its name" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:add"] = {
    signature = "net:add([path], inputs, [options])",
    text = "The sum of two values; the first alone if the second is absent.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_add_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:again"] = {
    signature = "net:again(path, given)",
    text = "Calls the part at a path again, with the same parameters.",
    params = {
      { name = "path", type = "string" },
      { name = "given", type = "diffusion.value|diffusion.value[]" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:attend"] = {
    signature = "net:attend([path], inputs, [options])",
    text = "Attention of queries, keys and values that are there already, with a fourth input as mask.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_attend_options?", optional = true },
    },
    options = {
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads, which divides the width" },
      { name = "own", type = "boolean", default = "false", text = "the last keys are those of the queries' own tokens, for which the mask has no place" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:attention"] = {
    signature = "net:attention([path], inputs, [options])",
    text = "Multi-head attention of x, over a second input if given, with a third as mask.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_attention_options?", optional = true },
    },
    options = {
      { name = "bias", type = "boolean", default = "true", text = "the last product has a bias" },
      { name = "causal", type = "boolean", default = "false", text = "token i attends to tokens 1 .. i" },
      { name = "context", type = "integer", range = ">= 1", default = "width of the context", text = "width of the context that keys and values are computed from" },
      { name = "fused", type = "boolean", default = "true without a context", text = "q, k and v have one weight" },
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads, which divides the width" },
      { name = "init", type = "\"usual\" or \"zero\"", default = "\"usual\"", text = "\"usual\" draws first values uniformly within 1/sqrt(fan in), \"zero\" starts at 0" },
      { name = "inner", type = "integer", range = ">= 1", default = "width of the input", text = "width of q, k and v, which the heads divide" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "qkv_bias", type = "boolean", default = "true", text = "q, k and v have a bias" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:attention_block"] = {
    signature = "net:attention_block([path], inputs, [options])",
    text = "x + attention(group_norm(x)).",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_attention_block_options?", optional = true },
    },
    options = {
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "groups", type = "integer", range = ">= 1", default = "largest divisor <= 32 of the channels that leaves 4 each", text = "groups of channels of the norm" },
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads, which divides the width" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:attention_pool"] = {
    signature = "net:attention_pool([path], inputs, [options])",
    text = "A row for a sequence of tokens: the attention of their mean, plus a learned vector, to them and to itself.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_attention_pool_options?", optional = true },
    },
    options = {
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads, which divides the width" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:avg_pool"] = {
    signature = "net:avg_pool([path], inputs, [options])",
    text = "Means of times x times pixels.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_avg_pool_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "times", type = "integer", range = "[1, 64]", default = "2", text = "divides height and width" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:block"] = {
    signature = "net:block(path, given, [options], fn)",
    text = "Adds a network inside of this one, as one step. Its inputs are named x, y, z, u, v, w in the order of the list.",
    params = {
      { name = "path", type = "string" },
      { name = "given", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_block_options?", optional = true },
      { name = "fn", type = "fun(b: diffusion.net, ...: diffusion.value): diffusion.value" },
    },
    options = {
      { name = "name", type = "string", default = "\"block\"", text = "the block's name in print(model)" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "text", type = "string", default = "\"\"", text = "its description in print(model)" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:cat"] = {
    signature = "net:cat([path], inputs, [options])",
    text = "Values joined along the last dimension.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_cat_options?", optional = true },
    },
    options = {
      { name = "fill", type = "boolean", default = "false", text = "an absent second value counts as zeros of the first's shape" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:chunk"] = {
    signature = "net:chunk([path], inputs, [options])",
    text = "One of equal pieces of the last dimension.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_chunk_options?", optional = true },
    },
    options = {
      { name = "at", type = "integer", range = ">= 1", default = "1", text = "which piece, from 1" },
      { name = "pieces", type = "integer", range = ">= 1", default = "2", text = "their number" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:conv"] = {
    signature = "net:conv([path], inputs, [options])",
    text = "Cross-correlation over images; a second input of the result's shape is added.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_conv_options?", optional = true },
    },
    options = {
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "channels or width of the result" },
      { name = "bias", type = "boolean", default = "true", text = "adds a vector of `out` numbers" },
      { name = "init", type = "\"usual\" or \"zero\"", default = "\"usual\"", text = "\"usual\" draws first values uniformly within 1/sqrt(fan in), \"zero\" starts at 0" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "kernel", type = "integer", range = ">= 1", default = "3", text = "height and width of the kernel" },
      { name = "pad", type = "integer or list of 4 integers", range = ">= 0", default = "kernel // 2", text = "zeros around the input: one number or {top, bottom, left, right}" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "standard", type = "boolean", default = "false", text = "the weights of each output have mean 0 and variance 1 (Qiao et al. 2019)" },
      { name = "stride", type = "integer", range = ">= 1", default = "1", text = "step between two places of the kernel" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:downsample"] = {
    signature = "net:downsample([path], inputs, [options])",
    text = "A 3x3 convolution of stride 2.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_downsample_options?", optional = true },
    },
    options = {
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "channels or width of the result" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "pad", type = "integer or list of 4 integers", range = ">= 0", default = "1", text = "zeros around the input: one number or {top, bottom, left, right}; DDPM has {0, 1, 0, 1}" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:dropout"] = {
    signature = "net:dropout([path], inputs, [options])",
    text = "Elements set to 0 at random in training.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_dropout_options?", optional = true },
    },
    options = {
      { name = "dropout", type = "number", range = "[0, 1)", default = "0.5", text = "probability that an element is set to 0 in training" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:embedding"] = {
    signature = "net:embedding([path], inputs, [options])",
    text = "Rows of a table by whole numbers from 1; 0 gives zeros.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_embedding_options?", optional = true },
    },
    options = {
      { name = "inp", type = "integer", range = ">= 1", default = "required", text = "rows of the table" },
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "channels or width of the result" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "within", type = "number", range = ">= 0", default = "0", text = "first values are uniform within it; 0: standard normal" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:enlarge"] = {
    signature = "net:enlarge([path], inputs, [options])",
    text = "Nearest neighbours: each pixel `times` times in both directions.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_enlarge_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "times", type = "integer", range = "[1, 64]", default = "2", text = "factor of height and width" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:fir"] = {
    signature = "net:fir([path], inputs, [options])",
    text = "A binomial filter, as 1 3 3 1, that makes images larger or smaller (Karras et al. 2020).",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_fir_options?", optional = true },
    },
    options = {
      { name = "after", type = "integer", range = ">= -1048576", default = "0", text = "zeros below and right of it" },
      { name = "before", type = "integer", range = ">= -1048576", default = "0", text = "zeros above and left of the enlarged image; below 0: so many are cut off" },
      { name = "down", type = "integer", range = "[1, 64]", default = "1", text = "every so many sums are taken" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "reflect", type = "boolean", default = "false", text = "mirrored pixels instead of these zeros" },
      { name = "taps", type = "integer", range = "[1, 8]", default = "4", text = "length of the filter" },
      { name = "up", type = "integer", range = "[1, 64]", default = "1", text = "zeros are put between pixels, this many less one; the mean of the image stays" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:flatten"] = {
    signature = "net:flatten([path], inputs, [options])",
    text = "A row for each sample: {B, ...} as {B, the product of the rest}.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_flatten_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:fourier"] = {
    signature = "net:fourier([path], inputs, [options])",
    text = "sin and cos of 2 pi w t, for frequencies w that are drawn once and not trained.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_fourier_options?", optional = true },
    },
    options = {
      { name = "width", type = "integer", range = ">= 2", default = "required", text = "width of the result, even" },
      { name = "log", type = "boolean", default = "false", text = "takes ln t instead of t" },
      { name = "offset", type = "number", default = "0", text = "subtracted from t first" },
      { name = "order", type = "\"cos_sin\" or \"sin_cos\"", default = "\"sin_cos\"", text = "which half comes first" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "scale", type = "number", range = "> 0", default = "16", text = "standard deviation of the frequencies" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:gate"] = {
    signature = "net:gate([path], inputs, [options])",
    text = "x + g y for inputs x, y, m; g is piece `at` of m.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_gate_options?", optional = true },
    },
    options = {
      { name = "at", type = "integer", range = ">= 1", default = "1", text = "which piece of the modulation, from 1" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:geglu"] = {
    signature = "net:geglu([path], inputs, [options])",
    text = "a gelu(b), for the halves a and b of the last dimension.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_geglu_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:gelu"] = {
    signature = "net:gelu([path], inputs, [options])",
    text = "x Phi(x), Phi the normal distribution function.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_gelu_options?", optional = true },
    },
    options = {
      { name = "by", type = "\"erf\" or \"tanh\"", default = "\"erf\"", text = "\"erf\" is exact, \"tanh\" the approximation of GPT-2" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:group_norm"] = {
    signature = "net:group_norm([path], inputs, [options])",
    text = "Group normalisation of x, or of x plus a second input {B, inp}; a third {B, 2 inp} has a scale s and a shift t: norm (1 + s) + t.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_group_norm_options?", optional = true },
    },
    options = {
      { name = "act", type = "\"none\", \"silu\", \"relu\", \"gelu\", \"mish\" or \"tanh\"", default = "\"none\"", text = "activation after the norm" },
      { name = "affine", type = "boolean", default = "true", text = "has weight and bias" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "groups", type = "integer", range = ">= 1", default = "largest divisor <= 32 of the channels that leaves 4 each", text = "groups of channels of the norm" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:join"] = {
    signature = "net:join([path], inputs, [options])",
    text = "The tokens of two values, one after another.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_join_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:labels"] = {
    signature = "net:labels([path], inputs, [options])",
    text = "The class {B} of each sample of the first input; classes + 1 where it is 0 or absent.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_labels_options?", optional = true },
    },
    options = {
      { name = "classes", type = "integer", range = ">= 1", default = "required", text = "number of classes" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that a class is forgotten in training" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:layer_norm"] = {
    signature = "net:layer_norm([path], inputs, [options])",
    text = "Layer normalisation over the last dimension.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_layer_norm_options?", optional = true },
    },
    options = {
      { name = "affine", type = "boolean", default = "true", text = "has weight and bias" },
      { name = "bias", type = "boolean", default = "true", text = "adds a vector of `inp` numbers, if affine" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:learned_waves"] = {
    signature = "net:learned_waves([path], inputs, [options])",
    text = "u = t - offset, sin and cos of 2 pi w u, for trained frequencies w.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_learned_waves_options?", optional = true },
    },
    options = {
      { name = "width", type = "integer", range = ">= 2", default = "required", text = "width of the waves, even" },
      { name = "offset", type = "number", default = "0", text = "subtracted from t first" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:linear"] = {
    signature = "net:linear([path], inputs, [options])",
    text = "y = x w^T + b over the last dimension.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_linear_options?", optional = true },
    },
    options = {
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "channels or width of the result" },
      { name = "bias", type = "boolean", default = "true", text = "adds a vector of `out` numbers" },
      { name = "init", type = "\"usual\" or \"zero\"", default = "\"usual\"", text = "\"usual\" draws first values uniformly within 1/sqrt(fan in), \"zero\" starts at 0" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:linear_attention"] = {
    signature = "net:linear_attention([path], inputs, [options])",
    text = "Attention without scores between tokens, to x and to learned keys and values (Shen et al. 2021).",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_linear_attention_options?", optional = true },
    },
    options = {
      { name = "inner", type = "integer", range = ">= 1", default = "required", text = "width of q, k and v, which the heads divide" },
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads, which divides the width" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "memory", type = "integer", range = ">= 0", default = "0", text = "number of learned keys and values" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "spread", type = "boolean", default = "false", text = "values are divided by the number of tokens" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:memory_attention"] = {
    signature = "net:memory_attention([path], inputs, [options])",
    text = "Attention of x to its tokens and to learned keys and values.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_memory_attention_options?", optional = true },
    },
    options = {
      { name = "inner", type = "integer", range = ">= 1", default = "required", text = "width of q, k and v, which the heads divide" },
      { name = "cosine", type = "number", range = ">= 0", default = "0", text = "factor of the scores of q and k divided by their lengths over the tokens; 0: of q and k as usual" },
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads, which divides the width" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "memory", type = "integer", range = ">= 0", default = "0", text = "number of learned keys and values" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:modulate"] = {
    signature = "net:modulate([path], inputs, [options])",
    text = "x (1 + scale) + shift; pieces `at` and `at` + 1 of the second input are shift and scale.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_modulate_options?", optional = true },
    },
    options = {
      { name = "at", type = "integer", range = ">= 1", default = "1", text = "which piece of the modulation, from 1" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:mul"] = {
    signature = "net:mul([path], inputs, [options])",
    text = "The product of two values.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_mul_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:norm_conv"] = {
    signature = "net:norm_conv([path], inputs, [options])",
    text = "conv(dropout(silu(group_norm(x)))); the result plus a second input, x plus a third {B, inp} first; a fourth {B, 2 inp} has a scale s and a shift t: norm (1 + s) + t.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_norm_conv_options?", optional = true },
    },
    options = {
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "channels or width of the result" },
      { name = "act", type = "\"none\", \"silu\", \"relu\", \"gelu\", \"mish\" or \"tanh\"", default = "\"silu\"", text = "activation after the norm" },
      { name = "affine", type = "boolean", default = "true", text = "has weight and bias" },
      { name = "bias", type = "boolean", default = "true", text = "adds a vector of `out` numbers" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element is set to 0 in training" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "groups", type = "integer", range = ">= 1", default = "largest divisor <= 32 of the channels that leaves 4 each", text = "groups of channels of the norm" },
      { name = "init", type = "\"usual\" or \"zero\"", default = "\"usual\"", text = "\"usual\" draws first values uniformly within 1/sqrt(fan in), \"zero\" starts at 0" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "kernel", type = "integer", range = ">= 1", default = "3", text = "height and width of the kernel" },
      { name = "pad", type = "integer or list of 4 integers", range = ">= 0", default = "kernel // 2", text = "zeros around the input: one number or {top, bottom, left, right}" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "stride", type = "integer", range = ">= 1", default = "1", text = "step between two places of the kernel" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:one_hot"] = {
    signature = "net:one_hot([path], inputs, [options])",
    text = "The class {B} of each sample of the first input as a row of zeros with one `factor`; all zeros if it is 0 or absent.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_one_hot_options?", optional = true },
    },
    options = {
      { name = "classes", type = "integer", range = ">= 1", default = "required", text = "number of classes" },
      { name = "factor", type = "number", default = "1", text = "the number in the place of the class" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:order"] = {
    signature = "net:order(names)",
    text = "Sets the order of the parameters' names: these parts come first.",
    params = {
      { name = "names", type = "string[]" },
    },
  },
  ["net:over_time"] = {
    signature = "net:over_time([path], inputs, [options])",
    text = "x / (t - offset), for a t {B} as second input.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_over_time_options?", optional = true },
    },
    options = {
      { name = "offset", type = "number", default = "0", text = "subtracted from t first" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:patchify"] = {
    signature = "net:patchify([path], inputs, [options])",
    text = "Patches of an image {B, H, W, C} as tokens {B, H W / p^2, p^2 C}.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_patchify_options?", optional = true },
    },
    options = {
      { name = "patch", type = "integer", range = ">= 1", default = "required", text = "height and width of a patch" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:per_token"] = {
    signature = "net:per_token([path], inputs, [options])",
    text = "An embedding {B, C} as {B, 1, C}, to act on each token.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_per_token_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:pixels"] = {
    signature = "net:pixels([path], inputs, [options])",
    text = "Tokens {B, H W, C} as an image of the second input's height and width.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_pixels_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:places"] = {
    signature = "net:places([path], inputs, [options])",
    text = "Sines and cosines of each pixel's row and column (He et al. 2022).",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_places_options?", optional = true },
    },
    options = {
      { name = "base", type = "integer", range = ">= 0", default = "0", text = "the places of n rows or columns are scaled by base / n; 0: they are not scaled" },
      { name = "max_period", type = "number", range = "> 0", default = "10000", text = "the longest period over 2 pi" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:positions"] = {
    signature = "net:positions([path], inputs, [options])",
    text = "Tokens {B, N, inp} plus the first N rows of a table.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_positions_options?", optional = true },
    },
    options = {
      { name = "rows", type = "integer", range = ">= 1", default = "required", text = "rows of the table: tokens at most" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "within", type = "number", range = ">= 0", default = "0", text = "first values are uniform within it; 0: standard normal" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:quick_gelu"] = {
    signature = "net:quick_gelu([path], inputs, [options])",
    text = "x sigmoid(1.702 x).",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_quick_gelu_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:res_block"] = {
    signature = "net:res_block([path], inputs, [options])",
    text = "The residual block of Ho et al. 2020 on x and an embedding.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_res_block_options?", optional = true },
    },
    options = {
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "channels or width of the result" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element is set to 0 in training" },
      { name = "embed", type = "integer", range = ">= 1", default = "width of the embedding", text = "width of the embedding that the block adds" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "groups", type = "integer", range = ">= 1", default = "largest divisor <= 32 of the channels that leaves 4 each", text = "groups of channels of the norm" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:rms_norm"] = {
    signature = "net:rms_norm([path], inputs, [options])",
    text = "Root mean square norm over the last dimension; a second input {B, 2 inp} has a scale s and a shift t: norm (1 + s) + t.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_rms_norm_options?", optional = true },
    },
    options = {
      { name = "act", type = "\"none\", \"silu\", \"relu\", \"gelu\", \"mish\" or \"tanh\"", default = "\"none\"", text = "activation after the norm" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-6", text = "added to the mean of squares" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:scale"] = {
    signature = "net:scale([path], inputs, [options])",
    text = "factor x + plus.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_scale_options?", optional = true },
    },
    options = {
      { name = "factor", type = "number", default = "1", text = "the factor" },
      { name = "plus", type = "number", default = "0", text = "added to all elements" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:silu"] = {
    signature = "net:silu([path], inputs, [options])",
    text = "x / (1 + exp(-x)).",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_silu_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:sinusoid"] = {
    signature = "net:sinusoid([path], inputs, [options])",
    text = "cos and sin of numbers {B} or {B, N} times width/2 frequencies; the last number of an odd width is 0.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_sinusoid_options?", optional = true },
    },
    options = {
      { name = "width", type = "integer", range = ">= 1", default = "required", text = "width of the result" },
      { name = "max_period", type = "number", range = "> 0", default = "10000", text = "the longest period over 2 pi" },
      { name = "offset", type = "number", default = "0", text = "subtracted from t first" },
      { name = "order", type = "\"cos_sin\" or \"sin_cos\"", default = "\"cos_sin\"", text = "which half comes first" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "shift", type = "number", default = "0", text = "s of the frequencies max_period^(-k / (width/2 - s)): 0 in ADM, 1 in DDPM" },
      { name = "single", type = "boolean", default = "false", text = "frequencies and angles are rounded to f32, as in PyTorch" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:time_embed"] = {
    signature = "net:time_embed([path], inputs, [options])",
    text = "Time, and class as a second input, as an embedding.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_time_embed_options?", optional = true },
    },
    options = {
      { name = "inp", type = "integer", range = ">= 1", default = "required", text = "width of the sinusoid" },
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "width of the result" },
      { name = "classes", type = "integer", range = ">= 0", default = "0", text = "number of classes; 0 for none" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:time_rows"] = {
    signature = "net:time_rows([path], inputs, [options])",
    text = "Rows of a table by whole times {B}: row t - offset, from 1.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_time_rows_options?", optional = true },
    },
    options = {
      { name = "inp", type = "integer", range = ">= 1", default = "required", text = "rows of the table" },
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "channels or width of the result" },
      { name = "offset", type = "integer", default = "0", text = "subtracted from t first" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:tokens"] = {
    signature = "net:tokens([path], inputs, [options])",
    text = "An image {B, H, W, C} as tokens {B, H W, C}.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_tokens_options?", optional = true },
    },
    options = {
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:unflatten"] = {
    signature = "net:unflatten([path], inputs, [options])",
    text = "A row {B, n C} as n tokens {B, n, C}.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_unflatten_options?", optional = true },
    },
    options = {
      { name = "pieces", type = "integer", range = ">= 1", default = "required", text = "their number n" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:unpatchify"] = {
    signature = "net:unpatchify([path], inputs, [options])",
    text = "Tokens as patches of an image of the second input's height and width.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_unpatchify_options?", optional = true },
    },
    options = {
      { name = "patch", type = "integer", range = ">= 1", default = "required", text = "height and width of a patch" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["net:upsample"] = {
    signature = "net:upsample([path], inputs, [options])",
    text = "Nearest neighbours, then a 3x3 convolution; a second input, an image, has the size of the result if that is not `times` the first's.",
    params = {
      { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = "diffusion.net_upsample_options?", optional = true },
    },
    options = {
      { name = "out", type = "integer", range = ">= 1", default = "required", text = "channels or width of the result" },
      { name = "inp", type = "integer", range = ">= 1", default = "width of the input", text = "channels or width of the input" },
      { name = "recompute", type = "boolean", default = "false", text = "recomputes the step in the backward pass instead of saving its values" },
      { name = "times", type = "integer", range = ">= 1", default = "2", text = "factor of height and width" },
    },
    returns = {
      { type = "diffusion.value" },
    },
  },
  ["objective"] = {
    signature = "objective",
    text = "A loss for d.record, of d.objective: called as (model, x0, {class=, eps=}).",
    params = {
      { name = "process", type = "diffusion.process" },
      { name = "error", type = "string", text = "\"mse\", \"l1\", \"huber\" or \"pseudo_huber\"" },
      { name = "vlb", type = "number", text = "weight of the variational bound, if the variance is learned" },
    },
  },
  ["objective()"] = {
    signature = "objective(model, x0, [given])",
    text = "The loss of a batch.",
    params = {
      { name = "model", type = "any", text = "a denoiser (xt, t, {class=, x0=}); x0 is given with self_condition only" },
      { name = "x0", type = "diffusion.tensor", text = "{B, ...}" },
      { name = "given", type = "diffusion.objective_call_options?", optional = true },
    },
    options = {
      { name = "class", type = "integer, list of integers or tensor", default = "none", text = "the class of all samples or of each, from 1; 0 is no class" },
      { name = "eps", type = "tensor", default = "drawn", text = "the noise, as x0: that of d.reflow's pairs" },
      { name = "inputs", type = "table of tensors by name", default = "none", text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" },
    },
    returns = {
      { type = "diffusion.tensor", text = "loss a number" },
      { type = "table", text = "details {t, eps, xt, per_sample}: t {B}, eps and xt as x0, per_sample {B}, whose mean is the loss; vlb {B}, nats a dimension, if the variance is learned" },
    },
  },
  ["objective:explain"] = {
    signature = "objective:explain(t)",
    text = "The weights at t as text, with their equations.",
    params = {
      { name = "t", type = "number", text = "in 1..T" },
    },
    returns = {
      { type = "string" },
    },
    example = "local o = d.objective{ process = d.process{ schedule = d.schedule.cosine{} }, weighting = \"min_snr\" }\nprint(o:explain(500))",
  },
  ["objective:floor"] = {
    signature = "objective:floor(given)",
    text = "The least possible expected loss. For Gaussian data it is exact: no network is better, and the best affine one for each t reaches it. For other data it is the loss of the best affine network, from their covariance; a network that learns more gets below it. For an oracle it is a mean over samples. It covers the weighted error only, not a learned variance's bound. It is known for error = \"mse\" and noise without offset. Give one of std, data and oracle.",
    params = {
      { name = "given", type = "diffusion.objective_floor_options" },
    },
    options = {
      { name = "data", type = "tensor or set", default = "none", text = "samples {n, ...}: the loss of the best affine network, by their covariance" },
      { name = "oracle", type = "oracle", default = "none", text = "a known distribution: the loss of its best denoiser" },
      { name = "samples", type = "integer", range = ">= 2", default = "20000", text = "number of samples of the oracle" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
      { name = "std", type = "number, list of numbers or tensor", default = "none", text = "standard deviations of Gaussian data along its axes: exact" },
    },
    returns = {
      { type = "number" },
      { type = "number|nil", text = "error its standard error, for an oracle" },
    },
    example = "local o = d.objective{ process = d.process{ schedule = d.schedule.linear{}, predict = \"v\" } }\nprint(o:floor{ std = 0.5 }, o:floor{ data = d.data.digits() })\nprint(o:floor{ oracle = d.oracle.moons{} }, o:floor{ data = d.oracle.moons{}:sample(10000) })",
  },
  ["objective:load_state"] = {
    signature = "objective:load_state([state])",
    text = "Continues from a state.",
    params = {
      { name = "state", type = "table|nil", text = "from `state()`", optional = true },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message, and nothing changed, if it is from another objective" },
      { type = "string|nil", text = "message" },
    },
  },
  ["objective:state"] = {
    signature = "objective:state()",
    text = "Plain values for a checkpoint: the losses from which times = \"importance\" learns.",
    returns = {
      { type = "table|nil", text = "state {losses = a list for each t}; nil for other times" },
    },
  },
  ["objective:weights"] = {
    signature = "objective:weights(t)",
    text = "The loss weight at t for each prediction target. All describe the same loss.",
    params = {
      { name = "t", type = "number", text = "in 1..T" },
    },
    returns = {
      { type = "table<string, number>", text = "weights x0, eps, v, score, flow, edm; infinite or nan if x_t has no signal and eps determines nothing" },
    },
  },
  ["oracle"] = {
    signature = "oracle",
    text = "A distribution whose best denoiser is known, made by d.oracle. Its results have gradients with respect to x and to the level.",
    params = {
      { name = "D", type = "integer", text = "its dimension" },
      { name = "mean", type = "diffusion.tensor|nil", text = "the mean, for a Gaussian" },
      { name = "cov", type = "diffusion.tensor|nil", text = "the covariance, for a Gaussian" },
      { name = "means", type = "diffusion.tensor|nil", text = "the means, for a mixture" },
      { name = "weights", type = "number[]|nil", text = "the weights, for a mixture or boxes" },
    },
  },
  ["oracle:denoiser"] = {
    signature = "oracle:denoiser(process)",
    text = "The best possible denoiser E[x0 | xt], as a function (xt, t) -> the process's target. xt is {B,...} with D numbers per sample. t is a number, a list or {B}.",
    params = {
      { name = "process", type = "diffusion.process" },
    },
    returns = {
      { type = "function", text = "denoiser" },
    },
  },
  ["oracle:entropy"] = {
    signature = "oracle:entropy([options])",
    text = "The differential entropy in nats, -E ln p. That of the empirical distribution is the entropy of its points as symbols. It is computed by a formula if there is one, by quadrature in one or two dimensions, or as a mean over samples.",
    params = {
      { name = "options", type = "diffusion.oracle_entropy_options?", optional = true },
    },
    options = {
      { name = "samples", type = "integer", range = ">= 2", default = "20000", text = "number of samples, if there is no formula" },
      { name = "seed", type = "integer", default = "1", text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },
    },
    returns = {
      { type = "number" },
      { type = "number|nil", text = "error its standard error, if it is a mean over samples" },
    },
  },
  ["oracle:log_prob"] = {
    signature = "oracle:log_prob(x, [level], [t])",
    text = "ln p(x) of each row. It is that of the data, or with a level that of a x0 + s eps. The gradient of the latter is (a D(x) - x)/s^2 (Tweedie's formula), where D is the posterior mean. Both are exact, except for quadratures that tostring(oracle) names.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "{B,...}, D numbers per sample" },
      { name = "level", type = "diffusion.process|diffusion.oracle_log_prob_options?", text = "a process with t, or a level", optional = true },
      { name = "t", type = "number|number[]|diffusion.tensor?", text = "if level is a process", optional = true },
    },
    options = {
      { name = "a", type = "number or tensor", default = "1", text = "signal of the level, one number or {B}" },
      { name = "s", type = "number or tensor", default = "0", text = "noise of the level, one number or {B}" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B}" },
    },
    example = "local moons = d.oracle.moons{}\nprint(moons:log_prob(d.zeros(1, 2)), moons:log_prob(d.zeros(1, 2), { a = 1, s = 0.5 }))",
  },
  ["oracle:posterior_mean"] = {
    signature = "oracle:posterior_mean(x, a, s)",
    text = "The best prediction of x0 from x = a x0 + s eps: E[x0 | x].",
    params = {
      { name = "x", type = "diffusion.tensor", text = "{B,...}, D numbers per sample" },
      { name = "a", type = "number|diffusion.tensor", text = "signal, one or {B}" },
      { name = "s", type = "number|diffusion.tensor", text = "noise, one or {B}; above 0 if the data has points without width (empirical, boxes)" },
    },
    returns = {
      { type = "diffusion.tensor", text = "as x" },
    },
  },
  ["oracle:sample"] = {
    signature = "oracle:sample(n, [options])",
    text = "Draws samples.",
    params = {
      { name = "n", type = "integer" },
      { name = "options", type = "diffusion.oracle_sample_options?", optional = true },
    },
    options = {
      { name = "generator", type = "generator", default = "none", text = "source of the random numbers, in place of a seed" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x {n,D}" },
    },
  },
  ["pipe"] = {
    signature = "pipe",
    text = "A denoiser with what is needed to draw images. Called with options, it draws them.",
    params = {
      { name = "class", type = "string", text = "the class of the pipeline in diffusers" },
      { name = "path", type = "string|nil", text = "the folder that it was read from" },
      { name = "unet", type = "diffusion.model", text = "the denoiser, of any family; can be written, also by an average" },
      { name = "vae", type = "diffusion.model|nil", text = "decodes latents; can be written" },
      { name = "process", type = "diffusion.process|nil", text = "the process that the denoiser was trained for; can be written" },
      { name = "sampler", type = "any", text = "as d.sample takes it" },
      { name = "scheduler", type = "table|nil", text = "the scheduler's config; a config or a class can be written" },
      { name = "labels", type = "table<integer, string>|nil", text = "the names of classes" },
      { name = "text", type = "diffusion.model|nil", text = "encodes prompts; can be written, as the three after it" },
      { name = "text2", type = "diffusion.model|nil", text = "the second of SDXL's text encoders" },
      { name = "tokenizer", type = "any", text = "cuts prompts into tokens" },
      { name = "tokenizer2", type = "any", text = "the same for text2" },
      { name = "tiny", type = "diffusion.model|nil", text = "a small autoencoder for previews; can be written" },
      { name = "loras", type = "diffusion.pipe_lora[]|nil", text = "the adapters of load_lora and add_lora" },
    },
  },
  ["pipe()"] = {
    signature = "pipe([options])",
    text = "Draws images.",
    params = {
      { name = "options", type = "diffusion.pipe_options|diffusion.pipe_text2image_options?", optional = true },
    },
    options = {
      { name = "class", type = "integer, string, list of integers or strings or tensor", default = "none", text = "the class of all images or of each, from 1, or its name; 0 is no class" },
      { name = "eta", type = "number", range = ">= 0", default = "that of the scheduler", text = "factor of the noise of DDIM and TCD" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "draws images in PyTorch's order, in place of a seed; a list has one for each image" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "that of the scheduler", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "that of the pipeline", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "height", type = "integer", range = ">= 1", default = "that of the network", text = "height of an image in pixels" },
      { name = "init", type = "tensor", default = "none", text = "images {n, H, W, C} in [-1, 1] to start from" },
      { name = "n", type = "integer", range = ">= 1", default = "one, or one for each class or picture", text = "number of images" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "sampler", type = "string, function or table", default = "that of the scheduler", text = "a sampler of this library in place of the scheduler's" },
      { name = "scheduler", type = "string or table", default = "that of the pipe", text = "another scheduler: a class of diffusers, or a config" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "steps", type = "integer", range = ">= 1", default = "those of the pipeline", text = "number of steps; rk45 and dpm_adaptive find their own" },
      { name = "strength", type = "number", range = "[0, 1]", default = "1", text = "how much of the way to noise init goes" },
      { name = "tile", type = "boolean or table", default = "false", text = "the autoencoder works in tiles, with less memory: true, or {size =, overlap =}" },
      { name = "width", type = "integer", range = ">= 1", default = "that of the network", text = "width of an image in pixels" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {n, H, W, C} in [-1, 1]" },
    },
  },
  ["pipe:add_lora"] = {
    signature = "pipe:add_lora([options])",
    text = "Adds new adapters, which have no effect at first, and freezes the networks. d.adamw takes those of the denoiser as its model, or a list with those of the text encoders.",
    params = {
      { name = "options", type = "diffusion.pipe_add_lora_options?", optional = true },
    },
    options = {
      { name = "alpha", type = "number or function", range = "> 0", default = "the rank", text = "B A is multiplied by alpha / rank; a number, or a function of the layer's path" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element of x is set to 0 before A, in training" },
      { name = "init", type = "\"usual\" or \"gaussian\"", default = "\"usual\"", text = "first values of A: \"usual\" as those of its layer, \"gaussian\" of standard deviation 1 / rank; B is 0" },
      { name = "name", type = "string", default = "\"lora\"", text = "a name for pipe:lora" },
      { name = "on", type = "string or list of strings", default = "q, k, v and out of attention", text = "Lua pattern of the paths of the denoiser's layers, or a list of them; \".\" is all" },
      { name = "rank", type = "integer or function", range = ">= 1", default = "4", text = "inner width of each adapter, or a function of the layer's path" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "text", type = "boolean", default = "false", text = "adapters of the text encoders too" },
      { name = "text_on", type = "string or list of strings", default = "q, k, v and out of attention", text = "the same for the text encoders" },
    },
    returns = {
      { type = "diffusion.pipe_lora", text = "adapters" },
    },
  },
  ["pipe:decode"] = {
    signature = "pipe:decode(x, [options])",
    text = "Images of a run's x, decoded if they are latents, within [-1, 1].",
    params = {
      { name = "x", type = "diffusion.tensor" },
      { name = "options", type = "diffusion.pipe_decode_options?", optional = true },
    },
    options = {
      { name = "tile", type = "boolean or table", default = "false", text = "the autoencoder works in tiles, with less memory: true, or {size =, overlap =}" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {n, H, W, C}" },
    },
  },
  ["pipe:denoiser"] = {
    signature = "pipe:denoiser()",
    text = "The network as the denoiser of the pipe's process, for d.objective and d.sample. It is pipe.unet itself unless the scheduler shows it other times or scales than those of the process.",
    returns = {
      { type = "any", text = "denoiser" },
    },
  },
  ["pipe:encode"] = {
    signature = "pipe:encode(images)",
    text = "Latents of images. Without an autoencoder they are the images.",
    params = {
      { name = "images", type = "diffusion.tensor", text = "{n, H, W, C} in [-1, 1]" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["pipe:encode_prompt"] = {
    signature = "pipe:encode_prompt(options)",
    text = "Encodes prompts as inputs of the denoiser, one row for each. With SDXL they include the embedding of the whole text. The option prompt takes the first result in place of texts, and negative the second.",
    params = {
      { name = "options", type = "diffusion.pipe_encode_prompt_options" },
    },
    options = {
      { name = "prompt", type = "string, list of strings or table", default = "required", text = "a text, a list of texts, or the first result of pipe:encode_prompt" },
      { name = "clip_skip", type = "integer", range = ">= 0", default = "0", text = "last layers of the text encoder that are left out" },
      { name = "negative", type = "string, list of strings or table", default = "the empty text", text = "text of the unconditional call, for all prompts or each; or the second result of encode_prompt" },
      { name = "negative2", type = "string, list of strings or table", default = "negative", text = "text of the unconditional call for the second encoder" },
      { name = "prompt2", type = "string, list of strings or table", default = "prompt", text = "the text for the second encoder" },
    },
    returns = {
      { type = "table<string, diffusion.tensor>", text = "inputs {context, text_embeds}" },
      { type = "table<string, diffusion.tensor>", text = "without those of the unconditional call" },
    },
  },
  ["pipe:encode_set"] = {
    signature = "pipe:encode_set([set], [options])",
    text = "A set of latents and texts' states, which are computed once. Its batches are latents, drawn again each time from the autoencoder's mean and deviation. With a path they are kept in a file. That is refused if the pipe's networks, the pictures or the captions have changed. A call that was interrupted goes on from the parts in \"PATH.parts\". Without a set, the file is read.",
    params = {
      { name = "set", type = "diffusion.set|nil", text = "pictures, with captions or without", optional = true },
      { name = "options", type = "diffusion.pipe_encode_set_options?", optional = true },
    },
    options = {
      { name = "clip_skip", type = "integer", range = ">= 0", default = "0", text = "last layers of the text encoder that are left out" },
      { name = "dtype", type = "\"f32\", \"f16\" or \"bf16\"", default = "\"f32\"", text = "type in which they are kept" },
      { name = "path", type = "path", default = "none", text = "the file that keeps them; if it is there, it is read" },
      { name = "size", type = "integer", range = ">= 1", default = "4", text = "pictures or texts that are encoded at once" },
      { name = "texts", type = "boolean", default = "true", text = "false keeps captions as texts, to be encoded at each step, as when the text encoder is trained" },
      { name = "tile", type = "boolean or table", default = "false", text = "the autoencoder works in tiles" },
    },
    returns = {
      { type = "diffusion.set|nil", text = "encoded nil with a message if the file doesn't fit or can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["pipe:image2image"] = {
    signature = "pipe:image2image(options)",
    text = "Changes images as a text says (Meng et al. 2022, SDEdit). Their latents are noised and sampled from there.",
    params = {
      { name = "options", type = "diffusion.pipe_image2image_options" },
    },
    options = {
      { name = "prompt", type = "string, list of strings or table", default = "required", text = "a text, a list of texts, or the first result of pipe:encode_prompt" },
      { name = "x0", type = "tensor", default = "required", text = "images {n, H, W, 3} in [-1, 1]: one for all, or one for each prompt or image" },
      { name = "clip_skip", type = "integer", range = ">= 0", default = "0", text = "last layers of the text encoder that are left out" },
      { name = "eta", type = "number", range = ">= 0", default = "that of the scheduler", text = "factor of the noise of DDIM and TCD" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "draws images in PyTorch's order, in place of a seed; a list has one for each image" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "that of the scheduler", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "that of the pipeline", text = "scale of classifier-free guidance, none up to 1; or a function that makes a denoiser of the model, as d.guidance.cfg_pp(model, {scale = 0.6, without = without})" },
      { name = "n", type = "integer", range = ">= 1", default = "1", text = "number of images for each prompt" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "negative", type = "string, list of strings or table", default = "the empty text", text = "text of the unconditional call, for all prompts or each; or the second result of encode_prompt" },
      { name = "negative2", type = "string, list of strings or table", default = "negative", text = "text of the unconditional call for the second encoder" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "prompt2", type = "string, list of strings or table", default = "prompt", text = "the text for the second encoder" },
      { name = "rescale", type = "number", range = "[0, 1]", default = "0", text = "share of the deviation that guidance restores" },
      { name = "sampler", type = "string, function or table", default = "that of the scheduler", text = "a sampler of this library in place of the scheduler's" },
      { name = "scheduler", type = "string or table", default = "that of the pipe", text = "another scheduler: a class of diffusers, or a config" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "sizes", type = "table", default = "the size drawn", text = "sizes that SDXL's network takes" },
      { name = "sizes.crop", type = "list of 2 numbers", default = "none", text = "{top, left} of the part that was cropped; {0, 0} if not given" },
      { name = "sizes.negative_crop", type = "list of 2 numbers", default = "none", text = "crop of the unconditional call" },
      { name = "sizes.negative_original", type = "list of 2 numbers", default = "none", text = "original of the unconditional call" },
      { name = "sizes.negative_score", type = "number", default = "2.5", text = "score of the unconditional call" },
      { name = "sizes.negative_target", type = "list of 2 numbers", default = "none", text = "target of the unconditional call" },
      { name = "sizes.original", type = "list of 2 numbers", default = "none", text = "{height, width} of the picture before it was cropped; the size drawn if not given" },
      { name = "sizes.score", type = "number", default = "6", text = "aesthetic score, for networks that take it in place of target" },
      { name = "sizes.target", type = "list of 2 numbers", default = "none", text = "{height, width} to which it was cropped; the size drawn if not given" },
      { name = "steps", type = "integer", range = ">= 1", default = "those of the pipeline", text = "number of steps; rk45 and dpm_adaptive find their own" },
      { name = "strength", type = "number", range = "[0, 1]", default = "0.8", text = "how much of the way to noise x0 goes" },
      { name = "tile", type = "boolean or table", default = "false", text = "the autoencoder works in tiles, with less memory: true, or {size =, overlap =}" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {n, H, W, 3} in [-1, 1]" },
    },
  },
  ["pipe:inpaint"] = {
    signature = "pipe:inpaint(options)",
    text = "Paints a part of images as a text says. Networks that were trained for it get the mask and the kept part. With others, each step puts the kept part back. how = \"repaint\" is d.edit.repaint on latents.",
    params = {
      { name = "options", type = "diffusion.pipe_inpaint_options" },
    },
    options = {
      { name = "keep", type = "tensor", default = "required", text = "1 where x0 stays, 0 where it is painted: {H, W, 1}, or of x0's shape" },
      { name = "prompt", type = "string, list of strings or table", default = "required", text = "a text, a list of texts, or the first result of pipe:encode_prompt" },
      { name = "x0", type = "tensor", default = "required", text = "images {n, H, W, 3} in [-1, 1]: one for all, or one for each prompt or image" },
      { name = "clip_skip", type = "integer", range = ">= 0", default = "0", text = "last layers of the text encoder that are left out" },
      { name = "eta", type = "number", range = ">= 0", default = "that of the scheduler", text = "factor of the noise of DDIM and TCD" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "draws images in PyTorch's order, in place of a seed; a list has one for each image" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "that of the scheduler", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "that of the pipeline", text = "scale of classifier-free guidance, none up to 1; or a function that makes a denoiser of the model, as d.guidance.cfg_pp(model, {scale = 0.6, without = without})" },
      { name = "how", type = "\"blend\", \"repaint\" or table", default = "by the network", text = "for networks without a mask: \"blend\" each step as diffusers does, or \"repaint\", also as {\"repaint\", jump = 10, resample = 10}" },
      { name = "init_latents", type = "tensor", default = "drawn", text = "normals {n, h, w, C} in place of drawn ones" },
      { name = "n", type = "integer", range = ">= 1", default = "1", text = "number of images for each prompt" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "negative", type = "string, list of strings or table", default = "the empty text", text = "text of the unconditional call, for all prompts or each; or the second result of encode_prompt" },
      { name = "negative2", type = "string, list of strings or table", default = "negative", text = "text of the unconditional call for the second encoder" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "prompt2", type = "string, list of strings or table", default = "prompt", text = "the text for the second encoder" },
      { name = "rescale", type = "number", range = "[0, 1]", default = "0", text = "share of the deviation that guidance restores" },
      { name = "sampler", type = "string, function or table", default = "that of the scheduler", text = "a sampler of this library in place of the scheduler's" },
      { name = "scheduler", type = "string or table", default = "that of the pipe", text = "another scheduler: a class of diffusers, or a config" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "sizes", type = "table", default = "the size drawn", text = "sizes that SDXL's network takes" },
      { name = "sizes.crop", type = "list of 2 numbers", default = "none", text = "{top, left} of the part that was cropped; {0, 0} if not given" },
      { name = "sizes.negative_crop", type = "list of 2 numbers", default = "none", text = "crop of the unconditional call" },
      { name = "sizes.negative_original", type = "list of 2 numbers", default = "none", text = "original of the unconditional call" },
      { name = "sizes.negative_score", type = "number", default = "2.5", text = "score of the unconditional call" },
      { name = "sizes.negative_target", type = "list of 2 numbers", default = "none", text = "target of the unconditional call" },
      { name = "sizes.original", type = "list of 2 numbers", default = "none", text = "{height, width} of the picture before it was cropped; the size drawn if not given" },
      { name = "sizes.score", type = "number", default = "6", text = "aesthetic score, for networks that take it in place of target" },
      { name = "sizes.target", type = "list of 2 numbers", default = "none", text = "{height, width} to which it was cropped; the size drawn if not given" },
      { name = "steps", type = "integer", range = ">= 1", default = "those of the pipeline", text = "number of steps; rk45 and dpm_adaptive find their own" },
      { name = "strength", type = "number", range = "[0, 1]", default = "1", text = "how much of the way to noise x0 goes" },
      { name = "tile", type = "boolean or table", default = "false", text = "the autoencoder works in tiles, with less memory: true, or {size =, overlap =}" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {n, H, W, 3} in [-1, 1]; the autoencoder changes the kept part a little" },
    },
  },
  ["pipe:inputs"] = {
    signature = "pipe:inputs(batch, [options])",
    text = "Inputs of the denoiser for a training batch, as d.objective takes them: the states of its captions and, for SDXL, the sizes of its pictures. In d.record, a gradient reaches the text encoders. With a set of encode_set, the states are those that it holds.",
    params = {
      { name = "batch", type = "any", text = "batches of a set after a step, or captions, or {captions =, sizes =}" },
      { name = "options", type = "diffusion.pipe_inputs_options?", optional = true },
    },
    options = {
      { name = "clip_skip", type = "integer", range = ">= 0", default = "0", text = "last layers of the text encoder that are left out" },
      { name = "drop", type = "number", range = "[0, 1]", default = "0", text = "share of texts that are left out, for guidance" },
    },
    returns = {
      { type = "table<string, diffusion.tensor>", text = "inputs {context, text_embeds, time_ids}" },
    },
  },
  ["pipe:load_embedding"] = {
    signature = "pipe:load_embedding(path, [options])",
    text = "Loads a word that textual inversion learned: learned_embeds of diffusers, a .pt of stable-diffusion-webui, or SDXL's vectors for both text encoders. In a prompt the word stands for its vectors.",
    params = {
      { name = "path", type = "string", text = "a file, or a folder with learned_embeds.safetensors or learned_embeds.bin" },
      { name = "options", type = "diffusion.pipe_load_embedding_options?", optional = true },
    },
    options = {
      { name = "word", type = "string", default = "that of the file", text = "the word that stands for the vectors in a prompt" },
    },
    returns = {
      { type = "string|nil", text = "word nil with a message, and nothing changed, if it doesn't fit" },
      { type = "integer|string", text = "tokens number of its vectors, or the message" },
    },
  },
  ["pipe:load_lora"] = {
    signature = "pipe:load_lora(path, [options])",
    text = "Loads low-rank adapters of the denoiser and the text encoders, as kohya's scripts, diffusers and peft write them. A pipe can have several, whose effects add up.",
    params = {
      { name = "path", type = "string", text = "a file, or a folder with pytorch_lora_weights.safetensors" },
      { name = "options", type = "diffusion.pipe_load_lora_options?", optional = true },
    },
    options = {
      { name = "name", type = "string", default = "that of the file", text = "a name for pipe:lora" },
      { name = "parts", type = "list of \"unet\"s or \"text\"s or \"text2\"s", default = "all of the file", text = "the networks whose adapters are taken" },
      { name = "weight", type = "number or table of numbers by name", default = "1", text = "factor of their effect, or {unet =, text =, text2 =}" },
    },
    returns = {
      { type = "diffusion.pipe_lora|nil", text = "adapters nil with a message, and nothing changed, if they don't fit" },
      { type = "string|nil", text = "message" },
    },
  },
  ["pipe:lora"] = {
    signature = "pipe:lora(name)",
    text = "The adapters of a name.",
    params = {
      { name = "name", type = "string" },
    },
    returns = {
      { type = "diffusion.pipe_lora", text = "adapters" },
    },
  },
  ["pipe:preview"] = {
    signature = "pipe:preview(x)",
    text = "Pictures of a predicted x0, without the decoder. pipe.tiny decodes them, a small autoencoder. Without it, a linear map makes one pixel of each latent.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "step.x0, or run.x" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {n, H, W, 3} in [-1, 1]" },
    },
  },
  ["pipe:steps"] = {
    signature = "pipe:steps([options])",
    text = "A run of the pipe's sampler that can be stepped, as d.sampler.steps makes it. Its x are latents if the pipe has an autoencoder; pipe:decode makes images of them. A pipe with text encoders takes the options of text2image. With x0 it takes those of image2image, and with keep those of inpaint.",
    params = {
      { name = "options", type = "diffusion.pipe_options|diffusion.pipe_text2image_options?", optional = true },
    },
    options = {
      { name = "class", type = "integer, string, list of integers or strings or tensor", default = "none", text = "the class of all images or of each, from 1, or its name; 0 is no class" },
      { name = "eta", type = "number", range = ">= 0", default = "that of the scheduler", text = "factor of the noise of DDIM and TCD" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "draws images in PyTorch's order, in place of a seed; a list has one for each image" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "that of the scheduler", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "that of the pipeline", text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
      { name = "height", type = "integer", range = ">= 1", default = "that of the network", text = "height of an image in pixels" },
      { name = "init", type = "tensor", default = "none", text = "images {n, H, W, C} in [-1, 1] to start from" },
      { name = "n", type = "integer", range = ">= 1", default = "one, or one for each class or picture", text = "number of images" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "sampler", type = "string, function or table", default = "that of the scheduler", text = "a sampler of this library in place of the scheduler's" },
      { name = "scheduler", type = "string or table", default = "that of the pipe", text = "another scheduler: a class of diffusers, or a config" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "steps", type = "integer", range = ">= 1", default = "those of the pipeline", text = "number of steps; rk45 and dpm_adaptive find their own" },
      { name = "strength", type = "number", range = "[0, 1]", default = "1", text = "how much of the way to noise init goes" },
      { name = "tile", type = "boolean or table", default = "false", text = "the autoencoder works in tiles, with less memory: true, or {size =, overlap =}" },
      { name = "width", type = "integer", range = ">= 1", default = "that of the network", text = "width of an image in pixels" },
    },
    returns = {
      { type = "diffusion.run" },
    },
  },
  ["pipe:text2image"] = {
    signature = "pipe:text2image(options)",
    text = "Draws images of texts. Image k of a seed is the same alone or in a batch. Generators of torch's kind draw in diffusers' order, and the images are the same.",
    params = {
      { name = "options", type = "diffusion.pipe_text2image_options" },
    },
    options = {
      { name = "prompt", type = "string, list of strings or table", default = "required", text = "a text, a list of texts, or the first result of pipe:encode_prompt" },
      { name = "clip_skip", type = "integer", range = ">= 0", default = "0", text = "last layers of the text encoder that are left out" },
      { name = "eta", type = "number", range = ">= 0", default = "that of the scheduler", text = "factor of the noise of DDIM and TCD" },
      { name = "generator", type = "generator or list of generators", default = "none", text = "draws images in PyTorch's order, in place of a seed; a list has one for each image" },
      { name = "grid", type = "string, list of numbers, grid or function", default = "that of the scheduler", text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
      { name = "guidance", type = "number or function", default = "that of the pipeline", text = "scale of classifier-free guidance, none up to 1; or a function that makes a denoiser of the model, as d.guidance.cfg_pp(model, {scale = 0.6, without = without})" },
      { name = "height", type = "integer", range = ">= 1", default = "that of the network", text = "height of an image in pixels" },
      { name = "init_latents", type = "tensor", default = "drawn", text = "normals {n, h, w, C} in place of drawn ones" },
      { name = "n", type = "integer", range = ">= 1", default = "1", text = "number of images for each prompt" },
      { name = "nan", type = "\"error\" or \"keep\"", default = "\"error\"", text = "a sample that is not finite ends the run with an error, or is kept" },
      { name = "negative", type = "string, list of strings or table", default = "the empty text", text = "text of the unconditional call, for all prompts or each; or the second result of encode_prompt" },
      { name = "negative2", type = "string, list of strings or table", default = "negative", text = "text of the unconditional call for the second encoder" },
      { name = "on_step", type = "function", default = "none", text = "called with each step after it" },
      { name = "prompt2", type = "string, list of strings or table", default = "prompt", text = "the text for the second encoder" },
      { name = "rescale", type = "number", range = "[0, 1]", default = "0", text = "share of the deviation that guidance restores" },
      { name = "sampler", type = "string, function or table", default = "that of the scheduler", text = "a sampler of this library in place of the scheduler's" },
      { name = "scheduler", type = "string or table", default = "that of the pipe", text = "another scheduler: a class of diffusers, or a config" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "sizes", type = "table", default = "the size drawn", text = "sizes that SDXL's network takes" },
      { name = "sizes.crop", type = "list of 2 numbers", default = "none", text = "{top, left} of the part that was cropped; {0, 0} if not given" },
      { name = "sizes.negative_crop", type = "list of 2 numbers", default = "none", text = "crop of the unconditional call" },
      { name = "sizes.negative_original", type = "list of 2 numbers", default = "none", text = "original of the unconditional call" },
      { name = "sizes.negative_score", type = "number", default = "2.5", text = "score of the unconditional call" },
      { name = "sizes.negative_target", type = "list of 2 numbers", default = "none", text = "target of the unconditional call" },
      { name = "sizes.original", type = "list of 2 numbers", default = "none", text = "{height, width} of the picture before it was cropped; the size drawn if not given" },
      { name = "sizes.score", type = "number", default = "6", text = "aesthetic score, for networks that take it in place of target" },
      { name = "sizes.target", type = "list of 2 numbers", default = "none", text = "{height, width} to which it was cropped; the size drawn if not given" },
      { name = "steps", type = "integer", range = ">= 1", default = "those of the pipeline", text = "number of steps; rk45 and dpm_adaptive find their own" },
      { name = "tile", type = "boolean or table", default = "false", text = "the autoencoder works in tiles, with less memory: true, or {size =, overlap =}" },
      { name = "width", type = "integer", range = ">= 1", default = "that of the network", text = "width of an image in pixels" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {n, H, W, 3} in [-1, 1]; the images of a prompt are next to one another" },
    },
  },
  ["pipe_draws"] = {
    signature = "pipe_draws",
    text = "The source of a call's normals.",
    params = {
      { name = "source", type = "any", text = "for d.sampler.steps: nil stands for the seed" },
      { name = "seed", type = "integer" },
      { name = "generators", type = "any" },
    },
  },
  ["pipe_lora"] = {
    signature = "pipe_lora",
    text = "Adapters of a pipe under one name.",
    params = {
      { name = "name", type = "string" },
      { name = "weight", type = "number|table", text = "factor of their effect; can be set, also as {unet =, text =, text2 =}" },
      { name = "merged", type = "boolean", text = "whether they are in the networks' weights" },
      { name = "unet", type = "diffusion.lora|nil", text = "those of the denoiser" },
      { name = "text", type = "diffusion.lora|nil", text = "those of the text encoder" },
      { name = "text2", type = "diffusion.lora|nil", text = "those of the second text encoder" },
    },
  },
  ["pipe_lora:disable"] = {
    signature = "pipe_lora:disable()",
    text = "The networks compute without the adapters. Their values stay.",
    returns = {
      { type = "diffusion.pipe_lora", text = "self" },
    },
  },
  ["pipe_lora:enable"] = {
    signature = "pipe_lora:enable()",
    text = "Lets the adapters act again after disable.",
    returns = {
      { type = "diffusion.pipe_lora", text = "self" },
    },
  },
  ["pipe_lora:merge"] = {
    signature = "pipe_lora:merge()",
    text = "Adds the adapters to the weights of their networks, as lora:merge does.",
    returns = {
      { type = "diffusion.pipe_lora", text = "self" },
    },
  },
  ["pipe_lora:remove"] = {
    signature = "pipe_lora:remove()",
    text = "Removes the adapters from the networks. Merged ones stay in the weights for good.",
  },
  ["pipe_lora:save"] = {
    signature = "pipe_lora:save(path, [options])",
    text = "Writes the adapters of all networks as one file, which diffusers reads too. The weight is not saved.",
    params = {
      { name = "path", type = "string", text = "a file, or a folder, which gets pytorch_lora_weights.safetensors" },
      { name = "options", type = "diffusion.pipe_lora_save_options?", optional = true },
    },
    options = {
      { name = "form", type = "\"diffusers\" or \"kohya\"", default = "\"diffusers\"", text = "names in the file: those of diffusers and peft, or of kohya's scripts" },
      { name = "weights", type = "table of emas by name", default = "the adapters'", text = "averages whose values are saved, {unet =, text =, text2 =}" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the file can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["pipe_lora:unmerge"] = {
    signature = "pipe_lora:unmerge()",
    text = "Takes merged adapters out of the weights, which get back the bits that they had.",
    returns = {
      { type = "diffusion.pipe_lora", text = "self" },
    },
  },
  ["plan"] = {
    signature = "plan",
    text = "The start and the steps of an edit. It prints as a table.",
    params = {
      { name = "start", type = "number", text = "the first level t; 0 if nothing is to be done" },
      { name = "steps", type = "integer", text = "exact number of steps" },
      { name = "grid", type = "diffusion.grid|nil", text = "the steps; nil if there are none" },
      { name = "snr", type = "number", text = "signal to noise ratio at the start, a^2/s^2" },
      { name = "signal", type = "number", text = "a in x_t = a x0 + s eps" },
      { name = "noise", type = "number", text = "s" },
      { name = "strength", type = "number|nil", text = "as given in the options" },
      { name = "evaluations", type = "integer|nil", text = "number of evaluations of the model, once the edit is done" },
    },
  },
  ["process"] = {
    signature = "process",
    text = "A schedule, and the parametrisation of the reverse step. It never changes.",
    params = {
      { name = "schedule", type = "diffusion.schedule" },
      { name = "T", type = "integer" },
      { name = "predict", type = "string", text = "the target that the network predicts: \"eps\", \"x0\", \"v\", \"score\", \"flow\", \"edm\"" },
      { name = "sigma_data", type = "number", text = "standard deviation of the data, for \"edm\"" },
      { name = "variance", type = "string|fun(t: number, s: number): number", text = "variance of the reverse step" },
      { name = "outputs", type = "integer", text = "width of the network's output in multiples of C: 2 if the variance is learned" },
      { name = "clip", type = "number|string|table|nil" },
      { name = "x0_error", type = "table|nil", text = "for variance \"optimal\": rows {t, E|x0 - x0'|^2/D}" },
    },
  },
  ["process:chain"] = {
    signature = "process:chain(x0, [o])",
    text = "The chain x_0 -> x_1 -> ... -> x_T: `for t, xt, eps in p:chain(x0, {seed = 1}) do`.",
    params = {
      { name = "x0", type = "number|diffusion.tensor" },
      { name = "o", type = "diffusion.process_chain_options?", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
    },
    returns = {
      { type = "function", text = "iterator of t, xt, eps" },
    },
  },
  ["process:clipped"] = {
    signature = "process:clipped(x0)",
    text = "x0 clipped as the process says: to [-clip, clip], by the dynamic threshold, or not at all.",
    params = {
      { name = "x0", type = "number|diffusion.tensor" },
    },
    returns = {
      { type = "number|diffusion.tensor" },
    },
  },
  ["process:config"] = {
    signature = "process:config()",
    text = "Plain values for files, from which process_from_config makes the same process. Raises if the variance is a function.",
    returns = {
      { type = "table" },
    },
  },
  ["process:convert"] = {
    signature = "process:convert(value, o)",
    text = "Converts a prediction from one target to another. It is an error if x_t has no signal and the value does not depend on x_0 (eps or score at zero terminal SNR). The targets are x0, eps, v = a eps - s x0 (Salimans & Ho 2022), score = -eps/s, flow = eps - x0, and edm, F of Karras et al. 2022, eq. 7.",
    params = {
      { name = "value", type = "number|diffusion.tensor" },
      { name = "o", type = "diffusion.convert_options" },
    },
    options = {
      { name = "from", type = "\"eps\", \"x0\", \"v\", \"score\", \"flow\" or \"edm\"", default = "required", text = "the target of `value`" },
      { name = "to", type = "\"eps\", \"x0\", \"v\", \"score\", \"flow\" or \"edm\"", default = "required", text = "the target of the result" },
      { name = "xt", type = "number or tensor", default = "required", text = "the noisy x_t" },
      { name = "t", type = "number, list of numbers or tensor", default = "required", text = "the level" },
    },
    returns = {
      { type = "number|diffusion.tensor" },
    },
  },
  ["process:estimate"] = {
    signature = "process:estimate(output, xt, t)",
    text = "The x0 predicted by a network, clipped as the process says, and the eps of this x0 and x_t. The two are consistent even if x0 was clipped. v is that of a learned variance.",
    params = {
      { name = "output", type = "number|diffusion.tensor", text = "the kind process.predict, next to v if the variance is learned" },
      { name = "xt", type = "number|diffusion.tensor" },
      { name = "t", type = "number|number[]|diffusion.tensor" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "x0" },
      { type = "number|diffusion.tensor", text = "eps" },
      { type = "diffusion.tensor|nil", text = "v for process:step_variance" },
    },
  },
  ["process:explain"] = {
    signature = "process:explain(t, [s])",
    text = "The formulas of a step, with numbers.",
    params = {
      { name = "t", type = "integer", text = "in 1..T" },
      { name = "s", type = "integer", text = "t - 1 if not given", optional = true },
    },
    returns = {
      { type = "string" },
    },
  },
  ["process:learned_log_variance"] = {
    signature = "process:learned_log_variance(v, t, [s])",
    text = "Logarithm of the variance that a network has learned for p_theta(x_s | x_t). With variance = \"learned\" it is v, with \"learned_direct\" ln v. With \"learned_range\" it lies between the posterior's and q's variance of this t and s: (1 - f) ln small + f ln large with f = (v + 1)/2 (Nichol & Dhariwal 2021, eq. 15). At t = 1 the posterior's is that of t = 2, as in posterior_log_variance.",
    params = {
      { name = "v", type = "diffusion.tensor", text = "{B, ...} of process:split" },
      { name = "t", type = "number|number[]|diffusion.tensor" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "t - 1 if not given", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "as v" },
    },
  },
  ["process:learned_variance"] = {
    signature = "process:learned_variance(v, t, [s])",
    text = "The variance that a network has learned for p_theta(x_s | x_t); see learned_log_variance.",
    params = {
      { name = "v", type = "diffusion.tensor", text = "{B, ...} of process:split" },
      { name = "t", type = "number|number[]|diffusion.tensor" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "t - 1 if not given", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "as v" },
    },
  },
  ["process:posterior"] = {
    signature = "process:posterior(x0, xt, t, [s])",
    text = "Mean and variance of q(x_s | x_t, x_0) (Ho et al. 2020, eq. 6 and 7, for any s < t).",
    params = {
      { name = "x0", type = "number|diffusion.tensor" },
      { name = "xt", type = "number|diffusion.tensor" },
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 1..T" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "default t - 1", optional = true },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "mean" },
      { type = "number|diffusion.tensor", text = "variance a number where t is, else {B}, or of the shape of the tensor t" },
    },
  },
  ["process:posterior_coefficients"] = {
    signature = "process:posterior_coefficients(t, [s])",
    text = "The coefficients of the posterior q(x_s | x_t, x_0) = N(c0 x_0 + ct x_t, variance).",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "default t - 1", optional = true },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "c0" },
      { type = "number|diffusion.tensor", text = "ct" },
      { type = "number|diffusion.tensor", text = "variance" },
    },
  },
  ["process:posterior_log_variance"] = {
    signature = "process:posterior_log_variance(t, [s])",
    text = "Logarithm of the posterior variance. At t = 1 the variance is 0, and the result is that of t = 2, as in the code of Ho et al. 2020.",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "default t - 1", optional = true },
    },
    returns = {
      { type = "number|diffusion.tensor" },
    },
  },
  ["process:q_moments"] = {
    signature = "process:q_moments(x, t, [s])",
    text = "Mean and variance of q(x_t | x_s = x).",
    params = {
      { name = "x", type = "number|diffusion.tensor" },
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 1..T" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "0 if not given", optional = true },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "mean" },
      { type = "number|diffusion.tensor", text = "variance a number where t is, else {B}, or of the shape of the tensor t" },
    },
  },
  ["process:q_sample"] = {
    signature = "process:q_sample(x, t, [eps])",
    text = "Draws x_t given x_0, in closed form: q(x_t | x_s) = N((a_t/a_s) x_s, s_t^2 - (a_t/a_s)^2 s_s^2). With s = 0 this is Ho et al. 2020, eq. 4. With a seed, sample k has the same noise in any batch and at any t.",
    params = {
      { name = "x", type = "number|diffusion.tensor", text = "{B, ...}: x_0, or x_s with from = s" },
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 1..T, one or B" },
      { name = "eps", type = "number|diffusion.tensor|diffusion.q_sample_options", text = "standard normal noise, or options of its draw", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the noise" },
      { name = "from", type = "number, list of numbers or tensor", range = ">= 0", default = "0", text = "level s of x" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "xt" },
      { type = "number|diffusion.tensor", text = "eps" },
    },
  },
  ["process:q_step"] = {
    signature = "process:q_step(x, t, [eps])",
    text = "Draws x_t given x_{t-1}: one step of the chain (Ho et al. 2020, eq. 2).",
    params = {
      { name = "x", type = "number|diffusion.tensor", text = "x_{t-1}" },
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 1..T" },
      { name = "eps", type = "number|diffusion.tensor|diffusion.q_step_options", text = "standard normal noise, or options of its draw", optional = true },
    },
    options = {
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the noise; each t has its own" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "xt" },
      { type = "number|diffusion.tensor", text = "eps" },
    },
  },
  ["process:split"] = {
    signature = "process:split(output)",
    text = "Splits a network's output. If the variance is learned, the first half of the last dimension is the prediction and the second half is v. Otherwise the output is the prediction.",
    params = {
      { name = "output", type = "number|diffusion.tensor", text = "[B,...,C], or [B,...,2C] if the variance is learned" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "prediction of the kind process.predict" },
      { type = "diffusion.tensor|nil", text = "v as the prediction" },
    },
  },
  ["process:step_variance"] = {
    signature = "process:step_variance(t, s, [v])",
    text = "Variance of the noise that the step p_theta(x_s | x_t) adds. It is 0 at s = 0 for every kind.",
    params = {
      { name = "t", type = "number" },
      { name = "s", type = "number" },
      { name = "v", type = "diffusion.tensor", text = "v from process:split, if the variance is learned", optional = true },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "variance a tensor as v if the variance is learned" },
    },
  },
  ["process:target"] = {
    signature = "process:target(x0, eps, t)",
    text = "The training target of the network: the quantity that `predict` names. It is computed from x_0 and eps, so it is also defined at zero terminal SNR.",
    params = {
      { name = "x0", type = "number|diffusion.tensor" },
      { name = "eps", type = "number|diffusion.tensor", text = "the noise in x_t, as q_sample returns it" },
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 1..T, one or B" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "target" },
    },
  },
  ["repaint_plan"] = {
    signature = "repaint_plan",
    text = "The levels that RePaint visits: down its grid, with jumps back. It prints as a table.",
    params = {
      { name = "grid", type = "diffusion.grid" },
      { name = "jump", type = "integer", text = "number of steps of a jump back" },
      { name = "resample", type = "integer", text = "how often each stretch is sampled" },
      { name = "jumps", type = "integer", text = "number of jumps" },
      { name = "steps", type = "integer", text = "number of reverse steps in all" },
      { name = "times", type = "number[]", text = "every level that is visited, in order, from the first to the data" },
      { name = "evaluations", type = "integer|nil", text = "number of evaluations of the model, once it is done" },
    },
  },
  ["run"] = {
    signature = "run",
    text = "A run of a sampler. run() takes a step; `for step in run do` takes all that are left.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "the current samples; if written, the run continues from there without history" },
      { name = "i", type = "integer", text = "steps taken" },
      { name = "grid", type = "diffusion.grid" },
      { name = "seed", type = "integer" },
      { name = "history", type = "table", text = "the solver's own: tensors, numbers, and tables of these" },
      { name = "evaluations", type = "integer", text = "number of evaluations of the model so far" },
      { name = "draws", type = "integer", text = "number of draws of noise so far" },
      { name = "upward", type = "boolean|nil", text = "true if the run goes from data to noise" },
      { name = "on_step", type = "function|nil", text = "called after each step; may be written" },
    },
  },
  ["run()"] = {
    signature = "run()",
    text = "One step, or nil if none is left. It raises if x is being recorded, since its gradient would be lost (d.sampler.step keeps it).",
    returns = {
      { type = "table|nil", text = "step {i, n, t, s, xt, x, x0, eps}: x0 and eps are predicted from xt, or from xt raised by churn" },
    },
  },
  ["run:back"] = {
    signature = "run:back([n])",
    text = "Goes back n steps. x is noised by q(x_t | x_s) from its level to the level of n steps ago, with the run's own noise, and the solver's history is cleared. RePaint resamples this way (Lugmayr et al. 2022).",
    params = {
      { name = "n", type = "integer", text = "1 if not given; at most the steps taken", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "x" },
    },
    example = "local model, process = d.load_model \"digits\"\nlocal run = d.sampler.steps{ model = model, process = process, shape = { 1, 8, 8, 1 }, class = 4, steps = 20 }\nrun:finish()\nrun:back(10)\nd.image.show(d.cat({ run.x, run:finish() }, 1))",
  },
  ["run:clone"] = {
    signature = "run:clone()",
    text = "An independent copy: x, the solver's history, its place and its count of draws. Generators are copied; a function given as noise is shared.",
    returns = {
      { type = "diffusion.run" },
    },
  },
  ["run:finish"] = {
    signature = "run:finish()",
    text = "Takes the steps that are left and returns x.",
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["run:load"] = {
    signature = "run:load(path)",
    text = "Continues from a file of run:save, in a run made with the same options.",
    params = {
      { name = "path", type = "string" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message, and nothing changed, if the file is not from such a run" },
      { type = "string|nil", text = "message" },
    },
  },
  ["run:save"] = {
    signature = "run:save(path)",
    text = "Writes the run to a file: x, history, place and counters.",
    params = {
      { name = "path", type = "string" },
    },
    returns = {
      { type = "true|nil", text = "done nil with a message if the file can't be written" },
      { type = "string|nil", text = "message" },
    },
  },
  ["sampler annealed_langevin"] = {
    signature = "sampler = {\"annealed_langevin\", ...}",
    text = "Song & Ermon 2019, algorithm 1",
    options = {
      { name = "inner", type = "integer", range = ">= 1", default = "5", text = "steps at each level" },
      { name = "step", type = "number", range = "(0, 4)", default = "0.2", text = "length of a step, in units of s^2" },
    },
  },
  ["sampler consistency"] = {
    signature = "sampler = {\"consistency\", ...}",
    text = "Song et al. 2023, algorithm 1",
    options = {
      { name = "s_noise", type = "number", range = ">= 0", default = "1", text = "factor of the noise" },
    },
  },
  ["sampler ddim"] = {
    signature = "sampler = {\"ddim\", ...}",
    text = "Song et al. 2021, \"Denoising diffusion implicit models\", eq. 12",
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "0", text = "factor of the posterior's standard deviation: 0 adds no noise, 1 is ddpm" },
    },
  },
  ["sampler ddim_inversion"] = {
    signature = "sampler = {\"ddim_inversion\", ...}",
    text = "Song et al. 2021, \"Denoising diffusion implicit models\", sec. 4.3",
    options = {
      { name = "at", type = "\"s\" or \"t\"", default = "\"s\"", text = "level at which the model is evaluated" },
      { name = "exact", type = "boolean", default = "false", text = "solves each step by iteration, so that ddim returns to the data" },
      { name = "iterations", type = "integer", range = ">= 1", default = "100", text = "iterations of a step at most" },
      { name = "tolerance", type = "number", range = "> 0", default = "1e-6", text = "residual at which the iteration ends" },
    },
  },
  ["sampler ddpm"] = {
    signature = "sampler = \"ddpm\"",
    text = "Ho et al. 2020, algorithm 2",
  },
  ["sampler deis"] = {
    signature = "sampler = {\"deis\", ...}",
    text = "Zhang & Chen 2023, eq. 15, in ln rho",
    options = {
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "order", type = "integer", range = "[1, 4]", default = "3", text = "values that a step uses" },
    },
  },
  ["sampler diffusers-ddim-eps-of-unclipped-x0"] = {
    signature = "sampler = {\"diffusers-ddim-eps-of-unclipped-x0\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "clip", type = "number", range = "> 0", default = "none", text = "x0 is clipped to [-clip, clip]" },
      { name = "eta", type = "number", range = ">= 0", default = "0", text = "factor of the posterior's standard deviation" },
      { name = "most", type = "number", range = "> 0", default = "1", text = "cap of that threshold" },
      { name = "pair", type = "\"unclipped\" or \"clipped\"", default = "\"unclipped\"", text = "x0 to which eps belongs" },
      { name = "ratio", type = "number", range = "[0, 1]", default = "none", text = "quantile of |x0| that is a dynamic threshold" },
    },
  },
  ["sampler diffusers-ddim-inverse-told-next-time"] = {
    signature = "sampler = {\"diffusers-ddim-inverse-told-next-time\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "clip", type = "number", range = "> 0", default = "none", text = "x0 is clipped to [-clip, clip]" },
      { name = "last", type = "integer", range = "[0, 1]", default = "0", text = "level below the first stride" },
      { name = "most", type = "number", range = "> 0", default = "1", text = "cap of that threshold" },
      { name = "ratio", type = "number", range = "[0, 1]", default = "none", text = "quantile of |x0| that is a dynamic threshold" },
      { name = "steps", type = "integer", range = ">= 1", default = "steps of the run", text = "the stride is T // steps" },
    },
  },
  ["sampler diffusers-ddim-previous-by-stride"] = {
    signature = "sampler = {\"diffusers-ddim-previous-by-stride\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "clip", type = "number", range = "> 0", default = "none", text = "x0 is clipped to [-clip, clip]" },
      { name = "eta", type = "number", range = ">= 0", default = "0", text = "factor of the posterior's standard deviation" },
      { name = "last", type = "integer", range = "[0, 1]", default = "0", text = "level below the first stride" },
      { name = "most", type = "number", range = "> 0", default = "1", text = "cap of that threshold" },
      { name = "pair", type = "\"unclipped\" or \"clipped\"", default = "\"unclipped\"", text = "x0 to which eps belongs" },
      { name = "ratio", type = "number", range = "[0, 1]", default = "none", text = "quantile of |x0| that is a dynamic threshold" },
      { name = "steps", type = "integer", range = ">= 1", default = "steps of the run", text = "the stride is T // steps" },
    },
  },
  ["sampler diffusers-ddpm-noise-in-last-step"] = {
    signature = "sampler = \"diffusers-ddpm-noise-in-last-step\"",
    text = "as another library computes it, including its defect",
  },
  ["sampler diffusers-ddpm-without-last-noise"] = {
    signature = "sampler = {\"diffusers-ddpm-without-last-noise\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "last", type = "integer", range = ">= 0", default = "1", text = "the last level, to which a step adds no noise" },
      { name = "least", type = "number", range = ">= 0", default = "0", text = "smaller variances of a step are none" },
    },
  },
  ["sampler diffusers-dpm-inverse"] = {
    signature = "sampler = {\"diffusers-dpm-inverse\", ...}",
    text = "dpm_solver_multistep backwards, from data to noise",
    options = {
      { name = "d2", type = "number", default = "2", text = "factor of the second difference; 1 is what some libraries have" },
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "order", type = "integer", range = "[1, 3]", default = "2", text = "values that a step uses" },
    },
  },
  ["sampler diffusers-dpm-sde"] = {
    signature = "sampler = {\"diffusers-dpm-sde\", ...}",
    text = "Lu et al. 2022, \"DPM-Solver++\", SDE-DPM-Solver on eps",
    options = {
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "order", type = "integer", range = "[1, 2]", default = "2", text = "values that a step uses" },
    },
  },
  ["sampler diffusers-dpmpp-2m-inverse-threshold-capped"] = {
    signature = "sampler = {\"diffusers-dpmpp-2m-inverse-threshold-capped\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "most", type = "number", range = "> 0", default = "1", text = "cap of the threshold" },
      { name = "ratio", type = "number", range = "[0, 1]", default = "0.995", text = "quantile of |x0| that is the threshold" },
    },
  },
  ["sampler diffusers-dpmpp-2m-sde-drawn-twice"] = {
    signature = "sampler = {\"diffusers-dpmpp-2m-sde-drawn-twice\", ...}",
    text = "SDE-DPM-Solver++(2M) as CogVideoX has it",
    options = {
      { name = "last", type = "integer", range = "[0, 1]", default = "0", text = "level below the first stride" },
      { name = "steps", type = "integer", range = ">= 1", default = "steps of the run", text = "the stride is T // steps" },
    },
  },
  ["sampler diffusers-dpmpp-2m-threshold-capped"] = {
    signature = "sampler = {\"diffusers-dpmpp-2m-threshold-capped\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "most", type = "number", range = "> 0", default = "1", text = "cap of the threshold" },
      { name = "ratio", type = "number", range = "[0, 1]", default = "0.995", text = "quantile of |x0| that is the threshold" },
    },
  },
  ["sampler diffusers-dpmpp-3m-inverse"] = {
    signature = "sampler = {\"diffusers-dpmpp-3m-inverse\", ...}",
    text = "dpmpp_3m backwards, from data to noise",
    options = {
      { name = "d2", type = "number", default = "2", text = "factor of the second difference; 1 is what some libraries have" },
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
    },
  },
  ["sampler diffusers-dpmpp-3m-sde-wrong-sign"] = {
    signature = "sampler = {\"diffusers-dpmpp-3m-sde-wrong-sign\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
    },
  },
  ["sampler diffusers-dpmpp-singlestep-sde-wrong-sign"] = {
    signature = "sampler = {\"diffusers-dpmpp-singlestep-sde-wrong-sign\", ...}",
    text = "dpmpp_singlestep with the noise of the SDE, as diffusers has it",
    options = {
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "boolean", default = "true", text = "the last step is a block of its own if none is left over" },
      { name = "order", type = "integer", range = "[1, 3]", default = "2", text = "steps that make one block" },
      { name = "orders", type = "list of integers", default = "1, 2, ... order, repeated", text = "place of each step in its block" },
    },
  },
  ["sampler diffusers-euler-churn-after-model"] = {
    signature = "sampler = {\"diffusers-euler-churn-after-model\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "of", type = "\"eps\", \"v\", \"x0\" or \"edm\"", default = "\"eps\"", text = "prediction target of the model's output" },
      { name = "s_churn", type = "number", range = ">= 0", default = "0", text = "noise that is added before steps, over all of them" },
      { name = "s_noise", type = "number", range = ">= 0", default = "1", text = "factor of that noise" },
      { name = "s_tmax", type = "number", range = ">= 0", default = "infinite", text = "greatest sigma at which noise is added" },
      { name = "s_tmin", type = "number", range = ">= 0", default = "0", text = "least sigma at which noise is added" },
      { name = "steps", type = "integer", range = ">= 1", default = "steps of the run", text = "s_churn is over so many steps" },
    },
  },
  ["sampler diffusers-flow-euler-ancestral"] = {
    signature = "sampler = {\"diffusers-flow-euler-ancestral\", ...}",
    text = "diffusers' LTX, after ComfyUI",
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "1", text = "factor of the noise: 0 adds none, 1 is the reverse process" },
      { name = "s_noise", type = "number", range = ">= 0", default = "1", text = "factor of the noise" },
    },
  },
  ["sampler diffusers-ipndm-start-without-x0"] = {
    signature = "sampler = \"diffusers-ipndm-start-without-x0\"",
    text = "as another library computes it, including its defect",
  },
  ["sampler diffusers-kdpm2-ancestral-midpoints-told-apart"] = {
    signature = "sampler = {\"diffusers-kdpm2-ancestral-midpoints-told-apart\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "1", text = "factor of the noise: 0 adds none, 1 is the reverse process" },
    },
  },
  ["sampler diffusers-lms-of-missing-slopes"] = {
    signature = "sampler = {\"diffusers-lms-of-missing-slopes\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "skipped", type = "list of numbers", default = "required", text = "the levels before the start" },
      { name = "order", type = "integer", range = "[1, 4]", default = "4", text = "values that a step uses" },
    },
  },
  ["sampler diffusers-pndm-previous-by-stride"] = {
    signature = "sampler = {\"diffusers-pndm-previous-by-stride\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "groups", type = "list of tables", default = "four of each of the first three steps", text = "steps of Runge-Kutta: tables with the levels of their evaluations and moves" },
      { name = "last", type = "integer", range = "[0, 1]", default = "0", text = "level below the first stride" },
      { name = "of", type = "\"eps\" or \"v\"", default = "\"eps\"", text = "the predictions that are combined" },
      { name = "second", type = "integer", range = ">= 1", default = "the second level", text = "level of the second evaluation" },
      { name = "start", type = "\"heun\" or \"runge_kutta\"", default = "\"heun\"", text = "method of the first steps" },
      { name = "steps", type = "integer", range = ">= 1", default = "steps of the run", text = "the stride is T // steps" },
    },
  },
  ["sampler diffusers-repaint-one-noise-for-both-parts"] = {
    signature = "sampler = {\"diffusers-repaint-one-noise-for-both-parts\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "clip", type = "number", range = "> 0", default = "none", text = "x0 is clipped to [-clip, clip]" },
      { name = "eta", type = "number", range = ">= 0", default = "0", text = "factor of the posterior's standard deviation" },
      { name = "mask", type = "tensor", default = "none: nothing is known", text = "1 where the original is known" },
      { name = "original", type = "tensor", default = "none", text = "the picture whose known part stays" },
      { name = "steps", type = "integer", range = ">= 1", default = "steps of the run", text = "a step has T // steps levels" },
    },
  },
  ["sampler diffusers-score-vp-equal-steps"] = {
    signature = "sampler = {\"diffusers-score-vp-equal-steps\", ...}",
    text = "as another library computes it, including its defect",
    options = {
      { name = "beta_max", type = "number", range = "> 0", default = "20", text = "beta(1)" },
      { name = "beta_min", type = "number", range = ">= 0", default = "0.1", text = "beta(0)" },
      { name = "steps", type = "integer", range = ">= 1", default = "steps of the run", text = "the step is 1/steps" },
    },
  },
  ["sampler dpm2"] = {
    signature = "sampler = \"dpm2\"",
    text = "k-diffusion, after Lu et al. 2022, \"DPM-Solver\"",
  },
  ["sampler dpm2_ancestral"] = {
    signature = "sampler = {\"dpm2_ancestral\", ...}",
    text = "k-diffusion",
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "1", text = "factor of the noise: 0 adds none, 1 is the reverse process" },
    },
  },
  ["sampler dpm_adaptive"] = {
    signature = "sampler = {\"dpm_adaptive\", ...}",
    text = "Lu et al. 2022, \"DPM-Solver\", app. C",
    options = {
      { name = "atol", type = "number", range = "> 0", default = "0.0078", text = "absolute tolerance of a step's error" },
      { name = "h", type = "number", range = "> 0", default = "0.05", text = "first step in ln(a/s)" },
      { name = "most", type = "integer", range = ">= 1", default = "10000", text = "steps after which the run is an error" },
      { name = "order", type = "integer", range = "[2, 3]", default = "3", text = "order of the solver" },
      { name = "rtol", type = "number", range = ">= 0", default = "0.05", text = "tolerance relative to the sample's size" },
    },
  },
  ["sampler dpm_solver"] = {
    signature = "sampler = {\"dpm_solver\", ...}",
    text = "Lu et al. 2022, \"DPM-Solver\", algorithms 1 and 2",
    options = {
      { name = "order", type = "integer", range = "[1, 3]", default = "3", text = "evaluations of a step" },
    },
  },
  ["sampler dpm_solver_multistep"] = {
    signature = "sampler = {\"dpm_solver_multistep\", ...}",
    text = "Lu et al. 2022, \"DPM-Solver++\", app. B, on eps",
    options = {
      { name = "d2", type = "number", default = "2", text = "factor of the second difference; 1 is what some libraries have" },
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "order", type = "integer", range = "[1, 3]", default = "2", text = "values that a step uses" },
    },
  },
  ["sampler dpm_solver_singlestep"] = {
    signature = "sampler = {\"dpm_solver_singlestep\", ...}",
    text = "Lu et al. 2022, \"DPM-Solver\", sec. 3.4",
    options = {
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "boolean", default = "true", text = "the last step is a block of its own if none is left over" },
      { name = "order", type = "integer", range = "[1, 3]", default = "2", text = "steps that make one block" },
      { name = "orders", type = "list of integers", default = "1, 2, ... order, repeated", text = "place of each step in its block" },
    },
  },
  ["sampler dpmpp_2m"] = {
    signature = "sampler = {\"dpmpp_2m\", ...}",
    text = "Lu et al. 2022, \"DPM-Solver++\", algorithm 2",
    options = {
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
    },
  },
  ["sampler dpmpp_2m_inversion"] = {
    signature = "sampler = {\"dpmpp_2m_inversion\", ...}",
    text = "dpmpp_2m backwards, from data to noise",
    options = {
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
    },
  },
  ["sampler dpmpp_2m_sde"] = {
    signature = "sampler = {\"dpmpp_2m_sde\", ...}",
    text = "Lu et al. 2022, SDE-DPM-Solver++(2M)",
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "1", text = "factor of the noise: 0 adds none, 1 is the reverse process" },
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "s_noise", type = "number", range = ">= 0", default = "1", text = "factor of the noise" },
    },
  },
  ["sampler dpmpp_2s"] = {
    signature = "sampler = \"dpmpp_2s\"",
    text = "Lu et al. 2022, \"DPM-Solver++\", algorithm 1",
  },
  ["sampler dpmpp_2s_ancestral"] = {
    signature = "sampler = {\"dpmpp_2s_ancestral\", ...}",
    text = "k-diffusion, after Lu et al. 2022",
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "1", text = "factor of the noise: 0 adds none, 1 is the reverse process" },
    },
  },
  ["sampler dpmpp_3m"] = {
    signature = "sampler = {\"dpmpp_3m\", ...}",
    text = "Lu et al. 2022, \"DPM-Solver++\", three values, second difference corrected",
    options = {
      { name = "d2", type = "number", default = "2", text = "factor of the second difference; 1 is what some libraries have" },
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
    },
  },
  ["sampler dpmpp_3m_sde"] = {
    signature = "sampler = {\"dpmpp_3m_sde\", ...}",
    text = "k-diffusion, second difference corrected",
    options = {
      { name = "d2", type = "number", default = "2", text = "factor of the second difference; 1 is what some libraries have" },
      { name = "eta", type = "number", range = ">= 0", default = "1", text = "factor of the noise: 0 adds none, 1 is the reverse process" },
      { name = "s_noise", type = "number", range = ">= 0", default = "1", text = "factor of the noise" },
    },
  },
  ["sampler dpmpp_3s"] = {
    signature = "sampler = \"dpmpp_3s\"",
    text = "Lu et al. 2022, \"DPM-Solver++\", in three evaluations",
  },
  ["sampler dpmpp_sde"] = {
    signature = "sampler = {\"dpmpp_sde\", ...}",
    text = "k-diffusion, after Lu et al. 2022, SDE-DPM-Solver++",
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "1", text = "factor of the noise: 0 adds none, 1 is the reverse process" },
      { name = "s_noise", type = "number", range = ">= 0", default = "1", text = "factor of the noise" },
    },
  },
  ["sampler dpmpp_singlestep"] = {
    signature = "sampler = {\"dpmpp_singlestep\", ...}",
    text = "Lu et al. 2022, \"DPM-Solver++\", at levels of the grid",
    options = {
      { name = "form", type = "\"midpoint\" or \"heun\"", default = "\"midpoint\"", text = "formula of the second-order term" },
      { name = "lower_order_final", type = "boolean", default = "true", text = "the last step is a block of its own if none is left over" },
      { name = "order", type = "integer", range = "[1, 3]", default = "2", text = "steps that make one block" },
      { name = "orders", type = "list of integers", default = "1, 2, ... order, repeated", text = "place of each step in its block" },
    },
  },
  ["sampler euler"] = {
    signature = "sampler = \"euler\"",
    text = "Karras et al. 2022, eq. 1, by Euler",
  },
  ["sampler euler_ancestral"] = {
    signature = "sampler = {\"euler_ancestral\", ...}",
    text = "k-diffusion; with eta = 1 it is ddpm",
    options = {
      { name = "eta", type = "number", range = ">= 0", default = "1", text = "factor of the noise: 0 adds none, 1 is the reverse process" },
    },
  },
  ["sampler euler_churn"] = {
    signature = "sampler = {\"euler_churn\", ...}",
    text = "Karras et al. 2022, algorithm 2 without its correction",
    options = {
      { name = "s_churn", type = "number", range = ">= 0", default = "0", text = "noise that is added before steps, over all of them" },
      { name = "s_noise", type = "number", range = ">= 0", default = "1", text = "factor of that noise" },
      { name = "s_tmax", type = "number", range = ">= 0", default = "infinite", text = "greatest sigma at which noise is added" },
      { name = "s_tmin", type = "number", range = ">= 0", default = "0", text = "least sigma at which noise is added" },
    },
  },
  ["sampler flow_euler"] = {
    signature = "sampler = \"flow_euler\"",
    text = "Liu et al. 2023; Lipman et al. 2023, by Euler",
  },
  ["sampler flow_heun"] = {
    signature = "sampler = \"flow_heun\"",
    text = "Liu et al. 2023; Lipman et al. 2023, by Heun",
  },
  ["sampler flow_midpoint"] = {
    signature = "sampler = \"flow_midpoint\"",
    text = "Liu et al. 2023; Lipman et al. 2023, by the midpoint method",
  },
  ["sampler heun"] = {
    signature = "sampler = {\"heun\", ...}",
    text = "Karras et al. 2022, algorithms 1 and 2",
    options = {
      { name = "draws", type = "\"needed\" or \"every\"", default = "\"needed\"", text = "\"every\" takes normals of a generator in steps without noise too" },
      { name = "s_churn", type = "number", range = ">= 0", default = "0", text = "noise that is added before steps, over all of them" },
      { name = "s_noise", type = "number", range = ">= 0", default = "1", text = "factor of that noise" },
      { name = "s_tmax", type = "number", range = ">= 0", default = "infinite", text = "greatest sigma at which noise is added" },
      { name = "s_tmin", type = "number", range = ">= 0", default = "0", text = "least sigma at which noise is added" },
    },
  },
  ["sampler ipndm"] = {
    signature = "sampler = \"ipndm\"",
    text = "diffusers, after Liu et al. 2022 (PNDM)",
  },
  ["sampler lcm"] = {
    signature = "sampler = {\"lcm\", ...}",
    text = "Luo et al. 2023, algorithm 3",
    options = {
      { name = "sigma_data", type = "number", range = ">= 0", default = "0.5", text = "standard deviation of the data in these scales" },
      { name = "timestep_scaling", type = "number", range = "> 0", default = "10", text = "factor of t in the skip and output scales" },
    },
  },
  ["sampler lms"] = {
    signature = "sampler = {\"lms\", ...}",
    text = "Adams and Bashforth on Karras et al. 2022, eq. 1",
    options = {
      { name = "final", type = "boolean", default = "false", text = "the step to level 0 is a step like the others, not x0" },
      { name = "order", type = "integer", range = "[1, 4]", default = "4", text = "values that a step uses" },
    },
  },
  ["sampler plms"] = {
    signature = "sampler = {\"plms\", ...}",
    text = "Liu et al. 2022 (PNDM), eq. 12",
    options = {
      { name = "of", type = "\"eps\" or \"v\"", default = "\"eps\"", text = "the predictions that are combined" },
      { name = "start", type = "\"heun\" or \"runge_kutta\"", default = "\"heun\"", text = "method of the first steps" },
    },
  },
  ["sampler predictor_corrector"] = {
    signature = "sampler = {\"predictor_corrector\", ...}",
    text = "Song et al. 2021 (score SDE), algorithms 2 to 5",
    options = {
      { name = "corrections", type = "integer", range = ">= 0", default = "1", text = "corrector steps at each level" },
      { name = "corrector", type = "\"after\" or \"before\"", default = "\"after\"", text = "the corrector acts at s after the predictor, or at t before it, as in the paper's code" },
      { name = "norms", type = "\"sample\" or \"batch\"", default = "\"sample\"", text = "norms of each sample, or means over the batch with the norm of the noise drawn, as in that code" },
      { name = "predictor", type = "\"reverse\" or \"ancestral\"", default = "\"reverse\"", text = "step of the reverse SDE, or of ancestral sampling" },
      { name = "snr", type = "number", range = "> 0", default = "0.16", text = "ratio of score to noise in a corrector step" },
    },
  },
  ["sampler rk45"] = {
    signature = "sampler = {\"rk45\", ...}",
    text = "Song et al. 2021 (score SDE), app. D.4; Dormand & Prince 1980",
    options = {
      { name = "atol", type = "number", range = "> 0", default = "1e-5", text = "absolute tolerance of a step's error" },
      { name = "most", type = "integer", range = ">= 1", default = "10000", text = "steps after which the run is an error" },
      { name = "rtol", type = "number", range = ">= 0", default = "1e-5", text = "tolerance relative to the sample's size" },
    },
  },
  ["sampler sa_solver"] = {
    signature = "sampler = {\"sa_solver\", ...}",
    text = "Xue et al. 2023, algorithm 1",
    options = {
      { name = "corrector", type = "integer", range = "[0, 4]", default = "2", text = "values that the corrector uses; 0: no corrector" },
      { name = "draws", type = "\"needed\" or \"every\"", default = "\"needed\"", text = "\"every\" takes normals of a generator in steps without noise too" },
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "of", type = "\"x0\" or \"eps\"", default = "\"x0\"", text = "prediction that the step uses" },
      { name = "predictor", type = "integer", range = "[1, 4]", default = "2", text = "values that the predictor uses" },
      { name = "tau", type = "number or function", range = ">= 0", default = "1", text = "noise from 0, the ODE, to 1, the reverse SDE; or a function of t" },
      { name = "variant", type = "\"adams\" or \"bh1\"", default = "\"adams\"", text = "weights of two values" },
    },
  },
  ["sampler tcd"] = {
    signature = "sampler = {\"tcd\", ...}",
    text = "Zheng et al. 2024, algorithm 4",
    options = {
      { name = "gamma", type = "number", range = "[0, 1]", default = "0.3", text = "share of stochasticity: 0 is ddim, 1 goes to the data and back in each step" },
    },
  },
  ["sampler unipc"] = {
    signature = "sampler = {\"unipc\", ...}",
    text = "Zhao et al. 2023, algorithms 1 and 2, on x0",
    options = {
      { name = "corrector", type = "boolean", default = "true", text = "corrects each x with the next step's value" },
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "order", type = "integer", range = "[1, 3]", default = "2", text = "values that the predictor uses" },
      { name = "uncorrected", type = "list of integers", default = "{}", text = "numbers of steps that don't correct x" },
      { name = "variant", type = "\"bh1\" or \"bh2\"", default = "\"bh2\"", text = "B(h) of the paper: h, or e^h - 1" },
    },
  },
  ["sampler unipc_eps"] = {
    signature = "sampler = {\"unipc_eps\", ...}",
    text = "Zhao et al. 2023, algorithms 1 and 2, on eps",
    options = {
      { name = "corrector", type = "boolean", default = "true", text = "corrects each x with the next step's value" },
      { name = "euler_at_final", type = "boolean", default = "false", text = "the last step has order 1" },
      { name = "lower_order_final", type = "integer", range = ">= 0", default = "0", text = "runs of fewer steps end with steps of order 2 and 1" },
      { name = "order", type = "integer", range = "[1, 3]", default = "2", text = "values that the predictor uses" },
      { name = "uncorrected", type = "list of integers", default = "{}", text = "numbers of steps that don't correct x" },
      { name = "variant", type = "\"bh1\" or \"bh2\"", default = "\"bh2\"", text = "B(h) of the paper: h, or e^h - 1" },
    },
  },
  ["schedule"] = {
    signature = "schedule",
    text = "A noise schedule: x_t = signal(t) x_0 + noise(t) eps.",
    params = {
      { name = "T", type = "integer", text = "number of steps" },
      { name = "name", type = "string" },
    },
  },
  ["schedule:alpha"] = {
    signature = "schedule:alpha(t, [s])",
    text = "alpha_bar_t/alpha_bar_s for the step from s to t; an error unless a^2 + s^2 = 1.",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 1..T" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "0 <= s < t; default t - 1", optional = true },
    },
    returns = {
      { type = "number|diffusion.tensor" },
    },
  },
  ["schedule:alpha_bar"] = {
    signature = "schedule:alpha_bar(t)",
    text = "a^2; an error unless a^2 + s^2 = 1.",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "with the shape of the tensor t, or {B} for a list" },
    },
  },
  ["schedule:beta"] = {
    signature = "schedule:beta(t, [s])",
    text = "1 - alpha_bar_t/alpha_bar_s for the step from s to t; an error unless a^2 + s^2 = 1.",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 1..T" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "0 <= s < t; default t - 1", optional = true },
    },
    returns = {
      { type = "number|diffusion.tensor" },
    },
  },
  ["schedule:columns"] = {
    signature = "schedule:columns()",
    text = "The two columns of the schedule: ln a_t and ln s_t for t = 1..T.",
    returns = {
      { type = "number[]", text = "ln_a" },
      { type = "number[]", text = "ln_s" },
    },
  },
  ["schedule:config"] = {
    signature = "schedule:config()",
    text = "A table of plain values from which schedule.from_config makes the same schedule. Real levels of a function are interpolated in it.",
    returns = {
      { type = "table" },
    },
  },
  ["schedule:is_vp"] = {
    signature = "schedule:is_vp()",
    text = "True if a^2 + s^2 = 1 at every level.",
    returns = {
      { type = "boolean" },
    },
  },
  ["schedule:level_of_sigma"] = {
    signature = "schedule:level_of_sigma(sigma)",
    text = "The real t at which s/a = sigma.",
    params = {
      { name = "sigma", type = "number|number[]|diffusion.tensor", text = "0, or from sigma(1) to sigma(T)" },
    },
    returns = {
      { type = "number|diffusion.tensor" },
    },
  },
  ["schedule:log_snr"] = {
    signature = "schedule:log_snr(t)",
    text = "ln(a^2/s^2).",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "with the shape of the tensor t, or {B} for a list" },
    },
  },
  ["schedule:noise"] = {
    signature = "schedule:noise(t)",
    text = "s_t of x_t = a_t x_0 + s_t eps.",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "with the shape of the tensor t, or {B} for a list" },
    },
  },
  ["schedule:plot"] = {
    signature = "schedule:plot([o])",
    text = "Plots a quantity of the schedule against u = t/T; see d.plot.schedules.",
    params = {
      { name = "o", type = "diffusion.plot_schedules_options?", optional = true },
    },
    options = {
      { name = "file", type = "path", default = "a window, or the terminal", text = "a file that ends in .png or .svg" },
      { name = "height", type = "integer", range = "[100, 10000]", default = "600", text = "height in pixels" },
      { name = "logy", type = "boolean", default = "false", text = "the vertical axis is logarithmic" },
      { name = "title", type = "string", default = "none", text = "the picture's title" },
      { name = "what", type = "\"alpha_bar\", \"beta\", \"log_snr\", \"snr\", \"signal\", \"noise\" or \"sigma\"", default = "\"log_snr\"", text = "the quantity" },
      { name = "width", type = "integer", range = "[100, 10000]", default = "800", text = "width in pixels" },
      { name = "xlabel", type = "string", default = "\"u = t/T\"", text = "name of the horizontal axis" },
      { name = "ylabel", type = "string", default = "what", text = "name of the vertical axis" },
    },
    returns = {
      { type = "boolean|nil", text = "ok nil with a message if it fails" },
      { type = "string|nil", text = "message" },
    },
  },
  ["schedule:posterior_variance"] = {
    signature = "schedule:posterior_variance(t, [s])",
    text = "The variance of q(x_s | x_t, x_0) (Ho et al. 2020, eq. 7).",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 1..T" },
      { name = "s", type = "number|number[]|diffusion.tensor", text = "0 <= s < t; default t - 1", optional = true },
    },
    returns = {
      { type = "number|diffusion.tensor" },
    },
  },
  ["schedule:prior_kl"] = {
    signature = "schedule:prior_kl([x])",
    text = "KL(q(x_T | x_0) || prior) per dimension, in bits: the information about x_0 that remains at T.",
    params = {
      { name = "x", type = "number", text = "|x_0|, default 1", optional = true },
    },
    returns = {
      { type = "number" },
    },
  },
  ["schedule:prior_std"] = {
    signature = "schedule:prior_std()",
    text = "Standard deviation of the noise from which sampling starts: 1 if a^2 + s^2 = 1, else s_T.",
    returns = {
      { type = "number" },
    },
  },
  ["schedule:rescale_zero_terminal_snr"] = {
    signature = "schedule:rescale_zero_terminal_snr()",
    text = "The same schedule, shifted and scaled so that x_T holds no signal (Lin et al. 2024, alg. 1). The first level is not changed.",
    returns = {
      { type = "diffusion.schedule" },
    },
  },
  ["schedule:sigma"] = {
    signature = "schedule:sigma(t)",
    text = "s/a, the noise in units of the data.",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "with the shape of the tensor t, or {B} for a list" },
    },
  },
  ["schedule:signal"] = {
    signature = "schedule:signal(t)",
    text = "a_t of x_t = a_t x_0 + s_t eps.",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "with the shape of the tensor t, or {B} for a list" },
    },
  },
  ["schedule:snr"] = {
    signature = "schedule:snr(t)",
    text = "The signal-to-noise ratio a^2/s^2.",
    params = {
      { name = "t", type = "number|number[]|diffusion.tensor", text = "in 0..T; at real t >= 1 ln SNR is interpolated linearly, or given by the schedule's own function" },
    },
    returns = {
      { type = "number|diffusion.tensor", text = "with the shape of the tensor t, or {B} for a list" },
    },
  },
  ["set"] = {
    signature = "set",
    text = "Examples, with their classes if they have any.",
    params = {
      { name = "x", type = "diffusion.tensor|nil", text = "u8 images [n,H,W,C], or numbers [n,...]; nil if pictures have several sizes or crops" },
      { name = "class", type = "diffusion.tensor|nil", text = "i64 [n], 1..classes" },
      { name = "eps", type = "diffusion.tensor|nil", text = "noise that each example is paired with, as x" },
      { name = "n", type = "integer", text = "number of examples" },
      { name = "classes", type = "integer|nil" },
      { name = "names", type = "string[]|nil", text = "names of the classes" },
      { name = "name", type = "string" },
      { name = "captions", type = "string[]|nil", text = "a text for each example" },
      { name = "subgroups", type = "string[]|nil", text = "the name of each example's part of its class (d.data.emoji)" },
      { name = "paths", type = "string[]|nil", text = "the files of the pictures" },
      { name = "sizes", type = "integer[][]|nil", text = "{height, width} of each picture before it was resized" },
      { name = "buckets", type = "table[]|nil", text = "{height =, width =, n =} of each size, if pictures have several or crops" },
    },
  },
  ["set:batches"] = {
    signature = "set:batches(options)",
    text = "An iterator over batches: `for step, x0, class in set:batches{ size = 64 } do`. Images are returned as floats in [-1, 1]. Each epoch has its own order. A batch may span two epochs, so all batches are full, even if size > n, and no example is left out. With `epochs`, every example occurs exactly that often, and the last batch may be short. If `.step` is set, the next batch is step + 1. A set of pictures of several sizes has a bucket of each. A batch is of one bucket, and batches of all are mixed.",
    params = {
      { name = "options", type = "diffusion.set_batches_options" },
    },
    options = {
      { name = "size", type = "integer", range = ">= 1", default = "required", text = "examples in a batch" },
      { name = "epochs", type = "number", range = "> 0", default = "1", text = "passes over the set, in place of steps" },
      { name = "flip", type = "boolean", default = "false", text = "mirrors each image left to right with probability 1/2" },
      { name = "over", type = "mpi", default = "none", text = "deals each batch out over the ranks of diffusion.mpi" },
      { name = "pieces", type = "integer", range = ">= 1", default = "8 with over", text = "with `over`: pieces of a batch whose gradients are summed in a fixed order, a power of 2" },
      { name = "seed", type = "integer", default = "follows d.manual_seed", text = "seed of the random numbers" },
      { name = "shuffle", type = "boolean", default = "true", text = "each epoch has an order of its own" },
      { name = "steps", type = "integer", range = ">= 0", default = "by epochs", text = "number of batches" },
    },
    returns = {
      { type = "diffusion.batches" },
    },
    example = "for step, x0, class in d.data.digits():batches{ size = 64, steps = 3 } do print(step, x0:std():item()) end",
  },
  ["tensor"] = {
    signature = "tensor",
    text = "An array with up to 8 dimensions. Elements have type f32, f64, f16, bf16, i64 or u8. x[i], x[{{1, 3}, {}, 2}] and #x read elements; x[i] = y writes them. Positions count from 1; negative ones count from the end. Ranges include both ends, {} is a whole dimension, and {2} means {2, 2}. x[#x + 1] is nil, so ipairs(x) ends; other positions out of range are errors. + - * / ^ work element by element and broadcast. If x[i] is a plain number, reading it while x is being recorded is an error, since its gradient would be lost. Use x:select(dim, i), x[{ {i, i} }], or x:detach()[i] for a constant. The results of item(), totable(), bytes() and print are constants too.",
    params = {
      { name = "grad", type = "diffusion.tensor|nil", text = "the gradient of a parameter after loss:backward()" },
    },
  },
  ["tensor:abs"] = {
    signature = "tensor:abs()",
    text = "|x| of each element.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:add"] = {
    signature = "tensor:add(y)",
    text = "x + y, also written so. Operands are broadcast; it is an error if their shapes do not match. Integers with integers give exact integers under + - *. It is an error if i64 cannot hold a result, or if a real operand would round an integer (from 2^24 on).",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the broadcast shape" },
    },
    example = "print(d.tensor{{1, 2}, {3, 4}} + d.tensor{10, 20})",
  },
  ["tensor:add_"] = {
    signature = "tensor:add_(y)",
    text = "Writes x + y to x. Type and shape of x stay, and y is broadcast to x. An i64 takes integers only. If it cannot hold a result, an error is raised and x stays as it was. The backward pass raises an error if a gradient needs the old values.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x itself" },
    },
  },
  ["tensor:all"] = {
    signature = "tensor:all([dim], [keep])",
    text = "True if no element is 0. True if there are no elements. A tensor itself is always true in Lua, so write `if mask:any() then`.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "default: all elements, and the result is a boolean", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
    },
    returns = {
      { type = "boolean|diffusion.tensor", text = "u8 along a dimension" },
    },
  },
  ["tensor:allclose"] = {
    signature = "tensor:allclose(y, [opts])",
    text = "True if y has the same shape and |x - y| <= atol + rtol |y| for each element.",
    params = {
      { name = "y", type = "diffusion.tensor" },
      { name = "opts", type = "diffusion.allclose_options", optional = true },
    },
    options = {
      { name = "rtol", type = "number", range = ">= 0", default = "1e-5", text = "tolerance relative to |y|" },
      { name = "atol", type = "number", range = ">= 0", default = "1e-8", text = "absolute tolerance" },
    },
    returns = {
      { type = "boolean" },
    },
  },
  ["tensor:any"] = {
    signature = "tensor:any([dim], [keep])",
    text = "True if any element is not 0. False if there are no elements. A tensor itself is always true in Lua, so write `if mask:any() then`.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "default: all elements, and the result is a boolean", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
    },
    returns = {
      { type = "boolean|diffusion.tensor", text = "u8 along a dimension" },
    },
  },
  ["tensor:argmax"] = {
    signature = "tensor:argmax([dim], [keep])",
    text = "The position of the largest element; the first one if several are equal.",
    params = {
      { name = "dim", type = "integer", text = "default: all elements in one row", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "i64, from 1" },
    },
  },
  ["tensor:argmin"] = {
    signature = "tensor:argmin([dim], [keep])",
    text = "The position of the smallest element; the first one if several are equal.",
    params = {
      { name = "dim", type = "integer", text = "default: all elements in one row", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "i64, from 1" },
    },
  },
  ["tensor:attention"] = {
    signature = "tensor:attention(k, v, [opts])",
    text = "softmax(q k^T / sqrt(D) + mask) v in each head of width D (Vaswani et al. 2017, eq. 1); q is x. With `causal`, query i sees the keys 1 to i + M - N, so the last query sees all. The mask is {B,M} (of keys), {B,N,M} or {B,heads,N,M}; B, heads and N may be 1. A mask of floats is added to the scores, and -inf hides a key. In a mask of u8 or i64, 0 hides a key and any other value keeps it. A query that sees no key gets zeros. A mask has no gradient.",
    params = {
      { name = "k", type = "diffusion.tensor", text = "{B,M,heads D}" },
      { name = "v", type = "diffusion.tensor", text = "{B,M,heads D}" },
      { name = "opts", type = "diffusion.attention_options", optional = true },
    },
    options = {
      { name = "heads", type = "integer", range = ">= 1", default = "1", text = "number of heads, which divides the width" },
      { name = "causal", type = "boolean", default = "false", text = "token i attends to tokens 1 .. i" },
      { name = "mask", type = "tensor", default = "none", text = "the mask, as above" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B,N,heads D} of x {B,N,heads D}" },
    },
    example = "local x = d.randn(2, 5, 8)\nlocal y = x:attention(x, x, {heads = 2, causal = true})",
  },
  ["tensor:avg_pool"] = {
    signature = "tensor:avg_pool([times])",
    text = "The mean of each times x times block of pixels. H and W must be multiples of times.",
    params = {
      { name = "times", type = "integer", text = "2", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B,H/times,W/times,C} of x {B,H,W,C}" },
    },
  },
  ["tensor:backward"] = {
    signature = "tensor:backward([opts])",
    text = "Runs the backward pass of the recorded ops and adds to the gradients of trainable parameters. The tensor must have one element. A second backward pass, a value that was overwritten, and a second derivative are errors. If it fails, also for lack of memory, the gradients of all models reached so far are dropped.",
    params = {
      { name = "opts", type = "diffusion.backward_options", optional = true },
    },
    options = {
      { name = "keep", type = "boolean", default = "false", text = "keeps the record for another backward pass" },
    },
  },
  ["tensor:bytes"] = {
    signature = "tensor:bytes()",
    text = "The bytes of the elements in order, for d.frombytes. They are constants: no gradient passes through them.",
    returns = {
      { type = "string" },
    },
  },
  ["tensor:clamp"] = {
    signature = "tensor:clamp([low], [high])",
    text = "Limits each element to [low, high].",
    params = {
      { name = "low", type = "number", text = "nil: no lower limit", optional = true },
      { name = "high", type = "number", text = "nil: no upper limit", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:clone"] = {
    signature = "tensor:clone()",
    text = "A copy with its own memory.",
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:contiguous"] = {
    signature = "tensor:contiguous()",
    text = "Returns x itself if its elements are in order without gaps, else a dense copy.",
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:conv2d"] = {
    signature = "tensor:conv2d(w, [b], [opts])",
    text = "Cross-correlation: y[n,h,w,k] = b[k] + the sum over r, s, c of x[n, h stride + r - top, w stride + s - left, c] w[k,r,s,c]. It is an error if channels differ, or if the kernel is larger than the padded image.",
    params = {
      { name = "w", type = "diffusion.tensor", text = "{K,R,S,C}" },
      { name = "b", type = "diffusion.tensor", text = "{K}", optional = true },
      { name = "opts", type = "diffusion.conv2d_options", optional = true },
    },
    options = {
      { name = "stride", type = "integer", range = ">= 1", default = "1", text = "step between two places of the kernel" },
      { name = "pad", type = "integer or list of integers", range = ">= 0", default = "0", text = "zeros around the image: one number or {top, bottom, left, right}" },
      { name = "add", type = "tensor", default = "none", text = "a tensor of the result's shape, which is added to it" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B,H',W',K} of x {B,H,W,C}" },
    },
  },
  ["tensor:copy_"] = {
    signature = "tensor:copy_(y)",
    text = "Writes the elements of y to x, converted as by Tensor:to. An i64 takes integers only.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]", text = "any type; it is broadcast to the shape of x" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x itself" },
    },
  },
  ["tensor:cos"] = {
    signature = "tensor:cos()",
    text = "The cosine of each element, in radians.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:cumsum"] = {
    signature = "tensor:cumsum([dim])",
    text = "Cumulative sum: y_i = x_1 + ... + x_i along a dimension. Integers give exact i64, or an error.",
    params = {
      { name = "dim", type = "integer", text = "default: the last", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:detach"] = {
    signature = "tensor:detach()",
    text = "The same values on the same memory, as a constant: no gradient passes through it.",
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:dim"] = {
    signature = "tensor:dim()",
    text = "The number of dimensions.",
    returns = {
      { type = "integer" },
    },
  },
  ["tensor:div"] = {
    signature = "tensor:div(y)",
    text = "x / y, also written so; the result is real, also for integers. Operands are broadcast; it is an error if their shapes do not match. Integers with integers give exact integers under + - *. It is an error if i64 cannot hold a result, or if a real operand would round an integer (from 2^24 on).",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the broadcast shape" },
    },
    example = "print(d.tensor{{1, 2}, {3, 4}} + d.tensor{10, 20})",
  },
  ["tensor:div_"] = {
    signature = "tensor:div_(y)",
    text = "Writes x / y to x. Type and shape of x stay, and y is broadcast to x. An i64 takes integers only. If it cannot hold a result, an error is raised and x stays as it was. The backward pass raises an error if a gradient needs the old values.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x itself" },
    },
  },
  ["tensor:dropout"] = {
    signature = "tensor:dropout(p)",
    text = "x / (1 - p) for kept elements, 0 for dropped ones (Srivastava et al. 2014).",
    params = {
      { name = "p", type = "number", text = "the fraction that is dropped, in [0, 1)" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:dtype"] = {
    signature = "tensor:dtype()",
    text = "The type of the elements.",
    returns = {
      { type = "string", text = "\"f32\", \"f64\", \"f16\", \"bf16\", \"i64\" or \"u8\"" },
    },
  },
  ["tensor:embedding"] = {
    signature = "tensor:embedding(w)",
    text = "Rows of a table: y[i] = w[x[i]], and zeros if x[i] is 0 (no class).",
    params = {
      { name = "w", type = "diffusion.tensor", text = "{n,D}" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x and D; x holds integers in 0..n" },
    },
  },
  ["tensor:eq"] = {
    signature = "tensor:eq(y)",
    text = "1 if x = y, else 0. (Lua's == compares objects, not elements.) An integer and a real are compared exactly: neither is rounded to the other's type.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "u8, 1 or 0, with the broadcast shape" },
    },
  },
  ["tensor:equal"] = {
    signature = "tensor:equal(y)",
    text = "True if y has the same shape and the same elements. nan equals nothing.",
    params = {
      { name = "y", type = "diffusion.tensor" },
    },
    returns = {
      { type = "boolean" },
    },
  },
  ["tensor:erf"] = {
    signature = "tensor:erf()",
    text = "The error function of each element: 2/sqrt(pi) times the integral of e^(-u^2) from 0 to x.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:erfc"] = {
    signature = "tensor:erfc()",
    text = "1 - erf(x) of each element, computed without cancellation.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:exp"] = {
    signature = "tensor:exp()",
    text = "e^x of each element.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:expand"] = {
    signature = "tensor:expand(shape)",
    text = "Repeats sizes of 1, and missing leading dimensions, without a copy.",
    params = {
      { name = "shape", type = "integer|integer[]", text = "numbers or one list" },
    },
    returns = {
      { type = "diffusion.tensor", text = "a window; several elements share one place in memory" },
    },
  },
  ["tensor:fill_"] = {
    signature = "tensor:fill_(value)",
    text = "Writes one number to every element.",
    params = {
      { name = "value", type = "number", text = "an integer if x is i64" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x itself" },
    },
  },
  ["tensor:fir"] = {
    signature = "tensor:fir(opts)",
    text = "The rows and columns of an image are filtered and resampled (Karras et al. 2020).",
    params = {
      { name = "opts", type = "diffusion.fir_options" },
    },
    options = {
      { name = "taps", type = "list of numbers", default = "required", text = "the filter: 1 to 8 numbers" },
      { name = "up", type = "integer", range = ">= 1", default = "1", text = "up - 1 zeros are put behind each pixel first" },
      { name = "down", type = "integer", range = ">= 1", default = "1", text = "every so many sums are taken" },
      { name = "before", type = "integer", default = "0", text = "zeros in front of each line; below 0: so many are cut off" },
      { name = "after", type = "integer", default = "0", text = "zeros behind each line" },
      { name = "reflect", type = "boolean", default = "false", text = "mirrored pixels instead of these zeros" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B,H',W',C}; H' is (up H + before + after - taps) // down + 1" },
    },
  },
  ["tensor:flatten"] = {
    signature = "tensor:flatten([from], [to])",
    text = "Joins dimensions into one, like reshape.",
    params = {
      { name = "from", type = "integer", text = "the first of them, 1", optional = true },
      { name = "to", type = "integer", text = "the last of them, -1", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:flip"] = {
    signature = "tensor:flip(dim)",
    text = "Reverses the order of elements along dimensions.",
    params = {
      { name = "dim", type = "integer|integer[]" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:floor"] = {
    signature = "tensor:floor()",
    text = "The largest integer not above x, for each element. No gradient.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:fourier"] = {
    signature = "tensor:fourier(w, [opts])",
    text = "sin and cos of 2 pi w t (Song et al. 2021, appendix C). No gradient.",
    params = {
      { name = "w", type = "diffusion.tensor", text = "{C} frequencies" },
      { name = "opts", type = "diffusion.fourier_options", optional = true },
    },
    options = {
      { name = "offset", type = "number", default = "0", text = "subtracted from t first" },
      { name = "log", type = "boolean", default = "false", text = "takes ln t instead of t" },
      { name = "cos_first", type = "boolean", default = "false", text = "the cosines come first" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B,2 C} of t {B}" },
    },
  },
  ["tensor:free"] = {
    signature = "tensor:free()",
    text = "Frees the memory now, not at the next garbage collection. Using the tensor afterwards is an error. Other windows on the same memory stay valid.",
  },
  ["tensor:gather"] = {
    signature = "tensor:gather(dim, places)",
    text = "Selects an element for each position: for dim 2, y[i][j] = x[i][places[i][j]].",
    params = {
      { name = "dim", type = "integer" },
      { name = "places", type = "diffusion.tensor", text = "i64 with as many dimensions as x, from 1" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the shape of places" },
    },
  },
  ["tensor:ge"] = {
    signature = "tensor:ge(y)",
    text = "1 if x >= y, else 0. An integer and a real are compared exactly: neither is rounded to the other's type.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "u8, 1 or 0, with the broadcast shape" },
    },
  },
  ["tensor:geglu"] = {
    signature = "tensor:geglu()",
    text = "a gelu(b), where a and b are the halves of the last dimension (Shazeer 2020). The gate is the second half, as in diffusers' GEGLU.",
    returns = {
      { type = "diffusion.tensor", text = "{...,C} of x {...,2 C}" },
    },
    example = "print(d.tensor{{1, 2, 0, 1}}:geglu())",
  },
  ["tensor:gelu"] = {
    signature = "tensor:gelu([by])",
    text = "x Phi(x) of each element; Phi is the normal distribution function (Hendrycks & Gimpel 2016). \"tanh\" gives its approximation, as in GPT-2 and T5: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.",
    params = {
      { name = "by", type = "string", text = "\"erf\" (the default) or \"tanh\"", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
    example = "print(d.tensor{-1, 0, 1}:gelu(), d.tensor{-1, 0, 1}:gelu \"tanh\")",
  },
  ["tensor:group_norm"] = {
    signature = "tensor:group_norm([w], [b], opts)",
    text = "(x - m) / sqrt(s2 + epsilon) w + b, with mean m and variance s2 over each group of channels of an image (Wu & He 2018). silu and dropout are optional and run in the same pass.",
    params = {
      { name = "w", type = "diffusion.tensor", text = "{C}", optional = true },
      { name = "b", type = "diffusion.tensor", text = "{C}", optional = true },
      { name = "opts", type = "diffusion.group_norm_options" },
    },
    options = {
      { name = "groups", type = "integer", range = ">= 1", default = "required", text = "number of groups, which divides C" },
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
      { name = "silu", type = "boolean", default = "false", text = "the same as act = \"silu\"" },
      { name = "act", type = "\"none\", \"silu\", \"relu\", \"gelu\", \"mish\" or \"tanh\"", default = "\"none\"", text = "activation of the result" },
      { name = "dropout", type = "number", range = "[0, 1)", default = "0", text = "probability that an element is set to 0" },
      { name = "add", type = "tensor", default = "none", text = "{B,C}, added to each pixel of x" },
      { name = "modulate", type = "tensor", default = "none", text = "{B,2 C}: s, then t of the result (1 + s) + t" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B,...,C} as x" },
    },
  },
  ["tensor:gt"] = {
    signature = "tensor:gt(y)",
    text = "1 if x > y, else 0. An integer and a real are compared exactly: neither is rounded to the other's type.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "u8, 1 or 0, with the broadcast shape" },
    },
  },
  ["tensor:index"] = {
    signature = "tensor:index(dim, places)",
    text = "Selects by positions along a dimension: y[..., j, ...] = x[..., places[j], ...].",
    params = {
      { name = "dim", type = "integer" },
      { name = "places", type = "integer[]|diffusion.tensor", text = "{n}, from 1" },
    },
    returns = {
      { type = "diffusion.tensor", text = "the type of x; the size of the dimension is n" },
    },
  },
  ["tensor:is_contiguous"] = {
    signature = "tensor:is_contiguous()",
    text = "True if the elements are in order without gaps.",
    returns = {
      { type = "boolean" },
    },
  },
  ["tensor:isfinite"] = {
    signature = "tensor:isfinite()",
    text = "1 if x is neither infinite nor nan, else 0.",
    returns = {
      { type = "diffusion.tensor", text = "u8, 1 or 0, with the shape of x" },
    },
  },
  ["tensor:item"] = {
    signature = "tensor:item()",
    text = "Returns the value of a tensor with one element; other tensors raise an error. The number is a constant: no gradient passes through it, also inside d.record and d.grad.",
    returns = {
      { type = "number" },
    },
  },
  ["tensor:iter"] = {
    signature = "tensor:iter()",
    text = "Iterates over the first dimension: `for i, xi in x:iter() do`. If x is a vector, each xi is a number. Then it raises an error while x is being recorded, like x[i].",
    returns = {
      { type = "function", text = "iterator that returns i and x[i]" },
    },
  },
  ["tensor:layer_norm"] = {
    signature = "tensor:layer_norm([w], [b], [opts])",
    text = "(x - m) / sqrt(s2 + epsilon) w + b, with mean m and variance s2 over the last dimension (Ba et al. 2016).",
    params = {
      { name = "w", type = "diffusion.tensor", text = "{C}", optional = true },
      { name = "b", type = "diffusion.tensor", text = "{C}", optional = true },
      { name = "opts", type = "diffusion.layer_norm_options", optional = true },
    },
    options = {
      { name = "epsilon", type = "number", range = "> 0", default = "1e-5", text = "added to the variance" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{...,C} as x" },
    },
  },
  ["tensor:le"] = {
    signature = "tensor:le(y)",
    text = "1 if x <= y, else 0. An integer and a real are compared exactly: neither is rounded to the other's type.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "u8, 1 or 0, with the broadcast shape" },
    },
  },
  ["tensor:linear"] = {
    signature = "tensor:linear(w, [b])",
    text = "y = x w^T + b over the last dimension.",
    params = {
      { name = "w", type = "diffusion.tensor", text = "{K,C}" },
      { name = "b", type = "diffusion.tensor", text = "{K}", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "{...,K} of x {...,C}" },
    },
  },
  ["tensor:log"] = {
    signature = "tensor:log()",
    text = "ln x of each element. ln 0 is -inf; the result is nan for negative numbers.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:log_erfc"] = {
    signature = "tensor:log_erfc()",
    text = "ln erfc(x) of each element, accurate even if erfc(x) underflows.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:log_softmax"] = {
    signature = "tensor:log_softmax(dim)",
    text = "x_i - ln sum_j e^x_j along a dimension. A row of -inf gives -inf with gradient 0.",
    params = {
      { name = "dim", type = "integer", text = "from 1, or from -1 for the last" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:logsumexp"] = {
    signature = "tensor:logsumexp([dim], [keep])",
    text = "ln sum e^x without overflow, along dimensions, or over all elements. It is -inf with gradient 0 if there are no elements, or if all are -inf. The order of additions depends only on the shape. Sums and products of integers are exact i64; it is an error if i64 cannot hold the result.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "from 1, or from -1 for the last; default: all", optional = true },
      { name = "keep", type = "boolean", text = "keep reduced dimensions with size 1; default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
    example = "print(d.ones(2, 3):sum(2))",
  },
  ["tensor:lt"] = {
    signature = "tensor:lt(y)",
    text = "1 if x < y, else 0. An integer and a real are compared exactly: neither is rounded to the other's type.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "u8, 1 or 0, with the broadcast shape" },
    },
  },
  ["tensor:matmul"] = {
    signature = "tensor:matmul(b)",
    text = "Matrix product. Two integer matrices give exact i64, or an error.",
    params = {
      { name = "b", type = "diffusion.tensor", text = "{k,n}, or {...,k,n} with the leading sizes of x {...,m,k}" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{m,n} or {...,m,n}" },
    },
  },
  ["tensor:max"] = {
    signature = "tensor:max([dim], [keep])",
    text = "The largest element; nan if any element is nan. It is an error if there are no elements. Equal extremes share the gradient equally.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "default: all", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "values" },
      { type = "diffusion.tensor|nil", text = "places i64 from 1, the first of equals; with a dimension only" },
    },
  },
  ["tensor:maximum"] = {
    signature = "tensor:maximum(y)",
    text = "The larger of x and y for each element; nan if either is nan. Integers with integers give integers.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the broadcast shape" },
    },
  },
  ["tensor:mean"] = {
    signature = "tensor:mean([dim], [keep])",
    text = "The mean along dimensions, or of all elements. The order of additions depends only on the shape. Sums and products of integers are exact i64; it is an error if i64 cannot hold the result.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "from 1, or from -1 for the last; default: all", optional = true },
      { name = "keep", type = "boolean", text = "keep reduced dimensions with size 1; default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
    example = "print(d.ones(2, 3):sum(2))",
  },
  ["tensor:min"] = {
    signature = "tensor:min([dim], [keep])",
    text = "The smallest element; nan if any element is nan. It is an error if there are no elements. Equal extremes share the gradient equally.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "default: all", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "values" },
      { type = "diffusion.tensor|nil", text = "places i64 from 1, the first of equals; with a dimension only" },
    },
  },
  ["tensor:minimum"] = {
    signature = "tensor:minimum(y)",
    text = "The smaller of x and y for each element; nan if either is nan. Integers with integers give integers.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the broadcast shape" },
    },
  },
  ["tensor:mish"] = {
    signature = "tensor:mish()",
    text = "x tanh(ln(1 + e^x)) of each element (Misra 2019).",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:mul"] = {
    signature = "tensor:mul(y)",
    text = "x y element by element, also written x * y. Operands are broadcast; it is an error if their shapes do not match. Integers with integers give exact integers under + - *. It is an error if i64 cannot hold a result, or if a real operand would round an integer (from 2^24 on).",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the broadcast shape" },
    },
    example = "print(d.tensor{{1, 2}, {3, 4}} + d.tensor{10, 20})",
  },
  ["tensor:mul_"] = {
    signature = "tensor:mul_(y)",
    text = "Writes x y to x. Type and shape of x stay, and y is broadcast to x. An i64 takes integers only. If it cannot hold a result, an error is raised and x stays as it was. The backward pass raises an error if a gradient needs the old values.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x itself" },
    },
  },
  ["tensor:narrow"] = {
    signature = "tensor:narrow(dim, start, length)",
    text = "A range of one dimension.",
    params = {
      { name = "dim", type = "integer" },
      { name = "start", type = "integer", text = "first position, from 1" },
      { name = "length", type = "integer", text = "0 or more" },
    },
    returns = {
      { type = "diffusion.tensor", text = "a window" },
    },
  },
  ["tensor:ne"] = {
    signature = "tensor:ne(y)",
    text = "1 if x ~= y, else 0. (Lua's ~= compares objects, not elements.) An integer and a real are compared exactly: neither is rounded to the other's type.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "u8, 1 or 0, with the broadcast shape" },
    },
  },
  ["tensor:neg"] = {
    signature = "tensor:neg()",
    text = "-x, also written so.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:norm"] = {
    signature = "tensor:norm([dim], [keep])",
    text = "The L2 norm, sqrt(sum x^2), along dimensions, or of all elements. Its gradient at 0 is 0. The order of additions depends only on the shape. Sums and products of integers are exact i64; it is an error if i64 cannot hold the result.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "from 1, or from -1 for the last; default: all", optional = true },
      { name = "keep", type = "boolean", text = "keep reduced dimensions with size 1; default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
    example = "print(d.ones(2, 3):sum(2))",
  },
  ["tensor:numel"] = {
    signature = "tensor:numel()",
    text = "The number of elements.",
    returns = {
      { type = "integer" },
    },
  },
  ["tensor:over"] = {
    signature = "tensor:over(y)",
    text = "Inserts sizes of 1 before the last dimension of x, so that {B,C} broadcasts over {B,H,W,C}. A vector {B} gives one value per sample. It is an error if the result does not broadcast over y.",
    params = {
      { name = "y", type = "diffusion.tensor" },
    },
    returns = {
      { type = "diffusion.tensor", text = "a window" },
    },
    example = "print((d.zeros(2, 4, 4, 3) + d.ones(2, 3):over(d.zeros(2, 4, 4,\n  3))):mean():item())",
  },
  ["tensor:pad"] = {
    signature = "tensor:pad(margins, [value])",
    text = "Adds a margin around x.",
    params = {
      { name = "margins", type = "table", text = "for each dimension in order: n, {before, after} or {}; later dimensions may be left out" },
      { name = "value", type = "number", text = "fills the margin, default 0; an integer if x is i64", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:permute"] = {
    signature = "tensor:permute(order)",
    text = "Changes the order of dimensions.",
    params = {
      { name = "order", type = "integer|integer[]", text = "each dimension once: numbers or one list" },
    },
    returns = {
      { type = "diffusion.tensor", text = "a window" },
    },
  },
  ["tensor:pow"] = {
    signature = "tensor:pow(y)",
    text = "x^y, also written so, as C's pow: nan if x < 0 and y is not an integer. Integers to the power of integers give integers, unless an exponent is negative. A result that i64 cannot hold is an error.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the broadcast shape" },
    },
  },
  ["tensor:prod"] = {
    signature = "tensor:prod([dim], [keep])",
    text = "The product along dimensions, or of all elements. The order of additions depends only on the shape. Sums and products of integers are exact i64; it is an error if i64 cannot hold the result.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "from 1, or from -1 for the last; default: all", optional = true },
      { name = "keep", type = "boolean", text = "keep reduced dimensions with size 1; default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
    example = "print(d.ones(2, 3):sum(2))",
  },
  ["tensor:quantile"] = {
    signature = "tensor:quantile(q, [dim], [keep])",
    text = "The q-quantile, with linear interpolation between the two nearest elements.",
    params = {
      { name = "q", type = "number", text = "in [0, 1]" },
      { name = "dim", type = "integer|integer[]", text = "default: all", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:quick_gelu"] = {
    signature = "tensor:quick_gelu()",
    text = "x sigmoid(1.702 x) of each element, as in CLIP's text encoder.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:reciprocal"] = {
    signature = "tensor:reciprocal()",
    text = "1/x of each element.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:relu"] = {
    signature = "tensor:relu()",
    text = "max(x, 0) of each element.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:repeat_each"] = {
    signature = "tensor:repeat_each(times, [dim])",
    text = "Repeats each entry of a dimension `times` times.",
    params = {
      { name = "times", type = "integer", text = "0 or more" },
      { name = "dim", type = "integer", text = "default 1", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
    example = "print(d.arange(1, 3):repeat_each(2))",
  },
  ["tensor:reshape"] = {
    signature = "tensor:reshape(shape)",
    text = "The same elements in another shape. They are copied only if necessary.",
    params = {
      { name = "shape", type = "integer|integer[]", text = "numbers or one list; one size may be -1 and is computed from the others" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:rms_norm"] = {
    signature = "tensor:rms_norm([w], [opts])",
    text = "x / sqrt(m + epsilon) w, with m the mean of squares over the last dimension (Zhang & Sennrich 2019).",
    params = {
      { name = "w", type = "diffusion.tensor", text = "{C}", optional = true },
      { name = "opts", type = "diffusion.rms_norm_options", optional = true },
    },
    options = {
      { name = "epsilon", type = "number", range = "> 0", default = "1e-6", text = "added to the mean of squares" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{...,C} as x" },
    },
  },
  ["tensor:roll"] = {
    signature = "tensor:roll(shift, dim)",
    text = "Shifts the elements along a dimension. Elements that leave at one end enter at the other.",
    params = {
      { name = "shift", type = "integer", text = "positions towards the end; negative: towards the start" },
      { name = "dim", type = "integer" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:round"] = {
    signature = "tensor:round()",
    text = "The nearest integer, for each element; halves go to the even one. No gradient.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:select"] = {
    signature = "tensor:select(dim, place)",
    text = "Selects one position of a dimension. The result does not have that dimension.",
    params = {
      { name = "dim", type = "integer" },
      { name = "place", type = "integer", text = "from 1, or from -1 for the last" },
    },
    returns = {
      { type = "diffusion.tensor", text = "a window" },
    },
  },
  ["tensor:shape"] = {
    signature = "tensor:shape()",
    text = "The sizes of all dimensions.",
    returns = {
      { type = "integer[]" },
    },
  },
  ["tensor:sigmoid"] = {
    signature = "tensor:sigmoid()",
    text = "1 / (1 + e^-x) of each element.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:sign"] = {
    signature = "tensor:sign()",
    text = "-1, 0 or 1 for each element.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:silu"] = {
    signature = "tensor:silu()",
    text = "x / (1 + e^-x) of each element (Hendrycks & Gimpel 2016).",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:sin"] = {
    signature = "tensor:sin()",
    text = "The sine of each element, in radians.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:sinusoid"] = {
    signature = "tensor:sinusoid(opts)",
    text = "cos and sin of t times width/2 frequencies max_period^(-k / (width/2 - shift)). No gradient.",
    params = {
      { name = "opts", type = "diffusion.sinusoid_options" },
    },
    options = {
      { name = "width", type = "integer", range = ">= 1", default = "required", text = "width of the result, which ends in 0 if it is odd" },
      { name = "max_period", type = "number", range = "> 0", default = "10000", text = "the longest period over 2 pi" },
      { name = "shift", type = "number", default = "0", text = "in the frequencies: 0 in ADM, 1 in DDPM" },
      { name = "offset", type = "number", default = "0", text = "subtracted from t first" },
      { name = "sin_first", type = "boolean", default = "false", text = "the sines come first" },
      { name = "single", type = "boolean", default = "false", text = "rounds frequencies and angles to f32, as PyTorch does" },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B,width} of t {B}" },
    },
  },
  ["tensor:size"] = {
    signature = "tensor:size(dim)",
    text = "The size of one dimension.",
    params = {
      { name = "dim", type = "integer", text = "from 1, or from -1 for the last" },
    },
    returns = {
      { type = "integer" },
    },
  },
  ["tensor:softmax"] = {
    signature = "tensor:softmax(dim)",
    text = "e^x_i / sum_j e^x_j along a dimension. A row of -inf gives zeros with gradient 0.",
    params = {
      { name = "dim", type = "integer", text = "from 1, or from -1 for the last" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:sort"] = {
    signature = "tensor:sort([dim], [descending])",
    text = "Sorts along a dimension. Equal elements keep their order, and nan comes last.",
    params = {
      { name = "dim", type = "integer", text = "default: the last", optional = true },
      { name = "descending", type = "boolean", text = "default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "values" },
      { type = "diffusion.tensor", text = "places i64, where each stood, from 1" },
    },
  },
  ["tensor:sqrt"] = {
    signature = "tensor:sqrt()",
    text = "The square root of each element; nan if x < 0.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:square"] = {
    signature = "tensor:square()",
    text = "x^2 of each element. For integers it is i64 and exact, or an error.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:squeeze"] = {
    signature = "tensor:squeeze([dim])",
    text = "Removes a dimension of size 1, or all of them. A dimension of another size stays.",
    params = {
      { name = "dim", type = "integer", text = "default: all", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "a window" },
    },
  },
  ["tensor:std"] = {
    signature = "tensor:std([dim], [keep], [correction])",
    text = "The standard deviation, sqrt(sum (x - mean)^2 / (n - correction)). The result is nan if n <= correction. The gradient of std is 0 if the variance is 0.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "default: all", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
      { name = "correction", type = "integer", text = "default 1; 0 gives the mean square", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:sub"] = {
    signature = "tensor:sub(y)",
    text = "x - y, also written so. Operands are broadcast; it is an error if their shapes do not match. Integers with integers give exact integers under + - *. It is an error if i64 cannot hold a result, or if a real operand would round an integer (from 2^24 on).",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "with the broadcast shape" },
    },
    example = "print(d.tensor{{1, 2}, {3, 4}} + d.tensor{10, 20})",
  },
  ["tensor:sub_"] = {
    signature = "tensor:sub_(y)",
    text = "Writes x - y to x. Type and shape of x stay, and y is broadcast to x. An i64 takes integers only. If it cannot hold a result, an error is raised and x stays as it was. The backward pass raises an error if a gradient needs the old values.",
    params = {
      { name = "y", type = "diffusion.tensor|number|number[]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "x itself" },
    },
  },
  ["tensor:sum"] = {
    signature = "tensor:sum([dim], [keep])",
    text = "The sum along dimensions, or of all elements. The order of additions depends only on the shape. Sums and products of integers are exact i64; it is an error if i64 cannot hold the result.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "from 1, or from -1 for the last; default: all", optional = true },
      { name = "keep", type = "boolean", text = "keep reduced dimensions with size 1; default false", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
    example = "print(d.ones(2, 3):sum(2))",
  },
  ["tensor:t"] = {
    signature = "tensor:t()",
    text = "Transposes a matrix.",
    returns = {
      { type = "diffusion.tensor", text = "{n,m} of x {m,n}, a window" },
    },
  },
  ["tensor:tanh"] = {
    signature = "tensor:tanh()",
    text = "The hyperbolic tangent of each element.",
    returns = {
      { type = "diffusion.tensor", text = "with the shape of x" },
    },
  },
  ["tensor:to"] = {
    signature = "tensor:to(dtype)",
    text = "Converts to another type; x itself if it already has it. Conversion to u8 rounds and clamps to 0..255. Conversion to i64 drops the fraction.",
    params = {
      { name = "dtype", type = "string", text = "\"f32\", \"f64\", \"f16\", \"bf16\", \"i64\" or \"u8\"" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:topk"] = {
    signature = "tensor:topk(k, [dim])",
    text = "The k largest elements along a dimension, in descending order.",
    params = {
      { name = "k", type = "integer", text = "from 0 to the size of the dimension" },
      { name = "dim", type = "integer", text = "default: the last", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "values" },
      { type = "diffusion.tensor", text = "places i64, from 1" },
    },
  },
  ["tensor:totable"] = {
    signature = "tensor:totable()",
    text = "The elements as nested tables. They are constants: no gradient passes through them.",
    returns = {
      { type = "table|number", text = "a number if x has no dimensions" },
    },
  },
  ["tensor:unsqueeze"] = {
    signature = "tensor:unsqueeze(dim)",
    text = "Adds a dimension of size 1.",
    params = {
      { name = "dim", type = "integer", text = "its position in the result, from 1, or from -1 for the last" },
    },
    returns = {
      { type = "diffusion.tensor", text = "a window" },
    },
  },
  ["tensor:upsample"] = {
    signature = "tensor:upsample([times])",
    text = "Repeats each pixel `times` times in both directions (nearest neighbours).",
    params = {
      { name = "times", type = "integer", text = "2", optional = true },
    },
    returns = {
      { type = "diffusion.tensor", text = "{B,times H,times W,C} of x {B,H,W,C}" },
    },
  },
  ["tensor:var"] = {
    signature = "tensor:var([dim], [keep], [correction])",
    text = "The variance, sum (x - mean)^2 / (n - correction). The result is nan if n <= correction. The gradient of std is 0 if the variance is 0.",
    params = {
      { name = "dim", type = "integer|integer[]", text = "default: all", optional = true },
      { name = "keep", type = "boolean", text = "default false", optional = true },
      { name = "correction", type = "integer", text = "default 1; 0 gives the mean square", optional = true },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:version"] = {
    signature = "tensor:version()",
    text = "The number of writes to the memory of this tensor.",
    returns = {
      { type = "integer" },
    },
  },
  ["tensor:view"] = {
    signature = "tensor:view(shape)",
    text = "The same elements on the same memory in another shape. Raises an error if the strides do not allow it.",
    params = {
      { name = "shape", type = "integer|integer[]", text = "numbers or one list; one size may be -1 and is computed from the others" },
    },
    returns = {
      { type = "diffusion.tensor" },
    },
  },
  ["tensor:zero_"] = {
    signature = "tensor:zero_()",
    text = "Writes 0 to every element.",
    returns = {
      { type = "diffusion.tensor", text = "x itself" },
    },
  },
  ["times importance"] = {
    signature = "times = {\"importance\", ...}",
    text = "in proportion to the root mean square of the losses at t: Nichol & Dhariwal 2021, eq. 18",
    options = {
      { name = "keep", type = "integer", range = ">= 1", default = "10", text = "losses that are remembered for each t" },
      { name = "uniform", type = "number", range = "(0, 1]", default = "0.001", text = "share of t that is drawn uniformly" },
    },
  },
  ["times log_normal"] = {
    signature = "times = {\"log_normal\", ...}",
    text = "ln sigma is normal: Karras et al. 2022, table 1",
    options = {
      { name = "mean", type = "number", default = "-1.2", text = "mean of ln sigma" },
      { name = "std", type = "number", range = "> 0", default = "1.2", text = "standard deviation of ln sigma" },
    },
  },
  ["times logit_normal"] = {
    signature = "times = {\"logit_normal\", ...}",
    text = "t/T is the sigmoid of a normal number: Esser et al. 2024, section 3.1",
    options = {
      { name = "mean", type = "number", default = "0", text = "mean of the normal number" },
      { name = "std", type = "number", range = "> 0", default = "1", text = "standard deviation of the normal number" },
    },
  },
  ["times mode"] = {
    signature = "times = {\"mode\", ...}",
    text = "Esser et al. 2024, eq. 20",
    options = {
      { name = "scale", type = "number", range = "[-1, 1.75]", default = "1.29", text = "s of the formula; above 0 favours the middle" },
    },
  },
  ["times stratified"] = {
    signature = "times = \"stratified\"",
    text = "one t of each of as many strata as the batch has samples",
  },
  ["times uniform"] = {
    signature = "times = \"uniform\"",
    text = "every t equally likely",
  },
  ["tokenizer"] = {
    signature = "tokenizer",
    text = "CLIP's tokenizer, of d.tokenizer. Called as (text or list of texts, options).",
    params = {
      { name = "bos", type = "integer", text = "id of the token before a text" },
      { name = "eos", type = "integer", text = "id of the token after a text" },
      { name = "pad", type = "integer", text = "id of the token that fills up a text" },
      { name = "size", type = "integer", text = "number of tokens; ids are below it" },
      { name = "length", type = "integer", text = "most tokens of a text, with bos and eos" },
    },
  },
  ["tokenizer()"] = {
    signature = "tokenizer(text, [options])",
    text = "The ids of texts, one row for each: bos, the text's tokens, eos, and pad up to the length.",
    params = {
      { name = "text", type = "string|string[]", text = "UTF-8" },
      { name = "options", type = "diffusion.tokenizer_call_options?", optional = true },
    },
    options = {
      { name = "length", type = "integer", range = "[2, 65536]", default = "the tokenizer's", text = "tokens of a row, with bos and eos" },
      { name = "pad", type = "boolean", default = "true", text = "fills all rows up to `length`; if false, up to the longest" },
      { name = "truncate", type = "boolean", default = "true", text = "cuts longer texts; if false, all rows are as long as the longest" },
    },
    returns = {
      { type = "diffusion.tensor", text = "ids i64 [B,N], from 0" },
      { type = "table", text = "info n = the tokens of each row before it was filled up, cut = for each text what didn't fit, as text, or false, unknown = for each text the words that a vocabulary of whole words doesn't have" },
    },
  },
  ["tokenizer:add"] = {
    signature = "tokenizer:add(word, [n])",
    text = "Adds a word with tokens of its own, as textual inversion does. Its n tokens are named word, word_1, word_2 and so on, as diffusers names them. The word in a text becomes all n. Its case doesn't matter.",
    params = {
      { name = "word", type = "string", text = "UTF-8, such as \"<cat-toy>\"" },
      { name = "n", type = "integer|nil", text = "number of tokens, 1 if not given", optional = true },
    },
    returns = {
      { type = "integer[]", text = "ids the new ids, which follow the last one" },
    },
  },
  ["tokenizer:decode"] = {
    signature = "tokenizer:decode(ids, [options])",
    text = "The text of ids. It is in lower case, with a space after each word, also before a comma.",
    params = {
      { name = "ids", type = "integer[]|diffusion.tensor", text = "a list or a tensor [N], or a tensor [B,N]" },
      { name = "options", type = "diffusion.tokenizer_decode_options?", optional = true },
    },
    options = {
      { name = "special", type = "boolean", default = "true", text = "keeps the special tokens, such as those before and after a text" },
    },
    returns = {
      { type = "string|string[]", text = "text a list of texts for a tensor [B,N]" },
    },
  },
  ["tokenizer:encode"] = {
    signature = "tokenizer:encode(text)",
    text = "The ids of a text's tokens, without those before and after it. Nothing is cut.",
    params = {
      { name = "text", type = "string", text = "UTF-8" },
    },
    returns = {
      { type = "integer[]", text = "ids from 0" },
    },
  },
  ["tokenizer:pieces"] = {
    signature = "tokenizer:pieces(text)",
    text = "The tokens of a text as the vocabulary writes them. Bytes are in GPT-2's alphabet, and the last token of a word ends with \"</w>\".",
    params = {
      { name = "text", type = "string", text = "UTF-8" },
    },
    returns = {
      { type = "string[]" },
    },
  },
  ["trainer"] = {
    signature = "trainer",
    text = "A training run, to be started by trainer:run().",
  },
  ["trainer:run"] = {
    signature = "trainer:run()",
    text = "Trains until the batches end, or until Ctrl-C or SIGTERM. The first Ctrl-C stops it after the current step. Over ranks it stops all of them, after the next step. The second one has its usual effect on the program. At the library's prompt a third one interrupts the step, and nothing of that step is kept.",
    returns = {
      { type = "table|nil", text = "report {step, loss (smoothed), seconds, rate (items per second), resumed = step}; nil and a message if Ctrl-C, or a checkpoint that doesn't fit, stopped it" },
      { type = "string|nil", text = "message" },
    },
  },
  ["value"] = {
    signature = "value",
    text = "A value inside of a network that is being written.",
    params = {
      { name = "width", type = "integer?", text = "its last size, where that is known" },
      { name = "optional", type = "boolean?", text = "an input that may be absent" },
    },
  },
  ["vq"] = {
    signature = "vq",
    text = "An autoencoder whose latents are rows of a codebook, as d.vq makes it. Called with images, it encodes, quantises and decodes them, and returns them with the loss of the codebook.",
    params = {
      { name = "encoder", type = "diffusion.layer", text = "images to latents, before quant_conv" },
      { name = "decoder", type = "diffusion.layer", text = "latents to images, after post_quant_conv" },
      { name = "quantize", type = "table", text = "called with latents, it returns those of the codebook, its loss, and the rows {B, h, w} from 1; quantize:lookup(rows) returns the latents of rows" },
    },
  },
  ["vq()"] = {
    signature = "vq(x)",
    text = "Encodes, quantises and decodes images.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {B, H, W, C} in [-1, 1]" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images" },
      { type = "diffusion.tensor", text = "loss that of the codebook" },
    },
  },
  ["vq:decode"] = {
    signature = "vq:decode(z, [options])",
    text = "Images of latents, which are quantised first.",
    params = {
      { name = "z", type = "diffusion.tensor", text = "latents {B, h, w, width of a row}" },
      { name = "options", type = "diffusion.vq_decode_options?", optional = true },
    },
    options = {
      { name = "force_not_quantize", type = "boolean", default = "false", text = "decodes z itself; in a model with lookup_from_codebook, z are rows {B, h, w} of the codebook" },
    },
    returns = {
      { type = "diffusion.tensor", text = "images {B, H, W, C}" },
      { type = "diffusion.tensor|nil", text = "loss that of the codebook, if z was quantised" },
    },
  },
  ["vq:encode"] = {
    signature = "vq:encode(x, options)",
    text = "Latents of images, before they are quantised.",
    params = {
      { name = "x", type = "diffusion.tensor", text = "images {B, H, W, C} in [-1, 1]" },
      { name = "options", type = "nil", text = "none are taken, and they are refused" },
    },
    returns = {
      { type = "diffusion.tensor", text = "latents {B, h, w, width of a row}" },
    },
  },
  ["weighting edm"] = {
    signature = "weighting = {\"edm\", ...}",
    text = "SNR + 1/sigma_data^2: 1 on F, Karras et al. 2022, table 1",
    options = {
      { name = "sigma_data", type = "number", range = "> 0", default = "that of the process", text = "standard deviation of the data" },
    },
  },
  ["weighting min_snr"] = {
    signature = "weighting = {\"min_snr\", ...}",
    text = "min(SNR, gamma): Hang et al. 2023, eq. 8",
    options = {
      { name = "gamma", type = "number", range = "> 0", default = "5", text = "greatest weight" },
    },
  },
  ["weighting p2"] = {
    signature = "weighting = {\"p2\", ...}",
    text = "SNR / (k + SNR)^gamma: Choi et al. 2022",
    options = {
      { name = "gamma", type = "number", range = ">= 0", default = "1", text = "power of the formula" },
      { name = "k", type = "number", range = "> 0", default = "1", text = "k of the formula" },
    },
  },
  ["weighting sigmoid"] = {
    signature = "weighting = {\"sigmoid\", ...}",
    text = "SNR sigmoid(bias - ln SNR): w on eps of Kingma & Gao 2023, of even ln SNR",
    options = {
      { name = "bias", type = "number", default = "2", text = "ln SNR at which the sigmoid is 1/2" },
    },
  },
  ["weighting simple"] = {
    signature = "weighting = \"simple\"",
    text = "SNR: 1 on eps, Ho et al. 2020, eq. 14",
  },
  ["weighting snr"] = {
    signature = "weighting = \"snr\"",
    text = "SNR: the same as simple, Salimans & Ho 2022, section 4",
  },
  ["weighting soft_min_snr"] = {
    signature = "weighting = {\"soft_min_snr\", ...}",
    text = "SNR gamma / (SNR + gamma): Crowson et al. 2024",
    options = {
      { name = "gamma", type = "number", range = "> 0", default = "1/sigma_data^2", text = "weight that is approached at high SNR" },
    },
  },
  ["weighting truncated_snr"] = {
    signature = "weighting = \"truncated_snr\"",
    text = "max(SNR, 1): Salimans & Ho 2022, section 4",
  },
  ["weighting uniform"] = {
    signature = "weighting = {\"uniform\", ...}",
    text = "1 on the error of the quantity `of`",
    options = {
      { name = "of", type = "\"x0\", \"eps\", \"v\", \"score\", \"flow\" or \"edm\"", default = "the process's prediction", text = "quantity whose error has weight 1" },
    },
  },
  ["weighting vlb"] = {
    signature = "weighting = \"vlb\"",
    text = "c0^2 / (2 sigma^2), nats a dimension: Ho et al. 2020, eq. 8",
  },
}

-- Single files of Stable Diffusion, in latent diffusion's own form.
local d = require "diffusion"
local child = require "spec.support.child"
local fails = require "spec.support.fails"
local ldm_file = require "spec.support.ldm_file"
local names = require "diffusion.hub.foreign.ldm_names"
local refusal = require "spec.support.refusal"
local text_folder = require "spec.support.text_folder"

local all = text_folder.read()
local root
setup(function() root = child.folder() end)
teardown(function() child.remove(root) end)

local function folder(name, large, change)
  local case = ldm_file.case(large, all.cases)
  if change then change(case) end
  text_folder.write(root .. "/" .. name, case, all)
  return assert(d.hub.load(root .. "/" .. name))
end

local function call(more)
  local o = { prompt = "a red cat", steps = 2, seed = 1, height = 16, width = 16 }
  for key, value in pairs(more or {}) do o[key] = value end
  return o
end

describe("names of latent diffusion:", function()
  -- Keys of Stable Diffusion 1.5, of its autoencoder, and of open_clip.
  local unet = names.unet { layers_per_block = 2,
    up_block_types = { "UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D" } }
  local vae = names.vae(4)
  for ours, pair in pairs {
    ["conv_in.weight"] = { unet, "input_blocks.0.0.weight" },
    ["down_blocks.0.resnets.1.conv2.bias"] = { unet, "input_blocks.2.0.out_layers.3.bias" },
    ["down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight"] =
      { unet, "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight" },
    ["down_blocks.1.downsamplers.0.conv.weight"] = { unet, "input_blocks.6.0.op.weight" },
    ["down_blocks.3.resnets.1.time_emb_proj.weight"] = { unet, "input_blocks.11.0.emb_layers.1.weight" },
    ["mid_block.resnets.1.norm1.weight"] = { unet, "middle_block.2.in_layers.0.weight" },
    ["mid_block.attentions.0.proj_out.bias"] = { unet, "middle_block.1.proj_out.bias" },
    ["up_blocks.0.resnets.2.conv_shortcut.weight"] = { unet, "output_blocks.2.0.skip_connection.weight" },
    ["up_blocks.0.upsamplers.0.conv.weight"] = { unet, "output_blocks.2.1.conv.weight" },
    ["up_blocks.1.upsamplers.0.conv.bias"] = { unet, "output_blocks.5.2.conv.bias" },
    ["up_blocks.3.attentions.2.norm.weight"] = { unet, "output_blocks.11.1.norm.weight" },
    ["time_embedding.linear_2.weight"] = { unet, "time_embed.2.weight" },
    ["conv_norm_out.bias"] = { unet, "out.0.bias" },
    ["encoder.down_blocks.1.resnets.0.conv_shortcut.weight"] = { vae, "encoder.down.1.block.0.nin_shortcut.weight" },
    ["encoder.down_blocks.2.downsamplers.0.conv.weight"] = { vae, "encoder.down.2.downsample.conv.weight" },
    ["decoder.up_blocks.0.resnets.2.norm2.bias"] = { vae, "decoder.up.3.block.2.norm2.bias" },
    ["decoder.up_blocks.2.upsamplers.0.conv.weight"] = { vae, "decoder.up.1.upsample.conv.weight" },
    ["decoder.mid_block.attentions.0.to_out.0.weight"] = { vae, "decoder.mid.attn_1.proj_out.weight" },
    ["encoder.mid_block.attentions.0.group_norm.weight"] = { vae, "encoder.mid.attn_1.norm.weight" },
    ["encoder.mid_block.resnets.1.conv1.weight"] = { vae, "encoder.mid.block_2.conv1.weight" },
    ["decoder.conv_norm_out.weight"] = { vae, "decoder.norm_out.weight" },
    ["post_quant_conv.weight"] = { vae, "post_quant_conv.weight" },
    ["text_model.encoder.layers.3.self_attn.k_proj.bias"] =
      { names.open_clip, "transformer.resblocks.3.attn.in_proj_bias" },
    ["text_model.encoder.layers.3.mlp.fc2.weight"] = { names.open_clip, "transformer.resblocks.3.mlp.c_proj.weight" },
    ["text_model.embeddings.position_embedding.weight"] = { names.open_clip, "positional_embedding" },
  } do
    it(ours, function() assert.equal(pair[2], (pair[1](ours))) end)
  end
end)

describe("a single file of Stable Diffusion", function()
  local function opened(name, options)
    options.tokenizer = root .. "/" .. name .. "/tokenizer"
    return d.hub.load(root .. "/" .. name .. ".safetensors", options)
  end

  it("draws as its folder does", function()
    local pipe = folder("one", false)
    ldm_file.write(root .. "/one.safetensors", pipe,
      { ["alphas_cumprod"] = d.zeros(1000), ["model_ema.decay"] = d.zeros(1) })
    local file = assert(opened("one", {}))
    assert.equal("PNDMScheduler", file.scheduler._class_name)
    assert.is_true(pipe(call()):equal(file(call())))
    assert.same({ 1, 128, 128, 3 }, file { prompt = "a", steps = 1, seed = 1 }:shape())
    local bare = assert(d.hub.load(root .. "/one.safetensors", { scheduler = "DDIMScheduler" }))
    assert.equal("DDIMScheduler", bare.scheduler._class_name)
    fails('there is no tokenizer; give one, as tokenizer = "path" of d.hub.load', bare, call())
    bare.tokenizer = file.tokenizer
    assert.same({ 1, 16, 16, 3 }, bare(call()):shape())
  end)

  it("of the second version asks for its target, and has a layer more than is used", function()
    local pipe = folder("two", false, function(case)
      case.parts.text_encoder.hidden_act, case.pad = "gelu", "!"
      case.parts.unet.use_linear_projection, case.parts.unet.attention_head_dim = true, { 1, 1, 1 }
      case.parts.unet.block_out_channels = { 64, 64, 64 }
      case.scheduler = all.cases.sd2_v.scheduler
    end)
    local last = "cond_stage_model.model.transformer.resblocks.3.mlp.c_fc.weight"
    ldm_file.write(root .. "/two.safetensors", pipe, { [last] = d.zeros(32, 64) })
    refusal({ 'give predict = "eps" (base, turbo) or "v" (768-v)' }, opened("two", {}))
    local file = assert(opened("two", { predict = "v" }))
    assert.is_true(pipe(call()):equal(file(call())))
  end)

  it("of SDXL has two text encoders", function()
    local pipe = folder("three", true)
    ldm_file.write(root .. "/three.safetensors", pipe)
    local file = assert(opened("three", {}))
    assert.equal("StableDiffusionXLPipeline", file.class)
    assert.is_true(pipe(call()):equal(file(call())))
  end)

  it("that lacks a tensor says which", function()
    local pipe = folder("four", false)
    ldm_file.write(root .. "/four.safetensors", pipe)
    local tensors = assert(d.load(root .. "/four.safetensors"))
    local out = {}
    for key, x in pairs(tensors) do out[key] = key ~= "model.diffusion_model.out.2.bias" and x:clone() or nil end
    assert(d.save(root .. "/four.safetensors", out))
    refusal({ "four.safetensors: weights of UNet2DConditionModel: 1 tensor is missing ('conv_out.bias')" },
      opened("four", {}))
  end)
end)

-- Single files of Stable Diffusion in latent diffusion's own form, written from the networks of a pipe.
local d = require "diffusion"
local ldm_names = require "diffusion.hub.foreign.ldm_names"
local peers = require "diffusion.nn.peers"
local family = require "diffusion.nn.family"

local M = {}

local function tensors_of(net)
  return peers.saved(family.find(net:config().kind).peers.diffusers, net:state())
end

local function add(out, prefix, tensors, rename)
  for key, x in pairs(tensors) do out[prefix .. rename(key)] = x:contiguous() end
end

-- open_clip's tensors, in which q, k and v are one.
local function add_open_clip(out, prefix, tensors)
  local thirds = {}
  for key, x in pairs(tensors) do
    local name, third = ldm_names.open_clip(key)
    if third then
      thirds[name] = thirds[name] or {}
      thirds[name][third] = x
    else out[prefix .. name] = (name == "text_projection" and x:t() or x):contiguous() end
  end
  for name, parts in pairs(thirds) do out[prefix .. name] = d.cat(parts, 1) end
end

local function same(key) return key end

--- Writes the file. SDXL's has two text encoders.
---@param path string
---@param pipe any
---@param more table<string, any>|nil further tensors
function M.write(path, pipe, more)
  local out = {}
  add(out, "model.diffusion_model.", tensors_of(pipe.unet), ldm_names.unet(pipe.unet:config()))
  add(out, "first_stage_model.", tensors_of(pipe.vae), ldm_names.vae(#pipe.vae:config().block_out_channels))
  if pipe.text2 then
    add(out, "conditioner.embedders.0.transformer.", tensors_of(pipe.text), same)
    add_open_clip(out, "conditioner.embedders.1.model.", tensors_of(pipe.text2))
  elseif pipe.text:config().hidden_act == "gelu" then
    add_open_clip(out, "cond_stage_model.model.", tensors_of(pipe.text))
  else add(out, "cond_stage_model.transformer.", tensors_of(pipe.text), same) end
  for key, x in pairs(more or {}) do out[key] = x end
  assert(d.save(path, out))
end

-- ==== networks of the forms that such files have ========================================

local function blocks(n, attends, way)
  local out = {}
  for i = 1, n do out[i] = (attends[i] and "CrossAttn" or "") .. way end
  return out
end

--- The case of a pipeline whose sizes a file tells: heads are 64 wide, or eight, and groups 32.
---@param large boolean
---@param cases table the fixture's cases
---@return table case for text_folder.write
function M.case(large, cases)
  local base = cases[large and "xl" or "sd1_pndm"]
  local text = { hidden_size = 64, num_attention_heads = 1, intermediate_size = 32, eos_token_id = 2 }
  local unet = { sample_size = large and 128 or 64, in_channels = 4, out_channels = 4, layers_per_block = 1,
    norm_num_groups = 32, block_out_channels = { 32, 64, 64 }, cross_attention_dim = large and 128 or 64,
    attention_head_dim = large and { 1, 1, 1 } or 8, use_linear_projection = large,
    down_block_types = blocks(3, { not large, true, large }, "DownBlock2D"),
    up_block_types = blocks(3, { large, true, not large }, "UpBlock2D"),
    transformer_layers_per_block = large and { 1, 2, 3 } or 1, _class_name = "UNet2DConditionModel" }
  if large then
    unet.addition_embed_type, unet.addition_time_embed_dim = "text_time", 256
    unet.projection_class_embeddings_input_dim = 6 * 256 + 64
  end
  local function changed(part, values)
    local out = {}
    for _, list in ipairs { part, values } do
      for key, value in pairs(list) do out[key] = value end
    end
    return out
  end
  local case = changed(base, { values = 0, pad = "<|endoftext|>" })
  case.parts = { unet = unet, vae = changed(base.parts.vae, { block_out_channels = { 32, 32 }, norm_num_groups = 32,
    scaling_factor = large and 0.13025 or 0.18215 }), text_encoder = changed(base.parts.text_encoder, text) }
  if large then
    case.parts.text_encoder_2 = changed(base.parts.text_encoder_2, changed(text, { projection_dim = 64 }))
  end
  return case
end

return M

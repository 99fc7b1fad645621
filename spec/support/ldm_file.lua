-- This file puts networks of diffusers under the keys of LDM's modules. It is the inverse of
-- lua/diffusion/hub/foreign/ldm*.lua, written from LDM's openaimodel.py and model.py and from open_clip.
local d = require "diffusion"
local family = require "diffusion.nn.family"
local peers = require "diffusion.nn.peers"

local ldm_file = {}

-- ==== the denoiser =======================================================================

local RESNET = { norm1 = "in_layers.0", conv1 = "in_layers.2", time_emb_proj = "emb_layers.1", norm2 = "out_layers.0",
  conv2 = "out_layers.3", conv_shortcut = "skip_connection" }

local UNET = { ["time_embedding.linear_1"] = "time_embed.0", ["time_embedding.linear_2"] = "time_embed.2",
  ["add_embedding.linear_1"] = "label_emb.0.0", ["add_embedding.linear_2"] = "label_emb.0.2",
  conv_in = "input_blocks.0.0", conv_norm_out = "out.0", conv_out = "out.2" }

-- resnets, attentions and changes of size of a block, as the parts of numbered blocks.
local function numbered(config, rest, way, level)
  local step, attends = config.layers_per_block + 1, config[way .. "_block_types"][level + 1]:find "CrossAttn"
  local part, j, tail = rest:match "^(%a+)%.(%d+)%.(.*)$"
  if part == "downsamplers" then return ("input_blocks.%d.0.%s"):format((level + 1) * step, tail:gsub("conv", "op")) end
  if part == "upsamplers" then
    return ("output_blocks.%d.%d.%s"):format(level * step + step - 1, attends and 2 or 1, tail)
  end
  local stem = way == "down" and ("input_blocks.%d"):format(1 + level * step + j)
    or ("output_blocks.%d"):format(level * step + j)
  if part == "attentions" then return ("%s.1.%s"):format(stem, tail) end
  return ("%s.0.%s"):format(stem, tail:gsub("^[%w_]+", RESNET))
end

--- LDM's key of a key of UNet2DConditionModel.
---@param config table
---@param key string
---@return string
function ldm_file.unet(config, key)
  local way, level, rest = key:match "^(%a+)_blocks%.(%d+)%.(.*)$"
  if way then return numbered(config, rest, way, math.tointeger(tonumber(level))) end
  local part, j, tail = key:match "^mid_block%.(%a+)%.(%d+)%.(.*)$"
  if part == "attentions" then return "middle_block.1." .. tail end
  if part then return ("middle_block.%d.%s"):format(2 * j, tail:gsub("^[%w_]+", RESNET)) end
  local stem, kind = key:match "^(.*)%.(%a+)$"
  return ("%s.%s"):format(UNET[stem] or stem, kind)
end

-- ==== the autoencoder ====================================================================

local ATTENTION = { group_norm = "norm", to_q = "q", to_k = "k", to_v = "v", ["to_out.0"] = "proj_out" }

local function middle(rest)
  local i, tail = rest:match "^resnets%.(%d)%.(.*)$"
  if i then return ("mid.block_%d.%s"):format(i + 1, tail) end
  local part, kind = rest:match "^attentions%.0%.(.*)%.(%a+)$"
  return ("mid.attn_1.%s.%s"):format(ATTENTION[part], kind)
end

--- LDM's key of a key of AutoencoderKL.
---@param config table
---@param key string
---@return string
function ldm_file.vae(config, key)
  local side, rest = key:match "^(%a+coder)%.(.*)$"
  if not side then return key end
  local tail = rest:match "^mid_block%.(.*)$"
  if tail then return ("%s.%s"):format(side, middle(tail)) end
  local way, i, part, j, last = rest:match "^(%a+)_blocks%.(%d+)%.(%a+)%.(%d+)%.(.*)$"
  if not way then return (("%s.%s"):format(side, rest):gsub("conv_norm_out", "norm_out")) end
  if way == "up" then i = #config.block_out_channels - 1 - i end
  local stem = ("%s.%s.%d."):format(side, way, i)
  if part == "resnets" then return ("%sblock.%d.%s"):format(stem, j, (last:gsub("conv_shortcut", "nin_shortcut"))) end
  return ("%s%ssample.%s"):format(stem, way, last)
end

-- ==== text encoders ======================================================================

local LAYER = { layer_norm1 = "ln_1", layer_norm2 = "ln_2", ["mlp.fc1"] = "mlp.c_fc", ["mlp.fc2"] = "mlp.c_proj",
  ["self_attn.out_proj"] = "attn.out_proj" }
local FIXED = { ["embeddings.token_embedding.weight"] = "token_embedding.weight",
  ["embeddings.position_embedding.weight"] = "positional_embedding", ["final_layer_norm.weight"] = "ln_final.weight",
  ["final_layer_norm.bias"] = "ln_final.bias", ["text_projection.weight"] = "text_projection" }

--- Open_clip's key of a key of CLIPTextModel, and of which rows of its tensor it is: "q", "k", "v" or nil.
---@param key string
---@return string
---@return string|nil
function ldm_file.open_clip(key)
  key = key:gsub("^text_model%.", "")
  if FIXED[key] then return FIXED[key] end
  local i, stem, kind = key:match "^encoder%.layers%.(%d+)%.(.*)%.(%a+)$"
  local part = stem:match "^self_attn%.([qkv])_proj$"
  if part then return ("transformer.resblocks.%s.attn.in_proj_%s"):format(i, kind), part end
  return ("transformer.resblocks.%s.%s.%s"):format(i, LAYER[stem], kind)
end

--- Tensors of a text encoder under open_clip's keys.
---@param tensors table<string, diffusion.tensor>
---@return table<string, diffusion.tensor>
function ldm_file.to_open_clip(tensors)
  local out, parts = {}, {}
  for key, x in pairs(tensors) do
    local own, part = ldm_file.open_clip(key)
    if part then
      parts[own] = parts[own] or {}
      parts[own][part] = x
    else
      out[own] = own == "text_projection" and x:t():contiguous() or x
    end
  end
  for key, x in pairs(parts) do out[key] = d.cat({ x.q, x.k, x.v }, 1) end
  return out
end

-- ==== files ==============================================================================

local function put(out, prefix, tensors, rename)
  for key, x in pairs(tensors) do out[prefix .. (rename and rename(key) or key)] = x end
  return out
end

-- The encoder of version 2 has another layer and a projection, which no program reads.
local function with_rest(tensors)
  local out, n, width = {}, 0, nil
  for key, x in pairs(tensors) do
    out[key], width = x, key:find "ln_final.weight" and x:size(1) or width
    n = math.max(n, 1 + (tonumber(key:match "resblocks%.(%d+)") or -1))
  end
  for key, x in pairs(tensors) do
    local rest = key:match "^transformer%.resblocks%.0%.(.*)$"
    if rest then out[("transformer.resblocks.%d.%s"):format(n, rest)] = x * 0 + 7 end
  end
  out.text_projection, out.logit_scale = d.full({ width, width }, 7), d.full({ 1 }, 7)
  return out
end

local function of_transformers(key) return (key:gsub("^text_model%.", "")) end

local TEXTS = {
  sd1 = function(out, parts)
    put(out, "cond_stage_model.transformer.text_model.", parts.text_encoder, of_transformers)
    out["cond_stage_model.transformer.text_model.embeddings.position_ids"] = d.arange(0, 15):reshape(1, 16)
  end,
  sd2 = function(out, parts)
    put(out, "cond_stage_model.model.", with_rest(ldm_file.to_open_clip(parts.text_encoder)))
  end,
  xl = function(out, parts)
    put(out, "conditioner.embedders.0.transformer.text_model.", parts.text_encoder, of_transformers)
    put(out, "conditioner.embedders.1.model.", ldm_file.to_open_clip(parts.text_encoder_2))
  end,
  refiner = function(out, parts)
    put(out, "conditioner.embedders.0.model.", ldm_file.to_open_clip(parts.text_encoder_2))
  end,
}

-- Attention of an autoencoder has 1x1 convolutions in LDM's files.
local function with_convolutions(tensors)
  local out = {}
  for key, x in pairs(tensors) do
    out[key] = key:find "attn_1%..*weight$" and x:dim() == 2 and x:reshape(x:size(1), x:size(2), 1, 1) or x
  end
  return out
end

--- Tensors of a single file.
---@param kind string "sd1", "sd2", "xl" or "refiner"
---@param configs table<string, table> by part: unet, vae
---@param parts table<string, table<string, diffusion.tensor>> tensors by diffusers' keys: unet, vae, text_encoder,
---  text_encoder_2
---@return table<string, diffusion.tensor>
function ldm_file.tensors(kind, configs, parts)
  local out = put({}, "model.diffusion_model.", parts.unet, function(key) return ldm_file.unet(configs.unet, key) end)
  put(out, "first_stage_model.", with_convolutions(put({}, "", parts.vae, function(key)
    return ldm_file.vae(configs.vae, key)
  end)))
  out["first_stage_model.loss.logvar"] = d.zeros(1)
  TEXTS[kind](out, parts)
  return out
end

-- The tensors of a network by diffusers' keys.
local function saved(net)
  return net and peers.saved(family.find(net:config().kind).peers.diffusers, net:state())
end

--- Writes the networks of a pipe of Stable Diffusion 1 or XL.
---@param path string
---@param pipe diffusion.pipe
function ldm_file.write(path, pipe)
  local parts = { unet = saved(pipe.unet), vae = saved(pipe.vae), text_encoder = saved(pipe.text),
    text_encoder_2 = saved(pipe.text2) }
  local out = ldm_file.tensors(pipe.text2 and "xl" or "sd1", { unet = pipe.unet:config(), vae = pipe.vae:config() },
    parts)
  for key, x in pairs(out) do out[key] = x:contiguous() end
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
function ldm_file.case(large, cases)
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

return ldm_file

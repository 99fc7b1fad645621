-- The autoencoder of latent diffusion as AutoencoderKL, whose keys it gets.
local family = require "diffusion.network.autoencoderkl"

local vae = { known = family, entry = family.peers.diffusers, class = "AutoencoderKL" }

--- The prefix of an autoencoder in a key, or nil.
---@param key string
---@return string|nil
function vae.prefix(key) return key:match "^(.-)decoder%.up%.0%.block%.0%.norm1%.weight$" end

-- ==== names ==============================================================================

local ATTENTION = { norm = "group_norm", q = "to_q", k = "to_k", v = "to_v", proj_out = "to_out.0" }

local function attention(rest)
  local first, tail = rest:match "^([^.]+)(%..*)$"
  return (ATTENTION[first] or first) .. tail
end

local function resnet(rest) return (rest:gsub("^nin_shortcut", "conv_shortcut")) end

-- The name of a part of the middle.
local function middle(rest)
  local i, tail = rest:match "^block_([12])%.(.*)$"
  if i then return ("mid_block.resnets.%d.%s"):format(i - 1, resnet(tail)) end
  tail = rest:match "^attn_1%.(.*)$"
  return tail and "mid_block.attentions.0." .. attention(tail)
end

-- The name of a part of a level: `way` is "down" or "up", and `i` the level's number in diffusers.
local function level(way, i, rest)
  local stem = ("%s_blocks.%d."):format(way, i)
  local j, tail = rest:match "^block%.(%d+)%.(.*)$"
  if j then return ("%sresnets.%s.%s"):format(stem, j, resnet(tail)) end
  j, tail = rest:match "^attn%.(%d+)%.(.*)$"
  if j then return ("%sattentions.%s.%s"):format(stem, j, attention(tail)) end
  tail = rest:match(("^%ssample%%.(.*)$"):format(way))
  return tail and ("%s%ssamplers.0.%s"):format(stem, way, tail)
end

-- Diffusers' name of a key. Other keys keep theirs, and are found to be unexpected.
local function renamed(key, levels)
  local side, rest = key:match "^(%a+coder)%.(.*)$"
  if not side then return key end
  local own
  local tail = rest:match "^mid%.(.*)$"
  if tail then own = middle(tail) end
  local way, i
  way, i, tail = rest:match "^(%a+)%.(%d+)%.(.*)$"
  if way == "down" then own = level(way, i, tail) end
  if way == "up" then own = level(way, levels - 1 - i, tail) end
  return ("%s.%s"):format(side, own or rest:gsub("^norm_out", "conv_norm_out"))
end

-- Losses of training and averages stand next to the network.
local function is_other(key) return key:find "^loss%." or key:find "^model_ema%." end

local function tensors_of(p, levels)
  local out = {}
  for key, x in pairs(p.tensors) do
    if not is_other(key) then out[renamed(key, levels)] = x end
  end
  return out
end

-- ==== options ============================================================================

local function read_levels(p, o)
  local n = p:parts "encoder.down"
  o.layers_per_block = p:parts "encoder.down.0.block"
  o.block_out_channels, o.down_block_types, o.up_block_types = {}, {}, {}
  for i = 0, n - 1 do
    local function attends(way) return p:shape(("%s.%d.attn.0.norm.weight"):format(way, i)) end
    o.block_out_channels[i + 1] = p:size(("encoder.down.%d.block.0.conv1.weight"):format(i), 1)
    o.down_block_types[i + 1] = attends "encoder.down" and "AttnDownEncoderBlock2D" or "DownEncoderBlock2D"
    table.insert(o.up_block_types, 1, attends "decoder.up" and "AttnUpDecoderBlock2D" or "UpDecoderBlock2D")
  end
end

local function options_of(p, size)
  local o = { in_channels = p:size("encoder.conv_in.weight", 2), out_channels = p:size("decoder.conv_out.weight", 1),
    latent_channels = p:size("decoder.conv_in.weight", 2), norm_num_groups = p.o.groups or 32, sample_size = size,
    use_quant_conv = p:shape "quant_conv.weight" ~= nil, use_post_quant_conv = p:shape "post_quant_conv.weight" ~= nil,
    mid_block_add_attention = p:shape "decoder.mid.attn_1.norm.weight" ~= nil }
  read_levels(p, o)
  return o
end

--- Reads an autoencoder.
---@param p table a plan
---@param size integer height and width of its images
---@param factor number|nil the latents' scale, nil if the file has no denoiser that tells it
---@return table {options, tensors = function}
function vae.read(p, size, factor)
  if p:shape "quantize.embedding.weight" then
    p:refuse "its autoencoder has a codebook; open the folder that diffusers makes of it"
  end
  local o = options_of(p, size)
  o.scaling_factor, o.shift_factor = p:ask("scaling_factor", factor), p.o.shift_factor
  return { options = o, tensors = function() return tensors_of(p, #o.block_out_channels) end }
end

return vae

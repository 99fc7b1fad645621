-- Networks of guided-diffusion (ADM) and improved-diffusion as UNet2DModel, whose keys they get.
local blocks = require "diffusion.hub.foreign.blocks"
local family = require "diffusion.network.unet2d"

local adm = { name = "unet2d", title = "a network of guided-diffusion or improved-diffusion",
  mark = "output_blocks.0.0.in_layers.0.weight", entry = family.peers.diffusers, known = family }

-- ==== tensors ============================================================================

local ATTENTION = { { "norm", "group_norm" }, { "proj_out", "to_out.0" } }

-- The rows of q, k or v (i from 1) of all heads. Only in the new order they are a window.
local function third(x, i, heads)
  local rows = x:size(1) // 3
  if not heads or heads == 1 then return x:narrow(1, 1 + (i - 1) * rows, rows) end
  local width = x:dim() > 1 and x:size(2) or 1
  local y = x:reshape(heads, 3, rows // heads, width):select(2, i):reshape(rows, width)
  return x:dim() > 1 and y or y:reshape(rows)
end

local function move_attention(left, out, from, to, heads)
  for _, pair in ipairs(ATTENTION) do blocks.move(left, out, from .. "." .. pair[1], to .. "." .. pair[2]) end
  for _, kind in ipairs { "weight", "bias" } do
    local key = ("%s.qkv.%s"):format(from, kind)
    local x = left[key]
    left[key] = nil
    for i, name in ipairs { "to_q", "to_k", "to_v" } do
      out[("%s.%s.%s"):format(to, name, kind)] = x and third(x, i, heads)
    end
  end
end

-- Moves attentions. `heads` is a function of the width if rows are in the legacy order.
local function mover(p, heads)
  return function(left, out, from, to)
    move_attention(left, out, from, to, heads and heads(p:size(from .. ".norm.weight", 1)))
  end
end

-- ==== options ============================================================================

local function read_levels(p, o, at)
  o.block_out_channels, o.down_block_types, o.up_block_types = {}, {}, {}
  for level = 0, at.n - 1 do
    local first = ("input_blocks.%d"):format(1 + level * (at.blocks + 1))
    local attends = p:shape(first .. ".1.qkv.weight")
    local plain = at.resnets and { "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D" }
      or { "DownBlock2D", "UpBlock2D" }
    o.block_out_channels[level + 1] = p:size(first .. ".0.out_layers.3.weight", 1)
    o.down_block_types[level + 1] = attends and "AttnDownBlock2D" or plain[1]
    table.insert(o.up_block_types, 1, attends and "AttnUpBlock2D" or plain[2])
  end
  local how = at.resnets and "resnet" or "conv"
  o.layers_per_block, o.downsample_type, o.upsample_type = at.blocks, how, how
end

-- Sets heads by their number or by their width.
local function read_heads(p, o)
  if p.o.head_channels then
    o.attention_head_dim = p.o.head_channels
    return function(width) return math.max(1, width // o.attention_head_dim) end
  end
  local heads = p:ask "heads"
  if type(heads) == "table" then p:refuse "heads is one number in such a network" end
  o.num_heads = heads
  return function() return heads end
end

local function has_heads(p, list, heads)
  for _, one in ipairs(list) do
    if one[3] == "attention" and (heads(p:size(one[1] .. ".norm.weight", 1)) or 1) > 1 then return true end
  end
  return false
end

local function check_heads(p, list, heads)
  for _, one in ipairs(list) do
    local width = one[3] == "attention" and p:size(one[1] .. ".norm.weight", 1)
    local n = width and heads(width)
    if n and width % n ~= 0 then p:refuse("%d heads don't divide %d channels", n, width) end
  end
end

-- UNet2DModel has heads of one width. It is that of attentions of different numbers of heads too.
local function settle_heads(p, o, list)
  local width
  for _, one in ipairs(list) do
    local own = one[3] == "attention" and p:size(one[1] .. ".norm.weight", 1)
    if own and (width or own) ~= own then return end
    width = own or width
  end
  if o.num_heads and width % o.num_heads == 0 then
    o.attention_head_dim, o.num_heads = width // o.num_heads, nil
  end
end

local function read_channels(p, o)
  local inp, out = p:size("input_blocks.0.0.weight", 2), p:size("out.2.weight", 1)
  if out ~= inp and out ~= 2 * inp then
    p:refuse("it makes %d channels of %d, so it isn't a denoiser of images alone", out, inp)
  end
  local image = p:image(inp)
  o.in_channels, o.out_channels = inp, out
  o.sample_size = image and (image[1] == image[2] and image[1] or { image[1], image[2] })
end

local function options_of(p, at)
  local o = { norm_num_groups = 32, attn_norm_num_groups = 32, norm_eps = 1e-5, time_offset = 1 }
  read_levels(p, o, at)
  read_channels(p, o)
  local waves = p:size("time_embed.0.weight", 2)
  o.time_embedding_dim = p:size("time_embed.0.weight", 1)
  o.time_width = waves ~= o.block_out_channels[1] and waves or nil
  local embed = p:size("middle_block.0.emb_layers.1.weight", 1)
  o.resnet_time_scale_shift = embed == 2 * o.block_out_channels[at.n] and "scale_shift" or "default"
  o.num_class_embeds = p:shape "label_emb.weight" and p:size("label_emb.weight", 1)
  return o
end

-- Networks that were trained with T steps may see timesteps as if there were 1000.
local function read_factor(p, o)
  local T, given = p.o.T, p.o.rescale_timesteps
  if given == nil and T and T ~= 1000 then given = p:ask "rescale_timesteps" end
  if given and T then o.time_factor = 1000 / T end
end

--- Reads a network of the libraries.
---@param p table a plan
---@return table {options, tensors, process}
function adm.read(p)
  if p.outer.prefix:find "diffusion_model%.$" then
    p:refuse "it belongs to a latent diffusion model without a text; open the folder that diffusers makes of it"
  end
  local at = blocks.layout(p)
  local list, o = blocks.stems(p, at), options_of(p, at)
  local heads = read_heads(p, o)
  check_heads(p, list, heads)
  local order = p.o.qkv_order or has_heads(p, list, heads) and p:ask "qkv_order" or "new"
  local learned = o.out_channels == 2 * o.in_channels
  local process = p:process { clip = 1, variance = learned and "learned_range" or nil }
  read_factor(p, o)
  settle_heads(p, o, list)
  return { options = o, process = process, tensors = function()
    return blocks.tensors(p, list, mover(p, order == "legacy" and heads or nil))
  end }
end

return adm

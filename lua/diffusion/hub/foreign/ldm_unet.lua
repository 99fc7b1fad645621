-- The denoiser of latent diffusion with texts as UNet2DConditionModel, whose keys it gets.
local blocks = require "diffusion.hub.foreign.blocks"
local family = require "diffusion.network.unet2dcondition"

local unet = { known = family, entry = family.peers.diffusers, class = "UNet2DConditionModel" }

local HEAD = 64 -- channels of a head of the networks whose products are of tokens
local WAVES = 256 -- width of the waves of each number about sizes

--- The prefix of a denoiser in a key, or nil.
---@param key string
---@return string|nil
function unet.prefix(key)
  return key:match "^(.-)input_blocks%.%d+%.1%.transformer_blocks%.0%.attn2%.to_k%.weight$"
end

-- ==== levels =============================================================================

-- The number of transformer blocks behind a block, 0 if there are none.
local function depth_of(p, block) return p:parts(block .. ".1.transformer_blocks") end

local function depths_of(p, at, up)
  local out, step = {}, at.blocks + 1
  for level = 0, at.n - 1 do
    out[level + 1] = depth_of(p, up and ("output_blocks.%d"):format(level * step)
      or ("input_blocks.%d"):format(1 + level * step))
  end
  return out
end

-- The depths of all levels: one number if they are equal. A level without attention has that of the middle if it is
-- the last one.
local function listed(depths, middle, last)
  local out, uniform = {}, true
  for i, depth in ipairs(depths) do
    out[i] = depth > 0 and depth or i == last and middle or 1
    uniform = uniform and (depth == 0 or depth == middle)
  end
  return uniform and middle or out
end

local function differs(up, down)
  for i, depth in ipairs(up) do
    if depth > 0 and depth ~= down[#down - i + 1] then return true end
  end
  return false
end

-- The types of levels and their depths. In diffusers, the middle has the depth of the last level.
local function read_depths(p, o, at)
  local down, up, middle = depths_of(p, at, false), depths_of(p, at, true), depth_of(p, "middle_block")
  o.down_block_types, o.up_block_types = {}, {}
  for i = 1, at.n do
    o.down_block_types[i] = down[i] > 0 and "CrossAttnDownBlock2D" or "DownBlock2D"
    o.up_block_types[i] = up[i] > 0 and "CrossAttnUpBlock2D" or "UpBlock2D"
  end
  if middle == 0 then p:refuse "its middle block has no attention" end
  if down[at.n] > 0 and down[at.n] ~= middle then
    p:refuse("its middle block has %d transformer blocks, and the level before it %d", middle, down[at.n])
  end
  o.transformer_layers_per_block = listed(down, middle, at.n)
  if differs(up, down) then
    o.reverse_transformer_layers_per_block = {}
    for i, depth in ipairs(up) do o.reverse_transformer_layers_per_block[i] = math.max(depth, 1) end
  end
end

local function read_widths(p, o, at)
  o.block_out_channels, o.layers_per_block = {}, at.blocks
  for level = 0, at.n - 1 do
    o.block_out_channels[level + 1] =
      p:size(("input_blocks.%d.0.out_layers.3.weight"):format(1 + level * (at.blocks + 1)), 1)
  end
  o.norm_num_groups = p.o.groups or 32
end

-- ==== attention ==========================================================================

-- Networks of version 1 have 8 heads. Later ones have heads of 64 channels.
local function read_heads(p, o)
  local first = "middle_block.1.proj_in.weight"
  p:size(first, 2)
  o.use_linear_projection = #p:shape(first) == 2
  o.cross_attention_dim = p:size("middle_block.1.transformer_blocks.0.attn2.to_k.weight", 2)
  if p.o.heads then
    o.attention_head_dim = p.o.heads
    return
  end
  local width = p.o.head_channels or o.use_linear_projection and HEAD or nil
  o.attention_head_dim = width and {} or 8
  for i, channels in ipairs(width and o.block_out_channels or {}) do
    local attends = o.down_block_types[i]:find "^Cross" or i == #o.block_out_channels
    if attends and channels % width ~= 0 then
      p:refuse("heads of %d channels don't divide %d channels", width, channels)
    end
    o.attention_head_dim[i] = math.max(1, channels // width)
  end
end

-- ==== channels and the added embedding ===================================================

-- Networks that paint also see a mask and the kept part.
local function read_channels(p, o)
  local inp, out = p:size("input_blocks.0.0.weight", 2), p:size("out.2.weight", 1)
  if inp ~= out and inp ~= 2 * out + 1 then
    p:refuse("its denoiser reads %d channels and makes %d; %d are run here, or %d for inpainting", inp, out, out,
      2 * out + 1)
  end
  o.in_channels, o.out_channels = inp, out
end

local ADDED = { { 5, "refiner" }, { 6, "xl" } } -- versions by their number of numbers about sizes

--- Finds the version of a network by its keys: "sd1", "sd2", "xl" or "refiner".
---@param p table a plan
---@param pooled integer|nil width of the embedding of a whole text, if the file has its encoder
---@param both boolean|nil true if the file has two text encoders, which a refiner doesn't have
---@return string kind
---@return integer|nil numbers about sizes
function unet.kind(p, pooled, both)
  if not p:shape "label_emb.0.0.weight" then
    if p:shape "label_emb.weight" then
      p:refuse "its denoiser is conditioned on a class, as upscalers are; it isn't run here"
    end
    return #(p:shape "middle_block.1.proj_in.weight" or {}) == 2 and "sd2" or "sd1"
  end
  local rest = p:size("label_emb.0.0.weight", 2) - (pooled or 1280)
  for i = both and 2 or 1, #ADDED do
    local numbers, kind = table.unpack(ADDED[i])
    if rest > 0 and rest % numbers == 0 and (pooled or rest == numbers * WAVES) then return kind, numbers end
  end
  p:refuse("its label_emb reads %d numbers, which isn't the embedding of Stable Diffusion XL",
    p:size("label_emb.0.0.weight", 2))
end

local function read_added(p, o, numbers, pooled)
  if not numbers then return end
  local width = p:size("label_emb.0.0.weight", 2)
  o.addition_embed_type, o.projection_class_embeddings_input_dim = "text_time", width
  o.addition_time_embed_dim = pooled and (width - pooled) // numbers or WAVES
end

-- ==== the network ========================================================================

--- Reads a denoiser.
---@param p table a plan
---@param size integer|integer[] height and width of its latents
---@param numbers integer|nil about sizes
---@param pooled integer|nil
---@return table {options, tensors = function}
function unet.read(p, size, numbers, pooled)
  local at, o = blocks.layout(p), { sample_size = size }
  if at.resnets then p:refuse "residual blocks change the sizes of its images, which no Stable Diffusion has" end
  read_widths(p, o, at)
  read_depths(p, o, at)
  read_heads(p, o)
  read_channels(p, o)
  read_added(p, o, numbers, pooled)
  local list = blocks.stems(p, at)
  return { options = o, tensors = function() return blocks.tensors(p, list, blocks.move_below) end }
end

return unet

-- Types of blocks of diffusers' UNets in which pixels attend to a context, and the blocks in the middle of
-- such a network. The way has `context` and `mask`. The facts of a block have heads = their number, head_dim,
-- only_cross, and depth. That is a number of transformer blocks, or a list with one for each resnet.
local levels = require "diffusion.nn.levels2d"
local transformer2d = require "diffusion.nn.transformer2d"

local cross = {}

-- ==== a Transformer2DModel behind each resnet ============================================

-- o is {heads = their number, groups, depth, only_cross}.
local function transformer(way, path, h, o)
  if o.heads > h.width then
    way:refuse("%s: attention_head_dim, which is the number of heads here, is %d, but there are %d channels", path,
      o.heads, h.width)
  end
  way:check_groups(path, o.groups, h.width)
  return transformer2d.transformer(way.net, path, h, way.context, way.mask, { heads = o.heads, groups = o.groups,
    inner = h.width // o.heads * o.heads, depth = o.depth, only_cross = o.only_cross,
    linear = way.o.use_linear_projection, recompute = way.o.recompute })
end

-- The number of transformer blocks behind resnet j, from 0.
local function depth_of(way, b, j)
  if type(b.depth) ~= "table" then return b.depth end
  return b.depth[j + 1]
    or way:refuse("%s of %s: there are %d numbers of transformer blocks for this level, and none for resnet %d",
      b.name, b.type, #b.depth, j + 1)
end

local function attend(way, b, path, h, j)
  return transformer(way, path, h, { heads = b.heads, groups = b.groups, only_cross = b.only_cross,
    depth = depth_of(way, b, j) })
end

-- ==== Simple blocks: attention to the context and to the pixels ==========================

local NORMED = 32 -- groups of a group norm of the context

local function check_norm(way, path, h)
  local norm, width = way.o.cross_attention_norm, way.context.width
  if norm == "layer_norm" and width ~= h.width then
    way:refuse("%s: cross_attention_norm = \"layer_norm\" is of the %d channels here, but the context has %d", path,
      h.width, width)
  end
  if norm == "group_norm" then way:check_groups(path .. ".norm_cross", NORMED, width) end
end

-- o is {head_dim, groups, only_cross}.
local function added(way, path, h, o)
  local heads, inner = way:heads(path, h.width, o.head_dim)
  if inner ~= h.width then
    way:refuse("%s: attention_head_dim, the width of a head here, is %d and doesn't divide %d channels", path,
      o.head_dim, h.width)
  end
  way:check_groups(path, o.groups, h.width)
  check_norm(way, path, h)
  return transformer2d.added(way.net, path, h, way.context, way.mask, { heads = heads, inner = inner,
    groups = o.groups, only_cross = o.only_cross, cross_norm = way.o.cross_attention_norm,
    recompute = way.o.recompute })
end

local function attend_simply(way, b, path, h)
  return added(way, path, h, { head_dim = b.head_dim, groups = b.groups, only_cross = b.only_cross })
end

-- ==== the types ==========================================================================

local full = { down = { attend = attend, change = levels.by_conv.down }, up = { attend = attend,
  change = levels.by_conv.up } }
local simple = { down = { attend = attend_simply, change = levels.by_resnet.down, own = true },
  up = { attend = attend_simply, change = levels.by_resnet.up, own = true } }

cross.down_types = { CrossAttnDownBlock2D = levels.plain_down(full.down),
  SimpleCrossAttnDownBlock2D = levels.plain_down(simple.down) }
cross.up_types = { CrossAttnUpBlock2D = levels.plain_up(full.up),
  SimpleCrossAttnUpBlock2D = levels.plain_up(simple.up) }

-- ==== the middle =========================================================================

local middle = {}

-- The first resnet, and what the others need.
local function enter(way, h, more)
  local o = { groups = levels.groups(way.o.norm_num_groups, h.width), out = h.width,
    rescale = way.o.mid_block_scale_factor, raw = more }
  return way:resnet("mid_block.resnets.0", h, o), o
end

function middle.UNetMidBlock2D(way, h) return (enter(way, h)) end

function middle.UNetMidBlock2DCrossAttn(way, h, b)
  local o
  h, o = enter(way, h)
  h = transformer(way, "mid_block.attentions.0", h, { heads = b.heads, groups = o.groups,
    depth = depth_of(way, b, 0) })
  return way:resnet("mid_block.resnets.1", h, o)
end

function middle.UNetMidBlock2DSimpleCrossAttn(way, h, b)
  local o
  h, o = enter(way, h, way.o.resnet_skip_time_act)
  h = added(way, "mid_block.attentions.0", h, { head_dim = b.head_dim, groups = o.groups, only_cross = b.only_cross })
  return way:resnet("mid_block.resnets.1", h, o)
end

--- The types of blocks in the middle.
cross.middle_types = { "UNetMidBlock2DCrossAttn", "UNetMidBlock2D", "UNetMidBlock2DSimpleCrossAttn" }

--- The block in the middle.
---@param way table
---@param h diffusion.value
---@param b table facts of the deepest level, and of the block: only_cross
---@return diffusion.value
function cross.middle(way, h, b)
  b.name, b.type = "mid_block", way.o.mid_block_type
  return middle[b.type](way, h, b)
end

return cross

-- K blocks of diffusers' UNets, which come from k-diffusion's upscaler. The embedding scales and shifts all
-- norms, which have groups of 32 channels.
local blocks = require "diffusion.nn.blocks2d"

local k = {}

local SIZE = 32

local function groups_of(way, path, width)
  if width % SIZE ~= 0 then way:refuse("%s: K blocks need channels in groups of %d, got %d", path, SIZE, width) end
  return width // SIZE
end

-- Resnet j of a block, with `inner` channels between its two halves.
local function resnet(way, b, j, h, inner, out)
  local path, all, groups = ("%s.resnets.%d"):format(b.name, j), way.o, groups_of(way, b.name, b.out)
  local own = groups_of(way, path, h.width)
  way:check_groups(path, groups, inner)
  return blocks.conditioned(way.net, path, h, way.e, { inner = inner, out = out, groups = own, groups_out = groups,
    epsilon = all.norm_eps, act = way.act, dropout = all.dropout, recompute = all.recompute })
end

local function attention(way, b, j, h, twice, each)
  local path = ("%s.attentions.%d"):format(b.name, j)
  local heads, inner = way:heads(path, h.width, each)
  local groups = math.max(1, h.width // SIZE)
  way:check_groups(path, groups, h.width)
  return blocks.self_attention(way.net, path, h, way.e, { heads = heads, inner = inner, groups = groups,
    twice = twice, recompute = way.o.recompute, context = way.context, mask = way.mask })
end

local function k_down(attends)
  return function(way, b, h)
    for j = 0, b.layers - 1 do
      h = resnet(way, b, j, h, b.out, b.out)
      if attends then h = attention(way, b, j, h, b.last, b.head_dim) end
      way:keep(not (attends and b.last) and h)
    end
    if b.last then return h end
    way.level = way.level + 1
    return blocks.resample(way.net, "k_shrink", h)
  end
end

-- The width of resnet j of n, from 1: the last one makes the channels of the next level.
local function k_up(attends)
  return function(way, b, h)
    local n = b.layers
    local skips = way:last(n)
    local skip = skips[#skips]
    local first = attends and b.inp == b.out and b.out == way.e.width -- the deepest, of channels as the embedding
    if not (attends and skip and not skip[1]) then h = way:joined(b, h, skip, first and b.out or 2 * b.out) end
    if h.width ~= (first and b.out or 2 * b.out) then
      way:refuse("%s of %s: it takes %d channels, got %d", b.name, b.type, first and b.out or 2 * b.out, h.width)
    end
    for j = 0, n - 1 do
      local out = j == n - 1 and b.inp or b.out
      -- KUpBlock2D is as narrow as its result inside, KCrossAttnUpBlock2D as wide as the block
      h = resnet(way, b, j, h, attends and b.out or out, out)
      if attends then h = attention(way, b, j, h, first, b.head_dim or b.out) end
    end
    if b.last then return h end
    way.level = way.level - 1
    return blocks.resample(way.net, "k_enlarge", h)
  end
end

k.down_types = { KDownBlock2D = k_down(false), KCrossAttnDownBlock2D = k_down(true) }
k.up_types = { KUpBlock2D = k_up(false), KCrossAttnUpBlock2D = k_up(true) }

return k

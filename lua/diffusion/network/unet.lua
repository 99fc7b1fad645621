-- The UNet of Ho et al. 2020, appendix B, for images.
local core = require "diffusion.core"
local family = require "diffusion.nn.family"

local unet = { name = "unet" }

unet.options = family.declare(unet.name, {
  image = family.image,
  channels = family.size(32, 2, "channels of the first level, even"),
  mult = family.sizes { default = { 1, 2, 2 }, least = 1, text = "channels of each level, in multiples of `channels`" },
  blocks = family.count(2, "number of residual blocks of a level; one more on the way up"),
  attention = family.sizes { default = {}, text = "downsampling factors at which there is attention, as {4}" },
  heads = family.size(1, 1, "number of heads of each attention"),
  groups = family.groups,
  classes = family.classes,
  outputs = family.outputs,
  dropout = family.dropout,
  self_condition = family.self_condition,
  recompute = family.recompute,
})

local function factor(o) return 1 << #o.mult - 1 end

local function check_attention(o)
  for _, at in ipairs(o.attention) do
    if at > factor(o) or at & at - 1 ~= 0 then
      family.fail("unet: attention at factor %d, but %d levels have the factors 1 to %d, doubling", at, #o.mult,
        factor(o))
    end
  end
end

function unet.check(o)
  local H, W = o.image[1], o.image[2]
  if o.channels % 2 ~= 0 then family.fail("unet: channels must be even, got %d", o.channels) end
  for _, side in ipairs { H, W } do
    if side % factor(o) ~= 0 then
      family.fail("unet: image [%d,%d] can't be halved %d times: H and W must be multiples of %d; %s",
        H, W, #o.mult - 1, factor(o), family.fitting(side, factor(o)))
    end
  end
  check_attention(o)
end

function unet.inputs(o)
  local sides = factor(o)
  return family.inputs({ "B", { "H", multiple = sides }, { "W", multiple = sides }, o.image[3] }, o)
end

function unet.text(o)
  return ("channels %d, image channels %d, sides multiples of %d"):format(o.channels, o.image[3], factor(o))
end

-- The state of a pass through the levels: the net, its options, the embedding and the skip connections.
local Way = {}
Way.__index = Way

function Way:block(path, h, mult)
  local o = self.o
  return self.net:res_block(path, { h, self.e }, { out = o.channels * mult, groups = o.groups, dropout = o.dropout,
    recompute = o.recompute })
end

function Way:attention(path, h)
  local o = self.o
  return self.net:attention_block(path, h, { heads = o.heads, groups = o.groups, recompute = o.recompute })
end

function Way:attends(level)
  for _, at in ipairs(self.o.attention) do if at == 1 << level - 1 then return true end end
end

function Way:keep(h)
  self.skips[#self.skips + 1] = h
  return h
end

function Way:down(h)
  for level, mult in ipairs(self.o.mult) do
    for i = 1, self.o.blocks do
      h = self:block(("down.%d.block.%d"):format(level, i), h, mult)
      if self:attends(level) then h = self:attention(("down.%d.attention.%d"):format(level, i), h) end
      self:keep(h)
    end
    if level < #self.o.mult then
      h = self:keep(self.net:downsample(("down.%d.shrink"):format(level), h, { out = h.width }))
    end
  end
  return h
end

function Way:middle(h)
  local mult = self.o.mult[#self.o.mult]
  h = self:attention("mid.attention", self:block("mid.one", h, mult))
  return self:block("mid.two", h, mult)
end

function Way:up(h)
  for level = #self.o.mult, 1, -1 do
    for i = 1, self.o.blocks + 1 do
      h = self.net:cat { h, table.remove(self.skips) }
      h = self:block(("up.%d.block.%d"):format(level, i), h, self.o.mult[level])
      if self:attends(level) then h = self:attention(("up.%d.attention.%d"):format(level, i), h) end
    end
    if level > 1 then h = self.net:upsample(("up.%d.grow"):format(level), h, { out = h.width }) end
  end
  return h
end

function unet.build(net, o)
  local e = net:time_embed("time", { net.t, net.class },
    { inp = o.channels, out = 4 * o.channels, classes = o.classes })
  local way = setmetatable({ net = net, o = o, e = e, skips = {} }, Way)
  local h = way:keep(net:conv("inp", family.seen(net, o), { out = o.channels }))
  h = way:up(way:middle(way:down(h)))
  return net:norm_conv("out", h, { out = o.outputs * o.image[3], groups = o.groups, init = "zero" })
end

-- The names of a network's levels there, where they count from 0, and on the way up from the lowest.
local function peer_levels(o)
  local names = {}
  local function add(ours, theirs, level, other, i)
    names[#names + 1] = { ours:format(level, i), theirs:format(other, i and i - 1) }
  end
  for level = 1, #o.mult do
    local down, up = level - 1, #o.mult - level
    add("down.%d.shrink", "down_blocks.%d.downsamplers.0", level, down)
    add("up.%d.grow", "up_blocks.%d.upsamplers.0", level, up)
    for i = 1, o.blocks + 1 do
      add("down.%d.block.%d", "down_blocks.%d.resnets.%d", level, down, i)
      add("down.%d.attention.%d", "down_blocks.%d.attentions.%d", level, down, i)
      add("up.%d.block.%d", "up_blocks.%d.resnets.%d", level, up, i)
      add("up.%d.attention.%d", "up_blocks.%d.attentions.%d", level, up, i)
    end
  end
  return names
end

-- The first layer of time for timesteps t - 1, or back. cos(t f) and sin(t f) are cos and sin of
-- (t - 1) f turned by the angle f; the columns are cos, then sin.
local function turned(w, back)
  local half = w:size(2) // 2
  local c, s = {}, {}
  for k = 0, half - 1 do
    local f = 10000 ^ (-k / half)
    c[k + 1], s[k + 1] = math.cos(f), back and -math.sin(f) or math.sin(f)
  end
  c, s = core.tensor(c), core.tensor(s)
  local wc, ws = w:narrow(2, 1, half), w:narrow(2, half + 1, half)
  return core.ops.cat({ wc * c + ws * s, ws * c - wc * s }, 2)
end

-- It is saved as this class if that can express it; unet2d reads it.
unet.peers = { diffusers = {
  class = "UNet2DModel", levels = peer_levels, turned = { ["time.one.weight"] = turned },
  names = { { "time.one", "time_embedding.linear_1" }, { "time.two", "time_embedding.linear_2" },
    { "time.class", "class_embedding" }, { "inp", "conv_in" }, { "out.norm", "conv_norm_out" },
    { "out.conv", "conv_out" }, { "mid.one", "mid_block.resnets.0" }, { "mid.two", "mid_block.resnets.1" },
    { "mid.attention", "mid_block.attentions.0" }, { "one.norm", "norm1" }, { "one.conv", "conv1" },
    { "two.norm", "norm2" }, { "two.conv", "conv2" }, { "embed", "time_emb_proj" }, { "skip", "conv_shortcut" },
    { "norm", "group_norm" }, { "attention.q", "to_q" }, { "attention.k", "to_k" }, { "attention.v", "to_v" },
    { "attention.out", "to_out.0" } },
} }

--- The UNet of Ho et al. 2020 for images {B, H, W, C}, predicting C channels. It has residual
--- blocks with time and class, and attention in the middle and at the given factors. Other H and W
--- may be used too, if the levels divide them.
---@param options diffusion.unet_options
---@return diffusion.model
---@usage print(d.unet{ image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, attention = { 2 }, classes = 10 })
function unet.new(options) return family.model(unet, options) end

return unet

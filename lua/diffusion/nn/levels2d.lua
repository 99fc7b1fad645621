-- The ways down and up of UNet2DModel: its block types, as lists. A way keeps the skip connections, and
-- the small picture that Skip blocks carry along. As in the peer, some types fit together and some
-- don't: those that don't are refused here, where shapes are known.
local blocks = require "diffusion.nn.blocks2d"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"

local levels = {}

local function refuse(format, ...) fail.raise("unet2d: " .. format, ...) end

--- A norm has the given number of groups, or a quarter of its channels, at most 32.
---@param given integer|false
---@param width integer channels
---@return integer
function levels.groups(given, width) return given or math.max(1, math.min(width // 4, 32)) end

local Way = {}
Way.__index = Way

--- A way through the levels of a network.
---@param net diffusion.net
---@param o table options of the family
---@param e diffusion.value embedding
---@param act string
---@param x diffusion.value the image
---@return table
function levels.new(net, o, e, act, x)
  return setmetatable({ net = net, o = o, e = e, act = act, activated = net:activation(e, { act = act }), skips = {},
    level = 0, sample = x, sample_level = 0 }, Way)
end

-- ==== parts ==============================================================================

local function check_groups(path, groups, width)
  if width % groups ~= 0 then refuse("%s: %d groups don't divide %d channels", path, groups, width) end
end

--- A resnet; o has `out`, and further options of blocks.resnet.
function Way:resnet(path, h, o)
  local all = self.o
  local given = { epsilon = all.norm_eps, act = self.act, dropout = all.dropout, recompute = all.recompute,
    modulated = all.resnet_time_scale_shift == "scale_shift" }
  for key, value in pairs(o) do given[key] = value end
  check_groups(path, given.groups, h.width)
  check_groups(path, given.groups_out or given.groups, given.out)
  return blocks.resnet(self.net, path, h, self.activated, given)
end

-- Returns the number of heads over so many channels, and their width together. `usual` is the width of
-- a head if none is given; if it is nil too, there is one head.
function Way:heads(path, width, usual)
  local given = self.o.num_heads
  if given and width % given ~= 0 then refuse("%s: %d heads don't divide %d channels", path, given, width) end
  local each = given and width // given or self.o.attention_head_dim or usual or width
  if each > width then refuse("%s: attention_head_dim is %d, but there are %d channels", path, each, width) end
  return width // each, width // each * each
end

--- Attention; o has `groups` and may have `rescale`.
function Way:attention(path, h, o)
  local heads, inner = self:heads(path, h.width)
  if o.groups then check_groups(path, o.groups, h.width) end
  return blocks.attention(self.net, path, h, { heads = heads, inner = inner, groups = o.groups, rescale = o.rescale,
    epsilon = self.o.norm_eps, recompute = self.o.recompute })
end

--- Keeps a skip connection; false for a place without one.
function Way:keep(h)
  self.skips[#self.skips + 1] = { h, level = self.level }
  return h
end

-- The last n skip connections, which leave the list.
function Way:last(n)
  local out = {}
  for i = math.max(1, #self.skips - n + 1), #self.skips do out[#out + 1] = self.skips[i] end
  for _ = 1, #out do table.remove(self.skips) end
  return out
end

local function size_text(level)
  return level == 0 and "the image's size" or ("1/%d of the image's size"):format(1 << level)
end

-- h with a skip connection, which has its size and makes `width` channels together with it.
function Way:joined(b, h, skip, width)
  if not skip then refuse("%s of %s: no skip connection is left for it", b.name, b.type) end
  if not skip[1] then
    refuse("%s of %s: the skip connection is one that KCrossAttnDownBlock2D leaves out", b.name, b.type)
  end
  if skip.level ~= self.level then
    refuse("%s of %s: the skip connection has %s, but here is %s; these types of blocks don't fit together", b.name,
      b.type, size_text(skip.level), size_text(self.level))
  end
  if h.width + skip[1].width ~= width then
    refuse("%s of %s: %d and %d channels are joined, but it takes %d; these types of blocks don't fit together", b.name,
      b.type, h.width, skip[1].width, width)
  end
  return self.net:cat { h, skip[1] }
end

-- ==== changes of size ====================================================================

local function shrink_by_conv(way, b, h)
  local p = way.o.downsample_padding
  return way.net:conv(b.name .. ".downsamplers.0.conv", h,
    { out = h.width, stride = 2, pad = p == 0 and { 0, 1, 0, 1 } or p })
end

local function enlarge_by_conv(way, b, h)
  return way.net:upsample(b.name .. ".upsamplers.0", h, { out = h.width })
end

local function by_resnet(part, how)
  return function(way, b, h)
    return way:resnet(("%s.%s.0"):format(b.name, part), h,
      { out = h.width, groups = b.groups(), resample = how })
  end
end

local shrink_by_resnet, enlarge_by_resnet = by_resnet("downsamplers", "shrink"), by_resnet("upsamplers", "enlarge")

local function shrink_chosen(way, b, h)
  return (way.o.downsample_type == "resnet" and shrink_by_resnet or shrink_by_conv)(way, b, h)
end
local function enlarge_chosen(way, b, h)
  return (way.o.upsample_type == "resnet" and enlarge_by_resnet or enlarge_by_conv)(way, b, h)
end

-- ==== plain blocks =======================================================================
-- A block b is {name = its path, type, inp, prev, out = channels, last, groups = function}.

local function given_groups(way, b)
  local n = way.o.norm_num_groups
  if not n then refuse("%s of %s: it needs norm_num_groups", b.name, b.type) end
  return function() return n end
end

local function plain_down(attends, shrink)
  return function(way, b, h)
    b.groups = given_groups(way, b)
    for j = 0, way.o.layers_per_block - 1 do
      h = way:resnet(("%s.resnets.%d"):format(b.name, j), h, { out = b.out, groups = b.groups() })
      if attends then h = way:attention(("%s.attentions.%d"):format(b.name, j), h, { groups = b.groups() }) end
      way:keep(h)
    end
    if b.last then return h end
    h = shrink(way, b, h)
    way.level = way.level + 1
    return way:keep(h)
  end
end

-- The channels of the inputs of resnet j of n on the way up: those of h and of the skip connection.
local function widths_up(b, j, n) return j == 0 and b.prev or b.out, j == n and b.inp or b.out end

local function plain_up(attends, enlarge)
  return function(way, b, h)
    b.groups = given_groups(way, b)
    local n = way.o.layers_per_block
    local skips = way:last(n + 1)
    for j = 0, n do
      local own, skip = widths_up(b, j, n)
      h = way:joined(b, h, table.remove(skips), own + skip)
      h = way:resnet(("%s.resnets.%d"):format(b.name, j), h, { out = b.out, groups = b.groups() })
      if attends then h = way:attention(("%s.attentions.%d"):format(b.name, j), h, { groups = b.groups() }) end
    end
    if b.last then return h end
    way.level = way.level - 1
    return enlarge(way, b, h)
  end
end

-- ==== Skip blocks ========================================================================
-- NCSN++ (Song et al. 2021): the image itself is halved and added at each level, and summed up again on
-- the way up.

local ROOT = math.sqrt(2)

local function quarter(width) return levels.groups(false, width) end

local function skip_resample(way, b, part, h, how)
  return way:resnet(b.name .. "." .. part, h, { out = b.out, groups = quarter(b.out), rescale = ROOT, resample = how,
    shortcut = true })
end

local function check_sample(way, b)
  if way.sample_level ~= way.level then
    refuse("%s of %s: the picture that Skip blocks carry has %s, but here is %s; these types of blocks don't fit "
      .. "together", b.name, b.type, size_text(way.sample_level), size_text(way.level))
  end
end

local function skip_down(attends)
  return function(way, b, h)
    for j = 0, way.o.layers_per_block - 1 do
      h = way:resnet(("%s.resnets.%d"):format(b.name, j), h, { out = b.out, groups = quarter(h.width),
        groups_out = quarter(b.out), rescale = ROOT })
      if attends then h = way:attention(("%s.attentions.%d"):format(b.name, j), h, { groups = 32, rescale = ROOT }) end
      way:keep(h)
    end
    if b.last then return h end
    if way.o.in_channels ~= 3 then
      refuse("%s of %s: it needs in_channels = 3, got %d", b.name, b.type, way.o.in_channels)
    end
    check_sample(way, b)
    h = skip_resample(way, b, "resnet_down", h, "fir_shrink")
    way.sample = blocks.resample(way.net, "fir_shrink", way.sample)
    way.level, way.sample_level = way.level + 1, way.sample_level + 1
    return way:keep(way.net:conv(b.name .. ".skip.conv", { way.sample, h },
      { inp = 3, out = b.out, kernel = 1, pad = 0 }))
  end
end

-- The picture enlarged, plus three channels made of h.
local function add_picture(way, b, h)
  if way.sample then check_sample(way, b) end
  way.sample = way.net:norm_conv(b.name .. ".skip", { h, way.sample or false }, { inp = h.width, out = 3,
    groups = quarter(h.width), epsilon = way.o.norm_eps })
  way.sample_level = way.level
end

local function skip_up(attends)
  return function(way, b, h)
    local n = way.o.layers_per_block
    local skips = way:last(n + 1)
    for j = 0, n do
      local own, skip = widths_up(b, j, n)
      h = way:joined(b, h, table.remove(skips), own + skip)
      -- the peer's AttnSkipUpBlock2D divides one of the two widths only
      local groups = attends and math.min(own + skip // 4, 32) or quarter(h.width)
      h = way:resnet(("%s.resnets.%d"):format(b.name, j), h, { out = b.out, groups = groups,
        groups_out = quarter(b.out), rescale = ROOT })
    end
    if attends then h = way:attention(b.name .. ".attentions.0", h, { groups = 32, rescale = ROOT }) end
    if way.sample then
      way.sample, way.sample_level = blocks.resample(way.net, "fir_enlarge", way.sample), way.sample_level - 1
    end
    if b.last then return h end
    add_picture(way, b, h)
    h = skip_resample(way, b, "resnet_up", h, "fir_enlarge")
    way.level = way.level - 1
    return h
  end
end

-- ==== K blocks ===========================================================================
-- They come from k-diffusion's upscaler. The embedding scales and shifts all norms, which have groups of
-- 32 channels.

local SIZE = 32

function Way:conditioned(path, h, inner, out, groups)
  if h.width % SIZE ~= 0 then refuse("%s: K blocks need channels in groups of %d, got %d", path, SIZE, h.width) end
  check_groups(path, groups, inner)
  local all = self.o
  return blocks.conditioned(self.net, path, h, self.e, { inner = inner, out = out, groups = h.width // SIZE,
    groups_out = groups, epsilon = all.norm_eps, act = self.act, dropout = all.dropout, recompute = all.recompute })
end

function Way:self_attention(path, h, twice, usual)
  local heads, inner = self:heads(path, h.width, usual)
  local groups = math.max(1, h.width // SIZE)
  check_groups(path, groups, h.width)
  return blocks.self_attention(self.net, path, h, self.e, { heads = heads, inner = inner, groups = groups,
    twice = twice, recompute = self.o.recompute })
end

local function k_groups(b)
  if b.out % SIZE ~= 0 then refuse("%s: K blocks need channels in groups of %d, got %d", b.name, SIZE, b.out) end
  return b.out // SIZE
end

local function k_down(attends)
  return function(way, b, h)
    for j = 0, way.o.layers_per_block - 1 do
      h = way:conditioned(("%s.resnets.%d"):format(b.name, j), h, b.out, b.out, k_groups(b))
      if attends then h = way:self_attention(("%s.attentions.%d"):format(b.name, j), h, b.last) end
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
    local n = way.o.layers_per_block
    local skips = way:last(n)
    local skip = skips[#skips]
    local first = attends and b.inp == b.out and b.out == way.e.width -- the deepest, of channels as the embedding
    if not (attends and skip and not skip[1]) then h = way:joined(b, h, skip, first and b.out or 2 * b.out) end
    if h.width ~= (first and b.out or 2 * b.out) then
      refuse("%s of %s: it takes %d channels, got %d", b.name, b.type, first and b.out or 2 * b.out, h.width)
    end
    for j = 0, n - 1 do
      local out = j == n - 1 and b.inp or b.out
      -- KUpBlock2D is as narrow as its result inside, KCrossAttnUpBlock2D as wide as the block
      h = way:conditioned(("%s.resnets.%d"):format(b.name, j), h, attends and b.out or out, out, k_groups(b))
      if attends then h = way:self_attention(("%s.attentions.%d"):format(b.name, j), h, first, b.out) end
    end
    if b.last then return h end
    way.level = way.level - 1
    return blocks.resample(way.net, "k_enlarge", h)
  end
end

-- ==== the types ==========================================================================

local down = {
  DownBlock2D = plain_down(false, shrink_by_conv),
  AttnDownBlock2D = plain_down(true, shrink_chosen),
  ResnetDownsampleBlock2D = plain_down(false, shrink_by_resnet),
  SkipDownBlock2D = skip_down(false),
  AttnSkipDownBlock2D = skip_down(true),
  KDownBlock2D = k_down(false),
  KCrossAttnDownBlock2D = k_down(true),
}

local up = {
  UpBlock2D = plain_up(false, enlarge_by_conv),
  AttnUpBlock2D = plain_up(true, enlarge_chosen),
  ResnetUpsampleBlock2D = plain_up(false, enlarge_by_resnet),
  SkipUpBlock2D = skip_up(false),
  AttnSkipUpBlock2D = skip_up(true),
  KUpBlock2D = k_up(false),
  KCrossAttnUpBlock2D = k_up(true),
}

local TEXT = "it is for a network that is conditioned on a text, and UNet2DModel has none"
local NEITHER = "it belongs to an autoencoder, and UNet2DModel can't run it either"
local unfit = {
  CrossAttnDownBlock2D = TEXT, SimpleCrossAttnDownBlock2D = TEXT, CrossAttnUpBlock2D = TEXT,
  SimpleCrossAttnUpBlock2D = TEXT, DownEncoderBlock2D = NEITHER, AttnDownEncoderBlock2D = NEITHER,
  UpDecoderBlock2D = NEITHER, AttnUpDecoderBlock2D = NEITHER,
}

local function type_of(option, known, given)
  local name = given:gsub("^UNetRes", "")
  if known[name] then return known[name], name end
  if unfit[name] then refuse("%s: %s: %s", option, name, unfit[name]) end
  refuse("%s: %s", option, opts.unknown("type", name, opts.names(known)))
end

--- One block of a type, whose parts begin with a path.
---@param option string "down_block_types" or "up_block_types"
---@param given string the type
---@param b table {name = path, out = channels, last}; upward also prev, the channels of h, and inp, those of
---  the next level
---@param h diffusion.value
---@return diffusion.value
function Way:block(option, given, b, h)
  local write
  write, b.type = type_of(option, option == "down_block_types" and down or up, given)
  return write(self, b, h)
end

--- All levels downward.
function Way:down(h)
  local widths = self.o.block_out_channels
  for i, given in ipairs(self.o.down_block_types) do
    local b = { name = ("down_blocks.%d"):format(i - 1), out = widths[i], last = i == #widths }
    h = self:block("down_block_types", given, b, h)
  end
  self.sample = nil -- the picture on the way up begins with the first Skip block there
  return h
end

--- The block in the middle.
function Way:middle(h)
  local o = self.o
  local groups, factor = levels.groups(o.norm_num_groups, h.width), o.mid_block_scale_factor
  local resnet = { groups = groups, out = h.width, rescale = factor }
  h = self:resnet("mid_block.resnets.0", h, resnet)
  if o.add_attention then
    local own = o.attn_norm_num_groups or o.resnet_time_scale_shift == "default" and groups
    h = self:attention("mid_block.attentions.0", h, { groups = own, rescale = factor })
  end
  return self:resnet("mid_block.resnets.1", h, resnet)
end

--- All levels upward.
function Way:up(h)
  local widths = self.o.block_out_channels
  local n = #widths
  for i, given in ipairs(self.o.up_block_types) do
    local b = { name = ("up_blocks.%d"):format(i - 1), out = widths[n - i + 1],
      prev = widths[math.min(n, n - i + 2)], inp = widths[math.max(1, n - i)], last = i == n }
    h = self:block("up_block_types", given, b, h)
  end
  return h
end

--- The picture that is added to the result, false if there is none.
function Way:picture()
  if not self.sample then return false end
  if self.sample_level ~= 0 then
    refuse("up_block_types: the picture of the Skip blocks has %s at the end; the last block must be one of them",
      size_text(self.sample_level))
  end
  if self.o.out_channels ~= 3 then
    refuse("up_block_types: Skip blocks need out_channels = 3, got %d", self.o.out_channels)
  end
  return self.sample
end

return levels

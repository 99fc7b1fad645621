-- The ways down and up of diffusers' UNets, and their plain types of blocks, as lists. A way keeps the skip
-- connections, and the small picture that Skip blocks carry along. As in the peer, some types fit together and
-- some don't: those that don't are refused here, where shapes are known.
local blocks = require "diffusion.nn.blocks2d"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"

local levels = {}

--- A norm has the given number of groups, or a quarter of its channels, at most 32.
---@param given integer|false
---@param width integer channels
---@return integer
function levels.groups(given, width) return given or math.max(1, math.min(width // 4, 32)) end

local Way = {}
Way.__index = Way

--- A way through the levels of a network.
---@param given table {name = of the family, net =, o = options of the family, e = embedding, act =, x = image,
---  types = {down =, up =, unfit = why a type isn't one of them, by name}, level_facts = function (i, up) -> facts of
---  the block of level i from 1, the block `up` on the way up: layers, head_dim and those of further types;
---  any_size = whether images may have any; context =, mask = values or nil}
---@return table
function levels.new(given)
  local way = setmetatable(opts.joined(given), Way)
  way.activated = given.net:activation(given.e, { act = given.act })
  way.skips, way.level, way.sample, way.sample_level = {}, 0, given.x, 0
  return way
end

--- Raises a sentence that begins with the family's name.
function Way:refuse(format, ...) fail.raise(self.name .. ": " .. format, ...) end

-- ==== parts ==============================================================================

--- Raises unless the groups divide the width.
function Way:check_groups(path, groups, width)
  if width % groups ~= 0 then self:refuse("%s: %d groups don't divide %d channels", path, groups, width) end
end

--- A resnet; o has `out`, and further options of blocks.resnet. With o.raw, its embedding isn't activated.
function Way:resnet(path, h, o)
  local all = self.o
  local given = { epsilon = all.norm_eps, act = self.act, dropout = all.dropout, recompute = all.recompute,
    modulated = all.resnet_time_scale_shift == "scale_shift" }
  for key, value in pairs(o) do given[key] = value end
  self:check_groups(path, given.groups, h.width)
  self:check_groups(path, given.groups_out or given.groups, given.out)
  return blocks.resnet(self.net, path, h, o.raw and self.e or self.activated, given)
end

--- Returns the number of heads over so many channels, and their width together. `each` is the width of
--- a head; if it is nil, there is one head.
function Way:heads(path, width, each)
  local given = self.o.num_heads
  if given and width % given ~= 0 then self:refuse("%s: %d heads don't divide %d channels", path, given, width) end
  each = given and width // given or each or width
  if each > width then self:refuse("%s: attention_head_dim is %d, but there are %d channels", path, each, width) end
  return width // each, width // each * each
end

--- Attention; o has `groups` and `head_dim` and may have `rescale`.
function Way:attention(path, h, o)
  local heads, inner = self:heads(path, h.width, o.head_dim)
  if o.groups then self:check_groups(path, o.groups, h.width) end
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

--- The size of an image at a level, as text.
function levels.size_text(level)
  return level == 0 and "the image's size" or ("1/%d of the image's size"):format(1 << level)
end

-- h with a skip connection, which has its size and makes `width` channels together with it.
function Way:joined(b, h, skip, width)
  if not skip then self:refuse("%s of %s: no skip connection is left for it", b.name, b.type) end
  if not skip[1] then
    self:refuse("%s of %s: the skip connection is one that KCrossAttnDownBlock2D leaves out", b.name, b.type)
  end
  if skip.level ~= self.level then
    self:refuse("%s of %s: the skip connection has %s, but here is %s; these types of blocks don't fit together",
      b.name, b.type, levels.size_text(skip.level), levels.size_text(self.level))
  end
  if h.width + skip[1].width ~= width then
    self:refuse("%s of %s: %d and %d channels are joined, but it takes %d; these types of blocks don't fit together",
      b.name, b.type, h.width, skip[1].width, width)
  end
  return self.net:cat { h, skip[1] }
end

-- ==== changes of size ====================================================================

local function shrink_by_conv(way, b, h)
  local p = way.o.downsample_padding
  return way.net:conv(b.name .. ".downsamplers.0.conv", h,
    { out = h.width, stride = 2, pad = p == 0 and { 0, 1, 0, 1 } or p })
end

-- If images may have any size, the result is as large as the next skip connection.
local function enlarge_by_conv(way, b, h)
  local next_skip = way.any_size and way.skips[#way.skips]
  return way.net:upsample(b.name .. ".upsamplers.0", { h, next_skip and next_skip[1] or nil }, { out = h.width })
end

-- Options of the resnets that some types of blocks have a say in.
local function own_resnets(way)
  return { raw = way.o.resnet_skip_time_act, rescale = way.o.resnet_out_scale_factor }
end

local function by_resnet(part, how)
  return function(way, b, h)
    return way:resnet(("%s.%s.0"):format(b.name, part), h,
      opts.joined(b.resnet or {}, { out = h.width, groups = b.groups, resample = how }))
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
-- A block b is {name = its path, type, inp, prev, out = channels, last, groups} with the facts of
-- its level. A type of them is {change = a change of size, attend =, own = true if its resnets have options of
-- their own}. attend(way, b, path, h, j) adds the attention behind resnet j, from 0; nil for none.

local function prepare(way, b, type)
  local n = way.o.norm_num_groups
  if not n then way:refuse("%s of %s: it needs norm_num_groups", b.name, b.type) end
  b.groups = n
  b.resnet = type.own and own_resnets(way) or nil
end

-- Resnet j of a block, and its attention.
local function resnet_of(way, b, type, h, j)
  h = way:resnet(("%s.resnets.%d"):format(b.name, j), h,
    opts.joined(b.resnet or {}, { out = b.out, groups = b.groups }))
  return type.attend and type.attend(way, b, ("%s.attentions.%d"):format(b.name, j), h, j) or h
end

--- A block on the way down.
---@param type table
---@return function
function levels.plain_down(type)
  return function(way, b, h)
    prepare(way, b, type)
    for j = 0, b.layers - 1 do h = way:keep(resnet_of(way, b, type, h, j)) end
    if b.last then return h end
    h = type.change(way, b, h)
    way.level = way.level + 1
    return way:keep(h)
  end
end

--- The channels of the inputs of resnet j of n on the way up: those of h and of the skip connection.
---@param b table
---@param j integer
---@param n integer
---@return integer, integer
function levels.widths_up(b, j, n) return j == 0 and b.prev or b.out, j == n and b.inp or b.out end

--- A block on the way up.
---@param type table
---@return function
function levels.plain_up(type)
  return function(way, b, h)
    prepare(way, b, type)
    local n = b.layers
    local skips = way:last(n + 1)
    for j = 0, n do
      local own, skip = levels.widths_up(b, j, n)
      h = resnet_of(way, b, type, way:joined(b, h, table.remove(skips), own + skip), j)
    end
    if b.last then return h end
    way.level = way.level - 1
    return type.change(way, b, h)
  end
end

local function attend(way, b, path, h)
  return way:attention(path, h, { groups = b.groups, head_dim = b.head_dim })
end

-- ==== the types ==========================================================================

local function plain(attends, change, own) return { attend = attends and attend, change = change, own = own } end

levels.down_types = {
  DownBlock2D = levels.plain_down(plain(false, shrink_by_conv)),
  AttnDownBlock2D = levels.plain_down(plain(true, shrink_chosen)),
  ResnetDownsampleBlock2D = levels.plain_down(plain(false, shrink_by_resnet, true)),
}

levels.up_types = {
  UpBlock2D = levels.plain_up(plain(false, enlarge_by_conv)),
  AttnUpBlock2D = levels.plain_up(plain(true, enlarge_chosen)),
  ResnetUpsampleBlock2D = levels.plain_up(plain(false, enlarge_by_resnet, true)),
}

--- Changes of size, for further types.
levels.by_conv = { down = shrink_by_conv, up = enlarge_by_conv }
levels.by_resnet = { down = shrink_by_resnet, up = enlarge_by_resnet }

-- How a block of a type is written.
function Way:type_of(option, known, given)
  local name, unfit = given:gsub("^UNetRes", ""), self.types.unfit
  if known[name] then return known[name], name end
  if unfit[name] then self:refuse("%s: %s: %s", option, name, unfit[name]) end
  self:refuse("%s: %s", option, opts.unknown("type", name, opts.names(known)))
end

-- One block of level i. Upward, b also has prev, the channels of h, and inp, those of the next level.
function Way:block(option, given, i, b, h)
  local write
  b = opts.joined(self.level_facts(i, b.up), b)
  write, b.type = self:type_of(option, option == "down_block_types" and self.types.down or self.types.up, given)
  return write(self, b, h)
end

--- All levels downward.
---@param h diffusion.value
---@return diffusion.value
function Way:down(h)
  local widths = self.o.block_out_channels
  for i, given in ipairs(self.o.down_block_types) do
    local b = { name = ("down_blocks.%d"):format(i - 1), out = widths[i], last = i == #widths }
    h = self:block("down_block_types", given, i, b, h)
  end
  self.sample = nil -- the picture on the way up begins with the first Skip block there
  return h
end

--- All levels upward.
---@param h diffusion.value
---@return diffusion.value
function Way:up(h)
  local widths = self.o.block_out_channels
  local n = #widths
  for i, given in ipairs(self.o.up_block_types) do
    local b = { name = ("up_blocks.%d"):format(i - 1), out = widths[n - i + 1], up = i,
      prev = widths[math.min(n, n - i + 2)], inp = widths[math.max(1, n - i)], last = i == n }
    h = self:block("up_block_types", given, n - i + 1, b, h)
  end
  return h
end

return levels

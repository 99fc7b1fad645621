-- Emoji with their names: the pictures of a font, and Unicode's list. Debian's packages have both.
local core = require "diffusion.core"
local bitmap_font = require "diffusion.file.bitmap_font"
local gradient = require "diffusion.gradient"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local parser = require "diffusion.file.parser"
local set = require "diffusion.data.set"

local MOST_BYTES = 1 << 24 -- at most in the list, which has 600,000
local PRESENTATION = 0xFE0F -- asks for a picture; the font has no glyph for it
local TONES = { first = 0x1F3FB, last = 0x1F3FF } -- skin tones

-- ==== the list ==========================================================================

local function codes_of(text)
  local codes, toned = {}, false
  for hex in text:gmatch "%x+" do
    local code = tonumber(hex, 16)
    toned = toned or code >= TONES.first and code <= TONES.last
    if code ~= PRESENTATION then codes[#codes + 1] = code end
  end
  return codes, toned
end

-- The emoji without skin tones: {codes, name, group, subgroup}. Groups are in the order of the list.
local function entries_of(text)
  local list, group, subgroup = {}, "none", "none"
  for line in text:gmatch "[^\r\n]+" do
    group, subgroup = line:match "^# group: (.+)$" or group, line:match "^# subgroup: (.+)$" or subgroup
    local hex, name = line:match "^([%x ]+); fully%-qualified%s*# %S+ E[%d.]+ (.+)$"
    local codes, toned = codes_of(hex or "")
    if name and not toned then
      list[#list + 1] = { codes = codes, name = name, group = group, subgroup = subgroup }
    end
  end
  return list
end

local function read_list(path)
  local fault = parser.fault_of(path)
  local file <close> = parser.need(core.map(path))
  if file:size() > MOST_BYTES then fault("%d bytes, but at most %d expected", file:size(), MOST_BYTES) end
  local text = file:text(0, file:size())
  local length, bad = utf8.len(text)
  if not length then fault("byte %d isn't UTF-8", bad) end
  local list = entries_of(text)
  if #list == 0 then fault "no emoji, as Unicode's emoji-test.txt lists them" end
  return list
end

-- ==== pictures ==========================================================================

-- For each of n cells of `side` places: the places that it covers in part, from 1, and their shares of the cell.
local function coverage(side, n)
  local width, taps = side / n, {}
  for k = 1, math.ceil(width) + 1 do taps[k] = { at = {}, share = {} } end
  for i = 1, n do
    local from, to = (i - 1) * width, i * width
    for k, tap in ipairs(taps) do
      local place = math.floor(from) + k - 1
      tap.at[i] = math.min(place, side - 1) + 1
      tap.share[i] = math.max(0, math.min(to, place + 1) - math.max(from, place)) / width
    end
  end
  for _, tap in ipairs(taps) do
    tap.at = core.unscope(core.tensor(tap.at, { dtype = "i64" }))
    tap.share = core.unscope(core.tensor(tap.share):reshape(n, 1, 1))
  end
  return taps
end

-- Means over the cells of the first dimension.
local function averaged(x, taps)
  local sum
  for _, tap in ipairs(taps) do
    local part = x:index(1, tap.at) * tap.share
    sum = sum and sum + part or part
  end
  return sum
end

-- A picture lies in the middle of a white square, which is averaged over areas to size x size.
local function squared(x, size, kept)
  local h, w = x:size(1), x:size(2)
  local side = math.max(h, w)
  if size > side then return legible.refused("size = %d, but the font's pictures have %d pixels a side", size, side) end
  kept[side] = kept[side] or coverage(side, size)
  local whole = core.full({ side, side, 3 }, 255)
  whole:narrow(1, (side - h) // 2 + 1, h):narrow(2, (side - w) // 2 + 1, w):copy_(core.picture_channels(x, 3))
  local rows = averaged(whole, kept[side])
  return averaged(rows:permute(2, 1, 3):contiguous(), kept[side]):permute(2, 1, 3):round():to "u8"
end

-- ==== the set ===========================================================================

-- Those of a list that the font has, with the numbers of their glyphs.
local function known(list, font)
  local out = {}
  for _, one in ipairs(list) do
    one.glyph = font.glyph(one.codes)
    if one.glyph then out[#out + 1] = one end
  end
  return out
end

local function drawn(list, font, o)
  local x, kept = core.zeros({ #list, o.size, o.size, 3 }, { dtype = "u8" }), {}
  for i, one in ipairs(list) do
    gradient.scope(function()
      local picture = parser.need(font.picture(one.glyph))
      x:select(1, i):copy_(parser.need(squared(picture, o.size, kept)))
    end)
  end
  return x
end

local function made(o)
  local list, font = read_list(o.list), parser.need(bitmap_font.open(o.font))
  local closing <close> = setmetatable({}, { __close = font.close }) -- luacheck: ignore 211
  list = known(list, font)
  if #list == 0 then parser.fault_of(o.font)("it has none of the emoji of %s", o.list) end
  local x, names, number, class, captions, subgroups = drawn(list, font, o), {}, {}, {}, {}, {}
  for i, one in ipairs(list) do
    if not number[one.group] then names[#names + 1], number[one.group] = one.group, #names + 1 end
    class[i], captions[i], subgroups[i] = number[one.group], one.name, one.subgroup
  end
  return set.made({ x = x, class = class, names = names, name = "emoji", captions = captions },
    { subgroups = subgroups })
end

local PACKAGES = { font = "fonts-noto-color-emoji", list = "unicode-data" }

local rules = opts.declare("data_emoji", {
  size = { "integer", min = 1, max = 255, default = 64, text = "height and width of the pictures" },
  font = { "path", default = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    text = "a font with a PNG for each glyph" },
  list = { "path", default = "/usr/share/unicode/emoji/emoji-test.txt", text = "Unicode's list of emoji" },
})

--- Emoji with their English names: 1,870 pictures of Noto Color Emoji (Google, SIL Open Font License 1.1), without
--- skin tones. They are read from Debian's packages fonts-noto-color-emoji and unicode-data. A picture is in the
--- middle of a white square, averaged over areas. Those that the font doesn't have are left out.
---@param options diffusion.data_emoji_options?
---@return diffusion.set|nil set x u8 [n,size,size,3], captions, groups as classes, subgroups; nil with a message
---@return string|nil message
---@usage local set = assert(d.data.emoji())
--- print(set, set.captions[1], set.names[set.class[1]], set.subgroups[1])
return function(options)
  local o = opts.check("emoji", options, rules, 1)
  for _, name in ipairs { "font", "list" } do
    if core.place(o[name]) ~= "file" then
      return legible.refused("emoji: no file %s; install Debian's packages %s and %s, or name the files as the options "
        .. "font and list", o[name], PACKAGES.font, PACKAGES.list)
    end
  end
  return parser.run(made, o)
end

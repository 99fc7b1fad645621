-- A font of pictures with three glyphs, and a list of its emoji: A (U+1F34E), B (U+1F34F), and the sequence of both
-- with a joiner. Numbers of its tables can be replaced.
local forge = require "spec.support.forge"

local font = {}

-- A PNG of one colour, 4 x 2 pixels with alpha.
local function png(r, g, b, a)
  local pixel = string.char(r, g, b, a)
  return forge.png(4, 8, 6, { pixel:rep(4), pixel:rep(4) })
end

local function cmap()
  local groups = ">I4I4I4"
  local own = (">I2I2I4I4I4"):pack(12, 0, 16 + 24, 0, 2)
    .. groups:pack(0x200D, 0x200D, 4) .. groups:pack(0x1F34E, 0x1F34F, 1)
  return (">I2I2I2I2I4"):pack(0, 1, 3, 10, 12) .. own
end

-- Subtables at one place, each of which covers all glyphs with one empty set.
local function repeated(n)
  local set, coverage = (">I2"):pack(0), (">I2I2I2I2I2"):pack(2, 1, 0, 0xFFFF, 0)
  return (">I2I2I2"):pack(4, 0, n) .. (">I2"):pack(6 + 2 * n):rep(n)
    .. (">I2I2I2I2"):pack(1, 10, 1, 8) .. set .. coverage
end

-- One ligature: glyphs 1, 4, 2 become 3.
local function gsub(o)
  local ligature = (">I2I2I2I2"):pack(3, o.components or 3, 4, 2)
  local set = (">I2I2"):pack(1, 4) .. ligature
  local coverage = (">I2I2I2"):pack(o.coverage or 1, 1, 1)
  local subtable = (">I2I2I2I2"):pack(1, 8, 1, 14) .. coverage .. set
  local lookup = o.subtables and repeated(o.subtables) or (">I2I2I2I2"):pack(o.lookup or 4, 0, 1, 8) .. subtable
  return (">I2I2I2I2I2"):pack(1, 0, 0, 0, 10) .. (">I2I2"):pack(1, 4) .. lookup
end

local function pictures(o)
  local data, offsets = (">I4"):pack(0x30000), { 0 }
  for k, file in ipairs { png(255, 0, 0, 255), png(0, 0, 0, 0), png(0, 0, 255, 255) } do
    data = data .. (">BBbbBI4"):pack(o.height or 2, 4, 0, 0, 4, #file + (o.longer or 0)) .. file
    offsets[k + 1] = o.empty and 0 or #data - 4
  end
  local index = (">I2I2I4"):pack(o.index or 1, o.picture or 17, 4)
  for _, at in ipairs(offsets) do index = index .. (">I4"):pack(at) end
  local sizes = (">I4I4"):pack(0x30000, o.sizes or 1) .. (">I4I4I4I4"):pack(56, 8 + #index, o.parts or 1, 0)
    .. ("\0"):rep(32)
  return sizes .. (">I2I2I4"):pack(1, 3, 8) .. index, data
end

--- The bytes of the font.
---@param o table|nil other numbers: components, coverage, lookup, subtables, height, longer, index, picture, sizes,
---  parts; empty = no glyph has a picture; without = the tag of a table that is left out
---@return string
function font.bytes(o)
  o = o or {}
  local index, data = pictures(o)
  local tables, body, list = { { "CBDT", data }, { "CBLC", index }, { "GSUB", gsub(o) }, { "cmap", cmap() } }, "", ""
  local at = 12 + 16 * #tables
  for _, one in ipairs(tables) do
    local tag = one[1] == o.without and "none" or one[1]
    list = list .. tag .. (">I4I4I4"):pack(0, at + #body, #one[2])
    body = body .. one[2]
  end
  return "\0\1\0\0" .. (">I2I2I2I2"):pack(#tables, 0, 0, 0) .. list .. body
end

font.list = [[
# group: Fruit
# subgroup: round
1F34E ; fully-qualified # x E0.6 red apple
1F34F ; unqualified # x E0.6 no apple
1F34F ; fully-qualified # x E0.6 green apple
1F34E 1F3FB ; fully-qualified # x E0.6 red apple: light skin tone
# group: Couples
# subgroup: joined
1F34E 200D 1F34F FE0F ; fully-qualified # x E13.1 two apples
1F350 ; fully-qualified # x E1.0 an emoji that isn't in the font
]]

return font

-- Fonts of pictures have a PNG for each glyph, in the tables CBLC and CBDT of OpenType. The glyph of a sequence of code
-- points follows from cmap and the ligatures of GSUB. All numbers are big-endian, and read within their table.
local core = require "diffusion.core"
local parser = require "diffusion.file.parser"

local font = {}

local MOST = 1 << 20 -- bytes of a table of numbers; emoji fonts have up to 60,000
local MOST_PARTS = 1 << 12 -- parts of an index of pictures

-- ==== tables ============================================================================

-- A table as functions of offsets from 0.
local function reader(text, tag, fault)
  local t = { size = #text }
  local function number(format, bytes)
    return function(at)
      if at < 0 or at + bytes > #text then fault("%s: a number at byte %d, but it has %d bytes", tag, at, #text) end
      return (format:unpack(text, at + 1))
    end
  end
  t.u16, t.u32 = number(">I2", 2), number(">I4", 4)
  -- Raises unless a list of n entries of some bytes lies within the table.
  function t.list(at, n, bytes, what)
    if at + n * bytes > #text then fault("%s: %d %s at byte %d, but it has %d bytes", tag, n, what, at, #text) end
    return n
  end
  return t
end

-- The places of the font's tables by their tags.
local function directory(file, fault)
  local head = parser.need(file:text(0, math.min(file:size(), 12 + 16 * 256)))
  if #head < 12 or head:sub(1, 4) ~= "\0\1\0\0" then fault "no TrueType font" end
  local t, out = reader(head, "the list of tables", fault), {}
  for i = 0, t.list(12, t.u16(4), 16, "tables") - 1 do
    local at = 12 + 16 * i
    out[head:sub(at + 1, at + 4)] = { at = t.u32(at + 8), bytes = t.u32(at + 12) }
  end
  return out
end

local function table_of(file, places, tag, fault)
  local place = places[tag] or fault("it has no table %s, as fonts of pictures have", tag)
  if place.at + place.bytes > file:size() then
    fault("%s: %d bytes at %d, but the file has %d", tag, place.bytes, place.at, file:size())
  end
  if place.bytes > MOST then fault("%s: %d bytes, but at most %d expected", tag, place.bytes, MOST) end
  return reader(parser.need(file:text(place.at, place.bytes)), tag, fault)
end

-- ==== code points =======================================================================

-- The offset of the subtable of all of Unicode, of format 12.
local function format12(t, fault)
  for i = 0, t.list(4, t.u16(2), 8, "subtables") - 1 do
    local at = t.u32(4 + 8 * i + 4)
    if t.u16(at) == 12 then return at end
  end
  fault "cmap: no subtable of format 12"
end

-- A function from code points to glyphs. The groups are in order, so halving finds them.
local function glyphs_of(t, fault)
  local at, groups = format12(t, fault), {}
  for i = 1, t.list(at + 16, t.u32(at + 12), 12, "groups") do
    local from = at + 16 + 12 * (i - 1)
    groups[i] = { t.u32(from), t.u32(from + 4), t.u32(from + 8) }
    if groups[i][2] < groups[i][1] or i > 1 and groups[i][1] <= groups[i - 1][2] then
      fault("cmap: group %d is %d to %d, out of order", i, groups[i][1], groups[i][2])
    end
  end
  return function(code)
    local low, high = 1, #groups
    while low <= high do
      local middle = (low + high) // 2
      local first, last, glyph = table.unpack(groups[middle])
      if code < first then high = middle - 1 elseif code > last then low = middle + 1
      else return glyph + code - first end
    end
  end
end

-- ==== ligatures =========================================================================

-- Spends bytes of a table. Those that are read twice lie over one another, and could be read without end.
local function budget(bytes, fault)
  return function(n)
    bytes = bytes - n
    if bytes < 0 then fault "GSUB: its ligatures lie over one another" end
  end
end

-- The first `most` glyphs that a coverage lists, in order: as a list, or as ranges.
local function covered(t, at, most, spend, fault)
  local format, out = t.u16(at), {}
  if format ~= 1 and format ~= 2 then fault("GSUB: a coverage of format %d; 1 or 2 expected", format) end
  local bytes = format == 1 and 2 or 6
  for i = 0, t.list(at + 4, t.u16(at + 2), bytes, "entries of a coverage") - 1 do
    local entry = at + 4 + bytes * i
    spend(bytes)
    for glyph = t.u16(entry), t.u16(format == 1 and entry or entry + 2) do
      if #out == most then return out end
      out[#out + 1] = glyph
    end
  end
  return out
end

-- Adds the ligatures of a set: glyphs joined by commas to the result.
local function add_set(t, at, first, out, spend)
  spend(2)
  for i = 0, t.list(at + 2, t.u16(at), 2, "ligatures") - 1 do
    local from = at + t.u16(at + 2 + 2 * i)
    local result, n = t.u16(from), t.u16(from + 2)
    local key = { first }
    spend(4 + 2 * n)
    for k = 1, t.list(from + 4, math.max(n - 1, 0), 2, "glyphs of a ligature") do
      key[k + 1] = t.u16(from + 2 + 2 * k)
    end
    out[table.concat(key, ",")] = result
  end
end

-- The ligatures of lookup 0, which emoji fonts have for sequences.
local function ligatures_of(t, fault)
  local list, out = t.u16(8), {}
  if t.u16(list) == 0 then return out end
  local lookup = list + t.u16(list + 2)
  if t.u16(lookup) ~= 4 then fault("GSUB: lookup 0 is of type %d; 4, ligatures, expected", t.u16(lookup)) end
  local spend = budget(t.size, fault)
  for i = 0, t.list(lookup + 6, t.u16(lookup + 4), 2, "subtables") - 1 do
    local at = lookup + t.u16(lookup + 6 + 2 * i)
    local sets = t.list(at + 6, t.u16(at + 4), 2, "sets of ligatures")
    for k, first in ipairs(covered(t, at + t.u16(at + 2), sets, spend, fault)) do
      add_set(t, at + t.u16(at + 4 + 2 * k), first, out, spend)
    end
  end
  return out
end

-- ==== pictures ==========================================================================

-- The parts of the index of pictures, for the first size that the font has.
local function parts_of(t, fault)
  if t.u32(4) < 1 then fault "CBLC: it has pictures of no size" end
  local list, n, out = t.u32(8), t.u32(16), {}
  if n > MOST_PARTS then fault("CBLC: %d parts, but at most %d expected", n, MOST_PARTS) end
  for i = 0, t.list(list, n, 8, "parts") - 1 do
    local at = list + t.u32(list + 8 * i + 4)
    local one = { first = t.u16(list + 8 * i), last = t.u16(list + 8 * i + 2), offsets = at + 8, data = t.u32(at + 4) }
    if t.u16(at) ~= 1 or t.u16(at + 2) ~= 17 then
      fault("CBLC: part %d has an index of format %d and pictures of format %d; 1 and 17 expected", i + 1, t.u16(at),
        t.u16(at + 2))
    end
    t.list(one.offsets, math.max(one.last - one.first + 2, 0), 4, "offsets of pictures")
    out[i + 1] = one
  end
  return out
end

-- The place of a glyph's picture in CBDT, from its metrics on, and its bytes. nil if there is none.
local function place_of(own, glyph)
  for _, part in ipairs(own.parts) do
    if glyph >= part.first and glyph <= part.last then
      local at = part.offsets + 4 * (glyph - part.first)
      local from, to = own.index.u32(at), own.index.u32(at + 4)
      return to > from and part.data + from or nil, to - from
    end
  end
end

-- The PNG of a glyph follows five bytes of metrics and its length.
local function picture(own, glyph, fault)
  local at, bytes = place_of(own, glyph)
  if not at then fault("glyph %d has no picture", glyph) end
  local data = own.data
  if bytes < 9 or at + bytes > data.bytes then
    fault("CBDT: the picture of glyph %d has %d bytes at %d, but the table has %d", glyph, bytes, at, data.bytes)
  end
  local height, width, length = (">BBxxxI4"):unpack(parser.need(own.file:text(data.at + at, 9)))
  if length > bytes - 9 then fault("CBDT: glyph %d has a PNG of %d bytes in %d", glyph, length, bytes - 9) end
  local file <close> = parser.need(own.file:part(data.at + at + 9, length))
  local h, w, _, format = core.picture_info(file)
  if not h then fault("CBDT: glyph %d: %s", glyph, w) end
  if format ~= "png" or h ~= height or w ~= width then
    fault("CBDT: glyph %d has a picture of %d x %d pixels, not the PNG of %d x %d that its metrics tell", glyph, w, h,
      width, height)
  end
  local x, message = core.picture_read(file)
  return x or fault("CBDT: glyph %d: %s", glyph, message)
end

-- ==== the font ==========================================================================

local function opened(path)
  local fault = parser.fault_of(path)
  local file = parser.need(core.map(path))
  local places = directory(file, fault)
  local own = { file = file, index = table_of(file, places, "CBLC", fault), data = places.CBDT }
  if not own.data or own.data.at + own.data.bytes > file:size() then
    fault "its table CBDT is missing, or ends beyond the file"
  end
  own.parts = parts_of(own.index, fault)
  local glyph_of, ligatures = glyphs_of(table_of(file, places, "cmap", fault), fault),
    ligatures_of(table_of(file, places, "GSUB", fault), fault)
  -- The glyph of a sequence of code points, or nil.
  local function glyph(codes)
    local list = {}
    for i, code in ipairs(codes) do
      list[i] = glyph_of(code)
      if not list[i] then return nil end
    end
    if #list < 2 then return list[1] end
    return ligatures[table.concat(list, ",")]
  end
  return { glyph = glyph, close = function() file:close() end,
    picture = function(number) return parser.run(picture, own, number, fault) end }
end

--- Opens a font of pictures.
---@param path string
---@return table|nil font {glyph = function (list of code points) -> number or nil, picture = function (glyph) -> u8
---  tensor [H,W,C], or nil and a message, close = function ()}; nil with a message
---@return string|nil message
function font.open(path) return parser.run(opened, path) end

return font

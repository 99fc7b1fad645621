-- Classes of characters and lower case, as Hugging Face's tokenizers have them. No locale changes them.
local tables = require "diffusion.text.unicode_tables"

local unicode = {}

--- The numbers of a table, in base 36.
---@param text string
---@return integer[]
function unicode.numbers(text)
  local out = {}
  for word in text:gmatch "[^ \n]+" do out[#out + 1] = tonumber(word, 36) end
  return out
end

--- The characters of valid UTF-8 beyond ASCII, as a pattern.
unicode.BEYOND = "[\xC2-\xF4][\x80-\xBF]+"

-- ==== classes ================================================================================

local ASCII = {} -- the class of each character below 128
local firsts, lasts, classes = {}, {}, {} -- ranges of all classes, in order

local function read_ranges(text, class, ranges)
  local numbers, at = unicode.numbers(text), 0
  for i = 1, #numbers, 2 do
    local first = at + numbers[i]
    at = first + numbers[i + 1]
    ranges[#ranges + 1] = { first, at, class }
  end
end

local function read_classes()
  local ranges = {}
  read_ranges(tables.letters, "letter", ranges)
  read_ranges(tables.numbers, "number", ranges)
  read_ranges(tables.spaces, "space", ranges)
  table.sort(ranges, function(a, b) return a[1] < b[1] end)
  for i, range in ipairs(ranges) do firsts[i], lasts[i], classes[i] = table.unpack(range) end
end

-- The last range that begins at or before a character.
local function range_of(point)
  local low, high = 0, #firsts
  while low < high do
    local middle = (low + high + 1) // 2
    if firsts[middle] <= point then low = middle else high = middle - 1 end
  end
  return low
end

local function search(point)
  local at = range_of(point)
  return at > 0 and point <= lasts[at] and classes[at] or "other"
end

read_classes()
for point = 0, 127 do ASCII[point] = search(point) end

--- The class of a character: "letter", "number", "space", or "other".
---@param point integer
---@return string
function unicode.class(point) return ASCII[point] or search(point) end

-- ==== lower case and spaces ==================================================================

local small = { [utf8.char(0x130)] = "i" .. utf8.char(0x307) } -- the only one whose small form is two characters

local function read_lower()
  local numbers, at = unicode.numbers(tables.lower), 0
  for i = 1, #numbers, 4 do
    local gap, step, count, far = table.unpack(numbers, i, i + 3)
    at = at + gap
    for k = 0, count - 1 do small[utf8.char(at + k * step)] = utf8.char(at + k * step + far) end
  end
end

local blank = {} -- a space for each character of white space

local function read_spaces()
  local ranges = {}
  read_ranges(tables.spaces, "space", ranges)
  for _, range in ipairs(ranges) do
    for point = range[1], range[2] do blank[utf8.char(point)] = " " end
  end
end

read_lower()
read_spaces()

--- Each character in lower case by itself: a final sigma is like any other.
---@param text string UTF-8
---@return string
function unicode.lower(text) return (text:gsub("[A-Z]", small):gsub(unicode.BEYOND, small)) end

--- A space for each run of white space.
---@param text string UTF-8
---@return string
function unicode.spaced(text)
  return (text:gsub("[\t-\r]", blank):gsub("[\xC2\xE1-\xE3][\x80-\xBF]+", blank):gsub("  +", " "))
end

--- A text for messages: its first characters, if it is long.
---@param text string UTF-8
---@return string
function unicode.short(text)
  local after = utf8.offset(text, 61)
  return after and after <= #text and text:sub(1, after - 1) .. "..." or text
end

-- The place after characters of a set.
local function skip(text, at, set)
  while at <= #text do
    local char = text:match("^" .. utf8.charpattern, at)
    if not set[char] then break end
    at = at + #char
  end
  return at
end

-- The place at which the characters of a set before `at` begin.
local function skip_back(text, at, set)
  while at > 1 do
    local start = utf8.offset(text, -1, at)
    if not set[text:sub(start, at - 1)] then break end
    at = start
  end
  return at
end

--- The place after the white space at a place.
---@param text string UTF-8
---@param at integer
---@return integer
function unicode.after_space(text, at) return skip(text, at, blank) end

--- The place at which the white space before a place begins.
---@param text string UTF-8
---@param at integer
---@return integer
function unicode.before_space(text, at) return skip_back(text, at, blank) end

-- The second bytes that some first bytes of UTF-8 may have; all others may have any from 0x80 to 0xBF.
local SECOND = { [0xE0] = "[\xA0-\xBF]", [0xED] = "[\x80-\x9F]", [0xF0] = "[\x90-\xBF]", [0xF4] = "[\x80-\x8F]" }

-- The bytes, from one that is wrong, that begin a character without ending it; at least 1.
local function begun(bytes, at)
  local first = bytes:byte(at)
  local second = first >= 0xE0 and first <= 0xF4 and (SECOND[first] or "[\x80-\xBF]")
  if not (second and bytes:find("^" .. second, at + 1)) then return 1 end
  return first >= 0xF0 and bytes:find("^[\x80-\xBF]", at + 2) and 3 or 2
end

--- A text with U+FFFD in the place of bytes that aren't UTF-8: one for each part that begins a character.
---@param bytes string
---@return string
function unicode.repaired(bytes)
  local out, at = {}, 1
  while at <= #bytes do
    local _, bad = utf8.len(bytes, at)
    out[#out + 1] = bytes:sub(at, (bad or 0) - 1)
    if not bad then break end
    out[#out + 1] = utf8.char(0xFFFD)
    at = bad + begun(bytes, bad)
  end
  return table.concat(out)
end

local stripped = { ["\x1c"] = true, ["\x1d"] = true, ["\x1e"] = true, ["\x1f"] = true }
for char in pairs(blank) do stripped[char] = true end

--- A text without white space at its ends, as Python's str.strip has it: separators of files count, too.
---@param text string UTF-8
---@return string
function unicode.strip(text)
  local from = skip(text, 1, stripped)
  return text:sub(from, math.max(from, skip_back(text, #text + 1, stripped)) - 1)
end

return unicode

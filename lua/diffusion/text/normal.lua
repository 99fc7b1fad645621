-- Normalization form C: marks in their canonical order, composed with the letters before them. See
-- Unicode Standard Annex 15.
local tables = require "diffusion.text.unicode_tables"
local unicode = require "diffusion.text.unicode"

local normal = {}

-- Syllables of Hangul are computed: 19 leading consonants, 21 vowels, 27 trailing consonants or none.
local SYLLABLE, LEAD, VOWEL, TRAIL = 0xAC00, 0x1100, 0x1161, 0x11A7
local LEADS, VOWELS, TRAILS = 19, 21, 28

local class = {} -- the canonical class of each mark, by its number
local parts = {} -- the characters that a character decomposes to, in one step
local whole = {} -- whole[second][first]: the character that two compose to
local loose = {} -- characters that may change a text, or change in it, as UTF-8

local function read_marks()
  local numbers, at = unicode.numbers(tables.marks), 0
  for i = 1, #numbers, 3 do
    local first = at + numbers[i]
    at = first + numbers[i + 1]
    for point = first, at do class[point] = numbers[i + 2] end
  end
end

local function read_pairs()
  local numbers, at, first = unicode.numbers(tables.pairs), 0, 0
  for i = 1, #numbers, 3 do
    local second = numbers[i + 2]
    at, first = at + numbers[i], first + numbers[i + 1]
    parts[at] = { first, second }
    whole[second] = whole[second] or {}
    whole[second][first] = at
  end
end

local function read_decomposed()
  local numbers, at, i = unicode.numbers(tables.decomposed), 0, 1
  while i <= #numbers do
    local count = numbers[i + 1]
    at = at + numbers[i]
    parts[at] = table.move(numbers, i + 2, i + 1 + count, 1, {})
    loose[utf8.char(at)] = true
    i = i + 2 + count
  end
end

local function find_loose()
  for point in pairs(class) do loose[utf8.char(point)] = true end
  for second in pairs(whole) do loose[utf8.char(second)] = true end
  for point = VOWEL, VOWEL + VOWELS - 1 do loose[utf8.char(point)] = true end
  for point = TRAIL + 1, TRAIL + TRAILS - 1 do loose[utf8.char(point)] = true end
end

-- The tables are read when a text first needs them.
local function read()
  read_marks()
  read_pairs()
  read_decomposed()
  find_loose()
end

-- ==== decomposition ==========================================================================

local function decompose_syllable(i, out)
  out[#out + 1] = LEAD + i // (VOWELS * TRAILS)
  out[#out + 1] = VOWEL + i % (VOWELS * TRAILS) // TRAILS
  if i % TRAILS > 0 then out[#out + 1] = TRAIL + i % TRAILS end
end

local function decompose(point, out)
  local i = point - SYLLABLE
  if i >= 0 and i < LEADS * VOWELS * TRAILS then return decompose_syllable(i, out) end
  if not parts[point] then
    out[#out + 1] = point
    return
  end
  for _, part in ipairs(parts[point]) do decompose(part, out) end
end

-- Sorts list[from..to] by class. Marks of one class keep their order.
local function sort_marks(list, from, to)
  local keys = {}
  for i = from, to do keys[#keys + 1] = class[list[i]] << 52 | i << 21 | list[i] end
  table.sort(keys)
  for i, key in ipairs(keys) do list[from + i - 1] = key & 0x1FFFFF end
end

local function order(list)
  local from
  for i = 1, #list + 1 do
    local mark = class[list[i]]
    if mark and not from then from = i end
    if from and not mark then
      if i - from > 1 then sort_marks(list, from, i - 1) end
      from = nil
    end
  end
end

-- ==== composition ============================================================================

local function compose_syllable(first, second)
  local vowel, trail = second - VOWEL, second - TRAIL
  if first >= LEAD and first < LEAD + LEADS and vowel >= 0 and vowel < VOWELS then
    return SYLLABLE + ((first - LEAD) * VOWELS + vowel) * TRAILS
  end
  local i = first - SYLLABLE
  local open = i >= 0 and i < LEADS * VOWELS * TRAILS and i % TRAILS == 0
  if open and trail > 0 and trail < TRAILS then return first + trail end
end

local function compose(first, second)
  local firsts = whole[second]
  return firsts and firsts[first] or compose_syllable(first, second)
end

-- Composes each character with the last one of class 0, unless one between them blocks it.
local function composed(list)
  local out, base, last = {}, nil, -1
  for _, point in ipairs(list) do
    local own = class[point] or 0
    local one = base and last < own and compose(out[base], point)
    if one then
      out[base] = one
    else
      out[#out + 1] = point
      if own == 0 then base, last = #out, -1 else last = own end
    end
  end
  return out
end

-- ==== text ===================================================================================

-- Whether a text may change. Characters below U+0300 never do.
local function is_loose(text)
  if not text:find "[\xCC-\xF4]" then return false end
  if not next(loose) then read() end
  for char in text:gmatch "[\xCC-\xF4][\x80-\xBF]+" do
    if loose[char] then return true end
  end
  return false
end

--- A text in normalization form C.
---@param text string UTF-8
---@return string
function normal.c(text)
  if not is_loose(text) then return text end
  local list = {}
  for _, point in utf8.codes(text) do decompose(point, list) end
  order(list)
  local out = composed(list)
  for i, point in ipairs(out) do out[i] = utf8.char(point) end
  return table.concat(out)
end

return normal

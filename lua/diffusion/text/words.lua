-- Words of a text, as CLIP's regular expression cuts it: a contraction's end, a run of letters, one number,
-- or a run of other characters. White space lies between words.
--   <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
local unicode = require "diffusion.text.unicode"

local words = {}

local ENDINGS = { "^'[stmd]()", "^'re()", "^'ve()", "^'ll()" }

-- A special token that is no added one is a word of that expression. GPT-2's, which follows it, cuts it in three.
local SPECIAL = { { "<|", "startoftext", "|>" }, { "<|", "endoftext", "|>" } }

-- A run in ASCII. Classes of Lua's patterns would depend on the locale.
local RUN = { letter = "^[A-Za-z]+()", other = "^[%z\1-\8\14-\31!-/:-@%[-`{-\127]+()" }

local function point_at(text, at)
  local point = utf8.codepoint(text, at)
  return point, at + (point < 0x80 and 1 or point < 0x800 and 2 or point < 0x10000 and 3 or 4)
end

-- The place after a run of characters of one class.
local function run_end(text, at, class)
  while at <= #text do
    local stop = text:match(RUN[class], at)
    if not stop then
      local point, after = point_at(text, at)
      if unicode.class(point) ~= class then break end
      stop = after
    end
    at = stop
  end
  return at
end

local function ending(text, at)
  for _, pattern in ipairs(ENDINGS) do
    local stop = text:match(pattern, at)
    if stop then return stop end
  end
end

-- Adds the three words of a special token, and returns the place after it.
local function special(text, at, out)
  for _, three in ipairs(SPECIAL) do
    local whole = table.concat(three)
    if text:sub(at, at + #whole - 1) == whole then
      table.move(three, 1, 3, #out + 1, out)
      return at + #whole
    end
  end
end

-- The place after the word that begins here, and whether it is a word, not a space.
local function word_end(text, at)
  local stop = text:byte(at) == 39 and ending(text, at)
  if stop then return stop, true end
  local point, after = point_at(text, at)
  local class = unicode.class(point)
  if class == "space" then return after, false end
  if class == "number" then return after, true end
  return run_end(text, at, class), true
end

--- The words of a text.
---@param text string UTF-8, normalized and in lower case
---@return string[]
function words.of(text)
  local out, at = {}, 1
  while at <= #text do
    local stop = text:byte(at) == 60 and special(text, at, out)
    if not stop then
      local is_word
      stop, is_word = word_end(text, at)
      if is_word then out[#out + 1] = text:sub(at, stop - 1) end
    end
    at = stop
  end
  return out
end

return words

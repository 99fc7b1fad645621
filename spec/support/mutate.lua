-- Damages bytes in ways that find faults of parsers: bits, bytes, numbers, pieces cut out,
-- repeated or moved, and words of the format. Every result follows from the seed.
local mutate = {}

-- Numbers at which sizes overflow, in decimal.
local NUMBERS = { "0", "1", "-1", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295",
  "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615",
  "18446744073709551616", "1e9", "1.5", "00", "999999999999999999999999" }

local function splice(text, from, to, with) return text:sub(1, from - 1) .. with .. text:sub(to + 1) end

-- Each kind takes the text, random(m, n) and the words of the format.
local kinds = {
  function(text, random) -- a bit
    local at = random(1, #text)
    return splice(text, at, at, string.char(text:byte(at) ~ 1 << random(0, 7)))
  end,
  function(text, random) -- a byte, often one at an end
    local at, ends = random(1, #text), { 0, 1, 127, 128, 255, 34, 92, 123, 125 }
    return splice(text, at, at, string.char(random(1, 2) == 1 and random(0, 255) or ends[random(1, #ends)]))
  end,
  function(text, random) -- cut short
    return text:sub(1, random(0, #text - 1))
  end,
  function(text, random) -- a piece cut out
    local from = random(1, #text)
    return splice(text, from, math.min(#text, from + random(0, 16)), "")
  end,
  function(text, random) -- a piece twice
    local from = random(1, #text)
    local piece = text:sub(from, from + random(0, 64))
    return splice(text, from, from - 1, piece:rep(random(1, 3)))
  end,
  function(text, random) -- a piece elsewhere
    local from = random(1, #text)
    local piece, at = text:sub(from, from + random(0, 32)), random(1, #text)
    return splice(text, at, at + #piece - 1, piece)
  end,
  function(text, random) -- a number in digits
    local from, to = text:find("%d+", random(1, #text))
    return from and splice(text, from, to, NUMBERS[random(1, #NUMBERS)]) or text
  end,
  function(text, random) -- a number in bytes
    local width, values = 1 << random(1, 3), { 0, 1, -1, math.mininteger, math.maxinteger, random(0, 1 << 20) }
    local at, value = random(1, math.max(1, #text - width + 1)), values[random(1, #values)]
    local bytes = ("<i8"):pack(value):sub(1, width)
    return splice(text, at, at + width - 1, random(1, 2) == 1 and bytes or bytes:reverse())
  end,
  function(text, random, words) -- a word of the format
    local at, word = random(1, #text), words[random(1, #words)]
    return splice(text, at, at + (random(1, 2) == 1 and -1 or #word - 1), word)
  end,
  function(text, random, words) -- a word in the place of another
    local word = words[random(1, #words)]
    local from = text:find(word, random(1, #text), true)
    return from and splice(text, from, from + #word - 1, words[random(1, #words)]) or text
  end,
}

--- A sequence of random numbers in m..n, the same on every machine.
---@param seed integer
---@return fun(m: integer, n: integer): integer
function mutate.random(seed)
  local state = seed * 0xD1342543DE82EF95 + 1
  return function(m, n)
    state = state + 0x9E3779B97F4A7C15
    local z = (state ~ state >> 30) * 0xBF58476D1CE4E5B9
    z = (z ~ z >> 27) * 0x94D049BB133111EB
    return m + ((z ~ z >> 31) & math.maxinteger) % (n - m + 1)
  end
end

--- The text with one to four changes.
---@param text string
---@param random fun(m: integer, n: integer): integer
---@param words string[] words of the format
---@return string
function mutate.text(text, random, words)
  for _ = 1, math.max(1, random(-3, 4)) do
    if #text == 0 then text = words[random(1, #words)] end
    text = kinds[random(1, #kinds)](text, random, words)
  end
  return text
end

return mutate

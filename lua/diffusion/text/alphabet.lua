-- GPT-2's alphabet: each byte as a printable character, so a vocabulary can be a text. Printable bytes of
-- Latin-1 stand for themselves. The others follow from U+0100 on.
local alphabet = {}

local function is_printable(byte)
  return byte >= 0x21 and byte <= 0x7E or byte >= 0xA1 and byte <= 0xAC or byte >= 0xAE
end

alphabet.char = {} ---the character of each byte
alphabet.bytes = {} ---the bytes by GPT-2's order, in which vocabularies begin
local byte_of = {}

local function add(byte, point)
  alphabet.char[byte] = utf8.char(point)
  alphabet.bytes[#alphabet.bytes + 1] = byte
  byte_of[utf8.char(point)] = string.char(byte)
end

for byte = 0, 255 do
  if is_printable(byte) then add(byte, byte) end
end
for byte = 0, 255 do
  if not alphabet.char[byte] then add(byte, #alphabet.bytes + 68) end
end

--- The bytes that a token stands for. One with other characters stands for itself.
---@param token string UTF-8
---@return string
function alphabet.read(token)
  local out = {}
  for char in token:gmatch(utf8.charpattern) do
    if not byte_of[char] then return token end
    out[#out + 1] = byte_of[char]
  end
  return table.concat(out)
end

return alphabet

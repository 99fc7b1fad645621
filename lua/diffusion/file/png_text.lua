-- Texts in PNGs. A chunk tEXt has a keyword of 1 to 79 bytes, a zero byte, and the text.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"

local png_text = {}

--- The texts of a PNG by their keys.
---@param file diffusion.file
---@return table<string, string>|nil text nil with a message if the chunks are damaged
---@return string|nil message
function png_text.read(file)
  local text, chunks, message = {}, core.png_chunks(file)
  if not chunks then return nil, message end
  for _, chunk in ipairs(chunks) do
    if chunk[1] == "tEXt" then
      local key, value = file:text(chunk[2], chunk[3]):match "^([^\0]+)\0(.*)$"
      if key then text[key] = value end
    end
  end
  return text
end

local function sorted(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

-- A text is returned as it is, and a number with the digits that restore it.
local function value_text(value)
  if math.type(value) == "float" and value - value == 0 then return json.encode(value) end
  return (tostring(value):gsub("^%-nan", "nan"))
end

local HEAD = 33 -- bytes of a PNG up to the end of its first chunk

--- The parts of a PNG with texts after its first chunk. It raises if a text can't be stored.
---@param png string the bytes of a PNG
---@param text table<string, string|number>
---@return string[] parts to write in order
function png_text.parts(png, text)
  local parts = { png:sub(1, HEAD) }
  for i, key in ipairs(sorted(text)) do
    local value = text[key]
    if type(key) ~= "string" or #key < 1 or #key > 79 or key:find "\0" then
      fail.raise("save: a text's name is a string of 1 to 79 bytes without a 0, got %s", kind.shown(key))
    end
    if type(value) ~= "string" and type(value) ~= "number" then
      fail.raise("save: a string expected as the text %s, got %s", key, kind.shown(value))
    end
    value = value_text(value)
    local at = value:find("\0", 1, true)
    if at then fail.raise("save: byte %d of the text %s is 0, which PNG's text can't hold", at, key) end
    parts[i + 1] = core.png_chunk("tEXt", key .. "\0" .. value)
  end
  parts[#parts + 1] = png:sub(HEAD + 1)
  return parts
end

return png_text

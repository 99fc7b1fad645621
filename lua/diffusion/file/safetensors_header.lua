-- The header of a safetensors file, written as the format's own library writes it.
-- Layout: u64 length | JSON {"name": {dtype, shape, data_offsets}, ...} | data.
-- The reader is strict: every name occurs once, integers are exact, and nothing follows the last brace.
-- The tensors must fill the data without a hole or an overlap.
local core = require "diffusion.core"
local parser = require "diffusion.file.parser"

local header = {}

local MOST = 100000000 -- bytes of a header, the format's own limit
local RANK = 16

-- Bits of an element of each of the format's types.
local BITS = {
  BOOL = 8, U8 = 8, I8 = 8, F8_E5M2 = 8, F8_E4M3 = 8, F8_E8M0 = 8, F8_E4M3FNUZ = 8, F8_E5M2FNUZ = 8,
  I16 = 16, U16 = 16, F16 = 16, BF16 = 16, I32 = 32, U32 = 32, F32 = 32, C64 = 64, F64 = 64, I64 = 64, U64 = 64,
  F4 = 4, F6_E2M3 = 6, F6_E3M2 = 6,
}

local fault = parser.fault "safetensors"

local function commas(n)
  local text = ("%d"):format(n):reverse():gsub("%d%d%d", "%0,"):reverse()
  return (text:gsub("^,", ""))
end

-- ==== reading: a cursor {text, at} and one function for each part of the grammar ===========

local ESCAPE = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function skip(c)
  c.at = c.text:match("^[ \t\r\n]*()", c.at)
end

-- Skips spaces, then takes the sign if it comes next.
local function take(c, sign)
  skip(c)
  local here = c.text:sub(c.at, c.at) == sign
  if here then c.at = c.at + 1 end
  return here
end

local function expect(c, sign)
  if not take(c, sign) then
    local found = c.text:sub(c.at, c.at)
    fault("byte %d of the header: %q expected, %s found", c.at, sign,
      found == "" and "its end" or ("%q"):format(found))
  end
end

-- \uXXXX, a pair of them beyond U+FFFF.
local function unicode(c)
  local code = tonumber(c.text:match("^%x%x%x%x", c.at) or "", 16)
  if not code then fault("byte %d of the header: four hexadecimal digits expected", c.at) end
  c.at = c.at + 4
  if code >= 0xD800 and code < 0xDC00 then
    local low = tonumber(c.text:match("^\\u(%x%x%x%x)", c.at) or "", 16)
    if not low or low < 0xDC00 or low > 0xDFFF then
      fault("byte %d of the header: half a surrogate pair", c.at)
    end
    c.at = c.at + 6
    code = 0x10000 + (code - 0xD800) * 1024 + (low - 0xDC00)
  elseif code >= 0xDC00 and code < 0xE000 then
    fault("byte %d of the header: half a surrogate pair", c.at)
  end
  return utf8.char(code)
end

local function read_string(c)
  expect(c, '"')
  local parts = {}
  while true do
    local whole, stop = c.text:match('^([^"\\%c]*)()', c.at)
    parts[#parts + 1] = whole
    local sign = c.text:sub(stop, stop)
    c.at = stop + 1
    if sign == '"' then return table.concat(parts) end
    if sign == "\127" then parts[#parts + 1] = sign -- %c matches it, but JSON allows it
    elseif sign ~= "\\" then fault("byte %d of the header: a string without an end", stop)
    else
      local name = c.text:sub(c.at, c.at)
      c.at = c.at + 1
      if name == "u" then parts[#parts + 1] = unicode(c)
      else
        parts[#parts + 1] = ESCAPE[name] or fault("byte %d of the header: \\%s is no escape", stop, name)
      end
    end
  end
end

local function read_integer(c)
  skip(c)
  local digits, stop = c.text:match("^(%d+)()", c.at)
  if not digits or (#digits > 1 and digits:sub(1, 1) == "0") or c.text:find("^[.eE]", stop) then
    fault("byte %d of the header: a whole number >= 0 expected", c.at)
  end
  local n = math.tointeger(tonumber(digits))
  if not n or ("%d"):format(n) ~= digits then fault("%.40s overflows 63 bits", digits) end
  c.at = stop
  return n
end

-- Calls `item` for each member of a bracketed, comma-separated list.
local function read_items(c, open, close, item)
  expect(c, open)
  if take(c, close) then return end
  repeat item() until not take(c, ",")
  expect(c, close)
end

local function read_integers(c, most, what)
  local list = {}
  read_items(c, "[", "]", function()
    list[#list + 1] = read_integer(c)
    if #list > most then fault("%s has more than %d numbers", what, most) end
  end)
  return list
end

-- Calls item(key) for each member of an object. A repeated key is a fault.
local function read_object(c, what, item)
  local seen = {}
  read_items(c, "{", "}", function()
    local key = read_string(c)
    if seen[key] then fault("%s names %q twice", what, key) end
    seen[key] = true
    expect(c, ":")
    item(key)
  end)
end

local function read_tensor(c, name)
  local t = { name = name }
  read_object(c, ("tensor %q"):format(name), function(key)
    if key == "dtype" then t.dtype = read_string(c)
    elseif key == "shape" then t.shape = read_integers(c, RANK, "shape")
    elseif key == "data_offsets" then t.offsets = read_integers(c, 2, "data_offsets")
    else fault("tensor %q has a member %q", name, key) end
  end)
  if not (t.dtype and t.shape and t.offsets and #t.offsets == 2) then
    fault("tensor %q lacks its dtype, its shape or its two data_offsets", name)
  end
  return t
end

local function read_metadata(c)
  local metadata = {}
  read_object(c, "__metadata__", function(key) metadata[key] = read_string(c) end)
  return metadata
end

local function read_header(text)
  if not utf8.len(text) then fault("the header isn't UTF-8") end
  local c, tensors, metadata = { text = text, at = 1 }, {}, {}
  read_object(c, "the header", function(key)
    if key == "__metadata__" then metadata = read_metadata(c)
    else tensors[#tensors + 1] = read_tensor(c, key) end
  end)
  skip(c)
  if c.at <= #text then fault("%d bytes follow the header's last brace", #text - c.at + 1) end
  return tensors, metadata
end

-- ==== checks of sizes and places ===========================================================

local function bytes_of(t)
  local n = BITS[t.dtype]
  if not n then fault("tensor %q is of type %q, which the format doesn't have", t.name, t.dtype) end
  for _, size in ipairs(t.shape) do
    if size > 0 and n > math.maxinteger // size then
      fault("tensor %q of shape [%s] overflows", t.name, table.concat(t.shape, ","))
    end
    n = n * size
  end
  if n % 8 ~= 0 then fault("tensor %q, %s [%s], ends within a byte", t.name, t.dtype, table.concat(t.shape, ",")) end
  return n // 8
end

local function check_layout(tensors, room)
  table.sort(tensors, function(a, b)
    if a.offsets[1] ~= b.offsets[1] then return a.offsets[1] < b.offsets[1] end
    if a.offsets[2] ~= b.offsets[2] then return a.offsets[2] < b.offsets[2] end
    return a.name < b.name
  end)
  local stop = 0
  for _, t in ipairs(tensors) do
    local from, to = t.offsets[1], t.offsets[2]
    if from ~= stop or to < from then
      fault("tensor %q lies at bytes %s to %s of the data, after %s: a hole or an overlap", t.name,
        commas(from), commas(to), commas(stop))
    end
    if to - from ~= bytes_of(t) then
      fault("tensor %q, %s [%s], takes %s bytes, its data_offsets say %s", t.name, t.dtype,
        table.concat(t.shape, ","), commas(bytes_of(t)), commas(to - from))
    end
    stop = to
  end
  if stop ~= room then
    fault("the tensors take %s bytes, the file holds %s for them", commas(stop), commas(room))
  end
end

local function read(file)
  local size = file:size()
  if size < 8 then fault("file holds %d bytes, not even a header's length", size) end
  local length = ("<i8"):unpack(file:text(0, 8))
  if length < 0 or length > MOST then
    fault("its first 8 bytes announce a header of %s bytes, but a safetensors file has at most %s",
      length < 0 and "2^63 or more" or commas(length), commas(MOST))
  end
  if length > size - 8 then fault("header says %s bytes, file holds %s", commas(length), commas(size)) end
  local tensors, metadata = read_header(file:text(8, length))
  check_layout(tensors, size - 8 - length)
  for _, t in ipairs(tensors) do t.offset = 8 + length + t.offsets[1] end
  return tensors, metadata
end

--- Reads and checks a header.
---@param file table with `size()` and `text(offset, bytes)`: a mapped file (core.map)
---@return table|nil tensors by offset: { name, dtype, shape, offset (from the file's start) }
---@return table|string metadata strings by name; or the message
function header.read(file) return parser.run(read, file) end

-- ==== writing ==============================================================================

-- Wider types come first, so every tensor is aligned. Types of one width stand in the
-- format's own order.
local ORDER = {}
for place, name in ipairs{ "U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "I8",
  "U8", "BOOL" } do
  ORDER[name] = place
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(sign)
    for letter, of in pairs(ESCAPE) do if of == sign and letter ~= "/" then return "\\" .. letter end end
    if sign == "\127" then return sign end
    return ("\\u%04x"):format(sign:byte())
  end) .. '"'
end

local function metadata_text(metadata)
  local keys, parts = {}, {}
  for key in pairs(metadata) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = quote(key) .. ":" .. quote(metadata[key]) end
  return '"__metadata__":{' .. table.concat(parts, ",") .. "}"
end

local function written(tensors, metadata)
  table.sort(tensors, function(a, b)
    if a.dtype ~= b.dtype then return ORDER[a.dtype] < ORDER[b.dtype] end
    return a.name < b.name
  end)
  local parts, from = {}, 0
  if metadata and next(metadata) then parts[1] = metadata_text(metadata) end
  for _, t in ipairs(tensors) do
    local to = from + bytes_of(t)
    parts[#parts + 1] = ('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(quote(t.name),
      t.dtype, table.concat(t.shape, ","), from, to)
    from = to
  end
  local text = "{" .. table.concat(parts, ",") .. "}"
  text = text .. (" "):rep(-#text % 8)
  return ("<I8"):pack(#text) .. text
end

--- Sorts tensors by type, wider first, then by name, and writes the header for that order.
--- It is padded with spaces to a multiple of 8 bytes.
---@param tensors table list of { name, dtype, shape }, sorted in place
---@param metadata table|nil strings by name
---@return string bytes the length and the header: the file up to the data
function header.write(tensors, metadata) return core.in_c_locale(written, tensors, metadata) end

return header

-- The header of a safetensors file, written as the format's own library writes it.
-- Layout: u64 length | JSON {"name": {dtype, shape, data_offsets}, ...} | data.
-- The reader is strict: every name occurs once, integers are exact, and nothing follows the last brace.
-- The tensors must fill the data without a hole or an overlap. The first fault in the format's own order
-- of checks is reported.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local parser = require "diffusion.file.parser"
local u64 = require "diffusion.file.u64"

local header = {}

local MOST = 100000000 -- bytes of a header, the format's own limit
local RANK = 16

-- The format's types in the order in which its library writes them, with the bits of an element.
-- Wider types come first, so every tensor is aligned.
local TYPES = {
  { "U64", 64 }, { "I64", 64 }, { "F64", 64 }, { "C64", 64 }, { "F32", 32 }, { "U32", 32 }, { "I32", 32 },
  { "BF16", 16 }, { "F16", 16 }, { "U16", 16 }, { "I16", 16 }, { "F8_E5M2FNUZ", 8 }, { "F8_E4M3FNUZ", 8 },
  { "F8_E8M0", 8 }, { "F8_E4M3", 8 }, { "F8_E5M2", 8 }, { "I8", 8 }, { "U8", 8 }, { "F6_E3M2", 6 },
  { "F6_E2M3", 6 }, { "F4", 4 }, { "BOOL", 8 },
}
local BITS, ORDER = {}, {}
for place, one in ipairs(TYPES) do
  BITS[one[1]], ORDER[one[1]] = one[2], place
end

local fault = parser.fault "safetensors"
local commas = u64.commas

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
  local n = u64.read(digits)
  if not n then fault("byte %d of the header: %.40s exceeds 64 bits", c.at, digits) end
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

local function once(seen, key, what)
  if seen[key] then fault("%s names %q twice", what, key) end
  seen[key] = true
end

-- Calls item(key) for each member of an object. A repeated key is a fault.
local function read_object(c, what, item)
  local seen = {}
  read_items(c, "{", "}", function()
    local key = read_string(c)
    once(seen, key, what)
    expect(c, ":")
    item(key)
  end)
end

local function known(dtype, name)
  return BITS[dtype] and dtype
    or fault("tensor %q is of type %q, which the format doesn't have", name, dtype)
end

local function read_tensor(c, name)
  local t = { name = name }
  read_object(c, ("tensor %q"):format(name), function(key)
    if key == "dtype" then t.dtype = known(read_string(c), name)
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

local function split_shape(text)
  local shape = {}
  if text == "" then return shape end
  for digits in (text .. ","):gmatch "([^,]*)," do
    local size = u64.read(digits)
    if not size or #shape == RANK then return nil end
    shape[#shape + 1] = size
  end
  return shape
end

local PLAIN = '^"([^"\\%c]*)":{"dtype":"([%w_]+)","shape":%[([%d,]*)%],"data_offsets":%[(%d+),(%d+)%]}()'

-- The tensor here, in one step, if it is written as libraries write it. nil sends any other form, and
-- any fault, to the functions above. It makes headers of thousands of names ten times faster to read.
local function plain_tensor(c)
  local name, dtype, sizes, from, to, stop = c.text:match(PLAIN, c.at)
  if not name or not BITS[dtype] or name == "__metadata__" then return nil end
  local shape, first, last = split_shape(sizes), u64.read(from), u64.read(to)
  if not (shape and first and last) then return nil end
  c.at = stop
  return { name = name, dtype = dtype, shape = shape, offsets = { first, last } }
end

local function read_header(text)
  local length, bad = utf8.len(text)
  if not length then fault("byte %d of the header isn't UTF-8", bad) end
  local c, seen, tensors, metadata = { text = text, at = 1 }, {}, {}, {}
  read_items(c, "{", "}", function()
    skip(c)
    local t = plain_tensor(c)
    local name = t and t.name or read_string(c)
    once(seen, name, "the header")
    if not t then expect(c, ":") end
    if name == "__metadata__" then metadata = read_metadata(c)
    else tensors[#tensors + 1] = t or read_tensor(c, name) end
  end)
  skip(c)
  if c.at <= #text then fault("%d bytes follow the header's last brace", #text - c.at + 1) end
  return tensors, metadata
end

-- ==== checks of sizes and places ===========================================================

local function sizes_text(shape)
  local out = {}
  for i, size in ipairs(shape) do out[i] = u64.text(size) end
  return "[" .. table.concat(out, ",") .. "]"
end

local function bytes_of(t)
  local n = 1
  for _, size in ipairs(t.shape) do n = n and u64.product(n, size) end
  n = n and u64.product(n, BITS[t.dtype])
  if not n then fault("tensor %q, %s %s, overflows 64 bits", t.name, t.dtype, sizes_text(t.shape)) end
  if n % 8 ~= 0 then fault("tensor %q, %s %s, ends within a byte", t.name, t.dtype, sizes_text(t.shape)) end
  return n >> 3
end

local function before(a, b)
  local x, y = a.offsets, b.offsets
  if x[1] ~= y[1] then return math.ult(x[1], y[1]) end
  if x[2] ~= y[2] then return math.ult(x[2], y[2]) end
  return a.name < b.name
end

-- Most files list their tensors in order.
local function sort(tensors)
  for i = 2, #tensors do
    if not before(tensors[i - 1], tensors[i]) then return table.sort(tensors, before) end
  end
end

local function check_place(t, stop)
  local from, to = t.offsets[1], t.offsets[2]
  if from ~= stop or math.ult(to, from) then
    fault("tensor %q lies at bytes %s to %s of the data, after %s: a hole or an overlap", t.name,
      commas(from), commas(to), commas(stop))
  end
  local bytes = bytes_of(t)
  if to - from ~= bytes then
    fault("tensor %q, %s %s, takes %s bytes, its data_offsets say %s", t.name, t.dtype,
      sizes_text(t.shape), commas(bytes), commas(to - from))
  end
  return to
end

local function check_layout(tensors, room)
  local stop = 0
  sort(tensors)
  for _, t in ipairs(tensors) do stop = check_place(t, stop) end
  if stop ~= room then
    fault("the tensors take %s bytes, the file holds %s for them%s", commas(stop), commas(room),
      math.ult(room, stop) and "; it is cut short, as by an unfinished download" or "")
  end
end

local function read(file)
  local size = file:size()
  if size < 8 then fault("file holds %d bytes, not even a header's length", size) end
  local length = ("<i8"):unpack(file:text(0, 8))
  if math.ult(MOST, length) then
    fault("its first 8 bytes announce a header of %s bytes, but a safetensors file has at most %s",
      commas(length), commas(MOST))
  end
  if length > size - 8 then fault("header says %s bytes, file holds %s", commas(length), commas(size)) end
  local tensors, metadata = read_header(file:text(8, length))
  check_layout(tensors, size - 8 - length)
  for _, t in ipairs(tensors) do
    t.offset, t.bytes, t.offsets = 8 + length + t.offsets[1], t.offsets[2] - t.offsets[1], nil
  end
  return tensors, metadata
end

--- Reads and checks a header.
---@param file table with `size()` and `text(offset, bytes)`: a mapped file (core.map)
---@return table|nil tensors by offset: { name, dtype, shape, offset (from the file's start), bytes };
---  sizes of 2^63 and more, which tensors without elements may have, are negative
---@return table|string metadata strings by name; or the message
function header.read(file) return parser.run(read, file) end

-- ==== writing ==============================================================================

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(sign)
    for letter, of in pairs(ESCAPE) do if of == sign and letter ~= "/" then return "\\" .. letter end end
    if sign == "\127" then return sign end
    return ("\\u%04x"):format(sign:byte())
  end) .. '"'
end

local function metadata_text(metadata)
  local parts = {}
  for i, key in ipairs(opts.names(metadata)) do parts[i] = quote(key) .. ":" .. quote(metadata[key]) end
  return '"__metadata__":{' .. table.concat(parts, ",") .. "}"
end

local function written(tensors, metadata)
  table.sort(tensors, function(a, b)
    if a.dtype ~= b.dtype then return ORDER[a.dtype] < ORDER[b.dtype] end
    return a.name < b.name
  end)
  local parts, from = {}, 0
  if metadata then parts[1] = metadata_text(metadata) end
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

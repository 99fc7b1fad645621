-- NumPy's files: .npy, one array, and .npz, a zip of them, in versions 1 to 3 of the format.
-- Arrays in Fortran's order are returned as permuted windows. A header is checked against the
-- file's length before anything is allocated.
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local types = require "diffusion.file.npy_type"
local parser = require "diffusion.file.parser"
local literal = require "diffusion.file.python_literal"
local zip = require "diffusion.file.zip"
local legible = require "diffusion.legible"
local signature = require "diffusion.file.signature"

local npy = {}

local LONGEST = 1 << 20 -- bytes in a header

local fault, need = parser.fault "npy", parser.need

-- ==== the header ============================================================================

-- A source gives an array's bytes: {name, bytes = their number, text(n) = the first n, file() = all
-- as a mapped file, verify() = true if their checksum is right}.

-- The place of the header's text, after "\x93NUMPY" major minor length.
local function header_place(source)
  if source.bytes < 10 then fault("file holds %d bytes, not even a header", source.bytes) end
  local front = source.text(math.min(12, source.bytes))
  local major = front:byte(7)
  if front:sub(1, 6) ~= "\x93NUMPY" then fault("doesn't begin with \\x93NUMPY") end
  if major < 1 or major > 3 then fault("version %d of the format; 1 to 3 are read", major) end
  local wide = major > 1
  if wide and #front < 12 then fault("file holds %d bytes, not even a header", source.bytes) end
  local from, length = wide and 12 or 10, (wide and "<I4" or "<I2"):unpack(front, 9)
  if length > source.bytes - from then fault("header says %d bytes, file holds %d", length, source.bytes) end
  if length > LONGEST then fault("header says %d bytes, more than the %d that are read", length, LONGEST) end
  return from, length
end

local function read_shape(list)
  for _, size in ipairs(list) do
    if math.type(size) ~= "integer" or size < 0 then fault("shape has a size that is no whole number of 0 or more") end
  end
  return table.move(list, 1, #list, 1, {})
end

-- The header is a dictionary of three members.
local function read_header(text)
  local value, message = parser.run(literal.read, text)
  if value == nil then fault("%s", message) end
  if type(value) ~= "table" or value.kind ~= "dictionary" then fault("header isn't a dictionary") end
  local m = value.members
  if m.descr == nil or type(m.fortran_order) ~= "boolean" or type(m.shape) ~= "table" or m.shape.kind ~= "tuple" then
    fault("header lacks its descr, its fortran_order or its shape")
  end
  local element = types.of(m.descr)
  if not element then fault("type %s isn't one of NumPy's", type(m.descr) == "string" and m.descr or "of elements") end
  return element, read_shape(m.shape), m.fortran_order
end

local function shape_text(shape) return "[" .. table.concat(shape, ",") .. "]" end

-- The bytes after the header must be the array's. Only Python knows the size of its objects.
local function check_size(element, shape, room)
  if element.objects then return end
  local bytes = element.width
  for _, size in ipairs(shape) do
    if size > 0 and bytes > math.maxinteger // size then
      fault("%s of %s is too large", shape_text(shape), element.name)
    end
    bytes = bytes * size
  end
  if bytes ~= room then fault("%s takes %d bytes, file holds %d for it", shape_text(shape), bytes, room) end
end

-- ==== the array =============================================================================

local function reversed(list)
  local out = {}
  for i, v in ipairs(list) do out[#list + 1 - i] = v end
  return out
end

local function unread(source, element, shape, why)
  need(source.verify())
  return arrays.unread(source.name, element.name, shape, why)
end

local function read(source)
  local from, length = header_place(source)
  local element, shape, fortran = read_header(source.text(from + length):sub(from + 1))
  check_size(element, shape, source.bytes - from - length)
  if not element.kind then return unread(source, element, shape) end
  local x, message = need(source.file()):tensor(element.kind, fortran and reversed(shape) or shape, from + length, true,
    element.big)
  if not x then return unread(source, element, shape, message) end
  if not fortran or #shape < 2 then return x end
  local order = {}
  for i = 1, #shape do order[i] = #shape + 1 - i end
  return x:permute(order)
end

-- ==== files =================================================================================

local function named(path, other, value, message)
  if value == nil then return legible.refused("%s: %s", path, other or message) end
  return value
end

-- The one array of a file.
local function read_one(path, file)
  local x = read { name = path:match "[^/]*$", bytes = file:size(), text = function(n) return need(file:text(0, n)) end,
    file = function() return file end, verify = function() return true end }
  if arrays.is_unread(x) then fault("%s", tostring(x)) end
  return x
end

--- Reads a .npy file.
---@param path string
---@param copy boolean|nil into memory
---@return table|nil x a tensor: f16, f32, f64, u8 or i64 (other integers are widened to i64, bool to u8)
---@return string|nil message
function npy.load(path, copy)
  local file, message = core.map(path, copy)
  if not file then return nil, message end
  return named(path, signature.mismatch(file, "a .npy file", { npy = true }), parser.run(read_one, path, file))
end

local function entry_source(file, e, name)
  return { name = name, bytes = e.bytes, text = function(n) return need(zip.front(file, e, n)) end,
           file = function() return zip.open(file, e) end, verify = function() return zip.verify(file, e) end }
end

-- An array of a zip. An entry that is not named as one is listed as a file.
local function read_entry(file, e, name)
  if name ~= e.name then return read(entry_source(file, e, name)) end
  need(zip.verify(file, e))
  return arrays.unread(name, "file", { e.bytes }, "which is no array")
end

local function read_all(path, file)
  local all = {}
  for _, e in ipairs(need(zip.read(file))) do
    local name = e.name:match "^(.*)%.npy$" or e.name
    if all[name] then fault("two arrays are called %q", name) end
    local x, why = parser.run(read_entry, file, e, name)
    if not x then parser.fault()("entry '%s': %s", e.name, why) end
    all[name] = x
  end
  return arrays.named(path, all)
end

--- Reads a .npz file, compressed or not.
---@param path string
---@param copy boolean|nil into memory
---@return table|nil arrays tensors by name
---@return string|nil message
function npy.load_all(path, copy)
  local file, message = core.map(path, copy)
  if not file then return nil, message end
  local other = signature.mismatch(file, "a .npz file", { npz = true, zip = true })
  return named(path, other, parser.run(read_all, path, file))
end

return npy

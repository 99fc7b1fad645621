-- NumPy's files: .npy, one array, and .npz, a zip of them, in versions 1 to 3 of the format. Arrays in
-- Fortran's order come out as permuted windows. What a header says is held against the bytes that are
-- there before room is made for any.
local arrays = require "diffusion.arrays"
local core = require "diffusion.core"
local literal = require "diffusion.data.literal"
local types = require "diffusion.data.npy_type"
local legible = require "diffusion.legible"
local signature = require "diffusion.signature"
local zip = require "diffusion.zip"

local npy = {}

local LONGEST = 1 << 20 -- of a header

local function fail(format, ...)
  error({ message = legible.said("npy: " .. format, ...) }, 0)
end

local function caught(work, ...)
  local fine, value = pcall(core.in_c_locale, work, ...)
  if fine then return value end
  if type(value) ~= "table" then error(value, 0) end
  return nil, value.message
end

-- What stands behind a call that gives nil and a message, as an error.
local function got(value, message)
  if value == nil then error({ message = message }, 0) end
  return value
end

-- ---- the header ----------------------------------------------------------------------------

-- A source is where an array's bytes come from: {bytes = how many, text = function(n) the first n, name =,
-- file = function() the whole as a mapped file, verify = function() is it whole?}.

-- Where the header's text lies: "\x93NUMPY" major minor length.
local function header_place(source)
  if source.bytes < 10 then fail("file holds %d bytes, not even a header", source.bytes) end
  local front = source.text(math.min(12, source.bytes))
  local major = front:byte(7)
  if front:sub(1, 6) ~= "\x93NUMPY" then fail("doesn't begin with \\x93NUMPY") end
  if major < 1 or major > 3 then fail("version %d of the format; 1 to 3 are read", major) end
  local wide = major > 1
  if wide and #front < 12 then fail("file holds %d bytes, not even a header", source.bytes) end
  local from, length = wide and 12 or 10, (wide and "<I4" or "<I2"):unpack(front, 9)
  if length > source.bytes - from then fail("header says %d bytes, file holds %d", length, source.bytes) end
  if length > LONGEST then fail("header says %d bytes, more than the %d that are read", length, LONGEST) end
  return from, length
end

local function read_shape(list)
  for _, size in ipairs(list) do
    if math.type(size) ~= "integer" or size < 0 then fail("shape has a size that is no whole number of 0 or more") end
  end
  return table.move(list, 1, #list, 1, {})
end

-- The header is a dictionary of three members.
local function read_header(text)
  local value, message = literal.read(text)
  if value == nil then fail("%s", message) end
  if type(value) ~= "table" or value.kind ~= "dictionary" then fail("header isn't a dictionary") end
  local m = value.members
  if m.descr == nil or type(m.fortran_order) ~= "boolean" or type(m.shape) ~= "table" or m.shape.kind ~= "tuple" then
    fail("header lacks its descr, its fortran_order or its shape")
  end
  local told = types.of(m.descr)
  if not told then fail("type %s isn't one of NumPy's", type(m.descr) == "string" and m.descr or "of elements") end
  return told, read_shape(m.shape), m.fortran_order
end

local function shape_text(shape) return "[" .. table.concat(shape, ",") .. "]" end

-- The bytes that follow the header must be the array's; those of objects, which Python alone reads, may be any.
local function check_size(told, shape, room)
  if told.objects then return end
  local bytes = told.width
  for _, size in ipairs(shape) do
    if size > 0 and bytes > math.maxinteger // size then fail("%s of %s is too large", shape_text(shape), told.name) end
    bytes = bytes * size
  end
  if bytes ~= room then fail("%s takes %d bytes, file holds %d for it", shape_text(shape), bytes, room) end
end

-- ---- the array -----------------------------------------------------------------------------

local function reversed(list)
  local out = {}
  for i, v in ipairs(list) do out[#list + 1 - i] = v end
  return out
end

local function unread(source, told, shape, why)
  got(source.verify())
  return arrays.unread(source.name, told.name, shape, why)
end

local function read(source)
  local from, length = header_place(source)
  local told, shape, fortran = read_header(source.text(from + length):sub(from + 1))
  check_size(told, shape, source.bytes - from - length)
  if not told.kind then return unread(source, told, shape) end
  local x, message = got(source.file()):tensor(told.kind, fortran and reversed(shape) or shape, from + length, true,
    told.big)
  if not x then return unread(source, told, shape, message) end
  if not fortran or #shape < 2 then return x end
  local order = {}
  for i = 1, #shape do order[i] = #shape + 1 - i end
  return x:permute(order)
end

-- ---- files ---------------------------------------------------------------------------------

local function named(path, other, value, message)
  if value == nil then return legible.refused("%s: %s", path, other or message) end
  return value
end

-- The one array of a file.
local function read_one(path, file)
  local x = read { name = path:match "[^/]*$", bytes = file:size(), text = function(n) return got(file:text(0, n)) end,
    file = function() return file end, verify = function() return true end }
  if arrays.is_unread(x) then fail("%s", tostring(x)) end
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
  return named(path, signature.mismatch(file, "a .npy file", { npy = true }), caught(read_one, path, file))
end

local function entry_source(file, e, name)
  return { name = name, bytes = e.bytes, text = function(n) return got(zip.front(file, e, n)) end,
           file = function() return zip.open(file, e) end, verify = function() return zip.verify(file, e) end }
end

-- An array of a zip; what isn't named as one is listed as what it is.
local function read_entry(file, e, name)
  if name ~= e.name then return read(entry_source(file, e, name)) end
  got(zip.verify(file, e))
  return arrays.unread(name, "file", { e.bytes }, "which is no array")
end

local function read_all(path, file)
  local all = {}
  for _, e in ipairs(got(zip.read(file))) do
    local name = e.name:match "^(.*)%.npy$" or e.name
    if all[name] then fail("two arrays are called %q", name) end
    local x, why = caught(read_entry, file, e, name)
    if not x then error({ message = legible.said("entry '%s': %s", e.name, why) }, 0) end
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
  return named(path, signature.mismatch(file, "a .npz file", { npz = true, zip = true }), caught(read_all, path, file))
end

return npy

-- NumPy's files: .npy, one array, and .npz, a zip of them. Little-endian numbers in
-- versions 1 to 3 of the format; arrays in Fortran's order come out as permuted windows.
local core = require "diffusion.core"
local legible = require "diffusion.legible"
local zip = require "diffusion.zip"

local npy = {}

-- NumPy's types as the core's (core.map's file:tensor); those without a tensor type of
-- their own are widened to i64, bool to u8.
local KIND = {
  f2 = "f16", f4 = "f32", f8 = "f64", u1 = "u8", i8 = "i64",
  i1 = "i8", i2 = "i16", i4 = "i32", u2 = "u16", u4 = "u32", b1 = "bool",
}

local function fail(format, ...)
  error({ message = legible.said("npy: " .. format, ...) }, 0)
end

local function caught(work, ...)
  local fine, value = pcall(core.in_c_locale, work, ...)
  if fine then return value end
  if type(value) ~= "table" then error(value, 0) end
  return nil, value.message
end

-- Where the header's text lies: "\x93NUMPY" major minor length.
local function header_place(file)
  if file:size() < 10 then fail("file holds %d bytes, not even a header", file:size()) end
  local magic, major = file:text(0, 6), file:text(6, 1):byte()
  if magic ~= "\x93NUMPY" then fail("doesn't begin with \\x93NUMPY") end
  if major < 1 or major > 3 then fail("version %d of the format; 1 to 3 are read", major) end
  local wide = major > 1
  if wide and file:size() < 12 then fail("file holds %d bytes, not even a header", file:size()) end
  local length = (wide and "<I4" or "<I2"):unpack(file:text(8, wide and 4 or 2))
  local from = wide and 12 or 10
  if length > file:size() - from then fail("header says %d bytes, file holds %d", length, file:size()) end
  return from, length
end

local function read_shape(text)
  local shape = {}
  for word in (text .. ","):gmatch "([^,]*)," do
    local digits = word:match "^%s*(%d+)L?%s*$"
    if digits then shape[#shape + 1] = math.tointeger(tonumber(digits)) or fail("size %s overflows", digits)
    elseif word:find "%S" then fail("shape (%s) has a size that is no whole number", text) end
  end
  return shape
end

-- The header is a dictionary as Python writes it, of three members in any order.
local function read_header(text)
  local body = text:match "^%s*{(.*)}%s*$"
  if not body then fail("header isn't a dictionary") end
  local descr = body:match "'descr'%s*:%s*'([^']*)'"
  local order = body:match "'fortran_order'%s*:%s*(%a+)"
  local shape = body:match "'shape'%s*:%s*%(([^()]*)%)"
  if not descr and body:find "'descr'%s*:%s*%[" then fail("records of several fields are not read") end
  if not (descr and shape and (order == "True" or order == "False")) then
    fail("header lacks its descr, its fortran_order or its shape")
  end
  local sign, kind = descr:match "^([<>|=]?)(%a%d+)$"
  if sign == ">" and kind:sub(2) ~= "1" then fail("big-endian numbers (%s) are not read", descr) end
  if not KIND[kind] then
    fail("type %s is not read; bool, 8 to 32-bit integers, int64 and floats are", descr)
  end
  return KIND[kind], read_shape(shape), order == "True"
end

local function reversed(list)
  local out = {}
  for i, v in ipairs(list) do out[#list + 1 - i] = v end
  return out
end

local function read(file)
  local from, length = header_place(file)
  local kind, shape, fortran = read_header(file:text(from, length))
  local x, message = file:tensor(kind, fortran and reversed(shape) or shape, from + length, true)
  if not x then fail("%s", message) end
  if not fortran or #shape < 2 then return x end
  local order = {}
  for i = 1, #shape do order[i] = #shape + 1 - i end
  return x:permute(order)
end

local function named(path, value, message)
  if value == nil then return legible.refused("%s: %s", path, message) end
  return value
end

--- Reads a .npy file.
---@param path string
---@return table|nil x a tensor: f16, f32, f64, u8 or i64 (other integers are widened to i64, bool to u8)
---@return string|nil message
function npy.load(path)
  local file, message = core.map(path)
  if not file then return nil, message end
  return named(path, caught(read, file))
end

local function read_all(file)
  local entries, message = zip.read(file)
  if not entries then error({ message = message }, 0) end
  local arrays = {}
  for _, e in ipairs(entries) do
    local part, why = zip.open(file, e)
    if not part then error({ message = why }, 0) end
    local x, trouble = caught(read, part)
    if not x then error({ message = legible.said("entry '%s': %s", e.name, trouble) }, 0) end
    arrays[e.name:gsub("%.npy$", "")] = x
  end
  return arrays
end

--- Reads a .npz file, compressed or not.
---@param path string
---@return table|nil arrays tensors by name
---@return string|nil message
function npy.load_all(path)
  local file, message = core.map(path)
  if not file then return nil, message end
  return named(path, caught(read_all, file))
end

return npy

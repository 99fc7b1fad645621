-- Tensors of PyTorch's files: a description {storage, dtype, offset, size, stride} in the pickle,
-- and windows on the file's storages. A storage is mapped once, however many tensors share it.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local parser = require "diffusion.file.parser"
local value = require "diffusion.file.pickle_value"

local tensor = {}

local fault = parser.fault "pytorch"

-- ==== types ================================================================================

-- PyTorch's name, bytes of an element, and the core's kind; without one no tensor here holds it.
local function dtype(name, bytes, kind)
  return value.new("dtype", { name = "torch." .. name, bytes = bytes, kind = kind })
end

local types = {
  dtype("float32", 4, "f32"), dtype("float64", 8, "f64"), dtype("float16", 2, "f16"),
  dtype("bfloat16", 2, "bf16"), dtype("uint8", 1, "u8"), dtype("int8", 1, "i8"), dtype("int16", 2, "i16"),
  dtype("int32", 4, "i32"), dtype("int64", 8, "i64"), dtype("uint16", 2, "u16"), dtype("uint32", 4, "u32"),
  dtype("uint64", 8, "u64"), dtype("bool", 1, "bool"), dtype("float8_e4m3fn", 1, "f8_e4m3"),
  dtype("float8_e5m2", 1, "f8_e5m2"), dtype("float8_e4m3fnuz", 1, "f8_e4m3fnuz"),
  dtype("float8_e5m2fnuz", 1, "f8_e5m2fnuz"), dtype("float8_e8m0fnu", 1, "f8_e8m0"),
  dtype("complex32", 4), dtype("complex64", 8), dtype("complex128", 16), dtype("float4_e2m1fn_x2", 1),
  dtype("qint8", 1), dtype("quint8", 1), dtype("qint32", 4), dtype("quint4x2", 1), dtype("quint2x4", 1),
  dtype("bits8", 1), dtype("bits16", 2), dtype("bits1x8", 1), dtype("bits2x4", 1), dtype("bits4x2", 1),
}

local STORAGES = {
  Float = "float32", Double = "float64", Half = "float16", BFloat16 = "bfloat16", Byte = "uint8", Char = "int8",
  Short = "int16", Int = "int32", Long = "int64", Bool = "bool", ComplexFloat = "complex64",
  ComplexDouble = "complex128", QInt8 = "qint8", QUInt8 = "quint8", QInt32 = "qint32", QUInt4x2 = "quint4x2",
  QUInt2x4 = "quint2x4",
}

--- The globals that are types: torch.float32, torch.FloatStorage, torch.storage.UntypedStorage.
---@return table<string, table>
function tensor.type_globals()
  local globals, by_name = {}, {}
  for _, t in ipairs(types) do globals[t.name], by_name[t.name] = t, t end
  for prefix, name in pairs(STORAGES) do
    globals[("torch.%sStorage"):format(prefix)] = value.new("storage type", { of = by_name["torch." .. name] })
  end
  local untyped = value.new("storage type", { of = by_name["torch.uint8"], untyped = true })
  globals["torch.storage.UntypedStorage"], globals["torch.UntypedStorage"] = untyped, untyped
  return globals
end

-- ==== descriptions =========================================================================

-- Whether the values are of these kinds: "integer", "dtype", ...
local function are(values, ...)
  for k, kind in ipairs { ... } do
    if value.kind(values[k]) ~= kind then return false end
  end
  return true
end

--- The storage that a persistent id names: ("storage", type, key, location, elements).
---@param id any
---@param world table with `entries` by key: {bytes}
---@return table
function tensor.storage(id, world)
  if value.kind(id) ~= "tuple" or id[1] ~= "storage" then fault("a persistent id that is no storage's") end
  local of, key, count = id[2], id[3], id[5]
  if value.kind(of) == "global" then return value.opaque(of.name) end
  if value.kind(of) ~= "storage type" or type(key) ~= "string" or math.type(count) ~= "integer" then
    fault("a storage without its type, its key or its number of elements")
  end
  local entry = world.entries[key]
  if not entry then fault("storage '%s' isn't in the file", key) end
  if count < 0 or count > entry.bytes // of.of.bytes or count * of.of.bytes ~= entry.bytes then
    fault("storage '%s' has %d elements of %s, but %d bytes in the file", key, count, of.of.name, entry.bytes)
  end
  return value.new("storage", { key = key, of = of.of, untyped = of.untyped, bytes = entry.bytes })
end

local function sizes_text(list) return "[" .. table.concat(list, ",") .. "]" end

local function check_sizes(list, what)
  for _, n in ipairs(list) do
    if math.type(n) ~= "integer" or n < 0 then fault("a tensor's %s must be whole numbers >= 0", what) end
  end
end

-- The elements that a window needs, counted from the storage's first. A window without elements
-- needs none. nil where the number has no place in 63 bits.
local function reach(offset, size, stride)
  local last = offset
  for k, n in ipairs(size) do
    if n == 0 then return 0 end
    if n > 1 and stride[k] > (math.maxinteger - 1 - last) // (n - 1) then return nil end
    last = last + (n - 1) * stride[k]
  end
  return last < math.maxinteger and last + 1 or nil
end

--- A tensor's description. It raises a fault if the window leaves the storage.
---@param storage table
---@param of table a dtype
---@param offset any in elements
---@param size any a tuple
---@param stride any a tuple
---@return table
function tensor.new(storage, of, offset, size, stride)
  if not are({ offset, size, stride }, "integer", "tuple", "tuple") or offset < 0 then
    fault("a tensor without its offset, its size or its strides")
  end
  check_sizes(size, "sizes")
  check_sizes(stride, "strides")
  if #size ~= #stride then fault("a tensor of %d sizes and %d strides", #size, #stride) end
  local room, needed = storage.bytes // of.bytes, reach(offset, size, stride)
  if not needed or needed > room then
    fault("a tensor %s of strides %s from element %d on leaves storage '%s' of %d elements", sizes_text(size),
      sizes_text(stride), offset, storage.key, room)
  end
  return value.new("tensor", { storage = storage, dtype = of, offset = offset, size = size, stride = stride })
end

-- ==== windows ==============================================================================

local FLOAT = { f16 = true, bf16 = true, f32 = true, f64 = true }
local WINDOW = { f16 = true, bf16 = true, f32 = true, f64 = true, u8 = true, i64 = true }

-- The kind as which a tensor is read, and the type to which it is converted then (nil: none).
local function plan(of, o)
  local kind = of.kind
  if kind:find "^f8" then
    if o.f8 == "u8" then return "u8" end
    return kind, o.f8 or o.dtype
  end
  return kind, FLOAT[kind] and o.dtype ~= kind and o.dtype or nil
end

-- The storage as a vector, made once for each type in which it is read. It is no tensor of a d.scope
-- that is open meanwhile.
local function vector(world, description, kind)
  local storage = description.storage
  local name = kind .. " " .. storage.key
  if world.vectors[name] then return world.vectors[name] end
  local count = storage.bytes // description.dtype.bytes
  local file, message = world.open(storage.key)
  local x
  if file then x, message = file:tensor(kind, { count }, 0, false, world.big) end
  if not x then return nil, message end
  world.vectors[name] = core.unscope(x)
  return x
end

-- Strides of 0 make a small storage a large tensor. A few numbers are often expanded, so tensors up to
-- the first bound are read. Above it, one has at most so many times the storage's elements.
local FEW, SPREAD = 1 << 20, 1024

local function is_spread(description)
  local count, most = 1, math.max(FEW, SPREAD * (description.storage.bytes // description.dtype.bytes))
  for _, n in ipairs(description.size) do
    if n == 0 then return false end
    count = count > most // n and most + 1 or count * n
  end
  return count > most
end

--- Why no tensor here can hold the values of a description. nil if one can.
---@param description table
---@return string|nil
function tensor.unread(description)
  if description.lazy then return "lazily conjugated or negated" end
  if not description.dtype.kind then return "which no tensor has" end
  if not is_spread(description) then return nil end
  return ("with more elements than %d times the %d of its storage"):format(SPREAD,
    description.storage.bytes // description.dtype.bytes)
end

--- The tensor of a description. Tensors of one storage share its memory, unless they are converted.
---@param description table
---@param world table
---@return any x nil with a reason
---@return string|nil message
function tensor.read(description, world)
  local why = tensor.unread(description)
  if why then return nil, why end
  local kind, wanted = plan(description.dtype, world.options)
  local whole, message = vector(world, description, kind)
  if not whole then return nil, message end
  local x
  x, message = core.strided(whole, description.size, description.stride, description.offset)
  return x and wanted and fail.call(x.to, x, wanted) or x, message
end

--- Whether a tensor, which can be read, is a window on the file. Others cost time and memory when they are read.
---@param description table
---@param world table
---@return boolean
function tensor.is_window(description, world)
  local kind, wanted = plan(description.dtype, world.options)
  local entry = world.entries[description.storage.key]
  local aligned = entry.method == 0 and entry.from % description.dtype.bytes == 0
  return WINDOW[kind] and aligned and not wanted and not world.big or false
end

return tensor

-- Tensors as safetensors files: d.save, and the reader behind d.load.
local core = require "diffusion.core"
local arrays = require "diffusion.file.arrays"
local fail = require "diffusion.fail"
local header = require "diffusion.file.safetensors_header"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local signature = require "diffusion.file.signature"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"

local safetensors = {}

local WRITTEN = { f32 = "F32", f64 = "F64", f16 = "F16", bf16 = "BF16", u8 = "U8", i64 = "I64" }

-- The format's types as the core's kinds. Integers without a tensor type of their own are
-- widened to i64, and so is BOOL. F8 types become f16, F8_E8M0 (powers of two) f32.
local READ = {
  F32 = "f32", F64 = "f64", F16 = "f16", BF16 = "bf16", U8 = "u8", I64 = "i64",
  BOOL = "bool", I8 = "i8", I16 = "i16", U16 = "u16", I32 = "i32", U32 = "u32", U64 = "u64",
  F8_E4M3 = "f8_e4m3", F8_E5M2 = "f8_e5m2", F8_E4M3FNUZ = "f8_e4m3fnuz", F8_E5M2FNUZ = "f8_e5m2fnuz",
  F8_E8M0 = "f8_e8m0",
}
local FLOATS = { "f16", "bf16", "f32", "f64" }

-- Bytes of an element, for kinds of which a tensor can be a window on the file.
local WINDOW = { f32 = 4, f64 = 8, f16 = 2, bf16 = 2, u8 = 1, i64 = 8 }

--- Raises unless d.save can write these tensors.
---@param tensors any
function safetensors.check(tensors)
  if kind.of(tensors) ~= "table" then -- a model is a table too, but without its tensors
    fail.raise("bad argument #2 to 'save' (a table of tensors by name expected, got %s%s)", kind.shown(tensors),
      kind.of(tensors) == "model" and "; model:state() is one" or "")
  end
  for name, x in pairs(tensors) do
    if type(name) ~= "string" or name == "__metadata__" or not utf8.len(name) then
      fail.raise("save: %s can't be a tensor's name in a file, which is a string in UTF-8", kind.shown(name))
    end
    if kind.of(x) ~= "tensor" then fail.raise("save: a tensor expected as %s, got %s", name, kind.shown(x)) end
    if core.is_stored(x) then
      fail.raise("save: %s is of type %s, which isn't written; x:to \"f16\" makes numbers of it", name, x:dtype())
    end
  end
end

local function text_fault(value)
  if type(value) ~= "string" then return "is " .. kind.shown(value) end
  return not utf8.len(value) and "isn't UTF-8" or nil
end

local function check_metadata(metadata)
  if metadata ~= nil and kind.of(metadata) ~= "table" then
    fail.raise("bad argument #3 to 'save' (a table of strings expected, got %s)", kind.shown(metadata))
  end
  for key, value in pairs(metadata or {}) do
    local fault = text_fault(key)
    if fault then fail.raise("save: metadata's name %s %s; strings in UTF-8 can be saved", kind.shown(key), fault) end
    fault = text_fault(value)
    if fault then fail.raise("save: metadata %s %s; strings in UTF-8 can be saved", key, fault) end
  end
end

local function listed(x) return core.is_tensor(x) and { x } or x end

-- The shape of tensors whose rows follow one another.
local function shape_of(list)
  local shape = list[1]:shape()
  for i = 2, #list do shape[1] = shape[1] + list[i]:size(1) end
  return shape
end

--- The same as save, for tensors and metadata that are right. A list in place of a tensor has tensors of one type whose
--- rows follow one another.
---@param path string
---@param tensors table<string, diffusion.tensor|diffusion.tensor[]>
---@param metadata table<string, string>|nil
---@return true|nil done nil with a message
---@return string|nil message
function safetensors.write(path, tensors, metadata)
  local list, parts = {}, {}
  for name, x in pairs(tensors) do
    local rows = listed(x)
    list[#list + 1] = { name = name, dtype = WRITTEN[rows[1]:dtype()], shape = shape_of(rows) }
  end
  parts[1] = header.write(list, metadata)
  for _, t in ipairs(list) do
    for _, x in ipairs(listed(tensors[t.name])) do parts[#parts + 1] = x:contiguous() end
  end
  return core.write_file(path, parts)
end

--- Writes tensors as a safetensors file. It is written next to the old file, flushed to the
--- disk, then renamed over it, so the file is always whole.
---@param path string
---@param tensors table<string, diffusion.tensor> tensors of any shape and type
---@param metadata table<string, string>|nil saved with them
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function safetensors.save(path, tensors, metadata)
  opts.path("save", path)
  safetensors.check(tensors)
  check_metadata(metadata)
  return safetensors.write(path, tensors, metadata)
end

-- The kind as which a tensor is read, and the type to which it is converted then (nil: none).
local function plan(dtype, o)
  local number = READ[dtype]
  if dtype:find "^F8" then
    if o.f8 == "u8" then return "u8" end
    return number, o.f8 or o.dtype
  end
  return number, dtype:find "F" and o.dtype or nil
end

local function read_tensor(file, t, number, wanted)
  local x, why = file:tensor(number, t.shape, t.offset)
  if not (x and wanted) or x:dtype() == wanted then return x, why end
  local converted = fail.call(x.to, x, wanted)
  x:free()
  return converted
end

-- The header has been checked against the file. A tensor can still fail by its shape or its
-- values. A window costs nothing, so it is made at once.
local function entry(file, t, o)
  local number, wanted = plan(t.dtype, o)
  if not number then return arrays.unread(t.name, t.dtype, t.shape) end
  local width = WINDOW[number]
  local at_once = width and t.offset % width == 0 and (wanted or number) == number
  if not at_once then
    return arrays.later(t.name, t.dtype, t.shape, function() return read_tensor(file, t, number, wanted) end)
  end
  local x, why = read_tensor(file, t, number)
  return x or arrays.unread(t.name, t.dtype, t.shape, why)
end

local SAFETENSORS = { safetensors = true }

local rules = {
  copy = rule.copy,
  dtype = { one_of = FLOATS, default_text = "the file's", text = "the type of all tensors of floats" },
  f8 = { one_of = { "f16", "bf16", "f32", "f64", "u8" }, default_text = "dtype, or f16",
    text = "the type of tensors whose floats have 8 bits; u8 gives their codes" },
  total_size = { "boolean", default = true, text = "compares the total_size of an index with its shards" },
}
safetensors.rules = rules ---the options of d.load

--- The arrays of a file, for arrays.named.
---@param path string
---@param o table checked options
---@param wanted string "a model", for messages
---@return table<string, any>|nil all nil with a message
---@return table<string, string>|string metadata or the message
---@return table|nil list of the header: { name, dtype, shape, offset, bytes }
function safetensors.open(path, o, wanted)
  local file, message = core.map(path, o.copy)
  if not file then return nil, message end
  local list, metadata = header.read(file)
  if not list then
    return legible.refused("%s: %s", path, signature.mismatch(file, wanted, SAFETENSORS) or metadata)
  end
  local all = {}
  for _, t in ipairs(list) do all[t.name] = entry(file, t, o) end
  return all, metadata, list
end

--- A file that should hold one thing, which the message names.
---@param path string
---@param options table|nil those of d.load
---@param wanted string "a model"
---@return table|nil tensors nil with a message
---@return table|string metadata or the message
function safetensors.read(path, options, wanted)
  local o = opts.check("load", options, rules, 2)
  local all, metadata = safetensors.open(opts.path("load", path), o, wanted)
  if not all then return nil, metadata end
  return arrays.named(path, all), metadata
end

--- Reads a safetensors file; see d.load.
---@param path string
---@param options diffusion.load_options?
---@return table<string, diffusion.tensor>|nil tensors nil with a message if it isn't a good file
---@return table<string, string>|string metadata or the message
function safetensors.load(path, options) return safetensors.read(path, options, "a safetensors file") end

return safetensors

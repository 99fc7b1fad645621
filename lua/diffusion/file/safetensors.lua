-- Tensors as safetensors files: d.save and d.load.
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

local function check_tensors(tensors)
  if kind.of(tensors) ~= "table" then -- a model is a table too, but without its tensors
    fail.raise("bad argument #2 to 'save' (a table of tensors by name expected, got %s%s)", kind.shown(tensors),
      kind.of(tensors) == "model" and "; model:state() is one" or "")
  end
  for name, x in pairs(tensors) do
    if type(name) ~= "string" or name == "__metadata__" or not utf8.len(name) then
      fail.raise("save: %s can't be a tensor's name in a file, which is a string in UTF-8", kind.shown(name))
    end
    if kind.of(x) ~= "tensor" then fail.raise("save: a tensor expected as %s, got %s", name, kind.shown(x)) end
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

--- Writes tensors as a safetensors file. It is written next to the old file, flushed to the
--- disk, then renamed over it, so the file is always whole.
---@param path string
---@param tensors table<string, diffusion.tensor> tensors of any shape and type
---@param metadata table<string, string>|nil saved with them
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function safetensors.save(path, tensors, metadata)
  opts.path("save", path)
  check_tensors(tensors)
  check_metadata(metadata)
  local list, parts = {}, {}
  for name, x in pairs(tensors) do
    list[#list + 1] = { name = name, dtype = WRITTEN[x:dtype()], shape = x:shape() }
  end
  parts[1] = header.write(list, metadata)
  for i, t in ipairs(list) do parts[i + 1] = tensors[t.name]:contiguous() end
  return core.write_file(path, parts)
end

-- The header has been checked against the file. A tensor can still fail by its shape or its
-- values.
local function read_tensor(file, t, f8)
  local number, why = READ[t.dtype], nil
  if number then
    local x, message = file:tensor(number, t.shape, t.offset)
    if x then return f8 == "f32" and t.dtype:find "^F8" and x:to "f32" or x end
    why = message
  end
  return arrays.unread(t.name, t.dtype, t.shape, why)
end

local SAFETENSORS = { safetensors = true }
local load_rules = opts.declare("load", { copy = rule.copy,
  f8 = { one_of = { "f16", "f32" }, default = "f16", text = "the type of tensors whose elements have 8 bits" },
})

--- d.load for a file that should hold one thing, which the message names.
---@param path string
---@param options table|nil those of d.load
---@param wanted string "a model"
---@return table|nil tensors nil with a message
---@return table|string metadata or the message
function safetensors.read(path, options, wanted)
  local o = opts.check("load", options, load_rules, 2)
  local file, message = core.map(opts.path("load", path), o.copy)
  if not file then return nil, message end
  local list, metadata = header.read(file)
  if not list then
    return legible.refused("%s: %s", path, signature.mismatch(file, wanted, SAFETENSORS) or metadata)
  end
  local all = {}
  for _, t in ipairs(list) do all[t.name] = read_tensor(file, t, o.f8) end
  return arrays.named(path, all), metadata
end

--- Reads a safetensors file. A tensor is a window on the mapped file if its type and alignment
--- allow, so a large file costs nothing until it is used. Writing to a tensor doesn't change
--- the file. If another program truncates the file meanwhile, this one ends (SIGBUS). Replacing
--- the file, as d.save does, is safe. With copy = true the tensors are copied into memory.
--- Other integers and BOOL are widened to i64. F8 types become f16, or f32 if asked. Types that
--- no tensor holds (C64, F4, F6, U64 above i64) are listed by pairs, with dtype() and shape().
--- Reading one by its name is an error.
---@param path string
---@param options diffusion.load_options?
---@return table<string, diffusion.tensor>|nil tensors nil with a message if it isn't a good file
---@return table<string, string>|string metadata or the message
function safetensors.load(path, options) return safetensors.read(path, options, "a safetensors file") end

return safetensors

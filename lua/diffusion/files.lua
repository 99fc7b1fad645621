-- Bare tensors as safetensors files: d.save and d.load.
local core = require "diffusion.core"
local arrays = require "diffusion.arrays"
local fail = require "diffusion.fail"
local header = require "diffusion.hub.header"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local signature = require "diffusion.signature"
local opts = require "diffusion.opts"

local files = {}

local WRITTEN = { f32 = "F32", f64 = "F64", f16 = "F16", bf16 = "BF16", u8 = "U8", i64 = "I64" }

-- The format's types as the core's kinds; integers without a tensor type of their own are
-- widened to i64, BOOL to u8, numbers of 8 bits to f16, or f32 where those are powers of two alone.
local READ = {
  F32 = "f32", F64 = "f64", F16 = "f16", BF16 = "bf16", U8 = "u8", I64 = "i64",
  BOOL = "bool", I8 = "i8", I16 = "i16", U16 = "u16", I32 = "i32", U32 = "u32", U64 = "u64",
  F8_E4M3 = "f8_e4m3", F8_E5M2 = "f8_e5m2", F8_E4M3FNUZ = "f8_e4m3fnuz", F8_E5M2FNUZ = "f8_e5m2fnuz",
  F8_E8M0 = "f8_e8m0",
}

local function check_tensors(tensors)
  if kind.of(tensors) ~= "table" then -- a model is a table too, in which nothing would be found
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

--- Writes tensors as a safetensors file, whole or not at all: aside, to the disk, then
--- renamed over the old file.
---@param path string
---@param tensors table<string, diffusion.tensor> of any shape and type
---@param metadata table<string, string>|nil what else to remember
---@return true|nil done nil with a message where the file can't be written
---@return string|nil message
function files.save(path, tensors, metadata)
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

-- The header has been held against the file: what still fails is no tensor's shape, or its value.
local function read_tensor(file, t)
  local number, why = READ[t.dtype], nil
  if number then
    local x, message = file:tensor(number, t.shape, t.offset)
    if x then return x end
    why = message
  end
  return arrays.unread(t.name, t.dtype, t.shape, why)
end

local SAFETENSORS = { safetensors = true }

-- The tensors of a file that should be what is `wanted`, "a model".
local function read(path, copy, wanted)
  local file, message = core.map(path, copy)
  if not file then return nil, message end
  local list, metadata = header.read(file)
  if not list then
    return legible.refused("%s: %s", path, signature.mismatch(file, wanted, SAFETENSORS) or metadata)
  end
  local all = {}
  for _, t in ipairs(list) do all[t.name] = read_tensor(file, t) end
  return arrays.named(path, all), metadata
end

local load_rules = { copy = { "boolean", default = false } }

--- d.load for a file that should hold one thing, which the message names.
---@param path string
---@param options table|nil of d.load
---@param wanted string "a model"
---@return table|nil tensors nil with a message
---@return table|string metadata or the message
function files.read(path, options, wanted)
  local o = opts.check("load", options, load_rules, 2)
  return read(opts.path("load", path), o.copy, wanted)
end

--- Reads a safetensors file. Tensors stand on the mapped file where type and alignment
--- allow, so a large one costs nothing until it is used; writing to them doesn't change it. A
--- program that cuts the file short while they are in use ends this one (SIGBUS); one that saves
--- as d.save does, by a new file in the old one's place, doesn't matter. With copy = true the
--- tensors stand in memory, and nothing does.
--- Other integers are widened to i64, BOOL to u8, F8 types to f16 and F8_E8M0 to f32. Tensors of types that can't
--- be computed (C64, F4, F6, U64 beyond i64) are listed by pairs, with dtype() and shape(); asking for one by its
--- name is an error.
---@param path string
---@param options table|nil copy = false
---@return table<string, diffusion.tensor>|nil tensors nil with a message where it isn't a good file
---@return table<string, string>|string metadata or the message
function files.load(path, options) return files.read(path, options, "a safetensors file") end

return files

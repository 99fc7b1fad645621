-- Bare tensors as safetensors files: d.save and d.load.
local core = require "diffusion.core"
local header = require "diffusion.hub.header"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"

local files = {}

local WRITTEN = { f32 = "F32", f64 = "F64", f16 = "F16", bf16 = "BF16", u8 = "U8", i64 = "I64" }

-- The format's types as the core's kinds; integers without a tensor type of their own are
-- widened to i64, BOOL to u8.
local READ = {
  F32 = "f32", F64 = "f64", F16 = "f16", BF16 = "bf16", U8 = "u8", I64 = "i64",
  BOOL = "bool", I8 = "i8", I16 = "i16", U16 = "u16", I32 = "i32", U32 = "u32",
}

local function check_tensors(tensors)
  if type(tensors) ~= "table" then
    opts.fail("save: a table of tensors by name expected, got %s", opts.kind(tensors))
  end
  for name, x in pairs(tensors) do
    if type(name) ~= "string" or name == "__metadata__" or not utf8.len(name) then
      opts.fail("save: %s can't be a tensor's name in a file", tostring(name))
    end
    if opts.kind(x) ~= "tensor" then opts.fail("save: %s is %s, not a tensor", name, opts.kind(x)) end
  end
end

local function check_metadata(metadata)
  for key, value in pairs(metadata or {}) do
    if type(key) ~= "string" or type(value) ~= "string" or not (utf8.len(key) and utf8.len(value)) then
      opts.fail("save: metadata %s is %s; names and values must be strings, in UTF-8", tostring(key),
        opts.kind(value))
    end
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

local function read_tensor(file, t)
  local kind = READ[t.dtype]
  if not kind then
    return legible.refused("safetensors: tensor %q is of type %s, which is not read", t.name, t.dtype)
  end
  local x, message = file:tensor(kind, t.shape, t.offset)
  if not x then return legible.refused("safetensors: tensor %q: %s", t.name, message) end
  return x
end

--- Reads a safetensors file. Tensors stand on the mapped file where type and alignment
--- allow, so a large one costs nothing until it is used; writing to them doesn't change it.
---@param path string
---@return table<string, diffusion.tensor>|nil tensors nil with a message where it isn't a good file
---@return table<string, string>|string metadata or the message
function files.load(path)
  local file, message = core.map(opts.path("load", path))
  if not file then return nil, message end
  local list, metadata = header.read(file)
  if not list then return legible.refused("%s: %s", path, metadata) end
  local tensors = {}
  for _, t in ipairs(list) do
    local x, why = read_tensor(file, t)
    if not x then return legible.refused("%s: %s", path, why) end
    tensors[t.name] = x
  end
  return tensors, metadata
end

return files

-- Tensors of GGUF files, the form of ggml and stable-diffusion.cpp. Quantized tensors stay in their blocks.
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local header = require "diffusion.file.gguf_header"
local legible = require "diffusion.legible"
local signature = require "diffusion.file.signature"

local gguf = {}

-- The format's types as the core's kinds. Integers are widened to i64.
local READ = { F32 = "f32", F64 = "f64", F16 = "f16", BF16 = "bf16", I8 = "i8", I16 = "i16", I32 = "i32", I64 = "i64" }
local BLOCKS = { Q4_0 = "q4_0", Q4_1 = "q4_1", Q5_0 = "q5_0", Q5_1 = "q5_1", Q8_0 = "q8_0" }

local UNREAD = "a form of weights that isn't read; F32, F16, BF16, Q8_0, Q5_0, Q5_1, Q4_0 and Q4_1 are"

local function read_tensor(file, t, wanted)
  local x, why
  if BLOCKS[t.dtype] then x, why = file:blocks(BLOCKS[t.dtype], t.shape, t.offset)
  else x, why = file:tensor(READ[t.dtype], t.shape, t.offset) end
  if not (x and wanted) or x:dtype() == wanted then return x, why end
  local converted = x:to(wanted)
  x:free()
  return converted
end

-- An array for arrays.named. A window costs nothing, so it is made at once.
local function entry(file, t, dtype)
  local number = READ[t.dtype] or BLOCKS[t.dtype]
  if not number then return arrays.unread(t.name, t.dtype, t.shape, UNREAD) end
  local wanted = not t.dtype:find "^I" and dtype or nil
  if wanted and wanted ~= number or t.dtype:find "^I" then
    return arrays.later(t.name, t.dtype, t.shape, function() return read_tensor(file, t, wanted) end)
  end
  local x, why = read_tensor(file, t)
  return x or arrays.unread(t.name, t.dtype, t.shape, why)
end

--- Whether a file begins as GGUF's do.
---@param path string
---@return boolean
function gguf.is(path)
  local file = core.map(path)
  local head = file and file:text(0, math.min(file:size(), 4))
  if file then file:close() end
  return head == "GGUF"
end

local KIND = { gguf = true }

--- Reads a file; see d.load.
---@param path string
---@param o table {copy, dtype}
---@return table<string, diffusion.tensor>|nil tensors nil with a message
---@return table<string, any>|string facts or the message
function gguf.load(path, o)
  local file, message = core.map(path, o.copy)
  if not file then return nil, message end
  local list, facts = header.read(file)
  if not list then return legible.refused("%s: %s", path, signature.mismatch(file, "a GGUF file", KIND) or facts) end
  local all = {}
  for _, t in ipairs(list) do all[t.name] = entry(file, t, o.dtype) end
  return arrays.named(path, all), facts
end

return gguf

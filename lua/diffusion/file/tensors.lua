-- d.load: tensors by name, of a safetensors file, of one that is split into shards, of PyTorch's, or of GGUF.
local gguf = require "diffusion.file.gguf"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local pytorch = require "diffusion.file.pytorch"
local safetensors = require "diffusion.file.safetensors"
local shards = require "diffusion.file.shards"

local tensors = {}

local rules = opts.declare("load", opts.joined(safetensors.rules, {
  key = { "string", default_text = "the only one", text = "in a PyTorch file, the key under which the tensors "
    .. "are: \"ema\" or \"model.ema\"; \"\" takes all of the file" },
  raw = { "boolean", default = false, text = "gives the whole value of a PyTorch file as Lua tables" },
}))

--- Reads a safetensors file, or all shards that an index file (model.safetensors.index.json) lists, or
--- a PyTorch file (.pt, .pth, .bin, .ckpt), or a GGUF file.
--- A tensor is a window on the mapped file, so a large file costs nothing until it is used. A tensor
--- that must be converted, or that isn't aligned, is read when it is first asked for. Writing to a
--- tensor doesn't change the file. If another program truncates the file meanwhile, this one ends
--- (SIGBUS). Replacing the file, as d.save does, is safe. With copy = true the file is read into memory.
--- Other integers and BOOL are widened to i64. F8 types become f16, and F8_E8M0 becomes f32.
--- Types that no tensor holds (C64, F4, F6, U64 above i64) are listed by pairs, with dtype() and
--- shape(). Reading one by its name is an error.
--- The second result of a PyTorch file has its numbers, texts and booleans by name. Nothing in the
--- file is run. Reading a value of an unknown Python class by its name is an error. A file of one
--- tensor gives that tensor, and a file of a list of tensors gives the list.
--- The second result of a GGUF file has its facts. Tensors of its types Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 stay
--- as they are stored: they have a shape and windows, and networks read them. x:to "f32" makes numbers of them.
---@param path string
---@param options diffusion.load_options?
---@return table<string, diffusion.tensor>|nil tensors nil with a message if it isn't a good file
---@return table<string, string>|string metadata or the message
---@usage local tensors, metadata = d.load("model.safetensors", { dtype = "f32" })
function tensors.load(path, options)
  local o = opts.check("load", options, rules, 2)
  if pytorch.is(opts.path("load", path)) then return pytorch.load(path, o) end
  if gguf.is(path) and not (o.key or o.raw) then return gguf.load(path, o) end
  if o.key or o.raw then return legible.refused("%s: key and raw are options of PyTorch's files", path) end
  local read = path:find "%.json$" and shards.load or safetensors.load
  o.raw = nil
  return read(path, o)
end

return tensors

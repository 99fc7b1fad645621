-- d.load: tensors by name, of a safetensors file or of one that is split into shards.
local opts = require "diffusion.opts"
local safetensors = require "diffusion.file.safetensors"
local shards = require "diffusion.file.shards"

local tensors = {}

opts.declare("load", safetensors.rules)

--- Reads a safetensors file, or all shards that an index file (model.safetensors.index.json) lists.
--- A tensor is a window on the mapped file, so a large file costs nothing until it is used. A tensor
--- that must be converted, or that isn't aligned, is read when it is first asked for. Writing to a
--- tensor doesn't change the file. If another program truncates the file meanwhile, this one ends
--- (SIGBUS). Replacing the file, as d.save does, is safe. With copy = true the file is read into memory.
--- Other integers and BOOL are widened to i64. F8 types become f16, and F8_E8M0 becomes f32.
--- Types that no tensor holds (C64, F4, F6, U64 above i64) are listed by pairs, with dtype() and
--- shape(). Reading one by its name is an error.
---@param path string
---@param options diffusion.load_options?
---@return table<string, diffusion.tensor>|nil tensors nil with a message if it isn't a good file
---@return table<string, string>|string metadata or the message
---@usage local tensors, metadata = d.load("model.safetensors", { dtype = "f32" })
function tensors.load(path, options)
  local read = opts.path("load", path):find "%.json$" and shards.load or safetensors.load
  return read(path, options)
end

return tensors

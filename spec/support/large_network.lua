-- Writes a network file of any size in half precision, to measure what it costs to open and run.
local d = require "diffusion"
local container = require "diffusion.file.container"

local M = {}

--- A network of `n` products of `width` x `width`, with a config that a file can hold.
---@param width integer
---@param n integer
---@return table config
function M.config(width, n)
  local steps = {}
  for i = 1, n do
    steps[i] = { kind = "linear", path = "layer." .. i, inputs = { i }, recompute = false,
      options = { inp = width, out = width, bias = true, init = "usual" } }
  end
  local list = { name = "large", text = "", steps = steps, result = n + 1,
    inputs = { { "x", { { "B", 0, 0 }, { tostring(width), width, 0 } }, optional = false, whole = false } } }
  return { kind = "network", list = list }
end

--- Writes the network with values in f16. Their scale keeps the size of x.
---@param path string
---@param width integer
---@param n integer
---@return integer bytes of the values
function M.write(path, width, n)
  local state, bytes = {}, 0
  for i = 1, n do
    local w = (d.randn({ width, width }, { seed = i }) * width ^ -0.5):to "f16"
    state[("layer.%d.weight"):format(i)] = w
    state[("layer.%d.bias"):format(i)] = d.zeros(width):to "f16"
    bytes = bytes + 2 * width * (width + 1)
  end
  assert(container.write(path, "model", state, { model = M.config(width, n) }))
  return bytes
end

return M

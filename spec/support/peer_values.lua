-- Values for the parameters of a peer's model, as spec/peers/values.py makes them.
local d = require "diffusion"

local peer_values = {}

local function product(shape, from)
  local n = 1
  for i = from, #shape do n = n * shape[i] end
  return n
end

--- Tensors by key for {key = shape}, in the peer's layout.
---@param shapes table<string, integer[]>
---@param seed integer?
---@return table<string, any>
function peer_values.filled(shapes, seed)
  local g, keys, out = d.generator { kind = "torch", seed = seed or 0 }, {}, {}
  for key in pairs(shapes) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local shape = shapes[key]
    local u = g:rand(shape) * 2 - 1
    if key:find "bias$" then out[key] = u * 0.1
    elseif #shape < 2 then out[key] = u * 0.2 + 1
    else out[key] = u * (1.5 / math.sqrt(product(shape, 2))) end
  end
  return out
end

--- Inputs in [-1, 1).
function peer_values.uniform(shape, seed)
  return d.generator { kind = "torch", seed = seed }:rand(shape) * 2 - 1
end

return peer_values

-- Options that are numbers: one for all, a list or a tensor.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"

local given = {}

--- A list of n numbers from a number, a list or a tensor.
---@param name string the oracle's name, for messages
---@param what string
---@param v number|number[]|diffusion.tensor
---@param n integer
---@return number[]
function given.list(name, what, v, n)
  local out = {}
  if type(v) == "number" then
    for i = 1, n do out[i] = v end
  else
    gradient.constant(name, what, v)
    out = core.is_tensor(v) and v:flatten():totable() or v
  end
  for key in pairs(out) do
    if math.type(key) ~= "integer" or key < 1 or key > #out then
      fail.raise("%s: %s is a list, which takes no field %s", name, what, kind.shown(key))
    end
  end
  if #out ~= n then fail.raise("%s: %s has %d entries, %d expected", name, what, #out, n) end
  for i = 1, n do
    if type(out[i]) ~= "number" or out[i] ~= out[i] or math.abs(out[i]) == math.huge then
      fail.raise("%s: entry %d of %s is %s, not a finite number", name, i, what, kind.shown(out[i]))
    end
  end
  return out
end

--- The same, with all numbers above 0, or at least 0 with or_zero.
function given.positive(name, what, v, n, or_zero)
  local out = given.list(name, what, v, n)
  for i = 1, n do
    if not (out[i] > 0 or or_zero and out[i] == 0) then
      fail.raise("%s: %s must be %s, entry %d is %g", name, what, or_zero and "0 or more" or "positive", i, out[i])
    end
  end
  return out
end

--- Weights above 0 that sum to 1. They are equal if nil.
function given.weights(name, weights, n)
  local list, out, total = given.positive(name, "weights", weights or 1, n), {}, 0
  for i = 1, n do total = total + list[i] end
  for i = 1, n do out[i] = list[i] / total end
  return out
end

return given

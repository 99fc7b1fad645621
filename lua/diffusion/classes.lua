-- Classes of n samples: one for all or one for each, counted from 1. Class 0 is none.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"

local classes = {
  rule = { "number|table|tensor", as = "integer|integer[]|diffusion.tensor",
    text = "the class of all samples or of each, from 1; 0 is no class" }, -- the option `class`
}

--- Classes as a tensor with one for each sample. nil stays nil.
---@param where string the caller: "sampler"
---@param class integer|integer[]|diffusion.tensor|nil
---@param n integer
---@return diffusion.tensor|nil class [n] i64
function classes.of(where, class, n)
  if class == nil then return nil end
  class = fail.call(core.whole, where .. ": class", class)
  if class:dim() == 0 then class = class:expand(n):contiguous() end
  if kind.shape_text(class) ~= ("[%d]"):format(n) then
    fail.raise("%s: class is %s for %d samples", where, kind.shape_text(class), n)
  end
  return class
end

-- The smallest and the largest. A tensor's min and max refuse integers that a real would round.
local function extremes(class)
  local low, high = math.maxinteger, math.mininteger
  for _, c in ipairs(class:totable()) do low, high = math.min(low, c), math.max(high, c) end
  return low, high
end

--- Classes of data, which are 1 or more.
---@param where string the caller: "set"
---@param class integer|integer[]|diffusion.tensor
---@param n integer
---@param most integer|nil the number of classes, if it is known
---@return diffusion.tensor class [n] i64
---@return integer classes `most`, or the largest class
function classes.labels(where, class, n, most)
  class = classes.of(where, class, n)
  if n == 0 then return class, most or 0 end
  local low, high = extremes(class)
  if low < 1 then fail.raise("%s: classes count from 1, got some from %d to %d", where, low, high) end
  if most and high > most then
    fail.raise("%s: classes from %d to %d, but there are %d classes", where, low, high, most)
  end
  return class, most or high
end

return classes

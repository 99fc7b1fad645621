--- Classes as they are given: one for all samples, or one for each.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"

--- A tensor of one class for each of n samples, or a sentence; nil stays nil.
---@param where string "sampler"
---@param class integer|integer[]|diffusion.tensor|nil
---@param n integer
---@return diffusion.tensor|nil {n} i64
return function(where, class, n)
  if class == nil then return nil end
  class = fail.call(core.whole, where .. ": class", class)
  if class:dim() == 0 then class = class:expand(n):contiguous() end
  if kind.shape_text(class) ~= ("[%d]"):format(n) then
    fail.raise("%s: class is %s for %d samples", where, kind.shape_text(class), n)
  end
  return class
end

--- A score that is moved: what adding g to the score does to what a model predicts.
-- By Tweedie's formula x0 = (x_t + s^2 score)/a, so x0 moves by s^2/a g, and every target by its own
-- share of that, since at one x_t it is affine in x0.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local strength = require "diffusion.guidance.strength"

-- What 1 of x0 is in the process's target, x_t held.
local function share(process, t)
  return process:convert(1, { from = "x0", to = process.predict, xt = 0, t = t })
end

-- By how much the target moves with 1 of the score.
local function factor(name, process, t)
  local a = process.schedule:signal(t)
  if a == 0 then
    fail.raise("%s: x_t holds no signal at t = %g, so a gradient moves no x0 there; start lower, or give an interval",
      name, t)
  end
  return process.schedule:noise(t) ^ 2 / a * share(process, t)
end

--- The answer of a model with scale g added to the score.
---@param name string of the guidance
---@param process diffusion.process
---@param out diffusion.tensor of the kind process.predict
---@param g diffusion.tensor
---@param t number|number[]|diffusion.tensor
---@param scale number|number[] one, or one a sample
---@return diffusion.tensor
return function(name, process, out, g, t, scale)
  local each = strength.each(t, function(level, i)
    local own = type(scale) == "table" and scale[i] or scale
    return own == 0 and 0 or own * factor(name, process, level)
  end)
  return strength.changed(out, g, function(value) return core.ops.mix(1, value, each, g) end)
end

-- The change of a model's prediction when g is added to the score.
-- By Tweedie's formula x0 = (x_t + s^2 score)/a, so x0 moves by s^2/a g. Every other target is
-- affine in x0 at a given x_t, so it moves in proportion.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local strength = require "diffusion.guidance.strength"

-- The change of the process's target when x0 changes by 1 at the same x_t.
local function share(process, t)
  return process:convert(1, { from = "x0", to = process.predict, xt = 0, t = t })
end

-- The change of the target when the score changes by 1.
local function factor(name, process, t)
  local a = process.schedule:signal(t)
  if a == 0 then
    fail.raise("%s: x_t holds no signal at t = %g, so a gradient moves no x0 there; start lower, or give an interval",
      name, t)
  end
  return process.schedule:noise(t) ^ 2 / a * share(process, t)
end

--- A model's output with scale g added to the score.
---@param name string the guidance's name
---@param process diffusion.process
---@param out diffusion.tensor the output, of the kind process.predict
---@param g diffusion.tensor
---@param t number|number[]|diffusion.tensor
---@param scale number|number[] one, or one per sample
---@return diffusion.tensor
return function(name, process, out, g, t, scale)
  local each = strength.each(t, function(level, i)
    local own = type(scale) == "table" and scale[i] or scale
    return own == 0 and 0 or own * factor(name, process, level)
  end)
  return strength.changed(out, g, function(value) return core.ops.mix(1, value, each, g) end)
end

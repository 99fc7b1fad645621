--- A score that is moved: what adding g to the score does to what a model predicts.
-- By Tweedie's formula x0 = (x_t + s^2 score)/a, so x0 moves by s^2/a g, and every target by its own
-- share of that, since at one x_t it is affine in x0.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local strength = require "diffusion.guidance.strength"

-- What 1 of x0 is in the process's target, x_t held.
local function share(process, t)
  return process:convert(1, { from = "x0", to = process.predict, xt = 0, t = t })
end

-- c scale, of each sample where one of them is.
local function product(c, scale, B)
  if type(c) == "number" and type(scale) == "number" then return c * scale end
  local each = {}
  for i = 1, B do each[i] = (type(c) == "table" and c[i] or c) * (type(scale) == "table" and scale[i] or scale) end
  return each
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
  local schedule = process.schedule
  local function of(level)
    local a = schedule:signal(level)
    if a == 0 then
      opts.fail("%s: x_t holds no signal at t = %g, so a gradient moves no x0 there; start lower, or give an interval",
        name, level)
    end
    return schedule:noise(level) ^ 2 / a * share(process, level)
  end
  local each = product(strength.each(t, of), scale, out:size(1))
  return strength.changed(out, g, function(value) return core.ops.mix(1, value, each, g) end)
end

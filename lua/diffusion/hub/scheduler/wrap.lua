-- A network as the process's denoiser: it gets the peer's timestep and scale of x, and its output may
-- be changed to the predicted x0.
local core = require "diffusion.core"
local opts = require "diffusion.opts"

-- f at one level, or at a level for each sample: a list or a tensor of them.
local function each(f, t)
  if type(t) == "number" then return f(t) end
  local values = {}
  for i, level in ipairs(core.is_tensor(t) and t:flatten():totable() or t) do values[i] = f(level) end
  return values
end

-- f(t) x.
local function times(f, t, x)
  if type(t) == "number" then return x * f(t) end
  return x * core.tensor(each(f, t)):over(x)
end

-- skip(t) x + out(t) value. A learned variance next to the value stays.
local function mapped(plan, t, x, value)
  local C = x:size(-1)
  if value:size(-1) == 2 * C then
    return core.ops.cat({ mapped(plan, t, x, value:narrow(-1, 1, C)), value:narrow(-1, C + 1, C) }, -1)
  end
  value = times(plan.out, t, value)
  return plan.skip and times(plan.skip, t, x) + value or value
end

--- wrap(model) of a plan: fields `shown`, `input`, `skip` and `out`, all functions of the level, and `told`, the
--- timesteps of single levels. The network gets x input(t) + shift and the timestep shown(t). With `out`, the result is
--- skip(t) x + out(t) times its output.
---@param plan table
---@return fun(model: any): any
return function(plan)
  local plain = not (plan.shown or next(plan.told) or plan.input or plan.out)
  local function shown(t) return (plan.told[t] or plan.shown and plan.shown(t) or t - 1) + 1 end
  return function(model)
    opts.denoiser("wrap", model)
    if plain then return model end
    return function(x, t, given)
      local asked = plan.input and times(plan.input, t, x) or x
      if plan.shift then asked = asked + plan.shift end
      local value, other = model(asked, each(shown, t), given)
      if not (plan.out and core.is_tensor(value)) then return value, other end
      return mapped(plan, t, x, value)
    end
  end
end

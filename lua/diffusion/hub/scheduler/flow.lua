-- FlowMatch: steps along the path x_t = (1 - w) x_0 + w eps.
local fail = require "diffusion.fail"
local grids = require("diffusion.grid").grid
local keys = require "diffusion.hub.scheduler.keys"
local named = require("diffusion.schedule").schedule

local function flow(sampler)
  return function(c)
    if c.invert_sigmas then fail.raise "invert_sigmas: it goes from data to noise, from a level without noise" end
    local s = named.flow { shift = c.shift, T = c.num_train_timesteps }
    return {
      schedule = s, predict = "flow", sampler = { sampler },
      shown = function(t) return s.T * s:noise(t) end,
      times = function(N)
        return grids.preset "diffusers-flow-shifted-twice"(s, N, { shift_terminal = c.shift_terminal }):times(), 0
      end,
    }
  end
end

local euler_keys = {
  num_train_timesteps = keys.integer(1000, 1), shift = keys.number(1, { above = 0 }),
  shift_terminal = keys.number(nil, { above = 0, below = 1 }), invert_sigmas = keys.flag(false),
}
local heun_keys = { num_train_timesteps = euler_keys.num_train_timesteps, shift = euler_keys.shift }

return {
  FlowMatchEulerDiscreteScheduler = { keys = euler_keys, plan = flow "flow_euler" },
  FlowMatchHeunDiscreteScheduler = { keys = heun_keys, plan = flow "flow_heun" },
}

-- RePaint.
local betas = require "diffusion.hub.scheduler.betas"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"

-- The numbers of the steps that a run visits, with its jumps back.
local function visited(N, length, samples)
  local out, left, t = {}, {}, N
  for j = 0, N - length - 1, length do left[j] = samples - 1 end
  while t >= 1 do
    t = t - 1
    out[#out + 1] = t
    if (left[t] or 0) > 0 then
      left[t] = left[t] - 1
      for _ = 1, length do
        t = t + 1
        out[#out + 1] = t
      end
    end
  end
  return out
end

local function repaint(c, o)
  if (o.original == nil) ~= (o.mask == nil) then
    fail.raise("%s is given without %s", o.mask and "mask" or "original", o.mask and "original" or "mask")
  end
  local T = c.num_train_timesteps
  return {
    schedule = betas.schedule(c), predict = "eps",
    sampler = { "diffusers-repaint-one-noise-for-both-parts", eta = c.eta, clip = c.clip_sample and 1 or nil,
                steps = o.steps and math.min(o.steps, T), original = o.original, mask = o.mask },
    times = function(N)
      if o.first > 1 then fail.raise "first > 1: RePaint starts from noise" end
      N = math.min(N, T)
      local times = visited(N, o.jump_length or 10, o.jump_n_sample or 10)
      for i, k in ipairs(times) do times[i] = k * (T // N) + 1 end
      return times, 0
    end,
  }
end

local own = opts.joined(keys.betas { kinds = { "linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid" } },
  { eta = keys.number(0, { min = 0, max = 1 }), clip_sample = keys.flag(true) })

return {
  RePaintScheduler = { keys = own, plan = repaint,
    call = { jump_length = true, jump_n_sample = true, original = true, mask = true } },
}

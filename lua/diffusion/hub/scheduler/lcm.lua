-- LCM and TCD: samplers of distilled networks.
local betas = require "diffusion.hub.scheduler.betas"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

-- The number of timesteps at which the network was distilled, and their distance. TCD takes every timestep of
-- training if the number is an option of the run.
local function distilled(c, o, every)
  local T, all = c.num_train_timesteps, o.original_inference_steps or c.original_inference_steps
  if every and o.original_inference_steps then return T, 1, all end
  if all > T then fail.raise("original_inference_steps = %d is above num_train_timesteps = %d", all, T) end
  return all, T // all, all
end

-- N of these timesteps, the latest first. With a strength they are those of the first part of training.
local function thinned(c, o, N, every)
  local count, stride, all = distilled(c, o, every)
  count = math.floor(count * (o.strength or 1))
  if N > math.min(count, all) then
    fail.raise("%d steps, but %s", N, N > all and ("the network was distilled at %d (original_inference_steps)"):format(
      all) or ("strength = %g leaves %d timesteps"):format(o.strength, count))
  end
  local steps = {}
  for i = 1, N do steps[i] = (count - math.floor((i - 1) * (count / N))) * stride - 1 end
  return steps
end

-- The timesteps of the user's, of which a strength leaves out the first.
local function given(o)
  local n = #o.timesteps
  local left = math.floor(n * (o.strength or 1))
  if left == 0 then fail.raise("strength = %g leaves none of %d timesteps", o.strength, n) end
  return table.move(spacing.given(o.timesteps), n - left + 1, n, 1, {})
end

local function plan_of(c, o, last, every)
  local plan = { schedule = betas.schedule(c), predict = keys.predict(c) }
  function plan.times(N)
    local steps = o.timesteps and given(o) or thinned(c, o, N, every)
    return spacing.levels(steps, c.num_train_timesteps, N), last
  end
  return plan
end

local function lcm(c, o)
  if o.strength and o.timesteps then
    fail.raise "strength with timesteps of your own: diffusers adds noise in the last step too"
  end
  local plan = plan_of(c, o, 0)
  plan.clip, plan.sampler = keys.clip_of(c), { "lcm", timestep_scaling = c.timestep_scaling }
  return plan
end

-- diffusers' TCD doesn't clip, whatever clip_sample and thresholding say.
local function tcd(c, o)
  local plan = plan_of(c, o, 1, true)
  plan.sampler = { "tcd", gamma = o.eta }
  return plan
end

local lcm_keys = opts.joined(keys.betas(keys.latent), keys.predicts(), keys.clip(false), keys.threshold,
  keys.spacing "leading", { original_inference_steps = keys.integer(50, 1), timestep_scaling = keys.number(10),
    set_alpha_to_one = keys.flag(true), rescale_betas_zero_snr = keys.flag(false) })

local call = { timesteps = true, original_inference_steps = true, strength = true }

return {
  LCMScheduler = { keys = lcm_keys, plan = lcm, call = call },
  TCDScheduler = { keys = lcm_keys, plan = tcd, call = opts.joined(call, { eta = true }) },
}

-- LCM and TCD: samplers of distilled networks.
local betas = require "diffusion.hub.scheduler.betas"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

-- N of the timesteps at which the network was distilled, the latest first.
local function thinned(c, o, N)
  local T, all = c.num_train_timesteps, o.original_inference_steps or c.original_inference_steps
  if all > T then fail.raise("original_inference_steps = %d is above num_train_timesteps = %d", all, T) end
  local some = math.floor(all * (o.strength or 1))
  if N > some then
    fail.raise("%d steps, but the network was distilled at %d (original_inference_steps)%s", N, all,
      some < all and (", and strength = %g leaves %d of them"):format(o.strength, some) or "")
  end
  local steps = {}
  for i = 1, N do steps[i] = (some - math.floor((i - 1) * (some / N))) * (T // all) - 1 end
  return steps
end

local function plan_of(c, o, last)
  local plan = { schedule = betas.schedule(c), predict = keys.predict(c) }
  function plan.times(N)
    local steps = o.timesteps and spacing.given(o.timesteps) or thinned(c, o, N)
    return spacing.levels(steps, c.num_train_timesteps, N), last
  end
  return plan
end

local function lcm(c, o)
  local plan = plan_of(c, o, 0)
  plan.clip, plan.sampler = keys.clip_of(c), { "lcm", timestep_scaling = c.timestep_scaling }
  return plan
end

-- diffusers' TCD doesn't clip, whatever clip_sample and thresholding say.
local function tcd(c, o)
  local plan = plan_of(c, o, 1)
  plan.sampler = { "tcd", gamma = o.eta }
  return plan
end

local lcm_keys = opts.joined(keys.betas(keys.latent), keys.predicts(), keys.clip(false), keys.threshold,
  keys.spacing "leading", { original_inference_steps = keys.integer(50, 1), timestep_scaling = keys.number(10),
    set_alpha_to_one = keys.flag(true), rescale_betas_zero_snr = keys.flag(false) })

return {
  LCMScheduler = { keys = lcm_keys, plan = lcm,
    call = { timesteps = true, original_inference_steps = true, strength = true } },
  TCDScheduler = { keys = lcm_keys, plan = tcd, call = { timesteps = true, eta = true } },
}

-- LCM and TCD: samplers of distilled networks.
local betas = require "diffusion.hub.scheduler.betas"
local grids = require("diffusion.grid").grid
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"

local function plan_of(c, last)
  local plan = { schedule = betas.schedule(c), predict = keys.predict(c), clip = keys.clip_of(c) }
  function plan.times(N)
    return grids.preset "lcm"(plan.schedule, N, { original = c.original_inference_steps }):times(), last
  end
  return plan
end

local function lcm(c)
  local plan = plan_of(c, 0)
  plan.sampler = { "lcm", timestep_scaling = c.timestep_scaling }
  return plan
end

local function tcd(c, o)
  local plan = plan_of(c, 1)
  plan.sampler = { "tcd", gamma = o.eta }
  return plan
end

local lcm_keys = opts.joined(keys.betas(keys.latent), keys.predicts(), keys.clip(false), keys.threshold,
  keys.spacing "leading", { original_inference_steps = keys.integer(50, 1), timestep_scaling = keys.number(10),
    set_alpha_to_one = keys.flag(true), rescale_betas_zero_snr = keys.flag(false) })

return {
  LCMScheduler = { keys = lcm_keys, plan = lcm },
  TCDScheduler = { keys = lcm_keys, plan = tcd, call = { eta = true } },
}

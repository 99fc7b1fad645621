-- DDPM and UnCLIP: ancestral sampling.
local betas = require "diffusion.hub.scheduler.betas"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

local kinds = { "linear", "scaled_linear", "squaredcos_cap_v2", "laplace", "sigmoid" }
local variances = { "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range" }

local function ddpm(c, o)
  if c.variance_type == "fixed_large_log" then
    fail.raise "variance_type 'fixed_large_log': diffusers takes the root of a logarithm, which is NaN"
  end
  local plan = {
    schedule = betas.schedule(c), predict = keys.predict(c), clip = keys.clip_of(c), sampler = { "ddpm" },
    variance = c.variance_type,
  }
  function plan.times(N)
    local steps = o.timesteps and spacing.given(o.timesteps) or spacing.plain(c, N)
    return spacing.levels(steps, c.num_train_timesteps, N), 0
  end
  local times = o.steps and plan.times(o.steps)
  if not times or times[#times] > 1 then plan.sampler = { "diffusers-ddpm-noise-in-last-step" } end
  return plan
end

local function unclip(c, o)
  if o.steps == 1 then fail.raise "steps = 1: diffusers divides by zero" end
  c.timestep_spacing = "linspace"
  return ddpm(c, o)
end

local ddpm_keys = opts.joined(keys.betas { kinds = kinds }, keys.predicts(), keys.threshold, keys.clip(true),
  keys.spacing "leading", { variance_type = keys.choice("fixed_small", variances),
    rescale_betas_zero_snr = keys.flag(false) })

local unclip_keys = opts.joined(keys.clip(true), keys.predicts { "epsilon", "sample" }, {
  num_train_timesteps = keys.steps(1000),
  variance_type = keys.choice("fixed_small_log", { "fixed_small_log", "learned_range" }),
  beta_schedule = keys.choice("squaredcos_cap_v2", { "squaredcos_cap_v2" }),
})

return {
  DDPMScheduler = { keys = ddpm_keys, plan = ddpm, call = { timesteps = true } },
  DDPMParallelScheduler = { keys = ddpm_keys, plan = ddpm, call = { timesteps = true } },
  UnCLIPScheduler = { keys = unclip_keys, plan = unclip },
}

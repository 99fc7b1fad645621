-- DDPM and UnCLIP: ancestral sampling.
local betas = require "diffusion.hub.scheduler.betas"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

local kinds = { "linear", "scaled_linear", "squaredcos_cap_v2", "laplace", "sigmoid" }
local variances = { "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range" }

local function ddpm(c)
  return {
    schedule = betas.schedule(c), predict = keys.predict(c), clip = keys.clip_of(c), sampler = { "ddpm" },
    variance = c.variance_type:gsub("_log$", ""),
    times = function(N) return spacing.levels(spacing.plain(c, N), c.num_train_timesteps, N), 0 end,
  }
end

local function unclip(c)
  c.timestep_spacing = "linspace"
  return ddpm(c)
end

local ddpm_keys = opts.joined(keys.betas { kinds = kinds }, keys.predicts(), keys.threshold, keys.clip(true),
  keys.spacing "leading", { variance_type = keys.choice("fixed_small", variances),
    rescale_betas_zero_snr = keys.flag(false) })

local unclip_keys = opts.joined(keys.clip(true), keys.predicts { "epsilon", "sample" }, {
  num_train_timesteps = keys.integer(1000, 1, 1000000),
  variance_type = keys.choice("fixed_small_log", { "fixed_small_log", "learned_range" }),
  beta_schedule = keys.choice("squaredcos_cap_v2", { "squaredcos_cap_v2" }),
})

return {
  DDPMScheduler = { keys = ddpm_keys, plan = ddpm },
  DDPMParallelScheduler = { keys = ddpm_keys, plan = ddpm },
  UnCLIPScheduler = { keys = unclip_keys, plan = unclip },
}

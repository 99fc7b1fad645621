-- DDIM, and DDIM from data to noise.
local betas = require "diffusion.hub.scheduler.betas"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

local function times_of(c, last)
  return function(N)
    local times = spacing.levels(spacing.plain(c, N), c.num_train_timesteps, N)
    if times[#times] == last then times[#times] = nil end
    return times, last
  end
end

local function ddim(c)
  return {
    schedule = betas.schedule(c), predict = keys.predict(c), times = times_of(c, c.set_alpha_to_one and 0 or 1),
    sampler = { "diffusers-ddim-eps-of-unclipped-x0", clip = keys.clip_of(c) },
  }
end

local function ddim_inverse(c)
  return {
    schedule = betas.schedule(c), predict = keys.predict(c), times = times_of(c, c.set_alpha_to_one and 0 or 1),
    sampler = { "diffusers-ddim-inverse-told-next-time", clip = keys.clip_of(c) }, upward = true,
  }
end

local own = { set_alpha_to_one = keys.flag(true), rescale_betas_zero_snr = keys.flag(false) }
local ddim_keys = opts.joined(keys.betas(), keys.predicts(), keys.threshold, keys.clip(true), keys.spacing "leading",
  own)
local inverse_keys = opts.joined(keys.betas(), keys.predicts(), keys.clip(true), keys.spacing "leading", own)

return {
  DDIMScheduler = { keys = ddim_keys, plan = ddim },
  DDIMParallelScheduler = { keys = ddim_keys, plan = ddim },
  DDIMInverseScheduler = { keys = inverse_keys, plan = ddim_inverse },
}

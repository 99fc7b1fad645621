-- DDIM, and DDIM from data to noise.
local betas = require "diffusion.hub.scheduler.betas"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

-- Whether each step leads to the next level of the run, as diffusers' steps of T // N do.
local function even(c, times, N)
  local stride = c.num_train_timesteps // N
  for i = 2, #times do
    if times[i - 1] - times[i] ~= stride then return false end
  end
  return times[#times] - stride < 1
end

local function base(c)
  local last = c.set_alpha_to_one and 0 or 1
  return {
    schedule = betas.schedule(c), predict = keys.predict(c),
    times = function(N) return spacing.levels(spacing.plain(c, N), c.num_train_timesteps, N), last end,
  }
end

-- The sampler's options of clipping.
local function clip_of(c)
  if c.thresholding then return { ratio = c.dynamic_thresholding_ratio, most = c.sample_max_value } end
  return { clip = c.clip_sample and c.clip_sample_range or nil }
end

local function ddim(c, o)
  local plan = base(c)
  local times, last = plan.times(o.steps or 1)
  local sampler = clip_of(c)
  sampler.eta, sampler.pair = o.eta, o.use_clipped_model_output and "clipped" or nil
  sampler[1] = "diffusers-ddim-eps-of-unclipped-x0"
  if not (o.steps and even(c, times, o.steps)) then
    sampler[1], sampler.steps, sampler.last = "diffusers-ddim-previous-by-stride", o.steps, last
  end
  plan.sampler = sampler
  return plan
end

local function ddim_inverse(c, o)
  if c.timestep_spacing == "linspace" then fail.raise "timestep_spacing 'linspace', which diffusers refuses here" end
  if c.set_alpha_to_zero ~= nil then c.set_alpha_to_one = c.set_alpha_to_zero end
  if c.prediction_type == "sample" and c.set_alpha_to_one then
    fail.raise "prediction_type 'sample' with set_alpha_to_one: without noise, x0 doesn't determine eps"
  end
  local plan = base(c)
  local _, last = plan.times(o.steps or 1)
  plan.sampler = { "diffusers-ddim-inverse-told-next-time", clip = c.clip_sample and c.clip_sample_range or nil,
                   steps = o.steps, last = last }
  plan.upward, plan.asked_ahead = true, true
  return plan
end

local own = { set_alpha_to_one = keys.flag(true), rescale_betas_zero_snr = keys.flag(false) }
local ddim_keys = opts.joined(keys.betas(), keys.predicts(), keys.threshold, keys.clip(true), keys.spacing "leading",
  own)
local inverse_keys = opts.joined(keys.betas(), keys.predicts(), keys.clip(true), keys.spacing "leading", own,
  { set_alpha_to_zero = keys.flag(nil) })
local call = { eta = true, use_clipped_model_output = true }

return {
  DDIMScheduler = { keys = ddim_keys, plan = ddim, call = call },
  DDIMParallelScheduler = { keys = ddim_keys, plan = ddim, call = call },
  DDIMInverseScheduler = { keys = inverse_keys, plan = ddim_inverse },
}

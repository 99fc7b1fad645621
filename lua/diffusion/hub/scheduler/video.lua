-- CogVideoX: DDIM and SDE-DPM-Solver++ on betas whose SNR is shifted.
local betas = require "diffusion.hub.scheduler.betas"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"
local named = require("diffusion.schedule").schedule

-- alpha_bar / (k + (1 - k) alpha_bar), and then zero terminal SNR.
local function shifted(c)
  local plain = betas.schedule(opts.joined(c, { rescale_betas_zero_snr = false }))
  local k, list = c.snr_shift_scale, {}
  for t = 1, plain.T do
    local alpha_bar = plain:alpha_bar(t)
    list[t] = alpha_bar / (k + (1 - k) * alpha_bar)
  end
  local s = named.from_alpha_bar(list)
  return c.rescale_betas_zero_snr and s:rescale_zero_terminal_snr() or s
end

local function plan_of(sampler)
  return function(c, o)
    local last = c.set_alpha_to_one and 0 or 1
    return {
      schedule = shifted(c), predict = keys.predict(c), sampler = { sampler, steps = o.steps, last = last },
      times = function(N) return spacing.levels(spacing.plain(c, N), c.num_train_timesteps, N), last end,
    }
  end
end

local own = opts.joined(keys.betas(keys.latent), keys.predicts(), keys.clip(true), keys.spacing "leading", {
  set_alpha_to_one = keys.flag(true), rescale_betas_zero_snr = keys.flag(false), snr_shift_scale = keys.number(3,
    { above = 0 }),
})

-- diffusers takes eta here, and doesn't use it.
local call = { eta = true, use_clipped_model_output = true }

return {
  CogVideoXDDIMScheduler = { keys = own, plan = plan_of "diffusers-ddim-previous-by-stride", call = call },
  CogVideoXDPMScheduler = { keys = own, plan = plan_of "diffusers-dpmpp-2m-sde-drawn-twice", call = call },
}

-- The classes of score-based models: ScoreSdeVe, ScoreSdeVp and KarrasVe.
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local named = require("diffusion.schedule").schedule

local positive = { above = 0 }

-- N numbers in equal steps. A single one is the first.
local function line(first, last, N)
  local out = {}
  for i = 1, N do out[i] = N == 1 and first or first + (i - 1) / (N - 1) * (last - first) end
  return out
end

-- Levels of sigma in equal steps of its logarithm. The network gets the sigma of times from 1 to sampling_eps instead
-- of 1 to 0, and a single step is taken at sigma_min but shown as sigma_max.
local function ve(c)
  local T = c.num_train_timesteps
  local s = named.ve { T = T, sigma_min = c.sigma_min, sigma_max = c.sigma_max }
  local function times(N)
    if (N - 1) * c.sampling_eps >= 1 then
      fail.raise("sampling_eps = %g: in %d steps diffusers takes a level twice; take at most %d", c.sampling_eps, N,
        math.ceil(1 / c.sampling_eps))
    end
    local out, told, at = line(T, 1, N), {}, line(1, c.sampling_eps, N)
    if N == 1 then out = { 1 } end
    for i, t in ipairs(out) do told[t] = c.sigma_min * (c.sigma_max / c.sigma_min) ^ at[i] end
    return out, 0, told
  end
  local function start() return c.sigma_max end
  return {
    schedule = s, predict = "score", times = times, start = start,
    sampler = { "predictor_corrector", predictor = "reverse", corrections = c.correct_steps, snr = c.snr,
                corrector = "before", norms = "batch" },
  }
end

-- Times u = t/T from 1 to sampling_eps. The steps are of 1/N, whatever the distance of the times.
local function vp(c, o)
  local T = c.num_train_timesteps
  local s = named.vp { T = T, beta_min = c.beta_min, beta_max = c.beta_max }
  return {
    schedule = s, predict = "eps", shown = function(t) return t / T end,
    times = function(N) return line(T, c.sampling_eps * T, N), 0 end,
    sampler = { "diffusers-score-vp-equal-steps", beta_min = c.beta_min, beta_max = c.beta_max, steps = o.steps },
  }
end

-- A level may miss a limit of sigma by rounding, relative to it.
local close = 1e-9

-- diffusers' schedule has squares of sigma, which its steps take for sigma. The network gets (x + 1)/2 and sigma/2.
local function karras(c, o)
  if o.steps == 1 then fail.raise "steps = 1: diffusers divides by the number of steps less one" end
  local low, high = c.sigma_min ^ 2, c.sigma_max ^ 2
  local T, ends = 1000, math.sqrt(2) -- room for churn
  local s = named.ve { T = T, sigma_min = low, sigma_max = high * ends }
  local top = 1 + (T - 1) * math.log(high / low) / math.log(high * ends / low)
  local function half(t) return s:sigma(t) / 2 end
  return {
    schedule = s, predict = "eps", shown = half, times = function(N) return line(top, 1, N), 0 end,
    sampler = { "heun", draws = "every", s_churn = c.s_churn, s_noise = c.s_noise,
                s_tmin = c.s_min * (1 - close), s_tmax = c.s_max * (1 + close) },
    start = function() return c.sigma_max end,
    input = function() return 0.5 end, shift = 0.5, out = function(t) return -half(t) end,
  }
end

local steps = keys.steps(2000, 2)
return {
  ScoreSdeVeScheduler = { plan = ve, keys = {
    num_train_timesteps = steps, snr = keys.number(0.15, positive), sigma_min = keys.number(0.01, positive),
    sigma_max = keys.number(1348, positive), sampling_eps = keys.number(1e-5, { min = 0, below = 1 }),
    correct_steps = keys.integer(1, 0),
  } },
  ScoreSdeVpScheduler = { plan = vp, keys = {
    num_train_timesteps = steps, beta_min = keys.number(0.1, { min = 0 }), beta_max = keys.number(20, positive),
    sampling_eps = keys.number(1e-3, { above = 0, below = 1 }),
  } },
  KarrasVeScheduler = { plan = karras, keys = {
    sigma_min = keys.number(0.02, positive), sigma_max = keys.number(100, positive),
    s_noise = keys.number(1.007, { min = 0 }), s_churn = keys.number(80, { min = 0 }),
    s_min = keys.number(0.05, { min = 0 }), s_max = keys.number(50, { min = 0 }),
  } },
}

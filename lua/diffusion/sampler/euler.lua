--- Euler's step of the probability-flow ODE in sigma: Karras et al. 2022, eq. 1.
-- With y = x/a and sigma(t) = t the ODE is dy/dsigma = (y - x0)/sigma = eps:
--   y_s = y_t + (sigma_s - sigma_t) eps = x0 + sigma_s eps.
-- It equals ddim with eta = 0, and s = 0 gives x0.
local churn = require "diffusion.sampler.churn"
local levels = require "diffusion.sampler.levels"

local function euler(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local s, x0, eps = level(pair.s), denoise(x, pair.t)
    if s.t == 0 then return x0 end
    return opts.mix(s.a, x0, s.a * s.sigma, eps)
  end
end

-- Karras et al. 2022, algorithm 2 without its correction. Noise takes x from t up to
-- (1 + gamma) sigma_t, and the model is evaluated there.
local function euler_churn(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local from, t = churn.up(opts, level, process, x, pair)
    local s, x0, eps = level(pair.s), denoise(from, t.t)
    if s.t == 0 then return x0 end
    return opts.mix(s.a / t.a, from, s.a * (s.sigma - t.sigma), eps)
  end
end

-- Euler's step to sigma_down, then noise up to sigma_s (k-diffusion).
local function euler_ancestral(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    if s.t == 0 then return x0 end
    local down, up = levels.ancestral(t.sigma, s.sigma, opts.eta)
    return opts.mix_path(s.a * up, t.lambda, s.lambda, 1, s.a, x0, s.a * down, eps)
  end
end

return {
  euler = { make = euler, source = "Karras et al. 2022, eq. 1, by Euler",
    order = 1, pair = true },
  euler_churn = { make = euler_churn, source = "Karras et al. 2022, algorithm 2 without its correction",
    order = 1, stochastic = true, signal = true, rules = churn.rules },
  euler_ancestral = { make = euler_ancestral, source = "k-diffusion; with eta = 1 it is ddpm",
    order = 1, stochastic = true, signal = true, pair = true,
    rules = { eta = levels.eta } },
}

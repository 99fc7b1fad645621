--- Heun's method solves the probability-flow ODE in sigma: Karras et al. 2022, algorithm 1, and
--- algorithm 2 if s_churn > 0.
-- The slope eps at t gives a guess at s. The slope there is averaged with the first:
--   y_s = y_t + (sigma_s - sigma_t) (eps_t + eps_s)/2,  y = x/a.
-- At s = 0 there is no second slope, so the step is Euler's, which returns x0.
local churn = require "diffusion.sampler.churn"
local levels = require "diffusion.sampler.levels"
local opts = require "diffusion.opts"

local function heun(denoise, process, o)
  local level = levels.of(process)
  return function(x, pair)
    local from, t = churn.up(o, level, process, x, pair)
    local s, x0, eps = level(pair.s), denoise(from, t.t)
    if s.t == 0 then return x0 end
    local keep, way = s.a / t.a, s.a * (s.sigma - t.sigma)
    local guess = o.mix(keep, from, way, eps)
    local _, there = denoise(guess, s.t)
    return o.mix(keep, from, way / 2, eps, way / 2, there)
  end
end

return { heun = { make = heun, source = "Karras et al. 2022, algorithms 1 and 2",
    order = 2, evaluations = 2, signal = true, rules = opts.joined(churn.rules, { draws = levels.draws }) } }

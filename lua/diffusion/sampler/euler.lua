--- Euler's step of the probability-flow ODE in sigma: Karras et al. 2022, eq. 1.
-- With y = x/a and sigma(t) = t the ODE is dy/dsigma = (y - x0)/sigma = eps:
--   y_s = y_t + (sigma_s - sigma_t) eps.
-- It is ddim with eta = 0, written so; and s = 0 gives x0.
local levels = require "diffusion.sampler.levels"

local function euler(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    if s.t == 0 then return x0 end
    return opts.mix(s.a / t.a, x, s.a * (s.sigma - t.sigma), eps)
  end
end

return { euler = { make = euler, order = 1, signal = true } }

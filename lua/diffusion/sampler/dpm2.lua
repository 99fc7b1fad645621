--- DPM-2, the midpoint method of Karras et al. 2022 (algorithm 2 of its code, after
--- DPM-Solver-2 of Lu et al. 2022): the slope halfway in ln sigma takes the whole step.
--   sigma_m = sqrt(sigma_t sigma_s),  y_s = y_t + (sigma_s - sigma_t) eps(y_m),  y = x/a.
-- At s = 0 there is no such middle: Euler's step, which returns x0.
local levels = require "diffusion.sampler.levels"

local function dpm2(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    if s.t == 0 then return x0 end
    local m = level(process.schedule:level_of_sigma(math.sqrt(t.sigma * s.sigma)))
    local middle = opts.mix(m.a / t.a, x, m.a * (m.sigma - t.sigma), eps)
    local _, slope = denoise(middle, m.t)
    return opts.mix(s.a / t.a, x, s.a * (s.sigma - t.sigma), slope)
  end
end

return { dpm2 = { make = dpm2, order = 2, evaluations = 2, signal = true } }

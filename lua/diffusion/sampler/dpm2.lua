--- DPM-2 of k-diffusion follows DPM-Solver-2 (Lu et al. 2022) and algorithm 2 of Karras et al. 2022.
--- The slope halfway in ln sigma is used for the whole step.
--   sigma_m = sqrt(sigma_t sigma_s),  y_s = y_t + (sigma_s - sigma_t) eps(y_m),  y = x/a.
-- At s = 0 no such middle exists, so the step is Euler's, which returns x0.
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

-- The step above to sigma_down, then noise up to sigma_s (k-diffusion). If eta > 1 makes sigma_down
-- 0, no middle exists either.
local function dpm2_ancestral(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    if s.t == 0 then return x0 end
    local down, up = levels.ancestral(t.sigma, s.sigma, opts.eta)
    if down > 0 then
      local m = levels.at_sigma(process, level, math.sqrt(t.sigma * down))
      eps = select(2, denoise(opts.mix(m.a / t.a, x, m.a * (m.sigma - t.sigma), eps), m.t))
    end
    return opts.mix_path(s.a * up, t.lambda, s.lambda, 1, s.a / t.a, x, s.a * (down - t.sigma), eps)
  end
end

return {
  dpm2 = { make = dpm2, source = 'k-diffusion, after Lu et al. 2022, "DPM-Solver"',
    order = 2, evaluations = 2, signal = true },
  dpm2_ancestral = { make = dpm2_ancestral, source = "k-diffusion",
    order = 1, evaluations = 2, stochastic = true, signal = true,
    rules = { eta = levels.eta } },
}

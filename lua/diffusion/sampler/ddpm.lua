--- Ancestral sampling: Ho et al. 2020, algorithm 2, on any pair of levels t > s.
-- x_s = c0 x0 + ct x_t + sigma z, the posterior's mean (eq. 7) at the model's x0 and the
-- process's variance; nothing is added on the way to s = 0, whatever the variance.
local levels = require "diffusion.sampler.levels"

local function ddpm(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = pair.t, pair.s
    local x0 = denoise(x, t)
    local c0, ct = process:posterior_coefficients(t, s)
    if s == 0 then return opts.mix(c0, x0, ct, x) end
    local sigma = math.sqrt(process:step_variance(t, s))
    return opts.mix_path(sigma, level(t).lambda, level(s).lambda, 1, c0, x0, ct, x)
  end
end

return { ddpm = { make = ddpm, source = "Ho et al. 2020, algorithm 2",
    order = 1, stochastic = true } }

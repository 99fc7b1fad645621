--- Ancestral sampling: Ho et al. 2020, algorithm 2, on any pair of levels t > s.
-- x_s = c0 x0 + ct x_t + sigma z: the posterior's mean (eq. 7) at the predicted x0, and the
-- process's variance, per element if it is learned. No noise is added in a step to s = 0.
local levels = require "diffusion.sampler.levels"

local function ddpm(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = pair.t, pair.s
    local x0, _, v = denoise(x, t)
    local c0, ct = process:posterior_coefficients(t, s)
    if s == 0 then return opts.mix(c0, x0, ct, x) end
    local variance, from, to = process:step_variance(t, s, v), level(t).lambda, level(s).lambda
    if not v then return opts.mix_path(math.sqrt(variance), from, to, 1, c0, x0, ct, x) end
    return opts.mix(c0, x0, ct, x) + variance:sqrt() * opts.mix_path(1, from, to, 1, 0, x)
  end
end

return { ddpm = { make = ddpm, source = "Ho et al. 2020, algorithm 2",
    order = 1, stochastic = true, every = true } }

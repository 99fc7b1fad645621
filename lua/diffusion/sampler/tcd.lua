--- Trajectory consistency sampling: Zheng et al. 2024, "Trajectory consistency distillation",
--- algorithm 4.
-- The step goes without noise to level m = floor((1 - gamma) s), with levels counted from 0. Then
-- noise takes it up to s by q(x_s | x_m). gamma = 0 is ddim. gamma = 1 does what lcm does with its
-- own x0.
local levels = require "diffusion.sampler.levels"

local function tcd(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local x0, eps = denoise(x, pair.t)
    if pair.s == 0 then return x0 end
    local s, m = level(pair.s), level(math.floor((1 - opts.gamma) * (pair.s - 1)) + 1)
    if m.t >= s.t then return opts.mix(s.a, x0, s.s, eps) end
    local keep, variance = process:q_moments(1, s.t, m.t)
    return opts.mix_noise(math.sqrt(variance), s.a, x0, keep * m.s, eps)
  end
end

return { tcd = { make = tcd, source = "Zheng et al. 2024, algorithm 4",
    stochastic = true, rules = { gamma = { "number", default = 0.3, min = 0, max = 1,
      text = "share of stochasticity: 0 is ddim, 1 goes to the data and back in each step" } } } }

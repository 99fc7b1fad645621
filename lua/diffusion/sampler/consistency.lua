--- Multistep consistency sampling: Song et al. 2023, "Consistency models", algorithm 1.
-- The x0 predicted by the model is the end of the trajectory through x_t, at the schedule's first
-- level. In y = x/a noise takes it to sigma_s: y = x0 + sqrt(sigma_s^2 - sigma_1^2) z.
local levels = require "diffusion.sampler.levels"

local function consistency(denoise, process, opts)
  local level = levels.of(process)
  local least = process.schedule:sigma(1)
  return function(x, pair)
    local s, x0 = level(pair.s), denoise(x, pair.t)
    if s.sigma <= least then return x0 end
    return opts.mix_noise(s.a * opts.s_noise * math.sqrt(s.sigma ^ 2 - least ^ 2), s.a, x0)
  end
end

return { consistency = { make = consistency, source = "Song et al. 2023, algorithm 1",
    stochastic = true, rules = {
      s_noise = { "number", default = 1, min = 0, later = true, text = "factor of the noise" },
    } } }

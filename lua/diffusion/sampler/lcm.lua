--- Sampling from a latent consistency model: Luo et al. 2023, algorithm 3. It is the multistep
--- consistency sampling of Song et al. 2023, algorithm 1, on discrete t.
-- The distilled network predicts the end of the trajectory through x_t,
--   f = c_skip x_t + c_out x0,  c_skip = d^2/((10 t)^2 + d^2),  c_out = 10 t/sqrt((10 t)^2 + d^2),
-- with d = 0.5 and t counted from 0. d = 0 leaves f = x0. Then noise takes f to level s by q(x_s | x_0
-- = f).
local levels = require "diffusion.sampler.levels"

local function lcm(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local s, u = level(pair.s), opts.timestep_scaling * (pair.t - 1)
    local x0 = denoise(x, pair.t)
    local data, root = opts.sigma_data, math.sqrt(u ^ 2 + opts.sigma_data ^ 2)
    local skip, out = data == 0 and 0 or (data / root) ^ 2, data == 0 and 1 or u / root
    if s.t == 0 then return opts.mix(skip, x, out, x0) end
    return opts.mix_noise(s.s, s.a * skip, x, s.a * out, x0)
  end
end

return {
  lcm = { make = lcm, source = "Luo et al. 2023, algorithm 3",
    stochastic = true, rules = {
    timestep_scaling = { "number", default = 10, above = 0, text = "factor of t in the skip and output scales" },
    sigma_data = { "number", default = 0.5, min = 0, text = "standard deviation of the data in these scales" },
  } },
}

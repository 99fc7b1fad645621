--- DDIM: Song et al. 2021, "Denoising diffusion implicit models", eq. 12 and 16.
-- x_s = a_s x0 + sqrt(s_s^2 - sigma^2) eps + sigma z with sigma^2 = eta^2 times the
-- posterior's variance: eta = 0 is deterministic, eta = 1 is ddpm with fixed_small.
local fail = require "diffusion.fail"

local function ddim(denoise, process, opts)
  local schedule, eta = process.schedule, opts.eta
  return function(x, pair)
    local t, s = pair.t, pair.s
    local x0, eps = denoise(x, t)
    if s == 0 then return x0 end
    if s == t then return x end
    local variance = eta == 0 and 0 or eta ^ 2 * schedule:posterior_variance(t, s)
    local left = schedule:noise(s) ^ 2 - variance
    if left < -1e-12 * variance then
      fail.raise("sampler ddim: eta = %g needs more noise than there is at s = %g, from t = %g: at most %.4g is "
        .. "possible there", eta, s, t, eta * schedule:noise(s) / math.sqrt(variance))
    end
    local direction = math.sqrt(math.max(0, left))
    if variance == 0 then return opts.mix(schedule:signal(s), x0, direction, eps) end
    return opts.mix_path(math.sqrt(variance), schedule:log_snr(t) / 2, schedule:log_snr(s) / 2, 1,
      schedule:signal(s), x0, direction, eps)
  end
end

return { ddim = { make = ddim, source = 'Song et al. 2021, "Denoising diffusion implicit models", eq. 12',
    rules = { eta = { "number", default = 0, min = 0,
      text = "factor of the posterior's standard deviation: 0 adds no noise, 1 is ddpm" } }, order = 1, pair = true } }

--- Steps with noise along a straight path x_t = (1 - w) x0 + w eps, as diffusers has them.
local levels = require "diffusion.sampler.levels"

-- Euler's step to w_down = w_s (1 + (w_s/w_t - 1) eta). Then x is scaled to the signal of w_s, and noise is
-- added up to w_s.
local function flow_euler_ancestral(denoise, process, opts)
  local level, tiny = levels.of(process), 1e-12
  return function(x, pair)
    local t, s, x0 = level(pair.t), level(pair.s), denoise(x, pair.t)
    if s.t == 0 then return x0 end
    local down = s.s * (1 + (s.s / t.s - 1) * opts.eta)
    local ratio = down / t.s
    if opts.eta == 0 or opts.s_noise == 0 then return opts.mix(ratio, x, 1 - ratio, x0) end
    local signal = 1 - down
    local up = math.sqrt(math.max(0, s.s ^ 2 - down ^ 2 * s.a ^ 2 / (signal ^ 2 + tiny)))
    local keep = s.a / (signal + tiny)
    return opts.mix_noise(up * opts.s_noise, keep * ratio, x, keep * (1 - ratio), x0)
  end
end

return {
  ["diffusers-flow-euler-ancestral"] = { make = flow_euler_ancestral, stochastic = true,
    source = "diffusers' LTX, after ComfyUI", rules = {
      eta = levels.eta, s_noise = { "number", default = 1, min = 0, text = "factor of the noise" } } },
}

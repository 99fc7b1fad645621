--- DPM-Solver of order 1, 2 or 3, single step: Lu et al. 2022, "DPM-Solver", algorithms 1 and
--- 2 with r1 = 1/2, and 1/3 and 2/3.
-- With lambda = ln(a/s) and h = lambda_s - lambda_t the exact solution (prop. 3.1) is
--   x_s = (a_s/a_t) x_t - s_s (integral of e^(h - u) eps over u in 0..h).
-- eps is expanded in lambda about t, with differences from levels in between. The integrals are
-- rise(1, h) = e^h - 1, and rise(2, h) = (e^h - 1)/h - 1 for the first difference. At s = 0 h is
-- infinite: the step has order 1 and returns x0.
local levels = require "diffusion.sampler.levels"

local function rise(k, h) return -levels.gain(k, -h) end

local function first(_, mix, x, eps, t, s)
  return mix(s.a / t.a, x, -s.s * rise(1, s.lambda - t.lambda), eps)
end

local function second(denoise, mix, x, eps, t, s, at)
  local h, m = s.lambda - t.lambda, at(1 / 2)
  local _, middle = denoise(first(denoise, mix, x, eps, t, m), m.t)
  return mix(s.a / t.a, x, -s.s * rise(1, h), middle)
end

local function third(denoise, mix, x, eps, t, s, at)
  local h, m, n = s.lambda - t.lambda, at(1 / 3), at(2 / 3)
  local _, eps_m = denoise(first(denoise, mix, x, eps, t, m), m.t)
  local bend = -n.s * rise(2, 2 * h / 3) * 2
  local _, eps_n = denoise(mix(n.a / t.a, x, -n.s * rise(1, 2 * h / 3) - bend, eps, bend, eps_m), n.t)
  bend = -s.s * rise(2, h) * 3 / 2
  return mix(s.a / t.a, x, -s.s * rise(1, h) - bend, eps, bend, eps_n)
end

local orders = { first, second, third }

local function dpm_solver(denoise, process, opts)
  local level, step = levels.of(process), orders[opts.order]
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    if s.t == 0 then return x0 end
    local function at(r) return levels.between(process, level, t, s, r) end
    return step(denoise, opts.mix, x, eps, t, s, at)
  end
end

return {
  dpm_solver = { make = dpm_solver, source = 'Lu et al. 2022, "DPM-Solver", algorithms 1 and 2',
    order = 3, evaluations = 3, signal = true,
    rules = { order = { "integer", default = 3, min = 1, max = 3,
      text = "evaluations of a step" } } },
}

--- SDE-DPM-Solver++: Lu et al. 2022, "DPM-Solver++", its section on diffusion SDEs. m is the
--- predicted x0. eta goes from the ODE (0) to the reverse SDE (1).
-- With h = lambda_s - lambda_t and H = (1 + eta) h the exact solution is
--   x_s = (s_s/s_t) e^(-eta h) x_t + a_s (integral of e^-(H - v) m over v in 0..H)
--         + s_s sqrt(1 - e^(-2 eta h)) z.
-- m is expanded about t as in dpmpp. gain(k, H) are the integrals. At s = 0 h is infinite, and each
-- of these samplers returns m. A step of no length returns x.
local levels = require "diffusion.sampler.levels"
local order = require "diffusion.sampler.order"

local gain = levels.gain

-- The step with m for all values. The further arguments are terms to add.
local function step(opts, x, t, s, eta, ...)
  local h = s.lambda - t.lambda
  local keep = s.s / t.s * (eta == 0 and 1 or math.exp(-eta * h))
  if eta == 0 then return opts.mix(keep, x, ...) end
  local sigma = opts.s_noise * s.s * math.sqrt(levels.gain(1, 2 * eta * h))
  return opts.mix_path(sigma, t.lambda, s.lambda, eta, keep, x, ...)
end

-- k-diffusion's: m at a level halfway in lambda, reached along the path of the noise. eta is that of
-- the SDE above. k-diffusion's eta scales sigma_up of an ancestral step, which agrees at 0 and 1.
local function dpmpp_sde(denoise, process, opts)
  local level, eta = levels.of(process), opts.eta
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local m, h = denoise(x, t.t), s.lambda - t.lambda
    if s.t == 0 then return m end
    if h < math.huge then
      local half = levels.between(process, level, t, s, 1 / 2)
      m = denoise(step(opts, x, t, half, eta, half.a * gain(1, (1 + eta) * h / 2), m), half.t)
    end
    return step(opts, x, t, s, eta, s.a * gain(1, (1 + eta) * h), m)
  end
end

local function dpmpp_2m_sde(denoise, process, opts)
  local level, eta = levels.of(process), opts.eta
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local m = denoise(x, t.t)
    if s.t == 0 then return m end
    if s.t == t.t then return x end
    local h, before = s.lambda - t.lambda, history.m
    local H, r = (1 + eta) * h, before and history.h / h
    history.m, history.h = m, h
    if not before or order.at(opts, pair, 2) == 1 then return step(opts, x, t, s, eta, s.a * gain(1, H), m) end
    local w = s.a * (opts.form == "heun" and gain(2, H) or gain(1, H) / 2) / r
    return step(opts, x, t, s, eta, s.a * gain(1, H) + w, m, -w, before)
  end
end

-- Three values of m, as in dpmpp_3m. d2 = 1 gives k-diffusion's second difference, half of it.
local function dpmpp_3m_sde(denoise, process, opts)
  local level, eta = levels.of(process), opts.eta
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local m = denoise(x, t.t)
    if s.t == 0 then return m end
    local h, m1, m2 = s.lambda - t.lambda, history.m, history.m1
    local H, r0, r1 = (1 + eta) * h, m1 and history.h / h, m2 and history.h1 / h
    history.m, history.h, history.m1, history.h1 = m, h, m1, history.h
    local g = s.a * gain(1, H)
    if not m1 then return step(opts, x, t, s, eta, g, m) end
    if not m2 then
      local w = s.a * gain(2, H) / r0
      return step(opts, x, t, s, eta, g + w, m, -w, m1)
    end
    local ab = (gain(2, H) * r0 + gain(3, H) * opts.d2) / (r0 + r1) -- weight of A - B
    local a, b = s.a * (gain(2, H) + ab) / r0, s.a * ab / r1
    return step(opts, x, t, s, eta, g + a, m, -a - b, m1, b, m2)
  end
end

local function rules(more)
  more = more or {}
  more.eta = levels.eta
  more.s_noise = { "number", default = 1, min = 0, text = "factor of the noise" }
  return more
end

return {
  dpmpp_sde = { make = dpmpp_sde, source = "k-diffusion, after Lu et al. 2022, SDE-DPM-Solver++",
    order = 1, evaluations = 2, stochastic = true, rules = rules() },
  dpmpp_2m_sde = { make = dpmpp_2m_sde, source = "Lu et al. 2022, SDE-DPM-Solver++(2M)",
    order = 1, stochastic = true, remembers = { m = { "h" }, h = {} },
    rules = order.rules(rules { form = order.form }, true) },
  dpmpp_3m_sde = { make = dpmpp_3m_sde, source = "k-diffusion, second difference corrected",
    order = 1, stochastic = true, remembers = { m = { "h" }, h = {}, m1 = { "m", "h1" }, h1 = {} },
    rules = rules { d2 = order.d2 } },
}

--- DPM-Solver++: Lu et al. 2022, "DPM-Solver++", with m for the x0 predicted by the model.
-- With lambda = ln(a/s) and h = lambda_s - lambda_t the exact solution (eq. 8) is
--   x_s = (s_s/s_t) x_t + a_s (integral of e^-(h - u) m over u in 0..h).
-- m is expanded in lambda about t. gain(k, h) is that integral of (u/h)^(k-1)/(k-1)!:
--   gain 1 = 1 - e^-h,  gain 2 = 1 - gain 1 / h,  gain 3 = 1/2 - gain 2 / h.
-- At s = 0 and at a_t = 0 h is infinite, so the step has order 1. At s = 0 it returns m. A step of
-- no length returns x.
local levels = require "diffusion.sampler.levels"
local order = require "diffusion.sampler.order"

local gain = levels.gain

local function first(mix, x, m, t, s)
  return mix(s.s / t.s, x, s.a * gain(1, s.lambda - t.lambda), m)
end

-- Algorithm 1: m halfway in lambda is used for the whole step.
local function dpmpp_2s(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local m = denoise(x, t.t)
    if s.lambda - t.lambda == math.huge then return first(opts.mix, x, m, t, s) end
    local half = levels.between(process, level, t, s, 1 / 2)
    return first(opts.mix, x, denoise(first(opts.mix, x, m, t, half), half.t), t, s)
  end
end

-- The step above to sigma_down, then noise up to sigma_s (k-diffusion). In y = x/a,
-- y_s = (sigma_down/sigma_t) y_t + (1 - e^-h) m + up z, with h measured to sigma_down. If sigma_down
-- is 0 (eta > 1) or sigma_t is infinite, h has no half, and m at t is used.
local function dpmpp_2s_ancestral(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local m = denoise(x, t.t)
    if s.t == 0 then return m end
    local down, up = levels.ancestral(t.sigma, s.sigma, opts.eta)
    if down > 0 and t.a > 0 then
      local half = levels.at_sigma(process, level, math.sqrt(t.sigma * down))
      m = denoise(first(opts.mix, x, m, t, half), half.t)
    end
    return opts.mix_path(s.a * up, t.lambda, s.lambda, 1, s.a * down / t.s, x, s.a * (1 - down / t.sigma), m)
  end
end

-- Order 3 in one step, by levels at 1/3 and 2/3 (as DPM-Solver-3, but with m).
local function dpmpp_3s(denoise, process, opts)
  local level, mix = levels.of(process), opts.mix
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local m, h = denoise(x, t.t), s.lambda - t.lambda
    if h == math.huge then return first(mix, x, m, t, s) end
    local p, q = levels.between(process, level, t, s, 1 / 3), levels.between(process, level, t, s, 2 / 3)
    local m_p = denoise(first(mix, x, m, t, p), p.t)
    local bend = q.a * 2 * gain(2, 2 * h / 3)
    local m_q = denoise(mix(q.s / t.s, x, q.a * gain(1, 2 * h / 3) - bend, m, bend, m_p), q.t)
    bend = s.a * 3 / 2 * gain(2, h)
    return mix(s.s / t.s, x, s.a * gain(1, h) - bend, m, bend, m_q)
  end
end

-- Two values of m give its first derivative D1 = (m - m1)/r0 in units of the step. r0 is the length
-- of the step before divided by h. "midpoint" weighs D1 by half of gain 1, "heun" by gain 2.
local function second(mix, x, m, t, s, history, form)
  local h = s.lambda - t.lambda
  local w = s.a * (form == "heun" and gain(2, h) or gain(1, h) / 2) * h / history.h
  return mix(s.s / t.s, x, s.a * gain(1, h) + w, m, -w, history.m)
end

-- Algorithm 2: m + (m - m_before) / 2r with r = h_before / h is used for the whole step.
local function dpmpp_2m(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local m = denoise(x, t.t)
    if s.t == 0 then return m end
    if s.t == t.t then return x end
    local y
    if history.m and order.at(opts, pair, 2) == 2 then
      y = second(opts.mix, x, m, t, s, history, opts.form)
    else
      y = first(opts.mix, x, m, t, s)
    end
    history.m, history.h = m, s.lambda - t.lambda
    return y
  end
end

-- The same backwards, from data to noise: pair = (t, s) takes x at s to t. h is infinite from s = 0,
-- where no network was trained, and to a_t = 0. Such steps are those of ddim_inversion.
local function dpmpp_2m_inversion(denoise, process, opts)
  local level, step = levels.of(process), dpmpp_2m(denoise, process, opts)
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    if s.t > 0 and t.a > 0 then
      return step(x, { t = pair.s, s = pair.t, i = pair.i, n = pair.n }, history)
    end
    local _, eps = denoise(x, s.t > 0 and s.t or t.t)
    local keep = t.a / s.a
    return opts.mix(keep, x, t.s - s.s * keep, eps)
  end
end

-- Three values of m give its first two derivatives in units of the step. r0 and r1 are the lengths
-- of the last two steps divided by h. With A = (m - m1)/r0 and B = (m1 - m2)/r1,
--   D1 = A + r0 (A - B)/(r0 + r1),   D2 = 2 (A - B)/(r0 + r1),
--   x_s = (s_s/s_t) x_t + a_s (gain 1 m + gain 2 D1 + gain 3 D2).
-- The paper's code, and code that follows it, lacks the 2 of D2 and so has order 2. d2 = 1
-- reproduces it.
local function third(mix, x, m, t, s, history, d2)
  local h = s.lambda - t.lambda
  local r0, r1 = history.h / h, history.h1 / h
  local ab = (gain(2, h) * r0 + gain(3, h) * d2) / (r0 + r1) -- weight of A - B
  local a, b = (gain(2, h) + ab) / r0, ab / r1
  return mix(s.s / t.s, x, s.a * (gain(1, h) + a), m, -s.a * (a + b), history.m, s.a * b, history.m1)
end

local function dpmpp_3m(denoise, process, opts)
  local level, d2 = levels.of(process), opts.d2
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local m = denoise(x, t.t)
    if s.t == 0 then return m end
    if s.t == t.t then return x end
    local most = order.at(opts, pair, 3)
    local y
    if history.m1 and most == 3 then
      y = third(opts.mix, x, m, t, s, history, d2)
    elseif history.m and most > 1 then
      y = second(opts.mix, x, m, t, s, history, opts.form)
    else
      y = first(opts.mix, x, m, t, s)
    end
    history.m1, history.h1, history.m, history.h = history.m, history.h, m, s.lambda - t.lambda
    return y
  end
end

local two, three = { m = { "h" }, h = {} }, { m = { "h" }, h = {}, m1 = { "m", "h1" }, h1 = {} }

return {
  dpmpp_2s = { make = dpmpp_2s, source = 'Lu et al. 2022, "DPM-Solver++", algorithm 1',
    order = 2, evaluations = 2 },
  dpmpp_2s_ancestral = { make = dpmpp_2s_ancestral, source = "k-diffusion, after Lu et al. 2022",
    order = 1, evaluations = 2, stochastic = true,
    rules = { eta = levels.eta } },
  dpmpp_3s = { make = dpmpp_3s, source = 'Lu et al. 2022, "DPM-Solver++", in three evaluations',
    order = 3, evaluations = 3 },
  dpmpp_2m = { make = dpmpp_2m, source = 'Lu et al. 2022, "DPM-Solver++", algorithm 2',
    order = 2, remembers = two, rules = order.rules { form = order.form } },
  dpmpp_2m_inversion = { make = dpmpp_2m_inversion, source = "dpmpp_2m backwards, from data to noise",
    order = 2, upward = true, remembers = two,
    rules = order.rules { form = order.form } },
  dpmpp_3m = { make = dpmpp_3m,
    source = 'Lu et al. 2022, "DPM-Solver++", three values, second difference corrected',
    order = 3, remembers = three, rules = order.rules { form = order.form, d2 = order.d2 } },
}

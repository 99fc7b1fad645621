--- SA-Solver follows Xue et al. 2023, "SA-Solver: stochastic Adams solver for fast sampling of
--- diffusion models", algorithm 1. m is the x0 predicted by the model.
-- tau goes from the ODE (0) to the reverse SDE (1). With h = lambda_s - lambda_t and
-- H = (1 + tau^2) h (prop. 4.2),
--   x_s = (s_s/s_t) e^(-tau^2 h) x_t + a_s sum_k w_k m_k + s_s sqrt(1 - e^(-2 tau^2 h)) z.
-- The w_k are the integrals of e^-(H - v) over v in 0..H of the polynomial through the m_k. The
-- predictor uses m at t and earlier (eq. 14). When the next step has m at s, the corrector takes x_t
-- to s again with that value too, and with the same z (eq. 17). "bh1" weighs the difference of two
-- values by H/2, as UniPC does, while the integral is gain(2, H).
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"
local order = require "diffusion.sampler.order"

-- With of = "eps" the values are those of eps, and the weights those of expansion.eps:
--   x_s = (a_s/a_t) x_t + (1 + tau^2) s_s sum_k w_k eps_k + tau s_s sqrt(e^(2h) - 1) z.

-- Takes x at level t to level s by these values, and adds noise if there is any.
local function move_eps(opts, x, t, s, used, tau, fresh)
  local h, nodes, moments, factorial = s.lambda - t.lambda, {}, {}, 1
  for k, m in ipairs(used) do
    nodes[k] = m.place == t.lambda and 0 or (m.place - t.lambda) / h
    moments[k] = factorial * levels.gain(k, -h)
    factorial = factorial * k
  end
  local scale = (1 + tau ^ 2) * s.s
  local w, terms = multistep.weights(nodes, moments), table.move(used, 1, #used, 1, {})
  if fresh then w[#w + 1], terms[#terms + 1] = 1 / scale, { value = fresh } end
  return multistep.sum(opts.mix, s.a / t.a, x, scale, w, terms)
end

local function move_x0(opts, x, t, s, used, tau, fresh)
  local h, nodes, moments, factorial = s.lambda - t.lambda, {}, {}, 1
  local H = (1 + tau ^ 2) * h
  for k, m in ipairs(used) do
    nodes[k] = m.place == t.lambda and 0 or (m.place - t.lambda) / h
    moments[k] = factorial * levels.gain(k, H)
    factorial = factorial * k
  end
  if opts.variant == "bh1" and #used == 2 then moments[2] = H / 2 end
  local w, terms = multistep.weights(nodes, moments), table.move(used, 1, #used, 1, {})
  if fresh then w[#w + 1], terms[#terms + 1] = 1 / s.a, { value = fresh } end
  local keep = s.s / t.s * (tau == 0 and 1 or math.exp(-tau ^ 2 * h))
  return multistep.sum(opts.mix, keep, x, s.a, w, terms)
end

-- Repeats the last step from its start, with m at its end included.
local function corrected(opts, history, m, s, level, pair)
  local used = { { value = m, place = s.lambda } }
  local most = math.min(opts.corrector, pair.n < opts.lower_order_final and pair.n - pair.i + 3 or opts.corrector)
  for k = 1, math.min(most - 1, #history.past) do used[k + 1] = history.past[k] end
  local move = opts.of == "x0" and move_x0 or move_eps
  return move(opts, history.x, level(history.t), s, used, history.tau, history.fresh)
end

local function tau_at(opts, t)
  local tau = opts.tau
  if type(tau) == "function" then tau = tau(t) end
  if type(tau) ~= "number" or not (tau >= 0 and tau < math.huge) then
    fail.raise("sa_solver: tau must be 0 or more, got %s at t = %g", kind.shown(tau), t)
  end
  return tau
end

-- sigma z of a step, or nil if it has no noise.
local function noise_of(opts, x, t, s, tau)
  if tau == 0 then
    if opts.draws == "every" then opts.mix_noise(0, 0, x) end
    return nil
  end
  local h = s.lambda - t.lambda
  if opts.of == "eps" then return opts.mix_noise(tau * s.s * math.sqrt(-levels.gain(1, -2 * h)), 0, x) end
  return opts.mix_path(s.s * math.sqrt(levels.gain(1, 2 * tau ^ 2 * h)), t.lambda, s.lambda, tau ^ 2, 0, x)
end

local function sa_solver(denoise, process, opts)
  local level, most = levels.of(process), math.max(opts.predictor, opts.corrector - 1)
  local of_x0 = opts.of == "x0"
  local move = of_x0 and move_x0 or move_eps
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local tau, x0, eps = tau_at(opts, t.t), denoise(x, t.t)
    if s.t == 0 then return x0 end
    local m = of_x0 and x0 or eps
    if history.x and opts.corrector > 0 then x = corrected(opts, history, m, t, level, pair) end
    if s.t == t.t then return x end
    local past = multistep.remember(history, m, t.lambda, most)
    local used = order.newest(past, opts, pair, opts.predictor)
    local fresh = noise_of(opts, x, t, s, tau)
    history.x, history.t, history.tau, history.fresh = t.a > 0 and x or nil, t.t, tau, fresh
    return move(opts, x, t, s, used, tau, fresh)
  end
end

return {
  sa_solver = { make = sa_solver, source = "Xue et al. 2023, algorithm 1",
    order = 1, stochastic = true,
    remembers = { past = {}, x = { "t", "tau", "past" }, t = {}, tau = {}, fresh = {} }, rules = order.rules {
    predictor = { "integer", default = 2, min = 1, max = 4, text = "values that the predictor uses" },
    corrector = { "integer", default = 2, min = 0, max = 4, text = "values that the corrector uses; 0: no corrector" },
    tau = { "number|function", default = 1, min = 0, as = "number|fun(t: number): number",
      text = "noise from 0, the ODE, to 1, the reverse SDE; or a function of t" },
    of = { one_of = { "x0", "eps" }, default = "x0", later = true, text = "prediction that the step uses" },
    draws = levels.draws,
    variant = { one_of = { "adams", "bh1" }, default = "adams", text = "weights of two values" },
  } },
}

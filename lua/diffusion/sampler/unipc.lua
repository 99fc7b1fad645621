--- UniPC: Zhao et al. 2023, algorithms 1 and 2. m is the predicted x0 or eps.
-- A predictor of order p takes x_t to x_s by m at t and at p - 1 earlier levels (eq. 3 without its
-- last term). When the next step has m at s, a corrector of order p + 1 repeats the step with that
-- value too, without another evaluation. With h = lambda_s - lambda_t,
-- r_k = (lambda_k - lambda_t)/h and D_k = (m_k - m)/r_k, both are
--   x_s = keep x_t + scale (g(1) m + sum_k w_k D_k),
--   sum_k r_k^(j-1) w_k = j! g(j + 1),   j = 1 .. number of k  (eq. 5).
-- keep, scale and g are those of expansion.lua: for x0 they are s_s/s_t, a_s and gain(k, h). A single
-- D_k has w = B/2 instead, with B = h (bh1; -h for eps) or g(1) (bh2). At s = 0 h is infinite and the
-- step returns x0. A step of no length only corrects x. A step from a_t = 0 has infinite h too, and is
-- not corrected. m at s belongs to x
-- as predicted, not as corrected. After a step far shorter than its neighbours that gap makes D_k
-- large.
local expansion = require "diffusion.sampler.expansion"
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"
local order_of = require "diffusion.sampler.order"

-- The w_k of the D_k from these r_k.
local function weights_of(r, B, g)
  if #r == 1 then return { B / 2 } end
  local moments, factorial = {}, 1
  for j = 1, #r do
    factorial = factorial * j
    moments[j] = factorial * g(j + 1)
  end
  return multistep.weights(r, moments)
end

-- Takes x at level t to level s by m at t and the values `others`.
local function update(mix, x, t, s, m, others, form)
  local h, r = s.lambda - t.lambda, {}
  local keep, scale, g = expansion[form.of](t, s)
  for k, other in ipairs(others) do r[k] = (other.place - t.lambda) / h end
  local B = form.variant == "bh2" and g(1) or form.of == "x0" and h or -h
  local w = #r > 0 and weights_of(r, B, g) or {}
  local own = g(1)
  for k = 1, #r do
    w[k] = w[k] / r[k]
    own = own - w[k]
  end
  local all = { { value = m } }
  return multistep.sum(mix, keep, x, scale, table.move(w, 1, #w, 2, { own }), table.move(others, 1, #others, 2, all))
end

-- Repeats the last step from its start, with m at its end included.
local function corrected(mix, history, m, t, level, form)
  local others = table.move(history.used, 2, #history.used, 1, {})
  others[#others + 1] = { value = m, place = t.lambda }
  return update(mix, history.x, level(history.t), t, history.used[1].value, others, form)
end

-- Whether the user leaves out the correction in this step.
local function left_out(opts, pair)
  for _, i in ipairs(opts.uncorrected) do
    if i == pair.i then return true end
  end
  return false
end

local function unipc(of)
  return function(denoise, process, opts)
    local level, mix, form = levels.of(process), opts.mix, { of = of, variant = opts.variant }
    local order, correct = opts.order, opts.corrector
    return function(x, pair, history)
      local t, s = level(pair.t), level(pair.s)
      local x0, eps = denoise(x, t.t)
      if s.t == 0 then return x0 end
      local m = of == "x0" and x0 or eps
      if correct and history.x and not left_out(opts, pair) then x = corrected(mix, history, m, t, level, form) end
      if s.t == t.t then return x end
      local past = multistep.remember(history, m, t.lambda, order)
      local used = order_of.newest(past, opts, pair, order)
      history.x, history.t, history.used = t.a > 0 and x or nil, t.t, used
      return update(mix, x, t, s, m, table.move(used, 2, #used, 1, {}), form)
    end
  end
end

local remembers = { past = {}, used = {}, x = { "t", "used" }, t = {} }
local rules = order_of.rules {
  order = { "integer", default = 2, min = 1, max = 3, text = "values that the predictor uses" },
  variant = { one_of = { "bh1", "bh2" }, default = "bh2", text = "B(h) of the paper: h, or e^h - 1" },
  uncorrected = { "table", each = { "integer" }, default = {}, as = "integer[]", later = true,
    text = "numbers of steps that don't correct x" },
  corrector = { "boolean", default = true, text = "corrects each x with the next step's value" },
}

return {
  unipc = { make = unipc "x0", source = "Zhao et al. 2023, algorithms 1 and 2, on x0",
    order = 3, remembers = remembers, rules = rules },
  unipc_eps = { make = unipc "eps", source = "Zhao et al. 2023, algorithms 1 and 2, on eps",
    order = 3, signal = true, remembers = remembers, rules = rules },
}

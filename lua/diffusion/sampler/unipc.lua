--- UniPC on the model's x0 (m below): Zhao et al. 2023, algorithms 1 and 2.
-- A predictor of order p takes x_t to x_s by m at t and at p - 1 levels before (eq. 3
-- without its last term); when the next step has m at s, a corrector with that one, too,
-- takes x_t to s again, of order p + 1 and at no further evaluation. With h = lambda_s -
-- lambda_t, r_k = (lambda_k - lambda_t)/h and D_k = (m_k - m)/r_k, both are
--   x_s = (s_s/s_t) x_t + a_s ((1 - e^-h) m + sum_k w_k D_k),
--   sum_k r_k^(j-1) w_k = j! gain(j + 1, h),   j = 1 .. number of k  (eq. 5).
-- One D_k alone has w = B/2 instead, B = h (bh1) or 1 - e^-h (bh2). At s = 0 h is infinite:
-- m itself; and a step from a_t = 0, infinite too, is not corrected. m at s is of x as predicted,
-- not as corrected: after a step far shorter than its neighbours that gap makes D_k large.
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"

local gain = levels.gain

-- w of the D_k with these r_k.
local function weights_of(r, h, variant)
  if #r == 1 then return { (variant == "bh1" and h or gain(1, h)) / 2 } end
  local moments, factorial = {}, 1
  for j = 1, #r do
    factorial = factorial * j
    moments[j] = factorial * gain(j + 1, h)
  end
  return multistep.weights(r, moments)
end

-- From x at level t to level s by m at t and the values `others`.
local function update(mix, x, t, s, m, others, variant)
  local h, r = s.lambda - t.lambda, {}
  for k, other in ipairs(others) do r[k] = (other.place - t.lambda) / h end
  local w = #r > 0 and weights_of(r, h, variant) or {}
  local own = gain(1, h)
  for k = 1, #r do
    w[k] = w[k] / r[k]
    own = own - w[k]
  end
  local all = { { value = m } }
  return multistep.sum(mix, s.s / t.s, x, s.a, table.move(w, 1, #w, 2, { own }),
    table.move(others, 1, #others, 2, all))
end

-- Again from where the last step began, with m at its end.
local function corrected(mix, history, m, t, level, variant)
  local others = table.move(history.used, 2, #history.used, 1, {})
  others[#others + 1] = { value = m, place = t.lambda }
  return update(mix, history.x, level(history.t), t, history.used[1].value, others, variant)
end

local function unipc(denoise, process, opts)
  local level, mix = levels.of(process), opts.mix
  local order, variant, correct = opts.order, opts.variant, opts.corrector
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local m = denoise(x, t.t)
    if s.t == 0 then return m end
    if correct and history.x then x = corrected(mix, history, m, t, level, variant) end
    local past = multistep.remember(history, m, t.lambda, order)
    history.x, history.t, history.used = t.a > 0 and x or nil, t.t, past
    return update(mix, x, t, s, m, table.move(past, 2, #past, 1, {}), variant)
  end
end

return {
  unipc = { make = unipc, order = 3, rules = {
    order = { "integer", default = 2, min = 1, max = 3 },
    variant = { one_of = { "bh1", "bh2" }, default = "bh2" },
    corrector = { "boolean", default = true },
  } },
}

--- The numbers of a noise level that solvers need, and the integrals of their steps.
local levels = {}

--- The option `eta` of solvers that add noise.
levels.eta = { "number", default = 1, min = 0, text = "factor of the noise: 0 adds none, 1 is the reverse process" }

--- The option `draws` of solvers that add noise in some steps only.
levels.draws = { one_of = { "needed", "every" }, default = "needed", later = true,
  text = '"every" takes normals of a generator in steps without noise too' }

--- Returns a function from t to the level {t, a, s, sigma, lambda}: signal a, noise s, sigma = s/a and
--- lambda = ln(a/s).
---@param process diffusion.process
---@return fun(t: number): {t: number, a: number, s: number, sigma: number, lambda: number}
function levels.of(process)
  local schedule = process.schedule
  return function(t)
    return { t = t, a = schedule:signal(t), s = schedule:noise(t), sigma = schedule:sigma(t),
             lambda = schedule:log_snr(t) / 2 }
  end
end

--- The level at lambda_t + r (lambda_s - lambda_t), between two levels.
---@param process diffusion.process
---@param level function as levels.of gives it
---@param t table a level
---@param s table a level with less noise
---@param r number in 0..1
---@return table
function levels.between(process, level, t, s, r)
  local lambda = (1 - r) * t.lambda + r * s.lambda
  return level(process.schedule:level_of_sigma(math.exp(-lambda)))
end

--- The level with this sigma, but not below the schedule's first level, which has the least noise.
---@param process diffusion.process
---@param level function as levels.of gives it
---@param sigma number
---@return table
function levels.at_sigma(process, level, sigma)
  local schedule = process.schedule
  return level(schedule:level_of_sigma(math.max(sigma, schedule:sigma(1))))
end

--- How an ancestral step from sigma_t to sigma_s is divided. It goes without noise to `down`, then
--- adds noise of scale `up`, with down^2 + up^2 = sigma_s^2. With eta = 1, up^2 is the variance of
--- q(y_s | y_t, x0), y = x/a (Ho et al. 2020, eq. 7). If eta > 1, up is at most sigma_s.
---@param t number sigma_t
---@param s number sigma_s < sigma_t
---@param eta number
---@return number down
---@return number up
function levels.ancestral(t, s, eta)
  local left = 1 - eta ^ 2 + (eta * s / t) ^ 2 -- down^2 / s^2. At eta = 1 nothing cancels
  if left <= 0 then return 0, s end
  return s * math.sqrt(left), s * eta * math.sqrt(1 - (s / t) ^ 2)
end

-- Sum over j >= 0 of h (-h)^j / (j + k)!, for small h, for which the closed form would cancel.
local function series(h, k)
  local term, total = h, 0
  for i = 2, k do term = term / i end
  for j = 1, 24 do
    total = total + term
    term = -term * h / (j + k)
  end
  return total
end

--- The integral of e^-(h - u) (u/h)^(k-1) / (k-1)! over u in 0..h, which is h phi_k(-h) of
--- exponential integrators. It is the factor of D^(k-1), a derivative of x0 in units of the step, in
--- the change of x/s over a step of h in lambda. For k = 1 it is 1 - e^-h.
---@param k integer
---@param h number a step of lambda; it may be negative or infinite
---@return number
function levels.gain(k, h)
  if math.abs(h) < 1 then return series(h, k) end
  local g, factorial = 1 - math.exp(-h), 1
  for j = 2, k do
    g = 1 / factorial - g / h
    factorial = factorial * j
  end
  return g
end

return levels

--- The best variance of the reverse step for a given network. See Bao et al. 2022, "Analytic-DPM: an
--- analytic estimate of the optimal reverse variance in diffusion probabilistic models", theorem 1.
-- p(x_s | x_t) has the posterior's mean at x0', the network's x0. The error of x0' adds to the
-- posterior's variance: v = c0^2 E|x0 - x0'|^2/D + posterior variance. The error is measured at
-- some levels. Between them its ln is interpolated linearly in ln SNR. For the best denoiser E[x0 |
-- x_t] the error is s^2/a^2 (1 - E|eps'|^2/D), the paper's form. Measured against x0 it holds for
-- any network.
local core = require "diffusion.core"
local answer = require "diffusion.answer"
local classes = require "diffusion.classes"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local measure = require "diffusion.measure"
local opts = require "diffusion.opts"
local picture = require "diffusion.picture"

local optimal = {}

local least = 1e-300 -- stands for an error of 0, whose ln isn't finite

local function is_row(row, after, T)
  if type(row) ~= "table" then return false end
  local t, mse = row[1], row[2]
  return type(t) == "number" and t > after and t <= T and type(mse) == "number" and mse >= 0 and mse < math.huge
end

-- Checks the option x0_error, rows {t, mse} with rising t, and returns a copy that doesn't change.
local function check_rows(rows, T)
  local after, own = 0, {}
  for i, row in ipairs(rows) do
    if not is_row(row, after, T) then
      fail.raise("process: x0_error: entry %d must be {t, mean square error of x0}, t rising in 1..%d, the error "
        .. "finite and not negative", i, T)
    end
    after, own[i] = row[1], { row[1], row[2] }
  end
  if #rows == 0 then fail.raise "process: x0_error is empty; d.estimate_variance(model, process, x0) measures it" end
  return own
end

--- Raises unless the option x0_error is present exactly if the variance is "optimal", and is
--- correct. The options then have a copy of its rows.
---@param o table options of d.process
function optimal.check(o)
  if o.variance ~= "optimal" then
    if o.x0_error then fail.raise "process: x0_error goes with variance = \"optimal\"" end
    return
  end
  if not o.x0_error then
    fail.raise "process: variance = \"optimal\" is of a network; d.estimate_variance(model, process, x0) makes one"
  end
  o.x0_error = check_rows(o.x0_error, o.schedule.T)
end

-- The row before t, by bisection. 0 if t lies before the first.
local function before(rows, t)
  local low, high = 0, #rows + 1
  while high - low > 1 do
    local middle = (low + high) // 2
    if rows[middle][1] <= t then low = middle else high = middle end
  end
  return low
end

-- The error at t. Below the first level the error of eps is constant, and above the last that of x0.
local function interpolated(schedule, rows, t)
  local i = before(rows, t)
  if i == 0 then return rows[1][2] * schedule:snr(rows[1][1]) / schedule:snr(t) end
  if i == #rows or rows[i][1] == t then return rows[i][2] end
  local from, to = schedule:log_snr(rows[i][1]), schedule:log_snr(rows[i + 1][1])
  local w = (schedule:log_snr(t) - from) / (to - from)
  return math.exp((1 - w) * math.log(math.max(least, rows[i][2])) + w * math.log(math.max(least, rows[i + 1][2])))
end

--- The variance of the step from t to s. An error of x0 above 1/SNR exceeds that of eps = 0 and is
--- reduced to it. So the variance lies between the posterior's and (a_s/a_t)^2 times q's (Bao et
--- al. 2022, theorem 2).
---@param p diffusion.process
---@param t number
---@param s number
---@return number
function optimal.variance(p, t, s)
  local c0, _, variance = fail.call(p.posterior_coefficients, p, t, s)
  local error_of_x0 = math.min(interpolated(p.schedule, p.x0_error, t), 1 / p.schedule:snr(t))
  return variance + c0 ^ 2 * error_of_x0
end

-- ==== measuring ==============================================================================

local rules = opts.declare("estimate_variance", {
  levels = { "integer", default = 50, min = 2, text = "levels at most, whole and about evenly spaced in ln SNR" },
  t = { "table", as = "number[]", default_text = "by levels", text = "the levels, a list that rises" },
  batch = { "integer", default = 256, min = 1, text = "samples in a batch" },
  rounds = { "integer", default = 1, min = 1, text = "passes over the samples, each at other levels" },
  seed = measure.seed, class = classes.rule,
})

-- Whole levels at about equal steps in ln SNR, with both ends of the schedule.
local function spread(schedule, n)
  local T, out = schedule.T, { 1 }
  local last = schedule:snr(T) > 0 and T or math.max(1, T - 1)
  local top, bottom = schedule:log_snr(1), schedule:log_snr(last)
  for i = 1, n - 2 do
    local log_snr = top + (bottom - top) * i / (n - 1)
    local t = math.floor(schedule:level_of_sigma(math.exp(-log_snr / 2)) + 0.5)
    if t > out[#out] and t < last then out[#out + 1] = t end
  end
  for _, t in ipairs { last, T } do
    if t > out[#out] then out[#out + 1] = t end
  end
  return out
end

local function given_levels(list, T)
  for i, t in ipairs(list) do
    if type(t) ~= "number" or not (t >= 1 and t <= T) or i > 1 and t <= list[i - 1] then
      fail.raise("estimate_variance: t: levels must rise in 1..%d, but number %d is %s", T, i, kind.shown(t))
    end
  end
  return list
end

-- Each round moves every sample to the next level.
local function check_data(x0, levels, rounds)
  x0 = opts.examples("estimate_variance", x0)
  if not core.is_tensor(x0) or x0:dim() < 2 then
    fail.raise("bad argument #3 to 'estimate_variance' (x0 [n,...] or a set expected, got %s)", kind.shown(x0))
  end
  local n = x0:size(1)
  local reached = n > 0 and n + rounds - 1 or 0
  if reached < levels then
    fail.raise("estimate_variance: %d samples in %d round%s reach %d levels of %d; give more of either", n, rounds,
      rounds == 1 and "" or "s", reached, levels)
  end
  return x0
end

-- The network's mean square errors of x0, for samples at different levels.
local function errors_of(process, model, x0, t, eps, class)
  local xt = process:q_sample(x0, t, eps)
  local out = answer.of_denoiser("estimate_variance", (model(xt, t, { class = class })), xt)
  return core.ops.mse((process:estimate(out, xt, t)), x0, "sample"):totable()
end

-- The levels of the samples after `from`, in turn. Each round moves them by one.
local function levels_of(times, from, count, round)
  local which, t = {}, {}
  for i = 1, count do
    which[i] = (from + i + round - 3) % #times + 1
    t[i] = times[which[i]]
  end
  return which, t
end

-- The mean error at each level, over all rounds.
local function measured(process, model, x0, times, o)
  local sum, count, n = {}, {}, x0:size(1)
  for i = 1, #times do sum[i], count[i] = 0, 0 end
  local draw = core.generator { seed = measure.own(o.seed) }
  for round = 1, o.rounds do
    for from = 1, n, o.batch do
      local size = math.min(o.batch, n - from + 1)
      local which, t = levels_of(times, from, size, round)
      local list = gradient.no_grad(gradient.scope, function()
        local x = picture.examples("estimate_variance", x0:narrow(1, from, size))
        local eps = core.randn(x:shape(), { generator = draw })
        return errors_of(process, model, x, t, eps, o.class and o.class:narrow(1, from, size))
      end)
      for i, value in ipairs(list) do
        sum[which[i]], count[which[i]] = sum[which[i]] + value, count[which[i]] + 1
      end
    end
  end
  for i, t in ipairs(times) do
    local mse = sum[i] / count[i]
    if not (mse < math.huge) then
      fail.raise("estimate_variance: the error of x0 at t = %g is %g: the model's answers or the samples aren't finite",
        t, mse)
    end
    sum[i] = { t, mse }
  end
  return sum
end

--- Measures a network's error at each level, in one pass over samples: rows {t, E|x0 - x0'|^2/D}.
---@param model any
---@param process diffusion.process
---@param x0 any
---@param options table|nil
---@return table rows
function optimal.estimate(model, process, x0, options)
  local o = opts.check("estimate_variance", options, rules, 4)
  if process.outputs == 2 then
    fail.raise("estimate_variance: the process takes v of a %s variance next to the prediction; the best variance is "
      .. "for a network that predicts alone", process.variance)
  end
  local times = o.t and given_levels(o.t, process.T) or spread(process.schedule, o.levels)
  if #times == 0 then fail.raise "estimate_variance: t is empty; levels in 1..T expected" end
  x0 = check_data(x0, #times, o.rounds)
  o.class = classes.of("estimate_variance", o.class, x0:size(1))
  return measured(process, model, x0, times, o)
end

return optimal

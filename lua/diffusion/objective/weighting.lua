-- The weight of an error at a level. Weights apply to the squared error of x0. One and the same error
-- has |x0 - x0'|^2 = |eps - eps'|^2 / SNR, and similarly for other targets. So the weight on any
-- other target follows (Hang et al. 2023, section 3.3, for min-SNR).
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local choice = require "diffusion.objective.choice"
local opts = require "diffusion.opts"

local weighting = { targets = { "x0", "eps", "v", "score", "flow", "edm" } }

-- ==== from x0 to other targets ==============================================================

-- w_target = w_x0 * factor(snr, sigma_data, noise), where noise() returns s. If P x0 + Q eps is
-- predicted, factor is 1 / (P - Q a/s)^2.
local factors = {
  x0 = function(snr) return snr * 0 + 1 end,
  eps = function(snr) return 1 / snr end,
  v = function(snr, _, noise) return 1 / (noise() * (snr + 1)) ^ 2 end,
  score = function(snr, _, noise) return noise() ^ 2 / snr end,
  flow = function(snr) return 1 / (1 + snr:sqrt()) ^ 2 end,
  -- c_out^2 = sigma^2 d^2 / (sigma^2 + d^2) with sigma^2 = 1/SNR (Karras et al. 2022, table 1)
  edm = function(snr, d) return d ^ 2 / (1 + snr * d ^ 2) end,
}

-- The factors as text, for explain.
weighting.formulas = {
  x0 = "w", eps = "w / SNR", v = "w / (s (SNR + 1))^2; on the circle w / (SNR + 1)", score = "w s^2 / SNR",
  flow = "w / (1 + sqrt(SNR))^2", edm = "w c_out^2, Karras et al. 2022, table 1",
}

--- The factor that converts a weight on x0 to one on another target, {B}.
---@param process diffusion.process
---@param target string
---@param t diffusion.tensor {B}
---@param snr diffusion.tensor|nil at t, if it is known
---@return diffusion.tensor
function weighting.factor(process, target, t, snr)
  local schedule = process.schedule
  return factors[target](snr or schedule:snr(t), process.sigma_data, function() return schedule:noise(t) end)
end

-- ==== weights on x0 =========================================================================

-- The variance of p_theta(x_{t-1} | x_t). At t = 1, where the posterior has none, it is that
-- of t = 2, as in posterior_log_variance.
local function variance_of(process, t)
  if t > 1 then return process:step_variance(t, t - 1) end
  if process.variance == "fixed_large" then return (select(2, process:q_moments(0, 1, 0))) end
  return math.exp(fail.call(process.posterior_log_variance, process, 1))
end

-- Ho et al. 2020, eq. 8, for x0.
local function bound(process, t)
  local c0 = fail.call(process.posterior_coefficients, process, t, t - 1)
  return c0 ^ 2 / (2 * variance_of(process, t))
end

local function check_bound(process)
  if process.outputs == 1 then return end
  fail.raise("objective: weighting vlb is for a given variance, this process has variance %s; option 'vlb' is the "
    .. "weight of its bound, added to another weighting", process.variance)
end

-- weigh(snr, options, process, t) -> {B}; source: the formula in terms of SNR, and where it is from
local laws = {
  simple = { source = "SNR: 1 on eps, Ho et al. 2020, eq. 14", weigh = function(snr) return snr end },
  snr = { source = "SNR: the same as simple, Salimans & Ho 2022, section 4", weigh = function(snr) return snr end },
  truncated_snr = { source = "max(SNR, 1): Salimans & Ho 2022, section 4",
    weigh = function(snr) return snr:clamp(1) end },
  min_snr = { source = "min(SNR, gamma): Hang et al. 2023, eq. 8",
    rules = { gamma = { "number", default = 5, above = 0, text = "greatest weight" } },
    weigh = function(snr, o) return snr:clamp(nil, o.gamma) end },
  -- gamma = 1/sigma_data^2 is k-diffusion's weighting, which is (sigma d)^2 / (sigma^2 + d^2)^2 on F
  soft_min_snr = { source = "SNR gamma / (SNR + gamma): Crowson et al. 2024",
    rules = { gamma = { "number", above = 0, default_text = "1/sigma_data^2",
      text = "weight that is approached at high SNR" } },
    weigh = function(snr, o, process)
      local gamma = o.gamma or process.sigma_data ^ -2
      return snr * gamma / (snr + gamma)
    end },
  p2 = { source = "SNR / (k + SNR)^gamma: Choi et al. 2022",
    rules = { k = { "number", default = 1, above = 0, text = "k of the formula" },
      gamma = { "number", default = 1, min = 0, text = "power of the formula" } },
    weigh = function(snr, o) return snr / (snr + o.k) ^ o.gamma end },
  -- (sigma^2 + d^2) / (sigma d)^2
  edm = { source = "SNR + 1/sigma_data^2: 1 on F, Karras et al. 2022, table 1",
    rules = { sigma_data = { "number", above = 0, default_text = "that of the process",
      text = "standard deviation of the data" } },
    weigh = function(snr, o, process) return snr + (o.sigma_data or process.sigma_data) ^ -2 end },
  -- the paper weights eps by w/p(ln SNR): this is its w for uniform ln SNR
  sigmoid = { source = "SNR sigmoid(bias - ln SNR): w on eps of Kingma & Gao 2023, of even ln SNR",
    rules = { bias = { "number", default = 2, text = "ln SNR at which the sigmoid is 1/2" } },
    weigh = function(snr, o) return snr / (snr * math.exp(-o.bias) + 1) end },
  vlb = { source = "c0^2 / (2 sigma^2), nats a dimension: Ho et al. 2020, eq. 8", check = check_bound, whole = true,
    weigh = function(_, _, process, t)
      local list = t:totable()
      for i, at in ipairs(list) do list[i] = bound(process, at) end
      return core.tensor(list)
    end },
  uniform = { source = "1 on the error of the quantity `of`",
    rules = { of = { one_of = weighting.targets, default_text = "the process's prediction",
      text = "quantity whose error has weight 1" } },
    weigh = function(snr, o, process, t) return 1 / weighting.factor(process, o.of or process.predict, t, snr) end },
}
opts.declare_choices("weighting", laws)

-- Raises if a weight is negative, since training would then increase the error. A weight that isn't
-- finite makes the loss NaN, and a trainer reports the levels.
local function check_weights(w, snr)
  if not w:detach():lt(0):any() then return end
  local levels = snr:totable()
  for i, v in ipairs(w:totable()) do
    if v < 0 then
      fail.raise("objective: the weighting function gave %g for SNR %g; a number of 0 or more expected", v, levels[i])
    end
  end
end

-- The weights from a user's function, which may return one number for all.
local function own(f, snr)
  local w = f(snr)
  if type(w) == "number" then w = core.full({ snr:size(1) }, w) end
  if core.is_tensor(w) and kind.shape_text(w) == kind.shape_text(snr) then
    check_weights(w, snr)
    return w
  end
  fail.raise("objective: the weighting function gave %s for SNR %s; a number or a tensor of that shape expected",
    kind.shown(w), kind.shape_text(snr))
end

local function text_of(name, o)
  local parts = {}
  for k, v in pairs(o) do parts[#parts + 1] = ("%s = %s"):format(k, v) end
  table.sort(parts)
  return #parts > 0 and ("%s (%s)"):format(name, table.concat(parts, ", ")) or name
end

--- The weighting of a process.
---@param which string|table|function
---@param process diffusion.process
---@return table weighting {text, from, whole = true if only for whole t, of = function(t, snr if known)
---  -> weight on x0 {B}}
function weighting.resolve(which, process)
  local schedule = process.schedule
  if type(which) == "function" then
    return { text = "a function", source = "a function of SNR", own = true,
             of = function(t, snr) return own(which, snr or schedule:snr(t)) end }
  end
  local name, law, o = choice("weighting", which, laws)
  if law.check then law.check(process) end
  return { text = text_of(name, o), from = law.source, whole = law.whole,
           of = function(t, snr) return law.weigh(snr or schedule:snr(t), o, process, t) end }
end

-- ==== invalid combinations ===================================================================

local least_snr = 1e-37 -- below it, 1/SNR overflows float32

-- If x_t holds no signal, an error of eps doesn't determine that of x0, to which weights apply.
local function check_signal(process)
  local predict, T = process.predict, process.T
  if predict ~= "eps" and predict ~= "score" then return end
  local snr = process.schedule:snr(T)
  if snr >= least_snr then return end
  fail.raise("objective: the SNR at t = %d is %g, so %s can't be weighted there; predict v, x0 or flow", T,
    snr, predict)
end

--- Raises unless the weights on the prediction target are finite, 0 or more, and not all 0. Weights
--- of a user's function are checked when it is evaluated.
---@param process diffusion.process
---@param w table from weighting.resolve
function weighting.check(process, w)
  check_signal(process)
  if w.own then return end
  local t = core.arange(1, process.T)
  local weights, most = (w.of(t) * weighting.factor(process, process.predict, t)):totable(), 0
  for at, value in ipairs(weights) do
    if not (value >= 0 and value < math.huge) then
      fail.raise("objective: weighting %s is %g on %s at t = %d, where SNR is %g; a finite number of 0 or more "
        .. "expected: predict v or x0, or choose another", w.text, value, process.predict, at, process.schedule:snr(at))
    end
    most = math.max(most, value)
  end
  if most == 0 then fail.raise("objective: weighting %s is 0 at every t, so nothing would be learned", w.text) end
end

return weighting

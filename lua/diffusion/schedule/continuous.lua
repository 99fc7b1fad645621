-- Schedules that papers define for every real u = t/T in [0, 1]. They have T levels. Between whole
-- levels, and below the first, their own function is evaluated.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local made = require "diffusion.schedule.made"

local schedule = {}

-- ln(1 - e^x) for x < 0, accurate for small x too.
local function log1mexp(x)
  if x < -0.01 then return math.log(1 - math.exp(x)) end
  return math.log(-x) + x / 2 + x ^ 2 / 24 - x ^ 4 / 2880
end

-- ln SNR from ln alpha_bar, with a^2 + s^2 = 1.
local function log_snr(ln_alpha_bar) return ln_alpha_bar - log1mexp(ln_alpha_bar) end

-- The place of t between level 1 and level T, as 0..1. A schedule of one level has only its last.
local function way(t, T) return T == 1 and 1 or (t - 1) / (T - 1) end

local function number(value, text) return { "number", default = value, text = text } end
local function positive(value, text) return { "number", default = value, above = 0, text = text } end
local max_beta = { "number", default = 1, above = 0, max = 1, text = "betas above it are cut" }
local function rules(own)
  own.T = made.steps
  return own
end

local function betas() return rules { beta_min = positive(0.1, "beta(0)"), beta_max = positive(20, "beta(1)") } end
local function sigmas(low, high, more)
  return rules(opts.joined({ sigma_min = positive(low, "sigma of level 1"),
    sigma_max = positive(high, "sigma of level T") }, more or {}))
end

-- ln alpha_bar of the variance-preserving SDE with beta(u) linear.
local function vp_ln_alpha_bar(o, u) return -u * u * (o.beta_max - o.beta_min) / 2 - u * o.beta_min end

-- The quantity that defines each schedule, and its function of (u, t, T). The quantity is a key of
-- core.schedule_from, or "columns" for ln a and ln s.
local continuous = {
  vp = {
    rules = betas(), key = "log_snr",
    make = function(o)
      return function(u) return log_snr(vp_ln_alpha_bar(o, u)) end
    end,
  },
  sub_vp = {
    rules = betas(), key = "columns",
    make = function(o)
      return function(u)
        local ln_alpha_bar = vp_ln_alpha_bar(o, u)
        return ln_alpha_bar / 2, log1mexp(ln_alpha_bar)
      end
    end,
  },
  ve = {
    rules = sigmas(0.02, 100), key = "sigma_ve",
    make = function(o)
      return function(_, t, T) return o.sigma_min * (o.sigma_max / o.sigma_min) ^ way(t, T) end
    end,
  },
  edm = {
    rules = sigmas(0.002, 80, { rho = positive(7, "steps are equal in the rho-th root of sigma") }), key = "sigma_ve",
    make = function(o)
      local low, high = o.sigma_min ^ (1 / o.rho), o.sigma_max ^ (1 / o.rho)
      return function(_, t, T) return (low + way(t, T) * (high - low)) ^ o.rho end
    end,
  },
  flow = {
    rules = rules { shift = positive(1, "moves the path towards noise if above 1"),
      sigma_min = { "number", default = 0, min = 0, below = 1, text = "noise that is left at the data's end" } },
    key = "columns",
    make = function(o)
      return function(u, t, T)
        if t == T then return -math.huge, 0 end
        local whole = 1 + (o.shift - 1) * u
        local a, w = (1 - u) / whole, o.shift * u / whole
        return math.log(a), math.log(o.sigma_min == 0 and w or w + o.sigma_min * a)
      end
    end,
  },
  exponential = {
    rules = rules { rate = positive(12, "alpha_bar is e^(-rate u)") }, key = "log_snr",
    make = function(o)
      return function(u) return log_snr(-o.rate * u) end
    end,
  },
  laplace = {
    rules = rules { mu = number(0, "median of ln SNR"), b = positive(0.5, "scale of the Laplace distribution"),
      max_beta = max_beta }, key = "log_snr",
    make = function(o)
      return function(u)
        if u < 0.5 then return o.mu - o.b * math.log(2 * u) end
        return o.mu + o.b * math.log(2 * (1 - u))
      end
    end,
  },
  jsd = {
    rules = rules { max_beta = max_beta }, key = "log_snr",
    make = function()
      return function(u) return math.log(1 - u) - math.log(u) end
    end,
  },
  cosine_log_snr = {
    rules = rules {
      log_snr_min = number(-15, "ln SNR of the last level, before the shift"),
      log_snr_max = number(15, "ln SNR at u = 0, before the shift"),
      shift = { "number", default = 0, text = "added to ln SNR" },
      shift_low = { "number", default_text = "shift", text = "added to ln SNR at u = 1" },
      shift_high = { "number", default_text = "shift", text = "added to ln SNR at u = 0" },
    },
    key = "log_snr",
    make = function(o)
      local from, to = math.atan(math.exp(-o.log_snr_max / 2)), math.atan(math.exp(-o.log_snr_min / 2))
      local low, high = o.shift_low or o.shift, o.shift_high or o.shift
      return function(u) return -2 * math.log(math.tan(from + u * (to - from))) + u * low + (1 - u) * high end
    end,
  },
}
for name, form in pairs(continuous) do opts.declare("schedule_" .. name, form.rules) end

local function from_numbers(name, form, o, f)
  local values = {}
  for t = 1, o.T do values[t] = f(t / o.T, t, o.T) end
  return core.schedule_from(name, form.key, values, o.max_beta or 1, f)
end

local function from_columns(name, _, o, f)
  local ln_a, ln_s = {}, {}
  for t = 1, o.T do ln_a[t], ln_s[t] = f(t / o.T, t, o.T) end
  return core.schedule_columns(name, ln_a, ln_s, false, f)
end

-- Options whose values can keep a schedule from growing noisier, as a remedy in messages.
local remedies = {
  ve = "sigma_min must be below sigma_max", edm = "sigma_min must be below sigma_max",
  cosine_log_snr = "log_snr_min must be below log_snr_max, and shift_low not far above shift_high",
}

local function by_function(name, given)
  local what, form = "schedule." .. name, continuous[name]
  local o = opts.check(what, given, form.rules)
  made.check_ends(what, o)
  local from = form.key == "columns" and from_columns or from_numbers
  local s, message = from(name, form, o, form.make(o))
  o.name = name
  return made.schedule(what, o, s, s or remedies[name] and message .. "; " .. remedies[name] or message)
end

--- The variance-preserving SDE has ln a = -u^2 (beta_max - beta_min)/4 - u beta_min/2 with u = t/T
--- (Song et al. 2021, score SDE, eq. 33).
---@param o diffusion.schedule_vp_options?
---@return diffusion.schedule
function schedule.vp(o) return (by_function("vp", o)) end

--- The sub-variance-preserving SDE has vp's signal a and the noise 1 - a^2, so a^2 + s^2 < 1 (Song et
--- al. 2021, score SDE, eq. 29).
---@param o diffusion.schedule_sub_vp_options?
---@return diffusion.schedule
function schedule.sub_vp(o) return (by_function("sub_vp", o)) end

--- The variance-exploding SDE has a = 1 and a geometric sigma from sigma_min to sigma_max (Song et
--- al. 2021, score SDE, eq. 31).
---@param o diffusion.schedule_ve_options?
---@return diffusion.schedule
function schedule.ve(o) return (by_function("ve", o)) end

--- a = 1 and sigma in equal steps of its rho-th root (Karras et al. 2022, eq. 5).
---@param o diffusion.schedule_edm_options?
---@return diffusion.schedule
function schedule.edm(o) return (by_function("edm", o)) end

--- The straight path x_t = (1 - w) x_0 + w eps with w = t/T. shift > 1 moves it towards noise:
--- w' = shift w / (1 + (shift - 1) w) (Esser et al. 2024, eq. 23). sigma_min leaves some noise at the
--- data's end: s = w + sigma_min (1 - w). That is the conditional flow of Lipman et al. 2023, eq. 20
--- and 22. Its samplers are those for any path.
---@param o diffusion.schedule_flow_options?
---@return diffusion.schedule
function schedule.flow(o) return (by_function("flow", o)) end

--- alpha_bar = e^(-rate u): beta is 1 - e^(-rate/T) at every step. diffusers calls it "exp".
---@param o diffusion.schedule_exponential_options?
---@return diffusion.schedule
function schedule.exponential(o) return (by_function("exponential", o)) end

--- ln SNR as the quantiles of a Laplace distribution, mu - b sgn(1/2 - u) ln(1 - 2 |u - 1/2|) (Hang
--- et al. 2024). At u = 1 it is -inf, so x_T holds no signal and the network must predict v or x0.
--- max_beta < 1 cuts the last beta and avoids this.
---@param o diffusion.schedule_laplace_options?
---@return diffusion.schedule
function schedule.laplace(o) return (by_function("laplace", o)) end

--- alpha_bar = 1 - t/T, so beta_t = 1/(T - t + 1): every step removes the same share of x_0
--- (Sohl-Dickstein et al. 2015, sec. 2.4.1; "jsd" in Ho et al.'s code). beta_T = 1, so x_T holds no
--- signal, as with laplace.
---@param o diffusion.schedule_jsd_options?
---@return diffusion.schedule
function schedule.jsd(o) return (by_function("jsd", o)) end

--- ln SNR = -2 ln tan of an angle, which moves linearly between those of log_snr_max and log_snr_min
--- (Hoogeboom et al. 2023, simple diffusion, sec. 3.1). shift adapts it to the size of pictures:
--- 2 ln(64/256) gives 256 x 256 pictures the noise of 64 x 64. u shift_low + (1 - u) shift_high
--- interpolates between two shifts: shift_low is for high noise and shift_high for low noise.
---@param o diffusion.schedule_cosine_log_snr_options?
---@return diffusion.schedule
---@usage print(d.schedule.cosine_log_snr{ shift = 2 * math.log(64 / 256) })
function schedule.cosine_log_snr(o) return (by_function("cosine_log_snr", o)) end

return schedule

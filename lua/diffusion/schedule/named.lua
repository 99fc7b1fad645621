-- Schedules that papers define by a formula for beta. The formulas avoid cancellation: the
-- subtraction 1 - alpha_bar_t / alpha_bar_{t-1} would lose five digits at the first steps.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local made = require "diffusion.schedule.made"

local schedule = {}

local sinh, cosh = core.sinh, core.cosh
local steps = made.steps
local max_beta = { "number", default = 0.999, above = 0, max = 1, text = "betas above it are cut, as the last one is" }
local rescale = { "boolean", default = true, text = "betas are for T = 1000 and are multiplied by 1000/T" }
local function number(value, text) return { "number", default = value, text = text } end
local function positive(value, text) return { "number", default = value, above = 0, text = text } end
local function ends(first, last, more)
  return opts.joined({ T = steps, rescale = rescale, beta_start = positive(first, "beta of the first step"),
    beta_end = positive(last, "beta of the last step") }, more or {})
end

-- The place of t in 1..T, as 0..1.
local function place(t, T) return T > 1 and (t - 1) / (T - 1) or 0 end

local function linear(o, t, T) return o.beta_start + place(t, T) * (o.beta_end - o.beta_start) end

-- The options of each schedule, and beta = make(o, T)(t).
local named = {
  linear = {
    rules = ends(1e-4, 0.02),
    make = function(o, T)
      return function(t) return linear(o, t, T) end
    end,
  },
  scaled_linear = {
    rules = ends(0.00085, 0.012),
    make = function(o, T)
      local first, last = math.sqrt(o.beta_start), math.sqrt(o.beta_end)
      return function(t)
        local root = first + place(t, T) * (last - first)
        return root * root
      end
    end,
  },
  sigmoid_beta = {
    rules = ends(1e-4, 0.02),
    make = function(o, T)
      return function(t) return o.beta_start + (o.beta_end - o.beta_start) / (1 + math.exp(6 - 12 * place(t, T))) end
    end,
  },
  constant = {
    rules = { T = steps, rescale = rescale, beta = positive(0.02, "beta of every step") },
    make = function(o)
      return function() return o.beta end
    end,
  },
  warmup = {
    rules = ends(1e-4, 0.02, { fraction = { "number", default = 0.1, above = 0, max = 1,
      text = "share of the levels in which beta rises" } }),
    make = function(o, T)
      local rising = math.floor(o.fraction * T)
      return function(t) return t <= rising and linear(o, t, rising) or o.beta_end end
    end,
  },
  -- alpha_bar(u) ~ cos^2((u + s)/(1 + s) pi/2), and 1 - cos^2 x / cos^2 y = sin(x + y) sin(x - y) / cos^2 y
  cosine = {
    rules = { T = steps, max_beta = max_beta,
      s = { "number", default = 0.008, min = 0, text = "offset that keeps beta from vanishing near t = 0" } },
    make = function(o, T)
      local step = math.pi / 2 / ((1 + o.s) * T)
      return function(t)
        if t == T then return 1 end
        local y = (t - 1 + o.s * T) * step
        local x = y + step
        return math.sin(x + y) * math.sin(step) / (math.cos(y) * math.cos(y))
      end
    end,
  },
  -- alpha_bar is a logistic curve S over [start, end] / tau, stretched to fall from 1 to 0. beta is 1 -
  -- (S(end) - S(x)) / (S(end) - S(y)), and S(x) - S(y) = sinh((x - y)/2) / (2 cosh(x/2) cosh(y/2))
  sigmoid = {
    rules = { T = steps, max_beta = max_beta, start = number(-3, "start of the logistic curve, over tau"),
      ["end"] = number(3, "end of the logistic curve, over tau"), tau = positive(1, "divisor of both ends") },
    make = function(o, T)
      local from, to = o.start / o.tau, o["end"] / o.tau
      local step = (to - from) / T
      local scale = sinh(step / 2) * cosh(to / 2)
      return function(t)
        if t == T then return 1 end
        local y = from + (t - 1) * step
        local x = y + step
        return scale / (cosh(x / 2) * sinh((to - y) / 2))
      end
    end,
  },
}
for name, form in pairs(named) do opts.declare("schedule_" .. name, form.rules) end

-- A message for betas that are too large after the multiplication by 1000/T. It names the smallest T
-- that avoids this.
local function too_large(message, o)
  local largest = o.beta or math.max(o.beta_start, o.beta_end)
  return ("%s (betas are for T = 1000 and are multiplied by 1000/T = %g: take T > %.0f, smaller betas, or "
    .. "rescale = false)"):format(message, 1000 / o.T, math.floor(1000 * largest))
end

local function by_name(name, given)
  local what, form = "schedule." .. name, named[name]
  local o = opts.check(what, given, form.rules)
  made.check_ends(what, o)
  local scale = o.rescale and 1000 / o.T or 1
  local scaled = {}
  for key, value in pairs(o) do scaled[key] = key:find "^beta" and value * scale or value end
  local betas, beta_of = {}, form.make(scaled, o.T)
  for t = 1, o.T do betas[t] = beta_of(t) end
  local s, message = core.schedule_from(name, "beta", betas, o.max_beta or 1)
  if not s and scale ~= 1 then message = too_large(message, o) end
  o.name = name
  return made.schedule(what, o, s, message)
end

--- Betas in equal steps (Ho et al. 2020, sec. 4).
---@param o diffusion.schedule_linear_options?
---@return diffusion.schedule
---@usage local s = d.schedule.linear{ T = 1000 }
--- print(s:alpha_bar(500), s:snr(500), s:prior_kl())
function schedule.linear(o) return (by_name("linear", o)) end

--- Square roots of betas in equal steps (Rombach et al. 2022). With ends 1e-4 and 0.02 it is the
--- "quad" of Ho et al.'s code.
---@param o diffusion.schedule_scaled_linear_options?
---@return diffusion.schedule
function schedule.scaled_linear(o) return (by_name("scaled_linear", o)) end

--- Betas on a logistic curve (Xu et al. 2022, GeoDiff).
---@param o diffusion.schedule_sigmoid_beta_options?
---@return diffusion.schedule
function schedule.sigmoid_beta(o) return (by_name("sigmoid_beta", o)) end

--- The same beta at every step (Ho et al. 2020, "const" of their code).
---@param o diffusion.schedule_constant_options?
---@return diffusion.schedule
function schedule.constant(o) return (by_name("constant", o)) end

--- Betas in equal steps over the first floor(fraction T) levels, and the last beta from there
--- on (Ho et al. 2020, "warmup10" and "warmup50" of their code).
---@param o diffusion.schedule_warmup_options?
---@return diffusion.schedule
function schedule.warmup(o) return (by_name("warmup", o)) end

--- alpha_bar on a squared cosine (Nichol & Dhariwal 2021, eq. 17).
---@param o diffusion.schedule_cosine_options?
---@return diffusion.schedule
---@usage print(d.schedule.cosine{ T = 1000 })
function schedule.cosine(o) return (by_name("cosine", o)) end

--- alpha_bar on a logistic curve (Jabri et al. 2023, alg. 1).
---@param o diffusion.schedule_sigmoid_options?
---@return diffusion.schedule
function schedule.sigmoid(o) return (by_name("sigmoid", o)) end

return schedule

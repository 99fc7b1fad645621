-- d.schedule: noise schedules by name, from lists and from functions. A schedule is two
-- columns over 0..T, signal a_t and noise s_t of x_t = a_t x_0 + s_t eps; everything else
-- is derived from them. Times are 1..T; accessors take a number (and answer in double), a
-- list or a tensor (and answer with a tensor).
local core = require "diffusion.core"
local opts = require "diffusion.opts"

--- A noise schedule: x_t = signal(t) x_0 + noise(t) eps.
---@class diffusion.schedule
---@field T integer number of steps
---@field name string
local Schedule = core.schedule_meta.methods
core.schedule_meta.__methods = Schedule -- for prompts and help
core.schedule_meta.__newindex = opts.refuse_write
local schedule = {}

-- How each schedule was asked for, so that it can be asked for again: see config.
local config_of = setmetatable({}, { __mode = "k" })

local function made(what, config, s, message)
  if not s then opts.fail("%s: %s", what, message) end
  config_of[s] = config
  return s
end

-- ==== by name ==============================================================================

local steps = { "integer", default = 1000, min = 1, max = 10000000 }
local max_beta = { "number", default = 0.999, above = 0, max = 1 }
local function number(value) return { "number", default = value } end
local function ends(first, last)
  return {
    T = steps, rescale = { "boolean", default = true },
    beta_start = { "number", default = first, above = 0 }, beta_end = { "number", default = last, above = 0 },
  }
end

-- Named schedules: options, and their order as the core wants them.
local named = {
  linear = { rules = ends(1e-4, 0.02), "beta_start", "beta_end" },
  scaled_linear = { rules = ends(0.00085, 0.012), "beta_start", "beta_end" },
  sigmoid_beta = { rules = ends(1e-4, 0.02), "beta_start", "beta_end" },
  cosine = { rules = { T = steps, s = { "number", default = 0.008, min = 0 }, max_beta = max_beta }, "s" },
  sigmoid = {
    rules = { T = steps, start = number(-3), ["end"] = number(3), tau = { "number", default = 1, above = 0 },
      max_beta = max_beta },
    "start", "end", "tau",
  },
}

local function by_name(name, given)
  local what, form = "schedule." .. name, named[name]
  local o = opts.check(what, given, form.rules)
  local scale = o.rescale and 1000 / o.T or 1
  local numbers = {}
  for i, key in ipairs(form) do numbers[i] = key:find "^beta_" and o[key] * scale or o[key] end
  local s, message = core.schedule_named(name, o.T, o.max_beta or 1, table.unpack(numbers))
  if not s and scale ~= 1 then
    message = ("%s (the ends %g and %g are for T = 1000 and are multiplied by 1000/T = %g)"):format(
      message, o.beta_start, o.beta_end, scale)
  end
  o.name = name
  return made(what, o, s, message)
end

--- Betas in equal steps (Ho et al. 2020, sec. 4).
---@param o? {T: integer, beta_start: number, beta_end: number, rescale: boolean} T = 1000;
--- ends 1e-4 and 0.02, which are meant for T = 1000 and multiplied by 1000/T; with
--- rescale = false they are taken as they stand
---@return diffusion.schedule
---@usage local s = d.schedule.linear{ T = 1000 }
--- print(s:alpha_bar(500), s:snr(500), s:prior_kl())
function schedule.linear(o) return (by_name("linear", o)) end

--- Square roots of betas in equal steps (Rombach et al. 2022); ends 0.00085 and 0.012.
---@param o? {T: integer, beta_start: number, beta_end: number, rescale: boolean} as linear
---@return diffusion.schedule
function schedule.scaled_linear(o) return (by_name("scaled_linear", o)) end

--- Betas on a logistic curve (Xu et al. 2022, GeoDiff); ends 1e-4 and 0.02.
---@param o? {T: integer, beta_start: number, beta_end: number, rescale: boolean} as linear
---@return diffusion.schedule
function schedule.sigmoid_beta(o) return (by_name("sigmoid_beta", o)) end

--- alpha_bar on a squared cosine (Nichol & Dhariwal 2021, eq. 17).
---@param o? {T: integer, s: number, max_beta: number} T = 1000; s = 0.008 keeps beta from
--- vanishing near t = 0; betas above max_beta = 0.999 are cut, which at T they are
---@return diffusion.schedule
---@usage print(d.schedule.cosine{ T = 1000 })
function schedule.cosine(o) return (by_name("cosine", o)) end

--- alpha_bar on a logistic curve (Jabri et al. 2023, alg. 1).
---@param o? {T: integer, start: number, end: number, tau: number, max_beta: number} T = 1000,
--- start = -3, end = 3, tau = 1, max_beta = 0.999
---@return diffusion.schedule
function schedule.sigmoid(o) return (by_name("sigmoid", o)) end

-- ==== from lists and functions =============================================================

local from_rules = {
  T = { "integer", min = 1, max = 10000000 }, name = { "string" },
  max_beta = { "number", above = 0, max = 1 },
}
local sigma_rules = {
  T = from_rules.T, name = from_rules.name, max_beta = from_rules.max_beta,
  form = { one_of = { "ve", "vp" }, default = "ve" },
}

local function check_list(what, list)
  for i, value in ipairs(list) do
    if type(value) ~= "number" then
      opts.fail("%s: a list of numbers expected, but number %d is a %s", what, i, opts.kind(value))
    end
  end
  return list
end

-- The T numbers that the user's list, tensor or function states.
local function tabulate(what, source, T)
  if type(source) == "table" then return check_list(what, source) end
  if type(source) ~= "function" then return source end
  if not T then
    opts.fail("bad argument #2 to '%s' (option 'T' is missing: a function needs it)", what)
  end
  local values = {}
  for t = 1, T do
    local value = source(t / T, t, T)
    if type(value) ~= "number" then
      opts.fail("%s: the function must return a number, got %s at t = %d", what, opts.kind(value), t)
    end
    values[t] = value
  end
  return values, source
end

local function from(kind, source, given, rules, unit)
  local what = "schedule.from_" .. kind
  local o = opts.check(what, given, rules, 2)
  local key = kind == "sigma" and "sigma_" .. o.form or kind
  local type_ = opts.kind(source)
  if type_ ~= "function" and type_ ~= "table" and type_ ~= "tensor" then
    opts.fail("bad argument #1 to '%s' (a list or a function of (u, t, T) expected, got %s)", what, type_)
  end
  if o.form == "ve" and o.max_beta then
    opts.fail("bad argument #2 to '%s' (option 'max_beta' needs a^2 + s^2 = 1: form = 'vp')", what)
  end
  local values, own = tabulate(what, source, o.T)
  local n = opts.kind(values) == "tensor" and values:numel() or #values
  if n == 0 or o.T and n ~= o.T then
    opts.fail("%s: T = %s, but the list has %d numbers", what, o.T or "at least 1", n)
  end
  local s, message = core.schedule_from(o.name or unit or kind, key, values, o.max_beta or 1, own)
  return made(what, nil, s, message)
end

--- From betas, in (0, 1], 1 at T only.
---@param source number[]|fun(u: number, t: integer, T: integer): number T numbers, or a
--- function of u = t/T
---@param o? {T: integer, name: string, max_beta: number} T is needed with a function; betas
--- above max_beta are cut
---@return diffusion.schedule
function schedule.from_beta(source, o) return (from("beta", source, o, from_rules)) end

--- From alpha_bar_t = a_t^2, strictly falling in (0, 1), 0 at T only. Between integers a
--- function answers for itself, unless max_beta had to change it.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_beta
---@param o? {T: integer, name: string, max_beta: number}
---@return diffusion.schedule
---@usage print(d.schedule.from_alpha_bar(function(u) return (1 - u) ^ 3 end, { T = 1000, max_beta = 0.999 }))
function schedule.from_alpha_bar(source, o) return (from("alpha_bar", source, o, from_rules)) end

--- From ln SNR = ln(a^2/s^2), strictly falling, with a^2 + s^2 = 1.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_alpha_bar
---@param o? {T: integer, name: string, max_beta: number}
---@return diffusion.schedule
function schedule.from_log_snr(source, o) return (from("log_snr", source, o, from_rules)) end

--- From sigma = s/a, strictly rising.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_alpha_bar
---@param o? {T: integer, name: string, form: "ve"|"vp", max_beta: number} form "ve" (default):
--- a = 1, x_t = x_0 + sigma eps; "vp": a^2 + s^2 = 1
---@return diffusion.schedule
function schedule.from_sigma(source, o) return (from("sigma", source, o, sigma_rules)) end

-- ==== the continuous ones, at T levels =====================================================

-- ln(1 - e^x) for x < 0, exact for small x too.
local function log1mexp(x) return x > -1e-5 and math.log(-x) + x / 2 or math.log(1 - math.exp(x)) end

-- From the first level to the last as 0..1; a schedule of one level is its last.
local function way(t, T) return T == 1 and 1 or (t - 1) / (T - 1) end

local sigma_ends = function(low, high, rest)
  local rules = { T = steps, sigma_min = { "number", default = low, above = 0 },
                  sigma_max = { "number", default = high, above = 0 } }
  for k, v in pairs(rest or {}) do rules[k] = v end
  return rules
end

-- What each is made from (a key of core.schedule_from), and its function of (u, t, T).
local continuous = {
  vp = {
    rules = { T = steps, beta_min = { "number", default = 0.1, above = 0 },
              beta_max = { "number", default = 20, above = 0 } },
    key = "log_snr",
    make = function(o)
      return function(u)
        local ln_alpha_bar = -u * u * (o.beta_max - o.beta_min) / 2 - u * o.beta_min
        return ln_alpha_bar - log1mexp(ln_alpha_bar)
      end
    end,
  },
  ve = {
    rules = sigma_ends(0.02, 100), key = "sigma_ve",
    make = function(o)
      return function(_, t, T) return o.sigma_min * (o.sigma_max / o.sigma_min) ^ way(t, T) end
    end,
  },
  edm = {
    rules = sigma_ends(0.002, 80, { rho = { "number", default = 7, above = 0 } }), key = "sigma_ve",
    make = function(o)
      local low, high = o.sigma_min ^ (1 / o.rho), o.sigma_max ^ (1 / o.rho)
      return function(_, t, T) return (low + way(t, T) * (high - low)) ^ o.rho end
    end,
  },
}

local function by_function(name, given)
  local what, form = "schedule." .. name, continuous[name]
  local o = opts.check(what, given, form.rules)
  local f, values = form.make(o), {}
  for t = 1, o.T do values[t] = f(t / o.T, t, o.T) end
  o.name = name
  local s, message = core.schedule_from(name, form.key, values, 1, f)
  return made(what, o, s, message)
end

--- The variance-preserving SDE at u = t/T: ln a = -u^2 (beta_max - beta_min)/4 - u beta_min/2
--- (Song et al. 2021, score SDE, eq. 33).
---@param o? {T: integer, beta_min: number, beta_max: number} T = 1000, 0.1, 20
---@return diffusion.schedule
function schedule.vp(o) return (by_function("vp", o)) end

--- The variance-exploding SDE: a = 1, sigma geometric from sigma_min to sigma_max (Song et al.
--- 2021, score SDE, eq. 31).
---@param o? {T: integer, sigma_min: number, sigma_max: number} T = 1000, 0.02, 100
---@return diffusion.schedule
function schedule.ve(o) return (by_function("ve", o)) end

--- a = 1 and sigma in equal steps of its rho-th root (Karras et al. 2022, eq. 5).
---@param o? {T: integer, sigma_min: number, sigma_max: number, rho: number} T = 1000, 0.002, 80, 7
---@return diffusion.schedule
function schedule.edm(o) return (by_function("edm", o)) end

local flow_rules = { T = steps, shift = { "number", default = 1, above = 0 } }

--- The straight path x_t = (1 - w) x_0 + w eps with w = t/T, moved towards noise by shift > 1:
--- w' = shift w / (1 + (shift - 1) w) (Esser et al. 2024, eq. 23).
---@param o? {T: integer, shift: number} T = 1000, shift = 1
---@return diffusion.schedule
function schedule.flow(o)
  o = opts.check("schedule.flow", o, flow_rules)
  local ln_a, ln_s = {}, {}
  for t = 1, o.T do
    local w = t / o.T
    w = o.shift * w / (1 + (o.shift - 1) * w)
    ln_a[t], ln_s[t] = t == o.T and -math.huge or math.log(1 - w), math.log(w)
  end
  o.name = "flow"
  local s, message = core.schedule_columns("flow", ln_a, ln_s, false)
  return (made("schedule.flow", o, s, message))
end

-- ==== methods beside the core's ============================================================

--- The same schedule shifted and scaled so that x_T holds no signal (Lin et al. 2024,
--- alg. 1). The first level stays.
---@return diffusion.schedule
function Schedule:rescale_zero_terminal_snr()
  return made("rescale_zero_terminal_snr", nil,
    core.schedule_zero_terminal(self, self.name .. " with zero terminal SNR"))
end

--- Draws a quantity of the schedule against u = t/T; see d.plot.schedules.
---@param o? table {what = "log_snr", file = "schedule.png", ...}
---@return boolean|nil ok nil with a message where it fails
---@return string|nil message
function Schedule:plot(o) return require("diffusion.plot").schedules({ self }, o) end

--- A table of plain values from which schedule.from_config makes the same schedule again;
--- real levels of functions become interpolated ones.
---@return table
function Schedule:config()
  local out = {}
  for key, value in pairs(config_of[self] or {}) do out[key] = value end
  if next(out) then return out end
  local ln_a, ln_s = self:columns()
  return { name = self.name, vp = self:is_vp(), ln_signal = ln_a, ln_noise = ln_s }
end

local function is_name(name) return (named[name] or continuous[name] or name == "flow") and true end

--- The schedule that a config describes.
---@param config table
---@return diffusion.schedule|nil schedule nil with a message where it describes none
---@return string|nil message
function schedule.from_config(config)
  if type(config) ~= "table" then return nil, "the schedule's description is no table" end
  if not config.ln_signal then
    local make = schedule[config.name]
    if not is_name(config.name) then return nil, opts.unknown("schedule", config.name, schedule.names()) end
    local o = {}
    for key, value in pairs(config) do if key ~= "name" then o[key] = value end end
    return opts.try(make, o)
  end
  return opts.try(core.schedule_columns, config.name, config.ln_signal, config.ln_noise, config.vp)
end

--- The names of schedules, sorted.
---@return string[]
function schedule.names()
  local names = { "flow" }
  for name in pairs(named) do names[#names + 1] = name end
  for name in pairs(continuous) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local blocks = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

-- The share of signal a^2 / (a^2 + s^2) along t, in eight heights.
local function sparkline(s, width)
  local line = {}
  for i = 1, math.min(width, s.T) do
    local t = 1 + (i - 1) * (s.T - 1) // math.max(1, math.min(width, s.T) - 1)
    local snr = s:snr(t)
    line[i] = blocks[1 + math.floor(7 * snr / (1 + snr) + 0.5)]
  end
  return table.concat(line)
end

function core.schedule_meta.__tostring(s)
  local what = s:is_vp() and "alpha_bar" or "signal"
  local rest = s:snr(s.T) > 1e-3 and ("\n  x_T keeps signal, SNR %.3g: sampling starts from what "
    .. "training never saw, pure noise"):format(s:snr(s.T)) or ""
  return ("schedule %s: T = %d, %s %.6g .. %.4g, sigma %.4g .. %.4g, prior KL %.3g bits/dim  %s"):format(
    s.name, s.T, what, s[what](s, 1), s[what](s, s.T), s:sigma(1), s:sigma(s.T), s:prior_kl(),
    sparkline(s, 24)) .. rest
end

return { schedule = schedule }

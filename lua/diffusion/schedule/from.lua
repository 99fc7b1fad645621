-- Schedules from a list of numbers or a function of the user's.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local made = require "diffusion.schedule.made"

local schedule = {}

local function from_rules(name)
  return {
    T = { "integer", min = 1, max = made.MOST_STEPS, default_text = "length of the list",
      text = "number of steps; a function needs it" },
    name = { "string", default = name, text = "the schedule's name" },
    max_beta = { "number", above = 0, max = 1, otherwise = 1, text = "betas above it are cut" },
  }
end

local rules = {
  beta = opts.declare("schedule_from_beta", from_rules "beta"),
  alpha_bar = opts.declare("schedule_from_alpha_bar", from_rules "alpha_bar"),
  log_snr = opts.declare("schedule_from_log_snr", from_rules "log_snr"),
  sigma = opts.declare("schedule_from_sigma", opts.joined(from_rules "sigma", {
    form = { one_of = { "ve", "vp" }, default = "ve", text = '"ve": x_t = x_0 + sigma eps; "vp": a^2 + s^2 = 1' },
  })),
}

local function check_list(what, list)
  for i, value in ipairs(list) do
    if type(value) ~= "number" then
      fail.raise("%s: a list of numbers expected, but number %d is a %s", what, i, kind.of(value))
    end
  end
  return list
end

-- The T numbers that the user's list, tensor or function gives.
local function tabulate(what, source, T)
  if type(source) == "table" then return check_list(what, source) end
  if type(source) ~= "function" then return source end
  if not T then
    fail.raise("bad argument #2 to '%s' (option 'T' is missing: a function needs it)", what)
  end
  local values = {}
  for t = 1, T do
    local value = source(t / T, t, T)
    if type(value) ~= "number" then
      fail.raise("%s: the function must return a number, got %s at t = %d", what, kind.of(value), t)
    end
    values[t] = value
  end
  return values, source
end

local clean = { alpha_bar = 1, sigma = 0, beta = 0 } -- values of level 0

-- Advice to add to the core's message, if the remedy is clear.
local function remedy(message)
  if message:find "must %a+ with t" then
    return "; reverse a list that runs from noise to data, and remove repeated numbers"
  end
  local name, t, value = message:match "([%a_]+)%[(%d+)%] = (%S+)$"
  if t == "1" and tonumber(value) == clean[name] or t == "1" and name == "log_snr" and value == "inf" then
    return "; a list starts at t = 1, without level 0"
  end
  return name == "beta" and (tonumber(value) or 0) >= 1 and "; max_beta = 0.999 cuts such betas" or ""
end

local function from(quantity, source, given)
  local what = "schedule.from_" .. quantity
  local o = opts.check(what, given, rules[quantity], 2)
  local key = quantity == "sigma" and "sigma_" .. o.form or quantity
  local type_ = kind.of(source)
  if type_ ~= "function" and type_ ~= "table" and type_ ~= "tensor" then
    fail.raise("bad argument #1 to '%s' (a list or a function of (u, t, T) expected, got %s)", what, type_)
  end
  if o.form == "ve" and o.max_beta then
    fail.raise("bad argument #2 to '%s' (option 'max_beta' needs a^2 + s^2 = 1: form = 'vp')", what)
  end
  local values, own = tabulate(what, source, o.T)
  local n = kind.of(values) == "tensor" and values:numel() or #values
  if n == 0 or o.T and n ~= o.T then
    fail.raise("%s: T = %s, but the list has %d numbers", what, o.T or "at least 1", n)
  end
  local s, message = fail.call(core.schedule_from, o.name, key, values,
    o.max_beta or rules[quantity].max_beta.otherwise, own)
  return made.schedule(what, nil, s, s or message .. core.in_c_locale(remedy, message))
end

--- From betas, in (0, 1], 1 at T only.
---@param source number[]|fun(u: number, t: integer, T: integer): number T numbers, or a
--- function of u = t/T
---@param o diffusion.schedule_from_beta_options?
---@return diffusion.schedule
function schedule.from_beta(source, o) return (from("beta", source, o)) end

--- From alpha_bar_t = a_t^2, strictly falling in (0, 1), 0 at T only. A function is evaluated between
--- integers too, unless max_beta had to change it.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_beta
---@param o diffusion.schedule_from_alpha_bar_options?
---@return diffusion.schedule
---@usage print(d.schedule.from_alpha_bar(function(u) return (1 - u) ^ 3 end, { T = 1000, max_beta = 0.999 }))
function schedule.from_alpha_bar(source, o) return (from("alpha_bar", source, o)) end

--- From ln SNR = ln(a^2/s^2), strictly falling, with a^2 + s^2 = 1.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_alpha_bar
---@param o diffusion.schedule_from_log_snr_options?
---@return diffusion.schedule
function schedule.from_log_snr(source, o) return (from("log_snr", source, o)) end

--- From sigma = s/a, strictly rising.
---@param source number[]|fun(u: number, t: number, T: integer): number as from_alpha_bar
---@param o diffusion.schedule_from_sigma_options?
---@return diffusion.schedule
function schedule.from_sigma(source, o) return (from("sigma", source, o)) end

return schedule

-- Grids of noise levels. sigma = s/a follows a curve from sigma_max to sigma_min. The schedule gives
-- the time of each sigma, a real number in general.
local made = require "diffusion.grid.made"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local beta_quantile = require "diffusion.grid.beta_quantile"

local sigma = {}

local function schedule_of(what, source)
  local schedule, T = made.source(what, source)
  if not schedule then fail.raise("%s: a schedule or a process is needed, for its sigmas", what) end
  return schedule, T
end

local sigma_min = { "number", infinite = true, default_text = "sigma of level 1",
  text = "sigma of the last step, between those of levels 1 and T" }
local sigma_max = { "number", infinite = true, default_text = "sigma of level T",
  text = "sigma of the first step, between those of levels 1 and T" }

-- The options of a curve of sigma, and its own.
local function curve_rules(own)
  return opts.joined({ sigma_min = sigma_min, sigma_max = sigma_max, round = made.round, last = made.last }, own)
end

-- Rules with sigma_min and sigma_max within the schedule's levels 1..T, its ends by default.
local function ends(schedule, T, rules)
  local low, high = schedule:sigma(1), schedule:sigma(T)
  return opts.joined(rules, {
    sigma_min = opts.joined(sigma_min, { default = low, min = low, max = high }),
    sigma_max = opts.joined(sigma_max, { default = high, min = low, max = high }),
  })
end

local function check_ends(what, o, N, T)
  if o.sigma_max == math.huge then
    fail.raise("%s: sigma is infinite at T = %d, where x_T holds no signal; %s, or take a grid of times "
      .. "such as trailing", what, T, o.from and "start 'from' below T" or "give a finite sigma_max")
  end
  if N > 1 and o.sigma_min >= o.sigma_max then
    fail.raise("%s: sigma_min = %g must be below sigma_max = %g", what, o.sigma_min, o.sigma_max)
  end
end

-- The time of a sigma. A time within rounding error of an integer, or of an end of the schedule, is
-- set to it.
local function time_of(schedule, T)
  local low, high = schedule:sigma(1), schedule:sigma(T)
  return function(value)
    if math.abs(value / low - 1) < 1e-9 then return 1 end
    if math.abs(value / high - 1) < 1e-9 then return T end
    local t = fail.call(schedule.level_of_sigma, schedule, value)
    local whole = math.floor(t + 0.5)
    return math.abs(t - whole) < 1e-9 * T and whole or t
  end
end

local function finished(name, times, T, schedule, o)
  if o.round then times = made.whole(times, T) end
  return made.checked(name, times, T, schedule, o.last)
end

-- N sigmas by curve(u), u from 0 (sigma_max) to 1 (sigma_min), clamped to these two.
local function by_curve(name, schedule, N, o, curve)
  local T, times = schedule.T, {}
  local time = time_of(schedule, T)
  check_ends("grid." .. name, o, N, T)
  for i = 1, N do
    local value = curve(N == 1 and 0 or (i - 1) / (N - 1))
    times[i] = time(math.max(o.sigma_min, math.min(o.sigma_max, value)))
  end
  return finished(name, times, T, schedule, o)
end

-- The schedule, the number of steps and the options of such a grid.
local function arguments(name, source, N, o, own)
  local what = "grid." .. name
  local schedule, T = schedule_of(what, source)
  N = made.count(what, N)
  o = opts.check(what, o, ends(schedule, T, own), 3)
  if o.round then made.count(what, N, T) end
  return schedule, N, o
end

local function rho(value, text) return { "number", default = value, above = 0, text = text } end

local karras_rules = opts.declare("grid_karras",
  curve_rules { rho = rho(7, "steps are equal in the rho-th root of sigma") })
local exponential_rules = opts.declare("grid_exponential", curve_rules {})
local poly_rules = opts.declare("grid_poly_exponential", curve_rules { rho = rho(1, "power of the curve in ln sigma") })

--- Levels of sigma in equal steps of its rho-th root, from sigma_max to sigma_min, as real times
--- (Karras et al. 2022, eq. 5). A single step starts at sigma_max.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o diffusion.grid_karras_options?
---@return diffusion.grid
---@usage print(d.grid.karras(d.schedule.scaled_linear{}, 5, { round = true }))
function sigma.karras(source, N, o)
  local schedule
  schedule, N, o = arguments("karras", source, N, o, karras_rules)
  local high, low = o.sigma_max ^ (1 / o.rho), o.sigma_min ^ (1 / o.rho)
  return by_curve("karras", schedule, N, o, function(u) return (high + u * (low - high)) ^ o.rho end)
end

-- ln sigma falls from its maximum to its minimum as (1 - u)^power.
local function by_logarithm(name, schedule, N, o, power)
  local low = math.log(o.sigma_min)
  local range = math.log(o.sigma_max) - low
  return by_curve(name, schedule, N, o, function(u) return math.exp(low + (1 - u) ^ power * range) end)
end

--- ln sigma in equal steps from sigma_max to sigma_min: a geometric sequence.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o diffusion.grid_exponential_options?
---@return diffusion.grid
function sigma.exponential(source, N, o)
  local schedule
  schedule, N, o = arguments("exponential", source, N, o, exponential_rules)
  return by_logarithm("exponential", schedule, N, o, 1)
end

--- ln sigma falls from sigma_max to sigma_min as (1 - u)^rho, with u in equal steps (Crowson's
--- k-diffusion). If rho > 1, more steps are near sigma_min. rho = 1 is exponential.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o diffusion.grid_poly_exponential_options?
---@return diffusion.grid
function sigma.poly_exponential(source, N, o)
  local schedule
  schedule, N, o = arguments("poly_exponential", source, N, o, poly_rules)
  return by_logarithm("poly_exponential", schedule, N, o, o.rho)
end

local log_snr_rules = opts.declare("grid_log_snr", {
  from = { "number", above = 0, default_text = "T", text = "level of the first step" },
  to = { "number", default = 1, above = 0, text = "level from which the last step starts" },
  round = made.round, last = made.last,
})

--- ln SNR in equal steps between two levels of the schedule (Lu et al. 2022, DPM-Solver). ln SNR is
--- -2 ln sigma, so this equals exponential, but its ends are given as times.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o diffusion.grid_log_snr_options?
---@return diffusion.grid
function sigma.log_snr(source, N, o)
  local schedule, T = schedule_of("grid.log_snr", source)
  N = made.count("grid.log_snr", N)
  o = opts.check("grid.log_snr", o, opts.joined(log_snr_rules, {
    from = opts.joined(log_snr_rules.from, { default = T, max = T }), to = opts.joined(log_snr_rules.to, { max = T }),
  }), 3)
  if o.round then made.count("grid.log_snr", N, T) end
  if N > 1 and o.to >= o.from then
    fail.raise("grid.log_snr: 'to' = %g must be an earlier level than 'from' = %g", o.to, o.from)
  end
  o.sigma_max = fail.call(schedule.sigma, schedule, o.from)
  o.sigma_min = fail.call(schedule.sigma, schedule, o.to)
  return by_logarithm("log_snr", schedule, N, o, 1)
end

-- ==== Beta =================================================================================

local of_t_rules = {
  alpha = { "number", default = 0.6, above = 0, max = 1000, text = "first parameter of the Beta distribution" },
  beta = { "number", default = 0.6, above = 0, max = 1000, text = "second parameter of the Beta distribution" },
  of = { one_of = { "t", "sigma" }, default = "t", text = "the quantity whose values are Beta quantiles" },
  round = made.round, last = made.last,
}
local of_sigma_rules = opts.declare("grid_beta", opts.joined(curve_rules {}, of_t_rules))

local function beta_of_t(schedule, T, N, o)
  local times = {}
  for i = 1, N do times[i] = 1 + (T - 1) * beta_quantile(1 - (i - 1) / N, o.alpha, o.beta) end
  return finished("beta", times, T, schedule, o)
end

local function beta_of_sigma(schedule, N, o)
  return by_curve("beta", schedule, N, o, function(u)
    return o.sigma_min + (o.sigma_max - o.sigma_min) * beta_quantile(1 - u, o.alpha, o.beta)
  end)
end

--- Quantiles of a Beta distribution, dense at both ends for alpha, beta < 1 (Lee et al. 2024, Beta
--- sampling). With of = "t" it takes the quantiles of 1, 1 - 1/N, ..., 1/N as the share of the way
--- from 1 to T, and times are real unless rounded. With of = "sigma" it takes those of 1, ..., 0 in
--- equal steps as the share of the way from sigma_min to sigma_max, as diffusers does.
--- Only of = "sigma" has options sigma_min and sigma_max.
---@param source diffusion.process|diffusion.schedule|integer T alone is enough for of = "t"
---@param N integer number of steps
---@param o diffusion.grid_beta_options?
---@return diffusion.grid
function sigma.beta(source, N, o)
  local of_sigma = type(o) == "table" and o.of == "sigma"
  if of_sigma then
    local schedule
    schedule, N, o = arguments("beta", source, N, o, of_sigma_rules)
    return beta_of_sigma(schedule, N, o)
  end
  local schedule, T = made.source("grid.beta", source)
  o = opts.check("grid.beta", o, of_t_rules, 3)
  return beta_of_t(schedule, T, made.count("grid.beta", N, o.round and T or nil), o)
end

-- ==== a list ===============================================================================

local sigmas_rules = opts.declare("grid_sigmas", { round = made.round, last = made.last })

--- A grid of your own sigmas, strictly falling within those of levels 1..T. A final 0 may be given
--- or omitted.
---@param source diffusion.process|diffusion.schedule
---@param values number[]
---@param o diffusion.grid_sigmas_options?
---@return diffusion.grid
---@usage print(d.grid.sigmas(d.schedule.edm{}, { 80, 10, 1, 0.1, 0 }))
function sigma.sigmas(source, values, o)
  local what = "grid.sigmas"
  local schedule, T = schedule_of(what, source)
  o = opts.check(what, o, sigmas_rules, 3)
  if type(values) ~= "table" then
    fail.raise("bad argument #2 to '%s' (a list of sigmas expected, got %s)", what, kind.of(values))
  end
  local times, time = {}, time_of(schedule, T)
  for i, value in ipairs(values) do
    local before = values[i - 1] or math.huge
    if type(value) ~= "number" or not (value < before or i == 1 and value == before) then
      fail.raise("%s: sigmas must be numbers that fall, but number %d is %s%s", what, i, kind.shown(value),
        i > 1 and (" after %g"):format(before) or "")
    end
    if not (value == 0 and i == #values) then times[i] = time(value) end
  end
  if #times == 0 then fail.raise("%s: at least one sigma above 0 expected", what) end
  if o.round and #times > T then made.count(what, #times, T) end
  return finished("sigmas", times, T, schedule, o)
end

return sigma

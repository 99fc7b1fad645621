-- The levels of a run in sigma = s/a, and the timesteps that diffusers shows at them. It interpolates
-- its table of sigmas by number.
local even = require("diffusion.grid.preset_times").even
local fail = require "diffusion.fail"
local named = require("diffusion.schedule").schedule
local ramp = require "diffusion.hub.scheduler.ramp"
local spacing = require "diffusion.hub.scheduler.spacing"

local levels = {}

-- A run is a table {c, o, schedule, top, curve}. c and o are checked options, schedule is that of
-- training, top the sigma of diffusers' last timestep, and curve a name or nil.

-- The timesteps of N steps, which aren't rounded on a line.
local function steps_of(run, N)
  local c, T = run.c, run.c.num_train_timesteps
  if run.o.timesteps then return run.o.timesteps end
  if c.timestep_spacing ~= "linspace" then return spacing.plain(c, N) end
  local out = {}
  for i = 1, N do out[i] = N == 1 and 0 or (N - i) * (T - 1) / (N - 1) end
  return out
end

-- Sigma at a timestep: on a line between whole timesteps, and the table's ends beyond them.
local function sigma_at(run, u)
  local s, T = run.schedule, run.schedule.T
  local function at(i) return i >= T - 1 and run.top or s:sigma(i + 1) end
  if u <= 0 or u >= T - 1 then return at(math.max(u, 0)) end
  local low, w = math.floor(u), u % 1
  if w == 0 then return at(low) end
  return (1 - w) * at(low) + w * at(low + 1)
end

-- The timestep of a sigma: on a line in ln sigma between whole timesteps, within the table.
local function step_at(run, sigma)
  local s, T = run.schedule, run.schedule.T
  if sigma <= s:sigma(1) then return 0 end
  if sigma >= run.top * (1 - 1e-12) then return T - 1 end
  return s:level_of_sigma(sigma) - 1
end

local function steps_at(run, sigmas)
  local out = {}
  for i, sigma in ipairs(sigmas) do
    out[i] = step_at(run, sigma)
    if run.c.rounds and run.curve == "karras" then out[i] = even(out[i]) end
  end
  return out
end

-- Sigmas in equal steps of their logarithm, and the sigma at which they end.
local function log_linear(run, N)
  local low, out = run.schedule:sigma(1), {}
  for i = 1, N do out[i] = run.top * (low / run.top) ^ ((i - 1) / N) end
  return out, low
end

-- The sigmas of N steps, their timesteps, and the sigma at which the run ends.
local function list(run, N)
  local c, given = run.c, run.o.sigmas
  if given then
    local sigmas = table.move(given, 1, #given - 1, 1, {})
    return sigmas, steps_at(run, sigmas), given[#given]
  end
  local low = run.schedule:sigma(1)
  local steps, sigmas, last = steps_of(run, N), {}, c.final_sigmas_type == "sigma_min" and low or 0
  for i, u in ipairs(steps) do sigmas[i] = sigma_at(run, u) end
  local high, least = sigmas[1], sigmas[#sigmas]
  if c.interpolation_type == "log_linear" then
    high, least = run.top, low
    local ends
    sigmas, ends = log_linear(run, N)
    if not run.curve then last = ends end
  end
  if run.curve then
    sigmas = ramp.of(run.curve, c.sigma_max or high, c.sigma_min or least, N)
    steps = steps_at(run, sigmas)
  end
  return sigmas, steps, last
end

local function check_falling(what, values, advice)
  for i = 2, #values do
    if not (values[i] < values[i - 1]) then
      fail.raise("%s %d and %d of %d are %.6g and %.6g, which must fall%s", what, i - 1, i, #values, values[i - 1],
        values[i], advice)
    end
  end
end

local function remedy(run)
  if not run.c.rescale_betas_zero_snr then return "; take fewer steps" end
  return ": rescale_betas_zero_snr gives the last timestep less noise than the one before; take fewer steps"
end

-- The levels of training, or, if the run has sigmas beyond them, levels of those sigmas.
local function schedule_of(run)
  local s, c, given = run.schedule, run.c, run.o.sigmas
  local low, high = s:sigma(1), s:sigma(s.T)
  local least, most = low, high
  if given then
    least, most = given[#given] > 0 and given[#given] or given[#given - 1], given[1]
  elseif run.curve then
    least, most = c.sigma_min or low, c.sigma_max or high
  end
  if least >= low * (1 - 1e-9) and most <= high * (1 + 1e-9) then return s, false end
  return named.ve { T = s.T, sigma_min = math.min(least, low), sigma_max = math.max(most, run.top) }, true
end

-- The level of a sigma. One within rounding error of a whole level is that level.
local function level_of(schedule)
  local low, high = schedule:sigma(1), schedule:sigma(schedule.T)
  return function(sigma)
    if sigma <= low * (1 + 1e-9) then return sigma == 0 and 0 or 1 end
    if sigma >= high * (1 - 1e-9) then return schedule.T end
    local t = schedule:level_of_sigma(sigma)
    local whole = math.floor(t + 0.5)
    return math.abs(t - whole) < 1e-9 * schedule.T and whole or t
  end
end

local function check_given(run)
  if not run.o.timesteps then return end
  if run.curve then fail.raise("timesteps can't be given with use_%s_sigmas", run.curve) end
  check_falling("timesteps", run.o.timesteps, "")
  local first, T = run.o.timesteps[1], run.schedule.T
  if first >= T then fail.raise("the first of the timesteps is %g, but training has 0..%d", first, T - 1) end
end

--- The schedule of a run, its levels times(N) and the timestep shown(t). If its sigmas go beyond the levels of
--- training, it is `wide`: its schedule has no signal.
---@param run table {c, o, schedule, top, curve}
---@return table
function levels.of(run)
  check_given(run)
  local schedule, wide = schedule_of(run)
  local level = level_of(schedule)
  local function times(N)
    local sigmas, steps, last = list(run, N)
    check_falling("sigmas", sigmas, run.o.sigmas and "" or remedy(run))
    local out, told = {}, {}
    for i, sigma in ipairs(sigmas) do
      out[i] = level(sigma)
      told[out[i]] = steps[i]
    end
    return out, level(last), told
  end
  local function shown(t) return step_at(run, schedule:sigma(t)) end
  return { schedule = schedule, wide = wide, times = times, shown = shown }
end

return levels

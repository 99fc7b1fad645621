-- A grid is a list of steps {t, s}, later time first. Each s is the next step's t. The last s is 0,
-- or the level at which the grid stops.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"

local made = {}

--- The times that a sampler visits: a list of {t, s}, later time first.
---@class diffusion.grid
---@field name string
---@field T integer
---@field schedule diffusion.schedule|nil
---@field last number the level at which the last step ends: 0 is the data
local Grid = {}

--- The schedule and T of a process, a schedule, or a number of steps.
---@param what string the function's name, as the user writes it
---@param source any
---@return any schedule nil if only T is known
---@return integer T
function made.source(what, source)
  local given = kind.of(source)
  if given == "process" then return source.schedule, source.T end
  if given == "schedule" then return source, source.T end
  if given == "integer" and source >= 1 then return nil, math.tointeger(source) end
  fail.raise("bad argument #1 to '%s' (a process, a schedule or T expected, got %s)", what, given)
end

--- Raises unless N is a number of steps, at least 1 and at most `most`.
---@param what string
---@param N any
---@param most integer|nil no limit if nil
---@param why string|nil the reason for `most` and the remedy, if it isn't T
---@return integer N
function made.count(what, N, most, why)
  local whole = type(N) == "number" and math.tointeger(N)
  if not whole then
    fail.raise("bad argument #2 to '%s' (a number of steps expected, got %s)", what, kind.shown(N))
  end
  if whole < 1 or most and whole > most then
    fail.raise("bad argument #2 to '%s' (the number of steps must be %s, got %d%s)", what,
      most and ("in 1..%s%d"):format(why and "" or "T = ", most) or "1 or more", whole,
      whole > 0 and (why or ": every step starts at a whole level of its own; take fewer, or a grid of real levels "
        .. "such as karras") or "")
  end
  return whole
end

-- ==== the class ============================================================================

-- One step, with the levels at its ends if the schedule is known.
local function step_text(g, t, s)
  local text = ("%7g -> %-7g"):format(t, s)
  local schedule = g.schedule
  if not schedule then return (text:gsub("%s+$", "")) end
  local signal = schedule[schedule:is_vp() and "alpha_bar" or "signal"]
  return text .. ("%13.5g%13.5g%13.5g%13.5g"):format(
    signal(schedule, t), signal(schedule, s), schedule:sigma(t), schedule:sigma(s))
end

local function rest_text(g)
  if g.last == 0 then return "" end
  local sigma = g.schedule and (", where sigma = %.3g is left"):format(g.schedule:sigma(g.last)) or ""
  return (", stops at t = %g%s"):format(g.last, sigma)
end

local function tostring_grid(g)
  local lines = { ("grid %s: %d of %d steps%s"):format(g.name, #g, g.T, rest_text(g)) }
  if g.told then lines[1] = lines[1] .. "; the network is evaluated at whole t" end
  if g.schedule then
    local signal = g.schedule:is_vp() and "alpha_bar" or "signal"
    lines[2] = ("%7s -> %-7s%13s%13s%13s%13s"):format("t", "s", signal .. "_t", signal .. "_s", "sigma_t",
      "sigma_s")
  end
  for _, step in ipairs(g) do lines[#lines + 1] = step_text(g, step[1], step[2]) end
  return table.concat(lines, "\n")
end

--- The times t of the steps, without the final 0.
---@return number[]
function Grid:times()
  local times = {}
  for i, step in ipairs(self) do times[i] = step[1] end
  return times
end

local class = object.class("grid", Grid, {
  fields = { "name", "T", "schedule", "last", "told" }, __tostring = tostring_grid,
})

-- ==== making ===============================================================================

--- A grid of falling times. The last step goes to `last`.
---@param name string
---@param times number[]
---@param T integer
---@param schedule any
---@param last number|nil 0 if not given
---@param told table<number, number>|nil the t that the network is given at a time, if it differs
---@return diffusion.grid
function made.grid(name, times, T, schedule, last, told)
  local g = { name = name, T = T, schedule = schedule, last = last or 0, told = told }
  for i, t in ipairs(times) do g[i] = { t, times[i + 1] or g.last } end
  return object.new(class, nil, g)
end

--- The rule of an option that every grid has: the level at which it stops.
made.last = { "number", default = 0, min = 0, text = "level at which the grid stops, below its last t" }
made.round = { "boolean", default = false, text = "takes the nearest whole levels, each once" }

local function check_level(what, schedule, t)
  local sigma, why = fail.try(schedule.sigma, schedule, t)
  if not sigma then
    fail.raise("%s: %s; whole levels are always there", what, why:match "%((t = .*)%)$" or why)
  end
end

-- Raises unless the last step has a positive length.
local function check_last(what, times, last)
  local t = times[#times]
  if last >= t then
    fail.raise("%s: the last step starts at t = %g, so it can't end at last = %g; take a lower 'last', or leave "
      .. "that step out with d.grid.list", what, t, last)
  end
end

--- A grid from computed times. Raises unless they fall to `last` and the schedule has their levels.
---@param name string
---@param times number[]
---@param T integer
---@param schedule any
---@param last number
---@return diffusion.grid
function made.checked(name, times, T, schedule, last)
  local what = "grid." .. name
  for i = 1, #times do times[i] = math.tointeger(times[i]) or times[i] end
  for i = 2, #times do
    if not (times[i] < times[i - 1]) then
      fail.raise("%s: steps %d and %d of %d coincide at t = %.15g; take fewer steps", what, i - 1, i, #times, times[i])
    end
  end
  check_last(what, times, last)
  for i = 1, schedule and #times + 1 or 0 do
    local t = times[i] or last
    if t ~= math.floor(t) then check_level(what, schedule, t) end
  end
  return made.grid(name, times, T, schedule, last)
end

--- The whole levels nearest to real ones (half up), each once. If two coincide, the later one moves
--- up, or the earlier ones move down if T is reached.
---@param times number[] falling, #times <= T
---@param T integer
---@return integer[]
function made.whole(times, T)
  local N, out = #times, {}
  for i = N, 1, -1 do out[i] = math.max(math.floor(times[i] + 0.5), (out[i + 1] or 0) + 1) end
  for i = 1, N do out[i] = math.min(out[i], (out[i - 1] or T + 1) - 1) end
  return out
end

return made

-- d.grid: which times a sampler visits. A grid is a list of steps {t, s}, later time first,
-- that hangs together (each s is the next t) and ends at s = 0; one definition for every
-- sampler. All integer arithmetic, so a grid of N steps has N steps for every N <= T.
local opts = require "diffusion.opts"

--- The times that a sampler visits: a list of {t, s}, later time first.
---@class diffusion.grid
---@field name string
---@field T integer
---@field schedule diffusion.schedule|nil
local Grid = {}
local grid = {}

-- The schedule and T of a process, a schedule, or a number of steps.
local function source_of(what, source)
  local kind = opts.kind(source)
  if kind == "process" then return source.schedule, source.T end
  if kind == "schedule" then return source, source.T end
  if kind == "integer" and source >= 1 then return nil, source end
  opts.fail("bad argument #1 to '%s' (a process, a schedule or T expected, got %s)", what, kind)
end

-- One step, with the levels at its ends where the schedule is known.
local function step_text(g, t, s)
  local text = ("%7g -> %-7g"):format(t, s)
  local schedule = g.schedule
  if not schedule then return (text:gsub("%s+$", "")) end
  local signal = schedule[schedule:is_vp() and "alpha_bar" or "signal"]
  return text .. ("%13.5g%13.5g%13.5g%13.5g"):format(
    signal(schedule, t), signal(schedule, s), schedule:sigma(t), schedule:sigma(s))
end

local function tostring_grid(g)
  local lines = { ("grid %s: %d of %d steps"):format(g.name, #g, g.T) }
  if g.schedule then
    local signal = g.schedule:is_vp() and "alpha_bar" or "signal"
    lines[2] = ("%7s -> %-7s%13s%13s%13s%13s"):format("t", "s", signal .. "_t", signal .. "_s", "sigma_t",
      "sigma_s")
  end
  for _, step in ipairs(g) do lines[#lines + 1] = step_text(g, step[1], step[2]) end
  return table.concat(lines, "\n")
end

local meta = { __name = "diffusion.grid", __tostring = tostring_grid }

-- Times, falling, to steps; the last goes to 0.
local function made(name, times, T, schedule)
  local g = { name = name, T = T, schedule = schedule }
  for i, t in ipairs(times) do g[i] = { t, times[i + 1] or 0 } end
  return opts.sealed(g, Grid, meta)
end

--- The times t of the steps, without the final 0.
---@return number[]
function Grid:times()
  local times = {}
  for i, step in ipairs(self) do times[i] = step[1] end
  return times
end

-- Grids by a formula: the time number i of N, i = 1 the latest, among T.
local formulas = {
  trailing = function(i, N, T) return (2 * T * (N - i + 1) + N) // (2 * N) end,
  leading = function(i, N, T) return 1 + (N - i) * (T // N) end,
  linspace = function(i, N, T)
    if N == 1 then return T end
    return 1 + (2 * (N - i) * (T - 1) + N - 1) // (2 * (N - 1))
  end,
}

local function by_formula(name, source, N)
  local what = "grid." .. name
  local schedule, T = source_of(what, source)
  if math.type(N) ~= "integer" and not (type(N) == "number" and math.tointeger(N)) then
    opts.fail("bad argument #2 to '%s' (a number of steps expected, got %s)", what, opts.kind(N))
  end
  if N < 1 or N > T then
    opts.fail("bad argument #2 to '%s' (the number of steps must be in 1..T = %d, got %d)", what, T, N)
  end
  local times = {}
  for i = 1, N do times[i] = formulas[name](i, math.tointeger(N), T) end
  return made(name, times, T, schedule)
end

--- T, T - T/N, ..., T/N, rounded (half up): starts from pure noise (Lin et al. 2024, table 2).
---@param source diffusion.process|diffusion.schedule|integer what to walk, or its T
---@param N integer number of steps, 1..T
---@return diffusion.grid
---@usage print(d.grid.trailing(d.schedule.cosine{}, 5))
function grid.trailing(source, N) return (by_formula("trailing", source, N)) end

--- 1 + (N-1) k, ..., 1 + k, 1 with k = floor(T/N): the first step starts below T (Song et al. 2021).
---@param source diffusion.process|diffusion.schedule|integer
---@param N integer number of steps, 1..T
---@return diffusion.grid
function grid.leading(source, N) return (by_formula("leading", source, N)) end

--- From T to 1 in N equal steps, rounded (half up).
---@param source diffusion.process|diffusion.schedule|integer
---@param N integer number of steps, 1..T; the only step of N = 1 starts from T
---@return diffusion.grid
function grid.linspace(source, N) return (by_formula("linspace", source, N)) end

--- Levels of sigma in equal steps of its rho-th root, from sigma_max to sigma_min (Karras et
--- al. 2022, eq. 5), as real times; one step is sigma_max.
---@param source diffusion.process|diffusion.schedule
---@param N integer number of steps
---@param o? {rho: number, sigma_min: number, sigma_max: number} rho = 7; the schedule's ends
---@return diffusion.grid
function grid.karras(source, N, o)
  local schedule, T = source_of("grid.karras", source)
  if not schedule then opts.fail "grid.karras: a schedule or a process is needed, for its sigmas" end
  if math.type(N) ~= "integer" or N < 1 then
    opts.fail("bad argument #2 to 'grid.karras' (a number of steps from 1 expected, got %s)", tostring(N))
  end
  o = opts.check("grid.karras", o, {
    rho = { "number", default = 7, above = 0 }, sigma_min = { "number", default = schedule:sigma(1) },
    sigma_max = { "number", default = schedule:sigma(T) },
  }, 3)
  local high, low, times = o.sigma_max ^ (1 / o.rho), o.sigma_min ^ (1 / o.rho), {}
  for i = 1, N do
    local sigma = (high + (N == 1 and 0 or (i - 1) / (N - 1)) * (low - high)) ^ o.rho
    local t = schedule:level_of_sigma(math.max(o.sigma_min, math.min(o.sigma_max, sigma)))
    local whole = math.floor(t + 0.5) -- an integer that rounding has missed
    times[i] = math.abs(t - whole) < 1e-9 * T and whole or t
  end
  return made("karras", times, T, schedule)
end

--- Times of your own, strictly falling within 0 < t <= T; a last 0 may be written or left out.
---@param source diffusion.process|diffusion.schedule|integer
---@param times number[] real levels where the schedule has them
---@return diffusion.grid
function grid.list(source, times)
  local schedule, T = source_of("grid.list", source)
  if type(times) ~= "table" then
    opts.fail("bad argument #2 to 'grid.list' (a list of times expected, got %s)", opts.kind(times))
  end
  local list = table.move(times, 1, #times, 1, {})
  if list[#list] == 0 then list[#list] = nil end
  if #list == 0 then opts.fail("grid.list: at least one time in 1..T = %d expected", T) end
  for i, t in ipairs(list) do
    if type(t) ~= "number" or not (t > 0 and t <= T) then
      opts.fail("grid.list: times must be in 1..T = %d, but number %d is %s", T, i, opts.shown(t))
    end
    if i > 1 and t >= list[i - 1] then
      opts.fail("grid.list: times must fall, but number %d, %g, is followed by %g", i - 1, list[i - 1], t)
    end
    if schedule then schedule:sigma(t) end
  end
  return made("list", list, T, schedule)
end

return { grid = grid, made = made }

-- The first level of an edit, and its steps. An edit takes exactly the steps of its plan.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local lookup = require "diffusion.lookup"
local legible = require "diffusion.legible"
local made = require "diffusion.grid.made"
local grids = require "diffusion.grid"
local option = require "diffusion.sampler.option"
local place = require "diffusion.sampler.place"

local plan = {}

--- The start and the steps of an edit. It prints as a table.
---@class diffusion.plan
---@field start number the first level t; 0 if nothing is to be done
---@field steps integer exact number of steps
---@field grid diffusion.grid|nil the steps; nil if there are none
---@field snr number signal to noise ratio at the start, a^2/s^2
---@field signal number a in x_t = a x0 + s eps
---@field noise number s
---@field strength number|nil as given in the options
---@field evaluations integer|nil number of evaluations of the model, once the edit is done
local Plan = { __name = "diffusion.plan" }
Plan.__index = Plan

local function strength_text(p)
  if not p.strength then return "" end
  local exact = p.strength * p.T
  local whole = math.floor(exact + 0.5)
  local why = whole ~= p.start and "; past the start SNR < 3.7e-5" or exact ~= whole and "; rounded" or ""
  return (" (strength %g of it is %g%s)"):format(p.strength, exact, why)
end

function Plan.__tostring(p)
  if p.steps == 0 then return ("plan: from t = 0 of %d%s: 0 steps, x0 stays"):format(p.T, strength_text(p)) end
  return ("plan: from t = %g of %d%s in %d steps\n  x_t = %.4g x0 + %.4g eps, SNR %.4g\n%s"):format(p.start, p.T,
    strength_text(p), p.steps, p.signal, p.noise, p.snr, p.grid)
end
legible.speaks(Plan)
lookup.strict("plan", Plan,
  { "start", "steps", "grid", "snr", "signal", "noise", "strength", "T", "evaluations" })

--- The options of a plan: where it starts, and in which steps.
plan.start = {
  start = { "number", default_text = "by strength", text = "level t of the start, 0 to T; 0 is x0 itself" },
  strength = { "number", min = 0, max = 1, default_text = "start instead", text = "the level nearest to strength T" },
}
plan.steps = {
  steps = option.steps_below,
  grid = { "table", as = "diffusion.grid|number[]", default_text = "by steps",
    text = "a grid or a list of times; those below the start are taken" },
}

-- The level nearest to strength T (half up). If a process that predicts eps can't determine x0 so
-- close to T, it is the last level at which it can.
local function by_strength(where, process, strength)
  local T = process.T
  local t = math.floor(strength * T + 0.5)
  if t == 0 and strength > 0 then
    fail.raise("%s: strength = %g of T = %d is t = %g, below the first level; take %g or more, or start = %g", where,
      strength, T, strength * T, 1 / T, strength * T)
  end
  return math.min(t, place.last_seen(process))
end

local function start_of(where, o)
  local T = o.process.T
  if (o.start == nil) == (o.strength == nil) then
    fail.raise("%s: exactly one of start (a level t in 0..%d) and strength (in 0..1) expected, got %s", where, T,
      o.start and "both" or "neither")
  end
  if o.strength then return by_strength(where, o.process, o.strength) end
  if not (o.start >= 0 and o.start <= T) then
    fail.raise("%s: start must be a level in 0..T = %d, got %g", where, T, o.start)
  end
  return math.tointeger(o.start) or o.start
end

-- N times from the start down: start (N - i)/N, rounded (half up) unless the start is real.
local function trailing(where, start, N, solver)
  local most = math.max(1, math.floor(start))
  N = N or place.steps(solver, most)
  if N > most then
    fail.raise("%s: %d steps from t = %g, but only %d start at a whole level of their own; take fewer, a higher start, "
      .. "or a grid of real levels as d.grid.karras", where, N, start, most)
  end
  local times = { start }
  for i = 2, N do times[i] = math.floor(start * (N - i + 1) / N + 0.5) end
  return times
end

-- The start, and the steps of a grid that lie below it.
local function below(where, start, grid, process)
  if kind.of(grid) ~= "grid" then grid = grids.grid.list(process, grid) end
  if grid.T ~= process.T then
    fail.raise("%s: grid has T = %d, but the process has T = %d", where, grid.T, process.T)
  end
  local times = { start }
  for _, t in ipairs(grid:times()) do
    if t < start then times[#times + 1] = t end
  end
  return times, grid.name, grid.last
end

--- The plan that the options describe.
---@param where string "edit.img2img"
---@param o table
---@param solver table that takes the steps
---@return diffusion.plan
function plan.of(where, o, solver)
  if o.steps and o.grid then fail.raise("%s: steps = %d and a grid; one of the two expected", where, o.steps) end
  local schedule, T = o.process.schedule, o.process.T
  local start = start_of(where, o)
  local p = { start = start, strength = o.strength, T = T, steps = 0, snr = math.huge, signal = 1, noise = 0 }
  if start > 0 then
    local times, name, last
    if o.grid then times, name, last = below(where, start, o.grid, o.process)
    else times, name, last = trailing(where, start, o.steps, solver), "trailing", 0 end
    p.grid = made.checked(name, times, T, schedule, last)
    p.steps, p.snr, p.signal, p.noise = #p.grid, schedule:snr(start), schedule:signal(start), schedule:noise(start)
  end
  return setmetatable(p, Plan)
end

return plan

--- The start of a run: its grid, and x at its first level.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local grids = require "diffusion.grid"
local check_x = require("diffusion.sampler.run").check_x
local noise = require "diffusion.sampler.noise"
local option = require "diffusion.sampler.option"
local streams = require "diffusion.sampler.streams"

local place = {}

local least_lambda = -5.1 -- ln(a/s); SNR 3.7e-5

-- The level with this lambda, or the last level that has signal.
local function level_of(schedule, lambda)
  local low, high = 1, schedule.T
  if schedule:snr(high) == 0 then high = high - 1 end
  if schedule:log_snr(high) / 2 > lambda then return high end
  for _ = 1, 60 do
    local mid = (low + high) / 2
    if schedule:log_snr(mid) / 2 > lambda then low = mid else high = mid end
  end
  return high
end

--- The level at which the SNR is 3.7e-5, or T if the SNR is larger everywhere.
---@param schedule diffusion.schedule
---@return number t
function place.last_signal(schedule)
  if schedule:log_snr(schedule.T) / 2 >= least_lambda then return schedule.T end
  return level_of(schedule, least_lambda)
end

--- The last level at which eps or score determines x0, for a process that predicts these. T for
--- other processes.
---@param process diffusion.process
---@return number t
function place.last_seen(process)
  local blind = process.predict == "eps" or process.predict == "score"
  return blind and place.last_signal(process.schedule) or process.T
end

-- With hardly any signal left, x0 = (x - s eps)/a multiplies the error of eps by s/a: by 20,000 at
-- the end of the cosine schedule. Solvers that divide by a also take a step of that many sigmas.
-- Unless x0 is clipped, such a process starts at lambda = -5.1, as DPM-Solver's own code does. x_t is
-- pure noise there too. If the user gave the grid or x, it isn't changed.
local function from_signal(process, grid, solver)
  local schedule, blind = process.schedule, process.predict == "eps" or process.predict == "score"
  local keeps = process.clip or not blind
  if keeps and not solver.signal or schedule:log_snr(grid[1][1]) / 2 >= least_lambda then return grid end
  local first = level_of(schedule, least_lambda)
  local times = { first }
  for _, t in ipairs(grid:times()) do
    if t < first then times[#times + 1] = t end
  end
  local name = ("%s from t = %.6g, since before it SNR < %.2g"):format(grid.name, first,
    math.exp(2 * least_lambda))
  return grids.made(name, times, grid.T, schedule)
end

-- At a level without any signal eps doesn't determine x0, clipped or not.
local function check_target(process, t)
  local predict = process.predict
  if (predict == "eps" or predict == "score") and process.schedule:snr(t) == 0 then
    fail.raise("sampler: x_t holds no signal at t = %g, so %s doesn't determine x0 there; predict v or x0, or "
      .. "give a grid that starts lower", t, predict)
  end
end

--- Raises if a solver can't start at level t.
---@param process diffusion.process
---@param t number
---@param name string
---@param solver table
function place.check_solver(process, t, name, solver)
  if solver.signal and process.schedule:snr(t) == 0 then
    fail.raise("sampler: x_t holds no signal at t = %g, and %s divides by it; take unipc, ddim or dpmpp_2m, or "
      .. "give a grid that starts lower", t, name)
  end
end

--- How many steps a solver takes where the user names no number.
---@param solver table
---@param most integer T, or the whole levels up to where it starts
---@return integer
function place.steps(solver, most)
  if solver.whole then return 1 end
  return solver.every and most or math.min(option.steps.otherwise, most)
end

local function named_grid(o, solver)
  local make, message = o.grid, nil
  if type(make) ~= "function" then make, message = grids.find(o.grid or option.grid.otherwise) end
  if not make then fail.raise("sampler: %s", message) end
  local grid = make(o.process.schedule, o.steps or place.steps(solver, o.process.T))
  if kind.of(grid) ~= "grid" then
    fail.raise("sampler: the function given as grid must return a grid, got %s", kind.shown(grid))
  end
  check_target(o.process, grid[1][1])
  return o.grid and grid or o.init and grid or from_signal(o.process, grid, solver)
end

-- Raises if the grid was made for another schedule.
local function check_grid(grid, process)
  if grid.T ~= process.T then
    fail.raise("sampler: the grid was made for T = %d, but the process has T = %d; make it with the process", grid.T,
      process.T)
  end
  local own, other = process.schedule, grid.schedule
  if not other or other == own then return end
  for _, step in ipairs(grid) do
    local here, there = own:sigma(step[1]), other:sigma(step[1])
    if here ~= there and math.abs(here - there) > 1e-9 * here then
      fail.raise("sampler: the grid was made for schedule %s, where sigma at t = %g is %.6g, but the process's %s has "
        .. "%.6g; make it with the process", other.name, step[1], there, own.name, here)
    end
  end
end

--- The grid of a run's options.
---@param o table options of sampler.steps
---@param name string the sampler's name
---@param solver table
---@return diffusion.grid
function place.grid(o, name, solver)
  local grid = o.grid
  if kind.of(grid) ~= "grid" then
    grid = type(grid) == "table" and grids.grid.list(o.process.schedule, grid) or named_grid(o, solver)
  end
  check_grid(grid, o.process)
  check_target(o.process, grid[1][1])
  place.check_solver(o.process, grid[1][1], name, solver)
  return grid
end

local function check_shape(shape)
  if #shape == 0 then fail.raise("sampler: option 'shape' is empty; {count, ...} expected") end
  for i, size in ipairs(shape) do
    if not (type(size) == "number" and math.tointeger(size) and size >= 0) then
      fail.raise("sampler: option 'shape': size %d must be a whole number of 0 or more, got %s; the first is the "
        .. "number of samples", i, kind.shown(size))
    end
  end
end

--- x at the first level: noise with the scale of the marginal, or the user's tensor.
---@param o table options of sampler.steps
---@param seed integer
---@param grid diffusion.grid
---@param name string the sampler's name
---@param solver table
---@return diffusion.tensor
function place.start(o, seed, grid, name, solver)
  if o.init then
    return check_x("sampler: init", o.init, o.shape and "[" .. table.concat(o.shape, ",") .. "]"):clone()
  end
  if solver.upward then fail.raise("sampler: %s goes from data to noise; give the data as option 'init'", name) end
  if not o.shape then fail.raise("sampler: option 'shape' is missing ({count, ...}), or give 'init'") end
  check_shape(o.shape)
  local t, schedule = grid[1][1], o.process.schedule
  local scale = math.sqrt(schedule:signal(t) ^ 2 + schedule:noise(t) ^ 2)
  local zeros = fail.call(core.zeros, o.shape)
  if noise.given(o.noise) then return core.ops.mix(scale, noise.drawn(o.noise, zeros)) end
  return core.mix_noise(scale, seed, streams.start, 0, 0, zeros)
end

return place

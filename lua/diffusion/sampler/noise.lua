--- The noise that samplers add: independent from step to step, or increments of one Brownian
--- path, so that runs of one seed and any number of steps share it.
local core = require "diffusion.core"
local brownian = require "diffusion.sampler.brownian"
local streams = require "diffusion.sampler.streams"

local noise = {}

-- Time in which the noise of a step that adds s_s sqrt(1 - e^(-2 eta h)) z adds up.
local function clock(eta)
  return function(lambda) return math.exp(2 * eta * lambda) end
end

-- Within a step, increments that begin where it does are those of one path: what an earlier
-- one has drawn is drawn again, and goes on from there. The second result begins a step.
local function within_step(draws)
  local path
  local function begin() path = { ends = {}, draws = {} } end
  begin()
  return function(sigma, from, to, eta)
    local n = #path.ends
    if from ~= path.from or n > 0 and to < path.ends[n] then
      path, n = { from = from, ends = {}, draws = {} }, 0
    end
    if path.ends[n] ~= to then path.ends[n + 1], path.draws[n + 1] = to, draws() end
    local before, c = from, {}
    local function tau(lambda) return math.exp(2 * eta * (lambda - to)) end -- the clock's, without overflow
    for i, lambda in ipairs(path.ends) do
      c[i] = sigma * math.sqrt((tau(lambda) - tau(before)) / (1 - tau(from)))
      before = lambda
    end
    return c, path.draws
  end, begin
end

--- mix_path with a path of its own for each step, by what adds c_1 z_1 + c_2 z_2 + ... to a sum.
---@param draws fun(): integer a number for the next normal
---@param add fun(c: number[], draws: integer[], ...): any sum of c z and of the c x that follow
---@return fun(sigma: number, from: number, to: number, eta: number, ...): any mix_path
---@return function begin to be called before each step, so that its noise is new: the next may
---  start where this one did, and one that failed is taken again
function noise.independent(draws, add)
  local increment, begin = within_step(draws)
  return function(sigma, from, to, eta, ...)
    local c, which = increment(sigma, from, to, eta)
    return add(c, which, ...)
  end, begin
end

-- The ends of a path of all levels. Where the schedule ends without signal, lambda ends
-- nowhere: -40 lies below any level that has some.
local function ends_of(schedule)
  local low = schedule:log_snr(schedule.T) / 2
  return math.max(low, -40), schedule:log_snr(math.min(1, schedule.T)) / 2
end

--- mix_path along one Brownian path of a seed, over all levels of a schedule.
---@param schedule diffusion.schedule
---@param seed integer
---@return fun(sigma: number, from: number, to: number, eta: number, ...): any mix_path
function noise.brownian(schedule, seed)
  local low, high = ends_of(schedule)
  local trees = {}
  return function(sigma, from, to, eta, ...)
    trees[eta] = trees[eta] or brownian.new { low = low, high = high, clock = clock(eta) }
    local c, nodes = trees[eta]:noise(sigma, from, to)
    return core.mix_normals(c, seed, brownian.stream, nodes, ...)
  end
end

--- mix_noise and mix_path of a run.
---@param run diffusion.run
---@return function mix_noise
---@return function mix_path
---@return function begin as of noise.independent
function noise.of(run)
  local function draws()
    rawset(run, "draws", run.draws + 1)
    return run.draws - 1
  end
  local function mix_noise(sigma, ...) return core.mix_noise(sigma, run.seed, streams.step, draws(), ...) end
  if run.noise == "brownian" then
    return mix_noise, noise.brownian(run.process.schedule, run.seed), function() end
  end
  return mix_noise, noise.independent(draws, function(c, which, ...)
    return core.mix_normals(c, run.seed, streams.step, which, ...)
  end)
end

return noise

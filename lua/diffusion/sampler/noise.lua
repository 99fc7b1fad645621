--- The noise that samplers add: independent from step to step, or increments of one Brownian
--- path, so that runs of one seed and any number of steps share it, or what the user draws.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
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
---@param draws fun(): any the next normal, or its number
---@param add fun(c: number[], draws: any[], ...): any sum of c z and of the c x that follow
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

--- The next normals of a generator, of a list of them, one a sample, or of a user's function.
---@param source any
---@param x diffusion.tensor one of their shape
---@return diffusion.tensor
function noise.drawn(source, x)
  if type(source) ~= "function" then return fail.call(core.randn, x:shape(), { generator = source }) end
  local z, shape = source(x), kind.shape_text(x)
  local fits = core.is_tensor(z) and z:dtype() == core.real and kind.shape_text(z) == shape
  if not fits then
    fail.raise("sampler: the function given as noise must return %s %s, got %s", core.real, shape, kind.shown(z))
  end
  return z:contiguous()
end

--- Is it a source of the user's own?
---@param source any
---@return boolean
function noise.given(source) return source ~= nil and type(source) ~= "string" end

local function is_generator(source) return kind.of(source) == "generator" end

-- A function of each generator that a source is or lists.
local function each(source, fn)
  if is_generator(source) then return fn(source) end
  local out = {}
  for k, one in ipairs(type(source) == "table" and source or {}) do out[k] = is_generator(one) and fn(one) or one end
  return out
end

--- A source with generators of its own, which draw what the given ones would.
---@param source any
---@return any
function noise.cloned(source)
  if not noise.given(source) or type(source) == "function" then return source end
  return each(source, function(g) return g:clone() end)
end

local Undo = {}
Undo.__index = Undo

-- What a step that fails has drawn of generators is drawn again.
function Undo.__close(undo, failed)
  if failed ~= nil then
    for g, state in pairs(undo) do g:set_state(state) end
  end
end

--- A value that, closed by an error, puts a source's generators back to where they are now.
---@param source any
---@return table
function noise.undo(source)
  local states = setmetatable({}, Undo)
  if noise.given(source) then
    each(source, function(g)
      states[g] = g:state()
      return g
    end)
  end
  return states
end

-- mix_noise and mix_path by normals that are drawn as they are asked for.
local function by_source(run)
  local mix = core.ops.mix
  local function draw() return noise.drawn(run.noise, run.x) end
  local function add(c, z, ...)
    local terms = {}
    for i = 1, #z do terms[2 * i - 1], terms[2 * i] = c[i], z[i] end
    return mix(table.unpack(table.move({ ... }, 1, select("#", ...), #terms + 1, terms)))
  end
  return function(sigma, ...) return mix(sigma, draw(), ...) end, noise.independent(draw, add)
end

--- mix_noise and mix_path of a run.
---@param run diffusion.run
---@return function mix_noise
---@return function mix_path
---@return function begin as of noise.independent
function noise.of(run)
  if noise.given(run.noise) then return by_source(run) end
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

-- The noise that samplers add. It is independent in each step, or the increments of one Brownian
-- path, or drawn from a source of the user's. Runs with one seed share the path, whatever their
-- number of steps.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local brownian = require "diffusion.sampler.brownian"
local streams = require "diffusion.sampler.streams"

local noise = {}

-- The time in which noise s_s sqrt(1 - e^(-2 eta h)) z of successive steps adds up.
local function clock(eta)
  return function(lambda) return math.exp(2 * eta * lambda) end
end

-- Increments that begin at the start of the step belong to one path. A longer one repeats the draws
-- of a shorter one and adds to them. The second result begins a new step.
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
    local function tau(lambda) return math.exp(2 * eta * (lambda - to)) end -- clock(eta), scaled against overflow
    for i, lambda in ipairs(path.ends) do
      c[i] = sigma * math.sqrt((tau(lambda) - tau(before)) / (1 - tau(from)))
      before = lambda
    end
    return c, path.draws
  end, begin
end

--- mix_path with a separate path in each step.
---@param draws fun(): any the next normal, or its number
---@param add fun(c: number[], draws: any[], ...): any the sum of c z, plus the terms c x that follow
---@return fun(sigma: number, from: number, to: number, eta: number, ...): any mix_path
---@return function begin call it before each step, so that the step draws new noise
function noise.independent(draws, add)
  local increment, begin = within_step(draws)
  return function(sigma, from, to, eta, ...)
    local c, which = increment(sigma, from, to, eta)
    return add(c, which, ...)
  end, begin
end

-- The ends of a path over all levels. If the last level has no signal its lambda is -inf, and the
-- end is -40 instead, below every level with signal.
local function ends_of(schedule)
  local low = schedule:log_snr(schedule.T) / 2
  return math.max(low, -40), schedule:log_snr(math.min(1, schedule.T)) / 2
end

--- mix_path along a seed's Brownian path over all levels of a schedule.
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

-- ==== sources of a user's ================================================================

-- Generators whose numbers fill images in PyTorch's order.
local Planes = { __name = "diffusion.planes" }

--- A source that draws images {n, H, W, C} as PyTorch draws {n, C, H, W}.
---@param generators any a generator, or a list with one for each sample
---@return table
function noise.planes(generators) return setmetatable({ generators = generators }, Planes) end

local function is_planes(source) return getmetatable(source) == Planes end

local function drawn_planes(generators, shape)
  local n, H, W, C = table.unpack(shape)
  return fail.call(core.randn, { n, C, H, W }, { generator = generators }):permute(1, 3, 4, 2):contiguous()
end

--- The next normals of a generator, of a list with one per sample, or of a user's function.
---@param source any
---@param x diffusion.tensor with the shape of the result
---@return diffusion.tensor
function noise.drawn(source, x)
  if is_planes(source) then return drawn_planes(source.generators, x:shape()) end
  if type(source) ~= "function" then return fail.call(core.randn, x:shape(), { generator = source }) end
  local z, shape = source(x), kind.shape_text(x)
  local fits = core.is_tensor(z) and z:dtype() == core.real and kind.shape_text(z) == shape
  if not fits then
    fail.raise("sampler: the function given as noise must return %s %s, got %s", core.real, shape, kind.shown(z))
  end
  return z:contiguous()
end

--- Whether a source of noise is a generator, a list or a function of the user's.
---@param source any
---@return boolean
function noise.given(source) return source ~= nil and type(source) ~= "string" end

local function is_generator(source) return kind.of(source) == "generator" end

-- A copy of a source with fn applied to each generator.
local function each(source, fn)
  if is_planes(source) then return noise.planes(each(source.generators, fn)) end
  if is_generator(source) then return fn(source) end
  local out = {}
  for k, one in ipairs(type(source) == "table" and source or {}) do out[k] = is_generator(one) and fn(one) or one end
  return out
end

--- A copy of a source. Its generators are copies that draw the same numbers.
---@param source any
---@return any
function noise.cloned(source)
  if not noise.given(source) or type(source) == "function" then return source end
  return each(source, function(g) return g:clone() end)
end

local Undo = {}
Undo.__index = Undo

-- After a failed step, generators repeat what they drew for it.
function Undo.__close(undo, failed)
  if failed ~= nil then
    for g, state in pairs(undo) do g:set_state(state) end
  end
end

--- A to-be-closed value. If an error closes it, the source's generators return to their present state.
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

-- mix_noise and mix_path with a source of the user's.
local function by_source(source, step)
  local mix = core.ops.mix
  local function draw() return noise.drawn(source, step.x) end
  local function add(c, z, ...)
    local terms = {}
    for i = 1, #z do terms[2 * i - 1], terms[2 * i] = c[i], z[i] end
    return mix(table.unpack(table.move({ ... }, 1, select("#", ...), #terms + 1, terms)))
  end
  return function(sigma, ...) return mix(sigma, draw(), ...) end, noise.independent(draw, add)
end

--- mix_noise and mix_path of a run.
---@param of table {noise, seed, process}: the source of the noise, the seed, and the levels of a path
---@param step table {x, draws}: noise from a source has x's shape, and each draw from the seed
---  adds 1 to draws
---@return function mix_noise
---@return function mix_path
---@return function begin as of noise.independent
function noise.of(of, step)
  if noise.given(of.noise) then return by_source(of.noise, step) end
  local function draws()
    step.draws = step.draws + 1
    return step.draws - 1
  end
  local function mix_noise(sigma, ...) return core.mix_noise(sigma, of.seed, streams.step, draws(), ...) end
  if of.noise == "brownian" then
    return mix_noise, noise.brownian(of.process.schedule, of.seed), function() end
  end
  return mix_noise, noise.independent(draws, function(c, which, ...)
    return core.mix_normals(c, of.seed, streams.step, which, ...)
  end)
end

return noise

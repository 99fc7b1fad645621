--- The exact moments of a sampler's result for Gaussian data, without random numbers. The best
--- denoiser of N(mean, std^2) is affine, and so is a sampler made of `mix` and `mix_noise`. So x is
--- represented by its coefficients of 1, of the start's noise, and of each noise added since.
local families = require "diffusion.sampler.families"
local noise = require "diffusion.sampler.noise"
local place = require "diffusion.sampler.place"
local grids = require "diffusion.grid"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local option = require "diffusion.sampler.option"
local rule = require "diffusion.rule"

local rules = opts.declare("check_moments", {
  process = rule.process,
  grid = option.grid, steps = option.steps,
  mean = { "number", default = 0, text = "mean of the data" },
  std = { "number", default = 1, min = 0, text = "standard deviation of the data" },
  exact_start = { "boolean", default = false, text = "starts from x_T's own distribution, not from noise" },
})

local refusal = "moments: this sampler's steps depend on x itself, so it isn't linear; sample, and measure"

local function refuse() fail.raise(refusal) end

local Coefficients = { __index = refuse, __add = refuse, __sub = refuse, __mul = refuse, __div = refuse,
                       __unm = refuse, __pow = refuse }

-- Coefficients of {1, start, noise 1, noise 2, ...}.
local function coefficients(list) return setmetatable(list, Coefficients) end

-- The sum of c x over the given pairs.
local function mix(...)
  local out = {}
  for i = 1, select("#", ...), 2 do
    local c, x = select(i, ...)
    if type(c) ~= "number" then fail.raise(refusal) end
    for k = 1, #x do out[k] = (out[k] or 0) + c * x[k] end
  end
  return coefficients(out)
end

-- Gives a sampler mix functions for coefficients. Normal number k is coefficient k. Returns a function
-- that begins a step.
local function arithmetic(own)
  local drawn = 2
  local function draws()
    drawn = drawn + 1
    return drawn
  end
  local function add(c, which, ...)
    local out = mix(...)
    for k = #out + 1, drawn do out[k] = 0 end
    for i, k in ipairs(which) do out[k] = out[k] + c[i] end
    return out
  end
  own.mix = mix
  function own.mix_noise(sigma, ...)
    if type(sigma) ~= "number" then fail.raise(refusal) end
    return add({ sigma }, { draws() }, ...)
  end
  local begin
  own.mix_path, begin = noise.independent(draws, add)
  return begin
end

-- E[x0 | xt] = mean + gain (xt - a mean), and the eps for it.
local function best(process, mean, std)
  local schedule = process.schedule
  return function(x, t)
    local a, s = schedule:signal(t), schedule:noise(t)
    local gain = a * std ^ 2 / (a ^ 2 * std ^ 2 + s ^ 2)
    local x0 = mix(gain, x, mean * (1 - gain * a), coefficients { 1 })
    return x0, mix(1 / s, x, -a / s, x0)
  end
end

-- The start of samplers, which is noise, or the true distribution at level t.
local function start(schedule, t, o, exact)
  local a, s = schedule:signal(t), schedule:noise(t)
  if exact then return coefficients { a * o.mean, math.sqrt((a * o.std) ^ 2 + s ^ 2) } end
  return coefficients { 0, math.sqrt(a ^ 2 + s ^ 2) }
end

local function grid_of(o, solver)
  if kind.of(o.grid) == "grid" then return o.grid end
  if type(o.grid) == "table" then return grids.grid.list(o.process, o.grid) end
  local make, message = grids.find(o.grid or option.grid.otherwise)
  if not make then fail.raise("moments: %s", message) end
  return make(o.process, o.steps or place.steps(solver, o.process.T))
end

--- The mean and variance of each coordinate of a sampler's result, in double. The data is N(mean,
--- std^2) and the denoiser the best one, unclipped. The sampler's steps must be linear in x.
---@param sampler string|function|table as in d.sample
---@param options diffusion.check_moments_options
---@return number mean
---@return number variance
---@usage local p = d.process{ schedule = d.schedule.linear{} }
--- print(d.check.moments("ddim", { process = p, steps = 10, std = 0.5 }))
return function(sampler, options)
  local o = opts.check("moments", options, rules, 2)
  local name, solver, own = families.resolve(sampler)
  local grid = grid_of(o, solver)
  place.check_solver(o.process, grid[1][1], name, solver)
  local n = #grid
  local begin = arithmetic(own)
  local step = solver.make(best(o.process, o.mean, o.std), o.process, own)
  local first = solver.upward and grid[n][2] or grid[1][1]
  local x, history = start(o.process.schedule, first, o, o.exact_start or solver.upward), {}
  for i = 1, n do
    local pair = grid[solver.upward and n + 1 - i or i]
    begin()
    x = step(x, { i = i, n = n, t = pair[1], s = pair[2] }, history)
  end
  local variance = 0
  for k = 2, #x do variance = variance + x[k] ^ 2 end
  return x[1], variance
end

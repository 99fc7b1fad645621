--- Samplers by name, and the run that steps them. A sampler is
-- `function(denoise, process, opts)` that returns a step `function(x, pair, history) -> x`:
--   denoise(x, t)     the model's x0 and eps at level t, clipped as the process says
--   pair              {t, s}: from level t to the earlier level s (s = 0: the data)
--   history           a table of the solver's own: tensors and numbers, empty at the start
--   opts.mix          sum of c x, in one pass (d.mix)
--   opts.mix_noise    mix_noise(sigma, c1, x1, ...): the same with sigma z added, z from
--                     the run's own counter, so sample k doesn't depend on its batch
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local grids = require "diffusion.grid"
local cfg = require "diffusion.guidance.cfg"
local gradient = require "diffusion.gradient"

local sampler = {}

local families = {
  ddpm = require "diffusion.sampler.ddpm",
  ddim = require "diffusion.sampler.ddim",
  dpmpp_2m = require "diffusion.sampler.dpmpp_2m",
}

-- What may stand beside a name, as in {"ddim", eta = 1}.
local own_rules = { ddpm = {}, ddim = { eta = { "number", min = 0 } }, dpmpp_2m = {} }

local names = {}
for name in pairs(families) do names[#names + 1] = name end
table.sort(names)

--- The names of all samplers.
---@return string[]
function sampler.names() return table.move(names, 1, #names, 1, {}) end

local stream_start, stream_step = 5, 6 -- base/philox.h: DF_STREAM_START, _SAMPLER

-- A name, a function, or {name or function, option = ...}.
local function resolve(which)
  local options = {}
  if type(which) == "table" then
    for k, v in pairs(which) do if k ~= 1 then options[k] = v end end
    which = which[1]
  end
  if type(which) == "function" then return "function", which, options end
  local make = families[which]
  if not make then opts.fail("sampler: %s", opts.unknown("sampler", which, names)) end
  return which, make, opts.check(which, options, own_rules[which])
end

--- The step of a sampler by itself, for those who bring their own denoise(x, t) -> x0, eps.
---@param which string|function|table a name, a function, or {name, eta = ...}
---@param denoise function
---@param process diffusion.process
---@param step_opts table {mix =, mix_noise =}, as samplers are given them
---@return function step (x, {t, s}, history) -> x
function sampler.step(which, denoise, process, step_opts)
  local _, make, options = resolve(which)
  for k, v in pairs(step_opts) do options[k] = v end
  return make(denoise, process, options)
end

--- A sampler on its way: run() takes a step, `for step in run do` all that are left.
---@class diffusion.run
---@field x diffusion.tensor where it stands; written to, it goes on from there, history forgotten
---@field i integer steps taken
---@field grid diffusion.grid
---@field seed integer
local Run = {}
Run.__index = function(run, name)
  if name == "x" then return rawget(run, "_x") end
  return Run[name]
end

-- x as samplers take it: living reals, of the shape that is wanted if one is.
local function check_x(what, x, shape)
  local shown = opts.shown(x)
  local here = core.is_tensor(x) and shown ~= "a freed tensor"
  if not here or x:dtype() ~= core.real or x:dim() == 0 or shape and opts.shape_text(x) ~= shape then
    opts.fail("%s: %s %s expected, got %s%s", what, core.real, shape or "[B,...]", shown,
      here and " of " .. x:dtype() or "")
  end
  return x
end

-- Writing x forgets the solver's history: it belongs to another trajectory.
Run.__newindex = function(run, name, value)
  if name == "on_step" then return rawset(run, name, value) end
  if name ~= "x" then opts.fail("a run's x and on_step can be written, not its '%s'", tostring(name)) end
  rawset(run, "_x", core.unscope(check_x("run.x", value, run.shape)))
  rawset(run, "history", {})
end

-- The model as the sampler sees it: x0 and eps of x at t.
local function denoiser(run)
  local process, model, model_opts = run.process, run.model, run.model_opts
  return function(x, t)
    local out = opts.answer("sampler", model(x, t, model_opts), x)
    local x0, eps = process:estimate(out, x, t)
    run.believed = { x0 = x0, eps = eps }
    return x0, eps
  end
end

local function make_step(run)
  local step_opts = {}
  for k, v in pairs(run.sampler_options) do step_opts[k] = v end
  step_opts.mix = core.ops.mix
  function step_opts.mix_noise(sigma, ...)
    local draw = run.draws
    run.draws = draw + 1
    return core.mix_noise(sigma, run.seed, stream_step, draw, ...)
  end
  return run.make(denoiser(run), run.process, step_opts)
end

-- All tensors of a solver's history, so that the step's scope spares them.
local function tensors_of(t, out)
  for _, v in pairs(t) do
    if core.is_tensor(v) then out[#out + 1] = v
    elseif type(v) == "table" then tensors_of(v, out) end
  end
  return out
end

local function advance(run, pair)
  local depth <close> = gradient.guard()
  local xt = run._x
  rawset(run, "believed", {}) -- a sampler of one's own may not ask the model
  local x = run.step(xt, pair, run.history)
  if x == xt then x = xt:clone() end
  local believed = run.believed
  depth:keep(x, believed.x0, believed.eps)
  for _, own in ipairs(tensors_of(run.history, { x })) do core.unscope(own) end
  rawset(run, "_x", x)
  return { i = pair.i, n = #run.grid, t = pair.t, s = pair.s, xt = xt, x = x,
           x0 = believed.x0, eps = believed.eps }
end

--- One step; nil when there is none left.
---@return table|nil step {i, n, t, s, xt, x, x0, eps}
function Run.__call(run)
  if run.i >= #run.grid then return nil end
  check_x("run.x", run.x, run.shape)
  local i = run.i + 1
  local pair = { i = i, t = run.grid[i][1], s = run.grid[i][2] }
  local step = gradient.no_grad(advance, run, pair)
  run.i = i
  if run.on_step then run.on_step(step) end
  return step
end

--- Takes the steps that are left; returns x.
---@return diffusion.tensor
function Run.finish(run)
  while run() do end -- luacheck: ignore 542
  return run.x
end

--- An independent copy: x, the solver's history, its place and its noise counter.
---@return diffusion.run
function Run.clone(run)
  local copy = {}
  for k, v in pairs(run) do copy[k] = v end
  copy._x = run._x:clone()
  copy.history = {}
  for k, v in pairs(run.history) do copy.history[k] = v end
  setmetatable(copy, Run)
  rawset(copy, "step", make_step(copy))
  return copy
end

function Run.__tostring(run)
  return ("sampler %s  %d steps, %d done  x is %s\n%s"):format(run.name, #run.grid, run.i,
    opts.shown(run.x), run.grid)
end
Run.__name, Run.__methods = "diffusion.run", Run

local rules = {
  model = { "any", required = true },
  process = { "process", required = true },
  shape = { "table" },
  sampler = { "any", default = "ddim" },
  steps = { "integer", min = 1 },
  grid = { "any" },
  seed = { "integer" },
  class = { "integer|table|tensor" },
  guidance = { "number" },
  init = { "tensor" },
  on_step = { "function" },
}

local least_lambda = -5.1 -- ln(a/s); SNR 3.7e-5

-- The level with this lambda, between two integers.
local function level_of(schedule, lambda)
  local low, high = 1, schedule.T
  for _ = 1, 60 do
    local mid = (low + high) / 2
    if schedule:log_snr(mid) / 2 > lambda then low = mid else high = mid end
  end
  return high
end

-- Where hardly any signal is left, x0 = (x - s eps)/a blows the error of eps up by s/a (at
-- the end of the cosine schedule by 20,000). Unless x0 is clipped, such a process starts
-- where lambda is -5.1 (as DPM-Solver's own code does): x_t is pure noise there too. Where
-- the user chose the grid or x, it stays.
local function from_signal(process, grid)
  local schedule, blind = process.schedule, process.predict == "eps" or process.predict == "score"
  if process.clip or not blind or schedule:log_snr(grid[1][1]) / 2 >= least_lambda then return grid end
  local first = level_of(schedule, least_lambda)
  local times = { first }
  for _, t in ipairs(grid:times()) do
    if t < first then times[#times + 1] = t end
  end
  if #times > #grid then table.remove(times, 2) end
  local name = ("%s from t = %.6g, since before it SNR < %.2g"):format(grid.name, first,
    math.exp(2 * least_lambda))
  return grids.made(name, times, grid.T, schedule)
end

-- At a level without any signal eps says nothing of x0, clipped or not.
local function check_start(process, t)
  local predict = process.predict
  if (predict == "eps" or predict == "score") and process.schedule:snr(t) == 0 then
    opts.fail("sampler: x_t holds no signal at t = %d, so %s says nothing of x0 there; predict v or x0, or "
      .. "give a grid that starts lower", t, predict)
  end
end

local function make_grid(o)
  local kind = o.grid or "trailing"
  if opts.kind(kind) == "grid" or type(kind) == "table" then
    local own = opts.kind(kind) == "grid" and kind or grids.grid.list(o.process.schedule, kind)
    check_start(o.process, own[1][1])
    return own
  end
  local make, message = grids.find(kind)
  if not make then opts.fail("sampler: %s", message) end
  local grid = make(o.process.schedule, o.steps or o.process.T)
  check_start(o.process, grid[1][1])
  return o.grid and grid or o.init and grid or from_signal(o.process, grid)
end

-- x at the first level: noise of the marginal's scale, or what the user gives.
local function start(o, seed, grid)
  if o.init then
    return check_x("sampler: init", o.init, o.shape and "[" .. table.concat(o.shape, ",") .. "]"):clone()
  end
  if not o.shape then opts.fail("sampler: option 'shape' is missing ({count, ...}), or give 'init'") end
  if #o.shape == 0 then opts.fail("sampler: option 'shape' is empty; {count, ...} expected") end
  local t, schedule = grid[1][1], o.process.schedule
  local scale = math.sqrt(schedule:signal(t) ^ 2 + schedule:noise(t) ^ 2)
  return core.mix_noise(scale, seed, stream_start, 0, 0, opts.relay(core.zeros, o.shape))
end

-- Classes as a tensor, checked against the batch; a number stands for all.
local function classes(class, x)
  if class == nil then return nil end
  local B = x:size(1)
  if type(class) == "number" then return core.full({ B }, class, { dtype = "i64" }) end
  if type(class) == "table" then class = core.tensor(opts.whole_numbers("sampler: class", class), { dtype = "i64" }) end
  if class:dim() ~= 1 or class:size(1) ~= B then
    opts.fail("sampler: class %s for a batch of %d", opts.shape_text(class), B)
  end
  return class
end

--- A run of a sampler, to be stepped: `run()` or `for step in run do`.
---@param options table {model, process, shape = {n, ...} or init = x, sampler = "ddim" |
---  "ddpm" | "dpmpp_2m" | function | {name, eta = ...}, steps = T, grid = "trailing" |
---  another of d.grid.names() or d.grid.presets() | list of t, seed, class, guidance = scale, on_step}. Where
---  neither grid nor init is given and the process predicts eps or score unclipped, the
---  first step is from where the SNR is 3.7e-5, and steps = T are fewer by those before it:
---  print(run) shows them
---@return diffusion.run
---@usage local model, process = d.load_model "digits"
--- local run = d.sampler.steps{ model = model, process = process, shape = { 1, 8, 8, 1 }, class = 4, steps = 5 }
--- for step in run do print(step.i, step.t, step.s, step.x0:std():item()) end
--- d.image.show(run.x)
function sampler.steps(options)
  local o = opts.check("steps", options, rules)
  opts.denoiser("sampler", o.model)
  local seed = o.seed or core.random_seed()
  local grid = make_grid(o)
  local x = start(o, seed, grid)
  local name, make, sampler_options = resolve(o.sampler)
  local model = o.model
  if o.guidance and o.guidance ~= 1 then model = cfg(model, { scale = o.guidance }) end
  local class = classes(o.class, x)
  local run = setmetatable({}, Run)
  local fields = { name = name, make = make, sampler_options = sampler_options,
    model = model, model_opts = { class = class }, process = o.process, grid = grid, i = 0,
    seed = seed, draws = 0, history = {}, on_step = o.on_step, shape = opts.shape_text(x), _x = x }
  for k, v in pairs(fields) do rawset(run, k, v) end
  rawset(run, "step", make_step(run))
  return run
end

--- Draws samples: d.sampler.steps{...}:finish().
---@param options table as of sampler.steps
---@return diffusion.tensor x {n, ...}
---@usage local model, process = d.load_model "digits"
--- d.image.show(d.sample{ model = model, process = process, shape = { 2, 8, 8, 1 }, class = { 3, 5 }, steps = 20 })
function sampler.sample(options) return sampler.steps(options):finish() end

return sampler

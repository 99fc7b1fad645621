--- Samplers by name, and the run that steps them. A sampler is
-- `function(denoise, process, opts)` that returns a step `function(x, pair, history) -> x`:
--   denoise(x, t)     the model's x0 and eps at level t, clipped as the process says, and v of
--                     a learned variance, for process:step_variance(t, s, v)
--   pair              {t, s, i, n}: from level t to the earlier level s (s = 0: the data),
--                     number i of n
--   history           a table of the solver's own: tensors, numbers, strings and tables of
--                     these, empty at the start
--   opts.mix          sum of c x, in one pass (d.mix)
--   opts.mix_noise    mix_noise(sigma, c1, x1, ...): the same with sigma z added, z from
--                     the run's own counter, so sample k doesn't depend on its batch
--   opts.mix_path     mix_path(sigma, from, to, eta, c1, x1, ...): the same, z the increment of
--                     a path from lambda = ln(a/s) at one level to that at another, in the
--                     time e^(2 eta lambda): of the step's own, or of the run's Brownian path
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local families = require "diffusion.sampler.families"
local noise = require "diffusion.sampler.noise"
local place = require "diffusion.sampler.place"
local run = require "diffusion.sampler.run"
local cfg = require "diffusion.guidance.cfg"

local sampler = { names = families.names }

-- The arithmetic and noise of a step that stands alone, where the caller brings none.
local function alone(process, given)
  local own = { seed = given.seed or core.random_seed(), draws = 0, process = process }
  local mix_noise, mix_path = noise.of(own)
  return given.mix or core.ops.mix, given.mix_noise or mix_noise, given.mix_path or mix_path
end

--- The step of a sampler by itself, for loops of one's own.
---@param which string|function|table a name, a function, or {name, eta = ...}
---@param denoise function (x, t) -> x0, eps
---@param process diffusion.process
---@param o? table {seed} of the noise, or {mix, mix_noise, mix_path}, functions as samplers are
---  given them
---@return function step (x, {t, s, i, n}, history) -> x; history is a table, empty at first
---@usage local p = d.process{ schedule = d.schedule.cosine{}, predict = "x0" }
--- local model = d.oracle.gaussian{ std = { 1, 0.2 } }:denoiser(p)
--- local step = d.sampler.step("heun", function(x, t) return p:estimate(model(x, t), x, t) end, p)
--- local x, history, grid = d.randn(5, 2), {}, d.grid.trailing(p, 10)
--- for i, pair in ipairs(grid) do x = step(x, { t = pair[1], s = pair[2], i = i, n = #grid }, history) end
--- print(x)
function sampler.step(which, denoise, process, o)
  o = opts.check("step", o, { seed = { "integer" }, mix = { "function" }, mix_noise = { "function" },
    mix_path = { "function" } }, 4)
  local _, solver, own = families.resolve(which)
  own.mix, own.mix_noise, own.mix_path = alone(process, o)
  return solver.make(denoise, process, own)
end

local rules = {
  model = { "any", required = true },
  process = { "process", required = true },
  shape = { "table" },
  sampler = { "any", default = "unipc" },
  steps = { "integer", min = 1 },
  grid = { "any" },
  seed = { "integer" },
  class = { "integer|table|tensor" },
  guidance = { "number" },
  noise = { one_of = { "independent", "brownian" }, default = "independent" },
  init = { "tensor" },
  self_condition = { "boolean", default = false },
  on_step = { "function" },
}

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
---@param options table {model, process, shape = {n, ...} or init = x, sampler = "unipc" |
---  a name of d.sampler.names() | function | {name, eta = ...}, steps = T, grid = "trailing" |
---  another of d.grid.names() or d.grid.presets() | list of t, seed, class, guidance = scale, noise = "independent" |
---  "brownian" (of one path for any number of steps), self_condition = false: true tells the model
---  the x0 that it said last, on_step}. Where
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
  local name, solver, sampler_options = families.resolve(o.sampler)
  local seed = o.seed or core.random_seed()
  local grid = place.grid(o, name, solver)
  local x = place.start(o, seed, grid, name, solver)
  local model = o.model
  if o.guidance and o.guidance ~= 1 then model = cfg(model, { scale = o.guidance }) end
  return run.new { name = name, solver = solver, sampler_options = sampler_options, model = model,
    model_opts = { class = classes(o.class, x) }, process = o.process, grid = grid, i = 0, seed = seed,
    draws = 0, evaluations = 0, history = {}, noise = o.noise, self_condition = o.self_condition,
    on_step = o.on_step, shape = opts.shape_text(x), _x = x }
end

--- Draws samples: d.sampler.steps{...}:finish().
---@param options table as of sampler.steps
---@return diffusion.tensor x {n, ...}
---@usage local model, process = d.load_model "digits"
--- d.image.show(d.sample{ model = model, process = process, shape = { 2, 8, 8, 1 }, class = { 3, 5 }, steps = 20 })
function sampler.sample(options) return sampler.steps(options):finish() end

return sampler

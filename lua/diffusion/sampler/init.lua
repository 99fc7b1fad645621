--- Samplers by name, and the run that steps them. A sampler is
-- `function(denoise, process, opts)` that returns a step `function(x, pair, history) -> x`:
--   denoise(x, t)     x0 and eps predicted at level t, clipped as the process says, and v of a
--                     learned variance, for process:step_variance(t, s, v). If the model returns
--                     two outputs (CFG++), x0 is that of the first and eps that of the second
--   pair              {t, s, i, n}: from level t to the earlier level s (s = 0: the data),
--                     number i of n
--   history           the solver's own table, empty at the start. It may hold tensors, numbers,
--                     strings and tables of these
--   opts.mix          sum of c x, in one pass (d.mix)
--   opts.mix_noise    mix_noise(sigma, c1, x1, ...): adds sigma z to it. z comes from the run's
--                     own counter, so sample k doesn't depend on its batch
--   opts.nan          "keep" to continue with samples that aren't finite, else "error"
--   opts.mix_path     mix_path(sigma, from, to, eta, c1, x1, ...): adds sigma z to it. z is the
--                     increment of a path between two levels, lambda = ln(a/s), in the time
--                     e^(2 eta lambda). The path is the step's own, or the run's Brownian path
local core = require "diffusion.core"
local conditions = require "diffusion.conditions"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local families = require "diffusion.sampler.families"
local finite = require "diffusion.sampler.finite"
local noise = require "diffusion.sampler.noise"
local presets = require "diffusion.sampler.preset"
local option = require "diffusion.sampler.option"
local part = require "diffusion.over.part"
local same = require "diffusion.over.same"
local place = require "diffusion.sampler.place"
local rule = require "diffusion.rule"
local run = require "diffusion.sampler.run"
local cfg = require("diffusion.guidance.cfg").cfg
local trained = require "diffusion.nn.trained"

local sampler = { names = families.names, explain = require "diffusion.sampler.explain" }

--- The equivalent of another library's sampler: one of ours with the options that match it, to be
--- passed as `sampler`. A name begins with the library: "diffusers-", "dpm-solver-", "edm-",
--- "guided-diffusion-", "k-diffusion-" or "lucidrains-". d.sampler.presets() lists them all.
--- diffusers' DPMSolverMultistep is dpmpp-1, dpmpp-2m, dpm-1, dpm-2m, dpmpp-1-sde, dpmpp-2m-sde or
--- dpmpp-2m-inverse. Its solver_type is our option form, and its euler_at_final has the same name.
--- DPMSolverSinglestep is dpmpp-singlestep or dpm-singlestep. A preset reproduces a defect of the
--- other library only if its name ends in the defect, as "diffusers-ddpm-noise-in-last-step". Other
--- presets are correct. d.grid.preset has the grids.
---@param name string one of d.sampler.presets()
---@param options? table<string, any> options of that sampler, which replace the preset's
---@return table {sampler, option = ...}
---@usage d.pp(d.sampler.preset("diffusers-dpmpp-2m", { form = "heun" }))
function sampler.preset(name, options)
  if options ~= nil and type(options) ~= "table" then
    fail.raise("bad argument #2 to 'sampler.preset' (a table of options expected, got %s)", kind.shown(options))
  end
  local found = presets.find(name, options)
  if not found then fail.raise("sampler.preset: %s", opts.unknown("preset", name, presets.names())) end
  families.resolve(found)
  return found
end

--- The names of all presets, sorted.
---@return string[]
function sampler.presets() return presets.names() end

-- Gives a step that is used alone mix functions and noise if the caller brings none. Returns a
-- function to call before each step.
local function alone(own, process, given)
  local mix_noise, mix_path, begin = noise.of({ seed = given.seed or core.random_seed(), process = process },
    { draws = 0 })
  own.mix, own.mix_noise = given.mix or core.ops.mix, given.mix_noise or mix_noise
  own.mix_path, own.nan = given.mix_path or mix_path, given.nan
  return begin
end

local step_rules = opts.declare("sampler_step", {
  seed = option.seed, nan = option.nan,
  mix = { "function", default_text = "d.mix", text = "sum of c x" },
  mix_noise = { "function", default_text = "by seed", text = "the same plus noise" },
  mix_path = { "function", default_text = "by seed", text = "the same plus an increment of the noise's path" },
})

--- The step of a sampler, for a loop of your own.
---@param which string|function|table a name, a function, or {name, eta = ...}
---@param denoise function (x, t) -> x0, eps
---@param process diffusion.process
---@param o diffusion.sampler_step_options?
---@return function step (x, {t, s, i, n}, history) -> x; history is a table, empty at first
---@usage local p = d.process{ schedule = d.schedule.cosine{}, predict = "x0" }
--- local model = d.oracle.gaussian{ std = { 1, 0.2 } }:denoiser(p)
--- local step = d.sampler.step("heun", function(x, t) return p:estimate(model(x, t), x, t) end, p)
--- local x, history, grid = d.randn(5, 2), {}, d.grid.trailing(p, 10)
--- for i, pair in ipairs(grid) do x = step(x, { t = pair[1], s = pair[2], i = i, n = #grid }, history) end
--- print(x)
function sampler.step(which, denoise, process, o)
  o = opts.check("step", o, step_rules, 4)
  local name, solver, own = families.resolve(which)
  opts.callable("step", "denoise", denoise)
  opts.process("step", 3, process, "sampler, denoise, process, options")
  local begin = alone(own, process, o)
  local step = solver.make(denoise, process, own)
  return function(x, pair, history)
    if type(pair) ~= "table" or not (pair.t and pair.s) then
      fail.raise("sampler %s: a pair {t, s, i, n} expected, got %s", name, kind.shown(pair))
    end
    place.check_solver(process, pair.t, name, solver)
    begin()
    x = step(x, pair, history)
    if o.nan ~= "keep" and core.is_tensor(x) then finite.check("sampler " .. name, pair, x) end
    return x
  end
end

local rules = opts.declare("sampler_steps", {
  model = option.model, process = option.process, sampler = option.sampler, steps = option.steps, grid = option.grid,
  seed = option.seed, class = option.class, inputs = option.inputs, guidance = option.guidance,
  self_condition = option.self_condition, on_step = option.on_step, nan = option.nan,
  shape = { "table", as = "integer[]", default_text = "that of init", text = "{n, ...}, the number of samples first" },
  init = { "tensor", default_text = "noise of the first level", text = "x at the first level" },
  noise = { "generator|table|function", one_of = { "independent", "brownian" }, default = "independent",
    as = '"independent"|"brownian"|diffusion.generator|diffusion.generator[]|fun(x: any): diffusion.tensor',
    text = "draws of each step, increments of one Brownian path, a generator or one for each sample, or a function" },
})

-- The model with guidance: a number is the scale of cfg, a function maps the model to another.
local function guided(model, guidance)
  if guidance == nil or guidance == 1 then return model end
  if type(guidance) == "number" then return cfg(model, { scale = guidance }) end
  local out = guidance(model)
  opts.callable("sampler", "what guidance(model) returns", out)
  return out
end

local function started(first, ...)
  local from <close> = part.draws_from(first) -- luacheck: ignore 211
  return place.start(...)
end

-- A run of checked options; `name` is what the user called. Its samples follow `first` others.
local function run_of(name, o, first)
  opts.denoiser(name, o.model)
  trained.check(name, o.model, o.process)
  local which, solver, sampler_options = families.resolve(o.sampler)
  local seed = o.seed or core.random_seed()
  local grid = place.grid(o, which, solver)
  local x = started(first, o, seed, grid, which, solver)
  local model = guided(o.model, o.guidance)
  return run.new { name = which, solver = solver, sampler_options = sampler_options, model = model,
    model_opts = conditions.of("sampler", o.class, o.inputs, x:size(1)), process = o.process, grid = grid, seed = seed,
    now = { x = x, i = 0, history = {}, draws = 0 }, evaluations = 0, noise = o.noise, first = first,
    self_condition = o.self_condition, on_step = o.on_step, nan = o.nan, shape = kind.shape_text(x) }
end

--- A run of a sampler. It takes a step by `run()`, or all by `for step in run do`.
--- If neither grid nor init is given and the process predicts eps or score unclipped, the run starts at
--- SNR 3.7e-5. The steps before are left out; print(run) shows those that stay. With noise = "brownian"
--- more steps refine one path; the noise of churn, Langevin steps, lcm, tcd and consistency stays
--- independent. Generators, and functions that return normals of x's shape, draw the start too, as in
--- PyTorch. With one generator sample k depends on its batch. Such a run can't be saved.
---@param options diffusion.sampler_steps_options
---@return diffusion.run
---@usage local model, process = d.load_model "digits"
--- local run = d.sampler.steps{ model = model, process = process, shape = { 1, 8, 8, 1 }, class = 4, steps = 5 }
--- for step in run do print(step.i, step.t, step.s, step.x0:std():item()) end
--- d.image.show(run.x)
function sampler.steps(options)
  return run_of("sampler.steps", families.check("sampler.steps", options, rules), 0)
end

-- ==== over ranks ==========================================================================

-- Options with a row for each sample, besides shape.
local EACH <const> = { "class", "inputs", "init", "noise" }

-- A sample must not depend on those that are drawn with it.
local function check_alone(o)
  if select(3, families.resolve(o.sampler)).norms == "batch" then
    fail.raise "sample: norms = 'batch' takes means over the samples of a rank; over ranks give norms = 'sample'"
  end
  if type(o.noise) == "function" or kind.of(o.noise) == "generator" then
    fail.raise("sample: noise is a %s, which draws the samples of a batch together; over ranks give a seed, or a list "
      .. "of generators", kind.of(o.noise))
  end
end

-- The options of this rank's part, the samples before it, and their number.
local function part_of(o)
  local ranks, shape = o.over, o.shape or o.init and o.init:shape()
  if not shape then fail.raise("sampler: option 'shape' is missing ({count, ...}), or give 'init'") end
  check_alone(o)
  same("sample", ranks, opts.joined(o, { over = false, seed = false, on_step = false, shape = shape }))
  local n, out = shape[1], opts.joined(o)
  local from, count = part.of(ranks, n)
  out.seed = math.tointeger(ranks.gather_text(("%d"):format(o.seed or core.random_seed()))[1])
  out.shape = { count, table.unpack(shape, 2) }
  for _, name in ipairs(EACH) do
    if count > 0 and type(o[name]) ~= "string" then out[name] = part.rows(o[name], n, from, count) end
  end
  return out, from, count
end

-- A rank may have no sample, if there are fewer than ranks.
local function over_ranks(o)
  local mine, from, count = part_of(o)
  local x = count > 0 and run_of("sample", mine, from):finish() or core.zeros(mine.shape)
  return o.over.gather(x)
end

local sample_rules = opts.declare("sample", opts.joined(rules, { over = rule.over "the samples" }))

--- Draws samples: d.sampler.steps{...}:finish(). Over ranks each of them draws a part, and gets the samples
--- of all. They have the same bits on any number of ranks.
---@param options diffusion.sample_options
---@return diffusion.tensor x {n, ...}
---@usage local model, process = d.load_model "digits"
--- d.image.show(d.sample{ model = model, process = process, shape = { 2, 8, 8, 1 }, class = { 3, 5 }, steps = 20 })
function sampler.sample(options)
  local o = families.check("sample", options, sample_rules)
  if o.over then return over_ranks(o) end
  return run_of("sample", o, 0):finish()
end

return sampler

--- A run of a sampler: where it stands, its solver's history, and the steps that are left.
local core = require "diffusion.core"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local lookup = require "diffusion.lookup"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local finite = require "diffusion.sampler.finite"
local legible = require "diffusion.legible"
local gradient = require "diffusion.gradient"
local noise = require "diffusion.sampler.noise"
local saved = require "diffusion.sampler.saved"

--- A sampler on its way: run() takes a step, `for step in run do` all that are left.
---@class diffusion.run
---@field x diffusion.tensor where it stands; written to, it goes on from there, history forgotten
---@field i integer steps taken
---@field grid diffusion.grid
---@field seed integer
---@field history table what the solver remembers: tensors, numbers, and tables of these
---@field evaluations integer of the model so far
--
-- x, i, history and the noise counter stand in one table, `now`, which a step that has been taken
-- replaces by another at once: wherever one breaks off, it has been taken or it hasn't.
local Run = { __name = "diffusion.run" }
Run.__methods = Run
Run.__index = function(run, name)
  local value = rawget(run, "now")[name]
  if value ~= nil then return value end
  return Run[name]
end

--- x as samplers take it: living reals, of the shape that is wanted if one is.
---@param what string
---@param x any
---@param shape string|nil
---@return diffusion.tensor x
local function check_x(what, x, shape)
  local shown = kind.shown(x)
  local here = core.is_tensor(x) and shown ~= "a freed tensor"
  if not here or x:dtype() ~= core.real or x:dim() == 0 or shape and kind.shape_text(x) ~= shape then
    fail.raise("%s: %s %s expected, got %s%s", what, core.real, shape or "[B,...]", shown,
      here and " of " .. x:dtype() .. kind.float_advice(x) or "")
  end
  return x
end

-- Writing x forgets the solver's history: it belongs to another trajectory.
Run.__newindex = function(run, name, value)
  if name == "on_step" then
    if value ~= nil then opts.callable("run", "on_step", value) end
    return rawset(run, name, value)
  end
  if name ~= "x" then fail.raise("a run's x and on_step can be written, not its '%s'", tostring(name)) end
  local now = run.now
  rawset(run, "now", { x = core.unscope(check_x("run.x", value, run.shape)), i = now.i, history = {},
                       drawn = now.drawn })
end

-- What the model is told beside x and t: classes, and with self_condition the x0 that it said
-- last, which the history keeps as own_x0 (Chen et al. 2023, algorithm 2).
local function told(run)
  if not run.self_condition then return run.model_opts end
  return { class = run.model_opts.class, x0 = run.at_work.own_x0 }
end

-- The eps of a model's second answer (CFG++): for solvers that go on from x0 and eps alone.
local function other_eps(run, other, x, t)
  if not run.solver.pair then
    fail.raise("sampler %s: the model gives a second answer for the noise to go on with (CFG++), which ddim, euler, "
      .. "euler_ancestral and samplers of your own can take", run.name)
  end
  local process = run.process
  return select(2, process:estimate(answer.of_denoiser("sampler", other, x, process.outputs), x, t))
end

-- The model as the sampler sees it: x0, eps and, where it is learned, v of the variance, of x
-- at t. What it says first, of the step's own x, is what the step shows.
local function denoiser(run)
  local process, model = run.process, run.model
  return function(x, t)
    local times = run.grid.told
    local out, other = model(x, times and times[t] or t, told(run))
    answer.of_denoiser("sampler", out, x, process.outputs)
    rawset(run, "evaluations", run.evaluations + 1)
    local x0, eps, v = process:estimate(out, x, t)
    if other ~= nil then eps = other_eps(run, other, x, t) end
    if not run.believed.x0 then run.believed.x0, run.believed.eps = x0, eps end
    if run.self_condition then run.at_work.own_x0 = core.unscope(x0) end -- solvers may have scopes of their own
    return x0, eps, v
  end
end

-- The solver's step, with the arithmetic and the noise of this run.
local function make_step(run)
  local step_opts = { mix = core.ops.mix, nan = run.nan }
  for k, v in pairs(run.sampler_options) do step_opts[k] = v end
  local begin
  step_opts.mix_noise, step_opts.mix_path, begin = noise.of(run)
  local step = run.solver.make(denoiser(run), run.process, step_opts)
  return function(...)
    begin()
    return step(...)
  end
end

-- Tables anew, all the way down; tensors, which solvers never write to, are shared.
local function copied(t)
  local out = {}
  for k, v in pairs(t) do out[k] = type(v) == "table" and copied(v) or v end
  return out
end

-- All tensors of a solver's history, so that the step's scope spares them.
local function tensors_of(t, out)
  for _, v in pairs(t) do
    if core.is_tensor(v) then out[#out + 1] = v
    elseif type(v) == "table" then tensors_of(v, out) end
  end
  return out
end

-- The solver writes to a copy of its history, and its noise is counted anew from where the last
-- step left it: a step that fails has not been taken.
local function advance(run, pair)
  local depth <close> = gradient.guard()
  local undo <close> = noise.undo(run.noise) -- luacheck: ignore 211
  local xt, history = run.x, copied(run.history)
  rawset(run, "draws", run.drawn)
  rawset(run, "believed", {}) -- a sampler of one's own may not ask the model
  rawset(run, "at_work", history)
  local x = check_x("sampler " .. run.name .. ": a step's x", run.step(xt, pair, history), run.shape)
  if run.nan ~= "keep" then finite.check("sampler " .. run.name, pair, x) end
  if x == xt then x = xt:clone() end
  local believed = run.believed
  for _, own in ipairs(tensors_of(history, { x })) do core.unscope(own) end
  depth:keep(believed.x0, believed.eps)
  rawset(run, "now", { x = x, i = pair.i, history = history, drawn = run.draws })
  return { i = pair.i, n = pair.n, t = pair.t, s = pair.s, xt = xt, x = x,
           x0 = believed.x0, eps = believed.eps }
end

-- Step i of the walk: down the grid, or up it.
local function pair_of(run, i)
  local n = #run.grid
  local step = run.grid[run.solver.upward and n + 1 - i or i]
  return { i = i, n = n, t = step[1], s = step[2] }
end

-- A run records nothing, so what an outer record follows would be a constant, unnoticed.
local function check_followed(run)
  if not core.followed(run.x) then return end
  fail.raise("sampler %s: x %s is being recorded, and a run loses its gradient; detach() it, or take steps by "
    .. "d.sampler.step, which keep it", run.name, kind.shape_text(run.x))
end

--- One step; nil when there is none left. An error where x is being recorded: its gradient
--- would be lost (d.sampler.step keeps it).
---@return table|nil step {i, n, t, s, xt, x, x0, eps}: x0 and eps are the model's of xt,
---  or of xt raised by churn
function Run.__call(run)
  if run.i >= #run.grid then return nil end
  check_x("run.x", run.x, run.shape)
  check_followed(run)
  local step = gradient.no_grad(advance, run, pair_of(run, run.i + 1))
  if run.on_step then run.on_step(step) end
  return step
end

--- Takes the steps that are left; returns x.
---@return diffusion.tensor
function Run.finish(run)
  while run() do end -- luacheck: ignore 542
  return run.x
end

-- The level where a run stands after i steps.
local function level_after(run, i)
  if i == 0 then return run.grid[1][1] end
  return run.grid[i][2]
end

--- Goes back n steps: x is noised by q(x_t | x_s) from its level to the one where the run stood n
--- steps ago, with the run's own noise, and the solver's history is forgotten. So RePaint resamples
--- (Lugmayr et al. 2022).
---@param n? integer 1 if not given; at most the steps taken
---@return diffusion.tensor x
---@usage local model, process = d.load_model "digits"
--- local run = d.sampler.steps{ model = model, process = process, shape = { 1, 8, 8, 1 }, class = 4, steps = 20 }
--- run:finish()
--- run:back(10)
--- d.image.show(d.cat({ run.x, run:finish() }, 1))
function Run.back(run, n)
  if n == nil then n = 1 end
  if run.solver.upward then fail.raise("run:back: %s goes from data to noise, so there is none to add", run.name) end
  if run.i == 0 then fail.raise("run:back: no step has been taken yet, so there is none to undo") end
  if not (type(n) == "number" and math.tointeger(n) and n >= 1 and n <= run.i) then
    fail.raise("run:back: a number of steps in 1..%d, the steps taken, expected, got %s", run.i, kind.shown(n))
  end
  local factor, variance = run.process:q_moments(1, level_after(run, run.i - n), level_after(run, run.i))
  rawset(run, "draws", run.drawn)
  local x = core.unscope(noise.of(run)(math.sqrt(variance), factor, run.x))
  rawset(run, "now", { x = x, i = run.i - math.tointeger(n), history = {}, drawn = run.draws })
  return x
end

-- A run from its fields, ready to step.
local function new(fields)
  local run = setmetatable({}, Run)
  for k, v in pairs(fields) do rawset(run, k, v) end
  rawset(run, "step", make_step(run))
  return run
end

--- An independent copy: x, the solver's history, its place and its noise counter, or generators
--- of its own where these make the noise; a function that does is shared.
---@return diffusion.run
function Run.clone(run)
  local fields, now = {}, run.now
  for k, v in pairs(run) do fields[k] = v end
  fields.now = { x = now.x:clone(), i = now.i, history = copied(now.history), drawn = now.drawn }
  fields.noise = noise.cloned(run.noise)
  return new(fields)
end

--- Writes the run as it stands: x, history, place and counters.
---@param path string
---@return true|nil done nil with a message where the file can't be written
---@return string|nil message
function Run.save(run, path) return saved.save(run, path) end

--- Goes on from a file of run:save, in a run made with the same options.
---@param path string
---@return true|nil done nil with a message, and nothing changed, where the file isn't such a run
---@return string|nil message
function Run.load(run, path)
  local ok, message = saved.load(run, path)
  if ok then rawset(run, "step", make_step(run)) end -- its noise is now of the saved seed
  return ok, message
end

function Run.__tostring(run)
  return ("sampler %s  %d steps, %d done  x is %s\n%s"):format(run.name, #run.grid, run.i,
    kind.shown(run.x), run.grid)
end
legible.speaks(Run)

object.methods("run", Run)
lookup.strict("run", Run, { "x", "i", "grid", "seed", "history", "evaluations", "on_step" })

return { new = new, check_x = check_x }

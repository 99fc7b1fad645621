-- A run of a sampler: its place on the grid, its solver's history, and the steps that are left.
local conditions = require "diffusion.conditions"
local core = require "diffusion.core"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local finite = require "diffusion.sampler.finite"
local gradient = require "diffusion.gradient"
local noise = require "diffusion.sampler.noise"
local part = require "diffusion.over.part"
local saved = require "diffusion.sampler.saved"

--- A run of a sampler. run() takes a step; `for step in run do` takes all that are left.
---@class diffusion.run
---@field x diffusion.tensor the current samples; if written, the run continues from there without history
---@field i integer steps taken
---@field grid diffusion.grid
---@field seed integer
---@field history table the solver's own: tensors, numbers, and tables of these
---@field evaluations integer number of evaluations of the model so far
---@field draws integer number of draws of noise so far
---@field upward boolean|nil true if the run goes from data to noise
---@field on_step function|nil called after each step; may be written
local Run = {}

-- {now, process, grid, name, solver, sampler_options, model, model_opts, seed, evaluations,
-- noise, first = samples before these, self_condition, on_step, nan, shape, take}. `now` is {x, i, history,
-- draws}. A complete step replaces it at once, so a step that fails changes nothing.
local private = object.private

--- Raises unless x is a tensor of reals [B,...] that is not freed, of a given shape if one is named.
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

-- ==== a step =============================================================================

-- A step has a scratch table {x, draws, history, x0, eps}, shared by its denoiser and its noise. x0
-- and eps are those that the model predicts first.

-- The model's third argument: classes and, with self_condition, the last predicted x0, which the
-- history keeps as own_x0 (Chen et al. 2023, algorithm 2).
local function given(own, step)
  if not own.self_condition then return own.model_opts end
  return conditions.with(own.model_opts, { x0 = step.history.own_x0 })
end

-- The eps of a model's second output (CFG++), for solvers that use only x0 and eps.
local function other_eps(own, other, x, t)
  if not own.solver.pair then
    fail.raise("sampler %s: the model returns a second output for the noise (CFG++), which only ddim, euler, "
      .. "euler_ancestral and your own samplers can use", own.name)
  end
  local process = own.process
  return select(2, process:estimate(answer.of_denoiser("sampler", other, x, process.outputs), x, t))
end

-- The model as the sampler sees it: x at t -> x0, eps and, if the variance is learned, v.
local function denoiser(own, step)
  local process, model = own.process, own.model
  return function(x, t)
    local times = own.grid.told
    local out, other = model(x, times and times[t] or t, given(own, step))
    answer.of_denoiser("sampler", out, x, process.outputs)
    own.evaluations = own.evaluations + 1
    local x0, eps, v = process:estimate(out, x, t)
    if other ~= nil then eps = other_eps(own, other, x, t) end
    if not step.x0 then step.x0, step.eps = x0, eps end
    if own.self_condition then step.history.own_x0 = core.unscope(x0) end -- solvers may have scopes of their own
    return x0, eps, v
  end
end

-- The solver's step, with this run's arithmetic and noise: (x, pair, history) -> x, scratch.
local function make_step(own)
  local step, solver_opts = {}, { mix = core.ops.mix, nan = own.nan }
  for k, v in pairs(own.sampler_options) do solver_opts[k] = v end
  local begin
  solver_opts.mix_noise, solver_opts.mix_path, begin = noise.of(own, step)
  local take = own.solver.make(denoiser(own, step), own.process, solver_opts)
  return function(x, pair, history)
    step.x, step.draws, step.history, step.x0, step.eps = x, own.now.draws, history, nil, nil
    begin()
    local y = take(x, pair, history)
    step.x = nil
    return y, step
  end
end

-- A copy of all tables. Tensors are shared, since solvers never write to them.
local function copied(t)
  local out = {}
  for k, v in pairs(t) do out[k] = type(v) == "table" and copied(v) or v end
  return out
end

-- All tensors of a solver's history, so that the step's scope keeps them.
local function tensors_of(t, out)
  for _, v in pairs(t) do
    if core.is_tensor(v) then out[#out + 1] = v
    elseif type(v) == "table" then tensors_of(v, out) end
  end
  return out
end

-- The solver writes to a copy of its history, and draws are counted from the last step's number. So
-- a step that fails changes nothing.
local function advance(own, pair)
  local depth <close> = gradient.guard()
  local undo <close> = noise.undo(own.noise) -- luacheck: ignore 211
  local from <close> = part.draws_from(own.first) -- luacheck: ignore 211
  local xt, history = own.now.x, copied(own.now.history)
  local x, step = own.take(xt, pair, history)
  check_x("sampler " .. own.name .. ": a step's x", x, own.shape)
  if own.nan ~= "keep" then finite.check("sampler " .. own.name, pair, x) end
  if x == xt then x = xt:clone() end
  for _, kept in ipairs(tensors_of(history, { x })) do core.unscope(kept) end
  depth:keep(step.x0, step.eps) -- nil if a sampler of the user's did not call the model
  own.now = { x = x, i = pair.i, history = history, draws = step.draws }
  return { i = pair.i, n = pair.n, t = pair.t, s = pair.s, xt = xt, x = x, x0 = step.x0, eps = step.eps }
end

-- Step i on the grid. An upward sampler follows the grid in reverse.
local function pair_of(own, i)
  local n = #own.grid
  local step = own.grid[own.solver.upward and n + 1 - i or i]
  return { i = i, n = n, t = step[1], s = step[2] }
end

-- A run records nothing, so an outer record would lose x's gradient without notice.
local function check_followed(own)
  if not core.followed(own.now.x) then return end
  fail.raise("sampler %s: x %s is being recorded, and a run loses its gradient; detach() it, or take steps by "
    .. "d.sampler.step, which keep it", own.name, kind.shape_text(own.now.x))
end

--- One step, or nil if none is left. It raises if x is being recorded, since its gradient would
--- be lost (d.sampler.step keeps it).
---@return table|nil step {i, n, t, s, xt, x, x0, eps}: x0 and eps are predicted from xt, or from
---  xt raised by churn
local function call(run)
  local own = private[run]
  local now = own.now
  if now.i >= #own.grid then return nil end
  check_x("run.x", now.x, own.shape)
  check_followed(own)
  local step = gradient.no_grad(advance, own, pair_of(own, now.i + 1))
  if own.on_step then own.on_step(step) end
  return step
end

-- ==== methods ============================================================================

--- Takes the steps that are left and returns x.
---@return diffusion.tensor
function Run.finish(run)
  while run() do end -- luacheck: ignore 542
  return run.x
end

-- A sum with the run's next noise, which counts as a draw: (sigma, c1, x1, ...) as opts.mix_noise.
local function add_noise(run, ...)
  local own = private[run]
  local now = own.now
  local from <close> = part.draws_from(own.first) -- luacheck: ignore 211
  local scratch = { x = now.x, draws = now.draws }
  local x = noise.of(own, scratch)(...)
  own.now = { x = now.x, i = now.i, history = now.history, draws = scratch.draws }
  return x
end

-- The level after i steps.
local function level_after(own, i)
  if i == 0 then return own.grid[1][1] end
  return own.grid[i][2]
end

--- Goes back n steps. x is noised by q(x_t | x_s) from its level to the level of n steps ago, with
--- the run's own noise, and the solver's history is cleared. RePaint resamples this way (Lugmayr et
--- al. 2022).
---@param n? integer 1 if not given; at most the steps taken
---@return diffusion.tensor x
---@usage local model, process = d.load_model "digits"
--- local run = d.sampler.steps{ model = model, process = process, shape = { 1, 8, 8, 1 }, class = 4, steps = 20 }
--- run:finish()
--- run:back(10)
--- d.image.show(d.cat({ run.x, run:finish() }, 1))
function Run.back(run, n)
  local own = private[run]
  local i = own.now.i
  if n == nil then n = 1 end
  if own.solver.upward then fail.raise("run:back: %s goes from data to noise, so there is none to add", own.name) end
  if i == 0 then fail.raise("run:back: no step has been taken yet, so there is none to undo") end
  if not (type(n) == "number" and math.tointeger(n) and n >= 1 and n <= i) then
    fail.raise("run:back: a number of steps in 1..%d, the steps taken, expected, got %s", i, kind.shown(n))
  end
  local factor, variance = own.process:q_moments(1, level_after(own, i - n), level_after(own, i))
  local x = core.unscope(add_noise(run, math.sqrt(variance), factor, own.now.x))
  own.now = { x = x, i = i - math.tointeger(n), history = {}, draws = own.now.draws }
  return x
end

--- Writes the run to a file: x, history, place and counters.
---@param path string
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function Run.save(run, path) return saved.save(private[run], path) end

--- Continues from a file of run:save, in a run made with the same options.
---@param path string
---@return true|nil done nil with a message, and nothing changed, if the file is not from such a run
---@return string|nil message
function Run.load(run, path)
  local own = private[run]
  local ok, message = saved.load(own, path)
  if ok then own.take = make_step(own) end -- a Brownian path is made from the seed, which is now the file's
  return ok, message
end

local new

--- An independent copy: x, the solver's history, its place and its count of draws. Generators are
--- copied; a function given as noise is shared.
---@return diffusion.run
function Run.clone(run)
  local own = {}
  for k, v in pairs(private[run]) do own[k] = v end
  local now = own.now
  own.now = { x = now.x:clone(), i = now.i, history = copied(now.history), draws = now.draws }
  own.noise = noise.cloned(own.noise)
  return new(own)
end

local function tostring_run(run)
  local own = private[run]
  return ("sampler %s  %d steps, %d done  x is %s\n%s"):format(own.name, #own.grid, own.now.i,
    kind.shown(own.now.x), own.grid)
end

-- ==== fields and making one ==============================================================

local function now(name) return function(own) return own.now[name] end end

-- A written x belongs to another trajectory, so the solver's history is cleared.
local function set_x(own, x)
  own.now = { x = core.unscope(check_x("run.x", x, own.shape)), i = own.now.i, history = {}, draws = own.now.draws }
end

local function set_on_step(own, fn)
  if fn ~= nil then opts.callable("run", "on_step", fn) end
  own.on_step = fn
end

local class = object.class("run", Run, {
  get = { "grid", "seed", "evaluations", "name", "process", "on_step", x = now "x", i = now "i",
          history = now "history", draws = now "draws",
          upward = function(own) return own.solver.upward end },
  set = { x = set_x, on_step = set_on_step },
  __call = call, __tostring = tostring_run,
})

-- A run from its private state, ready to step.
function new(own)
  own.take = make_step(own)
  return object.new(class, own)
end

return { new = new, check_x = check_x, add_noise = add_noise }

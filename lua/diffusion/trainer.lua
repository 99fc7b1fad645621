-- The usual training loop: batches, loss, step, checkpoint, log, progress. Ctrl-C and SIGTERM save a
-- checkpoint, from which the same call resumes. Over ranks, rank 0 writes and shows what there is. A
-- loss that isn't finite is traced to its step, levels and layer.
local core = require "diffusion.core"
local checkpoint = require "diffusion.checkpoint"
local conditions = require "diffusion.conditions"
local csv = require "diffusion.file.csv"
local gradient = require "diffusion.gradient"
local batches = require "diffusion.objective.batch"
local networks = require "diffusion.nn.model"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local optim = require "diffusion.optim"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"
local progress = require "diffusion.progress"

local trainer = {}

--- A training run, to be started by trainer:run().
---@class diffusion.trainer
local Trainer = {}

local private = object.private -- {keep = the checkpoint, nil if there is none}

local function tostring_trainer(self) return ("trainer: %s; %s"):format(self.batches, self.opt) end

-- ==== a loss that isn't finite ===============================================================

-- The parameters of a model by name. A denoiser that is a function tells none.
local function named(model)
  if networks.has_parameters(model) then return model:parameters() end
  return function() end
end

-- The name under which a model has a parameter.
local function name_of(model, parameter)
  for name, p in named(model) do
    if core.same_tensor(p, parameter) then return name end
  end
end

-- The first place of a value that isn't finite: in the weights, or in a layer's output.
local function first_nonfinite(model, xt, t, given)
  for name, p in named(model) do
    if not p:isfinite():all() then return ("the weights '%s'"):format(name) end
  end
  core.watch_start()
  gradient.no_grad(model, xt, t, given)
  local op, parameter = core.watch_stop()
  if not op then return "the loss itself: the model's output is finite" end
  local layer = parameter and name_of(model, parameter)
  return layer and ("%s, at or after '%s'"):format(op, layer) or op
end

local function levels_text(details)
  if not (details and details.t and details.per_sample) then return "unknown" end
  local loss, t, list = details.per_sample:totable(), details.t:totable(), {}
  for i, v in ipairs(loss) do
    if v ~= v or math.abs(v) == math.huge then list[#list + 1] = legible.format("%g", t[i]) end
    if #list == 5 then
      list[6] = "..."
      break
    end
  end
  return #list > 0 and table.concat(list, ", ") or "none alone"
end

-- The data is checked before the network.
local function check_batch(step, x0)
  local fault = core.is_tensor(x0) and x0:dim() > 0 and x0:numel() > 0 and batches.fault(x0)
  if fault then error(legible.said("trainer: the batch of step %d: %s", step, fault), 0) end
end

local function diagnose(self, step, value, details, given)
  local what = value ~= value and "nan" or tostring(value)
  local where = details and details.xt and first_nonfinite(self.model, details.xt, details.t, given)
    or "unknown"
  error(legible.said("trainer: the loss is %s at step %d; levels t = %s; first in %s", what, step,
    levels_text(details), where), 0)
end

-- The trainer raises after this many steps in a row that the optimiser refused.
local PATIENCE = 10

-- The last parameter whose gradient isn't finite, which is the nearest to the loss.
local function nonfinite_gradient(model)
  local last
  for name, p in named(model) do
    if p.grad and not p.grad:isfinite():all() then last = name end
  end
  return last
end

-- The optimiser's step. It changes nothing if the gradient isn't finite.
local function careful_step(self, state, step)
  local name = state.refused + 1 == PATIENCE and nonfinite_gradient(self.model)
  local norm = self.opt:step()
  state.refused = norm - norm == 0 and 0 or state.refused + 1
  if state.refused == PATIENCE then
    error(legible.said("trainer: the gradient's norm is NaN or infinite in %d steps in a row, the last is step %d; "
      .. "the loss is finite%s", PATIENCE, step, name and ("; check the gradient of '%s'"):format(name) or ""), 0)
  end
  return norm
end

-- ==== the loop ================================================================================

local function is_silent(self) return self.opt.over ~= nil and self.opt.over.rank > 0 end

local function open_log(self)
  if not self.log or is_silent(self) then return nil end
  local log, message = csv.log(self.log, "step,loss,lr,norm\n", self.batches.step)
  if not log then error(legible.said("trainer: the log %s", message), 0) end
  return log
end

-- The loss, its details and the inputs. These are made while the loss is recorded, since what makes them may be
-- trained too.
local function loss_of_inputs(self, x0, given)
  local inputs = self.inputs(self.batches)
  local loss, details = self.objective(self.model, x0, conditions.with(given, { inputs = inputs }))
  return loss, details, inputs
end

-- Over ranks an objective that is recorded itself may run once for several pieces.
local function record_loss(self, x0, given)
  if self.inputs then return gradient.record(loss_of_inputs, self, x0, given) end
  return gradient.record(self.objective, self.model, x0, given)
end

local function one_step(self, state, step, x0, class, eps)
  if not networks.takes_class(self.model) then class = nil end -- a labelled set, but an unconditional network
  local lr, given = self.opt.lr, { class = class, eps = eps }
  local fine, loss, details, inputs = fail.pcall(record_loss, self, x0, given)
  if not fine then
    check_batch(step, x0)
    error(loss, 0)
  end
  local value = loss:item()
  if value ~= value or math.abs(value) == math.huge then
    check_batch(step, x0)
    diagnose(self, step, value, details, conditions.with(inputs or {}, { class = class }))
  end
  optim.wish(self.opt, state.stopped())
  loss:backward()
  state.agreed = optim.agreed(self.opt)
  return self.opt.over and self.opt.loss or value, lr, careful_step(self, state, step)
end

local function save(self, step, loss)
  local keep = private[self].keep
  if not keep then return end
  local learns = kind.of(self.objective) == "objective"
  local ok, message = keep:save { step = step, loss = loss, objective = learns and self.objective:state() or nil }
  if not ok then error(legible.said("trainer: %s", message), 0) end
end

-- Writes a row of the log. If that fails, a checkpoint is saved before the error.
local function write_row(self, state, log, row)
  local done, message = log:write(row)
  if done then return end
  if not self.opt.over then save(self, state.done, state.loss) end -- other ranks don't know of the failure
  error("trainer: the log " .. message, 0)
end

local function loss_text(self, loss)
  return legible.format(self.floor and "loss %.4f, floor %.4f" or "loss %.4f", loss, self.floor)
end

local function whole_step(self, log, bar, state, step, x0, class, eps)
  local depth <close> = gradient.guard() -- luacheck: ignore 211
  local loss, lr, norm = one_step(self, state, step, x0, class, eps)
  state.done, state.loss = step, state.loss and 0.98 * state.loss + 0.02 * loss or loss
  if log then write_row(self, state, log, legible.format("%d,%.6g,%.6g,%.6g\n", step, loss, lr, norm)) end
  local parts = self.opt.over and self.opt.over.size or 1
  if bar then bar:update(step, loss_text(self, state.loss), x0:size(1) * parts) end
  if self.on_step then self.on_step(step, loss) end
  if step % self.save_every == 0 or step == self.batches.steps then
    save(self, step, state.loss)
  end
end

local function steps(self, log, bar, state)
  for step, x0, class, eps in self.batches do
    whole_step(self, log, bar, state, step, x0, class, eps)
    coroutine.yield()
  end
end

-- Ctrl-C is checked between steps. A second one goes to the host program, which may raise an error
-- at any line of Lua's main thread. The steps run in a coroutine, so each one is complete even
-- then. At the library's prompt a third Ctrl-C interrupts the step.
local function take_steps(stops, thread, ...)
  local ending <close> = setmetatable({}, { __close = function() coroutine.close(thread) end }) -- luacheck: ignore 211
  repeat
    local fine, message = coroutine.resume(thread, ...)
    if not fine then error({ message = message }, 0) end
  until coroutine.status(thread) == "dead" or stops()
end

-- Whether a run stops now. Ranks stop after the same step: signals travel with a step's gradients.
local function stops_of(self, state)
  if not self.opt.over then return state.stopped end
  return function() return state.agreed end
end

local function interrupted(self, state)
  if self.batches.step ~= state.done then
    return legible.refused("interrupted in step %d, of which nothing is kept", self.batches.step)
  end
  save(self, state.done, state.loss)
  return legible.refused("interrupted after step %d%s", state.done, self.checkpoint
    and ("; %s holds it, and the same command goes on from there"):format(self.checkpoint) or "")
end

local function resume(self)
  local keep = private[self].keep
  if not keep then return false end
  local loaded, message = keep:load()
  if loaded and kind.of(self.objective) == "objective" then
    local fits, why = self.objective:load_state(keep.extra.objective)
    if not fits then return legible.refused("%s: %s", self.checkpoint, why) end
  end
  if loaded == nil then return nil, message end
  return loaded
end

--- Trains until the batches end, or until Ctrl-C or SIGTERM. The first Ctrl-C stops it after the current
--- step. Over ranks it stops all of them, after the next step. The second one has its usual effect on the
--- program. At the library's prompt a third one interrupts the step, and nothing of that step is kept.
---@return table|nil report {step, loss (smoothed), seconds, rate (items per second), resumed = step}; nil and a message
---  if Ctrl-C, or a checkpoint that doesn't fit, stopped it
---@return string|nil message
function Trainer:run()
  local resumed, why = resume(self)
  if resumed == nil then return nil, why end
  local from = self.batches.step
  local before = resumed and tonumber(private[self].keep.extra.loss) or nil
  local state, began = { done = from, refused = 0, loss = before }, core.clock()
  local log <close> = open_log(self)
  local bar = not (self.quiet or is_silent(self)) and progress.new(self.batches.steps, { done = from }) or nil
  local stopped <close> = core.catch_interrupts()
  state.stopped = stopped
  local stops = stops_of(self, state)
  local fine, fault = pcall(take_steps, stops, coroutine.create(steps), self, log, bar, state)
  if not fine or stops() then
    if bar then bar:close() end
    if type(fault) == "table" then error(fault.message, 0) end
    if fail.out_of_memory(fault) then error(fault, 0) end
    return interrupted(self, state)
  end
  return { step = state.done, loss = state.loss, seconds = core.clock() - began,
           rate = bar and bar:rate(), resumed = resumed and from or 0 }
end

-- ==== making one =============================================================================

local rules = opts.declare("trainer", {
  model = { "any", required = true, what = "a model", as = "diffusion.model", text = "the network" },
  objective = { "function|objective", required = true, as = "diffusion.objective|function",
    text = "d.objective, or a function (model, x0, {class}) -> loss, details" },
  opt = { "any", required = true, what = "an optimiser (d.adamw)", as = "diffusion.adamw", text = "the optimiser" },
  batches = { "any", required = true, what = "batches (set:batches)", as = "diffusion.batches", text = "the batches" },
  inputs = { "function", as = "fun(batches: diffusion.batches): table<string, diffusion.tensor>",
    text = "makes inputs of the network for a batch, as pipe:inputs does of captions" },
  ema = { "any", as = "diffusion.ema|diffusion.ema[]", text = "averages that the checkpoint holds" },
  checkpoint = { "path", text = "file that the run resumes from and saves to" },
  save_every = { "integer", default = 500, min = 1, text = "steps between two saves" },
  log = { "path", text = "CSV file of step, loss, lr and norm" },
  on_step = { "function", as = "fun(step: integer, loss: number)", text = "called after each step" },
  floor = { "number", text = "least loss, shown next to the loss; objective:floor gives it" },
  quiet = { "boolean", default = false, text = "shows no progress" },
})

-- Fields that can be written before or between runs.
local writable = {}
for _, name in ipairs { "save_every", "log", "on_step", "floor", "quiet" } do writable[name] = rules[name] end

local class = object.class("trainer", Trainer, {
  writable = writable, __tostring = tostring_trainer,
  fields = { "model", "objective", "opt", "batches", "ema", "checkpoint", "save_every", "log", "on_step", "floor",
             "quiet", "inputs" },
})

-- Batches are those of set:batches, or a callable object with the same fields.
local function check_batches(walk)
  local fine, step, total = pcall(function() return walk.step, walk.steps end)
  if fine and kind.callable(walk) and type(step) == "number" and type(total) == "number" then return end
  fail.raise("trainer: batches must be callable, with fields step and steps, got %s; set:batches{ size = ... } makes "
    .. "them", kind.shown(walk))
end

local function check_opt(opt)
  local fine, step = pcall(function() return opt.step end)
  if fine and kind.callable(step) then return end
  fail.raise("trainer: opt must be an optimiser with a method step, got %s; d.adamw(model) makes one", kind.shown(opt))
end

--- A training run.
---@param options diffusion.trainer_options
---@return diffusion.trainer
function trainer.trainer(options)
  local o = opts.check("trainer", options, rules)
  check_batches(o.batches)
  check_opt(o.opt)
  local keep = o.checkpoint and checkpoint.checkpoint { path = o.checkpoint, model = o.model, opt = o.opt,
                                                        ema = o.ema, batches = o.batches }
  return object.new(class, { keep = keep }, o)
end

return trainer

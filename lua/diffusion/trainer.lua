--- The loop that most trainings are: batches, loss, step, checkpoint, log, progress; stopped
--- by Ctrl-C it leaves a checkpoint from which the same call goes on, and a loss that is no
--- number is traced to its step, levels and layer.
local core = require "diffusion.core"
local checkpoint = require "diffusion.checkpoint"
local gradient = require "diffusion.gradient"
local opts = require "diffusion.opts"
local progress = require "diffusion.progress"

local trainer = {}

local Trainer = { __name = "diffusion.trainer" }
Trainer.__index = Trainer

local rules = {
  model = { "any", required = true },
  objective = { "function", required = true },
  opt = { "any", required = true },
  batches = { "any", required = true },
  ema = { "any" },
  checkpoint = { "string" },
  save_every = { "integer", default = 500, min = 1 },
  log = { "string" },
  on_step = { "function" },
  quiet = { "boolean", default = false },
}

--- A training run.
---@param options table {model, objective (of d.objective, or any function (model, x0, {class})
---  -> loss, details), opt, batches, ema, checkpoint = path: resumed from and saved to,
---  save_every = 500 steps, log = path of a CSV file (step, loss, lr, norm), on_step =
---  function(step, loss), quiet = false}
---@return table trainer with :run()
function trainer.trainer(options)
  local o = opts.check("trainer", options, rules)
  if o.checkpoint then
    o.keep = checkpoint.checkpoint { path = o.checkpoint, model = o.model, opt = o.opt,
                                     ema = o.ema, batches = o.batches }
  end
  return setmetatable(o, Trainer)
end

-- ==== when the loss is no number ============================================================

-- The name of the parameter that a tensor is.
local function name_of(model, parameter)
  for name, p in model:parameters() do
    if core.same_tensor(p, parameter) then return name end
  end
end

-- Where values first stop being numbers: in the weights, or in what a layer computes.
local function sick_layer(model, xt, t, class)
  for name, p in model:parameters() do
    if not p:isfinite():all() then return ("the weights '%s'"):format(name) end
  end
  core.watch_start()
  gradient.no_grad(model, xt, t, { class = class })
  local op, parameter = core.watch_stop()
  if not op then return "the loss itself: the model's output is finite" end
  local layer = parameter and name_of(model, parameter)
  return layer and ("%s, at or after '%s'"):format(op, layer) or op
end

local function levels_text(details)
  if not (details and details.t and details.per_sample) then return "unknown" end
  local loss, t, list = details.per_sample:totable(), details.t:totable(), {}
  for i, v in ipairs(loss) do
    if v ~= v or math.abs(v) == math.huge then list[#list + 1] = ("%g"):format(t[i]) end
    if #list == 5 then
      list[6] = "..."
      break
    end
  end
  return #list > 0 and table.concat(list, ", ") or "none alone"
end

local function diagnose(self, step, value, details, class)
  local where = details and details.xt and sick_layer(self.model, details.xt, details.t, class)
    or "unknown"
  error(("trainer: the loss is %s at step %d; levels t = %s; first in %s"):format(
    value, step, levels_text(details), where), 0)
end

-- ==== the loop ================================================================================

local function open_log(self)
  if not self.log then return nil end
  local resumed = self.batches.step > 0
  local f, message = io.open(self.log, resumed and "a" or "w")
  if not f then error("trainer: " .. message, 0) end
  f:setvbuf "line"
  if not resumed then f:write "step,loss,lr,norm\n" end
  return f
end

local function one_step(self, step, x0, class)
  local lr = self.opt.lr
  local loss, details = gradient.record(self.objective, self.model, x0, { class = class })
  local value = loss:item()
  if value ~= value or math.abs(value) == math.huge then
    diagnose(self, step, value, details, class)
  end
  loss:backward()
  return value, lr, self.opt:step()
end

local function save(self, step, loss)
  if not self.keep then return end
  local ok, message = self.keep:save { step = step, loss = loss }
  if not ok then error("trainer: " .. message, 0) end
end

-- Steps that the optimiser has dealt with, whether it took them or not.
local function dealt_with(opt) return opt.steps + opt.skipped end

local function loop(self, log, bar, state)
  for step, x0, class in self.batches do
    local depth <close> = gradient.guard() -- luacheck: ignore 211
    state.random, state.before, state.current = core.random_state(), dealt_with(self.opt), step
    local loss, lr, norm = one_step(self, step, x0, class)
    state.done = step
    state.loss = state.loss and 0.98 * state.loss + 0.02 * loss or loss
    if log then log:write(("%d,%.6g,%.6g,%.6g\n"):format(step, loss, lr, norm)) end
    if bar then bar:update(step, ("loss %.4f"):format(state.loss), x0:size(1)) end
    if self.on_step then self.on_step(step, loss) end
    if step % self.save_every == 0 or step == self.batches.steps then
      save(self, step, state.loss)
    end
  end
end

-- Ctrl-C comes as an error at any line. A step whose optimiser had its turn counts; one cut
-- short before is as if it had not begun: its random numbers and its batch come again.
local function settle(self, state)
  if state.current ~= state.done then
    if dealt_with(self.opt) > state.before then state.done = state.current
    else core.set_random_state(state.random) end
  end
  self.opt:zero()
  self.batches.step = state.done
  save(self, state.done, state.loss)
end

local function interrupted(self, message, state)
  if not tostring(message):find("interrupted!", 1, true) then error(message, 0) end
  settle(self, state)
  return nil, ("interrupted after step %d%s"):format(state.done, self.keep
    and ("; %s holds it, and the same command goes on from there"):format(self.checkpoint) or "")
end

--- Trains until the batches end.
---@return table|nil report {step, loss (smoothed), seconds, rate (items a second), resumed =
---  step}; nil and a message where Ctrl-C, or a checkpoint that doesn't fit, stopped it
---@return string|nil message
function Trainer:run()
  local resumed = 0
  if self.keep then
    local loaded, message = self.keep:load()
    if loaded == nil then return nil, message end
    if loaded then resumed = self.batches.step end
  end
  local log <close> = open_log(self)
  local bar = not self.quiet and progress.new(self.batches.steps, { done = resumed }) or nil
  local state, began = { current = resumed, done = resumed }, core.clock()
  local ok, message = pcall(loop, self, log, bar, state)
  if not ok then
    if bar then bar:close() end
    return interrupted(self, message, state)
  end
  return { step = state.done, loss = state.loss, seconds = core.clock() - began,
           rate = bar and bar:rate(), resumed = resumed }
end

return trainer

-- AdamW with gradient clipping and the update of running averages, in one pass.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local averages = require "diffusion.ema"
local gradient = require "diffusion.gradient"
local freezing = require "diffusion.nn.freezing"
local model = require "diffusion.nn.model"
local training = require "diffusion.over.training"
local warning = require "diffusion.warning"

local optim = {}

-- ==== rules of numbers ===================================================================

-- They hold for options, groups, assignments, functions' results and loaded states.
local least_epsilon = core.real == "f64" and 1e-300 or 1e-37 -- smaller numbers round to 0
local rate = { "number", min = 0 }
local rate_or_function = { "number|function", min = 0 }
local beta = { "number", min = 0, below = 1 }
local count = { "integer", min = 0, required = true }

-- ==== adamw =============================================================================

--- AdamW over the parameters that were trainable when it was made.
---@class diffusion.adamw
---@field lr number rate of the next step; can be set to a number or a function of the step
---@field steps integer steps taken
---@field skipped integer steps not taken, since the gradient wasn't finite
---@field loss number|nil with `over`: the mean loss of the last backward pass over all ranks
---@field over diffusion.mpi|nil the ranks
local Adamw = {}

-- {core, groups, names, options, averages, models, skipped, refused, warned}
local private = object.private

local function rate_at(lr, step)
  if type(lr) == "number" then return lr end
  local now = lr(step)
  if type(now) ~= "number" then
    fail.raise("adamw: the learning rate of step %d is a %s, not a number", step, kind.of(now))
  end
  return opts.held(("adamw: the learning rate of step %d"):format(step), now, rate)
end

local function next_rate(own) return rate_at(own.groups[1].lr, own.core:steps() + 1) end

local function set_rate(own, value) own.groups[1].lr = opts.held("adamw: lr", value, rate_or_function) end

-- ==== steps that can't be taken ===========================================================

-- After so many in a row, the optimiser raises.
local PATIENCE = 30

-- The first value that isn't finite, or else the first gradient.
local function culprit(models)
  local found
  for _, m in ipairs(models) do
    for name, p in m:parameters() do
      if not p:detach():isfinite():all() then return ("the parameter '%s'"):format(name) end
      if not found and p.grad and not p.grad:isfinite():all() then
        found = ("the gradient of '%s'; check the batch for NaN"):format(name)
      end
    end
  end
  return found or "the norm alone"
end

-- Counts a step that was not taken. The first one is a warning, PATIENCE in a row an error.
local function refused(own, norm)
  local after = own.core:steps()
  own.skipped, own.refused = own.skipped + 1, own.refused + 1
  local last = own.refused >= PATIENCE
  if own.warned and not last then return own.core:zero() end
  local first = gradient.no_grad(culprit, own.models)
  own.core:zero()
  if last then
    fail.raise("adamw: %d steps in a row were not taken, after step %d: the gradient's norm is %g; the first that "
      .. "isn't finite is %s", own.refused, after, norm, first)
  end
  own.warned = true
  warning.once(own, "refused", "adamw: a step was not taken, after step %d: the gradient's norm is %g; the first that "
    .. "isn't finite is %s", after, norm, first)
end

-- Ranks whose gradients are not summed would move apart.
local function check_summed(own)
  if not own.holder or own.holder.core then return end
  fail.raise("adamw: a later optimiser has a model of this one, so its gradients are no longer summed over ranks")
end

local step_rules = opts.declare("adamw_step", {
  zero = { "boolean", default = true, text = "drops the gradient after the step" } })

--- One step: mean of the gradients of the backward calls since the last step (accumulate =
--- "mean"), global-norm clip, AdamW, averages. A parameter without a gradient counts as 0. If the
--- norm is not finite, nothing is changed, the gradient is dropped and `skipped` grows by one. The
--- first such step prints a warning to stderr; 30 in a row are an error.
---@param options diffusion.adamw_step_options?
---@return number norm L2, of the whole gradient before clipping
function Adamw:step(options)
  local own = private[self]
  local zero = options == nil or opts.check("step", options, step_rules).zero
  check_summed(own)
  local rates, decays = {}, {}
  for i, group in ipairs(own.groups) do
    rates[i] = rate_at(group.lr or own.groups[1].lr, own.core:steps() + 1)
    decays[i] = group.weight_decay or own.groups[1].weight_decay
  end
  local moving = averages.ready(own.averages)
  local norm = fail.call(own.core.step, own.core, own.options, rates, decays, moving)
  if norm - norm ~= 0 then
    refused(own, norm)
    return norm
  end
  own.refused = 0
  if zero then own.core:zero() end
  return norm
end

--- Drops the accumulated gradients.
---@return diffusion.adamw self
function Adamw:zero()
  private[self].core:zero()
  return self
end

-- Windows on all moments, by name. The core's must be whole.
local function moments_of(own)
  local first, second = {}, {}
  for i = 1, own.core:slices() do
    local name = own.names[i]
    first[name], second[name] = select(2, own.core:moments(i))
  end
  return { first = first, second = second }
end

--- The state that a resumed training needs: {steps =, skipped =, lr =, first =, second =}. The
--- moments are windows on the optimiser's own, by name; with `shard` they are copies, and all ranks
--- call this. lr lists the groups' rates; false is a function, or the first group's rate.
---@return table
function Adamw:state()
  local own = private[self]
  fail.call(own.core.whole, own.core)
  local out = moments_of(own)
  fail.call(own.core.part, own.core)
  out.steps, out.skipped, out.lr = own.core:steps(), own.skipped, {}
  for i, group in ipairs(own.groups) do out.lr[i] = type(group.lr) == "number" and group.lr end
  return out
end

-- Iterates over names in order, with the value of each in a table.
local function named(names, list)
  local i = 0
  return function()
    i = i + 1
    return names[i], list[names[i]]
  end
end

-- Whether a state's rates are absent (nil), or a list of rates and false.
local function rates_are_fine(list)
  if list ~= nil and type(list) ~= "table" then return false end
  for _, lr in pairs(list or {}) do
    if lr and not opts.allows(lr, rate) then return false end
  end
  return true
end

-- Second moments are 0 or more. inf is a square beyond the range of a real.
local function moments_are_fine(first, second)
  first, second = first:detach():to(core.real), second:detach():to(core.real)
  return first:isfinite():all() and second:ge(0):all()
end

local function name_in(models, i, name) return #models > 1 and ("%d.%s"):format(i, name) or name end

-- The values of all parameters, by the optimiser's names of them.
local function values_of(models)
  local out = {}
  for i, m in ipairs(models) do
    local home = model.home(m)
    for j = 1, home:count() do out[name_in(models, i, home:name(j))] = home:value(j) end
  end
  return out
end

-- The reason why the moments don't fit an optimiser, or nil. They have the shapes of their parameters. This rank may
-- have a part of its own moments only.
local function trouble_of_moments(own, state)
  local values = values_of(own.models)
  for _, which in ipairs { "first", "second" } do
    local trouble = model.mismatch(named(own.names, values), state[which] or {})
    if trouble then return ("%s moments: %s"):format(which, (trouble:gsub("^state: ", ""))) end
  end
  for _, name in ipairs(own.names) do
    if not gradient.scope(moments_are_fine, state.first[name], state.second[name]) then
      return ("the moments of '%s' aren't finite, or a mean of squares is below 0"):format(name)
    end
  end
end

--- The reason why a state doesn't fit an optimiser, as a sentence, or nil.
---@param opt diffusion.adamw
---@param state table from state()
---@return string|nil
function optim.mismatch(opt, state)
  if type(state) ~= "table" then return "the optimiser's table is missing" end
  local counted = opts.allows(state.steps, count) and opts.allows(state.skipped or 0, count)
  if not counted then return "the optimiser's steps are missing" end
  if not rates_are_fine(state.lr) then return "its learning rates must be finite numbers of 0 or more" end
  return trouble_of_moments(private[opt], state)
end

--- Copies a state in. It must have the moments of every parameter of this optimiser, and nothing
--- else. Rates that are numbers are restored. Functions of this optimiser stay.
---@param state table from state()
---@return diffusion.adamw self
function Adamw:load_state(state)
  opts.table("load_state", 1, "what state() gives", state)
  local own = private[self]
  local trouble = optim.mismatch(self, state)
  if trouble then fail.raise("load_state: %s", trouble) end
  fail.call(own.core.whole, own.core)
  for which, moments in pairs(moments_of(own)) do
    for name, x in pairs(moments) do x:copy_(state[which][name]) end
  end
  fail.call(own.core.part, own.core)
  own.core:steps(state.steps)
  own.skipped = state.skipped or 0
  local rates = state.lr or {}
  for i, group in ipairs(own.groups) do
    local lr = rates[i]
    if type(group.lr) == "number" and type(lr) == "number" then group.lr = lr end
  end
  return self
end

-- The sums over ranks, if an optimiser has them. A trainer's own optimiser is none of ours.
local function sums_of(own) return own and own.holder and own.holder.core end

--- Tells the other ranks, with the next gradients, whether this one wishes to stop.
---@param opt diffusion.adamw
---@param stop boolean
function optim.wish(opt, stop)
  local sums = sums_of(private[opt])
  if sums then sums:wish(stop) end
end

--- Whether a rank wished to stop, as came with the last gradients. All ranks hear the same.
---@param opt diffusion.adamw
---@return boolean
function optim.agreed(opt)
  local sums = sums_of(private[opt])
  return sums and select(2, sums:facts()) or false
end

local function tostring_adamw(opt)
  local own = private[opt]
  return ("adamw of %d tensors, %d steps, lr %g"):format(own.core:slices(), own.core:steps(), opt.lr)
end

local class = object.class("adamw", Adamw, {
  get = { "skipped", lr = next_rate, steps = function(own) return own.core:steps() end,
          over = function(own) return own.holder and own.holder.ranks end,
          loss = function(own) return sums_of(own) and (sums_of(own):facts()) end },
  set = { lr = set_rate },
  __tostring = tostring_adamw,
})

-- ==== making one ==========================================================================

local learning_rate = opts.joined(rate_or_function, { as = "number|fun(step: integer): number",
  text = "learning rate, or a function of the step from 1" })
local weight_decay = opts.joined(rate, { text = "decoupled weight decay" })

local group_rules = opts.declare("adamw_group", {
  pattern = { "string", required = true, text = "Lua pattern of the parameters' names" },
  lr = opts.joined(learning_rate, { default_text = "the optimiser's" }),
  weight_decay = opts.joined(weight_decay, { default_text = "the optimiser's" }),
})

-- The first group whose pattern matches a name. 0 stands for the options themselves, if none does.
-- Matches of later groups are noted too.
local function group_of(name, groups, matched)
  local first = 0
  for i = 2, #groups do
    if fail.call(string.find, name, groups[i].pattern) then
      matched[i] = true
      if first == 0 then first = i - 1 end
    end
  end
  return first
end

-- A group without a parameter is a mistake: its parameters would train at the wrong rate.
local function check_matched(groups, matched, example)
  for i = 2, #groups do
    if not matched[i] then
      fail.raise("bad argument #2 to 'adamw' (option 'groups': the pattern '%s' of group %d matches no parameter; the "
        .. "first is '%s')", groups[i].pattern, i - 1, example)
    end
  end
end

local function list_of(value, is_one)
  if value == nil then return {} end
  return is_one(value) and { value } or value
end

-- The averages to update. Each must be of one of the models.
local function averages_of(given, models)
  local out, seen = list_of(given, averages.is_ema), {}
  if type(out) ~= "table" then
    fail.raise("adamw: ema must be an average or a list of them, got %s", kind.shown(out))
  end
  for i, ema in ipairs(out) do
    if not averages.is_ema(ema) then fail.raise("adamw: ema: entry %d is %s, not an ema", i, kind.shown(ema)) end
    local found = false
    for _, m in ipairs(models) do found = found or m == averages.model(ema) end
    if not found then fail.raise("adamw: the ema is of a model that this optimiser doesn't move") end
    if seen[ema] then fail.raise("adamw: ema: entry %d is there twice", i) end
    seen[ema] = true
  end
  return table.move(out, 1, #out, 1, {})
end

local adamw_rules = opts.declare("adamw", {
  lr = opts.joined(learning_rate, { default = 1e-3 }),
  betas = { "table", each = beta, entries = 2, default = { 0.9, 0.999 }, text = "decays of both moments, in [0, 1)" },
  epsilon = { "number", default = 1e-8, min = least_epsilon, text = "added to the root of the second moment" },
  weight_decay = opts.joined(weight_decay, { default = 0 }),
  clip = { "number", above = 0, text = "largest L2 norm of the whole gradient" },
  ema = { "any", as = "diffusion.ema|diffusion.ema[]", text = "averages that each step updates" },
  groups = { "table", default = {}, as = "diffusion.adamw_group_options[]",
    text = "options for parameters whose names match; the first matching group counts" },
  accumulate = { one_of = { "mean", "sum" }, default = "mean",
    text = "combines the gradients of the backward calls between two steps" },
  over = { "mpi", as = "diffusion.mpi", text = "sums gradients over the ranks of diffusion.mpi" },
  reproducible = { "boolean", default = true,
    text = "with `over`: one order of sums, and so the same bits on any number of ranks" },
  shard = { "boolean", default = false,
    text = "with `over`: each rank keeps and updates a part of the moments (ZeRO-1); no bit differs" },
  -- 4 MiB is at most 0.06 of efficiency from the best of 1, 4, 16 and 64 MiB, on links of 10 and 1 Gb/s with 0.1 and
  -- 1 ms (spec/bench/scale.lua). Small buckets wait for many messages, large ones for their last gradient.
  bucket = { "number", default = 4, above = 0, max = 4096,
    text = "with `over`: MiB of gradients that are sent at once" },
})

-- Names of the trainable parameters, and the group of every parameter, model after model.
local function survey(models, groups)
  local homes, group, names, matched, first = {}, {}, {}, {}, nil
  for i, m in ipairs(models) do
    if not model.has_parameters(m) then
      fail.raise("bad argument #1 to 'adamw' (model or list of models expected, got %s)", kind.of(m))
    end
    freezing.trains(m)
    local home = model.home(m)
    homes[i] = home
    for j = 1, home:count() do
      local name = name_in(models, i, home:name(j))
      group[#group + 1], first = group_of(name, groups, matched), first or name
      if home:trainable(j) then names[#names + 1] = name end
    end
  end
  check_matched(groups, matched, first or "none")
  return homes, group, names
end

local OVER <const> = { "reproducible", "shard", "bucket" }

local function check_over(options, o)
  for _, name in ipairs(o.over and {} or OVER) do
    if options and options[name] ~= nil then
      fail.raise("bad argument #2 to 'adamw' (option '%s' is for gradients of ranks; give over = mpi too)", name)
    end
  end
end

-- Parameter buffers of the networks that adapters among the models belong to.
local function beneath(models)
  local out = {}
  for _, m in ipairs(models) do out[#out + 1] = model.home_beneath(m) end
  return out
end

local function core_options(o)
  return { beta1 = o.betas[1], beta2 = o.betas[2], epsilon = o.epsilon, clip = o.clip, mean = o.accumulate == "mean" }
end

--- AdamW (Loshchilov & Hutter 2019, alg. 2) over the parameters that are trainable now. In a list of
--- models a parameter's name is "1.name".
---@param models diffusion.model|diffusion.model[]
---@param options diffusion.adamw_options?
---@return diffusion.adamw
---@usage local model = d.mlp{ hidden = 16, depth = 1 }
--- local opt = d.adamw(model, { lr = d.lr.warmup_cosine{ peak = 1e-3, warmup = 10, total = 100 }, clip = 1 })
--- d.record(function(x) return d.mse(model(x, 1), x) end, d.randn(8, 2)):backward()
--- print(opt:step())
function optim.adamw(models, options)
  local o = opts.check("adamw", options, adamw_rules, 2)
  check_over(options, o)
  models = list_of(models, model.has_parameters)
  if type(models) ~= "table" then
    fail.raise("bad argument #1 to 'adamw' (model or list of models expected, got %s)", kind.of(models))
  end
  local groups = { { lr = o.lr, weight_decay = o.weight_decay } }
  for i, group in ipairs(o.groups) do groups[i + 1] = opts.check("adamw", group, group_rules, 2) end
  local homes, group, names = survey(models, groups)
  local own = {
    core = fail.call(core.adamw, homes, group), groups = groups, names = names, options = core_options(o),
    averages = averages_of(o.ema, models), models = models, skipped = 0, refused = 0, warned = false,
  }
  if o.over then own.holder = training.join(o.over, homes, averages.own_values(own.averages), beneath(models), o)
  else training.hold(homes, nil) end
  if o.over and o.shard then fail.call(own.core.shard, own.core, o.over.link) end
  return object.new(class, own)
end

return optim

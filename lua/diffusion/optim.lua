--- Optimising: AdamW with clip, and the averages that move along, in one pass.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local averages = require "diffusion.ema"
local model = require "diffusion.nn.model"

local optim = {}

-- ---- adamw -----------------------------------------------------------------------------

-- What an optimiser doesn't show among its fields.
local optimisers = setmetatable({}, { __mode = "k" })

--- AdamW over what was trainable when it was made.
---@class diffusion.adamw
---@field lr number of the next step; can be set, to a number or a function of the step
---@field steps integer steps taken
---@field skipped integer steps not taken, since the gradient wasn't finite
local Adamw = {}
local adamw_meta = { __name = "diffusion.adamw", __methods = Adamw }

local function rate_at(lr, step)
  if type(lr) == "number" then return lr end
  local rate = lr(step)
  if type(rate) ~= "number" then
    opts.fail("adamw: the learning rate of step %d is a %s, not a number", step, opts.kind(rate))
  end
  return rate
end

function adamw_meta.__index(opt, key)
  local own = optimisers[opt]
  if key == "lr" then return rate_at(own.groups[1].lr, own.core:steps() + 1) end
  if key == "steps" then return own.core:steps() end
  if key == "skipped" then return own.skipped end
  return Adamw[key]
end

function adamw_meta.__newindex(opt, key, value)
  if key ~= "lr" or (type(value) ~= "number" and type(value) ~= "function") then
    opts.fail("adamw: only lr can be set, to a number or a function of the step")
  end
  optimisers[opt].groups[1].lr = value
end

local step_rules = { zero = { "boolean", default = true } }

--- One step: the gradient's mean over the backward calls since the last (accumulate =
--- "mean"), global-norm clip, AdamW, averages. A parameter that no gradient reached counts
--- with 0. Where the norm is not finite, nothing is changed, the gradient is dropped and
--- `skipped` counts one more: look at the result.
---@param options table? {zero = true: let go of the gradient after it}
---@return number norm L2, of the whole gradient before clipping
function Adamw:step(options)
  local own = optimisers[self]
  local zero = options == nil or opts.check("step", options, step_rules).zero
  local rates, decays = {}, {}
  for i, group in ipairs(own.groups) do
    rates[i] = rate_at(group.lr or own.groups[1].lr, own.core:steps() + 1)
    decays[i] = group.weight_decay or own.groups[1].weight_decay
  end
  local moving = averages.ready(own.averages)
  local norm = opts.relay(own.core.step, own.core, own.options, rates, decays, moving)
  local finite = norm - norm == 0
  if not finite then own.skipped = own.skipped + 1 end
  if zero or not finite then own.core:zero() end
  return norm
end

--- Drops the gradients that have gathered.
---@return diffusion.adamw self
function Adamw:zero()
  optimisers[self].core:zero()
  return self
end

--- What a resumed run needs: {steps =, skipped =, lr =, first =, second =}, the moments by
--- name as windows on the optimiser's own; lr a list of the groups', false where it is a
--- function or the first group's.
---@return table
function Adamw:state()
  local own = optimisers[self]
  local out = { steps = own.core:steps(), skipped = own.skipped, lr = {}, first = {}, second = {} }
  for i, group in ipairs(own.groups) do out.lr[i] = type(group.lr) == "number" and group.lr end
  for i = 1, own.core:slices() do
    local _, first, second = own.core:moments(i)
    out.first[own.names[i]], out.second[own.names[i]] = first, second
  end
  return out
end

-- Iterates over names, in order, and what a list has for each.
local function named(names, list)
  local i = 0
  return function()
    i = i + 1
    return names[i], list[names[i]]
  end
end

--- Copies a state in: the moments of every parameter it moves, and nothing else. Rates that
--- are numbers go on as they were; functions stay those that this optimiser was given.
---@param state table as of state()
---@return diffusion.adamw self
function Adamw:load_state(state)
  opts.a_table("load_state", 1, "what state() gives", state)
  local own, mine = optimisers[self], self:state()
  for _, which in ipairs { "first", "second" } do
    local trouble = model.mismatch(named(own.names, mine[which]), state[which] or {})
    if trouble then opts.fail("load_state: %s moments: %s", which, (trouble:gsub("^state: ", ""))) end
  end
  for _, which in ipairs { "first", "second" } do
    for name, x in pairs(mine[which]) do x:copy_(state[which][name]) end
  end
  own.core:steps(state.steps)
  own.skipped = state.skipped or 0
  local rates = type(state.lr) == "table" and state.lr or {}
  for i, group in ipairs(own.groups) do
    local lr = rates[i]
    if type(group.lr) == "number" and type(lr) == "number" then group.lr = lr end
  end
  return self
end

function adamw_meta.__tostring(opt)
  local own = optimisers[opt]
  return ("adamw of %d tensors, %d steps, lr %g"):format(own.core:slices(), own.core:steps(), opt.lr)
end

local group_rules = {
  pattern = { "string", required = true },
  lr = { "number|function", min = 0 },
  weight_decay = { "number", min = 0 },
}

-- The group of a name: the first whose pattern matches, else 0, the options themselves.
local function group_of(name, groups)
  for i = 2, #groups do
    if name:find(groups[i].pattern) then return i - 1 end
  end
  return 0
end

local function list_of(value, is_one)
  if value == nil then return {} end
  return is_one(value) and { value } or value
end

-- The averages to move; each must be of one of the models.
local function averages_of(given, models)
  local out, seen = list_of(given, averages.is_ema), {}
  if type(out) ~= "table" then opts.fail("adamw: ema must be an average or a list of them, got %s", opts.shown(out)) end
  for i, ema in ipairs(out) do
    if not averages.is_ema(ema) then opts.fail("adamw: ema: entry %d is %s, not an ema", i, opts.shown(ema)) end
    local found = false
    for _, m in ipairs(models) do found = found or m == averages.model(ema) end
    if not found then opts.fail("adamw: the ema is of a model that this optimiser doesn't move") end
    if seen[ema] then opts.fail("adamw: ema: entry %d is there twice", i) end
    seen[ema] = true
  end
  return table.move(out, 1, #out, 1, {})
end

local adamw_rules = {
  lr = { "number|function", default = 1e-3, min = 0 },
  betas = { "table", default = { 0.9, 0.999 } },
  tiny = { "number", default = 1e-8, above = 0 },
  weight_decay = { "number", default = 0, min = 0 },
  clip = { "number", above = 0 },
  ema = { "any" },
  groups = { "table", default = {} },
  accumulate = { one_of = { "mean", "sum" }, default = "mean" },
}

-- Names of what is trainable, and the group of every parameter, model after model.
local function survey(models, groups)
  local homes, group, names = {}, {}, {}
  for i, m in ipairs(models) do
    if not model.is_model(m) then
      opts.fail("bad argument #1 to 'adamw' (model or list of models expected, got %s)", opts.kind(m))
    end
    local home = model.home(m)
    homes[i] = home
    for j = 1, home:count() do
      local name = #models > 1 and ("%d.%s"):format(i, home:name(j)) or home:name(j)
      group[#group + 1] = group_of(name, groups)
      if home:trainable(j) then names[#names + 1] = name end
    end
  end
  return homes, group, names
end

local function core_options(o)
  local beta1, beta2 = o.betas[1], o.betas[2]
  for i = 1, 2 do
    local beta = o.betas[i]
    if type(beta) ~= "number" or beta < 0 or beta >= 1 then
      opts.fail("bad argument #2 to 'adamw' (option 'betas': two numbers in [0, 1) expected)")
    end
  end
  return { beta1 = beta1, beta2 = beta2, tiny = o.tiny, clip = o.clip, mean = o.accumulate == "mean" }
end

--- AdamW (Loshchilov & Hutter 2019, alg. 2) over what is trainable in the models now.
---@param models diffusion.model|diffusion.model[]
---@param options table? {lr = 1e-3 or function of the step (from 1), betas = {0.9, 0.999},
---  tiny = 1e-8 (epsilon), weight_decay = 0 (decoupled), clip = largest L2 norm of the whole
---  gradient, ema = an average or a list of them, accumulate = "mean" (of the backward calls
---  between two steps) or "sum", groups = list of {pattern =, lr =, weight_decay =} for the
---  parameters whose names match (the first that does; "1.name" in a list of models)}
---@return diffusion.adamw
---@usage local model = d.mlp{ hidden = 16, depth = 1 }
--- local opt = d.adamw(model, { lr = d.lr.warmup_cosine{ peak = 1e-3, warmup = 10, total = 100 }, clip = 1 })
--- d.record(function(x) return d.mse(model(x, 1), x) end, d.randn(8, 2)):backward()
--- print(opt:step())
function optim.adamw(models, options)
  local o = opts.check("adamw", options, adamw_rules, 2)
  models = list_of(models, model.is_model)
  if type(models) ~= "table" then
    opts.fail("bad argument #1 to 'adamw' (model or list of models expected, got %s)", opts.kind(models))
  end
  local groups = { { lr = o.lr, weight_decay = o.weight_decay } }
  for i, group in ipairs(o.groups) do groups[i + 1] = opts.check("adamw", group, group_rules, 2) end
  local homes, group, names = survey(models, groups)
  local opt = setmetatable({}, adamw_meta)
  optimisers[opt] = {
    core = opts.relay(core.adamw, homes, group), groups = groups, names = names, options = core_options(o),
    averages = averages_of(o.ema, models), models = models, skipped = 0,
  }
  return opt
end

return optim

-- Running averages of a model's values. An average is the network that samples.
local container = require "diffusion.file.container"
local core = require "diffusion.core"
local decays = require "diffusion.ema.decay"
local freezing = require "diffusion.nn.freezing"
local model = require "diffusion.nn.model"
local trained = require "diffusion.nn.trained"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"

--- A running average of a model's values. It is a denoiser like the model.
---@class diffusion.ema
---@field updates integer number of updates; can be set
local Ema = {}

local private = object.private -- {model, core, rate, decay, options, lent}

local function set_updates(own, value)
  if not (math.type(value) == "integer" and value >= 0) then
    fail.raise("ema: updates must be a whole number of 0 or more, got %s", kind.shown(value))
  end
  own.core:updates(value)
end

-- A to-be-closed value. Closing it gives the model its own values back.
local lending = {
  __close = function(own)
    own.core:swap()
    own.lent = false
  end,
}

--- The model's output with the average's values. They are exchanged around the call.
---@param xt diffusion.tensor {B, ...}
---@param t number|number[]|diffusion.tensor
---@param options diffusion.model_call_options?
---@return diffusion.tensor
local function call(ema, ...)
  local own = private[ema]
  if own.lent then return own.model(...) end
  own.core:swap()
  own.lent = true
  local back <close> = own -- luacheck: ignore 211
  return own.model(...)
end

--- The averages by name, as windows on them. load_state takes them, and so does the model's.
---@return table<string, any>
function Ema:state()
  local own, out, i = private[self], {}, 0
  for name in own.model:parameters() do
    i = i + 1
    out[name] = own.core:value(i)
  end
  return out
end

-- Iterates over names and numbers of the parameters, and whether each is adopted.
local function numbered(own)
  local home, i = model.home(own.model), 0
  return function()
    i = i + 1
    if i <= home:count() then return home:name(i), i, home:is_adopted(i) end
  end
end

-- The reason why a state doesn't fit an average, or nil. The average of an adopted value is the
-- value itself, which is other people's.
local function mismatch(ema, state)
  local own = private[ema]
  local trouble = model.mismatch(own.model:parameters(), state)
  if trouble then return trouble end
  for name, i, adopted in numbered(own) do
    local value = adopted and own.core:value(i)
    if value and not value:to(core.real):equal(state[name]:detach():to(core.real)) then
      return ("state: '%s' is adopted, so its average is its value; the state has another one"):format(name)
    end
  end
end

--- Copies averages in, by name. The number of updates is the field `updates`. If it is 0, the
--- next update copies the model. The state of an adopted parameter must be its value.
---@param state table<string, any>
---@return diffusion.ema self
function Ema:load_state(state)
  opts.table("load_state", 1, "a table of tensors by name", state)
  local trouble = mismatch(self, state)
  if trouble then fail.raise("load_state: %s", (trouble:gsub("^state: ", ""))) end
  local own = private[self]
  for name, i, adopted in numbered(own) do
    if not adopted then own.core:value(i):copy_(state[name]) end
  end
  return self
end

-- The core's average with the rate of the coming update. The first update copies the values.
local function ready(ema)
  local own = private[ema]
  local k = own.core:updates()
  own.core:rate(k == 0 and 0 or own.rate(k))
  return own.core
end

--- Updates the average from the model's values. An optimiser that was given the average calls it.
---@return diffusion.ema self
function Ema:update()
  ready(self):update()
  return self
end

--- The config of its model.
---@return table
function Ema:config() return private[self].model:config() end

--- Writes a power average to a file for d.posthoc_ema.
---@param path string
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function Ema:snapshot(path)
  local own = private[self]
  opts.path("snapshot", path)
  if own.decay ~= "power" then
    fail.raise("snapshot: averages are put together of those with decay = {\"power\"}; this one's is %s", own.decay)
  end
  if self.updates == 0 then fail.raise("snapshot: the average has not moved yet") end
  return container.write(path, "snapshot", self:state(),
    { updates = self.updates, sigma_rel = own.options.sigma_rel })
end

local function tostring_ema(ema)
  local own = private[ema]
  return ("ema of %s, decay %s, %d updates"):format(tostring(own.model):match "[^\n]*", own.decay,
    own.core:updates())
end

local class = object.class("ema", Ema, {
  get = { updates = function(own) return own.core:updates() end },
  set = { updates = set_updates },
  __call = call, __tostring = tostring_ema,
})

local rules = opts.declare("ema", {
  decay = { "number|table|function", default = 0.9995, min = 0, below = 1, choice = "decay",
    as = "number|table|fun(update: integer): number",
      text = "a number, {name, option = ...}, or a function of the update" },
  warmup = { "boolean", otherwise = true, text = "r is at most (1 + k)/(10 + k), for a decay that is a number" },
})

--- A running average of a model's values. It is a denoiser like the model. d.adamw takes one or a list,
--- and updates them at each step: average = r average + (1 - r) values. The first update copies the
--- values. After k updates, the option decay determines r.
---
--- A number gives min(decay, (1 + k) / (10 + k)), or with warmup = false the number itself.
---
--- {"warmup"} gives 1 - (1 + k/inv_gamma)^-power, at most max.
---
--- {"half_life", steps =} gives 0.5^(1 / min(steps, ramp k)) (Karras et al. 2022). Divide a half-life
--- in images by the batch size. ramp = math.huge turns the ramp off.
---
--- {"power"} gives (k / (k + 1))^(gamma + 1). A value's weight grows as a power of its time, and has
--- the relative width sigma_rel below 12^-1/2 (Karras et al. 2024, algorithm 2).
---
--- A function takes the number of the update, k + 1. d.help "half_life" shows the options of a kind.
---@param of diffusion.model
---@param options diffusion.ema_options?
---@return diffusion.ema
---@usage local model = d.mlp{ hidden = 16, depth = 1 }
--- local short, long = d.ema(model, { decay = { "half_life", steps = 500 } }), d.ema(model, { decay = { "power" } })
--- local opt = d.adamw(model, { ema = { short, long } })
--- d.record(function(x) return d.mse(model(x, 1), x) end, d.randn(8, 2)):backward()
--- opt:step()
--- print(short, long)
local function new(of, options)
  if not model.has_parameters(of) then
    fail.raise("bad argument #1 to 'ema' (model expected, got %s)", kind.of(of))
  end
  local o = opts.check("ema", options, rules, 2)
  freezing.trains(of)
  local rate, text, own = decays.resolve(o.decay, o.warmup)
  local ema = object.new(class, setmetatable({ model = of, decay = text, rate = rate, options = own, lent = false,
                                               core = core.ema(model.home(of)) }, lending))
  return trained.wrap(ema, of)
end

-- ==== for the optimiser ======================================================================

local function is_ema(value) return object.is(value, class) end

-- The core's averages, each with its rate for the coming step.
local function all_ready(list)
  local out = {}
  for i, ema in ipairs(list) do out[i] = ready(ema) end
  return out
end

-- The tensors that averages have of their own.
local function own_values(list)
  local out = {}
  for _, ema in ipairs(list) do
    local own = private[ema]
    for _, i, adopted in numbered(own) do
      if not adopted then out[#out + 1] = own.core:value(i) end
    end
  end
  return out
end

return {
  ema = new, is_ema = is_ema, ready = all_ready, mismatch = mismatch, own_values = own_values,
  model = function(ema) return private[ema].model end,
}

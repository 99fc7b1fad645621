--- Running averages of a model's values: the network that samples.
local container = require "diffusion.container"
local core = require "diffusion.core"
local decays = require "diffusion.ema.decay"
local model = require "diffusion.nn.model"
local trained = require "diffusion.nn.trained"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local lookup = require "diffusion.lookup"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"

-- What an average doesn't show among its fields: {model, core, rate, decay, options, lent}.
local averages = setmetatable({}, { __mode = "k" })

--- A running average of a model's values, and a denoiser as the model is.
---@class diffusion.ema
---@field updates integer how often it has moved; can be set
local Ema = {}
local ema_meta = { __name = "diffusion.ema", __methods = Ema }

function ema_meta.__index(ema, key)
  if key == "updates" then return averages[ema].core:updates() end
  return Ema[key]
end

function ema_meta.__newindex(ema, key, value)
  if key ~= "updates" then fail.raise("ema: no field '%s' to set", tostring(key)) end
  if not (math.type(value) == "integer" and value >= 0) then
    fail.raise("ema: updates must be a whole number of 0 or more, got %s", kind.shown(value))
  end
  averages[ema].core:updates(value)
end

-- Closing one gives the model its own values back.
local lending = {
  __close = function(own)
    own.core:swap()
    own.lent = false
  end,
}

--- The model as it is on the average: the values are exchanged around the call.
---@param xt diffusion.tensor {B, ...}
---@param t number|number[]|diffusion.tensor
---@param options? {class: integer|integer[]|diffusion.tensor}
---@return diffusion.tensor
function ema_meta.__call(ema, ...)
  local own = averages[ema]
  if own.lent then return own.model(...) end
  own.core:swap()
  own.lent = true
  local back <close> = own -- luacheck: ignore 211
  return own.model(...)
end

--- The averages by name, as windows on them: what load_state takes, the model's too.
---@return table<string, any>
function Ema:state()
  local own, out, i = averages[self], {}, 0
  for name in own.model:parameters() do
    i = i + 1
    out[name] = own.core:value(i)
  end
  return out
end

--- Copies averages in, by name. The number of updates is the field `updates`; after 0 of them the next copies
--- the model.
---@param state table<string, any>
---@return diffusion.ema self
function Ema:load_state(state)
  opts.table("load_state", 1, "a table of tensors by name", state)
  local own, mine = averages[self], self:state()
  local trouble = model.mismatch(own.model:parameters(), state)
  if trouble then fail.raise("load_state: %s", (trouble:gsub("^state: ", ""))) end
  for name, x in pairs(mine) do x:copy_(state[name]) end
  return self
end

-- The core's average, told what the coming update keeps: the first copies.
local function ready(ema)
  local own = averages[ema]
  local k = own.core:updates()
  own.core:rate(k == 0 and 0 or own.rate(k))
  return own.core
end

--- Moves the average towards the model's values now, for those who don't give it to an
--- optimiser.
---@return diffusion.ema self
function Ema:update()
  ready(self):update()
  return self
end

--- The config of the model whose average it is.
---@return table
function Ema:config() return averages[self].model:config() end

--- Writes a power average as it stands, for d.posthoc_ema.
---@param path string
---@return true|nil done nil with a message where the file can't be written
---@return string|nil message
function Ema:snapshot(path)
  local own = averages[self]
  opts.path("snapshot", path)
  if own.decay ~= "power" then
    fail.raise("snapshot: averages are put together of those with decay = {\"power\"}; this one's is %s", own.decay)
  end
  if self.updates == 0 then fail.raise("snapshot: the average has not moved yet") end
  return container.write(path, "snapshot", self:state(),
    { updates = self.updates, sigma_rel = own.options.sigma_rel })
end

object.methods("ema", Ema)
lookup.strict("ema", Ema, { "updates" })

function ema_meta.__tostring(ema)
  local own = averages[ema]
  return ("ema of %s, decay %s, %d updates"):format(tostring(own.model):match "[^\n]*", own.decay,
    own.core:updates())
end
legible.speaks(ema_meta)

local rules = { decay = { "number|table|function", default = 0.9995, min = 0, below = 1 }, warmup = { "boolean" } }

--- A running average of a model's values: a denoiser like the model. Give it, or a list of
--- several, to d.adamw, which updates it at each step: average = r average + (1 - r) values. The
--- first update copies the values; after k updates r is of these:
--- a number, with warmup = true (as it is if not given) min(decay, (1 + k) / (10 + k));
--- {"warmup", inv_gamma = 1, power = 2/3, max = 0.9999}: 1 - (1 + k/inv_gamma)^-power, up to max;
--- {"half_life", steps =, ramp = 0.05}: 0.5^(1 / min(steps, ramp k)) (Karras et al. 2022); a
--- half-life in images is that by the batch's size in steps, and ramp = math.huge none;
--- {"power", sigma_rel = 0.05}: (k / (k + 1))^(gamma + 1), by which the values' weights rise as a
--- power of their time, sigma_rel wide (Karras et al. 2024, algorithm 2), below 12^-1/2;
--- a function of the update's number, k + 1.
---@param of diffusion.model
---@param options table? {decay = 0.9995, in [0, 1), or as above, warmup = true}
---@return diffusion.ema
---@usage local model = d.mlp{ hidden = 16, depth = 1 }
--- local short, long = d.ema(model, { decay = { "half_life", steps = 500 } }), d.ema(model, { decay = { "power" } })
--- local opt = d.adamw(model, { ema = { short, long } })
--- d.record(function(x) return d.mse(model(x, 1), x) end, d.randn(8, 2)):backward()
--- opt:step()
--- print(short, long)
local function new(of, options)
  if not model.is_model(of) then
    fail.raise("bad argument #1 to 'ema' (model expected, got %s)", kind.of(of))
  end
  local o = opts.check("ema", options, rules, 2)
  local rate, text, own = decays.resolve(o.decay, o.warmup)
  local ema = setmetatable({}, ema_meta)
  trained.wrap(ema, of)
  averages[ema] = setmetatable({ model = of, decay = text, rate = rate, options = own, lent = false,
                                 core = core.ema(model.home(of)) }, lending)
  return ema
end

-- ==== for the optimiser ======================================================================

local function is_ema(value) return getmetatable(value) == ema_meta end

-- The core's averages, each told what the coming step keeps of it.
local function all_ready(list)
  local out = {}
  for i, ema in ipairs(list) do out[i] = ready(ema) end
  return out
end

return {
  ema = new, is_ema = is_ema, ready = all_ready,
  model = function(ema) return averages[ema].model end,
}

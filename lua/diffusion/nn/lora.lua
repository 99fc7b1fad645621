-- Low-rank adapters of a model (Hu et al. 2021). They have a parameter buffer of their own, so they
-- train, average and save like a model, while the network under them is frozen.
local core = require "diffusion.core"
local files = require "diffusion.nn.lora_file"
local fail = require "diffusion.fail"
local freezing = require "diffusion.nn.freezing"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local merge = require "diffusion.nn.merge"
local model = require "diffusion.nn.model"
local module = require "diffusion.nn.module"
local names = require "diffusion.nn.lora_names"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local places = require "diffusion.nn.places"
local rule = require "diffusion.rule"
local trained = require "diffusion.nn.trained"

local lora = {}

local function join(path, name) return path == "" and name or path .. "." .. name end

local private = object.private -- see `new`

--- Low-rank adapters on some layers of a model: y = W x + scale (alpha / rank) B A x. They are a
--- denoiser, which calls the model with the adapters. d.adamw, d.ema, d.checkpoint and d.trainer
--- take them as a model whose parameters are the adapters.
---@class diffusion.lora
---@field scale number factor of all adapters, 1 at first; can be set
---@field merged boolean whether the adapters are in the model's weights
---@field enabled boolean whether they act; enable and disable set it
local Lora = {}

-- ==== acting ============================================================================

-- The factor of B A.
local function factor(own, a) return own.scale * a.alpha / a.rank end

-- Tells the layers the factors of their adapters.
local function refresh(own)
  local active = own.enabled and not own.merged
  for _, a in ipairs(own.adapters) do
    a.factor = factor(own, a)
    core.adapter_set(a.layer, a.down, active and a.factor or 0, own.dropout)
  end
end

local function check_there(own, method)
  if own.removed then fail.raise("%s: these adapters were removed from their model", method) end
end

local function check_unmerged(own, method)
  check_there(own, method)
  if own.merged then
    fail.raise("%s: the adapters are merged into the model's weights; unmerge() takes them out first", method)
  end
end

local function set_scale(own, value)
  check_unmerged(own, "scale")
  own.scale = opts.held("lora: scale", value, { "number" })
  refresh(own)
end

local function set_enabled(self, method, on)
  local own = private[self]
  check_unmerged(own, method)
  own.enabled = on
  refresh(own)
  return self
end

--- Lets the adapters act again after disable.
---@return diffusion.lora self
function Lora:enable() return set_enabled(self, "enable", true) end

--- The model computes without the adapters, with the bits that it had before them. Their values stay.
---@return diffusion.lora self
function Lora:disable() return set_enabled(self, "disable", false) end

--- The model's output with the adapters.
---@param xt diffusion.tensor {B, ...}
---@param t number|number[]|diffusion.tensor
---@param options diffusion.model_call_options?
---@return diffusion.tensor
local function call(self, ...)
  local own = private[self]
  check_there(own, "lora")
  return own.base(...)
end

-- ==== merging ===========================================================================

--- Adds the adapters' products to the model's weights: the same function at the speed of the model
--- alone. Adopted weights, as those of a mapped file, are replaced by sums in f32, and the file is
--- not touched. The weights without adapters are kept for unmerge. A gradient no longer reaches the
--- adapters.
---@return diffusion.lora self
function Lora:merge()
  local own = private[self]
  check_unmerged(own, "merge")
  if not own.enabled then fail.raise "merge: the adapters are disabled; enable() lets them act" end
  merge.add(own)
  own.merged = true
  refresh(own)
  return self
end

--- Takes merged adapters out of the weights, which get back the bits that they had.
---@return diffusion.lora self
function Lora:unmerge()
  local own = private[self]
  check_there(own, "unmerge")
  if not own.merged then fail.raise "unmerge: the adapters aren't merged" end
  merge.take(own)
  own.merged = false
  refresh(own)
  return self
end

local function detach(self, own)
  for _, a in ipairs(own.adapters) do core.adapter_remove(a.layer, a.down) end
  own.removed = true
  local list = private[own.base].loras or {}
  for i, other in ipairs(list) do if other == self then table.remove(list, i) end end
end

--- Takes away adapters that were made in vain. The model trains again as it did before them.
---@param one diffusion.lora
function lora.undo(one)
  local own = private[one]
  detach(one, own)
  freezing.restore(own.base, own.before)
end

--- Removes the adapters from the model, which stays frozen. Merged ones stay in its weights for good.
---@return diffusion.model model without them
function Lora:remove()
  local own = private[self]
  check_there(own, "remove")
  if own.merged then merge.settle(own) end
  detach(self, own)
  return own.base
end

-- ==== as a model ========================================================================

-- A method of models, for objects with a parameter buffer.
local function shared(name) return object.unguarded(model.methods[name]) end

--- Iterates over names and values: "PATH.lora_A.weight" and "PATH.lora_B.weight" for each layer.
---@return function iterator
function Lora:parameters() return shared "parameters"(self) end

--- The number of elements of the adapters.
---@return integer total
---@return integer trainable
function Lora:count() return shared "count"(self) end

--- The adapters' values by name, as windows on them.
---@return table<string, any>
function Lora:state() return shared "state"(self) end

--- Copies values in, by name. The state must have all of the adapters' values, of the same shapes, and
--- nothing else.
---@param state table<string, any>
---@return diffusion.lora self
function Lora:load_state(state)
  check_unmerged(private[self], "load_state")
  return shared "load_state"(self, state)
end

--- Freezes the adapters whose names match.
---@param pattern string|string[]|nil a Lua pattern, or a list of them; all if nil
---@return diffusion.lora self
function Lora:freeze(pattern) return shared "freeze"(self, pattern) end

--- Undoes freeze.
---@param pattern string|string[]|nil a Lua pattern, or a list of them; all if nil
---@return diffusion.lora self
function Lora:unfreeze(pattern) return shared "unfreeze"(self, pattern) end

--- Turns dropout off, in the model and in the adapters.
---@return diffusion.lora self
function Lora:eval()
  private[self].base:eval()
  return self
end

--- Turns dropout on again, inside d.record.
---@return diffusion.lora self
function Lora:train()
  private[self].base:train()
  return self
end

--- The config of the model.
---@return table
function Lora:config() return private[self].base:config() end

-- ==== files =============================================================================

local save_rules = opts.declare("lora_save", {
  prefix = { "string", default_text = "by the network", text = "the network's part of a pipeline: unet, text_encoder" },
  form = { one_of = { "diffusers", "kohya" }, default = "diffusers",
    text = "names in the file: those of diffusers and peft, or of kohya's scripts" },
  weights = { "lora|ema", default_text = "the adapters'", text = "an average whose values are saved" },
})

-- The values of adapters, or of an average of them.
local function values_of(self, weights)
  local state = (weights or self):state()
  local trouble = weights and model.mismatch(self:parameters(), state)
  if trouble then fail.raise("save: weights are of other adapters: %s", (trouble:gsub("^state: ", ""))) end
  return state
end

-- The adapters as a file has them, with the values of an average if one is given.
local function as_part(self, prefix, weights)
  local own, state, list = private[self], values_of(self, weights), {}
  for i, a in ipairs(own.adapters) do
    list[i] = { name = names.theirs(own.base, a.path), flat = names.flat(own.base, a.path), rank = a.rank,
      alpha = a.alpha, down = names.turned(own.base, a.path, state[join(a.path, "lora_A.weight")]:detach()),
      up = state[join(a.path, "lora_B.weight")] }
  end
  return { prefix = prefix, list = list, dropout = own.dropout }
end

local KOHYA = { unet = "lora_unet", transformer = "lora_unet", text_encoder = "lora_te" }

--- Writes the adapters as diffusers does, or as kohya's scripts do, under their names of the layers if the
--- network has such. The factor `scale` is not saved.
---@param path string a file, or a folder, which gets pytorch_lora_weights.safetensors
---@param options diffusion.lora_save_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function Lora:save(path, options)
  local o = opts.check("save", options, save_rules, 2)
  local prefix = o.prefix or names.part(private[self].base)
  if o.form == "kohya" then prefix = o.prefix or KOHYA[prefix] or "lora_" .. prefix end
  return files.write(opts.path("save", path), o.form, { as_part(self, prefix, o.weights) })
end

--- Writes adapters of several networks as one file.
---@param path string
---@param form "diffusers"|"kohya"
---@param list table[] {prefix, a lora, an average or nil}
---@return true|nil done nil with a message
---@return string|nil message
function lora.write(path, form, list)
  local parts = {}
  for i, one in ipairs(list) do parts[i] = as_part(one[2], one[1], one[3]) end
  return files.write(path, form, parts)
end

--- Whether adapters were removed from their model.
---@param one diffusion.lora
---@return boolean
function lora.is_removed(one) return private[one].removed end

-- The adapter's tensors as the values of its parameters, into `state`.
local function put(state, m, path, layer, a)
  for name, x in pairs { lora_A = names.turned(m, path, a.down, true), lora_B = a.up } do
    local dims = layer.weight:dim()
    if dims == 4 and x:dim() == 2 then x = x:reshape(x:size(1), 1, 1, x:size(2))
    elseif dims == 2 and x:dim() == 4 and x:numel() == x:size(1) * x:size(4) then x = x:reshape(x:size(1), -1) end
    state[join(path, name .. ".weight")] = x
  end
end

-- The adapters of a file by the paths of their places.
local function placed(m, list)
  local found, lost = names.places(m, list), {}
  local by_path = {}
  for i, a in ipairs(list) do
    local path = found[i] and found[i].path
    local other = path and by_path[path]
    if other then return nil, ("its adapters '%s' and '%s' are for one layer"):format(other.name, a.name) end
    if path then by_path[path] = a else lost[#lost + 1] = a.name end
  end
  if #lost > 0 then
    return nil, ("%d of its %d adapters fit no layer of this network; the first is for '%s'"):format(#lost, #list,
      lost[1])
  end
  return by_path
end

local function read_for(m, path, part)
  local list, why = files.read(opts.path("load", path), part or names.part(m))
  if not list then return nil, why end
  local by_path, message = placed(m, list)
  if not by_path then return legible.refused("%s: %s", path, message) end
  return by_path
end

--- Reads values from a file into these adapters. It must have the same layers and ranks;
--- nn.lora(model, { load = path }) makes adapters as they are in a file.
---@param path string as for save
---@return diffusion.lora|nil self nil with a message, and nothing changed, if they don't fit
---@return string|nil message
function Lora:load(path)
  local own = private[self]
  check_unmerged(own, "load")
  local by_path, why = read_for(own.base, path)
  if not by_path then return nil, why end
  local state = {}
  for _, a in ipairs(own.adapters) do
    if by_path[a.path] then put(state, own.base, a.path, a.layer, by_path[a.path]) end
  end
  local count = 0
  for _ in pairs(by_path) do count = count + 1 end
  local trouble = model.mismatch(self:parameters(), state)
    or count > #own.adapters and ("it has adapters of %d layers, but there are %d here"):format(count, #own.adapters)
  if trouble then return legible.refused("%s: %s", path, (trouble:gsub("^state: ", ""))) end
  self:load_state(state)
  for _, a in ipairs(own.adapters) do a.alpha = by_path[a.path].alpha end
  refresh(own)
  return self
end

-- ==== its description ===================================================================

local function tostring_lora(self)
  local own = private[self]
  local state = own.removed and ", removed" or own.merged and ", merged" or not own.enabled and ", disabled" or ""
  local lines = { ("lora of %s: %s parameters on %d layers%s"):format(tostring(own.base):match "[^\n:]*",
    module.grouped(own.home:elements()), #own.adapters, state) }
  for _, a in ipairs(own.adapters) do
    lines[#lines + 1] = ("  %s: rank %d, alpha %g"):format(a.path, a.rank, a.alpha)
  end
  return table.concat(lines, "\n")
end

local class = object.class("lora", Lora, {
  get = { "scale", "merged", "enabled" }, set = { scale = set_scale },
  __call = call, __tostring = tostring_lora,
})
model.adapters(class)

-- ==== making one ========================================================================

local MOST = 1 << 20 -- keeps every product of two sizes within 63 bits

local new_rules = {
  rank = { "integer|function", min = 1, max = MOST, default = 4, as = "integer|fun(path: string): integer",
    text = "inner width of each adapter, or a function of the layer's path" },
  alpha = { "number|function", above = 0, default_text = "the rank", as = "number|fun(path: string): number",
    text = "B A is multiplied by alpha / rank; a number, or a function of the layer's path" },
  on = { "string|table", as = "string|string[]", default_text = "all",
    text = "Lua pattern of the paths of linear layers and convolutions, here or in diffusers, or a list of them" },
  dropout = { "number", default = 0, min = 0, below = 1,
    text = "probability that an element of x is set to 0 before A, in training" },
  init = { one_of = { "usual", "gaussian" }, default = "usual",
    text = 'first values of A: "usual" as those of its layer, "gaussian" of standard deviation 1 / rank; B is 0' },
  seed = rule.seed,
}

lora.rules = new_rules ---the options of new adapters

local rules = opts.declare("nn_lora", opts.joined(new_rules, {
  load = { "path", text = "file of adapters, or a folder with pytorch_lora_weights.safetensors" },
  part = { "string", default_text = "by the network",
    text = "part of a pipeline of which `load` takes the adapters: unet, text_encoder, text_encoder_2" },
}))

-- Whether a layer's path, ours or theirs, matches one of the patterns, which are noted.
local function matches(path, theirs, patterns, used)
  local found = not patterns
  for i, pattern in ipairs(patterns or {}) do
    if path:find(pattern) or theirs:find(pattern) then found, used[i] = true, true end
  end
  return found
end

local function check_patterns(on)
  local patterns = type(on) == "string" and { on } or on
  for i, pattern in ipairs(patterns or {}) do
    if not (type(pattern) == "string" and fail.pcall(string.find, "", pattern)) then
      fail.raise("bad argument #2 to 'lora' (option 'on': entry %d: a pattern of Lua's expected, got %s)", i,
        kind.shown(pattern))
    end
  end
  return patterns
end

-- The places whose paths match. A pattern without one is a mistake.
local function chosen(m, on)
  local patterns, used, out, all = check_patterns(on), {}, {}, places.of(m)
  for _, place in ipairs(all) do
    if matches(place.path, names.theirs(m, place.path), patterns, used) then out[#out + 1] = place end
  end
  if #all == 0 then fail.raise "lora: the model has no linear layer and no convolution" end
  for i, pattern in ipairs(patterns or {}) do
    if not used[i] then
      fail.raise("lora: no linear layer or convolution matches '%s'; the first is '%s'", pattern, all[1].path)
    end
  end
  return out
end

-- An option that is a number, or a function of the path.
local function number_at(name, given, path, one)
  if type(given) ~= "function" then return given end
  return opts.held(("lora: %s of '%s'"):format(name, path), given(path), one)
end

local rank_rule = { "integer", min = 1, max = MOST }
local alpha_rule = { "number", above = 0 }

-- The adapters of places: {path, layer, part, down, up, rank, alpha, index = number of the weight}.
local function adapters_of(m, list, o)
  local home, index, out = model.home(m), {}, {}
  for i = 1, home:count() do index[home:name(i)] = i end
  for i, place in ipairs(list) do
    local rank = number_at("rank", o.rank, place.path, rank_rule)
    local normal = o.init == "gaussian" and 1 / rank or 0
    local down, up = fail.call(core.adapter, place.layer, rank, place.parts, normal)
    out[i] = { path = place.path, layer = place.layer, part = place.part, down = down, up = up, rank = rank,
      alpha = number_at("alpha", o.alpha, place.path, alpha_rule) or rank, index = index[place.weight] }
  end
  return out
end

-- Their parameter buffer, with the values of `state` or drawn.
local function home_of(adapters, seed, state)
  local layers = {}
  for _, a in ipairs(adapters) do
    layers[#layers + 1] = { join(a.path, "lora_A"), a.down }
    layers[#layers + 1] = { join(a.path, "lora_B"), a.up }
  end
  local home = fail.call(core.home, layers)
  for i = 1, state and home:count() or 0 do fail.call(home.give, home, i, state[home:name(i)]) end
  fail.call(home.start, home, seed)
  return home
end

local function check_model(m)
  if model.is_model(m) then return end
  fail.raise("bad argument #1 to 'lora' (model expected, got %s%s)", kind.shown(m),
    kind.of(m) == "lora" and "; nn.lora takes the model again for more adapters" or "")
end

-- With a file, its layers, ranks and values are given.
local function check_file_options(given, o)
  for _, name in ipairs { "rank", "alpha", "on", "init", "seed" } do
    if given[name] ~= nil then
      fail.raise("bad argument #2 to 'lora' (option '%s': the file in 'load' determines it)", name)
    end
  end
  return o
end

-- Adds the adapters to their layers, and notes them in their model.
local function attach(self, own)
  for _, a in ipairs(own.adapters) do core.adapter_add(a.layer, a.down, a.up, a.part) end
  local list = private[own.base].loras or {}
  list[#list + 1], private[own.base].loras = self, list
  trained.wrap(self, own.base)
  own.before = freezing.kept(own.base)
  own.base:freeze()
  refresh(own)
end

-- If memory ends, the model has none of them.
local function new(of, adapters, home, o)
  local own = { base = of, home = home, classes = private[of].classes, adapters = adapters, scale = 1, merged = false,
    enabled = true, removed = false, dropout = o.dropout, weights = model.home(of) }
  local self = object.new(class, own)
  local fine, why = pcall(attach, self, own)
  if fine then return self end
  detach(self, own)
  error(why, 0)
end

-- Adapters as a file has them. An error in it is the file's, not the user's.
local function from_file(of, path, o)
  local by_path, why = read_for(of, path, o.part)
  if not by_path then return nil, why end
  local list, state = {}, {}
  for _, place in ipairs(places.of(of)) do
    local a = by_path[place.path]
    if a then
      list[#list + 1] = place
      put(state, of, place.path, place.layer, a)
    end
  end
  local adapters = adapters_of(of, list, { rank = function(at) return by_path[at].rank end })
  for _, a in ipairs(adapters) do a.alpha = by_path[a.path].alpha end
  local home, message = fail.try(home_of, adapters, nil, state)
  if not home then return legible.refused("%s: %s", path, (message:gsub("^model: ", ""))) end
  return new(of, adapters, home, o)
end

--- Low-rank adapters (Hu et al. 2021, eq. 3) on a model's linear layers and convolutions: a layer's
--- result becomes W x + (alpha / rank) B A x. A is drawn and B begins at 0, so the model's output is
--- unchanged at first. The model is frozen, and only the adapters train. Attention that has one
--- weight for q, k and v gets adapters for each: "mid.attention.attention.q". Those of a k x k
--- convolution are a k x k convolution to `rank` channels and a 1 x 1 convolution. The model may be
--- of any origin, and weights of a mapped file stay there. A model can have several. With `load`, the
--- layers, ranks and values are those of a file, of diffusers, peft, kohya's scripts or Lora:save.
---@param of diffusion.model
---@param options diffusion.nn_lora_options?
---@return diffusion.lora|nil lora nil with a message if the file in `load` doesn't fit
---@return string|nil message
---@usage local model = d.unet{ image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 } }
--- local lora = d.nn.lora(model, { rank = 2, on = { "attention%.[qkv]$", "attention%.out$" } })
--- local opt = d.adamw(lora, { lr = 1e-3 })
--- print(lora)
function lora.lora(of, options)
  check_model(of)
  local o = opts.check("lora", options, rules, 2)
  if o.load then return from_file(of, o.load, check_file_options(options, o)) end
  local adapters = adapters_of(of, chosen(of, o.on), o)
  return new(of, adapters, home_of(adapters, o.seed), o)
end

return lora

-- Models: networks whose parameters are stored in one parameter buffer, by name. A model is a denoiser,
-- called as model(xt, t, {class=}). A network for another use is called as its forward requires.
local core = require "diffusion.core"
local classes = require "diffusion.classes"
local container = require "diffusion.file.container"
local fail = require "diffusion.fail"
local freezing = require "diffusion.nn.freezing"
local kind = require "diffusion.kind"
local lookup = require "diffusion.lookup"
local legible = require "diffusion.legible"
local module = require "diffusion.nn.module"
local object = require "diffusion.object"
local trained = require "diffusion.nn.trained"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"
local warning = require "diffusion.warning"

local model = {}

local private = object.private -- {root, layers, config}, and `home`, the parameter buffer

--- A network with values, made by d.mlp and similar functions, d.network, nn.model or d.load_model.
--- It is a denoiser. The fields of the network can be read as its own.
---@class diffusion.model
local Model = {}

local models -- the class, made when its methods are complete
local adapters -- the class of a model's adapters

--- Adds the class of adapters. They are called, trained, averaged and saved as models are.
---@param class table
function model.adapters(class) adapters = class end

--- Whether a value is a model.
---@param value any
---@return boolean
function model.is_model(value) return object.is(value, models) end

--- Whether a value has parameters that train: a model, or the adapters of one.
---@param value any
---@return boolean
function model.has_parameters(value)
  return object.is(value, models) or adapters ~= nil and object.is(value, adapters)
end

--- Whether each sample of a batch goes through a model by itself, as in the networks that come with the library.
---@param value any
---@return boolean
function model.is_by_samples(value) return model.is_model(value) and private[value].by_samples == true end

--- Raises for adapters, and averages of them, where a network's weights are expected. Warns if the
--- network has adapters that are not in its weights.
---@param where string the caller, for messages
---@param value any a model, adapters, or an average of either
function model.whole(where, value)
  local m = kind.of(value) == "ema" and private[value].model or value
  if adapters and object.is(m, adapters) then
    fail.raise("%s: %s of adapters, not of a network; lora:save(path) writes adapters, and lora:merge() adds them to "
      .. "their model's weights", where, kind.of(value) == "ema" and "an average" or "the values")
  end
  for _, lora in ipairs(private[m].loras or {}) do
    if not private[lora].merged then
      warning.once(m, "adapters", "%s: the network has adapters that aren't merged, so they are not saved with it; "
        .. "lora:merge() adds them to its weights, and lora:save(path) writes them", where)
    end
  end
end

--- A model's parameter buffer, an object of the core.
---@param m table
---@return any
function model.home(m) return private[m].home end

--- The parameter buffer of the network that adapters belong to, or nil.
---@param m diffusion.model|diffusion.lora
---@return table|nil
function model.home_beneath(m) return private[m].weights end

--- The number of classes of a network, or of an average of one. nil if it isn't known.
---@param m any
---@return integer|nil
function model.classes(m)
  if kind.of(m) == "ema" then m = private[m].model end
  return model.has_parameters(m) and private[m].classes or nil
end

--- Whether a network, or an average of one, can be conditioned on classes. A network composed in Lua
--- is assumed to be.
---@param m any
---@return boolean
function model.takes_class(m) return model.classes(m) ~= 0 end

-- ==== the call ==========================================================================

-- A list of numbers as a tensor; other values stay.
local function as_tensor(x)
  return type(x) == "table" and not getmetatable(x) and fail.call(core.tensor, x) or x
end

-- Numbers given as one, a list or a tensor, as a tensor [B]. Levels are such numbers.
local function numbers(what, t, B)
  if type(t) == "number" and t - t ~= 0 then fail.raise("model: %s is %g", what, t) end
  if type(t) == "number" then return core.full({ B }, t) end
  t = as_tensor(t)
  if not core.is_tensor(t) then
    fail.raise("model: %s must be a number, a list or a tensor, got %s", what, kind.of(t))
  end
  if t:dim() == 0 then t = t:expand(B) end
  if t:dim() ~= 1 or t:size(1) ~= B then
    fail.raise("model: %s has the shape %s, but x has %d samples", what, kind.shape_text(t), B)
  end
  if not t:isfinite():all() then fail.raise("model: %s holds %s", what, t:ne(t):any() and "a nan" or "an inf") end
  return t
end

local function rows_of_class(class)
  class = as_tensor(class)
  if core.is_tensor(class) then return class end
  fail.raise("model: class is a row of numbers for each sample, a tensor {B, width}, got %s", kind.shown(class))
end

-- Classes as a network takes them: labels, numbers, or embeddings of its own width.
local function class_of(own, class, B)
  if class == nil then return nil end
  if own.class_form == "vector" then return rows_of_class(class) end
  if own.class_form == "number" then return numbers("class", class, B) end
  return classes.of("model", class, B)
end

-- The classes that a network gets. An unconditional network may be given classes that are all 0.
local function usable_class(own, class)
  if not class or own.classes ~= 0 then return class end
  if class:eq(0):all() then return nil end
  if own.config.classes == nil then fail.raise "model: a class is given, but this network was made without classes" end
  return class
end

-- The x0 predicted before, with xt's shape, for a network with self_condition.
local function checked_x0(own, x0, x)
  if x0 == nil then return nil end
  opts.floats("model", "x0", x0)
  if not own.rules.x0 then
    fail.raise("model: x0 is given, as self_condition of d.objective and d.sample does, but this network was made "
      .. "without self_condition = true")
  end
  if kind.shape_text(x0) ~= kind.shape_text(x) then
    fail.raise("model: x0 is %s, but xt is %s", kind.shape_text(x0), kind.shape_text(x))
  end
  return x0
end

local call_rules = opts.declare("model_call", { class = classes.rule,
  x0 = { "tensor", default_text = "zeros", text = "its last predicted x0, for a network with self_condition" } })

-- The rules of the third argument: the names of a network's further inputs.
local function input_rules(inputs)
  local rules = {}
  for _, one in ipairs(inputs) do rules[one[1]] = call_rules.x0 end
  rules.class = rules.class and classes.rule
  return rules
end

-- The number of samples of xt. One sample instead of a batch is an error, if the network's config
-- has the dimensions of a sample.
local function samples_of(own, x)
  local dims, dim = x:dim(), own.config.dim
  if dims == own.sample_dims and (not dim or x:size(1) == dim) then
    fail.raise("model: xt is %s, without a batch dimension; x:unsqueeze(1) makes a batch of one",
      kind.shape_text(x))
  end
  return dims > 0 and x:size(1) or 1
end

-- A single layer of the core has the inputs of a denoiser.
local layer_inputs = { { "x" }, { "t" }, { "class" }, { "x0" } }

-- The named inputs after x and t, in the network's order. class and x0 are checked further.
local function further_inputs(own, options, x, first)
  local o = options and opts.check("model", options, own.checked_rules, first) or {}
  local list = {}
  for i = first, #own.inputs do
    local name = own.inputs[i][1]
    if name == "class" then list[i - first + 1] = usable_class(own, class_of(own, o.class, x:size(1)))
    else list[i - first + 1] = o[name] end
  end
  checked_x0(own, o.x0, x)
  return list, #own.inputs - first + 1
end

local function call_network(own, x, t, options)
  if not own.timed then
    local list, n = further_inputs(own, t, x, 2)
    return fail.call(own.root, x, table.unpack(list, 1, n))
  end
  if options == nil and own.optional then return fail.call(own.root, x, t) end
  local list, n = further_inputs(own, options, x, 3)
  return fail.call(own.root, x, t, table.unpack(list, 1, n))
end

local function call_layer(own, x, t, options)
  local o = options and opts.check("model", options, own.checked_rules, 3) or {}
  local class = classes.of("model", o.class, x:dim() > 0 and x:size(1) or 1)
  local x0 = checked_x0(own, o.x0, x)
  if x0 ~= nil then return fail.call(own.root, x, t, class, x0) end
  if class ~= nil then return fail.call(own.root, x, t, class) end
  if t ~= nil then return fail.call(own.root, x, t) end
  return fail.call(own.root, x)
end

local function call_module(own, x, t, options, ...)
  if type(options) == "table" and options.class ~= nil then
    local copy = {}
    for k, v in pairs(options) do copy[k] = v end
    copy.class = classes.of("model", options.class, x:dim() > 0 and x:size(1) or 1)
    options = copy
  end
  return own.root(x, t, options, ...)
end

--- The network's prediction for xt at level t. A network for another use is called as its forward
--- requires.
---@param xt diffusion.tensor {B, ...}
---@param t number|number[]|diffusion.tensor one level, or one a sample {B}
---@param options diffusion.model_call_options? and the named inputs of a network of d.network
---@return diffusion.tensor as xt: the target that its process's `predict` names
local function call(m, x, t, options, ...)
  local own = private[m]
  if not core.is_tensor(x) then
    if module.is_module(own.root) then return own.root(x, t, options, ...) end
    fail.raise("model: xt must be a tensor, got %s; its arguments are (xt, t, {class=})", kind.of(x))
  end
  local B = samples_of(own, x)
  if t == nil and own.timed then fail.raise "model: t is missing; its arguments are (xt, t, {class=})" end
  local as_it_is = t == nil or own.timed == false or own.single and core.is_tensor(t)
  if not as_it_is then
    t = numbers("t", t, B)
    trained.check_level(m, t)
  end
  return own.call(own, x, t, options, ...)
end

-- ==== parameters ========================================================================

--- Iterates over names and parameters in order: `for name, p in model:parameters() do`.
--- A parameter is a tensor; its gradient is p.grad.
---@return function iterator
function Model:parameters()
  local home, i = private[self].home, 0
  return function()
    i = i + 1
    if i > home:count() then return nil end
    return home:name(i), home:value(i)
  end
end

--- The number of elements of the parameters.
---@return integer total
---@return integer trainable
function Model:count()
  local total, trainable = private[self].home:elements()
  return total, trainable + freezing.later(self)
end

--- The parameters by name, as windows on the model's values.
---@return table<string, any>
function Model:state()
  local out = {}
  for name, p in self:parameters() do out[name] = p end
  return out
end

--- Iterates over the names and tensors of a state, in order.
---@param state table<string, any>
---@return function iterator
function model.each(state)
  local name
  return function()
    local x
    name, x = next(state, name)
    return name, x
  end
end

local function shape_text(p)
  return core.is_tensor(p) and kind.shape_text(p) or "[" .. table.concat(p, ",") .. "]"
end

--- The reason why a state doesn't fit a set of parameters, as a sentence, or nil.
---@param parameters function iterator of name, tensor or shape
---@param state table<string, any>
---@return string|nil
function model.mismatch(parameters, state)
  local known, names = {}, {}
  for name, p in parameters do
    known[name], names[#names + 1] = true, name
    local x = state[name]
    if not core.is_tensor(x) then return ("state: '%s' %s is missing"):format(name, shape_text(p)) end
    if kind.shape_text(x) ~= shape_text(p) then
      return ("state: '%s' is %s, but the model's is %s"):format(name, kind.shape_text(x), shape_text(p))
    end
  end
  for name in pairs(state) do
    if not known[name] then
      local near = opts.nearest(tostring(name), names)
      return ("state: the model has no parameter '%s'%s"):format(tostring(name),
        near and ("; '%s' is the nearest"):format(near) or "")
    end
  end
end

-- Weights in blocks are only read. They become numbers, and stay frozen.
local function make_writable(m)
  local home, list = private[m].home, {}
  for i = 1, home:count() do
    if core.is_stored(home:value(i)) then list[#list + 1] = i end
  end
  fail.call(home.set_trainable, home, list, true)
  fail.call(home.set_trainable, home, list, false)
end

-- A state with numbers of this type for weights in blocks.
local function numbered(state, dtype)
  local out = {}
  for name, x in pairs(state) do out[name] = core.is_stored(x) and x:to(dtype) or x end
  return out
end

--- Copies values in, by name. The state must have every parameter, of the same shape, and nothing
--- else.
---@param state table<string, any>
---@return diffusion.model self
function Model:load_state(state)
  opts.table("load_state", 1, "a table of tensors by name", state)
  local trouble = model.mismatch(self:parameters(), state)
  if trouble then fail.raise("load_state: %s", (trouble:gsub("^state: ", ""))) end
  make_writable(self)
  state = numbered(state, core.real)
  for name, p in self:parameters() do p:copy_(state[name]:detach()) end
  return self
end

-- ==== files =============================================================================

--- The values and the config that a file holds of a network. A family may have more than its
--- parameters, as tokens that were added to a text encoder.
---@param m any a model, or an average of one
---@param weights any an average, or nil
---@return table<string, any> state
---@return table config
function model.stored(m, weights)
  local base = kind.of(m) == "ema" and private[m].model or m
  local state, config = (weights or m):state(), base:config()
  local stored = private[base].stored
  if stored then return stored(base, state, config) end
  return state, config
end

local save_rules = opts.declare("model_save", {
  process = opts.joined(rule.process, { required = false, text = "the process that is saved with it" }),
  weights = { "model|ema", default_text = "the model's", text = "an average whose values are saved" },
})

--- Writes the model as one file: its values (or an average's), its config, the target that an
--- objective trained it for, and the process. A process of another target is an error. Weights in blocks
--- become f16.
---@param path string
---@param options diffusion.model_save_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function Model:save(path, options)
  local o = opts.check("save", options, save_rules, 2)
  model.whole("save", o.weights or self)
  local described = { trained = trained.of(self) }
  if o.process then
    trained.check_target("save", self, o.process)
    described.process = o.process:config()
  end
  local state
  state, described.model = model.stored(self, o.weights)
  return container.write(path, "model", numbered(state, "f16"), described)
end

local load_rules = opts.declare("model_load", { copy = rule.copy })

--- Reads the values of a model file into this model. As for d.load_model, the file must not be
--- truncated meanwhile, unless copy = true.
---@param path string
---@param options diffusion.model_load_options?
---@return diffusion.model|nil self nil with a message, and nothing changed, if they don't fit
---@return string|nil message
function Model:load(path, options)
  local o = opts.check("load", options, load_rules, 2)
  local tensors, described = container.read(path, "model", o)
  if not tensors then return nil, described end
  local trouble = model.mismatch(self:parameters(), tensors) or trained.set(self, described.trained)
  if trouble then return legible.refused("%s: %s", path, trouble) end
  return self:load_state(tensors)
end

-- ==== freezing ==========================================================================

--- Freezes the parameters whose names match. They get no gradient, no moments and no step. The model's
--- accumulated gradients are dropped.
---@param pattern string|string[]|nil a Lua pattern, or a list of them; all if nil
---@return diffusion.model self
function Model:freeze(pattern) return freezing.set(self, "freeze", pattern, false) end

--- Undoes freeze. Adopted parameters are copied to f32 first.
---@param pattern string|string[]|nil a Lua pattern, or a list of them; all if nil
---@return diffusion.model self
function Model:unfreeze(pattern) return freezing.set(self, "unfreeze", pattern, true) end

-- ==== dropout ===========================================================================

local function set_eval(m, on)
  for _, named in ipairs(private[m].layers) do core.layer_set_eval(named[2], on) end
  return m
end

--- Turns dropout off. It acts only inside d.record in any case.
---@return diffusion.model self
function Model:eval() return set_eval(self, true) end

--- Turns dropout on again, inside d.record.
---@return diffusion.model self
function Model:train() return set_eval(self, false) end

-- ==== its description ===================================================================

local function copied(value)
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = copied(v) end
  return out
end

--- A plain table from which the same network can be built: {kind = "unet", channels = ...}.
--- A network composed in Lua has only its name: {kind = "module", name = "net"}. Its constructor
--- builds it.
---@return table
function Model:config() return copied(private[self].config) end

local function tostring_model(m)
  local own = private[m]
  local total, trainable = Model.count(m)
  local count = module.grouped(total) .. " parameters"
  if trainable < total then count = count .. (", %s trainable"):format(module.grouped(trainable)) end
  local lines = module.tree(own.root)
  return table.concat({ ("%s: %s"):format(module.title(own.root), count), table.unpack(lines) }, "\n")
end

-- The names of a network's fields.
local function fields_of(root)
  if not core.is_layer(root) then return module.fields(root) end
  local names = {}
  for i, part in ipairs(core.layer_parts(root)) do names[i] = part[1] end
  return names
end

-- "model unet has no 'chanels'; did you mean 'channels'?", among methods, fields and options.
local function absence(m, key)
  local own = private[m]
  local names = fields_of(own.root)
  for _, more in ipairs { Model, own.config } do
    for name in next, more do names[#names + 1] = name end
  end
  table.sort(names)
  return lookup.sentence(("model %s has"):format(own.config.name or own.config.kind), key, names, "model")
end

-- Methods come first, then the fields of the network. Any other name is an error.
local function field(m, key)
  local value = Model[key]
  if value == nil then value = private[m].root[key] end
  if value ~= nil or not lookup.is_public(key) then return value end
  if private[m].config[key] ~= nil then
    fail.raise("'%s' is an option of this model; model:config().%s has its value", key, key)
  end
  fail.raise("%s", absence(m, key))
end

local function refuse_write(m, key)
  local own = private[m]
  if own.config[key] ~= nil then
    fail.raise("'%s' is an option of this model, given when it is made; it can't be changed", legible.line(key))
  end
  local is_field = Model[key] ~= nil or own.root[key] ~= nil
  fail.raise("%s", is_field and ("a model's '%s' can't be written; parameter:copy_ writes values"):format(
    legible.line(key)) or absence(m, tostring(key)))
end

model.methods = Model -- those that read the parameter buffer alone are the adapters' too

models = object.class("model", Model, {
  open = true, __index = field, __newindex = refuse_write, __call = call, __tostring = tostring_model,
})

--- The parameters of the network under a root, before it has values: a list of {name, shape}.
---@param root any a layer or a module
---@return table[]
function model.parameters(root) return fail.call(core.parameters, module.layers(root)) end

--- Raises unless a state has exactly the parameters of the network under a root, of the same
--- shapes. Nothing is allocated for their values.
---@param root any a layer or a module
---@param state table<string, any>
function model.check_state(root, state)
  local list, i = model.parameters(root), 0
  local trouble = model.mismatch(function()
    i = i + 1
    if list[i] then return table.unpack(list[i]) end
  end, state)
  if trouble then fail.raise("%s", trouble) end
end

-- The way to call a root, and the facts that the call needs. `timed`: the second input is t; nil:
-- only a module knows. `single`: a single layer, whose second input may be any tensor.
local function calling(root, inputs)
  if module.is_module(root) then return { call = call_module } end
  local timed, optional = inputs ~= nil and inputs[2] ~= nil and inputs[2][1] == "t", true
  for i = 3, inputs and #inputs or 0 do optional = optional and inputs[i].optional end
  local rules = input_rules(inputs or layer_inputs)
  local checked = opts.joined(call_rules)
  for i = timed and 3 or 2, inputs and #inputs or 0 do checked[inputs[i][1]] = rules[inputs[i][1]] end
  if not inputs then
    return { call = call_layer, rules = rules, checked_rules = checked, inputs = layer_inputs, single = true }
  end
  return { call = call_network, rules = rules, checked_rules = checked, timed = timed, optional = optional,
    inputs = inputs }
end

-- Tensors by name for parameters of these names. An unknown name is an error.
local function check_names(home, tensors)
  local names, known = {}, {}
  for i = 1, home:count() do names[i], known[home:name(i)] = home:name(i), true end
  for name, x in pairs(tensors) do
    if not known[name] then fail.raise("model: %s", opts.unknown("parameter", name, names)) end
    if not core.is_tensor(x) then fail.raise("model: '%s' must be a tensor, got %s", name, kind.shown(x)) end
  end
end

-- Adopted values stay where they are, given ones are copied, and the rest is drawn.
local function start(home, adopt, give)
  check_names(home, adopt)
  for i = 1, home:count() do
    local name = home:name(i)
    if adopt[name] then fail.call(home.adopt, home, i, adopt[name])
    elseif give[name] then fail.call(home.give, home, i, give[name]) end
  end
  fail.call(home.start, home)
end

--- A model of a network's layers. Parameters are named first.
---@param root any a layer or a module
---@param facts table {config = what config() returns, inputs = those of a network written as a list,
---  adopt, give = tensors by name; sample_dims = dimensions of a sample, classes = their number,
---  class_form = "number" or "vector", timed = false if the second argument of a module's call isn't t,
---  by_samples = true if each sample of a batch goes through by itself,
---  stored = function(model, state, config) -> both as a file holds them}
---@return diffusion.model
function model.pack(root, facts)
  local own, layers = calling(root, facts.inputs), module.layers(root)
  own.root, own.layers, own.home = root, layers, fail.call(core.home, layers)
  own.config = facts.config or { kind = "module", name = module.title(root) }
  own.classes, own.class_form = facts.classes or own.config.classes, facts.class_form
  own.stored, own.by_samples = facts.stored, facts.by_samples
  if facts.timed == false then own.timed = false end
  own.sample_dims = facts.sample_dims or own.config.image and 3 or own.config.dim and 1 or nil
  local fine, why = pcall(start, own.home, facts.adopt or {}, facts.give or {})
  if not fine then
    own.home:drop()
    error(why, 0)
  end
  return object.new(models, own)
end

--- The rule of the option `adopt`.
model.adopt = { "table", as = "table<string, diffusion.tensor>",
  text = "tensors by parameter name; they are used as they are, frozen, and not copied" }

local model_rules = opts.declare("nn_model", { adopt = model.adopt })

--- A model of a layer or a module: names its parameters and gives each its first value, drawn from
--- the seed (d.manual_seed) and its name. A shared layer appears once, under its first path. Values
--- in `adopt` are neither drawn nor copied: f32, f16 or bf16 of any strides, such as windows on a
--- file. They are frozen. model:unfreeze copies them to f32 first.
---@param root any a layer or a module
---@param options diffusion.nn_model_options?
---@return diffusion.model
---@usage local nn = d.nn
--- local half = d.randn(4, 2):to "f16"
--- local net = nn.model(nn.sequence(nn.linear(2, 4), nn.linear(4, 1)), { adopt = { ["1.weight"] = half } })
--- print(net:count())
function model.model(root, options)
  if not core.is_layer(root) and not module.is_module(root) then
    fail.raise("bad argument #1 to 'model' (a layer or a module expected, got %s)", kind.of(root))
  end
  local o = opts.check("model", options, model_rules, 2)
  return model.pack(root, { adopt = o.adopt })
end

return model

-- Writes a network as a list of layers. A builder function calls the methods of a `net`, one for
-- each kind of layer. Each call appends a step to the core's list, and to a plain table that a file
-- can hold.
local fail = require "diffusion.fail"
local core = require "diffusion.core"
local kinds = require "diffusion.nn.kinds"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local shown = require("diffusion.kind").shown

local build = {}

-- ---- values -------------------------------------------------------------------------------

--- A value inside of a network that is being written.
---@class diffusion.value
---@field width integer? its last size, where that is known
---@field optional boolean? an input that may be absent
local Value = { __name = "diffusion.value" }
function Value.__tostring(v) return ("value %d%s"):format(v.slot, v.width and (", width %d"):format(v.width) or "") end

local function is_value(x) return getmetatable(x) == Value end

-- ---- inputs -------------------------------------------------------------------------------

-- The usual shapes of a denoiser's inputs.
local usual = {
  t = { shape = { "B" }, whole = true },
  class = { shape = { "B" }, whole = true, optional = true },
  x0 = { optional = true },
  mask = { whole = true, optional = true },
}

-- One dimension as {name, size, multiple}: "B", 3 or {"H", multiple = 4}.
local function dimension(where, given)
  if math.type(given) == "integer" and given >= 1 then return { tostring(given), given, 0 } end
  if type(given) == "string" then return { given, 0, 0 } end
  if type(given) == "table" and type(given[1]) == "string" then
    local multiple = given.multiple or 0
    if math.type(multiple) == "integer" and multiple >= 0 then return { given[1], 0, multiple } end
  end
  fail.raise('%s: a dimension is a name "B", a size of 1 or more or {"H", multiple = 4}, got %s', where, shown(given))
end

local input_rules = { shape = { "table" }, optional = { "boolean" }, whole = { "boolean" } }

local methods = {} -- a net's methods, by name

-- One input as the core reads it: {name, list of dimensions, optional =, whole =}.
local function input(where, given)
  if type(given) == "string" then given = { given } end
  if type(given) ~= "table" or type(given[1]) ~= "string" or not given[1]:find "^[%a_][%w_]*$" then
    fail.raise('%s: an input is a name "x" or a table {"x", shape = {"B", 2}}, got %s', where, shown(given))
  end
  local name, rest = given[1], {}
  for key, value in pairs(given) do if key ~= 1 then rest[key] = value end end
  local o = opts.check(where, rest, input_rules)
  local as = usual[name] or {}
  local dims = {}
  for i, dim in ipairs(o.shape or as.shape or {}) do dims[i] = dimension(where, dim) end
  local optional, is_whole = o.optional, o.whole
  if optional == nil then optional = as.optional end
  if is_whole == nil then is_whole = as.whole end
  return { name, dims, optional = optional or false, whole = is_whole or false }
end

local function inputs_of(where, given)
  local out, seen = {}, {}
  for i, one in ipairs(given) do
    out[i] = input(where, one)
    local name = out[i][1]
    if seen[name] then fail.raise("%s: two inputs are named '%s'", where, name) end
    local taken = type(kinds[name]) == "table" and "kind of layer" or rawget(methods, name) and "method of a net"
    if taken then fail.raise("%s: '%s' is a %s, so no input can have that name", where, name, taken) end
    seen[name] = true
  end
  if #out == 0 then fail.raise("%s: a network has at least one input, the first is its x", where) end
  if out[1].optional then fail.raise("%s: the first input, '%s', can't be optional", where, out[1][1]) end
  return out
end

-- ---- the net ------------------------------------------------------------------------------

--- A network that is being written by the function `build` of d.network. Each method adds a
--- layer and returns its value. Inputs are fields: net.x, net.t.
---@class diffusion.net
local Net = methods

-- {name, text, inputs, steps, limit, first, result, values = those of the inputs by name, core}
local private = object.private

local function read(net, key)
  local own = private[net]
  local found = own.values[key] or rawget(Net, key)
  if found ~= nil then return found end
  local names = {}
  for name in pairs(Net) do names[#names + 1] = name end
  for name in pairs(own.values) do names[#names + 1] = name end
  table.sort(names)
  fail.raise("%s: %s", own.name, opts.unknown("input or kind of layer", key, names))
end

local class -- made when its methods are complete

local function value(own, slot, width) return setmetatable({ net = own, slot = slot, width = width }, Value) end

local function new_net(where, name, text, given)
  local inputs = inputs_of(where, given)
  local own = { name = name, text = text, inputs = inputs, steps = {}, limit = false, values = {},
    core = fail.call(core.net, name, text, inputs) }
  for i, one in ipairs(inputs) do
    local last = one[2][#one[2]]
    local v = value(own, i, last and last[2] > 0 and last[2] or nil)
    v.optional, own.values[one[1]] = one.optional, v
  end
  return object.new(class, own), own
end

-- The slots and widths of a step's inputs: a value, or a list of values and false for none.
local function slots_of(own, kind, given)
  if is_value(given) then given = { given } end
  if type(given) ~= "table" or #given == 0 then
    fail.raise("%s: %s reads a value of the network or a list of them, got %s", own.name, kind, shown(given))
  end
  local slots, widths = {}, {}
  for i = 1, #given do
    local v = given[i]
    if v ~= false and not (is_value(v) and v.net == own) then
      fail.raise("%s: input %d of %s is %s, not a value of this network", own.name, i, kind,
        is_value(v) and "a value of another network" or shown(v))
    end
    slots[i], widths[i] = v and v.slot or 0, v and v.width
  end
  return slots, widths
end

-- The rules of each kind's steps: those of the kind, its sizes, and recompute.
local recompute_rule = { "boolean", default = false,
  text = "recomputes the step in the backward pass instead of saving its values" }
local step_rules = {}
for name, kind in pairs(kinds) do
  if type(kind) == "table" then
    local sizes = {}
    for key, rule in pairs(kind.sizes) do
      local inferred = key == "inp" and name ~= "embedding" and name ~= "time_embed" and name ~= "time_rows"
      sizes[key] = opts.joined(rule, { default_text = inferred and "width of the input" or "required" })
    end
    step_rules[name] = opts.declare("net_" .. name, opts.joined(kind.rules, sizes, { recompute = recompute_rule }))
  end
end

-- The options of a step: those of the kind, sizes, and recompute. Widths that follow from the
-- inputs may be omitted.
local function step_options(own, name, given, widths)
  local kind, rules = kinds[name], step_rules[name]
  local o = opts.check(("%s: %s"):format(own.name, name), given, rules, 3)
  if rules.inp and not o.inp then o.inp = widths[1] end
  if name == "res_block" and not o.embed then o.embed = widths[2] or nil end
  if name == "attention" and not o.context then o.context = widths[2] or nil end
  for key in pairs(kind.sizes) do
    if not o[key] then fail.raise("%s: %s needs the option '%s'", own.name, name, key) end
  end
  local recompute = o.recompute
  o.recompute = nil
  return o, recompute
end

-- A file limits its network: each part with parameters takes at least one of the file's tensors.
local function count_part(own, layer)
  local limit = own.limit
  if not limit or core.layer_elements(layer) == 0 then return end
  limit.parts = limit.parts + 1
  if limit.parts > limit.tensors then
    fail.raise("the %s that is described has more parts than the file's %d tensors", limit.name, limit.tensors)
  end
end

local function append(own, name, path, slots, o, recompute)
  local layer = kinds.make(name, o)
  count_part(own, layer)
  local slot = fail.call(core.net_add, own.core, path, layer, slots, recompute)
  own.steps[#own.steps + 1] = { kind = name, path = path, inputs = slots, options = o, recompute = recompute }
  return slot
end

local function is_path(path)
  return type(path) == "string" and path:find "^[%w_]+%f[%z.][%w_.]*$" and not path:find "%.%.?$"
    and not path:find("..", 1, true)
end

local function check_path(own, name, path)
  if is_path(path) then return end
  fail.raise("%s: a path is names joined by dots, 'blocks.1.conv'; %s has %s", own.name, name, shown(path))
end

-- net:KIND(path, inputs, options), or without a path for a layer that has no parameters.
local function step(own, name, path, given, options)
  if type(path) ~= "string" then path, given, options = "", path, given end
  if path ~= "" then check_path(own, name, path) end
  local slots, widths = slots_of(own, name, given)
  local o, recompute = step_options(own, name, options, widths)
  return value(own, append(own, name, path, slots, o, recompute), kinds.width(name, o, widths))
end

for name, kind in pairs(kinds) do
  if type(kind) == "table" then
    Net[name] = function(net, path, inputs, options) return step(private[net], name, path, inputs, options) end
  end
end

--- Calls the part at a path again, with the same parameters.
---@param path string
---@param given diffusion.value|diffusion.value[]
---@return diffusion.value
function Net.again(net, path, given)
  local own = private[net]
  check_path(own, "again", path)
  local slots, widths = slots_of(own, "again", given)
  local slot = fail.call(core.net_again, own.core, path, slots)
  own.steps[#own.steps + 1] = { kind = "again", path = path, inputs = slots }
  return value(own, slot, widths[1] or nil)
end

--- Sets the order of the parameters' names: these parts come first.
---@param names string[]
function Net.order(net, names)
  local own = private[net]
  for i, name in ipairs(names) do
    if type(name) ~= "string" then fail.raise("%s: order: name %d is %s, not a string", own.name, i, shown(name)) end
  end
  own.first = names
end

local function finished(own, result)
  if not (is_value(result) and result.net == own) then
    fail.raise("%s: build must return a value of the network, got %s", own.name, shown(result))
  end
  fail.call(core.net_done, own.core, result.slot, own.first)
  own.result = result.slot
  return own
end

local block_rules = opts.declare("net_block", {
  name = { "string", default = "block", text = "the block's name in print(model)" },
  text = { "string", default = "", text = "its description in print(model)" },
  recompute = recompute_rule,
})

local block_inputs = { "x", "y", "z", "u", "v", "w" }

--- Adds a network inside of this one, as one step. Its inputs are named x, y, z, u, v, w in the
--- order of the list.
---@param path string
---@param given diffusion.value|diffusion.value[]
---@param options diffusion.net_block_options?
---@param fn fun(b: diffusion.net, ...: diffusion.value): diffusion.value
---@return diffusion.value
function Net.block(net, path, given, options, fn)
  local own = private[net]
  check_path(own, "block", path)
  local slots, widths = slots_of(own, "block", given)
  local o = opts.check(own.name .. ": block", options, block_rules, 3)
  local names, list = {}, is_value(given) and { given } or given
  for i = 1, #slots do
    names[i] = { block_inputs[i], optional = i > 1 and list[i] and list[i].optional or false, whole = i > 1 }
  end
  local block, inner = new_net(own.name, o.name, o.text, names)
  inner.limit = own.limit
  local values = {}
  for i = 1, #slots do
    values[i] = inner.values[block_inputs[i]]
    values[i].width = widths[i] or nil
  end
  local result = fn(block, table.unpack(values))
  finished(inner, result)
  local slot = fail.call(core.net_add, own.core, path, inner.core, slots, o.recompute)
  own.steps[#own.steps + 1] = { kind = "block", path = path, inputs = slots, recompute = o.recompute,
    list = build.list(inner) }
  return value(own, slot, result.width)
end

class = object.class("net", Net, { open = true, __index = read, __newindex = object.refuse_write })

-- ---- lists --------------------------------------------------------------------------------

--- A network as plain data, as a file of a user's own network stores it.
---@param own table as build.network returns it
---@return table
function build.list(own)
  local steps = {}
  for i, s in ipairs(own.steps) do
    steps[i] = { kind = s.kind, path = s.path, inputs = s.inputs, options = s.options,
      recompute = s.recompute, list = s.list }
  end
  return { name = own.name, text = own.text, inputs = own.inputs, steps = steps, first = own.first,
    result = own.result }
end

--- Builds a network.
---@param spec table {name, text, inputs, build = function (net, options), options, tensors}
---@return table net {core = layer, inputs, steps}
function build.network(spec)
  local net, own = new_net(spec.name, spec.name, spec.text or "", spec.inputs)
  own.limit = spec.tensors and { tensors = spec.tensors, parts = 0, name = spec.name } or false
  return finished(own, spec.build(net, spec.options))
end

-- A field of a file's list, of the type that it must have.
local function field(t, key, wanted)
  local found = type(t) == "table" and t[key]
  if type(found) == wanted then return found end
  fail.raise("the network's list: '%s' must be a %s, got %s", key, wanted, shown(found))
end

-- An input as a user writes it, from that of a file.
local function given_input(one)
  local shape = {}
  for i, dim in ipairs(field(one, 2, "table")) do
    local name, size, multiple = field(dim, 1, "string"), field(dim, 2, "number"), field(dim, 3, "number")
    shape[i] = size > 0 and math.tointeger(size) or { name, multiple = math.tointeger(multiple) }
  end
  return { field(one, 1, "string"), shape = shape, optional = field(one, "optional", "boolean"),
    whole = field(one, "whole", "boolean") }
end

local function given_values(s, values)
  local given = {}
  for k, slot in ipairs(field(s, "inputs", "table")) do
    given[k] = slot ~= 0 and values[slot] or false
    if slot ~= 0 and not given[k] then fail.raise("the network's list: a step reads value %s, but there are %d so far",
      shown(slot), #values) end
  end
  return given
end

local replay

local function replay_step(net, s, given)
  local kind, path = field(s, "kind", "string"), field(s, "path", "string")
  if kind == "again" then return net:again(path, given) end
  if kind == "block" then
    local list = field(s, "list", "table")
    local options = { name = field(list, "name", "string"), text = field(list, "text", "string"),
      recompute = field(s, "recompute", "boolean") }
    return net:block(path, given, options, function(b, ...) return replay(b, list, { ... }) end)
  end
  if type(kinds[kind]) ~= "table" then fail.raise("the network's list: no kind of layer is named '%s'", kind) end
  local options = { recompute = field(s, "recompute", "boolean") }
  for key, given_value in pairs(field(s, "options", "table")) do options[key] = given_value end
  return step(private[net], kind, path, given, options)
end

function replay(net, list, values)
  for _, s in ipairs(field(list, "steps", "table")) do
    values[#values + 1] = replay_step(net, s, given_values(s, values))
  end
  if list.first then net:order(field(list, "first", "table")) end
  return values[field(list, "result", "number")]
end

--- The network of a list, as build.list returns it and a file stores it.
---@param list table
---@param tensors integer|nil the number of tensors in the file
---@return table net
function build.from_list(list, tensors)
  local inputs = {}
  for i, one in ipairs(field(list, "inputs", "table")) do inputs[i] = given_input(one) end
  return build.network { name = field(list, "name", "string"), text = field(list, "text", "string"), inputs = inputs,
    tensors = tensors, build = function(net)
      local values = {}
      for i, one in ipairs(private[net].inputs) do values[i] = net[one[1]] end
      return replay(net, list, values)
    end }
end

return build

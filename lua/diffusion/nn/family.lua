-- Families of networks, found by name: one file in lua/diffusion/network each. A family is {name,
-- options, inputs, text, check, build, new}. Its `facts`, if it has that, say what model.pack can't see
-- in its config. A family of several networks, such as an autoencoder, has `compose`, `methods` and
-- `forward` instead of `inputs` and `build`. It has `stored` if a file holds more than its values: see
-- model.stored. This file makes models of it.
local fail = require "diffusion.fail"
local build = require "diffusion.nn.build"
local kinds = require "diffusion.nn.kinds"
local legible = require "diffusion.legible"
local model = require "diffusion.nn.model"
local module = require "diffusion.nn.module"
local opts = require "diffusion.opts"

local family = {}

-- ---- options that families share ------------------------------------------------------------

local WIDEST = 1 << 20 -- keeps every product of two sizes within 63 bits

family.declare = opts.declare

--- The rule of a size. A nil default means that the network chooses it.
function family.size(default, least, text)
  return { "integer", default = default, min = least, max = WIDEST, text = text }
end

--- The rule of a list of sizes: `entries` of them, or `least` or more.
function family.sizes(rule)
  return opts.joined({ "table", each = family.size(nil, 1), as = "integer[]" }, rule)
end

--- The rule of a number of blocks.
function family.count(default, text) return { "integer", default = default, min = 1, max = 100000, text = text } end

--- The rule of an option that is only carried from one config to another.
---@param rule table
---@return table
function family.kept(rule) return opts.joined(rule, { kept = true, text = rule.text .. "; kept for the config" }) end

family.classes = { "integer", default = 0, min = 0, max = (1 << 31) - 1,
  text = "number of classes; 0 makes an unconditional network" }
family.outputs = { "integer", default = 1, min = 1, max = 2,
  text = "2 also predicts a variance: the result has twice the channels" }
family.dropout = { "number", default = 0, min = 0, below = 1,
  text = "probability that an element inside of a block is set to 0 in training" }
family.groups = kinds.norm_conv.rules.groups
family.image = family.sizes { required = true, entries = 3, text = "{H, W, C} of an image" }
family.self_condition = { "boolean", otherwise = false, text = "the network is conditioned on its own x0, option "
  .. "x0 of its call; zeros if absent" }
family.recompute = { "boolean", otherwise = false, text = "recomputes blocks in the backward pass: the same bits, "
  .. "less memory, a third more time" }

family.fail = fail.raise

--- "28 or 32 fit", "4 fits": the multiples of `factor` around a side.
function family.fitting(side, factor)
  local below = side // factor * factor
  return below > 0 and ("%d or %d fit"):format(below, below + factor) or ("%d fits"):format(factor)
end

--- The inputs of a denoiser: x of this shape, t, class, and x0 with self_condition.
function family.inputs(shape, o)
  local list = { { "x", shape = shape }, "t", "class" }
  if o.self_condition then list[4] = { "x0", shape = shape } end
  return list
end

--- x, or with self_condition x joined with x0 (Chen et al. 2023); x0 is zeros if not given.
function family.seen(net, o)
  return o.self_condition and net:cat({ net.x, net.x0 }, { fill = true }) or net.x
end

local function checked(kind, options)
  local o = opts.check(kind.name, options, kind.options)
  if kind.check then kind.check(o) end
  return o
end

-- ---- models ---------------------------------------------------------------------------------

-- A state that is found from the parameters, rather than a table of tensors.
local function is_source(state) return type(state.find) == "function" end

local function entries(state)
  if state and is_source(state) then return state.tensors end
  local n = 0
  for _ in pairs(state or {}) do n = n + 1 end
  return n
end

local function packed(net, config, state, frozen, facts)
  if state and is_source(state) then
    local found, message = state.find(model.parameters(net.core))
    if not found then return nil, message end
    state = found
  elseif state then model.check_state(net.core, state) end
  return model.pack(net.core, opts.joined(facts or {}, { config = config, inputs = net.inputs,
    adopt = frozen and state or nil, give = not frozen and state or nil }))
end

-- A module whose parts are networks and layers: compose(m, o, list) assigns them, and list(spec)
-- makes a network of {name, text, inputs, build}. The family's methods become the model's own, and
-- forward is its call.
local function composed(kind, o, tensors)
  local function list(spec)
    return build.network { name = spec.name, text = spec.text, inputs = spec.inputs, build = spec.build, options = o,
      tensors = tensors }.core
  end
  local new = module.module(("%s(%s)"):format(kind.name, kind.text(o)), function(m)
    kind.compose(m, o, list)
    for name, method in pairs(kind.methods) do m[name] = method end
    m.forward = kind.forward
    function m.config() return o end -- the methods may be called with the module or with its model
  end)
  return { core = new() }
end

local function network_of(kind, o, tensors)
  if kind.compose then return composed(kind, o, tensors) end
  return build.network { name = kind.name, text = kind.text(o), inputs = kind.inputs(o), build = kind.build,
    options = o, tensors = tensors }
end

--- A model of a family from its options, which become its config. With a `state`, the tensors of a
--- file, the network must have exactly those. A state may be found from the network's parameters:
--- {find = function (list of {name, shape}) -> state or nil, message; tensors = their number}.
---@param kind table the family
---@param options table?
---@param state table<string, any>?
---@param frozen boolean? the tensors are adopted, not copied
---@return diffusion.model|nil model nil if no state was found
---@return string|nil message
function family.model(kind, options, state, frozen)
  local o = checked(kind, options)
  local net = network_of(kind, o, state and entries(state))
  local config = { kind = kind.name }
  for name, value in pairs(o) do config[name] = value end
  local facts = kind.compose and { timed = false, stored = kind.stored } or kind.facts and kind.facts(o)
  return packed(net, config, state, frozen, opts.joined(facts or {}, { by_samples = true }))
end

--- The family of a name, or nil. A name must be that of a file in lua/diffusion/network.
---@param name any
---@return table|nil
function family.find(name)
  if type(name) ~= "string" or not name:find "^%l[%l%d_]*$" then return nil end
  local path = "diffusion.network." .. name
  local found = package.loaded[path] or package.preload[path] or package.searchpath(path, package.path)
  return found and require(path)
end

local network_rules = opts.declare("network", {
  inputs = { "table", required = true, as = "(string|table)[]",
    text = 'names, or tables as {"context", shape = {"B", 4}, optional = true, whole = true}; x comes first' },
  build = { "function", required = true, as = "fun(net: diffusion.net, options: any): diffusion.value",
    text = "function (net, options) that adds the layers and returns the network's result" },
  name = { "string", default = "network", text = "the network's name in print(model)" },
  options = { "any", text = "the second argument of build" },
  adopt = model.adopt,
})

--- Your own network, written as a list of layers that the core runs. The model saves, loads and
--- runs like a built-in one. The file stores the list. Values in `adopt`, as for nn.model, may be a
--- part of the parameters: then a new head trains on a frozen network.
---@param options diffusion.network_options
---@return diffusion.model model called as model(x, t, {context=, ...})
---@usage local model = d.network{ inputs = { { "x", shape = { "B", 2 } }, "t", { "context", shape = { "B", 3 } } },
---   build = function(net)
---     local e = net:time_embed("time", net.t, { inp = 16, out = 32 })
---     local h = net:add{ net:linear("inp", net.x, { out = 32 }), net:linear("context", net.context, { out = 32 }) }
---     h = net:linear("mid", net:silu(net:add{ h, e }), { out = 32 })
---     return net:linear("out", net:silu(h), { out = 2 })
---   end }
--- print(model(d.randn(4, 2), 500, { context = d.randn(4, 3) }))
function family.network(options)
  local o = opts.check("network", options, network_rules)
  local net = build.network { name = o.name, inputs = o.inputs, build = o.build, options = o.options }
  return model.pack(net.core, { config = { kind = "network", list = build.list(net) }, inputs = net.inputs,
    adopt = o.adopt })
end

--- The network of a config (see model:config) with a file's values. If the file's tensors are not
--- exactly those of the network, it is an error, and nothing is allocated for them.
---@param config table
---@param state table<string, any>|nil the file's tensors
---@param frozen boolean|nil they are adopted, not copied
---@return diffusion.model|nil model nil for a network composed in Lua
---@return string|nil message why
function family.from_config(config, state, frozen)
  local kind = config.kind
  if kind == "network" then
    local net = build.from_list(config.list, state and entries(state))
    return packed(net, { kind = kind, list = config.list }, state, frozen)
  end
  local known = family.find(kind)
  if known then
    local o = {}
    for name, value in pairs(config) do if name ~= "kind" then o[name] = value end end
    return family.model(known, o, state, frozen)
  end
  if kind == "module" then
    return nil, ("the network '%s' was composed in Lua: build it with its constructor, then "
      .. "model:load(path)"):format(tostring(config.name))
  end
  return legible.refused("a network of kind '%s' isn't known here", tostring(kind))
end

return family

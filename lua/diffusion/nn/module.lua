-- Modules: networks composed in Lua. A module remembers the order in which its fields were
-- assigned, so names and parameters have the same order at every start.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local gradient = require "diffusion.gradient"

local module = {}

local private = object.private -- {name, order = list of keys, parameters = key -> bare parameter}

local class

--- Whether a value is a module.
---@param value any
---@return boolean
function module.is_module(value) return object.is(value, class) end

local function is_bare(value)
  return core.is_layer(value) and core.layer_kind(value) == "parameter"
end

-- Keeps the order of new keys. A bare parameter is hidden, so reading it gives its tensor.
local function assign(m, key, value)
  local own = private[m]
  own.order[#own.order + 1] = key
  if is_bare(value) then own.parameters[key] = value else rawset(m, key, value) end
end

local function read(m, key)
  local parameter = private[m].parameters[key]
  return parameter and parameter.weight
end

local function call(m, ...)
  if type(m.forward) ~= "function" then
    fail.raise("%s: the module has no function m:forward(...)", private[m].name)
  end
  return m:forward(...)
end

class = object.class("module", {}, {
  open = true,
  __index = read, __newindex = assign, __call = call,
  __tostring = function(m) return table.concat({ module.title(m), table.unpack(module.tree(m)) }, "\n") end,
})

local function new(name) return object.new(class, { name = name, order = {}, parameters = {} }) end

--- Defines a module. The builder fills it with layers, modules and a `forward`. Fields that are
--- layers or modules are its parts.
---@param name string shown when a model is printed
---@param builder function (m, ...) fills m; returns nothing
---@return function constructor (...) -> module
---@usage local nn = d.nn
--- local Twice = nn.module("twice", function(m, width)
---   m.inner = nn.linear(width, width)
---   function m:forward(x) return self.inner(self.inner(x)):silu() end
--- end)
--- print(nn.model(Twice(4)))
function module.module(name, builder)
  if type(name) ~= "string" or type(builder) ~= "function" then
    fail.raise("bad arguments to 'module' (a name and a function (m, ...) expected)")
  end
  return function(...)
    local m = new(name)
    builder(m, ...)
    return m
  end
end

local function is_part(value) return core.is_layer(value) or module.is_module(value) end

--- A module of n parts made by `make(i)`, read as list[i]. Their names are numbers.
---@param n integer
---@param make function (i) -> layer or module
---@return table module
function module.list(n, make)
  if not (type(n) == "number" and math.tointeger(n) and n >= 0) then
    fail.raise("bad argument #1 to 'list' (a whole number of 0 or more expected, got %s)", kind.shown(n))
  end
  opts.callable("list", "argument #2", make)
  local m = new "list"
  for i = 1, n do
    local part = make(i)
    if not is_part(part) then
      fail.raise("list: entry %d is a %s, not a layer or a module", i, kind.of(part))
    end
    m[i] = part
  end
  return m
end

local function run_in_order(parts, x)
  for _, part in ipairs(parts) do x = fail.call(part, x) end
  return x
end

local function sequence_forward(m, x) return gradient.scope(run_in_order, m, x) end

--- A module that calls its parts in order. Parts may be plain functions. Intermediate results are
--- freed at the end of the call.
---@param ... any layers, modules or functions of one tensor
---@return table module
---@usage local nn = d.nn
--- local net = nn.model(nn.sequence(nn.linear(2, 8), nn.silu, nn.linear(8, 1)))
--- print(net(d.randn(3, 2)))
function module.sequence(...)
  local m = new "sequence"
  for i, part in ipairs(table.pack(...)) do
    if not is_part(part) and type(part) ~= "function" then
      fail.raise("bad argument #%d to 'sequence' (a layer, a module or a function expected, got %s)",
        i, kind.of(part))
    end
    m[i] = part
  end
  rawset(m, "forward", sequence_forward)
  return m
end

--- A layer or module whose intermediate values are recomputed in the backward pass instead of
--- being saved. A model or a function of tensors can be given too.
---@param part any
---@return any module with the one part, or a function
function module.recompute(part)
  if not kind.callable(part) then
    fail.raise("bad argument #1 to 'recompute' (a layer, a module, a model or a function expected, "
      .. "got %s)", kind.of(part))
  end
  if not is_part(part) then return gradient.recompute(part) end
  local m = new "recompute"
  m.inner = part
  local again = gradient.recompute(function(...) return part(...) end)
  rawset(m, "forward", function(_, ...) return again(...) end)
  return m
end

-- Raises for a plain table of layers, or a model, since its parameters would be missed silently.
local function refuse_overlooked(path, value)
  if kind.of(value) == "model" then
    fail.raise("model: '%s' is a model, with values of its own; modules are made of layers and modules",
      path)
  end
  if type(value) ~= "table" or getmetatable(value) then return end
  for _, inner in pairs(value) do
    if is_part(inner) then
      fail.raise("model: '%s' is a plain table with layers in it; nn.list(n, fn) or nn.sequence(...) "
        .. "makes them parts", path)
    end
  end
end

local function join(path, key)
  return path == "" and tostring(key) or path .. "." .. tostring(key)
end

-- {key, path, part} of a module's parts, in order of assignment.
local function parts_of(m, path)
  local out, own = {}, private[m]
  for _, key in ipairs(own.order) do
    local part = own.parameters[key] or rawget(m, key)
    local at = join(path, key)
    refuse_overlooked(at, part)
    if is_part(part) then out[#out + 1] = { key = key, path = at, part = part } end
  end
  return out
end

local function gather(part, path, out, seen)
  if core.is_layer(part) then
    out[#out + 1] = { path, part }
  elseif not seen[part] then
    seen[part] = true
    for _, inner in ipairs(parts_of(part, path)) do gather(inner.part, inner.path, out, seen) end
  end
  return out
end

--- Every layer under a root with its path, in order. A shared layer is listed at each of its places.
---@param root any layer or module
---@return table[] list of {path, layer}
function module.layers(root) return gather(root, "", {}, {}) end

-- Networks and groups, whose parts get a line each when a model is printed. `whole`: a network that
-- is no block of another.
local function is_open(part, whole)
  return core.layer_kind(part) == "group" or whole and core.is_net(part)
end

local function inner_parts(part, whole)
  if module.is_module(part) then return parts_of(part, "") end
  local out = {}
  if is_open(part, whole) then
    for i, named in ipairs(core.layer_parts(part)) do out[i] = { key = named[1], part = named[2] } end
  end
  return out
end

--- The number of elements of all parameters under a part.
---@param part any
---@return integer
function module.elements(part)
  local n = 0
  for _, named in ipairs(module.layers(part)) do n = n + core.layer_elements(named[2]) end
  return n
end

--- The names of a module's fields, in order of assignment.
---@param m any
---@return string[]
function module.fields(m)
  local names = {}
  for _, key in ipairs(private[m].order) do names[#names + 1] = type(key) == "string" and key or nil end
  return names
end

--- 1234567 -> "1,234,567"
---@param n integer
---@return string
function module.grouped(n)
  local text = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

--- The name of a part as it is printed.
---@param part any
---@return string
function module.title(part)
  return module.is_module(part) and private[part].name or tostring(part)
end

local function tree(part, depth, lines, whole)
  for _, inner in ipairs(inner_parts(part, whole)) do
    local text = ("%s%s: %s"):format(("  "):rep(depth), inner.key, module.title(inner.part))
    local n = module.elements(inner.part)
    lines[#lines + 1] = n > 0 and ("%-58s %13s"):format(text, module.grouped(n)) or text
    tree(inner.part, depth + 1, lines, module.is_module(part))
  end
  return lines
end

--- The parts under a root as lines: name, layer, number of parameters.
---@param root any
---@return string[]
function module.tree(root) return tree(root, 1, {}, true) end

return module

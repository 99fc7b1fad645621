-- How the library's objects are made: their fields, their methods, and what may be written.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"

local object = {}

local unguarded = setmetatable({}, { __mode = "k" }) -- the method behind each guard

local function guard(own_kind, name, method)
  local own = "diffusion." .. own_kind
  local function guarded(self, ...)
    local meta = debug.getmetatable(self)
    if not meta or rawget(meta, "__name") ~= own then
      fail.raise("bad argument #1 to '%s' (%s expected, got %s; methods are called with a colon, as in x:%s())",
        name, own_kind, kind.shown(self), name)
    end
    return method(self, ...)
  end
  unguarded[guarded] = method
  return guarded
end

--- The method that a guard of object.methods calls. Any other function is returned as it is.
---@param fn function
---@return function
function object.unguarded(fn) return unguarded[fn] or fn end

--- Guards all methods of a kind: called with a dot, or on something else, they say what
--- they expect. Methods of the core check that themselves.
---@param own_kind string "trainer"
---@param methods table<string, function> complete; its functions are replaced
function object.methods(own_kind, methods)
  for name, fn in pairs(methods) do
    local ours = type(fn) == "function" and not name:find "^__" and debug.getinfo(fn, "S").what ~= "C"
    if ours then methods[name] = guard(own_kind, name, fn) end
  end
end

--- A table that shows fields. Only fields that have a rule can be written, within it.
---@param name string "trainer"
---@param fields table
---@param rules table<string, table> of opts.check
---@param meta table {__name =, __index = methods, ...}
---@return table
function object.governed(name, fields, rules, meta)
  local own = {}
  for key, value in pairs(meta) do own[key] = value end
  own.__index, own.__methods = setmetatable(fields, { __index = meta.__index }), meta.__index
  function own.__newindex(_, key, value)
    local rule = rules[key]
    if not rule then
      fail.raise("%s: '%s' can't be written; what can: %s", name, tostring(key), table.concat(opts.names(rules), ", "))
    end
    if value == nil then value = rule.default end
    if value ~= nil then opts.held(("%s: %s"):format(name, key), value, rule) end
    fields[key] = value
  end
  return setmetatable({}, own)
end

--- A table that shows fields, none of which can be written.
---@param fields table
---@param methods table
---@param meta table {__name =, __tostring =, ...}
---@return table
function object.sealed(fields, methods, meta)
  local own = { __index = setmetatable(fields, { __index = methods }), __len = function() return #fields end }
  for key, value in pairs(meta) do own[key] = value end
  own.__methods, own.__newindex = methods, object.refuse_write
  if own.__tostring then legible.speaks(own) end
  return setmetatable({}, own)
end

--- The __newindex of an object that never changes.
---@param self any
---@param key any
function object.refuse_write(self, key)
  local own_kind = kind.of(self)
  fail.raise("a %s never changes, so its '%s' can't be written; make another %s", own_kind, legible.line(key), own_kind)
end

return object

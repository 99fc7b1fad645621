-- The library's objects. An object looks like an empty table. Behind it are
--   its private state, which only the library's files reach: object.private[self]
--   its fields, which a user reads, and writes if the class allows it
--   its methods, which report the expected kind if they are called on another value
-- A class has fields of one of two kinds. Most are in a separate table, the object's `public`.
-- Fields that change with the private state are computed, by the class's `get`.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local lookup = require "diffusion.lookup"
local opts = require "diffusion.opts"

local object = {}

-- Weak keys: the private state lives as long as its object.
local private = setmetatable({}, { __mode = "k" })
object.private = private ---the private state of each object that has one

-- ==== methods ============================================================================

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

--- Guards all methods of a kind. Called with a dot, or on another value, they report the expected
--- kind. Methods of the core check that themselves.
---@param own_kind string "trainer"
---@param methods table<string, function> complete; its functions are replaced
function object.methods(own_kind, methods)
  for name, fn in pairs(methods) do
    local ours = type(fn) == "function" and not name:find "^__" and debug.getinfo(fn, "S").what ~= "C"
    if ours then methods[name] = guard(own_kind, name, fn) end
  end
end

-- ==== fields =============================================================================

--- The __newindex of an object that never changes.
---@param self any
---@param key any
function object.refuse_write(self, key)
  local own_kind = kind.of(self)
  fail.raise("%s never changes, so its '%s' can't be written; make another %s", lookup.article(own_kind),
    legible.line(key), own_kind)
end

local function check_writable(self, key, writable)
  if writable[key] then return end
  if next(writable) == nil then object.refuse_write(self, key) end
  fail.raise("%s: '%s' can't be written; what can: %s", kind.of(self), legible.line(key),
    table.concat(opts.names(writable), ", "))
end

-- Writes a field of `public`, as far as the class's rules allow it.
local function write_public(self, key, value)
  local class = debug.getmetatable(self)
  check_writable(self, key, class.writable)
  local rule = class.writable[key]
  if value == nil then value = rule.default end
  if value ~= nil then opts.held(("%s: %s"):format(kind.of(self), key), value, rule) end
  class.__index[key] = value
end

local function pairs_public(self) return next, debug.getmetatable(self).__index end

local function public_length(self) return #debug.getmetatable(self).__index end

-- `get`, with its list of names replaced by functions that read them.
local function readers(get)
  local out = {}
  for key, value in pairs(get) do
    if type(value) == "string" then out[value] = function(own) return own[value] end else out[key] = value end
  end
  return out
end

-- Computed fields: get[name](own), and set[name](own, value) for those that can be written.
local function compute_fields(class, methods, get, set)
  function class.__index(self, key)
    local read = get[key]
    if read then return read(private[self]) end
    return methods[key] -- which refuses unknown names
  end
  function class.__newindex(self, key, value)
    check_writable(self, key, set)
    set[key](private[self], value)
  end
  function class.__pairs(self)
    local values = {}
    for key, read in pairs(get) do values[key] = read(private[self]) end
    return next, values
  end
end

-- ==== classes and objects ================================================================

--- A class: the abilities of its objects. Its methods must be complete.
---@param name string "trainer"
---@param methods table<string, function> guarded by this call
---@param more table|nil metamethods (__call, __tostring ...), and how fields are read and written:
---  writable = rules of opts.check for the fields of `public` that can be written; or, for computed
---  fields, get = names of private fields, and functions of the private state by name, set = functions
---  of the private state and the new value by name; fields = names of public fields that may be nil;
---  peers = other libraries' names -> ours; open = true: unknown names read as nil
---@return table class
function object.class(name, methods, more)
  local class = { __name = "diffusion." .. name, __methods = methods, __index = methods,
                  __newindex = write_public, writable = {} }
  more = more or {}
  if more.get then compute_fields(class, methods, readers(more.get), more.set or {}) end
  for key, value in pairs(more) do class[key] = value end
  if class.__tostring then legible.speaks(class) end
  object.methods(name, methods)
  local fields = more.fields or more.get and opts.names(readers(more.get)) or opts.names(class.writable)
  if not more.open then lookup.strict(name, methods, fields, more.peers) end
  class.class, class.shown = class, { __index = methods }
  return class
end

--- An object of a class.
---@param class table
---@param own table|nil its private state
---@param public table|nil the fields that can be read; it is not copied
---@return table
function object.new(class, own, public)
  local meta = class
  if public then
    meta = { __len = public_length, __pairs = pairs_public }
    for key, value in pairs(class) do meta[key] = value end
    meta.__index = setmetatable(public, class.shown)
  end
  local self = setmetatable({}, meta)
  private[self] = own
  return self
end

--- Whether a value is an object of a class.
---@param value any
---@param class table
---@return boolean
function object.is(value, class)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "class") == class
end

return object

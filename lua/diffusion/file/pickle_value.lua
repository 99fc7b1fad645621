-- The values of a pickle that Lua has no type for. Numbers, strings and booleans are Lua's own.
-- Values of Python's classes are opaque: their parts are kept as they were written, and nothing
-- is made of them.
local value = {}

local function class(name) return { __name = name } end

local List, Tuple, Set, Dict = class "list", class "tuple", class "set", class "dict"
local Bytes, Global, Opaque, None = class "bytes", class "global", class "opaque", class "none"

value.none = setmetatable({}, None)

--- The kind of a value: "none", "boolean", "integer", "float", "string", "bytes", "list", "tuple",
--- "set", "dict", "global", "opaque", or a kind that value.new was given.
---@param v any
---@return string
function value.kind(v)
  local meta = getmetatable(v)
  if type(v) == "table" and meta then return meta.__name end
  return type(v) == "number" and math.type(v) or type(v)
end

local classes = {}

--- A value of a further kind, for a user of pickles.
---@param kind string "tensor"
---@param fields table
---@return table fields
function value.new(kind, fields)
  classes[kind] = classes[kind] or class(kind)
  return setmetatable(fields, classes[kind])
end

function value.list(items) return setmetatable(items, List) end
function value.tuple(items) return setmetatable(items, Tuple) end
function value.set_of(items) return setmetatable(items, Set) end
function value.bytes(text) return setmetatable({ text = text }, Bytes) end
function value.global(name) return setmetatable({ name = name }, Global) end

--- A value of a class that isn't known. `items` holds what was set in it as in a dict, `list`
--- what was appended to it, `state` its attributes.
---@param name string "argparse.Namespace"
---@return table
function value.opaque(name) return setmetatable({ name = name }, Opaque) end

-- ==== dicts ==================================================================================

-- A dict is {keys, values, at}: at[key] is the place of a key that Lua can look up.
function value.dict() return setmetatable({ keys = {}, values = {}, at = {} }, Dict) end

--- Sets an entry. The order is that of the first writes.
---@param dict table
---@param key any
---@param v any
function value.set(dict, key, v)
  local known = key == key and dict.at[key]
  local place = known or #dict.keys + 1
  dict.keys[place], dict.values[place] = key, v
  if key == key then dict.at[key] = place end
end

--- The value of a key, nil if there is none.
---@param dict table
---@param key any
---@return any
function value.get(dict, key)
  local place = dict.at[key]
  return place and dict.values[place]
end

local function next_entry(dict, place)
  place = place + 1
  if dict.keys[place] ~= nil then return place, dict.keys[place], dict.values[place] end
end

--- Iterates over place, key and value in the dict's order.
---@param dict table
---@return function, table, integer
function value.entries(dict) return next_entry, dict, 0 end

--- The dict that a value is, or that an opaque value of a class like a dict holds.
---@param v any
---@return table|nil
function value.as_dict(v)
  local kind = value.kind(v)
  return kind == "dict" and v or kind == "opaque" and v.items or nil
end

return value

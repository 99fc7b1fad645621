-- The tensors of a PyTorch file by name. Nested dicts, lists and modules are unfolded: their keys
-- are joined by dots, as in the names of a state dict. Entries that several containers share are
-- met several times, so the number and the length of the names are bounded.
local parser = require "diffusion.file.parser"
local value = require "diffusion.file.pickle_value"

local state = {}

local MOST_NAMES, MOST_BYTES, DEEPEST = 1 << 20, 1 << 26, 100

local fault = parser.fault "pytorch"

-- ==== containers ===========================================================================

local function text_key(key)
  return type(key) == "string" and key or math.type(key) == "integer" and ("%d"):format(key) or nil
end

-- The attributes of a pickled torch.nn.Module, or nil.
local function module_of(v)
  local own = value.kind(v) == "opaque" and value.kind(v.state) == "dict" and v.state
  return own and value.get(own, "_modules") and value.get(own, "_parameters") and own or nil
end

--- Whether a value is a pickled torch.nn.Module.
---@param v any
---@return boolean
function state.is_module(v) return module_of(v) ~= nil end

-- The members of a module in the order of its state dict.
local function module_members(own, each)
  local left_out = value.get(own, "_non_persistent_buffers_set")
  local skipped = {}
  if value.kind(left_out) == "set" then
    for _, name in ipairs(left_out) do skipped[name] = true end
  end
  for _, part in ipairs { "_parameters", "_buffers", "_modules" } do
    local dict = value.as_dict(value.get(own, part))
    for _, key, v in value.entries(dict or value.dict()) do
      if not (part == "_buffers" and skipped[key]) then each(key, v) end
    end
  end
end

-- Calls each(key, value) for the members of a container. False for any other value. Lists count
-- from 0, as in Python.
local function members(v, each)
  local own, dict, kind = module_of(v), value.as_dict(v), value.kind(v)
  local list = kind == "opaque" and v.list or (kind == "list" or kind == "tuple") and v
  if own then module_members(own, each)
  elseif dict then
    for _, key, inside in value.entries(dict) do each(key, inside) end
  elseif list then
    for k, inside in ipairs(list) do each(k - 1, inside) end
  else return false end
  return true
end

-- ==== unfolding ============================================================================

local function add(c, name, v)
  c.names, c.bytes = c.names + 1, c.bytes + #name
  if c.names > MOST_NAMES or c.bytes > MOST_BYTES then
    fault("more than %d names, or names of more than %d bytes, when nested containers are unfolded",
      MOST_NAMES, MOST_BYTES)
  end
  local kind = value.kind(v)
  if kind == "tensor" then c.tensors = c.tensors + 1 end
  if kind == "tensor" or kind == "opaque" or kind == "storage" then
    if c.seen[name] then fault("two values have the name '%s' when nested containers are unfolded", name) end
    c.seen[name] = true
    c.list[#c.list + 1] = { name = name, value = v }
  end
end

local function unfold(c, v, name, depth)
  if depth > DEEPEST then fault("containers nested deeper than %d", DEEPEST) end
  local inside = members(v, function(key, member)
    key = text_key(key)
    if key then unfold(c, member, name == "" and key or name .. "." .. key, depth + 1) end
  end)
  add(c, name, inside and value.none or v)
end

--- Whether a value is a list of tensors.
---@param v any
---@return boolean
function state.is_list(v)
  local kind = value.kind(v)
  if kind ~= "list" and kind ~= "tuple" then return false end
  for _, inside in ipairs(v) do
    if value.kind(inside) ~= "tensor" then return false end
  end
  return true
end

--- The tensors and the opaque values inside a value.
---@param v any
---@return table list {name, value}; `tensors` is the number of tensors among them
function state.unfold(v)
  local c = { list = {}, seen = {}, names = 0, bytes = 0, tensors = 0 }
  unfold(c, v, "", 0)
  c.list.tensors = c.tensors
  return c.list
end

-- ==== choosing =============================================================================

-- Whether tensors are among the members, or inside members that have names. `known` has the answers for
-- containers that were met before.
local function holds(v, known, depth)
  if value.kind(v) == "tensor" then return true end
  if type(v) ~= "table" or depth > DEEPEST then return false end
  if known[v] ~= nil then return known[v] end
  known[v] = false
  members(v, function(key, member)
    known[v] = known[v] or type(key) == "string" and holds(member, known, depth + 1)
  end)
  return known[v]
end

--- The members of a file's value that hold tensors by name: {key, value}. The second result says
--- whether tensors are members themselves.
---@param root any
---@return table list
---@return boolean direct
function state.choices(root)
  local list, direct, known = {}, false, {}
  members(root, function(key, v)
    if value.kind(v) == "tensor" then direct = true
    elseif text_key(key) and holds(v, known, 0) then list[#list + 1] = { key = text_key(key), value = v } end
  end)
  return list, direct
end

local function member(v, key)
  local number, found = math.tointeger(tonumber(key)), nil
  members(v, function(own, inside)
    if found == nil and (own == key or own == number and number ~= nil) then found = inside end
  end)
  return found
end

--- The value at a path of keys that are joined by dots. A key may contain dots itself.
---@param v any
---@param path string
---@return any v nil if there is none
function state.at(v, path)
  local whole = member(v, path)
  if whole ~= nil then return whole end
  for dot in path:gmatch "()%." do
    local inside = member(v, path:sub(1, dot - 1))
    local found = inside ~= nil and state.at(inside, path:sub(dot + 1))
    if found ~= nil and found ~= false then return found end
  end
end

--- The keys of a container, as text.
---@param v any
---@return string[]
function state.keys(v)
  local keys = {}
  members(v, function(key) keys[#keys + 1] = text_key(key) end)
  return keys
end

--- The numbers, texts and booleans among the members, by key.
---@param v any
---@return table
function state.facts(v)
  local facts = {}
  members(v, function(key, inside)
    if text_key(key) and type(inside) ~= "table" then facts[text_key(key)] = inside end
  end)
  return facts
end

return state

-- The arrays of a file by name. An array that costs something to read is read when it is first
-- asked for. Arrays of types that no tensor has are listed too; reading one raises.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local legible = require "diffusion.legible"
local object = require "diffusion.object"
local u64 = require "diffusion.file.u64"

local arrays = {}

--- An array of a file that no tensor can hold. It has a type and a shape only.
---@class diffusion.array
local Unread = {}

local private = object.private -- {name, dtype, shape, why}

local function sentence(x)
  local own, sizes = private[x], {}
  for i, size in ipairs(own.shape or {}) do sizes[i] = u64.text(size) end
  local shape = own.shape and (" [%s]"):format(table.concat(sizes, ",")) or ""
  return legible.said("'%s' is of type %s%s, %s", own.name, own.dtype, shape, own.why or "which no tensor has")
end

--- The type, as the file's format names it.
---@return string
function Unread:dtype() return private[self].dtype end

--- The sizes of its dimensions. None are known of a Python object.
---@return integer[]
function Unread:shape()
  local shape = private[self].shape or {}
  return table.move(shape, 1, #shape, 1, {})
end

local class = object.class("array", Unread, {
  __tostring = sentence, open = true,
  __index = function(self, key) return Unread[key] or fail.raise("%s", sentence(self)) end,
})

--- An array that can't be read.
---@param name string
---@param dtype string
---@param shape integer[]|nil none for a Python object
---@param why string|nil the reason, if it isn't the type
---@return diffusion.array
function arrays.unread(name, dtype, shape, why)
  return object.new(class, { name = name, dtype = dtype, shape = shape, why = why })
end

--- Whether a value is an array that can't be read.
---@param value any
---@return boolean
function arrays.is_unread(value) return object.is(value, class) end

-- ==== arrays that are read when they are first asked for =======================================

local Later = {}

--- An array for arrays.named whose numbers must be converted or copied.
---@param name string
---@param dtype string
---@param shape integer[]
---@param read fun(): any, string|nil gives the tensor, or nil and why it can't be read
---@return table
function arrays.later(name, dtype, shape, read)
  return setmetatable({ name = name, dtype = dtype, shape = shape, read = read }, Later)
end

local function is_later(value) return getmetatable(value) == Later end

-- The array of a name: a tensor, or one that can't be read. `rest` are those that aren't tensors yet.
local function settle(tensors, rest, name)
  local x = rest[name]
  if not is_later(x) then return x end
  local tensor, why = x.read()
  if not tensor then
    rest[name] = arrays.unread(x.name, x.dtype, x.shape, why)
    return rest[name]
  end
  core.unscope(tensor) -- it outlives the d.scope in which it is first read
  rest[name] = nil
  rawset(tensors, name, tensor)
  return tensor
end

-- Goes through a list of names. Each array is read when its turn comes.
local function each(tensors, rest, names)
  local i = 0
  return function()
    repeat
      i = i + 1
      local name = names[i]
      local x = name and (rawget(tensors, name) or settle(tensors, rest, name))
      if x or not name then return name, x end
    until false
  end, tensors, nil
end

local function names_of(...)
  local names = {}
  for _, list in ipairs { ... } do
    for name in next, list do names[#names + 1] = name end
  end
  return names
end

-- Behind a table of named arrays that aren't all tensors.
local function class_of(path, tensors, rest)
  return {
    rest = rest,
    __index = function(_, name)
      local x = settle(tensors, rest, name)
      if arrays.is_unread(x) then fail.raise("%s: %s", path, sentence(x)) end
      return x
    end,
    __newindex = function(_, name, value)
      rest[name] = nil
      rawset(tensors, name, value)
    end,
    __pairs = function() return each(tensors, rest, names_of(tensors, rest)) end,
  }
end

--- A table of tensors by name. An array of arrays.later is read when it is first asked for, by its
--- name or by pairs. pairs lists the arrays that can't be read too; indexing by the name of one raises.
---@param path string the file's
---@param all table<string, any> tensors, and values of arrays.unread and arrays.later
---@return table<string, diffusion.tensor>
function arrays.named(path, all)
  local tensors, rest = {}, {}
  for name, x in pairs(all) do
    local into = (arrays.is_unread(x) or is_later(x)) and rest or tensors
    into[name] = x
  end
  return next(rest) and setmetatable(tensors, class_of(path, tensors, rest)) or tensors
end

--- The shapes of named arrays. Nothing is read.
---@param named table<string, any> from arrays.named
---@return table<string, integer[]>
function arrays.shapes(named)
  local meta, shapes = getmetatable(named), {}
  for name, x in next, named do shapes[name] = x:shape() end
  for name, x in next, meta and meta.rest or {} do
    shapes[name] = is_later(x) and table.move(x.shape, 1, #x.shape, 1, {}) or x:shape()
  end
  return shapes
end

--- A sentence about the first array, by name, that can't be read. nil if all are tensors.
---@param named table<string, any> from arrays.named
---@return string|nil
function arrays.trouble(named)
  local first, fault
  for name, x in pairs(named) do
    if arrays.is_unread(x) and (not first or name < first) then first, fault = name, x end
  end
  return fault and sentence(fault)
end

return arrays

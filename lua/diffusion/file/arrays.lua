-- The arrays of a file by name. Arrays of types that no tensor has are listed too; reading one
-- raises.
local fail = require "diffusion.fail"
local legible = require "diffusion.legible"
local object = require "diffusion.object"

local arrays = {}

--- An array of a file that no tensor can hold. It has a type and a shape only.
---@class diffusion.array
local Unread = {}

local private = object.private -- {name, dtype, shape, why}

local function sentence(x)
  local own = private[x]
  local shape = own.shape and (" [%s]"):format(table.concat(own.shape, ",")) or ""
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

--- A table of tensors by name. pairs lists the arrays that can't be read too; indexing by the
--- name of one raises.
---@param path string the file's
---@param all table<string, any>
---@return table<string, diffusion.tensor>
function arrays.named(path, all)
  local tensors, unread = {}, {}
  for name, x in pairs(all) do (arrays.is_unread(x) and unread or tensors)[name] = x end
  if not next(unread) then return tensors end
  return setmetatable(tensors, {
    __index = function(_, name)
      if unread[name] then fail.raise("%s: %s", path, sentence(unread[name])) end
    end,
    __pairs = function()
      local both = {}
      for name, x in next, tensors do both[name] = x end
      for name, x in next, unread do both[name] = x end
      return next, both
    end,
  })
end

--- A sentence about the first array, by name, that can't be read. nil if all are tensors.
---@param named table<string, any> from arrays.named
---@return string|nil
function arrays.trouble(named)
  local first
  for name, x in pairs(named) do
    if arrays.is_unread(x) and (not first or name < first) then first = name end
  end
  for name, x in pairs(named) do
    if name == first then return sentence(x) end
  end
end

return arrays

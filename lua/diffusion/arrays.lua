--- The arrays of a file by name: tensors, and beside them those of types that no tensor has, which are
--- listed and refused only when they are asked for.
local fail = require "diffusion.fail"
local legible = require "diffusion.legible"
local object = require "diffusion.object"

local arrays = {}

--- An array in a file whose numbers can't be computed with: pairs lists it, with what it is.
---@class diffusion.array
local Unread = { __name = "diffusion.array" }
Unread.__methods = Unread

-- What an array doesn't show among its fields: {name, dtype, shape, why}.
local facts = setmetatable({}, { __mode = "k" })

local function sentence(own)
  return legible.said("'%s' is of type %s [%s], %s", own.name, own.dtype, table.concat(own.shape, ","),
    own.why or "which no tensor has")
end

--- Its type, as the file's format calls it.
---@return string
function Unread:dtype() return facts[self].dtype end

--- Its sizes.
---@return integer[]
function Unread:shape() return table.move(facts[self].shape, 1, #facts[self].shape, 1, {}) end

function Unread:__tostring() return sentence(facts[self]) end

function Unread:__index(key) return Unread[key] or fail.raise("%s", sentence(facts[self])) end

Unread.__newindex = object.refuse_write

--- An array that is there and can't be read.
---@param name string
---@param dtype string
---@param shape integer[]
---@param why string|nil where it isn't for its type alone
---@return diffusion.array
function arrays.unread(name, dtype, shape, why)
  local x = setmetatable({}, Unread)
  facts[x] = { name = name, dtype = dtype, shape = shape, why = why }
  return x
end

--- Is the value an array that can't be read?
---@param value any
---@return boolean
function arrays.is_unread(value) return facts[value] ~= nil end

--- Tensors by name, and the arrays that can't be read: for one of those asking by name raises, pairs lists it.
---@param path string of the file
---@param all table<string, any>
---@return table<string, diffusion.tensor>
function arrays.named(path, all)
  local tensors, unread = {}, {}
  for name, x in pairs(all) do (facts[x] and unread or tensors)[name] = x end
  if not next(unread) then return tensors end
  return setmetatable(tensors, {
    __index = function(_, name)
      if unread[name] then fail.raise("%s: %s", path, sentence(facts[unread[name]])) end
    end,
    __pairs = function()
      local both = {}
      for name, x in next, tensors do both[name] = x end
      for name, x in next, unread do both[name] = x end
      return next, both
    end,
  })
end

--- The first array, by name, that can't be read, as a sentence; nil where all are tensors.
---@param named table<string, any> of arrays.named
---@return string|nil
function arrays.trouble(named)
  local first
  for name, x in pairs(named) do
    if facts[x] and (not first or name < first) then first = name end
  end
  for name, x in pairs(named) do
    if name == first then return sentence(facts[x]) end
  end
end

return arrays

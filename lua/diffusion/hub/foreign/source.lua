-- This file takes the tensors of a network out of a file of another library, and makes the model that adopts them.
local fail = require "diffusion.fail"
local networks = require "diffusion.hub.adopted"
local parser = require "diffusion.file.parser"

local source = {}

local fault = parser.fault()

--- The value of a call that returns nil and a message when it fails. The message becomes the file's fault.
---@param path string
---@param value any
---@param message string|nil
---@return any value
function source.need(path, value, message)
  if value ~= nil then return value end
  fault("%s%s", message:sub(1, #path) == path and "" or path .. ": ", message)
end

local function taken(all, key) return all[key] end -- raises for an array that no tensor holds

-- A network has no empty tensor. Plans divide by widths.
local function check_sizes(path, sizes, prefix)
  local empty
  for key, shape in pairs(sizes) do
    for _, size in ipairs(shape) do
      if size == 0 and (not empty or key < empty) then empty = key end
    end
  end
  if empty then
    fault("%s: '%s%s' is [%s], which has no values", path, prefix, empty, table.concat(sizes[empty], ","))
  end
end

--- Gives the tensors below a prefix, by the rest of their keys, and their shapes.
---@param path string
---@param all table<string, any>
---@param shapes table<string, integer[]>
---@param prefix string
---@return table<string, diffusion.tensor> tensors
---@return table<string, integer[]> shapes
function source.below(path, all, shapes, prefix)
  local inside, sizes = {}, {}
  for key, shape in pairs(shapes) do
    if key:sub(1, #prefix) == prefix then
      local own = key:sub(#prefix + 1)
      inside[own], sizes[own] = source.need(path, fail.try(taken, all, key)), shape
    end
  end
  check_sizes(path, sizes, prefix)
  return inside, sizes
end

--- Gives access to the tensors next to a network, under its prefix without the last part.
---@param all table<string, any>
---@param facts any the second result of d.load
---@param prefix string
---@return table outer {facts, prefix, get = function of a name}
function source.outer(all, facts, prefix)
  local stem = prefix:gsub("[^.]*%.$", "")
  return { facts = type(facts) == "table" and facts or {}, prefix = prefix,
    get = function(name) return (fail.try(taken, all, stem .. name)) end }
end

--- The model of a file's network.
---@param path string
---@param known table the family
---@param entry table that of the other library
---@param found table {options, tensors = function}
---@param o table checked options of d.hub.load
---@return diffusion.model
function source.model(path, known, entry, found, o)
  local list = source.need(path, fail.try(found.tensors))
  return source.need(path, networks.network(known, entry, found.options, list, o))
end

return source

-- The layers of a network under the names that other libraries give them in files of adapters.
local places = require "diffusion.nn.places"

local names = {}

--- The name of the network's part of a pipeline.
---@param m any a model
---@return string
function names.prefix(_) return "unet" end

--- Another library's path of a place.
---@param m any a model
---@param path string
---@return string
function names.of(_, path) return path end

-- The places by the other library's paths, and by those with underscores for dots, as kohya's scripts
-- write them. Two places of one such name are none.
local function by_name(m)
  local dotted, flat = {}, {}
  for _, place in ipairs(places.of(m)) do
    local name = names.of(m, place.path)
    local under = name:gsub("%.", "_")
    dotted[name] = place
    flat[under] = flat[under] == nil and place
  end
  return dotted, flat
end

--- The places of a file's adapters; false where there is none.
---@param m any a model
---@param list table[] {name, kohya}
---@return table[]
function names.places(m, list)
  local dotted, flat = by_name(m)
  local out = {}
  for i, a in ipairs(list) do out[i] = (a.kohya and flat or dotted)[a.name] or false end
  return out
end

return names

-- The products of a network that adapters can change: its linear layers and convolutions, by path. A
-- layer of attention that computes q, k and v with one weight is three places, "attention.q" and so on.
local core = require "diffusion.core"
local object = require "diffusion.object"

local places = {}

local private = object.private

local THIRDS = { "q", "k", "v" }

local function join(path, name) return path == "" and name or path .. "." .. name end

-- A layer in several places of a network has the path of the first.
local function is_new(layer, seen)
  local path = core.layer_path(layer)
  local new = not seen[path]
  seen[path] = true
  return new and path
end

local function add_whole(layer, out, seen)
  local path = is_new(layer, seen)
  if not path then return end
  out[#out + 1] = { path = path, layer = layer, weight = join(path, "weight"), part = 0, parts = 1 }
end

local function add_thirds(layer, out, seen)
  local path = is_new(layer, seen)
  if not path then return end
  for i, name in ipairs(THIRDS) do
    out[#out + 1] = { path = path:gsub("[^.]*$", name), layer = layer, weight = join(path, "weight"), part = i - 1,
      parts = #THIRDS }
  end
end

local function gather(layer, out, seen)
  if core.layer_adapts(layer) then return add_whole(layer, out, seen) end
  local fused = core.layer_is_fused(layer)
  for _, named in ipairs(core.layer_parts(layer)) do
    if fused and named[1] == "qkv" then add_thirds(named[2], out, seen) else gather(named[2], out, seen) end
  end
end

--- The places of a model, in the order of its layers: {path, layer, weight = the name of its weight,
--- part = 0, 1 or 2 of q, k and v, parts = 1 or 3}.
---@param m any a model
---@return table[]
function places.of(m)
  local out, seen = {}, {}
  for _, named in ipairs(private[m].layers) do gather(named[2], out, seen) end
  return out
end

return places

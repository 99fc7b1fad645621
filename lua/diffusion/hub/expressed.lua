-- Networks as classes of diffusers: the config and the tensors there.
local as_unet2d = require "diffusion.hub.as_unet2d"
local core = require "diffusion.core"
local families = require "diffusion.nn.family"
local legible = require "diffusion.legible"
local model = require "diffusion.nn.model"
local opts = require "diffusion.opts"
local peers = require "diffusion.nn.peers"

local expressed = {}

-- Why a family has no class there.
local REASONS = {
  dit = "its time has sines of other frequencies than DiTTransformer2DModel, and one embedding for all blocks",
  mlp = "diffusers has no such class",
  context_mlp = "diffusers has no such class",
  module = "it was composed in Lua, and only this script knows its forward",
  network = "its list of layers has no class there",
}

-- The tensors in their type of the file, dense. Weights in blocks, which such files don't have, become f16.
local function converted(tensors, dtype)
  local out = {}
  for name, x in pairs(tensors) do
    x = x:detach()
    local wanted = dtype or core.is_stored(x) and "f16" or x:dtype()
    out[name] = x:dtype() ~= wanted and x:to(wanted) or x
  end
  return out
end

-- A config of UNet2DModel with the defaults of that class.
local function complete(config)
  local found = families.find "unet2d"
  local out = peers.config(found, found.peers.diffusers, opts.check("unet2d", nil, found.options))
  for key, value in pairs(config) do out[key] = value end
  return out
end

--- A network as a class of diffusers.
---@param net diffusion.model|diffusion.ema
---@param dtype string|nil
---@return string|nil class nil with a message if it can't be expressed
---@return table|string config or the message
---@return table<string, diffusion.tensor>|nil tensors
---@return string|nil library that has the class, if it isn't diffusers
function expressed.network(net, dtype)
  local state, o = model.stored(net)
  local found = families.find(o.kind)
  local entry = found and found.peers and found.peers.diffusers
  if not entry then
    return legible.refused("%s can't be a network of diffusers: %s", tostring(o.name or o.kind),
      REASONS[o.kind] or "it has no class there")
  end
  if o.kind == "unet" then
    local config, message = as_unet2d.config(o)
    if not config then return legible.refused("this unet can't be a UNet2DModel: %s", message) end
    return entry.class, complete(config), converted(as_unet2d.tensors(o, entry, state), dtype)
  end
  if o.time_offset and o.time_offset ~= (o.time_embedding_type == "fourier" and 0 or 1) then
    return legible.refused("this %s can't be a %s: its time_offset is %g, and the class has none", o.kind, entry.class,
      o.time_offset)
  end
  local config, message = peers.config(found, entry, o)
  if not config then return nil, message end
  return peers.class(entry, o), config, converted(peers.saved(entry, state), dtype), entry.library
end

return expressed

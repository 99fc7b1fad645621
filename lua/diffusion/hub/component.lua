-- One component of a pipeline: a config and weights as a network of the family that its class names.
local adopted = require "diffusion.hub.adopted"
local config = require "diffusion.hub.config"
local fail = require "diffusion.fail"
local families = require "diffusion.nn.family"
local folder = require "diffusion.hub.folder"
local legible = require "diffusion.legible"
local peers = require "diffusion.nn.peers"
local warning = require "diffusion.warning"
local weights = require "diffusion.hub.weights"

local component = {}

-- ==== the family of a class ==============================================================

-- Classes of 2022, before diffusers 0.2, and keys of their configs. No present version reads them.
local OLDEST = { UNetModel = true, UNetUnconditionalModel = true, UNetConditionalModel = true, UNetLDMModel = true,
  UNetGradTTSModel = true, GlideUNetModel = true, NCSNpp = true, TemporalUNet = true }

-- Classes that became another one: as diffusers does, by a value of the config.
local function renamed(class, given)
  if class == "Transformer2DModel" and given.norm_type == "ada_norm_zero" then return "DiTTransformer2DModel" end
  return class
end

--- The family of networks that a class of a peer's stands for, nil if there is none.
---@param class string
---@return table|nil
function component.family(class)
  local found = families.find((class:gsub("Model$", ""):lower()))
  local entry = found and found.peers and found.peers.diffusers
  return entry and entry.class == class and found or nil
end

local function is_oldest(class, given)
  return OLDEST[class] or given.ch_mult ~= nil and given.block_out_channels == nil
end

local function family_of(path, class, given)
  class = renamed(class, given)
  local found = component.family(class)
  if found then return found, class end
  if is_oldest(class, given) then
    return legible.refused("%s: a %s of before diffusers 0.2, in a form that no later version reads", path, class)
  end
  return legible.refused("%s: networks of class %s aren't followed here", path, class)
end

-- ==== the network ========================================================================

local ROLES = { AutoencoderKL = "vae", AutoencoderTiny = "vae", VQModel = "vae", DiTTransformer2DModel = "transformer" }

--- The part that a network is in a pipeline.
---@param class string
---@return string role "unet", "transformer" or "vae"
function component.role(class) return ROLES[class] or "unet" end

local function described(here, class, o)
  local path = folder.join(here, "config.json")
  if not here.files["config.json"] then return folder.missing(here, "config.json") end
  local given, message = config.read(path)
  if not given then return nil, message end
  local own, why = config.class(path, given)
  if why then return nil, why end
  class = class or o.class_name or own
  if not class then
    return legible.refused("%s: no '_class_name'; the option class_name names it, as \"UNet2DModel\"", path)
  end
  return { path = path, class = class, config = given, keys = config.keys(given) }
end

local function warn(m, path, class, unknown)
  if #unknown == 0 then return end
  warning.once(m, "keys", "%s: %s has no option %s; ignored", path, class, table.concat(unknown, ", "))
end

-- The network of a config with the weights of its folder.
local function made(found, info, tensors, o)
  local options, unknown = fail.try(peers.options, found, found.peers.diffusers, info.keys)
  if not options then return legible.refused("%s: %s", info.path, unknown) end
  local m, message = adopted.network(found, found.peers.diffusers, options, tensors, o.frozen)
  if not m then return legible.refused("%s: %s", info.path, message) end
  warn(m, info.path, info.class, unknown or {})
  return m
end

--- The network in a folder.
---@param here diffusion.hub_folder
---@param class string|nil the class that an index names
---@param o table options of d.hub.load
---@return diffusion.model|nil model nil with a message
---@return string|nil message
---@return string|nil class
function component.load(here, class, o)
  local info, message = described(here, class, o)
  if not info then return nil, message end
  local found
  found, message = family_of(info.path, info.class, info.config)
  if not found then return nil, message end
  info.class = message
  local choice, tensors, m
  choice, message = weights.choose(here, "diffusers", o.variant)
  if choice then tensors, message = weights.read(choice, o) end
  if tensors then m, message = made(found, info, tensors, o) end
  if not m then return nil, message end
  return m, nil, info.class
end

return component

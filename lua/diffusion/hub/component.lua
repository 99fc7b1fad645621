-- One component of a pipeline: a config and weights as a network of the family that its class names.
local adopted = require "diffusion.hub.adopted"
local config = require "diffusion.hub.config"
local fail = require "diffusion.fail"
local families = require "diffusion.nn.family"
local folder = require "diffusion.hub.folder"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local peers = require "diffusion.nn.peers"
local transformers = require "diffusion.hub.transformers"
local warning = require "diffusion.warning"
local weights = require "diffusion.hub.weights"

local component = {}

-- ==== the family of a class ==============================================================

-- Classes of 2022, before diffusers 0.2, and keys of their configs. No present version reads them.
local OLDEST = { UNetModel = true, UNetUnconditionalModel = true, UNetConditionalModel = true, UNetLDMModel = true,
  UNetGradTTSModel = true, GlideUNetModel = true, NCSNpp = true, TemporalUNet = true }

-- Classes that became another one: as diffusers does, by a value of the config. CLIPModel has two
-- encoders, and the one of text is taken.
local function renamed(class, given)
  if class == "Transformer2DModel" and given.norm_type == "ada_norm_zero" then return "DiTTransformer2DModel" end
  return class == "CLIPModel" and "CLIPTextModelWithProjection" or class
end

--- The family of networks that a class of a peer's stands for, nil if there is none.
---@param class string
---@return table|nil family
---@return table|nil implied the options that the class stands for
function component.family(class)
  local found = families.find((class:match "^(.*)Model" or class):lower())
  local entry = found and found.peers and found.peers.diffusers
  local implied = entry and peers.implied(entry, class)
  if implied then return found, implied end
end

local function is_oldest(class, given)
  return OLDEST[class] or given.ch_mult ~= nil and given.block_out_channels == nil
end

local function family_of(path, class, given)
  class = renamed(class, given)
  local found, implied = component.family(class)
  if found then return found, class, implied end
  if is_oldest(class, given) then
    return legible.refused("%s: a %s of before diffusers 0.2, in a form that no later version reads", path, class)
  end
  return legible.refused("%s: networks of class %s aren't followed here", path, class)
end

-- ==== the network ========================================================================

local ROLES = { AutoencoderKL = "vae", AutoencoderTiny = "vae", VQModel = "vae", DiTTransformer2DModel = "transformer",
  CLIPTextModel = "text", CLIPTextModelWithProjection = "text" }

--- The part that a network is in a pipeline.
---@param class string
---@return string role "unet", "transformer", "vae" or "text"
function component.role(class) return ROLES[class] or "unet" end

local function described(here, class, o)
  local path = folder.join(here, "config.json")
  if not here.files["config.json"] then return folder.missing(here, "config.json") end
  local given, message = config.read(path)
  if not given then return nil, message end
  local own, why = config.class(path, given)
  if why then return nil, why end
  class = class or o.class_name or own or transformers.class(given)
  if not class then
    return legible.refused("%s: no '_class_name'; the option class_name names it, as \"UNet2DModel\"", path)
  end
  return { path = path, class = class, config = given }
end

local function warn(m, path, class, unknown)
  if #unknown == 0 then return end
  warning.once(m, "keys", "%s: %s has no option %s; ignored", path, class, table.concat(unknown, ", "))
end

-- Whether a config is of diffusers before 0.9. Versions without a number count as new ones, as there.
local function is_old(given)
  local minor = type(given._diffusers_version) == "string" and given._diffusers_version:match "^0%.(%d+)"
  return minor and tonumber(minor) < 9
end

-- The keys that a family reads. Some pipelines draw images of at least `side` latents with the networks of old folders.
local function keys_of(found, info, o)
  if info.library == "transformers" then return transformers.keys(found, info.config) end
  local keys = config.keys(info.config)
  local small = o.side and math.type(keys.sample_size) == "integer" and keys.sample_size < o.side
  if small and is_old(info.config) then keys.sample_size = o.side end
  return keys
end

-- The network of a config with the weights of its folder.
local function made(found, info, tensors, o)
  local keys = keys_of(found, info, o)
  local options, unknown = fail.try(peers.options, found, found.peers.diffusers, keys)
  if not options then return legible.refused("%s: %s", info.path, unknown) end
  local entry = found.peers.diffusers
  local m, message = adopted.network(found, entry, opts.joined(options, info.implied), tensors, o)
  if not m then return legible.refused("%s: %s", info.path, message) end
  warn(m, info.path, info.class, unknown or {})
  return m
end

--- The network in a folder.
---@param here diffusion.hub_folder
---@param class string|nil the class that an index names
---@param o table options of d.hub.load, and side = the least side of x in old folders
---@return diffusion.model|nil model nil with a message
---@return string|nil message
---@return table|nil info {class =, config = of the file, role = see component.role, variant =, files = paths}
function component.load(here, class, o)
  local info, message = described(here, class, o)
  if not info then return nil, message end
  local found
  found, message, info.implied = family_of(info.path, info.class, info.config)
  if not found then return nil, message end
  info.class, info.library = message, found.peers.diffusers.library or "diffusers"
  local choice, tensors, m
  choice, message = weights.choose(here, info.library, o.variant)
  if choice then tensors, message = weights.read(choice, o) end
  if tensors then m, message = made(found, info, tensors, o) end
  if not m then return nil, message end
  info.role, info.variant, info.files = component.role(info.class), choice.variant, { info.path }
  for _, name in ipairs(weights.names(choice)) do info.files[#info.files + 1] = folder.join(here, name) end
  return m, nil, info
end

return component

-- The options of d.hub.load, and which of them are for what a path leads to.
local foreign = require "diffusion.hub.foreign"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"

local load_options = {}

load_options.rules = opts.declare("hub_load", opts.joined(foreign.rules, {
  variant = { "string", default_text = "the plain weights, or the only ones",
    text = "part of the name of the weights: fp16, non_ema" },
  frozen = { "boolean", default_text = "until training begins",
    text = "true uses the weights as they are, mapped; false copies them to f32 at once" },
  recompute = { "boolean", default = false,
    text = "networks recompute their blocks in the backward pass: training takes less memory and more time" },
  copy = rule.copy,
  dtype = { one_of = { "f16", "bf16", "f32", "f64" }, default_text = "that of the file",
    text = "a type to which the weights are converted" },
  scheduler = { "string|table", default_text = "that of the folder",
    text = "another scheduler: the path of a config, a config, or a class for the config in the folder" },
  steps = { "integer", min = 1, default_text = "that of the pipeline",
    text = "number of steps of a call that has none" },
  labels = { "table", each = { "string" }, as = "string[]", default_text = "those of the folder",
    text = "names of the classes from 1" },
  vae = { "path|boolean", as = "string|false", default_text = "that of the folder",
    text = "the folder of another autoencoder, or a file of TAESD or of latent diffusion; false for none" },
  text = { "boolean", default = true, text = "false leaves text encoders out; prompts are then given encoded" },
  tokenizer = { "path", default_text = "that of the folder",
    text = "a tokenizer for a single file of Stable Diffusion, which has none; see d.tokenizer" },
  tiny = { "path", default_text = "none", text = "a small autoencoder for pipe:preview: a folder, or a file of TAESD" },
  class_name = { "string", default_text = "that of the config", text = "class of a component whose config names none" },
  cache = { "path", default_text = "HF_HUB_CACHE, or $HF_HOME/hub, or ~/.cache/huggingface/hub",
    text = "folder of a cache of huggingface_hub, in which a name is looked up" },
  revision = { "string", default_text = "main", text = "branch, tag or commit of a model in the cache" },
}))

-- Options that a folder alone has. With `vae`, a file of another library has a folder next to it.
local OF_FOLDERS = { "cache", "class_name", "revision", "variant" }

-- Options of an autoencoder that is a file, and the pipe may be a folder.
local OF_A_VAE = { groups = true, scaling_factor = true, shift_factor = true }

-- Refuses options of something else than what was found, so that none is ignored.
local function without(names, o, path, this, whose)
  local given = {}
  for _, name in ipairs(names) do
    if o[name] ~= nil then given[#given + 1] = ("'%s'"):format(name) end
  end
  if #given == 0 then return true end
  return legible.refused("%s: %s %s %s for %s, and this is %s", path, #given == 1 and "option" or "options",
    table.concat(given, ", "), #given == 1 and "is" or "are", whose, this)
end

--- Refuses options that aren't for a file of another library.
---@param path string
---@param o table the checked options
---@param parts table those of the pipe: a file of Stable Diffusion has a scheduler and reads prompts
---@return true|nil fine nil with a message
---@return string|nil message
function load_options.of_file(path, o, parts)
  local names = o.vae and {} or { table.unpack(OF_FOLDERS) }
  if not parts.scheduler then names[#names + 1] = "scheduler" end
  local fine, message = without(names, o, path, "a file of another library", "folders of diffusers")
  if not fine or parts.prompted then return fine, message end
  return without({ "tokenizer" }, o, path, "a network without prompts", "files of Stable Diffusion")
end

--- Refuses options that aren't for a folder.
---@param path string
---@param o table
---@return true|nil fine nil with a message
---@return string|nil message
function load_options.of_folder(path, o)
  local names = { "tokenizer" }
  for _, name in ipairs(opts.names(foreign.rules)) do
    if not (o.vae and OF_A_VAE[name]) then names[#names + 1] = name end
  end
  return without(names, o, path, "a folder of diffusers", "files of other libraries")
end

--- Refuses options that aren't for a pipeline.
---@param path string
---@param o table
---@param class string
---@param latents boolean whether it draws latents
---@return true|nil fine nil with a message
---@return string|nil message
function load_options.of_pipeline(path, o, class, latents)
  local fine, message = without({ "class_name" }, o, path, "a pipeline", "a folder of one component")
  if fine and o.vae and not latents then
    return legible.refused("%s: this is a %s, which has no latents, so vae has no use", path, class)
  end
  return fine, message
end

return load_options

-- d.hub.load: a folder of diffusers, or of the cache of huggingface_hub, as a pipe.
local component = require "diffusion.hub.component"
local config = require "diffusion.hub.config"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local folder = require "diffusion.hub.folder"
local foreign = require "diffusion.hub.foreign"
local json = require "diffusion.file.json"
local labels = require "diffusion.hub.labels"
local legible = require "diffusion.legible"
local load_options = require "diffusion.hub.load_options"
local opts = require "diffusion.opts"
local pipe = require "diffusion.hub.pipe"
local pipelines = require "diffusion.hub.pipelines"
local weights = require "diffusion.hub.weights"

local INDEX, SCHEDULER = "model_index.json", "scheduler_config.json"

-- ==== parts of a pipeline ================================================================

local CONFIG = "config.json"

-- The folder of a component that has this description. Old repositories have all files at their root.
local function folder_of(here, name, file)
  if here.folders[name] then return folder.below(here, name) end
  if here.files[file] then return here end
  return folder.missing(here, name .. "/" .. file)
end

-- The class that an index gives to a component. Next to it stands a library: diffusers, the folder of a
-- pipeline there, or a file of Python's in the component's folder.
local function class_of(path, index, name)
  local entry = index[name]
  if entry == nil or entry == json.null or type(entry) == "table" and entry[1] == json.null then
    return legible.refused("%s: its '%s' is %s, but %s needs it", path, name, entry == nil and "missing" or "null",
      index._class_name)
  end
  local fine = type(entry) == "table" and type(entry[1]) == "string" and type(entry[2]) == "string"
  if not fine then
    return legible.refused("%s: '%s' must be a library and a class, got %s", path, name, config.shown(entry))
  end
  local code = ("%s/%s.py"):format(name, entry[1])
  if core.place(path:gsub("[^/]*$", "") .. code) == "file" then
    return legible.refused("%s: '%s' is %s of %s; classes that come with a folder aren't followed", path, name,
      entry[2], code)
  end
  return entry[2]
end

-- The config of the scheduler, of the class that the pipeline makes of it.
local function scheduler_of(here, class)
  local own, message = folder_of(here, "scheduler", SCHEDULER)
  if not own then return nil, message end
  if not own.files[SCHEDULER] then return folder.missing(own, SCHEDULER) end
  local given
  given, message = config.read(folder.join(own, SCHEDULER))
  if not given then return nil, message end
  given._class_name = class
  return given
end

-- The option `scheduler`: a path of a config, a config, or a class for the config that is there.
local function chosen_scheduler(o, own)
  local given = o.scheduler
  if type(given) ~= "string" then return given or own end
  local there = folder.list(given)
  local path = there and there.files[SCHEDULER] and folder.join(there, SCHEDULER) or given
  if core.place(path) == "file" then return config.read(path) end
  if own then
    local out = {}
    for key, value in pairs(own) do out[key] = value end
    out._class_name = given
    return out
  end
  return legible.refused("scheduler = '%s': no such file, and there is no config of which it could be the class", given)
end

-- Whether a component has weights of the variant that is wanted.
local function has_variant(here, name, o)
  local own = folder_of(here, name, CONFIG)
  return own ~= nil and weights.variants(own, "diffusers")[o.variant] ~= nil
end

-- The network of a component. A variant that only other components have is left out.
local function network_of(here, names, name, class, o)
  local own, message = folder_of(here, name, CONFIG)
  if not own then return nil, message end
  local known = false
  for _, one in ipairs(o.variant and names or {}) do known = known or has_variant(here, one, o) end
  if known and not has_variant(here, name, o) then
    o = opts.joined(o)
    o.variant = nil
  end
  return component.load(own, class, o)
end

-- A component that is what its pipeline needs in this place.
local function part_of(here, path, index, names, i, o)
  local name = names[i]
  local class, message = class_of(path, index, name)
  if not class then return nil, message end
  local m, why, own = network_of(here, names, name, class, o)
  if not m then return nil, why end
  local role = i == 2 and "vae" or name
  if component.role(own) ~= role then
    return legible.refused("%s: '%s' is %s, which is no %s", path, name, own, role)
  end
  return m, nil, own
end

local function in_folder(o)
  local there, message = folder.find(o.vae, o)
  if not there then return nil, message end
  local m, why, class = component.load(there, o.class_name, o)
  if m and component.role(class) ~= "vae" then
    return legible.refused("vae = '%s': %s, which is no autoencoder", o.vae, class)
  end
  return m, why, class
end

local function in_file(o)
  local parts, message = foreign.load(o.vae, { copy = o.copy, dtype = o.dtype, frozen = o.frozen })
  if not parts then return nil, message end
  if not parts.vae then return legible.refused("vae = '%s': %s, which is no autoencoder", o.vae, parts.class) end
  return parts.vae, nil, parts.classes.vae
end

-- The option `vae` names a folder, or a file of TAESD.
local function other_vae(o) return (core.place(o.vae) == "file" and in_file or in_folder)(o) end

-- The same of a folder, whose own class and revision other options name.
local function vae_for(o) return other_vae(opts.joined(o, { class_name = false, revision = false })) end

local function vae_of(here, path, index, names, o)
  if o.vae == false then return nil end
  if o.vae then return vae_for(o) end
  local vae, why, class = part_of(here, path, index, names, 2, o)
  if not vae then
    return legible.refused("%s; vae = false draws latents, and vae = \"path\" takes another autoencoder", why)
  end
  return vae, nil, class
end

-- ==== pipelines ==========================================================================

local function made(parts, o)
  parts.steps, parts.labels = o.steps or parts.steps, o.labels or parts.labels
  local one, message = fail.try(pipe.new, parts)
  if not one then return legible.refused("%s: %s", parts.path, (message:gsub("^pipe: ", ""))) end
  return one
end

-- The config of the scheduler of an index, or the one that the options name.
local function pipeline_scheduler(here, path, index, known, o)
  local class, message = class_of(path, index, "scheduler")
  if not class then return nil, message end
  local own
  own, message = scheduler_of(here, known.scheduler or class)
  if not own then return nil, message end
  return chosen_scheduler(o, own)
end

local function parts_of(here, path, index, known, o)
  local names, out = { known.denoiser or "unet", known.vae }, { classes = {} }
  local scheduler, message = pipeline_scheduler(here, path, index, known, o)
  if not scheduler then return nil, message end
  out.scheduler = scheduler
  out.unet, message, out.classes.unet = part_of(here, path, index, names, 1, o)
  if not out.unet then return nil, message end
  if known.vae then
    out.vae, message, out.classes.vae = vae_of(here, path, index, names, o)
    if message then return nil, message end
  end
  return out
end

local function pipeline(here, o)
  local path = folder.join(here, INDEX)
  local index, message = config.read(path)
  if not index then return nil, message end
  local class, why = config.class(path, index)
  if why then return nil, why end
  local known = class and pipelines.find(class)
  if not known then
    return legible.refused("%s: %s isn't run here; these are: %s", path, class or "a pipeline without a '_class_name'",
      table.concat(pipelines.names(), ", "))
  end
  local fine, parts
  fine, message = load_options.of_pipeline(here.path, o, class, known.vae ~= nil)
  if fine then parts, message = parts_of(here, path, index, known, o) end
  if not parts then return nil, message end
  for key, value in pairs(known) do
    if parts[key] == nil and key ~= "scheduler" and key ~= "vae" then parts[key] = value end
  end
  parts.class, parts.path, parts.labels = class, here.path, labels.read(index.id2label)
  return made(parts, o)
end

-- A pipe of a denoiser, with the autoencoder of the option if it names one.
local function with_vae(parts, o, find)
  local message
  if o.vae then parts.vae, message, parts.classes.vae = find(o) end
  if message then return nil, message end
  return made(parts, o)
end

-- A folder of one component: a denoiser or an autoencoder.
local function single(here, o)
  local m, message, class = component.load(here, o.class_name, o)
  if not m then return nil, message end
  local scheduler
  if o.scheduler then
    scheduler, message = chosen_scheduler(o, nil)
    if not scheduler then return nil, message end
  end
  local parts = { class = class, path = here.path, scheduler = scheduler, classes = {} }
  if component.role(class) ~= "vae" then
    parts.unet, parts.classes.unet = m, class
    return with_vae(parts, o, vae_for)
  end
  if o.vae then return legible.refused("%s: this is an autoencoder, and vae = '%s' another", here.path, o.vae) end
  parts.vae, parts.classes.vae = m, class
  return made(parts, o)
end

-- A file of another library. Its network may be one of latents.
local function other(path, o)
  local parts
  local fine, message = load_options.of_file(path, o)
  if fine then parts, message = foreign.load(path, o) end
  if not parts then return nil, message end
  return with_vae(parts, o, other_vae)
end

-- ==== the call ===========================================================================

-- Why a folder isn't one of a model.
local function absence(here)
  local unfinished = folder.unfinished(here)
  if unfinished then return ("no %s yet: the download of %s isn't finished"):format(INDEX, unfinished) end
  local parts = here.folders.unet or here.folders.scheduler or here.folders.transformer
  return parts and ("no %s: its download, or its saving, was interrupted"):format(INDEX)
    or ("no %s and no config.json, so not the folder of a model"):format(INDEX)
end

-- The path of an index, of a config, or of weights with a config next to them stands for the folder.
local function meant(path)
  local dir, name = path:match "^(.*)/([^/]+)$"
  if not dir then dir, name = ".", path end
  local described = name == INDEX or name == CONFIG
    or name:find "^diffusion_pytorch_model" and core.place(dir .. "/" .. CONFIG) == "file"
  return described and core.place(path) == "file" and dir or path
end

--- Opens a model that others trained. It may be a folder of diffusers: one with model_index.json, or
--- config.json of one component. It may be a name in the cache of huggingface_hub. Or it is a PyTorch or
--- safetensors file of guided-diffusion, improved-diffusion, DiT, denoising-diffusion-pytorch, EDM or
--- TAESD, whose other half must lie next to it.
--- Nothing is fetched. Weights are windows on mapped files, so a model opens at once; d.adamw and d.ema copy
--- them to f32 first. Components that the pipeline doesn't need are passed over. The keys of a file tell
--- sizes. Options that they don't tell are asked for: image, heads, schedule and so on.
---@param path string a folder, or a name as "google/ddpm-cifar10-32"
---@param options diffusion.hub_load_options?
---@return diffusion.pipe|nil pipe nil with a message
---@return string|nil message
local function load(path, options)
  local o = opts.check("hub.load", options, load_options.rules, 2)
  if o.vae == true then
    fail.raise "bad argument #2 to 'hub.load' (option 'vae': a path or false expected, got true)"
  end
  local place = meant(opts.path("hub.load", path))
  if core.place(place) == "file" then return other(place, o) end
  local here, message = folder.find(place, o)
  if not here then return nil, message end
  local open = here.files[INDEX] and pipeline or here.files[CONFIG] and single
  if open then
    local fine, why = load_options.of_folder(here.path, o)
    if not fine then return nil, why end
    return open(here, o)
  end
  return legible.refused("%s: %s", here.path, absence(here))
end

return { load = load }

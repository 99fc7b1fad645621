-- d.hub.load: a folder of diffusers, or of the cache of huggingface_hub, as a pipe.
local component = require "diffusion.hub.component"
local config = require "diffusion.hub.config"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local folder = require "diffusion.hub.folder"
local foreign = require "diffusion.hub.foreign"
local labels = require "diffusion.hub.labels"
local legible = require "diffusion.legible"
local load_options = require "diffusion.hub.load_options"
local opts = require "diffusion.opts"
local pipe = require "diffusion.hub.pipe"
local pipelines = require "diffusion.hub.pipelines"
local encoders = require "diffusion.hub.encoders"
local tokenizer = require("diffusion.text.tokenizer").tokenizer
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
  if encoders.is_absent(index, name) then
    return legible.refused("%s: its '%s' is %s, but %s needs it", path, name, entry == nil and "missing" or "null",
      index._class_name)
  end
  local fine = type(entry) == "table" and type(entry[1]) == "string" and type(entry[2]) == "string"
  if not fine or not entry[1]:find "^[%w_.-]+$" then -- it becomes a part of a path
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
  return given, nil, folder.join(own, SCHEDULER)
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
  local function has(library) return weights.variants(own, library)[o.variant] ~= nil end
  return own ~= nil and (has "diffusers" or has "transformers")
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
  if own.role ~= role then
    return legible.refused("%s: '%s' is %s, which is no %s", path, name, own.class, role)
  end
  return m, nil, own
end

local function in_folder(o, option)
  local there, message = folder.find(o.vae, o)
  if not there then return nil, message end
  local m, why, info = component.load(there, o.class_name, o)
  if m and info.role ~= "vae" then
    return legible.refused("%s = '%s': %s, which is no autoencoder", option, o.vae, info.class)
  end
  return m, why, info
end

-- The option `vae` names a folder, or a file of TAESD or latent diffusion. Such a file doesn't tell the latents'
-- scale, but the pipeline does.
local function other_vae(o, known, option)
  option = option or "vae"
  if core.place(o.vae) ~= "file" then return in_folder(o, option) end
  return foreign.vae(o.vae, opts.joined({ scaling_factor = known and known.factor }, o), option)
end

-- The same of a folder, whose own class and revision other options name.
local function vae_for(o, known, option)
  return other_vae(opts.joined(o, { class_name = false, revision = false }), known, option)
end

local function vae_of(here, path, index, names, o, known)
  if o.vae == false then return nil end
  if o.vae then return vae_for(o, known) end
  local vae, why, info = part_of(here, path, index, names, 2, o)
  if not vae then
    return legible.refused("%s; vae = false draws latents, and vae = \"path\" takes another autoencoder", why)
  end
  return vae, nil, info
end

-- ==== pipelines ==========================================================================

-- Adds files to those of a pipe, by their names below its folder.
local function add_files(parts, root, paths)
  parts.files = parts.files or {}
  for _, path in ipairs(paths or {}) do
    local below = path:sub(1, #root + 1) == root .. "/" and path:sub(#root + 2)
    parts.files[below or path:match "[^/]+/[^/]+$" or path] = path
  end
end

-- Another autoencoder, for previews.
local function tiny_of(parts, o)
  if not o.tiny then return true end
  local tiny, message, info = vae_for(opts.joined(o, { vae = o.tiny }), nil, "tiny")
  if not tiny then return nil, message end
  parts.tiny, parts.classes.tiny = tiny, info.class
  return true
end

local function made(parts, o)
  local fine, why = tiny_of(parts, o)
  if not fine then return nil, why end
  parts.steps, parts.asked, parts.labels = o.steps or parts.steps, o.steps, o.labels or parts.labels
  local one, message = fail.try(pipe.new, parts)
  if not one then return legible.refused("%s: %s", parts.path, (message:gsub("^pipe: ", ""))) end
  return one
end

-- Puts a network in its place in a pipe. The result is a message if there is no network.
local function placed(parts, root, name, net, message, info)
  parts[name] = net
  if info then
    parts.classes[name] = info.class
    add_files(parts, root, info.files)
  end
  return message
end

-- The config of the scheduler of an index, or the one that the options name.
local function pipeline_scheduler(parts, here, path, index, known, o)
  local class, message = class_of(path, index, "scheduler")
  if not class then return nil, message end
  local own, file
  own, message, file = scheduler_of(here, known.scheduler or class)
  if not own then return nil, message end
  if not o.scheduler then add_files(parts, here.path, { file }) end
  own, message = chosen_scheduler(o, own)
  return own and opts.joined(own, known.corrects or {}), message
end

-- Adds text encoders and their tokenizers. The result is a message if that fails.
local function with_encoders(out, here, path, index, known, names, o)
  local function network(name, class)
    local net, message, info = network_of(here, names, name, class, o)
    if net then add_files(out, here.path, info.files) end
    return net, message, info
  end
  local function tokens(name)
    local own, message = folder.below(here, name)
    if not own then return nil, message end
    for file in pairs(own.files) do add_files(out, here.path, { folder.join(own, file) }) end
    return tokenizer(own.path)
  end
  return encoders.parts(out, index, known,
    { path = path, class_of = class_of, network_of = network, tokenizer_of = tokens }, o)
end

local function parts_of(here, path, index, known, o)
  local names, out = { known.denoiser or "unet", known.vae }, { classes = {} }
  local scheduler, message = pipeline_scheduler(out, here, path, index, known, o)
  if not scheduler then return nil, message end
  out.scheduler = scheduler
  add_files(out, here.path, { path })
  message = placed(out, here.path, "unet", part_of(here, path, index, names, 1, opts.joined(o, { side = known.side })))
  if not message and known.vae then
    message = placed(out, here.path, "vae", vae_of(here, path, index, names, o, known))
  end
  if not message and known.prompted then message = with_encoders(out, here, path, index, known, names, o) end
  if message then return nil, message end
  return out
end

-- Adds what pipelines.lua says of a class, if it does.
local function with_facts(parts, known)
  for key, value in pairs(known or {}) do
    if parts[key] == nil and key ~= "scheduler" and key ~= "vae" then parts[key] = value end
  end
  return parts
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
  parts.class, parts.path, parts.labels = class, here.path, labels.read(index.id2label)
  return made(with_facts(parts, known), o)
end

-- A pipe of a denoiser, with the autoencoder of the option if it names one.
local function with_vae(parts, root, o, find)
  local message
  if o.vae then message = placed(parts, root, "vae", find(o)) end
  if message then return nil, message end
  return made(parts, o)
end

-- A folder that has one component: a denoiser, an autoencoder or a text encoder.
local function single(here, o)
  local m, message, info = component.load(here, o.class_name, o)
  if not m then return nil, message end
  local scheduler
  if o.scheduler then
    scheduler, message = chosen_scheduler(o, nil)
    if not scheduler then return nil, message end
  end
  local parts = { class = info.class, path = here.path, scheduler = scheduler, classes = {} }
  local part = info.role == "transformer" and "unet" or info.role
  placed(parts, here.path, part, m, nil, info)
  if part == "unet" then return with_vae(parts, here.path, o, vae_for) end
  if o.vae then return legible.refused("%s: vae = '%s' has no use next to %s", here.path, o.vae, info.class) end
  return made(parts, o)
end

-- Adds the files of the option `tokenizer`, a folder or a file.
local function add_tokenizer_files(parts, path)
  local here = folder.list(path)
  if not here then return add_files(parts, path:match "^(.*)/" or ".", { path }) end
  for file in pairs(here.files) do add_files(parts, here.path, { folder.join(here, file) }) end
end

-- A file of another library. Its network may be one of latents, or it may have those of a whole pipeline.
local function other(path, o)
  local parts, message = foreign.load(path, o)
  if not parts then return nil, message end
  local known = pipelines.find(parts.class)
  parts = with_facts(parts, known)
  local fine, why = load_options.of_file(path, o, parts)
  if not fine then return nil, why end
  local root = path:match "^(.*)/" or "."
  add_files(parts, root, { path })
  if parts.tokenizer or parts.tokenizer2 then add_tokenizer_files(parts, o.tokenizer) end
  if o.scheduler or parts.scheduler then
    parts.scheduler, message = chosen_scheduler(o, parts.scheduler)
    if not parts.scheduler then return nil, message end
    parts.process = nil
  end
  return with_vae(parts, root, o, function(given) return other_vae(given, known) end)
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
  local weighs = name:find "^diffusion_pytorch_model" or name:find "^model.*%.safetensors$"
  local described = name == INDEX or name == CONFIG or weighs and core.place(dir .. "/" .. CONFIG) == "file"
  return described and core.place(path) == "file" and dir or path
end

--- Opens a model that others trained. It may be a folder of diffusers: one with model_index.json, or
--- config.json of one component. It may be a name in the cache of huggingface_hub. Or it is a PyTorch or
--- safetensors file of guided-diffusion, improved-diffusion, DiT, denoising-diffusion-pytorch, EDM, or of
--- TAESD, whose other half must lie next to it. Or it is one of Stable Diffusion in latent diffusion's form, also
--- as GGUF.
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

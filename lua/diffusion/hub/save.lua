-- d.hub.save: a pipe, or a network with its process, as a folder that diffusers opens.
local component = require "diffusion.hub.component"
local configs = require "diffusion.hub.config"
local encoders = require "diffusion.hub.encoders"
local expressed = require "diffusion.hub.expressed"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local labels = require "diffusion.hub.labels"
local layout = require "diffusion.hub.layout"
local legible = require "diffusion.legible"
local model = require "diffusion.nn.model"
local opts = require "diffusion.opts"
local paint = require "diffusion.hub.paint"
local pipe = require "diffusion.hub.pipe"
local pipelines = require "diffusion.hub.pipelines"
local process_config = require "diffusion.hub.process_config"
local rule = require "diffusion.rule"
local schedulers = require "diffusion.hub.scheduler"
local trained = require "diffusion.nn.trained"
local transformers = require "diffusion.hub.transformers"
local writing = require "diffusion.hub.writing"

local VERSION = "0.42.1" -- the version of diffusers whose form is written

local function is_network(value) return model.is_model(value) or kind.of(value) == "ema" end

-- ==== options ============================================================================

local how = {
  variant = { "string", default_text = "none", text = "part of the name of the weights: fp16, non_ema" },
  dtype = { one_of = { "f16", "bf16", "f32", "f64" }, default_text = "f32, or that of mapped weights",
    text = "type of the weights in the file" },
  max_shard_size = { "integer|string", default = 10000000000, min = 1, as = "integer|string",
    text = 'bytes of a file of weights at most: a number, or "5GB"' },
}
local what = {
  unet = { "model|ema", text = "the denoiser, or an average of one" },
  vae = { "model|ema", text = "an autoencoder" },
  text = { "model|ema", text = "a text encoder, d.cliptext" },
  text2 = { "model|ema", text = "SDXL's second text encoder" },
  tokenizer = { "tokenizer", text = "the tokenizer of text" },
  tokenizer2 = { "tokenizer", text = "the tokenizer of text2" },
  process = opts.joined(rule.process, { required = false, text = "the process that the denoiser was trained for" }),
  scheduler = { "table", text = "the config of a scheduler of diffusers, with its _class_name; in place of a process" },
  pipeline = { "string", default_text = "by the networks", text = "class of the pipeline" },
  labels = { "table", each = { "string" }, as = "string[]", default_text = "none",
    text = "names of the classes from 1" },
}
local rules = opts.declare("hub_save", opts.joined(what, how))

local UNITS = { KB = 1e3, MB = 1e6, GB = 1e9, TB = 1e12, KIB = 1 << 10, MIB = 1 << 20, GIB = 1 << 30, TIB = 1 << 40 }

local function bytes_of(size)
  if math.type(size) == "integer" then return size end
  local number, unit = size:match "^(%d+)%s*(%a+)$"
  local bytes = number and UNITS[unit:upper()] and math.tointeger(tonumber(number) * UNITS[unit:upper()])
  if not bytes or bytes < 1 then
    fail.raise("bad argument #3 to 'hub.save' (option 'max_shard_size': a size as \"5GB\" expected, got %s)", size)
  end
  return bytes
end

local function check_variant(variant)
  if variant and not variant:find "^[%w_-]+$" then
    fail.raise("bad argument #3 to 'hub.save' (option 'variant': letters, digits, _ and - expected, got '%s')", variant)
  end
end

-- ==== parts ==============================================================================

-- The parts of the second argument, and how they are written.
local function given(parts, options)
  if pipe.is_pipe(parts) then
    local own = pipe.parts(parts)
    local class = pipelines.find(own.class) and own.class or nil
    return { unet = own.unet, vae = own.vae, scheduler = own.scheduler, labels = own.labels,
      process = own.scheduler == nil and own.process or nil, pipeline = class, text = own.text, text2 = own.text2,
      tokenizer = own.tokenizer, tokenizer2 = own.tokenizer2, zeros = own.zeros, scored = own.scored },
      opts.check("hub.save", options, how, 3)
  end
  if is_network(parts) then return { alone = parts }, opts.check("hub.save", options, how, 3) end
  if kind.of(parts) ~= "table" then
    fail.raise("bad argument #2 to 'hub.save' (a pipe, a network or a table of them expected, got %s)",
      kind.shown(parts))
  end
  local both = {}
  for _, list in ipairs { parts, options or {} } do
    for key, value in pairs(list) do both[key] = value end
  end
  local o = opts.check("hub.save", both, rules, 2)
  return o, o
end

local function with_class(class, values)
  local out = { _class_name = class, _diffusers_version = VERSION }
  for key, value in pairs(values) do out[key] = value end
  return out
end

-- A network as a part of a folder.
local function network_part(name, net, o)
  if not is_network(net) then
    fail.raise("hub.save: a network, or an average of one, can be saved; the pipe has a %s", kind.of(net))
  end
  model.whole("hub.save", net)
  local class, config, tensors, library = expressed.network(net, o.dtype)
  if not class then return nil, config end
  local part = { folder = name, file = "config.json", tensors = tensors, class = class,
    library = library or "diffusers" }
  local is_text = library == "transformers"
  part.config = is_text and transformers.config(class, config, tensors) or with_class(class, config)
  part.stem = is_text and "model" or "diffusion_pytorch_model"
  return part
end

-- The config of the scheduler and the process that it stands for.
local function scheduler_of(parts)
  if parts.process then
    local config, message = process_config.of(parts.process)
    return config, message or parts.process
  end
  local process, message = schedulers.scheduler(parts.scheduler)
  if not process then return legible.refused("hub.save: the scheduler can't be followed: %s", message) end
  return parts.scheduler, process
end

local function scheduler_part(parts)
  local config, process = scheduler_of(parts)
  if not config then return nil, process end
  trained.check_target("hub.save", parts.unet, process)
  local class = config._class_name
  return { folder = "scheduler", file = "scheduler_config.json", config = with_class(class, configs.keys(config)),
    class = class, outputs = process.outputs }
end

-- The class of a pipeline of these networks.
local function pipeline_of(parts, unet, vae, scheduler)
  if parts.pipeline then return parts.pipeline end
  if component.role(unet.class) == "transformer" then return "DiTPipeline" end
  if layout.fits(parts.unet, parts.text) then return pipelines.with_layout end
  if parts.text or parts.text2 then return encoders.class(parts, paint.is_painter { unet = parts.unet }) end
  return vae and "LDMPipeline" or pipelines.of_scheduler(scheduler.class) or "DDPMPipeline"
end

-- Why the denoiser predicts a variance that the scheduler doesn't take, or none that it takes. nil if it fits.
local function misfit_of_output(known, config, outputs)
  local C = config.in_channels
  local out = math.type(config.out_channels) == "integer" and config.out_channels or C
  if outputs == 2 and out == C then
    return ("its scheduler takes a learned variance, and its network makes %d channels of %d"):format(out, C)
  end
  if outputs == 1 and out == 2 * C and not known.plain then
    return ("its network also predicts a variance (%d channels of %d), and its scheduler takes none"):format(out, C)
  end
end

-- Why a class of pipelines doesn't run with these parts, or nil.
local function misfit(class, known, unet, vae, scheduler)
  local role = known.denoiser or "unet"
  if component.role(unet.class) ~= role then return ("%s is no %s"):format(unet.class, role) end
  if known.vae and not vae then return "a vae is missing" end
  if vae and not known.vae then return "that class has no vae" end
  if vae and component.role(vae.class) ~= "vae" then return ("%s is no vae"):format(vae.class) end
  local only = pipelines.of_scheduler(scheduler.class)
  if known.only and known.only ~= scheduler.class then
    return ("that class runs with %s, and not with %s"):format(known.only, scheduler.class)
  end
  if only and only ~= class then return ("%s runs in %s alone"):format(scheduler.class, only) end
  return misfit_of_output(known, unet.config, scheduler.outputs)
end

local function check_parts(parts)
  if not parts.unet then fail.raise "hub.save: the unet is missing; d.hub.save(dir, network) saves one alone" end
  if not (parts.process or parts.scheduler) then
    fail.raise "hub.save: process or scheduler is missing; d.hub.save(dir, network) saves a network alone"
  end
  if parts.process and parts.scheduler then fail.raise "hub.save: process and scheduler; one of the two expected" end
  if parts.scheduler and type(parts.scheduler._class_name) ~= "string" then
    fail.raise "hub.save: the scheduler's config has no _class_name"
  end
end

-- The parts of a pipeline's folder, and its index.
local function pipeline(parts, o)
  check_parts(parts)
  local unet, vae, scheduler, message
  unet, message = network_part(nil, parts.unet, o)
  if unet then scheduler, message = scheduler_part(parts) end
  if scheduler and parts.vae then vae, message = network_part(nil, parts.vae, o) end
  if message then return nil, message end
  local class = pipeline_of(parts, unet, vae, scheduler)
  local known = pipelines.find(class)
  if not known then return legible.refused("hub.save: a pipeline of class %s isn't written here", class) end
  local why = misfit(class, known, unet, vae, scheduler)
  if why then return legible.refused("hub.save: these parts can't be a %s: %s", class, why) end
  local wrong = known.prompted and encoders.fault(parts, known, class)
  if wrong then return legible.refused("hub.save: %s", wrong) end
  unet.folder = known.denoiser or "unet"
  local list = { unet, scheduler }
  if known.vae then
    vae.folder = known.vae
    list[3] = vae
  end
  local index = with_class(class, { id2label = labels.written(parts.labels) })
  if known.prompted then
    message = encoders.add(list, index, parts, known, function(name, net) return network_part(name, net, o) end)
    if message then return nil, message end
  end
  for _, part in ipairs(list) do index[part.folder] = { part.library or "diffusers", part.class } end
  return list, index
end

--- Writes a folder that diffusers opens with from_pretrained: configs, weights and model_index.json.
--- A network of this library's own, d.unet, is written as a UNet2DModel if that class can express it.
--- Its classes keep their numbers less one, and a last row of zeros stands for no class. An interrupted
--- save leaves the old folder, or one that no program opens.
---@param dir string
---@param parts any a pipe; a network, or an average of one, alone; or the options with a unet
---@param options diffusion.hub_save_options? for a pipe or a network: variant, dtype, max_shard_size
---@return true|nil done nil with a message if it can't be written, or can't be expressed
---@return string|nil message
local function save(dir, parts, options)
  opts.path("hub.save", dir)
  local all, o = given(parts, options)
  check_variant(o.variant)
  local list, index
  if all.alone then
    local part, message = network_part(nil, all.alone, o)
    if not part then return nil, message end
    list = { part }
  else
    list, index = pipeline(all, o)
    if not list then return nil, index end
  end
  return writing.folder(dir, list, index, { variant = o.variant, max_shard_size = bytes_of(o.max_shard_size) })
end

return { save = save }

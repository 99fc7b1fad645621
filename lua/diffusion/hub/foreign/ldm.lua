-- Single files of Stable Diffusion, in latent diffusion's own form: the denoiser, the autoencoder and the text
-- encoders in one, without a tokenizer.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local family = require "diffusion.nn.family"
local ldm_config = require "diffusion.hub.foreign.ldm_config"
local ldm_names = require "diffusion.hub.foreign.ldm_names"
local model = require "diffusion.nn.model"
local parser = require "diffusion.file.parser"
local peers = require "diffusion.nn.peers"
local pipelines = require "diffusion.hub.pipelines"
local opts = require "diffusion.opts"
local tokenizer = require("diffusion.text.tokenizer").tokenizer

local ldm = {}

local fault = parser.fault()

local UNET, VAE = "model.diffusion_model.", "first_stage_model."
local MARK = UNET .. "input_blocks.1.0.in_layers.0.weight"
local BETAS = { beta_schedule = "scaled_linear", beta_start = 0.00085, beta_end = 0.012 }

--- Whether a file of these shapes is one of latent diffusion.
---@param shapes table<string, integer[]>
---@return boolean
function ldm.find(shapes)
  local context = false
  for key in pairs(shapes) do context = context or key:find("attn2.to_k.weight", 1, true) ~= nil end
  return shapes[MARK] ~= nil and context
end

-- The shapes of the keys with a prefix, without it.
local function under(shapes, prefix)
  local out = {}
  for key, shape in pairs(shapes) do
    if key:sub(1, #prefix) == prefix then out[key:sub(#prefix + 1)] = shape end
  end
  return next(out) and out or nil
end

-- ==== networks ==========================================================================

-- The keys of diffusers that a network has.
local function keys_of(known, options)
  local keys, entry = {}, known.peers.diffusers
  family.model(known, options, { tensors = math.maxinteger, find = function(parameters)
    for i, p in ipairs(parameters) do keys[i] = peers.theirs(entry, p[1]) end
    return nil, "counted"
  end })
  return keys
end

-- A network of a file. get(key) gives the tensor for a key of diffusers.
local function network(file, name, options, get)
  local known, tensors = family.find(name), {}
  for _, key in ipairs(keys_of(known, options)) do
    local x = get(key)
    if x and core.real ~= "f64" and x:dtype() == "f64" then x = x:to "f32" end
    tensors[key] = x
  end
  local all = opts.joined(options, { recompute = known.options.recompute and file.o.recompute or nil })
  local m, message = fail.try(peers.model, known, all, tensors, { frozen = file.o.frozen ~= false })
  if not m then fault("%s: %s", file.path, message) end
  if file.o.frozen == nil then model.defer(m) end
  return m
end

local function options_of(name, config)
  local known = family.find(name)
  return (peers.options(known, known.peers.diffusers, config))
end

-- Height and width in latents: those of the option image, which are in pixels.
local function size_of(file, usual)
  local image, f = file.o.image, ldm_config.factor(under(file.shapes, VAE) or {})
  if type(image) == "table" then return { image[1] // f, image[2] // f } end
  return image and image // f or usual
end

local function unet(file)
  local shapes = under(file.shapes, UNET)
  local config = ldm_config.unet(shapes)
  config.sample_size = size_of(file, config.sample_size)
  local rename = ldm_names.unet(config)
  return network(file, "unet2dcondition", options_of("unet2dcondition", config), function(key)
    return file.all[UNET .. rename(key)]
  end)
end

local function vae(file, factor)
  local shapes = under(file.shapes, VAE)
  if not shapes then return nil end
  local config = ldm_config.vae(shapes, factor)
  local rename = ldm_names.vae(#config.block_out_channels)
  return network(file, "autoencoderkl", options_of("autoencoderkl", config), function(key)
    return file.all[VAE .. rename(key)]
  end)
end

local function clip(file, prefix)
  local shapes = under(file.shapes, prefix)
  return network(file, "cliptext", ldm_config.clip(shapes), function(key) return file.all[prefix .. key] end)
end

local function open_clip(file, prefix, projected)
  return network(file, "cliptext", ldm_config.open_clip(under(file.shapes, prefix), projected), function(key)
    local name, third = ldm_names.open_clip(key)
    local x = file.all[prefix .. name]
    if x and third then return x:narrow(1, (third - 1) * (x:size(1) // 3) + 1, x:size(1) // 3) end
    return x and name == "text_projection" and x:t() or x
  end)
end

-- ==== kinds of files ====================================================================

local LARGE = "StableDiffusionXLPipeline"

-- Kinds of files, with the prefixes of their text encoders. The first whose prefix has keys is meant.
local kinds = {
  { prefix = "conditioner.embedders.1.model.", class = LARGE, factor = 0.13025, zeros = true, flow = "euler",
    text = "conditioner.embedders.0.transformer.", text2 = "conditioner.embedders.1.model." },
  { prefix = "conditioner.embedders.0.model.", class = LARGE, factor = 0.13025, scored = true, flow = "euler",
    text2 = "conditioner.embedders.0.model." },
  { prefix = "cond_stage_model.model.", class = "StableDiffusionPipeline", factor = 0.18215, open = true, asks = true,
    text = "cond_stage_model.model.", pad = 0 },
  { prefix = "cond_stage_model.transformer.", class = "StableDiffusionPipeline", factor = 0.18215,
    text = "cond_stage_model.transformer." },
}

local function kind_of(file)
  for _, one in ipairs(kinds) do
    if under(file.shapes, one.prefix) then return one end
  end
  fault("%s: a denoiser of latent diffusion without a text encoder that is known here", file.path)
end

-- The scheduler of a kind, as the folders of these models have it.
local function scheduler_of(file, one)
  local predict = file.o.predict or not one.asks and "eps"
  if not predict then
    fault("%s: Stable Diffusion 2, whose file doesn't tell its target; give predict = \"eps\" (base, turbo) or \"v\" "
      .. "(768-v)", file.path)
  end
  local config = opts.joined(BETAS, { prediction_type = predict == "v" and "v_prediction" or "epsilon",
    steps_offset = 1, timestep_spacing = "leading" })
  if one.flow then return opts.joined(config, { _class_name = "EulerDiscreteScheduler" }) end
  config.set_alpha_to_one, config.clip_sample, config.skip_prk_steps = false, false, true
  config._class_name = predict == "v" and "DDIMScheduler" or "PNDMScheduler"
  return config
end

local function tokenizer_of(file, pad)
  if not file.o.tokenizer then return nil end
  local own, message = tokenizer { path = file.o.tokenizer, pad = pad }
  if not own then fault("%s", message) end
  return own
end

--- The parts of a pipe from a single file of Stable Diffusion.
---@param path string
---@param all table<string, any> tensors by key
---@param shapes table<string, integer[]>
---@param o table options of d.hub.load
---@return table parts for pipe.new
function ldm.parts(path, all, shapes, o)
  local file = { path = path, all = all, shapes = shapes, o = o }
  local one = kind_of(file)
  local out = opts.joined(pipelines.find(one.class), { class = one.class, path = path, zeros = one.zeros,
    scored = one.scored, scheduler = scheduler_of(file, one),
    unet = unet(file), classes = { unet = "UNet2DConditionModel", vae = "AutoencoderKL" } })
  out.vae = o.vae == nil and vae(file, one.factor) or nil
  if o.text == false then return out end
  if one.text then
    out.text, out.classes.text = one.open and open_clip(file, one.text, false) or clip(file, one.text), "CLIPTextModel"
    out.tokenizer = tokenizer_of(file, one.pad)
  end
  if one.text2 then
    out.text2, out.classes.text2 = open_clip(file, one.text2, true), "CLIPTextModelWithProjection"
    out.tokenizer2 = tokenizer_of(file, 0)
  end
  return out
end

return ldm

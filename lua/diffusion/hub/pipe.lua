-- Pipes: a denoiser with its scheduler or process and, for latents, an autoencoder.
local adapters = require "diffusion.hub.adapters"
local course = require "diffusion.hub.course"
local encoded_set = require "diffusion.hub.encoded_set"
local embedding = require "diffusion.hub.embedding"
local draw = require "diffusion.hub.draw"
local fail = require "diffusion.fail"
local inputs = require "diffusion.hub.inputs"
local kind = require "diffusion.kind"
local latents = require "diffusion.hub.latents"
local model = require "diffusion.nn.model"
local module = require "diffusion.nn.module"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local option = require "diffusion.sampler.option"
local preview = require "diffusion.hub.preview"
local prompts = require "diffusion.hub.text"

local pipe = {}

--- A denoiser with what is needed to draw images. Called with options, it draws them.
---@class diffusion.pipe
---@field class string the class of the pipeline in diffusers
---@field path string|nil the folder that it was read from
---@field unet diffusion.model the denoiser, of any family; can be written, also by an average
---@field vae diffusion.model|nil decodes latents; can be written
---@field process diffusion.process|nil the process that the denoiser was trained for; can be written
---@field sampler any as d.sample takes it
---@field scheduler table|nil the scheduler's config; a config or a class can be written
---@field labels table<integer, string>|nil the names of classes
---@field text diffusion.model|nil encodes prompts; can be written, as the three after it
---@field text2 diffusion.model|nil the second of SDXL's text encoders
---@field tokenizer any cuts prompts into tokens
---@field tokenizer2 any the same for text2
---@field tiny diffusion.model|nil a small autoencoder for previews; can be written
---@field loras diffusion.pipe_lora[]|nil the adapters of load_lora and add_lora
local Pipe = {}

local private = object.private -- the parts of pipe.new

--- A run of the pipe's sampler that can be stepped, as d.sampler.steps makes it. Its x are latents if
--- the pipe has an autoencoder; pipe:decode makes images of them. A pipe with text encoders takes the options
--- of text2image. With x0 it takes those of image2image, and with keep those of inpaint.
---@param options diffusion.pipe_options|diffusion.pipe_text2image_options?
---@return diffusion.run
function Pipe:steps(options)
  local own, where = private[self], "pipe:steps"
  return draw.run(where, own, draw.options(where, own, options))
end

--- The network as the denoiser of the pipe's process, for d.objective and d.sample. It is pipe.unet
--- itself unless the scheduler shows it other times or scales than those of the process.
---@return any denoiser
function Pipe:denoiser()
  local own = private[self]
  return draw.denoiser(own, course.of("pipe:denoiser", own, {}))
end

--- Latents of images. Without an autoencoder they are the images.
---@param images diffusion.tensor {n, H, W, C} in [-1, 1]
---@return diffusion.tensor
function Pipe:encode(images) return latents.encode(private[self], opts.floats("pipe:encode", "images", images)) end

--- Images of a run's x, decoded if they are latents, within [-1, 1].
---@param x diffusion.tensor
---@param options diffusion.pipe_decode_options?
---@return diffusion.tensor images {n, H, W, C}
function Pipe:decode(x, options)
  local o = opts.check("pipe:decode", options, prompts.rules.decode, 2)
  return latents.decode(private[self], x, o.tile)
end

--- Pictures of a predicted x0, without the decoder. pipe.tiny decodes them, a small autoencoder. Without it, a
--- linear map makes one pixel of each latent.
---@param x diffusion.tensor step.x0, or run.x
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]
function Pipe:preview(x) return preview.of(private[self], x) end

-- The images of a call.
local function drawn(where, own, o) return latents.decode(own, draw.finished(where, own, o), o.tile) end

--- Draws images.
---@param options diffusion.pipe_options|diffusion.pipe_text2image_options?
---@return diffusion.tensor images {n, H, W, C} in [-1, 1]
local function call(self, options)
  local own = private[self]
  return drawn("pipe", own, draw.options("pipe", own, options))
end

-- ==== texts =============================================================================

-- A call of a pipe with prompts.
local function prompted(self, name, options)
  local own, where = private[self], "pipe:" .. name
  if not own.prompted then
    fail.raise("%s: the denoiser of a %s takes no texts; pipe{ n =, class = } draws with it", where, own.class)
  end
  return drawn(where, own, draw.options(where, own, options, prompts.rules[name]))
end

--- Draws images of texts. Image k of a seed is the same alone or in a batch. Generators of torch's kind draw in
--- diffusers' order, and the images are the same.
---@param options diffusion.pipe_text2image_options
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]; the images of a prompt are next to one another
function Pipe:text2image(options) return prompted(self, "text2image", options) end

--- Changes images as a text says (Meng et al. 2022, SDEdit). Their latents are noised and sampled from there.
---@param options diffusion.pipe_image2image_options
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]
function Pipe:image2image(options) return prompted(self, "image2image", options) end

--- Paints a part of images as a text says. Networks that were trained for it get the mask and the kept part. With
--- others, each step puts the kept part back. how = "repaint" is d.edit.repaint on latents.
---@param options diffusion.pipe_inpaint_options
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]; the autoencoder changes the kept part a little
function Pipe:inpaint(options) return prompted(self, "inpaint", options) end

--- Encodes prompts as inputs of the denoiser, one row for each. With SDXL they include the embedding of the whole
--- text. The option prompt takes the first result in place of texts, and negative the second.
---@param options diffusion.pipe_encode_prompt_options
---@return table<string, diffusion.tensor> inputs {context, text_embeds}
---@return table<string, diffusion.tensor> without those of the unconditional call
function Pipe:encode_prompt(options)
  local where = "pipe:encode_prompt"
  return prompts.encode(where, private[self], opts.check(where, options, prompts.rules.encode))
end

-- ==== training ==========================================================================

--- Inputs of the denoiser for a training batch, as d.objective takes them: the states of its captions and,
--- for SDXL, the sizes of its pictures. In d.record, a gradient reaches the text encoders. With a set of
--- encode_set, the states are those that it holds.
---@param batch any batches of a set after a step, or captions, or {captions =, sizes =}
---@param options diffusion.pipe_inputs_options?
---@return table<string, diffusion.tensor> inputs {context, text_embeds, time_ids}
function Pipe:inputs(batch, options) return inputs.of(private[self], batch, options) end

--- A set of latents and texts' states, which are computed once. Its batches are latents, drawn again
--- each time from the autoencoder's mean and deviation. With a path they are kept in a file. That is refused
--- if the pipe's networks, the pictures or the captions have changed. A call that was interrupted goes on from
--- the parts in "PATH.parts". Without a set, the file is read.
---@param set diffusion.set|nil pictures, with captions or without
---@param options diffusion.pipe_encode_set_options?
---@return diffusion.set|nil encoded nil with a message if the file doesn't fit or can't be written
---@return string|nil message
function Pipe:encode_set(set, options) return encoded_set.of(private[self], set, options) end

-- ==== adapters ==========================================================================

--- Loads low-rank adapters of the denoiser and the text encoders, as kohya's scripts, diffusers and peft
--- write them. A pipe can have several, whose effects add up.
---@param path string a file, or a folder with pytorch_lora_weights.safetensors
---@param options diffusion.pipe_load_lora_options?
---@return diffusion.pipe_lora|nil adapters nil with a message, and nothing changed, if they don't fit
---@return string|nil message
function Pipe:load_lora(path, options) return adapters.load(private[self], path, options) end

--- Adds new adapters, which have no effect at first, and freezes the networks. d.adamw takes those of the
--- denoiser as its model, or a list with those of the text encoders.
---@param options diffusion.pipe_add_lora_options?
---@return diffusion.pipe_lora adapters
function Pipe:add_lora(options) return adapters.add(private[self], options) end

--- The adapters of a name.
---@param name string
---@return diffusion.pipe_lora adapters
function Pipe:lora(name) return adapters.named(private[self], name) end

--- Loads a word that textual inversion learned: learned_embeds of diffusers, a .pt of stable-diffusion-webui, or
--- SDXL's vectors for both text encoders. In a prompt the word stands for its vectors.
---@param path string a file, or a folder with learned_embeds.safetensors or learned_embeds.bin
---@param options diffusion.pipe_load_embedding_options?
---@return string|nil word nil with a message, and nothing changed, if it doesn't fit
---@return integer|string tokens number of its vectors, or the message
function Pipe:load_embedding(path, options) return embedding.load(private[self], path, options) end

-- ==== its text ==========================================================================

local function line(name, format, ...) return ("  %-10s " .. format):format(name, ...) end

local function network_text(name, class, m)
  if not model.is_model(m) then return m and line(name, "%s", kind.of(m)) end
  return line(name, "%s, %s parameters", class or m:config().kind, module.grouped((m:count())))
end

local function process_text(p)
  local clip = type(p.clip) == "table" and "dynamic" or p.clip or "none"
  local variance = type(p.variance) == "string" and p.variance or "a function"
  return line("process", "predicts %s, schedule %s, T = %d, variance %s, clip %s", p.predict, p.schedule.name, p.T,
    variance, clip)
end

local function sampler_text(which, steps)
  local name = type(which) == "table" and which[1] or which or option.sampler.default
  return line("sampler", "%s, %d steps", type(name) == "string" and name or "a function", steps)
end

local function tostring_pipe(self)
  local own, classes = private[self], private[self].classes
  local lines = { own.class .. (own.path and " of " .. own.path or "") }
  local function add(text) lines[#lines + 1] = text end
  add(network_text("unet", classes.unet, own.unet))
  add(network_text("vae", classes.vae, own.vae))
  add(network_text("text", classes.text, own.text))
  add(network_text("text2", classes.text2, own.text2))
  for _, one in ipairs(own.loras or {}) do add(line("lora", "'%s'%s", one.name, one.merged and ", merged" or "")) end
  if latents.are_bare(own) then add(line("vae", "none, latents are drawn")) end
  if own.process then add(process_text(own.process)) end
  if own.scheduler then add(line("scheduler", "%s", own.scheduler._class_name)) end
  if own.process then add(sampler_text(own.sampler, own.steps)) end
  return table.concat(lines, "\n")
end

-- ==== fields ============================================================================

-- The process, the sampler and the number of steps of a scheduler's config. Some schedulers can't take
-- as many steps as a pipeline takes by default. They get the usual number, or the half of it, and so on.
local function followed(config, steps)
  local c, why = fail.try(course.of, "pipe", { scheduler = config, steps = steps }, {})
  local fewer = math.min(steps, option.steps.otherwise)
  while not c and fewer > 0 do
    c = fail.try(course.of, "pipe", { scheduler = config, steps = fewer }, {})
    fewer = fewer // 2
  end
  if not c then fail.raise("%s", why) end
  return c.process, c.sampler, c.number
end

local function set_scheduler(own, given)
  if type(given) ~= "table" and type(given) ~= "string" then
    fail.raise("pipe: scheduler: a config or a class of diffusers expected, got %s", kind.shown(given))
  end
  local config = course.scheduler("pipe", given, own.scheduler)
  local process, sampler, steps = followed(config, own.usual)
  own.scheduler, own.process, own.sampler, own.steps = config, process, sampler, steps
end

local function set_process(own, process)
  if kind.of(process) ~= "process" then fail.raise("pipe: process: a process expected, got %s", kind.shown(process)) end
  own.process, own.scheduler, own.sampler, own.steps = process, nil, nil, option.steps.otherwise
end

local function set_unet(own, net)
  opts.denoiser("pipe", net)
  own.unet, own.image = net, draw.image(net) or own.image
end

-- Writes a part that is a network, or none.
local function setter(name)
  return function(own, value)
    if value ~= nil and not model.is_model(value) then
      fail.raise("pipe: %s: a model expected, got %s", name, kind.shown(value))
    end
    own[name] = value
  end
end

local function set_tokenizer(name)
  return function(own, value)
    if value ~= nil and kind.of(value) ~= "tokenizer" then
      fail.raise("pipe: %s: a tokenizer expected, got %s", name, kind.shown(value))
    end
    own[name] = value
  end
end

-- A copy, so that the pipe's own list stays as it is.
local function list_of_loras(own) return own.loras and table.move(own.loras, 1, #own.loras, 1, {}) end

local class = object.class("pipe", Pipe, {
  get = { "class", "path", "unet", "vae", "process", "sampler", "scheduler", "labels", "text", "text2",
    "tokenizer", "tokenizer2", "tiny", loras = list_of_loras },
  set = { unet = set_unet, vae = setter "vae", process = set_process, scheduler = set_scheduler, text = setter "text",
    text2 = setter "text2", tiny = setter "tiny", tokenizer = set_tokenizer "tokenizer",
    tokenizer2 = set_tokenizer "tokenizer2" },
  __call = call, __tostring = tostring_pipe,
})

--- A pipe of its parts. Raises if its scheduler isn't followed.
---@param parts table class, classes = of networks by part, path, unet, vae, scheduler or process, labels,
---  text, text2, tokenizer, tokenizer2, tiny, zeros, scored, and what pipelines.lua says of the class
---@return diffusion.pipe
function pipe.new(parts)
  local own = opts.joined(parts)
  own.guidance, own.classes = own.guidance or 1, own.classes or {}
  own.image = own.unet and draw.image(own.unet)
  own.usual = own.steps or option.steps.otherwise
  own.steps = own.usual
  if own.scheduler then own.process, own.sampler, own.steps = followed(own.scheduler, own.usual) end
  return object.new(class, own)
end

--- Whether a value is a pipe.
---@param value any
---@return boolean
function pipe.is_pipe(value) return object.is(value, class) end

--- The private parts of a pipe.
---@param one diffusion.pipe
---@return table
function pipe.parts(one) return private[one] end

return pipe

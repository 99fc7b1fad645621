-- Pipes: a denoiser with its scheduler or process and, for latents, an autoencoder.
local course = require "diffusion.hub.course"
local draw = require "diffusion.hub.draw"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local latents = require "diffusion.hub.latents"
local model = require "diffusion.nn.model"
local module = require "diffusion.nn.module"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local option = require "diffusion.sampler.option"

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
local Pipe = {}

local private = object.private -- the parts of pipe.new

--- A run of the pipe's sampler that can be stepped, as d.sampler.steps makes it. Its x are latents if
--- the pipe has an autoencoder; pipe:decode makes images of them.
---@param options diffusion.pipe_options?
---@return diffusion.run
function Pipe:steps(options) return draw.run("pipe:steps", private[self], options) end

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
---@return diffusion.tensor images {n, H, W, C}
function Pipe:decode(x) return latents.decode(private[self], x) end

--- Draws images.
---@param options diffusion.pipe_options?
---@return diffusion.tensor images {n, H, W, C} in [-1, 1]
local function call(self, options)
  local own = private[self]
  return latents.decode(own, draw.run("pipe", own, options):finish())
end

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

local function set_vae(own, vae)
  if vae ~= nil and not model.is_model(vae) then
    fail.raise("pipe: vae: a model expected, got %s", kind.shown(vae))
  end
  own.vae = vae
end

local class = object.class("pipe", Pipe, {
  get = { "class", "path", "unet", "vae", "process", "sampler", "scheduler", "labels" },
  set = { unet = set_unet, vae = set_vae, process = set_process, scheduler = set_scheduler },
  __call = call, __tostring = tostring_pipe,
})

--- A pipe of its parts. Raises if its scheduler isn't followed.
---@param parts table class, classes = of networks by part, path, unet, vae, scheduler or process, labels,
---  steps, guidance, plain, unit, edits
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

-- Pipes: a denoiser with its scheduler and, for latents, an autoencoder. A pipe draws images.
local answer = require "diffusion.answer"
local core = require "diffusion.core"
local course = require "diffusion.hub.course"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local labels = require "diffusion.hub.labels"
local legible = require "diffusion.legible"
local model = require "diffusion.nn.model"
local module = require "diffusion.nn.module"
local noise = require "diffusion.sampler.noise"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local option = require "diffusion.sampler.option"
local place = require "diffusion.sampler.place"
local sampler = require "diffusion.sampler"
local trained = require "diffusion.nn.trained"

local pipe = {}

--- A denoiser with what is needed to draw images. Called with options, it draws them.
---@class diffusion.pipe
---@field class string the class of the pipeline in diffusers
---@field path string|nil where it was read
---@field unet diffusion.model the denoiser, of any family; can be written, also by an average
---@field vae diffusion.model|nil decodes latents; can be written
---@field process diffusion.process|nil what the denoiser was trained for; can be written
---@field sampler any as d.sample takes it
---@field scheduler table|nil config of the scheduler; can be written
---@field labels table<integer, string>|nil the names of classes
---@field guidance number scale of guidance if a call has none
local Pipe = {}

local private = object.private -- {class, path, unet, vae, process, scheduler, labels, guidance, steps, plain, unit}

local call_rules = opts.declare("pipe", {
  n = { "integer", min = 0, default_text = "one, or as many as there are classes or pictures", text = "number of images" },
  class = { "number|string|table|tensor", as = "integer|string|(integer|string)[]|diffusion.tensor",
    text = "the class of all images or of each, from 1, or its name; 0 is no class" },
  steps = opts.joined(option.steps, { default_text = "those of the pipeline" }),
  seed = option.seed,
  generator = { "generator|table", as = "diffusion.generator|diffusion.generator[]",
    text = "draws images in PyTorch's order, in place of a seed; a list has one for each image" },
  guidance = opts.joined(option.guidance, { default_text = "that of the pipeline" }),
  eta = { "number", min = 0, default_text = "that of the scheduler", text = "factor of the noise of DDIM and TCD" },
  sampler = { option.sampler[1], as = option.sampler.as, choice = "sampler", default_text = "that of the scheduler",
    text = "a sampler of this library in place of the scheduler's" },
  grid = opts.joined(option.grid, { default_text = "that of the scheduler" }),
  scheduler = { "string|table", default_text = "that of the pipe",
    text = "another scheduler: a class of diffusers, or a config" },
  init = { "any", what = "images [n,H,W,C]", as = "diffusion.tensor", text = "images to start from, in [-1, 1]" },
  strength = { "number", min = 0, max = 1, default_text = "1", text = "how much of the way to noise init goes" },
  height = { "integer", min = 1, default_text = "that of the network", text = "height of an image in pixels" },
  width = { "integer", min = 1, default_text = "that of the network", text = "width of an image in pixels" },
  on_step = option.on_step, nan = option.nan,
})

-- ==== shapes ============================================================================

-- The image that the denoiser is made for: {H, W, C}. Sizes may be missing.
local function own_image(own)
  local c = own.unet:config()
  if c.image then return c.image end
  local size = c.sample_size
  local H, W = size, size
  if type(size) == "table" then H, W = size[1], size[2] end
  return { H, W, c.in_channels }
end

-- Pixels of an image in each direction for one of the latents.
local function factor(own)
  local blocks = own.vae and own.vae:config().block_out_channels
  return blocks and 1 << #blocks - 1 or own.vae and 8 or 1
end

local function size_of(where, name, given, usual, times)
  if not given and not usual then fail.raise("%s: the network's config has no sample_size; give height and width", where) end
  if not given then return usual end
  if given % times ~= 0 then fail.raise("%s: %s = %d must be a multiple of %d", where, name, given, times) end
  return given // times
end

-- The shape of what the denoiser sees.
local function shape_of(where, own, o, n)
  local image, times = own_image(own), factor(own)
  return { n, size_of(where, "height", o.height, image[1], times), size_of(where, "width", o.width, image[2], times),
    image[3] }
end

-- ==== the denoiser ======================================================================

-- A network that also predicts a variance, for a process without one.
local function without_variance(net, C)
  return trained.wrap(function(x, t, given)
    local out = net(x, t, given)
    return out:size(-1) == 2 * C and out:narrow(-1, 1, C):contiguous() or out
  end, net)
end

local function denoiser_of(own, c, C)
  local plain = own.plain and c.process.outputs == 1
  return c.wrap(plain and without_variance(own.unet, C) or own.unet)
end

-- ==== the start =========================================================================

-- The source of the call's noise: nil stands for the seed.
local function source_of(where, o, n)
  local g = o.generator
  if not g then return nil end
  if o.seed then fail.raise("%s: seed = %d and a generator; one of the two expected", where, o.seed) end
  if kind.of(g) == "table" and #g ~= n then
    fail.raise("%s: a list of %d generators for %d images", where, #g, n)
  end
  return noise.planes(g)
end

-- The images of `init` as the denoiser sees them.
local function encoded(where, own, x0)
  if kind.of(x0) ~= "tensor" then fail.raise("%s: init: images [n,H,W,C] expected, got %s", where, kind.shown(x0)) end
  opts.floats(where, "init", x0)
  if x0:dim() ~= 4 then fail.raise("%s: init: images [n,H,W,C] expected, got %s", where, kind.shape_text(x0)) end
  return own.vae and Pipe.encode(own.pipe, x0) or x0
end

-- x at the first level of an edit.
local function noised(c, x0, source, seed)
  local t = c.grid[1][1]
  return (c.process:q_sample(x0, t, source and noise.drawn(source, x0) or { seed = seed }))
end

-- diffusers starts schedulers whose samples are x/a at sigma, and others at sqrt(a^2 + s^2) = 1.
local function scaled_start(c, shape, source)
  local spacing = c.unit == "sigma" and (c.config.timestep_spacing or "linspace")
  if not (source and c.grid) or spacing ~= "linspace" and spacing ~= "trailing" then return nil end
  local s = c.process.schedule:noise(c.grid[1][1])
  return core.ops.mix(s, noise.drawn(source, core.zeros(shape)))
end

-- ==== a call ============================================================================

local function count_of(where, o)
  local from = kind.of(o.class) == "table" and #o.class or kind.of(o.class) == "tensor" and o.class:numel()
    or kind.of(o.init) == "tensor" and o.init:dim() == 4 and o.init:size(1) or kind.of(o.generator) == "table" and #o.generator
  if o.n and kind.of(o.init) == "tensor" and o.init:dim() == 4 and o.init:size(1) ~= o.n then
    fail.raise("%s: n = %d, but init has %d images", where, o.n, o.init:size(1))
  end
  return o.n or from or 1
end

local function check_class(where, own, class)
  local most = own.unet and model.classes(own.unet)
  if class == nil and most and most > 0 then
    fail.raise("%s: the network has %d classes; give class, from 1, or 0 for none", where, most)
  end
  return labels.numbers(where, own.labels, class)
end

local function check_ready(where, own)
  if not own.unet then fail.raise("%s: there is no denoiser, but %s", where, own.vae and "an autoencoder" or "nothing") end
  if own.edits then
    fail.raise("%s: %s edits pictures: d.edit.repaint{ model = pipe.unet, process = pipe.process, ... }", where, own.class)
  end
end

-- The guidance of a call. It needs a class.
local function guidance_of(own, o, class)
  if o.guidance ~= nil then return o.guidance end
  return class and own.guidance > 1 and own.guidance or nil
end

local function run_of(where, own, options)
  local o = opts.check(where, options, call_rules)
  check_ready(where, own)
  local n, class = count_of(where, o), check_class(where, own, o.class)
  local source, seed = source_of(where, o, n), o.seed or core.random_seed()
  local c, x0 = course.of(where, own, o), o.init and encoded(where, own, o.init)
  local shape = x0 and x0:shape() or shape_of(where, own, o, n)
  local start = x0 and noised(c, x0, source, seed) or scaled_start(c, shape, source)
  return sampler.steps { model = denoiser_of(own, c, shape[4]), process = c.process, sampler = c.sampler, grid = c.grid,
    steps = c.steps, seed = seed, noise = source, class = class, guidance = guidance_of(own, o, class), init = start,
    shape = start == nil and shape or nil, on_step = o.on_step, nan = o.nan }
end

--- A run of the pipe's sampler that can be stepped, as d.sampler.steps makes it. Its x are latents if
--- the pipe has an autoencoder; pipe:decode makes images of them.
---@param options diffusion.pipe_options?
---@return diffusion.run
function Pipe:steps(options) return run_of("pipe:steps", private[self], options) end

--- Latents of images.
---@param images diffusion.tensor {n, H, W, C} in [-1, 1]
---@return diffusion.tensor
function Pipe:encode(images)
  local own = private[self]
  if not own.vae then return images end
  return own.vae:encode(images) * (own.vae:config().scaling_factor or 1)
end

--- Images of a run's x: the decoder's, if the pipe has an autoencoder, within [-1, 1].
---@param x diffusion.tensor
---@return diffusion.tensor images {n, H, W, C}
function Pipe:decode(x)
  local own = private[self]
  if own.vae then x = own.vae:decode(x * (1 / (own.vae:config().scaling_factor or 1))) end
  if own.unit then x = x * 2 - 1 end
  return x:clamp(-1, 1)
end

--- Draws images.
---@param options diffusion.pipe_options?
---@return diffusion.tensor images {n, H, W, C} in [-1, 1]
local function call(self, options)
  return Pipe.decode(self, run_of("pipe", private[self], options):finish())
end

-- ==== fields ============================================================================

local function part_text(name, class, m)
  if not m then return nil end
  local text = kind.of(m)
  if model.is_model(m) then text = ("%s, %s parameters"):format(class or m:config().kind, module.grouped((m:count()))) end
  return ("  %-10s %s"):format(name, text)
end

local function sampler_text(which)
  if type(which) ~= "table" then return tostring(which or option.sampler.default) end
  return tostring(which[1])
end

local function tostring_pipe(self)
  local own = private[self]
  local p, lines = own.process, { own.class .. (own.path and (" of %s"):format(own.path) or "") }
  lines[#lines + 1] = part_text("unet", own.classes.unet, own.unet)
  lines[#lines + 1] = part_text("vae", own.classes.vae, own.vae)
  if p then
    lines[#lines + 1] = ("  %-10s predicts %s, schedule %s, T = %d, variance %s, clip %s"):format("process", p.predict,
      p.schedule.name, p.T, type(p.variance) == "string" and p.variance or "a function",
      type(p.clip) == "table" and "dynamic" or tostring(p.clip or "none"))
  end
  if own.scheduler then lines[#lines + 1] = ("  %-10s %s"):format("scheduler", own.scheduler._class_name) end
  if p then lines[#lines + 1] = ("  %-10s %s, %d steps"):format("sampler", sampler_text(own.sampler), own.steps) end
  return table.concat(lines, "\n")
end

-- Sets what follows from the scheduler, or raises.
local function settle(where, own)
  if not own.scheduler then return end
  local c = course.of(where, { scheduler = own.scheduler, steps = own.steps }, {})
  own.process, own.sampler = c.process, c.sampler
  own.steps = #c.grid
end

local function set_scheduler(own, config)
  if type(config) ~= "table" and type(config) ~= "string" then
    fail.raise("pipe: scheduler: a config or a class of diffusers expected, got %s", kind.shown(config))
  end
  local usual = private[own.pipe]
  local next_one = { scheduler = course.scheduler("pipe", config, own.scheduler), steps = usual.steps }
  settle("pipe", next_one)
  own.scheduler, own.process, own.sampler = next_one.scheduler, next_one.process, next_one.sampler
end

local function set_process(own, process)
  if kind.of(process) ~= "process" then fail.raise("pipe: process: a process expected, got %s", kind.shown(process)) end
  own.process, own.scheduler, own.sampler, own.steps = process, nil, nil, option.steps.otherwise
end

local function set_unet(own, net)
  opts.denoiser("pipe", net)
  own.unet = net
end

local class = object.class("pipe", Pipe, {
  get = { "class", "path", "unet", "vae", "process", "sampler", "scheduler", "labels", "guidance" },
  set = { unet = set_unet, process = set_process, scheduler = set_scheduler,
          vae = function(own, vae) own.vae = vae end },
  __call = call, __tostring = tostring_pipe,
})

--- A pipe of its parts. Raises if the scheduler isn't followed.
---@param parts table the private state: class, classes, path, unet, vae, scheduler or process, labels,
---  steps, guidance, plain, unit, edits
---@return diffusion.pipe
function pipe.new(parts)
  local own = {}
  for key, value in pairs(parts) do own[key] = value end
  own.guidance, own.steps, own.classes = own.guidance or 1, own.steps or option.steps.otherwise, own.classes or {}
  settle("pipe", own)
  own.pipe = object.new(class, own)
  return own.pipe
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

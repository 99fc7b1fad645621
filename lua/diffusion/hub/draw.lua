-- A call of a pipe: its options, and the run of a sampler that they describe.
local core = require "diffusion.core"
local course = require "diffusion.hub.course"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local labels = require "diffusion.hub.labels"
local latents = require "diffusion.hub.latents"
local model = require "diffusion.nn.model"
local noise = require "diffusion.sampler.noise"
local opts = require "diffusion.opts"
local option = require "diffusion.sampler.option"
local sampler = require "diffusion.sampler"
local trained = require "diffusion.nn.trained"

local draw = {}

local rules = opts.declare("pipe", {
  n = { "integer", min = 1, default_text = "one, or one for each class or picture", text = "number of images" },
  class = { "number|string|table|tensor", as = "integer|string|(integer|string)[]|diffusion.tensor",
    text = "the class of all images or of each, from 1, or its name; 0 is no class" },
  steps = opts.joined(option.steps, { default_text = "those of the pipeline" }),
  seed = option.seed,
  generator = { "generator|table", as = "diffusion.generator|diffusion.generator[]",
    text = "draws images in PyTorch's order, in place of a seed; a list has one for each image" },
  guidance = opts.joined(option.guidance, { default_text = "that of the pipeline" }),
  eta = { "number", min = 0, default_text = "that of the scheduler", text = "factor of the noise of DDIM and TCD" },
  sampler = opts.joined(option.sampler, { default_text = "that of the scheduler",
    text = "a sampler of this library in place of the scheduler's" }),
  grid = opts.joined(option.grid, { default_text = "that of the scheduler" }),
  scheduler = { "string|table", default_text = "that of the pipe",
    text = "another scheduler: a class of diffusers, or a config" },
  init = { "tensor", text = "images {n, H, W, C} in [-1, 1] to start from" },
  strength = { "number", min = 0, max = 1, default = 1, text = "how much of the way to noise init goes" },
  height = { "integer", min = 1, default_text = "that of the network", text = "height of an image in pixels" },
  width = { "integer", min = 1, default_text = "that of the network", text = "width of an image in pixels" },
  on_step = option.on_step, nan = option.nan,
})
rules.sampler.default, rules.guidance.default = nil, nil

-- ==== shapes ============================================================================

--- The shape of what a denoiser is made for, as far as its config has it.
---@param net any
---@return table|nil {H =, W =, C =} nil for a function
function draw.image(net)
  local c = (model.is_model(net) or kind.of(net) == "ema") and net:config()
  if not c then return nil end
  local size = c.image or c.sample_size
  if type(size) ~= "table" then size = { size, size } end
  return { H = size[1], W = size[2], C = c.image and c.image[3] or c.in_channels }
end

local function side(where, name, given, usual, times)
  if not given and usual then return usual end
  if not given then fail.raise("%s: the network's config has no size of images; give %s", where, name) end
  if given % times == 0 then return given // times end
  fail.raise("%s: %s = %d must be a multiple of %d", where, name, given, times)
end

local function shape_of(where, own, o, n)
  local image, times = own.image, latents.factor(own)
  return { n, side(where, "height", o.height, image.H, times), side(where, "width", o.width, image.W, times), image.C }
end

-- ==== the denoiser ======================================================================

-- A network that also predicts a variance, for a process without one.
local function without_variance(net, C)
  return trained.wrap(function(x, t, given)
    local out = net(x, t, given)
    return out:size(-1) == 2 * C and out:narrow(-1, 1, C):contiguous() or out
  end, net)
end

-- Less by 1: a level, or one for each sample.
local function less(t)
  if type(t) == "number" or core.is_tensor(t) then return t - 1 end
  local out = {}
  for i, one in ipairs(t) do out[i] = one - 1 end
  return out
end

-- A network whose time isn't a timestep of the peer's plus 1, but that number itself.
local function with_their_time(net)
  local c = model.is_model(net) and net:config() or {}
  local offset = c.time_offset or c.time_embedding_type == "fourier" and 0 or 1
  if offset ~= 0 then return net end
  return trained.wrap(function(x, t, given) return net(x, less(t), given) end, net)
end

--- The network of a pipe as the denoiser of its process.
---@param own table the private state of a pipe
---@param c table from course.of
---@return any
function draw.denoiser(own, c)
  local net = own.adapt and own.adapt(own.unet, c.process) or with_their_time(own.unet)
  if own.plain and c.process.outputs == 1 then net = without_variance(net, own.image.C) end
  return c.wrap(net)
end

-- ==== the start =========================================================================

-- The source of a call's noise. nil stands for the seed.
local function source_of(where, o, n)
  local g = o.generator
  if not g then return nil end
  if o.seed then fail.raise("%s: seed = %d and a generator; one of the two expected", where, o.seed) end
  if kind.of(g) == "table" and #g ~= n then fail.raise("%s: %d generators for %d images", where, #g, n) end
  return noise.planes(g)
end

local function encoded(where, own, x0)
  opts.floats(where, "init", x0)
  if x0:dim() ~= 4 then fail.raise("%s: init is %s; images {n, H, W, C} expected", where, kind.shape_text(x0)) end
  return latents.encode(own, x0)
end

-- x at the first level, from images. A sampler that goes from data to noise begins at them.
local function noised(c, x0, source, seed)
  if c.upward then return x0 end
  return (c.process:q_sample(x0, c.grid[1][1], source and noise.drawn(source, x0) or { seed = seed }))
end

-- x at the first level, if the scheduler scales its noise in a way of its own.
local function scaled(c, shape, source, seed)
  if not c.start then return nil end
  local zeros = core.zeros(shape)
  if source then return core.ops.mix(c.start, noise.drawn(source, zeros)) end
  return core.mix_noise(c.start, seed, core.streams.start, 0, 0, zeros)
end

-- ==== a call ============================================================================

local function is_list(value) return kind.of(value) == "table" and #value end
local function is_batch(value) return kind.of(value) == "tensor" and value:dim() > 0 and value:size(1) end

local function count_of(where, o)
  local images = o.init and is_batch(o.init)
  if images and o.n and images ~= o.n then fail.raise("%s: n = %d, but init has %d images", where, o.n, images) end
  return o.n or images or is_list(o.class) or is_batch(o.class) or is_list(o.generator) or 1
end

local function class_of(where, own, class)
  local most = model.classes(own.unet)
  if class == nil and most and most > 0 then
    fail.raise("%s: the network has %d classes; give class, from 1, or 0 for none", where, most)
  end
  return labels.numbers(where, own.labels, class)
end

local function check_ready(where, own)
  if not own.unet then fail.raise("%s: there is no denoiser here, only an autoencoder", where) end
  if own.edits then
    fail.raise("%s: %s edits pictures; d.edit.repaint{ model = pipe.unet, process = pipe.process, ... } does that",
      where, own.class)
  end
end

-- The pipeline's own guidance needs a class.
local function guidance_of(own, o, class)
  if o.guidance ~= nil then return o.guidance end
  return class ~= nil and own.guidance > 1 and own.guidance or nil
end

--- A run of the sampler of a pipe's call.
---@param where string the caller's name
---@param own table the private state of a pipe
---@param options diffusion.pipe_options?
---@return diffusion.run
function draw.run(where, own, options)
  local o = opts.check(where, options, rules)
  check_ready(where, own)
  local n, class = count_of(where, o), class_of(where, own, o.class)
  local source, seed = source_of(where, o, n), o.seed or core.random_seed()
  local c, x0 = course.of(where, own, o), o.init and encoded(where, own, o.init)
  local shape = x0 and x0:shape() or shape_of(where, own, o, n)
  local start = x0 and noised(c, x0, source, seed) or scaled(c, shape, source, seed)
  return sampler.steps { model = draw.denoiser(own, c), process = c.process, sampler = c.sampler, grid = c.grid,
    steps = c.steps, seed = seed, noise = source, class = class, guidance = guidance_of(own, o, class), init = start,
    shape = start == nil and shape or nil, on_step = o.on_step, nan = o.nan,
    self_condition = model.is_model(own.unet) and own.unet:config().self_condition or nil }
end

return draw

-- A call of a pipe: its options, and the run of a sampler that they describe.
local core = require "diffusion.core"
local course = require "diffusion.hub.course"
local fail = require "diffusion.fail"
local guidances = require "diffusion.guidance.cfg"
local kind = require "diffusion.kind"
local labels = require "diffusion.hub.labels"
local latents = require "diffusion.hub.latents"
local layout = require "diffusion.hub.layout"
local model = require "diffusion.nn.model"
local opts = require "diffusion.opts"
local paint = require "diffusion.hub.paint"
local sampler = require "diffusion.sampler"
local start = require "diffusion.hub.start"
local text = require "diffusion.hub.text"
local trained = require "diffusion.nn.trained"

local draw = {}

-- ==== shapes ============================================================================

--- The shape of what a denoiser is made for, as far as its config has it.
---@param net any
---@return table|nil {H =, W =, C =} nil for a function
function draw.image(net)
  local c = latents.config(net)
  if not next(c) then return nil end
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

-- The shape of a denoiser's x.
local function shape_of(where, own, o, n)
  local image, times = own.image, latents.factor(own)
  local C = (own.layout or paint.is_painter(own)) and latents.config(own.unet).out_channels or image.C
  return { n, side(where, "height", o.height, image.H, times), side(where, "width", o.width, image.W, times), C }
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
---@param guided (fun(net: any): any)|nil guidance of the network's own output, which the process may scale
---@return any
function draw.denoiser(own, c, guided)
  local net = own.adapt and own.adapt(own.unet, c.process) or with_their_time(own.unet)
  if paint.is_painter(own) then net = paint.joined(net, "paint") end
  if own.layout then net = paint.joined(net, "layout") end
  if own.plain and c.process.outputs == 1 then net = without_variance(net, own.image.C) end
  return c.wrap(guided and guided(net) or net)
end

-- ==== conditions ========================================================================

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

-- A call without text. The pipeline's own guidance needs a class.
local function plain_call(where, own, o)
  local class = class_of(where, own, o.class)
  local usual = class ~= nil and own.guidance > 1 and own.guidance or nil
  return { n = count_of(where, o), class = class, guidance = o.guidance == nil and usual or o.guidance }
end

-- A call with prompts. A scale of guidance works on the network's own output, as in diffusers. A function gets the
-- denoiser of the process, and the inputs of the unconditional call.
local function prompted_call(where, own, o)
  local call = text.call(where, own, o, o.x0 and o.x0:size(1))
  local guidance, without = call.guidance, call.without
  if type(guidance) == "number" then
    call.guidance = nil
    call.guided = function(net)
      return guidances.cfg(net, { scale = guidance, rescale = o.rescale, without = without })
    end
  elseif guidance then
    if o.rescale > 0 then
      fail.raise("%s: rescale = %g has no effect on a function as guidance; d.guidance.cfg takes it", where, o.rescale)
    end
    call.guidance = function(net) return guidance(net, without) end
  end
  return call
end

local function check_ready(where, own, o)
  if not own.unet then fail.raise("%s: there is no denoiser here, only an autoencoder", where) end
  if own.edits then
    fail.raise("%s: %s edits pictures; d.edit.repaint{ model = pipe.unet, process = pipe.process, ... } does that",
      where, own.class)
  end
  if paint.is_painter(own) and not o.keep then
    fail.raise("%s: the network paints a part of a picture; pipe:inpaint{ x0 =, keep = } gives it one", where)
  end
end

-- ==== the start =========================================================================

-- The options of start.encoded.
local function spread(call, o, apart)
  return { n = call.n, prompts = call.prompts, apart = apart, tile = o.tile }
end

-- x at the first level, or nil for the sampler's own. Draws are in diffusers' order: the latents of the images,
-- the noise, the latents of the part that is kept.
local function begin(where, own, o, call, c, draws)
  local images, noise = o.init or o.x0, nil
  local function z()
    noise = noise or o.init_latents or draws:normals(call.shape, 0)
    return noise
  end
  if images and (c.from_images or call.mask and not paint.is_painter(own)) then
    call.x0, call.drawn = start.encoded(where, own, images, draws, 1, spread(call, o, not o.keep))
  end
  if c.from_images then return start.noised(c, call.x0, z), z end
  if c.start or call.mask or o.init_latents then return start.scaled(c, z()), z end
end

-- The inputs and the sampler of a run that keeps a part.
local function kept(where, own, o, call, c, draws, z)
  if not paint.is_painter(own) then
    c.sampler = paint.keeping(where, c.sampler,
      { x0 = call.x0, z = z(), cells = call.mask.cells, process = c.process, grid = c.grid })
    -- diffusers draws latents of the kept part here too, though only networks made for it take them.
    if draws.source and call.drawn then draws:normals({ o.x0:size(1), table.unpack(call.shape, 2) }, 2) end
    return
  end
  local part = start.encoded(where, own, o.x0 * call.mask.pixels, draws, 2, spread(call, o, false))
  call.inputs.paint = paint.input(call.mask, part)
end

-- ==== a call ============================================================================

-- The options of a course: its strength is nil where noise is the start, as diffusers' inpainting does at 1.
local function way(o)
  local from_images = o.init or o.x0 and not (o.keep and o.strength == 1)
  return { steps = o.steps, eta = o.eta, sampler = o.sampler, grid = o.grid, scheduler = o.scheduler,
    strength = from_images and o.strength or nil }
end

local function course_of(where, own, o)
  local given = way(o)
  local c = course.of(where, own, given)
  c.from_images = given.strength ~= nil
  if o.keep or o.init_latents then c.grid = paint.grid(c) end
  return c
end

-- Raises if height or width are given, and aren't those of the images.
local function check_size(where, name, images, o)
  local height, width = o.height or images:size(2), o.width or images:size(3)
  if height == images:size(2) and width == images:size(3) then return end
  fail.raise("%s: height = %d and width = %d, but %s is %s", where, height, width, name, kind.shape_text(images))
end

-- Checks pictures and gives the shape of x.
local function shape_for(where, own, o, n)
  local name = o.init and "init" or "x0"
  local images = o.init or o.x0
  if not images then return shape_of(where, own, o, n) end
  start.images(where, name, images, own)
  check_size(where, name, images, o)
  return shape_of(where, own, { height = images:size(2), width = images:size(3) }, n)
end

local function check_latents(where, o, shape)
  local x = o.init_latents
  if x and kind.shape_text(x) ~= "[" .. table.concat(shape, ",") .. "]" then
    fail.raise("%s: init_latents is %s, but the run's x is [%s]", where, kind.shape_text(x), table.concat(shape, ","))
  end
end

-- The conditions of a call, its course and its normals.
---@param where string the caller's name
---@param own table the private state of a pipe
---@param o table checked options
---@return table call
---@return table c
---@return diffusion.pipe_draws draws
local function described(where, own, o)
  check_ready(where, own, o)
  local call = (own.prompted and prompted_call or plain_call)(where, own, o)
  call.shape = shape_for(where, own, o, call.n)
  check_latents(where, o, call.shape)
  if own.layout then layout.check(where, own, call.shape) end
  if own.prompted then
    local f = latents.factor(own)
    text.add_sizes(where, own, call, o.sizes, { call.shape[2] * f, call.shape[3] * f })
  end
  if o.keep then
    call.mask = paint.mask(where, own, o.keep, o.x0)
    call.mask.cells = start.rows(where, "keep", call.mask.cells, call)
  end
  return call, course_of(where, own, o), start.draws(where, o, call.n)
end

-- Options that repainting has no use for, and why.
local no_repaint = { generator = "it draws by a seed", init_latents = "it draws its start by a seed",
  eta = "it is an option of the sampler, as sampler = {\"ddim\", eta = 1}" }

-- x of a call whose kept part is repainted with jumps back.
local function repainted(where, own, o, how)
  for name, why in pairs(no_repaint) do
    if o[name] then fail.raise("%s: repaint takes no %s: %s", where, name, why) end
  end
  if o.strength ~= 1 then fail.raise("%s: repaint starts from noise; strength = %g isn't 1", where, o.strength) end
  local call, c, draws = described(where, own, o)
  local x0 = start.encoded(where, own, o.x0, draws, 1, spread(call, o))
  return paint.repaint({ model = draw.denoiser(own, c, call.guided), inputs = call.inputs, process = c.process, x0 = x0,
    cells = call.mask.cells, guidance = call.guidance, sampler = o.sampler, steps = o.steps or own.steps,
    grid = o.grid and c.grid,
    seed = draws.seed, on_step = o.on_step, nan = o.nan }, how)
end

--- The last x of a pipe's call.
---@param where string the caller's name
---@param own table the private state of a pipe
---@param o table checked options
---@return diffusion.tensor
function draw.finished(where, own, o)
  local how = paint.resampling(where, own, o.how)
  if how then return repainted(where, own, o, how) end
  return draw.run(where, own, o):finish()
end

--- A run of the sampler of a pipe's call.
---@param where string the caller's name
---@param own table the private state of a pipe
---@param o table checked options
---@return diffusion.run
function draw.run(where, own, o)
  if paint.resampling(where, own, o.how) then
    fail.raise("%s: repaint goes back and forth, so there is no run of it; pipe:inpaint returns its images", where)
  end
  local call, c, draws = described(where, own, o)
  local x, z = begin(where, own, o, call, c, draws)
  if call.mask then kept(where, own, o, call, c, draws, z) end
  return sampler.steps { model = draw.denoiser(own, c, call.guided), process = c.process, sampler = c.sampler,
    grid = c.grid, steps = c.steps, seed = draws.seed, noise = draws.source, class = call.class, inputs = call.inputs,
    guidance = call.guidance, init = x, shape = x == nil and call.shape or nil, on_step = o.on_step, nan = o.nan,
    self_condition = model.is_model(own.unet) and own.unet:config().self_condition or nil }
end

--- Checked options of a pipe's call.
---@param where string
---@param own table the private state of a pipe
---@param given any
---@param rules table|nil those of text.rules; by what is given if nil
---@return table
function draw.options(where, own, given, rules)
  if not own.prompted then return opts.check(where, given, text.rules.plain) end
  return opts.check(where, given, rules or text.rules.of(given))
end

return draw

-- Interpolation between two pictures. It goes through noise that both share (Ho et al. 2020,
-- sec. 4.3), or along the great circle between the noises that ddim maps to them.
local classes = require "diffusion.classes"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local families = require "diffusion.sampler.families"
local option = require "diffusion.sampler.option"
local sampler = require "diffusion.sampler"
local samples = require "diffusion.samples"
local given = require "diffusion.edit.given"
local inversion = require "diffusion.edit.inversion"
local plan = require "diffusion.edit.plan"

local interpolate = {}

-- ==== slerp ==================================================================================

local function same_shape(where, a, b)
  if kind.shape_text(a) ~= kind.shape_text(b) then
    fail.raise("%s: a is %s, but b is %s", where, kind.shape_text(a), kind.shape_text(b))
  end
end

-- A finite number for each sample.
local function shares(where, u, B)
  if type(u) == "number" then
    local list = {}
    for k = 1, B do list[k] = u end
    u = list
  end
  if type(u) ~= "table" or #u ~= B then
    fail.raise("%s: u must be a number or a list of %d, one a sample, got %s", where, B,
      type(u) == "table" and ("%d numbers"):format(#u) or kind.shown(u))
  end
  for k, v in ipairs(u) do
    if type(v) ~= "number" or v ~= v or math.abs(v) == math.huge then
      fail.raise("%s: u must hold finite numbers, but number %d is %s", where, k, kind.shown(v))
    end
  end
  return u
end

-- The angle between each a and b, as 2 atan(|a - b|/|a + b|) of unit vectors. Unlike acos, it loses
-- no digits near 0 and pi. The angle is 0 if one of them is 0.
local function angles(a, b)
  local B = a:size(1)
  local function unit(x)
    x = x:reshape(B, x:numel() // B)
    return x / x:square():sum(2, true):sqrt()
  end
  local p, q = unit(a), unit(b)
  local function length(x) return x:square():sum(2):sqrt():totable() end
  local apart, along, theta = length(p - q), length(p + q), {}
  for k = 1, B do
    theta[k] = apart[k] == apart[k] and 2 * math.atan(apart[k], along[k]) or 0
  end
  return theta
end

--- The point between a and b on the great circle, per sample: sin((1 - u) theta)/sin theta a + sin(u
--- theta)/sin theta b with theta the angle between them (Shoemake 1985). It keeps the norm of noise.
--- If sin theta < 1e-6 it is (1 - u) a + u b. u may lie outside 0..1.
---@param a diffusion.tensor {B, ...}
---@param b diffusion.tensor as a
---@param u number|number[] 0 is a and 1 is b; a list has one for each sample
---@return diffusion.tensor as a
---@usage local a, b = d.randn(1, 100), d.randn(1, 100)
--- print(d.edit.slerp(a, b, 0.5):norm(), a:norm(), ((a + b) / 2):norm())
function interpolate.slerp(a, b, u)
  local where = "edit.slerp"
  samples.constant(where, "a", a)
  samples.constant(where, "b", b)
  same_shape(where, a, b)
  u = shares(where, u, a:size(1))
  local ca, cb = {}, {}
  for k, theta in ipairs(angles(a, b)) do
    local sine = math.sin(theta)
    if sine < 1e-6 then ca[k], cb[k] = 1 - u[k], u[k]
    else ca[k], cb[k] = math.sin((1 - u[k]) * theta) / sine, math.sin(u[k] * theta) / sine end
  end
  return core.ops.mix(ca, a, cb, b)
end

-- ==== interpolate ============================================================================

local where = "edit.interpolate"

-- The noisy mixtures, one tensor for each u. Both pictures get the same noise and are mixed linearly.
local function by_noise(o, seed, start)
  local a = o.process:q_sample(o.a, start, { seed = seed })
  local b = o.process:q_sample(o.b, start, { seed = seed })
  return function(u) return core.ops.mix(1 - u, a, u, b) end
end

local function by_inversion(o, grid)
  local function inverted(x)
    return (inversion.invert(given.sampling(o, { x0 = x, start = grid[1][1], grid = grid, tolerance = o.tolerance })))
  end
  local a, b = inverted(o.a), inverted(o.b)
  return function(u) return interpolate.slerp(a, b, u) end
end

-- Each sample's class, repeated for its n mixtures.
local function repeated(class, B, n)
  class = classes.of(where, class, B)
  return class and class:repeat_each(n)
end

-- Each sample's inputs, repeated for its n mixtures.
local function repeated_inputs(inputs, n)
  local out = {}
  for name, x in pairs(inputs) do
    if not core.is_tensor(x) then fail.raise("%s: input '%s' must be a tensor, got %s", where, name, kind.shown(x)) end
    out[name] = x:repeat_each(n)
  end
  return out
end

-- The default sampler and level of each method.
local function settled(o)
  local inverted = o.by == "inversion"
  if inverted and o.sampler ~= nil and o.sampler ~= "ddim" then
    fail.raise("%s: by inversion the sampler is ddim, whose steps are inverted; got %s", where, kind.shown(o.sampler))
  end
  o.sampler = o.sampler or inverted and "ddim" or "unipc"
  o.start = o.at or inverted and inversion.start(o.process) or math.max(1, o.process.T // 2)
  if not (o.start > 0 and o.start <= o.process.T) then
    fail.raise("%s: at must be a level in 1..T = %d, got %g", where, o.process.T, o.start)
  end
end

local rules = opts.declare("edit_interpolate", given.rules(plan.steps, {
  a = given.tensor "the first pictures {B, ...}", b = given.tensor "the second pictures, of a's shape",
  u = { "number|table", default = 0.5, as = "number|number[]",
    text = "place between them, 0 is a and 1 is b; or n places" },
  by = { one_of = { "noise", "inversion" }, default = "noise", text = "the way: shared noise, or inversion" },
  at = { "number", default_text = "T/2; by inversion the start of edit.invert", text = "level of the mixture" },
  sampler = opts.joined(option.sampler, { default_text = '"unipc"; by inversion "ddim"' }),
  tolerance = inversion.tolerance,
  class = opts.joined(option.class, { text = "the class of all pairs or of each, from 1; 0 is no class" }),
}))
rules.sampler.default = nil -- the way decides

--- Pictures between a and b. By noise (Ho et al. 2020, sec. 4.3), both are noised to the level `at`
--- with the same noise, mixed as (1 - u) x_t + u x'_t, and sampled from there. By inversion, both are
--- inverted as by edit.invert, mixed by edit.slerp, and sampled by ddim. u = 0 and 1 then return a
--- and b.
---@param options diffusion.edit_interpolate_options
---@return diffusion.tensor x {B n, ...}: the n of the first pair, of the second, ...
---@return diffusion.plan plan with evaluations of the sampling
---@usage local model, process = d.load_model "digits"
--- local x0 = d.image.to_float(d.data.digits().x)
--- local x = d.edit.interpolate{ model = model, process = process, a = x0:narrow(1, 1, 2), b = x0:narrow(1, 3, 2),
---                               u = { 0, 0.25, 0.5, 0.75, 1 }, at = 300, steps = 10, seed = 1 }
--- d.image.show(d.image.grid(x, { columns = 5 }))
function interpolate.interpolate(options)
  local o = families.check(where, options, rules)
  opts.denoiser(where, o.model)
  local a, b = samples.constant(where, "a", o.a), samples.constant(where, "b", o.b)
  same_shape(where, a, b)
  settled(o)
  local u = type(o.u) == "number" and { o.u } or o.u
  if #u == 0 then fail.raise("%s: u is an empty list; numbers expected, 0 for a and 1 for b", where) end
  shares(where, u, #u)
  local p, seed = plan.of(where, o, (given.downward(where, o.sampler))), o.seed or core.random_seed()
  local between = o.by == "noise" and by_noise(o, seed, p.start) or by_inversion(o, p.grid)
  local mixed, shape = {}, a:shape()
  for k, v in ipairs(u) do mixed[k] = between(v) end
  shape[1] = shape[1] * #u
  local run = sampler.steps(given.sampling(o, { sampler = o.sampler, grid = p.grid, seed = seed, on_step = o.on_step,
    init = core.ops.stack(mixed, 2):reshape(shape), class = repeated(o.class, a:size(1), #u),
    inputs = o.inputs and repeated_inputs(o.inputs, #u) }))
  run:finish()
  p.evaluations = run.evaluations
  return run.x, p
end

return interpolate

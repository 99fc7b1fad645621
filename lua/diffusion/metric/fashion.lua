--- Metrics for Fashion-MNIST, with the network that comes with the library.
local classes = require "diffusion.classes"
local core = require "diffusion.core"
local frechet = require "diffusion.metric.frechet"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local network = require "diffusion.metric.fashion_network"
local part = require "diffusion.over.part"
local same = require "diffusion.over.same"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"

local fashion = {}

local kept -- the network, once it was needed
local function trained()
  kept = kept or network.new()
  return kept
end

local function check_images(name, x)
  if not core.is_tensor(x) or x:dim() ~= 4 or x:dtype() ~= core.real
    or kind.shape_text(x):match ",.*" ~= ",28,28,1]" then
    fail.raise("%s: images {n,28,28,1} of %s in [-1, 1] expected, got %s%s", name, core.real, kind.shown(x),
      core.is_tensor(x) and kind.float_advice(x) or "")
  end
  if x:size(1) == 0 then fail.raise("%s: no images", name) end
  gradient.constant(name, "a set", x)
  local low, high = x:min():item(), x:max():item()
  if not (low >= -2 and high <= 2) then
    fail.raise("%s: images in [-1, 1] expected, but these go from %g to %g", name, low, high)
  end
end

-- The logits and features of some images, computed in batches.
local function computed(x)
  local logits, features = {}, {}
  for first = 1, x:size(1), 250 do
    local some = x:narrow(1, first, math.min(250, x:size(1) - first + 1))
    logits[#logits + 1], features[#features + 1] = gradient.scope(gradient.no_grad, trained(), some)
  end
  return core.ops.cat(logits, 1), core.ops.cat(features, 1)
end

-- The logits and features of any number of images. Over ranks each computes a part, and gets all.
local function seen(name, x, ranks)
  check_images(name, x)
  if not ranks then return computed(x) end
  same(name, ranks, { x = x })
  local from, count = part.of(ranks, x:size(1))
  local logits, features = computed(x:narrow(1, count > 0 and from + 1 or 1, math.max(count, 1)))
  if count == 0 then logits, features = logits:narrow(1, 1, 0), features:narrow(1, 1, 0) end
  return ranks.gather(logits), ranks.gather(features)
end

local over = rule.over "the images"
local feature_rules = opts.declare("metric_fashion_features", { over = over })

--- The features that fashion_frechet compares, for any other metric of two sets.
---@param x diffusion.tensor images {n,28,28,1} in [-1, 1]
---@param options diffusion.metric_fashion_features_options?
---@return diffusion.tensor {n,64}
---@usage local x, y = d.rand(50, 28, 28, 1), d.rand(50, 28, 28, 1)
--- print(d.metric.kid(d.metric.fashion_features(x), d.metric.fashion_features(y)))
function fashion.fashion_features(x, options)
  local o = opts.check("fashion_features", options, feature_rules, 2)
  return (select(2, seen("fashion_features", x, o.over)))
end

local rules = opts.declare("metric_fashion", { interval = interval.rule, over = over })

--- The Frechet distance of images from Fashion-MNIST's 10,000 test images, or from other images. It
--- is computed in the 64 features of d.metric.fashion_network, so it can't be compared with FID. It
--- is biased upwards for few images: compare equal numbers, or the extrapolated value of `interval`.
--- A part of the test images themselves is nearer than fresh images are.
---@param x diffusion.tensor images {n,28,28,1} in [-1, 1]
---@param y diffusion.tensor|diffusion.metric_fashion_options|nil other images {m,28,28,1}, by default the
---  test images' moments; or the options
---@param options diffusion.metric_fashion_options?
---@return number
---@return diffusion.interval|nil about with bias and extrapolated
---@usage print(d.metric.fashion_frechet(d.rand(100, 28, 28, 1), { interval = true }))
function fashion.fashion_frechet(x, y, options)
  if type(y) == "table" then y, options = nil, y end
  local o = opts.check("fashion_frechet", options, rules, 3)
  local _, a = seen("fashion_frechet", x, o.over)
  local b = y == nil and network.moments() or select(2, seen("fashion_frechet", y, o.over))
  return frechet(a, b, { interval = o.interval })
end

-- One class for all or one per image, as a tensor {n}.
local function classes_of(class, n)
  if class == nil then fail.raise("fashion_accuracy: a class for each of %d images expected, got nil", n) end
  return (classes.labels("fashion_accuracy", class, n, 10))
end

--- The fraction of images that d.metric.fashion_network recognises as the class they were sampled for.
---@param x diffusion.tensor images {n,28,28,1} in [-1, 1]
---@param class diffusion.tensor|integer[]|integer the intended class of each, 1 to 10
---@param options diffusion.metric_fashion_options?
---@return number
---@return diffusion.interval|nil about Wilson's; the network recognises about 92 % of the real test images
---@usage print(d.metric.fashion_accuracy(d.rand(4, 28, 28, 1), { 1, 2, 3, 4 }))
function fashion.fashion_accuracy(x, class, options)
  local o = opts.check("fashion_accuracy", options, rules, 3)
  local guess = seen("fashion_accuracy", x, o.over):argmax(2)
  local wanted = classes_of(class, x:size(1))
  local right = guess:eq(wanted):to(core.real):sum():item()
  if not o.interval then return right / x:size(1) end
  return right / x:size(1), interval.share(right, x:size(1), {
    bias = "downwards if the network errs, upwards if images mislead it" })
end

return fashion

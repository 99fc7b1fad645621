-- The sliced Wasserstein distance: transport along lines through the origin.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local labels = require "diffusion.metric.labels"
local line = require "diffusion.metric.line"
local measure = require "diffusion.measure"
local pairs_of = require "diffusion.metric.pairs"
local opts = require "diffusion.opts"

local function directions(D, o)
  local u = core.randn({ o.projections, D }, { seed = measure.own(o.seed) })
  return u / u:square():sum(2, true):sqrt()
end

-- Both sets minus one centre, divided by one power of 2, by which the distance is divided too. So their
-- products and p-th powers keep their digits. The third result is that power.
local function brought_home(x, y)
  local centre = y:mean(1, true)
  x, y = x - centre, y - centre
  local far = math.max(x:abs():max():item(), y:abs():max():item())
  local unit = far > 0 and 2.0 ^ math.floor(math.log(far, 2)) or 1
  return x / unit, y / unit, unit
end

-- The variance of each sample's influence, which is the mean of its potentials over the lines.
local function variance(a, places, b, p)
  local _, back = places:to(core.real):sort(2)
  return line.potential(a, b, p):gather(2, back):mean(1):var():item() / a:size(2)
end

-- W^p, its standard error, which includes that of having few lines, and p.
local function powers(x, y, o)
  local u = directions(x:size(2), o)
  x, y = pairs_of.product(u, x:t()), pairs_of.product(u, y:t())
  local a, from = x:sort(2)
  local b, to = y:sort(2)
  local costs = line.cost(a, b, o.p)
  local value = costs:mean():item()
  if not o.interval then return value end
  local lines = o.projections > 1 and costs:var():item() / o.projections or 0
  local se = math.sqrt(variance(a, from, b, o.p) + variance(b, to, a, o.p) + lines)
  return value, se, labels.p_value(x, y, value, o)
end

local function measured(x, y, o)
  local unit
  x, y, unit = brought_home(x, y)
  local value, se, p = powers(x, y, o)
  if not o.interval then return unit * value ^ (1 / o.p) end
  local about = labels.interval(value, { se = se, n = { x:size(1), y:size(1) }, p = p,
    method = ("linear in each sample, %d lines"):format(o.projections) })
  about.low, about.high = unit * about.low ^ (1 / o.p), unit * about.high ^ (1 / o.p)
  about.se = value > 0 and unit * se * value ^ (1 / o.p - 1) / o.p or 0
  return unit * value ^ (1 / o.p), about
end

local rules = opts.declare("metric_sliced_wasserstein", {
  projections = { "integer", default = 100, min = 1, text = "number of directions" },
  p = { "number", default = 1, min = 1, max = 8, text = "power of the distance" },
  permutations = opts.joined(labels.permutations, { default = 39 }),
  seed = measure.seed,
  interval = interval.rule,
})

--- The sliced Wasserstein-p distance (Bonneel et al. 2015) is (E W_p(u.X, u.Y)^p)^(1/p) over
--- directions u of length 1. Each W_p is exact. It is biased upwards like wasserstein1. Few lines
--- add no bias to its p-th power. An interval needs n and m of 2 or more. It goes down to 0 if random
--- labels often cost as much (p > 0.025).
---@param x diffusion.tensor samples {n, ...}
---@param y diffusion.tensor samples {m, ...}
---@param options diffusion.metric_sliced_wasserstein_options?
---@return number
---@return diffusion.interval|nil about with p, the share of permutations that differ as much
---@usage print(d.metric.sliced_wasserstein(d.randn(500, 3), d.randn(400, 3) + 1, { p = 2, interval = true }))
return function(x, y, options)
  local o = opts.check("sliced_wasserstein", options, rules, 3)
  x, y = pairs_of.rows("sliced_wasserstein", o.interval and 2 or 1, x, y)
  return gradient.no_grad(measured, x, y, o)
end

-- Precision and recall by nearest neighbours, with density and coverage.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local nearest = require "diffusion.metric.nearest"
local pairs_of = require "diffusion.metric.pairs"
local opts = require "diffusion.opts"

-- The squares of the balls' radii, {n}.
local function radii(x, k) return nearest(x, x, k, true):select(2, k) end

-- For each of x, the number of balls of y that contain it. For each of y, whether a ball of x contains
-- it, and whether its own contains one of x.
local function balls(x, y, k)
  local squares, around_x, around_y = pairs_of.squares(x, y), radii(x, k), radii(y, k):unsqueeze(1)
  local inside, recalled, covered = pairs_of.by_blocks(x:size(1), y:size(1), function(first, b)
    local block = squares(first, b)
    local own, others = block:le(around_y), block:le(around_x:narrow(1, first, b):unsqueeze(2))
    return own:to(core.real):sum(2), others:any(1, true), own:any(1, true)
  end)
  return inside, recalled:any(1), covered:any(1)
end

local bias = "none for the other set's balls as they are, which hold more with more samples"

local function abouts(shares, inside, n, m, k)
  local about = { n = { n, m } }
  for name, count in pairs { precision = n, recall = m, coverage = m } do
    about[name] = interval.share(shares[name] * count, count, { bias = bias, n = { n, m } })
  end
  about.density = interval.normal(shares.density, { se = inside:std():item() / k / math.sqrt(n), bias = bias,
    n = { n, m }, method = "standard error of a mean" }, 0)
  return about
end

local function measured(x, y, o)
  local n, m, k = x:size(1), y:size(1), o.k
  local inside, recalled, covered = balls(x, y, k)
  local shares = {
    precision = pairs_of.share(inside:gt(0)), recall = pairs_of.share(recalled),
    density = inside:to "i64":sum():item() / n / k, coverage = pairs_of.share(covered),
  }
  if not o.interval then return shares end
  return shares, abouts(shares, inside, n, m, k)
end

local rules = opts.declare("metric_precision_recall", {
  k = { "integer", default = 3, min = 1, text = "a ball reaches to the k-th neighbour" }, interval = interval.rule,
})

--- Precision, the fraction of samples that are like data, and recall, the fraction of data that samples
--- are like (Kynkäänniemi et al. 2019), on any features. Around each sample a ball reaches to its k-th
--- neighbour in its own set. Precision is the fraction of x in a ball of y, and recall that of y in a
--- ball of x. density is the number of balls of y around a sample of x, divided by k. coverage is the
--- fraction of y with one of x in their ball. Outliers change these two less (Naeem et al. 2020). All
--- depend on n and m: compare equal numbers.
---@param x diffusion.tensor samples {n, ...}, n > k
---@param y diffusion.tensor data {m, ...}, m > k
---@param options diffusion.metric_precision_recall_options?
---@return {precision: number, recall: number, density: number, coverage: number}
---@return table|nil about an interval of each by name, with the other set's balls held fixed
---@usage print(d.metric.precision_recall(d.randn(500, 2) * 0.5, d.randn(500, 2)).recall)
return function(x, y, options)
  local o = opts.check("precision_recall", options, rules, 3)
  x, y = pairs_of.rows("precision_recall", o.k + 1, x, y)
  return gradient.no_grad(measured, x, y, o)
end

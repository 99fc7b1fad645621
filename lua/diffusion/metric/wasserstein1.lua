-- The Wasserstein-1 distance on the line.
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local labels = require "diffusion.metric.labels"
local line = require "diffusion.metric.line"
local measure = require "diffusion.measure"
local pairs_of = require "diffusion.metric.pairs"
local opts = require "diffusion.opts"

local function measured(x, y, o)
  local n, m = x:size(1), y:size(1)
  x, y = x:reshape(1, n), y:reshape(1, m)
  local a, b = x:sort(2), y:sort(2)
  local value = line.cost(a, b, 1):item()
  if not o.interval then return value end
  local variance = line.potential(a, b, 1):var():item() / n + line.potential(b, a, 1):var():item() / m
  o.p = 1
  return value, labels.interval(value, { se = math.sqrt(variance), n = { n, m }, method = "linear in each sample",
    p = labels.p_value(x, y, value, o) })
end

local rules = opts.declare("metric_wasserstein1", {
  permutations = opts.joined(labels.permutations, { default = 99 }), interval = interval.rule, seed = measure.seed,
})

--- The Wasserstein-1 distance of two sets of numbers, exact: the area between their empirical
--- distribution functions. As an estimate of the distance between the distributions it is biased
--- upwards, by about n^(-1/2) of their spread if both are equal. The interval is that of del Barrio &
--- Loubes (2019). It goes down to 0 if random labels often cost as much (p > 0.025).
---@param x diffusion.tensor samples {n} or {n, 1}
---@param y diffusion.tensor samples {m} or {m, 1}
---@param options diffusion.metric_wasserstein1_options?
---@return number
---@return diffusion.interval|nil about with p, the share of permutations that differ as much
---@usage print(d.metric.wasserstein1(d.randn(500), d.randn(300) + 1, { interval = true }))
return function(x, y, options)
  local o = opts.check("wasserstein1", options, rules, 3)
  x, y = pairs_of.rows("wasserstein1", o.interval and 2 or 1, x, y)
  if x:size(2) ~= 1 then
    fail.raise("wasserstein1: samples of one number expected, got %d; use sliced_wasserstein", x:size(2))
  end
  return gradient.no_grad(measured, x, y, o)
end

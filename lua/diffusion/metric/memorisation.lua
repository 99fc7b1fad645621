-- Detects samples that are copies of the training set, by comparison with fresh data.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local nearest = require "diffusion.metric.nearest"
local pairs_of = require "diffusion.metric.pairs"
local opts = require "diffusion.opts"

-- The probability that a sample is nearer than a fresh one, and its p-value (Mann & Whitney 1947). Ties
-- count half.
local function nearer(a, b)
  local n, m = a:size(1), b:size(1)
  local _, places = core.ops.cat({ a, b }, 1):sort()
  local first = places:le(n):to(core.real)
  local before = n - first:cumsum() -- for each place, how many of a come after it
  local share = 1 - ((1 - first) * before):sum():item() / (n * m)
  return share, interval.tail((share - 0.5) / math.sqrt((n + m + 1) / (12 * n * m)))
end

-- The share of samples whose nearest point is far nearer than the second.
local function alone(near, ratio)
  return pairs_of.share(near:select(2, 1):lt(near:select(2, 2) * ratio))
end

-- The distance below which a share of fresh data lies on average. It is number (m + 1) share of m
-- sorted ones. Without such a number it is that of copies, 0, or inf.
local function distance_of(b, share)
  local m = b:size(1)
  local place = (m + 1) * share
  if place < 1 then return 1e-30 end
  return place > m and math.huge or b:quantile(m > 1 and (place - 1) / (m - 1) or 0):item()
end

-- Wilson's interval of the share, combined with the error of the distance (Zou & Donner 2008). The
-- latter is the share at the ends of Wilson's interval for the distance.
local function around(a, b, value, share)
  local n, m = a:size(1), b:size(1)
  local low, high = interval.wilson(value * n, n)
  local least, most = interval.wilson(share * m, m)
  local function beyond(bound, level)
    return (bound - value) ^ 2 + (pairs_of.share(a:lt(distance_of(b, level))) - value) ^ 2
  end
  return math.max(0, value - math.sqrt(beyond(low, least))), math.min(1, value + math.sqrt(beyond(high, most)))
end

local function measured(x, train, held, o)
  local near, fresh = nearest(x, train, 2):sqrt(), nearest(held, train, 2):sqrt()
  local a, b = near:select(2, 1):contiguous(), fresh:select(2, 1):contiguous()
  local least = distance_of(b, o.share)
  local value = pairs_of.share(a:lt(least))
  if not o.interval then return value end
  local low, high = around(a, b, value, o.share)
  local about = interval.new { low = low, high = high, n = { a:size(1), train:size(1), held:size(1) },
    method = "Wilson's intervals of the share and of the distance",
    bias = "none if nothing was memorised, otherwise small" }
  about.distance, about.alone, about.alone_held = least, alone(near, o.ratio), alone(fresh, o.ratio)
  about.nearer, about.p = nearer(a, b)
  return value, about
end

local rules = opts.declare("metric_memorisation", {
  share = { "number", default = 0.01, above = 0, below = 1,
    text = "share of the fresh data that is nearer to the training set than `distance`" },
  ratio = { "number", default = 1 / 3, above = 0, max = 1,
    text = "a sample is alone if its nearest is at most this times as far as its second" },
  interval = interval.rule,
})

--- The fraction of samples that are unusually near to the training set. Unusually means nearer than
--- all but a small share of fresh data. On average the result is that share if nothing was memorised.
--- It is 1 if all samples are copies. The fresh data must have no copies of the training set, and at
--- least 100 samples. The interval has a useful lower end from 3 / share fresh samples on. Exact copies
--- need fewer.
---@param x diffusion.tensor samples {n, ...}
---@param train diffusion.tensor the model's training set {N, ...}, N >= 2
---@param held diffusion.tensor fresh data {m, ...}, m >= 1 / share
---@param options diffusion.metric_memorisation_options?
---@return number share of x
---@return diffusion.interval|nil about with the interval; distance, the threshold; nearer, the probability
---  that a sample is nearer than a fresh one (1/2 expected), with p (Meehan et al. 2020); alone and
---  alone_held, the fractions of samples and of fresh data whose nearest is at most `ratio` times as far
---  as their second (Yoon et al. 2023)
---@usage local train, held = d.randn(500, 2), d.randn(500, 2)
--- print(d.metric.memorisation(train:narrow(1, 1, 100) + 0.001, train, held, { interval = true }))
return function(x, train, held, options)
  local o = opts.check("memorisation", options, rules, 4)
  x, train, held = pairs_of.rows("memorisation", 1, x, train, held)
  if train:size(1) < 2 then fail.raise "memorisation: a training set of at least 2 is needed, got 1" end
  if held:size(1) * o.share < 1 then
    fail.raise("memorisation: %d fresh samples can't tell a share of %g; %d at least are needed", held:size(1), o.share,
      math.ceil(1 / o.share))
  end
  return gradient.no_grad(measured, x, train, held, o)
end

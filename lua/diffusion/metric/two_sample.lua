-- The classifier two-sample test: a network learns to tell two sets apart.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local lr = require "diffusion.lr"
local nn = require "diffusion.nn"
local measure = require "diffusion.measure"
local opts = require "diffusion.opts"
local optim = require "diffusion.optim"
local pairs_of = require "diffusion.metric.pairs"
local set = require "diffusion.data.set"

local Counters = { __close = function(kept) core.set_random_state(kept.state) end }

-- The same number of rows from each set, in the seed's order. Half of them train the network.
local function split(x, count, seed)
  local rows = x:index(1, core.randperm(x:size(1), { seed = seed }):narrow(1, 1, count):contiguous())
  return rows:narrow(1, 1, count // 2), rows:narrow(1, count // 2 + 1, count - count // 2)
end

local function classifier(D, o)
  return nn.model(nn.sequence(nn.linear(D, o.hidden), nn.silu, nn.linear(o.hidden, o.hidden), nn.silu,
    nn.linear(o.hidden, 2)))
end

local function of_both(x, y)
  local class = core.ops.cat({ core.full({ x:size(1) }, 1), core.full({ y:size(1) }, 2) }, 1):to "i64"
  return core.ops.cat({ x, y }, 1), class
end

-- Scales samples to mean 0 and deviation 1 of the training half. A constant stays 0.
local function standardiser(learnt)
  local mean, spread = learnt:mean(1, true), learnt:std(1, true)
  local scale = core.ops.where(spread:gt(0), spread, 1)
  return function(x) return (x - mean) / scale end
end

local function trained(x, class, o)
  local network = classifier(x:size(2), o)
  local batches = set.new { x = x, class = class }:batches { size = 128, steps = o.steps, seed = o.seed }
  local opt = optim.adamw(network, { weight_decay = 0.01,
    lr = lr.warmup_cosine { peak = 3e-3, warmup = o.steps // 20, total = o.steps } })
  for _, some, which in batches do
    gradient.scope(function()
      gradient.record(function() return core.ops.cross_entropy(network(some), which) end):backward()
      opt:step()
    end)
  end
  return network
end

-- P(K >= k) for K successes in n trials with probability 1/2.
local function tail(k, n)
  local term, sum = -n * math.log(2), 0 -- term of K = 0
  for i = 0, n do
    if i >= k then sum = sum + math.exp(term) end
    term = term + math.log((n - i) / (i + 1))
  end
  return math.min(1, sum)
end

-- The number of held-out samples that the network classifies correctly.
local function right(x, y, o)
  local kept <close> = setmetatable({ state = core.random_state() }, Counters) -- luacheck: ignore 211
  local seed, count = measure.own(o.seed), math.min(x:size(1), y:size(1))
  core.manual_seed(seed)
  local x1, x2 = split(x, count, seed)
  local y1, y2 = split(y, count, seed + 1)
  local learnt, class = of_both(x1, y1)
  local standard = standardiser(learnt)
  local network = trained(standard(learnt), class, o)
  local unseen, truth = of_both(x2, y2)
  local guess = gradient.no_grad(network, standard(unseen)):argmax(2)
  return guess:eq(truth):to(core.real):sum():item(), unseen:size(1)
end

local rules = opts.declare("metric_two_sample", {
  hidden = { "integer", default = 64, min = 1, text = "units of each of the classifier's two layers" },
  steps = { "integer", default = 400, min = 1, text = "training steps of 128 samples" },
  seed = measure.seed, interval = interval.rule,
})

--- The classifier two-sample test (Lopez-Paz & Oquab 2017). A small network is trained on half of
--- both sets. The value is its accuracy in telling which set a sample of the other halves is from.
--- It is 0.5 if both distributions are equal. It is at most 1/2 plus half their total variation,
--- and biased downwards from that, as the network is small and trained on few samples. The larger
--- set is cut to the size of the smaller. The same seed gives the same bits. d.manual_seed's
--- counters are restored.
---@param x diffusion.tensor samples {n, ...}, n >= 20
---@param y diffusion.tensor samples {m, ...}, m >= 20
---@param options diffusion.metric_two_sample_options?
---@return number accuracy
---@return diffusion.interval|nil about with p, the exact probability of this accuracy at even odds
---@usage print(d.metric.two_sample(d.randn(200, 2), d.randn(200, 2) + 1, { steps = 50, interval = true }))
return function(x, y, options)
  local o = opts.check("two_sample", options, rules, 3)
  x, y = pairs_of.rows("two_sample", 20, x, y)
  local k, n = right(x, y, o)
  if not o.interval then return k / n end
  return k / n, interval.share(k, n, { n = { x:size(1), y:size(1) }, p = tail(k, n),
    bias = "downwards from 1/2 + TV/2, that of the best classifier" })
end

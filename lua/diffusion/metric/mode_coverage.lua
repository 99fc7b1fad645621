-- The modes of a known distribution that samples cover, and their shares.
local core = require "diffusion.core"
local given_numbers = require "diffusion.oracle.given"
local oracles = require "diffusion.oracle.base"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local pairs_of = require "diffusion.metric.pairs"

-- Modes as {means {K,D}, variance {K,1,1|D}, axes {K,D,D} or nil, weights list}.
local function modes_of(given, o)
  if kind.of(given) == "oracle" then
    local own = oracles.own(given)
    if not own.means then fail.raise("mode_coverage: an oracle of Gaussians expected, got a %s", tostring(given)) end
    if o.std or o.weights then fail.raise "mode_coverage: an oracle has its own std and weights" end
    return { means = own.means, variance = own.variance, axes = own.axes, weights = own.weights }
  end
  if not core.is_tensor(given) or given:dim() ~= 2 then
    fail.raise("bad argument #2 to 'mode_coverage' (centres {K,D} or an oracle expected, got %s)", kind.shown(given))
  end
  if not o.std then fail.raise "mode_coverage: centres need a 'std', by which nearness is measured" end
  return { means = given:to(core.real), variance = core.full({ given:size(1), 1, 1 }, o.std ^ 2),
    weights = given_numbers.weights("mode_coverage", o.weights, given:size(1)) }
end

-- The distance of each row of x from each mode, in standard deviations, {n, K}.
local function deviations(x, modes)
  local K, list = modes.means:size(1), {}
  for k = 1, K do
    local gap = x - modes.means:narrow(1, k, 1)
    if modes.axes then gap = pairs_of.product(gap, modes.axes:select(1, k)) end
    list[k] = (gap:square() / modes.variance:select(1, k)):sum(2):sqrt()
  end
  return core.ops.stack(list, 2)
end

-- The number of rows near each mode.
local function counts(x, modes, within)
  local gap, place = deviations(x, modes):min(2)
  local near, list = gap:le(within):to(core.real), {}
  for k = 1, modes.means:size(1) do list[k] = (place:eq(k):to(core.real) * near):sum():item() end
  return list
end

-- KL(shares || weights), and the variance of ln(share/weight) among the n samples.
local function divergence(list, weights, n)
  local kl, square = 0, 0
  for k, count in ipairs(list) do
    if count > 0 then
      local l = math.log(count / n / weights[k])
      kl, square = kl + count / n * l, square + count / n * l * l
    end
  end
  return kl, square - kl * kl
end

local function kl_interval(kl, spread, K, n)
  local bias = (K - 1) / (2 * n)
  local about = interval.normal(kl - bias, { se = math.sqrt(math.max(0, spread) / n + (K - 1) / (2 * n * n)), n = { n },
    bias = bias, method = "linear in each share, around the value less its bias" }, 0)
  about.high = math.max(0, about.high)
  return about
end

local function abouts(r, list, spread, n, near)
  local K = #list
  return {
    n = { n },
    covered = interval.new { low = r.covered, high = 1, n = { n }, method = "a mode once seen is there",
      bias = "downwards: rare modes may be missed by chance", unseen = 1 - 0.05 ^ (1 / n) },
    near = interval.share(near, n, { bias = "none" }),
    kl = near > 0 and kl_interval(r.kl, spread, K, near) or nil,
  }
end

local function measured(x, modes, o)
  local n, near, hit = x:size(1), 0, 0
  local list = counts(x, modes, o.within)
  for _, count in ipairs(list) do
    near = near + count
    if count >= o.least then hit = hit + 1 end
  end
  local r, spread = { covered = hit / #list, near = near / n, counts = list, kl = math.huge }, 0
  if near > 0 then r.kl, spread = divergence(list, modes.weights, near) end
  if not o.interval then return r end
  return r, abouts(r, list, spread, n, near)
end

local rules = opts.declare("metric_mode_coverage", {
  std = { "number", above = 0, default_text = "that of the oracle",
    text = "standard deviation of modes given as centres" },
  weights = { "table|tensor", as = "number[]|diffusion.tensor", default_text = "equal",
    text = "weights of modes given as centres" },
  within = { "number", default = 3, above = 0, infinite = true,
    text = "deviations within which a sample is near a mode" },
  least = { "integer", default = 1, min = 1, text = "samples that make a mode covered" }, interval = interval.rule,
})

--- The modes that samples cover: the fraction of modes with a sample near them, and the fraction of
--- samples near a mode. Near is within so many deviations along each axis of the covariance. kl is
--- the divergence KL(shares || weights) of the modes' shares from the true weights, in nats, biased
--- upwards by about (K - 1)/2n. In two dimensions, 98.9 % of a Gaussian lie within 3 deviations; in
--- more, fewer.
---@param x diffusion.tensor samples {n, ...}
---@param modes diffusion.tensor|diffusion.oracle centres {K,D}, or a mixture or Gaussian of d.oracle
---@param options diffusion.metric_mode_coverage_options?
---@return {covered: number, near: number, kl: number, counts: number[]} kl is inf if no sample is near a mode
---@return table|nil about intervals of covered, near and kl by name; covered.unseen is the share that an
---  unseen mode may have, at 95 %
---@usage local oracle = d.oracle.mixture{ means = { { -1, 0 }, { 1, 0 }, { 0, 2 } }, std = 0.2 }
--- d.pp(d.metric.mode_coverage(oracle:sample(500, { seed = 1 }), oracle))
return function(x, modes, options)
  local o = opts.check("mode_coverage", options, rules, 3)
  modes = modes_of(modes, o)
  x = pairs_of.rows("mode_coverage", 1, x, modes.means)
  return gradient.no_grad(measured, x, modes, o)
end

-- The Frechet distance between the Gaussians of two sets. The core computes the value in double. The
-- interval is computed with tensors, and uses the symmetric form of the root of the product.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local interval = require "diffusion.metric.interval"
local pairs_of = require "diffusion.metric.pairs"
local opts = require "diffusion.opts"

local product = pairs_of.product

-- A set of samples, as the core takes it.
local function set_of(x) return { x = x:contiguous(), n = x:size(1), D = x:size(2) } end

-- The moments of a set, and each sample minus the mean, as reals. Given moments are returned.
local function moments_of(a)
  if not a.x or a.cov then return a end
  a.mean = a.x:mean(1)
  a.gap = a.x - a.mean
  a.cov = product(a.gap:t(), a.gap) / (a.n - 1)
  return a
end

local moment_rules = {
  mean = { "tensor", required = true }, cov = { "tensor", required = true }, n = { "integer", min = 1 },
}

local function given_moments(m, argument)
  local o = opts.check("frechet", m, moment_rules, argument)
  local D = o.mean:numel()
  if o.mean:dim() ~= 1 or kind.shape_text(o.cov) ~= ("[%d,%d]"):format(D, D) then
    fail.raise("frechet: moments mean {D} and cov {D,D} expected, got %s and %s", kind.shape_text(o.mean),
      kind.shape_text(o.cov))
  end
  local mean, cov = o.mean:to(core.real), o.cov:to(core.real)
  if not (mean:isfinite():all() and cov:isfinite():all()) then fail.raise "frechet: the moments aren't finite" end
  if not cov:allclose(cov:t():contiguous(), { rtol = 1e-4, atol = 1e-6 * cov:abs():max():item() }) then
    fail.raise "frechet: the covariance isn't symmetric"
  end
  return { mean = mean, cov = (cov + cov:t()) / 2, n = o.n, D = D,
           exact = { o.mean:detach():contiguous(), o.cov:detach():contiguous() } }
end

local function taken(given, argument)
  if type(given) == "table" then return given_moments(given, argument) end
  return set_of((pairs_of.rows("frechet", 2, given)))
end

-- A matrix function of a symmetric matrix, from its eigenvalues and vectors.
local function along(values, vectors) return product(vectors * values, vectors:t()) end

-- The roots of eigenvalues, and their inverses. An inverse is 0 for a value that is only rounding.
local function roots(values)
  local root = values:clamp(0, nil):sqrt()
  local least = values:max():item() * (core.real == "f64" and 1e-14 or 1e-6)
  return root, core.ops.where(values:gt(least), values:maximum(least + 1e-30):sqrt():reciprocal(), 0)
end

-- C1^(1/2), its inverse, and the eigenvalues and vectors of C1^(1/2) C2 C1^(1/2).
local function joined(c1, c2)
  local values, vectors = core.linalg.eigh(c1)
  local up, down = roots(values)
  local root = along(up, vectors)
  local inner = product(product(root, c2), root)
  local l, v = core.linalg.eigh((inner + inner:t()) / 2)
  return { root = root, inverse = along(down, vectors), values = l, vectors = v }
end

local function trace(c) return (c * core.eye(c:size(1))):sum():item() end

-- The core computes in double, from the samples or from the moments as they were given.
local function between(a, b)
  local x, y = a.exact or { a.x }, b.exact or { b.x }
  return fail.call(core.frechet, x[1], x[2], y[1], y[2]):item()
end

-- The variance due to one set: that of each sample's influence 2 z.(m1 - m2) + z.(1 - map) z. `map` is
-- the optimal transport between the Gaussians.
local function variance_of(a, b, map)
  if not a.x then return 0 end
  local curved = (product(a.gap, core.eye(map:size(1)) - map) * a.gap):sum(2)
  local straight = product(a.gap, (a.mean - b.mean):unsqueeze(2)):squeeze(2)
  return (curved + 2 * straight):var():item() / a.n
end

local function standard_error(a, b, j)
  local up, down = roots(j.values)
  local there = product(product(j.inverse, along(up, j.vectors)), j.inverse)
  local back = product(product(j.root, along(down, j.vectors)), j.root)
  return math.sqrt(variance_of(a, b, there) + variance_of(b, a, back))
end

-- Every second sample, starting with the first or the second. Moments are returned as they are.
local function half(a, which)
  if not a.x then return a end
  local count = a.n // 2
  return set_of(a.x:narrow(1, 1, 2 * count):reshape(count, 2, a.D):select(2, which))
end

-- The bias falls as 1/n, so halves of the sets have twice the bias.
local function bias_of(a, b, value)
  local first = gradient.scope(function() return between(half(a, 1), half(b, 1)) end)
  local second = gradient.scope(function() return between(half(a, 2), half(b, 2)) end)
  return (first + second) / 2 - value
end

-- The error of value - bias if both sets are alike, for which single samples have no influence. The
-- value is then a sum of squares with the bias as its mean, and the estimated bias varies as much.
-- The number of squares follows from (tr C)^2/tr C^2 directions of equal variance.
local function error_of_squares(a, b, bias)
  local c = a.cov + b.cov
  local D = trace(c) ^ 2 / math.max(c:square():sum():item(), 1e-30)
  local count = D * (1 + (D + 1) / 4) ^ 2 / (1 + (D + 1) / 8)
  return 2 * math.max(0, bias) / math.sqrt(math.max(count, 1))
end

-- The largest distance of a set from a centre.
local function reach(a, centre)
  if a.x then return (a.x - centre):abs():max():item() end
  return math.max((a.mean - centre):abs():max():item(), math.sqrt(a.cov:abs():max():item()))
end

-- A set minus a centre, divided by a unit.
local function moved(a, centre, unit)
  if a.x then return set_of((a.x - centre) / unit) end
  return { mean = (a.mean - centre) / unit, cov = a.cov / unit / unit, n = a.n, D = a.D }
end

-- Both sets relative to one centre and unit, a power of 2. So the standard error keeps its digits far
-- from 0 and at other scales. The third result is the unit.
local function brought_home(a, b)
  local centre = a.x and a.x:mean(1) or a.mean
  local far = math.max(reach(a, centre), reach(b, centre))
  local unit = far > 0 and 2.0 ^ math.floor(math.log(far, 2)) or 1
  return moved(a, centre, unit), moved(b, centre, unit), unit
end

local function check_count(a)
  if a.x and a.n < 4 then fail.raise("frechet: at least 4 samples are needed for an interval, got %d", a.n) end
end

-- The size of the smaller set. Moments count as infinitely many.
local function fewest(a, b) return math.min(a.x and a.n or math.huge, b.x and b.n or math.huge) end

-- An interval around the value minus its bias. The halves of few samples don't determine the bias, so
-- the interval then goes from 0 to above the value, which is biased upwards.
local function around(a, b, value)
  local bias, few = bias_of(a, b, value), fewest(a, b) < 4 * a.D
  local x, y, unit = brought_home(a, b)
  local j = joined(moments_of(x).cov, moments_of(y).cov)
  local se = math.max(unit ^ 2 * standard_error(x, y, j), error_of_squares(x, y, bias))
  local about = interval.normal(few and value or value - bias, { se = se, n = { a.n or 0, b.n or 0 }, bias = bias,
    extrapolated = value - bias, method = few
      and "from 0, as so few samples don't determine the bias, to above the value"
      or "linear in each sample, around the value less its bias" }, 0)
  about.low, about.high = few and 0 or about.low, math.max(0, about.high)
  return about
end

local function measured(a, b, o)
  local value = between(a, b)
  if not o.interval then return value end
  check_count(a)
  check_count(b)
  return value, around(a, b, value)
end

local rules = opts.declare("metric_frechet", { interval = interval.rule })

--- The Frechet distance between the Gaussians that fit two sets of features (Heusel et al. 2017, eq. 6;
--- Dowson & Landau 1982): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It is computed in double, from
--- any number of samples from 2 on. A covariance that isn't positive semidefinite is an error. The
--- value is biased upwards. If both are alike the bias is about D^2/4 (1/n + 1/m) times the features'
--- variance. So compare only equal numbers of samples, or extrapolated values. The interval is around
--- the value for infinitely many samples, estimated from halves of the sets (Chong & Forsyth 2020). So
--- it may not contain the value itself. Halves of fewer than 4 D samples don't determine it; the
--- interval then reaches from 0 to above the value. Given moments count as exact.
--- It takes three times as long.
---@param x diffusion.tensor|table features {n, D}, or their moments {mean = {D}, cov = {D,D}, n =}
---@param y diffusion.tensor|table features {m, D}, or their moments
---@param options diffusion.metric_frechet_options?
---@return number
---@return diffusion.interval|nil about with bias, its estimate, and extrapolated, the value minus the bias
---@usage local value, about = d.metric.frechet(d.randn(500, 4), d.randn(500, 4) + 1, { interval = true })
--- print(value, about.extrapolated, about)
return function(x, y, options)
  local o = opts.check("frechet", options, rules, 3)
  for _, set in ipairs { x, y } do
    gradient.constant("frechet", "a set", set)
    if type(set) == "table" then
      gradient.constant("frechet", "mean", set.mean)
      gradient.constant("frechet", "cov", set.cov)
    end
  end
  return gradient.no_grad(function()
    local a, b = taken(x, 1), taken(y, 2)
    if a.D ~= b.D then fail.raise("frechet: samples of %d and of %d numbers", a.D, b.D) end
    return measured(a, b, o)
  end)
end

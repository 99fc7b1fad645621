-- Mixtures of Gaussians. A Gaussian is a mixture of one. Each covariance is decomposed into its axes
-- once, and all components are computed together, as {K,B,D}.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local base = require "diffusion.oracle.base"
local draw = require "diffusion.oracle.draw"
local given = require "diffusion.oracle.given"
local quadrature = require "diffusion.oracle.quadrature"

local family = {}

-- A level's coefficient, shaped to broadcast to {K,B,D}.
local function over(c) return core.is_tensor(c) and c:unsqueeze(1) or c end

-- Rows {K,B,D} in the coordinates of each component's axes, and back.
local function along_axes(z, axes)
  if not axes then return z end
  return base.at_highest(z.matmul, z, axes)
end

-- For each component: x minus its mean in the coordinates of its axes, and the variances there.
local function aligned(o, x, a, s)
  local gap = x:unsqueeze(1) - over(a) * o.means:unsqueeze(2)
  return along_axes(gap, o.axes), over(a) ^ 2 * o.variance + over(s) ^ 2
end

-- ln(weight_k N(x; a m_k, variance_k)), {K,B}.
local function log_joint(o, z, variance)
  local quad = (z * z / variance):sum(3)
  local spread = variance:log():sum(3) * (o.D / o.variance:size(3))
  return o.prior - 0.5 * (quad + spread + o.D * math.log(2 * math.pi))
end

function family.marginal(o, x, a, s)
  return log_joint(o, aligned(o, x, a, s)):logsumexp(1)
end

-- Each component's m + a C (a^2 C + s^2)^-1 (x - a m), weighted by its posterior probability.
function family.mean(o, x, a, s)
  local z, variance = aligned(o, x, a, s)
  local moved = along_axes(over(a) * o.variance / variance * z, o.back) + o.means:unsqueeze(2)
  if o.K == 1 then return moved:squeeze(1) end
  return (log_joint(o, z, variance):softmax(1):unsqueeze(3) * moved):sum(1)
end

function family.draw(o, n, options)
  local which = draw.pick(o.weights, fail.call(core.rand, { n }, options))
  local z = core.randn({ n, o.D }, options)
  local scaled = z * o.variance:squeeze(2):sqrt():index(1, which)
  if o.axes then scaled = base.at_highest(family.turned, o, scaled, which) end
  return scaled + o.means:index(1, which)
end

-- Each row rotated to the axes of its own component. All rotations are computed, and one is selected.
function family.turned(o, z, which)
  local out = core.zeros(z:size(1), o.D)
  for k = 1, o.K do
    out = core.ops.where(which:eq(k):unsqueeze(2), z:matmul(o.back:select(1, k)), out)
  end
  return out
end

function family.bounds(o)
  local low, high, width = {}, {}, o.variance:min():item() ^ 0.5
  local reach = 9 * o.variance:max():item() ^ 0.5
  local least, most = o.means:min(1):totable(), o.means:max(1):totable()
  for i = 1, o.D do low[i], high[i] = least[i] - reach, most[i] + reach end
  return low, high, width
end

function family.entropy(o)
  if o.flat then return -math.huge end
  if o.K > 1 then return quadrature.entropy(o) end
  local logs = o.variance:log():sum():item() * (o.D / o.variance:size(3))
  return o.D / 2 * (math.log(2 * math.pi) + 1) + logs / 2
end

function family.text(o)
  if o.K == 1 then return ("gaussian in %d dimensions"):format(o.D) end
  return ("mixture of %d gaussians in %d dimensions"):format(o.K, o.D)
end

-- ==== making one =============================================================================

-- variance {K,1,1} or {K,1,D}; axes {K,D,D} in columns, or nil
local function new(name, means, variance, axes, weights, fields)
  local K, D = means:size(1), means:size(2)
  if not means:isfinite():all() then fail.raise("%s: means must be finite numbers", name) end
  fields.K, fields.D, fields.work = K, D, 2 * K * D
  fields.weights = given.weights(name, weights, K)
  fields.means, fields.variance, fields.axes = means, variance, axes
  fields.back = axes and axes:permute(1, 3, 2):contiguous()
  fields.prior = core.tensor(fields.weights):log():unsqueeze(2)
  fields.flat = variance:min():item() == 0
  return base.new(family, fields)
end

local rounding = { f32 = 1e-6, f64 = 1e-13 } -- error of a covariance's eigenvalues, relative to the largest

-- The eigenvalues {K,1,D} and axes {K,D,D} of covariances {K,D,D}. A value that is 0 up to rounding is
-- set to 0: the distribution has no width along that axis. Doubles may have been rounded to floats.
local function taken_apart(name, covs)
  local own, of_reals = rounding[covs:dtype()] or 1e-6, rounding[core.real]
  local values, axes = {}, {}
  for k = 1, covs:size(1) do
    values[k], axes[k] = fail.call(core.linalg.eigh, covs:select(1, k))
    local least, most = values[k]:min():item(), values[k]:max():item()
    if not (least >= -math.max(own, of_reals) * most) then
      fail.raise("%s: covariance %d isn't positive semidefinite: its least eigenvalue is %g", name, k, least)
    end
    values[k] = core.ops.where(values[k]:gt(own * most), values[k], values[k] * 0)
  end
  return core.ops.stack(values, 1):unsqueeze(2), core.ops.stack(axes, 1)
end

local function as_tensor(v, dtype) return core.is_tensor(v) and v or fail.call(core.tensor, v, { dtype = dtype }) end

local function length_of(v)
  if core.is_tensor(v) then return v:numel() end
  return type(v) == "table" and #v or 1
end

-- A Gaussian whose coordinates are independent needs no axes.
local function straight(o)
  local D = math.max(length_of(o.std), length_of(o.mean))
  local variance = core.tensor(given.positive("gaussian", "std", o.std, D, true)) ^ 2
  return core.eye(D) * variance, variance:reshape(1, 1, D)
end

local function turned(o)
  local cov = as_tensor(o.cov, "f64") -- a list keeps its digits
  if cov:dim() ~= 2 or cov:size(1) ~= cov:size(2) then
    fail.raise("gaussian: cov must be {D,D}, got %s", kind.shape_text(cov))
  end
  return cov:to(core.real), taken_apart("gaussian", cov:unsqueeze(1))
end

local mixture = {}

local gaussian_rules = opts.declare("oracle_gaussian", {
  mean = { "number|table|tensor", default = 0, as = "number|number[]|diffusion.tensor",
    text = "the mean: D numbers, or one number for all dimensions" },
  std = { "number|table|tensor", as = "number|number[]|diffusion.tensor", default_text = "cov instead",
    text = "standard deviations: D numbers, or one number for all dimensions" },
  cov = { "table|tensor", as = "number[][]|diffusion.tensor", default_text = "std instead", text = "covariance {D,D}" },
})

--- A Gaussian.
---@param options diffusion.oracle_gaussian_options
---@return diffusion.oracle
---@usage local oracle = d.oracle.gaussian{ mean = { 1, -1 }, cov = { { 1, 0.3 }, { 0.3, 0.5 } } }
--- print(oracle:entropy(), oracle:posterior_mean(d.zeros(1, 2), 0.6, 0.8))
function mixture.gaussian(options)
  local o = opts.check("gaussian", options, gaussian_rules)
  if (o.std == nil) == (o.cov == nil) then fail.raise "gaussian: give one of 'std' and 'cov'" end
  local cov, variance, axes = (o.std and straight or turned)(o)
  local mean = core.tensor(given.list("gaussian", "mean", o.mean, cov:size(1)))
  return new("gaussian", mean:unsqueeze(1), variance, axes, nil, { mean = mean, cov = cov })
end

local rules = opts.declare("oracle_mixture", {
  means = { "table|tensor", required = true, as = "number[][]|diffusion.tensor", text = "means {K,D}" },
  std = { "number|table|tensor", as = "number|number[]|diffusion.tensor", default_text = "covs instead",
    text = "standard deviations: K numbers, or one number for all components" },
  covs = { "table|tensor", as = "number[][][]|diffusion.tensor", default_text = "std instead",
    text = "covariances {K,D,D}" },
  weights = { "table|tensor", as = "number[]|diffusion.tensor", default_text = "equal", text = "K weights" },
})

--- A mixture of K Gaussians, isotropic or with any covariances. In one or two dimensions its entropy
--- is computed by quadrature.
---@param options diffusion.oracle_mixture_options
---@return diffusion.oracle
---@usage local oracle = d.oracle.mixture{ means = { { -1 }, { 1 } }, std = 0.2 }
--- local p = d.process{ schedule = d.schedule.cosine{}, predict = "x0" }
--- local x = d.sample{ model = oracle:denoiser(p), process = p, shape = { 1000, 1 }, steps = 20, seed = 1 }
--- print(d.metric.wasserstein1(x, oracle:sample(1000, { seed = 2 })))
function mixture.mixture(options)
  local o = opts.check("mixture", options, rules)
  local means = as_tensor(o.means)
  if means:dim() ~= 2 or means:numel() == 0 then
    fail.raise("mixture: means must be {K,D}, got %s", kind.shape_text(means))
  end
  if (o.std == nil) == (o.covs == nil) then fail.raise "mixture: give one of 'std' and 'covs'" end
  local K, D = means:size(1), means:size(2)
  if o.std then
    local std = given.positive("mixture", "std", o.std, K)
    return new("mixture", means, (core.tensor(std) ^ 2):reshape(K, 1, 1), nil, o.weights,
      { means = means, std = std })
  end
  local covs = as_tensor(o.covs, "f64")
  if kind.shape_text(covs) ~= ("[%d,%d,%d]"):format(K, D, D) then
    fail.raise("mixture: covs must be [%d,%d,%d] for means %s, got %s", K, D, D, kind.shape_text(means),
      kind.shape_text(covs))
  end
  local values, axes = taken_apart("mixture", covs)
  return new("mixture", means, values, axes, o.weights, { means = means, covs = covs:to(core.real) })
end

return mixture

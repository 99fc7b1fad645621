--- Distributions whose best denoiser is known in closed form: they stand where a trained
--- network would, and a sampler's result can be held against the truth. Gaussians and
--- mixtures of Gaussians, one isotropic width a component.
local core = require "diffusion.core"
local opts = require "diffusion.opts"

local oracle = {}

--- A distribution whose best denoiser is known: d.oracle.gaussian or d.oracle.mixture.
---@class diffusion.oracle
---@field D integer its dimension
local Mixture = { __name = "diffusion.oracle" }
Mixture.__index = Mixture

-- ==== one covariance matrix ============================================================

local Gaussian = { __name = "diffusion.oracle" }
Gaussian.__index = Gaussian

local function as_list(v, D, what)
  if type(v) == "number" then
    local out = {}
    for i = 1, D do out[i] = v end
    return out
  end
  if core.is_tensor(v) then v = v:flatten():totable() end
  if #v ~= D then opts.fail("oracle: %s has %d entries for dimension %d", what, #v, D) end
  return v
end

local function diagonal(std, D)
  local list, rows = as_list(std, D, "std"), {}
  for i = 1, D do
    if not (list[i] > 0) then opts.fail("oracle: std must be positive, entry %d is %g", i, list[i]) end
    rows[i] = {}
    for j = 1, D do rows[i][j] = i == j and list[i] ^ 2 or 0 end
  end
  return core.tensor(rows)
end

local function dimension(o)
  local v = o.cov or o.mean
  if core.is_tensor(v) then return v:size(1) end
  if type(v) == "table" then return #v end
  return type(o.std) == "table" and #o.std or 1
end

--- A Gaussian.
---@param options table {mean = 0 or a list of D, std = number or list of D, or cov = {D,D}}
---@return diffusion.oracle
function oracle.gaussian(options)
  local o = opts.check("gaussian", options, { mean = { "number|table|tensor", default = 0 },
    std = { "number|table" }, cov = { "table|tensor" } })
  if (o.std == nil) == (o.cov == nil) then
    opts.fail "oracle: give one of 'std' and 'cov'"
  end
  local D = dimension(o)
  local cov = o.cov or diagonal(o.std, D)
  if not core.is_tensor(cov) then cov = core.tensor(cov) end
  local values, vectors = core.linalg.eigh(cov)
  for i, v in ipairs(values:totable()) do
    if not (v > 0) then opts.fail("oracle: cov isn't positive definite: eigenvalue %d is %g", i, v) end
  end
  return setmetatable({ D = D, mean = core.tensor(as_list(o.mean, D, "mean")), cov = cov,
    values = values, vectors = vectors }, Gaussian)
end

local function check_count(n)
  if type(n) ~= "number" or not math.tointeger(n) or n < 0 then
    opts.fail("bad argument #1 to 'sample' (a whole number of 0 or more expected, got %s)", opts.shown(n))
  end
  return n
end

-- x as rows {B, D}, and how to go back.
local function rows_of(x, D)
  if not core.is_tensor(x) then opts.fail("oracle: x must be a tensor, got %s", opts.shown(x)) end
  if x:numel() % D ~= 0 or x:dim() < 1 or x:numel() // math.max(1, x:size(1)) ~= D then
    opts.fail("oracle: x %s for a distribution of dimension %d", opts.shape_text(x), D)
  end
  return x:reshape(x:size(1), D)
end

--- n samples.
---@param n integer
---@param options table? {seed=}
---@return diffusion.tensor x {n, D}
function Gaussian:sample(n, options)
  local z = opts.relay(core.randn, { check_count(n), self.D }, options)
  return (z * self.values:sqrt()):matmul(self.vectors:t()) + self.mean
end

--- ln p(x) for each row.
---@param x diffusion.tensor {B, D}
---@return diffusion.tensor {B}
function Gaussian:log_prob(x)
  local z = (rows_of(x, self.D) - self.mean):matmul(self.vectors)
  local quad = (z * z / self.values):sum(2)
  local constant = self.values:log():sum():item() + self.D * math.log(2 * math.pi)
  return -0.5 * (quad + constant)
end

--- The differential entropy in nats: D/2 ln(2 pi e) + 1/2 ln det cov.
---@return number
function Gaussian:entropy()
  return self.D / 2 * (math.log(2 * math.pi) + 1) + self.values:log():sum():item() / 2
end

-- A coefficient of t as a column to multiply rows with: a number, or {B, 1}.
local function column(c) return core.is_tensor(c) and c:unsqueeze(2) or c end

--- The best x0 of x = a x0 + s eps: mean + a cov (a^2 cov + s^2)^-1 (x - a mean), in the eigenbasis.
---@param x diffusion.tensor {B, D}
---@param a number|diffusion.tensor signal, one or {B}
---@param s number|diffusion.tensor noise, one or {B}
---@return diffusion.tensor {B, D}
function Gaussian:posterior_mean(x, a, s)
  a, s = column(a), column(s)
  local z = (x - a * self.mean):matmul(self.vectors)
  local gain = a * self.values / (a ^ 2 * self.values + s ^ 2)
  return (gain * z):matmul(self.vectors:t()) + self.mean
end

-- ==== mixtures ==========================================================================

local function normalised(weights, K)
  local list, total = as_list(weights or 1, K, "weights"), 0
  for i = 1, K do
    if not (list[i] > 0) then opts.fail("oracle: weights must be positive, entry %d is %g", i, list[i]) end
    total = total + list[i]
  end
  for i = 1, K do list[i] = list[i] / total end
  return list
end

--- A mixture of K isotropic Gaussians.
---@param options table {means = K lists of D, std = number or a list of K, weights = a list
---  of K, equal if absent}
---@return diffusion.oracle
---@usage local oracle = d.oracle.mixture{ means = { { -1 }, { 1 } }, std = 0.2 }
--- local p = d.process{ schedule = d.schedule.cosine{}, predict = "x0" }
--- local x = d.sample{ model = oracle:denoiser(p), process = p, shape = { 1000, 1 }, steps = 20, seed = 1 }
--- print(d.metric.wasserstein1(x, oracle:sample(1000, { seed = 2 })))
function oracle.mixture(options)
  local o = opts.check("mixture", options, { means = { "table|tensor", required = true },
    std = { "number|table", required = true }, weights = { "table" } })
  local means = core.is_tensor(o.means) and o.means or opts.relay(core.tensor, o.means)
  if means:dim() ~= 2 then opts.fail("oracle: means must be {K,D}, got %s", opts.shape_text(means)) end
  local K = means:size(1)
  local std = as_list(o.std, K, "std")
  for i = 1, K do
    if not (std[i] > 0) then opts.fail("oracle: std must be positive, entry %d is %g", i, std[i]) end
  end
  return setmetatable({ K = K, D = means:size(2), means = means, std = std,
    variance = core.tensor(std) ^ 2, weights = normalised(o.weights, K) }, Mixture)
end

--- n samples, components drawn by weight.
function Mixture:sample(n, options)
  local u = opts.relay(core.rand, { check_count(n) }, options):totable()
  local index = {}
  for i = 1, n do
    local k, left = 1, u[i] - self.weights[1]
    while left > 0 and k < self.K do
      k = k + 1
      left = left - self.weights[k]
    end
    index[i] = k
  end
  local which = core.tensor(index, { dtype = "i64" })
  local z = core.randn({ n, self.D }, options)
  return self.means:index(1, which) + z * core.tensor(self.std):index(1, which):unsqueeze(2)
end

-- ln(weight_k N(x; a m_k, variance_k)) for rows x: {B, K}; variance {K} or {B, K}.
function Mixture:log_joint(x, a, variance)
  local gap = x:unsqueeze(2) - column(column(a)) * self.means:unsqueeze(1)
  local quad = (gap * gap):sum(3) / variance
  local prior = core.tensor(self.weights):log()
  return prior - 0.5 * (quad + self.D * (variance * (2 * math.pi)):log())
end

--- ln p(x) for each row.
function Mixture:log_prob(x)
  return self:log_joint(rows_of(x, self.D), 1, self.variance:unsqueeze(1)):logsumexp(2)
end

-- Each component's posterior mean, weighted by its share in explaining x.
function Mixture:posterior_mean(x, a, s)
  local A, S = column(a), column(s)
  local marginal = A ^ 2 * self.variance:unsqueeze(1) + S ^ 2
  local share = self:log_joint(x, a, marginal):softmax(2)
  local gain = A * self.variance:unsqueeze(1) / marginal
  local from_x = (share * gain):sum(2, true)
  local from_means = (share * (1 - A * gain)):matmul(self.means)
  return from_x * x + from_means
end

-- -sum p ln p over a grid with the given corners, by the trapezoid rule, which converges
-- faster than any power of the spacing for such densities.
local function grid_entropy(self, low, high, n)
  local axes, cell = {}, 1
  for i = 1, self.D do
    axes[i] = core.linspace(low[i], high[i], n)
    cell = cell * (high[i] - low[i]) / (n - 1)
  end
  local x = axes[1]:unsqueeze(2)
  if self.D == 2 then
    local first = x:expand(n, n):reshape(n * n)
    local second = axes[2]:unsqueeze(1):expand(n, n):reshape(n * n)
    x = core.ops.stack({ first, second }, 2)
  end
  local lp = self:log_prob(x)
  return -(lp:exp() * lp):sum():item() * cell
end

--- The differential entropy in nats: by quadrature in one or two dimensions.
---@return number
function Mixture:entropy()
  if self.D > 2 then
    opts.fail("oracle: entropy of a mixture in %d dimensions has no closed form; average "
      .. "-log_prob over samples", self.D)
  end
  local low, high, least = {}, {}, math.huge
  for i = 1, self.D do low[i], high[i] = math.huge, -math.huge end
  for k, m in ipairs(self.means:totable()) do
    least = math.min(least, self.std[k])
    for i = 1, self.D do
      low[i] = math.min(low[i], m[i] - 9 * self.std[k])
      high[i] = math.max(high[i], m[i] + 9 * self.std[k])
    end
  end
  local widest = 0
  for i = 1, self.D do widest = math.max(widest, high[i] - low[i]) end
  return grid_entropy(self, low, high, math.ceil(widest / least * 4) + 1)
end

-- ==== as a denoiser ========================================================================

--- The best denoiser there is, E[x0 | xt], as a function (xt, t) -> what the process
--- predicts, of any shape whose samples have D elements.
---@param process diffusion.process
---@return function denoiser
local function denoiser(self, process)
  if opts.kind(process) ~= "process" then
    opts.fail("bad argument #1 to 'denoiser' (a process expected, got %s)", opts.shown(process))
  end
  local schedule = process.schedule
  return function(xt, t)
    local x = rows_of(xt, self.D)
    local x0 = self:posterior_mean(x, schedule:signal(t), schedule:noise(t)):reshape(xt:shape())
    if process.predict == "x0" then return x0 end
    return process:convert(x0, { from = "x0", to = process.predict, xt = xt, t = t })
  end
end

Gaussian.denoiser = denoiser
Mixture.denoiser = denoiser

function Gaussian:__tostring() return ("gaussian in %d dimensions"):format(self.D) end
function Mixture:__tostring() return ("mixture of %d gaussians in %d dimensions"):format(self.K, self.D) end

return oracle

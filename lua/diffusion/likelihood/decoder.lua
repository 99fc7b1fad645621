-- -ln p(x0 | x1), the last term of the bound, for a Gaussian p with a mean and a deviation.
-- In Ho et al. 2020, eq. 13, x0 is one of `bins` levels of [-1, 1]. A bin is as wide as the gap
-- between levels. The first and the last bin extend to infinity.
local core = require "diffusion.core"
local given = require "diffusion.likelihood.given"

local decoder = {}

--- The rule of the option `decoder` of bounds and objectives.
decoder.rule = { one_of = { "erf", "tanh", "gaussian" }, default = "erf",
  text = 'last term of the bound: levels by erf, or by its approximation tanh as in published figures; or a density' }

-- ln(1 - e^w) = ln 2t/(1 + t) with t = tanh(-w/2), for w < 0. Nothing cancels.
local function log1mexp(w)
  local t = (w * -0.5):tanh()
  return (t * 2 / (t + 1)):log()
end

-- ln of the mass between low < high, in units of the deviation times sqrt 2. Both are mirrored to
-- the side where erfc is small, so that its logarithm has all digits.
local function log_mass(low, high)
  local turn = (low + high):lt(0)
  local near, far = core.ops.where(turn, -high, low), core.ops.where(turn, -low, high)
  local first = near:log_erfc()
  return first + log1mexp(far:log_erfc() - first) - math.log(2)
end

--- ln of a Gaussian's mass in each value's bin.
---@param gap diffusion.tensor value - mean
---@param reach number half of a bin
---@param std number|diffusion.tensor as gap
---@param below diffusion.tensor 1 in the first bin, which includes all below it
---@param above diffusion.tensor 1 in the last bin, which includes all above it
---@return diffusion.tensor as gap
function decoder.erf(gap, reach, std, below, above)
  local scale = (std * math.sqrt(2)) ^ -1
  local low, high = (gap - reach) * scale, (gap + reach) * scale
  local inner = log_mass(low, high)
  return core.ops.where(below, (-high):log_erfc() - math.log(2),
    core.ops.where(above, low:log_erfc() - math.log(2), inner))
end

-- Phi by the usual approximation. Its error is 1.8e-4, and half a bit at four levels from the mean.
local function by_tanh(x) return ((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)):tanh() * 0.5 + 0.5 end

-- It reproduces published values: the code of Ho et al. 2020 and code based on it use it.
function decoder.tanh(gap, reach, std, below, above)
  local low, high = by_tanh((gap - reach) / std), by_tanh((gap + reach) / std)
  local mass = core.ops.where(below, high, core.ops.where(above, 1 - low, high - low))
  return mass:maximum(1e-12):log()
end

local function exp(x) return type(x) == "number" and math.exp(x) or x:exp() end

--- ln of the density of a Gaussian.
---@param gap diffusion.tensor value - mean
---@param log_variance number|diffusion.tensor as gap
---@return diffusion.tensor as gap
function decoder.gaussian(gap, log_variance)
  return gap:square() * (exp(-log_variance) * -0.5) - (log_variance / 2 + 0.5 * math.log(2 * math.pi))
end

--- -ln of each sample's probability, or of its density if kind is "gaussian", in nats.
---@param x0 diffusion.tensor {B, ...}
---@param mean diffusion.tensor as x0
---@param log_variance number|diffusion.tensor as x0
---@param kind string "erf", "tanh" or "gaussian"
---@param bins integer
---@return number[]
function decoder.nats(x0, mean, log_variance, kind, bins)
  local gap = x0 - mean
  if kind == "gaussian" then return given.sums(-decoder.gaussian(gap, log_variance)) end
  local reach = 1 / (bins - 1)
  return given.sums(-decoder[kind](gap, reach, exp(log_variance / 2), x0:lt(-1 + reach), x0:gt(1 - reach)))
end

return decoder

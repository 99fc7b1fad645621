-- ln p(x0) of a Gaussian, as the last step of the bound has it: of the density, or of a value
-- among the 256 of a picture in [-1, 1] (Ho et al. 2020, eq. 13).
local core = require "diffusion.core"

local decoder = {}

local half = 1 / 255 -- of the width of a value's bin
local root2, log_root_2pi = math.sqrt(2), 0.5 * math.log(2 * math.pi)
local far = 4 -- from where on the tail is told by its continued fraction

-- (1 - Phi(z)) / phi(z) for z >= 4, Mills' ratio: 1/(z + 1/(z + 2/(z + 3/(z + ...)))).
local function mills(z)
  local y = z
  for k = 20, 1, -1 do y = z + k / y end
  return 1 / y
end

-- ln(Phi(b) - Phi(a)) for b > a and b > 0. Differences of erfc lose their digits where a is
-- far out; from there it is -a^2/2 + ln(m(a) - e^((a^2 - b^2)/2) m(b)), m being Mills' ratio.
local function log_between(a, b)
  local near = ((a / root2):erfc() - (b / root2):erfc()) / 2
  local out, beyond = a:maximum(far), b:maximum(far + 1e-3)
  local rest = ((out - beyond) * (out + beyond) / 2):exp() * mills(beyond)
  local tail = (mills(out) - rest):log() - out:square() / 2 - log_root_2pi
  return core.ops.where(a:lt(far), near:maximum(1e-30):log(), tail)
end

--- ln p of each value of a picture: what N(mean, variance) has in its bin, whose edges at -1
--- and 1 are infinitely far.
---@param x diffusion.tensor in [-1, 1]
---@param mean diffusion.tensor as x
---@param log_variance diffusion.tensor as x
---@return diffusion.tensor as x
function decoder.discretized(x, mean, log_variance)
  local scale = (log_variance * -0.5):exp()
  local middle, width = (x - mean) * scale, scale * half
  local black, white = x:lt(-0.999), x:gt(0.999)
  local a = core.ops.where(white, middle, core.ops.where(black, -middle, middle:abs())) - width
  local b = core.ops.where(x:abs():gt(0.999), a:maximum(0) + 40, a + width * 2)
  return log_between(a, b)
end

--- ln of the density of each value.
---@param x diffusion.tensor
---@param mean diffusion.tensor as x
---@param log_variance diffusion.tensor as x
---@return diffusion.tensor as x
function decoder.gaussian(x, mean, log_variance)
  return (x - mean):square() * (-log_variance):exp() * -0.5 - log_variance / 2 - log_root_2pi
end

return decoder

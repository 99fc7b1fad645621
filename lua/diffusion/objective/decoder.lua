-- ln p(x0) of a Gaussian, the last term of the bound. It is that of the density, or of one of the
-- 256 values of a picture in [-1, 1] (Ho et al. 2020, eq. 13), with d.likelihood's bins.
local bins = require "diffusion.likelihood.decoder"

local decoder = {}

local half = 1 / 255 -- half of the width of a value's bin

local function of_bins(mass)
  return function(x, mean, log_variance)
    return mass(x - mean, half, (log_variance / 2):exp(), x:lt(-1 + half), x:gt(1 - half))
  end
end

--- ln p of each value of a picture: what N(mean, variance) has in its bin, whose edges at -1
--- and 1 are infinitely far. "tanh" approximates the normal distribution function.
---@param x diffusion.tensor in [-1, 1]
---@param mean diffusion.tensor as x
---@param log_variance diffusion.tensor as x
---@return diffusion.tensor as x
decoder.erf, decoder.tanh = of_bins(bins.erf), of_bins(bins.tanh)

--- ln of the density of each value.
---@param x diffusion.tensor
---@param mean diffusion.tensor as x
---@param log_variance diffusion.tensor as x
---@return diffusion.tensor as x
function decoder.gaussian(x, mean, log_variance) return bins.gaussian(x - mean, log_variance) end

return decoder

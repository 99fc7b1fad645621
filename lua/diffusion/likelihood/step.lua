-- The divergence of a reverse step whose variance is a number's own, as networks learn it.
local fail = require "diffusion.fail"

--- KL(q(x_{t-1} | x_t, x_0) || p_theta) of each number: Ho et al. 2020, eq. 5, in nats. The
--- means are c0 x0 + ct xt of the truth and of what is believed.
---@param process diffusion.process
---@param x0 diffusion.tensor
---@param believed diffusion.tensor as x0
---@param t diffusion.tensor {B} whole
---@param log_variance diffusion.tensor as x0
---@return diffusion.tensor as x0
return function(process, x0, believed, t, log_variance)
  local c0 = process:posterior_coefficients(t)
  local own = fail.call(process.posterior_log_variance, process, t):over(x0)
  local gap = ((x0 - believed) * c0:over(x0)):square()
  return ((log_variance - own) - 1 + (own - log_variance):exp() + gap * (-log_variance):exp()) / 2
end

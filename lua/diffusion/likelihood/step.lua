-- The divergence of a reverse step with a variance per element, as networks learn it.
local fail = require "diffusion.fail"

--- KL(q(x_{t-1} | x_t, x_0) || p_theta) of each element: Ho et al. 2020, eq. 5, in nats. The means are
--- c0 x0 + ct xt of the true x0 and of the predicted one.
---@param process diffusion.process
---@param x0 diffusion.tensor
---@param predicted diffusion.tensor x0 as the model predicts it, with the shape of x0
---@param t diffusion.tensor {B} whole
---@param log_variance diffusion.tensor as x0
---@return diffusion.tensor as x0
return function(process, x0, predicted, t, log_variance)
  local c0 = process:posterior_coefficients(t)
  local own = fail.call(process.posterior_log_variance, process, t):over(x0)
  local gap = ((x0 - predicted) * c0:over(x0)):square()
  return ((log_variance - own) - 1 + (own - log_variance):exp() + gap * (-log_variance):exp()) / 2
end

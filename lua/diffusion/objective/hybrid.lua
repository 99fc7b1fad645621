-- The variational term of a learned variance: L_t of the bound with the mean held fixed, so
-- that only the variance learns from it (Nichol & Dhariwal 2021, section 3.1).
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local decoder = require "diffusion.objective.decoder"

local hybrid = {}

-- KL(q(x_{t-1} | x_t, x_0) || p_theta) of each number: Ho et al. 2020, eq. 5, in nats. The
-- means are c0 x0 + ct xt of the truth and of what is believed.
local function divergence(process, x0, believed, t, log_variance)
  local c0 = process:posterior_coefficients(t)
  local own = opts.relay(process.posterior_log_variance, process, t):over(x0)
  local gap = ((x0 - believed) * c0:over(x0)):square()
  return ((log_variance - own) - 1 + (own - log_variance):exp() + gap * (-log_variance):exp()) / 2
end

local function check_range(x0)
  local most = x0:abs():max():item()
  if most <= 1 + 1e-5 then return end
  opts.fail("objective: x0 reaches %.4g, but decoder 'discretized' is for pictures in [-1, 1]; take "
    .. "decoder = 'gaussian'", most)
end

local function rows(x) return x:reshape(x:size(1), x:numel() // x:size(1)) end

--- L_t of each sample, its mean over dimensions in nats: the divergence, and at t = 1
--- -ln p(x0 | x1).
---@param process diffusion.process
---@param how string decoder: "discretized" or "gaussian"
---@param x0 diffusion.tensor
---@param xt diffusion.tensor
---@param t diffusion.tensor {B} whole
---@param value diffusion.tensor prediction, as x0
---@param v diffusion.tensor as x0
---@return diffusion.tensor {B}
function hybrid.term(process, how, x0, xt, t, value, v)
  local believed = process:convert(value:detach(), { from = process.predict, to = "x0", xt = xt, t = t })
  local log_variance = process:learned_log_variance(v, t)
  local each = divergence(process, x0, believed, t, log_variance)
  local first = t:eq(1)
  if first:any() then
    if how == "discretized" then check_range(x0) end
    each = core.ops.where(first:over(x0), -decoder[how](x0, believed, log_variance), each)
  end
  return rows(each):mean(2)
end

return hybrid

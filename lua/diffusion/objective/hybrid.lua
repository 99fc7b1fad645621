-- The variational term of a learned variance: L_t of the bound with the mean detached, so that only
-- the variance gets its gradient (Nichol & Dhariwal 2021, section 3.1).
local core = require "diffusion.core"
local samples = require "diffusion.samples"
local fail = require "diffusion.fail"
local decoder = require "diffusion.objective.decoder"
local divergence = require "diffusion.likelihood.step"

local hybrid = {}

local function check_range(how, x0)
  local most = x0:abs():max():item()
  if most <= 1 + 1e-5 then return end
  fail.raise("objective: x0 reaches %.4g, but decoder '%s' is for pictures in [-1, 1]; take "
    .. "decoder = 'gaussian'", most, how)
end

--- L_t of each sample, as its mean over dimensions in nats. It is the divergence, or -ln p(x0 | x1)
--- at t = 1.
---@param process diffusion.process
---@param how string decoder: "erf", "tanh" or "gaussian"
---@param x0 diffusion.tensor
---@param xt diffusion.tensor
---@param t diffusion.tensor {B} whole
---@param value diffusion.tensor prediction, as x0
---@param v diffusion.tensor as x0
---@return diffusion.tensor {B}
function hybrid.term(process, how, x0, xt, t, value, v)
  local predicted = process:convert(value:detach(), { from = process.predict, to = "x0", xt = xt, t = t })
  local log_variance = process:learned_log_variance(v, t)
  local each = divergence(process, x0, predicted, t, log_variance)
  local first = t:eq(1)
  if first:any() then
    if how ~= "gaussian" then check_range(how, x0) end
    each = core.ops.where(first:over(x0), -decoder[how](x0, predicted, log_variance), each)
  end
  return samples.rows(each):mean(2)
end

return hybrid

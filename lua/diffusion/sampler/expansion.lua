--- The exact solution of a step, expanded about its start: Lu et al. 2022, "DPM-Solver++", eq. 8,
--- and "DPM-Solver", prop. 3.1. m is the predicted x0 or eps.
-- With h = lambda_s - lambda_t and D^(k) the k-th derivative of m in units of the step,
--   x_s = keep x_t + scale (g(1) m + g(2) D' + g(3) D'' + ...).
local gain = require("diffusion.sampler.levels").gain

local expansion = {}

--- The expansion in x0. g are the integrals of e^-(h - u).
---@param t table level
---@param s table level
---@return number keep
---@return number scale
---@return fun(k: integer): number g
function expansion.x0(t, s)
  local h = s.lambda - t.lambda
  return s.s / t.s, s.a, function(k) return gain(k, h) end
end

--- The expansion in eps. g are the integrals of e^(h - u), in multiples of -s_s.
---@param t table level
---@param s table level
---@return number keep
---@return number scale
---@return fun(k: integer): number g
function expansion.eps(t, s)
  local h = s.lambda - t.lambda
  return s.a / t.a, s.s, function(k) return gain(k, -h) end
end

return expansion

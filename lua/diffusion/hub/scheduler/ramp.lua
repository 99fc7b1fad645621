-- Curves of noise levels between two ends, as diffusers' classes of sigma and of flow compute them.
local beta_quantile = require "diffusion.grid.beta_quantile"

local ramp = {}

-- The noise level at u, which runs from 0 (high) to 1 (low).
local curves = {
  karras = function(high, low, u) return (high ^ (1 / 7) + u * (low ^ (1 / 7) - high ^ (1 / 7))) ^ 7 end,
  exponential = function(high, low, u) return high * (low / high) ^ u end,
  beta = function(high, low, u) return low + (high - low) * beta_quantile(1 - u, 0.6, 0.6) end,
}

--- N noise levels on a curve. A single one is the highest.
---@param name string "karras", "exponential" or "beta"
---@param high number
---@param low number
---@param N integer
---@return number[]
function ramp.of(name, high, low, N)
  local out = {}
  for i = 1, N do out[i] = curves[name](high, low, N == 1 and 0 or (i - 1) / (N - 1)) end
  return out
end

return ramp

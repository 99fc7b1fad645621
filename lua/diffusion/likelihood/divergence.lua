-- The divergence of a field f(z) of rows, by gradients of f.v: v' J v is that along v.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local given = require "diffusion.likelihood.given"

local divergence = {}

-- v' J v of each sample, {B,1}, and f(z).
local function along(f, z, v)
  local slope, _, value = gradient.grad(function(y)
    local out = f(y)
    return (out * v):sum(), out
  end, z)
  return (slope * v):sum(2, true), value
end

-- The mean of c v' J v over directions.
local function summed(f, z, directions, c)
  local total, value
  for _, v in ipairs(directions) do
    local part, out = along(f, z, v)
    total, value = total and total + part or part, out
  end
  return total * c, value
end

--- The trace itself: a gradient for each of D axes.
---@param D integer
---@return fun(f: function, z: diffusion.tensor): diffusion.tensor, diffusion.tensor divergence
---  {B,1} and f(z), z {B,D}
function divergence.exact(D)
  local eye, axes = core.eye(D), {}
  for i = 1, D do axes[i] = eye:narrow(1, i, 1) end
  return function(f, z) return summed(f, z, axes, 1) end
end

--- Hutchinson's estimate (1990), E v' J v for v of -1 and 1, each sample's v drawn once: along
--- its way the field is one function, as the adaptive steps ask.
---@param B integer
---@param D integer
---@param probes integer
---@param seed integer
---@return function as divergence.exact
function divergence.hutchinson(B, D, probes, seed)
  local drawn = {}
  for i = 1, probes do drawn[i] = given.sign(seed, i, { B, D }) end
  return function(f, z) return summed(f, z, drawn, 1 / probes) end
end

return divergence

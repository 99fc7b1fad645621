-- The divergence of a field on rows, from gradients of f.v, since v' J v is that along v. Several
-- directions are evaluated at once, on copies of the batch, as long as that is small.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local given = require "diffusion.likelihood.given"

local divergence = {}

local rows_at_once = 256

-- For copies of z, each with its own row of v {n B,D}: the sum of v' J v over the copies, {B,1}, and
-- f(z).
local function along(field, z, v)
  local B, D = z:size(1), z:size(2)
  local n = v:size(1) // B
  local f = field(n)
  local slope, _, value = gradient.grad(function(y)
    local out = f(y)
    return (out * v):sum(), out
  end, n == 1 and z or z:unsqueeze(1):expand(n, B, D):reshape(n * B, D))
  return (slope * v):sum(2):reshape(n, B):sum(1):unsqueeze(2), value:narrow(1, 1, B)
end

-- c times the sum of v' J v over directions, {n B,D} each, and f(z).
local function summed(field, z, directions, c)
  local total, value
  for _, v in ipairs(directions) do
    local part, out = along(field, z, v)
    total, value = total and total + part or part, out
  end
  return total * c, value
end

-- Calls fn(first, count) for parts of n directions, each as large as rows_at_once allows.
local function in_parts(n, B, fn)
  local step, parts = math.max(1, math.min(n, rows_at_once // B)), {}
  for i = 1, n, step do parts[#parts + 1] = fn(i, math.min(step, n - i + 1)) end
  return parts
end

--- The exact trace, with a gradient for each of D axes.
---@param B integer
---@param D integer
---@return fun(field: function, z: diffusion.tensor): diffusion.tensor, diffusion.tensor divergence
---  {B,1} and f(z), z {B,D}; field(n) is f for n copies of the batch
function divergence.exact(B, D)
  local eye = core.eye(D)
  local axes = in_parts(D, B, function(i, n) return eye:narrow(1, i, n):repeat_each(B, 1) end)
  return function(field, z) return summed(field, z, axes, 1) end
end

--- Hutchinson's estimate (1990), E v' J v with v of -1 and 1. Each sample's v is drawn once, since
--- adaptive steps need a field that stays the same along the trajectory.
---@param B integer
---@param D integer
---@param probes integer
---@param seed integer
---@return function as divergence.exact
function divergence.hutchinson(B, D, probes, seed)
  local drawn = in_parts(probes, B, function(i, n)
    local parts = {}
    for k = 1, n do parts[k] = given.sign(seed, i + k - 1, { B, D }) end
    return core.ops.cat(parts, 1)
  end)
  return function(field, z) return summed(field, z, drawn, 1 / probes) end
end

return divergence

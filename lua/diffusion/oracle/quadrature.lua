-- Quadrature: Gauss-Legendre nodes, and an entropy on a grid.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"

local quadrature = {}

-- P_n(x) and its derivative, by the recurrence.
local function legendre(n, x)
  local before, p = 1, x
  for k = 2, n do before, p = p, ((2 * k - 1) * x * p - (k - 1) * before) / k end
  return p, n * (x * p - before) / (x * x - 1)
end

--- The n nodes on (-1, 1) and their weights, which sum to 2. The rule is exact for polynomials of
--- degree 2n - 1.
---@param n integer from 2
---@return number[] nodes
---@return number[] weights
function quadrature.gauss(n)
  local nodes, weights = {}, {}
  for i = 1, n do
    local x = -math.cos(math.pi * (i - 0.25) / (n + 0.5))
    for _ = 1, 8 do
      local p, slope = legendre(n, x)
      x = x - p / slope
    end
    local _, slope = legendre(n, x)
    nodes[i], weights[i] = x, 2 / ((1 - x * x) * slope ^ 2)
  end
  return nodes, weights
end

-- ==== entropies on a grid ===================================================================

local most = 2 ^ 22 -- points in a grid
local spacing = { 1 / 16, 1 / 4 } -- in units of the least width, in one and in two dimensions
local tile = { 4096, 64 } -- points on its side

-- The axes of a grid {low, step, n}, or nil if it would have too many points.
local function axes_of(o)
  local low, high, width = o.family.bounds(o)
  local axes, points = {}, 1
  for i = 1, o.D do
    local n = math.ceil((high[i] - low[i]) / (width * spacing[o.D])) + 1
    points = points * n
    if not (points <= most) then return nil end
    axes[i] = { low = low[i], step = (high[i] - low[i]) / (n - 1), n = n }
  end
  return axes
end

-- The parts of an axis that tiles cover: { low, high, n }.
local function stretches(axis, size)
  local out = {}
  for i = 0, axis.n - 1, size do
    local n = math.min(size, axis.n - i)
    out[#out + 1] = { axis.low + i * axis.step, axis.low + (i + n - 1) * axis.step, n }
  end
  return out
end

local function span(stretch) return core.linspace(stretch[1], stretch[2], stretch[3]) end

-- The points of a tile, {n, D}; `second` is nil on the line.
local function points_of(first, second)
  local x = span(first):unsqueeze(2)
  if not second then return x end
  local n, m = first[3], second[3]
  local y = span(second):unsqueeze(1):expand(n, m):reshape(n * m)
  return core.ops.stack({ x:expand(n, m):reshape(n * m), y }, 2)
end

-- The sum of p ln p over a tile, for the part of the oracle that is near it.
local function tile_sum(o, first, second)
  local near, part = o.family.near, o.oracle
  if near then part = near(o, { first[1], second and second[1] }, { first[2], second and second[2] }) end
  if not part then return 0 end
  return gradient.scope(function()
    local lp = part:log_prob(points_of(first, second))
    return (lp:exp() * lp):sum()
  end):item()
end

--- -sum p ln p over a grid, by the trapezoid rule, which converges faster than any power of
--- the spacing if p ln p is smooth. A family's near(o, low, high), if it has one, returns the
--- part of the oracle that matters in a box, or nil.
---@param o table an oracle's private state
---@return number|nil entropy nil in more than two dimensions, or if the grid would be too large
function quadrature.entropy(o)
  local axes = o.D <= 2 and axes_of(o)
  if not axes then return nil end
  local rows, columns = stretches(axes[1], tile[o.D]), axes[2] and stretches(axes[2], tile[2]) or { false }
  local sum = 0
  for _, first in ipairs(rows) do
    for _, second in ipairs(columns) do sum = sum + tile_sum(o, first, second or nil) end
  end
  return -sum * axes[1].step * (axes[2] and axes[2].step or 1)
end

return quadrature

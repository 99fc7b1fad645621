--- Transport on the line, where sorting solves it: rows of numbers, each row a problem of its
--- own. Sets may differ in size.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local pairs_of = require "diffusion.metric.pairs"

local line = {}

-- Which of n sorted numbers goes to which of m, and what share of the whole: exact, in
-- whole numbers.
local function plan(n, m)
  local from, to, share = {}, {}, {}
  local i, j, at = 1, 1, 0
  while i <= n do
    local ahead = math.min(i * m, j * n)
    from[#from + 1], to[#to + 1], share[#share + 1] = i, j, (ahead - at) / (n * m)
    at = ahead
    if i * m == ahead then i = i + 1 end
    if j * n == ahead then j = j + 1 end
  end
  return from, to, core.tensor(share)
end

local function power(x, p) return p == 1 and x or x ^ p end

--- Integral of |F^-1 - G^-1|^p over (0, 1) for each row.
---@param a diffusion.tensor sorted {K, n}
---@param b diffusion.tensor sorted {K, m}
---@param p number
---@return diffusion.tensor {K}
function line.cost(a, b, p)
  local n, m = a:size(2), b:size(2)
  if n == m then return power((a - b):abs(), p):mean(2) end
  local from, to, share = plan(n, m)
  return (power((a:index(2, from) - b:index(2, to)):abs(), p) * share):sum(2)
end

-- Where the first i of n end in m sorted numbers: halfway where they end between two.
local function ends(n, m, b)
  local low, high = {}, {}
  for i = 1, n - 1 do low[i], high[i] = (i * m + n - 1) // n, i * m // n + 1 end
  return (b:index(2, low) + b:index(2, high)) / 2
end

--- What the cost changes by with a little more of each number: Kantorovich's potential.
---@param a diffusion.tensor sorted {K, n}
---@param b diffusion.tensor sorted {K, m}
---@param p number
---@return diffusion.tensor {K, n} but for a constant
function line.potential(a, b, p)
  local K, n = a:size(1), a:size(2)
  if n == 1 then return core.zeros(K, 1) end
  local stop = ends(n, b:size(2), b)
  local step = power((a:narrow(2, 2, n - 1) - stop):abs(), p) - power((a:narrow(2, 1, n - 1) - stop):abs(), p)
  return core.ops.cat({ core.zeros(K, 1), step:cumsum(2) }, 2)
end

--- The share of P random relabellings of both sets, and of the sets as they are, that cost as
--- much as these.
---@param x diffusion.tensor {K, n}, a column a sample
---@param y diffusion.tensor {K, m}
---@param value number mean cost of the rows
---@param o table {p, permutations, seed}
---@return number|nil p nil where there are no permutations
function line.p_value(x, y, value, o)
  if o.permutations == 0 then return nil end
  local z, n, m, count = core.ops.cat({ x, y }, 2), x:size(2), y:size(2), 1
  for k = 1, o.permutations do
    local order = core.randperm(n + m, { seed = pairs_of.own_seed(o.seed) + k })
    local function sorted(first, size) return (z:index(2, order:narrow(1, first, size):contiguous()):sort(2)) end
    local cost = gradient.scope(function() return line.cost(sorted(1, n), sorted(n + 1, m), o.p):mean() end):item()
    if cost >= value then count = count + 1 end
  end
  return count / (o.permutations + 1)
end

--- The interval of a mean cost. Its error is normal where the distributions differ; where random
--- labels cost as much so often that they need not, it goes down to 0.
---@param value number
---@param fields table {se, n, method, p}
---@return diffusion.interval
function line.interval(value, fields)
  fields.bias = "upwards, as 1/n^(1/2) where both distributions are equal and faster elsewhere"
  local about = interval.normal(value, fields, 0)
  if about.p and about.p > 0.025 then about.low = 0 end
  return about
end

return line

--- Optimal transport on the line, which sorting solves. Each row is a separate problem. Sets may differ
--- in size.
local core = require "diffusion.core"

local line = {}

-- The transport plan from n sorted numbers to m: pairs of indices, and the share that each moves. It is
-- exact, in whole numbers.
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

-- The places at which the first i of n end among m sorted numbers, as a midpoint if between two.
local function ends(n, m, b)
  local low, high = {}, {}
  for i = 1, n - 1 do low[i], high[i] = (i * m + n - 1) // n, i * m // n + 1 end
  return (b:index(2, low) + b:index(2, high)) / 2
end

--- The derivative of the cost with respect to the weight of each number: Kantorovich's potential.
---@param a diffusion.tensor sorted {K, n}
---@param b diffusion.tensor sorted {K, m}
---@param p number
---@return diffusion.tensor {K, n} up to a constant
function line.potential(a, b, p)
  local K, n = a:size(1), a:size(2)
  if n == 1 then return core.zeros(K, 1) end
  local stop = ends(n, b:size(2), b)
  local step = power((a:narrow(2, 2, n - 1) - stop):abs(), p) - power((a:narrow(2, 1, n - 1) - stop):abs(), p)
  return core.ops.cat({ core.zeros(K, 1), step:cumsum(2) }, 2)
end

return line

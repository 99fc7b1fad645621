--- Transport on the line, where sorting solves it: rows of numbers, each row a problem of its
--- own. Sets may differ in size.
local core = require "diffusion.core"

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

return line

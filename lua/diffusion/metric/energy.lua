-- The energy distance, from mean distances of pairs. It needs no features and no training,
-- and sees every difference between distributions.
local pairs_of = require "diffusion.metric.pairs"

--- The energy distance (Szekely & Rizzo 2013, eq. 2.2): 2 E|X-Y| - E|X-X'| - E|Y-Y'|, zero
--- only for equal distributions. Pairs of a sample with itself are left out, so the
--- estimate is unbiased and may be slightly negative.
---@param x diffusion.tensor samples {n, ...}, n >= 2
---@param y diffusion.tensor samples {m, ...}, m >= 2
---@return number
---@usage print(d.metric.energy(d.randn(500, 2), d.randn(500, 2)))
local function energy(x, y)
  x, y = pairs_of.rows("energy", x, y)
  local n, m = x:size(1), y:size(1)
  local within_x = pairs_of.mean_distance(x, x) * n / math.max(1, n - 1)
  local within_y = pairs_of.mean_distance(y, y) * m / math.max(1, m - 1)
  return 2 * pairs_of.mean_distance(x, y) - within_x - within_y
end

return energy

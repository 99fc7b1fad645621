-- The Wasserstein-1 distance on the line, where sorting solves the transport. Sets may
-- differ in size.
local opts = require "diffusion.opts"
local pairs_of = require "diffusion.metric.pairs"

--- The Wasserstein-1 distance of two sets of numbers, exact: the area between their
--- empirical distribution functions.
---@param x diffusion.tensor samples {n} or {n, 1}
---@param y diffusion.tensor samples {m} or {m, 1}
---@return number
local function wasserstein1(x, y)
  x, y = pairs_of.rows("wasserstein1", x, y)
  if x:size(2) ~= 1 then
    opts.fail("wasserstein1: samples of one number expected, got %d; use energy", x:size(2))
  end
  local a, b = x:flatten():sort():totable(), y:flatten():sort():totable()
  local n, m, i, j, area = #a, #b, 0, 0, 0
  local at = math.min(a[1], b[1])
  while i < n or j < m do
    local next_at = math.min(a[i + 1] or math.huge, b[j + 1] or math.huge)
    area = area + math.abs(i / n - j / m) * (next_at - at)
    at = next_at
    while i < n and a[i + 1] <= at do i = i + 1 end
    while j < m and b[j + 1] <= at do j = j + 1 end
  end
  return area
end

return wasserstein1

-- Images computed in overlapping tiles, whose results are blended, as autoencoders of diffusers do it.
-- Memory then depends on the size of a tile.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"

local tiles = {}

local TALL, WIDE = 2, 3 -- dimensions of {B, H, W, C}

-- Weights 0, 1/n, 2/n and so on along a dimension.
local function ramp(n, dim)
  local w = core.arange(0, n - 1) / n
  return dim == TALL and w:reshape(n, 1, 1) or w:reshape(n, 1)
end

-- b, whose first places go over from the last ones of a, the tile before it.
local function blended(a, b, dim, extent)
  local before, size = a:size(dim), b:size(dim)
  local n = math.min(before, size, extent)
  if n < 1 then return b end
  local w = ramp(n, dim)
  local mixed = a:narrow(dim, before - n + 1, n) * (1 - w) + b:narrow(dim, 1, n) * w
  return n == size and mixed or core.ops.cat({ mixed, b:narrow(dim, n + 1, size - n) }, dim)
end

local function cut(x, dim, from, most)
  return x:narrow(dim, from, math.min(most, x:size(dim) - from + 1))
end

-- The first places of the tiles. A tile of fewer than `least` places, at the end, has no result.
local function starts(n, o)
  local list = {}
  for at = 1, math.max(n - o.least + 1, 1), o.step do list[#list + 1] = at end
  return list
end

-- A row of the result, then the tiles that it was made of.
local function row_of(x, top, o, fn, above)
  local list, kept = {}, {}
  for k, left in ipairs(starts(x:size(WIDE), o)) do
    local y = gradient.scope(fn, cut(cut(x, TALL, top, o.size), WIDE, left, o.size))
    if above[k] then y = blended(above[k], y, TALL, o.extent) end
    if k > 1 then y = blended(list[k - 1], y, WIDE, o.extent) end
    list[k], kept[k] = y, cut(cut(y, TALL, 1, o.limit), WIDE, 1, o.limit)
  end
  return core.ops.cat(kept, WIDE), table.unpack(list)
end

--- Calls fn with tiles of x, and joins the results. A tile begins in the one before it, in its row and in
--- its column. Its first places are blended with the last ones there.
---@param x diffusion.tensor {B, H, W, C}
---@param o table places of x: size = of a tile, step = from one to the next, least = of a tile with a
---  result. Places of the result: extent = that are blended, limit = that are kept of a tile
---@param fn function tile -> result
---@return diffusion.tensor
function tiles.run(x, o, fn)
  local rows, above = {}, {}
  for i, top in ipairs(starts(x:size(TALL), o)) do
    local before = above
    above = { gradient.scope(row_of, x, top, o, fn, before) }
    rows[i] = table.remove(above, 1)
    for _, tile in ipairs(before) do tile:free() end
  end
  return core.ops.cat(rows, TALL)
end

return tiles

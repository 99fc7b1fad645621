-- Sets of samples as rows, and squared distances between them in blocks of rows.
local base = require "diffusion.oracle.base"
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local fail = require "diffusion.fail"
local samples = require "diffusion.samples"

local pairs_of = {}

--- Sets as rows [n,D], of equal D, with at least `least` samples each.
---@param name string the metric
---@param least integer
---@param ... diffusion.tensor {n, ...}
---@return diffusion.tensor ... {n, D}
function pairs_of.rows(name, least, ...)
  local sets = { ... }
  for i = 1, select("#", ...) do
    sets[i] = samples.rows(samples.constant(name, "set " .. i, (select(i, ...)), 1))
    if sets[i]:size(2) ~= sets[1]:size(2) then
      fail.raise("%s: samples of %d and of %d numbers", name, sets[1]:size(2), sets[i]:size(2))
    end
    if sets[i]:size(1) < least then
      fail.raise("%s: at least %d samples are needed, got %d", name, least, sets[i]:size(1))
    end
  end
  return table.unpack(sets)
end

--- The product of matrices in float32 throughout, whatever d.precision says: metrics are small
--- differences of large sums.
function pairs_of.product(x, y) return base.at_highest(x.matmul, x, y) end

--- Squared distances from a block of the rows of x to all of y, computed in double, as a function
--- of the first row and their number.
---@param x diffusion.tensor {n, D}
---@param y diffusion.tensor {m, D}
---@return function (first, b) -> {b, m}
function pairs_of.squares(x, y)
  return function(first, b) return core.pair_squares(x:narrow(1, first, b), y) end
end

--- Calls fn(first, b) for blocks of n rows by m columns. The results are joined along the first
--- dimension.
---@param n integer
---@param m integer
---@param fn function -> tensors {b, ...}
---@return diffusion.tensor ... {n, ...}
function pairs_of.by_blocks(n, m, fn)
  local size, parts = math.max(1, 1000000 // m), {}
  for first = 1, n, size do
    local got = table.pack(gradient.scope(fn, first, math.min(size, n - first + 1)))
    for k = 1, got.n do
      parts[k] = parts[k] or {}
      table.insert(parts[k], got[k])
    end
  end
  for k, list in ipairs(parts) do parts[k] = core.ops.cat(list, 1) end
  return table.unpack(parts)
end

--- The fraction of a mask that is 1.
---@param mask diffusion.tensor u8
---@return number
function pairs_of.share(mask) return mask:to "i64":sum():item() / mask:numel() end

--- The mask of pairs of different samples: 0 where a row of a block is compared with itself.
---@param first integer the block's first row
---@param b integer rows
---@param m integer columns
---@return diffusion.tensor {b, m}
function pairs_of.others(first, b, m)
  return core.arange(first, first + b - 1):unsqueeze(2):ne(core.arange(1, m):unsqueeze(1))
end

return pairs_of

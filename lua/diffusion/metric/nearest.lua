--- The nearest neighbours of samples in a set, without a Lua loop over samples.
local core = require "diffusion.core"
local pairs_of = require "diffusion.metric.pairs"

--- Returns the k least squared distances from each row of x to rows of y, nearest first.
---@param x diffusion.tensor {n, D}
---@param y diffusion.tensor {m, D}
---@param k integer at most m
---@param same boolean? true if x is y, and a row is not its own neighbour
---@return diffusion.tensor {n, k}
return function(x, y, k, same)
  local n, m, squares = x:size(1), y:size(1), pairs_of.squares(x, y)
  return (pairs_of.by_blocks(n, m, function(first, b)
    local block = squares(first, b)
    if same then block = core.ops.where(pairs_of.others(first, b, m), block, math.huge) end
    return -(-block):topk(k, 2)
  end))
end

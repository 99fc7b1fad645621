--- Sets of samples as rows, and mean distances between them.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local gradient = require "diffusion.gradient"

local pairs_of = {}

--- Two sets as rows {n, D} and {m, D}.
function pairs_of.rows(name, x, y)
  if not (core.is_tensor(x) and core.is_tensor(y)) then
    opts.fail("%s: two tensors of samples expected", name)
  end
  if x:dim() < 1 or y:dim() < 1 or x:numel() == 0 or y:numel() == 0 then
    opts.fail("%s: empty sets %s and %s", name, opts.shape_text(x), opts.shape_text(y))
  end
  x, y = x:reshape(x:size(1), x:numel() // x:size(1)), y:reshape(y:size(1), y:numel() // y:size(1))
  if x:size(2) ~= y:size(2) then
    opts.fail("%s: samples of %d and of %d numbers", name, x:size(2), y:size(2))
  end
  return x, y
end

local wide = 16 -- dimensions from which a product is cheaper than differences

-- Distances of some rows to all of y, {b, m}. Differences keep the digits of near pairs.
local function distances(x, y, y_squares)
  if x:size(2) < wide then
    local gap = x:unsqueeze(2) - y:unsqueeze(1)
    return (gap * gap):sum(3):sqrt()
  end
  local squares = (x * x):sum(2, true) + y_squares - 2 * x:matmul(y:t())
  return squares:clamp(0, nil):sqrt()
end

--- The mean distance between a sample of x and one of y, in blocks of rows.
function pairs_of.mean_distance(x, y)
  local n, m = x:size(1), y:size(1)
  local width = x:size(2) < wide and x:size(2) or 1
  local block = math.max(1, 2000000 // (m * width))
  local y_squares = (y * y):sum(2):unsqueeze(1)
  local total = 0
  for i = 1, n, block do
    total = total + gradient.scope(function()
      return distances(x:narrow(1, i, math.min(block, n - i + 1)), y, y_squares):sum()
    end):item()
  end
  return total / (n * m)
end

return pairs_of

-- Functions for drawing samples.
local core = require "diffusion.core"
local base = require "diffusion.oracle.base"

local draw = {}

--- The index of the weight in which each uniform number of u {n} falls, {n} in 1..#weights.
---@param weights number[]
---@param u diffusion.tensor
---@return diffusion.tensor i64
function draw.pick(weights, u)
  if #weights == 1 then return core.ones(u:size(1)):to "i64" end
  local sums, total = {}, 0
  for i = 1, #weights - 1 do
    total = total + weights[i]
    sums[i] = total
  end
  sums = core.tensor(sums):unsqueeze(1)
  return base.in_blocks(#weights, function(rows)
    return rows:ge(sums):sum(2) + 1
  end, u:unsqueeze(2)):to "i64"
end

--- Options for several draws per sample. With one seed they would depend on each other, so a
--- generator counts them.
---@param options table|nil
---@return table|nil
function draw.counted(options)
  if not (options and options.seed) then return options end
  return { generator = core.generator { seed = options.seed } }
end

return draw

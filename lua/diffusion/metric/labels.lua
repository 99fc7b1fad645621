-- Permutation tests of a transport's cost. They are needed because a distance is above 0 for equal
-- distributions too.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local line = require "diffusion.metric.line"
local measure = require "diffusion.measure"

local labels = {}

--- The option of a metric for so many permutations.
labels.permutations = { "integer", min = 0,
  text = "permutations of the labels, for p; with 0 the interval holds only for distributions that differ" }

--- The share of random relabellings, with the given labelling among them, whose cost is at least as
--- large.
---@param x diffusion.tensor {K, n}, one column per sample
---@param y diffusion.tensor {K, m}
---@param value number mean cost of the rows
---@param o table {p, permutations, seed}
---@return number|nil p nil if there are no permutations
function labels.p_value(x, y, value, o)
  if o.permutations == 0 then return nil end
  local z, n, m, count = core.ops.cat({ x, y }, 2), x:size(2), y:size(2), 1
  for k = 1, o.permutations do
    local order = core.randperm(n + m, { seed = measure.own(o.seed) + k })
    local function sorted(first, size) return (z:index(2, order:narrow(1, first, size):contiguous()):sort(2)) end
    local cost = gradient.scope(function() return line.cost(sorted(1, n), sorted(n + 1, m), o.p):mean() end):item()
    if cost >= value then count = count + 1 end
  end
  return count / (o.permutations + 1)
end

--- The interval of a mean cost. Its error is normal if the distributions differ. If random labels often
--- cost as much, they may be equal, and the interval goes down to 0.
---@param value number
---@param fields table {se, n, method, p}
---@return diffusion.interval
function labels.interval(value, fields)
  fields.bias = "upwards, as 1/n^(1/2) where both distributions are equal and faster elsewhere"
  local about = interval.normal(value, fields, 0)
  if about.p and about.p > 0.025 then about.low = 0 end
  return about
end

return labels

--- The difference of two sets in the means of a function of pairs: T = 2 E k(x,y) - E k(x,x') -
--- E k(y,y'). It is an unbiased U-statistic, with its variance and its permutations. The core sums
--- over pairs in double, since T is a small difference of large means.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local measure = require "diffusion.measure"

local contrast = {}

-- Each row marks n of the pooled N as the first set: as given, then P times at random.
local function labels(n, N, P, seed)
  local rows = { core.arange(1, N):to(core.real) }
  for p = 1, P do rows[p + 1] = core.randperm(N, { seed = measure.own(seed) + p }):to(core.real) end
  return core.ops.stack(rows, 1):le(n):to(core.real)
end

-- T of a labelling s, from s^T K s, s^T K 1 and 1^T K 1.
local function statistic(own, row, all, n, m)
  local second = own - 2 * row + all
  return (row - own) * (2 / (n * m)) - own / (n * (n - 1)) - second / (m * (m - 1))
end

-- The sum of a list's numbers in a range.
local function sum_of(list, from, to)
  local sum = 0
  for i = from, to do sum = sum + list[i] end
  return sum
end

-- The mean and the variance of a list's numbers in a range, all times a factor.
local function spread(list, from, to, factor)
  local n = to - from + 1
  local mean, square = sum_of(list, from, to) / n, 0
  for i = from, to do square = square + (list[i] - mean) ^ 2 end
  return { mean = mean * factor, var = n > 1 and square / (n - 1) * factor ^ 2 or 0 / 0 }
end

-- The part of the variance of k that neither sample of a pair explains alone: within a set, and
-- between two. If both distributions are equal, it is all of the variance.
local function within(squares, row, n)
  local variance = squares / (n * (n - 1)) - row.mean ^ 2
  return math.max(0, (variance - 2 * row.var) / math.max(1 - 2 / (n - 1), 0.5))
end

local function between(squares, row, column, n, m)
  local variance = squares / (n * m) - row.mean ^ 2
  return math.max(0, (variance - row.var - column.var) / math.max(1 - 1 / n - 1 / m, 0.5))
end

-- Each sample's influence: the mean over its pairs with the other set minus that with its own.
local function influence(across, a, own, b, from, to)
  local list = {}
  for i = from, to do list[i - from + 1] = across[i] * a - own[i] * b end
  return spread(list, 1, #list, 1).var
end

-- Efron and Stein's sum of the variances of influences counts the part of pairs twice. If both
-- distributions are equal, only that part is left. So the larger of two estimates is used, which may
-- exceed the standard error by up to a half.
local function variance(sums, r, n, m)
  local to_x, to_y, x2, y2 = table.unpack(sums)
  local N = n + m
  local pair = 2 * within(sum_of(x2, 1, n), r.xx, n) / (n * (n - 1))
    + 2 * within(sum_of(y2, n + 1, N), r.yy, m) / (m * (m - 1))
    + 4 * between(sum_of(y2, 1, n), r.xy, r.yx, n, m) / (n * m)
  local single = 4 * influence(to_y, 1 / m, to_x, 1 / (n - 1), 1, n) / n
    + 4 * influence(to_x, 1 / n, to_y, 1 / (m - 1), n + 1, N) / m
  return math.max(single - pair, pair)
end

-- The mean over each sample's pairs, within its own set and with the other.
local function means(sums, n, m)
  local to_x, to_y = sums[1], sums[2]
  return {
    xx = spread(to_x, 1, n, 1 / (n - 1)), xy = spread(to_y, 1, n, 1 / m),
    yx = spread(to_x, n + 1, n + m, 1 / n), yy = spread(to_y, n + 1, n + m, 1 / (m - 1)),
  }
end

-- The share of the labellings, the given one included, whose statistic is at least as large, up to
-- rounding.
local function p_value(sums, labelled, n, m)
  local all = sum_of(sums[1], 1, n + m) + sum_of(sums[2], 1, n + m)
  local count, least = 0, nil
  for _, one in ipairs(labelled) do
    local value = statistic(one[1], one[2], all, n, m)
    least = least or value - 1e-12 * math.abs(all) / (n * m)
    if value >= least then count = count + 1 end
  end
  return count / #labelled
end

local function measured(x, y, kernel, o)
  local n, m, P = x:size(1), y:size(1), o.interval and o.permutations or 0
  local rows = P > 0 and labels(n, n + m, P, o.seed) or nil
  local sums, labelled = core.pair_sums(core.ops.cat({ x, y }, 1), n, kernel[1], kernel[2], rows)
  sums = sums:totable()
  local r = means(sums, n, m)
  local value = 2 * r.xy.mean - r.xx.mean - r.yy.mean
  if not o.interval then return value end
  return value, interval.normal(value, { se = math.sqrt(variance(sums, r, n, m)), n = { n, m },
    method = "variance of a U-statistic" .. (P > 0 and (", %d permutations"):format(P) or ""),
    bias = "none; it may be negative", p = P > 0 and p_value(sums, labelled:totable(), n, m) or nil })
end

--- T of two sets, and its interval if the option asks for it.
---@param x diffusion.tensor {n, D}
---@param y diffusion.tensor {m, D}
---@param kernel table {"distance" | "gauss" | "cubic", widths}, for core.pair_sums
---@param o table {interval, permutations, seed}
---@return number
---@return diffusion.interval|nil
function contrast.of(x, y, kernel, o) return gradient.no_grad(measured, x, y, kernel, o) end

contrast.rules = {
  interval = interval.rule,
  permutations = { "integer", default = 200, min = 0, text = "permutations of the labels, for p" },
  seed = measure.seed,
}

return contrast

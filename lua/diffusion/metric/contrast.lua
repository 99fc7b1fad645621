--- How two sets differ in the means of a function of pairs: T = 2 E k(x,y) - E k(x,x') - E k(y,y'),
--- as a U-statistic, without bias; its variance, and its permutations.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local interval = require "diffusion.metric.interval"
local pairs_of = require "diffusion.metric.pairs"

local contrast = {}

-- Each column picks n of the pooled N as the first set: as given, then P at random.
local function labels(n, N, P, seed)
  local columns = { core.arange(1, N):to(core.real) }
  for p = 1, P do columns[p + 1] = core.randperm(N, { seed = pairs_of.own_seed(seed) + p }):to(core.real) end
  return core.ops.stack(columns, 2):le(n):to(core.real)
end

-- T for every column of labels, from s^T K s, s^T K 1 and 1^T K 1.
local function statistics(own, row, all, n, m)
  local second = own - 2 * row + all
  return (row - own) * (2 / (n * m)) - own / (n * (n - 1)) - second / (m * (m - 1))
end

-- Sums of each pooled sample's pairs {N, ...}: with the first set, with the second, of their
-- squares, and s_i (K s)_i for all labels. A sample is no pair with itself.
local function sums(z, n, kernel, S)
  local N, values = z:size(1), kernel(z)
  return pairs_of.by_blocks(N, N, function(first, b)
    local k = values(first, b) * pairs_of.others(first, b, N):to(core.real)
    local x, y = k:narrow(2, 1, n), k:narrow(2, n + 1, N - n)
    if not S then return x:sum(2), y:sum(2) end
    return x:sum(2), y:sum(2), x:square():sum(2), y:square():sum(2),
      S:narrow(1, first, b) * pairs_of.product(k, S)
  end)
end

-- What of the variance of k is due to neither sample alone, within a set and between two: the
-- part that is left of it where both distributions are equal.
local function within(square, row, n)
  local all = row:mean():item()
  local variance = square:sum():item() / (n * (n - 1)) - all ^ 2
  return math.max(0, (variance - 2 * row:var():item()) / math.max(1 - 2 / (n - 1), 0.5))
end

local function between(square, row, column)
  local n, m = row:size(1), column:size(1)
  local variance = square:sum():item() / (n * m) - row:mean():item() ^ 2
  return math.max(0, (variance - row:var():item() - column:var():item()) / math.max(1 - 1 / n - 1 / m, 0.5))
end

-- Efron and Stein's sum of the variances of each sample's influence counts the part of
-- pairs twice. That part alone is left where both distributions are equal; the larger of two
-- estimates is on the safe side there, by up to a half of the standard error.
local function variance(r, n, m)
  local pair = 2 * within(r.xx2, r.xx, n) / (n * (n - 1)) + 2 * within(r.yy2, r.yy, m) / (m * (m - 1))
    + 4 * between(r.xy2, r.xy, r.yx) / (n * m)
  local single = 4 * (r.xy - r.xx):var():item() / n + 4 * (r.yx - r.yy):var():item() / m
  return math.max(single - pair, pair)
end

-- Means of each sample's pairs, and of the labels' statistics.
local function means(z, n, m, kernel, S)
  local to_x, to_y, x2, y2, own = sums(z, n, kernel, S)
  local r = {
    xx = to_x:narrow(1, 1, n) / (n - 1), xy = to_y:narrow(1, 1, n) / m,
    yx = to_x:narrow(1, n + 1, m) / n, yy = to_y:narrow(1, n + 1, m) / (m - 1),
  }
  if not S then return r end
  r.xx2, r.xy2, r.yy2 = x2:narrow(1, 1, n), y2:narrow(1, 1, n), y2:narrow(1, n + 1, m)
  local row = (to_x + to_y):unsqueeze(1)
  r.statistics = statistics(own:sum(1), pairs_of.product(row, S):squeeze(1), row:sum(), n, m)
  return r
end

-- The share of the statistics, the sets' own among them, that are as large as it is.
local function p_value(all)
  return pairs_of.share(all:ge(all:narrow(1, 1, 1)))
end

local function measured(x, y, kernel, o)
  local n, m, P = x:size(1), y:size(1), o.permutations or 0
  local z = core.ops.cat({ x, y }, 1)
  local r = means(z, n, m, kernel, o.interval and labels(n, n + m, P, o.seed or 1) or nil)
  local value = 2 * r.xy:mean():item() - r.xx:mean():item() - r.yy:mean():item()
  if not o.interval then return value end
  return value, interval.normal(value, { se = math.sqrt(variance(r, n, m)), n = { n, m },
    method = "variance of a U-statistic" .. (P > 0 and (", %d permutations"):format(P) or ""),
    bias = "none; it may be negative", p = P > 0 and p_value(r.statistics) or nil })
end

--- T of two sets, and its interval where it is wanted.
---@param x diffusion.tensor {n, D}
---@param y diffusion.tensor {m, D}
---@param kernel function (pooled {N, D}) -> function (first, b) -> {b, N}: k of b rows and all
---@param o table {interval, permutations, seed}
---@return number
---@return diffusion.interval|nil
function contrast.of(x, y, kernel, o) return gradient.no_grad(measured, x, y, kernel, o) end

contrast.rules = {
  interval = interval.rule,
  permutations = { "integer", default = 200, min = 0 },
  seed = { "integer", default = 1 },
}

return contrast

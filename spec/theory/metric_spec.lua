-- Metrics in double against closed forms for known distributions. Their intervals are
-- compared with repetitions of the same experiment.
local d = require "diffusion"
local interval = require "diffusion.metric.interval"
local M = d.metric

local function normal(n, D, seed) return d.randn({ n, D }, { seed = seed }) end

-- Repeats a metric with fresh samples. Returns its mean, its deviation, the mean of its
-- standard errors, and how often its interval contains the true value.
local function repeated(times, truth, metric)
  local sum, squares, errors, held = 0, 0, 0, 0
  for r = 1, times do
    local v, about = metric(1000 * r)
    sum, squares, errors = sum + v, squares + v * v, errors + about.se ^ 2
    if about.low <= truth and truth <= about.high then held = held + 1 end
  end
  local mean = sum / times
  local deviation = math.sqrt((squares - times * mean * mean) / (times - 1))
  return { mean = mean, deviation = deviation, se = math.sqrt(errors / times), held = held / times }
end

-- Checks that a metric has no bias, that its standard error is right, and that its
-- interval contains the true value 95 times in 100. The tolerances depend on the number
-- of repetitions. If distributions are equal, the standard error may be up to one and a
-- half times too large.
local function is_honest(times, truth, metric, equal)
  local r = repeated(times, truth, metric)
  local off, ratio = 3.5 * math.sqrt(0.05 * 0.95 / times), r.se / r.deviation
  assert.near(truth, r.mean, 4 * r.deviation / math.sqrt(times))
  assert(ratio > 1 - 4 / math.sqrt(2 * times) and ratio < (equal and 1.6 or 1 + 4 / math.sqrt(2 * times)), ratio)
  assert(r.held > 0.95 - off and (equal or r.held < 0.95 + off), r.held)
end

describe("energy", function()
  local function shifted(shift) -- 2 E|X-Y| - E|X-X'| - E|Y-Y'| on the line, variances 1
    local s = math.sqrt(2) -- X - Y is normal with this deviation
    local erf = d.tensor({ shift / 2 }):erf():item()
    local across = s * math.sqrt(2 / math.pi) * math.exp(-shift ^ 2 / 4) + shift * erf
    return 2 * across - 2 * s * math.sqrt(2 / math.pi)
  end

  it("of two points is twice their distance", function()
    assert.near(6, M.energy(d.tensor { { 0 }, { 0 } }, d.tensor { { 3 }, { 3 }, { 3 } }), 1e-12)
    local far = d.tensor { 3, 4 }:expand(4, 2)
    assert.near(10, M.energy(d.zeros(5, 2), far), 1e-12)
  end)

  it("of points is that of all pairs", function()
    local x, y = normal(7, 20, 1), normal(5, 20, 2) * 2
    local function mean(a, b, same)
      local sum, count = 0, 0
      for i = 1, a:size(1) do
        for j = 1, b:size(1) do
          if not same or i ~= j then
            sum, count = sum + (a[i] - b[j]):square():sum():item() ^ 0.5, count + 1
          end
        end
      end
      return sum / count
    end
    for _, D in ipairs { 3, 20 } do
      local a, b = x:narrow(2, 1, D), y:narrow(2, 1, D)
      assert.near(2 * mean(a, b) - mean(a, a, true) - mean(b, b, true), M.energy(a, b), 1e-10)
    end
  end)

  for _, shift in ipairs { 0, 0.8 } do
    it("is honest at a shift of " .. shift, function()
      is_honest(150, shifted(shift), function(seed)
        return M.energy(normal(60, 1, seed), normal(40, 1, seed + 1) + shift, { interval = true, permutations = 0 })
      end, shift == 0)
    end)
  end

  it("has a p-value that is even where both are equal, and small elsewhere", function()
    local small, below = 0, 0
    for r = 1, 120 do
      local _, about = M.energy(normal(20, 2, 900 + r), normal(30, 2, 5000 + r), { interval = true, permutations = 99 })
      if about.p <= 0.1 then small = small + 1 end
      if about.p <= 0.5 then below = below + 1 end
    end
    assert.near(12, small, 3.5 * math.sqrt(120 * 0.09))
    assert.near(60, below, 3.5 * math.sqrt(120 * 0.25))
    local _, about = M.energy(normal(50, 2, 1), normal(50, 2, 2) + 2, { interval = true })
    assert.near(1 / 201, about.p, 1e-12)
  end)
end)

describe("permutations", function()
  it("are of the value itself: p is the share of random splits that differ as much", function()
    local n, m = 9, 14
    local x, y = normal(n, 1, 3), normal(m, 1, 4) * 1.8 + 0.3
    local value, about = M.energy(x, y, { interval = true, permutations = 1000 })
    local z, more = d.cat({ x, y }, 1), 0
    for r = 1, 500 do
      local order = d.randperm(n + m, { seed = r })
      local function part(first, size) return z:index(1, order:narrow(1, first, size):contiguous()) end
      if M.energy(part(1, n), part(n + 1, m)) >= value then more = more + 1 end
    end
    assert(about.p > 0.1 and about.p < 0.5, about.p) -- a wrong sum would show here
    assert.near(more / 500, about.p, 4 * math.sqrt(about.p * (1 - about.p) * (1 / 500 + 1 / 1000)))
  end)
end)

describe("mmd", function()
  -- E exp(-|X-Y|^2 / 2 h^2) in D dimensions, with X - Y normal with this variance around a shift
  local function gaussian(h, variance, shift, D)
    local v = h * h + variance
    return (h * h / v) ^ (D / 2) * math.exp(-shift ^ 2 * D / (2 * v))
  end

  local function truth(list, s, shift, D)
    local sum = 0
    for _, h in ipairs(list) do
      sum = sum + (gaussian(h, 2, 0, D) + gaussian(h, 2 * s * s, 0, D) - 2 * gaussian(h, 1 + s * s, shift, D)) / #list
    end
    return sum
  end

  it("is honest where distributions differ and where not", function()
    local bandwidths = { 0.7, 2 }
    for _, case in ipairs { { 1, 0 }, { 1.5, 0.6 } } do
      is_honest(120, truth(bandwidths, case[1], case[2], 3), function(seed)
        local y = normal(50, 3, seed + 1) * case[1] + case[2]
        return M.mmd(normal(40, 3, seed), y, { bandwidth = bandwidths, interval = true, permutations = 0 })
      end, case[2] == 0)
    end
  end)

  it("takes the median distance for bandwidth", function()
    local _, about = M.mmd(d.tensor { 0, 1, 3 }, d.tensor { 7, 15 }, { interval = true })
    assert.near(6.5, about.bandwidth[1], 1e-12) -- for 1 2 3 4 6 7 8 12 14 15
    local x = normal(1100, 2, 3)
    _, about = M.mmd(x:narrow(1, 1, 700), x:narrow(1, 701, 400), { interval = true, permutations = 0 })
    assert.near(math.sqrt(2 * math.log(4)), about.bandwidth[1], 0.05) -- half of exp(-r^2/4) is left
  end)
end)

describe("kid", function()
  -- N(0, 1) and N(m, 1) in D dimensions, from the moments of x.y
  local function truth(D, m)
    local q = m * m * D
    local function k(one, two, three) return 1 + 3 * one / D + 3 * two / D ^ 2 + three / D ^ 3 end
    local yy = k(q, q * q + 2 * q + D, q ^ 3 + 6 * q * q + 3 * D * q + 6 * q)
    return k(0, D, 0) + yy - 2 * k(0, D + q, 0)
  end

  it("is honest where distributions differ and where not", function()
    for _, m in ipairs { 0, 0.5 } do
      is_honest(120, truth(4, m), function(seed)
        return M.kid(normal(60, 4, seed), normal(50, 4, seed + 1) + m, { interval = true })
      end, m == 0)
    end
  end)

  it("in blocks is their mean, with Student's interval", function()
    local x, y = normal(40, 3, 1), normal(45, 3, 2) + 1
    local v, about = M.kid(x, y, { block = 8, interval = true })
    local list, sum = {}, 0
    for k = 1, 5 do
      list[k] = M.kid(x:narrow(1, 8 * k - 7, 8), y:narrow(1, 8 * k - 7, 8))
      sum = sum + list[k] / 5
    end
    local square = 0
    for k = 1, 5 do square = square + (list[k] - sum) ^ 2 end
    assert.near(sum, v, 1e-12)
    assert.near(2.776 * math.sqrt(square / 20), about.high - v, 0.01 * (about.high - v))
  end)
end)

describe("frechet", function()
  local function moments(mean, cov) return { mean = d.tensor(mean), cov = d.tensor(cov) } end

  it("of given moments is the closed form, covariances commuting or not", function()
    local a, b = moments({ 1, 2 }, { { 4, 0 }, { 0, 9 } }), moments({ 0, 0 }, { { 1, 0 }, { 0, 16 } })
    assert.near(5 + 1 + 1, M.frechet(a, b), 1e-10)
    local c = moments({ 0, 0 }, { { 2, 0.9 }, { 0.9, 1 } })
    -- in the plane tr (C1 C2)^(1/2) = (tr C1 C2 + 2 (det C1 C2)^(1/2))^(1/2)
    local cross = math.sqrt(4 * 2 + 9 * 1 + 2 * math.sqrt(36 * (2 - 0.81)))
    assert.near(5 + 13 + 3 - 2 * cross, M.frechet(a, c), 1e-10)
    assert.near(M.frechet(a, c), M.frechet(c, a), 1e-10)
    assert.near(0, M.frechet(c, c), 1e-10)
  end)

  it("of singular covariances is a limit", function()
    local a = moments({ 0, 0 }, { { 1, 0 }, { 0, 0 } })
    assert.near(1, M.frechet(a, moments({ 0, 0 }, { { 4, 0 }, { 0, 0 } })), 1e-10)
    assert.near(5, M.frechet(a, moments({ 0, 0 }, { { 0, 0 }, { 0, 4 } })), 1e-10)
  end)

  it("of samples is that of their moments, by n - 1", function()
    local x = d.tensor { { 0, 0 }, { 2, 0 }, { 0, 2 }, { 2, 2 } }
    local y = moments({ 1, 1 }, { { 4 / 3, 0 }, { 0, 4 / 3 } })
    assert.near(0, M.frechet(x, y), 1e-10)
    assert.near(18, M.frechet(x + 3, y), 1e-10)
  end)

  -- In second order samples of one Gaussian of variance 1 differ by D + (D^2 + D)/4 for each 1/n.
  it("errs by the bias that it says, which goes as 1/n", function()
    local D, n, times, value, bias = 6, 300, 40, 0, 0
    for r = 1, times do
      local v, about = M.frechet(normal(n, D, 100 + r), normal(n, D, 7000 + r), { interval = true })
      value, bias = value + v / times, bias + about.bias / times
    end
    local expected = (D + D * (D + 1) / 4) * 2 / n
    assert.near(1, value / expected, 0.1)
    assert.near(1, bias / expected, 0.2)
  end)

  it("has the standard error of a sum of squares where there is no slope", function()
    local x = normal(40, 2, 1) * d.tensor { 1, 0.5 }
    local _, about = M.frechet(x, x:flip(1), { interval = true }) -- its halves differ
    local c = x - x:mean(1)
    c = c:t():matmul(c)
    local D = (c[1][1] + c[2][2]) ^ 2 / c:square():sum():item()
    local one, two = D, D * (D + 1) / 2 -- squares of the mean's and the covariance's numbers: as 1 to 1/2
    local relative = math.sqrt(2 * (one + two / 4)) / (one + two / 2)
    assert.near(math.sqrt(2) * relative * about.bias, about.se, 1e-9)
    assert(about.bias > 0)
  end)

  it("holds the truth where distributions hardly differ, and one sample's slope says little", function()
    for _, case in ipairs { { 50, 1, 0.3 }, { 100, 2, 0.15 }, { 40, 2, 0 } } do
      local n, D, shift = table.unpack(case)
      local held = 0
      for r = 1, 120 do
        local _, about = M.frechet(normal(n, D, r), normal(n, D, 9000 + r) + shift, { interval = true })
        if about.low <= D * shift ^ 2 and D * shift ^ 2 <= about.high then held = held + 1 / 120 end
      end
      assert(held > 0.95 - 3.5 * math.sqrt(0.05 * 0.95 / 120), ("%d, %d, %g: %g"):format(n, D, shift, held))
    end
  end)

  it("is honest but for that where distributions differ", function()
    local scale = d.tensor { 1, 1.5, 0.7 }
    local truth, held = 3 * 0.25 + 0.25 + 0.09, 0
    for r = 1, 150 do
      local y = normal(250, 3, 9000 + r) * scale + 0.5
      local _, about = M.frechet(normal(300, 3, r), y, { interval = true })
      if about.low <= truth and truth <= about.high then held = held + 1 end
    end
    assert.near(0.95, held / 150, 3.5 * math.sqrt(0.05 * 0.95 / 150))
  end)

  it("has a standard error by the slope in each sample", function()
    local truth = { mean = d.zeros(2), cov = d.tensor { { 1, 0.6 }, { 0.6, 2 } } }
    local x, h = normal(30, 2, 5):exp() * d.tensor { 2, 0.3 }, 1e-4 -- skewed, so both parts of a slope meet
    local function weighted(w) -- the distance where samples have these weights
      local mean = (w:unsqueeze(2) * x):sum(1)
      local gap = x - mean
      return M.frechet({ mean = mean, cov = (gap * w:unsqueeze(2)):t():matmul(gap) * (30 / 29) }, truth)
    end
    local slopes = {}
    for i = 1, 30 do
      local w = d.full({ 30 }, (1 - h) / 30)
      w[i] = w[i] + h
      local less = d.full({ 30 }, (1 + h) / 30)
      less[i] = less[i] - h
      slopes[i] = (weighted(w) - weighted(less)) / (2 * h)
    end
    local _, about = M.frechet(x, truth, { interval = true })
    assert.near(d.tensor(slopes):std():item() / math.sqrt(30), about.se, 0.04 * about.se)
    assert.near(about.extrapolated, (about.low + about.high) / 2, 1e-9)
    assert.near(2 * 1.959963984540054 * about.se, about.high - about.low, 1e-9)
  end)

  it("of few samples reaches from 0 to above the value, which is biased upwards", function()
    for _, n in ipairs { 5, 12, 19 } do
      local value, about = M.frechet(normal(n, 5, n), normal(60, 5, 2) + 1, { interval = true })
      assert.equal(0, about.low)
      assert.near(value + 1.959963984540054 * about.se, about.high, 1e-9)
      assert.match("so few samples don't determine the bias", about.method)
    end
    assert(select(2, M.frechet(normal(20, 5, 1), normal(60, 5, 2) + 2, { interval = true })).low > 0)
  end)
end)

describe("wasserstein", function()
  -- the integral of |F^-1 - G^-1|^p, by the midpoints of n m parts
  local function brute(x, y, p)
    local a, b = x:sort():totable(), y:sort():totable()
    local n, m, sum = #a, #b, 0
    for k = 0, n * m - 1 do sum = sum + math.abs(a[k // m + 1] - b[k // n + 1]) ^ p end
    return sum / (n * m)
  end

  it("1 is the integral, for any numbers of samples", function()
    for _, pair in ipairs { { 5, 5 }, { 1, 4 }, { 6, 4 }, { 12, 7 } } do
      local x, y = normal(pair[1], 1, 1):flatten(), normal(pair[2], 1, 2):flatten() * 2
      assert.near(brute(x, y, 1), M.wasserstein1(x, y), 1e-12)
      for _, p in ipairs { 1, 2, 3 } do
        assert.near(brute(x, y, p) ^ (1 / p), M.sliced_wasserstein(x, y, { p = p }), 1e-12)
      end
    end
  end)

  it("along lines of a shift is its length along them", function()
    local x, shift = normal(50, 3, 1), d.tensor { 1, -2, 0.5 }
    local length = shift:square():sum():item()
    local w2 = M.sliced_wasserstein(x, x + shift, { p = 2, projections = 4000 })
    assert.near(math.sqrt(length / 3), w2, 0.03) -- E (u.s)^2 = |s|^2 / D
    local w1 = M.sliced_wasserstein(x, x + shift, { projections = 4000 })
    assert.near(math.sqrt(length) / 2, w1, 0.03) -- in space |u.s| is even between 0 and |s|
  end)

  -- quantiles are x and 1.5 x + 1.2 of a normal x, so they cross at x = -2.4
  local function crossing()
    local below = d.tensor({ 2.4 / math.sqrt(2) }):erf():item()
    return 1.2 * below + 0.5 * math.sqrt(2 / math.pi) * math.exp(-2.4 ^ 2 / 2)
  end

  it("is honest where it isn't 0", function()
    is_honest(120, crossing(), function(r)
      return M.wasserstein1(normal(80, 1, r), normal(60, 1, r + 1) * 1.5 + 1.2, { interval = true, permutations = 0 })
    end)
    for _, case in ipairs { { 300, 200, 20 }, { 300, 25, 100 }, { 25, 300, 100 } } do -- lines few, one set small
      local n, m, lines = table.unpack(case)
      is_honest(60, 3, function(r) -- (|s|^2 / D)^(1/2), but for a bias of 1/n
        return M.sliced_wasserstein(normal(n, 2, r), normal(m, 2, r + 1) + 3, { interval = true, p = 2, seed = r,
          projections = lines, permutations = 0 })
      end)
    end
  end)

  it("reaches down to 0 where both are equal", function()
    local line, space = 0, 0
    for r = 1, 60 do
      local _, about = M.wasserstein1(normal(40, 1, r), normal(30, 1, 4000 + r), { interval = true, permutations = 39 })
      if about.low == 0 then line = line + 1 end
      assert.equal(about.p > 0.025, about.low == 0)
      _, about = M.sliced_wasserstein(normal(40, 3, r), normal(30, 3, 4000 + r), { interval = true, projections = 5,
        permutations = 39 })
      if about.low == 0 then space = space + 1 end
    end
    for _, held in ipairs { line, space } do assert.near(58.5, held, 3.5 * math.sqrt(60 * 0.025 * 0.975)) end
    local _, about = M.wasserstein1(normal(40, 1, 1), normal(30, 1, 2) + 2, { interval = true })
    assert.near(1 / 100, about.p, 1e-12)
    assert(about.low > 1)
    assert.is_nil(select(2, M.wasserstein1(normal(9, 1, 1), normal(9, 1, 2), { interval = true, permutations = 0 })).p)
  end)

  -- The slope of the cost in a sample's weight: that of a little more and that of a little less of it.
  it("has the potentials that are its slopes", function()
    local line = require "diffusion.metric.line"
    for _, case in ipairs { { 5, 7, 1 }, { 4, 7, 3 }, { 3, 3, 2 }, { 6, 4, 2 } } do
      local n, m, p = table.unpack(case)
      local copies = 420 -- copies of each sample; n copies +- 1 are slightly different weights
      local a, b = normal(n, 1, 1):flatten():sort(), (normal(m, 1, 2):flatten() * 2):sort()
      local function cost(i, more)
        local list = {}
        for k = 1, n do
          for _ = 1, copies + (k == i and more or 0) do list[#list + 1] = a[k] end
        end
        return line.cost(d.tensor(list):unsqueeze(1), b:unsqueeze(1), p):item()
      end
      local potential = line.potential(a:unsqueeze(1), b:unsqueeze(1), p)
      local mean = potential:mean():item()
      for i = 1, n do
        local slope = (cost(i, 1) - cost(i, -1)) / 2 * n * copies
        assert.near(slope, potential[1][i] - mean, 1e-3 * (1 + math.abs(slope)))
      end
    end
  end)
end)

describe("precision_recall", function()
  it("is 1 of equal sets, 0 of sets apart", function()
    local x = normal(40, 20, 1)
    local same, apart = M.precision_recall(x, x), M.precision_recall(x, x + 100)
    for _, name in ipairs { "precision", "recall", "coverage" } do
      assert.equal(1, same[name])
      assert.equal(0, apart[name])
    end
    assert.equal(0, apart.density)
    assert.near(4 / 3, same.density, 1e-12) -- itself and three neighbours: so many balls each on average
  end)

  it("is what its words say", function()
    local x, y, k = normal(25, 2, 1) * 0.7, normal(30, 2, 2), 2
    local function squares(a, b) return (a:unsqueeze(2) - b:unsqueeze(1)):square():sum(3):totable() end
    local function radii(set)
      local list = {}
      for i, row in ipairs(squares(set, set)) do
        table.sort(row)
        list[i] = row[k + 1] -- the first is its own, 0
      end
      return list
    end
    local across, back, around_x, around_y = squares(x, y), squares(y, x), radii(x), radii(y)
    local function inside(rows, around) -- in how many balls each lies
      local list = {}
      for i, row in ipairs(rows) do
        list[i] = 0
        for j, square in ipairs(row) do
          if square <= around[j] then list[i] = list[i] + 1 end
        end
      end
      return list
    end
    local function share(list)
      local count, sum = 0, 0
      for _, c in ipairs(list) do count, sum = count + (c > 0 and 1 or 0), sum + c end
      return count / #list, sum / #list / k
    end
    local got = M.precision_recall(x, y, { k = k })
    local precision, density = share(inside(across, around_y))
    assert.near(precision, got.precision, 1e-12)
    assert.near(density, got.density, 1e-12)
    assert.near((share(inside(back, around_x))), got.recall, 1e-12)
    local covered = 0
    for j = 1, 30 do
      if math.min(table.unpack(back[j])) <= around_y[j] then covered = covered + 1 end
    end
    assert.near(covered / 30, got.coverage, 1e-12)
  end)
end)

describe("precision_recall's intervals", function()
  it("are Wilson's of each one's own set, and a mean's", function()
    local x, y, k = normal(60, 2, 1) * 1.5, normal(90, 2, 2), 3
    local got, about = M.precision_recall(x, y, { interval = true })
    for name, n in pairs { precision = 60, recall = 90, coverage = 90 } do
      local low, high = interval.wilson(got[name] * n, n)
      assert.near(low, about[name].low, 1e-12)
      assert.near(high, about[name].high, 1e-12)
    end
    local around, inside = {}, {} -- density: in how many balls of y each of x lies
    for j = 1, 90 do around[j] = (y - y:narrow(1, j, 1)):square():sum(2):sort()[k + 1] end
    around = d.tensor(around)
    for i = 1, 60 do inside[i] = (y - x:narrow(1, i, 1)):square():sum(2):le(around):to "i64":sum():item() / k end
    assert.near(d.tensor(inside):mean():item(), got.density, 1e-12)
    assert.near(d.tensor(inside):std():item() / math.sqrt(60), about.density.se, 1e-12)
  end)
end)

describe("mode_coverage", function()
  it("counts, by each mode's own covariance", function()
    local o = d.oracle.mixture { means = { { 0, 0 }, { 10, 0 }, { 0, 10 } }, weights = { 2, 1, 1 },
      covs = { { { 1, 0 }, { 0, 1 } }, { { 1, 0.9 }, { 0.9, 1 } }, { { 1, 0 }, { 0, 0.01 } } } }
    -- (1, -1) from the second is (2^2 / 2) / 0.1 = 20 by its covariance; (0, 0.4) from the third is 4
    local x = d.tensor { { 0, 0 }, { 1, 1 }, { 12, 2 }, { 11, -1 }, { 0, 10.4 }, { 2, 10 } }
    local got = M.mode_coverage(x, o)
    assert.same({ 2, 1, 1 }, got.counts)
    assert.near(4 / 6, got.near, 1e-12)
    assert.equal(1, got.covered)
    assert.near(0, got.kl, 1e-12)
    assert.near(1 / 3, M.mode_coverage(x, o, { least = 2 }).covered, 1e-12)
  end)

  it("has a divergence from the true weights, biased by (K - 1) / 2n", function()
    local means = d.tensor { { 0 }, { 100 }, { 200 } }
    local x = d.tensor { { 0 }, { 1 }, { 101 }, { 0.5 } }
    local got = M.mode_coverage(x, means, { std = 1, weights = { 0.5, 0.25, 0.25 } })
    assert.near(2 / 3, got.covered, 1e-12)
    assert.near(0.75 * math.log(1.5), got.kl, 1e-12)
    local o, sum, bias = d.oracle.mixture { means = means, std = 1 }, 0, nil
    for r = 1, 100 do
      local v, about = M.mode_coverage(o:sample(200, { seed = r }), o, { interval = true })
      sum, bias = sum + v.kl / 100, about.kl.bias
    end
    assert.near(2 / 400, bias, 1e-4) -- near samples, some with fewer than 200
    assert.near(1, sum / bias, 0.4) -- 2n KL is chi-square with 2 degrees: 100 of them err by a tenth
  end)

  it("is honest of shares that differ, but for that bias", function()
    local means, truth = { { 0 }, { 100 }, { 200 } }, 0
    local shares, even = { 0.6, 0.3, 0.1 }, d.oracle.mixture { means = means, std = 1 }
    for _, q in ipairs(shares) do truth = truth + q * math.log(3 * q) end
    local skewed = d.oracle.mixture { means = means, std = 1, weights = shares }
    is_honest(120, truth, function(r)
      local v, about = M.mode_coverage(skewed:sample(100, { seed = r }), even, { interval = true, within = 6 })
      assert.near(v.kl - about.kl.bias + 1.959963984540054 * about.kl.se, about.kl.high, 1e-9)
      return v.kl - about.kl.bias, about.kl
    end)
    local v, about = M.mode_coverage(even:sample(100, { seed = 1 }), even, { interval = true, within = 1 })
    local low, high = interval.wilson(100 * v.near, 100)
    assert.same({ low, high }, { about.near.low, about.near.high })
  end)
end)

describe("memorisation", function()
  it("is the share of fresh data if nothing was memorised", function()
    local sum, nearer = 0, 0
    for r = 1, 40 do
      local v, about = M.memorisation(normal(200, 2, r), normal(150, 2, 3000 + r), normal(400, 2, 6000 + r),
        { share = 0.1, interval = true })
      sum, nearer = sum + v / 40, nearer + about.nearer / 40
    end
    assert.near(0.1, sum, 0.012)
    assert.near(0.5, nearer, 0.015)
  end)

  it("has no bias there from few fresh data, and an interval that counts them", function()
    local times, n, m, share = 100, 200, 100, 0.02
    local sum, held = 0, 0
    for r = 1, times do
      local v, about = M.memorisation(normal(n, 2, r), normal(100, 2, 3000 + r), normal(m, 2, 6000 + r),
        { share = share, interval = true })
      sum = sum + v / times
      if about.low <= share and share <= about.high then held = held + 1 / times end
    end
    assert.near(share, sum, 4 * math.sqrt(share * (1 / n + 1 / m) / times))
    assert(held > 0.95 - 3.5 * math.sqrt(0.05 * 0.95 / times), held)
  end)

  it("is 1 of copies, whose nearest is alone", function()
    local train, held = normal(100, 2, 1), normal(100, 2, 2)
    local v, about = M.memorisation(train + 1e-7, train, held, { interval = true })
    assert.equal(1, v)
    assert.equal(1, about.alone)
    assert.near(1, about.nearer, 0.01)
    assert(about.alone_held < 0.3 and about.p < 1e-10)
  end)

  it("compares distances as Mann and Whitney do", function()
    local x, train = d.tensor { 0.1, 0.3, 0.6 }, d.tensor { 0, 100 }
    local held = d.tensor { 0.2, 0.4, 0.5, 0.7 }
    local _, about = M.memorisation(x, train, held, { share = 0.5, interval = true })
    assert.near((4 + 3 + 1) / 12, about.nearer, 1e-12)
    assert.near(0.45, about.distance, 1e-12)
    assert.near(interval.tail((8 / 12 - 0.5) / math.sqrt(8 / 144)), about.p, 1e-12)
  end)
end)

describe("two_sample", function()
  it("comes near the best classifier, and to a half where there is none", function()
    local x = normal(1000, 2, 1)
    local best = 1 - interval.tail(math.sqrt(2) / 2) -- for a shift by 1 in both
    local v, about = M.two_sample(x, normal(1200, 2, 2) + 1, { interval = true })
    assert.near(best, v, 0.04)
    assert(about.p < 1e-6 and about.low < best)
    v, about = M.two_sample(x, normal(1000, 2, 3), { interval = true })
    assert.near(0.5, v, 0.06)
    assert(about.p > 0.01 and about.low < 0.5 and 0.5 < about.high)
  end)

  it("is nothing to the samples' scale", function()
    local x, y = normal(200, 2, 1), normal(200, 2, 2) + 1
    assert.near(M.two_sample(x, y, { steps = 100 }), M.two_sample(x * 1e-3 + 9, y * 1e-3 + 9, { steps = 100 }), 0.02)
  end)

  it("has the binomial's own p", function()
    local v, about = M.two_sample(normal(20, 1, 1), normal(20, 1, 2) + 1, { interval = true, steps = 20 })
    local k, choose, sum = math.floor(20 * v + 0.5), 1, 0
    for i = 0, 20 do
      if i >= k then sum = sum + choose end
      choose = choose * (20 - i) / (i + 1)
    end
    assert.near(sum / 2 ^ 20, about.p, 1e-12)
  end)
end)

describe("intervals", function()
  it("of shares are Wilson's", function()
    local low, high = interval.wilson(8, 10) -- centre (0.8 + z^2/20) / (1 + z^2/10)
    assert.near(0.4901625, low, 1e-6)
    assert.near(0.9433178, high, 1e-6)
    low, high = interval.wilson(0, 20)
    assert.equal(0, low)
    assert.near(0.1611252, high, 1e-6)
  end)

  it("of few blocks are Student's", function()
    for freedom, t in pairs { [4] = 2.776445, [9] = 2.262157, [29] = 2.045230 } do
      assert.near(t, interval.student(freedom), 0.003 * t)
    end
  end)

  it("take the normal's tail", function()
    assert.near(0.025, interval.tail(1.959963984540054), 1e-12)
    assert.near(0.5, interval.tail(0), 1e-12)
  end)
end)

-- Oracles in double against their definitions: posterior means and noised densities by plain
-- sums of what the words say, Tweedie's formula, entropies, moments and limits.
require "spec.support.allclose"
local d = require "diffusion"
local fails = require "spec.support.fails"

local pi = math.pi

-- ==== brute force ==========================================================================

-- sum over weighted points y (lists) of N(x; a y, s^2 + a^2 tau^2): ln p(x), and E[x0 | x].
local function brute(x, a, s, ys, ws, tau)
  local D, v = #x, a * a * (tau or 0) ^ 2 + s * s
  local logs, most = {}, -math.huge
  for i, y in ipairs(ys) do
    local quad = 0
    for j = 1, D do quad = quad + (x[j] - a * y[j]) ^ 2 end
    logs[i] = math.log(ws[i]) - quad / (2 * v)
    most = math.max(most, logs[i])
  end
  local p, mean = 0, {}
  for j = 1, D do mean[j] = 0 end
  for i, y in ipairs(ys) do
    local w = math.exp(logs[i] - most)
    p = p + w
    for j = 1, D do mean[j] = mean[j] + w * (y[j] + a * (tau or 0) ^ 2 / v * (x[j] - a * y[j])) end
  end
  for j = 1, D do mean[j] = mean[j] / p end
  return most + math.log(p) - D / 2 * math.log(2 * pi * v), mean
end

-- Points and weights on [low, high]: Gauss' three to each of n parts.
local function line(low, high, n)
  local ys, ws, h = {}, {}, (high - low) / n
  for i = 0, n - 1 do
    for k = -1, 1 do
      ys[#ys + 1] = low + (i + 0.5 + k * math.sqrt(0.15)) * h
      ws[#ws + 1] = (k == 0 and 8 or 5) / 18 * h
    end
  end
  return ys, ws
end

-- The trapezoid rule's grid of a plane, each point weighted by a density.
local function plane(low, high, n, density)
  local ys, ws, h = {}, {}, (high - low) / n
  for y1 = low, high, h do
    for y2 = low, high, h do
      local p = density(y1, y2) * h * h
      if p > 1e-30 then ys[#ys + 1], ws[#ws + 1] = { y1, y2 }, p end
    end
  end
  return ys, ws
end

local function normal2(m, c)
  local det = c[1][1] * c[2][2] - c[1][2] ^ 2
  return function(x, y)
    x, y = x - m[1], y - m[2]
    local quad = (c[2][2] * x * x - 2 * c[1][2] * x * y + c[1][1] * y * y) / det
    return math.exp(-quad / 2) / (2 * pi * math.sqrt(det))
  end
end

-- A curve x, y of w with u = w^power, in w: points and weights of a piece.
local function bent(curve, power, pieces, shrink)
  local ys, ws = {}, {}
  for piece = 1, pieces do
    local at, h = line(0, 1, 4000)
    for i, w in ipairs(at) do
      local x, y = curve(w ^ power, piece)
      local weight = h[i] * power * w ^ (power - 1) / pieces
      if weight > 0 then ys[#ys + 1], ws[#ws + 1] = { x * shrink, y * shrink }, weight end
    end
  end
  return ys, ws
end

local function roll(u)
  local r = 1.5 * pi * (1 + 2 * u)
  local x, y = r * math.cos(r), r * math.sin(r)
  local my = 2 / (3 * pi)
  local scale = math.sqrt(2 / (((4.5 * pi) ^ 3 - (1.5 * pi) ^ 3) / (9 * pi) - 4 - my * my))
  return (x - 2) * scale, (y - my) * scale
end

local function moon(u, piece)
  local scale = math.sqrt(2 / (1.3125 - 1 / pi))
  local x, y = math.cos(pi * u), math.sin(pi * u)
  if piece == 2 then x, y = 1 - x, 0.5 - y end
  return (x - 0.5) * scale, (y - 0.25) * scale
end

local function arms(u, piece)
  local r = 3 * pi * math.sqrt(u)
  local sign = piece == 1 and 1 or -1
  return sign * r * math.cos(r) * 2 / (3 * pi), sign * r * math.sin(r) * 2 / (3 * pi)
end

-- Boxes {low, high (lists), weight} even on each.
local function boxed(list, n)
  local ys, ws = {}, {}
  for _, box in ipairs(list) do
    local y1, w1 = line(box[1][1], box[2][1], n)
    local y2, w2 = { 0 }, { 1 }
    local area = box[2][1] - box[1][1]
    if box[1][2] then
      y2, w2 = line(box[1][2], box[2][2], n)
      area = area * (box[2][2] - box[1][2])
    end
    for i = 1, #y1 do
      for j = 1, #y2 do
        ys[#ys + 1], ws[#ws + 1] = { y1[i], box[1][2] and y2[j] }, w1[i] * w2[j] * box[3] / area
      end
    end
  end
  return ys, ws
end

local function black_cells(size)
  local out, side = {}, size / 4
  for i = 0, 3 do
    for j = 0, 3 do
      if (i + j) % 2 == 0 then
        out[#out + 1] = { { i * side - size / 2, j * side - size / 2 },
          { (i + 1) * side - size / 2, (j + 1) * side - size / 2 }, 1 / 8 }
      end
    end
  end
  return out
end

local function rows_of(x)
  local rows, ws = x:totable(), {}
  for i = 1, #rows do ws[i] = 1 / #rows end
  return rows, ws
end

-- ==== the oracles, each with its points and weights, made when wanted ======================

local covs = { { { 1, 0.3 }, { 0.3, 0.5 } }, { { 0.2, -0.1 }, { -0.1, 0.3 } } }
local means = { { -1, 0.2 }, { 1, 0.5 } }
local cloud = d.randn({ 40, 2 }, { seed = 9 })
local wide_cloud = d.randn({ 30, 20 }, { seed = 8 }) + 3

local function mixed(y1, y2)
  return 0.25 * normal2(means[1], covs[1])(y1, y2) + 0.75 * normal2(means[2], covs[2])(y1, y2)
end

local cases = {
  gaussian = { d.oracle.gaussian { mean = means[1], cov = covs[1] },
    function() return plane(-9, 9, 100, normal2(means[1], covs[1])) end },
  diagonal = { d.oracle.gaussian { mean = { 1, -1 }, std = { 0.7, 0.4 } },
    function() return plane(-6, 7, 100, normal2({ 1, -1 }, { { 0.49, 0 }, { 0, 0.16 } })) end },
  mixture = { d.oracle.mixture { means = means, covs = covs, weights = { 1, 3 } },
    function() return plane(-9, 9, 130, mixed) end },
  isotropic = { d.oracle.mixture { means = means, std = { 0.3, 0.6 } }, function()
    local one, two = normal2(means[1], { { 0.09, 0 }, { 0, 0.09 } }), normal2(means[2], { { 0.36, 0 }, { 0, 0.36 } })
    return plane(-5, 6, 120, function(x, y) return (one(x, y) + two(x, y)) / 2 end)
  end },
  empirical = { d.oracle.empirical(cloud), function() return rows_of(cloud) end },
  kernels = { d.oracle.empirical(cloud, { std = 0.2 }), function() return rows_of(cloud) end, 0.2 },
  wide = { d.oracle.empirical(wide_cloud), function() return rows_of(wide_cloud) end },
  wide_kernels = { d.oracle.empirical(wide_cloud, { std = 0.4 }), function() return rows_of(wide_cloud) end, 0.4 },
  box = { d.oracle.box { low = -0.7, high = 1.1 }, function() return boxed({ { { -0.7 }, { 1.1 }, 1 } }, 200) end },
  histogram = { d.oracle.histogram { edges = { -2, -1, 0.5, 1 }, weights = { 1, 0, 3 } },
    function() return boxed({ { { -2 }, { -1 }, 0.25 }, { { 0.5 }, { 1 }, 0.75 } }, 200) end },
  checkerboard = { d.oracle.checkerboard {}, function() return boxed(black_cells(math.sqrt(12)), 14) end },
  noisy_board = { d.oracle.checkerboard { noise = 0.5 }, function() return boxed(black_cells(3), 14) end, 0.5 },
  swiss_roll = { d.oracle.swiss_roll {}, function() return bent(roll, 1, 1, math.sqrt(1 - 0.04 ^ 2)) end, 0.04 },
  moons = { d.oracle.moons { noise = 0.1 }, function() return bent(moon, 1, 2, math.sqrt(0.99)) end, 0.1 },
  spiral = { d.oracle.spiral {}, function() return bent(arms, 2, 2, math.sqrt(1 - 0.03 ^ 2)) end, 0.03 },
  product = { d.oracle.product { d.oracle.box { low = -1, high = 1 }, d.oracle.box { low = 0, high = 3 } },
    function() return boxed({ { { -1, 0 }, { 1, 3 }, 1 } }, 50) end },
}

local function points_of(name)
  local case = cases[name]
  if not case.ys then case.ys, case.ws = case[2]() end
  return case.ys, case.ws, case[3]
end

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)

local levels = { a = d.tensor { 0.9, 0.7, 0.4, 1 }, s = d.tensor { 0.4, 0.7, 0.9, 3 } }

-- Four points of the noised distribution, one a level.
local function noised(o)
  local a, s = levels.a:unsqueeze(2), levels.s:unsqueeze(2)
  return a * o:sample(4, { seed = 2 }) + s * d.randn({ 4, o.D }, { seed = 3 })
end

local function column(c) return c:unsqueeze(2) end

describe("the oracle", function()
  for _, name in ipairs(names) do
    local o = cases[name][1]

    it(name .. " is the sum that its definition says", function()
      local ys, ws, tau = points_of(name)
      local x = noised(o)
      local lp, mean = o:log_prob(x, levels):totable(), o:posterior_mean(x, levels.a, levels.s)
      local a, s = levels.a:totable(), levels.s:totable()
      for i, row in ipairs(x:totable()) do
        local p, m = brute(row, a[i], s[i], ys, ws, tau)
        assert.near(p, lp[i], 2e-9)
        assert.allclose(m, mean[i], { atol = 1e-9, rtol = 0 })
      end
    end)

    it(name .. " obeys Tweedie's formula, by its gradient and by differences", function()
      local x, s2 = noised(o), column(levels.s) ^ 2
      local score = d.grad(function(y) return o:log_prob(y, levels):sum() end, x)
      local mean = o:posterior_mean(x, levels.a, levels.s)
      assert.allclose((x + s2 * score) / column(levels.a), mean, { atol = 1e-11, rtol = 1e-11 })
      local h = 1e-4
      for j = 1, o.D do
        local step = d.zeros(1, o.D)
        step[{ 1, j }] = h
        local slope = (o:log_prob(x + step, levels) - o:log_prob(x - step, levels)) / (2 * h)
        assert.allclose(score:select(2, j), slope, { atol = 1e-5, rtol = 1e-5 })
      end
    end)

    it(name .. " has the gradients of its values, in x and in the level", function()
      local x = noised(o)
      local function mean(y, a, s) return o:posterior_mean(y, a, s) end
      local function density(y, a, s) return o:log_prob(y, { a = a, s = s }) end
      for _, fn in ipairs { mean, density } do
        local ok, worst = d.gradcheck(fn, { x, levels.a, levels.s }, { tolerance = 3e-6 })
        assert(ok, ("off by %g"):format(worst))
      end
    end)

    it(name .. " says the same in every target, for a number, a list and a tensor of levels", function()
      local x = d.randn({ 3, o.D, 1 }, { seed = 5 })
      for _, predict in ipairs { "eps", "x0", "v", "score", "flow", "edm" } do
        local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = predict }
        local denoise = o:denoiser(p)
        for _, t in ipairs { 40, { 20, 60, 90 }, d.tensor { 20, 60, 90 } } do
          local x0 = o:posterior_mean(x, p.schedule:signal(t), p.schedule:noise(t))
          local out = denoise(x, t)
          assert.same({ 3, o.D, 1 }, out:shape())
          assert.allclose(x0, p:convert(out, { from = predict, to = "x0", xt = x, t = t }),
            { atol = 1e-9, rtol = 1e-9 })
        end
      end
    end)

    it(name .. " goes to x where there is no noise, and to the mean where there is nothing else", function()
      local x = o:sample(5, { seed = 7 })
      assert.allclose(x, o:posterior_mean(x * 0.5, 0.5, 1e-6), { atol = 2e-5, rtol = 0 })
      local many = o:sample(20000, { seed = 8 })
      local mean, far = o:posterior_mean(x, 0, 1), o:posterior_mean(x, 1, 1e7)
      assert.allclose(mean, far, { atol = 1e-6, rtol = 0 })
      for i = 1, 5 do assert.allclose(mean[1], mean[i], { atol = 1e-12, rtol = 0 }) end
      local within = (many:mean(1) - mean[1]):abs() / (many:std(1) / math.sqrt(20000))
      assert.is_true(within:max():item() < 4.5, tostring(within))
    end)

    it(name .. " spreads its samples as it says", function()
      -- d mean/dx = cov a/s^2 at wide noise
      local many, s = o:sample(20000, { seed = 8 }), 1e3
      local centre = o:posterior_mean(d.zeros(1, o.D), 0, 1)
      local slope = d.grad(function(x) return o:posterior_mean(x, 1, s):select(2, 1):sum() end, centre)
      local x = many - centre
      local products = x * x:narrow(2, 1, 1)
      local within = (products:mean(1) - slope[1] * s ^ 2):abs() / (products:std(1) / math.sqrt(20000))
      assert.is_true(within:max():item() < 4.5, tostring(within))
    end)
  end
end)

-- ==== densities of the data ================================================================

describe("ln p of the data", function()
  it("of curves is the sum along them", function()
    for _, name in ipairs { "swiss_roll", "moons", "spiral" } do
      local o, ys, ws, tau = cases[name][1], points_of(name)
      local x = o:sample(2, { seed = 4 })
      local lp = o:log_prob(x):totable()
      for i, row in ipairs(x:totable()) do
        assert.near(brute(row, 1, 0, ys, ws, tau), lp[i], 1e-9)
      end
    end
  end)

  it("of Gaussians is its formula", function()
    local p = normal2(means[1], covs[1])
    local x = d.randn({ 5, 2 }, { seed = 1 })
    local one, two = cases.gaussian[1]:log_prob(x):totable(), cases.mixture[1]:log_prob(x):totable()
    for i, row in ipairs(x:totable()) do
      assert.near(math.log(p(row[1], row[2])), one[i], 1e-12)
      assert.near(math.log(mixed(row[1], row[2])), two[i], 1e-12)
    end
  end)

  it("of boxes is -ln of their area, or nothing outside", function()
    local o = d.oracle.checkerboard { size = 8 }
    local lp = o:log_prob(d.tensor { { -3.5, -3.5 }, { 1, 1 }, { -1, 1 }, { 9, 0 } })
    assert.allclose({ -math.log(32), -math.log(32), -math.huge, -math.huge }, lp)
    local h = cases.histogram[1]:log_prob(d.tensor { -2, -1, 0.7 }:unsqueeze(2))
    assert.allclose({ math.log(0.25), -math.huge, math.log(1.5) }, h)
  end)

  it("of data is the share of the points equal to x", function()
    local o = d.oracle.empirical(d.tensor { { 1, 2 }, { 0, 5 }, { 1, 2 }, { 1, 3 } })
    local lp = o:log_prob(d.tensor { { 1, 2 }, { -0.0, 5 }, { 2, 1 } })
    assert.allclose({ math.log(0.5), math.log(0.25), -math.huge }, lp)
    assert.near(1.5 * math.log(2), o:entropy(), 1e-14)
  end)

  it("of x/a, where a level has no noise", function()
    local o = cases.mixture[1]
    local x = d.randn({ 3, 2 }, { seed = 1 })
    assert.allclose(o:log_prob(x / 0.3) - 2 * math.log(0.3), o:log_prob(x, { a = 0.3 }), { rtol = 1e-12 })
    assert.allclose(o:log_prob(x, { a = 0.3, s = 1e-9 }), o:log_prob(x, { a = 0.3 }), { rtol = 1e-8 })
  end)

  it("at a process's level is that of its a and s", function()
    local p = d.process { schedule = d.schedule.cosine { T = 100 } }
    local o, x = cases.moons[1], d.randn({ 3, 2 }, { seed = 1 })
    for _, t in ipairs { 30, { 10, 20, 30 } } do
      local want = o:log_prob(x, { a = p.schedule:signal(t), s = p.schedule:noise(t) })
      assert.allclose(want, o:log_prob(x, p, t), { rtol = 1e-14 })
    end
    assert.allclose(o:log_prob(x), o:log_prob(x, p, 0), { rtol = 1e-14 })
  end)

  it("sums to one under noise", function()
    local axis = d.linspace(-7, 7, 71)
    local grid = d.stack({ axis:unsqueeze(2):expand(71, 71):flatten(), axis:expand(71, 71):flatten() }, 2)
    for _, name in ipairs { "empirical", "checkerboard", "swiss_roll", "mixture", "product" } do
      local p = cases[name][1]:log_prob(grid, { a = 0.8, s = 0.4 }):exp()
      assert.near(1, p:sum():item() * 0.04, 1e-9)
    end
  end)
end)

-- ==== entropies ============================================================================

describe("the entropy", function()
  local function holds(want, o) assert.near(want, (o:entropy()), 5e-10 * math.max(1, math.abs(want))) end

  it("of toy sets is the one published", function()
    holds(0.3121484221, d.oracle.eight_gaussians { radius = 2, std = 0.1 })
    holds(0.311766842, d.oracle.eight_gaussians { radius = 1, std = 0.1 })
    holds(2.831880406, d.oracle.eight_gaussians { radius = 4 / 1.414, std = 0.5 / 1.414 })
    holds(math.log(32), d.oracle.checkerboard { size = 8 })
    holds(3.676456934, d.oracle.checkerboard { size = 4 / 0.45 })
  end)

  it("of distributions with a formula is that", function()
    holds(math.log(2 * pi * math.exp(1)) + 0.5 * math.log(0.41), cases.gaussian[1])
    holds(math.log(2 * pi * math.exp(1)) + math.log(0.28), cases.diagonal[1])
    holds(math.log(1.8), cases.box[1])
    holds(-0.25 * math.log(0.25) - 0.75 * math.log(1.5), cases.histogram[1])
    holds(math.log(40), cases.empirical[1])
    holds(math.log(6), cases.product[1])
  end)

  it("of one Gaussian is the same by quadrature and by its formula", function()
    local g = d.oracle.empirical(d.zeros(1, 2), { std = 0.3 })
    holds(math.log(2 * pi * math.exp(1)) + 2 * math.log(0.3), g)
    holds(0.5 * math.log(2 * pi * math.exp(1)) + math.log(0.3), d.oracle.empirical(d.zeros(1, 1), { std = 0.3 }))
  end)

  it("in pieces is that of the whole plane", function()
    -- far points see nothing of each other: entropies of two kernels, and ln 2 for which
    local o = d.oracle.empirical(d.tensor { { -6, 0 }, { 6, 1 } }, { std = 0.3 })
    holds(math.log(2) + math.log(2 * pi * math.exp(1)) + 2 * math.log(0.3), o)
  end)

  it("is the mean of -ln p over samples, and over the points of the toy set", function()
    for _, name in ipairs { "swiss_roll", "moons", "spiral", "eight_gaussians", "checkerboard" } do
      local o = d.oracle[name] { noise = 0.15 }
      local H = o:entropy()
      local set = d.data.toy[name](3000, { seed = 3, noise = 0.15 })
      for _, x in ipairs { o:sample(3000, { seed = 1 }), set.x } do
        local lp = o:log_prob(x)
        local within = math.abs(lp:mean():item() + H) / (lp:std():item() / math.sqrt(3000))
        assert(within < 4, ("%s: %g standard errors"):format(name, within))
      end
    end
    local board = d.oracle.checkerboard {}
    assert.is_true(board:log_prob(d.data.toy.checkerboard(3000, { seed = 3 }).x):isfinite():all())
  end)

  it("in many dimensions is a mean with its error", function()
    local o = d.oracle.mixture { means = { { 0, 0, 0 }, { 9, 9, 9 } }, std = 0.5 }
    local H, deviation = o:entropy { samples = 4000, seed = 2 }
    local want = math.log(2) + 1.5 * math.log(2 * pi * math.exp(1)) + 3 * math.log(0.5)
    assert.is_true(math.abs(H - want) < 4 * deviation)
    assert.near(math.sqrt(1.5 / 4000), deviation, 0.1 * deviation)
    local pair, error = d.oracle.product { o, o }:entropy { samples = 4000, seed = 2 }
    assert.near(2 * H, pair, 1e-12)
    assert.near(math.sqrt(2) * deviation, error, 1e-12)
  end)
end)

-- ==== truncated normals ====================================================================

describe("a box under noise", function()
  it("keeps its digits at any noise and far outside", function()
    local o = d.oracle.box { low = -0.7, high = 1.1 }
    -- values with erfc to 80 digits: s, x, a, mean, ln p
    local known = {
      { 0.001, -1000, 1, -0.69999999899929947, -499300245015.32151 },
      { 0.001, -0.71, 1, -0.69990190676603744, -53.819071815414677 },
      { 0.001, 0.3, 0.3, 1.0, 0.616186139423817 },
      { 0.01, 1.1, 1, 1.0920211543919714, -1.2809338454620643 },
      { 0.3, -30, 0.3, -0.68993154810578281, -4935.1459993539712 },
      { 0.3, 0.2, 1, 0.20000000000000001, -0.59049011198759499 },
      { 1, 4, 0.3, 0.49486752059972904, -8.5125124974975185 },
      { 40, 100, 1, 0.21683657673107753, -7.7198897135922305 },
      { 160, -1000, 1, 0.18945192957284367, -25.532974836418913 },
      { 160, 0, 0.01, 0.19999999978906257, -5.9941123490439684 },
    }
    for _, k in ipairs(known) do
      local s, x, a, mean, lp = table.unpack(k)
      local at = d.tensor { { x } }
      assert.near(mean, o:posterior_mean(at, a, s):item(), 1e-14)
      assert.near(1, o:log_prob(at, { a = a, s = s }):item() / lp, 1e-12)
    end
  end)
end)

describe("a Gaussian whose covariance is singular", function()
  it("has the best denoiser, levels and samples of its plane, and no density of its own", function()
    local o = d.oracle.gaussian { mean = { 1, 0 }, cov = { { 1, 1 }, { 1, 1 } } }
    local x = d.tensor { { 0.3, -0.7 } }
    -- along (1,1)/sqrt 2 the variance is 2, across it 0: E[x0 | x] = m + 2/(2 + s^2) the part along of (x - m)
    local along = (0.3 - 1 - 0.7) / 2 * 2 / (2 + 0.25)
    local mean = o:posterior_mean(x, 1, 0.5)
    assert.near(1 + along, mean[1][1], 1e-12)
    assert.near(along, mean[1][2], 1e-12)
    local wide = d.oracle.gaussian { mean = { 1, 0 }, cov = { { 1.25, 1 }, { 1, 1.25 } } }
    assert.near(wide:log_prob(x):item(), o:log_prob(x, { s = 0.5 }):item(), 1e-12)
    local y = o:sample(50, { seed = 1 }) - d.tensor { 1, 0 }
    assert.is_true((y:select(2, 1) - y:select(2, 2)):abs():max():item() < 1e-7)
    assert.equal(-math.huge, o:entropy())
    fails("has no density", o.log_prob, o, x)
    assert.equal(2, d.oracle.gaussian { mean = { 2 }, std = 0 }:posterior_mean(d.tensor { { 5 } }, 1, 1):item())
    fails("isn't positive semidefinite", d.oracle.gaussian, { cov = { { 1, 2 }, { 2, 1 } } })
  end)
end)

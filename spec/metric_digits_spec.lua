-- Metrics stay accurate far from 0, at other scales, and with fewer samples than numbers.
-- They are compared with values in double from elsewhere: NumPy with singular values, and
-- KID in extended precision. Values that must not change are checked too. The samples are
-- multiples of 1/16, which floats hold exactly near 10,000.
local d = require "diffusion"
local fails = require "spec.support.fails"
local M = d.metric

local function rows(n, D, seed)
  local out = {}
  for i = 1, n do
    out[i] = {}
    for j = 1, D do
      out[i][j] = ((i * i * 37 + j * 101 + i * j * 17 + j * j * i * 3 + seed * 29 + i * seed % 7 * j) % 97) / 16
    end
  end
  return d.tensor(out)
end

local function both(n, m, D) return rows(n, D, 1), rows(m, D, 2) + 0.25 end

local function near(want, got, tolerance)
  tolerance = tolerance or 1e-9
  if not (math.abs(got - want) <= tolerance * math.abs(want)) then
    error(("%.17g expected, within %g of it, got %.17g"):format(want, tolerance, got), 2)
  end
end

-- n, m, D, what NumPy says
local cases = {
  { 40, 30, 4, frechet = 1.27850658396646, frechet_far = 400027220.028507,
    kid = { [0] = 83.2019564930892, [100] = 42022535.1388359, [10000] = 3.57733262046003e15 },
    kid_scaled = { [1024] = 8.83808085957719e19, [1 / 1024] = 3.17998041633825e-8 },
    mmd = -0.0101313965610454, mmd_far = 0.283751829914842,
    energy = -0.0210981849266378, energy_far = 39991.8576910709, wasserstein = 0.39583333333333337,
    shares = { precision = 0.9, recall = 14 / 15, density = 17 / 15, coverage = 1 } },
  { 12, 9, 20, frechet = 72.050249375315, frechet_far = 2000070627.6058,
    kid = { [0] = 51.8321077131013, [100] = 34528408.974792, [10000] = 3.01901525693235e15 },
    kid_scaled = { [1024] = 5.09668822006693e19, [1 / 1024] = 2.47015083301022e-7 },
    mmd = 0.000130460301770531, mmd_far = 0.000155572097153767,
    energy = 0.22221879777101, energy_far = 89422.8973557194, wasserstein = 0.7256944444444444,
    shares = { precision = 1, recall = 1, density = 5 / 6, coverage = 8 / 9 } },
}

-- Calls fn(x, y, case, scale) for sets moved by 0, -100 and 10000, and scaled by 2^10 and 2^-10.
local function everywhere(fn)
  for _, case in ipairs(cases) do
    local x, y = both(case[1], case[2], case[3])
    for _, by in ipairs { 0, -100, 10000 } do fn(x + by, y + by, case, 1) end
    for _, by in ipairs { 1024, 1 / 1024 } do fn(x * by, y * by, case, by) end
  end
end

describe("metrics far from 0 and at other scales", function()
  it("frechet", function()
    everywhere(function(x, y, case, scale) near(case.frechet * scale ^ 2, M.frechet(x, y)) end)
    for _, case in ipairs(cases) do
      local x, y = both(case[1], case[2], case[3])
      near(case.frechet_far, M.frechet(x, y + 1e4))
    end
  end)

  it("kid, which a shift changes", function()
    for _, case in ipairs(cases) do
      local x, y = both(case[1], case[2], case[3])
      for by, want in pairs(case.kid) do near(want, M.kid(x + by, y + by), 1e-8) end
      for by, want in pairs(case.kid_scaled) do near(want, M.kid(x * by, y * by)) end
      local value, about = M.kid(x + 1e4, y + 1e4, { interval = true })
      near(case.kid[10000], value, 1e-8)
      assert(about.se > 0 and about.se < 10 * value)
    end
    local x, y = both(40, 30, 4)
    x, y = x:narrow(1, 1, 30):contiguous(), y
    near(M.kid(x, y, { block = 6 }), (M.kid(x, y, { block = 6, interval = true })))
  end)

  it("mmd and energy, and their intervals", function()
    everywhere(function(x, y, case, scale)
      near(case.mmd, M.mmd(x, y, { bandwidth = 2 * scale }))
      near(case.energy * scale, M.energy(x, y))
      local _, about = M.energy(x, y, { interval = true })
      local _, unmoved = M.energy(both(case[1], case[2], case[3]), select(2, both(case[1], case[2], case[3])),
        { interval = true })
      near(unmoved.se * scale, about.se)
      assert.equal(unmoved.p, about.p)
    end)
    for _, case in ipairs(cases) do
      local x, y = both(case[1], case[2], case[3])
      near(case.mmd_far, M.mmd(x, y + 1e4, { bandwidth = 2 }), 1e-8)
      near(case.energy_far, M.energy(x, y + 1e4))
    end
  end)

  it("the bandwidth that mmd takes itself", function()
    everywhere(function(x, y, case, scale)
      local _, about = M.mmd(x, y, { interval = true })
      local first, second = both(case[1], case[2], case[3])
      local _, unmoved = M.mmd(first, second, { interval = true })
      near(unmoved.bandwidth[1] * scale, about.bandwidth[1], 1e-6)
    end)
  end)

  it("precision_recall", function()
    everywhere(function(x, y, case)
      for name, got in pairs(M.precision_recall(x, y)) do near(case.shares[name], got, 1e-12) end
    end)
  end)

  it("wasserstein1 and sliced_wasserstein", function()
    everywhere(function(x, y, case, scale)
      local function first(z) return z:select(2, 1):contiguous() end
      near(case.wasserstein * scale, M.wasserstein1(first(x), first(y)), 1e-6)
      local a, b = both(case[1], case[2], case[3])
      for _, p in ipairs { 1, 2, 8 } do
        local value, about = M.sliced_wasserstein(x, y, { p = p, interval = true })
        local want, unmoved = M.sliced_wasserstein(a, b, { p = p, interval = true })
        near(want * scale, value, 1e-5)
        near(unmoved.high * scale, about.high, 1e-3)
      end
    end)
    local x, y = both(40, 30, 4)
    near(1e12, M.sliced_wasserstein(x * 0, y * 0 + 1e12, { p = 8, projections = 1 })
      / M.sliced_wasserstein(x * 0, y * 0 + 1, { p = 8, projections = 1 }), 1e-5)
  end)

  it("memorisation, mode_coverage and two_sample", function()
    everywhere(function(x, y, case, scale)
      local held = y:flip(1) + 0.5 * scale
      local a, b = both(case[1], case[2], case[3])
      local want = M.memorisation(a, b, b:flip(1) + 0.5, { share = 0.2, interval = true })
      assert.equal(want, (M.memorisation(x, y, held, { share = 0.2, interval = true })))
      assert.equal(1, (M.memorisation(y, y, held, { share = 0.2 })))
      local found = M.mode_coverage(x, y, { std = 0.5 * scale, within = 2 * case[3] ^ 0.5 })
      assert.same(M.mode_coverage(a, b, { std = 0.5, within = 2 * case[3] ^ 0.5 }).counts, found.counts)
    end)
    local x, y = both(40, 30, 4)
    local want = M.two_sample(x, y, { steps = 20 })
    for _, by in ipairs { -100, 10000 } do
      assert(math.abs(want - M.two_sample(x + by, y + by, { steps = 20 })) < 0.1)
    end
    want = M.two_sample(x, y + 3, { steps = 60 })
    assert(want > 0.6)
    for _, by in ipairs { 1024, 1 / 1024, 2 ^ 40, 2 ^ -40 } do
      assert.equal(want, (M.two_sample(x * by, (y + 3) * by, { steps = 60 })))
    end
    assert.equal(0.5, (M.two_sample(x * 0 + 0.1, y * 0 + 0.1, { steps = 20 })))
  end)

  it("distances of near copies far from 0, in many dimensions", function()
    local pairs_of = require "diffusion.metric.pairs"
    local x = rows(20, 40, 1) + 1e4
    local y = x:clone()
    y[3][7] = y[3][7] + 1 / 16
    y[5] = y[5] - 1e4
    local squares = pairs_of.squares(x, y)(1, 20)
    for i = 1, 20 do assert.equal(i == 3 and 1 / 256 or i == 5 and 4e9 or 0, squares[i][i]) end
  end)
end)

describe("frechet", function()
  it("is 0 from a set to itself, of many samples and of few, at any scale", function()
    for _, size in ipairs { { 100, 256 }, { 3, 40 }, { 40, 40 }, { 41, 40 }, { 500, 8 } } do
      local x = d.randn(size, { seed = 4 })
      for _, scale in ipairs { 1, 100, 1e3, 1e-3 } do
        local value, spread = M.frechet(x * scale, x * scale), size[2] * scale ^ 2
        assert(value >= 0 and value < 1e-12 * spread, value / spread)
      end
    end
  end)

  it("of singular moments, and of a set and its own moments", function()
    local b = { mean = d.tensor { 1, 0 }, cov = d.tensor { { 1, -0.5 }, { -0.5, 2 } } }
    local function from(cov) return M.frechet({ mean = d.zeros(2), cov = cov }, b) end
    near(1.81221041401472, from(d.tensor { { 2, 1 }, { 1, 3 } }))
    near(3.17157287525381, from(d.tensor { { 1, 1 }, { 1, 1 } }))
    near(4, from(d.zeros(2, 2)))
    local x = rows(30, 4, 1)
    local gap = (x - x:mean(1)):to "f32"
    local own = { mean = x:mean(1), cov = gap:t():matmul(gap) / 29 }
    assert(M.frechet(x, own) < 1e-4)
    assert(M.frechet(own, own) < 1e-12)
    -- doubles stay doubles
    local exact = { mean = d.tensor({ 1 / 3, 1e8 + 1 }, { dtype = "f64" }), cov = d.eye(2) }
    local other = { mean = d.tensor({ 1 / 3, 1e8 }, { dtype = "f64" }), cov = d.eye(2) }
    near(1, M.frechet(exact, other))
  end)

  it("refuses a covariance that isn't positive semidefinite", function()
    local x = rows(30, 2, 1)
    for text, cov in pairs {
      ["from -1 to 3"] = { { 1, 2 }, { 2, 1 } }, ["from -5 to 5"] = { { 0, 5 }, { 5, 0 } },
      ["from -2 to -1"] = { { -1, 0 }, { 0, -2 } },
    } do
      fails("frechet: the covariance isn't positive semidefinite: its eigenvalues go " .. text, M.frechet, x,
        { mean = d.zeros(2), cov = d.tensor(cov) })
      fails("isn't positive semidefinite", M.frechet, { mean = d.zeros(2), cov = d.tensor(cov) }, x,
        { interval = true })
    end
    -- but for the rounding of floats
    assert(M.frechet(x, { mean = d.zeros(2), cov = d.tensor { { 1, 1 }, { 1, 1 - 1e-6 } } }) > 0)
  end)

  it("has an interval that moves and scales with it", function()
    local x, y = rows(60, 4, 1), rows(50, 4, 2) + 0.25
    local value, about = M.frechet(x, y, { interval = true })
    local second = { mean = y:mean(1), cov = d.eye(4) }
    local _, beside = M.frechet(x, second, { interval = true })
    for _, by in ipairs { -100, 10000 } do
      local moved, also = M.frechet(x + by, y + by, { interval = true })
      near(value, moved)
      near(about.bias, also.bias)
      near(about.se, also.se, 1e-5)
      _, also = M.frechet(x + by, { mean = second.mean + by, cov = second.cov }, { interval = true })
      near(beside.se, also.se, 1e-2) -- the given mean is a float
    end
    for _, by in ipairs { 1024, 1 / 1024, 2 ^ 40, 2 ^ -40 } do
      local moved, also = M.frechet(x * by, y * by, { interval = true })
      near(value * by ^ 2, moved)
      near(about.extrapolated * by ^ 2, also.extrapolated)
      near(about.se * by ^ 2, also.se, 1e-5)
      _, also = M.frechet(x * by, { mean = second.mean * by, cov = second.cov * by ^ 2 }, { interval = true })
      near(beside.se * by ^ 2, also.se, 1e-5)
    end
  end)

  it("has the same bits on any number of threads", function()
    local threads, x, y, got = d.threads(), rows(700, 200, 1), rows(600, 200, 2), {}
    for n = 1, 3 do
      d.threads(n)
      got[n] = { M.frechet(x, y), M.energy(x, y), M.kid(x, y) }
    end
    d.threads(threads)
    assert.same({ got[1], got[1] }, { got[2], got[3] })
  end)
end)

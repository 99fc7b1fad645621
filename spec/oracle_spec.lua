-- Oracles as they are used: shapes, seeds, batches, precision of floats, and errors.
-- spec/theory/oracle_spec.lua compares their results with theory.
require "spec.support.allclose"
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"

-- Forty points whose coordinates float holds exactly.
local function lattice(n, D)
  local rows = {}
  for i = 1, n do
    rows[i] = {}
    for j = 1, D do rows[i][j] = ((i * 7 + j * j * 3) % 11 - 5) / 4 end
  end
  return d.tensor(rows)
end

local covs = { { { 1, 0.25 }, { 0.25, 0.5 } }, { { 0.25, -0.125 }, { -0.125, 0.25 } } }
local cases = {
  gaussian = d.oracle.gaussian { mean = { 1, -1 }, cov = covs[1] },
  mixture = d.oracle.mixture { means = { { -1, 0 }, { 1, 0.5 } }, covs = covs },
  eight_gaussians = d.oracle.eight_gaussians {}, checkerboard = d.oracle.checkerboard {},
  swiss_roll = d.oracle.swiss_roll {}, moons = d.oracle.moons {}, spiral = d.oracle.spiral {},
  empirical = d.oracle.empirical(lattice(40, 2)),
  kernels = d.oracle.empirical(lattice(40, 2), { std = 0.25 }),
  wide = d.oracle.empirical(lattice(40, 20)),
  histogram = d.oracle.histogram { low = -1, high = 1, weights = { 1, 0, 2 } },
  product = d.oracle.product { d.oracle.moons {}, d.oracle.box { low = -1, high = { 1, 2 } } },
}

describe("an oracle", function()
  for name, o in pairs(cases) do
    it(name .. " has methods, shapes, and empty batches", function()
      local x = o:sample(6, { seed = 1 })
      assert.same({ 6, o.D }, x:shape())
      assert.same({ 6 }, o:log_prob(x):shape())
      assert.same({ 6 }, o:log_prob(x, { a = 0.5, s = 0.5 }):shape())
      assert.same({ 6, 1, o.D, 1 }, o:posterior_mean(x:reshape(6, 1, o.D, 1), 1, 0.5):shape())
      assert.same({ 0, o.D }, o:sample(0):shape())
      local none = d.zeros(0, o.D)
      assert.same({ 0, o.D }, o:posterior_mean(none, 1, 0.5):shape())
      assert.same({ 0 }, o:log_prob(none):shape())
      assert.same({ 0 }, o:log_prob(none, { s = d.zeros(0) }):shape())
    end)

    it(name .. " gives a sample the same bits alone and in a batch", function()
      local x = d.randn({ 40, o.D }, { seed = 2 })
      local mean, lp = o:posterior_mean(x, 0.6, 0.8), o:log_prob(x, { a = 0.6, s = 0.8 })
      for _, i in ipairs { 1, 17, 40 } do
        local one = x:narrow(1, i, 1)
        assert.is_true(o:posterior_mean(one, 0.6, 0.8):equal(mean:narrow(1, i, 1)))
        assert.is_true(o:log_prob(one, { a = 0.6, s = 0.8 }):equal(lp:narrow(1, i, 1)))
      end
    end)

    it(name .. " draws the same from the same seed, and goes on with a generator", function()
      local first = o:sample(50, { seed = 3 })
      assert.is_true(first:equal(o:sample(50, { seed = 3 })))
      assert.is_false(first:equal(o:sample(50, { seed = 4 })))
      local g = d.generator { seed = 3 }
      local one, two = o:sample(50, { generator = g }), o:sample(50, { generator = g })
      assert.is_false(one:equal(two))
      d.manual_seed(5)
      one, two = o:sample(50), o:sample(50)
      assert.is_false(one:equal(two))
    end)

    it(name .. " guides: its denoiser has a gradient", function()
      local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "eps" }
      local denoise, x = o:denoiser(p), d.randn({ 3, o.D }, { seed = 6 })
      local ok, worst = d.gradcheck(function(y) return denoise(y, { 20, 50, 80 }) end, { x })
      assert(ok, ("off by %g"):format(worst))
    end)

    it(name .. " leaves no tensors behind", function()
      local function blocks()
        collectgarbage()
        collectgarbage()
        return core.memory().blocks
      end
      o:log_prob(o:sample(3))
      local before = blocks()
      o:posterior_mean(d.randn { 3, o.D }, 1, 0.5)
      o:log_prob(o:sample(3))
      assert.equal(before, blocks())
    end)
  end

  it("says what it is", function()
    assert.equal("gaussian in 2 dimensions", tostring(cases.gaussian))
    assert.equal("mixture of 8 gaussians in 2 dimensions", tostring(cases.eight_gaussians))
    assert.equal("empirical distribution of 40 points in 20 dimensions", tostring(cases.wide))
    assert.equal("checkerboard of 8 boxes in 2 dimensions", tostring(cases.checkerboard))
    assert.equal("moons of 320 points in 2 dimensions, blurred by 0.08", tostring(cases.moons))
    assert.match("^product in 4 dimensions: moons .* x even distribution of 1 boxes", tostring(cases.product))
  end)

  it("computes long batches in blocks, gradients too", function()
    local o = cases.spiral
    local x, s = d.randn({ 5000, 2 }, { seed = 1 }), d.rand({ 5000 }, { seed = 2 }) + 0.1
    local function total(y, r) return o:posterior_mean(y, 0.7, r):sum() end
    local dx, ds = d.grad(total, x, s)
    local dx2, ds2 = d.grad(total, x:narrow(1, 4001, 1000):clone(), s:narrow(1, 4001, 1000):clone())
    assert.is_true(dx:narrow(1, 4001, 1000):equal(dx2))
    assert.allclose(ds2, ds:narrow(1, 4001, 1000), { rtol = 1e-5, atol = 1e-6 })
  end)

  it("takes levels as numbers or one a sample", function()
    local x = d.randn({ 3, 2 }, { seed = 1 })
    local each = cases.moons:posterior_mean(x, d.tensor { 0.5, 0.6, 0.7 }, 0.4)
    for i, a in ipairs { 0.5, 0.6, 0.7 } do
      assert.allclose(each:narrow(1, i, 1), cases.moons:posterior_mean(x:narrow(1, i, 1), a, d.tensor { 0.4 }),
        { atol = 1e-6 })
    end
  end)

  it("is sampled by a sampler", function()
    local p = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "v" }
    for _, name in ipairs { "checkerboard", "moons", "product" } do
      local o = cases[name]
      local x = d.sample { model = o:denoiser(p), process = p, shape = { 1000, o.D }, sampler = "ddpm",
                           steps = 50, seed = 1 }
      local gap = d.metric.energy(x, o:sample(1000, { seed = 2 }))
      assert(math.abs(gap) < 0.02, ("%s: energy distance %g"):format(name, gap))
    end
  end)
end)

describe("an oracle in float", function()
  -- values of the verification build: a, s, E[x0 | x] and ln p at x = (0.5, -0.25)
  local known = {
    { "checkerboard", 0.75, 0.5, 0.5962902225, -0.3056232179, -1.985099242 },
    { "checkerboard", 0.96875, 0.0625, 0.5164620672, 0.0143038483, -12.08744084 },
    { "eight_gaussians", 0.75, 0.5, 0.9385591741, -0.4694788857, -2.225388452 },
    { "eight_gaussians", 0.96875, 0.0625, 0.7386841168, -0.5942332808, -42.10048687 },
    { "empirical", 0.75, 0.5, 0.4116977957, -0.08513901486, -1.448185651 },
    { "empirical", 0.96875, 0.0625, 0.387253827, -0.112746173, -6.314587833 },
    { "gaussian", 0.75, 0.5, 0.8310610551, -0.6905749852, -1.723926659 },
    { "gaussian", 0.96875, 0.0625, 0.5201569765, -0.2661872314, -2.326206152 },
    { "kernels", 0.75, 0.5, 0.4380720625, -0.1181658746, -1.505338595 },
    { "kernels", 0.96875, 0.0625, 0.5066544897, -0.250418681, -1.16281324 },
    { "mixture", 0.75, 0.5, 0.7508182472, 0.1819506869, -1.939175412 },
    { "mixture", 0.96875, 0.0625, 0.5193368292, -0.2455887261, -3.1217258 },
    { "moons", 0.75, 0.5, 0.6026791813, -0.3949817505, -1.83040132 },
    { "moons", 0.96875, 0.0625, 0.5874371983, -0.2399208693, -2.522770083 },
    { "spiral", 0.75, 0.5, 0.6188341119, -0.3274639487, -1.996281377 },
    { "spiral", 0.96875, 0.0625, 0.5089816149, -0.2500081799, -1.22664603 },
    { "swiss_roll", 0.75, 0.5, 0.5941105435, -0.2995117665, -1.843223289 },
    { "swiss_roll", 0.96875, 0.0625, 0.5410948406, -0.2709136622, -0.5395918923 },
  }

  it("has the digits of the one in double", function()
    local x = d.tensor { { 0.5, -0.25 } }
    for _, k in ipairs(known) do
      local name, a, s, m1, m2, lp = table.unpack(k)
      assert.allclose({ { m1, m2 } }, cases[name]:posterior_mean(x, a, s), { atol = 1e-6, rtol = 0 })
      assert.allclose({ lp }, cases[name]:log_prob(x, { a = a, s = s }), { atol = 2e-6, rtol = 2e-6 })
    end
  end)

  it("keeps them whatever d.precision says, and leaves that as it was", function()
    local before <close> = setmetatable({ d.precision() }, { __close = function(p) d.precision(p[1]) end })
    local x = d.randn({ 5, 20 }, { seed = 1 })
    local gaussian = d.oracle.gaussian { cov = lattice(40, 20):t():matmul(lattice(40, 20)) / 40 + d.eye(20) }
    for _, o in ipairs { cases.wide, gaussian } do
      d.precision "highest"
      local want = o:posterior_mean(x, 0.5, 0.5)
      d.precision "medium"
      assert.is_true(want:equal(o:posterior_mean(x, 0.5, 0.5)))
      assert.equal("medium", d.precision())
    end
    local base = require "diffusion.oracle.base"
    fails("shapes", base.at_highest, x.matmul, x, x)
    assert.equal("medium", d.precision())
    assert.is_string(before[1])
  end)

  it("keeps them where a noise is far wider or narrower than what it hides", function()
    local box = d.oracle.box { low = -0.5, high = 1 }
    assert.near(0.25, box:posterior_mean(d.tensor { { 3 } }, 1, 1e6):item(), 1e-6)
    assert.near(-0.5, box:posterior_mean(d.tensor { { -40 } }, 1, 1e-3):item(), 1e-6)
    assert.near(0.75, box:posterior_mean(d.tensor { { 0.75 } }, 1, 1e-6):item(), 1e-6)
    assert.near(0.9999, box:posterior_mean(d.tensor { { 1e6 } }, 1, 10):item(), 1e-6) -- s^2 / distance
    assert.near(0.25, box:posterior_mean(d.tensor { { 3 } }, 0, 1):item(), 1e-6)
    local points = d.oracle.empirical(d.tensor { { 0 }, { 1 } })
    assert.near(1, points:posterior_mean(d.tensor { { 1e4 } }, 1, 1e-3):item(), 1e-6)
  end)
end)

describe("the empirical oracle", function()
  it("takes sets, and bytes as floats in [-1, 1]", function()
    local bytes = d.tensor({ { 0, 255 }, { 255, 255 } }, { dtype = "u8" }):reshape(2, 1, 2, 1)
    for _, data in ipairs { bytes, d.data.set { x = bytes } } do
      local o = d.oracle.empirical(data)
      assert.equal(2, o.D)
      assert.allclose({ { 0, 1 } }, o:posterior_mean(d.tensor { { 0, 5 } }, 0, 1), { atol = 1e-6 })
    end
    local digits = d.data.digits()
    local o = d.oracle.empirical(digits)
    local _, x = digits:batches { size = 8, seed = 1 } ()
    assert.allclose(x, o:posterior_mean(x * 0.99, 0.99, 0.05), { atol = 1e-3, rtol = 0 })
    assert.is_true(o:log_prob(x):isfinite():all())
    assert.is_true(o:log_prob(o:sample(20, { seed = 1 })):isfinite():all())
  end)

  it("remembers its points: from noise it draws nothing else", function()
    local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "x0" }
    local o = cases.wide
    local x = d.sample { model = o:denoiser(p), process = p, shape = { 10, 20 }, steps = 50, seed = 1 }
    local nearest = (x:unsqueeze(2) - lattice(40, 20)):square():sum(3):min(2)
    assert.is_true(nearest:max():item() < 1e-6)
  end)
end)

describe("parts of an oracle", function()
  local function correlation(x, i, j)
    local u, v = x:select(2, i), x:select(2, j)
    return ((u - u:mean()) * (v - v:mean())):mean():item() / (u:std():item() * v:std():item())
  end

  it("don't depend on each other under one seed", function()
    local normal, box = d.oracle.gaussian { std = 1 }, d.oracle.box { low = 0, high = 1 }
    local x = d.oracle.product { normal, normal, box, box }:sample(4000, { seed = 1 })
    for i = 1, 3 do
      for j = i + 1, 4 do assert.is_true(math.abs(correlation(x, i, j)) < 4 / math.sqrt(4000)) end
    end
    local kernels = d.oracle.empirical(d.zeros(1, 2), { std = 1 }):sample(4000, { seed = 1 })
    assert.is_true(math.abs(correlation(kernels, 1, 2)) < 4 / math.sqrt(4000))
  end)

  it("of a product see their own coordinates", function()
    local parts = { d.oracle.moons {}, d.oracle.box { low = -1, high = { 1, 2 } } }
    local x = d.randn({ 5, 4 }, { seed = 1 })
    local mean, lp = cases.product:posterior_mean(x, 0.6, 0.8), cases.product:log_prob(x, { a = 0.6, s = 0.8 })
    local first, second = x:narrow(2, 1, 2), x:narrow(2, 3, 2)
    assert.is_true(parts[1]:posterior_mean(first, 0.6, 0.8):equal(mean:narrow(2, 1, 2)))
    assert.is_true(parts[2]:posterior_mean(second, 0.6, 0.8):equal(mean:narrow(2, 3, 2)))
    local want = parts[1]:log_prob(first, { a = 0.6, s = 0.8 }) + parts[2]:log_prob(second, { a = 0.6, s = 0.8 })
    assert.is_true(want:equal(lp))
  end)
end)

describe("a curve of one's own", function()
  it("is one, in any number of dimensions", function()
    local function helix(u)
      local angle = u * 9
      return d.stack({ angle:cos(), angle:sin(), angle / 4 }, 2)
    end
    local o = d.oracle.curve { points = helix, std = 0.05 }
    assert.equal(3, o.D)
    local x = helix(d.tensor { 0.2, 0.7 })
    assert.allclose(x, o:posterior_mean(x, 1, 0.01), { atol = 0.005 })
    assert.is_true(o:log_prob(x):min():item() > o:log_prob(x * 1.5):max():item())
    local H, deviation = o:entropy { samples = 2000 }
    -- a tube: ln of its length and the entropy of the noise across it
    local tube = math.log(9 * math.sqrt(1 + 1 / 16)) + math.log(2 * math.pi * math.exp(1)) + 2 * math.log(0.05)
    assert.near(tube, H, 4 * deviation + 0.05)
  end)

  it("may be of several pieces", function()
    local o = d.oracle.curve { std = 0.1, points = {
      function(u) return d.stack({ u, u * 0 }, 2) end, function(u) return d.stack({ u, u * 0 + 9 }, 2) end,
    } }
    assert.near(0.5, o:sample(4000, { seed = 1 }):select(2, 2):gt(4):to(core.real):mean():item(), 0.04)
    assert.allclose({ { 0.5, 4.5 } }, o:posterior_mean(d.zeros(1, 2), 0, 1), { atol = 1e-5 })
  end)
end)

describe("oracles refuse", function()
  local o = d.oracle
  local x = d.zeros(3, 2)

  it("what their options can't be", function()
    fails("give one of 'std' and 'cov'", o.gaussian, {})
    fails("std must be 0 or more, entry 2 is -1", o.gaussian, { std = { 1, -1 } })
    fails("mean has 3 entries, 2 expected", o.gaussian, { mean = { 1, 2, 3 }, cov = { { 1, 0 }, { 0, 1 } } })
    fails("cov must be {D,D}, got [2]", o.gaussian, { cov = { 1, 2 } })
    fails("covariance 1 isn't positive semidefinite: its least eigenvalue is -1", o.gaussian,
      { cov = { { 0, 1 }, { 1, 0 } } })
    fails("isn't symmetric", o.gaussian, { cov = { { 1, 1 }, { 0, 1 } } })
    fails("give one of 'std' and 'covs'", o.mixture, { means = { { 1 } } })
    fails("means must be {K,D}, got [2]", o.mixture, { means = { 1, 2 }, std = 1 })
    fails("mixture: means must be finite numbers", o.mixture, { means = { { 0 / 0 }, { 1 } }, std = 1 })
    fails("weights has 1 entries, 2 expected", o.mixture, { means = { { 1 }, { 2 } }, std = 1, weights = { 1 } })
    fails("weights must be positive, entry 2 is 0", o.mixture,
      { means = { { 1 }, { 2 } }, std = 1, weights = { 1, 0 } })
    fails("covs must be [2,1,1] for means [2,1], got [1,1,1]", o.mixture,
      { means = { { 1 }, { 2 } }, covs = { { { 1 } } } })
    fails("covariance 2 isn't positive semidefinite: its least eigenvalue is -1", o.mixture,
      { means = { { 1 }, { 2 } }, covs = { { { 1 } }, { { -1 } } } })
    fails("did you mean 'covs'", o.mixture, { means = { { 1 } }, cov = { { 1 } } })
    fails("option 'high' is missing", o.box, { low = 1 })
    fails("low must be below high, entry 2 is from 1 to 1", o.box, { low = { 0, 1 }, high = 1 })
    fails("low and high are empty", o.box, { low = {}, high = {} })
    fails("entry 1 of low is -inf", o.box, { low = -math.huge, high = 1 })
    fails("option 'cells'", o.checkerboard, { cells = 0 })
    fails("give edges, or low and high", o.histogram, { weights = { 1 } })
    fails("give edges, or low and high", o.histogram, { weights = { 1 }, edges = { 0, 1 }, low = 0 })
    fails("edges has 2 entries, 3 expected", o.histogram, { weights = { 1, 2 }, edges = { 0, 1 } })
    fails("edges must ascend, entries 2 and 3 are 1 and 1", o.histogram, { weights = { 1, 2 }, edges = { 0, 1, 1 } })
    fails("weights must be 0 or more, entry 1 is -1", o.histogram, { weights = { -1, 2 }, low = 0, high = 1 })
    fails("all weights are 0", o.histogram, { weights = { 0, 0 }, low = 0, high = 1 })
    fails("option 'noise'", o.moons, { noise = 0 })
    fails("unknown option 'std'", o.spiral, { std = 1 })
    fails("option 'radius'", o.eight_gaussians, { radius = -1 })
  end)

  it("what is no data, no curve, no part", function()
    fails("a tensor or a set expected, got 5", o.empirical, 5)
    fails("at least one point {n,...} is needed, got [0,2]", o.empirical, d.zeros(0, 2))
    fails("must be finite", o.empirical, d.tensor { 1, 0 / 0 })
    fails("option 'std'", o.empirical, x, { std = 0 })
    fails("points must be functions, entry 1 is nil", o.curve, { points = {}, std = 1 })
    fails("points must be functions, entry 2 is 3", o.curve, { points = { print, 3 }, std = 1 })
    fails("points(u) must be a tensor {n,D} for u [4097], got a tensor [4097]", o.curve,
      { points = function(u) return u end, std = 1 })
    fails("the length is 0", o.curve, { std = 1, points = function(u) return d.zeros(u:numel(), 2) end })
    fails("a length of 2 with std = 1e-06 needs 5333344 nodes", o.curve,
      { std = 1e-6, points = function(u) return u:unsqueeze(2) * 2 end })
    fails("piece 2 has 3 dimensions, the first has 2", o.curve, { std = 1, points = {
      function(u) return d.stack({ u, u }, 2) end, function(u) return d.stack({ u, u, u }, 2) end,
    } })
    fails("option 'std' is missing", o.curve, { points = print })
    fails("a list of oracles expected, got nil", o.product)
    fails("a list of oracles expected", o.product, {})
    fails("part 2 is 5, not an oracle", o.product, { cases.moons, 5 })
  end)

  it("points and levels that don't fit", function()
    local moons = cases.moons
    fails("x [3,2] for a distribution of dimension 4", cases.product.log_prob, cases.product, x)
    fails("x [3] for a distribution of dimension 2", moons.posterior_mean, moons, d.zeros(3), 1, 1)
    fails("a must be a number of 0 or more or a tensor, got nil", moons.posterior_mean, moons, x)
    fails("s must be a number of 0 or more or a tensor, got -1", moons.posterior_mean, moons, x, 1, -1)
    fails("s is [2] for 3 samples", moons.posterior_mean, moons, x, 1, d.ones(2))
    fails("s must be above 0 for a checkerboard of 8 boxes in 2 dimensions, got 0", cases.checkerboard.posterior_mean,
      cases.checkerboard, x, 1, 0)
    fails("s must be above 0", cases.empirical.log_prob, cases.empirical, x, { s = d.tensor { 1, 0, 1 } })
    fails("valid: a, s", moons.log_prob, moons, x, { noise = 1 })
    fails("unknown option 'sead'", moons.entropy, moons, { sead = 1 })
    fails("bad argument #2 to 'sample' (unknown option 'sead'", moons.sample, moons, 3, { sead = 1 })
    fails("bad argument #2 to 'sample' (a table of options expected, got 5)", moons.sample, moons, 3, 5)
    fails("either seed or generator", moons.sample, moons, 3, { seed = 1, generator = d.generator() })
    fails("0 or more expected, got 1.5", moons.sample, moons, 1.5)
    fails("a process expected, got nil", moons.denoiser, moons)
    local p = d.process { schedule = d.schedule.cosine { T = 10 } }
    fails("spec/oracle_spec.lua", function() return (moons:log_prob(x, p, 11)) end)
    fails("a list or a tensor expected, got nil", function() return (moons:log_prob(x, p)) end)
    fails("a list or a tensor expected, got nil", function() return (moons:denoiser(p)(x)) end)
  end)
end)

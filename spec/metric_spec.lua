-- Metrics: that they hold together, are deterministic, leave the random numbers of others alone, and
-- what they say of wrong arguments. Their values are held to theory in spec/theory/metric_spec.lua.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local M = d.metric

local function normal(n, D, seed) return d.randn({ n, D }, { seed = seed }) end

-- Every metric of two sets, as a function of them and of options.
local of_two = {}
for _, name in ipairs { "energy", "frechet", "kid", "mmd", "precision_recall", "sliced_wasserstein", "two_sample" } do
  of_two[name] = M[name]
end
of_two.memorisation = function(x, y, o) return M.memorisation(x, y, y:flip(1) + 0.1, o) end

describe("metrics", function()
  it("wasserstein1 is exact", function()
    assert.near(2, M.wasserstein1(d.tensor { 0, 1, 2 }, d.tensor { 2, 3, 4 }), 1e-6)
    assert.near(0.5, M.wasserstein1(d.tensor { 0, 1 }, d.tensor { 0.5 }), 1e-6)
    assert.equal(0, M.wasserstein1(d.tensor { 3, 1 }, d.tensor { 1, 3, 1, 3 }))
  end)

  it("energy is zero for equal distributions and grows with their distance", function()
    local x, y = normal(1500, 3, 1), normal(1500, 3, 2)
    assert.is_true(math.abs(M.energy(x, y)) < 0.01)
    assert.is_true(M.energy(x, y + 1) > 0.5)
    -- two points: 2 |x-y| with no spread within
    assert.near(6, M.energy(d.tensor { { 0 }, { 0 } }, d.tensor { { 3 }, { 3 } }), 1e-6)
  end)

  it("frechet of Gaussians is the closed form", function()
    local x = normal(4000, 2, 1)
    -- the same cloud moved by 3 and stretched by 2: |m|^2 + sum (s1 - s2)^2
    local y = x * 2 + 3
    local mean = x:mean(1)
    local shift = ((mean - (mean * 2 + 3)) ^ 2):sum():item()
    local spread = x:var(1):sum():item()
    assert.near(shift + spread, M.frechet(x, y), 1e-3 * (shift + spread))
    assert.near(0, M.frechet(x, x), 1e-3)
  end)

  it("give the same alone and with an interval, the same again, and leave random numbers as they are", function()
    local x, y = normal(240, 20, 1), normal(200, 20, 2) * 1.1
    for name, metric in pairs(of_two) do
      d.manual_seed(7)
      local before = d.randn(1):item()
      d.manual_seed(7)
      local alone, nothing = metric(x, y)
      assert.is_nil(nothing, name)
      assert.equal(before, d.randn(1):item(), name)
      local value, about = metric(x, y, { interval = true })
      assert.same(alone, value, name)
      assert.same({ value, about }, { metric(x, y, { interval = true }) }, name)
    end
  end)

  it("say how sure they are", function()
    local x, y = normal(240, 20, 1), normal(200, 20, 2) * 1.1
    for name, metric in pairs(of_two) do
      local _, about = metric(x, y, { interval = true })
      if name == "precision_recall" then about = about.recall end
      assert(about.low <= about.high, name)
      assert.equal(0.95, about.level)
      assert.equal("string", type(about.method))
      assert.not_nil(about.bias, name)
      assert.same({ 240, 200 }, { about.n[1], about.n[2] }, name)
      assert.match("^95 %% between %-?[%d.e-]+ and ", tostring(about))
    end
  end)

  it("take samples of any shape, in as many blocks as it needs", function()
    local x, y = d.randn({ 1300, 2, 2 }, { seed = 1 }), d.randn({ 700, 2, 2 }, { seed = 2 }) + 0.5
    local flat, other = x:reshape(1300, 4), y:reshape(700, 4)
    for name, metric in pairs(of_two) do assert.same(metric(flat, other), (metric(x, y)), name) end
    -- blocks of 2,000 and of all 500 rows sum to the same
    local parts = 0
    for k = 0, 1 do parts = parts + M.energy(flat:narrow(1, 1 + 650 * k, 650), other) / 2 end
    assert.near(M.energy(flat, other), parts, 0.03)
  end)

  it("see no difference between a set and itself, and much of one far away", function()
    local x = normal(200, 5, 1)
    local far = x + 5
    for _, name in ipairs { "frechet", "sliced_wasserstein" } do
      assert.near(0, M[name](x, x), 1e-4)
      assert(M[name](x, far) > 3)
    end
    for _, name in ipairs { "energy", "mmd", "kid" } do
      local _, about = M[name](x, far, { interval = true, permutations = 100 })
      assert(about.low > 0 and about.p < 0.02, name)
    end
    assert(M.two_sample(x, far) > 0.98)
  end)

  it("say what doesn't fit", function()
    for name, metric in pairs(of_two) do
      fails(("%s: samples of 2 and of 4 numbers"):format(name), metric, d.zeros(50, 2), d.zeros(50, 4))
      fails("unknown option 'intervall'; did you mean 'interval'?", metric, d.zeros(50, 2), d.zeros(50, 2),
        { intervall = true })
      fails(("%s: set 1 must be [B,...] with a sample or more, got [0,2]"):format(name), metric, d.zeros(0, 2),
        d.zeros(50, 2))
      fails(("%s: set 1 holds nan or infinity"):format(name), metric, d.zeros(50, 2) / 0, d.zeros(50, 2))
      fails(("%s: set 1 must be %s, got u8"):format(name, core.real), metric,
        d.zeros({ 50, 2 }, { dtype = "u8" }), d.zeros(50, 2))
      if name ~= "memorisation" then
        fails(name .. ":", metric, d.zeros(1, 2), d.zeros(1, 2), { interval = true })
      end
    end
    fails("metric_spec.lua", function() local v = M.energy(d.zeros(3, 2), d.zeros(3, 4)) return v end)
    fails("energy: set 1 must be a tensor, got 5", M.energy, 5, d.zeros(3))
    fails("energy: at least 2 samples are needed, got 1", M.energy, d.zeros(1, 2), d.zeros(5, 2))
    fails("samples of one number expected, got 2; use sliced_wasserstein", M.wasserstein1, d.zeros(3, 2), d.zeros(3, 2))
    fails("at least 4 samples are needed, got 3", M.precision_recall, d.zeros(3, 2), d.zeros(9, 2))
    fails("two_sample: at least 20 samples are needed, got 5", M.two_sample, d.zeros(30, 2), d.zeros(5, 2))
  end)

  it("say what options don't fit", function()
    local x = normal(50, 2, 1)
    fails("mmd: bandwidth 2 must be a number above 0, got -1", M.mmd, x, x, { bandwidth = { 1, -1 } })
    fails("mmd: the list of bandwidths is empty", M.mmd, x, x, { bandwidth = {} })
    fails("half of the samples are equal", M.mmd, d.zeros(50, 2), d.zeros(50, 2))
    fails("make 2 blocks of 20; at least 5", M.kid, x, x, { block = 20 })
    fails("permutations are of all samples", M.kid, x, x, { block = 5, permutations = 10 })
    fails("'p': number in [1, 8] expected, got 0.5", M.sliced_wasserstein, x, x, { p = 0.5 })
    fails("moments mean {D} and cov {D,D} expected, got [2] and [3,3]", M.frechet, x,
      { mean = d.zeros(2), cov = d.eye(3) })
    fails("option 'cov' is missing", M.frechet, x, { mean = d.zeros(2) })
    fails("frechet: the covariance isn't symmetric", M.frechet, x, { mean = d.zeros(2), cov = d.tensor { { 1, 5 },
      { -3, 1 } } })
    fails("frechet: the moments aren't finite", M.frechet, x, { mean = d.zeros(2) / 0, cov = d.eye(2) })
    fails("option 'n': integer in [1, inf) expected, got 0", M.frechet, x, { mean = d.zeros(2), cov = d.eye(2), n = 0 })
    fails("samples of 2 and of 3 numbers", M.frechet, x, { mean = d.zeros(3), cov = d.eye(3) })
    fails("frechet: at least 4 samples are needed for an interval, got 3", M.frechet, x, x:narrow(1, 1, 3),
      { interval = true })
    fails("50 fresh samples can't tell a share of 0.01; 100 at least", M.memorisation, x, x, x)
    fails("a training set of at least 2 is needed", M.memorisation, x, x:narrow(1, 1, 1), x)
  end)

  it("mode_coverage says what doesn't fit", function()
    local x = normal(50, 2, 1)
    fails("centres need a 'std'", M.mode_coverage, x, d.zeros(3, 2))
    fails("centres {K,D} or an oracle expected, got 5", M.mode_coverage, x, 5)
    fails("an oracle of Gaussians expected", M.mode_coverage, x, d.oracle.empirical(x))
    fails("an oracle has its own std", M.mode_coverage, x, d.oracle.gaussian { mean = { 0, 0 }, std = 1 }, { std = 1 })
    fails("weights has 2 entries, 3 expected", M.mode_coverage, x, d.zeros(3, 2), { std = 1, weights = { 1, 2 } })
    fails("samples of 2 and of 3 numbers", M.mode_coverage, x, d.zeros(3, 3), { std = 1 })
  end)

  it("mode_coverage of what is nowhere near is nothing", function()
    local got, about = M.mode_coverage(normal(50, 2, 1) + 100, d.zeros(3, 2), { std = 1, interval = true })
    assert.same({ 0, 0, math.huge }, { got.covered, got.near, got.kl })
    assert.is_nil(about.kl)
    assert.near(1 - 0.05 ^ 0.02, about.covered.unseen, 1e-12)
    assert(about.near.high < 0.1)
  end)
end)

describe("Fashion-MNIST's metrics", function()
  local x = d.rand({ 40, 28, 28, 1 }, { seed = 1 }) * 2 - 1

  it("outlive the scope in which they are first asked for", function()
    local child = require "spec.support.child"
    local folder = child.folder()
    child.write(folder .. "/first.lua", [[
      local d = require "diffusion"
      local x = d.rand({ 3, 28, 28, 1 }, { seed = 1 })
      for _ = 1, 2 do print(d.scope(function() return d.full({ 1 }, d.metric.fashion_frechet(x)) end):item()) end]])
    local out, code = child.run(folder .. "/first.lua")
    child.remove(folder)
    assert.equal(0, code, out)
    local first, second = out:match "^(%S+)\n(%S+)\n$"
    assert.equal(first, second, out)
  end)

  it("come with a network of under a megabyte", function()
    local f <close> = assert(io.open "lua/diffusion/assets/fashion_features.safetensors")
    assert(f:seek "end" < 1e6)
    local network = M.fashion_network()
    assert.equal(261866, (network:count()))
    local logits, features = d.no_grad(network, x)
    assert.same({ 40, 10 }, logits:shape())
    assert.same({ 40, 64 }, features:shape())
    assert.is_true(features:allclose(M.fashion_features(x), { rtol = 1e-4, atol = 1e-4 }))
    assert.is_true(d.no_grad(network.out, features):allclose(logits, { rtol = 1e-4, atol = 1e-4 }))
  end)

  it("have moments of a covariance's nature", function()
    local m = require("diffusion.metric.fashion_network").moments()
    assert.is_true(m.cov:allclose(m.cov:t():contiguous(), { rtol = 1e-5, atol = 1e-6 }))
    local values = d.linalg.eigh(m.cov)
    assert(values:min():item() > -1e-5 * values:max():item())
    assert(m.mean:min():item() > -0.3) -- silu's least is -0.28
    -- logits of the mean features are some middle between the classes: no class is sure
    local shares = d.no_grad(M.fashion_network().out, m.mean:unsqueeze(1)):softmax(2)
    assert(shares:max():item() < 0.9)
  end)

  it("measure from the test set or from other images", function()
    local y = d.rand({ 30, 28, 28, 1 }, { seed = 2 }) * 0.5
    local a, b = M.fashion_features(x), M.fashion_features(y)
    assert.near(M.frechet(a, b), M.fashion_frechet(x, y), 1e-6 * M.frechet(a, b))
    local from = M.frechet(a, require("diffusion.metric.fashion_network").moments())
    assert.near(from, M.fashion_frechet(x), 1e-6 * from)
    local value, about = M.fashion_frechet(x, { interval = true })
    assert.near(from, value, 1e-6 * from)
    assert.near(value - about.bias, about.extrapolated, 1e-9 * value)
    assert.near(0, M.fashion_frechet(x, x), 1e-4 * from)
  end)

  it("count what is recognised", function()
    local guess = d.no_grad(M.fashion_network(), x):argmax(2)
    assert.equal(1, M.fashion_accuracy(x, guess))
    assert.equal(0, M.fashion_accuracy(x, d.where(guess:eq(10), 1, guess + 1)))
    local share, about = M.fashion_accuracy(x, guess[1], { interval = true })
    assert(share > 0 and about.low < share and share < about.high or share == 1)
    assert.equal(share, M.fashion_accuracy(x, guess[1]))
  end)

  it("say what doesn't fit", function()
    fails("fashion_frechet: images {n,28,28,1} of " .. core.real .. " in [-1, 1] expected, got a tensor [4,8,8,1]",
      M.fashion_frechet, d.zeros(4, 8, 8, 1))
    fails("these go from 0 to 255", M.fashion_frechet, d.linspace(0, 255, 784):reshape(1, 28, 28, 1))
    fails("fashion_accuracy: no images", M.fashion_accuracy, d.zeros(0, 28, 28, 1), {})
    fails("class is [2] for 40", M.fashion_accuracy, x, { 1, 2 })
    fails("fashion_accuracy: classes count from 1, got some from 0 to 0", M.fashion_accuracy, x, 0)
    fails("unknown option 'intervall'", M.fashion_frechet, x, { intervall = true })
    fails("unknown option 'train'; did you mean 'trained'? valid: trained", M.fashion_network, { train = true })
  end)

  local test = d.data.fashion_mnist { split = "test" }
  local known = test and it or pending
  known("know the real images, where they are installed", function()
    local images = d.image.to_float(test.x:narrow(1, 1, 1000))
    local share = M.fashion_accuracy(images, test.class:narrow(1, 1, 1000))
    assert(share > 0.9, share)
    local real, about = M.fashion_frechet(images, { interval = true })
    assert(about.extrapolated < real)
    assert(M.fashion_frechet((images + 0.3 * d.randn(images:shape(), { seed = 1 })):clamp(-1, 1)) > 5 * real)
  end)
end)

-- The Brownian path of a stochastic sampler. Increments are sums over nodes. They are
-- compared with the law of Brownian motion, exactly for their coefficients, and for drawn
-- numbers.
local d = require "diffusion"
local core = require "diffusion.core"
local brownian = require "diffusion.sampler.brownian"

local function variance_exploding(lambda) return math.exp(2 * lambda) end -- 5e-6 .. 3e5
local function shrinking(lambda) return -math.exp(-lambda) end
local function straight(lambda) return lambda end
local low, high = -6.1, 6.3

local function new(clock, depth) return brownian.new { low = low, high = high, clock = clock, depth = depth } end

-- An increment as {[node] = c}, and its dtau.
local function vector(tree, from, to)
  local c, nodes, dtau = tree:increment(from, to)
  local v = {}
  for j, node in ipairs(nodes) do
    assert.is_nil(v[node])
    assert.is_true(math.type(node) == "integer" and node >= 0 and node < 1 << 32)
    v[node] = c[j]
  end
  assert.is_true(#c <= 62)
  return v, dtau
end

local function dot(v, w)
  local sum = 0
  for node, c in pairs(v) do sum = sum + c * (w[node] or 0) end
  return sum
end

-- Levels from low to high, as a schedule and as a random grid would have them.
local function levels(n, seed)
  local out = { low }
  for i, u in ipairs(d.rand(n - 2, { seed = seed }):sort():totable()) do out[i + 1] = low + (high - low) * u end
  out[n] = high
  return out
end

local clocks = { straight = straight, ["e^2 lambda"] = variance_exploding, ["-e^-lambda"] = shrinking }

describe("increments of a Brownian tree", function()
  for name, clock in pairs(clocks) do
    it("have the variance of their time and none in common, clock " .. name, function()
      for _, depth in ipairs { 16, 30 } do
        local tree, at, of = new(clock, depth), levels(24, depth), {}
        for i = 1, #at - 1 do
          of[i] = vector(tree, at[i], at[i + 1])
          assert.near(1, dot(of[i], of[i]) / (clock(at[i + 1]) - clock(at[i])), 1e-12)
        end
        for i = 1, #of do
          for j = 1, i - 1 do
            assert.near(0, dot(of[i], of[j]) / math.sqrt(dot(of[i], of[i]) * dot(of[j], of[j])), 1e-12)
          end
        end
      end
    end)

    it("add up node by node, clock " .. name, function()
      local tree, at = new(clock), levels(9, 3)
      for a = 1, 7 do
        for b = a + 1, 8 do
          local left, right = vector(tree, at[a], at[b]), vector(tree, at[b], at[9])
          local both, dtau = vector(tree, at[a], at[9])
          for node in pairs(right) do left[node] = left[node] or 0 end
          for node in pairs(both) do left[node] = left[node] or 0 end
          for node, c in pairs(left) do
            assert.near(both[node] or 0, c + (right[node] or 0), 1e-14 * math.sqrt(dtau))
          end
        end
      end
    end)
  end

  it("keep their variance when tiny and beside a huge time", function()
    local tree = new(variance_exploding, 30)
    for _, from in ipairs { low, -3.3, 0.1, 6.2 } do
      for _, h in ipairs { 1e-1, 1e-3, 1e-5, 1e-7 } do
        local v, dtau = vector(tree, from, from + h)
        -- expm1 by its series: of the difference of two exponentials little is left
        local gap, term, exact = 2 * ((from + h) - from), 1, 0
        for k = 1, 20 do
          term = term * gap / k
          exact = exact + term
        end
        exact = exact * math.exp(2 * from)
        assert.near(1, dot(v, v) / dtau, 1e-12)
        assert.near(1, dot(v, v) / exact, math.max(1e-12, 2.3e-16 / h)) -- the clock's own rounding
      end
    end
  end)

  it("stop early at dyadic levels, and need one node from end to end", function()
    local tree = brownian.new { low = -4, high = 4, clock = straight }
    local c, nodes, dtau = tree:increment(-4, 4)
    assert.same({ 0 }, nodes)
    assert.near(math.sqrt(8), c[1], 1e-15)
    assert.equal(8, dtau)
    assert.same({ 0, 1 }, (select(2, tree:increment(-4, 0))))
    assert.same({ 0, 2, 5, 3, 6 }, (select(2, tree:increment(-1, 1)))) -- node 1, the middle's, cancels
  end)

  it("start at -inf, where W is 0", function()
    local tree = new(variance_exploding)
    local start = vector(tree, -math.huge, low)
    assert.same({ [1 << 31] = math.exp(low) }, start)
    for _, to in ipairs { low, -6, 0, high } do
      local v, dtau = vector(tree, -math.huge, to)
      assert.near(1, dot(v, v) / math.exp(2 * to), 1e-12)
      assert.equal(math.exp(2 * to), dtau)
      if to < high then assert.near(0, dot(v, vector(tree, to, high)) / math.exp(high + to), 1e-12) end
    end
  end)

  it("are one path for any grid and depth", function()
    local deep = new(variance_exploding)
    local function total(count)
      local sum = {}
      for i = 1, count do
        local function level(k) return k == count and 1.7 or -2.9 + 4.6 * k / count end
        for node, c in pairs(vector(deep, level(i - 1), level(i))) do sum[node] = (sum[node] or 0) + c end
      end
      return sum
    end
    local once, dtau = vector(deep, -2.9, 1.7)
    for _, count in ipairs { 2, 37, 200 } do
      local sum = total(count)
      for node, c in pairs(once) do sum[node] = sum[node] - c end
      assert.is_true(math.sqrt(dot(sum, sum)) < 1e-12 * math.sqrt(dtau))
    end
    -- at the ends of a shallow tree's cells a deep one is where the shallow one is
    local function at(depth) return brownian.new { low = -4, high = 4, clock = variance_exploding, depth = depth } end
    for k = -4, 3.5, 0.5 do assert.same(vector(at(24), k, k + 0.5), vector(at(4), k, k + 0.5)) end
    assert.not_same(vector(at(24), 0, 0.3), vector(at(4), 0, 0.3))
  end)

  it("of two levels in one last cell have the variance that is stated", function()
    local tree = brownian.new { low = 0, high = 2, clock = straight, depth = 1 } -- cells [0, 1], [1, 2]
    for _, pair in ipairs { { 0.1, 0.3 }, { 0.2, 0.8 }, { 0.45, 0.55 }, { 0, 0.4 } } do
      local A, B = math.asin(math.sqrt(pair[1])), math.asin(math.sqrt(pair[2]))
      local v, dtau = vector(tree, pair[1], pair[2])
      assert.near(math.sin(B - A) / math.sin(A + B), dot(v, v) / dtau, 1e-12)
      local c, sum = tree:noise(3, pair[1], pair[2]), 0
      for _, x in ipairs(c) do sum = sum + x * x end
      assert.near(9, sum, 1e-12)
    end
  end)
end)

describe("a Brownian path as it is drawn", function()
  local tree = new(variance_exploding)
  local function draw(from, to, shape)
    local c, nodes = tree:noise(1, from, to)
    return core.mix_normals(c, 11, brownian.stream, nodes, 0, d.zeros(shape))
  end
  local n = 20000

  it("follows the law: means, variances, covariances", function()
    local at, z = { -math.huge, -5, 0, 0.01, 6 }, {}
    for i = 1, 4 do
      z[i] = draw(at[i], at[i + 1], { 1, n })
      assert.near(0, z[i]:mean():item(), 4 / math.sqrt(n))
      assert.near(1, (z[i] * z[i]):mean():item(), 4 * math.sqrt(2 / n))
      for j = 1, i - 1 do assert.near(0, (z[i] * z[j]):mean():item(), 4 / math.sqrt(n)) end
    end
    -- the shared part of overlapping intervals
    local a, b = draw(-1, 1, { 1, n }), draw(0, 2, { 1, n })
    local time = variance_exploding
    local shared = (time(1) - time(0)) / math.sqrt((time(1) - time(-1)) * (time(2) - time(0)))
    assert.near(shared, (a * b):mean():item(), 4 * math.sqrt((1 + shared ^ 2) / n))
  end)

  it("is a sample's own, alone or in a batch", function()
    local alone, many = draw(-1, 0.3, { 1, 5, 7 }):bytes(), draw(-1, 0.3, { 4, 5, 7 }):bytes()
    assert.equal(alone, many:sub(1, #alone))
    assert.not_equal(alone, many:sub(-#alone))
  end)

  it("is the same noise in one step of an SDE's linear part as in many", function()
    -- x' = (s'/s) e^(-eta h) x + s' sqrt(1 - e^(-2 eta h)) z, s = 1/sqrt(1 + e^(2 lambda))
    local function s(lambda) return (1 + math.exp(2 * lambda)) ^ -0.5 end
    for _, eta in ipairs { 0.5, 1 } do
      local path, ends = new(function(lambda) return math.exp(2 * eta * lambda) end), {}
      for k, N in ipairs { 1, 7, 60 } do
        local x = d.randn({ 2, 50 }, { seed = 6 })
        for i = 1, N do
          local from, to = -4 + 7 * (i - 1) / N, -4 + 7 * i / N
          local c, nodes = path:noise(s(to) * math.sqrt(1 - math.exp(-2 * eta * (to - from))), from, to)
          x = core.mix_normals(c, 8, brownian.stream, nodes, s(to) / s(from) * math.exp(-eta * (to - from)), x)
        end
        ends[k] = x
      end
      assert.is_true((ends[1] - ends[2]):abs():max():item() < 1e-12)
      assert.is_true((ends[1] - ends[3]):abs():max():item() < 1e-12)
    end
  end)

  it("lets Euler's method converge along it", function()
    -- dX = -X dW, solved by exp(-W - tau/2): one path for all N, so the error falls like
    -- N^-1/2; independent noise for each N would leave it where it is
    local path, count = brownian.new { low = 0, high = 1, clock = straight }, 1000
    local function increment(from, to)
      local c, nodes, dtau = path:increment(from, to)
      return core.mix_normals(c, 5, brownian.stream, nodes, 0, d.zeros(1, count)), dtau
    end
    local exact = ((increment(0, 1) + 0.5) * -1):exp()
    local errors = {}
    for k, N in ipairs { 16, 64, 256 } do
      local x = d.ones(1, count)
      for i = 1, N do x = x - x * increment((i - 1) / N, i / N) end
      errors[k] = ((x - exact) ^ 2):mean():sqrt():item()
    end
    assert.near(0.5, math.log(errors[1] / errors[3]) / math.log(16), 0.1)
    assert.is_true(errors[2] < 0.7 * errors[1] and errors[3] < 0.7 * errors[2])
  end)
end)

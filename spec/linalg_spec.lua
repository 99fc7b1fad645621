-- d.linalg: factors that multiply back, solutions that solve, and sentences where there
-- are none.
local d = require "diffusion"
local fails = require "spec.support.fails"

local tiny = d.zeros(1):dtype() == "f64" and 1e-12 or 2e-6

local function product(a, b)
  local c = {}
  for i = 1, #a do
    c[i] = {}
    for j = 1, #b[1] do
      local sum = 0
      for k = 1, #b do sum = sum + a[i][k] * b[k][j] end
      c[i][j] = sum
    end
  end
  return c
end

local function transpose(a)
  local t = {}
  for j = 1, #a[1] do
    t[j] = {}
    for i = 1, #a do t[j][i] = a[i][j] end
  end
  return t
end

local function eye(n) return d.eye(n):totable() end

-- a a^T + n: symmetric, positive definite
local function positive(n, seed)
  local a = d.randn({ n, n }, { seed = seed }):totable()
  local c = product(a, transpose(a))
  for i = 1, n do c[i][i] = c[i][i] + n end
  return c
end

describe("eigh", function()
  it("gives ascending values and unit vectors in columns that make up the matrix", function()
    for n = 1, 12 do
      local a = positive(n, n)
      local values, vectors = d.linalg.eigh(a)
      local w, v = values:totable(), vectors:totable()
      assert.allclose(eye(n), product(transpose(v), v), { atol = tiny })
      local scaled = {}
      for i = 1, n do
        scaled[i] = {}
        for j = 1, n do scaled[i][j] = v[i][j] * w[j] end
      end
      assert.allclose(a, product(scaled, transpose(v)), { rtol = 0, atol = w[n] * tiny })
      for i = 2, n do assert.is_true(w[i] >= w[i - 1]) end
    end
  end)

  it("knows the values of the second difference", function()
    local n, a = 20, d.zeros(20, 20):totable()
    for i = 1, n do
      a[i][i] = 2
      if i < n then a[i][i + 1], a[i + 1][i] = -1, -1 end
    end
    local w = d.linalg.eigh(a):totable()
    for k = 1, n do assert.near(2 - 2 * math.cos(k * math.pi / (n + 1)), w[k], tiny) end
  end)

  it("refuses what isn't square, symmetric or finite", function()
    assert.error_matches(function() d.linalg.eigh(d.zeros(2, 3)) end, "a must be %[n,n%].*it is %[2,3%]")
    assert.error_matches(function() d.linalg.eigh { { 1, 2 }, { 3, 1 } } end,
      "isn't symmetric: %[2,1%] is 3, %[1,2%] 2")
    assert.error_matches(function() d.linalg.eigh { { 1, 0 }, { 0, 0 / 0 } } end, "element 4 of a")
  end)
end)

describe("cholesky", function()
  it("gives a lower factor", function()
    for n = 1, 12 do
      local a = positive(n, 20 + n)
      local l = d.linalg.cholesky(a):totable()
      assert.allclose(a, product(l, transpose(l)), { rtol = tiny, atol = tiny })
      for i = 1, n do
        assert.is_true(l[i][i] > 0)
        for j = i + 1, n do assert.equal(0, l[i][j]) end
      end
    end
    assert.allclose({ { 2, 0 }, { 1, 3 } }, d.linalg.cholesky { { 4, 2 }, { 2, 10 } })
  end)

  it("names the leading minor that isn't positive", function()
    local a = { { 1, 0, 0 }, { 0, 1, 2 }, { 0, 2, 1 } }
    assert.error_matches(function() d.linalg.cholesky(a) end, "its leading minor 3 isn't positive")
  end)
end)

describe("solve", function()
  it("solves one and many right sides", function()
    for n = 1, 12 do
      local a = d.randn({ n, n }, { seed = 40 + n }):totable()
      for i = 1, n do a[i][i] = a[i][i] + 4 end
      local b = d.randn({ n, 3 }, { seed = n }):totable()
      local x = d.linalg.solve(a, b)
      assert.allclose(b, product(a, x:totable()), { rtol = tiny, atol = tiny })
      local first = {}
      for i = 1, n do first[i] = b[i][1] end
      local alone = d.linalg.solve(a, first)
      assert.same({ n }, alone:shape())
      for i = 1, n do assert.near(x:totable()[i][1], alone:totable()[i], tiny) end
    end
    assert.allclose({ 1, 2 }, d.linalg.solve({ { 0, 1 }, { 3, 0 } }, { 2, 3 }))
  end)

  it("leaves no residual where the solution is ill determined", function()
    local a, b = {}, { 1, -1, 1, -1, 1 }
    for i = 1, 5 do -- Hilbert's matrix: condition 5e5
      a[i] = {}
      for j = 1, 5 do a[i][j] = d.tensor(1 / (i + j - 1)):item() end
    end
    local x = d.linalg.solve(a, b):totable()
    for i = 1, 5 do
      local sum, size = 0, 0
      for j = 1, 5 do
        sum, size = sum + a[i][j] * x[j], size + math.abs(a[i][j] * x[j])
      end
      assert.near(b[i], sum, size * tiny)
    end
  end)

  it("says that a matrix is singular, or that sizes differ", function()
    assert.error_matches(function() d.linalg.solve({ { 1, 2 }, { 2, 4 } }, { 1, 2 }) end,
      "singular: pivot 2 is 0")
    assert.error_matches(function() d.linalg.solve(eye(3), { 1, 2 }) end,
      "b must be %[3%] or %[3,m%], it is %[2%]")
  end)
end)

describe("a recorded operand", function()
  it("of a step without a gradient is a sentence, not a gradient of zeros", function()
    for name, f in pairs {
      solve = function(a) return d.linalg.solve(a, d.ones(2)):sum() end,
      cholesky = function(a) return d.linalg.cholesky(a):sum() end,
      eigh = function(a) return d.linalg.eigh(a):sum() end,
    } do
      fails(name .. " has no gradient, but [2,2] is being recorded; detach() it", d.grad, f, d.eye(2))
    end
    fails("solve has no gradient, but [2] is", d.grad, function(b)
      return d.linalg.solve(d.eye(2), b):sum()
    end, d.ones(2))
    local s = d.schedule.linear { T = 100 }
    fails("no gradient flows through these numbers, but the tensor [2] is being recorded", d.grad,
      function(t) return s:snr(t):sum() end, d.ones(2))
    fails("sinusoid has no gradient", d.grad, function(t)
      return d.nn.sinusoid(4)(t):sum()
    end, d.ones(2))
  end)

  it("that is detached is a constant", function()
    local g = d.grad(function(a) return (a * d.linalg.cholesky(a:detach())):sum() end, d.eye(2) * 4)
    assert.same({ { 2, 0 }, { 0, 2 } }, g:totable())
  end)
end)

describe("lists", function()
  it("keep their digits", function()
    -- in floats 1 + 1e-7 is 1 + 1.19e-7
    assert.allclose({ 1, 1 }, d.linalg.solve({ { 1, 1 }, { 1, 1 + 1e-7 } }, { 2, 2 + 1e-7 }), { rtol = 1e-6 })
    local least = d.linalg.eigh({ { 1, 1 - 1e-8 }, { 1 - 1e-8, 1 } })[1] -- 0 in floats
    assert.near(1e-8, least, 1e-12)
    local l = d.linalg.cholesky { { 1, 1 }, { 1, 1 + 1e-8 } }
    assert.near(1e-4, l[{ 2, 2 }], 1e-10)
  end)

  it("keep them as covariances of an oracle", function()
    local narrow = { { 1, 0 }, { 0, 1e-8 } }
    local wanted = d.oracle.gaussian { std = { 1, 1e-4 } }:entropy()
    assert.near(wanted, d.oracle.gaussian { cov = narrow }:entropy(), 1e-5)
    local two = d.oracle.mixture { means = { { 0, 0 }, { 1, 0 } }, covs = { narrow, narrow } }
    assert.near(1e-4, two:sample(2000, { seed = 1 }):std(1)[2], 5e-6)
  end)

  it("may be what floats were rounded to", function()
    local a = d.tensor { { 0.1 }, { 0.3 }, { 0.7 } }
    local singular = a:matmul(a:t()):totable() -- rank one, except for rounding
    assert.equal(-math.huge, d.oracle.gaussian { cov = singular }:entropy())
  end)

  it("keep them as times of sinusoids", function()
    local sinusoid = require("diffusion.core").ops.sinusoid
    local t = 16777217 -- no float
    local y = sinusoid({ t }, { width = 4 })
    assert.allclose({ { math.cos(t), math.cos(t / 100), math.sin(t), math.sin(t / 100) } }, y, { atol = 1e-5 })
  end)
end)

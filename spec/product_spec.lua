-- linear, matmul and attention against their definitions, with their gradients. The three
-- precisions are compared with the build in double. Bits are the same with threads and in
-- batches.
local d = require "diffusion"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local products = dofile "spec/support/products.lua"

local ops = core.ops
local flat, distance, draw = products.flat, products.distance, products.draw

local function transposed(x, rows, columns)
  local out = {}
  for j = 1, columns do
    for i = 1, rows do out[#out + 1] = x[(i - 1) * columns + j] end
  end
  return out
end

-- a (m x k) b (k x n), lists in order
local function product(a, b, m, k, n)
  local out = {}
  for i = 0, m - 1 do
    for j = 1, n do
      local sum = 0
      for e = 1, k do sum = sum + a[i * k + e] * b[(e - 1) * n + j] end
      out[#out + 1] = sum
    end
  end
  return out
end

local function message(f, ...) return select(2, pcall(f, ...)) end

describe("linear", function()
  for i, size in ipairs{ { 1, 1, 1 }, { 3, 5, 4 }, { 65, 33, 31 }, { 300, 7, 70 }, { 2, 600, 3 } } do
    local m, C, K = table.unpack(size)
    it(("is its definition, and so are its gradients: [%d,%d] to %d"):format(m, C, K), function()
      d.manual_seed(i)
      local x, w, b, g = draw(m, C), draw(K, C), draw(K), draw(m, K)
      local y = product(flat(x), transposed(flat(w), K, C), m, C, K)
      for r = 0, m - 1 do
        for k, value in ipairs(flat(b)) do y[r * K + k] = y[r * K + k] + value end
      end
      assert.is_true(distance(y, ops.linear(x, w, b)) < products.near)
      local dx, dw, db = d.grad(function(...) return (ops.linear(...) * g):sum() end, x, w, b)
      local G = flat(g)
      assert.is_true(distance(product(G, flat(w), m, K, C), dx) < products.near)
      assert.is_true(distance(product(transposed(G, m, K), flat(x), K, m, C), dw) < products.near)
      assert.is_true(distance(flat(g:sum(1)), db) < products.tiny)
    end)
  end

  -- Columns of w are packed for all blocks of rows, in layers, parts and rounds.
  it("has the gradient of many outputs over many rows", exactly(function()
    d.manual_seed(9)
    for _, m in ipairs { 300, 1100, 4500 } do
      local x, g, outputs = draw(m, 35), draw(m, 230), { 1, 192, 230 }
      local dw = d.grad(function(w) return (ops.linear(x, w) * g):sum() end, draw(230, 35))
      for _, k in ipairs(outputs) do
        local expected = (g:narrow(2, k, 1) * x):sum(1)
        assert.is_true(distance(flat(expected), dw[k]) < products.tiny)
      end
    end
  end))

  -- Rows of 1024 and 2048 channels are copied, so that they don't share a set of the cache.
  it("of rows 4 KB apart has the same bits alone, and with zeros behind", function()
    local isa, sets = core.isa()
    for _, set in ipairs(sets) do
      core.isa(set)
      for _, shape in ipairs { { 3, 1024, 5 }, { 300, 1024, 260 }, { 700, 1024, 33 }, { 40, 2048, 70 } } do
        local m, C, K = table.unpack(shape)
        local x, w = draw(m, C), draw(K, C)
        products.at_each_setting({ 1, 2 }, function(name)
          local y = ops.linear(x, w)
          for _, row in ipairs { 1, m // 2, m } do
            assert.is_true(ops.linear(x:narrow(1, row, 1), w):equal(y:narrow(1, row, 1)))
          end
          local wider = ops.linear(d.cat({ x, d.zeros(m, 16) }, 2), d.cat({ w, d.zeros(K, 16) }, 2))
          if name == "highest" then assert.is_true(wider:equal(y))
          else assert.is_true(((wider - y):norm() / y:norm()):item() < 1e-5) end
        end)
      end
    end
    core.isa(isa)
  end)

  it("keeps leading dimensions", function()
    local x, w = draw(2, 3, 4), draw(5, 4)
    local y = ops.linear(x, w)
    assert.same({ 2, 3, 5 }, y:shape())
    assert.allclose(ops.linear(x:reshape(6, 4), w):reshape(2, 3, 5), y)
    assert.same({ 5 }, ops.linear(draw(4), w):shape())
    assert.same({ 0, 5 }, ops.linear(d.zeros(0, 4), w):shape())
  end)

  it("says what doesn't fit", function()
    assert.matches("linear: w is [10,5] but x [3,4] has 4 features, not 5",
      message(ops.linear, d.zeros(3, 4), d.zeros(10, 5)), 1, true)
    assert.matches("linear: b is [3] but w [10,4] has 10 outputs",
      message(ops.linear, d.zeros(3, 4), d.zeros(10, 4), d.zeros(3)), 1, true)
    assert.matches("linear: w is [10], but weights are K, C",
      message(ops.linear, d.zeros(3, 4), d.zeros(10)), 1, true)
  end)
end)

describe("matmul", function()
  for i, size in ipairs{ { 1, 1, 1 }, { 3, 4, 5 }, { 130, 31, 140 }, { 7, 300, 33 }, { 4, 1200, 3 } } do
    local m, k, n = table.unpack(size)
    it(("is its definition, and so are its gradients: [%d,%d] [%d,%d]"):format(m, k, k, n), function()
      d.manual_seed(i)
      local a, b, g = draw(m, k), draw(k, n), draw(m, n)
      local A, B, G = flat(a), flat(b), flat(g)
      assert.is_true(distance(product(A, B, m, k, n), a:matmul(b)) < products.near)
      local da, db = d.grad(function(p, q) return (p:matmul(q) * g):sum() end, a, b)
      assert.is_true(distance(product(G, transposed(B, k, n), m, n, k), da) < products.near)
      assert.is_true(distance(product(transposed(A, m, k), G, k, m, n), db) < products.near)
    end)
  end

  it("reads transposed and strided matrices", function()
    local a, b = draw(6, 5), draw(6, 7)
    local expected = product(transposed(flat(a), 6, 5), flat(b), 5, 6, 7)
    assert.is_true(distance(expected, a:t():matmul(b)) < products.near)
    assert.is_true(distance(expected, a:t():matmul(b:t():clone():t())) < products.near)
    local da = d.grad(function(p) return p:t():matmul(b):sum() end, a)
    assert.allclose(d.ones(6, 1):mul_(b:sum(2):reshape(6, 1)):expand(6, 5), da, { rtol = 1e-5, atol = 1e-5 })
  end)

  it("multiplies a batch of matrices, the gradients too", function()
    local a, b, g = draw(2, 3, 4, 5), draw(2, 3, 5, 6), draw(2, 3, 4, 6)
    local y = a:matmul(b)
    local da, db = d.grad(function(p, q) return (p:matmul(q) * g):sum() end, a, b)
    for i = 1, 2 do
      for j = 1, 3 do
        assert.allclose(a[i][j]:matmul(b[i][j]), y[i][j], { atol = 1e-6 })
        assert.allclose(g[i][j]:matmul(b[i][j]:t()), da[i][j], { atol = 1e-5 })
        assert.allclose(a[i][j]:t():matmul(g[i][j]), db[i][j], { atol = 1e-5 })
      end
    end
  end)

  it("of nothing is zero", function()
    assert.allclose(d.zeros(2, 3), d.zeros(2, 0):matmul(d.zeros(0, 3)))
    assert.same({ 0, 3 }, d.zeros(0, 2):matmul(d.zeros(2, 3)):shape())
  end)

  it("of a matrix with itself has both gradients", function()
    local a = draw(4, 4)
    local da = d.grad(function(p) return p:matmul(p):sum() end, a)
    local ones = d.ones(4, 4)
    assert.allclose(ones:matmul(a:t()) + a:t():matmul(ones), da, { rtol = 1e-5, atol = 1e-5 })
  end)

  it("says what doesn't fit", function()
    local zeros = d.zeros
    assert.matches("matmul: shapes [64,784] and [512,784] don't align (784 against 512)",
      message(ops.matmul, zeros(64, 784), zeros(512, 784)), 1, true)
    assert.matches("matmul: shapes [2,3,4] and [3,4,5] differ before the last two dimensions",
      message(ops.matmul, zeros(2, 3, 4), zeros(3, 4, 5)), 1, true)
    assert.matches("matmul: shapes [3] and [3,4]; matrices have two dimensions",
      message(ops.matmul, zeros(3), zeros(3, 4)), 1, true)
  end)
end)

-- softmax(q k^T / sqrt(D)) v head by head, from matmul and softmax
local function attention(q, k, v, heads)
  local D, out = q:size(3) // heads, {}
  for h = 1, heads do
    local function part(x) return x:narrow(3, (h - 1) * D + 1, D):contiguous() end
    local scores = part(q):matmul(part(k):permute(1, 3, 2):contiguous()) * D ^ -0.5
    out[h] = scores:softmax(3):matmul(part(v))
  end
  return d.cat(out, 3)
end

describe("attention", function()
  local sizes = { { 2, 49, 49, 1, 16 }, { 1, 70, 130, 2, 8 }, { 2, 3, 65, 3, 5 }, { 1, 1, 1, 1, 1 },
    { 1, 300, 260, 1, 33 }, { 2, 5, 1100, 1, 3 }, { 1, 40, 2200, 1, 32 },
    { 1, 35, 200, 2, 40 }, { 2, 20, 260, 1, 72 } } -- blocks of queries, tiles, parts of keys
  for i, size in ipairs(sizes) do
    local B, N, M, heads, D = table.unpack(size)
    local what = ("N %d, M %d, %d heads of %d"):format(N, M, heads, D)
    it("is its definition, and so are its gradients: " .. what, function()
      d.manual_seed(i)
      local q, k, v = draw(B, N, heads * D), draw(B, M, heads * D), draw(B, M, heads * D)
      local g, options = draw(B, N, heads * D), { heads = heads }
      local y = attention(q, k, v, heads)
      assert.is_true(distance(flat(y), ops.attention(q, k, v, options)) < products.near)
      local function loss(f, o) return function(...)
        local a, b, c = ...
        return (f(a, b, c, o) * g):sum()
      end end
      local expected = { d.grad(loss(attention, heads), q, k, v) }
      local actual = { d.grad(loss(ops.attention, options), q, k, v) }
      for j = 1, 3 do
        if N > 1 then
          assert.is_true(distance(flat(expected[j]), actual[j]) < 3 * products.near)
        else -- one token: the probabilities are 1 and q and k don't matter
          assert.allclose(expected[j], actual[j], { atol = 1e-6 })
        end
      end
    end)
  end

  it("reads windows on one projection, and its gradients reach it", function()
    local qkv = draw(2, 37, 18)
    local function third(x, i) return x:narrow(3, 6 * i - 5, 6) end
    local function by(copy)
      return function(x)
        local q, k, v = third(x, 1), third(x, 2), third(x, 3)
        if copy then q, k, v = q:contiguous(), k:contiguous(), v:contiguous() end
        return ops.attention(q, k, v, { heads = 2 })
      end
    end
    assert.is_true(by(false)(qkv):equal(by(true)(qkv)))
    local function loss(f) return function(x) return f(x):square():sum() end end
    assert.is_true(d.grad(loss(by(false)), qkv):equal(d.grad(loss(by(true)), qkv)))
  end)

  it("of a sequence with itself has all three gradients", function()
    local x = draw(2, 5, 4)
    local dx = d.grad(function(a) return ops.attention(a, a, a):square():sum() end, x)
    local dq, dk, dv = d.grad(function(a, b, c) return ops.attention(a, b, c):square():sum() end,
      x, x:clone(), x:clone())
    assert.is_true(distance(flat(dq + dk + dv), dx) < products.near)
  end)

  it("says what doesn't fit", function()
    local zeros = d.zeros
    assert.matches("attention: 3 heads don't divide the width of q [1,2,4]",
      message(ops.attention, zeros(1, 2, 4), zeros(1, 2, 4), zeros(1, 2, 4), { heads = 3 }), 1, true)
    assert.matches("not [1,2,4], [1,2,4] and [1,3,4]",
      message(ops.attention, zeros(1, 2, 4), zeros(1, 2, 4), zeros(1, 3, 4)), 1, true)
    assert.matches("attention: k [1,0,4] has no tokens",
      message(ops.attention, zeros(1, 2, 4), zeros(1, 0, 4), zeros(1, 0, 4)), 1, true)
  end)
end)

-- name, function, operands
local function all_products()
  d.manual_seed(1)
  local image = draw(3, 14, 14, 64)
  local function conv(options)
    return function(x, w) return ops.conv2d(x, w, nil, options) end
  end
  return {
    { "conv2d", conv{ pad = 1 }, image, draw(64, 3, 3, 64) },
    { "conv2d, stride 2", conv{ stride = 2, pad = 1 }, image, draw(64, 3, 3, 64) },
    { "conv2d, 1 x 1", conv{}, image, draw(32, 1, 1, 64) },
    { "linear", ops.linear, draw(700, 64), draw(96, 64), draw(96) },
    { "linear, many outputs", ops.linear, draw(530, 40), draw(400, 40), draw(400) },
    { "matmul", ops.matmul, draw(150, 700), draw(700, 140) },
    { "attention", function(q, k, v) return ops.attention(q, k, v, { heads = 2 }) end,
      draw(2, 49, 32), draw(2, 49, 32), draw(2, 49, 32) },
  }
end

-- The gradients of |f|^2 / 2, whose dy is y itself, and y.
local function evaluate(f, ...)
  local out = { d.grad(function(...)
    local y = f(...)
    return (y * y):sum() * 0.5
  end, ...) }
  out[#out] = f(...)
  return out
end

describe("bits", function()
  for _, case in ipairs(all_products()) do
    it("are the same on 1, 2 and 3 threads: " .. case[1], function()
      products.same_on_threads(function() return evaluate(table.unpack(case, 2)) end)
    end)
  end

  it("are the same for a sample alone, in a batch, recorded or not", function()
    local x, w, b = draw(300, 40), draw(50, 40), draw(50)
    local function check(f, inputs, count)
      local batch = f(table.unpack(inputs))
      assert.is_true(batch:equal(d.record(f, table.unpack(inputs))))
      for _, k in ipairs{ 1, 2, count // 2, count } do
        local alone = {}
        for i, input in ipairs(inputs) do alone[i] = input:narrow(1, k, 1) end
        assert.is_true(batch:narrow(1, k, 1):equal(f(table.unpack(alone))))
      end
    end
    check(function(a) return ops.linear(a, w, b) end, { x }, 300)
    -- 2000 rows have items of their own; fewer share what is rounded or cut into planes
    local many = draw(2000, 40)
    products.at_each_precision(function()
      check(function(a) return ops.linear(a, w, b) end, { x }, 300)
      check(function(a) return ops.linear(a, w, b) end, { many }, 2000)
    end)
    check(function(a) return a:matmul(w:t()) end, { x }, 300)
    check(function(q, k, v) return ops.attention(q, k, v, { heads = 2 }) end,
      { draw(6, 70, 16), draw(6, 70, 16), draw(6, 70, 16) }, 6)
    check(function(q, k, v) return ops.attention(q, k, v, { heads = 2 }) end,
      { draw(6, 70, 64), draw(6, 70, 64), draw(6, 70, 64) }, 6)
  end)
end)

describe("precision", function()
  it("of linear is what its name promises, of the gradients too", function()
    local m, C, K = 60, 90, 50
    local x, w, g = draw(m, C), draw(K, C), draw(m, K)
    local y = product(flat(x), transposed(flat(w), K, C), m, C, K)
    local gx = product(flat(g), flat(w), m, K, C)
    local gw = product(transposed(flat(g), m, K), flat(x), K, m, C)
    products.at_each_precision(function(row)
      products.check(row, y, ops.linear(x, w))
      local dx, dw = d.grad(function(...) return (ops.linear(...) * g):sum() end, x, w)
      products.check(row, gx, dx)
      products.check(row, gw, dw)
    end)
  end)

  it("of matmul is what its name promises, of the gradients too", function()
    local m, k, n = 40, 70, 60
    local a, b, g = draw(m, k), draw(k, n), draw(m, n)
    local y = product(flat(a), flat(b), m, k, n)
    local ga = product(flat(g), transposed(flat(b), k, n), m, n, k)
    local gb = product(transposed(flat(a), m, k), flat(g), k, m, n)
    products.at_each_precision(function(row)
      products.check(row, y, a:matmul(b))
      local da, db = d.grad(function(...) return (ops.matmul(...) * g):sum() end, a, b)
      products.check(row, ga, da)
      products.check(row, gb, db)
    end)
  end)

  it("of attention is what its name promises, of the gradients too", function()
    for _, width in ipairs{ 32, 64, 80, 128 } do -- two heads: in reals, in bf16, padded
      local q, k, v, g = draw(2, 49, width), draw(2, 49, width), draw(2, 49, width), draw(2, 49, width)
      local function loss(f, o)
        return function(a, b, c) return (f(a, b, c, o) * g):sum() end
      end
      local before = d.precision()
      d.precision "highest"
      local y = flat(attention(q, k, v, 2))
      local expected = { d.grad(loss(attention, 2), q, k, v) }
      d.precision(before)
      products.at_each_precision(function(row)
        products.check(row, y, ops.attention(q, k, v, { heads = 2 }))
        local actual = { d.grad(loss(ops.attention, { heads = 2 }), q, k, v) }
        for i = 1, 3 do products.check(row, flat(expected[i]), actual[i]) end
      end)
    end
  end)
end)

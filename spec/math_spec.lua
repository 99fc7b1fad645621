-- Arithmetic, reductions and order against plain Lua, identities and known values.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local shared = require "spec.support.shared"

local function same(want, got) assert.same(want, got:totable()) end
local function close(want, got, rtol) assert.allclose(want, got, { rtol = rtol or 2e-6, atol = 2e-6 }) end

local function random(...)
  d.manual_seed(11)
  return d.randn(...)
end

-- The numbers of a tensor, in order.
local function list(x) return x:flatten():totable() end

describe("a function of one number", function()
  local at = { -2.5, -0.5, 0.25, 1.5, 3 }

  it("is what Lua computes", function()
    local e = math.exp(1)
    local known = {
      neg = function(x) return -x end,
      abs = math.abs,
      exp = math.exp, sin = math.sin, cos = math.cos,
      square = function(x) return x * x end,
      reciprocal = function(x) return 1 / x end,
      tanh = function(x) return 1 - 2 / (math.exp(2 * x) + 1) end,
      sigmoid = function(x) return 1 / (1 + e ^ -x) end,
      silu = function(x) return x / (1 + e ^ -x) end,
      relu = function(x) return math.max(x, 0) end,
      floor = function(x) return math.floor(x) end,
      sign = function(x) return x < 0 and -1 or 1 end,
    }
    for name, f in pairs(known) do
      local want = {}
      for i, v in ipairs(at) do want[i] = f(v) end
      close(want, d.tensor(at)[name](d.tensor(at)))
    end
    close({ 0, 0.5, math.log(3) }, d.tensor { 1, e ^ 0.5, 3 }:log())
    close({ 0, 1.5, 3 }, d.tensor { 0, 2.25, 9 }:sqrt())
    same({ -2, 0, 0, 2, 2 }, d.tensor { -1.5, -0.5, 0.5, 1.5, 2.5 }:round())
  end)

  it("has the values of tables: erf, erfc, gelu", function()
    -- Abramowitz & Stegun 1964, table 7.1
    close({ 0, 0.5204998778, 0.8427007929, 0.9953222650 }, d.tensor { 0, 0.5, 1, 2 }:erf())
    close({ 1, 0.1572992071, 1.8427007929 }, d.tensor { 0, 1, -1 }:erfc())
    close({ 0, 0.8413447461, -0.1586552539 }, d.tensor { 0, 1, -1 }:gelu())
    assert.is_true(d.tensor { 0, 1, -1 }:gelu():equal(d.tensor { 0, 1, -1 }:gelu "erf"))
  end)

  it("has gelu by tanh and by a sigmoid as they are published", function()
    close({ 0, 0.8411919906, -0.1588080094, 2.9963626079 }, d.tensor { 0, 1, -1, 3 }:gelu "tanh")
    close({ 0, 0.8457957659, -0.1542042341, 2.9819286903 }, d.tensor { 0, 1, -1, 3 }:quick_gelu())
    fails("no 'sigmoid'; there are erf, tanh", function() return d.tensor { 0 }:gelu "sigmoid" end)
  end)

  it("gates the first half by gelu of the second: geglu", function()
    for _, shape in ipairs { { 3, 8 }, { 2, 3, 5000 }, { 2 }, { 0, 4 } } do
      local n = #shape
      local x, C = d.randn(shape), shape[n] // 2
      local function composed(v) return v:narrow(n, 1, C) * v:narrow(n, C + 1, C):gelu() end
      assert.is_true(x:geglu():equal(composed(x)))
      local g = d.randn(table.unpack(x:geglu():shape()))
      local got = d.grad(function(v) return (v:geglu() * g):sum() end, x)
      local want = d.grad(function(v) return (composed(v) * g):sum() end, x)
      assert.is_true(got:allclose(want, { atol = 1e-6 }))
      local twice = d.grad(function(v) return ((v:geglu() + v:geglu()) * g):sum() end, x)
      assert.is_true(twice:allclose(want + want, { atol = 1e-6 }))
    end
    fails("geglu: x is [2,3], but its last dimension holds two halves", function() return d.zeros(2, 3):geglu() end)
    fails("geglu: x is [], but its last dimension holds two halves", function() return d.zeros {}:geglu() end)
  end)

  it("has ln erfc where erfc has no digits left, and its slope", function()
    local x = { -30, -0.7, 1e-9, 0.3, 3, 9.1, 1e4, 1e15 } -- by mpmath to 40 digits
    local value = { 0.6931471805599453, 0.5174841229791057, -1.128379167732132e-9, -0.3984300514400853,
                    -10.72036304198111, -85.59658873910797, -100000009.7827053, -1e30 }
    local slope = { 0, -0.4120123784329149, -1.128379168368752, -1.536047085803058, -6.303753689003234,
                    -18.30860146341367, -20000.0001, -2e15 }
    local g, _, y = d.grad(function(v)
      local all = v:log_erfc()
      return all:sum(), all
    end, d.tensor(x))
    for i = 1, #x do
      assert.is_true(math.abs(y[i] / value[i] - 1) < 2e-6, x[i])
      assert.is_true(math.abs(g[i] - slope[i]) <= 2e-6 * math.abs(slope[i]), x[i])
    end
    local inf = math.huge
    same({ -inf, -inf }, d.tensor { 1e30, inf }:log_erfc())
    close({ math.log(2), 0 }, d.tensor { -inf, 0 }:log_erfc())
  end)

  it("leaves NaN and infinities where they belong", function()
    local inf = math.huge
    same({ 0, 1, inf }, d.tensor { -inf, 0, inf }:exp())
    same({ -inf, 0, inf }, d.tensor { 0, 1, inf }:log())
    for _, name in ipairs { "exp", "log", "abs", "sign", "silu", "relu", "floor", "sqrt", "tanh" } do
      local y = d.tensor { 0 / 0 }[name](d.tensor { 0 / 0 })[1]
      assert(y ~= y, name .. " loses NaN")
    end
  end)

  it("takes any strides and any type", function()
    local x = random(3, 4)
    assert.is_true(x:t():exp():equal(x:exp():t()))
    assert.is_true(x:narrow(2, 2, 2):abs():equal(x:abs():narrow(2, 2, 2)))
    close({ 1, math.exp(1) }, d.tensor({ 0, 1 }, { dtype = "u8" }):exp())
    assert.equal(core.real, d.arange(1, 3):sqrt():dtype())
  end)
end)

describe("a function of two numbers", function()
  -- f over the broadcast of x and y, by loops
  local function by_loops(x, y, f)
    local n = math.max(x:dim(), y:dim())
    local function size(t, i) return i > n - t:dim() and t:size(i - n + t:dim()) or 1 end
    local function pick(t, at)
      local own = {}
      for i = n - t:dim() + 1, n do own[#own + 1] = size(t, i) == 1 and 1 or at[i] end
      return #own == 0 and t:item() or t[own]
    end
    local function fill(at, i)
      if i > n then return f(pick(x, at), pick(y, at)) end
      local out = {}
      for k = 1, math.max(size(x, i), size(y, i)) do
        at[i] = k
        out[k] = fill(at, i + 1)
      end
      return out
    end
    return fill({}, 1)
  end

  local functions = {
    add = function(a, b) return a + b end,
    sub = function(a, b) return a - b end,
    mul = function(a, b) return a * b end,
    div = function(a, b) return a / b end,
    maximum = math.max,
    minimum = math.min,
  }

  it("stretches shapes as loops do", function()
    local shapes = {
      { { 2, 3 }, { 2, 3 } }, { { 2, 3 }, { 3 } }, { { 3 }, { 2, 3 } }, { { 2, 1, 3 }, { 4, 1 } },
      { { 2, 3, 2, 5 }, { 2, 1, 1, 5 } }, { { 2, 1, 1, 1 }, { 2, 3, 2, 5 } }, { {}, { 2, 2 } },
      { { 1 }, { 1, 1 } }, { { 5, 1 }, { 1, 7 } },
    }
    for _, pair in ipairs(shapes) do
      d.manual_seed(5)
      local x, y = d.randn(pair[1]), d.randn(pair[2])
      for name, f in pairs(functions) do close(by_loops(x, y, f), x[name](x, y)) end
    end
  end)

  it("stretches over blocks that don't end with rows", function()
    local x, b = random(40, 7, 11, 3), random(40, 1, 1, 3)
    local sum = x + b
    for _, at in ipairs { { 1, 1, 1, 1 }, { 9, 7, 11, 3 }, { 27, 3, 5, 2 }, { 40, 7, 11, 3 } } do
      close(x[at] + b[{ at[1], 1, 1, at[4] }], sum[at])
    end
    assert.is_true((x:permute(4, 2, 3, 1) + b:permute(4, 2, 3, 1)):permute(4, 2, 3, 1):equal(sum))
    assert.is_true((b + x):equal(sum))
  end)

  it("is written with operators, numbers on either side", function()
    local x = d.tensor { 1, 2, 4 }
    same({ 3, 4, 6 }, x + 2)
    same({ 1, 0, -2 }, 2 - x)
    same({ 0.5, 1, 2 }, x / 2)
    same({ 4, 2, 1 }, 4 / x)
    same({ -1, -2, -4 }, -x)
    same({ 1, 4, 16 }, x ^ 2)
    same({ 2, 4, 16 }, 2 ^ x)
    same({ 1, 0.5, 0.25 }, x ^ -1)
    close({ 1, 2 ^ 0.5, 2 }, x ^ 0.5)
    close({ 1, 8, 64 }, x ^ 3)
    close({ 1, 4, 256 }, x ^ x)
  end)

  it("keeps whole numbers whole under + - * ^", function()
    local i = d.arange(1, 3)
    for _, y in ipairs { i + 1, 1 - i, i * i, i + d.tensor({ 1, 2, 3 }, { dtype = "u8" }), i * 2.0, i ^ 2 } do
      assert.equal("i64", y:dtype())
    end
    local large = d.tensor({ 2 ^ 53 | 0 }, { dtype = "i64" })
    assert.equal((2 ^ 53 | 0) + 1, (large + 1)[1])
    assert.equal(core.real, (i / 2):dtype())
    assert.equal(core.real, (i * 0.5):dtype())
    same({ 0.5, 1, 1.5 }, i * 0.5)
  end)

  it("refuses whole numbers that reals would round", function()
    local limit = 1 << (core.real == "f64" and 53 or 24)
    local x = d.tensor({ limit + 1, limit, 3 }, { dtype = "i64" })
    for _, name in ipairs { "max", "min", "neg", "sort", "norm", "argmax" } do
      fails(("from %d on, %s rounds whole numbers"):format(limit, core.real), x[name], x)
    end
    assert.equal(limit, x:to(core.real):max():item())
    local below = x - 2
    assert.equal(limit - 1, below:max():item())
    same({ 1, limit - 2, limit - 1 }, below:sort())
    same({ limit + 2, limit + 1, 4 }, x + d.tensor(1, { dtype = "i64" }))
  end)

  it("says which shapes don't fit", function()
    fails("add: shapes [2,3] and [2] don't fit", function() return d.zeros(2, 3) + d.zeros(2) end)
    fails("tensor", function() return d.zeros(2) + "1" end)
    if core.real == "f32" then
      fails("add: f64 is computed in the verification build; x:to \"f32\" first",
        function() return d.zeros({ 2 }, { dtype = "f64" }) + 1 end)
    end
  end)

  it("works without elements and without dimensions", function()
    assert.same({ 0, 3 }, (d.zeros(0, 3) + d.zeros(3)):shape())
    assert.same({}, (d.tensor(2) * d.tensor(3)):shape())
    assert.equal(6, (d.tensor(2) * d.tensor(3)):item())
  end)
end)

describe("in place", function()
  it("writes through windows and returns its tensor", function()
    local x = d.zeros(2, 3)
    assert.equal(x, x:add_(1))
    x:narrow(2, 1, 2):mul_(d.tensor { 2, 3 })
    x:t():sub_(d.tensor { 1, 2 })
    same({ { 1, 2, 0 }, { 0, 1, -1 } }, x)
    x:div_(2):fill_(7)
    same({ { 7, 7, 7 }, { 7, 7, 7 } }, x)
    same({ 0, 0 }, d.ones(2):zero_())
  end)

  it("keeps the type of what it writes to", function()
    local i = d.arange(1, 3)
    same({ 2, 4, 6 }, i:add_(i))
    fails("holds whole numbers", i.add_, i, 0.5)
    fails("holds whole numbers", i.div_, i, 2)
    local h = d.ones({ 2 }, { dtype = "f16" }):mul_(3)
    assert.equal("f16", h:dtype())
    same({ 3, 3 }, h)
    fails("doesn't stretch to [2]", h.add_, h, d.zeros(2, 2))
  end)
end)

describe("a mask", function()
  local a, b = d.tensor { 1, 2, 3, 0 / 0 }, d.tensor { 2, 2, 2, 2 }

  it("compares, NaN with nothing", function()
    same({ 0, 1, 0, 0 }, a:eq(b))
    same({ 1, 0, 1, 1 }, a:ne(b))
    same({ 1, 0, 0, 0 }, a:lt(2))
    same({ 1, 1, 0, 0 }, a:le(b))
    same({ 0, 0, 1, 0 }, a:gt(b))
    same({ 0, 1, 1, 0 }, a:ge(2))
    assert.equal("u8", a:eq(b):dtype())
    local whole = d.tensor({ 2 ^ 53 | 0, (2 ^ 53 | 0) + 1 }, { dtype = "i64" })
    same({ 1, 0 }, whole:lt((2 ^ 53 | 0) + 1))
    same({ 1, 0, 0 }, d.tensor { 1, math.huge, 0 / 0 }:isfinite())
  end)

  it("chooses", function()
    same({ 1, 2, 2, 2 }, d.where(a:lt(b), a, b))
    same({ { 5, 0 }, { 0, 5 } }, d.where(d.eye(2), 5, d.tensor(0)))
    assert.equal("i64", d.where(d.tensor { 1, 0 }, d.arange(1, 2), 0):dtype())
    fails("where: the mask [3]", d.where, d.zeros(3), d.zeros(2), d.zeros(2))
  end)

  it("is true anywhere or everywhere", function()
    local m = d.tensor { { 0, 1 }, { 1, 1 } }
    assert.is_true(m:any())
    assert.is_false(m:all())
    same({ 1, 1 }, m:any(1))
    same({ 0, 1 }, m:all(1))
    assert.is_false(d.zeros(0):any())
    assert.is_true(d.zeros(0):all())
    local most = d.ones(100000)
    most[99999] = 0
    assert.is_false(most:all())
  end)

  it("tells what is equal or close", function()
    local x = random(5, 3)
    assert.is_true(x:equal(x:t():contiguous():t()))
    assert.is_false(x:equal(x:t()))
    assert.is_false(x:equal(x + 1e-3))
    assert.is_true(x:allclose(x + 1e-3, { atol = 2e-3 }))
    assert.is_false(x:allclose(x + 1e-3))
    assert.is_false(a:allclose(a))
    assert.is_false(d.tensor { 1 }:allclose(d.tensor { math.huge }, { rtol = 1 }))
    assert.is_true(d.tensor { math.huge }:equal(d.tensor { math.huge }))
    assert.is_true(d.arange(1, 3):equal(d.tensor { 1, 2, 3 }))
  end)
end)

describe("a reduction", function()
  local x = random(3, 4, 5)

  -- f({numbers}) along these dimensions, by loops; sizes of 1 kept
  local function by_loops(dims, f)
    local goes = {}
    for _, dim in ipairs(dims) do goes[dim] = true end
    local function fill(at, i)
      if i <= 3 then
        if goes[i] then return { fill(at, i + 1) } end
        local out = {}
        for k = 1, x:size(i) do
          at[i] = k
          out[k] = fill(at, i + 1)
        end
        return out
      end
      local window = {}
      for k = 1, 3 do window[k] = goes[k] and {} or { at[k], at[k] } end
      return f(list(x[window]))
    end
    return fill({}, 1)
  end

  local function sum(v)
    local s = 0
    for _, e in ipairs(v) do s = s + e end
    return s
  end
  local function mean(v) return sum(v) / #v end
  local function squares(v, m)
    local s = 0
    for _, e in ipairs(v) do s = s + (e - m) ^ 2 end
    return s
  end
  local functions = {
    sum = sum, mean = mean,
    var = function(v) return squares(v, mean(v)) / (#v - 1) end,
    std = function(v) return (squares(v, mean(v)) / (#v - 1)) ^ 0.5 end,
    norm = function(v) return squares(v, 0) ^ 0.5 end,
    prod = function(v)
      local p = 1
      for _, e in ipairs(v) do p = p * e end
      return p
    end,
    max = function(v) return math.max(table.unpack(v)) end,
    min = function(v) return math.min(table.unpack(v)) end,
    logsumexp = function(v)
      local s = 0
      for _, e in ipairs(v) do s = s + math.exp(e) end
      return math.log(s)
    end,
  }

  it("is what loops give, along any dimensions", function()
    for name, f in pairs(functions) do
      for _, dims in ipairs { { 1 }, { 2 }, { 3 }, { 1, 2 }, { 1, 3 }, { 2, 3 }, { 1, 2, 3 } } do
        close(by_loops(dims, f), (x[name](x, dims, true)))
      end
      close(f(list(x)), x[name](x):item())
    end
  end)

  it("drops its dimensions or keeps them", function()
    assert.same({ 3, 5 }, x:sum(2):shape())
    assert.same({ 3, 1, 5 }, x:sum(2, true):shape())
    assert.same({ 4 }, x:sum { 1, -1 }:shape())
    assert.same({}, x:sum():shape())
    assert.same({ 1, 1, 1 }, x:mean(nil, true):shape())
    fails("dimension 4 of a tensor [3,4,5], which has 3", x.sum, x, 4)
  end)

  it("gives values and places of extremes", function()
    local y = d.tensor { { 3, 1, 3 }, { 0, 7, 2 } }
    local v, i = y:max(2)
    same({ 3, 7 }, v)
    same({ 1, 2 }, i)
    v, i = y:min(1)
    same({ 0, 1, 2 }, v)
    same({ 2, 1, 2 }, i)
    assert.equal(5, y:argmax():item())
    same({ 1, 2 }, y:argmax(2))
    same({ { 1, 2, 1 } }, y:argmax(1, true))
    local nan = d.tensor { 1, 0 / 0, 3 }
    assert(nan:max():item() ~= nan:max():item())
    assert.equal(2, nan:argmax():item())
  end)

  it("of nothing is what it starts from, or a sentence", function()
    local none = d.zeros(2, 0)
    same({ 0, 0 }, none:sum(2))
    same({ 1, 1 }, none:prod(2))
    assert.same({ 0 }, none:sum(1):shape())
    fails("max: [2,0] has no elements there", none.max, none)
    fails("no elements", none.argmax, none, 2)
    assert.same({ 0 }, none:max(1):shape())
    assert(none:mean():item() ~= none:mean():item())
  end)

  it("of one number is that number", function()
    assert.equal(-3, d.tensor(-3):sum():item())
    assert.equal(3, d.tensor(-3):norm():item())
    assert.equal(-3, d.tensor { -3 }:max():item())
  end)

  it("roots squares that no float holds", function()
    for _, unit in ipairs { 1e19, 1e-25, 1 } do
      local long = d.zeros(3, 20000)
      long[{ 2, 1 }], long[{ 2, 20000 }] = 3 * unit, 4 * unit
      for dims, got in pairs { [{ 0, 5, 0 }] = long:norm(2), [{ 0, 5, 0, 1 }] = long:t():contiguous():norm(1) } do
        for i = 1, 3 do close(dims[i], got[i] / unit) end
      end
      close(5, long:norm():item() / unit)
      close(5, long:reshape(3, 100, 200):norm { 1, 3 }:norm():item() / unit)
      close({ 0.6, 0.8 }, (d.grad(function(v) return v:norm() end, d.tensor { 3 * unit, 4 * unit })))
    end
  end)

  it("has softmax for logsumexp's slope, however large x is", function()
    local above = { 0, 1.5, -2.25, 0.75 }
    for _, base in ipairs { 0, 1000, -30000 } do
      local logits, share, total = {}, {}, 0
      for i, v in ipairs(above) do logits[i], share[i], total = base + v, math.exp(v), total + math.exp(v) end
      for i = 1, #share do share[i] = share[i] / total end
      close(share, (d.grad(function(v) return v:logsumexp() end, d.tensor(logits))))
    end
  end)

  it("loses no digits over millions of elements", function()
    local many = d.full({ 3, 1000003 }, 0.1)
    local tenth = d.tensor(0.1):item()
    close(1000003 * tenth, many:sum(2)[2], 1e-6)
    close(3 * 1000003 * tenth, many:sum():item(), 1e-6)
    close(3000009 * tenth, many:t():contiguous():sum(1):sum():item(), 1e-6)
    close(tenth, many:mean():item(), 1e-6)
  end)

  it("adds large shapes as doubles one by one would", function()
    local y, want = random(50, 9, 7, 24), {}
    for i, v in ipairs(list(y)) do
      local c = (i - 1) % 24 + 1
      want[c] = (want[c] or 0) + v
    end
    for _, got in ipairs { y:sum { 1, 2, 3 }, y:permute(4, 1, 2, 3):contiguous():sum { 2, 3, 4 },
      y:sum { 2, 3 }:sum(1), y:sum { 1, 3 }:sum(1) } do
      -- sums of 3150 terms near 1 with cancelling signs, relative to their root sum of
      -- squares
      assert.allclose(want, got, { rtol = 2e-6, atol = 2e-6 * math.sqrt(3150) })
    end
  end)
end)

describe("running sums", function()
  it("end in the sum", function()
    local x = random(4, 6)
    close(x:sum(2):totable(), x:cumsum(2):select(2, 6))
    close(x:sum(1):totable(), x:cumsum(1)[4])
    same({ 1, 3, 6 }, d.tensor { 1, 2, 3 }:cumsum())
    assert.same({ 0 }, d.zeros(0):cumsum():shape())
  end)
end)

describe("order", function()
  it("sorts as table.sort does, with places", function()
    for _, n in ipairs { 0, 1, 2, 15, 16, 17, 33, 1000 } do
      d.manual_seed(n)
      local x = d.randn(n)
      local want = x:totable()
      table.sort(want)
      local v, i = x:sort()
      same(want, v)
      if n > 0 then same(want, x:index(1, i)) end
      table.sort(want, function(a, b) return a > b end)
      same(want, (x:sort(1, true)))
    end
  end)

  it("keeps the order of equals, and puts NaN last", function()
    local x = d.tensor { 2, 1, 2, 0 / 0, 1, 2 }
    local _, up = x:sort()
    same({ 2, 5, 1, 3, 6, 4 }, up)
    local _, down = x:sort(1, true)
    same({ 1, 3, 6, 2, 5, 4 }, down)
    local many = d.zeros(500)
    local _, at = many:sort()
    assert.is_true(at:equal(d.arange(1, 500)))
  end)

  it("sorts along any dimension", function()
    local x = random(5, 4, 3)
    local v, i = x:sort(2)
    assert.is_true(x:gather(2, i):equal(v))
    assert.is_true(v:narrow(2, 2, 3):ge(v:narrow(2, 1, 3)):all())
    assert.is_true(x:permute(2, 1, 3):sort(1):equal(v:permute(2, 1, 3)))
  end)

  it("gives the largest k", function()
    local v, i = d.tensor { { 3, 9, 5 }, { 4, 1, 8 } }:topk(2)
    same({ { 9, 5 }, { 8, 4 } }, v)
    same({ { 2, 3 }, { 3, 1 } }, i)
    fails("topk: 4 of the 3", d.zeros(3).topk, d.zeros(3), 4)
  end)

  it("has quantiles between order statistics", function()
    local x = d.tensor { 4, 1, 3, 2, 5 }
    for q, want in pairs { [0] = 1, [0.25] = 2, [0.5] = 3, [0.6] = 3.4, [1] = 5 } do
      close(want, x:quantile(q):item())
    end
    close({ 2.5, 3.5 }, d.tensor { { 1, 2 }, { 4, 5 } }:quantile(0.5, 1))
    assert.same({ 2, 1 }, d.zeros(2, 5):quantile(0.5, 2, true):shape())
    fails("q is in 0..1", x.quantile, x, 1.5)
    fails("of 0 elements", d.zeros(0).quantile, d.zeros(0), 0.5)
  end)
end)

describe("selection", function()
  it("picks rows and elements by place", function()
    local x = d.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    same({ { 4, 5, 6 }, { 1, 2, 3 }, { 4, 5, 6 } }, x:index(1, { 2, 1, 2 }))
    same({ { 3 }, { 6 } }, x:index(2, 3))
    same({ { 4 }, { 4 } }, x:t():index(2, d.arange(2, 2)):narrow(1, 1, 1):expand(2, 1))
    same({ { 1, 3 }, { 6, 6 } }, x:gather(2, { { 1, 3 }, { 3, 3 } }))
    same({ { 4, 2, 6 } }, x:gather(1, { { 2, 1, 2 } }))
    assert.same({ 0, 3 }, x:index(1, d.zeros({ 0 }, { dtype = "i64" })):shape())
    fails("index: index 3 is out of range for dimension 1 of size 2", x.index, x, 1, { 1, 3 })
    fails("index: index 0 is out of range", x.index, x, 1, { 0 })
    fails("gather: the index [3,1] doesn't lie within [2,3]", x.gather, x, 2, { { 1 }, { 1 }, { 1 } })
  end)

  it("clamps between what is given", function()
    local x = d.tensor { -2, 0, 2 }
    same({ -1, 0, 1 }, x:clamp(-1, 1))
    same({ -2, 0, 1 }, x:clamp(nil, 1))
    same({ -1, 0, 2 }, x:clamp(-1))
    fails("clamp: the lower bound 2 is above the upper 1", x.clamp, x, 2, 1)
  end)
end)

describe("any number of threads", function()
  local function everything()
    local x, b = random(30, 14, 14, 24), random(30, 1, 1, 24)
    local s = x:narrow(1, 1, 8)
    local g, h = d.grad(function(p, q) return (p * q + p / (q * q + 1)):sum() end, x, b)
    return {
      x + b, x:exp(), x:sum(), x:sum { 1, 2, 3 }, x:sum { 2, 3 }, x:sum { 1, 3 }, x:mean(4), x:std(), x:norm(1),
      x:max(), x:min { 1, 2, 3 }, x:permute(1, 4, 2, 3):contiguous(), d.cat({ x, x }, 4), x:ge(0),
      d.where(x:ge(0), x, b), x:clone():mul_(b), s:cumsum(1), s:sort(2), s:logsumexp(4), s:prod(4),
      s:index(1, { 3, 1, 3 }), x:flip(3), x:pad { 0, 1, 1 }, g, h,
      d.grad(function(p) return p:index(1, { 3, 1, 3 }):square():sum() end, s),
      d.grad(function(p) return p:max { 2, 3 }:sum() end, s),
    }
  end

  it("gives the same bits", function()
    local threads = d.threads()
    d.threads(1)
    local want = everything()
    for _, n in ipairs { 2, 3 } do
      d.threads(n)
      shared.surely(function()
        for i, y in ipairs(everything()) do
          assert(want[i]:equal(y), ("result %d differs with %d threads"):format(i, n))
        end
      end)
    end
    d.threads(threads)
  end)
end)

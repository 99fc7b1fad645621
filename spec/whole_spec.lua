-- Whole numbers: what i64 gives is exact or refused, at both ends of what reals hold (2^24 of
-- f32, 2^53 of f64) and of what i64 holds.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"

local LIMIT = core.real == "f64" and 1 << 53 or 1 << 24 -- the first whole number that reals may round
local MAX, MIN = math.maxinteger, math.mininteger

local function i64(values) return d.tensor(values, { dtype = "i64" }) end
local function same(want, got)
  assert.same(want, got:totable())
  assert.equal("i64", got:dtype())
end
local function mask(want, got) assert.same(want, got:totable()) end

describe("whole numbers beyond reals", function()
  it("have exact larger and smaller ones", function()
    same({ LIMIT + 1, LIMIT + 1 }, i64 { LIMIT + 1, LIMIT }:maximum(i64 { LIMIT, LIMIT + 1 }))
    same({ LIMIT, 3 }, i64 { LIMIT + 1, 3 }:minimum(LIMIT))
    same({ MAX, 5 }, i64 { MAX - 1, 5 }:maximum(i64 { MAX, 4 }))
    assert.same({ 5, 2.5 }, i64 { 5, 1 }:maximum(2.5):totable())
  end)

  it("are added up exactly, along any dimension", function()
    same(LIMIT + 1, i64 { LIMIT, 1 }:sum())
    same(50005000, d.arange(1, 10000):sum())
    local x = i64 { { LIMIT, 1 }, { 2, 3 } }
    same({ LIMIT + 2, 4 }, x:sum(1))
    same({ { LIMIT + 1 }, { 5 } }, x:sum(2, true))
    same({ { LIMIT, 1 }, { LIMIT + 2, 4 } }, x:cumsum(1))
    same({ MAX, MIN }, i64 { { MAX, 1, -1 }, { MIN, -1, 1 } }:sum(2))
    local many = i64 { MAX >> 20 }:expand(1 << 20):clone()
    same((MAX >> 20) << 20, many:sum())
    same(255 * 300000, d.full({ 300000 }, 255, { dtype = "u8" }):sum())
  end)

  it("are multiplied exactly", function()
    same({ 3 * LIMIT + 3, 8 }, i64 { { LIMIT + 1, 3 }, { 4, 2 } }:prod(2))
    same(0, i64 { 1 << 40, 1 << 40, 0 }:prod())
    same({ (LIMIT + 1) * 7 }, i64 { LIMIT + 1 } * 7)
    same({ 50025003 }, i64 { { 5001, 5001 } }:matmul(i64 { { 5001 }, { 5002 } }):squeeze(1))
    same({ { { LIMIT + 1, 2 } }, { { 0, LIMIT * 3 } } },
      i64 { { { 1, 1 } }, { { 3, 0 } } }:matmul(i64 { { { LIMIT, 1 }, { 1, 1 } }, { { 0, LIMIT }, { 5, 5 } } }))
    same({ 4052555153018976267, -8, MIN, 1, 0 }, i64 { 3, -2, -2, 0, 0 } ^ i64 { 39, 3, 63, 0, 2 })
    same({ 1 << 62 }, 2 ^ i64 { 62 })
    same({ 25010001, 9007199515875289 }, i64 { -5001, 94906267 }:square())
    same({ 65025 }, d.full({ 1 }, 255, { dtype = "u8" }):square())
    assert.same({ 0.5, 1 }, (i64 { 2, 4 } ^ i64 { -1, 0 }):totable())
  end)

  it("are chosen as they are", function()
    local m = d.tensor { 1, 0 }
    same({ LIMIT + 1, 0 }, d.where(m, i64 { LIMIT + 1, 5 }, 0))
    assert.same({ 7, 0.5 }, d.where(m, i64 { 7, 8 }, 0.5):totable())
    fails(tostring(LIMIT + 1), d.where, m, i64 { LIMIT + 1, 5 }, 0.5)
  end)

  it("are compared with reals as they are", function()
    local x = i64 { LIMIT, LIMIT + 1 }
    if core.real == "f32" then
      mask({ 1, 0 }, x:lt(LIMIT + 0.5))
      mask({ 0, 1 }, x:gt(LIMIT + 0.5))
      mask({ 1, 0 }, x:le { LIMIT + 0.5, LIMIT + 0.5 })
    end
    local real = d.tensor { LIMIT, LIMIT }
    mask({ 0, 0 }, real:eq(LIMIT + 1))
    mask({ 1, 1 }, real:lt(LIMIT + 1))
    mask({ 0, 0 }, (-real):le(-LIMIT - 1))
    mask({ 1, 1 }, real:eq(LIMIT))
    mask({ 0, 1 }, d.tensor { 0.1, MAX }:gt(MAX - 1))
    mask({ 1, 0 }, x:eq(real))
    mask({ 0, 1 }, x:ne(real))
    mask({ 0, 1 }, x:gt(real))
    mask({ 0, 1 }, real:lt(x))
    mask({ 1, 0 }, real:ge(x))
    mask({ 1, 1, 0, 0 }, i64 { -3, 0, 1, 2 }:lt(0.5))
    mask({ 0, 1 }, i64 { -4, -3 }:ge(-3.5))
    mask({ 1, 0, 0, 1 }, i64 { MAX, MAX, MIN, MIN }:lt(d.tensor { 2 ^ 63, -1 / 0, -2 ^ 63, 1 / 0 }))
    mask({ 1, 0 }, i64 { MIN, MAX }:eq(d.tensor { -2 ^ 63, 2 ^ 63 }))
    mask({ 1, 0, 0 }, d.cat { i64 { 1 }:ne(0 / 0), i64 { 1 }:eq(0 / 0), i64 { 1 }:ge(0 / 0) })
  end)

  it("are the same only where they are", function()
    assert.is_false(i64 { LIMIT + 1 }:equal(i64 { LIMIT }))
    assert.is_false(i64 { (1 << 53) + 1 }:equal(i64 { 1 << 53 }))
    assert.is_false(i64 { LIMIT + 1 }:equal(d.tensor { LIMIT }))
    assert.is_true(d.tensor { LIMIT }:equal(i64 { LIMIT }))
    local close = { rtol = 0, atol = 2 }
    assert.is_true(i64 { MAX }:allclose(i64 { MAX - 2 }, close))
    assert.is_false(i64 { MAX }:allclose(i64 { MAX - 4096 }, close))
    assert.is_true(i64 { 5 }:allclose(d.tensor { 6.5 }, close))
    assert.is_false(d.tensor { 7.5 }:allclose(i64 { 5 }, close))
  end)

  it("are refused where they would become reals", function()
    local x, real = i64 { LIMIT + 1 }, d.ones(1)
    for _, f in ipairs { function() return x * 0.5 end, function() return x / 2 end,
      function() return x:maximum(0.5) end,
      function() return real:add_(x) end, function() return real + x end, function() return x ^ -1 end,
      function() return x:mean() end, function() return x:linear(d.ones(1, 1)) end,
      function() return real:linear(x:view(1, 1)) end, function() return d.mse(x, real) end } do
      fails(tostring(LIMIT + 1), f)
    end
    assert.equal(LIMIT + 2, (x + { 1 })[1])
  end)
end)

describe("whole numbers beyond i64", function()
  it("are refused by what would give them", function()
    for name, f in pairs {
      add = function() return i64 { MAX } + 1 end, sub = function() return i64 { MIN } - 1 end,
      mul = function() return i64 { 1 << 62 } * 2 end,
      ["3037000500"] = function() return i64 { 3037000500 }:square() end, pow = function() return 2 ^ i64 { 63 } end,
      sum = function() return i64 { MAX, 1 }:sum() end, prod = function() return i64 { 1 << 40, 1 << 40 }:prod() end,
      ["sum: of [2] a"] = function() return i64 { MIN, -1 }:sum() end,
      cumsum = function() return i64 { MIN, -1 }:cumsum() end,
      matmul = function() return i64 { { 1 << 62, 1 << 62 } }:matmul(i64 { { 1 }, { 1 } }) end,
    } do fails(name, f) end
    fails("9223372036854775807 and 1", function() return i64 { 3, MAX } + 1 end)
  end)

  it("leave what they would be written to as it was", function()
    local x = i64 { 1, MAX, 3 }
    fails("9223372036854775807 and 1", x.add_, x, 1)
    fails("9223372036854775807 and 2", x.mul_, x, 2)
    same({ 1, MAX, 3 }, x)
    local window = i64 { { 1, 2 }, { 3, 4 } }
    window:t():add_(i64 { 1 << 60, 0 })
    same({ { 1 + (1 << 60), 2 + (1 << 60) }, { 3, 4 } }, window)
  end)
end)

describe("an i64 tensor", function()
  local big = (1 << 53) + 1

  it("takes whole numbers to the last digit", function()
    same({ big, big }, d.full({ 2 }, big, { dtype = "i64" }))
    same({ big, big }, i64 { 1, 2 }:fill_(big))
    same({ big, 7, big }, i64 { 7 }:pad({ 1 }, big))
    same({ { big, -big }, { 2, MIN } }, i64 { { big, -big }, { 2.0, MIN } })
    same({ big, 8, 9 }, i64 { 7, 8, 9 }:copy_(i64 { big, 8, 9 }))
    same({ big + 6, 1 }, i64 { 7, 2 }:add_ { big - 1, -1 })
    local x = i64 { { 1, 2 }, { 3, 4 } }
    x[{ 1, 2 }], x[2] = big, { big + 1, 5 }
    same({ { 1, big }, { big + 1, 5 } }, x)
    same({ big }, d.frombytes(("<i8"):pack(big), { 1 }, "i64"))
    same({ 3, 0 }, i64 { 1, 2 }:copy_(d.tensor { 3, -0.0 }))
  end)

  it("refuses what isn't whole", function()
    local x = i64 { 1, 2 }
    for _, bad in ipairs { 1.5, 0 / 0, 1e30, -1 / 0 } do
      local shown = bad ~= bad and "nan" or ("%.14g"):format(bad)
      fails(shown, d.full, { 2 }, bad, { dtype = "i64" })
      fails(shown, d.tensor, { 1, bad }, { dtype = "i64" })
      fails(shown, d.tensor, bad, { dtype = "i64" })
      fails(shown, x.fill_, x, bad)
      fails(shown, x.pad, x, { 1 }, bad)
      fails(shown, x.copy_, x, bad)
      fails(shown, x.copy_, x, { 1, bad })
      fails(shown, function() x[1] = bad end)
      fails(shown, function() x[{ { 1, 2 } }] = { 1, bad } end)
      if bad == bad and bad ~= 1e30 then fails(tostring(bad), x.copy_, x, d.tensor { 1, bad }) end
      fails("", x.copy_, x, d.tensor { 1, bad })
    end
    fails("whole", x.add_, x, 0.5)
    fails("whole", x.mul_, x, { 1, 0.5 })
    fails("whole", x.div_, x, 1)
    same({ 1, 2 }, x)
  end)

  it("is of a set's or an oracle's numbers only where reals hold it", function()
    local limit = core.real == "f64" and 1 << 53 or 1 << 24
    local near, far = i64 { { 1 - limit }, { 2 } }, i64 { { limit + 1 }, { 2 } }
    assert.equal(1 - limit, d.data.set { x = near }.x[{ 1, 1 }])
    assert.equal(1 - limit, math.min(table.unpack(d.oracle.empirical(near):sample(60):flatten():totable())))
    fails(tostring(limit + 1), d.data.set, { x = far })
    fails(tostring(limit + 1), d.oracle.empirical, far)
  end)

  it("gives doubles only where they hold it", function()
    fails(tostring(big), d.mix, i64 { big }, d.ones(1))
    fails(tostring(big), function() return i64 { big }:sinusoid { width = 2 } end)
  end)
end)

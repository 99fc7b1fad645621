-- Windows, copies and indexing: which numbers stand where, what shares memory, and what
-- the errors say.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"

local function count(...) -- 1, 2, 3, ... in this shape
  local shape = { ... }
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return d.arange(1, n):to(core.real):reshape(shape)
end

local function same(want, got) assert.same(want, got:totable()) end

-- Integers and floats of one value are one number here.
describe("reshape", function()
  it("refuses sizes whose product is no number of this machine", function()
    local ok, message = pcall(function() return d.ones(4):reshape { 1 << 32, 1 << 32, -1 } end)
    assert.is_false(ok)
    assert.truthy(message:find("too large", 1, true), message)
  end)
end)

describe("a window", function()
  it("shares memory with its tensor", function()
    local x = count(2, 3)
    local views = { x:view(6), x:reshape(3, 2), x:t(), x:narrow(2, 1, 2), x:select(1, 2), x:expand(1, 2, 3),
      x:unsqueeze(1), x:flatten(), x:detach(), x[2] }
    local before = x:version()
    for _, view in ipairs(views) do
      view:zero_()
      assert(x:version() > before)
      before = x:version()
    end
    same({ { 0, 0, 0 }, { 0, 0, 0 } }, x)
  end)

  it("doesn't share with copies", function()
    local x = count(2, 3)
    for _, copy in ipairs { x:clone(), x:t():contiguous(), x:flip(1), x:roll(1, 1), d.cat { x },
      d.stack { x }, x:repeat_each(1), x:pad {}, x:t():reshape(6), x:to "f64":to "f32", x:index(1, { 1, 2 }) } do
      copy:zero_()
    end
    same({ { 1, 2, 3 }, { 4, 5, 6 } }, x)
  end)

  it("of a window reads the right numbers", function()
    local x = count(2, 3, 4)
    same({ { 1, 13 }, { 5, 17 }, { 9, 21 } }, x:select(3, 1):t())
    same({ { 7, 8 }, { 19, 20 } }, x:narrow(3, 3, 2):select(2, 2))
    same({ 13, 14, 15, 16 }, x[2][1])
    local p = x:permute(3, 1, 2)
    assert.same({ 4, 2, 3 }, p:shape())
    for i, j, k in (function()
      return coroutine.wrap(function()
        for i = 1, 4 do for j = 1, 2 do for k = 1, 3 do coroutine.yield(i, j, k) end end end
      end)
    end)() do
      assert.equal(x[{ j, k, i }], p[{ i, j, k }])
    end
  end)

  it("is dense or not", function()
    local x = count(2, 3)
    assert.is_true(x:is_contiguous())
    assert.is_false(x:t():is_contiguous())
    assert.is_true(x:t():contiguous():is_contiguous())
    assert.is_true(x:narrow(1, 2, 1):is_contiguous())
    assert.is_false(x:narrow(2, 1, 2):is_contiguous())
  end)
end)

describe("reshaping", function()
  it("keeps the order of elements", function()
    local x = count(2, 6)
    same({ { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 }, { 10, 11, 12 } }, x:view(4, 3))
    same({ { 1, 2, 3, 4, 5, 6 }, { 7, 8, 9, 10, 11, 12 } }, x:view(2, -1))
    same({ 1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12 }, x:t():reshape { 12 })
    assert.same({ 2, 12 }, count(2, 3, 4):flatten(2):shape())
    assert.same({ 6, 4 }, count(2, 3, 4):flatten(1, 2):shape())
    assert.same({ 24 }, count(2, 3, 4):flatten():shape())
    assert.same({ 1 }, d.tensor(5):flatten():shape())
  end)

  it("views what strides allow, and says where they don't", function()
    local x = count(4, 6)
    local half = x:narrow(2, 1, 4)
    same({ { { 1, 2 }, { 3, 4 } }, { { 7, 8 }, { 9, 10 } } }, half:view(4, 2, 2):narrow(1, 1, 2))
    same({ { { 1 }, { 2 } }, { { 7 }, { 8 } } }, half:narrow(2, 1, 2):narrow(1, 1, 2):unsqueeze(3))
    fails("view: [4,4] isn't contiguous; use reshape", half.view, half, 16)
    fails("view: [4,6] has 24 elements, [5,5] would have 25", x.view, x, 5, 5)
    fails("reshape: [4,6] has 24 elements", x.reshape, x, 7)
    fails("don't divide by 5", x.view, x, 5, -1)
    assert.same({ 3, 0 }, d.zeros(0, 3):reshape(3, 0):shape())
    assert.same({ 0, 5 }, d.zeros(2, 0, 3):permute(3, 1, 2):view(0, 5):shape())
  end)

  it("takes away and adds sizes of 1", function()
    local x = d.zeros(1, 3, 1)
    assert.same({ 3 }, x:squeeze():shape())
    assert.same({ 3, 1 }, x:squeeze(1):shape())
    assert.same({ 1, 3, 1 }, x:squeeze(2):shape())
    assert.same({ 1, 3, 1, 1 }, x:unsqueeze(-1):shape())
    assert.same({ 1, 1, 3, 1 }, x:unsqueeze(1):shape())
  end)

  it("lays a tensor over a larger one", function()
    local image = d.zeros(2, 5, 6, 3)
    assert.same({ 2, 1, 1, 3 }, d.zeros(2, 3):over(image):shape())
    assert.same({ 2, 1, 1, 1 }, d.zeros(2):over(image):shape())
    assert.same({ 2, 5, 6, 3 }, (image + d.zeros(2, 3):over(image)):shape())
    fails("over: [2,4] does not broadcast over [2,5,6,3]", d.zeros(2, 4).over, d.zeros(2, 4), image)
  end)

  it("stretches sizes of 1", function()
    same({ { 1, 2 }, { 1, 2 } }, count(2):expand(2, 2))
    same({ { 1, 1, 1 }, { 2, 2, 2 } }, count(2, 1):expand(2, 3))
    fails("expand: [2] cannot be broadcast to [3]", count(2).expand, count(2), 3)
  end)
end)

describe("an index", function()
  local x
  before_each(function() x = count(3, 4) end)

  it("picks rows, ranges with both ends, and numbers", function()
    same({ 5, 6, 7, 8 }, x[2])
    same({ 9, 10, 11, 12 }, x[-1])
    assert.equal(7, x[2][3])
    assert.equal(7, x[{ 2, 3 }])
    same({ { 2, 3 }, { 6, 7 } }, x[{ { 1, 2 }, { 2, 3 } }])
    same({ 3, 7, 11 }, x[{ {}, 3 }])
    same({ { 11, 12 } }, x[{ { -1 }, { -2, -1 } }])
    same({ { 1, 2, 3, 4 } }, x[{ { 1, 1 } }])
    assert.same({ 0, 4 }, x[{ { 2, 1 } }]:shape())
    assert.equal(3, #x)
    assert.equal(4, #x[1])
  end)

  it("writes numbers and tensors", function()
    x[1] = 0
    x[{ {}, 2 }] = d.tensor { 7, 8, 9 }
    x[{ 3, { 3, 4 } }] = { -1, -2 }
    x[{ 2, -1 }] = 5
    same({ { 0, 7, 0, 0 }, { 5, 8, 7, 5 }, { 9, 9, -1, -2 } }, x)
    x[{ {}, { 1, 2 } }] = d.tensor { { 1 }, { 2 }, { 3 } }
    same({ { 1, 1, 0, 0 }, { 2, 2, 7, 5 }, { 3, 3, -1, -2 } }, x)
    local v = d.arange(1, 4)
    v[2] = 20
    same({ 1, 20, 3, 4 }, v)
  end)

  it("writes a window into another of the same tensor", function()
    local v = count(6)
    v[{ { 2, 6 } }] = v[{ { 1, 5 } }]
    same({ 1, 1, 2, 3, 4, 5 }, v)
    local m = count(3, 3)
    m:copy_(m:t())
    same({ { 1, 4, 7 }, { 2, 5, 8 }, { 3, 6, 9 } }, m)
    m:add_(m:t())
    same({ { 2, 6, 10 }, { 6, 10, 14 }, { 10, 14, 18 } }, m)
  end)

  it("out of range is an error with the numbers in it", function()
    local wide = d.zeros(28, 2)
    fails("index 30 is out of range for dimension 1 of size 28", function() return wide[30] end)
    fails("index 0 is out of range for dimension 1 of size 28", function() return wide[0] end)
    fails("index -3 is out of range for dimension 2 of size 2", function() return wide[{ 1, -3 }] end)
    fails("index 5 is out of range for dimension 1 of size 3", function() return d.zeros(3)[5] end)
    fails("3 indices for a tensor [28,2]", function() return wide[{ 1, 1, 1 }] end)
    fails("runs backwards", function() return wide[{ { 5, 2 } }] end)
    fails("an index is a whole number", function() return wide[1.5] end)
    fails("[3] doesn't stretch to [2]", function() wide[1] = d.zeros(3) end)
    fails("narrow: 3 elements from 27 on", wide.narrow, wide, 1, 27, 3)
  end)

  it("of a name that is no method is an error", function()
    fails("a tensor has no 'sizes'; did you mean 'size'?", function() return x.sizes end)
  end)

  it("goes through the first dimension", function()
    local seen = {}
    for i, row in x:iter() do seen[i] = row:totable() end
    assert.same(x:totable(), seen)
    local sum = 0
    for _, v in d.tensor { 1, 2, 3 }:iter() do sum = sum + v end
    assert.equal(6, sum)
  end)
end)

describe("a range", function()
  local max, min = math.maxinteger, math.mininteger

  it("of whole numbers is exact, however large they are", function()
    local big = 1 << 60
    same({ big, big + 1, big + 2 }, d.arange(big, big + 2))
    same({ big + 2, big + 1, big }, d.arange(big + 2, big, -1))
    same({ max - 1, max }, d.arange(max - 1, max))
    same({ min, -1, max - 1 }, d.arange(min, max, max))
    same({ max, -1 }, d.arange(max, min, min))
    same({ 1, 4, 7 }, d.arange(1, 9, 3))
    assert.same({ 0 }, d.arange(3, 1):shape())
    assert.same({ 0 }, d.arange(max, min):shape())
    fails("too many elements", d.arange, min, max)
    fails("a step other than 0", d.arange, 1, 2, 0)
  end)

  it("of real numbers has both ends", function()
    assert.allclose({ 0, 0.1, 0.2, 0.3 }, d.arange(0, 0.3, 0.1), { rtol = 2e-7 })
  end)
end)

describe("many places that are one number", function()
  local wide, why
  before_each(function()
    wide = d.zeros(1):expand(100000)
    why = "many places of the expanded [100000] are one number in memory"
  end)

  it("aren't written to", function()
    for _, name in ipairs { "add_", "sub_", "mul_", "div_", "fill_", "copy_" } do
      fails(name == "fill_" and "copy: " .. why or why, wide[name], wide, 1)
    end
    fails(why, wide.zero_, wide)
    fails("the expanded [3]", function() d.zeros(2):expand(3, 2)[{ {}, 1 }] = d.zeros(3) end)
    fails("the expanded [5]", function() wide[{ { 1, 5 } }] = 1 end)
    assert.equal(0, wide:sum():item())
  end)

  it("are written to once they are copied, and where there is one place", function()
    assert.equal(100000, wide:clone():add_(1):sum():item())
    assert.equal(2, d.ones(1):expand(1, 1):add_(1):item())
    local y = d.zeros(2, 3)
    same({ { 1, 1, 1 }, { 2, 2, 2 } }, y:copy_(count(2, 1):expand(2, 3)))
  end)
end)

describe("sizes that no machine has", function()
  local max = math.maxinteger

  it("are a sentence where a tensor is made", function()
    for e = 50, 62 do
      local ok, message = pcall(d.zeros, 1 << e)
      assert.is_false(ok)
      assert.is_truthy(message:find "not enough memory" or message:find "too large", message)
    end
    fails("too large", d.zeros, 0, 1 << 40, 1 << 40)
    fails("too large", d.zeros(1, 1).expand, d.zeros(1, 1), 1 << 40, 1 << 40)
    fails("too large", function() return d.zeros(1):expand(1 << 62) + 1 end)
    fails("too large", function() return d.zeros(1, 1):expand(1 << 40, 1) + d.zeros(1):expand(1 << 40) end)
  end)

  it("are a sentence where a tensor grows", function()
    local long = d.zeros(1):expand(1 << 62)
    fails("cat: dimension 1 of [4611686018427387904] would become too large", d.cat, { long, long })
    fails("repeat_each: dimension 1 of [4] would become too large", d.ones(4).repeat_each, d.ones(4), max)
    for _, margins in ipairs { { max, max }, { max, 0 }, { 0, max } } do
      fails("pad: dimension 1 of [4] would become too large", d.ones(4).pad, d.ones(4), { margins })
    end
    local image = d.zeros(1, 1, 1, 1):expand(1, 1 << 60, 1, 1)
    fails("upsample: [1,1152921504606846976,1,1] times 64 is too large", image.upsample, image, 64)
  end)
end)

describe("putting together", function()
  it("joins along a dimension, and along a new one", function()
    local a, b = count(2, 2), count(2, 1) * 10
    same({ { 1, 2, 10 }, { 3, 4, 20 } }, d.cat({ a, b }, 2))
    same({ { 1, 2 }, { 3, 4 }, { 1, 3 }, { 2, 4 } }, d.cat { a, a:t() })
    same({ { { 1, 2 }, { 3, 4 } }, { { 1, 2 }, { 3, 4 } } }, d.stack { a, a })
    same({ { { 1, 1 }, { 2, 2 } }, { { 3, 3 }, { 4, 4 } } }, d.stack({ a, a }, -1))
    assert.same({ 2 }, d.stack { d.tensor(1), d.tensor(2) }:shape())
    same({ 1, 2, 3 }, d.cat { d.arange(1, 3), d.zeros({ 0 }, { dtype = "i64" }) })
    fails("cat: tensor 2 is [3,1] and the first [2,2]", d.cat, { a, d.zeros(3, 1) }, 2)
    fails("cat: tensor 2 is i64 and the first f", d.cat, { a, d.arange(1, 4):view(2, 2) })
  end)

  it("joins lines of any length, lying together or not, in any type", function()
    for _, size in ipairs { { 700, 3, 5 }, { 70, 16, 16 }, { 3, 40, 5000 }, { 2, 0, 3 }, { 0, 3, 1 } } do
      local n, p, q = table.unpack(size)
      for _, dtype in ipairs { core.real, "u8", "i64", "bf16" } do
        local whole = d.randint(0, 250, { n * (p + q) }):to(dtype):reshape(n, p + q)
        local a, b = whole:narrow(2, 1, p), whole:narrow(2, p + 1, q)
        for _, pair in ipairs { { a, b }, { a:clone(), b:clone() }, { a:clone(), b }, { a, b:t():clone():t() } } do
          assert.is_true(d.cat(pair, 2):equal(whole), ("%d lines of %d and %d, %s"):format(n, p, q, dtype))
        end
      end
    end
    local row, many = count(1, 4):expand(600, 4), count(600, 3)
    local both = d.cat({ row, many, row }, 2)
    assert.is_true(both:narrow(2, 1, 4):equal(row) and both:narrow(2, 8, 4):equal(row))
    assert.is_true(both:narrow(2, 5, 3):equal(many))
  end)

  it("sends each operand its part of the gradient, and all of it to one that comes twice", function()
    local x, y, w = count(300, 4), count(300, 2), count(300, 10)
    local gx, gy = d.grad(function(a, b) return (d.cat({ a, b, a }, 2) * w):sum() end, x, y)
    assert.is_true(gx:equal(w:narrow(2, 1, 4) + w:narrow(2, 7, 4)))
    assert.is_true(gy:equal(w:narrow(2, 5, 2)))
  end)

  it("turns around, rolls, repeats and pads", function()
    local x = count(2, 3)
    same({ { 3, 2, 1 }, { 6, 5, 4 } }, x:flip(2))
    same({ { 6, 5, 4 }, { 3, 2, 1 } }, x:flip { 1, 2 })
    same({ { 3, 1, 2 }, { 6, 4, 5 } }, x:roll(1, 2))
    same({ { 2, 3, 1 }, { 5, 6, 4 } }, x:roll(-1, 2))
    same(x:totable(), x:roll(6, 2))
    same({ 1, 1, 2, 2, 3, 3 }, d.arange(1, 3):repeat_each(2))
    same({ { 1, 1, 2, 2, 3, 3 }, { 4, 4, 5, 5, 6, 6 } }, x:repeat_each(2, 2))
    same({ { 9, 9, 9, 9, 9 }, { 9, 1, 2, 3, 9 }, { 9, 4, 5, 6, 9 } }, x:pad({ { 1, 0 }, 1 }, 9))
    assert.same({ 2, 3 }, x:pad {}:shape())
    fails("a margin can't be negative", x.pad, x, { -1 })
  end)

  it("works without elements", function()
    local none = d.zeros(0, 3)
    assert.same({ 0, 3 }, none:flip(2):shape())
    assert.same({ 0, 3 }, none:roll(1, 1):shape())
    assert.same({ 2, 3 }, d.cat { none, d.ones(2, 3) }:shape())
    assert.same({ 2, 3 }, none:pad { 1 }:shape())
    assert.same({ 3, 0 }, none:t():contiguous():shape())
    assert.same({ 0, 6 }, none:repeat_each(2, 2):shape())
  end)
end)

describe("a copy of any type", function()
  it("keeps bytes, classes and doubles as they are", function()
    for _, dtype in ipairs { "u8", "i64", "f64", "f32", "f16", "bf16" } do
      local x = d.tensor({ { 1, 2, 3 }, { 4, 5, 6 } }, { dtype = dtype })
      for _, y in ipairs { x:t():contiguous():t(), x:flip(1):flip(1), x:index(1, { 1, 2 }), x:clone(),
        d.cat({ x:narrow(2, 1, 1), x:narrow(2, 2, 2) }, 2), x:roll(2, 1), x:view(3, 2):view(2, 3) } do
        assert.equal(dtype, y:dtype())
        same({ { 1, 2, 3 }, { 4, 5, 6 } }, y)
      end
    end
  end)

  it("converts", function()
    same({ 0, 3, 255 }, d.tensor { -1, 2.5001, 300 }:to "u8")
    same({ -1, 2, 300 }, d.tensor { -1.9, 2.7, 300 }:to "i64")
    assert.equal(1 + 2 ^ -10, d.tensor { 1 + 2 ^ -10 + 2 ^ -13 }:to "f16"[1])
    assert.equal(2 ^ 53 + 1 | 0, d.tensor({ 2 ^ 53 + 1 | 0 }, { dtype = "i64" }):clone()[1])
    fails("no type 'float'", d.zeros(1).to, d.zeros(1), "float")
  end)

  it("saturates where whole numbers end", function()
    local wide = { 0 / 0, 1 / 0, -1 / 0, 1e300, -1e300, 2 ^ 63, -2 ^ 63, 2 ^ 62, -7.9 }
    local max, min = math.maxinteger, math.mininteger
    for _, dtype in ipairs { "f64", "f32" } do
      local limit = dtype == "f32" and 1e38 or 1e300
      wide[4], wide[5] = limit, -limit
      same({ 0, max, min, max, min, max, min, 1 << 62, -7 }, d.tensor(wide, { dtype = dtype }):to "i64")
    end
  end)

  it("copies large windows as small ones", function()
    local x = count(64, 33, 5)
    local p = x:permute(3, 1, 2):contiguous()
    for _, at in ipairs { { 1, 1, 1 }, { 64, 33, 5 }, { 17, 20, 3 }, { 40, 1, 4 } } do
      assert.equal(x[at], p[{ at[3], at[1], at[2] }])
    end
    assert.is_true(p:permute(2, 3, 1):equal(x))
    assert.is_true(x:permute(2, 1, 3):contiguous():permute(2, 1, 3):equal(x))
  end)
end)

describe("the gradient", function()
  it("passes through a change of type", function()
    local g = d.grad(function(x) return (x:to "f16":to "f32" * 3):sum() end, d.ones(2))
    same({ 3, 3 }, g)
  end)

  it("doesn't pass through detach", function()
    local g = d.grad(function(x) return (x * x:detach()):sum() end, d.tensor { 2, 3 })
    same({ 2, 3 }, g)
  end)

  it("refuses to write into what is recorded", function()
    fails("part of what is being recorded", d.grad, function(x)
      local y = x * 2
      y:add_(1)
      return y:sum()
    end, d.ones(2))
    fails("part of what is being recorded", d.grad, function(x)
      local y = x * 2
      y[1] = 0
      return y:sum()
    end, d.ones(2))
    fails("would lose its gradient", d.grad, function(x)
      local y = d.zeros(2)
      y:copy_(x)
      return y:sum()
    end, d.ones(2))
  end)

  it("notices that a kept value was written to, through a window too", function()
    local w = d.ones(2, 2)
    fails("was written to in place", d.grad, function(x)
      local y = (x * w):sum()
      w[1]:zero_()
      return y
    end, d.ones(2, 2))
  end)
end)

describe("a tensor in a number's place", function()
  it("is named by its shape, and nan has no sign", function()
    fails("0 or more, got a tensor [3]", d.zeros, { d.ones(3) })
    fails("dimension a tensor [2] of a tensor [3]", function() d.ones(3):sum(d.ones(2)) end)
    fails("0 or more, got nan", d.zeros, 0 / 0)
    fails("size 2 must be a whole number, got a tensor [2]", function() d.ones(4):reshape(2, d.ones(2)) end)
  end)
end)

-- Functions of tensors refuse unsuitable arguments: fields in a list, numbers instead of
-- booleans, surplus arguments.
local d = require "diffusion"
local fails = require "spec.support.fails"

local x = d.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
local function same(want, got) assert.same(want, got:totable()) end

describe("a list", function()
  it("of sizes takes no options", function()
    for _, f in ipairs { d.randn, d.rand, d.zeros, d.ones } do
      fails("'seed'", f, { 2, 3, seed = 1 })
      fails("'dtype'", f, { 2, 2, dtype = "i64" })
    end
    fails("'seed'", d.bernoulli, 0.5, { 2, seed = 1 })
    fails("'seed'", d.randint, 1, 6, { 2, seed = 1 })
    fails("'dtype'", d.full, { 2, dtype = "u8" }, 1)
    fails("'dtype'", d.zeros, { dtype = "i64" })
    fails("'dtype'", d.frombytes, "", { 0, dtype = "u8" })
    local g = d.generator { seed = 1 }
    fails("'seed'", g.randn, g, { 2, seed = 1 })
    for _, name in ipairs { "view", "reshape", "expand" } do fails("'dtype'", x[name], x, { 2, 3, dtype = "i64" }) end
    fails("'a'", x.permute, x, { 2, 1, a = 1 })
    assert.is_true(d.randn({ 2, 3 }, { seed = 1 }):equal(d.randn(2, 3, { seed = 1 })))
    assert.same({}, d.randn { seed = 1 }:shape())
  end)

  it("of numbers, tensors, margins or places takes no options", function()
    fails("'dtype'", d.tensor, { 1, 2, dtype = "i64" })
    fails("'a'", d.tensor, { { 1, 2 }, { 3, 4, a = 1 } })
    fails("'dim'", d.cat, { x, x, dim = 2 })
    fails("'dim'", d.stack, { x, x, dim = 2 })
    fails("'value'", x.pad, x, { 1, value = 3 })
    fails("'a'", x.pad, x, { { 1, 2, a = 1 } })
    fails("not 1", x.pad, x, { { 1 } })
    fails("not 3", x.pad, x, { { 1, 2, 3 } })
    fails("bad argument #2 to 'pad' (a margin is a whole number, got 0.5)", x.pad, x, { 0.5 })
    fails("got 1.5", x.pad, x, { { 1, 1.5 } })
    fails("dimension none of", x.roll, x, 1)
    fails("'a'", d.mix, { 1, 2, a = 1 }, x)
    fails("'a'", x.index, x, 1, { 1, a = 2 })
    fails("'a'", function() return x + { 1, 2, 3, a = 1 } end)
    fails("'dim'", function() return x[{ 1, dim = 2 }] end)
    fails("'step'", function() return x[{ { 1, 2, step = 2 } }] end)
    fails("'a'", d.unet, { image = { 8, 8, 1, a = 2 } })
    fails("'4'", d.tensor, { 1, 2, [4] = 3 })
    fails("'a'", d.oracle.gaussian, { mean = { 0, 0, a = 1 }, std = 1 })
    fails("'a'", d.oracle.mixture, { means = { { 0 }, { 1 } }, std = 1, weights = { 1, 2, a = 1 } })
    local _, message = pcall(function() return d.schedule.from_beta { 0.1, 0.2, a = 1 } end)
    assert.truthy(message:find("argument_spec.lua:%d+: a list takes no field 'a'"), message)
  end)

  it("may have been filled in any order", function()
    local list = {}
    for i = 9, 1, -1 do list[i] = i end
    same({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, d.tensor(list))
    list.a = 1
    fails("'a'", d.tensor, list)
  end)

  it("of dimensions takes no fields, and each once", function()
    for _, name in ipairs { "sum", "mean", "max", "min", "std", "var", "prod", "norm", "logsumexp", "any", "all",
      "argmax", "argmin", "flip" } do
      fails("'dim'", x[name], x, { dim = 1 })
      fails("'keep'", x[name], x, { 1, keep = true })
      fails("no dimensions", x[name], x, {})
      fails("twice", x[name], x, { 1, -2 })
      fails("text", x[name], x, "1")
      fails("(dimension 1.5 of", x[name], x, { 1.5 })
    end
    for _, name in ipairs { "softmax", "log_softmax", "cumsum", "sort", "squeeze", "flatten" } do
      fails("dimension a table of a tensor [2,3]", x[name], x, { dim = 1 })
    end
  end)
end)

describe("a flag", function()
  it("is a boolean", function()
    for _, name in ipairs { "sum", "mean", "max", "min", "std", "var", "prod", "norm", "logsumexp", "any", "all",
      "argmax", "argmin" } do
      for _, keep in ipairs { 2, 0, "true" } do
        fails("keep: true or false expected, got " .. keep, x[name], x, 1, keep)
      end
      assert.same({ 1, 3 }, (x[name](x, 1, true)):shape())
      assert.same({ 3 }, (x[name](x, 1, false)):shape())
    end
    fails("keep", x.quantile, x, 0.5, 1, 2)
    fails("descending: true or false expected, got 1", x.sort, x, 1, 1)
    fails("option 'silu': true or false expected, got 1", x.group_norm, x, nil, nil, { groups = 1, silu = 1 })
    local loss = d.record(function() return x:sum() end)
    fails("option 'keep': true or false expected, got 1", loss.backward, loss, { keep = 1 })
  end)
end)

describe("a range", function()
  it("of one place is that place", function()
    same({ { 4, 5, 6 } }, x[{ { 2 } }])
    same({ { 1, 2, 3 } }, x[{ { 1 } }])
    same({ { 2 }, { 5 } }, x[{ {}, { -2 } }])
    same({ { 1, 2 }, { 4, 5 } }, x[{ {}, { 1, 2 } }])
    local y = x:clone()
    y[{ { 1 } }] = 0
    same({ { 0, 0, 0 }, { 4, 5, 6 } }, y)
    fails("3 numbers", function() return x[{ { 1, 2, 3 } }] end)
  end)
end)

describe("an argument too many", function()
  it("is named", function()
    for name, given in pairs {
      exp = { 2 }, sqrt = { {} }, relu = { 0.1 }, neg = { 1 }, t = { 1 }, clone = { {} }, softmax = { 1, 2 },
      cumsum = { 1, true }, sum = { 1, true, 0 }, max = { 1, true, 0 }, sort = { 1, true, 0 }, topk = { 1, 1, 1 },
      any = { 1, true, 1 }, view = { { 3, 2 }, 1 }, permute = { { 2, 1 }, 1 }, expand = { { 2, 3 }, 4 },
      narrow = { 1, 1, 1, 1 }, squeeze = { 1, 1 }, clamp = { 0, 1, 2 }, shape = { 1 }, dim = { 1 },
      size = { 1, 2 }, dtype = { "i64" }, item = { 1 }, totable = { 1 }, iter = { 1 }, numel = { 1 },
    } do
      fails("an argument too many", x[name], x, table.unpack(given))
    end
    fails("an argument too many", d.zeros, { 2 }, nil, 3)
    fails("an argument too many", d.arange, 1, 2, 1, 1)
    for _, f in ipairs { d.randn, d.rand } do
      fails("an argument too many", f, 2, 3, { seed = 1 }, 4)
      fails("an argument too many", f, { 2, 3 }, { seed = 1 }, { dtype = "f32" })
    end
    fails("an argument too many", d.randint, 1, 6, { 2 }, { seed = 1 }, 4)
    fails("an argument too many", d.bernoulli, 0.5, { 2 }, { seed = 1 }, 4)
    fails("an argument too many", d.randperm, 4, { seed = 1 }, 4)
    fails("an argument too many", d.linspace, 0, 1, 3, {})
    same({ 5, 7, 9 }, x:sum(1, nil, nil, nil))
    same({ { -1, -2, -3 }, { -4, -5, -6 } }, -x)
  end)

  it("is named where two or three tensors are taken, too", function()
    local y, i = x:t(), d.tensor({ { 1, 1, 1 } }, { dtype = "i64" })
    for name, given in pairs {
      add = { x, "2" }, sub = { 1, 2 }, mul = { 2, {} }, div = { 2, "floor" }, maximum = { 1, 2 }, pow = { 2, 3 },
      eq = { 1, 2 }, lt = { x, true }, matmul = { y, true }, linear = { x, nil, 5 }, index = { 1, { 1 }, 2 },
      gather = { 1, i, "" }, over = { x, "1" }, add_ = { 1, 2 }, sub_ = { 1, {} }, mul_ = { x, "2" },
      div_ = { 2, "floor" }, copy_ = { 1, 2 }, fill_ = { 1, 2 }, zero_ = { 0 }, equal = { x, true },
    } do
      fails("an argument too many", x[name], x, table.unpack(given, 1, 3))
    end
    fails("an argument too many", d.where, x, 1, 2, 3)
    local a = { { 1, 0 }, { 0, 1 } }
    fails("an argument too many", d.linalg.solve, a, { 1, 2 }, 3)
    fails("an argument too many", d.linalg.eigh, a, {})
    fails("an argument too many", d.linalg.cholesky, a, "lower")
    same({ { 1, 2, 3 }, { 4, 5, 6 } }, x)
  end)

  it("may be what a call returns beside a tensor", function()
    assert.is_true(x:max(1):equal(x:max(1)))
    same({ { 0, 0, 0 }, { 1, 1, 1 } }, x:ge(x:max(1)))
    local process = d.process { schedule = d.schedule.cosine { T = 9 } }
    assert.is_number(select(2, process:q_moments(x, 5)))
    same((x + (process:q_moments(x, 5))):totable(), x:add(process:q_moments(x, 5)))
  end)
end)

describe("an unknown option", function()
  it("is answered with the nearest one, if it is near", function()
    fails("unknown option 'sede'; did you mean 'seed'?", d.randn, { 2 }, { sede = 1 })
    fails("unknown option 'ksee'; valid:", d.randn, { 2 }, { ksee = 1 })
  end)

  it("of any length has the distance of all its letters", function()
    fails(("k"):rep(100) .. "'; valid:", d.randn, { 2 }, { [("k"):rep(100)] = 1 })
    local core = require "diffusion.core"
    local long = ("ab"):rep(40)
    assert.equal(long, core.nearest(long:sub(1, 70), { "ab", long }))
    assert.is_nil(core.nearest(long:sub(2, 51), { "ab", long }))
    assert.equal("steps", core.nearest("stpes", { "seed", "steps", "stops" }))
    assert.is_nil(core.nearest("steps", {}))
  end)

  it("is near a name that it is the beginning of", function()
    local core = require "diffusion.core"
    assert.equal("learning_rate", core.nearest("learn", { "clip", "learning_rate" }))
    assert.is_nil(core.nearest("rate", { "clip", "learning_rate" }))
    assert.is_nil(core.nearest("le", { "clip", "learning_rate" }))
    local nearest = require "diffusion.opts".nearest
    assert.equal("DDIMScheduler", nearest("DDIM", { "DDIMInverseScheduler", "DDIMScheduler" }))
    assert.equal("steps", nearest("stpes", { "seed", "steps" }))
    assert.is_nil(nearest("st", { "steppers" }))
  end)
end)

describe("clamp", function()
  it("refuses a bound that is nan", function()
    fails("lower bound is nan", x.clamp, x, 0 / 0)
    fails("upper bound is nan", x.clamp, x, 0, 0 / 0)
  end)
end)

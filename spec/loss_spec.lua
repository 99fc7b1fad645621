-- Losses against their definitions, written out.
local d = require "diffusion"
local core = require "diffusion.core"
local flat = require "spec.support.flat"

-- Means of f(a - b) over all elements, and over each of B samples.
local function by_hand(a, b, f)
  local B, n = a:size(1), a:numel() // a:size(1)
  local x, y, each, all = flat(a), flat(b), {}, 0
  for i = 1, B do
    local sum = 0
    for j = (i - 1) * n + 1, i * n do sum = sum + f(x[j] - y[j]) end
    each[i], all = sum / n, all + sum / n / B
  end
  return all, each
end

local measures = {
  mse = function(e) return e * e end,
  l1 = math.abs,
  huber = function(e) return math.abs(e) <= 0.5 and e * e / 2 or 0.5 * (math.abs(e) - 0.25) end,
}

describe("losses of a difference", function()
  it("are means over all, or over each sample", function()
    for _, shape in ipairs { { 3 }, { 4, 5 }, { 2, 3, 40011 } } do
      local a, b = d.randn(shape, { seed = 1 }), d.randn(shape, { seed = 2 })
      for name, f in pairs(measures) do
        local options = name == "huber" and { delta = 0.5 } or nil
        local all, each = by_hand(a, b, f)
        assert.near(all, options and d[name](a, b, options):item() or d[name](a, b):item(), 2e-6 * all)
        local got = options and d[name](a, b, "sample", options) or d[name](a, b, "sample")
        assert.allclose(each, got, { rtol = 2e-6 })
      end
    end
  end)

  it("join where huber's branches meet", function()
    local function at(x) return d.huber(d.tensor { x }, d.tensor { 0 }, { delta = 2 }):item() end
    assert.near(2, at(2), 1e-6)
    assert.near(2, at(-2), 1e-6)
    assert.near(2 * (1e4 - 1), at(1e4), 1e-2)
    assert.near(0.5, d.huber(d.tensor { 1 }, d.tensor { 0 }):item(), 1e-7)
  end)

  it("give the same bits on any number of threads", function()
    local a, b, threads, seen = d.randn({ 2, 100003 }, { seed = 1 }), d.zeros(2, 100003), d.threads(), {}
    for count = 1, 3 do
      d.threads(count)
      seen[count] = d.mse(a, b):bytes() .. d.l1(a, b, "sample"):bytes()
    end
    d.threads(threads)
    assert.is_true(seen[1] == seen[2] and seen[2] == seen[3])
  end)

  it("name what doesn't fit", function()
    assert.error_matches(function() d.mse(d.zeros(2, 3), d.zeros(3, 2)) end,
      "mse: a is %[2,3%] but b is %[3,2%]")
    assert.error_matches(function() d.huber(d.zeros(2), d.zeros(2), { delta = 0 }) end,
      "delta must be above 0, got 0")
    assert.has_error(function() d.mse(d.zeros(2), d.zeros(2), "samples") end)
    assert.has_error(function() d.l1(d.zeros(0), d.zeros(0)) end)
  end)
end)

describe("cross entropy", function()
  it("is -log softmax at the class", function()
    local x, class = d.randn({ 6, 5 }, { seed = 1 }), { 1, 5, 2, 2, 3, 4 }
    local each, all = {}, 0
    for i, row in ipairs(x:totable()) do
      local sum = 0
      for _, v in ipairs(row) do sum = sum + math.exp(v) end
      each[i] = math.log(sum) - row[class[i]]
      all = all + each[i] / 6
    end
    assert.allclose(each, d.cross_entropy(x, class, "sample"), { rtol = 2e-6, atol = 1e-6 })
    assert.near(all, d.cross_entropy(x, d.tensor(class, { dtype = "i64" })):item(), 2e-6)
    assert.near(math.log(10), d.cross_entropy(d.zeros(3, 10), { 1, 2, 10 }):item(), 1e-6)
  end)

  it("stays finite for large logits", function()
    assert.near(2000, d.cross_entropy({ { 1000, -1000 } }, { 2 }):item(), 1e-3)
    assert.near(0, d.cross_entropy({ { 1000, -1000 } }, { 1 }):item(), 1e-6)
  end)

  it("has softmax less one at the class for its slope, however large the logits", function()
    for _, base in ipairs { 0, 1000, -30000 } do
      local above, x, sum = { 0, 1.5, -2.25, 0.75 }, {}, 0
      for i, v in ipairs(above) do x[i], sum = base + v, sum + math.exp(v) end
      local g = d.grad(function(x_) return d.cross_entropy(x_, { 2 }) end, d.tensor { x })
      for i, v in ipairs(above) do
        assert.near(math.exp(v) / sum - (i == 2 and 1 or 0), g[{ 1, i }], 2e-7)
      end
    end
  end)

  it("names the class that there isn't", function()
    assert.error_matches(function() d.cross_entropy(d.zeros(2, 3), { 1, 4 }) end,
      "class 2 is 4, outside 1%.%.3")
    assert.has_error(function() d.cross_entropy(d.zeros(2, 3), { 1 }) end)
  end)
end)

describe("softmax", function()
  it("sums to 1 along its dimension and doesn't see a shift", function()
    local x = d.randn({ 3, 4, 5 }, { seed = 1 })
    for dim = 1, 3 do
      local y = x:softmax(dim):totable()
      local size, at = { 3, 4, 5 }, {}
      for i = 1, 3 do
        for j = 1, 4 do
          for k = 1, 5 do
            local index = { i, j, k }
            index[dim] = 1
            local key = table.concat(index, ",")
            at[key] = (at[key] or 0) + y[i][j][k]
          end
        end
      end
      local lines = 0
      for _, sum in pairs(at) do
        assert.near(1, sum, 1e-6)
        lines = lines + 1
      end
      assert.equal(60 // size[dim], lines)
    end
    local a, b = d.tensor { { 1, 2, 3 } }, d.tensor { { 1001, 1002, 1003 } }
    assert.allclose(a:softmax(2), b:softmax(2), { rtol = 1e-6 })
    assert.allclose(a:log_softmax(-1), b:log_softmax(-1), { rtol = 1e-6 })
  end)

  it("and its logarithm agree", function()
    local x = d.randn({ 7, 3000 }, { seed = 2 })
    local p, l = flat(x:softmax(2)), flat(x:log_softmax(2))
    for i = 1, #p do assert.near(math.log(p[i]), l[i], 1e-5) end
    local log = d.tensor({ { 0, 200 } }):log_softmax(2)
    assert.allclose({ { -200, 0 } }, log)
    assert.near(1, flat(core.ops.softmax(d.zeros(1), 1))[1], 0)
  end)
end)

-- Random numbers: known answers of the bits, the laws that the numbers follow, and that a
-- sample is the same wherever it is drawn.
local d = require "diffusion"
local core = require "diffusion.core"
local flat = require "spec.support.flat"

local function words(...)
  local hex = {}
  for i, w in ipairs { ... } do hex[i] = ("%08x"):format(w) end
  return table.concat(hex, " ")
end

-- The largest distance between the share of values below x and the law's.
local function kolmogorov(values, law)
  table.sort(values)
  local worst, n = 0, #values
  for i, x in ipairs(values) do
    local p = law(x)
    worst = math.max(worst, math.abs(p - (i - 1) / n), math.abs(i / n - p))
  end
  return worst
end

-- Mean of x^k.
local function moment(values, k)
  local sum = 0
  for _, x in ipairs(values) do sum = sum + x ^ k end
  return sum / #values
end

-- The normal law by Simpson's rule from 0.
local function normal_law(x)
  local n, sum = 40, 0
  local h = x / n
  for i = 0, n do
    local weight = (i == 0 or i == n) and 1 or (i % 2 == 1 and 4 or 2)
    sum = sum + weight * math.exp(-(i * h) ^ 2 / 2)
  end
  return 0.5 + sum * h / 3 / math.sqrt(2 * math.pi)
end

describe("Philox", function()
  it("gives Random123's known answers", function()
    local ones = 0xffffffff
    assert.equal("6627e8d5 e169c58d bc57ac4c 9b00dbd8", words(core.philox({ 0, 0, 0, 0 }, { 0, 0 })))
    assert.equal("408f276d 41c83b0e a20bc7c6 6d5451fd",
      words(core.philox({ ones, ones, ones, ones }, { ones, ones })))
    assert.equal("d16cfe09 94fdcceb 5001e420 24126ea1",
      words(core.philox({ 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 })))
  end)
end)

describe("randn and rand", function()
  local n = 40000
  local limit = 1.95 / math.sqrt(n)   -- exceeded once in a thousand seeds

  it("follow their laws", function()
    local x = flat(d.randn(n, { seed = 11 }))
    assert.near(0, moment(x, 1), 4 / math.sqrt(n))
    assert.near(1, moment(x, 2), 4 * math.sqrt(2 / n))
    assert.near(0, moment(x, 3), 4 * math.sqrt(15 / n))
    assert.near(3, moment(x, 4), 4 * math.sqrt(96 / n))
    assert.is_true(kolmogorov(x, normal_law) < limit)
    local u = flat(d.rand(n, { seed = 12 }))
    assert.near(1 / 2, moment(u, 1), 4 / math.sqrt(12 * n))
    assert.near(1 / 3, moment(u, 2), 4 * math.sqrt(4 / 45 / n))
    assert.is_true(kolmogorov(u, function(p) return p end) < limit)
    assert.is_true(u[1] > 0 and u[n] < 1)
  end)

  it("are not correlated between neighbours, samples and seeds", function()
    local x, y = flat(d.randn({ 2, n }, { seed = 1 })), flat(d.randn(n, { seed = 2 }))
    local sums = { 0, 0, 0 }
    for i = 1, n do
      sums[1] = sums[1] + x[i] * x[i % n + 1]
      sums[2] = sums[2] + x[i] * x[n + i]
      sums[3] = sums[3] + x[i] * y[i]
    end
    for _, sum in ipairs(sums) do assert.near(0, sum / n, 4 / math.sqrt(n)) end
  end)

  it("draw sample k alike whatever the batch", function()
    local few, many = d.randn({ 2, 5, 7 }, { seed = 3 }), d.randn({ 6, 5, 7 }, { seed = 3 })
    assert.equal(few:bytes(), many:bytes():sub(1, #few:bytes()))
    assert.not_equal(many:bytes():sub(1, #few:bytes()), many:bytes():sub(-#few:bytes()))
  end)

  it("give the same bits on any number of threads", function()
    local threads, seen = d.threads(), {}
    for count = 1, 3 do
      d.threads(count)
      seen[count] = d.randn({ 3, 30011 }, { seed = 4 }):bytes() .. d.rand({ 100003 }, { seed = 4 }):bytes()
        .. d.randint(1, 1000, { 50021 }, { seed = 4 }):bytes()
    end
    d.threads(threads)
    assert.is_true(seen[1] == seen[2] and seen[2] == seen[3])
  end)
end)

describe("counters", function()
  -- 1 where one is a function of the other that rises or falls; |r| < 4/sqrt(n) where they
  -- are independent.
  local function correlation(a, b)
    local x, y = a - a:mean(), b - b:mean()
    return ((x * y):mean() / ((x * x):mean() * (y * y):mean()):sqrt()):item()
  end

  it("of a kind share nothing with another kind of the same seed", function()
    local n = 4096
    local u = d.rand(n, { seed = 5 })
    -- what Box and Muller (1958) would make of the same words: the radius of each pair
    local radius = (u:log() * -2):sqrt():reshape(n // 2, 2):select(2, 1)
    local z = d.randn(n, { seed = 5 }):reshape(n // 2, 2)
    local length = (z * z):sum(2):sqrt()
    local whole = d.randint(0, 1 << 30, { n }, { seed = 5 }):to(core.real)
    assert.is_true(math.abs(correlation(radius, length)) < 4 / math.sqrt(n / 2))
    assert.is_true(math.abs(correlation(u, whole)) < 4 / math.sqrt(n))
    d.manual_seed(5)
    assert.is_true(u:equal(d.rand(n)))
    assert.is_true(u:equal(d.generator { seed = 5 }:rand(n)))
  end)

  it("go on from manual_seed, and start where {seed=} does", function()
    d.manual_seed(7)
    local first, second = d.randn(9):bytes(), d.randn(9):bytes()
    assert.not_equal(first, second)
    assert.equal(first, d.randn(9, { seed = 7 }):bytes())
    d.manual_seed(7)
    assert.equal(first, d.randn(9):bytes())
    assert.equal(second, d.randn(9):bytes())
  end)

  it("are a generator's own, and can be kept", function()
    local g = d.generator { seed = 7 }
    d.manual_seed(1)
    local before = d.randn(9, { seed = 1 }):bytes()
    assert.equal(d.randn(9, { seed = 7 }):bytes(), g:randn(9):bytes())
    assert.equal(before, d.randn(9):bytes())       -- the state's counter wasn't touched
    for _, kind in ipairs { "philox", "torch" } do
      g = d.generator { kind = kind, seed = 5 }
      g:randn(3)
      local state = g:state()
      local function numbers()
        local reals, wholes = g:randn(3):bytes() .. g:rand(4):bytes(), g:randint(1, 9, { 5 }):bytes()
        return reals .. wholes .. g:randperm(6):bytes()
      end
      local once = numbers()
      assert.not_equal(once, numbers())
      assert.equal(once, (g:set_state(state) and numbers()))
      local again = g:set_state(state):randn(3):bytes()
      assert.equal(again, d.randn(3, { generator = g:set_state(state) }):bytes())
    end
    assert.has_error(function() g:set_state "x" end)
    assert.has_error(function() g:set_state(("\255"):rep(#g:state())) end)
  end)

  it("refuse two sources at once and unknown options", function()
    assert.has_error(function() d.randn(3, { seed = 1, generator = d.generator() }) end)
    assert.has_error(function() d.randn(3, { sed = 1 }) end)
    assert.has_error(function() d.generator { kind = "numpy" } end)
  end)
end)

describe("randint", function()
  it("includes both ends, each as often", function()
    local n, count = 60000, {}
    for _, x in ipairs(flat(d.randint(-2, 3, { n }, { seed = 1 }))) do count[x] = (count[x] or 0) + 1 end
    local chi2 = 0
    for x = -2, 3 do chi2 = chi2 + ((count[x] or 0) - n / 6) ^ 2 / (n / 6) end
    assert.is_true(chi2 < 20.5)                     -- five degrees of freedom, one in a thousand
    for x in pairs(count) do assert.is_true(x >= -2 and x <= 3) end
  end)

  it("works with intervals of every size", function()
    assert.same({ 5, 5, 5 }, flat(d.randint(5, 5, { 3 })))
    local low, high = math.mininteger, math.maxinteger
    local below, wide = 0, flat(d.randint(low, high, { 2000 }, { seed = 2 }))
    for _, x in ipairs(wide) do below = below + (x < 0 and 1 or 0) end
    assert.near(1000, below, 100)
    local big = 3 << 61                            -- three quarters of 2^63: bits above 32 count
    for _, x in ipairs(flat(d.randint(0, big, { 2000 }, { seed = 3 }))) do
      assert.is_true(x >= 0 and x <= big)
    end
    assert.has_error(function() d.randint(3, 2, { 1 }) end)
  end)
end)

describe("randperm", function()
  it("is a permutation, every one as often", function()
    local seen = {}
    for i, x in ipairs(flat(d.randperm(1000, { seed = 1 }))) do
      assert.is_nil(seen[x])
      seen[x] = i
    end
    assert.is_true(seen[1] ~= nil and seen[1000] ~= nil)
    local count, n = {}, 6000
    for seed = 1, n do
      local p = table.concat(flat(d.randperm(3, { seed = seed })))
      count[p] = (count[p] or 0) + 1
    end
    local chi2, kinds = 0, 0
    for _, c in pairs(count) do chi2, kinds = chi2 + (c - n / 6) ^ 2 / (n / 6), kinds + 1 end
    assert.equal(6, kinds)
    assert.is_true(chi2 < 20.5)
    assert.equal(0, d.randperm(0):numel())
  end)
end)

describe("the torch generator", function()
  local function close(expected, x)
    local values = flat(x)
    for i, v in ipairs(expected) do assert.near(v, values[i], 3e-7) end
  end
  local function torch(seed) return d.generator { kind = "torch", seed = seed } end

  it("gives PyTorch's numbers", function()
    close({ 1.5409960747, -0.2934288979, -2.1787893772, 0.5684312582 }, torch(0):randn(4))
    close({ -1.1258398294, -1.1523602009, -0.2505785823, -0.4338788092, 0.8487103581, 0.6920091510,
      -0.3160127699, -2.1152193546, 0.3222749233, -1.2633347511, 0.3499831855, 0.3081339300, 0.1198415086,
      1.2376579046, 1.1167771816, -0.2472781539 }, torch(0):randn(4, 4))
    close({ 0.4962565899, 0.7682217956, 0.0884774327, 0.1320304871 }, torch(0):rand(4))
    close({ 1.9269152880, 1.4872840643, 0.9007171988, -2.1055209637 }, torch(42):randn(16))
    close({ 0.0461304635, 0.4024028182, -1.0115290880, 0.2167382389 }, torch(1234):randn(4))
  end)

  it("counts the seed's low 32 bits, and redraws the last sixteen", function()
    assert.equal(torch(0):randn(5):bytes(), torch(1 << 32):randn(5):bytes())
    local long, short = flat(torch(0):randn(35)), flat(torch(0):randn(32))
    for i = 1, 19 do assert.equal(short[i], long[i]) end
    assert.not_equal(short[20], long[20])
  end)

  it("gives whole numbers within their ends and permutations", function()
    for _, x in ipairs(flat(torch(1):randint(3, 5, { 100 }))) do assert.is_true(x >= 3 and x <= 5) end
    local p = flat(torch(1):randperm(50))
    table.sort(p)
    for i = 1, 50 do assert.equal(i, p[i]) end
  end)
end)

describe("dropout", function()
  it("keeps its share, and the mean", function()
    local n = 40000
    local y = flat(core.ops.dropout(d.ones(4, n // 4), 0.3))
    local kept = 0
    for _, v in ipairs(y) do
      assert.is_true(v == 0 or math.abs(v - 1 / 0.7) < 1e-6)
      kept = kept + (v == 0 and 0 or 1)
    end
    assert.near(0.7, kept / n, 4 * math.sqrt(0.21 / n))
  end)

  it("draws anew each time, alike from a seed, and ends at 0 and 1", function()
    local x = d.randn({ 5, 40 }, { seed = 1 })
    d.manual_seed(3)
    local first, second = core.ops.dropout(x, 0.5):bytes(), core.ops.dropout(x, 0.5):bytes()
    d.manual_seed(3)
    assert.equal(first, core.ops.dropout(x, 0.5):bytes())
    assert.not_equal(first, second)
    assert.equal(x:bytes(), core.ops.dropout(x, 0):bytes())
    for _, v in ipairs(flat(core.ops.dropout(x, 1))) do assert.equal(0, v) end
    assert.has_error(function() core.ops.dropout(x, 1.5) end)
  end)
end)

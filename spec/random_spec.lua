-- Random numbers: known answers of the bits, the laws that the numbers follow, and that a
-- sample is the same wherever it is drawn.
local d = require "diffusion"
local fails = require "spec.support.fails"
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

  it("are numbered for good: another number draws other samples and refuses old checkpoints", function()
    assert.same({ start = 5, step = 6, likelihood = 9 }, core.streams)
    assert.equal(9, #core.random_state())
  end)

  it("of a kind share nothing with another kind of the same seed", function()
    local n = 4096
    local u = d.rand(n, { seed = 5 })
    -- the radius of each pair from the same words, by Box and Muller (1958)
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

  it("are of one kind: the state of another, or of another length, is refused and changes nothing", function()
    local philox, torch = d.generator { seed = 5 }, d.generator { kind = "torch", seed = 5 }
    torch:randn(3)
    local here, there = philox:state(), torch:state()
    fails("the state is a torch generator's, this one is philox", philox.set_state, philox, there)
    fails("the state is a philox generator's, this one is torch", torch.set_state, torch, here)
    fails(("has %d bytes, got %d"):format(#here, #here - 1), philox.set_state, philox, here:sub(1, -2))
    fails(("has %d bytes, got 0"):format(#here), torch.set_state, torch, "")
    assert.same({ here, there }, { philox:state(), torch:state() })
    for _, g in ipairs { philox, torch } do
      local copy = g:clone()
      local first = copy:randn(5):bytes()
      assert.equal(first, g:randn(5):bytes())
      copy:randn(1)
      assert.not_equal(copy:state(), g:state())
    end
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

-- Values made by PyTorch 2.13.0 on a CPU (x86-64, AVX2), whose logarithms and sines differ
-- from the C library's by up to 2.4e-7.
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

  it("counts the seed's low 32 bits", function()
    assert.equal(torch(0):randn(5):bytes(), torch(1 << 32):randn(5):bytes())
    close({ -0.4867807627, -0.6038215756, -0.5580962300 }, torch((1 << 32) + 5):randn(3))
    close({ 0.3366903663, 0.1288094074, 0.2344623655 }, torch((1 << 40) + 42):randn(3))
    close({ 1.2197630405, -0.3929794729, 1.0230751038 }, torch(-1):randn(3))
  end)

  it("redraws the last sixteen of a count that isn't a multiple", function()
    close({ -1.125839829, -1.695931196, 0.566650629, 0.7935083508, 0.5988394618, -1.555095077, -0.3413603902,
      1.853006124, 0.4680964053, -0.5854975581, -0.1733967513, 0.1834779382, 1.38936615, 1.586334229,
      0.9462983608, -0.8436767459, 0.9318265915 }, torch(0):randn(17))
    close({ -1.125839829, -1.152360201, -0.2505785823, -0.4338788092, 0.5988394618, -1.555095077, -0.3413603902,
      1.853006124, 0.4680964053, -0.1577124447, 1.44366014, 0.2660494149, 1.38936615, 1.586334229, 0.9462983608,
      -0.8436767459, 0.9318265915, 1.259009242, 2.004980564, 0.05373690277 }, torch(0):randn(4, 5))
    local g = torch(0)
    close({ -0.09334823489, 0.6870502234, -0.8383153677, 0.00089182175, -2.613322496, -1.696474433, -0.2282417864,
      0.2799549997, 0.0732460469, 1.113318443, 0.2822672427, 0.4342256486, 0.4569401443, -0.8653713465,
      0.7813079357, -0.926789403, 0.2064163089, -0.3334478736, -0.4288299978, 0.2329182923 },
      g:randn(100):narrow(1, 81, 20))
    close({ 0.3755578398704529 }, g:rand(1)) -- and goes on behind them
    local long, short = flat(torch(0):randn(35)), flat(torch(0):randn(32))
    for i = 1, 19 do assert.equal(short[i], long[i]) end
  end)

  it("keeps the second normal of a pair, past what has sixteen or more", function()
    local g = torch(0)
    close({ 1.5409960747, -0.2934288979, -2.1787893772 }, g:randn(3))
    close({ -0.3561283648, 0.4372227192, 0.4913049638 }, g:randn(16):narrow(1, 1, 3))
    close({ 0.5684312582, -0.8566746116 }, g:randn(2))
    g:randn(1)
    close({ 1.5409960747, -0.2934288979 }, torch(0):randn(2)) -- none is left over from a seed
  end)

  it("gives PyTorch's whole numbers: two words from a range of 2^28 on", function()
    local function whole(seed, low, high, n) return flat(torch(seed):randint(low, high, { n })) end
    assert.same({ 4, 9, 3, 0, 3, 9, 7, 3, 7, 3 }, whole(0, 0, 9, 10))
    assert.same({ 2, 7, 6, 4, 6, 5, 0, 4, 0, 3 }, whole(42, 0, 9, 10))
    assert.same({ -2, -2, -4, 4, -3, 5, -5, 1, -1, -3, 4, 2 }, whole(7, -5, 5, 12))
    assert.same({ 75434668, 130329135, 118924917, 2215104 }, whole(0, 0, (1 << 27) - 1, 4))
    assert.same({ 59306160, 171107527, 128500261 }, whole(7, 0, (1 << 28) - 2, 3))
    assert.same({ 130329135, 136432832, 195187451, 149257575 }, whole(0, 0, (1 << 28) - 1, 4))
    assert.same({ 608416988, 2402841398, 1978730047, 1684206635 }, whole(0, 0, (1 << 32) - 2, 4))
    assert.same({ 2546248239, 3626093760, 3684848379, 3638918503 }, whole(0, 0, (1 << 32) - 1, 4))
    assert.same({ 741280623151, 506137267392, 291447657211, 841157541223 }, whole(0, 0, (1 << 40) - 1, 4))
    assert.same({ -3711235831533098449, -642142871786238784, -2716036421228801285 },
      whole(0, -(1 << 62), (1 << 62) - 1, 3))
    assert.same({ -8322921849960486353, -5253828890213626688, -7327722439656189189, -8395423546819117721 },
      whole(0, math.mininteger, math.maxinteger, 4)) -- random_(-2^63, None)
  end)

  it("gives PyTorch's permutations, counted from 1", function()
    local function order(seed, n)
      local p = flat(torch(seed):randperm(n))
      for i = 1, n do p[i] = p[i] - 1 end
      return p
    end
    assert.same({ 4, 1, 7, 5, 3, 9, 0, 8, 6, 2 }, order(0, 10))
    assert.same({ 2, 6, 1, 8, 4, 5, 0, 9, 3, 7 }, order(42, 10))
    assert.same({ 1, 4, 9, 6, 3, 5, 0, 2, 8, 7 }, order((1 << 32) + 5, 10))
    local long = order(0, 100000)
    assert.same({ 36044, 73702, 76369, 2549, 52523 }, table.move(long, 1, 5, 1, {}))
    assert.same({ 83825, 70481, 47534, 99934, 84786 }, table.move(long, 99996, 100000, 1, {}))
  end)

  it("gives PyTorch's coins: two words each, as a dropout draws them", function()
    local function coins(p)
      local text = table.concat(flat(torch(0):bernoulli(p, 24)), ""):gsub("%.0", "")
      return (text)
    end
    assert.equal("000000100101000001001010", coins(0.3))
    assert.equal("001000110111101111001010", coins(0.5))
    assert.equal("011011111111111111111111", coins(0.9))
    assert.equal("001010111111111111101111", coins(1 - 0.3)) -- functional.dropout(ones, 0.3) > 0
    local g = torch(0)
    g:bernoulli(0.5, 4, 6)
    close({ 0.2782524824, 0.4819588065 }, g:rand(2))
  end)
end)

describe("a list of generators", function()
  it("draws each sample with its own, as diffusers' randn_tensor does", function()
    local function list(...)
      local g = {}
      for i, seed in ipairs { ... } do g[i] = d.generator { kind = "torch", seed = seed } end
      return g
    end
    local function close(expected, x)
      for i, v in ipairs(flat(x)) do assert.near(expected[i], v, 3e-7) end
    end
    local two = list(0, 1)
    close({ 1.5409960747, -0.2934288979, -2.1787893772, 0.6613521576, 0.2669241130, 0.0616772585 },
      d.randn({ 2, 3 }, { generator = two }))
    close({ -0.8410648108, -2.3160419464, -0.1023096517, -1.3923858404, 2.6890869141, -0.1110198274 },
      d.randn({ 2, 17 }, { generator = two }):narrow(2, 15, 3))
  end)

  it("of either kind draws what each would alone, and they go on", function()
    for _, name in ipairs { "randn", "rand" } do
      local function three()
        return { d.generator { seed = 4 }, d.generator { kind = "torch", seed = 5 }, d.generator { seed = 6 } }
      end
      local together, alone = three(), three()
      for _ = 1, 2 do
        local batch = d[name]({ 3, 5, 7 }, { generator = together })
        for k = 1, 3 do assert.equal(alone[k][name](alone[k], 1, 5, 7):bytes(), batch:narrow(1, k, 1):bytes()) end
      end
    end
    local g = d.generator { seed = 1 } -- the same one twice: in turn
    local twice = d.randn({ 2, 9 }, { generator = { g, g } })
    assert.not_equal(twice:narrow(1, 1, 1):bytes(), twice:narrow(1, 2, 1):bytes())
  end)

  it("must be as long as the batch", function()
    local function says(sentence, ...)
      local fine, message = pcall(d.randn, ...)
      assert.is_false(fine)
      assert.is_truthy(message:find(sentence, 1, true), message)
    end
    local g = d.generator()
    says("a list of 2 generators for a batch [3,4]", { 3, 4 }, { generator = { g, g } })
    says("a list of 1 generators for a batch []", { generator = { g } })
    says("generator 2: one of d.generator expected", { 2, 4 }, { generator = { g, 7 } })
    says("unknown option 'seed'", { 1, 4 }, { generator = { g }, seed = 1 })
    assert.has_error(function() d.randint(1, 2, { 1 }, { generator = { g } }) end)
  end)
end)

describe("bernoulli", function()
  it("gives ones with probability p, alike from a seed and in any batch", function()
    local n = 40000
    for _, p in ipairs { 0.03, 0.5, 0.8 } do
      local y = d.bernoulli(p, { n }, { seed = 3 })
      assert.equal(0, (y * (1 - y)):abs():sum():item()) -- ones and zeros
      assert.near(p, y:mean():item(), 4 * math.sqrt(p * (1 - p) / n))
    end
    assert.equal(0, d.bernoulli(0, { n }, { seed = 1 }):sum():item())
    assert.equal(n, d.bernoulli(1, { n }, { seed = 1 }):sum():item())
    local few, many = d.bernoulli(0.5, { 2, 99 }, { seed = 3 }):bytes(), d.bernoulli(0.5, 6, 99, { seed = 3 }):bytes()
    assert.equal(few, many:sub(1, #few))
    d.manual_seed(3)
    assert.equal(few, d.bernoulli(0.5, 2, 99):bytes())
    assert.equal(few, d.generator { seed = 3 }:bernoulli(0.5, { 2, 99 }):bytes())
  end)

  it("takes a probability", function()
    for _, p in ipairs { -0.1, 1.5, 0 / 0 } do
      local fine, message = pcall(d.bernoulli, p, { 3 })
      assert.is_false(fine)
      assert.is_truthy(message:find("a probability in [0, 1] expected, got", 1, true), message)
    end
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

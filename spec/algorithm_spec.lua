-- Every algorithm of convolutions against taps in double, forward and both gradients, by
-- every instruction set; Winograd's matrices in exact arithmetic; who is chosen.
local d = require "diffusion"
local core = require "diffusion.core"
local child = dofile "spec/support/child.lua"
local values = require "spec.support.algorithm_values"
local planes = require "spec.support.operand_values"
local products = require "spec.support.products"

local single = core.real == "f32"

local function in_double()
  local text, code = child.run("spec/support/algorithm_values.lua", { env = "DIFFUSION_PRECISION=double" })
  assert(code == 0, (text:gsub("[^%g%s]+", "")))
  local out, at = {}, 1
  while at <= #text do
    local key, bytes, after = string.unpack("<s4s4", text, at)
    local list = {}
    for i = 1, #bytes // 8 do list[i] = string.unpack("<d", bytes, 8 * i - 7) end
    out[key], at = list, after
  end
  return out
end

describe("an algorithm of convolutions", function()
  local isa, sets = core.isa()
  local _, algorithms = core.algorithm()
  after_each(function()
    core.isa(isa)
    core.algorithm "best"
  end)

  it("gives what taps give in double, by each instruction set, and so do its gradients", function()
    local expected, bound = in_double(), single and 1e-5 or 1e-13
    for _, set in ipairs(sets) do
      for _, name in ipairs(algorithms) do
        core.isa(set)
        core.algorithm(name)
        for k in ipairs(values.cases) do
          for what, got in pairs(values.of(k)) do
            local off = products.distance(expected[k .. " " .. what], got)
            assert(off < bound, ("%s in %s, case %d: %s is off by %.2g"):format(name, set, k, what, off))
          end
        end
      end
    end
  end)

  local function same_bits(names)
    for _, name in ipairs(names) do
      core.algorithm(name)
      for _, size in ipairs { { 12, 12, 40, 70 }, { 21, 13, 33, 70 } } do
        local H, W, C, K = table.unpack(size)
        local x, w, g = d.randn(7, H, W, C), d.randn(K, 3, 3, C), d.randn(7, H, W, K)
        local function run(a, b, c)
          return core.ops.conv2d(a, b, c, { pad = 1 })
        end
        products.same_on_threads(function()
          return { run(x, w), d.grad(function(a, b) return (run(a, b) * g):sum() end, x, w) }
        end)
        local batch = run(x, w)
        local dx = d.grad(function(a) return (run(a, w) * g):sum() end, x)
        for _, k in ipairs { 1, 4, 7 } do
          local alone, one = x:narrow(1, k, 1), g:narrow(1, k, 1)
          assert.is_true(batch:narrow(1, k, 1):equal(run(alone, w)))
          local da = d.grad(function(a) return (run(a, w) * one):sum() end, alone:clone())
          assert.is_true(dx:narrow(1, k, 1):equal(da))
        end
      end
    end
  end

  it("has the same bits on any number of threads, and for a sample alone", function() same_bits(algorithms) end)

  it("of short tiles has these bits too, by each instruction set", function()
    local precision = d.precision()
    d.precision "medium"
    for _, set in ipairs(sets) do
      core.isa(set)
      same_bits { "winograd_short" }
    end
    d.precision(precision)
  end)

  it("is of short tiles where bf16 is multiplied in vectors, and images have many channels", function()
    if not single then return end
    local precision = d.precision()
    for _, set in ipairs(sets) do
      core.isa(set)
      d.precision "medium"
      -- Height, width, C, K, and whether tiles pay. There must be at least 8, over no more than
      -- 1.8 times the pixels, and more than 64 channels.
      for _, case in ipairs { { 8, 8, 96, 96, true }, { 4, 16, 65, 65, true }, { 8, 8, 64, 96, false },
        { 8, 8, 96, 64, false }, { 6, 8, 96, 96, false }, { 8, 5, 96, 96, true }, { 7, 5, 96, 96, false } } do
        local H, W, C, K, pays = table.unpack(case)
        local x, w = d.randn(1, H, W, C), d.randn(K, 3, 3, C)
        local function by(name)
          core.algorithm(name)
          return core.ops.conv2d(x, w, nil, { pad = 1 })
        end
        local best, short, bf16 = by "best", by "winograd_short", by "tiles"
        assert.is_false(short:equal(bf16))
        if set == "avx512bf16" then assert.equal(pays, best:equal(short), ("%d x %d, %d to %d"):format(H, W, C, K)) end
        if set == "amx" then assert.is_true(best:equal(bf16)) end
      end
      d.precision(precision)
    end
  end)

  -- Up to 8 tiles are worked in registers, in groups; 256 channels are summed apart.
  it("of Winograd's has the same bits by taps as by transformed weights", function()
    if not single then return end
    local sizes = { { 1, 8, 8, 130, 40 }, { 5, 19, 15, 64, 33 }, { 1, 8, 8, 300, 33 }, { 2, 7, 8, 520, 20 } }
    for B = 1, 9 do sizes[#sizes + 1] = { B, 4, 3, 10 + 3 * B, 31 + B } end -- one tile each
    local precision = d.precision()
    for _, set in ipairs(sets) do
      core.isa(set)
      for i, size in ipairs(sizes) do
        local B, H, W, C, K = table.unpack(size)
        local x, g = d.randn(B, H, W, C), d.randn(B, H, W, K)
        local w = d.randn(K, 3, 3, C):to(i % 2 == 0 and "f16" or "f32")
        local function by(name)
          core.algorithm(name)
          local function run(a) return core.ops.conv2d(a, w, nil, { pad = 1 }) end
          return run(x), d.grad(function(a) return (run(a) * g):sum() end, x)
        end
        for _, name in ipairs { "high", "medium" } do
          d.precision(name)
          local y, dx = by "winograd"
          local again, dx_again = by "winograd_taps"
          assert(y:equal(again), ("%s at %s, size %d"):format(set, name, i))
          assert(dx:equal(dx_again), ("dx, %s at %s, size %d"):format(set, name, i))
        end
        d.precision(precision)
      end
    end
  end)

  it("may differ in a batch from a sample alone, but not in its bits", function()
    -- 16 tiles alone and 320, then 1 and 300
    for _, size in ipairs { { 20, 16, 16, 16, 24 }, { 300, 4, 4, 20, 24 }, { 3, 4, 4, 300, 24 } } do
      local B, H, W, C, K = table.unpack(size)
      local x, w = d.randn(B, H, W, C), d.randn(K, 3, 3, C)
      for _, set in ipairs(sets) do
        core.isa(set)
        local batch = core.ops.conv2d(x, w, nil, { pad = 1 })
        for _, k in ipairs { 1, B // 2, B } do
          local alone = core.ops.conv2d(x:narrow(1, k, 1), w, nil, { pad = 1 })
          assert.is_true(batch:narrow(1, k, 1):equal(alone))
        end
      end
    end
  end)

  it("in bf16 has two planes at high, near reals, and multiplies at medium what taps round", function()
    if not single then return end
    local precision = d.precision()
    local shapes = { -- B, H, W, C, K, R, options
      { 1, 5, 7, 1, 3, 3, { pad = 1 } }, { 3, 13, 11, 31, 40, 3, { stride = 2, pad = 1 } },
      { 2, 7, 7, 33, 65, 3, { pad = 1 } }, { 2, 4, 4, 320, 33, 3, { pad = 1 } },
      { 1, 9, 9, 40, 8, 4, { stride = 3, pad = 2 } },
      { 2, 5, 6, 33, 31, 1, {} }, { 1, 6, 5, 33, 7, 1, { stride = 2 } }, { 2, 30, 29, 3, 31, 3, { pad = 1 } },
      { 1, 3, 2, 2100, 33, 3, { pad = 1 } }, { 2, 1, 2, 2700, 33, 1, {} }, -- in slices of channels
    }
    for k, shape in ipairs(shapes) do
      local B, H, W, C, K, R, options = table.unpack(shape)
      local x, w = d.randn(B, H, W, C), d.randn(K, R, R, C)
      local g = d.randn(table.unpack(core.ops.conv2d(x, w, nil, options):shape()))
      local function by(algorithm, name)
        core.algorithm(algorithm)
        d.precision(name)
        local y = core.ops.conv2d(x, w, nil, options)
        local out = { y, d.grad(function(u, v) return (core.ops.conv2d(u, v, nil, options) * g):sum() end, x, w) }
        d.precision(precision)
        return out
      end
      for _, set in ipairs(sets) do
        core.isa(set)
        local reals, rounded = by("taps", "highest"), by("taps", "medium")
        local two, one = by("tiles", "high"), by("tiles", "medium")
        for i = 1, 3 do
          local near = products.distance(products.flat(reals[i]), two[i])
          assert(near > 2e-7 and near < 1e-5, ("%s, shape %d, %d: %.2g at high"):format(set, k, i, near))
          local same = products.distance(products.flat(rounded[i]), one[i])
          assert(same < 2e-6, ("%s, shape %d, %d: %.2g at medium"):format(set, k, i, same))
        end
        local tall = by("winograd", "medium")
        for i = 1, 3 do
          local same = products.distance(products.flat(rounded[i]), tall[i])
          assert(same < 1e-5, ("%s, shape %d, %d: %.2g at medium by winograd"):format(set, k, i, same))
        end
        local short = by("winograd_short", "medium")
        for i = 1, 2 do
          local near = products.distance(products.flat(reals[i]), short[i])
          assert(near > 1e-3 and near < 1e-2, ("%s, shape %d, %d: %.2g by short tiles"):format(set, k, i, near))
        end
      end
    end
  end)

  it("in bf16 adds a bias and a tensor once to slices of channels, and has the bits of a sample alone", function()
    if not single then return end
    local precision = d.precision()
    core.algorithm "tiles"
    for _, shape in ipairs { { 2, 3, 2, 2100, 3, { pad = 1 } }, { 3, 1, 2, 2700, 1, {} } } do
      local B, H, W, C, R, options = table.unpack(shape)
      local x, w, b, add = d.randn(B, H, W, C), d.randn(33, R, R, C) / C ^ 0.5, d.randn(33), d.randn(B, H, W, 33)
      local function run(from, n)
        return core.ops.conv2d(x:narrow(1, from, n), w, b, { pad = options.pad, add = add:narrow(1, from, n) })
      end
      for _, set in ipairs(sets) do
        core.isa(set)
        for _, name in ipairs { "high", "medium" } do
          d.precision(name)
          local y, plain = run(1, B), core.ops.conv2d(x, w, nil, options) + b + add
          local far = products.distance(products.flat(plain), y)
          assert(far < 1e-5, ("%s, %s, %d channels: %.2g"):format(set, name, C, far))
          for k = 1, B do assert.is_true(y:narrow(1, k, 1):equal(run(k, 1))) end
        end
        d.precision(precision)
      end
    end
  end)

  it("reads what a norm wrote for it at medium as taps do", function()
    if not single then return end
    local precision, bf16 = d.precision(), {}
    d.precision "medium"
    for _, case in ipairs { { 3, 21, 17, 12, 5, 3 }, { 2, 8, 5, 40, 33, 4 }, { 1, 4, 4, 66, 64, 2 } } do
      for _, set in ipairs(sets) do
        core.isa(set)
        for _, name in ipairs { "taps", "tiles", "winograd", "winograd_short" } do
          core.algorithm(name)
          bf16[name] = planes.by_layer(case)
        end
        for what, list in pairs(bf16.taps) do
          assert(products.distance(list, bf16.winograd_short[what]) < 1e-2, what)
          assert(products.distance(list, bf16.tiles[what]) < 1e-5, what)
          assert(products.distance(list, bf16.winograd[what]) < 1e-5, what)
        end
      end
    end
    d.precision(precision)
  end)

  it("is forced by name, or a sentence", function()
    assert.equal("taps", (core.algorithm "taps"))
    assert.is_nil((core.algorithm "best"))
    local fine, message = pcall(core.algorithm, "tapes")
    assert.is_false(fine)
    assert.matches("algorithm tapes: there are .*taps", message)
  end)
end)

-- ==== Winograd's matrices ================================================================
-- Numbers (p + q sqrt 2) / 2^k are exact as pairs of doubles.
local number = {}
number.__index = number
local function of(p, q) return setmetatable({ p = p, q = q or 0 }, number) end
function number.__add(a, b) return of(a.p + b.p, a.q + b.q) end
function number.__mul(a, b) return of(a.p * b.p + 2 * a.q * b.q, a.p * b.q + a.q * b.p) end

-- 1, p, p^2 ... (n of them), and of infinity the leading one
local function powers(point, n)
  local row, v = {}, of(1)
  for i = 1, n do
    row[i] = point and v or of(i == n and 1 or 0)
    v = point and v * point
  end
  return row
end

-- The product of x - p over the finite points but one.
local function polynomial(points, but)
  local c = { of(1) }
  for i, p in pairs(points) do
    if i ~= but then
      local up = { of(0), table.unpack(c) } -- x c
      for j, v in ipairs(c) do up[j] = up[j] + of(-1) * p * v end
      c = up
    end
  end
  return c
end

-- The finite points, of which infinity is one more, and M'(p), what the page divides A's rows by.
local function assert_convolution(outputs, points, sums)
  local n = #points + 1
  for i, p in ipairs(points) do
    local at, v = of(0), of(1)
    for _, c in ipairs(polynomial(points, i)) do at, v = at + c * v, v * p end
    assert.same({ sums[i].p, sums[i].q }, { at.p, at.q })
  end
  for input = 1, n do
    for output = 1, outputs do
      for tap = 1, 3 do
        local total = of(0)
        for i = 1, n do
          local b = polynomial(points, i)[input] or of(0)
          local part = powers(points[i], outputs)[output] * powers(points[i], 3)[tap] * b
          total = total + part * of(6 / sums[i].p) -- six times, to stay exact
        end
        assert.same({ input == output + tap - 1 and 6 or 0, 0 }, { total.p, total.q })
      end
    end
  end
end

describe("Winograd's F(4, 3) and F(2, 3)", function()
  it("by their points are convolutions, exactly", function()
    assert_convolution(4, { of(0), of(0, 0.5), of(0, -0.5), of(0, 1), of(0, -1) },
      { of(1), of(-1.5), of(-1.5), of(6), of(6), of(1) })
    assert_convolution(2, { of(0), of(1), of(-1) }, { of(-1), of(2), of(2), of(1) })
  end)

  it("err by a few roundings", function()
    if not single then return end
    local least, most = math.huge, 0
    for _, C in ipairs { 16, 128, 640 } do
      d.manual_seed(C)
      local x, w = d.randn(1, 8, 8, C), d.randn(16, 3, 3, C)
      core.algorithm "taps"
      local plain = core.ops.conv2d(x, w, nil, { pad = 1 })
      core.algorithm "winograd"
      local off = products.distance(plain:flatten():totable(), core.ops.conv2d(x, w, nil, { pad = 1 }))
      core.algorithm "best"
      least, most = math.min(least, off), math.max(most, off)
    end
    assert(least > 1e-8 and most < 4e-6, ("%.2g to %.2g"):format(least, most))
  end)
end)

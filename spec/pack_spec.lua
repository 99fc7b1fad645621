-- Packed weights. They have the same bits from any float type and strides, and they are
-- kept under a budget. Products by weights that are not kept need little memory.
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local products = require "spec.support.products"

local single = core.real == "f32"
local MIB = 1 << 20

local function bits(x) return x:contiguous():bytes() end

local function collect()
  collectgarbage()
  collectgarbage()
end

local function packs() return core.memory().packs end

-- The dense reals of these weights, as a tensor of its own.
local function plain(w) return w:to(core.real):clone():contiguous() end

-- The same numbers, stored in the order that `order` gives to the dimensions.
local function stored(w, order)
  local back = {}
  for to, from in ipairs(order) do back[from] = to end
  return w:permute(table.unpack(order)):contiguous():permute(table.unpack(back))
end

-- A window inside of a larger tensor: no dimension is adjacent to the next.
local function inside(w)
  local shape, wide = w:shape(), {}
  for i, size in ipairs(shape) do wide[i] = size + 3 end
  local part = d.zeros(wide, { dtype = w:dtype() })
  for i, size in ipairs(shape) do part = part:narrow(i, 2, size) end
  part:copy_(w)
  return part
end

local function with_budget(bytes, fn, ...)
  d.pack_budget(bytes)
  local found = table.pack(pcall(fn, ...))
  d.pack_budget "default"
  assert(found[1], found[2])
  return table.unpack(found, 2, found.n)
end

-- Shapes that need several panels, channels that fill no panel, strides, and one of few
-- outputs: K, R, S, C, options.
local kernels = {
  { 70, 3, 3, 41, { pad = 1 } }, { 3, 3, 3, 40, { pad = 1 } }, { 40, 3, 3, 3, { pad = 1 } },
  { 33, 3, 3, 65, { stride = 2, pad = 1 } }, { 65, 1, 1, 33, {} }, { 20, 2, 4, 70, { stride = 2, pad = 1 } },
}

-- Tiles cover 64 pixels for 30, so Winograd's algorithm, whose choice may depend on a weight's 16
-- bits, is not taken unless it is forced.
local function both_ways(w, options)
  local C = w:shape()[4]
  d.manual_seed(4)
  local x = d.randn(2, 5, 6, C)
  local y = core.ops.conv2d(x, w, nil, options)
  local g = d.randn(y:shape())
  local dx = d.grad(function(u) return (core.ops.conv2d(u, w, nil, options) * g):sum() end, x)
  return bits(y) .. bits(dx)
end

describe("weights of any float type and strides", function()
  local isa, sets = core.isa()
  local _, algorithms = core.algorithm()
  after_each(function()
    core.isa(isa)
    core.algorithm "best"
  end)

  local windows = {
    dense = function(w) return w end,
    ["K,C,R,S"] = function(w) return stored(w, { 1, 4, 2, 3 }) end,
    ["R,S,C,K"] = function(w) return stored(w, { 2, 3, 4, 1 }) end,
    ["C,K,S,R"] = function(w) return stored(w, { 4, 1, 3, 2 }) end,
    inside = inside,
  }

  -- With a budget of 0 the columns are packed in blocks.
  for name, window in pairs(windows) do
    it("have the bits of their dense copy (" .. name .. ")", function()
      for k, case in ipairs(kernels) do
        d.manual_seed(k)
        local given = d.randn(case[1], case[2], case[3], case[4])
        for _, dtype in ipairs { core.real, "f32", "f16", "bf16" } do
          local w = window(given:to(dtype))
          local dense = plain(w)
          for _, algorithm in ipairs(algorithms) do
            core.algorithm(algorithm)
            products.at_each_precision(function(row)
              for _, set in ipairs(sets) do
                core.isa(set)
                local expected = both_ways(dense, case[5])
                for _, budget in ipairs { "default", 0 } do
                  assert(expected == with_budget(budget, both_ways, w, case[5]),
                    ("case %d, %s, %s, %s, %s, budget %s"):format(k, dtype, algorithm, row.name, set, budget))
                end
              end
            end)
          end
        end
      end
    end)
  end

  it("give a linear layer the bits of their dense copy", function()
    local x, b, g = d.randn(9, 45), d.randn(70), d.randn(9, 70)
    local function run(w)
      local y = core.ops.linear(x, w, b)
      return bits(y) .. bits(d.grad(function(u) return (core.ops.linear(u, w, b) * g):sum() end, x))
    end
    for _, dtype in ipairs { core.real, "f32", "f16", "bf16" } do
      local given = d.randn(70, 45):to(dtype)
      for _, w in ipairs { given, given:t():contiguous():t(), inside(given), given:narrow(1, 1, 1):expand(70, 45) } do
        for _, budget in ipairs { "default", 0 } do
          assert.equal(run(plain(w)), with_budget(budget, run, w))
        end
      end
    end
  end)

  -- The largest f16 is infinite as f16 if it is rounded to 8 bits.
  it("hold the largest and the smallest of their type", function()
    local x = d.full({ 3, 1 }, 0.5)
    for dtype, values in pairs {
      f16 = { 65504, -65504, 6.103515625e-05, 5.960464477539063e-08, 1 / 0, 1.0009765625 },
      bf16 = { 3.3895313892515355e+38, -3.3895313892515355e+38, 1.1754943508222875e-38, 1e-3, -1 / 0, 3 },
    } do
      local w = d.tensor(values):to(dtype):reshape(6, 1)
      products.at_each_precision(function(row)
        for _, set in ipairs(sets) do
          core.isa(set)
          local expected = with_budget(0, core.ops.linear, x, w)
          local found = core.ops.linear(x, w)
          assert(bits(expected) == bits(found), ("%s, %s, %s"):format(dtype, row.name, set))
        end
      end)
    end
  end)

  it("are one product over blocks of columns, with the same bits", function()
    local x, w, b = d.randn(5, 3000), d.randn(4100, 3000):to "bf16", d.randn(4100) -- 47 MiB as reals
    local g, y = d.randn(5, 4100), nil
    products.same_on_threads(function()
      y = core.ops.linear(x, w, b)
      local dx = d.grad(function(u) return (core.ops.linear(u, w, b) * g):sum() end, x)
      local z, dz = with_budget(0, function()
        return core.ops.linear(x, w, b),
          d.grad(function(u) return (core.ops.linear(u, w, b) * g):sum() end, x)
      end)
      assert.is_true(y:equal(z))
      assert.is_true(dx:equal(dz))
      return { z, dz }
    end)
  end)
end)

describe("parameters of any float type and strides", function()
  -- A vector and a table in each type, dense, with steps, and as one number for all.
  local function each(shape, fn)
    for _, dtype in ipairs { core.real, "f32", "f16", "bf16" } do
      local given = d.randn(shape):to(dtype)
      fn(given)
      fn(inside(given))
      fn(given:permute(table.unpack(#shape == 2 and { 2, 1 } or { 1 })):contiguous()
        :permute(table.unpack(#shape == 2 and { 2, 1 } or { 1 })))
      fn(d.randn { 1 }:to(dtype):expand(shape))
    end
  end

  it("are the biases of products and the scales of norms", function()
    local x, image, w, k = d.randn(5, 8), d.randn(2, 4, 4, 8), d.randn(8, 8), d.randn(8, 3, 3, 8)
    each({ 8 }, function(p)
      local q = plain(p)
      assert.equal(bits(core.ops.linear(x, w, q)), bits(core.ops.linear(x, w, p)))
      assert.equal(bits(core.ops.conv2d(image, k, q, { pad = 1 })), bits(core.ops.conv2d(image, k, p, { pad = 1 })))
      assert.equal(bits(core.ops.layer_norm(x, q, q)), bits(core.ops.layer_norm(x, p, p)))
      assert.equal(bits(core.ops.group_norm(image, q, q, { groups = 2 })),
        bits(core.ops.group_norm(image, p, p, { groups = 2 })))
    end)
  end)

  it("are tables, of which the wanted rows are read", function()
    local index = d.tensor({ 3, 0, 1, 7, 7 }, { dtype = "i64" })
    each({ 7, 5 }, function(p)
      assert.equal(bits(core.ops.embedding(index, plain(p))), bits(core.ops.embedding(index, p)))
    end)
    local g = d.grad(function(t) return core.ops.embedding(index, t):sum() end, d.randn(5, 7):t())
    assert.same({ { 1, 0, 1, 0, 0, 0, 2 } }, g:t():narrow(1, 1, 1):totable())
    local table16 = d.zeros(1 << 16, 128, { dtype = "f16" })
    collect()
    local before = core.memory().live
    core.memory_reset_peak()
    core.ops.embedding(index, table16):free()
    assert.is_true(core.memory().peak - before < 1 << 16)
  end)
end)

describe("packed weights that are kept", function()
  before_each(function()
    collect()
    d.pack_budget(0) -- frees those of other specs
    d.pack_budget "default"
  end)
  after_each(function() d.pack_budget "default" end)

  it("are counted, reused, and end with their weights", function()
    local x, w = d.randn(4, 64), d.randn(64, 64)
    assert.equal(0, packs())
    core.ops.linear(x, w)
    local once = packs()
    assert.is_true(once > 0)
    local blocks = core.memory().blocks
    local y = core.ops.linear(x, w)
    y:free()
    assert.equal(once, packs())
    assert.equal(blocks, core.memory().blocks)
    w:free()
    assert.equal(0, packs())
  end)

  it("of a window with strides are reused as well", function()
    local x = d.randn(4, 64)
    for _, w in ipairs { d.randn(64, 64):t(), d.randn(64, 64):to "f16", inside(d.randn(64, 64)) } do
      local before = packs()
      core.ops.linear(x, w):free()
      local once = packs()
      assert.is_true(once > before)
      for _ = 1, 3 do core.ops.linear(x, w):free() end
      assert.equal(once, packs())
    end
  end)

  it("are made again after a write", function()
    local x, w = d.randn(4, 64), d.randn(64, 64):to "f16":t()
    core.ops.linear(x, w)
    w:fill_(0.5)
    assert.equal(0, packs())
    assert.equal(bits(core.ops.linear(x, plain(w))), bits(core.ops.linear(x, w)))
  end)

  it("belong to one window: offset, strides, shape and type", function()
    local all = d.randn(6, 6, 6, 6)
    local x = d.randn(1, 8, 8, 6)
    local windows = {}
    for _, order in ipairs { { 1, 2, 3, 4 }, { 4, 2, 3, 1 }, { 1, 3, 2, 4 }, { 2, 1, 4, 3 }, { 3, 4, 1, 2 } } do
      windows[#windows + 1] = all:permute(table.unpack(order))
    end
    for from = 1, 3 do windows[#windows + 1] = all:narrow(2, from, 3) end
    windows[#windows + 1] = all:narrow(2, 1, 3):narrow(3, 1, 3)
    for _ = 1, 2 do
      for _, w in ipairs(windows) do
        assert.equal(bits(core.ops.conv2d(x, plain(w), nil, {})), bits(core.ops.conv2d(x, w, nil, {})))
      end
    end
  end)

  it("stay within the budget, and results are the same beyond it", function()
    local x, list, expected = d.randn(3, 128), {}, {}
    for i = 1, 12 do
      list[i] = d.randn(128, 128)
      expected[i] = bits(core.ops.linear(x, list[i]))
    end
    local all = packs()
    local budget = d.pack_budget(all // 2)
    assert.equal(all // 2, budget)
    assert.is_true(packs() <= budget)
    for _ = 1, 3 do
      for i, w in ipairs(list) do
        assert.equal(expected[i], bits(core.ops.linear(x, w)))
        assert.is_true(packs() <= budget)
      end
    end
    assert.is_true(packs() > budget // 2)
    assert.equal(256 * MIB, d.pack_budget "default")
  end)

  it("of a model that is at rest make room for those of a model at work", function()
    local x, rest, work = d.randn(3, 128), d.randn(128, 128), d.randn(128, 128)
    core.ops.linear(x, rest)
    local one = packs()
    d.pack_budget(one)
    core.ops.linear(x, work) -- the first time it is not known that it will be needed again
    core.ops.linear(x, work)
    assert.equal(one, packs())
    rest:free()
    assert.equal(one, packs())
    work:free()
    assert.equal(0, packs())
  end)

  it("are not replaced in turns by weights that are used in turns", function()
    local x, a, b = d.randn(3, 128), d.randn(128, 128), d.randn(128, 128)
    core.ops.linear(x, a)
    d.pack_budget(packs())
    for _ = 1, 4 do
      core.ops.linear(x, b)
      core.ops.linear(x, a)
    end
    local kept = packs()
    assert.is_true(kept > 0)
    b:free()
    assert.equal(kept, packs())
  end)

  it("are freed before memory is found short", function()
    local x, w = d.randn(2, 1024), d.randn(4096, 1024)
    local y = core.ops.linear(x, w)
    assert.is_true(packs() >= 8 * MIB)
    collect()
    d.memory_limit(core.memory().live + 4 * MIB)
    local fine, got = pcall(d.zeros, 2 * MIB, { dtype = "f32" })
    local after = packs()
    local again = core.ops.linear(x, w)
    d.memory_limit(0)
    assert.is_true(fine, got)
    assert.equal(0, after)
    assert.is_true(y:equal(again))
  end)

  it("take no negative budget", function()
    assert.has_error(function() d.pack_budget(-1) end)
    assert.has_error(function() d.pack_budget "much" end)
  end)
end)

-- Bytes of a mapped file that are in memory, nil where the system doesn't tell.
local function resident(path)
  local found, bytes
  for line in (io.open "/proc/self/smaps" or io.tmpfile()):lines() do
    if line:match "^%x+%-%x+ " then found = line:find(path, 1, true) end
    local kilobytes = found and line:match "^Rss:%s+(%d+)"
    if kilobytes then bytes = (bytes or 0) + kilobytes * 1024 end
  end
  return bytes
end

describe("packs of a mapped file", function()
  local SIZE <const> = 1024 * 1024 * 4
  local path, file
  before_each(function()
    collect()
    d.pack_budget(0)
    d.pack_budget "default"
    d.manual_seed(6)
    path = forge.file((d.randn(2, 1024, 1024):to "f32"):bytes())
    file = assert(core.map(path))
  end)
  after_each(function()
    d.pack_budget "default"
    forge.clean()
  end)
  local function weights(i) return file:tensor("f32", { 1024, 1024 }, (i - 1) * SIZE) end

  it("take the place of its pages", function()
    local x, w = d.randn(4, 1024), weights(1)
    local y = core.ops.linear(x, w)
    local bytes = resident(path)
    if bytes then assert.is_true(bytes < SIZE / 4, bytes) end
    assert.is_true(packs() > 0)
    assert.is_true(y:equal(core.ops.linear(x, w:clone())))
    assert.is_true(y:equal(with_budget(0, core.ops.linear, x, w)))
  end)

  it("stand beside its pages, if something was written to them", function()
    local x, w, same = d.randn(4, 1024), weights(1), weights(1)
    same:mul_(2)
    weights(2):fill_(3)
    local y = core.ops.linear(x, w)
    d.pack_budget(0)
    assert.is_true(y:equal(core.ops.linear(x, same)))
    assert.equal(3, weights(2):mean():item())
    assert.is_true(w:equal(same))
  end)

  it("count less than those of other weights, unless a budget is set", function()
    local x, w = d.randn(4, 1024), weights(1)
    core.ops.linear(x, w)
    local one = packs()
    d.pack_budget(one // 2)
    assert.equal(0, packs())
    core.ops.linear(x, w)
    assert.equal(0, packs())
  end)
end)

-- Bytes that a product takes at its peak, beyond what lives before and after.
local function peak_of(budget, fn)
  return with_budget(budget, function()
    collect()
    local before = core.memory().live
    core.memory_reset_peak()
    fn()
    return core.memory().peak - before
  end)
end

-- Bytes of a packed weight of 16 bits at high. Tiles of AMX have its high and low part.
local function bytes_of_16_bits() return core.isa() == "amx" and 4 or 2 end

describe("the memory of a product by weights of 16 bits", function()
  local real = single and 4 or 8

  it("is a block beyond the budget, and the packed weights within it", function()
    local K, C = 4096, 8192 -- 64 MiB
    local x, w = d.randn(4, C), d.zeros(K, C, { dtype = "f16" })
    local function run() core.ops.linear(x, w):free() end
    local pack = K * C * bytes_of_16_bits()
    assert.is_true(peak_of(0, run) < 24 * MIB, ("%.1f MiB"):format(peak_of(0, run) / MIB))
    assert.equal(0, packs())
    local most = peak_of(256 * MIB, run)
    assert.is_true(most >= pack and most < pack + 8 * MIB, ("%.1f MiB"):format(most / MIB))
  end)

  it("is a block for a convolution by a file's K, C, R, S", function()
    local w = d.zeros(512, 512, 3, 3, { dtype = "f16" }):permute(1, 3, 4, 2) -- 4.5 MiB; 36 MiB transformed
    local x = d.randn(1, 32, 32, 512)
    local function run() core.ops.conv2d(x, w, nil, { pad = 1 }):free() end
    local room = 3 * x:numel() * real
    assert.is_true(peak_of(0, run) < room + 18 * MIB * real / 4, ("%.1f MiB"):format(peak_of(0, run) / MIB))
    run()
    local each = single and bytes_of_16_bits() or real -- core64 has no Winograd
    assert.is_true(packs() <= 512 * 512 * 9 * each, "no more than in the file")
  end)
end)

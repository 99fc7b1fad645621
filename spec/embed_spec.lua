-- Tables of vectors, sines of times, and images made larger and smaller.
local d = require "diffusion"
local core = require "diffusion.core"
local flat = require "spec.support.flat"

local embedding, sinusoid = core.ops.embedding, core.ops.sinusoid
local upsample, avg_pool = core.ops.upsample, core.ops.avg_pool

describe("embedding", function()
  local w = d.randn({ 4, 3 }, { seed = 1 })

  it("takes rows of its table, zeros for 0", function()
    local rows = w:totable()
    assert.allclose({ rows[4], { 0, 0, 0 }, rows[1] }, embedding({ 4, 0, 1 }, w))
    assert.same({ 2, 2, 3 }, embedding(d.tensor({ { 1, 2 }, { 3, 4 } }, { dtype = "i64" }), w):shape())
    assert.allclose({ rows[2] }, embedding(d.tensor { 2 }, w))   -- whole numbers as floats
  end)

  it("adds up the gradients of a row used twice", function()
    local g = d.grad(function(w_) return embedding({ 2, 2, 0, 4 }, w_):sum() end, w)
    assert.allclose({ { 0, 0, 0 }, { 2, 2, 2 }, { 0, 0, 0 }, { 1, 1, 1 } }, g)
  end)

  it("sums in the same order on any number of threads", function()
    local table, threads, seen = d.randn({ 10, 300 }, { seed = 2 }), d.threads(), {}
    local index = d.randint(0, 10, { 500 }, { seed = 3 })
    local k = d.randn({ 500, 300 }, { seed = 4 })
    for count = 1, 3 do
      d.threads(count)
      seen[count] = d.grad(function(w_) return (embedding(index, w_) * k):sum() end, table):bytes()
    end
    d.threads(threads)
    assert.is_true(seen[1] == seen[2] and seen[2] == seen[3])
  end)

  it("names the index that is outside", function()
    assert.error_matches(function() embedding({ 1, 5 }, w) end, "index 2 is 5, outside 0%.%.4")
    assert.error_matches(function() embedding({ -1 }, w) end, "index 1 is %-1")
  end)
end)

describe("sinusoid", function()
  it("is cosines and sines of periods from 2 pi on", function()
    local t, width = { 1, 250.5, 1000 }, 8
    for _, shift in ipairs { 0, 1 } do
      local y = sinusoid(t, { width = width, shift = shift }):totable()
      local z = sinusoid(t, { width = width, shift = shift, sin_first = true }):totable()
      for i, time in ipairs(t) do
        for k = 0, 3 do
          local angle = time * 10000 ^ (-k / (4 - shift))
          assert.near(math.cos(angle), y[i][k + 1], 1e-6)
          assert.near(math.sin(angle), y[i][k + 5], 1e-6)
          assert.near(y[i][k + 1], z[i][k + 5], 0)
          assert.near(y[i][k + 5], z[i][k + 1], 0)
        end
      end
    end
  end)

  it("takes whole times as exactly as real ones", function()
    local whole = d.tensor({ 1, 999 }, { dtype = "i64" })
    assert.equal(sinusoid(whole, { width = 6 }):bytes(), sinusoid({ 1, 999 }, { width = 6 }):bytes())
    assert.error_matches(function() sinusoid({ 1 }, { width = 0 }) end, "width must be at least 1")
    assert.error_matches(function() sinusoid({ 1 }, { width = 2, shift = 1 }) end,
      "shift must be finite and not half the width of 2, got 1")
    assert.error_matches(function() sinusoid({ { 1 } }, { width = 4 }) end, "t must be %[B%]")
  end)
end)

describe("upsample and avg_pool", function()
  it("repeat pixels, and undo it", function()
    for _, case in ipairs { { { 2, 3, 5, 4 }, 2 }, { { 1, 2, 1, 1 }, 3 }, { { 3, 16, 16, 40 }, 2 } } do
      local x, times = d.randn(case[1], { seed = 5 }), case[2]
      local y = upsample(x, times)
      local B, H, W, C = table.unpack(case[1])
      assert.same({ B, H * times, W * times, C }, y:shape())
      local small, large = flat(x), flat(y)
      for i = 0, #large - 1 do
        local c, w = i % C, i // C % (W * times)
        local h, b = i // (C * W * times) % (H * times), i // (C * W * times * H * times)
        assert.equal(small[((b * H + h // times) * W + w // times) * C + c + 1], large[i + 1])
      end
      assert.allclose(x, avg_pool(y, times), { rtol = 1e-6 })
    end
  end)

  it("are each other's transpose: <up x, y> = times^2 <x, pool y>", function()
    local x, y = d.randn({ 2, 3, 4, 5 }, { seed = 6 }), d.randn({ 2, 9, 12, 5 }, { seed = 7 })
    local one, other = (upsample(x, 3) * y):sum():item(), 9 * (x * avg_pool(y, 3)):sum():item()
    assert.near(one, other, 1e-4)
    assert.allclose(avg_pool(y, 3) * 9, d.grad(function(v) return (upsample(v, 3) * y):sum() end, x),
      { rtol = 1e-5, atol = 1e-6 })
    assert.allclose(upsample(x, 3) / 9, d.grad(function(v) return (avg_pool(v, 3) * x):sum() end, y),
      { rtol = 1e-5, atol = 1e-6 })
  end)

  it("name what doesn't fit", function()
    assert.error_matches(function() avg_pool(d.zeros(1, 4, 6, 2), 4) end,
      "4 doesn't divide the height and width of %[1,4,6,2%]")
    assert.error_matches(function() upsample(d.zeros(4, 6, 2), 2) end, "images are %[B,H,W,C%]")
    assert.error_matches(function() upsample(d.zeros(1, 1, 1, 1), 0) end, "times must be in 1%.%.64, got 0")
  end)
end)

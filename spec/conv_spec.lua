-- Convolutions against their definition, forward and backward, with any kernel, stride,
-- padding and odd sizes. They have the same bits for any number of threads, alone or in a
-- batch.
local d = require "diffusion"
local core = require "diffusion.core"
local products = dofile "spec/support/products.lua"

local ops = core.ops
local flat, distance, draw = products.flat, products.distance, products.draw

-- y[n,p,q,k] = b[k] + sum_rsc x[n, p stride + r - top, q stride + s - left, c] w[k,r,s,c],
-- and the gradients of sum(g y), by counting; lists in order.
local function defined(c, x, w, b, g)
  local P = (c.H + c.pad[1] + c.pad[2] - c.R) // c.stride + 1
  local Q = (c.W + c.pad[3] + c.pad[4] - c.S) // c.stride + 1
  local y, dx, dw, db = {}, {}, {}, {}
  for i = 1, c.B * c.H * c.W * c.C do dx[i] = 0 end
  for i = 1, c.K * c.R * c.S * c.C do dw[i] = 0 end
  for k = 1, c.K do db[k] = 0 end
  local at = 0
  for n = 0, c.B - 1 do for p = 0, P - 1 do for q = 0, Q - 1 do for k = 0, c.K - 1 do
    at = at + 1
    local sum, slope = b[k + 1], g and g[at] or 0
    db[k + 1] = db[k + 1] + slope
    for r = 0, c.R - 1 do for s = 0, c.S - 1 do
      local h, v = p * c.stride + r - c.pad[1], q * c.stride + s - c.pad[3]
      if h >= 0 and h < c.H and v >= 0 and v < c.W then
        local i, j = ((n * c.H + h) * c.W + v) * c.C, ((k * c.R + r) * c.S + s) * c.C
        for e = 1, c.C do
          sum = sum + x[i + e] * w[j + e]
          dx[i + e] = dx[i + e] + slope * w[j + e]
          dw[j + e] = dw[j + e] + slope * x[i + e]
        end
      end
    end end
    y[at] = sum
  end end end end
  return { B = c.B, P = P, Q = Q }, y, dx, dw, db
end

local function case(B, H, W, C, K, R, S, stride, pad)
  if type(pad) == "number" then pad = { pad, pad, pad, pad } end
  return { B = B, H = H, W = W, C = C, K = K, R = R, S = S, stride = stride, pad = pad }
end

local cases = {
  case(2, 5, 4, 3, 4, 3, 3, 1, 1),
  case(1, 7, 7, 1, 31, 3, 3, 1, 1),
  case(1, 6, 5, 33, 31, 3, 3, 1, 1),
  case(2, 9, 9, 31, 1, 3, 3, 1, 1),
  case(3, 7, 7, 8, 40, 3, 3, 1, 1), -- several images in a block
  case(1, 20, 30, 3, 5, 3, 3, 1, 1), -- several blocks in an image
  case(1, 1, 1, 8, 8, 3, 3, 1, 1),
  case(2, 8, 8, 3, 5, 3, 3, 2, { 0, 1, 0, 1 }),
  case(2, 9, 8, 4, 3, 3, 3, 2, 1),
  case(1, 9, 9, 2, 3, 5, 5, 1, 2),
  case(1, 4, 4, 2, 2, 7, 7, 1, 3),
  case(1, 8, 8, 3, 16, 4, 4, 4, 0), -- patches
  case(2, 7, 6, 5, 3, 2, 4, 3, { 1, 0, 2, 1 }),
  case(1, 3, 3, 2, 2, 2, 2, 1, 3), -- more padding than kernel
  case(3, 1, 9, 2, 2, 1, 3, 1, { 0, 0, 1, 1 }),
  case(1, 6, 6, 2, 3, 3, 3, 4, 0), -- pixels that nothing reads
  case(2, 5, 5, 4, 6, 1, 1, 1, 0),
  case(2, 5, 5, 4, 6, 1, 1, 2, 0),
  case(1, 70, 2, 2, 2, 3, 1, 1, 0), -- more lines than taps
  case(1, 5, 5, 3, 4, 3, 3, 1, 0),
}

local function text(c)
  return ("x [%d,%d,%d,%d], w [%d,%d,%d,%d], stride %d, pad {%s}"):format(c.B, c.H, c.W, c.C,
    c.K, c.R, c.S, c.C, c.stride, table.concat(c.pad, ","))
end

describe("conv2d", function()
  for i, c in ipairs(cases) do
    it("is its definition, and so are its gradients: " .. text(c), function()
      d.manual_seed(i)
      local x, w, b = draw(c.B, c.H, c.W, c.C), draw(c.K, c.R, c.S, c.C), draw(c.K)
      local size = defined(c, flat(x), flat(w), flat(b))
      local g, add = draw(size.B, size.P, size.Q, c.K), draw(size.B, size.P, size.Q, c.K)
      local _, y, dx, dw, db = defined(c, flat(x), flat(w), flat(b), flat(g))
      for j, value in ipairs(flat(add)) do y[j] = y[j] + value end

      local options = { stride = c.stride, pad = c.pad, add = add }
      assert.is_true(distance(y, ops.conv2d(x, w, b, options)) < products.near)
      local gx, gw, gb, gadd = d.grad(function(x_, w_, b_, add_)
        options.add = add_
        return (ops.conv2d(x_, w_, b_, options) * g):sum()
      end, x, w, b, add)
      assert.is_true(distance(dx, gx) < products.near)
      assert.is_true(distance(dw, gw) < products.near)
      assert.is_true(distance(db, gb) < products.tiny)
      assert.allclose(g, gadd)
    end)
  end

  for _, c in ipairs{ case(1, 14, 14, 32, 32, 3, 3, 1, 1), case(1, 9, 9, 20, 24, 3, 3, 2, 1) } do
    it("keeps what its precision promises: " .. text(c), function()
      local x, w, b = draw(c.B, c.H, c.W, c.C), draw(c.K, c.R, c.S, c.C), d.zeros(c.K)
      local size = defined(c, flat(x), flat(w), flat(b))
      local g = draw(size.B, size.P, size.Q, c.K)
      local _, y, gx, gw = defined(c, flat(x), flat(w), flat(b), flat(g))
      local options = { stride = c.stride, pad = c.pad }
      products.at_each_precision(function(row)
        products.check(row, y, ops.conv2d(x, w, nil, options))
        local dx, dw = d.grad(function(...)
          local x_, w_ = ...
          return (ops.conv2d(x_, w_, nil, options) * g):sum()
        end, x, w)
        products.check(row, gx, dx)
        products.check(row, gw, dw)
      end)
    end)
  end

  it("takes an empty batch", function()
    local w = draw(4, 3, 3, 2)
    assert.same({ 0, 5, 5, 4 }, ops.conv2d(d.zeros(0, 5, 5, 2), w, nil, { pad = 1 }):shape())
  end)

  it("takes strided and half-precision operands", function()
    local x, w = draw(2, 3, 6, 6), draw(4, 3, 3, 3)
    local turned = x:permute(1, 3, 4, 2)
    local half = w:to "f16"
    local expected = ops.conv2d(turned:clone(), half:to "f32", nil, { pad = 1 })
    assert.allclose(expected, ops.conv2d(turned, half, nil, { pad = 1 }))
  end)

  it("sees weights that were written to", function()
    local x, w = draw(1, 4, 4, 2), draw(3, 3, 3, 2)
    local before = ops.conv2d(x, w)
    w:mul_(2)
    assert.allclose(before * 2, ops.conv2d(x, w))
  end)

  it("adds to gradients that have arrived", function()
    local x, w = draw(2, 5, 5, 3), draw(4, 3, 3, 3)
    for _, options in ipairs{ { pad = 1 }, { stride = 2 } } do
      local function once(a, b) return ops.conv2d(a, b, nil, options):square():sum() end
      local dx, dw = d.grad(once, x, w)
      local twice_x, twice_w = d.grad(function(a, b) return once(a, b) + once(a, b) end, x, w)
      assert.is_true(distance(flat(dx * 2), twice_x) < products.tiny)
      assert.is_true(distance(flat(dw * 2), twice_w) < products.tiny)
    end
  end)

  -- Fills freed memory with NaN, as blocks of many sizes.
  local function leave_nans()
    local blocks = {}
    for power = 8, 21 do
      for _, odd in ipairs{ 4, 5, 6, 7 } do blocks[#blocks + 1] = d.full({ odd << power >> 2 }, 0 / 0) end
    end
    blocks = nil -- luacheck: ignore 311
    collectgarbage()
  end

  -- Each case ends with a block of fewer images, or of fewer lines, than those before it.
  for _, c in ipairs{ case(3, 28, 28, 64, 128, 3, 3, 2, 1), case(5, 16, 16, 32, 64, 3, 3, 2, 1),
                      case(2, 57, 66, 32, 40, 3, 3, 2, 1), case(7, 13, 11, 40, 33, 5, 5, 3, 2),
                      case(5, 13, 11, 40, 33, 3, 3, 1, 1), case(3, 40, 37, 64, 32, 2, 2, 2, 0) } do
    it("reads no memory that it didn't write: " .. text(c), function()
      local x, w = draw(c.B, c.H, c.W, c.C), draw(c.K, c.R, c.S, c.C)
      local function once(a, b) return ops.conv2d(a, b, nil, { stride = c.stride, pad = c.pad }):square():mean() end
      products.at_each_setting({ 1, 2, 3 }, function(precision, n)
        leave_nans()
        local dx, dw = d.grad(once, x, w)
        assert.is_true(dx:isfinite():all() and dw:isfinite():all(), precision .. ", " .. n)
      end)
    end)
  end

  it("says what doesn't fit", function()
    local x = d.zeros(8, 28, 28, 16)
    local function message(...) return select(2, pcall(ops.conv2d, ...)) end
    assert.matches("conv2d: w is [64,3,3,32] but x [8,28,28,16] has 16 channels, not 32",
      message(x, d.zeros(64, 3, 3, 32)), 1, true)
    assert.matches("conv2d: b is [3] but w [4,3,3,16] has 4 outputs",
      message(x, d.zeros(4, 3, 3, 16), d.zeros(3)), 1, true)
    assert.matches("conv2d: x is [3,3], but images are B, H, W, C",
      message(d.zeros(3, 3), d.zeros(4, 3, 3, 16)), 1, true)
    assert.matches("conv2d: the kernel of w [4,7,7,16] is larger than x [1,4,4,16], padded to 6 x 6",
      message(d.zeros(1, 4, 4, 16), d.zeros(4, 7, 7, 16), nil, { pad = 1 }), 1, true)
    assert.matches("conv2d: w is [0,3,3,16], but K and C are at least 1",
      message(x, d.zeros(0, 3, 3, 16)), 1, true)
    assert.matches("conv2d: add is [1] but the result [8,28,28,4]",
      message(x, d.zeros(4, 1, 1, 16), nil, { add = d.zeros(1) }), 1, true)
    assert.matches("conv2d: the stride is 0, but at least 1",
      message(x, d.zeros(4, 1, 1, 16), nil, { stride = 0 }), 1, true)
    for _, pad in ipairs { { math.maxinteger, 1, 1, 1 }, { 0, math.maxinteger, 0, 0 }, { 0, 0, 0, 1 << 40 } } do
      assert.matches("is too large", message(x, d.zeros(4, 1, 1, 16), nil, { pad = pad }), 1, true)
    end
    assert.matches("unknown option 'strides'; did you mean 'stride'? valid: stride, pad",
      message(x, x, nil, { strides = 1 }), 1, true)
    assert.matches("unknown option 'apd'; did you mean 'pad'?", message(x, x, nil, { apd = 1 }), 1, true)
    assert.matches("unknown option 'colour'; valid: stride", message(x, x, nil, { colour = 1 }), 1, true)
    assert.matches("unknown option '1'; valid: stride", message(x, x, nil, { 1 }), 1, true)
  end)
end)

describe("conv2d's bits", function()
  local x, w, g = draw(5, 28, 28, 16), draw(40, 3, 3, 16), draw(5, 28, 28, 40)

  local function everything()
    local b = d.zeros(40)
    local out = { d.grad(function(x_, w_, b_)
      return (ops.conv2d(x_, w_, b_, { pad = 1 }) * g):sum()
    end, x, w, b) }
    out[5] = ops.conv2d(x, w, b, { pad = 1 })
    return out
  end

  it("are the same on 1, 2 and 3 threads", function()
    products.same_on_threads(everything)
  end)

  it("are the same for a sample alone, in a batch, recorded or not", function()
    for _, options in ipairs{ { pad = 1 }, { pad = 1, stride = 2 } } do
      local batch = ops.conv2d(x, w, nil, options)
      local recorded = d.record(ops.conv2d, x, w, nil, options)
      assert.is_true(batch:equal(recorded))
      for k = 1, 5 do
        local alone = ops.conv2d(x:narrow(1, k, 1), w, nil, options)
        assert.is_true(batch:narrow(1, k, 1):equal(alone))
      end
    end
  end)
end)

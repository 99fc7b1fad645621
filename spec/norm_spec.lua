-- Group and layer normalisation against their definitions, their invariances, and the same
-- bits however they are cut.
local d = require "diffusion"
local core = require "diffusion.core"
local flat = require "spec.support.flat"
local shared = require "spec.support.shared"

local double = core.real == "f64"
local group_norm, layer_norm = core.ops.group_norm, core.ops.layer_norm

-- Small and large images, channels that fill a block alone, few and many groups: each is
-- cut in another way.
local shapes = {
  { { 2, 3, 5, 6 }, 3 }, { { 3, 8 }, 4 }, { { 2, 7, 1 }, 1 }, { { 1, 2, 2500 }, 5 },
  { { 2, 64, 40, 33 }, 11 }, { { 17, 9, 8 }, 8 }, { { 2, 5000, 2 }, 1 },
}

-- Calls f(image, group, list of positions) for each group of a tensor of this shape.
local function each_group(shape, groups, f)
  local B, C = shape[1], shape[#shape]
  local P, width = 1, C // groups
  for i = 2, #shape - 1 do P = P * shape[i] end
  for b = 0, B - 1 do
    for g = 0, groups - 1 do
      local at = {}
      for p = 0, P - 1 do
        for c = 1, width do at[#at + 1] = (b * P + p) * C + g * width + c end
      end
      f(b + 1, g + 1, at)
    end
  end
end

local function mean_and_variance(x, at)
  local mean, variance = 0, 0
  for _, i in ipairs(at) do mean = mean + x[i] / #at end
  for _, i in ipairs(at) do variance = variance + (x[i] - mean) ^ 2 / #at end
  return mean, variance
end

-- The relative distance of two lists, in the root of the mean square.
local function distance(expected, got)
  local off, size = 0, 0
  for i, v in ipairs(expected) do off, size = off + (got[i] - v) ^ 2, size + v ^ 2 end
  return math.sqrt(off / size)
end

local function on_threads(f)
  local threads, seen = d.threads(), {}
  for count = 1, 3 do
    d.threads(count)
    seen[count] = f()
  end
  d.threads(threads)
  return seen[1] == seen[2] and seen[2] == seen[3]
end

describe("group norm", function()
  it("is (x - mean) / sqrt(variance + eps) w + b in each group", function()
    for _, case in ipairs(shapes) do
      local shape, groups = case[1], case[2]
      local C = shape[#shape]
      local x = d.randn(shape, { seed = 1 }) * 3 + 2
      local w, b = d.randn({ C }, { seed = 2 }), d.randn({ C }, { seed = 3 })
      local v, wv, bv, expected = flat(x), flat(w), flat(b), {}
      each_group(shape, groups, function(_, _, at)
        local mean, variance = mean_and_variance(v, at)
        for _, i in ipairs(at) do
          local c = (i - 1) % C + 1
          expected[i] = (v[i] - mean) / math.sqrt(variance + 1e-3) * wv[c] + bv[c]
        end
      end)
      local got = flat(group_norm(x, w, b, { groups = groups, epsilon = 1e-3 }))
      assert.is_true(distance(expected, got) < (double and 1e-12 or 2e-6))
    end
  end)

  it("leaves mean 0 and variance 1 far from the origin too", function()
    local x = d.randn({ 2, 30, 30, 8 }, { seed = 4 }) + 1000
    local y = flat(group_norm(x, nil, nil, { groups = 2, epsilon = 0 }))
    each_group({ 2, 30, 30, 8 }, 2, function(_, _, at)
      local mean, variance = mean_and_variance(y, at)
      assert.near(0, mean, 2e-6)
      assert.near(1, variance, 2e-6)
    end)
  end)

  it("is its definition where the mean is far above the deviation, and pixels far off", function()
    local shape, C = { 2, 30, 30, 8 }, 8
    local k, w = d.randn(shape, { seed = 25 }), d.randn({ C }, { seed = 26 })
    local function forward(x) return group_norm(x, w, nil, { groups = 2, epsilon = 1e-3 }) end
    for _, offset in ipairs { 0, 1000 } do
      -- the last two are where a guess of the mean looks
      for _, pixels in ipairs { { { 1, 1 } }, { { 15, 15 } }, { { 8, 16 }, { 16, 1 } } } do
        local x = d.randn(shape, { seed = 4 }) + offset
        for _, at in ipairs(pixels) do x[{ {}, at[1], at[2] }] = 1000 end
        local v, kv, expected, slope = flat(x), flat(k), {}, {}
        each_group(shape, 2, function(_, _, at)
          local mean, variance = mean_and_variance(v, at)
          local rstd, a, b = 1 / math.sqrt(variance + 1e-3), 0, 0
          for _, i in ipairs(at) do
            local wi = w[(i - 1) % C + 1]
            expected[i] = (v[i] - mean) * rstd * wi
            a, b = a + kv[i] * wi / #at, b + kv[i] * wi * (v[i] - mean) * rstd / #at
          end
          for _, i in ipairs(at) do
            slope[i] = rstd * (kv[i] * w[(i - 1) % C + 1] - a - (v[i] - mean) * rstd * b)
          end
        end)
        assert.is_true(distance(expected, flat(forward(x))) < (double and 1e-12 or 1e-6))
        local dx = d.grad(function(x_) return (forward(x_) * k):sum() end, x)
        assert.is_true(distance(slope, flat(dx)) < (double and 1e-12 or 1e-6))
      end
    end
  end)

  it("doesn't see the scale and the place of a group", function()
    local x = d.randn({ 2, 6, 6, 8 }, { seed = 5 })
    local options = { groups = 4, epsilon = 0 }
    local y, z = flat(group_norm(x, nil, nil, options)), flat(group_norm(x * 8 - 3, nil, nil, options))
    assert.is_true(distance(y, z) < (double and 1e-13 or 1e-6))
  end)

  it("with silu and dropout is the three in turn, bit for bit", function()
    local shape = { 3, 20, 20, 12 }
    local x, w = d.randn(shape, { seed = 6 }), d.randn({ 12 }, { seed = 7 })
    local plain = group_norm(x, w, nil, { groups = 3 })
    assert.equal(plain:silu():bytes(), group_norm(x, w, nil, { groups = 3, silu = true }):bytes())
    d.manual_seed(8)
    local apart = core.ops.dropout(plain:silu(), 0.25):bytes()
    d.manual_seed(8)
    assert.equal(apart, group_norm(x, w, nil, { groups = 3, silu = true, dropout = 0.25 }):bytes())
  end)

  it("writes a convolution's operand as the convolution would pack it", function()
    for _, shape in ipairs { { 3, 50, 37, 8 }, { 1, 64, 64, 48 }, { 2, 1, 1, 4 }, { 20, 7, 5, 8 } } do
      local C = shape[4]
      local layer = d.nn.norm_conv(C, 6, { kernel = 3, groups = 4, act = "silu" })
      local p = {}
      for name, parameter in d.nn.model(layer):parameters() do p[name] = parameter:detach() end
      local function apart(x)
        local h = group_norm(x, p["norm.weight"], p["norm.bias"], { groups = 4, silu = true })
        return core.ops.conv2d(h, p["conv.weight"], p["conv.bias"], { pad = 1 })
      end
      local x = d.randn(shape, { seed = 23 })
      assert.allclose(apart(x), layer(x), { rtol = 1e-6, atol = 1e-6 })
      local k = d.randn({ shape[1], shape[2], shape[3], 6 }, { seed = 24 })
      local g = d.grad(function(x_) return (layer(x_) * k):sum() end, x)
      local expected = d.grad(function(x_) return (apart(x_) * k):sum() end, x)
      assert.allclose(expected, g, { rtol = 1e-6, atol = 1e-6 })
    end
  end)

  it("of a sum with an embedding is the norm of the sum, and so are its gradients", function()
    for _, case in ipairs { { 3, 9, 7, 12, 3 }, { 2, 64, 40, 32, 8 }, { 1, 1, 1, 8, 2 }, { 20, 16, 16, 48, 12 } } do
      local shape, C = { table.unpack(case, 1, 4) }, case[4]
      local w, b = d.randn({ C }, { seed = 32 }), d.randn({ C }, { seed = 33 })
      local k = d.randn(shape, { seed = 34 })
      for _, offset in ipairs { 0, 1000 } do -- which the sum loses
        local x = d.randn(shape, { seed = 30 }) + offset
        local e = d.randn({ shape[1], C }, { seed = 31 }) - offset
        local function once(x_, e_, w_, b_)
          return group_norm(x_, w_, b_, { groups = case[5], silu = true, add = e_ })
        end
        local function apart(x_, e_, w_, b_)
          return group_norm(x_ + e_:reshape(shape[1], 1, 1, C), w_, b_, { groups = case[5], silu = true })
        end
        local found = table.pack(d.grad(function(...) return (once(...) * k):sum() end, x, e, w, b))
        local wanted = table.pack(d.grad(function(...) return (apart(...) * k):sum() end, x, e, w, b))
        found[5], wanted[5] = once(x, e, w, b), apart(x, e, w, b)
        for i = 1, 5 do
          local size = wanted[i]:norm():item()
          assert.is_true((found[i] - wanted[i]):norm():item() <= (double and 1e-12 or 2e-6) * math.max(size, 1))
        end
      end
    end
  end)

  it("has the gradient of both where what is added is x itself", function()
    local x, k = d.randn({ 3, 8 }, { seed = 35 }), d.randn({ 3, 8 }, { seed = 36 })
    local function once(x_) return (group_norm(x_, nil, nil, { groups = 2, silu = true, add = x_ }) * k):sum() end
    local function apart(x_) return (group_norm(x_ + x_, nil, nil, { groups = 2, silu = true }) * k):sum() end
    assert.allclose(d.grad(apart, x), d.grad(once, x), { rtol = 1e-5, atol = 1e-6 })
  end)

  it("adds its gradient to one that has arrived, whole images and parts alike", function()
    for _, shape in ipairs { { 5, 12, 9, 48 }, { 40, 28, 28, 8 }, { 2, 64, 40, 33 }, { 1, 2, 2500 } } do
      local C = shape[#shape]
      local x, w, k = d.randn(shape, { seed = 37 }), d.randn({ C }, { seed = 38 }), d.randn(shape, { seed = 39 })
      local function one(x_)
        d.manual_seed(40)
        return (group_norm(x_, w, nil, { groups = 1, silu = true, dropout = 0.1 }) * k):sum()
      end
      local both = d.grad(function(x_)
        local first = one(x_) -- walked back last
        return first + (x_ * k):sum()
      end, x)
      assert.allclose(d.grad(one, x) + k, both, { rtol = 1e-5, atol = 1e-6 })
    end
  end)

  it("gives the same bits on any number of threads, when the pool splits", function()
    for _, shape in ipairs { { 2, 64, 40, 32 }, { 24, 16, 16, 32 } } do
      local x, w, b = d.randn(shape, { seed = 9 }), d.ones(32), d.zeros(32)
      local target = d.randn(shape, { seed = 10 })
      local options = { groups = 8, silu = true, dropout = 0.1 }
      local function loss(x_, w_, b_)
        d.manual_seed(11)
        return d.mse(group_norm(x_, w_, b_, options), target)
      end
      shared.surely(function()
        assert.is_true(on_threads(function()
          local dx, dw, db = d.grad(loss, x, w, b)
          return dx:bytes() .. dw:bytes() .. db:bytes()
        end))
      end)
    end
  end)

  it("gives a sample the same bits alone or in a batch, backward too", function()
    for _, shape in ipairs { { 20, 40, 40, 48 }, { 5, 6, 8 } } do
      local x, C = d.randn(shape, { seed = 12 }), shape[#shape]
      local w = d.randn({ C }, { seed = 13 })
      local function run(part)
        d.manual_seed(14)
        return group_norm(part, w, nil, { groups = C // 4, silu = true, dropout = 0.2 })
      end
      local function loss(part) return run(part):sum() end
      local first = x:narrow(1, 1, 1)
      local size = #first:bytes()
      assert.equal(run(first):bytes(), run(x):bytes():sub(1, size))
      assert.equal(d.grad(loss, first):bytes(), d.grad(loss, x):bytes():sub(1, size))
    end
  end)

  it("has a gradient that neither moves nor stretches a group", function()
    for _, case in ipairs(shapes) do
      local shape, groups = case[1], case[2]
      local C, P = shape[#shape], 1
      for i = 2, #shape - 1 do P = P * shape[i] end
      if P * C // groups > 2 then                     -- two values go to -1 and 1, whatever they are
        local x = d.randn(shape, { seed = 15 })
        local k = d.randn(shape, { seed = 16 })
        local w, b = d.randn({ C }, { seed = 17 }), d.zeros(C)
        local dx, dw, db = d.grad(function(x_, w_, b_)
          return (group_norm(x_, w_, b_, { groups = groups, epsilon = 0 }) * k):sum()
        end, x, w, b)
        local v, g, size = flat(x), flat(dx), 0
        for _, value in ipairs(g) do size = size + value ^ 2 end
        each_group(shape, groups, function(_, _, at)
          local move, stretch = 0, 0
          for _, i in ipairs(at) do move, stretch = move + g[i], stretch + g[i] * v[i] end
          local limit = (double and 1e-14 or 2e-6) * math.sqrt(size)
          assert.near(0, move, limit)
          assert.near(0, stretch, limit)
        end)
        local hat = flat(group_norm(x, nil, nil, { groups = groups, epsilon = 0 }))
        local kv, expected_w, expected_b = flat(k), {}, {}
        for i, value in ipairs(hat) do
          local c = (i - 1) % C + 1
          expected_w[c] = (expected_w[c] or 0) + value * kv[i]
          expected_b[c] = (expected_b[c] or 0) + kv[i]
        end
        assert.is_true(distance(expected_w, flat(dw)) < (double and 1e-12 or 2e-6))
        assert.is_true(distance(expected_b, flat(db)) < (double and 1e-12 or 2e-6))
      end
    end
  end)

  it("names what doesn't fit", function()
    local x = d.zeros(2, 4, 6)
    assert.error_matches(function() group_norm(x, nil, nil, { groups = 4 }) end,
      "4 groups don't divide the 6 channels of %[2,4,6%]")
    assert.error_matches(function() group_norm(x, d.ones(5), nil, { groups = 2 }) end,
      "w is %[5%] but x %[2,4,6%] has 6 channels")
    assert.error_matches(function() group_norm(x, nil, nil, { group = 2 }) end, "unknown option 'group'")
    assert.error_matches(function() group_norm(x, nil, nil, { groups = 2, add = d.ones(5) }) end,
      "group_norm: add is %[5%] but x %[.*%] wants %[")
    assert.error_matches(function() group_norm(x, nil, nil, { groups = 2, epsilon = -1 }) end,
      "epsilon must be 0 or more, got %-1")
    assert.error_matches(function() group_norm(x, nil, nil, { groups = 2, dropout = 2 }) end,
      "in %[0, 1%], got 2")
  end)
end)

describe("layer norm", function()
  it("is (x - mean) / sqrt(variance + eps) w + b in each row, far from the origin too", function()
    local most = double and 1e-11 or 2e-6 -- the reference rounds its own mean, of up to 1e4
    for i, shape in ipairs { { 5 }, { 3, 7 }, { 2, 3, 20001 }, { 700, 40 } } do
      local C = shape[#shape]
      local x = d.randn(shape, { seed = 18 }) * 2 + 10 ^ i
      local w, b = d.randn({ C }, { seed = 19 }), d.randn({ C }, { seed = 20 })
      local k = d.randn(shape, { seed = 27 })
      local v, wv, bv, kv, expected, slope = flat(x), flat(w), flat(b), flat(k), {}, {}
      for first = 0, #v - 1, C do
        local at, up, along = {}, 0, 0
        for c = 1, C do at[c] = first + c end
        local mean, variance = mean_and_variance(v, at)
        local rstd = 1 / math.sqrt(variance + 1e-5)
        for c, p in ipairs(at) do
          local h = (v[p] - mean) * rstd
          expected[p] = h * wv[c] + bv[c]
          up, along = up + kv[p] * wv[c] / C, along + kv[p] * wv[c] * h / C
        end
        for c, p in ipairs(at) do
          slope[p] = rstd * (kv[p] * wv[c] - up - (v[p] - mean) * rstd * along)
        end
      end
      assert.is_true(distance(expected, flat(layer_norm(x, w, b))) < most)
      local dx = d.grad(function(x_) return (layer_norm(x_, w, b) * k):sum() end, x)
      assert.is_true(distance(slope, flat(dx)) < most)
    end
  end)

  it("gives the same bits on any number of threads", function()
    local x, w, b = d.randn({ 4000, 40 }, { seed = 21 }), d.ones(40), d.zeros(40)
    local target = d.randn({ 4000, 40 }, { seed = 22 })
    assert.is_true(on_threads(function()
      local dx, dw, db = d.grad(function(...) return d.mse(layer_norm(...), target) end, x, w, b)
      return dx:bytes() .. dw:bytes() .. db:bytes()
    end))
  end)

  it("names what doesn't fit", function()
    assert.error_matches(function() layer_norm(d.zeros(2, 3), d.ones(2)) end,
      "w is %[2%] but rows of x %[2,3%] have 3 elements")
  end)
end)

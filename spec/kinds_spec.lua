-- Layers that networks of other libraries need: activations by name, norms that are scaled and
-- shifted, times as vectors, changes of size without products.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local layer = require "spec.support.one_layer"

local nn, double = d.nn, core.real == "f64"
local close, single, randomised = layer.close, layer.single, layer.randomised

describe("an activation by name", function()
  local x = d.linspace(-6, 6, 49):reshape(1, 49)

  it("is the op of that name", function()
    for _, act in ipairs { "silu", "relu", "gelu", "mish", "tanh" } do
      close(single("activation", 1, { act = act })(x), x[act](x))
    end
    close(x * (x:exp() + 1):log():tanh(), x:mish())
    assert.equal(x:bytes(), single("activation", 1, { act = "none" })(x):bytes())
  end)

  it("follows a norm in its pass, with dropout behind it", function()
    local image = d.randn({ 2, 5, 3, 8 }, { seed = 1 })
    for _, act in ipairs { "silu", "relu", "gelu", "mish", "tanh" } do
      local plain = image:group_norm(nil, nil, { groups = 4 })
      close(image:group_norm(nil, nil, { groups = 4, act = act }), plain[act](plain))
      local g = d.grad(function(v) return (v:group_norm(nil, nil, { groups = 4, act = act }) * image):sum() end, image)
      local want = d.grad(function(v)
        local y = v:group_norm(nil, nil, { groups = 4 })
        return (y[act](y) * image):sum()
      end, image)
      close(g, want, double and 1e-12 or 1e-5)
    end
    fails("no 'swish'; there are none, silu, relu", image.group_norm, image, nil, nil, { groups = 4, act = "swish" })
  end)

  it("is refused by the core under an unknown number", function()
    fails("act: a number in 0..5 expected, got 6", core.layer, "activation", { act = 6 })
    fails("act: a number in 0..5 expected, got -1", core.layer, "group_norm", { inp = 4, act = -1 })
  end)
end)

describe("a norm that is scaled and shifted", function()
  local x, e = d.randn({ 3, 4, 5, 8 }, { seed = 2 }), d.randn({ 3, 8 }, { seed = 3 })
  local m = d.randn({ 3, 16 }, { seed = 4 })
  local w, b = d.randn({ 8 }, { seed = 5 }), d.randn({ 8 }, { seed = 6 })

  -- The same by plain ops.
  local function composed(x_, e_, m_, w_, b_)
    local h = (x_ + e_:reshape(3, 1, 1, 8)):group_norm(w_, b_, { groups = 4 })
    local scale, shift = m_:narrow(2, 1, 8):reshape(3, 1, 1, 8), m_:narrow(2, 9, 8):reshape(3, 1, 1, 8)
    return (h * (scale + 1) + shift):silu()
  end
  local function fused(x_, e_, m_, w_, b_)
    return x_:group_norm(w_, b_, { groups = 4, act = "silu", add = e_, modulate = m_ })
  end

  it("is norm (1 + s) + t, with the gradients of that", function()
    close(fused(x, e, m, w, b), composed(x, e, m, w, b))
    local k = d.randn({ 3, 4, 5, 8 }, { seed = 7 })
    local got = { d.grad(function(...) return (fused(...) * k):sum() end, x, e, m, w, b) }
    local want = { d.grad(function(...) return (composed(...) * k):sum() end, x, e, m, w, b) }
    for i = 1, 5 do close(got[i], want[i], double and 1e-11 or 3e-5) end
  end)

  it("has the same bits with and without recording, on any number of threads, alone and in a batch", function()
    local threads, seen = d.threads(), {}
    for n = 1, 3 do
      d.threads(n)
      local dm = d.grad(function(m_) return (fused(x, e, m_, w, b) * x):sum() end, m)
      seen[n] = fused(x, e, m, w, b):bytes() .. dm:bytes()
    end
    d.threads(threads)
    assert.is_true(seen[1] == seen[2] and seen[2] == seen[3])
    local second = fused(x:narrow(1, 2, 1), e:narrow(1, 2, 1), m:narrow(1, 2, 1), w, b)
    assert.equal(fused(x, e, m, w, b):narrow(1, 2, 1):clone():bytes(), second:bytes())
  end)

  it("is a layer, alone and before a convolution", function()
    local net = randomised(single("norm_conv", 4, { inp = 8, out = 6, groups = 2, act = "mish" }, "a"))
    local add = d.randn({ 3, 4, 5, 6 }, { seed = 8 })
    local s = net:state()
    local h = x:group_norm(s["a.norm.weight"], s["a.norm.bias"],
      { groups = 2, act = "mish", add = e, modulate = m })
    close(net(x, { y = add, z = e, u = m }), h:conv2d(s["a.conv.weight"], s["a.conv.bias"], { pad = 1 }) + add,
      double and 1e-12 or 2e-5)
    local bare = single("group_norm", 3, { inp = 8, groups = 2, affine = false }, "a")
    assert.equal(0, bare:count())
    close(bare(x, { z = m }), x:group_norm(nil, nil, { groups = 2, modulate = m }))
    fails("group_norm: modulate is [3,8] but x [3,4,5,8] wants [3,16]", bare, x, { z = e })
  end)
end)

describe("times as vectors", function()
  it("leave the offset away, and have a zero behind an odd number of waves", function()
    local t = { 1, 250, 1000 }
    local y = single("sinusoid", 1, { width = 7, offset = 1, shift = 1 })(d.tensor(t))
    close(y:narrow(2, 1, 6), d.tensor { 0, 249, 999 }:sinusoid { width = 6, shift = 1 })
    assert.same({ 0, 0, 0 }, y:narrow(2, 7, 1):flatten():totable())
    assert.same({ { 0 } }, d.tensor { 5 }:sinusoid { width = 1 }:totable())
  end)

  it("are waves of frequencies and angles in float32, if single", function()
    local function single_of(v) return (string.unpack("f", string.pack("f", v))) end
    local y = d.tensor { 1000, 37.5 }:sinusoid { width = 6, single = true, sin_first = true }:totable()
    for i, t in ipairs { 1000, 37.5 } do
      for k = 0, 2 do
        local exponent = single_of(single_of(-single_of(math.log(10000)) * k) / 3)
        local angle = single_of(t * single_of(math.exp(exponent)))
        assert.near(math.sin(angle), y[i][k + 1], double and 1e-12 or 3e-7)
        assert.near(math.cos(angle), y[i][k + 4], double and 1e-12 or 3e-7)
      end
    end
  end)

  it("are waves of drawn frequencies that are never trained", function()
    local net = single("fourier", 1, { width = 6, log = true, offset = 1 }, "f")
    local w = net:state()["f.weight"]
    local y = net(d.tensor { 3.5, 41 }):totable()
    for i, t in ipairs { 2.5, 40 } do
      for k = 1, 3 do
        local angle = 2 * math.pi * w[k] * math.log(t)
        assert.near(math.sin(angle), y[i][k], 1e-4)
        assert.near(math.cos(angle), y[i][k + 3], 1e-4)
      end
    end
    local total, trainable = net:count()
    assert.same({ 3, 0 }, { total, trainable })
    net:unfreeze()
    assert.equal(0, select(2, net:count()))
    assert.near(16, d.network { inputs = { { "x", whole = true } }, build = function(n)
      return n:fourier("f", n.x, { width = 20000 })
    end }:state()["f.weight"]:std():item(), 0.5)
    fails("fourier has no gradient", d.grad, function(v) return v:fourier(d.ones(2)):sum() end, d.ones(2))
    fails("width must be even", core.layer, "fourier", { width = 3 })
  end)

  it("are rows of a table, for whole times within it", function()
    local net = single("time_rows", 1, { inp = 4, out = 3, offset = 1 }, "rows")
    local w = net:state()["rows.weight"]
    close(net(d.tensor { 2, 5 }), d.cat({ w:narrow(1, 1, 1), w:narrow(1, 4, 1) }, 1))
    fails("time 1 is 1, but this table is of the times 2 to 5", net, d.tensor { 1 })
    fails("time 2 is 6, but this table is of the times 2 to 5", net, d.tensor { 2, 6 })
    fails("t 1 is 2.5", net, d.tensor { 2.5 })
  end)

  it("divide images", function()
    local x, t = d.randn({ 2, 3, 3, 2 }, { seed = 1 }), d.tensor { 3, 9 }
    close(single("over_time", 2, { offset = 1 })(x, { y = t }), x / d.tensor { 2, 8 }:reshape(2, 1, 1, 1))
    fails("t must be [2] for x [2,3,3,2], it is [3]", single("over_time", 2), x, { y = d.ones(3) })
  end)
end)

describe("a change of size without products", function()
  local x = d.randn({ 2, 4, 6, 3 }, { seed = 9 })

  it("repeats pixels or takes their means", function()
    close(single("enlarge", 1, { times = 3 })(x), x:upsample(3))
    close(single("avg_pool", 1)(x), x:avg_pool(2))
    close(single("scale", 1, { factor = 2, plus = -1 })(x), x * 2 - 1)
  end)

  it("filters by 1 1 as these do, and by 1 3 3 1 as their bilinear kin", function()
    close(single("fir", 1, { taps = 2, up = 2, before = 1 })(x), x:upsample(2))
    close(single("fir", 1, { taps = 2, down = 2 })(x), x:avg_pool(2))
    local small = single("fir", 1, { taps = 4, down = 2, before = 1, after = 1 })(x)
    local large = single("fir", 1, { taps = 4, up = 2, before = 2, after = 1 })(x)
    assert.same({ 2, 2, 3, 3 }, small:shape())
    assert.same({ 2, 8, 12, 3 }, large:shape())
    -- inside, pixel (3, 3) of the large image lies a quarter from pixel (2, 2) towards (1, 1)
    local want = (x[1][2][2] * 9 + x[1][1][2] * 3 + x[1][2][1] * 3 + x[1][1][1]) / 16
    close(large[1][3][3], want)
    local one = single("fir", 1, { taps = 4, down = 2, before = 1, after = 1, reflect = true })(d.ones(1, 4, 4, 1))
    close(one, d.ones(1, 2, 2, 1))
  end)

  it("cuts off what lies outside, and mirrors", function()
    local line = d.tensor { { 1, 2, 3, 4, 5 } }:reshape(1, 1, 5, 1):expand(1, 5, 5, 1)
    local function row(o) return line:fir(o)[1][1]:flatten():totable() end
    assert.same({ 2, 3, 4 }, row { taps = { 1 }, before = -1, after = -1 })
    assert.same({ 3, 2, 1, 2, 3, 4, 5, 4 }, row { taps = { 1 }, before = 2, after = 1, reflect = true })
    fails("[1,1,1,1] is too small to be mirrored 1 and 0", core.ops.fir, d.ones(1, 1, 1, 1),
      { taps = { 1, 1 }, before = 1, reflect = true })
    fails("smaller than a filter of 8 taps", core.ops.fir, x, { taps = { 1, 1, 1, 1, 1, 1, 1, 1 } })
    fails("up and down must be in 1..64, got 0 and 1", core.ops.fir, x, { taps = { 1 }, up = 0 })
    fails("a filter has 1 to 8 taps, got 9", core.ops.fir, x, { taps = { 1, 1, 1, 1, 1, 1, 1, 1, 1 } })
    fails("option 'taps': a list of numbers expected", core.ops.fir, x, { taps = { "a" } })
    fails("option 'taps': a list of numbers expected", core.ops.fir, x, {})
  end)
end)

describe("attention of another inner width", function()
  it("is that of q, k and v", function()
    for _, fused in ipairs { true, false } do
      local net = d.network { inputs = { "x" }, build = function(n)
        return n:attention("a", n.x, { inp = 5, inner = 6, heads = 3, fused = fused })
      end }
      local s, x = randomised(net):state(), d.randn({ 2, 4, 5 }, { seed = 1 })
      local function product(name) return x:linear(s["a." .. name .. ".weight"], s["a." .. name .. ".bias"]) end
      local q, k, v
      if fused then
        local all = product "qkv"
        q, k, v = all:narrow(3, 1, 6), all:narrow(3, 7, 6), all:narrow(3, 13, 6)
      else
        q, k, v = product "q", product "k", product "v"
      end
      close(net(x), q:attention(k, v, { heads = 3 }):linear(s["a.out.weight"], s["a.out.bias"]),
        double and 1e-12 or 1e-5)
    end
    fails("3 heads don't divide a width of 4", nn.attention, 6, { heads = 3, inner = 4 })
  end)
end)

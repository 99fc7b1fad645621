-- Layers of lucidrains' and EDM's networks, compared with plain ops. They are root mean square norms,
-- attention with learned keys and values, standardised weights, trained waves, and classes as rows.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local layer = require "spec.support.one_layer"

local double, close = core.real == "f64", layer.close

local function single(...) return layer.randomised(layer.single(...)) end

-- Gradients of a model's weighed result by its parameters, and by x.
local function gradients(model, x, weight)
  d.record(function() return (model(x) * weight):sum() end):backward()
  local dx = d.grad(function(x_) return (model(x_) * weight):sum() end, x)
  local out = { dx }
  for _, p in model:parameters() do out[#out + 1] = p.grad end
  return out
end

describe("the root mean square norm", function()
  it("has the gradients of its formula over many rows", function()
    local x, w = d.randn({ 90, 7, 33 }, { seed = 1 }), d.randn({ 33 }, { seed = 2 })
    local k = d.randn({ 90, 7, 33 }, { seed = 3 })
    local function formula(x_, w_) return (x_ / ((x_ * x_):mean(3, true) + 0.1):sqrt() * w_ * k):sum() end
    local got = { d.grad(function(x_, w_) return (x_:rms_norm(w_, { epsilon = 0.1 }) * k):sum() end, x, w) }
    local want = { d.grad(formula, x, w) }
    for i = 1, 2 do close(got[i], want[i], double and 1e-11 or 2e-5) end
  end)

  it("has the same bits on any number of threads", function()
    local x, w = d.randn({ 300, 65 }, { seed = 1 }), d.randn({ 65 }, { seed = 2 })
    local threads, seen = d.threads(), {}
    for n = 1, 3 do
      d.threads(n)
      local dw = d.grad(function(w_) return (x:rms_norm(w_) * x):sum() end, w)
      seen[n] = x:rms_norm(w):bytes() .. dw:bytes()
    end
    d.threads(threads)
    assert.is_true(seen[1] == seen[2] and seen[2] == seen[3])
  end)

  it("is scaled, shifted and activated as a layer", function()
    local x, m = d.randn({ 2, 3, 4, 6 }, { seed = 1 }), d.randn({ 2, 12 }, { seed = 2 })
    local net = single("rms_norm", 2, { inp = 6, act = "silu" }, "n")
    local h = x:rms_norm(net:state()["n.weight"])
    close(net(x), h:silu())
    local scale, shift = m:narrow(2, 1, 6):reshape(2, 1, 1, 6), m:narrow(2, 7, 6):reshape(2, 1, 1, 6)
    close(net(x, { y = m }), (h * (scale + 1) + shift):silu())
    fails("rms_norm: scale and shift are [2,6], but x [2,3,4,6] wants [2,12]", net, x, { y = d.ones(2, 6) })
    fails("w is [5] but rows of x [2,6] have 6 elements", function() return d.ones(2, 6):rms_norm(d.ones(5)) end)
  end)
end)

describe("attention with learned keys and values", function()
  local B, N, C, heads, D, M = 2, 6, 5, 3, 4, 2
  local x = d.randn({ B, 2, 3, C }, { seed = 1 })
  local weight = d.randn({ B, 2, 3, C }, { seed = 2 })

  -- q, k, v as [B, heads, N, D], and the learned rows of each head.
  local function parts(s, x_)
    local qkv = x_:reshape(B, N, C):linear(s["a.qkv.weight"])
    local out = {}
    for i = 1, 3 do
      out[i] = qkv:narrow(3, 1 + (i - 1) * heads * D, heads * D):reshape(B, N, heads, D):permute(1, 3, 2, 4)
    end
    return table.unpack(out)
  end
  local function behind(rows, y) return d.cat({ rows:unsqueeze(1):expand(B, heads, M, D), y }, 3) end
  local function result(s, y)
    return y:permute(1, 3, 2, 4):reshape(B, N, heads * D):linear(s["a.out.weight"], s["a.out.bias"]):reshape(B, 2, 3, C)
  end

  local function softmax_of(s, x_, cosine)
    local q, k, v = parts(s, x_)
    local scale = D ^ -0.5
    if cosine then
      local function normed(y) return y / (y * y):sum(3, true):sqrt() end
      q, k, scale = normed(q), normed(k), cosine
    end
    k, v = behind(s["a.memory"]:narrow(1, 1, heads), k), behind(s["a.memory"]:narrow(1, heads + 1, heads), v)
    return result(s, (q:matmul(k:permute(1, 2, 4, 3)) * scale):softmax(4):matmul(v))
  end

  local function linear_of(s, x_, spread)
    local q, k, v = parts(s, x_)
    if spread then v = v * (1 / N) end
    local learned = s["a.memory"]:permute(1, 3, 2)
    k, v = behind(learned:narrow(1, 1, heads), k), behind(learned:narrow(1, heads + 1, heads), v)
    return result(s, (q:softmax(4) * D ^ -0.5):matmul(k:softmax(3):permute(1, 2, 4, 3):matmul(v)))
  end

  local function check(kind, options, formula)
    local net = single(kind, 1, options, "a")
    local s = net:state()
    close(net(x), formula(s, x), double and 1e-12 or 1e-5)
    local names, leaves = {}, { x }
    for name in net:parameters() do
      names[#names + 1] = name
      leaves[#leaves + 1] = s[name]:clone()
    end
    local want = { d.grad(function(x_, ...)
      local own = {}
      for i, value in ipairs { ... } do own[names[i]] = value end
      return (formula(own, x_) * weight):sum()
    end, table.unpack(leaves)) }
    for i, g in ipairs(gradients(net, x, weight)) do close(g, want[i], double and 1e-11 or 3e-5) end
  end

  local o = { inp = C, inner = heads * D, heads = heads, memory = M }
  local function with(name, value)
    local out = { [name] = value }
    for key, v in pairs(o) do out[key] = v end
    return out
  end

  it("is softmax attention over both", function()
    check("memory_attention", o, softmax_of)
    check("memory_attention", with("cosine", 10), function(s, x_) return softmax_of(s, x_, 10) end)
  end)

  it("is linear attention over both", function()
    check("linear_attention", o, linear_of)
    check("linear_attention", with("spread", true), function(s, x_) return linear_of(s, x_, true) end)
  end)

  it("has nothing learned if there is no memory, and takes tokens too", function()
    for _, kind in ipairs { "memory_attention", "linear_attention" } do
      local net = single(kind, 1, { inp = C, inner = 4, heads = 2 }, "a")
      assert.is_nil(net:state()["a.memory"])
      close(net(x):reshape(B, N, C), net(x:reshape(B, N, C)))
      fails("x must be [B,N,C] or [B,H,W,C], got [2,5]", net, d.ones(2, 5))
      fails("3 heads don't divide a width of 4", core.layer, kind, { inp = 5, inner = 4, heads = 3 })
      fails("memory must be 0 or more, got -1", core.layer, kind, { inp = 5, inner = 4, heads = 2, memory = -1 })
    end
  end)
end)

describe("a convolution with standardised weights", function()
  it("is one with weights of mean 0 and variance 1", function()
    local net = single("conv", 1, { inp = 3, out = 4, standard = true }, "c")
    local x, s = d.randn({ 2, 5, 4, 3 }, { seed = 1 }), net:state()
    local flat = s["c.weight"]:reshape(4, 27)
    local w = ((flat - flat:mean(2, true)) / (flat:var(2, true, 0) + 1e-5):sqrt()):reshape(4, 3, 3, 3)
    close(net(x), x:conv2d(w, s["c.bias"], { pad = 1 }), double and 1e-12 or 1e-5)
    local got = gradients(net, x, d.ones(2, 5, 4, 4))[2]
    local want = d.grad(function(v)
      local f = v:reshape(4, 27)
      f = (f - f:mean(2, true)) / (f:var(2, true, 0) + 1e-5):sqrt()
      return x:conv2d(f:reshape(4, 3, 3, 3), s["c.bias"], { pad = 1 }):sum()
    end, s["c.weight"]:clone())
    close(got, want, double and 1e-11 or 3e-5)
  end)
end)

describe("times and classes", function()
  it("are waves of trained frequencies, behind the time itself", function()
    local net = single("learned_waves", 1, { width = 4, offset = 1 }, "w")
    local w, y = net:state()["w.weight"], net(d.tensor { 1.5, -2 }):totable()
    for i, u in ipairs { 0.5, -3 } do
      assert.equal(u, y[i][1])
      for k = 1, 2 do
        assert.near(math.sin(2 * math.pi * w[k] * u), y[i][1 + k], 1e-5)
        assert.near(math.cos(2 * math.pi * w[k] * u), y[i][3 + k], 1e-5)
      end
    end
    assert.is_true(gradients(net, d.tensor { 1.5, -2 }, d.ones(2, 5))[2]:abs():min():item() > 0)
    fails("width must be even and at least 2, got 3", core.layer, "learned_waves", { width = 3 })
    fails("t must be [B], it is [2,1]", net, d.ones(2, 1))
  end)

  it("are rows with one number in the place of the class", function()
    local net = single("one_hot", 2, { classes = 3, factor = 2 })
    local x = d.ones(3, 5)
    assert.same({ { 0, 0, 2 }, { 0, 0, 0 }, { 2, 0, 0 } }, net(x, { y = d.tensor({ 3, 0, 1 }):to "i64" }):totable())
    assert.same(d.zeros(3, 3):totable(), net(x):totable())
    fails("knows 1..3", net, x, { y = d.tensor({ 1, 4, 1 }):to "i64" })
    fails("the classes must be [3], got [2]", net, x, { y = d.tensor({ 1, 2 }):to "i64" })
  end)

  it("are normalised with a weight and no bias", function()
    local net = single("layer_norm", 1, { inp = 4, bias = false }, "n")
    assert.is_nil(net:state()["n.bias"])
    local x = d.randn({ 3, 4 }, { seed = 1 })
    close(net(x), x:layer_norm(net:state()["n.weight"]))
  end)
end)

-- Layers and stock networks: first values, shapes, errors, bits, memory.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local nn = d.nn

local function bits(x) return x:contiguous():bytes() end

-- Parameters that begin at zero would hide what lies before them.
local function stir(model)
  for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.1) end
  return model
end

local function small_unet(more)
  local o = { image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, blocks = 1, attention = { 2 },
    classes = 3 }
  for k, v in pairs(more or {}) do o[k] = v end
  return d.unet(o)
end

describe("first values", function()
  it("depend on the seed and the name alone, not on other layers", function()
    local function weights(with_more, seed)
      d.manual_seed(seed)
      local Net = nn.module("net", function(m)
        if with_more then m.extra = nn.conv(2, 8) end
        m.inp = nn.linear(4, 8)
        if with_more then m.last = nn.linear(8, 8) end
        m.out = nn.linear(8, 4)
      end)
      local state = nn.model(Net()):state()
      return bits(state["inp.weight"]) .. bits(state["out.bias"])
    end
    assert.equal(weights(false, 1), weights(true, 1))
    assert.not_equal(weights(false, 1), weights(false, 2))
  end)

  it("are uniform within 1/sqrt(fan in): bounds, mean, variance", function()
    d.manual_seed(1)
    local layer = nn.conv(16, 64, { kernel = 3 })
    nn.model(layer)
    local w, bound = layer.weight, 1 / math.sqrt(16 * 9)
    assert.is_true(w:abs():max():item() <= bound)
    assert.is_true(w:abs():max():item() > 0.99 * bound)
    local n = w:numel()
    assert.near(0, w:mean():item(), 4 * bound / math.sqrt(3 * n))
    assert.near(1 / 3, w:var():item() / bound ^ 2, 4 * math.sqrt(4 / 45 / n))
  end)

  it("are 1 and 0 for norms, zero where asked for, standard normal for embeddings", function()
    local Net = nn.module("net", function(m)
      m.norm, m.zero, m.rows = nn.group_norm(8), nn.conv(8, 8, { init = "zero" }), nn.embedding(100, 64)
    end)
    local net = Net()
    nn.model(net)
    assert.equal(8, net.norm.weight:sum():item())
    assert.equal(0, net.norm.bias:abs():sum():item())
    assert.equal(0, net.zero.weight:abs():sum():item() + net.zero.bias:abs():sum():item())
    assert.near(0, net.rows.weight:mean():item(), 4 / math.sqrt(6400))
    assert.near(1, net.rows.weight:std():item(), 4 / math.sqrt(2 * 6400))
  end)

  it("make stock networks begin at zero", function()
    assert.equal(0, small_unet()(d.randn(2, 8, 8, 1), 3):abs():max():item())
    assert.equal(0, d.mlp { dim = 2 }(d.randn(2, 2), 3):abs():max():item())
  end)
end)

describe("a layer", function()
  it("says what it is and has no values before it is packed", function()
    local layer = nn.conv(1, 32, { kernel = 3 })
    assert.equal("conv(1 -> 32, kernel 3)", tostring(layer))
    fails("has no values yet: nn.model(root)", layer, d.randn(1, 4, 4, 1))
    fails("has no values yet", function() return layer.weight end)
    fails("has no values yet", nn.norm_conv(32, 32, { groups = 4 }), d.randn(1, 4, 4, 32))
    nn.model(layer)
    assert.same({ 1, 4, 4, 32 }, layer(d.randn(1, 4, 4, 1)):shape())
    assert.same({ 32, 3, 3, 1 }, layer.weight:shape())
    assert.same({ 32 }, layer.bias:shape())
    fails("is in a model already", nn.model, layer)
  end)

  it("has its shapes: strides, padding, sizes", function()
    local Net = nn.module("net", function(m)
      m.half = nn.downsample(4, 6)
      m.ddpm = nn.downsample(4, nil, { pad = { 0, 1, 0, 1 } })
      m.double = nn.upsample(4, 2)
      m.valid = nn.conv(4, 5, { kernel = 5, pad = 0, stride = 2, bias = false })
    end)
    local net = Net()
    nn.model(net)
    local x = d.randn(2, 8, 12, 4)
    assert.same({ 2, 4, 6, 6 }, net.half(x):shape())
    assert.same({ 2, 4, 6, 4 }, net.ddpm(x):shape())
    assert.same({ 2, 16, 24, 2 }, net.double(x):shape())
    assert.same({ 2, 2, 4, 5 }, net.valid(x):shape())
    assert.is_nil(net.valid.bias)
  end)

  it("puts its path before an error", function()
    local Net = nn.module("net", function(m)
      m.deep = nn.list(2, function() return nn.sequence(nn.linear(4, 4), nn.silu) end)
    end)
    local net = Net()
    nn.model(net)
    fails("deep.2.1: linear", net.deep[2], d.randn(2, 3))
  end)

  it("refuses sizes that make no sense, at the user's line", function()
    fails("nn_spec.lua:", function() nn.linear(0, 3) end)
    fails("width in: a whole number of 1 or more expected, got 0", nn.linear, 0, 3)
    fails("unknown option 'krenel'; did you mean 'kernel'?", nn.conv, 1, 2, { krenel = 3 })
    fails("3 heads don't divide a width of 4", nn.attention, 4, { heads = 3 })
    fails("5 groups don't divide 8 channels", nn.group_norm, 8, { groups = 5 })
    fails("width must be even", nn.sinusoid, 7)
  end)

  it("chooses groups of four channels or more, at most 32", function()
    local function groups(channels) return tostring(nn.group_norm(channels)):match "groups (%d+)" end
    local want = { [1] = "1", [6] = "1", [32] = "8", [96] = "24", [128] = "32", [320] = "32" }
    for channels, n in pairs(want) do assert.equal(n, groups(channels)) end
  end)
end)

describe("a stock network", function()
  it("says which sizes fit", function()
    fails("unet: image [30,28] can't be halved 2 times: H and W must be multiples of 4; 28 or 32 fit",
      d.unet, { image = { 30, 28, 1 } })
    fails("4 fits", d.unet, { image = { 3, 4, 1 } })
    fails("attention at factor 8", d.unet, { image = { 28, 28, 1 }, attention = { 8 } })
    fails("channels must be even", d.unet, { image = { 28, 28, 1 }, channels = 9 })
    fails("[B,H,W,1]", small_unet(), d.randn(2, 8, 8, 3), 1)
    fails("H and W must be multiples of 2", small_unet(), d.randn(2, 7, 8, 1), 1)
    fails("mlp: x is [2,3], but this network takes [B,2]", d.mlp {}, d.randn(2, 3), 1)
  end)

  it("runs at other sizes that its levels divide", function()
    assert.same({ 1, 12, 6, 1 }, small_unet()(d.randn(1, 12, 6, 1), 1):shape())
  end)

  it("takes t and class as a number, a list or a tensor", function()
    local model = stir(small_unet())
    local x = d.randn(2, 8, 8, 1)
    local want = bits(model(x, 5, { class = 2 }))
    assert.equal(want, bits(model(x, { 5, 5 }, { class = { 2, 2 } })))
    assert.equal(want, bits(model(x, d.tensor { 5, 5 }, { class = d.tensor { 2, 2 } })))
    assert.not_equal(want, bits(model(x, 5.5, { class = 2 })))
    assert.equal(bits(model(x, 5)), bits(model(x, 5, { class = { 0, 0 } })))
    fails("t has the shape [3], but x has 2 samples", model, x, { 1, 2, 3 })
    fails("made without classes = n", d.mlp {}, d.randn(2, 2), 1, { class = 1 })
    fails("unknown option 'clas'; did you mean 'class'?", model, x, 5, { clas = 1 })
  end)

  it("gives sample k the same bits alone, in a batch, on any number of threads", function()
    local model, threads = stir(small_unet { image = { 16, 16, 1 }, channels = 32 }), d.threads()
    local x = d.randn(3, 16, 16, 1)
    local want = model(x, { 3, 500, 20 }, { class = { 1, 2, 3 } })
    for n = 1, 3 do
      d.threads(n)
      assert.equal(bits(want), bits(model(x, { 3, 500, 20 }, { class = { 1, 2, 3 } })))
    end
    d.threads(threads)
    assert.equal(bits(want[2]), bits(model(x:narrow(1, 2, 1), 500, { class = 2 })))
  end)

  it("outside of a record holds what the way up needs and little more", function()
    local model = stir(d.unet { image = { 32, 32, 1 }, channels = 16, mult = { 1, 1 }, blocks = 4 })
    local x = d.randn(8, 32, 32, 1)
    model(x, 1) -- packs and workspaces exist
    d.record(function() return model(x, 1):sum() end)
    collectgarbage()
    collectgarbage()
    local function peak(fn)
      local before = core.memory().live
      core.memory_reset_peak()
      local kept = fn()
      return core.memory().peak - before, kept
    end
    local plain = peak(function() return model(x, 1) end)
    local recorded = peak(function() return d.record(function() return model(x, 1) end) end)
    local h = 8 * 32 * 32 * 16 * 4 * (core.real == "f64" and 2 or 1)
    -- kept at full size: inp and four blocks; at a quarter: five; and h, its cat of twice the
    -- channels and the block's inner values, padding included
    assert.is_true(plain < (5 + 5 / 4 + 8) * h, ("%.1f"):format(plain / h))
    assert.is_true(recorded > 2 * plain)
  end)

  it("leaves no memory behind, after errors neither", function()
    local model, x = small_unet(), d.randn(2, 8, 8, 1)
    local function once()
      local loss = d.record(function() return model(x, 1):sum() end)
      loss:backward()
      pcall(model, x, 1, { class = 9 })
    end
    once()
    collectgarbage()
    collectgarbage()
    local before = core.memory().blocks
    for _ = 1, 5 do once() end
    collectgarbage()
    collectgarbage()
    assert.equal(before, core.memory().blocks)
  end)

  it("drops in d.record only, and not after eval()", function()
    local model = stir(small_unet { dropout = 0.5 })
    local x = d.randn(2, 8, 8, 1)
    local function value() return bits(model(x, 1)) end
    local plain = value()
    assert.equal(plain, value())
    assert.not_equal(plain, d.record(value))
    assert.not_equal(d.record(value), d.record(value))
    assert.equal(plain, d.record(value, model:eval()))
    assert.not_equal(plain, d.record(value, model:train()))
    local inside
    d.grad(function(y) inside = value() return y:sum() end, x)
    assert.equal(plain, inside)
  end)

  it("is rebuilt from its config", function()
    local stock = require "diffusion.nn.stock"
    for _, model in ipairs { small_unet { dropout = 0.1 }, d.mlp { dim = 3, classes = 2 } } do
      local twin = assert(stock.from_config(model:config()))
      assert.equal(tostring(model), tostring(twin))
      twin:load_state(stir(model):state())
      local x = model:config().kind == "unet" and d.randn(1, 8, 8, 1) or d.randn(1, 3)
      assert.equal(bits(model(x, 3)), bits(twin(x, 3)))
    end
    local none, message = stock.from_config(nn.model(nn.linear(1, 1)):config())
    assert.is_nil(none)
    assert.is_truthy(message:find("composed in Lua", 1, true))
  end)
end)

describe("core.layer", function()
  it("answers wrong arguments with sentences", function()
    local unet = core.layer.unet
    fails("table expected, got nil", unet)
    fails("table expected, got number", unet, 5)
    fails("'image' must be a list of whole numbers, got a number", unet, { image = 5 })
    fails("'mult' must be whole numbers, entry 2 is a string", unet, { image = { 8, 8, 1 }, mult = { 1, "a" } })
    for name, make in pairs(core.layer) do
      for _, what in ipairs { 5, "x", true, { inp = "x" }, { {} }, { inp = -1, out = -1, width = 0 / 0 } } do
        local ok, message = pcall(make, what)
        assert(ok or not tostring(message):find("attempt to", 1, true), name .. ": " .. tostring(message))
      end
    end
  end)
end)

describe("a model", function()
  local plain = d.mlp { dim = 2, hidden = 8, depth = 1 }
  local x = d.randn({ 2, 2 }, { seed = 1 })

  it("made without classes takes class 0, none", function()
    assert.same(plain(x, 5):totable(), plain(x, 5, { class = 0 }):totable())
    assert.same(plain(x, 5):totable(), plain(x, 5, { class = { 0, 0 } }):totable())
    fails("made without classes", plain, x, 5, { class = { 0, 1 } })
  end)

  it("wants whole classes and levels that are numbers", function()
    fails("whole number, got 1.5", plain, x, 5, { class = 1.5 })
    fails("class must be whole numbers, but number 2 is 1.5", plain, x, 5, { class = { 1, 1.5 } })
    fails("class must be whole numbers", plain, x, 5, { class = d.tensor { 1, 1.5 } })
    fails("t is nan", plain, x, 0 / 0)
    fails("t holds a nan", plain, x, { 1, 0 / 0 })
    fails("got string", plain, x, "5")
  end)
end)

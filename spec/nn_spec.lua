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

-- d[kind] of these options and more.
local function maker(kind, options)
  return function(more)
    local o = {}
    for k, v in pairs(options) do o[k] = v end
    for k, v in pairs(more or {}) do o[k] = v end
    return d[kind](o)
  end
end

local small_unet = maker("unet", { image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, blocks = 1, attention = { 2 },
  classes = 3 })
local small_dit = maker("dit", { image = { 8, 8, 1 }, width = 16, depth = 2, classes = 3 })
local small = { unet = small_unet, dit = small_dit }

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
    for _, make in pairs(small) do assert.equal(0, make()(d.randn(2, 8, 8, 1), 3):abs():max():item()) end
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
    fails("width in: integer in [1, 1048576] expected, got 0", nn.linear, 0, 3)
    fails("unknown option 'krenel'; did you mean 'kernel'?", nn.conv, 1, 2, { krenel = 3 })
    fails("3 heads don't divide a width of 4", nn.attention, 4, { heads = 3 })
    fails("5 groups don't divide 8 channels", nn.group_norm, 8, { groups = 5 })
    fails("width: integer in [1, 1048576] expected, got 0", nn.sinusoid, 0)
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
    fails("dit: image [30,28] can't be cut into patches of 4: H and W must be multiples of 4; 28 or 32 fit",
      d.dit, { image = { 30, 28, 1 }, patch = 4 })
    fails("image [28,3] can't be cut into patches of 4", d.dit, { image = { 28, 3, 1 }, patch = 4 })
    fails("width must be a multiple of 4, for a sine and a cosine of both places of a patch, got 30",
      d.dit, { image = { 8, 8, 1 }, width = 30 })
    fails("3 heads don't divide a width of 128", d.dit, { image = { 8, 8, 1 }, heads = 3 })
    fails("option 'image': 3 entries expected, got 2", d.dit, { image = { 8, 8 } })
    fails("(option 'image': entry 3: integer in [1, 1048576] expected, got 0.5)", d.dit, { image = { 8, 8, 0.5 } })
    fails("3 entries expected, got 4", d.dit, { image = { 8, 8, 1, 1 } })
    fails("unknown option 'pach'; did you mean 'patch'?", d.dit, { image = { 8, 8, 1 }, pach = 4 })
    fails("dit: x is [2,8,8,3], but this network takes [B,H,W,1]", small_dit(), d.randn(2, 8, 8, 3), 1)
    fails("H and W must be multiples of 2 for this network", small_dit(), d.randn(2, 8, 7, 1), 1)
    fails("t is missing", small_dit(), d.randn(2, 8, 8, 1))
    fails("mlp: x is [2,3], but this network takes [B,2]", d.mlp {}, d.randn(2, 3), 1)
  end)

  it("runs at other sizes that its levels, or its patch, divide", function()
    for _, make in pairs(small) do assert.same({ 1, 12, 6, 1 }, make()(d.randn(1, 12, 6, 1), 1):shape()) end
  end)

  for kind, make in pairs(small) do
    it(("takes t and class as a number, a list or a tensor (%s)"):format(kind), function()
      local model = stir(make())
      local x = d.randn(2, 8, 8, 1)
      local want = bits(model(x, 5, { class = 2 }))
      assert.equal(want, bits(model(x, { 5, 5 }, { class = { 2, 2 } })))
      assert.equal(want, bits(model(x, d.tensor { 5, 5 }, { class = d.tensor { 2, 2 } })))
      assert.not_equal(want, bits(model(x, 5.5, { class = 2 })))
      assert.not_equal(want, bits(model(x, 5, { class = 3 })))
      assert.equal(bits(model(x, 5)), bits(model(x, 5, { class = { 0, 0 } })))
      fails("t has the shape [3], but x has 2 samples", model, x, { 1, 2, 3 })
      fails("sample 1 is of class 4, but this network knows 1..3", model, x, 5, { class = 4 })
      fails("made without classes = n", make { classes = 0 }, x, 1, { class = 1 })
      fails("unknown option 'clas'; did you mean 'class'?", model, x, 5, { clas = 1 })
    end)
  end

  it("of points refuses classes that it wasn't made for", function()
    fails("made without classes = n", d.mlp {}, d.randn(2, 2), 1, { class = 1 })
  end)

  for _, model in ipairs { stir(small_unet { image = { 16, 16, 1 }, channels = 32 }),
                           stir(small_dit { image = { 16, 16, 1 }, width = 48 }) } do
    it(("gives sample k the same bits alone, in a batch, on any number of threads (%s)"):format(model:config().kind),
      function()
        local x, threads = d.randn(3, 16, 16, 1), d.threads()
        local want = model(x, { 3, 500, 20 }, { class = { 1, 2, 3 } })
        for n = 1, 3 do
          d.threads(n)
          assert.equal(bits(want), bits(model(x, { 3, 500, 20 }, { class = { 1, 2, 3 } })))
        end
        d.threads(threads)
        assert.equal(bits(want[2]), bits(model(x:narrow(1, 2, 1), 500, { class = 2 })))
      end)
  end

  -- The most bytes at once of a call outside of a record, and of one inside.
  local function peaks(model, x)
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
    return plain, recorded
  end

  it("outside of a record holds what the way up needs and little more", function()
    local model = stir(d.unet { image = { 32, 32, 1 }, channels = 16, mult = { 1, 1 }, blocks = 4 })
    local plain, recorded = peaks(model, d.randn(8, 32, 32, 1))
    local h = 8 * 32 * 32 * 16 * 4 * (core.real == "f64" and 2 or 1)
    -- saved at full size: inp and four blocks; at a quarter: five blocks. It also saves h,
    -- its concatenation with twice the channels, and the block's inner values, with
    -- padding.
    assert.is_true(plain < (5 + 5 / 4 + 8) * h, ("%.1f"):format(plain / h))
    assert.is_true(recorded > 2 * plain)
  end)

  it("of blocks alike holds one at a time outside of a record, however many they are", function()
    local x = d.randn(8, 16, 16, 1)
    local one, two = small_dit { depth = 1 }, small_dit { depth = 8 }
    local little, much = peaks(one, x), peaks(two, x)
    assert(math.abs(little - much) < 4096, ("%d and %d bytes"):format(little, much)) -- a block may keep a rest
    assert.is_true(select(2, peaks(two, x)) > 4 * much)
  end)

  it("releases the input of a block after its last reader in the block", function()
    local function narrow(b, h) return b:linear("wide", b:silu(b:linear("narrow", h, { out = 8 })), { out = 256 }) end
    local model = d.network { inputs = { { "x", shape = { "B", 8 } }, "t" }, build = function(net)
      local h = net:linear("inp", net.x, { out = 256 })
      for i = 1, 3 do
        h = net:block("block." .. i, h, { name = "block" }, function(outer, y)
          return outer:block("inner", y, { name = "inner" }, narrow)
        end)
      end
      return h
    end }
    local x = d.randn(1000, 8)
    local plain = peaks(model, x)
    local wide = 1000 * 256 * (core.real == "f64" and 8 or 4)
    assert(plain < 1.5 * wide, ("%.2f"):format(plain / wide))
  end)

  for kind, make in pairs(small) do
    it(("leaves no memory behind, after errors neither (%s)"):format(kind), function()
      local model, x = make(), d.randn(2, 8, 8, 1)
      local function once()
        local loss = d.record(function() return model(x, 1):sum() end)
        loss:backward()
        pcall(model, x, 1, { class = 9 })
        pcall(model, d.randn(2, 8, 7, 1), 1)
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

    it(("drops the share that it is told (%s)"):format(kind), function()
      local x = d.randn(16, 8, 8, 1)
      local function moved(share)
        d.manual_seed(4)
        local model = stir(make { dropout = share })
        return (d.record(model, x, 1):detach() - model(x, 1)):square():mean():item()
      end
      assert.is_true(moved(0.001) < moved(0.1) / 20)
      assert.is_true(moved(0.1) < moved(0.5) / 2)
    end)

    it(("drops in d.record only, and not after eval() (%s)"):format(kind), function()
      local model = stir(make { dropout = 0.5 })
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
  end

  it("is rebuilt from its config", function()
    local family = require "diffusion.nn.family"
    for _, model in ipairs { small_unet { dropout = 0.1 }, d.mlp { dim = 3, classes = 2 },
                             small_dit { patch = 4, outputs = 2, ratio = 3, heads = 2 } } do
      local twin = assert(family.from_config(model:config()))
      assert.equal(tostring(model), tostring(twin))
      twin:load_state(stir(model):state())
      local x = model:config().kind == "mlp" and d.randn(1, 3) or d.randn(1, 8, 8, 1)
      assert.equal(bits(model(x, 3)), bits(twin(x, 3)))
    end
    local none, message = family.from_config(nn.model(nn.linear(1, 1)):config())
    assert.is_nil(none)
    assert.is_truthy(message:find("composed in Lua", 1, true))
  end)
end)

describe("d.dit", function()
  it("has as many parameters as its products have weights and sums", function()
    local function linear(inp, out) return (inp + 1) * out end
    for _, o in ipairs {
      { image = { 8, 8, 1 }, patch = 2, width = 128, heads = 4, depth = 4, ratio = 4, outputs = 1, classes = 0 },
      { image = { 12, 9, 2 }, patch = 3, width = 20, heads = 5, depth = 3, ratio = 2, outputs = 2, classes = 7,
        self_condition = true },
    } do
      local w, patch = o.width, o.patch ^ 2 * o.image[3]
      local inner = o.ratio * w
      local block = linear(w, 6 * w) + linear(w, 3 * w) + linear(w, w) + linear(w, inner) + linear(inner, w)
      local want = 2 * linear(w, w) + o.classes * w + linear((o.self_condition and 2 or 1) * patch, w)
        + o.depth * block + linear(w, 2 * w) + linear(w, o.outputs * patch)
      assert.equal(want, (d.dit(o):count()))
    end
    -- blocks, time, patches, the last product and its shift and scale
    assert.equal(4 * 296832 + 33024 + 640 + 516 + 33024, (d.dit { image = { 8, 8, 1 } }:count()))
  end)

  it("has names like paths, by which it is frozen", function()
    local model, x = stir(small_dit()), d.randn(2, 8, 8, 1)
    assert.same({ 48, 16 }, model:state()["blocks.2.attention.qkv.weight"]:shape())
    assert.equal("linear(16 -> 96)", tostring(model.blocks["1"].modulate))
    local all, trainable = model:freeze("^blocks%.1%."):count()
    assert.equal(96 * 17 + 48 * 17 + 16 * 17 + 64 * 17 + 16 * 65, all - trainable)
    d.record(function() return model(x, 5, { class = 1 }):square():sum() end):backward()
    for name, p in model:parameters() do assert.equal(not name:find "^blocks%.1%.", p.grad ~= nil) end
    assert.equal(all, select(2, model:unfreeze():count()))
  end)

  it("starts each block as the identity: with the last product alone it is the same at any depth", function()
    local x = d.randn(2, 8, 8, 1)
    local shallow, deep = small_dit { depth = 1 }, small_dit { depth = 5 }
    local state = shallow:state()
    for name, p in deep:parameters() do
      if not name:find "^blocks" then p:copy_(state[name]) end
    end
    shallow.out.weight:copy_(d.randn(4, 16))
    deep.out.weight:copy_(shallow.out.weight)
    assert.is_true(deep(x, 5):std():item() > 0.1)
    assert.equal(bits(shallow(x, 5)), bits(deep(x, 5)))
  end)

  it("learns digits, keeps an average, and draws them with guidance", function()
    d.manual_seed(1)
    local set = d.data.digits()
    local model = d.dit { image = { 8, 8, 1 }, width = 32, depth = 2, classes = 10 }
    local ema = d.ema(model, { decay = 0.95 })
    local process = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "v", clip = 1 }
    local loss_of, opt = d.objective { process = process, drop_class = 0.1 }, d.adamw(model, { lr = 3e-3, ema = ema })
    local first, last, n = 0, 0, 0
    for step, x0, class in set:batches { size = 64, steps = 120, seed = 1 } do
      local loss = d.record(loss_of, model, x0, { class = class })
      loss:backward()
      opt:step { zero = true }
      if step <= 10 then first = first + loss:item() / 10 end
      if step > 110 then last, n = last + loss:item() / 10, n + 1 end
    end
    assert.equal(10, n)
    assert(last < 0.7 * first, ("%.3f after %.3f"):format(last, first))
    local o = { model = ema, process = process, shape = { 4, 8, 8, 1 }, sampler = "ddim", steps = 5,
                class = { 1, 2, 3, 4 }, guidance = 2, seed = 3 }
    local x = d.sample(o)
    assert.is_true(x:isfinite():all() and x:abs():max():item() <= 1)
    o.shape, o.class = { 1, 8, 8, 1 }, 1
    assert.equal(bits(x:narrow(1, 1, 1)), bits(d.sample(o)))
  end)
end)

describe("core.layer", function()
  it("answers wrong arguments with sentences", function()
    fails("no kind of layer is named 'unet'", core.layer, "unet", {})
    fails("linear has no option 'heads'", core.layer, "linear", { heads = 2 })
    fails("option 'inp': a whole number expected, got x", core.layer, "linear", { inp = "x" })
    fails("option 'bias': true or false expected, got 1", core.layer, "linear", { bias = 1 })
    for name, kind in pairs(require "diffusion.nn.kinds") do
      for _, what in ipairs { 5, "x", true, { inp = "x" }, { {} }, { inp = -1, out = -1, width = 0 / 0 } } do
        local ok, message = pcall(core.layer, name, what)
        if type(kind) == "table" then
          assert(ok or not tostring(message):find("attempt to", 1, true), name .. ": " .. tostring(message))
        end
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
    fails("class is 1.5", plain, x, 5, { class = 1.5 })
    fails("class 2 is 1.5", plain, x, 5, { class = { 1, 1.5 } })
    fails("class 2 is 1.5", plain, x, 5, { class = d.tensor { 1, 1.5 } })
    fails("t is nan", plain, x, 0 / 0)
    fails("t is inf", plain, x, math.huge)
    fails("t holds an inf", plain, x, { 1, math.huge })
    fails("t holds a nan", plain, x, { 1, 0 / 0 })
    fails("got string", plain, x, "5")
  end)
end)

-- Parameters that are adopted from files and tensors, given, or drawn.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local large = require "spec.support.large_network"
local nn = d.nn

local function bits(x) return x:clone():bytes() end

-- This network has every kind of parameter: convolution, norms, products, an embedding, attention.
local function root()
  return d.network {
    inputs = { { "x", shape = { "B", "H", "W", 4 } }, "t", "class" },
    build = function(net)
      local e = net:time_embed("time", { net.t, net.class }, { inp = 8, out = 16, classes = 3 })
      local h = net:res_block("block", { net:conv("inp", net.x, { out = 8 }), e }, { out = 8 })
      h = net:tokens(net:attention_block("attend", h))
      h = net:layer_norm("norm", h)
      return net:linear("out", h, { out = 4 })
    end,
  }
end

-- The values of a model as tensors of a type, behind strides of their own if `strided`.
local function values_of(m, dtype, strided)
  local out = {}
  for name, p in m:parameters() do
    local x = (p:detach() + d.randn(p:shape(), { seed = #name }) * 0.1):to(dtype)
    if strided and x:dim() >= 2 then
      local order, back = { x:dim() }, {}
      for i = 1, x:dim() - 1 do order[i + 1] = i end
      for i, k in ipairs(order) do back[k] = i end
      x = x:permute(table.unpack(order)):contiguous():permute(table.unpack(back))
    end
    out[name] = x
  end
  return out
end

local function saved(m, values)
  local path = os.tmpname()
  require("diffusion.file.container").write(path, "model", values, { model = m:config() })
  return path
end

describe("an adopted parameter", function()
  local m = root()
  local x, t = d.randn({ 2, 8, 8, 4 }, { seed = 1 }), { 3, 40 }

  for _, dtype in ipairs { "f32", "f16", "bf16" } do
    it("of " .. dtype .. " gives the bits of its values in f32", function()
      local path = saved(m, values_of(m, dtype))
      local frozen, copied = assert(d.load_model(path, { frozen = true })), assert(d.load_model(path))
      os.remove(path)
      for name, p in frozen:parameters() do assert.equal(dtype, p:dtype(), name) end
      for name, p in copied:parameters() do assert.equal(core.real, p:dtype(), name) end
      assert.equal(bits(copied(x, t, { class = 2 })), bits(frozen(x, t, { class = 2 })))
      local function gradient(model)
        return bits(d.grad(function(y)
          local out = model(y, t, { class = 2 })
          return (out * out):sum()
        end, x))
      end
      assert.equal(gradient(copied), gradient(frozen))
    end)
  end

  it("may have any strides", function()
    local function net(values)
      return nn.model(nn.sequence(nn.conv(4, 8), nn.silu, nn.linear(8, 3)), { adopt = values })
    end
    local plain = net {}
    for _, dtype in ipairs { "f32", "f16" } do
      local values, dense = values_of(plain, dtype, true), {}
      for name, v in pairs(values) do dense[name] = v:contiguous() end
      assert.is_true(values["1.weight"]:shape()[1] == 8)
      assert.equal(bits(net(dense)(x)), bits(net(values)(x)))
    end
  end)

  it("is frozen, while what is drawn trains", function()
    d.manual_seed(1)
    local half = (d.randn(8, 2) * 0.5):to "f16"
    local net = nn.model(nn.sequence(nn.linear(2, 8), nn.silu, nn.linear(8, 1)), { adopt = { ["1.weight"] = half } })
    local total, trainable = net:count()
    assert.equal(16 + 8 + 8 + 1, total)
    assert.equal(17, trainable)
    local before, ema = bits(half), d.ema(net, { decay = 0.5 })
    local opt = d.adamw(net, { lr = 0.01, ema = ema })
    local a = d.randn(64, 2)
    local y = a:narrow(2, 1, 1) * a:narrow(2, 2, 1)
    local first, last
    for _ = 1, 200 do
      local loss = d.record(function() return d.mse(net(a), y) end)
      loss:backward()
      opt:step()
      first, last = first or loss:item(), loss:item()
    end
    assert.is_true(last < 0.8 * first, ("%g after %g"):format(last, first))
    assert.equal(before, bits(half))
    d.record(function() return net(a):sum() end):backward()
    for name, p in net:parameters() do
      assert.equal(name ~= "1.weight", p.grad ~= nil, name)
      if name == "1.weight" then assert.equal("f16", p:dtype()) end
    end
    assert.equal("f16", ema:state()["1.weight"]:dtype())
  end)

  it("may be a part of a list's, as under a new head", function()
    local function list(head, adopt)
      return d.network { inputs = { { "x", shape = { "B", 2 } } }, adopt = adopt, build = function(net)
        local h = net:silu(net:linear("trunk.inp", net.x, { out = 8 }))
        return net:linear(head, h, { out = 1 })
      end }
    end
    local trunk = {}
    for name, p in pairs(list "old":state()) do if name:find "^trunk" then trunk[name] = p:to "bf16" end end
    local own, points, path = list("new", trunk), d.randn(16, 2), os.tmpname()
    assert.equal(9, (select(2, own:count())))
    local opt = d.adamw(own, { lr = 0.1 })
    d.record(function() return own(points):square():sum() end):backward()
    opt:step()
    assert.is_true(own.trunk.inp.weight:equal(trunk["trunk.inp.weight"]))
    assert(own:save(path))
    local again = assert(d.load_model(path, { frozen = true }))
    os.remove(path)
    assert.equal("bf16", again.trunk.inp.weight:dtype())
    assert.equal(core.real, again.new.weight:dtype())
    assert.equal(bits(own(points)), bits(again(points)))
    fails("unknown parameter 'trunk.inp.wight'; did you mean 'trunk.inp.weight'?", list, "new",
      { ["trunk.inp.wight"] = points })
  end)

  it("that is unfrozen becomes f32 of its own, and its average follows", function()
    local half = (d.randn(8, 2) * 0.5):to "f16"
    local net = nn.model(nn.sequence(nn.linear(2, 8), nn.linear(8, 1)), { adopt = { ["1.weight"] = half } })
    local ema = d.ema(net, { decay = 0 })
    local a = d.randn(16, 2)
    local before, own = bits(net(a)), bits(half)
    net:unfreeze "1.weight"
    assert.equal(before, bits(net(a)))
    local opt = d.adamw(net, { lr = 0.1, ema = ema })
    d.record(function() return net(a):sum() end):backward()
    opt:step()
    local p = net:state()["1.weight"]
    assert.equal(core.real, p:dtype())
    assert.is_false(p:equal(half:to(core.real)))
    assert.equal(own, bits(half))
    assert.equal(bits(p), bits(ema:state()["1.weight"]))
  end)

  it("can't be unfrozen in a call with an average's values, which would be lost", function()
    local inside
    local model
    local Root = nn.module("root", function(r)
      r.a = nn.linear(2, 2)
      function r:forward(v)
        if inside then model:unfreeze "a.weight" end
        return self.a(v)
      end
    end)
    model = nn.model(Root(), { adopt = { ["a.weight"] = d.randn(2, 2):to "f16" } })
    local average = d.ema(model)
    inside = true
    fails("model: 'a.weight' can't be unfrozen while the model has the values of an average", average, d.ones(1, 2))
    inside = false
    average(d.ones(1, 2))
    assert.equal(core.real, model:unfreeze().a.weight:dtype())
  end)

  it("hides no write to a value that a recomputed block needs", function()
    local path = os.tmpname()
    local input = d.randn(3, 4)
    d.network { inputs = { { "x", shape = { "B", 4 } } }, build = function(net)
      return net:block("b", net.x, { recompute = true }, function(b, h)
        return b:linear("two", b:silu(b:linear("one", h, { out = 4 })), { out = 2 })
      end)
    end }:save(path)
    for _, name in ipairs { "b.one.weight", "b.two.weight" } do
      local model = assert(d.load_model(path, { frozen = true })):unfreeze "two"
      local loss = d.record(function() return model(input):sum() end)
      model:state()[name]:mul_(2)
      fails("was written to in place after it was used", loss.backward, loss)
    end
    os.remove(path)
  end)

  it("must be a parameter's, floats and of its shape", function()
    local function adopt(values) return nn.model(nn.sequence(nn.linear(2, 8), nn.linear(8, 1)), { adopt = values }) end
    fails("unknown parameter '1.wight'; did you mean '1.weight'?", adopt, { ["1.wight"] = d.zeros(8, 2) })
    fails("model: '1.weight' is [2,8], but the network's is [8,2]", adopt, { ["1.weight"] = d.zeros(2, 8) })
    fails("model: '1.weight' must be floats, got i64 [8,2]", adopt, { ["1.weight"] = d.arange(1, 16):reshape(8, 2) })
    fails("model: '1.weight' must be a tensor, got 3", adopt, { ["1.weight"] = 3 })
    if core.real == "f64" then return end
    fails("model: '1.weight' is f64, which is computed in the verification build only", adopt,
      { ["1.weight"] = d.zeros({ 8, 2 }, { dtype = "f64" }) })
  end)
end)

describe("a model file", function()
  local path = os.tmpname()
  local bytes = large.write(path, 512, 4)
  teardown(function() os.remove(path) end)

  local function growth(options)
    collectgarbage()
    collectgarbage()
    local before = core.memory().live
    core.memory_reset_peak()
    local m = assert(d.load_model(path, options))
    return core.memory().live - before, core.memory().peak - before, m
  end

  it("costs next to nothing where it is adopted", function()
    local live, peak = growth { frozen = true }
    assert.is_true(live < bytes / 50 and peak < bytes / 50, ("%d and %d of %d"):format(live, peak, bytes))
  end)

  it("is copied once where it is not", function()
    local live, peak = growth {}
    local once = bytes // 2 * (core.real == "f64" and 8 or 4)
    assert.is_true(peak < 1.05 * once and live >= once, ("%d and %d of %d"):format(live, peak, once))
  end)

  it("of adopted values is saved in their own type", function()
    local _, _, m = growth { frozen = true }
    local copy = os.tmpname()
    assert(m:save(copy))
    local again = assert(d.load_model(copy, { frozen = true }))
    os.remove(copy)
    for name, p in again:parameters() do
      assert.equal("f16", p:dtype())
      assert.equal(bits(m:state()[name]), bits(p))
    end
  end)
end)

describe("a parameter buffer", function()
  it("has no values before its start, and starts once", function()
    local layer = nn.linear(2, 3)
    local home = core.home { { "", layer } }
    assert.equal(2, home:count())
    fails("model: 'weight' has no value yet", home.value, home, 1)
    fails("has no values yet", layer, d.ones(1, 2))
    home:give(1, d.ones(3, 2))
    home:start()
    assert.same({ 1, 1, 1, 1, 1, 1 }, home:value(1):flatten():totable())
    fails("it has been started already", home.start, home)
    fails("model: 'weight' has its value already", home.give, home, 1, d.ones(3, 2))
    fails("is in a model already", core.home, { { "", layer } })
  end)

  it("that was refused is forgotten: the layers are free at once, and their values are drawn", function()
    local function layers() return nn.sequence(nn.linear(2, 3), nn.linear(3, 1)) end
    local net, seven = layers(), d.full({ 3, 2 }, 7):to "f16"
    fails("model: '2.weight' is [3,3]", nn.model, net,
      { adopt = { ["1.weight"] = seven, ["2.weight"] = d.zeros(3, 3) } })
    d.manual_seed(1)
    local m = nn.model(net)
    d.manual_seed(1)
    local twin = nn.model(layers())
    assert.equal(13, (select(2, m:count())))
    for name, p in twin:parameters() do assert.equal(bits(p), bits(m:state()[name])) end
  end)

  it("that is dropped before its start leaves its layers free", function()
    local layer = nn.linear(2, 3)
    core.home { { "", layer } }
    collectgarbage()
    collectgarbage()
    assert.same({ 1, 3 }, nn.model(layer)(d.ones(1, 2)):shape())
  end)
end)

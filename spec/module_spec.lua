-- Modules composed in Lua, and models: names, order, sharing, freezing, state, printing.
local d = require "diffusion"
local fails = require "spec.support.fails"
local nn = d.nn

local function names(model)
  local out = {}
  for name in model:parameters() do out[#out + 1] = name end
  return out
end

local function bits(x) return x:contiguous():bytes() end

-- Fields in an order that is not that of the alphabet, nor of any hash.
local Net = nn.module("net", function(m, width)
  m.zebra = nn.linear(width, width)
  m.apple = nn.list(2, function() return nn.sequence(nn.linear(width, width), nn.silu) end)
  m.scale = nn.parameter(d.full({ width }, 2))
  m.note = "not a part"
  m.mango = nn.linear(width, 1, { bias = false })
  m.zebra = m.zebra
  function m:forward(x)
    for _, part in ipairs(self.apple) do x = part(self.zebra(x)) end
    return self.mango(x * self.scale)
  end
end)

describe("a module", function()
  it("names its parameters by path, in order of assignment", function()
    assert.same({ "zebra.weight", "zebra.bias", "apple.1.1.weight", "apple.1.1.bias",
      "apple.2.1.weight", "apple.2.1.bias", "scale", "mango.weight" }, names(nn.model(Net(3))))
  end)

  it("lists a shared layer once, by its first path, and its gradients add", function()
    local shared = nn.linear(2, 2)
    local Pair = nn.module("pair", function(m)
      m.first = shared
      m.second = shared
      function m:forward(x) return self.first(x) + self.second(x * 3) end
    end)
    local model = nn.model(Pair())
    assert.same({ "first.weight", "first.bias" }, names(model))
    assert.equal(6, (model:count()))
    local x = d.tensor { { 1, 2 } }
    local loss = d.record(function() return model(x):sum() end)
    loss:backward()
    assert.same({ { 4, 8 }, { 4, 8 } }, model.first.weight.grad:totable())
    assert.same({ 2, 2 }, model.second.bias.grad:totable())
  end)

  it("reads a bare parameter as the tensor that is trained", function()
    local net = Net(2)
    assert.same({ 2, 2 }, net.scale:totable())
    local model = nn.model(net)
    local loss = d.record(function() return (model.scale * model.scale):sum() end)
    loss:backward()
    assert.same({ 4, 4 }, model.scale.grad:totable())
  end)

  it("says what is missing or overlooked", function()
    local Empty = nn.module("empty", function() end)
    fails("empty: the module has no function m:forward", nn.model(Empty()), d.ones(1))
    local Plain = nn.module("plain", function(m) m.blocks = { nn.linear(1, 1) } end)
    fails("'blocks' is a plain table with layers in it; nn.list", nn.model, Plain())
    local Outer = nn.module("outer", function(m) m.inner = nn.model(nn.linear(1, 1)) end)
    fails("'inner' is a model, with values of its own", nn.model, Outer())
    fails("entry 1 is a string", nn.list, 1, function() return "x" end)
    fails("argument #2 to 'sequence'", nn.sequence, nn.silu, 3)
    fails("layer or a module expected, got integer", nn.model, 3)
  end)

  it("calls functions in a sequence, and lets go of what is between", function()
    local core = require "diffusion.core"
    local model = nn.model(nn.sequence(nn.linear(4, 4), function(x) return x + 1 end, nn.gelu))
    local x = d.randn(3, 4)
    local want = (model[1](x) + 1):gelu()
    assert.equal(bits(want), bits(model(x)))
    collectgarbage()
    collectgarbage()
    local before = core.memory().blocks
    local one = d.zeros(3, 4)
    local after = core.memory().blocks
    local y = model(x)
    assert.equal(after - before, core.memory().blocks - after, "blocks of one tensor")
    assert.same(one:shape(), y:shape())
    assert.same({ 3, 4 }, y:shape())
  end)

  it("recomputes to the same gradients, dropout included", function()
    local function gradient(wrap)
      d.manual_seed(4)
      local inner = nn.sequence(nn.linear(6, 6), nn.dropout(0.5), nn.silu)
      local model = nn.model(nn.sequence(nn.linear(6, 6), wrap(inner)))
      local state = {}
      for _, p in model:parameters() do
        p:fill_(0):add_(d.arange(1, p:numel()):reshape(p:shape()) * 0.01)
      end
      d.manual_seed(5)
      local loss = d.record(function() return model(d.ones(4, 6)):sum() end)
      loss:backward()
      for _, p in model:parameters() do state[#state + 1] = bits(p.grad) end
      return bits(loss) .. table.concat(state)
    end
    local function as_it_is(part) return part end
    assert.equal(gradient(as_it_is), gradient(nn.recompute))
  end)
end)

describe("a model", function()
  it("prints its tree with shapes and counts", function()
    assert.equal(table.concat({
      "net: 42 parameters",
      "  zebra: linear(3 -> 3)                                               12",
    }, "\n"), tostring(nn.model(Net(3))):match "^[^\n]*\n[^\n]*")
  end)

  it("loses gradients and steps where it is frozen", function()
    d.manual_seed(1)
    local model = nn.model(Net(3))
    local x = d.randn(4, 3)
    local function backward()
      local loss = d.record(function() return model(x):sum() end)
      loss:backward()
    end
    backward()
    assert.is_truthy(model.zebra.weight.grad)
    model:freeze "^zebra"
    assert.is_nil(model.zebra.weight.grad)
    assert.same({ 42, 30 }, { model:count() })
    local before = bits(model.zebra.weight)
    local opt = d.adamw(model, { lr = 0.1, weight_decay = 0.1 })
    backward()
    assert.is_nil(model.zebra.weight.grad)
    assert.is_truthy(model.mango.weight.grad)
    opt:step()
    assert.equal(before, bits(model.zebra.weight))
    assert.is_nil(opt:state().first["zebra.weight"])
    assert.same({ 3 }, opt:state().first.scale:shape())
    model:unfreeze()
    assert.same({ 42, 42 }, { model:count() })
    fails("no parameter matches 'zerba'", model.freeze, model, "zerba")
  end)

  it("gives nothing to a parameter frozen after the optimiser was made", function()
    local model = nn.model(Net(3))
    local opt = d.adamw(model, { lr = 0.1, weight_decay = 0.1 })
    model:freeze "mango"
    local before = bits(model.mango.weight)
    local loss = d.record(function() return model(d.ones(1, 3)):sum() end)
    loss:backward()
    opt:step()
    assert.equal(before, bits(model.mango.weight))
  end)

  it("copies a state in by name and refuses one that doesn't fit", function()
    d.manual_seed(1)
    local a = nn.model(Net(3))
    d.manual_seed(2)
    local b = nn.model(Net(3))
    local x = d.randn(2, 3)
    assert.not_equal(bits(a(x)), bits(b(x)))
    b:load_state(a:state())
    assert.equal(bits(a(x)), bits(b(x)))
    local state = a:state()
    state.scale = nil
    fails("'scale' [3] is missing", b.load_state, b, state)
    state.scale = d.ones(4)
    fails("'scale' is [4], but the model's is [3]", b.load_state, b, state)
    state.scale, state["zebra.wieght"] = d.ones(3), d.ones(1)
    fails("no parameter 'zebra.wieght'; 'zebra.weight' is the nearest", b.load_state, b, state)
  end)

  it("may go before its loss, its layers and its values", function()
    local layer, weight, loss
    do
      local model = nn.model(nn.sequence(nn.linear(2, 2), nn.silu))
      layer, weight = model[1], model[1].weight
      loss = d.record(function() return model(d.ones(1, 2)):sum() end)
    end
    collectgarbage()
    collectgarbage()
    loss:backward()
    assert.same({ 1, 2 }, layer(d.ones(1, 2)):shape())
    assert.is_nil(weight.grad)
    assert.same({ 2, 2 }, weight:shape())
  end)

  it("passes what it doesn't know to a module: extra options, other arguments", function()
    local seen
    local Odd = nn.module("odd", function(m)
      m.layer = nn.linear(1, 1)
      function m:forward(x, t, o, more)
        seen = { t = t:totable(), class = o.class:totable(), mask = o.mask, more = more }
        return self.layer(x)
      end
    end)
    nn.model(Odd())(d.ones(2, 1), 7, { class = 3, mask = "m" }, "more")
    assert.same({ t = { 7, 7 }, class = { 3, 3 }, mask = "m", more = "more" }, seen)
  end)
end)

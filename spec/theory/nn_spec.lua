-- Networks in double: the gradient of a whole network, in every parameter and in x, against
-- central differences along a random direction.
local d = require "diffusion"
local nn = d.nn

local step = 1e-5

-- Parameters that begin at zero would hide what lies before them.
local function stir(model)
  for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.2) end
end

-- |by differences - by the tape| along one direction, relative to max(1, |.|).
local function gap(loss, x, g)
  local u = d.randn(x:shape())
  local function at(h)
    x:add_(u * h)
    local value = loss():item()
    x:add_(u * -h)
    return value
  end
  local want = (at(step) - at(-step)) / (2 * step)
  return math.abs((g * u):sum():item() - want) / math.max(1, math.abs(want))
end

local function check(model, x, t, options)
  stir(model)
  local target = d.randn(model(x, t, options):shape())
  local function loss() return d.mse(model(x, t, options), target) end
  d.record(loss):backward()
  for name, p in model:parameters() do
    assert.is_truthy(p.grad, name .. " has no gradient")
    local worst = gap(loss, p, p.grad)
    assert(worst < 1e-6, ("%s: %g"):format(name, worst))
  end
  local gx = d.grad(function(y) return d.mse(model(y, t, options), target) end, x)
  assert(gap(loss, x, gx) < 1e-6)
end

describe("the gradient of a network, by differences:", function()
  before_each(function() d.manual_seed(3) end)

  it("mlp with classes", function()
    local model = d.mlp { dim = 3, hidden = 8, depth = 2, classes = 4 }
    check(model, d.randn(5, 3), { 1, 20, 300, 4.5, 1000 }, { class = { 1, 4, 0, 2, 2 } })
  end)

  it("mlp and unet that say v beside the prediction", function()
    check(d.mlp { dim = 2, hidden = 6, depth = 1, outputs = 2 }, d.randn(3, 2), { 1, 20, 300 })
    check(d.unet { image = { 4, 4, 2 }, channels = 4, mult = { 1 }, blocks = 1, outputs = 2 }, d.randn(2, 4, 4, 2),
      { 7, 900 })
  end)

  it("unet with attention, classes, a change of channels", function()
    local model = d.unet { image = { 4, 8, 2 }, channels = 8, mult = { 1, 2 }, blocks = 1,
      attention = { 2 }, heads = 2, classes = 3 }
    check(model, d.randn(2, 4, 8, 2), { 7, 900 }, { class = { 3, 1 } })
  end)

  it("a module with every other layer, a shared one and recomputation", function()
    local Net = nn.module("net", function(m)
      m.shared = nn.linear(6, 6)
      m.scale = nn.parameter(d.ones(6))
      m.tokens = nn.attention(6, { heads = 3 })
      m.again = nn.recompute(nn.sequence(nn.layer_norm(6), m.shared, nn.gelu))
      m.down = nn.downsample(6, 6, { pad = { 0, 1, 0, 1 } })
      m.norm = nn.group_norm(6, { groups = 2 })
      m.up = nn.upsample(6)
      m.block = nn.res_block(6, 6)
      function m:forward(x)
        local h = self.again(self.shared(x)) * self.scale
        return self.block(self.up(self.norm(self.down(self.tokens(h)))))
      end
    end)
    check(nn.model(Net()), d.randn(2, 4, 4, 6))
  end)
end)

describe("a network is what its formula says:", function()
  it("time_embed: silu(linear(silu(linear([cos, sin]))) + class)", function()
    d.manual_seed(1)
    local embed = nn.time_embed(4, 6, { classes = 2 })
    nn.model(embed)
    local t = 13
    local wave = { math.cos(t), math.cos(t / 100), math.sin(t), math.sin(t / 100) }
    local h = (d.tensor { wave }:matmul(embed.one.weight:t()) + embed.one.bias):silu()
    h = h:matmul(embed.two.weight:t()) + embed.two.bias + embed.class.weight[2]
    local y = embed(d.tensor { t }, d.tensor({ 2 }, { dtype = "i64" }))
    assert.allclose(h:silu():totable(), y:totable(), { rtol = 1e-10, atol = 1e-12 })
  end)

  it("attention: heads of softmax(q k^T / sqrt(D)) v, then a product", function()
    d.manual_seed(2)
    local layer = nn.attention(4, { heads = 2 })
    nn.model(layer)
    local x = d.randn(1, 3, 4)
    local qkv = x[1]:matmul(layer.qkv.weight:t()) + layer.qkv.bias
    local out = {}
    for head = 0, 1 do
      local function piece(which) return qkv:narrow(2, which * 4 + head * 2 + 1, 2) end
      local scores = piece(0):matmul(piece(1):t()) / math.sqrt(2)
      out[head + 1] = scores:softmax(2):matmul(piece(2))
    end
    local want = d.cat(out, 2):matmul(layer.out.weight:t()) + layer.out.bias
    assert.allclose(want:totable(), layer(x)[1]:totable(), { rtol = 1e-10, atol = 1e-12 })
  end)

  it("res_block: x + conv(silu(norm(conv(silu(norm(x))) + linear(e))))", function()
    d.manual_seed(4)
    local block = nn.res_block(8, 16, { embed = 5, groups = 4 })
    local model = nn.model(block)
    stir(model)
    local x, e = d.randn(2, 4, 4, 8), d.randn(2, 5)
    local h = block.one(x) + block.embed(e):over(block.one(x))
    local want = block.two(h) + block.skip(x)
    assert.allclose(want:totable(), block(x, e):totable(), { rtol = 1e-10, atol = 1e-12 })
  end)
end)

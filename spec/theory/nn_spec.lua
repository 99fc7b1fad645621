-- Networks in double: the gradient of a whole network, in every parameter and in x, against
-- central differences along a random direction.
local d = require "diffusion"
local gap = require "spec.support.slope"
local nn = d.nn

-- Parameters that begin at zero would hide what lies before them.
local function stir(model)
  for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.2) end
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

  it("dit with classes, its own x0, a learned variance, patches of two sizes", function()
    local o = { image = { 4, 8, 2 }, width = 8, heads = 2, depth = 2, ratio = 2, classes = 3 }
    check(d.dit(o), d.randn(2, 4, 8, 2), { 7, 900 }, { class = { 3, 1 } })
    o.classes, o.outputs, o.self_condition, o.patch, o.depth = nil, 2, true, 4, 1
    check(d.dit(o), d.randn(2, 4, 8, 2), { 7, 900 }, { x0 = d.randn(2, 4, 8, 2) })
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

  -- sin and cos of the places of a patch, from formula: 1, h, w, width
  local function places(h, w, width)
    local out = {}
    for i = 0, h * w * width - 1 do
      local k, y, x = i % width, i // width // w, i // width % w
      local quarter = width // 4
      local angle = (k < 2 * quarter and x or y) * 10000 ^ (-4 * (k % quarter) / width)
      out[i + 1] = k // quarter % 2 == 0 and math.sin(angle) or math.cos(angle)
    end
    return d.tensor(out):reshape(1, h, w, width)
  end

  local function norm(x)
    local centred = x - x:mean(-1, true)
    return centred / (centred:square():mean(-1, true) + 1e-6):sqrt()
  end

  it("dit adds sines and cosines of a patch's column, then of its row", function()
    local model, x = d.dit { image = { 6, 8, 3 }, width = 12, heads = 1, depth = 1 }, d.randn(2, 6, 8, 3)
    model.out.weight:copy_(d.eye(12)) -- from here on a pixel shows what its token is
    model.inp.weight:fill_(0)
    model.inp.bias:fill_(0)
    local tokens = model(x, 5):reshape(2, 3, 2, 4, 2, 3):permute(1, 2, 4, 3, 5, 6):reshape(2, 3, 4, 12)
    assert.allclose(norm(places(3, 4, 12)):expand(2, 3, 4, 12), tokens, { rtol = 1e-10, atol = 1e-11 })
  end)

  -- d.dit of the paper's equations, under the same names.
  local Block = nn.module("block", function(m, o)
    m.modulate = nn.linear(o.width, 6 * o.width)
    m.attention = nn.attention(o.width, { heads = o.heads })
    m.one, m.two = nn.linear(o.width, o.ratio * o.width), nn.linear(o.ratio * o.width, o.width)
    function m:forward(h, c)
      local e = self.modulate(c):unsqueeze(2)
      local function part(i) return e:narrow(3, (i - 1) * o.width + 1, o.width) end
      h = h + part(3) * self.attention(norm(h) * (1 + part(2)) + part(1))
      return h + part(6) * self.two(self.one(norm(h) * (1 + part(5)) + part(4)):gelu())
    end
  end)

  local Dit = nn.module("dit", function(m, o)
    local H, W, C, p, width = o.image[1], o.image[2], o.image[3], o.patch, o.width
    local h, w, out = H // p, W // p, C * o.outputs
    m.time = nn.time_embed(width, width, { classes = o.classes })
    m.inp = nn.conv(C, width, { kernel = p, stride = p, pad = 0 })
    m.blocks = nn.list(o.depth, function() return Block(o) end)
    m.modulate, m.out = nn.linear(width, 2 * width), nn.linear(width, p * p * out)
    function m:forward(x, t, given)
      local B, c = x:size(1), self.time(t, given and given.class)
      local patches = x:reshape(B, h, p, w, p, C):permute(1, 2, 4, 3, 5, 6):reshape(B, h * w, p * p * C)
      local tokens = patches:matmul(self.inp.weight:reshape(width, -1):t():unsqueeze(1):expand(B, p * p * C, width))
      tokens = tokens + self.inp.bias + places(h, w, width):reshape(1, h * w, width)
      for i = 1, o.depth do tokens = self.blocks[i](tokens, c) end
      local e = self.modulate(c):unsqueeze(2)
      tokens = norm(tokens) * (1 + e:narrow(3, width + 1, width)) + e:narrow(3, 1, width)
      return self.out(tokens):reshape(B, h, w, p, p, out):permute(1, 2, 4, 3, 5, 6):reshape(B, H, W, out)
    end
  end)

  it("dit: patches, blocks that c shifts, scales and gates, patches", function()
    d.manual_seed(5)
    local o = { image = { 6, 9, 2 }, patch = 3, width = 8, heads = 2, depth = 2, ratio = 3, classes = 4, outputs = 2 }
    local model, twin = d.dit(o), nn.model(Dit(o))
    stir(model)
    twin:load_state(model:state())
    local x, t, given = d.randn(3, 6, 9, 2), { 1, 30, 999 }, { class = { 4, 0, 1 } }
    assert.allclose(twin(x, t, given), model(x, t, given), { rtol = 1e-10, atol = 1e-11 })
  end)
end)

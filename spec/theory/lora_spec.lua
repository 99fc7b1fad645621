-- Low-rank adapters in double: gradients by differences, what merging computes, and what a low rank
-- can and can't learn.
local d = require "diffusion"
local gap = require "spec.support.slope"
local nn = d.nn

local function stir(m, size)
  for _, p in m:parameters() do p:add_(d.randn(p:shape()) * size) end
  return m
end

local function check(m, options, ...)
  local lora, inputs = nn.lora(stir(m, 0.2), options), table.pack(...)
  stir(lora, 0.2)
  local target = d.randn(m(...):shape())
  local function loss() return d.mse(lora(table.unpack(inputs, 1, inputs.n)), target) end
  d.record(loss):backward()
  for name, p in m:parameters() do assert.is_nil(p.grad, name) end
  for name, p in lora:parameters() do
    local worst = gap(loss, p, p.grad)
    assert(worst < 1e-6, ("%s: %g"):format(name, worst))
  end
  local before = lora(...)
  local merged = lora:merge()(...)
  assert.is_true(((merged - before):norm() / before:norm()):item() < 1e-12)
end

describe("the gradient of adapters, by differences:", function()
  before_each(function() d.manual_seed(3) end)

  it("unet with fused attention, with and without recomputation", function()
    for _, recompute in ipairs { false, true } do
      local m = d.unet { image = { 4, 8, 2 }, channels = 8, mult = { 1, 2 }, blocks = 1, attention = { 2 }, heads = 2,
        classes = 3, recompute = recompute }
      check(m, { rank = 2, alpha = 3 }, d.randn(2, 4, 8, 2), { 7, 900 }, { class = { 3, 1 } })
    end
  end)

  it("dit", function()
    local m = d.dit { image = { 4, 8, 2 }, width = 8, heads = 2, depth = 2, ratio = 2, classes = 3 }
    check(m, { rank = 3 }, d.randn(2, 4, 8, 2), { 7, 900 }, { class = { 3, 1 } })
  end)

  it("attention over a context, and convolutions of any stride and zeros", function()
    local m = d.network { inputs = { { "x", shape = { "B", "H", "W", 3 } }, "context" }, build = function(net)
      local h = net:conv("one", net.x, { out = 4, kernel = 5, stride = 3, pad = { 1, 2, 0, 3 } })
      h = net:tokens(net:upsample("up", net:downsample("down", h, { out = 4 }), { out = 4 }))
      h = net:attention("attend", { h, net.context }, { heads = 2, context = 6 })
      return net:linear("out", h, { out = 2, bias = false })
    end }
    check(m, { rank = 2 }, d.randn(2, 10, 11, 3), { context = d.randn(2, 5, 6) })
  end)

  it("two at once, one of them on q and v alone", function()
    local m = d.unet { image = { 4, 4, 1 }, channels = 4, mult = { 1 }, blocks = 1, attention = { 1 } }
    stir(nn.lora(m, { on = "%.[qv]$" }), 0.2)
    check(m, { rank = 2 }, d.randn(2, 4, 4, 1), { 7, 900 })
  end)
end)

-- Trains to the end on a quadratic loss, and returns it.
local function fitted(lora, loss, steps)
  local opt, last = d.adamw(lora, { lr = d.lr.cosine { peak = 0.02, total = steps } }), nil
  for _ = 1, steps do
    last = d.record(loss)
    last:backward()
    opt:step()
  end
  return last:item()
end

-- A matrix with these singular values.
local function matrix(values)
  local n = #values
  local v, diagonal = d.randn(n, n), d.zeros(n, n)
  local _, left = d.linalg.eigh(v:matmul(v:t()))
  local _, right = d.linalg.eigh(v + v:t())
  for i, s in ipairs(values) do diagonal[{ i, i }] = s end
  return left:matmul(diagonal):matmul(right:t())
end

describe("a change of rank r", function()
  local width = 6
  local values = { 3, 2, 1, 0.5, 0.25, 0.125 }

  it("reaches the loss of Eckart and Young, the sum of the squares beyond r", function()
    d.manual_seed(2)
    local m = nn.model(nn.linear(width, width, { bias = false }))
    local goal = m.weight:detach() + matrix(values)
    local lora = nn.lora(m, { rank = 2, seed = 1 })
    local x = d.eye(width)
    local loss = fitted(lora, function() return (lora(x):t() - goal):square():sum() end, 1500)
    local least = 0
    for i = 3, width do least = least + values[i] ^ 2 end
    assert.is_true(math.abs(loss / least - 1) < 1e-4, ("%g, not %g"):format(loss, least))
  end)

  it("has at most r singular values, in a convolution too", function()
    d.manual_seed(4)
    local m = nn.model(nn.conv(3, 8))
    local before = m.weight:clone()
    local lora = nn.lora(m, { rank = 2 })
    local x, goal = d.randn(4, 6, 6, 3), d.randn(4, 6, 6, 8)
    fitted(lora, function() return d.mse(lora(x), goal) end, 50)
    lora:merge()
    local change = (m.weight:detach() - before):reshape(8, -1)
    local squares = d.linalg.eigh(change:matmul(change:t())):totable()
    table.sort(squares, function(a, b) return a > b end)
    assert.is_true(squares[2] > 1e-6)
    assert.is_true(squares[3] < 1e-12 * squares[1])
  end)
end)

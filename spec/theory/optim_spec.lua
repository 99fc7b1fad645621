-- AdamW, clip, accumulation and averages in double, against their formulas in plain Lua.
local d = require "diffusion"
local nn = d.nn

local function new_linear()
  d.manual_seed(5)
  return nn.model(nn.linear(3, 2))
end

local function flat(model)
  local out = {}
  for _, p in model:parameters() do
    for _, v in ipairs(p:flatten():totable()) do out[#out + 1] = v end
  end
  return out
end

local function gradients(model)
  local out = {}
  for _, p in model:parameters() do
    for _, v in ipairs(p.grad:flatten():totable()) do out[#out + 1] = v end
  end
  return out
end

local function backward(model, x, y)
  local loss = d.record(function() return d.mse(model(x), y) end)
  loss:backward()
end

local function norm_of(g)
  local sum = 0
  for _, v in ipairs(g) do sum = sum + v * v end
  return math.sqrt(sum)
end

-- Loshchilov & Hutter 2019, algorithm 2, and the average.
local function plain_adamw(w, o)
  local m, v, average, k = {}, {}, table.move(w, 1, #w, 1, {}), 0
  for i = 1, #w do m[i], v[i] = 0, 0 end
  return function(g)
    local norm = norm_of(g)
    local scale = o.clip and norm > o.clip and o.clip / norm or 1
    local keep = math.min(o.decay, (1 + k) / (10 + k))
    k = k + 1
    for i = 1, #w do
      local gi = g[i] * scale
      m[i] = 0.9 * m[i] + 0.1 * gi
      v[i] = 0.999 * v[i] + 0.001 * gi * gi
      local step = m[i] / (1 - 0.9 ^ k) / (math.sqrt(v[i] / (1 - 0.999 ^ k)) + 1e-8)
      w[i] = w[i] - o.lr(k) * (step + o.weight_decay * w[i])
      average[i] = keep * average[i] + (1 - keep) * w[i]
    end
    return norm, average
  end
end

local function close(want, got)
  assert.allclose(want, got, { rtol = 1e-12, atol = 1e-14 })
end

describe("adamw", function()
  it("is algorithm 2 with clip, decay, a rate by step, and the average, for ten steps", function()
    local model = new_linear()
    local function rate(k) return 0.1 / k end
    local ema = d.ema(model, { decay = 0.6 })
    local opt = d.adamw(model, { lr = rate, weight_decay = 0.03, clip = 0.5, ema = ema })
    local w = flat(model)
    local plain = plain_adamw(w, { lr = rate, weight_decay = 0.03, clip = 0.5, decay = 0.6 })
    for k = 1, 10 do
      backward(model, d.randn(4, 3), d.randn(4, 2))
      local norm, average = plain(gradients(model))
      assert.near(norm, opt:step(), 1e-12)
      close(w, flat(model))
      local state = ema:state()
      local names, mine = {}, {}
      for name in model:parameters() do names[#names + 1] = name end
      for _, name in ipairs(names) do
        for _, v in ipairs(state[name]:flatten():totable()) do mine[#mine + 1] = v end
      end
      close(average, mine)
      assert.equal(k, opt.steps)
      assert.equal(k, ema.updates)
    end
  end)

  it("takes the mean of micro-batches, so that four are one large batch", function()
    local one, four = new_linear(), new_linear()
    local x, y = d.randn(8, 3), d.randn(8, 2)
    local a, b = d.adamw(one, { lr = 0.1, clip = 0.2 }), d.adamw(four, { lr = 0.1, clip = 0.2 })
    for _ = 1, 3 do
      backward(one, x, y)
      for i = 0, 3 do backward(four, x:narrow(1, 2 * i + 1, 2), y:narrow(1, 2 * i + 1, 2)) end
      assert.near(a:step(), b:step(), 1e-13)
      close(flat(one), flat(four))
    end
  end)

  it("counts a walk once, however often a shared weight is met", function()
    local shared = nn.linear(2, 2)
    local model = nn.model(nn.sequence(shared, nn.silu, shared))
    local x = d.randn(3, 2)
    local loss = d.record(function() return model(x):sum() end)
    loss:backward()
    local norm = norm_of(gradients(model))
    assert.near(norm, d.adamw(model, { lr = 0.1 }):step(), 1e-13)
  end)

  it("sums micro-batches where accumulate = 'sum'", function()
    local model = new_linear()
    local x, y = d.randn(8, 3), d.randn(8, 2)
    backward(model, x, y)
    local norm = norm_of(gradients(model))
    backward(model, x, y)
    assert.near(2 * norm, d.adamw(model, { accumulate = "sum" }):step(), 1e-12)
  end)

  it("gives groups their own rate and decay, the first that matches", function()
    local model = new_linear()
    local before = flat(model)
    local opt = d.adamw(model, { lr = 0, groups = {
      { pattern = "^bias$", lr = function(k) return 0.25 * k end, weight_decay = 0.5 },
      { pattern = "bias", lr = 9 },
    } })
    backward(model, d.randn(4, 3), d.randn(4, 2))
    local g = gradients(model)
    opt:step()
    local after = flat(model)
    for i = 1, 6 do assert.equal(before[i], after[i]) end
    for i = 7, 8 do
      local step = g[i] / (math.abs(g[i]) + 1e-8)
      assert.near(before[i] - 0.25 * (step + 0.5 * before[i]), after[i], 1e-12)
    end
  end)
end)

describe("an average without an optimiser", function()
  it("is r a + (1 - r) w, r rising from 1/10 to its decay", function()
    local model = new_linear()
    local ema = d.ema(model, { decay = 0.3 })
    local average = flat(model)
    for k = 0, 5 do
      for _, p in model:parameters() do p:add_(1) end
      ema:update()
      local keep = math.min(0.3, (1 + k) / (10 + k))
      for i, w in ipairs(flat(model)) do average[i] = keep * average[i] + (1 - keep) * w end
      local got = ema:state().weight:flatten():totable()
      close({ table.unpack(average, 1, 6) }, got)
    end
  end)
end)

-- AdamW, clip, accumulation and averages in double, against their formulas in plain Lua.
local d = require "diffusion"
local child = dofile "spec/support/child.lua"
local decays = require "diffusion.ema.decay"
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
    local keep = k == 0 and 0 or math.min(o.decay, (1 + k) / (10 + k))
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

-- The weight of one update in an average after n updates. The parameter is 1 at that
-- update and 0 at all others. All n profiles are columns of one parameter.
local function profile(n, options)
  local model = nn.model(nn.linear(1, n, { bias = false }))
  local ema = d.ema(model, options)
  local _, w = model:parameters()()
  for k = 1, n do
    w:zero_()
    w[k] = 1
    ema:update()
  end
  return ema:state().weight:flatten():totable()
end

-- The same from r_k, what update k keeps: (1 - r_j) r_{j+1} ... r_n.
local function product_of(n, rate)
  local out, after = {}, 1
  for j = n, 1, -1 do
    local r = j == 1 and 0 or rate(j)
    out[j] = (1 - r) * after
    after = after * r
  end
  return out
end

describe("the weights of an average", function()
  it("that is constant fall by r, and the first has all that is left", function()
    local want = { 0.7 ^ 8 }
    for j = 2, 9 do want[j] = 0.3 * 0.7 ^ (9 - j) end
    close(want, profile(9, { decay = 0.7, warmup = false }))
  end)

  it("with warm-up have r = (1 + k) / (10 + k) or 1 - (1 + k/inv_gamma)^-power, up to a most", function()
    close(product_of(12, function(j) return math.min(0.4, j / (9 + j)) end), profile(12, { decay = 0.4 }))
    close(product_of(12, function(j) return math.min(0.7, 1 - (1 + (j - 1) / 2) ^ -0.75) end),
      profile(12, { decay = { "warmup", inv_gamma = 2, power = 0.75, max = 0.7 } }))
    -- inv_gamma = power = 1 is the mean
    for _, w in ipairs(profile(7, { decay = { "warmup", power = 1 } })) do assert.near(1 / 7, w, 1e-14) end
  end)

  it("of a half-life are halved by so many updates, at first by a share of those so far", function()
    local w = profile(20, { decay = { "half_life", steps = 4, ramp = math.huge } })
    for j = 2, 16 do assert.near(w[j] * 2, w[j + 4], 1e-14) end
    close(product_of(20, function(j) return 0.5 ^ (1 / math.min(4, 0.5 * (j - 1))) end),
      profile(20, { decay = { "half_life", steps = 4, ramp = 0.5 } }))
  end)

  it("of a power are the integrals of (gamma + 1) tau^gamma / n^(gamma + 1)", function()
    for sigma_rel, gamma in pairs { [0.05] = 16.9721986, [0.1] = 6.937203938 } do
      assert.near(gamma, decays.exponent(sigma_rel), 1e-7)
      local exact, n, want = decays.exponent(sigma_rel), 40, {}
      for j = 1, n do want[j] = (j / n) ^ (exact + 1) - ((j - 1) / n) ^ (exact + 1) end
      close(want, profile(n, { decay = { "power", sigma_rel = sigma_rel } }))
    end
  end)

  it("of a power are sigma_rel wide", function()
    for _, sigma_rel in ipairs { 0.02, 0.05, 0.1, 0.2, 0.28 } do
      local gamma = decays.exponent(sigma_rel)
      local mean, square = (gamma + 1) / (gamma + 2), (gamma + 1) / (gamma + 3)
      assert.near(sigma_rel, math.sqrt(square - mean ^ 2), 1e-13)
    end
  end)

  it("have the numbers of their papers where none are given", function()
    for _, row in ipairs { { { "warmup" }, { "warmup", inv_gamma = 1, power = 2 / 3, max = 0.9999 } },
                           { { "half_life", steps = 9 }, { "half_life", steps = 9, ramp = 0.05 } },
                           { { "power" }, { "power", sigma_rel = 0.05 } } } do
      close(profile(12, { decay = row[2] }), profile(12, { decay = row[1] }))
    end
    assert.near(0.9999, decays.resolve { "warmup" }(1e9), 1e-15)
  end)

  it("of a function are what it says of each update", function()
    close(product_of(6, function(j) return 1 / j end), profile(6, { decay = function(j) return 1 / j end }))
  end)
end)

describe("averages put together afterwards", function()
  local folder
  setup(function() folder = child.folder() end)
  teardown(function() child.remove(folder) end)

  -- A parameter with known values for n updates; snapshots of two widths are taken.
  local function trained(n, every)
    local model = nn.model(nn.linear(1, 1, { bias = false }))
    local _, w = model:parameters()()
    local widths, paths = { 0.05, 0.1 }, {}
    local emas, aim = {}, d.ema(model, { decay = { "power", sigma_rel = 0.07 } })
    for i, width in ipairs(widths) do emas[i] = d.ema(model, { decay = { "power", sigma_rel = width } }) end
    for k = 1, n do
      w:fill_(math.sin(3 * k / n) + 0.1 * (k % 2))
      aim:update()
      for i, ema in ipairs(emas) do
        ema:update()
        if k % every == 0 then
          paths[#paths + 1] = ("%s/%d_%d"):format(folder, i, k)
          assert(ema:snapshot(paths[#paths]))
        end
      end
    end
    return paths, emas, aim
  end

  it("are exact where the target is one of the snapshots", function()
    local paths, emas = trained(400, 100)
    for i, width in ipairs { 0.05, 0.1 } do
      local state, fit = assert(d.posthoc_ema(paths, { sigma_rel = width }))
      assert.near(0, fit.error, 1e-6)
      assert.near(emas[i]:state().weight:item(), state.weight:item(), 1e-8)
      for j, c in ipairs(fit.weights) do
        assert.near(paths[j] == ("%s/%d_400"):format(folder, i) and 1 or 0, c, 1e-8)
      end
    end
  end)

  it("come near to what an average of another width would have been", function()
    local paths, emas, aim = trained(1600, 100)
    local state, fit = assert(d.posthoc_ema(paths, { sigma_rel = 0.07 }))
    assert.is_true(fit.error < 0.01, ("profile off by %g"):format(fit.error))
    local sum = 0
    for _, c in ipairs(fit.weights) do sum = sum + c end
    assert.near(1, sum, 1e-3)
    local want = aim:state().weight:item()
    local off = math.abs(state.weight:item() - want)
    assert.is_true(off < 1e-3 * math.abs(emas[1]:state().weight:item() - want) + 1e-4, ("off by %g"):format(off))
  end)

  it("leave of the profile what quadrature says", function()
    local paths = trained(400, 200)
    local _, fit = assert(d.posthoc_ema(paths, { sigma_rel = 0.2, updates = 300 }))
    local gamma = { decays.exponent(0.05), decays.exponent(0.1) }
    local function density(t, g, tau) return tau <= t and (g + 1) * tau ^ g / t ^ (g + 1) or 0 end
    local aim, left, whole = decays.exponent(0.2), 0, 0
    for i = 0, 399999 do -- the midpoint rule
      local tau = (i + 0.5) / 1000
      local p = density(300, aim, tau)
      local gap = p
      for j, c in ipairs(fit.weights) do gap = gap - c * density(j <= 2 and 200 or 400, gamma[(j - 1) % 2 + 1], tau) end
      left, whole = left + gap ^ 2, whole + p ^ 2
    end
    assert.near(math.sqrt(left / whole), fit.error, 1e-5)
  end)
end)

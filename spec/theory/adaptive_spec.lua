-- Samplers with adaptive steps: acceptance and the next length, for results that a script
-- gives, and the orders of dpm_adaptive's pairs.
local d = require "diffusion"
local adaptive = require "diffusion.sampler.adaptive"

-- Walks one sample from 0 to 1 where a step's error is errors[number]; the steps tried.
local function tried(errors, o)
  local steps = {}
  o.mix, o.order, o.most, o.name, o.place = d.mix, o.order or 2, 100, "test", "t"
  o.errors = function() return { errors[#steps] or 0 } end
  local z = adaptive.walk(d.zeros(1, 1), 0, 1, function(z, at, h)
    steps[#steps + 1] = { at[1], h[1] }
    return z, z + h[1]
  end, o)
  return steps, z:item()
end

describe("the length of a step", function()
  it("is 0.9 E^(-1/order) of the last's, and E up to 1 is good", function()
    for _, order in ipairs { 2, 3 } do
      local steps, z = tried({ 0.5, 1, 1.01, 1.5, 0.9 }, { h = 0.1, order = order })
      local at, h = 0, 0.1
      for i, E in ipairs { 0.5, 1, 1.01, 1.5, 0.9 } do
        assert.near(at, steps[i][1], 1e-12)
        assert.near(h, steps[i][2], 1e-12)
        if E <= 1 then at = at + h end
        h = math.min(1 - at, h * 0.9 * E ^ (-1 / order))
      end
      assert.near(1, z, 1e-12)
    end
  end)

  it("grows fivefold and shrinks to a fifth at most, and ends at the end", function()
    local steps = tried({ 0, 1e9, 0 }, { h = 0.01 })
    assert.near(0.05, steps[2][2], 1e-12)
    assert.near(0.01, steps[3][2], 1e-12)
    assert.near(0.05, steps[4][2], 1e-12)
    steps = tried({ 0, 0 }, { h = 0.3 })
    assert.near(0.7, steps[2][2], 1e-12)
    assert.equal(2, #steps)
  end)

  it("is measured by max(atol, rtol max(|low|, |z|)), root mean square", function()
    local z, low = d.tensor { { 1, -4 }, { 0, 0 } }, d.tensor { { 3, 2 }, { 0.1, 0 } }
    local high = d.tensor { { 3.3, 2.8 }, { 0.1, 0.03 } }
    local E = adaptive.errors(z, low, high, { atol = 0.02, rtol = 0.1 })
    assert.near(math.sqrt((1 ^ 2 + 2 ^ 2) / 2), E[1], 1e-9)
    assert.near(1.5 / math.sqrt(2), E[2], 1e-9)
  end)
end)

describe("a pair of dpm_adaptive", function()
  local process = d.process { schedule = d.schedule.vp { T = 1000 }, predict = "x0" }
  local mixture = d.oracle.mixture { means = { { -1 }, { 0.4 }, { 1.2 } }, std = { 0.3, 0.2, 0.4 },
                                     weights = { 0.3, 0.5, 0.2 } }
  local schedule, model = process.schedule, mixture:denoiser(process)
  local function denoise(x, t)
    local at = type(t) == "table" and d.tensor(t) or t
    return process:estimate(model(x, at), x, at)
  end
  local start = d.tensor { { -1.3 }, { -0.2 }, { 0.5 }, { 1.6 } }

  -- One step of h in lambda from sigma = 0.7 by walk's own try: what it is given as low and high.
  local function results(order, h)
    local walk, low, high = adaptive.walk, nil, nil
    adaptive.walk = function(z, from, to, try)
      local n = z:size(1)
      local function all(v) return adaptive.each(n, function() return v end) end
      low, high = try(z, all(from), all(to - from))
      return high
    end
    local step = d.sampler.step({ "dpm_adaptive", order = order }, denoise, process)
    local pair = { t = schedule:level_of_sigma(0.7), s = schedule:level_of_sigma(0.7 * math.exp(-h)), i = 1, n = 2 }
    local fine, message = pcall(step, start * schedule:signal(pair.t), pair, {})
    adaptive.walk = walk
    assert(fine, message)
    return low / schedule:signal(pair.s), high / schedule:signal(pair.s)
  end

  -- The ODE dy/dln sigma = y - x0, by Runge's and Kutta's steps.
  local function exact(h)
    local y, n, at = start, 40, math.log(0.7)
    local w = -h / n
    local function slope(z, l) return z - mixture:posterior_mean(z, 1, math.exp(l)) end
    for _ = 1, n do
      local a = slope(y, at)
      local b = slope(y + a * (w / 2), at + w / 2)
      local c = slope(y + b * (w / 2), at + w / 2)
      y = d.mix(1, y, w / 6, a, w / 3, b, w / 3, c, w / 6, slope(y + c * w, at + w))
      at = at + w
    end
    return y
  end

  for _, row in ipairs { { 2, 1, 2 }, { 3, 2, 3 } } do
    it(("of order %d has local errors h^%d and h^%d"):format(row[1], row[2] + 1, row[3] + 1), function()
      local gaps = {}
      for i, h in ipairs { 0.02, 0.01 } do
        local low, high = results(row[1], h)
        local truth = exact(h)
        gaps[i] = { (low - truth):norm():item(), (high - truth):norm():item() }
      end
      for k = 1, 2 do
        local order = math.log(gaps[1][k] / gaps[2][k], 2)
        assert.is_true(math.abs(order - row[k + 1] - 1) < 0.2, ("%g of %g"):format(order, row[k + 1] + 1))
      end
    end)
  end
end)

-- Presets of samplers, compared with independent formulas of their libraries. The
-- comparison uses exact moments of Gaussian data, or the coefficients of a step. Options
-- of one step and empty batches are tested too.
local d = require "diffusion"

local process = d.process { schedule = d.schedule.vp { T = 1000 } }
local schedule = process.schedule
local std = 0.5
local grid = d.grid.list(process, { 900, 700, 450, 300, 180, 90, 40, 12 })
local sigma = {}
for i, pair in ipairs(grid) do sigma[i] = schedule:sigma(pair[1]) end
local n = #sigma
sigma[n + 1] = 0

-- x0 of data N(0, std^2) is gain(sigma) y, in y = x/a.
local function gain(at) return std ^ 2 / (std ^ 2 + at ^ 2) end

-- Final variance of a deterministic peer that takes y by step(i, y).
local function deterministic(step)
  local y = math.sqrt(1 + sigma[1] ^ 2)
  for i = 1, n do y = step(i, y) end
  return y ^ 2
end

local function slope(y, at) return y * (1 - gain(at)) / at end

local function ddim(i, y) return y + (sigma[i + 1] - sigma[i]) * slope(y, sigma[i]) end

-- Karras et al. 2022, algorithm 1.
local function heun(i, y)
  local way, first = sigma[i + 1] - sigma[i], slope(y, sigma[i])
  if sigma[i + 1] == 0 then return y + way * first end
  return y + way * (first + slope(y + way * first, sigma[i + 1])) / 2
end

-- k-diffusion's sample_dpmpp_2m; below `least` steps the last has order one (dpm-solver's lower_order_final).
local function dpmpp_2m(least)
  local before
  return function(i, y)
    local m, r = gain(sigma[i]) * y, nil
    if sigma[i + 1] == 0 then return m end
    local h = math.log(sigma[i] / sigma[i + 1])
    if before and not (n < least and i == n) then r = math.log(sigma[i - 1] / sigma[i]) / h end
    local value = r and (1 + 1 / (2 * r)) * m - before / (2 * r) or m
    before = m
    return sigma[i + 1] / sigma[i] * y - (math.exp(-h) - 1) * value
  end
end

-- k-diffusion's sample_lms: slopes of up to four steps, Lagrange's polynomials integrated by quadrature.
local function lms()
  local past = {}
  return function(i, y)
    table.insert(past, 1, slope(y, sigma[i]))
    local order, out = math.min(i, 4), y
    for j = 1, order do
      local sum, cells = 0, 2000
      for c = 1, cells do
        local at, p = sigma[i] + (sigma[i + 1] - sigma[i]) * (c - 0.5) / cells, 1
        for k = 1, order do
          if k ~= j then p = p * (at - sigma[i - k + 1]) / (sigma[i - j + 1] - sigma[i - k + 1]) end
        end
        sum = sum + p / cells
      end
      out = out + (sigma[i + 1] - sigma[i]) * sum * past[j]
    end
    return out
  end
end

-- Ho et al. 2020 in y: the posterior's mean and variance.
local function ddpm()
  local v = 1 + sigma[1] ^ 2
  for i = 1, n do
    local share = (sigma[i + 1] / sigma[i]) ^ 2
    v = (share + (1 - share) * gain(sigma[i])) ^ 2 * v + sigma[i + 1] ^ 2 * (1 - share)
  end
  return v
end

-- k-diffusion's sample_dpmpp_2m_sde, eta = 1, midpoint: the covariance of y and the x0 before.
local function dpmpp_2m_sde()
  local v, both, old = 1 + sigma[1] ^ 2, nil, nil -- E y^2, E y m', E m'^2
  for i = 1, n do
    local g = gain(sigma[i])
    if sigma[i + 1] == 0 then return g ^ 2 * v end
    local h = math.log(sigma[i] / sigma[i + 1])
    local c, k = sigma[i + 1] / sigma[i] * math.exp(-h), 1 - math.exp(-2 * h)
    local w = both and 0.5 * k * h / math.log(sigma[i - 1] / sigma[i]) or 0
    local A, B = c + (k + w) * g, -w
    local next_v = A ^ 2 * v + 2 * A * B * (both or 0) + B ^ 2 * (old or 0) + sigma[i + 1] ^ 2 * k
    both, old, v = g * (A * v + B * (both or 0)), g ^ 2 * v, next_v
  end
end

local function variance(name, o, of)
  return select(2, d.check.moments(d.sampler.preset(name, o), { process = of or process, grid = grid, std = std }))
end

describe("sampler presets end in their peers' variance:", function()
  local peers = {
    ["edm-heun"] = deterministic(heun), ["guided-diffusion-ddim"] = deterministic(ddim),
    ["lucidrains-ddim"] = deterministic(ddim), ["guided-diffusion-ddpm"] = ddpm(), ["lucidrains-ddpm"] = ddpm(),
    ["dpm-solver-2m"] = deterministic(dpmpp_2m(10)), ["k-diffusion-dpmpp-2m"] = deterministic(dpmpp_2m(0)),
    ["k-diffusion-lms"] = deterministic(lms()), ["k-diffusion-dpmpp-2m-sde"] = dpmpp_2m_sde(),
  }
  for name, want in pairs(peers) do
    it(name, function() assert.near(1, variance(name) / want, name == "k-diffusion-lms" and 1e-5 or 1e-9) end)
  end
end)

describe("edm-churn", function()
  -- The noise and the level that a step from sigma is raised to, of 100 steps: gamma = 0.4.
  local function raised(from, steps)
    local ve, told, noise = d.process { schedule = d.schedule.edm {}, predict = "x0" }, nil, 0
    local step = d.sampler.step(d.sampler.preset "edm-churn", function(x, t)
      told = told or ve.schedule:sigma(t)
      return x, x
    end, ve, { mix = d.mix, mix_noise = function(c, ...)
      noise = c
      return d.mix(...)
    end })
    local t = ve.schedule:level_of_sigma(from)
    step(d.zeros(1, 1), { t = t, s = ve.schedule:level_of_sigma(from * 0.9), i = 1, n = steps }, {})
    return told / from, noise / from
  end

  it("has S_churn = 40, S_min = 0.05, S_max = 50, S_noise = 1.003 (Karras et al. 2022, table 5)", function()
    for _, from in ipairs { 0.0501, 1, 49.9 } do
      local level, noise = raised(from, 100)
      assert.near(1.4, level, 1e-4)
      assert.near(1.003 * math.sqrt(1.4 ^ 2 - 1), noise, 1e-4)
      assert.near(math.sqrt(2), (raised(from, 18)), 1e-4)
    end
    for _, from in ipairs { 0.0499, 50.1 } do
      local level, noise = raised(from, 100)
      assert.near(1, level, 1e-6)
      assert.equal(0, noise)
    end
  end)
end)

-- A step's x as numbers: mix of plain numbers, no noise; m, the x0 of each call, is given.
local function steps_of(sampler, values, times, count)
  local asked, terms = 0, 0
  local function mix(...)
    local sum = 0
    for i = 1, select("#", ...), 2 do sum = sum + select(i, ...) * select(i + 1, ...) end
    terms = select("#", ...) // 2
    return sum
  end
  local step = d.sampler.step(sampler, function()
    asked = asked + 1
    return values[asked], 0
  end, process, { mix = mix, mix_path = function(_, _, _, _, ...) return mix(...) end })
  local history, x = {}, 0
  for i = 1, #times - 1 do
    x = step(0.3, { t = times[i], s = times[i + 1], i = count - #times + 1 + i, n = count }, history)
  end
  return x, terms
end

describe("a preset's own option", function()
  it("lowers the order of dpm-solver-2m's last step below 10 steps", function()
    local function terms(name, count)
      return select(2, steps_of(d.sampler.preset(name), { 1, 2, 3 }, { 300, 200, 100, 50 }, count))
    end
    assert.same({ 2, 3 }, { terms("dpm-solver-2m", 9), terms("dpm-solver-2m", 10) })
    assert.same({ 3, 3 }, { terms("k-diffusion-dpmpp-2m", 9), terms("k-diffusion-dpmpp-2m", 10) })
  end)

  it("has diffusers' wrong sign: (1 - e^-2h - 2h)/(2h)^2 - 1/2 times D2", function()
    local times, m = { 500, 380, 300, 150 }, { 0.7, -0.2, 0.5 }
    local l = {}
    for i, t in ipairs(times) do l[i] = schedule:log_snr(t) / 2 end
    local h = l[4] - l[3]
    local r0, r1, k = (l[3] - l[2]) / h, (l[2] - l[1]) / h, 1 - math.exp(-2 * h)
    local a, b = (m[3] - m[2]) / r0, (m[2] - m[1]) / r1
    local D1, D2 = a + r0 / (r0 + r1) * (a - b), (a - b) / (r0 + r1)
    local want = schedule:noise(150) / schedule:noise(300) * math.exp(-h) * 0.3
      + schedule:signal(150) * (k * m[3] + (1 - k / (2 * h)) * D1 + ((k - 2 * h) / (2 * h) ^ 2 - 0.5) * D2)
    assert.near(want, (steps_of(d.sampler.preset "diffusers-dpmpp-3m-sde-wrong-sign", m, times, 50)), 1e-9)
  end)

  it("gives previous-by-stride the stride of all its steps where a run takes fewer", function()
    local function to(steps)
      local sampler = d.sampler.preset("diffusers-ddim-previous-by-stride", { steps = steps })
      return (steps_of(sampler, { 1 }, { 700, 650 }, 10))
    end
    assert.near(schedule:signal(680), to(50), 1e-9)
    assert.near(schedule:signal(600), to(nil), 1e-9)
  end)

  it("gives singlestep's last step a block of its own only where the order divides the steps", function()
    for _, row in ipairs { { 4, 2, 2 }, { 5, 2, 2 }, { 6, 3, 2 }, { 5, 3, 3 } } do -- x and values in the last
      local count, order, want = table.unpack(row)
      local times = {}
      for i = 0, count do times[i + 1] = 800 - 120 * i end
      local _, terms = steps_of({ "dpmpp_singlestep", order = order }, { 1, 2, 3, 4, 5, 6 }, times, count)
      assert.equal(want, terms, ("%d steps of order %d"):format(count, order))
    end
  end)
end)

describe("weighted points in many dimensions", function()
  it("have the density of a sum of Gaussians, weights and all", function()
    local points = require "diffusion.oracle.points"
    local y, w = d.randn({ 3, 20 }, { seed = 1 }) * 0.3, { 0.1, 0.3, 0.6 }
    local oracle = points.new(y, { weights = d.tensor(w) })
    local x, a, s = d.randn({ 2, 20 }, { seed = 2 }) * 0.3, schedule:signal(400), schedule:noise(400)
    local got = oracle:log_prob(x, { a = a, s = s }):totable()
    for b, row in ipairs(x:totable()) do
      local total = 0
      for i, point in ipairs(y:totable()) do
        local square = 0
        for k = 1, 20 do square = square + (row[k] - a * point[k]) ^ 2 end
        total = total + w[i] * math.exp(-square / (2 * s ^ 2)) / (2 * math.pi * s ^ 2) ^ 10
      end
      assert.near(math.log(total), got[b], 1e-4)
    end
  end)
end)

describe("a batch of none", function()
  local function none(sampler, p)
    local x = d.sample { model = function(x) return x * 0.5 end, process = p, shape = { 0, 2 }, steps = 3,
                         sampler = sampler }
    assert.same({ 0, 2 }, x:shape())
  end

  it("is sampled by every preset that starts from noise, and with a dynamic threshold", function()
    for _, name in ipairs(d.sampler.presets()) do
      if not name:find "inverse" and not name:find "flow" then
        none(d.sampler.preset(name), process)
      end
    end
    none("ddim", d.process { schedule = schedule, clip = "dynamic" })
  end)

  it("goes up by exact inversion, too", function()
    local x = d.sample { model = function(x) return x * 0.5 end, process = process, init = d.zeros(0, 2), steps = 3,
                         sampler = { "ddim_inversion", exact = true } }
    assert.same({ 0, 2 }, x:shape())
  end)
end)

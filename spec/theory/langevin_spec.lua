-- The corrector of Song et al. 2021 (score SDE), algorithms 4 and 5. Its step is compared
-- with the paper. Its effect on the distribution of a level is tested, and the error of a
-- step that depends on x in few dimensions.
local d = require "diffusion"

-- Adjacent levels of few have alpha = 1 - beta far from 1.
local process = d.process { schedule = d.schedule.cosine { T = 8 }, predict = "eps" }
local schedule = process.schedule
local t, s = 5, 4
local alpha = 1 - schedule:beta(t)

-- By hand: x + e g + sqrt(2 e) z with g = -eps/s and e = 2 alpha (snr sqrt(D)/|g|)^2, at most s^2/5.
local function by_hand(x, eps, z, snr)
  local noise, square, out = schedule:noise(s), 0, {}
  for k = 1, #x do square = square + (eps[k] / noise) ^ 2 end
  local e = math.min(noise ^ 2 / 5, 2 * alpha * snr ^ 2 * #x / square)
  for k = 1, #x do out[k] = x[k] - e * eps[k] / noise + math.sqrt(2 * e) * z[k] end
  return out
end

-- Steps with this noise, and no predictor to speak of: x stays as it is until the corrector.
local function step_of(sampler, denoise, z)
  return d.sampler.step(sampler, denoise, process, { mix = d.mix,
    mix_noise = function(sigma, ...) return d.mix(sigma, z, ...) end,
    mix_path = function(_, _, _, _, _, x) return x end })
end

describe("a corrector's step", function()
  local eps = d.tensor { { 0.8, -0.5, 1.1 }, { -0.3, 0.4, 0.2 }, { 0.02, 0.01, -0.05 }, { 2, 1, -3 } }
  local x, z = d.tensor { { 1, 2, 3 }, { -1, 0, 1 }, { 0.5, 0.5, 0.5 }, { 0, 0, 0 } }, d.randn({ 4, 3 }, { seed = 3 })

  it("is the paper's, of each sample's own length, capped where eps is small", function()
    assert.is_true(alpha < 0.8)
    for _, snr in ipairs { 0.16, 0.3 } do
      local asked = {}
      local step = step_of({ "predictor_corrector", snr = snr }, function(_, at)
        asked[#asked + 1] = at
        return x, eps
      end, z)
      local got = step(x, { t = t, s = s, i = 1, n = 3 }, {}):totable()
      assert.same({ t, s }, asked)
      for b, row in ipairs(x:totable()) do
        local want = by_hand(row, eps:totable()[b], z:totable()[b], snr)
        for k = 1, 3 do assert.near(want[k], got[b][k], 1e-12) end
      end
    end
  end)

  it("is taken as often as corrections says, by the score of where it is", function()
    local function denoise(y) return y, y * 0.7 end
    local got = step_of({ "predictor_corrector", corrections = 3 }, denoise, z)(x, { t = t, s = s, i = 1, n = 3 }, {})
    local row = x:totable()[1]
    for _ = 1, 3 do row = by_hand(row, (d.tensor(row) * 0.7):totable(), z:totable()[1], 0.16) end
    for k = 1, 3 do assert.near(row[k], got:totable()[1][k], 1e-12) end
  end)

  it("of no sample is none", function()
    for _, shape in ipairs { { 0, 2 }, { 0, 3, 2 } } do
      local model = function(y) return y * 0.5 end
      local y = d.sample { model = model, process = process, shape = shape, sampler = "predictor_corrector" }
      assert.same(shape, y:shape())
    end
  end)
end)

-- Variance of x over the level's own after n correctors at one level, and before, of data N(0, std^2) in D
-- dimensions that begin exactly as the level has them.
local function after(D, n, std, snr)
  local a, noise = schedule:signal(s), schedule:noise(s)
  local own = (a * std) ^ 2 + noise ^ 2
  local count, start = 2 ^ 18 // D, math.sqrt(own)
  local x = d.randn({ count, D }, { seed = 5 }) * start
  local drawn = 5
  local step = d.sampler.step({ "predictor_corrector", corrections = n, snr = snr }, function(y)
    return y, y * (noise / own)
  end, process, { mix = d.mix, mix_path = function(_, _, _, _, _, y) return y end, mix_noise = function(sigma, ...)
    drawn = drawn + 1
    return d.mix(sigma, d.randn({ count, D }, { seed = drawn }), ...)
  end })
  local before = x:square():mean():item()
  return step(x, { t = t, s = s, i = 1, n = 3 }, {}):square():mean():item() / own, before / own
end

describe("a level's own law under the corrector", function()
  -- e = 2 alpha snr^2 v D/|y|^2 in units of the level's variance v, y = x/sqrt(v) of D dimensions: with
  -- m = |y|^2/D and c = 2 alpha snr^2 a step makes of y (1 - c/m) y + sqrt(2 c/m) z, so that
  -- E m' = E m - 2 c + (c^2 + 2 c) E[1/m], and E[1/m] = D/(D - 2) of y ~ N(0, 1).
  local function law(D, m, snr)
    local c = 2 * alpha * snr ^ 2
    return m - 2 * c + (c ^ 2 + 2 * c) * D / (D - 2) / m
  end

  it("stays in many dimensions, but for the square of a step's length", function()
    for _, snr in ipairs { 0.1, 0.16, 0.2 } do
      local got, before = after(4096, 1, 0.5, snr)
      assert.near(law(4096, before, snr), got, 0.002)
    end
    local got, want = after(4096, 4, 0.5, 0.16) -- E[1/m] is 1/m there, of any m
    for _ = 1, 4 do want = law(4096, want, 0.16) end
    assert.near(want, got, 0.005) -- 2 sqrt(2 c)/2^9 a step is chance
  end)

  it("widens in few, since steps are longer where eps is small", function()
    local got, before = after(8, 1, 0.5, 0.1)
    assert.near(law(8, before, 0.1), got, 0.002)
    assert.is_true(law(8, 1, 0.2) - law(4096, 1, 0.2) > 0.02)
  end)

  it("gains from corrections in 64 dimensions, and loses in two", function()
    local p = d.process { schedule = d.schedule.cosine { T = 50 }, predict = "eps" }
    local function ends(D, corrections)
      local std = {}
      for k = 1, D do std[k] = 0.5 end
      return d.sample { model = d.oracle.gaussian { std = std }:denoiser(p), process = p, shape = { 2 ^ 15 // D, D },
                        seed = 1, sampler = { "predictor_corrector", corrections = corrections } }:std():item()
    end
    local without = ends(64, 0)
    assert.is_true(math.abs(ends(64, 1) - 0.5) < math.abs(without - 0.5))
    assert.is_true(math.abs(ends(64, 2) - 0.5) < math.abs(without - 0.5))
    assert.is_true(ends(2, 1) > 0.53)
  end)
end)

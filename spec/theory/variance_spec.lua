-- variance = "optimal" in double: on Gaussians the variance of x_s given x_t is known.
local d = require "diffusion"

local p = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "v" }

-- Var(x_s | x_t) for data N(0, std^2), by conditioning x_s on x_t.
local function conditional(t, s, std)
  local schedule = p.schedule
  local at, as = schedule:signal(t), schedule:signal(s)
  local factor = at / as -- x_t = factor x_s + fresh noise
  local prior = as ^ 2 * std ^ 2 + schedule:noise(s) ^ 2
  local fresh = schedule:noise(t) ^ 2 - factor ^ 2 * schedule:noise(s) ^ 2
  return prior * fresh / (factor ^ 2 * prior + fresh)
end

local function rows_of(std, times)
  local rows = {}
  for i, t in ipairs(times) do rows[i] = { t, 1 / (1 / std ^ 2 + p.schedule:snr(t)) } end
  return rows
end

local function every(n)
  local times = {}
  for t = 1, p.T, n do times[#times + 1] = t end
  return times
end

local function with(rows)
  return d.process { schedule = p.schedule, predict = "v", variance = "optimal", x0_error = rows }
end

describe("the optimal variance", function()
  it("of exact errors is that of x_s given x_t, between any two levels, and 0 at the end", function()
    local q = with(rows_of(0.5, every(1)))
    for _, pair in ipairs { { 200, 199 }, { 150, 20 }, { 77, 76 }, { 2, 1 } } do
      local want = conditional(pair[1], pair[2], 0.5)
      assert.near(want, q:step_variance(pair[1], pair[2]), 1e-10 * want)
    end
    assert.equal(0, q:step_variance(200, 0))
  end)

  it("between levels is ln E on a line in ln SNR, and beyond them the error of eps, or of x0, stays", function()
    local q = with { { 40, 0.02 }, { 120, 0.3 } }
    local function error_at(t)
      local c0, _, variance = q:posterior_coefficients(t, t - 1)
      return (q:step_variance(t, t - 1) - variance) / c0 ^ 2
    end
    local schedule = p.schedule
    local w = (schedule:log_snr(40) - schedule:log_snr(90)) / (schedule:log_snr(40) - schedule:log_snr(120))
    assert.near(0.02 ^ (1 - w) * 0.3 ^ w, error_at(90), 1e-12)
    assert.near(0.02, error_at(40), 1e-12)
    assert.near(0.02 * schedule:snr(40) / schedule:snr(10), error_at(10), 1e-12)
    assert.near(0.3, error_at(180), 1e-9)
  end)

  it("lies between the posterior's and (a_s/a_t)^2 times q's, whatever was measured", function()
    local small, large = with { { 1, 0 }, { 200, 0 } }, with { { 1, 1e9 }, { 200, 1e9 } }
    for _, pair in ipairs { { 200, 180 }, { 100, 99 }, { 3, 2 } } do
      local t, s = pair[1], pair[2]
      local _, fresh = p:q_moments(0, t, s)
      local ratio = p.schedule:signal(s) / p.schedule:signal(t)
      assert.near(p.schedule:posterior_variance(t, s), small:step_variance(t, s), 1e-14)
      local most = ratio ^ 2 * fresh
      assert.near(most, large:step_variance(t, s), 1e-9 * most)
    end
  end)

  it("estimated from the best denoiser comes to it within the error of a mean", function()
    local oracle = d.oracle.gaussian { mean = { 0, 0, 0, 0 }, std = 0.5 }
    local q = d.estimate_variance(oracle:denoiser(p), p, oracle:sample(4000, { seed = 1 }), { levels = 20, seed = 2 })
    local rows, each = q.x0_error, 4000 // #q.x0_error * 4
    for _, row in ipairs(rows) do
      local want = 1 / (4 + p.schedule:snr(row[1]))
      assert.near(want, row[2], 5 * want * math.sqrt(2 / each))
    end
    assert.equal(1, rows[1][1])
    assert.equal(200, rows[#rows][1])
  end)

  it("is of the network as it is: one that says 0 is off by all of x0, clipped or not", function()
    local x0 = d.randn({ 300, 3 }, { seed = 3 })
    local function nothing(xt, t) return p:convert(xt * 0, { from = "x0", to = "v", xt = xt, t = t }) end
    local rows = d.estimate_variance(nothing, p, x0, { t = { 5, 100 } }).x0_error
    local odd = {}
    for i = 1, 150 do odd[i] = 2 * i - 1 end
    assert.near(x0:index(1, odd):square():mean():item(), rows[1][2], 1e-10)
    local function large(xt, t) return p:convert(xt * 0 + 7, { from = "x0", to = "v", xt = xt, t = t }) end
    local clipped = d.process { schedule = p.schedule, predict = "v", clip = 2 }
    local got = d.estimate_variance(large, clipped, x0, { t = { 100 } }).x0_error[1][2]
    assert.near((x0 - 2):square():mean():item(), got, 1e-10)
  end)

  it("is measured at equal steps of ln SNR", function()
    local fine = d.process { schedule = d.schedule.cosine { T = 1000 }, predict = "v" }
    local rows = d.estimate_variance(function(xt) return xt end, fine, d.randn(50, 2), { levels = 8 }).x0_error
    local ln, n = {}, #rows
    for i, row in ipairs(rows) do ln[i] = fine.schedule:log_snr(row[1]) end
    assert.equal(8, n)
    -- whole levels are as near as they come but at the steep end
    for i = 2, 5 do assert.near((ln[n] - ln[1]) / (n - 1), ln[i] - ln[i - 1], 0.05) end -- the total is 4.28
  end)

  it("reaches further with rounds than there are samples", function()
    local x0, t = d.randn({ 2, 3 }, { seed = 1 }), { 10, 20, 30, 40, 50 }
    local oracle = d.oracle.gaussian { mean = { 0, 0, 0 }, std = 1 }
    local rows = d.estimate_variance(oracle:denoiser(p), p, x0, { t = t, rounds = 4 }).x0_error
    for i, row in ipairs(rows) do
      assert.equal(t[i], row[1])
      assert.is_true(row[2] > 0 and row[2] < math.huge)
    end
  end)

  it("asks every level of every sample in as many rounds as there are levels", function()
    local x0, asked = d.arange(1, 3):to(d.zeros(1):dtype()):unsqueeze(2), {}
    local function model(xt, t, o)
      for i, level in ipairs(t) do asked[#asked + 1] = level * 10 + o.class[i] end
      return xt * 0
    end
    d.estimate_variance(model, p, x0, { t = { 10, 20, 30 }, rounds = 3, batch = 2, class = { 1, 2, 3 } })
    table.sort(asked)
    assert.same({ 101, 102, 103, 201, 202, 203, 301, 302, 303 }, asked)
  end)
end)

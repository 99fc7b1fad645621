-- The process: q and its posterior against quadrature and known numbers, respacing,
-- conversions, tensors against numbers, and the errors.
local d = require "diffusion"
local fails = require "spec.support.fails"

local p = d.process{ schedule = d.schedule.linear() }
local double = os.getenv "DIFFUSION_PRECISION" == "double"
local tolerance = double and 1e-12 or 1e-5

local function close(expected, actual, tiny)
  local off = math.abs(actual - expected) / math.max(math.abs(expected), 1e-300)
  if not (expected == actual or off < tiny) then
    error(("expected %.15g, got %.15g"):format(expected, actual), 2)
  end
end

local function message(f)
  local ok, text = pcall(f)
  assert.is_false(ok)
  return text
end

local ve = d.process{ schedule = d.schedule.from_sigma(function(u) return 0.01 * 5000 ^ u end, { T = 1000 }) }
local cosine = d.process{ schedule = d.schedule.cosine() }
local zero = d.process{ schedule = d.schedule.linear():rescale_zero_terminal_snr(), predict = "v" }

local pairs_of_levels = {
  { 2, 1 }, { 3, 1 }, { 500, 499 }, { 1000, 999 }, { 800, 300 }, { 1000, 1 }, { 10.5, 2.25 },
}

describe("the posterior", function()
  -- Bayes: the mean and variance of the density q(x_s | x_0) q(x_t | x_s), by the trapezium
  -- rule around its peak, which for smooth densities is exact to rounding.
  local function bayes(process, x0, xt, t, s)
    local ms, vs = process:q_moments(x0, s)
    local a, b = process:q_moments(1, t, s)
    local m, v = process:posterior(x0, xt, t, s)
    local function log_density(x) return -(x - ms) ^ 2 / (2 * vs) - (xt - a * x) ^ 2 / (2 * b) end
    local h, peak = math.sqrt(v) / 100, log_density(m)
    local Z, M, V = 0, 0, 0
    for i = -1000, 1000 do
      local w = math.exp(log_density(m + i * h) - peak)
      Z, M, V = Z + w, M + w * i * h, V + w * (i * h) ^ 2
    end
    return m, v, m + M / Z, V / Z - (M / Z) ^ 2
  end

  it("is Bayes' rule, for any pair of levels and any kind of schedule", function()
    for _, process in ipairs{ p, cosine, ve } do
      for _, pair in ipairs(pairs_of_levels) do
        local m, v, M, V = bayes(process, 0.7, -0.3, pair[1], pair[2])
        assert.is_true(math.abs(m - M) < 1e-9 * math.sqrt(v))
        close(V, v, 1e-9)
      end
    end
  end)

  it("has the known coefficients", function()
    local known = {
      { p, 2, 0.5452914995, 0.454708499, 5.453187661e-05 },
      { p, 500, 0.003070071114, 0.9941066702, 0.01003135541 },
      { p, 1000, 0.0001283514872, 0.9899486783, 0.01999998353 },
      { cosine, 1000, 0.001556891715, 0.03162269987, 0.9989975761 },
    }
    for _, row in ipairs(known) do
      local c0, ct, variance = row[1]:posterior_coefficients(row[2])
      close(row[3], c0, 5e-10)
      close(row[4], ct, 5e-10)
      close(row[5], variance, 5e-10)
    end
    close(-9.816725135, p:posterior_log_variance(2), 5e-10)
    close(-9.816725135, p:posterior_log_variance(1), 5e-10)
    close(-10.73408253, cosine:posterior_log_variance(1), 5e-10)
    assert.matches("only t = 1 has a substitute",
      message(function() return p:posterior_log_variance(9, 0) end))
  end)

  it("at s = 0 is x_0 itself", function()
    for _, process in ipairs{ p, cosine, ve, zero } do
      for _, t in ipairs{ 1, 7, 1000 } do
        assert.same({ 1.0, 0.0, 0.0 }, { process:posterior_coefficients(t, 0) })
        assert.same({ 0.25, 0.0 }, { process:posterior(0.25, 123, t, 0) })
      end
    end
  end)

  it("keeps the marginals: c0 a_0 .. chain q(x_s|x_t,x_0) q(x_t|x_0) back to q(x_s|x_0)", function()
    for _, process in ipairs{ p, cosine, ve, zero } do
      for _, pair in ipairs{ { 2, 1 }, { 400, 17 }, { 1000, 999 }, { 1000, 500 } } do
        local t, s = pair[1], pair[2]
        local c0, ct, variance = process:posterior_coefficients(t, s)
        local at, vt = process:q_moments(1, t)
        local as, vs = process:q_moments(1, s)
        close(as, c0 + ct * at, 1e-12)
        close(vs, ct * ct * vt + variance, 1e-12)
      end
    end
  end)
end)

describe("q", function()
  it("composes: from 0 to s to t is from 0 to t", function()
    for _, process in ipairs{ p, cosine, ve, zero } do
      for _, pair in ipairs{ { 2, 1 }, { 500, 123 }, { 1000, 999 }, { 77.25, 3 } } do
        local as, vs = process:q_moments(1, pair[2])
        local a, v = process:q_moments(1, pair[1], pair[2])
        local at, vt = process:q_moments(1, pair[1])
        close(at, a * as, 1e-12)
        close(vt, a * a * vs + v, 1e-12)
      end
    end
  end)

  it("respaced to all T steps gives back beta", function()
    for _, process in ipairs{ p, cosine, zero } do
      local s = process.schedule
      local grid = d.grid.trailing(process, process.T)
      local accumulated = 1
      for i = #grid, 1, -1 do
        local t, before = grid[i][1], grid[i][2]
        local _, beta = process:q_moments(0, t, before)
        close(s:beta(t), beta, 1e-12)
        accumulated = accumulated * (1 - beta)
        if process == p then close((1e-4 * (1000 - t) + 0.02 * (t - 1)) / 999, beta, 1e-12) end
      end
      close(s:alpha_bar(s.T), accumulated, 1e-11)
    end
  end)

  it("draws noise by seed, sample by sample", function()
    local x0 = d.zeros(5, 3, 2)
    local xt, eps = p:q_sample(x0, { 1, 250, 500, 750, 1000 }, { seed = 1 })
    local again, same = p:q_sample(x0, 10, { seed = 1 })
    assert.allclose(eps, same, { atol = 0, rtol = 0 })
    for k, t in ipairs{ 1, 250, 500, 750, 1000 } do
      assert.allclose(d.mix(p.schedule:noise(t), eps):totable()[k], xt:totable()[k], { rtol = 1e-6 })
    end
    assert.allclose(d.mix(p.schedule:noise(10), eps), again, { rtol = 1e-6 })
    local alone = select(2, p:q_sample(d.zeros(1, 3, 2), 7, { seed = 1 }))
    assert.allclose(eps:totable()[1], alone:totable()[1], { atol = 0, rtol = 0 })
    local other = select(2, p:q_sample(x0, 10, { seed = 2 }))
    assert.is_true(math.abs(other:totable()[1][1][1] - eps:totable()[1][1][1]) > 1e-6)
    d.manual_seed(3)
    local first = select(2, p:q_sample(x0, 10))
    local second = select(2, p:q_sample(x0, 10))
    d.manual_seed(3)
    assert.allclose(first, select(2, p:q_sample(x0, 10)), { atol = 0, rtol = 0 })
    assert.is_true(math.abs(first:totable()[1][1][1] - second:totable()[1][1][1]) > 1e-6)
    local x, e = p:q_sample(0.7, 500, { seed = 1 })
    close(p.schedule:signal(500) * 0.7 + p.schedule:noise(500) * e, x, 1e-15)
  end)

  it("steps: q_step is q_sample from t - 1, and the chain is its steps", function()
    local x = d.tensor{ { 0.5, -1 }, { 2, 3 } }
    local eps = d.tensor{ { 1, 0 }, { -1, 0.25 } }
    local stepped = p:q_step(x, { 40, 1 }, eps)
    local beta, first = p.schedule:beta(40), p.schedule:beta(1)
    assert.allclose({
      { (1 - beta) ^ 0.5 * 0.5 + beta ^ 0.5, -(1 - beta) ^ 0.5 },
      { (1 - first) ^ 0.5 * 2 - first ^ 0.5, (1 - first) ^ 0.5 * 3 + 0.25 * first ^ 0.5 },
    }, stepped, { rtol = 1e-6 })
    local other, e1 = p:q_step(x, 40, { seed = 1 })
    local from, e2 = p:q_sample(x, 40, { seed = 1, from = 39 })
    local a, b = (1 - beta) ^ 0.5, beta ^ 0.5
    assert.allclose(d.mix(a, x, b, e1), other, { rtol = 1e-5, atol = 1e-6 })
    assert.allclose(d.mix(a, x, b, e2), from, { rtol = 1e-5, atol = 1e-6 })
    local small = d.process{ schedule = d.schedule.linear{ T = 25, beta_end = 0.01 } }
    local n, last = 0, 0.3
    for t, xt, e in small:chain(0.3, { seed = 5 }) do
      n = n + 1
      assert.equal(n, t)
      close((1 - small.schedule:beta(t)) ^ 0.5 * last + small.schedule:beta(t) ^ 0.5 * e, xt, 1e-12)
      last = xt
    end
    assert.equal(25, n)
  end)

  it("steps: each sample has the noise of its own t, whatever else is in the batch", function()
    local x = d.zeros(3, 4)
    local function eps(at, t) return select(2, p:q_step(at, t, { seed = 1 })) end
    local first, second = eps(x, { 5, 7, 9 }), eps(x, { 8, 9, 9 })
    assert.is_false(first[2]:equal(second[2]))
    assert.is_true(first[3]:equal(second[3]))
    for k, t in ipairs { 5, 7, 9 } do assert.is_true(first[k]:equal(eps(x, t)[k])) end
  end)

  it("has the chain's moments: variance and mean of many x_T", function()
    local small = d.process{ schedule = d.schedule.linear{ T = 30, beta_end = 0.003 } }
    local last
    for _, xt in small:chain(d.ones(20000, 1), { seed = 1 }) do last = xt end
    local a, v = small:q_moments(1, 30)
    local sum, squares = 0, 0
    for _, row in ipairs(last:totable()) do sum, squares = sum + row[1], squares + row[1] ^ 2 end
    local mean = sum / 20000
    assert.is_true(math.abs(mean - a) < 4 * math.sqrt(v / 20000))
    assert.is_true(math.abs(squares / 20000 - mean ^ 2 - v) < 4 * v * math.sqrt(2 / 20000))
  end)
end)

describe("tensors", function()
  it("answer as numbers do, sample by sample", function()
    local x0 = d.tensor{ { 0.5, -1 }, { 2, 3 }, { 0, 1 } }
    local xt = d.tensor{ { 1.5, 1 }, { -2, 0.3 }, { 7, 0.1 } }
    local t, s = { 2, 500, 1000 }, { 1, 100, 0 }
    local mean, variance = p:posterior(x0, xt, t, s)
    local q, qv = p:q_moments(x0, t, s)
    local c0 = p:posterior_coefficients(t, s)
    assert.same({ 3 }, variance:shape())
    for k = 1, 3 do
      local _, v = p:posterior(0, 0, t[k], s[k])
      assert.allclose(v, variance:totable()[k], { rtol = 1e-6, atol = 1e-30 })
      assert.allclose(select(2, p:q_moments(0, t[k], s[k])), qv:totable()[k], { rtol = 1e-6 })
      assert.allclose((p:posterior_coefficients(t[k], s[k])), c0:totable()[k], { rtol = 1e-6 })
      for j = 1, 2 do
        local a, b = x0:totable()[k][j], xt:totable()[k][j]
        assert.allclose((p:posterior(a, b, t[k], s[k])), mean:totable()[k][j], { rtol = 1e-6, atol = 1e-6 })
        assert.allclose((p:q_moments(a, t[k], s[k])), q:totable()[k][j], { rtol = 1e-6 })
      end
    end
    local one, number = p:posterior(x0, xt, 500, 100)
    assert.equal("number", type(number))
    assert.allclose(mean:totable()[2], one:totable()[2], { rtol = 0, atol = 0 })
    local i64 = d.tensor(t, { dtype = "i64" })
    assert.allclose(mean, (p:posterior(x0, xt, i64, s)), { rtol = 0, atol = 0 })
  end)
end)

describe("conversions", function()
  local targets = { "eps", "x0", "v", "score", "flow", "edm" }

  it("follow the definitions", function()
    local x0, eps, t = 0.4, -1.3, 321
    for _, process in ipairs{ p, cosine } do
      local a, s = process.schedule:signal(t), process.schedule:noise(t)
      local xt = a * x0 + s * eps
      -- Karras et al. 2022, table 1, at sigma = s/a of x_t/a, with sigma_data = 0.5
      local sigma, d2 = s / a, 0.25
      local c_skip, c_out = d2 / (sigma ^ 2 + d2), sigma * 0.5 / math.sqrt(sigma ^ 2 + d2)
      local F = (x0 - c_skip * (x0 + sigma * eps)) / c_out
      local value = { x0 = x0, eps = eps, v = a * eps - s * x0, score = -eps / s, flow = eps - x0, edm = F }
      for _, from in ipairs(targets) do
        for _, to in ipairs(targets) do
          close(value[to], process:convert(value[from], { from = from, to = to, xt = xt, t = t }), 1e-12)
        end
      end
    end
  end)

  it("round-trip in tensors, at every t", function()
    local T = 200
    local process = d.process{ schedule = d.schedule.linear{ T = T } }
    local rows, times = {}, {}
    for t = 1, T do rows[t], times[t] = { math.sin(t), math.cos(3 * t) }, t end
    local x0 = d.tensor(rows)
    local xt, eps = process:q_sample(x0, times, { seed = 1 })
    local function back(value, from, to)
      local there = process:convert(value, { from = from, to = to, xt = xt, t = times })
      return process:convert(there, { from = to, to = from, xt = xt, t = times })
    end
    -- through x0, eps loses what a/s amplifies: sigma_1 = 0.03 costs two digits of float
    local v = process:convert(eps, { from = "eps", to = "v", xt = xt, t = times })
    assert.allclose(v, back(v, "v", "score"), { rtol = tolerance, atol = 30 * tolerance })
    assert.allclose(v, back(v, "v", "x0"), { rtol = tolerance, atol = 30 * tolerance })
    assert.allclose(eps, back(eps, "eps", "v"), { rtol = tolerance, atol = 30 * tolerance })
    assert.allclose(eps, back(eps, "eps", "score"), { rtol = tolerance, atol = tolerance })
    local e = process:convert(process:convert(v, { from = "v", to = "x0", xt = xt, t = times }),
      { from = "x0", to = "eps", xt = xt, t = times })
    assert.allclose(eps, e, { rtol = 30 * tolerance, atol = 30 * tolerance })
  end)

  it("fail with a sentence where x_t has no signal", function()
    assert.matches("convert at t = 1000: x_t has no signal here %(a = 0, SNR 0%), so eps cannot give x0",
      message(function() return zero:convert(1, { from = "eps", to = "x0", xt = 1, t = 1000 }) end))
    assert.equal(-0.5, zero:convert(0.5, { from = "v", to = "x0", xt = 2, t = 1000 }))
    assert.equal(2.0, zero:convert(0.5, { from = "v", to = "eps", xt = 2, t = 1000 }))
  end)
end)

describe("a network's output", function()
  it("becomes x0 and the eps that goes with it", function()
    local t, x0, eps = 700, 0.9, 0.4
    local a, s = p.schedule:signal(t), p.schedule:noise(t)
    local xt = a * x0 + s * eps
    local got_x0, got_eps = p:estimate(eps, xt, t)
    close(x0, got_x0, 1e-12)
    assert.equal(eps, got_eps)
    local clipping = d.process{ schedule = p.schedule, clip = 0.5 }
    got_x0, got_eps = clipping:estimate(eps, xt, t)
    assert.equal(0.5, got_x0)
    close(xt, a * got_x0 + s * got_eps, 1e-14)
  end)

  it("is cut at its own quantile when the clip is dynamic, sample by sample", function()
    local wide, narrow = {}, {}
    for i = 1, 200 do wide[i], narrow[i] = (i % 2 == 0 and -1 or 1) * i / 100, i / 400 end
    local dynamic = d.process{ schedule = p.schedule, clip = "dynamic" }
    local got = dynamic:clipped(d.tensor{ wide, narrow }):totable()
    local q = 1.99 + 0.005 * 0.01      -- 99.5 % of 0.01, 0.02 .. 2, linear between neighbours
    for i = 1, 200 do
      assert.allclose(math.max(-q, math.min(q, wide[i])) / q, got[1][i], { rtol = 1e-6 })
      assert.allclose(narrow[i], got[2][i], { rtol = 1e-6 })
    end
    assert.equal(1, dynamic:clipped(3))
  end)

  it("is reversed with the variance asked for, and none at the last step", function()
    local large = d.process{ schedule = p.schedule, variance = "fixed_large" }
    local own = d.process{ schedule = p.schedule, variance = function(t, s) return t - s end }
    close(5.453187661e-05, p:step_variance(2, 1), 5e-10)
    close(p.schedule:beta(2), large:step_variance(2, 1), 1e-12)
    close(1 - p.schedule:alpha_bar(300) / p.schedule:alpha_bar(100), large:step_variance(300, 100), 1e-12)
    assert.equal(7, own:step_variance(10, 3))
    for _, process in ipairs{ p, large, own } do assert.equal(0, process:step_variance(100, 0)) end
  end)
end)

describe("the optimal variance", function()
  local q = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "v", clip = 1 }
  local oracle = d.oracle.moons {}
  local x0 = oracle:sample(500, { seed = 1 })

  it("is measured of a network: another process, the same but for that, the same bits for a seed", function()
    local made = d.estimate_variance(oracle:denoiser(q), q, x0, { levels = 12 })
    assert.same({ "fixed_small", "optimal", "v", 1, 100 },
      { q.variance, made.variance, made.predict, made.clip, made.T })
    assert.is_nil(q.x0_error)
    assert.equal(1, made.x0_error[1][1])
    assert.equal(100, made.x0_error[#made.x0_error][1])
    assert.same(made.x0_error, d.estimate_variance(oracle:denoiser(q), q, x0, { levels = 12 }).x0_error)
    assert.not_same(made.x0_error, d.estimate_variance(oracle:denoiser(q), q, x0, { levels = 12, seed = 9 }).x0_error)
    for t = 2, 100 do assert.is_true(made:step_variance(t, t - 1) > q:step_variance(t, t - 1)) end
    assert.equal(0, made:step_variance(50, 0))
    assert.matches("variance optimal", tostring(made))
  end)

  it("takes a set of bytes, classes, and a schedule that ends without signal", function()
    local model, process = d.load_model "digits"
    local digits = d.data.digits()
    local made = d.estimate_variance(model, process, digits, { levels = 5, class = digits.class, batch = 400 })
    assert.equal("optimal", made.variance)
    local flow = d.process { schedule = d.schedule.flow { T = 20 }, predict = "flow" }
    local straight = d.estimate_variance(oracle:denoiser(flow), flow, x0, { levels = 8 })
    assert.equal(20, straight.x0_error[#straight.x0_error][1])
    assert.is_true(#straight.x0_error > 5) -- in steps of ln SNR as far as there is any
    local many = d.process { schedule = d.schedule.cosine {} }
    assert.same(d.estimate_variance(oracle:denoiser(many), many, x0, { levels = 50 }).x0_error,
      d.estimate_variance(oracle:denoiser(many), many, x0).x0_error)
    local bytes = d.tensor({ { 0 }, { 255 } }, { dtype = "u8" }) -- -1 and 1
    local function nothing(xt, t) return flow:convert(xt * 0, { from = "x0", to = "flow", xt = xt, t = t }) end
    assert.near(1, d.estimate_variance(nothing, flow, bytes, { t = { 5 } }).x0_error[1][2], 1e-5)
    for t = 2, 20 do
      local v = straight:step_variance(t, t - 1)
      assert.is_true(v > flow:step_variance(t, t - 1) and v < math.huge)
    end
    local x = d.sample { model = oracle:denoiser(flow), process = straight, shape = { 50, 2 }, sampler = "ddpm",
                         seed = 1 }
    assert.is_true(x:isfinite():all())
  end)

  it("says what is wrong", function()
    local model = oracle:denoiser(q)
    local function refuses(sentence, ...) fails(sentence, d.estimate_variance, ...) end
    refuses("estimate_variance: model must be a denoiser", 3, q, x0)
    refuses("bad argument #3 to 'estimate_variance' (x0 [n,...] or a set expected, got 3)", model, q, 3)
    refuses("estimate_variance: 5 samples in 1 round reach 5 levels of", model, q, x0:narrow(1, 1, 5))
    refuses("reach 4 levels of 5; give more of either", model, q, x0:narrow(1, 1, 2),
      { t = { 10, 20, 30, 40, 50 }, rounds = 3 })
    refuses("the error of x0 at t = 10 is nan", function(xt) return xt * (0 / 0) end, q, x0, { t = { 10, 20 } })
    fails("process_spec.lua", function()
      local made = d.estimate_variance(model, q, x0, { levels = 2 })
      made:step_variance(5, 5)
    end)
    refuses("t: levels must rise in 1..100, but number 2 is 5", model, q, x0, { t = { 10, 5 } })
    refuses("number 1 is 101", model, q, x0, { t = { 101 } })
    refuses("t is empty", model, q, x0, { t = {} })
    fails("the process takes v of a learned_range variance next to the prediction", d.estimate_variance, model,
      d.process { schedule = q.schedule, variance = "learned_range" }, x0)
    refuses("class is [2] for 500 samples", model, q, x0, { class = { 1, 2 } })
    refuses("did you mean 'levels'", model, q, x0, { level = 3 })
    refuses("the denoiser returned nil for xt", function() end, q, x0)
    local function makes(sentence, o)
      o.schedule = q.schedule
      fails(sentence, d.process, o)
    end
    makes('variance = "optimal" is of a network; d.estimate_variance(model, process, x0) makes one',
      { variance = "optimal" })
    makes('x0_error goes with variance = "optimal"', { x0_error = { { 1, 1 } } })
    makes("x0_error: entry 2 must be {t, mean square error of x0}, t rising in 1..100",
      { variance = "optimal", x0_error = { { 3, 1 }, { 3, 1 } } })
    makes("x0_error is empty", { variance = "optimal", x0_error = {} })
  end)
end)

describe("a process", function()
  it("explains a step, prints itself, survives a config", function()
    local text = p:explain(500)
    assert.matches("c0 = a_s %(1 %- SNR_t/SNR_s%) = 0.003070071114", text)
    assert.matches("Ho et al. 2020, eq. 4", text)
    assert.matches("predict eps, variance fixed_small, clip none", tostring(p))
    local q = require("diffusion.process").process_from_config(
      d.process{ schedule = d.schedule.cosine{ T = 9 }, predict = "v", clip = 1 }:config())
    assert.same({ 9, "v", 1, "fixed_small" }, { q.T, q.predict, q.clip, q.variance })
    assert.equal(1000, p.T)
    assert.equal("eps", p.predict)
  end)

  it("says what is wrong, at the user's line", function()
    local x = d.zeros(2, 3)
    local function says(pattern, f) assert.matches("process_spec.lua:%d+: .*" .. pattern, message(f)) end
    says("t must be in 1..1000, got 0", function() return p:q_sample(x, 0) end)
    says("bad argument #2 to 'q_sample' %(t has 3 values, but x %[2,3%] has 2 samples%)",
      function() return p:q_sample(x, { 1, 2, 3 }) end)
    says("unknown option 'sed'", function() return p:q_sample(x, 1, { sed = 1 }) end)
    says("s must be in 0..t and below t = 5 %(later time first%), got 9",
      function() return p:posterior(x, x, 5, 9) end)
    says("call with a colon", function() return p.q_sample(x, 1) end)
    says("from and to must be eps, x0, v, score, flow or edm, got x1",
      function() return p:convert(x, { from = "x1", to = "eps", xt = x, t = 1 }) end)
    says("option 'schedule' is missing", function() return d.process{} end)
    says("did you mean 'fixed_small'",
      function() return d.process{ schedule = p.schedule, variance = "fixed_smal" } end)
  end)
end)

describe("a process", function()
  local q = d.process { schedule = d.schedule.linear { T = 100 } }

  it("never changes, nor do its schedule and grids", function()
    fails("a process never changes, so its 'predict' can't be written", function() q.predict = "zzz" end)
    fails("a process never changes", function() q.own = 1 end)
    fails("a schedule never changes, so its 'T'", function() q.schedule.T = 5 end)
    fails("a grid never changes", function() d.grid.trailing(q, 5)[1] = { 3, 0 } end)
    assert.equal("eps", q.predict)
    assert.equal(5, #d.grid.trailing(q, 5))
  end)

  it("is asked for what there is, or says so at the user's line", function()
    fails("process_spec.lua", function() local text = q:explain(0) return text end)
    fails("t must be in 1..100, got 0", q.explain, q, 0)
    fails("below t = 1.5 (later time first), got 1.7", q.explain, q, 1.5, 1.7)
    fails("got '5'", q.explain, q, "5")
    fails("a number or a tensor expected, got nil", q.chain, q)
    fails('a number above 0, "dynamic" or {ratio = 0.995, most = 1} expected, got -1', d.process,
      { schedule = q.schedule, clip = -1 })
    fails("number expected, got string", q.q_sample, q, 1, "5")
  end)
end)

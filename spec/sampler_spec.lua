-- Samplers on Gaussian data, where the best denoiser is linear: the moments of the result
-- are computed without drawing a single number, and held against exact values. Then the run
-- object: stepping, cloning, changing x, and the same bits alone or in a batch.
local d = require "diffusion"
local fails = require "spec.support.fails"
local core = require "diffusion.core"
local families = {
  ddpm = require "diffusion.sampler.ddpm",
  ddim = require "diffusion.sampler.ddim",
  dpmpp_2m = require "diffusion.sampler.dpmpp_2m",
}

local function sum_of(...)
  local total = 0
  for i = 1, select("#", ...), 2 do
    local c, x = select(i, ...)
    total = total + c * x
  end
  return total
end

-- The variance of x_0 from x_T ~ N(0, 1) for data N(0, std^2), by carrying one number along
-- the sampler's own step: its gain, and the noise that it asks for.
local function terminal_variance(name, process, std, grid, options)
  local schedule = process.schedule
  local function denoise(x, t)
    local a, s = schedule:signal(t), schedule:noise(t)
    local x0 = a * std ^ 2 / (a ^ 2 * std ^ 2 + s ^ 2) * x
    return x0, (x - a * x0) / s
  end
  local sigma
  local o = { eta = options and options.eta, mix = sum_of }
  function o.mix_noise(c, ...)
    sigma = c
    return sum_of(...)
  end
  local step, history = families[name](denoise, process, o), {}
  if name == "dpmpp_2m" then -- linear in x_T: no noise, one run from 1
    local x = 1
    for _, g in ipairs(grid) do x = step(x, { t = g[1], s = g[2] }, history) end
    return x ^ 2
  end
  local variance = 1
  for _, g in ipairs(grid) do
    sigma = 0
    local gain = step(1, { t = g[1], s = g[2] }, history)
    variance = gain ^ 2 * variance + sigma ^ 2
  end
  return variance
end

local function process_of(schedule, variance)
  return d.process { schedule = d.schedule[schedule] { T = 1000 }, variance = variance }
end

local function near(want, got)
  assert.is_true(math.abs(got / want - 1) < 2e-9, ("wanted %.10g, got %.10g"):format(want, got))
end

describe("terminal variance on Gaussian data", function()
  -- 50-digit arithmetic, printed to ten
  local ancestral = {
    { "linear", 0.5, 0.2461252114, 0.250752075 },
    { "linear", 1, 0.9910673764, 0.9999 },
    { "cosine", 1, 0.9950980963, 0.9999587158 },
  }
  for _, row in ipairs(ancestral) do
    it(("ddpm, %s, std %g"):format(row[1], row[2]), function()
      for k, variance in ipairs { "fixed_small", "fixed_large" } do
        local p = process_of(row[1], variance)
        near(row[2 + k], terminal_variance("ddpm", p, row[2], d.grid.trailing(p.schedule, 1000)))
      end
    end)
  end

  local deterministic = {
    { "linear", 0.5, 0.1368665608, 0.1860779427, 0.2222204803, 0.2356588892, 0.2484975472 },
    { "linear", 1, 0.6878533277, 0.8304415491, 0.9284304982, 0.9635028041, 0.9962521063 },
    { "cosine", 1, 0.7804550568, 0.8837179151, 0.9517391872, 0.9755394405, 0.9975085552 },
  }
  for _, row in ipairs(deterministic) do
    it(("ddim, %s, std %g"):format(row[1], row[2]), function()
      local p = process_of(row[1])
      for k, N in ipairs { 10, 20, 50, 100, 1000 } do
        near(row[2 + k], terminal_variance("ddim", p, row[2], d.grid.trailing(p.schedule, N)))
      end
    end)
  end

  it("ddim with eta = 1 is ddpm with fixed_small, on any grid", function()
    local p = process_of "linear"
    for N, want in pairs { [10] = 0.111205617, [50] = 0.1972248826 } do
      local grid = d.grid.trailing(p.schedule, N)
      near(want, terminal_variance("ddim", p, 0.5, grid, { eta = 1 }))
      near(want, terminal_variance("ddpm", p, 0.5, grid))
    end
  end)

  it("ddpm with fixed_large adds nothing on its last step, wherever that starts", function()
    local p = process_of("linear", "fixed_large")
    near(0.2439380657, terminal_variance("ddpm", p, 0.5, d.grid.trailing(p.schedule, 10)))
    near(0.2618567352, terminal_variance("ddpm", p, 0.5, d.grid.trailing(p.schedule, 50)))
  end)

  it("dpmpp_2m converges with order two in the step of lambda", function()
    -- The exact flow maps N(0, a^2 std^2 + s^2) onto the data: a gain for each end.
    local p = process_of "cosine"
    local schedule, std = p.schedule, 0.5
    local T, last = 900, 30
    local function marginal(t) return schedule:signal(t) ^ 2 * std ^ 2 + schedule:noise(t) ^ 2 end
    local exact = math.sqrt(marginal(last) / marginal(T))
    local function level(lambda) -- by bisection on the real level
      local low, high = 1, 1000
      for _ = 1, 80 do
        local mid = (low + high) / 2
        if schedule:log_snr(mid) / 2 > lambda then low = mid else high = mid end
      end
      return (low + high) / 2
    end
    local function gain(N)
      local from, to = schedule:log_snr(T) / 2, schedule:log_snr(last) / 2
      local function denoise(x, t)
        local a, s = schedule:signal(t), schedule:noise(t)
        local x0 = a * std ^ 2 / (a ^ 2 * std ^ 2 + s ^ 2) * x
        return x0, (x - a * x0) / s
      end
      local step, history, x, t = families.dpmpp_2m(denoise, p, { mix = sum_of }), {}, 1, T
      for i = 1, N do
        local s = i == N and last or level(from + (to - from) * i / N)
        x = step(x, { t = t, s = s }, history)
        t = s
      end
      return math.abs(x - exact)
    end
    local order = math.log(gain(160) / gain(320), 2)
    assert.is_true(order > 1.9 and order < 2.2, ("order %.3f"):format(order))
  end)

  it("works with one step, which returns the model's x0", function()
    local p = process_of "linear"
    for name in pairs(families) do
      local grid = d.grid.trailing(p.schedule, 1)
      local a, s = p.schedule:signal(1000), p.schedule:noise(1000)
      near((a * 0.25 / (a ^ 2 * 0.25 + s ^ 2)) ^ 2, terminal_variance(name, p, 0.5, grid))
    end
  end)
end)

describe("a run", function()
  local p = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "v" }
  local oracle = d.oracle.mixture { means = { { -1, 0 }, { 1, 0.5 } }, std = 0.2 }
  local model = oracle:denoiser(p)

  local function run_of(o)
    local options = { model = model, process = p, shape = { 5, 2 }, sampler = "dpmpp_2m",
                      steps = 10, seed = 3 }
    for k, v in pairs(o or {}) do options[k] = v end
    return d.sampler.steps(options)
  end

  it("gives the same bits for sample k alone, in a batch and on any threads", function()
    for _, name in ipairs(d.sampler.names()) do
      local all = run_of { sampler = name, shape = { 64, 2 } }:finish()
      local few = run_of { sampler = name, shape = { 3, 2 } }:finish()
      assert.is_true(all:narrow(1, 1, 3):equal(few), name)
      local before = d.threads()
      for n = 1, 3 do
        d.threads(n)
        assert.is_true(run_of { sampler = name, shape = { 64, 2 } }:finish():equal(all), name)
      end
      d.threads(before)
    end
  end)

  it("is stepped, cloned midway, and both roads end alike", function()
    for _, name in ipairs(d.sampler.names()) do
      local run = run_of { sampler = name }
      for step in run do
        assert.equal(10, step.n)
        if step.i == 4 then break end
      end
      local saved = run:clone()
      assert.is_true(run:finish():equal(saved:finish()), name)
      assert.is_nil(run())
    end
  end)

  it("forgets its history when x is written", function()
    local run = run_of()
    run()
    run()
    run.x = run.x + 0
    local fresh = run_of { init = run.x, grid = { 160, 140, 120, 100, 80, 60, 40, 20 } }
    assert.is_true(run:finish():allclose(fresh:finish(), { atol = 1e-6 }))
  end)

  it("goes on from one d.scope to the next", function()
    for _, name in ipairs(d.sampler.names()) do
      local run = run_of { sampler = name }
      for _ = 1, 4 do d.scope(function() run() end) end
      assert.is_true(run:finish():equal(run_of { sampler = name }:finish()), name)
      d.scope(function() run.x = d.ones(5, 2) end)
      assert.equal(10, run.x:sum():item())
    end
  end)

  it("starts where eps says something of x0, and shows it, unless grid or init is given", function()
    local blind = d.process { schedule = d.schedule.cosine(), predict = "eps" }
    local function grid_of(o)
      local run = run_of { process = blind, steps = 1000, grid = o.grid, init = o.init }
      return run.grid, tostring(run)
    end
    local grid, text = grid_of {}
    local dropped, first = 1000 - #grid, grid[1][1]
    assert.is_true(dropped > 0 and math.floor(first) + 1 == #grid)
    assert.near(-5.1, blind.schedule:log_snr(first) / 2, 1e-6)
    assert.is_truthy(text:find(("sampler dpmpp_2m  %d steps"):format(#grid), 1, true))
    assert.is_truthy(text:find(("grid trailing from t = %.6g, since before it SNR < 3.7e-05: %d of 1000 steps")
      :format(first, #grid), 1, true), text)
    for _, o in ipairs { { grid = "trailing" }, { grid = d.grid.trailing(blind, 1000) },
                         { init = d.zeros(5, 2) } } do
      assert.same(d.grid.trailing(blind, 1000):times(), grid_of(o):times())
    end
  end)

  it("shows levels and beliefs at each step", function()
    local step = run_of()()
    assert.equal(1, step.i)
    assert.equal(200, step.t)
    assert.equal(180, step.s)
    local a, s = p.schedule:signal(200), p.schedule:noise(200)
    assert.is_true((a * step.x0 + s * step.eps):allclose(step.xt, { atol = 1e-5 }))
  end)

  it("an oracle's samples of one seed share no noise with those of the next", function()
    local normal = d.oracle.mixture { means = { { 0, 0 } }, std = 1 }
    local x, y = normal:sample(2000, { seed = 1 }), d.randn({ 2000, 2 }, { seed = 2 })
    assert.is_true(math.abs((x * y):mean():item()) < 4 / math.sqrt(4000))
  end)

  it("draws from the oracle's distribution", function()
    local x = d.sample { model = model, process = p, shape = { 4000, 2 }, sampler = "ddpm",
                         steps = 200, seed = 1 }
    local gap = d.metric.energy(x, oracle:sample(4000, { seed = 2 }))
    assert.is_true(math.abs(gap) < 0.004, ("energy distance %g"):format(gap))
  end)

  it("guides: scale 1 is the plain model, 0 the one without a class", function()
    local function denoise(xt, _, o)
      return o and o.class and xt * 0 + 1 or xt * 0
    end
    local q = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "x0" }
    for _, scale in ipairs { 0, 1, 2.5 } do
      local x = d.sample { model = denoise, process = q, shape = { 2, 3 }, steps = 4, class = 1,
                           guidance = scale, seed = 1 }
      assert.near(scale, x:mean():item(), 1e-6)
    end
  end)

  it("takes a sampler that is a function", function()
    local x = run_of { sampler = function(denoise)
      return function(x, pair) return pair.s == 0 and denoise(x, pair.t) or x end
    end }:finish()
    assert.same({ 5, 2 }, x:shape())
  end)

  it("names what is wrong with its options", function()
    local function message(o)
      local ok, text = pcall(run_of, o)
      assert.is_false(ok)
      return text
    end
    assert.truthy(message({ sampler = "ddmp" }):find("did you mean 'ddpm'", 1, true))
    assert.truthy(message({ steps = 300 }):find("300", 1, true))
    assert.truthy(message({ class = { 1, 2 } }):find("batch of 5", 1, true))
    assert.truthy(message({ modle = 1 }):find("did you mean 'model'", 1, true))
  end)

  it("leaves no tensors behind", function()
    run_of():finish()
    collectgarbage()
    collectgarbage()
    local before = core.memory().blocks
    run_of { sampler = "ddpm" }:finish()
    collectgarbage()
    collectgarbage()
    assert.equal(before, core.memory().blocks)
  end)
end)

describe("oracles", function()
  it("know their entropy", function()
    local g = d.oracle.gaussian { std = { 0.5, 2 } }
    assert.near(math.log(2 * math.pi * math.exp(1)), g:entropy(), 1e-6)
    local function ring(R)
      local means = {}
      for k = 0, 7 do
        means[#means + 1] = { R * math.cos(k * math.pi / 4), R * math.sin(k * math.pi / 4) }
      end
      return d.oracle.mixture { means = means, std = 0.1 }
    end
    assert.near(0.3121484221, ring(2):entropy(), 1e-5)
    assert.near(0.311766842, ring(1):entropy(), 1e-5)
  end)

  it("denoise as the gradient of their log density says (Tweedie)", function()
    -- E[x0 | xt] = (xt + s^2 grad log p_t(xt)) / a, with p_t the oracle widened by the noise
    local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "score" }
    local cov = d.tensor { { 1, 0.3 }, { 0.3, 0.5 } }
    local g = d.oracle.gaussian { mean = { 1, -1 }, cov = cov }
    local xt, t = d.randn({ 6, 2 }, { seed = 1 }), 40
    local a, s = p.schedule:signal(t), p.schedule:noise(t)
    local widened = d.oracle.gaussian { mean = { a, -a }, cov = cov * a ^ 2 + d.eye(2) * s ^ 2 }
    local score = d.grad(function(x) return widened:log_prob(x):sum() end, xt)
    assert.is_true(g:denoiser(p)(xt, t):allclose(score, { atol = 1e-4 }))
    local m = d.oracle.mixture { means = { { -1, 0 }, { 1, 1 } }, std = { 0.3, 0.5 },
                                 weights = { 1, 3 } }
    local wide = d.oracle.mixture { means = { { -a, 0 }, { a, a } }, weights = { 1, 3 },
      std = { math.sqrt(a ^ 2 * 0.09 + s ^ 2), math.sqrt(a ^ 2 * 0.25 + s ^ 2) } }
    score = d.grad(function(x) return wide:log_prob(x):sum() end, xt)
    assert.is_true(m:denoiser(p)(xt, t):allclose(score, { atol = 1e-4 }))
  end)

  it("take one level for a batch or one each", function()
    local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "eps" }
    local m = d.oracle.mixture { means = { { -1 }, { 1 } }, std = 0.2 }
    local x = d.randn({ 3, 1 }, { seed = 4 })
    local each = m:denoiser(p)(x, { 5, 50, 95 })
    for i, t in ipairs { 5, 50, 95 } do
      assert.near(m:denoiser(p)(x:narrow(1, i, 1), t):item(), each[i][1], 1e-5)
    end
  end)
end)

describe("metrics", function()
  it("wasserstein1 is exact", function()
    assert.near(2, d.metric.wasserstein1(d.tensor { 0, 1, 2 }, d.tensor { 2, 3, 4 }), 1e-6)
    assert.near(0.5, d.metric.wasserstein1(d.tensor { 0, 1 }, d.tensor { 0.5 }), 1e-6)
    assert.equal(0, d.metric.wasserstein1(d.tensor { 3, 1 }, d.tensor { 1, 3, 1, 3 }))
  end)

  it("energy is zero for equal distributions and grows with their distance", function()
    local x = d.randn({ 1500, 3 }, { seed = 1 })
    local y = d.randn({ 1500, 3 }, { seed = 2 })
    assert.is_true(math.abs(d.metric.energy(x, y)) < 0.01)
    assert.is_true(d.metric.energy(x, y + 1) > 0.5)
    -- two points: 2 |x-y| with no spread within
    assert.near(6, d.metric.energy(d.tensor { { 0 }, { 0 } }, d.tensor { { 3 }, { 3 } }), 1e-6)
  end)

  it("frechet of Gaussians is the closed form", function()
    local x = d.randn({ 4000, 2 }, { seed = 1 })
    -- the same cloud moved by 3 and stretched by 2: |m|^2 + sum (s1 - s2)^2
    local y = x * 2 + 3
    local mean = x:mean(1)
    local shift = ((mean - (mean * 2 + 3)) ^ 2):sum():item()
    local spread = x:var(1):sum():item()
    assert.near(shift + spread, d.metric.frechet(x, y), 1e-3 * (shift + spread))
    assert.near(0, d.metric.frechet(x, x), 1e-3)
  end)

  it("say what doesn't fit", function()
    local ok, text = pcall(d.metric.energy, d.zeros(3, 2), d.zeros(3, 4))
    assert.is_false(ok)
    assert.truthy(text:find("samples of 2 and of 4 numbers", 1, true), text)
  end)
end)

describe("a sampler that is asked amiss", function()
  local S = d.schedule
  local p = d.process { schedule = S.linear { T = 100 } }
  local model = d.mlp { dim = 2, hidden = 8, depth = 2 }
  local function run(o, process)
    local all = { model = model, process = process or p, shape = { 4, 2 }, steps = 5, seed = 1 }
    for k, v in pairs(o) do all[k] = v end
    return d.sampler.steps(all)
  end

  it("says so at the user's line", function()
    fails("valid: beta, exponential, karras, leading", run, { grid = "zzz" })
    fails("init: " .. core.real .. " [4,2] expected, got a tensor [3,2]", run, { init = d.zeros(3, 2) })
    fails("got a tensor [4,2] of u8", run, { init = d.zeros({ 4, 2 }, { dtype = "u8" }) })
    fails("0 or more, got -1", run, { shape = { -1, 2 } })
    fails("sampler_spec.lua", function() local r = run { shape = { -1, 2 } } return r end)
    fails("'shape' is empty", run, { shape = {} })
    fails("option 'class'", run, { class = false })
    fails("number 2 is 1.5", run, { class = { 1, 1.5, 1, 1 } })
    fails("unknown option 'etta'; did you mean 'eta'?", run, { sampler = { "ddim", etta = 1 } })
    fails("[0, inf) expected, got -1", run, { sampler = { "ddim", eta = -1 } })
    fails("unknown option 'eta'", run, { sampler = { "ddpm", eta = 1 } })
  end)

  it("or about what is written to a run", function()
    local r = run {}
    fails("run.x: " .. core.real .. " [4,2] expected, got a tensor [2,2]", function() r.x = d.zeros(2, 2) end)
    fails("not its 'y'", function() r.y = 5 end)
    r.x:free()
    assert.matches("x is a freed tensor", tostring(r))
    fails("expected, got a freed tensor", r)
    r.x = d.zeros(4, 2)
    r()
  end)

  it("gives karras the steps that were asked for, where eps is unclipped", function()
    local cosine = d.process { schedule = S.cosine { T = 100 } }
    local grid = run({ grid = "karras" }, cosine).grid
    assert.equal(5, #grid)
  end)

  it("refuses eps where x_T holds no signal, and tells the way", function()
    local zero = S.cosine { T = 100 }:rescale_zero_terminal_snr()
    fails("predict v or x0", run, {}, d.process { schedule = zero })
    fails("predict v or x0", run, { sampler = "ddpm" }, d.process { schedule = zero, clip = 1 })
    run({}, d.process { schedule = zero, predict = "v" })
    run({ grid = { 90, 50 } }, d.process { schedule = zero })
  end)

  it("names the denoiser where it returns no x", function()
    for text, f in pairs {
      ["returned nil"] = function() end, ["returned a tensor [1]"] = function() return d.zeros(1) end,
    } do
      fails("the denoiser " .. text .. " for xt [4,2]", run { model = f })
      fails("the denoiser " .. text .. " for xt [4,2]", d.objective { process = p }, f, d.zeros(4, 2))
    end
  end)

  it("takes class 0 for none", function()
    assert(run({ class = 0 }):finish():equal(run({}):finish()))
  end)

  it("wants variances of a variance function", function()
    for text, v in pairs { ["-1"] = -1, ["nan"] = 0 / 0, ["'x'"] = "x", ["nil"] = false } do
      local bad = d.process { schedule = p.schedule, variance = function() return v or nil end }
      fails("the variance function gave " .. text .. " at t = ", run({ sampler = "ddpm" }, bad).finish,
        run({ sampler = "ddpm" }, bad))
    end
  end)
end)

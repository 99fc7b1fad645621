-- Samplers on Gaussian data, for which the best denoiser is linear. The moments of the
-- result are computed without random numbers. They are compared with 50-digit arithmetic,
-- printed to ten digits.
local d = require "diffusion"
local fails = require "spec.support.fails"

local function process_of(schedule, variance)
  return d.process { schedule = d.schedule[schedule] { T = 1000 }, variance = variance }
end

local function near(want, got)
  assert.is_true(math.abs(got / want - 1) < 5e-10, ("wanted %.10g, got %.12g"):format(want, got))
end

local function variance_of(sampler, process, std, steps)
  local mean, variance = d.check.moments(sampler, { process = process, std = std, steps = steps })
  assert.equal(0, mean)
  return variance
end

-- Returns the variance of p(x_s | x_t): that of the posterior, and the remaining uncertainty of
-- x0 (Bao et al. 2022).
local function optimal(schedule, std)
  local process = process_of(schedule)
  return function(t, s)
    local c0, _, variance = process:posterior_coefficients(t, s)
    local snr = process.schedule:snr(t)
    return variance + c0 ^ 2 / (1 / std ^ 2 + snr)
  end
end

describe("terminal variance on Gaussian data", function()
  local ancestral = { -- schedule, std, fixed_small, fixed_large, optimal
    { "linear", 0.5, 0.2461252114, 0.250752075, 0.2499000301 },
    { "linear", 1, 0.9910673764, 0.9999, 0.9999 },
    { "cosine", 1, 0.9950980963, 0.9999587158, 0.9999587158 },
  }
  for _, row in ipairs(ancestral) do
    it(("ddpm, %s, std %g"):format(row[1], row[2]), function()
      local kinds = { "fixed_small", "fixed_large", optimal(row[1], row[2]) }
      for k, variance in ipairs(kinds) do
        near(row[2 + k], variance_of("ddpm", process_of(row[1], variance), row[2]))
      end
    end)
  end

  it("ddpm with \"optimal\" of the exact errors is the same, and with those of some levels near it", function()
    for _, row in ipairs(ancestral) do
      local schedule, std, want = d.schedule[row[1]] {}, row[2], row[5]
      local function of(times)
        local rows = {}
        for i, t in ipairs(times) do rows[i] = { t, 1 / (1 / std ^ 2 + schedule:snr(t)) } end
        local p = d.process { schedule = schedule, variance = "optimal", x0_error = rows }
        return variance_of("ddpm", p, std)
      end
      local all = {}
      for t = 1, 1000 do all[t] = t end
      near(want, of(all))
      local p = process_of(row[1])
      local rows, levels = d.estimate_variance(function(x) return x end, p, d.zeros(1000, 1)).x0_error, {}
      for i, r in ipairs(rows) do levels[i] = r[1] end
      assert.near(want, of(levels), 5e-5 * want)
    end
  end)

  local deterministic = {
    { "linear", 0.5, 0.1368665608, 0.1860779427, 0.2222204803, 0.2356588892, 0.2484975472 },
    { "linear", 1, 0.6878533277, 0.8304415491, 0.9284304982, 0.9635028041, 0.9962521063 },
    { "cosine", 1, 0.7804550568, 0.8837179151, 0.9517391872, 0.9755394405, 0.9975085552 },
  }
  for _, row in ipairs(deterministic) do
    it(("ddim, euler, %s, std %g"):format(row[1], row[2]), function()
      for k, N in ipairs { 10, 20, 50, 100, 1000 } do
        near(row[2 + k], variance_of("ddim", process_of(row[1]), row[2], N))
        near(row[2 + k], variance_of("euler", process_of(row[1]), row[2], N))
      end
    end)
  end

  it("ddim with eta = 1 is ddpm with fixed_small, on any grid", function()
    local p = process_of "linear"
    for N, want in pairs { [10] = 0.111205617, [50] = 0.1972248826 } do
      near(want, variance_of({ "ddim", eta = 1 }, p, 0.5, N))
      near(want, variance_of("ddpm", p, 0.5, N))
    end
  end)

  it("ddpm with fixed_large adds nothing on its last step, wherever that starts", function()
    local p = process_of("linear", "fixed_large")
    near(0.2439380657, variance_of("ddpm", p, 0.5, 10))
    near(0.2618567352, variance_of("ddpm", p, 0.5, 50))
  end)

  it("of one step is that of the model's x0", function()
    local p = process_of "linear"
    local a, s = p.schedule:signal(1000), p.schedule:noise(1000)
    for _, name in ipairs { "ddpm", "ddim", "euler", "heun", "dpm2", "lms", "plms", "ipndm", "dpm_solver", "dpmpp_2m",
                            "dpmpp_3m", "dpmpp_2s", "dpmpp_3s", "unipc", "deis" } do
      near((a * 0.25 / (a ^ 2 * 0.25 + s ^ 2)) ^ 2, variance_of(name, p, 0.5, 1))
    end
  end)

  it("comes to the data's as steps grow finer, from x_T's own distribution; the mean too", function()
    local p = process_of "linear"
    for _, name in ipairs { "heun", "dpm2", "dpmpp_2m", "unipc", "deis", "lms", "dpm_solver", "dpmpp_3s" } do
      local o = { process = p, std = 0.5, mean = -2, steps = 1000, exact_start = true }
      local mean, variance = d.check.moments(name, o)
      -- the last step, from t = 1, returns x0 of x_1: its variance is less by what x_1 can't tell
      assert.near(-2, mean, 2e-5, name)
      assert.near(0.25, variance, 1e-3, name)
    end
  end)
end)

describe("d.check.moments", function()
  local p = process_of "linear"
  it("are those of samples", function()
    local oracle = d.oracle.gaussian { mean = { 1 }, std = 0.5 }
    for _, name in ipairs { "ddpm", "unipc" } do
      local q = d.process { schedule = p.schedule, predict = "x0" }
      local mean, variance = d.check.moments(name, { process = q, std = 0.5, mean = 1, steps = 10 })
      local x = d.sample { model = oracle:denoiser(q), process = q, sampler = name, steps = 10, seed = 1,
                           shape = { 20000, 1 } }
      assert.near(mean, x:mean():item(), 4 * math.sqrt(variance / 20000))
      assert.near(variance, x:var():item(), 4 * variance * math.sqrt(2 / 20000))
    end
  end)
  -- Song et al. 2021 (DDIM), table 1, on its grid. The data is as narrow as the finest
  -- details of an image. The network is exact, so only the steps cause errors.
  it("order samplers as published: eta = 0 first, fixed_large far off in few steps and best in a thousand", function()
    local std, grid = 0.05, d.grid.leading
    local function off(sampler, variance, steps)
      local q = process_of("linear", variance)
      local _, v = d.check.moments(sampler, { process = q, grid = grid(q, steps), std = std })
      return math.abs(math.sqrt(v) - std)
    end
    for _, steps in ipairs { 10, 20, 50, 100, 1000 } do
      local last = off("ddim", nil, steps)
      for _, eta in ipairs { 0.5, 1 } do
        local now = off({ "ddim", eta = eta }, nil, steps)
        assert.is_true(last < now, ("%d steps, eta = %g: %g before, %g now"):format(steps, eta, last, now))
        last = now
      end
      local large = off("ddpm", "fixed_large", steps)
      if steps <= 50 then assert.is_true(large > last) end
      if steps <= 20 then assert.is_true(large > 3 * last) end
      if steps == 1000 then assert.is_true(large < off("ddim", nil, steps) / 4) end
    end
  end)
  it("go up with an inversion, and take a grid", function()
    local up, variance = d.check.moments("ddim_inversion", { process = p, std = 1, steps = 500 })
    assert.equal(0, up)
    assert.near(1, variance, 0.01)
    near(variance_of("ddim", p, 0.5, 10), select(2, d.check.moments("ddim", { process = p, std = 0.5,
      grid = { 1000, 900, 800, 700, 600, 500, 400, 300, 200, 100 } })))
  end)
  it("say which samplers are not linear, and what is wrong", function()
    for _, name in ipairs { "rk45", "dpm_adaptive", { "ddim_inversion", exact = true } } do
      fails("it isn't linear", d.check.moments, name, { process = p, steps = 3 })
    end
    fails("x_t holds no signal at t = 10, and heun divides by it", d.check.moments, "heun",
      { process = d.process { schedule = d.schedule.flow { T = 10 } } })
    fails("it isn't linear", d.check.moments, function() return function(x) return x * 2 end end, { process = p })
    fails("option 'process' is missing", d.check.moments, "ddim", {})
    fails("did you mean 'ddim'", d.check.moments, "ddmi", { process = p })
  end)
end)

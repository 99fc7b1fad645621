-- Defects of other libraries' samplers, schedules and grids: that ours hasn't them, by what
-- theory says, and that the presets which keep one keep it. Numbers in brackets are what the
-- defect makes of it.
local d = require "diffusion"
local fails = require "spec.support.fails"

local mixture = d.oracle.mixture { means = { { -1 }, { 0.4 }, { 1.2 } }, std = { 0.3, 0.2, 0.4 },
                                   weights = { 0.3, 0.5, 0.2 } }
local linear = d.schedule.linear { T = 1000 }

local function variance_of(sampler, o) return select(2, d.check.moments(sampler, o)) end

local function near(want, got, digit)
  assert.is_true(math.abs(got - want) <= (digit or 1e-9), ("expected %.10g, got %.10g"):format(want, got))
end

local function order_of(sampler, o)
  o.quiet, o.samples, o.exact, o.steps = true, 8, 300, o.steps or { 80, 160, 320 }
  return (d.check.order(sampler, mixture, o))
end

describe("third order in several steps", function()
  it("has the 2 of its second difference: order three, not two", function()
    for _, name in ipairs { "dpmpp_3m", { "dpm_solver_multistep", order = 3 } } do
      assert.is_true(order_of(name, { start = 2 }) > 2.9)
    end
    for _, name in ipairs { "diffusers-dpmpp-3m-half-second-difference", "diffusers-dpm-3m-half-second-difference",
      "dpm-solver-3m-half-second-difference" } do
      local order = order_of(d.sampler.preset(name), { start = 2 })
      assert.is_true(order > 1.9 and order < 2.15, ("%s: %.3f"):format(name, order))
    end
  end)

  -- The error of the mean of one step of an SDE solver, for x0 = 1 + lambda + lambda^2/2
  -- and a history of two steps. The exact mean is a_s times the integral of e^-(2h - v)
  -- x0(v/2).
  local function error_of_mean(sampler, h)
    local p = d.process { schedule = d.schedule.vp { T = 1000 }, predict = "x0" }
    local s = p.schedule
    local function x0_at(lambda) return 1 + lambda + lambda ^ 2 / 2 end
    local function denoise(_, t) return d.full({ 1, 1 }, x0_at(s:log_snr(t) / 2)), d.zeros(1, 1) end
    local function mean(_, _, _, _, ...) return d.mix(...) end
    local step = d.sampler.step(sampler, denoise, p, { mix = d.mix, mix_path = mean, mix_noise = mean })
    local function level(lambda) return s:level_of_sigma(math.exp(-lambda)) end
    local history, x = {}, nil
    for i = 0, 2 do
      x = step(d.zeros(1, 1), { t = level(-1 + i * h), s = level(-1 + (i + 1) * h), i = i + 1, n = 100 }, history)
    end
    local from, total, n = -1 + 2 * h, 0, 2000
    for k = 1, n do
      local v = 2 * h * (k - 0.5) / n
      total = total + math.exp(-(2 * h - v)) * x0_at(from + v / 2) * 2 * h / n
    end
    return x:item() - s:signal(level(from + h)) * total
  end

  it("of the SDE integrates x0 that is quadratic in lambda exactly [wrong sign: h^2 off in a step]", function()
    for _, h in ipairs { 0.1, 0.4 } do
      assert.is_true(math.abs(error_of_mean("dpmpp_3m_sde", h)) < 1e-7)
      local half = error_of_mean("k-diffusion-dpmpp-3m-sde-half-second-difference", h)
      local wrong = error_of_mean("diffusers-dpmpp-3m-sde-wrong-sign", h)
      assert.is_true(math.abs(half) > 1e-5 and math.abs(wrong) > 5 * math.abs(half))
    end
    local ratio = error_of_mean("diffusers-dpmpp-3m-sde-wrong-sign", 0.05)
      / error_of_mean("diffusers-dpmpp-3m-sde-wrong-sign", 0.1)
    near(0.25, ratio, 0.05)
  end)

  it("of the SDE takes any number of steps [x_t unbound]", function()
    for N = 1, 4 do
      local x = d.sample { model = mixture:denoiser(d.process { schedule = linear }), shape = { 5, 1 }, steps = N,
                           process = d.process { schedule = linear }, sampler = "dpmpp_3m_sde", seed = 1 }
      assert.is_true(x:isfinite():all())
    end
  end)
end)

describe("churn", function()
  local sd = d.process { schedule = d.schedule.scaled_linear {}, predict = "x0" }
  local o = { process = sd, grid = d.grid.karras(sd, 20), std = 1 }

  it("raises x before the model is asked: terminal variance 0.775 and 0.721 [1.269 and 1.413]", function()
    for _, row in ipairs { { 4, 0.775, 1.269 }, { 8, 0.721, 1.413 } } do
      near(row[2], variance_of({ "euler_churn", s_churn = row[1] }, o), 5e-4)
      near(row[3], variance_of(d.sampler.preset("diffusers-euler-churn-after-model", { s_churn = row[1] }), o), 5e-4)
    end
  end)

  it("tells a network of v the raised level, too: as one of eps", function()
    local ends = {}
    for k, predict in ipairs { "eps", "v" } do
      local p = d.process { schedule = linear, predict = predict }
      ends[k] = d.sample { model = mixture:denoiser(p), process = p, init = d.randn({ 9, 1 }, { seed = 2 }), seed = 1,
                           grid = d.grid.trailing(p, 12), sampler = { "euler_churn", s_churn = 5 } }
    end
    assert.is_true((ends[1] - ends[2]):abs():max():item() < 1e-9)
  end)
end)

describe("ddpm with fixed_large", function()
  local p = d.process { schedule = linear, variance = "fixed_large" }

  it("adds nothing on the way to s = 0 [0.321, 0.170, 0.076, 0.0436 of trailing; 0.0148 of offset 1]", function()
    local function ends(sampler, grid) return variance_of(sampler, { process = p, grid = grid, std = 0 }) ^ 0.5 end
    local kept = d.sampler.preset "diffusers-ddpm-noise-in-last-step"
    for N, std in pairs { [10] = 0.321, [20] = 0.170, [50] = 0.076, [100] = 0.0436 } do
      near(0, ends("ddpm", d.grid.trailing(p, N)))
      near(std, ends(kept, d.grid.trailing(p, N)), 6e-4)
    end
    near(0.0148, ends(kept, d.grid.preset "diffusers-leading-offset1"(p, 10)), 6e-5)
    near(0, ends(kept, d.grid.preset "diffusers-leading"(p, 10)))
  end)

  it("has the logarithm of a variance, and no kind that would take its root [NaN]", function()
    near(math.log(p:step_variance(500, 499)), math.log(linear:beta(500)))
    fails("did you mean 'fixed_large'?", d.process, { schedule = linear, variance = "fixed_large_log" })
  end)
end)

describe("the level a step goes to", function()
  local function astray(grid, N)
    local n = 0
    for i = 1, N - 1 do
      if grid[i][1] - 1000 // N ~= grid[i][2] then n = n + 1 end
    end
    return n
  end

  it("is the grid's next [t - T//N misses it in 9 of 9, 10 of 29, 45 of 52 steps]", function()
    assert.equal(9, astray(d.grid.preset "diffusers-linspace"(linear, 10), 10))
    assert.equal(10, astray(d.grid.preset "diffusers-trailing"(linear, 30), 30))
    assert.equal(45, astray(d.grid.preset "diffusers-trailing"(linear, 53), 53))
  end)

  it("makes ddim's terminal variance its own [another, by stride]", function()
    local p = d.process { schedule = linear }
    local function of(sampler, grid) return variance_of(sampler, { process = p, grid = grid, std = 0.5 }) end
    local stride = d.sampler.preset "diffusers-ddim-previous-by-stride"
    local off, on = d.grid.preset "diffusers-linspace"(p, 10), d.grid.preset "diffusers-leading"(p, 10)
    near(of("ddim", on), of(stride, on), 1e-12)
    assert.is_true(math.abs(of("ddim", off) - of(stride, off)) > 0.01)
    near(of("euler", off), of("ddim", off), 1e-12)
  end)

  it("is N steps of trailing for every N [N + 1 for 62 of them]", function()
    local defective = 0
    for N = 1, 1000 do
      if math.ceil(1000 / (1000 / N)) > N then defective = defective + 1 end -- numpy.arange(T, 0, -T/N)
      assert.equal(N, #d.grid.preset "diffusers-trailing"(1000, N))
    end
    assert.equal(62, defective)
  end)
end)

describe("clipping", function()
  it("takes eps along: x_t = a x0 + s eps still [eps of the unclipped x0]", function()
    local p = d.process { schedule = linear, clip = 1 }
    local xt, eps = d.randn({ 6, 3 }, { seed = 1 }) * 2, d.randn({ 6, 3 }, { seed = 2 })
    local x0, clipped = p:estimate(eps, xt, 700)
    local back = x0 * linear:signal(700) + clipped * linear:noise(700)
    assert.is_true((back - xt):abs():max():item() < 1e-12)
    local function step(sampler, process)
      return d.sampler.step(sampler, function(x, t) return process:estimate(eps, x, t) end, process)
    end
    local ours = step("ddim", p)(xt, { t = 700, s = 600, i = 1, n = 1 }, {})
    local theirs = step({ "diffusers-ddim-eps-of-unclipped-x0", clip = 1 }, d.process { schedule = linear })(xt,
      { t = 700, s = 600, i = 1, n = 1 }, {})
    local want = x0 * linear:signal(600) + eps * linear:noise(600)
    assert.is_true((theirs - want):abs():max():item() < 1e-12)
    assert.is_true((ours - theirs):abs():max():item() > 0.1)
  end)

  it("dynamic divides by the quantile [no more than a clip, at the peer's own maximum of 1]", function()
    local p = d.process { schedule = linear, predict = "x0", clip = "dynamic" }
    local x0 = d.linspace(-3, 3, 600):reshape(1, 600)
    local q = x0:abs():quantile(0.995):item()
    assert.is_true((p:clipped(x0) - x0:clamp(-q, q) * (1 / q)):abs():max():item() < 1e-12)
    local plain = d.process { schedule = linear, predict = "x0" }
    local function last(most)
      local sampler = { "diffusers-dpmpp-2m-threshold-capped", most = most }
      local step = d.sampler.step(sampler, function() return x0, x0 end, plain)
      return step(x0, { t = 10, s = 0, i = 1, n = 1 }, {})
    end
    assert.is_true((last(1) - x0:clamp(-1, 1)):abs():max():item() < 1e-12)
    assert.is_true((last(0.5) - x0:clamp(-0.5, 0.5) * 2):abs():max():item() < 1e-12)
    assert.is_true((last(10) - p:clipped(x0)):abs():max():item() < 1e-12)
  end)
end)

describe("linear multistep", function()
  it("of PNDM extrapolates eps: order two [one, where v is extrapolated in its place]", function()
    assert.is_true(order_of("diffusers-pndm", {}) > 1.9)
    local order = order_of(d.sampler.preset "diffusers-pndm-multistep-in-v", {})
    assert.is_true(order < 1.3, ("%.3f"):format(order))
  end)

  it("of LMS begun midway has the weights of the slopes it has [of those it hasn't, too]", function()
    local p = d.process { schedule = linear }
    local eps = d.full({ 1, 1 }, 0.7)
    local function x_at(t) return d.full({ 1, 1 }, linear:signal(t) * 0.2 + linear:noise(t) * 0.7) end
    local function step(sampler)
      local function denoise() return d.full({ 1, 1 }, 0.2), eps end
      return d.sampler.step(sampler, denoise, p)(x_at(400), { t = 400, s = 300, i = 1, n = 4 }, {}):item()
    end
    near(x_at(300):item(), step "lms", 1e-12) -- exact where eps is always the same
    near(x_at(300):item(), step "diffusers-lms-of-missing-slopes", 1e-12)
    local begun = step { "diffusers-lms-of-missing-slopes", skipped = { 700, 600, 500 } }
    assert.is_true(math.abs(begun - x_at(300):item()) > 0.1)
  end)

  it("where a = 0 keeps x0: there is no such start [IPNDM forgets x0 in it]", function()
    local flow = d.process { schedule = d.schedule.flow(), predict = "flow" }
    local star = d.full({ 1, 1 }, 2)
    local function denoise() return star, d.full({ 1, 1 }, 0.5) end
    local pair = { t = 1000, s = 500, i = 1, n = 2 }
    local x = d.full({ 1, 1 }, 0.5)
    near(2 * 0.5 + 0.5 * 0.5, d.sampler.step("ddim", denoise, flow)(x, pair, {}):item())
    near(0.5 * 0.5, d.sampler.step("diffusers-ipndm-start-without-x0", denoise, flow)(x, pair, {}):item())
    fails("x_t holds no signal at t = 1000, and ipndm divides by it", d.sample,
      { model = function(xt) return xt end, process = flow, shape = { 1, 1 }, sampler = "ipndm",
        grid = { 1000, 500 } })
  end)
end)

describe("schedules", function()
  it("laplace has the quantiles of its name in ln SNR, without a root", function()
    local s = d.schedule.laplace { T = 1000 }
    local low, middle, high = s:log_snr(750), s:log_snr(500), s:log_snr(250)
    near(0.5 * math.log(2), high - middle)
    near(0.5 * math.log(2), middle - low)
    near(1 / (1 + math.exp(-high)), s:alpha_bar(250)) -- its root there
  end)

  it("flow is shifted once, and one step of it is finite [twice; NaN]", function()
    local s = d.schedule.flow { shift = 3 }
    near(3 * 0.5 / (1 + 2 * 0.5), s:noise(500), 1e-12)
    local once, twice = d.grid.preset "diffusers-flow"(s, 10), d.grid.preset "diffusers-flow-shifted-twice"(s, 10)
    near(s:noise(1), s:noise(once[10][1]), 1e-12)
    assert.is_true(s:noise(twice[10][1]) > 1.5 * s:noise(once[10][1]))
    assert.same({ 1000 }, d.grid.preset "diffusers-flow"(s, 1, { shift_terminal = 0.02 }):times())
  end)

  it("without terminal signal refuse a network of eps, with a sentence [Inf]", function()
    local p = d.process { schedule = d.schedule.scaled_linear():rescale_zero_terminal_snr() }
    fails("x_t holds no signal at t = 1000, so eps doesn't determine x0 there; predict v or x0", d.sample,
      { model = function(x) return x end, process = p, shape = { 1, 1 }, steps = 5 })
    local v = d.process { schedule = p.schedule, predict = "v" }
    local x = d.sample { model = mixture:denoiser(v), process = v, shape = { 4, 1 }, steps = 5, seed = 1 }
    assert.is_true(x:isfinite():all())
  end)

  it("of karras in one step is the highest level [0/0]", function()
    local s = d.schedule.edm {}
    near(s.T, d.grid.karras(s, 1)[1][1], 0)
    near(s.T, d.grid.preset "edm"(s, 1)[1][1], 0)
  end)
end)

describe("a Langevin corrector", function()
  it("takes each sample's own norms: alone or in a batch it is the same [the batch's mean]", function()
    local p = d.process { schedule = d.schedule.ve {}, predict = "x0" }
    local function of(n)
      return d.sample { model = mixture:denoiser(p), process = p, shape = { n, 1 }, steps = 10, seed = 4,
                        sampler = "predictor_corrector" }
    end
    local all, one = of(6), of(1)
    assert.equal(one[1][1], all[1][1])
  end)
end)

-- Guidance in double, on Gaussians, where what it should draw is known in closed form.
local d = require "diffusion"

local targets = { "eps", "x0", "v", "score", "flow", "edm" }

local function process_of(predict, schedule)
  return d.process { schedule = schedule or d.schedule.linear {}, predict = predict }
end

local function normal(mean, variance) return d.oracle.gaussian { mean = { mean }, std = math.sqrt(variance) } end

-- One denoiser of two: `with` is asked where there is a class.
local function conditional(with, without)
  return function(xt, t, o)
    if o and o.class then return with(xt, t) end
    return without(xt, t)
  end
end

local function close(want, got, tolerance)
  local gap = (want - got):abs():max():item()
  assert.is_true(gap < (tolerance or 1e-10), ("%g apart"):format(gap))
end

-- The flow of a denoiser that is affine in x, from one level to another: x -> shift + gain x.
local function flow_of(model, process, grid)
  local run = d.sampler.steps { model = model, process = process, init = d.tensor { { 0.0 }, { 1.0 } }, class = 1,
                                grid = grid, sampler = { "rk45", atol = 1e-12, rtol = 1e-12 } }
  local x = run().x
  return x[1][1], x[2][1] - x[1][1]
end

-- The mean and variance that the flow makes, at its first pair's end, of what N(mean, variance)
-- is at its start.
local function moments_of(model, process, mean, variance)
  local schedule, T = process.schedule, process.T
  local a, s = schedule:signal(T), schedule:noise(T)
  local shift, gain = flow_of(model, process, { T, 1 })
  return shift + gain * a * mean, gain ^ 2 * (a ^ 2 * variance + s ^ 2)
end

local function has_moments(process, model, mean, variance)
  local a, s = process.schedule:signal(1), process.schedule:noise(1)
  local got_mean, got_variance = moments_of(model, process, mean, variance)
  assert.near(a * mean, got_mean, 1e-8)
  assert.near(a ^ 2 * variance + s ^ 2, got_variance, 1e-8)
end

-- ln p(y | x_t) up to a constant, of y = x0 + tau z and x0 of N(mean, variance): y given x_t is normal
-- about E[x0 | x_t].
local function observed(oracle, variance, process, y, tau)
  return function(xt, t)
    local a, s = process.schedule:signal(t), process.schedule:noise(t)
    local spread = variance * s ^ 2 / (a ^ 2 * variance + s ^ 2) + tau ^ 2
    return (oracle:posterior_mean(xt, a, s) - y):square():sum(2) / (-2 * spread)
  end
end

describe("classifier guidance", function()
  local m, v, y, tau = 0.3, 0.6, -1.2, 0.5
  local precision = 1 / v + 1 / tau ^ 2
  local mean, variance = (m / v + y / tau ^ 2) / precision, 1 / precision

  for _, predict in ipairs { "eps", "x0", "v" } do
    it(("draws p(x) p(y|x), exactly, predicting %s"):format(predict), function()
      local p = process_of(predict)
      local data = normal(m, v)
      local guided = d.guidance.classifier(data:denoiser(p), p, observed(data, v, p, y, tau))
      has_moments(p, guided, mean, variance)
    end)
  end

  it("draws p(x) p(y|x)^3 by the classifier of that power, which is not 3 times the gradient", function()
    local p, data = process_of "eps", normal(m, v)
    local sharper = 1 / v + 3 / tau ^ 2
    local guided = d.guidance.classifier(data:denoiser(p), p, observed(data, v, p, y, tau / math.sqrt(3)))
    has_moments(p, guided, (m / v + 3 * y / tau ^ 2) / sharper, 1 / sharper)
    local scaled = d.guidance.classifier(data:denoiser(p), p, observed(data, v, p, y, tau), { scale = 3 })
    local _, got = moments_of(scaled, p, mean, variance)
    assert.is_true(math.abs(got - 1 / sharper) > 0.01)
  end)

  it("is the best denoiser of the posterior, in every target, at a level of each sample's own", function()
    local posterior = normal(mean, variance)
    local x, t = d.randn({ 5, 1 }, { seed = 1 }), { 1, 90, 400, 777.5, 990 }
    for _, predict in ipairs(targets) do
      local p = process_of(predict)
      local data = normal(m, v)
      local guided = d.guidance.classifier(data:denoiser(p), p, function(xt)
        local a, s = p.schedule:signal(d.tensor(t)):unsqueeze(2), p.schedule:noise(d.tensor(t)):unsqueeze(2)
        local spread = v * s ^ 2 / (a ^ 2 * v + s ^ 2) + tau ^ 2
        return ((data:posterior_mean(xt, a, s) - y):square() / (-2 * spread)):sum(2)
      end)
      close(posterior:denoiser(p)(x, t), guided(x, t, { class = { 1, 1, 1, 1, 1 } }), 1e-9)
    end
  end)

  it("by the classifier that Bayes' rule makes of two models is classifier-free guidance, at any scale", function()
    local x = d.randn({ 4, 2 }, { seed = 2 })
    local with = d.oracle.gaussian { mean = { 1, -0.5 }, cov = { { 0.5, 0.2 }, { 0.2, 0.3 } } }
    local without = d.oracle.mixture { means = { { 0, 1 }, { -1, 0 } }, std = 0.4 }
    for _, predict in ipairs(targets) do
      local p = process_of(predict, d.schedule.cosine {})
      local u, c = without:denoiser(p), with:denoiser(p)
      local function log_prob(xt, t) return with:log_prob(xt, p, t) - without:log_prob(xt, p, t) end
      for _, scale in ipairs { 1, 2.5, -0.5 } do
        local by_gradient = d.guidance.classifier(u, p, log_prob, { scale = scale })
        local free = d.guidance.cfg(conditional(c, u), { scale = scale })
        local o = { class = 1 }
        for _, t in ipairs { 1, 300, 900 } do close(free(x, t, o), by_gradient(x, t, o), 1e-8) end
      end
    end
  end)
end)

describe("classifier-free guidance", function()
  it("of two Gaussians of one variance draws their product p_c^w p_u^(1-w), exactly", function()
    for _, w in ipairs { 0, 1, 3, 7.5 } do
      local p = process_of "v"
      local c, u = normal(0.8, 0.4):denoiser(p), normal(-0.2, 0.4):denoiser(p)
      local guided = d.guidance.cfg(conditional(c, u), { scale = w })
      has_moments(p, guided, -0.2 + w * (0.8 + 0.2), 0.4)
    end
  end)

  -- y = x/a moves by dy/dln sigma = y - D(y), D'(y) = sum_i w_i v_i/(v_i + sigma^2), so that distances go as
  -- the product of sqrt(v_i + sigma^2)^w_i
  local function gain(process, weights)
    local schedule, out = process.schedule, process.schedule:signal(1) / process.schedule:signal(process.T)
    for variance, w in pairs(weights) do
      out = out * ((variance + schedule:sigma(1) ^ 2) / (variance + schedule:sigma(process.T) ^ 2)) ^ (w / 2)
    end
    return out
  end

  it("of two variances contracts as the ODE's solution in closed form; autoguidance too", function()
    local p = process_of "eps"
    local c, u = normal(0, 0.2):denoiser(p), normal(0, 0.9):denoiser(p)
    for _, w in ipairs { 1, 2, 4 } do
      local want = gain(p, { [0.2] = w, [0.9] = 1 - w })
      local free, auto = d.guidance.cfg(conditional(c, u), { scale = w }), d.guidance.auto(c, u, { scale = w })
      for _, guided in ipairs { free, auto } do
        local shift, got = flow_of(guided, p, { p.T, 1 })
        assert.near(0, shift, 1e-9)
        assert.near(want, got, 1e-9)
      end
    end
  end)

  it("within an interval is the plain flow outside", function()
    local p = process_of "eps"
    local c, u = normal(0, 0.2):denoiser(p), normal(0, 0.9):denoiser(p)
    local guided = d.guidance.cfg(conditional(c, u), { scale = 3, interval = { 200, 600 } })
    local function over(from, to) return select(2, flow_of(guided, p, { from, to })) end
    local function plain(from, to) return select(2, flow_of(c, p, { from, to })) end
    assert.near(plain(1000, 601), over(1000, 601), 1e-9)
    assert.near(plain(199, 1), over(199, 1), 1e-9)
    local everywhere = d.guidance.cfg(conditional(c, u), { scale = 3 })
    assert.near(select(2, flow_of(everywhere, p, { 600, 200 })), over(600, 200), 1e-9)
    assert.is_true(math.abs(plain(600, 200) - over(600, 200)) > 0.01)
  end)

  it("rescaled has the conditional's deviation in each sample, or a share of it", function()
    local x = d.randn({ 3, 4, 4, 2 }, { seed = 3 })
    local function c(xt) return xt * 0.5 + 0.1 end
    local function u(xt) return xt:sin() end
    local function std(y) return y:std({ 2, 3, 4 }) end
    local function of(phi)
      return d.guidance.cfg(conditional(c, u), { scale = 4, rescale = phi })(x, 5, { class = 1 })
    end
    close(std(c(x)), std(of(1)), 1e-13)
    close(std(c(x)) * 0.7 + std(of(0)) * 0.3, std(of(0.7)), 1e-13)
  end)
end)

describe("CFG++", function()
  local with, without = normal(0.8, 0.2), normal(-0.2, 0.9)

  -- a_s x0' + s_s eps_u = (a_s/a_t) x + (s_s - s_t a_s/a_t) (eps_u + w (eps_c - eps_u)), w by comparing
  -- coefficients: lambda sigma_t/(sigma_t - sigma_s)
  it("in ddim and euler is classifier-free guidance whose scale goes with the step", function()
    local p, lambda = process_of "eps", 0.6
    local model = conditional(with:denoiser(p), without:denoiser(p))
    local times = { 1000, 800, 500, 300, 100, 20 }
    local function w_of(_, t)
      for i, from in ipairs(times) do
        if from == t then
          local sigma_s = times[i + 1] and p.schedule:sigma(times[i + 1]) or 0
          return lambda * p.schedule:sigma(t) / (p.schedule:sigma(t) - sigma_s)
        end
      end
    end
    local function by_scale(xt, t, o) return d.guidance.cfg(model, { scale = w_of(xt, t) })(xt, t, o) end
    local function ends(sampler, of)
      return d.sample { model = of, process = p, sampler = sampler, grid = times, class = 1, init = d.randn({ 6, 1 },
        { seed = 4 }) }
    end
    local want = ends("ddim", by_scale)
    for _, name in ipairs { "ddim", "euler" } do
      close(want, ends(name, d.guidance.cfg_pp(model, { scale = lambda })), 1e-11)
    end
  end)

  it("of one Gaussian moves as its own product of steps says", function()
    -- both models N(0, v): x_s = (a_s g + s_s (1 - a g)/s) x at any scale
    local p, v = process_of "v", 0.5
    local model = conditional(normal(0, v):denoiser(p), normal(0, v):denoiser(p))
    local grid, gain = { 1000, 700, 400, 50 }, 1
    for i, t in ipairs(grid) do
      local to = grid[i + 1] or 0
      local a, s = p.schedule:signal(t), p.schedule:noise(t)
      local g = a * v / (a ^ 2 * v + s ^ 2)
      gain = gain * (p.schedule:signal(to) * g + p.schedule:noise(to) * (1 - a * g) / s)
    end
    local x = d.sample { model = d.guidance.cfg_pp(model, { scale = 0.3 }), process = p, sampler = "ddim", grid = grid,
                         class = 1, init = d.ones(1, 1) }
    assert.near(gain, x:item(), 1e-12)
  end)

  it("outside its interval goes on with the conditional's own noise, sample by sample", function()
    local p = process_of "x0"
    local c, u = with:denoiser(p), without:denoiser(p)
    local guided = d.guidance.cfg_pp(conditional(c, u), { scale = 0.6, interval = { 100, 500 } })
    local x, t = d.randn({ 3, 1 }, { seed = 5 }), { 50, 300, 700 }
    local first, second = guided(x, t, { class = { 1, 1, 1 } })
    local from, to = u(x, t), c(x, t)
    for i, inside in ipairs { false, true, false } do
      assert.near(inside and from[i][1] + 0.6 * (to[i][1] - from[i][1]) or to[i][1], first[i][1], 1e-14)
      assert.near(inside and from[i][1] or to[i][1], second[i][1], 1e-14)
    end
    assert.equal(1, select("#", guided(x, 600, { class = { 1, 1, 1 } })))
  end)
end)

describe("guidance by an energy", function()
  local m, v, y, tau = 0.3, 0.6, -1.2, 0.5
  local x = d.randn({ 4, 1 }, { seed = 6 })

  it("of x_t is -ln p of a classifier", function()
    local p, data = process_of "v", normal(m, v)
    local log_prob = observed(data, v, p, y, tau)
    local one = d.guidance.classifier(data:denoiser(p), p, log_prob, { scale = 2 })
    local other = d.guidance.gradient(data:denoiser(p), p, function(xt, t) return -log_prob(xt, t) end,
      { scale = 2 })
    close(one(x, 300, { class = 1 }), other(x, 300), 1e-13)
  end)

  it("of x0 goes through the denoiser: x0 moves by -s^2/a scale (dx0/dx_t) E'(x0), in every target", function()
    for _, predict in ipairs(targets) do
      local p, data = process_of(predict), normal(m, v)
      local function energy(x0) return (x0 - y):square():sum(2) / (2 * tau ^ 2) end
      local guided = d.guidance.gradient(data:denoiser(p), p, energy, { scale = 0.7, of = "x0" })
      for _, t in ipairs { 1, 200, 800 } do
        local a, s = p.schedule:signal(t), p.schedule:noise(t)
        local x0 = data:posterior_mean(x, a, s)
        local slope = a * v / (a ^ 2 * v + s ^ 2)
        local want = x0 - (s ^ 2 / a * 0.7 * slope / tau ^ 2) * (x0 - y)
        close(want, p:convert(guided(x, t), { from = predict, to = "x0", xt = x, t = t }), 1e-10)
      end
    end
  end)

  it("of x_t tilts a Gaussian by what the noise leaves of the energy, exactly", function()
    -- E(x_t) = k/2 (x_t - a y)^2 with k = 1/(a^2 w + s^2) - 1/(a^2 v + s^2) makes of N(y, v) the score of
    -- N(y, w)
    local w, p = 0.1, process_of "eps"
    local guided = d.guidance.gradient(normal(y, v):denoiser(p), p, function(xt, t)
      local a, s = p.schedule:signal(t), p.schedule:noise(t)
      local stiffness = 1 / (a ^ 2 * w + s ^ 2) - 1 / (a ^ 2 * v + s ^ 2)
      return (xt:squeeze(2) - a * y):square() * (stiffness / 2)
    end)
    has_moments(p, guided, y, w)
  end)
end)

describe("guidances around one another", function()
  it("are what their scores add up to", function()
    local p = process_of "eps"
    local strong, weak, free = normal(0.5, 0.3), normal(0.4, 0.8), normal(0, 0.5)
    local function slope(xt, t) return strong:log_prob(xt, p, t) - free:log_prob(xt, p, t) end
    local model = conditional(strong:denoiser(p), free:denoiser(p))
    local auto = d.guidance.auto(model, weak:denoiser(p), { scale = 2 })
    local pushed = d.guidance.classifier(auto, p, slope, { scale = 0.5 })
    local all = d.guidance.cfg(pushed, { scale = 3 })
    local x, t = d.randn({ 5, 1 }, { seed = 7 }), 350
    local function eps(oracle) return oracle:denoiser(p)(x, t) end
    local c = 2 * eps(strong) - eps(weak) + 0.5 * (eps(strong) - eps(free))
    local u = 2 * eps(free) - eps(weak) -- without a class no classifier speaks
    close(3 * c - 2 * u, all(x, t, { class = 1 }), 1e-10)
    close(c, pushed(x, t, { class = 1 }), 1e-10)
  end)
end)

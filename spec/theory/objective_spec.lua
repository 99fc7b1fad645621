-- Objectives in double: weights against the papers' columns, losses of Gaussian data
-- against their closed forms, the bound of a learned variance, distributions of t,
-- reflow. Data of +-std and noise of +-1, with all four pairs equally likely, has the
-- exact second moments of a Gaussian. So the mean loss of a linear denoiser over these
-- pairs is its expectation.
local d = require "diffusion"
local decoder = require "diffusion.objective.decoder"

local linear, cosine = d.schedule.linear(), d.schedule.cosine()

local function process_of(predict, schedule, more)
  local o = { predict = predict, schedule = schedule or linear }
  for k, v in pairs(more or {}) do o[k] = v end
  return d.process(o)
end

local function close(expected, got, tolerance)
  local most = (tolerance or 1e-12) * math.max(1e-300, math.abs(expected))
  assert(math.abs(expected - got) <= most, ("%.15g, not %.15g"):format(got, expected))
end

-- As printed, to its digits.
local function printed(text, got)
  local digits = #text:gsub("e.*$", ""):gsub("^[0.]*", ""):gsub("%.", "")
  close(tonumber(text), got, 0.51 * 10 ^ (1 - digits) * 1.001)
end

-- x0, eps and t of the four pairs at every t of a list.
local function four(std, list)
  local x0, eps, t = {}, {}, {}
  for _, at in ipairs(list) do
    for i = 0, 3 do
      t[#t + 1], x0[#x0 + 1], eps[#eps + 1] = at, { i < 2 and std or -std }, { i % 2 == 0 and 1 or -1 }
    end
  end
  return d.tensor(x0), d.tensor(eps), d.tensor(t, { dtype = "i64" })
end

local function range(from, to)
  local list = {}
  for t = from, to do list[#list + 1] = t end
  return list
end

describe("a weighting", function()
  -- weights on eps, x0 and v of SNR r and alpha_bar, where these determine them
  local columns = {
    { "simple", function(r) return 1, r, r / (r + 1) end },
    { "snr", function(r) return 1, r, r / (r + 1) end },
    { { "uniform", of = "v" }, function(r) return 1 + 1 / r, r + 1, 1 end },
    { { "uniform", of = "eps" }, function(r) return 1, r, r / (r + 1) end },
    { { "uniform", of = "x0" }, function(r) return 1 / r, 1, 1 / (r + 1) end },
    { "truncated_snr", function(r) return math.max(r, 1) / r, math.max(r, 1), math.max(r, 1) / (r + 1) end },
    { { "min_snr", gamma = 5 }, function(r) return math.min(r, 5) / r, math.min(r, 5), math.min(r, 5) / (r + 1) end },
    { { "p2", k = 1, gamma = 0.5 }, function(r)
      local w = (1 + r) ^ -0.5
      return w, r * w, w * r / (r + 1)
    end },
    { { "sigmoid", bias = -1 }, function(r)
      local w = 1 / (1 + math.exp(math.log(r) + 1))
      return w, r * w, w * r / (r + 1)
    end },
    { "edm", function(r) return (r + 4) / r, r + 4, (r + 4) / (r + 1) end },
  }
  for _, row in ipairs(columns) do
    local name = type(row[1]) == "table" and table.concat({ row[1][1], row[1].of }, " of ") or row[1]
    it(name .. " weighs eps, x0 and v as its paper says, whatever is predicted", function()
      for _, predict in ipairs { "eps", "x0", "v" } do
        local o = d.objective { process = process_of(predict), weighting = row[1] }
        for _, t in ipairs { 1, 10, 130, 500, 1000 } do
          local eps, x0, v = row[2](linear:snr(t))
          local got = o:weights(t)
          close(eps, got.eps)
          close(x0, got.x0)
          close(v, got.v)
        end
      end
    end)
  end

  it("edm and soft_min_snr are what Karras et al. and k-diffusion write for D and F", function()
    local sigmas = { 0.002, 0.5, 1, 80 }
    local process = process_of("edm", d.schedule.from_sigma(sigmas))
    local edm = d.objective { process = process, weighting = "edm" }
    local soft = d.objective { process = process, weighting = "soft_min_snr" }
    for t, want in ipairs { "250004", "8", "5", "4.00015625" } do
      local sigma = sigmas[t]
      printed(want, edm:weights(t).x0)
      close(1, edm:weights(t).edm)
      close((sigma * 0.5) ^ 2 / (sigma ^ 2 + 0.25) ^ 2, soft:weights(t).edm)
    end
    -- a sigmoid of ln SNR is the same law
    local sigmoid = d.objective { process = process, weighting = { "sigmoid", bias = math.log(4) } }
    for t = 1, 4 do close(soft:weights(t).x0, sigmoid:weights(t).x0) end
  end)

  -- The value of a formula that explain returns, with products written out.
  local function value(formula, names)
    formula = formula:gsub("(%a[%w_]*) (%a)", "%1 * %2"):gsub("(%a[%w_]*) %(", "%1 * ("):gsub("ln %* SNR", "ln(SNR)")
    return assert(load("return " .. formula, formula, "t", names))()
  end

  it("is what its words say: explain's formulas give explain's numbers", function()
    local process = process_of("v", cosine, { sigma_data = 0.3 })
    local names = { s = cosine:noise(400), SNR = cosine:snr(400), sigma_data = 0.3, gamma = 0.7, k = 3, bias = 1.5,
                    sqrt = math.sqrt, max = math.max, min = math.min, ln = math.log }
    function names.sigmoid(x) return 1 / (1 + math.exp(-x)) end
    for name, options in pairs { simple = {}, snr = {}, truncated_snr = {}, min_snr = { "gamma" },
                                 p2 = { "k", "gamma" }, soft_min_snr = { "gamma" }, edm = {}, sigmoid = { "bias" } } do
      local given = { name }
      for _, option in ipairs(options) do given[option] = names[option] end
      local o = d.objective { process = process, weighting = given }
      local weights, text = o:weights(400), o:explain(400)
      local from = text:match "\n  w = ([^:\n]*)"
      names.w = value(from, names)
      close(weights.x0, names.w)
      for _, target in ipairs { "x0", "eps", "v", "score", "flow" } do
        local said = text:match("\n  [ *]" .. target .. " +%S+ +([^\n]*)"):gsub("on the circle ", "")
        for formula in said:gmatch "[^;]+" do close(weights[target], value(formula, names)) end
      end
    end
  end)

  it("has the numbers of its paper where none are given", function()
    local process = process_of("v", linear, { sigma_data = 0.3 })
    for name, options in pairs { min_snr = { gamma = 5 }, soft_min_snr = { gamma = 0.3 ^ -2 },
                                 p2 = { k = 1, gamma = 1 }, edm = { sigma_data = 0.3 }, sigmoid = { bias = 2 } } do
      local function weight(given) return d.objective { process = process, weighting = given }:weights(300).x0 end
      local given = { name }
      for k, v in pairs(options) do given[k] = v end
      close(weight(given), weight(name))
    end
    local own = d.objective { process = process, weighting = { "edm", sigma_data = 2 } }
    close(linear:snr(300) + 0.25, own:weights(300).x0)
  end)

  it("vlb is that of Ho et al. 2020, eq. 12, on eps", function()
    local rows = { -- t, with fixed_large, with fixed_small
      { 1, "0.500050005" }, { 2, "0.2726920843", "0.5996715122" }, { 10, "0.07371701593", "0.08643655975" },
      { 100, "0.01008126375", "0.01026695344" }, { 500, "0.005503431926", "0.005508196511" },
      { 1000, "0.01020449347", "0.01020450187" },
    }
    local large = d.objective { process = process_of("eps", linear, { variance = "fixed_large" }), weighting = "vlb" }
    local small = d.objective { process = process_of "v", weighting = "vlb" }
    for _, row in ipairs(rows) do
      printed(row[2], large:weights(row[1]).eps)
      if row[3] then printed(row[3], small:weights(row[1]).eps) end
    end
    close((linear:snr(299) - linear:snr(300)) / 2, small:weights(300).x0, 1e-11)
    close(1 / (2 * linear:posterior_variance(2)), small:weights(1).x0)
  end)

  it("says the same of one error in every space, on any schedule", function()
    for _, schedule in ipairs { linear, cosine, d.schedule.ve { T = 20 }, d.schedule.flow { T = 20 } } do
      for _, t in ipairs { 1, 7, 19 } do
        local w = d.objective { process = process_of("x0", schedule), weighting = "min_snr" }:weights(t)
        local x0, eps = 0.3, -0.3 * schedule:signal(t) / schedule:noise(t) -- an error that leaves x_t as it is
        for target, weight in pairs(w) do
          local e = process_of(target, schedule):target(x0, eps, t)
          close(math.min(schedule:snr(t), 5) * 0.09, weight * e ^ 2, 1e-10)
        end
      end
    end
  end)
end)

describe("the floor", function()
  it("is the irreducible loss of Gaussian data, uniform t", function()
    local rows = { -- schedule, std: of eps, v and x0
      { linear, 0.5, "0.1730534061", "0.3797900546", "0.2067366485" },
      { linear, 1, "0.2755132334", "1", "0.7244867666" },
      { cosine, 0.5, "0.3276534273", "0.4957400705", "0.1680866432" },
      { cosine, 1, "0.4955775126", "1", "0.5044224874" },
    }
    for _, row in ipairs(rows) do
      for i, predict in ipairs { "eps", "v", "x0" } do
        local o = d.objective { process = process_of(predict, row[1]), weighting = "uniform" }
        close(tonumber(row[2 + i]), o:floor { std = row[2] }, 3e-10)
      end
    end
  end)

  it("is what the best denoiser's loss is, to rounding, for any target and weighting", function()
    local schedule = d.schedule.cosine { T = 60 }
    local x0, eps, t = four(0.7, range(1, 60))
    for _, weighting in ipairs { "simple", "min_snr", "edm", { "uniform", of = "flow" }, "vlb" } do
      local floors = {}
      for _, predict in ipairs { "eps", "x0", "v", "score", "flow", "edm" } do
        local process = process_of(predict, schedule)
        local best = d.oracle.gaussian { std = 0.7 }:denoiser(process)
        local o = d.objective { process = process, weighting = weighting, times = function() return t end }
        local loss = o(best, x0, { eps = eps }):item()
        floors[#floors + 1] = d.objective { process = process, weighting = weighting }:floor { std = 0.7 }
        close(floors[1], floors[#floors], 1e-10)
        close(floors[1], loss, 1e-9)
      end
    end
  end)

  it("of coordinates is their mean, and of data that of its covariance", function()
    local o = d.objective { process = process_of "eps" }
    local parts = (o:floor { std = 2 } + o:floor { std = 0.5 }) / 2
    close(parts, o:floor { std = { 2, 0.5 } })
    local c, s = math.cos(0.3), math.sin(0.3)
    local along = d.tensor { { 2 * 2 ^ 0.5, 0 }, { -2 * 2 ^ 0.5, 0 }, { 0, 0.5 ^ 0.5 }, { 0, -0.5 ^ 0.5 } }
    local turned = along:matmul(d.tensor { { c, s }, { -s, c } }) + 3 -- covariance 4 and 1/4, turned and moved
    close(parts, o:floor { data = turned }, 1e-10)
  end)

  it("of an oracle is the mean over its samples, of a mixture below what an affine denoiser does", function()
    local process = process_of("eps", d.schedule.cosine { T = 50 }, { variance = "learned" })
    local o = d.objective { process = process, times = "stratified", weighting = "min_snr" }
    d.manual_seed(4)
    local first = d.randn(3)
    d.manual_seed(4)
    local mean, error = o:floor { oracle = d.oracle.gaussian { std = 0.7 }, samples = 4000, seed = 2 }
    assert.is_true(first:equal(d.randn(3))) -- the counters are where they were
    assert(math.abs(mean - o:floor { std = 0.7 }) < 4 * error, mean)
    local two = d.oracle.mixture { means = { { -1 }, { 1 } }, std = 0.1 }
    assert(o:floor { oracle = two, samples = 4000 } < 0.7 * o:floor { std = math.sqrt(1.01) })
    local again, other = o:floor { oracle = two, samples = 4000, seed = 2 }, o:floor { oracle = two, samples = 4000 }
    assert.equal(again, (o:floor { oracle = two, samples = 4000, seed = 2 }))
    assert.not_equal(again, other)
    -- the error is that of a mean: of 16 times the samples a fourth
    local _, coarse = o:floor { oracle = two, samples = 2000 }
    local _, fine = o:floor { oracle = two, samples = 32000 }
    close(coarse, 4 * fine, 0.1)
  end)

  it("of an oracle is the same where t are drawn by importance", function()
    local o = d.objective { process = process_of("x0", d.schedule.cosine { T = 20 }), times = "importance",
                            weighting = "uniform" }
    local losses = {}
    for t = 1, 20 do
      losses[t] = {}
      for i = 1, 10 do losses[t][i] = t <= 10 and 1 or 3 end
    end
    assert.is_true(o:load_state { losses = losses })
    local mean, error = o:floor { oracle = d.oracle.gaussian { std = 0.7 }, samples = 8000 }
    assert(math.abs(mean - o:floor { std = 0.7 }) < 4 * error, mean)
  end)

  it("is reached within 1 % by a linear network", function()
    d.manual_seed(3)
    local process = process_of("v", d.schedule.cosine { T = 8 })
    local o = d.objective { process = process, times = "stratified" }
    local Linear = d.nn.module("linear", function(m)
      m.gain = d.nn.parameter(d.zeros(8, 1))
      function m:forward(xt, t) return xt * t:to("i64"):embedding(self.gain) end
    end)
    local net = d.nn.model(Linear())
    local opt = d.adamw(net, { lr = d.lr.warmup_cosine { peak = 0.05, warmup = 10, total = 300 } })
    local draws = d.oracle.gaussian { std = 0.5 }
    for _ = 1, 300 do
      d.record(o, net, draws:sample(256)):backward()
      opt:step()
    end
    local x0, eps, t = four(0.5, range(1, 8))
    local exact = d.objective { process = process, times = function() return t end }
    local reached, floor = exact(net, x0, { eps = eps }):item(), o:floor { std = 0.5 }
    assert(reached >= floor and reached < 1.01 * floor, ("%.6f, the floor is %.6f"):format(reached, floor))
  end)
end)

describe("a law of t", function()
  -- E f(sigma) of a law, as the floor of data without end whose error of x0 is sigma^2
  local function mean_of(schedule, times, f)
    local process = process_of("x0", schedule)
    local function weigh(snr) return f(snr ^ -0.5) * snr end
    return d.objective { process = process, weighting = weigh, times = times }:floor { std = 1e9 }
  end

  it("log_normal has the moments of one", function()
    local ve = d.schedule.ve { T = 1000, sigma_min = 1e-5, sigma_max = 1e4 }
    for _, k in ipairs { 1, -1, 2 } do
      local got = mean_of(ve, "log_normal", function(sigma) return sigma ^ k end)
      close(math.exp(-1.2 * k + (1.2 * k) ^ 2 / 2), got, 1e-6)
    end
  end)

  it("logit_normal on straight paths is one of sigma, and mode is Esser et al.'s", function()
    local flow = d.schedule.flow { T = 100000 }
    local got = mean_of(flow, { "logit_normal", mean = 0.5, std = 0.8 }, function(sigma) return sigma end)
    close(math.exp(0.5 + 0.32), got, 1e-8)
    local function square(sigma) return (sigma / (1 + sigma)) ^ 2 end -- w^2
    local sum, n = 0, 2000
    for i = 0, n do -- Simpson
      local u = i / n
      local w = 1 - u - 1.29 * (math.cos(math.pi * u / 2) ^ 2 - 1 + u)
      sum = sum + (i == 0 and 1 or i == n and 1 or i % 2 == 1 and 4 or 2) * w ^ 2
    end
    close(sum / 3 / n, mean_of(flow, "mode", square), 1e-6)
  end)

  it("stays between 1 and T, and with log_normal where there is signal", function()
    local flow = process_of("v", d.schedule.flow { T = 50 })
    for _, row in ipairs { { { "logit_normal", std = 20 }, 1, 50 }, { { "log_normal", mean = 20 }, 49, 49 },
                           { { "log_normal", mean = -20 }, 1, 1 } } do
      local o = d.objective { process = flow, times = row[1] }
      local _, seen = o(function(xt) return xt end, d.zeros(64, 1))
      assert.same({ row[2], row[3] }, { seen.t:min():item(), seen.t:max():item() })
    end
  end)

  it("has the numbers of its paper where none are given", function()
    local flow = d.schedule.flow { T = 1000 }
    for name, options in pairs { log_normal = { mean = -1.2, std = 1.2 }, logit_normal = { mean = 0, std = 1 },
                                 mode = { scale = 1.29 } } do
      local function sigma(s) return s end
      local given = { name }
      for k, v in pairs(options) do given[k] = v end
      close(mean_of(flow, given, sigma), mean_of(flow, name, sigma))
    end
  end)

  it("draws as its points say", function()
    d.manual_seed(5)
    for _, times in ipairs { "uniform", "stratified", "log_normal", "logit_normal", "mode" } do
      local process = process_of("v", d.schedule.flow())
      local o = d.objective { process = process, times = times }
      local _, seen = o(function(xt) return xt end, d.zeros(20000, 1))
      local t, p = require("diffusion.objective.times").resolve(times, process).points()
      local mean, square = 0, 0
      for i, v in ipairs(t) do mean, square = mean + p[i] * v, square + p[i] * v * v end
      local error = math.sqrt((square - mean ^ 2) / 20000)
      local drawn = seen.t:to "f64":mean():item()
      assert(math.abs(drawn - mean) < 4 * error, ("%s: %.2f, not %.2f"):format(times, drawn, mean))
    end
  end)

  it("stratified gives each of T samples a t of its own", function()
    local o = d.objective { process = process_of "v", times = "stratified" }
    local _, seen = o(function(xt) return xt end, d.zeros(1000, 1))
    assert.same(range(1, 1000), seen.t:totable())
  end)

  it("importance draws by the root of the second moment, and keeps the mean", function()
    d.manual_seed(6)
    local o = d.objective { process = process_of("eps", d.schedule.linear { T = 50 }), times = "importance" }
    local losses, total = {}, 0
    for t = 1, 50 do
      losses[t] = {}
      for i = 1, 10 do losses[t][i] = t * (i % 2 == 0 and 1 or 2) end
      total = total + t * 2.5 ^ 0.5
    end
    assert.is_true(o:load_state { losses = losses })
    local ones = d.ones(50000, 1)
    local _, seen = o(function(xt) return xt * 0 end, ones, { eps = ones }) -- an error of 1 each
    local count, t, share = {}, seen.t:totable(), seen.per_sample:totable()
    for i, at in ipairs(t) do
      local p = 0.999 * at * 2.5 ^ 0.5 / total + 0.001 / 50
      close(1 / (50 * p), share[i])
      count[at] = (count[at] or 0) + 1
    end
    for at = 1, 50, 7 do
      local p = 0.999 * at * 2.5 ^ 0.5 / total + 0.001 / 50
      assert(math.abs((count[at] or 0) - 50000 * p) < 4 * math.sqrt(50000 * p), at)
    end
    assert(math.abs(seen.per_sample:mean():item() - 1) < 0.05)
  end)
end)

describe("a learned variance", function()
  local range_process = process_of("eps", linear, { variance = "learned_range" })
  local log_process = process_of("eps", linear, { variance = "learned" })

  it("runs from the posterior's to q's, of any pair of levels", function()
    local v = d.tensor { { -1, 1, 0, 3 } }
    for _, pair in ipairs { { 2, 1 }, { 500, 499 }, { 500, 400 }, { 1000, 10 } } do
      local t, s = table.unpack(pair)
      local small = math.log(linear:posterior_variance(t, s))
      local large = math.log(select(2, range_process:q_moments(0, t, s)))
      local got = range_process:learned_log_variance(v, t, s)[1]
      for i, want in ipairs { small, large, (small + large) / 2, 2 * large - small } do
        assert.near(want, got[i], 1e-12)
      end
      close(math.exp(small), range_process:step_variance(t, s, v)[1][1], 1e-11)
    end
    printed("-9.816725135", range_process:learned_log_variance(v, 1)[1][1])
    close(math.log(1e-4), range_process:learned_log_variance(v, 1)[1][2], 1e-9)
    assert.equal(0, range_process:step_variance(1, 0, v))
  end)

  it("ddpm adds its noise, of each element", function()
    local v = d.tensor { { -1, 1 } }
    local out = d.cat({ d.zeros(1, 2), v }, 2):expand(20000, 4):contiguous()
    local run = d.sampler.steps { model = function() return out end, process = range_process, init = d.zeros(20000, 2),
                                  sampler = "ddpm", grid = { 500, 400 }, seed = 1 }
    local spread = run().x:var(1, false, 0)
    local want = range_process:step_variance(500, 400, v)
    for i = 1, 2 do close(want[1][i], spread[i], 0.05) end
  end)

  -- The sum over t = 2..T of L_t for Gaussian data, with the best mean and this v of (t).
  local function bound(process, std, v_of)
    local x0, eps, t = four(std, range(2, 1000))
    local best = d.oracle.gaussian { std = std }:denoiser(process_of("eps", process.schedule))
    local v = d.tensor(v_of):unsqueeze(2)
    local o = d.objective { process = process, decoder = "gaussian", times = function() return t end }
    local _, seen = o(function(xt, at) return d.cat({ best(xt, at), v }, 2) end, x0, { eps = eps })
    return seen.vlb:mean():item() * 999
  end

  local function of_levels(f)
    local out = {}
    for t = 2, 1000 do for _ = 1, 4 do out[#out + 1] = f(t) end end
    return out
  end

  it("has the bounds of the given ones at its ends, and the best between", function()
    printed("4.368516351", bound(range_process, 0.5, of_levels(function() return -1 end)))
    printed("3.913260171", bound(range_process, 0.5, of_levels(function() return 1 end)))
    local function optimal(t)
      local c0, _, variance = log_process:posterior_coefficients(t)
      local a, s = linear:signal(t), linear:noise(t)
      return math.log(variance + c0 ^ 2 * 0.25 * s ^ 2 / (a ^ 2 * 0.25 + s ^ 2))
    end
    printed("3.912167938", bound(log_process, 0.5, of_levels(optimal)))
  end)

  it("has -ln p(x0 | x1) at t = 1: of the density, or of a picture's values", function()
    local x0, eps, t = d.tensor { { 0.2, -1, 1 } }, d.tensor { { 1, 0.3, -2 } }, d.tensor({ 1 }, { dtype = "i64" })
    local said, log_variance = d.tensor { { 0.5, -0.5, 0.25 } }, d.tensor { { -6, -7, -5 } }
    local function term(how, x, e)
      local o = d.objective { process = log_process, decoder = how, times = function() return t end }
      return select(2, o(function() return d.cat({ said, log_variance }, 2) end, x, { eps = e })).vlb:item()
    end
    local mean = (x0 * linear:signal(1) + (eps - said) * linear:noise(1)) / linear:signal(1) -- x0 of eps' = said
    local nats = (log_variance + (x0 - mean):square() / log_variance:exp() + math.log(2 * math.pi)) / 2
    close(nats:mean():item(), term("gaussian", x0, eps))
    close(-decoder.erf(x0, mean, log_variance):mean():item(), term("erf", x0, eps))
    assert.is_true(term("gaussian", x0 * 3, eps) < math.huge) -- no picture, and none asked for
  end)

  it("learns from the bound alone, and the mean from the weighted error alone", function()
    local x0, eps = d.tensor { { 0.5 }, { -0.25 }, { 0 } }, d.tensor { { 1 }, { 0.3 }, { -2 } }
    local t = d.tensor({ 1, 40, 999 }, { dtype = "i64" })
    local function gradients(vlb)
      local o = d.objective { process = range_process, times = function() return t end, vlb = vlb }
      return d.grad(function(out) return (o(function() return out end, x0, { eps = eps })) end,
        d.tensor { { 0.4, 0.1 }, { -0.1, -0.6 }, { 1.1, 0.9 } })
    end
    local without, with = gradients(0), gradients(0.5)
    for k = 1, 3 do
      close(without[k][1], with[k][1])
      assert.equal(0, without[k][2])
      assert.is_true(math.abs(with[k][2]) > 1e-9)
    end
    local ok, worst = d.gradcheck(function(v)
      local o = d.objective { process = range_process, times = function() return t end, vlb = 1 }
      local out = d.cat({ d.tensor { { 0.4 }, { -0.1 }, { 1.1 } }, v }, 2)
      return (o(function() return out end, x0, { eps = eps })) * 1e-3
    end, { d.tensor { { 0.1 }, { -0.6 }, { 0.9 } } })
    assert(ok, worst)
  end)

  it("is weighed by lambda T beside the error, lambda 0.001 unless given", function()
    local x0, eps = d.tensor { { 0.5 } }, d.tensor { { 1 } }
    local t = d.tensor({ 40 }, { dtype = "i64" })
    local function loss(vlb)
      local o = d.objective { process = range_process, times = function() return t end, vlb = vlb }
      local l, seen = o(function() return d.tensor { { 0.4, 0.1 } } end, x0, { eps = eps })
      return l:item(), seen.vlb:item()
    end
    local plain = loss(0)
    close(0.36, plain)
    local total, term = loss()
    close(plain + term, total) -- 0.001 * 1000
    close(plain + 20 * term, (loss(0.02)))
  end)
end)

describe("the decoder", function()
  local step = 2 / 255

  local function bits(x, mean, variance)
    local function one(v) return d.tensor { v } end
    return -decoder.erf(one(x), one(mean), one(math.log(variance))):item() / math.log(2)
  end

  it("is erf's, not tanh's, where the mean is off by grey levels", function()
    local variance = linear:posterior_variance(2)
    for k, want in ipairs { "1.305377656", "2.046153385", "4.276455301", "8.016482207", "13.29080903" } do
      printed(want, bits(step / 2, step / 2 + (k - 1) * step, variance))
      printed(want, bits(step / 2, step / 2 - (k - 1) * step, variance))
    end
  end)

  it("gives the 256 values all of the mass, and far tails as quadrature does", function()
    local x = (d.arange(0, 255) * step - 1)
    for _, case in ipairs { { 0.1, 0.01 }, { -0.99, 0.1 }, { 1.3, 0.3 }, { 0, 5 } } do
      local mean, log_variance = d.full({ 256 }, case[1]), d.full({ 256 }, 2 * math.log(case[2]))
      close(1, decoder.erf(x, mean, log_variance):exp():sum():item(), 1e-10)
    end
    -- e^-(m^2 - z^2)/2 over the bin around z, by Simpson, with m the middle: 30 to 34 widths out
    local std = 0.01
    for _, off in ipairs { 0.05, 0.12, 0.3 } do
      local m, h, sum, n = off / std, 1 / 255 / std, 0, 400
      for i = 0, n do
        local z = m - h + 2 * h * i / n
        sum = sum + (i == 0 and 1 or i == n and 1 or i % 2 == 1 and 4 or 2) * math.exp((m - h) ^ 2 / 2 - z ^ 2 / 2)
      end
      local ln = math.log(sum * 2 * h / n / 3 / math.sqrt(2 * math.pi)) - (m - h) ^ 2 / 2
      close(-ln / math.log(2), bits(step / 2, step / 2 + off, std ^ 2), 1e-8)
    end
  end)

  it("has gradients, also in the tails and at the edges", function()
    local x = d.tensor { -1, 1, step / 2, -step / 2, 0.5, 1, -1 }
    local mean = d.tensor { -1.01, 0.9, 0.004, 0.2, -0.8, -0.9, 1.5 }
    local ok, worst = d.gradcheck(function(m, v) return decoder.erf(x, m, v) * 1e-3 end,
      { mean, d.tensor { -9, -8, -9.8, -7, -5, -6, -4 } })
    assert(ok, worst)
    assert.is_true(decoder.erf(x, mean, d.full({ 7 }, -30)):isfinite():all())
  end)
end)

describe("a preconditioned network", function()
  it("gets the input and the noise of Karras et al. 2022, table 1", function()
    local sigmas = { 0.002, 0.5, 1, 80 }
    local process = process_of("x0", d.schedule.from_sigma(sigmas))
    local function told(kind, t)
      local seen
      local denoiser = d.precondition(function(x, noise)
        seen = { x:item(), noise }
        return x * 0 + 1
      end, process, { kind = kind })
      local D = denoiser(d.full({ 1, 1 }, process.schedule:signal(t)), t):item() -- x = 1
      return seen[1], seen[2], D
    end
    local edm = { { "1.999984", "-1.553652025", "0.9999840003", "0.001999984" },
                  { "1.414213562", "-0.1732867951", "0.5", "0.3535533906" },
                  { "0.894427191", "0", "0.2", "0.4472135955" },
                  { "0.01249975587", "1.095506659", "3.906097418e-05", "0.4999902347" } }
    for t, row in ipairs(edm) do
      local scale, noise, D = told("edm", t)
      printed(row[1], scale)
      assert.near(tonumber(row[2]), noise, 1e-9)
      assert.near(row[3] + row[4], D, 1e-9) -- c_skip x + c_out F
      local sigma = sigmas[t]
      scale, noise, D = told("vp", t)
      close((sigma ^ 2 + 1) ^ -0.5, scale)
      local u = noise / 999 -- ln(1 + sigma^2) = u^2 19.9/2 + u/10
      close(math.log(1 + sigma ^ 2), 19.9 / 2 * u ^ 2 + 0.1 * u, 1e-9)
      close(1 - sigma, D, 1e-10)
      scale, noise, D = told("ve", t)
      close(1, scale)
      assert.near(math.log(sigma / 2), noise, 1e-12)
      close(1 + sigma, D, 1e-10)
    end
    assert.near(999 * 0.2589602624, select(2, told("vp", 3)), 1e-6)
  end)

  it("of any kind is the same function of x_t/a and sigma on a schedule whose a isn't 1", function()
    local vp = d.schedule.cosine { T = 20 }
    for _, kind in ipairs { "edm", "vp", "ve", "iddpm" } do
      for _, t in ipairs { 1, 7, 19 } do
        local sigma, told = vp:sigma(t), {}
        local function D(schedule, level, a)
          local process = process_of("x0", schedule)
          return d.precondition(function(x, noise)
            told[#told + 1] = { x:item(), noise }
            return x * 0.3 + 0.1
          end, process, { kind = kind })(d.full({ 1, 1 }, 0.7 * a), level):item()
        end
        close(D(d.schedule.from_sigma { sigma }, 1, 1), D(vp, t, vp:signal(t)), 1e-10)
        close(told[1][1], told[2][1], 1e-10)
        assert.near(told[1][2], told[2][2], 1e-9)
      end
    end
    local small = d.schedule.from_sigma { 1e-10 } -- 999 t with sigma^2 = t/10
    d.precondition(function(x, noise)
      close(999 * 1e-19, noise, 1e-9)
      return x
    end, process_of("x0", small), { kind = "vp" })(d.ones(1, 1), 1)
  end)

  it("of iddpm is told the nearest level of the cosine schedule, from 0", function()
    local u = { 0.006425412771, 1.012389564, 641.6623451, 20291.16961 } -- u_999, u_500, u_1, u_0
    local process = process_of("eps", d.schedule.from_sigma(u))
    for t, j in ipairs { 999, 500, 1, 0 } do
      d.precondition(function(x, noise)
        assert.equal(999 - j, noise)
        return x
      end, process, { kind = "iddpm" })(d.ones(1, 1), t)
    end
  end)
end)

describe("a straight path", function()
  local flow = d.process { schedule = d.schedule.flow { T = 40 }, predict = "flow" }

  it("with sigma_min is the conditional flow of Lipman et al. 2023", function()
    local s = d.schedule.flow { T = 10, sigma_min = 0.1 }
    for t = 1, 10 do
      close(1 - t / 10, s:signal(t), 1e-15)
      close(1 - (1 - 0.1) * (1 - t / 10), s:noise(t), 1e-15)
    end
    close(1 - 0.9 * 0.65, s:noise(3.5), 1e-12)
  end)

  it("is learned by the plain error of eps - x0: conditional flow matching", function()
    local x0, said = d.randn({ 5, 3 }, { seed = 1 }), d.randn({ 5, 3 }, { seed = 2 })
    local o = d.objective { process = flow, weighting = "uniform" }
    local _, seen = o(function() return said end, x0)
    local want = (said - (seen.eps - x0)):square():mean(2)
    local u = seen.t:to "f64":unsqueeze(2) / 40
    for k = 1, 5 do close(want[k], seen.per_sample[k]) end
    assert.is_true((x0 * (1 - u) + seen.eps * u - seen.xt):abs():max():item() < 1e-14)
  end)

  -- One step of Euler's method from pure noise.
  local function one_step(model, z)
    return d.sample { model = model, process = flow, init = z, sampler = "flow_euler", grid = { 40 } }
  end

  it("after reflow of a Gaussian's exact flow is straight: one step does what many did", function()
    local oracle = d.oracle.gaussian { mean = { 1, -1 }, std = { 0.5, 2 } }
    local model = oracle:denoiser(flow)
    local made = d.reflow(model, flow, { shape = { 200, 2 }, seed = 4, sampler = { "rk45", atol = 1e-9, rtol = 1e-9 } })
    -- the exact coupling, but for what lies below the first level
    local exact = d.tensor { { 1, -1 } } + made.eps * d.tensor { { 0.5, 2 } }
    assert.is_true((made.x - exact):abs():max():item() < 0.02)
    -- before: all of the noise to the mean
    assert.is_true((one_step(model, made.eps) - d.tensor { { 1, -1 } }):abs():max():item() < 1e-9)
    -- for pairs x0 = m + S z each x_t has one z only: z = (x_t - a m)/(a S + s), eps -
    -- x0 = z - m - S z
    local function straight(xt, t)
      local a, s = flow.schedule:signal(t), flow.schedule:noise(t)
      if type(a) ~= "number" then a, s = a:unsqueeze(2), s:unsqueeze(2) end
      local m, S = d.tensor { { 1, -1 } }, d.tensor { { 0.5, 2 } }
      local z = (xt - m * a) / (S * a + s)
      return z - m - S * z
    end
    local loss = d.objective { process = flow, weighting = "uniform" }
    local paired = loss(straight, exact, { eps = made.eps }):item()
    assert.is_true(paired < 1e-20)
    assert.is_true(loss(model, exact):item() > 0.5) -- with new noise there is no such prediction
    assert.is_true((one_step(straight, made.eps) - exact):abs():max():item() < 1e-12)
  end)

  it("is nearer to straight after a linear network has learned from reflowed pairs", function()
    d.manual_seed(8)
    local made = d.reflow(d.oracle.gaussian { std = 0.5 }:denoiser(flow), flow, { shape = { 2000, 1 }, seed = 4 })
    local Linear = d.nn.module("linear", function(m)
      m.gain = d.nn.parameter(d.zeros(40, 1))
      function m:forward(xt, t) return xt * t:to("i64"):embedding(self.gain) end
    end)
    local net = d.nn.model(Linear())
    local opt = d.adamw(net, { lr = d.lr.warmup_cosine { peak = 0.1, warmup = 5, total = 150 } })
    local o = d.objective { process = flow, weighting = "uniform", times = "stratified" }
    for _, x0, _, eps in made:batches { size = 400, steps = 150, seed = 1 } do
      d.record(o, net, x0, { eps = eps }):backward()
      opt:step()
    end
    local gap = (one_step(net, made.eps) - made.x):square():mean():item()
    assert(gap < 1e-3, gap) -- 0.25 is the gap if one step of the first model ends at the mean
  end)
end)

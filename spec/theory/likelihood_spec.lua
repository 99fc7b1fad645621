-- Likelihoods in double against exact values. The bound of Gaussian data is compared term
-- by term, and so are the decoder's bits. Densities of the ODE at points are compared for
-- every distribution of the oracles.
local d = require "diffusion"
local given = require "diffusion.likelihood.given"

local function near(expected, got, relative, what)
  local fine = math.abs(got - expected) <= relative * math.abs(expected)
  assert(fine, ("%s: %.14g, not %.14g"):format(what or "value", got, expected))
end

local Restored = { __close = function(kept) given.normal = kept[1] end }

-- Runs fn with the noise of every draw replaced.
local function with_noise(noise, fn)
  local kept <close> = setmetatable({ given.normal }, Restored) -- luacheck: ignore 211
  given.normal = function(_, _, shape) return noise:reshape(shape) end
  return fn()
end

it("ln erfc is right to 1e-14", function() -- by mpmath to 40 digits
  for _, row in ipairs { { -3, 0.69313613525044681 }, { -0.1, 0.10657640058652249 }, { 1e-9, -1.1283791677321324e-9 },
    { 0.4, -0.55930245835993124 }, { 1, -1.8496055099332482 }, { 8.9, -81.974631909645498 },
    { 9.1, -85.596588737107974 }, { 30, -903.97411711064388 }, { 1e15, -1e30 } } do
    near(row[2], d.tensor { row[1] }:log_erfc():item(), 1e-14, "ln erfc " .. row[1])
  end
end)

-- ==== the bound ==============================================================================

local linear, cosine = d.schedule.linear { T = 1000 }, d.schedule.cosine { T = 1000 }

-- The posterior of N(0, std^2) data: gain of x_t in E[x0 | xt], and its variance.
local function best(schedule, std, t)
  local a, s = schedule:signal(t), schedule:noise(t)
  local v = a ^ 2 * std ^ 2 + s ^ 2
  return a * std ^ 2 / v, std ^ 2 * s ^ 2 / v
end

local function optimal(schedule, std)
  local posterior = d.process { schedule = schedule }
  return function(t, s)
    local c0, _, variance = posterior:posterior_coefficients(t, s)
    local _, left = best(schedule, std, t)
    return variance + c0 ^ 2 * left
  end
end

-- Two means and two noises with the second moments of x0 and eps. Terms are quadratic, so
-- their mean over these four equals the expectation.
local function expected_bound(schedule, std, variance, options)
  local process = d.process { schedule = schedule, predict = "x0", variance = variance }
  local x0 = d.tensor { { std }, { std }, { -std }, { -std } }
  return with_noise(d.tensor { 1, -1, 1, -1 }, function()
    options = options or {}
    options.decoder = options.decoder or "gaussian"
    return d.likelihood.vlb(d.oracle.gaussian { std = std }:denoiser(process), process, x0, options)
  end)
end

describe("the bound of Gaussian data and the best denoiser", function()
  -- name, std, L_T, and the sums over t = 2..T in nats: small, large, optimal
  for _, row in ipairs {
    { linear, 0.5, 5.045194416e-06, 4.368516351, 3.913260171, 3.912167938 },
    { linear, 1, 2.017955604e-05, 5.070042325, 4.605150006, 4.605150006 },
    { cosine, 0.5, nil, 4.756662476, 4.355041763, 4.35442979 },
    { cosine, 1, nil, 5.454156241, 5.047515047, 5.047515047 },
  } do
    local schedule, std, prior = row[1], row[2], row[3]
    it(("has the sums of closed forms: %s, std %g"):format(schedule.name, std), function()
      for k, variance in ipairs { "fixed_small", "fixed_large", optimal(schedule, std) } do
        local r = expected_bound(schedule, std, variance)
        near(row[3 + k], r.steps, 1e-9, "variance " .. k)
        if prior then near(prior, r.prior, 1e-9, "prior") end
      end
    end)
  end

  it("has each term of them", function()
    local r = expected_bound(linear, 0.5, "fixed_small", { t = { 500, 2, 1000 } })
    assert.same({ 2, 500, 1000 }, { r.terms[1].t, r.terms[2].t, r.terms[3].t })
    for _, term in ipairs(r.terms) do -- KL with one variance: c0^2 Var(x0 | xt) / 2 variance
      local c0, _, variance = d.process { schedule = linear }:posterior_coefficients(term.t)
      local _, left = best(linear, 0.5, term.t)
      near(c0 ^ 2 * left / (2 * variance), term.value, 1e-11, "t = " .. term.t)
    end
  end)

  it("lies above the entropy by what the reverse steps lack", function()
    local r, entropy = expected_bound(linear, 0.5, optimal(linear, 0.5)), d.oracle.gaussian { std = 0.5 }:entropy()
    assert.is_true(r.total > entropy and r.total < entropy + 2e-3, ("%g above"):format(r.total - entropy))
  end)

  it("is met by strata on the average", function()
    local process = d.process { schedule = linear, predict = "x0" }
    local oracle = d.oracle.gaussian { std = 0.5 }
    local x0 = oracle:sample(1000, { seed = 1 })
    for _, n in ipairs { 1, 7, 40 } do
      local r = d.likelihood.vlb(oracle:denoiser(process), process, x0, { t = n, decoder = "gaussian", seed = 2 })
      assert.equal(n, #r.terms)
      assert.is_true(math.abs(r.steps - 4.368516351) < 4 * r.errors.steps, n .. ": " .. tostring(r))
    end
  end)
end)

describe("the bound of a learned variance", function()
  local T = 40
  local schedule = d.schedule.linear { T = T, beta_end = 0.3, rescale = false }
  local x0 = d.randn({ 5, 3 }, { seed = 2 }) * 0.4

  -- A model that says x0' = 0.3 xt, and v.
  local function bound(variance, v, options)
    local process = d.process { schedule = schedule, predict = "x0", variance = variance }
    options.seed, options.decoder = 1, options.decoder or "gaussian"
    return d.likelihood.vlb(function(xt) return v and d.cat({ xt * 0.3, xt * 0 + v }, 2) or xt * 0.3 end, process, x0,
      options)
  end

  it("is that of fixed_small and of fixed_large at the ends of its range", function()
    for _, options in ipairs { {}, { t = 6 }, { t = { 1, 7, 40 } } } do
      for v, fixed in pairs { [-1] = "fixed_small", [1] = "fixed_large" } do
        local own, other = bound("learned_range", v, options), bound(fixed, nil, options)
        for k, term in ipairs(other.terms) do near(term.value, own.terms[k].value, 1e-11, fixed .. " " .. term.t) end
        if v == -1 then near(other.decoder, own.decoder, 1e-11, "decoder") end
      end
    end
  end)

  it("takes each number's own", function()
    local v = d.tensor { { -3, -2, -1 } }
    local sum = bound("learned", v, { t = { 9 } }).terms[1].value
    local process, expected = d.process { schedule = schedule, predict = "x0" }, 0
    local c0, _, small = process:posterior_coefficients(9)
    local gap = (x0 - process:q_sample(x0, 9, given.normal(1, 3, { 5, 3 })) * 0.3):square():mean(1)
    for j = 1, 3 do
      local one = -4 + j -- ln of its variance
      expected = expected + 0.5 * (one - math.log(small) + (small + c0 ^ 2 * gap[j]) * math.exp(-one) - 1)
    end
    near(expected, sum, 1e-11)
  end)

  it("has the decoder's bits of that variance", function()
    for _, kind in ipairs { "erf", "tanh", "gaussian" } do
      local function own() return 0.01 end
      local fixed = bound(own, nil, { t = { 1 }, decoder = kind }).decoder
      near(fixed, bound("learned", math.log(0.01), { t = { 1 }, decoder = kind }).decoder, 1e-11, kind)
    end
  end)

  it("is no matter of the flow's density", function()
    local options = { atol = 1e-6, rtol = 1e-6 }
    local function nats(variance, wide)
      local process = d.process { schedule = schedule, predict = "x0", variance = variance }
      return d.likelihood.ode(function(xt) return wide and d.cat({ xt * 0.3, xt * 7 }, 2) or xt * 0.3 end, process, x0,
        options).nats
    end
    assert.is_true(nats("learned", true):equal(nats("fixed_small", false)))
  end)
end)

describe("L_T", function()
  it("is the prior's divergence in bits", function()
    for _, row in ipairs { { linear, 2.911294542e-05 }, { cosine, 1.751984988e-09 },
      { d.schedule.scaled_linear { T = 1000, beta_start = 0.00085, beta_end = 0.012 }, 0.003369407505 } } do
      local process = d.process { schedule = row[1], predict = "x0" }
      local r = d.likelihood.vlb(function(x) return x end, process, d.tensor { { 1, -1, 1 } }, { t = { 1 } })
      near(row[2], r.prior, 1e-9, row[1].name)
    end
  end)

  it("is that of the schedule's own prior where x isn't held to variance 1", function()
    for _, schedule in ipairs { d.schedule.ve { T = 50 }, d.schedule.edm { T = 50 } } do
      local process, P, x0 = d.process { schedule = schedule, predict = "x0" }, schedule:prior_std(), { 0.5, -1, 2 }
      assert.is_true(P > 10)
      local options = { decoder = "gaussian", t = { 1 } }
      local r = d.likelihood.vlb(function(x) return x end, process, d.tensor { x0 }, options)
      local a, s, sum = schedule:signal(50), schedule:noise(50), 0
      for _, x in ipairs(x0) do sum = sum + 0.5 * ((a * x / P) ^ 2 + (s / P) ^ 2 - 1) - math.log(s / P) end
      near(sum, r.prior, 1e-9, schedule.name)
    end
  end)
end)

describe("the decoder", function()
  local process = d.process { schedule = linear, predict = "x0" }

  -- Bits of level k if the model predicts another level, `off` levels away.
  local function bits(kind, k, off, variance)
    local p = variance and d.process { schedule = linear, predict = "x0", variance = function() return variance end }
      or process
    local x0, believed = d.tensor { { 2 * k / 255 - 1 } }, d.tensor { { 2 * (k + off) / 255 - 1 } }
    return d.likelihood.vlb(function() return believed end, p, x0, { t = { 1 }, decoder = kind }).decoder
  end

  it("has the bits of levels, by erf and by tanh, on both sides", function()
    local erf = { 1.305377656, 2.046153385, 4.276455301, 8.016482207, 13.29080903 }
    local tanh = { 1.305665145, 2.046612846, 4.268229476, 8.071646603, 13.85053686 }
    for off = 0, 4 do
      for _, sign in ipairs { 1, -1 } do
        near(erf[off + 1], bits("erf", 128, sign * off), 1e-9, "erf " .. off)
        near(tanh[off + 1], bits("tanh", 128, sign * off), 1e-9, "tanh " .. off)
      end
    end
  end)

  it("has its tails: 20 levels off, and the first level's and the last's", function() -- by mpmath
    near(350.1260357276256, bits("erf", 128, 20, 0.007 ^ 2), 1e-12)
    near(350.1260357276256, bits("erf", 128, -20, 0.007 ^ 2), 1e-12)
    near(70652.75067528749, bits("erf", 0, 200, 0.005 ^ 2), 1e-12)
    near(70652.75067528749, bits("erf", 255, -200, 0.005 ^ 2), 1e-12)
    near(math.log(1e12, 2), bits("tanh", 128, 20), 1e-12) -- its floor
    assert.near(0, bits("tanh", 255, 20, 0.01 ^ 2), 1e-6) -- all beyond the last level is its own
    assert.near(0, bits("tanh", 0, -20, 0.01 ^ 2), 1e-6)
  end)

  it("is a distribution over levels", function()
    for _, std in ipairs { 0.002, 0.05, 3 } do
      local sum = 0
      for k = 0, 255 do sum = sum + 2 ^ -bits("erf", k, 100.3 - k, std ^ 2) end
      near(1, sum, 1e-12, "std " .. std)
    end
  end)
end)

-- ==== the flow ===============================================================================

local flow = d.process { schedule = d.schedule.flow(), predict = "x0" } -- ends without signal

local function ode(oracle, x, options, process)
  process = process or flow
  return d.likelihood.ode(oracle:denoiser(process), process, x, options)
end

local fine = { atol = 1e-8, rtol = 1e-8, from = 10 }

local toys = {
  gaussian = d.oracle.gaussian { mean = { 1, -1 }, cov = { { 1, 0.3 }, { 0.3, 0.5 } } },
  line = d.oracle.mixture { means = { { -1 }, { 1 } }, std = 0.3 },
  cube = d.oracle.mixture { means = { { -1, 0, 0.5 }, { 1, 0.3, 0 } }, std = 0.5 },
  eight_gaussians = d.oracle.eight_gaussians(),
  checkerboard = d.oracle.checkerboard { noise = 0.1 },
  swiss_roll = d.oracle.swiss_roll(), moons = d.oracle.moons(), spiral = d.oracle.spiral(),
}

describe("the flow's density is the noised distribution's at every point", function()
  for name, oracle in pairs(toys) do
    it("of " .. name, function()
      local x = oracle:sample(3, { seed = 1 })
      local got, sigma = ode(oracle, x, fine), flow.schedule:sigma(fine.from)
      local truth = -oracle:log_prob(x, { s = sigma })
      assert.is_true((got.nats - truth):abs():max():item() < 1e-6, name)
      -- and so is the level's own, scaled
      local a = flow.schedule:signal(fine.from)
      local scaled = oracle:log_prob(x * a, flow, fine.from) + oracle.D * math.log(a)
      assert.is_true((got.nats + scaled):abs():max():item() < 1e-6, name)
    end)
  end
end)

describe("the flow of a Gaussian", function()
  it("is what its linear ODE says, on every schedule and for every target", function()
    -- x_T = x_1 sqrt(v_T/v_1), met by the prior N(0, P^2)
    local oracle, x = d.oracle.gaussian { std = 0.5 }, d.tensor { { 0.7 }, { -0.1 } }
    local s = d.schedule
    for _, schedule in ipairs { s.linear(), s.cosine(), s.ve(), s.edm(), s.sub_vp(), s.vp(), s.flow() } do
      local v = {}
      local function variance(t) return (schedule:signal(t) * 0.5) ^ 2 + schedule:noise(t) ^ 2 end
      local from, to, P = variance(1), variance(schedule.T), schedule:prior_std()
      for b = 1, 2 do
        local xT = schedule:signal(1) * x[b]:item() * math.sqrt(to / from)
        v[b] = xT ^ 2 / (2 * P ^ 2) + math.log(P) + 0.5 * math.log(2 * math.pi) - 0.5 * math.log(to / from)
          - math.log(schedule:signal(1))
      end
      for _, predict in ipairs { "x0", "v", "eps", "flow", "edm" } do
        if predict ~= "eps" or schedule:snr(schedule.T) > 0 then
          local process = d.process { schedule = schedule, predict = predict }
          local got = ode(oracle, x, { atol = 1e-9, rtol = 1e-9, to = schedule.T }, process).nats
          for b = 1, 2 do near(v[b], got[b], 1e-7, schedule.name .. " " .. predict) end
        end
      end
    end
  end)

  it("is Hutchinson's estimate on the average, which two directions make exact in a plane", function()
    local oracle = toys.gaussian
    local x, seen, count = oracle:sample(1, { seed = 3 }), {}, 0
    local exact = ode(oracle, x, fine).mean
    for seed = 1, 12 do
      local nats = ode(oracle, x, { divergence = "hutchinson", seed = seed, atol = 1e-8, rtol = 1e-8, from = 10 }).mean
      seen[("%.6f"):format(nats)] = nats
    end
    local sum = 0
    for _, nats in pairs(seen) do sum, count = sum + nats, count + 1 end
    assert.equal(2, count) -- v and -v are one
    near(exact, sum / 2, 1e-6)
    local many = ode(oracle, x, { divergence = "hutchinson", seed = 1, probes = 64 }).mean
    local spread = 0
    for _, nats in pairs(seen) do spread = math.max(spread, math.abs(nats - exact)) end
    assert.is_true(spread > 1e-3 and math.abs(many - exact) < 0.5 * spread)
  end)
end)

describe("the mean over samples is the entropy", function()
  local sets = {
    ["8 gaussians, R = 2"] = { d.oracle.eight_gaussians { radius = 2, std = 0.1 }, 0.3121484221 },
    ["8 gaussians, R = 1"] = { d.oracle.eight_gaussians { radius = 1, std = 0.1 }, 0.311766842 },
    ["8 gaussians of FFJORD"] = { d.oracle.eight_gaussians { radius = 4 / 1.414, std = 0.5 / 1.414 }, 2.831880406 },
    ["checkerboard of FFJORD"] = { d.oracle.checkerboard { size = 8 }, math.log(32) },
    ["checkerboard, size 4/0.45"] = { d.oracle.checkerboard { size = 4 / 0.45 }, 3.676456934 },
    ["eight_gaussians"] = { toys.eight_gaussians }, ["moons"] = { toys.moons }, ["swiss_roll"] = { toys.swiss_roll },
    ["spiral"] = { toys.spiral }, ["checkerboard with noise"] = { toys.checkerboard },
  }
  for name, set in pairs(sets) do
    it("of " .. name, function()
      local oracle, entropy = set[1], set[2] or set[1]:entropy()
      local r = ode(oracle, oracle:sample(32, { seed = 4 }), { atol = 1e-3, rtol = 1e-2, from = 10 })
      assert.is_true(math.abs(r.mean - entropy) < 4 * r.error, ("%g, %s"):format(entropy, r))
      assert.is_true(r.error < 0.3)
    end)
  end
end)

-- Schedules against values computed in 50-digit arithmetic, their columns against the
-- definitions, real levels, inverses, and what an impossible schedule says.
local d = require "diffusion"
local S = d.schedule

local function close(expected, actual, what, digits)
  local off = math.abs(actual - expected) / math.abs(expected)
  if expected == actual or off < (digits or 5e-10) then return end
  error(("%s: expected %.10g, got %.10g"):format(what, expected, actual), 2)
end

local function message(f, ...)
  local ok, text = pcall(f, ...)
  assert.is_false(ok)
  return text
end

-- beta_1, beta_{T/2}, beta_T, alpha_bar_1, alpha_bar_{T/2}, alpha_bar_T, sigma_1, sigma_T;
-- ten digits each
local inf = math.huge
local known = {
  { S.linear(), 1e-4, 0.01004004004, 0.02, 0.9999, 0.07858724288, 4.035829765e-05, 0.01000050004,
    157.4072808 },
  { S.linear{ T = 100 }, 1e-3, 0.09949494949, 0.2, 0.999, 0.07419699672, 2.039008976e-05, 0.03163859986,
    221.4552618 },
  { S.linear{ T = 200 }, 5e-4, 0.05, 0.1, 0.9995, 0.07665890494, 3.031837167e-05, 0.02236627204,
    181.6103018 },
  { S.linear{ T = 4000 }, 2.5e-5, 0.002511877969, 0.005, 0.999975, 0.07894487332, 4.246652276e-05,
    0.005000062501, 153.4501889 },
  { S.linear{ T = 100, rescale = false }, 1e-4, 0.009949494949, 0.02, 0.9999, 0.7771800827, 0.3635632481,
    0.01000050004, 1.323084671 },
  { S.scaled_linear(), 8.5e-4, 0.004803792981, 0.012, 0.99915, 0.2776696505, 0.004660098513, 0.02916715815,
    14.61464123 },
  { S.scaled_linear():rescale_zero_terminal_snr(), 8.5e-4, 0.005515778735, 1, 0.99915, 0.2423591666, 0,
    0.02916715815, inf },
  { S.cosine(), 4.128422482e-05, 0.00314588623, 0.999, 0.9999587158, 0.4938435904, 2.428766907e-09,
    0.006425412771, 20291.16961 },
  { S.cosine{ T = 100 }, 6.312815983e-04, 0.03059312428, 0.999, 0.9993687184, 0.4938435904, 2.428572279e-07,
    0.02513325221, 2029.198023 },
  { S.sigmoid(), 3.002791997e-04, 0.003303415514, 0.999, 0.9996997208, 0.5, 3.002791997e-07, 0.01733116829,
    1824.892599 },
  { S.sigmoid_beta(), 1.492052008e-04, 0.01002012021, 0.0199507948, 0.9998507948, 0.3019310566,
    3.968181991e-05, 0.01221586945, 158.7433687 },
}

describe("named schedules", function()
  it("have the values of 50-digit arithmetic to ten digits", function()
    for _, row in ipairs(known) do
      local s = row[1]
      local T, h = s.T, s.T // 2
      local got = {
        s:beta(1), s:beta(h), s:beta(T), s:alpha_bar(1), s:alpha_bar(h), s:alpha_bar(T),
        s:sigma(1), s:sigma(T),
      }
      for i, value in ipairs(got) do close(row[i + 1], value, s.name .. " value " .. i) end
    end
  end)

  it("agree at further places", function()
    local s, c = S.linear(), S.cosine()
    close(1.199199199e-4, s:beta(2), "beta_2")
    close(0.9997800921, s:alpha_bar(2), "alpha_bar_2")
    close(4.118193638e-05, s:alpha_bar(999), "alpha_bar_999")
    close(9999, s:snr(1), "SNR_1")
    close(4.035992651e-05, s:snr(1000), "SNR_T")
    close(-10.11767318, s:log_snr(1000), "ln SNR_T")
    close(0.006352818088, s:signal(1000), "a_T")
    close(4.614175274e-05, c:beta(2), "cosine beta_2")
    close(0.7499993929, c:beta(999), "cosine beta_999")
    close(2.428766907e-06, c:alpha_bar(999), "cosine alpha_bar_999")
    close(-19.83588215, c:log_snr(1000), "cosine ln SNR_T")
    close(-5.3640477, S.scaled_linear():log_snr(1000), "SD ln SNR_T", 1e-8)
    local function above(schedule, snr)
      local n = 0
      for t = 1, schedule.T do if schedule:snr(t) > snr then n = n + 1 end end
      return n
    end
    assert.same({ 130, 259, 261, 496, 147 },
      { above(s, 5), above(s, 1), above(c, 5), above(c, 1), above(S.scaled_linear(), 5) })
  end)

  it("have the known posterior variances and prior KL", function()
    local s, c = S.linear(), S.cosine()
    assert.equal(0, s:posterior_variance(1))
    close(5.453187661e-05, s:posterior_variance(2), "2")
    close(0.01003135541, s:posterior_variance(500), "500")
    close(0.01999998353, s:posterior_variance(1000), "1000")
    close(2.178949615e-05, c:posterior_variance(2), "cosine 2")
    close(0.9989975761, c:posterior_variance(1000), "cosine 1000")
    close(2.911294542e-05, s:prior_kl(), "KL linear")
    close(0.003369407505, S.scaled_linear():prior_kl(), "KL SD")
    close(1.751984988e-09, c:prior_kl(), "KL cosine")
    close(s:prior_kl(0) + s:alpha_bar(1000) * 9 / 2 / math.log(2), s:prior_kl(3), "KL at |x| = 3")
  end)

  it("satisfy the definitions at every step", function()
    for _, row in ipairs(known) do
      local s, ab = row[1], 1
      for t = 1, s.T do
        ab = ab * (1 - s:beta(t))
        close(ab == 0 and s:alpha_bar(t) or ab, s:alpha_bar(t), "product", 1e-11)
        close(1, s:signal(t) ^ 2 + s:noise(t) ^ 2, "circle", 1e-13)
        close(1 - s:beta(t) + 1, s:alpha(t) + 1, "alpha", 1e-13)
        assert.is_true(s:log_snr(t) < s:log_snr(t - 1))
      end
    end
  end)

  it("take a list or a tensor of times", function()
    local s = S.linear()
    local y = s:alpha_bar{ 1, 500, 1000 }
    assert.allclose({ s:alpha_bar(1), s:alpha_bar(500), s:alpha_bar(1000) }, y, { rtol = 1e-6 })
    assert.allclose(y, s:alpha_bar(d.tensor({ 1, 500, 1000 }, { dtype = "i64" })), { rtol = 0, atol = 0 })
    assert.same({ 1 }, s:snr{ 3 }:shape())
    assert.equal(1, s:alpha_bar(0))
    assert.equal(0, s:sigma(0))
    assert.equal(math.huge, s:snr(0))
  end)

  it("answer in the shape of the tensor that they are given", function()
    local s = d.schedule.cosine { T = 50 }
    local p = d.process { schedule = s, variance = "learned_range" }
    local function shape(want, x) assert.same(want, x:shape()) end
    for _, size in ipairs { { 2, 1 }, { 2 }, { 1, 2, 1 }, {}, { 1 }, { 2, 3 } } do
      local t = d.full(size, 20)
      for _, name in ipairs { "signal", "noise", "sigma", "snr", "log_snr", "alpha_bar", "alpha", "beta",
        "posterior_variance" } do
        local got = s[name](s, t)
        shape(size, got)
        assert.equal(d.full({ 1 }, s[name](s, 20))[1], got:flatten()[1])
      end
      shape(size, s:beta(t, 5))
      shape(size, s:beta(30, t))
      shape(size, s:level_of_sigma(d.full(size, 1)))
      shape(size, p:posterior_log_variance(t))
      for _, c in ipairs { p:posterior_coefficients(t) } do shape(size, c) end
      local mean, variance = p:q_moments(0, t)
      shape(size, mean)
      shape(size, variance)
    end
    shape({ 2 }, s:alpha_bar { 10, 20 })
    shape({ 1, 3 }, s:beta(d.tensor { 40 }, d.tensor { { 1, 2, 3 } }))
    shape({ 2, 1 }, s:alpha_bar(d.tensor({ { 10 }, { 20 } }, { dtype = "i64" })))
    local x, t = d.randn({ 2, 4, 3 }, { seed = 1 }), d.tensor { { 10 }, { 20 } }
    local mean, variance = p:posterior(x, x, t)
    shape({ 2, 4, 3 }, mean)
    shape({ 2, 1 }, variance)
    for _, dtype in ipairs { "f32", "f64", "i64" } do
      assert.is_true(p:learned_log_variance(x, t:to(dtype)):equal(p:learned_log_variance(x, { 10, 20 })))
    end
    assert.is_true(p:q_sample(x, t, x):equal(p:q_sample(x, { 10, 20 }, x)))
  end)

  it("refuse times that are none, by argument and range", function()
    local s = S.linear()
    local function says(pattern, f) assert.matches(pattern, message(f)) end
    says("bad argument #1 to 'beta' %(t must be in 1..1000, got 0%)", function() return s:beta(0) end)
    says("bad argument #1 to 'snr' %(t must be in 0..1000, got 1001%)", function() return s:snr(1001) end)
    says("t must be in 0..1000, got %-1", function() return s:snr{ 5, -1 } end)
    says("t must be in 0..1000, got %-?nan", function() return s:snr(0 / 0) end)
    says("t = 0.5 lies between level 0", function() return s:snr(0.5) end)
    says("s must be in 0..t and below t = 5 %(later time first%), got 5",
      function() return s:posterior_variance(5, 5) end)
    says("schedule_spec.lua:", function() return s:snr(1001) end)
    says("expected, got nil", function() return s:snr() end)
  end)

  it("plot themselves, or say which quantities there are", function()
    assert.matches("unknown value 'betas'; did you mean 'beta'",
      message(function() return S.linear():plot{ what = "betas" } end))
  end)

  it("print their ends, prior KL and a sparkline", function()
    assert.matches("^schedule linear: T = 1000, alpha_bar 0.9999 .. 4.036e%-05, sigma 0.01 .. 157.4, "
      .. "prior KL 2.91e%-05 bits/dim  █", tostring(S.linear()))
    assert.matches("x_T keeps signal %(SNR 0.00468%)", tostring(S.scaled_linear()))
    assert.not_matches("keeps signal", tostring(S.linear()))
  end)
end)

describe("schedules from lists and functions", function()
  it("give back what they were made of", function()
    local s = S.cosine{ T = 50 }
    local beta, ab, log_snr, sigma = {}, {}, {}, {}
    for t = 1, 50 do
      beta[t], ab[t], log_snr[t], sigma[t] = s:beta(t), s:alpha_bar(t), s:log_snr(t), s:sigma(t)
    end
    local again = {
      S.from_beta(beta), S.from_alpha_bar(ab), S.from_log_snr(log_snr), S.from_sigma(sigma, { form = "vp" }),
    }
    for _, other in ipairs(again) do
      for t = 1, 50 do close(beta[t], other:beta(t), other.name, 1e-12) end
    end
    assert.same({ "beta", "alpha_bar", "log_snr", "sigma" },
      { again[1].name, again[2].name, again[3].name, again[4].name })
  end)

  it("take functions of u, t and T", function()
    local seen
    local s = S.from_beta(function(u, t, T)
      seen = { u, t, T }
      return 1e-4 + 0.02 * u * u
    end, { T = 10, name = "mine" })
    assert.same({ 1.0, 10, 10 }, seen)
    assert.equal("mine", s.name)
    close(1e-4 + 0.02 * 0.25, s:beta(5), "beta")
    local cubic = S.from_alpha_bar(function(u) return (1 - u) ^ 3 end, { T = 1000, max_beta = 0.999 })
    close(0.125, cubic:alpha_bar(500), "alpha_bar", 1e-14)
    close(0.999, cubic:beta(1000), "max_beta", 1e-13)
    close(1e-9 * 1e-3, cubic:alpha_bar(1000), "accumulated anew", 1e-10)
  end)

  it("know variance exploding processes", function()
    local s = S.from_sigma(function(u) return 0.01 * 5000 ^ u end, { T = 100, name = "ve" })
    assert.equal(1, s:signal(70))
    close(50, s:noise(100), "sigma_T", 1e-14)
    close(50, s:prior_std(), "prior", 1e-14)
    assert.equal(1, S.linear():prior_std())
    close(s:sigma(7) ^ 2 * (1 - (s:sigma(7) / s:sigma(8)) ^ 2), s:posterior_variance(8), "posterior", 1e-13)
    assert.matches("beta: this schedule has no beta, since a%^2 %+ s%^2 is not 1",
      message(function() return s:beta(3) end))
  end)

  it("have real levels: their own function's, else lambda linear between integers", function()
    local s = S.linear()
    close((s:log_snr(10) + s:log_snr(11)) / 2, s:log_snr(10.5), "lambda", 1e-13)
    close(1, s:signal(10.5) ^ 2 + s:noise(10.5) ^ 2, "circle", 1e-14)
    local f = S.from_log_snr(function(u) return 10 - 20 * u ^ 2 end, { T = 10 })
    close(10 - 20 * 0.0025, f:log_snr(0.5), "own function below 1", 1e-14)
    close(10 - 20 * 0.455 ^ 2, f:log_snr(4.55), "own function", 1e-13)
    local ve = S.from_sigma({ 1, 2, 4 })
    close(2 ^ 0.5, ve:sigma(1.5), "geometric", 1e-14)
    assert.equal(1, ve:signal(1.5))
  end)

  it("find the level of a sigma", function()
    local own = S.from_sigma(function(u) return 0.01 * 5000 ^ (u * u) end, { T = 20 })
    for _, s in ipairs{ S.linear(), S.cosine(), own } do
      for _, t in ipairs{ 1, 1.25, 7.5, 19, s.T - 0.5, s.T } do
        close(t, s:level_of_sigma(s:sigma(t)), s.name, 1e-9)
      end
      assert.equal(0, s:level_of_sigma(0))
      assert.matches("sigma must be 0 or in %[", message(function() return s:level_of_sigma(1e9) end))
    end
    local s = S.linear()
    assert.allclose({ 3, 4 }, s:level_of_sigma{ s:sigma(3), s:sigma(4) }, { rtol = 1e-5 })
  end)

  it("survive a config", function()
    local function f(u) return 1 - u / 2 end
    for _, s in ipairs{ S.linear{ T = 30, beta_end = 0.01 }, S.sigmoid(), S.from_alpha_bar(f, { T = 9 }),
      S.scaled_linear():rescale_zero_terminal_snr(), S.from_sigma{ 1, 2 } } do
      local again = assert(S.from_config(s:config()))
      assert.equal(s.name, again.name)
      for t = 1, s.T do
        assert.equal(s:signal(t), again:signal(t))
        assert.equal(s:noise(t), again:noise(t))
      end
    end
    local s, text = S.from_config{ name = "linaer" }
    assert.is_nil(s)
    assert.matches("did you mean 'linear'", text)
  end)
end)

describe("impossible schedules", function()
  local function says(pattern, f, ...)
    local text = message(f, ...)
    assert.matches(pattern, text)
  end

  it("show the step and its numbers", function()
    says("schedule.linear: beta must be in %(0, 1%), or 1 at t = T = 10, but beta%[6%] = 1.1155"
      .. ".*multiplied by 1000/T = 100: take T > 20, smaller betas, or rescale = false",
      S.linear, { T = 10, beta_end = 0.02 })
    says("schedule.constant: .*beta%[1%] = 2 .*take T > 20", S.constant, { T = 10 })
    says("take T > 500", S.warmup, { T = 10, beta_start = 0.5, beta_end = 0.5 })
    says("beta_start = 0.02 is above beta_end = 0.0001; noise grows with t, so swap them", S.linear,
      { beta_start = 0.02, beta_end = 1e-4 })
    says("beta_min = 20 is above beta_max = 0.1", S.vp, { beta_min = 20, beta_max = 0.1 })
    says("log_snr must fall .*; log_snr_min must be below log_snr_max, and shift_low not far above shift_high",
      S.cosine_log_snr, { shift_low = 60 })
    says("sigma_min = 5 is above sigma_max = 2", S.ve, { sigma_min = 5, sigma_max = 2 })
    says("sigma must rise .*; sigma_min must be below sigma_max", S.ve, { sigma_min = 5, sigma_max = 5 })
    says("option 'fraction': number in %(0, 1%] expected, got 0", S.warmup, { fraction = 0 })
    says("unknown option 'beta_min'", S.laplace, { beta_min = 1 })
    says("this schedule has no alpha_bar", function() return S.sub_vp():alpha_bar(3) end)
    says("beta%[3%] = 0$", S.from_beta, { 0.1, 0.2, 0, 0.3 })
    says("beta%[2%] = %-?nan$", S.from_beta, { 0.1, 0 / 0 })
    says("beta%[2%] = 1; max_beta = 0.999 cuts such betas$", S.from_beta, { 0.1, 1, 0.5 })
    says("alpha_bar must fall with t, but alpha_bar%[3%] = 0.5 comes after alpha_bar%[2%] = 0.5; "
      .. "reverse a list that runs from noise to data",
      S.from_alpha_bar, { 0.9, 0.5, 0.5 })
    says("alpha_bar must be in %(0, 1%), or 0 at t = T = 2, but alpha_bar%[1%] = 1; "
      .. "a list starts at t = 1, without level 0$",
      S.from_alpha_bar, { 1, 0.5 })
    says("log_snr must fall", S.from_log_snr, { 1, 2 })
    says("log_snr%[1%] = inf; a list starts at t = 1", S.from_log_snr, { inf, 2 })
    says("sigma must rise with t, but sigma%[2%] = 1 comes after sigma%[1%] = 2", S.from_sigma, { 2, 1 })
    says("sigma%[2%] = inf", S.from_sigma, { 1, inf })
    says("the noise must grow at every step, but log_snr%[2%]", S.from_beta, { 0.999, 1e-300 })
  end)

  it("are allowed to end in pure noise", function()
    local s = S.from_beta{ 0.5, 1 }
    assert.equal(0, s:alpha_bar(2))
    assert.equal(1, s:beta(2))
    assert.equal(0, s:posterior_variance(1))
    close(s:noise(1) ^ 2, s:posterior_variance(2), "x_t says nothing", 1e-15)
    assert.matches("t = 1.5 lies between 1 and 2, which has no signal",
      message(function() return s:snr(1.5) end))
  end)

  it("of a function, that rises", function()
    says("alpha_bar must fall with t, but alpha_bar%[2%] = 0.2 comes after alpha_bar%[1%] = 0.1; reverse a list",
      S.from_alpha_bar, function(u) return u end, { T = 10 })
  end)

  it("are told of wrong options", function()
    says("option 'T' is missing", S.from_beta, function() return 0.1 end)
    says("unknown option 'beta_strat'; did you mean 'beta_start'", S.linear, { beta_strat = 1 })
    says("T = 3, but the list has 2 numbers", S.from_beta, { 0.1, 0.2 }, { T = 3 })
    says("must return a number, got nil at t = 1", S.from_beta, function() end, { T = 3 })
    says("a list of numbers expected, but number 2 is a string", S.from_beta, { 0.1, "0.2" })
    says("a list or a function of %(u, t, T%) expected, got integer", S.from_beta, 3)
  end)
end)

describe("what a schedule is told", function()
  local function says(sentence, ...) assert.matches(sentence, message(...)) end

  it("is judged before any limit, and shown as it was", function()
    says("but beta%[2%] = 2.5", S.from_beta, { 0.1, 2.5 })
    says("but beta%[2%] = nan", S.from_beta, { 0.1, 0 / 0 })
    says("but beta%[2%] = 1.5 ", S.linear, { T = 2, beta_end = 0.003 })
    assert.equal(0, S.linear { T = 20 }:alpha_bar(20))
    close(0.9, S.from_beta({ 0.1, 2.5 }, { max_beta = 0.9 }):beta(2), "a deliberate cut", 1e-13)
  end)

  it("as a level is a number, not a string, and no nan", function()
    local s = S.linear { T = 100 }
    says("number expected, got string", s.snr, s, "5")
    says("number expected, got string", s.beta, s, 5, "4")
    says("t must be in 0..100, got nan", s.snr, s, 0 / 0)
  end)
end)

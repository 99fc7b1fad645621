-- Schedules against 50-digit arithmetic and their closed forms, to 1e-10: those that papers
-- define by a formula which nothing rounds.
local d = require "diffusion"
local S = d.schedule
local inf = math.huge

local function close(want, got, what, digits)
  if want == got or math.abs(got - want) <= (digits or 1e-10) * math.abs(want) then return end
  error(("%s: expected %.15g, got %.15g"):format(what, want, got), 2)
end

local shift = 2 * math.log(64 / 256)

-- beta_1, beta_{T/2}, beta_T, alpha_bar_1, alpha_bar_{T/2}, alpha_bar_T, sigma_1, sigma_T
local known = {
  { S.exponential(), 0.01192828713807, 0.01192828713807, 0.01192828713807, 0.9880717128619, 0.002478752176666,
    6.144212353328e-6, 0.1098739681002, 403.4275541147 },
  { S.laplace(), 0.04280697349699, 0.0005002502503129, 1, 0.957193026503, 0.5, 0, 0.2114742526881, inf },
  { S.laplace { T = 100, mu = 1, b = 0.8 }, 0.0158342594781, 0.004311738483578, 1, 0.9841657405219, 0.73105857863, 0,
    0.126842489531, inf },
  { S.jsd(), 0.001, 0.001996007984032, 1, 0.999, 0.5, 0, 0.03163859985842, inf },
  { S.constant(), 0.02, 0.02, 0.02, 0.98, 4.102398514547e-5, 1.682967357216e-9, 0.1428571428571, 24375.98384488 },
  { S.warmup(), 1e-4, 0.02, 0.02, 0.9999, 0.0001124631521124, 4.613686681671e-9, 0.0100005000375, 14722.30972219 },
  { S.warmup { fraction = 0.5 }, 1e-4, 0.02, 0.02, 0.9999, 0.006352710797015, 2.606135133702e-7, 0.0100005000375,
    1958.851339346 },
  { S.cosine_log_snr(), 4.506164690106e-6, 0.003129550326977, 0.932114725501, 0.9999954938353, 0.5,
    3.059022269256e-7, 0.002122777660453, 1808.042414456 },
  { S.cosine_log_snr { shift = shift }, 7.209376204623e-5, 0.005890918262545, 0.932114992816, 0.999927906238,
    0.05882352941176, 1.911889466583e-8, 0.008491110641812, 7232.169657824 },
  { S.cosine_log_snr { shift_low = 2 * math.log(32 / 256), shift_high = shift }, 7.21937673091e-5, 0.007404376832594,
    0.9322090495583, 0.9999278062327, 0.03030303030303, 4.779723734995e-9, 0.008496998271474, 14464.33931565 },
  -- "quad" of Ho et al.'s code is scaled_linear
  { S.scaled_linear { beta_start = 1e-4, beta_end = 0.02 }, 1e-4, 0.005722151147769, 0.02, 0.9999, 0.3331877673563,
    0.0007334124595808, 0.0100005000375, 36.91191195165 },
}

describe("schedules by formula", function()
  it("have the values of 50-digit arithmetic", function()
    for i, row in ipairs(known) do
      local s = row[1]
      local T, h = s.T, s.T // 2
      local got = { s:beta(1), s:beta(h), s:beta(T), s:alpha_bar(1), s:alpha_bar(h), s:alpha_bar(T), s:sigma(1),
                    s:sigma(T) }
      for k, value in ipairs(got) do close(row[k + 1], value, ("row %d, %s, value %d"):format(i, s.name, k)) end
    end
  end)

  it("follow their closed forms at every step", function()
    local jsd, constant, exponential = S.jsd(), S.constant { T = 50 }, S.exponential { T = 50, rate = 3 }
    for t = 1, 1000 do
      close(1 / (1000 - t + 1), jsd:beta(t), "jsd")
      if t < 1000 then close((1000 - t) / t, jsd:snr(t), "jsd") end
    end
    local warm = S.warmup { T = 50, fraction = 0.3, beta_start = 1e-4, beta_end = 1e-3 }
    for t = 1, 50 do
      close(0.4, constant:beta(t), "constant, rescaled")
      close(-3 * t / 50, math.log(exponential:alpha_bar(t)), "exponential")
      close(t > 15 and 0.02 or 0.002 + (t - 1) / 14 * 0.018, warm:beta(t), "warmup, rescaled")
    end
  end)

  it("the SDEs', at integers and between: vp on the circle, sub_vp within it", function()
    local vp, sub = S.vp(), S.sub_vp()
    for _, t in ipairs { 0.25, 1, 1.5, 10, 258.9602624, 500, 999.75, 1000 } do
      local u = t / 1000
      local integral = 19.9 / 2 * u * u + 0.1 * u -- the integral of beta over [0, u]
      local gone = 0 -- 1 - e^-integral by its series, where it would cancel
      local term = integral
      for k = 2, 60 do gone, term = gone + term, -term * integral / k end
      close(math.exp(-integral / 2), vp:signal(t), "signal")
      close(math.exp(-integral / 2), sub:signal(t), "signal")
      if integral < 5 then
        close(math.sqrt(gone), vp:noise(t), "vp")
        close(gone, sub:noise(t), "sub_vp")
      end
    end
    close(0.00010994395572030, sub:noise(1), "sub_vp 1")
    close(152.1636845262, sub:sigma(1000), "sub_vp T")
    close(3.275221396613, sub:sigma(500), "sub_vp T/2")
    close(1, vp:sigma(258.9602624), "t(sigma = 1)", 1e-8)
    close(0.01048599279, vp:sigma(1), "sigma(1e-3)", 5e-10)
  end)

  it("sub_vp has the variance of its SDE, g^2 = beta (1 - e^(-2 integral)), by quadrature", function()
    local s = S.sub_vp { T = 10 }
    local function beta(u) return 0.1 + 19.9 * u end
    local function integral(u) return 0.1 * u + 19.9 / 2 * u * u end
    local n, sum = 2000, 0
    for i = 0, n do -- Simpson; e^(integral(v) - integral(1)) carries what enters at v to 1
      local v = i / n
      local f = beta(v) * (1 - math.exp(-2 * integral(v))) * math.exp(integral(v) - integral(1))
      sum = sum + f * (i % n == 0 and 1 or i % 2 == 1 and 4 or 2)
    end
    close(math.sqrt(sum / (3 * n)), s:noise(10), "noise", 1e-9)
  end)

  it("flow is straight at real levels too, under any shift", function()
    for _, shifted in ipairs { 1, 3, 0.5 } do
      local s = S.flow { T = 20, shift = shifted }
      for _, t in ipairs { 0.5, 1, 1.5, 10.25, 19.99, 20 } do
        local w = shifted * (t / 20) / (1 + (shifted - 1) * (t / 20))
        close(w, s:noise(t), "noise", 1e-14)
        close(1 - w, s:signal(t), "signal", 1e-12)
        if t >= 1 then close(t, s:level_of_sigma(s:sigma(t)), "level") end
      end
    end
  end)

  it("cosine_log_snr moves by its shift, and its ends by both", function()
    local plain, moved = S.cosine_log_snr(), S.cosine_log_snr { shift = shift }
    local between = S.cosine_log_snr { shift_low = -3, shift_high = -1 }
    for _, t in ipairs { 1, 250.5, 500, 1000 } do
      local u = t / 1000
      close(plain:log_snr(t) + shift, moved:log_snr(t), "shift", 1e-12)
      close(plain:log_snr(t) - 3 * u - (1 - u), between:log_snr(t), "interpolated", 1e-12)
    end
    close(-15, plain:log_snr(1000), "the end")
    close(-9, S.cosine_log_snr { log_snr_min = -9, log_snr_max = 12 }:log_snr(1000), "an end")
    assert.is_true(math.abs(plain:log_snr(500)) < 1e-12)
  end)

  it("laplace is a Laplace distribution's quantiles", function()
    local s = S.laplace { mu = 0.3, b = 0.7 }
    for _, t in ipairs { 1, 100, 499.5, 500, 700, 999, 999.5 } do
      local x = s:log_snr(t) - 0.3 -- the share of them above x is t/T
      local above = x > 0 and math.exp(-x / 0.7) / 2 or 1 - math.exp(x / 0.7) / 2
      close(t / 1000, above, "share")
    end
    close(0.999, S.laplace { max_beta = 0.999 }:beta(1000), "cut")
    close(0.999, S.jsd { max_beta = 0.999 }:beta(1000), "cut")
  end)

  it("survive a config, real levels too", function()
    for _, name in ipairs(S.names()) do
      local s = S[name] { T = 30 }
      local again = assert(S.from_config(s:config()))
      for _, t in ipairs { 1, 7, 12.5, 30 } do
        assert.equal(s:signal(t), again:signal(t))
        assert.equal(s:noise(t), again:noise(t))
      end
    end
  end)
end)

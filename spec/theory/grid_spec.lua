-- Grids of noise levels are compared with published values and definitions, to 1e-10.
-- Quantiles of the Beta distribution are compared with 40-digit arithmetic.
local d = require "diffusion"
local quantile = require "diffusion.grid.beta_quantile"
local grid = d.grid
local edm = d.schedule.edm()

local function close(want, got, what, digits)
  if math.abs(got - want) <= (digits or 1e-10) * math.abs(want) then return end
  error(("%s: expected %.15g, got %.15g"):format(what, want, got), 2)
end

local function sigmas(g)
  local out = {}
  for i, step in ipairs(g) do out[i] = g.schedule:sigma(step[1]) end
  return out
end

describe("quantiles of the Beta distribution", function()
  it("are known to 1e-12", function()
    local shares = { 0.001, 0.1, 0.5, 0.98 }
    for _, row in ipairs {
      { 0.6, 0.6, 1.8558738517452e-5, 0.0395844055887809, 0.5, 0.997267017975423 },
      { 2, 3, 0.0130229473708143, 0.142559316710031, 0.38572756813239, 0.820562135955097 },
      { 0.2, 5, 1.41592493727531e-16, 1.41593162012946e-6, 0.00449136140033797, 0.30398480481137 },
      { 50, 30, 0.453386607779967, 0.555128406159017, 0.626046640612379, 0.731671347772062 },
    } do
      for i, p in ipairs(shares) do close(row[i + 2], quantile(p, row[1], row[2]), "quantile", 1e-12) end
    end
  end)

  it("are the closed forms where there are some, and mirror each other", function()
    for i = 0, 50 do
      local p = i / 50
      close(p, quantile(p, 1, 1), "uniform", 1e-13)
      close(p ^ (1 / 3), quantile(p, 3, 1), "power", 1e-13)
      close(1 - (1 - p) ^ (1 / 4), quantile(p, 1, 4), "power", 1e-12)
      close(math.sin(p * math.pi / 2) ^ 2, quantile(p, 0.5, 0.5), "arcsine", 1e-12)
      close(1, quantile(p, 0.7, 5) + quantile(1 - p, 5, 0.7), "mirror", 1e-12)
    end
    assert.same({ 0, 1, 0, 1 }, { quantile(0, 2, 3), quantile(1, 2, 3), quantile(0, 0.1, 0.1), quantile(1, 9, 9) })
  end)
end)

describe("sigmas", function()
  it("of karras and the preset edm are the published 18", function()
    local published = { 80, 57.58598472, 40.7855738, 28.3745846, 19.35245298, 12.91008238, 8.400935309, 5.315194522,
      3.25682152, 1.923339837, 1.088170637, 0.5853481232, 0.2964422845, 0.1395164687, 0.05994731124, 0.02293451837,
      0.007528019963, 0.002 }
    local ve = d.schedule.ve { sigma_min = 1e-3, sigma_max = 500 }
    for _, g in ipairs { grid.karras(edm, 18), grid.preset "edm"(ve, 18), grid.preset "k-diffusion-karras"(edm, 18) } do
      for i, sigma in ipairs(sigmas(g)) do close(published[i], sigma, "sigma " .. i, 1e-9) end
    end
  end)

  it("of exponential are geometric, of poly_exponential a power of the way", function()
    local got = sigmas(grid.exponential(edm, 9, { sigma_min = 0.01, sigma_max = 50 }))
    for i = 1, 8 do close(5000 ^ (-1 / 8), got[i + 1] / got[i], "ratio") end
    local poly = sigmas(grid.poly_exponential(edm, 9, { rho = 2, sigma_min = 0.01, sigma_max = 50 }))
    for i = 1, 9 do close(0.01 * 5000 ^ ((1 - (i - 1) / 8) ^ 2), poly[i], "sigma") end
    assert.same(grid.exponential(edm, 9):times(), grid.poly_exponential(edm, 9):times())
  end)

  it("of log_snr are exponential between two levels", function()
    local s = d.schedule.linear()
    assert.same(grid.exponential(s, 7):times(), grid.log_snr(s, 7):times())
    local g = grid.log_snr(s, 5, { from = 900, to = 100 })
    for i, step in ipairs(g) do
      close(s:log_snr(900) + (i - 1) / 4 * (s:log_snr(100) - s:log_snr(900)), s:log_snr(step[1]), "log_snr")
    end
    assert.same({ 900, 100 }, { g[1][1], g[5][1] })
  end)

  it("of beta are its quantiles, of t or of sigma", function()
    local of_t = grid.beta(1000, 5, { alpha = 0.5, beta = 0.5 }):times()
    for i, t in ipairs(of_t) do
      close(1 + 999 * math.sin((1 - (i - 1) / 5) * math.pi / 2) ^ 2, t, "time")
    end
    local got = sigmas(grid.beta(edm, 5, { alpha = 0.5, beta = 0.5, of = "sigma" }))
    for i, sigma in ipairs(got) do
      close(0.002 + (80 - 0.002) * math.sin((1 - (i - 1) / 4) * math.pi / 2) ^ 2, sigma, "sigma")
    end
  end)

  it("of one step are sigma_max", function()
    for _, name in ipairs { "karras", "exponential", "poly_exponential", "log_snr" } do
      assert.same({ 1000 }, grid[name](edm, 1):times())
      assert.same({ 1000 }, grid.beta(edm, 1, { of = "sigma" }):times())
    end
  end)
end)

-- Grids of noise levels: N falling times for every N, sigmas of one's own, and what an
-- impossible one says. Their values: spec/theory/grid_spec.lua, spec/preset_spec.lua.
local d = require "diffusion"
local fails = dofile "spec/support/fails.lua"
local check = dofile "spec/support/steps.lua"
local grid = d.grid

describe("grids of real levels", function()
  local sd = d.schedule.scaled_linear()
  for name, options in pairs { karras = {}, exponential = {}, poly_exponential = { rho = 2 } } do
    it(("%s: N falling times from T to 1 for every N <= 1000"):format(name), function()
      for N = 1, 1000 do
        local g = grid[name](sd, N, options)
        check(g, N, 1000, false, name)
        if g[1][1] ~= 1000 or N > 1 and g[N][1] ~= 1 then error(("%s %d: wrong ends"):format(name, N)) end
      end
    end)
  end

  it("the others too, for some N; rounded, they are whole and still N", function()
    for _, name in ipairs { "poly_exponential", "log_snr", "beta", "karras" } do
      for _, N in ipairs { 1, 2, 3, 5, 18, 61, 144, 1000 } do
        check(grid[name](sd, N), N, 1000, false, name)
        check(grid[name](sd, N, { round = true }), N, 1000, true, name)
      end
      assert.equal(1000, grid[name](sd, 1)[1][1])
    end
    for _, N in ipairs { 1, 2, 7, 144 } do
      check(grid.beta(sd, N, { of = "sigma" }), N, 1000, false, "beta of sigma")
      check(grid.beta(1000, N, { round = true }), N, 1000, true, "beta of T alone")
    end
    local g = grid.karras(sd, 1000, { round = true })
    for i = 1, 1000 do assert.equal(1001 - i, g[i][1]) end
  end)

  it("take sigmas of one's own", function()
    local edm = d.schedule.edm()
    local g = grid.sigmas(edm, { 80, 10, 1, 0 })
    assert.equal(3, #g)
    for i, sigma in ipairs { 80, 10, 1 } do assert.is_true(math.abs(edm:sigma(g[i][1]) / sigma - 1) < 1e-12) end
    assert.equal(math.floor(g[2][1] + 0.5), grid.sigmas(edm, { 80, 10, 1 }, { round = true })[2][1])
  end)

  it("reach into the last stretch of a schedule whose own function knows it", function()
    local flow = d.schedule.flow { T = 10 }
    local t = grid.sigmas(flow, { 99, 9, 1 })[1][1]
    assert.is_true(math.abs(t - 9.9) < 1e-9)
  end)
end)

describe("an impossible grid", function()
  it("of sigmas names the schedule's", function()
    local flow, sd = d.schedule.flow(), d.schedule.scaled_linear()
    fails("grid.karras: sigma is infinite at T = 1000, where x_T holds no signal; give a finite sigma_max, or take a "
      .. "grid of times such as trailing", grid.karras, flow, 5)
    fails("start 'from' below T", grid.log_snr, flow, 5)
    fails("grid.log_snr: 'to' = 7 must be an earlier level than 'from' = 5", grid.log_snr, sd, 5, { from = 5, to = 7 })
    fails("grid.exponential: a schedule or a process is needed, for its sigmas", grid.exponential, 1000, 5)
    fails("option 'sigma_max': number in [0.02916715815", grid.karras, sd, 5, { sigma_max = 80 })
    fails("sigma_min = 2 must be below sigma_max = 1", grid.karras, sd, 5, { sigma_min = 2, sigma_max = 1 })
    fails("sigmas must be numbers that fall, but number 2 is 2 after 1", grid.sigmas, sd, { 1, 2 })
    fails("sigma must be 0 or in [", grid.sigmas, sd, { 20, 1 })
    fails("at least one sigma above 0 expected", grid.sigmas, sd, { 0 })
    fails("a list of sigmas expected, got integer", grid.sigmas, sd, 5)
    fails("unknown option 'sigma_min'", grid.beta, sd, 5, { sigma_min = 1 })
    fails("option 'of': unknown value 'sigmas'; did you mean 'sigma'", grid.beta, sd, 5, { of = "sigmas" })
    local zero = sd:rescale_zero_terminal_snr()
    fails("lies between 999 and 1000, which has no signal; the last real level is 999; whole levels are always there",
      grid.beta, zero, 100)
    check(grid.beta(zero, 100, { round = true }), 100, 1000, true, "beta")
  end)

  it("take a sigma that rounding has put just past an end for that end", function()
    local sd = d.schedule.scaled_linear()
    for _, off in ipairs { -5e-10, 0, 5e-10 } do
      assert.same({ 1000, 1 }, grid.sigmas(sd, { sd:sigma(1000) * (1 + off), sd:sigma(1) * (1 - off) }):times())
    end
    fails("sigma", grid.sigmas, sd, { sd:sigma(1000) * (1 + 1e-6) })
  end)

  it("of coinciding levels says which", function()
    fails("take fewer steps", grid.karras, d.schedule.ve { T = 2, sigma_min = 1, sigma_max = 1 + 1e-12 }, 1000)
  end)
end)

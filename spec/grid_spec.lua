-- Grids: the known ones, N falling times for every N, where they stop, and what an impossible
-- one says.
local d = require "diffusion"
local fails = dofile "spec/support/fails.lua"
local check = dofile "spec/support/steps.lua"
local grid = d.grid
local schedule = d.schedule.linear()
local p = d.process { schedule = schedule }

local ways = {
  trailing = { 1000, 900, 800, 700, 600, 500, 400, 300, 200, 100 },
  leading = { 901, 801, 701, 601, 501, 401, 301, 201, 101, 1 },
  linspace = { 1000, 889, 778, 667, 556, 445, 334, 223, 112, 1 },
  quadratic = { 1000, 810, 640, 490, 360, 250, 160, 90, 40, 10 },
  section = { 1000, 889, 778, 667, 556, 445, 334, 223, 112, 1 },
}

describe("grids of whole levels", function()
  it("are the known ones for T = 1000, N = 10", function()
    for name, times in pairs(ways) do assert.same(times, grid[name](p, 10):times()) end
    assert.same({ { 1000, 500 }, { 500, 0 } }, { table.unpack(grid.list(p, { 1000, 500, 0 })) })
  end)

  for name in pairs(ways) do
    it(("%s: N falling times in 1..T for every N <= T = 1000, all of them for N = T"):format(name), function()
      local make = grid[name]
      for N = 1, 1000 do check(make(1000, N), N, 1000, true, name) end
      local all = make(1000, 1000)
      for i = 1, 1000 do assert.equal(1001 - i, all[i][1]) end
    end)
  end

  it("start at T, but for leading and a section of one step", function()
    for _, N in ipairs { 1, 2, 3, 62, 61, 103, 999 } do
      for _, name in ipairs { "trailing", "linspace", "quadratic" } do assert.equal(1000, grid[name](1000, N)[1][1]) end
      assert.equal(1 + (N - 1) * (1000 // N), grid.leading(1000, N)[1][1])
    end
    assert.equal(1, grid.section(1000, 1)[1][1])
  end)

  it("may stay real where their formula is", function()
    assert.same({ 1000, 2000 / 3, 1000 / 3 }, grid.trailing(1000, 3, { round = false }):times())
    assert.same({ 1000, 750.25, 500.5, 250.75, 1 }, grid.linspace(1000, 5, { round = false }):times())
    assert.equal("integer", math.type(grid.trailing(1000, 10, { round = false })[2][1]))
    local flow = grid.trailing(d.schedule.flow { T = 7 }, 3, { round = false })
    assert.is_true(math.abs(flow.schedule:noise(flow[2][1]) - 2 / 3) < 1e-15)
  end)

  it("are written in sections, the earliest first", function()
    assert.same({ 300, 201, 200, 151, 101, 100, 67, 34, 1 }, grid.section(300, "4,3,2"):times())
    assert.same(grid.section(300, "4,3,2"):times(), grid.section(300, { 4, 3, 2 }):times())
    assert.same(grid.section(300, " 4, 3 ,2"):times(), grid.section(300, "4,3,2"):times())
    assert.same({ 10, 5, 1 }, grid.section(10, 3):times()) -- 4.5 to even
    assert.same({ 8, 4, 1 }, grid.section(10, { 2, 0, 1 }):times())
    assert.same({ 7, 4, 1 }, grid.section(9, "1,1,1"):times())
    assert.same({ 951, 901 }, { table.unpack(grid.section(1000, "ddim20"):times(), 1, 2) })
  end)
end)

describe("a grid that stops early", function()
  it("ends at `last`, and says what is left", function()
    local g = grid.trailing(p, 4, { last = 1 })
    assert.same({ 250, 1 }, g[4])
    assert.equal(1, g.last)
    assert.matches("^grid trailing: 4 of 1000 steps, stops at t = 1, where sigma = 0.01 is left\n", tostring(g))
    assert.matches("^grid leading: 2 of 10 steps, stops at t = 0.5\n", tostring(grid.leading(10, 2, { last = 0.5 })))
    assert.same({ { 5, 2 } }, { table.unpack(grid.list(10, { 5 }, { last = 2 })) })
    for _, name in ipairs { "karras", "exponential", "poly_exponential", "log_snr", "beta" } do
      assert.equal(7, grid[name](p, 1, { last = 7 })[1][2])
    end
    assert.equal(7, grid.quadratic(p, 2, { last = 7 })[2][2])
    assert.equal(0.5, grid.section(10, "3", { last = 0.5 })[3][2])
    assert.equal(0, grid.trailing(p, 4).last)
  end)

  it("is sampled from, to there", function()
    local std = 0.5
    local oracle = d.oracle.gaussian { mean = { 0 }, std = std }
    local x = d.sample {
      model = oracle:denoiser(p), process = p, shape = { 4000, 1 }, seed = 1, sampler = "ddim",
      grid = grid.trailing(p, 200, { last = 3 }),
    }
    local want = math.sqrt(schedule:alpha_bar(3) * std ^ 2 + schedule:noise(3) ^ 2)
    assert.is_true(math.abs(x:std():item() - want) < 0.02)
  end)

  it("needs a way to go", function()
    fails("grid.linspace: the last step starts at t = 1, so it can't end at last = 1; take a lower 'last', or leave "
      .. "that step out with d.grid.list", grid.linspace, p, 5, { last = 1 })
    fails("grid.trailing: t = 0.5 lies between level 0, which has no noise, and 1", grid.trailing, p, 5, { last = 0.5 })
    fails("option 'last': number in [0, inf) expected, got -1", grid.karras, p, 5, { last = -1 })
  end)
end)

describe("an impossible grid", function()
  it("says why, and what to do", function()
    fails("bad argument #2 to 'grid.leading' (the number of steps must be in 1..T = 1000, got 1001: every step starts "
      .. "at a whole level of its own; take fewer, or a grid of real levels such as karras)", grid.leading, p, 1001)
    fails("the number of steps must be in 1..T = 1000, got 0)", grid.trailing, p, 0)
    fails("a number of steps expected, got '5'", grid.trailing, p, "5")
    fails("a number of steps expected, got 2.5", grid.karras, p, 2.5)
    fails("the number of steps must be 1 or more, got -1)", grid.exponential, p, -1)
    fails("in 1..T = 1000, got 1001", grid.karras, p, 1001, { round = true })
    fails("unknown option 'rho'; valid: last, round", grid.trailing, p, 5, { rho = 7 })
    fails("a process, a schedule or T expected, got nil", grid.quadratic)
    fails("times must fall, but number 2, 5, is followed by 7", grid.list, p, { 9, 5, 7 })
    fails("number 1 is 1001", grid.list, p, { 1001 })
  end)

  it("of sections names the nearest that is there", function()
    fails("grid.section: no whole stride gives 37 of 1000 steps; the nearest that one gives: 36 and 38. 'section' with "
      .. "the number alone gives any", grid.section, p, "ddim37")
    fails("the nearest that one gives: 2.", grid.section, p, "ddim1")
    fails("the nearest that one gives: 1000.", grid.section, p, "ddim1001")
    fails("section 2 of 3 has 333 levels, so it can't have 334 steps; take 333 or fewer there", grid.section, 1000,
      "1,334,1")
    fails("at least one step expected, got none in all of 2 sections", grid.section, p, "0,0")
    fails([[numbers of steps expected, as in "10,15,20" or "ddim50", but number 2 is 'x']], grid.section, p, "10,x")
    fails("number 1 is ''", grid.section, p, "")
    fails("number 2 is -1", grid.section, p, { 5, -1 })
    fails("a string, a list or a number expected, got table", grid.section, p, {})
    fails("number 1 is 'ddim'", grid.section, p, "ddim")
    fails("a string, a list or a number expected, got nil", grid.section, p)
  end)
end)

describe("a grid's name", function()
  it("is one of d.grid.names(), for samplers too", function()
    assert.same({ "beta", "exponential", "karras", "leading", "linspace", "log_snr", "poly_exponential", "quadratic",
      "section", "trailing" }, grid.names())
    local x = d.zeros(1, 2)
    local function run(name)
      return d.sampler.steps { model = function(y) return y end, process = p, init = x, steps = 9, grid = name }.grid
    end
    for _, name in ipairs(grid.names()) do assert.same(grid[name](p, 9):times(), run(name):times()) end
    assert.same(grid.preset "diffusers-leading"(p, 9):times(), run "diffusers-leading":times())
    assert.equal("diffusers-leading", run "diffusers-leading".name)
    fails("sampler: unknown grid 'karas'; did you mean 'karras'?", run, "karas")
    fails("sampler: unknown preset 'diffusers-leeding'; did you mean 'diffusers-leading'?", run, "diffusers-leeding")
    fails("sampler: unknown grid 'sigmas'", run, "sigmas")
    fails("sampler: unknown grid '7'", run, 7)
  end)
end)

describe("a sampler's grid", function()
  local function run(process, name, N)
    return d.sampler.steps { model = function(y) return y end, process = process, init = d.zeros(1, 2), steps = N,
                             grid = name }.grid
  end

  it("may have more steps than T where its levels are real", function()
    local short = d.process { schedule = d.schedule.cosine { T = 20 } }
    assert.equal(50, #run(short, "karras", 50))
    fails("the number of steps must be in 1..T = 20, got 50: every step starts at a whole level of its own; take "
      .. "fewer, or a grid of real levels such as karras", run, short, "trailing", 50)
  end)

  it("can't start from x_T without signal if eps is predicted, whatever the schedule", function()
    for _, blind in ipairs { d.schedule.jsd(), d.schedule.laplace(), d.schedule.flow(),
      d.schedule.linear():rescale_zero_terminal_snr() } do
      fails("x_t holds no signal at t = 1000, so eps doesn't determine x0 there; predict v or x0, or give a grid that "
        .. "starts lower", run, d.process { schedule = blind }, "trailing", 5)
      assert.equal(801, run(d.process { schedule = blind }, "leading", 5)[1][1])
      assert.equal(1000, run(d.process { schedule = blind, predict = "x0" }, "trailing", 5)[1][1])
    end
  end)
end)

describe("a grid prints", function()
  it("its levels at both ends of every step", function()
    local text = tostring(grid.trailing(p, 2))
    assert.matches("grid trailing: 2 of 1000 steps\n", text)
    assert.matches("t %-> s +alpha_bar_t +alpha_bar_s +sigma_t +sigma_s\n", text)
    assert.matches("1000 %-> 500 +4.0358e%-05 +0.078587 +157.41 +3.4241\n", text)
    assert.matches("500 %-> 0 +0.078587 +1 +3.4241 +0$", text)
    local flow = tostring(grid.trailing(d.schedule.flow { T = 4 }, 2))
    assert.matches("signal_t +signal_s", flow)
    assert.matches("4 %-> 2 +0 +0.5 +inf +1\n", flow)
    assert.matches("50 %-> 0 +1 +1 +1.3547 +0", tostring(grid.trailing(d.schedule.ve { T = 100 }, 2)))
    assert.equal("grid list: 1 of 9 steps\n      3 -> 0", tostring(grid.list(9, { 3 })))
  end)
end)

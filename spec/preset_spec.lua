-- Grids of other libraries: diffusers' own timesteps and sigmas, recorded by running it, and
-- formulas of the others at the N where floats and rounding tell.
local d = require "diffusion"
local json = require "diffusion.file.json"
local peer = dofile "spec/support/peer.lua"
local fails = dofile "spec/support/fails.lua"
local check = dofile "spec/support/steps.lua"

-- They are float32, and a time that was found from a sigma suffers from it.
local function near(want, got, what, least)
  if math.abs(want - got) <= 1e-4 * math.max(least, math.abs(want)) then return end
  error(("%s: expected %.8g, got %.8g"):format(what, want, got), 2)
end

-- The level number i among what solvers of two evaluations a step list twice, PLMS' second
-- level repeated, and the rest.
local function places(record)
  if record.order == 2 then
    return function(i) return 2 * i - 1 end, function(i) return math.max(1, 2 * i - 2) end
  end
  local repeated = #record.timesteps == record.n + 1
  local function place(i) return repeated and i > 1 and i + 1 or i end
  return place, place
end

local function compare(record, schedule, grid, shown, what)
  local time_at, sigma_at = places(record)
  local path = not schedule:is_vp() and schedule:snr(schedule.T) == 0
  local level = path and schedule.noise or schedule.sigma
  for i, step in ipairs(grid) do
    near(record.timesteps[time_at(i)], shown(step[1]), ("%s: time %d"):format(what, i), 1)
    local sigma = record.sigmas and record.sigmas[sigma_at(i)]
    if sigma then near(sigma, level(schedule, step[1]), ("%s: sigma %d"):format(what, i), 0) end
  end
  if record.sigmas then near(record.sigmas[sigma_at(#grid + 1)], level(schedule, grid.last), what .. ": the end", 0) end
end

describe("recorded grids of diffusers", function()
  local file <close> = assert(io.open "spec/fixtures/scheduler_trajectories.json")
  local records = assert(json.decode(file:read "a")).records

  it("are ours, times and sigmas, but for two that go from data to noise", function()
    local without = {}
    for i, record in ipairs(records) do
      local what = ("%d %s"):format(i, record.scheduler)
      local plan = peer.plan(record.scheduler, record.config, record.n)
      if plan.upward or record.config.invert_sigmas then
        without[#without + 1] = record.scheduler
      else
        local idle = #plan.grid < record.n -- a step from a level to itself
        assert.equal(record.n - (idle and 1 or 0), #plan.grid, what)
        if idle then assert.equal(record.sigmas[record.n], record.sigmas[record.n + 1], what) end
        compare(record, plan.schedule, plan.grid, function(t) return plan:shown(t) end, what)
      end
    end
    assert.same({ "FlowMatchEulerDiscreteScheduler", "DDIMInverseScheduler" }, without)
    assert.equal(85, #records)
  end)
end)

local sd, flow = d.schedule.scaled_linear(), d.schedule.flow { shift = 3 }
local preset = d.grid.preset

-- A schedule that a preset can walk.
local function source_for(name)
  if name:find "flow" or name:find "flux" then return flow end
  return name == "k-diffusion-vp" and d.schedule.vp() or sd
end

describe("presets", function()
  it("are the known ones for T = 1000, N = 10", function()
    local hundreds = { 1000, 900, 800, 700, 600, 500, 400, 300, 200, 100 }
    local ninths = { 1000, 889, 778, 667, 556, 445, 334, 223, 112, 1 }
    local leading = { 901, 801, 701, 601, 501, 401, 301, 201, 101, 1 }
    for name, times in pairs {
      ["diffusers-trailing"] = hundreds, ["diffusers-dpm-trailing"] = hundreds, lucidrains = hundreds,
      ["sd.cpp-simple"] = hundreds, ["diffusers-linspace"] = ninths, ["diffusers-euler-linspace"] = ninths,
      ["guided-diffusion"] = ninths, ["k-diffusion-discrete"] = ninths, ["sd.cpp-discrete"] = ninths,
      ["diffusers-leading"] = leading, ["guided-diffusion-ddim"] = leading,
      ["diffusers-leading-offset1"] = { 902, 802, 702, 602, 502, 402, 302, 202, 102, 2 },
      ["diffusers-dpm-linspace"] = { 1000, 900, 800, 700, 600, 501, 401, 301, 201, 101 },
      ["diffusers-dpm-leading"] = { 901, 811, 721, 631, 541, 451, 361, 271, 181, 91 },
      ["ddim-quadratic"] = { 1000, 810, 640, 490, 360, 250, 160, 90, 40, 10 },
      ["ddim-repo-quadratic"] = { 801, 633, 484, 356, 247, 159, 89, 40, 10, 1 },
    } do
      assert.same(times, preset(name)(1000, 10):times(), name)
    end
    assert.same({ 1000, 760, 500, 260 }, preset "lcm"(1000, 4):times())
    assert.same({ 1000, 800, 600, 400, 200 }, preset "lcm"(1000, 5, { original = 5 }):times())
    assert.same({ 20, 15, 10, 5 }, preset "lcm"(20, 4):times()) -- all 20 levels
  end)

  it("round half to even, as numpy does, where our own grids round up", function()
    assert.same({ 1000, 938, 875, 812 }, table.move(preset "diffusers-trailing"(1000, 16):times(), 1, 4, 1, {}))
    assert.same({ 1000, 938, 875, 813 }, table.move(d.grid.trailing(1000, 16):times(), 1, 4, 1, {}))
    assert.same({ 1000, 833, 667, 501, 334, 167, 1 }, preset "diffusers-linspace"(1000, 7):times())
    assert.same({ 1000, 834, 667, 501, 334, 168, 1 }, d.grid.linspace(1000, 7):times())
  end)

  it("are without the defects that floats and ends have there", function()
    assert.equal(61, #preset "diffusers-trailing"(1000, 61)) -- 62 there
    assert.same({ 1000 }, preset "diffusers-linspace"(1000, 1):times()) -- 1 there
    assert.same({ 1000 }, preset "diffusers-karras"(sd, 1):times())
    assert.equal(500, preset "lucidrains"(1000, 26)[14][1]) -- 499 in float32
    assert.equal(500, preset "sd.cpp-simple"(1000, 30)[16][1]) -- 501 in float32
    local repo = preset "ddim-repo-quadratic"(1000, 30)
    assert.same({ 2, 1 }, { repo[29][1], repo[30][1] }) -- 1 twice there
  end)

  it("of whole levels are N falling steps for every N <= T = 1000", function()
    for _, name in ipairs { "diffusers-trailing", "diffusers-leading", "diffusers-linspace", "diffusers-dpm-linspace",
      "diffusers-dpm-leading", "lucidrains", "ddim-repo-quadratic", "sd.cpp-simple" } do
      local make = preset(name)
      for N = 1, name:find "dpm" and 999 or 1000 do check(make(1000, N), N, 1000, true, name) end
    end
  end)

  it("are N falling steps for all kinds of N", function()
    local some = { 1, 2, 3, 5, 10, 16, 25, 50, 61, 103, 122, 201, 337, 500, 750, 997, 1000 }
    for _, name in ipairs(d.grid.presets()) do
      local make, source, made = preset(name), source_for(name), 0
      for _, N in ipairs(some) do
        local fine, g = pcall(make, source, N)
        if fine then
          made = made + 1
          check(g, N, 1000, false, name)
          assert.equal(name, g.name)
        else
          assert.matches(name:find "dpm" and "1..999, got 1000" or name:find "offset1" and "start at t = 1001"
            or name == "lcm" and "1..50, got" or "no whole stride gives", g)
        end
      end
      assert.is_true(made >= (name == "lcm" and 8 or name:find "ddim$" and 7 or 16), name)
    end
  end)

  it("take every t once for N = T, where they can", function()
    for _, name in ipairs { "diffusers-trailing", "diffusers-leading", "diffusers-linspace", "lucidrains",
      "guided-diffusion", "ddim-quadratic", "ddim-repo-quadratic", "sd.cpp-simple" } do
      local times = preset(name)(200, 200):times()
      for i = 1, 200 do assert.equal(201 - i, times[i]) end
    end
  end)

  it("stop where they are told: set_alpha_to_one = false, final_sigmas_type = sigma_min", function()
    local g = preset "diffusers-leading"(sd, 50, { offset = 1, last = 1 })
    assert.same({ 2, 1 }, g[50])
    assert.matches("^grid diffusers%-leading: 50 of 1000 steps, stops at t = 1, where sigma = 0.0292 is left",
      tostring(g))
    assert.equal(1, preset "diffusers-dpm-linspace"(sd, 5, { last = 1 })[5][2])
    local told = preset "diffusers-dpm-karras"(sd, 10)
    for _, t in ipairs(told:times()) do
      assert.is_true(told.told[t] % 1 == 0 and math.abs(told.told[t] - t) <= 0.5)
    end
    assert.matches("the network is evaluated at whole t", tostring(told))
    assert.equal(7, preset "diffusers-dpm-karras"(sd, 1, { last = 7 })[1][2])
    assert.equal(3, preset "k-diffusion-vp"(d.schedule.vp(), 1, { last = 3 })[1][2])
  end)

  it("of karras keep to the ends of the spacing, of dpm to the schedule's", function()
    local g = preset "diffusers-karras"(sd, 10, { spacing = "leading", offset = 1 })
    assert.same({ 902, 2 }, { g[1][1], g[10][1] })
    assert.same({ 1000, 100 }, { preset "diffusers-beta"(sd, 10, { spacing = "trailing" })[1][1],
      preset "diffusers-beta"(sd, 10, { spacing = "trailing" })[10][1] })
    assert.same(d.grid.karras(sd, 10, { round = true }):times(),
      preset "diffusers-dpm-karras"(sd, 10, { round = true }):times())
    assert.same(d.grid.exponential(sd, 10):times(), preset "diffusers-dpm-lu"(sd, 10):times())
  end)

  it("of euler on a line have its sigmas: on a line too, between whole times", function()
    local s = d.schedule.linear { T = 1100, rescale = false }
    local times = preset "diffusers-euler-linspace"(s, 10):times()
    for i, t in ipairs(times) do
      local line = 1100 - (i - 1) * 1099 / 9
      local low, w = math.floor(line), line % 1
      local sigma = (1 - w) * s:sigma(low) + (w > 0 and w * s:sigma(low + 1) or 0)
      assert.is_true(math.abs(s:sigma(t) / sigma - 1) < 1e-12 and math.abs(t - line) < 2e-3)
    end
    assert.same(d.grid.linspace(1100, 10, { round = false }):times(),
      preset "diffusers-euler-linspace"(1100, 10):times()) -- no schedule here
  end)

  it("of k-diffusion's VP are a line in t on that schedule", function()
    local g = preset "k-diffusion-vp"(d.schedule.vp(), 10)
    for i, step in ipairs(g) do near(1000 - (i - 1) * 111, step[1], "time", 1) end
  end)

  it("of flows are lines in w before the shift, their ends as they were made", function()
    local twice = preset "diffusers-flow-shifted-twice"(flow, 28)
    near(flow:noise(1) * 1000, twice[28][1], "the end", 1) -- sigma_min there is shifted already
    assert.same(d.grid.linspace(flow, 28, { round = false }):times(), preset "diffusers-flow"(flow, 28):times())
    assert.same(d.grid.trailing(flow, 28, { round = false }):times(), preset "diffusers-flux"(flow, 28):times())
    near(0.05, flow:noise(preset "diffusers-flow"(flow, 7, { shift_terminal = 0.05 })[7][1]), "terminal", 0)
    assert.same({ 1000 }, preset "diffusers-flow"(flow, 1, { shift_terminal = 0.05 }):times()) -- NaN there
    assert.equal(999, preset "diffusers-dpm-flow"(flow, 4)[1][1])
    assert.equal(1000, preset "diffusers-unipc-flow"(flow, 4)[1][1])
  end)
end)

describe("a preset that can't be", function()
  it("says why, and what to do", function()
    fails("grid.preset: unknown preset 'diffusers-krras'; did you mean 'diffusers-karras'?", preset, "diffusers-krras")
    fails("with offset = 1 the first of 1000 steps would start at t = 1001, beyond T = 1000; take fewer steps or a "
      .. "smaller offset", preset "diffusers-leading-offset1", sd, 1000)
    fails("the number of steps must be in 1..999, got 1000: this library takes one point more and drops it, which "
      .. "needs N + 1 <= T", preset "diffusers-dpm-linspace", sd, 1000)
    fails("in 1..50, got 51: the levels that the network was distilled at are 'original' in number",
      preset "lcm", sd, 51)
    fails("the nearest that one gives: 36 and 38", preset "guided-diffusion-ddim", sd, 37)
    fails("it is for the path x_t = (1 - w) x_0 + w eps; d.schedule.flow is one", preset "diffusers-flow", sd, 5)
    fails("a schedule or a process is needed, for its sigmas", preset "edm", 1000, 5)
    fails("a schedule or a process is needed, for its sigmas", preset "diffusers-karras", 1000, 5)
    fails("sigma must be 0 or in [", preset "k-diffusion-vp", sd, 5)
    fails("preset_spec.lua", function() return (preset "diffusers-flow"(flow, 5, { shift_terminal = 1e-6 })) end)
    fails("sigma must be 0 or in [", preset "diffusers-flow", flow, 5, { shift_terminal = 1e-6 })
    fails("unknown option 'ofset'; did you mean 'offset'?", preset "diffusers-leading", sd, 5, { ofset = 1 })
    fails("a table of options expected, got 1", preset "diffusers-dpm-karras", sd, 5, 1)
    fails("a number of steps expected, got nil", preset "diffusers-trailing", sd)
  end)
end)

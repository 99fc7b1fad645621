-- The orders of deterministic samplers, measured in double on a mixture with an exact score:
-- weights 0.3, 0.5, 0.2 at -1, 0.4, 1.2 with widths 0.3, 0.2, 0.4, from sigma 20 to 0.02.
local d = require "diffusion"

describe("d.check.order", function()
  local mixture = d.oracle.mixture { means = { { -1 }, { 0.4 }, { 1.2 } }, std = { 0.3, 0.2, 0.4 },
                                     weights = { 0.3, 0.5, 0.2 } }

  for name, least in pairs { ddim = 0.97, dpmpp_2m = 1.95 } do
    it(("of %s is at least %.2f"):format(name, least), function()
      local order, rows = d.check.order(name, mixture, { quiet = true, samples = 8, exact = 500 })
      assert.is_true(order >= least and order < least + 0.2, ("order %.3f"):format(order))
      assert.equal(4, #rows)
    end)
  end

  it("sees a sampler that is wrong", function()
    -- dpmpp_2m with the correction forgotten is ddim; with half of it, still of order one
    local function halved(denoise, process, opts)
      local schedule = process.schedule
      return function(x, pair, history)
        local m = denoise(x, pair.t)
        local h = (schedule:log_snr(pair.s) - schedule:log_snr(pair.t)) / 2
        local gain = schedule:signal(pair.s) * (1 - math.exp(-h))
        local before = history.m or m
        history.m = m
        return opts.mix(schedule:noise(pair.s) / schedule:noise(pair.t), x, 1.25 * gain, m,
          -0.25 * gain, before)
      end
    end
    local order = d.check.order(halved, mixture, { quiet = true, samples = 8, exact = 500 })
    assert.is_true(order < 1.2, ("order %.3f"):format(order))
  end)
end)

describe("continuous schedules", function()
  it("are those of the papers", function()
    local vp = d.schedule.vp { T = 1000 }
    assert.near(0.01048599279, vp:sigma(1), 1e-11)
    assert.near(3.412918309, vp:sigma(500), 1e-8)
    assert.near(152.1669703, vp:sigma(1000), 1e-6)
    assert.near(4.318574906e-05, vp:alpha_bar(1000), 1e-13)
    local ve = d.schedule.ve { T = 3, sigma_min = 0.01, sigma_max = 100 }
    for t, sigma in ipairs { 0.01, 1, 100 } do assert.near(sigma, ve:sigma(t), 1e-12 * sigma) end
    local flow = d.schedule.flow { T = 4 }
    for t = 1, 4 do
      assert.near(t / 4, flow:noise(t), 1e-15)
      assert.near(1 - t / 4, flow:signal(t), 1e-15)
    end
    assert.near(3 * 0.5 / (1 + 2 * 0.5), d.schedule.flow { T = 4, shift = 3 }:noise(2), 1e-15)
  end)

  it("edm and the karras grid are the published 18 levels", function()
    local want = { 80, 57.58598472, 40.7855738, 28.3745846, 19.35245298, 12.91008238, 8.400935309,
      5.315194522, 3.25682152, 1.923339837, 1.088170637, 0.5853481232, 0.2964422845, 0.1395164687,
      0.05994731124, 0.02293451837, 0.007528019963, 0.002 }
    local edm = d.schedule.edm { T = 18 }
    for i, sigma in ipairs(want) do assert.near(1, edm:sigma(19 - i) / sigma, 1e-9) end
    local fine = d.schedule.edm { T = 1000 }
    local times = d.grid.karras(fine, 18):times()
    for i, sigma in ipairs(want) do assert.near(1, fine:sigma(times[i]) / sigma, 1e-9) end
    assert.same({ 1000 }, d.grid.karras(fine, 1):times())
  end)

  it("come back from their configs", function()
    local from_config = require("diffusion.schedule").schedule.from_config
    for _, s in ipairs { d.schedule.vp { T = 20 }, d.schedule.ve { T = 20 }, d.schedule.edm { T = 20 },
                         d.schedule.flow { T = 20, shift = 2 } } do
      local same = assert(from_config(s:config()))
      for t = 1, 20 do
        assert.equal(s:signal(t), same:signal(t))
        assert.equal(s:noise(t), same:noise(t))
      end
    end
  end)

  it("sample: every sampler on a straight path and an exploding one", function()
    local oracle = d.oracle.gaussian { mean = { 1 }, std = 0.5 }
    for _, case in ipairs { { d.schedule.flow { T = 400 }, "flow" }, { d.schedule.ve { T = 400 }, "edm" } } do
      local p = d.process { schedule = case[1], predict = case[2] }
      for _, name in ipairs(d.sampler.names()) do
        local x = d.sample { model = oracle:denoiser(p), process = p, shape = { 4000, 1 }, sampler = name,
                             steps = 400, seed = 1 }
        assert.near(1, x:mean():item(), 0.05)
        assert.near(0.5, x:std():item(), 0.03)
      end
    end
  end)
end)

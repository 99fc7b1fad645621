-- Multistep solvers that use earlier values and the grid's own levels, lower orders at the
-- end, and the two samplers for distilled networks. Orders and identities are tested in
-- double.
local d = require "diffusion"
local fails = require "spec.support.fails"

local mixture = d.oracle.mixture { means = { { -1 }, { 0.4 }, { 1.2 } }, std = { 0.3, 0.2, 0.4 },
                                   weights = { 0.3, 0.5, 0.2 } }
local p = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "x0" }

local function ends(sampler, grid)
  return d.sample { model = mixture:denoiser(p), process = p, shape = { 20, 1 }, seed = 2, sampler = sampler,
                    grid = grid or d.grid.trailing(p, 12) }
end

local function same(one, other, grid)
  local gap = (ends(one, grid) - ends(other, grid)):abs():max():item()
  assert.is_true(gap < 1e-12, ("%g apart"):format(gap))
end

local function different(one, other, grid)
  assert.is_true((ends(one, grid) - ends(other, grid)):abs():max():item() > 1e-6)
end

describe("the order of", function()
  local thirds = { 81, 162, 324 }
  for _, row in ipairs {
    { { "dpm_solver_multistep" }, 1.9 }, { { "dpm_solver_multistep", form = "heun" }, 1.9 },
    { { "dpm_solver_multistep", order = 3 }, 2.9, { start = 2 } }, { { "dpmpp_2m", form = "heun" }, 1.9 },
    { { "dpmpp_singlestep" }, 1.9 }, { { "dpmpp_singlestep", form = "heun" }, 1.9 },
    { { "dpm_solver_singlestep" }, 1.9 }, { { "dpm_solver_singlestep", form = "heun" }, 1.9 },
    { { "dpmpp_singlestep", order = 3, lower_order_final = false }, 2.8, { steps = thirds } },
    { { "dpmpp_singlestep", order = 3, form = "heun", lower_order_final = false }, 2.8, { steps = thirds } },
    { { "dpm_solver_singlestep", order = 3, lower_order_final = false }, 2.8, { steps = thirds } },
    { { "dpm_solver_singlestep", order = 3, form = "heun", lower_order_final = false }, 2.8, { steps = thirds } },
    { { "sa_solver", tau = 0, variant = "bh1" }, 1.9 }, { { "sa_solver", tau = 0, corrector = 3 }, 2.8, { start = 2 } },
    { { "unipc_eps" }, 2.8 }, { { "unipc_eps", variant = "bh1" }, 2.8 }, { { "unipc_eps", order = 3 }, 3.4 },
  } do
    local sampler, least, options = table.unpack(row)
    local words = ("%s %s %s"):format(sampler[1], sampler.order or "", sampler.form or sampler.variant or "")
    it(("%s is at least %.1f"):format(words, least),
      function()
        local o = { quiet = true, samples = 8, exact = 300, steps = { 80, 160, 320 } }
        for key, value in pairs(options or {}) do o[key] = value end
        local order = d.check.order(sampler, mixture, o)
        assert.is_true(order >= least and order < least + 0.8, ("order %.3f"):format(order))
      end)
  end
end)

describe("samplers that are one another:", function()
  it("of order 1, all of them and ddim", function()
    for _, name in ipairs { "dpm_solver_multistep", "dpmpp_singlestep", "dpm_solver_singlestep" } do
      same({ name, order = 1 }, "ddim")
    end
    same({ "unipc_eps", order = 1, corrector = false }, "ddim")
  end)

  it("sa_solver without its corrector, and dpmpp_2m, dpmpp_3m and dpmpp_2m_sde by the whole integral", function()
    same({ "sa_solver", tau = 0, corrector = 0 }, { "dpmpp_2m", form = "heun" })
    same({ "sa_solver", tau = 0, corrector = 0, predictor = 3 }, { "dpmpp_3m", form = "heun" })
    for _, tau in ipairs { 0.5, 1 } do
      same({ "sa_solver", tau = tau, corrector = 0 }, { "dpmpp_2m_sde", form = "heun", eta = tau ^ 2 })
    end
    same({ "sa_solver", tau = function(t) return t > 400 and 1 or 0 end, predictor = 1, corrector = 0 },
      function(denoise, process, opts)
        local noisy = { mix = opts.mix, mix_path = opts.mix_path, mix_noise = opts.mix_noise }
        local sde, ode = d.sampler.step({ "ddim", eta = 1 }, denoise, process, noisy),
          d.sampler.step("ddim", denoise, process, noisy)
        return function(x, pair) return (pair.t > 400 and sde or ode)(x, pair, {}) end
      end)
  end)

  it("a block of the grid's levels and a step whose levels are halfway, or thirds, in lambda", function()
    local coarse, fine = {}, {}
    for i = 0, 6 do
      coarse[i + 1] = p.schedule:level_of_sigma(20 * 0.001 ^ (i / 6))
      for k = 0, i < 6 and 1 or 0 do fine[#fine + 1] = p.schedule:level_of_sigma(20 * 0.001 ^ ((i + k / 2) / 6)) end
    end
    local function by(sampler, times)
      local last = table.remove(times)
      local x = ends(sampler, d.grid.list(p, times, { last = last }))
      times[#times + 1] = last
      return x
    end
    local gap = by({ "dpm_solver", order = 2 }, coarse) - by({ "dpm_solver_singlestep", lower_order_final = false,
      form = "midpoint" }, fine)
    -- DPM-Solver-2 has its middle stand for all: the midpoint form, exactly
    assert.is_true(gap:abs():max():item() < 1e-10)
    gap = by("dpmpp_2s", coarse) - by({ "dpmpp_singlestep", lower_order_final = false }, fine)
    assert.is_true(gap:abs():max():item() < 1e-10)
  end)

  it("orders said one by one and the same as a rule", function()
    same({ "dpmpp_singlestep", order = 3 }, { "dpmpp_singlestep", orders = { 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 1 } })
    same({ "dpmpp_singlestep", orders = { 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
      { "dpmpp_singlestep", orders = { 1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1 } })
    different({ "dpmpp_singlestep", order = 3 }, { "dpmpp_singlestep", order = 2 })
    fails("singlestep: orders must be 12 whole numbers in 1..3, one a step, but number 1 of 2 is 1", ends,
      { "dpmpp_singlestep", orders = { 1, 2 } })
    fails("but number 2 of 12 is 4", ends, { "dpmpp_singlestep", orders = { 1, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } })
  end)
end)

describe("sa_solver", function()
  it("corrects with the noise that it predicted with: its variance is the data's, tau as it may be", function()
    local q = d.process { schedule = d.schedule.vp { T = 1000 }, predict = "x0" }
    for _, tau in ipairs { 0, 0.5, 1 } do
      local _, variance = d.check.moments({ "sa_solver", tau = tau }, { process = q, std = 0.5, steps = 400 })
      assert.is_true(math.abs(variance - 0.25) < 2e-3, ("%g: %g"):format(tau, variance))
    end
  end)

  it("goes along one Brownian path, and on from a file", function()
    local function run(seed)
      return d.sampler.steps { model = mixture:denoiser(p), process = p, shape = { 4, 1 }, steps = 20, seed = seed,
                               noise = "brownian", sampler = "sa_solver" }
    end
    local one, path = run(1), os.tmpname()
    for _ = 1, 7 do one() end
    assert.is_true(one:save(path))
    local other = run(2)
    assert.is_true(other:load(path))
    os.remove(path)
    assert.is_true(one:finish():equal(other:finish()))
  end)

  it("refuses a tau that is none", function()
    fails("sa_solver: tau must be 0 or more, got -1 at t = 1000", ends, { "sa_solver", tau = function() return -1 end })
    fails("sa_solver: tau must be 0 or more, got nil at t = 1000", ends, { "sa_solver", tau = function() end })
    fails("option 'tau': number or function in [0, inf) expected, got -1", ends, { "sa_solver", tau = -1 })
  end)
end)

describe("lower orders at the end", function()
  local grid = d.grid.trailing(p, 12, { last = 1 })

  it("are for runs of fewer steps than lower_order_final", function()
    for _, name in ipairs { "dpmpp_2m", "dpmpp_3m", "dpm_solver_multistep", "deis", "unipc", "unipc_eps" } do
      same({ name, lower_order_final = 12 }, name, grid)
      different({ name, lower_order_final = 13 }, name, grid)
    end
  end)

  it("or for the last step alone, by euler_at_final: then it is ddim's", function()
    for _, sampler in ipairs { { "dpmpp_2m", euler_at_final = true }, { "dpm_solver_multistep", euler_at_final = true },
      { "dpmpp_3m", lower_order_final = 13 } } do
      local run = d.sampler.steps { model = mixture:denoiser(p), process = p, shape = { 5, 1 }, seed = 3, grid = grid,
                                    sampler = sampler }
      for _ = 1, 11 do run() end
      local before = run.x:clone()
      local step = run()
      local ddim = d.sample { model = mixture:denoiser(p), process = p, init = before, sampler = "ddim",
                              grid = d.grid.list(p, { step.t }, { last = step.s }) }
      assert.is_true((run.x - ddim):abs():max():item() < 1e-12)
    end
  end)
end)

describe("dpmpp_2m_inversion", function()
  it("goes where dpmpp_2m comes back from, with an error that falls as 1/N^2", function()
    local x0, gaps = mixture:sample(40, { seed = 8 }), {}
    for k, N in ipairs { 100, 200 } do
      local times = {}
      for i = 0, N - 1 do times[i + 1] = p.schedule:level_of_sigma(20 * 0.001 ^ (i / N)) end
      local grid = d.grid.list(p, times, { last = p.schedule:level_of_sigma(0.02) })
      local function run(init, sampler)
        return d.sample { model = mixture:denoiser(p), process = p, init = init, grid = grid, sampler = sampler }
      end
      gaps[k] = (run(run(x0, "dpmpp_2m_inversion"), "dpmpp_2m") - x0):square():mean():item() ^ 0.5
    end
    assert.is_true(math.log(gaps[1] / gaps[2], 2) > 1.7, ("%g, %g"):format(gaps[1], gaps[2]))
  end)
end)

describe("for distilled networks", function()
  -- coefficients of {x0, eps, z} of the step from x_t = a_t x0 + s_t eps, by a model that knows them
  local function step(sampler, process, t, s)
    local sigma = 0
    local function mix(...)
      local out, all = { 0, 0 }, { ... }
      for i = 1, #all, 2 do
        for k = 1, 2 do out[k] = out[k] + all[i] * all[i + 1][k] end
      end
      return out
    end
    local function mix_noise(c, ...)
      sigma = c
      return mix(...)
    end
    local x = { process.schedule:signal(t), process.schedule:noise(t) }
    local made = d.sampler.step(sampler, function() return { 1, 0 }, { 0, 1 } end, process,
      { mix = mix, mix_noise = mix_noise, mix_path = mix_noise })
    local y = made(x, { t = t, s = s, i = 1, n = 2 }, {})
    return y[1], y[2], sigma
  end

  it("tcd keeps to q(x_s | x0), and to ddim at gamma = 0", function()
    local schedule = p.schedule
    for _, gamma in ipairs { 0, 0.3, 1 } do
      for _, s in ipairs { 1, 2, 400, 899 } do
        local a, eps, z = step({ "tcd", gamma = gamma }, p, 900, s)
        assert.is_true(math.abs(a - schedule:signal(s)) < 1e-12)
        assert.is_true(math.abs(eps ^ 2 + z ^ 2 - schedule:noise(s) ^ 2) < 1e-12)
        local m = math.floor((1 - gamma) * (s - 1)) + 1 -- the turning point
        assert.is_true(math.abs(eps - schedule:noise(m) * schedule:signal(s) / schedule:signal(m)) < 1e-12)
        if gamma == 0 then assert.equal(0, z) end
      end
      assert.same({ 1, 0, 0 }, { step({ "tcd", gamma = gamma }, p, 900, 0) })
    end
    fails("option 'gamma': number in [0, 1] expected, got 1.5", ends, { "tcd", gamma = 1.5 })
  end)

  it("consistency adds what lies above the first level, and no eps", function()
    local edm = d.process { schedule = d.schedule.edm {}, predict = "x0" }
    for _, s in ipairs { 2, 400, 899 } do
      local a, eps, z = step("consistency", edm, 900, s)
      assert.same({ 1, 0 }, { a, eps })
      assert.is_true(math.abs(z ^ 2 + edm.schedule:sigma(1) ^ 2 - edm.schedule:sigma(s) ^ 2) < 1e-9)
    end
    for _, s in ipairs { 0, 1 } do assert.same({ 1, 0, 0 }, { step("consistency", edm, 900, s) }) end
  end)
end)

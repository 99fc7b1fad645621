-- Samplers in double. Their orders are measured on a mixture with an exact score: weights
-- 0.3, 0.5, 0.2 at -1, 0.4, 1.2 with widths 0.3, 0.2, 0.4. Steps of equal ln sigma go
-- from sigma 20 to 0.02, and start from 8 samples of N(0, 20^2).
local d = require "diffusion"
local fails = require "spec.support.fails"

local mixture = d.oracle.mixture { means = { { -1 }, { 0.4 }, { 1.2 } }, std = { 0.3, 0.2, 0.4 },
                                   weights = { 0.3, 0.5, 0.2 } }

local function order_of(sampler, options)
  local o = { quiet = true, samples = 8, exact = 300 }
  for k, v in pairs(options or {}) do o[k] = v end
  return d.check.order(sampler, mixture, o)
end

describe("the order of", function()
  -- at least, and the options: start = 2 feeds two exact steps to a history
  local table_of = {
    { "ddim", 0.97 }, { "euler", 0.97 }, { { "dpm_solver", order = 1 }, 0.97 },
    { "heun", 1.95 }, { "dpm2", 1.95 }, { "dpmpp_2m", 1.95 }, { "dpmpp_2s", 1.95 },
    { { "dpm_solver", order = 2 }, 1.95 }, { { "deis", order = 2 }, 1.95 }, { "plms", 1.95 },
    { { "plms", start = "runge_kutta" }, 1.95 }, { "ipndm", 1.95 }, { { "unipc", order = 1 }, 1.95 },
    { "dpmpp_3m", 2.9, { start = 2 } }, { "dpmpp_3s", 2.9 }, { "dpm_solver", 2.9 },
    { "deis", 2.9, { start = 2 } }, { { "lms", order = 3 }, 2.9, { start = 2 } },
    { { "unipc", order = 2 }, 2.85 }, { { "unipc", order = 2, variant = "bh1" }, 2.85 },
    { { "unipc", order = 3 }, 3.5 }, { { "unipc", order = 3, variant = "bh1" }, 3.5 },
    { "lms", 3.85, { start = 3 } }, { { "deis", order = 4 }, 3.7, { start = 3 } },
  }
  for _, row in ipairs(table_of) do
    local name, least, options = table.unpack(row)
    local words = type(name) == "table" and name or { name }
    local title = ("%s %s %s"):format(words[1], words.order or "", words.variant or words.start or "")
    it(("%s is at least %.2f"):format(title, least), function()
      local order, rows = order_of(name, options)
      assert.is_true(order >= least and order < least + 0.6, ("order %.3f"):format(order))
      assert.equal(4, #rows)
    end)
  end

  it("third-order multistep as peers ship it, without the 2 of its second difference, is two", function()
    local order = order_of({ "dpmpp_3m", d2 = 1 }, { start = 2 })
    assert.is_true(order > 1.9 and order < 2.1, ("order %.3f"):format(order))
  end)

  it("a multistep sampler without exact first steps is that of its start", function()
    assert.is_true(order_of "dpmpp_3m" < 2.5)
  end)

  it("a sampler that is wrong shows", function()
    -- dpmpp_2m with half of its correction forgotten
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
    local order = order_of(halved)
    assert.is_true(order < 1.2, ("order %.3f"):format(order))
  end)
end)

describe("d.check.order", function()
  it("holds samplers to the truth: in one dimension the flow keeps each sample's quantile", function()
    local function quantile(y, sigma)
      local total = 0
      for k, m in ipairs { -1, 0.4, 1.2 } do
        local std = math.sqrt(({ 0.09, 0.04, 0.16 })[k] + sigma ^ 2)
        total = total + ({ 0.3, 0.5, 0.2 })[k] / 2 * d.tensor { (m - y) / (std * math.sqrt(2)) }:erfc():item()
      end
      return total
    end
    local function transported(y)
      local q, low, high = quantile(y, 20), -5, 5
      for _ = 1, 80 do
        local middle = (low + high) / 2
        if quantile(middle, 0.02) < q then low = middle else high = middle end
      end
      return low
    end
    local p = d.process { schedule = d.schedule.ve { T = 1000, sigma_min = 0.02, sigma_max = 20 }, predict = "x0" }
    local y = d.randn({ 8, 1 }, { seed = 1 }) * 20
    local run = d.sampler.steps { model = mixture:denoiser(p), process = p, init = y, grid = { 1000, 1 },
                                  sampler = { "rk45", atol = 1e-11, rtol = 1e-11 } }
    local first = run()
    for i = 1, 8 do assert.near(transported(y[i][1]), first.x[i][1], 1e-9) end
  end)

  it("prints a row for each number of steps, and says what is wrong with them", function()
    local lines, print_was = {}, print
    _G.print = function(line) lines[#lines + 1] = line end
    local ok, order, rows = pcall(d.check.order, "heun", mixture, { samples = 2, steps = { 10, 20 }, exact = 200 })
    _G.print = print_was
    assert(ok, order)
    assert.equal(3, #lines)
    assert.matches("steps +evaluations +error +order", lines[1])
    assert.matches("^ +10 +20 +%d%.%d+e%-%d+ *$", lines[2])
    assert.matches("^ +20 +40 .*%d%.%d%d$", lines[3])
    assert.equal(order, rows[2][3])
    fails("a distribution of d.oracle expected, got 3", d.check.order, "heun", 3)
    fails("sigma goes from 20 to 0.001, but it must fall within the process's 20291.2 to 0.00642541", d.check.order,
      "heun", mixture, { to = 0.001 })
    fails("sigma goes from 1 to 2,", d.check.order, "heun", mixture, { from = 1, to = 2 })
    fails("at least two numbers of steps", d.check.order, "heun", mixture, { steps = { 10 } })
    fails("number 2 is 10", d.check.order, "heun", mixture, { steps = { 10, 10 } })
    fails("ddim_inversion goes from data to noise", d.check.order, "ddim_inversion", mixture)
    fails("number 1 is 2.5", d.check.order, "heun", mixture, { steps = { 2.5, 10 } })
  end)
end)

describe("samplers that are one another:", function()
  local p = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "x0" }
  local model = mixture:denoiser(p)
  local function ends(sampler, grid, process)
    return d.sample { model = process and mixture:denoiser(process) or model, process = process or p,
                      shape = { 20, 1 }, seed = 2, sampler = sampler, grid = grid or d.grid.trailing(p, 20) }
  end
  local function same(one, other, ...)
    local gap = (ends(one, ...) - ends(other, ...)):abs():max():item()
    assert.is_true(gap < 1e-12, ("%g apart"):format(gap))
  end

  it("euler, ddim, dpm_solver of order 1, deis of order 1, lms of order 1", function()
    for _, name in ipairs { "euler", "deis", "lms", "dpm_solver" } do
      same("ddim", name == "euler" and name or { name, order = 1 })
    end
  end)
  it("unipc of order 3 without its corrector and dpmpp_3m from their third step on", function()
    local grid = d.grid.trailing(p, 20)
    local three, pc = ends("dpmpp_3m"), ends({ "unipc", order = 3, corrector = false })
    assert.is_true((three - pc):abs():max():item() < 1e-12)
    assert.equal(20, #grid)
  end)
  it("unipc of order 1 without its corrector and ddim; of order 2, bh2, and dpmpp_2m", function()
    same({ "unipc", order = 1, corrector = false }, "ddim")
    same({ "unipc", order = 2, corrector = false }, "dpmpp_2m")
  end)
  it("flow_euler and ddim, on a straight path", function()
    local flow = d.process { schedule = d.schedule.flow { T = 1000 }, predict = "flow" }
    same("flow_euler", "ddim", d.grid.trailing(flow, 20), flow)
  end)
  it("plms and ipndm, but for their first step, when that is exact", function()
    -- on a model whose eps is constant every step is ddim's
    local eps = d.full({ 4, 2 }, 0.7)
    local q = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "eps" }
    local function of(name)
      return d.sample { model = function() return eps end, process = q, shape = { 4, 2 }, seed = 1, sampler = name,
                        steps = 7, grid = { 90, 70, 50, 30, 20, 10, 2 } }
    end
    for _, name in ipairs { "plms", "ipndm", "lms", "deis", "heun", "dpm2", "dpm_solver", "euler" } do
      assert.is_true((of(name) - of "ddim"):abs():max():item() < 1e-12, name)
    end
  end)
  it("all, where the model always says the same x0: there they land, in any number of steps", function()
    local star = d.randn({ 3, 2 }, { seed = 4 })
    local function point() return star end
    for _, schedule in ipairs { d.schedule.linear {}, d.schedule.flow {}, d.schedule.edm {} } do
      local q = d.process { schedule = schedule, predict = "x0" }
      for _, name in ipairs(d.sampler.names()) do
        local flow = name:find "^flow"
        local own = name == "lcm" or name:find "inversion" -- these go elsewhere
        if not own and (not flow or schedule.name == "flow") then
          for _, steps in ipairs { 1, 2, 5 } do
            local x = d.sample { model = point, process = q, shape = { 3, 2 }, sampler = name, steps = steps, seed = 1 }
            assert.is_true((x - star):abs():max():item() < 1e-9, name .. steps .. schedule.name)
          end
        end
      end
    end
  end)
  it("equivariant: data, levels and noise of a VE process scaled by c scale what comes out by c", function()
    local c, small, large = 3, {}, {}
    for _, name in ipairs { "heun", "dpm2", "lms", "dpmpp_2m", "dpmpp_3m", "unipc", "deis", "ddpm", "plms" } do
      for k, out in ipairs { small, large } do
        local u = k == 2 and c or 1
        local o = d.oracle.mixture { means = { { -1 * u }, { 0.5 * u } }, std = 0.2 * u }
        local q = d.process { predict = "x0",
          schedule = d.schedule.ve { T = 100, sigma_min = 0.02 * u, sigma_max = 20 * u } }
        out[name] = d.sample { model = o:denoiser(q), process = q, init = d.randn({ 9, 1 }, { seed = 1 }) * (20 * u),
                               sampler = name, steps = 12, seed = 1 }
      end
      assert.is_true((small[name] * c - large[name]):abs():max():item() < 1e-11, name)
    end
  end)
end)

describe("adaptive samplers", function()
  local p = d.process { schedule = d.schedule.vp { T = 1000 }, predict = "x0" }
  local model = mixture:denoiser(p)
  local function run(sampler, n)
    local r = d.sampler.steps { model = model, process = p, shape = { n or 40, 1 }, sampler = sampler, seed = 5 }
    return r:finish(), r.evaluations
  end

  it("keep to what is allowed: ten times less error for ten times less of it", function()
    local truth = run { "rk45", atol = 1e-12, rtol = 1e-12 }
    for _, make in ipairs { function(tol) return { "rk45", atol = tol, rtol = tol } end,
                            function(tol) return { "dpm_adaptive", atol = tol, rtol = tol, order = 2 } end,
                            function(tol) return { "dpm_adaptive", atol = tol, rtol = tol, order = 3 } end } do
      for _, tol in ipairs { 1e-3, 1e-4, 1e-5 } do
        local x, asked = run(make(tol))
        local gap = (x - truth):square():mean():item() ^ 0.5
        assert.is_true(gap < 40 * tol, ("%s: %g for %g"):format(make(tol)[1], gap, tol))
        assert.is_true(asked < 2000)
      end
    end
  end)

  it("give a sample its own steps, whatever the batch", function()
    for _, name in ipairs { "rk45", "dpm_adaptive" } do
      local all, one = run(name), run(name, 1)
      assert.equal(all[1][1], one[1][1])
    end
  end)

  it("start where x_T holds no signal: on data N(0, std^2) x moves as its standard deviation", function()
    local std, q = 0.5, d.oracle.gaussian { mean = { 0 }, std = 0.5 }
    for _, case in ipairs { { d.schedule.cosine { T = 200 }:rescale_zero_terminal_snr(), "v", 3e-5 },
                            { d.schedule.flow { T = 200 }, "flow", 3e-5 } } do
      local zero = d.process { schedule = case[1], predict = case[2] }
      local s = zero.schedule
      for _, last in ipairs { 0, 1, 150, 199 } do
        local grid = d.grid.list(zero, { 200 }, { last = last })
        local z = d.randn({ 9, 1 }, { seed = 6 })
        local x = d.sample { model = q:denoiser(zero), process = zero, init = z, grid = grid,
                             sampler = { "rk45", rtol = 1e-9, atol = 1e-9 } }
        local a, n = s:signal(math.max(1, last)), s:noise(math.max(1, last))
        local spread = a ^ 2 * std ^ 2 + n ^ 2
        local want = z * (last > 0 and math.sqrt(spread) or a * std ^ 2 / math.sqrt(spread))
        local gap = (x - want):abs():max():item()
        assert.is_true(gap < case[3], ("%s to %d: %g"):format(s.name, last, gap))
      end
    end
  end)

  it("say so where a denoiser is not smooth, and don't go on for ever", function()
    local function rough(x, t) return x * 0 + (math.sin(t[1] * 1e9) > 0 and 1 or -1) end
    local function lost(x) return x * d.tensor { { 0 }, { 0 / 0 } } end
    local function of(name, denoise, n)
      return { model = denoise, process = p, shape = { n, 1 }, sampler = { name, most = 50, rtol = 1e-6, atol = 1e-6 } }
    end
    for _, name in ipairs { "rk45", "dpm_adaptive" } do
      fails("not at the end after most = 50 steps", d.sample, of(name, rough, 1))
      fails("the step of sample 2 has shrunk", d.sample, of(name, lost, 2))
    end
  end)
end)

describe("ddim_inversion", function()
  local p = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "eps" }
  local model = mixture:denoiser(p)
  local x0 = mixture:sample(50, { seed = 8 })
  local function there_and_back(N, options)
    local grid = d.grid.trailing(p, N)
    local inversion = { "ddim_inversion", exact = options.exact, at = options.at, tolerance = options.tolerance }
    local up = d.sampler.steps { model = model, process = p, init = x0, grid = grid, sampler = inversion }
    local noise = up:finish()
    local back = d.sample { model = model, process = p, init = noise, grid = grid, sampler = "ddim" }
    return (back - x0):square():mean():item() ^ 0.5, up
  end

  it("comes back with an error that falls as 1/N", function()
    for _, at in ipairs { "s", "t" } do
      local coarse, fine = there_and_back(100, { at = at }), there_and_back(200, { at = at })
      local order = math.log(coarse / fine, 2)
      assert.is_true(order > 0.8 and order < 1.6, ("%s: %g, %g: order %.2f"):format(at, coarse, fine, order))
    end
  end)

  it("is exact by iteration, and tells its residual", function()
    local gap, run = there_and_back(20, { exact = true, tolerance = 1e-13 })
    assert.is_true(gap < 1e-11, ("%g"):format(gap))
    assert.is_true(run.history.residual <= 1e-13)
    local _, rough = there_and_back(20, { exact = true, tolerance = 1e-3 })
    assert.is_true(rough.history.residual > 1e-13 and rough.history.residual <= 1e-3)
  end)

  it("ends as noise where the schedule ends without signal, by dpmpp_2m too", function()
    local q = d.process { schedule = d.schedule.linear { T = 100 }:rescale_zero_terminal_snr(), predict = "v" }
    for _, name in ipairs { "ddim_inversion", "dpmpp_2m_inversion" } do
      local x = d.sample { model = mixture:denoiser(q), process = q, init = mixture:sample(400, { seed = 1 }),
                           steps = 50, sampler = name }
      assert.near(1, x:std():item(), 0.15, name)
    end
  end)

  it("walks the grid upwards", function()
    local seen = {}
    d.sample { model = model, process = p, init = x0, grid = { 900, 400, 100 }, sampler = "ddim_inversion",
               on_step = function(step) seen[#seen + 1] = { step.i, step.t, step.s } end }
    assert.same({ { 1, 100, 0 }, { 2, 400, 100 }, { 3, 900, 400 } }, seen)
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
      for _, name in ipairs { "ddpm", "ddim", "dpmpp_2m", "unipc", "heun", "lms" } do
        local x = d.sample { model = oracle:denoiser(p), process = p, shape = { 4000, 1 }, sampler = name,
                             steps = 400, seed = 1 }
        assert.near(1, x:mean():item(), 0.05)
        assert.near(0.5, x:std():item(), 0.03)
      end
    end
  end)
end)

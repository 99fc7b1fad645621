-- The run object: stepping, cloning, saving, changing x, the same bits alone or in a
-- batch, and errors for wrong options. spec/theory compares the results of samplers with
-- theory.
local d = require "diffusion"
local child = require "spec.support.child"
local fails = require "spec.support.fails"
local core = require "diffusion.core"
local families = require "diffusion.sampler.families"

-- Samplers from noise to data on any schedule.
local downward = {}
for _, name in ipairs(d.sampler.names()) do
  local _, solver = families.resolve(name)
  if not solver.upward and not name:find "^flow" then downward[#downward + 1] = name end
end

describe("a run", function()
  local p = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "v" }
  local oracle = d.oracle.mixture { means = { { -1, 0 }, { 1, 0.5 } }, std = 0.2 }
  local model = oracle:denoiser(p)
  local ten = { 180, 160, 140, 120, 100, 80, 60, 40, 20, 10 }

  local function run_of(o)
    local options = { model = model, process = p, shape = { 5, 2 }, sampler = "dpmpp_2m",
                      steps = 10, seed = 3 }
    for k, v in pairs(o or {}) do options[k] = v end
    return d.sampler.steps(options)
  end

  it("gives the same bits for sample k alone, in a batch and on any threads", function()
    for _, name in ipairs(downward) do
      local all = run_of { sampler = name, shape = { 64, 2 } }:finish()
      local few = run_of { sampler = name, shape = { 3, 2 } }:finish()
      assert.is_true(all:narrow(1, 1, 3):equal(few), name)
      local before = d.threads()
      for n = 1, 3 do
        d.threads(n)
        assert.is_true(run_of { sampler = name, shape = { 64, 2 } }:finish():equal(all), name)
      end
      d.threads(before)
    end
  end)

  it("is stepped, cloned midway, and both roads end alike", function()
    for _, name in ipairs(downward) do
      local run = run_of { sampler = name, grid = ten }
      for step in run do
        assert.equal(10, step.n)
        if step.i == 4 then break end
      end
      local saved = run:clone()
      assert.is_true(run:finish():equal(saved:finish()), name)
      assert.is_nil(run())
    end
  end)

  it("is saved, and another of the same options goes on where it stood", function()
    local path = os.tmpname()
    for _, name in ipairs(downward) do
      local run, other = run_of { sampler = name, grid = ten }, run_of { sampler = name, grid = ten, seed = 4 }
      for _ = 1, 4 do run() end
      assert(run:save(path))
      assert(other:load(path))
      assert.same({ 4, run.evaluations, run.draws, 3 }, { other.i, other.evaluations, other.draws, other.seed })
      assert.is_true(run:finish():equal(other:finish()), name)
    end
    os.remove(path)
  end)

  it("goes on in another process", function()
    local folder = child.folder()
    child.write(folder .. "/rest.lua", [[
      local d = require "diffusion"
      local p = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "v" }
      local oracle = d.oracle.mixture { means = { { -1, 0 }, { 1, 0.5 } }, std = 0.2 }
      local run = d.sampler.steps { model = oracle:denoiser(p), process = p, shape = { 5, 2 }, sampler = "dpmpp_3m_sde",
                                    steps = 10, noise = "brownian" }
      assert(run:load "run.safetensors")
      assert(d.save("end.safetensors", { x = run:finish() }))
    ]])
    local run = run_of { sampler = "dpmpp_3m_sde", noise = "brownian" }
    for _ = 1, 4 do run() end
    assert(run:save(folder .. "/run.safetensors"))
    local text, how = child.run("rest.lua", { folder = folder })
    assert.equal(0, how, text)
    assert.is_true(run:finish():equal(d.load(folder .. "/end.safetensors").x))
    child.remove(folder)
  end)

  it("refuses files that are not of such a run, and stays as it was", function()
    local path = os.tmpname()
    local function refuses(sentence, run, file)
      local x, i = run.x, run.i
      local ok, message = run:load(file or path)
      assert.is_nil(ok)
      assert.truthy(message:find(sentence, 1, true), message)
      assert.is_true(run.x == x and run.i == i)
    end
    local run = run_of { grid = ten }
    run()
    assert(run:save(path))
    refuses("its sampler is dpmpp_2m, this run's is ddim", run_of { sampler = "ddim", grid = ten })
    refuses("its shape is [5,2], this run's is [4,2]", run_of { grid = ten, shape = { 4, 2 } })
    refuses("it has 10 steps, this run has 2", run_of { grid = { 100, 50 } })
    refuses("its step 9 goes from t = 20 to 10, this run's from 20 to 9",
      run_of { grid = { 180, 160, 140, 120, 100, 80, 60, 40, 20, 9 } })
    refuses("form = 'midpoint', lower_order_final = 0, this run's is euler_at_final = false, form = 'heun'",
      run_of { grid = ten, sampler = { "dpmpp_2m", form = "heun" } })
    refuses("its predict is v, this run's is x0", run_of { grid = ten,
      process = d.process { schedule = p.schedule, predict = "x0" } })
    refuses("its schedule cosine has other levels", run_of { grid = ten,
      process = d.process { schedule = d.schedule.cosine { T = 200, s = 0.02 }, predict = "v" } })
    refuses("its schedule is cosine, this run's is linear", run_of { grid = ten,
      process = d.process { schedule = d.schedule.linear { T = 200 }, predict = "v" } })
    assert(d.save(path, { x = d.ones(2) }))
    refuses("not a file of this library", run_of {})
    assert(io.open(path, "w")):write("xx"):close()
    refuses(path, run_of {})
    refuses("No such file", run_of {}, path .. ".none")
    assert.is_nil((run:save "/nowhere/at/all"))
    os.remove(path)
  end)

  it("keeps what a sampler of one's own puts into its history", function()
    local function own(denoise)
      return function(x, pair, history)
        local x0 = denoise(x, pair.t)
        local mean = history.deep and (history.deep.list[1] + x0) / 2 or x0
        history.deep = { list = { mean }, count = (history.deep and history.deep.count or 0) + 1 }
        return mean
      end
    end
    local run = run_of { sampler = own }
    for _ = 1, 4 do d.scope(function() run() end) end
    assert.equal(4, run.history.deep.count)
    local saved = run:clone()
    assert.is_true(run:finish():equal(saved:finish()))
    assert.equal(10, saved.history.deep.count)
  end)

  it("has not taken a step that failed", function()
    local calls = 0
    local function failing(xt, t, o)
      calls = calls + 1
      if calls == 7 then error "no more" end
      return model(xt, t, o)
    end
    for _, name in ipairs { "unipc", "lms", "ddpm", "dpmpp_3m", "heun" } do
      calls = 0
      local run, whole = run_of { sampler = name, model = failing, grid = ten }, run_of { sampler = name, grid = ten }
      fails("no more", run.finish, run)
      assert.is_true(run:finish():equal(whole:finish()), name)
    end
  end)

  it("takes a step wholly or not at all, wherever it breaks off", function()
    local whole = run_of { sampler = "unipc", grid = ten }
    for _ = 1, 4 do whole() end
    local instructions, broken = 0, 0
    local counting = whole:clone()
    debug.sethook(function() instructions = instructions + 1 end, "", 1)
    counting()
    debug.sethook()
    whole:finish()
    for at = instructions - 120, instructions - 10 do -- the rest is the hook's own end
      local run, left = run_of { sampler = "unipc", grid = ten }, at
      for _ = 1, 4 do run() end
      debug.sethook(function()
        left = left - 1
        if left == 0 then error "broken off" end
      end, "", 1)
      local ok = pcall(run)
      debug.sethook()
      broken = broken + (ok and 0 or 1)
      assert.is_true(run:finish():equal(whole.x), ("instruction %d of %d"):format(at, instructions))
    end
    assert.is_true(broken > 60)
  end)

  it("clones generators that make its noise, and draws again what a step that failed drew", function()
    local function fresh(m)
      return run_of { sampler = "dpmpp_sde", model = m, grid = ten, noise = d.generator { kind = "torch", seed = 3 } }
    end
    local run = fresh()
    for _ = 1, 3 do run() end
    local copy = run:clone()
    assert.is_true(run:finish():equal(copy:finish()))
    local calls = 0
    local failing = fresh(function(xt, t, o)
      calls = calls + 1
      if calls == 8 then error "no more" end
      return model(xt, t, o)
    end)
    fails("no more", failing.finish, failing)
    assert.is_true(failing:finish():equal(run.x))
  end)

  it("counts evaluations of the model, and shows what the first of a step says", function()
    for name, count in pairs { unipc = 10, heun = 19, dpm2 = 19, dpmpp_3s = 28, plms = 11 } do
      local run = run_of { sampler = name, grid = ten }
      for step in run do
        local a, s = p.schedule:signal(step.t), p.schedule:noise(step.t)
        assert.is_true((a * step.x0 + s * step.eps):allclose(step.xt, { atol = 1e-5 }), name)
      end
      assert.equal(count, run.evaluations, name)
    end
  end)

  it("goes over x at most three times a step, or once for each evaluation and once more", function()
    local flow = d.process { schedule = d.schedule.flow { T = 200 }, predict = "v" }
    local passes, asked
    local function denoise(x)
      asked = asked + 1
      return x, x
    end
    local function counted(before) -- a sum whose first x is argument `before` + 2
      return function(...)
        passes = passes + 1
        return (select(before + 2, ...))
      end
    end
    local count = { mix = counted(0), mix_noise = counted(1), mix_path = counted(4) }
    for _, name in ipairs(d.sampler.names()) do
      local _, solver = families.resolve(name)
      local step, x, history = d.sampler.step(name, denoise, name:find "^flow" and flow or p, count), d.ones(2, 2), {}
      for i = 1, solver.whole and 0 or #ten do
        passes, asked = 0, 0
        step(x, { t = ten[i], s = ten[i + 1] or 0, i = i, n = 10 }, history)
        assert.is_true(passes <= math.max(3, asked + 1), ("%s: %d passes"):format(name, passes))
      end
    end
  end)

  it("has steps that stand alone, for loops of one's own", function()
    local function denoise(x, t) return p:estimate(model(x, t), x, t) end
    for _, name in ipairs { "unipc", "ddpm", "dpmpp_2m_sde" } do
      local run, step = run_of { sampler = name, grid = ten, seed = 3 }, d.sampler.step(name, denoise, p, { seed = 3 })
      local x, history = run.x, {}
      for i = 1, 10 do x = step(x, { t = ten[i], s = ten[i + 1] or 0, i = i, n = 10 }, history) end
      assert.is_true(run:finish():equal(x), name)
    end
    fails("unknown option 'sede'; did you mean 'seed'?", d.sampler.step, "ddpm", denoise, p, { sede = 1 })
  end)

  it("is by unipc where no sampler is named", function()
    local run = d.sampler.steps { model = model, process = p, shape = { 1, 2 }, steps = 5, seed = 1 }
    assert.equal("unipc", run.name)
  end)

  it("takes one pair where the sampler finds its own steps", function()
    for _, name in ipairs { "rk45", "dpm_adaptive" } do
      local run = d.sampler.steps { model = model, process = p, shape = { 4, 2 }, sampler = name, seed = 1 }
      assert.equal(1, #run.grid)
      local gap = (run:finish() - run_of { sampler = { "rk45", rtol = 1e-6, atol = 1e-6 }, steps = 1, seed = 1,
        shape = { 4, 2 } }:finish()):abs():max():item()
      assert.is_true(gap < (name == "rk45" and 2e-3 or 0.1), ("%s %g"):format(name, gap))
    end
  end)

  it("forgets its history when x is written", function()
    local run = run_of()
    run()
    run()
    run.x = run.x + 0
    local fresh = run_of { init = run.x, grid = { 160, 140, 120, 100, 80, 60, 40, 20 } }
    assert.is_true(run:finish():allclose(fresh:finish(), { atol = 1e-6 }))
  end)

  it("goes on from one d.scope to the next", function()
    for _, name in ipairs(downward) do
      local run = run_of { sampler = name }
      for _ = 1, 4 do d.scope(function() run() end) end
      assert.is_true(run:finish():equal(run_of { sampler = name }:finish()), name)
      d.scope(function() run.x = d.ones(5, 2) end)
      assert.equal(10, run.x:sum():item())
    end
  end)

  it("starts where eps says something of x0, and shows it, unless grid or init is given", function()
    local blind = d.process { schedule = d.schedule.cosine(), predict = "eps" }
    local function grid_of(o)
      local run = run_of { process = blind, steps = 1000, grid = o.grid, init = o.init }
      return run.grid, tostring(run)
    end
    local grid, text = grid_of {}
    local dropped, first = 1000 - #grid, grid[1][1]
    assert.is_true(dropped > 0 and math.floor(first) + 1 == #grid)
    assert.near(-5.1, blind.schedule:log_snr(first) / 2, 1e-6)
    assert.is_truthy(text:find(("sampler dpmpp_2m  %d steps"):format(#grid), 1, true))
    assert.is_truthy(text:find(("grid trailing from t = %.6g, since before it SNR < 3.7e-05: %d of 1000 steps")
      :format(first, #grid), 1, true), text)
    for _, o in ipairs { { grid = "trailing" }, { grid = d.grid.trailing(blind, 1000) },
                         { init = d.zeros(5, 2) } } do
      assert.same(d.grid.trailing(blind, 1000):times(), grid_of(o):times())
    end
  end)

  it("shows levels and beliefs at each step", function()
    local step = run_of()()
    assert.equal(1, step.i)
    assert.equal(200, step.t)
    assert.equal(180, step.s)
    local a, s = p.schedule:signal(200), p.schedule:noise(200)
    assert.is_true((a * step.x0 + s * step.eps):allclose(step.xt, { atol = 1e-5 }))
  end)

  it("an oracle's samples of one seed share no noise with those of the next", function()
    local normal = d.oracle.mixture { means = { { 0, 0 } }, std = 1 }
    local x, y = normal:sample(2000, { seed = 1 }), d.randn({ 2000, 2 }, { seed = 2 })
    assert.is_true(math.abs((x * y):mean():item()) < 4 / math.sqrt(4000))
  end)

  it("draws from the oracle's distribution", function()
    local x = d.sample { model = model, process = p, shape = { 4000, 2 }, sampler = "ddpm",
                         steps = 200, seed = 1 }
    local gap = d.metric.energy(x, oracle:sample(4000, { seed = 2 }))
    assert.is_true(math.abs(gap) < 0.004, ("energy distance %g"):format(gap))
  end)

  it("guides: scale 1 is the plain model, 0 the one without a class", function()
    local function denoise(xt, _, o)
      return o and o.class and xt * 0 + 1 or xt * 0
    end
    local q = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "x0" }
    for _, scale in ipairs { 0, 1, 2.5 } do
      local x = d.sample { model = denoise, process = q, shape = { 2, 3 }, steps = 4, class = 1,
                           guidance = scale, seed = 1 }
      assert.near(scale, x:mean():item(), 1e-6)
    end
  end)

  it("takes a sampler that is a function", function()
    local x = run_of { sampler = function(denoise)
      return function(x, pair) return pair.s == 0 and denoise(x, pair.t) or x end
    end }:finish()
    assert.same({ 5, 2 }, x:shape())
  end)

  it("names what is wrong with its options", function()
    local function message(o)
      local ok, text = pcall(run_of, o)
      assert.is_false(ok)
      return text
    end
    assert.truthy(message({ sampler = "ddmp" }):find("did you mean 'ddpm'", 1, true))
    assert.truthy(message({ steps = 300 }):find("300", 1, true))
    assert.truthy(message({ class = { 1, 2 } }):find("class is [2] for 5 samples", 1, true))
    assert.truthy(message({ modle = 1 }):find("did you mean 'model'", 1, true))
  end)

  it("leaves no tensors behind", function()
    run_of():finish()
    collectgarbage()
    collectgarbage()
    local before = core.memory().blocks
    run_of { sampler = "ddpm" }:finish()
    collectgarbage()
    collectgarbage()
    assert.equal(before, core.memory().blocks)
  end)
end)

describe("oracles", function()
  it("know their entropy", function()
    local g = d.oracle.gaussian { std = { 0.5, 2 } }
    assert.near(math.log(2 * math.pi * math.exp(1)), g:entropy(), 1e-6)
    local function ring(R)
      local means = {}
      for k = 0, 7 do
        means[#means + 1] = { R * math.cos(k * math.pi / 4), R * math.sin(k * math.pi / 4) }
      end
      return d.oracle.mixture { means = means, std = 0.1 }
    end
    assert.near(0.3121484221, ring(2):entropy(), 1e-5)
    assert.near(0.311766842, ring(1):entropy(), 1e-5)
  end)

  it("denoise as the gradient of their log density says (Tweedie)", function()
    -- E[x0 | xt] = (xt + s^2 grad log p_t(xt)) / a, with p_t the oracle widened by the noise
    local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "score" }
    local cov = d.tensor { { 1, 0.3 }, { 0.3, 0.5 } }
    local g = d.oracle.gaussian { mean = { 1, -1 }, cov = cov }
    local xt, t = d.randn({ 6, 2 }, { seed = 1 }), 40
    local a, s = p.schedule:signal(t), p.schedule:noise(t)
    local widened = d.oracle.gaussian { mean = { a, -a }, cov = cov * a ^ 2 + d.eye(2) * s ^ 2 }
    local score = d.grad(function(x) return widened:log_prob(x):sum() end, xt)
    assert.is_true(g:denoiser(p)(xt, t):allclose(score, { atol = 1e-4 }))
    local m = d.oracle.mixture { means = { { -1, 0 }, { 1, 1 } }, std = { 0.3, 0.5 },
                                 weights = { 1, 3 } }
    local wide = d.oracle.mixture { means = { { -a, 0 }, { a, a } }, weights = { 1, 3 },
      std = { math.sqrt(a ^ 2 * 0.09 + s ^ 2), math.sqrt(a ^ 2 * 0.25 + s ^ 2) } }
    score = d.grad(function(x) return wide:log_prob(x):sum() end, xt)
    assert.is_true(m:denoiser(p)(xt, t):allclose(score, { atol = 1e-4 }))
  end)

  it("take one level for a batch or one each", function()
    local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "eps" }
    local m = d.oracle.mixture { means = { { -1 }, { 1 } }, std = 0.2 }
    local x = d.randn({ 3, 1 }, { seed = 4 })
    local each = m:denoiser(p)(x, { 5, 50, 95 })
    for i, t in ipairs { 5, 50, 95 } do
      assert.near(m:denoiser(p)(x:narrow(1, i, 1), t):item(), each[i][1], 1e-5)
    end
  end)
end)

describe("d.sampler.explain", function()
  it("has a line for every sampler, with its source", function()
    local text = d.sampler.explain()
    for _, name in ipairs(d.sampler.names()) do
      local _, solver = families.resolve(name)
      assert.truthy(text:find("\n" .. name .. " ", 1, true), name)
      assert.truthy(text:find(assert(solver.source, name), 1, true), name)
    end
  end)
  it("tells one's options, and what a preset stands for", function()
    assert.matches("order = 2 %(1%.%.3%)", d.sampler.explain "unipc")
    assert.matches("stands for dpmpp_2m with lower_order_final = 15", d.sampler.explain "diffusers-dpmpp-2m")
    assert.matches("including its defect", d.sampler.explain "diffusers-euler-churn-after-model")
    fails("did you mean 'unipc'", d.sampler.explain, "unipcc")
    fails("a sampler's name expected, got 5", d.sampler.explain, 5)
  end)
end)

describe("a sampler that is asked amiss", function()
  local S = d.schedule
  local p = d.process { schedule = S.linear { T = 100 } }
  local model = d.mlp { dim = 2, hidden = 8, depth = 2 }
  local function run(o, process)
    local all = { model = model, process = process or p, shape = { 4, 2 }, steps = 5, seed = 1 }
    for k, v in pairs(o) do all[k] = v end
    return d.sampler.steps(all)
  end

  it("says so at the user's line", function()
    fails("valid: beta, exponential, karras, leading", run, { grid = "zzz" })
    fails("init: " .. core.real .. " [4,2] expected, got a tensor [3,2]", run, { init = d.zeros(3, 2) })
    fails("got a tensor [4,2] of u8", run, { init = d.zeros({ 4, 2 }, { dtype = "u8" }) })
    fails("0 or more, got -1", run, { shape = { -1, 2 } })
    fails("sampler_spec.lua", function() local r = run { shape = { -1, 2 } } return r end)
    fails("'shape' is empty", run, { shape = {} })
    fails("option 'class'", run, { class = false })
    fails("class 2 is 1.5", run, { class = { 1, 1.5, 1, 1 } })
    fails("unknown option 'etta'; did you mean 'eta'?", run, { sampler = { "ddim", etta = 1 } })
    fails("[0, inf) expected, got -1", run, { sampler = { "ddim", eta = -1 } })
    fails("unknown option 'eta'", run, { sampler = { "ddpm", eta = 1 } })
    fails("[1, 3] expected, got 4", run, { sampler = { "unipc", order = 4 } })
    fails("use d.schedule.flow", function() return run { sampler = "flow_heun" }() end)
    fails("give the data as option 'init'", run, { sampler = "ddim_inversion" })
    local cosine = S.cosine { T = 100 }
    fails("the grid was made for schedule cosine, where sigma at t = 100 is", run,
      { grid = d.grid.trailing(cosine, 5) })
    fails("the grid was made for T = 1000, but the process has T = 100", run, { grid = d.grid.trailing(1000, 5) })
    assert.equal(5, #run { grid = d.grid.trailing(100, 5) }.grid)
    for _, name in ipairs { "edm", "lucidrains", "diffusers-leading" } do assert.equal(5, #run { grid = name }.grid) end
    fails("must return its step, function(x, pair, history) -> x, got nil", run, { sampler = function() end })
    for text, y in pairs { ["got nil"] = false, ["got 3"] = 3, ["got a tensor [7]"] = d.zeros(7) } do
      local own = function() return function() return y or nil end end
      local wrong = run { sampler = own, steps = 1 }
      fails("a step's x: " .. core.real .. " [4,2] expected, " .. text, wrong)
      assert.equal(0, wrong.i)
    end
    fails("heun divides by it", d.sampler.step("heun", model, d.process { schedule = S.flow {}, predict = "flow" }),
      d.zeros(4, 2), { t = 1000, s = 900, i = 1, n = 2 }, {})
    local keeps = run { sampler = function() return function(x, _, h) h.f = print return x end end }
    keeps()
    fails("run:save: history.f is a function; tensors, numbers", keeps.save, keeps, os.tmpname())
    fails("the denoiser returned a tensor [4,2] of i64 for xt [4,2]; " .. core.real .. " [4,2] expected",
      run { model = function() return d.zeros({ 4, 2 }, { dtype = "i64" }) end })
  end)

  it("or about what is written to a run", function()
    local r = run {}
    fails("run.x: " .. core.real .. " [4,2] expected, got a tensor [2,2]", function() r.x = d.zeros(2, 2) end)
    fails("run: 'y' can't be written; what can: on_step, x", function() r.y = 5 end)
    r.x:free()
    assert.matches("x is a freed tensor", tostring(r))
    fails("expected, got a freed tensor", r)
    r.x = d.zeros(4, 2)
    r()
  end)

  it("gives karras the steps that were asked for, where eps is unclipped", function()
    local cosine = d.process { schedule = S.cosine { T = 100 } }
    local grid = run({ grid = "karras" }, cosine).grid
    assert.equal(5, #grid)
  end)

  it("refuses eps where x_T holds no signal, and tells the way", function()
    local zero = S.cosine { T = 100 }:rescale_zero_terminal_snr()
    fails("predict v or x0", run, {}, d.process { schedule = zero })
    fails("predict v or x0", run, { sampler = "ddpm" }, d.process { schedule = zero, clip = 1 })
    run({}, d.process { schedule = zero, predict = "v" })
    run({ grid = { 90, 50 } }, d.process { schedule = zero })
    local v = d.process { schedule = zero, predict = "v" }
    fails("heun divides by it", run, { sampler = "heun", grid = "trailing" }, v)
    assert.is_true(run({ sampler = "heun" }, v).grid[1][1] < 100)
  end)

  it("names the denoiser where it returns no x", function()
    for text, f in pairs {
      ["returned nil"] = function() end, ["returned a tensor [1]"] = function() return d.zeros(1) end,
    } do
      fails("the denoiser " .. text .. " for xt [4,2]", run { model = f })
      fails("the denoiser " .. text .. " for xt [4,2]", d.objective { process = p }, f, d.zeros(4, 2))
    end
  end)

  it("takes class 0 for none", function()
    assert(run({ class = 0 }):finish():equal(run({}):finish()))
  end)

  it("wants variances of a variance function", function()
    for text, v in pairs { ["-1"] = -1, ["nan"] = 0 / 0, ["'x'"] = "x", ["nil"] = false } do
      local bad = d.process { schedule = p.schedule, variance = function() return v or nil end }
      fails("the variance function gave " .. text .. " at t = ", run({ sampler = "ddpm" }, bad).finish,
        run({ sampler = "ddpm" }, bad))
    end
  end)
end)

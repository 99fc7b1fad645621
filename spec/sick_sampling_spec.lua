-- A sample that is not finite ends a sampling run at that step. The error names the step,
-- its levels and the number of such samples. nan = "keep" continues, and does not affect
-- the other samples.
local d = require "diffusion"
local fails = require "spec.support.fails"

local cosine = d.process { schedule = d.schedule.cosine { T = 50 }, predict = "x0" }
local flow = d.process { schedule = d.schedule.flow { T = 50 }, predict = "flow" }

-- A denoiser whose answer for sample 2 holds `bad` from evaluation k on.
local function sick_from(k, bad)
  local calls = 0
  return function(x)
    calls = calls + 1
    local y = x * 0.5
    if calls >= k then y[2][1] = bad end
    return y
  end
end

local function options_of(name, model, nan)
  local of = name:find "^flow" and flow or cosine
  local _, upward = pcall(d.sampler.steps, { model = model, process = of, shape = { 1, 2 }, sampler = name })
  local init = tostring(upward):find "give the data" and d.randn({ 4, 2 }, { seed = 3 }) or nil
  return { model = model, process = of, shape = { 4, 2 }, init = init, sampler = name, steps = 6, seed = 1, nan = nan }
end

describe("a sample that isn't finite", function()
  it("is an error of the step, with every sampler", function()
    for _, name in ipairs(d.sampler.names()) do
      for _, bad in ipairs { 0 / 0, 1 / 0 } do
        local run = d.sampler.steps(options_of(name, sick_from(4, bad)))
        local before, i
        local fine, message = pcall(function()
          repeat before, i = run.x, run.i until not run()
        end)
        assert.is_false(fine, name)
        local number, count, from, to, sick, all = message:match(("sampler %s: step (%%d+) of (%%d+), from t = (%%S+) "
          .. "to (%%S+): (%%d+) of (%%d+) samples isn't finite"):format(name))
        assert(number, message)
        assert.same({ tostring(i + 1), tostring(#run.grid), "1", "4" }, { number, count, sick, all })
        local pair = run.grid[name:find "inversion" and #run.grid - i or i + 1]
        assert.same({ ("%.6g"):format(pair[1]), ("%.6g"):format(pair[2]) }, { from, to }, name)
        -- the step was not taken
        assert.is_true(before:equal(run.x) and before:isfinite():all())
        assert.equal(i, run.i)
      end
    end
  end)

  it("goes on with nan = 'keep', alone", function()
    for _, name in ipairs(d.sampler.names()) do
      local function rows_of(x) return x:index(1, { 1, 3, 4 }) end
      local kept = d.sample(options_of(name, sick_from(3, 0 / 0), "keep"))
      assert.is_true(kept[2]:isfinite():eq(0):any(), name)
      local all = d.sample(options_of(name, sick_from(1e9, 0)))
      if name == "rk45" or name == "dpm_adaptive" then assert.is_true(rows_of(kept):isfinite():all(), name)
      else assert.is_true(rows_of(kept):equal(rows_of(all)), name) end
    end
  end)

  it("in runs that are stepped, started, written to or guided", function()
    local nan = d.zeros(4, 2) / 0
    local function run(o)
      o.model, o.process, o.shape, o.steps = o.model or sick_from(1e9, 0), cosine, { 4, 2 }, 5
      return d.sampler.steps(o)
    end
    fails("sampler ddim: step 1 of 5, from t = 50 to 40: 4 of 4 samples aren't finite",
      run { init = nan, sampler = "ddim" })
    local written = run {}
    written()
    written.x = nan
    fails("step 2 of 5, from t = 40 to 30: 4 of 4", written)
    fails("1 of 4", d.sample, { model = sick_from(2, 0 / 0), process = cosine, shape = { 4, 2 }, steps = 5, class = 1,
      guidance = 2 })
    fails("4 of 4", run { noise = function(x) return x / 0 end, sampler = "ddpm" })
    fails("option 'nan': unknown value 'kept'", run, { nan = "kept" })
    local copy = run { model = sick_from(1, 0 / 0), nan = "keep" }
    copy()
    assert.is_true(copy:clone():finish()[2]:isfinite():eq(0):any())
  end)

  it("in a step by itself", function()
    local x, pair = d.randn({ 4, 2 }, { seed = 1 }), { t = 30, s = 20, i = 3, n = 5 }
    local function own(denoise) return function(y, at) return (denoise(y, at.t)) end end
    for _, name in ipairs { "ddim", "heun", "dpmpp_2m", "rk45", "ddpm", own } do
      local function step(nan, at)
        local model = sick_from(1, 0 / 0)
        return d.sampler.step(name, function(y, t) return cosine:estimate(model(y), y, t) end, cosine,
          { seed = 1, nan = nan })(x, at, {})
      end
      local called = name == own and "function" or name
      fails(("sampler %s: step 3 of 5, from t = 30 to 20: 1 of 4"):format(called), step, nil, pair)
      assert.is_true(step("keep", pair)[2]:isfinite():eq(0):any())
    end
  end)

  it("in edits, inversion and reflow", function()
    local x0 = d.randn({ 4, 2 }, { seed = 2 })
    local function edit(name, o)
      o.process, o.steps, o.seed = cosine, 4, name ~= "invert" and 1 or nil
      local function given(k, nan)
        local copy = { model = sick_from(k, 0 / 0), nan = nan }
        for key, value in pairs(o) do copy[key] = value end
        return copy
      end
      fails("1 of 4 samples isn't finite", d.edit[name], given(2))
      return d.edit[name](given(2, "keep"))
    end
    for name, o in pairs {
      img2img = { x0 = x0, strength = 0.5 }, invert = { x0 = x0, check = true },
      interpolate = { a = x0, b = x0:flip(1) }, repaint = { x0 = x0, keep = d.tensor { 1, 0 }, jump = 2, resample = 2 },
    } do
      local x = edit(name, o)
      assert(name == "repaint" or x[2]:isfinite():eq(0):any(), name)
    end
    local function reflow(nan)
      return d.reflow(sick_from(2, 0 / 0), flow, { shape = { 4, 2 }, steps = 3, seed = 1, nan = nan })
    end
    fails("1 of 4 samples isn't finite", reflow)
    assert.is_true(reflow("keep").x:isfinite():eq(0):any())
  end)

  it("in a likelihood's ODE", function()
    fails("likelihood.ode: 1 of 4 samples isn't finite at the angle = ", d.likelihood.ode, function(x)
      local near = x:detach():abs():lt(100):to "f32"
      return x * (near / near) -- 0/0 elsewhere
    end, cosine, d.tensor { { 0, 1 }, { 1, 1e4 }, { 1, 0 }, { -1, 0 } })
  end)
end)

describe("dpmpp_singlestep", function()
  it("starts a block anew behind a level without signal, whose place is infinite", function()
    local model = d.oracle.gaussian { std = { 1, 0.3 } }:denoiser(flow)
    local function of(sampler)
      return d.sample { model = model, process = flow, shape = { 4, 2 }, sampler = sampler, steps = 25, seed = 1 }
    end
    local truth = d.sample { model = model, process = flow, shape = { 4, 2 }, sampler = "rk45", seed = 1 }
    for order = 1, 3 do
      local gap = (of { "dpmpp_singlestep", order = order } - truth):abs():max():item()
      assert(gap < (order == 1 and 0.2 or 0.05), gap)
    end
  end)
end)

-- Edits as they are used: exact counts, plans that print, seeds and batches, kept pixels,
-- classes, and errors. spec/theory/edit_spec.lua compares their results with theory.
require "spec.support.allclose"
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"

local edit = d.edit
local model, process = d.load_model "digits"
local digits = d.image.to_float(d.data.digits().x:narrow(1, 1, 6))

-- Options over those that every case has.
local function with(own, base)
  local o = { model = model, process = process, seed = 1 }
  for _, fields in ipairs { base or {}, own } do
    for name, value in pairs(fields) do o[name] = value end
  end
  return o
end

-- How often it was asked, and at which t first.
local function counted()
  local calls = { n = 0 }
  return function(xt, t, o)
    calls.n, calls.first = calls.n + 1, calls.first or t
    return model(xt, t, o)
  end, calls
end

describe("a plan", function()
  it("has exactly the steps asked for, from exactly that level", function()
    for _, case in ipairs { { 0.05, 15 }, { 0.3, 1 }, { 0.3, 300 }, { 0.777, 50 }, { 1, 7 }, { 0.061, 61 } } do
      local p = edit.plan { process = process, strength = case[1], steps = case[2] }
      assert.same({ case[2], math.floor(1000 * case[1] + 0.5) }, { p.steps, p.start })
      assert.same({ case[2], p.start }, { #p.grid, p.grid[1][1] })
      assert.equal(0, p.grid[#p.grid][2])
    end
    assert.equal(40, edit.plan { process = process, start = 40 }.steps)
    assert.equal(62, edit.plan { process = process, strength = 0.0615 }.start) -- half up
    assert.same({ 10, 8, 5, 3 }, edit.plan { process = process, start = 10, steps = 4 }.grid:times())
    assert.same({ { 2.5, 1 }, { 1, 0 } }, { table.unpack(edit.plan { process = process, start = 2.5 }.grid) })
  end)

  it("walks what of a grid lies below the start", function()
    local p = edit.plan { process = process, start = 500, grid = { 900, 500, 400.5, 3 } }
    assert.same({ 500, 400.5, 3 }, p.grid:times())
    local karras = d.grid.karras(process, 20)
    p = edit.plan { process = process, strength = 0.5, grid = karras }
    assert.is_true(p.steps < 20 and p.grid.name == "karras")
    for i = 2, p.steps do assert.equal(karras[20 - p.steps + i][1], p.grid[i][1]) end
    p = edit.plan { process = process, start = 9, grid = d.grid.trailing(process, 500, { last = 1 }) }
    assert.equal(1, p.grid[p.steps][2])
  end)

  it("says of strength what it means", function()
    local text = tostring(edit.plan { process = process, strength = 0.6, steps = 2 })
    assert.match("^plan: from t = 600 of 1000 %(strength 0%.6 of it is 600%) in 2 steps\n", text)
    assert.match("SNR 0%.517\ngrid trailing: 2 of 1000 steps\n.*600 %-> 300", text)
    assert.match("strength 0%.1234 of it is 123%.4; rounded", tostring(edit.plan { process = process,
      strength = 0.1234 }))
    assert.match("^plan: from t = 0 of 1000 %(.*%): 0 steps, x0 stays$", tostring(edit.plan { process = process,
      strength = 0 }))
  end)

  it("by strength never starts where eps is blind", function()
    local blind = d.process { schedule = d.schedule.cosine {}, predict = "eps" }
    local p = edit.plan { process = blind, strength = 1, steps = 10 }
    assert.near(3.7e-5, p.snr, 1e-6)
    assert.match("1000; past the start SNR < 3%.7e%-5", tostring(p))
    local short = d.process { schedule = d.schedule.cosine { T = 50 }, predict = "eps" } -- blind from 49.47 on
    assert.match("of it is 50; past the start SNR < 3%.7e%-5", tostring(edit.plan { process = short, strength = 1 }))
    assert.match("of it is 49%.3; rounded", tostring(edit.plan { process = short, strength = 0.986 }))
    assert.equal(1000, edit.plan { process = blind, start = 1000, steps = 10 }.start)
  end)

  it("is refused in a sentence", function()
    local function refused(sentence, o)
      o.process = process
      fails(sentence, edit.plan, o)
    end
    refused("edit.plan: exactly one of start (a level t in 0..1000) and strength (in 0..1) expected, got neither", {})
    refused("expected, got both", { start = 3, strength = 0.5 })
    refused("edit.plan: start must be a level in 0..T = 1000, got 1001", { start = 1001 })
    refused("option 'start': finite number expected, got nan", { start = 0 / 0 })
    refused("option 'strength': number in [0, 1] expected, got 1.5", { strength = 1.5 })
    refused("edit.plan: strength = 0.0004 of T = 1000 is t = 0.4, below the first level; take 0.001 or more",
      { strength = 0.0004 })
    refused("edit.plan: 51 steps from t = 50, but only 50 start at a whole level of their own",
      { start = 50, steps = 51 })
    refused("edit.plan: steps = 5 and a grid; one of the two expected", { start = 50, steps = 5, grid = { 9 } })
    refused("edit.plan: grid has T = 10, but the process has T = 1000", { start = 5, grid = d.grid.trailing(10, 5) })
    refused("times must fall", { start = 50, grid = { 10, 20 } })
    refused("unknown option 'strenght'; did you mean 'strength'?", { strenght = 1 })
  end)
end)

describe("img2img", function()
  local function img2img(o) return edit.img2img(with(o, { x0 = digits })) end

  it("asks the model as often as the plan says, from its start", function()
    for _, steps in ipairs { 1, 7, 15 } do
      local denoiser, calls = counted()
      local x, p = img2img { model = denoiser, strength = 0.05, steps = steps }
      assert.same({ steps, steps, 50 }, { calls.n, p.evaluations, calls.first })
      assert.same(digits:shape(), x:shape())
    end
  end)

  it("leaves x0 alone at strength 0, and forgets it from T", function()
    local x, p = img2img { strength = 0, steps = 10 }
    assert.same({ true, 0, 0 }, { x:equal(digits), p.steps, p.evaluations })
    assert.is_false(x == digits)
    local whole = img2img { strength = 1, steps = 5 }
    assert.allclose(whole, edit.img2img(with { x0 = -digits, strength = 1, steps = 5 }), { atol = 1e-2 })
  end)

  it("strays further from x0 the stronger it is", function()
    local last = 0
    for _, strength in ipairs { 0.1, 0.4, 0.9 } do
      local gap = (img2img { strength = strength, steps = 10 } - digits):square():mean():item()
      assert.is_true(gap > last)
      last = gap
    end
  end)

  it("gives a sample the same bits alone, and another for another seed", function()
    local options = { start = 400, steps = 4, sampler = "ddpm" }
    local x = img2img(options)
    options.x0 = digits:narrow(1, 1, 2)
    assert.equal(true, img2img(options):equal(x:narrow(1, 1, 2)))
    options.seed = 2
    assert.equal(false, img2img(options):equal(x:narrow(1, 1, 2)))
  end)

  it("passes on class, guidance, sampler and on_step", function()
    local seen = 0
    local function asked(xt, _, o)
      assert.equal(4, o.class[1])
      return xt
    end
    img2img { model = asked, start = 10, steps = 3, class = 4, on_step = function() seen = seen + 1 end }
    assert.equal(3, seen)
    local denoiser, calls = counted()
    local doubled = img2img { start = 10, steps = 3, class = 4, guidance = 2 }
    local composed = img2img { start = 10, steps = 3, class = 4,
      guidance = function(m) return d.guidance.cfg(m, { scale = 2 }) end }
    assert.equal(true, doubled:equal(composed))
    assert.equal(false, doubled:equal(img2img { start = 10, steps = 3, class = 4 }))
    local _, p = img2img { model = denoiser, start = 10, steps = 3, sampler = "heun" }
    assert.same({ 5, 5 }, { calls.n, p.evaluations })
    local told = 0
    img2img { start = 10, steps = 3, sampler = "ddim", self_condition = true, model = function(xt, _, o)
      if o.x0 then told = told + 1 end
      return xt
    end }
    assert.equal(2, told) -- but for the first step
    assert.equal(1, select(2, img2img { start = 10, sampler = "rk45" }).steps)
  end)

  it("is refused in a sentence", function()
    fails("edit.img2img: x0 must be a tensor, got 3", img2img, { x0 = 3, start = 1 })
    fails("edit.img2img: x0 must be " .. core.real .. ", got u8; d.image.to_float", img2img,
      { x0 = d.data.digits().x, start = 1 })
    fails("edit.img2img: x0 must be [B,...] with a sample or more, got [3]", img2img, { x0 = d.zeros(3), start = 1 })
    fails("edit.img2img: x0 holds nan or infinity", img2img, { x0 = digits / 0, start = 1 })
    fails("edit.img2img: ddim_inversion goes from data to noise", img2img, { start = 1, sampler = "ddim_inversion" })
    fails("edit.img2img: model must be a denoiser", img2img, { model = 5, start = 1 })
    fails("exactly one of start", img2img, {})
    fails("sampler: class is [2] for 6 samples", img2img, { start = 5, class = { 1, 2 } })
  end)
end)

describe("RePaint", function()
  local keep = d.cat({ d.ones(4, 8, 1), d.zeros(4, 8, 1) }, 1)
  local function repaint(o)
    return edit.repaint(with(o, { x0 = digits, keep = keep, steps = 12, jump = 3, resample = 3 }))
  end

  it("keeps x0 to the bit where keep is 1, and paints where it is 0", function()
    local x, p = repaint {}
    assert.equal(true, x:narrow(2, 1, 4):equal(digits:narrow(2, 1, 4)))
    assert.equal(false, x:narrow(2, 5, 4):equal(digits:narrow(2, 5, 4)))
    assert.same({ p.steps, 12 + p.jumps * 3, 6 }, { p.evaluations, p.steps, p.jumps })
    assert.is_true(x:isfinite():all())
  end)

  it("takes masks of other types and of x0's own shape", function()
    local x = repaint {}
    assert.equal(true, repaint { keep = keep:gt(0.5) }:equal(x))
    assert.equal(true, repaint { keep = keep:to "u8" }:equal(x))
    assert.equal(true, repaint { keep = d.zeros(6, 8, 8, 1) + keep }:equal(x))
    assert.equal(true, repaint { keep = d.ones(1) }:equal(digits))
  end)

  it("is its seed's, and a sample's alone", function()
    local x = repaint {}
    assert.equal(true, repaint { x0 = digits:narrow(1, 1, 2) }:equal(x:narrow(1, 1, 2)))
    assert.equal(false, repaint { seed = 2 }:equal(x))
  end)

  -- With x0 = 0 everywhere kept, x after a step is s_s z. After the jump back it must have the
  -- variance of level t, 1 for this schedule; noise drawn twice would add up to more.
  it("draws other noise for a jump back than for the kept part before it", function()
    local vp = d.process { schedule = d.schedule.linear { T = 100 }, predict = "eps" }
    local seen = {}
    edit.repaint { process = vp, x0 = d.zeros(4000, 1), keep = d.ones(1), steps = 20, jump = 5,
      resample = 2, seed = 1,
      model = function(xt, t)
        seen[#seen + 1] = { t = t, variance = xt:square():mean():item() }
        return d.zeros(xt:shape())
      end }
    local jumps = 0
    for i = 2, #seen do
      local now, jumped = seen[i], seen[i].t > seen[i - 1].t
      local expected = vp.schedule:noise(now.t) ^ 2
      if jumped then
        jumps = jumps + 1
        assert(math.abs(now.variance / expected - 1) < 0.1,
          ("t = %g: %.3f, not %.3f"):format(now.t, now.variance, expected))
      end
    end
    assert(jumps > 1)
  end)

  it("shows every step with what is merged", function()
    local times, last = {}, nil
    local x, p = repaint { on_step = function(step)
      times[#times + 1] = step.s
      last = step.x
    end }
    assert.equal(p.steps, #times)
    assert.equal(true, last:equal(x))
    local down = {}
    for i = 2, #p.times do
      if p.times[i] < p.times[i - 1] then down[#down + 1] = p.times[i] end
    end
    assert.same(down, times)
  end)

  it("has a plan that prints", function()
    local p = edit.repaint_plan { process = process, steps = 12, jump = 3, resample = 3 }
    assert.match("^repaint: 30 reverse steps, 12 of the grid and 18 after 6 jumps back of 3 %(resample = 3%)\ngrid",
      tostring(p))
    assert.same({ 1000, 0, 37 }, { p.times[1], p.times[#p.times], #p.times })
    assert.equal(250, #edit.repaint_plan({ process = process }).grid)
    assert.equal(12, #edit.repaint_plan({ process = process, steps = 12, resample = 1 }).grid)
  end)

  it("is refused in a sentence", function()
    fails("edit.repaint: keep must be a tensor, got true", repaint, { keep = true })
    fails("edit.repaint: keep must be 1 (x0 stays) or 0 (repainted) everywhere, but it goes from 0 to 0.5",
      repaint, { keep = keep / 2 })
    fails("edit.repaint: keep is [5,3], which doesn't broadcast to x0 [6,8,8,1]", repaint, { keep = d.ones(5, 3) })
    fails("edit.repaint: keep is [2,6,8,8,1], which doesn't broadcast to x0", repaint, { keep = d.ones(2, 6, 8, 8, 1) })
    fails("edit.repaint: a jump of 12 steps has no room in 12", repaint, { jump = 12 })
    fails("edit.repaint: the grid stops at t = 1", repaint, { grid = d.grid.trailing(process, 12, { last = 1 }) })
    fails("unknown option 'mask'", repaint, { mask = keep })
    fails("edit.repaint: ddim_inversion goes from data to noise", repaint, { sampler = "ddim_inversion" })
  end)
end)

describe("between two", function()
  local a, b = digits:narrow(1, 1, 2), digits:narrow(1, 3, 2)
  local function interpolate(o) return edit.interpolate(with(o, { a = a, b = b, steps = 5 })) end

  it("slerp takes a number, or one for each sample", function()
    local x = edit.slerp(a, b, { 0, 1 })
    assert.allclose(a:narrow(1, 1, 1), x:narrow(1, 1, 1), { atol = 1e-6 })
    assert.allclose(b:narrow(1, 2, 1), x:narrow(1, 2, 1), { atol = 1e-6 })
    fails("edit.slerp: u must be a number or a list of 2, one a sample, got 3 numbers", edit.slerp, a, b, { 0, 1, 1 })
    fails("edit.slerp: u must hold finite numbers, but number 1 is nan", edit.slerp, a, b, 0 / 0)
    fails("edit.slerp: a is [2,8,8,1], but b is [1,8,8,1]", edit.slerp, a, b:narrow(1, 1, 1), 0)
    fails("edit.slerp: b must be a tensor, got nil", edit.slerp, a, nil, 0)
  end)

  it("a list of u gives a row of each pair", function()
    local classes
    local function asked(xt, t, o)
      classes = o.class:totable()
      return model(xt, t, o)
    end
    local x, p = interpolate { model = asked, u = { 0, 0.5, 1 }, class = { 3, 7 } }
    assert.same({ 6, 8, 8, 1 }, x:shape())
    assert.same({ 3, 3, 3, 7, 7, 7 }, classes)
    assert.same({ 500, 5, 5 }, { p.start, p.steps, p.evaluations })
    local half = interpolate { class = { 3, 7 } }
    assert.same({ 2, 8, 8, 1 }, half:shape())
    assert.equal(true, half:narrow(1, 2, 1):equal(x:narrow(1, 5, 1)))
  end)

  it("by inversion comes back to both ends", function()
    local x = interpolate { by = "inversion", u = { 0, 1 }, steps = 20 }
    assert.allclose(a:narrow(1, 2, 1), x:narrow(1, 3, 1), { atol = 5e-3 })
    assert.allclose(b:narrow(1, 2, 1), x:narrow(1, 4, 1), { atol = 5e-3 })
  end)

  it("is refused in a sentence", function()
    fails("edit.interpolate: a is [2,8,8,1], but b is [1,8,8,1]", interpolate, { b = b:narrow(1, 1, 1) })
    fails("edit.interpolate: u is an empty list", interpolate, { u = {} })
    fails("edit.interpolate: u must hold finite numbers, but number 2 is 'x'", interpolate, { u = { 0, "x" } })
    fails("edit.interpolate: at must be a level in 1..T = 1000, got 0", interpolate, { at = 0 })
    fails("edit.interpolate: by inversion the sampler is ddim, whose steps are inverted; got 'unipc'", interpolate,
      { by = "inversion", sampler = "unipc" })
    fails("unknown value 'noize'; did you mean 'noise'?", interpolate, { by = "noize" })
  end)
end)

describe("inversion", function()
  local function invert(o)
    return edit.invert { model = o.model or model, process = o.process or process, x0 = digits, steps = o.steps or 10,
      exact = o.exact, check = o.check, start = o.start, tolerance = o.tolerance, iterations = o.iterations }
  end

  it("comes back by ddim, and says how near", function()
    local xt, report = invert { check = true, steps = 20 }
    assert(report.error < 5e-4, report.error)
    local back = d.sample { model = model, process = process, init = xt, sampler = "ddim", grid = report.grid }
    assert.near(report.error, math.sqrt((back - digits):square():mean({ 2, 3, 4 }):max():item()), 1e-6)
    assert.match("^inversion to t = 996 in 20 steps, %d+ evaluations; residual [%d.e-]+, within the tolerance of "
      .. "1e%-05; ddim comes back to x0 within ", tostring(report))
    local _, explicit = invert { check = true, exact = false, steps = 20 }
    assert.is_true(explicit.error > 10 * report.error)
    assert.same({ 40 }, { explicit.evaluations, explicit.residual })
  end)

  it("says that it did not reach its tolerance", function()
    local _, report = invert { iterations = 1 }
    assert.is_true(report.residual > report.tolerance)
    assert.match("NOT within the tolerance of 1e%-05$", tostring(report))
  end)

  it("ends where something of x0 is left", function()
    local linear = d.process { schedule = d.schedule.linear {}, predict = "v" }
    for _, p in ipairs { process, linear } do
      local xt, report = invert { process = p, model = function(xt) return xt * 0 end, steps = 1, exact = false }
      assert.equal(p == linear and 1000 or 996, report.grid[1][1])
      assert.is_true(xt:isfinite():all())
    end
  end)

  it("is refused in a sentence", function()
    fails("edit.invert: start = 0 is x0 itself", invert, { start = 0 })
    fails("edit.invert: 10 steps from t = 5, but only 5", invert, { start = 5 })
    fails("unknown option 'seed'", edit.invert, { model = model, process = process, x0 = digits, seed = 1 })
    fails("edit.invert: x0 must be a tensor, got 'x'", edit.invert, { model = model, process = process, x0 = "x" })
  end)
end)

describe("a run that goes back", function()
  local function steps(own)
    return d.sampler.steps(with(own, { shape = { 3, 8, 8, 1 }, steps = 10, sampler = "ddpm" }))
  end

  it("stands where it stood, noised by q(x_t | x_s), and goes on", function()
    local run = steps {}
    for _ = 1, 6 do run() end
    local x = run.x
    run:back(4)
    assert.same({ 2, 1 }, { run.i, run:clone():back() and 1 })
    local factor, variance = process:q_moments(1, 800, 400)
    local z = (run.x - factor * x) / math.sqrt(variance)
    assert.near(1, z:square():mean():item(), 0.35)
    assert.equal(false, run:clone():back(1):equal(run:clone():finish()))
    local step = run()
    assert.same({ 3, 800, 700 }, { step.i, step.t, step.s })
  end)

  it("draws anew each time, forgets history, and is noised by its own source", function()
    local run = steps { sampler = "dpmpp_2m", noise = function(x) return x * 0 end,
      init = digits:narrow(1, 1, 3) }
    for _ = 1, 3 do run() end
    assert.is_not_nil(next(run.history))
    local x = run.x
    assert.allclose(process:q_moments(1, 1000, 700) * x, run:back(3), { atol = 1e-6 })
    assert.is_nil(next(run.history))
    local other = steps {}
    other()
    local first = other:clone():back()
    other:back()
    other()
    assert.equal(false, other:back():equal(first))
  end)

  it("is refused in a sentence", function()
    local run = steps {}
    fails("run:back: no step has been taken", run.back, run)
    run()
    for _, n in ipairs { 0, 2, 0.5, "x" } do fails("run:back: a number of steps in 1..1", run.back, run, n) end
    local up = steps { sampler = "ddim_inversion", init = d.zeros(3, 8, 8, 1) }
    up()
    fails("run:back: ddim_inversion goes from data to noise, so there is none to add", up.back, up, 1)
  end)
end)

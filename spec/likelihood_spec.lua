-- Likelihoods as they are used: options, seeds, batches, units, dequantising, printing,
-- precision of floats, and errors. spec/theory/likelihood_spec.lua compares their results
-- with theory.
require "spec.support.allclose"
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"

local vlb, ode = d.likelihood.vlb, d.likelihood.ode
local moons = d.oracle.moons()
local process = d.process { schedule = d.schedule.flow { T = 50 }, predict = "x0" }
local best = moons:denoiser(process)
local points = moons:sample(6, { seed = 1 })

-- Small images; the model predicts that they are grey.
local images = d.image.to_float(d.frombytes(("\0\128\255\7"):rep(6), { 2, 2, 3, 2 }, "u8"))
local coarse = d.process { schedule = d.schedule.linear { T = 20 }, predict = "x0" }
local function grey(xt) return xt * 0 end

describe("the bound", function()
  it("is the sum of its parts, in bits per dimension or nats", function()
    local r = vlb(grey, coarse, images, { seed = 1 })
    assert.near(r.prior + r.steps + r.decoder, r.total, 1e-9 * r.total)
    assert.near(r.total, r.per_sample:mean():item(), 1e-5 * r.total)
    assert.same({ 19, 2, 12, "bits/dim" }, { #r.terms, r.samples, r.D, r.unit })
    local sum = 0
    for k, term in ipairs(r.terms) do
      assert.same({ k + 1, k + 1, k + 1 }, { term.t, term.from, term.to })
      sum = sum + term.value
    end
    assert.near(r.steps, sum, 1e-9 * sum)
    assert.equal("nats", vlb(best, process, points, { decoder = "gaussian", t = 3 }).unit)
  end)

  it("has the same numbers for a seed, and for a sample in any batch", function()
    local function of(x, seed) return vlb(grey, coarse, x, { seed = seed, t = 5 }).per_sample end
    assert.equal(true, of(images, 7):equal(of(images, 7)))
    assert.equal(false, of(images, 7):equal(of(images, 8)))
    assert.allclose(of(images, 7):narrow(1, 1, 1), of(images:narrow(1, 1, 1), 7), { rtol = 1e-6 })
  end)

  it("draws each sample a t of each stratum, and asks n + 1 times", function()
    local asked = {}
    local function model(xt, t)
      asked[#asked + 1] = t
      return xt * 0
    end
    local r = vlb(model, coarse, d.zeros(40, 2), { t = 3, seed = 2 })
    assert.equal(4, #asked)
    assert.equal(1, asked[4])
    for k, term in ipairs(r.terms) do
      local seen, least, most = {}, math.huge, 0
      for _, t in ipairs(type(asked[k]) == "table" and asked[k] or { asked[k] }) do
        least, most, seen[t] = math.min(least, t), math.max(most, t), true
      end
      assert.is_true(least >= term.from and most <= term.to, tostring(r))
      assert.is_true(term.from == term.to or next(seen, next(seen)) ~= nil)
    end
    assert.same({ 2, 20 }, { r.terms[1].from, r.terms[3].to })
    assert.equal(r.terms[1].to + 1, r.terms[2].from)
  end)

  it("leaves out what a list of t leaves out", function()
    local r = vlb(grey, coarse, images, { t = { 9, 3 }, seed = 1 })
    assert.same({ 3, 9 }, { r.terms[1].t, r.terms[2].t })
    assert.same({}, { r.total, r.steps, r.decoder, r.per_sample })
    local first = vlb(grey, coarse, images, { t = { 1 }, seed = 1 })
    assert.near(vlb(grey, coarse, images, { seed = 1 }).decoder, first.decoder, 1e-9)
    local all = {}
    for t = 1, 20 do all[t] = t end
    local listed = vlb(grey, coarse, images, { seed = 1, t = all })
    assert.near(vlb(grey, coarse, images, { seed = 1 }).total, listed.total, 1e-9)
  end)

  it("passes the inputs of a network on, one row for each sample", function()
    local shift, seen = d.tensor { { 1, 0 }, { 0, -1 }, { 0.5, 0.5 } }, 0
    local x0 = d.randn({ 3, 2 }, { seed = 1 }) + shift
    local function net(xt, _, o)
      seen = math.max(seen, xt:size(1))
      return xt * 0.5 + o.shift * 0.3
    end
    local function closed(xt) return xt * 0.5 + d.cat({ shift, shift }, 1):narrow(1, 1, xt:size(1)) * 0.3 end
    local o = { seed = 1, decoder = "gaussian", inputs = { shift = shift } }
    assert.equal(vlb(closed, coarse, x0, { seed = 1, decoder = "gaussian" }).total, vlb(net, coarse, x0, o).total)
    local a = ode(net, coarse, x0, { inputs = o.inputs, rtol = 1e-3, atol = 1e-3 })
    assert.is_true(a.nats:equal(ode(closed, coarse, x0, { rtol = 1e-3, atol = 1e-3 }).nats))
    assert.equal(6, seen)
    fails("input 'shift' is [3,2] for 2 samples", vlb, net, coarse, x0:narrow(1, 1, 2), o)
  end)

  it("clips only when asked, and passes the class on", function()
    local clipping = d.process { schedule = coarse.schedule, predict = "x0", clip = 1 }
    local function far(xt, _, o)
      assert.equal(3, o.class)
      return xt * 0 + 5
    end
    local x0 = d.ones(2, 3)
    local free = vlb(far, clipping, x0, { class = 3, seed = 1 })
    local clipped = vlb(far, clipping, x0, { class = 3, seed = 1, clip = true })
    assert.is_true(clipped.steps < 1 and free.steps > 100)
    assert.near(free.prior, clipped.prior, 1e-12)
  end)

  it("takes a function's variance at (1, 0) for the decoder's where it is above 0", function()
    local function decoder(variance)
      local p = d.process { schedule = coarse.schedule, predict = "x0", variance = variance }
      return vlb(grey, p, images, { t = { 1 }, decoder = "gaussian" }).decoder
    end
    local small = coarse.schedule:posterior_variance(2, 1)
    local function own(at_1)
      return function(t, s) return s == 0 and at_1 or coarse.schedule:posterior_variance(t, s) end
    end
    assert.near(decoder "fixed_small", decoder(own(0)), 1e-9)
    assert.near(decoder "fixed_small", decoder(own(small)), 1e-6 * decoder "fixed_small")
    assert.is_true(decoder(own(1)) < decoder "fixed_small")
  end)

  it("prints as a table", function()
    local text = tostring(vlb(grey, coarse, images, { t = 8, seed = 1 }))
    for _, words in ipairs { "2 samples in bits/dim", "prior +%S+ %+%- ", "steps ", "t = 2%.%.", "%.%.20 ", "decoder ",
      "total " } do
      assert.truthy(text:find(words), text)
    end
    local _, rows = text:gsub("\n    t =", "")
    assert.equal(6, rows)
    assert.falsy(tostring(vlb(grey, coarse, images, { t = { 4 } })):find "total")
    assert.falsy(tostring(vlb(grey, coarse, images:narrow(1, 1, 1), { t = 2 })):find "%+%-")
  end)
end)

describe("the flow's likelihood", function()
  it("is the noised density in float", function()
    local r = ode(best, process, points, { from = 1.5 })
    local truth = -moons:log_prob(points, { s = process.schedule:sigma(1.5) })
    assert.allclose(truth, r.nats, { atol = 1e-3 })
    assert.near(r.mean / (2 * math.log(2)), r.bits, 1e-9)
    assert.near(r.error / (2 * math.log(2)), r.bits_error, 1e-9)
    assert.same({ "exact", 0, 2, 1.5, 50 }, { r.divergence, r.constant, r.D, r.from, r.to })
  end)

  it("has the same numbers for a seed, and for a sample in any batch", function()
    local function of(x, seed) return ode(best, process, x, { seed = seed, divergence = "hutchinson" }).nats end
    assert.equal(true, of(points, 1):equal(of(points, 1)))
    assert.equal(false, of(points, 1):equal(of(points, 2)))
    assert.allclose(of(points, 1):narrow(1, 1, 2), of(points:narrow(1, 1, 2), 1), { rtol = 1e-5 })
  end)

  it("has probes of their own for a large batch, too, which asks for one at a time", function()
    local many, options = moons:sample(256, { seed = 1 }), { divergence = "hutchinson", seed = 1, atol = 1e-2,
      rtol = 1e-2, probes = 1 }
    local one = ode(best, process, many, options).nats
    options.probes = 2
    assert.equal(false, one:allclose(ode(best, process, many, options).nats, { atol = 1e-2 }))
  end)

  it("takes samples of any shape", function()
    local flat = ode(best, process, points).nats
    assert.allclose(flat, ode(best, process, points:reshape(6, 1, 2, 1)).nats, { rtol = 1e-6 })
  end)

  it("is exact to 64 dimensions, and estimated beyond", function()
    local oracle = d.oracle.gaussian { std = 1.5 }
    local function of(D, options)
      options.atol, options.rtol = 1e-3, 1e-3
      local function model(xt, t)
        return oracle:denoiser(process)(xt:reshape(xt:numel(), 1), t[1]):reshape(xt:shape())
      end
      return ode(model, process, d.zeros(1, D), options)
    end
    local at_64, beyond = of(64, {}), of(65, {})
    assert.same({ "exact", "hutchinson" }, { at_64.divergence, beyond.divergence })
    assert.equal("exact", of(65, { divergence = "exact" }).divergence)
    -- for independent coordinates v' J v is the trace, for any v
    assert.near(at_64.mean / 64, beyond.mean / 65, 1e-3)
    assert.near(at_64.mean / 64, 0.5 * math.log(2 * math.pi) + math.log(1.5), 1e-3)
  end)

  it("asks for several directions at once while the batch is small", function()
    local rows, classes
    local function model(xt, t, o)
      rows, classes = xt:size(1), o.class
      assert.equal(rows, #t)
      return best(xt, t)
    end
    local function of(x, options)
      options.atol, options.rtol = 1e-3, 1e-3
      return ode(model, process, x, options).nats
    end
    local many = moons:sample(300, { seed = 1 })
    local alone = of(many, {})
    assert.equal(300, rows)
    assert.allclose(alone:narrow(1, 1, 3), of(many:narrow(1, 1, 3), { class = { 1, 2, 3 } }), { rtol = 1e-4 })
    assert.same({ 6, { 1, 2, 3, 1, 2, 3 } }, { rows, classes })
    of(many:narrow(1, 1, 2), { class = d.tensor({ 4, 5 }, { dtype = "i64" }), divergence = "hutchinson", probes = 3 })
    assert.same({ 6, { 4, 5, 4, 5, 4, 5 } }, { rows, classes })
    of(many:narrow(1, 1, 2), { class = 7 })
    assert.same({ 4, 7 }, { rows, classes })
  end)

  it("ends where a process that predicts eps last says something, and at the last signal", function()
    local function last(schedule, predict)
      local p = d.process { schedule = schedule, predict = predict }
      return ode(moons:denoiser(p), p, points, { atol = 1e-2, rtol = 1e-2 }).to
    end
    local cosine = d.schedule.cosine { T = 100 }
    assert.equal(100, last(cosine, "v"))
    local t = last(cosine, "eps")
    assert.near(-10.2, cosine:log_snr(t), 1e-6)
    assert.equal(99, last(cosine:rescale_zero_terminal_snr(), "v"))
    assert.equal(50, last(process.schedule, "v"))
  end)

  it("prints", function()
    local r = ode(best, process, points, { atol = 1e-2, rtol = 1e-2 })
    assert.truthy(tostring(r):find "6 samples in 2 dimensions: %S+ %+%- %S+ nats %(exact divergence, %d+ evaluations%)")
    assert.truthy(tostring(r):find "bits/dim$")
  end)
end)

describe("dequantising", function()
  local oracle = d.oracle.gaussian { mean = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, std = 1 }
  local model = oracle:denoiser(process)

  local function of(asked) return ode(model, process, images, { dequantise = asked, seed = 3 }) end

  it("has its constants", function()
    assert.near(6.99435, of(true).constant, 5e-6)
    assert.equal(7, of { span = "edges" }.constant)
    assert.near(math.log(127.5, 2), of(true).constant, 1e-12)
    local r = of(true)
    assert.near(r.mean / (12 * math.log(2)) + r.constant, r.bits, 1e-9)
    assert.truthy(tostring(of(true)):find "6.99435 of them for dequantising")
  end)

  it("adds a number of +-1/2 level, or of a level from its edge", function()
    local function moved(asked) -- y as the model first meets it, scaled
      local seen
      ode(function(xt, t)
        seen = seen or (xt / process.schedule:signal(t[1])):narrow(1, 1, 2):totable()
        return model(xt, t)
      end, process, images, { dequantise = asked, seed = 3 })
      return d.tensor(seen)
    end
    local u = (moved(true) - images) * 127.5
    assert.is_true(u:min():item() > -0.501 and u:max():item() < 0.501)
    assert.is_true(u:std():item() > 0.2)
    local k = (images + 1) * 127.5
    local v = (moved { span = "edges" } + 1) * 128 - k
    assert.is_true(v:min():item() > -0.001 and v:max():item() < 1.001)
    assert.allclose(u + 0.5, v, { atol = 1e-3 })
  end)

  it("adds numbers that are even in [0, 1)", function()
    local u = require("diffusion.likelihood.given").uniform(1, 0, { 40000 })
    for power = 1, 4 do assert.near(1 / (power + 1), (u ^ power):mean():item(), 4 * 0.3 / 200) end
    assert.is_true(u:min():item() >= 0 and u:max():item() <= 1)
  end)

  it("refuses what is no image of so many levels", function()
    fails("dequantise makes 17 levels continuous, but x0 holds numbers between them", of, { levels = 17 })
    fails("unknown option 'level'; did you mean 'levels'?", of, { level = 17 })
    fails("unknown value 'edge'; did you mean 'edges'?", of, { span = "edge" })
    fails("x0 goes from -2 to 2; levels lie in [-1, 1], and dequantise is for images", ode, model, process,
      d.tensor { { -2, 2 } }, { dequantise = true })
  end)
end)

describe("a likelihood refuses", function()
  local x = points
  for name, f in pairs { vlb = vlb, ode = ode } do
    it("what is no data: " .. name, function()
      local bytes = d.zeros({ 2, 2 }, { dtype = "u8" })
      fails("likelihood." .. name .. ": x0 must be a tensor, got 3", f, best, process, 3)
      fails("x0 must be " .. core.real .. ", got u8; d.image.to_float brings images into [-1, 1]", f, best,
        process, bytes)
      fails(("x0 must be %s, got f16"):format(core.real), f, best, process, x:to "f16")
      fails("x0 must be [B,...] with a sample or more, got [3]", f, best, process, d.zeros(3))
      fails("with a sample or more, got [0,2]", f, best, process, d.zeros(0, 2))
      fails("x0 holds nan or infinity", f, best, process, d.tensor { { 0, 0 / 0 } })
    end)

    it("what is no model or process: " .. name, function()
      fails("model must be a denoiser", f, nil, process, x)
      fails("a process expected, got schedule", f, best, process.schedule, x)
      fails(name .. ": class is [2] for 6 samples", f, best, process,
        x:clamp(-1, 1), { class = { 1, 2 } })
      fails("class is [2] for 6 samples", f, best, process, x:clamp(-1, 1),
        { class = d.tensor({ 1, 2 }, { dtype = "i64" }) })
      fails("unknown option 'sede'; did you mean 'seed'?", f, best, process, x, { sede = 1 })
      local options = { decoder = name == "vlb" and "gaussian" or nil }
      fails("the denoiser returned a tensor [", f, function(xt) return xt:sum(2) end, process, x, options)
    end)

    it("eps where there is no signal: " .. name, function()
      local p = d.process { schedule = process.schedule, predict = "eps" }
      fails("x_t holds no signal at t = 50, so eps doesn't determine x0 there; predict v or x0", f, best, p, x)
    end)
  end

  it("levels outside [-1, 1] and t outside 1..T", function()
    local far, within = d.tensor { { 0, 1.2 } }, x:clamp(-1, 1)
    fails('x0 goes from 0 to 1.2; levels lie in [-1, 1], and decoder = "gaussian" is for other data', vlb, best,
      process, far)
    fails("t must hold whole numbers in 1..50, but number 2 is 51", vlb, best, process, within, { t = { 1, 51 } })
    fails("t holds 4 twice", vlb, best, process, within, { t = { 4, 4 } })
    fails("t is an empty list", vlb, best, process, within, { t = {} })
    fails("option 't': integer or table in [1, inf) expected, got 0", vlb, best, process, x, { t = 0 })
    fails("unknown value 'erfc'; did you mean 'erf'?", vlb, best, process, x, { decoder = "erfc" })
  end)

  it("a step without variance", function()
    local p = d.process { schedule = process.schedule, predict = "x0", variance = function() return 0 end }
    fails("the variance of p(x_1 | x_2) is 0, so the bound is infinite; take fixed_large", vlb, best, p, x,
      { decoder = "gaussian" })
    local single = d.process { schedule = d.schedule.from_beta { 0.5 }, predict = "x0" }
    fails("p(x_0 | x_1) is 0, so the bound is infinite; take a function that is above 0 at (1, 0)", vlb, grey, single,
      images)
  end)

  it("levels that don't rise, and a tolerance that isn't met", function()
    fails("levels rise within 1..50, got from = 9 and to = 3", ode, best, process, x, { from = 9, to = 3 })
    fails("got from = 1 and to = 51", ode, best, process, x, { to = 51 })
    fails("option 'from': number in [1, inf", ode, best, process, x, { from = 0.5 })
    fails("likelihood.ode: not at the end after most = 2 steps", ode, best, process, x, { most = 2 })
    local function rough(xt) return (xt * 1e7):sin() end
    fails("likelihood.ode: the step of sample", ode, rough, process, x, { atol = 1e-6, rtol = 1e-6 })
  end)
end)

describe("the digits' network", function()
  it("needs as many bits by the bound as by the flow, nearly, and far fewer than 8", function()
    local model, of_digits = d.load_model "digits"
    local set = d.data.digits()
    local x0 = d.image.to_float(set.x:narrow(1, 1, 6))
    local bound = vlb(model, of_digits, x0, { t = 20, seed = 1 })
    local flow = ode(model, of_digits, x0, { dequantise = true, divergence = "hutchinson", atol = 1e-2, rtol = 1e-2,
                                             seed = 1 })
    assert.is_true(bound.total > 5 and bound.total < 7, tostring(bound))
    assert.is_true(math.abs(flow.bits - bound.total) < 1, tostring(flow))
  end)
end)

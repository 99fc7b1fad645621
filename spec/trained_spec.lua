-- A model carries its training target, its T and the kind of time that it is called with.
local d = require "diffusion"
local child = require "spec.support.child"

local cosine = d.schedule.cosine { T = 100 }
local v = d.process { schedule = cosine, predict = "v" }
local eps = d.process { schedule = cosine, predict = "eps", clip = 1 }
local short = d.process { schedule = d.schedule.cosine { T = 50 }, predict = "v" }
local x = d.randn({ 16, 2 }, { seed = 1 })

local function fresh() return d.mlp { hidden = 8, depth = 1 } end

local function trained(process, options)
  local model = fresh()
  local o = { process = process or v }
  for key, value in pairs(options or {}) do o[key] = value end
  d.record(d.objective(o), model, x)
  return model
end

local function says(sentence, f)
  local fine, message = pcall(f)
  assert.is_false(fine, sentence)
  assert(message:find("trained_spec.lua:%d+: "), message)
  assert(message:find(sentence, 1, true), message)
end

local function draw(model, process)
  return d.sample { model = model, process = process, shape = { 2, 2 }, steps = 2 }
end

local to_v = "the model was trained to predict v, but the process predicts eps"

describe("a trained model", function()
  it("is drawn from by its own target alone", function()
    local model = trained()
    assert.same({ 2, 2 }, draw(model, v):shape())
    says(to_v, function() draw(model, eps) end)
    says("the model was trained on T = 100, but the process has T = 50", function() draw(model, short) end)
  end)

  it("may be drawn from on another schedule, or with another clip", function()
    local other = d.process { schedule = d.schedule.linear { T = 100 }, predict = "v", clip = 1 }
    assert.same({ 2, 2 }, draw(trained(), other):shape())
  end)

  it("is known behind averages and guidance", function()
    local model = trained()
    local ema = d.ema(model)
    local function log_prob(xt) return xt:sum(2) end
    for name, denoiser in pairs {
      ema = ema, cfg = d.guidance.cfg(model, { scale = 2 }), of_ema = d.guidance.cfg(ema, { scale = 2 }),
      cfg_pp = d.guidance.cfg_pp(model, { scale = 0.5 }), auto = d.guidance.auto(model, ema, { scale = 2 }),
      classifier = d.guidance.classifier(model, v, log_prob), gradient = d.guidance.gradient(model, v, log_prob),
    } do
      local fine, message = pcall(draw, denoiser, eps)
      assert(not fine and message:find(to_v, 1, true), name)
    end
    says(to_v, function() d.guidance.gradient(model, eps, log_prob) end)
    says(to_v, function() d.guidance.classifier(model, eps, log_prob) end)
  end)

  it("is held against the process of whatever takes both", function()
    local model, inside = trained(), x:clamp(-1, 1)
    says(to_v, function() d.likelihood.vlb(model, eps, inside) end)
    says(to_v, function() d.likelihood.ode(model, eps, inside) end)
    says(to_v, function() d.estimate_variance(model, eps, inside, { levels = 2 }) end)
    says(to_v, function() d.edit.img2img { model = model, process = eps, x0 = x, strength = 0.5 } end)
    says(to_v, function() d.edit.invert { model = model, process = eps, x0 = x } end)
    says("trained with sigma_data = 1, but the process has 0.5", function()
      local one = d.process { schedule = d.schedule.edm { T = 9 }, predict = "edm", sigma_data = 1 }
      local two = d.process { schedule = d.schedule.edm { T = 9 }, predict = "edm", sigma_data = 0.5 }
      draw(trained(one, { weighting = "uniform" }), two)
    end)
  end)

  it("has no levels but those above 0 and up to T", function()
    local model = trained()
    for _, t in ipairs { 0, -1, 100.5, 101, d.full({ 16 }, 101), d.zeros(16) } do
      says("but it was trained on levels above 0 and up to T = 100", function() model(x, t) end)
    end
    local list = {}
    for i = 1, 16 do list[i] = i - 1 end
    says("t is 0,", function() model(x, list) end)
    for _, t in ipairs { 0.25, 1, 100 } do assert.same({ 16, 2 }, model(x, t):shape()) end
    assert.same({ 16, 2 }, fresh()(x, 5000):shape())
    local bytes, whole = d.full({ 16 }, 7, { dtype = "u8" }), d.full({ 16 }, 7, { dtype = "i64" })
    for _, t in ipairs { bytes, whole } do assert.same({ 16, 2 }, model(x, t):shape()) end
    says("t is 101,", function() model(x, d.full({ 16 }, 101, { dtype = "i64" })) end)
  end)

  it("learns another target by an objective that has it, on purpose", function()
    local model = trained()
    d.objective { process = eps }(model, x) -- only looked at
    says(to_v, function() draw(model, eps) end)
    d.record(d.objective { process = eps }, model, x)
    assert.same({ 2, 2 }, draw(model, eps):shape())
  end)
end)

describe("a raw network", function()
  local edm = d.process { schedule = d.schedule.edm { T = 20 }, predict = "edm" }
  local function raw() return trained(edm, { weighting = "edm", times = "log_normal", precondition = "edm" }) end

  it("needs the precondition of its training", function()
    local net = raw()
    says("d.precondition(model, process, { kind = 'edm' }) makes a denoiser of it", function() draw(net, edm) end)
    assert.same({ 2, 2 }, draw(d.precondition(net, edm), edm):shape())
    says("kind is 'vp', but the network was trained with precondition = 'edm'",
      function() d.precondition(net, edm, { kind = "vp" }) end)
    says("kind is 'edm', but the network was trained on t", function() d.precondition(trained(), edm) end)
    says("was trained to predict edm, but the process predicts x0", function()
      draw(d.precondition(net, edm), d.process { schedule = edm.schedule, predict = "x0" })
    end)
  end)

  it("is told any noise", function() assert.same({ 16, 2 }, raw()(x, -1.5):shape()) end)
end)

describe("a file", function()
  local folder = child.folder()
  local path = folder .. "/model.safetensors"

  it("carries what the model was trained for, with a process and without", function()
    for _, options in ipairs { {}, { process = v } } do
      assert(trained():save(path, options))
      local model, process = d.load_model(path)
      assert.equal(options.process and "v", process and process.predict)
      says(to_v, function() draw(model, eps) end)
      local other = fresh()
      assert(other:load(path))
      says(to_v, function() draw(other, eps) end)
    end
  end)

  it("of a process without training tells by that", function()
    assert(fresh():save(path, { process = v }))
    says(to_v, function() draw(d.load_model(path), eps) end)
    local digits = d.load_model "digits"
    says("the model was trained to predict v, but the process predicts x0", function()
      d.sample { model = digits, shape = { 1, 8, 8, 1 }, steps = 2,
                 process = d.process { schedule = d.schedule.cosine {}, predict = "x0" } }
    end)
  end)

  it("takes another process on purpose", function()
    assert(trained():save(path, { process = v }))
    local model, process = d.load_model(path, { process = eps })
    assert.equal(eps, process)
    assert.same({ 2, 2 }, draw(model, eps):shape())
    says("the model was trained to predict eps, but the process predicts v", function() draw(model, v) end)
  end)

  it("isn't written with a process of another target", function()
    says(to_v, function() return (trained():save(path, { process = eps })) end)
  end)

  it("of a run that goes on carries it too", function()
    local one, other = trained(), fresh()
    assert(d.checkpoint { path = path, model = one }:save())
    assert.is_true(d.checkpoint { path = path, model = other }:load())
    says(to_v, function() draw(other, eps) end)
  end)

  it("whose words of it are damaged is refused", function()
    assert(trained():save(path))
    local good = child.read(path)
    local at, stop = good:find('\\"predict\\":\\"v\\"', 1, true)
    assert(at, "the file says what the spec expects")
    child.write(path, good:sub(1, at - 1) .. '\\"predict\\":\\"w\\"' .. good:sub(stop + 1))
    local none, message = d.load_model(path)
    assert.is_nil(none)
    assert(message:find("its description of the training is damaged", 1, true), message)
    child.remove(folder)
  end)
end)

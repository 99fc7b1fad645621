-- Optimisers, averages and learning rates: how they behave; their formulas are held in
-- spec/theory/optim_spec.lua.
local d = require "diffusion"
local core = require "diffusion.core"
local child = dofile "spec/support/child.lua"
local fails = require "spec.support.fails"
local nn = d.nn

local function bits(x) return x:contiguous():bytes() end

local function all_bits(model)
  local out = {}
  for _, p in model:parameters() do out[#out + 1] = bits(p) end
  return table.concat(out)
end

local function new_model()
  d.manual_seed(6)
  return nn.model(nn.sequence(nn.linear(4, 32), nn.silu, nn.linear(32, 4)))
end

local function backward(model, x)
  local loss = d.record(function() return d.mse(model(x), x) end)
  loss:backward()
  return loss:item()
end

describe("adamw", function()
  it("learns", function()
    local model, x = new_model(), d.randn(64, 4)
    local opt = d.adamw(model, { lr = 1e-2, clip = 1 })
    local first = backward(model, x)
    opt:step()
    for _ = 1, 200 do
      backward(model, x)
      opt:step()
    end
    assert.is_true(backward(model, x) < first / 20)
  end)

  it("has the same bits on any number of threads, at a size that splits", function()
    local threads = d.threads()
    local function trained(n)
      d.threads(n)
      d.manual_seed(7)
      local model = nn.model(nn.linear(256, 300))
      local ema = d.ema(model, { decay = 0.9 })
      local opt, norms = d.adamw(model, { lr = 1e-2, clip = 0.1, ema = ema }), {}
      local x = d.randn(8, 256)
      for k = 1, 3 do
        local loss = d.record(function() return (model(x) * model(x)):mean() end)
        loss:backward()
        norms[k] = opt:step()
      end
      return all_bits(model) .. bits(ema:state().weight) .. table.concat(norms, " ")
    end
    local one = trained(1)
    assert.equal(one, trained(2))
    assert.equal(one, trained(3))
    d.threads(threads)
  end)

  it("leaves everything alone where the gradient isn't finite, and counts it", function()
    local model, x = new_model(), d.randn(8, 4)
    local ema = d.ema(model)
    local opt = d.adamw(model, { lr = 0.1, ema = ema })
    backward(model, x)
    opt:step()
    local before, state = all_bits(model), opt:state()
    local first = bits(state.first["1.weight"])
    backward(model, x)
    model[1].weight.grad[1][1] = 0 / 0
    local norm = opt:step()
    assert.is_true(norm ~= norm)
    assert.equal(before, all_bits(model))
    assert.equal(first, bits(opt:state().first["1.weight"]))
    assert.same({ 1, 1, 1 }, { opt.steps, opt.skipped, ema.updates })
    assert.is_nil(model[1].weight.grad)
    backward(model, x)
    assert.is_true(opt:step() > 0)
  end)

  it("keeps the gradient where zero = false, and zeroes it otherwise", function()
    local model, x = new_model(), d.randn(8, 4)
    local opt = d.adamw(model, { lr = 0 })
    backward(model, x)
    local g = bits(model[1].weight.grad)
    opt:step { zero = false }
    assert.equal(g, bits(model[1].weight.grad))
    opt:zero()
    assert.is_nil(model[1].weight.grad)
    fails("no gradient has arrived since the last step", opt.step, opt)
    fails("unknown option 'zreo'; did you mean 'zero'?", opt.step, opt, { zreo = true })
  end)

  it("has a row of its own in a profile", function()
    local model, x = new_model(), d.randn(64, 4)
    local opt = d.adamw(model, { lr = 1e-2 })
    core.profile_start()
    for _ = 1, 3 do
      backward(model, x)
      opt:step()
    end
    local calls = {}
    for _, row in ipairs(core.profile_stop()) do calls[row.name] = (calls[row.name] or 0) + row.calls end
    assert.equal(3, calls["adamw step"])
  end)

  it("resumes from its state to the same bits", function()
    local x = d.randn(8, 4)
    local function run(steps, from)
      local model = new_model()
      local ema = d.ema(model, { decay = 0.9 })
      local opt = d.adamw(model, { lr = d.lr.cosine { peak = 0.01, total = 9 }, ema = ema })
      if from then
        model:load_state(from.model)
        ema:load_state(from.ema).updates = from.updates
        opt:load_state(from.opt)
      end
      for _ = 1, steps do
        backward(model, x)
        opt:step()
      end
      return { model = model:state(), ema = ema:state(), updates = ema.updates, opt = opt:state() }
    end
    local whole, half = run(6), run(3)
    local resumed = run(3, half)
    assert.equal(6, resumed.opt.steps)
    for name, w in pairs(whole.model) do
      assert.equal(bits(w), bits(resumed.model[name]))
      assert.equal(bits(whole.ema[name]), bits(resumed.ema[name]))
      assert.equal(bits(whole.opt.second[name]), bits(resumed.opt.second[name]))
    end
    local opt = d.adamw(new_model())
    fails("first moments: '1.weight' [32,4] is missing", opt.load_state, opt, { steps = 1 })
  end)

  it("moves several models, and averages of theirs", function()
    local a, b, x = new_model(), nn.model(nn.linear(4, 4)), d.randn(8, 4)
    local ema = d.ema(b)
    local opt = d.adamw({ a, b }, { lr = 0.1, ema = ema, groups = { { pattern = "^2%.", lr = 0 } } })
    local loss = d.record(function() return d.mse(b(a(x)), x) end)
    local before, other = all_bits(a), all_bits(b)
    loss:backward()
    opt:step()
    assert.not_equal(before, all_bits(a))
    assert.equal(other, all_bits(b))
    assert.equal(1, ema.updates)
    assert.is_truthy(opt:state().first["2.weight"])
  end)

  it("has a rate that may be set, a number or a function of the coming step", function()
    local opt = d.adamw(new_model(), { lr = function(k) return 1 / k end })
    assert.equal(1, opt.lr)
    opt.lr = 0.25
    assert.equal(0.25, opt.lr)
    fails("adamw: 'steps' can't be written; what can: lr", function() opt.steps = 3 end)
    opt.lr = function() return "x" end
    fails("the learning rate of step 1 is a string", function() return opt.lr end)
  end)

  it("refuses what it can't move", function()
    local model = new_model()
    fails("model or list of models expected, got number", d.adamw, 3.5)
    fails("betas", d.adamw, model, { betas = { 1, 0.9 } })
    fails("unknown option 'eps'", d.adamw, model, { eps = 1 })
    fails("a model that this optimiser doesn't move", d.adamw, model, { ema = d.ema(new_model()) })
    local ema = d.ema(model)
    fails("ema: entry 2 is there twice", d.adamw, model, { ema = { ema, ema } })
    fails("ema: entry 2 is 3, not an ema", d.adamw, model, { ema = { ema, 3 } })
    fails("no parameter is trainable", d.adamw, model:freeze())
  end)
end)

describe("an average", function()
  local function shifted()
    local model = new_model()
    local ema = d.ema(model)
    for _, p in model:parameters() do p:add_(1) end
    return model, ema
  end

  it("is a denoiser: called, it answers with its own values, and the model's are back", function()
    local model, ema = shifted()
    local x, twin = d.randn(2, 4), new_model()
    local before = bits(model(x))
    assert.equal(bits(twin(x)), bits(ema(x)))
    assert.equal(before, bits(model(x)))
  end)

  it("may be asked by its own model, on its values then", function()
    local ema, depth
    local Asks = d.nn.module("asks", function(m)
      m.gain = d.nn.parameter(d.ones(1))
      function m:forward(x)
        depth = depth - 1
        return depth >= 0 and ema(x) or x * self.gain
      end
    end)
    local model = d.nn.model(Asks())
    ema = d.ema(model)
    for _, p in model:parameters() do p:add_(1) end
    local function asked(of, times)
      depth = times
      return of(d.ones(1, 1)):item()
    end
    assert.same({ 1, 1, 2 }, { asked(ema, 1), asked(model, 1), asked(model, 0) })
  end)

  it("gives the model's values back after an error", function()
    local model, ema = shifted()
    local x = d.randn(2, 4)
    local before = bits(model(x))
    fails("optim_spec.lua", function() ema(d.randn(2, 3)) end)
    assert.equal(before, bits(model(x)))
    assert.equal(bits(new_model()(x)), bits(ema(x)))
  end)

  it("lets gradients through to its input, those of its own values", function()
    local _, ema = shifted()
    local twin, x = new_model(), d.randn(2, 4)
    local g = d.grad(function(y) return ema(y):sum() end, x)
    assert.equal(bits(d.grad(function(y) return twin(y):sum() end, x)), bits(g))
  end)

  it("copies at its first update: what the model has been given since, frozen parameters too", function()
    local model, x = new_model(), d.randn(8, 4)
    local ema = d.ema(model)
    for _, p in model:parameters() do p:add_(1) end
    model:freeze "1.weight"
    local opt = d.adamw(model, { lr = 0.1, ema = ema })
    backward(model, x)
    opt:step()
    for name, p in model:parameters() do assert.equal(bits(p), bits(ema:state()[name])) end
    local w = bits(ema:state()["1.weight"])
    backward(model, x)
    opt:step()
    assert.equal(w, bits(ema:state()["1.weight"]))
    assert.not_equal(bits(model:state()["1.bias"]), bits(ema:state()["1.bias"]))
  end)

  it("of several has the same bits as alone, whether a step moves it or update()", function()
    local function trained(which)
      local model, x = new_model(), d.randn({ 8, 4 }, { seed = 1 })
      local emas = { d.ema(model, { decay = 0.8 }), d.ema(model, { decay = { "power" } }), d.ema(model) }
      local own, rest = {}, {}
      for i, ema in ipairs(emas) do table.insert(which[i] and own or rest, ema) end
      local opt = d.adamw(model, { lr = 0.1, ema = own })
      for _ = 1, 4 do
        backward(model, x)
        opt:step()
        for _, ema in ipairs(rest) do ema:update() end
      end
      local out = {}
      for i, ema in ipairs(emas) do out[i] = bits(ema:state()["1.weight"]) .. bits(ema:state()["3.bias"]) end
      return out
    end
    local all = trained { true, true, true }
    for i = 1, 3 do assert.same(all, trained { [i] = true }) end
  end)

  it("names what its decay can't be", function()
    local model = new_model()
    fails("unknown decay 'half_live'; did you mean 'half_life'?", d.ema, model, { decay = { "half_live" } })
    fails("ema: decay half_life: option 'steps' is missing", d.ema, model, { decay = { "half_life" } })
    fails("number in (0, 0.28867513459481) expected, got 0.3", d.ema, model, { decay = { "power", sigma_rel = 0.3 } })
    fails("unknown option 'gamma'", d.ema, model, { decay = { "warmup", gamma = 1 } })
    fails("option 'warmup' goes with a decay that is a number, not table", d.ema, model,
      { decay = { "power" }, warmup = false })
    local ema = d.ema(model, { decay = function(k) return k end })
    ema:update()
    fails("the decay of update 2 is 2; a number in [0, 1] expected", ema.update, ema)
    assert.equal(1, ema.updates)
  end)

  it("says of which kind it is", function()
    assert.matches("decay power, 0 updates", tostring(d.ema(new_model(), { decay = { "power" } })))
    assert.matches("decay 0.9, 0 updates", tostring(d.ema(new_model(), { decay = 0.9 })))
  end)

  it("counts its updates in whole numbers of 0 or more", function()
    local ema = d.ema(new_model())
    for _, bad in ipairs { -1, 1.5, 0 / 0, "x" } do
      fails("ema: updates must be a whole number of 0 or more, got", function() ema.updates = bad end)
    end
    ema.updates = 3
    assert.equal(3, ema.updates)
  end)

  it("takes decay in [0, 1) and nothing else", function()
    local model = new_model()
    fails("option 'decay': number or table or function in [0, 1) expected, got 1", d.ema, model, { decay = 1 })
    fails("model expected, got table", d.ema, {})
    fails("ema: 'decay' can't be written; what can: updates", function() d.ema(model).decay = 1 end)
  end)
end)

describe("averages put together afterwards", function()
  local folder
  setup(function() folder = child.folder() end)
  teardown(function() child.remove(folder) end)
  local function at(name) return folder .. "/" .. name end

  local function snapshot(name, options)
    local model = options.model or new_model()
    local ema = d.ema(model, { decay = { "power", sigma_rel = options.sigma_rel or 0.1 } })
    for _ = 1, options.updates or 2 do ema:update() end
    assert(ema:snapshot(at(name)))
    return at(name), ema
  end

  it("are the snapshot itself where that is what is asked for, and a denoiser's values", function()
    local path, ema = snapshot("one", {})
    local state, fit = assert(d.posthoc_ema({ path }, { sigma_rel = 0.1 }))
    assert.same({ 1 }, fit.weights)
    assert.near(0, fit.error, 1e-7)
    for name, x in pairs(ema:state()) do assert.equal(bits(x), bits(state[name])) end
    local model, x = new_model(), d.randn(2, 4)
    for _, p in model:parameters() do p:add_(1) end
    assert.equal(bits(ema(x)), bits(model:load_state(state)(x)))
  end)

  it("say what doesn't go together", function()
    local one, two = snapshot("one", {}), snapshot("two", { updates = 3 })
    local other = snapshot("other", { model = nn.model(nn.linear(4, 3)), updates = 4 })
    local function says(sentence, paths)
      local state, message = d.posthoc_ema(paths, { sigma_rel = 0.1 })
      assert.is_nil(state)
      assert.is_truthy(message:find(sentence, 1, true), message)
    end
    says(("other: not of the model of %s:"):format(one), { one, other })
    says(("copy: has the updates and the sigma_rel of %s"):format(one), { one, (snapshot("copy", {})) })
    says("nowhere", { one, at "nowhere" })
    assert(new_model():save(at "model"))
    says("a model, not a snapshot", { at "model" })
    local tensors, metadata = d.load(one)
    metadata.facts = '{"updates":2,"sigma_rel":0.4}'
    assert(d.save(at "forged", tensors, metadata))
    says("forged: its updates or its sigma_rel are missing", { at "forged" })
    fails("updates = 9, but the last snapshot is of 3", d.posthoc_ema, { one, two }, { sigma_rel = 0.1, updates = 9 })
    fails("option 'sigma_rel' is missing", d.posthoc_ema, { one })
    fails("a list of paths expected, got 'one'", d.posthoc_ema, "one")
  end)

  it("are of power averages that have moved, and of files that can be written", function()
    local plain, power = d.ema(new_model()), d.ema(new_model(), { decay = { "power" } })
    fails("this one's is 0.9995", plain.snapshot, plain, at "x")
    fails("has not moved yet", power.snapshot, power, at "x")
    fails("a path expected, got 3", power.snapshot, power, 3)
    local done, message = power:update():snapshot "/nowhere/x"
    assert.is_nil(done)
    assert.is_truthy(message:find("/nowhere/x", 1, true))
  end)
end)

describe("learning rates", function()
  it("warm up in a line and fall on a half cosine", function()
    local lr = d.lr.warmup_cosine { peak = 0.4, warmup = 4, total = 12, floor = 0.1 }
    assert.allclose({ 0.1, 0.2, 0.3, 0.4 }, { lr(1), lr(2), lr(3), lr(4) }, { rtol = 1e-12 })
    assert.near(0.25, lr(8), 1e-12)
    assert.near(0.1, lr(12), 1e-12)
    assert.near(0.1, lr(100), 1e-12)
  end)

  it("fall in a line, stay, or fall on a cosine from the start", function()
    local line = d.lr.linear { peak = 1, total = 10, floor = 0.5 }
    assert.near(0.75, line(5), 1e-12)
    assert.near(0.5, line(11), 1e-12)
    local same = d.lr.constant { peak = 2, warmup = 2 }
    assert.same({ 1.0, 2.0, 2.0 }, { same(1), same(2), same(10 ^ 6 // 1) })
    assert.near(0.5, d.lr.cosine { peak = 1, total = 10 }(5), 1e-12)
    fails("option 'peak' is missing", d.lr.cosine, { total = 3 })
  end)
end)

describe("a rate", function()
  it("that can't be is a sentence", function()
    fails("[0, inf) expected, got -1", d.adamw, d.mlp { hidden = 8, depth = 1 }, { lr = -1 })
    fails("warmup = 10 is more than total = 5 steps", d.lr.warmup_cosine, { peak = 1, warmup = 10, total = 5 })
    fails("warmup = 10 is more than total = 5 steps", d.lr.linear, { peak = 1, warmup = 10, total = 5 })
  end)
end)

-- Numbers that do not come from an option must be in the option's range too. They may be
-- assigned, returned by a function, or come from a group, a loaded state or a checkpoint.
-- Also tested are gradients whose squares overflow.
local d = require "diffusion"
local child = dofile "spec/support/child.lua"
local fails = require "spec.support.fails"
local nn = d.nn

local nan, inf = 0 / 0, math.huge
local bad = { nan, inf, -inf, -1 }

local function new_model()
  d.manual_seed(6)
  return nn.model(nn.linear(2, 2))
end

local function backward(model)
  d.record(function(x) return model(x):square():sum() end, d.tensor { { 1, 2 } }):backward()
end

local function all_bits(model)
  local out = {}
  for _, p in model:parameters() do out[#out + 1] = p:bytes() end
  return table.concat(out)
end

-- A model of parameters alone whose gradient is g.
local function of_gradient(g)
  local Net = nn.module("net", function(m)
    m.w = nn.parameter(d.zeros(#g))
    function m:forward(x) return self.w * x end
  end)
  local model, x = nn.model(Net()), d.tensor(g)
  return model, function() d.record(function() return model(x):sum() end):backward() end
end

-- Raises, with "got nan" and the like, and leaves a model as it is.
local function refused(value, fn)
  local model = new_model()
  backward(model)
  local before = all_bits(model)
  fails(("expected, got %s"):format(tostring(value):gsub("-nan", "nan")), fn, model)
  assert.equal(before, all_bits(model))
end

describe("numbers that come later", function()
  it("a learning rate, by every way", function()
    for _, v in ipairs(bad) do
      local function always() return v end
      refused(v, function(m) d.adamw(m, { lr = v }) end)
      refused(v, function(m) d.adamw(m, { lr = always }):step() end)
      refused(v, function(m) d.adamw(m).lr = v end)
      refused(v, function(m)
        local opt = d.adamw(m)
        opt.lr = always
        opt:step()
      end)
      refused(v, function(m) return d.adamw(m, { lr = always }).lr end)
      refused(v, function(m) d.adamw(m, { groups = { { pattern = "bias", lr = v } } }) end)
      refused(v, function(m) d.adamw(m, { groups = { { pattern = "bias", lr = always } } }):step() end)
      refused(v, function(m) d.adamw(m, { groups = { { pattern = "bias", weight_decay = v } } }) end)
      refused(v, function(m) d.adamw(m, { weight_decay = v }) end)
      refused(v, function(m) d.adamw(m, { clip = v }) end)
      refused(v, function(m) d.adamw(m, { epsilon = v }) end)
      fails("(option 'betas': entry 2: number in [0, 1) expected, got ", d.adamw, new_model(), { betas = { 0.9, v } })
      fails("(option 'betas': entry 1: number in [0, 1) expected, got ", d.adamw, new_model(), { betas = { v, 0.9 } })
    end
    fails("(option 'betas': 2 entries expected, got 3)", d.adamw, new_model(), { betas = { 0.9, 0.99, 0.999 } })
    local model = new_model()
    backward(model)
    fails("too large for f32", function() d.adamw(model, { lr = 1e39 }):step() end)
  end)

  it("a loaded optimiser's state", function()
    local model = new_model()
    local opt = d.adamw(model, { lr = 0.5 })
    backward(model)
    opt:step()
    local function spoilt(change)
      local state = opt:state()
      for _, which in ipairs { "first", "second" } do
        local copy = {}
        for name, x in pairs(state[which]) do copy[name] = x:clone() end
        state[which] = copy
      end
      change(state)
      return state
    end
    local other = d.adamw(new_model(), { lr = 0.25 })
    local function refuses(sentence, change)
      fails(sentence, other.load_state, other, spoilt(change))
      assert.same({ 0, 0, 0.25 }, { other.steps, other.skipped, other.lr })
      for _, x in pairs(other:state().second) do assert.equal(0, x:abs():max():item()) end
    end
    for _, v in ipairs(bad) do
      refuses("learning rates must be finite numbers of 0 or more", function(s) s.lr = { v } end)
      refuses("the moments of 'weight'", function(s) s.second.weight[1][1] = v < 0 and v or nan end)
    end
    refuses("learning rates", function(s) s.lr = 0.1 end)
    refuses("the moments of 'bias'", function(s) s.first.bias[2] = -inf end)
    for _, steps in ipairs { -1, 1.5, "1" } do
      refuses("the optimiser's steps", function(s) s.steps = steps end)
      refuses("the optimiser's steps", function(s) s.skipped = steps end)
    end
    other:load_state(spoilt(function() end))
    assert.same({ 1, 0.5 }, { other.steps, other.lr })
  end)

  it("a checkpoint's learning rates and moments: nil, a message, and nothing changed", function()
    local folder = child.folder()
    local path = folder .. "/run.safetensors"
    local model = new_model()
    local opt = d.adamw(model, { lr = 0.5 })
    backward(model)
    opt:step()
    assert(d.checkpoint { path = path, model = model, opt = opt }:save())
    local other = new_model()
    local mine = d.adamw(other, { lr = 0.25 })
    local good, before = child.read(path), all_bits(other)
    local function refuses(sentence, from, to)
      local at, stop = good:find(from, 1, true)
      child.write(path, good:sub(1, at - 1) .. to .. good:sub(stop + 1))
      local loaded, message = d.checkpoint { path = path, model = other, opt = mine }:load()
      assert.is_nil(loaded)
      assert(message:find(sentence, 1, true), message)
      assert.same({ before, 0, 0.25 }, { all_bits(other), mine.steps, mine.lr })
    end
    assert(good:find('[0.5]', 1, true), "the file names the rate as the spec expects")
    refuses("learning rates", "[0.5]", "[-.5]")
    refuses("learning rates", "[0.5]", "[NaN]")
    local moment = opt:state().second.bias:bytes()
    refuses("the moments of 'bias'", moment, ("\xff"):rep(#moment))
    child.write(path, good)
    assert.is_true(d.checkpoint { path = path, model = other, opt = mine }:load())
    assert.same({ 1, 0.5 }, { mine.steps, mine.lr })
    child.remove(folder)
  end)

  it("d.lr's functions at step 0, before it and beyond", function()
    for name, options in pairs {
      constant = { peak = 2 }, linear = { peak = 2, total = 9 }, cosine = { peak = 2, total = 9 },
      warmup_cosine = { peak = 2, total = 9 },
    } do
      local rate = d.lr[name](options)
      assert.same({ 2, name == "constant" and 2 or 0 }, { rate(0), rate(1e9) }, name)
      for _, v in ipairs(bad) do fails("lr: the step: number in [0, inf) expected, got", rate, v) end
      if name ~= "cosine" then
        options.warmup = 4
        assert.same({ 0, 0.5 }, { d.lr[name](options)(0), d.lr[name](options)(1) }, name)
      end
      options.peak = inf
      fails("option 'peak': number in (0, inf) expected, got inf", d.lr[name], options)
    end
  end)

  it("an average's decay", function()
    local model = new_model()
    for _, v in ipairs(bad) do
      fails("expected", d.ema, model, { decay = v })
      fails("expected", d.ema, model, { decay = { "power", sigma_rel = v } })
      fails("expected", d.ema, model, { decay = { "half_life", steps = v } })
      fails("expected", d.ema, model, { decay = { "warmup", inv_gamma = v } })
      local ema = d.ema(model, { decay = function() return v end }):update()
      fails("the decay of update 2 is", ema.update, ema)
      fails("updates must be a whole number", function() ema.updates = v end)
    end
  end)

  local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "x0" }
  local function denoiser(xt) return xt * 0.5 end

  it("a guidance's scale and its interval, which stays as it was", function()
    for _, v in ipairs { nan, inf, -inf } do
      fails("expected, got", d.guidance.cfg, denoiser, { scale = v })
      fails("expected, got", d.guidance.cfg, denoiser, { scale = 2, rescale = v })
      fails("expected, got", d.guidance.cfg_pp, denoiser, { scale = v })
      fails("expected, got", d.guidance.auto, denoiser, denoiser, { scale = v })
      fails("expected, got", d.guidance.gradient, denoiser, process, denoiser, { scale = v })
      fails("expected, got", d.guidance.classifier, denoiser, process, denoiser, { scale = v })
      fails("expected, got", d.sample, { model = denoiser, process = process, shape = { 1, 2 }, guidance = v })
    end
    fails("interval must be {low, high}", d.guidance.cfg, denoiser, { scale = 2, interval = { nan, 3 } })
    local interval = { 1, 10 }
    local guided = d.guidance.auto(denoiser, function(xt) return xt end, { scale = 2, interval = interval })
    interval[2] = nan
    assert.equal(0, guided(d.ones(1, 2), 5):abs():max():item())
  end)

  it("a sampler's numbers, and what can be written of a run", function()
    local function run(sampler)
      d.sample { model = denoiser, process = process, shape = { 1, 2 }, sampler = sampler }
    end
    for _, v in ipairs { nan, inf, -inf } do
      for _, name in ipairs { "ddim", "euler_ancestral", "dpm2_ancestral", "dpmpp_2m_sde" } do
        fails("option 'eta': number in [0, inf) expected, got", run, { name, eta = v })
      end
      fails("expected, got", run, { "dpmpp_2m_sde", eta = v })
      fails("expected, got", run, { "heun", s_churn = v })
      fails("expected, got", run, { "rk45", rtol = v })
      fails("expected, got", d.process, { schedule = process.schedule, clip = v })
      fails("expected, got", d.process, { schedule = process.schedule, sigma_data = v })
    end
    run { "heun", s_tmax = inf }
    local steps = d.sampler.steps { model = denoiser, process = process, shape = { 1, 2 } }
    fails("run: on_step must be a function, got 5", function() steps.on_step = 5 end)
    steps.on_step = nil
  end)

  it("an objective's numbers, written between stages", function()
    local objective = d.objective { process = process }
    for _, v in ipairs(bad) do
      for _, name in ipairs { "drop_class", "self_condition", "offset_noise", "vlb" } do
        fails(("objective: %s: number in [0, "):format(name), function() objective[name] = v end)
      end
    end
    objective.offset_noise = 0.5
    assert.equal(0.5, objective.offset_noise)
    fails("objective: 'weighting' can't be written", function() objective.weighting = "snr" end)
  end)

  it("the weights that a function gives, which lead uphill below 0", function()
    local model, x = d.mlp { hidden = 8, depth = 1 }, d.ones(2, 2)
    local function loss(weigh) return d.objective { process = process, weighting = weigh }(model, x):item() end
    for _, v in ipairs { -1, -0.5, -inf } do
      local text = ("the weighting function gave %g for SNR "):format(v)
      fails(text, loss, function() return v end)
      fails(text, loss, function(snr) return snr * 0 + v end)
      fails(text, loss, function(snr) return d.cat({ snr:narrow(1, 2, 1), d.tensor { v } }, 1) end)
    end
    assert.equal(0, loss(function() return 0 end))
    assert.is_true(loss(function() return 3 end) > 0)
    local sick = loss(function() return nan end) -- a trainer traces this
    assert.is_true(sick ~= sick)
  end)

  it("the losses that times = 'importance' goes on from", function()
    local objective = d.objective { process = process, times = "importance" }
    local state = objective:state()
    for _, v in ipairs { nan, inf, "1" } do
      state.losses[3] = { 1, v }
      local fine, message = objective:load_state(state)
      assert.is_nil(fine)
      assert(message:find("no losses of 10 levels", 1, true), message)
    end
    state.losses[3] = { 1, 2 }
    assert.is_true(objective:load_state(state))
  end)

  it("the errors of a process, which keeps its own", function()
    local rows = { { 2, 0.5 }, { 8, 0.25 } }
    local p = d.process { schedule = process.schedule, variance = "optimal", x0_error = rows }
    local before = p:step_variance(5, 4)
    rows[1][2] = nan
    assert.equal(before, p:step_variance(5, 4))
    fails("x0_error: entry 1 must be", d.process,
      { schedule = process.schedule, variance = "optimal", x0_error = rows })
  end)

  it("a trainer's options, written before it runs", function()
    local model = d.mlp { hidden = 8, depth = 1 }
    local trainer = d.trainer { model = model, objective = d.objective { process = process }, opt = d.adamw(model),
      batches = d.data.toy.moons(64, { seed = 1 }):batches { size = 32, steps = 2 }, quiet = true }
    for _, v in ipairs { 0, -1, 1.5, nan, inf, "often" } do
      fails("trainer: save_every: integer in [1, inf) expected, got", function() trainer.save_every = v end)
    end
    fails("trainer: on_step: function expected, got 5", function() trainer.on_step = 5 end)
    fails("trainer: 'opt' can't be written", function() trainer.opt = 5 end)
    local seen = 0
    trainer.on_step = function() seen = seen + 1 end
    trainer.save_every = 1
    trainer.log = nil
    trainer:run()
    assert.equal(2, seen)
  end)
end)

describe("the gradient's norm", function()
  local huge, small = 1e26, 1e-30

  it("is right where squares are too large or too small", function()
    for _, g in ipairs { huge, small } do
      local model, back = of_gradient { 3 * g, 0, -4 * g }
      local opt = d.adamw(model, { lr = 0.25 })
      back()
      local norm = opt:step()
      assert.near(1, norm / (5 * g), 1e-6)
      assert.same({ 1, 0 }, { opt.steps, opt.skipped })
      -- the first step of each is lr times its sign where g is beyond epsilon
      local move = g == huge and 0.25 or 0
      for i, want in ipairs { -move, 0, move } do assert.near(want, model.w[i], 1e-5) end
      for _, v in pairs(opt:state().second) do assert.is_true(v:isfinite():all()) end
    end
    local model, back = of_gradient { small, 0 }
    back()
    back()
    assert.near(1, d.adamw(model):step() / small, 1e-6)
  end)

  it("clips by the right norm", function()
    local model, back = of_gradient { 3 * huge, 4 * huge }
    local opt = d.adamw(model, { lr = 0.25, clip = 1, betas = { 0, 0 } })
    back()
    opt:step()
    local second = opt:state().second.w
    assert.near(0.36, second[1], 1e-6)
    assert.near(0.64, second[2], 1e-6)
  end)

  it("has the same bits on any number of threads when it is summed again", function()
    local threads, norms = d.threads(), {}
    for n = 1, 3 do
      d.threads(n)
      local model = nn.model(nn.linear(256, 300))
      local x = d.randn({ 8, 256 }, { seed = 2 })
      local opt = d.adamw(model)
      d.record(function() return (model(x) * huge):sum() end):backward()
      norms[n] = opt:step()
    end
    d.threads(threads)
    assert(norms[1] > huge and norms[1] < inf)
    assert.same({ norms[1], norms[1] }, { norms[2], norms[3] })
  end)
end)

describe("steps that can't be taken", function()
  it("are told once, and are an error when 30 come in a row", function()
    local folder = child.folder()
    child.write(folder .. "/sick.lua", [[
      local d = require "diffusion"
      local model = d.nn.model(d.nn.linear(2, 2))
      local opt, x = d.adamw(model), d.ones(1, 2)
      local function step(times)
        for _ = 1, times do
          d.record(function() return model(x):square():sum() end):backward()
          opt:step()
        end
      end
      step(2)
      model.bias[1] = 0 / 0
      step(29)
      model.bias[1] = 0
      step(1)
      model.bias[1] = 0 / 0
      step(29)
      local fine, message = pcall(step, 1)
      print(fine, opt.steps, opt.skipped, message)]])
    local out, code = child.run(folder .. "/sick.lua")
    child.remove(folder)
    assert.equal(0, code, out)
    local told = "a step was not taken, after step 2: [^\n]* is nan; [^\n]* the parameter 'bias'"
    local count = select(2, out:gsub(told, ""))
    assert.equal(1, count, out)
    assert(out:find("false\t3\t59\t[^\n]*30 steps in a row were not taken, after step 3"), out)
  end)
end)

describe("adamw's groups", function()
  it("must match a parameter each, were it one that an earlier group has", function()
    local model = new_model()
    fails("'groups': the pattern 'norm' of group 2 matches no parameter; the first is 'weight'", d.adamw, model,
      { groups = { { pattern = "bias", lr = 0 }, { pattern = "norm", lr = 0 } } })
    fails("malformed pattern", d.adamw, model, { groups = { { pattern = "b[", lr = 0 } } })
    d.adamw(model, { groups = { { pattern = "bias", lr = 0 }, { pattern = "b", lr = 1 } } })
  end)
end)

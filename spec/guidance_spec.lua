-- Guidance as scripts use it: identities, intervals, unchanged parts, errors. The
-- distribution of guided samples is in spec/theory/guidance_spec.lua.
local d = require "diffusion"
local fails = require "spec.support.fails"
local guidance = d.guidance

local process = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "v" }

-- A denoiser that counts its calls. It returns `told` if it gets a class.
local function counting(told, untold)
  local calls = { with = 0, without = 0 }
  return function(xt, _, o)
    local class = o and o.class ~= nil
    calls[class and "with" or "without"] = calls[class and "with" or "without"] + 1
    return xt * 0 + (class and told or untold)
  end, calls
end

local x = d.randn({ 3, 2 }, { seed = 1 })
local classes = { class = { 1, 2, 3 } }

local function network()
  d.manual_seed(2)
  local model = d.mlp { dim = 2, hidden = 16, depth = 1, classes = 3 }
  for _, p in model:parameters() do p:copy_(d.randn(p:shape()) * 0.3) end
  return model
end

local function same(a, b) assert.is_true(a:equal(b)) end

describe("guidance", function()
  it("by cfg asks only the half it needs, and all that is in a call but the class reaches both", function()
    local seen = {}
    local function model(xt, _, o)
      seen[#seen + 1] = o
      return xt
    end
    guidance.cfg(model, { scale = 2 })(x, 5, { class = 1, extra = 7 })
    assert.same({ { extra = 7 }, { class = 1, extra = 7 } }, seen)
    for scale, want in pairs { [0] = { 0, 1 }, [1] = { 1, 0 }, [2] = { 1, 1 } } do
      local counted, calls = counting(1, 0)
      local out = guidance.cfg(counted, { scale = scale })(x, 5, classes)
      assert.near(scale, out[1][1], 1e-6)
      assert.same(want, { calls.with, calls.without })
    end
  end)

  it("acts from low to high, both included, on each sample by its own t", function()
    local model = counting(1, 0)
    local guided = guidance.cfg(model, { scale = 3, interval = { 20, 60 } })
    for t, want in pairs { [19.9] = 1, [20] = 3, [60] = 3, [60.1] = 1 } do
      assert.near(want, guided(x, t, classes)[1][1], 1e-6)
    end
    for _, t in ipairs { { 10, 20, 70 }, d.tensor { 10, 20, 70 } } do
      assert.allclose({ 1, 3, 1 }, guided(x, t, classes):select(2, 1):totable(), { atol = 1e-6 })
    end
    local counted, calls = counting(1, 0)
    guidance.cfg(counted, { scale = 3, interval = { 20, 60 } })(x, { 1, 2, 99 }, classes)
    assert.same({ 1, 0 }, { calls.with, calls.without })
  end)

  it("by a weaker model at scale 1 is the model, at 0 the weak one; class and t reach both", function()
    local strong, weak = network(), function(xt, _, o) return xt * 0 + o.class[1] end
    same(strong(x, 7, classes), guidance.auto(strong, weak, { scale = 1 })(x, 7, classes))
    same(weak(x, 7, classes), guidance.auto(strong, weak, { scale = 0 })(x, 7, classes))
    local both = guidance.auto(strong, weak, { scale = 2, interval = { 1, 7 } })
    assert.allclose((strong(x, 7, classes) * 2 - 1):totable(), both(x, 7, classes):totable(), { atol = 1e-5 })
    same(strong(x, 8, classes), both(x, 8, classes))
  end)

  it("by CFG++ answers twice, and as one answer is cfg's", function()
    local model = network()
    local out, other = guidance.cfg_pp(model, { scale = 0.6 })(x, 7, classes)
    same(guidance.cfg(model, { scale = 0.6 })(x, 7, classes), out)
    same(model(x, 7, {}), other)
  end)

  it("by CFG++ runs in ddim, euler, euler_ancestral and samplers of one's own, and no other", function()
    local guided = guidance.cfg_pp(network(), { scale = 0.6 })
    local function run(sampler)
      return d.sample { model = guided, process = process, shape = { 3, 2 }, class = 2, steps = 4, seed = 1,
                        sampler = sampler }
    end
    local function own(denoise, p)
      return function(xt, pair)
        local x0, eps = denoise(xt, pair.t)
        return d.mix(p.schedule:signal(pair.s), x0, p.schedule:noise(pair.s), eps)
      end
    end
    local ddim = run "ddim"
    for _, sampler in ipairs { "euler", own } do
      assert.allclose(ddim:totable(), run(sampler):totable(), { rtol = 1e-4, atol = 1e-5 })
    end
    assert.is_true(run "euler_ancestral":isfinite():all())
    for _, sampler in ipairs { "unipc", "heun", "ddpm", "lms" } do
      fails(("sampler %s: the model returns a second output"):format(sampler), run, sampler)
    end
  end)

  it("as an option of d.sample is cfg's scale, or a function of the model", function()
    local model = network()
    local function run(given)
      return d.sample { model = model, process = process, shape = { 3, 2 }, class = 2, steps = 4, seed = 1,
                        guidance = given }
    end
    same(run(2.5), run(function(m) return guidance.cfg(m, { scale = 2.5 }) end))
    same(run(1), run(function(m) return m end))
    fails("sampler: what guidance(model) returns must be a function, got nil", run, function() end)
    fails("sampler: what guidance(model) returns must be a function, got 2", run, function() return 2 end)
  end)
end)

describe("guidance by a gradient", function()
  local function log_prob_of(classifier)
    return function(xt, t, class)
      return classifier(xt, t):log_softmax(2):gather(2, d.tensor(class, { dtype = "i64" }):unsqueeze(2)):squeeze(2)
    end
  end

  it("leaves the gradients of all parameters alone, and keeps nothing", function()
    local model, classifier = network(), network()
    local guided = guidance.classifier(model, process, log_prob_of(classifier), { scale = 2 })
    local function energy(x0) return x0:square():sum(2) end
    local through = guidance.gradient(model, process, energy, { of = "x0" })
    d.record(function() return classifier(x, 5):sum() + model(x, 5):sum() end):backward()
    local before = {}
    for _, m in ipairs { model, classifier } do
      for _, p in m:parameters() do before[#before + 1] = p.grad and p.grad:clone() or false end
    end
    local function run() return guided(x, 40, { class = { 1, 2, 2 } }), through(x, 40, classes) end
    local one, other = run()
    assert.is_true(one:isfinite():all() and other:isfinite():all())
    collectgarbage()
    local live = d.memory().live
    for _ = 1, 20 do run() end
    collectgarbage()
    assert.equal(live, d.memory().live)
    local k = 0
    for _, m in ipairs { model, classifier } do
      for _, p in m:parameters() do
        k = k + 1
        if before[k] then same(before[k], p.grad) else assert.is_nil(p.grad) end
      end
    end
  end)

  it("pushes towards the class: ln p rises on the way that x0 moves", function()
    local model, classifier = network(), network()
    local log_prob = log_prob_of(classifier)
    local guided = guidance.classifier(model, process, log_prob, { scale = 1 })
    local class = { 1, 2, 2 }
    local function x0_of(out) return process:convert(out, { from = "v", to = "x0", xt = x, t = 40 }) end
    local move = x0_of(guided(x, 40, { class = class })) - x0_of(model(x, 40, { class = class }))
    local g = d.grad(function(y) return log_prob(y, 40, class):sum() end, x)
    local a, s = process.schedule:signal(40), process.schedule:noise(40)
    assert.allclose((g * (s ^ 2 / a)):totable(), move:totable(), { rtol = 1e-3, atol = 1e-5 })
  end)

  it("runs in a sampler, through an average, and around or within cfg", function()
    local model = network()
    local ema = d.ema(model)
    local function calm(x0) return x0:square():sum(2) end
    local function end_of(of)
      return d.sample { model = of, process = process, shape = { 64, 2 }, class = 1, steps = 10, seed = 1 }
    end
    local function size(y) return y:square():mean():item() end
    local plain = end_of(guidance.cfg(ema, { scale = 2 }))
    for _, of in ipairs { "x0", "xt" } do
      local o = { scale = 0.3, of = of, interval = { 1, 90 } }
      local outer = end_of(guidance.gradient(guidance.cfg(ema, { scale = 2 }), process, calm, o))
      local inner = end_of(guidance.cfg(guidance.gradient(ema, process, calm, o), { scale = 2 }))
      assert.is_true(size(outer) < size(plain) and size(inner) < size(plain), of)
    end
    assert.equal(plain:shape()[1], 64)
  end)

  it("has no say outside its interval, nor a classifier without a class", function()
    local model = network()
    local function loud() error "asked" end
    local o = { interval = { 1, 69 } }
    same(model(x, 70, classes), guidance.gradient(model, process, loud, o)(x, 70, classes))
    same(model(x, 70, {}), guidance.classifier(model, process, loud)(x, 70, {}))
    local some = guidance.gradient(model, process, function(xt) return xt:sum(2) end, o)
    local got, plain = some(x, { 10, 70, 70 }, classes), model(x, { 10, 70, 70 }, classes)
    assert.is_false(got[1]:equal(plain[1]))
    assert.is_true(got:narrow(1, 2, 2):allclose(plain:narrow(1, 2, 2)))
  end)

  it("says where there is nothing to move", function()
    local flow = d.process { schedule = d.schedule.flow { T = 10 }, predict = "flow" }
    local guided = guidance.gradient(function(xt) return xt end, flow, function(xt) return xt:sum(2) end)
    fails("gradient: x_t holds no signal at t = 10, so a gradient moves no x0 there", guided, x, 10)
  end)
end)

describe("guidance that can't be", function()
  local function model(xt) return xt end
  it("is a sentence", function()
    fails("cfg: guidance 2 needs a class", guidance.cfg(model, { scale = 2 }), x, 5)
    fails("cfg_pp: guidance 0.5 needs a class", guidance.cfg_pp(model, { scale = 0.5 }), x, 5, {})
    fails("option 'scale' is missing", guidance.auto, model, model, {})
    fails("auto: weak: model must be a denoiser", guidance.auto, model, nil, { scale = 2 })
    fails("cfg: model must be a denoiser", guidance.cfg, 3, { scale = 2 })
    fails("classifier: log_prob must be a function, got 3", guidance.classifier, model, process, 3)
    fails("gradient: energy must be a function, got nil", guidance.gradient, model, process)
    fails("bad argument #2 to 'gradient' (a process expected, got function; its arguments are (model, process, energy, "
      .. "options))", guidance.gradient, model, model, { process = process })
    fails("did you mean 'interval'", guidance.classifier, model, process, model, { intervall = {} })
    fails("option 'of': unknown value 'eps'", guidance.gradient, model, process, model, { of = "eps" })
    fails("got -1", guidance.cfg_pp, model, { scale = -1 })
    for name, make in pairs { cfg = guidance.cfg, cfg_pp = guidance.cfg_pp } do
      fails(name .. ": interval must be {low, high} in t, low <= high, got {5, 2}", make, model,
        { scale = 2, interval = { 5, 2 } })
    end
    fails("got {3, nil}", guidance.auto, model, model, { scale = 2, interval = { 3 } })
  end)

  it("says which answer is none", function()
    local function mute() end
    local function wide(xt) return d.cat({ xt, xt, xt }, 2) end
    local function sum(xt) return xt:sum(2) end
    for name, make in pairs {
      cfg = function(m) return guidance.cfg(m, { scale = 2 }) end,
      cfg_pp = function(m) return guidance.cfg_pp(m, { scale = 0.5 }) end,
      auto = function(m) return guidance.auto(m, model, { scale = 2 }) end,
      ["auto: weak"] = function(m) return guidance.auto(model, m, { scale = 2 }) end,
      classifier = function(m) return guidance.classifier(m, process, sum) end,
      gradient = function(m) return guidance.gradient(m, process, sum) end,
    } do
      fails(name .. ": the denoiser returned nil for xt [3,2]", make(mute), x, 5, classes)
      fails(name .. ": the denoiser returned a tensor [3,6] for xt [3,2]", make(wide), x, 5, classes)
    end
  end)

  it("rescaled is a number where a sample has no deviation: one dimension, or a constant", function()
    local function told(xt, _, o) return xt * 0 + (o.class and 2 or 1) end
    for _, y in ipairs { d.randn(3, 1), d.randn(3, 4) } do
      local out = guidance.cfg(told, { scale = 3, rescale = 0.7 })(y, 5, classes)
      assert.allclose(y * 0 + 4, out)
    end
  end)

  it("takes t as a number, a list or a tensor, of a batch of one too", function()
    local function ones(xt) return xt:sum(2) end
    local function told(xt, t, o) return model(xt, t) * (o.class and 2 or 1) end
    for _, y in ipairs { x, x:narrow(1, 1, 1) } do
      local B, list, class = y:size(1), {}, { class = {} }
      for i = 1, B do list[i], class.class[i] = 40, 1 end
      for name, guided in pairs {
        cfg = guidance.cfg(told, { scale = 3, interval = { 30, 50 } }),
        cfg_pp = guidance.cfg_pp(told, { scale = 0.5, interval = { 30, 50 } }),
        auto = guidance.auto(told, model, { scale = 2, interval = { 30, 50 } }),
        classifier = guidance.classifier(told, process, ones, { interval = { 30, 50 } }),
        gradient = guidance.gradient(told, process, ones, { of = "x0", interval = { 30, 50 } }),
      } do
        local want = guided(y, 40, class)
        for _, t in ipairs { list, d.tensor(list), d.tensor(list, { dtype = "i64" }) } do
          assert.is_true(want:allclose((guided(y, t, class))), name)
        end
        assert.is_false(want:allclose(told(y, 40, class)), name)
      end
    end
  end)

  it("by a gradient leaves samples alone that are outside of its interval, where x_t holds no signal too", function()
    local flow = d.process { schedule = d.schedule.flow { T = 50 }, predict = "flow" }
    local function sum(xt) return xt:sum(2) end
    local function model_(xt) return xt * 0.5 end
    for _, guided in ipairs { guidance.classifier(model_, flow, sum, { interval = { 1, 45 } }),
                              guidance.gradient(model_, flow, sum, { interval = { 1, 45 } }) } do
      local out = guided(x, { 50, 20, 50 }, { class = 1 })
      for _, i in ipairs { 1, 3 } do same(x:select(1, i) * 0.5, out:select(1, i)) end
      same(guided(x:narrow(1, 2, 1), 20, { class = 1 }), out:narrow(1, 2, 1))
      assert.is_false(out:select(1, 2):equal(x:select(1, 2) * 0.5))
      fails("x_t holds no signal at t = 50", guidance.gradient(model_, flow, sum), x, { 20, 50, 1 })
    end
  end)

  it("by a classifier tells a network made without classes none, and others all", function()
    local plain = d.mlp { dim = 2, hidden = 8, depth = 1, self_condition = true }
    for _, w in plain:parameters() do w:copy_(d.randn(w:shape(), { seed = 3 }) * 0.3) end
    local asked
    local function log_prob(xt, _, class)
      asked = class
      return xt:sum(2)
    end
    local function guided(m)
      return guidance.classifier(m, process, log_prob)(x, 5, { class = 2, x0 = x })
    end
    local function unaware(xt, t, given) return plain(xt, t, { x0 = given.x0 }) end
    for _, m in ipairs { plain, d.ema(plain) } do same(guided(unaware), guided(m)) end
    assert.equal(2, asked)
    fails("a class is given, but this network was made without classes = n", plain, x, 5, { class = 2 })
  end)

  it("by a classifier takes class 0 for none", function()
    local guided = guidance.classifier(model, process, function() error "asked" end)
    for _, none in ipairs { 0, { 0, 0, 0 }, d.zeros({ 3 }, { dtype = "i64" }) } do
      assert.is_true(x:equal(guided(x, 5, { class = none })))
    end
  end)

  it("by a classifier leaves a sample with class 0 among others as it is, and asks about none", function()
    local function log_prob(xt, _, class)
      local list = type(class) == "table" and class or class:totable()
      for _, c in ipairs(list) do assert(c >= 1, "asked about none") end
      return xt:square():sum(2)
    end
    local guided = guidance.classifier(model, process, log_prob)
    local all = guided(x, 5, { class = { 2, 1, 3 } })
    for _, some in ipairs { { 2, 0, 3 }, d.tensor({ 2, 0, 3 }, { dtype = "i64" }) } do
      local got = guided(x, 5, { class = some })
      assert.is_true(got:select(1, 2):equal(x:select(1, 2)))
      for _, i in ipairs { 1, 3 } do assert.is_true(got:select(1, i):equal(all:select(1, i))) end
    end
    assert.is_false(all:select(1, 2):equal(x:select(1, 2)))
  end)

  it("leaves the v of a learned variance as the model told with the class has it", function()
    local learned = d.process { schedule = d.schedule.cosine { T = 10 }, variance = "learned_range" }
    local function wide(value, v)
      return function(xt, _, o)
        local told = o and o.class and 1 or 0
        return d.cat({ xt * value + told, xt * 0 + v + told }, -1)
      end
    end
    local model_, weak, y = wide(0.5, 3), wide(0.25, 7), d.randn({ 4, 2 }, { seed = 1 })
    local function ones(xt) return xt:sum(2) end -- the gradient is 1
    local a, s = learned.schedule:signal(5), learned.schedule:noise(5)
    local moved = 2 * s ^ 2 / a * -a / s -- scale times what the score's 1 is in eps
    for name, row in pairs {
      cfg = { guidance.cfg(model_, { scale = 2 }), y * 0.5 + 2, 4 },
      rescaled = { guidance.cfg(model_, { scale = 1, rescale = 0.5 }), y * 0.5 + 1, 4 },
      auto = { guidance.auto(model_, weak, { scale = 2 }), y * 0.75 + 1, 4 },
      cfg_pp = { guidance.cfg_pp(model_, { scale = 2 }), y * 0.5 + 2, 4 },
      cfg_pp_inside = { guidance.cfg_pp(model_, { scale = 2, interval = { 5, 5 } }), y * 0.5 + 2, 4 },
      classifier = { guidance.classifier(model_, learned, ones, { scale = 2 }), y * 0.5 + 1 + moved, 4 },
      -- d(sum of x0)/dx_t = (1 - s/2)/a
      gradient = { guidance.gradient(model_, learned, ones, { scale = -2, of = "x0" }),
        y * 0.5 + 1 + moved * (1 - s * 0.5) / a, 4 },
    } do
      local value, v = learned:split(row[1](y, 5, { class = 1 }))
      assert.is_true(value:allclose(row[2], { atol = 1e-5 }), name)
      assert.is_true(v:allclose(d.full({ 4, 2 }, row[3]), { atol = 1e-6 }), name)
    end
  end)

  it("names what a user's function should have returned", function()
    local function wrong() return d.zeros(2, 2) end
    fails("classifier: log_prob returned a tensor [2,2] for [3,2]; one number per sample, [3], or their sum expected",
      guidance.classifier(model, process, wrong), x, 5, { class = 1 })
    fails("gradient: energy returned nil", guidance.gradient(model, process, function() end), x, 5)
    local mute = guidance.gradient(function() end, process, model, { of = "x0" })
    fails("gradient: the denoiser returned nil", mute, x, 5)
  end)
end)

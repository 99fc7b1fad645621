-- Training objectives: targets against their definitions, also if x_t has no signal. An
-- error has the same weight for every prediction target. Errors are tested too.
local d = require "diffusion"
local fails = require "spec.support.fails"

local tiny = os.getenv "DIFFUSION_PRECISION" == "double" and 1e-13 or 1e-6
local kinds = { "eps", "x0", "v", "score", "flow", "edm" }

local schedules = {
  vp = d.schedule.cosine { T = 10 },
  ["zero terminal SNR"] = d.schedule.linear { T = 10, beta_end = 0.004 }:rescale_zero_terminal_snr(),
  ve = d.schedule.ve { T = 10, sigma_min = 0.1, sigma_max = 20 },
  flow = d.schedule.flow { T = 10 },
}

-- The target for one x0 and eps, at a and s; sigma_data is 0.5.
local function defined(kind, x0, eps, a, s)
  local root = math.sqrt(s * s + a * a / 4)
  return ({ eps = eps, x0 = x0, v = a * eps - s * x0, score = -eps / s, flow = eps - x0,
            edm = (s * x0 / 0.5 - a * 0.5 * eps) / root })[kind]
end

local function near(expected, actual)
  assert.near(expected, actual, tiny * math.max(1, math.abs(expected)))
end

describe("a target", function()
  it("is its definition at every t, also without signal", function()
    d.manual_seed(1)
    local x0, eps, t = d.randn(10, 2), d.randn(10, 2), d.arange(1, 10):to "i64"
    for _, schedule in pairs(schedules) do
      for _, kind in ipairs(kinds) do
        local p = d.process { schedule = schedule, predict = kind }
        local target = p:target(x0, eps, t)
        for k = 1, 10 do
          local a, s = schedule:signal(k), schedule:noise(k)
          for i = 1, 2 do near(defined(kind, x0[k][i], eps[k][i], a, s), target[k][i]) end
        end
        near(defined(kind, 0.5, -2, schedule:signal(10), schedule:noise(10)), p:target(0.5, -2, 10))
      end
    end
  end)

  it("is accurate at the end of the cosine schedule", function()
    local p = d.process { schedule = d.schedule.cosine(), predict = "v" }
    local x0 = d.full({ 1, 1 }, 0.7)
    local a, s = p.schedule:signal(1000), p.schedule:noise(1000)
    local _, eps = p:q_sample(x0, 1000, { seed = 1 })
    near(defined("v", 0.7, eps:item(), a, s), p:target(x0, eps, { 1000 }):item())
  end)

  it("names what doesn't fit", function()
    local p = d.process { schedule = schedules.vp, predict = "v" }
    assert.error_matches(function() p:target(d.zeros(2, 3), d.zeros(2, 4), 1) end,
      "target: eps is %[2,4%], but x0 is %[2,3%]")
    assert.error_matches(function() p:target(d.zeros(2, 3), d.zeros(2, 3), 11) end, "1%.%.10")
  end)
end)

describe("an objective", function()
  -- A denoiser that predicts x0 = 0, so that eps - eps' = -(a/s) x0.
  local function believer(process)
    return function(xt, t)
      return process:convert(xt * 0, { from = "x0", to = process.predict, xt = xt, t = t })
    end
  end

  it("weighs one error the same, whatever is predicted and on any schedule", function()
    d.manual_seed(2)
    local x0 = d.randn(64, 3)
    local square = (x0 * x0):mean(2)
    for name, schedule in pairs(schedules) do
      for _, kind in ipairs(kinds) do
        local process = d.process { schedule = schedule, predict = kind }
        if schedule:snr(10) > 0 or (kind ~= "eps" and kind ~= "score") then
          local _, seen = d.objective { process = process } (believer(process), x0)
          local want = schedule:snr(seen.t) * square
          for k = 1, 64 do
            local rounding = 1e-4 * math.max(1e-3, want[k])
            assert(math.abs(want[k] - seen.per_sample[k]) <= rounding, ("%s %s at t = %d: %g, not %g"):format(
              name, kind, seen.t[k], seen.per_sample[k], want[k]))
          end
        end
      end
    end
  end)

  it("trains v, x0 and flow where x_t holds no signal", function()
    local x0 = d.randn(64, 3, { seed = 1 })
    for _, kind in ipairs { "v", "x0", "flow", "edm" } do
      local process = d.process { schedule = schedules["zero terminal SNR"], predict = kind }
      local loss_of = d.objective { process = process, weighting = function(snr) return snr * 0 + 1 end }
      local model = d.mlp { dim = 3, hidden = 8, depth = 1 }
      local loss, seen = d.record(loss_of, model, x0)
      assert.is_true((seen.t:eq(10)):any())
      loss:backward()
      for _, p in model:parameters() do assert.is_true(p.grad:isfinite():all()) end
    end
  end)

  it("refuses eps and score there, and says what to predict", function()
    for _, kind in ipairs { "eps", "score" } do
      for _, name in ipairs { "zero terminal SNR", "flow" } do
        local process = d.process { schedule = schedules[name], predict = kind }
        assert.error_matches(function() d.objective { process = process } end,
          "SNR at t = 10 is 0.*" .. kind .. ".*predict v, x0 or flow")
      end
    end
  end)
end)

describe("an objective's parts", function()
  local p = d.process { schedule = d.schedule.linear { T = 100 } }
  local nothing = function(xt) return xt * 0 end

  it("measures an error as it is told to", function()
    local x0, eps = d.zeros(2, 2), d.tensor { { 3, -4 }, { 0.5, 0 } }
    local c = 0.1
    for _, row in ipairs {
      { "mse", 12.5, 0.125 }, { "l1", 3.5, 0.25 }, { "huber", (2.5 + 3.5) / 2, 0.0625 },
      { { "huber", delta = 2 }, (4 + 6) / 2, 0.0625 },
      { "pseudo_huber", math.sqrt(12.5 + 0.00054 ^ 2) - 0.00054, math.sqrt(0.125 + 0.00054 ^ 2) - 0.00054 },
      { { "pseudo_huber", c = c }, math.sqrt(12.5 + c * c) - c, math.sqrt(0.125 + c * c) - c },
    } do
      local _, seen = d.objective { process = p, error = row[1] } (nothing, x0, { eps = eps })
      for k = 1, 2 do near(row[1 + k], seen.per_sample[k]) end
    end
  end)

  it("trains on the pairs that it is given", function()
    local x0, eps = d.randn(4, 2, { seed = 1 }), d.randn(4, 2, { seed = 2 })
    local _, seen = d.objective { process = p } (nothing, x0, { eps = eps })
    assert.is_true(seen.eps:equal(eps))
    assert.is_true(seen.xt:equal((p:q_sample(x0, seen.t, eps))))
  end)

  it("hides classes, and tells the model its own x0 in some batches", function()
    d.manual_seed(3)
    local plain, told, hidden = 0, 0, 0
    local function model(xt, t, given)
      if not given.x0 then plain = plain + 1 else
        told = told + 1
        -- x0 for eps' = x_t/2 by the process, without a gradient
        local x0 = p:convert(xt * 0.5, { from = "eps", to = "x0", xt = xt, t = t })
        assert.allclose(x0, given.x0, { rtol = 1e-4, atol = 1e-4 })
      end
      hidden = hidden + given.class:eq(0):to(d.zeros(1):dtype()):sum():item()
      return xt * 0.5
    end
    local o = d.objective { process = p, self_condition = 0.5, drop_class = 0.25 }
    for _ = 1, 200 do d.record(o, model, d.randn(5, 2), { class = { 1, 2, 3, 4, 5 } }) end
    assert.equal(200, plain) -- each batch once without, which in the others is the first guess
    assert.is_true(told > 70 and told < 130, told)
    assert.is_true(math.abs(hidden / (5 * (plain + told)) - 0.25) < 0.05)
  end)

  it("tells the model its own x0 in a share of the batches, without a gradient through it", function()
    d.manual_seed(3)
    local Gain = d.nn.module("gain", function(m)
      m.w = d.nn.parameter(d.ones(1))
      function m:forward(xt, _, given) return given.x0 or xt * self.w end
    end)
    local net, told = d.nn.model(Gain()), 0
    local q = d.process { schedule = d.schedule.linear { T = 100 }, predict = "x0" }
    local loss = d.record(d.objective { process = q, self_condition = 1 }, net, d.randn(4, 2))
    fails("doesn't depend on anything that was recorded", loss.backward, loss) -- its input is a constant
    local o = d.objective { process = q, self_condition = 0.2 }
    for _ = 1, 200 do
      o(function(xt, _, given)
        if given.x0 then told = told + 1 end
        return xt
      end, d.randn(4, 2))
    end
    assert.is_true(told > 20 and told < 62, told)
  end)

  it("shares an offset of the noise among a channel's pixels: variance 1 + c^2", function()
    d.manual_seed(4)
    local _, seen = d.objective { process = p, offset_noise = 0.5 } (nothing, d.zeros(2000, 4, 4, 2))
    assert.near(1.25, seen.eps:var():item(), 0.02)
    local pixels = seen.eps:mean({ 2, 3 }) -- a channel's mean: 1/16 + c^2
    assert.near(1 / 16 + 0.25, pixels:var():item(), 0.02)
    local a, b = pixels:select(2, 1), pixels:select(2, 2)
    assert.near(0, (a * b):mean():item(), 0.02)
  end)

  it("takes t from a function, real ones too", function()
    local t = d.tensor { 1.5, 99.25, 7 }
    local o = d.objective { process = p, times = function() return t end }
    local _, seen = o(nothing, d.zeros(3, 2))
    assert.is_true(seen.t:equal(t))
    fails("the function of times gave a tensor [3]; t [2] expected", o, nothing, d.zeros(2, 2))
    fails("the floor is unknown if times is a function", o.floor, o, { std = 1 })
  end)

  it("learns losses only while they are recorded, and draws by them when every t has enough", function()
    d.manual_seed(5)
    local q = d.process { schedule = d.schedule.cosine { T = 3 } }
    local o = d.objective { process = q, times = { "importance", keep = 2 } }
    o(nothing, d.zeros(8, 2))
    assert.same({ {}, {}, {} }, o:state().losses)
    for _ = 1, 4 do d.record(o, nothing, d.zeros(8, 2)) end
    local _, seen = o(nothing, d.zeros(8, 2))
    for t = 1, 3 do assert.equal(2, #o:state().losses[t]) end
    assert.is_true((seen.per_sample - seen.eps:square():mean(2)):abs():max():item() > 1e-3) -- 1/(T p)
    -- the history holds the loss itself, not its share in the mean; the oldest entry
    -- leaves, and nan is not added
    local ones = d.ones(8, 2)
    local function constant(e) return function(xt) return xt * 0 + 1 - e end end
    local function learn(e) d.record(o, constant(e), d.zeros(8, 2), { eps = ones }) end
    for _ = 1, 20 do learn(2) end
    assert.same({ { 4, 4 }, { 4, 4 }, { 4, 4 } }, o:state().losses)
    learn(0 / 0)
    assert.same({ { 4, 4 }, { 4, 4 }, { 4, 4 } }, o:state().losses)
    assert.is_true(o:load_state { losses = { { 1, 4 }, { 1, 4 }, { 1, 4 } } })
    local _, once = d.record(o, constant(1), ones * 0, { eps = ones })
    for t = 1, 3 do
      local drawn = once.t:eq(t):to(d.zeros(1):dtype()):sum():item()
      assert.same(drawn == 0 and { 1, 4 } or drawn == 1 and { 4, 1 } or { 1, 1 }, o:state().losses[t])
    end
    for _ = 1, 20 do learn(0) end -- nothing left to learn: uniform again
    local _, flat = o(constant(2), ones * 0, { eps = ones })
    assert.is_true(flat.per_sample:eq(4):all())
    -- small losses count as large ones do, and until every t has enough t are uniform
    for _, first in ipairs { { 0.01, 0.01 }, { 0.01 } } do
      assert.is_true(o:load_state { losses = { first, { 0.02, 0.02 }, { 0.03, 0.03 } } })
      local _, drawn = o(constant(2), d.zeros(64, 2), { eps = d.ones(64, 2) })
      assert.equal(#first == 1, drawn.per_sample:eq(4):all())
    end
    local again = d.objective { process = q, times = { "importance", keep = 2 } }
    assert.is_true(again:load_state(o:state()))
    assert.same(o:state(), again:state())
    for _, bad in ipairs { false, { losses = { {}, {} } }, { losses = { {}, {}, { "x" } } },
                           { losses = { {}, {}, { 1, 2, 3 } } }, { losses = { {}, {}, { 0 / 0 } } },
                           { losses = { {}, {}, { math.huge } } } } do
      local ok, message = again:load_state(bad)
      assert.is_nil(ok)
      assert.matches("no losses of 3 levels", message)
    end
    assert.same(o:state(), again:state())
    assert.is_nil(d.objective { process = q }:state())
    assert.is_true(d.objective { process = q }:load_state(nil))
  end)

  it("prints what it is, and the weights at a level with their equations", function()
    local o = d.objective { process = p, weighting = { "min_snr", gamma = 2 }, error = "l1", times = "stratified" }
    assert.equal("objective: l1 of eps, weighting min_snr (gamma = 2), times stratified", tostring(o))
    local text, w = o:explain(10), o:weights(10)
    assert.matches("t = 10 of 100", text)
    assert.matches("Hang et al. 2023, eq. 8", text, 1, true)
    for target, weight in pairs(w) do
      assert.matches(("%s%%s+%s "):format(target, ("%.6g"):format(weight):gsub("%p", "%%%0")), text)
    end
    assert.matches("*eps", text, 1, true)
    fails("t must be in 1..100, got 0", o.explain, o, 0)
    fails("t must be in 1..100, got nil", o.weights, o)
  end)
end)

describe("a learned variance", function()
  local learned = d.process { schedule = d.schedule.linear { T = 100 }, variance = "learned_range" }

  it("trains on every network whose output is twice as wide", function()
    local Own = d.nn.module("own", function(m)
      m.out = d.nn.conv(1, 2, { kernel = 3 })
      function m:forward(xt) return self.out(xt) end
    end)
    local image = d.randn(4, 8, 8, 1, { seed = 1 }):clamp(-1, 1)
    for _, case in ipairs {
      { d.mlp { dim = 3, hidden = 8, depth = 1, outputs = 2 }, d.randn(4, 3, { seed = 1 }):clamp(-1, 1) },
      { d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 }, outputs = 2 }, image },
      { d.nn.model(Own()), image },
      { d.dit { image = { 8, 8, 1 }, width = 8, depth = 1, outputs = 2 }, image },
    } do
      local model, x0 = table.unpack(case)
      for _, variance in ipairs { "learned", "learned_range" } do
        local q = d.process { schedule = learned.schedule, variance = variance }
        local loss, seen = d.record(d.objective { process = q }, model, x0)
        loss:backward()
        local last
        for _, w in model:parameters() do last = w.grad end
        assert.is_true(last:isfinite():all())
        assert.same({ 4 }, seen.vlb:shape())
        near(loss:item(), seen.per_sample:mean():item())
      end
    end
  end)

  it("may be the variance itself", function()
    local schedule, w = learned.schedule, d.randn(4, 3, { seed = 3 }) - 3
    local log = d.process { schedule = schedule, variance = "learned" }
    local direct = d.process { schedule = schedule, variance = "learned_direct" }
    local function net(v) return function(xt) return d.cat({ xt * 0.5, v }, 2) end end
    local x0 = d.randn(4, 3, { seed = 1 }):clamp(-1, 1)
    local want, got
    for _, pair in ipairs { { log, w }, { direct, w:exp() } } do
      d.manual_seed(5)
      local _, seen = d.objective { process = pair[1] }(net(pair[2]), x0)
      want, got = got, seen.vlb
    end
    assert.allclose(want, got, { rtol = 1e-5 })
    assert.allclose(w:exp(), direct:step_variance(5, 4, w:exp()), { rtol = 1e-6 })
    local o = { shape = { 4, 3 }, sampler = "ddpm", steps = 5, seed = 1, model = net(w), process = log }
    local drawn = d.sample(o)
    o.model, o.process = net(w:exp()), direct
    assert.allclose(drawn, d.sample(o), { rtol = 1e-4, atol = 1e-4 })
    local sentence = "the variance is 'learned_direct', so v is a variance, but its least value is -"
    o.model = net(w)
    fails(sentence, d.sample, o)
    fails(sentence, d.objective { process = direct }, net(w), x0)
    fails("its least value is 0", direct.learned_log_variance, direct, d.zeros(2, 2), 5)
    assert.equal(0, direct:step_variance(5, 4, d.zeros(2, 2)):sum():item())
  end)

  it("is saved with its process and its network", function()
    local path = os.tmpname()
    for _, model in ipairs { d.mlp { dim = 2, hidden = 8, depth = 1, outputs = 2 },
                             d.unet { image = { 8, 8, 3 }, channels = 8, mult = { 1 }, outputs = 2 },
                             d.dit { image = { 8, 8, 3 }, width = 8, depth = 1, outputs = 2 } } do
      assert(model:save(path, { process = learned }))
      local again, process = assert(d.load_model(path))
      assert.same(model:config(), again:config())
      assert.equal(2, again:config().outputs)
      assert.equal("learned_range", process.variance)
      local x = model:config().kind == "mlp" and d.randn(2, 2) or d.randn(2, 8, 8, 3)
      assert.equal(2 * x:size(-1), again(x, 5):size(-1))
      assert.is_true(model(x, 5):equal(again(x, 5)))
    end
    os.remove(path)
  end)

  it("is ignored by samplers that have no use for it", function()
    local model = d.oracle.gaussian { std = { 1, 0.5 } }
    local single = d.process { schedule = learned.schedule }
    local best = model:denoiser(single)
    local function double(xt, t) return d.cat({ best(xt, t), xt }, 2) end
    for _, name in ipairs { "ddim", "unipc", "heun" } do
      local o = { model = best, process = single, shape = { 3, 2 }, sampler = name, steps = 5, seed = 1 }
      local want = d.sample(o)
      o.model, o.process = double, learned
      assert.is_true(want:equal(d.sample(o)))
    end
  end)

  it("isn't guided: only the prediction is", function()
    local function model(xt, _, given) return d.cat({ xt, xt }, 2) * (given.class and 3 or 2) end
    local x, class = d.randn(4, 2, { seed = 1 }), d.tensor({ 1, 1, 1, 1 }, { dtype = "i64" })
    for _, phi in ipairs { 0, 1 } do
      local out = d.guidance.cfg(model, { scale = 2, rescale = phi })(x, 5, { class = class })
      assert.allclose(x * (phi == 0 and 4 or 3), out:narrow(2, 1, 2), { rtol = 1e-5 })
      assert.is_true((x * 3):equal(out:narrow(2, 3, 2)))
    end
  end)

  it("says what doesn't fit", function()
    local o, single = d.objective { process = learned }, d.mlp { hidden = 8, depth = 1 }
    fails("[4,4] expected, since the variance is learned", o, single, d.zeros(4, 2))
    fails("a network made with outputs = 2", d.sample, { model = single, process = learned, shape = { 4, 2 },
      steps = 2 })
    fails("an output of even width expected", learned.split, learned, d.zeros(2, 3))
    fails("got 5", learned.split, learned, 5)
    fails("v of process:split expected, got nil", learned.step_variance, learned, 5, 4)
    fails("the variance is 'fixed_small'", function()
      local q = d.process { schedule = learned.schedule }
      q:learned_log_variance(d.zeros(1), 5)
    end)
    fails("[1, 2] expected, got 3", d.mlp, { outputs = 3 })
    fails("option 'vlb' is for a learned variance, this process has variance 'fixed_small'", d.objective,
      { process = d.process { schedule = learned.schedule }, vlb = 0.1 })
    fails("a learned variance needs whole t, which times = 'mode' doesn't draw", d.objective,
      { process = learned, times = "mode" })
    fails("weighting vlb is for a given variance", d.objective, { process = learned, weighting = "vlb" })
    local first = d.objective { process = learned, times = function() return d.tensor({ 1, 1 }, { dtype = "i64" }) end }
    fails("x0 reaches 3, but decoder 'erf' is for pictures in [-1, 1]", first,
      d.mlp { hidden = 8, depth = 1, outputs = 2 }, d.full({ 2, 2 }, 3))
  end)
end)

describe("a network with self_condition", function()
  local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "x0" }

  local function pair_of(kind, options)
    local plain = d[kind](options)
    options.self_condition = true
    return plain, d[kind](options)
  end

  -- Values of both that aren't zero, alike but for the first layer, which sees x0 as `plain` sees xt, or xt.
  local function values(plain, told, of_x0)
    local state = {}
    for name, w in plain:parameters() do
      local value = name:match "^gate" and w * 0 or w + d.randn(w:shape()) * 0.1
      w:copy_(value)
      local beside = name == "inp.weight" and (of_x0 and { value * 0, value } or { value, value * 0 })
      state[name] = beside and d.cat(beside, -1) or value
    end
    told:load_state(state)
  end

  it("sees xt and its own x0, zeros if not told", function()
    for kind, options in pairs { mlp = { dim = 2, hidden = 8, depth = 2, classes = 3, outputs = 2 },
                                 unet = { image = { 8, 8, 3 }, channels = 8, mult = { 1, 2 } },
                                 dit = { image = { 8, 8, 3 }, width = 8, depth = 1, outputs = 2 } } do
      local plain, told = pair_of(kind, options)
      local x, x0 = d.randn(2, 2, { seed = 1 }), d.randn(2, 2, { seed = 2 })
      if kind ~= "mlp" then x, x0 = d.randn(2, 8, 8, 3, { seed = 1 }), d.randn(2, 8, 8, 3, { seed = 2 }) end
      local class = kind == "mlp" and { 1, 3 } or nil
      values(plain, told, false)
      local close = { rtol = 1e-4, atol = 1e-5 }
      assert.allclose(plain(x, 7, { class = class }), told(x, 7, { class = class, x0 = x0 }), close)
      values(plain, told, true)
      assert.allclose(plain(x0, 7, { class = class }), told(x, 7, { class = class, x0 = x0 }), close)
      assert.is_true(told(x, 7, { class = class }):equal(told(x, 7, { class = class, x0 = x0 * 0 })))
      assert.is_true(told(x, 7):equal(told(x, 7, { x0 = x0 * 0 })))
    end
  end)

  it("learns to lean on it, through an average, and is saved as it is", function()
    d.manual_seed(8)
    local net, path = d.mlp { hidden = 16, depth = 1, self_condition = true }, os.tmpname()
    local ema = d.ema(net)
    local opt = d.adamw(net, { lr = 0.01, ema = ema })
    local loss_of = d.objective { process = p, self_condition = 0.5 }
    for _ = 1, 30 do
      d.record(loss_of, net, d.randn(32, 2)):backward()
      opt:step()
    end
    local weight = net:state()["inp.weight"]
    assert.same({ 16, 4 }, weight:shape())
    local x = d.randn(3, 2, { seed = 1 })
    assert.is_false(ema(x, 50):equal(ema(x, 50, { x0 = x })))
    assert(net:save(path, { process = p }))
    local again = assert(d.load_model(path))
    assert.is_true(again:config().self_condition)
    local o = { process = p, shape = { 3, 2 }, steps = 4, seed = 1, self_condition = true }
    o.model = net
    local want = d.sample(o)
    o.model = again
    assert.is_true(want:equal(d.sample(o)))
    os.remove(path)
  end)

  it("is what self_condition wants: others say so", function()
    local plain = d.mlp { hidden = 8, depth = 1 }
    fails("this network was made without self_condition = true", d.objective { process = p, self_condition = 1 }, plain,
      d.zeros(2, 2))
    fails("this network was made without self_condition = true", d.sample,
      { model = plain, process = p, shape = { 2, 2 }, steps = 2, self_condition = true })
    local told = d.mlp { hidden = 8, depth = 1, self_condition = true }
    fails("model: x0 is [2,3], but xt is [2,2]", told, d.zeros(2, 2), 1, { x0 = d.zeros(2, 3) })
  end)
end)

describe("self-conditioned sampling", function()
  local p = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "x0" }

  -- A model that leans on what it said last.
  local function model(xt, _, given) return given.x0 and given.x0 * 0.5 + xt * 0.25 or xt * 0.25 end

  local function run(more)
    local o = { model = model, process = p, shape = { 3, 2 }, steps = 6, seed = 1, sampler = "ddim",
                self_condition = true }
    for k, v in pairs(more or {}) do o[k] = v end
    return d.sampler.steps(o)
  end

  it("tells the model the x0 that it said last", function()
    local last
    for step in run() do
      local want = last and last * 0.5 + step.xt * 0.25 or step.xt * 0.25
      assert.is_true(want:equal(step.x0))
      last = step.x0
    end
    assert.is_false(run():finish():equal(run { self_condition = false }:finish()))
  end)

  it("tells it in every sampler, of each evaluation the one before", function()
    local flow = d.process { schedule = d.schedule.flow { T = 100 }, predict = "x0" }
    for _, name in ipairs(d.sampler.names()) do
      local q, seen, last = name:match "^flow" and flow or p, 0, nil
      local function watching(xt, t, given)
        assert.same(last, given.x0 and given.x0:totable(), name)
        local out = model(xt, t, given)
        last, seen = out:totable(), seen + 1
        return out
      end
      local o = { model = watching, process = q, steps = 3, seed = 1, sampler = name, self_condition = true }
      if name:match "inversion" then o.init = d.randn(3, 2, { seed = 2 }) else o.shape = { 3, 2 } end
      assert.is_true(d.sample(o):isfinite():all(), name)
      assert.is_true(seen > 1, name)
    end
  end)

  it("goes on in copies and from files, and forgets when x is written", function()
    local whole, part, path = run():finish(), run(), os.tmpname()
    for _ = 1, 3 do part() end
    assert.is_true(whole:equal(part:clone():finish()))
    assert(part:save(path))
    local again = run()
    assert(again:load(path))
    assert.is_true(whole:equal(again:finish()))
    os.remove(path)
    part.x = d.ones(3, 2)
    near(0.25, part().x0[1][1])
  end)
end)

describe("preconditioning", function()
  local p = d.process { schedule = d.schedule.edm { T = 50 }, predict = "edm" }

  it("trains a network of any kind by the process's own target", function()
    local x0 = d.randn(16, 2, { seed = 1 })
    for _, kind in ipairs { "edm", "vp", "ve", "iddpm" } do
      local net = d.mlp { hidden = 8, depth = 1 }
      local loss_of = d.objective { process = p, weighting = "edm", times = "log_normal" }
      d.manual_seed(9)
      local loss = d.record(loss_of, d.precondition(net, p, { kind = kind }), x0)
      loss:backward()
      local own = d.objective { process = p, weighting = "edm", times = "log_normal", precondition = kind }
      d.manual_seed(9)
      assert.equal(loss:item(), own(net, x0):item())
      local last
      for _, w in net:parameters() do last = w.grad end
      assert.is_true(last:isfinite():all() and last:abs():max():item() > 0)
    end
  end)

  it("keeps v of a learned variance", function()
    local q = d.process { schedule = d.schedule.linear { T = 50 }, predict = "x0", variance = "learned" }
    local denoiser = d.precondition(function(x) return d.cat({ x, x * 0 + 7 }, 2) end, q, { kind = "vp" })
    local out = denoiser(d.ones(2, 3), { 5, 50 })
    assert.same({ 2, 6 }, out:shape())
    assert.is_true(out:narrow(2, 4, 3):eq(7):all())
  end)

  it("says what doesn't fit", function()
    fails("model must be a denoiser", d.precondition, 5, p)
    fails("bad argument #2 to 'precondition' (a process expected, got table; its arguments are (net, process, "
      .. "options))", d.precondition, print, { process = p })
    fails("unknown value 'vpp'", d.precondition, print, p, { kind = "vpp" })
    local flow = d.process { schedule = d.schedule.flow { T = 10 }, predict = "flow" }
    fails("x_t holds no signal at t = 10", d.precondition(print, flow), d.ones(1, 2), 10)
    fails("times = 'uniform' draws t = 10, where x_t holds no signal, and precondition = 'edm' is of ln(s/a)",
      d.objective, { process = flow, precondition = "edm", weighting = "uniform" })
    d.objective { process = flow, precondition = "edm", weighting = "uniform", times = "log_normal" }
    fails("precondition: the denoiser returned nil", d.precondition(function() end, p), d.ones(1, 2), 10)
  end)
end)

describe("reflow", function()
  local flow = d.process { schedule = d.schedule.flow { T = 20 }, predict = "flow" }
  local model = d.oracle.gaussian { std = { 1, 0.5 } }:denoiser(flow)

  it("pairs each noise with where it went, the same in parts", function()
    local whole = d.reflow(model, flow, { shape = { 10, 2 }, seed = 1, steps = 5 })
    local parts = d.reflow(model, flow, { shape = { 10, 2 }, seed = 1, steps = 5, size = 3 })
    assert.is_true(whole.x:equal(parts.x) and whole.eps:equal(parts.eps))
    local x = d.sample { model = model, process = flow, init = whole.eps, steps = 5 }
    assert.is_true(x:equal(whole.x))
    for step, x0, class, eps in whole:batches { size = 10, steps = 1, seed = 2 } do
      assert.equal(1, step)
      assert.is_nil(class)
      local again = d.sample { model = model, process = flow, init = eps, steps = 5 }
      assert.is_true(again:equal(x0))
    end
  end)

  it("goes on the grid and with the guidance that it is given", function()
    local function told(xt, t, given) return model(xt, t) * (given.class and 1 or 0.5) end
    local class = { 1, 1, 1, 1 }
    local o = { shape = { 4, 2 }, seed = 1, class = class, grid = { 20, 7 }, guidance = 3, sampler = "ddim" }
    local made = d.reflow(told, flow, o)
    local want = d.sample { model = told, process = flow, init = made.eps, class = class, grid = { 20, 7 },
                            guidance = 3, sampler = "ddim" }
    assert.is_true(want:equal(made.x))
    o.guidance = function(m) return d.guidance.cfg(m, { scale = 3 }) end
    assert.is_true(want:equal(d.reflow(told, flow, o).x))
    o.guidance = nil
    assert.is_false(want:equal(d.reflow(told, flow, o).x))
  end)

  it("tells a self-conditioned model its own x0", function()
    local net = d.mlp { hidden = 8, depth = 1, self_condition = true }
    for _, w in net:parameters() do w:copy_(d.randn(w:shape(), { seed = 3 }) * 0.3) end
    local o = { shape = { 4, 2 }, seed = 1, steps = 4, self_condition = true }
    local made = d.reflow(net, flow, o)
    assert.is_true(d.sample { model = net, process = flow, init = made.eps, steps = 4, self_condition = true }
      :equal(made.x))
    o.self_condition = false
    assert.is_false(made.x:equal(d.reflow(net, flow, o).x))
  end)

  it("goes in one step where it is told to", function()
    local made = d.reflow(model, flow, { shape = { 2, 2 }, steps = 1, sampler = "flow_euler" })
    assert.is_true(made.x:abs():max():item() < 1e-5) -- to the mean
  end)

  it("keeps classes", function()
    local class = { 1, 2, 2 }
    local function told(xt, t, given)
      return model(xt, t) * given.class:to(d.zeros(1):dtype()):unsqueeze(2)
    end
    local made = d.reflow(told, flow, { shape = { 3, 2 }, seed = 1, class = class, size = 2 })
    assert.same(class, made.class:totable())
    assert.equal(2, made.classes)
  end)

  it("says what doesn't fit", function()
    local o = { shape = { 3, 2 } }
    fails("a process expected, got nil", d.reflow, model, nil, o)
    fails("x_T must be pure noise, but cosine has", d.reflow, model, d.process { schedule = schedules.vp }, o)
    fails("option 'shape' is missing", d.reflow, model, flow, {})
    fails("holds no samples", d.reflow, model, flow, { shape = { 0, 2 } })
    fails("class is [2] for 3 samples", d.reflow, model, flow, { shape = { 3, 2 }, class = { 1, 2 } })
    fails("reflow: classes count from 1, got some from 0 to 2", d.reflow, function() error "asked" end, flow,
      { shape = { 3, 2 }, class = { 1, 0, 2 } })
    fails("ddpm adds noise, so its end doesn't depend on the start alone", d.reflow, model, flow,
      { shape = { 3, 2 }, sampler = "ddpm" })
    fails("ddim adds noise, so its end", d.reflow, model, flow, { shape = { 3, 2 }, sampler = { "ddim", eta = 0.5 } })
    local made = d.reflow(model, flow, o)
    fails("eps is [3,1], but x is [3,2]", d.data.set, { x = made.x, eps = d.zeros(3, 1) })
    fails("pairs each with its noise", function()
      d.data.set { x = d.zeros(2, 4, 4, 1), eps = d.zeros(2, 4, 4, 1) }:batches { size = 1, flip = true }
    end)
  end)
end)

describe("an objective that is called amiss", function()
  local p = d.process { schedule = d.schedule.linear { T = 100 } }
  local loss_of, m = d.objective { process = p }, d.mlp { dim = 2, hidden = 8, depth = 1 }

  it("says what is missing", function()
    fails("x0 must be a tensor, got nil", loss_of, m)
    fails("x0 must be a tensor, got 5", loss_of, m, 5)
    fails("x0 must be [B,...] with a sample or more, got [0,2]", loss_of, m, d.zeros(0, 2))
    fails("x0 must be [B,...] with a sample or more, got []", loss_of, m, d.tensor(3))
    fails("unknown option 'clas'; did you mean 'class'?", loss_of, m, d.zeros(2, 2), { clas = 1 })
    local dropping = d.objective { process = p, drop_class = 0.5 }
    fails("class 2 is 1.5", dropping, m, d.zeros(2, 2), { class = { 1, 1.5 } })
    fails("class is 1.5", dropping, m, d.zeros(2, 2), { class = 1.5 })
    fails("class 2 is 1.5", dropping, m, d.zeros(2, 2), { class = d.tensor { 1, 1.5 } })
    fails("class is [3] for 2 samples", dropping, m, d.zeros(2, 2), { class = { 1, 2, 3 } })
    fails("class is [2,1] for 2 samples", dropping, m, d.zeros(2, 2), { class = d.zeros(2, 1) })
    fails("x0 must be " .. d.zeros(1):dtype() .. ", got u8; d.image.to_float", loss_of, m,
      d.zeros({ 2, 2 }, { dtype = "u8" }))
    fails("got i64; d.image.to_float", loss_of, m, d.zeros({ 2, 2 }, { dtype = "i64" }))
    local at_zero = d.objective { process = p, times = function(B) return d.zeros(B) end }
    fails("objective_spec.lua", function() return (at_zero(m, d.zeros(2, 2))) end)
    fails("t must be in 1..100, got 0", at_zero, m, d.zeros(2, 2))
    local given = d.objective { process = p, offset_noise = 0.1 }
    fails("eps is given, so option 'offset_noise' = 0.1 would have no effect", given, m, d.zeros(2, 2),
      { eps = d.zeros(2, 2) })
    local vlb = d.objective { process = p, weighting = "vlb" }
    fails("objective_spec.lua", function() return (vlb:weights(1.5)) end)
    fails("(0, inf) expected, got 0", d.objective,
      { process = p, weighting = { "min_snr", gamma = 0 } })
    fails("did you mean 'gamma'?", d.objective, { process = p, weighting = { "min_snr", gama = 5 } })
    fails("unknown weighting 'min_snrr'; did you mean 'min_snr'?", d.objective, { process = p, weighting = "min_snrr" })
    fails("unknown times 'unifrm'; did you mean 'uniform'?", d.objective, { process = p, times = "unifrm" })
    fails("unknown error 'l2'", d.objective, { process = p, error = "l2" })
    fails("same shape expected; for a network with outputs = 2 the process has variance = 'learned_range' or 'learned'",
      loss_of, d.mlp { dim = 2, hidden = 8, depth = 1, outputs = 2 }, d.zeros(2, 2))
    fails("returned a tensor [2,1] for xt [2,2]; a tensor of the same shape expected", loss_of,
      function(xt) return xt:narrow(2, 1, 1) end, d.zeros(2, 2))
    fails("eps is [2,3], but x is [2,2]", loss_of, m, d.zeros(2, 2), { eps = d.zeros(2, 3) })
    local odd = d.objective { process = p, weighting = function() return "much" end }
    fails("the weighting function gave 'much' for SNR [2]", odd, m, d.zeros(2, 2))
  end)

  it("says which weights can't be", function()
    local none = d.process { schedule = schedules["zero terminal SNR"], predict = "v" }
    fails("is nan on v at t = 10, where SNR is 0", d.objective,
      { process = none, weighting = { "p2", k = 1e-200, gamma = 2 } })
    -- a number on x0, and none on eps
    fails("is inf on eps at t = 1000", d.objective, { process = d.process { schedule = d.schedule.cosine {} },
      weighting = { "p2", gamma = tiny < 1e-10 and 36 or 5, k = 1e-30 } })
    fails("is 0 at every t", d.objective, { process = p, weighting = { "sigmoid", bias = -1000 } })
    local one = d.process { schedule = d.schedule.from_beta { 0.5 } }
    fails("the variance of q(x_0 | x_t, x_0) is 0", d.objective, { process = one, weighting = "vlb" })
    fails("weighting vlb needs whole t, which times = 'log_normal' doesn't draw", d.objective,
      { process = p, weighting = "vlb", times = "log_normal" })
  end)

  it("says of which loss no floor is known", function()
    fails("give one of 'std', 'data' and 'oracle'", loss_of.floor, loss_of, {})
    fails("give one of 'std', 'data' and 'oracle'", loss_of.floor, loss_of, { std = 1, data = d.zeros(4, 2) })
    fails("std must be a number of 0 or more, or a list of these, got -1 at 2", loss_of.floor, loss_of,
      { std = { 1, -1 } })
    fails("data of two samples or more expected, got [1,2]", loss_of.floor, loss_of, { data = d.zeros(1, 2) })
    local l1 = d.objective { process = p, error = "l1" }
    fails("error is 'l1'; the floor is known only for 'mse'", l1.floor, l1, { std = 1 })
    local moved = d.objective { process = p, offset_noise = 0.1 }
    fails("offset_noise is 0.1; the floor is known only without it", moved.floor, moved, { std = 1 })
  end)
end)

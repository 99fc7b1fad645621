-- What networks are trained to do: targets against their definitions, also where x_t holds
-- no signal; one error weighs the same whatever is predicted; the errors.
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

-- Of one x0 and eps, at a and s; sigma_data is 0.5.
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
  -- A denoiser that believes in x0 = 0, so that eps - eps' = -(a/s) x0.
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

describe("an objective that is called amiss", function()
  local p = d.process { schedule = d.schedule.linear { T = 100 } }
  local loss_of, m = d.objective { process = p }, d.mlp { dim = 2, hidden = 8, depth = 1 }

  it("says what is missing", function()
    fails("x0 must be a tensor, got nil", loss_of, m)
    fails("x0 must be a tensor, got 5", loss_of, m, 5)
    fails("x0 [0,2] holds no samples", loss_of, m, d.zeros(0, 2))
    fails("unknown option 'clas'; did you mean 'class'?", loss_of, m, d.zeros(2, 2), { clas = 1 })
    local dropping = d.objective { process = p, drop_class = 0.5 }
    fails("number 2 is 1.5", dropping, m, d.zeros(2, 2), { class = { 1, 1.5 } })
    fails("(0, inf) expected, got 0", d.objective,
      { process = p, weighting = { "min_snr", gamma = 0 } })
    fails("did you mean 'gamma'?", d.objective, { process = p, weighting = { "min_snr", gama = 5 } })
  end)
end)

-- Draws follow d.manual_seed; measures have a fixed seed of their own.
local d = require "diffusion"

local process = d.process { schedule = d.schedule.cosine { T = 20 }, predict = "x0" }
local function model(xt) return xt * 0.5 end
local x, y = d.randn({ 40, 2 }, { seed = 1 }), d.randn({ 40, 2 }, { seed = 2 })
local oracle = d.oracle.moons {}

-- The results of a function after a seed, as text.
local function after(seed, f)
  d.manual_seed(seed)
  local values = table.pack(f())
  local texts = {}
  for i = 1, values.n do
    local v = values[i]
    texts[i] = type(v) == "userdata" and v.totable and d.cat({ v:flatten() }, 1):bytes()
      or type(v) == "number" and ("%.17g"):format(v) or tostring(v)
  end
  return table.concat(texts, "|")
end

describe("draws", function()
  local draws = {
    sample = function() return d.sample { model = model, process = process, shape = { 2, 2 } } end,
    ["first values"] = function() return d.mlp { hidden = 4, depth = 1 }:state()["in.weight"]
      or select(2, d.mlp { hidden = 4, depth = 1 }:parameters()()) end,
    ["toy data"] = function() return d.data.toy.moons(5).x end,
    ["the order of batches"] = function()
      local set = d.data.set { x = x }
      return select(2, set:batches { size = 8 }())
    end,
    ["an oracle"] = function() return oracle:sample(5) end,
    ["an objective"] = function() return (d.objective { process = process }(model, x)) end,
    q_sample = function() return (process:q_sample(x, 5)) end,
    ["an edit"] = function() return (d.edit.img2img { model = model, process = process, x0 = x, strength = 0.5 }) end,
  }
  for name, f in pairs(draws) do
    it("of " .. name .. " follow d.manual_seed", function()
      assert.equal(after(1, f), after(1, f))
      assert.are_not.equal(after(1, f), after(2, f))
    end)
  end
end)

describe("measures", function()
  local measures = {
    ["likelihood.vlb"] = function() return d.likelihood.vlb(model, process, x:clamp(-1, 1), { t = 4 }).total end,
    ["likelihood.ode"] = function()
      return d.likelihood.ode(model, process, x, { divergence = "hutchinson" }).nats
    end,
    estimate_variance = function()
      return d.estimate_variance(model, process, x, { levels = 3 }):step_variance(10, 5)
    end,
    ["metric.energy"] = function() return d.metric.energy(x, y, { interval = true }) end,
    ["metric.mmd"] = function() return d.metric.mmd(x, y, { interval = true }) end,
    ["metric.sliced_wasserstein"] = function() return d.metric.sliced_wasserstein(x, y, { interval = true }) end,
    ["metric.wasserstein1"] = function()
      return d.metric.wasserstein1(x:narrow(2, 1, 1), y:narrow(2, 1, 1), { interval = true })
    end,
    ["metric.two_sample"] = function() return d.metric.two_sample(x, y, { steps = 5 }) end,
    ["oracle:entropy"] = function() return d.oracle.product { oracle, oracle }:entropy { samples = 50 } end,
    ["objective:floor"] = function()
      return d.objective { process = process }:floor { oracle = oracle, samples = 50 }
    end,
  }
  for name, f in pairs(measures) do
    it("by " .. name .. " agree whatever d.manual_seed says, and leave it alone", function()
      local first = after(1, f)
      assert.equal(first, after(2, f))
      d.manual_seed(3)
      local want = d.randn(1):item()
      d.manual_seed(3)
      f()
      assert.equal(want, d.randn(1):item())
    end)
  end

  it("say so in their help", function()
    local fixed = "fixed, whatever d%.manual_seed says"
    for _, name in ipairs { "d.likelihood.vlb", "d.likelihood.ode", "d.estimate_variance", "d.metric.energy",
                            "d.metric.mmd", "d.metric.kid", "d.metric.sliced_wasserstein", "d.metric.wasserstein1",
                            "d.metric.two_sample", "d.check.order", "objective:floor", "oracle:entropy" } do
      local text = require("diffusion.help").text(name):gsub("%s+", " ")
      assert(text:find(fixed), name)
    end
  end)

  it("of a variance draw noise that is not the samples'", function()
    local one = d.randn({ 200, 2 }, { seed = 1 })
    local seen
    d.estimate_variance(function(xt) seen = seen or xt:totable() return xt end, process, one, { t = { 20 } })
    local a, s = process.schedule:signal(20), process.schedule:noise(20)
    local eps = (d.tensor(seen) - one * a) / s
    assert.is_true(math.abs((eps * one):mean():item()) < 0.2)
  end)
end)

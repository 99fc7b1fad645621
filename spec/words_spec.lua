-- One word for one thing and one order of arguments. Old spellings say the new one.
local d = require "diffusion"
local renamed = require "diffusion.renamed"

local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "x0" }
local function model(xt) return xt * 0.5 end
local x = d.randn({ 4, 2 }, { seed = 1 }):clamp(-1, 1)

local function says(sentence, f)
  local fine, message = pcall(f)
  assert.is_false(fine, sentence)
  assert(message:find("words_spec.lua:%d+: "), message)
  assert(message:find(sentence, 1, true), message)
end

describe("epsilon", function()
  it("is the word of norms and of adamw", function()
    local want = x / (x:square():mean(2, true) - x:mean(2, true):square() + 0.5):sqrt()
    local y = (x - x:mean(2, true)):layer_norm(nil, nil, { epsilon = 0.5 })
    assert.is_true(y:allclose((x - x:mean(2, true)) * (want / x), { rtol = 1e-4, atol = 1e-5 }))
    assert.is_true(x:group_norm(nil, nil, { groups = 1, epsilon = 0.5 }):allclose(
      x:layer_norm(nil, nil, { epsilon = 0.5 }), { rtol = 1e-5, atol = 1e-6 }))
    local m = d.mlp { hidden = 4, depth = 1 }
    d.adamw(m, { epsilon = 1e-6 })
    says("option 'tiny' is called 'epsilon' here", function() d.adamw(m, { tiny = 1e-6 }) end)
    says("option 'eps' is called 'epsilon' here", function() x:layer_norm(nil, nil, { eps = 1 }) end)
    says("option 'eps' is called 'epsilon' here", function() x:group_norm(nil, nil, { groups = 1, eps = 1 }) end)
    says("valid: groups, epsilon, silu, act, dropout, add, modulate)",
      function() x:group_norm(nil, nil, { group = 1 }) end)
  end)
end)

describe("decoder", function()
  local learned = d.process { schedule = process.schedule, predict = "x0", variance = "learned_range" }
  local function twice(xt) return d.cat({ xt * 0.5, xt * 0 }, -1) end

  it("takes the same words for an objective as for the bound", function()
    for _, word in ipairs { "erf", "tanh", "gaussian" } do
      local times = function(B) return d.ones({ B }, { dtype = "i64" }) end
      local _, seen = d.objective { process = learned, decoder = word, times = times }(twice, x, { eps = x * 0 })
      assert.equal(4, seen.vlb:numel())
      assert(d.likelihood.vlb(twice, learned, x, { decoder = word }).total)
    end
    says("'discretized' is called 'erf' here",
      function() d.objective { process = learned, decoder = "discretized" } end)
    says("unknown value 'erv'; did you mean 'erf'?", function() d.objective { process = learned, decoder = "erv" } end)
  end)

  it("tanh is close to erf", function()
    local function loss(word)
      local times = function(B) return d.ones({ B }, { dtype = "i64" }) end
      return select(2, d.objective { process = learned, decoder = word, times = times }(twice, x, { eps = x * 0 })).vlb
    end
    assert.is_true(loss "tanh":allclose(loss "erf", { rtol = 0.05, atol = 0.05 }))
    assert.is_false(loss "tanh":equal(loss "erf"))
  end)
end)

describe("model, process and x0", function()
  it("stand in this order", function()
    assert(d.likelihood.vlb(model, process, x))
    assert(d.likelihood.ode(model, process, x))
    assert.equal("optimal", d.estimate_variance(model, process, x, { levels = 2 }).variance)
    local one = d.guidance.gradient(model, process, function(y) return y:square():sum(2) end, { scale = 0.1 })
    local two = d.guidance.classifier(model, process, function(y) return -y:square():sum(2) end, { scale = 0.1 })
    assert.is_true(one(x, 5):allclose(two(x, 5, { class = 1 })))
    local raw = d.precondition(model, process, { kind = "vp" })
    assert.same({ 4, 2 }, raw(x, 5):shape())
  end)

  it("in another order are an error with the right one", function()
    local order = "its arguments are (model, process, x0, options)"
    says(order, function() d.likelihood.vlb(model, x, process) end)
    says(order, function() d.likelihood.ode(model, x, process) end)
    says(order, function() d.estimate_variance(model, x) end)
    says("here it is d.estimate_variance(model, process, x0)", function() process:estimate_variance(model, x) end)
    says("its arguments are (net, process, options)", function() d.precondition(model, { process = process }) end)
    says("its arguments are (model, process, log_prob, options)",
      function() d.guidance.classifier(model, model, { process = process }) end)
    says("its arguments are (model, process, energy, options)",
      function() d.guidance.gradient(model, model, { process = process }) end)
    says("its arguments are (model, process, options)", function() d.reflow(model, { shape = { 2, 2 } }) end)
  end)
end)

describe("the table of old names", function()
  it("holds no name that is still an option, and leads to ones that are", function()
    local m = d.mlp { hidden = 4, depth = 1 }
    local calls = { adamw = function(o) d.adamw(m, o) end }
    for owner, call in pairs(calls) do
      for old, new in pairs(renamed.options[owner]) do
        says(("option '%s' is called '%s' here"):format(old, new), function() call { [old] = 0.5 } end)
        call { [new] = 0.5 }
      end
    end
  end)
end)

-- Plain numbers read out of what is being recorded are constants: those ways that would not
-- show it are refused, with the remedy.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local nn = d.nn

local Vector = nn.module("vector", function(m, n)
  m.w = nn.parameter(d.arange(1, n):to(core.real))
  function m:forward(x) return self.w * x end
end)

local function first(x)
  local step, state, from = x:iter()
  return select(2, step(state, from))
end

-- Each reads numbers out of x {2, 2}.
local reads = {
  ["x[i][j]"] = function(x) return x[1][2] end,
  ["x[{i, j}]"] = function(x) return x[{ 1, 2 }] end,
  ["x[i] of a window"] = function(x) return x:flatten()[3] end,
  ["x[-i] of what was computed"] = function(x) return (x * 2):select(1, 1)[-1] end,
  ["iter"] = function(x) return first(x:flatten()) end,
  ["iter of iter"] = function(x) return first(first(x)) end,
  ["a metric"] = function(x) return d.metric.energy(x, d.ones(2, 2)) end,
  ["moments"] = function(x)
    return d.metric.frechet({ mean = x:select(1, 1), cov = d.eye(2), n = 9 }, d.randn(9, 2))
  end,
  ["slerp"] = function(x) return d.edit.slerp(x, d.ones(2, 2), 0.5) end,
  ["an oracle"] = function(x) return d.oracle.gaussian { mean = x:select(1, 1), std = 1 }.D end,
}

local x = d.tensor { { 3, 4 }, { 5, 6 } }

describe("numbers out of what is recorded", function()
  for name, read in pairs(reads) do
    it("are refused in d.grad: " .. name, function()
      fails("detach()", d.grad, function(v)
        read(v)
        return v:sum()
      end, x)
    end)

    it("are constants where nothing is recorded: " .. name, function()
      d.grad(function(v)
        read(v:detach())
        d.no_grad(read, v)
        return v:sum()
      end, x)
      read(x)
    end)
  end

  it("are refused in d.record, of parameters and of what comes of them", function()
    local model = nn.model(Vector(3))
    local _, w = model:parameters()()
    for _, read in ipairs { function() return w[1] end, function() return model(d.ones(3))[2] end } do
      fails("detach()", d.record, read)
      read()
      d.no_grad(read)
      d.record(d.no_grad, read)
    end
    d.record(function()
      assert.equal(3, w:detach()[3])
      assert.equal(1, d.ones(3)[2])
    end)
  end)

  it("are refused in a record within the one that follows it", function()
    local function grad(fn) return d.grad(function(z) return z:sum() * fn() end, d.ones(2)) end
    for _, inner in ipairs { d.record, grad } do
      fails("detach()", d.grad, function(v)
        inner(function() return v[1] end)
        return v:sum()
      end, d.tensor { 3, 4 })
    end
  end)

  it("are refused as coefficients and levels, in a record within too", function()
    local uses = { function(v) return d.mix(v, d.ones(2, 2), 1, d.ones(2, 2)) end,
                   function(v) return d.schedule.cosine { T = 9 }:sigma(v) end }
    for _, use in ipairs(uses) do
      fails("detach()", d.grad, function(v) return use(v):sum() end, d.tensor { 3, 4 })
      fails("detach()", d.grad, function(v)
        return d.grad(function(z) return (use(v) * 0):sum() + z:sum() end, d.ones(1))
      end, d.tensor { 3, 4 })
    end
  end)

  it("are refused by a run of a sampler, which records nothing; a step by itself keeps the gradient", function()
    local process = d.process { schedule = d.schedule.cosine { T = 9 }, predict = "x0" }
    local options = { model = function(xt) return xt * 0.5 end, process = process, shape = { 2, 2 }, sampler = "ddim",
                      steps = 2 }
    for _, sample in pairs {
      init = function(v)
        options.init = v
        return d.sample(options)
      end,
      ["run.x"] = function(v)
        options.init = nil
        local run = d.sampler.steps(options)
        run.x = v
        return run:finish()
      end,
    } do
      fails("detach()", d.grad, function(v) return sample(v):sum() end, x)
      d.grad(function(v) return (sample(v:detach()) * v):sum() end, x)
      sample(x)
    end
    local step = d.sampler.step("ddim", function(xt) return xt * 0.5, xt * 0 end, process)
    local g = d.grad(function(v) return step(v, { t = 9, s = 0, i = 1, n = 1 }, {}):sum() end, x)
    assert.same({ { 0.5, 0.5 }, { 0.5, 0.5 } }, g:totable())
  end)

  it("are constants by item(), totable(), bytes() and print", function()
    local g = d.grad(function(v)
      assert.truthy(tostring(v):find "4")
      assert.truthy(tostring(v:sum()):find "7")
      assert.equal(2 * #d.ones(1):bytes(), #v:bytes())
      return v:sum() * v:select(1, 1):item() + v:sum() * v:totable()[2]
    end, d.tensor { 3, 4 })
    assert.same({ 7, 7 }, g:totable())
  end)

  it("have their gradient by select, by ranges, and by windows of iter", function()
    local want = { 10, 3 }
    local v = d.tensor { 3, 4 }
    assert.same(want, d.grad(function(z) return z:sum() * z:select(1, 1) end, v):totable())
    assert.same(want, d.grad(function(z) return (z:sum() * z[{ { 1, 1 } }]):sum() end, v):totable())
    assert.same(want, d.grad(function(z)
      return (z:sum() * first(z:view(2, 1))):sum()
    end, v):totable())
  end)

  it("are not what ops in a d.record lose to the d.grad around it", function()
    local message = select(2, pcall(d.grad, function(z)
      local y = d.record(function() return z * 2 end)
      return (y * z):sum()
    end, d.tensor { 3 }))
    assert.truthy(message:find("argument 1 [1]", 1, true), message)
    local g = d.grad(function(z)
      local y = d.record(function() return z:detach() * 2 end)
      return (y * z):sum()
    end, d.tensor { 3 })
    assert.equal(6, g:item())
  end)
end)

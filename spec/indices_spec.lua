-- Indices and classes are whole numbers, wherever they are given.
local d = require "diffusion"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"

local x = d.arange(1, 12):to(d.zeros(1):dtype()):reshape(4, 3)
local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "eps" }
local model = d.mlp { dim = 3, hidden = 8, depth = 1, classes = 4 }

-- each takes four indices or classes, as a list or as a tensor
local takers = {
  index = function(at) return x:index(1, at) end,
  cross_entropy = function(at) return d.cross_entropy(d.zeros(4, 5), at) end,
  embedding = function(at) return require("diffusion.core").ops.embedding(at, x) end,
  set = function(at) return d.data.set { x = x, class = at } end,
  model = function(at) return model(x, 5, { class = at }) end,
  objective = function(at) return d.objective { process = process, drop_class = 0.5 }(model, x, { class = at }) end,
  sample = function(at)
    return d.sample { model = model, process = process, shape = { 4, 3 }, steps = 2, class = at }
  end,
  cfg = function(at) return d.guidance.cfg(model, { scale = 2 })(x, 5, { class = at }) end,
  vlb = function(at)
    return d.likelihood.vlb(model, process, x * 0, { class = at, decoder = "gaussian", seed = 1 })
  end,
  classifier = function(at)
    local function log_prob(xt) return xt:sum(2) end
    return d.guidance.classifier(model, process, log_prob)(x, 5, { class = at })
  end,
  fashion_accuracy = function(at) return d.metric.fashion_accuracy(d.zeros(4, 28, 28, 1), at) end,
}

describe("whole numbers", function()
  teardown(forge.clean)

  for name, take in pairs(takers) do
    it("are the third index or class that " .. name .. " takes", function()
      for text, bad in pairs { ["1.9"] = 1.9, ["nan"] = 0 / 0, ["1e+30"] = 1e30, ["inf"] = math.huge } do
        fails(" 3 is " .. text, take, { 1, 2, bad, 1 })
        -- a real as near as the tensor's type has it: 1.00000002e+30
        fails(" 3 is " .. text:gsub("^1e%+30", "1"), take, d.tensor { 1, 2, bad, 1 })
      end
      fails(" 3 is a string", take, { 1, 2, "2", 1 })
      fails(" 3 is a boolean", take, { 1, 2, true, 1 })
    end)

    it("may be floats for " .. name, function()
      take { 1, 2, 3.0, 1 }
      take(d.tensor { 1, 2, 3, 1 })
      take(d.tensor({ 1, 2, 3, 1 }, { dtype = "u8" }))
    end)
  end

  it("are the indices that gather takes", function()
    fails("index 5 is 1.5", function() return x:gather(1, { { 1, 1, 1 }, { 1, 1.5, 1 } }) end)
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, x:gather(1, { { 1, 1, 1 }, { 2, 2, 2 } }):totable())
  end)

  it("are one class for all samples", function()
    fails("class is 1.5", takers.model, 1.5)
    fails("class is 1.5", takers.model, d.tensor(1.5))
    fails("class is 1.5", takers.fashion_accuracy, 1.5)
    assert.same(takers.model({ 2, 2, 2, 2 }):totable(), takers.model(2):totable())
    assert.same(takers.model({ 2, 2, 2, 2 }):totable(), takers.model(d.tensor(2)):totable())
  end)

  it("are told as they are where there are no such classes", function()
    local far = 1 << 40
    fails(tostring(far), d.data.set, { x = x, class = { 1, 2, far, 1 }, classes = 3 })
    fails(tostring(math.mininteger), d.data.set, { x = x, class = { 1, 2, math.mininteger, 1 } })
    assert.equal(far, d.data.set { x = x, class = { 1, 2, far, 1 } }.classes)
    local flow = d.process { schedule = d.schedule.flow { T = 9 }, predict = "flow" }
    fails("from -" .. far .. " to 2", d.reflow, model, flow, { shape = { 4, 3 }, class = { 1, 2, -far, 1 } })
  end)

  it("are labels in files", function()
    local x_of = { "x.npy", forge.npy("<f4", "(2, 1)", ("<ff"):pack(1, 2)) }
    local function npz(a, b)
      return forge.file(forge.zip { x_of, { "label.npy", forge.npy("<f8", "(2,)", ("<dd"):pack(a, b)) } }, ".npz")
    end
    local set, message = d.data.npy(npz(0, 1.5))
    assert.is_nil(set)
    assert.truthy(message:find("label 2 is 1.5", 1, true))
    assert.same({ 1, 2 }, assert(d.data.npy(npz(0, 1))).class:totable())
  end)
end)

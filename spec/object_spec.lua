-- The library's objects: what a user sees of them, and what may be written.
local d = require "diffusion"
local object = require "diffusion.object"
local fails = require "spec.support.fails"

local private = object.private

describe("an object", function()
  local Counter = {}
  function Counter:count()
    private[self].n = private[self].n + 1
    return self
  end
  local computed = object.class("counter", Counter, {
    get = { "n", double = function(own) return 2 * own.n end },
    set = { n = function(own, n) own.n = n end },
    __tostring = function(self) return "at " .. self.n end,
  })

  local Box = {}
  function Box:area() return self.width * self.height end
  local boxes = object.class("box", Box, { writable = { width = { "number", default = 1, min = 0 } } })

  it("has methods, fields of its own table, and a length", function()
    local box = object.new(boxes, nil, { width = 2, height = 3, "a", "b" })
    assert.same({ 6, 2, 3, 2, "b" }, { box:area(), box.width, box.height, #box, box[2] })
    fails("a box has no 'depth'", function() return box.depth end)
    assert.is_nil(box.__depth)
    local seen = {}
    for name, value in pairs(box) do seen[name] = value end
    assert.same({ width = 2, height = 3, "a", "b" }, seen)
  end)

  it("has computed fields and a hidden state", function()
    local counter = object.new(computed, { n = 2 })
    assert.equal(6, counter:count().double)
    counter.n = 5
    assert.same({ 10, "at 5" }, { counter.double, tostring(counter) })
    local seen = {}
    for name, value in pairs(counter) do seen[name] = value end
    assert.same({ n = 5, double = 10 }, seen)
  end)

  it("is written only where its class says so, within rules", function()
    local box = object.new(boxes, nil, { width = 2, height = 3 })
    box.width = 5
    assert.equal(15, box:area())
    box.width = nil
    assert.equal(1, box.width)
    fails("box: width: number in [0, inf) expected, got -1", function() box.width = -1 end)
    fails("box: 'height' can't be written; what can: width", function() box.height = 1 end)
    fails("counter: 'double' can't be written; what can: n", function() object.new(computed, { n = 1 }).double = 1 end)
    local fixed = object.new(object.class("point", {}), nil, { x = 1 })
    fails("a point never changes, so its 'x' can't be written; make another point", function() fixed.x = 2 end)
  end)

  it("is of its class, and its methods know it", function()
    local box, counter = object.new(boxes, nil, {}), object.new(computed, { n = 1 })
    assert.same({ true, false, true, false, false },
      { object.is(box, boxes), object.is(box, computed), object.is(counter, computed), object.is("a", boxes),
        object.is(nil, boxes) })
    fails("bad argument #1 to 'area' (box expected, got counter; methods are called with a colon, as in x:area())",
      Box.area, counter)
  end)

  it("of the library looks empty to next", function()
    local model = d.mlp { hidden = 4, depth = 1 }
    local process = d.process { schedule = d.schedule.cosine { T = 10 } }
    local opt = d.adamw(model)
    local batches = d.data.toy.moons(4):batches { size = 2 }
    for _, thing in ipairs { process, d.grid.trailing(process, 2), model, d.ema(model), opt, batches,
      d.checkpoint { path = "x", model = model }, d.oracle.gaussian { std = 1 }, d.objective { process = process },
      d.trainer { model = model, opt = opt, batches = batches, objective = print },
      d.sampler.steps { model = model, process = process, shape = { 1, 2 } } } do
      assert.is_nil(next(thing), tostring(thing))
    end
  end)
end)

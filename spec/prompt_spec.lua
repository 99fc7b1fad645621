-- Values at a prompt. Every object of the library prints as a few lines that describe it,
-- and never as an address.
local d = require "diffusion"
local printed = require "spec.support.printed"

describe("printing", function()
  local process = d.process { schedule = d.schedule.cosine {}, predict = "v" }
  local model = d.mlp { hidden = 8, depth = 1 }
  local set = d.data.toy.moons(10)
  local ema, opt, batches = d.ema(model), d.adamw(model), set:batches { size = 2 }
  local things = {
    d = d, tensor = d.zeros(3), number = d.tensor(3), process = process, schedule = process.schedule,
    model = model, ema = ema, opt = opt, set = set, batches = batches, generator = d.generator(),
    grid = d.grid.trailing(process, 3), memory = d.memory(), layer = d.nn.linear(3, 4), silu = d.nn.silu,
    oracle = d.oracle.gaussian { mean = 0, std = 1 },
    run = d.sampler.steps { model = model, process = process, shape = { 1, 2 }, steps = 3, seed = 1 },
    checkpoint = d.checkpoint { path = "a.safetensors", model = model },
    trainer = d.trainer { model = model, opt = opt, batches = batches, objective = print },
  }

  for name, thing in pairs(things) do
    it("says what a " .. name .. " is", function()
      local text = tostring(thing)
      assert.is_nil(text:find "0x%x%x%x%x")
      local _, breaks = text:gsub("\n", "")
      assert(breaks < 20, text)
    end)
  end

  it("shows a tensor by its shape and its numbers", function()
    assert.equal("tensor f32 [2,2]\n  1 2\n  3 4", tostring(d.tensor { { 1, 2 }, { 3, 4 } }))
    assert.equal("3", tostring(d.tensor(3)))
    assert.equal("tensor f32 [0]  empty", tostring(d.zeros(0)))
    assert.match("^tensor i64 %[100%]  mean 50%.5 std 29%.01 min 1 max 100\n    1   2   3 %.%.%.  98  99 100$",
      tostring(d.arange(1, 100)))
    assert.match("1 of 10 not finite", tostring(d.arange(0, 9) / d.arange(0, 9)))
  end)

  it("shows tables by their keys in order, and long things in a line", function()
    local text = printed(d.pp, { b = 1, a = { 1, "x" }, m = model, f = print, x = d.zeros(2, 3) })
    assert.equal([[
a:
  1 = 1
  2 = "x"
b = 1
f = function
m = mlp(dim 2, hidden 8, depth 1): 380 parameters
x = tensor f32 [2,3] ]], text .. " ")
    assert.equal(tostring(model), printed(d.pp, model))
    local loop = {}
    loop.self = loop
    assert.equal("self = {...}", printed(d.pp, loop))
  end)

  it("says what runs here", function()
    local text = d.info()
    assert.match("^" .. d._VERSION, text)
    assert.match("threads %d", text)
    assert.match("kernels %w+", text)
  end)
end)

-- Messages of public functions for unsuitable arguments. They never name an inner line of
-- the library, a function without a name, "a string, not a string", or an empty range.
local d = require "diffusion"
local child = require "spec.support.child"

local function message_of(f, ...)
  local fine, message = pcall(f, ...)
  assert.is_false(fine)
  return message
end

local function says(parts, f, ...)
  local message = message_of(f, ...)
  for _, part in ipairs(parts) do assert(message:find(part, 1, true), message) end
  assert.is_nil(message:find("?", 1, true), message)
  assert.is_nil(message:find("lua/diffusion", 1, true), message)
  assert.is_nil(message:find "1%.%.0%f[%D]", message)
end

describe("messages", function()
  it("of everything public name no inner line, and nothing unknown", function()
    local folder = child.folder()
    local script = assert(io.popen "pwd"):read "l" .. "/spec/support/wrong_calls.lua"
    child.write(folder .. "/gnuplot", "#!/bin/sh\n")
    os.execute("chmod +x " .. folder .. "/gnuplot")
    local text, code = child.run(script, { folder = folder, env = ("PATH=%s:\"$PATH\""):format(folder) })
    child.remove(folder)
    assert.equal(0, code)
    local faults = {}
    for line in text:gmatch "[^\n]*wrong_calls%.lua:%d+:[^\n]*" do faults[#faults + 1] = line end
    for line in text:gmatch "[^\n]*lua/diffusion[^\n]*" do faults[#faults + 1] = line end
    assert.same({}, faults)
    assert(tonumber(text:match "(%d+) calls\n$") > 10000, text:sub(-200))
  end)

  it("name the function, however it was called", function()
    local x, zeros = d.zeros(2, 2), d.zeros
    says({ "'zeros'", "#1" }, zeros, "a")
    says({ "'zeros'", "#1" }, function() local f = zeros f "a" end)
    says({ "'softmax'", "#2", "dimension 3" }, x.softmax, x, 3)
    says({ "'softmax'", "#1", "dimension 3" }, function() x:softmax(3) end)
    says({ "'mse'", "#2" }, d.mse, x)
    says({ "'sum'", "#2" }, function() error(select(2, pcall(x.sum, x, 5)), 0) end)
    says({ "'solve'", "#1" }, d.linalg.solve, "a")
    says({ "'add'" }, function() return x + print end)
    says({ "'randn'", "#1" }, function() local g = d.generator() g.randn(g, "a") end)
    says({ "'beta'" }, function() local s = d.schedule.cosine { T = 4 } s.beta(s) end)
    for _, wrapped in ipairs { function(f) return d.record(f) end, function(f) return d.no_grad(f) end,
                               function(f) return d.scope(f) end, function(f) return d.grad(f, x) end } do
      says({ "dimension 7" }, wrapped, function() return x:softmax(7) end)
      says({ "'zeros'" }, wrapped, function() return (pcall(d.zeros, "a")) and x or d.zeros "a" end)
    end
  end)

  it("say what a number should have been", function()
    says({ "'linspace'", "a whole number expected, got 1.5" }, d.linspace, 0, 1, 1.5)
    says({ "'linspace'", "a whole number expected, got nan" }, d.linspace, 0, 1, 0 / 0)
  end)

  it("of empty things have no ranges", function()
    local p = d.process { schedule = d.schedule.cosine { T = 4 } }
    local run = d.sampler.steps { model = d.mlp { hidden = 4, depth = 1 }, process = p, shape = { 1, 2 }, steps = 2 }
    says({ "no step" }, run.back, run, 1)
    says({ "from 1", "from 0 to 0" }, d.data.set, { x = d.zeros(2, 2), class = { 0, 0 } })
    says({ "from 1 to 2", "0 classes" }, d.data.set, { x = d.zeros(2, 2), class = { 1, 2 }, names = {} })
    says({ "[2,0], [2]", "empty" }, d.cross_entropy, d.zeros(2, 0), d.ones({ 2 }, { dtype = "i64" }))
    says({ "empty" }, d.posthoc_ema, {}, { sigma_rel = 0.1 })
  end)

  it("of functions that stand alone say what they are made of", function()
    local p, denoise = d.process { schedule = d.schedule.cosine { T = 4 } }, function(x) return x, x end
    for _, name in ipairs { "ddim", "heun", "unipc" } do
      says({ "#3", "'step'", "got nil" }, d.sampler.step, name, denoise)
      says({ "#3", "'step'", "got 5" }, d.sampler.step, name, denoise, 5)
      says({ "denoise", "got nil" }, d.sampler.step, name, nil, p)
      local step = d.sampler.step(name, denoise, p)
      for _, pair in ipairs { {}, { { t = 2 } }, { 2 } } do
        says({ name, "{t, s, i, n}" }, step, d.zeros(1, 2), pair[1], {})
      end
    end
    for _, n in ipairs { 2 ^ 40, -1, 0.5, "a" } do says({ "'moons'", "#1" }, d.data.toy.moons, n) end
  end)

  it("of methods called with a dot name the method", function()
    local model = d.mlp { hidden = 4, depth = 1 }
    says({ "'step'", "adamw expected, got nil", "x:step()" }, d.adamw(model).step)
    says({ "'sample'", "oracle expected, got 5" }, d.oracle.gaussian { std = 1 }.sample, 5)
    says({ "'config'", "schedule expected, got process" }, d.schedule.cosine { T = 4 }.config,
      d.process { schedule = d.schedule.cosine { T = 4 } })
  end)

  it("of values show what they are", function()
    local none = d.mlp { hidden = 4, depth = 1 }
    says({ "got 5" }, d.adamw, none, { ema = 5 })
    says({ "class 2 is a string" }, d.data.set, { x = d.zeros(2, 2), class = { 1, "a" } })
    says({ "got table" }, d.unet, { image = { 8, 8, {} } })
    says({ "'mult'", "got function" }, d.unet, { image = { 8, 8, 1 }, mult = { print } })
    says({ "number 1 is nan" }, d.grid.list, 10, { 0 / 0 })
    says({ "got a function" }, function() return d.zeros(2)[print] end)
  end)
end)

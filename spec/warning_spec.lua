-- Likely mistakes that are allowed: a warning on stderr, once, which can be silenced.
local d = require "diffusion"
local child = require "spec.support.child"
local fails = require "spec.support.fails"

local head = [[
local d = require "diffusion"
local process = d.process { schedule = d.schedule.cosine { T = 20 }, predict = "v" }
local function unet(classes) return d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 }, classes = classes } end
local function pictures(n) return d.randn({ n, 8, 8, 1 }, { seed = 1 }) end
local function train(objective, model, x0, class) d.record(objective, model, x0, { class = class }) end
local objective = d.objective { process = process }
]]

-- The warnings of a script, as a list.
local function warnings_of(text)
  local folder = child.folder()
  child.write(folder .. "/script.lua", head .. text)
  local out, code = child.run("script.lua", { folder = folder })
  child.remove(folder)
  assert.equal(0, code, out)
  local list = {}
  for line in out:gmatch "diffusion: warning: ([^\n]*)" do list[#list + 1] = line end
  return list, out
end

local function warns(sentence, text)
  local list = warnings_of(text)
  assert.equal(1, #list, table.concat(list, "\n"))
  assert(list[1]:find(sentence, 1, true), list[1])
  assert(list[1]:find "^script.lua:%d+: ", list[1])
end

local function is_silent(text) assert.same({}, (warnings_of(text))) end

describe("classes that count from 0", function()
  local sentence = "class 10 never; classes count from 1 here, and 0 is none: add 1 to labels that count from 0"

  it("are told once, by many samples or by all other classes", function()
    warns(sentence, [[for _ = 1, 5 do
      train(objective, unet(10), pictures(64), d.randint(0, 9, { 64 }, { seed = 1 }))
    end]])
    warns(sentence, [[train(objective, unet(10), pictures(10), d.arange(0, 9):to "i64")]])
    warns(sentence, [[local list = {}
    for i = 1, 64 do list[i] = i % 10 end
    train(objective, unet(10), pictures(64), list)]])
    warns(sentence, [[local model = unet(10)
    for k = 1, 8 do
      train(objective, model, pictures(8), d.randint(0, 9, { 8 }, { seed = k }))
    end]])
  end)

  it("are none that hold the highest, or no 0", function()
    is_silent [[local model = unet(10)
    train(objective, model, pictures(11), d.arange(0, 10):to "i64")
    for k = 1, 8 do train(objective, model, pictures(8), d.randint(0, 9, { 8 }, { seed = k })) end]]
    is_silent [[for k = 1, 8 do train(objective, unet(10), pictures(8), d.randint(1, 9, { 8 }, { seed = k })) end]]
    is_silent [[train(objective, unet(10), pictures(8), { 0, 1, 2, 3, 0, 1, 2, 3 })]]
  end)

  it("are none elsewhere: 0 stays no class", function()
    is_silent [[local model = unet(10)
    d.sample { model = model, process = process, shape = { 10, 8, 8, 1 }, class = d.arange(0, 9), steps = 2 }
    model(pictures(10), 5, { class = d.arange(0, 9):to "i64" })]]
  end)
end)

describe("a conditional model without classes", function()
  local sentence = "the model knows 10 classes, but is trained without any"

  it("is told once", function()
    warns(sentence, [[local model = unet(10)
    for _ = 1, 3 do train(objective, model, pictures(4)) end]])
    warns(sentence, [[train(objective, unet(10), pictures(4), 0)]])
    warns(sentence, [[train(objective, unet(10), pictures(4), d.zeros({ 4 }, { dtype = "i64" }))]])
  end)

  it("is meant where it is only looked at, knows none, or all are dropped", function()
    is_silent [[objective(unet(10), pictures(4))
    train(objective, unet(0), pictures(4))
    train(objective, unet(10), pictures(4), 3)
    train(d.objective { process = process, drop_class = 1 }, unet(10), pictures(4), 3)]]
  end)
end)

describe("pictures that were never scaled", function()
  it("are told once with their range, by an objective", function()
    warns("x0 [4,8,8,1] lies in 0..255, but pictures are floats in [-1, 1]", [[
    local x0 = d.rand({ 4, 8, 8, 1 }, { seed = 1 })
    x0[1][1][1][1], x0[2][1][1][1] = 0, 1
    for _ = 1, 3 do train(objective, unet(0), x0 * 255) end]])
    warns("lies in 0..3", [[
    local x0 = d.ones(4, 8, 8, 1) * 3
    x0[1][1][1][1] = 0
    train(objective, unet(0), x0)]])
  end)

  it("of unscaled bytes are told once by image.show", function()
    warns('show: floats from 0 to 255; those of a picture lie in [-1, 1] (x:to "u8"', [[
    local x = d.ones(2, 4, 4, 3) * 255
    x[1][1][1][1] = 0
    for _ = 1, 2 do d.image.show(x) end]])
  end)

  it("are told once by image.show", function()
    warns("show: floats from 0 to 3; those of a picture lie in [-1, 1]", [[
    local x = d.ones(4, 4, 1) * 3
    x[1][1][1] = 0
    for _ = 1, 2 do d.image.show(x) end]])
  end)

  it("are none below 0, up to 2, or of other shapes", function()
    is_silent [[
    train(objective, unet(0), pictures(4) * 100)
    train(objective, unet(0), d.rand({ 4, 8, 8, 1 }, { seed = 1 }) * 2)
    train(objective, d.mlp { hidden = 8, depth = 1 }, d.rand({ 4, 2 }, { seed = 1 }) * 255)
    d.image.show(d.rand(4, 4, 1))]]
  end)
end)

describe("warnings", function()
  it("can be silenced, and taken by a function", function()
    is_silent [[d.warnings(false)
    train(objective, unet(10), pictures(4))]]
    local _, out = warnings_of [[d.warnings(function(message) print("told: " .. message) end)
    train(objective, unet(10), pictures(4))
    d.warnings(true)
    train(d.objective { process = process }, unet(10), pictures(4))]]
    assert(out:find("told: script.lua:%d+: objective: the model knows 10 classes"), out)
    assert(out:find("diffusion: warning: script.lua:%d+: objective: the model knows 10 classes"), out)
    fails("true, false or a function expected, got 5", d.warnings, 5)
  end)

  it("come again for another objective", function()
    assert.equal(2, #warnings_of [[for _ = 1, 2 do
      train(d.objective { process = process }, unet(10), pictures(4))
    end]])
  end)

  it("tell of steps that an optimiser could not take", function()
    warns("adamw: a step was not taken, after step 0: the gradient's norm is nan; the first that isn't finite is the "
      .. "gradient of 'weight'; check the batch for NaN", [[
    local model = d.nn.model(d.nn.linear(2, 2))
    local opt, x = d.adamw(model), d.ones(4, 2)
    x[1][1] = 0 / 0
    for _ = 1, 3 do
      d.record(function() return model(x):square():sum() end):backward()
      opt:step()
    end]])
  end)
end)

describe("a batch that isn't finite", function()
  local process = d.process { schedule = d.schedule.cosine { T = 20 }, predict = "v" }
  local model = d.mlp { hidden = 8, depth = 1 }
  local nan = 0 / 0

  local function bad(value)
    local x = d.randn({ 6, 2 }, { seed = 1 })
    x[3][2] = value
    return x
  end

  it("is named before the network, in a loop written by hand", function()
    local objective = d.objective { process = process }
    fails("objective: x0 holds 1 nan, first in sample 3 of 6", d.record, objective, model, bad(nan))
    fails("x0 holds 1 inf, first in sample 3 of 6", d.record, objective, model, bad(math.huge))
    fails("x0 holds 1 nan", objective, model, bad(nan))
    local fine, message = pcall(function() d.record(objective, model, bad(nan)) end)
    assert(not fine and message:find("warning_spec.lua:%d+: "), message)
  end)

  it("is named before the network, in a trainer", function()
    local x = d.randn({ 64, 2 }, { seed = 1 })
    x[5][1] = nan
    local function trainer(objective)
      local own = d.mlp { hidden = 8, depth = 1 }
      return d.trainer { model = own, objective = objective, opt = d.adamw(own), quiet = true,
        batches = d.data.set { x = x }:batches { size = 32, steps = 4, shuffle = false } }
    end
    local function mse(net, x0) return d.mse(net(x0, 1), x0) end
    for _, objective in ipairs { d.objective { process = process }, mse } do
      local t = trainer(objective)
      fails("trainer: the batch of step 1: x0 holds 1 nan, first in sample 5 of 32", t.run, t)
    end
  end)

  it("isn't blamed where the network is at fault", function()
    local sick = d.mlp { hidden = 8, depth = 1 }
    for _, p in sick:parameters() do p:detach():fill_(nan) end
    local loss = d.objective { process = process }(sick, d.randn(4, 2))
    assert.is_true(loss:item() ~= loss:item())
  end)
end)

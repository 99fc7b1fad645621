-- Names that aren't there: reading, calling or writing one is an error with the nearest name.
local d = require "diffusion"
local core = require "diffusion.core"
local child = require "spec.support.child"
local fails = require "spec.support.fails"

local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "x0" }
local model = d.mlp { hidden = 4, depth = 1 }
local set = d.data.toy.moons(8)
local x = d.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

local objects = {
  tensor = x, model = model, ema = d.ema(model), adamw = d.adamw(model), set = set, process = process,
  schedule = process.schedule, batches = set:batches { size = 2 }, objective = d.objective { process = process },
  oracle = d.oracle.gaussian { std = 1 }, grid = d.grid.trailing(10, 3), generator = d.generator(),
  checkpoint = d.checkpoint { path = "run", model = model },
  run = d.sampler.steps { model = model, process = process, shape = { 2, 2 }, steps = 2 },
  trainer = d.trainer { model = model, objective = d.objective { process = process }, opt = d.adamw(model),
                        batches = set:batches { size = 2, steps = 2 }, quiet = true },
  bound = d.likelihood.vlb(model, process, x:narrow(2, 1, 2) / 6, { t = 2 }),
  likelihood = d.likelihood.ode(model, process, x:narrow(2, 1, 2)),
  plan = d.edit.plan { process = process, strength = 0.5 },
  repaint_plan = d.edit.repaint_plan { process = process, resample = 1 },
  interval = select(2, d.metric.energy(d.randn(20, 2), d.randn(20, 2), { interval = true })),
}

local function at_line(sentence, f)
  local fine, message = pcall(f)
  assert.is_false(fine, sentence)
  assert(message:find("names_spec.lua:%d+: "), message)
  assert(message:find(sentence, 1, true), message)
end

describe("ipairs of a tensor", function()
  it("ends after the last place", function()
    local seen = {}
    for i, v in ipairs(d.tensor { 5, 6, 7 }) do seen[i] = v end
    assert.same({ 5, 6, 7 }, seen)
    seen = {}
    for i, row in ipairs(x) do seen[i] = row:totable() end
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, seen)
    for _ in ipairs(d.zeros(0, 2)) do error "no rows" end
  end)

  it("needs x[n + 1] to be nil, and only that", function()
    local y = d.tensor { 5, 6, 7 }
    assert.is_nil(y[4])
    assert.is_nil(y[4.0])
    assert.is_nil(x[3])
    assert.equal(7, y[-1])
    for _, i in ipairs { 5, 9, -4, 0 } do at_line("out of range", function() return y[i] end) end
    at_line("out of range", function() y[4] = 1 end)
    at_line("out of range", function() return x[{ 3, 1 }] end)
  end)

  it("is what pairs leads to", function()
    at_line("pairs(x) of a tensor [2,3]: ipairs(x) goes through its first dimension",
      function() return pairs(x) end)
  end)
end)

describe("an unknown name", function()
  it("of the library is an error with the nearest", function()
    at_line("diffusion has no 'smaple'; did you mean 'sample'?", function() d.smaple {} end)
    at_line("did you mean 'manual_seed'?", function() return d.manual_sed end)
    at_line("d.schedule has no 'cosin'; did you mean 'cosine'?", function() return d.schedule.cosin {} end)
    at_line("d.nn has no 'liner'; did you mean 'linear'?", function() return d.nn.liner(2, 2) end)
    at_line("d.metric has no 'frechett'; did you mean 'frechet'?", function() return d.metric.frechett end)
    at_line("d.data.toy has no 'moon'; did you mean 'moons'?", function() return d.data.toy.moon(5) end)
    at_line("d.linalg has no 'eig'; did you mean 'eigh'?", function() return d.linalg.eig(x) end)
    for _, name in ipairs { "lr", "sampler", "guidance", "oracle", "plot", "data", "image", "check", "likelihood",
                            "edit", "grid" } do
      at_line(("d.%s has no 'nosuchthing'"):format(name), function() return d[name].nosuchthing end)
    end
    assert.is_nil(rawget(d, "smaple"))
    assert.is_nil(d.__serialize)
  end)

  it("of an object is an error, read or written", function()
    for kind, object in pairs(objects) do
      at_line("no 'nosuchthing'", function() return object.nosuchthing end)
      local fine, message = pcall(function() object.nosuchthing = 3 end)
      assert(kind == "interval" or not fine and message:find("names_spec.lua:%d+: "), kind)
      assert.is_nil(object.__serialize, kind)
    end
    at_line("a tensor has no 'sofmax'; did you mean 'softmax'?", function() return x:sofmax(1) end)
    at_line("a process has no 'q_smaple'; did you mean 'q_sample'?", function() return process:q_smaple(x, 1) end)
    at_line("a set has no 'clas'; did you mean 'class'?", function() return set.clas end)
    at_line("a schedule has no 'snrr'; did you mean 'snr'?", function() return process.schedule:snrr(1) end)
    at_line("a tensor has no 'numpy'; here it is x:totable()", function() return x:numpy() end)
  end)

  it("of a model may be an option of its network", function()
    local unet = d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 } }
    at_line("model unet has no 'chanels'; did you mean 'channels'?", function() unet.chanels = 3 end)
    at_line("'channels' is an option of this model, given when it is made", function() unet.channels = 3 end)
    at_line("model:config().channels has its value", function() return unet.channels end)
    at_line("a model's 'eval' can't be written", function() unet.eval = 3 end)
    at_line("did you mean 'parameters'?", function() return unet:paramters() end)
    local net = d.nn.model(d.nn.module("net", function(m) m.one = d.nn.linear(2, 2) end)())
    at_line("did you mean 'one'?", function() return net.ane end)
    assert.equal("diffusion.layer", debug.getmetatable(net.one).__name)
  end)

  it("of fields that may be missing is nil", function()
    assert.is_nil(d.data.set { x = d.randn(2, 2) }.class)
    assert.is_nil(objects.run.on_step)
    assert.is_nil(objects.checkpoint.extra)
    assert.is_nil(x.grad)
    assert.is_nil(process.clip)
    local missing = d.likelihood.vlb(model, process, x:narrow(2, 1, 2) / 6, { t = { 1 } })
    assert.is_nil(missing.total)
  end)
end)

describe("the methods of tensors", function()
  -- Calls that work, of methods that have no example for their gradient.
  local calls = {
    all = {}, allclose = { x }, any = {}, argmax = {}, argmin = {}, bytes = {}, copy_ = { x }, detach = {}, dim = {},
    dtype = {}, equal = { x }, fill_ = { 2 }, floor = {}, free = {}, is_contiguous = {}, isfinite = {}, iter = {},
    numel = {}, round = {}, shape = {}, sign = {}, size = { 1 }, to = { "f64" }, totable = {}, version = {}, zero_ = {},
    add_ = { 1 }, sub_ = { 1 }, mul_ = { 1 }, div_ = { 1 }, eq = { 1 }, ne = { 1 }, lt = { 1 }, le = { 1 }, gt = { 1 },
    ge = { 1 },
  }

  it("can all succeed", function()
    for name, method in pairs(core.methods) do
      local example = core.op_examples[name]
      if name == "item" then method(d.ones(1))
      elseif name == "sinusoid" then method(d.ones(1), { width = 4 })
      elseif name == "fourier" then method(d.ones(1), d.ones(2))
      elseif name == "backward" then d.record(function() return model(d.randn(1, 2), 1):sum() end):backward()
      elseif example then
        local first = (";" .. example):find ";%s*[a-z]+{"
        assert(first, name .. ": no example begins with a tensor")
      else
        local y = x:clone()
        assert(calls[name], name .. ": no call is known")
        method(y, table.unpack(calls[name]))
      end
    end
  end)

  it("aren't those whose first argument is no tensor", function()
    at_line("a tensor has no 'cat'; here it is d.cat", function() return x:cat(x) end)
    at_line("a tensor has no 'stack'; here it is d.stack", function() return x:stack(x) end)
    at_line("a tensor has no 'mix'; here it is d.mix", function() return x:mix(x) end)
    fails("cat", d.cat, x, x)
    assert.same({ 4, 3 }, d.cat({ x, x }, 1):shape())
  end)
end)

describe("names for programs", function()
  it("are asked for in vain without an error, as by a debugger", function()
    local folder = child.folder()
    child.write(folder .. "/ask.lua", [[
      local d = require "diffusion"
      for _, name in ipairs { "__index", "__pairs", "__name", "__tojson" } do assert(d[name] == nil) end
      for name, value in pairs(d) do assert(type(name) == "string" and value ~= nil) end
      print "asked"]])
    local text = child.run(folder .. "/ask.lua")
    child.remove(folder)
    assert.equal("asked\n", text)
  end)
end)

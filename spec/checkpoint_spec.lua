-- Model files and checkpoints. A written file can be read, and an unsuitable file changes
-- nothing. A run that is killed at any moment and resumed ends in the same bytes as one
-- that is not.
local d = require "diffusion"
local child = dofile "spec/support/child.lua"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local says = require "spec.support.refusal"

local folder
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

local function at(name) return folder .. "/" .. name end

local function stirred(model)
  for _, p in model:parameters() do p:copy_(d.randn(p:shape())) end
  return model
end

local function mlp(hidden) return d.mlp { dim = 2, hidden = hidden or 8, depth = 1, classes = 3 } end

local function unet(options)
  local o = { image = { 8, 8, 1 }, channels = 4, mult = { 1, 2 }, blocks = 1, attention = { 2 },
              classes = 2, dropout = 0.1, groups = 2 }
  for k, v in pairs(options or {}) do o[k] = v end
  return d.unet(o)
end

local function linear() return d.process { schedule = d.schedule.linear { T = 50 }, predict = "v", clip = 1 } end

-- The values of a model, to be held against later ones.
local function values(model)
  local out = {}
  for name, p in model:parameters() do out[name] = p:clone() end
  return out
end

local function same_values(expected, actual)
  local count = 0
  for name, x in pairs(expected) do
    count = count + 1
    assert(actual[name] and actual[name]:equal(x), name .. " differs")
  end
  for _ in pairs(actual) do count = count - 1 end
  assert.equal(0, count)
end

-- Writes a file's tensors again with other metadata.
local function forge(path, from, change)
  local tensors, metadata = d.load(from)
  change(metadata, tensors)
  assert(d.save(path, tensors, metadata))
  return path
end

describe("a model file", function()
  it("gives the MLP and its process again", function()
    local model, process = stirred(mlp()), linear()
    assert(model:save(at "mlp", { process = process }))
    local again, p = assert(d.load_model(at "mlp"))
    same_values(values(model), again:state())
    assert.same(model:config(), again:config())
    local x, given = d.randn(5, 2), { class = { 1, 2, 3, 0, 1 } }
    assert.is_true(model(x, 7, given):equal(again(x, 7, given)))
    assert.same({ "v", 1, "fixed_small" }, { p.predict, p.clip, p.variance })
    assert.equal(process.schedule.name, p.schedule.name)
  end)

  it("gives the UNet and its process again, with a schedule of one's own", function()
    local schedule = d.schedule.from_alpha_bar(function(u) return (1 - u) ^ 3 end,
      { T = 40, name = "cubic", max_beta = 0.999 })
    local process = d.process { schedule = schedule, variance = "fixed_large", clip = "dynamic" }
    local model = stirred(unet())
    assert(model:save(at "unet", { process = process }))
    local again, p = assert(d.load_model(at "unet"))
    same_values(values(model), again:state())
    local x = d.randn(2, 8, 8, 1)
    assert.is_true(model(x, { 1, 40 }):equal(again(x, { 1, 40 })))
    assert.same({ "cubic", 40, "eps", "fixed_large", "dynamic" },
      { p.schedule.name, p.T, p.predict, p.variance, p.clip })
    for t = 1, 40 do
      assert.same({ schedule:signal(t), schedule:noise(t) }, { p.schedule:signal(t), p.schedule:noise(t) })
      assert.same({ process:posterior_coefficients(t) }, { p:posterior_coefficients(t) })
    end
  end)

  it("keeps the optimal variance that was measured of it", function()
    local model, data = stirred(mlp()), d.data.toy.swiss_roll(200)
    local process = d.estimate_variance(model, linear(), data.x, { levels = 10 })
    assert(model:save(at "optimal", { process = process }))
    local _, p = assert(d.load_model(at "optimal"))
    assert.equal("optimal", p.variance)
    for t = 2, 50 do assert.equal(process:step_variance(t, t - 1), p:step_variance(t, t - 1)) end
  end)

  it("may hold an average's values, and no process", function()
    local model = stirred(mlp())
    local ema = d.ema(model)
    local before = values(model)
    stirred(model)
    assert(model:save(at "ema", { weights = ema }))
    local again, p = assert(d.load_model(at "ema"))
    assert.is_nil(p)
    same_values(before, again:state())
    assert.equal(model, model:load(at "ema"))
    same_values(before, model:state())
  end)

  it("of another model is refused with names and shapes, and changes nothing", function()
    local model, other = stirred(mlp(8)), stirred(mlp(16))
    assert(model:save(at "small"))
    local before = values(other)
    local name, p = other:parameters()()
    says({ at "small", "'" .. name .. "'", "[" .. table.concat(p:shape(), ",") .. "]",
           "[" .. table.concat(model:state()[name]:shape(), ",") .. "]" }, other:load(at "small"))
    same_values(before, other:state())

    assert(unet():save(at "conv"))
    says({ at "conv", "but the model's is" }, other:load(at "conv"))
    same_values(before, other:state())

    forge(at "less", at "small", function(_, tensors) tensors[name] = nil end)
    says({ at "less", "'" .. name .. "'", "is missing" }, model:load(at "less"))
    forge(at "more", at "small", function(_, tensors) tensors["blocks.9.weight"] = d.zeros(3) end)
    says({ at "more", "no parameter 'blocks.9.weight'" }, model:load(at "more"))
    says({ at "more", "no parameter 'blocks.9.weight'" }, d.load_model(at "more"))
  end)

  it("of a newer format, or of no known one, is refused", function()
    assert(mlp():save(at "now"))
    forge(at "newer", at "now", function(metadata) metadata.version = "2" end)
    says({ at "newer", "format version 2", "up to 1" }, d.load_model(at "newer"))
    forge(at "odd", at "now", function(metadata) metadata.version = nil end)
    says({ at "odd", "version" }, d.load_model(at "odd"))
    assert(d.save(at "bare", { x = d.zeros(2) }))
    says({ at "bare", "not a file of this library" }, d.load_model(at "bare"))
    says({ at "nowhere" }, d.load_model(at "nowhere"))
    says({ at "nowhere" }, mlp():load(at "nowhere"))
  end)

  it("whose description lies is refused", function()
    assert(mlp():save(at "honest", { process = linear() }))
    local function lying(change)
      return forge(at "lying", at "honest", function(metadata)
        local facts = json.decode(metadata.facts)
        metadata.facts = change(facts) or json.encode(facts)
      end)
    end
    for _, change in ipairs {
      function() return "{" end,
      function() return "7" end,
      function() return "{}" end,
      function(facts) facts.model = 5 end,
      function(facts) facts.model.kind = "transformer" end,
      function(facts) facts.model.kind = nil end,
      function(facts) facts.model.hidden = "wide" end,
      function(facts) facts.model.colour = "red" end,
      function(facts) facts.model.hidden = 10 end,
      function(facts) facts.process = 5 end,
      function(facts) facts.process.schedule = nil end,
      function(facts) facts.process.schedule.name = "nosuch" end,
      function(facts) facts.process.schedule.T = -1 end,
      function(facts) facts.process.predict = "future" end,
      function(facts) facts.process.variance = "optimal" end,
      function(facts) facts.process.x0_error = { { 1, 0.1 } } end,
      function(facts) facts.process.variance, facts.process.x0_error = "optimal", { { 60, 0.1 } } end,
      function(facts) facts.process.variance, facts.process.x0_error = "optimal", { { 2, 0.1 }, { 1, 0.1 } } end,
      function(facts) facts.process.variance, facts.process.x0_error = "optimal", { { 2, -1 } } end,
      function(facts) facts.process.variance, facts.process.x0_error = "optimal", { 7 } end,
      function(facts) facts.process.variance, facts.process.x0_error = "optimal", {} end,
    } do
      local path = lying(change)
      local model, message = d.load_model(path)
      says({ path }, model, message)
      assert.is_nil(message:find "%.lua") -- no line of Lua is at fault
    end
    assert(d.load_model(lying(function() end)))
  end)

  it("of a network composed in Lua says how to load it", function()
    local function own()
      return d.nn.model(d.nn.module("own", function(m)
        m.one = d.nn.linear(2, 3)
        function m:forward(x) return self.one(x) end
      end)())
    end
    local model, other = stirred(own()), stirred(own())
    assert(model:save(at "own"))
    says({ at "own", "composed in Lua", "'own'", "model:load(path)" }, d.load_model(at "own"))
    assert(other:load(at "own"))
    same_values(values(model), other:state())
  end)

  it("that can't be written is a sentence", function()
    says({ "/nowhere/model" }, mlp():save "/nowhere/model")
  end)
end)

-- ---- checkpoints ---------------------------------------------------------------------------

-- A run of a few steps: what a checkpoint is made of.
local function a_run(path, options)
  local o = options or {}
  d.manual_seed(o.seed or 1)
  local model = mlp(o.hidden)
  local ema = d.ema(model)
  local opt = d.adamw(model, { ema = ema })
  local batches = d.data.toy.swiss_roll(100):batches { size = o.size or 10, steps = 20, seed = o.seed or 1 }
  local objective = d.objective { process = linear() }
  local parts = { path = path, model = model, ema = ema, opt = opt, batches = batches }
  local run = d.checkpoint(parts)
  local function train(steps)
    for _ = 1, steps do
      local _, x0 = batches()
      d.record(objective, model, x0):backward()
      opt:step()
    end
  end
  return run, train, parts
end

-- Everything that a run would go on from.
local function all_of(parts)
  local state = parts.opt:state()
  local tensors = {}
  for prefix, of in pairs { model = parts.model:state(), ema = parts.ema:state(), first = state.first,
                            second = state.second } do
    for name, x in pairs(of) do tensors[prefix .. name] = x:clone() end
  end
  tensors.numbers = d.tensor { state.steps, state.skipped, parts.ema.updates, parts.batches.step,
                               parts.batches.seed }
  return tensors
end

describe("a checkpoint", function()
  it("that isn't there is false, without a message", function()
    assert.same({ false }, { a_run(at "none"):load() })
  end)

  it("that can't be read isn't gone: nil and a message", function()
    assert(io.open(at "plain", "w")):close()
    for _, path in ipairs { at "plain" .. "/run", at(("x"):rep(300)) } do
      local loaded, message = a_run(path):load()
      assert.is_nil(loaded)
      assert.is_truthy(message:find(path, 1, true))
    end
  end)

  it("holds rates that were set, where they are numbers", function()
    local model = mlp()
    local function run_of(lr, bias)
      local opt = d.adamw(model, { lr = lr, groups = { { pattern = "bias", lr = bias }, { pattern = "out" } } })
      return d.checkpoint { path = at "rates", model = model, opt = opt }, opt
    end
    local run, opt = run_of(0.1, 0.2)
    opt.lr = 0.025
    assert(run:save())
    local other, resumed = run_of(0.5, function() return 0.75 end)
    assert.is_true(other:load())
    assert.equal(0.025, resumed.lr)
    assert.same({ 0.025, false, false }, resumed:state().lr)
    local scheduled, own = run_of(function() return 0.75 end, 0.5)
    assert.is_true(scheduled:load())
    assert.equal(0.75, own.lr)
    assert.same({ false, 0.2, false }, own:state().lr)
  end)

  it("holds everything that a run goes on from", function()
    local run, train, parts = a_run(at "run")
    train(3)
    assert.is_true(run:save { loss = 0.25, note = "three steps" })
    local random, state = d.randn(4), all_of(parts)
    local later, go_on, others = a_run(at "run", { seed = 2 })
    go_on(5)
    assert.is_true(later:load())
    assert.is_true(random:equal(d.randn(4)))
    same_values(state, all_of(others))
    assert.same({ loss = 0.25, note = "three steps" }, later.extra)
  end)

  it("holds several averages, each with its own updates, and goes on bit for bit", function()
    local function averaged_run()
      d.manual_seed(3)
      local model = mlp()
      local emas = { d.ema(model, { decay = { "power", sigma_rel = 0.1 } }), d.ema(model, { decay = { "half_life",
        steps = 4, ramp = 0.5 } }), d.ema(model, { decay = 0.7 }) }
      local opt = d.adamw(model, { lr = 0.01, ema = { emas[1], emas[2] } })
      local batches = d.data.toy.swiss_roll(100):batches { size = 10, steps = 20, seed = 1 }
      local objective = d.objective { process = linear() }
      local run = d.checkpoint { path = at "several", model = model, opt = opt, ema = emas, batches = batches }
      return run, emas, function(steps)
        for _ = 1, steps do
          local _, x0 = batches()
          d.record(objective, model, x0):backward()
          opt:step()
          if opt.steps % 2 == 0 then emas[3]:update() end
        end
      end
    end
    local run, emas, train = averaged_run()
    train(5)
    assert(run:save())
    train(6)
    local later, resumed, go_on = averaged_run()
    go_on(3)
    assert.is_true(later:load())
    assert.same({ 5, 5, 2 }, { resumed[1].updates, resumed[2].updates, resumed[3].updates })
    go_on(6)
    for i = 1, 3 do
      assert.equal(emas[i].updates, resumed[i].updates)
      same_values(emas[i]:state(), resumed[i]:state())
    end
    fails("ema: entry 1 is 3, not an ema", d.checkpoint, { path = at "several", model = mlp(), ema = { 3 } })
    local fewer = d.checkpoint { path = at "good", model = mlp(), ema = d.ema(mlp()) }
    assert(fewer:save())
    local model = mlp()
    says({ at "good", "ema2", "is missing" },
      d.checkpoint { path = at "good", model = model, ema = { d.ema(model), d.ema(model) } }:load())
  end)

  it("is no model file, and a model file is no checkpoint", function()
    local run, _, parts = a_run(at "run")
    assert(run:save())
    says({ at "run", "a checkpoint, not a model", "d.checkpoint" }, d.load_model(at "run"))
    says({ at "run", "a checkpoint, not a model" }, parts.model:load(at "run"))
    assert(parts.model:save(at "model"))
    says({ at "model", "a model, not a checkpoint", "d.load_model" }, a_run(at "model"):load())
  end)

  -- A good file, then bad ones in its place: each is refused and changes nothing.
  local function refuses(what, parts_of_message, change, options)
    it("refuses " .. what .. ", and changes nothing", function()
      local run, train = a_run(at "good", options)
      train(2)
      assert(run:save())
      forge(at "bad", at "good", change)
      local mine, go_on, parts = a_run(at "bad")
      go_on(4)
      local before = all_of(parts)
      says({ at "bad", table.unpack(parts_of_message) }, mine:load())
      same_values(before, all_of(parts))
    end)
  end

  local function facts_with(change)
    return function(metadata)
      local facts = json.decode(metadata.facts)
      change(facts)
      metadata.facts = json.encode(facts)
    end
  end
  local function nothing() end

  refuses("another model's", { "model state:", "[" }, nothing, { hidden = 16 })
  refuses("that of other batches", { "batches", "size = 20", "10" }, nothing, { size = 20 })
  refuses("a newer format", { "format version 7" }, function(metadata) metadata.version = "7" end)
  refuses("one without the average", { "ema", "missing" }, function(_, tensors)
    for name in pairs(tensors) do if name:find "^ema%." then tensors[name] = nil end end
  end)
  refuses("one without moments", { "second", "missing" }, function(_, tensors)
    for name in pairs(tensors) do if name:find "^second%." then tensors[name] = nil end end
  end)
  refuses("one without an optimiser's steps", { "the optimiser's steps" },
    facts_with(function(facts) facts.opt = nil end))
  refuses("steps that are no number", { "the optimiser's steps" },
    facts_with(function(facts) facts.opt.steps = "two" end))
  refuses("updates that are no number", { "the average's updates" },
    facts_with(function(facts) facts.ema = 3 end))
  refuses("batches that are no table", { "batches" },
    facts_with(function(facts) facts.batches = 3 end))
  refuses("a place in the data that is none", { "batches" },
    facts_with(function(facts) facts.batches.step = -1 end))
  refuses("half of the random counters", { "the random counters" },
    facts_with(function(facts) facts.random = { 1, 2, 3 } end))
  refuses("counters that are no numbers", { "the random counters" },
    facts_with(function(facts) facts.random[4] = "many" end))

  it("that was cut off is refused, and changes nothing", function()
    local run, train = a_run(at "whole")
    train(2)
    assert(run:save())
    local bytes = child.read(at "whole")
    local mine, go_on, parts = a_run(at "cut")
    go_on(4)
    local before = all_of(parts)
    for _, length in ipairs { 0, 1, 7, 8, 9, 100, #bytes // 2, #bytes - 1 } do
      child.write(at "cut", bytes:sub(1, length))
      says({ at "cut" }, mine:load())
      same_values(before, all_of(parts))
    end
    child.write(at "cut", bytes)
    assert.is_true(mine:load())
  end)

  it("that can't be written is a sentence", function()
    says({ "/nowhere/run" }, a_run("/nowhere/run"):save())
  end)
end)

-- ---- killed and resumed ----------------------------------------------------------------------

local training = [[
local d = require "diffusion"
local last = tonumber(arg[1])                     -- the step after which SIGKILL comes, or 0

d.manual_seed(0)
local train   = d.data.digits()
local process = d.process { schedule = d.schedule.linear { T = 100 }, predict = "v", clip = 1 }
local model   = d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 }, blocks = 1, attention = { 2 },
                         classes = 10, dropout = 0.1 }
local ema     = d.ema(model, { decay = 0.99 })
local rate    = d.lr.warmup_cosine { peak = 2e-3, warmup = 5, total = 24 }
local opt     = d.adamw(model, { lr = rate, clip = 0.5, weight_decay = 0.01, ema = ema })
local loss_of = d.objective { process = process, drop_class = 0.2 }
local batches = train:batches { size = 120, steps = 24, flip = true, seed = 3 }   -- epochs end at 15.0
local run = d.checkpoint { path = "run.safetensors", model = model, ema = ema, opt = opt, batches = batches }
if assert(run:load() ~= nil) and run.extra then print("after step " .. batches.step) end

for step, x0, class in batches do
  local loss = d.record(loss_of, model, x0, { class = class })
  loss:backward()
  opt:step()
  if step % 6 == 0 then assert(run:save { loss = loss:item() }) end
  if step == last then
    local pid = io.open "/proc/self/stat":read "n"
    os.execute("kill -9 " .. pid)
  end
end
model:save("model.safetensors", { weights = ema, process = process })
print "done"
]]

describe("a run killed by SIGKILL", function()
  it("ends in the bytes of the run never stopped", function()
    child.write(at "training.lua", training)
    local function run(name, last, env)
      return child.run(at "training.lua", { folder = at(name), arguments = { last }, env = env })
    end
    os.execute("mkdir " .. at "whole-run" .. " " .. at "killed")
    local text, code = run("whole-run", 0)
    assert.same({ "done\n", 0 }, { text, code })

    assert.same({ "", "signal 9" }, { run("killed", 8, "DIFFUSION_THREADS=1") })
    text, code = run("killed", 17)
    assert.same({ "after step 6\n", "signal 9" }, { text, code })
    -- now in the middle of writing a file: by a limit on its size
    local size = #child.read(at "killed/run.safetensors")
    os.execute("mv " .. at "training.lua" .. " " .. at "inner.lua")
    child.write(at "training.lua", ("assert(os.execute(%q))"):format(("ulimit -f %d; "):format(size // 1024)
      .. child.command(at "inner.lua", { folder = at "killed", arguments = { 0 } })))
    local before = child.read(at "killed/run.safetensors")
    text, code = run("killed", 0)
    assert.truthy(text:find("after step 12\n", 1, true))
    assert.not_equal(0, code)
    assert.equal(before, child.read(at "killed/run.safetensors"))
    assert.truthy(text:find("File too large", 1, true), text)
    local beside = io.popen("ls " .. at "killed"):read "a"
    assert.is_nil(beside:find "run%.safetensors%.", beside)

    text, code = child.run(at "inner.lua", { folder = at "killed", arguments = { 0 } })
    assert.same({ "after step 12\ndone\n", 0 }, { text, code })
    for _, name in ipairs { "run.safetensors", "model.safetensors" } do
      local expected = assert(child.read(at("whole-run/" .. name)))
      assert(expected == child.read(at("killed/" .. name)), name .. " has other bytes")
    end
  end)
end)

-- The trainer. A run that is stopped at any moment resumes to the same bytes, with a log
-- without gaps or duplicates. A loss that is not finite is traced. Its output and its
-- errors are checked too.
local d = require "diffusion"
local child = dofile "spec/support/child.lua"

local folder
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

local function at(name) return folder .. "/" .. name end

-- ---- in this process -------------------------------------------------------------------------

local process = d.process { schedule = d.schedule.cosine { T = 10 } }

-- The parts of a trainer for points; options of the objective and of the trainer.
local function parts(steps, objective, more)
  d.manual_seed(1)
  local model = d.mlp { dim = 2, hidden = 8, depth = 2 }
  local o = { process = process }
  for k, v in pairs(objective or {}) do o[k] = v end
  local out = { model = model, objective = d.objective(o), opt = d.adamw(model, { lr = 1e-3 }),
                batches = d.data.toy.swiss_roll(50):batches { size = 64, steps = steps, seed = 1 },
                quiet = true }
  for k, v in pairs(more or {}) do out[k] = v end
  return out
end

local function fault_of(options)
  local ok, message = pcall(function() return d.trainer(options):run() end)
  assert.is_false(ok)
  return message
end

describe("the trainer", function()
  it("takes every step and says what it did", function()
    local seen, o = {}, parts(7)
    o.on_step = function(step, loss) seen[step] = loss end
    local report = assert(d.trainer(o):run())
    assert.same({ 7, 0, 7, 7 }, { report.step, report.resumed, #seen, o.opt.steps })
    -- an average that forgets two in a hundred a step
    local loss = seen[1]
    for i = 2, 7 do loss = 0.98 * loss + 0.02 * seen[i] end
    assert.near(loss, report.loss, 1e-12)
  end)

  it("does what the loop written out does", function()
    local o, by_hand = parts(5), parts(5)
    d.manual_seed(2)
    d.trainer(o):run()
    d.manual_seed(2)
    for _, x0 in by_hand.batches do
      d.record(by_hand.objective, by_hand.model, x0):backward()
      by_hand.opt:step()
    end
    for name, p in o.model:parameters() do assert.is_true(p:equal(by_hand.model:state()[name])) end
  end)

  it("goes on with what an objective has learned of its losses", function()
    local law = { times = { "importance", keep = 2 } }
    local whole = parts(30, law)
    d.trainer(whole):run()
    local path = at "importance.safetensors"
    d.trainer(parts(20, law, { checkpoint = path })):run()
    local rest = parts(30, law, { checkpoint = path })
    assert.equal(20, assert(d.trainer(rest):run()).resumed)
    assert.same(whole.objective:state(), rest.objective:state())
    for name, p in whole.model:parameters() do assert.is_true(p:equal(rest.model:state()[name])) end
    -- a checkpoint of another objective knows nothing of it
    local other = at "uniform.safetensors"
    d.trainer(parts(2, nil, { checkpoint = other })):run()
    local report, message = d.trainer(parts(4, law, { checkpoint = other })):run()
    assert.is_nil(report)
    assert.matches("uniform.safetensors: objective: the state has no losses of 10 levels", message, 1, true)
  end)

  it("trains on pairs of noise and data", function()
    local straight = d.process { schedule = d.schedule.flow { T = 10 }, predict = "flow" }
    local made = d.reflow(d.oracle.gaussian { std = { 1, 1 } }:denoiser(straight), straight,
      { shape = { 32, 2 }, seed = 1 })
    local o, seen = parts(3, { process = straight, weighting = "uniform" }), 0
    local own = o.objective
    o.objective = function(model, x0, given)
      seen = seen + (given.eps - x0):abs():max():item() -- a standard normal's flow ends where it began
      return own(model, x0, given)
    end
    o.batches = made:batches { size = 8, steps = 3, seed = 1 }
    d.trainer(o):run()
    assert.is_true(seen < 0.3)
  end)

  it("gives the network inputs of each batch", function()
    local model = d.context_mlp { dim = 2, context = 1, hidden = 8, depth = 1 }
    local set, seen = d.data.set { x = d.randn(6, 2), captions = { "1", "2", "3", "4", "5", "6" } }, {}
    local function inputs(batches)
      local rows = {}
      for b, caption in ipairs(batches.captions) do
        rows[b] = { tonumber(caption) }
        seen[#seen + 1] = caption
      end
      return { context = d.tensor(rows) }
    end
    local o = { model = model, objective = d.objective { process = process }, opt = d.adamw(model, { lr = 1e-3 }),
      batches = set:batches { size = 2, steps = 3, shuffle = false }, quiet = true, inputs = inputs }
    local before = model:state()["context.weight"]:clone()
    -- the gate is 0 at first, so the first step doesn't reach the context
    assert(d.trainer(o):run())
    assert.same({ "1", "2", "3", "4", "5", "6" }, seen)
    assert.is_false(before:equal(model:state()["context.weight"]))
    o.batches, o.inputs = set:batches { size = 2, steps = 1 }, function() return { contxt = d.zeros(2, 1) } end
    assert.is_truthy(fault_of(o):find("contxt", 1, true))
  end)

  it("refuses options that it doesn't know", function()
    assert.matches("save_evry.*save_every", fault_of(parts(1, nil, { save_evry = 3 })))
  end)

  it("lets errors through as they are, and leaves nothing open", function()
    local o = parts(5, nil, { on_step = function(step) if step == 3 then error("mine", 0) end end })
    assert.equal("mine", fault_of(o))
    assert.equal(3, o.batches.step)
    assert.is_nil(d.record(function() return nil end))
    local thing = { 1 }
    local ok, same = pcall(function()
      d.trainer(parts(1, nil, { on_step = function() error(thing) end })):run()
    end)
    assert.same({ false, true }, { ok, rawequal(same, thing) })
  end)

  it("says where it can't write", function()
    local message = fault_of(parts(2, nil, { checkpoint = "/nowhere/run.safetensors" }))
    assert.matches("^trainer: .*/nowhere/run.safetensors", message)
    assert.matches("^trainer: .*/nowhere/loss.csv", fault_of(parts(2, nil, { log = "/nowhere/loss.csv" })))
  end)

  it("says when the checkpoint isn't of this run", function()
    child.write(at "other", "no checkpoint")
    local o = parts(2, nil, { checkpoint = at "other", log = at "other.csv" })
    local report, message = d.trainer(o):run()
    assert.is_nil(report)
    assert.truthy(message:find(at "other", 1, true))
    assert.equal("no checkpoint", child.read(at "other"))
    assert.is_nil(child.read(at "other.csv"))
  end)

  it("cuts its log back to the checkpoint, and to whole rows", function()
    local function run(steps)
      return d.trainer(parts(steps, nil, { checkpoint = at "cut", log = at "cut.csv" })):run()
    end
    assert.equal(4, assert(run(4)).step)
    local rows = child.read(at "cut.csv")
    assert.equal(5, select(2, rows:gsub("\n", "")))
    assert.equal("step,loss,lr,norm\n", rows:match "^[^\n]*\n")
    child.write(at "cut.csv", rows .. "5,0.1,0.1,0.1\n6,0.1,0.1,0.1\n7,0.")
    local report = assert(run(6))
    assert.same({ 6, 4 }, { report.step, report.resumed })
    local now = child.read(at "cut.csv")
    assert.equal(rows, now:sub(1, #rows))
    assert.matches("^5,[^\n]+\n6,[^\n]+\n$", now:sub(#rows + 1))
    os.remove(at "cut.csv")
    assert.equal(8, assert(run(8)).step)
    assert.matches("^step,loss,lr,norm\n7,[^\n]+\n8,[^\n]+\n$", child.read(at "cut.csv"))
  end)
end)

describe("a loss that is no number", function()
  local function named(message, ...)
    for _, part in ipairs { ... } do
      assert(message:find(part, 1, true), ("%q isn't in %q"):format(part, message))
    end
  end

  it("is traced to the weights", function()
    local o = parts(5)
    local name, p = o.model:parameters()()
    o.on_step = function(step) if step == 2 then p[1][1] = math.huge end end
    named(fault_of(o), "step 3", "the weights '" .. name .. "'")
    assert.equal(2, o.opt.steps)
    local model = o.model
    o = parts(3, nil, { model = function(...) return model(...) end, opt = d.adamw(model) })
    named(fault_of(o), "the loss is", "at step 1")
  end)

  it("is traced to the layer that overflows", function()
    local function network(m)
      m.first = d.nn.linear(2, 4)
      m.big = d.nn.linear(4, 4)
      m.last = d.nn.linear(4, 2)
      function m:forward(x) return self.last(self.big(self.first(x))) end
    end
    local model = d.nn.model(d.nn.module("net", network)())
    model.big.weight:fill_(3e38)
    local o = parts(5, nil, { model = model, opt = d.adamw(model) })
    named(fault_of(o), "step 1", "linear", "'big.")
  end)

  it("is traced to its levels", function()
    local sick = process.schedule:snr(d.tensor { 4 })
    local function weighting(snr) return snr * (snr - sick) / (snr - sick) end
    named(fault_of(parts(5, { weighting = weighting })), "the loss is nan at step 1", "levels t = 4, 4",
      "the model's output is finite")
  end)

  it("of the gradient alone is let pass, but not for long", function()
    local broken, calls = d.nn.guest(function(x) return x * 1 end, function(dy) return dy / 0 end), 0
    local function stop_after(count)
      local o = parts(30)
      o.objective = function(m, x0)
        calls = calls + 1
        local y = m(x0, 1)
        return (calls <= count and broken(y) or y):square():mean()
      end
      calls = 0
      return o
    end
    local o = stop_after(9)
    assert.equal(30, assert(d.trainer(o):run()).step)
    assert.same({ 21, 9 }, { o.opt.steps, o.opt.skipped })
    named(fault_of(stop_after(10)), "10 steps in a row", "step 10", "the gradient of 'gate.bias'")
  end)

  it("without details is still told", function()
    local model = parts(1).model
    local function objective(m, x0) return (m(x0, 1) * 0 + math.huge):sum() end
    named(fault_of(parts(3, nil, { model = model, objective = objective, opt = d.adamw(model) })),
      "the loss is inf at step 1")
  end)
end)

-- ---- other processes ---------------------------------------------------------------------------

-- arg: what comes (KILL, INT or none), after or in which step, and from where.
local training = [[
local d = require "diffusion"
local signal, when, where = arg[1], tonumber(arg[2]), arg[3]

local function strike(step, place)
  if step ~= when or where ~= place then return end
  local pid = io.open "/proc/self/stat":read "n"
  local kill = "kill -" .. signal .. " " .. pid
  if where == "soon" then os.execute("(sleep 0.01; " .. kill .. ") >/dev/null 2>&1 &")
  else io.popen(kill):close() end
end

d.manual_seed(0)
local process = d.process { schedule = d.schedule.cosine { T = 50 }, predict = "v" }
local model   = d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 }, blocks = 1, classes = 10,
                         dropout = 0.1 }
local ema     = d.ema(model, { decay = 0.99 })
local opt     = d.adamw(model, { lr = 1e-3, clip = 1, ema = ema })
local batches = d.data.digits():batches { size = 64, steps = 20, flip = true, seed = 3 }
local loss_of = d.objective { process = process, drop_class = 0.1 }
local function objective(...)
  strike(batches.step, "inside")
  return loss_of(...)
end
local report, stopped = d.trainer { model = model, ema = ema, opt = opt, batches = batches,
  objective = objective, checkpoint = "run.safetensors", save_every = 4, log = "loss.csv",
  on_step = function(step) strike(step, "after") strike(step, "soon") end }:run()
if not report then
  print(stopped)
  os.exit(130, true)
end
assert(model:save("model.safetensors", { weights = ema, process = process }))
print(("done %d from %d"):format(report.step, report.resumed))
]]

describe("progress", function()
  it("has digits of a rate below ten", function()
    local lines = {}
    local out = { write = function(_, ...) lines[#lines + 1] = table.concat { ... } end, flush = function() end }
    for _, seconds in ipairs { 40, 4, 0.2 } do
      local bar = require("diffusion.progress").new(10, { unit = "steps", out = out })
      bar.began, bar.live = bar.began - seconds, false
      bar:update(10, "x", 10)
    end
    assert.matches("  0%.25 steps/s", lines[1])
    assert.matches("  2%.5 steps/s", lines[2])
    assert.matches("  %d%d steps/s", lines[3])
  end)
end)

describe("a training run", function()
  setup(function() child.write(at "training.lua", training) end)

  local function run(name, ...)
    os.execute("mkdir -p " .. at(name))
    return child.run(at "training.lua", { folder = at(name), arguments = { ... } })
  end

  local whole -- the bytes of the run never stopped

  local function ends_the_same(name)
    for file, bytes in pairs(whole) do
      assert(child.read(at(name .. "/" .. file)) == bytes, file .. " has other bytes")
    end
  end

  it("shows plain lines where there is no terminal", function()
    local text, code = run("whole", "none")
    assert.equal(0, code)
    assert.matches("step 1/20  loss %d%.%d%d%d%d  [%d.]+ images/s  %d+:%d%d left\n", text)
    assert.matches("step 20/20  loss %d%.%d%d%d%d  [%d.]+ images/s  0:00 left\n", text)
    assert.matches("done 20 from 0\n", text, 1, true)
    assert.is_nil(text:find "[\r\27]")
    whole = {}
    for _, name in ipairs { "run.safetensors", "model.safetensors", "loss.csv" } do
      whole[name] = assert(child.read(at("whole/" .. name)))
    end
    local count = 0
    for line in whole["loss.csv"]:gmatch "[^\n]+" do
      if count > 0 then assert.matches("^" .. count .. ",", line) end
      count = count + 1
    end
    assert.equal(21, count)
  end)

  it("killed and run again ends in the same bytes, its log too", function()
    assert.equal("signal 9", select(2, run("killed", "KILL", 7, "after")))
    assert.matches("\n7,[^\n]*\n$", child.read(at "killed/loss.csv"))
    assert.equal("signal 9", select(2, run("killed", "KILL", 15, "inside")))
    assert.matches("done 20 from 12\n", (run("killed", "none")), 1, true)
    ends_the_same "killed"
  end)

  it("shows the loss beside the floor that it is given", function()
    child.write(at "floor.lua", [[
      local d = require "diffusion"
      local model = d.mlp { hidden = 8, depth = 1 }
      local points, process = d.data.toy.moons(50), d.process { schedule = d.schedule.cosine() }
      local objective = d.objective { process = process }
      d.trainer { model = model, opt = d.adamw(model), objective = objective,
                  batches = points:batches { size = 8, steps = 2 }, floor = objective:floor { std = 1 } }:run()
    ]])
    local text = child.run(at "floor.lua", { folder = folder })
    assert.matches("step 2/2  loss %d%.%d%d%d%d, floor 0%.4956  ", text)
  end)

  it("stopped by Ctrl-C says so, and goes on to the same bytes", function()
    for i, where in ipairs { "inside", "after" } do
      local step = 5 * i
      local text, code = run("stopped", "INT", step, where)
      assert.equal(130, code)
      local sentence = ("interrupted after step %d; run.safetensors holds it, and the same command "
        .. "goes on from there\n"):format(step)
      assert(text:sub(-#sentence) == sentence, text)
      assert.matches("\n" .. step .. ",[^\n]*\n$", child.read(at "stopped/loss.csv"))
    end
    assert.matches("done 20 from 10\n", (run("stopped", "none")), 1, true)
    ends_the_same "stopped"
  end)

  it("stopped wherever it happens to be goes on to the same bytes", function()
    for i = 1, 4 do run("anywhere", "INT", 4 * i - 1, "soon") end
    assert.matches("done 20 from ", (run("anywhere", "none")), 1, true)
    ends_the_same "anywhere"
  end)
end)

describe("a trainer of a network without classes", function()
  it("takes a labelled set", function()
    local model = d.mlp { hidden = 8, depth = 1 }
    local set = d.data.set { x = d.randn(8, 2), class = { 1, 2, 1, 2, 1, 2, 1, 2 } }
    local report = d.trainer { model = model, objective = d.objective { process = process },
      opt = d.adamw(model), batches = set:batches { size = 4, steps = 2 }, quiet = true }:run()
    assert.equal(2, report.step)
  end)
end)

-- Data-parallel training over MPI: the same bits on any number of ranks, and how ranks end.
-- Without MPI the tests are skipped by name.
local child = dofile "spec/support/child.lua"
local ranks = dofile "spec/support/ranks.lua"

local absence, folder = ranks.absence(), nil
setup(function()
  folder = child.folder()
  dofile "spec/support/small_fashion.lua"(folder)
end)
teardown(function() child.remove(folder) end)

local function test(name, fn)
  if absence then pending(name .. " (" .. absence .. ")") else it(name, fn) end
end

local function at(name) return folder .. "/" .. name end

-- Runs a script's text on n ranks. `...` in it are the arguments.
local function run(n, text, ...)
  child.write(at "script.lua", 'local d, mpi = require "diffusion", require "diffusion.mpi"\n' .. text)
  return ranks.run(n, at "script.lua", { ... })
end

local function succeed(n, text, ...)
  local out, code = run(n, text, ...)
  assert(code == 0, out)
  return out
end

-- The lesson's network and objective.
local demo = [[
local folder, name = ...
local set = assert(d.data.fashion_mnist(folder))
d.manual_seed(mpi.rank) -- the first values and counters are rank 0's
local process = d.process { schedule = d.schedule.cosine { T = 1000 }, predict = "v", clip = 1 }
local model = d.unet { image = { 28, 28, 1 }, channels = 8, mult = { 1, 2, 2 }, blocks = 1, attention = { 4 },
                       classes = 10, dropout = 0.1 }
local ema = d.ema(model, { decay = 0.99 })
local opt = d.adamw(model, { lr = 3e-3, clip = 1, ema = ema, over = mpi, bucket = 0.02 })
local batches = set:batches { size = 8, steps = 30, flip = true, seed = 3, over = mpi }
local trainer = d.trainer { model = model, opt = opt, ema = ema, batches = batches, quiet = true, save_every = 1000,
  objective = d.objective { process = process, weighting = "min_snr", drop_class = 0.1 },
  checkpoint = folder .. "/" .. name, log = folder .. "/" .. name .. ".csv" }
]]

-- A loop of a user's: a tensor made of the batch, closures, two models, two backward passes a step, and times that
-- learn of losses. Prints a digest of the parameters.
local loop = [[
d.manual_seed(5)
local nn = d.nn
local one = nn.model(nn.sequence(nn.linear(2, 16), nn.silu, nn.recompute(nn.linear(16, 16)), nn.linear(16, 2)))
local process = d.process { schedule = d.schedule.cosine { T = 3 }, predict = "v" }
local other = d.mlp { dim = 2, hidden = 8, depth = 1 }
local importance = d.objective { process = process, times = { "importance", keep = 1 }, self_condition = 0 }
local opt = d.adamw(one, { lr = 1e-2, over = mpi, bucket = 1e-4, reproducible = ... ~= "fast" })
local opt2 = d.adamw(other, { lr = 1e-2, over = mpi, reproducible = ... ~= "fast" })
for _, x0 in d.data.toy.moons(90):batches { size = 24, steps = 6, over = mpi } do
  local noisy, w = x0 + d.randn(x0:shape()) * 0.1, d.rand(x0:size(1))
  local loss, seen = d.record(function()
    local y = one(noisy)
    return ((y - x0):square() * w:unsqueeze(2)):mean(), { y = y, n = y:size(1) }
  end)
  assert(seen.y:size(1) == x0:size(1) and (seen.n == 3 or mpi.size == 8))
  loss:backward()
  for _ = 1, 2 do d.record(importance, other, x0):backward() end
  opt:step() opt2:step()
end
local sum = 0
for _, model in ipairs { one, other } do
  for _, p in model:parameters() do sum = sum + (p * p):sum():item() end
end
if mpi.rank == 0 then print(("digest %.9g"):format(sum)) end
]]

local function digest_of(n, ...) return succeed(n, loop, ...):match "digest (%S+)" end

describe("training over ranks", function()
  test("gives equal files on 1, 2 and 4 ranks", function()
    for _, n in ipairs { 1, 2, 4 } do succeed(n, demo .. "assert(trainer:run())", folder, "run" .. n) end
    local file, log = child.read(at "run1"), child.read(at "run1.csv")
    assert.equal(31, select(2, log:gsub("\n", "")))
    for _, n in ipairs { 2, 4 } do
      assert.is_true(file == child.read(at("run" .. n)), "checkpoints differ")
      assert.equal(log, child.read(at("run" .. n .. ".csv")))
    end
  end)

  test("gives the same files with sharded moments, also on another number of ranks", function()
    local sharded = demo:gsub("over = mpi, bucket", "over = mpi, shard = true, bucket")
      :gsub("local ema = ([^\n]*)", "local ema = { %1, d.ema(model) }")
    local plain = sharded:gsub("shard = true, ", "")
    succeed(2, plain .. "assert(trainer:run())", folder, "unsharded")
    run(1, sharded .. "trainer.save_every = 12\n"
      .. "trainer.on_step = function(step) if step == 13 then os.exit(3) end end trainer:run()", folder, "sharded")
    succeed(2, sharded .. "assert(trainer:run().resumed == 12)", folder, "sharded")
    assert.is_true(child.read(at "unsharded") == child.read(at "sharded"), "checkpoints differ")
  end)

  test("gathers the moments of all ranks if one rank has them all", function()
    local out = succeed(2, [[
local model = d.nn.model(d.nn.linear(2, 2, { bias = false }))
local opt = d.adamw(model, { over = mpi, shard = true })
for _, x0 in d.data.toy.moons(90):batches { size = 8, steps = 1, over = mpi } do
  d.record(function() return d.mse(model(x0), x0) end):backward()
  opt:step()
end
print("moments", opt:state().second.weight:sum():item())]])
    local one, other = out:match "moments%s+(%S+)%s+moments%s+(%S+)"
    assert.equal(one, other)
    assert.is_true(tonumber(one) > 0)
  end)

  test("gives the network under adapters rank 0's values too", function()
    local text = [[
d.manual_seed(mpi.rank)
local base = d.mlp { dim = 2, hidden = 16, depth = 1 }
local lora = d.nn.lora(base, { rank = 2 })
local opt = d.adamw(lora, { lr = 1e-2, over = mpi })
for _, x0 in d.data.toy.moons(90):batches { size = 16, steps = 4, seed = 1, over = mpi } do
  d.record(function() return d.mse(lora(x0, 1), x0) end):backward()
  opt:step()
end
local sum = 0
for _, m in ipairs { base, lora } do
  for _, p in m:parameters() do sum = sum + (p * p):sum():item() end
end
if mpi.rank == mpi.size - 1 then print(("digest %.9g"):format(sum)) end]]
    assert.equal(succeed(1, text), succeed(2, text))
  end)

  test("goes on from a checkpoint on another number of ranks", function()
    local _, code = run(2, demo .. "trainer.save_every = 12\n"
      .. "trainer.on_step = function(step) if step == 13 then os.exit(3) end end trainer:run()", folder, "again")
    assert.not_equal(0, code)
    succeed(1, demo .. "assert(trainer:run().resumed == 12)", folder, "again")
    assert.is_true(child.read(at "run1") == child.read(at "again"), "checkpoints differ")
  end)

  test("takes a user's loop as it is", function()
    local digest = assert(digest_of(1))
    assert.equal(digest, digest_of(2))
    assert.equal(digest, digest_of(8))
    assert.near(tonumber(digest), tonumber(digest_of(2, "fast")), 1e-4)
  end)

  test("has the same bits in double precision, and in custom ops", function()
    child.write(at "script.lua", [[
local d, mpi = require "diffusion", require "diffusion.mpi"
assert(require "diffusion.core".real == "f64")
d.manual_seed(5)
local square = d.nn.guest(function(x) return x * x end, function(dy, _, x) return dy * x * 2 end)
local network = d.nn.module("network", function(m)
  m.first, m.second = d.nn.linear(2, 8), d.nn.linear(8, 2)
  function m:forward(x) return self.second(square(d.nn.recompute(self.first)(x))) end
end)
local model = d.nn.model(network())
local opt = d.adamw(model, { lr = 1e-2, over = mpi })
local function loss_of(x0) return d.record(function() return d.mse(model(x0), x0) end) end
local loss
for _, x0 in d.data.toy.moons(90):batches { size = 24, steps = 4, over = mpi } do
  loss = loss_of(x0)
  loss:backward { keep = true }
  opt:step()
end
local sum = 0
for _, p in model:parameters() do sum = sum + (p * p):sum():item() end
if mpi.rank == 0 then print(("digest %.17g"):format(sum)) end
if mpi.size == 1 then
  local fine, message = pcall(loss.backward, loss)
  assert(not fine and message:find("the records of 8 pieces are gone after one pass", 1, true), message)
end]])
    local digests = {}
    for n = 1, 2 do
      local out, code = ranks.run(n, at "script.lua", {}, "DIFFUSION_PRECISION=double")
      assert(code == 0, out)
      digests[n] = assert(out:match "digest (%S+)")
    end
    assert.equal(digests[1], digests[2])
  end)

  test("has the same bits with a loop within a loop, and with batches of two sets in a step", function()
    local text = [[
d.manual_seed(5)
local model = d.mlp { dim = 2, hidden = 8, depth = 1 }
local opt = d.adamw(model, { lr = 1e-2, over = mpi })
local objective = d.objective { process = d.process { schedule = d.schedule.cosine { T = 9 }, predict = "v" } }
local rolls = d.data.toy.swiss_roll(80):batches { size = math.tointeger(...), steps = 9, seed = 2, over = mpi }
local set, lines = d.data.toy.moons(90), {}
local function print_digest(what)
  local sum = 0
  for _, p in model:parameters() do sum = sum + (p * p):sum():item() end
  lines[#lines + 1] = ("%s %.9g %.9g"):format(what, sum, opt.loss)
end
for step, x0 in set:batches { size = 16, steps = 3, seed = 1, over = mpi } do
  local noisy = x0 + d.randn(x0:shape()) * 0.1
  for _, own in set:batches { size = 32, steps = 2, seed = step, over = mpi } do d.no_grad(objective, model, own) end
  d.record(objective, model, noisy + d.randn(x0:shape()) * 0.1):backward()
  opt:step()
end
print_digest "within"
for _, x0 in set:batches { size = 16, steps = 3, seed = 1, over = mpi } do
  local noisy, _, roll = x0 * 2, rolls()
  local half, more = roll / 2, noisy * 2
  local loss = d.record(function()
    return objective(model, more) + objective(model, half) + d.mse(model(d.randn(roll:shape()), 1), roll)
  end)
  loss:backward()
  opt:step()
end
print_digest "beside"
if mpi.rank == 0 then print(table.concat(lines, "\n")) end]]
    for _, size in ipairs { "16", "8", "32" } do
      local one = succeed(1, text, size)
      assert(one:find "within %S+ %S+\nbeside")
      for _, n in ipairs { 2, 8 } do assert.equal(one, succeed(n, text, size)) end
    end
  end)

  test("ends the dealing of a loop that its step ends", function()
    succeed(2, [[
local batches, steps = d.data.toy.moons(90):batches { size = 16, steps = 30, seed = 1, over = mpi }, 0
local state = require "diffusion.core".random_state()
for step, x0 in batches do
  steps = steps + 1
  assert(x0:size(1) == 8)
  if step == 2 then batches.step = batches.steps end
end
assert(steps == 2 and not require "diffusion.over.deal".now)
assert(table.concat(state, " ") == table.concat(require "diffusion.core".random_state(), " "))]])
  end)

  test("forgets models that are garbage", function()
    succeed(1, [[
for i = 1, 60 do
  local model = d.mlp { dim = 2, hidden = 16, depth = 1 }
  local opt = d.adamw(model, { over = mpi })
  for _, x0 in d.data.toy.moons(90):batches { size = 16, steps = 1, seed = 1, over = mpi } do
    local loss = d.record(function() return d.mse(model(x0, 1), x0) end)
    model, opt = i % 2 == 0 and model or nil, i % 2 == 0 and opt or nil
    collectgarbage "step"
    loss:backward()
    if opt then opt:step() end
  end
end]])
  end)

  -- The second pass writes its sums to the memory that the first gradient is in.
  test("leaves a gradient that someone holds as it was", function()
    succeed(1, [[
local model = d.mlp { dim = 2, hidden = 8, depth = 1 }
local opt = d.adamw(model, { over = mpi })
local held, before, twice
for step, x0 in d.data.toy.moons(90):batches { size = 16, steps = 2, seed = 1, over = mpi } do
  local function pass() d.record(function() return d.mse(model(x0, 1), x0) end):backward() end
  pass()
  local _, p = next(model:state())
  if step == 1 then
    for _, q in model:parameters() do held = q.grad break end
    before = held:clone()
    pass() -- adds up
    for _, q in model:parameters() do twice = q.grad break end
    assert(twice:allclose(before * 2, { rtol = 1e-6 }) and not held:equal(twice) or before:eq(0):all())
  end
  assert(p and held:equal(before))
  opt:step()
end
assert(held:equal(before) and twice:allclose(before * 2, { rtol = 1e-6 }))
print "fine"]])
  end)

  test("has the same gradient of a loss [] and of a loss [1]", function()
    succeed(0, [[
local model, set = d.mlp { dim = 2, hidden = 8, depth = 1 }, d.data.toy.moons(90)
local opt = d.adamw(model, { over = mpi })
local function gradients(keep)
  local out = {}
  for _, x0 in set:batches { size = 16, steps = 1, seed = 1, over = mpi } do
    local loss = d.record(function() return (model(x0, 1) - x0):square():reshape(-1):mean(1, keep) end)
    assert(loss:dim() == (keep and 1 or 0))
    loss:backward()
    for name, p in model:parameters() do out[name] = p.grad:clone() end
    opt:zero()
  end
  return out
end
local one = gradients(true)
for name, g in pairs(gradients(false)) do assert(g:equal(one[name]), name) end]])
  end)

  test("averages the numbers that a record returns, also whole ones", function()
    succeed(1, [[
local model = d.mlp { dim = 2, hidden = 8, depth = 1 }
local opt = d.adamw(model, { over = mpi })
for _, x0 in d.data.toy.moons(90):batches { size = 16, steps = 1, seed = 1, over = mpi } do
  local function count() return x0:gt(0):to "i64":sum() end
  local whole, own = count():item(), count()
  local loss, a, b, c, rows = d.record(function()
    local n = d.tensor({ x0:size(1) }):to "i64":sum()
    return d.mse(model(x0, 1), x0), count():item(), count(), count():to "f32":item(), n
  end)
  assert(a == whole / 8 and b:item() == whole / 8 and c == whole / 8 and own:item() == whole)
  assert(rows:dtype() == "i64" and rows:item() == 2)
  loss:backward()
end
assert(opt.loss)]])
  end)

  test("ends at a later optimiser of the model", function()
    succeed(2, [[
local model, x0 = d.mlp { dim = 2, hidden = 8, depth = 1 }, d.randn(4, 2)
local first = d.adamw(model, { over = mpi })
local alone = d.adamw(model, {})
if mpi.rank == 0 then -- others take no part
  d.record(function() return d.mse(model(x0, 1), x0) end):backward()
  alone:step()
end
local fine, message = pcall(first.step, first)
assert(not fine and message:find("a later optimiser has a model of this one", 1, true), message)
assert(first.loss == nil)]])
  end)

  test("traces a loss that isn't finite through inputs of pieces", function()
    succeed(0, [[
local model = d.context_mlp { dim = 2, context = 1, hidden = 8, depth = 1 }
local objective = d.objective { process = d.process { schedule = d.schedule.cosine { T = 9 }, predict = "v" } }
local trainer = d.trainer { model = model, objective = objective, opt = d.adamw(model, { over = mpi }), quiet = true,
  batches = d.data.toy.moons(90):batches { size = 16, steps = 1, over = mpi },
  inputs = function(batches) return { context = d.full({ #batches.examples, 1 }, 0 / 0) } end }
local fine, message = pcall(trainer.run, trainer)
assert(not fine and message:find("at or after 'context", 1, true), message)]])
  end)

  test("refuses a checkpoint that only some ranks find, and changes nothing", function()
    local start = demo:gsub("over = mpi, bucket", "over = mpi, shard = true, bucket")
    succeed(2, start .. "batches.step = 28 assert(trainer:run())", folder, "partly0")
    local out = succeed(2, start:gsub("folder %.%. \"/\" %.%. name,", "folder .. \"/partly\" .. mpi.rank,", 1) .. [[
local before = opt.steps
local done, message = trainer:run()
assert(done == nil and opt.steps == before and batches.step == 0, message)
print(message)]], folder, "partly")
    local sentence = "rank 0 finds step 2, but rank 1 finds no file; all ranks must see one file"
    assert.equal(2, select(2, out:gsub(sentence, "")), out)
  end)

  test("sends what recursive halving and doubling needs", function()
    local out = succeed(4, [[
local model = d.mlp { dim = 2, hidden = 64, depth = 2 }
local opt = d.adamw(model, { over = mpi, bucket = 100 })
for _, x0 in d.data.toy.moons(90):batches { size = 8, steps = 1, over = mpi } do
  d.record(function() return d.mse(model(x0, 1), x0) end):backward()
end
print("n", model:count(), mpi.sent())]])
    local n, messages, bytes = out:match "n%s+(%d+)%s+(%d+)%s+(%d+)"
    assert.equal(4, tonumber(messages)) -- 2 log2 P of one bucket
    -- 2 (P - 1) / P of the gradient, and of the loss and the wish to stop
    assert.near(2 * 3 / 4 * 4 * (n + 2), tonumber(bytes), 16)
  end)
end)

describe("lesson 15", function()
  test("prints one digest on 1 and 2 ranks", function()
    local function digest(n)
      local out, code = ranks.run(n, "examples/15_many_ranks.lua", { at("lesson" .. n), "4" })
      assert(code == 0, out)
      assert(child.read(at("lesson" .. n .. "/samples.png")))
      return (assert(out:match "digest (%S+ of the parameters, %S+ of the samples)", out))
    end
    assert.equal(digest(0), digest(2))
  end)
end)

describe("a backward pass that failed on the way", function()
  test("is the reason that later ones give, however often", function()
    local out = succeed(2, [[
local factor
local network = d.nn.module("network", function(m)
  m.first = d.nn.linear(2, 2)
  m.second = d.nn.linear(2, 2)
  function m:forward(x) return self.second(self.first(x) * factor) end
end)
local model, other = d.nn.model(network()), d.nn.model(d.nn.linear(2, 2))
local opt, opt2 = d.adamw(model, { over = mpi }), d.adamw(other, { over = mpi })
local function refused(loss, part)
  local fine, message = pcall(loss.backward, loss)
  assert(not fine and message:find(part, 1, true), message)
end
for _, x0 in d.data.toy.moons(90):batches { size = 8, steps = 1, over = mpi, pieces = 2 } do
  local function loss_of(network) return d.record(function() return d.mse(network(x0), x0) end) end
  factor = d.ones(1, 1)
  local loss = loss_of(model)
  factor:mul_(2)
  refused(loss, "written to in place")
  for _, network in ipairs { model, other } do
    loss = loss_of(network)
    for _ = 1, 2 do refused(loss, "an earlier backward of this rank failed") end
  end
end
print("fine", opt, opt2)]])
    assert.equal(2, select(2, out:gsub("fine", "")))
  end)

  -- The bucket of the last layer, which is used first, waits for the other one.
  test("can be repeated on one rank", function()
    local out = succeed(1, [[
local factor
local network = d.nn.module("network", function(m)
  m.second = d.nn.linear(2, 2)
  m.first = d.nn.linear(2, 2)
  function m:forward(x) return self.second(self.first(x) * factor * 1.5) end
end)
local model = d.nn.model(network())
local opt = d.adamw(model, { over = mpi, reproducible = false, bucket = 1e-5 })
for _, x0 in d.data.toy.moons(90):batches { size = 8, steps = 1, over = mpi, pieces = 1 } do
  local function loss()
    factor = d.ones(1, 1)
    return d.record(function() return d.mse(model(x0), x0) end)
  end
  local damaged = loss()
  factor:mul_(2)
  assert(not pcall(damaged.backward, damaged))
  loss():backward()
  print("norm", opt:step())
end]])
    assert.is_true(tonumber(out:match "norm%s+(%S+)") > 0)
  end)

  -- The large gradient is under way when the product fails. Its message arrives after the optimiser is gone.
  test("leaves the memory of its messages alone", function()
    local out = succeed(2, [[
local factor
local network = d.nn.module("network", function(m)
  m.first = d.nn.linear(2, 1024)
  m.large = d.nn.linear(1024, 1024)
  function m:forward(x) return self.large(self.first(x) * factor * 1.5):narrow(2, 1, 2) end
end)
local function fail()
  local model = d.nn.model(network())
  local opt = d.adamw(model, { over = mpi })
  for _, x0 in d.data.toy.moons(90):batches { size = 8, steps = 1, over = mpi, pieces = 2 } do
    factor = d.ones(1, 1)
    local loss = d.record(function() return d.mse(model(x0), x0) end)
    factor:mul_(2)
    if mpi.rank == 1 then os.execute "sleep 0.3" end
    local fine, message = pcall(loss.backward, loss)
    assert(not fine and message:find "written to in place", message)
  end
  return opt
end
local gone = setmetatable({ fail() }, { __mode = "v" })
collectgarbage() collectgarbage()
assert(not gone[1] and mpi.sent() > 0)
for _ = 1, 20 do mpi.barrier() end
print "fine"]])
    assert.equal(2, select(2, out:gsub("fine", "")))
  end)
end)

describe("a rank that ends", function()
  test("by a signal takes all with it", function()
    local out, code = run(2, demo .. [[
trainer.on_step = function(step) if mpi.rank == 1 and step == 3 then os.execute "kill -9 $PPID" end end
trainer:run() print "survived"]], folder, "killed")
    assert.not_equal(0, code)
    assert.not_equal(124, code) -- nothing hung
    assert.is_nil(out:find "survived")
  end)

  test("by an error takes all with it, and says which rank it was", function()
    local out, code = run(2, demo .. [[
trainer.on_step = function(step) if mpi.rank == 1 and step == 2 then error "my own trouble" end end
trainer:run() print "survived"]], folder, "failed")
    assert.not_equal(0, code)
    assert.not_equal(124, code)
    assert(out:find "my own trouble" and out:find "rank 1 of 2 %(host ", out)
    assert.is_nil(out:find "survived")
  end)

  test("before others, which wait for it, ends them with a sentence", function()
    local sentence = "rank 1 has ended, but rank %d+ %(host %S+%) waits for it; all ranks must take the same steps"
    for _, n in ipairs { 2, 3 } do
      for _, call in ipairs { "mpi.barrier()", "mpi.gather(1)", "mpi.broadcast(d.ones(2))", "mpi.all_reduce(1)" } do
        local out, code = run(n, call .. " if mpi.rank == 1 then os.exit(0) end " .. call .. ' print "survived"')
        assert.not_equal(0, code)
        assert.not_equal(124, code) -- nothing hung
        assert(out:find(sentence) and not out:find "survived", out)
      end
    end
    local out, code = run(2, demo .. "trainer.on_step = function(step) if mpi.rank == 1 and step == 3 then os.exit(0) "
      .. "end end trainer:run()", folder, "left")
    assert.not_equal(0, code)
    assert.not_equal(124, code)
    assert(out:find("backward: " .. sentence), out)
  end)

  test("after others waits for none", function()
    succeed(3, "mpi.barrier() if mpi.rank == 1 then os.execute 'sleep 0.5' end")
  end)

  test("by SIGTERM stops all after one step, and saves it", function()
    local out = succeed(2, demo .. [[
trainer.on_step = function(step) if mpi.rank == 1 and step == 3 then os.execute "kill -TERM $PPID" end end
print(select(2, trainer:run()))]], folder, "ended")
    local steps = {}
    for step in out:gmatch "interrupted after step (%d+); " do steps[#steps + 1] = tonumber(step) end
    assert.same({ 4, 4 }, steps)
    succeed(1, demo .. "local s = assert(trainer:run()) assert(s.resumed == 4)", folder, "ended")
    assert.is_true(child.read(at "run1") == child.read(at "ended"), "checkpoints differ")
  end)

  test("by a full disk takes all with it", function()
    local out, code = run(2, demo .. [[
trainer.save_every = 2
local keep = d.checkpoint { path = "/dev/full", model = model, opt = opt }
trainer.on_step = function() assert(keep:save()) end
trainer:run() print "survived"]], folder, "full")
    assert.not_equal(0, code)
    assert.not_equal(124, code)
    assert(out:find "/dev/full" and out:find "rank 0 of 2 %(host ", out)
  end)
end)

describe("diffusion.mpi", function()
  test("broadcasts, sums and gathers", function()
    for _, n in ipairs { 1, 2, 3 } do
      local out = succeed(n, [[
local n, r = mpi.size, mpi.rank
local total = n * (n + 1) // 2
assert(mpi.all_reduce(r + 1) == total)
local long = d.full({ 9001 }, r + 1)
assert(mpi.all_reduce(long):eq(total):all() and long:eq(r + 1):all())
assert(mpi.all_reduce(d.full({ 2 }, r + 1):to "i64"):dtype() == "i64")
local all = mpi.gather(d.full({ r + 1, 2 }, r))
assert(all:size(1) == total and all:size(2) == 2 and all:sum():item() == 2 * (n * (n + 1) * (2 * n + 1) // 6 - total))
local x = d.full({ 3, 2 }, r):t()
assert(mpi.broadcast(x, n - 1) == x and x:eq(n - 1):all())
d.manual_seed(r)
local model = d.mlp { hidden = 8, depth = 1 }
mpi.broadcast(model)
local first = mpi.gather(model:state()["out.weight"] or select(2, next(model:state())))
mpi.broadcast { a = d.ones(2), b = { d.ones(3) } }
mpi.barrier()
assert(d.mpi == mpi and tostring(mpi):find(("rank %d of %d"):format(r, n)))
print "fine"]])
      assert.equal(n, select(2, out:gsub("fine", "")))
    end
  end)

  -- Each case fails on all ranks, so all of them can be in one run.
  test("says what is wrong", function()
    local out = succeed(2, [[
local function wrong(part, fn, ...)
  local fine, message = pcall(fn, ...)
  assert(not fine and message:find(part, 1, true), tostring(message) .. " | " .. part)
end
local set, model = d.data.toy.moons(90), d.mlp { dim = 2, hidden = 8, depth = 1 }
wrong("2 ranks don't divide pieces = 1", set.batches, set, { size = 8, over = mpi, pieces = 1 })
wrong("a power of 2, got 6", set.batches, set, { size = 12, over = mpi, pieces = 6 })
wrong("size = 12 can't be cut into pieces = 8 of equal size; the next that can is 16", set.batches, set,
  { size = 12, over = mpi })
wrong("give over = mpi too", set.batches, set, { size = 12, pieces = 4 })
wrong("option 'over'", d.adamw, model, { over = {} })
wrong("option 'bucket': number in (0, 4096] expected, got 1e+20", d.adamw, model, { over = mpi, bucket = 1e20 })
for _, x0 in set:batches { size = 8, steps = 1, over = mpi } do
  wrong("no optimiser sums gradients", d.record, function() return d.mse(model(x0, 1), x0) end)
end
wrong("x is f32 [2] on rank 0, but f32 [3] on rank 1", mpi.all_reduce, d.ones(2 + mpi.rank))
wrong("sums are of f32, f64 and i64, got u8", mpi.all_reduce, d.ones(2):to "u8")
wrong("a rank in 0..1", mpi.broadcast, d.ones(2), 2)
local function different(what, ...) wrong(what .. " on rank 1; all ranks need the same", ...) end
different("shard is false on rank 0, but true", d.adamw, model, { over = mpi, shard = mpi.rank == 1 })
different("clip is nil on rank 0, but 1", d.adamw, model, { over = mpi, clip = mpi.rank == 1 and 1 or nil })
different("lr is function on rank 0, but 0.5", d.adamw, model, { over = mpi, lr = mpi.rank == 1 and 0.5 or math.abs })
different("n is 90 on rank 0, but 91", function(own) return own:batches { size = 8, over = mpi } end,
  d.data.toy.moons(90 + mpi.rank))
wrong("no batch is full: size = 96, but the epochs have 90 examples", set.batches, set, { size = 96, over = mpi })
wrong("option 'shard' is for gradients of ranks; give over = mpi too", d.adamw, model, { shard = true })
different("steps is 5 on rank 0, but 6", set.batches, set, { size = 8, steps = 5 + mpi.rank, over = mpi })
local process = d.process { schedule = d.schedule.cosine { T = 9 }, predict = "v" }
different("shape.1 is 3 on rank 0, but 4", d.sample, { model = model, process = process, shape = { 3 + mpi.rank, 2 },
  over = mpi })
different("x0 is a tensor [3,2] on rank 0, but a tensor [4,2]", d.likelihood.ode, model, process,
  d.ones(3 + mpi.rank, 2), { over = mpi })
different("x is a tensor [1,28,28,1] on rank 0, but a tensor [2,28,28,1]", d.metric.fashion_features,
  d.zeros(1 + mpi.rank, 28, 28, 1), { over = mpi })
wrong("norms = 'batch' takes means over the samples of a rank", d.sample, { model = model, process = process,
  shape = { 3, 2 }, sampler = { "predictor_corrector", norms = "batch" }, over = mpi })
wrong("different parameters", d.adamw, d.mlp { hidden = 8 + 2 * mpi.rank, depth = 1 }, { over = mpi })
wrong("did you mean 'gather'", function() return mpi.gathre end)
wrong("a number or a tensor expected", mpi.gather, "x")
d.precision(mpi.rank == 0 and "high" or "highest")
wrong("rank 0 computes with", d.adamw, model, { over = mpi })
print "fine"]])
    assert.equal(2, select(2, out:gsub("fine", "")))
  end)

  test("can't cut a batch for 3 ranks, and says how many can", function()
    succeed(3, [[
local fine, message = pcall(d.data.toy.moons(90).batches, d.data.toy.moons(90), { size = 24, over = mpi })
assert(not fine and message:find("3 ranks can't share pieces, whose number is a power of 2; start 1, 2, 4", 1, true),
  message)]])
  end)

  test("refuses ranks of different instruction sets, and names both", function()
    child.write(at "script.lua", [[
local d, mpi = require "diffusion", require "diffusion.mpi"
local fine, message = pcall(d.adamw, d.mlp { dim = 2, hidden = 8, depth = 1 }, { over = mpi })
print(fine, message, require "diffusion.core".isa())]])
    local out = ranks.run(2, at "script.lua", {}, ranks.only(1, "DIFFUSION_ISA=scalar"))
    local own = out:match "rank 0 computes with kernels (%S+),"
    if own == nil and select(2, out:gsub("true", "")) == 2 then return end -- a machine without vectors
    assert.equal(2, select(2, out:gsub("false", "")), out)
    assert.not_equal("scalar", own)
    assert(out:find("but rank 1 with kernels scalar, ", 1, true) and out:find("set DIFFUSION_ISA to one", 1, true), out)
  end)

  it("has a sentence where it wasn't built", function()
    child.write(at "absent.lua", [[
package.cpath = "./?.none"
local d = require "diffusion"
local fine, message = pcall(function() return d.mpi end)
assert(not fine and message:find 'd.help "mpi" says how to get it', message)]])
    local path = package.cpath
    child.write(at "absent.lua", child.read(at "absent.lua"):gsub("%./%?%.none", function() return path end)
      :gsub("local d", 'package.searchers[3] = function(name) if name == "diffusion.mpi" then return "" end '
        .. 'local p = package.searchpath(name, package.cpath) if p then return package.loadlib(p, '
        .. '"luaopen_" .. name:gsub("%%.", "_")) end end\nlocal d', 1))
    local text, code = child.run(at "absent.lua")
    assert(code == 0, text)
  end)
end)

-- A rank with several pieces runs an objective once for all of them, with the bits of the pieces one by one.
local child = dofile "spec/support/child.lua"
local ranks = dofile "spec/support/ranks.lua"

local absence, folder, digests = ranks.absence(), nil, {}
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

local function test(name, fn)
  if absence then pending(name .. " (" .. absence .. ")") else it(name, fn) end
end

-- compare(model, options, x, class, pieces) trains a step in both ways, and fails if a bit differs. It returns how many
-- times the objective ran for all pieces at once.
local script = [[
local d = require "diffusion"
local core, together = require "diffusion.core", require "diffusion.over.together"
local times, record = 0, together.record
function together.record(...)
  times = times + 1
  return record(...)
end

local function step(model, run, x, class, pieces)
  d.manual_seed(7)
  local opt = d.adamw(model, { lr = 0, over = d.mpi })
  local set = d.data.set { x = x, class = class }
  local batches = set:batches { size = x:size(1), steps = 1, over = d.mpi, pieces = pieces }
  local out = {}
  for _, x0, class in batches do
    local loss, seen = d.record(run, model, x0, { class = class })
    loss:backward()
    for name, p in model:parameters() do out[name] = p.grad:clone() end
    out.loss, out.state = loss:clone(), d.tensor(core.random_state())
    for name, x in pairs(seen) do out["seen " .. name] = x:clone() end
    opt:step()
  end
  return out
end

local function compare(model, options, x, class, pieces)
  options.process = options.process or d.process { schedule = d.schedule.cosine {}, predict = "v" }
  local objective = d.objective(options)
  for _, p in model:parameters() do p:copy_(p:detach() + d.randn(p:shape(), { seed = 3 }) * 0.05) end
  times = 0
  local one = step(model, objective, x, class, pieces)
  local tried = times
  local other = step(model, function(...) return objective(...) end, x, class, pieces)
  for name, x in pairs(other) do assert(x:equal(one[name]), name) end
  assert(times == tried)
  return tried
end

local image, class = { 16, 16, 3 }, d.randint(1, 5, { 16 }, { seed = 2 })
local x = d.rand({ 16, 16, 16, 3 }, { seed = 1 }) * 2 - 1
local function unet(o)
  return d.unet { image = image, channels = 16, mult = { 1, 2 }, blocks = 1, attention = { 2 }, classes = 5,
                  dropout = 0.1, recompute = o and o.recompute }
end
]]

local function succeed(text)
  child.write(folder .. "/script.lua", script .. text)
  local out, code = ranks.run(1, folder .. "/script.lua", { folder })
  assert(code == 0, out)
end

describe("pieces together", function()
  test("have the bits of the pieces one by one", function()
    succeed [[
for _, precision in ipairs { "high", "medium" } do
  d.precision(precision)
  for _, pieces in ipairs { 2, 8, 16 } do
    assert(compare(unet(), { drop_class = 0.2, weighting = "min_snr" }, x, class, pieces) == 1)
  end
end
local dit = d.dit { image = image, patch = 4, width = 32, depth = 1, heads = 2, classes = 5 }
assert(compare(dit, { error = "huber", times = "logit_normal", weighting = "uniform" }, x, class, 4) == 1)
local mlp = d.mlp { dim = 2, hidden = 32, depth = 1, outputs = 2 }
local learned = d.process { schedule = d.schedule.cosine {}, variance = "learned" }
assert(compare(mlp, { process = learned }, d.randn({ 64, 2 }, { seed = 5 }), nil, 8) == 1)
local edm = d.process { schedule = d.schedule.edm {}, predict = "x0" }
local raw = d.mlp { dim = 2, hidden = 32, depth = 1 }
local o = { process = edm, precondition = "edm", weighting = "edm", times = "log_normal", offset_noise = 0.1 }
assert(compare(raw, o, d.randn({ 64, 2 }, { seed = 5 }), nil, 8) == 1)]]
  end)

  test("are left where a sample depends on others, or the function on their number", function()
    succeed [[
local points = d.randn({ 64, 2 }, { seed = 5 })
local function mlp(o) return d.mlp { dim = 2, hidden = 16, depth = 1, self_condition = o } end
assert(compare(mlp(), { times = "stratified" }, points, nil, 4) == 0)
assert(compare(mlp(), { times = "importance" }, points, nil, 4) == 0)
assert(compare(mlp(), { times = function(B) return d.full({ B }, B):to "i64" end }, points, nil, 4) == 0)
assert(compare(mlp(), { weighting = function(snr) return snr / snr:sum() end }, points, nil, 4) == 0)
assert(compare(mlp(true), { self_condition = 0.5 }, points, nil, 4) == 0)
local Own = d.nn.module("own", function(m)
  m.inner = d.nn.linear(2, 2)
  function m:forward(x0) return self.inner(x0 - x0:mean(1, true)) end
end)
local own = d.nn.model(Own())
assert(compare(own, {}, points, nil, 4) == 0)]]
  end)

  test("are given up once if the core can't tell them apart", function()
    succeed [[
local model = unet { recompute = true }
assert(compare(model, {}, x, class, 4) == 1)
assert(compare(model, {}, x, class, 4) == 0)]]
  end)

  test("are not those of tensors from outside of the batch", function()
    for _, n in ipairs { 1, 2 } do
      child.write(folder .. "/script.lua", script .. [[
local mlp, fixed, last = d.mlp { dim = 2, hidden = 16, depth = 1 }, d.randn({ 16, 2 }, { seed = 9 }), nil
local opt = d.adamw(mlp, { lr = 1e-2, over = d.mpi })
local objective = d.objective { process = d.process { schedule = d.schedule.cosine {}, predict = "v" } }
for step, x0 in d.data.set { x = d.randn({ 64, 2 }, { seed = 5 }) }:batches { size = 16, steps = 4, seed = 1,
                                                                             over = d.mpi, pieces = 4 } do
  d.record(objective, mlp, fixed):backward() -- each piece has all of it
  assert(times == 0)
  if last then
    d.record(objective, mlp, last):backward() -- cut, as it was in its step
    d.record(function(...) return objective(...) end, mlp, last):backward()
    assert(times == 1)
  end
  last, times = x0, 0
  opt:step()
end
local sum = 0
for _, p in mlp:parameters() do sum = sum + (p * p):sum():item() end
if d.mpi.rank == 0 then print(("digest %.17g"):format(sum)) end]])
      local out, code = ranks.run(n, folder .. "/script.lua")
      assert(code == 0, out)
      digests[n] = assert(out:match "digest (%S+)", out)
    end
    assert.equal(digests[1], digests[2])
  end)

  test("are those of a network that adds rows of a table to all samples only one by one, also from a file", function()
    succeed([[
local path = ... .. "/own.safetensors"
local own = d.network { inputs = { { "x", shape = { "B", 8, 4 } }, "t" }, build = function(net)
  return net:linear("out", net:positions("table", net.x, { rows = 8 }), { out = 4 })
end }
own:save(path)
local points = d.randn({ 16, 8, 4 }, { seed = 5 })
assert(compare(own, {}, points, nil, 4) == 0)
assert(compare(assert(d.load_model(path)), {}, points, nil, 4) == 0)]])
  end)

  test("go on after a loop that was left", function()
    succeed [[
local mlp = d.mlp { dim = 2, hidden = 16, depth = 1 }
local opt = d.adamw(mlp, { lr = 1e-2, over = d.mpi })
local objective = d.objective { process = d.process { schedule = d.schedule.cosine {}, predict = "v" } }
local set = d.data.set { x = d.randn({ 64, 2 }, { seed = 5 }) }
for _ = 1, 2 do
  times = 0
  for _, x0 in set:batches { size = 16, steps = 4, over = d.mpi, pieces = 4 } do
    d.record(objective, mlp, x0):backward()
    opt:step()
    assert(times == 1)
    break
  end
end]]
  end)

  test("are refused for a model whose gradients aren't summed over ranks", function()
    succeed [[
local one, other = d.mlp { dim = 2, hidden = 16, depth = 1 }, d.mlp { dim = 2, hidden = 16, depth = 1 }
local opt, alone = d.adamw(one, { over = d.mpi }), d.adamw(other, {})
local objective = d.objective { process = d.process { schedule = d.schedule.cosine {}, predict = "v" } }
for _, x0 in d.data.set { x = d.randn({ 64, 2 }) }:batches { size = 16, steps = 1, over = d.mpi, pieces = 4 } do
  for _, run in ipairs { objective, function(...) return objective(...) end } do
    local loss = d.record(run, other, x0)
    local fine, message = pcall(loss.backward, loss)
    assert(not fine and message:find "the gradient of '[%w.]+' isn't summed over them; make its optimiser by", message)
  end
end]]
  end)

  test("walk back once; a second pass is an error", function()
    succeed [[
local model = unet()
local opt = d.adamw(model, { over = d.mpi })
local objective = d.objective { process = d.process { schedule = d.schedule.cosine {}, predict = "v" } }
for _, x0 in d.data.set { x = x }:batches { size = 16, steps = 1, over = d.mpi } do
  local loss = d.record(objective, model, x0)
  loss:backward()
  local fine, message = pcall(loss.backward, loss)
  assert(not fine and (message:find "gone after one pass" or message:find "walked"), message)
end]]
  end)
end)

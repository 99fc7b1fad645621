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
local folder, name, steps = ...
local set = assert(d.data.fashion_mnist(folder))
d.manual_seed(tonumber(name:match "%d") or 0) -- first values are rank 0's; so is this
d.manual_seed(0)
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
end)

-- Times training steps in several ways by turns, on the ranks of mpirun or on one: ranks.lua reads what rank 0 prints.
--   mpirun -n 2 lua5.4 spec/bench/ranks_steps.lua NETWORK ROUNDS STEPS WAY...
-- The way `alone` is the plain loop on rank 0, while others sleep. `both` is the plain loop on each rank. Other ways
-- are options of set:batches and d.adamw with `over`, as in pieces=4,bucket=2. Pieces are those of a rank.
local d = require "diffusion"
local core = require "diffusion.core"
local mpi = require "diffusion.mpi"

local PLAIN <const> = { alone = true, both = true }

-- ==== the network, as in `make bench` =====================================================

local function workload(name)
  package.path = "spec/bench/?.lua;" .. package.path
  for _, w in ipairs(require "workloads") do
    if w.name == name .. ".train.high" and w.net == "unet" then return w end
  end
  error("no network is named " .. name)
end

local w = workload(arg[1])
d.manual_seed(0)
local model = d.unet { image = w.image, channels = w.channels, mult = w.mult, blocks = w.blocks,
                       attention = w.attention, classes = w.classes, dropout = w.dropout }
local ema = d.ema(model)
local objective = d.objective { process = d.process { schedule = d.schedule.cosine {}, predict = "v" } }
local n = w.batch * mpi.size
local set = d.data.set { x = d.rand({ n, table.unpack(w.image) }, { seed = 1 }) * 2 - 1,
                         class = w.classes > 0 and d.randint(1, w.classes, { n }, { seed = 2 }) or nil }

-- ==== one way =============================================================================

local function options(way)
  local o = {}
  for key, value in way:gmatch "(%w+)=([%d.]+)" do o[key] = math.tointeger(tonumber(value)) or tonumber(value) end
  return o
end

-- An optimiser, and so many batches.
local function loop(way, steps)
  local o, own = options(way), { lr = 1e-4, clip = 1, ema = ema }
  if PLAIN[way] then return d.adamw(model, own), set:batches { size = w.batch, steps = steps } end
  own.over, own.bucket, own.shard, own.reproducible = mpi, o.bucket, o.shard == 1 or nil, o.reproducible ~= 0
  return d.adamw(model, own), set:batches { size = n, steps = steps, over = mpi, pieces = o.pieces * mpi.size }
end

-- A function that takes a step, and after the last one ends the batches.
local function stepper(way, steps)
  local opt, batches = loop(way, steps)
  return function()
    local step, x0, class = batches()
    if not step then return end
    d.record(objective, model, x0, { class = class }):backward()
    opt:step()
  end
end

local function timed(steps, way, step, results)
  local together = way ~= "alone"
  for _ = 1, steps do
    if together then mpi.barrier() end
    local began = core.clock()
    d.scope(step)
    if together then mpi.barrier() end
    results[#results + 1] = core.clock() - began
  end
end

-- Seconds of a step.
local function print_profile(way, steps)
  for _, row in ipairs((core.profile_stop())) do
    if mpi.rank == 0 then
      print(("row %s %s %s %.6f"):format(way, row.name:gsub(" ", "_"), row.backward and "backward" or "forward",
        row.seconds / steps))
    end
  end
end

local function run(way, rounds, steps, results)
  collectgarbage() -- the last optimiser's moments
  local step = stepper(way, steps + 1)
  d.scope(step)
  local messages, bytes = mpi.sent()
  local profiled = rounds == 1 and way ~= "alone"
  if profiled then core.profile_start() end
  timed(steps, way, step, results)
  if profiled then print_profile(way, steps) end
  step()
  results.messages, results.bytes = mpi.sent()
  results.messages, results.bytes = (results.messages - messages) / steps, (results.bytes - bytes) / steps
end

-- Others sleep: a rank that waits for MPI spins.
local function alone(fn)
  local path = mpi.gather_text(mpi.rank == 0 and os.tmpname() or "")[1]
  if mpi.rank == 0 then
    fn()
    os.remove(path)
  end
  local file = io.open(path)
  while file do
    file:close()
    os.execute "sleep 0.01"
    file = io.open(path)
  end
  mpi.barrier()
end

-- ==== all of them =========================================================================

-- Returns the seconds of a message of so many reals from one rank to another.
local function message(reals, times)
  local x = d.zeros(reals)
  mpi.broadcast_memory(x, 0)
  mpi.barrier()
  local began = core.clock()
  for _ = 1, times do
    for from = 0, 1 do mpi.broadcast_memory(x, from) end
  end
  return (core.clock() - began) / times / 2
end

-- Seconds to add a byte.
local function adding()
  local x, y = d.zeros(2 ^ 18 | 0), d.zeros(2 ^ 18 | 0)
  local began = core.clock()
  for _ = 1, 20 do x:add_(y) end
  return (core.clock() - began) / 20 / 2 ^ 20
end

local function print_link()
  if mpi.size ~= 2 then return end
  local alpha, large = message(1, 200), message(2 ^ 20 | 0, 5)
  if mpi.rank == 0 then print(("link %.4g %.4g %.4g"):format(alpha, (large - alpha) / 2 ^ 22, adding())) end
end

local function median(list)
  table.sort(list)
  return (list[(#list + 1) // 2] + list[#list // 2 + 1]) / 2
end

local rounds, steps = math.tointeger(tonumber(arg[2])), math.tointeger(tonumber(arg[3]))
local all = {}
print_link()
for round = rounds, 1, -1 do
  for i = 4, #arg do
    local way = arg[i]
    all[way] = all[way] or {}
    local function go() run(way, round, steps, all[way]) end
    if way == "alone" then alone(go) else go() end
  end
end
for i = 4, #arg do
  local r = all[arg[i]]
  if mpi.rank == 0 then
    print(("way %s %.6f %.1f %.1f %d"):format(arg[i], median(r), r.messages, r.bytes, model:count()))
  end
end

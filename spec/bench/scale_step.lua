-- Times training steps on the ranks of mpirun, or without: scale.lua reads what rank 0 prints.
-- scale_step.lua NETWORK batch=N per rank pieces=N (0: the plain loop) steps=N rest=options of d.adamw
local d = require "diffusion"
local core = require "diffusion.core"

local networks = dofile "spec/bench/scale_networks.lua"
local o = { batch = 16, pieces = 0, steps = 3, reproducible = 1, bucket = 4, profile = 0, shard = 0 }
for i = 2, #arg do
  local key, value = arg[i]:match "(%w+)=([%d.]+)"
  o[key] = math.tointeger(tonumber(value)) or tonumber(value)
end
local w = networks[arg[1]]
local ranks = o.pieces > 0 and require "diffusion.mpi" or nil
local size = ranks and ranks.size or 1

d.manual_seed(0)
local model = d.unet { image = w.image, channels = w.channels, mult = w.mult, blocks = w.blocks,
                       attention = w.attention, classes = w.classes, dropout = w.dropout }
local more = ranks and { over = ranks, reproducible = o.reproducible == 1, bucket = o.bucket } or {}
more.lr, more.clip, more.ema = 1e-4, 1, d.ema(model)
if ranks and o.shard == 1 then more.shard = true end
local opt = d.adamw(model, more)
local objective = d.objective { process = d.process { schedule = d.schedule.cosine {}, predict = "v" } }

local n = o.batch * size
local pictures = { n, table.unpack(w.image) }
local set = d.data.set { x = d.rand(pictures, { seed = 1 }) * 2 - 1,
                         class = w.classes > 0 and d.randint(1, w.classes, { n }, { seed = 2 }) or nil }
local batches = set:batches { size = n, steps = 1000, over = ranks, pieces = ranks and o.pieces * size or nil }

local function step()
  local _, x0, class = batches()
  d.record(objective, model, x0, { class = class }):backward()
  opt:step()
end

d.scope(step)
local times, cpu = {}, os.clock()
for i = 1, o.steps do
  if ranks then ranks.barrier() end
  local began = core.clock()
  d.scope(step)
  if ranks then ranks.barrier() end
  times[i] = core.clock() - began
end
cpu = (os.clock() - cpu) / o.steps
table.sort(times)
local function rows_of_profile()
  core.profile_start()
  d.scope(step)
  for _, row in ipairs((core.profile_stop())) do print(("row %s %s %.6f"):format(row.name:gsub(" ", "_"),
    row.backward and "backward" or "forward", row.seconds)) end
end
if o.profile == 1 and (not ranks or ranks.rank == 0) then rows_of_profile() elseif o.profile == 1 then d.scope(step) end
if not ranks or ranks.rank == 0 then
  local messages, bytes = 0, 0
  if ranks then messages, bytes = ranks.sent() end
  local steps = o.steps + 1 + (o.profile == 1 and 1 or 0)
  local middle = times[(#times + 1) // 2]
  print(("seconds %.6f least %.6f cpu %.6f parameters %d messages %g bytes %g"):format(middle, times[1], cpu,
    model:count(), messages / steps, bytes / steps))
end

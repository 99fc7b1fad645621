-- Lesson 15: one training on many processes, with the same bits on any number of them.
-- Run: mpirun -n 2 lua5.4 examples/15_many_ranks.lua [folder] [steps]     or without mpirun, on one.
-- Ranks that share a machine should have one thread each: DIFFUSION_THREADS=1. Run it on 1, 2 and 4
-- ranks, and compare the last line. Writes into ranks/ or the folder.
local d = require "diffusion"
local mpi = d.mpi

local folder, steps = arg[1] or "ranks", math.tointeger(tonumber(arg[2] or 400))
local first = mpi.rank == 0 -- one rank writes and prints; all of them compute
if first then os.execute("mkdir -p '" .. folder .. "'") end
mpi.barrier()
local function at(name) return folder .. "/" .. name end
local function say(...) if first then print(...) end end

-- 1. The same network everywhere. All ranks begin with the values of rank 0.
local set = d.data.digits()
local process = d.process { schedule = d.schedule.cosine { T = 1000 }, predict = "v", clip = 1 }
local model = d.unet { image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, blocks = 1, attention = { 2 },
                       classes = set.classes }
local ema = d.ema(model, { decay = 0.99 })
local loss_of = d.objective { process = process, drop_class = 0.1 }

-- 2. `over = mpi` in two places is all that a loop needs. A batch has 64 digits, and each rank gets
-- its part. Gradients are summed while the backward pass goes on.
local opt = d.adamw(model, { lr = 2e-3, clip = 1, ema = ema, over = mpi })
local batches = set:batches { size = 64, steps = steps, seed = 3, over = mpi }
say(mpi)
say(("%d parameters; ranks: %d, pieces on each: %d, digits in a piece: %d"):format(model:count(), mpi.size,
  batches.pieces // mpi.size, batches.size // batches.pieces))

-- 3. Rank 0 writes checkpoints. The same command goes on from the last one, also on other ranks.
local keep = d.checkpoint { path = at "checkpoint.safetensors", model = model, ema = ema, opt = opt, batches = batches }
if assert(keep:load() ~= nil) and batches.step > 0 then say("goes on after step " .. batches.step) end

for step, x0, class in batches do
  local loss = d.record(loss_of, model, x0, { class = class })
  loss:backward()
  opt:step()
  -- `loss` is of this rank's digits, opt.loss of all
  if step % 100 == 0 then
    say(("step %4d   loss %.4f, of rank 0 %.4f"):format(step, opt.loss, loss:item()))
    assert(keep:save())
  end
end

-- 4. Each rank draws a part of the samples. Sample k is the same wherever it is drawn.
local ten = d.arange(1, 10)
local x = d.sample { model = ema, process = process, shape = { 40, 8, 8, 1 }, class = d.cat({ ten, ten, ten, ten }, 1),
                     sampler = "dpmpp_2m", steps = 20, guidance = 2, seed = 7, over = mpi }
if first then
  assert(model:save(at "model.safetensors", { weights = ema, process = process }))
  d.image.save(at "samples.png", d.image.grid(x, { columns = 10, scale = 4 }))
end

-- 5. A digest: equal on any number of ranks.
local sum = 0
for _, p in model:parameters() do sum = sum + (p:detach() * p:detach()):sum():item() end
say(("digest %.17g of the parameters, %.17g of the samples; see %s"):format(sum, x:sum():item(), at "samples.png"))

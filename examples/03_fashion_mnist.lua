-- Lesson 3, the demo: train a class-conditional UNet on Fashion-MNIST, then draw new clothes
-- from it. It takes a minute or two on two cores. `make demo` runs it. Ctrl-C writes a
-- checkpoint, and the same command resumes from it.
-- Run: lua5.4 examples/03_fashion_mnist.lua [folder] [steps]     Writes into demo/ or the folder.
local d = require "diffusion"

local folder = arg[1] or "demo"
os.execute("mkdir -p '" .. folder .. "'")
local function at(name) return folder .. "/" .. name end

-- 1. Data: images in [-1, 1], classes 1..10.
local train, missing = d.data.fashion_mnist()
if not train then
  print(missing)
  print "Using the 8x8 digits that come with the library instead."
  train = d.data.digits()
end
local H, W = train.x:size(2), train.x:size(3)
print(train)

-- 2. The process: 1000 steps of noise. The network predicts v (Salimans & Ho 2022).
local process = d.process { schedule = d.schedule.cosine { T = 1000 }, predict = "v", clip = 1 }

-- 3. The network, its average and its optimiser. Batches are small, so that one epoch makes
-- more steps. With four times the steps the clothes get finer.
d.manual_seed(0)
local size = H >= 28 and { channels = 16, mult = { 1, 2, 2 }, attention = { 4 }, steps = 1000, flip = true }
  or { channels = 32, mult = { 1, 2 }, attention = { 2 }, steps = 3000, flip = false }
local model = d.unet { image = { H, W, 1 }, channels = size.channels, mult = size.mult, blocks = 1,
                       attention = size.attention, classes = train.classes }
local steps = assert(math.tointeger(tonumber(arg[2] or size.steps)), "steps must be an integer")
local batches = train:batches { size = 32, steps = steps, flip = size.flip, seed = 3 }
local ema = d.ema(model, { decay = 0.995 })
local opt = d.adamw(model, {
  lr = d.lr.warmup_cosine { peak = 3e-3, warmup = math.min(100, steps // 10), total = steps },
  clip = 1, ema = ema,
})
print(("%d parameters, %d steps of %d images: %.1f epochs"):format(model:count(), batches.steps,
  batches.size, batches.steps * batches.size / train.n))

-- 4. Training. A tenth of the classes is dropped, since guidance also needs predictions
-- without a class.
local trainer = d.trainer {
  model = model, opt = opt, ema = ema, batches = batches,
  objective = d.objective { process = process, weighting = "min_snr", drop_class = 0.1 },
  checkpoint = at "checkpoint.safetensors", log = at "loss.csv",
}
local report, stopped = trainer:run()
if not report then
  print(stopped)
  os.exit(130, true)
end
assert(model:save(at "model.safetensors", { weights = ema, process = process }))

-- 5. Ten noised images, and samples at some steps of the reverse process.
local x0 = d.image.to_float(train.x:narrow(1, 1, 10))
local row = {}
for i, t in ipairs { 1, 50, 150, 300, 450, 600, 750, 900, 1000 } do
  row[i] = process:q_sample(x0, t, { seed = 1 })
end
d.image.save(at "forward.png", d.image.grid(d.cat(row, 1), { columns = 10 }))

local kinds = math.min(10, train.classes)
local frames, wanted = {}, { [1] = true, [4] = true, [8] = true, [11] = true, [14] = true, [17] = true }
local reverse = d.sampler.steps { model = ema, process = process, shape = { kinds, H, W, 1 },
  sampler = "dpmpp_2m", steps = 20, class = d.arange(1, kinds), guidance = 2, seed = 5 }
for step in reverse do
  if wanted[step.i] then frames[#frames + 1] = step.xt end
end
frames[#frames + 1] = reverse.x
d.image.save(at "reverse.png", d.image.grid(d.cat(frames, 1), { columns = kinds }))

-- 6. Ten samples of each class, one class per row.
local x = d.sample {
  model = ema, process = process, shape = { 10 * kinds, H, W, 1 }, sampler = "dpmpp_2m",
  steps = 20, class = d.arange(1, kinds):repeat_each(10), guidance = 2, seed = 7,
}
d.image.save(at "samples.png", d.image.grid(x, { columns = 10 }))

-- 7. Has the model memorised its data? The first sample of each row stands above its nearest
-- training image.
local function nearest(samples)
  local n, best, which = samples:size(1), nil, nil
  local flat = samples:reshape(n, H * W)
  for from = 1, train.n, 6000 do
    local count = math.min(6000, train.n - from + 1)
    local known = d.image.to_float(train.x:narrow(1, from, count)):reshape(count, H * W)
    local gap = (known * known):sum(2):unsqueeze(1) - 2 * flat:matmul(known:t())
    local least, index = gap:min(2)
    index = index + (from - 1)
    which = best and d.where(least:lt(best), index, which) or index
    best = best and least:minimum(best) or least
  end
  return d.image.to_float(train.x:index(1, which))
end
local firsts = x:reshape(kinds, 10, H, W, 1):select(2, 1):contiguous()
d.image.save(at "neighbours.png",
  d.image.grid(d.cat({ firsts, nearest(firsts) }, 1), { columns = kinds }))

print(("%d images per second, loss %.4f, peak memory %.0f MiB; see %s"):format(
  report.rate and report.rate // 1 or 0, report.loss or 0, d.memory().peak / 2 ^ 20, at "samples.png"))
d.image.show(x:narrow(1, 1, 10), { columns = 10 })

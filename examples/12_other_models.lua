-- Lesson 12: a model of diffusers is opened, sampled, fine-tuned and saved back. Low-rank adapters learn
-- new digits. The weights of the model stay mapped from its file, and are not changed.
-- Run: lua5.4 examples/12_other_models.lua [FOLDER]     FOLDER is one of diffusers, or a name in the cache of
-- huggingface_hub, without classes. Without it, a small model is trained first and saved as lesson12/ddpm.
-- Writes adapted.png and the folders lesson12/lora and lesson12/adapted.
local d = require "diffusion"

d.manual_seed(1)
local folder, digits = arg[1] or "lesson12/ddpm", d.data.digits()
os.execute "mkdir -p lesson12/lora"

-- The images of digits `from` to `to`, as a set without classes.
local function some(from, to)
  local places = {}
  for i, class in ipairs(digits.class:totable()) do
    if class > from and class <= to + 1 then places[#places + 1] = i end
  end
  return digits.x:index(1, d.tensor(places, { dtype = "i64" }))
end

-- A network that knows the digits 0 to 4. groups = 4 makes it a UNet2DModel, whose norms all have one
-- number of groups.
if not arg[1] then
  local net = d.unet { image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, blocks = 1, groups = 4 }
  local process = d.process { schedule = d.schedule.linear {}, predict = "eps", clip = 1 }
  local ema = d.ema(net, { decay = 0.99 })
  local lr = d.lr.warmup_cosine { peak = 3e-3, warmup = 50, total = 500 }
  d.trainer { model = net, opt = d.adamw(net, { lr = lr, clip = 1, ema = ema }), quiet = true,
              objective = d.objective { process = process },
              batches = d.data.set { x = some(0, 4) }:batches { size = 64, steps = 500, seed = 1 } }:run()
  assert(d.hub.save(folder, { unet = ema, process = process }))
end

-- 1. Open and sample. The pipe has the network, the process of the scheduler's config, and its sampler.
local pipe = assert(d.hub.load(folder))
print(pipe)
local function draw(from) return from { n = 10, scheduler = "DPMSolverMultistepScheduler", steps = 20, seed = 1 } end
local rows = { draw(pipe) }

-- Digits as this model's images: as large, and with as many channels.
local H, C = rows[1]:size(2), rows[1]:size(4)
local times = math.max(1, H // 8)
local function fitted(x)
  x = d.image.to_float(x):upsample(times)
  local before, after = (H - 8 * times) // 2, (H - 8 * times + 1) // 2
  return x:pad({ { 0, 0 }, { before, after }, { before, after }, { 0, 0 } }, -1):expand(x:size(1), H, H, C):contiguous()
end
local new = fitted(arg[1] and digits.x or some(5, 9))

-- 2. Fine-tune. The process is the one that the model was trained for.
local lora = d.nn.lora(pipe.unet, { rank = 4, on = { "conv", "to_[qkv]$" } })
print(("the adapters train %d parameters; the model's own %d stay as they are"):format(lora:count(),
  (pipe.unet:count())))
local ema = d.ema(lora, { decay = 0.98 })
local opt = d.adamw(lora, { lr = 3e-3, clip = 1, ema = ema })
local objective = d.objective { process = pipe.process }
for step, x0 in d.data.set { x = new }:batches { size = 32, steps = 300, seed = 2 } do
  local loss = d.record(objective, lora, pipe:encode(x0))
  loss:backward()
  opt:step()
  if step % 100 == 0 then print(("step %4d   loss %.4f"):format(step, loss:item())) end
end
lora:load_state(ema:state())

-- 3. Sample with all, half and none of the adapters.
for _, scale in ipairs { 1, 0.5, 0 } do
  lora.scale = scale
  rows[#rows + 1] = draw(pipe)
end
print(("without adapters the images are the same to the bit: %s"):format(rows[1]:equal(rows[4])))
d.image.save("adapted.png", d.image.grid(d.cat(rows, 1):upsample(math.max(1, 64 // H)), { columns = 10 }))

-- 4. Save: the adapters alone, under the names of diffusers; and a whole model with the adapters merged.
lora.scale = 1
assert(lora:save "lesson12/lora")
lora:merge()
assert(d.hub.save("lesson12/adapted", pipe))
local again = draw(assert(d.hub.load "lesson12/adapted"))
print(("the saved model draws the same images, to %.1g"):format((again - rows[2]):abs():max():item()))

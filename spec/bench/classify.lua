-- Does the demo's model draw what it is asked for? The network of d.metric looks at 1,000 samples,
-- 100 of each class, and says how far they are from the test images.
-- Run after `make demo`: lua5.4 spec/bench/classify.lua [demo folder] [samples]
local d = require "diffusion"

local folder, total = arg[1] or "demo", math.tointeger(tonumber(arg[2] or 1000))
local model, process = assert(d.load_model(folder .. "/model.safetensors"))
local test = assert(d.data.fashion_mnist(nil, { split = "test" }))

local each = total // 10
local wanted = d.arange(1, 10):repeat_each(each)
local x = d.sample { model = model, process = process, shape = { 10 * each, 28, 28, 1 },
  sampler = "dpmpp_2m", steps = 20, class = wanted, guidance = 2, seed = 11 }

print("real test images that are right", d.metric.fashion_accuracy(d.image.to_float(test.x), test.class,
  { interval = true }))
print("samples that are what was asked for", d.metric.fashion_accuracy(x, wanted, { interval = true }))
for c = 1, 10 do
  local some = x:narrow(1, (c - 1) * each + 1, each)
  print(("  %-12s %.0f %%"):format(test.names[c], 100 * d.metric.fashion_accuracy(some, c)))
end
print("distance of the samples", d.metric.fashion_frechet(x, { interval = true }))

-- Compares samples of the demo's model from each sampler with equal numbers of
-- evaluations. It measures the distance of 2,000 images, 200 of each class, from the test
-- images. It also reports the share that is classified correctly, and the bits per
-- dimension.
-- Run after `make demo`: lua5.4 spec/bench/quality.lua [demo folder] [samples]
-- [guidance]
local d = require "diffusion"

local folder, samples, guidance = arg[1] or "demo", tonumber(arg[2] or 2000), tonumber(arg[3] or 1)
local model, trained = assert(d.load_model(folder .. "/model.safetensors"))
local batch = 50 -- its tensors fit in the cache
local each = d.arange(1, 10):repeat_each(batch // 10)

local function with(variance)
  return d.process { schedule = trained.schedule, predict = trained.predict, clip = trained.clip, variance = variance }
end

local rows = {
  { "ddpm, fixed_small", "ddpm", with "fixed_small" }, { "ddpm, fixed_large", "ddpm", with "fixed_large" },
  { "ddim", "ddim", trained }, { "heun", "heun", trained }, { "dpmpp_2m", "dpmpp_2m", trained },
  { "unipc", "unipc", trained },
}

-- Steps of n evaluations or one less: heun's last looks once, its others twice.
local function steps_of(sampler, n) return sampler == "heun" and (n + 1) // 2 or n end

local function quality(sampler, process, n)
  local xs, classes = {}, {}
  for k = 1, samples // batch do
    classes[k] = each
    xs[k] = d.sample { model = model, process = process, shape = { batch, 28, 28, 1 }, sampler = sampler,
      steps = steps_of(sampler, n), class = each, guidance = guidance, seed = k }
  end
  local x = d.cat(xs, 1)
  return d.metric.fashion_frechet(x), d.metric.fashion_accuracy(x, d.cat(classes, 1))
end

-- Bounds by 100 strata of t, and the density of the ODE, of 200 test images.
local function bits()
  local test = assert(d.data.fashion_mnist(nil, { split = "test" }))
  local x0, class = d.image.to_float(test.x:narrow(1, 1, 200)), test.class:narrow(1, 1, 200)
  for _, variance in ipairs { "fixed_small", "fixed_large" } do
    print(("bits/dim, %s"):format(variance))
    print(d.likelihood.vlb(model, with(variance), x0, { t = 100, class = class, seed = 1 }))
  end
  print "bits/dim, ODE"
  print(d.likelihood.ode(model, trained, x0, { dequantise = true, class = class, seed = 1, rtol = 1e-3, atol = 1e-3 }))
end

bits()
print(("%-20s %11s %9s %11s"):format("sampler", "evaluations", "distance", "recognised"))
for _, n in ipairs { 10, 20, 50, 250 } do
  for _, row in ipairs(rows) do
    local name, sampler, process = table.unpack(row)
    local distance, share = quality(sampler, process, n)
    print(("%-20s %11d %9.2f %11.3f"):format(name, n, distance, share))
    io.stdout:flush()
  end
end

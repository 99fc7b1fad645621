-- Lesson 8: the Frechet distance. This trains a classifier of Fashion-MNIST. The 64 numbers before
-- its last layer are features, by which sets of images are compared.
-- Run: lua5.4 examples/08_features.lua [features.safetensors]     Writes that file and features.png.
-- d.metric.fashion_frechet uses a network that was made this way.
local d = require "diffusion"

local train = assert(d.data.fashion_mnist())
local test = assert(d.data.fashion_mnist { split = "test" })

d.manual_seed(1)
local network = d.metric.fashion_network { trained = false } -- four convolutions, two linear layers
local batches = train:batches { size = 128, epochs = 3, flip = true, seed = 1 }
local opt = d.adamw(network, { clip = 1, weight_decay = 0.01,
                               lr = d.lr.warmup_cosine { peak = 3e-3, warmup = 50, total = batches.steps } })
for step, x, class in batches do
  d.scope(function()
    local loss = d.record(function() return d.cross_entropy((network(x)), class) end)
    loss:backward()
    opt:step()
    if step % 200 == 0 then print(("step %4d of %d   loss %.3f"):format(step, batches.steps, loss:item())) end
  end)
end

-- Half precision suffices. From here on the network uses the weights as they are saved.
local tensors = {}
for name, p in network:parameters() do tensors[name] = p:to "f16" end
network:load_state(tensors)

-- Computes logits and features of all images, 500 at a time.
local function evaluated(x)
  local logits, features = {}, {}
  for first = 1, x:size(1), 500 do
    local part = x:narrow(1, first, math.min(500, x:size(1) - first + 1))
    logits[#logits + 1], features[#features + 1] = d.scope(d.no_grad, network, part)
  end
  return d.cat(logits, 1), d.cat(features, 1)
end

local images = d.image.to_float(test.x)
local logits, features = evaluated(images)
local right = logits:argmax(2):eq(test.class):to "i64":sum():item()
print(("%.2f %% of %d test images are classified correctly"):format(100 * right / test.n, test.n))

-- A distance from the test set needs only the mean and covariance of its features.
local gap = features - features:mean(1)
d.precision "highest"
tensors["test.mean"], tensors["test.cov"] = features:mean(1), gap:t():matmul(gap) / (test.n - 1)
d.precision "high"
assert(d.save(arg[1] or "fashion_features.safetensors", tensors))

-- Distances between sets of equal size. A small number of samples biases the distance upwards.
-- The bias is estimated from halves of the sets.
local half = test.n // 2
local function compare(what, x)
  local distance, about = d.metric.frechet((select(2, evaluated(x))), features:narrow(1, half + 1, half),
                                           { interval = true })
  print(("%-36s %8.3f   %8.3f   %8.3f to %.3f"):format(what, distance, about.extrapolated, about.low, about.high))
end
local first = images:narrow(1, 1, half)
local noise = d.randn(first:shape(), { seed = 2 })
print(("\n%d images, from as many others         distance   less bias   95 %% interval"):format(half))
compare("real ones", first)
compare("mirrored", first:flip(3))
for _, s in ipairs { 0.05, 0.1, 0.2, 0.4 } do compare("with noise of " .. s, (first + s * noise):clamp(-1, 1)) end
compare("halved and doubled in size", first:avg_pool(2):upsample(2))
compare("nothing but noise", noise:clamp(-1, 1))

-- One test image of each class, and the training images whose features are nearest.
local shown, others = {}, d.image.to_float(train.x:narrow(1, 1, math.min(train.n, 10000)))
local _, known = evaluated(others)
for class = 1, 10 do
  local place = test.class:eq(class):to "i64":argmax():item()
  local nearest = select(2, (-(known - features:narrow(1, place, 1)):square():sum(2)):topk(9))
  shown[#shown + 1] = images:narrow(1, place, 1)
  shown[#shown + 1] = others:index(1, nearest)
end
assert(d.image.save("features.png", d.image.grid(d.cat(shown, 1), { columns = 10 })))

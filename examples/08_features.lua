-- Lesson 8: what a Frechet distance sees. A classifier of Fashion-MNIST is trained; the 64 numbers
-- before its last layer are features, in which sets of images are compared.
-- Run: lua5.4 examples/08_features.lua [features.safetensors]     Writes that file and features.png.
-- The library's own network, of d.metric.fashion_frechet, is such a file.
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

-- Half the bytes suffice: what follows is of the weights as they are kept.
local tensors = {}
for name, p in network:parameters() do tensors[name] = p:to "f16" end
network:load_state(tensors)

-- Logits and features of all images, 500 at a time.
local function seen(x)
  local logits, features = {}, {}
  for first = 1, x:size(1), 500 do
    local part = x:narrow(1, first, math.min(500, x:size(1) - first + 1))
    logits[#logits + 1], features[#features + 1] = d.scope(d.no_grad, network, part)
  end
  return d.cat(logits, 1), d.cat(features, 1)
end

local images = d.image.to_float(test.x)
local logits, features = seen(images)
local right = logits:argmax(2):eq(test.class):to "i64":sum():item()
print(("of %d test images %.2f %% are recognised"):format(test.n, 100 * right / test.n))

-- The features' mean and covariance over the test set are all that a distance from it needs.
local gap = features - features:mean(1)
d.precision "highest"
tensors["test.mean"], tensors["test.cov"] = features:mean(1), gap:t():matmul(gap) / (test.n - 1)
d.precision "high"
assert(d.save(arg[1] or "fashion_features.safetensors", tensors))

-- Distances of equally many images: few samples alone make some of it, the bias, which halves
-- of the sets tell.
local half = test.n // 2
local function compare(what, x)
  local distance, about = d.metric.frechet((select(2, seen(x))), features:narrow(1, half + 1, half),
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

-- An image of each class and those nearest to it in features, of the training set.
local shown, others = {}, d.image.to_float(train.x:narrow(1, 1, math.min(train.n, 10000)))
local _, known = seen(others)
for class = 1, 10 do
  local place = test.class:eq(class):to "i64":argmax():item()
  local nearest = select(2, (-(known - features:narrow(1, place, 1)):square():sum(2)):topk(9))
  shown[#shown + 1] = images:narrow(1, place, 1)
  shown[#shown + 1] = others:index(1, nearest)
end
assert(d.image.save("features.png", d.image.grid(d.cat(shown, 1), { columns = 10 })))

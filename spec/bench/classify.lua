-- Does the demo's model draw what it is asked for? A classifier trained on the real images,
-- by this library, looks at 1,000 samples, 100 of each class.
-- Run after `make demo`: lua5.4 spec/bench/classify.lua [demo folder] [samples]
local d = require "diffusion"
local nn = d.nn

local folder, total = arg[1] or "demo", math.tointeger(tonumber(arg[2] or 1000))
local model, process = assert(d.load_model(folder .. "/model.safetensors"))
local train = assert(d.data.fashion_mnist())
local test = assert(d.data.fashion_mnist(nil, { split = "test" }))

local Net = nn.module("classifier", function(m)
  m.inp = nn.conv(1, 16, { kernel = 3 })
  m.one = nn.norm_conv(16, 32, { kernel = 3 })
  m.two = nn.norm_conv(32, 64, { kernel = 3 })
  m.three = nn.norm_conv(64, 64, { kernel = 3 })
  m.out = nn.linear(64 * 49, 10)
  function m:forward(x)
    local h = self.one(self.inp(x)):avg_pool(2)
    h = self.two(h):avg_pool(2)
    h = self.three(h) + h
    return self.out(h:silu():reshape(x:size(1), 64 * 49))
  end
end)

d.manual_seed(1)
local classifier = nn.model(Net())
local batches = train:batches { size = 128, epochs = 3, flip = true, seed = 1 }
local opt = d.adamw(classifier, { clip = 1, weight_decay = 0.01,
  lr = d.lr.warmup_cosine { peak = 3e-3, warmup = 50, total = batches.steps } })

for step, x, class in batches do
  d.scope(function()
    local loss = d.record(function() return d.cross_entropy(classifier(x), class) end)
    loss:backward()
    opt:step()
    if step % 200 == 0 then print(("step %d/%d  loss %.3f"):format(step, batches.steps, loss:item())) end
  end)
end

local function share_right(x, class)
  local right = 0
  for from = 1, x:size(1), 500 do
    local count = math.min(500, x:size(1) - from + 1)
    local guess = d.scope(function() return classifier(x:narrow(1, from, count)):argmax(2) end)
    right = right + guess:eq(class:narrow(1, from, count)):to("i64"):sum():item()
  end
  return right / x:size(1)
end

print(("real test images: %.1f %% right"):format(
  100 * share_right(d.image.to_float(test.x), test.class)))

local each = total // 10
local wanted = d.arange(1, 10):repeat_each(each)
local x = d.sample { model = model, process = process, shape = { 10 * each, 28, 28, 1 },
  sampler = "dpmpp_2m", steps = 20, class = wanted, guidance = 2, seed = 11 }
print(("samples: %.1f %% are what was asked for"):format(100 * share_right(x, wanted)))
for c = 1, 10 do
  print(("  %-12s %.0f %%"):format(train.names and train.names[c] or c, 100 * share_right(
    x:narrow(1, (c - 1) * each + 1, each), wanted:narrow(1, (c - 1) * each + 1, each))))
end

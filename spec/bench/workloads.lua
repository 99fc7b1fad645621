--- The measured workloads. A workload is {name, way, task, ...}, and both workers get its
-- fields. If it `asks` for a word, it runs only if ONLY has that word. `quick` ones belong
-- to BENCH=quick. `against` lists the changes of the other side, if that is our own build, and
-- `beside` those that it meets besides PyTorch.
local networks = {
  cifar = { net = "unet", image = { 32, 32, 3 }, channels = 128, mult = { 1, 2, 2, 2 }, blocks = 2,
            attention = { 2 }, classes = 0, dropout = 0.1, objective = "eps", batch = 16 },
  small = { net = "unet", image = { 32, 32, 3 }, channels = 64, mult = { 1, 2, 4 }, blocks = 2,
            attention = { 4 }, classes = 0, dropout = 0.1, objective = "eps", batch = 16 },
  grey = { net = "unet", image = { 28, 28, 1 }, channels = 64, mult = { 1, 2, 4 }, blocks = 2,
           attention = { 4 }, classes = 0, dropout = 0.1, objective = "eps", batch = 16 },
  demo = { net = "unet", image = { 28, 28, 1 }, channels = 16, mult = { 1, 2, 2 }, blocks = 1,
           attention = { 4 }, classes = 10, dropout = 0, objective = "min_snr", batch = 64 },
  mlp = { net = "mlp", image = { 2 }, hidden = 128, depth = 4, classes = 0, objective = "eps", batch = 256 },
}
local order = { "cifar", "small", "grey", "demo", "mlp" }

-- Peebles & Xie 2023, table 1: S and B, patches of 2 and 4 of latents for images of 256 x 256.
local dits = {}
for size, o in pairs { s = { width = 384, heads = 6 }, b = { width = 768, heads = 12 } } do
  for _, patch in ipairs { 2, 4 } do
    dits[size .. patch] = { net = "dit", image = { 32, 32, 4 }, patch = patch, width = o.width, heads = o.heads,
                            depth = 12, classes = 1000, objective = "eps", batch = 16 }
  end
end

local quick = {
  ["small.train.high"] = true, ["demo.train.high"] = true, ["mlp.train.high"] = true,
  ["small.sample1.high"] = true,
}

local list = {}

-- A workload: a network's description, or {}, and what more there is to it.
local function add(name, network, more)
  local w = { name = name, quick = quick[name] or false, way = "duel", precision = "high" }
  for key, value in pairs(network) do w[key] = value end
  for key, value in pairs(more) do w[key] = value end
  list[#list + 1] = w
end

local function add_precisions(name, network, more)
  for _, precision in ipairs { "high", "medium", "highest" } do
    more.precision, more.asks = precision, precision == "highest" and "highest" or nil
    add(name .. "." .. precision, network, more)
  end
end

-- ---- networks: training, sampling, memory ------------------------------------------------

for _, n in ipairs(order) do add_precisions(n .. ".train", networks[n], { task = "train" }) end
for _, n in ipairs(order) do
  for _, batch in ipairs { 16, 1 } do
    add_precisions(n .. ".sample" .. batch, networks[n], { task = "sample", batch = batch, beside = { "openvino" } })
  end
end
for _, n in ipairs(order) do add(n .. ".ddim50.high", networks[n], { task = "ddim", batch = 1, steps = 50 }) end
for _, n in ipairs(order) do
  add_precisions("memory." .. n .. ".train", networks[n], { way = "memory", task = "train" })
end
for _, n in ipairs(order) do
  add("threads." .. n .. ".train.high", networks[n], { task = "train", against = { threads = "1" } })
end
for _, n in ipairs { "demo", "small" } do
  local composed = { task = "train", net = "composed", against = { net = "unet" } }
  add("composed." .. n .. ".train.high", networks[n], composed)
  composed.way = "memory"
  add("memory.composed." .. n .. ".train.high", networks[n], composed)
end

for _, n in ipairs { "s2", "s4", "b2", "b4" } do
  add_precisions(("dit.%s.train"):format(n), dits[n], { task = "train" })
  for _, batch in ipairs { 16, 1 } do
    add_precisions(("dit.%s.sample%d"):format(n, batch), dits[n], { task = "sample", batch = batch })
  end
end

-- ---- single ops --------------------------------------------------------------------------

local function add_op(name, more)
  for _, way in ipairs { "forward", "both" } do
    more.task, more.direction = "op", way
    add(("op.%s.%s.high"):format(name, way), {}, more)
    more.asks = "medium"
    add(("op.%s.%s.medium"):format(name, way), { precision = "medium" }, more)
    more.asks = nil
  end
end

-- images, channels in and out, side, kernel: DDPM's, a Fashion-MNIST network's, Stable Diffusion's
for _, s in ipairs {
  { 16, 128, 128, 32, 3 }, { 16, 256, 128, 32, 3 }, { 16, 256, 256, 16, 3 }, { 16, 512, 256, 16, 3 },
  { 16, 256, 256, 8, 3 }, { 16, 256, 256, 4, 3 }, { 16, 512, 256, 8, 3 }, { 64, 256, 256, 16, 3 },
  { 16, 256, 256, 16, 1 }, { 16, 256, 128, 32, 1 }, { 64, 32, 32, 28, 3 }, { 64, 64, 64, 28, 3 },
  { 64, 64, 64, 14, 3 }, { 64, 128, 128, 14, 3 }, { 64, 128, 128, 7, 3 }, { 64, 256, 256, 7, 3 },
  { 1, 256, 256, 16, 3 }, { 1, 256, 256, 4, 3 }, { 1, 320, 320, 64, 3 }, { 1, 640, 640, 32, 3 },
  { 1, 1280, 1280, 16, 3 }, { 2, 1280, 1280, 8, 3 },
} do
  local n, c, k, h, r = table.unpack(s)
  add_op(("conv%d.%dx%dto%dat%d"):format(r, n, c, k, h), { op = "conv", n = n, c = c, k = k, h = h, r = r })
end
for _, s in ipairs { { 16, 128, 32 }, { 16, 256, 16 }, { 16, 256, 8 }, { 16, 64, 28 }, { 2, 320, 64 } } do
  add_op(("norm.%dx%dat%d"):format(table.unpack(s)), { op = "norm", n = s[1], c = s[2], h = s[3] })
end
for _, s in ipairs {
  { 16, 256, 1, 256 }, { 16, 256, 4, 64 }, { 1, 1024, 8, 80 }, { 1, 4096, 8, 40 }, { 1, 4096, 1, 320 },
} do
  local n, tokens, heads, width = table.unpack(s)
  add_op(("attention.%dx%dtokens%dheadsof%d"):format(n, tokens, heads, width),
    { op = "attention", n = n, tokens = tokens, keys = tokens, heads = heads, width = width })
end
for _, s in ipairs { { 4096, 8, 40 }, { 1024, 8, 80 } } do -- Stable Diffusion's, against a text's tokens
  local tokens, heads, width = table.unpack(s)
  add_op(("attention.%dx77tokens%dheadsof%d"):format(tokens, heads, width),
    { op = "attention", n = 1, tokens = tokens, keys = 77, heads = heads, width = width })
end

-- rows, inputs, outputs: DiT's, Stable Diffusion 1.5's and SDXL's, text encoders', and of few rows
for _, s in ipairs {
  { 1024, 384, 1536 }, { 1024, 1536, 384 }, { 4096, 1280, 320 }, { 4096, 320, 1280 }, { 4096, 320, 2560 },
  { 8192, 512, 512 }, { 1024, 640, 5120 }, { 1024, 2560, 640 }, { 256, 5120, 1280 }, { 512, 1280, 1280 },
  { 77, 1024, 4096 }, { 154, 768, 768 }, { 154, 768, 3072 }, { 64, 768, 2304 }, { 16, 384, 2304 },
  { 2, 1280, 1280 }, { 1, 768, 4608 },
} do
  local rows, c, k = table.unpack(s)
  add_op(("linear.%dx%dto%d"):format(rows, c, k), { op = "linear", rows = rows, c = c, k = k })
end

local function add_pass(name, network, more)
  more.task, more.pass = "pass", name:match "^%a+"
  add("op." .. name, network, more)
end

add_pass("adamw", networks.cifar, {})
for _, n in ipairs { 49152, 2 ^ 20, 2 ^ 24 } do add_pass(("randn.%d"):format(n), {}, { n = n // 1 | 0 }) end
add_pass("noising", {}, { n = 2 ^ 20 | 0, batch = 16 })
add_pass("gather", {}, { n = 60000, batch = 64 })

-- ---- start -------------------------------------------------------------------------------

add("start.require", {}, { way = "start", what = "require" })
add("start.sample", {}, { way = "start", what = "sample" })

-- ---- costs, and scripts ------------------------------------------------------------------

local base = { net = "unet", image = { 32, 32, 3 }, channels = 32, mult = { 1, 2, 4 }, blocks = 2, attention = { 4 },
               classes = 0, dropout = 0, objective = "eps", task = "sample", batch = 4, asks = "cost" }

for _, n in ipairs { 1, 2, 4, 8, 16, 32 } do add("cost.batch." .. n, base, { batch = n }) end
for _, n in ipairs { 16, 32, 48, 64 } do add("cost.side." .. n, base, { image = { n, n, 3 } }) end
for _, n in ipairs { 16, 32, 64, 96, 128 } do add("cost.channels." .. n, base, { channels = n }) end
for _, n in ipairs { 10, 20, 50 } do add("cost.steps." .. n, base, { task = "ddim", steps = n, batch = 1 }) end

for _, name in ipairs { "profile", "product", "curves", "samplers", "guidance", "pipeline", "sd_profile", "ranks" } do
  add(name, {}, { way = "script", asks = name })
end

for _, w in ipairs(require "workloads_sd") do list[#list + 1] = w end

return list

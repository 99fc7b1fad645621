--- What is measured. A workload is {name, task, ...}: its fields are what both workers are
-- told. One that `asks` for a word runs only where ONLY has it; `quick` ones are BENCH=quick.
local networks = {
  cifar = { net = "unet", image = { 32, 32, 3 }, channels = 128, mult = { 1, 2, 2, 2 }, blocks = 2,
            attention = { 2 }, classes = 0, dropout = 0.1, objective = "eps", train = 16 },
  small = { net = "unet", image = { 32, 32, 3 }, channels = 64, mult = { 1, 2, 4 }, blocks = 2,
            attention = { 4 }, classes = 0, dropout = 0.1, objective = "eps", train = 16 },
  grey = { net = "unet", image = { 28, 28, 1 }, channels = 64, mult = { 1, 2, 4 }, blocks = 2,
           attention = { 4 }, classes = 0, dropout = 0.1, objective = "eps", train = 16 },
  demo = { net = "unet", image = { 28, 28, 1 }, channels = 16, mult = { 1, 2, 2 }, blocks = 1,
           attention = { 4 }, classes = 10, dropout = 0, objective = "min_snr", train = 64 },
  mlp = { net = "mlp", image = { 2 }, hidden = 128, depth = 4, classes = 0, objective = "eps", train = 256 },
}
local order = { "cifar", "small", "grey", "demo", "mlp" }

local quick = {
  ["small.train.high"] = true, ["demo.train.high"] = true, ["mlp.train.high"] = true,
  ["small.sample16.high"] = true, ["small.sample1.high"] = true,
}

local list = {}

-- A workload of a network: its description and what is more to it.
local function add(name, network, more)
  local w = { name = name, quick = quick[name] }
  for key, value in pairs(networks[network]) do w[key] = value end
  for key, value in pairs(more) do w[key] = value end
  w.train = nil
  list[#list + 1] = w
end

local function add_precisions(name, network, more)
  for _, precision in ipairs { "high", "medium", "highest" } do
    more.precision, more.asks = precision, precision == "highest" and "highest" or nil
    add(name .. "." .. precision, network, more)
  end
end

for _, n in ipairs(order) do
  add_precisions(n .. ".train", n, { task = "train", batch = networks[n].train })
end
for _, n in ipairs(order) do
  for _, batch in ipairs { 16, 1 } do
    add_precisions(n .. ".sample" .. batch, n, { task = "sample", batch = batch })
  end
end
for _, n in ipairs(order) do
  add(n .. ".ddim50.high", n, { task = "ddim", batch = 1, precision = "high" })
end

return list

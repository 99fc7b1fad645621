-- The network whose features the metrics for Fashion-MNIST use: four convolutions and 64 numbers per
-- image. It was trained by examples/08_features.lua.
local asset = require "diffusion.asset"
local core = require "diffusion.core"
local safetensors = require "diffusion.file.safetensors"
local nn = require "diffusion.nn"
local opts = require "diffusion.opts"

local M = {}

local Network = nn.module("fashion features", function(m)
  m.inp = nn.conv(1, 16, { kernel = 3 })
  m.one = nn.norm_conv(16, 32, { kernel = 3 })
  m.two = nn.norm_conv(32, 64, { kernel = 3 })
  m.three = nn.norm_conv(64, 64, { kernel = 3 })
  m.features = nn.linear(64 * 49, 64)
  m.out = nn.linear(64, 10)
  function m:forward(x)
    local h = self.one(self.inp(x)):avg_pool(2)
    h = self.two(h):avg_pool(2)
    h = self.three(h) + h
    local features = self.features(h:silu():reshape(x:size(1), 64 * 49)):silu()
    return self.out(features), features
  end
end)

-- The asset: parameters by name, and the moments of the features over the test images. It outlives
-- the d.scope in which it is first used.
local loaded
local function tensors()
  if loaded then return loaded end
  loaded = assert(safetensors.load(asset.path "fashion_features.safetensors"))
  for _, x in pairs(loaded) do core.unscope(x) end
  return loaded
end

--- The features' moments over Fashion-MNIST's 10,000 test images.
---@return table {mean = {64}, cov = {64,64}, n = 10000}
function M.moments() return { mean = tensors()["test.mean"], cov = tensors()["test.cov"], n = 10000 } end

local function weights()
  local state = {}
  for name, x in pairs(tensors()) do
    if not name:find "^test%." then state[name] = x end
  end
  return state
end

local rules = opts.declare("metric_fashion_network", {
  trained = { "boolean", default = true,
    text = "parameters as examples/08_features.lua trained them; false: first values" },
})

--- A classifier of Fashion-MNIST with 261,866 parameters. network(x) returns logits {n,10} and features
--- {n,64} of images {n,28,28,1} in [-1, 1].
---@param options diffusion.metric_fashion_network_options?
---@return diffusion.model
---@usage local network = d.metric.fashion_network()
--- local logits, features = network(d.zeros(2, 28, 28, 1))
--- print(logits:argmax(2), features:shape())
function M.new(options)
  local o = opts.check("fashion_network", options, rules)
  local network = nn.model(Network())
  return o.trained and network:load_state(weights()) or network
end

return M

--- nn: layers, your own modules, and models that pack them.
local gradient = require "diffusion.gradient"
local layers = require "diffusion.nn.layers"
local lora = require "diffusion.nn.lora"
local model = require "diffusion.nn.model"
local module = require "diffusion.nn.module"

local nn = {
  module = module.module,
  list = module.list,
  sequence = module.sequence,
  recompute = module.recompute,
  model = model.model,
  lora = lora.lora,
  guest = gradient.guest,
}
for name, layer in pairs(layers) do nn[name] = layer end

return nn

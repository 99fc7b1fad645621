-- Folders of diffusers' networks that have the values of spec/peers/values.py, made from configs alone.
local component = require "diffusion.hub.component"
local d = require "diffusion"
local hub = require "spec.support.hub_folder"
local opts = require "diffusion.opts"
local peers = require "diffusion.nn.peers"
local peer_values = require "spec.support.peer_values"

local peer_folder = {}

--- Returns the shapes of a config's network, by the peer's keys and in its layout.
---@param config table with _class_name
---@return table<string, integer[]>
function peer_folder.shapes(config)
  local family, implied = component.family(config._class_name)
  local entry, keys = family.peers.diffusers, {}
  for key, value in pairs(config) do
    if key:sub(1, 1) ~= "_" then keys[key] = value end
  end
  local options = opts.joined((peers.options(family, entry, keys)), implied)
  local shapes = {}
  for name, p in family.new(options):parameters() do
    shapes[peers.theirs(entry, name)] = peers.shape(p:shape())
  end
  return shapes
end

--- The tensors of a network of a config, by the peer's keys.
---@param config table with _class_name
---@param seed integer|nil
---@return table<string, any>
function peer_folder.tensors(config, seed) return peer_values.filled(peer_folder.shapes(config), seed) end

--- Writes the folder of a case of spec/fixtures/peers/pipelines.json.
---@param root string
---@param case table {pipeline, parts, scheduler, values}
function peer_folder.pipeline(root, case)
  local index = { _class_name = case.pipeline, scheduler = { "diffusers", case.scheduler._class_name } }
  local files = { ["model_index.json"] = index, ["scheduler/scheduler_config.json"] = case.scheduler }
  for name, config in pairs(case.parts) do
    index[name] = { "diffusers", config._class_name }
    files[name .. "/config.json"] = config
    files[name .. "/diffusion_pytorch_model.safetensors"] = peer_folder.tensors(config, case.values)
  end
  hub.write(root, files)
end

--- The largest distance of two tensors.
function peer_folder.gap(a, b) return (a - b):abs():max():item() end

peer_folder.generators = function(seeds)
  local list = {}
  for i, seed in ipairs(seeds) do list[i] = d.generator { kind = "torch", seed = seed } end
  return #list > 1 and list or list[1]
end

return peer_folder

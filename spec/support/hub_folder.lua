-- Folders of diffusers with a tiny network, written by specs. The network is of the class ToyModel, a
-- convolution with an embedding of time and class.
local child = require "spec.support.child"
local d = require "diffusion"
local family = require "diffusion.nn.family"
local json = require "diffusion.file.json"

local hub_folder = {}

local toy = { name = "toy" }
toy.options = family.declare("toy", {
  sample_size = { "integer", default = 4, min = 1, max = 64, text = "height and width of images" },
  in_channels = { "integer", default = 3, min = 1, max = 64, text = "channels of images" },
  width = { "integer", default = 4, min = 2, max = 64, text = "width" },
  num_class_embeds = { "integer", min = 1, max = 64, text = "number of classes" },
  act = { one_of = { "silu", "relu" }, default = "silu", text = "an activation" },
  norm_eps = { "number", default = 1e-5, above = 0, text = "added to the variance" },
  recompute = family.recompute,
})
function toy.text() return "" end
function toy.inputs(o) return family.inputs({ "B", "H", "W", o.in_channels }, {}) end
function toy.facts(o) return { classes = o.num_class_embeds or 0 } end
function toy.build(net, o)
  local e = net:time_embed("time", { net.t, net.class },
    { inp = o.width, out = o.width, classes = o.num_class_embeds or 0 })
  local h = net:conv("inp", net.x, { out = o.width })
  h = net:res_block("block", { h, e }, { out = o.width, groups = 1 })
  return net:conv("out", h, { out = o.in_channels })
end
toy.peers = { diffusers = { class = "ToyModel", names = { { "inp", "conv_in" }, { "out", "conv_out" } },
  ours = { "recompute" } } }
function toy.new(options) return family.model(toy, options) end

package.preload["diffusion.network.toy"] = function() return toy end

hub_folder.toy = toy

--- Tensors of the weights of a ToyModel, by its keys.
---@param options table|nil
---@param seed integer|nil
---@return table<string, any>
function hub_folder.tensors(options, seed)
  local peers = require "diffusion.nn.peers"
  local state, i = {}, 0
  for name, p in toy.new(options):parameters() do
    i = i + 1
    state[name] = d.randn(p:shape(), { seed = 100 * (seed or 1) + i }) * 0.3
  end
  return peers.saved(toy.peers.diffusers, state)
end

--- Writes files into a folder: texts as they are, tables of tensors as safetensors, other tables as JSON.
---@param root string
---@param files table<string, string|table> by path
function hub_folder.write(root, files)
  for path, content in pairs(files) do
    local dir = (root .. "/" .. path):match "^(.*)/"
    assert(os.execute("mkdir -p " .. child.quote(dir)))
    local _, first = next(content ~= "" and type(content) == "table" and content or {})
    if type(content) == "string" then child.write(root .. "/" .. path, content)
    elseif type(first) == "userdata" then assert(d.save(root .. "/" .. path, content, { format = "pt" }))
    else child.write(root .. "/" .. path, json.encode(content, true)) end
  end
end

hub_folder.index = { _class_name = "DDPMPipeline", _diffusers_version = "0.42.1",
  unet = { "diffusers", "ToyModel" }, scheduler = { "diffusers", "DDPMScheduler" } }
hub_folder.config = { _class_name = "ToyModel", _diffusers_version = "0.42.1", sample_size = 4, in_channels = 3 }
hub_folder.scheduler = { _class_name = "DDPMScheduler", num_train_timesteps = 1000, beta_schedule = "linear" }

--- The files of a pipeline.
---@param more table|nil further files, or replacements
---@return table<string, any>
function hub_folder.pipeline(more)
  local files = { ["model_index.json"] = hub_folder.index, ["unet/config.json"] = hub_folder.config,
    ["unet/diffusion_pytorch_model.safetensors"] = hub_folder.tensors(),
    ["scheduler/scheduler_config.json"] = hub_folder.scheduler }
  for path, content in pairs(more or {}) do files[path] = content or nil end
  return files
end

return hub_folder

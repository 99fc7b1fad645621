-- Writes the folder of Stable Diffusion 1.5 in full size. It has 2.1 GB of random weights in half
-- precision, and its tokenizer has few words.
local child = require "spec.support.child"
local d = require "diffusion"
local header = require "diffusion.file.safetensors_header"
local opts = require "diffusion.opts"
local peer = require "spec.support.peer_folder"
local text_folder = require "spec.support.text_folder"

local full = {}

local function times(word, n)
  local out = {}
  for i = 1, n do out[i] = word end
  return out
end

--- A case of text_folder.
full.case = {
  pipeline = "StableDiffusionPipeline",
  pad = "<|endoftext|>",
  scheduler = { _class_name = "DDIMScheduler", beta_start = 0.00085, beta_end = 0.012, beta_schedule = "scaled_linear",
    num_train_timesteps = 1000, set_alpha_to_one = false, clip_sample = false, steps_offset = 1 },
  parts = {
    unet = { _class_name = "UNet2DConditionModel", sample_size = 64, cross_attention_dim = 768 },
    vae = { _class_name = "AutoencoderKL", sample_size = 512, block_out_channels = { 128, 256, 512, 512 },
      down_block_types = times("DownEncoderBlock2D", 4), up_block_types = times("UpDecoderBlock2D", 4),
      layers_per_block = 2 },
    text_encoder = { _class_name = "CLIPTextModel", vocab_size = 49408, hidden_size = 768, intermediate_size = 3072,
      num_hidden_layers = 12, num_attention_heads = 12, max_position_embeddings = 77, projection_dim = 768,
      hidden_act = "quick_gelu", bos_token_id = 523, eos_token_id = 524, pad_token_id = 524 },
  },
}

-- Values of one tensor. Norms start as identities, and layers keep the size of their input.
local function values(name, shape, seed)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  if #shape == 1 then return name:find "norm.*weight$" and d.ones(n) or d.zeros(n) end
  local inputs = name:find "embedding%.weight$" and 2500 or n // shape[1]
  return d.randn({ n }, { seed = seed }) / inputs ^ 0.5
end

--- Writes the weights of a config's network, a tensor at a time.
---@param path string
---@param config table with _class_name
---@return integer bytes
function full.weights(path, config)
  local shapes, list = peer.shapes(config), {}
  collectgarbage()
  for _, name in ipairs(opts.names(shapes)) do
    list[#list + 1] = { name = name, dtype = "F16", shape = shapes[name] }
  end
  local f <close> = assert(io.open(path, "wb"))
  assert(f:write(header.write(list, { format = "pt" })))
  for seed, t in ipairs(list) do
    local x = values(t.name, t.shape, seed):to "f16"
    assert(f:write(x:bytes()))
    x:free()
  end
  return assert(f:seek "end")
end

--- Writes the folder.
---@param root string
---@return integer bytes of its weights
function full.write(root)
  local all, bytes = text_folder.read(), 0
  all.length = 77
  text_folder.write(root, full.case, all, function() return "" end)
  for name, config in pairs(full.case.parts) do
    local stem = config._class_name:find "^CLIP" and "model" or "diffusion_pytorch_model"
    bytes = bytes + full.weights(("%s/%s/%s.safetensors"):format(root, name, stem), config)
  end
  return bytes
end

--- Writes the folder in a process of its own, whose memory the caller then doesn't hold.
---@param root? string an empty folder; if nil, a temporary one, which child.remove removes
---@return string root
function full.make(root)
  local made = root or child.folder()
  local text, code = child.run("spec/support/full_folder.lua", { arguments = { made } })
  if code == 0 then return made end
  if not root then child.remove(made) end
  error(text, 0)
end

if arg and arg[0]:find "full_folder%.lua$" then full.write(arg[1]) end

return full

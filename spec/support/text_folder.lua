-- Folders of text-to-image pipelines of diffusers with tiny networks, for cases of
-- spec/fixtures/peers/text_pipelines.json, and the options of their calls as ours.
local child = require "spec.support.child"
local d = require "diffusion"
local hub = require "spec.support.hub_folder"
local json = require "diffusion.file.json"
local opts = require "diffusion.opts"
local peer = require "spec.support.peer_folder"
local peer_values = require "spec.support.peer_values"

local text_folder = {}

--- The fixture: {merges, length, every, cases by name}. Each case has what its kind has.
function text_folder.read()
  local all = assert(json.decode(assert(child.read "spec/fixtures/peers/text_pipelines.json")))
  for name, case in pairs(all.cases) do all.cases[name] = opts.joined(all.kinds[case.kind], case) end
  return all
end

--- Those numbers of images that the fixture has, in its order.
function text_folder.sampled(all, x)
  x = x:flatten()
  local out = {}
  for i = 1, x:numel(), all.every do out[#out + 1] = x[i] end
  return d.tensor(out)
end

-- ==== the vocabulary ====================================================================

-- The symbols of bytes in the order of the tokenizer's table.
local function symbols()
  local shown, out = {}, {}
  for _, range in ipairs { { 33, 126 }, { 161, 172 }, { 174, 255 } } do
    for byte = range[1], range[2] do shown[#shown + 1] = byte end
  end
  for i, byte in ipairs(shown) do out[i] = utf8.char(byte) end
  for i = 0, 255 - #shown do out[#out + 1] = utf8.char(256 + i) end
  return out
end

local function vocabulary(merges)
  local words, ids = symbols(), {}
  for i = 1, 256 do words[256 + i] = words[i] .. "</w>" end
  for _, merge in ipairs(merges) do words[#words + 1] = merge:gsub(" ", "") end
  words[#words + 1], words[#words + 2] = "<|startoftext|>", "<|endoftext|>"
  for i, word in ipairs(words) do ids[word] = i - 1 end
  return ids
end

-- The files of a tokenizer that pads with a word.
local function tokenizer(files, folder, all, pad)
  files[folder .. "/vocab.json"] = vocabulary(all.merges)
  files[folder .. "/merges.txt"] = "#version: 0.2\n" .. table.concat(all.merges, "\n") .. "\n"
  files[folder .. "/tokenizer_config.json"] = { tokenizer_class = "CLIPTokenizer", model_max_length = all.length,
    bos_token = "<|startoftext|>", eos_token = "<|endoftext|>", unk_token = "<|endoftext|>", pad_token = pad }
end

-- ==== folders ===========================================================================

-- A config as the library of its class writes it.
local function written(config)
  if not config._class_name:find "^CLIP" then return config end
  local out = { architectures = { config._class_name }, model_type = "clip_text_model" }
  for key, value in pairs(config) do
    if key:sub(1, 1) ~= "_" then out[key] = value end
  end
  return out
end

local STEMS = { transformers = "model", diffusers = "diffusion_pytorch_model" }

local function index_of(case)
  local index = { _class_name = case.pipeline, scheduler = { "diffusers", case.scheduler._class_name },
    safety_checker = { json.null, json.null }, feature_extractor = { json.null, json.null },
    requires_aesthetics_score = case.requires_aesthetics_score,
    force_zeros_for_empty_prompt = case.force_zeros_for_empty_prompt }
  for _, name in ipairs { "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2" } do
    index[name] = { json.null, json.null }
  end
  return index
end

--- Writes the folder of a case.
---@param root string
---@param case table
---@param all table the whole fixture, for the tokenizer
---@param weights? fun(config: table, values: any): any a file of weights, in place of the tensors
function text_folder.write(root, case, all, weights)
  local index = index_of(case)
  local files = { ["model_index.json"] = index, ["scheduler/scheduler_config.json"] = case.scheduler }
  for name, config in pairs(case.parts) do
    local library = config._class_name:find "^CLIP" and "transformers" or "diffusers"
    index[name] = { library, config._class_name }
    files[name .. "/config.json"] = written(config)
    files[name .. "/" .. STEMS[library] .. ".safetensors"] = (weights or peer.tensors)(config, case.values)
  end
  for ending, pad in pairs { [""] = case.pad, _2 = case.pad2 } do
    if index["text_encoder" .. ending][1] ~= json.null then
      index["tokenizer" .. ending] = { "transformers", "CLIPTokenizer" }
      tokenizer(files, "tokenizer" .. ending, all, pad)
    end
  end
  hub.write(root, files)
end

-- ==== calls =============================================================================

local names = { prompt = "prompt", prompt_2 = "prompt2", negative_prompt = "negative", num_inference_steps = "steps",
  guidance_scale = "guidance", guidance_rescale = "rescale", num_images_per_prompt = "n", eta = "eta",
  clip_skip = "clip_skip", height = "height", width = "width", strength = "strength" }

local sizes = { original_size = "original", crops_coords_top_left = "crop", target_size = "target",
  negative_original_size = "negative_original", negative_target_size = "negative_target" }

local function keep_of(mask)
  local keep = d.ones(16, 16, 1)
  keep[{ { mask[1] + 1, mask[3] }, { mask[2] + 1, mask[4] }, {} }] = 0
  return keep
end

--- The options of a case's call, and the method: "text2image", "image2image" or "inpaint".
function text_folder.call(case)
  local o = { generator = peer.generators(case.seeds) }
  for key, value in pairs(case.args) do
    if names[key] then o[names[key]] = value end
    if sizes[key] then
      o.sizes = o.sizes or {}
      o.sizes[sizes[key]] = value
    end
  end
  local image, mask = case.args.image, case.args.mask
  if image then o.x0 = peer_values.uniform({ image[1], 3, 16, 16 }, image[2]):permute(1, 3, 4, 2):contiguous() end
  if mask then o.keep = keep_of(mask) end
  return o, mask and "inpaint" or image and "image2image" or "text2image"
end

return text_folder

-- Folders of models as people have them: pipelines, flat repositories, the cache of huggingface_hub,
-- variants, pointers of Git LFS, unfinished downloads, configs of other versions.
local d = require "diffusion"
local child = require "spec.support.child"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local hub = require "spec.support.hub_folder"
local peer_values = require "spec.support.peer_values"
local refusal = require "spec.support.refusal"

local root
before_each(function() root = child.folder() end)
after_each(function() child.remove(root) end)

local function write(files, at) hub.write(at and root .. "/" .. at or root, files) end

local function refused(parts, ...)
  refusal(parts, d.hub.load(...))
end

-- The first value of a pipe's network, by which a spec tells weights apart.
local function mark(pipe) return pipe.unet:state()["inp.bias"][1] end

local function with_mark(value, options)
  local tensors = hub.tensors(options)
  tensors["conv_in.bias"]:fill_(value)
  return tensors
end

local WEIGHTS = "unet/diffusion_pytorch_model"

describe("a folder of a pipeline", function()
  it("opens, and says what it is", function()
    write(hub.pipeline())
    local pipe = assert(d.hub.load(root))
    assert.equal("DDPMPipeline", pipe.class)
    assert.equal(root, pipe.path)
    assert.equal("DDPMScheduler", pipe.scheduler._class_name)
    assert.equal(1000, pipe.process.T)
    assert.equal("eps", pipe.process.predict)
    local text = tostring(pipe)
    for _, word in ipairs { "DDPMPipeline", root, "ToyModel", "predicts eps", "schedule linear, T = 1000",
      "DDPMScheduler", "ddpm, 1000 steps", "fixed_small", "clip 1" } do
      assert(text:find(word, 1, true), word .. " isn't in " .. text)
    end
  end)

  it("may end in a slash, or be named by its index", function()
    write(hub.pipeline())
    assert(d.hub.load(root .. "/"))
    assert(d.hub.load(root .. "/model_index.json"))
    assert(d.hub.load(root .. "/unet/config.json"))
    assert.equal("ToyModel", assert(d.hub.load(root .. "/unet/diffusion_pytorch_model.safetensors")).class)
  end)

  it("is asked for if a file of weights is given alone", function()
    for key, words in pairs { ["down_blocks.0.resnets.0.conv1.weight"] = "open its folder, which has config.json",
      ["control_model.time_embed.0.weight"] = "a ControlNet", ["image_proj.norm.weight"] = "an IP-Adapter",
      ["unet.mid.to_q.lora_A.weight"] = "low-rank adapters", ["double_blocks.0.img_attn.qkv.weight"] = "a Flux",
      ["joint_blocks.0.x_block.attn.qkv.weight"] = "Stable Diffusion 3" } do
      assert(d.save(root .. "/a.safetensors", { [key] = d.ones(1) }))
      refused({ root .. "/a.safetensors: ", words }, root .. "/a.safetensors")
    end
  end)

  it("has the weights as they are, mapped, until training begins", function()
    write(hub.pipeline())
    local pipe = assert(d.hub.load(root))
    local total, trainable = pipe.unet:count()
    assert.equal(total, trainable)
    local w, before = pipe.unet:state()["block.one.conv.weight"], pipe.unet(d.ones(1, 4, 4, 3), 10)
    assert.is_false(w:is_contiguous())
    d.adamw(pipe.unet, { lr = 0 })
    assert.is_true(pipe.unet:state()["block.one.conv.weight"]:is_contiguous())
    assert.is_true(before:allclose(pipe.unet(d.ones(1, 4, 4, 3), 10), { atol = 1e-6 }))
    assert.equal(0, select(2, assert(d.hub.load(root, { frozen = true })).unet:count()))
    assert.is_true(assert(d.hub.load(root, { frozen = false })).unet:state()["block.one.conv.weight"]:is_contiguous())
  end)

  it("trains by the ordinary loop, with an average, and keeps what was frozen", function()
    write(hub.pipeline())
    local pipe = assert(d.hub.load(root))
    pipe.unet:freeze "^inp"
    local ema = d.ema(pipe.unet)
    local opt = d.adamw(pipe.unet, { lr = 1e-2, ema = ema })
    local objective = d.objective { process = pipe.process }
    local before = { pipe.unet:state()["inp.weight"]:clone(), pipe.unet:state()["out.weight"]:clone() }
    d.record(objective, pipe.unet, d.randn(4, 4, 4, 3)):backward()
    opt:step()
    assert.is_true(pipe.unet:state()["inp.weight"]:equal(before[1]))
    assert.is_false(pipe.unet:state()["out.weight"]:equal(before[2]))
    assert.equal(1, ema.updates)
  end)

  it("can be converted to another type", function()
    write(hub.pipeline())
    local pipe = assert(d.hub.load(root, { dtype = "bf16", copy = true }))
    assert.equal("bf16", pipe.unet:state()["inp.weight"]:dtype())
  end)

  it("may have components that aren't needed, and nulls", function()
    local index = { safety_checker = { "stable_diffusion", "StableDiffusionSafetyChecker" },
      feature_extractor = { "transformers", "CLIPImageProcessor" }, requires_safety_checker = false }
    for key, value in pairs(hub.index) do index[key] = value end
    write(hub.pipeline { ["model_index.json"] = index })
    local text = child.read(root .. "/model_index.json"):gsub("{", '{"image_encoder": [null, null],', 1)
    write { ["model_index.json"] = text }
    assert(d.hub.load(root))
  end)

  it("may be flat, with all files at its root", function()
    write { ["model_index.json"] = hub.index, ["config.json"] = hub.config, ["scheduler_config.json"] = hub.scheduler,
      ["diffusion_pytorch_model.safetensors"] = hub.tensors() }
    local pipe = assert(d.hub.load(root))
    assert.equal("DDPMPipeline", pipe.class)
    assert.equal(1000, pipe.process.T)
  end)

  it("may have its scheduler replaced", function()
    write(hub.pipeline { ["other/scheduler_config.json"] = { _class_name = "DDIMScheduler", num_train_timesteps = 1000,
      prediction_type = "v_prediction" } })
    assert.equal("DDIMScheduler", assert(d.hub.load(root, { scheduler = "DDIMScheduler" })).scheduler._class_name)
    assert.equal("v", assert(d.hub.load(root, { scheduler = root .. "/other" })).process.predict)
    local config = { _class_name = "DDPMScheduler", prediction_type = "sample" }
    assert.equal("x0", assert(d.hub.load(root, { scheduler = config })).process.predict)
    refused({ root, "VQDiffusionScheduler" }, root, { scheduler = "VQDiffusionScheduler" })
    refused({ "NoScheduler" }, root, { scheduler = "NoScheduler" })
  end)

  it("of DDIM takes the config of any scheduler", function()
    local index = {}
    for key, value in pairs(hub.index) do index[key] = value end
    index._class_name = "DDIMPipeline"
    write(hub.pipeline { ["model_index.json"] = index })
    local pipe = assert(d.hub.load(root))
    assert.equal("DDIMScheduler", pipe.scheduler._class_name)
    assert(tostring(pipe):find("50 steps", 1, true))
  end)

  it("that lacks a part is refused by its name", function()
    write(hub.pipeline { ["scheduler/scheduler_config.json"] = false })
    refused({ "scheduler_config.json: no such file" }, root)
    write(hub.pipeline { ["unet/config.json"] = false }, "b")
    refused({ root .. "/b/unet/config.json: no such file" }, root .. "/b")
    write({ ["model_index.json"] = hub.index, ["scheduler/scheduler_config.json"] = hub.scheduler }, "h")
    refused({ root .. "/h/unet/config.json: no such file" }, root .. "/h")
    write(hub.pipeline { ["unet/config.json"] = false, ["unet/config.json.part"] = "half" }, "i")
    refused({ "unet/config.json: no such file; the download of ", "config.json.part isn't finished" }, root .. "/i")
    write({ ["model_index.json"] = hub.index }, "j")
    refused({ root .. "/j/scheduler/scheduler_config.json: no such file" }, root .. "/j")
    write(hub.pipeline { ["model_index.json"] = false }, "c")
    refused({ "no model_index.json: its download, or its saving, was interrupted" }, root .. "/c")
    write({ ["readme.md"] = "hello" }, "e")
    refused({ "no model_index.json and no config.json" }, root .. "/e")
    local index = { _class_name = "DDPMPipeline", scheduler = hub.index.scheduler }
    write(hub.pipeline { ["model_index.json"] = index }, "f")
    refused({ "its 'unet' is missing, but DDPMPipeline needs it" }, root .. "/f")
    index.unet = 7
    write(hub.pipeline { ["model_index.json"] = index }, "g")
    refused({ "'unet' must be a library and a class, got 7" }, root .. "/g")
    index.unet = { "../other", "UNet2DModel" }
    write(hub.pipeline { ["model_index.json"] = index }, "k")
    refused({ "'unet' must be a library and a class, got " }, root .. "/k")
    index.unet = { "diff\0users", "UNet2DModel" }
    write(hub.pipeline { ["model_index.json"] = index }, "l")
    refused({ "'unet' must be a library and a class, got " }, root .. "/l")
  end)

  it("of a class that isn't run is refused by its name", function()
    for _, class in ipairs { "StableDiffusion3Pipeline", "FluxPipeline",
      "DanceDiffusionPipeline", "LDMSuperResolutionPipeline", "AudioDiffusionPipeline", "MyPipeline" } do
      write(hub.pipeline { ["model_index.json"] = { _class_name = class, unet = hub.index.unet } })
      refused({ class .. " isn't run here; these are: ", "ConsistencyModelPipeline, DDIMPipeline, DDPMPipeline" }, root)
    end
    write(hub.pipeline { ["model_index.json"] = { unet = hub.index.unet } })
    refused({ "a pipeline without a '_class_name' isn't run here" }, root)
  end)

  it("of networks that aren't followed is refused by their names", function()
    for _, class in ipairs { "ControlNetModel", "SD3Transformer2DModel", "FluxTransformer2DModel", "UNet1DModel",
      "CLIPVisionModel", "CLIPTextModelWithVision", "Unet", "UNet", "Dit", "ToyModelModel" } do
      write(hub.pipeline { ["model_index.json"] = { _class_name = "DDPMPipeline", unet = { "diffusers", class },
        scheduler = hub.index.scheduler } })
      refused({ root .. "/unet/config.json: networks of class " .. class .. " aren't followed here" }, root)
    end
  end)
end)

describe("a pipeline's index", function()
  local function with(changes)
    local index = {}
    for key, value in pairs(hub.index) do index[key] = value end
    for key, value in pairs(changes) do index[key] = value end
    write { ["model_index.json"] = index }
  end

  it("may not name classes that come with the folder", function()
    write(hub.pipeline { ["unet/my_unet.py"] = "class ToyModel: pass", ["scheduler/my_scheduler.py"] = "" })
    with { unet = { "my_unet", "ToyModel" } }
    refused({ root .. "/model_index.json: 'unet' is ToyModel of unet/my_unet.py; classes that come with a folder" },
      root)
    with { scheduler = { "my_scheduler", "DDPMScheduler" } }
    refused({ "'scheduler' is DDPMScheduler of scheduler/my_scheduler.py" }, root)
    with { scheduler = { "deprecated", "DDPMScheduler" }, unet = { "diffusers", "ToyModel" } }
    assert(d.hub.load(root))
  end)

  it("has a denoiser where the pipeline needs one", function()
    local tiny = d.autoencodertiny { encoder_block_out_channels = { 4 }, decoder_block_out_channels = { 4 },
      num_encoder_blocks = { 0 }, num_decoder_blocks = { 0 } }
    write(hub.pipeline())
    assert(d.hub.save(root .. "/unet", tiny))
    with { unet = { "diffusers", "AutoencoderTiny" } }
    refused({ "model_index.json: 'unet' is AutoencoderTiny, which is no unet" }, root)
  end)
end)

describe("an option for something else than what is found", function()
  local tiny

  local function folder(at, model)
    assert(d.hub.save(root .. "/" .. at, model))
    return root .. "/" .. at
  end

  before_each(function()
    tiny = tiny or d.autoencodertiny { encoder_block_out_channels = { 4 }, decoder_block_out_channels = { 4 },
      num_encoder_blocks = { 0 }, num_decoder_blocks = { 0 } }
  end)

  it("is refused for a folder if it is for files of other libraries", function()
    write(hub.pipeline())
    refused({ root .. ": option 'heads' is for files of other libraries, and this is a folder of diffusers" }, root,
      { heads = 4 })
    refused({ root .. "/unet: options 'T', 'image', 'qkv_order' are for files of other libraries" }, root .. "/unet",
      { image = 64, qkv_order = "new", T = 10 })
  end)

  it("is refused for a pipeline if it is for one component, or for latents", function()
    write(hub.pipeline())
    refused({ root .. ": option 'class_name' is for a folder of one component, and this is a pipeline" }, root,
      { class_name = "ToyModel" })
    refused({ root .. ": this is a DDPMPipeline, which has no latents, so vae has no use" }, root, { vae = root })
    assert(d.hub.load(root, { vae = false }))
  end)

  it("is refused if it is a revision of a folder outside the cache, or a cache for a path", function()
    write(hub.pipeline())
    refused({ root .. ": revision = 'fp16', but only a model in the cache of huggingface_hub has revisions" }, root,
      { revision = "fp16" })
    refused({ root .. ": a path, but with the option cache the name of a model in /tmp is expected" }, root,
      { cache = "/tmp" })
  end)

  it("is refused if nothing is there, also with a slash behind its name", function()
    refused({ root .. "/none/: no such file or folder" }, root .. "/none/")
    refused({ root .. "/none/: no such file or folder" }, root .. "/none/", { cache = "/tmp" })
  end)

  it("is used if it is the autoencoder of a denoiser alone", function()
    write(hub.pipeline())
    local vae = folder("vae", tiny)
    local pipe = assert(d.hub.load(root .. "/unet", { vae = vae }))
    assert.equal("autoencodertiny", pipe.vae:config().kind)
    assert(tostring(pipe):find("vae        AutoencoderTiny", 1, true))
    refused({ "vae = '" .. root .. "/unet': ToyModel, which is no autoencoder" }, root .. "/unet",
      { vae = root .. "/unet" })
    refused({ "tiny = '" .. root .. "/unet': ToyModel, which is no autoencoder" }, root .. "/unet",
      { vae = vae, tiny = root .. "/unet" })
    refused({ vae .. ": vae = '" .. vae .. "' has no use next to AutoencoderTiny" }, vae, { vae = vae })
  end)
end)

describe("a folder of one component", function()
  it("opens as a pipe without a scheduler", function()
    write { ["config.json"] = hub.config, ["diffusion_pytorch_model.safetensors"] = hub.tensors() }
    local pipe = assert(d.hub.load(root))
    assert.is_nil(pipe.process)
    assert(tostring(pipe):find("ToyModel", 1, true))
    fails("pipe: there is no scheduler", pipe, {})
    local with = assert(d.hub.load(root, { scheduler = { _class_name = "DDPMScheduler" } }))
    assert.same({ 1, 4, 4, 3 }, with { steps = 2, seed = 1 }:shape())
    refused({ "scheduler = 'DDIMScheduler': no such file, and there is no config" }, root,
      { scheduler = "DDIMScheduler" })
  end)

  it("needs a class", function()
    write { ["config.json"] = { sample_size = 4 }, ["diffusion_pytorch_model.safetensors"] = hub.tensors() }
    refused({ "config.json: no '_class_name'; the option class_name names it" }, root)
    assert(d.hub.load(root, { class_name = "ToyModel" }))
  end)

  it("of the oldest form is refused as such", function()
    write { ["config.json"] = { _class_name = "UNetModel", ch = 128, ch_mult = { 1, 2, 2, 2 } } }
    refused({ "config.json: a UNetModel of before diffusers 0.2" }, root)
    write { ["config.json"] = { _class_name = "NotAClass", ch = 128, ch_mult = { 1, 2, 2, 2 } } }
    refused({ "config.json: a NotAClass of before diffusers 0.2" }, root)
  end)
end)

describe("a config", function()
  local function with(changes)
    local config = {}
    for key, value in pairs(hub.config) do config[key] = value end
    for key, value in pairs(changes) do config[key] = value end
    write(hub.pipeline { ["unet/config.json"] = config })
  end

  it("has defaults for keys that are absent, null or listed as defaults", function()
    with { width = 8, _use_default_values = { "width" } }
    assert.equal(4, assert(d.hub.load(root)).unet:config().width)
    with {}
    write { ["unet/config.json"] = child.read(root .. "/unet/config.json"):gsub("{", '{"num_class_embeds": null,', 1) }
    assert(d.hub.load(root))
  end)

  it("may have keys that the class doesn't know, which a warning lists", function()
    with { colour = "red", addition = 3, _name_or_path = "x/y" }
    local said = {}
    d.warnings(function(message) said[#said + 1] = message end)
    local pipe = assert(d.hub.load(root))
    d.warnings(true)
    assert.equal(1, #said)
    assert(said[1]:find("ToyModel has no option addition, colour; ignored", 1, true), said[1])
    assert(pipe)
  end)

  it("with a value of a wrong type is refused with its key and value", function()
    with { norm_eps = "small" }
    refused({ root .. "/unet/config.json: option 'norm_eps': number in (0, inf) expected, got 'small'" }, root)
    with { act = "swish" }
    refused({ "option 'act': unknown value 'swish'" }, root)
    with { width = 1.5 }
    refused({ "option 'width': integer in [2, 64] expected, got 1.5" }, root)
    with { _class_name = 7 }
    refused({ "'_class_name' must be a name, got 7" }, root)
    with { _class_name = { "my_unet", "ToyModel" } }
    refused({ "'_class_name' must be a name, got [\"my_unet\",\"ToyModel\"]" }, root)
  end)

  it("that is no object of JSON is refused", function()
    for text, words in pairs { ["[1, 2]"] = "an object of JSON", ["{"] = "json", [""] = "json",
      ["Entry not found"] = "Entry not found", ["<!DOCTYPE html><title>Sign in</title>"] = "HTML",
      ["version https://git-lfs.github.com/spec/v1\noid sha256:19da\nsize 12\n"] = "a pointer" } do
      write(hub.pipeline { ["unet/config.json"] = text })
      refused({ root .. "/unet/config.json", words }, root)
    end
    write(hub.pipeline { ["model_index.json"] = "{}" })
    refused({ "model_index.json" }, root)
  end)

  it("whose scheduler holds -Infinity is read", function()
    write(hub.pipeline { ["scheduler/scheduler_config.json"] =
      '{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "use_karras_sigmas": false}' })
    write { ["model_index.json"] = (child.read(root .. "/model_index.json"):gsub("DDPMScheduler",
      "DPMSolverMultistepScheduler")) }
    assert.equal("DPMSolverMultistepScheduler", assert(d.hub.load(root)).scheduler._class_name)
  end)
end)

describe("weights", function()
  it("of a variant are taken if they are named, or the only ones", function()
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] = false, [WEIGHTS .. ".fp16.safetensors"] = with_mark(2) })
    assert.equal(2, mark(assert(d.hub.load(root))))
    write { [WEIGHTS .. ".non_ema.safetensors"] = with_mark(3) }
    refused({ root .. "/unet: weights of several variants; choose one of variant = \"fp16\", variant = \"non_ema\"" },
      root)
    assert.equal(3, mark(assert(d.hub.load(root, { variant = "non_ema" }))))
    write { [WEIGHTS .. ".safetensors"] = with_mark(1) }
    assert.equal(1, mark(assert(d.hub.load(root))))
    assert.equal(2, mark(assert(d.hub.load(root, { variant = "fp16" }))))
    refused({ "no weights of variant 'fp8'; there are the plain weights, variant = \"fp16\"" }, root,
      { variant = "fp8" })
  end)

  it("are of safetensors rather than of PyTorch", function()
    write(hub.pipeline { [WEIGHTS .. ".bin"] = "not read" })
    assert(d.hub.load(root))
    write { [WEIGHTS .. ".fp16.bin"] = "text" }
    refused({ WEIGHTS .. ".fp16.bin" }, root, { variant = "fp16" })
  end)

  it("may be PyTorch's, in one file or with an index", function()
    local bytes, shapes = child.read "spec/fixtures/peers/toy.bin", {}
    for key, x in pairs(hub.tensors()) do shapes[key] = x:shape() end
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] = false, [WEIGHTS .. ".bin"] = bytes })
    local value = peer_values.filled(shapes)["conv_in.bias"][1]
    assert.near(value, mark(assert(d.hub.load(root))), 1e-7)
    os.remove(root .. "/" .. WEIGHTS .. ".bin")
    local map, part = {}, "diffusion_pytorch_model-00001-of-00001.bin"
    for key in pairs(shapes) do map[key] = part end
    write { [WEIGHTS .. ".bin.index.json"] = { weight_map = map } }
    refused({ "1 of its 1 shards is missing: " .. part }, root)
    write { ["unet/" .. part] = bytes }
    assert.near(value, mark(assert(d.hub.load(root))), 1e-7)
    map["other.weight"] = part
    write { [WEIGHTS .. ".bin.index.json"] = { weight_map = map } }
    refused({ "tensor 'other.weight' should be in " .. part .. ", which doesn't have it" }, root)
  end)

  it("name the class of a tensor that can't be read", function()
    local dense, map, part = {}, {}, "diffusion_pytorch_model-00001-of-00001.bin"
    for key, x in pairs(hub.tensors()) do dense[key], map[key] = x:contiguous(), part end
    local bytes = forge.pt(dense):gsub("ctorch\nFloatStorage", "ctorch\nOtherStorage", 1)
    local sentence = " is of type torch.OtherStorage, a Python class that isn't read"
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] = false, [WEIGHTS .. ".bin"] = bytes })
    refused({ "weights of ToyModel: ", sentence }, root)
    os.remove(root .. "/" .. WEIGHTS .. ".bin")
    write { [WEIGHTS .. ".bin.index.json"] = { weight_map = map }, ["unet/" .. part] = bytes }
    refused({ "weights of ToyModel: ", sentence }, root)
  end)

  it("may be tensors in a list, which have no names", function()
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] = false,
      [WEIGHTS .. ".bin"] = child.read "spec/fixtures/peers/pt/list.pt" })
    refused({ "tensors without names, not the weights" }, root)
  end)

  it("may be cut into shards", function()
    local tensors, map, parts = with_mark(5), {}, { {}, {} }
    local i = 0
    for name, x in pairs(tensors) do
      i = i % 2 + 1
      parts[i][name], map[name] = x, ("diffusion_pytorch_model-0000%d-of-00002.safetensors"):format(i)
    end
    local index = { metadata = {}, weight_map = map }
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] = false, [WEIGHTS .. ".safetensors.index.json"] = index,
      [WEIGHTS .. "-00001-of-00002.safetensors"] = parts[1], [WEIGHTS .. "-00002-of-00002.safetensors"] = parts[2] })
    assert.equal(5, mark(assert(d.hub.load(root))))
    os.remove(root .. "/" .. WEIGHTS .. "-00002-of-00002.safetensors")
    write { [WEIGHTS .. "-00002-of-00002.safetensors.incomplete"] = "half" }
    refused({ "1 of its 2 shards is missing: diffusion_pytorch_model-00002-of-00002.safetensors",
      "the download of " .. root .. "/" .. WEIGHTS .. "-00002-of-00002.safetensors.incomplete isn't finished" }, root)
    os.remove(root .. "/" .. WEIGHTS .. ".safetensors.index.json")
    refused({ "no weights yet: the download of" }, root)
  end)

  it("that are a pointer of Git LFS are named as one", function()
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] =
      "version https://git-lfs.github.com/spec/v1\noid sha256:19da7aaa4b880e59\nsize 3438167540\n" })
    refused({ WEIGHTS .. ".safetensors: a pointer, not the weights", "3,438,167,540 bytes", "git lfs pull" }, root)
  end)

  it("that are missing, or of other programs, are named", function()
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] = false })
    refused({ root .. "/unet: no weights: diffusion_pytorch_model.safetensors is missing" }, root)
    write { ["unet/diffusion_flax_model.msgpack"] = "x" }
    refused({ "no weights but those for Flax (diffusion_flax_model.msgpack)" }, root)
  end)

  it("that don't fit the config are refused with names and counts", function()
    local tensors = hub.tensors()
    tensors["conv_in.bias"], tensors["extra.weight"] = nil, d.ones(2)
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] = tensors })
    refused({ "1 tensor is missing ('conv_in.bias'), 1 tensor is unexpected ('extra.weight')" }, root)
    write(hub.pipeline { [WEIGHTS .. ".safetensors"] = hub.tensors { width = 8 } })
    refused({ "config.json: weights of ToyModel: 'time.one.weight' is [8,8], but its config makes it [4,4]" }, root)
  end)

  it("that were cut short are refused", function()
    write(hub.pipeline())
    local bytes = child.read(root .. "/" .. WEIGHTS .. ".safetensors")
    write { [WEIGHTS .. ".safetensors"] = bytes:sub(1, #bytes - 10) }
    refused({ WEIGHTS .. ".safetensors" }, root)
  end)
end)

describe("the cache of huggingface_hub", function()
  local hash = ("0a"):rep(20)

  -- A model there, its files links into blobs/.
  local function cached(name, files, at)
    local own = root .. "/" .. (at or "hub") .. "/models--" .. name:gsub("/", "--")
    hub.write(own .. "/files", files)
    hub.write(own, { ["refs/main"] = hash .. "\n", ["blobs/x"] = "" })
    assert(os.execute("mkdir -p " .. child.quote(own .. "/snapshots/" .. hash)))
    local n = 0
    for path in pairs(files) do
      n = n + 1
      local link = own .. "/snapshots/" .. hash .. "/" .. path
      assert(os.execute(("mv %s %s && mkdir -p %s && ln -s %s %s"):format(child.quote(own .. "/files/" .. path),
        child.quote(own .. "/blobs/" .. n), child.quote(link:match "^(.*)/"), child.quote(own .. "/blobs/" .. n),
        child.quote(link))))
    end
    return own
  end

  it("has models by their names, in the folder that an option names", function()
    local own = cached("google/toy", hub.pipeline())
    local pipe = assert(d.hub.load("google/toy", { cache = root .. "/hub" }))
    assert.equal(own .. "/snapshots/" .. hash, pipe.path)
    assert(d.hub.load("google/toy", { cache = root }))
    assert(d.hub.load("google/toy", { cache = root, revision = hash }))
    assert(d.hub.load(own))
    assert(d.hub.load(own .. "/snapshots/" .. hash))
    assert(d.hub.load(root .. "/hub"))
    refused({ "no revision 'v2'; it has the snapshots " .. hash }, "google/toy", { cache = root, revision = "v2" })
    refused({ "not the name of a revision" }, "google/toy", { cache = root, revision = "../../x" })
    cached("google/other", hub.pipeline())
    refused({ "a cache of 2 models: google/other, google/toy; name one, d.hub.load(\"google/other\", { cache = " },
      root .. "/hub")
  end)

  it("is found by the environment", function()
    cached("google/toy", hub.pipeline())
    cached("google/old", hub.pipeline(), ".cache/huggingface/hub")
    child.write(root .. "/ask.lua", [[
      require "spec.support.hub_folder"
      local pipe, message = require "diffusion".hub.load(arg[1])
      print(pipe and pipe.path or message)]])
    local function asked(name, env)
      return (child.run(root .. "/ask.lua", { arguments = { name }, env = "HF_HUB_CACHE= HF_HOME= "
        .. "HUGGINGFACE_HUB_CACHE= XDG_CACHE_HOME= " .. env }))
    end
    local there = "models--google--toy/snapshots/" .. hash
    for _, env in ipairs { "HF_HUB_CACHE=" .. root .. "/hub", "HF_HOME=" .. root,
      "HUGGINGFACE_HUB_CACHE=" .. root .. "/hub" } do
      assert(asked("google/toy", env):find(there, 1, true), asked("google/toy", env))
    end
    assert(asked("google/old", "HOME=" .. root):find("models--google--old/snapshots/" .. hash, 1, true))
    assert(asked("google/old", "XDG_CACHE_HOME=" .. root .. "/.cache"):find("google--old/snapshots", 1, true))
    assert(asked("google/new", "HF_HOME=" .. root):find("google/new: no such folder, and the cache " .. root
      .. "/hub doesn't hold a model of that name", 1, true))
    assert(asked("google/new", "HF_HOME=/nowhere"):find("the cache /nowhere/hub isn't there", 1, true))
  end)

  it("may be half fetched", function()
    local own = cached("google/toy", hub.pipeline())
    local weights = own .. "/snapshots/" .. hash .. "/" .. WEIGHTS .. ".safetensors"
    os.remove(weights)
    hub.write(own, { ["blobs/19da.incomplete"] = "half" })
    refused({ "no weights yet: the download of " .. own .. "/blobs/19da.incomplete isn't finished" }, own)
    assert(os.execute(("ln -s ../../../blobs/none %s"):format(child.quote(weights))))
    refused({ WEIGHTS .. ".safetensors: No such file", "19da.incomplete isn't finished" }, own)
    hub.write(own, { ["refs/main"] = "ffff" })
    refused({ "revision 'main' is the snapshot 'ffff', which isn't there" }, own)
    assert(os.execute("rm -r " .. child.quote(own .. "/snapshots")))
    refused({ "holds no snapshots" }, own)
  end)

  it("isn't looked into for paths", function()
    refused({ "./google/toy: no such file or folder" }, "./google/toy")
    refused({ "/google/toy: no such file or folder" }, "/google/toy")
    refused({ "a/b/c: no such file or folder" }, "a/b/c")
    refused({ "https://huggingface.co/google/toy: an address; nothing is fetched here" },
      "https://huggingface.co/google/toy")
    fails("a path expected, got 7", d.hub.load, 7)
    fails("unknown option 'varient'; did you mean 'variant'?", d.hub.load, root, { varient = "fp16" })
  end)
end)

-- Single files of latent diffusion: the pipes that d.hub.load makes of them draw the images of diffusers.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local family = require "diffusion.nn.family"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local json = require "diffusion.file.json"
local ldm_file = require "spec.support.ldm_file"
local opts = require "diffusion.opts"
local ldm_text = require "diffusion.hub.foreign.ldm_text"
local ldm_unet = require "diffusion.hub.foreign.ldm_unet"
local ldm_vae = require "diffusion.hub.foreign.ldm_vae"
local peer = require "spec.support.peer_folder"
local peers = require "diffusion.nn.peers"
local plan = require "diffusion.hub.foreign.plan"
local text_folder = require "spec.support.text_folder"

local all = text_folder.read()
local images = assert(d.load "spec/fixtures/peers/text_pipelines.safetensors")

local root
setup(function() root = child.folder() end)
teardown(function() child.remove(root) end)

-- Cases of the fixture, the version of each, and what the keys of tiny networks don't tell.
local cases = {
  sd1_pndm = { "sd1", { heads = 2, scaling_factor = 0.5 } },
  sd2_v = { "sd2", { heads = { 1, 2 }, scaling_factor = 0.5, predict = "v" } },
  painter = { "sd1", { heads = 2, scaling_factor = 0.5 } },
  xl = { "xl", { heads = { 2, 4 } } },
  xl_painter = { "xl", { heads = { 2, 4 } } },
  refiner = { "refiner", { heads = { 2, 4 } } },
}

local kept, folders = {}, {}

-- The tensors of a file of a case.
local function tensors_of(name)
  local case, parts = all.cases[name], {}
  if not kept[name] then
    for part, config in pairs(case.parts) do parts[part] = peer.tensors(config, case.values) end
    kept[name] = ldm_file.tensors(cases[name][1], case.parts, parts)
  end
  return opts.joined(kept[name])
end

-- Writes a file of a case, and once the folder of the same pipeline, which has a tokenizer.
local function written(name, change)
  local path, folder = ("%s/%s%s.safetensors"):format(root, name, change and "-changed" or ""), root .. "/" .. name
  if change or not folders[name] then
    local tensors = tensors_of(name)
    if change then change(tensors) end
    assert(d.save(path, tensors))
  end
  if not folders[name] then text_folder.write(folder, all.cases[name], all) end
  if not (change or folders[name]) then folders[name] = true end
  return path, folder
end

local NONE = {} -- the value of an option that is left out

local function options(name, folder, more)
  local own = all.cases[name].parts.text_encoder and "/tokenizer" or "/tokenizer_2"
  local usual = { text_heads = 2, groups = 4, image = 16, tokenizer = folder .. own }
  local o = opts.joined(usual, cases[name][2], more or {})
  for key, value in pairs(opts.joined(o)) do
    if value == NONE then o[key] = nil end
  end
  return o
end

local function opened(name, more, change)
  local path, folder = written(name, change)
  return assert(d.hub.load(path, options(name, folder, more)))
end

local function gap(a, b) return (a - b):abs():max():item() end

-- The distance of a case's image from that of diffusers.
local function off(name, pipe)
  local case = all.cases[name]
  pipe.scheduler = case.scheduler
  local o, method = text_folder.call(case)
  return gap(text_folder.sampled(all, pipe[method](pipe, o)), images[name]:to(core.real))
end

describe("a single file of latent diffusion draws the images of diffusers:", function()
  for _, name in ipairs(opts.names(cases)) do
    it(name, exactly(function()
      local pipe = opened(name)
      assert.equal(name == "refiner" and "StableDiffusionXLImg2ImgPipeline" or all.cases[name].pipeline, pipe.class)
      assert(off(name, pipe) < 1e-4, off(name, pipe))
    end))
  end
end)

-- ==== keys of full size ==================================================================

-- Keys and shapes of a class, from its network alone. No values are made.
local function shapes_of(known, o)
  local shapes = {}
  family.model(known, o, { tensors = math.maxinteger, find = function(parameters)
    for _, p in ipairs(parameters) do shapes[peers.theirs(known.peers.diffusers, p[1])] = peers.shape(p[2]) end
    return nil, "listed"
  end })
  return shapes
end

-- FNV-1a of lines.
local function digest(lines)
  table.sort(lines)
  local h = 0xCBF29CE484222325
  for _, line in ipairs(lines) do
    for i = 1, #line do h = (h ~ line:byte(i)) * 0x100000001B3 end
    h = (h ~ 10) * 0x100000001B3
  end
  return ("%016x"):format(h)
end

-- A tensor of a key without values.
local Hollow = {}
Hollow.__index = Hollow
function Hollow:size(i) return self.shape[i] end
function Hollow:narrow() return self end
function Hollow:t() return setmetatable({ key = self.key, shape = { self.shape[2], self.shape[1] } }, Hollow) end

local function hollow(shapes)
  local out = {}
  for key, shape in pairs(shapes) do out[key] = setmetatable({ key = key, shape = shape }, Hollow) end
  return out
end

-- The shapes under LDM's keys, of those of diffusers.
local way_back = {
  unet = function(config, shapes)
    local out = {}
    for key, shape in pairs(shapes) do out[ldm_file.unet(config, key)] = shape end
    return out
  end,
  vae = function(config, shapes)
    local out = {}
    for key, shape in pairs(shapes) do
      local own = ldm_file.vae(config, key)
      out[own] = own:find "attn_1%.[^n].*weight$" and { shape[1], shape[2], 1, 1 } or shape
    end
    return out
  end,
  text = function(config, shapes)
    local out = { text_projection = { config.hidden_size, config.hidden_size }, logit_scale = {} }
    for key, shape in pairs(shapes) do
      local own, part = ldm_file.open_clip(key)
      if part then shape = { 3 * shape[1], shape[2] } end
      out[own] = shape
    end
    return out
  end,
}

local read = {
  unet = function(p)
    local _, numbers = ldm_unet.kind(p, nil)
    return ldm_unet.read(p, 64, numbers, nil)
  end,
  vae = function(p) return ldm_vae.read(p, 512, 1) end,
  text = function(p, whole)
    return ldm_text.read(p, "open_clip", { act = "gelu", penultimate = not whole, projection = whole })
  end,
}

local families = { unet = ldm_unet.known, vae = ldm_vae.known, text = ldm_text.known }

describe("the keys of LDM's modules become those of diffusers' functions:", function()
  for _, case in ipairs(assert(json.decode(assert(child.read "spec/fixtures/peers/ldm_keys.json")))) do
    local part = case.name:match "%-(%a+)2?$"
    it(case.name, function()
      local known, whole = families[part], case.name == "sdxl-text2"
      local o = peers.options(known, known.peers.diffusers, case.config)
      if part == "text" then o = opts.joined(o, { projection = whole, num_hidden_layers = whole and 32 or 24 }) end
      local shapes, lines = way_back[part](o, shapes_of(known, o)), {}
      for key, shape in pairs(shapes) do lines[#lines + 1] = key .. " " .. table.concat(shape, ",") end
      assert.equal(case.tensors, #lines)
      assert.equal(case.digest, digest(lines))

      local p = plan.new("file", hollow(shapes), shapes, {}, { facts = {}, prefix = "", get = function() end })
      local found = read[part](p, whole)
      local theirs, want = {}, shapes_of(known, found.options)
      for key, x in pairs(found.tensors()) do
        theirs[#theirs + 1] = ("%s %s"):format(key, x.key)
        want[part == "text" and not want[key] and "text_model." .. key or key] = nil
      end
      assert.equal(case.pairs, digest(theirs))
      assert.is_nil(next(want))
      for name, value in pairs(found.options) do
        local same = o[name] == nil or value == o[name] or name:find "_eps$" or name == "sample_size"
          or name == "scaling_factor" or name == "num_hidden_layers" or name:find "^projection" or name == "hidden_act"
        if not same then assert.same(o[name], value, name) end
      end
    end)
  end
end)

-- ==== facts of a file ====================================================================

local function refused(words, name, more, change)
  local path, folder = written(name, change)
  local none, message = d.hub.load(path, options(name, folder, more))
  assert.is_nil(none)
  assert(message:find(words, 1, true), message)
  assert.equal(1, (message:find(path, 1, true)))
end

-- Changes the file by functions of tables of tensors.
local function with(list)
  return function(tensors) for key, x in pairs(list) do tensors[key] = x or nil end end
end

local CAT = { prompt = "a red cat on the mat", steps = 2, seed = 1 }

describe("d.hub.load of a single file", function()
  it("has the weights as they are, mapped", function()
    local path, folder = written("xl", function(tensors)
      for key, x in pairs(tensors) do tensors[key] = x:to "f16" end
    end)
    local pipe = assert(d.hub.load(path, options("xl", folder)))
    for _, part in ipairs { "unet", "vae", "text", "text2" } do
      for name, p in pipe[part]:parameters() do assert(p:dtype() == "f16", name) end
    end
    local function is_copy(part, name) return pipe[part]:state()[name]:is_contiguous() end
    assert.is_false(is_copy("unet", "conv_in.weight") or is_copy("vae", "decoder.out.conv.weight")
      or is_copy("text2", "text_projection.weight"))
    assert.is_true(pipe(CAT):isfinite():all())
  end)

  it("is a pipe that can be saved as a folder, and draws the same from there", exactly(function()
    for _, name in ipairs { "sd2_v", "xl" } do
      local pipe, folder = opened(name), child.folder()
      local _ <close> = setmetatable({}, { __close = function() child.remove(folder) end })
      assert(d.hub.save(folder .. "/saved", pipe))
      local again = assert(d.hub.load(folder .. "/saved"))
      assert.equal(pipe.class, again.class)
      assert.is_true(pipe(CAT):equal(again(CAT)))
    end
  end))

  it("reads keys that stand below others", exactly(function()
    local pipe = opened("xl", nil, function(tensors)
      for key, x in pairs(opts.joined(tensors)) do tensors[key], tensors["model.state_dict." .. key] = nil, x end
    end)
    assert(off("xl", pipe) < 1e-4)
  end))

  it("reads PyTorch's files, with what training left in them", exactly(function()
    local tensors = tensors_of "sd1_pndm"
    local _, folder = written "sd1_pndm"
    for key, x in pairs(tensors) do tensors[key] = x:dtype() == "f32" and x:contiguous() or nil end
    local path = forge.file(forge.pt { state_dict = tensors, global_step = 7 }, ".ckpt")
    local _ <close> = setmetatable({}, { __close = forge.clean })
    local pipe = assert(d.hub.load(path, options("sd1_pndm", folder)))
    assert(off("sd1_pndm", pipe) < 1e-4)
  end))

  it("reads the keys that stable-diffusion.cpp gives to text encoders", exactly(function()
    local pipe = opened("xl", nil, function(tensors)
      for key, x in pairs(opts.joined(tensors)) do
        local own = key:match "^conditioner%.embedders%.0%.(.*)$"
        if own then tensors[key], tensors["cond_stage_model." .. own] = nil, x end
        own = key:match "^conditioner%.embedders%.1%.model%.(.*)$"
        if own then
          local stem = "cond_stage_model.1.transformer.text_model."
          own = own:gsub("transformer.resblocks.", "encoder.layers."):gsub("attn.in_proj_", "self_attn.in_proj.")
            :gsub("attn.out_proj", "self_attn.out_proj"):gsub("self_self_", "self_"):gsub("ln_([12])", "layer_norm%1")
            :gsub("c_fc", "fc1"):gsub("c_proj", "fc2"):gsub("ln_final", "final_layer_norm")
            :gsub("positional_embedding", "embeddings.position_embedding.weight")
            :gsub("^token_embedding", "embeddings.token_embedding")
          tensors[key], tensors[stem .. own] = nil, x
        end
      end
    end)
    assert(off("xl", pipe) < 1e-4)
  end))

  it("asks for what its keys don't tell", function()
    local path, folder = written("sd2_v", with {})
    local o = options("sd2_v", folder)
    o.predict = nil
    local none, message = d.hub.load(path, o)
    assert.is_nil(none)
    assert.equal(path .. ": a network of Stable Diffusion 2; its keys don't tell these options of d.hub.load: predict "
      .. "of eps, x0, v (the prediction target)", message)
    for _, mark in ipairs { "v_pred", "modelspec" } do
      local tensors = tensors_of "sd2_v"
      if mark == "v_pred" then tensors.v_pred = d.zeros(1) end
      assert(d.save(path, tensors, mark == "modelspec" and { ["modelspec.prediction_type"] = "v" } or nil))
      assert.equal("v", assert(d.hub.load(path, o)).process.predict)
    end
  end)

  it("has the scheduler of its version, and its own betas if they are others", function()
    local usual = d.schedule.scaled_linear { T = 1000, beta_start = 0.00085, beta_end = 0.012 }
    local function betas(schedule, T)
      local list = {}
      for t = 1, T do list[t] = schedule:beta(t) end
      return with { betas = d.tensor(list):to "f16" }
    end
    local pipe = opened("sd1_pndm", nil, betas(usual, 1000))
    assert.equal("PNDMScheduler", pipe.scheduler._class_name)
    assert.is_nil(pipe.scheduler.trained_betas)
    assert.near(usual:alpha_bar(500), pipe.process.schedule:alpha_bar(500), 1e-6)
    pipe = opened("sd1_pndm", nil, betas(d.schedule.linear { T = 100 }, 100))
    assert.equal(100, pipe.process.T)
    assert.near(d.schedule.linear { T = 100 }:alpha_bar(50), pipe.process.schedule:alpha_bar(50), 1e-3)
    refused("its betas make no schedule: beta 1 is 7", "sd1_pndm", nil, with { betas = d.full({ 10 }, 7) })

    pipe = opened("xl", nil, with { v_pred = d.zeros(1), ztsnr = d.zeros(1) })
    assert.equal("EulerDiscreteScheduler", pipe.scheduler._class_name)
    assert.equal("v", pipe.process.predict)
    assert(pipe.process.schedule:alpha_bar(1000) < 1e-6)
    assert.equal("DDIMScheduler", opened("sd2_v", { scheduler = "DDIMScheduler" }).scheduler._class_name)
    local own = d.process { schedule = usual, predict = "x0" }
    assert.equal(own, opened("sd2_v", { process = own }).process)
    assert.equal("PNDMScheduler", opened("sd2_v", { predict = "eps" }).scheduler._class_name)
    assert.equal("x0", opened("sd1_pndm", { predict = "x0" }).process.predict)
    assert.same({ 1, 32, 24, 3 }, opened("sd1_pndm", { image = { 32, 24 } }) { prompt = "a", steps = 1 }:shape())
    assert.equal("v", opened("sd2_v", { schedule = "cosine", T = 50 }).process.predict)
  end)

  it("takes the average that training left, if that is asked for", function()
    local function with_average(tensors)
      for key, x in pairs(tensors_of "sd1_pndm") do
        local own = key:match "^model%.(diffusion_model.*)$"
        if own then tensors["model_ema." .. own:gsub("%.", "")] = x * 2 end
      end
    end
    local plain, average = opened("sd1_pndm", nil, with_average), opened("sd1_pndm", { ema = true }, with_average)
    for name, p in plain.unet:parameters() do assert(average.unet:state()[name]:equal(p * 2), name) end
    refused("ema = true: there is no average of 'model.diffusion_model.", "sd1_pndm", { ema = true })
  end)

  it("may have its networks alone", exactly(function()
    local function keep(pattern)
      return function(tensors)
        for key in pairs(tensors) do tensors[key] = key:find(pattern) and tensors[key] or nil end
      end
    end
    local whole = opened "sd1_pndm"
    local inputs, without = whole:encode_prompt { prompt = CAT.prompt }
    local z = d.sample { model = whole.unet, process = whole.process, shape = { 1, 8, 8, 4 }, steps = 2, seed = 1,
      inputs = inputs }
    local pipe = opened("sd1_pndm", { text_heads = NONE, scaling_factor = NONE }, keep "^model%.")
    assert.is_nil(pipe.vae or pipe.text)
    assert.same({ 1, 2, 2, 4 }, pipe { prompt = inputs, negative = without, steps = 2 }:shape())
    fails("has no text encoder", function() pipe(CAT) end)
    assert(whole.unet(z, 5, inputs):equal(pipe.unet(z, 5, inputs)))
    local path, folder = written("sd1_pndm", keep "^first")
    local o = options("sd1_pndm", folder, { tokenizer = NONE, heads = NONE, text_heads = NONE, image = NONE })
    local alone = assert(d.hub.load(path, o))
    assert.equal("AutoencoderKL", alone.class)
    assert.is_true(alone:decode(z):equal(whole:decode(z)))
    assert.is_true(opened("sd1_pndm", { text = false, text_heads = NONE }):decode(z):equal(whole:decode(z)))
    assert.is_nil(opened("sd1_pndm", { vae = false, scaling_factor = NONE }).vae)
  end))

  it("is an autoencoder for other pipes, with the scale of their latents", exactly(function()
    local tensors = {}
    for key, x in pairs(tensors_of "xl") do
      local own = key:match "^first_stage_model%.(.*)$"
      if own then tensors[own] = x end
    end
    local path = root .. "/vae.safetensors"
    assert(d.save(path, tensors))
    local none, message = d.hub.load(path, { groups = 4 })
    assert.is_nil(none)
    assert(message:find("an autoencoder of latent diffusion; its keys don't tell these options of d.hub.load: "
      .. "scaling_factor", 1, true), message)
    assert.equal(2, d.hub.load(path, { groups = 4, scaling_factor = 2 }).vae:config().scaling_factor)
    local folder = select(2, written "xl")
    for _, pipe in ipairs { opened("xl", { vae = path }), assert(d.hub.load(folder, { vae = path, groups = 4 })) } do
      assert.equal(0.13025, pipe.vae:config().scaling_factor)
      assert(off("xl", pipe) < 1e-4)
    end
    local text = root .. "/text.safetensors"
    assert(d.save(text, { ["model.diffusion_model.x"] = d.ones(1) }))
    none, message = d.hub.load(folder, { vae = text })
    assert.is_nil(none)
    assert(message:find(text .. ": its keys are those of no network that is known here", 1, true), message)
    local denoiser = root .. "/denoiser.safetensors"
    tensors = tensors_of "sd1_pndm"
    for key in pairs(tensors) do tensors[key] = key:find "^model%." and tensors[key] or nil end
    assert(d.save(denoiser, tensors))
    none, message = d.hub.load(folder, { vae = denoiser })
    assert.is_nil(none)
    assert.equal(denoiser .. ": a denoiser of latent diffusion without its autoencoder", message)
    none, message = d.hub.load(folder, { vae = folder .. "/vae/diffusion_pytorch_model.safetensors" })
    assert.is_nil(none)
    assert(message:find("a network of diffusers; open its folder, which has config.json", 1, true), message)
  end))

  it("has no tokenizer, which a prompt says", function()
    local path, folder = written "xl"
    local o = options("xl", folder)
    o.tokenizer = nil
    local pipe = assert(d.hub.load(path, o))
    fails('pipe:text2image: there is no tokenizer; give one, as tokenizer = "path" of d.hub.load or as pipe.tokenizer',
      function() pipe:text2image(CAT) end)
    pipe.tokenizer = assert(d.tokenizer(folder .. "/tokenizer"))
    fails("or as pipe.tokenizer2", function() pipe:text2image(CAT) end)
    pipe.tokenizer2 = assert(d.tokenizer { path = folder .. "/tokenizer", pad = "!" })
    assert.is_true(pipe:text2image(CAT):equal(opened "xl":text2image(CAT)))
    o.tokenizer = folder .. "/none"
    local none, message = d.hub.load(path, o)
    assert.is_nil(none)
    assert(message:find(folder .. "/none", 1, true), message)
  end)

  it("is the refiner only without a second text encoder", function()
    local p = plan.new("file", {}, { ["label_emb.0.0.weight"] = { 8, 16 + 6 * 10 } }, {}, {})
    assert.same({ "xl", 6 }, { ldm_unet.kind(p, 16, true) })
    assert.same({ "refiner", 5 }, { ldm_unet.kind(p, 16) })
  end)

  it("refuses options that no part of it needs", function()
    for name, value in pairs { classes = 3, precondition = "edm", variance = "learned", qkv_order = "new",
      sigma_data = 1, T = 10, time = "t", rescale_timesteps = true, version = "1", head_channels = 4 } do
      refused(("option '%s' isn't needed"):format(name), "sd1_pndm", { [name] = value })
    end
    refused("option 'text_heads' isn't needed", "sd1_pndm", { text = false })
  end)

  it("refuses networks that it can't run, in a sentence", function()
    local unet = "model.diffusion_model."
    local function size(key, n) return with { [key] = d.zeros(n) } end
    refused("its denoiser reads 8 channels and makes 4; 4 are run here, or 9 for inpainting", "sd1_pndm", nil,
      size(unet .. "input_blocks.0.0.weight", { 8, 8, 3, 3 }))
    refused("is conditioned on a class, as upscalers are", "sd1_pndm", nil, size(unet .. "label_emb.weight", { 10, 8 }))
    refused("its label_emb reads 9 numbers", "xl", nil, size(unet .. "label_emb.0.0.weight", { 32, 9 }))
    refused("has a codebook", "sd1_pndm", nil, size("first_stage_model.quantize.embedding.weight", { 4, 4 }))
    refused("CosXL, which has another process", "xl", nil, size("edm_vpred.sigma_max", 1))
    refused("Playground 2.5, which has another process", "xl", nil, size("edm_mean", 4))
    refused("several networks, under the keys ", "sd1_pndm", nil, size("decoder.up.0.block.0.norm1.weight", 4))
    refused("its middle block has no attention", "sd1_pndm", nil, function(tensors)
      for key in pairs(tensors) do if key:find "middle_block.1.trans" then tensors[key] = nil end end
      tensors[unet .. "middle_block.1.transformer_blocks.0.attn2.to_k.weight"] = nil
    end)
    refused("'input_blocks.1.0.out_layers.3.weight' is missing", "sd1_pndm", nil, function(tensors)
      tensors[unet .. "input_blocks.1.0.out_layers.3.weight"] = nil
    end)
    refused("1 tensor is missing ('mid_block.resnets.0.conv1.bias')", "sd1_pndm", nil, function(tensors)
      tensors[unet .. "middle_block.0.in_layers.2.bias"] = nil
    end)
    refused("1 tensor is unexpected ('decoder.new.weight')", "sd1_pndm", nil,
      size("first_stage_model.decoder.new.weight", 1))
    refused("its text encoder has no text_projection", "xl", nil, function(tensors)
      tensors["conditioner.embedders.1.model.text_projection"] = nil
      tensors[unet .. "label_emb.0.0.weight"] = d.zeros(32, 1280 + 6 * 256)
    end)
    local path, folder = written "sd1_pndm"
    local o = options("sd1_pndm", folder, { head_channels = 3 })
    o.heads = nil
    local none, message = d.hub.load(path, o)
    assert.is_nil(none)
    assert.equal(path .. ": heads of 3 channels don't divide 8 channels", message)
  end)
end)

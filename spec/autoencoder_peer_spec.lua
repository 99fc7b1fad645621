-- AutoencoderTiny and VQModel against diffusers, over the configurations of spec/peers/autoencoders.py:
-- keys, outputs, gradients. Then what is ours: files, printing, training, messages.
local d = require "diffusion"
local exactly = require "spec.support.exactly"
local autoencoders = require "spec.support.peer_autoencoders"
local cases = require "spec.support.peer_cases"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local family = require "diffusion.nn.family"
local hub_folder = require "spec.support.hub_folder"
local peers = require "diffusion.nn.peers"

local two_levels = { encoder_block_out_channels = { 8, 8 }, decoder_block_out_channels = { 8, 8 },
  num_encoder_blocks = { 1, 1 }, num_decoder_blocks = { 1, 1 } }
local small = { block_out_channels = { 8, 16 }, down_block_types = { "DownEncoderBlock2D", "DownEncoderBlock2D" },
  up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D" }, norm_num_groups = 4, num_vq_embeddings = 8 }

local function joined(a, b)
  local out = {}
  for _, t in ipairs { a, b or {} } do for key, value in pairs(t) do out[key] = value end end
  return out
end

local function tiny(more) return d.autoencodertiny(joined(two_levels, more)) end
local function vq(more) return d.vq(joined(small, more)) end

describe("autoencoders of diffusers", function()
  for k, case in ipairs(cases.read "spec/fixtures/peers/autoencoders.safetensors") do
    it(("have the same outputs and gradients, case %d, %s"):format(k, case.class), exactly(function()
      for name, ratio in pairs(autoencoders.compare(case)) do
        assert(ratio < 2e-5, ("%s: %.3g"):format(name, ratio))
      end
    end))
  end

  it("have the tensors of TAESD and of LDM's VQ-f4 at their size", function()
    local tensors, elements = cases.size "autoencodertiny"
    assert.same({ 134, 2445063 }, { tensors, elements })
    local three = { "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D" }
    tensors, elements = cases.size("vq", { block_out_channels = { 128, 256, 512 }, down_block_types = three,
      up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D" }, layers_per_block = 2,
      num_vq_embeddings = 8192 })
    assert.same({ 205, 55322782 }, { tensors, elements })
  end)

  it("take older names of attention", function()
    local model = vq()
    local entry = family.find("vq").peers.diffusers
    local state, older, n = peers.saved(entry, model:state()), {}, 0
    for key, x in pairs(state) do
      local old = key:gsub("%.to_q%.", ".query."):gsub("%.to_k%.", ".key."):gsub("%.to_v%.", ".value.")
        :gsub("%.to_out%.0%.", ".proj_attn.")
      if old ~= key then n = n + 1 end
      older[old] = x
    end
    assert.equal(16, n)
    local again = assert(peers.model(family.find "vq", small, older))
    local x = d.randn(1, 8, 8, 3)
    assert.is_true(model:encode(x):equal(again:encode(x)))
  end)
end)

-- ==== several networks as one model ==========================================================

describe("a model of several networks", function()
  it("is one tree, with one count", function()
    local model = tiny()
    local text = tostring(model)
    assert.equal("autoencodertiny(channels 3, latents 4, levels 2): 9,191 parameters", text:match "^[^\n]*")
    assert(text:find "\n  encoder: encoder%(3 %-> 4%) +%d")
    assert(text:find "\n    layers: group")
    assert(text:find "\n      1: tiny_block%(8%) +1,752\n")
    assert.equal(9191, model:count())
  end)

  it("is saved and loaded with its options", function()
    for _, model in ipairs { tiny { latent_shift = 0.25 }, vq { act_fn = "mish", norm_num_groups = 2 } } do
      local path, x = os.tmpname(), d.randn(2, 8, 8, 3)
      assert(model:save(path))
      local again = assert(d.load_model(path))
      local frozen = assert(d.load_model(path, { frozen = true }))
      assert.is_true(model(x):equal(again(x)))
      assert.is_true(model(x):equal(frozen(x)))
      assert.equal(tostring(model), tostring(again))
      assert.same(model:config(), again:config())
      os.remove(path)
    end
  end)

  it("is frozen by the paths of its parts", function()
    local model = vq()
    model:freeze "^encoder"
    local frozen, all = 0, 0
    for name, p in model:parameters() do
      all = all + p:numel()
      if name:find "^encoder" then frozen = frozen + p:numel() end
    end
    local total, trainable = model:count()
    assert.same({ all, all - frozen }, { total, trainable })
    d.record(function()
      local y, loss = model(d.randn(1, 8, 8, 3))
      return y:sum() + loss
    end):backward()
    for name, p in model:parameters() do
      local has = p.grad ~= nil
      assert.equal(not name:find "^encoder", has, name)
    end
  end)

  it("refuses a file with more or fewer tensors", function()
    local model = tiny()
    local state = model:state()
    state["encoder.layers.0.bias"] = nil
    fails("'encoder.layers.0.bias' [8] is missing", model.load_state, model, state)
  end)

  it("recomputes its blocks to the same bits", function()
    local function gradients(make, recompute)
      d.manual_seed(2)
      local model = make { recompute = recompute }
      d.record(function() return (model(d.ones(1, 8, 8, 3) * 0.3)):sum() end):backward()
      local all = {}
      for name, p in model:parameters() do all[#all + 1] = name .. (p.grad and p.grad:bytes() or "") end
      return table.concat(all)
    end
    assert.equal(gradients(tiny, false), gradients(tiny, true))
    assert.equal(gradients(vq, false), gradients(vq, true))
  end)
end)

-- ==== folders ================================================================================

describe("d.hub.load", function()
  -- A folder with a network, as diffusers writes it.
  local function written(model, root, more)
    local known = family.find(model:config().kind)
    local entry = known.peers.diffusers
    local config = peers.config(known, entry, model:config())
    config._class_name = entry.class
    more = more or {}
    local part = more.part and more.part .. "/" or ""
    hub_folder.write(root, joined({ [part .. "config.json"] = config,
      [part .. "diffusion_pytorch_model.safetensors"] = peers.saved(entry, model:state()) }, more.files))
  end

  local function opened(model, more, options)
    local root = os.tmpname()
    os.remove(root)
    written(model, root, more)
    local pipe, message = d.hub.load(root, options)
    os.execute("rm -r " .. root)
    return assert(pipe, message)
  end

  it("opens autoencoders", function()
    local x = d.randn(1, 8, 8, 3)
    for _, model in ipairs { tiny(), vq { norm_num_groups = 2 } } do
      local vae = opened(model).vae
      assert.is_true(model:encode(x):equal(vae:encode(x)))
      assert.is_true((model(x)):equal((vae(x))))
    end
  end)

  it("draws latents without an autoencoder, as they are", function()
    local dit = d.dittransformer2d { sample_size = 4, num_attention_heads = 1, attention_head_dim = 8,
      num_layers = 1, out_channels = 8, num_embeds_ada_norm = 5 }
    local scheduler = { _class_name = "DDIMScheduler", clip_sample = false }
    local index = { _class_name = "DiTPipeline", transformer = { "diffusers", "DiTTransformer2DModel" },
      scheduler = { "diffusers", "DDIMScheduler" }, vae = { "diffusers", "AutoencoderKL" } }
    local pipe = opened(dit, { part = "transformer", files = { ["model_index.json"] = index,
      ["scheduler/scheduler_config.json"] = scheduler } }, { vae = false })
    assert.equal(5, require("diffusion.nn.model").classes(pipe.unet))
    local z = pipe { class = { 1, 2, 0 }, steps = 2, seed = 1 }
    assert.same({ 3, 4, 4, 4 }, z:shape())
    assert(z:abs():max():item() > 1.5) -- nothing is predicted, so about 1 / signal of the first level
  end)
end)

-- ==== each ===================================================================================

describe("d.autoencodertiny", function()
  it("says what it is called with", function()
    local model = tiny()
    fails("autoencodertiny:encode: images are a tensor {B, H, W, 3}, got [8,8,3]", model.encode, model,
      d.zeros(8, 8, 3))
    fails("images are a tensor {B, H, W, 3}, got 'x.png'", model.encode, model, "x.png")
    fails("images is of u8; floats expected", model.encode, model, d.zeros(1, 8, 8, 3):to "u8")
    fails("decode: latents are a tensor {B, H, W, 4}, got [1,4,4,3]", model.decode, model, d.zeros(1, 4, 4, 3))
    fails("autoencodertiny:decode takes no options, got table; tiles are an option of autoencoderkl",
      model.decode, model, d.zeros(1, 4, 4, 4), { tile = true })
    fails("autoencodertiny:scale_latents: latents must be a tensor, got 3", model.scale_latents, model, 3)
    fails("autoencodertiny:unscale_latents: latents must be a tensor, got table", model.unscale_latents, model, { 3 })
  end)

  it("takes the keys of taesd.py's two files", function()
    local known = family.find "autoencodertiny"
    local model = tiny()
    local theirs = peers.saved(known.peers.taesd, model:state())
    assert.is_truthy(theirs["encoder.1.conv.4.bias"])
    assert.is_truthy(theirs["decoder.1.weight"])
    assert.is_truthy(theirs["decoder.3.conv.0.weight"])
    local again = assert(peers.model(known, two_levels, theirs, { entry = known.peers.taesd }))
    local z = d.randn(1, 4, 4, 4)
    assert.is_true(model:decode(z):equal(again:decode(z)))
  end)

  it("is read from taesd.py's files: two halves, or both in one", function()
    local folder, known, model = forge.folder(), family.find "autoencodertiny", tiny()
    local both, z = peers.saved(known.peers.taesd, model:state()), d.randn(1, 4, 4, 4)
    local function path(name) return ("%s/%s"):format(folder, name) end
    local function save(name, tensors)
      local dense = {}
      for key, x in pairs(tensors) do dense[key] = x:contiguous():to "f32" end
      local file <close> = assert(io.open(path(name), "wb"))
      file:write(forge.pt(dense))
    end
    local function half(which, more)
      local out = more or {}
      for key, x in pairs(both) do if key:find("^" .. which) then out[key:sub(#which + 2)] = x end end
      return out
    end
    save("encoders_encoder.pth", half "encoder")
    save("encoders_decoder.pth", half "decoder")
    save("both.pt", both)
    for _, name in ipairs { "encoders_encoder.pth", "encoders_decoder.pth", "both.pt" } do
      local pipe = assert(d.hub.load(path(name)))
      assert.is_true(model:decode(z):allclose(pipe.vae:decode(z), { rtol = 1e-5, atol = 1e-5 }))
      assert.same(model:config().num_decoder_blocks, pipe.vae:config().num_decoder_blocks)
      assert(tostring(pipe):find("autoencoder of TAESD", 1, true))
    end
    local dit = d.dittransformer2d { sample_size = 4, num_attention_heads = 1, attention_head_dim = 8, num_layers = 1,
      out_channels = 4, num_embeds_ada_norm = 5 }
    assert(d.hub.save(path "dit", { unet = dit, vae = model, pipeline = "DiTPipeline",
      scheduler = { _class_name = "DDIMScheduler" } }))
    local seen = assert(d.hub.load(path "dit", { tiny = path "encoders_decoder.pth" }))
    assert.is_true(model:decode(z):clamp(-1, 1):allclose(seen:preview(z), { rtol = 1e-5, atol = 1e-5 }))
    local pipe = assert(d.hub.load(path "dit", { vae = path "encoders_decoder.pth" }))
    assert.is_true(model:decode(z):allclose(pipe.vae:decode(z), { rtol = 1e-5, atol = 1e-5 }))
    local function refused(words, name, options)
      local none, message = d.hub.load(path(name), options)
      assert.is_nil(none)
      assert(message:find(words, 1, true), message)
    end
    refused("option 'T' isn't needed", "both.pt", { T = 1000 })
    save("one_encoder.pth", half "encoder")
    refused("the encoder of a TAESD; its decoder isn't there: " .. path "one_decoder.pth", "one_encoder.pth")
    save("one_decoder.pth", half "encoder")
    refused("one_decoder.pth: not the decoder of ", "one_encoder.pth")
    save("plain.pth", half "decoder")
    refused("the file's name has no 'decoder' in whose place 'encoder' could be", "plain.pth")
    save("one_decoder.pth", half("decoder", { ["900000000000.bias"] = d.ones(1) }))
    refused("its decoder has layer 900000000000, but 400 is the last", "one_encoder.pth")
    save("one_decoder.pth", half("decoder", { ["3.pool.0.weight"] = d.ones(1) }))
    refused("'decoder.3.pool.0.weight': blocks with pools", "one_encoder.pth")
    forge.clean()
  end)

  it("refuses what that class can't run", function()
    fails("entry 2 of encoder_block_out_channels is 4 and the first is 8; that class runs with equal ones only", tiny,
      { encoder_block_out_channels = { 8, 4 } })
    fails("decoder_block_out_channels has 1 levels, but num_decoder_blocks has 2", tiny,
      { decoder_block_out_channels = { 8 } })
    fails("unknown value 'bilinear'", tiny, { upsample_fn = "bilinear" })
  end)

  it("scales latents to the bytes of a picture and back", function()
    local model = tiny { latent_magnitude = 2, latent_shift = 0.25 }
    local z = d.tensor { { { { -5, -1, 0, 1, 2.5, 9 } } } }
    assert.allclose({ 0, 0, 0.25, 0.5, 0.875, 1 }, model:scale_latents(z):flatten():totable())
    assert.allclose({ -1, -1, 0, 1, 2.5, 3 }, model:unscale_latents(model:scale_latents(z)):flatten():totable())
  end)

  it("has a gradient through its rounded latents", function()
    local model, x = tiny(), d.randn(1, 8, 8, 3) * 0.5
    local rounded = d.grad(function(v) return model(v):sum() end, x)
    assert(rounded:isfinite():all() and rounded:abs():max():item() > 0)
  end)

  it("has its options as the config of that class, and back", function()
    local known = family.find "autoencodertiny"
    local config = peers.config(known, known.peers.diffusers, tiny():config())
    assert.same({ 8, 8 }, config.encoder_block_out_channels)
    assert.is_nil(config.recompute)
    config.act_fn, config.block_out_channels = "SiLU", { 8, 8 } -- that class writes a list under two names
    local options, unknown = peers.options(known, known.peers.diffusers, config)
    assert.same({}, unknown)
    assert.equal("silu", d.autoencodertiny(options):config().act_fn)
  end)
end)

describe("d.vq", function()
  it("takes the nearest row, the first of equal ones", function()
    local model = vq { vq_embed_dim = 2, num_vq_embeddings = 4 }
    model.quantize.embedding.weight:copy_(d.tensor { { 0, 0 }, { 1, 0 }, { 1, 0 }, { 0, 3 } })
    local z = d.tensor { { { { 0.4, 0.1 }, { 0.6, -0.2 } }, { { 9, 0 }, { 0, 1.6 } } } }
    local quantised, loss, rows = model.quantize(z)
    assert.same({ 1, 2, 2, 4 }, rows:flatten():totable())
    assert.allclose({ 0, 0, 1, 0, 1, 0, 0, 3 }, quantised:flatten():totable(), { atol = 1e-6 })
    assert.is_true(model.quantize:lookup(rows):equal(quantised:round()))
    local squares = (0.4 ^ 2 + 0.1 ^ 2 + 0.4 ^ 2 + 0.2 ^ 2 + 8 ^ 2 + 1.4 ^ 2) / 8
    assert.allclose({ 1.25 * squares }, { loss:item() }, { rtol = 1e-5 })
  end)

  it("moves the codebook and the latents by two terms, which legacy exchanges", function()
    for _, legacy in ipairs { true, false } do
      local model = vq { vq_embed_dim = 1, num_vq_embeddings = 1, beta = 0.5, legacy = legacy }
      local rows = model.quantize.embedding.weight
      rows:fill_(2)
      local z = d.full({ 1, 1, 1, 1 }, 5)
      local dz = d.grad(function(v) return select(2, model.quantize(v)) end, z)
      d.record(function() return select(2, model.quantize(z)) end):backward()
      assert.allclose({ legacy and 6 or 3 }, dz:flatten():totable())
      assert.allclose({ legacy and -3 or -6 }, rows.grad:flatten():totable())
      local passed = d.grad(function(v) return (model.quantize(v) * 7):sum() end, z)
      assert.allclose({ 7 }, passed:flatten():totable())
    end
  end)

  it("says what it is called with", function()
    local model = vq { vq_embed_dim = 2 }
    fails("vq:encode: images are a tensor {B, H, W, 3}, got 3", model.encode, model, 3)
    fails("quantize: latents are a tensor {B, H, W, 2}, got [1,4,4,3]", model.decode, model,
      d.zeros(1, 4, 4, 3))
    fails("vq:decode: latents are a tensor {B, H, W, 2}, got [1,4,4,3]", model.decode, model,
      d.zeros(1, 4, 4, 3), { force_not_quantize = true })
    fails("vq:encode takes no options", model.encode, model, d.zeros(1, 8, 8, 3), { tile = true })
    local looking = vq { lookup_from_codebook = true }
    fails("embedding: index 1 is 9, outside 0..8", looking.decode, looking, d.full({ 1, 2, 2 }, 9):to "i64",
      { force_not_quantize = true })
  end)

  it("refuses lists of unequal lengths, and a spatial norm of other latents", function()
    fails("vq: block_out_channels has 2 levels, but down_block_types has 1", vq,
      { down_block_types = { "DownEncoderBlock2D" } })
    fails("vq: norm_type = 'spatial' needs vq_embed_dim to be latent_channels, 3, got 4", vq,
      { norm_type = "spatial", vq_embed_dim = 4 })
    fails("entry 1: one of DownEncoderBlock2D, AttnDownEncoderBlock2D expected, got 'DownBlock2D'", vq,
      { down_block_types = { "DownBlock2D", "DownBlock2D" } })
    fails("vq: entry 1 of block_out_channels is 48, no multiple of the groups of spatial norms, 32", vq,
      { norm_type = "spatial", block_out_channels = { 48, 64 } })
  end)

  it("begins with a codebook within 1 / its rows", function()
    local w = vq({ num_vq_embeddings = 64 }).quantize.embedding.weight
    assert(w:abs():max():item() <= 1 / 64 and w:std():item() > 0.5 / 64)
  end)

  it("learns to reproduce images", function()
    d.manual_seed(4)
    local model = vq { num_vq_embeddings = 32 }
    local opt = d.adamw(model, { lr = 2e-3 })
    local x = d.cat({ d.full({ 2, 8, 8, 3 }, 0.8), d.full({ 2, 8, 8, 3 }, -0.8) }, 1)
    local first, last
    for step = 1, 40 do
      local loss = d.record(function()
        local y, codebook = model(x)
        return d.mse(y, x) + codebook
      end)
      loss:backward()
      opt:step { zero = true }
      if step == 1 then first = loss:item() end
      last = loss:item()
    end
    assert(last < 0.4 * first, ("%g to %g"):format(first, last))
    assert.equal(core.real, model:encode(x):dtype())
  end)
end)

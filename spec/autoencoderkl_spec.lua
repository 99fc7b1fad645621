-- AutoencoderKL against diffusers, over the configurations of spec/peers/autoencoderkl.py: keys, outputs,
-- gradients, tiles. Then what is ours: folders, the call, training, messages.
local autoencoders = require "spec.support.peer_autoencoders"
local cases = require "spec.support.peer_cases"
local child = require "spec.support.child"
local core = require "diffusion.core"
local d = require "diffusion"
local digest = require("spec.support.peer_unet2d").digest
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local family = require "diffusion.nn.family"
local peers = require "diffusion.nn.peers"

local function joined(a, b)
  local out = {}
  for _, t in ipairs { a, b or {} } do for key, value in pairs(t) do out[key] = value end end
  return out
end

local small = { block_out_channels = { 8, 8 }, down_block_types = { "DownEncoderBlock2D", "DownEncoderBlock2D" },
  up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D" }, norm_num_groups = 4, sample_size = 8 }

local function small_model(more) return d.autoencoderkl(joined(small, more)) end

describe("AutoencoderKL of diffusers", function()
  for k, case in ipairs(cases.read "spec/fixtures/peers/autoencoderkl.safetensors") do
    it(("has the same outputs and gradients, case %d%s"):format(k, case.tile and ", in tiles" or ""),
      exactly(function()
        for name, ratio in pairs(autoencoders.compare(case)) do
          assert(ratio < 1e-5, ("%s: %.3g"):format(name, ratio))
        end
      end))
  end

  -- The digests are of the peer's keys and shapes, by `digest` of spec/peers/unet2d.py.
  it("has the tensors of those of Stable Diffusion and of Flux at their size", function()
    local function four(name) return { name, name, name, name } end
    local function size(more)
      local tensors, elements, shapes = cases.size("autoencoderkl", joined({ layers_per_block = 2,
        block_out_channels = { 128, 256, 512, 512 }, down_block_types = four "DownEncoderBlock2D",
        up_block_types = four "UpDecoderBlock2D" }, more))
      return { tensors, elements, (digest(shapes)) }
    end
    assert.same({ 248, 83653863, "20498db8d89be505" }, size {})
    assert.same({ 244, 83819683, "9901579ee9697f94" }, size { latent_channels = 16, use_quant_conv = false,
      use_post_quant_conv = false })
  end)

  it("takes older names of attention, and its weights as convolutions", function()
    local model, known = small_model(), family.find "autoencoderkl"
    local older, n = {}, 0
    for key, x in pairs(peers.saved(known.peers.diffusers, model:state())) do
      local old = key:gsub("%.to_q%.", ".query."):gsub("%.to_k%.", ".key."):gsub("%.to_v%.", ".value.")
        :gsub("%.to_out%.0%.", ".proj_attn.")
      if old ~= key then n = n + 1 end
      older[old] = old ~= key and x:dim() == 2 and x:reshape(x:size(1), x:size(2), 1, 1) or x
    end
    assert.equal(16, n)
    local again = assert(peers.model(known, small, older))
    local x = d.randn(1, 8, 8, 3)
    assert.is_true((model:encode(x)):equal((again:encode(x))))
  end)
end)

-- ==== folders ================================================================================

describe("a folder of an AutoencoderKL", function()
  it("is written and opened, with the options that only a pipeline reads", function()
    local root, x = child.folder(), d.randn(1, 8, 8, 3)
    for _, more in ipairs { {}, { use_quant_conv = false, use_post_quant_conv = false, shift_factor = 0.1159,
      scaling_factor = 0.3611, latents_mean = { 0.5, 0, 0, -1 }, latents_std = { 1, 2, 3, 4.5 },
      sample_size = { 8, 8 } } } do
      local model = small_model(more)
      assert(d.hub.save(root, model))
      local pipe = assert(d.hub.load(root))
      assert.equal("AutoencoderKL", pipe.class)
      assert.same(model:config(), pipe.vae:config())
      assert.is_true((model:encode(x)):equal((pipe.vae:encode(x))))
      local again = root .. "/again"
      assert(d.hub.save(again, pipe.vae))
      for _, name in ipairs { "config.json", "diffusion_pytorch_model.safetensors" } do
        assert.equal(child.read(root .. "/" .. name), child.read(again .. "/" .. name))
      end
    end
    child.remove(root)
  end)

  it("is part of a pipeline, whose latents it decodes", function()
    local root = child.folder()
    local vae = small_model { scaling_factor = 0.5 }
    local unet = d.unet2d { sample_size = 4, in_channels = 4, out_channels = 4, block_out_channels = { 8 },
      down_block_types = { "DownBlock2D" }, up_block_types = { "UpBlock2D" }, norm_num_groups = 4 }
    assert(d.hub.save(root, { unet = unet, vae = vae, scheduler = { _class_name = "DDIMScheduler" } }))
    local pipe = assert(d.hub.load(root))
    local images = pipe { n = 2, steps = 2, seed = 1 }
    assert.same({ 2, 8, 8, 3 }, images:shape())
    local z = pipe:steps { n = 2, steps = 2, seed = 1 }:finish()
    assert.is_true(images:equal(vae:decode(z * 2):clamp(-1, 1)))
    child.remove(root)
  end)
end)

-- ==== the call ===============================================================================

describe("d.autoencoderkl", function()
  it("is called for training, with its own numbers or given ones", function()
    local model, x = small_model(), d.randn({ 2, 8, 8, 3 }, { seed = 1 })
    local mean, std = model:encode(x)
    local eps = d.randn({ 2, 4, 4, 4 }, { seed = 2 })
    local y, divergence = model(x, { eps = eps })
    assert.allclose(model:decode(mean + std * eps), y, { atol = 1e-5 })
    local terms = (mean ^ 2 + std ^ 2 - 1 - (std ^ 2):log()) / 2
    assert.allclose(terms:sum(4):sum(3):sum(2), divergence, { rtol = 1e-4 })
    assert.is_true((model(x, { seed = 5 })):equal((model(x, { seed = 5 }))))
    assert.is_false((model(x)):equal((model(x))))
  end)

  it("keeps the variance between e^-30 and e^20", function()
    local model = small_model { use_quant_conv = false }
    local bias = model:state()["encoder.out.conv.bias"]
    bias:copy_(d.cat({ d.zeros(4), d.tensor { -99, 99, -99, 99 } }, 1))
    local _, std = model:encode(d.zeros(1, 8, 8, 3))
    assert.allclose({ -15, 10, -15, 10 }, std[{ 1, 1, 1 }]:log():totable(), { rtol = 1e-5 })
  end)

  it("changes every parameter in a step of training, with recompute to the same bits", function()
    local function trained(recompute)
      d.manual_seed(3)
      local model, before = small_model { recompute = recompute }, {}
      for name, p in model:parameters() do before[name] = p:clone() end
      local opt, x, eps = d.adamw(model, { lr = 1e-2 }), d.randn(2, 8, 8, 3), d.randn(2, 4, 4, 4)
      d.record(function()
        local y, divergence = model(x, { eps = eps })
        return d.mse(y, x) + divergence:mean() * 1e-3
      end):backward()
      opt:step()
      local bits = {}
      for name, p in model:parameters() do
        assert.is_true(p:ne(before[name]):any(), name)
        bits[#bits + 1] = p:bytes()
      end
      return table.concat(bits)
    end
    assert.is_true(trained(false) == trained(true))
  end)

  it("learns to reproduce images", function()
    d.manual_seed(4)
    local model = small_model()
    local opt, first, last = d.adamw(model, { lr = 3e-3 }), nil, nil
    local x = d.cat({ d.full({ 2, 8, 8, 3 }, 0.8), d.full({ 2, 8, 8, 3 }, -0.8) }, 1)
    for step = 1, 40 do
      local loss = d.record(function()
        local y, divergence = model(x, { seed = step })
        return d.mse(y, x) + divergence:mean() * 1e-4
      end)
      loss:backward()
      opt:step { zero = true }
      first, last = first or loss:item(), loss:item()
    end
    assert(last < 0.3 * first, ("%g to %g"):format(first, last))
  end)

  it("is printed as one tree", function()
    local text = tostring(small_model())
    assert.equal("autoencoderkl(channels 3, latents 4, levels 2): 15,223 parameters", text:match "^[^\n]*")
    assert(text:find "\n  quant_conv: conv%(8 %-> 8, kernel 1%) +72\n")
  end)

  it("says what it is called with", function()
    local model = small_model()
    fails("autoencoderkl:encode: images are a tensor {B, H, W, 3}, got [8,8,3]", model.encode, model, d.zeros(8, 8, 3))
    fails("autoencoderkl: images are a tensor {B, H, W, 3}, got 'x.png'", model, "x.png")
    fails("autoencoderkl:decode: latents is of u8; floats expected", model.decode, model, d.zeros(1, 4, 4, 4):to "u8")
    fails("autoencoderkl:decode: latents are a tensor {B, H, W, 4}, got [1,4,4,3]", model.decode, model,
      d.zeros(1, 4, 4, 3))
    fails("autoencoderkl: eps is [1,2,2,4], but the latents are [1,4,4,4]", model, d.zeros(1, 8, 8, 3),
      { eps = d.zeros(1, 2, 2, 4) })
    fails("unknown option 'tiles'; did you mean 'tile'?", model.decode, model, d.zeros(1, 4, 4, 4), { tiles = true })
    fails("autoencoderkl: block_out_channels has 2 levels, but up_block_types has 1", small_model,
      { up_block_types = { "UpDecoderBlock2D" } })
    fails("autoencoderkl: entry 2 of block_out_channels is 6, no multiple of norm_num_groups, 4", small_model,
      { block_out_channels = { 8, 6 } })
    fails("autoencoderkl: latents_mean has 2 entries, but latent_channels is 4", small_model,
      { latents_mean = { 1, 2 } })
    fails("latents_std': entry 1: number in (0, inf) expected, got 0", small_model, { latents_std = { 0, 1, 1, 1 } })
  end)
end)

-- ==== tiles ==================================================================================

describe("tiles", function()
  it("are of the size of sample_size, or of another", function()
    local model, z = small_model { mid_block_add_attention = false }, d.randn({ 1, 4, 10, 4 }, { seed = 1 })
    local usual = model:decode(z, { tile = true })
    assert.same({ 1, 8, 20, 3 }, usual:shape())
    assert.same({ 1, 20, 8, 3 }, model:decode(z:permute(1, 3, 2, 4), { tile = true }):shape())
    assert.is_true(usual:equal(model:decode(z, { tile = { size = 8 } })))
    assert.is_true(usual:equal(model:decode(z, { tile = { size = 8, overlap = 0.25 } })))
    assert.is_false(usual:equal(model:decode(z, { tile = { size = 10 } })))
    local whole = model:decode(z)
    assert.is_true(whole:equal(model:decode(z, { tile = false })))
    assert.is_true(whole:equal(model:decode(z, { tile = { size = 20 } })))
    assert.is_false(whole:equal(usual))
  end)

  it("join to an image of the right size, however they overlap", function()
    local model = small_model { mid_block_add_attention = false }
    local x, z = d.randn(1, 19, 23, 3), d.randn(1, 9, 7, 4)
    for _, size in ipairs { 4, 7, 10 } do
      for _, overlap in ipairs { 0, 0.3, 0.5 } do
        local tile = { size = size, overlap = overlap }
        assert.same({ 1, 18, 14, 3 }, model:decode(z, { tile = tile }):shape())
        assert.same({ 1, 9, 11, 4 }, (model:encode(x, { tile = tile })):shape())
      end
    end
  end)

  it("overlap by the latents that are named, though 1 - 0.8 is a little less than 0.2", function()
    local model, z = small_model { mid_block_add_attention = false }, d.randn(1, 12, 5, 4)
    local function decoded(overlap) return model:decode(z, { tile = { size = 20, overlap = overlap } }) end
    assert.is_true(decoded(0.8):equal(decoded(0.79))) -- 8 of 10 latents
    assert.same({ 1, 24, 10, 3 }, decoded(0.9):shape())
  end)

  it("are refused if they are too small", function()
    local model = small_model()
    fails("autoencoderkl:decode: tiles of 1 pixels with an overlap of 0.25 are too small: they have 0 latents a side",
      model.decode, model, d.zeros(1, 4, 4, 4), { tile = { size = 1 } })
    fails("autoencoderkl:encode: tiles of 4 pixels with an overlap of 0.6 are too small: they have 2 latents a side",
      model.encode, model, d.zeros(1, 8, 8, 3), { tile = { size = 4, overlap = 0.6 } })
    fails("overlap", model.encode, model, d.zeros(1, 8, 8, 3), { tile = { overlap = 1 } })
    fails("autoencoderkl:encode: tile", model.encode, model, d.zeros(1, 8, 8, 3), { tile = { sizes = 8 } })
  end)

  it("take the memory of one of them, and leave only the result", function()
    local model = small_model { block_out_channels = { 16, 16 }, mid_block_add_attention = false }
    local z = d.randn(1, 96, 40, 4)
    local function peak(options)
      model:decode(z, options):free() -- packs the weights
      collectgarbage()
      core.memory_reset_peak()
      local before = core.memory().live
      local image = model:decode(z, options)
      local bytes = image:numel() * (core.real == "f64" and 8 or 4)
      assert(core.memory().live - before < bytes + 4096)
      image:free()
      return core.memory().peak - before
    end
    local whole, tiled = peak(), peak { tile = { size = 16 } }
    assert(tiled < 0.3 * whole, ("%d of %d bytes"):format(tiled, whole))
  end)

  it("have at most 192 pixels if no size is given", function()
    local large = d.autoencoderkl { block_out_channels = { 4 }, norm_num_groups = 2, sample_size = 512,
      mid_block_add_attention = false }
    local z = d.randn({ 1, 200, 250, 4 }, { seed = 1 })
    local usual = large:decode(z, { tile = true })
    assert.is_true(usual:equal(large:decode(z, { tile = { size = 192 } })))
    assert.is_false(usual:equal(large:decode(z, { tile = { size = 512 } })))
  end)
end)

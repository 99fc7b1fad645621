-- UNet2DModel of diffusers: outputs, gradients, keys and configs are the peer's; what the peer can't run
-- is refused in one sentence.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local peers = require "diffusion.nn.peers"
local records = require "spec.support.peer_unet2d"
local unet2d = require "diffusion.network.unet2d"

local entry = unet2d.peers.diffusers

local function small(more)
  local o = { block_out_channels = { 8, 12 }, layers_per_block = 1, norm_num_groups = 4, attention_head_dim = 4,
    down_block_types = { "DownBlock2D", "AttnDownBlock2D" }, up_block_types = { "AttnUpBlock2D", "UpBlock2D" } }
  for key, value in pairs(more or {}) do o[key] = value end
  return o
end

local function values_of(o)
  local shapes = records.shapes(o)
  return records.values(o, shapes)
end

local function bits(x) return x:contiguous():bytes() end

describe("UNet2DModel of diffusers 0.42.1 is met with", function()
  for _, case in ipairs(records.read "spec/fixtures/peers/unet2d.safetensors") do
    it(records.text(case), function()
      local y, dx, sums, where = records.answer(case)
      assert(y < 2e-4, ("output: off by %g of the range"):format(y))
      assert(dx < 2e-4, ("gradient of x: off by %g of the range"):format(dx))
      assert(sums < 2e-4, ("gradient of %s: off by %g"):format(where, sums))
    end)
  end
end)

describe("the keys of full size of", function()
  local file <close> = assert(io.open "spec/fixtures/peers/unet2d_keys.json")
  for _, model in ipairs(json.decode(file:read "a")) do
    it(("%s are the peer's %d, of %d numbers"):format(model.name, model.tensors, model.elements), function()
      local digest, tensors, elements = records.digest(records.shapes(records.options(model.config)))
      assert.same({ model.digest, model.tensors, model.elements }, { digest, tensors, elements })
    end)
  end
end)

describe("d.unet2d", function()
  it("names keys of theirs by ours and back", function()
    for _, more in ipairs { {}, { resnet_time_scale_shift = "scale_shift", num_class_embeds = 3 },
      { down_block_types = { "SkipDownBlock2D", "SkipDownBlock2D" },
        up_block_types = { "SkipUpBlock2D", "SkipUpBlock2D" } } } do
      local n = 0
      for name in d.unet2d(small(more)):parameters() do
        n = n + 1
        assert.equal(name, peers.ours(entry, peers.theirs(entry, name)))
      end
      assert.is_true(n > 50)
    end
    assert.equal("up_blocks.1.attentions.0.attention.out.bias",
      peers.ours(entry, "up_blocks.1.attentions.0.proj_attn.bias"))
    assert.equal("mid_block.attentions.0.norm.weight", peers.ours(entry, "mid_block.attentions.0.group_norm.weight"))
  end)

  it("takes the names of attention before diffusers 0.12", function()
    local o = records.options(small())
    local given, older = values_of(o), {}
    local new = { to_q = "query", to_k = "key", to_v = "value" }
    for key, x in pairs(given) do
      older[key:gsub("to_out%.0", "proj_attn"):gsub("to_[qkv]", new)] = x
    end
    local x = d.randn { 1, 8, 8, 3 }
    local a, b = peers.model(unet2d, o, given), assert(peers.model(unet2d, o, older))
    assert.equal(bits(a(x, 5)), bits(b(x, 5)))
  end)

  it("is adopted from half precision, with the values of that", function()
    local o = records.options(small())
    local half, full = {}, {}
    for key, x in pairs(values_of(o)) do half[key] = x:to "f16" end
    for key, x in pairs(half) do full[key] = x:to(core.real) end
    local frozen, given = peers.model(unet2d, o, half, { frozen = true }), peers.model(unet2d, o, full)
    local x = d.randn { 2, 8, 8, 3 }
    assert.equal(bits(given(x, 5)), bits(frozen(x, 5)))
    assert.equal(0, select(2, frozen:count()))
  end)

  it("recomputes blocks to the same bits", function()
    local x = d.randn({ 2, 8, 8, 3 }, { seed = 1 })
    local function gradients(recompute)
      local o = small { recompute = recompute, dropout = 0.2, resnet_time_scale_shift = "scale_shift" }
      local m = peers.model(unet2d, o, values_of(o))
      d.manual_seed(4)
      d.record(function() return (m(x, 9) * x):sum() end):backward()
      local all = {}
      for _, p in m:parameters() do all[#all + 1] = bits(p.grad) end
      return table.concat(all)
    end
    assert.equal(gradients(false), gradients(true))
  end)

  it("has its timestep at t - 1, or at another offset, or at sigma with Fourier features", function()
    local x = d.randn { 1, 8, 8, 3 }
    local function model(more) return peers.model(unet2d, small(more), values_of(small(more))) end
    assert.equal(bits(model()(x, 5)), bits(model { time_offset = 3 }(x, 7)))
    local waves = model { time_embedding_type = "fourier" }(x, 4)
    local shifted = model { time_embedding_type = "fourier", time_offset = 1 }(x, 5)
    assert.is_true(waves:isfinite():all() and (waves - shifted):abs():max():item() < 1e-5)
  end)

  it("takes classes as labels from 1, numbers, or embeddings", function()
    local x = d.randn { 2, 8, 8, 3 }
    local labels = d.unet2d(small { num_class_embeds = 3 })
    assert.not_equal(bits(labels(x, 5)), bits(labels(x, 5, { class = 3 })))
    assert.equal(bits(labels(x, 5)), bits(labels(x, 5, { class = 0 })))
    fails("index 1 is 4, outside 0..3", labels, x, 5, { class = 4 })
    local numbers = d.unet2d(small { class_embed_type = "timestep" })
    assert.not_equal(bits(numbers(x, 5, { class = 1.5 })), bits(numbers(x, 5, { class = { 1.5, 2 } })))
    fails("class holds an inf", numbers, x, 5, { class = { 1, math.huge } })
    local vectors = d.unet2d(small { class_embed_type = "identity" })
    local e = d.randn { 2, 32 }
    assert.not_equal(bits(vectors(x, 5)), bits(vectors(x, 5, { class = e })))
    assert.equal(bits(vectors(x, 5, { class = e })), bits(vectors(x, 5, { class = e:totable() })))
    fails("class is [2,31], but this network takes [B,32]", vectors, x, 5, { class = d.randn { 2, 31 } })
    fails("class is a row of numbers for each sample, a tensor {B, width}, got 3", vectors, x, 5, { class = 3 })
    local none = d.unet2d(small())
    assert.equal(bits(none(x, 5)), bits(none(x, 5, { class = 0 })))
    fails("a class is given, but this network was made without classes", none, x, 5, { class = 2 })
  end)

  it("trains, samples, and comes back from its own file", function()
    d.manual_seed(1)
    local m = d.unet2d(small { num_class_embeds = 2, norm_num_groups = 2, attention_head_dim = false })
    local process = d.process { schedule = d.schedule.cosine { T = 10 } }
    local opt, objective = d.adamw(m, { lr = 1e-3 }), d.objective { process = process }
    d.record(objective, m, d.randn { 2, 8, 8, 3 }, { class = { 1, 2 } }):backward()
    opt:step()
    local path = os.tmpname()
    assert(m:save(path, { process = process }))
    local twin = assert(d.load_model(path))
    os.remove(path)
    assert.same(m:config(), twin:config())
    local o = { process = process, shape = { 1, 8, 8, 3 }, steps = 2, class = 1, guidance = 2, seed = 3 }
    o.model = m
    local x = d.sample(o)
    o.model = twin
    assert.equal(bits(x), bits(d.sample(o)))
    assert.is_true(x:isfinite():all())
  end)

  it("gives the same bits on any number of threads, alone and in a batch", function()
    local o = small { resnet_time_scale_shift = "scale_shift" }
    local m, x = peers.model(unet2d, o, values_of(o)), d.randn({ 3, 8, 8, 3 }, { seed = 2 })
    local threads, seen = d.threads(), {}
    for n = 1, 3 do
      d.threads(n)
      seen[n] = bits(m(x, { 3, 5, 7 }))
    end
    d.threads(threads)
    assert.is_true(seen[1] == seen[2] and seen[2] == seen[3])
    assert.equal(bits(m(x, { 3, 5, 7 }):narrow(1, 2, 1)), bits(m(x:narrow(1, 2, 1), 5)))
  end)
end)

describe("a config of UNet2DModel", function()
  it("is kept whole: null is false, bookkeeping and our own options stay out", function()
    local given = { sample_size = { 8, 16 }, norm_num_groups = json.null, mid_block_type = json.null,
      attention_head_dim = json.null, down_block_types = { "SkipDownBlock2D" }, up_block_types = { "SkipUpBlock2D" },
      block_out_channels = { 16 }, class_embed_type = json.null, act_fn = "SiLU", time_offset = 2, colour = "red" }
    local o, unknown = peers.options(unet2d, entry, given)
    assert.same({ "colour", "time_offset" }, unknown)
    local config = peers.config(unet2d, entry, d.unet2d(o):config())
    for key, value in pairs(given) do
      if key ~= "colour" and key ~= "time_offset" then assert.same(value, config[key]) end
    end
    assert.equal(1e-5, config.norm_eps)
    assert.equal(json.null, config.num_class_embeds)
    assert.is_nil(config.recompute)
    assert.is_nil(config.time_offset)
  end)

  it("is refused where the peer fails", function()
    local function refused(sentence, more) fails(sentence, d.unet2d, small(more)) end
    local function pair(down, up, more)
      more = more or {}
      more.down_block_types, more.up_block_types = down, up
      return more
    end
    refused("block_out_channels has 2 levels, down_block_types 1 and up_block_types 2",
      { down_block_types = { "DownBlock2D" } })
    refused("CrossAttnDownBlock2D: it is for a network that is conditioned on a text",
      pair({ "DownBlock2D", "CrossAttnDownBlock2D" }))
    refused("UpDecoderBlock2D: it belongs to an autoencoder", pair(nil, { "UpDecoderBlock2D", "UpBlock2D" }))
    refused("unknown type 'DownBlok2D'; did you mean 'DownBlock2D'?", pair({ "DownBlok2D", "DownBlock2D" }))
    refused("up_blocks.1 of KUpBlock2D: the skip connection has 1/2 of the image's size, but here is the image's size",
      pair({ "DownBlock2D", "DownBlock2D" }, { "KUpBlock2D", "KUpBlock2D" }, { block_out_channels = { 32, 64 } }))
    refused("the picture of the Skip blocks has 1/2 of the image's size at the end",
      pair(nil, { "SkipUpBlock2D", "UpBlock2D" }))
    refused("Skip blocks need out_channels = 3, got 1", pair(nil, { "SkipUpBlock2D", "SkipUpBlock2D" },
      { out_channels = 1, block_out_channels = { 16, 16 } }))
    refused("down_blocks.0 of SkipDownBlock2D: it needs in_channels = 3, got 1",
      pair({ "SkipDownBlock2D", "DownBlock2D" }, nil, { in_channels = 1 }))
    refused("down_blocks.0 of DownBlock2D: it needs norm_num_groups", { norm_num_groups = false })
    refused("down_blocks.0.resnets.0: 3 groups don't divide 8 channels", { norm_num_groups = 3 })
    refused("attention_head_dim is 40, but there are 12 channels", { attention_head_dim = 40 })
    refused("the skip connection is one that KCrossAttnDownBlock2D leaves out",
      pair({ "KDownBlock2D", "KCrossAttnDownBlock2D" }, { "KUpBlock2D", "KUpBlock2D" },
        { block_out_channels = { 32, 32 } }))
    refused("K blocks need channels in groups of 32, got 8", pair({ "KDownBlock2D", "KDownBlock2D" }))
    refused("freq_shift = 4 is half of the first channels, 8", { freq_shift = 4 })
    refused("needs num_train_timesteps", { time_embedding_type = "learned" })
    refused("time_offset must be a whole number", { time_embedding_type = "learned", num_train_timesteps = 9,
      time_offset = 0.5 })
    refused("act_fn is one of silu, swish, mish, gelu, relu, got 'tanh'", { act_fn = "tanh" })
    refused("downsample_padding': integer in [0, 1] expected, got 2", { downsample_padding = 2 })
    refused("resnet_time_scale_shift': unknown value 'spatial'", { resnet_time_scale_shift = "spatial" })
    refused("attention_head_dim can be false, for none, but not true", { attention_head_dim = true })
    refused("mid_block_scale_factor divides, so it can't be 0", { mid_block_scale_factor = 0 })
    fails("H and W must be multiples of 2", d.unet2d(small()), d.randn { 1, 7, 8, 3 }, 5)
    fails("xt is [8,8,3], without a batch dimension", d.unet2d(small()), d.randn { 8, 8, 3 }, 5)
    fails("time 1 is 12, but this table is of the times 1 to 9",
      d.unet2d(small { time_embedding_type = "learned", num_train_timesteps = 9 }), d.randn { 1, 8, 8, 3 }, 12)
  end)
end)

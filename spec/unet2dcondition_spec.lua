-- UNet2DConditionModel of diffusers: outputs, gradients, keys and configs are the peer's; a config that the peer
-- can't run is refused in one sentence.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local peers = require "diffusion.nn.peers"
local records = require "spec.support.peer_unet2dcondition"
local known = require "diffusion.network.unet2dcondition"
local opts = require "diffusion.opts"

local entry = known.peers.diffusers

local function small(more)
  local o = { block_out_channels = { 8, 16 }, layers_per_block = 1, norm_num_groups = 4, attention_head_dim = 2,
    cross_attention_dim = 6, down_block_types = { "CrossAttnDownBlock2D", "DownBlock2D" },
    up_block_types = { "UpBlock2D", "CrossAttnUpBlock2D" } }
  for key, value in pairs(more or {}) do o[key] = value end
  return o
end

local function made(more, given) return records.model(small(more), given) end
local function bits(x) return x:contiguous():bytes() end

local x, context = d.randn({ 2, 8, 8, 4 }, { seed = 1 }), d.randn({ 2, 5, 6 }, { seed = 2 })

describe("UNet2DConditionModel of diffusers 0.42.1 is met with", function()
  for _, case in ipairs(records.read "spec/fixtures/peers/unet2dcondition.safetensors") do
    it(records.text(case), exactly(function()
      local y, dx, sums, where, leaf = records.answer(case)
      assert(y < 2e-5, ("output: off by %g of the range"):format(y))
      assert(dx < 2e-5, ("gradient of %s: off by %g of the range"):format(leaf, dx))
      assert(sums < 2e-5, ("gradient of %s: off by %g"):format(where, sums))
    end))
  end
end)

describe("the keys of full size of", function()
  for _, model in ipairs(json.decode(child.read "spec/fixtures/peers/unet2dcondition_keys.json")) do
    it(("%s are the peer's %d, of %d numbers"):format(model.name, model.tensors, model.elements), function()
      local digest, tensors, elements = records.digest(records.shapes(records.options(model.config)))
      assert.same({ model.digest, model.tensors, model.elements }, { digest, tensors, elements })
    end)
  end
end)

describe("d.unet2dcondition", function()
  it("names keys of theirs by ours and back", function()
    local simple = { down_block_types = { "SimpleCrossAttnDownBlock2D", "AttnDownBlock2D" },
      up_block_types = { "AttnUpBlock2D", "SimpleCrossAttnUpBlock2D" }, addition_embed_type_num_heads = 2,
      mid_block_type = "UNetMidBlock2DSimpleCrossAttn", addition_embed_type = "text" }
    for _, more in ipairs { {}, simple, { use_linear_projection = true, addition_embed_type = "text_time",
      addition_time_embed_dim = 4, projection_class_embeddings_input_dim = 32 } } do
      local n = 0
      for name in d.unet2dcondition(small(more)):parameters() do
        n = n + 1
        assert.equal(name, peers.ours(entry, peers.theirs(entry, name)))
      end
      assert.is_true(n > 100)
    end
    assert.equal("up_blocks.1.attentions.0.transformer_blocks.1.attn2.out.bias",
      peers.ours(entry, "up_blocks.1.attentions.0.transformer_blocks.1.attn2.to_out.0.bias"))
    assert.equal("down_blocks.0.attentions.0.inp.norm.weight",
      peers.ours(entry, "down_blocks.0.attentions.0.norm.weight"))
    assert.equal("down_blocks.0.attentions.0.attention.q.weight",
      peers.ours(entry, "down_blocks.0.attentions.0.query.weight"))
  end)

  it("takes the older names of attention without a context", function()
    local o = small { down_block_types = { "CrossAttnDownBlock2D", "AttnDownBlock2D" } }
    local given, older = records.values(o, records.shapes(o)), {}
    local new = { to_q = "query", to_k = "key", to_v = "value" }
    for key, value in pairs(given) do
      if not key:find "transformer" then key = key:gsub("to_out%.0", "proj_attn"):gsub("to_[qkv]", new) end
      older[key] = value
    end
    local a, b = peers.model(known, o, given), assert(peers.model(known, o, older))
    assert.equal(bits(a(x, 5, { context = context })), bits(b(x, 5, { context = context })))
  end)

  -- The numbers are the peer's.
  it("has transformers without blocks", function()
    local levels = { down_block_types = { "CrossAttnDownBlock2D", "CrossAttnDownBlock2D" },
      up_block_types = { "CrossAttnUpBlock2D", "CrossAttnUpBlock2D" } }
    for _, one in ipairs {
      { 63996, transformer_layers_per_block = { 0, 1 } }, { 43708, transformer_layers_per_block = 0 },
      { 60308, transformer_layers_per_block = { 0, { 0, 2 } },
        reverse_transformer_layers_per_block = { { 2, 1 }, { 1, 0 } } },
    } do
      local count = table.remove(one, 1)
      local model = d.unet2dcondition(small(opts.joined(levels, one)))
      assert.equal(count, (model:count()))
      assert.is_true(model(x, 5, { context = context }):isfinite():all())
    end
  end)

  it("is adopted from half precision, with the values of that", exactly(function()
    local o = small { use_linear_projection = true }
    local shapes = records.shapes(o)
    for _, dtype in ipairs { "f16", "bf16" } do
      local half, full = {}, {}
      for key, value in pairs(records.values(o, shapes)) do
        half[key] = value:to(dtype)
        full[key] = half[key]:to(core.real)
      end
      local frozen, given = peers.model(known, o, half, { frozen = true }), peers.model(known, o, full)
      assert.equal(bits(given(x, 5, { context = context })), bits(frozen(x, 5, { context = context })))
      assert.equal(0, select(2, frozen:count()))
      assert.equal(dtype, frozen:state()["conv_in.weight"]:dtype())
    end
  end))

  it("recomputes blocks to the same bits", function()
    local mask = d.tensor({ { 1, 1, 0, 1, 0 }, { 1, 1, 1, 1, 1 } }, { dtype = "i64" })
    local function gradients(recompute)
      local m = made { recompute = recompute, dropout = 0.2, transformer_layers_per_block = 2 }
      d.manual_seed(4)
      local dc = d.grad(function(c) return (m(x, 9, { context = c, mask = mask }) * x):sum() end, context)
      d.manual_seed(4)
      d.record(function() return (m(x, 9, { context = context, mask = mask }) * x):sum() end):backward()
      local all = { bits(dc) }
      for _, p in m:parameters() do all[#all + 1] = bits(p.grad) end
      return table.concat(all)
    end
    assert.equal(gradients(false), gradients(true))
  end)

  it("has its timestep at t - 1, or at another offset, or at t with Fourier features", function()
    local function y(t, more) return made(more)(x, t, { context = context }) end
    assert.equal(bits(y(5)), bits(y(7, { time_offset = 3 })))
    local waves = y(4, { time_embedding_type = "fourier" })
    local shifted = y(5, { time_embedding_type = "fourier", time_offset = 1 })
    assert.is_true(waves:isfinite():all() and (waves - shifted):abs():max():item() < 1e-5)
  end)

  it("takes images of any size if its blocks do", function()
    local m = made()
    assert.same({ 1, 7, 5, 4 }, m(d.randn(1, 7, 5, 4), 3, { context = d.randn(1, 2, 6) }):shape())
    local resnets = d.unet2dcondition(small { down_block_types = { "ResnetDownsampleBlock2D", "CrossAttnDownBlock2D" },
      up_block_types = { "CrossAttnUpBlock2D", "ResnetUpsampleBlock2D" } })
    fails("unet2dcondition: x is [1,7,8,4], but H and W must be multiples of 2 for this network", resnets,
      d.randn(1, 7, 8, 4), 3, { context = d.randn(1, 2, 6) })
  end)

  it("needs its inputs, of their widths", function()
    local m = made { addition_embed_type = "text_time", addition_time_embed_dim = 4,
      projection_class_embeddings_input_dim = 32, time_cond_proj_dim = 3 }
    local sizes = d.tensor({ { 512, 512, 0, 0, 512, 512 }, { 64, 64, 3, 4, 64, 64 } }, { dtype = "i64" })
    local pooled = d.randn(2, 8)
    local function given(more)
      local o = { context = context, text_embeds = pooled, time_ids = sizes }
      for key, value in pairs(more) do o[key] = value or nil end
      return o
    end
    local y = m(x, 5, given {})
    assert.is_false(y:equal(m(x, 5, given { time_cond = d.randn(2, 3) })))
    assert.equal(bits(y), bits(m(x, 5, given { time_ids = sizes:to(core.real) })))
    fails("unet2dcondition: the input context is missing", m, x, 5, { text_embeds = pooled, time_ids = sizes })
    fails("unet2dcondition: the input time_ids is missing", m, x, 5, { context = context, text_embeds = pooled })
    fails("context is [2,5,7], but this network takes [B,N,6]", m, x, 5, given { context = d.randn(2, 5, 7) })
    fails("context is [1,5,6], but B is 2 in x [2,8,8,4]", m, x, 5, given { context = d.randn(1, 5, 6) })
    fails("the mask [2,4] is none of [2,5]", m, x, 5, given { mask = d.ones(2, 4) })
    fails("add_embedding.one", m, x, 5, given { text_embeds = d.randn(2, 9) })
    fails("unknown option 'image_embeds'", m, x, 5, given { image_embeds = pooled })
    fails("xt is [8,8,4], without a batch dimension", m, d.randn(8, 8, 4), 5, given {})
  end)

  it("hides tokens by a mask", function()
    local m = made()
    local mask = d.tensor({ { 1, 1, 0, 1, 0 }, { 1, 0, 0, 0, 0 } }, { dtype = "i64" })
    local y = m(x, 5, { context = context, mask = mask })
    local other = context:clone()
    other[{ 1, 3 }], other[{ 2, { 2, 5 } }] = 7, -3
    assert.equal(bits(y), bits(m(x, 5, { context = other, mask = mask })))
    local short = m(x:narrow(1, 2, 1), 5, { context = context:narrow(1, 2, 1):narrow(2, 1, 1) })
    assert.is_true((y:narrow(1, 2, 1) - short):abs():max():item() < 1e-4 * short:abs():max():item())
    local all = m(x, 5, { context = context, mask = d.ones(2, 5):to "i64" })
    assert.equal(bits(all), bits(m(x, 5, { context = context })))
  end)

  it("takes classes as labels from 1, numbers, or rows", function()
    local function with(m, class) return bits(m(x, 5, { context = context, class = class })) end
    local labels = made { num_class_embeds = 3 }
    assert.not_equal(with(labels), with(labels, 3))
    assert.equal(with(labels), with(labels, 0))
    fails("index 1 is 4, outside 0..3", labels, x, 5, { context = context, class = 4 })
    local numbers = made { class_embed_type = "timestep" }
    assert.not_equal(with(numbers, 1.5), with(numbers, { 1.5, 2 }))
    local rows = made { class_embed_type = "projection", projection_class_embeddings_input_dim = 5 }
    assert.not_equal(with(rows), with(rows, d.randn(2, 5)))
    fails("class is [2,6], but this network takes [B,5]", rows, x, 5, { context = context, class = d.randn(2, 6) })
    local beside = made { class_embeddings_concat = true, num_class_embeds = 3 }
    assert.not_equal(with(beside), with(beside, 1))
    assert.equal(with(beside), with(beside, 0))
    fails("a class is given, but this network was made without classes", made(), x, 5, { context = context, class = 2 })
  end)

  it("gives the same bits on any number of threads, alone and in a batch", function()
    local m, threads, seen = made { transformer_layers_per_block = 2 }, d.threads(), {}
    local many, contexts = d.randn({ 3, 8, 8, 4 }, { seed = 5 }), d.randn({ 3, 5, 6 }, { seed = 6 })
    for n = 1, 3 do
      d.threads(n)
      seen[n] = bits(m(many, { 3, 5, 7 }, { context = contexts }))
    end
    d.threads(threads)
    assert.is_true(seen[1] == seen[2] and seen[2] == seen[3])
    assert.equal(bits(m(many, { 3, 5, 7 }, { context = contexts }):narrow(1, 2, 1)),
      bits(m(many:narrow(1, 2, 1), 5, { context = contexts:narrow(1, 2, 1) })))
  end)

  it("describes itself", function()
    local text = tostring(d.unet2dcondition(small { sample_size = 8 }))
    for _, words in ipairs { "unet2dcondition(channels 8 16, image channels 4 -> 4, sample size 8, context 6): ",
      "transformer(8, heads 2, depth 1)", "mid_block", "resnet(32 -> 16)", "downsamplers" } do
      assert(text:find(words, 1, true), words .. " in " .. text)
    end
  end)

  it("is frozen by patterns of its paths", function()
    local m = made()
    local total = m:count()
    m:freeze()
    m:unfreeze "attn2%.[kv]"
    local _, trainable = m:count()
    assert.equal(4 * 2 * 6 * 8 + 2 * 6 * 16 - 2 * 6 * 8, trainable)
    assert.is_true(trainable < total)
    d.record(function() return m(x, 5, { context = context }):sum() end):backward()
    assert.is_nil(m:state()["conv_in.weight"].grad)
  end)

  it("trains on contexts, samples with guidance, and comes back from its own file", function()
    d.manual_seed(1)
    local m = d.unet2dcondition(small())
    local process = d.process { schedule = d.schedule.scaled_linear { T = 20 }, predict = "v" }
    local opt, objective = d.adamw(m, { lr = 1e-3 }), d.objective { process = process }
    d.record(objective, m, x, { inputs = { context = context } }):backward()
    assert.is_true(opt:step() > 0)
    local path = os.tmpname()
    assert(m:save(path, { process = process }))
    local twin = assert(d.load_model(path))
    os.remove(path)
    assert.same(m:config(), twin:config())
    assert.equal(tostring(m), tostring(twin))
    local function drawn(model)
      local guided = d.guidance.cfg(model, { scale = 3, without = { context = d.zeros(2, 5, 6) } })
      return d.sample { model = guided, process = process, shape = { 2, 8, 8, 4 }, steps = 2, seed = 3,
        inputs = { context = context } }
    end
    assert.equal(bits(drawn(m)), bits(drawn(twin)))
    assert.is_true(drawn(m):isfinite():all())
  end)
end)

describe("adapters of a UNet2DConditionModel", function()
  it("are on the products of attention by either name, and have the peer's in a file", function()
    local m, path = made(), os.tmpname() .. ".safetensors"
    local before = m(x, 5, { context = context })
    local lora = d.nn.lora(m, { rank = 2, on = { "attn1%.to_[qkv]$", "attn2%.[qk]$", "attn2%.out$", "proj_in" } })
    for name, p in lora:parameters() do p:copy_(d.randn(p:shape(), { seed = #name }) * 0.3) end
    local with = m(x, 5, { context = context })
    assert.is_false(before:equal(with))
    assert(lora:save(path))
    lora:remove()
    local tensors = assert(d.load(path))
    local at = "unet.up_blocks.1.attentions.1.transformer_blocks.0."
    assert.same({ 2, 6 }, tensors[at .. "attn2.to_k.lora_A.weight"]:shape())
    assert.same({ 8, 2 }, tensors[at .. "attn2.to_out.0.lora_B.weight"]:shape())
    assert.is_truthy(tensors["unet.mid_block.attentions.0.proj_in.lora_A.weight"])
    local kohya, pairs_of = {}, { A = "down", B = "up" }
    for name, value in pairs(tensors) do
      local where, which = name:match "^unet%.(.*)%.lora_([AB])%.weight$"
      kohya[("lora_unet_%s.lora_%s.weight"):format(where:gsub("%.", "_"), pairs_of[which])] = value
    end
    for _, given in ipairs { tensors, kohya } do
      assert(d.save(path, given))
      local again = assert(d.nn.lora(m, { load = path }))
      assert.equal(bits(with), bits(m(x, 5, { context = context })))
      again:merge()
      local merged = m(x, 5, { context = context })
      assert.is_true((merged - with):abs():max():item() < 1e-4 * with:abs():max():item())
      again:unmerge():remove()
    end
    os.remove(path)
  end)

  it("train over weights that stay mapped", function()
    local o, half = small(), {}
    for key, value in pairs(records.values(o, records.shapes(o))) do half[key] = value:to "f16" end
    local m = peers.model(known, o, half, { frozen = true })
    local lora = d.nn.lora(m, { rank = 2, on = "attn2" })
    d.record(function() return (m(x, 5, { context = context }) * x):sum() end):backward()
    local opt = d.adamw(lora, { lr = 1e-2 })
    assert.is_true(opt:step() > 0)
    assert.equal("f16", m:state()["conv_in.weight"]:dtype())
  end)
end)

describe("a folder of a UNet2DConditionModel", function()
  local root = child.folder()
  lazy_teardown(function() child.remove(root) end)

  it("is saved and opened, in half precision too", function()
    local m = made { sample_size = 8 }
    assert(d.hub.save(root .. "/a", m))
    local pipe = assert(d.hub.load(root .. "/a"))
    assert.equal("UNet2DConditionModel", pipe.class)
    assert.equal(bits(m(x, 5, { context = context })), bits(pipe.unet(x, 5, { context = context })))
    assert(d.hub.save(root .. "/b", pipe.unet, { dtype = "bf16", variant = "bf16" }))
    local brief = assert(d.hub.load(root .. "/b")).unet
    assert.equal("bf16", brief:state()["conv_in.weight"]:dtype())
    assert.is_true(brief(x, 5, { context = context }):isfinite():all())
  end)

  it("has a config with null where nothing is set", function()
    local config = json.decode(child.read(root .. "/a/config.json"))
    assert.equal("UNet2DConditionModel", config._class_name)
    assert.equal(json.null, config.num_attention_heads)
    assert.equal(json.null, config.mid_block_only_cross_attention)
    assert.is_nil(config.time_offset)
    assert.equal(64, config.addition_embed_type_num_heads)
  end)
end)

describe("a config of UNet2DConditionModel", function()
  it("is kept whole: null is false, bookkeeping and our own options stay out", function()
    local given = { sample_size = { 8, 16 }, norm_num_groups = json.null, mid_block_type = json.null,
      attention_head_dim = { 16 }, down_block_types = { "KDownBlock2D" }, up_block_types = { "KCrossAttnUpBlock2D" },
      block_out_channels = { 32 }, class_embed_type = json.null, act_fn = "SiLU", time_offset = 2, colour = "red",
      mid_block_only_cross_attention = false, transformer_layers_per_block = { { 2, 1 } },
      reverse_transformer_layers_per_block = { { 1, 1, 2 } }, only_cross_attention = { false } }
    local o, unknown = peers.options(known, entry, given)
    assert.same({ "colour", "time_offset" }, unknown)
    local config = peers.config(known, entry, d.unet2dcondition(o):config())
    for key, value in pairs(given) do
      if key ~= "colour" and key ~= "time_offset" then assert.same(value, config[key]) end
    end
    assert.equal(json.null, config.num_class_embeds)
    assert.is_nil(config.recompute)
  end)

  it("is refused where the peer fails, or isn't followed", function()
    local function refused(sentence, more) fails(sentence, d.unet2dcondition, small(more)) end
    refused("block_out_channels has 2 levels, down_block_types 1 and up_block_types 2",
      { down_block_types = { "DownBlock2D" } })
    refused("attention_head_dim has 3 entries, but there are 2 levels", { attention_head_dim = { 1, 2, 4 } })
    refused("SkipDownBlock2D: UNet2DConditionModel can't run it",
      { down_block_types = { "SkipDownBlock2D", "DownBlock2D" } })
    refused("unknown type 'CrossAtnDownBlock2D'; did you mean 'CrossAttnDownBlock2D'?",
      { down_block_types = { "CrossAtnDownBlock2D", "DownBlock2D" } })
    refused("mid_block_type can be false, for none, but not true", { mid_block_type = true })
    refused("num_attention_heads can't be given, as in diffusers", { num_attention_heads = 2 })
    refused('attention_type = "gated": parts of GLIGEN aren\'t followed here', { attention_type = "gated" })
    refused("attention_type: unknown value 'plain'; valid: default", { attention_type = "plain" })
    refused('encoder_hid_dim_type = "ip_image_proj": parts of IP-Adapter aren\'t followed here',
      { encoder_hid_dim_type = "ip_image_proj", encoder_hid_dim = 4 })
    refused('encoder_hid_dim_type = "text_proj" needs encoder_hid_dim', { encoder_hid_dim_type = "text_proj" })
    refused("dual_cross_attention: diffusers 0.42 can't run it in a CrossAttnDownBlock2D either",
      { dual_cross_attention = true })
    refused("cross_attention_dim is 6 for a CrossAttnDownBlock2D and 8 for a UNetMidBlock2DCrossAttn, but they read "
      .. "one context", { cross_attention_dim = { 6, 8 } })
    refused("transformer_layers_per_block has lists in it, so reverse_transformer_layers_per_block must be given",
      { transformer_layers_per_block = { { 1 }, 1 } })
    refused("transformer_layers_per_block: entry 2 of level 1 must be a whole number from 0",
      { transformer_layers_per_block = { { 1, -1 }, 1 }, reverse_transformer_layers_per_block = { 1, 1 } })
    refused("up_blocks.1 of CrossAttnUpBlock2D: there are 1 numbers of transformer blocks for this level, and none for "
      .. "resnet 2", { reverse_transformer_layers_per_block = { 1, { 2 } } })
    refused("attention_head_dim, which is the number of heads here, is 40, but there are 8 channels",
      { attention_head_dim = 40 })
    refused('addition_embed_type = "text_time" needs addition_time_embed_dim', { addition_embed_type = "text_time" })
    refused('addition_embed_type = "image" needs encoder_hid_dim', { addition_embed_type = "image" })
    refused('class_embed_type = "projection" needs projection_class_embeddings_input_dim',
      { class_embed_type = "projection" })
    refused("class_embeddings_concat needs class_embed_type or num_class_embeds", { class_embeddings_concat = true })
    refused("can't be added to an embedding with class_embeddings_concat, which is twice as wide",
      { class_embeddings_concat = true, num_class_embeds = 2, addition_embed_type = "text" })
    refused('addition_embed_type = "text_image" reads image_embeds of width 6, but encoder_hid_dim_type = "image_proj" '
      .. "of width 4", { addition_embed_type = "text_image", encoder_hid_dim_type = "image_proj", encoder_hid_dim = 4 })
    refused("addition_embed_type_num_heads, 64, doesn't divide the width of the context, 6",
      { addition_embed_type = "text" })
    refused("conv_in_kernel must be odd, so that images keep their size, got 4", { conv_in_kernel = 4 })
    refused("resnet_out_scale_factor divides, so it can't be 0", { resnet_out_scale_factor = 0 })
    refused("timestep_post_act is one of silu, swish, mish, gelu, relu, got 'tanh'", { timestep_post_act = "tanh" })
    refused("freq_shift = 4 is half of block_out_channels, 8", { freq_shift = 4 })
    refused("time_embedding_dim must be even for Fourier features, got 9",
      { time_embedding_type = "fourier", time_embedding_dim = 9 })
    refused("in_channels counts the four channels of the hint, so it must be above 4, got 4",
      { addition_embed_type = "image_hint", encoder_hid_dim = 4 })
    refused("mid_block.attentions.0: cross_attention_norm = \"layer_norm\" is of the 16 channels here, but the context "
      .. "has 6", { mid_block_type = "UNetMidBlock2DSimpleCrossAttn", cross_attention_norm = "layer_norm" })
    refused("mid_block.attentions.0: attention_head_dim, the width of a head here, is 3 and doesn't divide 16 channels",
      { mid_block_type = "UNetMidBlock2DSimpleCrossAttn", attention_head_dim = 3 })
    refused("down_blocks.0 of CrossAttnDownBlock2D: it needs norm_num_groups", { norm_num_groups = false })
    refused("option 'only_cross_attention': entry 2: boolean expected, got", { only_cross_attention = { true, 1 } })
  end)
end)

-- Files of adapters: those that are written, older names, and what doesn't fit.
local child = require "spec.support.child"
local d = require "diffusion"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local json = require "diffusion.file.json"
local nn = d.nn

local function bits(x) return x:detach():contiguous():bytes() end

local function unet()
  d.manual_seed(1)
  local m = d.unet { image = { 8, 8, 2 }, channels = 8, mult = { 1, 2 }, blocks = 1, attention = { 2 },
    groups = 4 }
  for name, p in m:parameters() do p:add_(d.randn(p:shape(), { seed = #name }) * 0.1) end
  return m
end

local x = d.randn({ 2, 8, 8, 2 }, { seed = 5 })

local function moved(m, options)
  local lora = nn.lora(m, options)
  for name, p in lora:parameters() do p:add_(d.randn(p:shape(), { seed = #name }) * 0.1) end
  return lora
end

local path
before_each(function() path = os.tmpname() end)
after_each(function() os.remove(path) end)

-- The tensors of a file as numbers that can be saved again.
local function contents()
  local tensors, metadata = assert(d.load(path))
  local out = {}
  for name, t in pairs(tensors) do out[name] = t:clone() end
  return out, metadata
end

local function renamed(tensors, how)
  local out = {}
  for name, t in pairs(tensors) do
    local new, value = how(name, t)
    if new then out[new] = value or t end
  end
  return out
end

local function refused(pattern, ...)
  local lora, why = ...
  assert.is_nil(lora)
  assert(why:find(pattern, 1, true), ("%q isn't in %q"):format(pattern, why))
end

describe("a network with adapters", function()
  local messages
  before_each(function()
    messages = {}
    d.warnings(function(message) messages[#messages + 1] = message end)
  end)
  after_each(function() d.warnings(true) end)

  it("is saved as it is, with a warning if they aren't merged", function()
    local m = unet()
    local lora = moved(m)
    local without = bits(lora:disable() and m(x, 5))
    assert(m:save(path))
    assert.is_true(#messages == 1 and messages[1]:find "save: the network has adapters that aren't merged" ~= nil)
    assert.equal(without, bits(assert(d.load_model(path))(x, 5)))
    local merged = lora:enable():merge() and bits(m(x, 5))
    assert(m:save(path))
    assert.equal(1, #messages)
    assert.equal(merged, bits(assert(d.load_model(path))(x, 5)))
  end)

  it("isn't its adapters", function()
    local m = unet()
    local lora = moved(m)
    local process = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "eps" }
    fails("save: an average of adapters, not of a network", m.save, m, path, { weights = d.ema(lora) })
    fails("hub.save: an average of adapters", d.hub.save, path, { unet = d.ema(lora), process = process })
    fails("(a pipe, a network or a table of them expected, got lora)", d.hub.save, path, lora)
    fails("option 'unet': model or ema expected, got lora", d.hub.save, path, { unet = lora, process = process })
    assert.equal(0, #messages)
  end)
end)

describe("a file of adapters", function()
  it("has the names, layouts and config of diffusers and peft", function()
    local lora = moved(unet(), { on = { "^inp$", "^mid.attention" }, alpha = 6,
      rank = function(at) return at == "inp" and 2 or 3 end, dropout = 0.25 })
    assert(lora:save(path))
    local tensors, metadata = contents()
    local names = {}
    for name in pairs(tensors) do names[#names + 1] = name end
    assert.equal(2 * 5, #names)
    local state, a = lora:state(), tensors["unet.conv_in.lora_A.weight"]
    assert.same({ 2, 2, 3, 3 }, a:shape())
    assert.is_true(state["inp.lora_A.weight"]:equal(a:permute(1, 3, 4, 2)))
    assert.same({ 8, 2, 1, 1 }, tensors["unet.conv_in.lora_B.weight"]:shape())
    assert.equal(bits(state["mid.attention.attention.v.lora_B.weight"]),
      bits(tensors["unet.mid_block.attentions.0.to_v.lora_B.weight"]))
    assert.equal("pt", metadata.format)
    local config = json.decode(metadata.lora_adapter_metadata)
    assert.equal(3, config["unet.r"])
    assert.equal(6, config["unet.lora_alpha"])
    assert.equal(0.25, config["unet.lora_dropout"])
    assert.same({ ["^conv_in"] = 2 }, config["unet.rank_pattern"])
    assert.equal("conv_in", config["unet.target_modules"][1])
  end)

  it("gives the same adapters again, also in a folder and of an average", function()
    local m = unet()
    local lora = moved(m, { alpha = function(at) return at:find "mid" and 2 or 8 end })
    local with, ema = m(x, 5), d.ema(lora, { decay = 0.5 })
    local folder = path .. ".folder"
    os.execute(("mkdir '%s'"):format(folder))
    assert(lora:save(folder, { prefix = "transformer" }))
    lora:state()["inp.lora_B.weight"]:mul_(2)
    assert(lora:save(path, { weights = ema }))
    lora:remove()
    local without = bits(m(x, 5))
    for _, file in ipairs { folder, folder .. "/pytorch_lora_weights.safetensors", path } do
      local again = assert(nn.lora(m, { load = file })) -- the first layer of time is turned, and back
      assert.is_true(m(x, 5):allclose(with, { rtol = 1e-5, atol = 1e-5 }))
      again:remove()
      assert.equal(without, bits(m(x, 5)))
    end
    os.execute(("rm -r '%s'"):format(folder))
  end)

  it("is read into adapters of the same layers and ranks only", function()
    local m = unet()
    local lora = moved(m, { rank = 2, alpha = 1, on = "mid" })
    local with = bits(m(x, 5))
    assert(lora:save(path))
    for _, p in lora:parameters() do p:fill_(0) end
    assert.not_equal(with, bits(m(x, 5)))
    assert.equal(lora, lora:load(path))
    assert.equal(with, bits(m(x, 5)))
    refused("'mid.attention.attention.q.lora_A.weight' is [2,16], but the model's is [3,16]",
      nn.lora(m, { rank = 3, on = "^mid.*attention.q$" }):load(path))
    refused("'inp.lora_A.weight' [2,3,3,2] is missing", nn.lora(m, { rank = 2, on = { "^inp$", "^mid" } }):load(path))
    refused("it has adapters of 10 layers, but there are 3 here", nn.lora(m, { rank = 2, on = "mid.one" }):load(path))
  end)

  it("may have names from before peft, or without a prefix, or peft's own", function()
    local m = unet()
    local lora = moved(m, { on = "^mid.attention", rank = 2 })
    local with = bits(m(x, 5))
    assert(lora:save(path))
    lora:remove()
    local tensors = contents()
    local function short(name) return name:match "^unet%.(.*)%.lora_([AB])%.weight$" end
    local word = { A = "down", B = "up" }
    for what, how in pairs {
      diffusers = function(name)
        local at, which = short(name)
        return ("unet.%s.lora.%s.weight"):format(at, word[which])
      end,
      layer = function(name)
        local at, which = short(name)
        return ("%s.lora_linear_layer.%s.weight"):format(at, word[which])
      end,
      peft = function(name)
        local at, which = short(name)
        return ("base_model.model.%s.lora_%s.default.weight"):format(at, which)
      end,
      kohya = function(name)
        local at, which = short(name)
        return ("lora_unet_%s.lora_%s.weight"):format(at:gsub("%.", "_"), word[which])
      end,
      both = function(name, t) return name, t:clone() end,
    } do
      local given = renamed(tensors, how)
      given["text_encoder.layers.0.q.lora_A.weight"] = d.zeros(2, 3) -- another part
      given["lora_te_text_model_q.lora_down.weight"] = d.zeros(2, 3)
      assert(d.save(path, given))
      local again = assert(nn.lora(m, { load = path }))
      assert.equal(with, bits(m(x, 5)), what)
      again:remove()
    end
  end)

  it("is for UNet2DModel under its present and older names", function()
    d.manual_seed(1)
    local m = d.unet2d { in_channels = 2, out_channels = 2, block_out_channels = { 8, 16 }, norm_num_groups = 4,
      layers_per_block = 1, down_block_types = { "DownBlock2D", "AttnDownBlock2D" },
      up_block_types = { "AttnUpBlock2D", "UpBlock2D" }, attention_head_dim = 8 }
    for name, p in m:parameters() do p:add_(d.randn(p:shape(), { seed = #name }) * 0.1) end
    local lora = moved(m, { on = "^mid_block.attentions.0", rank = 2 })
    local want, folder = m(x, 5), child.folder()
    local with = bits(want)
    assert(lora:save(path))
    lora:remove()
    assert(d.hub.save(folder, m))
    local tensors = contents()
    assert.is_truthy(tensors["unet.mid_block.attentions.0.to_out.0.lora_B.weight"])
    local word, old = { A = "down", B = "up" }, { q = "query", k = "key", v = "value", ["out.0"] = "proj_attn" }
    for what, how in pairs {
      present = function(name) return name end,
      processors = function(name)
        local at, which, part = name:match "^(.*)%.to_([%w.]+)%.lora_([AB])%.weight$"
        return ("%s.processor.to_%s_lora.%s.weight"):format(at, which:match "^%a+", word[part])
      end,
      deprecated = function(name)
        return (name:gsub("to_([%w.]+)%.lora", function(which) return old[which] .. ".lora" end))
      end,
    } do
      assert(d.save(path, renamed(tensors, how)))
      local again = assert(nn.lora(m, { load = path }))
      assert.equal(with, bits(m(x, 5)), what)
      again:remove()
      local there = assert(d.hub.load(folder)).unet
      assert.is_false(there(x, 5):allclose(want, { rtol = 1e-2, atol = 1e-2 }))
      assert(nn.lora(there, { load = path }))
      assert.is_true(there(x, 5):allclose(want, { rtol = 1e-4, atol = 1e-4 }), what)
    end
    child.remove(folder)
  end)

  it("may be PyTorch's in a folder; a factor of an unknown class is a sentence", function()
    local m, folder = unet(), child.folder()
    local lora = moved(m, { on = "^inp$", rank = 2 })
    for _, p in lora:parameters() do p:copy_(p:to("f16"):to(p:dtype())) end
    local with = bits(m(x, 5))
    assert(lora:save(path))
    lora:remove()
    local dense = {}
    for name, t in pairs(contents()) do dense[name] = t:to "f32" end
    local file = folder .. "/pytorch_lora_weights.bin"
    child.write(file, forge.pt(dense))
    local again = assert(nn.lora(m, { load = folder }))
    assert.equal(with, bits(m(x, 5)))
    again:remove()
    local damaged = forge.pt(dense):gsub("ctorch\nFloatStorage", "ctorch\nOtherStorage", 1)
    child.write(file, damaged)
    local none, message = nn.lora(m, { load = folder })
    assert.is_nil(none)
    assert(message:find("is of type torch.OtherStorage, a Python class that isn't read", 1, true), message)
    assert.equal(1, (message:find(file, 1, true)))
    assert.is_nil(message:find(file, 2, true))
    child.remove(folder)
  end)

  it("gives d.unet the effect that it has on the UNet2DModel as which it is saved", function()
    local m, folder = unet(), path .. ".folder"
    local process = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "eps" }
    assert(d.hub.save(folder, { unet = m, process = process }))
    local lora = moved(m, { rank = 2 })
    assert(lora:save(path))
    local there = assert(d.hub.load(folder)).unet
    assert(nn.lora(there, { load = path }))
    local want = m(x, { 5, 700 })
    assert.is_true(((there(x, { 5, 700 }) - want):norm() / want:norm()):item() < 1e-5)
    os.execute(("rm -r '%s'"):format(folder))
  end)

  it("may say its alphas in tensors, in the config, or with a root of the rank", function()
    local m = unet()
    local lora = moved(m, { on = "^mid.one.one", rank = 4, alpha = 12 })
    local with = m(x, 5)
    assert(lora:save(path))
    lora:remove()
    local tensors = contents()
    local name = "mid_block.resnets.0.conv1"
    local function check(metadata, more, factor)
      local given = renamed(tensors, function(key) return key end)
      for key, t in pairs(more) do given[key] = t end
      assert(d.save(path, given, metadata and { lora_adapter_metadata = json.encode(metadata) }))
      local again = assert(nn.lora(m, { load = path }))
      again.scale = 3 / factor
      assert.is_true(m(x, 5):allclose(with, { rtol = 1e-5, atol = 1e-5 }))
      again:remove()
    end
    check(nil, {}, 1)
    check(nil, { ["unet." .. name .. ".alpha"] = d.full({}, 2) }, 0.5)
    check({ ["unet.r"] = 4, ["unet.lora_alpha"] = 8 }, {}, 2)
    check({ ["unet.lora_alpha"] = 8, ["unet.alpha_pattern"] = { ["0.conv1"] = 2 } }, {}, 0.5)
    check({ ["unet.lora_alpha"] = 8, ["unet.alpha_pattern"] = { ["^0.conv1"] = 2 } }, {}, 2)
    check({ ["unet.lora_alpha"] = 4, ["unet.use_rslora"] = true }, {}, 2)
    check({ ["text_encoder.lora_alpha"] = 4, ["unet.lora_alpha"] = json.null }, {}, 1)
  end)

  it("may be a folder of peft, whose config is a file of its own", function()
    local m, folder = unet(), child.folder()
    local lora = moved(m, { on = "^mid.attention", rank = 2, alpha = 5 })
    local with = m(x, 5)
    assert(lora:save(path))
    lora:remove()
    assert(d.save(folder .. "/adapter_model.safetensors", renamed(contents(), function(name)
      return (name:gsub("^unet", "base_model.model"))
    end)))
    local function load(config, name)
      child.write(folder .. "/adapter_config.json", config)
      return nn.lora(m, { load = folder .. (name or "") })
    end
    local config = '{"peft_type": "LORA", "r": 2, "lora_alpha": 5, "rank_pattern": {".*to_q": 2}}'
    for _, name in ipairs { "", "/", "/adapter_model.safetensors" } do
      local again = assert(load(config, name))
      assert.is_true(m(x, 5):allclose(with, { rtol = 1e-5, atol = 1e-5 }))
      again:remove()
    end
    os.remove(folder .. "/adapter_config.json")
    local messages = {}
    d.warnings(function(message) messages[#messages + 1] = message end)
    assert(nn.lora(m, { load = folder })):remove()
    d.warnings(true)
    assert.equal(1, #messages)
    assert.is_truthy(messages[1]:find("no adapter_config.json next to it", 1, true))
    refused("adapters are of the kind LOHA, which is not read", load '{"peft_type": "LOHA", "r": 2}')
    refused("adapters are DoRA's", load '{"peft_type": "LORA", "use_dora": true}')
    refused("alpha_pattern has the regular expression '.*to_q'", load '{"alpha_pattern": {".*to_q": 2}}')
    refused("adapter_config.json: ", load "{")
    child.remove(folder)
  end)

  it("takes the first by name of several patterns of alpha, as diffusers does", function()
    local m = unet()
    local lora = moved(m, { on = "^mid.one.one", rank = 4, alpha = 2 })
    local with = m(x, 5)
    assert(lora:save(path))
    lora:remove()
    local pattern, given = {}, renamed(contents(), function(name) return name end)
    for _, start in ipairs { "mid_block.resnets.0.", "resnets.0.", "0.", "" } do pattern[start .. "conv1"] = 7 end
    pattern["0.conv1"] = 2
    assert(d.save(path, given, { lora_adapter_metadata = json.encode { ["unet.alpha_pattern"] = pattern } }))
    assert(nn.lora(m, { load = path }))
    assert.is_true(m(x, 5):allclose(with, { rtol = 1e-5, atol = 1e-5 }))
  end)

  it("may hold f16, and kernels of 1 as matrices", function()
    local m = nn.model(nn.sequence(nn.conv(3, 4, { kernel = 1, pad = 0 }), nn.linear(4, 2)))
    local images = d.randn({ 1, 2, 2, 3 }, { seed = 1 })
    local lora = moved(m, { rank = 2 })
    for _, p in lora:parameters() do p:copy_(p:to("f16"):to(p:dtype())) end
    local with = bits(m(images))
    assert(lora:save(path))
    lora:remove()
    local given = renamed(contents(), function(name, t)
      local flat = name:find "unet.1" and t:reshape(t:size(1), t:size(2)) or t:unsqueeze(3):unsqueeze(4)
      return name, flat:to "f16"
    end)
    assert(d.save(path, given))
    assert(nn.lora(m, { load = path }))
    assert.equal(with, bits(m(images)))
  end)

  it("may be for a network that is one layer", function()
    local m = nn.model(nn.linear(3, 2))
    local lora, point = moved(m, { rank = 1, alpha = 3 }), d.ones(1, 3)
    local with = bits(m(point))
    assert(lora:save(path))
    assert.same({ 1, 3 }, contents()["unet.lora_A.weight"]:shape())
    lora:remove()
    assert(nn.lora(m, { load = path }))
    assert.equal(with, bits(m(point)))
  end)

  it("is refused with a sentence if it doesn't fit", function()
    local m = unet()
    local function save(tensors, metadata) assert(d.save(path, tensors, metadata)) end
    local function load() return nn.lora(m, { load = path }) end
    local a, b = d.zeros(2, 16), d.zeros(16, 2)
    local function pair(at, more)
      local out = { [at .. ".lora_A.weight"] = a, [at .. ".lora_B.weight"] = b }
      for name, t in pairs(more or {}) do out[name] = t or nil end
      return out
    end
    local q = "unet.mid_block.attentions.0.to_q"
    save(pair(q))
    load():remove()
    save(pair "unet.mid.attention.to_q0")
    refused("1 of its 1 adapters fit no layer of this network; the first is for 'mid.attention.to_q0'", load())
    save(pair "text_encoder.layers.1.q")
    refused("it has no adapters of a unet", load())
    save(pair(q, { [q .. ".lora_magnitude_vector"] = b }))
    refused("1 key is of no adapter of rank r; the first is '" .. q .. ".lora_magnitude_vector', DoRA", load())
    for what, name in pairs { DoRA = "dora_scale", LoHa = "hada_w1_a", LoKr = "lokr_w1", IA3 = "on_input",
      OFT = "oft_blocks", GLoRA = "a1.weight", ["a LoCon core"] = "lora_mid.weight", ["a full difference"] = "diff_b",
      ["a difference of a norm"] = "w_norm", ["an adapter of an embedding"] = "lora_embedding_A" } do
      save { [q .. "." .. name] = a }
      refused("1 key is of no adapter of rank r; the first is '" .. q .. "." .. name .. "', " .. what, load())
    end
    save { ["model.diffusion_model.out.2.weight"] = a }
    local _, message = load()
    assert.is_truthy(message:find "the first is 'model.diffusion_model.out.2.weight'$")
    save(pair(q, { [q .. ".alpha"] = d.ones(2) }))
    refused("the alpha of 'mid_block.attentions.0.to_q' isn't a finite number", load())
    save { [q .. ".lora_A.weight"] = d.zeros(0, 16), [q .. ".lora_B.weight"] = d.zeros(16, 0) }
    refused("'" .. q .. ".lora_A.weight' is [0,16], of rank 0", load())
    save(pair(q, { ["lora_unet_mid_block_attentions_0_to_q.lora_down.weight"] = a,
      ["lora_unet_mid_block_attentions_0_to_q.lora_up.weight"] = b }))
    refused("'mid_block_attentions_0_to_q' and 'mid_block.attentions.0.to_q' are for one layer", load())
    for text, sentence in pairs { ["{"] = "its lora_adapter_metadata: json", ["[1]"] = "an object of JSON expected" } do
      save(pair(q), { lora_adapter_metadata = text })
      refused(sentence, load())
    end
    save { [q .. ".lora_A.weight"] = a }
    refused("'mid_block.attentions.0.to_q' has no lora_B or up", load())
    save { [q .. ".lora_A.weight"] = a, [q .. ".lora_B.weight"] = d.zeros(16, 3) }
    refused("'" .. q .. ".lora_A.weight' is [2,16], but '" .. q .. ".lora_B.weight' is [16,3]: their ranks differ",
      load())
    save { [q .. ".lora_A.weight"] = d.zeros(2, 9), [q .. ".lora_B.weight"] = b }
    refused("'mid.attention.attention.q.lora_A.weight' is [2,9], but the network's is [2,16]", load())
    save { [q .. ".lora_A.weight"] = d.zeros(2), [q .. ".lora_B.weight"] = b }
    refused(q .. ".lora_A.weight' is a tensor [2]", load())
    save(pair(q, { [q .. ".alpha"] = d.full({}, 0 / 0) }))
    refused("the alpha of 'mid_block.attentions.0.to_q' isn't a finite number", load())
    save(pair(q), { lora_adapter_metadata = '{"unet.alpha_pattern": {"mid.*q": 2}}' })
    refused("its alpha_pattern has the regular expression 'mid.*q'; paths are read", load())
    save(pair(q), { lora_adapter_metadata = '{"unet.use_dora": true}' })
    refused("its adapters are DoRA's, which are not read", load())
    refused("No such file", nn.lora(m, { load = path .. ".none" }))
    local fine, why = pcall(nn.lora, m, { load = path, rank = 3 })
    assert.is_false(fine)
    assert.is_truthy(why:find("option 'rank': the file in 'load' determines it", 1, true))
    assert.equal(bits(unet()(x, 5)), bits(m(x, 5))) -- nothing is left on it
  end)
end)

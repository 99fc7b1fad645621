-- CLIPTextModel and CLIPTextModelWithProjection against transformers, over the configurations of
-- spec/peers/cliptext.py: keys, outputs, gradients. Then what is ours: folders, tokens that are added,
-- adapters, training, messages.
local d = require "diffusion"
local cases = require "spec.support.peer_cases"
local child = require "spec.support.child"
local cliptext = require "spec.support.peer_cliptext"
local core = require "diffusion.core"
local digest = require("spec.support.peer_unet2d").digest
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local family = require "diffusion.nn.family"
local hub_folder = require "spec.support.hub_folder"
local peers = require "diffusion.nn.peers"

local function joined(a, b)
  local out = {}
  for _, t in ipairs { a, b or {} } do for key, value in pairs(t) do out[key] = value end end
  return out
end

local small = { vocab_size = 20, hidden_size = 8, intermediate_size = 12, projection_dim = 4, num_hidden_layers = 2,
  num_attention_heads = 2, max_position_embeddings = 7, bos_token_id = 18, eos_token_id = 19 }
local ids = { { 18, 4, 9, 19, 19 }, { 18, 1, 0, 3, 19 } }

local function small_model(more) return d.cliptext(joined(small, more)) end

describe("text encoders of transformers", function()
  for k, case in ipairs(cases.read "spec/fixtures/peers/cliptext.safetensors") do
    local name = ("case %d, %s, %s"):format(k, case.class, case.config.hidden_act or "quick_gelu")
    it("have the same outputs and gradients, " .. name, exactly(function()
      for what, ratio in pairs(cliptext.compare(case)) do assert(ratio < 2e-5, ("%s: %.3g"):format(what, ratio)) end
    end))
  end

  -- The digests are of the peer's keys and shapes, by `digest` of spec/peers/unet2d.py.
  it("have the tensors of those of Stable Diffusion at their size", function()
    local function size(options)
      local tensors, elements, shapes = cases.size("cliptext", options)
      return { tensors, elements, (digest(shapes)) }
    end
    assert.same({ 196, 123060480, "26fc76fad1914265" }, size { hidden_size = 768, intermediate_size = 3072,
      num_attention_heads = 12 })
    assert.same({ 372, 340387840, "eb7c491da1d65d17" }, size { hidden_size = 1024, intermediate_size = 4096,
      num_attention_heads = 16, num_hidden_layers = 23, hidden_act = "gelu" })
    assert.same({ 517, 694659840, "eed5faf06917e572" }, size { hidden_size = 1280, intermediate_size = 5120,
      num_attention_heads = 20, num_hidden_layers = 32, hidden_act = "gelu", projection_dim = 1280, projection = true })
  end)

  it("take keys with and without the prefix of the text model, and pass over those of the vision model", function()
    local model, known = small_model(), family.find "cliptext"
    local bare, more = {}, { ["text_model.embeddings.position_ids"] = d.arange(0, 6),
      ["text_projection.weight"] = d.randn(4, 8), ["vision_model.embeddings.class_embedding"] = d.zeros(3),
      ["visual_projection.weight"] = d.zeros(3, 3), logit_scale = d.zeros(1) }
    for key, x in pairs(peers.saved(known.peers.diffusers, model:state())) do
      bare[key:gsub("^text_model%.", "")], more[key] = x, x
    end
    for _, tensors in ipairs { bare, more } do
      local again = assert(peers.model(known, small, tensors))
      assert.is_true(model(ids):equal((again(ids))))
    end
    local projected = assert(peers.model(known, joined(small, { projection = true }), more))
    local _, pooled = projected(ids)
    local _, plain = model(ids)
    assert.allclose(plain:linear(more["text_projection.weight"]), pooled)
    bare["text_model.encoder.layers.2.mlp.fc1.bias"] = d.zeros(12)
    local again, message = peers.model(known, small, bare)
    assert.is_nil(again)
    assert(message:find("1 tensor is unexpected ('text_model.encoder.layers.2.mlp.fc1.bias')", 1, true), message)
  end)
end)

-- ==== folders ================================================================================

describe("a folder of a text encoder", function()
  local root
  before_each(function() root = child.folder() end)
  after_each(function() child.remove(root) end)

  local function written(model, config)
    hub_folder.write(root, { ["config.json"] = config,
      ["model.safetensors"] = peers.saved(family.find("cliptext").peers.diffusers, model:state()) })
  end

  it("is written and opened, in both classes", function()
    for _, more in ipairs { { hidden_act = "gelu", eos_token_id = 2 }, { projection = true, layer_norm_eps = 1e-4 } } do
      local model = small_model(more)
      assert(d.hub.save(root, model))
      local pipe = assert(d.hub.load(root))
      local class = more.projection and "CLIPTextModelWithProjection" or "CLIPTextModel"
      assert.equal(class, pipe.class)
      assert(tostring(pipe):find("text       " .. class, 1, true))
      assert.same(model:config(), pipe.text:config())
      -- transformers takes no integer for a number
      assert.is_truthy(child.read(root .. "/config.json"):find('"initializer_factor": 1.0,', 1, true))
      for _, which in ipairs { 1, 2 } do
        assert.is_true(select(which, model(ids)):equal((select(which, pipe.text(ids)))))
      end
      local one = assert(d.hub.load(root .. "/model.safetensors"))
      assert.is_true(model(ids):equal((one.text(ids))))
      local again = root .. "/again"
      assert(d.hub.save(again, pipe.text))
      assert.equal(child.read(root .. "/model.safetensors"), child.read(again .. "/model.safetensors"))
      assert.equal(child.read(root .. "/config.json"), child.read(again .. "/config.json"))
    end
  end)

  it("may be one of CLIP's two encoders, with options below text_config", function()
    local model = small_model { projection = true }
    local options = joined(small, { projection_dim = 512, model_type = "clip_text_model", bad_words_ids = {} })
    written(model, { architectures = { "CLIPModel" }, text_config = options, projection_dim = 4,
      vision_config = { hidden_size = 99 }, _name_or_path = "somewhere" })
    local _, pooled = assert(d.hub.load(root)).text(ids)
    assert.is_true(select(2, model(ids)):equal(pooled))
    local plain = assert(d.hub.load(root, { class_name = "CLIPTextModel" })).text
    assert.equal(8, select(2, plain(ids)):size(2))
  end)

  it("stays f16 as mapped, and computes near f32", function()
    local model = small_model()
    assert(d.hub.save(root, model, { dtype = "f16" }))
    assert.is_truthy(child.read(root .. "/config.json"):find('"dtype": "float16"', 1, true))
    local half = assert(d.hub.load(root)).text
    assert.equal("f16", half:state()["embeddings.token_embedding.weight"]:dtype())
    assert(cases.ratio(half(ids), (model(ids))) < 5e-3)
  end)

  it("is refused as a denoiser", function()
    written(small_model(), { architectures = { "CLIPTextModel" } })
    hub_folder.write(root, { ["model_index.json"] = { _class_name = "DDPMPipeline", unet = { "transformers",
      "CLIPTextModel" }, scheduler = { "diffusers", "DDPMScheduler" } },
      ["scheduler/scheduler_config.json"] = { _class_name = "DDPMScheduler" },
      ["unet/config.json"] = joined(small, { architectures = { "CLIPTextModel" } }),
      ["unet/model.safetensors"] = peers.saved(family.find("cliptext").peers.diffusers, small_model():state()) })
    local pipe, message = d.hub.load(root)
    assert.is_nil(pipe)
    assert(message:find("'unet' is CLIPTextModel, which is no unet", 1, true), message)
  end)
end)

-- ==== the model ==============================================================================

describe("d.cliptext", function()
  it("computes each text alone as in a batch, bit for bit, and its beginning without its end", function()
    local model, batch = small_model(), d.tensor(ids, { dtype = "i64" })
    local states, pooled = model(batch)
    for b = 1, 2 do
      local one, its = model(batch:narrow(1, b, 1))
      assert.is_true(one:equal(states:narrow(1, b, 1)))
      assert.is_true(its:equal(pooled:narrow(1, b, 1)))
    end
    assert.allclose(model(batch:narrow(2, 1, 3)), states:narrow(2, 1, 3), { atol = 1e-6 })
  end)

  it("pools at the first end of each text, or at the largest id", function()
    local texts = { { 18, 7, 19, 19 }, { 18, 19, 6, 11 }, { 5, 6, 7, 17 } }
    for eos, at in pairs { [19] = { 3, 2, 1 }, [2] = { 3, 2, 4 } } do
      local states, pooled = small_model { eos_token_id = eos } (texts)
      for b = 1, 3 do assert.allclose(states[{ b, at[b] }], pooled[b], { atol = 1e-6 }) end
    end
  end)

  it("takes states of an earlier layer, with the final norm or without", function()
    local model = small_model()
    local raw = model(ids, { skip = 2, norm = false })
    local s = model:state()
    local position = s["embeddings.position_embedding.weight"]:narrow(1, 1, 5)
    assert.allclose(model:embed(ids) + position, raw, { atol = 1e-6 })
    local norm = raw:layer_norm(s["final_layer_norm.weight"], s["final_layer_norm.bias"], { epsilon = 1e-5 })
    assert.allclose(norm, (model(ids, { skip = 2 })), { atol = 1e-5 })
    assert.is_true(select(2, model(ids)):equal((select(2, model(ids, { skip = 1, norm = false })))))
  end)

  it("says what it is called with", function()
    local model = small_model()
    fails("cliptext: ids are {B, N}, a text or more of a token or more, got [3]", model, { 1, 2, 3 })
    fails("cliptext: ids are {B, N}, a text or more of a token or more, got [0,3]", model, d.zeros(0, 3))
    fails("cliptext: id 2 is 20, but there are the tokens 0 to 19", model, { { 1, 20 } })
    fails("cliptext: id 1 is -1, but there are the tokens 0 to 19", model, { { -1, 20 } })
    fails("cliptext: ids 2 is 1.5, not a whole number", model, { { 1, 1.5 } })
    fails("cliptext: ids is a string, not a whole number", model, "a cat")
    fails("cliptext: a text has 8 tokens, at most 7 fit", model, d.zeros(1, 8))
    fails("cliptext: skip is 3, but the network has 2 layers", model, ids, { skip = 3 })
    fails("unknown option 'clip_skip'", model, ids, { clip_skip = 1 })
    fails("cliptext: hidden_size 8 isn't a multiple of num_attention_heads, 3", small_model,
      { num_attention_heads = 3 })
    fails("unknown value 'gelu_10'", small_model, { hidden_act = "gelu_10" })
    fails("positions: [1,3,4] has 3 tokens, but the table has 2 rows", function()
      d.network { inputs = { "x" }, build = function(net)
        return net:positions("p", net.x, { inp = 4, rows = 2 })
      end } (d.zeros(1, 3, 4))
    end)
  end)

  it("is printed as one tree", function()
    local text = tostring(small_model { projection = true })
    assert.equal("cliptext(vocabulary 20, width 8, heads 2, depth 2, projection 4): 1,328 parameters",
      text:match "^[^\n]*")
    assert(text:find "\n    position_embedding: positions%(7, 8%) +56\n")
    assert(text:find "\n      1: clip_layer%(8, heads 2%) +%d+\n")
  end)

  it("changes every parameter in a step of training, with recompute to the same bits", function()
    local function trained(recompute)
      d.manual_seed(3)
      local model = small_model { projection = true, recompute = recompute }
      local before = {}
      for name, p in model:parameters() do before[name] = p:clone() end
      local opt = d.adamw(model, { lr = 1e-2 })
      local every = { { 19, 18, 17, 16, 15, 14, 13 }, { 12, 11, 10, 9, 8, 7, 6 }, { 5, 4, 3, 2, 1, 0, 19 } }
      d.record(function()
        local states, pooled = model(every)
        return states:square():mean() + (states * d.randn(states:shape(), { seed = 1 })):mean() + pooled:mean()
      end):backward()
      opt:step()
      local bits = {}
      for name, p in model:parameters() do
        -- a softmax doesn't change if the same number is added to all of its scores
        if name:find "self_attn%.k%.bias" then assert(not p:isfinite():eq(0):any())
        else assert.is_true(p:ne(before[name]):any(), name) end
        bits[#bits + 1] = p:bytes()
      end
      return table.concat(bits)
    end
    assert.is_true(trained(false) == trained(true))
  end)

  it("has adapters on the products of its layers", function()
    local model = small_model()
    local states = model(ids)
    local lora = d.nn.lora(model, { rank = 2, on = { "self_attn", "fc1", "fc2" } })
    assert.equal(2 * (4 * 2 * (8 + 8) + 2 * 2 * (8 + 12)), (lora:count()))
    assert.is_true(states:equal((lora(ids))))
    local opt = d.adamw(lora, { lr = 0.1 })
    d.record(function() return (lora(ids)):narrow(3, 1, 2):sum() end):backward()
    opt:step()
    assert.is_false(states:equal((model(ids))))
    local path = os.tmpname() .. ".safetensors"
    assert(lora:save(path))
    local saved = assert(d.load(path))
    os.remove(path)
    assert.is_truthy(saved["text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"])
  end)
end)

describe("a table of positions", function()
  it("has the gradient of its rows, of those that are read", function()
    local model = d.network { inputs = { "x" }, build = function(net)
      return net:positions("p", net.x, { inp = 3, rows = 5 })
    end }
    local x = d.randn({ 2, 4, 3 }, { seed = 1 }):to(core.real)
    local k, w = d.randn({ 2, 4, 3 }, { seed = 2 }), model:state()["p.weight"]
    assert.allclose(x + w:narrow(1, 1, 4), model(x))
    d.record(function() return (model(x) * k):sum() end):backward()
    assert.allclose(d.cat({ k:sum(1), d.zeros(1, 3) }, 1), w.grad, { atol = 1e-6 })
    assert.allclose(k, (d.grad(function(v) return (model(v) * k):sum() end, x)))
    fails("positions: tokens are [B,N,3], got [2,3]", model, d.zeros(2, 3))
    if core.real == "f64" then d.gradcheck(function(v) return (model(v) * k):sum() end, { x }) end
  end)

  it("starts within a bound", function()
    local w = d.cliptext({ vocab_size = 500, hidden_size = 64, intermediate_size = 8, num_attention_heads = 1,
      num_hidden_layers = 1, initializer_factor = 2 }):state()
    for _, name in ipairs { "token", "position" } do
      assert.near(0.04, w["embeddings." .. name .. "_embedding.weight"]:std():item(), 0.002)
    end
  end)
end)

describe("tokens that are added", function()
  local rows = d.randn({ 2, 8 }, { seed = 4 })

  it("are read by the ids after the last one, and end no text", function()
    for _, eos in ipairs { 19, 2 } do
      local model = small_model { eos_token_id = eos }
      local _, before = model { { 18, 4, 19 } }
      assert.same({ 20, 21 }, model:add_tokens(rows))
      assert.same({ 22 }, model:add_tokens(rows:narrow(1, 1, 1) * 2))
      assert.is_true(model:embed({ 21, 20, 22 }):equal(d.cat({ rows:flip(1), rows:narrow(1, 1, 1) * 2 }, 1)))
      assert.allclose(before, (select(2, model { { 18, 4, 19 } })))
      local states, pooled = model { { 18, 21, 19, 22 } }
      assert.allclose(states[{ 1, 3 }], pooled[1], { atol = 1e-6 })
      fails("cliptext: id 1 is 23, but there are the tokens 0 to 22", model, { { 23 } })
      fails("cliptext:add_tokens: rows are a tensor {n, 8}, got [3,4]", model.add_tokens, model, d.zeros(3, 4))
      fails("cliptext:add_tokens: rows are a tensor {n, 8}, got table", model.add_tokens, model, { 1, 2 })
    end
  end)

  it("train alone, as parameters of another model", function()
    local model, tokens = small_model(), d.nn.model(d.nn.embedding(2, 8))
    model:freeze()
    model:add_tokens(tokens.weight)
    local opt, before = d.adamw(tokens, { lr = 0.1 }), tokens.weight:clone()
    d.record(function() return (model { { 18, 21, 19 } }):narrow(3, 1, 3):sum() end):backward()
    opt:step()
    assert.is_true(tokens.weight[1]:equal(before[1]:contiguous()))
    assert.is_true(tokens.weight[2]:ne(before[2]):all())
  end)

  it("are in the table of a saved model, and end no text there", function()
    for _, eos in ipairs { 19, 2 } do
      local model, text = small_model { eos_token_id = eos }, { { 18, 21, 20, 19 } }
      model:add_tokens(rows)
      local path, root = os.tmpname(), child.folder()
      local states, pooled = model(text)
      assert(model:save(path))
      assert(d.hub.save(root, model))
      for _, again in ipairs { assert(d.load_model(path)), assert(d.hub.load(root)).text } do
        local read, its = again(text)
        assert.equal(22, again:config().vocab_size)
        assert.is_true(states:equal(read))
        assert.is_true(pooled:equal(its))
      end
      assert.same({ 20, eos }, { model:config().vocab_size, model:config().eos_token_id })
      os.remove(path)
      child.remove(root)
    end
  end)
end)

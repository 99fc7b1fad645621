-- Adapters and learned words of text-to-image pipes: files of all forms have the effect that they have in diffusers.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local lora_text = require "spec.support.lora_text"

local facts = assert(json.decode(assert(child.read "spec/fixtures/peers/lora_text.json")))
local outputs = assert(d.load "spec/fixtures/peers/lora_text.safetensors")
local WORDS = "spec/fixtures/peers/words/"

local root, pipes
setup(function()
  root = child.folder()
  pipes = { sd1 = lora_text.pipe(root, "sd1"), xl = lora_text.pipe(root, "xl") }
end)
teardown(function() child.remove(root) end)

local function gap(x, y)
  y = y:to(core.real)
  return ((x - y):abs():max() / y:abs():max()):item()
end

local function assert_near(x, y, what)
  local off = gap(x, y)
  assert(off < 1e-5, ("%s: %g"):format(what, off))
end

-- The pipe of a fixture's file, and its path.
local function file_of(name)
  local path = ("%s/%s.safetensors"):format(root, name)
  lora_text.write(path, facts.files[name])
  return pipes[facts.kinds[name]], path
end

local function refused(sentence, value, message)
  assert.is_nil(value)
  assert(message:find(sentence, 1, true), message)
end

local function stir(lora, size)
  for name, p in lora:parameters() do p:add_(d.randn(p:shape(), { seed = #name }) * size) end
end

describe("a file of adapters for a pipe", function()
  for name in pairs(facts.files) do
    it(name .. " has the effect that it has in diffusers, merged too, and none once removed", exactly(function()
      local pipe, path = file_of(name)
      local without = lora_text.output(pipe)
      local one = assert(pipe:load_lora(path))
      assert_near(lora_text.output(pipe), outputs[name], name)
      assert_near(lora_text.output(pipe), one:merge() and outputs[name], "merged")
      one:unmerge():remove()
      assert.is_true(without:equal(lora_text.output(pipe)))
      assert_near(without, outputs[facts.kinds[name]], "without")
      assert.same({}, pipe.loras)
    end))
  end

  -- Diffusers loses some of several alphas, so the sums are made here.
  it("has as many alphas as kohya's scripts gave it, and the rank where there is none", exactly(function()
    local pipe, path, tensors, changes = pipes.xl, root .. "/alphas.safetensors", {}, {}
    for i, row in ipairs {
      { "unet", "mid_block.attentions.0.transformer_blocks.1.attn1.q",
        "lora_unet_middle_block_1_transformer_blocks_1_attn1_to_q", 2, 0.5 },
      { "unet", "down_blocks.0.resnets.0.one.conv", "lora_unet_input_blocks_1_0_in_layers_2", 3, 8 },
      { "unet", "conv_in", "lora_unet_input_blocks_0_0", 2 },
      { "text", "encoder.layers.1.mlp.fc1", "lora_te1_text_model_encoder_layers_1_mlp_fc1", 2, 3 },
      { "text2", "encoder.layers.0.mlp.fc1", "lora_te2_text_model_encoder_layers_0_mlp_fc1", 4, 1 },
    } do
      local net, ours, theirs, rank, alpha = table.unpack(row)
      local w = pipe[net]:state()[ours .. ".weight"]
      local shape = w:dim() == 4 and w:permute(1, 4, 2, 3):shape() or w:shape()
      local up = d.randn({ shape[1], rank }, { seed = i })
      local down = d.randn({ rank, table.unpack(shape, 2) }, { seed = 9 + i })
      tensors[theirs .. ".lora_down.weight"] = down
      tensors[theirs .. ".lora_up.weight"] = w:dim() == 4 and up:reshape(shape[1], rank, 1, 1) or up
      tensors[theirs .. ".alpha"] = alpha and d.full({}, alpha)
      local product = up:matmul(down:reshape(rank, -1)):reshape(shape) * (0.5 * (alpha or rank) / rank)
      changes[w] = w:dim() == 4 and product:permute(1, 3, 4, 2) or product
    end
    assert(d.save(path, tensors))
    local before = lora_text.output(pipe)
    local one = assert(pipe:load_lora(path, { weight = 0.5 }))
    local with = lora_text.output(pipe)
    one:remove()
    for w, change in pairs(changes) do
      changes[w] = w:clone()
      w:add_(change)
    end
    assert_near(with, lora_text.output(pipe), "alphas")
    for w, old in pairs(changes) do w:copy_(old) end
    assert.is_true(gap(before, with) > 0.05)
    assert.is_true(before:equal(lora_text.output(pipe)))
  end))

  it("adds its effect to those of others, by their weights", exactly(function()
    local pipe, first = file_of "peft"
    local _, second = file_of "kohya"
    local a = assert(pipe:load_lora(first, { weight = 0.5 }))
    local b = assert(pipe:load_lora(second, { name = "b" }))
    b.weight = -0.75
    assert.same({ a, b, -0.75, -0.75 }, { pipe:lora "peft", pipe.loras[2], b.weight, b.text.scale })
    assert_near(lora_text.output(pipe), outputs.both, "both")
    assert.is_truthy(tostring(pipe):find("lora       'b'", 1, true))
    local text = b:disable() and lora_text.output(pipe)
    b:enable()
    b.weight = { unet = 0, text = 0 }
    assert_near(lora_text.output(pipe), text, "weight 0")
    fails("adapters of the name 'b'", pipe.load_lora, pipe, first, { name = "b" })
    fails("unknown adapters 'peff'; did you mean 'peft'?", pipe.lora, pipe, "peff")
    fails("unknown network 'txet'", function() b.weight = { txet = 1 } end)
    fails("weight: finite number or table expected, got inf", function() b.weight = 1 / 0 end)
    a:remove()
    b:remove()
  end))

  it("may be taken for some networks alone", function()
    local pipe, path = file_of "kohya_xl"
    local one = assert(pipe:load_lora(path, { parts = { "text2", "unet" } }))
    assert.is_nil(one.text)
    assert.is_truthy(one.text2)
    one:remove()
    refused("has adapters of a text_encoder_2, which this pipe doesn't have; parts = {\"unet\"}",
      pipes.sd1:load_lora(path))
    refused("adapters fit no layer", pipes.sd1:load_lora(select(2, file_of "kohya_authors"), { parts = { "unet" } }))
    fails("parts", pipe.load_lora, pipe, path, { parts = { "vae" } })
  end)

  it("may be for one network that its names don't tell, as peft's files are", function()
    local pipe, path = pipes.xl, root .. "/bare.safetensors"
    local one, tensors = pipe:add_lora { rank = 2, text = true, seed = 1 }, {}
    stir(one.text2, 0.3)
    local with = lora_text.output(pipe)
    assert(one.text2:save(path))
    one:remove()
    for name, x in pairs(assert(d.load(path))) do
      tensors[name:gsub("^text_encoder%.text_model", "base_model.model")] = x:clone()
    end
    assert(d.save(path, tensors))
    refused("adapters fit no layer", pipe:load_lora(path))
    one = assert(pipe:load_lora(path, { parts = { "text2" } }))
    assert.is_true(one.text2 ~= nil and one.text == nil and one.unet == nil)
    assert.is_true(with:allclose(lora_text.output(pipe), { rtol = 1e-4, atol = 1e-5 }))
    one:remove()
  end)

  it("is refused as a whole if one of its networks doesn't fit", function()
    local pipe, path = file_of "kohya"
    local tensors = {}
    for name, x in pairs(assert(d.load(path))) do tensors[name] = x:clone() end
    local key = "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight"
    tensors[key] = d.zeros(15, tensors[key]:size(2))
    assert(d.save(path, tensors))
    local before = lora_text.output(pipe)
    refused("15", pipe:load_lora(path))
    assert.is_true(before:equal(lora_text.output(pipe)))
    assert.is_nil(next(pipe.loras or {}))
    tensors[key] = nil
    assert(d.save(path, tensors))
    refused("has no lora_B or up", pipe:load_lora(path))
    assert(d.save(path, { ["lora_unet_x.hada_w1_a"] = d.zeros(1) }))
    refused("LoHa", pipe:load_lora(path))
    assert(d.save(path, { x = d.zeros(1) }))
    refused("1 key is of no adapter", pipe:load_lora(path))
    refused("nowhere", pipe:load_lora(root .. "/nowhere.safetensors"))
  end)
end)

describe("new adapters of a pipe", function()
  it("train, and come back from files of both kinds of names", exactly(function()
    for kind, pipe in pairs(pipes) do
      local before = lora_text.output(pipe)
      local one = pipe:add_lora { name = "mine", rank = 2, alpha = 3, text = true, seed = 1,
        on = { "attn", "conv1$", "conv_in", "upsamplers", "proj_in" }, text_on = "." }
      assert.is_true(before:equal(lora_text.output(pipe)))
      for _, part in ipairs { one.unet, one.text, one.text2 } do stir(part, 0.3) end
      local with = lora_text.output(pipe)
      for _, form in ipairs { "diffusers", "kohya" } do
        local path = ("%s/%s_%s.safetensors"):format(root, kind, form)
        assert(one:save(path, { form = form }))
        local other = assert(d.hub.load(root .. "/" .. kind, { vae = false }))
        assert(other:load_lora(path))
        assert.is_true(with:equal(lora_text.output(other)))
      end
      one:remove()
    end
  end))

  it("have names that kohya's scripts give", function()
    local one = pipes.xl:add_lora { rank = 1, on = { "attn1%.to_q$", "upsamplers" }, text = true, text_on = "fc1" }
    local path = root .. "/names.safetensors"
    assert(one:save(path, { form = "kohya" }))
    one:remove()
    local tensors, metadata = assert(d.load(path))
    assert.equal("1", metadata.ss_network_dim)
    assert.same({}, tensors["lora_unet_output_blocks_1_1_conv.alpha"]:shape())
    assert.is_truthy(tensors["lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q.lora_down.weight"])
    assert.is_truthy(tensors["lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight"])
    assert.is_truthy(tensors["lora_te2_text_model_encoder_layers_2_mlp_fc1.lora_up.weight"])
  end)

  it("learn by the loss of d.objective, and nothing else does", function()
    local pipe = pipes.sd1
    local one = pipe:add_lora { rank = 2, seed = 1, text = true }
    local objective = d.objective { process = pipe.process }
    local opt = d.adamw({ one.unet, one.text }, { lr = 1e-3 })
    local x0, weight = d.randn(2, 8, 8, 4), pipe.unet:state()["conv_in.weight"]
    local before = weight and weight:clone()
    for _ = 1, 2 do
      local loss = d.record(function()
        local given = pipe:inputs { captions = { "a cat", "the dog" } }
        return (objective(pipe:denoiser(), x0, { inputs = given }))
      end)
      loss:backward()
      opt:step()
    end
    for _, part in ipairs { one.unet, one.text } do
      local moved = 0
      for name, p in part:parameters() do
        if name:find "lora_B" and p:abs():max():item() > 0 then moved = moved + 1 end
      end
      assert.is_true(moved > 0)
    end
    if before then assert.is_true(before:equal(weight)) end
    one:remove()
  end)

  it("have the same gradients where networks recompute their blocks", function()
    local function gradients(how)
      local pipe = assert(d.hub.load(root .. "/sd1", how))
      local one = pipe:add_lora { rank = 2, seed = 1, text = true }
      stir(one.unet, 0.3)
      d.manual_seed(4)
      d.record(function()
        local given = pipe:inputs { "a cat" }
        return (d.objective { process = pipe.process }(pipe.unet, d.randn(1, 8, 8, 4), { inputs = given }))
      end):backward()
      local out = {}
      for _, part in ipairs { one.unet, one.text } do
        for name, p in part:parameters() do out[name] = p.grad:clone() end
      end
      return out, pipe.unet:config().recompute, pipe.text:config().recompute
    end
    local plain = gradients { vae = false }
    local again, unet, text = gradients { vae = false, recompute = true }
    assert.is_true(unet and text)
    for name, g in pairs(plain) do assert.is_true(g:equal(again[name])) end
  end)

  it("are on all networks or on none, which then train as before", function()
    local pipe = assert(d.hub.load(root .. "/sd1", { vae = false }))
    local function trainable() return select(2, pipe.unet:count()) end
    local all, before = trainable(), lora_text.output(pipe)
    fails("no linear layer or convolution matches 'nothing'", pipe.add_lora, pipe, { text = true, text_on = "nothing" })
    assert.equal(all, trainable())
    local path = root .. "/half.safetensors"
    local one = pipe:add_lora { rank = 2, text = true, seed = 1 }
    for _, part in ipairs { one.unet, one.text } do stir(part, 0.3) end
    assert(one:save(path))
    local tensors = {}
    for name, x in pairs(assert(d.load(path))) do
      tensors[name] = name:find "^text_encoder.*lora_B" and d.zeros(3, x:size(2)) or x:clone()
    end
    assert(d.save(path, tensors))
    pipe = assert(d.hub.load(root .. "/sd1", { vae = false }))
    pipe.unet:freeze "conv_in"
    all = trainable()
    refused("is [3,2]", pipe:load_lora(path))
    assert.equal(all, trainable())
    d.adamw(pipe.unet, { lr = 1e-3 })
    assert.equal(all, trainable())
    assert.is_true(before:equal(lora_text.output(pipe)))
  end)

  it("are saved with averages of theirs alone, and do nothing once removed", function()
    local pipe, path = pipes.sd1, root .. "/averages.safetensors"
    local one, other = pipe:add_lora { rank = 2, seed = 1 }, pipe:add_lora { name = "b", rank = 3, seed = 1 }
    local function wrong(sentence, weights) fails(sentence, one.save, one, path, { weights = weights }) end
    wrong("save: weights: unknown network 'text'", { text = d.ema(one.unet) })
    wrong("save: weights of unet: lora or ema expected, got 5", { unet = 5 })
    wrong("save: weights are of other adapters", { unet = d.ema(other.unet) })
    fails("save: weights are of other adapters", one.unet.save, one.unet, path, { weights = d.ema(pipe.unet) })
    assert(one:save(path, { weights = { unet = d.ema(one.unet) } }))
    one:remove()
    other:remove()
    for _, name in ipairs { "merge", "unmerge", "enable", "disable", "save" } do
      fails(name .. ": these adapters were removed from their networks", one[name], one, path)
    end
  end)

  it("take options that are known", function()
    local pipe = pipes.sd1
    fails("unknown option 'ranks'", pipe.add_lora, pipe, { ranks = 4 })
  end)
end)

describe("a learned word", function()
  for name, kind in pairs(facts.kinds) do
    if name:find "%." then
      it("of " .. name .. " has the effect that it has in diffusers", exactly(function()
        local pipe = assert(d.hub.load(root .. "/" .. kind, { vae = false }))
        local word, n = pipe:load_embedding(WORDS .. name, { word = "<toy>" })
        assert.same({ "<toy>", name:find "%.bin$" and 1 or name:find "^both" and 2 or 3 }, { word, n })
        assert_near(lora_text.output(pipe, facts.prompt), outputs[name], name)
        refused("'<toy>'", pipe:load_embedding(WORDS .. name, { word = "<toy>" }))
      end))
    end
  end

  it("stays in a pipe that is saved and opened again", exactly(function()
    local pipe = lora_text.pipe(root .. "/whole", "sd1", true)
    assert(pipe:load_embedding(WORDS .. "embedding.pt"))
    assert(d.hub.save(root .. "/again", pipe))
    local again = assert(d.hub.load(root .. "/again"))
    local x = lora_text.output(pipe, facts.prompt)
    assert_near(x, outputs["embedding.pt"], "embedding.pt")
    assert.is_true(x:equal(lora_text.output(again, facts.prompt)))
  end))

  it("has the name that the file has", function()
    local function word_of(kind, path)
      local pipe = assert(d.hub.load(root .. "/" .. kind, { vae = false }))
      return (assert(pipe:load_embedding(path)))
    end
    assert.equal("<toy>", word_of("sd1", WORDS .. "embedding.pt"))
    assert.equal("<toy>", word_of("sd1", WORDS:gsub("/$", "")))
    assert.equal("both", word_of("xl", WORDS .. "both.safetensors"))
    assert.equal("<toy>", word_of("xl", WORDS .. "learned_embeds.bin"))
  end)

  it("is refused if it doesn't fit", function()
    local pipe = assert(d.hub.load(root .. "/sd1", { vae = false }))
    local path = root .. "/word.safetensors"
    local function wrong(sentence, tensors)
      assert(d.save(path, tensors))
      local before = pipe.tokenizer.size
      refused(sentence, pipe:load_embedding(path))
      assert.equal(before, pipe.tokenizer.size)
    end
    wrong("its vectors are 9 wide, but the tokens of the text encoder 8", { ["<x>"] = d.zeros(1, 9) })
    wrong("its vectors are a tensor [1,1,8]", { ["<x>"] = d.zeros(1, 1, 8) })
    wrong("its vectors hold numbers that aren't finite", { ["<x>"] = d.full({ 1, 8 }, 0 / 0) })
    wrong("it has 15 vectors, but 14 tokens fit into a text", { ["<x>"] = d.zeros(15, 8) })
    wrong("got a, b", { a = d.zeros(1, 8), b = d.zeros(1, 8) })
    wrong("vectors for the part text2", { clip_l = d.zeros(1, 8), clip_g = d.zeros(1, 8) })
    wrong("the vocabulary has 'cat</w>'", { ["cat</w>"] = d.zeros(1, 8) })
    wrong("a tensor {n, width} of floats", { ["<x>"] = d.zeros({ 1, 8 }, { dtype = "i64" }) })
    refused("nowhere", pipe:load_embedding(root .. "/nowhere.pt"))
    refused("learned_embeds.safetensors", pipe:load_embedding(root))
    pipe.text:add_tokens(d.zeros(1, 8))
    wrong("the tokenizer has 525 tokens, but the text encoder 526", { ["<x>"] = d.zeros(1, 8) })
  end)
end)

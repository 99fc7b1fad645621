-- Pipes whose text encoder draws a layout, which the denoiser gets next to x.
local child = require "spec.support.child"
local d = require "diffusion"
local fails = require "spec.support.fails"

local folder
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

local scheduler = { _class_name = "DDIMScheduler", beta_schedule = "squaredcos_cap_v2", num_train_timesteps = 1000,
  prediction_type = "v_prediction", rescale_betas_zero_snr = true, timestep_spacing = "trailing", clip_sample = false }

local function new_text(tokens, dim)
  return d.cliptext { vocab_size = tokens.size, hidden_size = 8, intermediate_size = 8, num_hidden_layers = 1,
    num_attention_heads = 2, max_position_embeddings = 6, initializer_factor = 25, eos_token_id = tokens.eos,
    projection = true, projection_dim = dim }
end

local function parts_of(more)
  d.manual_seed(1)
  local tokens = d.tokenizer { words = { "red apple", "green fox" }, length = 6 }
  local parts = { tokenizer = tokens, text = new_text(tokens, 64), scheduler = scheduler,
    unet = d.unet2dcondition { sample_size = 4, in_channels = 8, block_out_channels = { 8 }, layers_per_block = 1,
      norm_num_groups = 4, cross_attention_dim = 8, attention_head_dim = 2,
      down_block_types = { "CrossAttnDownBlock2D" }, up_block_types = { "CrossAttnUpBlock2D" } },
    vae = d.autoencoderkl { block_out_channels = { 4, 4 }, norm_num_groups = 2, sample_size = 8,
      down_block_types = { "DownEncoderBlock2D", "DownEncoderBlock2D" }, mid_block_add_attention = false,
      up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D" } } }
  for key, value in pairs(more or {}) do parts[key] = value end
  return parts
end

local function pipe_of(more)
  local path = folder .. "/pipe"
  assert(d.hub.save(path, parts_of(more)))
  return assert(d.hub.load(path))
end

local function draw(pipe, o)
  o.seed, o.steps = 1, 3
  return pipe:text2image(o)
end

describe("a pipe with layouts", function()
  it("is one by its networks, and stays one", function()
    local pipe = pipe_of()
    assert.equal("StableDiffusionLayoutPipeline", pipe.class)
    local x = draw(pipe, { prompt = { "red apple", "green fox" } })
    assert.same({ 2, 8, 8, 3 }, x:shape())
    assert(d.hub.save(folder .. "/again", pipe))
    assert.is_true(draw(assert(d.hub.load(folder .. "/again")), { prompt = { "red apple", "green fox" } }):equal(x))
  end)

  it("warns once of the words of a prompt that its encoder never saw", function()
    local pipe, said = pipe_of(), {}
    d.warnings(function(message) said[#said + 1] = message end)
    draw(pipe, { prompt = { "red plum", "green fox" }, negative = "" })
    draw(pipe, { prompt = "Plum! of an apple" })
    draw(pipe, { prompt = "plum", n = 2 })
    d.warnings(true)
    assert.equal(3, #said)
    for i, word in ipairs { "plum", "of", "an" } do
      local sentence = ('pipe:text2image: the vocabulary doesn\'t have the word "%s"'):format(word)
      assert(said[i]:find(sentence, 1, true), said[i])
    end
  end)

  it("draws image k of a seed alone or in a batch, with guidance or without", function()
    local pipe = pipe_of()
    for _, guidance in ipairs { 1, 3 } do
      local x = draw(pipe, { prompt = "green fox", n = 3, guidance = guidance })
      assert.is_true(draw(pipe, { prompt = "green fox", guidance = guidance }):equal(x:narrow(1, 1, 1)))
    end
    local usual = draw(pipe, { prompt = "green fox" })
    assert.is_true(usual:equal(draw(pipe, { prompt = "green fox", guidance = 1.5 })))
    assert.is_false(usual:equal(draw(pipe, { prompt = "green fox", guidance = 1 })))
    assert.is_false(usual:equal(draw(pipe, { prompt = "green fox", negative = "red" })))
  end)

  it("gives the denoiser the projection of the text as further channels", function()
    local pipe = pipe_of()
    local inputs = pipe:encode_prompt { prompt = "red apple" }
    local states, projected = pipe.text((pipe.tokenizer "red apple"))
    assert.is_true(inputs.context:equal(states))
    assert.is_true(inputs.layout:equal(projected:reshape(1, 4, 4, 4)))
    local x = d.randn(1, 4, 4, 4)
    local joined = pipe.unet(d.cat({ x, inputs.layout }, -1), 500, { context = states })
    assert.is_true(pipe:denoiser()(x, 500, inputs):equal(joined))
    local other = pipe:encode_prompt { prompt = "green fox" }
    local mixed = draw(pipe, { prompt = { context = inputs.context, layout = other.layout }, guidance = 1 })
    assert.is_false(mixed:equal(draw(pipe, { prompt = "red apple", guidance = 1 })))
  end)

  it("needs the layout of a text that is encoded already", function()
    local pipe = pipe_of()
    local context = pipe:encode_prompt({ prompt = "red apple" }).context
    fails("the input 'layout' is missing", draw, pipe, { prompt = { context = context } })
    fails("the input 'layout' is missing", pipe:denoiser(), d.randn(1, 4, 4, 4), 500)
  end)

  it("gives inputs for training, also those of a set that is encoded once", function()
    local pipe = pipe_of()
    local set = d.data.set { x = d.randint(0, 255, { 4, 8, 8, 3 }):to "u8",
      captions = { "red", "fox", "green", "red fox" } }
    local shown = assert(pipe:encode_set(set)):batches { size = 3, steps = 1, seed = 1 }
    local walk = set:batches { size = 3, steps = 1, seed = 1 }
    local _, latents = shown()
    walk()
    local inputs, kept = pipe:inputs(walk), pipe:inputs(shown)
    assert.same({ 3, 4, 4, 4 }, inputs.layout:shape())
    assert.allclose(inputs.layout, kept.layout)
    local empty = pipe:encode_prompt { prompt = "" }
    assert.allclose(empty.layout:expand(3, 4, 4, 4):contiguous(), pipe:inputs(walk, { drop = 1 }).layout)
    local objective = d.objective { process = pipe.process }
    assert.is_true(objective(pipe:denoiser(), latents, { inputs = inputs }):item() > 0)
  end)

  it("edits pictures", function()
    local pipe = pipe_of()
    local x = draw(pipe, { prompt = "red apple" })
    local y = pipe:image2image { prompt = "green fox", x0 = x, strength = 0.5, steps = 4, seed = 1 }
    assert.same({ 1, 8, 8, 3 }, y:shape())
    local keep = d.cat({ d.ones(8, 4, 1), d.zeros(8, 4, 1) }, 2)
    assert.same({ 1, 8, 8, 3 }, pipe:inpaint { prompt = "green fox", x0 = x, keep = keep, steps = 3, seed = 1 }:shape())
  end)

  it("has one size", function()
    fails("images of 16 x 8 pixels; the text encoder draws layouts for 8 x 8", draw, pipe_of(),
      { prompt = "red", height = 16 })
  end)

  it("needs a projection of its size", function()
    local pipe = pipe_of()
    pipe.text = new_text(pipe.tokenizer, 32)
    fails("projects to 32 numbers, but the denoiser's layout has 4 x 4 x 4", draw, pipe, { prompt = "red" })
  end)
end)

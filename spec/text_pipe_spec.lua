-- Text-to-image pipes: the images of diffusers from torch's generators, and what their calls take and refuse.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local opts = require "diffusion.opts"
local refusal = require "spec.support.refusal"
local text_folder = require "spec.support.text_folder"

local all = text_folder.read()
local images = assert(d.load "spec/fixtures/peers/text_pipelines.safetensors")

local root
setup(function() root = child.folder() end)
teardown(function() child.remove(root) end)

local opened = {}

-- The pipe of a case. Cases of the same networks share a folder.
local function pipe_of(case)
  local key = json.encode { case.pipeline, case.parts.unet, case.pad, case.parts.text_encoder_2 or false,
    case.requires_aesthetics_score or false, case.scheduler.steps_offset or case.scheduler }
  if not opened[key] then
    local n = 0
    for _ in pairs(opened) do n = n + 1 end
    local folder = root .. "/" .. n
    text_folder.write(folder, case, all)
    opened[key] = assert(d.hub.load(folder))
  end
  if case.scheduler.steps_offset then opened[key].scheduler = case.scheduler end
  return opened[key]
end

local names = {}
for name in pairs(all.cases) do names[#names + 1] = name end
table.sort(names)

local CAT = "a red cat on the mat"

-- A quick call's options.
local function call(more) return opts.joined({ prompt = CAT, steps = 3, seed = 1 }, more or {}) end

local function gap(a, b) return (a - b):abs():max():item() end

describe("a pipe draws the images of diffusers from torch's generator:", function()
  setup(function() d.warnings(false) end)
  teardown(function() d.warnings(true) end)
  for _, name in ipairs(names) do
    it(name, exactly(function()
      local case = all.cases[name]
      local o, method = text_folder.call(case)
      local pipe = pipe_of(case)
      local x = pipe[method](pipe, o)
      assert.same(case.shape, x:shape())
      local off = gap(text_folder.sampled(all, x), images[name]:to(core.real))
      assert(off < 1e-4, ("%s: %g"):format(name, off))
    end))
  end
end)

describe("a text pipe", function()
  local pipe
  before_each(function() pipe = pipe_of(all.cases.sd1_ddim) end)

  it("draws image k of a seed alone or in a batch", function()
    local x = pipe:text2image(call { prompt = { CAT, "the dog" }, n = 2 })
    assert.same({ 4, 16, 16, 3 }, x:shape())
    assert.is_true(x:abs():max():item() <= 1)
    assert.is_true(pipe:text2image(call()):equal(x:narrow(1, 1, 1)))
    assert.is_true(pipe:text2image(call { n = 2 }):equal(x:narrow(1, 1, 2)))
    assert(gap(pipe:text2image(call { n = 2 }), x:narrow(1, 3, 2)) > 0.01)
    local x0 = x:narrow(1, 1, 1)
    local y = pipe:image2image(call { x0 = x0, n = 2 })
    assert.is_true(pipe:image2image(call { x0 = x0 }):equal(y:narrow(1, 1, 1)))
    assert(gap(y:narrow(1, 1, 1), y:narrow(1, 2, 1)) > 0.01)
    assert.same({ 4, 16, 16, 3 }, pipe:image2image(call { x0 = x }):shape())
  end)

  it("takes an image for each prompt, and draws several of each", function()
    local x0 = d.rand({ 2, 16, 16, 3 }, { seed = 3 }) * 2 - 1
    local keep = d.cat({ d.ones(1, 16, 16, 1), d.zeros(1, 16, 16, 1) }, 1)
    for method, more in pairs { image2image = {}, inpaint = { keep = keep } } do
      local x = pipe[method](pipe, call(opts.joined(more, { prompt = { CAT, "the dog" }, n = 2, x0 = x0 })))
      assert.same({ 4, 16, 16, 3 }, x:shape())
      assert(gap(x:narrow(1, 1, 1), pipe[method](pipe, call { x0 = x0:narrow(1, 1, 1),
        keep = more.keep and keep:narrow(1, 1, 1) })) < 1e-5, method)
    end
    local generator = {}
    for k = 1, 4 do generator[k] = d.generator { kind = "torch", seed = k } end
    local x = pipe:image2image { prompt = { CAT, "the dog" }, n = 2, x0 = x0, steps = 3, generator = generator }
    local alone = pipe:image2image { prompt = "the dog", x0 = x0:narrow(1, 2, 1), steps = 3,
      generator = d.generator { kind = "torch", seed = 4 } }
    assert(gap(alone, x:narrow(1, 4, 1)) < 1e-5)
  end)

  it("depends on its prompts, on guidance and on clip_skip", function()
    local x = pipe(call())
    for _, more in ipairs { { prompt = "the dog" }, { negative = "dog" }, { guidance = 3 }, { clip_skip = 1 },
      { rescale = 0.7 }, { seed = 2 }, { eta = 1 } } do
      assert(gap(pipe(call(more)), x) > 1e-3, next(more))
    end
    local large = pipe_of(all.cases.xl)
    local y = large(call { negative2 = "dog" })
    assert.is_true(y:equal(large(call { negative = "", negative2 = "dog" })))
    assert(gap(y, large(call())) > 1e-3)
    local alone = pipe(call { guidance = 1 })
    assert.is_true(alone:equal(pipe(call { guidance = 0, negative = "dog" })))
  end)

  it("gives a run that can be stepped, with previews", function()
    local run, seen = pipe:steps(call()), 0
    for step in run do
      seen = seen + 1
      local shown = pipe:preview(step.x0)
      assert.same({ 1, 8, 8, 3 }, shown:shape())
      assert.is_true(shown:abs():max():item() <= 1)
    end
    assert.equal(3, seen)
    assert.is_true(pipe:decode(run.x):equal(pipe:text2image(call())))
    assert.same({ 1, 16, 16, 3 }, pipe:decode(run.x, { tile = true }):shape())
    fails("tile: autoencodertiny has no tiles", function()
      local own = pipe.vae
      pipe.vae = d.autoencodertiny { latent_channels = 4, encoder_block_out_channels = { 4, 4 },
        decoder_block_out_channels = { 4, 4 }, num_encoder_blocks = { 1, 1 }, num_decoder_blocks = { 1, 1 } }
      local _ <close> = setmetatable({}, { __close = function() pipe.vae = own end })
      pipe:decode(run.x, { tile = true })
    end)
  end)

  it("previews by a small autoencoder, or by a map of the colors of its own", function()
    local z = d.randn({ 2, 8, 8, 4 }, { seed = 3 })
    local function unexplained()
      local full = pipe:decode(z):reshape(2, 8, 2, 8, 2, 3):mean { 3, 5 }
      return ((full - pipe:preview(z)):square():mean() / (full - full:mean()):square():mean()):item()
    end
    assert(unexplained() < 0.9, unexplained())
    local own = pipe.vae
    local o = opts.joined(own:config(), { scaling_factor = 0.18215 }) -- as Stable Diffusion's, which has other widths
    o.kind = nil
    pipe.vae = d.autoencoderkl(o)
    pipe.vae:load_state(own:state())
    assert(unexplained() < 0.9, unexplained())
    pipe.vae = own
    pipe.tiny = d.autoencodertiny { latent_channels = 4, encoder_block_out_channels = { 4, 4 },
      decoder_block_out_channels = { 4, 4 }, num_encoder_blocks = { 1, 1 }, num_decoder_blocks = { 1, 1 } }
    assert.same({ 2, 16, 16, 3 }, pipe:preview(z):shape())
    pipe.tiny = nil
    assert.same({ 2, 8, 8, 3 }, pipe:preview(z):shape())
    fails("a model expected, got 'x'", function() pipe.tiny = "x" end)
  end)

  it("takes encoded prompts, and any guidance of denoisers", function()
    local x = pipe(call { negative = "dog" })
    local inputs, without = pipe:encode_prompt { prompt = CAT, negative = "dog" }
    assert.same({ 1, 16, 8 }, inputs.context:shape())
    assert.is_true(x:equal(pipe(call { prompt = inputs, negative = without })))
    assert.is_true(x:equal(pipe(call { negative = "dog", guidance = function(model, other)
      return d.guidance.cfg(model, { scale = 7.5, without = other })
    end })))
    local function guided(guidance, more) return pipe(call(opts.joined({ guidance = guidance }, more or {}))) end
    assert(gap(x, guided(function(model, other)
      return d.guidance.cfg(model, { scale = 7.5, without = other, interval = { 1, 500 } })
    end)) > 1e-3)
    assert(gap(x, guided(function(model, other)
      return d.guidance.cfg_pp(model, { scale = 0.6, without = other })
    end, { sampler = "ddim" })) > 1e-3)
    assert(gap(x, guided(function(model) return d.guidance.auto(model, pipe.unet, { scale = 2 }) end)) > 1e-3)
    local y = d.sample { model = pipe:denoiser(), process = pipe.process, shape = { 1, 8, 8, 4 }, steps = 3, seed = 1,
      inputs = inputs, sampler = "euler" }
    assert.is_true(pipe:decode(y):equal(pipe(call { prompt = inputs, guidance = 1, sampler = "euler" })))
  end)

  it("begins a run that its denoiser, or that of another pipe, ends", function()
    local run = pipe:steps(call { steps = 4, eta = 0 })
    for step in run do
      if step.i == 2 then break end
    end
    local half = run.x:clone()
    local rest = d.grid.list(pipe.process, { run.grid[3][1], run.grid[4][1] }, { last = run.grid[4][2] })
    local inputs, without = pipe:encode_prompt { prompt = CAT }
    local z = d.sample { model = pipe:denoiser(), process = pipe.process, sampler = pipe.sampler, grid = rest,
      init = half, inputs = inputs,
      guidance = function(model) return d.guidance.cfg(model, { scale = 7.5, without = without }) end }
    assert(gap(z, run:finish()) < 1e-5)
  end)

  it("is edited by d.edit with the inputs of its prompts", function()
    local inputs, without = pipe:encode_prompt { prompt = CAT }
    local z = pipe:encode(d.rand({ 1, 16, 16, 3 }, { seed = 2 }) * 2 - 1)
    local o = { model = pipe:denoiser(), process = pipe.process, inputs = inputs, steps = 3, seed = 1 }
    local function edited(name, more) return (d.edit[name](opts.joined(o, more))) end
    local function guided(model) return d.guidance.cfg(model, { scale = 3, without = without }) end
    local x = edited("img2img", { x0 = z, strength = 0.5 })
    assert(gap(x, edited("img2img", { x0 = z, strength = 0.5, guidance = guided })) > 1e-3)
    assert(gap(x, edited("img2img", { x0 = z, strength = 0.5, inputs = without })) > 1e-3)
    assert.same({ 3, 8, 8, 4 }, edited("interpolate", { a = z, b = x, u = { 0, 0.5, 1 }, at = 300 }):shape())
    local xt = d.edit.invert { model = o.model, process = o.process, inputs = inputs, x0 = z, start = 300, steps = 2 }
    assert.same({ 1, 8, 8, 4 }, xt:shape())
    fails("input 'context' must be a tensor, got 7", edited, "interpolate", { a = z, b = x, at = 300, u = { 0, 1 },
      inputs = { context = 7 } })
  end)

  it("draws with a function or an average as its denoiser", function()
    local x, net = pipe(call()), pipe.unet
    local _ <close> = setmetatable({}, { __close = function() pipe.unet = net end })
    pipe.unet = function(xt, t, given) return net(xt, t, given) end
    assert.is_true(x:equal(pipe(call())))
    local average = d.ema(net, { decay = 0.5 })
    average:update()
    pipe.unet = average
    assert.is_true(x:equal(pipe(call())))
  end)

  it("starts from given normals", function()
    local z = d.generator { kind = "torch", seed = 4 }:randn { 1, 4, 8, 8 }:permute(1, 3, 4, 2):contiguous()
    local x = pipe { prompt = CAT, steps = 3, generator = d.generator { kind = "torch", seed = 4 } }
    assert.is_true(pipe(call { init_latents = z }):equal(pipe(call { init_latents = z, seed = 2 })))
    assert(gap(pipe(call { init_latents = z }), x) < 1e-5)
    fails("init_latents is [1,4,4,4], but the run's x is [1,8,8,4]", pipe,
      call { init_latents = d.randn(1, 4, 4, 4) })
  end)

  it("warns once of a prompt that is cut, and says what was", function()
    local said = {}
    d.warnings(function(message) said[#said + 1] = message end)
    pipe(call { prompt = "the red cat on the mat and the dog on the red cat", steps = 1, guidance = 1 })
    pipe(call { prompt = "the red cat on the mat and the dog on the red cat", steps = 1, guidance = 1 })
    d.warnings(true)
    assert.equal(1, #said)
    assert(said[1]:find('14 tokens fit; of a prompt, "cat" was cut', 1, true), said[1])
  end)

  it("refuses what it can't draw", function()
    local x0 = d.zeros(1, 16, 16, 3)
    local text2image, image2image = pipe.text2image, pipe.image2image
    local function no(sentence, more, method) fails(sentence, method or text2image, pipe, call(more)) end
    fails("option 'prompt' is missing", text2image, pipe, {})
    no("prompt 1 isn't UTF-8: its byte 4 is 0xE9", { prompt = "caf\xE9" })
    no("negative 2 isn't UTF-8: its byte 1 is 0xFF", { prompt = { "a", "b" }, negative = { "a", "\xFF" } })
    no("prompt is a table with 'text_embeds'; texts, or inputs {context = tensor} expected",
      { prompt = { text_embeds = x0 } })
    no("prompt2: a StableDiffusionPipeline has one text encoder, whose text is prompt", { prompt2 = "a" })
    no("negative2: a StableDiffusionPipeline has one text encoder, whose text is negative", { negative2 = "a" })
    no("clip_skip = 1 has no use, since prompt is encoded already",
      { prompt = pipe:encode_prompt { prompt = CAT }, clip_skip = 1 })
    no("rescale = 0.5 has no effect on a function as guidance",
      { rescale = 0.5, guidance = function(net) return net end })
    fails("option 'num_inference_steps' is called 'steps' here", text2image, pipe, { num_inference_steps = 3 })
    no("prompt is an empty list; a text or more expected", { prompt = {} })
    no("prompt 2 must be a text, got 7", { prompt = { "a", 7 } })
    no("3 texts of negative for 2 prompts", { prompt = { "a", "b" }, negative = { "c", "d", "e" } })
    no("clip_skip = 4, but text has 3 layers, of which 3 at most can be left out", { clip_skip = 4 })
    for name, known in pairs { score = "xl", negative_score = "xl", target = "refiner", negative_target = "refiner" } do
      fails("sizes: this network takes no " .. name, text2image, pipe_of(all.cases[known]),
        call { sizes = { [name] = known == "xl" and 3 or { 8, 8 } } })
    end
    fails("clip_skip = 3, but text has 3 layers, of which 2 at most can be left out", text2image,
      pipe_of(all.cases.xl), call { clip_skip = 3 })
    no("height = 7 must be a multiple of 2", { height = 7 })
    no("sizes: the network of a StableDiffusionPipeline takes none", { sizes = { crop = { 0, 0 } } })
    local g = d.generator { seed = 1 }
    fails("3 generators for 2 images", text2image, pipe, { prompt = CAT, n = 2, generator = { g, g, g } })
    no("seed = 1 and a generator; one of the two expected", { generator = g })
    no("x0 is [1,15,16,3]; height and width must be multiples of 2", { x0 = d.zeros(1, 15, 16, 3) }, image2image)
    no("x0 is [16,16,3]; images {n, H, W, C} expected", { x0 = d.zeros(16, 16, 3) }, image2image)
    no("pipe:image2image: x0 has 3 images for 2 that are drawn", { x0 = d.zeros(3, 16, 16, 3), n = 2 }, image2image)
    no("x0 is [1,16,16,4]; images of 3 channels expected", { x0 = d.zeros(1, 16, 16, 4) }, image2image)
    no("strength = 0.3 of 3 steps leaves no step to take", { x0 = x0, strength = 0.3 }, image2image)
    no("keep is [3,3,1]; {16, 16, 1} as x0, or x0's shape [1,16,16,3] expected", { x0 = x0, keep = d.ones(3, 3, 1) },
      pipe.inpaint)
    fails("takes no texts; pipe{ n =, class = } draws with it", d.load_pipeline("digits").text2image,
      d.load_pipeline "digits", call())
  end)
end)

describe("a text pipe that paints", function()
  local pipe, x0
  before_each(function()
    pipe = pipe_of(all.cases.sd1_ddim)
    x0 = d.randn({ 1, 16, 16, 3 }, { seed = 9 }):clamp(-1, 1)
  end)

  it("draws everything or nothing", function()
    local all_painted = pipe:inpaint(call { x0 = x0, keep = d.zeros(16, 16, 1) })
    assert.is_true(all_painted:equal(pipe:text2image(call())))
    local kept = pipe:inpaint(call { x0 = x0, keep = d.ones(16, 16, 1) })
    assert.is_true(kept:equal(pipe:inpaint(call { x0 = x0, keep = d.ones(1, 16, 16, 3), prompt = "the dog" })))
    assert.is_true(kept:equal(pipe:inpaint(call { x0 = x0, keep = d.ones(16, 16, 1), steps = 12,
      how = { "repaint", jump = 2, resample = 2 } })))
  end)

  it("keeps its part through all steps", function()
    local keep = d.cat({ d.ones(8, 16, 1), d.zeros(8, 16, 1) }, 1)
    local run = pipe:steps(call { x0 = x0, keep = keep, sampler = "dpmpp_2m", strength = 0.5 })
    local upper = run:finish():narrow(2, 1, 4)
    local other = pipe:steps(call { x0 = x0, keep = keep, prompt = "the dog" }):finish()
    assert.is_true(upper:equal(other:narrow(2, 1, 4)))
    assert(gap(run.x, other) > 1e-3)
    local again = pipe:inpaint(call { x0 = x0, keep = keep, how = "repaint", steps = 15 })
    assert.same({ 1, 16, 16, 3 }, again:shape())
    local function counted(more)
      local count = 0
      pipe:inpaint(opts.joined({ prompt = CAT, seed = 1, x0 = x0, keep = keep, how = { "repaint", resample = 1 },
        on_step = function() count = count + 1 end }, more))
      return count
    end
    assert.equal(4, counted { grid = "karras", steps = 4 })
    assert.equal(3, counted { grid = { 900, 500, 100 } })
  end)

  it("says what it can't do", function()
    local keep = d.zeros(16, 16, 1)
    local function no(sentence, more)
      fails(sentence, pipe.inpaint, pipe, call(opts.joined({ x0 = x0, keep = keep }, more)))
    end
    no('how: "blend", "repaint" or {"repaint", jump =, resample =} expected, got \'paint\'', { how = "paint" })
    no("repaint takes no init_latents: it draws its start by a seed",
      { how = "repaint", init_latents = d.randn(1, 8, 8, 4) })
    no("repaint takes no eta: it is an option of the sampler", { how = "repaint", eta = 0.5 })
    no("steps = 3 and a grid of times; one of the two expected", { how = "repaint", grid = { 900, 500 } })
    no("repaint starts from noise; strength = 0.5 isn't 1", { how = "repaint", strength = 0.5 })
    no("unknown option 'jumps'", { how = { "repaint", jumps = 2 } })
    no("goes from data to noise", { sampler = "ddim_inversion" })
    fails("pipe:inpaint returns its images", pipe.steps, pipe, call { x0 = x0, keep = keep, how = "repaint" })
    local painter = pipe_of(all.cases.painter)
    fails("the network paints a part of a picture; pipe:inpaint{ x0 =, keep = } gives it one", painter, call())
    fails("the network gets the kept part itself", painter.inpaint, painter,
      call { x0 = x0, keep = keep, how = "repaint" })
  end)
end)

describe("a saved text pipe", function()
  for _, name in ipairs { "sd1_ddim", "xl", "lcm" } do
    it("is the same: " .. name, function()
      local pipe = pipe_of(all.cases[name])
      local folder = root .. "/saved_" .. name
      assert(d.hub.save(folder, pipe))
      local again = assert(d.hub.load(folder))
      assert.equal(pipe.class, again.class)
      assert.is_true(again(call()):equal(pipe(call())))
      assert(tostring(again):find("text       CLIPTextModel, 6,144 parameters", 1, true), tostring(again))
    end)
  end

  it("may be made of parts", function()
    local pipe = pipe_of(all.cases.xl)
    local folder = root .. "/parts"
    local parts = { unet = pipe.unet, vae = pipe.vae, text = pipe.text, text2 = pipe.text2, scheduler = pipe.scheduler,
      tokenizer = pipe.tokenizer, tokenizer2 = pipe.tokenizer2 }
    assert(d.hub.save(folder, parts))
    assert.equal("StableDiffusionXLPipeline", assert(d.hub.load(folder)).class)
    parts.tokenizer = nil
    refusal({ "text needs the part tokenizer" }, d.hub.save(folder, parts))
    parts.text, parts.text2 = nil, nil
    refusal({ "a StableDiffusionPipeline needs the part text" }, d.hub.save(folder,
      opts.joined(parts, { pipeline = "StableDiffusionPipeline" })))
  end)
end)

describe("a folder of a text pipeline", function()
  it("has a scheduler that its class corrects, as in diffusers", function()
    local old = { _class_name = "DDIMScheduler", beta_schedule = "scaled_linear" }
    for name, corrected in pairs { sd1_ddim = true, xl = false } do
      text_folder.write(root .. "/old_" .. name, opts.joined(all.cases[name], { scheduler = old }), all)
      local pipe = assert(d.hub.load(root .. "/old_" .. name))
      assert.equal(corrected and 1 or nil, pipe.scheduler.steps_offset)
      assert.equal(corrected and "false" or "nil", tostring(pipe.scheduler.clip_sample))
    end
  end)

  it("has images of 64 latents at least if diffusers wrote it before 0.9, as there", function()
    for version, side in pairs { ["0.6.0"] = 64, ["0.8.0.dev0"] = 64, ["0.9.0"] = 8, ["0.30.1"] = 8 } do
      local case = opts.joined(all.cases.sd1_ddim)
      case.parts = opts.joined(case.parts, { unet = opts.joined(case.parts.unet, { _diffusers_version = version }) })
      local folder = root .. "/version_" .. version
      text_folder.write(folder, case, all)
      local pipe = assert(d.hub.load(folder))
      assert.equal(side, pipe.unet:config().sample_size, version)
      assert.same({ 1, side, side, 4 }, pipe:steps(call { guidance = 1 }).x:shape())
    end
  end)

  it("may lack its text encoder, if it isn't needed", function()
    local folder = root .. "/bare"
    text_folder.write(folder, all.cases.sd1_ddim, all)
    local full = assert(d.hub.load(folder))
    local inputs, without = full:encode_prompt { prompt = CAT }
    assert(os.execute("rm -r " .. folder .. "/text_encoder"))
    refusal({ "text_encoder/config.json: no such file", "text = false takes encoded prompts" }, d.hub.load(folder))
    local pipe = assert(d.hub.load(folder, { text = false }))
    assert.is_true(full(call()):equal(pipe(call { prompt = inputs, negative = without })))
    fails("has no text encoder; give prompt and negative as inputs, {context = tensor}", pipe, call())
  end)

  it("of another kind is refused", function()
    local folder = root .. "/edit"
    text_folder.write(folder, all.cases.xl, all)
    local index = child.read(folder .. "/model_index.json")
    child.write(folder .. "/model_index.json", (index:gsub("^{", '{ "is_cosxl_edit": true,')))
    refusal({ "is_cosxl_edit: networks that edit by instructions aren't run here" }, d.hub.load(folder))
    child.write(folder .. "/model_index.json", (index:gsub('"CLIPTokenizer"', '"T5Tokenizer"')))
    refusal({ "tokenizers of class T5Tokenizer aren't followed here" }, d.hub.load(folder))
  end)
end)

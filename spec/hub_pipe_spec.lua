-- Pipes: the images that diffusers draws from the same generator, with options of calls.
local d = require "diffusion"
local asset = require "diffusion.asset"
local child = require "spec.support.child"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local hub = require "spec.support.hub_folder"
local json = require "diffusion.file.json"
local opts = require "diffusion.opts"
local peer = require "spec.support.peer_folder"

local cases = assert(json.decode(assert(child.read "spec/fixtures/peers/pipelines.json")))
local images = assert(d.load "spec/fixtures/peers/pipelines.safetensors")

local root
before_each(function() root = child.folder() end)
after_each(function() child.remove(root) end)

local function pipe_of(name)
  peer.pipeline(root, cases[name])
  return assert(d.hub.load(root))
end

-- The options of a call there as ours.
local function options_of(case)
  local a, class = case.args, nil
  for i, label in ipairs(a.class_labels or {}) do
    class = class or {}
    class[i] = label + 1
  end
  return { n = a.batch_size or class and #class, steps = a.num_inference_steps, eta = a.eta, class = class,
    guidance = a.guidance_scale, generator = peer.generators(case.seeds) }
end

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)

describe("a pipe draws the images of diffusers from torch's generator:", function()
  for _, name in ipairs(names) do
    it(name, function()
      local x = pipe_of(name)(options_of(cases[name]))
      local gap = peer.gap(x, images[name]:to(core.real))
      assert(gap < 1e-4, ("%s: %g"):format(name, gap))
    end)
  end
end)

describe("a pipe of latents", function()
  it("draws latents without its autoencoder, or images by another", function()
    peer.pipeline(root, cases.dit)
    local o = { class = { 4, 1000 }, steps = 8, generator = d.generator { kind = "torch", seed = 33 } }
    local z = assert(d.hub.load(root, { vae = false }))
    assert(tostring(z):find("none, latents are drawn", 1, true))
    local drawn = z(o)
    assert.same({ 2, 4, 4, 4 }, drawn:shape())
    assert.is_true(drawn:abs():max():item() > 1)
    local full = assert(d.hub.load(root, { vae = root .. "/vae" }))
    assert(peer.gap(full:decode(drawn), images.dit:to(core.real)) < 1e-4)
    z.vae = full.vae
    assert.is_true(z:decode(drawn):equal(full:decode(drawn)))
    local x0 = full:decode(drawn)
    assert.same({ 2, 4, 4, 4 }, full:encode(x0):shape())
    assert.same({ 2, 8, 8, 3 }, full { class = { 1, 2 }, init = x0, strength = 0.5, steps = 4 }:shape())
    assert.same({ 1, 8, 16, 3 }, full { class = 1, steps = 1, height = 8, width = 16 }:shape())
    fails("height = 7 must be a multiple of 2", full, { class = 1, height = 7 })
  end)

  it("whose autoencoder isn't followed says how to go on without it", function()
    peer.pipeline(root, cases.dit)
    local text = child.read(root .. "/model_index.json"):gsub("AutoencoderTiny", "AutoencoderOther")
    child.write(root .. "/model_index.json", text)
    local none, message = d.hub.load(root)
    assert.is_nil(none)
    assert(message:find("networks of class AutoencoderOther aren't followed here; vae = false draws latents", 1, true))
  end)

  it("that has an autoencoder alone has no denoiser", function()
    peer.pipeline(root, cases.ldm)
    local pipe = assert(d.hub.load(root .. "/vqvae"))
    assert.is_nil(pipe.unet)
    assert.same({ 1, 4, 4, 3 }, pipe.vae:encode(d.randn(1, 8, 8, 3)):shape())
    fails("there is no denoiser here, only an autoencoder", pipe, {})
  end)
end)

describe("a pipe", function()
  local pipe
  local function opened(more, options)
    hub.write(root, hub.pipeline(more))
    return assert(d.hub.load(root, options))
  end
  before_each(function() pipe = opened() end)

  -- A pipe of a network with five classes.
  local function with_classes(id2label)
    local config = { num_class_embeds = 5 }
    for key, value in pairs(hub.config) do config[key] = value end
    local index = { id2label = id2label }
    for key, value in pairs(hub.index) do index[key] = value end
    return opened { ["unet/config.json"] = config, ["model_index.json"] = index,
      ["unet/diffusion_pytorch_model.safetensors"] = hub.tensors { num_class_embeds = 5 } }
  end

  it("draws images within [-1, 1], the same alone or in a batch", function()
    local x = pipe { n = 3, steps = 4, seed = 5 }
    assert.same({ 3, 4, 4, 3 }, x:shape())
    assert.is_true(x:abs():max():item() <= 1)
    assert.is_true(pipe { steps = 4, seed = 5 }:equal(x:narrow(1, 1, 1)))
    assert.is_false(pipe { steps = 4, seed = 6 }:equal(x:narrow(1, 1, 1)))
    fails("integer in [1, inf) expected, got 0", pipe, { n = 0 })
    assert.same({ 1, 8, 6, 3 }, pipe { steps = 2, height = 8, width = 6 }:shape())
  end)

  it("takes the steps of its pipeline, or as many as there are levels", function()
    local count = 0
    pipe { on_step = function() count = count + 1 end }
    assert.equal(1000, count)
    pipe = opened { ["scheduler/scheduler_config.json"] = { _class_name = "DDPMScheduler", num_train_timesteps = 20 } }
    assert(tostring(pipe):find("ddpm, 20 steps", 1, true), tostring(pipe))
    count = 0
    pipe { on_step = function() count = count + 1 end }
    assert.equal(20, count)
    pipe = opened {}
    pipe.scheduler = { _class_name = "DPMSolverMultistepScheduler", num_train_timesteps = 50 }
    assert(tostring(pipe):find(", 25 steps", 1, true), tostring(pipe)) -- two of 50 steps are at one timestep
    fails("integer in [1, 100000] expected, got 0", function()
      pipe.scheduler = { _class_name = "DDPMScheduler", num_train_timesteps = 0 }
    end)
  end)

  it("gives a run that can be stepped", function()
    local run = pipe:steps { steps = 5, seed = 2, n = 2 }
    local seen = {}
    for step in run do seen[#seen + 1] = step.t end
    assert.same({ 801, 601, 401, 201, 1 }, seen)
    assert.is_true(pipe:decode(run.x):equal(pipe { steps = 5, seed = 2, n = 2 }))
  end)

  it("repeats a generator's numbers in a copy of a run, and after a step that failed", function()
    local run = pipe:steps { steps = 3, generator = d.generator { kind = "torch", seed = 1 } }
    run()
    local other = run:clone()
    assert.is_true(run:finish():equal(other:finish()))
    local fine, net = true, pipe.unet
    pipe.unet = function(x, t) return fine and net(x, t) or error "not now" end
    local again = pipe:steps { steps = 3, generator = d.generator { kind = "torch", seed = 1 } }
    again()
    fine = false
    assert.is_false(pcall(again))
    fine = true
    assert.is_true(again:finish():equal(run.x))
  end)

  it("starts from images", function()
    local x0 = pipe { n = 2, steps = 4, seed = 1 }
    local near = pipe { init = x0, strength = 0.1, steps = 50, seed = 1 }
    local far = pipe { init = x0, strength = 1, steps = 50, seed = 1 }
    assert.is_true((near - x0):abs():mean():item() < 0.5 * (far - x0):abs():mean():item())
    local count = 0
    pipe { init = x0, strength = 0.3, steps = 10, seed = 1, on_step = function() count = count + 1 end }
    assert.equal(3, count)
    for _, strength in ipairs { 0, 0.09 } do
      fails(("pipe: strength = %g of 10 steps leaves no step to take; 0.1 or more takes one"):format(strength), pipe,
        { init = x0, strength = strength, steps = 10 })
    end
    fails("pipe: height = 8 and width = 4, but init is [2,4,4,3]", pipe, { init = x0, height = 8, width = 4 })
    fails("pipe: init is [0,4,4,3]; images {n, H, W, C} expected", pipe, { init = d.zeros(0, 4, 4, 3) })
    assert.same({ 2, 4, 4, 3 }, pipe { init = x0, strength = 0.5, steps = 4, seed = 1, sampler = "ddim" }:shape())
    fails("n = 3, but init has 2 images", pipe, { init = x0, n = 3 })
    fails("init is [4,4,3]; images {n, H, W, C} expected", pipe, { init = x0[1] })
    fails("tensor expected, got 'x'", pipe, { init = "x" })
  end)

  it("takes as many steps as are asked for, whatever makes the grid", function()
    local x0 = pipe { n = 1, steps = 2, seed = 1 }
    local function steps(more)
      local run = pipe:steps(opts.joined({ seed = 1 }, more))
      return #run.grid
    end
    local function karras(schedule, N) return d.grid.karras(schedule, N) end
    for _, grid in ipairs { "karras", karras } do
      assert.equal(4, steps { grid = grid, steps = 4 })
      assert.equal(4, steps { grid = grid, steps = 4, sampler = "euler" })
      assert.equal(50, steps { grid = grid, sampler = "euler" })
      local run = pipe:steps { init = x0, strength = 0.5, grid = grid, steps = 6, sampler = "euler", seed = 1 }
      assert(#run.grid < 6 and run.grid[1][1] == 500, tostring(run.grid))
    end
    assert.equal(3, steps { grid = { 900, 500, 100 } })
    assert.equal(5, steps { init = x0, strength = 0.005, sampler = "euler" })
    fails("pipe: steps = 4 and a grid of times; one of the two expected", pipe, { grid = { 900, 500, 100 }, steps = 4 })
    fails('pipe: eta is an option of the sampler here: sampler = {"ddim", eta = 0.5}', pipe,
      { sampler = "ddim", eta = 0.5 })
  end)

  it("can be drawn from by another scheduler or sampler", function()
    local x = pipe { steps = 4, seed = 1, scheduler = "DDIMScheduler" }
    pipe.scheduler = "DDIMScheduler"
    assert.equal("DDIMScheduler", pipe.scheduler._class_name)
    assert.is_true(x:equal(pipe { steps = 4, seed = 1 }))
    assert.is_false(x:equal(pipe { steps = 4, seed = 1, eta = 1 }))
    local own = d.sample { model = pipe.unet, process = pipe.process, shape = { 1, 4, 4, 3 }, steps = 4, seed = 1,
      sampler = "euler" }
    assert.is_true(own:clamp(-1, 1):equal(pipe { steps = 4, seed = 1, sampler = "euler" }))
    fails("NoScheduler", pipe, { scheduler = "NoScheduler" })
    fails('eta is an option of the sampler here: sampler = {"ddim", eta = 0.5}', pipe, { sampler = "ddim", eta = 0.5 })
    fails("unknown sampler 'nothing'", pipe, { sampler = "nothing" })
  end)

  it("takes classes from 1, or names", function()
    pipe = with_classes { ["0"] = "tench, Tinca tinca", ["1"] = "goldfish", ["4"] = "hen" }
    assert.equal("goldfish", pipe.labels[2])
    local x = pipe { class = { 1, 5 }, steps = 3, seed = 1 }
    assert.same({ 2, 4, 4, 3 }, x:shape())
    assert.is_true(x:equal(pipe { class = { "Tinca tinca", "hen" }, steps = 3, seed = 1 }))
    assert.is_true(x:narrow(1, 1, 1):equal(pipe { class = "tench", steps = 3, seed = 1 }))
    assert.is_false(x:narrow(1, 1, 1):equal(pipe { class = 0, steps = 3, seed = 1 }))
    assert.same({ 2, 4, 4, 3 }, pipe { class = 3, n = 2, steps = 2, guidance = 2 }:shape())
    fails("the network has 5 classes; give class, from 1, or 0 for none", pipe, {})
    fails("no class is named 'goldfisch'; did you mean 'goldfish'?", pipe, { class = "goldfisch" })
    fails("class 6", pipe, { class = 6, steps = 1 })
    fails("'crane' names classes 1 and 4; give a number", with_classes { ["0"] = "crane", ["3"] = "cock, crane" },
      { class = "crane" })
    fails("class is [2] for 3 samples", pipe, { class = { 1, 2 }, n = 3, steps = 1 })
    fails("class 'hen' is a name, but the pipe has no names of classes", with_classes(), { class = "hen" })
    local named = assert(d.hub.load(root, { labels = { "a", "b", "c" }, steps = 3 }))
    assert(tostring(named):find("ddpm, 3 steps", 1, true))
    assert.is_true(x:narrow(1, 1, 1):equal(named { class = "a", seed = 1 }))
    fails("entry 2: string expected, got 7", d.hub.load, root, { labels = { "a", 7 } })
  end)

  it("refuses generators that don't fit", function()
    local g = d.generator { kind = "torch", seed = 0 }
    fails("seed = 1 and a generator", pipe, { seed = 1, generator = g })
    fails("1 generators for 2 images", pipe, { n = 2, generator = { g } })
    fails("generator or table expected, got 7", pipe, { generator = 7 })
    assert.same({ 2, 4, 4, 3 }, pipe { steps = 1, generator = { g, g:clone() } }:shape())
  end)

  it("draws with an average, or another process", function()
    local ema = d.ema(pipe.unet, { decay = 0.5 })
    ema:update()
    local x = pipe { steps = 3, seed = 1 }
    pipe.unet = ema
    assert.is_true(x:equal(pipe { steps = 3, seed = 1 }))
    pipe.process = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "eps", clip = 1 }
    assert.is_nil(pipe.scheduler)
    assert.same({ 1, 4, 4, 3 }, pipe { seed = 1, steps = 3 }:shape())
    fails("eta is an option of the sampler here", pipe, { eta = 1 })
    fails("a denoiser", function() pipe.unet = 7 end)
    fails("a process expected, got 'x'", function() pipe.process = "x" end)
    fails("a model expected, got 'x'", function() pipe.vae = "x" end)
    fails("a config or a class of diffusers expected, got 7", function() pipe.scheduler = 7 end)
    fails("'path' can't be written", function() pipe.path = "x" end)
    fails("a pipe has no 'unnet'; did you mean 'unet'?", function() return pipe.unnet end)
  end)

  it("has its network as the denoiser of its process", function()
    assert.equal(pipe.unet, pipe:denoiser())
    pipe = opened({}, { scheduler = "EDMEulerScheduler" })
    local x = d.randn(2, 4, 4, 3)
    assert.equal(pipe.process.schedule.name, "edm")
    assert.is_false(pipe:denoiser()(x, 500):equal(pipe.unet(x, 500)))
    d.adamw(pipe.unet)
    local loss = d.record(d.objective { process = pipe.process }, pipe:denoiser(), x)
    loss:backward()
  end)

  it("that edits pictures says so", function()
    local index = { _class_name = "RePaintPipeline", unet = hub.index.unet,
      scheduler = { "diffusers", "RePaintScheduler" } }
    pipe = opened { ["model_index.json"] = index }
    fails("RePaintPipeline edits pictures; d.edit.repaint{ model = pipe.unet, process = pipe.process", pipe, {})
    assert.equal("eps", pipe.process.predict)
  end)
end)

describe("d.load_pipeline", function()
  it("opens a network that comes with the library", function()
    local pipe = assert(d.load_pipeline "digits")
    local model, process = d.load_model "digits"
    local x = d.sample { model = model, process = process, shape = { 2, 8, 8, 1 }, class = { 3, 5 }, steps = 5,
      seed = 1 }
    assert.is_true(x:clamp(-1, 1):equal(pipe { class = { 3, 5 }, steps = 5, seed = 1 }))
    assert(tostring(pipe):find("177,489 parameters", 1, true))
    local y = pipe { class = 4, steps = 6, seed = 1, init = x, strength = 0.5 }
    assert.same({ 2, 8, 8, 1 }, y:shape())
    fails("strength = 0 leaves no step", pipe, { class = 4, init = x, strength = 0 })
    fails("unknown option 'copy'", d.load_pipeline, "digits", { copy = true })
  end)

  it("opens a folder that comes with the library, unless there is one of that name", function()
    local usual, where = asset.path, child.folder()
    function asset.path(name) return where .. "/" .. name end
    for _, name in ipairs { "shipped", "spec" } do hub.write(where .. "/" .. name, hub.pipeline()) end
    local pipe, other = d.load_pipeline("shipped", { copy = true }), d.load_pipeline "spec"
    asset.path = usual
    child.remove(where)
    assert.equal("DDPMPipeline", pipe.class)
    assert.is_nil(other)
  end)

  it("names the pipeline that was meant", function()
    for name, meant in pairs { emojis = "emoji", Emoji = "emoji", digit = "digits" } do
      local pipe, message = d.load_pipeline(name)
      assert.is_nil(pipe)
      assert(message:find(("; '%s' comes with the library"):format(meant), 1, true), message)
    end
    local _, message = d.load_pipeline "google/none"
    assert.is_nil(message:find("comes with", 1, true))
    _, message = d.load_model "emoji"
    assert(message:find("emoji: a pipeline; d.load_pipeline opens it", 1, true), message)
  end)

  it("opens a folder as d.hub.load does", function()
    hub.write(root, hub.pipeline())
    assert.equal("DDPMPipeline", assert(d.load_pipeline(root)).class)
    assert.is_nil((d.load_pipeline(root .. "/none")))
    fails("a path expected", d.load_pipeline, 7)
  end)
end)

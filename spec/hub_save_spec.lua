-- d.hub.save: folders as diffusers writes them. spec/peers/check_save.lua opens such folders with it.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local hub = require "spec.support.hub_folder"
local json = require "diffusion.file.json"
local refusal = require "spec.support.refusal"

local root
before_each(function() root = child.folder() end)
after_each(function() child.remove(root) end)

local function read(path) return child.read(root .. "/" .. path) end
local function decoded(path) return assert(json.decode(read(path))) end

-- The files under a folder, sorted.
local function files(dir)
  local out = {}
  local list <close> = assert(io.popen(("cd %s && find . -type f | sort"):format(child.quote(dir or root))))
  for name in list:lines() do out[#out + 1] = name:sub(3) end
  return out
end

local function randomised(model)
  local i = 0
  for _, p in model:parameters() do
    i = i + 1
    p:copy_(d.randn(p:shape(), { seed = i }) * 0.2)
  end
  return model
end

local function unet(more)
  local o = { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 }, attention = { 2 }, blocks = 1, groups = 4 }
  for key, value in pairs(more or {}) do o[key] = value or nil end
  return randomised(d.unet(o))
end

local function process(o)
  local all = { schedule = d.schedule.linear(), predict = "eps", clip = 1 }
  for key, value in pairs(o or {}) do all[key] = value or nil end
  return d.process(all)
end

describe("a pipe that is saved", function()
  local function opened(more)
    hub.write(root .. "/a", hub.pipeline(more))
    return assert(d.hub.load(root .. "/a"))
  end

  it("is written as diffusers writes it", function()
    local pipe = opened()
    assert.is_true(d.hub.save(root .. "/b", pipe))
    assert.same({ "model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
      "unet/diffusion_pytorch_model.safetensors" }, files(root .. "/b"))
    assert.equal('{\n  "_class_name": "DDPMPipeline",\n  "_diffusers_version": "0.42.1",\n  "scheduler": [\n    '
      .. '"diffusers",\n    "DDPMScheduler"\n  ],\n  "unet": [\n    "diffusers",\n    "ToyModel"\n  ]\n}\n',
      read "b/model_index.json")
    assert.same({ _class_name = "DDPMScheduler", _diffusers_version = "0.42.1", num_train_timesteps = 1000,
      beta_schedule = "linear" }, decoded "b/scheduler/scheduler_config.json")
    assert.same({ _class_name = "ToyModel", _diffusers_version = "0.42.1", sample_size = 4, in_channels = 3, width = 4,
      act = "silu", norm_eps = 1e-5, num_class_embeds = json.null }, decoded "b/unet/config.json")
    local one, metadata = d.load(root .. "/b/unet/diffusion_pytorch_model.safetensors")
    assert.equal("pt", metadata.format)
    for name, x in pairs(hub.tensors()) do assert.is_true(x:equal(one[name]), name) end
  end)

  it("draws the same images when it is opened again", function()
    local pipe = opened()
    assert(d.hub.save(root .. "/b", pipe))
    local again = assert(d.hub.load(root .. "/b"))
    assert.is_true(pipe { steps = 3, seed = 1 }:equal(again { steps = 3, seed = 1 }))
  end)

  it("has the process that replaced its scheduler, and the names of classes", function()
    local index = { id2label = { ["0"] = "zero", ["1"] = "one" } }
    for key, value in pairs(hub.index) do index[key] = value end
    local pipe = opened { ["model_index.json"] = index }
    pipe.process = process { predict = "v", schedule = d.schedule.cosine { T = 50 } }
    assert(d.hub.save(root .. "/b", pipe))
    local again = assert(d.hub.load(root .. "/b"))
    assert.equal("v", again.process.predict)
    assert.equal(50, again.process.T)
    assert.same({ "zero", "one" }, again.labels)
  end)

  it("needs a network, and a process", function()
    local pipe = opened()
    pipe.unet = function(x) return x end
    fails("a network, or an average of one, can be saved; the pipe has a function", d.hub.save, root .. "/b", pipe)
    fails("process or scheduler is missing", d.hub.save, root .. "/b", assert(d.hub.load(root .. "/a/unet")))
  end)

  it("can be saved into its own folder", function()
    local pipe = opened()
    local before = pipe { steps = 2, seed = 1 }
    assert(d.hub.save(root .. "/a", pipe))
    assert.is_true(before:equal(pipe { steps = 2, seed = 1 }))
    assert.is_true(before:equal(assert(d.hub.load(root .. "/a")) { steps = 2, seed = 1 }))
  end)

  it("has the values of an average", function()
    local pipe = opened()
    local ema = d.ema(pipe.unet, { decay = 0.5 })
    ema:update()
    for _, p in pipe.unet:parameters() do p:add_(1) end
    pipe.unet = ema
    assert(d.hub.save(root .. "/b", pipe))
    local bias = d.load(root .. "/b/unet/diffusion_pytorch_model.safetensors")["conv_in.bias"]
    assert.is_true(bias:equal(hub.tensors()["conv_in.bias"]))
  end)

  it("may have another type, be a variant, and be cut into shards", function()
    local pipe = opened()
    assert(d.hub.save(root .. "/b", pipe, { dtype = "f16", variant = "fp16" }))
    assert.same("unet/diffusion_pytorch_model.fp16.safetensors", files(root .. "/b")[4])
    assert.equal("f16", d.load(root .. "/b/" .. files(root .. "/b")[4])["conv_in.bias"]:dtype())
    assert(d.hub.load(root .. "/b"))
    for _, size in ipairs { 400, "1KB", "1 kib" } do
      assert(d.hub.save(root .. "/c", pipe, { max_shard_size = size }))
      local list = files(root .. "/c/unet")
      assert(#list > 3 and list[#list] == "diffusion_pytorch_model.safetensors.index.json", table.concat(list, " "))
      assert.is_true(pipe { steps = 2, seed = 1 }:equal(assert(d.hub.load(root .. "/c")) { steps = 2, seed = 1 }))
    end
    assert(d.hub.save(root .. "/c", pipe))
    assert.same({ "config.json", "diffusion_pytorch_model.safetensors" }, files(root .. "/c/unet"))
  end)
end)

describe("a d.unet that is saved", function()
  -- The same outputs as a UNet2DModel. A class there is the row; the last one is for none.
  local function agrees(o)
    local model = unet(o)
    assert(d.hub.save(root, { unet = model, process = process { variance = model:config().outputs == 2
      and "learned_range" or nil } }))
    local again = assert(d.hub.load(root))
    assert.equal("unet2d", again.unet:config().kind)
    local x, t = d.randn({ 3, table.unpack(model:config().image) }, { seed = 1 }), d.tensor { 1, 500, 1000 }
    local classes = model:config().classes
    local here = classes > 0 and { class = d.tensor({ 0, 1, classes }, { dtype = "i64" }) } or nil
    local there = here and { class = d.tensor({ classes + 1, 1, classes }, { dtype = "i64" }) }
    local a, b = model(x, t, here), again.unet(x, t, there)
    local gap, range = (a - b):abs():max():item(), a:abs():max():item()
    assert(gap < 2e-5 * range, ("%g of %g"):format(gap, range))
    return decoded "unet/config.json"
  end

  it("is a UNet2DModel with the same outputs, of every shape that this class can express", function()
    agrees {}
    agrees { mult = { 1 }, attention = { 1 }, heads = 2 }
    agrees { mult = { 1, 2, 2 }, attention = { 2, 4 }, heads = 2, blocks = 2 }
    agrees { attention = {}, image = { 4, 8, 3 }, outputs = 2, dropout = 0.1 }
    assert.equal(6, agrees { classes = 5 }.num_class_embeds)
    assert.same({ 4, 8 }, agrees { image = { 4, 8, 2 } }.sample_size)
  end)

  it("has one number of groups if the widths allow it", function()
    local config = agrees { channels = 128, groups = false, image = { 4, 4, 1 }, attention = {} }
    assert.equal(32, config.norm_num_groups)
  end)

  it("is refused with the reason if it can't be one", function()
    local function refused(words, o)
      refusal({ "this unet can't be a UNet2DModel: ", words }, d.hub.save(root .. "/x", unet(o)))
      assert.is_nil(read "x/config.json")
    end
    refused("it has self_condition", { self_condition = true })
    refused("mult begins with 2", { mult = { 2, 4 } })
    refused("its norms have groups 2 at 8 channels and 4 at 16, and UNet2DModel has one number for all",
      { groups = false })
    refused("its 2 heads are of different widths at 8 and 16 channels", { attention = { 1, 2 }, heads = 2 })
  end)

  it("has no class there if it is another family", function()
    local function refused(words, model) refusal({ words }, d.hub.save(root .. "/x", model)) end
    refused("mlp can't be a network of diffusers", d.mlp { hidden = 8, depth = 1 })
    refused("dit can't be a network of diffusers: its time has sines of other frequencies",
      d.dit { image = { 4, 4, 1 }, width = 8, depth = 1, heads = 1 })
    refused("can't be a network of diffusers: it was composed in Lua", d.nn.model(d.nn.sequence(d.nn.linear(2, 2))))
  end)

  it("can be saved alone", function()
    assert.is_true(d.hub.save(root .. "/x/y", unet()))
    assert.same({ "config.json", "diffusion_pytorch_model.safetensors" }, files(root .. "/x/y"))
    assert.is_nil(assert(d.hub.load(root .. "/x/y")).process)
  end)
end)

describe("a process that is saved", function()
  local models = {}
  local function saved(o)
    local outputs = tostring(o.variance):find "^learned" and 2 or 1
    models[outputs] = models[outputs] or unet { outputs = outputs }
    assert(d.hub.save(root, { unet = models[outputs], process = process(o) }))
    return decoded "scheduler/scheduler_config.json"
  end

  it("is a DDPMScheduler with the same levels", function()
    for _, schedule in ipairs { d.schedule.linear(), d.schedule.linear { T = 200 }, d.schedule.scaled_linear(),
      d.schedule.sigmoid_beta(), d.schedule.cosine(), d.schedule.cosine { T = 10, s = 0.01 },
      d.schedule.sigmoid { T = 20 }, d.schedule.vp { T = 10 },
      d.schedule.linear { T = 30, rescale = false }:rescale_zero_terminal_snr() } do
      saved { schedule = schedule, predict = "v" }
      local back = assert(d.hub.load(root)).process.schedule
      assert.equal(schedule.T, back.T)
      for t = 1, schedule.T, math.max(1, schedule.T // 7) do
        local a, b = schedule:alpha_bar(t), back:alpha_bar(t)
        assert(math.abs(a - b) < 1e-6 * (a + 1e-12), ("%s: %g and %g at %d"):format(schedule.name, a, b, t))
      end
    end
  end)

  it("keeps its target, its variance and its clip", function()
    for ours, theirs in pairs { eps = "epsilon", x0 = "sample", v = "v_prediction" } do
      assert.equal(theirs, saved { predict = ours }.prediction_type)
      assert.equal(ours, assert(d.hub.load(root)).process.predict)
    end
    for _, variance in ipairs { "fixed_small", "fixed_large", "learned_range" } do
      assert.equal(variance, saved { variance = variance }.variance_type)
    end
    assert.equal("learned", saved { variance = "learned_direct" }.variance_type)
    assert.equal("learned_direct", assert(d.hub.load(root)).process.variance)
    assert.equal(2, saved { clip = 2 }.clip_sample_range)
    assert.equal(2, assert(d.hub.load(root)).process.clip)
    assert.is_false(saved { clip = false }.clip_sample)
    assert.is_true(saved { clip = "dynamic" }.thresholding)
    assert(read "scheduler/scheduler_config.json":find('"sample_max_value": Infinity', 1, true))
  end)

  it("has a form of lists if diffusers has no name for its betas", function()
    assert.equal("squaredcos_cap_v2", saved { schedule = d.schedule.cosine { T = 50 } }.beta_schedule)
    local config = saved { schedule = d.schedule.cosine { T = 50, s = 0.02 } }
    assert.equal(50, #config.trained_betas)
    assert.near(0.002, saved { schedule = d.schedule.linear { T = 50 } }.beta_start, 1e-12)
  end)

  it("is refused with the reason if diffusers has no such scheduler", function()
    local function refused(words, o)
      refusal({ "the process can't be a scheduler of diffusers: ", words },
        d.hub.save(root .. "/x", { unet = unet(), process = process(o) }))
    end
    refused("it predicts score", { predict = "score" })
    refused("its schedule flow isn't one of betas", { schedule = d.schedule.flow(), predict = "flow" })
    refused("it has 100001 steps, and a config has at most 100000", { predict = "eps",
      schedule = d.schedule.from_beta(d.linspace(1e-6, 1e-5, 100001)) })
    refused("its schedule edm isn't one of betas", { schedule = d.schedule.edm(), predict = "edm" })
    refused("its variance is 'learned', which is ln variance, but 'learned' of DDPMScheduler is the variance itself",
      { variance = "learned" })
    refused("its variance is a function", { variance = function() return 1 end })
    refused("its variance is optimal", { variance = "optimal", x0_error = { { 1, 0.1 }, { 1000, 1 } } })
  end)

  it("may be a scheduler's config, which is checked", function()
    local function given(config) return d.hub.save(root .. "/x", { unet = unet(), scheduler = config }) end
    refusal({ "hub.save: the scheduler can't be followed: ", "unknown scheduler 'FooScheduler'" },
      given { _class_name = "FooScheduler" })
    refusal({ "DDPMScheduler: option 'beta_schedule': unknown value 'no'" },
      given { _class_name = "DDPMScheduler", beta_schedule = "no" })
    local net = unet()
    d.record(d.objective { process = process { predict = "v" } }, net, d.randn(1, 8, 8, 1))
    fails("trained to predict v, but the process predicts eps", d.hub.save, root .. "/x",
      { unet = net, scheduler = { _class_name = "DDIMScheduler" } })
    assert.equal(core.list(root)[1], nil)
  end)

  it("may be a scheduler's config, of which the keys are written that its class reads", function()
    assert(d.hub.save(root, { unet = unet(), scheduler = { _class_name = "EulerDiscreteScheduler",
      _use_default_values = { "timestep_spacing" }, timestep_spacing = "leading", beta_end = 0.01 } }))
    assert.same({ _class_name = "EulerDiscreteScheduler", _diffusers_version = "0.42.1", beta_end = 0.01 },
      decoded "scheduler/scheduler_config.json")
  end)

  it("may be a scheduler's config; one that can't be written leaves the old folder", function()
    assert(d.hub.save(root, { unet = unet(), process = process() }))
    local before = files()
    fails("a function can't be written", d.hub.save, root, { unet = unet(),
      scheduler = { _class_name = "DDPMScheduler", note = print } })
    assert.same(before, files())
  end)

  it("of another target than the network's is an error", function()
    local net = unet()
    d.record(d.objective { process = process { predict = "v" } }, net, d.randn(1, 8, 8, 1))
    fails("trained to predict v, but the process predicts eps", d.hub.save, root, { unet = net, process = process() })
    local config = { _class_name = "DDPMScheduler" }
    fails("trained to predict v, but the process predicts eps", d.hub.save, root, { unet = net, scheduler = config })
    config.prediction_type = "v_prediction"
    assert(d.hub.save(root, { unet = net, scheduler = config }))
    net = unet { outputs = 2 }
    local own = d.process { schedule = d.schedule.linear(), variance = "learned" }
    d.record(d.objective { process = own }, net, d.randn(1, 8, 8, 1):clamp(-1, 1))
    config = { _class_name = "DDPMScheduler", variance_type = "learned" }
    fails("trained with variance = 'learned', but the process has 'learned_direct'", d.hub.save, root,
      { unet = net, scheduler = config })
  end)
end)

describe("a save", function()
  it("that is interrupted leaves the old folder, or none that opens", function()
    local pipe = { unet = unet(), process = process() }
    assert(d.hub.save(root .. "/a", pipe))
    local before = read "a/unet/diffusion_pytorch_model.safetensors"
    child.write(root .. "/a/README.md", "mine")
    child.write(root .. "/save.lua", [[
      local d = require "diffusion"
      local p = d.process{ schedule = d.schedule.cosine{}, predict = "v" }
      local net = d.unet{ image = { 8, 8, 1 }, channels = 64 , groups = 4, mult = { 1, 2 } }
      print(d.hub.save("a", { unet = net, process = p }))]])
    local command = "exec 2>&1; ulimit -f 100; " .. child.command(root .. "/save.lua", { folder = root })
    local out = assert(io.popen(command)):read "a"
    assert(out:find("nil\t.*File too large"), out)
    assert.equal(before, read "a/unet/diffusion_pytorch_model.safetensors")
    assert.equal("eps", assert(d.hub.load(root .. "/a")).process.predict)
    assert.same({ "README.md", "model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
      "unet/diffusion_pytorch_model.safetensors" }, files(root .. "/a"))
    os.remove(root .. "/a/model_index.json")
    refusal({ "its download, or its saving, was interrupted" }, d.hub.load(root .. "/a"))
    assert(d.hub.save(root .. "/a", pipe))
    assert.equal("mine", read "a/README.md")
  end)

  it("that can't be written is nil and a message", function()
    child.write(root .. "/file", "x")
    refusal({ root .. "/file", "folder can't be made" }, d.hub.save(root .. "/file", unet()))
    refusal({ "folder can't be made" }, d.hub.save("/proc/none", unet()))
  end)

  it("of wrong things is an error", function()
    local model = unet()
    fails("a pipe, a network or a table of them expected, got 7", d.hub.save, root, 7)
    fails("the unet is missing", d.hub.save, root, { process = process() })
    fails("process or scheduler is missing", d.hub.save, root, { unet = model })
    fails("process and scheduler; one of the two", d.hub.save, root,
      { unet = model, process = process(), scheduler = { _class_name = "DDPMScheduler" } })
    fails("has no _class_name", d.hub.save, root, { unet = model, scheduler = {} })
    fails("unknown option 'net'", d.hub.save, root, { net = model, process = process() })
    fails("a size as \"5GB\" expected, got 5 pounds", d.hub.save, root, model, { max_shard_size = "5 pounds" })
    fails("letters, digits, _ and - expected, got '../x'", d.hub.save, root, model, { variant = "../x" })
    fails("a path expected, got 7", d.hub.save, 7, model)
    refusal({ "a pipeline of class FluxPipeline isn't written here" }, d.hub.save(root, { unet = model,
      process = process(), pipeline = "FluxPipeline" }))
    assert.equal(core.list(root)[1], nil)
  end)

  it("as a class of pipelines that doesn't run with these parts is refused", function()
    local tiny = d.autoencodertiny { encoder_block_out_channels = { 4 }, decoder_block_out_channels = { 4 },
      num_encoder_blocks = { 0 }, num_decoder_blocks = { 0 } }
    local function refused(words, o)
      o.unet = o.unet or unet()
      o.process = not o.scheduler and (o.process or process()) or nil
      refusal({ "hub.save: these parts can't be a ", words }, d.hub.save(root, o))
      assert.equal(core.list(root)[1], nil)
    end
    refused("LDMPipeline: a vae is missing", { pipeline = "LDMPipeline" })
    refused("DiTPipeline: UNet2DModel is no transformer", { pipeline = "DiTPipeline", vae = tiny })
    refused("DDPMPipeline: that class has no vae", { pipeline = "DDPMPipeline", vae = tiny })
    refused("DDPMPipeline: AutoencoderTiny is no unet", { unet = tiny })
    refused("LDMPipeline: UNet2DModel is no vae", { vae = unet() })
    refused("KarrasVePipeline: that class runs with KarrasVeScheduler, and not with DDPMScheduler",
      { pipeline = "KarrasVePipeline" })
    refused("DDIMPipeline: KarrasVeScheduler runs in KarrasVePipeline alone",
      { pipeline = "DDIMPipeline", scheduler = { _class_name = "KarrasVeScheduler" } })
    refused("DDPMPipeline: its scheduler takes a learned variance, and its network makes 1 channels of 1",
      { process = process { variance = "learned_range" } })
    refused("DDPMPipeline: its network also predicts a variance (2 channels of 1), and its scheduler takes none",
      { unet = unet { outputs = 2 } })
  end)

  it("has the names of classes that are given", function()
    assert(d.hub.save(root, { unet = unet { classes = 2 }, process = process(), labels = { "cat", "dog" } }))
    assert.same({ ["0"] = "cat", ["1"] = "dog" }, decoded "model_index.json".id2label)
    assert.same({ "cat", "dog" }, assert(d.hub.load(root)).labels)
  end)

  it("has the pipeline that runs with its scheduler", function()
    assert(d.hub.save(root, { unet = unet(), scheduler = { _class_name = "ScoreSdeVeScheduler" } }))
    assert.equal("ScoreSdeVePipeline", decoded "model_index.json"._class_name)
  end)

  it("of a network alone doesn't go into the folder of a pipeline", function()
    assert(d.hub.save(root, { unet = unet(), process = process() }))
    local before = files()
    refusal({ root .. "/model_index.json: this is the folder of a pipeline" }, d.hub.save(root, unet()))
    assert.same(before, files())
    assert(d.hub.save(root .. "/unet", unet()))
  end)
end)

-- Files of other libraries: references of their networks (spec/peers/lucidrains.py, edm.py, adm.py), and
-- what d.hub.load asks, tells and refuses.
local d = require "diffusion"
local exactly = require "spec.support.exactly"
local cases = require "spec.support.peer_cases"
local core = require "diffusion.core"
local draw = require "diffusion.hub.draw"
local family = require "diffusion.nn.family"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local foreign_cases = require "spec.support.foreign_cases"
local pipe_of = require("diffusion.object").private
local values = require "spec.support.peer_values"

local TOLERANCE = 2e-5

local function joined(...)
  local out = {}
  for _, list in ipairs { ... } do
    for key, value in pairs(list or {}) do out[key] = value end
  end
  return out
end

local function without(options, name)
  local out = joined(options)
  out[name] = nil
  return out
end

local function fixture(name) return cases.read(("spec/fixtures/peers/%s.safetensors"):format(name)) end

-- Options that the keys of each library don't tell.
local usual = {
  Unet = function(case)
    return { image = { case.image[3], case.image[4], case.image[2] }, schedule = "linear", T = 1000, predict = "eps",
      time = case.config.learned and "log_snr" or nil }
  end,
  SongUNet = function() return { precondition = "edm", sigma_data = 0.5 } end,
  DhariwalUNet = function() return { precondition = "edm", sigma_data = 0.5, head_channels = 4 } end,
  UNetModel = function(case)
    return { image = case.image[3], schedule = "linear", T = 1000, predict = "eps",
      variance = case.config.out ~= 6 and "fixed_small" or nil }
  end,
  DiT = function(case)
    return { schedule = "linear", T = 1000, predict = "eps", variance = case.config.out and "fixed_small" or nil }
  end,
}

local function given_of(case) return joined(usual[case.class](case), case.given) end

describe("a network of another library", function()
  for _, name in ipairs { "lucidrains", "edm", "adm" } do
    for i, case in ipairs(fixture(name)) do
      it(("has the outputs and gradients of its own: %s %d"):format(case.class, i), exactly(function()
        local forward, dx, gradients, where = foreign_cases.compare(case, given_of(case))
        assert(forward < TOLERANCE, ("y is off by %.1e"):format(forward))
        assert(dx < TOLERANCE, ("dx is off by %.1e"):format(dx))
        assert(gradients < TOLERANCE, ("the gradient of %s is off by %.1e"):format(where, gradients))
      end))
    end
  end
end)

-- Writes a file of the tensors of a case under a prefix, and of others.
local function file_of(case, prefix, more)
  local tensors = joined(more)
  for key, x in pairs(values.filled(case.shapes)) do tensors[(prefix or "") .. key] = x end
  for key, shape in pairs(case.buffers or {}) do
    tensors[key] = key == "pos_embed" and foreign_cases.places(shape) or d.zeros(shape)
  end
  local path = forge.folder() .. "/model.safetensors"
  assert(d.save(path, tensors))
  return path
end

local function refused(words, path, options)
  local none, message = d.hub.load(path, options)
  assert.is_nil(none)
  assert(message:find(words, 1, true), message)
  assert.equal(1, (message:find(path, 1, true)))
  return message
end

-- Schedules and targets as GaussianDiffusion keeps them.
local function buffers(schedule, weight_of)
  local betas, bars, weights = {}, {}, {}
  for t = 1, schedule.T do
    betas[t], bars[t] = schedule:beta(t), schedule:alpha_bar(t)
    weights[t] = weight_of(bars[t] / (1 - bars[t]))
  end
  return { betas = d.tensor(betas), alphas_cumprod = d.tensor(bars), loss_weight = d.tensor(weights) }
end

describe("d.hub.load of denoising-diffusion-pytorch", function()
  after_each(forge.clean)
  local case, older = fixture "lucidrains"[1], fixture "lucidrains"[7]
  local schedule = d.schedule.sigmoid { T = 50 }

  it("reads the schedule and the target that its buffers tell", function()
    local weights = { eps = function() return 1 end, x0 = function(snr) return snr end,
      v = function(snr) return snr / (snr + 1) end }
    for target, weight_of in pairs(weights) do
      for _, clipped in ipairs { false, true } do
        local own = clipped and function(snr) return weight_of(snr) * math.min(snr, 5) / snr end or weight_of
        local pipe = assert(d.hub.load(file_of(case, "model.", buffers(schedule, own)), { image = { 8, 12 } }))
        assert.equal(target, pipe.process.predict)
        assert.equal(50, pipe.process.T)
        assert.near(schedule:alpha_bar(25), pipe.process.schedule:alpha_bar(25), 1e-5)
      end
    end
  end)

  it("refuses an attention whose rows aren't q, k and v", function()
    local key, path = "downs.0.2.fn.fn.to_qkv.weight", forge.folder() .. "/thin.safetensors"
    assert.is_truthy(older.shapes[key])
    assert(d.save(path, joined(values.filled(older.shapes), { [key] = d.zeros { 1, older.shapes[key][2], 1, 1 } })))
    refused("'" .. key .. "' has 1 rows, which aren't 3 equal parts", path,
      { image = 8, schedule = "linear", T = 1000, predict = "eps", head_channels = 4, version = "0.26" })
  end)

  it("draws images, and prints its family, parameters and process", function()
    local pipe = assert(d.hub.load(file_of(case, "model.", buffers(schedule, function() return 1 end)), { image = 8 }))
    local x = pipe { n = 2, steps = 3, seed = 1 }
    assert.same({ 2, 8, 8, 3 }, x:shape())
    assert.is_true(x:isfinite():all())
    local text = tostring(pipe)
    assert(text:find("network of denoising-diffusion-pytorch", 1, true), text)
    assert(text:find("unet       lucidrains, ", 1, true), text)
    assert(text:find("predicts eps", 1, true), text)
  end)

  it("takes the average of ema_pytorch rather than the network in training", function()
    local tensors = buffers(schedule, function() return 1 end)
    local more = {}
    for key, x in pairs(tensors) do more["ema_model." .. key], more["online_model." .. key] = x, x end
    for key, x in pairs(values.filled(case.shapes, 7)) do more["online_model.model." .. key] = x end
    local pipe = assert(d.hub.load(file_of(case, "ema_model.model.", more), { image = 8 }))
    local want = values.filled(case.shapes)["final_conv.bias"]
    assert.is_true(pipe.unet:state()["out.bias"]:equal(want:to(core.real)))
  end)

  it("reads a trainer's checkpoint: the key that is asked for, and the version that it was written by", function()
    local network, average, ema = {}, {}, { initted = d.ones(1) }
    for key, x in pairs(values.filled(older.shapes, 1)) do network["model." .. key] = x end
    for key, x in pairs(values.filled(older.shapes, 2)) do
      average["model." .. key], ema["ema_model.model." .. key], ema["online_model.model." .. key] = x, x, x * 0
    end
    for key, x in pairs(buffers(schedule, function(snr) return snr end)) do
      network[key], ema["ema_model." .. key] = x:to "f32", x:to "f32"
    end
    local path = forge.folder() .. "/model-1.pt"
    local file <close> = assert(io.open(path, "wb"))
    file:write(forge.pt { step = 7, version = "1.6.4", model = network, ema = ema })
    file:close()
    refused("tensors are in", path, { image = 8, groups = 4 })
    local pipe = assert(d.hub.load(path, { image = 8, groups = 4, key = "ema" }))
    local c = pipe.unet:config()
    assert.same({ true, true, "layer", 4 }, { c.standard_conv, c.divide_values, c.attn_norm, c.attn_heads[1] })
    assert.is_true(pipe.unet:state()["out.bias"]:equal(average["model.final_conv.bias"]:to("f32"):to(core.real)))
    assert.equal("x0", pipe.process.predict)
  end)

  it("computes as the version that it was written by", function()
    local biased = joined(older.shapes)
    for key, shape in pairs(older.shapes) do
      if key:find "attn.*norm%.g$" or key:find "%.2%..*norm%.g$" or key:find "to_out%.1%.g$" then
        biased[key:gsub("g$", "b")] = shape
      end
    end
    local rows = { -- by the code of each release
      { "0.25.3", 0, false, false, "layer_bias" }, { "0.26.3", 16, false, false, "layer_bias" },
      { "0.26.4", 16, false, true, "layer_bias" }, { "0.26.5", 16, false, true, "layer" },
      { "0.27.2", 16, false, true, "layer" }, { "0.27.3", 10, true, true, "layer" },
      { "0.28.0", 0, true, true, "layer" }, { "1.6.4", 0, true, true, "layer" }, { "1.7.1", 0, true, true, "rms" },
      { "1.7.2", 0, false, true, "rms" }, { "1.7.4", 0, false, false, "rms" },
    }
    for _, row in ipairs(rows) do
      local file = file_of { shapes = row[5] == "layer_bias" and biased or older.shapes }
      local c = assert(d.hub.load(file, joined(given_of(older), { version = row[1] }))).unet:config()
      assert.same(row, { row[1], c.cosine_attn, c.standard_conv, c.divide_values, c.attn_norm })
    end
  end)

  it("has 4 heads in each level of a network with classes, and those of the option in its middle", function()
    local conditional = fixture "lucidrains"[6]
    for name, number in pairs { heads = 2, head_channels = 4 } do
      local o = joined(without(given_of(conditional), "heads"), { [name] = number })
      local pipe = assert(d.hub.load(file_of(conditional), o))
      assert.same({ 4, 4, 2 }, pipe.unet:config().attn_heads)
    end
    local file = file_of { shapes = without(conditional.shapes, "null_classes_emb") }
    refused("'null_classes_emb' is missing", file, given_of(conditional))
  end)

  it("lists all that the keys don't tell", function()
    local message = refused("its keys don't tell these options of d.hub.load: ", file_of(case))
    for _, name in ipairs { "image (height", "schedule (the noise", "T (steps", "predict of eps, x0, v" } do
      assert(message:find(name, 1, true), message)
    end
    message = refused("denoising-diffusion-pytorch", file_of(older), { image = { 8, 12 } })
    for _, name in ipairs { "version (version", "groups (groups", "heads (number" } do
      assert(message:find(name, 1, true), message)
    end
    assert.is_nil(message:find("image (", 1, true))
  end)

  it("shows a network its own time", function()
    local waves = fixture "lucidrains"[5]
    local o, x = given_of(waves), d.randn({ 2, 8, 12, 3 }, { seed = 1 })
    refused("time of t, log_snr, c_noise", file_of(waves), without(o, "time"))
    local pipe = assert(d.hub.load(file_of(waves), joined(o, { time = "log_snr" })))
    local c = { process = pipe.process, wrap = function(net) return net end }
    local got = draw.denoiser(pipe_of[pipe], c)(x, { 5, 900 })
    local s = pipe.process.schedule
    assert.is_true(got:equal(pipe.unet(x, { s:log_snr(5), s:log_snr(900) })))
    pipe = assert(d.hub.load(file_of(waves, "net."), { image = { 8, 12 }, sigma_data = 0.5 }))
    assert.equal("edm", pipe.process.predict)
    got = draw.denoiser(pipe_of[pipe], { process = pipe.process, wrap = c.wrap })(x, 700)
    assert.is_true(got:equal(d.precondition(pipe.unet, pipe.process)(x, 700)))
    pipe = assert(d.hub.load(file_of(waves), joined(o, { time = "t" })))
    assert.equal(1, pipe.unet:config().time_offset)
  end)

  it("refuses what doesn't fit", function()
    local o = given_of(older)
    refused("version 'new' isn't one", file_of(older), joined(o, { version = "new" }))
    refused("3 heads don't divide the width 8 of downs.0.2", file_of(older), joined(o, { heads = 3 }))
    refused("5 groups don't divide 8 channels", file_of(older), joined(o, { groups = 5 }))
    refused("images of 2 channels don't fit 3 channels in and 3 out", file_of(case), joined(given_of(case),
      { image = { 8, 8, 2 } }))
    local both = fixture "lucidrains"[3]
    refused("6 channels in and out: image = {H, W, C}", file_of(both), joined(given_of(both), { image = { 8, 8 } }))
    refused("schedule = 'square': one of linear, cosine", file_of(case),
      joined(given_of(case), { schedule = "square" }))
    refused("image [7,8] can't be halved", file_of(case), joined(given_of(case), { image = { 7, 8, 3 } }))
    refused("1 tensor is unexpected ('more')", file_of(case, nil, { more = d.ones(1) }), given_of(case))
    refused("a version before 0.22", file_of { shapes = { ["mid_block1.mlp.1.weight"] = { 4, 4 },
      ["time_mlp.1.weight"] = { 16, 4 }, ["init_conv.weight"] = { 4, 3, 7, 7 },
      ["downs.0.0.mlp.1.weight"] = { 4, 4 } } }, {})
  end)
end)

describe("d.hub.load of EDM", function()
  after_each(forge.clean)

  it("makes the denoiser of its preconditioning", function()
    local case = fixture "edm"[1]
    local pipe = assert(d.hub.load(file_of(case), { precondition = "edm", sigma_data = 0.5 }))
    assert.equal("edm", pipe.process.predict)
    local run = pipe:steps { n = 1, steps = 2, seed = 3, sampler = "heun" }
    local direct = d.sample { model = d.precondition(pipe.unet, pipe.process), process = pipe.process,
      shape = { 1, 8, 8, 3 }, steps = 2, seed = 3, sampler = "heun" }
    assert.is_true(run:finish():equal(direct))
    fails("trained with precondition = 'edm'", d.precondition, pipe.unet, pipe.process, { kind = "vp" })
    for _, kind in ipairs { "vp", "ve", "iddpm" } do
      local other = assert(d.hub.load(file_of(case), { precondition = kind }))
      assert.equal("eps", other.process.predict)
      assert.is_true(other { n = 1, steps = 2, seed = 1 }:isfinite():all())
    end
  end)

  it("asks for it", function()
    refused("precondition of edm, vp, ve, iddpm", file_of(fixture "edm"[1]))
    refused("sigma_data (standard deviation", file_of(fixture "edm"[1]), { precondition = "edm" })
  end)

  it("refuses options of the other network", function()
    fails("encoder_type = 'skip' and decoder_type = 'standard' are options of song", d.edm, { image = { 8, 8, 3 },
      kind = "dhariwal", encoder_type = "skip" })
    fails("resample_taps is 2 or 4, got 3", d.edm, { image = { 8, 8, 3 }, resample_taps = 3 })
    fails("model_channels must be even, got 5", d.edm, { image = { 8, 8, 3 }, model_channels = 5 })
    fails("can't be halved 2 times", d.edm, { image = { 10, 8, 3 } })
  end)
end)

describe("d.hub.load of guided-diffusion and DiT", function()
  after_each(forge.clean)
  local adm, dit = fixture "adm"[1], fixture "adm"[6]

  it("asks for heads, their order and the process", function()
    local message = refused("guided-diffusion or improved-diffusion; its keys don't tell", file_of(adm))
    for _, name in ipairs { "image", "heads", "schedule", "T", "predict", "variance" } do
      assert(message:find(name .. " ", 1, true), message)
    end
    refused("qkv_order of legacy, new", file_of(adm), without(given_of(adm), "qkv_order"))
    refused("rescale_timesteps (whether", file_of(adm), joined(given_of(adm), { T = 4000 }))
    refused("classes (number of classes", file_of(dit), without(given_of(dit), "classes"))
  end)

  it("needs no order of q, k and v where there is one head", function()
    local one = fixture "adm"[5]
    assert(d.hub.load(file_of(one), given_of(one)))
  end)

  it("is saved as UNet2DModel where that class has its options", function()
    local config = family.find("unet2d").peers.diffusers.config
    local pipe = assert(d.hub.load(file_of(adm), given_of(adm)))
    assert.equal(16, config(pipe.unet:config()).attention_head_dim)
    fails("UNet2DModel can't have this network's time_factor = 0.25", config,
      assert(d.hub.load(file_of(fixture "adm"[5]), given_of(fixture "adm"[5]))).unet:config())
    fails("UNet2DModel can't have this network's time_width = 64", config,
      assert(d.hub.load(file_of(fixture "adm"[4]), given_of(fixture "adm"[4]))).unet:config())
  end)

  it("refuses what isn't a denoiser of images", function()
    refused("belongs to a latent diffusion model", file_of(adm, "model.diffusion_model."), given_of(adm))
    local larger = joined(adm, { shapes = joined(adm.shapes, { ["input_blocks.0.0.weight"] = { 32, 6, 3, 3 } }) })
    refused("it makes 3 channels of 6", file_of(larger), given_of(adm))
    local moved, key = joined(adm.shapes), "output_blocks.1.2.conv.weight"
    moved["output_blocks.2.2.conv.weight"], moved[key] = moved[key], nil
    refused("output_blocks.1 ends a level, but it doesn't change the size of its image",
      file_of(joined(adm, { shapes = moved })), given_of(adm))
    refused("heads is one number", file_of(adm), joined(given_of(adm), { heads = { 1, 2 } }))
    refused("3 heads don't divide 64 channels", file_of(adm), joined(given_of(adm), { heads = 3 }))
    refused("3 heads don't divide the width 16 of its blocks", file_of(dit), joined(given_of(dit), { heads = 3 }))
    refused("its table has 4 rows, so it has 4 classes, or 3 and a row for none; not 2", file_of(dit),
      joined(given_of(dit), { classes = 2 }))
    local other = joined(dit, { buffers = {}, shapes = joined(dit.shapes, { pos_embed = { 1, 16, 16 } }) })
    refused("its pos_embed isn't the table", file_of(other), given_of(dit))
  end)

  it("takes the width of heads in place of their number", function()
    local small = without(given_of(dit), "heads")
    local pipe = assert(d.hub.load(file_of(dit), joined(small, { head_channels = 4 })))
    assert.equal(4, pipe.unet:config().num_attention_heads)
    refused("heads of 3 channels don't divide the width 16", file_of(dit), joined(small, { head_channels = 3 }))
    refused("heads is one number in such a network", file_of(dit), joined(small, { heads = { 1, 2 } }))
    local empty = { ["blocks.0.attn.qkv.weight"] = d.zeros { 0, 16 },
      ["blocks.0.attn.proj.weight"] = d.zeros { 16, 0 } }
    local path = forge.folder() .. "/empty.safetensors"
    local tensors = joined(values.filled(dit.shapes), empty)
    assert(d.save(path, tensors))
    refused("'blocks.0.attn.proj.weight' is [16,0], which has no values", path, joined(small, { head_channels = 4 }))
  end)

  it("refuses options that would be left out", function()
    local steps = d.schedule.linear { T = 50 }
    for name, value in pairs { groups = 8, precondition = "edm", heads = 2, sigma_data = 1 } do
      local file = file_of(adm)
      local o = joined(given_of(adm), { [name] = value }, name == "heads" and { head_channels = 16 })
      refused(("option '%s' isn't needed"):format(name), file, o)
    end
    refused("T = 1000, but its schedule has 50 steps", file_of(adm), joined(given_of(adm), { schedule = steps }))
    local process = d.process { schedule = steps, predict = "eps" }
    refused("option 'T' isn't needed", file_of(dit), joined(given_of(dit), { process = process }))
    local whole = { heads = 2, classes = 3, process = process }
    assert.equal(process, assert(d.hub.load(file_of(dit), whole)).process)
    refused("options 'cache', 'class_name', 'revision', 'variant' are for folders of diffusers, and this is a file of "
      .. "another library", file_of(dit),
      joined(whole, { cache = "x", class_name = "X", revision = "x", variant = "fp16" }))
    refused("option 'tokenizer' is for files of Stable Diffusion", file_of(dit), joined(whole, { tokenizer = "x" }))
    refused("option 'scheduler' is for folders", file_of(dit),
      joined(whole, { vae = "x", scheduler = "DDIMScheduler" }))
    refused("option 'scheduler' is for folders", file_of(dit), joined(whole, { scheduler = "DDIMScheduler" }))
    local folder = forge.folder()
    assert(d.hub.save(folder, d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1 }, blocks = 1, groups = 4 }))
    refused("option 'schedule' is for files of other libraries", folder, { schedule = "linear" })
    refused("/none: ", "/none", { schedule = "linear" })
  end)

  it("refuses other files with a sentence", function()
    refused("its keys are those of no network that is known here", file_of { shapes = { a = { 2 } } })
    local path = forge.file "not a file of tensors"
    refused("a text file, not a safetensors file", path)
    refused("several networks, under the keys 'a.', 'b.'", file_of(adm, "a.", (function()
      local out = {}
      for key, x in pairs(values.filled(adm.shapes)) do out["b." .. key] = x end
      return out
    end)()))
  end)
end)

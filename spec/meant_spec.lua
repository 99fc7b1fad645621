-- Names, files and values of other programs: each message leads to what is meant here.
local d = require "diffusion"
local child = require "spec.support.child"
local fails = require "spec.support.fails"

local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "x0" }
local mlp = d.mlp { dim = 2, hidden = 8, depth = 1 }
local unet = d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 } }
local x = d.randn(4, 2)

local function says(sentence, f)
  local fine, message = pcall(f)
  assert.is_false(fine, sentence)
  assert(message:find("meant_spec.lua:%d+: "), message)
  assert(message:find(sentence, 1, true), ("%q isn't in %q"):format(sentence, message))
end

local function sample(o)
  local options = { model = mlp, process = process, shape = { 4, 2 } }
  for k, v in pairs(o) do options[k] = v end
  return d.sample(options)
end

describe("a sampler's name elsewhere", function()
  -- ours, and what others call it
  local aliases = {
    euler = { "Euler", "k_euler", "sample_euler", "EulerDiscreteScheduler", "EDMEulerScheduler" },
    euler_ancestral = { "euler_a", "Euler a", "k_euler_a", "k_euler_ancestral", "EulerAncestralDiscreteScheduler" },
    dpmpp_2m = { "dpm++2m", "DPM++ 2M", "dpm++2mv2", "sample_dpmpp_2m", "DPMSolverMultistepScheduler", "dpmpp-2m",
                 "DPM-Solver++" },
    dpmpp_2m_sde = { "DPM++ 2M SDE", "dpmpp_2m_sde_gpu" },
    dpmpp_sde = { "DPM++ SDE", "dpmpp_sde_gpu" },
    dpmpp_3m_sde = { "DPM++ 3M SDE" },
    dpmpp_2s_ancestral = { "dpm++2s_a", "DPM++ 2S a", "sample_dpmpp_2s_ancestral" },
    dpm2 = { "DPM2", "dpm_2", "KDPM2DiscreteScheduler" },
    dpm2_ancestral = { "DPM2 a", "dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler" },
    dpmpp_singlestep = { "DPMSolverSinglestepScheduler" },
    plms = { "pndm", "PNDMScheduler", "PLMS" },
    ddim = { "DDIM", "DDIMScheduler", "ddim_eta" },
    ddpm = { "DDPM", "DDPMScheduler" },
    unipc = { "UniPC", "uni_pc", "uni_pc_bh2", "UniPCMultistepScheduler" },
    heun = { "Heun", "HeunDiscreteScheduler" },
    lms = { "LMS", "k_lms", "LMSDiscreteScheduler" },
    deis = { "DEISMultistepScheduler" },
    lcm = { "LCM", "LCMScheduler" },
    flow_euler = { "FlowMatchEulerDiscreteScheduler" },
    flow_heun = { "FlowMatchHeunDiscreteScheduler" },
    ipndm = { "ipndm_v", "IPNDMScheduler" },
    sa_solver = { "SASolverScheduler" },
    dpm_adaptive = { "DPM adaptive" },
    predictor_corrector = { "ScoreSdeVeScheduler" },
  }

  it("leads to ours", function()
    local names = {}
    for _, name in ipairs(d.sampler.names()) do names[name] = true end
    for ours, list in pairs(aliases) do
      assert(names[ours], ours)
      for _, name in ipairs(list) do
        says(("'%s' is called '%s' here"):format(name, ours), function() sample { sampler = name } end)
      end
    end
  end)

  it("with a grid leads to both", function()
    for name, want in pairs {
      ["DPM++ 2M Karras"] = { "dpmpp_2m", "karras" }, ["dpmpp_2m_k"] = { "dpmpp_2m", "karras" },
      ["DPM2 a Karras"] = { "dpm2_ancestral", "karras" },
      ["DPM++ 3M SDE Exponential"] = { "dpmpp_3m_sde", "exponential" },
      ["LMS Karras"] = { "lms", "karras" }, ["DPM++ 2M SGM Uniform"] = { "dpmpp_2m", "sd.cpp-sgm-uniform" },
    } do
      says(("'%s' is called '%s' here, with the option grid = \"%s\""):format(name, want[1], want[2]),
        function() sample { sampler = name } end)
      sample { sampler = want[1], grid = want[2], steps = 2 }
    end
  end)

  it("that is nobody's, or no name, is told as such", function()
    says("unknown sampler 'foo'; valid:", function() sample { sampler = "foo" } end)
    says("unknown sampler 'ddmi'; did you mean 'ddim'?", function() sample { sampler = "ddmi" } end)
    says("a name of d.sampler.names(), a function or {name, option = ...} expected, got 5",
      function() sample { sampler = 5 } end)
  end)

  it("has options that stand beside it", function()
    says([['eta' is an option of the sampler: sampler = {"ddim", eta = ...}]], function() sample { eta = 0.5 } end)
    says([['s_churn' is an option of the sampler: sampler = {"heun", s_churn = ...}]],
      function() sample { sampler = "heun", s_churn = 1 } end)
    says([['eta' is an option of the sampler: sampler = {"ddim", eta = ...}]], function()
      d.edit.img2img { model = mlp, process = process, x0 = x, strength = 0.5, eta = 1 }
    end)
    says([[with an option: {"ddim", eta = 1}]], function() sample { sampler = "ddim_eta" } end)
    says("sampler ddim: unknown option 'etta'; did you mean 'eta'?",
      function() sample { sampler = { "ddim", etta = 1 } } end)
  end)
end)

describe("options of other libraries", function()
  it("lead to ours", function()
    for theirs, ours in pairs { num_inference_steps = "steps", guidance_scale = "guidance", class_labels = "class",
                                latents = "init", scheduler = "sampler" } do
      says(("'sample' (option '%s' is called '%s' here)"):format(theirs, ours), function() sample { [theirs] = 1 } end)
    end
    for theirs, ours in pairs { epsilon = "eps", v_prediction = "v", sample = "x0" } do
      says(("'%s' is called '%s' here"):format(theirs, ours),
        function() d.process { schedule = process.schedule, predict = theirs } end)
    end
  end)

  it("and kinds of values lead to what makes one", function()
    for name, ours in pairs { cosine = "cosine", linear = "linear", squaredcos_cap_v2 = "cosine", lineer = "linear" } do
      says(("schedule expected, got '%s'; d.schedule.%s{} makes one"):format(name, ours),
        function() d.process { schedule = name } end)
    end
    says("process expected, got schedule; d.process{ schedule = ... } makes one",
      function() sample { process = process.schedule } end)
    says("got 'digits'; d.load_model(path) reads one", function() sample { model = "digits" } end)
    says("got 'a.png'; d.image.load(path) reads one", function() d.image.show "a.png" end)
    says("got set; the set's tensor is its x", function() d.image.show(d.data.digits()) end)
    says("got set; the set's tensor is its x",
      function() d.objective { process = process }(mlp, d.data.toy.moons(4)) end)
    says("option 'model' is missing: a denoiser (xt, t, {class=}) expected",
      function() d.sample { process = process, shape = { 1, 2 } } end)
    says("no type 'cuda'; there are f32, f64, f16, bf16, u8, i64; there are no devices", function() x:to "cuda" end)
    says("option 'kind': no numpy; there are philox, torch", function() d.generator { kind = "numpy" } end)
    says("no 'samples'; there are", function() d.mse(x, x, "samples") end)
  end)

  it("are named by the function that was called", function()
    says("'sample' (unknown option 'stpes'; did you mean 'steps'?", function() sample { stpes = 5 } end)
    says("'sampler.steps' (unknown option 'stpes'", function() d.sampler.steps { stpes = 5 } end)
    says("bad argument #1 to 'plot' (unknown option 'nosuch'", function() process.schedule:plot { nosuch = 1 } end)
  end)
end)

describe("shapes", function()
  it("of samples have whole numbers", function()
    says("option 'shape': size 1 must be a whole number of 0 or more, got -1; the first is the number of samples",
      function() sample { shape = { -1, 2 } } end)
    says("size 2 must be a whole number of 0 or more, got 'a'", function() sample { shape = { 1, "a" } } end)
  end)

  it("without a batch are told as such", function()
    local sentence = "xt is [8,8,1], without a batch dimension; x:unsqueeze(1) makes a batch of one"
    says(sentence, function() unet(d.randn(8, 8, 1), 5) end)
    says(sentence, function() d.sample { model = unet, process = process, shape = { 8, 8, 1 } } end)
    says(sentence, function() d.objective { process = process }(unet, d.randn(8, 8, 1)) end)
    says("xt is [2], without a batch dimension", function() mlp(d.randn(2), 5) end)
    assert.same({ 1, 8, 8, 1 }, unet(d.randn(8, 8, 1):unsqueeze(1), 5):shape())
  end)

  it("beyond memory say that no limit is set", function()
    says("in use; no limit is set", function() d.zeros(1000000, 1000000) end)
  end)
end)

describe("a file of another kind", function()
  local folder = child.folder()
  teardown(function() child.remove(folder) end)
  local path = folder .. "/file"

  local function refused(sentence, bytes, load)
    if bytes then child.write(path, bytes) end
    local none, message = load(path)
    assert.is_nil(none)
    assert(message:find(sentence, 1, true), message)
    assert(message:find(path, 1, true) == 1, message)
  end

  local zip = "PK\3\4" .. ("\0"):rep(22) .. ("<I2I2"):pack(16, 0)
  local files = {
    ["a PNG"] = "\x89PNG\r\n\x1a\n" .. ("\0"):rep(40), ["a JPEG"] = "\xff\xd8\xff\xe0" .. ("\0"):rep(40),
    ["a PyTorch file (.pt)"] = zip .. "archive/data.pkl", ["a zip file"] = zip .. "archive/data.txt",
    ["a bare pickle"] = "\x80\2}q\0." .. ("\0"):rep(40),
    ["a GGUF file"] = "GGUF" .. ("\0"):rep(40),
    ["an HDF5 file"] = "\x89HDF\r\n\x1a\n" .. ("\0"):rep(40), ["a NumPy file"] = "\x93NUMPY\1\0" .. ("\0"):rep(40),
    ["JSON"] = '{"a": 1, "b": "two"}', ["a text file"] = "just a few words\nin two lines\n",
    ["a page of HTML"] = "<!DOCTYPE html><html></html>", ["a gzip file"] = "\x1f\x8b\8" .. ("\0"):rep(40),
  }

  it("is named where a model is wanted", function()
    for name, bytes in pairs(files) do
      refused(name .. ", not a model", bytes, d.load_model)
      if not (name:find "PyTorch" or name:find "GGUF") then refused(name .. ", not a safetensors file", nil, d.load) end
      refused(name .. ", not a model", nil, function(p) return mlp:load(p) end)
    end
    refused("a PNG, not a model; d.image.load reads it", files["a PNG"], d.load_model)
    refused("d.load reads its tensors", files["a PyTorch file (.pt)"], d.load_model)
  end)

  it("that Git LFS left as a pointer is named as one, with its size", function()
    local pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:19da7aaa4b880e59d56843\nsize 3438167540\n"
    refused("a pointer, not the weights: Git LFS never fetched this file of 3,438,167,540 bytes (sha256 19da7aaa...)",
      pointer, d.load)
    refused("a pointer, not the weights", nil, d.load_model)
    refused("a pointer, not a picture (PNG or JPEG): Git LFS never fetched", nil, d.image.load)
    refused("this file; `git lfs pull` fetches it", "version https://git-lfs.github.com/spec/v1\n", d.load)
  end)

  it("that a server sent as an error shows its words", function()
    refused("a page of HTML, not a safetensors file; its title is \"404 Not Found\"",
      "\n <!doctype html>\n<html><head><title>404 Not Found</title>", d.load)
    refused("a page of HTML, not a model", "<HTML><body>busy</body></HTML>", d.load_model)
    refused("XML, not a safetensors file", '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', d.load)
    refused("a text file, not a safetensors file; it begins \"Entry not found\"", "Entry not found", d.load)
    refused("JSON, not a safetensors file", '\n{"error": "Repository not found"}', d.load)
  end)

  it("is named where a picture, an array or a set is wanted", function()
    assert(d.save(path, { x = x }))
    refused("a safetensors file, not a picture (PNG or JPEG); d.load_model or d.load reads it", nil, d.image.load)
    refused("a safetensors file, not an IDX file", nil, d.data.idx)
    refused("a safetensors file, not a .npy file", nil, d.data.npy)
    refused("a GIF, not a picture", "GIF89a" .. ("\0"):rep(40), d.image.info)
    refused("a PNG, not a .npy file; d.image.load reads it", files["a PNG"], d.data.arrays)
  end)

  it("and a folder is told as such", function()
    for _, load in ipairs { d.load, d.load_model, d.image.load, d.data.npy } do
      local none, message = load(folder)
      assert.is_nil(none)
      assert.equal(folder .. ": a folder, not a file", message)
    end
  end)
end)

describe("help", function()
  local text = require("diffusion.help").text

  it("of sample has the options of sampler.steps", function()
    for _, word in ipairs { "\n  guidance ", "\n  steps ", "50, or T if less", "\n  grid ", "\n  seed " } do
      assert(text "sample":find(word, 1, true), word)
    end
  end)

  it("of a name that is a kind too has both", function()
    for _, name in ipairs { "adamw", "process", "ema", "objective", "checkpoint", "trainer", "tensor" } do
      assert(text(name):find("^d%." .. name .. "%("), name)
      assert(text(name):find("\nmethods\n"), name)
    end
  end)
end)

describe("DIFFUSION_DATA", function()
  it("that names no such folder is nil and a message, though the data is elsewhere", function()
    local folder = child.folder()
    child.write(folder .. "/ask.lua", [[print(require "diffusion".data.fashion_mnist())]])
    local out = child.run("ask.lua", { folder = folder, env = "DIFFUSION_DATA=/nowhere" })
    child.remove(folder)
    assert(out:find("^nil\t"), out)
    assert(out:find("in /nowhere, which DIFFUSION_DATA names", 1, true), out)
  end)
end)

describe("wrong options of everything", function()
  it("are told at the user's line, without inner lines", function()
    local folder = child.folder()
    local script = assert(io.popen "pwd"):read "l" .. "/spec/support/wrong_options.lua"
    local out, code = child.run(script, { folder = folder })
    child.remove(folder)
    assert.equal(0, code, out)
    assert(out:match "^(%d+) calls\n$", out)
    assert(tonumber(out:match "^(%d+)") > 4000, out)
  end)

  it("name the argument in which they stand", function()
    local m, p = mlp, process
    for number, f in pairs {
      [1] = { function(o) d.process(o) end, function(o) d.unet(o) end, function(o) d.sample(o) end },
      [2] = { function(o) d.adamw(m, o) end, function(o) d.ema(m, o) end, function(o) d.guidance.cfg(m, o) end,
              function(o) d.data.toy.moons(4, o) end, function(o) d.image.grid(x, o) end },
      [3] = { function(o) d.reflow(m, p, o) end, function(o) d.precondition(m, p, o) end,
              function(o) d.metric.energy(x, x, o) end, function(o) d.grid.karras(p, 3, o) end },
      [4] = { function(o) d.likelihood.vlb(m, p, x, o) end, function(o) d.estimate_variance(m, p, x, o) end,
              function(o) d.guidance.gradient(m, p, print, o) end },
    } do
      for _, call in ipairs(f) do fails(("bad argument #%d to "):format(number), call, { nosuch = 1 }) end
    end
  end)
end)

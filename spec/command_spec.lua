-- The commands that draw: pictures of a model, and again from the settings inside.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local ldm_file = require "spec.support.ldm_file"
local text_folder = require "spec.support.text_folder"

local all = text_folder.read()
local script = assert(io.popen "pwd"):read "l" .. "/lua/diffusion/cli.lua"
local names = require "diffusion.command.settings"
local opts = require "diffusion.opts"
local root
setup(function()
  root = child.folder()
  text_folder.write(root .. "/model", all.cases.sd1_ddim, all)
end)
teardown(function() child.remove(root) end)

-- Runs the command in the folder of the model; gives what it wrote, and success.
local function command(words)
  local lines = child.command(script, { folder = root, arguments = words })
  local pipe = assert(io.popen("exec 2>&1; " .. lines))
  local text = pipe:read "a"
  return text, pipe:close() == true
end

-- The same for a line of words without spaces.
local function line(text, ...)
  local words = { ... }
  for word in text:gmatch "%S+" do words[#words + 1] = word end
  return command(words)
end

local function path(name) return root .. "/" .. name end
local function same(a, b) return child.read(path(a)) == child.read(path(b)) end
local function settings(name) return json.decode(assert(d.image.info(path(name))).text.diffusion) end

-- Makes changed.png, a picture with other settings.
local function changed(name, change)
  local values = settings(name)
  change(values)
  assert(d.image.save(path "changed.png", assert(d.image.load(path(name))),
    { text = { diffusion = json.encode(values) } }))
end

local function said(sentence, text, ok)
  assert(not ok, text)
  assert(text:find(sentence, 1, true), ("%q isn't in %q"):format(sentence, text))
end

describe("diffusion sample", function()
  it("draws the picture of the same call, and replay draws it again", function()
    local text, ok = line("-o out.png --steps 3 --seed 5", "sample", "model", "--prompt", "a rëd cat 😀",
      "--negative=dog")
    assert(ok and text:find("out.png  16x16  seed 5", 1, true), text)
    local pipe = assert(d.hub.load(path "model"))
    local x = pipe:text2image { prompt = "a rëd cat 😀", negative = "dog", steps = 3, seed = 5 }
    assert.is_true(d.image.to_bytes(x)[1]:equal(assert(d.image.read(path "out.png"))))
    local found = settings "out.png"
    assert.equal("a rëd cat 😀", found.flags.prompt)
    assert.equal("model", found.model.name)
    assert.equal(8, #found.model.files["unet/diffusion_pytorch_model.safetensors"])
    assert(not child.read(path "out.png"):find(root, 1, true))
    text, ok = line "replay out.png"
    assert(ok, text)
    assert.is_true(same("out.png", "again.png"))
  end)

  it("draws several pictures, from one and within a mask", function()
    local mask = d.full({ 20, 30, 1 }, -1)
    mask[{ { 1, 10 }, {}, {} }] = 1
    assert(d.image.save(path "mask.png", mask))
    assert(d.image.save(path "from.png", d.rand(20, 30, 3) * 2 - 1))
    local from = "sample model -p dog --init from.png --steps 2 -s 3 "
    local text, ok = line(from .. "--mask mask.png --size 24x16 -n 2 -o p.png")
    assert(ok and text:find("p-2.png  24x16  seed 3", 1, true), text)
    text, ok = line "replay p-2.png -o p2.png"
    assert(ok, text)
    assert.is_true(same("p-2.png", "p2.png"))
    assert.is_false(same("p-1.png", "p-2.png"))
    text, ok = line(from .. "--strength 0.5 -o q.png")
    assert(ok and text:find("q.png  30x20  seed 3", 1, true), text)
    text, ok = line "replay q.png -o from.png"
    said("--output: from.png is the picture of --init, which replay reads again", text, ok)
    assert(d.image.save(path "from.png", d.zeros(20, 30, 3)))
    text, ok = line "replay q.png -o q2.png"
    said("from.png: the picture was drawn from another file: checksum", text, ok)
    assert(d.image.save(path "other.png", d.zeros(20, 30, 3)))
    text, ok = line "replay q.png -o q2.png --init other.png"
    assert(ok, text)
  end)

  it("draws with a single file of Stable Diffusion", function()
    text_folder.write(path "whole", ldm_file.case(false, all.cases), all)
    ldm_file.write(path "whole.safetensors", assert(d.hub.load(path "whole")))
    local text, ok = line "sample whole.safetensors -p dog --steps 1 --tokenizer whole/tokenizer --size 16x16 -o w.png"
    assert(ok, text)
    assert.equal("whole/tokenizer", settings "w.png".flags.tokenizer)
    text, ok = line "replay w.png -o w2.png"
    assert(ok and same("w.png", "w2.png"), text)
    changed("w.png", function(v) v.flags.tokenizer = "gone" end)
    local _, message = d.command("replay", { path "changed.png" })
    assert.equal("gone: no such file or folder; --tokenizer PATH says where it is", message)
    text, ok = line "replay w.png -o w3.png --model whole"
    assert(ok, text)
    assert.is_nil(settings "w3.png".flags.tokenizer)
    local tensors = assert(d.load(path "whole.safetensors"))
    for key in pairs(opts.joined(tensors)) do tensors[key] = not key:find "^first" and tensors[key] or nil end
    assert(d.save(path "bare.safetensors", tensors))
    text, ok = line "sample bare.safetensors -p dog --steps 1 --tokenizer whole/tokenizer --size 16x16"
    said("bare.safetensors: there is no autoencoder, so it draws latents and no pictures", text, ok)
    text, ok = line "sample whole.safetensors -p dog --steps 1"
    said("--tokenizer is missing: whole.safetensors has none", text, ok)
  end)

  it("draws with adapters", function()
    local pipe = assert(d.hub.load(path "model"))
    local style = pipe:add_lora { rank = 2, on = "conv", init = "gaussian" }
    for _, p in style.unet:parameters() do p:copy_(d.randn(p:shape(), { seed = 1 }) * 0.2) end
    assert(os.execute("mkdir -p " .. child.quote(path "style")))
    assert(style:save(path "style"))
    local words = "sample model -p dog --steps 2 -s 3 -o "
    assert(select(2, line(words .. "plain.png")))
    local text, ok = line(words .. "style.png --lora style --lora-weight 0.5")
    assert(ok, text)
    style.weight = 0.5
    local x = pipe:text2image { prompt = "dog", steps = 2, seed = 3 }
    assert.is_true(d.image.to_bytes(x)[1]:equal(assert(d.image.read(path "style.png"))))
    assert.is_false(same("style.png", "plain.png"))
    text, ok = line "replay style.png -o style2.png"
    assert(ok and same("style.png", "style2.png"), text)
    style.weight = 1
    for _, p in style.unet:parameters() do p:mul_(2) end
    assert(style:save(path "style"))
    text, ok = line "replay style.png -o style2.png"
    said("style: the picture was drawn from another file: checksum", text, ok)
    text, ok = line "replay style.png -o style2.png --lora style"
    assert(ok and not same("style.png", "style2.png"), text)
    text, ok = line(words .. "no.png --lora none")
    said("none", text, ok)
    assert(os.rename(path "style/pytorch_lora_weights.safetensors", path "style/adapter_model.safetensors"))
    child.write(path "style/adapter_config.json", '{"peft_type": "LORA", "r": 2, "lora_alpha": 2}')
    text, ok = line(words .. "peft.png --lora style --lora-weight 0.5")
    assert(ok and same("peft.png", "style2.png"), text)
  end)

  it("draws classes with a network that comes with the library", function()
    local text, ok = line "sample digits --class 4 --steps 5 -n 2 --seed 1 -o digit.png"
    assert(ok and text:find("digit-2.png  8x8  seed 1", 1, true), text)
    local x = d.load_pipeline "digits" { class = 4, n = 2, steps = 5, seed = 1 }
    assert.is_true(d.image.to_bytes(x)[2]:equal(assert(d.image.read(path "digit-2.png"))))
    text, ok = line "replay digit-2.png -o digit.png"
    assert(ok and same("digit-2.png", "digit.png"), text)
  end)

  it("says in a sentence what is wrong", function()
    for words, sentence in pairs {
      ["sample"] = "sample: MODEL is missing; `diffusion sample --help` shows how",
      ["sample model"] = "sample: --prompt is missing: what to draw",
      ["sample nothing -p x"] = "nothing: no such folder",
      ["sample model -p x --stepps 3"] = "unknown flag '--stepps'; did you mean '--steps'?",
      ["sample model -p x --steps three"] = "--steps: a whole number expected, got 'three'",
      ["sample model -p x --lora a --lora=b"] = "sample: --lora is given twice",
      ["sample model -p x --steps"] = "--steps needs a value, N",
      ["sample model -p x --steps 0"] = "option 'steps': integer in [1, inf) expected, got 0",
      ["sample model -p x --size 99999999999999999999x16"] = "--size: WIDTHxHEIGHT, as 512x512 expected, got '9999",
      ["sample nothing -p x --lora-weight 2"] = "--lora-weight is a part of --lora, which is missing",
      ["sample model -p x --init a.png -o a.png"] = "a.png is the picture of --init, which replay reads again",
      ["sample model -p x --size 16"] = "--size: WIDTHxHEIGHT, as 512x512 expected, got '16'",
      ["sample model -p x y"] = "'y' is a word too many; quote a text of several words",
      ["sample model -p x --mask m.png"] = "--mask is a part of --init, which is missing",
      ["sample model -p x --strength 0.5"] = "--strength is a part of --init, which is missing",
      ["sample model -p x --init none.png"] = "none.png: ",
      ["sample model -p x --scheduler DDIM"] = "unknown scheduler 'DDIM'; did you mean 'DDIMScheduler'?",
      ["sample digits --class 3 --eta 0.5"] = "--eta: digits has no scheduler of diffusers; --sampler ddim takes it",
      ["sample digits --class 3 --init a.png --mask a.png"] = "--mask: digits paints no parts of pictures",
      ["sample digits -p x"] = "digits has no text encoder; --class takes its classes",
      ["sample model -p x --sampler no"] = "unknown sampler 'no'",
      ["replay"] = "replay: PICTURE is missing",
      ["replay none.png"] = "none.png: ",
    } do
      local list = {}
      for word in words:gsub("model", path "model"):gsub("none.png", path "none.png"):gmatch "%S+" do
        list[#list + 1] = word
      end
      local ok, text, message = pcall(d.command, table.remove(list, 1), list)
      said(sentence, ok and message or text, ok and text)
    end
    local text, ok = line "sample model -p x --steps 0"
    said("diffusion: --steps: integer in [1, inf) expected, got 0", text, ok)
    text, ok = line "sample digits --class 3 --clip-skip 1"
    said("diffusion: --clip-skip: this model has no use for it", text, ok)
    text, ok = line "sample --help"
    assert(ok and text:find("--clip-skip N", 1, true) and text:find("examples:\n  diffusion sample", 1, true), text)
    fails("name: one of replay, sample expected, got 'draw'", d.command, "draw", {})
  end)
end)

describe("the output of a command", function()
  it("is refused before anything is drawn", function()
    for output, sentence in pairs { ["none/a.png"] = "none/a.png: can't be written: none: ", ["a.jpg"] = "a.jpg names",
      model = "model: can't be written: it is a folder" } do
      local text, ok = line("sample model -p x --steps 1 -o " .. output)
      said(sentence, text, ok)
      assert(not text:find("step 1/1", 1, true), text)
      text, ok = line("replay none.png -o " .. output)
      said(sentence, text, ok)
    end
    assert(select(2, line("sample model -p x --steps 1 -o " .. path "whole.png")))
  end)
end)

describe("diffusion replay", function()
  local function picture(change)
    changed("base.png", change)
    return line "replay changed.png"
  end

  setup(function() assert(select(2, line "sample model -p cat --steps 1 --seed 2 -o base.png")) end)

  it("compares the model with the one of the picture", function()
    local other = path "second"
    text_folder.write(other, all.cases.sd1_ddim, all)
    local file = other .. "/unet/diffusion_pytorch_model.safetensors"
    local tensors = assert(d.load(file))
    tensors["conv_in.bias"] = tensors["conv_in.bias"] + 1
    assert(d.save(file, tensors, { format = "pt" }))
    local text, ok = picture(function(v) v.model.name = "second" end)
    said("second: the picture was drawn with another model: unet/diffusion_pytorch_model.safetensors has checksum",
      text, ok)
    said("--model PATH takes another one all the same", text, ok)
    text, ok = picture(function(v) v.model.name = "gone" end)
    said("--model PATH says where the model of this picture is", text, ok)
    text, ok = line "replay base.png --model second"
    assert(ok, text)
    text, ok = line "replay base.png --model model"
    assert(ok and same("base.png", "again.png"), text)
    text, ok = line "replay base.png --init base.png"
    said("replay: --init: the picture was drawn without one", text, ok)
  end)

  it("finds a model that has no name below the working folder only by --model", function()
    assert.equal("elsewhere", names.name "..")
    assert.equal("elsewhere", names.name "a/../..")
    assert.equal("elsewhere", names.name "/")
    assert.equal("b", names.name "/a/b/")
    assert.equal("a/b", names.name "a/b/")
    assert.equal("caf?.png", names.name "caf\xE4.png")
    assert.equal("café.png", names.name "café.png")
  end)

  it("trusts no settings that the command wouldn't write", function()
    local model = "its settings: their model is damaged"
    for _, case in ipairs {
      { model, function(v) v.model.name = "/etc" end },
      { model, function(v) v.model.name = "a/../../b" end },
      { model, function(v) v.model.name = ".." end },
      { model, function(v) v.model.name = "/" end },
      { model, function(v) v.model.files = {} end },
      { "they are of form 2; this version reads up to 1", function(v) v.form = 2 end },
      { "they are damaged", function(v) v.form = nil end },
      { "they are damaged", function(v) v.form = 1.5 end },
      { "their flags are damaged", function(v) v.flags = 3 end },
      { "their 'init' is table", function(v) v.flags.init = { name = "/etc/passwd", sum = "0" } end },
      { "their 'init' is '/etc/passwd'", function(v) v.flags.init = "/etc/passwd" end },
      { "their 'mask' is table", function(v) v.flags.mask = { name = "..", sum = "0" } end },
      { "their 'size' is '16x16'", function(v) v.flags.size = "16x16" end },
      { "their 'steps' is 'x'", function(v) v.flags.steps = "x" end },
      { "their 'seed' is missing", function(v) v.flags.seed = nil end },
      { "'output' is no flag of this version", function(v) v.flags.output = "b.png" end },
      { "'later' is no flag of this version", function(v) v.flags.later = 1 end },
      { "their number of the image is damaged", function(v) v.image = -1 end },
      { "their number of the image is damaged", function(v) v.image = 1 << 40 end },
    } do
      changed("base.png", case[2])
      local text, message = d.command("replay", { path "changed.png" })
      assert.is_nil(text)
      assert(message:find(case[1], 1, true), message)
    end
    assert(d.image.save(path "bare.png", d.zeros(4, 4, 3)))
    local text, ok = line "replay bare.png"
    said("bare.png: no settings of `diffusion sample` inside", text, ok)
    assert(core.place(path "again.png") == "file")
  end)
end)

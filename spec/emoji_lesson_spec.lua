-- Lesson 14 learns a folder of pictures with captions. It runs all of its stages. A run that was stopped ends with the
-- bytes of one that was not.
local child = require "spec.support.child"
local d = require "diffusion"

local LESSON = "examples/14_emoji.lua"
local FILES = { "model/unet/diffusion_pytorch_model.safetensors", "model/text_encoder/model.safetensors",
  "model/vae/diffusion_pytorch_model.safetensors", "model/tokenizer/tokenizer.json", "seen.png" }
local MADE = "lesson14/quick-..%2Fpictures/"

local folder
setup(function()
  folder = child.folder()
  os.execute(("mkdir -p '%s/pictures' '%s/whole' '%s/stopped'"):format(folder, folder, folder))
  local captions = { "file_name\ttext\n" }
  os.execute(("mkdir -p '%s/others/pictures'"):format(folder))
  for i = 1, 6 do
    local x = d.ones(64, 64, 3)
    x:narrow(1, 8 * i, 12):narrow(2, 10, 40):fill_(i / 4 - 1)
    assert(d.image.save(("%s/pictures/%d.png"):format(folder, i), x))
    captions[i + 1] = ("%d.png\tbar number %d\n"):format(i, i)
  end
  child.write(folder .. "/pictures/captions.tsv", table.concat(captions))
  os.execute(("cp '%s'/pictures/* '%s/others/pictures'"):format(folder, folder))
end)
teardown(function() child.remove(folder) end)

local SHORT = {
  "quick = { vae = 1500, text = 1000, unet = 1500 }", "quick = { vae = 4, text = 4, unet = 4 }",
  "whole = { vae = 4000, text = 6000, unet = 20000 }", "whole = { vae = 4, text = 4, unet = 4 }",
  "seed = 1 }\n  assert(d.image.save", "seed = 1, steps = 2 }\n  assert(d.image.save",
  "save_every = 250", "save_every = 2, on_step = function(step)\n"
    .. "if step == 3 and name == os.getenv 'STOPPED' then os.exit(3, true) end end" }

-- Runs the lesson in a folder. With a name, that stage ends the process in its third step.
local function run(where, stopped, name, pictures)
  local arguments = { name or "quick", pictures or "../pictures" }
  return child.run(child.copy(LESSON, where, SHORT), { folder = where, arguments = arguments,
    env = ("STOPPED=%s"):format(stopped or "none") })
end

describe("lesson 14", function()
  it("learns a folder of pictures, and goes on where it was stopped, to the same bytes", function()
    local out, code = run(folder .. "/whole")
    assert.equal(0, code, out)
    for _, stage in ipairs { "vae", "text", "unet" } do
      assert.truthy(out:find(stage .. ": %d+ parameters, 4 steps"), out)
      local stopped, exit = run(folder .. "/stopped", stage)
      assert.equal(3, exit, stopped)
    end
    out, code = run(folder .. "/stopped")
    assert.equal(0, code, out)
    for _, name in ipairs(FILES) do
      local a, b = child.read(folder .. "/whole/" .. MADE .. name), child.read(folder .. "/stopped/" .. MADE .. name)
      assert.is_true(a ~= nil and a == b, name)
    end
    local x = assert(d.image.load(folder .. "/whole/" .. MADE .. "seen.png"))
    assert.is_true(x:std():item() > 0)
  end)

  it("trains the networks of another run, or of other pictures, from nothing", function()
    local out, code = run(folder .. "/whole", "vae", "whole")
    assert.equal(3, code, out)
    out, code = run(folder .. "/whole", "vae", "quick", "../others/pictures")
    assert.equal(3, code, out)
  end)
end)

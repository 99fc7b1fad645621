-- The lessons run, shortened, and write their images. Their output is checked.
local d = require "diffusion"
local child = dofile "spec/support/child.lua"
local small_fashion = dofile "spec/support/small_fashion.lua"

local folder
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

local function lesson(name, replaced, env)
  return child.shortened("examples/" .. name .. ".lua", folder, replaced, env)
end

local function is_picture(name)
  local x, message = d.image.load(folder .. "/" .. name)
  assert(x, message)
  assert(x:std():item() > 0, name .. " is empty")
end

local function is_plot(name)
  if child.has "gnuplot" then is_picture(name) end
end

describe("lesson", function()
  it("0: the tour", function()
    local out = lesson("00_tour", { "expand(4000", "expand(400", "expand(2000", "expand(200", "draws, bins = 200000",
      "draws, bins = 20000", "steps = 1500", "steps = 30", "step % 500", "step % 15", "sample(20000", "sample(200",
      "{ 20000 }", "{ 200 }", "{ 2000, 2 }", "{ 100, 2 }", "sample(2000", "sample(100", '"ddpm", 1000', '"ddpm", 20',
      "steps = 200", "steps = 25", "-4000, 4000", "-400, 400", "h = 0, 0, 0, 1e-3", "h = 0, 0, 0, 1e-2" })
    local variance, ct, c0 = out:match "so variance = (%S+).-x_t = .-= (%S+).-x_0 = .-= (%S+)"
    local theirs = { out:match "posterior_coefficients%(300, 200%) gives (%S+), (%S+) and (%d+%.%d+)" }
    assert.same({ variance, ct, c0 }, theirs)
    local by_means, by_noise = out:match "difference of means gives (%S+), and eq. 12 gives (%d+%.%d+)"
    assert.equal(by_means, by_noise)
    local sum, product = out:match "%+ %S+ = (%S+), and the right side is (%d+%.%d+)"
    assert.equal(sum, product)
    local near = tonumber(out:match "to s = 299: +(%S+) %%")
    local far = tonumber(out:match "to s =  50: +(%S+) %%")
    assert.is_true(near < 0.1 and far > 50)
    for _, level in ipairs { "100", "500", "900" } do
      local with, without = out:match("t = " .. level .. ": the error of v is (%S+) with the text, (%d+%.%d+)")
      assert.is_true(tonumber(with) < 0.8 * tonumber(without), level)
    end
    assert.near(1, tonumber(out:match "Scaled, the latents of these have mean %S+ and deviation (%d+%.%d+)"), 0.15)
    for _, name in ipairs { "01_steps", "02_leaps", "07_predicted", "08_sampling", "09_latents", "10_guidance",
      "11_apple" } do
      is_picture("tour/" .. name .. ".png")
    end
    for _, name in ipairs { "03_merged", "04_schedules", "05_leap_back", "06_posterior" } do
      is_plot("tour/" .. name .. ".png")
    end
  end)

  it("1: schedules and the forward process", function()
    local out = lesson("01_schedules", { "2000", "400" })
    local walked, leapt = out:match "variance (%d%.%d+), in closed form (%d%.%d+)"
    assert.near(tonumber(leapt), tonumber(walked), 0.05)
    is_plot "schedules.png"
    is_picture "forward.png"
  end)

  it("2: the swiss roll", function()
    local out = lesson("02_swiss_roll", { "steps = 4000", "steps = 40", "step % 500", "step % 20",
      "shape = { 2000, 2 }", "shape = { 300, 2 }", "steps = 50", "steps = 10" })
    assert.truthy(out:find "step   40   loss %d")
    local linear = tonumber(out:match "loss of a linear denoiser: (%S+)")
    assert.is_true(linear > 0.3 and linear < 0.7) -- data of unit variance: the mean of alpha_bar
    is_plot "swiss_roll.png"
    is_plot "reverse_roll.png"
  end)

  it("4: a schedule of one's own", function()
    local out = lesson("04_own_schedule", { "20000", "500", "{ 5, 20, 80 }", "{ 3, 9 }" })
    assert.truthy(out:find "alpha_bar must fall with t")
    assert.truthy(out:find "cubic +9 steps   distance %d")
    is_plot "own_schedule.png"
  end)

  it("5: a layer and a loss of one's own", function()
    local out = lesson("05_own_layer_and_loss", { "steps = 1000", "steps = 10", "step % 200", "step % 5",
      "{ 40, 8, 8, 1 }", "{ 4, 8, 8, 1 }", "steps = 20", "steps = 3" })
    assert.truthy(out:find "by differences: right")
    assert.truthy(out:find "step   10   loss %d")
    is_picture "own_network.png"
  end)

  it("6: the posterior against Bayes", function()
    local out = lesson("06_posterior", { "20000", "100", "steps = 1000", "steps = 20" })
    local rows = 0
    for m, M, v, V in out:gmatch "\n *%d+ +%d+ +(%S+) +(%S+) +(%S+) +(%S+)" do
      assert.near(tonumber(m), tonumber(M), 1e-9)
      assert.near(1, tonumber(v) / tonumber(V), 1e-8)
      rows = rows + 1
    end
    assert.equal(4, rows)
  end)

  it("7: samplers compared", function()
    local out = lesson("07_samplers", { "steps = { 6, 12, 24, 48, 96 }", "steps = { 6, 12 }", "samples = 32",
      "samples = 4", "exact = 200", "exact = 60", "run(name, 1000", "run(name, 200", "moons:sample(1000",
      "moons:sample(200", "{ 6, 12, 24, 48 }", "{ 6, 12 }" })
    local euler, heun, multistep = out:match "euler .-error (%S+),.-heun .-error (%S+),.-unipc .-error (%S+),"
    assert(tonumber(multistep) < tonumber(heun) and tonumber(heun) < tonumber(euler), out)
    local _, count = out:gsub("\n%S+ +%-?%d%.%d%d%d%d +%-?%d%.%d%d%d%d%f[%s]", "")
    assert.equal(7, count, out)
    is_plot "samplers.png"
    is_plot "trajectories.png"
  end)

  it("8: features and the Frechet distance", function()
    small_fashion(folder)
    local out = lesson("08_features", { "epochs = 3", "steps = 4", "size = 128", "size = 20", "warmup = 50",
      "warmup = 1", "step % 200", "step % 2" }, "DIFFUSION_DATA=" .. child.quote(folder))
    assert.truthy(out:find "step +4 of 4   loss %d")
    assert.truthy(out:find "%d+%.%d%d %% of 40 test images are classified correctly")
    local _, rows = out:gsub("\n[%a%d., ]+ +%-?%d+%.%d%d%d +%-?%d+%.%d%d%d +%d+%.%d%d%d to %d+%.%d%d%d", "")
    assert.equal(8, rows, out)
    local saved = assert(d.load(folder .. "/fashion_features.safetensors"))
    assert.same({ 64, 64 }, saved["test.cov"]:shape())
    assert.equal("f16", saved["out.weight"]:dtype())
    is_picture "features.png"
  end)

  it("9: likelihood of toys and of digits", function()
    local out = lesson("09_likelihood", { "oracle:sample(400", "oracle:sample(10", "x:narrow(1, 1, 100)",
      "x:narrow(1, 1, 4)", "class:narrow(1, 1, 100)", "class:narrow(1, 1, 4)", "t = 100", "t = 8",
      "narrow(1, 1, 50)", "narrow(1, 1, 2)", "atol = 1e-3, rtol = 1e-3", "atol = 1e-2, rtol = 1e-2" })
    local count = 0
    for mean, deviation, entropy in out:gmatch "(%-?%d%.%d+) %+%- (%d%.%d+) nats +(%-?%d%.%d+)" do
      assert(math.abs(mean - entropy) < 5 * deviation + 0.05, out)
      count = count + 1
    end
    assert.equal(8, count, out)
    local small, large = out:match "fixed_small.-total +(%S+).-fixed_large.-total +(%S+)"
    assert(tonumber(small) < 8 and tonumber(large) < 8, out)
    is_plot "likelihood.png"
  end)

  it("10: editing", function()
    local out = lesson("10_editing", { "steps = 40", "steps = 12", "jump = 10", "jump = 3", "{ 0.3, 0.5, 0.7, 0.9 }",
      "{ 0.3, 0.9 }" })
    local _, kept = out:gsub("kept to the bit: true", "")
    assert.equal(2, kept, out)
    assert.truthy(out:find("repaint: 75 reverse steps, 12 of the grid and 63 after 21 jumps back of 3", 1, true), out)
    local less, more = out:match "from t = 300 .-in 15 steps.-changed by (%S+).-from t = 900 .-changed by (%S+)"
    assert(tonumber(less) < tonumber(more), out)
    local explicit, exact = out:match "comes back to x0 within (%S+).-residual.-comes back to x0 within (%S+)"
    assert(tonumber(exact) < tonumber(explicit) / 20, out)
    is_picture "editing.png"
  end)

  it("11: flow matching and reflow", function()
    local out = lesson("11_flow_matching", { "total = 1200", "total = 300", "steps = 1200", "steps = 300",
      "size = 256", "size = 128", "hidden = 128", "hidden = 32", "shape = { 10000, 2 }", "shape = { 2000, 2 }",
      "run(model, 1000", "run(model, 200", "moons(2000", "moons(200" })
    local number = " +(%-?%d%.%d+)"
    local pattern = number:rep(6)
    local one, two, four, eight, fifty, bent = out:match("\nflow" .. pattern)
    local again, _, _, _, _, straight = out:match("\nreflow" .. pattern)
    for k, pair in ipairs { { two, one }, { four, two }, { eight, four }, { fifty, eight } } do
      assert(tonumber(pair[1]) < tonumber(pair[2]), ("column %d\n%s"):format(k + 1, out))
    end
    assert(tonumber(again) < tonumber(one) / 10, out) -- in one step what took the first many
    assert(tonumber(straight) < tonumber(bent) / 10, out)
    is_plot "flow.png"
  end)

  it("12: a folder of diffusers, fine-tuned and saved back", function()
    local out = lesson("12_other_models", { "steps = 500", "steps = 20", "total = 500", "total = 60", "steps = 300",
      "steps = 6", "step % 100", "step % 3", "Scheduler\", steps = 20", "Scheduler\", steps = 4" })
    assert.truthy(out:find("unet       UNet2DModel, 163,985 parameters", 1, true), out)
    assert.truthy(out:find("the adapters train 24232 parameters; the model's own 163985 stay", 1, true), out)
    assert.truthy(out:find "step    6   loss %d", out)
    assert.truthy(out:find("without adapters the images are the same to the bit: true", 1, true), out)
    assert(tonumber(out:match "the saved model draws the same images, to (%S+)") < 1e-4, out)
    is_picture "adapted.png"
    local tensors = assert(d.load(folder .. "/lesson12/lora/pytorch_lora_weights.safetensors"))
    assert.same({ 4, 32 }, tensors["unet.mid_block.attentions.0.to_q.lora_A.weight"]:shape())
  end)

  it("13: a folder of Stable Diffusion's shape, made, sampled, edited and taught a style", function()
    local out = lesson("13_text_to_image", { "first, 800", "first, 4", "text }, 2000", "text }, 4", "i % 500", "i % 2",
      "= 20, 1,", "= 2, 1,", "steps = 300", "steps = 4", "step % 100", "step % 2", "i = 1, 200", "i = 1, 10" })
    assert.truthy(out:find("StableDiffusionPipeline of lesson13/model", 1, true), out)
    assert.truthy(out:find "step    4 of 4   loss %d.*step    4 of 4   loss %d.*step    4   loss %d", out)
    assert.truthy(out:find("without the style the pictures are the same to the bit: true", 1, true), out)
    is_picture "text_to_image.png"
    local pipe = assert(d.hub.load(folder .. "/lesson13/model"))
    assert.same({ "the</w>", "digit</w>", "three</w>" }, pipe.tokenizer:pieces "the digit three")
    assert.truthy(assert(d.load(folder .. "/lesson13/lora/pytorch_lora_weights.safetensors"))
      ["unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight"])
  end)

  it("13, of a folder of SDXL and of pictures with captions that the user has", function()
    require "spec.support.lora_text".pipe(folder, "xl", true)
    assert(os.execute("mkdir " .. child.quote(folder .. "/cats")))
    for k = 1, 2 do
      assert(d.image.save(("%s/cats/%d.png"):format(folder, k), d.rand({ 20, 24, 3 }, { seed = k })))
      child.write(("%s/cats/%d.txt"):format(folder, k), "a red cat")
    end
    local out = lesson("13_text_to_image", { "d.manual_seed(1)", 'd.manual_seed(1) arg[1], arg[2] = "xl", "cats"',
      "= 20, 1,", "= 2, 1,", "steps = 300", "steps = 4", "step % 100", "step % 2" })
    assert.truthy(out:find("StableDiffusionXLPipeline of xl", 1, true), out)
    assert.truthy(out:find "step    4   loss %d.*pictures are the same to the bit: true", out)
    is_picture "text_to_image.png"
  end)
end)

-- Six scripts as users write them, run as they stand but for the numbers of steps and of
-- samples. Their pictures are pictures, and they print what they promise.
local d = require "diffusion"
local child = dofile "spec/support/child.lua"
local small_fashion = dofile "spec/support/small_fashion.lua"

local folder
local function at(name) return folder .. "/" .. name end

setup(function()
  folder = child.folder()
  small_fashion(folder)
end)
teardown(function() child.remove(folder) end)

local function run(name, replaced)
  return child.shortened("spec/fixtures/scripts/" .. name, folder, replaced,
    "DIFFUSION_DATA=" .. child.quote(folder))
end

local function shows(out, ...)
  for _, pattern in ipairs { ... } do
    assert(out:find(pattern), ("%q isn't in\n%s"):format(pattern, out))
  end
end

local function is_picture(name)
  assert.equal("\137PNG", child.read(at(name)):sub(1, 4))
  assert(d.image.load(at(name)))
end

local function is_plot(name)
  if child.has "gnuplot" then is_picture(name) end
end

describe("the script", function()
  it("a: a swiss roll", function()
    local out = run("a_swiss_roll.lua", { "steps = 4000", "steps = 40", "step % 500", "step % 10",
      "{ 2000, 2 }", "{ 200, 2 }", "(1, 1, 2000)", "(1, 1, 200)" })
    shows(out, "^10\t%d+%.%d+\n20\t%d+%.%d+\n30\t.-\n40\t", "energy distance\t0%.%d+\n$")
    is_plot "swiss_roll.png"
  end)

  local fashion = { "6000", "12", "warmup = 200", "warmup = 3", "size = 64", "size = 8", "step % 500", "step % 5",
    "repeat_each(10)", "repeat_each(2)", "{ 100, 28, 28, 1 }", "{ 20, 28, 28, 1 }", "steps = 20", "steps = 3" }

  it("b: Fashion-MNIST, resumable", function()
    assert.equal("", run("b_fashion.lua", fashion))
    is_picture "samples.png"
    local model, process = assert(d.load_model(at "fashion-model.safetensors"))
    assert.same({ "v", 1000, 10 }, { process.predict, process.T, model:config().classes })
    -- run again it goes on from its last checkpoint, to the same files
    local files = {}
    for _, name in ipairs { "fashion.safetensors", "fashion-model.safetensors", "samples.png" } do
      files[name] = assert(child.read(at(name)))
    end
    assert.equal("resuming after step 10\n", run("b_fashion.lua", fashion))
    for name, bytes in pairs(files) do assert(bytes == child.read(at(name)), name .. " has other bytes") end
  end)

  it("c: schedules of one's own", function()
    local out = run("c_schedules.lua", { "10000", "500" })
    shows(out, "cubic", "alpha_bar_T %d", "prior KL %d.- bits/dim\nquadratic beta", "\nlinear\t0%.%d+\ncosine\t0%.%d+\n"
      .. "cubic\t0%.%d+\n$")
    is_plot "schedules.png"
  end)

  it("d: a network of one's own", function()
    local out = run("d_own_network.lua", { "steps = 2000", "steps = 12" })
    shows(out, "^net: %d+,%d%d%d parameters\n", "blocks", "two: norm_conv%(32 %-> 32, kernel 3, groups %d+%)")
  end)

  it("e: a sampler by hand", function()
    local out = run("e_by_hand.lua", {})
    shows(out, "dpmpp_2m", "\n1\t1000%.?0?\t950%.?0?\n", "alpha_bar", "sigma")
  end)

  it("f: the posterior against Bayes", function()
    local out = run("f_bayes.lua", {})
    shows(out, "t= 500 s= 499  mean", "t= 800 s= 300  mean", "c0 = ", "q%(x_s | x_t, x_0%)")
  end)
end)

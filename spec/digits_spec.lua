-- The small trained network that comes with the library draws digits of the class asked for.
local d = require "diffusion"

describe("d.load_model 'digits'", function()
  it("falls back to the asset where there is no such file", function()
    local model, process = assert(d.load_model "digits")
    assert.equal("unet", model:config().kind)
    assert.equal("v", process.predict)
    local nothing, message = d.load_model "digitz"
    assert.is_nil(nothing)
    assert.match("digitz", message)
    assert.is_nil((d.load_model "./digits"))
  end)

  it("prefers a file of that name", function()
    local dir = os.tmpname()
    os.remove(dir)
    local mine = d.mlp { hidden = 8, depth = 1 }
    assert(mine:save(dir .. ".safetensors"))
    assert.equal("mlp", d.load_model(dir .. ".safetensors"):config().kind)
    os.remove(dir .. ".safetensors")
  end)

  it("draws what it is asked for, as the nearest of the real digits say", function()
    local model, process = d.load_model "digits"
    local want = d.arange(1, 10):repeat_each(4)
    local x = d.sample { model = model, process = process, shape = { 40, 8, 8, 1 },
                         sampler = "dpmpp_2m", steps = 12, class = want, guidance = 2, seed = 3 }
    local real = d.data.digits()
    local known = d.image.to_float(real.x):reshape(real.n, 64)
    local gap = (known * known):sum(2):unsqueeze(1) - 2 * x:reshape(40, 64):matmul(known:t())
    local _, place = gap:min(2)
    local right = real.class:index(1, place):eq(want):to(x:dtype()):sum():item()
    assert(right >= 36, right .. " of 40 look like the digit asked for")
  end)

  it("raises for what is no name", function()
    assert.has_error(function() d.load_model(1 / 0) end)
    assert.has_error(function() d.load_model() end,
      "bad argument #1 to 'load_model' (a path expected, got nil)")
  end)
end)

-- The pipeline of emoji that comes with the library: its size, its picture of a seed, its time.
local core = require "diffusion.core"
local d = require "diffusion"
local exactly = require "spec.support.exactly"

local ASSETS = "lua/diffusion/assets"

-- The bytes of the files below a folder.
local function bytes_below(path)
  local sum = 0
  for _, name in ipairs(assert(core.list(path))) do
    local sub = name:match "^(.*)/$"
    if sub then
      sum = sum + bytes_below(path .. "/" .. sub)
    else
      local file <close> = assert(io.open(path .. "/" .. name, "rb"))
      sum = sum + file:seek "end"
    end
  end
  return sum
end

-- Means of 16 x 16 pixels of the picture of "red apple" and seed 1.
local APPLE = {
  1.000, 0.999, 0.999, 0.705, 0.680, 0.604, 0.212, 0.401, -0.044, 0.913, 0.911, 0.862, 0.996,
  0.606, 0.487, 0.804, -0.384, -0.676, 0.785, -0.430, -0.763, 0.928, 0.144, 0.103, 0.996, 0.183,
  -0.021, 0.980, -0.408, -0.782, 0.997, -0.338, -0.770, 0.906, 0.046, -0.014, 0.996, 0.805, 0.754,
  0.973, -0.037, -0.252, 0.865, -0.135, -0.186, 0.963, 0.789, 0.799
}

describe("the pipeline of emoji", function()
  local pipe = assert(d.load_pipeline "emoji")

  it("takes 7 MB, and all assets 10 MB", function()
    assert.is_true(bytes_below(ASSETS .. "/emoji") <= 7e6)
    assert.is_true(bytes_below(ASSETS) < 10e6)
  end)

  it("has no other licence than its font", function()
    local file <close> = assert(io.open(ASSETS .. "/emoji/OFL.txt"))
    assert.truthy(file:read "a":find("SIL OPEN FONT LICENSE Version 1.1", 1, true))
  end)

  it("draws the picture of a seed on every machine, but for rounding", exactly(function()
    local x = pipe:text2image { prompt = "red apple", seed = 1 }
    assert.same({ 1, 64, 64, 3 }, x:shape())
    assert.is_true((x:avg_pool(16):flatten() - d.tensor(APPLE)):abs():max():item() < 0.002)
  end))

  it("draws it at each precision, as exactly as that is", exactly(function()
    local function apple(precision)
      d.precision(precision)
      return pipe:text2image { prompt = "red apple", seed = 1 }
    end
    local exact = apple "highest"
    for precision, bound in pairs { high = 2e-3, medium = 0.15 } do
      local off = (apple(precision) - exact):abs():max():item()
      assert.is_true(off < bound, precision .. " is off by " .. off)
    end
  end))

  it("draws red apples red, and knows where it is in a batch", function()
    local x = pipe:text2image { prompt = { "flag: Japan", "red apple" }, seed = 1, steps = 10 }
    local middle = x:narrow(2, 24, 16):narrow(3, 24, 16):mean({ 2, 3 })
    assert.is_true(middle[{ 1, 1 }] > middle[{ 1, 2 }])
    assert.is_true(x:narrow(1, 1, 1):equal(pipe:text2image { prompt = "flag: Japan", seed = 1, steps = 10 }))
  end)
end)

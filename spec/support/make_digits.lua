-- Makes lua/diffusion/assets/digits.safetensors, the small trained network that
-- d.load_model "digits" loads: a class-conditional UNet for the library's own 8x8 digits.
-- Run it by hand at the top of the tree; it takes about four minutes on two cores:
--   make && LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='build/?.so;;' \
--     lua5.4 spec/support/make_digits.lua [steps] [file.png]
-- It draws ten samples of each class into the file. Look at it before you commit.
local d = require "diffusion"

local steps = tonumber(arg[1] or 5000)

d.manual_seed(1)
local digits = d.data.digits()
local process = d.process { schedule = d.schedule.cosine { T = 1000 }, predict = "v", clip = 1 }
local model = d.unet { image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, blocks = 1,
                       attention = { 2 }, classes = digits.classes, dropout = 0.1 }
local ema = d.ema(model, { decay = 0.999 })
local opt = d.adamw(model, {
  lr = d.lr.warmup_cosine { peak = 2e-3, warmup = 100, total = steps }, clip = 1, ema = ema,
})
local trainer = d.trainer {
  model = model, opt = opt, ema = ema, batches = digits:batches { size = 64, steps = steps, seed = 1 },
  objective = d.objective { process = process, weighting = "min_snr", drop_class = 0.1 },
}
print(model:count(), assert(trainer:run()))

-- Half precision. Loading widens it again, and samples change by less than a grey level.
local halves = { state = function()
  local out = {}
  for name, x in pairs(ema:state()) do out[name] = x:to "f16" end
  return out
end }
local path = "lua/diffusion/assets/digits.safetensors"
assert(model:save(path, { weights = halves, process = process }))

local loaded, with = assert(d.load_model(path))
local x = d.sample { model = loaded, process = with, shape = { 100, 8, 8, 1 }, sampler = "dpmpp_2m",
                     steps = 20, class = d.arange(1, 10):repeat_each(10), guidance = 2, seed = 1 }
assert(d.image.save(arg[2] or "digits.png", d.image.grid(x, { columns = 10 })))

-- The parts of spec/bench/start.lua for our side: start_ours.lua require|sample|prepare
-- FILE.
local d = require "diffusion"

local what, file = arg[1], arg[2] .. ".safetensors"

if what == "prepare" then
  local model = d.unet { image = { 32, 32, 3 }, channels = 128, mult = { 1, 2, 2, 2 }, blocks = 2, attention = { 2 } }
  local process = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "eps", clip = 1 }
  assert(model:save(file, { process = process }))
elseif what == "sample" then
  local model, process = assert(d.load_model(file))
  d.sample { model = model, process = process, shape = { 1, 32, 32, 3 }, sampler = "ddim", steps = 10, seed = 1 }
end

for line in io.lines "/proc/self/status" do
  local kib = line:match "^VmRSS:%s*(%d+)"
  if kib then print(kib * 1024) end
end

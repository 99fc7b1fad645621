-- Profiles three steps of a workload, op by op: by default a training step of the 35.7 M UNet.
-- lua5.4 spec/bench/profile.lua [highest|high|medium] [cifar.train]
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local d = require "diffusion"
local words = require "words"

local precision, name = arg[1] or "high", arg[2] or "cifar.train"
d.precision(precision)
for _, w in ipairs(require "workloads") do
  if w.name == name .. "." .. precision then
    local told = words.parse(words.format(w))
    told.image, told.batch = w.image, w.batch
    local task = require("ours." .. w.task)(told)
    task.step()
    d.profile(function() for _ = 1, 3 do task.step() end end)
  end
end

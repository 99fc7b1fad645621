-- Profiles three training steps of the 35.7 M UNet, op by op.
-- lua5.4 spec/bench/profile.lua [highest|high|medium]
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local d = require "diffusion"
local words = require "words"

d.precision(arg[1] or "high")
for _, w in ipairs(require "workloads") do
  if w.name == "cifar.train.high" then
    local told = words.parse(words.format(w))
    told.image, told.batch = w.image, w.batch
    local task = require("ours.train")(told)
    task.step()
    d.profile(function() for _ = 1, 3 do task.step() end end)
  end
end

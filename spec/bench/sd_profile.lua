-- Profiles the networks of Stable Diffusion 1.5, op by op: a step with guidance, decoding, and two texts.
-- `ONLY=sd_profile make bench` runs it, or by hand, with a precision:
--   lua5.4 spec/bench/sd_profile.lua [highest|high|medium]
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local d = require "diffusion"
local sd_folder = require "sd_folder"

d.precision(arg[1] or "high")
for _, part in ipairs { "unet", "decode", "text" } do
  local task = require("ours.sd") { part = part, folder = sd_folder.path() }
  task.step() -- packs the weights
  print(("%s, %s, %d threads, %s"):format(part, d.precision(), d.threads(), require "diffusion.core".isa()))
  d.profile(task.step)
end
sd_folder.remove()

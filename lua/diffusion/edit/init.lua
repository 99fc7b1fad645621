--- d.edit: pictures changed by a model that was trained to draw them. Each takes one table of
--- options, and has a plan of its steps, which prints.
local img2img = require "diffusion.edit.img2img"
local repaint = require "diffusion.edit.repaint"
local interpolate = require "diffusion.edit.interpolate"

return {
  plan = img2img.plan, img2img = img2img.img2img, repaint = repaint.repaint,
  repaint_plan = repaint.plan, slerp = interpolate.slerp, interpolate = interpolate.interpolate,
  invert = require("diffusion.edit.inversion").invert,
}

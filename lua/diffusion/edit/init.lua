--- d.edit: pictures edited by an unmodified diffusion model. Each function takes one table of options,
--- and returns a plan of its steps, which can be printed.
local img2img = require "diffusion.edit.img2img"
local repaint = require "diffusion.edit.repaint"
local interpolate = require "diffusion.edit.interpolate"

return {
  plan = img2img.plan, img2img = img2img.img2img, repaint = repaint.repaint,
  repaint_plan = repaint.plan, slerp = interpolate.slerp, interpolate = interpolate.interpolate,
  invert = require("diffusion.edit.inversion").invert,
}

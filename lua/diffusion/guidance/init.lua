--- Guidance: functions from denoisers to a denoiser. They can be nested.
return {
  cfg = require("diffusion.guidance.cfg").cfg,
  cfg_pp = require "diffusion.guidance.cfg_pp",
  auto = require "diffusion.guidance.auto",
  classifier = require "diffusion.guidance.classifier",
  gradient = require "diffusion.guidance.gradient",
}

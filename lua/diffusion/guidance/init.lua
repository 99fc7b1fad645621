--- Guidance: functions from denoisers to a denoiser.
return { cfg = require "diffusion.guidance.cfg" }

--- Samplers compared with theory: d.check.order and d.check.moments.
return { order = require "diffusion.check.order", moments = require "diffusion.check.moments" }

-- Distributions whose best denoiser E[x0 | xt] is known exactly. They replace a trained network, so
-- that a sampler's result, a loss or a likelihood can be compared with the truth. Each draws samples,
-- gives ln p of the data with and without noise, its entropy, and the denoiser of a process.
local oracle = { empirical = require("diffusion.oracle.points").empirical }

local function add(family)
  for name, new in pairs(family) do oracle[name] = new end
end

add(require "diffusion.oracle.mixture")
add(require "diffusion.oracle.ring")
add(require "diffusion.oracle.boxes")
add(require "diffusion.oracle.curve")
add(require "diffusion.oracle.product")

return oracle

-- Eight Gaussians on a circle, the simplest data with several modes.
local opts = require "diffusion.opts"
local mixture = require "diffusion.oracle.mixture"

local ring = {}

--- The distribution of d.data.toy.eight_gaussians, or of another size. Grathwohl et al. 2019 (FFJORD)
--- have radius = 4/1.414, std = 0.5/1.414.
---@param options table? {noise = 0.07, of 1 in all; std = noise; radius = sqrt(2 (1 - noise^2))}
---@return diffusion.oracle
---@usage print(d.oracle.eight_gaussians{ radius = 2, std = 0.1 }:entropy()) -- 0.31215
function ring.eight_gaussians(options)
  local o = opts.check("eight_gaussians", options, { noise = { "number", default = 0.07, above = 0, below = 1 },
    std = { "number", above = 0 }, radius = { "number", above = 0 } })
  local radius, means = o.radius or math.sqrt(2 * (1 - o.noise ^ 2)), {}
  for k = 0, 7 do
    local angle = k * math.pi / 4
    means[k + 1] = { radius * math.cos(angle), radius * math.sin(angle) }
  end
  return mixture.mixture { means = means, std = o.std or o.noise }
end

return ring

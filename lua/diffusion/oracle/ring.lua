-- Eight Gaussians on a circle, the simplest data with several modes.
local curves = require "diffusion.data.curves"
local opts = require "diffusion.opts"
local mixture = require "diffusion.oracle.mixture"

local ring = {}

local rules = opts.declare("oracle_eight_gaussians", {
  noise = opts.joined(curves.noise.eight_gaussians, { above = 0 }),
  std = { "number", above = 0, default_text = "noise", text = "standard deviation of each Gaussian" },
  radius = { "number", above = 0, default_text = "sqrt(2 (1 - noise^2))", text = "distance of the means from 0" },
})

--- The distribution of d.data.toy.eight_gaussians, or of another size. Grathwohl et al. 2019 (FFJORD)
--- have radius = 4/1.414, std = 0.5/1.414.
---@param options diffusion.oracle_eight_gaussians_options?
---@return diffusion.oracle
---@usage print(d.oracle.eight_gaussians{ radius = 2, std = 0.1 }:entropy()) -- 0.31215
function ring.eight_gaussians(options)
  local o = opts.check("eight_gaussians", options, rules)
  local radius, means = o.radius or math.sqrt(2 * (1 - o.noise ^ 2)), {}
  for k = 0, 7 do
    local angle = k * math.pi / 4
    means[k + 1] = { radius * math.cos(angle), radius * math.sin(angle) }
  end
  return mixture.mixture { means = means, std = o.std or o.noise }
end

return ring

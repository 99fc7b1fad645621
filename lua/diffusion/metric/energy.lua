-- The energy distance, from mean distances of pairs. It needs no features and no training, and it
-- detects every difference between distributions.
local contrast = require "diffusion.metric.contrast"
local pairs_of = require "diffusion.metric.pairs"
local opts = require "diffusion.opts"

local rules = opts.declare("metric_energy", contrast.rules)

--- The energy distance (Szekely & Rizzo 2013, eq. 2.2): 2 E|X-Y| - E|X-X'| - E|Y-Y'|. It is zero only
--- for equal distributions. Pairs of a sample with itself are omitted, so the estimate is unbiased
--- and may be slightly negative.
---@param x diffusion.tensor samples {n, ...}, n >= 2
---@param y diffusion.tensor samples {m, ...}, m >= 2
---@param options diffusion.metric_energy_options?
---@return number
---@return diffusion.interval|nil about with p, the share of permutations that differ as much
---@usage print(d.metric.energy(d.randn(500, 2), d.randn(500, 2), { interval = true }))
return function(x, y, options)
  local o = opts.check("energy", options, rules, 3)
  x, y = pairs_of.rows("energy", 2, x, y)
  return contrast.of(x, y, { "distance" }, o)
end

-- Images for a density: levels are made continuous by adding a uniform number to each. Also returns
-- the constant that this adds to bits per dimension (Theis et al. 2016).
local fail = require "diffusion.fail"
local given = require "diffusion.likelihood.given"
local opts = require "diffusion.opts"

local where = "likelihood.ode"

local rules = opts.declare("likelihood_dequantise", {
  levels = { "integer", default = 256, min = 2, text = "number of levels" },
  span = { one_of = { "centres", "edges" }, default = "centres",
    text = "[-1, 1] spans the centres of the levels, or their edges" },
})

-- The level k = 0..levels-1 of each number. Raises if a number lies between two levels.
local function levels_of(x0, levels)
  given.within(where, x0, "dequantise is for images")
  local k = (x0 + 1) * ((levels - 1) / 2)
  local whole = k:round()
  local off = (k - whole):abs():max():item()
  if off > 0.02 then
    fail.raise("%s: dequantise makes %d levels continuous, but x0 holds numbers between them, off by %.2g of a level",
      where, levels, off)
  end
  return whole
end

--- x0 with a uniform u in [0, 1) added to each number. y = 2 (k + u - 1/2)/(levels - 1) - 1 has the
--- levels' centres from -1 to 1, as images here. y = 2 (k + u)/levels - 1 has their edges there.
---@param x0 diffusion.tensor
---@param wanted boolean|table|nil
---@param seed integer
---@return diffusion.tensor y
---@return number constant to add to -log2 of y's density per dimension
return function(x0, wanted, seed)
  if not wanted then return x0, 0 end
  local o = opts.check("dequantise", wanted ~= true and wanted or nil, rules)
  local centres = o.span == "centres"
  local n = centres and o.levels - 1 or o.levels
  local y = levels_of(x0, o.levels) + given.uniform(seed, 0, x0:shape())
  return (y - (centres and 0.5 or 0)) * (2 / n) - 1, math.log(n / 2, 2)
end

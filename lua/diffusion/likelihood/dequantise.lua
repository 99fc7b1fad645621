-- Images as a density knows them: levels made continuous by a uniform number for each, and the
-- constant that this leaves in bits per dimension (Theis et al. 2016).
local fail = require "diffusion.fail"
local given = require "diffusion.likelihood.given"
local opts = require "diffusion.opts"

local where = "likelihood.ode"

local rules = opts.declare("likelihood_dequantise", {
  levels = { "integer", default = 256, min = 2, text = "number of levels" },
  span = { one_of = { "centres", "edges" }, default = "centres",
    text = "[-1, 1] spans the centres of the levels, or their edges" },
})

-- The level k = 0..levels-1 of each number, or a sentence where it lies between two.
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

--- x0 with u in [0, 1) a number: y = 2 (k + u - 1/2)/(levels - 1) - 1, whose levels' centres go from -1 to 1
--- as images here do, or y = 2 (k + u)/levels - 1, whose levels' edges do.
---@param x0 diffusion.tensor
---@param asked boolean|table|nil
---@param seed integer
---@return diffusion.tensor y
---@return number constant to be added to -log2 of y's density per dimension
return function(x0, asked, seed)
  if not asked then return x0, 0 end
  local o = opts.check("dequantise", asked ~= true and asked or nil, rules)
  local centres = o.span == "centres"
  local n = centres and o.levels - 1 or o.levels
  local y = levels_of(x0, o.levels) + given.uniform(seed, 0, x0:shape())
  return (y - (centres and 0.5 or 0)) * (2 / n) - 1, math.log(n / 2, 2)
end

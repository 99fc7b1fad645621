-- Toy sets: points in the plane with mean 0 and a variance of 1 over both coordinates, by
-- their formulas, not by what was drawn. Point i is a function of (seed, i): fewer points
-- are the first of more.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local set = require "diffusion.data.set"

local toy = {}

-- curve(u) gives x, y, each {n}, of mean 0, scaled so that their variances sum to 2, and
-- the classes; noise takes its share of the variance.
local function points(name, n, options, noise, classes, curve)
  n = math.tointeger(n)
  if not n or n < 0 then opts.fail("bad argument #1 to '%s' (a number of points expected)", name) end
  local o = opts.check(name, options,
    { seed = { "integer" }, noise = { "number", default = noise, min = 0, below = 1 } }, 2)
  local seed = o.seed or core.data_seed()
  local u = core.data_uniform(n, 3, seed)
  local x, y, class = curve(u:select(2, 1), u:select(2, 2), u:select(2, 3))
  local xy = core.ops.stack({ x, y }, 2) * math.sqrt(1 - o.noise ^ 2)
  if o.noise > 0 then xy = xy + core.data_normal(n, 2, seed) * o.noise end
  return set.new { x = xy, class = class, classes = classes, name = name }
end

-- 1..n by the third number of a point.
local function pick(u, n)
  return (u * n):floor() + 1
end

--- A roll: r = angle, from 1.5 pi to 4.5 pi.
---@param n integer points
---@param options table|nil seed; noise = 0.04, a standard deviation, of 1 in all
---@return diffusion.set x [n,2]
function toy.swiss_roll(n, options)
  local pi = math.pi
  local mx, my = 2, 2 / (3 * pi) -- of r cos r and r sin r over those angles
  local square = ((4.5 * pi) ^ 3 - (1.5 * pi) ^ 3) / (9 * pi)
  local scale = math.sqrt(2 / (square - mx ^ 2 - my ^ 2))
  return points("swiss_roll", n, options, 0.04, nil, function(u)
    local r = (u * 2 + 1) * (1.5 * pi)
    return (r * r:cos() - mx) * scale, (r * r:sin() - my) * scale
  end)
end

--- Two half moons, each a class.
---@param n integer points
---@param options table|nil seed; noise = 0.08, a standard deviation, of 1 in all
---@return diffusion.set x [n,2], classes 1 and 2
function toy.moons(n, options)
  local scale = math.sqrt(2 / (0.75 + 0.5625 - 1 / math.pi)) -- variances of x and of y
  return points("moons", n, options, 0.08, 2, function(u, _, v)
    local class = pick(v, 2)
    local side, angle = class * -2 + 3, u * math.pi -- side 1 above, -1 below
    local x, y = side * angle:cos() + (class - 1), side * angle:sin() + (class - 1) * 0.5
    return (x - 0.5) * scale, (y - 0.25) * scale, class
  end)
end

--- Eight normal distributions around a circle, each a class.
---@param n integer points
---@param options table|nil seed; noise = 0.07, their standard deviation, of 1 in all
---@return diffusion.set x [n,2], classes 1 to 8
function toy.eight_gaussians(n, options)
  return points("eight_gaussians", n, options, 0.07, 8, function(_, _, v)
    local class = pick(v, 8)
    local angle = (class - 1) * (math.pi / 4)
    return angle:cos() * math.sqrt(2), angle:sin() * math.sqrt(2), class
  end)
end

--- The black squares of a board of 4 x 4, even on each.
---@param n integer points
---@param options table|nil seed; noise = 0, a standard deviation, of 1 in all
---@return diffusion.set x [n,2]
function toy.checkerboard(n, options)
  local scale = math.sqrt(12) / 4
  return points("checkerboard", n, options, 0, nil, function(u, v, w)
    local x = u * 4 - 2
    local column = x:floor()
    local odd = column - (column / 2):floor() * 2
    return x * scale, (v + pick(w, 2) * 2 - 4 + odd) * scale
  end)
end

--- Two arms around each other, each a class: r = angle, to 3 pi, even in r^2.
---@param n integer points
---@param options table|nil seed; noise = 0.03, a standard deviation, of 1 in all
---@return diffusion.set x [n,2], classes 1 and 2
function toy.spiral(n, options)
  local scale = 2 / (3 * math.pi)
  return points("spiral", n, options, 0.03, 2, function(u, _, v)
    local class, r = pick(v, 2), u:sqrt() * (3 * math.pi)
    local arm = (class * -2 + 3) * r * scale
    return arm * r:cos(), arm * r:sin(), class
  end)
end

return toy

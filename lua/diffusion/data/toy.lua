-- Toy sets: points in the plane with mean 0 and a variance of 1 over both coordinates. These hold for
-- the distribution, not for the sample. Point i depends on (seed, i) alone, so fewer points are the
-- first of more.
local core = require "diffusion.core"
local curves = require "diffusion.data.curves"
local set = require "diffusion.data.set"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"

local toy = {}

local rules = {}
for name, noise in pairs(curves.noise) do
  rules[name] = opts.declare("data_toy_" .. name, { seed = rule.seed, noise = noise })
end

-- curve(u) returns x, y, each {n}, with mean 0 and variances that sum to 2, and the classes. noise
-- takes its share of the variance.
local function points(name, n, options, classes, curve)
  local count = math.tointeger(n)
  if not count or count < 0 or count >= 2 ^ 31 - 1 then
    fail.raise("bad argument #1 to '%s' (a number of points expected, got %s)", name, kind.shown(n))
  end
  local o = opts.check(name, options, rules[name], 2)
  local seed = o.seed or core.data_seed()
  local u = core.data_uniform(count, 3, seed)
  local x, y, class = curve(u:select(2, 1), u:select(2, 2), u:select(2, 3))
  local xy = core.ops.stack({ x, y }, 2) * math.sqrt(1 - o.noise ^ 2)
  if o.noise > 0 then xy = xy + core.data_normal(count, 2, seed) * o.noise end
  return set.new { x = xy, class = class, classes = classes, name = name }
end

-- An index in 1..n from the third random number of a point.
local function pick(u, n)
  return (u * n):floor() + 1
end

local function along(name, n, options)
  local c = curves[name]
  return points(name, n, options, c.classes, function(u, _, v)
    local class = c.classes and pick(v, c.classes)
    local x, y = c.at(u, class)
    return x, y, class
  end)
end

--- A spiral whose radius equals its angle, from 1.5 pi to 4.5 pi.
---@param n integer points
---@param options diffusion.data_toy_swiss_roll_options?
---@return diffusion.set x [n,2]
function toy.swiss_roll(n, options) return along("swiss_roll", n, options) end

--- Two half moons, each a class.
---@param n integer points
---@param options diffusion.data_toy_moons_options?
---@return diffusion.set x [n,2], classes 1 and 2
function toy.moons(n, options) return along("moons", n, options) end

--- Eight normal distributions around a circle, each a class.
---@param n integer points
---@param options diffusion.data_toy_eight_gaussians_options?
---@return diffusion.set x [n,2], classes 1 to 8
function toy.eight_gaussians(n, options)
  return points("eight_gaussians", n, options, 8, function(_, _, v)
    local class = pick(v, 8)
    local angle = (class - 1) * (math.pi / 4)
    return angle:cos() * math.sqrt(2), angle:sin() * math.sqrt(2), class
  end)
end

--- The black squares of a 4 x 4 board, with uniform density.
---@param n integer points
---@param options diffusion.data_toy_checkerboard_options?
---@return diffusion.set x [n,2]
function toy.checkerboard(n, options)
  local scale = math.sqrt(12) / 4
  return points("checkerboard", n, options, nil, function(u, v, w)
    local x = u * 4 - 2
    local column = x:floor()
    local odd = column - (column / 2):floor() * 2
    return x * scale, (v + pick(w, 2) * 2 - 4 + odd) * scale
  end)
end

--- Two interleaved spirals, each a class. The radius equals the angle, up to 3 pi, and is uniform
--- in r^2.
---@param n integer points
---@param options diffusion.data_toy_spiral_options?
---@return diffusion.set x [n,2], classes 1 and 2
function toy.spiral(n, options) return along("spiral", n, options) end

return toy

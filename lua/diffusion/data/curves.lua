-- The curves of toy sets. Each has mean 0, and the variances of both coordinates sum to 2 before noise:
--   at(u, class)   x, y, each {n}, for uniform u in (0, 1), and for the class if there are classes
--   classes        number of classes, or nil
--   power          1, or p if the curve is smooth in u^(1/p) rather than in u
local curves = {}

local function noise(default)
  return { "number", default = default, min = 0, below = 1, text = "standard deviation of the noise; the set's is 1" }
end

--- The option `noise` of each toy set.
curves.noise = { swiss_roll = noise(0.04), moons = noise(0.08), eight_gaussians = noise(0.07), checkerboard = noise(0),
                 spiral = noise(0.03) }

local pi = math.pi
local roll = { x = 2, y = 2 / (3 * pi) } -- means of r cos r and r sin r over the roll's angles
roll.square = ((4.5 * pi) ^ 3 - (1.5 * pi) ^ 3) / (9 * pi)
roll.scale = math.sqrt(2 / (roll.square - roll.x ^ 2 - roll.y ^ 2))

curves.swiss_roll = { power = 1, at = function(u)
  local r = (u * 2 + 1) * (1.5 * pi)
  return (r * r:cos() - roll.x) * roll.scale, (r * r:sin() - roll.y) * roll.scale
end }

local moon = math.sqrt(2 / (0.75 + 0.5625 - 1 / pi)) -- variances of x and of y

curves.moons = { power = 1, classes = 2, at = function(u, class)
  local side, angle = class * -2 + 3, u * pi -- side 1 above, -1 below
  local x, y = side * angle:cos() + (class - 1), side * angle:sin() + (class - 1) * 0.5
  return (x - 0.5) * moon, (y - 0.25) * moon
end }

curves.spiral = { power = 2, classes = 2, at = function(u, class)
  local r = u:sqrt() * (3 * pi)
  local arm = (class * -2 + 3) * r * (2 / (3 * pi))
  return arm * r:cos(), arm * r:sin()
end }

return curves

--- Steps of the probability-flow ODE by the Runge-Kutta pair of orders 5 and 4 of Dormand & Prince
--- 1980, shared by the sampler rk45 and d.likelihood.ode.
-- In the angle phi = atan(s/a), z = x/r with r^2 = a^2 + s^2 moves by
--   dz/dphi = cos(phi) eps - sin(phi) x0
-- (v of Salimans & Ho 2022, appendix D, if r = 1). It is regular at both ends, where sigma is 0 or
-- infinite.
local adaptive = require "diffusion.sampler.adaptive"

local each = adaptive.each

-- The nodes, and the rows of the matrix. The last row has the weights of order 5. Weights of order 4
-- follow.
local nodes = { 0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1 }
local rows = {
  {}, { 1 / 5 }, { 3 / 40, 9 / 40 }, { 44 / 45, -56 / 15, 32 / 9 },
  { 19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729 },
  { 9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656 },
  { 35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84 },
}
local fourth = { 5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40 }

local pair = {}

--- The angle of a level.
function pair.angle(l) return math.atan(l.s, l.a) end
local angle = pair.angle

-- The level at an angle, between the two levels of the pair. At their own angles it is exact.
local function reader(process, level, t, s)
  return function(phi)
    if phi >= angle(t) then return t end
    if phi <= angle(s) then return s end
    return level(process.schedule:level_of_sigma(math.tan(phi)))
  end
end

-- z + sum of h w_i k_i, each sample with its own h.
local function sum(mix, z, h, w, k)
  local terms = { 1, z }
  for i, weight in ipairs(w) do
    if weight ~= 0 then
      terms[#terms + 1] = each(#h, function(b) return h[b] * weight end)
      terms[#terms + 1] = k[i]
    end
  end
  return mix(table.unpack(terms))
end

--- A step for adaptive.walk between the levels t and s. It returns z by both orders, and the slope
--- at its end, which the next step reuses at its start.
---@param process diffusion.process
---@param level function as adaptive.circle gives it
---@param t table the later level
---@param s table the earlier
---@param slope fun(z: diffusion.tensor, at: table[]): diffusion.tensor dz/dphi at a level for each sample
---@param mix function
---@return function
function pair.stepper(process, level, t, s, slope, mix)
  local at = reader(process, level, t, s)
  return function(z, phi, h, first)
    local k = { first }
    for i = first and 2 or 1, 7 do
      local l = each(#phi, function(b) return at(phi[b] + nodes[i] * h[b]) end)
      k[i] = slope(sum(mix, z, h, rows[i], k), l)
    end
    return sum(mix, z, h, fourth, k), sum(mix, z, h, rows[7], k), k[7]
  end
end

return pair

-- A distribution with noise added: x0 = b + std e, with b from another oracle. At a noise level it is
-- b at a higher level, since a x0 + s eps = a b + r e' with r^2 = a^2 std^2 + s^2.
local core = require "diffusion.core"
local base = require "diffusion.oracle.base"
local quadrature = require "diffusion.oracle.quadrature"

local family, blurred = {}, nil

local function level(o, a, s) return (a ^ 2 * o.std ^ 2 + s ^ 2) ^ 0.5 end

-- The noise in x0 is a fixed share of all noise, a std^2 / r^2, and so is its posterior mean.
function family.mean(o, x, a, s)
  local r = level(o, a, s)
  local b = o.of:posterior_mean(x, a, r)
  return b + (x - a * b) * (a * o.std ^ 2 * r ^ -2)
end

function family.marginal(o, x, a, s) return o.of:log_prob(x, { a = a, s = level(o, a, s) }) end

-- b is drawn from uniform numbers, so the normal ones may use the same seed.
function family.draw(o, n, options)
  local b = o.of:sample(n, options)
  return b + core.randn({ n, o.D }, options) * o.std
end

function family.bounds(o)
  local of = base.own(o.of)
  local low, high, width = of.family.bounds(of)
  for i = 1, o.D do low[i], high[i] = low[i] - 9 * o.std, high[i] + 9 * o.std end
  return low, high, (width ^ 2 + o.std ^ 2) ^ 0.5
end

-- Points farther than 9 std from a box are negligible in it.
function family.near(o, low, high)
  local of, a, b = base.own(o.of), {}, {}
  local near = of.family.near
  if not near then return o.oracle end
  for i = 1, o.D do a[i], b[i] = low[i] - 9 * o.std, high[i] + 9 * o.std end
  local part = near(of, a, b)
  return part and blurred(part, o.std)
end

family.entropy = quadrature.entropy

function family.text(o) return ("%s, blurred by %g"):format(tostring(o.of), o.std) end

--- An oracle blurred by N(0, std^2).
---@param of diffusion.oracle
---@param std number above 0
---@return diffusion.oracle
function blurred(of, std)
  return base.new(family, { of = of, std = std, D = of.D, work = of.D })
end

return blurred

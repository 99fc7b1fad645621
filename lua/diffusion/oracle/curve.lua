-- Points along a curve, with noise added. The integral over the curve is a sum over 16 Gauss-Legendre
-- nodes on each piece, which is at most 6 standard deviations long. The relative error of a density is
-- 1e-10 within four of them of the curve, and 1e-7 within eight. So the oracle is one of weighted
-- points, blurred.
local core = require "diffusion.core"
local curves = require "diffusion.data.curves"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local blurred = require "diffusion.oracle.blurred"
local points = require "diffusion.oracle.points"
local quadrature = require "diffusion.oracle.quadrature"

local order, longest = 16, 6
local fine = 4096 -- chords that measure the length of a curve
local most = 2 ^ 20 -- nodes

local function answered(fn, u)
  local y = fn(u)
  if not core.is_tensor(y) or y:dim() ~= 2 or y:size(1) ~= u:numel() then
    fail.raise("curve: points(u) must be a tensor {n,D} for u [%d], got %s", u:numel(), kind.shown(y))
  end
  return y
end

-- The number of pieces for a curve of this length.
local function count_of(length, std)
  if not (length > 0 and length < math.huge) then
    fail.raise("curve: the points must be finite and differ along u, but the length is %g", length)
  end
  local n = math.max(8, math.ceil(length / (longest * std)))
  if n * order > most then
    fail.raise("curve: a length of %g with std = %g needs %d nodes, more than %d", length, std, n * order, most)
  end
  return n
end

-- The places that cut (0, 1) into pieces of equal length of the curve at w^power. There are at least
-- 8, and none is longer than `longest` times std.
local function cuts(fn, power, std)
  local at = answered(fn, core.linspace(0, 1, fine + 1) ^ power)
  local chords = (at:narrow(1, 2, fine) - at:narrow(1, 1, fine)):square():sum(2):sqrt()
  local length = chords:cumsum(1):totable()
  local n = count_of(length[fine], std)
  local out, i = { [0] = 0, [n] = 1 }, 1
  for k = 1, n - 1 do
    local wanted = length[fine] * k / n
    while length[i] < wanted do i = i + 1 end
    local before = length[i - 1] or 0
    out[k] = (i - 1 + (wanted - before) / (length[i] - before)) / fine
  end
  return out, n
end

-- Nodes u in (0, 1) and their weights, of sum 1.
local function nodes_of(fn, power, std)
  local x, w = quadrature.gauss(order)
  local at, n = cuts(fn, power, std)
  local u, weights = {}, {}
  for k = 1, n do
    local middle, half = (at[k] + at[k - 1]) / 2, (at[k] - at[k - 1]) / 2
    for i = 1, order do
      local t = middle + half * x[i]
      u[#u + 1], weights[#weights + 1] = t ^ power, half * w[i] * power * t ^ (power - 1)
    end
  end
  return core.tensor(u), core.tensor(weights)
end

-- Random points, without the noise.
local function drawer(pieces)
  return function(n, options)
    local u = fail.call(core.rand, { n, 2 }, options)
    local which = (u:select(2, 2) * #pieces):floor() + 1
    local out = pieces[1](u:select(2, 1))
    for k = 2, #pieces do
      out = core.ops.where(which:eq(k):unsqueeze(2), pieces[k](u:select(2, 1)), out)
    end
    return out
  end
end

local function along(name, pieces, power, std)
  local at, weights = {}, {}
  gradient.no_grad(function()
    for k, fn in ipairs(pieces) do
      local u, w = nodes_of(fn, power, std)
      at[k], weights[k] = answered(fn, u), w / #pieces
      if at[k]:size(2) ~= at[1]:size(2) then
        fail.raise("curve: piece %d has %d dimensions, the first has %d", k, at[k]:size(2), at[1]:size(2))
      end
    end
  end)
  return blurred(points.new(core.ops.cat(at, 1):contiguous(), {
    weights = core.ops.cat(weights, 1), draw = drawer(pieces), name = name,
  }), std)
end

local curve = {}

local rules = opts.declare("oracle_curve", {
  points = { "function|table", required = true, as = "function|function[]",
    text = "function from u {n} to points {n,D}, or a list of such pieces, equally likely" },
  std = { "number", required = true, above = 0, text = "standard deviation of the noise" },
  power = { "number", default = 1, above = 0, text = "p if the points are smooth in u^(1/p)" },
})

local toy_rules = {}
for _, name in ipairs { "swiss_roll", "moons", "spiral" } do
  toy_rules[name] = opts.declare("oracle_" .. name, { noise = opts.joined(curves.noise[name], { above = 0 }) })
end

--- A curve with noise: points(u) for uniform u in (0, 1), plus N(0, std^2). It is exact, except for
--- an error of about 1e-10 of its quadrature near the curve.
---@param options diffusion.oracle_curve_options
---@return diffusion.oracle
---@usage local ring = d.oracle.curve{ std = 0.1, points = function(u)
---   local angle = u * (2 * math.pi)
---   return d.stack({ angle:cos(), angle:sin() }, 2)
--- end }
--- print(ring:entropy())
function curve.curve(options)
  local o = opts.check("curve", options, rules)
  local pieces = type(o.points) == "table" and o.points or { o.points }
  for i = 1, math.max(1, #pieces) do
    if type(pieces[i]) ~= "function" then
      fail.raise("curve: points must be functions, entry %d is %s", i, kind.shown(pieces[i]))
    end
  end
  return along("curve", pieces, o.power, o.std)
end

local function of_toy(name, options)
  local c, pieces = curves[name], {}
  local noise = opts.check(name, options, toy_rules[name]).noise
  for k = 1, c.classes or 1 do
    pieces[k] = function(u)
      return core.ops.stack({ c.at(u, c.classes and core.full(u:shape(), k)) }, 2) * math.sqrt(1 - noise ^ 2)
    end
  end
  return along(name, pieces, c.power, noise)
end

--- The distribution of d.data.toy.swiss_roll.
---@param options diffusion.oracle_swiss_roll_options?
---@return diffusion.oracle
function curve.swiss_roll(options) return of_toy("swiss_roll", options) end

--- The distribution of d.data.toy.moons.
---@param options diffusion.oracle_moons_options?
---@return diffusion.oracle
---@usage local moons = d.oracle.moons{}
--- print(moons, moons:log_prob(d.data.toy.moons(1000, { seed = 1 }).x):mean():item())
function curve.moons(options) return of_toy("moons", options) end

--- The distribution of d.data.toy.spiral.
---@param options diffusion.oracle_spiral_options?
---@return diffusion.oracle
function curve.spiral(options) return of_toy("spiral", options) end

return curve

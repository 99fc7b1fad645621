-- Distributions that are uniform on boxes: a box, a checkerboard, a histogram. Under noise the
-- posterior of a coordinate is a normal distribution cut off at the box's sides. Its mass and mean are
-- differences of erf, which lose all digits far outside and with wide noise. So they are computed as
-- sums at Gauss-Legendre nodes, over the part of the side where the integrand is large. All terms are
-- positive, so nothing cancels.
local core = require "diffusion.core"
local curves = require "diffusion.data.curves"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local opts = require "diffusion.opts"
local base = require "diffusion.oracle.base"
local blurred = require "diffusion.oracle.blurred"
local draw = require "diffusion.oracle.draw"
local given = require "diffusion.oracle.given"
local quadrature = require "diffusion.oracle.quadrature"

local depth = 36 -- the window ends where the integrand is e^-36 of its peak
local nodes = 40 -- enough for 1e-13 of exp(-36 u^2) over [-1, 1]

local family = { noisy = true }

-- A level's coefficient, shaped to broadcast to {B,K,D,nodes}.
local function over(c) return core.is_tensor(c) and c:reshape(c:size(1), 1, 1, 1) or c end

-- The peak c of the integrand exp(-(x - a y)^2 / 2 s^2) in the box, and the range c + [lower, upper]
-- in which it is above e^-depth of the peak.
local function window(o, x, a, s)
  local gain = core.is_tensor(a) and a:maximum(1e-30) or math.max(a, 1e-30) -- 0: all of the box
  local c = (x / gain):maximum(o.low):minimum(o.high)
  local z = (gain * c - x) / s
  local reach = s / gain * (2 * depth) / (z:abs() + (z * z + 2 * depth):sqrt())
  return c, (o.low - c):maximum(-reach), (o.high - c):minimum(reach)
end

-- ln of each side's integral divided by its length, without s sqrt(2 pi), and the mean of y there,
-- {B,K,D}. With z = (a c - x)/s and v = a (y - c)/s the exponent is -z^2/2 - v (z + v/2), and only the
-- second term depends on y. The window is detached: the gradient is that of the integrand.
local function sides(o, x, a, s)
  x, a, s = x:reshape(x:size(1), 1, o.D, 1), over(a), over(s)
  local c, lower, upper = gradient.no_grad(window, o, x, a, s)
  local half = (upper - lower) * 0.5
  local y = (upper + lower) * 0.5 + half * o.nodes
  local z, v = (a * c - x) / s, (a / s) * y
  local terms = o.log_weights - v * (z + 0.5 * v)
  local mass = terms:logsumexp(4) - (0.5 * z * z):squeeze(4) + (half / (o.high - o.low)):log():squeeze(4)
  return mass, function() return (terms:softmax(4) * y):sum(4) + c:squeeze(4) end
end

function family.mean(o, x, a, s)
  local mass, means = sides(o, x, a, s)
  local share = (mass:sum(3) + o.prior):softmax(2):unsqueeze(3)
  return (share * means()):sum(2)
end

function family.marginal(o, x, a, s)
  local log_s = core.is_tensor(s) and s:squeeze(2):log() or math.log(s)
  local mass = sides(o, x, a, s):sum(3) + o.prior
  return mass:logsumexp(2) - o.D * (log_s + 0.5 * math.log(2 * math.pi))
end

-- A box includes its lower sides but not its upper ones.
function family.density(o, x)
  x = x:unsqueeze(2)
  local inside = x:ge(o.low:squeeze(4)) * x:lt(o.high:squeeze(4))
  return (inside:to(core.real):prod(3) * o.density):sum(2):log()
end

function family.draw(o, n, options)
  local u = fail.call(core.rand, { n, o.D + 1 }, options)
  local which = draw.pick(o.weights, u:select(2, o.D + 1))
  local low, high = o.low:reshape(o.K, o.D), o.high:reshape(o.K, o.D)
  low = low:index(1, which)
  return low + (high:index(1, which) - low) * u:narrow(2, 1, o.D)
end

function family.entropy(o)
  return -(core.tensor(o.weights) * o.density:log()):sum():item()
end

function family.bounds(o)
  return o.low:reshape(o.K, o.D):min(1):totable(), o.high:reshape(o.K, o.D):max(1):totable(), 0
end

function family.text(o) return ("%s of %d boxes in %d dimensions"):format(o.name, o.K, o.D) end

-- ==== making one =============================================================================

-- Boxes that don't overlap: lows and highs {K,D} as lists, weights that sum to 1.
local function new(name, lows, highs, weights)
  local u, w = quadrature.gauss(nodes)
  local K, D = #lows, #lows[1]
  local low, high = core.tensor(lows), core.tensor(highs)
  return base.new(family, {
    K = K, D = D, weights = weights, work = 2 * K * D * nodes, name = name,
    low = low:reshape(1, K, D, 1), high = high:reshape(1, K, D, 1),
    nodes = core.tensor(u), log_weights = core.tensor(w):log(),
    prior = core.tensor(weights):log():unsqueeze(1),
    density = (core.tensor(weights) / (high - low):prod(2)):unsqueeze(1),
  })
end

local boxes = {}

local function length_of(v) return core.is_tensor(v) and v:numel() or type(v) == "table" and #v or 1 end

local function check_sides(name, low, high)
  if #low == 0 then fail.raise("%s: low and high are empty", name) end
  for i = 1, #low do
    if not (low[i] < high[i]) then
      fail.raise("%s: low must be below high, entry %d is from %g to %g", name, i, low[i], high[i])
    end
  end
end

local function ends(text) -- each entry is checked later
  return { "number|table|tensor", required = true, infinite = true, as = "number|number[]|diffusion.tensor",
    text = text }
end

local box_rules = opts.declare("oracle_box", {
  low = ends "lower ends: D numbers, or one for all dimensions",
  high = ends "upper ends: D numbers, or one for all dimensions",
})

--- The uniform distribution on a box.
---@param options diffusion.oracle_box_options
---@return diffusion.oracle
---@usage local o = d.oracle.box{ low = -1, high = { 1, 3 } }
--- print(o:entropy(), o:posterior_mean(d.zeros(1, 2), 1, 0.5))
function boxes.box(options)
  local o = opts.check("box", options, box_rules)
  local D = math.max(length_of(o.low), length_of(o.high))
  local low, high = given.list("box", "low", o.low, D), given.list("box", "high", o.high, D)
  check_sides("box", low, high)
  return new("even distribution", { low }, { high }, { 1 })
end

-- The corners of those cells (i, j) of a board for which i + j is even.
local function board(cells, size)
  local lows, highs, side = {}, {}, size / cells
  for i = 0, cells - 1 do
    for j = i % 2, cells - 1, 2 do
      lows[#lows + 1] = { i * side - size / 2, j * side - size / 2 }
      highs[#highs + 1] = { (i + 1) * side - size / 2, (j + 1) * side - size / 2 }
    end
  end
  return lows, highs
end

local board_rules = opts.declare("oracle_checkerboard", {
  cells = { "integer", default = 4, min = 1, text = "cells of a side" }, noise = curves.noise.checkerboard,
  size = { "number", above = 0, default_text = "2 sqrt(3 (1 - noise^2))",
    text = "side of the board; with four cells the default makes the variance 2 over both coordinates" },
})

--- The squares of one colour of a board, with uniform density. By default it is that of
--- d.data.toy.checkerboard, or of another size. Grathwohl et al. 2019 (FFJORD) use size = 8, with
--- entropy ln 32.
--- With noise the entropy is by quadrature.
---@param options diffusion.oracle_checkerboard_options?
---@return diffusion.oracle
---@usage print(d.oracle.checkerboard{ size = 8 }:entropy(), math.log(32))
function boxes.checkerboard(options)
  local o = opts.check("checkerboard", options, board_rules)
  local lows, highs = board(o.cells, o.size or math.sqrt(12 * (1 - o.noise ^ 2)))
  local of = new("checkerboard", lows, highs, given.weights("checkerboard", 1, #lows))
  return o.noise > 0 and blurred(of, o.noise) or of
end

-- K + 1 edges, ascending.
local function edges_of(o, K)
  if o.edges then
    if o.low or o.high then fail.raise "histogram: give edges, or low and high" end
    return given.list("histogram", "edges", o.edges, K + 1)
  end
  if not (o.low and o.high) then fail.raise "histogram: give edges, or low and high" end
  local edges = {}
  for k = 0, K do edges[k + 1] = o.low + (o.high - o.low) * (k / K) end
  return edges
end

-- The bins with a weight above 0, and their weights.
local function full(edges, weights)
  local lows, highs, held = {}, {}, {}
  for k, w in ipairs(weights) do
    if not (w >= 0) then fail.raise("histogram: weights must be 0 or more, entry %d is %g", k, w) end
    if not (edges[k] < edges[k + 1]) then
      fail.raise("histogram: edges must ascend, entries %d and %d are %g and %g", k, k + 1, edges[k], edges[k + 1])
    end
    if w > 0 then lows[#lows + 1], highs[#highs + 1], held[#held + 1] = { edges[k] }, { edges[k + 1] }, w end
  end
  if #held == 0 then fail.raise "histogram: all weights are 0" end
  return lows, highs, held
end

local histogram_rules = opts.declare("oracle_histogram", {
  weights = { "table|tensor", required = true, as = "number[]|diffusion.tensor", text = "K numbers of 0 or more" },
  edges = { "table|tensor", as = "number[]|diffusion.tensor", default_text = "low and high instead",
    text = "K + 1 ascending numbers" },
  low = { "number", default_text = "edges instead", text = "lower end of the first of K bins of one width" },
  high = { "number", default_text = "edges instead", text = "upper end of the last of K bins of one width" },
})

--- A histogram on the line: uniform within each of K bins.
---@param options diffusion.oracle_histogram_options
---@return diffusion.oracle
---@usage print(d.oracle.histogram{ low = -1, high = 1, weights = { 1, 3, 0, 2 } }:entropy())
function boxes.histogram(options)
  local o = opts.check("histogram", options, histogram_rules)
  local K = length_of(o.weights)
  local weights = given.list("histogram", "weights", o.weights, K)
  local lows, highs, held = full(edges_of(o, K), weights)
  return new("histogram", lows, highs, given.weights("histogram", held, #held))
end

return boxes

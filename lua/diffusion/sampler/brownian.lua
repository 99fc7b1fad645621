--- Gives a whole trajectory one Brownian path (not part of the public library). All grids, in
-- any order of queries, read the same path. So a stochastic solver converges along it as its steps
-- shrink (Li et al. 2020, "Scalable gradients for stochastic differential equations", section 4:
-- the virtual Brownian tree).
--
-- The path W is a function of lambda = ln(a/s) in [low, high], Brownian in the time
-- tau = clock(lambda). It is Levy's construction: cells are halved in lambda. Within a cell
-- [l, r] with middle m, all in tau,
--   W(u) = W(l) + (u - l)/(r - l) (W(r) - W(l)) + hat(u) sqrt((m - l)(r - m)/(r - l)) z + ...
-- hat rises from 0 at l to 1 at m and falls to 0 at r. The remaining terms come from the halves.
-- So an increment is a sum of c z over the cells that contain one of its ends. Each z is the
-- normal number of one node: nothing is stored, and no large numbers are subtracted.
--
-- A sampler's step from lambda to lambda' = lambda + h adds s' sqrt(1 - e^(-2 eta h)) z. Its clock
-- is tau = e^(2 eta lambda), and its noise is then s' e^(-eta lambda') (W(lambda') - W(lambda)).
-- The noise of one step equals the sum over many smaller steps, exactly.
--
-- Cells of the last level aren't halved. There W(u) is the chord plus
-- sqrt((u - l)(r - u)/(r - l)) z, which has the right distribution at any one u. The only
-- inexact case is two different levels within one such cell (width (high - low)/2^depth). With
-- u - l = (r - l) sin^2 A and v - l = (r - l) sin^2 B the increment's variance is
-- |sin(A - B)| / sin(A + B) of |u - v|, never more than 1.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"

local brownian = {
  stream = 8, -- base/philox.h: DF_STREAM_PATH
}

local whole = 0        -- node of W(high) - W(low)
local first = 1 << 31  -- node of W(low) - W(-inf). Cells lie between: k has the halves 2k, 2k + 1

--- A Brownian path over the levels of a schedule.
---@class diffusion.brownian
---@field low number
---@field high number
---@field depth integer
local Brownian = {}
Brownian.__index = Brownian
Brownian.__name = "diffusion.brownian"

-- tau at lambda. Raises unless it is a finite number.
local function time_of(clock, lambda)
  local tau = clock(lambda)
  if type(tau) ~= "number" or tau - tau ~= 0 then
    fail.raise("brownian: the clock must give a finite number, got %s at lambda = %.9g", kind.shown(tau), lambda)
  end
  return tau
end

-- tau. Raises if it is below its value at the lambda before.
local function rising(before, tau, lambda)
  if tau < before then
    fail.raise("brownian: the clock must rise with lambda, but it falls from %.17g to %.17g at lambda = %.9g",
      before, tau, lambda)
  end
  return tau
end

--- A path.
---@param o {low: number, high: number, clock: function, depth: integer} low and high are the
--- finite lambda = ln(a/s) at the schedule's ends, so that the path doesn't depend on the grid.
--- clock(lambda) is the time in which W is Brownian, and rises. It is evaluated at -inf only if an
--- increment starts there. depth is in 1..30, 24 if not given
---@return diffusion.brownian
function brownian.new(o)
  o = opts.check("brownian.new", o, {
    low = { "number", required = true },
    high = { "number", required = true },
    clock = { "function", required = true }, depth = { "integer", default = 24, min = 1, max = 30 },
  })
  if o.low >= o.high then fail.raise("brownian.new: low must be below high, got %g and %g", o.low, o.high) end
  o.tau_low = time_of(o.clock, o.low)
  o.tau_high = time_of(o.clock, o.high)
  if o.tau_high <= o.tau_low then
    fail.raise("brownian.new: the clock must rise, but it is %.17g at low and %.17g at high", o.tau_low, o.tau_high)
  end
  return setmetatable(o, Brownian)
end

-- The standard deviation of W(u) if W(l) and W(r) are known.
local function bridge(l, u, r) return math.sqrt((u - l) * (r - u) / (r - l)) end

-- hat(b) - hat(a), times the bridge's height. Each side is computed as a difference of times,
-- which are close to each other if a and b are.
local function rise(l, m, r, a, b)
  local height = bridge(l, m, r)
  if height == 0 then return 0 end
  if b <= m then return height * (b - a) / (m - l) end
  if a >= m then return -height * (b - a) / (r - m) end
  return height * ((m - a) / (m - l) - (b - m) / (r - m))
end

-- The cells below [left, right] (in lambda; l, r in tau) that `query` cuts.
local function visit(tree, query, node, level, left, right, l, r)
  local function inside(lambda) return lambda > left and lambda < right end
  if l == r or not (inside(query.from) or inside(query.to)) then return end
  local a, b = math.max(l, query.a), math.min(r, query.b)
  if level == tree.depth then return query:add(node, bridge(l, b, r) - bridge(l, a, r)) end
  local middle = left + (right - left) / 2
  local m = rising(l, time_of(tree.clock, middle), middle)
  rising(m, r, right)
  query:add(node, rise(l, m, r, a, b))
  visit(tree, query, 2 * node, level + 1, left, middle, l, m)
  visit(tree, query, 2 * node + 1, level + 1, middle, right, m, r)
end

local Query = {}
Query.__index = Query

function Query:add(node, c)
  if c == 0 then return end
  local n = #self.c + 1
  self.c[n], self.nodes[n] = c, node
end

local function check_level(tree, name, lambda, below)
  local free = below and lambda == -math.huge
  if type(lambda) ~= "number" or not (free or lambda >= tree.low and lambda <= tree.high) then
    fail.raise("brownian: %s must be a lambda in [%.9g, %.9g]%s, got %s", name, tree.low, tree.high,
      below and " or -inf" or "", kind.shown(lambda))
  end
end

--- W(to) - W(from) as a sum of c z over nodes. Disjoint increments share no variance.
---@param from number lambda in [low, high], or -inf: W is 0 there
---@param to number lambda in (from, high]
---@return number[] c with sum c^2 = dtau
---@return integer[] nodes the draw of each z, at most 62, for core.mix_normals with c
---@return number dtau clock(to) - clock(from)
function Brownian:increment(from, to)
  check_level(self, "from", from, true)
  check_level(self, "to", to)
  if from >= to then fail.raise("brownian: the lambda of an increment must rise, got %.9g to %.9g", from, to) end
  local query = setmetatable({ c = {}, nodes = {}, from = from, to = to }, Query)
  local a, start = time_of(self.clock, from), self.tau_low
  local b = rising(a, time_of(self.clock, to), to)
  query.a, query.b = math.max(a, start), b
  if from == -math.huge then query:add(first, math.sqrt(rising(a, start, self.low) - a)) end
  query:add(whole, (b - query.a) / math.sqrt(self.tau_high - start))
  visit(self, query, 1, 0, self.low, self.high, start, self.tau_high)
  return query.c, query.nodes, b - a
end

--- sigma z, with z the increment divided by its standard deviation, for
--- core.mix_normals(c, seed, brownian.stream, nodes, c1, x1, ...).
---@param sigma number
---@param from number as in increment
---@param to number
---@return number[] c with sum c^2 = sigma^2, even if both levels are in one cell
---@return integer[] nodes
function Brownian:noise(sigma, from, to)
  local c, nodes = self:increment(from, to)
  local variance = 0
  for _, v in ipairs(c) do variance = variance + v * v end
  if variance == 0 then
    fail.raise("brownian: the clock doesn't advance from lambda = %.9g to %.9g", from, to)
  end
  for j, v in ipairs(c) do c[j] = sigma * v / math.sqrt(variance) end
  return c, nodes
end

return brownian

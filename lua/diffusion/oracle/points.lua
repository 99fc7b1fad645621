-- Weighted points: the empirical distribution of a data set, and the base of a curve's quadrature.
-- E[x0 | x] is softmax_i(ln w_i - |x - a y_i|^2 / 2 s^2) y.
--
-- Below 16 dimensions squares are sums of differences, which keep their digits. From 16 on they are
-- |x|^2 - 2 a x.y + a^2 |y|^2 by one product of centred points, in full float32 whatever d.precision
-- is. Rounding leaves an error of about 1e-7 |x| |y|, so the ratio of two points' weights is off by
-- a factor of exp(1e-7 |x| |y| / s^2). For images in [-1, 1] (|y| about 15) that is 0.1 % at s = 0.15.
-- It has no effect if one point is clearly the nearest, as at small s, where distances between points
-- far exceed s.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local picture = require "diffusion.picture"
local base = require "diffusion.oracle.base"
local blurred = require "diffusion.oracle.blurred"

local points = {}

local wide = 16

local family = { noisy = true }

local function differences(o, x, a)
  local sum
  for j = 1, o.D do
    local square = (x:narrow(2, j, 1) - a * o.columns[j]):square()
    sum = sum and sum + square or square
  end
  return sum
end

-- ln w_i - |x - a y_i|^2 / 2 s^2, {B,n}. In many dimensions -|x|^2 / 2 s^2 is omitted, since it is the
-- same for all i.
local function logits(o, x, a, s)
  if o.D < wide then
    local quad = differences(o, x, a) * (-0.5 * s ^ -2)
    return o.prior and quad + o.prior or quad
  end
  local reach = base.at_highest(x.matmul, x - a * o.centre, o.points:t())
  local quad = (reach - (0.5 * a) * o.squares) * (a * s ^ -2)
  return o.prior and quad + o.prior or quad
end

-- Weights are at least e^-60, negligible compared with the largest. Products with numbers near the
-- smallest float would be twenty times as slow.
function family.mean(o, x, a, s)
  local l = logits(o, x, a, s)
  local share = (l - l:detach():max(2, true)):maximum(-60):softmax(2)
  return base.at_highest(share.matmul, share, o.points) + o.centre
end

local function log_norm(o, s)
  local log_s = core.is_tensor(s) and s:squeeze(2):log() or math.log(s)
  return o.D * log_s + o.D / 2 * math.log(2 * math.pi)
end

-- In many dimensions all terms are relative to the nearest point, whose distance is computed by
-- differences.
function family.marginal(o, x, a, s)
  local l = logits(o, x, a, s)
  local prior = o.prior and 0 or math.log(o.n)
  if o.D < wide then return l:logsumexp(2) - prior - log_norm(o, s) end
  local nearest = l:detach():argmax(2)
  local gap = x - a * (o.points:index(1, nearest) + o.centre)
  local most = l:gather(2, nearest:unsqueeze(2))
  local own = (gap:square():sum(2, true) * (-0.5 * s ^ -2)):squeeze(2)
  if o.prior then own = own + o.prior:squeeze(1):index(1, nearest) end
  return own + (l - most):logsumexp(2) - prior - log_norm(o, s)
end

-- ==== as a discrete distribution ===========================================================

local function keys(x)
  local bytes, n = (x + 0):contiguous():bytes(), x:size(1) -- + 0: minus zero is zero
  local size = #bytes // math.max(1, n)
  return function(i) return bytes:sub((i - 1) * size + 1, i * size) end
end

-- The count of each point among equal ones, compared by bytes; computed once.
local function counts(o)
  if o.counts then return o.counts end
  local key, out = keys(o.given), {}
  for i = 1, o.n do out[key(i)] = (out[key(i)] or 0) + 1 end
  o.counts = out
  return out
end

-- ln of the fraction of points that equal x.
function family.density(o, x)
  gradient.constant("log_prob", "x", x)
  local count, key, out = counts(o), keys(x), {}
  for i = 1, x:size(1) do out[i] = math.log((count[key(i)] or 0) / o.n) end
  return core.tensor(out)
end

function family.entropy(o)
  local sum = 0
  for _, c in pairs(counts(o)) do sum = sum + c * math.log(c) end
  return math.log(o.n) - sum / o.n
end

function family.draw(o, n, options)
  if o.draw then return o.draw(n, options) end
  local u = fail.call(core.rand, { n }, options)
  return o.given:index(1, (u * o.n):floor():clamp(0, o.n - 1):to "i64" + 1)
end

function family.bounds(o)
  return o.given:min(1):totable(), o.given:max(1):totable(), 0
end

-- The points within a box with their weights, or nil.
function family.near(o, low, high)
  local inside = o.given:ge(core.tensor(low)) * o.given:le(core.tensor(high))
  local index = {}
  for i, yes in ipairs(inside:to(core.real):prod(2):totable()) do if yes == 1 then index[#index + 1] = i end end
  if #index == 0 then return nil end
  local prior = o.prior and o.prior:squeeze(1):index(1, index):exp() or core.full({ #index }, 1 / o.n)
  return points.new(o.given:index(1, index), { weights = prior })
end

function family.text(o)
  return ("%s of %d points in %d dimensions"):format(o.name or "empirical distribution", o.n, o.D)
end

-- ==== making one =============================================================================

--- Points {n,D} as an oracle, with equal weights or those of a curve.
---@param y diffusion.tensor
---@param curve table|nil {weights = {n}, with sum 1; draw = function(n, options) -> {n,D}; name =}
---@return diffusion.oracle
function points.new(y, curve)
  local n, D = y:size(1), y:size(2)
  local o = { n = n, D = D, work = 2 * n, given = y }
  if curve then o.prior, o.draw, o.name = curve.weights:log():unsqueeze(1), curve.draw, curve.name end
  if D < wide then
    o.points, o.centre, o.columns = y, 0, {}
    for j = 1, D do o.columns[j] = y:narrow(2, j, 1):contiguous():reshape(1, n) end
  else
    o.centre = y:mean(1, true)
    o.points = y - o.centre
    o.squares = o.points:square():sum(2):unsqueeze(1)
  end
  return base.new(family, o)
end

local function rows_of(x)
  x = opts.examples("empirical", x)
  if not core.is_tensor(x) then
    fail.raise("bad argument #1 to 'empirical' (a tensor or a set expected, got %s)", kind.shown(x))
  end
  if x:dim() < 1 or x:numel() == 0 then
    fail.raise("empirical: at least one point {n,...} is needed, got %s", kind.shape_text(x))
  end
  local rows = picture.examples("empirical", x):reshape(x:size(1), x:numel() // x:size(1)):contiguous()
  if rows:isfinite():min():item() == 0 then fail.raise "empirical: the points must be finite numbers" end
  return rows
end

local rules = opts.declare("oracle_empirical", {
  std = { "number", above = 0, text = "each point is a Gaussian of this standard deviation" },
})

--- The empirical distribution of a data set: its n points with equal weights. Its best denoiser is
--- that of a network that has memorised the set. log_prob(x) is ln of the fraction of points equal to
--- x, -inf elsewhere. entropy() is that of the points as symbols, ln n if all differ. With a level,
--- log_prob is a density. With std each point becomes a Gaussian (a kernel density estimate), and
--- both are those of a density. In float32, points of 16 dimensions or more are compared by products,
--- whose rounding changes weights by a factor of exp(1e-7 |x| |y| / s^2).
---@param x diffusion.tensor|diffusion.set {n,...}; u8, and i64 {n,H,W,C}, become floats in [-1, 1]
---@param options diffusion.oracle_empirical_options?
---@return diffusion.oracle
---@usage local digits = d.oracle.empirical(d.data.digits())
--- print(digits, digits:posterior_mean(d.randn(2, 8, 8, 1), 0.1, 0.9))
function points.empirical(x, options)
  local o = opts.check("empirical", options, rules, 2)
  local data = points.new(rows_of(x))
  return o.std and blurred(data, o.std) or data
end

return points

-- The base of all oracles. A family is a table of functions. `o` is the oracle's private state,
-- x are rows {B,D}, and a and s, the level, are each a number or {B,1}:
--   draw(o, n, options)     n samples {n,D}
--   mean(o, x, a, s)        E[x0 | a x0 + s eps = x], {B,D}
--   marginal(o, x, a, s)    ln p of a x0 + s eps, {B}
--   density(o, x)           ln p of x0, {B}; the marginal at a = 1, s = 0 if absent
--   entropy(o)              in nats, or nil if neither a formula nor quadrature gives it
--   bounds(o)               lows, highs (lists of D) of the region with mass, and the least width
--   text(o)                 for tostring
--   noisy                   true if a level needs s > 0, since points have no width; an oracle
--                           with o.flat has no density and needs s > 0 too
--
-- This file checks arguments and cuts long batches into blocks. A row takes o.work numbers.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local measure = require "diffusion.measure"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"

local base = {}

--- A distribution whose best denoiser is known, made by d.oracle. Its results have gradients with
--- respect to x and to the level.
---@class diffusion.oracle
---@field D integer its dimension
---@field mean diffusion.tensor|nil the mean, for a Gaussian
---@field cov diffusion.tensor|nil the covariance, for a Gaussian
---@field means diffusion.tensor|nil the means, for a mixture
---@field weights number[]|nil the weights, for a mixture or boxes
local Oracle = {}

local private = object.private -- {family, oracle = the object itself, D, work, flat}, the family's fields

-- ==== arguments ============================================================================

local function check_count(n)
  if type(n) ~= "number" or not math.tointeger(n) or n < 0 then
    fail.raise("bad argument #1 to 'sample' (a whole number of 0 or more expected, got %s)", kind.shown(n))
  end
  return math.tointeger(n)
end

-- x as rows {B,D}.
local function rows_of(x, D)
  if not core.is_tensor(x) then fail.raise("oracle: x must be a tensor, got %s", kind.shown(x)) end
  opts.floats("oracle", "x", x)
  if x:dim() < 1 or x:numel() ~= x:size(1) * D then
    fail.raise("oracle: x %s for a distribution of dimension %d", kind.shape_text(x), D)
  end
  return x:reshape(x:size(1), D)
end

-- A coefficient of the level as a number or a column {B,1}.
local function coefficient(what, c, B)
  if core.is_tensor(c) then
    if c:numel() == B then return c:reshape(B, 1) end
    if c:numel() == 1 then return c:reshape(1, 1):expand(B, 1) end
    fail.raise("oracle: %s is %s for %d samples", what, kind.shape_text(c), B)
  end
  if type(c) ~= "number" or not (c >= 0 and c < math.huge) then
    fail.raise("oracle: %s must be a number of 0 or more or a tensor, got %s", what, kind.shown(c))
  end
  return c
end

local function check_noise(o, s)
  local least = core.is_tensor(s) and (s:numel() > 0 and s:detach():min():item() or 1) or s
  if (o.family.noisy or o.flat) and not (least > 0) then
    fail.raise("oracle: s must be above 0 for a %s, got %g", o.family.text(o), least)
  end
end

-- ==== in blocks ============================================================================

local block = 2 ^ 23 -- numbers in a block: 32 MiB per temporary

local function part(c, from, count)
  return core.is_tensor(c) and c:narrow(1, from, count) or c
end

--- fn(x, a, s) over blocks of rows, joined. A block has as many rows as fit, with `work` numbers each.
---@param work integer
---@param fn function
---@param x diffusion.tensor {B,D}
---@param a number|diffusion.tensor|nil
---@param s number|diffusion.tensor|nil
---@return diffusion.tensor
function base.in_blocks(work, fn, x, a, s)
  local B, step = x:size(1), math.max(1, block // work)
  if B <= step then return gradient.scope(fn, x, a, s) end
  local out = {}
  for i = 1, B, step do
    local n = math.min(step, B - i + 1)
    out[#out + 1] = gradient.scope(fn, part(x, i, n), part(a, i, n), part(s, i, n))
  end
  return core.ops.cat(out, 1)
end

-- ==== methods ==============================================================================

local sample_rules = opts.declare("oracle_sample", { seed = rule.seed, generator = rule.generator })

--- Draws samples.
---@param n integer
---@param options diffusion.oracle_sample_options?
---@return diffusion.tensor x {n,D}
function Oracle:sample(n, options)
  opts.check("sample", options, sample_rules, 2)
  local own = private[self]
  return own.family.draw(own, check_count(n), options)
end

-- ln p_t(x) of rows. Without noise it is the density of x/a.
local function log_marginal(o, x, a, s)
  local f = o.family
  if s ~= 0 then
    check_noise(o, s)
    return base.in_blocks(o.work, function(...) return f.marginal(o, ...) end, x, a, s)
  end
  if o.flat then
    fail.raise("oracle: a %s whose covariance is singular has no density; give a level, s > 0", o.family.text(o))
  end
  local density = f.density or function(_, y) return f.marginal(o, y, 1, 0) end
  local lp = base.in_blocks(o.work, function(y) return density(o, y) end, a == 1 and x or x / a)
  return a == 1 and lp or lp - o.D * (core.is_tensor(a) and a:log():squeeze(2) or math.log(a))
end

-- a and s of a schedule at t.
local function scheduled(schedule, t)
  return fail.call(schedule.signal, schedule, t), fail.call(schedule.noise, schedule, t)
end

local level_rules = opts.declare("oracle_log_prob", {
  a = { "number|tensor", default = 1, text = "signal of the level, one number or {B}" },
  s = { "number|tensor", default = 0, text = "noise of the level, one number or {B}" },
})

local function level_of(level, t)
  if kind.of(level) == "process" then return scheduled(level.schedule, t) end
  local o = opts.check("log_prob", level, level_rules, 2)
  return o.a, o.s
end

--- ln p(x) of each row. It is that of the data, or with a level that of a x0 + s eps. The gradient of
--- the latter is (a D(x) - x)/s^2 (Tweedie's formula), where D is the posterior mean. Both are exact,
--- except for quadratures that tostring(oracle) names.
---@param x diffusion.tensor {B,...}, D numbers per sample
---@param level diffusion.process|diffusion.oracle_log_prob_options? a process with t, or a level
---@param t number|number[]|diffusion.tensor? if level is a process
---@return diffusion.tensor {B}
---@usage local moons = d.oracle.moons{}
--- print(moons:log_prob(d.zeros(1, 2)), moons:log_prob(d.zeros(1, 2), { a = 1, s = 0.5 }))
function Oracle:log_prob(x, level, t)
  local own = private[self]
  local rows = rows_of(x, own.D)
  local a, s = level_of(level, t)
  local B = rows:size(1)
  return log_marginal(own, rows, coefficient("a", a, B), coefficient("s", s, B))
end

--- The best prediction of x0 from x = a x0 + s eps: E[x0 | x].
---@param x diffusion.tensor {B,...}, D numbers per sample
---@param a number|diffusion.tensor signal, one or {B}
---@param s number|diffusion.tensor noise, one or {B}; above 0 if the data has points without width
---  (empirical, boxes)
---@return diffusion.tensor as x
function Oracle:posterior_mean(x, a, s)
  local own = private[self]
  local rows = rows_of(x, own.D)
  local B = rows:size(1)
  a, s = coefficient("a", a, B), coefficient("s", s, B)
  check_noise(own, s)
  local f = own.family
  return base.in_blocks(own.work, function(...) return f.mean(own, ...) end, rows, a, s):reshape(x:shape())
end

-- The mean of -ln p over samples, and its standard error.
local function sampled_entropy(o, options)
  return gradient.scope(function()
    local lp = o:log_prob(o:sample(options.samples, { seed = options.seed }))
    return -lp:mean():item(), lp:std():item() / math.sqrt(options.samples)
  end)
end

local entropy_rules = opts.declare("oracle_entropy", {
  samples = { "integer", default = 20000, min = 2, text = "number of samples, if there is no formula" },
  seed = measure.seed,
})

--- The differential entropy in nats, -E ln p. That of the empirical distribution is the entropy of its
--- points as symbols. It is computed by a formula if there is one, by quadrature in one or two
--- dimensions, or as a mean over samples.
---@param options diffusion.oracle_entropy_options?
---@return number
---@return number|nil error its standard error, if it is a mean over samples
function Oracle:entropy(options)
  local o = opts.check("entropy", options, entropy_rules)
  local own = private[self]
  local exact, deviation = own.family.entropy(own, o)
  if exact then return exact, deviation end
  return sampled_entropy(self, o)
end

--- The best possible denoiser E[x0 | xt], as a function (xt, t) -> the process's target. xt is {B,...}
--- with D numbers per sample. t is a number, a list or {B}.
---@param process diffusion.process
---@return function denoiser
function Oracle:denoiser(process)
  opts.process("denoiser", 1, process)
  local schedule = process.schedule
  return function(xt, t)
    rows_of(xt, self.D)
    local x0 = self:posterior_mean(xt, scheduled(schedule, t))
    if process.predict == "x0" then return x0 end
    return process:convert(x0, { from = "x0", to = process.predict, xt = xt, t = t })
  end
end

-- ==== making one ===========================================================================

local class = object.class("oracle", Oracle, {
  get = { "D", "mean", "cov", "means", "weights" },
  __tostring = function(self) return private[self].family.text(private[self]) end,
})

--- An oracle of a family.
---@param family table
---@param own table D, work, and the fields that the family's functions read; it is not copied
---@return diffusion.oracle
function base.new(family, own)
  own.family, own.oracle = family, object.new(class, own)
  return own.oracle
end

--- The private state of an oracle, for families made of other oracles.
---@param oracle diffusion.oracle
---@return table
function base.own(oracle) return private[oracle] end

-- ==== products ===========================================================================

local Highest = { __close = function(kept) core.precision(kept[1]) end }

--- fn(...) with all products in full float32, whatever d.precision is.
---@param fn function
---@return any ...
function base.at_highest(fn, ...)
  local kept <close> = setmetatable({ core.precision() }, Highest) -- luacheck: ignore 211
  core.precision "highest"
  return fn(...)
end

return base

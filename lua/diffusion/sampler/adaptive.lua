--- Adaptive steps, shared by dpm_adaptive, rk45 and d.likelihood.ode. Each sample chooses its own
--- step length from the difference between two orders. A sample takes the same steps alone or in a
--- batch. The state is z = x/r with r^2 = a^2 + s^2, which is x itself if a^2 + s^2 = 1. So the
--- tolerances are in units near 1 at every level.
local gradient = require "diffusion.gradient"
local levels = require "diffusion.sampler.levels"
local finite = require "diffusion.sampler.finite"
local fail = require "diffusion.fail"

local adaptive = {}

--- Rules of the options atol and rtol.
---@param atol number
---@param rtol number
---@return table<string, table>
function adaptive.rules(atol, rtol)
  return { atol = { "number", default = atol, above = 0, text = "absolute tolerance of a step's error" },
           rtol = { "number", default = rtol, min = 0, text = "tolerance relative to the sample's size" },
           most = { "integer", default = 10000, min = 1, text = "steps after which the run is an error" } }
end

--- f evaluated for each sample, as a list.
---@param B integer
---@param f fun(b: integer): any
---@return any[]
function adaptive.each(B, f)
  local out = {}
  for b = 1, B do out[b] = f(b) end
  return out
end
local each = adaptive.each

--- A function from t to the numbers that levels.of gives, with a and s divided by r.
---@param process diffusion.process
---@return function
function adaptive.circle(process)
  local level = levels.of(process)
  return function(t)
    local l = level(t)
    l.r = math.sqrt(l.a ^ 2 + l.s ^ 2)
    l.a, l.s = l.a / l.r, l.s / l.r
    return l
  end
end

--- The denoiser as a function of z and of one level of adaptive.circle per sample.
---@param denoise function
---@param mix function
---@return fun(z: diffusion.tensor, at: table[]): x0, eps
function adaptive.denoiser(denoise, mix)
  return function(z, at)
    local B, circle = #at, true
    for b = 1, B do circle = circle and at[b].r == 1 end
    local x = circle and z or mix(each(B, function(b) return at[b].r end), z)
    return denoise(x, each(B, function(b) return at[b].t end))
  end
end

--- The difference of two results per sample, in units of the tolerance. It is the root mean square
--- of (low - high) / max(atol, rtol max(|low|, |z|)) (Lu et al. 2022, DPM-Solver, app. C).
---@param z diffusion.tensor {B, ...} at the start of the step
---@param low diffusion.tensor
---@param high diffusion.tensor
---@param o {atol: number, rtol: number}
---@return number[]
function adaptive.errors(z, low, high, o)
  local B = z:size(1)
  local allowed = (low:abs():maximum(z:abs()) * o.rtol):maximum(o.atol)
  return ((low - high) / allowed):reshape(B, z:numel() // B):square():mean(2):sqrt():totable()
end

-- The state of each sample: its place, the distance left, and the length h of its next step.
local function start(B, from, to, o)
  local way = math.abs(to - from)
  return { at = each(B, function() return from end), left = each(B, function() return way end),
           h = each(B, function() return math.min(o.h, way) end), sign = to < from and -1 or 1,
           to = to, least = 1e-9 * way, open = way > 0 and B or 0 }
end

local least_factor = 0.2 -- smallest ratio of a step's length to the one before

-- Raises if an error is NaN, since the samples are then NaN too.
local function check_errors(w, E, o)
  local count, first = 0, nil
  for b, e in ipairs(E) do
    if e ~= e then count, first = count + 1, first or b end
  end
  if count == 0 then return end
  finite.fail(o.name, o.pair, count, #E, (" at %s = %.6g, where the step of sample %d has shrunk to %.3g"):format(
    o.place, w.at[first], first, least_factor * w.h[first]))
end

-- Accepts the step if its error is small enough, and chooses the next length. A sample that isn't
-- finite, but is kept, moves straight to the end.
local function judge(w, b, E, o)
  local h, good = w.h[b], E <= 1
  if o.nan == "keep" and (E ~= E or h <= w.least) then E, good = 0, true end
  if good then
    w.left[b] = w.left[b] - h
    if w.left[b] <= w.least then w.left[b] = 0 end
    w.at[b] = w.to - w.sign * w.left[b]
  end
  h = h * math.min(5, math.max(least_factor, 0.9 * math.max(E, 1e-10) ^ (-1 / o.order)))
  if not good and h <= w.least then
    fail.raise("%s: the step of sample %d has shrunk to %.3g at %s = %.6g, its error is %g times the "
      .. "tolerance; pass larger atol and rtol",
      o.name, b, h, o.place, w.at[b], E)
  end
  w.h[b] = math.min(w.left[b], h)
  return good and 1 or 0
end

--- Takes z from place `from` to place `to`.
---@param z diffusion.tensor {B, ...}
---@param from number
---@param to number
---@param try fun(z, at: number[], h: number[], slope): low, high, slope the results of two orders, and a
---  value at the end of the step that the next step can reuse, or nil
---@param o {h: number, atol: number, rtol: number, most: integer, order: integer, name: string, place: string,
---  mix: function, errors: function, nan: string, pair: table} h is the first step's length. name is the
---  caller's name in messages. errors replaces adaptive.errors. nan = "keep" continues with samples that
---  aren't finite. pair is the outer step that this walk is part of
---@return diffusion.tensor z
function adaptive.walk(z, from, to, try, o)
  local B, slope = z:size(1), nil
  local w = start(B, from, to, o)
  local function step()
    local low, high, there = try(z, w.at, each(B, function(b) return w.sign * w.h[b] end), slope)
    local E = (o.errors or adaptive.errors)(z, low, high, o)
    if o.nan ~= "keep" then check_errors(w, E, o) end
    local take = each(B, function(b) return judge(w, b, E[b], o) end)
    local stay = each(B, function(b) return 1 - take[b] end)
    return o.mix(stay, z, take, high), there and o.mix(stay, slope or there, take, there)
  end
  local tries = 0
  while w.open > 0 do
    tries = tries + 1
    if tries > o.most then
      fail.raise("%s: not at the end after most = %d steps; larger atol and rtol allow longer steps", o.name, o.most)
    end
    z, slope = gradient.scope(step)
    w.open = 0
    for b = 1, B do w.open = w.open + (w.left[b] > 0 and 1 or 0) end
  end
  return z
end

return adaptive

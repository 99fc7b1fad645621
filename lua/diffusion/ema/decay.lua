--- The decay of a running average: a number r for update k + 1, after k updates. The first update
--- copies the values and has no decay.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"

local decay = {}

-- As in diffusers and k-diffusion: 1 - (1 + k/inv_gamma)^-power
local function warmup(o)
  return function(k) return math.min(o.max, 1 - (1 + k / o.inv_gamma) ^ -o.power) end
end

-- As in EDM's code (Karras et al. 2022). Half of a value is left after `steps`, or at first after a
-- fixed share of the steps so far.
local function half_life(o)
  return function(k) return 0.5 ^ (1 / math.min(o.steps, o.ramp * k)) end
end

--- The exponent gamma of a power average. Its profile tau^gamma over 0..1 has the standard
--- deviation sigma_rel. gamma is the positive root of gamma^3 + 7 gamma^2 + (16 - sigma_rel^-2)
--- gamma + 12 - sigma_rel^-2 (Karras et al. 2024, algorithm 2). Newton's method starts from above,
--- where the cubic is convex.
---@param sigma_rel number in (0, 12^-1/2)
---@return number gamma
function decay.exponent(sigma_rel)
  local q = sigma_rel ^ -2
  local gamma = 1 / sigma_rel
  for _ = 1, 200 do
    local f = ((gamma + 7) * gamma + 16 - q) * gamma + 12 - q
    local before = gamma
    gamma = gamma - f / ((3 * gamma + 14) * gamma + 16 - q)
    if gamma >= before then break end
  end
  return gamma
end

-- Karras et al. 2024, section 3.1: (1 - 1/t)^(gamma + 1). After t updates, the weight of the value of
-- update j is the integral of (gamma + 1) tau^gamma / t^(gamma + 1) from j - 1 to j.
local function power(o)
  local gamma = decay.exponent(o.sigma_rel)
  return function(k) return (k / (k + 1)) ^ (gamma + 1) end
end

decay.widest = 12 ^ -0.5 -- sigma_rel for gamma = 0, the plain mean

local kinds = {
  warmup = { make = warmup, source = "1 - (1 + k/inv_gamma)^-power at update k: diffusers and k-diffusion", rules = {
    inv_gamma = { "number", default = 1, above = 0, text = "inverse of gamma" },
    power = { "number", default = 2 / 3, above = 0, default_text = "2/3", text = "power of the formula" },
    max = { "number", default = 0.9999, min = 0, below = 1, text = "greatest decay" } } },
  half_life = { make = half_life, source = "half of a value is left after `steps` updates: Karras et al. 2022",
    rules = { steps = { "number", required = true, above = 0, text = "the half-life" },
    ramp = { "number", default = 0.05, above = 0, infinite = true,
      text = "the half-life is at most this share of the updates so far" } } },
  power = { make = power, source = "a power average: Karras et al. 2024, section 3.1", rules = {
    sigma_rel = { "number", default = 0.05, above = 0, below = decay.widest,
      text = "standard deviation of the average's profile over 0..1" } } },
}
opts.declare_choices("decay", kinds)

local names = { "half_life", "power", "warmup" }

local function constant(value, ramp)
  if not ramp then return function() return value end end
  return function(k) return math.min(value, (1 + k) / (10 + k)) end
end

-- A user's function of the number of the update, from 1.
local function own(fn)
  return function(k)
    local r = fn(k + 1)
    if type(r) ~= "number" or not (r >= 0 and r <= 1) then
      fail.raise("ema: the decay of update %d is %s; a number in [0, 1] expected", k + 1, kind.shown(r))
    end
    return r
  end
end

-- {name, option =, ...}
local function named(given)
  local which, options = given[1], {}
  for k, v in pairs(given) do if k ~= 1 then options[k] = v end end
  local law = kinds[which]
  if not law then fail.raise("ema: %s", opts.unknown("decay", which, names)) end
  local o = opts.check("ema: decay " .. which, options, law.rules, 0)
  return law.make(o), which, o
end

--- The law that the options `decay` and `warmup` of d.ema choose.
---@param given number|table|function
---@param ramp boolean|nil
---@return fun(k: number): number rate
---@return string text
---@return table options those of a named law
function decay.resolve(given, ramp)
  if type(given) == "number" then return constant(given, ramp ~= false), legible.format("%g", given), {} end
  if ramp ~= nil then
    fail.raise("ema: option 'warmup' goes with a decay that is a number, not %s", kind.shown(given))
  end
  if type(given) == "function" then return own(given), "a function", {} end
  return named(given)
end

return decay

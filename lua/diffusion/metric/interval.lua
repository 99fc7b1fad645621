--- The second result of a metric: a confidence interval, the method that found it, and the direction
--- of the value's bias.
local core = require "diffusion.core"
local lookup = require "diffusion.lookup"
local legible = require "diffusion.legible"

local interval = {}

local z = 1.959963984540054 -- 95 % of a normal variable lie within +-z

---@class diffusion.interval
---@field low number the true value lies between low and high with a probability of `level`
---@field high number
---@field level number 0.95
---@field method string the method that found low and high
---@field n integer[] number of samples of each set
---@field bias string|number direction of the value's bias as a sentence, or its approximate size
---@field se number|nil standard error of the value
---@field p number|nil probability of such a value, or a larger one, if both sets have one distribution
local Interval = { __name = "diffusion.interval" }
Interval.__index, Interval.__newindex = Interval, rawset -- metrics add fields of their own

function Interval:__tostring()
  local p = self.p and ("; p = %.3g"):format(self.p) or ""
  return ("95 %% between %.4g and %.4g%s (%s)"):format(self.low, self.high, p, self.method)
end
legible.speaks(Interval)
lookup.strict("interval", Interval, { "low", "high", "level", "method", "n", "bias", "se", "p" })

--- An interval from its fields.
---@param fields table {low, high, method, n, bias, ...}
---@return diffusion.interval
function interval.new(fields)
  fields.level = 0.95
  return setmetatable(fields, Interval)
end

--- An interval around a value with a normal error, within [least, most].
---@param value number
---@param fields table {se, method, n, bias, ...}
---@param least number|nil
---@param most number|nil
---@return diffusion.interval
function interval.normal(value, fields, least, most)
  fields.low = math.max(least or -math.huge, value - z * fields.se)
  fields.high = math.min(most or math.huge, value + z * fields.se)
  return interval.new(fields)
end

--- Student's factor for 95 % with at least 4 degrees of freedom. It uses Hill's expansion (1970), which
--- is accurate to 0.3 %.
---@param freedom integer
---@return number
function interval.student(freedom)
  local x = z * z
  return z * (1 + (x + 1) / (4 * freedom) + (5 * x * x + 16 * x + 3) / (96 * freedom ^ 2)
    + (3 * x ^ 3 + 19 * x * x + 17 * x - 15) / (384 * freedom ^ 3))
end

--- Wilson's interval of a proportion (1927): k of n independent trials.
---@param k number
---@param n integer
---@return number low
---@return number high
function interval.wilson(k, n)
  local share, w = k / n, z * z / n
  local centre = (share + w / 2) / (1 + w)
  local reach = z * math.sqrt(share * (1 - share) / n + w / (4 * n)) / (1 + w)
  return k == 0 and 0 or centre - reach, k == n and 1 or centre + reach
end

--- The interval of the proportion k of n.
---@param k number
---@param n integer
---@param fields table {bias, ...}
---@return diffusion.interval
function interval.share(k, n, fields)
  fields.low, fields.high = interval.wilson(k, n)
  fields.method, fields.n = fields.method or "Wilson's interval of a share", fields.n or { n }
  return interval.new(fields)
end

--- The probability that a normal variable is at least x.
---@param x number
---@return number
function interval.tail(x) return core.tensor({ x / math.sqrt(2) }):erfc():item() / 2 end

--- The option that asks for an interval.
interval.rule = { "boolean", default = false,
  text = "a second result: the 95 % interval, and which way the value errs" }

return interval

--- Learning rates: functions from the number of a step, counted from 1, to a rate.
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"

local lr = {}

local peak = { "number", required = true, above = 0, text = "the highest rate, at the end of the warm-up" }
local warmup = { "integer", default = 0, min = 0, text = "steps in which the rate rises linearly to its peak" }
local total = { "integer", required = true, min = 1, text = "step at which the rate reaches its floor" }
local floor = { "number", default = 0, min = 0, text = "the rate from step `total` on" }

local constant_rules = opts.declare("lr_constant", { peak = peak, warmup = warmup })
local linear_rules = opts.declare("lr_linear", { peak = peak, total = total, warmup = warmup, floor = floor })
local cosine_rules = opts.declare("lr_cosine", { peak = peak, total = total, floor = floor })
local warmup_cosine_rules = opts.declare("lr_warmup_cosine", linear_rules)

-- The place of a step between the end of the warm-up (0) and `total` (1).
local function progress(step, o)
  return math.min(1, math.max(0, (step - o.warmup) / math.max(1, o.total - o.warmup)))
end

local function within_total(name, o)
  if o.warmup > o.total then fail.raise("%s: warmup = %d is more than total = %d steps", name, o.warmup, o.total) end
  return o
end

local step_rule = { "number", min = 0 }

-- Some loops begin with step 0, which is the start of the warm-up.
local function warming(shape, o)
  return function(step)
    opts.held("lr: the step", step, step_rule)
    if o.warmup > 0 and step <= o.warmup then return o.peak * step / o.warmup end
    return o.floor + (o.peak - o.floor) * shape(progress(step, o))
  end
end

--- One rate for every step, after a linear warm-up.
---@param options diffusion.lr_constant_options
---@return function step -> rate
function lr.constant(options)
  local o = opts.check("constant", options, constant_rules)
  o.floor, o.total = 0, math.maxinteger
  return warming(function() return 1 end, o)
end

--- A straight line from peak to floor at step `total`, after a linear warm-up.
---@param options diffusion.lr_linear_options
---@return function step -> rate
function lr.linear(options)
  local o = opts.check("linear", options, linear_rules)
  return warming(function(u) return 1 - u end, within_total("linear", o))
end

local function half_cosine(u) return (1 + math.cos(math.pi * u)) / 2 end

--- Half a cosine from peak to floor at step `total` (Loshchilov & Hutter 2017, eq. 5).
---@param options diffusion.lr_cosine_options
---@return function step -> rate
function lr.cosine(options)
  local o = opts.check("cosine", options, cosine_rules)
  o.warmup = 0
  return warming(half_cosine, o)
end

--- A linear warm-up of `warmup` steps, the first of which has peak/warmup, then half a cosine
--- from peak to floor at step `total`.
---@param options diffusion.lr_warmup_cosine_options
---@return function step -> rate
---@usage local rate = d.lr.warmup_cosine{ peak = 1e-3, warmup = 100, total = 1000 }
--- print(rate(1), rate(100), rate(1000))
function lr.warmup_cosine(options)
  local o = opts.check("warmup_cosine", options, warmup_cosine_rules)
  return warming(half_cosine, within_total("warmup_cosine", o))
end

return lr

-- The parts that guidances share: their options, the scale at a level, and the extrapolation from
-- one model's output beyond another's.
local core = require "diffusion.core"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"

local strength = {}

--- Options that guidances share.
strength.rules = {
  interval = { "table", as = "number[]", default_text = "all t",
    text = "{low, high} in t: guided only for low <= t <= high" },
  without = { "table", as = "table<string, diffusion.tensor>", default_text = "the class is dropped",
    text = "named inputs of the unconditional call: {context = empty}" },
}

-- t as a number, or as a list with a number for each sample.
local function listed(t)
  if not core.is_tensor(t) then return t end
  gradient.constant("guidance", "t", t)
  return t:numel() == 1 and t:item() or t:flatten():totable()
end

--- fn at each sample's level as a list, or one number if t is one number or all results are equal.
---@param t number|number[]|diffusion.tensor
---@param fn fun(t: number, i?: integer): number i: the sample's number, in a list
---@return number|number[]
function strength.each(t, fn)
  t = listed(t)
  if type(t) == "number" then return fn(t) end
  local out, same = {}, true
  for i, level in ipairs(t) do
    out[i] = fn(level, i)
    same = same and out[i] == out[1]
  end
  return same and out[1] or out
end

-- A copy of the option `interval`, {low, high} in t.
local function checked_interval(name, interval)
  if interval == nil then return nil end
  local low, high = interval[1], interval[2]
  if #interval ~= 2 or type(low) ~= "number" or type(high) ~= "number" or not (low <= high) then
    fail.raise("%s: interval must be {low, high} in t, low <= high, got {%s, %s}", name, kind.shown(low),
      kind.shown(high))
  end
  return { low, high }
end

--- The options of a guidance. Checks the model too.
---@param name string the guidance's name
---@param model any a denoiser
---@param options any
---@param rules table<string, table> for opts.check, with an `interval`
---@param argument integer number of the argument that holds the options
---@return table o
function strength.options(name, model, options, rules, argument)
  local o = opts.check(name, options, rules, argument)
  opts.denoiser(name, model)
  o.interval = checked_interval(name, o.interval)
  return o
end

--- The scale at t: `outside` if t isn't in the interval.
---@param o table {scale, interval}
---@param t number|number[]|diffusion.tensor
---@param outside number
---@return number|number[]
function strength.at(o, t, outside)
  local interval = o.interval
  if not interval then return o.scale end
  return strength.each(t, function(level)
    return level >= interval[1] and level <= interval[2] and o.scale or outside
  end)
end

--- u + scale (c - u), in one pass.
---@param u diffusion.tensor
---@param c diffusion.tensor
---@param scale number|number[] one, or one per sample
---@return diffusion.tensor
function strength.beyond(u, c, scale)
  if type(scale) == "number" then return core.ops.mix(1 - scale, u, scale, c) end
  local rest = {}
  for i, w in ipairs(scale) do rest[i] = 1 - w end
  return core.ops.mix(rest, u, scale, c)
end

--- The options of a call without the class.
---@param given table
---@return table
function strength.without_class(given)
  local out = {}
  for k, v in pairs(given) do out[k] = v end
  out.class = nil
  return out
end

-- The prediction and, if the output is twice as wide, the v of a learned variance.
local function apart(out, xt)
  local width = xt:size(-1)
  if out:size(-1) ~= 2 * width then return out end
  return out:narrow(-1, 1, width), out:narrow(-1, width + 1, width)
end

--- Raises unless a denoiser's output has the shape of xt, or is twice as wide (a learned variance).
---@param name string the caller's name
---@param out any
---@param xt diffusion.tensor
---@return diffusion.tensor
function strength.answer(name, out, xt)
  local twice = core.is_tensor(out) and out:dim() == xt:dim() and out:size(-1) == 2 * xt:size(-1)
  return answer.of_denoiser(name, out, xt, twice and 2 or 1)
end

--- Changes the prediction in an output. The v of a learned variance stays as it is.
---@param out diffusion.tensor
---@param xt diffusion.tensor
---@param change fun(value: diffusion.tensor): diffusion.tensor
---@return diffusion.tensor
function strength.changed(out, xt, change)
  local value, v = apart(out, xt)
  value = change(value)
  return v and core.ops.cat({ value, v }, -1) or value
end

--- u + scale (c - u) of two outputs. The v of a learned variance is c's.
---@param u diffusion.tensor
---@param c diffusion.tensor
---@param scale number|number[]
---@param xt diffusion.tensor
---@param finish? fun(out: diffusion.tensor, c: diffusion.tensor): diffusion.tensor applied to the
---  result, with c's prediction
---@return diffusion.tensor
function strength.mixed(u, c, scale, xt, finish)
  return strength.changed(c, xt, function(prediction)
    local out = strength.beyond((apart(u, xt)), prediction, scale)
    return finish and finish(out, prediction) or out
  end)
end

--- u + scale (c - u) of two functions that evaluate a model. If the scale is 0 or 1, only one
--- is evaluated.
---@param u fun(): diffusion.tensor
---@param c fun(): diffusion.tensor
---@param scale number|number[]
---@param xt diffusion.tensor
---@param finish? fun(out: diffusion.tensor, c: diffusion.tensor): diffusion.tensor as in mixed, if
---  both were evaluated
---@return diffusion.tensor
function strength.between(u, c, scale, xt, finish)
  if scale == 1 then return (c()) end
  local from = u()
  if scale == 0 then return from end
  return strength.mixed(from, c(), scale, xt, finish)
end

return strength

--- What guidances share: how strongly one acts at a level, and what lies beyond one answer as
--- seen from another.
local core = require "diffusion.core"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"

local strength = {}

-- t as a number, or as a list with a number for each sample.
local function listed(t)
  if not core.is_tensor(t) then return t end
  gradient.constant("guidance", "t", t)
  return t:numel() == 1 and t:item() or t:flatten():totable()
end

--- fn of a level, or the list of what it is for each sample; one number where all are the same.
---@param t number|number[]|diffusion.tensor
---@param fn fun(t: number, i?: integer): number i: which sample's, of a list
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

--- Takes an option `interval`: {low, high} in t.
---@param name string of the guidance
---@param interval any
---@return table|nil interval of its own
function strength.interval(name, interval)
  if interval == nil then return nil end
  local low, high = interval[1], interval[2]
  if #interval ~= 2 or type(low) ~= "number" or type(high) ~= "number" or not (low <= high) then
    fail.raise("%s: interval must be {low, high} in t, low <= high, got {%s, %s}", name, kind.shown(low),
      kind.shown(high))
  end
  return { low, high }
end

--- The scale at t: `outside` where that isn't in the interval.
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
---@param scale number|number[] one, or one a sample
---@return diffusion.tensor
function strength.beyond(u, c, scale)
  if type(scale) == "number" then return core.ops.mix(1 - scale, u, scale, c) end
  local rest = {}
  for i, w in ipairs(scale) do rest[i] = 1 - w end
  return core.ops.mix(rest, u, scale, c)
end

--- The options of a call, but for the class.
---@param given table
---@return table
function strength.without_class(given)
  local out = {}
  for k, v in pairs(given) do out[k] = v end
  out.class = nil
  return out
end

-- The prediction, and the v of a learned variance where one stands beside it.
local function apart(out, xt)
  local width = xt:size(-1)
  if out:size(-1) ~= 2 * width then return out end
  return out:narrow(-1, 1, width), out:narrow(-1, width + 1, width)
end

--- What a denoiser answered: as xt, or twice as wide where the variance is learned, or a sentence.
---@param name string who asked it
---@param out any
---@param xt diffusion.tensor
---@return diffusion.tensor
function strength.answer(name, out, xt)
  local twice = core.is_tensor(out) and out:dim() == xt:dim() and out:size(-1) == 2 * xt:size(-1)
  return answer.of_denoiser(name, out, xt, twice and 2 or 1)
end

--- Changes the prediction that an answer holds; v of a learned variance stays as it is.
---@param out diffusion.tensor
---@param xt diffusion.tensor
---@param change fun(value: diffusion.tensor): diffusion.tensor
---@return diffusion.tensor
function strength.changed(out, xt, change)
  local value, v = apart(out, xt)
  value = change(value)
  return v and core.ops.cat({ value, v }, -1) or value
end

--- u + scale (c - u) of two answers. Of a learned variance v is c's.
---@param u diffusion.tensor
---@param c diffusion.tensor
---@param scale number|number[]
---@param xt diffusion.tensor
---@param finish? fun(out: diffusion.tensor, told: diffusion.tensor): diffusion.tensor what becomes
---  of the result, told being c's
---@return diffusion.tensor
function strength.mixed(u, c, scale, xt, finish)
  return strength.changed(c, xt, function(told)
    local out = strength.beyond((apart(u, xt)), told, scale)
    return finish and finish(out, told) or out
  end)
end

--- The same of two denoisers, each a function that answers: where the scale is 0 or 1
--- only one is asked.
---@param u fun(): diffusion.tensor
---@param c fun(): diffusion.tensor
---@param scale number|number[]
---@param xt diffusion.tensor
---@param finish? fun(out: diffusion.tensor, told: diffusion.tensor): diffusion.tensor as of mixed, where
---  both were asked
---@return diffusion.tensor
function strength.between(u, c, scale, xt, finish)
  if scale == 1 then return (c()) end
  local from = u()
  if scale == 0 then return from end
  return strength.mixed(from, c(), scale, xt, finish)
end

return strength

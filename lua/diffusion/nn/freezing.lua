-- Which parameters of a model train. Those that are windows on a file are copied when training begins.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"

local freezing = {}

local private = object.private -- also `later`: the names of parameters that training will copy

-- ==== parameters of a file ===============================================================

--- Marks the adopted values of a model as trainable once training begins: freezing.trains copies them
--- then. Until then they are windows on a file.
---@param m table
---@return table m
function freezing.defer(m)
  local own = private[m]
  own.later = {}
  for i = 1, own.home:count() do
    if not own.home:trainable(i) then own.later[own.home:name(i)] = true end
  end
  return m
end

--- Makes those values trainable. d.adamw and d.ema call it.
---@param m table
function freezing.trains(m)
  local own = private[m]
  local later = own.later
  own.later = nil
  local list = {}
  for i = 1, later and own.home:count() or 0 do
    if later[own.home:name(i)] then list[#list + 1] = i end
  end
  own.home:set_trainable(list, true)
end

--- The number of elements of those values.
---@param m table
---@return integer
function freezing.later(m)
  local own, sum = private[m], 0
  for i = 1, own.later and own.home:count() or 0 do
    if own.later[own.home:name(i)] then sum = sum + own.home:value(i):numel() end
  end
  return sum
end

-- ==== by name ===========================================================================

-- The patterns of an argument: one, a list, or nil for all.
local function patterns_of(method, given)
  if given == nil then return { "" } end
  local list = type(given) == "string" and { given } or given
  if type(list) ~= "table" or #list == 0 then
    fail.raise("bad argument #1 to '%s' (a pattern of Lua's or a list of them expected, got %s)", method,
      kind.shown(given))
  end
  for _, pattern in ipairs(list) do
    if not (type(pattern) == "string" and fail.pcall(string.find, "", pattern)) then
      fail.raise("bad argument #1 to '%s' (a pattern of Lua's expected, got %s)", method, kind.shown(pattern))
    end
  end
  return list
end

-- The numbers of the parameters whose names match, in order. A pattern that matches none is a mistake.
local function matching(home, method, patterns)
  local chosen, list = {}, {}
  for _, pattern in ipairs(patterns) do
    local found = home:count() == 0
    for i = 1, home:count() do
      if home:name(i):find(pattern) then found, chosen[i] = true, true end
    end
    if not found then
      fail.raise("%s: no parameter matches '%s'; the first is '%s'", method, pattern, home:name(1))
    end
  end
  for i = 1, home:count() do
    if chosen[i] then list[#list + 1] = i end
  end
  return list
end

--- Freezes or unfreezes the parameters whose names match.
---@param m table
---@param method string for messages
---@param given any a pattern, a list of them, or nil for all
---@param on boolean whether they train
---@return table m
function freezing.set(m, method, given, on)
  local own = private[m]
  local list = matching(own.home, method, patterns_of(method, given))
  fail.call(own.home.set_trainable, own.home, list, on)
  for _, i in ipairs(own.later and list or {}) do own.later[own.home:name(i)] = nil end
  return m
end

-- ==== as it was =========================================================================

--- The parameters that train now, for freezing.restore.
---@param m table
---@return table
function freezing.kept(m)
  local own, list = private[m], {}
  for i = 1, own.home:count() do
    if own.home:trainable(i) then list[#list + 1] = i end
  end
  return { list = list, later = own.later and opts.joined(own.later) }
end

--- Lets train what did, after it was frozen.
---@param m table
---@param kept table from freezing.kept
function freezing.restore(m, kept)
  private[m].home:set_trainable(kept.list, true)
  private[m].later = kept.later
end

return freezing

-- The histories of the library's solvers, so that a file's history can be checked. A solver names
-- its fields, and the fields that each needs (families.lua: remembers). A field of one name has the
-- same meaning in all solvers.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"

local memory = {}

local MOST = 4 -- most values of earlier steps that a solver uses

local function is_number(value) return type(value) == "number" and value == value end

local function is_like_x(value, own)
  return core.is_tensor(value) and value:dtype() == core.real and kind.shape_text(value) == own.shape
end

-- Whether a list has values of earlier steps and their places, newest first.
local function is_list(list, own)
  if type(list) ~= "table" or #list < 1 or #list > MOST then return false end
  for key, entry in pairs(list) do
    local fine = math.type(key) == "integer" and type(entry) == "table" and is_like_x(entry.value, own)
    if not (fine and is_number(entry.place)) then return false end
  end
  return true
end

local function is_length(value) return is_number(value) and value ~= 0 end
local function is_amount(value) return is_number(value) and value >= 0 end

-- Whether the schedule has a level at this time.
local function is_time(value, own)
  local schedule = own.process.schedule
  return is_number(value) and value > 0 and fail.pcall(schedule.signal, schedule, value)
end

local fields = {
  past = is_list, used = is_list, block = is_list,
  m = is_like_x, m1 = is_like_x, x = is_like_x, fresh = is_like_x, own_x0 = is_like_x,
  h = is_length, h1 = is_length, tau = is_amount, residual = is_amount,
  t = is_time,
}

-- The fields that a field of this name requires, or nil if the solver has no such field.
local function needs_of(own, name)
  if name == "own_x0" then return own.self_condition and {} or nil end
  return (own.solver.remembers or {})[name]
end

--- A sentence that says why a history doesn't fit a run's solver, or nil. A solver of the user's may
--- store anything.
---@param own table a run's private state
---@param history table
---@param steps integer taken so far
---@return string|nil
function memory.trouble(own, history, steps)
  if own.name == "function" then return nil end
  if steps == 0 and next(history) ~= nil then return "its history isn't empty, but no step was taken" end
  for name, value in pairs(history) do
    local needs = needs_of(own, name)
    if not needs then return ("its history has '%s', which %s doesn't store"):format(tostring(name), own.name) end
    if not fields[name](value, own) then
      return ("its history's '%s' is not what %s stores for x %s"):format(name, own.name, own.shape)
    end
    for _, other in ipairs(needs) do
      if history[other] == nil then return ("its history has '%s' without '%s'"):format(name, other) end
    end
  end
end

return memory

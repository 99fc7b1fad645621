--- What solvers that come with the library remember from step to step, so that a file's history can be
--- held against it. A solver names its fields, and what each can't be without (families.lua: remembers);
--- a field of one name is the same thing in all.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"

local memory = {}

local MOST = 4 -- values of earlier steps that any solver asks

local function is_number(value) return type(value) == "number" and value == value end

local function is_like_x(value, run)
  return core.is_tensor(value) and value:dtype() == core.real and kind.shape_text(value) == run.shape
end

-- Values of earlier steps, newest first, and their places.
local function is_list(list, run)
  if type(list) ~= "table" or #list < 1 or #list > MOST then return false end
  for key, entry in pairs(list) do
    local fine = math.type(key) == "integer" and type(entry) == "table" and is_like_x(entry.value, run)
    if not (fine and is_number(entry.place)) then return false end
  end
  return true
end

local function is_length(value) return is_number(value) and value ~= 0 end
local function is_amount(value) return is_number(value) and value >= 0 end

-- A time that the schedule has a level for: real ones may begin at 1.
local function is_time(value, run)
  local schedule = run.process.schedule
  return is_number(value) and value > 0 and fail.pcall(schedule.signal, schedule, value)
end

local fields = {
  past = is_list, used = is_list, block = is_list,
  m = is_like_x, m1 = is_like_x, x = is_like_x, fresh = is_like_x, own_x0 = is_like_x,
  h = is_length, h1 = is_length, tau = is_amount, residual = is_amount,
  t = is_time,
}

-- What a solver of the library must have beside a field; nil: it has no such field.
local function needs_of(run, name)
  if name == "own_x0" then return run.self_condition and {} or nil end
  return (run.solver.remembers or {})[name]
end

--- What keeps a history from being that of a run's solver, as a sentence; nil: nothing. A user's own solver may
--- remember anything.
---@param run diffusion.run
---@param history table
---@param steps integer taken so far
---@return string|nil
function memory.trouble(run, history, steps)
  if run.name == "function" then return nil end
  if steps == 0 and next(history) ~= nil then return "its history isn't empty, but no step was taken" end
  for name, value in pairs(history) do
    local needs = needs_of(run, name)
    if not needs then return ("its history has '%s', which %s doesn't keep"):format(tostring(name), run.name) end
    if not fields[name](value, run) then
      return ("its history's '%s' is not what %s keeps of x %s"):format(name, run.name, run.shape)
    end
    for _, other in ipairs(needs) do
      if history[other] == nil then return ("its history has '%s' without '%s'"):format(name, other) end
    end
  end
end

return memory

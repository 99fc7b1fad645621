-- Schedules made by the core, with the options that made them, for their config.
local fail = require "diffusion.fail"
local private = require("diffusion.object").private

local made = {}

-- The largest number of steps. A file that names a schedule in few bytes doesn't warrant the tables of more.
made.MOST_STEPS = 100000

--- The rule of the number of steps, an option of every named schedule.
made.steps = { "integer", default = 1000, min = 1, max = made.MOST_STEPS, text = "number of steps" }

-- Pairs of options. The first must not be above the second.
local ends = { { "beta_start", "beta_end" }, { "beta_min", "beta_max" }, { "sigma_min", "sigma_max" },
               { "log_snr_min", "log_snr_max" } }

local from_file = false

--- Makes a schedule that a file describes. Falling betas are accepted, since a model was trained
--- on them.
---@param make function
---@param o table its options
---@return any schedule nil with a message
---@return string|nil message
function made.of_file(make, o)
  from_file = true
  local s, message = fail.try(make, o)
  from_file = false
  return s, message
end

--- Raises if the ends of a schedule are in the wrong order.
---@param what string the function's name, as the user writes it
---@param o table
function made.check_ends(what, o)
  for _, pair in ipairs(from_file and {} or ends) do
    local low, high = o[pair[1]], o[pair[2]]
    if low and high and low > high then
      fail.raise("%s: %s = %g is above %s = %g; noise grows with t, so swap them", what, pair[1], low,
        pair[2], high)
    end
  end
end

--- Raises the core's message if it made no schedule.
---@param what string the function's name, as the user writes it
---@param config table|nil plain values that define the schedule
---@param s any schedule, or nil
---@param message string|nil
---@return any s
function made.schedule(what, config, s, message)
  if not s then fail.raise("%s: %s", what, message) end
  private[s] = config
  return s
end

return made

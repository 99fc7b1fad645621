-- Schedules made by the core, and the options that each was made with, for its config.
local fail = require "diffusion.fail"
local private = require("diffusion.object").private

local made = {}

--- The rule of the number of steps, an option of every named schedule.
made.steps = { "integer", default = 1000, min = 1, max = 1000000, text = "number of steps" }

--- Raises the core's message if it made no schedule.
---@param what string the function's name, as the user writes it
---@param config table|nil plain values to make it again from
---@param s any schedule, or nil
---@param message string|nil
---@return any s
function made.schedule(what, config, s, message)
  if not s then fail.raise("%s: %s", what, message) end
  private[s] = config
  return s
end

return made

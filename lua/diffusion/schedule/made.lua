-- A schedule that the core has made, or its sentence at the user's line; and how each was
-- asked for, so that it can be asked for again (config).
local fail = require "diffusion.fail"

local made = { config_of = setmetatable({}, { __mode = "k" }) }

--- Number of steps, an option of every named schedule.
made.steps = { "integer", default = 1000, min = 1, max = 1000000 }

--- Takes what the core answered.
---@param what string the function's name, as the user writes it
---@param config table|nil plain values to make it again from
---@param s any schedule, or nil
---@param message string|nil
---@return any s
function made.schedule(what, config, s, message)
  if not s then fail.raise("%s: %s", what, message) end
  made.config_of[s] = config
  return s
end

return made

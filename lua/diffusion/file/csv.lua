-- Logs as CSV files: a line of names, then one row per step, whose number comes first.
local core = require "diffusion.core"

local csv = {}

-- The rows of a log up to a step, after its line of names.
local function rows_until(path, names, step)
  local f <close> = io.open(path, "rb")
  local rows = { names }
  for line in f and f:lines "L" or function() end do
    local at = line:match "^(%d+),.*\n$"
    if at and tonumber(at) <= step then rows[#rows + 1] = line end
  end
  return table.concat(rows)
end

--- Opens a log. After step 0 a file keeps its rows up to that step, since after a kill it may be
--- ahead of the checkpoint. A pipe or a terminal keeps its rows.
---@param path string
---@param names string "step,loss\\n"
---@param step integer the last step taken
---@return table|nil log with write(row) -> true, or nil and a message; nil with a message if it can't be written
---@return string|nil message
function csv.log(path, names, step)
  local done, message = core.place(path)
  local goes_on = done == "file" and step > 0
  if goes_on then done, message = core.write_file(path, { rows_until(path, names, step) }) end
  if not done then return nil, message end
  local log
  log, message = core.log(path, not goes_on)
  if log and not goes_on then done, message = log:write(names) end
  if not (log and done) then return nil, message end
  return log
end

return csv

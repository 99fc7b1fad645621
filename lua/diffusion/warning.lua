--- Warnings about likely mistakes. Each is shown once per kind and object.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"

local warning = {}

local given = setmetatable({}, { __mode = "k" }) -- object -> { kind of warning = true }

local function to_stderr(message) io.stderr:write("diffusion: warning: ", message, "\n") end

local function to_nobody() end

local show = to_stderr

--- Shows a warning, the first time for this object.
---@param object any its subject, not nil
---@param which string the kind of warning
---@param format string as in string.format
---@param ... any its arguments
function warning.once(object, which, format, ...)
  local own = given[object] or {}
  given[object] = own
  if own[which] then return end
  own[which] = true
  show(fail.placed((legible.said(format, ...):gsub("%-nan", "nan"))))
end

--- Sends warnings about likely mistakes to stderr (the default), nowhere, or to a function. Each
--- kind of warning is given once per model, objective or optimiser.
---@param where boolean|fun(message: string) true is stderr, false is nowhere
---@usage d.warnings(function(message) print("note: " .. message) end)
--- d.warnings(true)
function warning.warnings(where)
  if where == true then show = to_stderr
  elseif where == false then show = to_nobody
  elseif kind.callable(where) then show = where
  else fail.raise("bad argument #1 to 'warnings' (true, false or a function expected, got %s)", kind.shown(where)) end
end

return warning

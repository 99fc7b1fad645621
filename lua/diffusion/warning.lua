--- Warnings: what is allowed but is most likely a mistake, told once for each kind and object.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"

local warning = {}

local given = setmetatable({}, { __mode = "k" }) -- object -> { kind of warning = true }

local function to_stderr(message) io.stderr:write("diffusion: warning: ", message, "\n") end

local function to_nobody() end

local show = to_stderr

--- Warns once for a kind of warning and an object.
---@param object any what it is about, which isn't nil
---@param which string the kind of warning
---@param format string of string.format
---@param ... any its arguments
function warning.once(object, which, format, ...)
  local own = given[object] or {}
  given[object] = own
  if own[which] then return end
  own[which] = true
  show(fail.placed((legible.said(format, ...):gsub("%-nan", "nan"))))
end

--- Where warnings go: to stderr, as at the start, nowhere, or to a function. Each is given once
--- for its kind and its model, objective or optimiser.
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

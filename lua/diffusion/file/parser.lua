-- Errors of parsers. A parser raises a fault where it finds one, however deep; the call that
-- started the parser returns it as nil and a message.
local core = require "diffusion.core"
local legible = require "diffusion.legible"

local parser = {}

-- A fault is a table with a metatable of its own, so no other error is taken for one.
local Fault = { __tostring = function(fault) return fault.message end }

--- The function with which a parser raises its faults.
---@param name string|nil name of the format, with which each message begins
---@return fun(format: string, ...: any) fault as string.format; foreign names are made printable
function parser.fault(name)
  local prefix = name and name .. ": " or ""
  return function(format, ...)
    error(setmetatable({ message = legible.said(prefix .. format, ...) }, Fault), 0)
  end
end

--- The function with which a parser raises its faults of a file.
---@param path string
---@return fun(format: string, ...: any) fault
function parser.fault_of(path) return parser.fault((path:gsub("%%", "%%%%"))) end

local raise = parser.fault()

--- The result of a call that returns nil and a message when it fails. The message becomes a fault.
---@param value any
---@param message string|nil
---@return any value
function parser.need(value, message)
  if value == nil then raise("%s", message) end
  return value
end

local function settle(fine, ...)
  if fine then return ... end
  local fault = ...
  if getmetatable(fault) ~= Fault then error(fault, 0) end
  return nil, fault.message
end

--- Calls a parser, in C's locale. Its fault becomes nil and a message; any other error is
--- raised again.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns, or nil and the message
function parser.run(fn, ...) return settle(pcall(core.in_c_locale, fn, ...)) end

return parser

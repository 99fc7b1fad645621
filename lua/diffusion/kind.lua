-- Kinds of values, and how messages show a value.
local legible = require "diffusion.legible"

local kind = {}

--- The kind of a value: "integer", "number", "string", "tensor", "process", ...
---@param value any
---@return string kind the metatable's name without "diffusion.", or Lua's type
function kind.of(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and type(value) ~= "string" and rawget(meta, "__name")
  if type(name) == "string" then return (name:gsub("^diffusion%.", "")) end
  return math.tointeger(value) and math.type(value) and "integer" or type(value)
end

--- Whether a value can be called.
---@param value any
---@return boolean
function kind.callable(value)
  local meta = debug.getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- A tensor's shape as messages show it: "[8,28,28,1]".
---@param x any
---@return string
function kind.shape_text(x) return "[" .. table.concat(x:shape(), ",") .. "]" end

--- A value as messages show it: numbers and strings themselves, tensors by their shape,
--- anything else by its kind.
---@param value any
---@return string
function kind.shown(value)
  if value ~= value then return "nan" end
  if type(value) == "string" then return ("'%s'"):format(legible.line(value)) end
  if type(value) == "number" or type(value) == "boolean" then return legible.text(value) end
  if kind.of(value) ~= "tensor" then return kind.of(value) end
  local fine, text = pcall(kind.shape_text, value)
  return fine and "a tensor " .. text or "a freed tensor"
end

--- The end of a message about integers if floats are expected.
---@param x diffusion.tensor
---@return string advice empty if x holds floats
function kind.float_advice(x)
  local dtype = x:dtype()
  return (dtype == "u8" or dtype == "i64") and "; d.image.to_float brings images into [-1, 1]" or ""
end

return kind

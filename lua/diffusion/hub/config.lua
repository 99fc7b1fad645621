-- The JSON files that describe models: config.json, model_index.json, scheduler_config.json. Keys that
-- are absent stand for the defaults of the class. Keys that begin with an underscore are bookkeeping.
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"

local config = {}

local MOST = 1 << 24 -- bytes of a description; real ones have a few thousand

--- Reads a description.
---@param path string
---@return table<string, any>|nil config nil with a message
---@return string|nil message
function config.read(path) return json.read(path, "a description of a model", MOST) end

--- The keys that the class of a config reads. Bookkeeping is left out, and so are keys that it lists as
--- defaults.
---@param given table<string, any>
---@return table<string, any>
function config.keys(given)
  local out, defaults = {}, given._use_default_values
  for key, value in pairs(given) do
    if key:sub(1, 1) ~= "_" then out[key] = value end
  end
  for _, key in ipairs(type(defaults) == "table" and defaults or {}) do
    if type(key) == "string" then out[key] = nil end
  end
  return out
end

--- The class that a config names, nil if it names none.
---@param path string
---@param given table<string, any>
---@return string|nil class
---@return string|nil message if it is damaged
function config.class(path, given)
  local class = given._class_name
  if class == nil or class == json.null then return nil end
  if type(class) ~= "string" then
    return legible.refused("%s: '_class_name' must be a name, got %s", path, config.shown(class))
  end
  return class
end

--- A value of a config as messages show it.
---@param value any
---@return string
function config.shown(value)
  if value == json.null then return "null" end
  return type(value) == "table" and json.encode(value) or kind.shown(value)
end

--- The text of a description as diffusers writes it.
---@param given table<string, any>
---@return string
function config.text(given) return json.encode(given, true) .. "\n" end

return config

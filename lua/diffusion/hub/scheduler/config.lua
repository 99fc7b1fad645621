-- Reading a scheduler's config: the file as it is found, its class, and its options with defaults.
local classes = require "diffusion.hub.scheduler.classes"
local fail = require "diffusion.fail"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local refused = require "diffusion.hub.scheduler.refused"

local config = {}

local name = "scheduler_config.json"

-- The text of the first of some files that exists, or nil and a message.
local function first_text(paths)
  local why
  for _, path in ipairs(paths) do
    local file, message = io.open(path, "rb")
    local text, trouble = nil, message
    if file then
      text, trouble = file:read "a"
      file:close()
    end
    if text then return text, path end
    why = why or trouble
  end
  return nil, why
end

-- Reads the table of a file, of a folder, or of the folder of a pipeline.
local function read(path)
  local paths = { path .. "/" .. name, path .. "/scheduler/" .. name, path }
  local text, found = first_text(paths)
  if not text then return legible.refused("%s: no %s there, nor in its folder scheduler", path, name) end
  local value, message = json.decode(text)
  if type(value) ~= "table" or #value > 0 or value == json.null then
    return legible.refused("%s: %s", found, value == nil and message or "an object expected")
  end
  return value, found
end

-- The options that diffusers would read: no bookkeeping, and no value that _use_default_values replaces by the
-- class's default. Null is Python's None, which is false where a truth value is meant.
local function meant(class, given)
  local out = {}
  for key, value in pairs(given) do
    if value == json.null then
      if (class.keys[key] or {})[1] == "boolean" then out[key] = false end
    elseif type(key) == "string" and key:sub(1, 1) ~= "_" then
      out[key] = value
    end
  end
  local defaults = given._use_default_values
  for _, key in ipairs(type(defaults) == "table" and defaults or {}) do out[key] = nil end
  if out.trained_betas then out.beta_schedule = nil end -- trained_betas come first
  return out
end

-- Checks the known keys of a class. Others are ignored: files are copied between classes.
local function checked(class, name_of, given)
  local known = {}
  for key in pairs(class.keys) do known[key] = given[key] end
  return opts.check(name_of, known, class.keys, 0)
end

-- The entry of a class by its name, or nil and a message.
local function find(class)
  if class == nil or class == json.null then
    return nil, "_class_name is missing, so the scheduler's class isn't known"
  end
  if type(class) ~= "string" then
    return nil, ("_class_name must be the name of a class, got %s"):format(kind.shown(class))
  end
  if classes[class] then return classes[class] end
  if refused[class] then return nil, ("%s: %s"):format(class, refused[class]) end
  return nil, opts.unknown("scheduler", class, opts.names(classes))
end

--- The class, its checked options and its name, of a table or of a file.
---@param given table|string a config, the path of its file, or of a folder that has it
---@return table|nil class nil with a message if it can't be followed
---@return table|string options
---@return string name
function config.read(given)
  local where = "hub.scheduler"
  if type(given) == "string" then
    local found
    given, found = read(opts.path("hub.scheduler", given))
    if not given then return nil, found, "" end
    where = found
  elseif type(given) ~= "table" then
    fail.raise("bad argument #1 to 'hub.scheduler' (a config or a path expected, got %s)", kind.shown(given))
  end
  local class, message = find(given._class_name)
  if not class then return nil, ("%s: %s"):format(where, message), "" end
  local options, fault = fail.try(checked, class, given._class_name, meant(class, given))
  if not options then return nil, ("%s: %s"):format(where, fault), "" end
  return class, options, given._class_name
end

return config

-- The settings of a drawn picture, as its PNG carries them: the flags, and the names and checksums of files.
-- They hold no path outside of the folder in which the command ran.
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local lora_file = require "diffusion.nn.lora_file"

local settings = {}

local KEY, FORM = "diffusion", 1

-- ==== files =============================================================================

--- The name of a path in settings: the path itself if it lies below the working folder, or its last part.
---@param path string
---@return string
function settings.name(path)
  path = path:gsub("(.)[/\\]+$", "%1")
  local plain = not path:find "^[/\\~]" and not path:find "^%a:" and not ("/" .. path .. "/"):find("/../", 1, true)
  return plain and path or path:match "[^/\\]+$" or path
end

-- Whether a name of settings stays below the working folder.
local function is_plain(name) return type(name) == "string" and name ~= "" and settings.name(name) == name end

--- The checksum of a file: CRC-32, as eight digits. A folder of adapters has that of their file.
---@param path string
---@return string|nil sum nil with a message if it can't be read
---@return string|nil message
function settings.sum(path)
  local file <close>, message = core.map(lora_file.found(path))
  if not file then return nil, message end
  return ("%08x"):format(file:crc())
end

--- The checksums of files by the same keys.
---@param paths table<string, string>
---@return table<string, string>|nil
---@return string|nil message
function settings.sums(paths)
  local out = {}
  for label, path in pairs(paths) do
    local sum, message = settings.sum(path)
    if not sum then return nil, message end
    out[label] = sum
  end
  return out
end

-- ==== text ==============================================================================

-- JSON in ASCII, which a text of a PNG holds whatever its reader takes for the letters.
local function ascii(text)
  return (text:gsub(utf8.charpattern, function(letter)
    if #letter == 1 then return nil end
    local code = utf8.codepoint(letter)
    if code < 0x10000 then return ("\\u%04x"):format(code) end
    code = code - 0x10000
    return ("\\u%04x\\u%04x"):format(0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
  end))
end

--- The texts of a PNG with settings.
---@param values table
---@return table<string, string>
function settings.text(values)
  values.form = FORM
  return { [KEY] = ascii(json.encode(values)) }
end

local function is_sums(sums)
  if type(sums) ~= "table" then return false end
  for label, sum in pairs(sums) do
    if type(label) ~= "string" or type(sum) ~= "string" then return false end
  end
  return true
end

local function is_value(key, value)
  if key == "tokenizer" then return is_plain(value) end
  if type(value) ~= "table" then return type(value) == "string" or type(value) == "number" end
  if key == "size" then return math.type(value.width) == "integer" and math.type(value.height) == "integer" end
  return is_plain(value.name) and type(value.sum) == "string"
end

-- The fault of settings, or nil.
local function fault(values)
  if type(values) ~= "table" or type(values.form) ~= "number" then return "they are damaged" end
  if values.form > FORM then return ("they are of form %d; this version reads up to %d"):format(values.form, FORM) end
  local model = values.model
  if type(model) ~= "table" or not is_plain(model.name) or not is_sums(model.files) then
    return "their model is damaged"
  end
  if type(values.flags) ~= "table" then return "their flags are damaged" end
  if values.image ~= nil and not (math.type(values.image) == "integer" and values.image >= 1) then
    return "their number of the image is damaged"
  end
  for key, value in pairs(values.flags) do
    if not is_value(key, value) then return ("their '%s' is %s"):format(legible.line(key), kind.shown(value)) end
  end
end

--- The settings of a PNG that the command drew.
---@param info table from d.image.info
---@param path string
---@return table|nil values nil with a message
---@return string|nil message
function settings.read(info, path)
  local text = info.text[KEY]
  if not text then return legible.refused("%s: no settings of `diffusion sample` inside", path) end
  local values = json.decode(text)
  local wrong = fault(values)
  if wrong then return legible.refused("%s: its settings: %s", path, wrong) end
  return values
end

return settings

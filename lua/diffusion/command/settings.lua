-- The settings of a drawn picture, as its PNG carries them: the flags, and the names and checksums of files.
-- They hold no path outside of the folder in which the command ran.
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local lora_file = require "diffusion.nn.lora_file"
local opts = require "diffusion.opts"

local settings = {}

local KEY, FORM = "diffusion", 1

-- ==== files =============================================================================

-- Whether a path stays below the working folder.
local function is_below(path)
  return path ~= "" and not path:find "^[/\\~]" and not path:find "^%a:"
    and not ("/" .. path:gsub("\\", "/") .. "/"):find("/../", 1, true)
end

--- The name of a path in settings: the path itself if it lies below the working folder, or its last part. Bytes
--- that aren't UTF-8 become question marks, since JSON has none.
---@param path string
---@return string
function settings.name(path)
  path = path:gsub("(.)[/\\]+$", "%1")
  local name = is_below(path) and path or path:match "[^/\\]+$" or ""
  if not is_below(name) then return "elsewhere" end -- "..", "/" and "C:" have no name of their own
  return utf8.len(name) and name or (name:gsub("[\x80-\xFF]", "?"))
end

-- Whether a name of settings is one that they may hold.
local function is_plain(name) return type(name) == "string" and settings.name(name) == name end

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

-- Whether sums are those of a file or more.
local function is_sums(sums)
  if type(sums) ~= "table" or next(sums) == nil then return false end
  for label, sum in pairs(sums) do
    if type(label) ~= "string" or type(sum) ~= "string" then return false end
  end
  return true
end

local function is_integer(value) return math.type(value) == "integer" end
local function is_text(value) return type(value) == "string" end

-- Whether a value is one of a kind of flags.
local is_of = {
  text = is_text, integer = is_integer, path = is_plain,
  number = function(value) return type(value) == "number" end,
  class = function(value) return is_integer(value) or is_text(value) end,
  size = function(value) return type(value) == "table" and is_integer(value.width) and is_integer(value.height) end,
  summed = function(value) return type(value) == "table" and is_plain(value.name) and is_text(value.sum) end,
}

-- The fault of flags, or nil.
local function fault_of_flags(flags, kinds)
  if type(flags) ~= "table" then return "their flags are damaged" end
  for _, key in ipairs(opts.names(flags)) do
    local one = kinds[key]
    if not one then return ("'%s' is no flag of this version"):format(legible.line(key)) end
    if not is_of[one](flags[key]) then return ("their '%s' is %s"):format(key, kind.shown(flags[key])) end
  end
  if not flags.seed then return "their 'seed' is missing" end
end

-- The fault of the number of an image, or nil.
local function fault_of_image(image, n)
  if is_integer(image) and image >= 1 and image <= (n or 1) then return nil end
  return "their number of the image is damaged"
end

-- The fault of settings, or nil.
local function fault(values, kinds)
  if type(values) ~= "table" or not is_integer(values.form) or values.form < 1 then return "they are damaged" end
  if values.form > FORM then return ("they are of form %d; this version reads up to %d"):format(values.form, FORM) end
  local model = values.model
  if type(model) ~= "table" or not is_plain(model.name) or not is_sums(model.files) then
    return "their model is damaged"
  end
  return fault_of_flags(values.flags, kinds) or fault_of_image(values.image, values.flags.n)
end

--- The settings of a PNG that the command drew.
---@param info table from d.image.info
---@param path string
---@param kinds table<string, string> the kinds of the flags that settings may have
---@return table|nil values nil with a message
---@return string|nil message
function settings.read(info, path, kinds)
  local text = info.text[KEY]
  if not text then return legible.refused("%s: no settings of `diffusion sample` inside", path) end
  local values = json.decode(text)
  local wrong = fault(values, kinds)
  if wrong then return legible.refused("%s: its settings: %s", path, wrong) end
  return values
end

return settings

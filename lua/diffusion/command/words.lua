-- The words of a command: flags with values, each declared once, and the places without a flag.
local fail = require "diffusion.fail"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"

local words = {}

-- ==== values ============================================================================

local read = {}

function read.text(value) return value end
read.file = read.text

function read.number(value)
  local x = tonumber(value)
  return x and x - x == 0 and x or nil, "a number"
end

function read.integer(value)
  local x = math.tointeger(tonumber(value))
  return x, "a whole number"
end

-- WIDTHxHEIGHT, as programs for pictures write it.
function read.size(value)
  local width, height = value:match "^(%d+)[xX](%d+)$"
  return width and { width = math.tointeger(width), height = math.tointeger(height) } or nil, "WIDTHxHEIGHT, as 512x512"
end

-- A number or a name.
function read.class(value) return math.tointeger(tonumber(value)) or value end

-- ==== reading ===========================================================================

local function flag_of(command, word)
  local names = {}
  for _, flag in ipairs(command.flags) do
    if flag.name == word or flag.short == word then return flag end
    names[#names + 1] = flag.name
  end
  fail.raise("%s: %s; `diffusion %s --help` lists them", command.name, opts.unknown("flag", word, names), command.name)
end

local function valued(command, flag, value)
  if value == nil then fail.raise("%s: %s needs a value, %s", command.name, flag.name, flag.value) end
  local found, expected = read[flag.kind](value)
  if found == nil then
    fail.raise("%s: %s: %s expected, got '%s'", command.name, flag.name, expected, legible.line(value))
  end
  return found
end

-- A flag and its value, which may be one word: --steps=20.
local function apart(word)
  local name, value = word:match "^(%-%-[^=]+)=(.*)$"
  if name then return name, value end
  return word
end

--- The values of words by the keys of their flags, and those without a flag in order.
---@param command table {name, flags, places = number of words without a flag}
---@param list string[]
---@return table values with help = true if the user asks for it
---@return string[] places
function words.read(command, list)
  local out, places, i = {}, {}, 1
  while i <= #list do
    local name, value = apart(list[i])
    if name == "--help" or name == "-h" then out.help = true
    elseif name:find "^%-." then
      local flag = flag_of(command, name)
      if value == nil then i, value = i + 1, list[i + 1] end
      if out[flag.key] ~= nil then fail.raise("%s: %s is given twice", command.name, flag.name) end
      out[flag.key] = valued(command, flag, value)
    else places[#places + 1] = list[i] end
    i = i + 1
  end
  if #places > command.places then
    fail.raise("%s: '%s' is a word too many; quote a text of several words", command.name,
      legible.line(places[command.places + 1]))
  end
  return out, places
end

--- The help of a command.
---@param command table {name, usage, text, flags, examples}
---@return string
function words.help(command)
  local lines = { "usage: diffusion " .. command.usage, command.text, "" }
  local function add(name, short, text)
    lines[#lines + 1] = ("  %-4s%-20s %s"):format(short and short .. "," or "", name, text)
  end
  for _, flag in ipairs(command.flags) do add(flag.name .. " " .. flag.value, flag.short, flag.text) end
  add("--help", "-h", "these lines")
  lines[#lines + 1] = "\nexamples:"
  for _, one in ipairs(command.examples) do lines[#lines + 1] = "  diffusion " .. one end
  return table.concat(lines, "\n")
end

return words

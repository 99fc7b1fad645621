-- JSON for configs and metadata; the only file that uses dkjson. Python's bare Infinity and
-- NaN are read and written. Nesting is limited to 64. Doubles keep every bit.
local core = require "diffusion.core"
local dkjson = require "dkjson"
local fail = require "diffusion.fail"
local legible = require "diffusion.legible"
local signature = require "diffusion.file.signature"

local json = {
  null = dkjson.null, ---stands for null
}

local DEPTH = 64

-- Stands for NaN, which JSON cannot write. No string of JSON holds the byte, since it isn't UTF-8.
local NAN = "\xffNaN"

local WORDS = { Infinity = "1e999", NaN = '"' .. NAN .. '"' } -- 1e999 reads as infinity

-- Checks the nesting and replaces Python's bare words, outside strings.
local function prepare(text)
  local out, from, at, depth = {}, 1, 1, 0
  while true do
    local found, _, sign = text:find('(["%[%]{}IN])', at)
    if not found then break end
    at = found + 1
    if sign == '"' then
      repeat
        local stop = text:find('["\\]', at)
        if not stop then return nil, "a string without an end" end
        sign = text:sub(stop, stop)
        at = stop + (sign == '"' and 1 or 2)
      until sign == '"'
    elseif sign == "I" or sign == "N" then
      local word = text:match("^%a+", found)
      at = found + #word -- past the word, known or not
      if WORDS[word] then
        out[#out + 1] = text:sub(from, found - 1) .. WORDS[word]
        from = at
      end
    else
      depth = depth + ((sign == "[" or sign == "{") and 1 or -1)
      if depth > DEPTH then return nil, ("nested deeper than %d"):format(DEPTH) end
    end
  end
  return table.concat(out) .. text:sub(from)
end

local function restore_nan(value)
  if value == NAN then return 0 / 0 end
  if type(value) == "table" then
    for k, v in pairs(value) do value[k] = restore_nan(v) end
  end
  return value
end

-- A half of a pair of surrogates, as dkjson reads its escape.
local HALF = "\xed[\xa0-\xbf]"

-- dkjson reads keys in lists, any values as keys of objects, and half pairs. Returns the fault, or nil.
local function fault_of(value)
  if type(value) == "string" then return value:find(HALF) and "an escape of half a character" or nil end
  if type(value) ~= "table" or value == json.null then return nil end
  local is_array = (getmetatable(value) or {}).__jsontype == "array"
  for key, inner in pairs(value) do
    if is_array and type(key) ~= "number" then return "a key in a list" end
    if not is_array and type(key) ~= "string" then return "an object with a key that is no string" end
    local fault = fault_of(key) or fault_of(inner)
    if fault then return fault end
  end
end

local function decode(text)
  local length, bad = utf8.len(text)
  if not length then return nil, ("json: byte %d isn't UTF-8"):format(bad) end
  local ready, why = prepare(text)
  if not ready then return nil, "json: " .. why end
  local fine, value, stop, message = fail.pcall(dkjson.decode, ready, 1, json.null)
  if not fine then return nil, "json: " .. tostring(value) end
  if message then return nil, "json: " .. message end
  local beyond = ready:find("%S", stop)
  if beyond then return nil, ("json: text after the value, at byte %d"):format(beyond) end
  local fault = fault_of(value)
  if fault then return nil, "json: " .. fault end
  if ready ~= text then value = restore_nan(value) end
  return value
end

--- Reads one JSON value. Integers stay integers, and null becomes json.null. Text after the
--- value is an error.
---@param text string
---@return any value nil with a message if the text isn't JSON
---@return string|nil message
function json.decode(text) return core.in_c_locale(decode, text) end

--- Reads a file that holds one object of JSON.
---@param path string
---@param what string "a vocabulary", for messages
---@param most integer bytes that it may have
---@return table<string, any>|nil object with some keys; nil with a message
---@return string|nil message
function json.read(path, what, most)
  local file <close>, message = core.map(path)
  if not file then return nil, message end
  if file:size() > most then return legible.refused("%s: %d bytes, too many for %s", path, file:size(), what) end
  local found, why = json.decode(file:text(0, file:size()))
  if type(found) == "table" and next(found) and #found == 0 then return found end
  if found ~= nil then return legible.refused("%s: an object of JSON with some keys expected", path) end
  return legible.refused("%s: %s", path, signature.mismatch(file, what, { json = true }) or why)
end

local function number_text(x)
  if math.type(x) == "integer" then return ("%d"):format(x) end
  if x ~= x then return "NaN" end
  if x == math.huge or x == -math.huge then return x > 0 and "Infinity" or "-Infinity" end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(x)
    if tonumber(text) == x then return text:find "[.e]" and text or text .. ".0" end
  end
end

-- Whether the table's keys are 1 to n. An empty table is a list only if it is marked as one.
local function is_list(value)
  local meta, n = getmetatable(value), 0
  for key in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #value then return false end
    n = n + 1
  end
  return n == #value and (n > 0 or meta ~= nil and meta.__jsontype == "array")
end

local function string_text(text)
  if not utf8.len(text) then error("json: a string that isn't UTF-8", 0) end
  return dkjson.quotestring(text)
end

local encode

local function list_parts(value, depth, pretty)
  local parts = {}
  for i = 1, #value do parts[i] = encode(value[i], depth, pretty) end
  return parts
end

local function object_parts(value, depth, pretty)
  local keys, parts = {}, {}
  for key in pairs(value) do
    if type(key) ~= "string" then
      error(("json: a table with the key %s is neither a list nor an object"):format(tostring(key)), 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = string_text(key) .. (pretty and ": " or ":") .. encode(value[key], depth, pretty)
  end
  return parts
end

local function bracketed(open, parts, close, depth, pretty)
  if not pretty or #parts == 0 then return open .. table.concat(parts, ",") .. close end
  local line = "\n" .. ("  "):rep(depth)
  return open .. line .. table.concat(parts, "," .. line) .. line:sub(1, -3) .. close
end

function encode(value, depth, pretty)
  local kind = type(value)
  if value == json.null then return "null" end
  if kind == "number" then return number_text(value) end
  if kind == "string" then return string_text(value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" then error(("json: a %s can't be written"):format(kind), 0) end
  depth = depth + 1
  if depth > DEPTH then error(("json: nested deeper than %d"):format(DEPTH), 0) end
  if is_list(value) then return bracketed("[", list_parts(value, depth, pretty), "]", depth, pretty) end
  return bracketed("{", object_parts(value, depth, pretty), "}", depth, pretty)
end

--- Writes a value with sorted keys and exact doubles, an empty table as {}. Raises if JSON has
--- no form for it, or if json.decode would not read it.
---@param value any numbers, strings, booleans, json.null, lists and tables of them
---@param pretty boolean|nil one member a line, indented by two
---@return string
function json.encode(value, pretty)
  return core.in_c_locale(encode, value, 0, pretty)
end

return json

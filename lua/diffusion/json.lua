-- JSON, the one door to dkjson: configs and metadata, in and out. Python's bare Infinity
-- and NaN are taken and written; nesting is capped; doubles keep every bit.
local dkjson = require "dkjson"
local opts = require "diffusion.opts"

local json = {
  null = dkjson.null, ---what null reads as, and is written from
}

local DEPTH = 64

-- Nesting counted and Python's bare words replaced, outside strings: 1e999 reads as
-- infinity, and NaN, which no JSON number is, stands as a string that no text can hold.
local NAN = "\1NaN\1"
local WORD = { Infinity = "1e999", NaN = '"\\u0001NaN\\u0001"' }

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
      if WORD[word] then
        out[#out + 1] = text:sub(from, found - 1) .. WORD[word]
        at = found + #word
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

--- Reads one JSON value. Integers stay integers; null is json.null; what follows the value
--- is an error.
---@param text string
---@return any value nil with a message where the text isn't JSON
---@return string|nil message
function json.decode(text)
  local ready, why = prepare(text)
  if not ready then return nil, "json: " .. why end
  local fine, value, stop, message = opts.caught(dkjson.decode, ready, 1, json.null)
  if not fine then return nil, "json: " .. tostring(value) end
  if message then return nil, "json: " .. message end
  local beyond = ready:find("%S", stop)
  if beyond then return nil, ("json: text after the value, at byte %d"):format(beyond) end
  if ready ~= text then value = restore_nan(value) end
  return value
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

local function is_list(value)
  local meta = getmetatable(value)
  if meta and meta.__jsontype then return meta.__jsontype == "array" end
  return #value > 0
end

local encode

local function list_parts(value, indent)
  local parts = {}
  for i = 1, #value do parts[i] = encode(value[i], indent) end
  return parts
end

local function object_parts(value, indent)
  local keys, parts = {}, {}
  for key in pairs(value) do
    if type(key) ~= "string" then
      error(("json: a table with the key %s is neither a list nor an object"):format(tostring(key)), 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = dkjson.quotestring(key) .. (indent and ": " or ":") .. encode(value[key], indent)
  end
  return parts
end

local function bracketed(open, parts, close, indent)
  if not indent or #parts == 0 then return open .. table.concat(parts, ",") .. close end
  local line = "\n" .. ("  "):rep(indent)
  return open .. line .. table.concat(parts, "," .. line) .. line:sub(1, -3) .. close
end

function encode(value, indent)
  local kind = type(value)
  if value == json.null then return "null" end
  if kind == "number" then return number_text(value) end
  if kind == "string" then return dkjson.quotestring(value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" then error(("json: a %s can't be written"):format(kind), 0) end
  local deeper = indent and indent + 1
  if (deeper or 0) > DEPTH then error(("json: nested deeper than %d"):format(DEPTH), 0) end
  if is_list(value) then return bracketed("[", list_parts(value, deeper), "]", deeper) end
  return bracketed("{", object_parts(value, deeper), "}", deeper)
end

--- Writes a value: keys sorted, doubles exact, an empty table as {}.
---@param value any numbers, strings, booleans, json.null, lists and tables of them
---@param pretty boolean|nil on lines of their own, indented by two
---@return string
function json.encode(value, pretty)
  return encode(value, pretty and 0 or nil)
end

return json

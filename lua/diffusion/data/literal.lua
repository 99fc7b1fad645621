--- Values as Python writes them, in the headers of NumPy's files: dictionaries, lists, tuples, strings, whole
--- numbers, True and False. Nothing is evaluated.
local literal = {}

local DEPTH = 32

local ESCAPE = { n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ["'"] = "'", ['"'] = '"' }

-- Raised and caught in here only.
local function fail(c, wish)
  local found = c.text:match("^[\32-\126]", c.at)
  error({ message = ("byte %d of the header: %s expected, %s found"):format(c.at, wish,
    found and "'" .. found .. "'" or "its end") }, 0)
end

local function take(c, sign)
  c.at = c.text:match("^%s*()", c.at)
  local here = c.text:sub(c.at, c.at) == sign
  if here then c.at = c.at + 1 end
  return here
end

local function expect(c, sign)
  if not take(c, sign) then fail(c, sign) end
end

local function read_string(c, quote)
  local parts = {}
  while true do
    local plain, stop = c.text:match("^([^\\" .. quote .. "]*)()", c.at)
    parts[#parts + 1], c.at = plain, stop + 1
    local sign = c.text:sub(stop, stop)
    if sign == quote then return table.concat(parts) end
    local escaped = sign == "\\" and ESCAPE[c.text:sub(c.at, c.at)]
    if not escaped then fail(c, "the end of a string") end
    parts[#parts + 1], c.at = escaped, c.at + 1
  end
end

local function read_integer(c)
  local digits, stop = c.text:match("^(%-?%d+)L?()", c.at)
  if not digits then fail(c, "a value") end
  local n = math.tointeger(tonumber(digits))
  if not n then error({ message = ("the header's number %.40s overflows"):format(digits) }, 0) end
  c.at = stop
  return n
end

local read_value

-- Calls item() for each thing between commas, up to the closing sign; a comma may come last.
local function read_items(c, close, item)
  while not take(c, close) do
    item()
    if not take(c, ",") then return expect(c, close) end
  end
end

local function read_list(c, kind, close)
  local list = { kind = kind }
  read_items(c, close, function() list[#list + 1] = read_value(c) end)
  return list
end

local function read_dictionary(c)
  local out = { kind = "dictionary", members = {} }
  read_items(c, "}", function()
    local key = read_value(c)
    if type(key) ~= "string" or out.members[key] ~= nil then fail(c, "another name") end
    expect(c, ":")
    out.members[key] = read_value(c)
  end)
  return out
end

local WORDS = { True = true, False = false, None = { kind = "none" } }

local function read_nested(c)
  c.depth = c.depth + 1
  if c.depth > DEPTH then fail(c, ("no more than %d brackets"):format(DEPTH)) end
  local value
  if take(c, "{") then value = read_dictionary(c)
  elseif take(c, "[") then value = read_list(c, "list", "]")
  elseif take(c, "(") then value = read_list(c, "tuple", ")") end
  c.depth = c.depth - 1
  return value
end

function read_value(c)
  local value = read_nested(c)
  if value ~= nil then return value end
  for _, quote in ipairs { "'", '"' } do
    if take(c, quote) then return read_string(c, quote) end
  end
  local word = c.text:match("^%a+", c.at)
  if WORDS[word] == nil then return read_integer(c) end
  c.at = c.at + #word
  return WORDS[word]
end

--- Reads one value and nothing after it.
---@param text string
---@return any value strings, integers and booleans as they are; else {kind = "list" or "tuple", ...}, {kind =
---  "dictionary", members =} or {kind = "none"}; nil with a message
---@return string|nil message
function literal.read(text)
  local c = { text = text, at = 1, depth = 0 }
  local fine, value = pcall(function()
    local out = read_value(c)
    take(c, "")
    if c.at <= #text then fail(c, "the end") end
    return out
  end)
  if fine then return value end
  if type(value) ~= "table" then error(value, 0) end
  return nil, value.message
end

return literal

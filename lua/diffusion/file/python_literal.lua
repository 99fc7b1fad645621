-- Python literals, as in the headers of NumPy's files: dictionaries, lists, tuples, strings,
-- integers, True, False and None. Nothing is evaluated.
local parser = require "diffusion.file.parser"

local literal = {}

local DEPTH = 32

local ESCAPE = { n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ["'"] = "'", ['"'] = '"' }

local raise = parser.fault()

local function fault(c, wish)
  local found = c.text:match("^[\32-\126]", c.at)
  raise("byte %d of the header: %s expected, %s found", c.at, wish, found and "'" .. found .. "'" or "its end")
end

local function take(c, sign)
  c.at = c.text:match("^%s*()", c.at)
  local here = c.text:sub(c.at, c.at) == sign
  if here then c.at = c.at + 1 end
  return here
end

local function expect(c, sign)
  if not take(c, sign) then fault(c, sign) end
end

local function read_string(c, quote)
  local parts = {}
  while true do
    local plain, stop = c.text:match("^([^\\" .. quote .. "]*)()", c.at)
    parts[#parts + 1], c.at = plain, stop + 1
    local sign = c.text:sub(stop, stop)
    if sign == quote then return table.concat(parts) end
    local escaped = sign == "\\" and ESCAPE[c.text:sub(c.at, c.at)]
    if not escaped then fault(c, "the end of a string") end
    parts[#parts + 1], c.at = escaped, c.at + 1
  end
end

local function read_integer(c)
  local digits, stop = c.text:match("^(%-?%d+)L?()", c.at)
  if not digits then fault(c, "a value") end
  local n = math.tointeger(tonumber(digits))
  if not n then raise("the header's number %.40s overflows", digits) end
  c.at = stop
  return n
end

local read_value

-- Calls item() for each member of a comma-separated list, up to the closing sign. A comma may
-- come last.
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
    if type(key) ~= "string" or out.members[key] ~= nil then fault(c, "another name") end
    expect(c, ":")
    out.members[key] = read_value(c)
  end)
  return out
end

local WORDS = { True = true, False = false, None = { kind = "none" } }

local function read_nested(c)
  c.depth = c.depth + 1
  if c.depth > DEPTH then fault(c, ("no more than %d brackets"):format(DEPTH)) end
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

--- Reads one value and nothing after it. A fault is raised, for parser.run.
---@param text string
---@return any value strings, integers and booleans as they are; {kind = "list" or "tuple", ...}, {kind =
---  "dictionary", members =} or {kind = "none"} otherwise
function literal.read(text)
  local c = { text = text, at = 1, depth = 0 }
  local value = read_value(c)
  take(c, "")
  if c.at <= #text then fault(c, "the end") end
  return value
end

return literal

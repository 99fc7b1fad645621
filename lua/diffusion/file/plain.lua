-- Tables of plain values as JSON, read back equal: numbers to the bit, integers as integers,
-- strings of any bytes, lists with holes. Values without a JSON form become a list that begins
-- with a mark. A value that can't be saved is an error with its path.
local fail = require "diffusion.fail"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local parser = require "diffusion.file.parser"

local plain = {}

local fault = parser.fault()

-- A table that is neither a list nor an object is {PAIRS, key, value, ...}.
-- A table that occurs several times is {SHARED, number, key, value, ...} at first.
-- Its other places are {AGAIN, number}.
-- A string that isn't UTF-8 is {BYTES, hex}.
-- A NaN with certain bits is {NAN, hex}.
-- A tensor among the file's is {TENSOR, name}.
local PAIRS, SHARED, AGAIN = "\1pairs", "\1shared", "\1again"
local BYTES, NAN, TENSOR = "\1bytes", "\1nan", "\1tensor"

local DEPTH = 60 -- nested tables under a name; a little less than json reads

-- ==== paths, for messages ===================================================================

local function key_text(key, first)
  if type(key) ~= "string" then return ("[%s]"):format(kind.shown(key)) end
  if key:find "^[%a_][%w_]*$" then return first and key or "." .. key end
  return ('["%s"]'):format((key:gsub("[^\32-\126]", function(c) return ("\\%03d"):format(c:byte()) end)))
end

-- The path of the current value. A long path is cut.
local function path_of(trail)
  local out = {}
  for i = 1, math.min(#trail, 8) do out[i] = key_text(trail[i], i == 1) end
  return table.concat(out) .. (#trail > 8 and "..." or "")
end

local function refuse(c, format, ...)
  fail.raise("%s: %s %s", c.what, path_of(c.trail), format:format(...))
end

local function refuse_kind(c, name)
  refuse(c, "is a %s; %snumbers, strings, booleans and tables of these can be saved%s", name,
    c.tensors and "tensors, " or "", name == "tensor" and ", tensors by d.save" or "")
end

-- ==== writing ===============================================================================

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local scalar = {
  boolean = function(value) return value end,
  string = function(value) return utf8.len(value) and value or { BYTES, hex(value) } end,
  number = function(value) return value == value and value or { NAN, hex((">n"):pack(value)) } end,
}

-- Sorts by type, then by value, so equal tables are written alike.
local function before(a, b)
  local x, y = type(a), type(b)
  if x ~= y then return x < y end
  if x == "boolean" then return not a and b end
  return a < b
end

-- The sorted keys, and the form: "list" (keys 1 to n), "object" (strings in UTF-8) or "pairs".
local function survey(c, value)
  local keys, texts = {}, 0
  for key in next, value do
    if not scalar[type(key)] then
      refuse(c, "has a %s as a key; strings, numbers and booleans can be saved", kind.of(key))
    end
    keys[#keys + 1] = key
    if type(key) == "string" and utf8.len(key) then texts = texts + 1 end
  end
  table.sort(keys, before)
  if texts == #keys then return keys, "object" end
  for i, key in ipairs(keys) do
    if key ~= i then return keys, "pairs" end
  end
  local marked = type(value[1]) == "string" and value[1]:byte() == 1
  return keys, marked and "pairs" or "list"
end

local packed

local function inner(c, value, key)
  c.trail[#c.trail + 1] = key
  local out = packed(c, value[key])
  c.trail[#c.trail] = nil
  return out
end

local function check_table(c, value)
  local meta = debug.getmetatable(value)
  if meta and not meta.__jsontype then
    refuse_kind(c, meta.__name and kind.of(value) or "table with a metatable")
  end
  if c.open[value] then refuse(c, "is %s again, and a circle can't be saved", c.open[value]) end
  if #c.trail > DEPTH then refuse(c, "is nested deeper than %d tables", DEPTH) end
end

-- The beginning of a table's list: its mark, if it needs one.
local function marks_of(c, value, form)
  if not c.shared[value] then return { form == "pairs" and PAIRS or nil }, form end
  c.numbers = c.numbers + 1
  c.number[value] = c.numbers
  return { SHARED, c.numbers }, "pairs"
end

local function packed_table(c, value)
  check_table(c, value)
  if c.number[value] then return { AGAIN, c.number[value] } end
  local keys, surveyed = survey(c, value)
  local out, form = marks_of(c, value, surveyed)
  c.open[value] = path_of(c.trail)
  for _, key in ipairs(keys) do
    if form == "pairs" then
      out[#out + 1] = scalar[type(key)](key)
      out[#out + 1] = inner(c, value, key)
    else
      out[key] = inner(c, value, key)
    end
  end
  c.open[value] = nil
  return out
end

-- A tensor is saved among the file's, under a new name. One that occurs twice is saved once.
local function packed_tensor(c, value)
  local name = c.named[value]
  if not name then
    c.count = c.count + 1
    name = ("%s.%d"):format(c.prefix, c.count)
    c.named[value], c.tensors[name] = name, value
  end
  return { TENSOR, name }
end

function packed(c, value)
  if value == json.null then return value end
  local name = kind.of(value)
  if name == "tensor" and c.tensors then return packed_tensor(c, value) end
  local of = scalar[type(value)]
  if of then return of(value) end
  if type(value) == "table" then return packed_table(c, value) end
  refuse_kind(c, name)
end

-- Finds the tables that occur more than once.
local function find_shared(value, seen, shared, depth)
  if type(value) ~= "table" or depth > DEPTH + 1 then return end
  if seen[value] then
    shared[value] = true
    return
  end
  seen[value] = true
  for _, inside in next, value do find_shared(inside, seen, shared, depth + 1) end
end

--- Makes values that json.encode can write. Raises with the path of a value that
--- can't be saved.
---@param value table
---@param what string the caller, for messages: "checkpoint:save"
---@param tensors table<string, any>|nil receives the tensors among the values
---@param prefix string|nil prefix of their names
---@return table
function plain.pack(value, what, tensors, prefix)
  local c = { what = what, trail = {}, open = {}, shared = {}, number = {}, numbers = 0, tensors = tensors,
              prefix = prefix, named = {}, count = 0 }
  find_shared(value, {}, c.shared, 0)
  return packed_table(c, value)
end

-- ==== reading ===============================================================================

local function bytes_of(text)
  if type(text) ~= "string" or #text % 2 ~= 0 or text:find "%X" then fault "a damaged value" end
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local unpacked

local function read_pairs(out, value, from, c)
  for i = from, #value, 2 do
    local key = unpacked(value[i], c)
    if not scalar[type(key)] or key ~= key or value[i + 1] == nil then fault "a damaged table" end
    out[key] = unpacked(value[i + 1], c)
  end
  return out
end

local read_mark = {
  [BYTES] = function(value) return bytes_of(value[2]) end,
  [NAN] = function(value)
    local bytes = bytes_of(value[2])
    if #bytes ~= #(">n"):pack(0) then fault "a damaged value" end
    return (">n"):unpack(bytes)
  end,
  [PAIRS] = function(value, c) return read_pairs({}, value, 2, c) end,
  [SHARED] = function(value, c)
    return read_pairs(c.shared[value[2]], value, 3, c)
  end,
  [AGAIN] = function(value, c) return c.shared[value[2]] or fault "a damaged table" end,
  [TENSOR] = function(value, c)
    local x = c.tensors[value[2]]
    if not x then fault("no tensor '%s'", tostring(value[2])) end
    c.made[x] = c.made[x] or x:clone()
    return c.made[x]
  end,
}

function unpacked(value, c)
  if type(value) ~= "table" or value == json.null then return value end
  local mark = read_mark[value[1]]
  if mark then return mark(value, c) end
  local out = {}
  for key, inside in next, value do out[key] = unpacked(inside, c) end
  return out
end

-- Makes the shared tables first, since JSON's objects may come in any order.
local function make_shared(value, shared)
  if type(value) ~= "table" then return end
  if value[1] == SHARED then
    if math.type(value[2]) ~= "integer" or shared[value[2]] then fault "a damaged table" end
    shared[value[2]] = {}
  end
  for _, inside in next, value do make_shared(inside, shared) end
end

local function unpack_all(value, tensors)
  local c = { tensors = tensors, made = {}, shared = {} }
  make_shared(value, c.shared)
  return unpacked(value, c)
end

--- Undoes pack on a value that json.decode read.
---@param value table
---@param tensors table<string, any> the file's
---@return table|nil value nil with a message if pack did not make it
---@return string|nil message
function plain.unpack(value, tensors)
  return parser.run(unpack_all, value, tensors)
end

return plain

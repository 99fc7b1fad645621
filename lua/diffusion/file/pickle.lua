-- Python's pickles of protocols 2 to 5, read without running anything: a machine with a stack
-- and a memo. A global is a name. The caller says which names and persistent ids it knows; a
-- call of any other gives an opaque value. Every opcode makes at most one value. Their number is
-- bounded by the file's length, since a short one may inflate to a long pickle.
local parser = require "diffusion.file.parser"
local value = require "diffusion.file.pickle_value"

local pickle = {}

local MOST_VALUES = 1 << 22 -- lists, dicts and other tables
local fault = parser.fault "pickle"

-- ==== the machine ==========================================================================

-- m = {text, at = the next byte, stack, n = its height, marks = heights, fence = the last of
-- them, memo, memos = entries there, made = tables. pushed = values, most = their bound, world}

local function bad(m, format, ...)
  fault("byte %d: %s", m.at - 1, format:format(...))
end

local function push(m, v)
  m.n, m.pushed = m.n + 1, m.pushed + 1
  if m.pushed > m.most then bad(m, "more than %d values", m.most) end
  m.stack[m.n] = v
end

-- Pushes a table. Their number is bounded, since one takes 50 times the byte that makes it.
local function make(m, v)
  m.made = m.made + 1
  if m.made > MOST_VALUES then bad(m, "more than %d lists, tuples, dicts and objects", MOST_VALUES) end
  push(m, v)
end

local function top(m)
  if m.n <= m.fence then bad(m, "nothing is on the stack") end
  return m.stack[m.n]
end

local function pop(m)
  local v = top(m)
  m.stack[m.n] = nil
  m.n = m.n - 1
  return v
end

local function bytes(m, count)
  local from = m.at
  if count > #m.text - from + 1 then
    bad(m, "%d bytes announced, %d are left", count, #m.text - from + 1)
  end
  m.at = from + count
  return m.text:sub(from, from + count - 1)
end

local function number(m, format, size) return (format:unpack(bytes(m, size))) end

-- Bytes after their length. A length of 8 bytes may be beyond 2^63.
local function counted(m, format, size)
  local count = number(m, format, size)
  if count < 0 then bad(m, "2^63 or more bytes announced, %d are left", #m.text - m.at + 1) end
  return bytes(m, count)
end

local function line(m)
  local text, after = m.text:match("^([^\n]*)\n()", m.at)
  if not text then bad(m, "a line without an end") end
  m.at = after
  return text
end

-- The values after the last mark, as a new table. The mark is removed.
local function since_mark(m)
  if #m.marks == 0 then bad(m, "no mark is set") end
  local items = table.move(m.stack, m.fence + 1, m.n, 1, {})
  for k = m.n, m.fence + 1, -1 do m.stack[k] = nil end
  m.n = m.fence
  table.remove(m.marks)
  m.fence = m.marks[#m.marks] or 0
  return items
end

local function few(m, count)
  local items = {}
  for k = count, 1, -1 do items[k] = pop(m) end
  return items
end

-- ==== containers and calls ===================================================================

local function store(m, place)
  if place < 0 then bad(m, "memo %d", place) end
  if m.memo[place] == nil then m.memos = m.memos + 1 end
  m.memo[place] = top(m)
end

local function recall(m, place)
  local v = m.memo[place]
  if v == nil then bad(m, "memo %d is empty", place) end
  push(m, v)
end

-- Opaque values take entries and items, as their classes would.
local function dict_of(m, v)
  if value.kind(v) == "dict" then return v end
  if value.kind(v) ~= "opaque" then bad(m, "entries set in a %s", value.kind(v)) end
  v.items = v.items or value.dict()
  return v.items
end

local function list_of(m, v)
  local kind = value.kind(v)
  if kind == "list" or kind == "set" then return v end
  if kind ~= "opaque" then bad(m, "items appended to a %s", kind) end
  v.list = v.list or value.list {}
  return v.list
end

local function set_entries(m, items)
  local dict = dict_of(m, top(m))
  if #items % 2 == 1 then bad(m, "a key without a value") end
  for k = 1, #items, 2 do value.set(dict, items[k], items[k + 1]) end
end

local function append(m, items)
  local list = list_of(m, top(m))
  table.move(items, 1, #items, #list + 1, list)
end

local function called_name(callee)
  local kind = value.kind(callee)
  return (kind == "global" or kind == "opaque") and callee.name or kind
end

-- A call as the pickle writes it. Known globals have a function of this library.
local function call(m, callee, args)
  if value.kind(args) ~= "tuple" then bad(m, "%s called without a tuple", called_name(callee)) end
  local known = value.kind(callee) == "global" and m.world.globals[callee.name]
  if type(known) == "function" then return known(args, m.world) end
  return value.opaque(called_name(callee))
end

local function attributes(m)
  local state, v = pop(m), top(m)
  if value.kind(v) == "opaque" then v.state = state end
end

local function global(m, module, name)
  if type(module) ~= "string" or type(name) ~= "string" then bad(m, "a global without a name") end
  local full = module .. "." .. name
  local known = m.world.globals[full]
  if known ~= nil and type(known) ~= "function" then return push(m, known) end
  make(m, value.global(full))
end

local function long(m, text)
  if #text == 0 then return push(m, 0) end
  if #text <= 8 then return push(m, (("<i" .. #text):unpack(text))) end
  make(m, value.opaque(("an integer of %d bytes"):format(#text)))
end

-- ==== opcodes ==============================================================================

local op = {}

op["\x80"] = function(m)
  local protocol = number(m, "B", 1)
  if protocol < 2 or protocol > 5 then bad(m, "protocol %d; 2 to 5 are read", protocol) end
end
op["\x95"] = function(m) -- a frame announces bytes that follow
  local count = number(m, "<i8", 8)
  if count < 0 or count > #m.text - m.at + 1 then
    bad(m, "a frame of %d bytes announced, %d are left", count, #m.text - m.at + 1)
  end
end

op["("] = function(m)
  m.marks[#m.marks + 1] = m.n
  m.fence = m.n
end
op["0"] = function(m) if m.n > m.fence then pop(m) else since_mark(m) end end
op["1"] = since_mark
op["2"] = function(m) push(m, top(m)) end

op.N = function(m) push(m, value.none) end
op["\x88"] = function(m) push(m, true) end
op["\x89"] = function(m) push(m, false) end
op.J = function(m) push(m, number(m, "<i4", 4)) end
op.K = function(m) push(m, number(m, "B", 1)) end
op.M = function(m) push(m, number(m, "<I2", 2)) end
op.G = function(m) push(m, number(m, ">d", 8)) end
op["\x8a"] = function(m) long(m, counted(m, "B", 1)) end
op["\x8b"] = function(m)
  local count = number(m, "<i4", 4)
  if count < 0 then bad(m, "an integer of %d bytes", count) end
  long(m, bytes(m, count))
end

op.X = function(m) push(m, counted(m, "<I4", 4)) end
op["\x8c"] = function(m) push(m, counted(m, "B", 1)) end
op["\x8d"] = function(m) push(m, counted(m, "<i8", 8)) end
op.U = function(m) push(m, counted(m, "B", 1)) end  -- text of Python 2
op.T = function(m) push(m, counted(m, "<i4", 4)) end
op.C = function(m) make(m, value.bytes(counted(m, "B", 1))) end
op.B = function(m) make(m, value.bytes(counted(m, "<I4", 4))) end
op["\x8e"] = function(m) make(m, value.bytes(counted(m, "<i8", 8))) end
op["\x96"] = op["\x8e"] -- a bytearray

op[")"] = function(m) make(m, value.tuple {}) end
op["\x85"] = function(m) make(m, value.tuple(few(m, 1))) end
op["\x86"] = function(m) make(m, value.tuple(few(m, 2))) end
op["\x87"] = function(m) make(m, value.tuple(few(m, 3))) end
op.t = function(m) make(m, value.tuple(since_mark(m))) end

op["]"] = function(m) make(m, value.list {}) end
op.a = function(m) append(m, few(m, 1)) end
op.e = function(m) append(m, since_mark(m)) end
op.l = function(m) make(m, value.list(since_mark(m))) end

op["}"] = function(m) make(m, value.dict()) end
op.s = function(m) set_entries(m, few(m, 2)) end
op.u = function(m) set_entries(m, since_mark(m)) end
op.d = function(m)
  local items = since_mark(m)
  make(m, value.dict())
  set_entries(m, items)
end

op["\x8f"] = function(m) make(m, value.set_of {}) end
op["\x90"] = op.e
op["\x91"] = function(m) make(m, value.set_of(since_mark(m))) end

op.q = function(m) store(m, number(m, "B", 1)) end
op.r = function(m) store(m, number(m, "<I4", 4)) end
op["\x94"] = function(m) store(m, m.memos) end
op.h = function(m) recall(m, number(m, "B", 1)) end
op.j = function(m) recall(m, number(m, "<I4", 4)) end

op.c = function(m)
  local module = line(m)
  global(m, module, line(m))
end
op["\x93"] = function(m)
  local name = pop(m)
  global(m, pop(m), name)
end
op.R = function(m)
  local args = pop(m)
  make(m, call(m, pop(m), args))
end
op["\x81"] = op.R -- a new object of a class
op["\x92"] = function(m) -- the same with named arguments
  local _, args, callee = pop(m), pop(m), pop(m)
  if value.kind(args) ~= "tuple" then bad(m, "%s called without a tuple", called_name(callee)) end
  make(m, value.opaque(called_name(callee)))
end
op.b = attributes

op.Q = function(m)
  local id = pop(m)
  make(m, m.world.persistent(id, m.world))
end

-- ==== running ==============================================================================

local function run(text, world)
  local m = { text = text, at = 1, stack = {}, n = 0, marks = {}, fence = 0, memo = {}, memos = 0,
              made = 0, pushed = 0, most = math.max(MOST_VALUES, world.size or 0), world = world }
  if text:sub(1, 1) ~= "\x80" then fault("the first byte isn't that of protocols 2 to 5") end
  while true do
    local code = bytes(m, 1)
    if code == "." then return pop(m) end
    local known = op[code]
    if not known then bad(m, "opcode 0x%02x isn't read", code:byte()) end
    known(m)
  end
end

--- Reads a pickle. world.globals[name] is the value of a global, or a function (args, world) that
--- makes the value of a call of it. world.persistent(id, world) makes the value of an id. world.size is the
--- number of the file's bytes.
---@param text string
---@param world table
---@return any value as pickle_value describes it; nil with a message
---@return string|nil message
function pickle.read(text, world) return parser.run(run, text, world) end

return pickle

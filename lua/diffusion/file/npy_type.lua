-- NumPy's element types: the core's kind if a tensor can hold it, and the size in bytes.
local npy_type = {}

local MOST = math.maxinteger // 1024

-- Integers without a tensor type of their own are widened to i64, bool to u8.
local KIND = {
  f2 = "f16", f4 = "f32", f8 = "f64", u1 = "u8", i8 = "i64", u8 = "u64",
  i1 = "i8", i2 = "i16", i4 = "i32", u2 = "u16", u4 = "u32", b1 = "bool",
}

-- The sizes in bytes that each letter allows. Letters of UNIT allow any count of units.
local SIZES = {
  b = { [1] = true }, i = { [1] = true, [2] = true, [4] = true, [8] = true },
  u = { [1] = true, [2] = true, [4] = true, [8] = true }, m = { [8] = true }, M = { [8] = true },
  f = { [2] = true, [4] = true, [8] = true, [12] = true, [16] = true },
  c = { [8] = true, [16] = true, [24] = true, [32] = true },
}
local UNIT = { S = 1, a = 1, V = 1, U = 4 }

-- Bytes of an element by its letter and number, nil if NumPy has no such type.
local function width_of(letter, digits)
  local n = math.tointeger(tonumber(digits))
  if UNIT[letter] then return n and n < MOST // 4 and n * UNIT[letter] or nil end
  return SIZES[letter] and SIZES[letter][n] and n or nil
end

local function of_text(descr)
  local sign, letter, digits, unit = descr:match "^([<>|=]?)(%a)(%d*)(.*)$"
  if letter == "O" then return { name = descr, objects = true } end
  local width = letter and width_of(letter, digits)
  if not width or unit ~= "" and not (letter:find "[mM]" and unit:find "^%[%w+%]$") then return nil end
  return { name = descr, width = width, kind = KIND[letter .. digits], big = sign == ">" }
end

local function product(list)
  local n = 1
  for _, size in ipairs(list) do
    if math.type(size) ~= "integer" or size < 0 or size > 0 and n > MOST // size then return nil end
    n = n * size
  end
  return n
end

local of

-- A subarray: (type, shape).
local function of_block(descr, shape)
  local one = of(descr)
  local n = type(shape) == "table" and product(shape) or shape == nil and 1 or math.type(shape) == "integer" and shape
  if not (one and n and n >= 0) then return nil end
  if one.objects then return one end
  if one.width > 0 and n > MOST // one.width then return nil end
  return { name = one.name, width = one.width * n }
end

-- A record: a list of fields (name, type) or (name, type, shape).
local function of_fields(list)
  local out = { name = ("record of %d fields"):format(#list), width = 0 }
  for _, field in ipairs(list) do
    local one = type(field) == "table" and field.kind == "tuple" and of_block(field[2], field[3])
    if not one then return nil end
    out.objects = out.objects or one.objects
    out.width = out.width + (one.width or 0)
    if out.width > MOST then return nil end
  end
  return out
end

--- The type that a header's descr names: {name, width = bytes of an element, kind = the
--- core's or nil, big = true if big-endian}. Python's objects, of unknown size, are {name,
--- objects = true}.
---@param descr any from python_literal.read
---@return table|nil type nil if NumPy has no such type
function npy_type.of(descr)
  if type(descr) == "string" then return of_text(descr) end
  if type(descr) ~= "table" then return nil end
  if descr.kind == "list" then return of_fields(descr) end
  return descr.kind == "tuple" and of_block(descr[1], descr[2]) or nil
end
of = npy_type.of

return npy_type

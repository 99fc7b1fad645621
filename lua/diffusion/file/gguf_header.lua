-- The header of a GGUF file. Layout: "GGUF" | u32 version | u64 tensors | u64 facts | facts | tensors | padding |
-- data. A fact is a name, a type and a value. A tensor is a name, its sizes with the fastest first, a type and an
-- offset in the data. Every count is held against the bytes that are left before anything is read.
local parser = require "diffusion.file.parser"
local u64 = require "diffusion.file.u64"

local header = {}

local LONGEST = 65535 -- bytes of a name, the format's own limit
local RANK = 4 -- ggml's tensors have at most so many dimensions
local DEEPEST = 4 -- arrays in arrays
local MOST = 1 << 22 -- values of all arrays; a vocabulary has a few hundred thousand
local ALIGNMENT = 32

-- The types of elements by their codes: a name, the elements of a block, and its bytes.
local TYPES = {
  [0] = { "F32", 1, 4 }, { "F16", 1, 2 }, { "Q4_0", 32, 18 }, { "Q4_1", 32, 20 }, [6] = { "Q5_0", 32, 22 },
  [7] = { "Q5_1", 32, 24 }, [8] = { "Q8_0", 32, 34 }, [9] = { "Q8_1", 32, 40 }, [10] = { "Q2_K", 256, 84 },
  [11] = { "Q3_K", 256, 110 }, [12] = { "Q4_K", 256, 144 }, [13] = { "Q5_K", 256, 176 }, [14] = { "Q6_K", 256, 210 },
  [15] = { "Q8_K", 256, 292 }, [16] = { "IQ2_XXS", 256, 66 }, [17] = { "IQ2_XS", 256, 74 },
  [18] = { "IQ3_XXS", 256, 98 }, [19] = { "IQ1_S", 256, 50 }, [20] = { "IQ4_NL", 32, 18 }, [21] = { "IQ3_S", 256, 110 },
  [22] = { "IQ2_S", 256, 82 }, [23] = { "IQ4_XS", 256, 136 }, [24] = { "I8", 1, 1 }, [25] = { "I16", 1, 2 },
  [26] = { "I32", 1, 4 }, [27] = { "I64", 1, 8 }, [28] = { "F64", 1, 8 }, [29] = { "IQ1_M", 256, 56 },
  [30] = { "BF16", 1, 2 }, [34] = { "TQ1_0", 256, 54 }, [35] = { "TQ2_0", 256, 66 }, [39] = { "MXFP4", 32, 17 },
}

local fault = parser.fault "gguf"

-- ==== a cursor {file, at, size, values = of arrays so far} ===============================

local function left(c) return c.size - c.at end

-- The next bytes, which `what` names.
local function bytes(c, n, what)
  if n < 0 or n > left(c) then
    fault("%s at byte %d takes %s bytes, but %d are left of the file", what, c.at, u64.commas(n), left(c))
  end
  local text = parser.need(c.file:text(c.at, n))
  c.at = c.at + n
  return text
end

local function number(c, format, what) return (format:unpack(bytes(c, format:packsize(), what))) end

-- A number of things, each of which takes some bytes at least.
local function count(c, least, what)
  local n = number(c, "<I8", what)
  if n < 0 or n > left(c) // least then
    fault("%s is %s, but %d bytes are left of the file", what, u64.commas(n), left(c))
  end
  return n
end

local function text(c, what, longest)
  local n = number(c, "<I8", "the length of " .. what)
  if longest and (n < 0 or n > longest) then
    fault("%s at byte %d has %s bytes, at most %d expected", what, c.at, u64.commas(n), longest)
  end
  return bytes(c, n, what)
end

-- ==== facts ==============================================================================

local NUMBERS = { [0] = "<I1", "<i1", "<I2", "<i2", "<I4", "<i4", "<f", [10] = "<I8", [11] = "<i8", [12] = "<d" }
local BOOLEAN, STRING, ARRAY = 7, 8, 9

-- The least bytes of a value of a type, nil for a type that there isn't.
local function least_of(kind)
  if kind == BOOLEAN then return 1 elseif kind == STRING then return 8 elseif kind == ARRAY then return 12 end
  return NUMBERS[kind] and NUMBERS[kind]:packsize()
end

local read_value

local function read_array(c, name, depth)
  local kind = number(c, "<I4", "a type of '" .. name .. "'")
  if depth > DEEPEST then fault("'%s' has arrays in arrays, more than %d deep", name, DEEPEST) end
  local least = least_of(kind) or fault("'%s' has elements of type %d, which there isn't", name, kind)
  local n, out = count(c, least, ("the length of '%s'"):format(name)), {}
  c.values = c.values + n
  if c.values > MOST then fault("'%s': the arrays of the file have more than %d values", name, MOST) end
  for i = 1, n do out[i] = read_value(c, name, kind, depth) end
  return out
end

local function read_boolean(c, name)
  local byte = number(c, "<I1", "'" .. name .. "'")
  if byte > 1 then fault("'%s' is a boolean of %d; 0 or 1 expected", name, byte) end
  return byte == 1
end

function read_value(c, name, kind, depth)
  if kind == STRING then return text(c, "'" .. name .. "'") end
  if kind == ARRAY then return read_array(c, name, depth + 1) end
  if kind == BOOLEAN then return read_boolean(c, name) end
  if not NUMBERS[kind] then fault("'%s' is of type %d, which there isn't", name, kind) end
  return number(c, NUMBERS[kind], "'" .. name .. "'")
end

local function read_facts(c, n)
  local facts = {}
  for _ = 1, n do
    local name = text(c, "the name of a fact", LONGEST)
    if facts[name] ~= nil then fault("'%s' occurs twice", name) end
    facts[name] = read_value(c, name, number(c, "<I4", "the type of '" .. name .. "'"), 0)
  end
  return facts
end

local function alignment_of(facts)
  local given = facts["general.alignment"]
  if given == nil then return ALIGNMENT end
  if math.type(given) ~= "integer" or given < 1 or given > 1 << 20 or given & (given - 1) ~= 0 then
    fault("general.alignment must be a power of two, got %s", type(given) == "table" and "an array" or tostring(given))
  end
  return given
end

-- ==== tensors ============================================================================

local function read_sizes(c, name)
  local n = number(c, "<I4", "the rank of '" .. name .. "'")
  if n > RANK then fault("'%s' has %d dimensions, at most %d expected", name, n, RANK) end
  local shape, elements = {}, 1
  for i = n, 1, -1 do
    shape[i] = number(c, "<I8", "a size of '" .. name .. "'")
    if shape[i] < 0 then fault("'%s' has a size of %s", name, u64.text(shape[i])) end
    elements = u64.product(elements, shape[i])
    if not elements or elements < 0 then fault("'%s' has more elements than 63 bits hold", name) end
  end
  return shape, elements
end

-- The bytes of elements that stand in blocks along the last dimension.
local function bytes_of(name, kind, shape, elements)
  local row = shape[#shape] or 1
  if row % kind[2] ~= 0 then
    fault("'%s' has rows of %d elements of type %s, which come in blocks of %d", name, row, kind[1], kind[2])
  end
  local total = u64.product(elements // kind[2], kind[3])
  if not total or total < 0 then fault("'%s' has more bytes than 63 bits hold", name) end
  return total
end

local function read_tensor(c)
  local name = text(c, "the name of a tensor", LONGEST)
  local shape, elements = read_sizes(c, name)
  local code = number(c, "<I4", "the type of '" .. name .. "'")
  local kind = TYPES[code] or fault("'%s' is of type %d, which isn't known", name, code)
  return { name = name, dtype = kind[1], shape = shape, bytes = bytes_of(name, kind, shape, elements),
    offset = number(c, "<I8", "the offset of '" .. name .. "'") }
end

local function padded(n, alignment) return (n + alignment - 1) // alignment * alignment end

-- Tensors stand in the data in their order, each at the next multiple of the alignment. Their offsets become those
-- in the file.
local function place(c, list, alignment)
  local from, at = padded(c.at, alignment), 0
  for _, t in ipairs(list) do
    if t.offset ~= at then fault("'%s' is at byte %s of the data, %d expected", t.name, u64.commas(t.offset), at) end
    if from > c.size or t.bytes > c.size - from - at then
      fault("'%s' takes %s bytes, but %s are left of the file", t.name, u64.commas(t.bytes),
        u64.commas(math.max(0, c.size - from - at)))
    end
    t.offset, at = from + at, padded(at + t.bytes, alignment)
    if at > c.size - from then at = c.size - from end -- the last one needs no padding
  end
end

local function read_tensors(c, n)
  local list, seen = {}, {}
  for i = 1, n do
    list[i] = read_tensor(c)
    if seen[list[i].name] then fault("tensor '%s' occurs twice", list[i].name) end
    seen[list[i].name] = true
  end
  return list
end

-- ==== the whole ==========================================================================

local function check_version(version)
  if version == 2 or version == 3 then return end
  if version ~= 0 and version & 0xFFFF == 0 then
    fault "a file of a machine with the other order of bytes, which isn't read"
  end
  fault("version %d; versions 2 and 3 are read", version)
end

local function read(file)
  local c = { file = file, at = 0, size = file:size(), values = 0 }
  if bytes(c, 4, "the mark") ~= "GGUF" then fault "not a GGUF file, which begins with 'GGUF'" end
  check_version(number(c, "<I4", "the version"))
  local tensors = count(c, 24, "the number of tensors")
  local facts = read_facts(c, count(c, 13, "the number of facts"))
  local list = read_tensors(c, tensors)
  place(c, list, alignment_of(facts))
  return list, facts
end

--- Reads a header.
---@param file any from core.map
---@return table|nil list { name, dtype, shape, offset in the file, bytes } of each tensor; nil with a message
---@return table<string, any>|string facts or the message
function header.read(file) return parser.run(read, file) end

return header

-- Valid and invalid files of common formats, made byte by byte. Specs of io give them to
-- the readers. They do not use the library's own writers.
local forge = {}

local made = {}

--- Writes bytes to a temporary file and returns its path; `forge.clean` removes them all.
function forge.file(bytes, ending)
  local path = os.tmpname()
  made[#made + 1] = path
  if ending then
    path = path .. ending
    made[#made + 1] = path
  end
  local f <close> = assert(io.open(path, "wb"))
  assert(f:write(bytes))
  return path
end

function forge.folder()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir " .. path))
  made[#made + 1] = path
  return path
end

function forge.clean()
  for _, path in ipairs(made) do
    if not os.remove(path) then os.execute("rm -rf '" .. path .. "'") end
  end
  made = {}
end

function forge.bytes_of(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

-- ---- checksums, by their definitions -----------------------------------------------

function forge.crc32(text)
  local crc = 0xFFFFFFFF
  for i = 1, #text do
    crc = crc ~ text:byte(i)
    for _ = 1, 8 do crc = (crc >> 1) ~ (0xEDB88320 & -(crc & 1)) end
  end
  return crc ~ 0xFFFFFFFF
end

local function adler32(text)
  local a, b = 1, 0
  for i = 1, #text do
    a = (a + text:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return b << 16 | a
end

-- ---- deflate with stored blocks ----------------------------------------------------

function forge.deflate(text)
  local parts, at = {}, 1
  repeat
    local piece = text:sub(at, at + 65534)
    at = at + #piece
    parts[#parts + 1] = ("<BI2I2"):pack(at > #text and 1 or 0, #piece, ~#piece & 0xFFFF) .. piece
  until at > #text
  return table.concat(parts)
end

function forge.gzip(text)
  return "\x1f\x8b\8\0\0\0\0\0\0\3" .. forge.deflate(text) .. ("<I4I4"):pack(forge.crc32(text), #text)
end

-- ---- formats ---------------------------------------------------------------------------------

--- An IDX file of sizes {60000, 28, 28} and elements as a string; `type` 8 is unsigned
--- bytes.
function forge.idx(sizes, elements, type)
  local head = ("BBBB"):pack(0, 0, type or 8, #sizes)
  for _, size in ipairs(sizes) do head = head .. (">I4"):pack(size) end
  return head .. elements
end

function forge.chunk(type, data)
  return (">I4"):pack(#data) .. type .. data .. (">I4"):pack(forge.crc32(type .. data))
end

--- A PNG of rows with their filter bytes, interlaced or not (1 or 0).
function forge.png_of(width, height, depth, colour, interlaced, raw, extra)
  local packed = "\x78\x01" .. forge.deflate(raw) .. (">I4"):pack(adler32(raw))
  local head = (">I4I4BBBBB"):pack(width, height, depth, colour, 0, 0, interlaced)
  return "\x89PNG\r\n\x1a\n" .. forge.chunk("IHDR", head) .. (extra or "") .. forge.chunk("IDAT", packed)
    .. forge.chunk("IEND", "")
end

--- A PNG of rows given as strings of packed samples. `colour` is PNG's type: 0 grey, 2
--- RGB,
--- 3 palette, 4 grey and alpha, 6 RGB and alpha. `extra` has chunks before the pixels.
function forge.png(width, depth, colour, rows, extra)
  local lines = {}
  for i, row in ipairs(rows) do lines[i] = "\0" .. row end
  return forge.png_of(width, #rows, depth, colour, 0, table.concat(lines), extra)
end

--- A .npy file with descr "<f4", shape "(2, 3)" and elements as a string.
function forge.npy(descr, shape, elements, options)
  local o = options or {}
  local text = ("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }"):format(descr,
    o.fortran and "True" or "False", shape)
  local version = o.version or 1
  local front = version == 1 and 10 or 12
  text = text .. (" "):rep(-(front + #text + 1) % 64) .. "\n"
  local length = (version == 1 and "<I2" or "<I4"):pack(#text)
  return "\x93NUMPY" .. ("BB"):pack(version, 0) .. length .. text .. elements
end

--- A zip file of { {name, bytes, deflated, crc} , ... }; the crc is that of the bytes if not given.
function forge.zip(entries)
  local body, directory = "", ""
  for _, e in ipairs(entries) do
    local packed = e[3] and forge.deflate(e[2]) or e[2]
    local common = ("<I2I2I2I2I2I4I4I4I2I2"):pack(20, 0, e[3] and 8 or 0, 0, 0, e[4] or forge.crc32(e[2]), #packed,
      #e[2], #e[1], 0)
    directory = directory .. "PK\1\2" .. "\20\0" .. common .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, #body) .. e[1]
    body = body .. "PK\3\4" .. common .. e[1] .. packed
  end
  return body .. directory .. "PK\5\6"
    .. ("<I2I2I2I2I4I4I2"):pack(0, 0, #entries, #entries, #directory, #body, 0)
end

local function pickled_text(s) return "X" .. ("<I4"):pack(#s) .. s end
local function pickled_integer(n) return "J" .. ("<i4"):pack(n) end

-- A tensor of f32 whose storage is entry `key` of the zip.
local function pickled_tensor(key, x)
  local sizes, strides, step, shape = "", "", 1, x:shape()
  for i = #shape, 1, -1 do
    sizes, strides = pickled_integer(shape[i]) .. sizes, pickled_integer(step) .. strides
    step = step * shape[i]
  end
  return "ctorch._utils\n_rebuild_tensor_v2\n((" .. pickled_text "storage" .. "ctorch\nFloatStorage\n"
    .. pickled_text(key) .. pickled_text "cpu" .. pickled_integer(step) .. "tQK\0(" .. sizes .. "t(" .. strides
    .. "t\x89ccollections\nOrderedDict\n)RtR"
end

--- A PyTorch file of nested tables of tensors of f32, strings and integers.
function forge.pt(value)
  local entries = { { "model/data.pkl" } }
  local function write(v)
    if type(v) == "string" then return pickled_text(v) end
    if math.type(v) == "integer" then return pickled_integer(v) end
    if type(v) == "userdata" then
      local key = tostring(#entries - 1)
      entries[#entries + 1] = { "model/data/" .. key, v:contiguous():to("f32"):bytes(), nil, 0 }
      return pickled_tensor(key, v)
    end
    local parts = {}
    for key, one in pairs(v) do parts[#parts + 1] = pickled_text(key) .. write(one) end
    return "}(" .. table.concat(parts) .. "u"
  end
  entries[1] = { "model/data.pkl", "\x80\2" .. write(value) .. ".", nil, 0 }
  return forge.zip(entries)
end

--- A safetensors file with the text of a header and data.
function forge.safetensors(header, data)
  return ("<I8"):pack(#header) .. header .. (data or "")
end

return forge

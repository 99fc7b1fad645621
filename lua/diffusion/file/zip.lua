-- Zip files with stored and deflated entries. The directory at the end is read strictly.
-- Sizes that a file claims are checked against its length before anything is allocated.
local parser = require "diffusion.file.parser"

local zip = {}

local END, END64, PLACE64, ENTRY, LOCAL = "PK\5\6", "PK\6\6", "PK\6\7", "PK\1\2", "PK\3\4"
local INFLATE_MOST = 1032 -- deflate makes at most this many bytes of one

local fault = parser.fault "zip"

local function text_at(file, offset, bytes)
  local text, message = file:text(offset, bytes)
  return text or fault("%s", message)
end

-- The end record: 22 bytes and a comment, the last thing in the file.
local function find_end(file)
  local size = file:size()
  local from = math.max(0, size - 22 - 65535)
  local tail = text_at(file, from, size - from)
  for at = #tail - 21, 1, -1 do
    if tail:sub(at, at + 3) == END and at + 21 + ("<I2"):unpack(tail, at + 20) == #tail then
      return from + at - 1, tail:sub(at, at + 21)
    end
  end
  fault("no directory at the end of the file (%d bytes): not a zip file, or cut short", size)
end

-- The 64-bit end record of files above 4 GiB. A locator of 20 bytes before the end record
-- holds its place.
local function end64(file, at)
  if at < 20 or text_at(file, at - 20, 4) ~= PLACE64 then fault("its 64-bit directory is missing") end
  local place = ("<i8"):unpack(text_at(file, at - 20 + 8, 8))
  local record = text_at(file, math.max(place, 0), 56)
  if record:sub(1, 4) ~= END64 then fault("its 64-bit directory is missing") end
  return ("<i8i8i8"):unpack(record, 33)
end

local function directory_place(file)
  local at, record = find_end(file)
  local disk, first, _, count, bytes, offset = ("<I2I2I2I2I4I4"):unpack(record, 5)
  if disk ~= 0 or first ~= 0 then fault("in several parts") end
  if count == 0xFFFF or bytes == 0xFFFFFFFF or offset == 0xFFFFFFFF then
    count, bytes, offset = end64(file, at)
  end
  if count < 0 or bytes < 0 or offset < 0 or offset > at or bytes > at - offset or count > bytes // 46 then
    fault("directory says %d entries in %d bytes at %d, file holds %d before its end record", count, bytes,
      offset, at)
  end
  return count, bytes, offset
end

-- Replaces each size that is 0xFFFFFFFF by its 64-bit value. These values stand in order in
-- extra field 1.
local function wide_sizes(extra, ...)
  local values, at = { ... }, 1
  while at + 3 <= #extra do
    local id, bytes = ("<I2I2"):unpack(extra, at)
    at = at + 4
    if id == 1 then
      local place = at
      for k, v in ipairs(values) do
        if v == 0xFFFFFFFF then
          if place + 8 > at + bytes or place + 7 > #extra then fault("a 64-bit size is missing") end
          values[k], place = ("<i8"):unpack(extra, place)
        end
      end
    end
    at = at + bytes
  end
  return table.unpack(values)
end

local function check_entry(e, flags, file)
  if flags & 1 ~= 0 then fault("entry %q is encrypted", e.name) end
  if e.method ~= 0 and e.method ~= 8 then
    fault("entry %q is compressed by method %d; stored (0) and deflated (8) are read", e.name, e.method)
  end
  local most = e.method == 8 and e.packed * INFLATE_MOST or e.packed
  if e.packed < 0 or e.bytes < 0 or e.offset < 0 or e.packed > file:size() or e.bytes > most
    or (e.method == 0 and e.bytes ~= e.packed) then
    fault("entry %q says %d bytes packed in %d, in a file of %d", e.name, e.bytes, e.packed, file:size())
  end
end

local function read_entry(text, at, file)
  if text:sub(at, at + 3) ~= ENTRY or at + 45 > #text then fault("directory is damaged at its byte %d", at) end
  local flags, method, _, _, crc, packed, bytes, n, n_extra, n_comment =
    ("<I2I2I2I2I4I4I4I2I2I2"):unpack(text, at + 8)
  local offset = ("<I4"):unpack(text, at + 42)
  local stop = at + 46 + n + n_extra + n_comment
  if stop > #text + 1 then fault("directory is cut short") end
  local name, extra = text:sub(at + 46, at + 45 + n), text:sub(at + 46 + n, at + 45 + n + n_extra)
  bytes, packed, offset = wide_sizes(extra, bytes, packed, offset)
  local e = { name = name, method = method, crc = crc, packed = packed, bytes = bytes, offset = offset }
  check_entry(e, flags, file)
  return e, stop
end

-- Sets e.from, where the entry's bytes begin, from the local header in front of them.
local function find_bytes(file, e)
  local front = text_at(file, e.offset, 30)
  if front:sub(1, 4) ~= LOCAL then fault("entry %q isn't at byte %d", e.name, e.offset) end
  local n, n_extra = ("<I2I2"):unpack(front, 27)
  if text_at(file, e.offset + 30, n) ~= e.name then
    fault("entry %q has another name at byte %d", e.name, e.offset)
  end
  e.from = e.offset + 30 + n + n_extra
end

-- No two entries share a name or bytes, and none reaches into the directory. So the sum of
-- the inflated sizes is bounded by the file's size.
local function check_places(entries, directory)
  local sorted, named = table.move(entries, 1, #entries, 1, {}), {}
  for _, e in ipairs(entries) do
    if named[e.name] then fault("two entries are named %q", e.name) end
    named[e.name] = true
  end
  table.sort(sorted, function(a, b) return a.offset < b.offset end)
  for k, e in ipairs(sorted) do
    local after = sorted[k + 1]
    local stop = after and after.offset or directory
    if e.from + e.packed > stop then
      fault("entry %q lies at bytes %d to %d, over %s at %d", e.name, e.offset, e.from + e.packed,
        after and ("entry %q"):format(after.name) or "the directory", stop)
    end
  end
end

local function read_directory(file)
  local count, bytes, offset = directory_place(file)
  local text, at, entries = text_at(file, offset, bytes), 1, {}
  for k = 1, count do
    entries[k], at = read_entry(text, at, file)
    find_bytes(file, entries[k])
  end
  check_places(entries, offset)
  return entries
end

--- Reads a zip file's directory.
---@param file table a mapped file (core.map)
---@return table|nil entries list of { name, bytes, packed, method, crc, offset, from }, in the file's order
---@return string|nil message
function zip.read(file) return parser.run(read_directory, file) end

local function checked(e, value, message)
  if not value then fault("entry %q: %s", e.name, message) end
  return value
end

local function check_crc(e, crc)
  if crc ~= e.crc then fault("entry %q is damaged (checksum)", e.name) end
end

local function unpacked(file, e)
  local part, message
  if e.method == 0 then part, message = file:part(e.from, e.bytes)
  else part, message = file:inflate(e.from, e.packed, e.bytes) end
  check_crc(e, checked(e, part, message):crc())
  return part
end

local function front(file, e, bytes)
  if e.method == 0 then return checked(e, file:text(e.from, bytes)) end
  return checked(e, file:front(e.from, e.packed, bytes))
end

local function verified(file, e)
  if e.method == 0 then check_crc(e, checked(e, file:part(e.from, e.bytes)):crc())
  else check_crc(e, checked(e, file:inflated_crc(e.from, e.packed, e.bytes))) end
  return true
end

--- An entry's bytes: a window on the file if it is stored, inflated memory if not. The
--- checksum is verified.
---@param file table the mapped file
---@param entry table from zip.read
---@return table|nil part as a mapped file
---@return string|nil message
function zip.open(file, entry) return parser.run(unpacked, file, entry) end

--- The first bytes of an entry. Nothing is allocated for the rest.
---@param file table the mapped file
---@param entry table from zip.read
---@param bytes integer no more than entry.bytes
---@return string|nil text
---@return string|nil message
function zip.front(file, entry, bytes) return parser.run(front, file, entry, bytes) end

--- Verifies an entry's checksum. Nothing of the entry is kept.
---@param file table the mapped file
---@param entry table from zip.read
---@return true|nil whole
---@return string|nil message
function zip.verify(file, entry) return parser.run(verified, file, entry) end

return zip

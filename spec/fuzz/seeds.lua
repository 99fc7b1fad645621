-- Writes the first files of each harness. They are good ones of every kind, mostly from fixtures.
local core = require "diffusion.core"
local child = dofile "spec/support/child.lua"
local forge = require "spec.support.forge"

-- The entries of a packed fixture, as strings. read(all, at) gives an entry and the next place.
local function unpacked(path, read)
  local pack <close> = assert(core.map(path))
  local bytes = ("<I4"):unpack(pack:text(0, 4))
  local all, at, list = assert(pack:inflate(4, pack:size() - 4, bytes)), 0, {}
  while at < bytes do list[#list + 1], at = read(all, at) end
  return list
end

-- One PNG of each kind: colour type, depth, interlaced or not, channels.
local function pngs()
  local seen, list = {}, {}
  local all = unpacked("spec/fixtures/pngs.bin", function(all, at)
    local length = ("<I4"):unpack(all:text(at, 4))
    return { kind = all:text(at + 38, 5) .. all:text(at + 12, 2), bytes = all:text(at + 14, length) }, at + 14 + length
  end)
  for _, png in ipairs(all) do
    if not seen[png.kind] then list[#list + 1] = png.bytes end
    seen[png.kind] = true
  end
  local exif = forge.chunk("eXIf", "MM\0*\0\0\0\8\0\1\1\18\0\3\0\0\0\1\0\6\0\0\0\0\0\0")
  list[#list + 1] = forge.png(3, 8, 2, { ("abc"):rep(3), ("def"):rep(3) }, exif)
  local texts = forge.chunk("tEXt", "key\0value") .. forge.chunk("iTXt", "k\0\0\0\0\0v")
  list[#list + 1] = forge.png(2, 8, 0, { "ab" }, texts)
  return list
end

local function jpegs()
  local list = unpacked("spec/fixtures/jpegs.bin", function(all, at)
    local named = all:text(at, 1):byte()
    local length, H, W, C = ("<I4I2I2I2"):unpack(all:text(at + 1 + named, 10))
    at = at + 11 + named
    return all:text(at, length), at + length + H * W * C
  end)
  list[#list + 1] = child.read "spec/fixtures/ramp.jpg"
  return list
end

local function streams()
  local text = ("a window of thirty-two kilobytes, "):rep(20)
  local list = {}
  for _, piece in ipairs { 0, 7, 255 } do
    list[#list + 1] = "\1" .. string.char(piece) .. forge.deflate(text)
    list[#list + 1] = "\0" .. string.char(piece) .. forge.gzip(text)
    list[#list + 1] = "\0" .. string.char(piece) .. forge.gzip "" .. forge.gzip(text)
    list[#list + 1] = "\1" .. string.char(piece) .. "\x4b\x4c\xa4\x3d\x00\x00" -- a hundred times "a", by zlib
  end
  local packed = child.read "spec/fixtures/jpegs.bin"
  list[#list + 1] = "\1\200" .. packed:sub(5)
  return list
end

local function idx()
  local plain = forge.idx({ 2, 2, 3 }, "abcdefghijkl")
  return { plain, forge.gzip(plain), forge.gzip(plain:sub(1, 9)) .. forge.gzip(plain:sub(10)), forge.idx({ 4 }, "abcd"),
    forge.idx({ 1, 1, 1, 1 }, "a") }
end

local function windows()
  local list = {}
  for kind = 0, 17 do
    list[#list + 1] = ("<I8I8BBBB"):pack(kind % 3, 16, kind, kind % 2, 1, 8) .. ("\1\2\3\4\5\6\7\8"):rep(4)
  end
  return list
end

local seeds = {
  png = pngs, jpeg = jpegs, gzip = streams, idx = idx, map = windows,
  chunks = function()
    local exif = forge.chunk("eXIf", "II*\0\8\0\0\0\1\0\18\1\3\0\1\0\0\0\8\0\0\0\0\0\0\0")
    return { "\x89PNG\r\n\x1a\n" .. forge.chunk("fcTL", ("\0"):rep(26)) .. exif, table.unpack(pngs()) }
  end,
  segments = jpegs,
  printable = function()
    return { "plain\n", "\27[31mred\7", "\u{e9}\u{1f600}\u{202e}\u{85}\xff\xc0\x80\xed\xa0\x80", "" }
  end,
}

--- Writes the seeds of a harness into a folder.
---@param name string
---@param folder string
return function(name, folder)
  for i, bytes in ipairs(seeds[name]()) do child.write(("%s/seed%03d"):format(folder, i), bytes) end
end

-- Files cut short, files that lie and files that are damaged give nil and a sentence, while
-- each one's good neighbour loads. Nothing is read outside the file, and nothing is
-- allocated because a header says so.
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local data, image = d.data, d.image

local function f32(...)
  return ("<" .. ("f"):rep(select("#", ...))):pack(...)
end

local function idx(path)
  local file <close> = assert(core.map(path))
  return file:idx()
end

local good_jpeg = "spec/fixtures/ramp.jpg"

-- Each format: how it is read, and a small good file; `checked`: checksums cover all values.
local formats = {
  idx = { read = idx, file = forge.idx({ 2, 3, 2 }, "abcdefghijkl") },
  ["idx.gz"] = { read = idx, file = forge.gzip(forge.idx({ 2, 3, 2 }, "abcdefghijkl")), checked = true },
  png = { read = image.load, file = forge.png(2, 8, 2, { "abcdef", "ghijkl" }, forge.chunk("tEXt", "a\0b")),
    checked = true },
  npy = { read = data.arrays, file = forge.npy("<f4", "(2, 2)", f32(1, 2, 3, 4)) },
  npz = { read = data.arrays, ending = ".npz", checked = true, file = forge.zip {
    { "a.npy", forge.npy("<f4", "(2,)", f32(1, 2)) }, { "b.npy", forge.npy("|u1", "(3,)", "xyz"), true } } },
  safetensors = { read = d.load, file = forge.safetensors(
    '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    .. '"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}',
    f32(1, 2) .. "xyz") },
}

local function read(format, bytes)
  local path = forge.file(bytes, format.ending)
  local value, message = format.read(path)
  forge.clean()
  return value, message
end

local function refused(format, bytes, pattern, what)
  local value, message = read(format, bytes)
  assert.is_nil(value, what)
  assert.is_string(message, what)
  assert.is_truthy(message:find(pattern), ("%s: %q doesn't say %q"):format(what or "", message, pattern))
end

-- All that was read, as one string: names, types, shapes, bytes.
local function told(value)
  if core.is_tensor(value) then
    return ("%s [%s] %q"):format(value:dtype(), table.concat(value:shape(), ","), value:bytes())
  end
  local parts = {}
  for name, x in pairs(value) do parts[#parts + 1] = name .. " " .. told(x) end
  table.sort(parts)
  return table.concat(parts, "; ")
end

-- The bytes that the file must have held for this value.
local WIDTH = { f32 = 4, f64 = 8, f16 = 2, bf16 = 2, u8 = 1, i64 = 1 } -- i64 may be read from i8
local function bytes_behind(value)
  if core.is_tensor(value) then return value:numel() * WIDTH[value:dtype()] end
  local sum = 0
  for _, x in pairs(value) do sum = sum + bytes_behind(x) end
  return sum
end

describe("hostile files:", function()
  after_each(forge.clean)

  for name, format in pairs(formats) do
    it(name .. ", the good neighbour loads", function()
      assert.is_truthy(assert(read(format, format.file)))
    end)

    it(name .. ", cut short anywhere", function()
      for n = 0, #format.file - 1 do
        refused(format, format.file:sub(1, n), "", ("%s cut at %d"):format(name, n))
      end
    end)

    it(name .. ", one byte changed: a sentence, or no more than the file holds", function()
      local good = told(read(format, format.file))
      for n = 1, #format.file do
        for _, mask in ipairs { 0x01, 0x80, 0xFF } do
          local byte = string.char(format.file:byte(n) ~ mask)
          local value, message = read(format, format.file:sub(1, n - 1) .. byte .. format.file:sub(n + 1))
          local what = ("byte %d ~ 0x%02x: %s"):format(n, mask, value and told(value) or tostring(message))
          if value == nil then assert.is_string(message, what)
          elseif format.checked then assert.equal(good, told(value), what)
          else assert(bytes_behind(value) <= #format.file, what) end
        end
      end
    end)

    it(name .. ", missing or no file at all", function()
      for _, path in ipairs { "/nowhere/at.all" .. (format.ending or ""), "/tmp" } do
        if format.read ~= idx then
          local value, message = format.read(path)
          assert.is_nil(value)
          assert.is_truthy(message:find(path, 1, true))
        end
      end
    end)
  end

  it("idx: headers that lie", function()
    local f = formats.idx
    refused(f, forge.idx({ 2, 3, 3 }, "abcdefghijkl"), "header says 2 x 3 x 3 = 18 bytes, file holds 12")
    refused(f, forge.idx({ 2, 3, 2 }, "abcdefghijkl!"), "file holds 13")
    refused(f, forge.idx({ 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF }, "a"), "overflow")
    refused(f, forge.idx({ 0xFFFFFFFF }, "a"), "4294967295 bytes, file holds 1")
    refused(f, forge.idx({}, ""), "0 dimensions")
    refused(f, forge.idx({ 1, 1, 1, 1, 1 }, "a"), "5 dimensions")
    refused(f, forge.idx({ 1 }, "abcd", 0x0D), "type 0d")
    refused(f, "PK\3\4" .. ("x"):rep(20), "begins with")
    assert.equal(0, read(f, forge.idx({ 0, 28, 28 }, "")):numel())
  end)

  it("idx.gz: what it declares is bounded by what it could inflate to", function()
    local f = formats["idx.gz"]
    refused(f, forge.gzip(forge.idx({ 0x7FFFFFFF, 2 }, "ab")), "at most")
    refused(f, forge.gzip(forge.idx({ 2, 3, 2 }, "abcdefghijk")), "cut short")
    refused(f, forge.gzip(forge.idx({ 2, 3, 2 }, "abcdefghijklm")), "more than 28 bytes")
    local good = formats["idx.gz"].file
    refused(f, good .. "tail", "")
    refused(f, good:sub(1, -9) .. ("<I4I4"):pack(1, 28), "damaged")
  end)

  it("png: pixels that the file can't hold are not allocated", function()
    local ihdr = (">I4I4BBBBB"):pack(1000000, 1000000, 8, 6, 0, 0, 0)
    local good = formats.png.file
    refused(formats.png, good:sub(1, 8) .. forge.chunk("IHDR", ihdr) .. good:sub(34), "1000000 x 1000000")
    local wide = (">I4I4BBBBB"):pack(60000, 60000, 1, 0, 0, 0, 0)
    refused(formats.png, good:sub(1, 8) .. forge.chunk("IHDR", wide) .. good:sub(34), "60000 x 60000")
    local empty = (">I4I4BBBBB"):pack(0, 2, 8, 2, 0, 0, 0)
    refused(formats.png, good:sub(1, 8) .. forge.chunk("IHDR", empty) .. good:sub(34), "png")
    local longer = (">I4I4BBBBB"):pack(2, 3, 8, 2, 0, 0, 0)
    refused(formats.png, good:sub(1, 8) .. forge.chunk("IHDR", longer) .. good:sub(34), "png")
    refused(formats.png, good:sub(1, 33) .. (">I4"):pack(0xFFFFFFFF) .. good:sub(38), "says 4294967295 bytes")
    refused(formats.png, good:sub(1, 45) .. "?" .. good:sub(47), "checksum")
  end)

  it("jpeg: cut short, or pixels that the file can't hold", function()
    local jpeg, format = forge.bytes_of(good_jpeg), { read = image.load }
    local whole, message = image.load(good_jpeg)
    if not whole then
      assert.is_truthy(message:find "not built in")
      return
    end
    for n = 0, #jpeg - 1, 7 do refused(format, jpeg:sub(1, n), "", ("cut at %d"):format(n)) end
    refused(format, jpeg:sub(1, -3), "jpeg")
    local at = jpeg:find("\xff\xc0\0\17\8", 1, true)
    local huge = jpeg:sub(1, at + 4) .. (">I2I2"):pack(65500, 65500) .. jpeg:sub(at + 9)
    refused(format, huge, "65500 x 65500")
  end)

  it("npy: headers that lie", function()
    local f, body = formats.npy, f32(1, 2, 3, 4)
    refused(f, forge.npy("<f4", "(2, 3)", body), "24 bytes")
    refused(f, forge.npy("<f4", "(2, 2)", body .. "x"), "takes 16 bytes, file holds 17")
    refused(f, forge.npy("<f4", "(4611686018427387904, 4)", body), "too large")
    refused(f, forge.npy("<f4", "(99999999999999999999,)", body), "overflows")
    refused(f, forge.npy("<f4", "(-2, 2)", body), "whole number")
    refused(f, forge.npy("<f4", "(1,1,1,1,1,1,1,2,2)", body), "dimensions")
    refused(f, forge.npy("<c8", "(2,)", body), "<c8")
    refused(f, forge.npy("|O", "(2,)", body), "|O")
    refused(f, forge.npy("<f4", "(2, 2)", body, { version = 4 }), "version 4")
    refused(f, "\x93NUMPY\1\0\xff\xff{}", "header says 65535 bytes")
    refused(f, "\x93NUMPY\1\0\2\0{}", "lacks")
    refused(f, "\x93NUMPY\1\0\2\0[]", "dictionary")
    assert.equal(0, read(f, forge.npy("<f4", "(0, 5)", "")):numel())
  end)

  it("npz: directories that lie", function()
    local f, array = formats.npz, forge.npy("|u1", "(3,)", "xyz")
    local good = forge.zip { { "a.npy", array, true } }
    local entry = good:find("PK\1\2", 1, true)
    local function with(offset, format, value) -- a field of the directory's entry
      local n = format:packsize()
      return good:sub(1, entry + offset - 1) .. format:pack(value) .. good:sub(entry + offset + n)
    end
    assert.is_truthy(read(f, good))
    refused(f, with(24, "<I4", 0x7FFFFFFF), "says 2147483647 bytes")
    refused(f, with(24, "<I4", #array - 1), "takes 3 bytes, file holds 2")
    refused(f, with(24, "<I4", #array + 1), "takes 3 bytes, file holds 4")
    refused(f, with(20, "<I4", 0x7FFFFFFF), "in a file of")
    refused(f, with(16, "<I4", 1), "checksum")
    refused(f, with(42, "<I4", 7), "isn't at byte 7")
    refused(f, with(42, "<I4", 0x7FFFFFFF), "file holds")
    refused(f, with(10, "<I2", 14), "method 14")
    refused(f, with(8, "<I2", 1), "encrypted")
    refused(f, with(28, "<I2", 0xFFFF), "cut short")
    refused(f, good:sub(1, -13) .. ("<I2"):pack(500) .. good:sub(-10), "directory")
  end)

  it("idx: sizes that overflow, next to a size of 0 too", function()
    local huge = 0xffffffff
    refused(formats.idx, forge.idx({ huge, huge, huge, 1 }, ""), "sizes overflow")
    refused(formats.idx, forge.idx({ 0, huge, huge, huge }, ""), "sizes overflow")
    refused(formats.idx, forge.idx({ huge, huge, huge, 0 }, ""), "sizes overflow")
  end)

  it("safetensors: the format's own hostile files", function()
    local f, bytes16 = formats.safetensors, ("\0"):rep(16)
    local function one(member) return '{"test":{"dtype":"I32",' .. member .. "}}" end
    local good = one '"shape":[2,2],"data_offsets":[0,16]'
    assert.is_truthy(read(f, forge.safetensors(good, bytes16)))
    refused(f, "", "not even")
    refused(f, "\x3c\0\0\0\0\0\0\0", "header says 60 bytes, file holds 8")
    refused(f, "\1\0\0\0\0\0\0\0\xff", "UTF%-8")
    refused(f, "\1\0\0\0\0\0\0\0{", "its end")
    refused(f, "\x3c\0\0\0\0\xff\xff\xff" .. good .. bytes16, "at most 100,000,000")
    refused(f, ("<I8"):pack(91234560) .. ("x"):rep(4088), "header says 91,234,560 bytes, file holds 4,096")
    refused(f, forge.safetensors(good, bytes16 .. "extra_bogus_data_for_polyglot_file"), "file holds 50")
    refused(f, forge.safetensors(good, bytes16:sub(3)), "file holds 14")
    refused(f, forge.safetensors(one '"shape":[2,2],"data_offsets":[0, 4]', bytes16), "takes 16 bytes")
    refused(f, forge.safetensors(one '"shape":[2,18446744073709551614],"data_offsets":[0,16]', bytes16),
      "overflows")
    refused(f, forge.safetensors(one '"shape":[2,9223372036854775807],"data_offsets":[0,16]', bytes16),
      "overflows")
    refused(f, forge.safetensors(one '"shape":[2,2.0],"data_offsets":[0,16]', bytes16), "whole number")
    refused(f, forge.safetensors(one '"shape":[2,-2],"data_offsets":[0,16]', bytes16), "whole number")
    refused(f, forge.safetensors(one '"shape":[2,02],"data_offsets":[0,16]', bytes16), "whole number")
    refused(f, forge.safetensors(one '"shape":[2,2],"data_offsets":[16,0]', bytes16), "hole")
    refused(f, forge.safetensors(one '"shape":[2,2],"data_offsets":[1,17]', bytes16 .. "x"), "hole")
    refused(f, forge.safetensors(one '"shape":[2,2],"data_offsets":[0,16],"x":1', bytes16), "member")
    refused(f, forge.safetensors(one '"shape":[2,2]', bytes16), "lacks")
    local deep = one('"shape":[' .. ("1,"):rep(20) .. '1],"data_offsets":[0,4]')
    refused(f, forge.safetensors(deep, "abcd"), "16 numbers")
    refused(f, forge.safetensors(good .. "x", bytes16), "follow")
    refused(f, forge.safetensors(good:gsub("I32", "I33"), bytes16), "I33")
  end)

  it("safetensors: names once, no holes, no overlaps", function()
    local f = formats.safetensors
    local function tensor(name, from, to)
      return ('"%s":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}'):format(name, to - from, from, to)
    end
    local function two(a, b) return forge.safetensors("{" .. a .. "," .. b .. "}", "abcdefgh") end
    assert.is_truthy(read(f, two(tensor("b", 4, 8), tensor("a", 0, 4))))
    refused(f, two(tensor("a", 0, 4), tensor("a", 4, 8)), 'names "a" twice')
    refused(f, two(tensor("a", 0, 4), tensor("\\u0061", 4, 8)), 'names "a" twice')
    refused(f, two(tensor("a", 0, 8), tensor("b", 0, 8)), "overlap")
    refused(f, two(tensor("a", 0, 5), tensor("b", 4, 8)), "overlap")
    refused(f, two(tensor("a", 0, 3), tensor("b", 4, 8)), "hole")
    refused(f, forge.safetensors('{"__metadata__":{"a":1}}'), "expected")
    refused(f, forge.safetensors('{"__metadata__":{"a":"1","a":"2"}}'), "twice")
    refused(f, forge.safetensors('{"__metadata__":{},"__metadata__":{}}'), "twice")
    refused(f, forge.safetensors(('{"a":'):rep(100000)), "member")
    refused(f, forge.safetensors('{"\\ud800":{}}'), "surrogate")
    refused(f, forge.safetensors('{"\1":{}}'), "without an end")
    refused(f, forge.safetensors '{"a\\x":{}}', "escape")
  end)

  it("safetensors: empty, padded and scalar ones are good", function()
    local f = formats.safetensors
    for _, text in ipairs { "{}\r \t\n", "\t\n{}\r ", "{}      " } do
      assert.same({}, (read(f, forge.safetensors(text))))
    end
    local alone = '{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}'
    local scalar = read(f, forge.safetensors(alone, f32(2.5)))
    assert.equal(2.5, scalar.a:item())
    local empty = read(f, forge.safetensors '{"a":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]}}')
    assert.same({ 2, 0 }, empty.a:shape())
  end)
end)

-- Arrays of all types in files of other programs. Those that a tensor can hold are read
-- to the bit. The others are listed and refused by name, and do not prevent reading the
-- rest.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local data = d.data

local inf, nan = math.huge, 0 / 0

-- safetensors of { {name, dtype, shape, bytes}, ... }
local function safetensors(list)
  local parts, bytes, from = {}, {}, 0
  for i, t in ipairs(list) do
    parts[i] = ('"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(t[1], t[2],
      table.concat(t[3], ","), from, from + #t[4])
    bytes[i], from = t[4], from + #t[4]
  end
  return forge.file(forge.safetensors("{" .. table.concat(parts, ",") .. "}", table.concat(bytes)))
end

local function same(expected, actual)
  assert.equal(#expected, #actual)
  for i, v in ipairs(expected) do
    local equal = v ~= v and actual[i] ~= actual[i] or v == actual[i] and 1 / v == 1 / actual[i]
    assert(equal, ("number %d: %s, not %s"):format(i, actual[i], v))
  end
end

local function read_code(dtype, ...)
  local bytes = string.char(...)
  local x = assert(d.load(safetensors { { "x", dtype, { #bytes }, bytes } })).x
  return x:totable(), x:dtype()
end

describe("safetensors' numbers of 8 bits", function()
  after_each(forge.clean)

  it("are read with their subnormals, ends and nan", function()
    same({ 0, 2 ^ -9, 7 * 2 ^ -9, 2 ^ -6, 1, 1.5, 448, nan, -0.0, -2 ^ -9, -1.5, -448, nan },
      (read_code("F8_E4M3", 0, 1, 7, 8, 0x38, 0x3C, 0x7E, 0x7F, 0x80, 0x81, 0xBC, 0xFE, 0xFF)))
    same({ 0, 2 ^ -16, 3 * 2 ^ -16, 2 ^ -14, 1, 57344, inf, nan, nan, -0.0, -2 ^ -16, -57344, -inf, nan },
      (read_code("F8_E5M2", 0, 1, 3, 4, 0x3C, 0x7B, 0x7C, 0x7D, 0x7F, 0x80, 0x81, 0xFB, 0xFC, 0xFF)))
    same({ 0, 2 ^ -10, 7 * 2 ^ -10, 2 ^ -7, 1, 240, nan, -2 ^ -10, -240 },
      (read_code("F8_E4M3FNUZ", 0, 1, 7, 8, 0x40, 0x7F, 0x80, 0x81, 0xFF)))
    same({ 0, 2 ^ -17, 3 * 2 ^ -17, 2 ^ -15, 1, 57344, nan, -2 ^ -17, -57344 },
      (read_code("F8_E5M2FNUZ", 0, 1, 3, 4, 0x40, 0x7F, 0x80, 0x81, 0xFF)))
    same({ 2 ^ -127, 2 ^ -126, 0.5, 1, 2, 2 ^ 127, nan }, (read_code("F8_E8M0", 0, 1, 126, 127, 128, 254, 255)))
  end)

  it("are all of f16's whose lower byte is 0, in E5M2", function()
    local codes, halves = {}, {}
    for code = 0, 255 do codes[code + 1], halves[code + 1] = string.char(code), "\0" .. string.char(code) end
    local back = assert(d.load(safetensors { { "h", "F16", { 256 }, table.concat(halves) },
      { "x", "F8_E5M2", { 256 }, table.concat(codes) } }))
    same(back.h:totable(), back.x:totable())
  end)

  it("rise with their codes up to the largest, in E4M3", function()
    local codes = {}
    for code = 0, 126 do codes[code + 1] = string.char(code) end
    local x = assert(d.load(safetensors { { "x", "F8_E4M3", { 127 }, table.concat(codes) } })).x
    local last = -1
    for _, v in ipairs(x:totable()) do
      assert(v > last)
      last = v
    end
    assert.equal("f16", x:dtype())
    assert.equal(2 * 448, (x + x):max():item())
    local path = safetensors { { "x", "F8_E4M3", { 127 }, table.concat(codes) }, { "p", "F8_E8M0", { 1 }, "\254" } }
    local wide = assert(d.load(path, { f8 = "f32" }))
    assert.equal("f32", wide.x:dtype())
    assert.is_true(wide.x:equal(x:to "f32"))
    assert.equal(2 ^ 127, assert(d.load(path)).p:item())
  end)
end)

describe("a safetensors file with types that no tensor has", function()
  after_each(forge.clean)

  local others = {
    { "c", "C64", { 1, 2 }, ("<ffff"):pack(1, 2, 3, 4) }, { "big", "U64", { 2 }, ("<i8i8"):pack(5, -1) },
    { "four", "F4", { 4 }, "xy" }, { "six", "F6_E2M3", { 4 }, "abc" },
    { "deep", "U8", { 1, 1, 1, 1, 1, 1, 1, 1, 2 }, "ab" },
  }
  local function file()
    local list = { { "a", "F32", { 2 }, ("<ff"):pack(1.5, -2) },
      { "u", "U64", { 2 }, ("<i8i8"):pack(7, math.maxinteger) } }
    for _, t in ipairs(others) do list[#list + 1] = t end
    return safetensors(list)
  end

  it("gives the others", function()
    local back = assert(d.load(file()))
    assert.same({ 1.5, -2 }, back.a:totable())
    assert.same({ 7, math.maxinteger }, back.u:totable())
    assert.is_nil(back.none)
  end)

  it("lists them, and refuses them by name", function()
    local path = file()
    local back = assert(d.load(path))
    local listed = {}
    for name, x in pairs(back) do listed[name] = x:dtype() .. " " .. table.concat(x:shape(), ",") end
    assert.same({ a = "f32 2", u = "i64 2", c = "C64 1,2", big = "U64 2", four = "F4 4", six = "F6_E2M3 4",
      deep = "U8 1,1,1,1,1,1,1,1,2" }, listed)
    for _, t in ipairs(others) do
      fails(t[1], function() return back[t[1]] end)
      fails(t[2], function() return back[t[1]] end)
      fails(path, function() return back[t[1]] end)
    end
    fails("number 2", function() return back.big end)
    fails("9 dimensions", function() return back.deep end)
    for name, x in pairs(back) do
      if name == "c" then fails("'c' is of type C64 [1,2]", function() return x:sum() end) end
    end
    fails("array", d.save, path, back)
  end)

  it("is refused whole where it is damaged", function()
    local none, message = d.load(safetensors { { "a", "F4", { 3 }, "xy" } })
    assert.is_nil(none)
    assert(message:find("F4 [3]", 1, true), message)
    none, message = d.load(safetensors { { "a", "C64", { 3 }, "xy" } })
    assert.is_nil(none)
    assert(message:find("24 bytes", 1, true), message)
    assert.is_nil((d.load(safetensors { { "a", "C65", { 1 }, "xy" } })))
  end)

  it("is no model's", function()
    local none, message = d.load_model(safetensors { { "a", "C64", { 1 }, ("x"):rep(8) } })
    assert.is_nil(none)
    assert.is_string(message)
  end)
end)

describe("NumPy's arrays", function()
  after_each(forge.clean)

  local function read(descr, shape, bytes, options)
    return data.arrays(forge.file(forge.npy(descr, shape, bytes, options)))
  end

  it("are read big-endian as little-endian", function()
    local cases = {
      { "f4", "f", "f32", 1.5, -2 ^ -149, inf }, { "f8", "d", "f64", 0.1, -5e-324, inf },
      { "i8", "i8", "i64", -7, 1 << 62 },
      { "i4", "i4", "i64", -7, 1 << 30 }, { "u4", "I4", "i64", 7, 0xFFFFFFFF }, { "i2", "i2", "i64", -300, 32767 },
      { "u2", "I2", "i64", 1, 65535 }, { "u8", "I8", "i64", 1, math.maxinteger }, { "i1", "i1", "i64", -7, 127 },
    }
    for _, case in ipairs(cases) do
      local values = table.move(case, 4, #case, 1, {})
      for _, order in ipairs { "<", ">" } do
        local x = assert(read(order .. case[1], ("(%d,)"):format(#values),
          (order .. case[2]:rep(#values)):pack(table.unpack(values))))
        assert.equal(case[3], x:dtype())
        same(values, x:totable())
      end
    end
    same({ 1.5, 2 ^ -24, -inf }, assert(read(">f2", "(3,)", "\x3e\0\0\1\xfc\0")):totable())
  end)

  it("are read big-endian in any number, and in Fortran's order", function()
    local n, values = 1300, {}
    for i = 1, n do values[i] = i * 0.25 - 7 end
    local x = assert(read(">f4", ("(%d,)"):format(n), (">" .. ("f"):rep(n)):pack(table.unpack(values))))
    same(values, x:totable())
    x = assert(read(">i2", "(3, 2)", (">i2i2i2i2i2i2"):pack(1, 2, 3, 4, 5, 6), { fortran = true }))
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, x:totable())
  end)

  -- {descr as Python writes it, bytes of an element, its name}
  local others = {
    { "'<c8'", 8, "<c8" }, { "'<c16'", 16, "<c16" }, { "'<f16'", 16, "<f16" }, { "'<U5'", 20, "<U5" },
    { "'|S3'", 3, "|S3" }, { "'|V4'", 4, "|V4" }, { "'<M8[ns]'", 8, "<M8[ns]" }, { "'<m8[25s]'", 8, "<m8[25s]" },
    { "[('a', '<f4'), ('b', '<i2', (2, 3)), (('title', 'c'), '|u1')]", 17, "record of 3 fields" },
    { "[('a', [('x', '>f8'), ('y', '<U1')]), ('', '|V3')]", 15, "record of 2 fields" },
    { "'|O'", 5, "|O" },
  }
  local function npy(descr, shape, bytes)
    local text = ("{'descr': %s, 'fortran_order': False, 'shape': %s, }\n"):format(descr, shape)
    return "\x93NUMPY\1\0" .. ("<I2"):pack(#text) .. text .. bytes
  end

  it("of other types are refused, with their type", function()
    for _, t in ipairs(others) do
      local none, message = data.arrays(forge.file(npy(t[1], "(2,)", ("x"):rep(2 * t[2]))))
      assert.is_nil(none)
      assert(message:find(t[3], 1, true) and message:find("[2]", 1, true), message)
    end
  end)

  it("of other types don't keep the rest of a zip away", function()
    local entries = { { "good.npy", npy("'>i2'", "(2,)", "\0\1\xff\xff") }, { "notes.txt", "no array" } }
    for i, t in ipairs(others) do
      entries[#entries + 1] = { ("other%d.npy"):format(i), npy(t[1], "(2,)", ("x"):rep(2 * t[2])), i % 2 == 0 }
    end
    entries[#entries + 1] = { "huge.npy", npy("'<u8'", "(1,)", ("\xff"):rep(8)) }
    local back = assert(data.arrays(forge.file(forge.zip(entries), ".npz")))
    assert.same({ 1, -1 }, back.good:totable())
    local listed = {}
    for name, x in pairs(back) do listed[name] = x:dtype() end
    local expected = { good = "i64", ["notes.txt"] = "file", huge = "<u8" }
    for i, t in ipairs(others) do expected[("other%d"):format(i)] = t[3] end
    assert.same(expected, listed)
    for name in pairs(expected) do
      if name ~= "good" then fails(("'%s'"):format(name), function() return back[name] end) end
    end
  end)

  it("of other types are held against their bytes all the same", function()
    for _, t in ipairs(others) do
      if t[3] ~= "|O" then
        for _, bytes in ipairs { 2 * t[2] - 1, 2 * t[2] + 1 } do
          local none, message = data.arrays(forge.file(forge.zip {
            { "a.npy", forge.npy("|u1", "(1,)", "x") }, { "b.npy", npy(t[1], "(2,)", ("x"):rep(bytes)) } }, ".npz"))
          assert.is_nil(none)
          assert(message:find(("takes %d bytes, file holds %d"):format(2 * t[2], bytes), 1, true), message)
        end
      end
    end
    local bytes = forge.zip { { "a.npy", npy("'<c8'", "(2,)", ("x"):rep(16)), true } }
    local at = bytes:find(("x"):rep(16), 1, true)
    for _, ending in ipairs { ".npz" } do
      local none, message = data.arrays(forge.file(bytes:sub(1, at) .. "y" .. bytes:sub(at + 2), ending))
      assert.is_nil(none)
      assert(message:find "checksum", message)
    end
  end)

  it("have a header of NumPy's and nothing else", function()
    local function header(descr, shape, order)
      return ("{'descr': %s, 'fortran_order': %s, 'shape': %s}"):format(descr, order or "False", shape or "(2,)")
    end
    local far = "9223372036854775807"
    for _, text in ipairs { header "'<z4'", header "'<f3'", header "'<U99999999999999999999'", header "'<U'",
      header("'<f4'", "2"), header("'<f4'", "[2]"), header("'<f4'", "(2,)", "1"), header("'<f4'", "(2,)", "Tru"),
      header "[('a',)]", header "[('a', '<f4', (" .. far .. ", " .. far .. "))]", header "None", header "{}",
      header "'<f4', 'descr': '<f8'", header("'<f4'", ("("):rep(100000)), header("'<f4'", "(" .. far .. "0,)"),
      header("'<f4'"):sub(1, -2), header "'<f4'" .. " x", ("[("):rep(50), "", "'", "{'a\\q': 1}", "{1: 2}" } do
      local none, message = data.arrays(forge.file("\x93NUMPY\2\0" .. ("<I4"):pack(#text) .. text .. ("x"):rep(8)))
      assert.is_nil(none)
      assert.is_string(message)
    end
  end)

  it("that a set needs are asked for by name", function()
    local function set(...) return data.npy(forge.file(forge.zip { ... }, ".npz")) end
    local x = { "x.npy", forge.npy("<f4", "(2, 1)", ("<ff"):pack(1, 2)) }
    local strings = npy("'<U1'", "(2,)", ("x"):rep(8))
    assert.equal(2, assert(set(x, { "names.npy", strings })).n)
    local none, message = set({ "x.npy", strings })
    assert.is_nil(none)
    assert(message:find("<U1", 1, true), message)
    none, message = set(x, { "labels.npy", strings })
    assert.is_nil(none)
    assert(message:find("'labels'", 1, true), message)
  end)
end)

describe("zip files", function()
  after_each(forge.clean)

  local function refused(bytes, ...)
    local none, message = data.arrays(forge.file(bytes, ".npz"))
    assert.is_nil(none)
    for _, part in ipairs { ... } do assert(message:find(part, 1, true), message) end
  end

  -- A directory of `n` entries, all at the place of the one there is; `name(k)` is what each is called.
  local function crowd(n, name)
    local one = forge.zip { { "a.npy", forge.npy("|u1", "(1000,)", ("x"):rep(1000)), true } }
    local at = one:find("PK\1\2", 1, true)
    local entry, body, list = one:sub(at, #one - 22), one:sub(1, at - 1), {}
    for k = 1, n do list[k] = entry:sub(1, 46) .. name(k) end
    local directory = table.concat(list)
    return body .. directory .. "PK\5\6" .. ("<I2I2I2I2I4I4I2"):pack(0, 0, n, n, #directory, #body, 0)
  end

  it("have each name once, and each place once", function()
    assert.is_truthy(data.arrays(forge.file(crowd(1, function() return "a.npy" end), ".npz")))
    refused(crowd(300, function() return "a.npy" end), "two entries", '"a.npy"')
    refused(crowd(2, function(k) return k == 1 and "a.npy" or "b.npy" end), '"b.npy"')
    local twice = forge.zip { { "a.npy", forge.npy("|u1", "(1,)", "x") }, { "a.npy", forge.npy("|u1", "(1,)", "y") } }
    refused(twice, '"a.npy"')
    refused(forge.zip { { "a.npy", forge.npy("|u1", "(1,)", "x") }, { "a", "text" } }, '"a"')
  end)

  it("have no entry within another, nor over the directory", function()
    local inner = forge.zip { { "b.npy", forge.npy("|u1", "(1,)", "x") } }
    local local_entry = inner:sub(1, inner:find("PK\1\2", 1, true) - 1)
    local outer = forge.zip { { "a.npy", forge.npy("|u1", ("(%d,)"):format(#local_entry), local_entry) } }
    local at = outer:find(local_entry, 1, true) - 1
    local first, second = outer:sub(outer:find("PK\1\2", 1, true), -23), inner:sub(inner:find("PK\1\2", 1, true), -23)
    local body = outer:sub(1, outer:find("PK\1\2", 1, true) - 1)
    local directory = first .. second:sub(1, 42) .. ("<I4"):pack(at) .. second:sub(47)
    refused(body .. directory .. "PK\5\6" .. ("<I2I2I2I2I4I4I2"):pack(0, 0, 2, 2, #directory, #body, 0),
      '"a.npy"', '"b.npy"')
    local good = forge.zip { { "a.npy", forge.npy("|u1", "(1,)", "x") } }
    local entry = good:find("PK\1\2", 1, true)
    local packed = ("<I4"):unpack(good, entry + 20)
    local longer = ("<I4I4"):pack(packed + 4, packed + 4)
    refused(good:sub(1, entry + 19) .. longer .. good:sub(entry + 28), "directory")
  end)

  it("make room for no more than an array's own header declares", function()
    local array = forge.npy("|u1", "(3,)", "xyz")
    local packed = forge.deflate(array)
    local claimed = #packed * 1000
    local common = ("<I2I2I2I2I2I4I4I4I2I2"):pack(20, 0, 8, 0, 0, forge.crc32(array), #packed, claimed, 5, 0)
    local body = "PK\3\4" .. common .. "a.npy" .. packed
    local directory = "PK\1\2\20\0" .. common .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, 0) .. "a.npy"
    local room = 100 << 10 -- memory that inflating itself takes, less than the claimed size
    assert(claimed > room)
    d.memory_limit(core.memory().live + room)
    refused(body .. directory .. "PK\5\6" .. ("<I2I2I2I2I4I4I2"):pack(0, 0, 1, 1, #directory, #body, 0),
      "takes 3 bytes", ("file holds %d"):format(claimed - #array + 3))
    d.memory_limit(0)
  end)
end)

describe("gzipped IDX files", function()
  after_each(forge.clean)

  -- Damaged behind the header: inflating says so.
  local function broken(sizes, elements)
    local bytes = forge.gzip(forge.idx(sizes, elements))
    return forge.file(bytes:sub(1, -9) .. "\0\0\0\0" .. bytes:sub(-4))
  end

  it("are refused by their headers, before they are inflated", function()
    local line = broken({ 600 }, ("x"):rep(600))
    local none, message = data.idx(line)
    assert.is_nil(none)
    assert(message:find("[600]", 1, true), message)
    local images = broken({ 3, 2, 2 }, ("x"):rep(12))
    for _, labels in ipairs { forge.file(forge.gzip(forge.idx({ 2 }, "\0\0"))), line } do
      none, message = data.idx(images, labels)
      assert.is_nil(none)
      assert(message:find("for 3 images", 1, true), message)
    end
    none, message = data.idx(images)
    assert.is_nil(none)
    assert(message:find("damaged", 1, true), message)
  end)
end)

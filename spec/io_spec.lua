-- Files: mapped windows, writing aside, safetensors, NumPy, IDX, gzip, JSON.
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local header = require "diffusion.file.safetensors_header"
local json = require "diffusion.file.json"
local data = d.data

local function listing(folder)
  return assert(core.list(folder))
end

describe("mapped files", function()
  after_each(forge.clean)

  it("give text within their bounds, and a sentence beyond", function()
    local f = assert(core.map(forge.file "0123456789"))
    assert.equal(10, f:size())
    assert.equal("345", f:text(3, 3))
    assert.equal("", f:text(10, 0))
    for _, range in ipairs { { 8, 3 }, { 11, 0 }, { 0, 11 }, { math.maxinteger, math.maxinteger } } do
      local text, message = f:text(range[1], range[2])
      assert.is_nil(text)
      assert.is_truthy(message:find "file holds 10")
    end
    assert.has_error(function() f:text(-1, 2) end)
  end)

  it("may be empty, and may be closed", function()
    local f = assert(core.map(forge.file ""))
    assert.equal(0, f:size())
    assert.equal("", f:text(0, 0))
    f:close()
    f:close()
    assert.has_error(function() f:size() end)
  end)

  it("have parts, which keep them open", function()
    local part = assert(assert(core.map(forge.file "0123456789")):part(2, 5))
    collectgarbage()
    assert.equal("456", part:text(2, 3))
    assert.is_nil((part:text(3, 3)))
    assert.is_nil((part:part(0, 6)))
  end)

  it("carry tensors: on the file where aligned, copies where not", function()
    local bytes = ("<fff"):pack(1.5, -2, 3)
    local path = forge.file(("x"):rep(4) .. bytes)
    local f = assert(core.map(path))
    local x = assert(f:tensor("f32", { 3 }, 4))
    assert.same({ 1.5, -2, 3 }, x:totable())
    local shifted = assert(core.map(forge.file("x" .. bytes))):tensor("f32", { 1, 3 }, 1)
    assert.same({ { 1.5, -2, 3 } }, shifted:totable())
    x:fill_(7)
    f = nil -- luacheck: ignore
    collectgarbage()
    assert.same({ 7, 7, 7 }, x:totable())
    assert.equal(("x"):rep(4) .. bytes, forge.bytes_of(path))
  end)

  it("widen integers without a tensor type, and truth", function()
    local function read(kind, format, ...)
      local bytes = ("<" .. format:rep(select("#", ...))):pack(...)
      local x = assert(assert(core.map(forge.file("?" .. bytes))):tensor(kind, { select("#", ...) }, 1))
      return x:totable(), x:dtype()
    end
    local cases = {
      { "i8", "i1", -128, 127 }, { "i16", "i2", -32768, 32767 }, { "u16", "I2", 0, 65535 },
      { "i32", "i4", -2147483648, 2147483647 }, { "u32", "I4", 0, 4294967295 },
      { "i64", "i8", math.mininteger, math.maxinteger },
    }
    for _, case in ipairs(cases) do
      local values, dtype = read(table.unpack(case))
      assert.same({ case[3], case[4] }, values)
      assert.equal("i64", dtype)
    end
    local truth, dtype = read("bool", "B", 0, 1, 2)
    assert.same({ 0, 1, 1 }, truth)
    assert.equal("i64", dtype)
  end)

  it("know CRC-32 by its check value", function()
    assert.equal(0xCBF43926, assert(core.map(forge.file "123456789")):crc())
    assert.equal(forge.crc32 "diffusion", assert(core.map(forge.file "diffusion")):crc())
  end)

  it("inflate what zlib deflated", function()
    -- a hundred times "a": made by zlib, raw
    local packed = "\x4b\x4c\xa4\x3d\x00\x00"
    local f = assert(core.map(forge.file(packed)))
    assert.equal(("a"):rep(100), assert(f:inflate(0, #packed, 100)):text(0, 100))
    assert.is_nil((f:inflate(0, #packed, 99)))
    assert.is_nil((f:inflate(0, #packed, 101)))
    assert.is_nil((f:inflate(0, #packed - 2, 100)))
  end)
end)

describe("write_file", function()
  after_each(forge.clean)

  it("writes strings and tensors one after the other, over what was there", function()
    local path = forge.file "old and longer than the new one"
    assert.is_true(core.write_file(path, { "ab", core.tensor({ 99, 100 }, { dtype = "u8" }), "", "ef" }))
    assert.equal("abcdef", forge.bytes_of(path))
  end)

  it("leaves the old file alone and nothing beside it where it fails", function()
    local folder = forge.folder()
    assert(core.write_file(folder .. "/a", { "old" }))
    assert(os.execute("mkdir " .. folder .. "/b"))
    local done, message = core.write_file(folder .. "/b", { "new" })
    assert.is_nil(done)
    assert.is_truthy(message:find(folder .. "/b", 1, true))
    assert.is_nil((core.write_file(folder .. "/nowhere/a", { "new" })))
    assert.has_error(function() core.write_file(folder .. "/a", { "new", {} }) end)
    assert.same({ "a", "b/" }, listing(folder))
    assert.equal("old", forge.bytes_of(folder .. "/a"))
  end)

  it("follows links and keeps permissions", function()
    local folder = forge.folder()
    assert(core.write_file(folder .. "/real", { "old" }))
    assert(os.execute(("cd %s && chmod 640 real && ln -s real link"):format(folder)))
    assert(core.write_file(folder .. "/link", { "new" }))
    assert.equal("new", forge.bytes_of(folder .. "/real"))
    assert(os.execute(("cd %s && test -L link && test \"$(stat -c %%a real)\" = 640"):format(folder)))
  end)

  it("leaves tensors on the replaced file whole", function()
    local path = forge.file(("<ff"):pack(1, 2))
    local x = assert(core.map(path)):tensor("f32", { 2 }, 0)
    assert(core.write_file(path, { "x" }))
    assert.same({ 1, 2 }, x:totable())
  end)
end)

describe("files read with copy = true", function()
  after_each(forge.clean)

  it("may be cut short while their tensors are in use", function()
    local x, model = d.arange(1, 5000), d.mlp { dim = 2, hidden = 4, depth = 1 }
    local path = forge.file ""
    assert(d.save(path, { x = x }))
    local array = forge.npy("<f4", "(2500, 2)", x:to "f32":bytes())
    local npy, npz = forge.file(array), forge.file(forge.zip { { "x.npy", array } }, ".npz")
    local loaded = { d.load(path, { copy = true }).x, d.data.arrays(npy, { copy = true }),
                     d.data.npy(npy, { copy = true }).x, d.data.arrays(npz, { copy = true }).x }
    for _, name in ipairs { path, npy, npz } do assert(os.execute("truncate -s 0 " .. name)) end
    for i = 1, 4 do assert.is_true(loaded[i]:flatten():equal(x)) end
    assert(model:save(path))
    for _, name in ipairs { "load_model", "load" } do assert(d[name](path, { copy = true })) end
    assert(model:load(path, { copy = true }))
    assert(core.map(path, true))
    assert.equal(0, core.map(forge.file "", true):size())
    for _, f in ipairs { d.load, d.load_model, d.data.npy, d.data.arrays } do
      assert.has_error(function() f(path, { coppy = true }) end)
      assert.is_nil((f("/nowhere/a", { copy = true })))
    end
  end)
end)

describe("safetensors", function()
  after_each(forge.clean)

  local function saved(tensors, metadata)
    local path = forge.file ""
    assert(d.save(path, tensors, metadata))
    return forge.bytes_of(path), path
  end

  it("is written as the format's own library writes it", function()
    assert.equal("\8\0\0\0\0\0\0\0{}      ", (saved {}))
    local text = '{"__metadata__":{"framework":"pt"}}     '
    assert.equal(("<I8"):pack(40) .. text, (saved({}, { framework = "pt" })))
    text = '{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}'
    local numbers = ("<ffffff"):pack(0, 1, 2, 3, 4, 5)
    local x = core.tensor { { { 0, 1, 2 }, { 3, 4, 5 } } }:to "f32"
    assert.equal(("<I8"):pack(64) .. text .. numbers, (saved { ["attn.0"] = x }))
    text = '{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       '
    assert.equal(("<I8"):pack(72) .. text .. numbers, (saved { attn0 = x:reshape(1, 1, 2, 3) }))
  end)

  it("gives back every type, shape and name, wider types first", function()
    local tensors = {
      a = core.tensor({ 1, 2, 255 }, { dtype = "u8" }),
      b = core.tensor({ { -1, 1 << 60 } }, { dtype = "i64" }),
      c = core.tensor({ 0.5, -3 }, { dtype = "f16" }), d = core.tensor({ 1.5, -4 }, { dtype = "bf16" }),
      e = core.tensor({ 1 / 3 }, { dtype = "f64" }), f = core.tensor({ 0.1 }, { dtype = "f32" }),
      ["names.can\n\"be\\ é"] = core.full({}, 2, { dtype = "f32" }),
      empty = core.zeros({ 0, 3 }, { dtype = "f32" }),
    }
    local bytes, path = saved(tensors, { key = "value\n\"ü\"" })
    local back, metadata = d.load(path)
    assert.same({ key = "value\n\"ü\"" }, metadata)
    for name, x in pairs(tensors) do
      assert.equal(x:dtype(), back[name]:dtype())
      assert.same(x:shape(), back[name]:shape())
      assert.same(x:totable(), back[name]:totable())
      back[name] = nil
    end
    assert.same({}, back)
    local order = {}
    for name in bytes:gmatch '"(%l)":{"dtype"' do order[#order + 1] = name end
    assert.equal("befdca", table.concat(order))
    assert.equal(bytes, (saved(tensors, { key = "value\n\"ü\"" })))
  end)

  it("stores windows as what they show", function()
    local x = core.tensor({ { 1, 2, 3 }, { 4, 5, 6 } }, { dtype = "f32" })
    local _, path = saved { t = x:permute { 2, 1 }, n = x:narrow(2, 2, 2) }
    local back = d.load(path)
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, back.t:totable())
    assert.same({ { 2, 3 }, { 5, 6 } }, back.n:totable())
  end)

  it("is read with its other integer types", function()
    local text = '{"b":{"dtype":"BOOL","shape":[2],"data_offsets":[4,6]},'
      .. '"i":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}'
    local back = assert(d.load(forge.file(forge.safetensors(text, ("<i4BB"):pack(-5, 0, 1)))))
    assert.same({ -5 }, back.i:totable())
    assert.same({ 0, 1 }, back.b:totable())
  end)

  it("reads escapes and pairs in names", function()
    local text = '{ "\\u00e9\\ud83d\\ude00\\n" : {"shape":[ 0 ],"data_offsets":[0,0],"dtype":"U8"} }'
    local path = forge.file(forge.safetensors(text))
    local list = assert(header.read(assert(core.map(path))))
    assert.equal("é😀\n", list[1].name)
  end)

  it("refuses misuse at once", function()
    local path = forge.file "old"
    local x = core.zeros(1)
    assert.has_error(function() d.save(path, { x }) end)
    assert.has_error(function() d.save(path, { a = 1 }) end)
    assert.has_error(function() d.save(path, { __metadata__ = x }) end)
    assert.has_error(function() d.save(path, { ["\xff"] = x }) end)
    assert.has_error(function() d.save(path, { a = x }, { step = 3 }) end)
    assert.equal("old", forge.bytes_of(path))
    local none, message = d.save("/nowhere/x.safetensors", { a = x })
    assert.is_nil(none)
    assert.is_truthy(message:find "/nowhere/x.safetensors")
  end)
end)

describe("NumPy's files", function()
  after_each(forge.clean)

  it("of two arrays with one name are refused", function()
    local one = forge.npy("|u1", "(1,)", "a")
    local arrays, message = data.arrays(forge.file(forge.zip { { "b.npy", one }, { "b", one } }, ".npz"))
    assert.is_nil(arrays)
    assert.is_truthy(message:find('two arrays are called "b"', 1, true))
  end)

  local six = ("<ffffff"):pack(1, 2, 3, 4, 5, 6)

  it("are read in all three versions", function()
    for version = 1, 3 do
      local x = assert(data.arrays(forge.file(forge.npy("<f4", "(2, 3)", six, { version = version }))))
      assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, x:totable())
      assert.equal("f32", x:dtype())
    end
  end)

  it("come out right from Fortran's order", function()
    local x = assert(data.arrays(forge.file(forge.npy("<f4", "(3, 2)", six, { fortran = true }))))
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, x:totable())
  end)

  it("have shapes () and (n,), and many types", function()
    local function read(descr, shape, bytes)
      local x = assert(data.arrays(forge.file(forge.npy(descr, shape, bytes))))
      return x:totable(), x:dtype()
    end
    assert.equal(2.5, assert(data.arrays(forge.file(forge.npy("<f8", "()", ("<d"):pack(2.5))))):item())
    assert.same({ { 1, 2 }, "u8" }, { read("|u1", "(2,)", "\1\2") })
    assert.same({ { 1, 0 }, "i64" }, { read("|b1", "(2,)", "\1\0") })
    assert.same({ { -7 }, "i64" }, { read("<i8", "(1,)", ("<i8"):pack(-7)) })
    assert.same({ { -7 }, "i64" }, { read("<i4", "(1,)", ("<i4"):pack(-7)) })
    assert.same({ { 65535 }, "i64" }, { read("<u2", "(1,)", "\xff\xff") })
    assert.same({ { 1.5 }, "f16" }, { read("<f2", "(1,)", "\0\x3e") })
  end)

  it("come in zips, stored and deflated", function()
    local path = forge.file(forge.zip {
      { "x.npy", forge.npy("<f4", "(6,)", six) }, { "y.npy", forge.npy("|u1", "(3,)", "\1\2\3"), true },
    }, ".npz")
    local arrays = assert(data.arrays(path))
    assert.same({ 1, 2, 3, 4, 5, 6 }, arrays.x:totable())
    assert.same({ 1, 2, 3 }, arrays.y:totable())
  end)
end)

describe("IDX files", function()
  after_each(forge.clean)

  it("are read plain and gzipped, in members too", function()
    local plain = forge.idx({ 2, 2, 3 }, "abcdefghijkl")
    local halves = forge.gzip(plain:sub(1, 9)) .. forge.gzip(plain:sub(10))
    for _, bytes in ipairs { plain, forge.gzip(plain), halves } do
      local x = assert(assert(core.map(forge.file(bytes))):idx())
      assert.same({ 2, 2, 3 }, x:shape())
      assert.equal("abcdefghijkl", x:bytes())
    end
  end)
end)

describe("json", function()
  it("keeps integers, and doubles to the last bit", function()
    local value = { a = 1, b = 0.1, c = { 1e300, -5e-324, 3.0 }, d = math.maxinteger, e = "ü\n\"\\",
      f = true }
    local back = assert(json.decode(json.encode(value)))
    assert.same(value, back)
    assert.equal("integer", math.type(back.a))
    assert.equal("float", math.type(back.c[3]))
    assert.equal('{"a":1,"b":[0.1,2.0]}', json.encode { b = { 0.1, 2.0 }, a = 1 })
  end)

  it("takes and writes Python's Infinity and NaN, but not inside strings", function()
    local v = assert(json.decode '{"a": [Infinity, -Infinity, NaN], "b": "NaN \\" Infinity"}')
    assert.equal(math.huge, v.a[1])
    assert.equal(-math.huge, v.a[2])
    assert.is_true(v.a[3] ~= v.a[3])
    assert.equal('NaN " Infinity', v.b)
    assert.equal("[Infinity,-Infinity,NaN]", json.encode { math.huge, -math.huge, 0 / 0 })
  end)

  it("takes no string for NaN, whatever is in it", function()
    local v = assert(json.decode '{"a": NaN, "b": "\\u0001\\u004eaN0", "c": "NaN", "\\u00ffNaN": "\\u00ffNaN"}')
    assert.is_true(v.a ~= v.a)
    assert.same({ "\1NaN0", "NaN", "\u{ff}NaN" }, { v.b, v.c, v["\u{ff}NaN"] })
    local many = {}
    for i = 1, 2000 do many[i] = ("NaN%d"):format(i - 1) end
    local words = table.concat(many, " ")
    assert.equal(words, assert(json.decode('[NaN, "' .. words .. '"]'))[2])
  end)

  it("has no keys in lists, and strings as keys of objects", function()
    for text, fault in pairs { ['["a": "b"]'] = "a key in a list", ['{"x": [1, "y": 2]}'] = "a key in a list",
      ['{"a" 1}'] = "an object with a key that is no string", ['{[1]: 2}'] = "an object with a key that is no string",
      ['{1: 2}'] = "an object with a key that is no string" } do
      local v, message = json.decode(text)
      assert.is_nil(v)
      assert.equal("json: " .. fault, message)
    end
  end)

  it("has no escape of half a character, which has no UTF-8", function()
    for _, text in ipairs { '"\\ud800"', '["a\\uDFFFb"]', '{"\\udabc": 1}', '{"a": {"b": ["\\ude00\\ud83d"]}}' } do
      local v, message = json.decode(text)
      assert.is_nil(v)
      assert.equal("json: an escape of half a character", message)
    end
    assert.equal("\u{1F600}", json.decode '"\\ud83d\\ude00"')
  end)

  it("is UTF-8", function()
    local v, message = json.decode '["a\xffb"]'
    assert.is_nil(v)
    assert.equal("json: byte 4 isn't UTF-8", message)
  end)

  it("knows null, empty lists and pretty lines", function()
    local v = assert(json.decode '{"a": null, "b": [], "c": {}}')
    assert.equal(json.null, v.a)
    assert.equal('{"a":null,"b":[],"c":{}}', json.encode(v))
    assert.equal('{\n  "a": [\n    1,\n    2\n  ]\n}', json.encode({ a = { 1, 2 } }, true))
  end)

  it("gives nil and a sentence for what isn't JSON", function()
    for _, text in ipairs { "", "{", "{'a':1}", '{"a":1} x', '"abc', "nul",
      ("["):rep(100) .. ("]"):rep(100), ("["):rep(1000000), ("I"):rep(1000000), ("NaNI"):rep(200000) } do
      local value, message = json.decode(text)
      assert.is_nil(value, text)
      assert.is_string(message)
    end
    assert.has_error(function() json.encode { [1.5] = 1 } end)
    assert.has_error(function() json.encode(print) end)
  end)
end)

-- The safetensors reader and writer against the rules of the format, in their order.
local d = require "diffusion"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local header = require "diffusion.file.safetensors_header"
local u64 = require "diffusion.file.u64"

local function load(bytes, options) return d.load(forge.file(bytes), options) end

local function refused(bytes, ...)
  local none, message = load(bytes)
  assert.is_nil(none)
  for _, words in ipairs { ... } do
    assert(message:find(words, 1, true), ("%q isn't in %q"):format(words, message))
  end
end

-- A file of { {name, dtype, "sizes", bytes}, ... }, its header padded as writers do.
local function file(list)
  local parts, data, from = {}, {}, 0
  for i, t in ipairs(list) do
    parts[i] = ('"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(t[1], t[2], t[3], from, from + #t[4])
    data[i], from = t[4], from + #t[4]
  end
  local text = "{" .. table.concat(parts, ",") .. "}"
  return forge.safetensors(text .. (" "):rep(-#text % 8), table.concat(data))
end

local function one(sizes, offsets, dtype)
  return ('{"test":{"dtype":"%s","shape":[%s],"data_offsets":[%s]}}'):format(dtype or "I32", sizes, offsets)
end

local sixteen = ("\0"):rep(16)

describe("the format's own test files", function()
  after_each(forge.clean)

  it("that are refused get a sentence each", function()
    local whole = forge.safetensors(one("2,2", "0,16"), sixteen)
    refused("", "file holds 0 bytes, not even a header's length")
    refused("\x3c\0\0\0\0\0\0", "file holds 7 bytes, not even a header's length")
    refused("\x3c\0\0\0\0\0\0\0", "header says 60 bytes, file holds 8")
    refused("\1\0\0\0\0\0\0\0\xff", "byte 1 of the header isn't UTF-8")
    refused("\1\0\0\0\0\0\0\0{", "byte 2 of the header", "its end found")
    refused("\0\0\0\0\0\0\0\0", "byte 1 of the header", "its end found")
    refused(whole .. "extra_bogus_data_for_polyglot_file", "the tensors take 16 bytes, the file holds 50 for them")
    refused(whole:sub(1, -3), "the tensors take 16 bytes, the file holds 14", "cut short")
    refused("\x3c\0\0\0\0\xff\xff\xff" .. whole:sub(9), "a header of 18,446,742,974,197,923,900 bytes",
      "has at most 100,000,000")
    refused(forge.safetensors(one("2,2", "0, 4"), sixteen), "takes 16 bytes, its data_offsets say 4")
    for _, size in ipairs { "18446744073709551614", "9223372036854775807" } do
      local sentence = '"test", I32 [2,%s], overflows 64 bits'
      refused(forge.safetensors(one("2," .. size, "0,16"), sixteen), sentence:format(size))
    end
    local ten = {}
    for i = 1, 10 do ten[i] = ('"w%d":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}'):format(i) end
    refused(forge.safetensors("{" .. table.concat(ten, ",") .. "}", sixteen), '"w10" lies at bytes 0 to 16',
      "after 16: a hole or an overlap")
  end)

  it("that are good load", function()
    assert.same({ { 0, 0 }, { 0, 0 } }, assert(load(forge.safetensors(one("2,2", "0,16"), sixteen))).test:totable())
    for _, text in ipairs { "{}\r \t\n", "\t\n{}\r ", "{}      " } do
      assert.same({}, assert(load(forge.safetensors(text))))
    end
    assert.same({ 2, 0 }, assert(load(forge.safetensors(one("2,0", "0, 0")))).test:shape())
    local scalar = assert(load(forge.safetensors(one("", "0,4"), "\1\0\0\0"))).test
    assert.same({}, scalar:shape())
    assert.equal(1, scalar:item())
  end)

  it("are what the writer writes", function()
    local function written(tensors, metadata)
      local path = forge.file ""
      assert(d.save(path, tensors, metadata))
      return forge.bytes_of(path)
    end
    assert.equal(forge.safetensors "{}      ", written {})
    assert.equal(forge.safetensors '{"__metadata__":{}}     ', written({}, {}))
    assert.equal(forge.safetensors '{"__metadata__":{"framework":"pt"}}     ', written({}, { framework = "pt" }))
    local six = ("<ffffff"):pack(0, 1, 2, 3, 4, 5)
    local x = d.arange(0, 5):to "f32"
    assert.equal(("<I8"):pack(64) .. '{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}' .. six,
      written { ["attn.0"] = x:reshape(1, 2, 3) })
    assert.equal(("<I8"):pack(72) .. '{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       ' .. six,
      written { attn0 = x:reshape(1, 1, 2, 3) })
  end)
end)

describe("files that the format's library wrote", function()
  after_each(forge.clean)
  local folder = "spec/fixtures/peers/safetensors_"

  it("are what the writer writes of their tensors", function()
    local path = forge.file ""
    local tensors, metadata = assert(d.load(folder .. "ours.safetensors"))
    assert(d.save(path, tensors, metadata))
    assert.equal(forge.bytes_of(folder .. "ours.safetensors"), forge.bytes_of(path))
    assert.equal(2.5, tensors.scalar:item())
  end)

  it("give the numbers of every type", function()
    local back = assert(d.load(folder .. "types.safetensors"))
    for _, dtype in ipairs { "float64", "float32", "bfloat16", "float16" } do
      assert.same({ { 1.5, -2, 0.25 } }, back["f." .. dtype]:totable())
    end
    for _, dtype in ipairs { "i.int64", "i.int32", "i.int16", "i.int8", "i.uint8" } do
      assert.same({ 1, 100, 127 }, back[dtype]:totable())
    end
    for _, dtype in ipairs { "u.uint64", "u.uint32", "u.uint16" } do
      assert.same({ 1, 100, 255 }, back[dtype]:totable())
    end
    assert.same({ 1, 0, 1 }, back.bool:totable())
    fails("'c64' is of type C64 [1]", function() return back.c64 end)
    fails("'f4' is of type F4 [16]", function() return back.f4 end)
    local ones = { float8_e5m2 = 0x3c, float8_e4m3fn = 0x38, float8_e8m0fnu = 127, float8_e4m3fnuz = 0x40,
      float8_e5m2fnuz = 0x40 }
    for dtype, code in pairs(ones) do assert.equal(1, back["e." .. dtype][code + 1]) end
  end)
end)

describe("a header's faults are found in the format's order:", function()
  after_each(forge.clean)

  it("UTF-8, then JSON, then types, before any offset", function()
    refused(forge.safetensors('{"\xff":' .. "{{{{"), "isn't UTF-8")
    refused(forge.safetensors(one("2", "100,7", "I33") .. "x"), '"I33", which the format doesn\'t have')
    refused(forge.safetensors('{"a":{"dtype":"F32","shape":[2],"data_offsets":[9,1]},"b":{"dtype":"Q4"}}'), '"Q4"')
    refused(forge.safetensors('{"a":{"dtype":"F32","shape":[2],"data_offsets":[9,1]},"a":{}}'), 'names "a" twice')
    refused(forge.safetensors('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}'), "more than 2 numbers")
  end)

  it("offsets, then overflow, then bytes, then the size, then the file's end", function()
    refused(forge.safetensors(one("18446744073709551615,2", "4,8")), "a hole or an overlap")
    refused(forge.safetensors(one("18446744073709551615,2", "0,8", "F4")), "overflows")
    refused(forge.safetensors(one("3", "0,8", "F4")), "ends within a byte")
    refused(forge.safetensors(one("2", "0,7", "F4")), "takes 1 bytes, its data_offsets say 7")
    refused(forge.safetensors(one("2", "0,1", "F4")), "the tensors take 1 bytes, the file holds 0")
  end)

  it("by the tensors' offsets, whatever their order in the header", function()
    local function two(a, b) return forge.safetensors("{" .. a .. "," .. b .. "}", sixteen) end
    local first = '"a":{"dtype":"U8","shape":[8],"data_offsets":[0,7]}'
    local second = '"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}'
    refused(two(second, first), 'tensor "a", U8 [8], takes 8 bytes, its data_offsets say 7')
  end)
end)

describe("numbers of a header", function()
  after_each(forge.clean)

  local function shape_of(sizes, offsets)
    return header.read { size = function() return 8 + #one(sizes, offsets) end,
      text = function(_, from, n) return forge.safetensors(one(sizes, offsets)):sub(from + 1, from + n) end }
  end

  it("are exact from 2^53 to 2^64 - 1", function()
    local sizes = { "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615" }
    for _, size in ipairs(sizes) do
      local x = assert(shape_of("0," .. size, "0,0"))[1]
      assert.equal(size, u64.text(x.shape[2]))
    end
    local _, message = shape_of("1", "0,9007199254740993")
    assert(message:find("its data_offsets say 9,007,199,254,740,993", 1, true), message)
    _, message = shape_of("1", "9223372036854775808,18446744073709551615")
    assert(message:find("bytes 9,223,372,036,854,775,808 to 18,446,744,073,709,551,615", 1, true), message)
  end)

  it("beyond 2^64 - 1, negative or with a fraction are no numbers of the format", function()
    for _, size in ipairs { "18446744073709551616", "99999999999999999999", "100000000000000000000" } do
      refused(forge.safetensors(one("0," .. size, "0,0")), size .. " exceeds 64 bits")
    end
    for _, size in ipairs { "-1", "1.0", "1e3", "01", "+1", "", "null" } do
      refused(forge.safetensors(one("0," .. size, "0,0")), "a whole number >= 0 expected")
    end
  end)

  it("that no tensor has are listed, and refused when read", function()
    local back = assert(load(forge.safetensors(one("0,18446744073709551615", "0,0", "F32"))))
    fails("'test' is of type F32 [0,18446744073709551615]", function() return back.test end)
  end)

  it("multiply in the format's order: a 0 hides an overflow only if it comes first", function()
    local huge = "9223372036854775807,9223372036854775807"
    refused(forge.safetensors(one(huge .. ",0", "0,0")), "overflows")
    assert.is_truthy(load(forge.safetensors(one("0," .. huge, "0,0"))))
    assert.is_truthy(load(forge.safetensors(one("4611686018427387904,3,0", "0,0"))))
  end)
end)

describe("tensors of a file", function()
  after_each(forge.clean)

  local function used() return d.memory().live end

  it("that need no conversion are windows, which take no memory", function()
    local n = 1 << 18
    local path = forge.file(file { { "a", "F32", n, ("\0"):rep(4 * n) }, { "b", "F16", n, ("\0"):rep(2 * n) } })
    collectgarbage()
    local before = used()
    local back = assert(d.load(path))
    assert(back.a and back.b)
    assert(used() - before < 4096, used() - before)
  end)

  it("that need one are converted when they are read, and once", function()
    local n = 1 << 18
    local path = forge.file(file { { "f", "F8_E4M3", n, ("\x38"):rep(n) }, { "i", "I32", n, ("\1\0\0\0"):rep(n) } })
    collectgarbage()
    local before = used()
    local back = assert(d.load(path))
    assert(used() - before < 4096, used() - before)
    assert.equal(1, back.f[7])
    local one_read = used() - before
    assert(one_read >= 2 * n and one_read < 3 * n, one_read)
    assert.equal(back.i, back.i)
    assert.equal("i64", back.i:dtype())
  end)

  it("without alignment are copied when they are read", function()
    local text = one("2", "0,8", "F32") -- 59 bytes: not padded, as by old writers
    assert(#text % 4 ~= 0)
    local back = assert(load(forge.safetensors(text, ("<ff"):pack(1.5, -2))))
    assert.same({ 1.5, -2 }, back.test:totable())
    back.test:fill_(7)
    assert.same({ 7, 7 }, back.test:totable())
  end)

  it("can be listed, written over and removed, read or not", function()
    local back = assert(load(file { { "a", "F32", 1, ("<f"):pack(3) }, { "b", "I32", 1, "\5\0\0\0" },
      { "c", "I16", 1, "\6\0" }, { "e", "C64", 0, "" } }))
    local listed = {}
    for name, x in pairs(back) do listed[name] = x:dtype() end
    assert.same({ a = "f32", b = "i64", c = "i64", e = "C64" }, listed)
    back = assert(load(file { { "b", "I32", 1, "\5\0\0\0" }, { "c", "I16", 1, "\6\0" } }))
    back.b, back.c = nil, d.ones(1)
    listed = {}
    for name, x in pairs(back) do listed[name] = x:dtype() end
    assert.same({ c = "f32" }, listed)
    assert.is_nil(back.b)
    assert.is_nil(back[1])
  end)

  it("outlive the scope in which they are first read", function()
    local back = assert(load(file { { "b", "I32", 1, "\5\0\0\0" } }))
    d.scope(function() assert.equal(5, back.b:item()) end)
    assert.equal(5, back.b:item())
  end)

  it("of other integers and BOOL are i64; those of floats become the type asked for", function()
    local all = { { "f8", "F8_E5M2", 2, "\x3c\xbe" }, { "h", "F16", 2, "\0\x3c\0\xbe" },
      { "g", "BF16", 2, "\x80\x3f\xc0\xbf" }, { "f", "F32", 2, ("<ff"):pack(1, -1.5) },
      { "d", "F64", 2, ("<dd"):pack(1, -1.5) }, { "e8", "F8_E8M0", 2, "\127\128" } }
    local rest = { { "i", "I64", 1, ("<i8"):pack(-7) }, { "u", "U64", 1, ("<i8"):pack(7) }, { "t", "BOOL", 1, "\1" },
      { "b", "U8", 1, "\7" }, { "s", "I8", 1, "\xf9" }, { "w", "U32", 1, "\7\0\0\0" } }
    local path = forge.file(file(table.move(rest, 1, #rest, #all + 1, table.move(all, 1, #all, 1, {}))))
    local kept = assert(d.load(path))
    local own = { f8 = "f16", h = "f16", g = "bf16", f = "f32", d = "f64", e8 = "f32" }
    for name, dtype in pairs(own) do assert.equal(dtype, kept[name]:dtype()) end
    for _, dtype in ipairs { "f16", "bf16", "f32", "f64" } do
      local back = assert(d.load(path, { dtype = dtype }))
      for name in pairs(own) do
        assert.equal(dtype, back[name]:dtype())
        assert.same(name == "e8" and { 1, 2 } or { 1, -1.5 }, back[name]:totable())
      end
      assert.same({ "i64", "i64", "i64", "u8", "i64", "i64" }, { back.i:dtype(), back.u:dtype(), back.t:dtype(),
        back.b:dtype(), back.s:dtype(), back.w:dtype() })
      assert.same({ -7, 7, 1, 7, -7, 7 }, { back.i:item(), back.u:item(), back.t:item(), back.b:item(), back.s:item(),
        back.w:item() })
    end
    local mixed = assert(d.load(path, { dtype = "f32", f8 = "bf16" }))
    assert.same({ "bf16", "f32" }, { mixed.f8:dtype(), mixed.h:dtype() })
    local codes = assert(d.load(path, { f8 = "u8" })).f8
    assert.equal("u8", codes:dtype())
    assert.same({ 0x3c, 0xbe }, codes:totable())
    fails("dtype", d.load, path, { dtype = "i64" })
  end)
end)

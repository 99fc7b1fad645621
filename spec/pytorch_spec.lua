-- PyTorch's files: written by PyTorch (spec/peers/pickles.py), and made byte by byte.
local d = require "diffusion"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local pickle = require "diffusion.file.pickle"
local pytorch = require "diffusion.file.pytorch"

local function fixture(name) return ("spec/fixtures/peers/pt/%s.pt"):format(name) end

local function load(name, options) return assert(pytorch.load(fixture(name), options)) end

local function names_of(tensors)
  local names = {}
  for name in pairs(tensors) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " ")
end

-- The sentence with which a file is refused.
local function refused(words, path, options)
  local none, message = pytorch.load(path, options)
  assert.is_nil(none)
  assert(message:find(words, 1, true), message)
  assert.equal(1, (message:find(path, 1, true)))
  assert.is_nil(message:find "%.lua:")
end

describe("a PyTorch file's tensors", function()
  it("are windows on its storages: views, transposes, expanded and empty ones", function()
    local t = load "views"
    local base = (d.arange(0, 23) / 4 - 2):reshape(4, 6)
    assert.equal("base column cube empties empty every expanded number parameter row same scalar transposed",
      names_of(t))
    local expected = {
      base = base, transposed = base:t(), row = base[3], column = base:select(2, 2),
      every = d.tensor { { base[2][1], base[2][4] }, { base[4][1], base[4][4] } },
      expanded = base[{ { 1, 1 }, {} }]:expand(3, 6), scalar = base[4]:select(1, 6), number = d.full({}, 3.5),
      parameter = base[1], empty = d.zeros(0, 6), empties = d.zeros(0, 3), same = base,
      cube = base:reshape(2, 2, 6):permute(3, 1, 2),
    }
    for name, x in pairs(expected) do
      assert.same(x:shape(), t[name]:shape(), name)
      assert.is_true(x:numel() == 0 or t[name]:equal(x), name)
    end
  end)

  it("share their storages, and never write to the file", function()
    local bytes = forge.bytes_of(fixture "views")
    local t = load "views"
    t.base:fill_(7)
    assert.equal(7, t.transposed[1][1])
    assert.equal(7, t.scalar:item())
    assert.equal(t.base, t.same)
    assert.equal(bytes, forge.bytes_of(fixture "views"))
    assert.equal(-2, load("views", { copy = true }).base[1][1])
  end)

  it("are of all of its types", function()
    local t = load "types"
    local held = { float32 = "f32", float64 = "f64", float16 = "f16", bfloat16 = "bf16", uint8 = "u8",
      float8_e4m3fn = "f16", float8_e5m2 = "f16", float8_e4m3fnuz = "f16", float8_e5m2fnuz = "f16",
      float8_e8m0fnu = "f32" }
    local count = 0
    for name, x in pairs(t) do
      count = count + 1
      assert.equal(held[name] or "i64", x:dtype(), name)
      local first = name == "float8_e8m0fnu" and 2 ^ -127 or 0
      assert.same(name == "bool" and { 0, 1, 1, 1 } or { first, 1, 2, 4 }, x:totable(), name)
    end
    assert.equal(18, count)
  end)

  it("are those of a checkpoint's network, with its plain values, in all protocols", function()
    for _, name in ipairs { "checkpoint", "checkpoint4", "checkpoint5" } do
      local t, facts = load(name, { key = "state_dict" })
      assert.equal("0.bias 0.weight 1.bias 1.num_batches_tracked 1.running_mean 1.running_var 1.weight "
        .. "2.bias 2.weight", names_of(t))
      assert.same({ epoch = 3, global_step = 1 << 40, negative = -(1 << 40), loss = 0.25, done = false,
        name = "näme", version = "2.1", ["pytorch-lightning_version"] = "2.1.0", device = "cuda:1" }, facts)
    end
  end)

  it("are those of a whole module, persistent buffers included", function()
    assert.equal("0.bias 0.weight 1.bias 1.num_batches_tracked 1.running_mean 1.running_var 1.weight "
      .. "2.bias 2.weight", names_of(load "module"))
    local shared = load "shared"
    assert.equal("again.bias again.weight first.bias first.weight", names_of(shared))
    assert.equal(shared["first.bias"], shared["again.bias"])
  end)

  it("are chosen by key where several networks are there", function()
    refused("tensors are in 'model' (9 tensors), 'ema' (9 tensors); key = 'model' chooses", fixture "two")
    assert.equal("0.bias 0.weight", names_of(load("two", { key = "model" })):sub(1, 15))
    assert(load("two", { key = "" })["ema.0.bias"])
    refused("no key 'emu'; keys are model, ema, step", fixture "two", { key = "emu" })
    refused("'encoder' (1 tensor), 'decoder' (1 tensor)", fixture "nested")
    assert.equal("w", names_of(load("nested", { key = "decoder.a.b" })))
    assert.equal("decoder.a.b.w encoder.w", names_of(load("nested", { key = "" })))
    assert.equal("", names_of(load("none", { key = "" })))
    refused("no tensors by name", fixture "none")
  end)

  it("are what d.load gives", function()
    local t, facts = assert(d.load(fixture "checkpoint", { key = "state_dict", dtype = "f16" }))
    assert.equal("f16", t["0.weight"]:dtype())
    assert.equal("i64", t["1.num_batches_tracked"]:dtype())
    assert.equal(3, facts.epoch)
    assert.equal(64, d.load(fixture "checkpoint", { raw = true }).hyper_parameters.state.width)
    local codes = d.load(fixture "types", { f8 = "u8", dtype = "f64" })
    assert.same({ 0, 0x38, 0x40, 0x48 }, codes.float8_e4m3fn:totable())
    assert.equal("f64", codes.bfloat16:dtype())
    local other = forge.folder() .. "/x.safetensors"
    assert(d.save(other, { x = d.ones(1) }))
    local none, message = d.load(other, { key = "x" })
    assert.is_nil(none)
    assert(message:find("options of PyTorch's files", 1, true), message)
    forge.clean()
  end)

  it("are read when they are first asked for, if they must be converted", function()
    local t = d.scope(function() return load "types" end)
    local x = d.scope(function() return t.int8 end)
    assert.same({ 0, 1, 2, 4 }, x:totable())
    assert.same({ 0, 1, 2, 4 }, t.int8:totable())
  end)

  it("may be one, or a list", function()
    assert.same({ 0, 1, 2 }, load("one"):totable())
    local list = load "list"
    assert.equal(2, #list)
    assert.same({ 0, 1, 2 }, list[2]:totable())
  end)
end)

describe("values of unknown classes in a PyTorch file", function()
  it("are errors that name the class where a tensor of that name is wanted", function()
    local t = load("opaque", { key = "" })
    assert.same({ 0, 1, 2 }, t.free:totable())
    assert.same({ 0, 1, 2, 3 }, t.tagged:totable())
    assert.equal(t.free, t["words.inside"])
    fails("'object' is of type __main__.Unknown, a Python class that isn't read", function() return t.object end)
    fails("'sparse' is of type torch._utils._rebuild_sparse_tensor", function() return t.sparse end)
    fails("'quantized' is of type torch._utils._rebuild_qtensor", function() return t.quantized end)
    fails("'complex' is of type torch.complex64 [1]", function() return t.complex end)
    fails("'conjugate' is of type torch.float32 [1], lazily conjugated or negated", function() return t.conjugate end)
  end)

  it("are tables of their parts in raw form", function()
    for _, name in ipairs { "checkpoint", "checkpoint4", "checkpoint5" } do
      local raw = load(name, { raw = true })
      assert.equal("argparse.Namespace", raw.hyper_parameters.class)
      assert.same({ width = 64, betas = { 0.9, 0.999 }, nested = { a = { 1, 2 } } }, raw.hyper_parameters.state)
      assert.equal("opaque argparse.Namespace", tostring(raw.hyper_parameters))
      assert.equal("an integer of 11 bytes", raw.huge.class)
      assert.equal("\0\xff", raw.bytes)
      assert.same({ 1, 2, { 3 }, { a = 2 }, { a = { 1 } }, { 2, 3 } }, { raw.set[1], raw.set[2], raw.frozen,
        raw.counter, raw.default, raw.size })
      assert.equal("torch.float16", raw.dtype)
      assert.is_nil(raw.none)
      assert.equal("__main__.Unknown", raw.object.class)
      assert.same({ 1, 1 }, raw.object.state.tensor:totable())
      assert.equal(1, raw.optimizer_states[1].state[0].step:item())
      assert.equal(0.001, raw.optimizer_states[1].param_groups[1].initial_lr)
      assert.equal(16, raw.rng:numel())
    end
  end)
end)

describe("older forms of PyTorch's files", function()
  after_each(forge.clean)

  it("are refused, each with its sentence", function()
    refused("a PyTorch file of a version before 1.6, not a PyTorch file in zip form; torch.save(torch.load(path)",
      fixture "old")
    refused("a TorchScript archive, which holds code", fixture "script")
    refused("a bare pickle", forge.file "\x80\2}q\0.")
    refused("a tar file, as the oldest PyTorch files are",
      forge.file("sys_info" .. ("\0"):rep(249) .. "ustar\0" .. ("\0"):rep(300)))
    refused("a PNG, not a PyTorch file", forge.file("\x89PNG\r\n\x1a\n" .. ("\0"):rep(40)))
    refused("without a data.pkl", forge.file(forge.zip { { "a/b.txt", "x" } }))
    refused("not a zip file", forge.file "PK\3\4")
    refused("No such file", "/none/x.pt")
  end)
end)

-- ==== hostile files ========================================================================

local I = function(n) return "J" .. ("<i4"):pack(n) end
local S = function(text) return "X" .. ("<I4"):pack(#text) .. text end
local STORAGE = "(" .. S "storage" .. "ctorch\nFloatStorage\n" .. S "0" .. S "cpu" .. I(4) .. "tQ"

-- The pickle has these opcodes. The one storage holds the numbers 1 to 4.
local function file_of(code, options)
  local o = options or {}
  local entries = { { "x/data.pkl", (o.bare and "" or "\x80\2") .. code .. (o.bare and "" or "."), o.deflated, o.crc },
    { "x/data/0", ("<ffff"):pack(1, 2, 3, 4), o.deflated } }
  for _, e in ipairs(o.more or {}) do entries[#entries + 1] = e end
  return forge.file(forge.zip(entries))
end

-- A tensor of these sizes and strides.
local function tensor_of(offset, sizes, strides)
  local function tuple(list)
    local out = "("
    for _, n in ipairs(list) do
      out = out .. (n >= -2 ^ 31 and n < 2 ^ 31 and I(n) or "\x8a\8" .. ("<i8"):pack(n))
    end
    return out .. "t"
  end
  return "ctorch._utils\n_rebuild_tensor_v2\n(" .. STORAGE .. I(offset) .. tuple(sizes) .. tuple(strides)
    .. "\x89ccollections\nOrderedDict\n)RtR"
end

describe("a hostile PyTorch file", function()
  after_each(forge.clean)

  it("is read where it is well made", function()
    assert.same({ 2, 4 }, assert(pytorch.load(file_of(tensor_of(1, { 2 }, { 2 })))):totable())
    local first, all = tensor_of(0, { 1 }, { 1 }), tensor_of(0, { 4 }, { 1 })
    local swapped = file_of(first, { more = { { "x/byteorder", "big" } } })
    assert.equal(("<f"):unpack((("<f"):pack(1):reverse())), assert(pytorch.load(swapped)):item())
    assert.same({ 1, 2, 3, 4 }, assert(pytorch.load(file_of(all, { deflated = true }))):totable())
  end)

  it("can't reach beyond a storage", function()
    local big = math.maxinteger
    for _, case in ipairs { { 4, { 1 }, { 1 } }, { 0, { 5 }, { 1 } }, { 1, { 2, 2 }, { 2, 1 } }, { 0, { 2 }, { 4 } },
      { 0, { 2, 2 }, { big, big } }, { 0, { big }, { 1 } }, { 0, { 3 }, { big // 2 } }, { 2, { 2, 2 }, { 1, big } } } do
      refused("leaves storage '0' of 4 elements", file_of(tensor_of(table.unpack(case))))
    end
    refused("without its offset", file_of(tensor_of(-1, { 1 }, { 1 })))
    refused("whole numbers >= 0", file_of(tensor_of(0, { -1 }, { 1 })))
    refused("whole numbers >= 0", file_of(tensor_of(0, { 2 }, { -1 })))
    refused("1 sizes and 2 strides", file_of(tensor_of(0, { 2 }, { 1, 1 })))
    assert.same({ 1, 3, 0 }, assert(pytorch.load(file_of(tensor_of(0, { 1, 3, 0 }, { big, 1, big })))):shape())
    local wide = assert(pytorch.load(file_of(tensor_of(3, { 1, 2 }, { big, 0 }))))
    assert.same({ { 4, 4 } }, wide:totable())
    local nine = { 1, 1, 1, 1, 1, 1, 1, 1, 1 }
    refused("9 dimensions", file_of(tensor_of(0, nine, nine)))
  end)

  it("can't name storages that aren't there, or of another size", function()
    local code = tensor_of(0, { 1 }, { 1 })
    refused("storage '1' isn't in the file", file_of((code:gsub(S "0", S "1", 1))))
    refused("has 5 elements of torch.float32, but 16 bytes", file_of((code:gsub("J\4\0\0\0tQ", "J\5\0\0\0tQ"))))
    refused("storage '0' has -1", file_of((code:gsub("J\4\0\0\0tQ", "J\xff\xff\xff\xfftQ"))))
    refused("no storage's", file_of "NQ")
    refused("without its type", file_of("(" .. S "storage" .. "NNNNtQ"))
    refused("torch.storage.Strange", file_of((code:gsub("ctorch\nFloat", "ctorch.storage\nStrange"))))
  end)

  it("runs nothing", function()
    local ran = os.tmpname()
    os.remove(ran)
    local calls = { "cos\nsystem\n(" .. S("touch " .. ran) .. "tR", "cposix\nsystem\n(" .. S("touch " .. ran) .. "tR",
      "cbuiltins\neval\n(" .. S "1" .. "tR", "cio\nlines\n(" .. S "/etc/passwd" .. "tR" }
    for _, code in ipairs(calls) do
      local raw = assert(pytorch.load(file_of("}" .. S "a" .. code .. "s"), { raw = true }))
      assert.equal(code:match "^c(%a+)" .. "." .. code:match "\n(%a+)", raw.a.class)
    end
    assert.is_nil(io.open(ran))
  end)

  it("is refused for each damage of its pickle", function()
    local cases = {
      ["is on the stack"] = { "", "\x85", "R", "s", "(s", "b", "q\0" }, ["no mark"] = { "0", "t", "u", "e", "1" },
      ["memo 7 is empty"] = { "h\7", "j\7\0\0\0" }, ["isn't read"] = { "\xff", "I1\n", "P0\n", "\x82\1", "\x97" },
      ["bytes announced"] = { "X\xff\xff\xff\xff", "B\0\0\0\x80", "\x8d" .. ("\xff"):rep(8), "\x8a\xff" },
      ["integer of -1 bytes"] = { "\x8b\xff\xff\xff\xff" }, ["a line without an end"] = { "cos", "cos\nsystem" },
      ["protocol 6"] = { "\x80\6" }, ["a frame of"] = { "\x95" .. ("\xff"):rep(8), "\x95\xff\0\0\0\0\0\0\0" },
      ["a key without a value"] = { "}(K\1u" }, ["without a tuple"] = { "cos\nx\nNR" },
      ["entries set in a list"] = { "]K\1K\1s" }, ["items appended to a dict"] = { "}K\1a" },
      ["without a name"] = { "K\1K\1\x93" }, ["protocols 2 to 5"] = {},
    }
    for sentence, codes in pairs(cases) do
      for _, code in ipairs(codes) do refused(sentence, file_of(code)) end
    end
    refused("isn't that of protocols 2 to 5", file_of("N.", { bare = true }))
  end)

  it("is refused wherever its pickle ends too early", function()
    local whole = "\x80\2" .. "}" .. S "a" .. tensor_of(0, { 2 }, { 1 }) .. "s."
    assert(pytorch.load(file_of(whole, { bare = true })).a)
    for bytes = 0, #whole - 1 do refused("pickle: ", file_of(whole:sub(1, bytes), { bare = true })) end
  end)

  it("is refused or read wherever the file ends too early", function()
    local bytes = forge.bytes_of(fixture "views")
    for size = 0, #bytes - 1, 7 do
      assert.is_nil((pytorch.load(forge.file(bytes:sub(1, size)))))
    end
  end)

  it("can't grow: containers that hold themselves and each other many times", function()
    local code = "}q\0" .. S "t" .. tensor_of(0, { 1 }, { 1 }) .. "s0"
    for k = 1, 40 do -- each dict holds the one before twice
      code = code .. "}q" .. string.char(k) .. "(" .. S "a" .. "h" .. string.char(k - 1) .. S "b" .. "h"
        .. string.char(k - 1) .. "u0"
    end
    refused("names", file_of(code .. "h\40"))
    local raw = assert(pytorch.load(file_of(code .. "h\40"), { raw = true }))
    assert.equal(raw.a, raw.b)
    local itself = "}q\0(" .. S "a" .. "h\0" .. S "t" .. tensor_of(0, { 1 }, { 1 }) .. "u"
    refused("nested deeper", file_of(itself), { key = "" })
    refused("no tensors by name", file_of("}q\0" .. S "a" .. "h\0s"))
    local own = assert(pytorch.load(file_of("]q\0h\0a"), { raw = true }))
    assert.equal(own, own[1])
  end)

  it("can't nest without bound", function()
    refused("nested deeper", file_of(")" .. ("\x85"):rep(100000)), { raw = true })
    refused("no tensors by name", file_of(("}" .. S "a"):rep(50000) .. "N" .. ("s"):rep(50000)))
    refused("more than 4194304", file_of(("]"):rep((1 << 22) + 1), { crc = 0 }))
  end)

  it("can't take long by members that share one container", function()
    local shared = "}q\0(" .. S "w" .. tensor_of(0, { 1 }, { 1 })
    for k = 1, 5000 do shared = shared .. S("k" .. k) .. "K\1" end
    local code = { "}(", S "first", shared, "u" }
    for k = 1, 5000 do code[#code + 1] = S("a" .. k) .. "h\0" end
    local start = os.clock()
    refused("'a7' (1 tensor), and 4993 more; key = 'first' chooses", file_of(table.concat(code) .. "u"))
    assert.is_true(os.clock() - start < 2)
  end)

  it("can't give two tensors one name", function()
    local one, two = tensor_of(0, { 1 }, { 1 }), tensor_of(0, { 2 }, { 1 })
    refused("two values have the name '1'", file_of("}(K\1" .. one .. S "1" .. two .. "u"))
    local code = "}(" .. S "a" .. "}" .. S "b" .. one .. "s" .. S "a.b" .. two .. "u"
    refused("two values have the name 'a.b'", file_of(code), { key = "" })
    assert.same({ 1 }, assert(pytorch.load(file_of(code), { key = "a" })).b:shape())
  end)

  it("can't make a large tensor of a small storage", function()
    local t = assert(pytorch.load(file_of("}(" .. S "fine" .. tensor_of(0, { 4 << 10, 1 << 8 }, { 0, 0 }) .. S "big"
      .. tensor_of(0, { 1 << 20, 2 }, { 0, 1 }) .. S "huge" .. tensor_of(0, { 1 << 30, 1 << 30, 1 << 30 }, { 0, 0, 0 })
      .. S "none" .. tensor_of(0, { 1 << 30, 1 << 30, 0 }, { 0, 0, 0 }) .. "u"), { dtype = "f64" }))
    assert.equal(1 << 20, t.fine:to("f32"):sum():item())
    assert.equal(0, t.none:numel())
    for _, name in ipairs { "big", "huge" } do
      fails("with more elements than 1024 times the 4 of its storage", function() return t[name] end)
    end
  end)

  it("can't inflate to more than it warrants", function()
    local _, message = pickle.read("\x80\2" .. ("N"):rep((1 << 22) + 1) .. ".", { globals = {}, size = 1000 })
    assert(message:find("more than 4194304 values", 1, true), message)
    local bytes = forge.zip { { "x/data.pkl", ("N"):rep(70000), true, 0 } }
    bytes = bytes:gsub(("<I4"):pack(70000), ("<I4"):pack(68000000))
    refused("data.pkl would inflate to 68,000,000 bytes, in a file of 70,", forge.file(bytes))
  end)

  it("has keys of all kinds", function()
    local nan = "G" .. (">d"):pack(0 / 0)
    local raw = assert(pytorch.load(file_of("}(" .. nan .. "K\1G" .. (">d"):pack(1.5) .. "K\2\x88K\3(K\1K\2tK\4"
      .. "NK\5]K\6K\7K\7K\7NK\8(Nlu"), { raw = true }))
    assert.equal(2, raw[1.5])
    assert.equal(3, raw[true])
    assert.is_nil(raw[7])
  end)

  it("has no entry twice, none encrypted, none in another compression", function()
    local bytes = forge.bytes_of(file_of(tensor_of(0, { 1 }, { 1 }), { more = { { "x/data/1", "" } } }))
    refused("two entries are named", forge.file((bytes:gsub("x/data/1", "x/data/0"))))
    refused("encrypted", forge.file((bytes:gsub("PK\1\2\20\0\20\0\0\0", "PK\1\2\20\0\20\0\1\0"))))
    refused("method 12", forge.file((bytes:gsub("PK\1\2\20\0\20\0\0\0\0\0", "PK\1\2\20\0\20\0\0\0\12\0"))))
  end)
end)

-- GGUF: files of the package gguf (spec/peers/gguf_file.py), networks whose weights stay in blocks, and files that
-- are wrong.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"
local gguf_file = require "spec.support.gguf_file"
local ldm_file = require "spec.support.ldm_file"
local refusal = require "spec.support.refusal"
local text_folder = require "spec.support.text_folder"

local PATH = "spec/fixtures/peers/types.gguf"
local QUANTIZED = { "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1" }

local tensors, facts = assert(d.load(PATH))
local want = assert(d.load "spec/fixtures/peers/types_gguf.safetensors")

local function gap(a, b) return (a:to(core.real) - b:to(core.real)):abs():max():item() end

describe("a GGUF file", function()
  it("has the numbers that ggml's package reads", function()
    for name, x in pairs(want) do
      local own = tensors[name]
      assert.same(x:shape(), own:shape())
      assert(gap(own:to "f32", x) <= 1e-6 * x:abs():max():item(), name)
      assert(gap(own:narrow(2, 7, 50):to "f32", x:narrow(2, 7, 50)) <= 1e-6 * x:abs():max():item(), name)
      assert.is_true(own:t():to("f32"):t():equal(own:to "f32"))
      assert.is_true(own:view(x:numel() // 32, 32):to("f32"):equal(own:to("f32"):view(x:numel() // 32, 32)))
      assert.is_true(own:select(1, 2):to("bf16"):equal(own:to("f32"):select(1, 2):to "bf16"))
      assert.equal("f16", d.load(PATH, { dtype = "f16" })[name]:dtype())
    end
    assert.same({ -128, 127, 3 }, tensors.I8:totable())
    assert.same({ -300, 300 }, tensors.I16:totable())
    assert.same({ { 70000 } }, tensors.I32:totable())
    assert.same({ -(1 << 40) }, tensors.I64:totable())
    assert.same({ math.pi }, tensors.F64:totable())
    fails("'Q6_K' is of type Q6_K [1,256], a form of weights that isn't read; F32, F16, BF16, Q8_0, Q5_0, "
      .. "Q5_1, Q4_0 and Q4_1 are", function() return tensors.Q6_K end)
  end)

  it("has facts", function()
    assert.same({ "naïve", true, -(1 << 62) }, { facts["spec.text"], facts["spec.yes"], facts["spec.low"] })
    assert.same({ 1.5, -2 }, facts["spec.list"])
    assert.same({ "a", "", "b" }, facts["spec.words"])
  end)

  it("keeps weights in their blocks, which no function takes for numbers", function()
    local x = tensors.Q8_0
    assert.equal("q8_0", x:dtype())
    assert.equal("tensor q8_0 [3,96]", tostring(x))
    local sentence = 'a tensor [3,96] of q8_0 holds stored weights; x:to "f32" makes numbers of them'
    for _, fn in ipairs {
      function() return x + 1 end, function() return 1 - x end, function() return x:clone() end,
      function() return x:totable() end, function() return x[1] end, function() x[1] = 0 end,
      function() x:fill_(0) end, function() d.ones(3, 96):copy_(x) end, function() return x:bytes() end,
      function() return d.cat({ x, x }, 1) end, function() return x:sum() end, function() return x:equal(x) end,
      function() return d.ones(3, 3):matmul(x) end, function() return x:gather(1, d.ones(1, 1)) end,
      function() return d.grad(function(y) return y:sum() end, x) end, function() return d.mix(1, x, 1, x) end,
      function() return d.where(x, 1, 0) end, function() return d.nn.silu(x) end,
    } do fails(sentence, fn) end
    fails("a tensor [96,3] of q8_0 ", function() return x:t():reshape(32, 9) end)
    fails("a tensor [3,96] of q4_0 is only read", function() return x:to "q4_0" end)
    fails('save: a is of type q8_0, which isn\'t written; x:to "f16"', d.save, "/tmp/none", { a = x })
  end)
end)

-- ==== networks ===========================================================================

-- A model with parameters of a file, and the same with numbers.
local function both(build, kind)
  local x = tensors[kind]
  local stored = d.network { inputs = { { "x", shape = { "B", x:size(2) } } }, build = build,
    adopt = { ["one.weight"] = x } }
  return stored, d.network { inputs = { { "x", shape = { "B", x:size(2) } } }, build = build,
    adopt = { ["one.weight"] = x:to "f32" } }
end

describe("weights in blocks", function()
  it("are read by products, forward and backward, in any window", exactly(function()
    for _, kind in ipairs(QUANTIZED) do
      local stored, plain = both(function(net)
        return net:linear("one", net.x, { out = 3, bias = false })
      end, kind)
      local x = d.randn({ 70, tensors[kind]:size(2) }, { seed = 1 })
      local tolerance = 1e-5 * plain(x):abs():max():item()
      assert(gap(stored(x), plain(x)) <= tolerance, kind)
      assert(gap(stored(x:narrow(1, 1, 1)), plain(x:narrow(1, 1, 1))) <= tolerance, kind)
      local function slope(m) return (d.grad(function(y) return m(y):square():sum() end, x)) end
      assert(gap(slope(stored), slope(plain)) <= 1e-5 * slope(plain):abs():max():item(), kind)
    end
  end))

  it("are saved as f16, and take the values of other models", exactly(function()
    local path, x = os.tmpname(), d.randn({ 4, 96 }, { seed = 1 })
    local function build(net) return net:linear("one", net.x, { out = 3, bias = false }) end
    local stored, plain = both(build, "Q8_0")
    assert(stored:save(path))
    local other = d.nn.model(d.nn.linear(96, 3, { bias = false }))
    other:load_state { weight = tensors.Q8_0 }
    assert.is_true(other(x):equal(plain(x)))
    stored:load_state { ["one.weight"] = plain:state()["one.weight"] * 2 }
    assert.is_true(stored(x):equal(plain(x) * 2))
    assert.equal(0, select(2, stored:count()))
    assert(stored:load(path))
    assert(gap(stored(x), plain(x)) < 1e-2)
    os.remove(path)
  end))

  it("are transposed, cut, and looked up", exactly(function()
    for _, kind in ipairs(QUANTIZED) do
      local w = tensors[kind]
      local numbers, x = w:to "f32", d.randn({ 5, 3 }, { seed = 2 })
      local function applied(weight, y)
        local layer = d.nn.linear(weight:size(2), weight:size(1), { bias = false })
        return d.nn.model(layer, { adopt = { weight = weight } })(y)
      end
      assert(gap(applied(w:t(), x), x:matmul(numbers)) < 1e-4)
      local y = d.randn({ 4, w:size(2) }, { seed = 3 })
      assert(gap(applied(w:narrow(1, 2, 2), y), y:matmul(numbers:narrow(1, 2, 2):t())) < 1e-4)
      local table_of = d.nn.model(d.nn.embedding(3, w:size(2)), { adopt = { weight = w } })
      assert.is_true(table_of(d.tensor { 3, 1 }):equal(d.cat({ numbers:narrow(1, 3, 1), numbers:narrow(1, 1, 1) }, 1)))
    end
  end))

  it("are read by tables of places and norms too, and are expanded there", exactly(function()
    local function model(weight)
      return d.network { inputs = { { "x", shape = { "B", 3, 96 } } }, adopt = { ["one.weight"] = weight },
        build = function(net) return net:positions("one", net.x, { rows = 3 }) end }
    end
    local x, w = d.randn({ 2, 3, 96 }, { seed = 1 }), tensors.Q8_0
    assert(gap(model(w)(x), x + w:to "f32") < 1e-6)
    local norm = d.nn.model(d.nn.layer_norm(96), { adopt = { weight = w:select(1, 2), bias = d.zeros(96) } })
    local plain = d.nn.model(d.nn.layer_norm(96), { adopt = { weight = w:to("f32"):select(1, 2), bias = d.zeros(96) } })
    assert(gap(norm(x), plain(x)) < 1e-6)
    fails("q8_0 holds stored weights", function() return model(w):state()["one.weight"] + 1 end)
  end))
end)

-- ==== pipes ==============================================================================

describe("d.hub.load of a GGUF file", function()
  local root, all, tokenizer
  setup(function()
    root, all = child.folder(), text_folder.read()
    text_folder.write(root .. "/xl", ldm_file.case(true, all.cases), all)
    ldm_file.write(root .. "/xl.safetensors", assert(d.hub.load(root .. "/xl")))
    tokenizer = root .. "/xl/tokenizer"
  end)
  teardown(function() child.remove(root) end)

  local CALL = { prompt = "a red cat", steps = 2, seed = 1, width = 16, height = 16 }

  -- Writes a file of the pipe's tensors, and a safetensors file of the same numbers.
  local done = {}
  local function written(kind)
    if done[kind] then return table.unpack(done[kind]) end
    local bytes, n = gguf_file.of(assert(d.load(root .. "/xl.safetensors")), kind)
    local path = ("%s/%s.gguf"):format(root, kind)
    child.write(path, bytes)
    local numbers = {}
    for name, x in pairs(assert(d.load(path))) do numbers[name] = core.is_stored(x) and x:to "f32" or x end
    assert(d.save(path .. ".safetensors", numbers))
    done[kind] = { path, path .. ".safetensors", n }
    return table.unpack(done[kind])
  end

  it("draws as a file of the same numbers does, with its weights in blocks", exactly(function()
    for _, kind in ipairs { "q8_0", "q4_0" } do
      local path, numbers, n = written(kind)
      local pipe = assert(d.hub.load(path, { tokenizer = tokenizer }))
      local plain = assert(d.hub.load(numbers, { tokenizer = tokenizer }))
      local found = 0
      for _, part in ipairs { "unet", "vae", "text", "text2" } do
        for _, p in pipe[part]:parameters() do found = found + (p:dtype() == kind and 1 or 0) end
      end
      assert(found >= n and n > 50, n)
      local x = plain(CALL)
      assert(gap(pipe(CALL), x) < 1e-4, gap(pipe(CALL), x))
      assert(gap(x, assert(d.hub.load(root .. "/xl"))(CALL)) > 1e-4)
    end
  end))

  it("makes numbers of them for training, for other types and for saved folders", exactly(function()
    local path, numbers = written "q8_0"
    local plain = assert(d.hub.load(numbers, { tokenizer = tokenizer }))
    local x = plain(CALL)
    local function same(pipe) assert(gap(pipe(CALL), x) < 1e-2, gap(pipe(CALL), x)) end
    local pipe = assert(d.hub.load(path, { tokenizer = tokenizer }))
    assert(d.hub.save(root .. "/saved", pipe))
    same(assert(d.hub.load(root .. "/saved")))
    d.adamw(pipe.unet, { lr = 0 })
    for name, p in pipe.unet:parameters() do assert(p:dtype() == core.real, name) end
    same(pipe)
    same(assert(d.hub.load(path, { tokenizer = tokenizer, frozen = false })))
    same(assert(d.hub.load(path, { tokenizer = tokenizer, dtype = "f32" })))
  end))

  it("trains adapters on them", exactly(function()
    local path, numbers = written "q8_0"
    local slopes = {}
    for i, file in ipairs { path, numbers } do
      local net = assert(d.hub.load(file, { tokenizer = tokenizer })).unet
      local lora = d.nn.lora(net, { rank = 2, on = "attn1" })
      local x, inputs = d.randn({ 1, 8, 8, 4 }, { seed = 1 }), { context = d.randn({ 1, 4, 128 }, { seed = 2 }),
        text_embeds = d.randn({ 1, 64 }, { seed = 3 }), time_ids = d.ones(1, 6) }
      d.record(function() return net(x, 5, inputs):square():sum() end):backward()
      for name, p in lora:parameters() do if name:find "up" or name:find "B" then slopes[i] = p.grad:clone() end end
    end
    assert(gap(slopes[1], slopes[2]) < 1e-3 * slopes[2]:abs():max():item())
  end))
end)

-- ==== files that are wrong ===============================================================

describe("a GGUF file that is wrong", function()
  after_each(forge.clean)
  local fact, entry = gguf_file.fact, gguf_file.entry

  local function refused(words, o)
    local bytes = type(o) == "string" and o or gguf_file.bytes(o)
    refusal({ "gguf: " .. words }, d.load(forge.file(bytes, ".gguf")))
  end

  it("is refused with a sentence", function()
    local one = { entry("a", { 2, 32 }, 8, 0) }
    assert.same({ 2, 32 }, d.load(forge.file(gguf_file.bytes { entries = one, data = ("\0"):rep(68) })).a:shape())
    refused("the version at byte 4 takes 4 bytes, but 0 are left of the file", "GGUF")
    refused("version 1; versions 2 and 3 are read", { version = 1 })
    refused("a file of a machine with the other order of bytes", { version = 3 << 24 })
    refused("the number of tensors is 1, but 16 bytes are left of the file", { tensors = 1 })
    refused("the number of tensors is 18,446,744,073,709,551,615, but", { tensors = -1 })
    refused("the number of facts is 4,611,686,018,427,387,904, but", { counts = 1 << 62 })
    refused("'a' takes 68 bytes, but 67 are left of the file", { entries = one, data = ("\0"):rep(67) })
    refused("'a' takes 68 bytes, but 0 are left of the file", (gguf_file.bytes { entries = one }:sub(1, -8)))
    refused("'a' is at byte 32 of the data, 0 expected", { entries = { entry("a", { 1 }, 0, 32) } })
    refused("'b' is at byte 8 of the data, 32 expected",
      { entries = { entry("a", { 1 }, 0, 0), entry("b", { 1 }, 0, 8) }, data = ("\0"):rep(64) })
    refused("tensor 'a' occurs twice", { entries = { one[1], one[1] } })
    refused("'a' is of type 99, which isn't known", { entries = { entry("a", { 1 }, 99, 0) } })
    refused("'a' has rows of 33 elements of type Q8_0, which come in blocks of 32",
      { entries = { entry("a", { 2, 33 }, 8, 0) } })
    refused("'a' has 5 dimensions, at most 4 expected", { entries = { entry("a", { 1, 1, 1, 1, 1 }, 0, 0) } })
    refused("'a' has a size of 18446744073709551615", { entries = { entry("a", { -1 }, 0, 0) } })
    refused("'a' has more elements than 63 bits hold", { entries = { entry("a", { 1 << 40, 1 << 40 }, 0, 0) } })
    refused("'a' has more bytes than 63 bits hold", { entries = { entry("a", { 1 << 62 }, 28, 0) } })
  end)

  it("has facts that are wrong", function()
    local deep = fact("a", 9, { 0, {} }):sub(1, -13)
    refused("'a' occurs twice", { facts = { fact("a", 0, 1), fact("a", 0, 1) } })
    refused("'a' is of type 77, which there isn't", { facts = { ("<s8I4"):pack("a", 77) .. "0" } })
    refused("'a' has elements of type 77, which there isn't", { facts = { deep .. ("<I4I8"):pack(77, 0) } })
    refused("the length of 'a' is 1,000,000, but", { facts = { deep .. ("<I4I8"):pack(0, 1000000) } })
    refused("'a' has arrays in arrays, more than 4 deep", { facts = { deep .. ("<I4I8"):pack(9, 1):rep(9) } })
    refused("'a' is a boolean of 2; 0 or 1 expected", { facts = { fact("a", 7, 2) } })
    refused("the name of a fact at byte 32 has 65,536 bytes, at most 65535 expected",
      { facts = { fact(("x"):rep(65536), 0, 1) } })
    refused("'a' at byte 45 takes 900 bytes, but 19 are left",
      { facts = { ("<s8I4I8"):pack("a", 8, 900) .. "12345678" } })
    refused("general.alignment must be a power of two, got 3", { facts = { fact("general.alignment", 4, 3) } })
    refused("general.alignment must be a power of two, got an array",
      { facts = { fact("general.alignment", 9, { 4, { 1 } }) } })
    local wide = gguf_file.bytes { facts = { fact("general.alignment", 4, 64) }, alignment = 64,
      entries = { entry("a", { 1 }, 0, 0) }, data = ("<f"):pack(3) }
    assert.equal(3, d.load(forge.file(wide, ".gguf")).a:item())
  end)

  it("isn't one at all", function()
    refusal({ "a.gguf: ", "" }, d.load(forge.folder() .. "/a.gguf"))
    refusal({ "key and raw are options of PyTorch's files" }, d.load(PATH, { key = "a" }))
  end)
end)

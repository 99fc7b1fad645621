-- Tables in files: what is accepted comes back equal, to the bit; what can't is a sentence with its
-- path, and nothing is written.
local d = require "diffusion"
local child = require "spec.support.child"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local container = require "diffusion.file.container"

local folder
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

local function at(name) return folder .. "/" .. name end

-- Types, bits, keys and shared tables too.
local function same(a, b, seen)
  seen = seen or {}
  if type(a) ~= "table" or type(b) ~= "table" then
    if math.type(a) ~= math.type(b) then return false end
    return math.type(a) == "float" and ("n"):pack(a) == ("n"):pack(b) or rawequal(a, b)
  end
  if seen[a] or getmetatable(b) then return seen[a] == b end
  seen[a] = b
  for key in pairs(b) do if a[key] == nil then return false end end
  for key, value in pairs(a) do if not same(value, b[key], seen) then return false end end
  return true
end

local function checkpoint(name) return d.checkpoint { path = at(name), model = d.mlp { hidden = 4, depth = 1 } } end

local function deep(n)
  local value = { "bottom" }
  for _ = 2, n do value = { a = value } end
  return value
end

local function bits(x) return (("n"):unpack(x)) end

local all_bytes = {}
for i = 0, 255 do all_bytes[i + 1] = string.char(i) end

local kept = {
  numbers = { 0.1, -0.0, 0.0, 1 / 0, -1 / 0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e22, 1e15,
              2 ^ 53, 123456789012345680.0, 1 / 3, 3.0, -1e-7 },
  integers = { 0, -1, math.maxinteger, math.mininteger, 2 ^ 53 | 0, 9007199254740993 },
  nans = { 0 / 0, -(0 / 0), bits(("I8"):pack(0x7ff0000000000001)), bits(("I8"):pack(0xfff8000000abcdef)) },
  strings = { "", "a\0b", "\0", "\255\254", "\xC0\x80", "ü€😀", table.concat(all_bytes),
              "\237\160\128", "\u{2028}\u{FEFF}",
              "NaN", "\1NaN\1", "\1NaN0", "Infinity", '"\\', "\r\n\t\127" },
  keys = { ["a\0b"] = 1, [""] = 2, ["\255"] = 3, ["__metadata__"] = 4, ["1"] = 5, ["ü"] = 6 },
  booleans = { true, false, { [true] = 1, [false] = 0 } },
  holes = { 1, nil, 3, nil, nil, 6 },
  late = { [2] = "b", [3] = "c" },
  far = { [1000000] = 1 },
  mixed = { 1, 2, three = 3, [4.5] = "x" },
  zero = { [0] = "zero", "one", "two" },
  negative = { [-1] = 1, [math.mininteger] = 2 },
  floats = { [0.5] = 1, [-1e300] = 2, [1 / 0] = 3, [2 ^ 63] = 4 },
  empty = {},
  nested = { {}, { {} }, { a = {} }, { [0] = { {} } } },
  marks = { "\1pairs", "a", 1 }, others = { "\1bytes", "61" }, more = { "\1nan", "00" }, last = { "\1shared", 1 },
  again = { "\1again", 1 }, tensors = { "\1tensor", "x" },
  deep = deep(40), ["deep in holes"] = { [0] = deep(30) },
}

describe("what a checkpoint is given", function()
  it("comes back equal", function()
    for name, value in pairs(kept) do
      local ck = checkpoint "kept"
      assert.is_true(ck:save { [name] = value })
      assert.is_true(ck:load())
      assert(same({ [name] = value }, ck.extra), name)
    end
    local ck = checkpoint "all"
    assert.is_true(ck:save(kept))
    assert.is_true(ck:load())
    assert(same(kept, ck.extra))
    assert.is_true(ck:save(ck.extra))
    assert.is_true(ck:load())
    assert(same(kept, ck.extra))
  end)

  it("may be a list, empty or nothing", function()
    for _, extra in ipairs { { { 1, 2, 3 } }, { { [0] = 1 } }, { {} }, { nil } } do
      local ck = checkpoint "list"
      assert.is_true(ck:save(extra[1]))
      assert.is_true(ck:load())
      assert(same(extra[1] or {}, ck.extra))
    end
  end)

  it("stays one table where it is one", function()
    local one, ck = { 1, nil, 3 }, checkpoint "shared"
    local extra = { z = one, a = { one }, m = { [0] = one, { b = one } }, twin = { 1, nil, 3 } }
    assert.is_true(ck:save(extra))
    assert.is_true(ck:load())
    assert(same(extra, ck.extra))
    assert.equal(ck.extra.z, ck.extra.a[1])
    assert.equal(ck.extra.z, ck.extra.m[1].b)
    assert.not_equal(ck.extra.z, ck.extra.twin)
    local tower = {}
    for _ = 1, 50 do tower = { tower, tower } end
    assert.is_true(ck:save { tower = tower })
    assert.is_true(ck:load())
    local level = ck.extra.tower
    for _ = 1, 50 do
      assert.equal(level[1], level[2])
      level = level[1]
    end
  end)

  it("is refused by its path, and the file stays as it was", function()
    local ck = checkpoint "refused"
    assert.is_true(ck:save { fine = 1 })
    local before = child.read(at "refused")
    local circle = { 1 }
    circle.deeper = { circle }
    for path, extra in pairs {
      ["extra.a.f is a function"] = { a = { f = print } },
      ["extra[3] is a thread"] = { 1, 2, coroutine.create(print) },
      ["extra.list[2].file is a FILE*"] = { list = { 1, { file = io.stdout } } },
      ["extra.x is a tensor"] = { x = d.zeros(2) },
      ["extra.m is a model"] = { m = d.mlp { hidden = 4, depth = 1 } },
      ["extra.s is a schedule"] = { s = d.schedule.cosine { T = 4 } },
      ["extra.p is a process"] = { p = d.process { schedule = d.schedule.cosine { T = 4 } } },
      ["extra.t is a table with a metatable"] = { t = setmetatable({}, {}) },
      ["extra.locked is a table with a metatable"] = { locked = setmetatable({}, { __metatable = false }) },
      ["extra.k has a table as a key"] = { k = { [{}] = 1 } },
      ["extra has a function as a key"] = { [print] = 1 },
      ["extra.c.deeper[1] is extra.c again"] = { c = circle },
      ['extra["a b"][0]["\\001"][true][1.5] is a function'] = {
        ["a b"] = { [0] = { ["\1"] = { [true] = { [1.5] = print } } } } },
      ["nested deeper than 60"] = { d = deep(70) },
      ["extra.a.a.a.a.a.a.a..."] = deep(1000),
      ["nested deeper than 60 tables"] = deep(200000),
    } do
      fails(path, function() ck:save(extra) end)
      fails("checkpoint:save: extra", function() ck:save(extra) end)
      assert.equal(before, child.read(at "refused"))
    end
    for text, extra in pairs { ["got 5"] = 5, ["got 'x'"] = "x", ["got false"] = false,
                               ["got a tensor [2]"] = d.zeros(2) } do
      fails(text, function() ck:save(extra) end)
    end
    assert.equal("refused", (io.popen("cd " .. folder .. " && ls refused*"):read "a":gsub("\n$", "")))
  end)

  it("of the deepest that is taken is read, one deeper isn't taken", function()
    local ck, n = checkpoint "deepest", 1
    while pcall(ck.save, ck, deep(n)) do
      assert.is_true(ck:load())
      assert(same(deep(n), ck.extra))
      n = n + 1
    end
    assert(n > 50)
    for _, form in ipairs { function(v) return { v } end, function(v) return { [0] = v } end } do
      local value = "\255"
      for _ = 2, n do value = form(value) end
      assert.is_true(ck:save(value))
      assert.is_true(ck:load())
      assert(same(value, ck.extra))
    end
  end)
end)

describe("tables of other files", function()
  it("come back too", function()
    assert(container.write(at "any", "snapshot", {}, kept))
    local _, facts = assert(container.read(at "any", "snapshot"))
    assert(same(kept, facts))
  end)

  it("from before are read as they were", function()
    local tensors, metadata = {}, { format = "diffusion", version = "1", kind = "snapshot" }
    metadata.facts = '{"a":[1,2.5,-0.0,NaN,-Infinity,"NaN"],"b":{"c":[]},"d":null,"e":{"1":"\\u0001"}}'
    assert(d.save(at "old", tensors, metadata))
    local _, facts = assert(container.read(at "old", "snapshot"))
    assert(same({ 1, 2.5, -0.0, 0 / 0, -1 / 0, "NaN" }, facts.a))
    assert.same({ c = {} }, facts.b)
    assert.equal(json.null, facts.d)
    assert.same({ ["1"] = "\1" }, facts.e)
  end)

  it("that no save wrote are refused", function()
    for _, text in ipairs { '["\\u0001pairs",1]', '["\\u0001pairs",[],1]',
      '["\\u0001pairs",["\\u0001nan","7ff8000000000000"],1]',
      '["\\u0001bytes"]', '["\\u0001bytes","6"]', '["\\u0001bytes","xy"]', '["\\u0001nan","00"]', '["\\u0001nan",5]',
      '["\\u0001tensor","y"]', '["\\u0001tensor"]', '["\\u0001again",1]', '["\\u0001again"]', '["\\u0001shared"]',
      '["\\u0001shared","a"]', '[["\\u0001shared",1],["\\u0001shared",1]]',
      '["\\u0001pairs",["\\u0001again",{}],1]' } do
      local metadata = { format = "diffusion", version = "1", kind = "snapshot", facts = ('{"a":%s}'):format(text) }
      assert(d.save(at "bad", {}, metadata))
      local tensors, message = container.read(at "bad", "snapshot")
      assert.is_nil(tensors, text)
      assert(message:find(at "bad", 1, true) and not message:find "%.lua", message)
    end
  end)

  it("of models: what a config can't keep is refused", function()
    local function pack(config) return require("diffusion.nn.model").pack(d.nn.linear(2, 2), { config = config }) end
    fails("model:save: model.fn is a function",
      function() pack { fn = print }:save(at "m") end)
    local model = pack { kind = "own", sizes = { 1, nil, 3 }, [0] = "\255" }
    assert(model:save(at "m"))
    local _, facts = assert(container.read(at "m", "model"))
    assert(same({ kind = "own", sizes = { 1, nil, 3 }, [0] = "\255" }, facts.model))
    local process = d.process { schedule = d.schedule.from_beta({ 0.1, 0.2 }, { name = "na\0me \255" }) }
    local net = d.mlp { hidden = 4, depth = 1 }
    assert(net:save(at "n", { process = process }))
    local _, again = assert(d.load_model(at "n"))
    assert.equal("na\0me \255", again.schedule.name)
    for t = 1, 2 do assert.equal(process.schedule:beta(t), again.schedule:beta(t)) end
  end)

  it("of runs: the history is kept, tensors too, or refused by its path", function()
    local process = d.process { schedule = d.schedule.cosine { T = 10 } }
    local function start()
      local function sampler() return function(_, xt) return xt end end
      return d.sampler.steps { model = function(xt) return xt end, process = process, shape = { 2, 2 }, steps = 5,
                               seed = 1, sampler = sampler }
    end
    local run = start()
    local x, y = d.randn(3), d.arange(1, 4)
    local history = { [1] = x, ["1"] = y, a = { b = x }, ["a.b"] = y, h = { 1, nil, 3 }, text = "\255\0", nan = 0 / 0,
                      [0.5] = { deep = deep(30) } }
    for k, v in pairs(history) do run.history[k] = v end
    assert(run:save(at "run"))
    local later = start()
    assert(later:load(at "run"))
    local back = later.history
    assert.is_true(back[1]:equal(x) and back["1"]:equal(y) and back.a.b:equal(x) and back["a.b"]:equal(y))
    assert.equal(back[1], back.a.b)
    for _, key in ipairs { "h", "text", "nan", 0.5 } do assert(same(history[key], back[key]), key) end
    local tensors, metadata = d.load(at "run") -- as before
    local facts = json.decode(metadata.facts)
    facts.form, facts.history = nil, { entries = { { "x", { tensor = "facts.1" } },
      { 2, { entries = { { 1, { value = 2.5 } }, { "b", { value = true } } } } } } }
    metadata.facts = json.encode(facts)
    assert(d.save(at "older", tensors, metadata))
    local older = start()
    assert(older:load(at "older"))
    assert.is_true(older.history.x:equal(x))
    assert.same({ 2.5, b = true }, older.history[2])
    run.history.f = { print }
    fails("run:save: history.f[1] is a function", function() run:save(at "run") end)
    assert(start():load(at "run"))
  end)
end)

describe("json", function()
  it("writes only what it reads, and reads equal what it wrote", function()
    for _, value in ipairs { { 1, nil, 3 }, { 1, a = 2 }, { [0] = 1, 2 }, { "\255" }, { ["\255"] = 1 }, deep(65),
                             { 1.5, [2.5] = 1 } } do
      assert.is_false((pcall(json.encode, value)))
    end
    local back = json.decode(json.encode { "\1NaN\1", 0 / 0, "\1NaN0", "NaN1", -0.0, "\0\127\u{2028}" })
    assert.is_true(back[2] ~= back[2])
    back[2] = nil
    assert(same({ "\1NaN\1", nil, "\1NaN0", "NaN1", -0.0, "\0\127\u{2028}" }, setmetatable(back, nil)))
    assert.is_table(json.decode(json.encode(deep(64))))
  end)
end)

describe("d.save", function()
  it("takes tables of tensors and of texts, and nothing else", function()
    local model = d.mlp { hidden = 4, depth = 1 }
    fails("got model; model:state()", function() d.save(at "s", model) end)
    fails("got a tensor [2]", function() d.save(at "s", d.zeros(2)) end)
    fails("got process", function() d.save(at "s", d.process { schedule = d.schedule.cosine { T = 4 } }) end)
    fails("a tensor expected as a, got 'x'", function() d.save(at "s", { a = "x" }) end)
    fails("1 can't be a tensor's name", function() d.save(at "s", { d.zeros(1) }) end)
    fails("got 5", function() d.save(at "s", {}, 5) end)
    fails("metadata a is 5", function() d.save(at "s", {}, { a = 5 }) end)
    fails("metadata a isn't UTF-8", function() d.save(at "s", {}, { a = "\255" }) end)
    fails("metadata's name 1 is 1", function() d.save(at "s", {}, { "a" }) end)
    assert.is_nil(child.read(at "s"))
    local texts = { [""] = "", a = "\0\1\"\\\127", ["\0"] = "ü", __metadata__ = "x" }
    assert(d.save(at "s", { [""] = d.ones(1), ["a\0b"] = d.zeros(0) }, texts))
    local tensors, metadata = assert(d.load(at "s"))
    assert.same(texts, metadata)
    assert.same({ 1 }, tensors[""]:totable())
    assert.same({ 0 }, tensors["a\0b"]:shape())
  end)
end)

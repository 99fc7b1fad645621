-- Tensors split over several files with an index.
local d = require "diffusion"
local arrays = require "diffusion.file.arrays"
local child = require "spec.support.child"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local shards = require "diffusion.file.shards"

describe("an index of shards", function()
  local folder
  before_each(function() folder = child.folder() end)
  after_each(function() child.remove(folder) end)

  local one, two = "m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"
  local function at(name) return folder .. "/" .. name end

  -- Two shards and an index. `change` may alter the index first.
  local function made(change, name)
    assert(d.save(at(one), { a = d.arange(1, 4):to "f32", b = d.ones(2) }, { format = "pt" }))
    assert(d.save(at(two), { c = d.arange(1, 3) }, { format = "pt", more = "x" }))
    local index = { metadata = { total_size = 48 }, weight_map = { a = one, b = one, c = two } }
    if change then change(index) end
    child.write(at(name or "m.safetensors.index.json"), json.encode(index))
    return at(name or "m.safetensors.index.json")
  end

  local function refused(path, ...)
    local none, message = d.load(path)
    assert.is_nil(none)
    assert.equal(1, message:find(folder, 1, true), message)
    for _, words in ipairs { ... } do assert(message:find(words, 1, true), message) end
  end

  it("gives the tensors of all shards, and their metadata", function()
    for _, name in ipairs { "m.safetensors.index.json", "m.safetensors.index.fp16.json" } do
      local back, metadata = assert(d.load(made(nil, name)))
      assert.same({ 1, 2, 3, 4 }, back.a:totable())
      assert.same({ 1, 1 }, back.b:totable())
      assert.same({ 1, 2, 3 }, back.c:totable())
      assert.is_nil(back.d)
      assert.same({ format = "pt", more = "x" }, metadata)
      assert.same({ a = { 4 }, b = { 2 }, c = { 3 } }, arrays.shapes(back))
    end
    assert.equal("bf16", assert(d.load(made(), { dtype = "bf16" })).a:dtype())
    assert(d.load(made(function(index) index.metadata = nil end)))
    assert(d.load(made(function(index) index.metadata.total_size = 48.0 end)))
  end)

  it("gives those that it lists", function()
    local back = assert(d.load(made(function(index) index.weight_map.b = nil end)))
    assert.is_nil(back.b)
  end)

  it("names shards that are missing", function()
    local path = made()
    os.remove(at(two))
    refused(path, "1 of its 2 shards is missing: " .. two)
    assert(os.execute(("ln -s nowhere '%s'"):format(at(two))))
    refused(path, "1 of its 2 shards is missing: " .. two)
    os.remove(at(one))
    refused(path, "2 of its 2 shards are missing: " .. one .. " and others")
  end)

  it("names a shard that is half there, or something else", function()
    local path = made()
    local whole = child.read(at(two))
    child.write(at(two), whole:sub(1, -9))
    refused(path, two .. ": safetensors: the tensors take 24 bytes, the file holds 16", "cut short")
    child.write(at(two), whole:sub(1, 20))
    refused(path, two, "header says")
    child.write(at(two), "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    refused(path, two .. ": a pointer, not the weights")
    child.write(at(two), "")
    refused(path, two, "file holds 0 bytes")
  end)

  it("is held against the shards", function()
    refused(made(function(index) index.weight_map.x = two end), 'tensor "x" should be in ' .. two)
    refused(made(function(index) index.weight_map.c = one end), 'tensor "c" should be in ' .. one)
    local path = made(function(index) index.metadata.total_size = 49 end)
    refused(path, "its total_size is 49, but its tensors take 48 bytes")
    assert(d.load(path, { total_size = false }))
  end)

  it("names no file outside its folder", function()
    for _, shard in ipairs { "../x.safetensors", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "a\0b" } do
      refused(made(function(index) index.weight_map.c = shard end),
        "isn't the name of a file in the index's own folder")
    end
  end)

  it("is JSON with a map of names", function()
    local function written(text)
      child.write(at "m.safetensors.index.json", text)
      return at "m.safetensors.index.json"
    end
    refused(written '{"hidden_size": 3}', "no index of shards: it has no weight_map")
    refused(written '[1, 2]', "index.json")
    refused(written '{"weight_map": {"a": 1}}', 'tensor "a" has no file\'s name')
    refused(written '{"weight_map": ["a"]}', "isn't a table by names")
    refused(written '{"weight_map": {', "json")
    refused(written "version https://git-lfs.github.com/spec/v1\n", "a pointer")
    refused(written "\x89PNG\r\n\x1a\n", "a PNG")
    refused(at "none.json", "No such file")
    assert.same({}, (assert(d.load(written '\n {"weight_map": {}}'))))
  end)

  it("leaves tensors unread until they are asked for", function()
    assert(d.save(at(one), { a = d.zeros(1 << 16) }))
    child.write(at(two), "")
    child.write(at "i.json", json.encode { weight_map = { a = one } })
    local before = d.memory().live
    local back = assert(d.load(at "i.json", { dtype = "bf16" }))
    assert(d.memory().live - before < 4096)
    assert.equal("bf16", back.a:dtype())
  end)

  it("is written where tensors take more than a shard's bytes", function()
    local tensors = { a = d.zeros(6), b = d.zeros(6), c = d.zeros(2), d = d.zeros(6), e = d.zeros(20),
      f = d.zeros(2) }
    assert(shards.save(at "m", tensors, { max_shard_size = 40, metadata = { format = "pt" } }))
    local names = assert(core.list(folder))
    local expected = { "m.safetensors.index.json" }
    for i = 1, 4 do table.insert(expected, i, ("m-0000%d-of-00004.safetensors"):format(i)) end
    assert.same(expected, names)
    local index = json.decode(child.read(at "m.safetensors.index.json"))
    local function shard(i) return ("m-0000%d-of-00004.safetensors"):format(i) end
    local places = { a = shard(1), b = shard(2), c = shard(2), d = shard(4), e = shard(3), f = shard(4) }
    assert.same(places, index.weight_map)
    assert.equal(4 * 42, index.metadata.total_size)
    local back, metadata = assert(d.load(at "m.safetensors.index.json"))
    assert.equal("pt", metadata.format)
    for name, x in pairs(tensors) do assert.is_true(back[name]:equal(x)) end
  end)

  it("takes the place of an earlier save, and no other file's", function()
    local tensors = { a = d.ones(6), b = d.zeros(6) }
    child.write(at "mother.safetensors", "another")
    for _, most in ipairs { 24, 100, 30, 1000 } do
      assert(shards.save(at "m", tensors, { max_shard_size = most }))
      local sharded = most < 48
      local expected = sharded and { one, two, "m.safetensors.index.json" } or { "m.safetensors" }
      expected[#expected + 1] = "mother.safetensors"
      assert.same(expected, assert(core.list(folder)))
      local back = assert(d.load(at(sharded and "m.safetensors.index.json" or "m.safetensors")))
      assert.same({ 1, 1, 1, 1, 1, 1 }, back.a:totable())
      tensors = { a = back.a, b = back.b }
    end
  end)

  it("has a variant in its name", function()
    assert(shards.save(at "m", { a = d.ones(6), b = d.ones(6) }, { variant = "fp16", max_shard_size = 24 }))
    assert.same({ "m.fp16-00001-of-00002.safetensors", "m.fp16-00002-of-00002.safetensors",
      "m.safetensors.index.fp16.json" }, assert(core.list(folder)))
    assert(d.load(at "m.safetensors.index.fp16.json"))
    assert(shards.save(at "m", { a = d.ones(6) }, { variant = "fp16" }))
    assert.same({ "m.fp16.safetensors" }, assert(core.list(folder)))
  end)

  it("is not written from what isn't tensors, nor where there is no folder", function()
    fails("a tensor expected as a", shards.save, at "m", { a = 1 })
    fails("max_shard_size", shards.save, at "m", {}, { max_shard_size = 0 })
    local none, message = shards.save("/nowhere/m", { a = d.ones(1) })
    assert.is_nil(none)
    assert(message:find("/nowhere/m", 1, true), message)
  end)
end)

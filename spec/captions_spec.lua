-- d.data.folder: captions, crops and buckets of sizes, and the batches of such sets.
local d = require "diffusion"
local fails = require "spec.support.fails"
local forge = require "spec.support.forge"

local dir

local function write(name, text)
  assert(os.execute(("mkdir -p '%s'"):format((dir .. "/" .. name):match "^(.*)/")))
  local f <close> = assert(io.open(dir .. "/" .. name, "wb"))
  f:write(text)
end

-- A picture whose pixel (row, column) is {row, column, mark}.
local function picture(name, height, width, mark)
  local rows = {}
  for i = 1, height do
    rows[i] = {}
    for j = 1, width do rows[i][j] = { i, j, mark or 0 } end
  end
  write(name, "")
  assert(d.image.save(dir .. "/" .. name, d.tensor(rows, { dtype = "u8" })))
end

local function captions(given, more)
  local o = more or {}
  o.captions = given
  local set, message = d.data.folder(dir, o)
  return set and set.captions, message
end

local function refused(sentence, given, more)
  local list, message = captions(given, more)
  assert.is_nil(list)
  assert(message:find(sentence, 1, true), message)
end

local function bytes(x0) return ((x0 + 1) * 127.5):round():to "i64" end

describe("captions", function()
  before_each(function()
    dir = forge.folder()
    picture("a.png", 1, 1)
    picture("b.png", 1, 1)
  end)
  after_each(forge.clean)

  it("come from a text file next to each picture", function()
    write("a.txt", "\xEF\xBB\xBF a red\r\n  cat\n")
    write("b.caption", "")
    assert.same({ "a red cat", "" }, captions(true))
    os.remove(dir .. "/b.caption")
    refused("1 of 2 pictures has no caption, as " .. dir .. "/b.png", true)
    assert.same({ "a red cat" }, captions(true, { skip = true }))
    write("b.txt", "\xff")
    refused("b.txt: byte 1 isn't UTF-8", true)
    write("b.txt", ("x"):rep(70000))
    refused("70000 bytes", true)
  end)

  it("are none where there is none", function()
    refused("2 of 2 pictures have no caption", true)
    refused("2 of 2 pictures have no caption", true, { skip = true })
  end)

  it("come from tables of three forms", function()
    write("metadata.jsonl", '{"file_name": "b.png", "text": "two", "more": 1}\n\n{"file_name": "a.png", "text": "one"}')
    assert.same({ "one", "two" }, captions(true))
    write("other.csv", 'file_name,more,text\r\nb.png,"x, y","he said ""no"",\nthen left"\r\na.png,,plain\r\n')
    assert.same({ "plain", 'he said "no", then left' }, captions("other.csv"))
    write("t.tsv", 'a.png\tan "A"\nb.png\tbe\n')
    assert.same({ 'an "A"', "be" }, captions(dir .. "/t.tsv"))
  end)

  it("come from a table or a function of the user", function()
    assert.same({ "x", "y" }, captions { ["a.png"] = "x", ["b.png"] = "y" })
    assert.same({ "a.png!", "b.png!" }, captions(function(name) return name .. "!" end))
    refused("the caption of b.png must be a text, got 7", { ["a.png"] = "x", ["b.png"] = 7 })
  end)

  it("are refused with the line that is wrong", function()
    local function of(name, text, sentence)
      write(name, text)
      refused(sentence, name)
    end
    of("t.jsonl", '{"file_name": "a.png", "text": "x"}\n{"file_name": "b.png"}', "line 2: the texts file_name and text")
    of("t.jsonl", "[1]\n", "line 1: the texts")
    of("t.jsonl", "{\n", "line 1 isn't an object")
    of("t.jsonl", '{"file_name": "c.png", "text": "x"}', "line 1 is for 'c.png', which is no picture")
    of("t.csv", 'file_name,text\na.png,"x', "line 2: a quote without an end")
    of("t.csv", 'file_name,text\na.png,"x"y\n', "line 2: 'y' after the end of a field")
    of("t.csv", "file_name,text\na.png\n", "line 2 has 1 field, the first line 2")
    of("t.csv", "file_name,words\na.png,b\n", "its columns are file_name, words")
    of("t.csv", "", "it is empty")
    of("t.tsv", "a.png\tx\na.png\ty\n", "line 2: 'a.png' has a caption already")
    refused("nowhere.csv", "nowhere.csv")
  end)

  it("come along with the batches", function()
    local set = assert(d.data.folder(dir, { captions = { ["a.png"] = "x", ["b.png"] = "y" } }))
    assert.same({ dir .. "/a.png", dir .. "/b.png" }, set.paths)
    assert.is_truthy(tostring(set):find("with captions", 1, true))
    local batches = set:batches { size = 3, steps = 2, shuffle = false }
    assert.is_nil(batches.captions)
    batches()
    assert.same({ { "x", "y", "x" }, { 1, 2, 1 } }, { batches.captions, batches.examples })
    local own = d.data.set { x = d.randn(2, 3), captions = { "p", "q" } }:batches { size = 2, shuffle = false }
    own()
    assert.same({ "p", "q" }, own.captions)
    fails("set: 1 captions for 2 examples", d.data.set, { x = d.randn(2, 3), captions = { "p" } })
  end)
end)

describe("crops", function()
  before_each(function() dir = forge.folder() end)
  after_each(forge.clean)

  it("are of the middle, with the sizes that SDXL is told", function()
    picture("a.png", 4, 8)
    local set = assert(d.data.folder(dir, { size = 4 }))
    local batches = set:batches { size = 1, epochs = 1 }
    local _, x0 = batches()
    assert.same({ 1, 3, 0 }, bytes(x0)[1][1][1]:totable())
    assert.same({ original = { { 4, 8 } }, crop = { { 0, 2 } }, target = { 4, 4 } }, batches.sizes)
  end)

  it("are drawn by seed, epoch and step, and told where they lie", function()
    picture("a.png", 4, 9)
    picture("b.png", 7, 4)
    local set = assert(d.data.folder(dir, { size = 4, crop = "random" }))
    assert.is_nil(set.x)
    assert.same({ { height = 4, width = 4, n = 2 } }, set.buckets)
    local seen = {}
    local function look(batches)
      local _, x0 = batches()
      local list = bytes(x0):totable()
      for b, at in ipairs(batches.sizes.crop) do
        assert.same({ at[1] + 1, at[2] + 1, 0 }, list[b][1][1])
        assert.same({ at[1] + 4, at[2] + 4, 0 }, list[b][4][4])
        seen[at[1] .. " " .. at[2]] = true
      end
      return list
    end
    local batches, lists = set:batches { size = 2, steps = 40, seed = 3 }, {}
    for k = 1, 40 do lists[k] = look(batches) end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    assert.equal(9, count) -- 6 and 4 places, of which 0 0 is in both
    local again = set:batches { size = 2, steps = 40, seed = 3 }
    again.step = 17
    assert.same(lists[18], look(again))
  end)

  it("of mirrored pictures are told as they lie in the mirrored ones", function()
    picture("a.png", 4, 9)
    local set = assert(d.data.folder(dir, { size = 4, crop = "random" }))
    local batches, both = set:batches { size = 1, steps = 60, seed = 3, flip = true }, {}
    for _, x0 in batches do
      local first, at = bytes(x0)[1][1][1]:totable(), batches.sizes.crop[1]
      local flipped = bytes(x0)[1][1][2]:totable()[2] < first[2]
      both[flipped] = true
      assert.equal(flipped and 9 - at[2] or at[2] + 1, first[2])
    end
    assert.is_true(both[true] and both[false])
  end)

  it("need a size", function()
    picture("a.png", 1, 65535)
    fails('crop = "random" needs a size', d.data.folder, dir, { crop = "random" })
    local set, message = d.data.folder(dir, { size = 2, crop = "random" })
    assert.is_nil(set)
    assert.is_truthy(message:find("65535 x 1 pixels, too narrow for crops of 2 x 2", 1, true))
  end)
end)

describe("buckets", function()
  before_each(function()
    dir = forge.folder()
    for k = 1, 5 do picture(("wide%d.png"):format(k), 4, 8, k) end
    for k = 1, 3 do picture(("tall%d.png"):format(k), 9, 4, 5 + k) end
    picture("square.png", 6, 6, 9)
  end)
  after_each(forge.clean)

  local options = { buckets = { area = 32, multiple = 2, min = 2, max = 16 } }
  local function folder() return assert(d.data.folder(dir, options)) end

  it("have the sizes of the nearest shape", function()
    local square, wide, tall = { height = 4, width = 4, n = 1 }, { height = 4, width = 8, n = 5 },
      { height = 8, width = 4, n = 3 }
    assert.same({ square, wide, tall }, folder().buckets)
    local plain = assert(d.data.folder(dir, { buckets = { sizes = { { 5, 10 }, { 10, 5 } } } }))
    assert.equal(2, #plain.buckets)
    assert.equal(9, plain.n)
  end)

  -- The marks of the examples of each batch.
  local function walk(batches, most)
    local list = {}
    for step, x0 in batches do
      local marks = {}
      for b = 1, x0:size(1) do marks[b] = bytes(x0)[b][1][1]:totable()[3] end
      list[#list + 1] = marks
      if step == most then break end
    end
    return list
  end

  local function kind_of(mark) return mark <= 5 and "wide" or mark <= 8 and "tall" or "square" end

  it("give batches of one size, each example as often as the others", function()
    local list, counts, order = walk(folder():batches { size = 2, epochs = 4, seed = 1 }), {}, {}
    for k, marks in ipairs(list) do
      order[k] = kind_of(marks[1])
      for _, mark in ipairs(marks) do
        counts[mark] = (counts[mark] or 0) + 1
        assert.equal(order[k], kind_of(mark))
      end
    end
    assert.same({ 4, 4, 4, 4, 4, 4, 4, 4, 4 }, counts)
    assert.equal(10 + 6 + 2, #list)
    local changes = 0
    for k = 2, #order do changes = changes + (order[k] ~= order[k - 1] and 1 or 0) end
    assert.is_true(changes > 5)
  end)

  it("go on from any step", function()
    local function new() return folder():batches { size = 2, steps = 60, seed = 5 } end
    local whole = walk(new())
    assert.equal(60, #whole)
    for _, marks in ipairs(whole) do assert.equal(2, #marks) end
    for _, step in ipairs { 1, 7, 31, 59 } do
      local batches = new()
      batches.step = step
      assert.same({ table.unpack(whole, step + 1) }, walk(batches))
    end
    local batches, other = new(), new()
    walk(batches, 13)
    local state = batches:state()
    assert(other:load_state(state))
    assert.same(walk(batches), walk(other))
    state.counts = "4 4 1"
    local done, message = other:load_state(state)
    assert.is_nil(done)
    assert.is_truthy(message:find("buckets of 4 4 1 examples", 1, true))
  end)

  it("name the examples of a batch, and their classes", function()
    for name, count in pairs { wide = 5, tall = 3 } do
      assert(os.execute(("mkdir '%s/%s'"):format(dir, name)))
      for k = 1, count do
        assert(os.rename(("%s/%s%d.png"):format(dir, name, k), ("%s/%s/%s%d.png"):format(dir, name, name, k)))
      end
    end
    os.remove(dir .. "/square.png")
    local set = assert(d.data.folder(dir, options))
    local batches = set:batches { size = 2, epochs = 2, seed = 1 }
    for _, _, class in batches do
      for b, i in ipairs(batches.examples) do
        assert.is_truthy(set.paths[i]:find(set.names[class:totable()[b]] .. "%d"))
      end
    end
    assert.same({ "tall", "wide" }, set.names)
  end)

  it("are refused where they can't be", function()
    local function wrong(sentence, given, more)
      fails(sentence, d.data.folder, dir, { buckets = given, size = more })
    end
    wrong("size and buckets", true, 4)
    wrong("no size of sides from 64 to 0, multiples of 64, has an area up to 4", { area = 4, min = 5 })
    wrong("area and sizes", { area = 4, sizes = { { 1, 1 } } })
    wrong("size 2 must be {height, width}", { sizes = { { 1, 1 }, { 0, 1 } } })
    wrong("more than 4096 sizes", { area = 1 << 30, multiple = 1 })
    wrong("unknown option 'step'", { step = 4 })
    fails("several sizes or crops", function() d.oracle.empirical(folder()) end)
  end)
end)

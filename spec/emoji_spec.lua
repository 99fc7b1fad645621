-- d.data.emoji: the pictures of a font with their names. A small font stands for Debian's, which is read where it is.
local d = require "diffusion"
local forge = require "spec.support.forge"
local mutate = require "spec.support.mutate"
local small_font = require "spec.support.small_font"

local function read(bytes, list, size)
  local set, message = d.data.emoji { font = forge.file(bytes, ".ttf"), list = forge.file(list, ".txt"), size = size }
  forge.clean()
  return set, message
end

local function refused(o, ...)
  local set, message = read(small_font.bytes(o), small_font.list, 2)
  assert.is_nil(set)
  for _, word in ipairs { ... } do assert.is_truthy(message:find(word, 1, true), message) end
end

describe("a font's emoji", function()
  it("have names, groups and subgroups, without skin tones and unknown ones", function()
    local set = assert(read(small_font.bytes(), small_font.list, 4))
    assert.same({ "red apple", "green apple", "two apples" }, set.captions)
    assert.same({ "Fruit", "Couples" }, set.names)
    assert.same({ 1, 1, 2 }, set.class:totable())
    assert.same({ "round", "round", "joined" }, set.subgroups)
    assert.equal("emoji: 3 of [4,4,3] u8, 2 classes, with captions", tostring(set))
    local step, x0, class = set:batches { size = 3, steps = 1 }()
    assert.same({ 1, { 3, 4, 4, 3 }, { 3 } }, { step, x0:shape(), class:shape() })
  end)

  it("lie on white in the middle of a square", function()
    local set = assert(read(small_font.bytes(), small_font.list, 4))
    assert.same({ 255, 255, 255 }, set.x[{ 1, 1, 1 }]:totable())
    assert.same({ 255, 0, 0 }, set.x[{ 1, 2, 1 }]:totable())
    assert.same({ 255, 0, 0 }, set.x[{ 1, 3, 4 }]:totable())
    assert.same({ 255, 255, 255 }, set.x[{ 1, 4, 4 }]:totable())
    assert.equal(255, set.x[2]:min():item()) -- transparent over white
    assert.same({ 0, 0, 255 }, set.x[{ 3, 2, 2 }]:totable()) -- the ligature's
  end)

  it("are averaged over areas", function()
    local half = assert(read(small_font.bytes(), small_font.list, 2))
    assert.same({ 255, 128, 128 }, half.x[{ 1, 1, 1 }]:totable()) -- a row of white, one of red
    local third = assert(read(small_font.bytes(), small_font.list, 3)) -- 4/3 of a row: white, and a third of red
    assert.same({ 255, 191, 191 }, third.x[{ 1, 1, 1 }]:totable())
    assert.same({ 255, 0, 0 }, third.x[{ 1, 2, 3 }]:totable())
  end)

  it("aren't enlarged", function()
    local set, message = read(small_font.bytes(), small_font.list, 5)
    assert.is_nil(set)
    assert.is_truthy(message:find("size = 5, but the font's pictures have 4", 1, true), message)
  end)
end)

describe("a font that isn't followed", function()
  it("is refused with a sentence", function()
    refused({ without = "CBLC" }, "no table CBLC")
    refused({ without = "CBDT" }, "CBDT is missing")
    refused({ index = 3 }, "index of format 3")
    refused({ picture = 18 }, "pictures of format 18")
    refused({ sizes = 0 }, "no size")
    refused({ parts = 3 }, "part 2 has an index of format 0")
    refused({ parts = 1 << 31 }, "2147483648 parts, but at most")
    refused({ height = 3 }, "4 x 2 pixels", "4 x 3")
    refused({ longer = 1 }, "glyph 1 has a PNG of")
    refused({ empty = true }, "glyph 1 has no picture")
    refused({ lookup = 6 }, "lookup 0 is of type 6")
    refused({ coverage = 3 }, "coverage of format 3")
    refused({ components = 30000 }, "ligatures lie over one another")
    refused({ subtables = 100 }, "ligatures lie over one another")
  end)

  it("is no TrueType font, or is cut short at any byte", function()
    local whole = small_font.bytes()
    for n = 0, #whole - 1, 11 do
      local set, message = read(whole:sub(1, n), small_font.list, 2)
      assert.is_nil(set, n)
      assert.is_string(message)
    end
  end)

  it("is damaged anywhere", function()
    local whole = small_font.bytes()
    for seed = 1, 100 do
      local set, message = read(mutate.text(whole, mutate.random(seed), { "\xff\xff", "\0\0" }), small_font.list, 2)
      assert.is_true(set ~= nil or type(message) == "string", seed)
    end
  end)

  it("has none of the emoji", function()
    local set, message = read(small_font.bytes(), "1F350 ; fully-qualified # x E1.0 pear", 2)
    assert.is_nil(set)
    assert.is_truthy(message:find("none of the emoji of", 1, true), message)
  end)
end)

describe("a list of emoji", function()
  it("that has none, or isn't UTF-8, is refused", function()
    for list, word in pairs { ["# nothing"] = "no emoji",
                              ["1F34E ; fully-qualified # x E0.6 \xff"] = "byte 34 isn't UTF-8" } do
      local none, message = read(small_font.bytes(), list, 2)
      assert.is_nil(none)
      assert.is_truthy(message:find(word, 1, true), message)
    end
  end)

  it("and a font that aren't there are named with their packages", function()
    local set, message = d.data.emoji { font = "none.ttf" }
    assert.is_nil(set)
    for _, word in ipairs { "none.ttf", "fonts-noto-color-emoji", "unicode-data" } do
      assert.is_truthy(message:find(word, 1, true), message)
    end
  end)
end)

local set, missing = d.data.emoji()

describe("Noto Color Emoji", function()
  local it = set and it or function(name) pending(name .. ": " .. missing) end

  local function place(name)
    for i, one in ipairs(set.captions) do if one == name then return i end end
  end

  it("has 1,870 emoji of Unicode 15 in nine groups", function()
    assert.equal(1870, set.n)
    assert.same({ 1870, 64, 64, 3 }, set.x:shape())
    assert.equal(9, set.classes)
    local counts = {}
    for _, k in ipairs(set.class:totable()) do counts[set.names[k]] = (counts[set.names[k]] or 0) + 1 end
    assert.same({ 133, 269 }, { counts["Food & Drink"], counts["Flags"] })
  end)

  it("is known by names, also of sequences", function()
    assert.equal("grinning face", set.captions[1])
    assert.equal("food-fruit", set.subgroups[place "red apple"])
    assert.truthy(place "flag: Japan" and place "family: man, woman, girl, boy" and place "keycap: 1")
    assert.is_nil(place "waving hand: light skin tone")
  end)

  it("has the pixels of the file, averaged", function() -- expected values: spec/peers/emoji.py
    local pixels = {
      ["red apple"] = { { 255, 81, 23 }, { 229, 68, 20 }, { 255, 81, 23 }, { 94, 69, 64 } },
      ["grinning face"] = { { 253, 224, 48 }, { 252, 221, 47 }, { 249, 201, 44 }, { 248, 199, 44 } },
      fox = { { 255, 96, 17 }, { 255, 96, 17 }, { 253, 253, 253 }, { 255, 255, 255 } },
      ["flag: Japan"] = { { 188, 0, 44 }, { 255, 255, 255 }, { 200, 200, 200 }, { 255, 255, 255 } },
    }
    for name, list in pairs(pixels) do
      for k, at in ipairs { { 32, 32 }, { 20, 40 }, { 50, 20 }, { 10, 30 } } do
        assert.same(list[k], set.x[{ place(name), at[1], at[2] }]:totable(), name)
      end
    end
  end)
end)

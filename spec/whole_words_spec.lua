-- d.tokenizer{ words = }: a vocabulary of whole words. Ids of a saved one: transformers, by spec/peers/words.py.
local d = require "diffusion"
local child = require "spec.support.child"
local fails = require "spec.support.fails"
local files = require "diffusion.text.files"
local json = require "diffusion.file.json"

local folder
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

local TEXTS = { "a red fox", "Côte D'Ivoire: piñata 10", "<s> it’s RED-green", "", "one two three four five six red" }

local WORDS = { "Red apple", "green fox", "piñata d’ivoire", "keycap: 10" }
local function made() return d.tokenizer { words = WORDS, length = 7 } end

-- Writes a tokenizer's folder. `change` may change its tokenizer.json.
local function saved(tok, change)
  for name, text in pairs(files.of(tok)) do
    if change and name == "tokenizer.json" then
      local file = assert(json.decode(text))
      change(file)
      text = json.encode(file)
    end
    child.write(folder .. "/" .. name, text)
  end
  return folder
end

describe("a vocabulary of words", function()
  it("has a token for each word, once, after the special ones", function()
    local tok = d.tokenizer { words = { "red fox", "RED fox!", "two’s" } }
    assert.equal(7, tok.size)
    assert.same({ 2, 3, 0 }, { tok.bos, tok.eos, tok.pad })
    assert.same({ 4, 5, 6 }, tok:encode "Red, fox; twos")
    assert.same({ "red", "<unk>", "fox" }, tok:pieces "red blue fox")
  end)

  it("gives transformers' ids", function()
    local ids, info = made()(TEXTS)
    assert.same({ { 2, 1, 4, 7, 3, 0, 0 }, { 2, 1, 9, 8, 11, 3, 0 }, { 2, 2, 1, 4, 6, 3, 0 }, { 2, 3, 0, 0, 0, 0, 0 },
      { 2, 1, 1, 1, 1, 1, 3 } }, ids:totable())
    assert.same({ 5, 6, 6, 2, 7 }, info.n)
    assert.equal("<unk> red", info.cut[5])
  end)

  it("tells the words of each text that it doesn't have", function()
    local tok = made()
    local _, info = tok { "Red, blue fox <unk>; grey", "red fox" }
    assert.same({ { "blue", "grey" }, {} }, info.unknown)
    _, info = assert(d.tokenizer(saved(tok))) "red zzz"
    assert.same({ { "zzz" } }, info.unknown)
  end)

  it("is saved and read", function()
    local tok = made()
    local read = assert(d.tokenizer(saved(tok)))
    assert.equal(tostring(tok), tostring(read))
    assert.same(tok(TEXTS):totable(), read(TEXTS):totable())
    assert.equal("<s> <unk> red fox </s>", read:decode(read:encode "<s> a red fox </s>"))
    read:add "<toy>"
    assert.same({ 4, 12 }, read:encode "red <toy>")
  end)

  it("has the unknown token of its model, whatever the config names", function() -- so has transformers
    local where = saved(made())
    local config = assert(json.decode(child.read(where .. "/tokenizer_config.json")))
    config.unk_token = "<other>"
    child.write(where .. "/tokenizer_config.json", json.encode(config))
    local read = assert(d.tokenizer(where))
    assert.same({ 4, 1, 7 }, read:encode "red blue fox")
    assert.same({ 4, 1, 7 }, assert(d.tokenizer(saved(read))):encode "red blue fox")
  end)

  it("is refused in another form", function()
    local function refused(sentence, change)
      local tok, message = d.tokenizer(saved(made(), change))
      assert.is_nil(tok)
      assert.truthy(message:find(sentence, 1, true), message)
    end
    refused("its normalizers are NFC; those", function(file) file.normalizer.normalizers = { { type = "NFC" } } end)
    refused("its normalizers are ?, ?; those", function(file)
      file.normalizer.normalizers = { { type = {} }, { type = 5 } }
    end)
    refused("its normalizers are ; those", function(file) file.normalizer = 1 end)
    refused("its normalizer 3 must take out", function(file) file.normalizer.normalizers[3].content = "x" end)
    refused("its pre-tokenizer must split at", function(file) file.pre_tokenizer.behavior = "Isolated" end)
    refused("its pre-tokenizer must split at", function(file) file.pre_tokenizer = 5 end)
    refused("has no vocabulary", function(file) file.model.vocab = 5 end)
    refused("the id of 'red' is -1", function(file) file.model.vocab.red = -1 end)
    refused("its unknown token is nil", function(file) file.model.unk_token = nil end)
    refused("its unknown token is 'none'", function(file) file.model.unk_token = "none" end)
  end)

  it("is made of words or read from a path", function()
    fails("path and words both given", d.tokenizer, { path = "x", words = { "a" } })
    fails("text 1 of words isn't UTF-8: its byte 1 is 0xFF", d.tokenizer, { words = { "\xff" } })
  end)
end)

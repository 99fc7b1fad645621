-- d.tokenizer gives the ids of transformers' CLIPTokenizer, whatever the text and the folder. A file that is wrong is
-- refused with a sentence.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local folders = require "spec.support.tokenizer_folder"
local forge = require "spec.support.forge"
local json = require "diffusion.file.json"
local normal = require "diffusion.text.normal"
local unicode = require "diffusion.text.unicode"
local words = require "diffusion.text.words"

local LIST = "spec/fixtures/tokenizer/merges.txt"

local function shown(list) return table.concat(list, " ") end
local function row_of(tok, ...) return tok(...):totable()[1] end

teardown(forge.clean)

describe("characters", function()
  it("have their classes", function()
    local classes = { letter = "aZªµéİʰǅאक日ꙮ𝐀𞤀", number = "09²½٣Ⅷ〇①𝟘", space = " \t\n\u{85}\u{A0}\u{2028}\u{3000}",
      other = "\0!_\u{301}\u{1C}\u{200B}\u{FEFF}€🔥\u{378}\u{E000}\u{10FFFF}" }
    for class, text in pairs(classes) do
      for _, point in utf8.codes(text) do
        assert.equal(class, unicode.class(point), ("U+%04X"):format(point))
      end
    end
  end)

  it("become small one by one", function()
    local pairs_of = { A = "a", ["É"] = "é", ["İ"] = "i\u{307}", ["ΣΟΦΟΣ"] = "σοφοσ", ["ς"] = "ς", ["Ǆ"] = "ǆ",
      ["ẞ"] = "ß", ["Ꭰ"] = "ꭰ", ["Ა"] = "ა", ["Ⓐ"] = "ⓐ", ["𐐀"] = "𐐨", ["\u{2126}"] = "ω", ["\u{212A}"] = "k",
      ["日1!🔥"] = "日1!🔥" }
    for text, small in pairs(pairs_of) do assert.equal(small, unicode.lower(text)) end
  end)

  it("are composed, their marks in order", function()
    local forms = { ["e\u{301}"] = "é", ["\u{212B}"] = "Å", ["a\u{307}\u{323}"] = "ạ\u{307}",
      ["\u{1E9B}\u{323}"] = "\u{1E9B}\u{323}", ["q\u{307}\u{323}"] = "q\u{323}\u{307}", ["\u{958}"] = "\u{915}\u{93C}",
      ["\u{1112}\u{1161}\u{11AB}"] = "한", ["\u{AC00}\u{11A8}"] = "각", ["각\u{11A8}"] = "각\u{11A8}",
      ["\u{1100}\u{301}\u{1161}"] = "\u{1100}\u{301}\u{1161}", ["\u{344}"] = "\u{308}\u{301}",
      ["\u{301}a"] = "\u{301}a",      ["a\u{5AE}\u{301}b"] = "á\u{5AE}b", ["a\u{30D}\u{301}"] = "a\u{30D}\u{301}",
      ["\u{9C7}\u{9BE}"] = "\u{9CB}", abc = "abc", ["日本"] = "日本" }
    for text, form in pairs(forms) do assert.equal(form, normal.c(text)) end
    local many = ("\u{301}\u{323}"):rep(5000)
    assert.equal("ạ" .. ("\u{323}"):rep(4999) .. ("\u{301}"):rep(5000), normal.c("a" .. many))
  end)

  it("that end or follow a space are found", function()
    assert.equal("a b", unicode.spaced "a\u{3000}\t\u{85}b")
    assert.equal("a\u{301}", unicode.strip "\u{2028}\x1c a\u{301}\n \u{A0}")
    assert.equal("", unicode.strip " \u{3000}")
  end)

  it("of a text that isn't UTF-8 are replaced", function()
    local cases = { ["a\x80b"] = 1, ["\xE2\x82"] = 1, ["\xE2\x82\xE2\x82\xAC"] = 1, ["\xC0\x80"] = 2,
      ["\xED\xA0\x80"] = 3,
      ["\xF0\x9F\x98"] = 1, ["\xF4\x90\x80\x80"] = 4, ["\xFF"] = 1,
      ["\xE0\x80"] = 2, ["\xF1\x80\x41"] = 1 }
    for bytes, count in pairs(cases) do
      local text = unicode.repaired(bytes)
      assert(utf8.len(text))
      assert.equal(count, select(2, text:gsub("\u{FFFD}", "")), ("%q"):format(bytes))
    end
  end)
end)

describe("words", function()
  local function are(text, ...) assert.same({ ... }, words.of(text)) end

  it("are runs of one class, and single numbers", function()
    are("a cat, 42½ 日本x!!?", "a", "cat", ",", "4", "2", "½", "日本x", "!!?")
    are("", nil)
    are("  ", nil)
    are("a\u{301}b", "a", "\u{301}", "b")
  end)

  it("end in contractions that begin a word", function()
    are("it's they'll've 'd", "it", "'s", "they", "'ll", "'ve", "'d")
    are("''s 'rex o'clock", "''", "s", "'re", "x", "o", "'", "clock")
  end)

  it("of a special token are three", function()
    are("x<|startoftext|>!", "x", "<|", "startoftext", "|>", "!")
    are("!<|endoftext|>!", "!<|", "endoftext", "|>!")
  end)
end)

describe("a tokenizer of each kind of folder", function()
  for kind, answers in pairs(folders.small.answers) do
    it("does as the peer: " .. kind:gsub("%-saved$", ", saved by transformers"), function()
      local saved = kind:find "%-saved$"
      local tok = assert(d.tokenizer(folders.of_kind(saved and kind:sub(1, -7) or kind)))
      for name, value in pairs(folders.small.facts[kind]) do assert.equal(value, tok[name], name) end
      for _, theirs in ipairs(answers) do
        local ids, row = tok:encode(theirs.text), row_of(tok, theirs.text)
        assert.equal(shown(theirs.ids), shown(ids), theirs.text)
        while #row > 2 and row[#row] == tok.pad and row[#row - 1] == tok.pad do row[#row] = nil end
        assert.equal(shown(theirs.row), shown(row), theirs.text)
        assert.equal(theirs.decoded, tok:decode(ids))
        assert.equal(theirs.kept, tok:decode(row, { special = false }))
        if theirs.pieces then assert.same(theirs.pieces, tok:pieces(theirs.text)) end
      end
    end)
  end
end)

describe("CLIP's own tokens", function()
  it("are those of its vocabulary", function()
    local clip, merges = folders.clip, table.concat(folders.clip.merges, "\n")
    local path = folders.make { ["merges.txt"] = merges, ["vocab.json"] = folders.vocab(merges) }
    local tok, in_clip = assert(d.tokenizer(path)), { [0] = 0 }
    for id = 0, 511 do in_clip[id] = id end
    for i, id in ipairs(clip.ids) do in_clip[511 + i] = id end
    in_clip[tok.bos], in_clip[tok.eos] = 49406, 49407
    for _, one in ipairs(clip.texts) do
      local ids = tok:encode(one.text)
      for i, id in ipairs(ids) do ids[i] = in_clip[id] end
      assert.equal(shown(one.ids), shown(ids), one.text)
    end
  end)
end)

describe("rows of ids", function()
  local tok = assert(d.tokenizer(LIST))
  local bos, eos = tok.bos, tok.eos

  it("have a length, and pads after eos", function()
    local ids, info = tok { "a cat", "", "a photo of the sea" }
    assert.same({ 3, 77 }, ids:shape())
    assert.equal("i64", ids:dtype())
    local a, cat = table.unpack(tok:encode "a cat")
    assert.equal(shown { bos, a, cat, eos, eos }, shown(table.move(ids:totable()[1], 1, 5, 1, {})))
    assert.equal(shown { bos, eos, eos }, shown(table.move(ids:totable()[2], 1, 3, 1, {})))
    assert.same({ false, false, false }, info.cut)
    assert.same({ 4, 2, #tok:encode "a photo of the sea" + 2 }, info.n)
  end)

  it("are as long as the longest without pads", function()
    local ids, info = tok({ "a cat", "the red cat" }, { pad = false })
    assert.same({ 2, math.max(info.n[1], info.n[2]) }, ids:shape())
  end)

  it("are cut, and the rest is reported", function()
    local text = "The big Brown dog, under an old tree; 12 \u{1F600}"
    local whole = tok:encode(text)
    for length = 2, #whole + 2 do
      local ids, info = tok(text, { length = length })
      assert.same({ 1, length }, ids:shape())
      assert.equal(length, info.n[1])
      local rest = table.move(whole, length - 1, #whole, 1, {})
      assert.equal(#rest > 0 and tok:decode(rest), info.cut[1])
    end
    local _, info = tok({ text, "a cat" }, { length = 4 })
    assert.same({ "brown dog , under an old tree ; 1 2 \u{1F600}", false }, info.cut)
  end)

  it("hold all if they are not to be cut", function()
    local ids, info = tok({ ("cat "):rep(100), "a" }, { truncate = false })
    assert.same({ 2, 102 }, ids:shape())
    assert.same({ 102, 3 }, info.n)
    assert.same({ false, false }, info.cut)
    assert.same({ 1, 77 }, (tok("a", { truncate = false })):shape())
    assert.same({ 1, 3 }, (tok("a", { truncate = false, pad = false })):shape())
  end)

  it("refuse what is no text", function()
    fails("a text or a list of texts expected, got an empty list", tok, {})
    fails("a text or a list of texts expected, got 5", tok, 5)
    fails("text 2: a text expected, got table", tok, { "a", {} })
    fails("text 2 isn't UTF-8: its byte 4 is 0xE9", tok, { "a", "caf\xE9" })
    fails("isn't UTF-8: its byte 1 is 0xED", tok, "\xED\xA0\x80")
    fails("option 'length': integer in [2, 65536] expected, got 1", tok, "a", { length = 1 })
    fails("unknown option 'lenght'; did you mean 'length'?", tok, "a", { lenght = 3 })
    fails("the text isn't UTF-8", tok.encode, tok, "\xFF")
    fails("at most 16777215", tok.encode, tok, ("a"):rep(1 << 24))
  end)
end)

describe("a tokenizer", function()
  local tok = assert(d.tokenizer(LIST))

  it("decodes lists, tensors and rows", function()
    local ids = tok "Hello, World!"
    assert.same({ "<|startoftext|>hello , world ! " .. ("<|endoftext|>"):rep(77 - #tok:encode "Hello, World!" - 1) },
      tok:decode(ids))
    assert.same({ "hello , world !" }, tok:decode(ids, { special = false }))
    assert.equal("hello , world !", tok:decode(ids[1], { special = false }))
    assert.same({ "a", "cat" }, tok:decode { tok:encode "a", tok:encode "cat" })
    assert.equal("", tok:decode {})
    assert.equal("日本語 🔥", tok:decode(tok:encode "日本語🔥"))
    assert.equal("\u{FFFD}", tok:decode(table.move(tok:encode "🔥x", 1, 1, 1, {})))
  end)

  it("refuses ids that it doesn't have", function()
    fails(("id 2: a whole number in 0..%d expected, got %d"):format(tok.size - 1, tok.size), tok.decode, tok,
      { 0, tok.size })
    fails("id 1: a whole number", tok.decode, tok, { -1 })
    fails("id 1: a whole number", tok.decode, tok, { 0.5 })
    fails("got nan", tok.decode, tok, { 0 / 0 })
    fails("ids: a list of ids or a tensor expected, got 'a'", tok.decode, tok, "a")
    fails("row 2: a list of ids or a tensor expected, got 5", tok.decode, tok, { {}, 5 })
  end)

  it("has a text, and fields that can't be written", function()
    assert.equal(("tokenizer: %d tokens, texts of 77, pad %d '<|endoftext|>'"):format(tok.size, tok.eos), tostring(tok))
    fails("never changes", function() tok.pad = 0 end)
    fails("a tokenizer has no 'lenght'; did you mean 'length'?", function() return tok.lenght end)
  end)

  it("encodes long words quickly, and forgets words", function()
    local start = os.clock()
    local ids = tok:encode(("water"):rep(5000) .. ("ab"):rep(5000))
    assert.equal(("water"):rep(5000) .. ("ab"):rep(5000), tok:decode(ids))
    for i = 1, 20100 do tok:encode(("x%db"):format(i)) end
    assert.equal("a cat", tok:decode(tok:encode "A Cat"))
    assert(os.clock() - start < 5)
  end)
end)

describe("a word that is added", function()
  local tok = assert(d.tokenizer(LIST))
  local size = tok.size
  local new = tok:add("<new>", 3)
  tok:add "sks"

  it("has the ids after the last", function()
    assert.same({ size, size + 1, size + 2 }, new)
    assert.equal(size + 4, tok.size)
  end)

  it("stands for all its tokens, as diffusers' prompts do", function()
    for _, one in ipairs(folders.small.inverted) do
      assert.equal(shown(one.ids), shown(tok:encode(one.text)), one.text)
    end
    assert.same(tok:encode "a <new>", tok:encode "A <NEW>")
    assert.same({ "<new>", "<new>_1", "<new>_2" }, tok:pieces "<new>")
    assert.equal("a <new><new>_1<new>_2cat", tok:decode(tok:encode "a <new> cat"))
  end)

  it("must be new", function()
    fails("add: the vocabulary has '<new>'", tok.add, tok, "<new>")
    fails("choose another word, such as '<new-2>'", tok.add, tok, "<new>")
    fails("the vocabulary has '<new>_1'", tok.add, tok, "<new>_1")
    fails("'<NEW>' is found as '<new>', as '<new>' is", tok.add, tok, "<NEW>")
    fails("the vocabulary has 'a', as the id 64", tok.add, tok, "a")
    fails("the word has no character but white space", tok.add, tok, " \u{3000}")
    fails("the word has no character but white space", tok.add, tok, "")
    fails("isn't UTF-8", tok.add, tok, "\xFF")
    fails("n: integer in [1, 65536] expected, got 0", tok.add, tok, "<b>", 0)
    assert.equal(size + 4, tok.size)
  end)

  it("isn't added in part", function()
    tok:add "<c>_2"
    local before = tok.size
    fails("the vocabulary has '<c>_2'", tok.add, tok, "<c>", 3)
    assert.equal(before, tok.size)
    assert.equal("< c >", tok:decode(tok:encode "<c>"))
  end)
end)

describe("the list of merges", function()
  it("is read gzipped or not, and makes the same ids as a folder", function()
    local folder = assert(d.tokenizer(folders.make {}))
    local zipped = assert(d.tokenizer(forge.file(forge.gzip(folders.merges), ".txt.gz")))
    local text = "A photo of an Astronaut's 12 cats <|startoftext|>"
    assert.same(folder:encode(text), zipped:encode(text))
    assert.equal(folder.size, zipped.size)
    assert.equal(zipped.bos, zipped:encode "<|STARTOFTEXT|>"[1])
  end)

  it("is used up to CLIP's number of merges", function()
    local lines, char = { "bpe#version: 0.2" }, {}
    for i = 0, 255 do char[i] = folders.alphabet()[i + 1] end
    for i = 0, 49151 do lines[#lines + 1] = char[i // 256] .. " " .. char[i % 256] end
    assert.equal(49408, assert(d.tokenizer(forge.file(table.concat(lines, "\n") .. "\n"))).size)
  end)
end)

describe("the pad token", function()
  it("is an option, by its id or its text, and then no special token", function()
    local path = folders.make {}
    for _, pad in ipairs { 0, "!" } do
      local tok = assert(d.tokenizer { path = path, pad = pad, length = 5 })
      assert.equal(shown { tok.bos, tok:encode "!"[1], tok.eos, 0, 0 }, shown(row_of(tok, "!")))
      assert(tok:encode "!"[1] ~= 0)
    end
    fails("option 'pad': an id in 0..", d.tokenizer, { path = path, pad = 1 << 20 })
    fails("or a token expected, got 'nosuch'", d.tokenizer, { path = path, pad = "nosuch" })
  end)
end)

-- ==== files that are wrong ===================================================================

describe("files of a tokenizer", function()
  local function refused(sentence, path)
    local tok, message = d.tokenizer(path)
    assert.is_nil(tok)
    assert(message:find(sentence, 1, true), message)
  end
  local function folder(sentence, files) refused(sentence, folders.make(files)) end

  it("are to be there", function()
    refused("No such file", "/nosuch/folder")
    folder("a folder with vocab.json and merges.txt", { ["vocab.json"] = false })
    folder("a folder with vocab.json and merges.txt", { ["merges.txt"] = false })
    fails("a path expected, got 5", d.tokenizer, 5)
    fails("neither is given; path or words expected", d.tokenizer, {})
  end)

  it("have a vocabulary", function()
    local function vocab(sentence, change)
      local ids = folders.vocab(folders.merges)
      change(ids)
      folder(sentence, { ["vocab.json"] = ids })
    end
    folder("vocab.json: json: ", { ["vocab.json"] = "{" })
    folder("vocab.json: an object of JSON with some keys expected", { ["vocab.json"] = "[]" })
    vocab("the id of 'a' is 0.5; a whole number", function(ids) ids.a = 0.5 end)
    vocab("the id of 'a' is 'x'; a whole number", function(ids) ids.a = "x" end)
    vocab("the id of 'a' is -1", function(ids) ids.a = -1 end)
    vocab("the id of 'a' is 1048576; a whole number in 0..1048575 expected", function(ids) ids.a = 1 << 20 end)
    vocab("both have the id 5", function(ids) ids.a = 5 end)
    vocab("but none has the id 64; ids run from 0 without a gap", function(ids) ids.a = 9999 end)
  end)

  it("have a token for each byte, or one for those without", function()
    local ids, eos = folders.vocab(folders.merges), "<|endoftext|>"
    ids["Ā"], ids[eos] = nil, ids["Ā"]
    local config = { ["vocab.json"] = ids, ["tokenizer_config.json"] = { unk_token = "<unk>" } }
    folder("its vocabulary has no token 'Ā', nor '<unk>' for what it doesn't have", config)
    config["tokenizer_config.json"] = nil
    local tok = assert(d.tokenizer(folders.make(config)))
    assert.same({ eos, "Ā</w>", "a</w>" }, tok:pieces "\0\0a")
  end)

  it("have merges", function()
    folder("line 3 of the merges is 'a b c'; two tokens", { ["merges.txt"] = "#version: 0.2\nt h\na b c\n" })
    folder("line 2 of the merges is 'a'", { ["merges.txt"] = "t h\na\n" })
    folder("merge 1 joins 'a' and 'q', but the vocabulary has no 'aq'", { ["merges.txt"] = "a q\n" })
    folder("merges.txt: byte 3 isn't UTF-8", { ["merges.txt"] = "a \xFF\n" })
    assert(d.tokenizer(folders.make { ["merges.txt"] = "#version: 0.2\r\n\r\n\n" }))
  end)

  it("say what added tokens are", function()
    local function config(sentence, value) folder(sentence, { ["tokenizer_config.json"] = value }) end
    config("pad_token is 5; a text, or an object with its content expected", { pad_token = 5 })
    config("'lstrip' of the token 'x' is 1; true or false expected", { pad_token = { content = "x", lstrip = 1 } })
    config("the token 'x' has single_word", { pad_token = { content = "x", single_word = true } })
    config("added_tokens_decoder has the key 'x'; an id expected", { added_tokens_decoder = { x = { content = "y" } } })
    config("added_tokens_decoder is 1; an object", { added_tokens_decoder = 1 })
    config("the added token 'y' has the id 9999, but 88", { added_tokens_decoder = { ["9999"] = { content = "y" } } })
    folder("the added token '<X>' is found as '<x>', as '<x>' is", { ["added_tokens.json"] = { ["<x>"] = 758,
      ["<X>"] = 759 } })
    folder("'x' has the id 0.5; a whole number", { ["added_tokens.json"] = { x = 0.5 } })
    folder("tokenizer_config.json: a text file, not a description of a tokenizer", { ["tokenizer_config.json"] = "x" })
    folder("special_tokens_map.json: json: ", { ["special_tokens_map.json"] = "{" })
  end)

  it("may leave names to CLIP", function()
    local null = json.null
    local tok = assert(d.tokenizer(folders.make { ["tokenizer_config.json"] = { pad_token = null, eos_token = null,
      model_max_length = null, extra_special_tokens = { z = "<z>", y = "<y>" } },
      ["special_tokens_map.json"] = { bos_token = null } }))
    assert.same({ 756, 757, 757 }, { tok.bos, tok.eos, tok.pad })
    assert.same({ 758, 759 }, tok:encode "<y><z>")
  end)

  it("may have many added tokens", function()
    local ids = {}
    for i = 0, 9999 do ids[("<word%d>"):format(i)] = 758 + i end
    local tok = assert(d.tokenizer(folders.make { ["added_tokens.json"] = ids }))
    assert.same({ 758 + 1234, 758 + 9999 }, tok:encode "<word1234><Word9999>")
  end)

  it("may be one", function()
    local function model(sentence, change)
      local value = folders.small.json
      change(value)
      refused(sentence, folders.make { ["tokenizer.json"] = value })
    end
    local saved = folders.small.json.model
    assert(d.tokenizer(folders.of_kind "alone" .. "/tokenizer.json"))
    local function with(key, value)
      return function(file)
        file.model = {}
        for name, old in pairs(saved) do file.model[name] = old end
        file.model[key] = value
      end
    end
    model("its model is of type 'Unigram'; BPE or WordLevel expected", with("type", "Unigram"))
    model("those of CLIP's tokenizer end with '</w>'", with("end_of_word_suffix", ""))
    model("its model has no vocabulary", with("vocab", 1))
    model("its model has no list of merges", with("merges", 1))
    model("merge 2 is no pair of tokens", with("merges", { "t h", "a b c" }))
    model("merge 1 is no pair of tokens", with("merges", { { "t", 1 } }))
    model("it has no model", function(file) file.model = 1 end)
    model("added token 1 has no id", function(file) file.model, file.added_tokens = saved, { { content = "x" } } end)
    folders.small.json.model = saved
  end)

  it("are bounded", function()
    local lines = { "#version" }
    for i = 1, 1 << 20 do lines[i + 1] = "a b" end
    folder("1048576 merges or more are too many", { ["merges.txt"] = table.concat(lines, "\n") })
    folder("vocab.json: 16777217 bytes, too many for a vocabulary", { ["vocab.json"] = (" "):rep((1 << 24) + 1) })
    refused("but at most 16777216 expected", forge.file(("a b\n"):rep(1 << 22 | 1)))
    local zipped = forge.gzip(folders.merges)
    refused("but at most 16777216 expected", forge.file(zipped:sub(1, -5) .. "\xff\xff\xff\xff", ".gz"))
    for _, bytes in ipairs { #folders.merges - 1, #folders.merges + 1 } do
      refused("damaged: incorrect length check", forge.file(zipped:sub(1, -5) .. ("<I4"):pack(bytes), ".gz"))
    end
    refused("damaged", forge.file(zipped:sub(1, 40) .. "xxxx" .. zipped:sub(45), ".gz"))
    refused("its first line has no '#version'", forge.file "a b\nc d\n")
    refused("its first line has no '#version'", forge.file "")
    assert(core.memory().live < 1 << 28)
  end)
end)

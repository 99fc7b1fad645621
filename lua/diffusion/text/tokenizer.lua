-- CLIP's tokenizer: the ids of a text's tokens, as Hugging Face's CLIPTokenizer gives them. A text is normalized, cut
-- into words, and each word's bytes are joined to tokens. Nothing is repaired, and weights of words have no syntax.
-- A vocabulary of whole words has one token for each.
local added = require "diffusion.text.added"
local alphabet = require "diffusion.text.alphabet"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local normal = require "diffusion.text.normal"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local pairing = require "diffusion.text.pairing"
local source = require "diffusion.text.source"
local unicode = require "diffusion.text.unicode"
local whole = require "diffusion.text.whole"
local words = require "diffusion.text.words"

local tokenizer = {}

--- CLIP's tokenizer, of d.tokenizer. Called as (text or list of texts, options).
---@class diffusion.tokenizer
---@field bos integer id of the token before a text
---@field eos integer id of the token after a text
---@field pad integer id of the token that fills up a text
---@field size integer number of tokens; ids are below it
---@field length integer most tokens of a text, with bos and eos
local Tokenizer = {}

-- {ids, tokens, size, added, bos, eos, pad, length, base, merges, named}, and whole and unknown for whole words. cut
-- makes words of a text, of_word ids of a word, and read a text of a token.
local private = object.private

local MOST_BYTES = (1 << 24) - 1 -- a text's

local function tostring_tokenizer(self)
  local own = private[self]
  return ("tokenizer: %d tokens, texts of %d, pad %d '%s'"):format(own.size, own.length, own.pad, own.tokens[own.pad])
end

-- ==== text to ids ============================================================================

local function normalized(text) return unicode.lower(unicode.spaced(normal.c(text))) end

local function check_text(name, text, what)
  if type(text) ~= "string" then
    fail.raise("bad argument #1 to '%s' (%s: a text expected, got %s)", name, what, kind.shown(text))
  end
  if #text > MOST_BYTES then
    fail.raise("bad argument #1 to '%s' (%s has %d bytes; at most %d expected)", name, what, #text, MOST_BYTES)
  end
  local length, bad = utf8.len(text)
  if not length then
    fail.raise("bad argument #1 to '%s' (%s isn't UTF-8: its byte %d is 0x%02X)", name, what, bad, text:byte(bad))
  end
  return text
end

-- A token as it is found in a text, which for some added ones is their normal form.
local function piece_of(own, id)
  local token = own.added.by_id[id]
  return token and token.pattern or own.tokens[id]
end

local function encode(own, text)
  local out, unknown = {}, {}
  local function add(ids) table.move(ids, 1, #ids, #out + 1, out) end
  local function on_token(token) add(token.ids) end
  local function on_words(piece)
    for _, word in ipairs(own.cut(piece)) do
      local ids, missing = own.of_word(word)
      add(ids)
      if missing then unknown[#unknown + 1] = word end
    end
  end
  local function on_text(piece) added.split(own.added, "normal", normalized(piece), on_token, on_words) end
  added.split(own.added, "raw", text, on_token, on_text)
  return out, unknown
end

--- The ids of a text's tokens, without those before and after it. Nothing is cut.
---@param text string UTF-8
---@return integer[] ids from 0
function Tokenizer:encode(text) return (encode(private[self], check_text("encode", text, "the text"))) end

--- The tokens of a text as the vocabulary writes them. Bytes are in GPT-2's alphabet, and the last token of a word
--- ends with "</w>".
---@param text string UTF-8
---@return string[]
function Tokenizer:pieces(text)
  local own, out = private[self], {}
  for i, id in ipairs(encode(own, check_text("pieces", text, "the text"))) do out[i] = piece_of(own, id) end
  return out
end

-- ==== ids to text ============================================================================

-- The token of an id, and its text.
local function token_at(own, id, i)
  local number = math.type(id) and math.tointeger(id)
  if not number or not own.tokens[number] then
    fail.raise("bad argument #1 to 'decode' (id %d: a whole number in 0..%d expected, got %s)", i, own.size - 1,
      kind.shown(id))
  end
  return own.added.by_id[number], piece_of(own, number)
end

local function decode(own, ids, special)
  local out = {}
  for i, id in ipairs(ids) do
    local token, piece = token_at(own, id, i)
    if special or not (token and token.special) then out[#out + 1] = own.read(piece) end
  end
  return unicode.strip((unicode.repaired(table.concat(out)):gsub("</w>", " ")))
end

local function check_ids(ids, what)
  if type(ids) == "table" then return ids end
  fail.raise("bad argument #1 to 'decode' (%s: a list of ids or a tensor expected, got %s)", what, kind.shown(ids))
end

local decode_rules = opts.declare("tokenizer_decode", {
  special = { "boolean", default = true, text = "keeps the special tokens, such as those before and after a text" } })

--- The text of ids. It is in lower case, with a space after each word, also before a comma.
---@param ids integer[]|diffusion.tensor a list or a tensor [N], or a tensor [B,N]
---@param options diffusion.tokenizer_decode_options?
---@return string|string[] text a list of texts for a tensor [B,N]
function Tokenizer:decode(ids, options)
  local own, o = private[self], opts.check("decode", options, decode_rules, 2)
  if kind.of(ids) == "tensor" then ids = ids:totable() end
  if type(check_ids(ids, "ids")[1]) ~= "table" then return decode(own, ids, o.special) end
  local out = {}
  for i, row in ipairs(ids) do out[i] = decode(own, check_ids(row, "row " .. i), o.special) end
  return out
end

-- ==== rows of ids ============================================================================

local call_rules = opts.declare("tokenizer_call", {
  length = { "integer", min = 2, max = source.longest, text = "tokens of a row, with bos and eos",
    default_text = "the tokenizer's" },
  pad = { "boolean", default = true, text = "fills all rows up to `length`; if false, up to the longest" },
  truncate = { "boolean", default = true, text = "cuts longer texts; if false, all rows are as long as the longest" },
})

local function texts_of(given)
  if type(given) == "string" then given = { given } end
  if kind.of(given) ~= "table" or #given == 0 then
    fail.raise("bad argument #1 to 'tokenizer' (a text or a list of texts expected, got %s)",
      kind.of(given) == "table" and "an empty list" or kind.shown(given))
  end
  for i, text in ipairs(given) do check_text("tokenizer", text, #given > 1 and "text " .. i or "the text") end
  return given
end

-- The ids of one text with bos and eos, the text that didn't fit or false, and unknown words.
local function row_of(own, text, most)
  local ids, unknown = encode(own, text)
  local cut = #ids > most - 2 and decode(own, table.move(ids, most - 1, #ids, 1, {}), true)
  local row = table.move(ids, 1, math.min(#ids, most - 2), 2, { own.bos })
  row[#row + 1] = own.eos
  return row, cut, unknown
end

--- The ids of texts, one row for each: bos, the text's tokens, eos, and pad up to the length.
---@param text string|string[] UTF-8
---@param options diffusion.tokenizer_call_options?
---@return diffusion.tensor ids i64 [B,N], from 0
---@return table info n = the tokens of each row before it was filled up, cut = for each text what didn't fit, as text,
---  or false, unknown = for each text the words that a vocabulary of whole words doesn't have
local function call(self, text, options)
  local own, texts = private[self], texts_of(text)
  local o = opts.check("tokenizer", options, call_rules, 2)
  local length = o.length or own.length
  local rows, info, longest = {}, { n = {}, cut = {}, unknown = {} }, o.pad and length or 0
  for i, one in ipairs(texts) do
    rows[i], info.cut[i], info.unknown[i] = row_of(own, one, o.truncate and length or math.huge)
    info.n[i] = #rows[i]
    longest = math.max(longest, #rows[i])
  end
  for _, row in ipairs(rows) do
    for i = #row + 1, longest do row[i] = own.pad end
  end
  return core.tensor(rows, { dtype = "i64" }), info
end

-- ==== added tokens ===========================================================================

local function pattern_of(token) return token.normalized and normalized(token.content) or token.content end

-- Gives a token an id: that of the vocabulary, or the next one.
local function place(own, token)
  token.id = own.ids[token.content] or own.size
  token.ids = token.ids or { token.id }
  if token.id == own.size then
    own.ids[token.content], own.tokens[token.id], own.size = token.id, token.content, own.size + 1
  end
  added.put(own.added, token, pattern_of(token))
end

-- The sentence about a token that is found by the same text as another, or nil.
local function ambiguous(own, token)
  local same = added.same(own.added, token, pattern_of(token))
  if not same or same.content == token.content then return nil end
  return ("'%s' is found as '%s', as '%s' is"):format(unicode.short(token.content), unicode.short(pattern_of(token)),
    unicode.short(same.content))
end

-- Why a word can't be added, or nil.
local function conflict(own, word)
  local id = own.ids[word]
  if id then return ("the vocabulary has '%s', as the id %d"):format(word, id) end
  return ambiguous(own, { content = word, normalized = true })
end

-- The words of n tokens: word, word_1, ... None of them is there yet.
local function new_words(own, word, n)
  local list = {}
  for i = 1, n do
    list[i] = i == 1 and word or ("%s_%d"):format(word, i - 1)
    local why = conflict(own, list[i])
    if why then fail.raise("add: %s; choose another word, such as '<%s>'", why, word:gsub("[<>]", "") .. "-2") end
  end
  return list
end

--- Adds a word with tokens of its own, as textual inversion does. Its n tokens are named word, word_1, word_2 and so
--- on, as diffusers names them. The word in a text becomes all n. Its case doesn't matter.
---@param word string UTF-8, such as "<cat-toy>"
---@param n integer|nil number of tokens, 1 if not given
---@return integer[] ids the new ids, which follow the last one
function Tokenizer:add(word, n)
  local own = private[self]
  check_text("add", word, "the word")
  n = opts.argument("add", 2, "n", n == nil and 1 or n, { "integer", min = 1, max = 1 << 16 })
  if unicode.strip(word) == "" then
    fail.raise "bad argument #1 to 'add' (the word has no character but white space)"
  end
  local ids = {}
  for i, content in ipairs(new_words(own, word, n)) do
    local token = { content = content, special = false, normalized = true, ids = i == 1 and ids or nil }
    ids[i] = own.size
    place(own, token)
  end
  return table.move(ids, 1, #ids, 1, {})
end

-- The ids of word, word_1, word_2 and so on, as far as they are added tokens.
local function run_of(own, token)
  local ids = { token.id }
  while true do
    local id = own.ids[("%s_%d"):format(token.content, #ids)]
    if not (id and own.added.by_id[id]) then return ids end
    ids[#ids + 1] = id
  end
end

--- Lets each added word of a folder stand for all of its tokens word, word_1 and so on. A tokenizer's files don't tell
--- such words, but pipelines of diffusers know them by these names.
---@param tok diffusion.tokenizer
---@return diffusion.tokenizer tok
function tokenizer.joined(tok)
  local own = private[tok]
  for _, token in pairs(own.added.by_id) do
    if not token.special and #token.ids == 1 then token.ids = run_of(own, token) end
  end
  return tok
end

local class = object.class("tokenizer", Tokenizer, { __call = call, __tostring = tostring_tokenizer,
  get = { "bos", "eos", "pad", "size", "length" } })

-- ==== making one =============================================================================

local rules = opts.declare("tokenizer", {
  path = { "path", text = "a folder of a tokenizer, its tokenizer.json, or a list of merges" },
  words = { "table", each = { "string" }, as = "string[]",
    text = "texts whose words are the vocabulary, in place of a path: each word is one token, others are <unk>" },
  length = { "integer", min = 2, max = source.longest, text = "most tokens of a text, with bos and eos",
    default_text = "the folder's model_max_length, or 77" },
  pad = { "integer|string", text = "the token that fills up a text, by its id or its text",
    default_text = "the folder's" },
})

-- The id of an option that is one, or the text of a token.
local function id_of(own, given)
  local id = math.type(given) and math.tointeger(given) or own.ids[given]
  if own.tokens[id] then return id end
  fail.raise("bad argument #1 to 'tokenizer' (option 'pad': an id in 0..%d or a token expected, got %s)", own.size - 1,
    kind.shown(given))
end

-- Gives ids to the tokens of a folder. A file that says otherwise is refused.
local function place_all(own, path, list)
  for _, token in ipairs(list) do
    local why = ambiguous(own, token)
    if why then return legible.refused("%s: the added token %s", path, why) end
    place(own, token)
    if token.given and token.given ~= token.id then
      return legible.refused("%s: the added token '%s' has the id %d, but %d by its vocabulary", path,
        unicode.short(token.content), token.given, token.id)
    end
  end
  return true
end

-- Gives a tokenizer the way from words to tokens, and back: by pairs of CLIP's alphabet.
local function by_pairs(own, path)
  local unknown = own.named.unk_token.content
  local missing = not own.ids[unknown] and pairing.missing(own.ids)
  if missing then
    return legible.refused("%s: its vocabulary has no token '%s', nor '%s' for what it doesn't have", path, missing,
      unknown)
  end
  local pairs_of = pairing.new(own.ids, own.merges, own.ids[unknown])
  own.cut, own.read = words.of, alphabet.read
  function own.of_word(word) return pairing.ids(pairs_of, word) end
  return true
end

-- The same for a vocabulary of whole words.
local function by_words(own)
  local unknown = own.ids[own.unknown]
  own.cut = whole.cut
  function own.read(token) return token .. "</w>" end
  function own.of_word(word) return { own.ids[word] or unknown }, not own.ids[word] end
  return true
end

local function made(o, known, tokens)
  local named = tokens.named
  local own = { ids = known.ids, tokens = known.tokens, size = known.size, added = added.new(), base = known.size,
    merges = known.merges, named = named, whole = known.whole, unknown = known.unknown }
  local fine, message = (known.whole and by_words or by_pairs)(own, o.path)
  if not fine then return nil, message end
  local placed, why = place_all(own, o.path, tokens.added)
  if not placed then return nil, why end
  own.bos, own.eos = own.ids[named.bos_token.content], own.ids[named.eos_token.content]
  own.pad = o.pad and id_of(own, o.pad) or own.ids[named.pad_token.content]
  own.length = o.length or tokens.length or 77
  return object.new(class, own)
end

-- The words of texts, in order.
local function words_of(texts)
  local out = {}
  for i, text in ipairs(texts) do
    check_text("tokenizer", text, "text " .. i .. " of words")
    for _, word in ipairs(whole.cut(normalized(text))) do out[#out + 1] = word end
  end
  return out
end

--- CLIP's tokenizer, as Hugging Face's CLIPTokenizer is: of a folder with vocab.json and merges.txt, or with
--- tokenizer.json. Or that of OpenAI's bpe_simple_vocab_16e6.txt.gz, which needs no other file. Classes and lower case
--- of characters are those of tokenizers 0.23, which knows Unicode 15 and what came later. HTML and wrong encodings in
--- a text are not repaired.
--- With `words` in place of a path, it has a token for each word of these texts, and <unk> for others. Its words are
--- runs of letters and numbers in lower case, as PreTrainedTokenizerFast of transformers cuts them by its file.
---@param path string|diffusion.tokenizer_options the path, or a table of options
---@return diffusion.tokenizer|nil tokenizer nil with a message if the files can't be read
---@return string|nil message
---@usage local tokens = d.tokenizer{ words = { "red apple", "green fox" }, length = 6 }
--- print(tokens{ "a red fox" })
function tokenizer.tokenizer(path)
  local given = kind.of(path) == "table" and path or { path = opts.path("tokenizer", path) }
  local o = opts.check("tokenizer", given, rules)
  if (o.path == nil) == (o.words == nil) then
    fail.raise("tokenizer: %s; path or words expected", o.path and "path and words both given" or "neither is given")
  end
  if o.words then return made(o, whole.new(words_of(o.words))) end
  local known, tokens = source.read(o.path)
  if not known then return nil, tokens end
  return made(o, known, tokens)
end

return tokenizer

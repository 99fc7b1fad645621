-- Vocabularies of whole words, the model WordLevel of Hugging Face's tokenizers. A text is in lower case, apostrophes
-- are left out, and runs of letters and numbers are its words. All else lies between them.
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local parser = require "diffusion.file.parser"
local special = require "diffusion.text.special"
local unicode = require "diffusion.text.unicode"
local vocabulary = require "diffusion.text.vocabulary"

local whole = {}

local NAMED = { { "pad_token", "<pad>" }, { "unk_token", "<unk>" }, { "bos_token", "<s>" }, { "eos_token", "</s>" } }
local APOSTROPHES = { "'", "\u{2019}" }
local BETWEEN = "[^\\p{L}\\p{N}]+" -- as Hugging Face's expressions write it

local PARTS = { letter = true, number = true }

--- The words of a text that is in lower case.
---@param text string valid UTF-8
---@return string[]
function whole.cut(text)
  local words, first = {}, nil
  for _, one in ipairs(APOSTROPHES) do text = text:gsub(one, "") end
  local function close(at)
    if first then words[#words + 1] = text:sub(first, at - 1) end
    first = nil
  end
  for at, point in utf8.codes(text) do
    if PARTS[unicode.class(point)] then first = first or at else close(at) end
  end
  close(#text + 1)
  return words
end

-- ==== a new one =========================================================================

--- A vocabulary of words, with its special tokens: pad, unknown, and those before and after a text.
---@param words string[] in lower case, without what cut takes off; one that occurs twice counts once
---@return table known {ids, tokens, size, whole = true, unknown = the token of words that it doesn't have}
---@return table tokens as special.of
function whole.new(words)
  local known = { ids = {}, tokens = {}, size = 0, whole = true }
  local function add(token)
    if known.ids[token] then return end
    known.ids[token], known.tokens[known.size], known.size = known.size, token, known.size + 1
  end
  local named = {}
  for _, one in ipairs(NAMED) do
    add(one[2])
    named[one[1]] = one[2]
  end
  known.unknown = named.unk_token
  for _, word in ipairs(words) do add(word) end
  return known, assert(special.of { config = named })
end

-- ==== files =============================================================================

local function token(content, id)
  return { id = id, content = content, special = true, normalized = false, lstrip = false, rstrip = false,
    single_word = false }
end

--- The text of tokenizer.json.
---@param own table the private state of a tokenizer: ids, tokens, base, bos, eos, named, unknown
---@return string
function whole.file(own)
  local ids, specials, normalizers = {}, {}, { { type = "NFC" }, { type = "Lowercase" } }
  for id = 0, own.base - 1 do ids[own.tokens[id]] = id end
  for i, one in ipairs(NAMED) do specials[i] = token(own.named[one[1]].content, own.ids[own.named[one[1]].content]) end
  table.sort(specials, function(a, b) return a.id < b.id end)
  for _, one in ipairs(APOSTROPHES) do
    normalizers[#normalizers + 1] = { type = "Replace", pattern = { String = one }, content = "" }
  end
  local bos, eos = own.tokens[own.bos], own.tokens[own.eos]
  local function special_token(name) return { SpecialToken = { id = name, type_id = 0 } } end
  return json.encode({
    version = "1.0", added_tokens = specials, normalizer = { type = "Sequence", normalizers = normalizers },
    pre_tokenizer = { type = "Split", pattern = { Regex = BETWEEN }, behavior = "Removed", invert = false },
    post_processor = { type = "TemplateProcessing",
      single = { special_token(bos), { Sequence = { id = "A", type_id = 0 } }, special_token(eos) },
      pair = { special_token(bos), { Sequence = { id = "A", type_id = 0 } }, special_token(eos),
        { Sequence = { id = "B", type_id = 1 } } },
      special_tokens = { [bos] = { id = bos, ids = { own.bos }, tokens = { bos } },
        [eos] = { id = eos, ids = { own.eos }, tokens = { eos } } } },
    model = { type = "WordLevel", vocab = ids, unk_token = own.unknown },
  }, true) .. "\n"
end

-- The parts of a tokenizer.json that say how a text is cut, in the one form that is followed.
local function check_form(file, fault)
  local list = type(file.normalizer) == "table" and file.normalizer.normalizers or {}
  local split = type(file.pre_tokenizer) == "table" and file.pre_tokenizer or {}
  local form = {}
  for i, one in ipairs(type(list) == "table" and list or {}) do
    form[i] = type(one) == "table" and type(one.type) == "string" and one.type or "?"
  end
  local names = table.concat(form, ", ")
  if names ~= "NFC, Lowercase, Replace, Replace" then
    fault("its normalizers are %s; those of a vocabulary of words are NFC, Lowercase and two Replace", names)
  end
  for i, one in ipairs(APOSTROPHES) do
    local replace = list[2 + i]
    if type(replace.pattern) ~= "table" or replace.pattern.String ~= one or replace.content ~= "" then
      fault("its normalizer %d must take out '%s'", 2 + i, one)
    end
  end
  local pattern = type(split.pattern) == "table" and split.pattern.Regex
  if split.type ~= "Split" or pattern ~= BETWEEN or split.behavior ~= "Removed" or split.invert ~= false then
    fault("its pre-tokenizer must split at %s and remove that", BETWEEN)
  end
end

local function read(path, file)
  local fault = parser.fault_of(path)
  check_form(file, fault)
  local given = file.model.vocab
  if type(given) ~= "table" or given == json.null then fault "its model has no vocabulary" end
  local known = { ids = given, whole = true, unknown = file.model.unk_token }
  known.tokens, known.size = vocabulary.tokens_of(given, fault)
  if given[known.unknown] == nil then
    fault("its unknown token is %s, which its vocabulary doesn't have", kind.shown(known.unknown))
  end
  return known
end

--- Whether a decoded tokenizer.json has a vocabulary of words.
---@param file table
---@return boolean
function whole.is(file) return type(file.model) == "table" and file.model.type == "WordLevel" end

--- Reads a decoded tokenizer.json.
---@param path string for messages
---@param file table
---@return table|nil known nil with a message
---@return string|nil message
function whole.of(path, file) return parser.run(read, path, file) end

return whole

-- Vocabularies of byte pair encoding: the id of each token, and the merges in their order. They come from
-- vocab.json and merges.txt, from tokenizer.json, or from the list of merges that OpenAI's CLIP carries.
local alphabet = require "diffusion.text.alphabet"
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local parser = require "diffusion.file.parser"
local unicode = require "diffusion.text.unicode"

local vocabulary = {}

local MOST_BYTES = 1 << 24 -- CLIP's files have up to 3.6 million
local MOST_TOKENS = 1 << 20
local RATIO = 1032 -- deflate's best
local USED = 49152 - 256 - 2 -- merges of OpenAI's file that CLIP uses; it has five times as many

local need, short = parser.need, unicode.short

--- The bytes that a file of a vocabulary may have.
vocabulary.most = MOST_BYTES

-- ==== ids ====================================================================================

--- The tokens by their ids, which run from 0 without a gap.
---@param ids table<string, integer>
---@param fault function as of parser.fault
---@return table<integer, string> tokens
---@return integer count
function vocabulary.tokens_of(ids, fault)
  local tokens, count = {}, 0
  for token, id in pairs(ids) do
    if math.type(id) ~= "integer" or id < 0 or id >= MOST_TOKENS then
      fault("the id of '%s' is %s; a whole number in 0..%d expected", short(token), kind.shown(id), MOST_TOKENS - 1)
    end
    if tokens[id] then fault("'%s' and '%s' both have the id %d", short(tokens[id]), short(token), id) end
    tokens[id], count = token, count + 1
  end
  for id = 0, count - 1 do
    if not tokens[id] then fault("%d tokens, but none has the id %d; ids run from 0 without a gap", count, id) end
  end
  return tokens, count
end

local function refuse_merge(ids, rank, left, right, fault)
  local missing = not ids[left] and left or not ids[right] and right or left .. right
  fault("merge %d joins '%s' and '%s', but the vocabulary has no '%s'", rank, short(left), short(right), short(missing))
end

-- The merges as lists of ids.
local function ids_of_merges(ids, merges, fault)
  local out = { left = {}, right = {}, joined = {} }
  for rank, left in ipairs(merges.left) do
    local right = merges.right[rank]
    local a, b, both = ids[left], ids[right], ids[left .. right]
    if not (a and b and both) then refuse_merge(ids, rank, left, right, fault) end
    out.left[rank], out.right[rank], out.joined[rank] = a, b, both
  end
  return out
end

local function made(ids, merges, fault)
  local tokens, count = vocabulary.tokens_of(ids, fault)
  return { ids = ids, tokens = tokens, size = count, merges = ids_of_merges(ids, merges, fault) }
end

-- ==== merges =================================================================================

local function new_merges() return { left = {}, right = {} } end

local function add_merge(merges, left, right)
  local n = #merges.left + 1
  merges.left[n], merges.right[n] = left, right
end

-- Reads the merges of a text, from byte `at` on, at most `most`.
local function read_merges(text, at, most, fault)
  local merges, number = new_merges(), 0
  for line in text:gmatch("([^\n]*)\n?", at) do
    number = number + 1
    local is_title = line:find "^#version"
    local left, right = line:match "^([^ \r]+) ([^ \r]+)\r?$"
    if left and not is_title then
      if #merges.left == most then break end
      add_merge(merges, left, right)
    elseif not is_title and line:find "[^\r]" then
      fault("line %d of the merges is '%s'; two tokens with a space between them expected", number, short(line))
    end
  end
  if #merges.left == MOST_TOKENS then fault("%d merges or more are too many", MOST_TOKENS) end
  return merges
end

-- A merge of tokens that tokenizers writes as "a b", and since its version 0.20 as ["a", "b"].
local function one_merge(one)
  if type(one) == "string" then return one:match "^([^ ]+) ([^ ]+)$" end
  if type(one) == "table" and #one == 2 and type(one[1]) == "string" and type(one[2]) == "string" then
    return one[1], one[2]
  end
end

local function listed_merges(list, fault)
  local merges = new_merges()
  if type(list) ~= "table" then fault("its model has no list of merges") end
  for i, one in ipairs(list) do
    local left, right = one_merge(one)
    if not left then fault("merge %d is no pair of tokens", i) end
    add_merge(merges, left, right)
  end
  return merges
end

-- ==== files ==================================================================================

-- The text of a file, inflated if it is gzipped.
local function text_of(path, fault)
  local file <close> = need(core.map(path))
  local bytes, gzipped = file:size(), file:size() > 18 and file:text(0, 2) == "\x1f\x8b"
  if gzipped then bytes = ("<I4"):unpack(file:text(bytes - 4, 4)) end
  if bytes > MOST_BYTES or gzipped and bytes > RATIO * file:size() then
    fault("%d bytes, but at most %d expected in a list of merges", bytes, MOST_BYTES)
  end
  if not gzipped then return file:text(0, bytes) end
  local part, message = file:gunzip(bytes)
  if not part then fault("%s", message) end
  return part:text(0, bytes)
end

local function checked_text(path, fault)
  local text = text_of(path, fault)
  local length, bad = utf8.len(text)
  if not length then fault("byte %d isn't UTF-8", bad) end
  return text
end

local function read_files(vocab, merges)
  local ids = need(json.read(vocab, "a vocabulary", MOST_BYTES))
  local in_merges = parser.fault_of(merges)
  local list = read_merges(checked_text(merges, in_merges), 1, MOST_TOKENS, in_merges)
  local tokens, count = vocabulary.tokens_of(ids, parser.fault_of(vocab))
  return { ids = ids, tokens = tokens, size = count, merges = ids_of_merges(ids, list, in_merges) }
end

--- Reads vocab.json and merges.txt.
---@param vocab string path
---@param merges string path
---@return table|nil vocabulary {ids = by token, tokens = by id, size =, merges = lists of ids {left, right, joined}};
---  nil with a message
---@return string|nil message
function vocabulary.of_files(vocab, merges) return parser.run(read_files, vocab, merges) end

local function read_model(path, model)
  local fault = parser.fault_of(path)
  if type(model) ~= "table" then fault "it has no model, as tokenizer.json has; give the folder of vocab.json" end
  if (model.type or "BPE") ~= "BPE" then
    fault("its model is of type %s; BPE or WordLevel expected", kind.shown(model.type))
  end
  local ending = model.end_of_word_suffix
  if ending ~= nil and ending ~= "</w>" then
    fault("its words end with %s; those of CLIP's tokenizer end with '</w>'",
      ending == json.null and "nothing" or kind.shown(ending))
  end
  if type(model.vocab) ~= "table" or model.vocab == json.null then fault "its model has no vocabulary" end
  return made(model.vocab, listed_merges(model.merges, fault), fault)
end

--- Reads the model of tokenizer.json.
---@param path string for messages
---@param model any
---@return table|nil vocabulary as of_files
---@return string|nil message
function vocabulary.of_model(path, model) return parser.run(read_model, path, model) end

-- CLIP's ids follow from its merges: bytes, bytes at a word's end, merges, and the special tokens.
local function ids_of(merges, specials)
  local ids, count = {}, 0
  local function add(token)
    ids[token] = ids[token] or count
    count = count + 1
  end
  for _, byte in ipairs(alphabet.bytes) do add(alphabet.char[byte]) end
  for _, byte in ipairs(alphabet.bytes) do add(alphabet.char[byte] .. "</w>") end
  for rank, left in ipairs(merges.left) do add(left .. merges.right[rank]) end
  for _, token in ipairs(specials) do add(token) end
  return ids
end

local function read_list(path, specials)
  local fault = parser.fault_of(path)
  local text = checked_text(path, fault)
  local first, at = text:match "^([^\n]*)\n()"
  if not first or not first:find("#version", 1, true) then
    fault "no list of merges: its first line has no '#version'"
  end
  local merges = read_merges(text, at, USED, fault)
  return made(ids_of(merges, specials), merges, fault)
end

--- Reads a list of merges, as OpenAI's bpe_simple_vocab_16e6.txt, gzipped or not.
---@param path string
---@param specials string[] tokens after those of the merges
---@return table|nil vocabulary as of_files
---@return string|nil message
function vocabulary.of_list(path, specials) return parser.run(read_list, path, specials) end

--- A sentence about a path that is no vocabulary.
---@param path string
---@return nil
---@return string message
function vocabulary.absent(path)
  return legible.refused("%s: a folder with vocab.json and merges.txt, or with tokenizer.json, or the file "
    .. "bpe_simple_vocab_16e6.txt.gz expected", path)
end

return vocabulary

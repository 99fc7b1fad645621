-- The special and added tokens of a tokenizer's folder. Its files came about one after another: special_tokens_map.json
-- counts only if tokenizer_config.json has no added_tokens_decoder, and then more than that file. So the pad token of
-- Stable Diffusion 2 is "!". See PreTrainedTokenizerBase._from_pretrained in transformers 5.
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local parser = require "diffusion.file.parser"

local special = {}

-- The special tokens that have a name, in the order in which they are added.
local NAMES = { "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" }

-- Those of CLIP, if the files name none.
local DEFAULT = { bos_token = "<|startoftext|>", eos_token = "<|endoftext|>", unk_token = "<|endoftext|>",
                  pad_token = "<|endoftext|>" }

local FLAGS = { "special", "normalized", "lstrip", "rstrip", "single_word" }

local fault = parser.fault()

-- ==== one token ==============================================================================

local function flag(given, name, default)
  local value = given[name]
  if value == nil or value == json.null then return default end
  if type(value) ~= "boolean" then
    fault("'%s' of the token '%s' is %s; true or false expected", name, given.content, kind.shown(value))
  end
  return value
end

-- A file gives a token as a text, or as an object with its properties. A text is a special token.
local function token_of(where, given, properties)
  local plain = type(given) == "string"
  if plain then given = { content = given, special = true, normalized = false } end
  if type(given) ~= "table" or given == json.null or type(given.content) ~= "string" or given.content == "" then
    fault("%s is %s; a text, or an object with its content expected", where, kind.shown(given))
  end
  local token = { content = given.content, plain = plain }
  for _, name in ipairs(FLAGS) do token[name] = flag(given, name, name == "normalized") end
  for name, value in pairs(properties or {}) do token[name] = value end
  if token.single_word then fault("the token '%s' has single_word, which isn't followed here", token.content) end
  return token
end

local function equal(a, b)
  for _, name in ipairs(FLAGS) do
    if a[name] ~= b[name] then return false end
  end
  return a.content == b.content
end

-- ==== files ==================================================================================

local function present(value)
  if value ~= json.null then return value end
end

-- The tokens with ids: from the config, or from the files that older versions wrote.
local function add_decoder(out, decoder)
  if type(decoder) ~= "table" then fault("added_tokens_decoder is %s; an object expected", kind.shown(decoder)) end
  for key, given in pairs(decoder) do
    local id = math.tointeger(tonumber(key))
    if not id then fault("added_tokens_decoder has the key '%s'; an id expected", key) end
    out.by_id[id] = token_of("added_tokens_decoder." .. key, given)
  end
end

local function add_map(out, map)
  for key, given in pairs(map) do
    local properties = type(given) == "table" and { special = true } or nil
    if key:find "_token$" then out.named[key] = present(given) and token_of(key, given, properties) or nil end
    if key:find "_special_tokens$" then out.extra = given end
  end
end

local function has_name(out, content)
  for _, token in pairs(out.named) do
    if token.content == content then return true end
  end
  return false
end

-- The special tokens without a name: a list, or an object whose names count for nothing.
local function extras(out)
  local list, keys = {}, {}
  if type(out.extra) ~= "table" then return list end
  for key in pairs(out.extra) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do list[i] = token_of("special token " .. key, out.extra[key]) end
  return list
end

local function is_special(out, content)
  for _, token in ipairs(extras(out)) do
    if token.content == content then return true end
  end
  return has_name(out, content)
end

local function add_ids(out, ids)
  for content, id in pairs(ids) do
    local named = is_special(out, content)
    if math.type(id) ~= "integer" then fault("'%s' has the id %s; a whole number expected", content, kind.shown(id)) end
    out.by_id[id] = token_of(content, { content = content, special = named, normalized = not named })
  end
end

local function add_list(out, list)
  if type(list) ~= "table" then fault("added_tokens is %s; a list expected", kind.shown(list)) end
  for i, given in ipairs(list) do
    if type(given) ~= "table" or math.type(given.id) ~= "integer" then fault("added token %d has no id", i) end
    out.by_id[given.id] = token_of("added token " .. i, given)
  end
end

-- A named token has the properties of the added token of its text.
local function adopt(out)
  local by_content = {}
  for _, token in pairs(out.by_id) do by_content[token.content] = token end
  for name, token in pairs(out.named) do out.named[name] = by_content[token.content] or token end
end

-- ==== the order ==============================================================================

local function sorted_ids(by_id)
  local ids = {}
  for id in pairs(by_id) do ids[#ids + 1] = id end
  table.sort(ids)
  return ids
end

-- Adds a token that no other so far has the text of, or that is like none of those after them.
local function add_once(list, token, known)
  if known[token.content] then return end
  for _, one in ipairs(list) do
    if equal(one, token) and one.plain == token.plain then return end
  end
  list[#list + 1] = token
end

local function in_order(out)
  local list, known = {}, {}
  for _, id in ipairs(sorted_ids(out.by_id)) do
    local token = out.by_id[id]
    token.given = id
    list[#list + 1], known[token.content] = token, true
  end
  for _, name in ipairs(NAMES) do
    if out.named[name] then add_once(list, out.named[name], known) end
  end
  for _, token in ipairs(extras(out)) do add_once(list, token, known) end
  for _, token in ipairs(list) do token.special = token.special or has_name(out, token.content) end
  return list
end

local function length_of(config)
  local length = config.model_max_length
  return math.type(length) == "integer" and length >= 2 and length <= 1 << 20 and length or nil
end

local function read(files)
  local config = files.config or {}
  local out = { named = {}, by_id = {}, extra = present(config.extra_special_tokens)
    or present(config.additional_special_tokens) }
  for _, name in ipairs(NAMES) do
    local given = present(config[name]) or DEFAULT[name]
    out.named[name] = given and token_of(name, given)
  end
  if config.added_tokens_decoder then
    add_decoder(out, config.added_tokens_decoder)
  else
    add_map(out, files.map or {})
    add_ids(out, files.added or {})
    add_list(out, files.listed or {})
  end
  adopt(out)
  return { named = out.named, added = in_order(out), length = length_of(config) }
end

--- The special and added tokens.
---@param files table {config = tokenizer_config.json, map = special_tokens_map.json, added = added_tokens.json,
---  listed = the added tokens of tokenizer.json}, each as it was decoded, or nil
---@return table|nil tokens {named = by name, added = list in the order of their ids, length = most tokens or nil};
---  nil with a message
---@return string|nil message
function special.of(files) return parser.run(read, files) end

--- Those of a list of merges, as CLIP has them.
---@return table tokens as of special.of
function special.of_clip()
  local named = {}
  for name, content in pairs(DEFAULT) do
    named[name] = { content = content, special = true, normalized = true, lstrip = false, rstrip = false }
  end
  return { named = named, added = { named.bos_token, named.eos_token } }
end

return special

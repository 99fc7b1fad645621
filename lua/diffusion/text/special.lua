-- The special and added tokens of a tokenizer's folder. Its files came about one after another: special_tokens_map.json
-- counts only if tokenizer_config.json has no added_tokens_decoder, and then more than that file. So the pad token of
-- Stable Diffusion 2 is "!". See PreTrainedTokenizerBase._from_pretrained in transformers 5.
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local parser = require "diffusion.file.parser"
local unicode = require "diffusion.text.unicode"

local special = {
  longest = 1 << 16, ---most tokens of a row; files give larger numbers where there is no limit
}

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
    fault("'%s' of the token '%s' is %s; true or false expected", name, unicode.short(given.content),
      kind.shown(value))
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
  if token.single_word then
    fault("the token '%s' has single_word, which isn't followed here", unicode.short(token.content))
  end
  return token
end

-- A key that equal tokens share. A text equals no object.
local function key_of(token)
  local parts = { token.content, tostring(token.plain) }
  for _, name in ipairs(FLAGS) do parts[#parts + 1] = tostring(token[name]) end
  return table.concat(parts, "\0")
end

-- ==== files ==================================================================================

local function present(value)
  if value ~= json.null then return value end
end

-- A token with a name. One that a file gives as null is CLIP's.
local function named_of(name, given, properties)
  given = present(given) or DEFAULT[name]
  return given and token_of(name, given, properties)
end

-- The tokens with ids: from the config, or from the files that older versions wrote.
local function add_decoder(out, decoder)
  if type(decoder) ~= "table" then fault("added_tokens_decoder is %s; an object expected", kind.shown(decoder)) end
  for key, given in pairs(decoder) do
    local id = math.tointeger(tonumber(key))
    if not id then fault("added_tokens_decoder has the key '%s'; an id expected", unicode.short(key)) end
    out.by_id[id] = token_of("added_tokens_decoder." .. key, given)
  end
end

local function add_map(out, map)
  for _, name in ipairs(NAMES) do
    local given = map[name]
    local properties = type(given) == "table" and { special = true } or nil
    if given ~= nil then out.named[name] = named_of(name, given, properties) end
  end
  out.extra = map.extra_special_tokens or map.additional_special_tokens or out.extra
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

-- The texts of the tokens with names.
local function names_of(out)
  local set = {}
  for _, token in pairs(out.named) do set[token.content] = true end
  return set
end

local function add_ids(out, ids)
  local special_set = names_of(out)
  for _, token in ipairs(extras(out)) do special_set[token.content] = true end
  for content, id in pairs(ids) do
    local is_special = special_set[content] or false
    if math.type(id) ~= "integer" then
      fault("'%s' has the id %s; a whole number expected", unicode.short(content), kind.shown(id))
    end
    out.by_id[id] = token_of(content, { content = content, special = is_special, normalized = not is_special })
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

-- Adds a token, unless one with an id has its text, or one of those after them equals it.
local function add_once(list, token, seen)
  if seen[token.content] or seen[key_of(token)] then return end
  list[#list + 1], seen[key_of(token)] = token, true
end

local function in_order(out)
  local list, seen, names = {}, {}, names_of(out)
  for _, id in ipairs(sorted_ids(out.by_id)) do
    local token = out.by_id[id]
    token.given = id
    list[#list + 1], seen[token.content] = token, true
  end
  for _, name in ipairs(NAMES) do
    if out.named[name] then add_once(list, out.named[name], seen) end
  end
  for _, token in ipairs(extras(out)) do add_once(list, token, seen) end
  for _, token in ipairs(list) do token.special = token.special or names[token.content] or false end
  return list
end

local function length_of(config)
  local length = config.model_max_length
  return math.type(length) == "integer" and length >= 2 and length <= special.longest and length or nil
end

local function read(files)
  local config = files.config or {}
  local out = { named = {}, by_id = {}, extra = present(config.extra_special_tokens)
    or present(config.additional_special_tokens) }
  for _, name in ipairs(NAMES) do
    out.named[name] = named_of(name, config[name])
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

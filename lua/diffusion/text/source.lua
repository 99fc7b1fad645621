-- The files of a tokenizer: its vocabulary and its special tokens.
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local legible = require "diffusion.legible"
local special = require "diffusion.text.special"
local vocabulary = require "diffusion.text.vocabulary"
local whole = require "diffusion.text.whole"

local source = { longest = special.longest }

local SMALL = 1 << 20 -- bytes of a description

-- An optional file of JSON: nil if it isn't there, and a message if it can't be read.
local function optional(here, name, most)
  if not here.files[name] then return nil end
  return json.read(here.path .. "/" .. name, "a description of a tokenizer", most)
end

local function described(here, listed)
  local files = { listed = listed }
  for key, name in pairs { config = "tokenizer_config.json", map = "special_tokens_map.json",
                           added = "added_tokens.json" } do
    local message
    files[key], message = optional(here, name, key == "added" and vocabulary.most or SMALL)
    if message then return nil, message end
  end
  local tokens, why = special.of(files)
  if not tokens then return legible.refused("%s: %s", here.path, why) end
  return tokens
end

-- A vocabulary and its special tokens, each of which may be nil and a message.
local function both(known, message, tokens, why)
  if not known then return nil, message end
  if not tokens then return nil, why end
  return known, tokens
end

local function of_json(here, path)
  local file, message = json.read(path, "a tokenizer", vocabulary.most)
  if not file then return nil, message end
  local known, why
  if whole.is(file) then
    known, why = whole.of(path, file)
  else
    known, why = vocabulary.of_model(path, file.model)
  end
  return both(known, why, described(here, file.added_tokens))
end

local function of_folder(path, names)
  local here = { path = path:gsub("(.)/+$", "%1"), files = {} }
  for _, name in ipairs(names) do here.files[name] = true end
  if here.files["tokenizer.json"] then return of_json(here, here.path .. "/tokenizer.json") end
  if not (here.files["vocab.json"] and here.files["merges.txt"]) then return vocabulary.absent(path) end
  local known, message = vocabulary.of_files(here.path .. "/vocab.json", here.path .. "/merges.txt")
  return both(known, message, described(here))
end

local function of_file(path)
  if path:find "%.json$" then return of_json({ path = path, files = {} }, path) end
  local tokens = special.of_clip()
  local known, message = vocabulary.of_list(path, { tokens.named.bos_token.content, tokens.named.eos_token.content })
  return both(known, message, tokens)
end

--- Reads a tokenizer.
---@param path string a folder, tokenizer.json, or a list of merges
---@return table|nil vocabulary as of vocabulary.of_files; nil with a message
---@return table|string tokens as of special.of, or the message
function source.read(path)
  local names = core.list(path)
  if names then return of_folder(path, names) end
  return of_file(path)
end

return source

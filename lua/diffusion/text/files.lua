-- The files of a tokenizer's folder, as Hugging Face's CLIPTokenizer reads them, or its PreTrainedTokenizerFast for
-- vocabularies of words.
local json = require "diffusion.file.json"
local object = require "diffusion.object"
local whole = require "diffusion.text.whole"

local files = {}

local private = object.private -- that of tokenizers

-- An object of ids by token, in the order of the ids.
local function listed(own, first, last)
  local lines = {}
  for id = first, last do lines[#lines + 1] = ("%s: %d"):format(json.encode(own.tokens[id]), id) end
  return "{" .. table.concat(lines, ", ") .. "}\n"
end

local function merges_text(own)
  local lines, tokens, merges = { "#version: 0.2" }, own.tokens, own.merges
  for rank, left in ipairs(merges.left) do lines[rank + 1] = tokens[left] .. " " .. tokens[merges.right[rank]] end
  return table.concat(lines, "\n") .. "\n"
end

-- The named tokens by their texts.
local function names_of(own)
  local out = { pad_token = own.tokens[own.pad] }
  for _, name in ipairs { "bos_token", "eos_token", "unk_token" } do out[name] = own.named[name].content end
  return out
end

-- The added tokens with their properties, by id.
local function decoder_of(own)
  local out = {}
  for id, token in pairs(own.added.by_id) do
    out[("%d"):format(id)] = { content = token.content, special = token.special, normalized = token.normalized,
      lstrip = token.lstrip or false, rstrip = token.rstrip or false, single_word = false }
  end
  return next(out) and out or nil
end

--- The class of a tokenizer in transformers.
---@param tokens diffusion.tokenizer
---@return string
function files.class(tokens) return private[tokens].whole and "PreTrainedTokenizerFast" or "CLIPTokenizer" end

--- The texts of a tokenizer's files by their names.
---@param tokens diffusion.tokenizer
---@return table<string, string>
function files.of(tokens)
  local own = private[tokens]
  local config, class = names_of(own), files.class(tokens)
  local out = own.whole and { ["tokenizer.json"] = whole.file(own) }
    or { ["vocab.json"] = listed(own, 0, own.base - 1), ["merges.txt"] = merges_text(own) }
  out["special_tokens_map.json"] = json.encode(config, true) .. "\n"
  config.tokenizer_class, config.model_max_length, config.do_lower_case = class, own.length, true
  config.errors, config.add_prefix_space, config.added_tokens_decoder = "replace", false, decoder_of(own)
  out["tokenizer_config.json"] = json.encode(config, true) .. "\n"
  if own.size > own.base then out["added_tokens.json"] = listed(own, own.base, own.size - 1) end
  return out
end

return files

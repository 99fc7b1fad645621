-- Words that textual inversion learned (Gal et al. 2022): vectors of a file become tokens of a pipe's text encoders.
local any_file = require "diffusion.file.tensors"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local pytorch = require "diffusion.file.pytorch"

local embedding = {}

-- ==== files =============================================================================

local NAMES = { "learned_embeds.safetensors", "learned_embeds.bin" }

-- The file itself, for a path that may be a folder.
local function file_of(path)
  if not core.list(path) then return path end
  local stem = path:gsub("(.)/+$", "%1")
  for _, name in ipairs(NAMES) do
    if core.place(stem .. "/" .. name) == "file" then return stem .. "/" .. name end
  end
  return stem .. "/" .. NAMES[1]
end

local function stem(path) return (path:match "[^/]*$":gsub("%.[^.]*$", "")) end

-- The only entry of a table, or nil.
local function only(content)
  local names = {}
  for key in pairs(content) do names[#names + 1] = key end
  if #names == 1 and type(names[1]) == "string" then return names[1], content[names[1]] end
end

-- A file of stable-diffusion-webui has a table of vectors and a name. The table may be PyTorch's ParameterDict.
local function of_webui(content, path)
  local list = content.string_to_param
  if type(list) == "table" and type(list.state) == "table" then list = list.state._parameters end
  local x = type(list) == "table" and (list["*"] or select(2, only(list))) or nil
  return { word = type(content.name) == "string" and content.name or stem(path), text = x }
end

-- The word of a file and its vectors for each text encoder; nil if it has another form.
local function parsed(content, path)
  if core.is_tensor(content) then return { text = content } end
  if content.string_to_param ~= nil then return of_webui(content, path) end
  if content.clip_l ~= nil or content.clip_g ~= nil then
    return { word = stem(path), text = content.clip_l, text2 = content.clip_g, both = true }
  end
  local word, x = only(content)
  if word == "emb_params" then word = stem(path) end
  return word and { word = word, text = x }
end

-- Vectors as rows {n, D}.
local function rows_of(x)
  if not core.is_tensor(x) or x:dim() < 1 or x:dim() > 2 or x:numel() == 0 or kind.float_advice(x) ~= "" then
    return legible.refused("its vectors are %s; a tensor {n, width} of floats expected", kind.shown(x))
  end
  local rows = (x:dim() == 1 and x:unsqueeze(1) or x):to(core.real):clone()
  if not rows:isfinite():all() then return nil, "its vectors hold numbers that aren't finite" end
  return rows
end

local function content_of(file)
  if pytorch.is(file) then return any_file.load(file, { key = "", raw = true }) end
  return any_file.load(file)
end

--- The vectors of a file.
---@param path string
---@return table|nil found {word, text, text2 = vectors {n, width} for each encoder}; nil with a message
---@return string|nil message
function embedding.read(path)
  local file = file_of(path)
  local content, message = content_of(file)
  if content == nil then return nil, message end
  local is_content, found, why = core.is_tensor(content) or type(content) == "table", nil, nil
  if is_content then found, why = fail.try(parsed, content, file) end
  if not found then
    local names = type(content) == "table" and table.concat(opts.names(content), ", ") or kind.shown(content)
    return legible.refused("%s: %s", file, why or "one word with its vectors expected, got " .. names)
  end
  for _, field in ipairs { "text", "text2" } do
    if found[field] ~= nil then found[field], why = rows_of(found[field]) end
    if why then return legible.refused("%s: %s", file, why) end
  end
  if not (found.text or found.text2) then return legible.refused("%s: it has no vectors", file) end
  return found
end

-- ==== encoders ==========================================================================

-- The number of tokens of a text encoder, with those that were added.
local function tokens_of(encoder)
  local n = encoder:config().vocab_size
  for _, rows in ipairs(encoder.added or {}) do n = n + rows:size(1) end
  return n
end

local function width_of(own, field) return own[field] and own[field]:config().hidden_size end

-- Vectors for one encoder of two are those of the one that has their width.
local function assign(own, found)
  if found.both or not found.text or found.text:size(2) == width_of(own, "text") then return found end
  if found.text:size(2) == width_of(own, "text2") then found.text, found.text2 = nil, found.text end
  return found
end

-- Why an encoder can't take the vectors, or nil.
local function misfit(own, field, rows)
  local encoder, tokenizer = own[field], own["tokenizer" .. field:sub(5)]
  if not (encoder and tokenizer) then
    return ("it has vectors for the part %s, which this pipe doesn't have"):format(field)
  end
  local width = width_of(own, field)
  if rows:size(2) ~= width then
    return ("its vectors are %d wide, but the tokens of the text encoder %d"):format(rows:size(2), width)
  end
  if rows:size(1) > tokenizer.length - 2 then
    return ("it has %d vectors, but %d tokens fit into a text"):format(rows:size(1), tokenizer.length - 2)
  end
  if tokens_of(encoder) ~= tokenizer.size then
    return ("the tokenizer has %d tokens, but the text encoder %d, so new ones would differ"):format(tokenizer.size,
      tokens_of(encoder))
  end
end

local function add(own, field, word, rows)
  own["tokenizer" .. field:sub(5)]:add(word, rows:size(1))
  own[field]:add_tokens(rows)
end

local rules = opts.declare("pipe_load_embedding", {
  word = { "string", default_text = "that of the file", text = "the word that stands for the vectors in a prompt" },
})

--- Loads a word.
---@param own table the private state of a pipe
---@param path string
---@param options table|nil
---@return string|nil word nil with a message
---@return integer|string tokens their number, or the message
function embedding.load(own, path, options)
  local where = "pipe:load_embedding"
  opts.path(where, path)
  local o = opts.check(where, options, rules, 2)
  local found, message = embedding.read(path)
  if not found then return nil, message end
  local word = o.word or found.word
  if not word then fail.raise("%s: %s has no word; give one, as { word = \"<cat>\" }", where, path) end
  assign(own, found)
  local fields = {}
  for _, field in ipairs { "text", "text2" } do
    if found[field] then
      local why = misfit(own, field, found[field])
      if why then return legible.refused("%s: %s", path, why) end
      fields[#fields + 1] = field
    end
  end
  for _, field in ipairs(fields) do
    local fine, why = fail.try(function()
      add(own, field, word, found[field])
      return true
    end)
    if not fine then return legible.refused("%s: %s", path, (why:gsub("^add: ", ""))) end
  end
  return word, found[fields[1]]:size(1)
end

return embedding

-- Folders of tokenizers with the small vocabulary of spec/fixtures/tokenizer, which spec/peers/tokenizer.py made.
local forge = require "spec.support.forge"
local json = require "diffusion.file.json"

local M = {}

local BOS, EOS = "<|startoftext|>", "<|endoftext|>"

local function read(name) return forge.bytes_of("spec/fixtures/tokenizer/" .. name) end

--- The list of merges, as a text.
M.merges = read "merges.txt"

--- The peer's answers with that vocabulary: {kinds = other files of a folder, facts, answers, inverted, json}.
M.small = assert(json.decode(read "small.json"))

--- A part of CLIP's vocabulary: {merges, ids = of what they join to, texts = {text, ids}}.
M.clip = assert(json.decode(read "clip.json"))

--- GPT-2's characters for the bytes, in the order of vocabularies.
---@return string[]
function M.alphabet()
  local shown, hidden = {}, {}
  for byte = 0, 255 do
    local printable = byte > 32 and byte < 127 or byte > 160 and byte ~= 173
    local list = printable and shown or hidden
    list[#list + 1] = utf8.char(printable and byte or 256 + #hidden)
  end
  return table.move(hidden, 1, #hidden, #shown + 1, shown)
end

--- The ids of a vocabulary whose merges are a text.
---@param merges string
---@return table<string, integer>
function M.vocab(merges)
  local ids, n = {}, 0
  local function add(token)
    if not ids[token] then ids[token], n = n, n + 1 end
  end
  for _, ending in ipairs { "", "</w>" } do
    for _, char in ipairs(M.alphabet()) do add(char .. ending) end
  end
  for left, right in merges:gmatch "([^ \r\n]+) ([^ \r\n]+)" do
    if left ~= "#version:" then add(left .. right) end
  end
  add(BOS)
  add(EOS)
  return ids
end

--- Writes a folder with these files: texts, or values for JSON; false for one that is not to be there. vocab.json
--- and merges.txt are those of the small vocabulary if not given.
---@param files table<string, any>
---@return string path
function M.make(files)
  local path = forge.folder()
  local all = { ["merges.txt"] = M.merges, ["vocab.json"] = M.vocab(M.merges) }
  for name, content in pairs(files) do all[name] = content end
  for name, content in pairs(all) do
    if content then
      local file <close> = assert(io.open(path .. "/" .. name, "wb"))
      file:write(type(content) == "string" and content or json.encode(content))
    end
  end
  return path
end

--- A folder of a kind, as the peer's answers have it.
---@param kind string
---@return string path
function M.of_kind(kind)
  if kind == "alone" then
    return M.make { ["tokenizer.json"] = M.small.json, ["vocab.json"] = false, ["merges.txt"] = false }
  end
  return M.make(M.small.kinds[kind])
end

return M

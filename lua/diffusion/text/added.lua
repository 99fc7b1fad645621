-- Added tokens: words that are one token each, whatever lies around them. Special tokens are such, and so are
-- the words of textual inversion. The longest that begins at a place counts.
local unicode = require "diffusion.text.unicode"

local added = {}

--- An added token.
---@class diffusion.added_token
---@field content string
---@field id integer
---@field ids integer[]|nil the tokens that it stands for, if it is not only one
---@field special boolean whether decoding may leave it out
---@field normalized boolean whether it is found after normalization, as its own normal form, or before
---@field lstrip boolean whether the white space before it belongs to it
---@field rstrip boolean the same for that after it

-- Some of the tokens, to be found in one form of the text: by their patterns, and the lengths of those by first byte.
local function new_group() return { set = nil, tokens = {}, lengths = {} } end

--- Makes a set of added tokens.
---@return table set
function added.new() return { by_id = {}, raw = new_group(), normal = new_group() } end

-- Makes the set of first bytes as a class of Lua's patterns.
local function read_set(group)
  local bytes = {}
  for byte in pairs(group.lengths) do
    local char = string.char(byte)
    bytes[#bytes + 1] = (char:find "[0-9A-Za-z\x80-\xFF]" and "" or "%") .. char
  end
  group.set = "[" .. table.concat(bytes) .. "]"
end

local function insert(group, pattern, token)
  local first, lengths = pattern:byte(), group.lengths[pattern:byte()]
  group.tokens[pattern] = token
  if not lengths then
    lengths = {}
    group.lengths[first] = lengths
    read_set(group)
  end
  if not lengths[-#pattern] then -- so each length is listed once
    lengths[-#pattern] = true
    lengths[#lengths + 1] = #pattern
    table.sort(lengths, function(a, b) return a > b end)
  end
end

local function group_of(self, token) return token.normalized and self.normal or self.raw end

--- The token that is found by the same text as another, if there is one.
---@param self table from added.new
---@param token diffusion.added_token
---@param pattern string
---@return diffusion.added_token|nil
function added.same(self, token, pattern) return group_of(self, token).tokens[pattern] end

--- Adds a token. It replaces that of its id.
---@param self table from added.new
---@param token diffusion.added_token it gets the field `pattern`
---@param pattern string the text by which it is found
function added.put(self, token, pattern)
  local old = self.by_id[token.id]
  if old then group_of(self, old).tokens[old.pattern] = nil end
  token.pattern = pattern
  self.by_id[token.id] = token
  insert(group_of(self, token), pattern, token)
end

local function longest(group, text, at)
  for _, length in ipairs(group.lengths[text:byte(at)]) do
    local token = group.tokens[text:sub(at, at + length - 1)]
    if token then return token, at + length end
  end
end

-- The next token from a place: it, its first byte, and the place after it.
local function next_token(group, text, at)
  while true do
    local first = group.set and text:find(group.set, at)
    if not first then return nil end
    local token, after = longest(group, text, first)
    if token then return token, first, after end
    at = first + 1
  end
end

--- Calls on_token(token) and on_text(text) for the tokens and the texts between them, in order.
---@param self table from added.new
---@param form "raw"|"normal"
---@param text string
---@param on_token fun(token: diffusion.added_token)
---@param on_text fun(text: string)
function added.split(self, form, text, on_token, on_text)
  local from, at = 1, 1
  while true do
    local token, first, after = next_token(self[form], text, at)
    if not token then break end
    local start, stop = first, after
    if token.lstrip then start = math.max(from, unicode.before_space(text, first)) end
    if token.rstrip then stop = unicode.after_space(text, after) end
    if from < start then on_text(text:sub(from, start - 1)) end
    on_token(token)
    from, at = stop, after
  end
  if from <= #text then on_text(text:sub(from)) end
end

return added

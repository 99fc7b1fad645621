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

-- Some of the tokens, to be found in one form of the text.
local function new_group() return { set = nil, starting = {} } end

--- Makes a set of added tokens.
---@return table set
function added.new() return { by_id = {}, raw = new_group(), normal = new_group() } end

local function insert(group, pattern, token)
  local first = pattern:byte()
  local list = group.starting[first] or {}
  group.starting[first] = list
  list[#list + 1] = { pattern = pattern, token = token }
  table.sort(list, function(a, b) return #a.pattern > #b.pattern end)
  local bytes = {}
  for byte in pairs(group.starting) do
    local char = string.char(byte)
    bytes[#bytes + 1] = (char:find "[0-9A-Za-z\x80-\xFF]" and "" or "%") .. char
  end
  group.set = "[" .. table.concat(bytes) .. "]"
end

local function group_of(self, token) return token.normalized and self.normal or self.raw end

local function remove(self, token)
  local list = group_of(self, token).starting[token.pattern:byte()]
  for i, one in ipairs(list) do
    if one.token == token then return table.remove(list, i) end
  end
end

--- The token with a pattern, if there is one.
---@param self table from added.new
---@param token diffusion.added_token
---@param pattern string
---@return diffusion.added_token|nil
function added.same(self, token, pattern)
  for _, one in ipairs(group_of(self, token).starting[pattern:byte()] or {}) do
    if one.pattern == pattern then return one.token end
  end
end

--- Adds a token. It replaces that of its id.
---@param self table from added.new
---@param token diffusion.added_token it gets the field `pattern`
---@param pattern string the text by which it is found
function added.put(self, token, pattern)
  if self.by_id[token.id] then remove(self, self.by_id[token.id]) end
  token.pattern = pattern
  self.by_id[token.id] = token
  insert(group_of(self, token), pattern, token)
end

local function longest(group, text, at)
  for _, one in ipairs(group.starting[text:byte(at)]) do
    if text:sub(at, at + #one.pattern - 1) == one.pattern then return one.token, at + #one.pattern end
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

-- Byte pair encoding: a word's bytes, joined two at a time in the order of a list of merges. See Sennrich,
-- Haddow & Birch 2016.
local alphabet = require "diffusion.text.alphabet"

local pairing = {}

local END = "</w>" -- the last token of a word ends so

local KEPT = 20000 -- words whose tokens are kept
local LONGEST = 256 -- bytes of a word that is kept

local WIDTH = 24 -- bits of an id, and of a place in the heap's numbers

--- Makes an encoder of words.
---@param ids table<string, integer> the id of each token
---@param merges table lists of ids, below 2^24: {left, right, joined}
---@param unknown integer|nil the token of a byte that has none
---@return table encoder for pairing.ids
function pairing.new(ids, merges, unknown)
  local self = { rank = {}, joined = merges.joined, inner = {}, last = {}, kept = {}, count = 0 }
  for rank, left in ipairs(merges.left) do self.rank[left << WIDTH | merges.right[rank]] = rank end
  for byte = 0, 255 do
    self.inner[byte] = ids[alphabet.char[byte]] or unknown
    self.last[byte] = ids[alphabet.char[byte] .. END] or unknown
  end
  return self
end

--- The first byte for which a vocabulary has no token.
---@param ids table<string, integer>
---@return string|nil token the one that is missing
function pairing.missing(ids)
  for byte = 0, 255 do
    for _, ending in ipairs { "", END } do
      if not ids[alphabet.char[byte] .. ending] then return alphabet.char[byte] .. ending end
    end
  end
end

-- ==== a heap of numbers, the least at 1 ======================================================

local function push(heap, value)
  local at = #heap + 1
  while at > 1 and heap[at // 2] > value do
    heap[at] = heap[at // 2]
    at = at // 2
  end
  heap[at] = value
end

local function pop(heap)
  local top, value, n = heap[1], heap[#heap], #heap - 1
  heap[n + 1] = nil
  local at, child = 1, 2
  while child <= n do
    if child < n and heap[child + 1] < heap[child] then child = child + 1 end
    if heap[child] >= value then break end
    heap[at] = heap[child]
    at, child = child, 2 * child
  end
  if n > 0 then heap[at] = value end
  return top
end

-- ==== joining ================================================================================

-- The word's tokens before any merge, as a chain: each has the places of its neighbours.
local function chain_of(self, word)
  local id, before, after = {}, {}, {}
  for i = 1, #word do
    id[i], before[i], after[i] = self.inner[word:byte(i)], i - 1, i + 1
  end
  id[#word] = self.last[word:byte(-1)]
  after[#word] = 0
  return { id = id, before = before, after = after }
end

local function offer(self, chain, heap, at)
  local next_at = chain.after[at]
  if at == 0 or next_at == 0 then return end
  local rank = self.rank[chain.id[at] << WIDTH | chain.id[next_at]]
  if rank then push(heap, rank << WIDTH | at) end
end

-- Joins the token at a place with the next one, if they still join to what they did when they were offered.
local function join(self, chain, heap, rank, at)
  local id, after = chain.id, chain.after
  local right = after[at]
  if not id[at] or right == 0 then return end
  local now = self.rank[id[at] << WIDTH | id[right]]
  if not now or self.joined[now] ~= self.joined[rank] then return end
  id[at], id[right], after[at] = self.joined[rank], false, after[right]
  if after[at] > 0 then chain.before[after[at]] = at end
  offer(self, chain, heap, chain.before[at])
  offer(self, chain, heap, at)
end

local function joined(self, word)
  local chain, heap, out = chain_of(self, word), {}, {}
  for at = 1, #word - 1 do offer(self, chain, heap, at) end
  while heap[1] do
    local top = pop(heap)
    join(self, chain, heap, top >> WIDTH, top & (1 << WIDTH) - 1)
  end
  local at = 1
  while at > 0 do
    out[#out + 1], at = chain.id[at], chain.after[at]
  end
  return out
end

--- The tokens of a word.
---@param self table from pairing.new
---@param word string not empty
---@return integer[] ids not to be changed
function pairing.ids(self, word)
  local known = self.kept[word]
  if known then return known end
  local out = joined(self, word)
  if #word <= LONGEST then
    if self.count == KEPT then self.kept, self.count = {}, 0 end
    self.kept[word], self.count = out, self.count + 1
  end
  return out
end

return pairing

-- Samples that are dealt out over ranks: each rank works on a part, and all get the results of all.
local core = require "diffusion.core"

local part = {}

--- The part of n samples that a rank has. Parts differ by one sample at most.
---@param ranks diffusion.mpi
---@param n integer
---@return integer from samples before it
---@return integer count
function part.of(ranks, n)
  local from = n * ranks.rank // ranks.size
  return from, n * (ranks.rank + 1) // ranks.size - from
end

--- The rows of a part: of a tensor, of a list, or of each in a table by name. Anything else is for all samples.
---@param value any
---@param n integer samples
---@param from integer
---@param count integer
---@return any
function part.rows(value, n, from, count)
  if core.is_tensor(value) then
    return value:dim() > 0 and value:size(1) == n and value:narrow(1, from + 1, count) or value
  end
  if type(value) ~= "table" or getmetatable(value) then return value end
  if #value > 0 then return #value == n and table.move(value, from + 1, from + count, 1, {}) or value end
  local out = {}
  for name, one in pairs(value) do out[name] = part.rows(one, n, from, count) end
  return out
end

local function packed(list)
  local out = {}
  for i, v in ipairs(list) do out[i] = string.pack("<d", v) end
  return table.concat(out)
end

--- The numbers of all ranks, in their order.
---@param ranks diffusion.mpi
---@param list number[]
---@return number[]
function part.numbers(ranks, list)
  local out = {}
  for _, text in ipairs(ranks.gather_text(packed(list))) do
    for at = 1, #text, 8 do out[#out + 1] = string.unpack("<d", text, at) end
  end
  return out
end

local From = { __close = function(kept) core.first_sample(kept.before) end }

--- A to-be-closed value. Until then, draws are those of samples after the first n.
---@param n integer
---@return table
function part.draws_from(n) return setmetatable({ before = core.first_sample(n) }, From) end

return part

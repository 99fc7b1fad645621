-- Sums over pieces, for a record in which they run one by one (pieces.lua) or together (together.lua).
local core = require "diffusion.core"
local deal = require "diffusion.over.deal"
local fail = require "diffusion.fail"

local sums = {}

--- Adds neighbours, then pairs of them, and so on: the order in which ranks add.
---@param list any[] as many as a power of 2; it is not changed
---@return any
function sums.in_tree(list)
  while #list > 1 do
    local pairs_of = {}
    for i = 1, #list, 2 do pairs_of[#pairs_of + 1] = list[i] + list[i + 1] end
    list = pairs_of
  end
  return list[1]
end

--- The mean of numbers, or of tensors of one number. Whole numbers stay whole if they can.
---@param list any[]
---@return any
function sums.mean(list)
  local n, sum = #list, sums.in_tree(list)
  local whole = math.type(sum) == "integer" and sum % n == 0
  return whole and sum // n or sum / n
end

--- Calls fn(sum) for each holder's sum of gradients. Those of models that are garbage may be gone already.
---@param fn fun(sum: table)
function sums.each(fn)
  local seen = {}
  for _, holder in next, deal.holders do
    if holder.core and holder.core:is_open() and not seen[holder] then
      seen[holder] = true
      fn(holder.core)
    end
  end
end

--- Raises if the backward pass of a piece reached a parameter whose gradient isn't summed: it would be that of the
--- pieces' sum.
function sums.check()
  local name = core.unsummed()
  if not name then return end
  fail.raise("backward: the batch is cut over ranks, but the gradient of '%s' isn't summed over them; make its "
    .. "optimiser by d.adamw(model, { over = mpi }), or freeze it", name)
end

--- A loss as the mean of those of pieces. Its backward pass calls walk(dy, all), once.
---@param values diffusion.tensor[] the pieces' losses, of one number each
---@param walk fun(dy: diffusion.tensor, all: table)
---@param all table given to walk
---@return diffusion.tensor
function sums.joined_loss(values, walk, all)
  local function walk_once(dy)
    if all.walked then
      fail.raise("backward: the records of %d pieces are gone after one pass, also with keep; record the loss again, "
        .. "or give as many pieces as ranks", #values)
    end
    all.walked = true
    walk(dy, all)
  end
  local mean = sums.mean(values):clone()
  local record <close> = fail.call(core.record_open, "leaves") -- luacheck: ignore 211
  return core.note_guest(mean, true, walk_once, all)
end

return sums

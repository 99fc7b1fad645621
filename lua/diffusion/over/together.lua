-- d.record of a function that computes each sample of a batch by itself, on a rank that holds several pieces of the
-- batch. It runs once for all of them, and the core tells the pieces' gradients of a parameter apart (ops/parts.h).
-- The bits are those of the pieces one by one, in less time.
local core = require "diffusion.core"
local deal = require "diffusion.over.deal"
local fail = require "diffusion.fail"
local sums = require "diffusion.over.sums"

local together = {}

-- Models with a parameter of which the core can't tell the pieces apart.
local mixed = setmetatable({}, { __mode = "k" })

--- Whether a call of fn may run once for all pieces.
---@param now table the deal
---@param batch table its tensors (pieces.lua)
---@param fn any
---@param model any its first argument
---@param ... any the others
---@return boolean
function together.may(now, batch, fn, model, ...)
  local test = deal.by_samples[fn]
  if not test or mixed[model] or batch.most ~= now.size then return false end
  return test(function(x) return batch.has[x] and x:size(1) == now.rows end, model, ...)
end

-- The backward pass of all pieces. Each begins with the gradient of its loss, as it would alone.
local function walk(dy, all)
  local n = all.losses:size(1)
  sums.each(function(sum) sum:begin_together(n, all.sum) end)
  fail.call(all.losses.backward, all.losses, nil, dy:expand({ n }):contiguous())
  sums.check()
  sums.each(function(sum) sum:end_part() end)
end

local function joined(losses)
  local values = {}
  for k = 1, losses:size(1) do values[k] = losses:detach():select(1, k) end
  return sums.joined_loss(values, walk, { losses = losses, sum = sums.in_tree(values):item() })
end

-- As those of pieces that run one by one, they belong to no record.
local function detached(details)
  local out = {}
  for key, value in pairs(details) do out[key] = core.is_tensor(value) and value:detach() or value end
  return out
end

--- The results of fn(model, ...): a loss, and details. nil if the core can't tell the pieces apart; then nothing was
--- done, but for the random counters.
---@param now table the deal
---@param fn function
---@param model any
---@param ... any
---@return diffusion.tensor|nil loss
---@return table details
function together.record(now, fn, model, ...)
  local record <close> = fail.call(core.record_open, "leaves")
  record:part(now.pieces, now.rows)
  local losses, details = fn(model, ...)
  if not record:is_mixed() then return joined(losses), detached(details) end
  mixed[model] = true
  record:free()
end

return together

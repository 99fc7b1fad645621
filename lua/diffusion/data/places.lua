-- Which examples a batch holds. A set has one bucket or more, and a batch is of one of them. Each bucket has an
-- endless list of examples, epoch after epoch, and its batch k is examples (k-1) size + 1 to k size of it. So a
-- batch depends on (seed, step) alone.
local core = require "diffusion.core"

local places = {}

--- The course of a set's batches.
---@class diffusion.data_course
---@field counts integer[] number of examples in each bucket
---@field totals number[] number of examples of each bucket in all batches, infinite if there is no end
---@field size integer
---@field seed integer
---@field shuffle boolean
---@field epoch table|nil {before = batches until it, list = {bucket, batch}}

-- Batches of a bucket that are full or last by the end of `epochs` epochs.
local function batches_until(c, bucket, epochs)
  local n, total = epochs * c.counts[bucket], c.totals[bucket]
  if n >= total then return -(-total // c.size) end
  return n // c.size
end

local function all_until(c, epochs)
  local sum = 0
  for bucket = 1, #c.counts do sum = sum + batches_until(c, bucket, epochs) end
  return sum
end

-- The epoch, from 0, of which a step is.
local function epoch_of(c, step)
  local low, high = 0, 1
  while all_until(c, high) < step do low, high = high, 2 * high end
  while high - low > 1 do
    local middle = (low + high) // 2
    if all_until(c, middle) < step then low = middle else high = middle end
  end
  return low
end

-- The batches of an epoch, in an order of its own if there are several buckets.
local function listed(c, epoch)
  local list = {}
  for bucket = 1, #c.counts do
    for batch = batches_until(c, bucket, epoch) + 1, batches_until(c, bucket, epoch + 1) do
      list[#list + 1] = { bucket, batch }
    end
  end
  if #c.counts == 1 or not c.shuffle or #list == 0 then return list end
  local out = {}
  for i, at in ipairs(core.data_order(#list, c.seed, epoch, true):totable()) do out[i] = list[at] end
  return out
end

-- The bucket of a step, and the number of its batch there.
local function at_step(c, step)
  local last = c.epoch
  if not (last and step > last.before and step <= last.before + #last.list) then
    local epoch = epoch_of(c, step)
    last = { before = all_until(c, epoch), list = listed(c, epoch) }
    c.epoch = last
  end
  return table.unpack(last.list[step - last.before])
end

--- The examples of a step.
---@param c diffusion.data_course
---@param step integer
---@return integer bucket
---@return table[] list {epoch, at = examples of the epoch before them, count}
function places.of(c, step)
  local bucket, batch = 1, step
  if #c.counts > 1 then bucket, batch = at_step(c, step) end
  local n, from, list = c.counts[bucket], (batch - 1) * c.size, {}
  local to = math.min(batch * c.size, c.totals[bucket])
  while from < to do
    local at = from % n
    local count = math.tointeger(math.min(n - at, to - from))
    list[#list + 1] = { epoch = from // n, at = at, count = count }
    from = from + count
  end
  return bucket, list
end

--- A part of a list of places.
---@param list table[] as places.of returns
---@param skip integer examples before the part
---@param count integer examples of the part
---@return table[]
function places.cut(list, skip, count)
  local out = {}
  for _, place in ipairs(list) do
    local passed = math.min(skip, place.count)
    local taken = math.min(count, place.count - passed)
    if taken > 0 then out[#out + 1] = { epoch = place.epoch, at = place.at + passed, count = taken } end
    skip, count = skip - passed, count - taken
  end
  return out
end

--- The number of steps of a course that ends.
---@param c diffusion.data_course
---@return integer
function places.steps(c)
  local sum = 0
  for _, total in ipairs(c.totals) do sum = sum - (-total // c.size) end
  return sum
end

return places

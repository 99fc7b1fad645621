-- The batch that this rank works on, as a part of a larger one that is dealt out over ranks. It is cut into
-- pieces of equal size, one after another in the larger batch. Draws are keyed by a sample's place there.
local core = require "diffusion.core"
local part = require "diffusion.over.part"

local deal = {}

--- The present deal, or nil. Its fields are those of deal.begin, size = rows of a piece, learned = a list, and outer =
--- the deal that it interrupts. An interrupted one has made = lists of tensors from before, and state = its counters.
deal.now = nil

--- Sums of gradients under way, by the parameter buffers of their models (over/training).
deal.holders = setmetatable({}, { __mode = "k" })

--- Functions for d.record that can compute each sample of a batch by itself. by_samples[fn] is test(is_of_batch, model,
--- x0, ...). It tells whether this holds for these arguments. is_of_batch(x) is true for a tensor with the batch's
--- rows. Such a function calls deal.mean.
deal.by_samples = setmetatable({}, { __mode = "k" })

local outer -- the random counters outside of deals

-- The finaliser of splitmix64 (Steele et al. 2014).
local function mixed(a, b)
  local z = a + b * 0x9E3779B97F4A7C15
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return z ~ (z >> 31)
end

-- Counters of a step, whatever the ranks have drawn before.
local function counters(seed, step)
  local state = core.random_state()
  state[1] = mixed(seed, step)
  for i = 2, #state do state[i] = 0 end
  return state
end

-- A loop within a loop interrupts its deal, and so do batches that are called in its loop.
local MOST <const> = 8 -- at once; a loop that was left by `break` stays here

-- The deal of an iterator, or nil.
local function of(owner)
  local one = deal.now
  while one and one.owner ~= owner do one = one.outer end
  return one
end

-- The present deal, which another one interrupts.
local function interrupted()
  local now, last = deal.now, deal.now
  if not now then return nil end
  now.state = core.random_state()
  table.insert(now.made, core.listed_rows())
  for _ = 3, MOST do last = last and last.outer end
  if last then last.outer = nil end
  return now
end

local function list_rows(o) core.list_rows(o.pieces > 1 and deal.least_rows(o) or 0) end

local function enter(o, state)
  deal.now = o
  core.set_random_state(state)
  core.first_sample(o.first)
end

-- The list goes on with what is left of earlier batches, which a loop may use again.
local function keep_rows(last)
  local list = core.listed_rows()
  for _, x in ipairs(last.boxes) do list[x] = true end
end

--- The deals that a record cuts: this one and those that it interrupts, if they have as many pieces.
---@param now table
---@return table[]
function deal.together(now)
  local list, one = {}, now
  while one do
    if one.pieces == now.pieces then list[#list + 1] = one end
    one = one.outer
  end
  return list
end

--- The least rows of these deals.
---@param now table
---@return integer
function deal.least_rows(now)
  local least = now.rows
  for _, one in ipairs(deal.together(now)) do least = math.min(least, one.rows) end
  return least
end

--- Makes a deal the present one. Its pieces are those of this rank, and `first` counts the rows of the whole batch
--- before them. hide(k) shows piece k alone, and returns a function that undoes it. Deals of the same owner end, and
--- those within them.
---@param o table {owner = its iterator, ranks, rows, pieces, first, boxes = its tensors, hide, seed, step}
function deal.begin(o)
  local last = of(o.owner)
  outer = outer or core.random_state()
  local goes_on = last ~= nil and last == deal.now and last.rows == o.rows
  o.size, o.learned, o.made = o.rows // o.pieces, {}, last and last.made or {}
  if last then o.outer = last.outer else o.outer = interrupted() end
  enter(o, counters(o.seed, o.step))
  if goes_on then keep_rows(last) else list_rows(o) end
end

--- Ends the deal of an iterator, if it has one, and those within it. The deal that it interrupted goes on, or the
--- counters are those from before the first one.
---@param owner table
function deal.finish(owner)
  local last = of(owner)
  if not last then return end
  if last.outer then
    enter(last.outer, last.outer.state)
    return list_rows(last.outer)
  end
  core.set_random_state(outer)
  deal.now, outer = nil, nil
  core.first_sample(0)
  core.list_rows(0)
end

--- The random counters for a checkpoint: those outside of deals.
---@return integer[]
function deal.random_state() return outer or core.random_state() end

--- The mean of the losses of samples, {B}. In a record of several pieces these have each their own: {pieces}.
---@param losses diffusion.tensor
---@return diffusion.tensor
function deal.mean(losses)
  local pieces, list = core.record_parts(), {}
  if pieces < 2 then return losses:mean() end
  local size = losses:size(1) // pieces
  for k = 1, pieces do list[k] = losses:narrow(1, (k - 1) * size + 1, size):mean():view { 1 } end
  return core.ops.cat(list, 1)
end

--- Tells what a batch's losses were to a function (t, losses). In a deal it gets those of all ranks, in the order of
--- the whole batch, once all pieces are done.
---@param learn fun(t: number[], losses: number[])
---@param t number[]
---@param losses number[]
function deal.learn(learn, t, losses)
  if not deal.now then return learn(t, losses) end
  table.insert(deal.now.learned, { learn = learn, t = t, losses = losses })
end

--- Tells what was learned, after all pieces of a record.
---@param now table
function deal.tell(now)
  local by, order = {}, {}
  for _, one in ipairs(now.learned) do
    local all = by[one.learn]
    if not all then
      all = { t = {}, losses = {} }
      by[one.learn], order[#order + 1] = all, one.learn
    end
    table.move(one.t, 1, #one.t, #all.t + 1, all.t)
    table.move(one.losses, 1, #one.losses, #all.losses + 1, all.losses)
  end
  now.learned = {}
  for _, learn in ipairs(order) do
    local own = by[learn]
    learn(part.numbers(now.ranks, own.t), part.numbers(now.ranks, own.losses))
  end
end

return deal

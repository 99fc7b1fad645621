-- The batch that this rank works on, as a part of a larger one that is dealt out over ranks. It is cut into
-- pieces of equal size, one after another in the larger batch. Draws are keyed by a sample's place there.
local core = require "diffusion.core"
local part = require "diffusion.over.part"

local deal = {}

--- The present deal, or nil. Its fields are those of deal.begin, with size = rows of a piece, and learned = a list.
deal.now = nil

--- Sums of gradients under way, by the parameter buffers of their models (over/training).
deal.holders = setmetatable({}, { __mode = "k" })

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

--- Makes a deal the present one. Its pieces are those of this rank, and `first` counts the rows of the whole batch
--- before them. hide(k) shows piece k alone, and returns a function that undoes it.
---@param o table {owner = its iterator, ranks, rows, pieces, first, boxes = its tensors, hide, seed, step}
function deal.begin(o)
  outer = outer or core.random_state()
  o.size, o.learned = o.rows // o.pieces, {}
  deal.now = o
  core.set_random_state(counters(o.seed, o.step))
  core.first_sample(o.first)
  core.list_rows(o.pieces > 1 and o.rows or 0)
end

--- Ends the present deal, if there is one. The counters are those from before the first one.
function deal.finish()
  if outer then core.set_random_state(outer) end
  deal.now, outer = nil, nil
  core.first_sample(0)
  core.list_rows(0)
end

--- The random counters for a checkpoint: those outside of deals.
---@return integer[]
function deal.random_state() return outer or core.random_state() end

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

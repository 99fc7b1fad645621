-- The iterator over a set's batches. The examples of a step depend on (seed, step) alone, so an iterator can continue
-- exactly at the step where it stopped.
local core = require "diffusion.core"
local deal = require "diffusion.over.deal"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local places = require "diffusion.data.places"
local same = require "diffusion.over.same"
local rule = require "diffusion.rule"

-- ==== the iterator =======================================================================

--- An iterator over a set. Its state is its step.
---@class diffusion.batches
---@field step integer batches returned so far; can be set
---@field steps integer number of batches
---@field size integer examples in a batch
---@field n integer examples in the set
---@field seed integer seed of the order and the flips
---@field shuffle boolean
---@field flip boolean
---@field pieces integer|nil pieces into which a batch is cut, if it is dealt out over ranks
---@field examples integer[]|nil numbers in the set of the last batch's examples
---@field captions string[]|nil their captions, if the set has captions
---@field sizes table|nil sizes of their pictures, that SDXL is conditioned on: original = {height, width} of each
---  before it was resized, crop = {top, left} of each, target = {height, width} of all
local Batches = {}

local private = object.private -- {set, buckets, course, kept = tables of the epoch} and the fields

-- A table of a whole epoch of a bucket, kept for the next step, which may be in another d.scope.
local function epoch_table(b, bucket, which, epoch)
  local kept = b.kept[which .. bucket]
  if not kept or kept.epoch ~= epoch then
    local make = core["data_" .. which]
    kept = { epoch = epoch, values = core.unscope(make(b.course.counts[bucket], b.seed, epoch)) }
    b.kept[which .. bucket] = kept
  end
  return kept.values
end

local function gathered(list, part_of)
  local parts = {}
  for i, place in ipairs(list) do parts[i] = part_of(place) end
  return (#parts == 1 and parts[1] or core.ops.cat(parts, 1)):contiguous()
end

-- The part of an epoch's table that each place has.
local function table_of(b, bucket, list, which)
  return gathered(list, function(p)
    return epoch_table(b, bucket, which, p.epoch):narrow(1, p.at + 1, p.count)
  end)
end

local function indices(b, bucket, list)
  if b.shuffle then return table_of(b, bucket, list, "order") end
  return gathered(list, function(p) return core.arange(p.at + 1, p.at + p.count):to "i64" end)
end

-- The numbers in the set of examples of a bucket.
local function in_set(members, index)
  local out = {}
  for b, i in ipairs(index:totable()) do out[b] = members and members[i] or i end
  return out
end

local function picked(list, examples)
  local out = {}
  for b, i in ipairs(examples) do out[b] = list[i] end
  return out
end

-- Notes the captions and sizes of the last batch's pictures.
local function note(b, bucket, examples, crops)
  local set = b.set
  b.examples, b.captions = examples, set.captions and picked(set.captions, examples)
  b.sizes = set.sizes and crops and { original = picked(set.sizes, examples), crop = crops,
    target = { bucket.height, bucket.width } } or nil
end

-- ==== over ranks =========================================================================

-- The examples of this rank: an equal part of the batch, in the order of ranks.
local function own_part(b, list)
  local rows = b.size // b.over.size
  core.first_sample(b.over.rank * rows) -- a source may draw
  return places.cut(list, b.over.rank * rows, rows)
end

local CUT <const> = { "examples", "captions", "sizes" }

local function slice(list, from, count) return list and table.move(list, from, from + count - 1, 1, {}) end

local function sizes_of(sizes, from, count)
  return sizes and { original = slice(sizes.original, from, count), crop = slice(sizes.crop, from, count),
                     target = sizes.target }
end

-- Shows the examples of piece k as the last batch's. Returns a function that undoes it.
local function hide_others(b, count)
  return function(k)
    local whole, from = { b.examples, b.captions, b.sizes }, (k - 1) * count + 1
    b.examples, b.captions = slice(b.examples, from, count), slice(b.captions, from, count)
    b.sizes = sizes_of(b.sizes, from, count)
    return function()
      for i, name in ipairs(CUT) do b[name] = whole[i] end
    end
  end
end

local function deal_out(b, boxes)
  local rows, own = b.size // b.over.size, {}
  for i = 1, 3 do own[#own + 1] = boxes[i] end
  deal.begin { owner = b, ranks = b.over, rows = rows, pieces = b.pieces // b.over.size, first = b.over.rank * rows,
               boxes = own, hide = hide_others(b, b.size // b.pieces), seed = b.noise ~ b.seed, step = b.step }
end

-- The end of the batches, or of the epochs.
local function finished(b)
  if b.over then deal.finish(b) end
  return nil
end

--- The next batch, or nil if none is left. Over ranks it is this rank's part.
---@return integer|nil step counting from 1
---@return diffusion.tensor|nil x0 [B,...] floats
---@return diffusion.tensor|nil class i64 [B], 1..classes; nil if the set has none
---@return diffusion.tensor|nil eps as x0: the noise of each example, in a set of pairs (d.reflow)
local function call(self)
  local b = private[self]
  if b.step >= b.steps then return finished(b) end
  b.step = b.step + 1
  local number, list = places.of(b.course, b.step)
  if b.over then list = own_part(b, list) end
  local bucket, index = b.buckets[number], indices(b, number, list)
  local x0, crops = bucket.source(index, { flip = b.flip and table_of(b, number, list, "flips") or nil,
    corners = bucket.random and table_of(b, number, list, "corners") or nil, seed = b.seed, step = b.step })
  local examples = in_set(bucket.members, index)
  note(b, bucket, examples, crops)
  if bucket.members then index = core.tensor(examples, { dtype = "i64" }) end
  local class, eps = b.set.class and b.set.class:index(1, index), b.set.eps and b.set.eps:index(1, index)
  if b.over then deal_out(b, { x0, class, eps }) end
  return b.step, x0, class, eps
end

local function tostring_batches(self)
  return ("batches of %d from %d, step %d of %d"):format(self.size, self.n, self.step, self.steps)
end

local REMEMBERED = { "step", "seed", "size", "n", "shuffle", "flip", "pieces", "noise" }

--- The state for a checkpoint.
---@return table state { step, seed, size, n, shuffle, flip }, and counts of the buckets if there are several
function Batches:state()
  local state, counts = {}, private[self].course.counts
  for _, name in ipairs(REMEMBERED) do state[name] = private[self][name] end
  if #counts > 1 then state.counts = table.concat(counts, " ") end
  return state
end

--- Continues from a state. The next batches are those that would have followed it.
---@param state table from `state()`
---@return true|nil done nil with a message if the state is from another set or has other sizes
---@return string|nil message
function Batches:load_state(state)
  opts.table("load_state", 1, "what state() gives", state)
  for _, name in ipairs { "size", "n", "shuffle", "flip" } do
    if state[name] ~= self[name] then
      return legible.refused("batches: the state has %s = %s, these batches %s", name, tostring(state[name]),
        tostring(self[name]))
    end
  end
  local pieces = private[self].pieces
  if pieces and state.pieces and pieces ~= state.pieces then
    return legible.refused("batches: the state has batches of %s pieces, these batches of %d; sums of other pieces "
      .. "have other bits", tostring(state.pieces), pieces)
  end
  local own = self:state().counts
  if state.counts ~= own then
    return legible.refused("batches: the state has buckets of %s examples, these batches of %s",
      tostring(state.counts or state.n), own or self.n)
  end
  local step, seed = math.tointeger(state.step), math.tointeger(state.seed)
  if not (step and seed) or step < 0 or step > 1 << 53 then
    return nil, "batches: the state has no step or no seed"
  end
  local b = private[self]
  b.step, b.seed, b.kept = step, seed, {}
  b.noise = b.over and math.tointeger(state.noise) or b.noise
  b.course.seed, b.course.epoch = seed, nil
  return true
end

local function set_step(b, step)
  if not (math.type(step) and math.tointeger(step) and step >= 0) then
    fail.raise("batches: step must be a whole number of 0 or more, got %s", kind.shown(step))
  end
  b.step = math.tointeger(step)
end

local class = object.class("batches", Batches, {
  get = { "step", "steps", "size", "n", "seed", "shuffle", "flip", "pieces", "over", "examples", "captions", "sizes" },
  set = { step = set_step },
  __call = call, __tostring = tostring_batches,
})


local batches = {}

batches.rules = opts.declare("set_batches", {
  size = { "integer", required = true, min = 1, text = "examples in a batch" },
  steps = { "integer", min = 0, default_text = "by epochs", text = "number of batches" },
  epochs = { "number", above = 0, otherwise = 1, text = "passes over the set, in place of steps" },
  shuffle = { "boolean", default = true, text = "each epoch has an order of its own" },
  seed = rule.seed,
  flip = { "boolean", default = false, text = "mirrors each image left to right with probability 1/2" },
  over = rule.over "each batch",
  pieces = { "integer", min = 1, default_text = "8 with over",
    text = "with `over`: pieces of a batch whose gradients are summed in a fixed order, a power of 2" },
})

-- ==== making one =========================================================================

local PIECES = 8

local function check_pieces(o, ranks, pieces)
  if pieces & (pieces - 1) ~= 0 then fail.raise("batches: pieces must be a power of 2, got %d", pieces) end
  if ranks.size & (ranks.size - 1) ~= 0 then
    fail.raise("batches: %d ranks can't share pieces, whose number is a power of 2; start 1, 2, 4 or 8 ranks, or "
      .. "another power of 2", ranks.size)
  end
  if pieces % ranks.size ~= 0 then
    fail.raise("batches: %d ranks don't divide pieces = %d; start at most %d ranks, or set pieces = %d", ranks.size,
      pieces, pieces, ranks.size)
  end
  if o.size % pieces ~= 0 then
    fail.raise("batches: size = %d can't be cut into pieces = %d of equal size; the next that can is %d", o.size,
      pieces, -(-o.size // pieces) * pieces)
  end
end

local function check_any(o, course)
  local total = 0
  for _, count in ipairs(course.totals) do total = total + count end
  if total > 0 or o.steps then return end
  fail.raise("batches: no batch is full: size = %d, but the epochs have %s examples; over ranks short batches are left "
    .. "out; give a smaller size, or steps", o.size, table.concat(course.counts, " and "))
end

-- Over ranks all batches are full, and all ranks have rank 0's seeds.
local function join(own, o, course)
  local ranks, pieces = o.over, o.pieces or PIECES
  check_pieces(o, ranks, pieces)
  same("batches", ranks, opts.joined(o, { over = false, seed = false, n = own.n,
    counts = #course.counts > 1 and course.counts or nil }))
  for i, total in ipairs(course.totals) do
    if total < math.huge then course.totals[i] = total // o.size * o.size end
  end
  check_any(o, course)
  local seeds = ranks.gather_text(("%d %d"):format(course.seed, core.random_state()[1]))[1]
  local seed, noise = seeds:match "(%S+) (%S+)"
  course.seed, own.noise, own.pieces, own.over = math.tointeger(seed), math.tointeger(noise), pieces, ranks
end

--- Makes an iterator.
---@param set table the public fields of a set
---@param buckets table[] {n, members = their numbers in the set or nil, source = of data/source, random = true if it
---  takes corners, height, width}
---@param o table checked options
---@param encoded function|nil (numbers of examples) -> inputs of a network, those of no text
---@return diffusion.batches
function batches.new(set, buckets, o, encoded)
  local course = { counts = {}, totals = {}, size = o.size, seed = o.seed or core.data_seed(), shuffle = o.shuffle }
  local epochs = o.epochs or batches.rules.epochs.otherwise
  for i, bucket in ipairs(buckets) do
    course.counts[i], course.totals[i] = bucket.n, o.steps and math.huge or math.floor(epochs * bucket.n)
  end
  local own = { step = 0, size = o.size, n = set.n, shuffle = o.shuffle, flip = o.flip, set = set, buckets = buckets,
                course = course, encoded = encoded, kept = {} }
  if o.over then join(own, o, course)
  elseif o.pieces then fail.raise "batches: option 'pieces' is for batches over ranks; give over = mpi too" end
  own.seed, own.steps = course.seed, o.steps or places.steps(course)
  return object.new(class, own)
end

--- Inputs of a network that a set has for its examples, and those of no text: rows for the last batch.
---@param walk any
---@return table<string, diffusion.tensor>|nil inputs nil if the set has none
---@return table<string, diffusion.tensor>|nil without
function batches.inputs(walk)
  local own = object.is(walk, class) and private[walk]
  if own and own.encoded then return own.encoded(own.examples) end
end

--- Whether a value is an iterator over a set.
---@param value any
---@return boolean
function batches.is_batches(value) return object.is(value, class) end

return batches

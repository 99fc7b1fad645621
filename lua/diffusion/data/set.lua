-- A set of examples, and the walk over its batches: which example comes when is a pure
-- function of (seed, step), so a walk goes on exactly where it was left.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local lookup = require "diffusion.lookup"
local legible = require "diffusion.legible"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local picture = require "diffusion.picture"

-- ---- the walk --------------------------------------------------------------------------

--- A walk over a set; the state of it is its step.
---@class diffusion.batches
---@field step integer batches given so far; can be set
---@field steps integer how many there will be
---@field size integer examples in a batch
---@field seed integer of the order and the flips
local Batches = { __name = "diffusion.batches" }
Batches.__index = Batches

-- Examples are drawn from one endless row: all of the set in one order, then all of it in
-- the next. Batch k is examples (k-1) size + 1 to k size of it, over a seam if need be.
local function places(b, step)
  local from, list = (step - 1) * b.size, {}
  local to = math.min(step * b.size, b._total)
  while from < to do
    local epoch, at = from // b.n, from % b.n
    local count = math.min(b.n - at, to - from)
    list[#list + 1] = { epoch = epoch, at = at, count = count }
    from = from + count
  end
  return list
end

-- Of an epoch the whole order is made at once and kept for the next step, which may be in
-- another d.scope.
local function epoch_table(b, which, epoch)
  local kept = b._kept[which]
  if not kept or kept.epoch ~= epoch then
    local make = which == "order" and core.data_order or core.data_flips
    kept = { epoch = epoch, values = core.unscope(make(b.n, b.seed, epoch)) }
    b._kept[which] = kept
  end
  return kept.values
end

local function gathered(list, part_of)
  local parts = {}
  for i, place in ipairs(list) do parts[i] = part_of(place) end
  return #parts == 1 and parts[1] or core.ops.cat(parts, 1)
end

local function indices(b, list)
  return gathered(list, function(p)
    if b.shuffle then return epoch_table(b, "order", p.epoch):narrow(1, p.at + 1, p.count) end
    return core.arange(p.at + 1, p.at + p.count):to "i64"
  end):contiguous()
end

local function flips(b, list)
  return gathered(list, function(p)
    return epoch_table(b, "flips", p.epoch):narrow(1, p.at + 1, p.count)
  end):contiguous()
end

local function rows_of(set, index, flip)
  local x = set.x
  if x:dtype() == "u8" then return core.gather_images(x, index, flip) end
  local rows = x:index(1, index)
  if not flip then return rows end
  local mask = flip:reshape(flip:numel(), 1, 1, 1)
  return core.ops.where(mask, rows:flip(3), rows)
end

--- The next batch; nil when there is none left.
---@return integer|nil step counting from 1
---@return diffusion.tensor|nil x0 [B,...] floats
---@return diffusion.tensor|nil class i64 [B], 1..classes; nil where the set has none
---@return diffusion.tensor|nil eps as x0: the noise of each example, in a set of pairs (d.reflow)
function Batches:__call()
  if not (math.type(self.step) and math.tointeger(self.step) and self.step >= 0) then
    fail.raise("batches: step must be a whole number of 0 or more, got %s", kind.shown(self.step))
  end
  if self.step >= self.steps then return nil end
  self.step = self.step + 1
  local list = places(self, self.step)
  local index = indices(self, list)
  local x0 = rows_of(self._set, index, self.flip and flips(self, list) or nil)
  local class, eps = self._set.class, self._set.eps
  return self.step, x0, class and class:index(1, index), eps and eps:index(1, index)
end

function Batches:__tostring()
  return ("batches of %d from %d, step %d of %d"):format(self.size, self.n, self.step, self.steps)
end
legible.speaks(Batches)

local REMEMBERED = { "seed", "size", "n", "shuffle", "flip" }

--- What a checkpoint keeps.
---@return table state { step, seed, size, n, shuffle, flip }
function Batches:state()
  local state = { step = self.step }
  for _, name in ipairs(REMEMBERED) do state[name] = self[name] end
  return state
end

--- Goes on from a state: the batches that follow are those that would have followed.
---@param state table of `state()`
---@return true|nil done nil with a message where the state is of another set or other sizes
---@return string|nil message
function Batches:load_state(state)
  opts.table("load_state", 1, "what state() gives", state)
  for _, name in ipairs { "size", "n", "shuffle", "flip" } do
    if state[name] ~= self[name] then
      return legible.refused("batches: the state has %s = %s, these batches %s", name, tostring(state[name]),
        tostring(self[name]))
    end
  end
  local step, seed = math.tointeger(state.step), math.tointeger(state.seed)
  if not (step and seed) or step < 0 or step > 1 << 53 then
    return nil, "batches: the state has no step or no seed"
  end
  self.step, self.seed, self._kept = step, seed, {}
  return true
end

-- ---- the set ---------------------------------------------------------------------------

--- Examples, with their classes if they have any.
---@class diffusion.set
---@field x diffusion.tensor u8 images [n,H,W,C], or numbers [n,...]
---@field class diffusion.tensor|nil i64 [n], 1..classes
---@field eps diffusion.tensor|nil noise that each example is paired with, as x
---@field n integer how many
---@field classes integer|nil
---@field names string[]|nil of the classes
---@field name string
local Set = { __name = "diffusion.set" }
Set.__index = Set

local RULES = {
  size = { "integer", required = true, min = 1 },
  steps = { "integer", min = 0 },
  epochs = { "number", above = 0 },
  shuffle = { "boolean", default = true },
  seed = { "integer" },
  flip = { "boolean", default = false },
}

--- A walk over the set in batches: `for step, x0, class in set:batches{ size = 64 } do`.
--- Images come as floats in [-1, 1]. Each epoch has an order of its own; batches run over
--- the seams between epochs, so that all are full (also where size > n) and nothing is left
--- out. With `epochs`, every example comes exactly that often and the last batch is short
--- if it must be. Read `.step`; set it to start elsewhere (the next batch is step + 1).
---@param options table size; steps, or epochs = 1; shuffle = true; seed (drawn from
---manual_seed's if not given); flip = false: each image mirrored left to right, or not, at even odds
---@return diffusion.batches
---@usage for step, x0, class in d.data.digits():batches{ size = 64, steps = 3 } do print(step, x0:std():item()) end
function Set:batches(options)
  local o = opts.check("batches", options, RULES)
  if o.steps and o.epochs then fail.raise("batches: steps and epochs both given; name one") end
  if self.n == 0 and o.steps ~= 0 then fail.raise("batches: the set is empty") end
  if o.flip and self.x:dim() ~= 4 then
    fail.raise("batches: flip is for images [n,H,W,C], x is %s", kind.shape_text(self.x))
  end
  if o.flip and self.eps then fail.raise "batches: flip is for pictures alone, this set pairs each with its noise" end
  local total = o.steps and o.steps * o.size or math.floor((o.epochs or 1) * self.n)
  return setmetatable({
    step = 0, steps = o.steps or -(-total // o.size), size = o.size, n = self.n,
    shuffle = o.shuffle, flip = o.flip, seed = o.seed or core.data_seed(),
    _set = self, _total = total, _kept = {},
  }, Batches)
end

function Set:__tostring()
  local classes = self.classes and (", %d classes"):format(self.classes) or ""
  return ("%s: %d of [%s] %s%s"):format(self.name, self.n,
    table.concat(self.x:shape(), ",", 2), self.x:dtype(), classes)
end
legible.speaks(Set)

local set = {}

-- The least and the largest of whole numbers: min and max of a tensor refuse what reals round.
local function extremes(class)
  local low, high = math.maxinteger, math.mininteger
  for _, c in ipairs(class:totable()) do low, high = math.min(low, c), math.max(high, c) end
  return low, high
end

local function check_class(class, n, classes)
  if class:dim() ~= 1 or class:size(1) ~= n then
    fail.raise("set: class is %s for %d examples", kind.shape_text(class), n)
  end
  if n == 0 then return classes or 0 end
  local low, high = extremes(class)
  if low < 1 then fail.raise("set: classes count from 1, got some from %d to %d", low, high) end
  if classes and high > classes then
    fail.raise("set: classes from %d to %d, but there are %d classes", low, high, classes)
  end
  return classes or high
end

-- What arithmetic on bytes makes, [n,H,W,C] of i64, are pictures too.
local function is_pictures(x) return x:dtype() == "u8" or x:dtype() == "i64" and x:dim() == 4 end

--- Makes a set of tensors: `.x .class .eps .n .classes .names .name`.
---@param options table x = tensor [n,...], images [n,H,W,C] of u8 or of i64 in 0..255, or numbers; class = i64 tensor
---or list of n in 1..classes; eps = noise that each example is paired with, as x (d.reflow); classes
---(the largest there is if not given); names of the classes; name
---@return diffusion.set
---@usage local set = d.data.set{ x = d.randn(100, 2), class = d.randint(1, 3, { 100 }) }
--- print(set)
function set.new(options)
  local o = opts.check("set", options, {
    x = { "tensor", required = true }, class = { "tensor|table" }, eps = { "tensor" },
    classes = { "integer", min = 1 }, names = { "table" }, name = { "string", default = "set" },
  })
  if o.x:dim() < 1 or (o.x:dtype() == "u8" and o.x:dim() ~= 4) then
    fail.raise("set: x is %s %s; u8 images [n,H,W,C] or numbers [n,...] expected", o.x:dtype(),
      kind.shape_text(o.x))
  end
  local class, classes = o.class, nil
  if class then
    class = fail.call(core.whole, "set: class", class)
    classes = check_class(class, o.x:size(1), o.classes or (o.names and #o.names))
  end
  -- NumPy's files are mostly f64, which this build may only store
  local x = is_pictures(o.x) and picture.bytes("set", o.x) or picture.reals(o.x)
  if o.eps and kind.shape_text(o.eps) ~= kind.shape_text(x) then
    fail.raise("set: eps is %s, but x is %s", kind.shape_text(o.eps), kind.shape_text(x))
  end
  return setmetatable({ x = x:contiguous(), class = class, eps = o.eps and o.eps:contiguous(), n = o.x:size(1),
    classes = classes, names = o.names, name = o.name }, Set)
end

object.methods("batches", Batches)
lookup.strict("batches", Batches, { "step", "steps", "size", "seed", "n", "shuffle", "flip" })
object.methods("set", Set)
lookup.strict("set", Set, { "x", "class", "eps", "n", "classes", "names", "name" })

return set

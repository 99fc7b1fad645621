-- A set of examples, and the iterator over its batches. The examples of a step depend on (seed, step)
-- alone, so an iterator can continue exactly at the step where it stopped.
local classes = require "diffusion.classes"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"
local picture = require "diffusion.picture"

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
local Batches = {}

local private = object.private -- {set, total = examples of all batches, kept = tables of the epoch} and the fields

-- Epochs follow one another in an endless list of examples, each in its own order. Batch k is examples
-- (k-1) size + 1 to k size of that list.
local function places(b, step)
  local from, list = (step - 1) * b.size, {}
  local to = math.min(step * b.size, b.total)
  while from < to do
    local epoch, at = from // b.n, from % b.n
    local count = math.min(b.n - at, to - from)
    list[#list + 1] = { epoch = epoch, at = at, count = count }
    from = from + count
  end
  return list
end

-- The order (or flips) of a whole epoch, kept for the next step, which may be in another d.scope.
local function epoch_table(b, which, epoch)
  local kept = b.kept[which]
  if not kept or kept.epoch ~= epoch then
    local make = which == "order" and core.data_order or core.data_flips
    kept = { epoch = epoch, values = core.unscope(make(b.n, b.seed, epoch)) }
    b.kept[which] = kept
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

--- The next batch, or nil if none is left.
---@return integer|nil step counting from 1
---@return diffusion.tensor|nil x0 [B,...] floats
---@return diffusion.tensor|nil class i64 [B], 1..classes; nil if the set has none
---@return diffusion.tensor|nil eps as x0: the noise of each example, in a set of pairs (d.reflow)
local function call(self)
  local b = private[self]
  if b.step >= b.steps then return nil end
  b.step = b.step + 1
  local list = places(b, b.step)
  local index = indices(b, list)
  local x0 = rows_of(b.set, index, b.flip and flips(b, list) or nil)
  local class, eps = b.set.class, b.set.eps
  return b.step, x0, class and class:index(1, index), eps and eps:index(1, index)
end

local function tostring_batches(self)
  return ("batches of %d from %d, step %d of %d"):format(self.size, self.n, self.step, self.steps)
end

local REMEMBERED = { "step", "seed", "size", "n", "shuffle", "flip" }

--- The state for a checkpoint.
---@return table state { step, seed, size, n, shuffle, flip }
function Batches:state()
  local state = {}
  for _, name in ipairs(REMEMBERED) do state[name] = self[name] end
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
  local step, seed = math.tointeger(state.step), math.tointeger(state.seed)
  if not (step and seed) or step < 0 or step > 1 << 53 then
    return nil, "batches: the state has no step or no seed"
  end
  local b = private[self]
  b.step, b.seed, b.kept = step, seed, {}
  return true
end

local function set_step(b, step)
  if not (math.type(step) and math.tointeger(step) and step >= 0) then
    fail.raise("batches: step must be a whole number of 0 or more, got %s", kind.shown(step))
  end
  b.step = math.tointeger(step)
end

local batches = object.class("batches", Batches, {
  get = { "step", "steps", "size", "n", "seed", "shuffle", "flip" },
  set = { step = set_step },
  __call = call, __tostring = tostring_batches,
})

-- ==== the set ============================================================================

--- Examples, with their classes if they have any.
---@class diffusion.set
---@field x diffusion.tensor u8 images [n,H,W,C], or numbers [n,...]
---@field class diffusion.tensor|nil i64 [n], 1..classes
---@field eps diffusion.tensor|nil noise that each example is paired with, as x
---@field n integer number of examples
---@field classes integer|nil
---@field names string[]|nil names of the classes
---@field name string
local Set = {}

local batches_rules = opts.declare("set_batches", {
  size = { "integer", required = true, min = 1, text = "examples in a batch" },
  steps = { "integer", min = 0, default_text = "by epochs", text = "number of batches" },
  epochs = { "number", above = 0, otherwise = 1, text = "passes over the set, in place of steps" },
  shuffle = { "boolean", default = true, text = "each epoch has an order of its own" },
  seed = rule.seed,
  flip = { "boolean", default = false, text = "mirrors each image left to right with probability 1/2" },
})

--- An iterator over batches: `for step, x0, class in set:batches{ size = 64 } do`. Images are returned
--- as floats in [-1, 1]. Each epoch has its own order. A batch may span two epochs, so all batches are
--- full, even if size > n, and no example is left out. With `epochs`, every example occurs exactly that
--- often, and the last batch may be short. If `.step` is set, the next batch is step + 1.
---@param options diffusion.set_batches_options
---@return diffusion.batches
---@usage for step, x0, class in d.data.digits():batches{ size = 64, steps = 3 } do print(step, x0:std():item()) end
function Set:batches(options)
  local o = opts.check("batches", options, batches_rules)
  if o.steps and o.epochs then fail.raise("batches: steps and epochs both given; name one") end
  if self.n == 0 and o.steps ~= 0 then fail.raise("batches: the set is empty") end
  if o.flip and self.x:dim() ~= 4 then
    fail.raise("batches: flip is for images [n,H,W,C], x is %s", kind.shape_text(self.x))
  end
  if o.flip and self.eps then fail.raise "batches: flip is for pictures alone, this set pairs each with its noise" end
  local total = o.steps and o.steps * o.size or math.floor((o.epochs or batches_rules.epochs.otherwise) * self.n)
  return object.new(batches, {
    step = 0, steps = o.steps or -(-total // o.size), size = o.size, n = self.n,
    shuffle = o.shuffle, flip = o.flip, seed = o.seed or core.data_seed(),
    set = self, total = total, kept = {},
  })
end

local function tostring_set(self)
  local known = self.classes and (", %d classes"):format(self.classes) or ""
  return ("%s: %d of [%s] %s%s"):format(self.name, self.n,
    table.concat(self.x:shape(), ",", 2), self.x:dtype(), known)
end

local sets = object.class("set", Set, {
  fields = { "x", "class", "eps", "n", "classes", "names", "name" }, __tostring = tostring_set,
})

local set = {}

-- Arithmetic on bytes gives i64, so [n,H,W,C] of i64 are pictures too.
local function is_pictures(x) return x:dtype() == "u8" or x:dtype() == "i64" and x:dim() == 4 end

local set_rules = opts.declare("data_set", {
  x = { "tensor", required = true, text = "[n,...]: numbers, or images [n,H,W,C] of u8 or of i64 in 0..255" },
  class = opts.joined(classes.rule, { text = "the class of all examples or of each, 1 to classes" }),
  eps = { "tensor", text = "noise that each example is paired with, as x (d.reflow)" },
  classes = { "integer", min = 1, default_text = "the largest class", text = "number of classes" },
  names = { "table", as = "string[]", text = "names of the classes" },
  name = { "string", default = "set", text = "the set's name" },
})

--- Makes a set of tensors: `.x .class .eps .n .classes .names .name`.
---@param options diffusion.data_set_options
---@return diffusion.set
---@usage local set = d.data.set{ x = d.randn(100, 2), class = d.randint(1, 3, { 100 }) }
--- print(set)
function set.new(options)
  local o = opts.check("set", options, set_rules)
  if o.x:dim() < 1 or (o.x:dtype() == "u8" and o.x:dim() ~= 4) then
    fail.raise("set: x is %s %s; u8 images [n,H,W,C] or numbers [n,...] expected", o.x:dtype(),
      kind.shape_text(o.x))
  end
  local class, count = o.class, nil
  if class then class, count = classes.labels("set", class, o.x:size(1), o.classes or (o.names and #o.names)) end
  -- NumPy's files are mostly f64, which this build may only store
  local x = is_pictures(o.x) and picture.bytes("set", o.x) or picture.reals(o.x)
  if o.eps and kind.shape_text(o.eps) ~= kind.shape_text(x) then
    fail.raise("set: eps is %s, but x is %s", kind.shape_text(o.eps), kind.shape_text(x))
  end
  return object.new(sets, nil, { x = x:contiguous(), class = class, eps = o.eps and o.eps:contiguous(),
    n = o.x:size(1), classes = count, names = o.names, name = o.name })
end

return set

-- A set of examples: tensors, or pictures of several sizes. Its batches are in data/batches.lua.
local batches = require "diffusion.data.batches"
local classes = require "diffusion.classes"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local picture = require "diffusion.picture"
local source = require "diffusion.data.source"

local private = object.private -- {buckets, public = the fields, encoded}

--- Examples, with their classes if they have any.
---@class diffusion.set
---@field x diffusion.tensor|nil u8 images [n,H,W,C], or numbers [n,...]; nil if pictures have several sizes or crops
---@field class diffusion.tensor|nil i64 [n], 1..classes
---@field eps diffusion.tensor|nil noise that each example is paired with, as x
---@field n integer number of examples
---@field classes integer|nil
---@field names string[]|nil names of the classes
---@field name string
---@field captions string[]|nil a text for each example
---@field subgroups string[]|nil the name of each example's part of its class (d.data.emoji)
---@field paths string[]|nil the files of the pictures
---@field sizes integer[][]|nil {height, width} of each picture before it was resized
---@field buckets table[]|nil {height =, width =, n =} of each size, if pictures have several or crops
local Set = {}

local function check_flip(self)
  if private[self].encoded then fail.raise "batches: flip is for pictures, but this set holds their latents" end
  if self.eps then fail.raise "batches: flip is for pictures alone, this set pairs each with its noise" end
  if self.x and self.x:dim() ~= 4 then
    fail.raise("batches: flip is for images [n,H,W,C], x is %s", kind.shape_text(self.x))
  end
end

--- An iterator over batches: `for step, x0, class in set:batches{ size = 64 } do`. Images are returned
--- as floats in [-1, 1]. Each epoch has its own order. A batch may span two epochs, so all batches are
--- full, even if size > n, and no example is left out. With `epochs`, every example occurs exactly that
--- often, and the last batch may be short. If `.step` is set, the next batch is step + 1.
--- A set of pictures of several sizes has a bucket of each. A batch is of one bucket, and batches of all are mixed.
---@param options diffusion.set_batches_options
---@return diffusion.batches
---@usage for step, x0, class in d.data.digits():batches{ size = 64, steps = 3 } do print(step, x0:std():item()) end
function Set:batches(options)
  local o, own = opts.check("batches", options, batches.rules), private[self]
  if o.steps and o.epochs then fail.raise("batches: steps and epochs both given; name one") end
  if self.n == 0 and o.steps ~= 0 then fail.raise("batches: the set is empty") end
  if o.flip then check_flip(self) end
  return batches.new(own.public, own.buckets, o, own.encoded)
end

-- The sizes of a set's pictures.
local function sizes_text(self, own)
  if self.x then return ("[%s] %s"):format(table.concat(self.x:shape(), ",", 2), self.x:dtype()) end
  if #own.buckets == 1 then return ("%d x %d"):format(own.buckets[1].height, own.buckets[1].width) end
  return ("%d sizes"):format(#own.buckets)
end

local function tostring_set(self)
  local known = self.classes and (", %d classes"):format(self.classes) or ""
  local captions = self.captions and ", with captions" or ""
  return ("%s: %d of %s%s%s"):format(self.name, self.n, sizes_text(self, private[self]), known, captions)
end

local sets = object.class("set", Set, {
  fields = { "x", "class", "eps", "n", "classes", "names", "name", "captions", "subgroups", "sizes", "paths",
             "buckets" },
  __tostring = tostring_set,
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
  captions = { "table", each = { "string" }, as = "string[]", text = "a text for each example" },
})

-- The public sizes of buckets.
local function shown(buckets)
  local out = {}
  for i, bucket in ipairs(buckets) do out[i] = { height = bucket.height, width = bucket.width, n = bucket.n } end
  return out
end

--- A set of buckets.
---@param public table its fields
---@param buckets table[] as for batches.new
---@param encoded function|nil inputs of a network for examples, as for batches.new
---@return diffusion.set
function set.of(public, buckets, encoded)
  if not public.x then public.buckets = shown(buckets) end
  return object.new(sets, { buckets = buckets, public = public, encoded = encoded }, public)
end

--- The buckets of a set, as for batches.new.
---@param one diffusion.set
---@return table[]
function set.parts(one) return private[one].buckets end

--- Whether a set holds latents and states.
---@param one diffusion.set
---@return boolean
function set.is_encoded(one) return private[one].encoded ~= nil end

local function check_captions(o, n)
  if o.captions and #o.captions ~= n then
    fail.raise("set: %d captions for %d examples", #o.captions, n)
  end
end

--- Makes a set of tensors: `.x .class .eps .n .classes .names .name .captions`.
---@param options diffusion.data_set_options
---@return diffusion.set
---@usage local set = d.data.set{ x = d.randn(100, 2), class = d.randint(1, 3, { 100 }) }
--- print(set)
function set.new(options) return set.made(options) end

--- The same, with what is known of the pictures.
---@param options table
---@param more table|nil {sizes, paths, spares, subgroups}
---@return diffusion.set
function set.made(options, more)
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
  check_captions(o, o.x:size(1))
  x = x:contiguous()
  return set.of({ x = x, class = class, eps = o.eps and o.eps:contiguous(), n = o.x:size(1), classes = count,
    names = o.names, name = o.name, captions = o.captions, subgroups = more and more.subgroups,
    sizes = more and more.sizes, paths = more and more.paths },
    { { n = o.x:size(1), source = source.tensor(x, more and more.spares), height = x:dim() == 4 and x:size(2) or nil,
      width = x:dim() == 4 and x:size(3) or nil } })
end

return set

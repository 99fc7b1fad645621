-- Pictures of files as a set: resized and cut to one size, or each to the size of its bucket.
local buckets = require "diffusion.data.buckets"
local core = require "diffusion.core"
local image = require "diffusion.image"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local set = require "diffusion.data.set"
local source = require "diffusion.data.source"

local pictures = {}

local MOST = 65535 -- the greatest height or width

-- ==== one picture =======================================================================

-- The size to which a picture is resized, so that it covers another size.
local function cover(h, w, height, width)
  if height * w >= width * h then return height, math.max(width, math.floor(w * height / h + 0.5)) end
  return math.max(height, math.floor(h * width / w + 0.5)), width
end

-- A picture that covers a size, cut around its middle unless `whole`; the rows and columns that are left over, and its
-- size before. Or nil and a message.
local function fitted(path, x, height, width, whole)
  local h, w = x:size(1), x:size(2)
  if not height then return x, { 0, 0 }, { h, w } end
  local tall, wide = cover(h, w, height, width)
  if not whole then return core.picture_fit(x, height, width), { tall - height, wide - width }, { h, w } end
  if math.max(tall, wide) > MOST then
    return legible.refused("%s is %d x %d pixels, too narrow for crops of %d x %d", path, w, h, width, height)
  end
  return core.picture_fit(x, tall, wide), { tall - height, wide - width }, { h, w }
end

-- ==== one size ==========================================================================

-- All pictures as one tensor, with what is left over of each, and their sizes before.
local function read_all(list, o)
  local all, H, W
  local more = { sizes = {}, spares = {} }
  for i, picture in ipairs(list) do
    local x, message = image.read(picture.path, o.channels, { upright = o.upright })
    if x then x, more.spares[i], more.sizes[i] = fitted(picture.path, x, o.height, o.width) end
    if not x then return nil, message end
    if not all then
      H, W = x:size(1), x:size(2)
      all = core.zeros({ #list, H, W, o.channels }, { dtype = "u8" })
    end
    if x:size(1) ~= H or x:size(2) ~= W then
      return legible.refused("%s is %d x %d pixels, those before are %d x %d; give a size to make them one",
        picture.path, x:size(2), x:size(1), W, H)
    end
    all:select(1, i):copy_(x)
  end
  return all, more
end

-- ==== buckets ===========================================================================

local function new_bucket(size)
  return { n = 0, height = size[1], width = size[2], members = {}, spares = {}, list = {} }
end

-- Reads a picture into its bucket. The result is the picture's size, or nil and a message.
local function add(all, sizes, path, i, o)
  local x, message = image.read(path, o.channels, { upright = o.upright })
  if not x then return nil, message end
  local bucket = all[buckets.nearest(sizes, x:size(1), x:size(2))]
  local spare, size
  x, spare, size = fitted(path, x, bucket.height, bucket.width, o.crop == "random")
  if not x then return nil, spare end
  local n = bucket.n + 1
  bucket.n, bucket.members[n], bucket.spares[n], bucket.list[n] = n, i, spare, x
  return size
end

-- The buckets that have pictures, with their sources.
local function filled(all, o)
  local out = {}
  for _, bucket in ipairs(all) do
    if bucket.n > 0 then
      bucket.random = o.crop == "random"
      bucket.source = source.pictures(bucket.list, bucket.height, bucket.width, bucket.spares)
      out[#out + 1] = bucket
    end
  end
  return out
end

local function read_buckets(list, o)
  local sizes = o.buckets or { { o.height, o.width } }
  local all, before = {}, {}
  for k, size in ipairs(sizes) do all[k] = new_bucket(size) end
  for i, picture in ipairs(list) do
    local size, message = add(all, sizes, picture.path, i, o)
    if not size then return nil, message end
    before[i] = size
  end
  return filled(all, o), before
end

-- ==== the set ===========================================================================

--- A set of pictures.
---@param list table[] {path}
---@param o table options of d.data.folder, with height and width or a list of buckets
---@param known table {names, name, captions, paths, class}
---@return diffusion.set|nil set nil with a message
---@return string|nil message
function pictures.set(list, o, known)
  if not o.buckets and o.crop ~= "random" then
    local x, more = read_all(list, o)
    if not x then return nil, more end
    more.paths = known.paths
    return set.made({ x = x, class = known.class, names = known.names, name = known.name, captions = known.captions },
      more)
  end
  local all, sizes = read_buckets(list, o)
  if not all then return nil, sizes end
  return set.of(opts.joined(known, { class = known.class and core.tensor(known.class, { dtype = "i64" }),
    classes = known.names and #known.names, n = #list, sizes = sizes }), all)
end

return pictures

-- Buckets: the sizes to which pictures of different shapes are brought. All have about the same area.
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"

local buckets = {}

local MOST = 4096 -- buckets

local rules = opts.declare("data_buckets", {
  area = { "integer", min = 1, max = 1 << 30, default = 512 * 512, text = "most pixels of a picture" },
  multiple = { "integer", min = 1, max = 1 << 15, default = 64, text = "height and width are multiples of it" },
  min = { "integer", min = 1, max = 65535, default_text = "half the root of the area",
    text = "least height and width" },
  max = { "integer", min = 1, max = 65535, default_text = "twice the root of the area",
    text = "greatest height and width" },
  sizes = { "table", each = { "table" }, least = 1, as = "integer[][]",
    text = "{height, width} of each, in place of the other options" },
})

local function checked_sizes(list)
  for i, size in ipairs(list) do
    local h, w = math.tointeger(size[1]), math.tointeger(size[2])
    if not (h and w) or #size ~= 2 or h < 1 or w < 1 or math.max(h, w) > 65535 then
      fail.raise("folder: buckets: size %d must be {height, width}, whole numbers in 1..65535", i)
    end
  end
  return list
end

-- The whole numbers that sides may have.
local function bounds(o)
  local root, m = math.sqrt(o.area), o.multiple
  local least = -(-(o.min or math.max(1, math.floor(root / 2))) // m) * m
  local most = (o.max or math.floor(2 * root)) // m * m
  if (most - least) // m > MOST then
    fail.raise("folder: buckets: sides from %d to %d by %d are more than %d sizes", least, most, m, MOST)
  end
  return least, most
end

-- For each side, the greatest other one whose product is within the area, either way up; and the largest square.
local function listed(o)
  local least, most = bounds(o)
  local out, seen = {}, {}
  local function add(h, w)
    local key = ("%d %d"):format(h, w)
    if math.min(h, w) >= least and not seen[key] then seen[key], out[#out + 1] = true, { h, w } end
  end
  local square = math.floor(math.sqrt(o.area)) // o.multiple * o.multiple
  if square <= most then add(square, square) end
  for h = least, most, o.multiple do
    local w = math.min(most, o.area // h // o.multiple * o.multiple)
    add(h, w)
    add(w, h)
  end
  if #out == 0 then
    fail.raise("folder: buckets: no size of sides from %d to %d, multiples of %d, has an area up to %d", least, most,
      o.multiple, o.area)
  end
  return out
end

--- The sizes of buckets.
---@param given true|table as the option `buckets` of d.data.folder
---@return integer[][] list of {height, width}
function buckets.of(given)
  local o = opts.check("folder: buckets", given ~= true and given or {}, rules, 0)
  if not o.sizes then return listed(o) end
  for _, name in ipairs { "area", "multiple", "min", "max" } do
    if given[name] ~= nil then fail.raise("folder: buckets: %s and sizes; one of the two expected", name) end
  end
  return checked_sizes(o.sizes)
end

--- The bucket whose shape is nearest to a picture's: the largest of those that tie.
---@param list integer[][]
---@param height integer
---@param width integer
---@return integer number of the bucket
function buckets.nearest(list, height, width)
  local best, least, area
  for i, size in ipairs(list) do
    local off = math.abs(math.log(width / height) - math.log(size[2] / size[1]))
    local own = size[1] * size[2]
    if not best or off < least - 1e-12 or off < least + 1e-12 and own > area then best, least, area = i, off, own end
  end
  return best
end

buckets.rule = { "boolean|table", default = false, as = "boolean|diffusion.data_buckets_options",
  default_text = "none", text = "sizes by the shapes of the pictures: true, or {area =, multiple =, min =, max =}" }

return buckets

-- Sources of a bucket's examples: a tensor of all, or a list of pictures from which crops are cut.
-- A source is a function (index i64 {B}, how) -> x0 {B, ...}, crops. `how` has flip u8 {B} and corners {B, 2}, and
-- crops are {top, left} of each picture in the one that was resized, or nil.
local core = require "diffusion.core"

local source = {}

-- ==== corners of crops ===================================================================

-- The corner of a crop, by the rows and columns that are left over, and where it lies if mirrored.
local function corner(spare, at, flipped)
  local top, left = spare[1] // 2, spare[2] // 2
  if at then top, left = math.floor(at[1] * (spare[1] + 1)), math.floor(at[2] * (spare[2] + 1)) end
  return { top, left }, { top, flipped and spare[2] - left or left }
end

-- The corners in the pictures, and the same in the mirrored ones.
local function corners_of(spares, index, how)
  local real, told = {}, {}
  local at = how.corners and how.corners:totable()
  local flip = how.flip and how.flip:totable()
  for b, i in ipairs(index:totable()) do
    real[b], told[b] = corner(spares[i], at and at[b], flip and flip[b] == 1)
  end
  return real, told
end

-- ==== sources ===========================================================================

-- Rows of floats, mirrored where flip is 1.
local function mirrored(rows, flip)
  return core.ops.where(flip:reshape(flip:numel(), 1, 1, 1), rows:flip(3), rows)
end

local function rows_of(x, index, flip)
  if x:dtype() == "u8" then return core.gather_images(x, index, flip) end
  local rows = x:index(1, index)
  return flip and mirrored(rows, flip) or rows
end

--- The rows of a tensor.
---@param x diffusion.tensor u8 [n,H,W,C] or numbers [n,...]
---@param spares table[]|nil rows and columns that the crop of each picture left over
---@return function
function source.tensor(x, spares)
  return function(index, how)
    local told
    if spares then told = select(2, corners_of(spares, index, how)) end
    return rows_of(x, index, how.flip), told
  end
end

--- Crops of pictures.
---@param list diffusion.tensor[] u8 [h,w,C], at least as high and wide
---@param height integer
---@param width integer
---@param spares table[] rows and columns that the crop of each picture leaves over
---@return function
function source.pictures(list, height, width, spares)
  return function(index, how)
    local real, told = corners_of(spares, index, how)
    local B, C = #real, list[1]:size(3)
    local x = core.zeros({ B, height, width, C }, { dtype = "u8" })
    for b, i in ipairs(index:totable()) do
      local picture, whole = list[i], list[i]:size(1) == height and list[i]:size(2) == width
      if not whole then picture = picture:narrow(1, real[b][1] + 1, height):narrow(2, real[b][2] + 1, width) end
      x:select(1, b):copy_(picture)
    end
    return core.gather_images(x, core.arange(1, B):to "i64", how.flip), told
  end
end

return source

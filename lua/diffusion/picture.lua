-- The numbers of a picture: u8 bytes, floats in [-1, 1], or i64 whole numbers in 0..255, the result
-- of arithmetic on bytes. Functions that take pictures call these checks. Other values raise.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local warning = require "diffusion.warning"

local picture = {}

local OTHER = { jpg = true, jpeg = true, gif = true, bmp = true, webp = true, tif = true, tiff = true }

--- Raises unless a path can be that of a PNG.
---@param name string the function
---@param path any
function picture.check_path(name, path)
  opts.path(name, path)
  if OTHER[legible.lower(path:match "%.([^./]+)$" or "")] then
    fail.raise("%s: pictures are written as PNG; %s names another format", name, path)
  end
end

-- Floats that are never negative but go beyond this are bytes that were not scaled. Samples that
-- overshoot [-1, 1] do so on both sides.
local UNSCALED = 4

local REMEDY = 'x:to "u8" makes bytes of numbers in 0..255'

local function check_tensor(name, x)
  if kind.of(x) == "tensor" then return end
  fail.raise("%s: a tensor expected, got %s%s", name, kind.shown(x), opts.advice(x, "picture|tensor"))
end

local function check_whole(name, x)
  local least, most = core.picture_range(x)
  if least < 0 or most > 255 then
    fail.raise("%s: whole numbers from %.0f to %.0f; those of a picture lie in 0..255", name, least, most)
  end
end

-- `shown`: the picture is only looked at, so a warning does.
local function check_floats(name, x, shown)
  local least, most, nans, infinite = core.picture_range(x)
  if nans + infinite > 0 then
    fail.raise("%s: of %d numbers %d are nan and %d infinite; those of a picture are finite", name, x:numel(), nans,
      infinite)
  end
  if least < 0 or most <= 2 then return end
  if most > UNSCALED and not shown then
    fail.raise("%s: floats from %.4g to %.4g; those of a picture lie in [-1, 1] (%s)", name, least, most, REMEDY)
  end
  warning.once(picture, name, "%s: floats from %.4g to %.4g; those of a picture lie in [-1, 1]%s", name, least, most,
    most > UNSCALED and (" (%s)"):format(REMEDY) or "")
end

--- The numbers of a picture as contiguous bytes. Floats outside [-1, 1] are clamped.
---@param name string the function's name, as the user writes it
---@param x diffusion.tensor any shape
---@param shown boolean|nil unscaled bytes as floats are a warning, not an error
---@return diffusion.tensor u8
function picture.bytes(name, x, shown)
  check_tensor(name, x)
  local dtype = x:dtype()
  if dtype == "u8" then return x:contiguous() end
  if dtype == "i64" then
    x = x:contiguous()
    check_whole(name, x)
    return x:to "u8"
  end
  x = x:detach():to(core.real):contiguous()
  check_floats(name, x, shown)
  return core.picture_to_bytes(x)
end

--- A picture's numbers as floats in [-1, 1]. Floats are returned unchanged.
---@param name string
---@param x diffusion.tensor any shape
---@return diffusion.tensor
function picture.floats(name, x)
  check_tensor(name, x)
  if x:dtype() == "u8" or x:dtype() == "i64" then return core.picture_to_float(picture.bytes(name, x)) end
  return x
end

--- Numbers as reals. As in arithmetic, it is an error if a real would round a whole number of an i64.
---@param x diffusion.tensor
---@return diffusion.tensor reals of type core.real
function picture.reals(x)
  if x:dtype() == "i64" then return fail.call(core.ops.div, x, 1) end
  return x:to(core.real)
end

--- The numbers of a set's examples. Those of pictures (bytes, or whole numbers [n,H,W,C]) become
--- floats in [-1, 1]. Others are returned as reals.
---@param name string
---@param x diffusion.tensor [n, ...]
---@return diffusion.tensor reals of type core.real
function picture.examples(name, x)
  if x:dtype() == "u8" or x:dtype() == "i64" and x:dim() == 4 then x = picture.floats(name, x) end
  return picture.reals(x)
end

--- Raises unless x has the shape of a picture [H,W,C] (3 dimensions) or of a batch of them (4).
---@param name string
---@param x any
---@param least integer dimensions
---@param most integer
function picture.check(name, x, least, most)
  check_tensor(name, x)
  if x:dim() < least or x:dim() > most then
    fail.raise("%s: %s expected, got %s", name, most == 3 and "[H,W,C]" or least == 4 and "[B,H,W,C]"
      or "[H,W,C] or [B,H,W,C]", kind.shape_text(x))
  end
  local C = x:size(-1)
  if C < 1 or C > 4 then fail.raise("%s: %d channels; a picture has 1 to 4", name, C) end
end

return picture

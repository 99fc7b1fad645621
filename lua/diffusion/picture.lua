-- What the numbers of a picture are: u8 bytes, floats in [-1, 1], or i64 whole numbers in 0..255,
-- which arithmetic makes of bytes. Whatever takes pictures asks here; all else is a sentence.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local warning = require "diffusion.warning"

local picture = {}

-- Floats beyond this of which none is negative are bytes that were never scaled; samples that
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

local function check_floats(name, x)
  local least, most, nans, infinite = core.picture_range(x)
  if nans + infinite > 0 then
    fail.raise("%s: of %d numbers %d are nan and %d infinite; those of a picture are finite", name, x:numel(), nans,
      infinite)
  end
  if least >= 0 and most > 2 and most <= UNSCALED then
    warning.once(picture, name, "%s: floats from %.4g to %.4g; those of a picture lie in [-1, 1]", name, least, most)
  end
  if least >= 0 and most > UNSCALED then
    fail.raise("%s: floats from %.4g to %.4g; those of a picture lie in [-1, 1] (%s)", name, least, most, REMEDY)
  end
end

--- Dense bytes of a picture's numbers; floats outside [-1, 1] are clamped.
---@param name string the function's, as the user writes it
---@param x diffusion.tensor of any shape
---@return diffusion.tensor u8
function picture.bytes(name, x)
  check_tensor(name, x)
  local dtype = x:dtype()
  if dtype == "u8" then return x:contiguous() end
  if dtype == "i64" then
    x = x:contiguous()
    check_whole(name, x)
    return x:to "u8"
  end
  x = x:detach():to(core.real):contiguous()
  check_floats(name, x)
  return core.picture_to_bytes(x)
end

--- A picture's numbers as floats in [-1, 1]; floats stay as they are.
---@param name string
---@param x diffusion.tensor of any shape
---@return diffusion.tensor
function picture.floats(name, x)
  check_tensor(name, x)
  if x:dtype() == "u8" or x:dtype() == "i64" then return core.picture_to_float(picture.bytes(name, x)) end
  return x
end

--- Numbers as reals: an error, as in arithmetic, where these would round the whole ones of an i64.
---@param x diffusion.tensor
---@return diffusion.tensor of core.real
function picture.reals(x)
  if x:dtype() == "i64" then return fail.call(core.ops.div, x, 1) end
  return x:to(core.real)
end

--- The numbers of a set's examples: those of pictures, as bytes are and whole numbers [n,H,W,C], as
--- floats in [-1, 1]; others as they are.
---@param name string
---@param x diffusion.tensor [n, ...]
---@return diffusion.tensor of core.real
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

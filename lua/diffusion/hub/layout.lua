-- Pipelines whose text encoder draws first. Its projection of a text is a picture of latents, learned by regression,
-- and the denoiser gets that layout next to x. diffusers has no such class.
local fail = require "diffusion.fail"
local latents = require "diffusion.hub.latents"

local layout = {}

-- The numbers of a layout: height, width and channels.
local function sizes(own)
  local image, c = own.image, latents.config(own.unet)
  return image.H, image.W, c.out_channels
end

--- Whether networks are those of such a pipeline: the text encoder's projection fills the further channels of x.
---@param unet any
---@param text any
---@return boolean
function layout.fits(unet, text)
  local c, t = latents.config(unet), latents.config(text)
  local side = c.sample_size
  if not (t.projection and math.type(side) == "integer" and c.in_channels == 2 * (c.out_channels or 0)) then
    return false
  end
  return t.projection_dim == side * side * c.out_channels
end

--- The layouts of texts.
---@param where string
---@param own table the private state of a pipe
---@param pooled diffusion.tensor {n, h w C}
---@return diffusion.tensor layouts {n, h, w, C}
function layout.of(where, own, pooled)
  local h, w, C = sizes(own)
  if pooled:size(2) ~= h * w * C then
    fail.raise("%s: the text encoder projects to %d numbers, but the denoiser's layout has %d x %d x %d", where,
      pooled:size(2), h, w, C)
  end
  return pooled:reshape(pooled:size(1), h, w, C)
end

--- Raises if images have another size than the layout.
---@param where string
---@param own table the private state of a pipe
---@param shape integer[] the sizes of x
function layout.check(where, own, shape)
  local h, w = sizes(own)
  if shape[2] == h and shape[3] == w then return end
  local f = latents.factor(own)
  fail.raise("%s: images of %d x %d pixels; the text encoder draws layouts for %d x %d", where, shape[2] * f,
    shape[3] * f, h * f, w * f)
end

return layout

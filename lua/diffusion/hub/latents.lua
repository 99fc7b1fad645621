-- Images and what a pipe's denoiser sees of them: themselves, or an autoencoder's latents.
local pipelines = require "diffusion.hub.pipelines"

local latents = {}

local function scale(vae) return vae:config().scaling_factor or 1 end

--- Latents of images.
---@param own table {vae =}
---@param images diffusion.tensor {n, H, W, C} in [-1, 1]
---@return diffusion.tensor
function latents.encode(own, images)
  local x = own.unit and (images + 1) * 0.5 or images
  return own.vae and own.vae:encode(x) * scale(own.vae) or x
end

--- Whether a denoiser's x are latents, and no autoencoder is there to decode them.
---@param own table {class =, vae =}
---@return boolean
function latents.are_bare(own)
  local known = pipelines.find(own.class)
  return known ~= nil and known.vae ~= nil and not own.vae
end

--- Images of a denoiser's x, within [-1, 1]. Without the autoencoder that the pipeline needs, x itself.
---@param own table {class =, vae =, unit = true if images are in [0, 1] there}
---@param x diffusion.tensor
---@return diffusion.tensor images {n, H, W, C}
function latents.decode(own, x)
  if latents.are_bare(own) then return x end
  if own.vae then x = own.vae:decode(x * (1 / scale(own.vae))) end
  if own.unit then x = x * 2 - 1 end
  return x:clamp(-1, 1)
end

--- Pixels of an image, in each direction, for one of the denoiser's x.
---@param own table {vae =}
---@return integer
function latents.factor(own)
  if not own.vae then return 1 end
  local c = own.vae:config()
  local levels = c.block_out_channels or c.encoder_block_out_channels
  return levels and 1 << #levels - 1 or 1
end

return latents

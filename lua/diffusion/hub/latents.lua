-- Images and what a pipe's denoiser sees of them: themselves, or an autoencoder's latents.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local model = require "diffusion.nn.model"
local pipelines = require "diffusion.hub.pipelines"

local latents = {}

--- The config of a network, or of an average of one; {} for a function.
---@param net any
---@return table
function latents.config(net)
  return (model.is_model(net) or kind.of(net) == "ema") and net:config() or {}
end

-- ==== scales ============================================================================

-- The factor, and what is taken off first: numbers, or one for each channel.
local function scales(vae)
  local c = vae:config()
  local factor, off = c.scaling_factor or 1, c.shift_factor or 0
  if c.latents_mean and c.latents_std then
    return core.tensor(c.latents_std):reciprocal() * factor, core.tensor(c.latents_mean)
  end
  return factor, off
end

--- An autoencoder's latents as the denoiser's x.
---@param own table {vae =}
---@param z diffusion.tensor
---@return diffusion.tensor
function latents.scaled(own, z)
  if not own.vae then return z end
  local factor, off = scales(own.vae)
  return (z - off) * factor
end

--- An autoencoder's deviations as those of the denoiser's x.
---@param own table {vae =}
---@param std diffusion.tensor
---@return diffusion.tensor
function latents.spread(own, std)
  local factor = scales(own.vae)
  return std * factor
end

local function unscaled(own, x)
  local factor, off = scales(own.vae)
  return x / factor + off
end

-- ==== encoding and decoding =============================================================

-- The options of an autoencoder's encode and decode.
local function tiled(vae, tile)
  if not tile then return nil end
  local family = vae:config().kind
  if family ~= "autoencoderkl" then fail.raise("pipe: tile: %s has no tiles, only autoencoderkl", family) end
  return { tile = tile }
end

--- An autoencoder's latents of images, without the denoiser's scale; those of AutoencoderKL are means and
--- deviations.
---@param own table {vae =}
---@param images diffusion.tensor {n, H, W, C} in [-1, 1]
---@param tile boolean|table|nil
---@return diffusion.tensor mean
---@return diffusion.tensor|nil std
function latents.moments(own, images, tile)
  local x = own.unit and (images + 1) * 0.5 or images
  if not own.vae then return x end
  return own.vae:encode(x, tiled(own.vae, tile))
end

--- Latents of images: the mean of those that an autoencoder draws.
---@param own table {vae =}
---@param images diffusion.tensor {n, H, W, C} in [-1, 1]
---@param tile boolean|table|nil
---@return diffusion.tensor
function latents.encode(own, images, tile) return latents.scaled(own, (latents.moments(own, images, tile))) end

--- Whether a denoiser's x are latents, and no autoencoder is there to decode them.
---@param own table {class =, vae =}
---@return boolean
function latents.are_bare(own)
  local known = pipelines.find(own.class)
  return known ~= nil and known.vae ~= nil and not own.vae
end

-- One image after the other: the decoder's memory is that of one.
local function decoded(vae, z, tile)
  local out = {}
  for k = 1, z:size(1) do
    out[k] = gradient.scope(function() return (vae:decode(z:narrow(1, k, 1), tiled(vae, tile))) end)
  end
  return core.ops.cat(out, 1)
end

--- Images of a denoiser's x, within [-1, 1]. Without the autoencoder that the pipeline needs, x itself.
---@param own table {class =, vae =, unit = true if images are in [0, 1] there}
---@param x diffusion.tensor
---@param tile boolean|table|nil
---@return diffusion.tensor images {n, H, W, C}
function latents.decode(own, x, tile)
  if latents.are_bare(own) then return x end
  if own.vae then x = decoded(own.vae, unscaled(own, x), tile) end
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

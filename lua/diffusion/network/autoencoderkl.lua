-- AutoencoderKL of diffusers is the autoencoder of latent diffusion (Rombach et al. 2022). Its latents
-- have a normal distribution (Kingma & Welling 2014).
local coder = require "diffusion.nn.coder"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local family = require "diffusion.nn.family"
local kind = require "diffusion.kind"
local layers = require "diffusion.nn.layers"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"
local tiles = require "diffusion.nn.tiles"

local kl = { name = "autoencoderkl" }

local LOW, HIGH = -30, 20 -- bounds of ln variance

local function moments(text, above)
  return { "table", each = { "number", above = above }, as = "number[]", text = text }
end

kl.options = family.declare(kl.name, opts.joined(coder.rules, {
  latent_channels = family.size(4, 1, "channels of the latents"),
  sample_size = { "integer|table", default = 32, min = 1, max = 1 << 20, each = { "integer", min = 1 }, entries = 2,
    as = "integer|integer[]", text = "height and width of the images that it was trained on, and of a tile" },
  scaling_factor = family.kept { "number", default = 0.18215, above = 0,
    text = "latents are multiplied by it in a pipeline" },
  shift_factor = family.kept { "number", text = "subtracted from latents in a pipeline before that" },
  latents_mean = family.kept(moments "mean of each channel of the latents"),
  latents_std = family.kept(moments("standard deviation of each channel of the latents", 0)),
  force_upcast = family.kept { "boolean", default = true, text = "activations are in float32 anyway" },
  use_quant_conv = { "boolean", default = true, text = "a 1x1 convolution behind the encoder" },
  use_post_quant_conv = { "boolean", default = true, text = "a 1x1 convolution before the decoder" },
  mid_block_add_attention = { "boolean", default = true, text = "attention between the two middle blocks" },
  recompute = family.recompute,
}))

function kl.check(o)
  coder.check(kl.name, o)
  for _, name in ipairs { "latents_mean", "latents_std" } do
    if o[name] and #o[name] ~= o.latent_channels then
      family.fail("autoencoderkl: %s has %d entries, but latent_channels is %d", name, #o[name], o.latent_channels)
    end
  end
end

function kl.text(o)
  return ("channels %d, latents %d, levels %d"):format(o.in_channels, o.latent_channels, #o.block_out_channels)
end

function kl.compose(m, o, list)
  local square, C = { kernel = 1, pad = 0 }, o.latent_channels
  m.encoder = list(coder.encoder(o, 2 * C))
  if o.use_quant_conv then m.quant_conv = layers.conv(2 * C, 2 * C, square) end
  if o.use_post_quant_conv then m.post_quant_conv = layers.conv(C, C, square) end
  m.decoder = list(coder.decoder(o))
end

-- ==== tiles ==============================================================================

-- Larger tiles of Stable Diffusion's decoder take more than 0.5 GB.
local USUAL = 192

local ROUNDING = 1e-6 -- latents: 100 * 0.07 is a little more than 7

local tile_rules = opts.declare("autoencoderkl_tile", {
  size = { "integer", min = 1, default_text = "sample_size, at most 192; diffusers takes sample_size",
    text = "height and width of a tile in pixels, rounded down to whole latents" },
  overlap = { "number", default = 0.25, min = 0, below = 1,
    text = "share of a tile that lies in the one before, rounded up to whole latents" },
})

local call_rules = {
  tile = { "boolean|table", default = false, as = "boolean|diffusion.autoencoderkl_tile_options",
    text = "images larger than a tile are computed in overlapping tiles, which takes less memory" },
}
local encode_rules = opts.declare("autoencoderkl_encode", call_rules)
local decode_rules = opts.declare("autoencoderkl_decode", call_rules)

-- Tiles of whole latents: {size, step} in latents, and `factor` pixels for each; nil for none. Those of
-- diffusers are the same, if its tiles and their overlap are whole latents. Else its images are of a
-- wrong size.
local function tiled(where, m, given)
  if not given then return nil end
  local o, c = opts.check(where .. ": tile", given ~= true and given or {}, tile_rules, 0), m:config()
  local usual = math.min(type(c.sample_size) == "table" and c.sample_size[1] or c.sample_size, USUAL)
  local factor = 1 << #c.block_out_channels - 1
  local size = (o.size or usual) // factor
  local step = size - math.ceil(size * o.overlap - ROUNDING)
  if step < 1 then
    fail.raise("%s: tiles of %d pixels with an overlap of %g are too small: they have %d latents a side", where,
      o.size or usual, o.overlap, size)
  end
  return { size = size, step = step, factor = factor }
end

-- fn(x), in tiles if x is larger than one. x has `from` places for a latent, and the result `to`.
local function in_tiles(x, t, from, to, fn)
  if not t or x:size(2) <= t.size * from and x:size(3) <= t.size * from then return fn(x) end
  return tiles.run(x, { size = t.size * from, step = t.step * from, least = from, extent = (t.size - t.step) * to,
    limit = t.step * to }, fn)
end

-- ==== methods ============================================================================

--- An autoencoder of latent diffusion, as d.autoencoderkl makes it. Called with images, it returns the
--- decoded ones and the divergence of its latents from standard normal ones, for training.
---@class diffusion.autoencoderkl: diffusion.model
---@field encoder diffusion.layer images to mean and ln variance, before quant_conv
---@field decoder diffusion.layer latents to images, after post_quant_conv
---@field quant_conv diffusion.layer|nil
---@field post_quant_conv diffusion.layer|nil
local methods = {}
kl.methods = methods

-- Mean and ln variance of the latents of images.
local function distribution(m, x, t)
  local c = m:config()
  local y = in_tiles(x, t, t and t.factor, 1, function(tile)
    local h = fail.call(m.encoder, tile)
    return c.use_quant_conv and fail.call(m.quant_conv, h) or h
  end)
  local C = c.latent_channels
  return y:narrow(4, 1, C):contiguous(), y:narrow(4, C + 1, C):clamp(LOW, HIGH)
end

local function decoded(m, z, t)
  local before = m:config().use_post_quant_conv
  return in_tiles(z, t, 1, t and t.factor, function(tile)
    return fail.call(m.decoder, before and fail.call(m.post_quant_conv, tile) or tile)
  end)
end

--- The distribution of the latents of images. Draw them as mean + std * noise.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@param options diffusion.autoencoderkl_encode_options?
---@return diffusion.tensor mean {B, h, w, latent_channels}
---@return diffusion.tensor std
function methods.encode(m, x, options)
  local o = opts.check("autoencoderkl:encode", options, encode_rules, 2)
  coder.images("autoencoderkl:encode", "images", x, m:config().in_channels)
  return coder.scope(function()
    local mean, log_variance = distribution(m, x, tiled("autoencoderkl:encode", m, o.tile))
    return mean, (log_variance * 0.5):exp()
  end)
end

--- Images of latents.
---@param z diffusion.tensor latents {B, h, w, latent_channels}
---@param options diffusion.autoencoderkl_decode_options?
---@return diffusion.tensor images {B, H, W, C}
function methods.decode(m, z, options)
  local o = opts.check("autoencoderkl:decode", options, decode_rules, 2)
  coder.images("autoencoderkl:decode", "latents", z, m:config().latent_channels)
  return coder.scope(decoded, m, z, tiled("autoencoderkl:decode", m, o.tile))
end

local forward_rules = opts.declare("autoencoderkl_call", {
  seed = rule.seed,
  eps = { "tensor", default_text = "drawn", text = "the latents' standard normal numbers {B, h, w, latent_channels}" },
})

local function noise_of(o, mean)
  if not o.eps then return core.randn(mean:shape(), { seed = o.seed }) end
  if kind.shape_text(o.eps) ~= kind.shape_text(mean) then
    fail.raise("autoencoderkl: eps is %s, but the latents are %s", kind.shape_text(o.eps), kind.shape_text(mean))
  end
  return o.eps
end

--- Encodes images, draws latents and decodes them.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@param options diffusion.autoencoderkl_call_options?
---@return diffusion.tensor images
---@return diffusion.tensor kl {B}, the divergence of the latents from standard normal ones
function kl.forward(m, x, options)
  local o = opts.check("autoencoderkl", options, forward_rules, 2)
  coder.images("autoencoderkl", "images", x, m:config().in_channels)
  return coder.scope(function()
    local mean, log_variance = distribution(m, x)
    local z = mean + (log_variance * 0.5):exp() * noise_of(o, mean)
    local terms = mean * mean + log_variance:exp() - 1 - log_variance
    return decoded(m, z), terms:reshape(x:size(1), -1):sum(2) * 0.5
  end)
end

local ours = { "recompute" }

kl.peers = { diffusers = { class = "AutoencoderKL", ours = ours, names = coder.names, older = coder.older,
  options = coder.options(kl, ours) } }

--- AutoencoderKL of diffusers, by the options of its config. It is the autoencoder of Stable Diffusion,
--- with methods encode and decode. Called with images {B, H, W, C}, it returns the decoded ones and the
--- divergence of the latents.
---@param options diffusion.autoencoderkl_options?
---@return diffusion.autoencoderkl
---@usage local model = d.autoencoderkl{ block_out_channels = { 32, 32 },
---   down_block_types = { "DownEncoderBlock2D", "DownEncoderBlock2D" },
---   up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D" } }
--- local mean, std = model:encode(d.randn(1, 48, 48, 3))
--- print(mean:shape(), model:decode(mean, { tile = { size = 32 } }):shape())
function kl.new(options) return family.model(kl, options) end

return kl

-- AutoencoderTiny of diffusers is TAESD, a tiny autoencoder of plain convolutions that imitates large
-- ones. Parameters have the paths of that class.
local coder = require "diffusion.nn.coder"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local family = require "diffusion.nn.family"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"

local tiny = { name = "autoencodertiny" }

local function blocks(default, text)
  return { "table", each = { "integer", min = 0, max = 100000 }, least = 1, as = "integer[]", default = default,
    text = text }
end

tiny.options = family.declare(tiny.name, {
  in_channels = family.size(3, 1, "channels of an image"),
  out_channels = family.size(3, 1, "channels of a decoded image"),
  encoder_block_out_channels = family.sizes { default = { 64, 64, 64, 64 }, least = 1,
    text = "channels of each level of the encoder, all equal" },
  decoder_block_out_channels = family.sizes { default = { 64, 64, 64, 64 }, least = 1,
    text = "channels of each level of the decoder, all equal" },
  act_fn = coder.activation "relu",
  upsample_fn = family.kept { one_of = { "nearest", "nearest-exact" }, default = "nearest",
    text = "the decoder enlarges by repeated pixels, for which these are two names" },
  latent_channels = family.size(4, 1, "channels of the latents"),
  upsampling_scaling_factor = { "integer", default = 2, min = 1, max = 64, text = "factor of each enlargement" },
  num_encoder_blocks = blocks({ 1, 3, 3, 3 }, "residual blocks of each level of the encoder"),
  num_decoder_blocks = blocks({ 3, 3, 3, 1 }, "residual blocks of each level of the decoder"),
  latent_magnitude = { "number", default = 3, above = 0, text = "half the range that scale_latents maps to [0, 1]" },
  latent_shift = { "number", default = 0.5, text = "added to latents by scale_latents, which makes it the value of 0" },
  force_upcast = family.kept { "boolean", default = false, text = "activations are in float32 anyway" },
  scaling_factor = family.kept { "number", default = 1, above = 0,
    text = "latents are multiplied by it in a pipeline" },
  shift_factor = family.kept { "number", default = 0, text = "subtracted from latents before that" },
  recompute = family.recompute,
})

-- The convolutions of that class keep the channels of the level before.
local function check_levels(o, side)
  local widths, counts = side .. "_block_out_channels", ("num_%s_blocks"):format(side)
  if #o[widths] ~= #o[counts] then
    family.fail("autoencodertiny: %s has %d levels, but %s has %d", widths, #o[widths], counts, #o[counts])
  end
  for i, width in ipairs(o[widths]) do
    if width ~= o[widths][1] then
      family.fail("autoencodertiny: entry %d of %s is %d and the first is %d; that class runs with equal ones only", i,
        widths, width, o[widths][1])
    end
  end
end

function tiny.check(o)
  check_levels(o, "encoder")
  check_levels(o, "decoder")
end

function tiny.text(o)
  return ("channels %d, latents %d, levels %d"):format(o.in_channels, o.latent_channels, #o.num_encoder_blocks)
end

-- ==== lists ==============================================================================

-- relu(conv(act(conv(act(conv(x))))) + x)
local function block(net, path, h, o)
  local options = { name = "tiny_block", text = tostring(h.width), recompute = o.recompute }
  return net:block(path, h, options, function(b, x)
    local wide = { out = x.width }
    local y = b:activation(b:conv("conv.0", x, wide), { act = coder.act(o.act_fn) })
    y = b:activation(b:conv("conv.2", y, wide), { act = coder.act(o.act_fn) })
    return b:activation(b:conv("conv.4", { y, x }, wide), { act = "relu" })
  end)
end

-- Writes parts numbered from 0, as in torch's Sequential.
local function sequence()
  local n = -1
  return function()
    n = n + 1
    return ("layers.%d"):format(n)
  end
end

-- 3 tanh(z / 3), TAESD's soft clamp
local function squashed(net, z)
  return net:scale(net:activation(net:scale(z, { factor = 1 / 3 }), { act = "tanh" }), { factor = 3 })
end

local function encoder(o)
  local function build(net)
    local path, width = sequence(), o.encoder_block_out_channels[1]
    local h = net:scale(net.x, { factor = 0.5, plus = 0.5 })
    for i, count in ipairs(o.num_encoder_blocks) do
      h = net:conv(path(), h, i == 1 and { out = width } or { out = width, stride = 2, pad = 1, bias = false })
      for _ = 1, count do h = block(net, path(), h, o) end
    end
    return net:conv(path(), h, { out = o.latent_channels })
  end
  return { name = "encoder", text = ("%d -> %d"):format(o.in_channels, o.latent_channels), build = build,
    inputs = { { "x", shape = { "B", "H", "W", o.in_channels } } } }
end

local function decoder(o)
  local function build(net)
    local path, width = sequence(), o.decoder_block_out_channels[1]
    local h = net:activation(net:conv(path(), squashed(net, net.x), { out = width }), { act = coder.act(o.act_fn) })
    path() -- the activation
    for i, count in ipairs(o.num_decoder_blocks) do
      for _ = 1, count do h = block(net, path(), h, o) end
      if i == #o.num_decoder_blocks then break end
      h = net:enlarge(h, { times = o.upsampling_scaling_factor })
      path()
      h = net:conv(path(), h, { out = width, bias = false })
    end
    return net:scale(net:conv(path(), h, { out = o.out_channels }), { factor = 2, plus = -1 })
  end
  return { name = "decoder", text = ("%d -> %d"):format(o.latent_channels, o.out_channels), build = build,
    inputs = { { "x", shape = { "B", "H", "W", o.latent_channels } } } }
end

function tiny.compose(m, o, list)
  m.encoder = list(encoder(o))
  m.decoder = list(decoder(o))
end

-- ==== methods ============================================================================

--- An autoencoder of plain convolutions, as d.autoencodertiny makes it. Called with images, it
--- encodes and decodes them by way of latents of 8 bits.
---@class diffusion.autoencodertiny: diffusion.model
---@field encoder diffusion.layer images in [-1, 1] to latents
---@field decoder diffusion.layer latents to images in [-1, 1]
local methods = {}
tiny.methods = methods

--- Latents of images.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@param options nil none are taken, and they are refused
---@return diffusion.tensor latents {B, h, w, latent_channels}
function methods.encode(m, x, options)
  coder.no_options("autoencodertiny:encode", options)
  coder.images("autoencodertiny:encode", "images", x, m:config().in_channels)
  return fail.call(m.encoder, x)
end

--- Images of latents.
---@param z diffusion.tensor latents {B, h, w, latent_channels}
---@param options nil none are taken, and they are refused
---@return diffusion.tensor images {B, H, W, C}
function methods.decode(m, z, options)
  coder.no_options("autoencodertiny:decode", options)
  coder.images("autoencodertiny:decode", "latents", z, m:config().latent_channels)
  return fail.call(m.decoder, z)
end

local function check_floats(method, z)
  local where = "autoencodertiny:" .. method
  if not core.is_tensor(z) then fail.raise("%s: latents must be a tensor, got %s", where, kind.shown(z)) end
  opts.floats(where, "latents", z)
end

--- Latents scaled to [0, 1], as the bytes of a picture hold them: clamp(z / (2 latent_magnitude) +
--- latent_shift).
---@param z diffusion.tensor
---@return diffusion.tensor
function methods.scale_latents(m, z)
  local o = m:config()
  check_floats("scale_latents", z)
  return (z / (2 * o.latent_magnitude) + o.latent_shift):clamp(0, 1)
end

--- The latents that scale_latents scaled.
---@param z diffusion.tensor
---@return diffusion.tensor
function methods.unscale_latents(m, z)
  local o = m:config()
  check_floats("unscale_latents", z)
  return (z - o.latent_shift) * (2 * o.latent_magnitude)
end

--- Encodes and decodes images. Between the two, latents are rounded to the 256 values of a picture's
--- bytes. The gradient passes as if they were not.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@return diffusion.tensor images
function tiny.forward(m, x)
  return coder.scope(function()
    local scaled = m:scale_latents(m:encode(x))
    local bytes = (scaled:detach() * 255):round() / 255
    return m:decode(m:unscale_latents(scaled + (bytes - scaled:detach())))
  end)
end

local ours = { "recompute" }

local MOST = 400 -- parts of a decoder

-- taesd.py's own files, taesd_encoder and taesd_decoder, with the keys of each below "encoder" and
-- "decoder". The decoder there begins with one more part, without parameters.
local function taesd_names()
  local names = { { "encoder.layers", "encoder" } }
  for n = 0, MOST do names[n + 2] = { ("decoder.layers.%d"):format(n), ("decoder.%d"):format(n + 1) } end
  return names
end

tiny.peers = {
  diffusers = { class = "AutoencoderTiny", ours = ours, options = coder.options(tiny, ours, "block_out_channels") },
  taesd = { class = "TAESD", names = taesd_names() },
}

--- AutoencoderTiny of diffusers, by the options of its config. It is a small autoencoder with methods
--- encode, decode, scale_latents and unscale_latents. Called with images {B, H, W, C}, it returns the
--- decoded ones.
---@param options diffusion.autoencodertiny_options?
---@return diffusion.autoencodertiny
---@usage local model = d.autoencodertiny{ encoder_block_out_channels = { 8, 8 },
---   decoder_block_out_channels = { 8, 8 }, num_encoder_blocks = { 1, 1 }, num_decoder_blocks = { 1, 1 } }
--- local z = model:encode(d.randn(1, 16, 16, 3))
--- print(z:shape(), model:decode(z):shape())
function tiny.new(options) return family.model(tiny, options) end

return tiny

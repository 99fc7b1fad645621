-- VQModel of diffusers is the autoencoder of Esser et al. 2021. Its latents are rows of a codebook.
local coder = require "diffusion.nn.coder"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local family = require "diffusion.nn.family"
local layers = require "diffusion.nn.layers"
local module = require "diffusion.nn.module"
local opts = require "diffusion.opts"

local vq = { name = "vq" }

vq.options = family.declare(vq.name, opts.joined(coder.rules, {
  latent_channels = family.size(3, 1, "channels that the encoder ends with"),
  sample_size = family.kept(family.size(32, 1, "height and width of the images that it was trained on")),
  num_vq_embeddings = family.size(256, 1, "rows of the codebook"),
  vq_embed_dim = { "integer", min = 1, max = 1 << 20, default_text = "latent_channels",
    text = "width of a row of the codebook" },
  scaling_factor = family.kept { "number", default = 0.18215, above = 0,
    text = "latents are multiplied by it in a pipeline" },
  norm_type = { one_of = { "group", "spatial" }, default = "group",
    text = '"spatial": the norms of the decoder are conditioned on the latents (Zheng et al. 2022)' },
  mid_block_add_attention = { "boolean", default = true, text = "attention between the two middle blocks" },
  lookup_from_codebook = { "boolean", default = false,
    text = "decode(z, { force_not_quantize = true }) takes rows of the codebook" },
  force_upcast = family.kept { "boolean", default = false, text = "activations are in float32 anyway" },
  beta = { "number", default = 0.25, min = 0, text = "weight of the smaller term of the codebook's loss" },
  legacy = { "boolean", default = true, text = "beta weighs the term that moves the codebook, as in diffusers; "
    .. "false: the term that moves the latents, as in the paper" },
  recompute = family.recompute,
}))

local function width_of(o) return o.vq_embed_dim or o.latent_channels end

function vq.check(o)
  if o.norm_type == "spatial" and width_of(o) ~= o.latent_channels then
    family.fail("vq: norm_type = 'spatial' needs vq_embed_dim to be latent_channels, %d, got %d", o.latent_channels,
      width_of(o))
  end
  coder.check(vq.name, o)
end

function vq.text(o)
  return ("channels %d, latents %d, codebook %d x %d"):format(o.in_channels, o.latent_channels, o.num_vq_embeddings,
    width_of(o))
end

-- ==== the codebook =======================================================================

local BLOCK = 1000000 -- distances at a time

-- The nearest row of the table to each row of x, counted from 1, with distances in double.
local function nearest(x, rows)
  local n, parts = x:size(1), {}
  local size = math.max(1, BLOCK // rows:size(1))
  for first = 1, n, size do
    parts[#parts + 1] = core.pair_squares(x:narrow(1, first, math.min(size, n - first + 1)), rows):argmin(2)
  end
  return core.ops.cat(parts, 1)
end

-- The gradient passes to z as if it were not quantised (Oord et al. 2017).
local function quantised(m, o, z)
  local codebook, fixed = m.embedding, z:detach()
  local rows = codebook.weight:detach():to(core.real)
  local at = nearest(fixed:reshape(-1, rows:size(2)), rows):reshape(z:size(1), z:size(2), z:size(3))
  local found = fail.call(codebook, at)
  local pull, push = core.ops.mse(found:detach(), z), core.ops.mse(found, fixed)
  local loss = o.legacy and pull + push * o.beta or pull * o.beta + push
  return z + (found - z):detach(), loss, at
end

-- The call takes latents. It returns those of the codebook's nearest rows, the loss that moves the two
-- towards each other, and the rows {B, h, w} from 1. lookup returns the latents of rows.
local Codebook = module.module("codebook", function(m, o)
  m.embedding = layers.embedding(o.num_vq_embeddings, width_of(o), { within = 1 / o.num_vq_embeddings })
  function m:forward(z)
    coder.images("quantize", "latents", z, width_of(o))
    return coder.scope(quantised, self, o, z)
  end
  function m:lookup(rows) return fail.call(self.embedding, fail.call(core.whole, "quantize:lookup: rows", rows)) end
end)

function vq.compose(m, o, list)
  local square = { kernel = 1, pad = 0 }
  m.encoder = list(coder.encoder(o, o.latent_channels))
  m.quant_conv = layers.conv(o.latent_channels, width_of(o), square)
  m.quantize = Codebook(o)
  m.post_quant_conv = layers.conv(width_of(o), o.latent_channels, square)
  m.decoder = list(coder.decoder(o))
end

-- ==== methods ============================================================================

--- An autoencoder whose latents are rows of a codebook, as d.vq makes it. Called with images, it
--- encodes, quantises and decodes them, and returns them with the loss of the codebook.
---@class diffusion.vq: diffusion.model
---@field encoder diffusion.layer images to latents, before quant_conv
---@field decoder diffusion.layer latents to images, after post_quant_conv
---@field quantize table called with latents, it returns those of the codebook, its loss, and the rows {B, h, w}
---  from 1; quantize:lookup(rows) returns the latents of rows
local methods = {}
vq.methods = methods

--- Latents of images, before they are quantised.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@param options nil none are taken, and they are refused
---@return diffusion.tensor latents {B, h, w, width of a row}
function methods.encode(m, x, options)
  coder.no_options("vq:encode", options)
  coder.images("vq:encode", "images", x, m:config().in_channels)
  return coder.scope(function() return fail.call(m.quant_conv, fail.call(m.encoder, x)) end)
end

local decode_rules = opts.declare("vq_decode", {
  force_not_quantize = { "boolean", default = false,
    text = "decodes z itself; in a model with lookup_from_codebook, z are rows {B, h, w} of the codebook" },
})

local function decoded(m, z)
  coder.images("vq:decode", "latents", z, width_of(m:config()))
  local h = fail.call(m.post_quant_conv, z)
  if m:config().norm_type == "spatial" then return fail.call(m.decoder, h, z) end
  return fail.call(m.decoder, h)
end

local function decode_scope(m, z, o)
  if o.force_not_quantize then
    return decoded(m, m:config().lookup_from_codebook and m.quantize:lookup(z) or z)
  end
  local nearest_rows, loss = m.quantize(z)
  return decoded(m, nearest_rows), loss
end

--- Images of latents, which are quantised first.
---@param z diffusion.tensor latents {B, h, w, width of a row}
---@param options diffusion.vq_decode_options?
---@return diffusion.tensor images {B, H, W, C}
---@return diffusion.tensor|nil loss that of the codebook, if z was quantised
function methods.decode(m, z, options)
  return coder.scope(decode_scope, m, z, opts.check("vq:decode", options, decode_rules, 2))
end

--- Encodes, quantises and decodes images.
---@param x diffusion.tensor images {B, H, W, C} in [-1, 1]
---@return diffusion.tensor images
---@return diffusion.tensor loss that of the codebook
function vq.forward(m, x) return m:decode(m:encode(x)) end

local ours = { "beta", "legacy", "recompute" }

vq.peers = { diffusers = { class = "VQModel", ours = ours, names = coder.names, older = coder.older,
  options = coder.options(vq, ours) } }

--- VQModel of diffusers, by the options of its config. It is an autoencoder with methods encode and
--- decode. Called with images {B, H, W, C}, it returns the decoded ones and the loss of the codebook.
---@param options diffusion.vq_options?
---@return diffusion.vq
---@usage local levels = { "DownEncoderBlock2D", "DownEncoderBlock2D" }
--- local model = d.vq{ block_out_channels = { 32, 32 }, down_block_types = levels,
---   up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D" } }
--- local x = d.randn(1, 16, 16, 3)
--- local decoded, loss = model(x)
--- print(model:encode(x), decoded, loss)
function vq.new(options) return family.model(vq, options) end

return vq

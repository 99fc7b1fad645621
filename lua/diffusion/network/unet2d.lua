-- UNet2DModel of diffusers, by the options of its config. Parts have its paths, with numbers from 0.
local blocks = require "diffusion.nn.blocks2d"
local embed2d = require "diffusion.nn.embed2d"
local family = require "diffusion.nn.family"
local k_blocks = require "diffusion.nn.k_blocks2d"
local levels = require "diffusion.nn.levels2d"
local opts = require "diffusion.opts"
local peers = require "diffusion.nn.peers"
local skip_blocks = require "diffusion.nn.skip_blocks2d"

local unet2d = { name = "unet2d" }

local function named(default, text) return { one_of = text[1], default = default, text = text[2] } end

-- An option that may be null there: false here, unless that is its default anyway.
local function maybe(default, text)
  return { "integer|boolean", default = default, min = 1, max = 1 << 20, what = "integer in [1, 1048576] or false",
    as = "integer|false", text = text }
end

local function types(default, text)
  return { "table", each = { "string" }, least = 1, as = "string[]", default = default, text = text }
end

unet2d.options = family.declare(unet2d.name, {
  sample_size = { "integer|table", min = 1, max = 1 << 20, each = { "integer", min = 1 }, entries = 2,
    as = "integer|integer[]", text = "height and width of the images that it was trained on; one number or both" },
  in_channels = family.size(3, 1, "channels of x"),
  out_channels = family.size(3, 1, "channels of the result"),
  center_input_sample = { "boolean", default = false, text = "2 x - 1 is read instead of x" },
  time_embedding_type = named("positional", { { "positional", "fourier", "learned" },
    "waves of t, Fourier features of ln t, or rows of a table by t" }),
  time_embedding_dim = family.size(nil, 1, "width of the embedding of t; if nil, 4 times the first channels"),
  freq_shift = { "integer", default = 0, text = "s of the frequencies 10000^(-k / (channels/2 - s))" },
  flip_sin_to_cos = { "boolean", default = true, text = "cosines come first" },
  down_block_types = types({ "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D" },
    "the block of each level on the way down"),
  mid_block_type = { "boolean", one_of = { "UNetMidBlock2D" }, default = "UNetMidBlock2D", as = "string|false",
    text = "the block in the middle, false for none" },
  up_block_types = types({ "AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D" },
    "the block of each level on the way up"),
  block_out_channels = family.sizes { default = { 224, 448, 672, 896 }, least = 1, text = "channels of each level" },
  layers_per_block = family.count(2, "residual blocks of a level; one more on the way up"),
  mid_block_scale_factor = { "number", default = 1, text = "divides the results of the blocks in the middle" },
  downsample_padding = { "integer", default = 1, min = 0, max = 1,
    text = "1 puts zeros around a convolution that halves an image, 0 only below and right" },
  downsample_type = { "boolean", one_of = { "conv", "resnet" }, default = "conv", as = "string|false",
    text = "the layer that halves images behind an AttnDownBlock2D" },
  upsample_type = { "boolean", one_of = { "conv", "resnet" }, default = "conv", as = "string|false",
    text = "the layer that doubles images behind an AttnUpBlock2D" },
  dropout = family.dropout,
  act_fn = { "string", default = "silu", text = "activation of the blocks: silu, swish, mish, gelu or relu" },
  attention_head_dim = maybe(8, "width of a head of attention; false for one head"),
  norm_num_groups = maybe(32, "groups of the norms; false for a quarter of the channels, at most 32"),
  attn_norm_num_groups = family.size(nil, 1, "groups of the norm before the attention in the middle"),
  norm_eps = { "number", default = 1e-5, above = 0, text = "added to the variance of norms" },
  resnet_time_scale_shift = named("default", { { "default", "scale_shift" },
    '"scale_shift": the embedding scales and shifts the second norm of a block; "default" adds it' }),
  add_attention = { "boolean", default = true, text = "attention in the middle" },
  class_embed_type = { one_of = { "timestep", "identity" },
    text = '"timestep": class is a number, embedded as t is; "identity": class is an embedding' },
  num_class_embeds = family.size(nil, 1, "number of classes, if class_embed_type is nil"),
  num_train_timesteps = family.size(nil, 1, 'rows of the table of time_embedding_type = "learned"'),
  time_offset = { "number", default_text = '1, or 0 if time_embedding_type is "fourier"',
    text = "model(x, t) is UNet2DModel at timestep t - time_offset" },
  time_factor = { "number", default = 1, above = 0, text = "factor of timesteps, as of networks that count to 1000" },
  time_width = family.size(nil, 1, "width of the waves of t; the first channels if nil"),
  num_heads = family.size(nil, 1, "number of heads of each attention, in place of attention_head_dim"),
  recompute = family.recompute,
})

-- ==== checks =============================================================================

local function refuse(format, ...) family.fail("unet2d: " .. format, ...) end

local function act_of(o)
  return embed2d.act(o.act_fn)
    or refuse("act_fn is one of silu, swish, mish, gelu, relu, got '%s'", o.act_fn)
end

local function check_time(o)
  local half = o.block_out_channels[1] // 2
  if o.time_embedding_type == "positional" and half > 0 and o.freq_shift == half then
    refuse("freq_shift = %d is half of the first channels, %d: the frequencies would be 0 / 0", half,
      o.block_out_channels[1])
  end
  if o.time_embedding_type == "learned" and not o.num_train_timesteps then
    refuse "time_embedding_type = \"learned\" needs num_train_timesteps, the rows of its table"
  end
  if o.time_embedding_type ~= "positional" and (o.time_factor ~= 1 or o.time_width) then
    refuse "time_factor and time_width are options of time_embedding_type = \"positional\""
  end
  if o.time_embedding_type == "learned" and o.time_offset and math.tointeger(o.time_offset) == nil then
    refuse("time_offset must be a whole number for a table of times, got %g", o.time_offset)
  end
end

function unet2d.check(o)
  local n = #o.block_out_channels
  if #o.down_block_types ~= n or #o.up_block_types ~= n then
    refuse("block_out_channels has %d levels, down_block_types %d and up_block_types %d", n, #o.down_block_types,
      #o.up_block_types)
  end
  for _, name in ipairs { "attention_head_dim", "norm_num_groups", "mid_block_type", "downsample_type",
    "upsample_type" } do
    if o[name] == true then refuse("%s can be false, for none, but not true", name) end
  end
  if o.mid_block_scale_factor == 0 then refuse "mid_block_scale_factor divides, so it can't be 0" end
  act_of(o)
  check_time(o)
end

-- ==== inputs =============================================================================

local function offset_of(o)
  return o.time_offset or o.time_embedding_type == "fourier" and 0 or 1
end

local function width_of(o) return o.time_embedding_dim or 4 * o.block_out_channels[1] end

-- The form of the input `class`.
local function class_form(o)
  if o.class_embed_type == "timestep" then return "number" end
  if o.class_embed_type == "identity" then return "vector" end
end

function unet2d.inputs(o)
  local sides = 1 << #o.block_out_channels - 1
  local class = class_form(o) == "vector" and { "class", shape = { "B", width_of(o) }, whole = false, optional = true }
  return { { "x", shape = { "B", { "H", multiple = sides }, { "W", multiple = sides }, o.in_channels } }, "t",
    class or "class" }
end

function unet2d.facts(o)
  local classes
  if not o.class_embed_type then classes = o.num_class_embeds or 0 end
  return { classes = classes, class_form = class_form(o), sample_dims = 3 }
end

function unet2d.text(o)
  local size = o.sample_size
  if type(size) == "table" then size = table.concat(size, "x") end
  return ("channels %s, image channels %d -> %d%s"):format(table.concat(o.block_out_channels, " "), o.in_channels,
    o.out_channels, size and ", sample size " .. size or "")
end

-- ==== the embedding ======================================================================

-- Times as vectors. The offset of classes, which are numbers like times, is 0.
local function projected(net, t, o, offset)
  local first = o.block_out_channels[1]
  if o.time_embedding_type == "fourier" then
    return net:fourier("time_proj", t, { width = 2 * first, log = true, offset = offset })
  end
  if o.time_embedding_type == "learned" then
    return net:time_rows("time_proj", t,
      { inp = o.num_train_timesteps, out = first, offset = math.tointeger(offset) - 1 })
  end
  if o.time_factor ~= 1 then
    t, offset = net:scale(t, { factor = o.time_factor, plus = -offset * o.time_factor }), 0
  end
  return embed2d.waves(net, t, o.time_width or first, o, offset)
end

-- The number c goes through the time's own parts, which subtract the time's offset.
local function projected_class(net, o)
  if o.time_embedding_type == "positional" then return projected(net, net.class, o, 0) end
  local h = net:again("time_proj", net:scale(net.class, { plus = offset_of(o) }))
  h.width = (o.time_embedding_type == "fourier" and 2 or 1) * o.block_out_channels[1]
  return h
end

local function class_embedding(net, o)
  local width = width_of(o)
  if o.class_embed_type == "identity" then return net.class end
  if o.class_embed_type == "timestep" then
    return embed2d.two_products(net, "class_embedding", projected_class(net, o), { out = width })
  end
  return o.num_class_embeds and net:embedding("class_embedding", net.class, { inp = o.num_class_embeds, out = width })
end

local function embedding(net, o)
  local waves = projected(net, net.t, o, offset_of(o))
  local e = embed2d.two_products(net, "time_embedding", waves, { out = width_of(o) })
  local class = class_embedding(net, o)
  return class and net:add { e, class } or e
end

-- ==== the network ========================================================================

local TEXT = "it is for a network that is conditioned on a text, and UNet2DModel has none"
local NEITHER = "it belongs to an autoencoder, and UNet2DModel can't run it either"

--- The types of blocks of its levels.
unet2d.types = {
  down = opts.joined(levels.down_types, skip_blocks.down_types, k_blocks.down_types),
  up = opts.joined(levels.up_types, skip_blocks.up_types, k_blocks.up_types),
  unfit = {
    CrossAttnDownBlock2D = TEXT, SimpleCrossAttnDownBlock2D = TEXT, CrossAttnUpBlock2D = TEXT,
    SimpleCrossAttnUpBlock2D = TEXT, DownEncoderBlock2D = NEITHER, AttnDownEncoderBlock2D = NEITHER,
    UpDecoderBlock2D = NEITHER, AttnUpDecoderBlock2D = NEITHER,
  },
}

--- The block in the middle.
---@param way table
---@param h diffusion.value
---@return diffusion.value
function unet2d.middle(way, h)
  local o = way.o
  local groups, factor = levels.groups(o.norm_num_groups, h.width), o.mid_block_scale_factor
  local resnet = { groups = groups, out = h.width, rescale = factor }
  h = way:resnet("mid_block.resnets.0", h, resnet)
  if o.add_attention then
    local own = o.attn_norm_num_groups or o.resnet_time_scale_shift == "default" and groups
    h = way:attention("mid_block.attentions.0", h,
      { groups = own, rescale = factor, head_dim = o.attention_head_dim })
  end
  return way:resnet("mid_block.resnets.1", h, resnet)
end

function unet2d.build(net, o)
  local x = o.center_input_sample and net:scale(net.x, { factor = 2, plus = -1 }) or net.x
  x.width = o.in_channels
  local way = levels.new { name = unet2d.name, net = net, o = o, e = embedding(net, o), act = act_of(o), x = x,
    types = unet2d.types,
    level_facts = function() return { layers = o.layers_per_block, head_dim = o.attention_head_dim } end }
  local h = way:keep(net:conv("conv_in", x, { out = o.block_out_channels[1] }))
  h = way:down(h)
  if o.mid_block_type then h = unet2d.middle(way, h) end
  h = way:up(h)
  local sample = skip_blocks.picture(way)
  h = net:norm_conv("out", { h, sample }, { inp = h.width, out = o.out_channels, epsilon = o.norm_eps,
    groups = levels.groups(o.norm_num_groups, h.width) })
  if o.time_embedding_type ~= "fourier" then return h end
  return net:over_time({ h, net.t }, { offset = offset_of(o) })
end

-- UNet2DModel has no such options.
local OURS = { "time_factor", "time_width", "num_heads" }

local function config_of(o)
  for _, name in ipairs(OURS) do
    local rule = unet2d.options[name]
    if o[name] ~= rule.default then
      refuse("UNet2DModel can't have this network's %s = %g", name, o[name])
    end
  end
  return peers.config(unet2d, { ours = unet2d.peers.diffusers.ours }, o)
end

local names = {
  { "time_embedding.one", "time_embedding.linear_1" }, { "time_embedding.two", "time_embedding.linear_2" },
  { "class_embedding.one", "class_embedding.linear_1" }, { "class_embedding.two", "class_embedding.linear_2" },
  { "out.norm", "conv_norm_out" }, { "out.conv", "conv_out" }, { "skip.norm", "skip_norm" },
  { "skip.conv", "skip_conv" },
}

unet2d.peers = { diffusers = {
  class = "UNet2DModel",
  names = table.move(blocks.names, 1, #blocks.names, #names + 1, names),
  older = blocks.older,
  ours = { "time_offset", "recompute", table.unpack(OURS) },
  config = config_of,
} }

--- UNet2DModel of diffusers, by the options of its config. false stands for null. It predicts out_channels
--- channels of images {B, H, W, in_channels}. model(x, t) is UNet2DModel at timestep t - 1, as t
--- counts from 1 here; see time_offset. Classes count from 1; without a class nothing is added to
--- the embedding.
---@param options diffusion.unet2d_options?
---@return diffusion.model
---@usage local model = d.unet2d{ block_out_channels = { 32, 64 }, num_class_embeds = 10,
---   down_block_types = { "DownBlock2D", "AttnDownBlock2D" }, up_block_types = { "AttnUpBlock2D", "UpBlock2D" } }
--- print(model(d.randn(4, 16, 16, 3), 500, { class = 3 }))
function unet2d.new(options) return family.model(unet2d, options) end

return unet2d

-- UNet2DConditionModel of diffusers, by the options of its config. It is the denoiser of Stable Diffusion. Parts
-- have its paths, with numbers from 0.
local blocks = require "diffusion.nn.blocks2d"
local cross = require "diffusion.nn.cross_blocks2d"
local embed2d = require "diffusion.nn.embed2d"
local family = require "diffusion.nn.family"
local k_blocks = require "diffusion.nn.k_blocks2d"
local levels = require "diffusion.nn.levels2d"
local opts = require "diffusion.opts"
local peers = require "diffusion.nn.peers"
local transformer2d = require "diffusion.nn.transformer2d"
local unet2d = require "diffusion.network.unet2d"

local condition = { name = "unet2dcondition" }

local base = unet2d.options

-- One value for all levels, or one for each.
local function each_level(rule)
  return opts.joined({ each = { rule[1]:match "^%a+", min = rule.min, max = rule.max } }, rule)
end

local function sizes(default, text)
  return each_level { "integer|table", min = 1, max = 1 << 20, default = default, as = "integer|integer[]",
    text = text }
end

local function flag(default, text) return { "boolean", default = default, text = text } end

local function word(one_of, text) return { one_of = one_of, text = text } end

condition.options = family.declare(condition.name, {
  sample_size = base.sample_size,
  in_channels = family.size(4, 1, "channels of x; with a hint, four of them are the hint's"),
  out_channels = family.size(4, 1, "channels of the result"),
  center_input_sample = base.center_input_sample,
  flip_sin_to_cos = base.flip_sin_to_cos,
  freq_shift = base.freq_shift,
  down_block_types = opts.joined(base.down_block_types,
    { default = { "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D" } }),
  mid_block_type = opts.joined(base.mid_block_type,
    { one_of = cross.middle_types, default = "UNetMidBlock2DCrossAttn" }),
  up_block_types = opts.joined(base.up_block_types,
    { default = { "UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D" } }),
  only_cross_attention = each_level { "boolean|table", default = false, as = "boolean|boolean[]",
    text = "the first attention of a transformer block is to the context too; one for all levels, or one for each" },
  block_out_channels = opts.joined(base.block_out_channels, { default = { 320, 640, 1280, 1280 } }),
  layers_per_block = sizes(2,
    "residual blocks of a level; one more on the way up; one for all levels, or one for each"),
  downsample_padding = base.downsample_padding,
  mid_block_scale_factor = opts.joined(base.mid_block_scale_factor,
    { text = "divides the results of the residual blocks in the middle" }),
  dropout = family.dropout,
  act_fn = opts.joined(base.act_fn, { text = "activation of the blocks and of the embedding of the time: silu, swish, "
    .. "mish, gelu or relu" }),
  norm_num_groups = opts.joined(base.norm_num_groups,
    { text = "groups of the norms; false for K blocks, and no norm before the last convolution" }),
  norm_eps = base.norm_eps,
  cross_attention_dim = sizes(1280, "width of the context; one for all levels, or one for each"),
  transformer_layers_per_block = { "integer|table", default = 1, min = 0, max = 100000,
    each = { "integer|table", min = 0, max = 100000 }, as = "integer|(integer|integer[])[]",
    text = "transformer blocks behind a residual block; one for all levels, or for each level one or a list" },
  reverse_transformer_layers_per_block = { "table", each = { "integer|table", min = 0, max = 100000 },
    as = "(integer|integer[])[]", text = "the same on the way up, from the deepest level" },
  encoder_hid_dim = family.size(nil, 1, "width of the context that is projected to cross_attention_dim"),
  encoder_hid_dim_type = { "string", as = '"text_proj"|"text_image_proj"|"image_proj"',
    default_text = "none, or text_proj with encoder_hid_dim",
    text = "the context is projected from a text, a text and a picture, or a picture: text_proj, text_image_proj or "
      .. "image_proj" },
  attention_head_dim = sizes(8, "the number of heads, in spite of its name; the width of a head in blocks of the types "
    .. "Attn, SimpleCrossAttn and KCrossAttn"),
  num_attention_heads = { "integer|table", min = 1, each = { "integer", min = 1 }, as = "nil",
    text = "can't be given, as in diffusers: attention_head_dim has the number" },
  dual_cross_attention = flag(false, "diffusers can't run it any more, and it is refused for CrossAttn blocks"),
  use_linear_projection = flag(false, "the products around transformer blocks are of tokens, not 1x1 convolutions"),
  class_embed_type = word({ "timestep", "identity", "projection", "simple_projection" },
    '"timestep": class is a number, embedded as t is; "identity": an embedding; "projection" and '
    .. '"simple_projection": a row that two products or one make an embedding of'),
  addition_embed_type = word({ "text", "text_image", "text_time", "image", "image_hint" },
    "an embedding that is added: of the context, of text_embeds with image_embeds or time_ids, or of image_embeds"),
  addition_time_embed_dim = family.size(nil, 1, "width of the waves of each of time_ids"),
  num_class_embeds = base.num_class_embeds,
  upcast_attention = family.kept(flag(false, "attention is in float32 anyway")),
  resnet_time_scale_shift = base.resnet_time_scale_shift,
  resnet_skip_time_act = flag(false, "the embedding isn't activated in blocks of the types Resnet and SimpleCrossAttn"),
  resnet_out_scale_factor = { "number", default = 1, text = "divides the results of residual blocks of these types" },
  time_embedding_type = { one_of = { "positional", "fourier" }, default = "positional",
    text = "waves of t, or Fourier features of it" },
  time_embedding_dim = family.size(nil, 1,
    "width of the embedding of t; if nil, 4 times the first channels, with Fourier features 2 times"),
  time_embedding_act_fn = { "string", text = "activation of the whole embedding: as act_fn" },
  timestep_post_act = { "string", text = "activation of the embedding of t: as act_fn" },
  time_cond_proj_dim = family.size(nil, 1, "width of time_cond, which is added to the waves of t"),
  conv_in_kernel = family.size(3, 1, "height and width of the first convolution's kernel, odd"),
  conv_out_kernel = family.size(3, 1, "height and width of the last convolution's kernel, odd"),
  projection_class_embeddings_input_dim = family.size(nil, 1,
    "width of the class that is projected, or of text_embeds and the waves of time_ids together"),
  attention_type = family.kept { "string", default = "default", as = '"default"',
    text = "the one kind that is followed" },
  class_embeddings_concat = flag(false, "the embedding of the class is behind that of the time, not added to it"),
  mid_block_only_cross_attention = { "boolean", default_text = "only_cross_attention, if that is one boolean",
    text = "the same for the middle of the type SimpleCrossAttn" },
  cross_attention_norm = word({ "layer_norm", "group_norm" },
    "norm of the context in blocks of the type SimpleCrossAttn"),
  addition_embed_type_num_heads = family.size(64, 1, 'heads of the attention of addition_embed_type = "text"'),
  time_offset = opts.joined(base.time_offset,
    { text = "model(x, t) is UNet2DConditionModel at timestep t - time_offset" }),
  recompute = family.recompute,
})

local function refuse(format, ...) family.fail(condition.name .. ": " .. format, ...) end

-- ==== facts of levels ====================================================================

local function at(value, i) if type(value) == "table" then return value[i] end return value end

-- The facts of the block of level i, the block `up` on the way up; see levels2d and cross_blocks2d. In the peer
-- too, a list attention_head_dim isn't reversed on the way up where it has widths of heads.
local function level_facts(o, i, up)
  local reverse = up and o.reverse_transformer_layers_per_block
  return { layers = at(o.layers_per_block, i), heads = at(o.attention_head_dim, i),
    head_dim = at(o.attention_head_dim, up or i), only_cross = at(o.only_cross_attention, i),
    depth = reverse and reverse[up] or at(o.transformer_layers_per_block, i) }
end

local function middle_facts(o)
  local b = level_facts(o, #o.block_out_channels)
  b.only_cross = o.mid_block_only_cross_attention
  if b.only_cross == nil then b.only_cross = o.only_cross_attention == true end
  return b
end

-- The widths of the contexts that blocks attend to, as a list of {block's type, width}.
local function contexts(o)
  local out, n = {}, #o.block_out_channels
  local function add(given, i)
    if given and given:find "CrossAttn" then out[#out + 1] = { given, at(o.cross_attention_dim, i) } end
  end
  for i, given in ipairs(o.down_block_types) do add(given, i) end
  add(o.mid_block_type, n)
  for i, given in ipairs(o.up_block_types) do add(given, n - i + 1) end
  return out
end

local function attends(o) return #contexts(o) > 0 end

-- The width of the context that blocks attend to.
local function context_width(o)
  local first = contexts(o)[1]
  return first and first[2] or at(o.cross_attention_dim, 1)
end

-- The types whose changes of size take any number of rows, and are the size of a skip connection upward.
local free = { DownBlock2D = true, AttnDownBlock2D = true, CrossAttnDownBlock2D = true, UpBlock2D = true,
  CrossAttnUpBlock2D = true }

-- Whether images may have any size. The last block of each way changes no size.
local function any_size(o)
  for _, list in ipairs { o.down_block_types, o.up_block_types } do
    for i = 1, #list - 1 do
      if not free[list[i]:gsub("^UNetRes", "")] then return false end
    end
  end
  return true
end

-- ==== checks =============================================================================

-- Options of which there is one for each level, and how many a list must have.
local BY_LEVEL = { "only_cross_attention", "layers_per_block", "cross_attention_dim", "attention_head_dim",
  "transformer_layers_per_block", "reverse_transformer_layers_per_block" }

local function check_levels(o)
  local n = #o.block_out_channels
  if #o.down_block_types ~= n or #o.up_block_types ~= n then
    refuse("block_out_channels has %d levels, down_block_types %d and up_block_types %d", n, #o.down_block_types,
      #o.up_block_types)
  end
  for _, name in ipairs(BY_LEVEL) do
    if type(o[name]) == "table" and #o[name] ~= n then
      refuse("%s has %d entries, but there are %d levels", name, #o[name], n)
    end
  end
end

-- Lists of numbers of transformer blocks inside of a list.
local function check_depths(o)
  local nested = false
  for _, name in ipairs { "transformer_layers_per_block", "reverse_transformer_layers_per_block" } do
    for i, given in ipairs(type(o[name]) == "table" and o[name] or {}) do
      for j, depth in ipairs(type(given) == "table" and given or {}) do
        if math.type(depth) ~= "integer" or depth < 0 then
          refuse("%s: entry %d of level %d must be a whole number from 0", name, j, i)
        end
        nested = nested or name == "transformer_layers_per_block"
      end
    end
  end
  if nested and not o.reverse_transformer_layers_per_block then
    refuse "transformer_layers_per_block has lists in it, so reverse_transformer_layers_per_block must be given"
  end
end

local function check_contexts(o)
  local list = contexts(o)
  for _, one in ipairs(list) do
    if one[2] ~= list[1][2] then
      refuse("cross_attention_dim is %d for a %s and %d for a %s, but they read one context", list[1][2], list[1][1],
        one[2], one[1])
    end
    if o.dual_cross_attention and (one[1]:find "^CrossAttn" or one[1] == "UNetMidBlock2DCrossAttn") then
      refuse("dual_cross_attention: diffusers 0.42 can't run it in a %s either", one[1])
    end
  end
  local reads = embed2d.projection(o) or o.addition_embed_type == "text" or o.addition_embed_type == "text_image"
  if reads and type(o.cross_attention_dim) == "table" then
    refuse("encoder_hid_dim_type and addition_embed_type = \"text\" or \"text_image\" need one cross_attention_dim "
      .. "for all levels, got %d", #o.cross_attention_dim)
  end
end

local function check_pool(o)
  local heads, width = o.addition_embed_type_num_heads, o.encoder_hid_dim or o.cross_attention_dim
  if o.addition_embed_type == "text" and width % heads ~= 0 then
    refuse("addition_embed_type_num_heads, %d, doesn't divide the width of the context, %d", heads, width)
  end
end

-- Values that are followed, and what others belong to.
local followed = {
  attention_type = { default = true },
  encoder_hid_dim_type = { image_proj = true, text_image_proj = true, text_proj = true },
}
local foreign = { gated = "GLIGEN", ["gated-text-image"] = "GLIGEN", ip_image_proj = "IP-Adapter" }

local function check_foreign(o)
  for name, known in pairs(followed) do
    local given = o[name]
    if foreign[given or ""] then
      refuse("%s = \"%s\": parts of %s aren't followed here", name, given, foreign[given])
    end
    if given and not known[given] then refuse("%s: %s", name, opts.unknown("value", given, opts.names(known))) end
  end
  if o.num_attention_heads then
    refuse "num_attention_heads can't be given, as in diffusers: attention_head_dim is the number of heads here"
  end
end

-- An option that another one's value needs.
local function need(o, option, value, ...)
  for _, name in ipairs { ... } do
    if not o[name] then refuse("%s = \"%s\" needs %s", option, value, name) end
  end
end

local function check_conditions(o)
  if o.encoder_hid_dim_type then need(o, "encoder_hid_dim_type", o.encoder_hid_dim_type, "encoder_hid_dim") end
  if o.addition_embed_type then
    need(o, "addition_embed_type", o.addition_embed_type, table.unpack(embed2d.addition(o).needs or {}))
  end
  if o.class_embed_type == "projection" or o.class_embed_type == "simple_projection" then
    need(o, "class_embed_type", o.class_embed_type, "projection_class_embeddings_input_dim")
  end
  if o.class_embeddings_concat and not (o.class_embed_type or o.num_class_embeds) then
    refuse "class_embeddings_concat needs class_embed_type or num_class_embeds"
  end
  if o.class_embeddings_concat and o.addition_embed_type then
    refuse("addition_embed_type = \"%s\" can't be added to an embedding with class_embeddings_concat, which is twice "
      .. "as wide", o.addition_embed_type)
  end
  if o.addition_embed_type == "image_hint" and o.in_channels <= 4 then
    refuse("in_channels counts the four channels of the hint, so it must be above 4, got %d", o.in_channels)
  end
end

local function check_time(o)
  local first = o.block_out_channels[1]
  for name, width in pairs { block_out_channels = o.time_embedding_type == "positional" and first or nil,
    addition_time_embed_dim = o.addition_embed_type == "text_time" and o.addition_time_embed_dim or nil } do
    if width >= 2 and o.freq_shift == width // 2 then
      refuse("freq_shift = %d is half of %s, %d: the frequencies would be 0 / 0", o.freq_shift, name, width)
    end
  end
  if o.time_embedding_type == "fourier" and (o.time_embedding_dim or 0) % 2 ~= 0 then
    refuse("time_embedding_dim must be even for Fourier features, got %d", o.time_embedding_dim)
  end
end

local function check_none(o)
  for _, name in ipairs { "norm_num_groups", "mid_block_type" } do
    if o[name] == true then refuse("%s can be false, for none, but not true", name) end
  end
end

local function check_rest(o)
  for _, name in ipairs { "mid_block_scale_factor", "resnet_out_scale_factor" } do
    if o[name] == 0 then refuse("%s divides, so it can't be 0", name) end
  end
  for _, name in ipairs { "act_fn", "time_embedding_act_fn", "timestep_post_act" } do
    if o[name] and not embed2d.act(o[name]) then
      refuse("%s is one of silu, swish, mish, gelu, relu, got '%s'", name, o[name])
    end
  end
  for _, name in ipairs { "conv_in_kernel", "conv_out_kernel" } do
    if o[name] % 2 == 0 then refuse("%s must be odd, so that images keep their size, got %d", name, o[name]) end
  end
end

function condition.check(o)
  check_none(o)
  check_levels(o)
  check_depths(o)
  check_foreign(o)
  check_contexts(o)
  check_conditions(o)
  check_pool(o)
  check_time(o)
  check_rest(o)
end

-- ==== inputs =============================================================================

local function offset_of(o) return o.time_offset or o.time_embedding_type == "fourier" and 0 or 1 end

local function width_of(o)
  return o.time_embedding_dim or (o.time_embedding_type == "fourier" and 2 or 4) * o.block_out_channels[1]
end

-- The width of a class that is a row of numbers, nil if it is none.
local function class_row(o)
  if o.class_embed_type == "identity" then return width_of(o) end
  return o.class_embed_type and o.class_embed_type:find "projection" and o.projection_class_embeddings_input_dim or nil
end

local function image_channels(o) return o.addition_embed_type == "image_hint" and o.in_channels - 4 or o.in_channels end

-- Adds the inputs of the added embedding and of the context. Both may read one, of one width.
local function add_conditions(list, o)
  local widths = {}
  for _, one in ipairs(embed2d.inputs(o)) do
    local name, width = one[1], one.shape[2]
    if widths[name] and widths[name] ~= width then
      refuse("addition_embed_type = \"%s\" reads %s of width %s, but encoder_hid_dim_type = \"%s\" of width %s",
        o.addition_embed_type, name, widths[name], o.encoder_hid_dim_type, width)
    end
    if not widths[name] then list[#list + 1] = one end
    widths[name] = width
  end
end

function condition.inputs(o)
  local sides = any_size(o) and 1 or 1 << #o.block_out_channels - 1
  local row = class_row(o)
  local class = row and { "class", shape = { "B", row }, whole = false, optional = true } or "class"
  local list = { { "x", shape = { "B", { "H", multiple = sides }, { "W", multiple = sides }, image_channels(o) } }, "t",
    class }
  if embed2d.reads_context(o, attends(o)) then
    list[#list + 1] = { "context", shape = { "B", "N", o.encoder_hid_dim or context_width(o) } }
  end
  if attends(o) then list[#list + 1] = "mask" end
  add_conditions(list, o)
  if o.time_cond_proj_dim then
    list[#list + 1] = { "time_cond", shape = { "B", o.time_cond_proj_dim }, optional = true }
  end
  return list
end

function condition.facts(o)
  local form = o.class_embed_type == "timestep" and "number" or class_row(o) and "vector" or nil
  return { classes = not o.class_embed_type and (o.num_class_embeds or 0) or nil, class_form = form, sample_dims = 3 }
end

function condition.text(o)
  local context = attends(o) and (", context %d"):format(o.encoder_hid_dim or context_width(o)) or ""
  return unet2d.text(o) .. context
end

-- ==== the embedding ======================================================================

-- Times as vectors.
local function projected(net, t, o, offset)
  if o.time_embedding_type == "positional" then return embed2d.waves(net, t, o.block_out_channels[1], o, offset) end
  return net:fourier("time_proj", t,
    { width = width_of(o), scale = 1, offset = offset, order = o.flip_sin_to_cos and "cos_sin" or "sin_cos" })
end

-- Numbers c as the times that the time's own parts subtract an offset from.
local function projected_class(net, o)
  if o.time_embedding_type == "positional" then return projected(net, net.class, o, 0) end
  local h = net:again("time_proj", net:scale(net.class, { plus = offset_of(o) }))
  h.width = width_of(o)
  return h
end

local function class_embedding(net, o)
  local path, out, kind = "class_embedding", width_of(o), o.class_embed_type
  if kind == "identity" then return net.class end
  if kind == "simple_projection" then return net:linear(path, net.class, { out = out }) end
  if kind == "projection" then return embed2d.two_products(net, path, net.class, { out = out }) end
  if kind == "timestep" then
    return embed2d.two_products(net, path, projected_class(net, o), { out = out, act = embed2d.act(o.act_fn) })
  end
  return o.num_class_embeds and net:embedding(path, net.class, { inp = o.num_class_embeds, out = out })
end

local function time_embedding(net, o)
  local waves = projected(net, net.t, o, offset_of(o))
  if o.time_cond_proj_dim then
    local cond = net:linear("time_embedding.cond_proj", net.time_cond, { out = waves.width, bias = false })
    waves = net:add { waves, cond }
  end
  local e = embed2d.two_products(net, "time_embedding", waves, { out = width_of(o), act = embed2d.act(o.act_fn) })
  return o.timestep_post_act and net:activation(e, { act = embed2d.act(o.timestep_post_act) }) or e
end

local function embedding(net, o)
  local e, class, write = time_embedding(net, o), class_embedding(net, o), embed2d.addition(o).write
  if class and o.class_embeddings_concat then e = net:cat({ e, class }, { fill = true })
  elseif class then e = net:add { e, class } end
  if write then e = net:add { e, write(net, o, width_of(o)) } end
  return o.time_embedding_act_fn and net:activation(e, { act = embed2d.act(o.time_embedding_act_fn) }) or e
end

-- ==== the network ========================================================================

local types = {
  down = opts.joined(levels.down_types, k_blocks.down_types, cross.down_types),
  up = opts.joined(levels.up_types, k_blocks.up_types, cross.up_types),
  unfit = {},
}
for _, kind in ipairs { "SkipDown", "AttnSkipDown", "SkipUp", "AttnSkipUp", "DownEncoder", "AttnDownEncoder",
  "UpDecoder", "AttnUpDecoder" } do
  types.unfit[kind .. "Block2D"] = "UNet2DConditionModel can't run it"
end

local function way_of(net, o, x)
  local reads = attends(o)
  local projected_context = (reads or embed2d.projection(o)) and embed2d.context(net, o, context_width(o))
  return levels.new { name = condition.name, net = net, o = o, e = embedding(net, o), act = embed2d.act(o.act_fn),
    x = x, types = types, level_facts = function(i, up) return level_facts(o, i, up) end, any_size = any_size(o),
    context = reads and projected_context or nil, mask = reads and net.mask or nil }
end

local function centred(k) return { kernel = k, pad = k // 2 } end

local function result(net, o, h)
  local conv = opts.joined(centred(o.conv_out_kernel), { inp = h.width, out = o.out_channels })
  if not o.norm_num_groups then return net:conv("out.conv", h, conv) end
  return net:norm_conv("out", h, opts.joined(conv, { epsilon = o.norm_eps, groups = o.norm_num_groups,
    act = embed2d.act(o.act_fn) }))
end

function condition.build(net, o)
  local x = o.center_input_sample and net:scale(net.x, { factor = 2, plus = -1 }) or net.x
  x.width = image_channels(o)
  local way = way_of(net, o, x)
  if o.addition_embed_type == "image_hint" then x = net:cat { x, embed2d.hint(net) } end
  local h = way:keep(net:conv("conv_in", x, opts.joined(centred(o.conv_in_kernel), { out = o.block_out_channels[1] })))
  h = way:down(h)
  if o.mid_block_type then h = cross.middle(way, h, middle_facts(o)) end
  return result(net, o, way:up(h))
end

-- ==== in diffusers =======================================================================

local ours = { "time_offset", "recompute" }

local function config_of(o)
  local out = peers.config(condition, { ours = ours }, o)
  if o.mid_block_only_cross_attention == false then out.mid_block_only_cross_attention = false end
  return out
end

local names = { { "add_embedding.one", "add_embedding.linear_1" }, { "add_embedding.two", "add_embedding.linear_2" },
  { "add_embedding.one.norm", "add_embedding.norm1" }, { "add_embedding.two.norm", "add_embedding.norm2" } }
for _, list in ipairs { transformer2d.names, unet2d.peers.diffusers.names } do
  table.move(list, 1, #list, #names + 1, names)
end

condition.peers = { diffusers = { class = "UNet2DConditionModel", names = names, older = blocks.older, ours = ours,
  config = config_of } }

--- UNet2DConditionModel of diffusers, by the options of its config. false stands for null. It predicts out_channels
--- channels of images {B, H, W, in_channels}, conditioned on `context`, the states of a text {B, N, width}. A mask of
--- whole numbers {B, N} hides tokens of the context that are 0. model(x, t) is UNet2DConditionModel at timestep t - 1,
--- as t counts from 1 here; see time_offset. Options of the call are its inputs by name: class, context, mask,
--- text_embeds and time_ids of Stable Diffusion XL, image_embeds, hint, time_cond.
---@param options diffusion.unet2dcondition_options?
---@return diffusion.model
---@usage local model = d.unet2dcondition{ block_out_channels = { 32, 64 }, cross_attention_dim = 16,
---   down_block_types = { "CrossAttnDownBlock2D", "DownBlock2D" },
---   up_block_types = { "UpBlock2D", "CrossAttnUpBlock2D" } }
--- print(model(d.randn(2, 16, 16, 4), 500, { context = d.randn(2, 77, 16) }))
function condition.new(options) return family.model(condition, options) end

return condition

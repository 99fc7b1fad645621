-- DiTTransformer2DModel of diffusers is the diffusion transformer of Peebles & Xie 2023, with an
-- embedding of time and class in each block. Parameters have the paths of that class.
local family = require "diffusion.nn.family"
local legible = require "diffusion.legible"
local peers = require "diffusion.nn.peers"

local dit = { name = "dittransformer2d" }

local EPSILON = 1e-6
local SINUSOID = 256

-- The activations of a feed-forward part: how many halves its first product has, and the function.
local feeds = {
  ["gelu"] = { 1, function(b, h) return b:gelu(h) end },
  ["gelu-approximate"] = { 1, function(b, h) return b:gelu(h, { by = "tanh" }) end },
  ["geglu"] = { 2, function(b, h) return b:geglu(h) end },
  ["geglu-approximate"] = { 1, function(b, h) return b:quick_gelu(h) end },
  ["swiglu"] = { 2, function(b, h) return b:mul { b:chunk(h), b:silu(b:chunk(h, { at = 2 })) } end },
  ["linear-silu"] = { 1, function(b, h) return b:silu(h) end },
}

dit.options = family.declare(dit.name, {
  num_attention_heads = family.size(16, 1, "number of heads of each attention"),
  attention_head_dim = family.size(72, 1, "width of a head"),
  in_channels = family.size(4, 1, "channels of an image"),
  out_channels = { "integer", min = 1, max = 1 << 20, default_text = "in_channels",
    text = "channels of the result; twice in_channels also predicts a variance" },
  num_layers = family.count(28, "number of blocks"),
  dropout = family.dropout,
  norm_num_groups = family.kept(family.size(32, 1, "this class has no group norm")),
  attention_bias = { "boolean", default = true, text = "q, k and v have a bias" },
  sample_size = family.size(32, 1, "height and width of the images that it was trained on"),
  patch_size = family.size(2, 1, "height and width of the pixels that become one token"),
  activation_fn = { default = "gelu-approximate", text = "activation of the feed-forward part",
    one_of = { "gelu", "gelu-approximate", "geglu", "geglu-approximate", "swiglu", "linear-silu" } },
  num_embeds_ada_norm = { "integer", default = 1000, min = 1, max = 1 << 20, text = "number of classes" },
  upcast_attention = family.kept { "boolean", default = false, text = "attention is in float32 anyway" },
  norm_type = family.kept { one_of = { "ada_norm_zero" }, default = "ada_norm_zero",
    text = "the one kind of norm that this class runs with" },
  norm_elementwise_affine = { "boolean", default = false,
    text = "the norm before the feed-forward part has weight and bias" },
  norm_eps = { "number", default = 1e-5, above = 0, text = "added to the variance by that norm; the others add 1e-6" },
  freq_shift = { "number", default = 1, min = 0, below = SINUSOID / 2,
    text = "s of the time's frequencies 10000^(-k / (128 - s)): 1 in diffusers, 0 in the DiT of its authors" },
  class_dropout = { "number", default = 0.1, min = 0, below = 1,
    text = "probability that a sample's class is forgotten in training, as in that class" },
  recompute = family.recompute,
})

local function width_of(o) return o.num_attention_heads * o.attention_head_dim end
local function base_of(o) return o.sample_size // o.patch_size end

function dit.check(o)
  if width_of(o) % 4 ~= 0 then
    family.fail("%s: the width num_attention_heads x attention_head_dim must be a multiple of 4, for a sine and a "
      .. "cosine of both places of a patch, got %d x %d", dit.name, o.num_attention_heads, o.attention_head_dim)
  end
  if base_of(o) < 1 then
    family.fail("%s: sample_size %d is less than patch_size %d", dit.name, o.sample_size, o.patch_size)
  end
end

function dit.facts(o) return { classes = o.num_embeds_ada_norm, sample_dims = 3 } end

function dit.inputs(o)
  return family.inputs({ "B", { "H", multiple = o.patch_size }, { "W", multiple = o.patch_size }, o.in_channels }, o)
end

function dit.text(o)
  return ("channels %d, patch %d, width %d, heads %d, depth %d, classes %d"):format(o.in_channels, o.patch_size,
    width_of(o), o.num_attention_heads, o.num_layers, o.num_embeds_ada_norm)
end

-- linear_2(silu(linear_1(wave))) + row of the class
local function embedding(b, path, wave, label, o)
  local time, table_path = path .. ".timestep_embedder.", path .. ".class_embedder.embedding_table"
  local e = b:silu(b:linear(time .. "linear_1", wave, { out = width_of(o) }))
  e = b:linear(time .. "linear_2", e, { out = width_of(o) })
  return b:add { e, b:embedding(table_path, label, { inp = o.num_embeds_ada_norm + 1, out = width_of(o) }) }
end

-- The same with the parameters of an embedding that is there.
local function embedding_again(b, path, wave, label)
  local time = path .. ".timestep_embedder."
  local e = b:again(time .. "linear_2", b:silu(b:again(time .. "linear_1", wave)))
  return b:add { e, b:again(path .. ".class_embedder.embedding_table", label) }
end

local function feed(b, h, o)
  local halves, act = table.unpack(feeds[o.activation_fn])
  h = act(b, b:linear("ff.net.0.proj", h, { out = 4 * halves * width_of(o) }))
  return b:linear("ff.net.2", b:dropout("ff.net.1", h, { dropout = o.dropout }), { out = width_of(o) })
end

-- m = linear(silu(e)), six pieces a1, s1, g1, a2, s2, g2:
--   h += g1 attention(norm(h) (1 + s1) + a1)
--   h += g2 feed(norm(h) (1 + s2) + a2)
-- The linear starts at zero: the block is the identity.
local function block(net, i, given, o)
  local width = width_of(o)
  local options = { name = "dit_block", text = ("%d, heads %d"):format(width, o.num_attention_heads),
    recompute = o.recompute }
  local affine = o.norm_elementwise_affine
  return net:block(("transformer_blocks.%d"):format(i), given, options, function(b, x, wave, label)
    local e = b:silu(embedding(b, "norm1.emb", wave, label, o))
    local m = b:per_token(b:linear("norm1.linear", e, { out = 6 * width, init = "zero" }))
    local y = b:modulate({ b:layer_norm(x, { epsilon = EPSILON, affine = false }), m }, { at = 1 })
    y = b:attention("attn1", y, { heads = o.num_attention_heads, fused = false, qkv_bias = o.attention_bias })
    x = b:gate({ x, b:dropout("attn1_dropout", y, { dropout = o.dropout }), m }, { at = 3 })
    y = b:layer_norm(affine and "norm3" or "norm3_plain", x, { epsilon = o.norm_eps, affine = affine })
    return b:gate({ x, feed(b, b:modulate({ y, m }, { at = 4 }), o), m }, { at = 6 })
  end)
end

-- A place is scaled so that an image of any size spans the places of sample_size. The last
-- modulation is linear in the embedding of the first block, and starts at zero with the last product.
function dit.build(net, o)
  local wave = net:sinusoid(net.t, { width = SINUSOID, shift = o.freq_shift, offset = 1, single = true })
  local label = net:labels({ net.t, net.class }, { classes = o.num_embeds_ada_norm, dropout = o.class_dropout })
  local width, patch, out = width_of(o), o.patch_size, o.out_channels or o.in_channels
  local h = net:conv("pos_embed.proj", net.x, { out = width, kernel = patch, stride = patch, pad = 0 })
  h = net:tokens(net:add { h, net:places(h, { base = base_of(o) }) })
  for i = 0, o.num_layers - 1 do h = block(net, i, { h, wave, label }, o) end
  local e = net:silu(embedding_again(net, "transformer_blocks.0.norm1.emb", wave, label))
  local m = net:per_token(net:linear("proj_out_1", e, { inp = width, out = 2 * width, init = "zero" }))
  h = net:modulate({ net:layer_norm(h, { epsilon = EPSILON, affine = false }), m })
  h = net:linear("proj_out_2", h, { out = patch * patch * out, init = "zero" })
  return net:unpatchify({ h, net.x }, { patch = patch })
end

local ours = { "freq_shift", "class_dropout", "recompute" }

-- Nil with a message if that class can't have the model.
local function config_of(o)
  if o.freq_shift ~= 1 then
    return legible.refused("DiTTransformer2DModel has times of freq_shift = 1; it can't have this model's %g",
      o.freq_shift)
  end
  return peers.config(dit, { ours = ours }, o)
end

dit.peers = { diffusers = {
  class = "DiTTransformer2DModel", ours = ours, config = config_of,
  names = { { "attn1.q", "attn1.to_q" }, { "attn1.k", "attn1.to_k" }, { "attn1.v", "attn1.to_v" },
    { "attn1.out", "attn1.to_out.0" } },
} }

--- DiTTransformer2DModel of diffusers, by the options of its config. It is a diffusion transformer for
--- images {B, H, W, C}, conditioned on a class. A missing class, or 0, is the table's last row. Other
--- H and W may be used too, if the patch divides them.
---@param options diffusion.dittransformer2d_options?
---@return diffusion.model
---@usage local model = d.dittransformer2d{ sample_size = 8, num_attention_heads = 2, attention_head_dim = 16,
---   num_layers = 2, num_embeds_ada_norm = 10 }
--- print(model(d.randn(4, 8, 8, 4), 500, { class = 3 }))
function dit.new(options) return family.model(dit, options) end

return dit

--- The layers of nn: constructors that make layers of the C core, with checked options. A layer has
--- no values until nn.model packs it. Then it is called with tensors, and its weight and bias are
--- fields.
local fail = require "diffusion.fail"
local core = require "diffusion.core"
local kinds = require "diffusion.nn.kinds"
local opts = require "diffusion.opts"
local kind_of = require("diffusion.kind").of

local layers = {}

-- A layer by its sizes, given by position, and its checked options.
local function make(name, sizes, given)
  local o = kinds.check(name, given, sizes.n + 1)
  for i = 1, sizes.n do
    local key, what, value = table.unpack(sizes[i])
    o[key] = opts.argument(name, i, what, value, kinds[name].sizes[key])
  end
  return kinds.make(name, o)
end

local function one(what, inp) return { n = 1, { "inp", what, inp } } end
local function two(what, inp, what_out, out) return { n = 2, { "inp", what, inp }, { "out", what_out, out } } end
local function in_out(inp, out) return two("channels in", inp, "channels out", out) end

--- y = x w^T + b over the last dimension: ..., inp -> ..., out.
---@param inp integer
---@param out integer
---@param options diffusion.nn_linear_options?
---@return diffusion.layer layer, fields weight {out, inp}, bias {out}
function layers.linear(inp, out, options)
  return make("linear", two("width in", inp, "width out", out), options)
end

--- Cross-correlation over images: {B, H, W, inp} -> {B, H', W', out}.
---@param inp integer channels in
---@param out integer channels out
---@param options diffusion.nn_conv_options?
---@return diffusion.layer layer, fields weight {out, kernel, kernel, inp}, bias {out}
function layers.conv(inp, out, options)
  return make("conv", in_out(inp, out), options)
end

--- conv(dropout(silu(group_norm(x)))) in one layer: the norm writes the convolution's operand
--- directly. It is called as layer(x [, add [, e [, m]]]). add is added to the result, and e {B, inp}
--- to each pixel of x before the norm. m {B, 2 inp} is a scale s and a shift t: norm (1 + s) + t.
---@param inp integer channels in
---@param out integer channels out
---@param options diffusion.nn_norm_conv_options?
---@return diffusion.layer layer, parts norm and conv
function layers.norm_conv(inp, out, options)
  return make("norm_conv", in_out(inp, out), options)
end

--- Group normalisation (Wu & He 2018) of {B, ..., channels}. It is called as layer(x [, e [, m]]); see
--- nn.norm_conv.
---@param channels integer
---@param options diffusion.nn_group_norm_options?
---@return diffusion.layer layer, fields weight, bias {channels}
function layers.group_norm(channels, options)
  return make("group_norm", one("channels", channels), options)
end

--- Layer normalisation (Ba et al. 2016) over the last dimension.
---@param width integer
---@param options diffusion.nn_layer_norm_options?
---@return diffusion.layer layer, fields weight, bias {width}
function layers.layer_norm(width, options)
  return make("layer_norm", one("width", width), options)
end

--- Multi-head self-attention over tokens {B, N, width} or pixels {B, H, W, width}. It has no residual
--- connection: write x + attention(norm(x)).
---@param width integer
---@param options diffusion.nn_attention_options?
---@return diffusion.layer layer, parts qkv and out
function layers.attention(width, options)
  return make("attention", one("width", width), options)
end

--- A table of n rows. It maps whole numbers 1..n (0: zeros) of any shape to that shape with width
--- added.
---@param n integer rows
---@param width integer
---@param options diffusion.nn_embedding_options?
---@return diffusion.layer layer, field weight {n, width}
function layers.embedding(n, width, options)
  return make("embedding", two("rows", n, "width", width), options)
end

--- The residual block of Ho et al. 2020. It is norm_conv, plus linear(e) of an embedding, then
--- norm_conv with dropout, which starts at zero, plus x. x goes through a 1x1 convolution if the
--- channels differ. It is called as block(x, e): x {B, H, W, inp}, e {B, embed}, activated.
---@param inp integer channels in
---@param out integer channels out
---@param options diffusion.nn_res_block_options?
---@return diffusion.layer layer, parts one, two, embed, skip
function layers.res_block(inp, out, options)
  return make("res_block", in_out(inp, out), options)
end

--- Nearest-neighbour upsampling, then a 3x3 convolution: {B, H, W, inp} -> {B, times H, times W, out}.
---@param inp integer channels in
---@param out integer|nil channels out, inp if nil
---@param options diffusion.nn_upsample_options?
---@return diffusion.layer layer, part conv
function layers.upsample(inp, out, options)
  return make("upsample", in_out(inp, out or inp), options)
end

--- A 3x3 convolution of stride 2: {B, H, W, inp} -> {B, H/2, W/2, out}.
---@param inp integer channels in
---@param out integer|nil channels out, inp if nil
---@param options diffusion.nn_downsample_options?
---@return diffusion.layer layer, part conv
function layers.downsample(inp, out, options)
  return make("downsample", in_out(inp, out or inp), options)
end

--- cos and sin of t times width/2 frequencies: t {B} -> {B, width}. The last number of an odd width
--- is 0.
---@param width integer
---@param options diffusion.nn_sinusoid_options?
---@return diffusion.layer
function layers.sinusoid(width, options)
  return make("sinusoid", { n = 1, { "width", "width", width } }, options)
end

--- Dropout (Srivastava et al. 2014). It acts only in d.record, and not after model:eval().
---@param probability number? probability that an element is set to 0, in [0, 1); 0.5 if nil
---@return diffusion.layer
function layers.dropout(probability)
  local rule = kinds.dropout.rules.dropout
  if probability == nil then probability = rule.default end
  return kinds.make("dropout", { dropout = opts.argument("dropout", 1, "probability", probability, rule) })
end

--- Time (and class) as a vector for residual blocks: silu(linear(silu(linear(sinusoid(t)))) + class
--- row). It is called as embed(t, class).
---@param inp integer width of the sinusoid
---@param width integer width of the result
---@param options diffusion.nn_time_embed_options?
---@return diffusion.layer layer, parts sinusoid, one, two, class
function layers.time_embed(inp, width, options)
  return make("time_embed", two("width of the sinusoid", inp, "width", width), options)
end

--- x / (1 + e^-x). This is a layer, not a constructor: nn.sequence(a, nn.silu, b).
layers.silu = kinds.make("silu", {})

--- x Phi(x), with Phi the normal distribution function. This is a layer: nn.sequence(a, nn.gelu, b).
layers.gelu = kinds.make("gelu", {})

--- A single parameter that begins as a copy of `tensor`. As a module's field it reads as the trained
--- tensor.
---@param tensor diffusion.tensor
---@return diffusion.layer
function layers.parameter(tensor)
  if not core.is_tensor(tensor) then
    fail.raise("bad argument #1 to 'parameter' (tensor expected, got %s)", kind_of(tensor))
  end
  return fail.call(core.parameter, tensor)
end

for name, layer in pairs(layers) do
  local has_options = type(layer) == "function" and kinds[name] and name ~= "dropout"
  if has_options then opts.declare("nn_" .. name, kinds[name].rules) end
end

return layers

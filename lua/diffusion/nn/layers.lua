--- The layers of nn: constructors that make layers of the C core, with checked options. A layer has
--- no values until nn.model packs it. Then it is called with tensors, and its weight and bias are
--- fields.
local fail = require "diffusion.fail"
local core = require "diffusion.core"
local kinds = require "diffusion.nn.kinds"
local shown = require("diffusion.kind").shown
local kind_of = require("diffusion.kind").of

local layers = {}

local function whole(name, argument, what, value)
  if math.type(value) == "float" then value = math.tointeger(value) or value end
  if math.type(value) ~= "integer" or value < 1 then
    fail.raise("bad argument #%d to '%s' (%s: a whole number of 1 or more expected, got %s)",
      argument, name, what, shown(value))
  end
  return value
end

-- A layer by its sizes, given by position, and its checked options.
local function make(name, sizes, given)
  local o = kinds.check(name, given, sizes.n + 1)
  for i = 1, sizes.n do
    local key, what, value = table.unpack(sizes[i])
    o[key] = whole(name, i, what, value)
  end
  return kinds.make(name, o)
end

local function one(what, inp) return { n = 1, { "inp", what, inp } } end
local function two(what, inp, what_out, out) return { n = 2, { "inp", what, inp }, { "out", what_out, out } } end
local function in_out(inp, out) return two("channels in", inp, "channels out", out) end

--- y = x w^T + b over the last dimension: ..., inp -> ..., out.
---@param inp integer
---@param out integer
---@param options table? {bias = true, init = "usual" (uniform within 1/sqrt(inp)) or "zero"}
---@return diffusion.layer layer, fields weight {out, inp}, bias {out}
function layers.linear(inp, out, options)
  return make("linear", two("width in", inp, "width out", out), options)
end

--- Cross-correlation over images: {B, H, W, inp} -> {B, H', W', out}.
---@param inp integer channels in
---@param out integer channels out
---@param options table? {kernel = 3, stride = 1, pad = kernel // 2 or {top, bottom, left,
---  right}, bias = true, init = "usual" (uniform within 1/sqrt(kernel^2 inp)) or "zero"}
---@return diffusion.layer layer, fields weight {out, kernel, kernel, inp}, bias {out}
function layers.conv(inp, out, options)
  return make("conv", in_out(inp, out), options)
end

--- conv(dropout(silu(group_norm(x)))) in one layer: the norm writes the convolution's operand
--- directly. It is called as layer(x [, add [, e]]). add is added to the result, and e {B, inp} to
--- each pixel of x before the norm.
---@param inp integer channels in
---@param out integer channels out
---@param options table? those of nn.conv and {groups = largest divisor of inp of at most 32
---  that leaves 4 channels each, act = "silu" or "none", dropout = 0}
---@return diffusion.layer layer, parts norm and conv
function layers.norm_conv(inp, out, options)
  return make("norm_conv", in_out(inp, out), options)
end

--- Group normalisation (Wu & He 2018) of {B, ..., channels}.
---@param channels integer
---@param options table? {groups = as in nn.norm_conv, epsilon = 1e-5}
---@return diffusion.layer layer, fields weight, bias {channels}
function layers.group_norm(channels, options)
  return make("group_norm", one("channels", channels), options)
end

--- Layer normalisation (Ba et al. 2016) over the last dimension.
---@param width integer
---@param options table? {epsilon = 1e-5}
---@return diffusion.layer layer, fields weight, bias {width}
function layers.layer_norm(width, options)
  return make("layer_norm", one("width", width), options)
end

--- Multi-head self-attention over tokens {B, N, width} or pixels {B, H, W, width}. It has no residual
--- connection: write x + attention(norm(x)).
---@param width integer
---@param options table? {heads = 1, init = of the last product, "usual" or "zero"}
---@return diffusion.layer layer, parts qkv and out
function layers.attention(width, options)
  return make("attention", one("width", width), options)
end

--- A table of n rows. It maps whole numbers 1..n (0: zeros) of any shape to that shape with width
--- added.
---@param n integer rows
---@param width integer
---@return diffusion.layer layer, field weight {n, width}, with standard normal first values
function layers.embedding(n, width)
  return make("embedding", two("rows", n, "width", width))
end

--- The residual block of Ho et al. 2020. It is norm_conv, plus linear(e) of an embedding, then
--- norm_conv with dropout, which starts at zero, plus x. x goes through a 1x1 convolution if the
--- channels differ. It is called as block(x, e): x {B, H, W, inp}, e {B, embed}, activated.
---@param inp integer channels in
---@param out integer channels out
---@param options table? {embed = width of e or nil for none, dropout = 0, groups =}
---@return diffusion.layer layer, parts one, two, embed, skip
function layers.res_block(inp, out, options)
  return make("res_block", in_out(inp, out), options)
end

--- Nearest-neighbour upsampling, then a 3x3 convolution: {B, H, W, inp} -> {B, times H, times W, out}.
---@param inp integer channels in
---@param out integer|nil channels out, inp if nil
---@param options table? {times = 2}
---@return diffusion.layer layer, part conv
function layers.upsample(inp, out, options)
  return make("upsample", in_out(inp, out or inp), options)
end

--- A 3x3 convolution of stride 2: {B, H, W, inp} -> {B, H/2, W/2, out}.
---@param inp integer channels in
---@param out integer|nil channels out, inp if nil
---@param options table? {pad = 1 or {top, bottom, left, right}: {0, 1, 0, 1} is DDPM's}
---@return diffusion.layer layer, part conv
function layers.downsample(inp, out, options)
  return make("downsample", in_out(inp, out or inp), options)
end

--- cos and sin of t times width/2 frequencies: t {B} -> {B, width}.
---@param width integer even
---@param options table? {max_period = 10000, shift = 0 (ADM; 1: DDPM) in the frequencies
---  max_period^(-k / (width/2 - shift)), order = "cos_sin" or "sin_cos"}
---@return diffusion.layer
function layers.sinusoid(width, options)
  return make("sinusoid", { n = 1, { "width", "width", width } }, options)
end

--- Dropout (Srivastava et al. 2014). It acts only in d.record, and not after model:eval().
---@param probability number|nil probability of an element to be set to 0, in [0, 1); 0.5 if nil
---@return diffusion.layer
function layers.dropout(probability)
  if type(probability or 0.5) ~= "number" then
    fail.raise("bad argument #1 to 'dropout' (a number expected, got a %s)", type(probability))
  end
  return kinds.make("dropout", { dropout = probability or 0.5 })
end

--- Time (and class) as a vector for residual blocks: silu(linear(silu(linear(sinusoid(t)))) + class
--- row). It is called as embed(t, class).
---@param inp integer width of the sinusoid, even
---@param width integer width of the result
---@param options table? {classes = 0}
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

return layers

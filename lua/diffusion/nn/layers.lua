--- The layers of nn: constructors over the C core, with their options checked. A layer has
--- no values until nn.model packs it; then it is called with tensors, and its weight and
--- bias are fields.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kinds = require "diffusion.kind"
local opts = require "diffusion.opts"

local layers = {}

local function whole(name, argument, what, value)
  if math.type(value) == "float" then value = math.tointeger(value) or value end
  if math.type(value) ~= "integer" or value < 1 then
    fail.raise("bad argument #%d to '%s' (%s: a whole number of 1 or more expected, got %s)",
      argument, name, what, kinds.shown(value))
  end
  return value
end

-- A layer of the core, an error of which carries the user's line.
local function make(kind, o) return fail.call(core.layer[kind], o) end

local init_rule = { one_of = { "usual", "zero" }, default = "usual" }
local bias_rule = { "boolean", default = true }
local groups_rule = { "integer", min = 1 }
local tiny_rule = { "number", default = 1e-5, above = 0 }
local drop_rule = { "number", default = 0, min = 0, below = 1 }

-- Zeros around: one number, or {top, bottom, left, right}; absent: the core's default.
local function set_pad(name, argument, o, pad)
  if pad == nil then return end
  if type(pad) == "number" then pad = { pad, pad, pad, pad } end
  for i, side in ipairs { "top", "bottom", "left", "right" } do
    local n = math.tointeger(pad[i])
    if not n or n < 0 then
      fail.raise("bad argument #%d to '%s' (option 'pad': a whole number of 0 or more, or four of "
        .. "them {top, bottom, left, right} expected)", argument, name)
    end
    o[side] = n
  end
end

-- The checked options with channels and padding, as the core reads them.
local function conv_options(name, inp, out, given, rules)
  local o = opts.check(name, given, rules, 3)
  o.inp, o.out = whole(name, 1, "channels in", inp), whole(name, 2, "channels out", out)
  o.zero = o.init == "zero"
  set_pad(name, 3, o, o.pad)
  return o
end

--- y = x w^T + b over the last dimension: ..., inp -> ..., out.
---@param inp integer
---@param out integer
---@param options table? {bias = true, init = "usual" (uniform within 1/sqrt(inp)) or "zero"}
---@return diffusion.layer layer, fields weight {out, inp}, bias {out}
function layers.linear(inp, out, options)
  local o = opts.check("linear", options, { bias = bias_rule, init = init_rule }, 3)
  return make("linear", {
    inp = whole("linear", 1, "width in", inp), out = whole("linear", 2, "width out", out),
    bias = o.bias, zero = o.init == "zero",
  })
end

--- Cross-correlation over images: {B, H, W, inp} -> {B, H', W', out}.
---@param inp integer channels in
---@param out integer channels out
---@param options table? {kernel = 3, stride = 1, pad = kernel // 2 or {top, bottom, left,
---  right}, bias = true, init = "usual" (uniform within 1/sqrt(kernel^2 inp)) or "zero"}
---@return diffusion.layer layer, fields weight {out, kernel, kernel, inp}, bias {out}
function layers.conv(inp, out, options)
  return make("conv", conv_options("conv", inp, out, options, {
    kernel = { "integer", default = 3, min = 1 }, stride = { "integer", default = 1, min = 1 },
    pad = { "integer|table" }, bias = bias_rule, init = init_rule,
  }))
end

--- conv(dropout(silu(group_norm(x)))) in one layer: the norm writes what the convolution
--- reads. Called as layer(x [, add [, e]]): add comes to the result, e {B, inp} to each pixel
--- of x before the norm.
---@param inp integer channels in
---@param out integer channels out
---@param options table? those of nn.conv and {groups = largest divisor of inp of at most 32
---  that leaves 4 channels each, act = "silu" or "none", drop = 0}
---@return diffusion.layer layer, parts norm and conv
function layers.norm_conv(inp, out, options)
  local o = conv_options("norm_conv", inp, out, options, {
    kernel = { "integer", default = 3, min = 1 }, stride = { "integer", default = 1, min = 1 },
    pad = { "integer|table" }, bias = bias_rule, init = init_rule, groups = groups_rule,
    tiny = tiny_rule, drop = drop_rule, act = { one_of = { "silu", "none" }, default = "silu" },
  })
  o.silu = o.act == "silu"
  return make("norm_conv", o)
end

--- Group normalisation (Wu & He 2018) of {B, ..., channels}.
---@param channels integer
---@param options table? {groups = as in nn.norm_conv, tiny = 1e-5}
---@return diffusion.layer layer, fields weight, bias {channels}
function layers.group_norm(channels, options)
  local o = opts.check("group_norm", options, { groups = groups_rule, tiny = tiny_rule }, 2)
  o.inp = whole("group_norm", 1, "channels", channels)
  return make("group_norm", o)
end

--- Layer normalisation (Ba et al. 2016) over the last dimension.
---@param width integer
---@param options table? {tiny = 1e-5}
---@return diffusion.layer layer, fields weight, bias {width}
function layers.layer_norm(width, options)
  local o = opts.check("layer_norm", options, { tiny = tiny_rule }, 2)
  o.inp = whole("layer_norm", 1, "width", width)
  return make("layer_norm", o)
end

--- Multi-head self-attention over tokens {B, N, width} or pixels {B, H, W, width}. The
--- residual connection is yours: x + attention(norm(x)).
---@param width integer
---@param options table? {heads = 1, init = of the last product, "usual" or "zero"}
---@return diffusion.layer layer, parts qkv and out
function layers.attention(width, options)
  local o = opts.check("attention", options,
    { heads = { "integer", default = 1, min = 1 }, init = init_rule }, 2)
  return make("attention", {
    inp = whole("attention", 1, "width", width), heads = o.heads, zero = o.init == "zero",
  })
end

--- A table of n rows: whole numbers 1..n (0: zeros) of any shape -> their shape, width.
---@param n integer rows
---@param width integer
---@return diffusion.layer layer, field weight {n, width}, standard normal at first
function layers.embedding(n, width)
  return make("embedding", {
    inp = whole("embedding", 1, "rows", n), out = whole("embedding", 2, "width", width),
  })
end

--- The residual block of Ho et al. 2020: norm_conv, plus linear(e) of an embedding,
--- norm_conv with dropout starting at zero, plus x (through a 1x1 convolution where the
--- channels differ). Called as block(x, e): x {B, H, W, inp}, e {B, embed}, activated.
---@param inp integer channels in
---@param out integer channels out
---@param options table? {embed = width of e or nil for none, drop = 0, groups =}
---@return diffusion.layer layer, parts one, two, embed, skip
function layers.res_block(inp, out, options)
  local o = conv_options("res_block", inp, out, options,
    { embed = { "integer", min = 1 }, drop = drop_rule, groups = groups_rule, tiny = tiny_rule })
  o.width = o.embed
  return make("res_block", o)
end

--- Nearest neighbours, then a 3x3 convolution: {B, H, W, inp} -> {B, times H, times W, out}.
---@param inp integer channels in
---@param out integer|nil channels out, inp if nil
---@param options table? {times = 2}
---@return diffusion.layer layer, part conv
function layers.upsample(inp, out, options)
  return make("upsample", conv_options("upsample", inp, out or inp, options,
    { times = { "integer", default = 2, min = 1 } }))
end

--- A 3x3 convolution of stride 2: {B, H, W, inp} -> {B, H/2, W/2, out}.
---@param inp integer channels in
---@param out integer|nil channels out, inp if nil
---@param options table? {pad = 1 or {top, bottom, left, right}: {0, 1, 0, 1} is DDPM's}
---@return diffusion.layer layer, part conv
function layers.downsample(inp, out, options)
  return make("downsample", conv_options("downsample", inp, out or inp, options,
    { pad = { "integer|table" } }))
end

--- cos and sin of t times width/2 frequencies: t {B} -> {B, width}.
---@param width integer even
---@param options table? {max_period = 10000, shift = 0 (ADM; 1: DDPM) in the frequencies
---  max_period^(-k / (width/2 - shift)), order = "cos_sin" or "sin_cos"}
---@return diffusion.layer
function layers.sinusoid(width, options)
  local o = opts.check("sinusoid", options, {
    max_period = { "number", default = 10000, above = 0 }, shift = { "number", default = 0 },
    order = { one_of = { "cos_sin", "sin_cos" }, default = "cos_sin" },
  }, 2)
  o.width, o.sin_first = whole("sinusoid", 1, "width", width), o.order == "sin_cos"
  return make("sinusoid", o)
end

--- Dropout (Srivastava et al. 2014), in d.record only and unless model:eval() was said.
---@param drop number|nil the share set to 0, in [0, 1); 0.5 if nil
---@return diffusion.layer
function layers.dropout(drop)
  if type(drop or 0.5) ~= "number" then
    fail.raise("bad argument #1 to 'dropout' (a number expected, got a %s)", type(drop))
  end
  return make("dropout", { drop = drop or 0.5 })
end

--- Time (and class) as a vector for residual blocks: silu(linear(silu(linear(sinusoid(t))))
--- + class row); called as embed(t, class).
---@param inp integer width of the sinusoid, even
---@param width integer of the result
---@param options table? {classes = 0}
---@return diffusion.layer layer, parts sinusoid, one, two, class
function layers.time_embed(inp, width, options)
  local o = opts.check("time_embed", options, { classes = { "integer", default = 0, min = 0 } }, 3)
  return make("time_embed", {
    inp = whole("time_embed", 1, "width of the sinusoid", inp),
    out = whole("time_embed", 2, "width", width), classes = o.classes,
  })
end

--- x / (1 + e^-x) as a layer itself, not a constructor: nn.sequence(a, nn.silu, b).
layers.silu = core.layer.silu()

--- x Phi(x), Phi the normal distribution function, as a layer itself: nn.sequence(a, nn.gelu, b).
layers.gelu = core.layer.gelu()

--- A bare parameter that begins as a copy of `tensor`; as a module's field it reads as the
--- tensor that is trained.
---@param tensor diffusion.tensor
---@return diffusion.layer
function layers.parameter(tensor)
  if not core.is_tensor(tensor) then
    fail.raise("bad argument #1 to 'parameter' (tensor expected, got %s)", kinds.of(tensor))
  end
  return make("parameter", tensor)
end

return layers

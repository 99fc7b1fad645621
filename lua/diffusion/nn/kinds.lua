-- The kinds of layers. Each has its sizes, its options with ranges, defaults and a sentence, and the
-- width of its result. The constructors of nn and the builder of networks both read this table.
-- csrc/nn/kinds.c has a row for each kind.
local fail = require "diffusion.fail"
local core = require "diffusion.core"
local opts = require "diffusion.opts"

local kinds = {}

local WIDEST = 1 << 20 -- keeps every product of two sizes within 63 bits

local function size(text, least) return { "integer", min = least or 1, max = WIDEST, text = text } end
local function flag(default, text) return { "boolean", default = default, text = text } end

local init = { one_of = { "usual", "zero" }, default = "usual",
  text = '"usual" draws first values uniformly within 1/sqrt(fan in), "zero" starts at 0' }
local bias = flag(true, "adds a vector of `out` numbers")
local epsilon = { "number", default = 1e-5, above = 0, text = "added to the variance" }
local groups = { "integer", min = 1, max = WIDEST, text = "groups of channels of the norm",
  default_text = "largest divisor <= 32 of the channels that leaves 4 each" }
local dropout = { "number", default = 0, min = 0, below = 1,
  text = "probability that an element is set to 0 in training" }
local heads = { "integer", default = 1, min = 1, max = WIDEST, text = "number of heads, which divides the width" }
local kernel = { "integer", default = 3, min = 1, max = WIDEST, text = "height and width of the kernel" }
local stride = { "integer", default = 1, min = 1, max = WIDEST, text = "step between two places of the kernel" }
local pad = { "integer|table", min = 0, each = { "integer", min = 0 }, entries = 4, as = "integer|integer[]",
  default_text = "kernel // 2", text = "zeros around the input: one number or {top, bottom, left, right}" }
local patch = { "integer", required = true, min = 1, max = WIDEST, text = "height and width of a patch" }
local max_period = { "number", default = 10000, above = 0, text = "the longest period over 2 pi" }
local at = { "integer", default = 1, min = 1, max = WIDEST, text = "which piece of the modulation, from 1" }

local inner = { "integer", required = true, min = 1, max = WIDEST,
  text = "width of q, k and v, which the heads divide" }
local memory = { "integer", default = 0, min = 0, max = WIDEST, text = "number of learned keys and values" }
local acts = { "none", "silu", "relu", "gelu", "mish", "tanh" } -- as df_act of the core counts them, from 0
local act = { one_of = acts, default = "silu", text = "activation after the norm" }
local affine = flag(true, "has weight and bias")
local within = { "number", default = 0, min = 0, text = "first values are uniform within it; 0: standard normal" }
local offset = { "number", default = 0, text = "subtracted from t first" }
local order = { one_of = { "cos_sin", "sin_cos" }, default = "cos_sin", text = "which half comes first" }
local function margin(text) return { "integer", default = 0, min = -WIDEST, max = WIDEST, text = text } end
local function factor(text) return { "integer", default = 1, min = 1, max = 64, text = text } end

-- Options by another name or form in the core.
local function convert_pad(o, to)
  local zeros = o.pad or o.kernel // 2
  if type(zeros) == "number" then zeros = { zeros, zeros, zeros, zeros } end
  for i, side in ipairs { "top", "bottom", "left", "right" } do to[side] = zeros[i] end
end

local converted = {
  init = function(value, to) to.zero = value == "zero" end,
  act = function(value, to)
    for i, name in ipairs(acts) do if name == value then to.act = i - 1 end end
  end,
  order = function(value, to) to.sin_first = value == "sin_cos" end,
  by = function(value, to) to.tanh = value == "tanh" end,
  at = function(value, to) to.at = value - 1 end,
}

-- One kind: a sentence, its least and most inputs, the width of the result, its sizes (positional
-- in nn), and the rules of its options. A width is "out", "first" (that of the first input) or a
-- function (o, widths).
local function kind(name, text, inputs, width, sizes, rules)
  kinds[name] = { name = name, text = text, least = inputs[1], most = inputs[2] or inputs[1], width = width,
    sizes = sizes or {}, rules = rules or {} }
end

local in_out = { inp = size "channels or width of the input", out = size "channels or width of the result" }
local only_in = { inp = size "channels or width of the input" }

kind("linear", "y = x w^T + b over the last dimension", { 1 }, "out", in_out, { bias = bias, init = init })
kind("conv", "Cross-correlation over images; a second input of the result's shape is added", { 1, 2 }, "out", in_out,
  { kernel = kernel, stride = stride, pad = pad, bias = bias, init = init,
  standard = flag(false, "the weights of each output have mean 0 and variance 1 (Qiao et al. 2019)") })
kind("norm_conv", "conv(dropout(silu(group_norm(x)))); the result plus a second input, x plus a third {B, inp} "
  .. "first; a fourth {B, 2 inp} has a scale s and a shift t: norm (1 + s) + t",
  { 1, 4 }, "out", in_out, { kernel = kernel, stride = stride, pad = pad, bias = bias, init = init,
  groups = groups, epsilon = epsilon, dropout = dropout, act = act, affine = affine })
kind("group_norm", "Group normalisation of x, or of x plus a second input {B, inp}; a third {B, 2 inp} has a scale s "
  .. "and a shift t: norm (1 + s) + t", { 1, 3 }, "first", only_in,
  { groups = groups, epsilon = epsilon, affine = affine, act = opts.joined(act, { default = "none" }) })
kind("layer_norm", "Layer normalisation over the last dimension", { 1 }, "first", only_in,
  { epsilon = epsilon, affine = affine, bias = flag(true, "adds a vector of `inp` numbers, if affine") })
kind("rms_norm", "Root mean square norm over the last dimension; a second input {B, 2 inp} has a scale s and a "
  .. "shift t: norm (1 + s) + t", { 1, 2 }, "first", only_in,
  { epsilon = opts.joined(epsilon, { default = 1e-6, text = "added to the mean of squares" }),
    act = opts.joined(act, { default = "none" }) })
kind("attention", "Multi-head attention of x, over a second input if given, with a third as mask", { 1, 3 }, "first",
  only_in, { heads = heads, init = init,
  inner = { "integer", min = 1, max = WIDEST, default_text = "width of the input",
    text = "width of q, k and v, which the heads divide" },
  context = { "integer", min = 1, max = WIDEST, default_text = "width of the context",
    text = "width of the context that keys and values are computed from" },
  causal = flag(false, "token i attends to tokens 1 .. i"), qkv_bias = flag(true, "q, k and v have a bias"),
  bias = flag(true, "the last product has a bias"),
  fused = { "boolean", default_text = "true without a context", text = "q, k and v have one weight" } })
kind("attention_block", "x + attention(group_norm(x))", { 1 }, "first", only_in,
  { heads = heads, groups = groups, epsilon = epsilon })
kind("memory_attention", "Attention of x to its tokens and to learned keys and values", { 1 }, "first", only_in,
  { heads = heads, inner = inner, memory = memory,
    cosine = { "number", default = 0, min = 0,
      text = "factor of the scores of q and k divided by their lengths over the tokens; 0: of q and k as usual" } })
kind("linear_attention", "Attention without scores between tokens, to x and to learned keys and values "
  .. "(Shen et al. 2021)", { 1 }, "first", only_in, { heads = heads, inner = inner, memory = memory,
  spread = flag(false, "values are divided by the number of tokens") })
kind("embedding", "Rows of a table by whole numbers from 1; 0 gives zeros", { 1 }, "out",
  { inp = size "rows of the table", out = in_out.out },
  { within = within })
kind("positions", "Tokens {B, N, inp} plus the first N rows of a table", { 1 }, "first", only_in,
  { within = within, rows = { "integer", required = true, min = 1, max = WIDEST,
    text = "rows of the table: tokens at most" } })
kind("res_block", "The residual block of Ho et al. 2020 on x and an embedding", { 1, 2 }, "out", in_out,
  { dropout = dropout, groups = groups, epsilon = epsilon,
    embed = { "integer", min = 1, max = WIDEST, default_text = "width of the embedding",
      text = "width of the embedding that the block adds" } })
kind("upsample", "Nearest neighbours, then a 3x3 convolution; a second input, an image, has the size of the result "
  .. "if that is not `times` the first's", { 1, 2 }, "out", in_out,
  { times = { "integer", default = 2, min = 1, max = WIDEST, text = "factor of height and width" } })
kind("downsample", "A 3x3 convolution of stride 2", { 1 }, "out", in_out,
  { pad = opts.joined(pad, { default = 1, default_text = false,
    text = "zeros around the input: one number or {top, bottom, left, right}; DDPM has {0, 1, 0, 1}" }) })
kind("enlarge", "Nearest neighbours: each pixel `times` times in both directions", { 1 }, "first", nil,
  { times = { "integer", default = 2, min = 1, max = 64, text = "factor of height and width" } })
kind("avg_pool", "Means of times x times pixels", { 1 }, "first", nil,
  { times = { "integer", default = 2, min = 1, max = 64, text = "divides height and width" } })
kind("fir", "A binomial filter, as 1 3 3 1, that makes images larger or smaller (Karras et al. 2020)", { 1 }, "first",
  nil, { up = factor "zeros are put between pixels, this many less one; the mean of the image stays",
  down = factor "every so many sums are taken", taps = { "integer", default = 4, min = 1, max = 8,
    text = "length of the filter" },
  before = margin "zeros above and left of the enlarged image; below 0: so many are cut off",
  after = margin "zeros below and right of it", reflect = flag(false, "mirrored pixels instead of these zeros") })
kind("sinusoid", "cos and sin of numbers {B} or {B, N} times width/2 frequencies; the last number of an odd width is 0",
  { 1 },
  function(o) return o.width end, { width = size "width of the result" },
  { max_period = max_period, order = order, offset = offset,
    single = flag(false, "frequencies and angles are rounded to f32, as in PyTorch"),
    shift = { "number", default = 0,
      text = "s of the frequencies max_period^(-k / (width/2 - s)): 0 in ADM, 1 in DDPM" } })
kind("fourier", "sin and cos of 2 pi w t, for frequencies w that are drawn once and not trained", { 1 },
  function(o) return o.width end, { width = size("width of the result, even", 2) },
  { order = opts.joined(order, { default = "sin_cos" }), offset = offset,
    log = flag(false, "takes ln t instead of t"),
    scale = { "number", default = 16, above = 0, text = "standard deviation of the frequencies" } })
kind("learned_waves", "u = t - offset, sin and cos of 2 pi w u, for trained frequencies w", { 1 },
  function(o) return o.width + 1 end, { width = size("width of the waves, even", 2) }, { offset = offset })
kind("one_hot", "The class {B} of each sample of the first input as a row of zeros with one `factor`; all zeros if it "
  .. "is 0 or absent", { 1, 2 }, function(o) return o.classes end, nil,
  { classes = { "integer", required = true, min = 1, max = (1 << 31) - 2, text = "number of classes" },
    factor = { "number", default = 1, text = "the number in the place of the class" } })
kind("time_rows", "Rows of a table by whole times {B}: row t - offset, from 1", { 1 }, "out",
  { inp = size "rows of the table", out = in_out.out },
  { offset = { "integer", default = 0, text = "subtracted from t first" } })
kind("over_time", "x / (t - offset), for a t {B} as second input", { 2 }, "first", nil, { offset = offset })
kind("dropout", "Elements set to 0 at random in training", { 1 }, "first", nil,
  { dropout = opts.joined(dropout, { default = 0.5 }) })
kind("time_embed", "Time, and class as a second input, as an embedding", { 1, 2 }, "out",
  { inp = size "width of the sinusoid", out = size "width of the result" },
  { classes = { "integer", default = 0, min = 0, max = (1 << 31) - 1, text = "number of classes; 0 for none" } })

kind("labels", "The class {B} of each sample of the first input; classes + 1 where it is 0 or absent", { 1, 2 }, nil,
  nil, { classes = { "integer", required = true, min = 1, max = (1 << 31) - 2, text = "number of classes" },
    dropout = opts.joined(dropout, { text = "probability that a class is forgotten in training" }) })

local function sum(_, widths)
  local total = 0
  for _, w in ipairs(widths) do total = w and total and total + w end
  return total
end

local function half(_, widths) return widths[1] and widths[1] // 2 end
local function piece(o, widths) return widths[1] and widths[1] // o.pieces end

-- Widths of patches of p x p pixels, and of the pixels.
local function patched(o, widths) return widths[1] and widths[1] * o.patch * o.patch end
local function unpatched(o, widths) return widths[1] and widths[1] // (o.patch * o.patch) end

kind("silu", "x / (1 + exp(-x))", { 1 }, "first")
kind("gelu", "x Phi(x), Phi the normal distribution function", { 1 }, "first", nil,
  { by = { one_of = { "erf", "tanh" }, default = "erf", text = '"erf" is exact, "tanh" the approximation of GPT-2' } })
kind("quick_gelu", "x sigmoid(1.702 x)", { 1 }, "first")
kind("geglu", "a gelu(b), for the halves a and b of the last dimension", { 1 }, half)
kind("activation", "An activation by name", { 1 }, "first", nil, { act = opts.joined(act, { text = "its name" }) })
kind("scale", "factor x + plus", { 1 }, "first", nil, { factor = { "number", default = 1, text = "the factor" },
  plus = { "number", default = 0, text = "added to all elements" } })
kind("add", "The sum of two values; the first alone if the second is absent", { 1, 2 }, "first")
kind("mul", "The product of two values", { 2 }, "first")
kind("cat", "Values joined along the last dimension", { 1, 8 }, sum, nil,
  { fill = flag(false, "an absent second value counts as zeros of the first's shape") })
kind("chunk", "One of equal pieces of the last dimension", { 1 }, piece, nil,
  { pieces = { "integer", default = 2, min = 1, max = WIDEST, text = "their number" },
    at = opts.joined(at, { text = "which piece, from 1" }) })
kind("per_token", "An embedding {B, C} as {B, 1, C}, to act on each token", { 1 }, "first")
kind("modulate", "x (1 + scale) + shift; pieces `at` and `at` + 1 of the second input are shift and scale", { 2 },
  "first", nil, { at = at })
kind("gate", "x + g y for inputs x, y, m; g is piece `at` of m", { 3 }, "first", nil, { at = at })
kind("tokens", "An image {B, H, W, C} as tokens {B, H W, C}", { 1 }, "first")
kind("pixels", "Tokens {B, H W, C} as an image of the second input's height and width", { 2 }, "first")
kind("patchify", "Patches of an image {B, H, W, C} as tokens {B, H W / p^2, p^2 C}", { 1 }, patched, nil,
  { patch = patch })
kind("unpatchify", "Tokens as patches of an image of the second input's height and width", { 2 }, unpatched, nil,
  { patch = patch })
kind("places", "Sines and cosines of each pixel's row and column (He et al. 2022)", { 1 }, "first", nil,
  { max_period = max_period, base = { "integer", default = 0, min = 0, max = WIDEST,
      text = "the places of n rows or columns are scaled by base / n; 0: they are not scaled" } })

kind("flatten", "A row for each sample: {B, ...} as {B, the product of the rest}", { 1 })
kind("unflatten", "A row {B, n C} as n tokens {B, n, C}", { 1 }, piece, nil,
  { pieces = { "integer", required = true, min = 1, max = WIDEST, text = "their number n" } })
kind("join", "The tokens of two values, one after another", { 2 }, "first")
kind("attend", "Attention of queries, keys and values that are there already, with a fourth input as mask", { 3, 4 },
  "first", nil, { heads = heads,
  own = flag(false, "the last keys are those of the queries' own tokens, for which the mask has no place") })
kind("attention_pool", "A row for a sequence of tokens: the attention of their mean, plus a learned vector, to them "
  .. "and to itself", { 1 }, "first", only_in, { heads = heads })

--- Checks the options given for a kind.
---@param name string the kind
---@param given table?
---@param argument integer its place in the call, for messages
---@return table options with defaults
function kinds.check(name, given, argument)
  return opts.check(name, given, kinds[name].rules, argument)
end

--- A layer of the core from checked options and sizes.
---@param name string the kind
---@param o table
---@return userdata layer
function kinds.make(name, o)
  local rules, to = kinds[name].rules, {}
  for key, value in pairs(o) do
    if converted[key] then converted[key](value, to) elseif key ~= "pad" then to[key] = value end
  end
  if rules.pad then convert_pad(o, to) end
  if rules.fused and o.fused == nil then to.fused = not o.context end
  return fail.call(core.layer, name, to)
end

--- The width of a kind's result, or nil if it isn't known.
---@param name string the kind
---@param o table checked options and sizes
---@param widths table widths of the inputs
---@return integer|nil
function kinds.width(name, o, widths)
  local width = kinds[name].width
  if width == "out" then return o.out end
  if width == "first" then return widths[1] or nil end
  if not width then return nil end
  return width(o, widths) or nil
end

return kinds

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
  text = '"usual": uniform within 1/sqrt(fan in); "zero"' }
local bias = flag(true, "adds a vector of `out` numbers")
local epsilon = { "number", default = 1e-5, above = 0, text = "added to the variance" }
local groups = size "groups of channels; the largest divisor of the channels that is at most 32 and leaves 4 each"
local dropout = { "number", default = 0, min = 0, below = 1, text = "probability of an element to be set to 0" }
local heads = { "integer", default = 1, min = 1, max = WIDEST, text = "heads; they divide the width" }
local kernel = { "integer", default = 3, min = 1, max = WIDEST, text = "height and width of the kernel" }
local stride = { "integer", default = 1, min = 1, max = WIDEST, text = "step between two places of the kernel" }
local pad = { "integer|table", text = "zeros around: a number or {top, bottom, left, right}; kernel // 2" }
local patch = { "integer", required = true, min = 1, max = WIDEST, text = "height and width of a patch" }
local at = { "integer", default = 1, min = 1, max = WIDEST, text = "which piece of the modulation, from 1" }

-- Options by another name or form in the core.
local function convert_pad(o, to)
  local zeros = o.pad or (o.kernel or 3) // 2
  if type(zeros) == "number" then zeros = { zeros, zeros, zeros, zeros } end
  for i, side in ipairs { "top", "bottom", "left", "right" } do to[side] = math.tointeger(zeros[i]) end
end

local converted = {
  init = function(value, to) to.zero = value == "zero" end,
  act = function(value, to) to.silu = value == "silu" end,
  order = function(value, to) to.sin_first = value == "sin_cos" end,
  by = function(value, to) to.tanh = value == "tanh" end,
  at = function(value, to) to.at = value - 1 end,
}

--- One kind: sizes (positional in nn), rules of its options, its least and most inputs, and the
--- width of the result. The width is "out", "first" (that of the first input) or a function (o,
--- widths).
local function kind(name, inputs, width, sizes, rules)
  kinds[name] = { name = name, least = inputs[1], most = inputs[2] or inputs[1], width = width,
    sizes = sizes or {}, rules = rules or {} }
end

local in_out = { inp = size "channels or width of the input", out = size "channels or width of the result" }
local only_in = { inp = size "channels or width of the input" }

kind("linear", { 1 }, "out", in_out, { bias = bias, init = init })
kind("conv", { 1, 2 }, "out", in_out, { kernel = kernel, stride = stride, pad = pad, bias = bias, init = init })
kind("norm_conv", { 1, 3 }, "out", in_out, { kernel = kernel, stride = stride, pad = pad, bias = bias, init = init,
  groups = groups, epsilon = epsilon, dropout = dropout,
  act = { one_of = { "silu", "none" }, default = "silu", text = "activation after the norm" } })
kind("group_norm", { 1 }, "first", only_in, { groups = groups, epsilon = epsilon })
kind("layer_norm", { 1 }, "first", only_in, { epsilon = epsilon, affine = flag(true, "has weight and bias") })
kind("attention", { 1, 3 }, "first", only_in, { heads = heads, init = init,
  context = size "width of the context that keys and values are computed from; the input itself if not given",
  causal = flag(false, "token i attends to tokens 1 .. i"), qkv_bias = flag(true, "q, k and v have a bias"),
  bias = flag(true, "the last product has a bias"),
  fused = { "boolean", text = "one weight for q, k and v; true unless there is a context" } })
kind("attention_block", { 1 }, "first", only_in, { heads = heads, groups = groups, epsilon = epsilon })
kind("embedding", { 1 }, "out", in_out)
kind("res_block", { 1, 2 }, "out", in_out, {
  embed = size "width of the embedding that the block adds; none if not given",
  dropout = dropout, groups = groups, epsilon = epsilon })
kind("upsample", { 1 }, "out", in_out,
  { times = { "integer", default = 2, min = 1, max = WIDEST, text = "the factor" } })
kind("downsample", { 1 }, "out", in_out, { pad = pad })
kind("sinusoid", { 1 }, function(o) return o.width end, { width = size("width of the result, even", 2) },
  { max_period = { "number", default = 10000, above = 0, text = "the longest period over 2 pi" },
    shift = { "number", default = 0, text = "in the exponent -k / (width/2 - shift): 0 ADM, 1 DDPM" },
    order = { one_of = { "cos_sin", "sin_cos" }, default = "cos_sin", text = "which half comes first" } })
kind("dropout", { 1 }, "first", nil, { dropout = { "number", default = 0.5, min = 0, below = 1, text = dropout.text } })
kind("time_embed", { 1, 2 }, "out", in_out,
  { classes = { "integer", default = 0, min = 0, max = (1 << 31) - 1, text = "number of classes; 0: none" } })

local function sum(_, widths)
  local total = 0
  for _, w in ipairs(widths) do total = w and total and total + w end
  return total
end

kind("silu", { 1 }, "first")
kind("gelu", { 1 }, "first", nil,
  { by = { one_of = { "erf", "tanh" }, default = "erf", text = '"tanh": the approximation of GPT-2' } })
kind("quick_gelu", { 1 }, "first")
kind("geglu", { 1 }, function(_, widths) return widths[1] and widths[1] // 2 end)
kind("add", { 1, 2 }, "first")
kind("mul", { 2 }, "first")
kind("cat", { 1, 8 }, sum, nil, { fill = flag(false, "zeros of the first input's shape where the second is absent") })
kind("per_token", { 1 }, "first")
kind("modulate", { 2 }, "first", nil, { at = at })
kind("gate", { 3 }, "first", nil, { at = at })
kind("tokens", { 1 }, "first")
kind("pixels", { 2 }, "first")
kind("patchify", { 1 }, function(o, widths) return widths[1] and widths[1] * o.patch * o.patch end, nil,
  { patch = patch })
kind("unpatchify", { 2 }, function(o, widths) return widths[1] and widths[1] // (o.patch * o.patch) end, nil,
  { patch = patch })
kind("places", { 1 }, "first", nil,
  { max_period = { "number", default = 10000, above = 0, text = "the longest period over 2 pi" } })

local function check_pad(name, argument, value)
  local list = type(value) == "table" and value or { value, value, value, value }
  for i = 1, 4 do
    local n = math.tointeger(list[i])
    if not n or n < 0 then
      fail.raise("bad argument #%d to '%s' (option 'pad': a whole number of 0 or more, or four of "
        .. "them {top, bottom, left, right} expected)", argument, name)
    end
  end
end

--- Checks the options given for a kind.
---@param name string the kind
---@param given table?
---@param argument integer its place in the call, for messages
---@return table options with defaults
function kinds.check(name, given, argument)
  local o = opts.check(name, given, kinds[name].rules, argument)
  if o.pad ~= nil then check_pad(name, argument, o.pad) end
  return o
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
  return width(o, widths) or nil
end

return kinds

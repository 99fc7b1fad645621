-- Every kernel that an op can reach. kernel_values[name](n) returns tensors that the
-- kernel has computed from n numbers. The inputs are the same in both builds: multiples
-- of 1/512, which are exact in float.
--   lua5.4 spec/support/kernel_values.lua n ...  writes all of them, packed, in its build.
local d = require "diffusion"
local core = require "diffusion.core"

local ops, nn = core.ops, d.nn

-- ---- numbers ---------------------------------------------------------------------------

local function list(n, salt, low, high)
  local out = {}
  for i = 1, n do
    local word = (i * 2654435761 + salt * 40503) % 4294967296
    word = (word ~ (word >> 15)) * 2246822519 % 4294967296
    out[i] = math.floor(512 * (low + (word >> 8) % 4096 / 4096 * (high - low))) / 512
  end
  return out
end

local function shaped(values, ...)
  if #values == 0 then return d.zeros(...) end
  return d.tensor(values):reshape(...)
end

local function product(first, ...) return first and first * product(...) or 1 end

-- Numbers in [-3, 3] in this shape; positive ones; ones away from zero.
local function draw(salt, ...) return shaped(list(product(...), salt, -3, 3), ...) end
local function positive(n) return shaped(list(n, 5, 0.25, 4), n) end
local function away(n)
  local values = list(n, 6, 0.25, 3)
  for i = 1, n, 2 do values[i] = -values[i] end
  return shaped(values, n)
end
local function x_of(n) return draw(1, n) end

-- the gradient of f at x, with slopes of all kinds
local function slope(f, x)
  return { (d.grad(function(v)
    local y = f(v)
    return (y * draw(9, y:numel()):reshape(y:shape())):sum()
  end, x)) }
end

local function whole(n, dtype)
  local values = list(n, 3, 0, 255)
  for i, v in ipairs(values) do values[i] = v // 1 | 0 end
  return #values == 0 and d.zeros({ 0 }, { dtype = dtype }) or d.tensor(values, { dtype = dtype })
end

-- ---- one entry per kernel ----------------------------------------------------------

local M = {}

for _, name in ipairs { "neg", "abs", "sign", "floor", "round", "exp", "square", "sin", "cos",
  "tanh", "erf", "erfc", "log_erfc", "silu", "relu", "gelu", "quick_gelu", "mish",
  "sigmoid" } do
  M[name] = function(n) return { ops[name](x_of(n)) } end
end
M.log = function(n) return { positive(n):log() } end
M.sqrt = function(n) return { positive(n):sqrt() } end
M.reciprocal = function(n) return { ops.reciprocal(away(n)) } end

for _, name in ipairs { "square", "sin", "cos", "erf", "erfc", "log_erfc", "silu", "gelu", "quick_gelu", "mish",
  "exp", "tanh", "sigmoid" } do
  M[name .. "_back"] = function(n) return slope(ops[name], x_of(n)) end
end
local function gelu_tanh(x) return x:gelu "tanh" end
M.gelu_tanh = function(n) return { gelu_tanh(x_of(n)) } end
M.gelu_tanh_back = function(n) return slope(gelu_tanh, x_of(n)) end
for _, name in ipairs { "abs", "reciprocal", "relu" } do
  M[name .. "_back"] = function(n) return slope(ops[name], away(n)) end
end
for _, name in ipairs { "log", "sqrt" } do
  M[name .. "_back"] = function(n) return slope(ops[name], positive(n)) end
end

for _, name in ipairs { "add", "sub", "mul", "div", "maximum", "minimum" } do
  M[name] = function(n)
    local a, b = x_of(n), away(n)
    return { ops[name](a, b), ops[name](a, 1.5), ops[name](0.5, b) }
  end
end

M.product = function(n)
  return { d.grad(function(a, b) return (a * b * b):sum() end, x_of(n), draw(2, n)) }
end
M.clamp = function(n) return { x_of(n):clamp(-1, 2) } end
M.mix = function(n) return { d.mix(0.5, x_of(n), -2, draw(2, n), 0.25, draw(3, n)) } end

M.sum = function(n) return { x_of(n):sum() } end
M.sum_squares = function(n) return { x_of(n):norm() } end
M.dot = function(n)
  return { d.huber(draw(1, 1, n + 1), draw(2, 1, n + 1), "sample", { delta = 0.5 }) }
end
M.max = function(n) return { draw(1, n + 1):max() } end
M.min = function(n) return { draw(1, n + 1):min() } end
M.sum_rows = function(n) return { draw(1, 7, n):sum(1) } end

local function normed(n, options)
  local C = 2 * (n + 1)
  return function(x) return ops.group_norm(x, draw(2, C), draw(3, C), options) end, draw(1, 2, 3, 3, C)
end
M.moments = function(n)
  local f, x = normed(n, { groups = 2 })
  return { f(x) }
end
M.norm_rows = M.moments
M.norm_back_moments = function(n) return slope(normed(n, { groups = 2 })) end
M.norm_back_rows = function(n) return slope(normed(n, { groups = 2, silu = true })) end

M.softmax = function(n) return { draw(1, 3, n):softmax(2) } end
M.softmax_back = function(n) return slope(function(x) return x:softmax(2) end, draw(1, 3, n)) end
local function attended(n) return draw(1, 2, n + 1, 3), draw(2, 2, 5, 3), draw(3, 2, 5, 3) end
M.score_powers = function(n) return { ops.attention(attended(n)) } end
M.pack_strips, M.strips = M.score_powers, M.score_powers
M.score_again = function(n)
  local g = draw(4, 2, n + 1, 3)
  return { d.grad(function(q, k, v) return (ops.attention(q, k, v) * g):sum() end, attended(n)) }
end
M.score_slopes, M.add_panels, M.dot_rows = M.score_again, M.score_again, M.score_again
M.logsumexp = function(n) return { draw(1, n + 1):logsumexp() } end

local function seeded(f)
  return function(n)
    d.manual_seed(7)
    return { f(n) }
  end
end
M.uniform = seeded(function(n) return d.rand(n) end)
M.normal = seeded(function(n) return d.randn(n) end)
M.dropout = seeded(function(n)
  return d.record(function() return ops.dropout(x_of(n), 0.3) end):detach()
end)

-- n outputs, then n features
M.rows = function(n)
  return { ops.linear(draw(1, 5, 11), draw(2, n, 11), draw(3, n)), ops.linear(draw(1, 3, n), draw(2, 5, n)) }
end
M.pack_weights = function(n) -- in the backward pass
  local w = draw(2, n + 1, 3, 3, 4)
  return slope(function(x) return ops.conv2d(x, w, nil, { pad = 1 }) end, draw(1, 1, 3, 3, 4))
end
-- A convolution by tiles, with its gradients: C inputs, K outputs. Images have 2 tiles.
local function by_tiles(C, K, algorithm, images)
  core.algorithm(algorithm or "winograd")
  local B = images or 1
  local x, w, g = draw(1, B, 5, 3, C), draw(2, K, 3, 3, C), draw(3, B, 5, 3, K)
  local function f(a, b) return ops.conv2d(a, b, nil, { pad = 1 }) end
  local dx, dw = d.grad(function(a, b) return (f(a, b) * g):sum() end, x, w)
  local y = f(x, w)
  core.algorithm "best"
  return { y, dx, dw }
end
M.winograd_inputs = function(n) return by_tiles(n + 1, 3) end
M.winograd_outputs_back = M.winograd_inputs
M.rows_turned = M.winograd_inputs
-- The gradient of a linear layer's weights: n outputs, then a sum over n rows.
M.copy_strips = function(n)
  local few, many = draw(1, 6, 5), draw(2, n, 7)
  return { slope(function(w) return ops.linear(few, w) end, draw(3, n, 5))[1],
           slope(function(w) return ops.linear(many, w) end, draw(4, 15, 7))[1] }
end
M.winograd_outputs = function(n) return by_tiles(3, n + 1) end
M.winograd_weights = M.winograd_outputs
M.winograd_weights_back = M.winograd_outputs
M.winograd_weights_row = function(n) return by_tiles(3, n + 1, "winograd_taps", 5) end
M.winograd_few = function(n) return by_tiles(3, n + 1, "winograd_taps") end
-- Short tiles are bf16.
M.short_inputs = function(n)
  local before = d.precision()
  d.precision "medium"
  local out = by_tiles(n + 1, 3, "winograd_short")
  for i, value in ipairs(by_tiles(3, n + 1, "winograd_short")) do out[3 + i] = value end
  d.precision(before)
  return out
end
M.short_weights, M.short_outputs = M.short_inputs, M.short_inputs

M.round_bf16 = function(n)
  local before = d.precision()
  d.precision "medium"
  local y = ops.linear(draw(1, 2, n), draw(2, 3, n))
  d.precision(before)
  return { y }
end

-- A norm that writes a convolution's operand in bf16, and a 1 x 1 kernel, with gradients.
M.pairs = function(n)
  local before, forced = d.precision(), core.algorithm()
  d.precision "medium"
  core.algorithm "tiles"
  local layer = nn.model(nn.norm_conv(8, 3, { groups = 2 }))
  for _, p in layer:parameters() do p:copy_(draw(2, table.unpack(p:shape()))) end
  local out = { layer(draw(1, 1, 3, n + 1, 8)) }
  local w, one = draw(2, 3, 3, 3, 2), draw(3, 3, 1, 1, 2)
  local function both(x, v, u) return ops.conv2d(x, v, nil, { pad = 1 }), ops.conv2d(x, u) end
  local function loss(...)
    local a, b = both(...)
    return (a * a * b):sum()
  end
  for _, g in ipairs { d.grad(loss, draw(1, 1, 3, n + 1, 2), w, one) } do out[#out + 1] = g end
  core.algorithm(forced or "best")
  d.precision(before)
  return out
end
for _, name in ipairs { "planes", "turn_planes", "pair_rows", "pair_columns", "pair_planes" } do
  M[name] = M.pairs
end

M.transpose = function(n) return { draw(1, n, 7):t():contiguous(), draw(1, 7, n):t():contiguous() } end

for _, dtype in ipairs { "f32", "f64", "f16", "bf16", "u8", "i64" } do
  M["to_" .. dtype] = function(n) return { draw(1, n):to(dtype), (draw(2, n) * 40):to(dtype) } end
  M["from_" .. dtype] = function(n) return { whole(n, "i64"):to(dtype):to(core.real) } end
end
-- Numbers 4 to n + 3 of weights in blocks of 32, so that blocks are cut.
for _, name in ipairs { "q8_0", "q4_0", "q4_1", "q5_0", "q5_1" } do
  M["from_" .. name] = function(n)
    local x = assert(d.load "spec/fixtures/peers/types.gguf")[name:upper()]
    return { x:view(1, x:numel()):narrow(2, 4, math.min(n, x:numel() - 3)):to(core.real) }
  end
end

M.image_from_u8 = function(n) return { d.image.to_float(whole(n, "u8"):reshape(1, 1, n, 1)) } end

local Bare = nn.module("bare", function(m, values)
  m.p = nn.parameter(values)
  function m:forward(x) return self.p * x end
end)
M.adamw = function(n)
  local model = nn.model(Bare(draw(1, n + 1)))
  local ema = d.ema(model, { decay = 0.9 })
  local opt = d.adamw(model, { lr = 0.1, weight_decay = 0.01, clip = 1, ema = ema })
  for step = 1, 3 do
    d.record(function() return model(draw(1 + step, n + 1)):square():sum() end):backward()
    opt:step()
  end
  return { model.p:detach(), ema:state().p }
end

-- ---- all kernels -------------------------------------------------------------------

local values = {}

values.kernels = M

--- The elements of a kernel's tensors as one list of doubles.
function values.of(name, n)
  local out = {}
  for _, x in ipairs(M[name](n)) do
    if x:dtype() == "f16" or x:dtype() == "bf16" or x:dtype() == "f64" and core.real == "f32" then
      x = x:to "f32"
    end
    if x:numel() > 0 then table.move(x:flatten():totable(), 1, x:numel(), #out + 1, out) end
  end
  return out
end

function values.names()
  local names = {}
  for name in pairs(M) do names[#names + 1] = name end
  table.sort(names)
  return names
end

if arg and arg[0] and arg[0]:find "kernel_values%.lua$" then
  for _, n in ipairs(arg) do
    for _, name in ipairs(values.names()) do
      local got = values.of(name, math.tointeger(n))
      io.write(string.pack("<s4I4", name .. " " .. n, #got))
      for _, v in ipairs(got) do io.write(string.pack("<d", v)) end
    end
  end
end

return values

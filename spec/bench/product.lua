-- Measures products next to OpenBLAS's sgemm on the same matrices, in GF/s of
-- multiplications and additions. The columns are the forward, the gradient of x, and the
-- gradient of w; sgemm uses one thread.
-- lua5.4 spec/bench/product.lua [threads]
local d = require "diffusion"
local core = require "diffusion.core"

local ops = core.ops
local threads = tonumber(arg and arg[1]) or 1

-- The best of some runs of f, each timed from inside.
local function best(f)
  local least, total = math.huge, 0
  repeat
    local seconds = f()
    least, total = math.min(least, seconds), total + seconds
  until total > 0.2
  return least
end

local function timed(f)
  return function()
    local start = core.clock()
    f()
    return core.clock() - start
  end
end

-- Seconds that the backward of the op takes in d.grad of sum(f), with respect to `inputs`.
local function backward(name, f, ...)
  local inputs = table.pack(...)
  return function()
    core.profile_start()
    d.grad(function(...) return f(...):sum() end, table.unpack(inputs, 1, inputs.n))
    for _, row in ipairs(core.profile_stop()) do
      if row.name == name and row.backward then return row.seconds end
    end
  end
end

-- Seconds of m x k times k x n in OpenBLAS: it computes the gradients of matmul where
-- kernels are scalar.
local function sgemm(m, n, k)
  local isa = core.isa()
  core.isa "scalar"
  local b = d.randn(n, k)
  local seconds = best(backward("matmul", function(a) return a:matmul(b) end, d.randn(m, n)))
  core.isa(isa)
  return seconds
end

local function row(name, m, n, k, f, x, w)
  local work, few = 2 * m * n * k, math.min(m, 1024)
  d.threads(1)
  local blas = 2 * few * n * k / sgemm(few, n, k)
  d.threads(threads)
  local op = name:match "%a+%d?d?"
  local forward = work / best(timed(function() f(x, w) end))
  local to_x = work / best(backward(op, function(a) return f(a, w) end, x))
  local to_w = work / best(backward(op, function(a) return f(x, a) end, w))
  print(("%-34s %8.0f %8.0f %8.0f %8.0f"):format(name, blas / 1e9, forward / 1e9, to_x / 1e9,
    to_w / 1e9))
end

print(("%s, %d threads, GF/s%17s %8s %8s %8s"):format(core.isa(), threads, "sgemm", "forward", "to x", "to w"))

for _, size in ipairs{
  { 16, 28, 32, 32 }, { 16, 28, 64, 64 }, { 16, 28, 128, 128 }, { 16, 14, 64, 64 }, { 16, 14, 128, 128 },
  { 16, 14, 256, 256 }, { 16, 7, 128, 128 }, { 16, 7, 256, 256 }, { 1, 28, 32, 32 }, { 1, 14, 128, 128 },
  { 1, 7, 256, 256 }, { 64, 28, 1, 32 }, { 64, 28, 32, 1 },
} do
  local B, H, C, K = table.unpack(size)
  row(("conv2d %d x %dx%d, %d to %d"):format(B, H, H, C, K), B * H * H, K, 9 * C,
    function(x, w) return ops.conv2d(x, w, nil, { pad = 1 }) end, d.randn(B, H, H, C), d.randn(K, 3, 3, C))
end

for _, size in ipairs{ { 64, 128, 512 }, { 4096, 128, 128 }, { 256, 784, 784 } } do
  local m, C, K = table.unpack(size)
  row(("linear %d x %d to %d"):format(m, C, K), m, K, C, ops.linear, d.randn(m, C), d.randn(K, C))
end

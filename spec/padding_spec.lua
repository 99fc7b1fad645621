-- Convolutions with four different paddings, compared with zeros put around x beforehand. Every
-- algorithm runs on every instruction set, forward and backward, also behind a norm, which writes
-- x in the algorithm's own form.
local d = require "diffusion"
local core = require "diffusion.core"

local ops, nn = core.ops, d.nn
local isa, sets = core.isa()
local _, algorithms = core.algorithm()
local precision = d.precision()

local pads = { { 0, 1, 0, 1 }, { 1, 0, 0, 1 }, { 2, 0, 1, 3 }, { 0, 3, 2, 0 } } -- top, bottom, left, right

-- B, H, W, C, K, R, S
local sizes = {
  { 2, 9, 7, 32, 40, 3, 3 }, { 1, 12, 13, 64, 33, 3, 3 }, { 2, 8, 9, 12, 3, 3, 3 }, { 1, 7, 10, 2, 31, 3, 3 },
  { 2, 5, 6, 33, 31, 1, 1 }, { 1, 6, 9, 5, 4, 2, 4 }, { 2, 11, 6, 16, 32, 5, 2 }, { 1, 1, 2, 8, 8, 1, 2 },
}

local function padded(x, pad)
  return x:pad { { 0, 0 }, { pad[1], pad[2] }, { pad[3], pad[4] }, { 0, 0 } }
end

-- The result of f, and the gradients of its product with g by all inputs.
local function evaluate(f, g, ...)
  local out = { d.grad(function(...) return (f(...) * g):sum() end, ...) }
  out[#out] = f(...)
  return out
end

local function hold(want, got, bound, where)
  for i, expected in ipairs(want) do
    local off = (got[i] - expected):norm():item() / math.max(expected:norm():item(), 1)
    assert(off < bound, ("%s: %d is off by %.2g"):format(where, i, off))
  end
end

-- With zeros around x: reals, by the plainest code.
local function plainly(f)
  core.isa "scalar"
  core.algorithm "taps"
  d.precision "highest"
  local result = f()
  d.precision(precision)
  return result
end

-- Calls f(where) for each algorithm of each instruction set.
local function everywhere(f)
  for _, set in ipairs(sets) do
    core.isa(set)
    for _, name in ipairs(algorithms) do
      core.algorithm(name)
      f(name .. " in " .. set)
    end
  end
end

local function each_case(f)
  for i, size in ipairs(sizes) do
    for _, pad in ipairs(pads) do
      for stride = 1, 2 do
        d.manual_seed(i)
        f(size, pad, stride, (", size %d, pad {%s}, stride %d"):format(i, table.concat(pad, ","), stride))
      end
    end
  end
end

describe("padding that differs on the four sides", function()
  after_each(function()
    core.isa(isa)
    core.algorithm "best"
    d.precision(precision)
  end)

  it("gives a convolution what zeros around its operand give, forward and backward", function()
    each_case(function(size, pad, stride, where)
      local B, H, W, C, K, R, S = table.unpack(size)
      local x, w, b = d.randn(B, H, W, C), d.randn(K, R, S, C), d.randn(K)
      local function around(u, v, c) return ops.conv2d(padded(u, pad), v, c, { stride = stride }) end
      local function within(u, v, c) return ops.conv2d(u, v, c, { stride = stride, pad = pad }) end
      local g = d.randn(table.unpack(around(x, w, b):shape()))
      local want = plainly(function() return evaluate(around, g, x, w, b) end)
      everywhere(function(algorithm) hold(want, evaluate(within, g, x, w, b), 2e-5, algorithm .. where) end)
    end)
  end)

  it("gives the same behind a norm", function()
    each_case(function(size, pad, stride, where)
      local B, H, W, C, K, R, S = table.unpack(size)
      if R ~= S then return end
      local x = d.randn(B, H, W, C)
      local model = nn.model(nn.norm_conv(C, K, { kernel = R, stride = stride, pad = pad, groups = 1 }))
      local function around(u)
        local normed = ops.group_norm(u, model.norm.weight, model.norm.bias, { groups = 1, silu = true })
        return ops.conv2d(padded(normed, pad), model.conv.weight, model.conv.bias, { stride = stride })
      end
      local g = d.randn(table.unpack(around(x):shape()))
      local want = plainly(function() return evaluate(around, g, x) end)
      for name, bound in pairs { high = 3e-5, medium = 2e-2 } do
        everywhere(function(algorithm)
          d.precision(name)
          hold(want, evaluate(model, g, x), bound, name .. ", " .. algorithm .. where)
        end)
      end
    end)
  end)
end)

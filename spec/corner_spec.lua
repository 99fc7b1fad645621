-- Values and gradients at corners, of every op that has a gradient: 0, ties, infinities, rows of
-- -inf, nothing. The convention is csrc/ops/op.h's.
local d = require "diffusion"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local examples = require "spec.support.examples"
local flat = require "spec.support.flat"

local inf, nan = math.huge, 0 / 0
local huge = core.real == "f64" and 1e200 or 1e30

-- Ops whose slopes don't look at x: the same at infinities as at 0, and of nothing nothing.
local steady = {}
for name in ([[view reshape flatten squeeze unsqueeze over expand permute t narrow select clone contiguous cat stack
  flip roll repeat_each pad sum mean cumsum index gather embedding upsample avg_pool fir where dropout add sub neg
  mix]]):gmatch "%S+" do steady[name] = true end

-- name = { { inputs, value, gradients [, call] }, ... }: of sum_i i y_i where `weighed`, else of the
-- sum; the result's elements in order.
local corners = {
  abs = { { { { -inf, 0, inf } }, { inf, 0, inf }, { { -1, 0, 1 } } } },
  relu = { { { { -inf, 0, inf } }, { 0, 0, inf }, { { 0, 0, 1 } } } },
  sqrt = { { { { 0, inf } }, { 0, inf }, { { inf, 0 } } } },
  log = { { { { 0, inf } }, { -inf, inf }, { { inf, 0 } } } },
  reciprocal = { { { { 0, inf, -inf } }, { inf, 0, 0 }, { { -inf, 0, 0 } } } },
  square = { { { { 0, inf, -inf } }, { 0, inf, inf }, { { 0, inf, -inf } } } },
  exp = { { { { -inf, 0, inf } }, { 0, 1, inf }, { { 0, 1, inf } } } },
  sin = { { { { 0, inf } }, { 0, nan }, { { 1, nan } } } },
  cos = { { { { 0, inf } }, { 1, nan }, { { 0, nan } } } },
  tanh = { { { { -inf, 0, inf } }, { -1, 0, 1 }, { { 0, 1, 0 } } } },
  erf = { { { { -inf, 0, inf } }, { -1, 0, 1 }, { { 0, 2 / math.pi ^ 0.5, 0 } } } },
  erfc = { { { { -inf, 0, inf } }, { 2, 1, 0 }, { { 0, -2 / math.pi ^ 0.5, 0 } } } },
  log_erfc = { { { { -inf, 0, inf } }, { math.log(2), 0, -inf }, { { 0, -2 / math.pi ^ 0.5, -inf } } } },
  silu = { { { { -inf, 0, inf } }, { 0, 0, inf }, { { 0, 0.5, 1 } } } },
  gelu = {
    { { { -inf, 0, inf } }, { 0, 0, inf }, { { 0, 0.5, 1 } } },
    { { { -inf, 0, inf } }, { 0, 0, inf }, { { 0, 0.5, 1 } }, function(x) return x:gelu "tanh" end },
  },
  quick_gelu = { { { { -inf, 0, inf } }, { 0, 0, inf }, { { 0, 0.5, 1 } } } },
  mish = { { { { -inf, 0, inf } }, { 0, 0, inf }, { { 0, 0.6, 1 } } } },
  geglu = { { { { 2, 2, 2, -inf, 0, inf } }, { 0, 0, inf }, { { 0, 0, inf, 0, 1, 2 } } } },
  sigmoid = { { { { -inf, 0, inf } }, { 0, 0.5, 1 }, { { 0, 0.25, 0 } } } },
  mul = { { { { 0, inf, 3 }, { inf, 2, 0 } }, { nan, inf, 0 }, { { inf, 2, 0 }, { 0, inf, 3 } } } },
  div = { { { { 1, -1, 1, 0 }, { 0, 0, inf, 0 } }, { inf, -inf, 0, nan },
    { { inf, inf, 0, inf }, { -inf, inf, 0, nan } } } },
  maximum = { { { { 1, 2, 1, inf, -inf }, { 1, 1, 2, inf, -inf } }, { 1, 2, 2, inf, -inf },
    { { 0.5, 1, 0, 0.5, 0.5 }, { 0.5, 0, 1, 0.5, 0.5 } } } },
  minimum = { { { { 1, 2, 1, inf, -inf }, { 1, 1, 2, inf, -inf } }, { 1, 1, 1, inf, -inf },
    { { 0.5, 0, 1, 0.5, 0.5 }, { 0.5, 1, 0, 0.5, 0.5 } } } },
  pow = {
    { { { 0, 0, 0, 0, 0, inf }, { 0, 1, 0.5, 2, -1, -1 } }, { 1, 0, 0, 0, inf, 0 },
      { { 0, 1, inf, 0, -inf, 0 }, { 0, 0, 0, 0, -inf, 0 } } },
    { { { 0, 0.5 }, { inf, inf } }, { 0, 0 }, { { 0, 0 }, { 0, 0 } } },
    { { { 0, -inf } }, { 1, 1 }, { { 0, 0 } }, function(x) return x ^ 0 end },
    { { { 0, -inf } }, { 0, -inf }, { { 1, 1 } }, function(x) return x ^ 1 end },
  },
  clamp = { { { { -1, 1, 0, 2, -inf, inf } }, { -1, 1, 0, 1, -1, 1 }, { { 1, 1, 1, 0, 0, 0 } },
    function(x) return x:clamp(-1, 1) end } },

  var = { { { { 2, 2, 2 } }, { 0 }, { { 0, 0, 0 } } }, { { { 3 } }, { nan }, { { nan } } },
    { { {} }, { nan }, { {} } } },
  std = {
    { { { 2, 2, 2 } }, { 0 }, { { 0, 0, 0 } } }, { { { 3 } }, { nan }, { { nan } } }, { { {} }, { nan }, { {} } },
    { { { 0, 2, 5, 5 } }, { 2 ^ 0.5, 0 }, { { -0.5 ^ 0.5, 0.5 ^ 0.5, 0, 0 } },
      function(x) return x:view(2, 2):std(2) end },
    { { { 7, 7 } }, { 0 }, { { 0, 0 } }, function(x) return x:std(1, true, 0) end },
  },
  norm = { { { { 0, 0 } }, { 0 }, { { 0, 0 } } }, { { { inf, 1 } }, { inf }, { { nan, 0 } } },
    { { {} }, { 0 }, { {} } } },
  max = { { { { 3, 3, 1 } }, { 3 }, { { 0.5, 0.5, 0 } } }, { { { inf, inf } }, { inf }, { { 0.5, 0.5 } } },
    { { { -inf, -inf } }, { -inf }, { { 0.5, 0.5 } } } },
  min = { { { { 1, 3, 1 } }, { 1 }, { { 0.5, 0, 0.5 } } }, { { { inf, inf } }, { inf }, { { 0.5, 0.5 } } },
    { { { -inf, 1 } }, { -inf }, { { 1, 0 } } } },
  prod = {
    { { { 0, 5, 2 } }, { 0 }, { { 10, 0, 0 } } }, { { { 0, 0, 5 } }, { 0 }, { { 0, 0, 0 } } },
    { { { inf, -2 } }, { -inf }, { { -2, inf } } }, { { { 0, inf } }, { nan }, { { inf, 0 } } },
    { { { 0, inf, 3 } }, { nan }, { { inf, 0, nan } } }, { { {} }, { 1 }, { {} } },
    { { { 1e-38, 1e-38, 1e38 } }, { 1e-38 }, { { 1, 1, 1e-76 } } },
  },
  logsumexp = {
    { { { -inf, -inf } }, { -inf }, { { 0, 0 } } }, { { { -inf, 1 } }, { 1 }, { { 0, 1 } } },
    { { { inf, 1 } }, { inf }, { { nan, nan } } }, { { {} }, { -inf }, { {} } },
    { { { 2, 2 } }, { 2 + math.log(2) }, { { 0.5, 0.5 } } },
    { { { -inf, -inf, 0, 0 } }, { -inf, math.log(2) }, { { 0, 0, 0.5, 0.5 } },
      function(x) return x:view(2, 2):logsumexp(2) end },
  },
  sort = { { { { 1, 1, -inf, inf } }, { -inf, 1, 1, inf }, { { 2, 3, 1, 4 } }, weighed = true },
    { { {} }, {}, { {} } } },
  topk = { { { { 1, 1, 0, inf } }, { inf, 1 }, { { 2, 0, 0, 1 } }, function(x) return (x:topk(2)) end, weighed = true },
    { { { 1, 2 } }, {}, { { 0, 0 } }, function(x) return (x:topk(0)) end } },
  quantile = {
    { { { 1, 1, 0, inf } }, { 1 }, { { 0.5, 0.5, 0, 0 } }, function(x) return x:quantile(0.5) end },
    { { { -inf, 3 } }, { 3 }, { { 0, 1 } }, function(x) return x:quantile(1) end },
  },

  softmax = {
    { { { -inf, -inf } }, { 0, 0 }, { { 0, 0 } }, weighed = true },
    { { { -inf, 1 } }, { 0, 1 }, { { 0, 0 } }, weighed = true },
    { { { inf, 1 } }, { nan, nan }, { { nan, nan } }, weighed = true }, { { {} }, {}, { {} } },
    { { { 5, 5 } }, { 0.5, 0.5 }, { { -0.25, 0.25 } }, weighed = true },
  },
  log_softmax = {
    { { { -inf, -inf } }, { -inf, -inf }, { { 0, 0 } }, weighed = true },
    { { { -inf, 1 } }, { -inf, 0 }, { { 1, -1 } }, weighed = true },
    { { { inf, 1 } }, { nan, nan }, { { nan, nan } }, weighed = true }, { { {} }, {}, { {} } },
    { { { 5, 5 } }, { -math.log(2), -math.log(2) }, { { -0.5, 0.5 } }, weighed = true },
  },
  cross_entropy = {
    { { { -inf, -inf } }, { inf }, { { 0, 0 } } }, { { { -inf, 1 } }, { inf }, { { -1, 1 } } },
    { { { 1, -inf } }, { 0 }, { { 0, 0 } } }, { { { inf, 1 } }, { nan }, { { nan, nan } } },
  },
  attention = { -- huge squared is inf
    { { { huge, 1 }, { -huge, -huge }, { 3, 5 } }, { 0, 4 }, { { 0, 0 }, { -0.5, 0.5 }, { 0.5, 0.5 } } },
    { { { huge }, { -huge, 0 }, { 3, 5 } }, { 5 }, { { 0 }, { 0, 0 }, { 0, 1 } } },
  },
  group_norm = { { { { 2, 2, 2 } }, { 0, 0, 0 }, { { -100000 ^ 0.5, 0, 100000 ^ 0.5 } }, weighed = true } },
  rms_norm = { { { { 0, 0 } }, { 0, 0 }, { { 1000, 2000 } }, weighed = true },
    { { { 3, 3 } }, { 1, 1 }, { { -1 / 6, 1 / 6 } }, weighed = true } },
  layer_norm = { { { { 2, 2, 2 } }, { 0, 0, 0 }, { { -100000 ^ 0.5, 0, 100000 ^ 0.5 } }, weighed = true } },

  mse = { { { { 1, 2 }, { 1, 0 } }, { 2 }, { { 0, 2 }, { 0, -2 } } },
    { { { inf }, { 0 } }, { inf }, { { inf }, { -inf } } } },
  l1 = { { { { 1, 2 }, { 1, 0 } }, { 1 }, { { 0, 0.5 }, { 0, -0.5 } } },
    { { { inf }, { 0 } }, { inf }, { { 1 }, { -1 } } } },
  huber = { { { { 1, 2, 3 }, { 1, 1, 0 } }, { 1 }, { { 0, 1 / 3, 1 / 3 }, { 0, -1 / 3, -1 / 3 } } },
    { { { -inf }, { 0 } }, { inf }, { { -1 }, { 1 } } } },
  linear = { { { { 0, 2 }, { inf, 1 } }, { nan }, { { inf, 1 }, { 0, 2 } } } },
  matmul = { { { { 0, 2 }, { inf, 1 } }, { nan }, { { inf, 1 }, { 0, 2 } } }, { { {}, {} }, { 0 }, { {}, {} } } },
  conv2d = { { { { 0, 2 }, { 3 } }, { 0, 6 }, { { 3, 3 }, { 2 } } } },
}

-- How an op of several dimensions takes what stands here in lists.
local calls = {
  softmax = function(x) return x:softmax(1) end,
  log_softmax = function(x) return x:log_softmax(1) end,
  cross_entropy = function(x) return d.cross_entropy(x:view(1, -1), { 1 }) end,
  attention = function(q, k, v)
    return q:view(1, -1, 1):attention(k:view(1, -1, 1), v:view(1, -1, 1))
  end,
  group_norm = function(x) return x:view(1, -1):group_norm(nil, nil, { groups = 1 }) end,
  layer_norm = function(x) return x:layer_norm() end,
  rms_norm = function(x) return x:rms_norm() end,
  linear = function(x, w) return x:linear(w:view(1, -1)) end,
  matmul = function(a, b) return a:view(1, a:numel()):matmul(b:view(b:numel(), 1)) end,
  conv2d = function(x, w) return x:view(1, 2, 1, 1):conv2d(w:view(1, 1, 1, 1)) end,
  mse = d.mse, l1 = d.l1, huber = d.huber,
}

local function close(want, got)
  if want ~= want or got ~= got then return want ~= want and got ~= got end
  return want == got or math.abs(want - got) <= 1e-5 * math.abs(want) + 1e-30
end

local function check(where, want, got)
  local list = flat(got)
  assert.equal(#want, #list, where)
  for i, v in ipairs(want) do
    assert(close(v, list[i]), ("%s: element %d is %g, not %g"):format(where, i, list[i], v))
  end
end

local function check_corner(name, corner)
  local inputs = {}
  for i, list in ipairs(corner[1]) do inputs[i] = d.tensor(list) end
  local call = corner[4] or calls[name] or function(x, ...) return (x[name](x, ...)) end
  local value
  local got = { d.grad(function(...)
    value = call(...)
    local n = value:numel()
    return corner.weighed and (value:flatten() * d.arange(1, n)):sum() or value:sum()
  end, table.unpack(inputs)) }
  local where = ("%s of %s"):format(name, table.concat(corner[1][1], ","))
  check(where, corner[2], value)
  for i in ipairs(inputs) do check(where .. ": gradient " .. i, corner[3][i], got[i]) end
end

local function filled(leaves, value)
  local out = {}
  for i, x in ipairs(leaves) do out[i] = d.full(x:shape(), value) end
  return out
end

describe("at its corners", function()
  for _, name in ipairs(examples.names()) do
    if corners[name] then
      it(name .. " has the value and the slopes of the convention", function()
        for _, corner in ipairs(corners[name]) do check_corner(name, corner) end
      end)
    elseif steady[name] then
      it(name .. " has the slopes that it has anywhere", function()
        for _, example in ipairs(examples.of(name)) do
          local found = {}
          for _, value in ipairs { 0, inf } do
            d.manual_seed(1)
            found[value] = examples.gradients { leaves = filled(example.leaves, value), loss = example.loss }
          end
          for i, g in ipairs(found[0]) do assert(g:equal(found[inf][i]), example.text) end
        end
      end)
    end
  end

  it("every op with a gradient is known", function()
    for name, has in pairs(core.op_examples) do
      if has then assert((corners[name] ~= nil) ~= (steady[name] ~= nil), name .. ": in one of the two lists") end
    end
  end)

  it("prod's slopes need no product that overflows on the way", function()
    local unit = core.real == "f64" and 1e200 or 1e25
    local g = d.grad(function(x) return x:prod() end, d.tensor { unit, unit })
    check("large", { unit, unit }, g)
    g = d.grad(function(x) return x:prod() end, d.tensor { 1 / unit, 1 / unit })
    check("small", { 1 / unit, 1 / unit }, g)
  end)

  it("norm's slopes need no quotient that is no float on the way", function()
    for _, unit in ipairs(core.real == "f64" and { 1e-150, 1e150 } or { 1e-30, 1e30 }) do
      local x, far = d.tensor { { 3 * unit, 4 * unit } }, core.real == "f64" and 1e200 or 1e10
      local want = unit < 1 and far or 1 / far
      for _, norm in ipairs { x.norm, function(v) return v:norm(2) end, function(v) return v:t():norm(1) end } do
        check("norm", { 0.6 * want, 0.8 * want }, (d.grad(function(v) return (norm(v) * want):sum() end, x)))
      end
      local slope = want * 0.5 ^ 0.5
      check("std", { -slope, slope }, (d.grad(function(v) return v:std() * want end, x)))
    end
  end)

  it("a row without weight is one wherever rows become shares", function()
    local x = d.tensor { { -inf, -inf, -inf }, { 0, -inf, 0 } }
    local p, lp = x:softmax(2), x:log_softmax(2)
    check("softmax", { 0, 0, 0, 0.5, 0, 0.5 }, p)
    check("log_softmax", { 0, 0, 0, 0.5, 0, 0.5 }, lp:exp())
    check("logsumexp", flat(p), (x - x:logsumexp(2, true)):exp():isfinite():mul(p))
    check("cross_entropy", { inf, math.log(2) }, d.cross_entropy(x, { 2, 1 }, "sample"))
    check("its slopes", { 0, 0, 0, -0.5, 0, 0.5 },
      (d.grad(function(l) return d.cross_entropy(l, { 2, 1 }, "sample"):sum() end, x)))
    for _, dim in ipairs { 1, 2 } do
      local function both(l) return l:softmax(dim):sum() + l:log_softmax(dim):sum() end
      check("along " .. dim, { 0, 0, 0, 0, 0, 0 }, (d.grad(both, d.full({ 2, 3 }, -inf))))
    end
  end)

  it("attention gives nothing to a query whose every score is -inf, and nan stays", exactly(function()
    for _, width in ipairs { 1, 32, 64 } do
      for _, n in ipairs { 3, 70 } do
        local q, k = d.ones(1, n, width), d.full({ 1, n, width }, -huge)
        q[{ {}, 2 }] = huge
        q[{ {}, 3 }] = nan
        local y = q:attention(k, d.ones(1, n, width))
        check("the others", { 1 }, y[{ 1, 1, { 1, 1 } }])
        check("no weight", { 0 }, y[{ 1, 2, { width, width } }])
        check("nan", { nan }, y[{ 1, 3, { 1, 1 } }])
        local function total(a, b, c) return a:attention(b, c):sum() end
        local dq, dk, dv = d.grad(total, q:narrow(2, 1, 2):clone(), k, d.ones(1, n, width))
        assert(dq:isfinite():all() and dk:isfinite():all() and dv:isfinite():all())
        check("of v", { 1 / n }, dv[{ 1, 1, { 1, 1 } }])
      end
    end
  end))
end)

-- Attention with masks against a composition of matmul and softmax, by every instruction set
-- and at every precision; its bits; what it refuses.
local d = require "diffusion"
local core = require "diffusion.core"
local cases = require "spec.support.attention_cases"
local products = require "spec.support.products"

local ops = core.ops
local isa, sets = core.isa()

local function message(f, ...) return select(2, pcall(f, ...)) end

describe("attention with a mask", function()
  after_each(function() core.isa(isa) end)

  it("is its definition for every form of mask, and so are its gradients", function()
    for _, set in ipairs(sets) do
      core.isa(set)
      cases.hold(3 * products.near, 1)
    end
  end)

  it("keeps what each precision promises", function()
    local names = { "floats of all heads", "floats of queries and keys", "i64 of all heads", "no mask" }
    for i, size in ipairs { { 2, 49, 77, 2, 32 }, { 2, 70, 70, 2, 64 }, { 1, 300, 290, 1, 40 } } do
      for _, name in ipairs(names) do
        d.manual_seed(i)
        local q, k, v, g, o = cases.draw(size, name, i > 1)
        local before = d.precision()
        d.precision "highest"
        local want = cases.evaluate(cases.composed, q, k, v, g, o)
        d.precision(before)
        products.at_each_precision(function(row)
          local got = cases.evaluate(ops.attention, q, k, v, g, o)
          for j = 1, 4 do products.check(row, products.flat(want[j]), got[j]) end
        end)
      end
    end
  end)

  it("has the same bits on 1, 2 and 3 threads, and for a sample alone", function()
    for i, size in ipairs { { 5, 70, 90, 3, 8 }, { 5, 40, 33, 2, 64 }, { 5, 3, 1100, 1, 32 } } do
      for name in pairs(cases.masks) do
        d.manual_seed(i)
        local q, k, v, g, o = cases.draw(size, name, i ~= 2)
        local batch
        products.same_on_threads(function()
          batch = cases.evaluate(ops.attention, q, k, v, g, o)
          return batch
        end)
        for _, n in ipairs { 1, 3, 5 } do
          local function one(x) return x and (x:size(1) == 1 and x or x:narrow(1, n, 1)) end
          local alone = cases.evaluate(ops.attention, one(q):clone(), one(k):clone(), one(v):clone(), one(g),
            { heads = o.heads, causal = o.causal, mask = one(o.mask) })
          for j = 1, 4 do
            assert(batch[j]:narrow(1, n, 1):equal(alone[j]), ("%s: sample %d, %d"):format(name, n, j))
          end
        end
      end
    end
  end)

  it("gives zeros and no gradient to a query that sees no key", function()
    for _, size in ipairs { { 2, 6, 4, 2, 3 }, { 1, 100, 60, 1, 32 } } do
      local B, N, m, heads, D = table.unpack(size)
      for _, o in ipairs { { causal = true }, { mask = d.zeros({ B, m }, { dtype = "u8" }) },
        { mask = d.full({ 1, 1, m }, -math.huge) } } do
        o.heads = heads
        local q, k, v, g = cases.draw(size, "no mask")
        local y, dq = table.unpack(cases.evaluate(ops.attention, q, k, v, g, o))
        local blind = o.causal and N - m or N
        assert.is_true(y:narrow(2, 1, blind):equal(d.zeros(B, blind, heads * D)))
        assert.is_true(dq:narrow(2, 1, blind):equal(d.zeros(B, blind, heads * D)))
        assert.is_true(not o.causal or y:narrow(2, blind + 1, 1):abs():min():item() > 0)
      end
    end
  end)

  -- Powers are taken from a top that moves only where scores are far from it.
  it("does not depend on how large the scores are, nor on where the largest are", function()
    for _, set in ipairs(sets) do
      core.isa(set)
      for i, size in ipairs { { 1, 40, 400, 2, 8 }, { 1, 33, 600, 1, 64 } } do
        d.manual_seed(i)
        local q, k, v, g = cases.draw(size, "no mask")
        local m, third = size[3], size[3] // 3
        local function evaluate(mask)
          return cases.evaluate(ops.attention, q, k, v, g, { heads = size[4], mask = mask })
        end
        local function thirds(a, b, c)
          local mask = d.full({ 1, m }, c)
          mask:narrow(2, 1, third):fill_(a)
          mask:narrow(2, third + 1, third):fill_(b)
          return mask
        end
        local function same(what, want, got)
          for j = 1, 4 do
            local off = (got[j] - want[j]):norm():item() / want[j]:norm():item()
            assert(off < 3e-4, ("%s, %s, %d: off by %.2g"):format(set, what, j, off))
          end
        end
        local all, inf = evaluate(nil), math.huge
        for _, c in ipairs { -1000, -100, -30, 30, 100, 1000 } do
          same("constant " .. c, all, evaluate(thirds(c, c, c)))
        end
        local last, first = evaluate(thirds(-inf, -inf, 0)), evaluate(thirds(0, -inf, -inf))
        same("rising", last, evaluate(thirds(-400, 0, 200)))
        same("hidden, then low", last, evaluate(thirds(-inf, -800, -300)))
        same("falling", first, evaluate(thirds(400, 200, -200)))
      end
    end
  end)

  it("lets the first query see one key where N is M, and all keys where N is 1", function()
    local x = d.randn(1, 9, 4)
    assert.allclose(x:narrow(2, 1, 1), x:attention(x, x, { causal = true }):narrow(2, 1, 1))
    local last = x:narrow(2, 9, 1)
    assert.is_true(last:attention(x, x):equal(last:attention(x, x, { causal = true })))
  end)

  it("refuses the backward pass where its mask was written to", function()
    local x, mask = d.randn(1, 4, 4), d.randn(1, 4)
    local function loss(a)
      local y = a:attention(x, x, { mask = mask }):sum()
      mask:add_(1)
      return y
    end
    assert.matches("a value [1,4] that it needs was written to", message(d.grad, loss, x:clone()), 1, true)
  end)

  it("says what doesn't fit", function()
    local x, k = d.zeros(2, 3, 4), d.zeros(2, 5, 4)
    local function refuses(text, options)
      assert.matches(text, message(ops.attention, x, k, k, options), 1, true)
    end
    refuses("the mask [3,5] is none of [2,5], [2,3,5] and [2,2,3,5], where sizes but the last may be 1",
      { heads = 2, mask = d.zeros(3, 5) })
    for _, shape in ipairs { { 5 }, { 2, 1 }, { 2, 5, 3 }, { 2, 3, 3, 5 }, { 1, 2, 2, 3, 5 } } do
      refuses("attention: the mask [" .. table.concat(shape, ",") .. "] is none of",
        { heads = 2, mask = d.zeros(shape) })
    end
    assert.matches("attention: a mask has no gradient; mask:detach() is a constant", message(function()
      return d.grad(function(m) return ops.attention(x, k, k, { mask = m }):sum() end, d.zeros(2, 5))
    end), 1, true)
    local dx = d.grad(function(m)
      return (ops.attention(x, k, k, { mask = m:detach() }) + m:sum()):sum()
    end, d.zeros(2, 5))
    assert.is_true(dx:equal(d.full({ 2, 5 }, 24)))
    refuses("option 'mask': a tensor expected", { mask = { { 1, 0 } } })
    refuses("option 'causal': true or false expected, got 1", { causal = 1 })
    refuses("did you mean 'causal'", { casual = true })
  end)
end)

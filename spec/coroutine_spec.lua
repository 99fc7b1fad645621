-- Coroutines share one stack of scopes and records. A coroutine that is suspended inside
-- one is named at the first misuse by others, and nothing is lost.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"

local yield = coroutine.yield

-- Suspends inside what is opened by `opened`, called with a function; then gives 12.
local function left_inside(opened, ...)
  local arguments = table.pack(...)
  local thread = coroutine.create(function()
    return opened(function(x)
      local y = (x or d.tensor { 2, 3 }) * 2
      yield(y)
      return (y + 1):sum()
    end, table.unpack(arguments, 1, arguments.n))
  end)
  assert(coroutine.resume(thread))
  return thread
end

local function finish(thread) return select(2, assert(coroutine.resume(thread))) end

local opened = {
  ["d.scope"] = { d.scope },
  ["d.record"] = { d.record },
  ["d.no_grad"] = { d.no_grad },
  ["d.grad"] = { function(fn, x) return select(2, d.grad(fn, x)) end, d.tensor { 2, 3 } },
}

describe("a coroutine suspended inside", function()
  local model = d.mlp { hidden = 4, depth = 1 }
  local b = d.ones(3)

  local misuses = {
    ["an op"] = function() return b + 1 end,
    ["a new tensor"] = function() return d.zeros(2) end,
    ["a draw"] = function() return d.randn(2) end,
    ["a write"] = function() b[1] = 1 end,
    ["d.scope"] = function() return d.scope(function() return 1 end) end,
    ["d.record"] = function() return d.record(function() return 1 end) end,
    ["d.no_grad"] = function() return d.no_grad(function() return 1 end) end,
    ["d.grad"] = function() return d.grad(function(x) return x:sum() end, b) end,
    ["a model"] = function() return model(d.ones(1, 2), 1) end,
    ["another coroutine"] = function() finish(left_inside(d.scope)) end,
  }
  for name, open in pairs(opened) do
    it(name .. " is named to whoever computes meanwhile, and goes on unharmed", function()
      for _, misuse in pairs(misuses) do
        local thread = left_inside(table.unpack(open))
        fails("a coroutine is suspended inside " .. name, misuse)
        assert.equal(1, b[1])
        assert.equal(12, finish(thread):item())
        misuse()
      end
      assert.is_false(core.recording())
    end)

    it(name .. " is done with once it is closed, has failed or is no more", function()
      coroutine.close(left_inside(table.unpack(open)))
      assert.equal(6, (b + 1):sum():item())
      local failed = coroutine.create(function() open[1](function() error "no" end, open[2]) end)
      assert.is_false(coroutine.resume(failed))
      assert.equal(6, (b + 1):sum():item())
      left_inside(table.unpack(open))
      collectgarbage()
      collectgarbage()
      assert.equal(6, (b + 1):sum():item())
      assert.is_false(core.recording())
    end)

    it(name .. " is told of by what ends around it", function()
      local thread
      fails("suspended inside " .. name, d.scope, function() thread = left_inside(table.unpack(open)) end)
      assert.equal(6, (b + 1):sum():item())
      assert.is_false(core.recording())
      coroutine.close(thread)
      assert.equal(6, (b + 1):sum():item())
    end)
  end

  it("d.scope has an error on its way pass", function()
    fails("the first", d.scope, function()
      left_inside(d.scope)
      error "the first"
    end)
    assert.equal(6, (b + 1):sum():item())
  end)

  it("a record keeps its gradients", function()
    local w = select(2, model:parameters()())
    local thread = left_inside(function(fn) return d.record(fn, w) end)
    fails("d.record", function() return b + 1 end)
    finish(thread):backward()
    assert.equal(2 * w:numel(), w.grad:sum():item())
    assert.is_false(core.recording())
  end)
end)

describe("coroutines", function()
  it("may open and close within one resume, by turns", function()
    local function worker(c)
      return coroutine.wrap(function()
        for i = 1, 4 do
          local g = d.grad(function(x) return d.scope(function() return (x * x):sum() * c end) end, d.tensor { i })
          yield(g:item())
        end
      end)
    end
    local one, two, got = worker(1), worker(10), {}
    for _ = 1, 4 do
      local kept = d.ones(2)
      got[#got + 1] = one() + two() + kept:sum():item()
    end
    assert.same({ 24, 46, 68, 90 }, got)
  end)

  it("may compute for the scope or record that waits for them", function()
    local produce = function(x)
      return coroutine.wrap(function()
        for i = 1, 3 do yield(x * i) end
      end)
    end
    local g = d.grad(function(x)
      local sum = x * 0
      for y in produce(x) do sum = sum + y end
      return sum:sum()
    end, d.ones(2))
    assert.same({ 6, 6 }, g:totable())
    local total = d.scope(function()
      local sum = 0
      for y in produce(d.ones(2)) do sum = sum + y:sum():item() end
      return sum
    end)
    assert.equal(12, total)
  end)

  it("may be read from while they are suspended", function()
    local thread = coroutine.wrap(function()
      return d.scope(function()
        local y = d.tensor { 4, 5 }
        yield(y)
        return y:sum()
      end)
    end)
    local y = thread()
    assert.equal(5, y[2])
    assert.same({ 4, 5 }, y:totable())
    assert.same({ 2 }, y:shape())
    assert.equal(9, thread():item())
  end)
end)

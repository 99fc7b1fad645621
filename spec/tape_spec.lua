-- Recording and walking: what is followed, what is refused, and that nothing is left behind.
local d = require "diffusion"
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local nn = d.nn


local function message_of(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  return message
end

-- A model of one parameter vector w {n}, to follow gradients of.
local Vector = nn.module("vector", function(m, n)
  m.w = nn.parameter(d.arange(1, n):to(core.real))
  function m:forward(x) return self.w * x end
end)

describe("d.grad", function()
  it("gives the gradient of each tensor, then the values", function()
    local gx, gy, value, extra = d.grad(function(x, y) return (x * x * y):sum(), "more" end,
      d.tensor { 1, 2 }, d.tensor { 3, 4 })
    assert.same({ 6, 16 }, gx:totable())
    assert.same({ 1, 4 }, gy:totable())
    assert.equal(19, value:item())
    assert.equal("more", extra)
  end)

  it("gives each gradient memory of its own", function()
    local gx, gy = d.grad(function(x, y) return (x + y):sum() end, d.ones(2), d.ones(2))
    gx:mul_(0)
    assert.same({ 1, 1 }, gy:totable())
  end)

  it("gives zeros where nothing depends on an argument", function()
    local g = d.grad(function(x) return d.tensor { 3 }:sum() + 0 * x:detach():sum() end,
      d.tensor { 1, 2 })
    assert.same({ 0, 0 }, g:totable())
  end)

  it("sums over every use of a value", function()
    local g = d.grad(function(x)
      local y = x * 2
      return (y + y * y + x):sum()
    end, d.tensor { 3 })
    assert.same({ 2 + 2 * 6 * 2 + 1 }, g:totable())
  end)

  it("leaves parameters alone", function()
    local model = nn.model(Vector(3))
    d.grad(function(x) return model(x):sum() end, d.ones(3))
    for _, p in model:parameters() do assert.is_nil(p.grad) end
  end)

  it("works inside a record, on constants", function()
    local model = nn.model(Vector(2))
    local loss = d.record(function()
      local g = d.grad(function(x) return (x * x):sum() end, d.tensor { 1, 2 })
      return model(g):sum()
    end)
    loss:backward()
    for _, p in model:parameters() do assert.same({ 2, 4 }, p.grad:totable()) end
  end)

  it("refuses a second derivative with the remedy", function()
    local model = nn.model(Vector(2))
    local message = message_of(function()
      d.record(function()
        local y = model(d.ones(2))
        return d.grad(function(v) return (v * v):sum() end, y):sum()
      end)
    end)
    assert.truthy(message:find("no second derivatives", 1, true), message)
    assert.truthy(message:find("detach()", 1, true), message)
    assert.is_false(core.recording())
  end)
end)

describe("a record", function()
  it("gathers gradients over several losses until they are cleared", function()
    local model = nn.model(Vector(2))
    for _ = 1, 2 do d.record(function() return model(d.tensor { 3, 5 }):sum() end):backward() end
    for _, p in model:parameters() do assert.same({ 6, 10 }, p.grad:totable()) end
  end)

  it("can be walked twice with keep, and not after", function()
    local model = nn.model(Vector(2))
    local loss = d.record(function() return (model(d.ones(2)) ^ 2):sum() end)
    loss:backward { keep = true }
    loss:backward()
    for _, p in model:parameters() do assert.same({ 4, 8 }, p.grad:totable()) end
    local message = message_of(function() loss:backward() end)
    assert.truthy(message:find("{keep=true}", 1, true), message)
  end)

  it("says which value was written to in place", function()
    local model = nn.model(Vector(2))
    local x = d.ones(2)
    local loss = d.record(function() return model(x):sum() end)
    x:mul_(2)
    local message = message_of(function() loss:backward() end)
    assert.truthy(message:find("written to in place", 1, true), message)
    assert.truthy(message:find("mul", 1, true), message)
  end)

  it("refuses in-place writes on what it follows", function()
    local model = nn.model(Vector(2))
    for _, write in ipairs {
      function(y) y:add_(1) end,
      function(y) d.zeros(2):add_(y) end,
    } do
      local message = message_of(function()
        d.record(function() write(model(d.ones(2))) end)
      end)
      assert.truthy(message:find("underscore", 1, true), message)
    end
    assert.is_false(core.recording())
  end)

  it("refuses values of an earlier record", function()
    local model = nn.model(Vector(2))
    local y = d.record(function() return model(d.ones(2)) end)
    local message = message_of(function()
      d.record(function() return model(y):sum() end)
    end)
    assert.truthy(message:find("earlier record", 1, true), message)
    assert.has_no.errors(function()
      d.record(function() return model(y:detach()):sum() end):backward()
    end)
  end)

  it("says that a loss has one element, and that it must be recorded", function()
    local model = nn.model(Vector(2))
    local y = d.record(function() return model(d.ones(2)) end)
    assert.truthy(message_of(function() y:backward() end):find("[2]", 1, true))
    assert.truthy(message_of(function() d.ones(1):backward() end):find("d.record", 1, true))
  end)

  it("notes nothing outside, nor in no_grad", function()
    local model = nn.model(Vector(2))
    assert.has_error(function() model(d.ones(2)):sum():backward() end)
    local loss = d.record(function()
      return model(d.ones(2)):sum() + d.no_grad(function() return model(d.ones(2)):sum() end)
    end)
    loss:backward()
    for _, p in model:parameters() do assert.same({ 1, 1 }, p.grad:totable()) end
  end)

  it("is closed by an error inside, and its memory comes back", function()
    local model = nn.model(Vector(1000))
    collectgarbage()
    collectgarbage()
    local before = core.memory().blocks
    for _ = 1, 20 do
      pcall(d.record, function()
        local y = model(d.ones(1000))
        error("boom" .. tostring(y:numel()))
      end)
    end
    assert.is_false(core.recording())
    collectgarbage()
    collectgarbage()
    assert.equal(before, core.memory().blocks)
  end)

  it("lets go of its values on the walk, before the collector comes", function()
    local model = nn.model(Vector(100000))
    local x = d.ones(100000)
    collectgarbage()
    collectgarbage "stop"
    local loss = d.record(function()
      return d.scope(function()
        local y = model(x)
        for _ = 1, 20 do y = y:sin() end
        return y:sum()
      end)
    end)
    local held = core.memory().live
    loss:backward()
    assert.is_true(core.memory().live < held - 15 * 100000 * 4)
    collectgarbage "restart"
  end)
end)

describe("second derivatives", function()
  local function refused(fn)
    local message = message_of(function() d.record(fn) end)
    assert.truthy(message:find("no second derivatives", 1, true), message)
    assert.is_false(core.recording())
  end

  it("through a closure are refused, not dropped", function()
    local model = nn.model(Vector(2))
    local x = d.tensor { 1, 2 }
    refused(function()
      local y = model(x):square()
      local g = d.grad(function(v) return (v * v * y):sum() end, x)
      return (g * g):sum()
    end)
  end)

  it("of a gradient penalty too, and of the value beside the gradient", function()
    local model = nn.model(Vector(2))
    local x = d.tensor { 1, 2 }
    refused(function()
      local g = d.grad(function(v) return model(v):square():sum() end, x)
      return model(x):sum() + (g * g):sum()
    end)
    refused(function()
      local _, value = d.grad(function(v) return model(v):square():sum() end, x)
      return model(x):sum() + value
    end)
  end)

  it("aren't meant where the gradient is detached", function()
    local model = nn.model(Vector(2))
    local loss = d.record(function()
      local g = d.grad(function(v) return model(v):square():sum() end, d.tensor { 1, 2 })
      return model(g:detach()):sum()
    end)
    loss:backward()
    for _, p in model:parameters() do assert.same({ 2, 16 }, p.grad:totable()) end
  end)
end)

describe("a guest", function()
  it("may return the same buffer again", function()
    local buffer = d.zeros(1)
    local copy = nn.guest(function(x) return x * 1 end, function(dy) return buffer:copy_(dy) end)
    local gx, gy = d.grad(function(x, y) return (copy(x) * 2 + copy(y) * 5):sum() end,
      d.ones(1), d.ones(1))
    assert.equal(2, gx:item())
    assert.equal(5, gy:item())
  end)

  local function ignoring(change)
    return nn.guest(function(x) return x * 3, x * 1 end, function(dy, kept, x)
      return change(dy, kept, x)
    end)
  end

  it("may write into its dy, and others keep theirs", function()
    local zero = ignoring(function(dy) return dy:mul_(0) end)
    assert.same({ 1, 1 }, d.grad(function(x) return (x + zero(x)):sum() end, d.ones(2)):totable())
    assert.same({ 1, 1 }, d.grad(function(x) return (zero(x) + x):sum() end, d.ones(2)):totable())
    local gx, gy = d.grad(function(x, y) return (zero(x) + y):sum() end, d.ones(2), d.ones(2))
    assert.same({ 0, 0, 1, 1 }, d.cat { gx, gy }:totable())
    local given = d.tensor { 2, 5 }
    local model = nn.model(Vector(2))
    d.record(function() return zero(model(d.ones(2))) end):backward(nil, given)
    assert.same({ 2, 5 }, given:totable())
  end)

  it("may return its dy, also twice, kept values and windows of them", function()
    local twice = nn.guest(function(x, y) return x + y end, function(dy) return dy, dy end)
    local gx, gy = d.grad(function(x, y) return (twice(x, y) * d.tensor { 2, 7 }):sum() end, d.ones(2), d.ones(2))
    gx:mul_(0)
    assert.same({ 2, 7 }, gy:totable())
    local keeps = nn.guest(function(x) return x * x / 2, x:clone() end, function(_, kept) return kept end)
    local g = d.grad(function(x) return (keeps(x) + x):sum() end, d.tensor { 3, 4 })
    assert.same({ 4, 5 }, g:totable())
    local half = nn.guest(function(x) return x:narrow(1, 1, 1) * 1 end, function(dy, _, x)
      local out = x * 0
      out:narrow(1, 1, 1):copy_(dy)
      return out:view(3, 1):t():t():select(2, 1)
    end)
    assert.same({ 1, 0, 0 }, d.grad(function(x) return half(x):sum() end, d.ones(3)):totable())
  end)

  it("is told where what it was given or keeps was written to since", function()
    local reads = nn.guest(function(x) return x * x, x:clone() end, function(dy, kept) return dy * kept:mul_(2) end)
    local model = nn.model(Vector(2))
    local loss = d.record(function() return reads(model(d.ones(2))):sum() end)
    loss:backward { keep = true }
    for _, p in model:parameters() do assert.same({ 2, 4 }, p.grad:totable()) end
    local message = message_of(function() loss:backward() end)
    assert.truthy(message:find("[2]", 1, true), message)
    assert.truthy(message:find("written to in place", 1, true), message)
    local by = d.tensor { 5, 5 }
    local product = nn.guest(function(x, c) return x * c end, function(dy, _, _, c) return dy * c end)
    loss = d.record(function() return product(model(d.ones(2)), by):sum() end)
    by:zero_()
    message = message_of(function() loss:backward() end)
    assert.truthy(message:find("written to in place", 1, true), message)
  end)

  it("that writes into a value others need is an error of theirs", function()
    local spoils = ignoring(function(dy, _, x)
      x:detach():mul_(100)
      return dy * 3
    end)
    local message = message_of(function()
      d.grad(function(x)
        local y = x * 1
        return (y * y):sum() + spoils(y):sum()
      end, d.ones(2))
    end)
    assert.truthy(message:find("written to in place", 1, true), message)
  end)

  it("can't walk the record that is walking it", function()
    local model = nn.model(Vector(2))
    local loss
    local odd = nn.guest(function(x) return x * 1 end, function(dy)
      loss:backward { keep = true }
      return dy
    end)
    loss = d.record(function() return odd(model(d.ones(2))):sum() end)
    local message = message_of(function() loss:backward() end)
    assert.truthy(message:find("being walked", 1, true), message)
  end)


  local cube = nn.guest(function(x) return x * x * x, x:clone() end,
    function(dy, kept) return dy * kept * kept * 3 end)

  it("is undone by its own backward, any number of times, in a chain", function()
    local g = d.grad(function(x) return cube(cube(x)):sum() end, d.tensor { 1.1, -0.5 })
    for i, v in ipairs { 1.1, -0.5 } do assert.near(9 * v ^ 8, g[i], 1e-5) end
  end)

  it("passes the gradient check", function()
    assert.is_true(d.gradcheck(cube, { d.tensor { 0.5, -1.5, 2 } }))
  end)

  it("hands on an error of its backward and leaves the tape clean", function()
    local bad = nn.guest(function(x) return x * 2 end, function() error "no way back" end)
    local message = message_of(function()
      d.grad(function(x) return bad(x):sum() end, d.ones(2))
    end)
    assert.truthy(message:find("no way back", 1, true), message)
    assert.is_false(core.recording())
  end)

  it("is told that a gradient must have the argument's size", function()
    local bad = nn.guest(function(x) return x * 2 end, function() return d.ones(3) end)
    local message = message_of(function()
      d.grad(function(x) return bad(x):sum() end, d.ones(2))
    end)
    assert.truthy(message:find("[3]", 1, true), message)
    assert.truthy(message:find("[2]", 1, true), message)
  end)
end)

describe("recomputation", function()
  it("gives the same gradients, of parameters and inputs, dropout included", function()
    local Net = nn.module("net", function(m)
      m.one = nn.linear(4, 8)
      m.drop = nn.dropout(0.5)
      m.two = nn.linear(8, 4)
      function m:forward(x) return self.two(self.drop(self.one(x):silu())) end
    end)
    local function run(again)
      d.manual_seed(3)
      local model = nn.model(Net())
      local x = d.randn(5, 4)
      local fn = again and gradient.recompute(model) or model
      local loss = d.record(function(v) return (fn(v) ^ 2):mean() end, x)
      loss:backward()
      local grads = {}
      for name, p in model:parameters() do grads[name] = p.grad:clone() end
      return grads, loss:item()
    end
    local want, loss = run(false)
    local got, again = run(true)
    assert.equal(loss, again)
    for name, g in pairs(want) do assert.is_true(g:equal(got[name]), name) end
  end)
end)

describe("recomputation and the optimiser", function()
  it("counts one walk, however often a shared layer is used", function()
    local function norm(again)
      d.manual_seed(1)
      local Net = nn.module("net", function(m)
        m.layer = nn.linear(4, 4)
        local use = again and gradient.recompute(function(x) return m.layer(x) end) or function(x) return m.layer(x) end
        function m:forward(x) return use(use(use(x))) end -- luacheck: ignore 212
      end)
      local model = nn.model(Net())
      local opt = d.adamw(model, { lr = 1e-3 })
      d.record(function() return model(d.ones(2, 4)):square():mean() end):backward()
      return opt:step()
    end
    assert.near(norm(false), norm(true), 1e-6)
  end)

  it("puts the random counters back after an error", function()
    local fail = false
    local fn = gradient.recompute(function(x)
      if fail then error "boom" end
      return x * d.randn(3)
    end)
    local model = nn.model(Vector(3))
    local loss = d.record(function() return fn(model(d.ones(3))):sum() end)
    d.randn(1)
    local before = core.random_state()
    fail = true
    assert.is_false(pcall(function() loss:backward() end))
    assert.same(before, core.random_state())
  end)
end)

describe("d.scope", function()
  it("within another lets go of what isn't its result", function()
    local before = core.memory().live
    d.scope(function()
      for i = 1, 5 do
        d.scope(function()
          local x = d.zeros(1 << 18)
          return x:sum()
        end)
        assert.is_true(core.memory().live < before + (1 << 19), "inner scope " .. i)
      end
    end)
    assert.is_true(core.memory().live < before + (1 << 12))
  end)

  it("around d.grad leaves nothing of what that recorded", function()
    local x = d.ones(1 << 18)
    collectgarbage()
    collectgarbage "stop"
    local before = core.memory().live
    d.scope(function() d.grad(function(v) return (v * v):sum() end, x) end)
    local after = core.memory().live
    collectgarbage "restart"
    assert.is_true(after < before + (1 << 12))
  end)

  it("keeps its results and frees the rest at once", function()
    local inner
    local y = d.scope(function()
      inner = d.ones(10)
      return inner + 1
    end)
    assert.equal(20, y:sum():item())
    local message = message_of(function() return inner:sum() end)
    assert.truthy(message:find("freed tensor", 1, true), message)
  end)

  it("keeps the memory of a view that leaves", function()
    local v = d.scope(function() return d.arange(1, 10):narrow(1, 3, 2) end)
    assert.same({ 3, 4 }, v:totable())
  end)

  it("closes on an error", function()
    local before = core.memory().live
    pcall(d.scope, function()
      local x = d.zeros(1000000)
      error(tostring(x:numel()))
    end)
    assert.is_true(core.memory().live <= before + 1000000)
  end)
end)

describe("memory", function()
  -- 3,000 tensors of 1 MiB, 20 alive at any time, must fit a limit of 128 MiB.
  local function loop()
    local ring = {}
    for i = 1, 3000 do ring[i % 20] = d.zeros(1 << 18, { dtype = "f32" }) end
    return ring
  end

  for _, mode in ipairs { "incremental", "generational" } do
    it("stays under its limit in " .. mode .. " mode", function()
      collectgarbage()
      local was = collectgarbage(mode)
      core.memory_reset_peak()
      local limit = core.memory().live + (128 << 20)
      d.memory_limit(limit)
      local ok, message = pcall(loop)
      d.memory_limit(0)
      collectgarbage(was)
      assert.is_true(ok, message)
      assert.is_true(core.memory().peak <= limit)
    end)
  end

  it("that is short is an error at the user's line, also before a record is open", function()
    local x = d.randn(4)
    local function empty() end
    for _, call in ipairs { d.record, d.grad } do
      d.memory_limit(1)
      local fine, message = pcall(function() return (call(empty, x)) end)
      d.memory_limit(0)
      assert.is_false(fine)
      assert(message:find "^[^:]*tape_spec%.lua:%d+: not enough memory", message)
    end
  end)

  -- Fills memory with garbage up to a limit of `mib` more than what lives.
  local function with_garbage(mib, fn)
    collectgarbage()
    collectgarbage()
    d.memory_limit(core.memory().live + (mib << 20))
    local ok, message = pcall(fn)
    d.memory_limit(0)
    assert.is_true(ok, message)
  end

  it("is found for numbers, for walks and steps when only garbage is in the way", function()
    local model = nn.model(Vector(1 << 16))
    local opt = d.adamw(model, { lr = 1e-3 })
    local x, hog = d.ones(1 << 16), nil
    with_garbage(16, function()
      for _ = 1, 30 do
        local loss = d.record(function() return (model(x) + 1):square():mean() end)
        for _ = 1, 20 do hog = d.zeros(1 << 17) end
        loss:backward()
        hog = hog + 1
        opt:step()
      end
    end)
    assert.equal(1, hog[1])
  end)

  it("says what was asked for when there is none", function()
    d.memory_limit(core.memory().live + (8 << 20))
    local message = message_of(function() return d.zeros(64 << 20) end)
    d.memory_limit(0)
    assert.truthy(message:find("not enough memory", 1, true), message)
    assert.has_no.errors(function() d.zeros(1 << 20) end)
    d.memory_limit(100)
    message = message_of(function() return d.zeros(20) end)
    local shown = tostring(d.memory())
    d.memory_limit(0)
    assert.matches("not enough memory: %d+ bytes requested, .* in use, limit 100 bytes", message)
    assert.matches("limit 100 bytes", shown)
  end)
end)

-- Backward passes that fail. The tape stays consistent, no part of a gradient remains,
-- and later results are as if they had not been tried.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local nn = d.nn

local function bits(x) return x:contiguous():bytes() end

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Calls fn while so many bytes more than now are allowed. Packed weights of other specs
-- would be dropped, which is room too.
local function limited(room, fn, ...)
  d.pack_budget(0)
  d.pack_budget "default"
  collect()
  d.memory_limit(core.memory().live + room)
  local results = table.pack(pcall(fn, ...))
  d.memory_limit(0)
  return table.unpack(results, 1, results.n)
end

describe("a backward pass for which memory is short", function()
  it("raises at every limit below what it needs, and is right from there on", function()
    local x, y = d.randn(256, 256), d.randn(256, 256)
    local function loss(a, b) return (a * b):sum() end
    local want = bits((d.grad(loss, x, y)))
    d.pack_budget(0) -- packed weights of other specs would be dropped midway, and make room
    d.pack_budget "default"
    collect()
    local before = core.memory().blocks
    local refused, granted = 0, 0
    for room = 0, 2048, 64 do
      local fine, g = limited(room * 1024, d.grad, loss, x, y)
      if fine then
        granted = granted + 1
        assert.equal(want, bits(g))
      else
        refused = refused + 1
        assert.match("not enough memory", g)
        assert.equal(0, granted)
      end
      g = nil -- luacheck: ignore 311
    end
    assert.is_true(refused >= 8 and granted >= 4, ("%d refused, %d granted"):format(refused, granted))
    assert.equal(want, bits((d.grad(loss, x, y))))
    collect()
    assert.equal(before, core.memory().blocks)
  end)

  local process = d.process { schedule = d.schedule.cosine { T = 50 }, predict = "v" }
  local objective = d.objective { process = process }

  local function values(model)
    local out = {}
    for _, p in model:parameters() do out[#out + 1] = bits(p) end
    return table.concat(out)
  end

  for _, recompute in ipairs { false, true } do
    it("lets the next step of a UNet run as if it had not been" .. (recompute and ", recomputing" or ""), function()
      local function new()
        d.manual_seed(3)
        local model = d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 }, blocks = 1, attention = { 2 },
          recompute = recompute or nil }
        for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.1) end
        return model, d.adamw(model, { lr = 1e-2, clip = 1 }), d.randn(4, 8, 8, 1)
      end
      local function step(model, opt, x)
        d.manual_seed(5)
        d.record(objective, model, x):backward()
        opt:step()
      end
      local model, opt, x = new()
      step(model, opt, x)
      local want = values(model)
      core.memory_reset_peak()
      local live = core.memory().live
      step(new())
      local peak = core.memory().peak - live
      local refused = 0
      for part = 1, 16 do
        model, opt, x = new()
        local before = values(model)
        local fine, message = limited(peak * part // 16, step, model, opt, x)
        if not fine then
          refused = refused + 1
          assert.match("not enough memory", message)
          assert.equal(before, values(model))
          step(model, opt, x)
        end
        assert.equal(want, values(model))
      end
      assert.is_true(refused >= 4, refused .. " refused")
    end)
  end

  it("can be gone through again where it was asked to keep the record", function()
    local model = nn.model(nn.linear(200, 200))
    local x = d.randn(300, 200)
    local loss
    local refused = 0
    for room = 0, 1536, 128 do
      loss = d.record(function() return model(x):square():sum() end)
      local function gradient()
        loss:backward { keep = true }
        return bits(model:state().weight.grad)
      end
      local fine, message = limited(room * 1024, gradient)
      if not fine then
        refused = refused + 1
        assert.match("not enough memory", message)
        local again = gradient()
        for _, p in model:parameters() do assert.is_truthy(p.grad) end
        d.adamw(model):zero()
        assert.equal(again, gradient())
      end
      d.adamw(model):zero()
    end
    assert.is_true(refused > 0)
  end)
end)

describe("a network for which memory is short", function()
  it("leaves nothing of itself in the record", function()
    local model, x = d.mlp { dim = 64, hidden = 64, depth = 3 }, d.randn(256, 64)
    d.record(function()
      local refused = 0
      local small = model(x:narrow(1, 1, 2), 3) -- lists and packs are made once
      for room = 32, 512, 32 do
        collect()
        local before = core.memory().blocks
        if not limited(room * 1024, model, x, 3) then
          refused = refused + 1
          collect()
          assert.equal(before, core.memory().blocks)
        end
      end
      assert.is_true(refused >= 4, refused .. " refused")
      small:sum():backward()
    end)
  end)
end)

describe("a backward pass in which a guest raises", function()
  local fault = { "mine" }
  local angry = true
  local guest = nn.guest(function(x) return x * 2 end, function(dy)
    if angry then error(fault) end
    return dy * 2
  end)

  -- Backward: the last layer's gradients arrive, then the custom op is undone.
  local function network()
    d.manual_seed(1)
    local first, last = nn.linear(3, 4), nn.linear(4, 1)
    local model = nn.model(nn.module("two", function(m)
      m.first, m.last = first, last
      function m:forward(x) return self.last(guest(self.first(x))) end
    end)())
    return model, d.randn(5, 3)
  end

  local function loss_of(model, x) return d.record(function() return model(x):square():mean() end) end

  local function gradients(model)
    local out = {}
    for name, p in model:parameters() do out[#out + 1] = name .. (p.grad and bits(p.grad) or "none") end
    return table.concat(out, "\n")
  end

  local function refused(loss)
    angry = true
    local fine, message = pcall(loss.backward, loss)
    angry = false
    assert.is_false(fine)
    assert.equal(fault, message)
  end

  it("raises what the guest raised, and the record is of no more use", function()
    local model, x = network()
    local loss = loss_of(model, x)
    refused(loss)
    fails("compute the loss again", loss.backward, loss)
    assert.is_false(core.recording())
  end)

  it("leaves no part of a gradient, of micro-batches before it neither", function()
    local model, x = network()
    angry = false
    loss_of(model, x):backward()
    local want = gradients(model)
    local opt = d.adamw(model, { lr = 1e-2 })
    refused(loss_of(model, x))
    for _, p in model:parameters() do assert.is_nil(p.grad) end
    fails("no gradient has arrived", opt.step, opt)
    loss_of(model, x):backward()
    assert.equal(want, gradients(model))
  end)

  it("can be walked again where it is kept, by a coroutine too", function()
    local model, x = network()
    angry = false
    loss_of(model, x):backward()
    local want = gradients(model)
    d.adamw(model):zero()
    local loss = loss_of(model, x)
    angry = true
    assert.is_false(pcall(loss.backward, loss, { keep = true }))
    angry = false
    coroutine.wrap(function() loss:backward() end)()
    assert.equal(want, gradients(model))
  end)

  it("leaves gradients alone where it had not come to any", function()
    local model, x = network()
    angry = false
    loss_of(model, x):backward()
    local want = gradients(model)
    refused(d.record(function() return guest(model(x)):sum() end))
    assert.equal(want, gradients(model))
  end)

  it("fails where the guest hides that a backward within its own failed", function()
    local first, last, inner = nn.linear(3, 4), nn.linear(4, 1), nn.linear(2, 2)
    local hides = nn.guest(function(x) return x * 2 end, function(dy)
      refused(d.record(function() return inner(guest(inner(d.ones(1, 2)))):sum() end))
      return dy * 2
    end)
    local model = nn.model(nn.module("three", function(m)
      m.first, m.last, m.inner = first, last, inner
      function m:forward(x) return self.last(hides(self.first(x))) end
    end)())
    local loss = loss_of(model, d.randn(5, 3))
    fails("a backward within that of a custom op failed", loss.backward, loss)
    for _, p in model:parameters() do assert.is_nil(p.grad) end
  end)

  it("isn't counted, and what comes after is counted anew", function()
    local norms = {}
    for i, failing in ipairs { false, true } do
      local model, x = network()
      local opt = d.adamw(model, { lr = 1e-2 })
      local held = loss_of(model, x) -- a record that stays
      if failing then refused(held) end
      angry = false
      for _ = 1, 2 do loss_of(model, x):backward() end
      norms[i] = opt:step()
    end
    assert.equal(norms[1], norms[2])
  end)
end)

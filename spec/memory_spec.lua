-- Memory of a step: values saved for the backward pass, savings by recomputation, and
-- loops that allocate nothing from the system once they are warm.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local nn = d.nn

local function bits(x) return x:contiguous():bytes() end

local function collect()
  collectgarbage()
  collectgarbage()
end

local process = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "v", clip = 1 }
local objective = d.objective { process = process }

local networks = {
  unet = { options = { image = { 12, 8, 3 }, channels = 16, mult = { 1, 2 }, attention = { 2 }, dropout = 0.2 },
           shape = { 3, 12, 8, 3 } },
  dit = { options = { image = { 12, 8, 3 }, width = 16, depth = 3, dropout = 0.2 }, shape = { 3, 12, 8, 3 } },
  mlp = { options = { hidden = 32, depth = 3 }, shape = { 40, 2 } },
}

-- A network of this kind whose parameters have all moved away from zero, and its data.
local function network(kind, recompute)
  local options = { recompute = recompute }
  for k, v in pairs(networks[kind].options) do options[k] = v end
  d.manual_seed(3)
  local model = d[kind](options)
  for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.1) end
  return model, d.randn(networks[kind].shape)
end

-- Loss and gradients as bits, and the bytes kept between forward and backward.
local function train_once(model, x0)
  d.manual_seed(5)
  for _ = 1, 2 do d.record(objective, model, x0):backward() end -- two micro-batches
  collect()
  local before = core.memory().live
  local loss = d.record(objective, model, x0)
  collect()
  local kept = core.memory().live - before
  loss:backward()
  local out = { bits(loss) }
  for _, p in model:parameters() do out[#out + 1] = bits(p.grad) end
  return table.concat(out), kept
end

describe("recompute = true", function()
  for kind in pairs(networks) do
    it("gives a " .. kind .. " the same gradients, dropout included, in less memory", function()
      local want, much = train_once(network(kind))
      local got, little = train_once(network(kind, true))
      assert.equal(want, got)
      assert.is_true(little < 0.6 * much, ("%d of %d bytes"):format(little, much))
    end)
  end

  it("is part of a network's config, and changes no sample", function()
    local plain, x = network "unet"
    local model = network("unet", true)
    assert.is_true(model:config().recompute)
    assert.is_nil(plain:config().recompute)
    assert.equal(bits(plain(x, 7)), bits(model(x, 7)))
  end)

  for name, wrap in pairs { stock = true, composed = nn.recompute } do
    it("leaves parameters alone in d.grad, where nothing is dropped (" .. name .. ")", function()
      local function gradient(recompute)
        local model, x
        if wrap == true then
          model, x = network("unet", recompute)
        else
          d.manual_seed(6)
          local inner = nn.sequence(nn.linear(6, 6), nn.dropout(0.5), nn.silu)
          model, x = nn.model(nn.sequence(recompute and wrap(inner) or inner)), d.randn(4, 6)
          for _, p in model:parameters() do p:fill_(0):add_(d.arange(1, p:numel()):reshape(p:shape()) * 0.1) end
        end
        local g = d.grad(function(z) return (wrap == true and model(z, 9) or model(z)):square():sum() end, x)
        for _, p in model:parameters() do assert.is_nil(p.grad) end
        return bits(g)
      end
      assert.equal(gradient(nil), gradient(true))
    end)
  end

  it("notices parameters that were written to before the way back", function()
    local model, x = network("unet", true)
    local loss = d.record(function() return model(x, 5):sum() end)
    for _, p in model:parameters() do p:mul_(0.5) end
    fails("was written to in place", loss.backward, loss)
  end)

  it("keeps its network for as long as there is a way back", function()
    local model, x = network("mlp", true)
    local loss = d.record(function() return model(x, 5):sum() end)
    model = nil -- luacheck: ignore 311
    collect()
    loss:backward()
  end)
end)

describe("what is kept for the way back", function()
  it("is the input of a norm and not the operand that it writes", function()
    local layer = nn.norm_conv(32, 32)
    local model = nn.model(layer)
    local x = d.randn(4, 16, 16, 32)
    local loss = d.record(function() return model(x):sum() end)
    core.profile_start()
    loss:backward()
    local kept = {}
    for _, row in ipairs(core.profile_stop()) do kept[row.name] = (kept[row.name] or 0) + row.kept end
    local whole = x:numel() * (core.real == "f64" and 8 or 4)
    assert.is_true(kept.group_norm >= whole and kept.group_norm < 1.1 * whole)
    assert.equal(0, kept.conv2d)
  end)
end)

describe("gradients", function()
  it("have memory from their arrival until they are zeroed", function()
    local model, x0 = network "unet"
    local opt = d.adamw(model, { lr = 1e-3 })
    local function live() return collect() or core.memory().live end
    local before, size = live(), 0
    for _, p in model:parameters() do size = size + p:numel() * (core.real == "f64" and 8 or 4) end
    for _ = 1, 2 do
      d.record(objective, model, x0):backward()
      assert.is_true(live() >= before + size)
      opt:step { zero = true }
      for _, p in model:parameters() do assert.is_nil(p.grad) end
      assert.equal(before, live())
    end
  end)
end)

-- Under a sanitizer nothing is kept for reuse, so every block is fresh.
local function is_pooled()
  d.randn(100000):free()
  return core.memory().pooled > 0
end

-- Runs `step` to warm up and then a few times more; what came from the system in these, and
-- what Lua's heap grew by.
local function steady(step)
  for _ = 1, 4 do step() end
  collect()
  local fresh, heap = core.memory().fresh, collectgarbage "count"
  for _ = 1, 6 do step() end
  collect()
  return core.memory().fresh - fresh, collectgarbage "count" - heap
end

describe("a loop that is warm", function()
  local function holds(step)
    if not is_pooled() then return end
    local fresh, heap = steady(step)
    assert.equal(0, fresh, "blocks from the system")
    assert.is_true(heap < 1, ("Lua's heap grew by %.1f KiB"):format(heap))
  end

  for kind in pairs(networks) do
    for _, recompute in ipairs { false, true } do
      it(("of training a %s takes nothing from the system%s"):format(kind, recompute and ", recomputing" or ""),
        function()
          local model, x0 = network(kind, recompute or nil)
          local ema = d.ema(model, { decay = 0.99 })
          local opt = d.adamw(model, { lr = 1e-3, clip = 1, ema = ema })
          holds(function()
            d.scope(function()
              d.record(objective, model, x0):backward()
              opt:step { zero = true }
            end)
          end)
        end)
    end

    it(("of sampling from a %s takes nothing from the system"):format(kind), function()
      local model = network(kind)
      for _, name in ipairs { "ddim", "dpmpp_2m" } do
        local run = d.sampler.steps { model = model, process = process, shape = networks[kind].shape,
          sampler = name, steps = 20, seed = 1 }
        holds(function()
          run()
          collect() -- the results of a step live until then
        end)
      end
    end)
  end

  it("of a whole trainer takes nothing from the system", function()
    local data = d.data.digits()
    local model = d.unet { image = { 8, 8, 1 }, channels = 16, mult = { 1 }, blocks = 1, classes = 10 }
    local opt = d.adamw(model, { lr = 1e-3, clip = 1 })
    local at = {}
    local trainer = d.trainer { model = model, opt = opt, batches = data:batches { size = 16, steps = 12 },
      objective = objective, quiet = true, on_step = function(step) at[step] = core.memory().fresh end }
    assert(trainer:run())
    if is_pooled() then assert.equal(at[6], at[12]) end
  end)
end)

-- Files of the first format still load, and compute what they did when they were written. The files in
-- spec/fixtures/first_format were written by the first release. `expected` has its results.
local d = require "diffusion"
require "spec.support.allclose"

local function path(name) return "spec/fixtures/first_format/" .. name end

local function close(wanted, x, atol) assert.allclose(wanted, x:detach(), { rtol = 0, atol = atol }) end

local expected = assert(d.load(path "expected"))

local function batch(...)
  d.manual_seed(4)
  return d.randn(...)
end

-- The scripts that wrote the checkpoint trained so, four steps before it and four after.
local function trained()
  local model = assert(d.load_model(path "mlp"))
  for _, p in model:parameters() do p:zero_() end
  local ema = d.ema(model, { decay = { "power", sigma_rel = 0.1 } })
  local opt = d.adamw(model, { lr = 1e-2, ema = ema, clip = 1 })
  d.manual_seed(2)
  local batches = d.data.toy.moons(20):batches{ size = 5, steps = 8, seed = 3 }
  return d.checkpoint{ path = path "checkpoint", model = model, opt = opt, ema = ema, batches = batches },
    model, ema, opt, batches
end

describe("a file of the first format", function()
  for name, shape in pairs { mlp = { 3, 2 }, unet = { 3, 4, 4, 1 }, dit = { 3, 4, 4, 1 } } do
    it("is a model: " .. name, function()
      local model, process = assert(d.load_model(path(name)))
      assert.equal(100, process.T)
      assert.equal(name == "dit" and "learned_range" or "fixed_small", process.variance)
      close(expected[name], model(batch(shape), 50), 1e-5)
    end)
  end

  it("is a checkpoint, from which training goes on", function()
    local checkpoint, model, ema, opt, batches = trained()
    assert.is_true(checkpoint:load())
    assert.equal("four steps", checkpoint.extra.note)
    for _, x0 in batches do
      d.record(function() return d.mse(model(x0, 50), x0) end):backward()
      opt:step()
    end
    close(expected.trained, model(batch(3, 2), 50), 1e-5)
    close(expected.averaged, ema(batch(3, 2), 50), 1e-5)
  end)

  it("is a snapshot of an average", function()
    local average = assert(d.load_model(path "average"))
    local state = assert(d.posthoc_ema({ path "snapshot" }, { sigma_rel = 0.1 }))
    for name, p in average:parameters() do close(p:detach(), state[name], 1e-6) end
  end)

  it("is a run, which goes on", function()
    local model, process = assert(d.load_model(path "mlp"))
    local run = d.sampler.steps{ model = model, process = process, shape = { 3, 2 },
      sampler = { "dpmpp_2m_sde", eta = 0.5 }, steps = 6, seed = 5, class = 1 }
    assert(run:load(path "run"))
    close(expected.run, run:finish(), 1e-4)
  end)
end)

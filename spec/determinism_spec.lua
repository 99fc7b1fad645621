-- Results have the same bits on any number of threads, at sizes where threads really
-- share the work. Without recording, a sample has the same bits alone or in a batch.
local d = require "diffusion"
local core = require "diffusion.core"
local shared = require "spec.support.shared"

local ops = core.ops
local best, all_isas = core.isa()

-- A network none of whose values is zero, as the last convolution's are at the start.
local function stirred(model)
  for _, p in model:parameters() do p:add_(0.1 * d.randn(p:shape())) end
  return model
end

local function unet(dropout)
  return stirred(d.unet { image = { 16, 16, 1 }, channels = 32, mult = { 1, 2 }, blocks = 1,
                          attention = { 2 }, classes = 3, dropout = dropout })
end

local function dit(dropout)
  return stirred(d.dit { image = { 16, 16, 1 }, width = 48, depth = 2, classes = 3, dropout = dropout })
end

local process = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "v", clip = 1 }
local classes = { 1, 2, 3, 0, 1, 2, 3, 3, 1 }

-- The loss, every gradient, and every value and average after the step.
local function training_step(network)
  d.manual_seed(11)
  local model, out = network(0.1), {}
  local ema = d.ema(model, { decay = 0.9 })
  local opt = d.adamw(model, { lr = 1e-3, clip = 1, ema = ema })
  local objective = d.objective { process = process, drop_class = 0.2 }
  local x0 = d.rand(9, 16, 16, 1) * 2 - 1
  local loss = d.record(objective, model, x0, { class = classes })
  loss:backward()
  out[1] = { "loss", loss:detach() }
  for name, p in model:parameters() do
    out[#out + 1] = { "gradient of " .. name, p.grad:clone() }
  end
  opt:step()
  for name, p in model:parameters() do out[#out + 1] = { name, p:detach() } end
  for name, x in pairs(ema:state()) do out[#out + 1] = { "average of " .. name, x } end
  return out
end

local function sampling()
  d.manual_seed(12)
  local model, out = unet(0), {}
  for i, name in ipairs { "ddpm", "dpmpp_2m" } do
    out[i] = { name, d.sample { model = model, process = process, shape = { 9, 16, 16, 1 },
      sampler = name, steps = 3, class = classes, guidance = 2, seed = 3 } }
  end
  return out
end

local function by_name(list)
  local out = {}
  for _, row in ipairs(list) do out[row[1]] = row[2] end
  return out
end

-- Runs f in each instruction set, and in the best at each precision.
local function everywhere(f)
  local function at(isa, precision)
    core.isa(isa)
    d.precision(precision)
    f(("%s, %s"):format(isa, precision))
  end
  for _, isa in ipairs(all_isas) do at(isa, "high") end
  for _, precision in ipairs { "highest", "medium" } do at(best, precision) end
end

local function same_on_threads(make, where)
  d.threads(1)
  local expected = by_name(make())
  for threads = 2, 3 do
    d.threads(threads)
    shared.surely(function()
      for _, row in ipairs(make()) do
        assert(row[2]:equal(expected[row[1]]),
          ("%s has other bits with %d threads (%s)"):format(row[1], threads, where))
      end
    end)
  end
end

describe("the same bits", function()
  local threads, precision = d.threads(), d.precision()
  after_each(function()
    core.isa(best)
    d.precision(precision)
    d.threads(threads)
  end)

  for name, network in pairs { unet = unet, dit = dit } do
    it(("come of a training step of d.%s on 1, 2 and 3 threads"):format(name), function()
      everywhere(function(where) same_on_threads(function() return training_step(network) end, where) end)
    end)
  end

  it("come of sampling on 1, 2 and 3 threads", function()
    everywhere(function(where) same_on_threads(sampling, where) end)
  end)

  -- f of inputs whose first dimension is the samples'
  local function alone_or_not(name, f, ...)
    local inputs = { ... }
    it(("come of %s for a sample alone or in a batch"):format(name), function()
      everywhere(function(where)
        local batch = f(table.unpack(inputs))
        for _, k in ipairs { 1, 2, inputs[1]:size(1) } do
          local alone = {}
          for i, x in ipairs(inputs) do alone[i] = x:narrow(1, k, 1) end
          assert(batch:narrow(1, k, 1):equal(f(table.unpack(alone))),
            ("sample %d of %s has other bits in a batch (%s)"):format(k, name, where))
        end
      end)
    end)
  end

  d.manual_seed(5)
  local images = d.randn(5, 16, 16, 1)
  local model = unet(0.1)
  alone_or_not("the UNet", function(x, t, class) return model(x, t, { class = class }) end, images,
    d.tensor { 1, 7, 50, 99, 100 }, d.tensor({ 1, 2, 3, 0, 1 }, { dtype = "i64" }))
  local patches = dit(0.1)
  alone_or_not("the DiT", function(x, t, class) return patches(x, t, { class = class }) end, images,
    d.tensor { 1, 7, 50, 99, 100 }, d.tensor({ 1, 2, 3, 0, 1 }, { dtype = "i64" }))
  local points = stirred(d.mlp { dim = 2, hidden = 96, depth = 3 })
  alone_or_not("the MLP", function(x, t) return points(x, t) end, d.randn(300, 2), d.rand(300) * 99 + 1)

  local w = { conv = d.randn(40, 3, 3, 24), one = d.randn(40, 1, 1, 24), linear = d.randn(50, 24),
              scale = d.randn(24), shift = d.randn(24) }
  local maps, rows, tokens = d.randn(5, 14, 14, 24), d.randn(300, 24), d.randn(5, 70, 24)
  alone_or_not("conv2d", function(x) return ops.conv2d(x, w.conv, nil, { pad = 1 }) end, maps)
  alone_or_not("conv2d, stride 2", function(x) return ops.conv2d(x, w.conv, nil, { pad = 1, stride = 2 }) end,
    maps)
  alone_or_not("conv2d, 1 x 1", function(x) return ops.conv2d(x, w.one) end, maps)
  alone_or_not("linear on rows", function(x) return ops.linear(x, w.linear) end, rows)
  alone_or_not("linear on tokens", function(x) return ops.linear(x, w.linear) end, tokens)
  alone_or_not("group norm", function(x)
    return ops.group_norm(x, w.scale, w.shift, { groups = 4, silu = true })
  end, maps)
  alone_or_not("layer norm", function(x) return ops.layer_norm(x, w.scale, w.shift) end, tokens)
  alone_or_not("attention", function(q, k, v) return ops.attention(q, k, v, { heads = 3 }) end, tokens,
    d.randn(5, 70, 24), d.randn(5, 70, 24))
  alone_or_not("attention with masks", function(q, k, v, mask)
    return ops.attention(q, k, v, { heads = 3, causal = true, mask = mask })
  end, tokens, d.randn(5, 50, 24), d.randn(5, 50, 24), d.randn(5, 70, 50))
  alone_or_not("softmax", function(x) return x:softmax(2) end, rows)
end)

-- The CPUs that each thread of this process may use, as Linux lists them.
local function allowed()
  local f = io.open "/proc/self/stat"
  if not f then return {} end
  local pid, out = f:read "n", {}
  f:close()
  local lines = io.popen(("cat /proc/%d/task/*/status"):format(pid))
  for line in lines:lines() do out[#out + 1] = line:match "^Cpus_allowed_list:%s*(.+)" end
  lines:close()
  return out
end

-- A worker that wakes on the CPU of the thread that woke it leaves that CPU (base/pool.c).
describe("the threads", function()
  it("may use the same CPUs after many naps as before", function()
    local before, x = d.threads(), d.randn(1 << 20)
    d.threads(2)
    local first = allowed()[1]
    for _ = 1, 30 do
      for _ = 1, 3 do x:exp() end
      for _ = 1, 1e5 do end -- longer than a worker spins
    end
    for _, list in ipairs(allowed()) do assert.equal(first, list) end
    d.threads(before)
  end)
end)

--- Work that passes over memory once: random numbers, noising, a batch of a set, the
-- optimiser.
local d = require "diffusion"
local network = require "ours.network"

local passes = {}

function passes.randn(w)
  return function() d.scope(function() d.randn(w.n) end) end
end

function passes.noising(w)
  local process = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "eps" }
  local x0, t = d.randn(w.batch, w.n // w.batch), d.randint(1, 1000, { w.batch })
  return function() d.scope(function() process:q_sample(x0, t) end) end
end

function passes.gather(w)
  local images = d.randint(0, 255, { w.n, 28, 28, 1 }):to "u8"
  local set = d.data.set { x = images, class = d.randint(1, 10, { w.n }) }
  local batches = set:batches { size = w.batch, epochs = 1000000 }
  return function() d.scope(function() batches() end) end
end

function passes.adamw(w)
  local model = network.make(w)
  local opt = d.adamw(model, { lr = 1e-4, clip = 1, ema = d.ema(model, { decay = 0.9995 }) })
  d.record(function() return model(d.randn(network.shape(w, 1)), 500):square():mean() end):backward()
  return function() opt:step { zero = false } end
end

return function(w)
  w.n = math.tointeger(w.n)
  return { step = passes[w.pass](w) }
end

-- Measures the cost of guidance by a gradient, compared with the model alone and with a
-- recorded pass and its backward pass for the parameters. It uses the network of `make
-- demo` at 32 x 28 x 28 x 1 and one four times as wide at 8 images, each with a
-- classifier of half its width. d.grad computes no gradient of a weight. A layer has
-- three products: its own, the gradient of x, and the gradient of the weight. Guidance
-- adds one product of each layer of the denoiser, and two of a network next to it.
-- lua5.4 spec/bench/guidance.lua
local d = require "diffusion"
local core = require "diffusion.core"

local rounds = 60
local process = d.process { schedule = d.schedule.cosine {}, predict = "v" }

local function network(channels)
  local net = d.unet { image = { 28, 28, 1 }, channels = channels, mult = { 1, 2, 2 }, blocks = 1, attention = { 4 },
                       classes = 10, groups = 8 }
  for _, p in net:parameters() do p:copy_(d.randn(p:shape()) * 0.05) end
  return net
end

local function square(x0) return x0:square():sum { 2, 3, 4 } end

local function works_of(channels, batch)
  d.manual_seed(1)
  local model, half = network(channels), network(channels // 2)
  local x, given = d.randn(batch, 28, 28, 1), { class = d.full({ batch }, 3, { dtype = "i64" }) }
  local function energy(xt, t) return half(xt, t, given):square():sum { 2, 3, 4 } end
  local function answer(of)
    return function() d.no_grad(d.scope, of, x, 500, given) end
  end
  return {
    answer(model),
    function() d.record(function() return model(x, 500, given):square():sum() end):backward() end,
    answer(d.guidance.gradient(model, process, square, { of = "x0", scale = 0.1 })),
    answer(d.guidance.gradient(model, process, energy, { scale = 0.1 })),
  }
end

-- The least time of each in ms, by turns; and the most memory beyond what is there, in MiB.
local function measure(works)
  local best, memory = {}, {}
  for round = 0, rounds do
    for i, work in ipairs(works) do
      collectgarbage()
      core.memory_reset_peak()
      local live, start = core.memory().live, core.clock()
      work()
      local took = (core.clock() - start) * 1000
      best[i] = round > 0 and math.min(best[i] or math.huge, took) or nil
      memory[i] = (core.memory().peak - live) / 2 ^ 20
    end
  end
  return best, memory
end

for _, case in ipairs { { 16, 32 }, { 64, 8 } } do
  local best, memory = measure(works_of(table.unpack(case)))
  local function row(name, ms, mib)
    print(("%-42s %8.1f ms %5.2f of the pass %8.1f MiB"):format(name, ms, ms / best[2], mib))
  end
  print(("%d channels, %d images"):format(table.unpack(case)))
  row("the model's answer", best[1], memory[1])
  row("its recorded pass and the way back", best[2], memory[2])
  row("an energy of x0, through the model, adds", best[3] - best[1], memory[3])
  row("an energy of x_t by the half network adds", best[4] - best[1], memory[4])
end

-- Lesson 11: flow matching and reflow. Straight lines connect data and noise. A network learns
-- their mean velocity at each point. Reflow trains a second network on pairs that the first one
-- produced. Their lines rarely cross, so one step is enough.
-- Run: lua5.4 examples/11_flow_matching.lua     Writes flow.png.
local d = require "diffusion"

d.manual_seed(1)
local process = d.process { schedule = d.schedule.flow { T = 1000 }, predict = "flow" }
local objective = d.objective { process = process, weighting = "uniform" }
local truth = d.data.toy.moons(2000, { seed = 9 }).x

-- On the line x_t = (1 - w) x_0 + w eps, w = t/T, the velocity is eps - x_0. The network predicts it.
local function train(net, set)
  local ema = d.ema(net, { decay = 0.995 })
  local lr = d.lr.warmup_cosine { peak = 3e-3, warmup = 100, total = 1200 }
  d.trainer { model = net, objective = objective, opt = d.adamw(net, { lr = lr, clip = 1, ema = ema }), ema = ema,
              batches = set:batches { size = 256, steps = 1200, seed = 1 }, quiet = true }:run()
  return ema
end

local function run(model, n, steps)
  return d.sampler.steps { model = model, process = process, shape = { n, 2 }, sampler = "flow_euler",
                           steps = steps, seed = 2 }
end

-- Measures how curved trajectories are: the mean of |velocity - (eps - x_0)|^2 along them, with x_0
-- their end (S of Liu et al. 2023). It is 0 for straight lines at constant speed.
local function bend(model)
  local trajectory = run(model, 1000, 50)
  local xs, sum = { trajectory.x }, 0
  for step in trajectory do xs[#xs + 1] = step.x end
  for k = 1, 50 do
    sum = sum + ((xs[k] - xs[k + 1]) * 50 - (xs[1] - xs[51])):square():sum(2):mean():item()
  end
  return sum / 50
end

print "energy distance of 1,000 samples from moons (about 0.002 for fresh samples)"
print "Euler steps       1        2        4        8       50     bend"
local function row(name, model)
  io.write(("%-10s"):format(name))
  for _, steps in ipairs { 1, 2, 4, 8, 50 } do
    io.write(("%9.4f"):format(d.metric.energy(run(model, 1000, steps):finish(), truth)))
  end
  print(("%9.4f"):format(bend(model)))
end

-- The second run starts from the first's weights. It trains on noise and on the samples that the
-- first network draws from that noise.
local net = d.mlp { dim = 2, hidden = 128, depth = 3 }
local first = train(net, d.data.toy.moons(10000))
row("flow", first)
local second = train(net, d.reflow(first, process, { shape = { 10000, 2 }, steps = 16, seed = 3 }))
row("reflow", second)
d.plot.trajectories({ { "flow: 100 trajectories, 50 steps", run(first, 100, 50) }, { "reflow", run(second, 100, 50) } },
                    { data = truth, count = 100, file = "flow.png", width = 1100, height = 600 })

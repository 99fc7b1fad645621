-- Lesson 2: train a denoiser for points in the plane in seconds.
-- Run: lua5.4 examples/02_swiss_roll.lua     Writes swiss_roll.png and reverse_roll.png.
local d = require "diffusion"

d.manual_seed(1)
local points = d.data.toy.swiss_roll(10000) -- {10000, 2}, unit variance
local process = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "eps" }
local model = d.mlp { dim = 2, hidden = 128, depth = 4 }
local ema = d.ema(model, { decay = 0.999 })
local opt = d.adamw(model, { lr = d.lr.warmup_cosine { peak = 2e-3, warmup = 100, total = 4000 },
                             clip = 1, ema = ema })
local objective = d.objective { process = process }

-- A network that always predicts 0 has a loss of 1, the variance of eps. The best linear
-- network has the loss of Gaussian data with the same covariance.
print(("loss of a linear denoiser: %.4f"):format(objective:floor { data = points }))
local sum, count = 0, 0
for step, x0 in points:batches { size = 256, steps = 4000 } do
  local loss = d.record(objective, model, x0)
  loss:backward()
  opt:step()
  sum, count = sum + loss:item(), count + 1
  if step % 500 == 0 then
    print(("step %4d   loss %.4f"):format(step, sum / count))
    sum, count = 0, 0
  end
end

-- Sample, and keep some of the points in between.
local run = d.sampler.steps { model = ema, process = process, shape = { 2000, 2 },
                              sampler = "ddim", steps = 50, seed = 2 }
local frames = { { "t = 200", run.x } }
for step in run do
  if step.s == 120 or step.s == 60 or step.s == 20 then
    frames[#frames + 1] = { "t = " .. step.s, step.x }
  end
end
frames[#frames + 1] = { "samples", run.x }

d.plot.points(frames, { file = "reverse_roll.png", width = 1500, height = 340 })
d.plot.points({ { "data", points.x:narrow(1, 1, 2000) }, { "model", run.x } },
              { file = "swiss_roll.png", width = 900, height = 480 })

-- The distance of the samples from the data. Fresh data gives the smallest distance that
-- 2,000 points can show.
print(("energy distance: samples %.4f, fresh data %.4f, noise %.4f"):format(
  d.metric.energy(run.x, points.x),
  d.metric.energy(d.data.toy.swiss_roll(2000, { seed = 9 }).x, points.x),
  d.metric.energy(d.randn(2000, 2), points.x)))

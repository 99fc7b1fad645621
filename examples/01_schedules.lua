-- Lesson 1: schedules and the forward process. An image is turned into noise, step by step
-- and in closed form. The schedule decides how fast.
-- Run: lua5.4 examples/01_schedules.lua     Writes schedules.png and forward.png.
local d = require "diffusion"

-- A schedule gives the amount of signal a_t and of noise s_t at step t:
--   x_t = a_t x_0 + s_t eps,  eps standard normal.                 (Ho et al. 2020, eq. 4)
local linear = d.schedule.linear { T = 1000 }
local cosine = d.schedule.cosine { T = 1000 }
print(linear)
print(cosine)

for _, t in ipairs { 1, 250, 500, 750, 1000 } do
  print(("t = %4d   linear: signal %.4f noise %.4f   cosine: signal %.4f noise %.4f"):format(
    t, linear:signal(t), linear:noise(t), cosine:signal(t), cosine:noise(t)))
end
d.plot.schedules({ linear, cosine }, { what = "alpha_bar", file = "schedules.png" })

-- One digit at nine levels, each drawn in closed form from q(x_t | x_0).
local process = d.process { schedule = linear }
local digit = d.image.to_float(d.data.digits().x:narrow(1, 5, 1)) -- [1,8,8,1] in [-1, 1]
local levels = { 1, 50, 100, 200, 300, 450, 600, 800, 1000 }
local noised = process:q_sample(digit:expand(#levels, 8, 8, 1), levels, { seed = 1 })

-- The same process in small steps, q(x_t | x_{t-1}). Single images differ because their noise
-- does, but the distribution is the same. This compares its moments over 2,000 chains.
local chains = digit:expand(2000, 8, 8, 1)
d.manual_seed(1)
for t, xt in process:chain(chains) do
  if t == 500 then chains = xt break end
end
local mean, variance = process:q_moments(digit, 500)
print(("at t = 500, step by step: variance %.4f, in closed form %.4f"):format(
  (chains - mean):square():mean():item(), variance))
print(("  error of the mean: %.4f (root mean square over pixels); expected by chance: %.4f"):format(
  (chains:mean(1, true) - mean):square():mean():sqrt():item(), math.sqrt(variance / 2000)))

d.image.save("forward.png", d.image.grid(noised, { columns = #levels, scale = 8 }))
d.image.show(noised, { columns = #levels })

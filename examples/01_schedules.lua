-- Lesson 1: schedules and the forward process. How a picture turns into noise, step by
-- step and in one leap, and what a schedule decides about it.
-- Run: lua5.4 examples/01_schedules.lua     Writes schedules.png and forward.png.
local d = require "diffusion"

-- A schedule says how much signal a_t and how much noise s_t there is at step t:
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

-- One digit at nine levels, in one leap each: q(x_t | x_0).
local process = d.process { schedule = linear }
local digit = d.image.to_float(d.data.digits().x:narrow(1, 5, 1)) -- [1,8,8,1] in [-1, 1]
local levels = { 1, 50, 100, 200, 300, 450, 600, 800, 1000 }
local leaps = process:q_sample(digit:expand(#levels, 8, 8, 1), levels, { seed = 1 })

-- The same road walked: q(x_t | x_{t-1}), a thousand small steps. The pictures differ (the
-- noise does), the distribution is the same; here are its moments over 2,000 walkers.
local walkers = digit:expand(2000, 8, 8, 1)
d.manual_seed(1)
for t, xt in process:chain(walkers) do
  if t == 500 then walkers = xt break end
end
local mean, variance = process:q_moments(digit, 500)
print(("walked to t = 500: variance %.4f, in one leap %.4f"):format(
  (walkers - mean):square():mean():item(), variance))
print(("  the walkers' mean is off by %.4f (root mean square over pixels), by chance about %.4f"):format(
  (walkers:mean(1, true) - mean):square():mean():sqrt():item(), math.sqrt(variance / 2000)))

d.image.save("forward.png", d.image.grid(leaps, { columns = #levels, scale = 8 }))
d.image.show(leaps, { columns = #levels })

-- Lesson 9: likelihood. How many nats per point, or bits per pixel, does a model need? For a
-- known distribution the minimum is its entropy. For images there are a bound and a density.
-- Run: lua5.4 examples/09_likelihood.lua     Writes likelihood.png.
local d = require "diffusion"

-- The ODE maps data to a Gaussian, and its divergence gives the change of volume. So every point
-- has a density. With the exact denoiser the mean of -ln p is the entropy, up to its standard
-- error (+-). The flow schedule ends in pure noise.
local process = d.process { schedule = d.schedule.flow {}, predict = "x0" }
print "                            -ln p of 400 points           entropy"
local function toy(name, oracle)
  local x = oracle:sample(400, { seed = 1 })
  local r = d.likelihood.ode(oracle:denoiser(process), process, x, { from = 3, atol = 1e-3, rtol = 1e-3 })
  print(("%-24s %9.4f +- %.4f nats    %9.4f"):format(name, r.mean, r.error, (oracle:entropy())))
end
toy("gaussian", d.oracle.gaussian { mean = { 1, -1 }, cov = { { 1, 0.3 }, { 0.3, 0.5 } } })
toy("eight gaussians, R = 2", d.oracle.eight_gaussians { radius = 2, std = 0.1 })
toy("eight gaussians", d.oracle.eight_gaussians {})
toy("moons", d.oracle.moons {})
toy("swiss roll", d.oracle.swiss_roll {})
toy("spiral", d.oracle.spiral {})
toy("checkerboard with noise", d.oracle.checkerboard { noise = 0.1 })
toy("checkerboard, area 32", d.oracle.checkerboard { size = 8 })

-- A trained network and images: the bound, in bits per pixel of 256 levels. Each of 100
-- images draws one t from each of 100 ranges.
local model, trained = d.load_model "digits"
local set = d.data.digits()
local x0, class = d.image.to_float(set.x:narrow(1, 1, 100)), set.class:narrow(1, 1, 100)
local series = {}
for _, variance in ipairs { "fixed_small", "fixed_large" } do
  local own = d.process { schedule = trained.schedule, predict = trained.predict, variance = variance }
  local bound = d.likelihood.vlb(model, own, x0, { t = 100, seed = 1, class = class })
  print(("\nvariance %s, %s"):format(variance, bound))
  local noise, bits = {}, {}
  for k, term in ipairs(bound.terms) do noise[k], bits[k] = -own.schedule:log_snr(term.t), term.value end
  series[#series + 1] = { variance, bits, noise }
end
d.plot.lines(series, { file = "likelihood.png", width = 900, logy = true, xlabel = "-ln SNR", ylabel = "bits per pixel",
                       title = "Terms of the bound at each step, 100 digits" })

-- The density of the same network, by the ODE. Discrete levels would have infinite density, so
-- uniform noise of one level is added, and log2(127.5) bits account for the width of a level.
local few = class:narrow(1, 1, 50)
print(d.likelihood.ode(model, trained, x0:narrow(1, 1, 50), { dequantise = true, divergence = "hutchinson", seed = 1,
                                                               atol = 1e-3, rtol = 1e-3, class = few }))

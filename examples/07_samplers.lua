-- Lesson 7: compare samplers on a known distribution. Its exact denoiser replaces the
-- network, so the remaining error is that of the sampler.
-- Run: lua5.4 examples/07_samplers.lua     Writes samplers.png and trajectories.png.
local d = require "diffusion"

-- Samplers that add no noise solve an ordinary differential equation. From the same x_T all
-- should end at the same x_0. This measures their error for three Gaussians, with steps
-- uniform in ln sigma.
local mixture = d.oracle.mixture { means = { { -1.2, 0.4 }, { 0.6, 1.1 }, { 0.9, -0.9 } }, std = 0.25 }
local series = {}
local function measure(name, sampler)
  local order, rows = d.check.order(sampler, mixture, { steps = { 6, 12, 24, 48, 96 }, samples = 32,
                                                        exact = 200, quiet = true })
  local last = rows[#rows]
  print(("%-16s %4d evaluations: error %.1e, decreasing as 1/steps^%.1f"):format(name, last[4], last[2], order))
  series[#series + 1] = { name, rows } -- rows {steps, error, order, evaluations}
end
for _, name in ipairs { "euler", "heun", "dpm2", "dpm_solver", "dpmpp_2m", "dpmpp_3m", "deis", "lms", "unipc" } do
  measure(name, name)
end
measure("unipc, order 3", { "unipc", order = 3 })
d.plot.order(series, { file = "samplers.png", width = 900,
                       title = "Error against evaluations, for three Gaussians in the plane" })

-- In practice the distribution matters. This compares the distance of samples from fresh data
-- for equal numbers of evaluations. Noise corrects earlier errors, but ddpm needs many steps.
local moons = d.oracle.moons {}
local process = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "x0" }
local model, truth = moons:denoiser(process), moons:sample(1000, { seed = 5 })
local function run(sampler, n, steps)
  return d.sampler.steps { model = model, process = process, shape = { n, 2 }, sampler = sampler,
                           steps = steps, seed = 2 }
end

print "\nenergy distance of 1,000 samples from moons (about 0.002 for fresh samples)"
print "evaluations             6       12       24       48"
for _, row in ipairs { { "ddim", 1 }, { "heun", 2 }, { "dpm_solver", 3 }, { "dpmpp_2m", 1 }, { "unipc", 1 },
                       { "ddpm", 1 }, { "dpmpp_2m_sde", 1 } } do
  local name, evaluations_a_step = row[1], row[2]
  io.write(("%-16s"):format(name))
  for _, evaluations in ipairs { 6, 12, 24, 48 } do
    local x = run(name, 1000, evaluations // evaluations_a_step):finish()
    io.write(("%9.4f"):format(d.metric.energy(x, truth)))
  end
  print()
end

-- Trajectories are smooth without noise, and each x_T has its own end. With noise they
-- wander.
d.plot.trajectories({ { "unipc: 60 trajectories without noise", run("unipc", 60, 50) },
                      { "dpmpp_2m_sde: 4 trajectories with noise in every step", run("dpmpp_2m_sde", 4, 50) } },
                    { data = truth, count = 60, file = "trajectories.png", width = 1100, height = 600 })

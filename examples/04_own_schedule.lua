-- Lesson 4: write your own schedule as a function. It is checked, printed and measured like
-- the named schedules.
-- Run: lua5.4 examples/04_own_schedule.lua     Writes own_schedule.png.
local d = require "diffusion"
local S = d.schedule

-- Give alpha_bar(u) with u = t/T in (0, 1]. Other sources are beta, log_snr and sigma, each
-- as a function or a list.
local cubic = S.from_alpha_bar(function(u) return (1 - u) ^ 3 end,
                               { T = 500, name = "cubic", max_beta = 0.999 })
local straight = S.from_log_snr(function(u) return 10 - 20 * u end, { T = 500, name = "straight log snr" })
local cosine = S.cosine { T = 500 }
for _, s in ipairs { cubic, straight, cosine } do print(s) end
d.plot.schedules({ cubic, straight, cosine }, { what = "log_snr", file = "own_schedule.png" })

-- An invalid schedule raises an error that names the wrong step.
print(select(2, pcall(S.from_alpha_bar, function(u) return math.cos(5 * u) ^ 2 end, { T = 500 })))

-- Compare schedules without training. The exact denoiser of a known distribution replaces
-- the network, so the only error is that of the DDIM steps.
local oracle = d.oracle.mixture { means = { { -1 }, { 1 } }, std = 0.2 }
local truth = oracle:sample(20000, { seed = 5 })
print("distance of two fresh sets:", d.metric.wasserstein1(oracle:sample(20000, { seed = 6 }), truth))
for _, s in ipairs { cubic, straight, cosine } do
  local p = d.process { schedule = s, predict = "x0" }
  for _, steps in ipairs { 5, 20, 80 } do
    local x = d.sample { model = oracle:denoiser(p), process = p, shape = { 20000, 1 },
                         sampler = "ddim", steps = steps, seed = 4 }
    print(("%-18s %3d steps   distance %.4f"):format(s.name, steps, d.metric.wasserstein1(x, truth)))
  end
end

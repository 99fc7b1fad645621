-- Lesson 4: a schedule of your own is a function. It is checked, printed and measured like
-- the named ones.
-- Run: lua5.4 examples/04_own_schedule.lua     Writes own_schedule.png.
local d = require "diffusion"
local S = d.schedule

-- From alpha_bar(u), u = t/T in (0, 1]; or from beta, log_snr or sigma, by function or list.
local cubic = S.from_alpha_bar(function(u) return (1 - u) ^ 3 end,
                               { T = 500, name = "cubic", max_beta = 0.999 })
local straight = S.from_log_snr(function(u) return 10 - 20 * u end, { T = 500, name = "straight log snr" })
local cosine = S.cosine { T = 500 }
for _, s in ipairs { cubic, straight, cosine } do print(s) end
d.plot.schedules({ cubic, straight, cosine }, { what = "log_snr", file = "own_schedule.png" })

-- A schedule that can't be one is refused, with the step that is wrong.
print(select(2, pcall(S.from_alpha_bar, function(u) return math.cos(5 * u) ^ 2 end, { T = 500 })))

-- What a schedule costs without training anything: the exact denoiser of a known
-- distribution stands in for the network, and twenty steps of DDIM make the only error.
local oracle = d.oracle.mixture { means = { { -1 }, { 1 } }, std = 0.2 }
local truth = oracle:sample(20000, { seed = 5 })
print("two fresh sets differ by", d.metric.wasserstein1(oracle:sample(20000, { seed = 6 }), truth))
for _, s in ipairs { cubic, straight, cosine } do
  local p = d.process { schedule = s, predict = "x0" }
  for _, steps in ipairs { 5, 20, 80 } do
    local x = d.sample { model = oracle:denoiser(p), process = p, shape = { 20000, 1 },
                         sampler = "ddim", steps = steps, seed = 4 }
    print(("%-18s %3d steps   distance %.4f"):format(s.name, steps, d.metric.wasserstein1(x, truth)))
  end
end

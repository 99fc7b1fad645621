-- Measures the cost of each sampler without the model: fifty steps on 64 x 28 x 28 x 1
-- with a model that returns at once. The target x0 needs no conversion; eps costs one
-- more pass. Costs are also shown in passes over x; a mix of two tensors is one pass.
-- lua5.4 spec/bench/samplers.lua [quick]
local d = require "diffusion"
local core = require "diffusion.core"
local families = require "diffusion.sampler.families"

local quick = arg[1] == "quick"
local shape, steps, rounds = quick and { 2, 4, 4, 1 } or { 64, 28, 28, 1 }, quick and 6 or 50, quick and 1 or 7
local process = d.process { schedule = d.schedule.vp { T = 1000 }, predict = "x0" }
local flow = d.process { schedule = d.schedule.flow { T = 1000 }, predict = "x0" }
local answer = d.randn(shape, { seed = 1 })

-- The least of a few times, in seconds.
local function least(work)
  local best = math.huge
  for _ = 1, rounds do
    local start = core.clock()
    work()
    best = math.min(best, core.clock() - start)
  end
  return best
end

local function run_of(name)
  local _, solver = families.resolve(name)
  local up = solver.upward
  return d.sampler.steps { model = function() return answer end, process = name:find "^flow" and flow or process,
                           init = up and answer or nil, shape = not up and shape or nil, sampler = name,
                           steps = steps, seed = 2 }
end

local pass = least(function()
  d.scope(function() for _ = 1, 100 do d.mix(0.6, answer, 0.8, answer) end end)
end) / 100
print(("a pass, 0.6 x + 0.8 y: %.4f ms"):format(pass * 1000))
print(("%-20s %12s %10s %12s"):format("sampler", "ms a step", "in passes", "evaluations"))
for _, name in ipairs(d.sampler.names()) do
  local run
  local time = least(function()
    run = run_of(name)
    run:finish()
  end) / steps
  print(("%-20s %12.4f %10.1f %12d"):format(name, time * 1000, time / pass, run.evaluations))
end

--- Samplers held against theory: the order at which one converges, measured on a
--- distribution whose best denoiser is known.
local core = require "diffusion.core"
local families = require "diffusion.sampler"
local gradient = require "diffusion.gradient"
local opts = require "diffusion.opts"

local check = {}

local rules = {
  process = { "process" },
  from = { "number", default = 20, above = 0 },
  to = { "number", default = 0.02, above = 0 },
  steps = { "table", default = { 80, 160, 320, 640 } },
  samples = { "integer", default = 64, min = 1 },
  exact = { "integer", default = 4000, min = 10 },
  quiet = { "boolean", default = false },
}

-- Levels whose lambda = -ln sigma is uniform.
local function levels(schedule, o, N)
  local times = {}
  for i = 0, N do
    times[i + 1] = schedule:level_of_sigma(o.from * (o.to / o.from) ^ (i / N))
  end
  return times
end

-- The probability-flow ODE in y = x/a over ln sigma, dy/dln sigma = y - D(y): Runge's and
-- Kutta's fourth-order steps, so fine that they stand for the truth.
local function exact_end(oracle, x, o)
  local h = math.log(o.to / o.from) / o.exact
  local function slope(y, ln_sigma) return y - oracle:posterior_mean(y, 1, math.exp(ln_sigma)) end
  local y, at = x, math.log(o.from)
  for _ = 1, o.exact do
    y = gradient.scope(function()
      local k1 = slope(y, at)
      local k2 = slope(y + k1 * (h / 2), at + h / 2)
      local k3 = slope(y + k2 * (h / 2), at + h / 2)
      local k4 = slope(y + k3 * h, at + h)
      return y + (k1 + 2 * k2 + 2 * k3 + k4) * (h / 6)
    end)
    at = at + h
  end
  return y
end

-- Where the sampler ends, as y = x/a, from y at the first level.
local function sampled_end(name, oracle, process, y, o, N)
  local schedule, times = process.schedule, levels(process.schedule, o, N)
  local model = oracle:denoiser(process)
  local function denoise(x, t) return process:estimate(model(x, t), x, t) end
  local step = families.step(name, denoise, process, { mix = core.ops.mix })
  local x, history = y * schedule:signal(times[1]), {}
  for i = 1, N do x = step(x, { i = i, t = times[i], s = times[i + 1] }, history) end
  return x / schedule:signal(times[N + 1])
end

--- How fast a deterministic sampler's error falls with the number of steps, uniform in
--- ln sigma: prints a table, and returns the order seen between the last two.
---@param sampler string|function|table as of d.sample
---@param oracle any a distribution of d.oracle
---@param options table? {process = cosine of 1000 steps, predicting x0, from = 20, to = 0.02
---  (sigma), steps = {80, 160, 320, 640}, samples = 64, exact = 4000 (steps of the reference),
---  quiet = false}. In float the errors end at some 1e-6: DIFFUSION_PRECISION=double goes on
---@return number order
---@return table rows { {steps, error, order}, ... }: error is the root mean square
function check.order(sampler, oracle, options)
  local o = opts.check("order", options, rules, 3)
  local process = o.process or require("diffusion.process").process {
    schedule = require("diffusion.schedule").schedule.cosine { T = 1000 }, predict = "x0" }
  local y = core.randn({ o.samples, oracle.D }, { seed = 1 }) * o.from
  return gradient.no_grad(function()
    local truth, rows = exact_end(oracle, y, o), {}
    if not o.quiet then print(("%8s %12s %8s"):format("steps", "error", "order")) end
    for i, N in ipairs(o.steps) do
      local gap = (sampled_end(sampler, oracle, process, y, o, N) - truth):square():mean():item() ^ 0.5
      local order = i > 1 and math.log(rows[i - 1][2] / gap) / math.log(N / o.steps[i - 1]) or nil
      rows[i] = { N, gap, order }
      if not o.quiet then print(("%8d %12.3e %8s"):format(N, gap, order and ("%.2f"):format(order) or "")) end
    end
    return rows[#rows][3], rows
  end)
end

return check

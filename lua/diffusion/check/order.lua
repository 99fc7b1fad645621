--- The order at which a sampler converges, measured on a distribution whose best denoiser is
--- known.
local core = require "diffusion.core"
local families = require "diffusion.sampler.families"
local gradient = require "diffusion.gradient"
local opts = require "diffusion.opts"

local rules = {
  process = { "process" },
  from = { "number", default = 20, above = 0 },
  to = { "number", default = 0.02, above = 0 },
  steps = { "table", default = { 80, 160, 320, 640 } },
  samples = { "integer", default = 64, min = 1 },
  start = { "integer", default = 0, min = 0 },
  exact = { "integer", default = 500, min = 10 },
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

-- The probability-flow ODE in y = x/a over ln sigma, dy/dln sigma = y - D(y), by Runge's and
-- Kutta's steps of fourth order.
local function kutta(oracle, y, from, to, n)
  local h, at = math.log(to / from) / n, math.log(from)
  local function slope(z, ln_sigma) return z - oracle:posterior_mean(z, 1, math.exp(ln_sigma)) end
  for _ = 1, n do
    y = gradient.scope(function()
      local k1 = slope(y, at)
      local k2 = slope(y + k1 * (h / 2), at + h / 2)
      local k3 = slope(y + k2 * (h / 2), at + h / 2)
      local k4 = slope(y + k3 * h, at + h)
      return core.ops.mix(1, y, h / 6, k1, h / 3, k2, h / 3, k3, h / 6, k4)
    end)
    at = at + h
  end
  return y
end

-- The same in so many steps, and twice as many, that what is left of both (Richardson: h^4
-- cancels) stands for the truth.
local function exact(oracle, y, from, to, n)
  if from == to then return y end
  return core.ops.mix(16 / 15, kutta(oracle, y, from, to, 2 * n), -1 / 15, kutta(oracle, y, from, to, n))
end

-- The arithmetic of a sampler that adds no noise: with it, it ends elsewhere each time.
local function without_noise(own)
  local function mix_no_noise(sigma, ...)
    if sigma == 0 then return core.ops.mix(...) end
    opts.fail "order: this sampler adds noise, so it has no end of its own to be held against; d.check.moments has"
  end
  own.mix, own.mix_noise = core.ops.mix, mix_no_noise
  function own.mix_path(sigma, _, _, _, ...) return mix_no_noise(sigma, ...) end
end

-- Where the sampler ends, as y = x/a, from y at the first level, and how often it asked.
-- Its first `start` steps are fed the truth: they only fill its history.
local function sampled_end(sampler, oracle, process, y, o, N)
  local schedule, times, asked = process.schedule, levels(process.schedule, o, N), 0
  local model, history = oracle:denoiser(process), {}
  local _, solver, own = families.resolve(sampler)
  local function denoise(x, t)
    asked = asked + 1
    return process:estimate(model(x, t), x, t)
  end
  without_noise(own)
  local step, x = solver.make(denoise, process, own), nil
  for i = 1, N do
    if i <= o.start + 1 then
      x = exact(oracle, y, schedule:sigma(times[1]), schedule:sigma(times[i]), o.exact // 10)
      x = x * schedule:signal(times[i])
    end
    x = step(x, { i = i, n = N, t = times[i], s = times[i + 1] }, history)
  end
  return x / schedule:signal(times[N + 1]), asked
end

local function print_row(N, asked, gap, order)
  print(("%8d %12d %12.3e %8s"):format(N, asked, gap, order and ("%.2f"):format(order) or ""))
end

-- Below this the errors are those of rounding.
local function rounding(truth)
  return (core.real == "f64" and 1e-13 or 2e-6) * truth:square():mean():item() ^ 0.5
end

-- The table's rows, and the last order that rounding didn't touch.
local function measured(sampler, oracle, process, y, o)
  local truth = exact(oracle, y, o.from, o.to, o.exact)
  local least, rows, last = rounding(truth), {}, nil
  if not o.quiet then print(("%8s %12s %12s %8s"):format("steps", "evaluations", "error", "order")) end
  for i, N in ipairs(o.steps) do
    local got, asked = sampled_end(sampler, oracle, process, y, o, N)
    local gap = (got - truth):square():mean():item() ^ 0.5
    local order = i > 1 and math.log(rows[i - 1][2] / gap) / math.log(N / o.steps[i - 1]) or nil
    rows[i] = { N, gap, order, asked }
    if gap > least then last = order end
    if not o.quiet then print_row(N, asked, gap, order) end
  end
  return last, rows
end

local function check_sampler(sampler)
  local name, solver = families.resolve(sampler)
  if solver.upward then opts.fail("order: %s walks from the data to noise; its ends aren't measured here", name) end
end

local function check_steps(steps)
  if #steps < 2 then opts.fail("order: at least two numbers of steps expected, got %d", #steps) end
  for i, N in ipairs(steps) do
    if not math.tointeger(N) or N < 1 or i > 1 and N <= steps[i - 1] then
      opts.fail("order: numbers of steps must be whole and rise, but number %d is %s", i, opts.shown(N))
    end
  end
end

--- How fast a deterministic sampler's error falls with the number of steps, uniform in
--- ln sigma: prints a table, and returns the last order seen above rounding.
---@param sampler string|function|table as of d.sample
---@param oracle any a distribution of d.oracle
---@param options table? {process = cosine of 1000 steps, predicting x0, from = 20, to = 0.02
---  (sigma), steps = {80, 160, 320, 640}, samples = 64, start = 0 (so many first steps are fed
---  the exact x, so that a multistep sampler starts with a history), exact = 500 (steps of the
---  reference), quiet = false}. In float the errors end at some 1e-6: DIFFUSION_PRECISION=double
---  goes on
---@return number|nil order nil where all was rounding
---@return table rows { {steps, error, order, evaluations}, ... }: error is the root mean square
---@usage local mixture = d.oracle.mixture{ means = { { -1 }, { 1 } }, std = 0.3 }
--- d.check.order("heun", mixture, { samples = 8, steps = { 20, 40 }, exact = 200 })
return function(sampler, oracle, options)
  local o = opts.check("order", options, rules, 3)
  check_steps(o.steps)
  check_sampler(sampler)
  local process = o.process or require("diffusion.process").process {
    schedule = require("diffusion.schedule").schedule.cosine { T = 1000 }, predict = "x0" }
  local y = core.randn({ o.samples, oracle.D }, { seed = 1 }) * o.from
  return gradient.no_grad(measured, sampler, oracle, process, y, o)
end

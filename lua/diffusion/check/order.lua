--- Measures the order at which a sampler converges, on a distribution whose best denoiser is known.
local core = require "diffusion.core"
local families = require "diffusion.sampler.families"
local gradient = require "diffusion.gradient"
local noise = require "diffusion.sampler.noise"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local measure = require "diffusion.measure"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"

local rules = opts.declare("check_order", {
  process = { "process", default_text = "cosine of 1000 steps, predicting x0", text = "the process" },
  from = { "number", default = 20, above = 0, text = "sigma of the start" },
  to = { "number", default = 0.02, above = 0, text = "sigma of the end" },
  steps = { "table", default = { 80, 160, 320, 640 }, as = "integer[]", text = "numbers of steps that are compared" },
  samples = { "integer", default = 64, min = 1, text = "number of samples" },
  start = { "integer", default = 0, min = 0,
    text = "first steps that get the exact x, so that a multistep sampler starts with a history" },
  exact = { "integer", default = 500, min = 10, text = "steps of the ODE's solution" },
  seed = measure.seed,
  reference = { "any", as = "string|function|table", default_text = "the sampler itself",
    text = 'sampler that follows the noise\'s path in more steps, as "dpmpp_sde"' },
  fine = { "integer", default = 16, min = 2, text = "steps of the reference, in multiples of the most steps" },
  quiet = { "boolean", default = false, text = "prints no table" },
})

-- Levels whose lambda = -ln sigma is uniform.
local function levels(schedule, o, N)
  local times = {}
  for i = 0, N do
    times[i + 1] = schedule:level_of_sigma(o.from * (o.to / o.from) ^ (i / N))
  end
  return times
end

-- The probability-flow ODE in y = x/a over ln sigma, dy/dln sigma = y - D(y), by Runge-Kutta steps of
-- order 4.
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

-- The true end: n and 2n steps, extrapolated so that the error's h^4 cancels (Richardson).
local function exact(oracle, y, from, to, n)
  if from == to then return y end
  return core.ops.mix(16 / 15, kutta(oracle, y, from, to, 2 * n), -1 / 15, kutta(oracle, y, from, to, n))
end

-- The arithmetic of a sampler. All noise is from one Brownian path, for any steps. Sets seen.noise if
-- noise is added.
local function arithmetic(own, name, schedule, seed, seen)
  local along = noise.brownian(schedule, seed)
  own.mix = core.ops.mix
  function own.mix_path(sigma, from, to, eta, ...)
    if sigma == 0 then return core.ops.mix(...) end
    seen.path = true
    return along(sigma, from, to, eta, ...)
  end
  function own.mix_noise(sigma, ...)
    if sigma == 0 then return core.ops.mix(...) end
    fail.raise("order: the noise that %s adds has no path that runs of other steps could share; check its "
      .. "moments (d.check.moments) or its samples instead", name)
  end
  return own
end

-- The end of the sampler as y = x/a, from y at the first level, the number of evaluations, and
-- whether it added noise. Its first `start` steps get the exact x, and only fill its history.
local function sampled_end(sampler, oracle, process, y, o, N)
  local schedule, times, evaluations, seen = process.schedule, levels(process.schedule, o, N), 0, {}
  local model, history = oracle:denoiser(process), {}
  local name, solver, own = families.resolve(sampler)
  local function denoise(x, t)
    evaluations = evaluations + 1
    return process:estimate(model(x, t), x, t)
  end
  local step, x = solver.make(denoise, process, arithmetic(own, name, schedule, o.seed, seen)), nil
  for i = 1, N do
    if i <= o.start + 1 then
      x = exact(oracle, y, schedule:sigma(times[1]), schedule:sigma(times[i]), o.exact // 10)
      x = x * schedule:signal(times[i])
    end
    x = step(x, { i = i, n = N, t = times[i], s = times[i + 1] }, history)
  end
  return x / schedule:signal(times[N + 1]), evaluations, seen.path
end

local head = "%8s %12s %12s %8s  error from %s"

local function print_row(N, evaluations, gap, order)
  print(legible.format("%8d %12d %12.3e %8s", N, evaluations, gap, order and legible.format("%.2f", order) or ""))
end

-- Smaller errors are those of rounding.
local function rounding(truth)
  return (core.real == "f64" and 1e-13 or 2e-6) * truth:square():mean():item() ^ 0.5
end

-- The size of an error: the root mean square over all samples, or along paths the median. The few paths
-- that pass close between two modes may end in either.
local function size_of(gap, path)
  if not path then return gap:square():mean():item() ^ 0.5 end
  return gap:square():mean(2):sqrt():quantile(0.5):item()
end

-- The reference for errors, and its name. It is the solution of the ODE, or the end of many more steps
-- along the same path.
local function truth_of(sampler, oracle, process, y, o, path)
  if not path then
    if o.reference then fail.raise("order: a reference is for samplers that add noise; the truth here is the ODE") end
    return exact(oracle, y, o.from, o.to, o.exact), ("the ODE's solution, by %d steps of order 4"):format(o.exact)
  end
  if o.start > 0 then
    fail.raise("order: start = %d exact steps need the ODE's solution; along a path it is unknown", o.start)
  end
  local which, N = o.reference or sampler, o.fine * o.steps[#o.steps]
  local end_of, _, noisy = sampled_end(which, oracle, process, y, o, N)
  local name = families.resolve(which)
  if not noisy then fail.raise("order: the reference %s adds no noise, so it isn't on the path", name) end
  return end_of, ("%s in %d steps along the same Brownian path"):format(name, N)
end

-- The table's rows, and the last order that isn't due to rounding.
local function measured(sampler, oracle, process, y, o)
  local ends, rows, last = {}, {}, nil
  for i, N in ipairs(o.steps) do ends[i] = table.pack(sampled_end(sampler, oracle, process, y, o, N)) end
  local path = ends[1][3]
  local truth, what = truth_of(sampler, oracle, process, y, o, path)
  local least = rounding(truth)
  if not o.quiet then print(legible.said(head, "steps", "evaluations", "error", "order", what)) end
  for i, N in ipairs(o.steps) do
    local gap = size_of(ends[i][1] - truth, path)
    local order = i > 1 and math.log(rows[i - 1][2] / gap) / math.log(N / o.steps[i - 1]) or nil
    rows[i] = { N, gap, order, ends[i][2] }
    if gap > least then last = order end
    if not o.quiet then print_row(N, ends[i][2], gap, order) end
  end
  return last, rows
end

local function check_sampler(sampler)
  local name, solver = families.resolve(sampler)
  if solver.upward then fail.raise("order: %s goes from data to noise; its order isn't measured here", name) end
end

local function check_steps(steps)
  if #steps < 2 then fail.raise("order: at least two numbers of steps expected, got %d", #steps) end
  for i, N in ipairs(steps) do
    if not math.tointeger(N) or N < 1 or i > 1 and N <= steps[i - 1] then
      fail.raise("order: numbers of steps must be whole and rise, but number %d is %s", i, kind.shown(N))
    end
  end
end

local function check_oracle(oracle)
  if kind.of(oracle) ~= "oracle" then
    fail.raise("bad argument #2 to 'order' (a distribution of d.oracle expected, got %s)", kind.shown(oracle))
  end
end

-- Both ends of the range, checked to lie within the process's levels.
local function check_ends(o, schedule)
  local least, most = schedule:sigma(1), schedule:sigma(schedule.T)
  if not (o.to < o.from and o.to >= least and o.from <= most) then
    fail.raise("order: sigma goes from %g to %g, but it must fall within the process's %.6g to %.6g; give from and to",
      o.from, o.to, most, least)
  end
end

--- Measures how fast a sampler's error falls with the number of steps, which are uniform in ln
--- sigma. It prints a table, and returns the last order above rounding. The error of a
--- deterministic sampler is the root mean square distance from the ODE's solution. A sampler that
--- adds noise follows one Brownian path per sample for any number of steps. Its error is the median
--- distance from many more steps.
--- A reference that is the sampler itself shows an order of 1 as 1.05. In float32 errors end at some
--- 1e-6; DIFFUSION_PRECISION=double continues further.
---@param sampler string|function|table as in d.sample; not one whose noise has no path (euler_churn, lcm,
--- annealed_langevin and similar)
---@param oracle any a distribution of d.oracle
---@param options diffusion.check_order_options?
---@return number|nil order nil if all errors are due to rounding
---@return table rows { {steps, error, order, evaluations}, ... }
---@usage local mixture = d.oracle.mixture{ means = { { -1 }, { 1 } }, std = 0.3 }
--- d.check.order("heun", mixture, { samples = 8, steps = { 20, 40 }, exact = 200 })
--- d.check.order("euler_ancestral", mixture, { samples = 8, steps = { 20, 40 }, fine = 4 })
return function(sampler, oracle, options)
  local o = opts.check("order", options, rules, 3)
  check_steps(o.steps)
  check_sampler(sampler)
  check_oracle(oracle)
  local process = o.process or require("diffusion.process").process {
    schedule = require("diffusion.schedule").schedule.cosine { T = 1000 }, predict = "x0" }
  check_ends(o, process.schedule)
  local y = core.randn({ o.samples, oracle.D }, { seed = o.seed }) * o.from
  return gradient.no_grad(measured, sampler, oracle, process, y, o)
end

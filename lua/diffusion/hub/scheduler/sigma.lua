-- The classes that work in sigma = s/a, on samples y = x/a: Euler, Heun, LMS and DPM2.
local betas = require "diffusion.hub.scheduler.betas"
local curve = require "diffusion.hub.scheduler.curve"
local edm = require "diffusion.hub.scheduler.edm"
local grids = require("diffusion.grid").grid
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

-- Between whole timesteps sigma is on a line, so the timestep of a level is on that line too.
local function on_line(schedule)
  return function(t)
    local low, w = math.floor(t), t % 1
    if w == 0 then return low - 1 end
    local from, to = schedule:sigma(low), schedule:sigma(low + 1)
    return low - 1 + (schedule:sigma(t) - from) / (to - from)
  end
end

-- The timestep at a level of the grid by `shown`, at others the level's own.
local function on_grid(plan, N, shown)
  local on = {}
  for _, t in ipairs(plan.times(N)) do on[t] = true end
  return function(t) return on[t] and shown(t) or t - 1 end
end

local function last_of(c) return c.final_sigmas_type == "sigma_min" and 1 or 0 end

local function by_line(plan, c)
  function plan.times(N) return grids.preset "diffusers-euler-linspace"(plan.schedule, N):times(), last_of(c) end
  plan.shown = on_line(plan.schedule)
end

local function by_curve(plan, c, name)
  function plan.times(N) return curve.spaced(c, plan.schedule, name, N), last_of(c) end
end

local function in_time(plan, c)
  function plan.times(N)
    return spacing.levels(spacing.plain(c, N), c.num_train_timesteps, N), last_of(c)
  end
end

-- Sigmas in equal steps of their logarithm. The network gets times in equal steps, which do not match.
local function log_linear(plan, N)
  local schedule = plan.schedule
  local high, low = math.log(schedule:sigma(schedule.T)), math.log(schedule:sigma(1))
  function plan.times(n)
    local sigmas = {}
    for i = 1, n do sigmas[i] = math.exp(high + (low - high) * (i - 1) / n) end
    return grids.sigmas(schedule, sigmas, { last = 1 }):times(), 1
  end
  function plan.shown(t)
    local i = N * (high - math.log(schedule:sigma(t))) / (high - low) + 1
    return (schedule.T - 1) * (N - i) / (N - 1)
  end
end

local function plan_of(c, o, sampler)
  if c.timestep_type == "continuous" then return edm.continuous_euler(c, sampler) end
  local plan = { schedule = betas.schedule(c), predict = keys.predict(c), sampler = { sampler }, unit = "sigma" }
  local name = curve.name(c)
  if c.interpolation_type == "log_linear" then log_linear(plan, o.steps)
  elseif name then by_curve(plan, c, name)
  elseif c.timestep_spacing == "linspace" then by_line(plan, c)
  else in_time(plan, c) end
  return plan
end

local function with(sampler, more)
  return function(c, o)
    local plan = plan_of(c, o, sampler)
    return more and more(plan, c, o) or plan
  end
end

-- At midpoints between its levels the network gets the level's own timestep.
local function at_midpoints(plan, c, o)
  local shown = curve.name(c) == "karras" and curve.rounded or curve.name(c) and curve.cut or plan.shown
  if shown then plan.shown = on_grid(plan, o.steps, shown) end
  return plan
end

-- LMS has the levels that were skipped before the start.
local function lms(plan, _, o)
  plan.sampler = { "lms", final = true }
  if o.first > 1 then
    local skipped = table.move(plan.times(o.steps), 1, o.first - 1, 1, {})
    plan.sampler = { "diffusers-lms-of-missing-slopes", skipped = skipped }
  end
  return plan
end

local euler_kinds = { interpolation_type = keys.choice("linear", { "linear", "log_linear" }),
  timestep_type = keys.choice("discrete", { "discrete", "continuous" }), rescale_betas_zero_snr = keys.flag(false) }
local euler_keys = opts.joined(keys.betas(), keys.predicts(), keys.curves, keys.spacing "linspace", keys.final "zero",
  euler_kinds)
local ancestral_keys = opts.joined(keys.betas(), keys.predicts(), keys.spacing "linspace",
  { rescale_betas_zero_snr = keys.flag(false) })
local lms_keys = opts.joined(keys.betas(), keys.predicts(), keys.curves, keys.spacing "linspace")
local own = { first = 0.00085, last = 0.012, kinds = { "linear", "scaled_linear", "squaredcos_cap_v2", "exp" } }
local heun_keys = opts.joined(keys.betas(own), keys.predicts(), keys.curves, keys.clip(false), keys.spacing "linspace")
own.kinds = nil
local kdpm_keys = opts.joined(keys.betas(own), keys.predicts(), keys.curves, keys.spacing "linspace")

return {
  EulerDiscreteScheduler = { keys = euler_keys, plan = with "euler" },
  EulerAncestralDiscreteScheduler = { keys = ancestral_keys, plan = with "euler_ancestral" },
  LMSDiscreteScheduler = { keys = lms_keys, plan = with("lms", lms) },
  HeunDiscreteScheduler = { keys = heun_keys, plan = with "heun" },
  KDPM2DiscreteScheduler = { keys = kdpm_keys, plan = with("dpm2", at_midpoints) },
  KDPM2AncestralDiscreteScheduler = { keys = kdpm_keys, plan = with("dpm2_ancestral", at_midpoints) },
}

-- The classes that work in sigma = s/a, on samples y = x/a: Euler, Heun, LMS and DPM2.
local betas = require "diffusion.hub.scheduler.betas"
local curve = require "diffusion.hub.scheduler.curve"
local fail = require "diffusion.fail"
local from_alpha_bar = require("diffusion.schedule").schedule.from_alpha_bar
local keys = require "diffusion.hub.scheduler.keys"
local levels = require "diffusion.hub.scheduler.levels"
local opts = require "diffusion.opts"

-- ==== the network ============================================================================

-- Euler's v with the timestep ln(sigma)/4.
local function quarter_log(plan)
  local s, times = plan.schedule, plan.times
  function plan.times(N)
    local list, last = times(N)
    return list, last
  end
  function plan.shown(t) return math.log(s:sigma(t)) / 4 end
end

-- On levels without a = 1/sqrt(sigma^2 + 1) the network gets a y, and v is changed to x0.
local function without_signal(plan)
  local s = plan.schedule
  local function a(t) return 1 / math.sqrt(s:sigma(t) ^ 2 + 1) end
  plan.input, plan.unit = a, nil
  if plan.predict ~= "v" then return end
  plan.predict = "x0"
  function plan.skip(t) return a(t) ^ 2 end
  function plan.out(t) return -a(t) * s:sigma(t) end
end

-- ==== the plan ===============================================================================

-- diffusers' table for rescaled betas ends at this alpha_bar in place of 0.
local last_of_rescaled = 2 ^ -24

-- The schedule is a table, as in diffusers: levels between whole ones are on a line. The last of
-- rescaled betas is diffusers', unless the one before it has less signal.
local function schedule_of(c)
  local s, list = betas.schedule(c), {}
  local ends = c.rescale_betas_zero_snr and (s.T == 1 or s:alpha_bar(s.T - 1) > last_of_rescaled)
  if not ends and c.beta_schedule ~= "exp" then return s end
  for t = 1, s.T do list[t] = s:alpha_bar(t) end
  if ends then list[s.T] = last_of_rescaled end
  return from_alpha_bar(list)
end

local function plan_of(c, o, sampler)
  local schedule = schedule_of(c)
  local top = c.rescale_betas_zero_snr and math.sqrt(1 / last_of_rescaled - 1) or schedule:sigma(schedule.T)
  local plan = { predict = keys.predict(c), sampler = { sampler }, unit = "sigma", clip = keys.clip_of(c) }
  local run = levels.of { c = c, o = o, schedule = schedule, top = top, curve = curve.name(c) }
  plan.schedule, plan.times, plan.shown = run.schedule, run.times, run.shown
  function plan.start(t)
    local s, sigma = plan.schedule, plan.schedule:sigma(t)
    return s:signal(t) * (c.timestep_spacing == "leading" and math.sqrt(sigma ^ 2 + 1) or sigma)
  end
  if run.wide then without_signal(plan) end
  if c.timestep_type == "continuous" and c.prediction_type == "v_prediction" then
    if o.timesteps then fail.raise "timesteps can't be given with timestep_type = continuous and v_prediction" end
    quarter_log(plan)
  end
  return plan
end

-- The plan of a class. change(c) comes before it and more(plan, c, o) after.
local function with(sampler, more, change)
  return function(c, o)
    if change then change(c) end
    local plan = plan_of(c, o, sampler)
    return more and more(plan, c, o) or plan
  end
end

-- ==== samplers ===============================================================================

-- The noise of churn is over all sigmas less one. log_linear has one more than it takes steps.
local function churned(plan, c, o)
  local more = c.interpolation_type == "log_linear" and not curve.name(c) and not o.sigmas and 1 or 0
  plan.sampler = keys.churned(o, keys.predict(c), o.steps and o.steps + more) or plan.sampler
  return plan
end

-- LMS takes the ends of a Karras curve from the spacing in time, whatever sigma_min and sigma_max say.
local function lms_curve(c)
  if c.use_karras_sigmas then c.sigma_min, c.sigma_max = nil, nil end
end

-- LMS started in the middle of a run has weights for the levels that were skipped.
local function lms(plan, _, o)
  plan.sampler = { "lms", final = true, order = o.order }
  if o.first > 1 then
    plan.sampler = { "diffusers-lms-of-missing-slopes", order = o.order,
                     skipped = table.move(plan.times(o.steps), 1, o.first - 1, 1, {}) }
  end
  return plan
end

-- ==== classes ================================================================================

local euler_kinds = { interpolation_type = keys.choice("linear", { "linear", "log_linear" }),
  timestep_type = keys.choice("discrete", { "discrete", "continuous" }), rescale_betas_zero_snr = keys.flag(false) }
local predicts = keys.predicts { "epsilon", "sample", "v_prediction", "original_sample" }
local euler_keys = opts.joined(keys.betas(), predicts, keys.curves, keys.spacing "linspace", keys.final "zero",
  euler_kinds)
local ancestral_keys = opts.joined(keys.betas(), keys.predicts(), keys.spacing "linspace",
  { rescale_betas_zero_snr = keys.flag(false) })
local lms_keys = opts.joined(keys.betas(), keys.predicts(), keys.curves, keys.spacing "linspace")
local own = { first = 0.00085, last = 0.012, kinds = { "linear", "scaled_linear", "squaredcos_cap_v2", "exp" } }
local heun_keys = opts.joined(keys.betas(own), keys.predicts(), keys.curves, keys.clip(false), keys.spacing "linspace")
own.kinds = nil
local kdpm_keys = opts.joined(keys.betas(own), keys.predicts(), keys.curves, keys.spacing "linspace")

local euler_call = opts.joined(keys.churn, { timesteps = true, sigmas = "ends" })

-- DPM2 rounds the timesteps of a Karras curve, but not those of its midpoints.
local function rounds(c) c.rounds = true end

return {
  EulerDiscreteScheduler = { keys = euler_keys, plan = with("euler", churned), call = euler_call },
  EulerAncestralDiscreteScheduler = { keys = ancestral_keys, plan = with "euler_ancestral" },
  LMSDiscreteScheduler = { keys = lms_keys, plan = with("lms", lms, lms_curve), call = { order = true } },
  HeunDiscreteScheduler = { keys = heun_keys, plan = with "heun", call = { timesteps = true } },
  KDPM2DiscreteScheduler = { keys = kdpm_keys, plan = with("dpm2", nil, rounds) },
  KDPM2AncestralDiscreteScheduler = { keys = kdpm_keys,
    plan = with("diffusers-kdpm2-ancestral-midpoints-told-apart", nil, rounds) },
}

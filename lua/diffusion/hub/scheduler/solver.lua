-- The levels and timesteps that DPM-Solver, UniPC, DEIS and SA-Solver share.
local betas = require "diffusion.hub.scheduler.betas"
local curve = require "diffusion.hub.scheduler.curve"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local spacing = require "diffusion.hub.scheduler.spacing"
local stretched = require "diffusion.hub.scheduler.terminal"
local named = require("diffusion.schedule").schedule
local opts = require "diffusion.opts"

local solver = {}

--- The options that these classes share.
---@param more table their own
---@return table rules
function solver.keys(more)
  return opts.joined(keys.betas(), keys.predicts { "epsilon", "sample", "v_prediction", "flow_prediction" },
    keys.threshold, keys.curves, keys.flow, keys.spacing "linspace", more)
end

-- The level at which a run ends: 0, that of the last step, or `low`, which is the lowest of training.
local function last_of(c, ends, last, low)
  if c.final_sigmas_type == "zero" then return 0 end
  return ends == "own" and last or low
end

-- How a timestep is made of a level of a curve.
local function rounding(c, form, name)
  local cosine = form.unrounded_cosine and c.beta_schedule == "squaredcos_cap_v2"
  return (name == "karras" or name == "lu") and not cosine and curve.rounded or curve.cut
end

-- ==== betas ================================================================================

local function on_curve(plan, c, form, name, lost)
  local round, base = rounding(c, form, name), plan.schedule
  local run = curve.of(c, base, name)
  plan.schedule = run.schedule
  local low = run.schedule == base and 1 or run.schedule:level_of_sigma(base:sigma(1))
  function plan.shown(t) return round(run.trained(t)) end
  function plan.times(N)
    local times = run.whole(N)
    for _, t in ipairs(times) do betas.check(run.trained(t), base.T, lost) end
    return times, last_of(c, form.ends, times[N], low)
  end
  return plan
end

--- The highest level whose lambda is at least that of lambda_min_clipped.
---@param c table checked options
---@param schedule diffusion.schedule
---@return integer
function solver.unclipped(c, schedule)
  local T = c.num_train_timesteps
  while T > 0 and schedule:log_snr(T) / 2 < (c.lambda_min_clipped or -math.huge) do T = T - 1 end
  return T
end

local function in_time(plan, c, o, lost)
  local T = c.num_train_timesteps
  function plan.times(N)
    local steps = o.timesteps and spacing.given(o.timesteps)
      or spacing.dropped(c, N, solver.unclipped(c, plan.schedule))
    local times = spacing.levels(steps, T, N)
    for _, t in ipairs(times) do betas.check(t, T, lost) end
    return times, last_of(c, nil, nil, 1)
  end
  return plan
end

-- ==== the path x_t = (1 - w) x_0 + w eps ===================================================

local function shifted(w, shift) return shift * w / (1 + (shift - 1) * w) end

-- The shift of a run as a function of w: that of the config, or by mu.
local function mover(c, o)
  local shift = c.flow_shift
  if o.mu then shift = c.time_shift_type == "linear" and o.mu or math.exp(o.mu) end
  return function(w) return shifted(w, shift) end
end

-- The w of DPM-Solver, DEIS and SA-Solver: N of N + 1 in equal steps, the lowest dropped.
local function dropped_path(c, N, o)
  local T, out, move = c.num_train_timesteps, {}, mover(c, o)
  for i = 1, N do
    local alpha = i == 1 and 1 / T or 1 + (N + 1 - i) * ((1 / T - 1) / N)
    out[i] = move(1 - alpha)
  end
  return out
end

-- The w of UniPC, which doesn't start at 1 but a millionth below it.
local function unipc_path(c, N, o)
  local T, out, move = c.num_train_timesteps, {}, mover(c, o)
  for i = 1, N do out[i] = move(o.sigmas and o.sigmas[i] or 1 + (i - 1) * ((1 / T - 1) / N)) end
  if c.shift_terminal then stretched(out, c.shift_terminal) end
  if math.abs(out[1] - 1) < 1e-6 then out[1] = out[1] - 1e-6 end
  return out
end

-- The w and the timesteps of a curve between the ends of the betas. Its sigma is w, but UniPC takes sigma = w/(1 - w)
-- for Karras' curve.
local function curved_path(c, N, form, name)
  local run, round = curve.of(c, betas.schedule(c, true), name), rounding(c, form, name)
  local odds = form.path == "unipc" and name == "karras"
  local out, steps = {}, {}
  for i, t in ipairs(run.whole(N)) do
    local sigma = run.schedule:sigma(t)
    out[i] = odds and sigma / (sigma + 1) or sigma
    steps[i] = odds and math.floor(out[i] * c.num_train_timesteps) or round(run.trained(t))
  end
  return out, steps
end

-- The same without a curve.
local function straight_path(c, N, o, form)
  local list, steps = (form.path == "unipc" and unipc_path or dropped_path)(c, N, o), {}
  for i, w in ipairs(list) do steps[i] = math.floor(w * c.num_train_timesteps) end
  return list, steps
end

-- The w below which a run of this config doesn't come: that of timestep 1, or an end of the config's or the user's.
local function lowest(c, o, form, name)
  local T = c.num_train_timesteps
  local low = math.min(shifted(1 / T, c.flow_shift), c.shift_terminal or 1)
  local move = mover(c, o)
  for _, w in ipairs(o.sigmas or { 1 / T }) do low = math.min(low, move(w)) end
  if form.ends ~= "own" and c.final_sigmas_type == "sigma_min" then low = math.min(low, betas.schedule(c):sigma(1)) end
  if not name then return low end
  local run = curve.of(c, betas.schedule(c, true), name).schedule
  return math.min(low, run:sigma(1) / (run:sigma(1) + 1))
end

-- The path of training, or one with lower levels.
local function path_of(c, o, form, name)
  local T, shift, low = c.num_train_timesteps, c.flow_shift, lowest(c, o, form, name)
  if T > 1 and low < shifted(1 / T, shift) then shift = low * (T - 1) / (1 - low) end
  return named.flow { T = T, shift = shift }
end

-- The level with this w. Raises unless it lies on the path.
local function level_of(schedule, w)
  if not (w > 0 and w <= 1) then fail.raise("a level of the path is w = %.6g, outside of (0, 1]", w) end
  return schedule:level_of_sigma(w / (1 - w))
end

local function on_path(plan, c, o, form)
  local T, name = c.num_train_timesteps, curve.name(c)
  plan.schedule = path_of(c, o, form, name)
  function plan.times(N)
    local list, steps
    if name then list, steps = curved_path(c, N, form, name) else list, steps = straight_path(c, N, o, form) end
    local times, told = {}, {}
    for i, w in ipairs(list) do
      if name and w > 1 and i >= o.first then
        fail.raise("use_flow_sigmas with the curve %s: the sigma of step %d of %d is %.6g, so diffusers has a "
          .. "negative 1 - sigma", name, i, N, w)
      end
      times[i] = w > 1 and T or level_of(plan.schedule, w) -- a step before the first isn't taken
      told[times[i]] = steps[i]
    end
    local last = times[N]
    if form.ends ~= "own" and c.final_sigmas_type == "sigma_min" then
      last = level_of(plan.schedule, betas.schedule(c):sigma(1))
    end
    return times, last_of(c, "own", last, nil), told
  end
  function plan.shown(t) return math.floor(T * plan.schedule:noise(t) + 1e-9) end
  return plan
end

-- ==== outputs ==============================================================================

-- Outputs that diffusers combines as if the levels were others: v on the path, and the velocity of a path on betas.
-- `of` is the quantity that the solver works on.
local function converted(plan, c, of)
  local s, predict = plan.schedule, keys.predict(c)
  if c.use_flow_sigmas and predict == "v" then
    plan.predict = of
    function plan.skip(t) return of == "x0" and s:signal(t) or s:noise(t) end
    function plan.out(t) return of == "x0" and -s:noise(t) or s:signal(t) end
  elseif predict == "flow" and not c.use_flow_sigmas then
    plan.predict = "x0"
    function plan.skip() return 1 end
    function plan.out(t) return -s:sigma(t) end
  end
  if predict == "flow" and of == "eps" then
    fail.raise "prediction_type 'flow_prediction': diffusers takes it only for solvers that work on x0"
  end
  return plan
end

-- Raises where diffusers would not make the scheduler or its steps.
local function check(c, o, form)
  local flow = form.path == "unipc"
  local curves = 0
  for _, key in ipairs { "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas" } do
    if c[key] then curves = curves + 1 end
  end
  if curves > 1 then
    fail.raise "only one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas can be true"
  end
  if o.timesteps and curve.name(c) then fail.raise "timesteps of your own can't be used with a curve of sigmas" end
  if o.mu and not c.use_dynamic_shifting then fail.raise "mu is for use_dynamic_shifting = true" end
  if o.mu and not flow and c.time_shift_type == "linear" then fail.raise "mu needs time_shift_type 'exponential'" end
  if flow and c.use_dynamic_shifting and not o.mu then fail.raise "use_dynamic_shifting needs the option mu" end
  if o.sigmas and not (c.use_flow_sigmas and not curve.name(c)) then
    fail.raise "sigmas of your own need use_flow_sigmas = true and no curve"
  end
end

--- A plan without its sampler.
---@param c table checked options
---@param o table options of d.hub.scheduler
---@param form table {of = "x0" or "eps", ends = "own" if curves end at their last level, path = "unipc",
---  unrounded_cosine}
---@return table
function solver.plan(c, o, form)
  check(c, o, form)
  local plan = { predict = keys.predict(c), variance = c.variance_type }
  if c.thresholding then plan.clip = keys.clip_of(c) end
  if c.use_flow_sigmas then return converted(on_path(plan, c, o, form), c, form.of) end
  local lost
  plan.schedule, lost = betas.schedule(c, true)
  local name = curve.name(c)
  plan = name and on_curve(plan, c, form, name, lost) or in_time(plan, c, o, lost)
  return converted(plan, c, form.of)
end

--- The samplers' option lower_order_final. diffusers lowers the order at the end of runs of fewer than 15 steps.
--- It counts the steps that a later start skips too.
---@param c table checked options
---@param plan table
---@param N integer|nil steps of the whole run
---@return integer
function solver.lowered(c, plan, N)
  if not c.lower_order_final then return 0 end
  if not N then return 15 end
  return #plan.times(N) < 15 and math.maxinteger or 0
end

return solver

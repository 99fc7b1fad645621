--- d.hub.scheduler: the schedulers of diffusers by their config.
local configs = require "diffusion.hub.scheduler.config"
local fail = require "diffusion.fail"
local grids = require "diffusion.grid"
local opts = require "diffusion.opts"
local processes = require "diffusion.process"
local wrap = require "diffusion.hub.scheduler.wrap"

local rules = opts.declare("hub_scheduler", {
  steps = { "integer", min = 1, default_text = "the grid is then a function of it", text = "number of steps" },
  first = { "integer", default = 1, min = 1, text = "number of the step to start at; later ones start from an image" },
  eta = { "number", min = 0, default_text = "that of the class",
    text = "factor of the noise of DDIM and TCD" },
  use_clipped_model_output = { "boolean", default_text = "that of diffusers",
    text = "DDIM's eps is that of the clipped x0" },
  original_inference_steps = { "integer", min = 1, default_text = "that of the config",
    text = "number of timesteps at which LCM's network was distilled" },
  max_timesteps = { "number", above = 0, default_text = "that of diffusers", text = "SCM's first angle" },
  intermediate_timesteps = { "number", above = 0, default_text = "that of diffusers",
    text = "SCM's second angle of two" },
  jump_length = { "integer", min = 1, default_text = "that of diffusers", text = "RePaint's steps of a jump back" },
  jump_n_sample = { "integer", min = 1, default_text = "that of diffusers",
    text = "times that RePaint takes each stretch" },
  original = { "tensor", default_text = "none", text = "RePaint's picture, whose known part stays" },
  mask = { "tensor", default_text = "none", text = "RePaint's mask, 1 where the picture is known" },
  mu = { "number", text = "shift of the path, for use_dynamic_shifting" },
  timesteps = { "table", each = { "number", min = 0 }, least = 1, as = "number[]",
    text = "timesteps of your own, of diffusers' count from 0, the latest first" },
  sigmas = { "table", each = { "number", min = 0 }, least = 1, as = "number[]",
    text = "noise levels of your own, as set_timesteps takes them: the list of Euler has the level of the end too" },
  order = { "integer", min = 1, max = 4, default_text = "that of diffusers", text = "order of LMS" },
  strength = { "number", above = 0, max = 1, default_text = "that of diffusers",
    text = "share of training from whose timesteps LCM and TCD take theirs, for an image" },
  s_churn = { "number", min = 0, default_text = "that of diffusers",
    text = "noise that Euler adds before steps, over all of them" },
  s_tmin = { "number", min = 0, default_text = "that of diffusers", text = "least sigma at which it does" },
  s_tmax = { "number", min = 0, infinite = true, default_text = "that of diffusers",
    text = "greatest sigma at which it does" },
  s_noise = { "number", min = 0, default_text = "that of diffusers", text = "factor of that noise" },
})
local general = { steps = true, first = true }

-- The number of steps of a list of the user's, which may have the level of the end too.
local function check_count(class, o, key)
  local given = o[key]
  if not given then return end
  local count = #given - (class.call[key] == "ends" and 1 or 0)
  if count < 1 then
    fail.raise("bad argument #2 to 'hub.scheduler' (%s has only the level of the end; 2 or more expected)", key)
  end
  if o.steps and o.steps ~= count then
    fail.raise("bad argument #2 to 'hub.scheduler' (%d %s make %d steps, but steps = %d)", #given, key, count, o.steps)
  end
  o.steps = count
end

-- Raises if an option isn't one of this class, or the run has no such step.
local function check_call(name, class, o)
  for key in pairs(rules) do
    if o[key] ~= nil and not general[key] and not (class.call and class.call[key]) then
      fail.raise("bad argument #2 to 'hub.scheduler' ('%s' is not an option of %s)", key, name)
    end
  end
  check_count(class, o, "timesteps")
  check_count(class, o, "sigmas")
  if o.first > (o.steps or 1) then
    fail.raise("bad argument #2 to 'hub.scheduler' (first = %d, but there are %s steps)", o.first, o.steps or "no")
  end
end

-- Raises if the network's output can't tell x0 at the start, where x has no signal.
local function check_start(plan, grid)
  local t = grid[1][1]
  if plan.predict == "eps" and plan.schedule:snr(t) == 0 then
    fail.raise("x holds no signal at timestep %g, so eps doesn't determine x0 there; a network that predicts v or x0 "
      .. "expected, or another timestep_spacing", t - 1)
  end
  return grid
end

local function grid_of(name, plan, N, first)
  local times, last, told = plan.times(N)
  for t, step in pairs(told or {}) do plan.told[t] = step end
  if not plan.starts then times = table.move(times, first, #times, 1, {}) end
  if #times == 0 then fail.raise("first = %d, but the run has fewer steps", first) end
  return check_start(plan, grids.made(name, times, plan.schedule.T, plan.schedule, last))
end

-- Names of variances that differ here. "learned" is the variance there, and its logarithm here.
local VARIANCES = { fixed_small_log = "fixed_small", fixed_large_log = "fixed_large", learned = "learned_direct" }

local function process_of(plan)
  return processes.process { schedule = plan.schedule, predict = plan.predict, clip = plan.clip,
                             variance = VARIANCES[plan.variance] or plan.variance, sigma_data = plan.sigma_data }
end

local function timesteps_of(plan, grid)
  local out = {}
  for i, step in ipairs(grid) do
    local t = step[plan.upward and not plan.asked_ahead and 2 or 1]
    out[plan.upward and #grid + 1 - i or i] = plan.told[t] or plan.shown and plan.shown(t) or t - 1
  end
  return out
end

--- A scheduler of diffusers, by its config. The sampler, the grid and the denoiser wrap(model) do what
--- the class does with these options; d.help "schedulers" says where they don't. wrap shows the
--- network diffusers' timestep, which is our t - 1 or another, and its scale of x. Options that the
--- class doesn't know are ignored, as diffusers does. Without steps, grid is a function for the option
--- `grid` of d.sample. facts has diffusers' timesteps, the factor `start` of the noise at the first step, and
--- unit = "sigma" if diffusers' samples are x/a.
---@param config table|string a table with _class_name, the path of a scheduler_config.json, or its folder
---@param options diffusion.hub_scheduler_options?
---@return diffusion.process|nil process nil with a message if the config can't be followed
---@return table|string sampler
---@return diffusion.grid|function grid
---@return fun(model: any): any wrap
---@return table facts {class, timesteps, start, unit, upward}
---@usage local config = { _class_name = "DDIMScheduler", beta_schedule = "squaredcos_cap_v2" }
--- local process, sampler, grid, wrap = d.hub.scheduler(config, { steps = 10 })
--- local model = d.oracle.moons{}:denoiser(process)
--- print(d.sample{ model = wrap(model), process = process, sampler = sampler, grid = grid, shape = { 3, 2 } })
local function scheduler(config, options)
  local o = opts.check("hub.scheduler", options, rules, 2)
  local class, c, name = configs.read(config)
  if not class then return nil, c end
  check_call(name, class, o)
  local plan, message = fail.try(class.plan, c, o)
  if not plan then return nil, ("%s: %s"):format(name, message) end
  plan.told = {}
  local process, why = fail.try(process_of, plan)
  if not process then return nil, ("%s: %s"):format(name, why) end
  local grid = function(_, N) return grid_of(name, plan, N, 1) end
  if o.steps then grid, why = fail.try(grid_of, name, plan, o.steps, o.first) end
  if not grid then return nil, ("%s: %s"):format(name, why) end
  local facts = { class = name, unit = plan.unit, upward = plan.upward }
  if o.steps then
    facts.timesteps, facts.start = timesteps_of(plan, grid), plan.start and plan.start(grid[1][1]) or 1
  end
  return process, plan.sampler, grid, wrap(plan), facts
end

return { scheduler = scheduler }

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
  timesteps = { "table", each = { "number", min = 0 }, least = 1, as = "number[]",
    text = "timesteps of your own, of diffusers' count from 0, the latest first" },
})
local general = { steps = true, first = true }

-- Raises if an option isn't one of this class, or the run has no such step.
local function check_call(name, class, o)
  for key in pairs(rules) do
    if o[key] ~= nil and not general[key] and not (class.call and class.call[key]) then
      fail.raise("bad argument #2 to 'hub.scheduler' ('%s' is not an option of %s)", key, name)
    end
  end
  if o.first > (o.steps or 1) then
    fail.raise("bad argument #2 to 'hub.scheduler' (first = %d, but there are %s steps)", o.first, o.steps or "no")
  end
  if o.timesteps and o.steps and o.steps ~= #o.timesteps then
    fail.raise("bad argument #2 to 'hub.scheduler' (%d timesteps, but steps = %d)", #o.timesteps, o.steps)
  end
  o.steps = o.timesteps and #o.timesteps or o.steps
end

local function grid_of(name, plan, N, first)
  local times, last = plan.times(N)
  return grids.made(name, table.move(times, first, #times, 1, {}), plan.schedule.T, plan.schedule, last)
end

local function process_of(plan)
  return processes.process { schedule = plan.schedule, predict = plan.predict, clip = plan.clip,
                             variance = plan.variance, sigma_data = plan.sigma_data }
end

local function timesteps_of(plan, grid)
  local out = {}
  for i, step in ipairs(grid) do out[i] = plan.shown and plan.shown(step[1]) or step[1] - 1 end
  return out
end

--- A scheduler of diffusers, by its config. The sampler, the grid and the denoiser wrap(model) do what
--- the class does with these options; d.help "compatibility" says where they don't. wrap shows the
--- network diffusers' timestep, which is our t - 1 or another, and its scale of x. Options that the
--- class doesn't know are ignored, as diffusers does. Without steps, grid is a function for the option
--- `grid` of d.sample. facts has diffusers' timesteps, and unit = "sigma" if its samples are x/a.
---@param config table|string a table with _class_name, the path of a scheduler_config.json, or its folder
---@param options diffusion.hub_scheduler_options?
---@return diffusion.process|nil process nil with a message if the config can't be followed
---@return table|string sampler
---@return diffusion.grid|function grid
---@return fun(model: any): any wrap
---@return table facts {class, timesteps, unit, upward}
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
  local process, why = fail.try(process_of, plan)
  if not process then return nil, ("%s: %s"):format(name, why) end
  local grid = o.steps and grid_of(name, plan, o.steps, o.first)
    or function(_, N) return grid_of(name, plan, N, 1) end
  local facts = { class = name, unit = plan.unit, upward = plan.upward }
  facts.timesteps = o.steps and timesteps_of(plan, grid)
  return process, plan.sampler, grid, wrap(plan), facts
end

return { scheduler = scheduler }

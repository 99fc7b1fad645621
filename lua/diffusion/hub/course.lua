-- The way of a pipe's call from noise to images: the process, the solver, the grid, and the network as
-- the process's denoiser. It comes from diffusers' scheduler, or from a process of this library.
local fail = require "diffusion.fail"
local plan = require "diffusion.edit.plan"
local schedulers = require "diffusion.hub.scheduler"
local families = require "diffusion.sampler.families"
local option = require "diffusion.sampler.option"

local course = {}

-- The config of a scheduler with the class replaced by another that reads the same keys.
local function as_class(config, class)
  local out = {}
  for key, value in pairs(config) do out[key] = value end
  out._class_name = class
  return out
end

--- The scheduler's config that an option names: a config, or a class for the config that is there.
---@param where string
---@param given string|table|nil
---@param own table|nil the config that is there
---@return table|nil
function course.scheduler(where, given, own)
  if type(given) ~= "string" then return given or own end
  if not own then fail.raise("%s: scheduler = '%s' is a class, but there is no config of one", where, given) end
  return as_class(own, given)
end

-- The number of steps: those given, or the usual ones as far as the levels go.
local function steps_of(own, o, config)
  local T = config.num_train_timesteps
  local most = math.type(T) == "integer" and T >= 1 and T or own.steps
  return o.steps or math.min(own.steps, most)
end

-- The step at which diffusers starts from an image: it leaves out the first of the steps. The strength is nil
-- if it starts from noise.
local function first_of(o, steps)
  local strength = o.strength or 1
  return math.max(1, steps - math.min(math.floor(steps * strength), steps) + 1)
end

-- The scheduler's options: its number of steps and its start. Pipelines of latent consistency models take all of
-- the steps, at the first timesteps of their distillation.
local function scheduling(own, o, config, steps)
  if own.thins and o.strength and config._class_name == "LCMScheduler" then
    return { steps = steps, strength = o.strength }
  end
  local quiet = own.prompted and config._class_name == "TCDScheduler" and 0 -- these pipelines give eta, 0 by default
  return { steps = steps, first = math.min(first_of(o, steps), steps), eta = o.eta or quiet or nil }
end

local function unchanged(model) return model end

-- The way of a sampler of this library.
local function of_sampler(process, sampler, o, steps)
  return { process = process, sampler = sampler, grid = o.grid, steps = o.grid == nil and steps or nil,
    wrap = unchanged }
end

-- The same from images: whole steps from the level that the strength names.
local function edited(where, process, sampler, o, steps)
  local _, solver = families.resolve(sampler or option.sampler.default)
  local strength = o.strength
  local p = plan.of(where, { process = process, strength = strength, steps = o.grid == nil and steps or nil,
    grid = o.grid }, solver)
  if p.steps == 0 then fail.raise("%s: strength = %g leaves no step to take", where, strength) end
  return { process = process, sampler = sampler, grid = p.grid, wrap = unchanged }
end

local function own_way(where, process, sampler, o)
  if o.strength then return edited(where, process, sampler, o, o.steps) end
  return of_sampler(process, sampler, o, o.steps)
end

-- Samplers of this library take the option eta themselves.
local function refuse_eta(where, eta)
  if eta then fail.raise("%s: eta is an option of the sampler here: sampler = {\"ddim\", eta = %g}", where, eta) end
end

local function by_scheduler(where, own, o, config)
  if o.sampler then refuse_eta(where, o.eta) end
  local steps = steps_of(own, o, config)
  local process, sampler, grid, wrap, facts = schedulers.scheduler(config, scheduling(own, o, config, steps))
  if not process then fail.raise("%s: %s", where, sampler) end
  local c
  if o.sampler or o.grid then
    c = own_way(where, process, o.sampler or sampler, o)
  else
    c = { process = process, sampler = sampler, grid = grid, upward = facts.upward, start = facts.start }
  end
  c.wrap, c.number = wrap, steps
  return c
end

local function by_process(where, process, o)
  refuse_eta(where, o.eta)
  return own_way(where, process, o.sampler, o)
end

--- The course of a call.
---@param where string
---@param own table {scheduler = config or nil, process = of this library or nil, steps, thins}
---@param o table {steps, eta, sampler, grid, scheduler, strength = nil if the run starts from noise}
---@return table {process, sampler, grid, steps, wrap, upward, start = scale of the first noise, number = of
---  steps}
function course.of(where, own, o)
  local config = course.scheduler(where, o.scheduler, own.scheduler)
  if config then return by_scheduler(where, own, o, config) end
  if own.process then return by_process(where, own.process, o) end
  fail.raise("%s: there is no scheduler; give one, as scheduler = \"path/scheduler_config.json\" of d.hub.load", where)
end

return course

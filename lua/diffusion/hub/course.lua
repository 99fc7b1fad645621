-- The way of a pipe's call from noise to images: the process, the solver, the grid, and the network as
-- the process's denoiser. It comes from diffusers' scheduler, or from a process of this library.
local fail = require "diffusion.fail"
local plan = require "diffusion.edit.plan"
local schedulers = require "diffusion.hub.scheduler"
local families = require "diffusion.sampler.families"
local option = require "diffusion.sampler.option"
local place = require "diffusion.sampler.place"

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

-- The step at which diffusers starts from an image: it leaves out the first ones. From noise there is no strength.
local function first_of(where, o, steps)
  local taken = math.floor(steps * (o.strength or 1))
  if taken > 0 then return steps - taken + 1 end
  fail.raise("%s: strength = %g of %d steps leaves no step to take; %g or more takes one", where, o.strength, steps,
    1 / steps)
end

local function check_eta(where, o)
  if not o.eta then return end
  fail.raise("%s: eta is an option of the sampler here: sampler = {\"ddim\", eta = %g}", where, o.eta)
end

-- The scheduler's options: its number of steps and its start. A sampler or a grid of this library has its own start.
-- Pipelines of latent consistency models take all steps. They are at the first timesteps of their distillation.
local function scheduling(where, own, o, config, steps)
  if o.sampler then check_eta(where, o) end
  local quiet = own.prompted and config._class_name == "TCDScheduler" and 0 -- these pipelines give eta, 0 by default
  local out = { steps = steps, eta = o.eta or quiet or nil }
  if o.sampler or o.grid then return out end
  if own.thins and o.strength and config._class_name == "LCMScheduler" then
    return { steps = steps, strength = o.strength }
  end
  out.first = first_of(where, o, steps)
  return out
end

local function unchanged(model) return model end

-- Whether a grid is still to be made, by a name or a function.
local function is_maker(grid) return type(grid) == "string" or type(grid) == "function" end

-- The number of steps of a call with a sampler of this library. It is nil if the sampler or the grid has its own.
local function number_of(where, own, o, process, solver)
  if o.grid ~= nil and not is_maker(o.grid) then
    if o.steps then fail.raise("%s: steps = %d and a grid of times; one of the two expected", where, o.steps) end
    return nil
  end
  if o.steps or solver.whole then return o.steps end
  local usual = own.asked or not solver.every and math.min(own.steps, option.steps.otherwise)
  return usual and math.min(usual, process.T) or nil
end

-- Whole steps from the level that the strength names. They are as many as asked for, or as usual if levels suffice. A
-- grid that is made has them over all levels, and those from the start down are taken.
local function edited(where, c, o, name, solver)
  local grid, steps = c.grid, c.steps
  if is_maker(grid) then
    grid = place.grid({ process = c.process, grid = grid, steps = steps, init = true }, name, solver)
    steps = nil
  elseif steps and not o.steps then
    steps = math.min(steps, math.max(1, math.floor(o.strength * c.process.T)))
  end
  local p = plan.of(where, { process = c.process, strength = o.strength, steps = steps, grid = grid }, solver)
  if p.steps == 0 then fail.raise("%s: strength = %g leaves no step to take", where, o.strength) end
  c.grid, c.steps = p.grid, nil
  return c
end

-- A sampler of this library starts from noise or from images.
local function own_way(where, own, process, sampler, o)
  local name, solver = families.resolve(sampler or option.sampler.default)
  local c = { process = process, sampler = sampler, grid = o.grid, wrap = unchanged }
  c.steps = number_of(where, own, o, process, solver)
  return o.strength and edited(where, c, o, name, solver) or c
end

local function by_scheduler(where, own, o, config)
  local steps = steps_of(own, o, config)
  local process, sampler, grid, wrap, facts = schedulers.scheduler(config, scheduling(where, own, o, config, steps))
  if not process then fail.raise("%s: %s", where, sampler) end
  local c = { process = process, sampler = sampler, grid = grid, upward = facts.upward, start = facts.start }
  if o.sampler or o.grid then c = own_way(where, own, process, o.sampler or sampler, o) end
  c.wrap, c.number = wrap, steps
  return c
end

local function by_process(where, own, o)
  check_eta(where, o)
  return own_way(where, own, own.process, o.sampler, o)
end

--- The course of a call.
---@param where string
---@param own table {scheduler = config or nil, process = of this library or nil, steps, thins,
---  asked = the steps that d.hub.load was given}
---@param o table {steps, eta, sampler, grid, scheduler, strength = nil if the run starts from noise}
---@return table {process, sampler, grid, steps, wrap, upward, start = scale of the first noise, number = of
---  steps}
function course.of(where, own, o)
  local config = course.scheduler(where, o.scheduler, own.scheduler)
  if config then return by_scheduler(where, own, o, config) end
  if own.process then return by_process(where, own, o) end
  fail.raise("%s: there is no scheduler; give one, as scheduler = \"path/scheduler_config.json\" of d.hub.load", where)
end

return course

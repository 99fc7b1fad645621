-- The levels and timesteps that DPM-Solver, UniPC, DEIS and SA-Solver share.
local betas = require "diffusion.hub.scheduler.betas"
local curve = require "diffusion.hub.scheduler.curve"
local keys = require "diffusion.hub.scheduler.keys"
local spacing = require "diffusion.hub.scheduler.spacing"
local grids = require("diffusion.grid").grid
local named = require("diffusion.schedule").schedule

local solver = {}

-- Leaves out a last step from a level to itself, which changes nothing.
local function stopped(times, last)
  if times[#times] == last then times[#times] = nil end
  return times, last
end

local function on_curve(plan, c, name)
  local last = c.final_sigmas_type == "sigma_min" and 1 or 0
  function plan.times(N) return stopped(curve.whole(c, plan.schedule, name, N), last) end
  plan.shown = name == "karras" and curve.rounded or curve.cut
  return plan
end

local function in_time(plan, c)
  local last = c.final_sigmas_type == "sigma_min" and 1 or 0
  function plan.times(N)
    return stopped(spacing.levels(spacing.dropped(c, N), c.num_train_timesteps, N), last)
  end
  return plan
end

-- On the path x_t = (1 - w) x_0 + w eps.
local function on_path(plan, c, grid)
  local T = c.num_train_timesteps
  plan.schedule = named.flow { shift = c.flow_shift, T = T }
  local noise = plan.schedule.noise
  function plan.times(N) return grids.preset(grid)(plan.schedule, N):times(), 0 end
  function plan.shown(t) return math.floor(T * math.min(noise(plan.schedule, t), 1 - 1e-6)) end
  return plan
end

--- The options that these classes share.
---@param more table their own
---@return table rules
function solver.keys(more)
  local out = {}
  local groups = { keys.betas(), keys.predicts { "epsilon", "sample", "v_prediction", "flow_prediction" },
    keys.threshold, keys.curves, keys.flow, keys.spacing "linspace", more }
  for _, group in ipairs(groups) do
    for name, rule in pairs(group) do out[name] = rule end
  end
  return out
end

--- A plan without its sampler.
---@param c table checked options
---@param flow_grid string|nil the preset of levels on a flow's path
---@return table
function solver.plan(c, flow_grid)
  local plan = { predict = keys.predict(c), clip = keys.clip_of(c) }
  if c.use_flow_sigmas then return on_path(plan, c, flow_grid or "diffusers-dpm-flow") end
  plan.schedule = betas.schedule(c)
  local name = curve.name(c)
  if name then return on_curve(plan, c, name) end
  return in_time(plan, c)
end

--- The option lower_order_final of the samplers: diffusers lowers the order in runs of fewer than 15
--- steps. A last step from a level to itself is the one that it lowers.
---@param c table checked options
---@param plan table
---@param N integer|nil steps of the whole run
---@return integer
function solver.lowered(c, plan, N)
  if not c.lower_order_final then return 0 end
  if not N then return 15 end
  local times = plan.times(N)
  return #times == N and N < 15 and math.maxinteger or 0
end

return solver

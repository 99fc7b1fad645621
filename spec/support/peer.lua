-- diffusers' schedulers as its own tests run them: their inputs, their dummy network, and
-- the plan that d.hub.scheduler makes of a scheduler's class and config. `run` runs it.
-- Schedulers of sigma hold y = x/a.
local d = require "diffusion"
local float32 = dofile "spec/support/float32.lua"

local peer = {}

-- ==== their inputs ===========================================================================

-- Filled as in diffusers: the batch index varies fastest.
local function filled(shape, f)
  local count, values = 1, {}
  for _, n in ipairs(shape) do count = count * n end
  local batch, rest = shape[1], count // shape[1]
  for b = 0, batch - 1 do
    for i = 0, rest - 1 do values[#values + 1] = f(i * batch + b, count) end
  end
  return d.tensor(values):reshape(shape)
end

local square = { 4, 3, 8, 8 }
function peer.sample(shape) return filled(shape or square, function(i, n) return i / n end) end
function peer.noise(shape) return filled(shape or square, function(i, n) return (n - 1 - i) / n end) end

-- Their network, x t/(t + 1), with their count of t.
function peer.network(x, t) return x * (t / (t + 1)) end

-- ==== plans ==================================================================================

-- How many of their steps make one of ours, and the classes that draw noise in every step.
local calls = { HeunDiscreteScheduler = 2, KDPM2DiscreteScheduler = 2, KDPM2AncestralDiscreteScheduler = 2,
                FlowMatchHeunDiscreteScheduler = 2 }
local every_step = { SASolverScheduler = true }

-- diffusers' alpha_bar in float32, of a config.
local function alpha_bar_of(class, config)
  local first, last, kind = config.beta_start, config.beta_end, config.beta_schedule
  local latent = class:find "^Heun" or class:find "^KDPM2"
  return float32.alpha_bar(kind or class == "UnCLIPScheduler" and "squaredcos_cap_v2" or "linear",
    first or latent and 0.00085 or 1e-4, last or latent and 0.012 or 0.02, config.num_train_timesteps or 1000)
end

-- The betas that give this alpha_bar.
local function betas_of(alpha_bar)
  local out, before = {}, 1
  for t, value in ipairs(alpha_bar) do
    out[t] = 1 - value / before
    before = value
  end
  return out
end

-- The config for d.hub.scheduler. in_float32 replaces the betas by those of diffusers' table.
local function config_of(class, config)
  local out = {}
  for key, value in pairs(config) do out[key] = value end
  out._class_name, out.in_float32, out.timesteps = class, nil, nil
  local betas = config.in_float32 and not config.trained_betas and class ~= "IPNDMScheduler"
  local table_of = betas and alpha_bar_of(class, config)
  if table_of then out.trained_betas, out.beta_schedule = betas_of(table_of), nil end
  return out
end

-- The grid of a line in time, with sigmas interpolated in float32.
local function line_in_float32(schedule, grid, N, first)
  local times = {}
  for i, t in ipairs(d.grid.linspace(schedule, N, { round = false }):times()) do
    local low, w = math.floor(t), t % 1
    local sigma = float32.round(schedule:sigma(low))
    if w > 0 then sigma = float32.round((1 - w) * sigma + w * float32.round(schedule:sigma(low + 1))) end
    times[i] = schedule:level_of_sigma(math.min(schedule:sigma(schedule.T), math.max(schedule:sigma(1), sigma)))
  end
  return d.grid.list(schedule, table.move(times, first, #times, 1, {}), { last = grid.last })
end

local function on_line(config)
  local curve = config.use_karras_sigmas or config.use_exponential_sigmas or config.use_beta_sigmas
  return not (curve or config.interpolation_type == "log_linear" or config.timestep_type == "continuous")
    and (config.timestep_spacing or "linspace") == "linspace"
end

--- The plan to run a scheduler as in diffusers, starting at step number `first`. Returns
--- nil and the reason if there is none.
function peer.plan(class, config, N, first)
  class, first = class:gsub("Parallel", ""), first or 1
  local plan = { config = config_of(class, config), told = {}, asked = 0 }
  local options = { steps = N, first = first, timesteps = config.timesteps }
  local process, sampler, grid, wrap, facts = d.hub.scheduler(plan.config, options)
  if not process then return nil, sampler end
  options.first = 1
  local whole = select(3, d.hub.scheduler(plan.config, options))
  if config.in_float32 and class == "UnCLIPScheduler" then
    process = d.process { schedule = d.schedule.from_alpha_bar(alpha_bar_of(class, config)), predict = process.predict }
    grid = d.grid.list(process.schedule, grid:times())
  end
  if config.in_float32 and facts.unit and on_line(config) then
    grid = line_in_float32(process.schedule, grid, N, first)
  end
  plan.network = wrap(function(x, t)
    plan.told[#plan.told + 1] = t - 1
    plan.asked = plan.asked + 1
    return peer.network(x, t - 1)
  end)
  plan.process, plan.sampler, plan.schedule, plan.grid, plan.wrap = process, sampler, process.schedule, grid, wrap
  plan.calls, plan.sigma, plan.idle = calls[class] or 1, facts.unit == "sigma", #whole < N
  plan.every_step, plan.upward = every_step[class], facts.upward
  plan.skipped = table.move(whole:times(), 1, first - 1, 1, {})
  plan.first = plan.upward and grid.last or grid[1][1]
  return setmetatable(plan, { __index = peer })
end

--- The timestep that the network gets at level t.
function peer:shown(t)
  local told
  self.wrap(function(x, asked)
    told = asked - 1
    return x
  end)(d.zeros(1), t)
  return told
end

-- Their samples in our units: y = x/a, or x itself.
function peer:scale(t) return self.sigma and self.schedule:signal(t) or 1 end

--- Their tests of EDM's DPM-Solver pass x to the network without scaling.
function peer:without_scaling()
  local sign = self.config.prediction_type == "v_prediction" and -1 or 1
  function self.network(x, t) return peer.network(x, self:shown(t)) * sign end
end

--- Their normal numbers. A scheduler may draw some at every step, needed or not.
function peer:normals()
  local g, drawn = d.generator { kind = "torch", seed = 0 }, 0
  if not self.every_step then return g end
  return function(x)
    local z
    while drawn < self.asked do drawn, z = drawn + 1, g:randn(x:shape()) end
    return z
  end
end

--- Runs from y, in their units. Calls each(step number, y) after each step, and returns
--- y.
function peer:run(y, each)
  local run = d.sampler.steps { model = self.network, process = self.process, grid = self.grid,
    init = y * self:scale(self.first), sampler = self.sampler, noise = self:normals() }
  for step in run do
    y = step.x * (1 / self:scale(step.s))
    if each then each(step.i, y) end
  end
  return y
end

-- Torch's normal numbers, as a noise source of a sampler.
local function arithmetic(normals)
  local function mix_noise(sigma, ...)
    local x = select(2, ...)
    return d.mix(sigma, type(normals) == "function" and normals(x) or normals:randn(x:shape()), ...)
  end
  return { mix = d.mix, mix_noise = mix_noise,
           mix_path = function(sigma, _, _, _, ...) return mix_noise(sigma, ...) end }
end

--- The steps of a plan's grid, for walk.
function peer:pairs()
  local out, n = {}, #self.grid
  for i, step in ipairs(self.grid) do out[i] = { t = step[1], s = step[2], i = i, n = n } end
  return out
end

--- Runs given steps from x, in our units: steps that are not a grid, with another
--- denoise, or with a change of x before each.
function peer:walk(x, pairs, denoise, before, each)
  denoise = denoise or function(y, t) return self.process:estimate(self.network(y, t), y, t) end
  local step, history = d.sampler.step(self.sampler, denoise, self.process, arithmetic(self:normals())), {}
  for i, pair in ipairs(pairs) do
    if before then x = before(x, pair) end
    x = step(x, pair, history)
    if each then each(i, x) end
  end
  return x
end

return peer

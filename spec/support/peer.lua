-- diffusers' schedulers as its own tests run them: their inputs, their dummy network, and
-- the translation of a scheduler's class and config. `plan(class, config, N)` gives the
-- process, the grid, the preset and the scale of x; `run` runs it. Schedulers of sigma
-- hold y = x/a.
local d = require "diffusion"
local configs = dofile "spec/support/diffusers_config.lua"
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

-- ==== a class and a config, as presets =======================================================

local predicts = { epsilon = "eps", v_prediction = "v", sample = "x0", flow_prediction = "flow" }

local function default(value, otherwise) if value == nil then return otherwise end return value end

local function form_of(c) return c.solver_type == "heun" and "heun" or "midpoint" end

local function capped(c, name, o)
  o.ratio, o.most = c.dynamic_thresholding_ratio, c.sample_max_value
  return d.sampler.preset(name .. "-threshold-capped", o)
end

-- diffusers lowers the order of a last step from a level to itself. Here both are left
-- out.
local function lowered(c, idle) return default(c.lower_order_final, true) and not idle and 15 or 0 end

local function multistep(c, _, _, idle)
  local o = { form = form_of(c), lower_order_final = lowered(c, idle), euler_at_final = c.euler_at_final }
  local kind, order = c.algorithm_type or "dpmsolver++", c.solver_order or 2
  if kind == "sde-dpmsolver++" then
    return d.sampler.preset(order == 1 and "diffusers-dpmpp-1-sde" or "diffusers-dpmpp-2m-sde")
  end
  local family = kind == "dpmsolver" and "diffusers-dpm-" or "diffusers-dpmpp-"
  if order == 1 then return d.sampler.preset(family .. "1") end
  if order == 3 then return d.sampler.preset(family .. "3m-half-second-difference", o) end
  if c.thresholding then return capped(c, family .. "2m", o) end
  return d.sampler.preset(family .. "2m", o)
end

local function inverse(c, _, _, idle)
  local o = { form = form_of(c), lower_order_final = lowered(c, idle) }
  if c.thresholding then return capped(c, "diffusers-dpmpp-2m-inverse", o) end
  return d.sampler.preset("diffusers-dpmpp-2m-inverse", o)
end

-- The order of each of N evaluations, starting at number `first`.
local function orders_of(N, order, lower, first)
  local out = {}
  for i = first, N do
    out[#out + 1] = N % order == 0 and lower and i == N and 1 or (i - 1) % order + 1
  end
  return out
end

local function singlestep(c, N, first)
  local order, final = c.solver_order or 2, c.final_sigmas_type or "zero"
  local lower = c.lower_order_final or N % order ~= 0 or final == "zero"
  local name = c.algorithm_type == "dpmsolver" and "diffusers-dpm-singlestep" or "diffusers-dpmpp-singlestep"
  local o = { order = order, form = form_of(c), lower_order_final = lower }
  if first > 1 then o.orders = orders_of(N, order, lower, first) end
  return d.sampler.preset(name, o)
end

local function unipc(c)
  return d.sampler.preset(c.predict_x0 == false and "diffusers-unipc-eps" or "diffusers-unipc", {
    order = c.solver_order, variant = c.solver_type,
    lower_order_final = c.lower_order_final == false and 0 or nil,
  })
end

local function deis(c, _, _, idle)
  return d.sampler.preset("diffusers-deis", { order = c.solver_order, lower_order_final = lowered(c, idle) })
end

local function clip_of(c) return default(c.clip_sample, true) and (c.clip_sample_range or 1) or nil end

local function ddim(c)
  return d.sampler.preset("diffusers-ddim-eps-of-unclipped-x0", { clip = clip_of(c) })
end

local function ddim_inverse(c)
  return d.sampler.preset("diffusers-ddim-inverse-told-next-time", { clip = clip_of(c) })
end

local function pndm(c)
  if c.prediction_type == "v_prediction" then return d.sampler.preset "diffusers-pndm-multistep-in-v" end
  return d.sampler.preset(c.skip_prk_steps and "diffusers-pndm-skip-prk" or "diffusers-pndm")
end

local function named(name) return function() return d.sampler.preset(name) end end

-- By class: the preset, whether samples are y = x/a (sigma), whether the process clips,
-- and how many of its steps make one of ours (calls).
local classes = {
  DDPMScheduler = { named "diffusers-ddpm", clip = clip_of },
  UnCLIPScheduler = { named "diffusers-unclip", clip = clip_of },
  DDIMScheduler = { ddim }, DDIMInverseScheduler = { ddim_inverse }, PNDMScheduler = { pndm },
  EulerDiscreteScheduler = { named "diffusers-euler", sigma = true },
  EulerAncestralDiscreteScheduler = { named "diffusers-euler-ancestral", sigma = true },
  LMSDiscreteScheduler = { named "diffusers-lms", sigma = true },
  HeunDiscreteScheduler = { named "diffusers-heun", sigma = true, calls = 2 },
  KDPM2DiscreteScheduler = { named "diffusers-kdpm2", sigma = true, calls = 2 },
  KDPM2AncestralDiscreteScheduler = { named "diffusers-kdpm2-ancestral", sigma = true, calls = 2 },
  DPMSolverMultistepScheduler = { multistep }, DPMSolverMultistepInverseScheduler = { inverse },
  DPMSolverSinglestepScheduler = { singlestep }, EDMDPMSolverMultistepScheduler = { multistep },
  EDMEulerScheduler = { named "diffusers-edm-euler" }, UniPCMultistepScheduler = { unipc },
  DEISMultistepScheduler = { deis }, IPNDMScheduler = { named "diffusers-ipndm-start-without-x0" },
  SASolverScheduler = { named "diffusers-sa", every_step = true }, LCMScheduler = { named "diffusers-lcm" },
  TCDScheduler = { function(c) return d.sampler.preset("diffusers-tcd", { gamma = c.eta }) end },
  CMStochasticIterativeScheduler = { named "diffusers-consistency", clip = function() return 1 end },
  FlowMatchEulerDiscreteScheduler = { named "diffusers-flow-euler" },
  FlowMatchHeunDiscreteScheduler = { named "diffusers-flow-heun", calls = 2 },
}
-- ==== networks ===============================================================================

-- Calls the network with the shown time: x and a level, or one level per sample.
local function asks(shown)
  return function(x, t) return peer.network(x, shown(t)) end
end

-- EDM: c_in x, and c_out with the opposite sign for v.
local function edm_network(schedule, shown, sign)
  return function(x, t)
    return peer.network(x * (1 / math.sqrt(schedule:sigma(t) ^ 2 + 0.25)), shown(t)) * sign
  end
end

-- Consistency models: c_skip x + c_out F.
local function consistency_network(schedule, shown)
  local least = schedule:sigma(1)
  return function(x, t)
    local sigma = schedule:sigma(t)
    local root, over = math.sqrt(sigma ^ 2 + 0.25), sigma - least
    return x * (0.25 / (over ^ 2 + 0.25)) + peer.network(x * (1 / root), shown(t)) * (over * 0.5 / root)
  end
end

-- Euler's v, as x0, on levels without a = 1/sqrt(sigma^2 + 1).
local function euler_v_network(schedule, shown)
  return function(x, t)
    local sigma = schedule:sigma(t)
    local a = 1 / math.sqrt(sigma ^ 2 + 1)
    return x * a ^ 2 - peer.network(x * a, shown(t)) * (sigma * a)
  end
end

local function network_of(class, config, schedule, shown)
  if class:find "^EDM" then
    return edm_network(schedule, shown, config.prediction_type == "v_prediction" and -1 or 1), "edm"
  end
  if class:find "^CM" then return consistency_network(schedule, shown), "x0" end
  if class:find "^FlowMatch" then return asks(shown), "flow" end
  if class == "IPNDMScheduler" then return asks(shown), "v" end
  if config.timestep_type == "continuous" then return euler_v_network(schedule, shown), "x0" end
  return asks(shown), predicts[config.prediction_type or "epsilon"]
end

-- ==== plans ==================================================================================

-- Euler with sigmas in equal steps of their logarithm. The network gets times in equal
-- steps, which do not match the sigmas.
local function log_linear(config, N)
  local plain = {}
  for key, value in pairs(config) do plain[key] = key ~= "interpolation_type" and value or nil end
  local schedule = configs.of("EulerDiscreteScheduler", plain, N)
  local high, low = math.log(schedule:sigma(schedule.T)), math.log(schedule:sigma(1))
  local sigmas, told = {}, {}
  for i = 1, N do sigmas[i] = math.exp(high + (low - high) * (i - 1) / N) end
  local grid = d.grid.sigmas(schedule, sigmas, { last = 1 })
  for i, step in ipairs(grid) do told[step[1]] = (schedule.T - 1) * (N - i) / (N - 1) end
  return schedule, grid, function(t) return told[t] end
end

local function with_last(schedule, grid, last) return d.grid.list(schedule, grid:times(), { last = last }) end

-- Upward: the network gets the level of x. Their last level is the noisiest.
local function upward(class, config, N)
  if class == "DPMSolverMultistepInverseScheduler" then
    local c = { final_sigmas_type = "sigma_min" }
    for key, value in pairs(config) do c[key] = value end
    return configs.of("DPMSolverMultistepScheduler", c, N)
  end
  local schedule, grid, shown = configs.of("DDIMScheduler", config, N)
  return schedule, with_last(schedule, grid, config.set_alpha_to_one == false and 1 or 0), shown
end

-- The last level before pure noise, where UniPC's flow starts: float32's 1 - 1e-6.
local function before_noise(schedule, grid)
  local w = string.unpack("f", string.pack("f", 1 - 1e-6))
  local times = grid:times()
  times[1] = schedule:level_of_sigma(w / (1 - w))
  return d.grid.list(schedule, times)
end

-- KDPM2's times are integers on a curve of sigmas, and real in between.
local function whole_on_grid(grid, shown)
  local on = {}
  for _, t in ipairs(grid:times()) do on[t] = true end
  return function(t) return on[t] and shown(t) or t - 1 end
end

-- On a line of times the network gets those times. The sigmas there are on a line between
-- integer times. At the midpoints of KDPM2 it gets our own time.
local function told_on_line(schedule, grid, in_float32)
  local times, told, line = grid:times(), {}, d.grid.linspace(schedule, #grid, { round = false }):times()
  for i, t in ipairs(line) do
    if in_float32 then
      local low, w = math.floor(t), t % 1
      local sigma = float32.round(schedule:sigma(low))
      if w > 0 then sigma = float32.round((1 - w) * sigma + w * float32.round(schedule:sigma(low + 1))) end
      times[i] = schedule:level_of_sigma(math.min(schedule:sigma(schedule.T), math.max(schedule:sigma(1), sigma)))
    end
    told[times[i]] = t - 1
  end
  return d.grid.list(schedule, times, { last = grid.last }), function(t) return told[t] or t - 1 end
end

local function levels_of(class, config, N)
  if config.interpolation_type == "log_linear" then return log_linear(config, N) end
  if class:find "Inverse" then return upward(class, config, N) end
  local schedule, grid, shown = configs.of(class, config, N)
  if not schedule then return nil, grid end
  if class == "TCDScheduler" then grid = with_last(schedule, grid, 1) end
  if class == "UniPCMultistepScheduler" and config.use_flow_sigmas then grid = before_noise(schedule, grid) end
  if not (classes[class].sigma and schedule:is_vp()) then return schedule, grid, shown end
  local curve = config.use_karras_sigmas or config.use_exponential_sigmas or config.use_beta_sigmas
  if not curve and (config.timestep_spacing or "linspace") == "linspace" then
    return schedule, told_on_line(schedule, grid, config.in_float32)
  end
  return schedule, grid, class:find "^KDPM2" and whole_on_grid(grid, shown) or shown
end

--- The plan to run a scheduler as in diffusers, starting at step number `first`. Returns
--- nil and the reason if there is none.
function peer.plan(class, config, N, first)
  class, first = class:gsub("Parallel", ""), first or 1
  local kind = classes[class]
  if not kind then return nil, class .. " is not one of ours" end
  local schedule, grid, shown = levels_of(class, config, N)
  if not schedule then return nil, grid end
  local network, predict = network_of(class, config, schedule, shown)
  local idle = #grid < N
  local plan = {
    process = d.process { schedule = schedule, predict = predict, clip = kind.clip and kind.clip(config) },
    sampler = kind[1](config, N, first, idle), schedule = schedule, shown = shown, network = network,
    calls = kind.calls or 1, sigma = kind.sigma and schedule:is_vp(), idle = idle,
    every_step = kind.every_step, asked = 0, upward = class:find "Inverse" ~= nil,
    predicts = predicts[config.prediction_type],
  }
  plan.skipped = table.move(grid:times(), 1, first - 1, 1, {})
  plan.grid = first == 1 and grid
    or d.grid.list(schedule, table.move(grid:times(), first, #grid, 1, {}), { last = grid.last })
  plan.first = plan.upward and grid.last or plan.grid[1][1]
  function plan.network(x, t)
    plan.asked = plan.asked + 1
    return network(x, t)
  end
  -- tau is 1 between their times 200 and 800
  if kind.every_step then
    function plan.sampler.tau(t)
      local told = shown(t)
      return told >= 200 and told <= 800 and 1 or 0
    end
  end
  return setmetatable(plan, { __index = peer })
end

-- Their samples in our units: y = x/a, or x itself.
function peer:scale(t) return self.sigma and self.schedule:signal(t) or 1 end

--- Their tests of EDM's DPM-Solver pass x to the network without scaling.
function peer:without_scaling()
  local sign = self.predicts == "v" and -1 or 1
  function self.network(x, t) return peer.network(x, self.shown(t)) * sign end
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

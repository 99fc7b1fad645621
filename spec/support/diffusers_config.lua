-- Translates a scheduler config of diffusers. `of(class, config, N)` returns the
-- schedule, the grid of N steps, and shown(t), the time that the network gets at level t.
-- It returns nil and the reason if there is no such grid here. Times of diffusers count
-- from 0.
local d = require "diffusion"
local float32 = dofile "spec/support/float32.lua"

local preset = d.grid.preset

-- ==== classes ==============================================================================

-- The options that the class accepts, and their defaults.
local ddpm = { spacing = "leading" }
local euler = { spacing = "linspace", linspace = "diffusers-euler-linspace", curve = "diffusers-" }
local dpm = { spacing = "linspace", family = "dpm-", curve = "diffusers-dpm-", whole = true }
local kdpm = { spacing = "linspace", linspace = "diffusers-euler-linspace", curve = "diffusers-", whole = true,
               beta_start = 0.00085, beta_end = 0.012 }
local heun = { spacing = "linspace", linspace = "diffusers-euler-linspace", curve = "diffusers-",
               beta_start = 0.00085, beta_end = 0.012 }
local deis = { spacing = "linspace", family = "dpm-", curve = "diffusers-dpm-", whole = true,
               final_sigmas_type = "sigma_min" }
local lcm = { lcm = true, beta_schedule = "scaled_linear", beta_start = 0.00085, beta_end = 0.012 }

local classes = {
  DDPMScheduler = ddpm, DDIMScheduler = ddpm,
  PNDMScheduler = { spacing = "leading", set_alpha_to_one = false },
  UnCLIPScheduler = { spacing = "linspace", beta_schedule = "squaredcos_cap_v2" },
  EulerDiscreteScheduler = euler, EulerAncestralDiscreteScheduler = euler, LMSDiscreteScheduler = euler,
  HeunDiscreteScheduler = heun, KDPM2DiscreteScheduler = kdpm, KDPM2AncestralDiscreteScheduler = kdpm,
  DPMSolverMultistepScheduler = dpm, DPMSolverSinglestepScheduler = dpm, UniPCMultistepScheduler = dpm,
  DEISMultistepScheduler = deis, SASolverScheduler = deis,
  LCMScheduler = lcm, TCDScheduler = lcm,
}

-- ==== schedules ============================================================================

local betas = { linear = "linear", scaled_linear = "scaled_linear", sigmoid = "sigmoid_beta" }

local function schedule_of(class, config)
  local T = config.num_train_timesteps or 1000
  local kind = config.beta_schedule or class.beta_schedule or "linear"
  local s
  if config.in_float32 then s = d.schedule.from_alpha_bar(float32.alpha_bar(kind, config.beta_start or class.beta_start
    or 1e-4, config.beta_end or class.beta_end or 0.02, T))
  elseif config.trained_betas then s = d.schedule.from_beta(config.trained_betas)
  elseif kind == "squaredcos_cap_v2" then s = d.schedule.cosine { T = T }
  elseif kind == "exp" then s = d.schedule.exponential { T = T }
  elseif betas[kind] then
    s = d.schedule[betas[kind]] {
      T = T, rescale = false, beta_start = config.beta_start or class.beta_start or 1e-4,
      beta_end = config.beta_end or class.beta_end or 0.02,
    }
  else return nil, ("beta_schedule '%s': its formula there isn't the published one"):format(kind) end
  return config.rescale_betas_zero_snr and s:rescale_zero_terminal_snr() or s
end

-- ==== grids ================================================================================

local function from_zero(t) return t - 1 end

-- Rounds half to even.
local function rounded(t)
  local whole = math.floor(t - 1)
  local over = t - 1 - whole
  return over > 0.5 and whole + 1 or over == 0.5 and whole + whole % 2 or whole
end
local function cut(t) return math.floor(t - 1 + 1e-9) end

local curves = { use_karras_sigmas = "karras", use_exponential_sigmas = "exponential", use_beta_sigmas = "beta",
                 use_lu_lambdas = "lu" }

local function curve_of(config)
  for key, name in pairs(curves) do if config[key] then return name end end
end

-- The level at which the last step ends.
local function last_of(class, config)
  local to_one, final = config.set_alpha_to_one, config.final_sigmas_type or class.final_sigmas_type
  if to_one == nil then to_one = class.set_alpha_to_one end
  return (to_one == false or final == "sigma_min") and 1 or 0
end

-- diffusers may end with a step from a level to itself. Here that step is left out.
local function stopped(make, schedule, N, o, last)
  local all = make(schedule, N, o)
  if last == 0 then return all end
  local times = all:times()
  if times[#times] == last then times[#times] = nil end
  return d.grid.list(schedule, times, { last = last })
end

local function by_curve(class, config, schedule, N, curve)
  local o = class.curve == "diffusers-" and { spacing = config.timestep_spacing or class.spacing,
                                              offset = config.steps_offset } or {}
  local grid = stopped(preset(class.curve .. curve), schedule, N, o, last_of(class, config))
  if not class.whole then return grid, from_zero end
  return grid, curve == "karras" and rounded or cut
end

local function by_times(class, config, schedule, N)
  local spacing = config.timestep_spacing or class.spacing
  local o = spacing == "leading" and { offset = config.steps_offset } or {}
  local name = class[spacing] or "diffusers-" .. (class.family or "") .. spacing
  return stopped(preset(name), schedule, N, o, last_of(class, config)), from_zero
end

local function by_levels(class, config, N)
  local schedule, why = schedule_of(class, config)
  if not schedule then return nil, why end
  if class.lcm then
    return schedule, preset "lcm"(schedule, N, { original = config.original_inference_steps }), from_zero
  end
  local curve = curve_of(config)
  if curve then return schedule, by_curve(class, config, schedule, N, curve) end
  return schedule, by_times(class, config, schedule, N)
end

-- ==== classes with their own schedules ==============================================

local function quarter_log(schedule) return function(t) return math.log(schedule:sigma(t)) / 4 end end

-- The class has its own range of noise levels, and the network gets ln(sigma)/4.
local function continuous(config, N, sigma_max)
  local s = d.schedule.edm { sigma_min = config.sigma_min or 0.002, sigma_max = config.sigma_max or sigma_max }
  local curve = config.sigma_schedule == "exponential" and d.grid.exponential or d.grid.karras
  return s, curve(s, N), quarter_log(s)
end

local function edm(config, N)
  local s, grid, shown = continuous(config, N, 80)
  if config.final_sigmas_type ~= "sigma_min" then return s, grid, shown end
  return s, d.grid.list(s, table.move(grid:times(), 1, N - 1, 1, {}), { last = 1 }), shown
end

local function flow_match(config, N)
  if config.invert_sigmas then return nil, "invert_sigmas: it walks upwards, from data to noise" end
  local s = d.schedule.flow { shift = config.shift, T = config.num_train_timesteps }
  local grid = preset "diffusers-flow-shifted-twice"(s, N, { shift_terminal = config.shift_terminal })
  return s, grid, function(t) return s.T * s:noise(t) end
end

local function dpm_flow(class, config, N)
  local s = d.schedule.flow { shift = config.flow_shift, T = config.num_train_timesteps }
  local name = class == "UniPCMultistepScheduler" and "diffusers-unipc-flow" or "diffusers-dpm-flow"
  return s, preset(name)(s, N), function(t) return math.floor(s.T * math.min(s:noise(t), 1 - 1e-6)) end
end

-- s = sin^2(u pi/2) with u = t/N. The network gets the angle of (a, s).
local function ipndm(_, N)
  local s = d.schedule.from_alpha_bar(function(u) return u == 1 and 0 or 1 - math.sin(u * math.pi / 2) ^ 4 end,
    { T = N })
  return s, d.grid.trailing(s, N), function(t) return math.atan(s:noise(t), s:signal(t)) / math.pi * 2 end
end

local function consistency(config, N)
  local s = d.schedule.edm {
    T = config.num_train_timesteps, sigma_min = config.sigma_min, sigma_max = config.sigma_max,
  }
  local times = {}
  for i = 1, N do times[i] = s.T - (config.timesteps and config.timesteps[N + 1 - i] or (i - 1) * (s.T // N)) end
  return s, d.grid.list(s, times, { last = 1 }), function(t) return 250 * math.log(s:sigma(t) + 1e-44) end
end

local own = {
  EDMEulerScheduler = edm, EDMDPMSolverMultistepScheduler = edm, IPNDMScheduler = ipndm,
  FlowMatchEulerDiscreteScheduler = flow_match, FlowMatchHeunDiscreteScheduler = flow_match,
  CMStochasticIterativeScheduler = consistency,
}

local diffusers_config = {}

--- @return diffusion.schedule|nil, diffusion.grid|string, function|nil
function diffusers_config.of(class, config, N)
  if own[class] then return own[class](config, N) end
  if not classes[class] then return nil, class .. ": it walks upwards, or is unknown" end
  if config.use_flow_sigmas then return dpm_flow(class, config, N) end
  if config.timestep_type == "continuous" then return continuous(config, N, 80) end
  if config.interpolation_type == "log_linear" then
    return nil, "interpolation_type log_linear: the network is told times that aren't those of its sigmas"
  end
  return by_levels(classes[class], config, N)
end

return diffusers_config

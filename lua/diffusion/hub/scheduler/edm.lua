-- EDM and consistency models: classes with a range of sigma of their own, and outputs that are not
-- one of our targets as they are.
local dpm = require "diffusion.hub.scheduler.dpm"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local named = require("diffusion.schedule").schedule

local edm = {}

-- Steps along the class's own range of noise levels, on which the network gets ln(sigma)/4. `last` is the level at
-- which final_sigmas_type = sigma_min ends, nil if it is that of the last step.
local function continuous(c, last)
  local exponential = c.sigma_schedule == "exponential"
  local s = exponential and named.ve { sigma_min = c.sigma_min, sigma_max = c.sigma_max }
    or named.edm { sigma_min = c.sigma_min, sigma_max = c.sigma_max, rho = c.rho }
  local function times(N)
    local out = {}
    for i = 1, N do out[i] = N == 1 and (exponential and 1 or s.T) or s.T - (i - 1) / (N - 1) * (s.T - 1) end
    return out, c.final_sigmas_type == "zero" and 0 or last or out[N]
  end
  return { schedule = s, shown = function(t) return math.log(s:sigma(t)) / 4 end, times = times }
end

-- c_in x, and the network of EDM. v has the opposite sign.
local function preconditioned(c, last)
  local plan = continuous(c, last)
  local s, sign = plan.schedule, c.prediction_type == "v_prediction" and -1 or 1
  plan.predict, plan.sigma_data = "edm", c.sigma_data
  function plan.start() return math.sqrt(c.sigma_max ^ 2 + 1) end
  function plan.input(t) return 1 / math.sqrt(s:sigma(t) ^ 2 + c.sigma_data ^ 2) end
  function plan.out() return sign end
  return plan
end

local function euler(c, o)
  local plan = preconditioned(c)
  plan.sampler = keys.churned(o, "edm", o.steps) or { "euler" }
  return plan
end

local function multistep(c, o)
  local plan = preconditioned(c, 1)
  plan.clip = keys.clip_of(c)
  if c.solver_type ~= "heun" then c.solver_type = "midpoint" end
  local lower = o.steps and (o.steps < 15 and math.maxinteger or 0) or 15
  plan.sampler = dpm.multistep(c, "x0", c.lower_order_final and lower or 0)
  return plan
end

-- Raises unless timesteps of the user's are whole, falling and in training.
local function check_timesteps(list, T)
  for i, step in ipairs(list or {}) do
    if not (math.tointeger(step) and step < (list[i - 1] or T)) then
      fail.raise("timestep %d of %d is %g; whole ones that fall from at most %d expected", i, #list, step, T - 1)
    end
  end
end

-- c_skip x + c_out F, which is x itself at the first level.
local function consistency(c, o)
  check_timesteps(o.timesteps, c.num_train_timesteps)
  local s = named.edm { T = c.num_train_timesteps, sigma_min = c.sigma_min, sigma_max = c.sigma_max, rho = c.rho }
  local data = c.sigma_data
  local function root(t) return math.sqrt(s:sigma(t) ^ 2 + data ^ 2) end
  local function times(N)
    local out = {}
    for i = 1, N do out[i] = s.T - (o.timesteps and o.timesteps[N + 1 - i] or (i - 1) * (s.T // N)) end
    return out, 1
  end
  return {
    schedule = s, predict = "x0", sampler = { "consistency", s_noise = c.s_noise }, times = times,
    clip = c.clip_denoised and 1 or nil, start = function() return c.sigma_max end,
    shown = function(t) return 250 * math.log(s:sigma(t) + 1e-44) end,
    input = function(t) return 1 / root(t) end,
    skip = function(t) return data ^ 2 / ((s:sigma(t) - c.sigma_min) ^ 2 + data ^ 2) end,
    out = function(t) return (s:sigma(t) - c.sigma_min) * data / root(t) end,
  }
end

local positive = { above = 0 }
local edm_keys = {
  sigma_min = keys.number(0.002, positive), sigma_max = keys.number(80, positive),
  sigma_data = keys.number(0.5, positive), rho = keys.number(7, positive),
  sigma_schedule = keys.choice("karras", { "karras", "exponential" }), num_train_timesteps = keys.steps(1000),
  prediction_type = keys.choice("epsilon", { "epsilon", "v_prediction" }),
  final_sigmas_type = keys.final("zero").final_sigmas_type,
}
local multistep_keys = {
  solver_order = keys.integer(2, 1, 3), lower_order_final = keys.flag(true), euler_at_final = keys.flag(false),
  algorithm_type = keys.choice("dpmsolver++", { "dpmsolver++", "sde-dpmsolver++" }),
  solver_type = keys.choice("midpoint", { "midpoint", "heun", "logrho", "bh1", "bh2" }),
}
for _, group in ipairs { edm_keys, keys.threshold } do
  for name, rule in pairs(group) do multistep_keys[name] = rule end
end
local consistency_keys = {
  num_train_timesteps = keys.steps(40, 2), sigma_min = keys.number(0.002, positive),
  sigma_max = keys.number(80, positive), sigma_data = keys.number(0.5, positive), s_noise = keys.number(1, { min = 0 }),
  rho = keys.number(7, positive), clip_denoised = keys.flag(true),
}

edm.classes = {
  EDMEulerScheduler = { keys = edm_keys, plan = euler, call = keys.churn },
  EDMDPMSolverMultistepScheduler = { keys = multistep_keys, plan = multistep },
  CMStochasticIterativeScheduler = { keys = consistency_keys, plan = consistency, call = { timesteps = true } },
}

return edm

-- The classes of flow matching: steps along the path x_t = (1 - w) x_0 + w eps. diffusers calls w sigma, and shows the
-- network T w.
local fail = require "diffusion.fail"
local curve = require "diffusion.hub.scheduler.curve"
local keys = require "diffusion.hub.scheduler.keys"
local named = require("diffusion.schedule").schedule
local opts = require "diffusion.opts"
local ramp = require "diffusion.hub.scheduler.ramp"
local stretched = require "diffusion.hub.scheduler.terminal"

-- ==== the w of a run =========================================================================

local function shifted(w, shift)
  w = shift * w / (1 + (shift - 1) * w)
  return math.abs(w - 1) < 1e-12 and 1 or w
end

-- The shift of a run: that of the config, or mu.
local function shift_of(c, o)
  if not c.use_dynamic_shifting then return c.shift end
  if not o.mu then fail.raise "use_dynamic_shifting needs the option mu, the shift that fits the size of the image" end
  if c.time_shift_type ~= "linear" then return math.exp(o.mu) end
  if o.mu <= 0 then fail.raise("mu = %g: with time_shift_type 'linear' it must be above 0", o.mu) end
  return o.mu
end

-- N equal steps from w = 1 to that of timestep 1, which is shifted once more than the others.
local function equal(c, N)
  local low, out = 1 / c.num_train_timesteps, {}
  if not c.use_dynamic_shifting then low = shifted(low, c.shift) end
  for i = 1, N do out[i] = N == 1 and 1 or 1 + (i - 1) / (N - 1) * (low - 1) end
  return out
end

-- The list of the user's as it is.
local function given_list(_, o, N) return table.move(o.sigmas, 1, N, 1, {}) end

-- The list of the user's, or w in equal steps.
local function before_shift(c, o, N)
  if o.sigmas then return given_list(c, o, N) end
  if not o.timesteps then return equal(c, N) end
  local out = {}
  for i, step in ipairs(o.timesteps) do out[i] = step / c.num_train_timesteps end
  return out
end

-- The w of FlowMatchEuler, which other classes take too.
local function euler_list(c, o, N)
  local list, shift, name = before_shift(c, o, N), shift_of(c, o), curve.name(c)
  for i, w in ipairs(list) do list[i] = shifted(w, shift) end
  if c.shift_terminal then stretched(list, c.shift_terminal) end
  return name and ramp.of(name, c.sigma_max or list[1], c.sigma_min or list[N], N) or list
end

-- N equal steps from w = 1 to 0, the last dropped.
local function map_list(c, o, N)
  local list = {}
  if o.sigmas or o.timesteps then list = before_shift(c, o, N)
  else for i = 1, N do list[i] = (N + 1 - i) / N end end
  for i, w in ipairs(list) do list[i] = shifted(w, c.shift) end
  return list
end

-- N points from w = 1 to 0, which make N - 1 steps.
local function points_list(c, o, N)
  if o.sigmas then return given_list(c, o, N) end
  if N < 2 then fail.raise "steps = 1: it counts the levels from noise to data, so 2 or more expected" end
  local list = {}
  for i = 1, N - 1 do list[i] = shifted(1 - (i - 1) / (N - 1), c.shift) end
  return list
end

-- ==== plans ==================================================================================

local function check_falling(list)
  for i, w in ipairs(list) do
    if not (w > 0 and w <= 1 and (i == 1 or w < list[i - 1])) then
      fail.raise("sigma %d of %d is %.6g; sigmas must fall within (0, 1]", i, #list, w)
    end
  end
  return list
end

-- The plan of a class whose w are list(c, o, N). `last` is the w at which the run ends.
local function on_path(c, o, list, last)
  local T, shift = c.num_train_timesteps or 1000, c.use_dynamic_shifting and 1 or c.shift
  local s = named.flow { T = T, shift = shift }
  local function level(w) return w == 1 and T or T * w / (shift - (shift - 1) * w) end
  local plan = { schedule = s, predict = "flow" }
  function plan.times(N)
    local out, told = {}, {}
    for i, w in ipairs(check_falling(list(c, o, N))) do
      out[i] = level(w)
      if o.timesteps and list == euler_list then told[out[i]] = o.timesteps[i] end
    end
    return out, level(last or 0), told
  end
  function plan.shown(t) return T * s:noise(t) end
  return plan
end

-- The network predicts x0 - eps, and gets the share of the data.
local function inverted(plan, T)
  local s, times = plan.schedule, plan.times
  function plan.times(N)
    local list, last = times(N)
    return list, last
  end
  function plan.shown(t) return T * s:signal(t) end
  function plan.out() return -1 end
  return plan
end

local function check_curves(c)
  local n = 0
  for _, key in ipairs { "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas" } do
    n = n + (c[key] and 1 or 0)
  end
  if n > 1 then fail.raise "only one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas can be true" end
end

-- The plan of a class that has this list and this sampler.
local function of(list, sampler)
  return function(c, o)
    local plan = on_path(c, o, list)
    plan.sampler = { sampler }
    return plan
  end
end

-- x0 and new noise at every step.
local fresh = { "lcm", sigma_data = 0 }

local function euler(c, o)
  check_curves(c)
  local plan = on_path(c, o, euler_list)
  plan.sampler = c.stochastic_sampling and fresh or { "flow_euler" }
  if not c.invert_sigmas then return plan end
  if c.stochastic_sampling then
    fail.raise "invert_sigmas with new noise at every step: diffusers takes eps for x0 there, and ends with noise"
  end
  return inverted(plan, c.num_train_timesteps)
end

local function lcm(c, o)
  if c.scale_factors then fail.raise "scale_factors: the size of x would change between steps" end
  c.stochastic_sampling = true
  return euler(c, o)
end

local function ancestral(c, o)
  if c.invert_sigmas then fail.raise "invert_sigmas: this class has no such steps" end
  local given = o.sigmas
  if given then c.shift = 1 end
  local plan = on_path(c, o, given and given_list or euler_list, given and given[#given])
  plan.sampler = { "diffusers-flow-euler-ancestral", eta = c.eta, s_noise = c.s_noise }
  return plan
end

local function points(c, o) return inverted(of(points_list, "flow_euler")(c, o), 1) end

-- ==== classes ================================================================================

local shift = { num_train_timesteps = keys.steps(1000), shift = keys.number(1, { above = 0 }) }
local euler_keys = opts.joined(shift, keys.curves, {
  use_dynamic_shifting = keys.flag(false), time_shift_type = keys.choice("exponential", { "exponential", "linear" }),
  base_shift = keys.number(0.5), max_shift = keys.number(1.15), base_image_seq_len = keys.integer(256),
  max_image_seq_len = keys.integer(4096), shift_terminal = keys.number(nil, { min = 0, below = 1 }),
  invert_sigmas = keys.flag(false), stochastic_sampling = keys.flag(false),
})
local modes = { "nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact" }
local lcm_keys = opts.joined(euler_keys,
  { scale_factors = { "table", each = { "number" } }, upscale_mode = keys.choice("bicubic", modes) })
local ancestral_keys = opts.joined(euler_keys,
  { eta = keys.number(1, { min = 0 }), s_noise = keys.number(1, { min = 0 }) })

local points_keys = { shift = keys.number(12, { above = 0 }) }

local lists = { mu = true, sigmas = true, timesteps = true }

return {
  FlowMatchEulerDiscreteScheduler = { keys = euler_keys, plan = euler, call = lists },
  FlowMatchHeunDiscreteScheduler = { keys = shift, plan = of(euler_list, "flow_heun") },
  FlowMatchLCMScheduler = { keys = lcm_keys, plan = lcm, call = lists },
  FlowMapEulerDiscreteScheduler = { keys = shift, plan = of(map_list, "flow_euler"),
    call = { sigmas = true, timesteps = true } },
  LTXEulerAncestralRFScheduler = { keys = ancestral_keys, plan = ancestral, call = { mu = true, sigmas = "ends" } },
  MiniMaxH3Scheduler = { keys = points_keys, plan = points, call = { sigmas = "ends" } },
}

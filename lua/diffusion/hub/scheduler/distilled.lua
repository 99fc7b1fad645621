-- Distilled networks whose steps go to the data and back: the consistency decoder and SCM.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local named = require("diffusion.schedule").schedule

-- Two steps from fixed levels. The network is that of EDM on x/a.
local function decoder(c, o)
  if o.steps and o.steps ~= 2 then fail.raise("steps = %d: this class has 2 steps", o.steps) end
  local s, data = named.cosine { T = c.num_train_timesteps }, c.sigma_data
  local function total(t) return s:sigma(t) ^ 2 + data ^ 2 end
  return {
    schedule = s, predict = "x0", sampler = { "lcm", sigma_data = 0 }, start = function(t) return s:noise(t) end,
    times = function()
      if s.T < 1009 then fail.raise("num_train_timesteps = %d, but the first step is at 1008", s.T) end
      return { 1009, 513 }, 0
    end,
    input = function(t) return 1 / s:signal(t) / math.sqrt(total(t)) end,
    skip = function(t) return data ^ 2 / s:signal(t) / total(t) end,
    out = function(t) return s:sigma(t) * data / math.sqrt(total(t)) end,
  }
end

-- x = cos(angle) x0 + sin(angle) sigma_data z. The network gets the angle.
local function angles(T, most, data)
  local function column(_, t)
    local angle = most * t / T
    return math.log(math.max(1e-9, math.cos(angle))), math.log(data * math.sin(angle))
  end
  local ln_a, ln_s = {}, {}
  for t = 1, T do ln_a[t], ln_s[t] = column(t / T, t) end
  return core.schedule_columns("trigflow", ln_a, ln_s, false, column)
end

-- The angles of N steps. Two steps have a second angle of their own.
local function angles_of(o, N, most)
  if o.timesteps then return o.timesteps end
  if o.intermediate_timesteps and N ~= 2 then fail.raise "intermediate_timesteps is for 2 steps" end
  if N == 2 then return { most, o.intermediate_timesteps or 1.3 } end
  local out = {}
  for i = 1, N do out[i] = most * (N + 1 - i) / N end
  return out
end

local function scm(c, o)
  local most = o.max_timesteps or 1.5708
  local T = c.num_train_timesteps
  local s = angles(T, most, c.sigma_data)
  local function angle(t) return most * t / T end
  return {
    schedule = s, predict = "x0", sampler = { "lcm", sigma_data = 0 }, shown = angle,
    times = function(N)
      local times, last = {}, 0
      for i, value in ipairs(angles_of(o, N, most)) do times[i] = value / most * T end
      if o.timesteps then last = table.remove(times) end
      return times, last
    end,
    skip = function(t) return math.cos(angle(t)) end,
    out = function(t) return -math.sin(angle(t)) end,
  }
end

local function wuerstchen_levels(c)
  local T, s, k = 1000, c.s, c.scaler
  local first = math.cos(s / (1 + s) * math.pi / 2) ^ 2
  local function alpha_bar(_, t)
    local u = (t - 1) / (T - 1)
    local moved = k > 1 and 1 - (1 - u) ^ k or k < 1 and u ^ k or u
    local value = math.cos((moved + s) / (1 + s) * math.pi / 2) ^ 2 / first
    return math.max(1e-4, math.min(0.9999, value)) * (1 - 2e-11 * u) -- falls where diffusers' is flat
  end
  return named.from_alpha_bar(alpha_bar, { T = T }), T
end

-- The network gets u in 0..1. The last level has noise, of alpha_bar = 0.9999.
local function wuerstchen(c, o)
  local s, T = wuerstchen_levels(c)
  local function level(u) return 1 + u * (T - 1) end
  return {
    schedule = s, predict = "eps", sampler = { "diffusers-ddpm-without-last-noise", last = 1, least = 1e-10 },
    shown = function(t) return (t - 1) / (T - 1) end,
    times = function(N)
      local times = {}
      for i = 1, N + 1 do times[i] = level(o.timesteps and o.timesteps[i] or (N + 1 - i) / N) end
      return times, table.remove(times)
    end,
  }
end

local positive = { above = 0 }

return {
  ConsistencyDecoderScheduler = { plan = decoder,
    keys = { num_train_timesteps = keys.steps(1024), sigma_data = keys.number(0.5, positive) } },
  SCMScheduler = { plan = scm, call = { timesteps = "ends", max_timesteps = true, intermediate_timesteps = true },
    keys = { num_train_timesteps = keys.steps(1000), sigma_data = keys.number(0.5, positive),
      prediction_type = keys.choice("trigflow", { "trigflow" }) } },
  DDPMWuerstchenScheduler = { plan = wuerstchen, call = { timesteps = "ends" },
    keys = { scaler = keys.number(1, positive), s = keys.number(0.008, positive) } },
}

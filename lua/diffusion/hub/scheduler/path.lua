-- Classes along the path x_t = (1 - w) x_0 + w eps that only some networks have: FlowMap, LTX and MiniMax.
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local named = require("diffusion.schedule").schedule

-- A plan of these w, the latest first. `last` is the w at which it ends.
local function plan_of(T, sampler, list_of)
  local s = named.flow { T = T }
  return {
    schedule = s, predict = "flow", sampler = sampler, shown = function(t) return T * s:noise(t) end,
    times = function(N)
      local list, last = list_of(N)
      local times, told = {}, {}
      for i, w in ipairs(list) do
        if not (w > 0 and w <= 1 and (i == 1 or w < list[i - 1])) then
          fail.raise("sigmas must fall within (0, 1], but number %d is %g", i, w)
        end
        times[i] = w * T
        told[times[i]] = w * T
      end
      return times, (last or 0) * T, told
    end,
  }
end

local function shifted(w, shift) return shift * w / (1 + (shift - 1) * w) end

-- FlowMap: w of N steps of equal length from 1, or of the user's, shifted.
local function flow_map(c, o)
  local T = c.num_train_timesteps
  return plan_of(T, { "flow_euler" }, function(N)
    local list = {}
    for i = 1, N do
      local w = o.sigmas and o.sigmas[i] or o.timesteps and o.timesteps[i] / T or (N + 1 - i) / N
      list[i] = shifted(w, c.shift)
    end
    return list
  end)
end

-- MiniMax: N entries from 1 to 0 are N - 1 steps. The network gets 1 - w, and predicts x0 - eps.
local function minimax(c, o)
  local plan = plan_of(1000, { "flow_euler" }, function(N)
    local list = {}
    for i = 1, o.sigmas and #o.sigmas or N do
      list[i] = o.sigmas and o.sigmas[i] or shifted((N - i) / (N - 1), c.shift)
    end
    if #list < 2 or list[#list] ~= 0 then fail.raise "at least two sigmas that end at 0, or 2 steps, expected" end
    list[#list] = nil
    return list
  end)
  local times, schedule = plan.times, plan.schedule
  function plan.times(N)
    local list, last, told = times(N)
    for t, w in pairs(told) do told[t] = 1 - w / 1000 end
    return list, last, told
  end
  plan.predict = "x0"
  function plan.shown(t) return 1 - schedule:noise(t) end
  function plan.skip() return 1 end
  function plan.out(t) return schedule:noise(t) end
  return plan
end

-- LTX: FlowMatchEuler's levels, with noise in each step. The user's sigmas end with the last level.
local function ltx(c, o)
  local T = c.num_train_timesteps
  if c.shift and c.shift ~= 1 then fail.raise("shift = %g isn't followed here; 1 expected", c.shift) end
  local sampler = { "diffusers-flow-euler-ancestral", eta = c.eta, s_noise = c.s_noise }
  return plan_of(T, sampler, function(N)
    local list = {}
    if o.sigmas then
      table.move(o.sigmas, 1, #o.sigmas, 1, list)
      return list, table.remove(list)
    end
    for i = 1, N do list[i] = N == 1 and 1 or 1 + (i - 1) * ((1 / T - 1) / (N - 1)) end
    return list
  end)
end

local positive = { above = 0 }

return {
  FlowMapEulerDiscreteScheduler = { plan = flow_map, call = { sigmas = true, timesteps = true },
    keys = { num_train_timesteps = keys.integer(1000, 1), shift = keys.number(1, positive) } },
  MiniMaxH3Scheduler = { plan = minimax, call = { sigmas = "ends" }, keys = { shift = keys.number(12, positive) } },
  LTXEulerAncestralRFScheduler = { plan = ltx, call = { sigmas = "ends" }, keys = {
    num_train_timesteps = keys.integer(1000, 1), shift = keys.number(nil, positive),
    eta = keys.number(1, { min = 0 }), s_noise = keys.number(1, { min = 0 }) } },
}

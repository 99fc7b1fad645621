-- PNDM and IPNDM: linear multistep methods in eps.
local betas = require "diffusion.hub.scheduler.betas"
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local named = require("diffusion.schedule").schedule
local grids = require("diffusion.grid").grid
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

-- The levels at which the network is evaluated once, from that of entry number `first` of diffusers' list. That has the
-- second level twice. The second result is the level of the second evaluation.
local function visited(levels, first)
  local list = table.move(levels, 1, 2, 1, {})
  table.move(levels, 2, #levels, 3, list)
  local times = { list[first] }
  table.move(list, first + 2, #list, 2, times)
  return times, list[first + 1]
end

-- diffusers' list of the levels at which the network is evaluated, with Runge-Kutta steps first.
local function list_of(levels, half)
  local out = { levels[1] }
  for i = 2, 4 do
    local s = levels[i]
    for _, t in ipairs { s + half, s + half, s, s } do out[#out + 1] = t end
  end
  out[#out] = nil
  return table.move(levels, 4, #levels, #out + 1, out)
end

-- The groups of Runge-Kutta in the list from entry number `first`, and the levels after them. The groups begin at the
-- first three levels, wherever the list does.
local function grouped(levels, half, first)
  local list = list_of(levels, half)
  local groups, times = {}, {}
  for g = 1, 3 do
    local told = table.move(list, first + 4 * g - 4, math.min(#list, first + 4 * g - 1), 1, {})
    if #told == 0 then break end
    local to = {}
    for k, t in ipairs(told) do to[k] = k % 2 == 1 and t - half or t end
    groups[g], times[g] = { from = levels[g], told = told, to = to }, told[1]
  end
  return groups, table.move(list, first + 12, #list, 4, times)
end

local function pndm(c, o)
  local kutta, last = not c.skip_prk_steps, c.set_alpha_to_one and 0 or 1
  local plan = { schedule = betas.schedule(c), predict = keys.predict(c), starts = true }
  local function levels(N)
    if kutta and N < 4 then fail.raise "steps of Runge-Kutta need at least 4 steps" end
    return spacing.levels(spacing.plain(c, N), c.num_train_timesteps, N)
  end
  local function half(N) return c.num_train_timesteps // N // 2 end
  function plan.times(N)
    if kutta then return select(2, grouped(levels(N), half(N), o.first)), last end
    local times, second = visited(levels(N), o.first)
    return times, times[2] and last or second or last
  end
  local N, sampler = o.steps, { "diffusers-pndm-previous-by-stride", steps = o.steps, last = last }
  sampler.of, sampler.start = c.prediction_type == "v_prediction" and "v" or "eps", kutta and "runge_kutta" or "heun"
  if N and kutta then sampler.groups = grouped(levels(N), half(N), o.first) end
  if N and not kutta then sampler.second = select(2, visited(levels(N), o.first)) end
  plan.sampler = sampler
  return plan
end

-- s = sin^2(u pi/2) with u = t/T.
local function sine(c)
  local T = c.num_train_timesteps
  local s = named.from_alpha_bar(function(u) return u == 1 and 0 or 1 - math.sin(u * math.pi / 2) ^ 4 end, { T = T })
  return s, function(N) return grids.trailing(s, N, { round = false }):times(), 0 end
end

-- diffusers takes trained_betas for the noise levels of the run, in their order and whatever their number.
local function given(list)
  local sorted, bars, level = table.move(list, 1, #list, 1, {}), {}, {}
  table.sort(sorted)
  for t, noise in ipairs(sorted) do
    if level[noise] then fail.raise("trained_betas has %g twice, and a run has each level once", noise) end
    bars[t], level[noise] = 1 - noise ^ 2, t
  end
  return named.from_alpha_bar(bars), function()
    local times = {}
    for i, noise in ipairs(list) do times[i] = level[noise] end
    return times, table.remove(times)
  end
end

-- The network gets the angle of (a, s).
local function ipndm(c)
  local s, times
  if c.trained_betas then s, times = given(c.trained_betas) else s, times = sine(c) end
  return {
    schedule = s, predict = "v", sampler = { "diffusers-ipndm-start-without-x0" }, times = times,
    shown = function(t) return math.atan(s:noise(t), s:signal(t)) / math.pi * 2 end,
  }
end

local pndm_keys = opts.joined(keys.betas(), keys.predicts { "epsilon", "v_prediction" }, keys.spacing "leading",
  { skip_prk_steps = keys.flag(false), set_alpha_to_one = keys.flag(false) })
local ipndm_keys = { num_train_timesteps = keys.steps(1000),
                     trained_betas = keys.betas().trained_betas }

return {
  PNDMScheduler = { keys = pndm_keys, plan = pndm },
  IPNDMScheduler = { keys = ipndm_keys, plan = ipndm },
}

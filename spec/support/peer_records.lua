-- Recorded runs of diffusers' schedulers, in scheduler_trajectories.json. compare(record)
-- runs one here and returns its largest error, or nil and the reason.
local peer = dofile "spec/support/peer.lua"

local records = {}

-- The error in units of the tolerance.
local function off(got, want, allowed) return math.abs(got - want) / allowed end

-- Maps our step i to their step number. Solvers with two evaluations take two, and PNDM's
-- second repeats its first.
local function numbering(plan, record)
  local n = #record.traj_sum_abs
  if plan.calls == 2 then return function(i) return math.min(2 * i, n) end end
  return function(i) return n == record.n + 1 and i + 1 or i end
end

local function worst_time(told, record)
  local worst = 0
  for i, t in ipairs(told) do worst = math.max(worst, off(t, record.timesteps[i], 1e-4 * math.max(1, math.abs(t)))) end
  return worst
end

local function worst_of_end(y, record)
  local values, worst = y:flatten():totable(), 0
  local allowed = 1e-5 * y:abs():max():item() + 1e-6
  local function hold(list, first)
    for i, want in ipairs(list) do
      if type(want) == "number" then worst = math.max(worst, off(values[first + i], want, allowed)) end
    end
  end
  hold(record.final_first8, 0)
  hold(record.final_last4, #values - 4)
  return worst
end

-- UnCLIP's record has no ends of steps. Each step ends one level down, wherever the next
-- step begins, so they are not a grid.
local function one_level_down(plan, y, each)
  local pairs = plan:pairs()
  for _, pair in ipairs(pairs) do pair.s = pair.t - 1 end
  return plan:walk(y, pairs, nil, nil, each)
end

--- Returns the largest error in units of the tolerance, and the number of steps with a
--- number in diffusers. It compares sums after the steps (1e-5 of them), times of the
--- network (1e-4), and the first and last values of the end (1e-5 of the largest, and
--- 1e-6).
function records.compare(record)
  local plan, why = peer.plan(record.scheduler, record.config, record.n)
  if not plan then return nil, why end
  local number = numbering(plan, record)
  local worst, compared = 0, 0
  local function each(i, y)
    local want = record.traj_sum_abs[number(i)]
    if type(want) ~= "number" then return end
    worst, compared = math.max(worst, off(y:abs():sum():item(), want, 1e-5 * want + 1e-9)), compared + 1
  end
  local walk = record.scheduler == "UnCLIPScheduler" and one_level_down or plan.run
  local y = walk(plan, peer.sample() * record.init_noise_sigma, each)
  return math.max(worst, worst_time(plan.told, record), worst_of_end(y, record)), compared
end

return records

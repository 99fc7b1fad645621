-- Other libraries' grids that are lists of times. A preset here is a table:
--   times(N, T, o, schedule)   the times, the latest first
--   rules                      its options, for opts.check
--   most(T, o), why            the largest N that the library can do, and why; without it, T
--   path                       true if it is only for x_t = (1 - w) x_0 + w eps
local fail = require "diffusion.fail"

local presets = {}

local function in_t(name, times, more)
  local form = { times = times }
  for key, value in pairs(more or {}) do form[key] = value end
  presets[name] = form
end

-- Rounds half to even, as numpy and Python do.
local function even(x)
  local whole = math.floor(x)
  local over = x - whole
  return math.tointeger(over > 0.5 and whole + 1 or over == 0.5 and whole + whole % 2 or whole)
end

-- f(i) for i = 1..N, the latest first.
local function each(N, f)
  local times = {}
  for i = 1, N do times[i] = f(i) end
  return times
end

-- Options of presets, by name.
local own = {
  offset = { "integer", default = 0, min = 0, text = "added to every time of leading spacing" },
  original = { "integer", default = 50, min = 1, text = "lcm: number of levels at which the network was distilled" },
  shift_terminal = { "number", above = 0, below = 1, text = "flow: the path is stretched so that 1 - w ends here" },
}

-- numpy.arange(T, 0, -T/N), rounded. At each place it adds (T - T/N) - T, in double.
local function diffusers_trailing(N, T)
  local step = (T - T / N) - T
  return each(N, function(i) return even(T + (i - 1) * step) end)
end

local function diffusers_leading(N, T, o)
  return each(N, function(i) return (N - i) * (T // N) + 1 + o.offset end)
end

local function diffusers_linspace(N, T)
  return each(N, function(i) return N == 1 and T or even((N - i) * ((T - 1) / (N - 1))) + 1 end)
end

-- DPMSolver, UniPC, DEIS and SA take N + 1 points and drop the lowest.
local function one_less(T) return math.max(1, T - 1) end
local why_less = ": this library takes one point more and drops it, which needs N + 1 <= T"

in_t("diffusers-trailing", diffusers_trailing)
in_t("diffusers-leading", diffusers_leading, { rules = { offset = own.offset } })
in_t("diffusers-leading-offset1", function(N, T) return diffusers_leading(N, T, { offset = 1 }) end)
in_t("diffusers-linspace", diffusers_linspace)
in_t("diffusers-dpm-trailing", diffusers_trailing)
in_t("diffusers-dpm-leading", function(N, T, o)
  return each(N, function(i) return (N + 1 - i) * (T // (N + 1)) + 1 + o.offset end)
end, { rules = { offset = own.offset }, most = one_less, why = why_less })
in_t("diffusers-dpm-linspace", function(N, T)
  return each(N, function(i) return i == 1 and T or even((N + 1 - i) * ((T - 1) / N)) + 1 end)
end, { most = one_less, why = why_less })

in_t("lucidrains", function(N, T) return each(N, function(i) return (N + 1 - i) * T // N end) end)

-- floor((j - 1)^2 0.8 T / (N - 1)^2) + 1, or j itself if that repeats a level
in_t("ddim-repo-quadratic", function(N, T)
  local root = N > 1 and math.sqrt(T * 0.8) / (N - 1) or 0
  return each(N, function(i)
    local j = N + 1 - i
    local top = i == 1 and math.sqrt(T * 0.8) or (j - 1) * root
    return math.max(j, math.floor(top ^ 2) + 1)
  end)
end)

-- The `original` levels at which a student was distilled, thinned to N.
local function originals(T, o) return math.min(T, o.original) end
in_t("lcm", function(N, T, o)
  local all = originals(T, o)
  return each(N, function(i) return (all - (i - 1) * all // N) * (T // all) end)
end, {
  rules = { original = own.original }, most = originals,
  why = ": the levels that the network was distilled at are 'original' in number; take fewer steps or raise it",
})

in_t("sd.cpp-simple", function(N, T) return each(N, function(i) return T - (i - 1) * T // N end) end)

-- N + 1 real points from T to 1, the lowest dropped.
local function uniform(N, T)
  return each(N, function(i) return T - (i - 1) * (T - 1) / N end)
end
in_t("sd.cpp-sgm-uniform", uniform)

-- ==== paths x_t = (1 - w) x_0 + w eps ======================================================

local function level_of_noise(schedule, w) return fail.call(schedule.level_of_sigma, schedule, w / (1 - w)) end

-- Times for N equal steps of w from 1 (level T) to `low`, before the schedule's shift.
local function flow_times(N, T, low)
  return each(N, function(i) return N == 1 and T or T - (i - 1) * (T - low) / (N - 1) end)
end

-- The times whose w are stretched so that the last is `terminal`.
local function stretched(times, T, terminal, schedule)
  if #times == 1 then return times end
  local scale = (1 - terminal) / (1 - schedule:noise(times[#times]))
  for i = 2, #times do times[i] = level_of_noise(schedule, 1 - (1 - schedule:noise(times[i])) * scale) end
  times[1] = T
  return times
end

local function flow(low)
  return function(N, T, o, schedule)
    local times = flow_times(N, T, low(schedule, T))
    return o.shift_terminal and stretched(times, T, o.shift_terminal, schedule) or times
  end
end

local flow_rules = { shift_terminal = own.shift_terminal }
local function on_path(name, times, rules)
  in_t(name, times, { rules = rules, path = true, most = function() return math.maxinteger end })
end

on_path("diffusers-flow", flow(function() return 1 end), flow_rules)
on_path("diffusers-flow-shifted-twice", flow(function(schedule, T) return T * schedule:noise(1) end), flow_rules)
on_path("diffusers-flux", function(N, T) return each(N, function(i) return T * (N + 1 - i) / N end) end)
on_path("diffusers-unipc-flow", uniform)
on_path("diffusers-dpm-flow", function(N, T)
  return each(N, function(i) return (T - 1) * (N + 1 - i) / N end)
end)

return { presets = presets, even = even, leading = diffusers_leading, linspace = diffusers_linspace,
         trailing = diffusers_trailing,
         rules = own, each = each }

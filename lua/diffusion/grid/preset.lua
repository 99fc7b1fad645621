-- Other libraries' grids, by the name of the library and of its option, in our times (theirs
-- + 1 where they count from 0). Where a library rounds, its floats and its rounding are
-- followed; where its grid is defective for some N (a step too many, no step, a repeated one)
-- there is the grid that was meant, or an error.
local made = require "diffusion.grid.made"
local opts = require "diffusion.opts"
local formula = require "diffusion.grid.formula"
local section = require "diffusion.grid.section"
local sigma = require "diffusion.grid.sigma"

-- Half to even, as numpy and Python round.
local function even(x)
  local whole = math.floor(x)
  local over = x - whole
  return math.tointeger(over > 0.5 and whole + 1 or over == 0.5 and whole + whole % 2 or whole)
end

-- f(i) of i = 1..N, the latest first.
local function each(N, f)
  local times = {}
  for i = 1, N do times[i] = f(i) end
  return times
end

local function level_of_noise(schedule, w) return schedule:level_of_sigma(w / (1 - w)) end

local presets = {}
local offset_rule = { "integer", default = 0, min = 0 }

-- ==== times ================================================================================
-- times(N, T, o, schedule) lists the times; most(T) is the largest N that the library can do,
-- `why` what happens beyond. Without `most` it is T.

local function in_t(name, times, more)
  local form = more or {}
  form.times = times
  presets[name] = form
end

-- numpy.arange(T, 0, -T/N), rounded: what it adds at each place is (T - T/N) - T in double.
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

-- DPMSolver and its kin take N + 1 points and drop the lowest.
local one_less = { most = function(T) return math.max(1, T - 1) end,
                   why = ": this library takes one point more and drops it, which needs N + 1 <= T" }

in_t("diffusers-trailing", diffusers_trailing)
in_t("diffusers-leading", diffusers_leading, { rules = { offset = offset_rule } })
in_t("diffusers-leading-offset1", function(N, T) return diffusers_leading(N, T, { offset = 1 }) end)
in_t("diffusers-linspace", diffusers_linspace)
in_t("diffusers-dpm-trailing", diffusers_trailing)
in_t("diffusers-dpm-leading", function(N, T, o)
  return each(N, function(i) return (N + 1 - i) * (T // (N + 1)) + 1 + o.offset end)
end, { rules = { offset = offset_rule }, most = one_less.most, why = one_less.why })
in_t("diffusers-dpm-linspace", function(N, T)
  return each(N, function(i) return i == 1 and T or even((N + 1 - i) * ((T - 1) / N)) + 1 end)
end, one_less)

in_t("lucidrains", function(N, T) return each(N, function(i) return (N + 1 - i) * T // N end) end)

-- floor((j - 1)^2 0.8 T / (N - 1)^2) + 1; where that repeats a level, j itself
in_t("ddim-repo-quadratic", function(N, T)
  local root = N > 1 and math.sqrt(T * 0.8) / (N - 1) or 0
  return each(N, function(i)
    local j = N + 1 - i
    local top = i == 1 and math.sqrt(T * 0.8) or (j - 1) * root
    return math.max(j, math.floor(top ^ 2) + 1)
  end)
end)

-- The levels that a student was distilled at, `original` of them, thinned to N.
in_t("lcm", function(N, T, o)
  local stride = T // o.original
  return each(N, function(i) return (o.original - (i - 1) * o.original // N) * stride end)
end, {
  rules = { original = { "integer", default = 50, min = 1 } },
  most = function(T, o) return math.min(T, o.original) end,
  why = ": the levels that the network was distilled at are 'original' in number; take fewer steps or raise it",
})

in_t("sd.cpp-simple", function(N, T) return each(N, function(i) return T - (i - 1) * T // N end) end)

-- N + 1 points from T to 1, the lowest dropped, real.
local function uniform(N, T)
  return each(N, function(i) return T - (i - 1) * (T - 1) / N end)
end
in_t("sd.cpp-sgm-uniform", uniform)

-- ==== paths with w = s, a = 1 - w ==========================================================

-- w from 1 (level T) to `low` as the schedule's shift moves it, in N equal steps before that.
local function flow_times(N, T, low)
  return each(N, function(i) return N == 1 and T or T - (i - 1) * (T - low) / (N - 1) end)
end

-- The w of the times, stretched so that the last is `terminal`, as times.
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

local flow_rules = { shift_terminal = { "number", above = 0, below = 1 } }
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

-- ==== sigmas ===============================================================================

-- The same as one of our own grids, with options of its own beside or instead.
local function like(name, make, fixed)
  presets[name] = { make = function(source, N, o)
    local all = {}
    for key, value in pairs(o or {}) do all[key] = value end
    for key, value in pairs(fixed or {}) do if all[key] == nil then all[key] = value end end
    return make(source, N, all)
  end }
end

local spacings = { leading = diffusers_leading, linspace = diffusers_linspace, trailing = diffusers_trailing }
local spacing_rules = { spacing = { one_of = { "leading", "linspace", "trailing" }, default = "linspace" },
                        offset = offset_rule }

-- Euler, Heun and LMS take the ends of the curve from the grid that the spacing gives.
local function within_spacing(name, make, fixed)
  presets[name] = { make = function(source, N, o)
    local what = "grid.preset " .. name
    local schedule, T = made.source(what, source)
    if not schedule then opts.fail("%s: a schedule or a process is needed, for its sigmas", what) end
    N = made.count(what, N, T)
    local own = { last = made.last, round = { "boolean" } }
    for key, rule in pairs(spacing_rules) do own[key] = rule end
    o = opts.check(what, o, own, 3)
    local times = spacings[o.spacing](N, T, o)
    local all = { sigma_max = schedule:sigma(times[1]), sigma_min = schedule:sigma(times[N]), last = o.last,
                  round = o.round }
    for key, value in pairs(fixed or {}) do all[key] = value end
    return make(schedule, N, all)
  end }
end

within_spacing("diffusers-karras", sigma.karras)
within_spacing("diffusers-exponential", sigma.exponential)
within_spacing("diffusers-beta", sigma.beta, { of = "sigma" })
like("diffusers-dpm-karras", sigma.karras)
like("diffusers-dpm-exponential", sigma.exponential)
like("diffusers-dpm-lu", sigma.exponential)
like("diffusers-dpm-beta", sigma.beta, { of = "sigma" })

like("diffusers-euler-linspace", formula.linspace, { round = false })
like("k-diffusion-karras", sigma.karras)
like("k-diffusion-exponential", sigma.exponential)
like("k-diffusion-polyexponential", sigma.poly_exponential)
like("k-diffusion-discrete", formula.linspace, { round = false })
like("sd.cpp-discrete", formula.linspace, { round = false })
like("sd.cpp-karras", sigma.karras)
like("sd.cpp-exponential", sigma.exponential)
like("ddim-quadratic", formula.quadratic)
like("guided-diffusion", section.section)

presets["guided-diffusion-ddim"] = { make = function(source, N, o)
  return section.section(source, ("ddim%d"):format(made.count("grid.preset guided-diffusion-ddim", N)), o)
end }

-- EDM's sampler keeps its ends within what the network was trained on.
presets.edm = { make = function(source, N, o)
  local schedule, T = made.source("grid.preset edm", source)
  if not schedule then opts.fail "grid.preset edm: a schedule or a process is needed, for its sigmas" end
  local all = { sigma_min = math.max(0.002, schedule:sigma(1)), sigma_max = math.min(80, schedule:sigma(T)) }
  for key, value in pairs(o or {}) do all[key] = value end
  return sigma.karras(schedule, N, all)
end }

local vp_rules = {
  beta_d = { "number", default = 19.9, above = 0 }, beta_min = { "number", default = 0.1, min = 0 },
  eps_s = { "number", default = 1e-3, above = 0, below = 1 }, last = made.last, round = { "boolean" },
}

-- expm1(x) for x > 0, exact for small x too.
local function expm1(x) return x < 1e-2 and x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5)))) or math.exp(x) - 1 end

presets["k-diffusion-vp"] = { make = function(source, N, o)
  local what = "grid.preset k-diffusion-vp"
  N, o = made.count(what, N), opts.check(what, o, vp_rules, 3)
  return sigma.sigmas(source, each(N, function(i)
    local t = N == 1 and 1 or 1 - (i - 1) / (N - 1) * (1 - o.eps_s)
    return math.sqrt(expm1(o.beta_d * t * t / 2 + o.beta_min * t))
  end), { last = o.last, round = o.round })
end }

-- ==== by name ==============================================================================

-- The grid of a preset that lists times.
local function by_times(name, form, source, N, o)
  local what = "grid.preset " .. name
  local schedule, T = made.source(what, source)
  local rules = { last = made.last }
  for key, rule in pairs(form.rules or {}) do rules[key] = rule end
  o = opts.check(what, o, rules, 3)
  local most = form.most and form.most(T, o) or T
  N = made.count(what, N, most ~= math.maxinteger and most or nil, form.why)
  if form.path and not (schedule and schedule:snr(T) == 0 and not schedule:is_vp()) then
    opts.fail("%s: it is for the path x_t = (1 - w) x_0 + w eps; d.schedule.flow is one", what)
  end
  local times = form.times(N, T, o, schedule)
  if times[1] > T then
    opts.fail("%s: with offset = %d the first of %d steps would start at t = %d, beyond T = %d; take fewer steps or a "
      .. "smaller offset", what, o.offset or 1, N, times[1], T)
  end
  return made.checked(name, times, T, schedule, o.last)
end

local function renamed(name, g) return made.grid(name, g:times(), g.T, g.schedule, g.last) end

-- nil and a sentence where there is no such preset.
local function find(name)
  local form = presets[name]
  if not form then
    local names = {}
    for known in pairs(presets) do names[#names + 1] = known end
    table.sort(names)
    return nil, opts.unknown("preset", name, names)
  end
  return function(source, N, o)
    if form.times then return by_times(name, form, source, N, o) end
    return renamed(name, form.make(source, N, o))
  end
end

local preset = { find = find }

--- A grid as another library makes it, by the library's and its option's name:
---
---     diffusers-leading, -leading-offset1, -trailing, -linspace      DDPM, DDIM, PNDM, Euler, Heun, LMS
---     diffusers-euler-linspace                                       Euler, Heun, LMS, which don't round it
---     diffusers-dpm-leading, -dpm-trailing, -dpm-linspace            DPMSolver, UniPC, DEIS, SA: N + 1 points
---     diffusers-karras, -exponential, -beta                          Euler, Heun, LMS: between the ends of `spacing`
---     diffusers-dpm-karras, -dpm-exponential, -dpm-lu, -dpm-beta     DPMSolver and its kin: between the schedule's
---     diffusers-flow, -flux, -unipc-flow, -dpm-flow                  on d.schedule.flow{ shift = }
---     diffusers-flow-shifted-twice                                   as FlowMatchEuler has it where shift isn't 1
---     guided-diffusion, guided-diffusion-ddim                        timestep_respacing "N" and "ddimN"
---     lucidrains, lcm, ddim-quadratic, ddim-repo-quadratic, edm      edm: sigma 0.002 to 80 within the schedule's
---     k-diffusion-karras, -exponential, -polyexponential, -vp, -discrete
---     sd.cpp-discrete, -simple, -sgm-uniform, -karras, -exponential
---
--- Levels have the library's sigmas; those between whole times are shown to the network as such,
--- where DPMSolver and its kin round t.
---@param name string one of d.grid.presets()
---@return function make (source, N [, options]) -> diffusion.grid; all take last =, the level
--- at which the grid stops: 1 is diffusers' set_alpha_to_one = false and final_sigmas_type =
--- "sigma_min"; leading takes offset =, karras spacing = and offset =, lcm original =, flow
--- shift_terminal =, the rest those of our grid of that name
---@usage print(d.grid.preset "diffusers-leading"(d.schedule.scaled_linear{}, 5, { offset = 1, last = 1 }))
function preset.preset(name)
  local make, message = find(name)
  if not make then opts.fail("grid.%s", message) end
  return make
end

--- The names of all presets, sorted.
---@return string[]
function preset.names()
  local names = {}
  for name in pairs(presets) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return preset

-- Other libraries' grids that are curves of sigma, or equal one of ours. A preset here is
-- make(source, N, o) -> grid.
local made = require "diffusion.grid.made"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"
local formula = require "diffusion.grid.formula"
local section = require "diffusion.grid.section"
local sigma = require "diffusion.grid.sigma"
local times_of = require "diffusion.grid.preset_times"

local presets = {}

-- One of our own grids under another name. `fixed` replaces its options.
local function like(name, make, fixed)
  presets[name] = function(source, N, o)
    local all = {}
    for key, value in pairs(o or {}) do all[key] = value end
    for key, value in pairs(fixed or {}) do if all[key] == nil then all[key] = value end end
    return make(source, N, all)
  end
end

local round = { "boolean", default_text = "that of the grid", text = "takes the nearest whole levels, each once" }
local spacing_rules = { last = made.last, round = round, offset = times_of.rules.offset,
  spacing = { one_of = { "leading", "linspace", "trailing" }, default = "linspace",
    text = "diffusers' karras, exponential and beta: the times whose sigmas are the curve's ends" } }

-- Euler, Heun and LMS take the ends of the curve from the grid that `spacing` gives.
local function within_spacing(name, make, fixed)
  presets[name] = function(source, N, o)
    local what = "grid.preset " .. name
    local schedule, T = made.source(what, source)
    if not schedule then fail.raise("%s: a schedule or a process is needed, for its sigmas", what) end
    N = made.count(what, N, T)
    o = opts.check(what, o, spacing_rules, 3)
    local times = times_of[o.spacing](N, T, o)
    local all = { sigma_max = schedule:sigma(times[1]), sigma_min = schedule:sigma(times[N]), last = o.last,
                  round = o.round }
    for key, value in pairs(fixed or {}) do all[key] = value end
    return make(schedule, N, all)
  end
end

within_spacing("diffusers-karras", sigma.karras)
within_spacing("diffusers-exponential", sigma.exponential)
within_spacing("diffusers-beta", sigma.beta, { of = "sigma" })
like("diffusers-dpm-karras", sigma.karras)
like("diffusers-dpm-exponential", sigma.exponential)
like("diffusers-dpm-lu", sigma.exponential)
like("diffusers-dpm-beta", sigma.beta, { of = "sigma" })

-- Between two whole times Euler, Heun and LMS interpolate sigma linearly. Our levels do so in ln sigma.
presets["diffusers-euler-linspace"] = function(source, N, o)
  local all = { round = false }
  for key, value in pairs(o or {}) do all[key] = value end
  local grid, schedule = formula.linspace(source, N, all), made.source("grid.preset diffusers-euler-linspace", source)
  if not schedule then return grid end
  local times = grid:times()
  for i, t in ipairs(times) do
    local low, w = math.floor(t), t % 1
    if w > 0 then times[i] = schedule:level_of_sigma((1 - w) * schedule:sigma(low) + w * schedule:sigma(low + 1)) end
  end
  return made.grid(grid.name, times, grid.T, schedule, grid.last)
end

like("k-diffusion-karras", sigma.karras)
like("k-diffusion-exponential", sigma.exponential)
like("k-diffusion-polyexponential", sigma.poly_exponential)
like("k-diffusion-discrete", formula.linspace, { round = false })
like("sd.cpp-discrete", formula.linspace, { round = false })
like("sd.cpp-karras", sigma.karras)
like("sd.cpp-exponential", sigma.exponential)
like("ddim-quadratic", formula.quadratic)
like("guided-diffusion", section.section)

presets["guided-diffusion-ddim"] = function(source, N, o)
  return section.section(source, ("ddim%d"):format(made.count("grid.preset guided-diffusion-ddim", N)), o)
end

-- EDM's sampler clamps its ends to the levels on which the network was trained.
presets.edm = function(source, N, o)
  local schedule, T = made.source("grid.preset edm", source)
  if not schedule then fail.raise "grid.preset edm: a schedule or a process is needed, for its sigmas" end
  local all = { sigma_min = math.max(0.002, schedule:sigma(1)), sigma_max = math.min(80, schedule:sigma(T)) }
  for key, value in pairs(o or {}) do all[key] = value end
  return sigma.karras(schedule, N, all)
end

local vp_rules = { last = made.last, round = round,
  beta_d = { "number", default = 19.9, above = 0, text = "k-diffusion-vp: slope of beta(u)" },
  beta_min = { "number", default = 0.1, min = 0, text = "k-diffusion-vp: beta(0)" },
  eps_s = { "number", default = 1e-3, above = 0, below = 1, text = "k-diffusion-vp: u of the last step" } }

-- expm1(x) for x > 0, accurate for small x too.
local function expm1(x)
  if x > 1e-2 then return math.exp(x) - 1 end
  return x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5))))
end

presets["k-diffusion-vp"] = function(source, N, o)
  local what = "grid.preset k-diffusion-vp"
  N, o = made.count(what, N), opts.check(what, o, vp_rules, 3)
  return sigma.sigmas(source, times_of.each(N, function(i)
    local t = N == 1 and 1 or 1 - (i - 1) / (N - 1) * (1 - o.eps_s)
    return math.sqrt(expm1(o.beta_d * t * t / 2 + o.beta_min * t))
  end), { last = o.last, round = o.round })
end

return { presets = presets, rules = opts.joined(spacing_rules, vp_rules) }

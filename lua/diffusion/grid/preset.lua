-- Other libraries' grids, by the name of the library and of its option, in our times (theirs + 1 if
-- they count from 0). The floats and the rounding of the library are reproduced. If its grid is
-- defective for some N, the preset gives the intended grid, or an error. Such defects are a step too
-- many or from the wrong end, a repeated level, or a whole number missed in float32. A defect that
-- is always there is in the name.
local made = require "diffusion.grid.made"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local times_of = require "diffusion.grid.preset_times"
local sigma_of = require "diffusion.grid.preset_sigma"

local in_times, in_sigma = times_of.presets, sigma_of.presets
opts.declare("grid_preset", opts.joined(times_of.rules, sigma_of.rules))

-- The grid of a preset that is a list of times.
local function by_times(name, form, source, N, o)
  local what = "grid.preset " .. name
  local schedule, T = made.source(what, source)
  local rules = { last = made.last }
  for key, rule in pairs(form.rules or {}) do rules[key] = rule end
  o = opts.check(what, o, rules, 3)
  local most = form.most and form.most(T, o) or T
  N = made.count(what, N, most ~= math.maxinteger and most or nil, form.why)
  if form.path and not (schedule and schedule:snr(T) == 0 and not schedule:is_vp()) then
    fail.raise("%s: it is for the path x_t = (1 - w) x_0 + w eps; d.schedule.flow is one", what)
  end
  local times = form.times(N, T, o, schedule)
  if times[1] > T then
    fail.raise("%s: with offset = %d the first of %d steps would start at t = %d, beyond T = %d; take fewer steps or a "
      .. "smaller offset", what, o.offset or 1, N, times[1], T)
  end
  return made.checked(name, times, T, schedule, o.last)
end

-- diffusers' DPMSolver, UniPC and DEIS evaluate the network at whole times, counted from 0, although
-- the levels lie in between. karras is rounded (half to even), and the other curves are truncated.
local function rounded(t)
  local whole = math.floor(t)
  local over = t - whole
  return over > 0.5 and whole + 1 or over == 0.5 and whole + 1 - whole % 2 or whole
end

local function cut(t) return math.floor(t + 1e-9) end

local whole_times = {
  ["diffusers-dpm-karras"] = rounded, ["diffusers-dpm-exponential"] = cut, ["diffusers-dpm-lu"] = cut,
  ["diffusers-dpm-beta"] = cut,
}

local function renamed(name, g)
  local told = whole_times[name] and {}
  for _, t in ipairs(told and g:times() or {}) do told[t] = whole_times[name](t) end
  return made.grid(name, g:times(), g.T, g.schedule, g.last, told)
end

local names = {}
for _, family in ipairs { in_times, in_sigma } do
  for name in pairs(family) do names[#names + 1] = name end
end
table.sort(names)

-- The preset's function, or nil and a message.
local function find(name)
  local form, make = in_times[name], in_sigma[name]
  if not (form or make) then return nil, opts.unknown("preset", name, names) end
  return function(source, N, o)
    if o ~= nil and type(o) ~= "table" then
      fail.raise("bad argument #3 to 'grid.preset %s' (a table of options expected, got %s)", name, kind.shown(o))
    end
    if form then return by_times(name, form, source, N, o) end
    return renamed(name, make(source, N, o))
  end
end

local preset = { find = find }

--- A grid as another library makes it, by the library's name and its option's. The presets of
--- diffusers begin with "diffusers-":
---   leading, leading-offset1, trailing, linspace: DDPM, DDIM, PNDM;
---   euler-linspace: Euler, Heun and LMS, which don't round, and interpolate sigma linearly;
---   karras, exponential, beta: Euler, Heun, LMS, between the ends that `spacing` gives;
---   dpm-leading, dpm-trailing, dpm-linspace: DPMSolver, UniPC, DEIS, SA, with N + 1 points and one
---   dropped;
---   dpm-karras, dpm-exponential, dpm-lu, dpm-beta: the same, between the schedule's ends;
---   flow, flux, unipc-flow, dpm-flow, flow-shifted-twice: on d.schedule.flow{ shift = }.
--- FlowMatchEuler is flow-shifted-twice. Others are guided-diffusion and guided-diffusion-ddim
--- (timestep_respacing "N" and "ddimN"), lucidrains, lcm, ddim-quadratic (the paper's) and
--- ddim-repo-quadratic. edm has sigma from 0.002 to 80, within the schedule's. k-diffusion's begin
--- with "k-diffusion-": karras, exponential, polyexponential, vp, discrete. stable-diffusion.cpp's
--- begin with "sd.cpp-": discrete, simple, sgm-uniform, karras, exponential. Levels have the
--- library's sigmas. For the curves of "diffusers-dpm-" the network is evaluated at whole times, as
--- in DPMSolver (the grid's field `told`).
---@param name string one of d.grid.presets()
---@return fun(source: diffusion.process|diffusion.schedule|integer, N: integer, options:
--- diffusion.grid_preset_options?): diffusion.grid make with last = 1 as diffusers' set_alpha_to_one = false and
--- final_sigmas_type = "sigma_min". Other presets take the options of our grid of that name.
---@usage print(d.grid.preset "diffusers-leading"(d.schedule.scaled_linear{}, 5, { offset = 1, last = 1 }))
function preset.preset(name)
  local make, message = find(name)
  if not make then fail.raise("grid.preset: %s", message) end
  return make
end

--- The names of all presets, sorted.
---@return string[]
function preset.names() return table.move(names, 1, #names, 1, {}) end

return preset

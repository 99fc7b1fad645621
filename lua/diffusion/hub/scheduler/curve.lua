-- Curves of sigma that replace the spacing in time, by the grids of the same name.
local grids = require("diffusion.grid").grid
local named = require("diffusion.schedule").schedule
local preset_times = require "diffusion.grid.preset_times"

local curve = {}

local keys = { { "use_karras_sigmas", "karras" }, { "use_lu_lambdas", "lu" },
               { "use_exponential_sigmas", "exponential" }, { "use_beta_sigmas", "beta" } }

--- The name of the curve that a config chooses, or nil.
---@param c table checked options
---@return string|nil
function curve.name(c)
  for _, pair in ipairs(keys) do
    if c[pair[1]] then return pair[2] end
  end
end

-- The schedule, or, if these ends lie beyond its levels, one of levels up to them.
local function widened(schedule, ends)
  local low, high = schedule:sigma(1), schedule:sigma(schedule.T)
  local least, most = math.min(low, ends.sigma_min), math.max(high, ends.sigma_max)
  if least == low and most == high then return schedule end
  local T, list = math.max(schedule.T, 2), {}
  for t = 1, T do list[t] = least * (most / least) ^ ((t - 1) / (T - 1)) end
  return named.from_sigma(list, { form = "vp" })
end

--- A curve between the ends of the config, or those of a schedule. lu has the schedule's.
---@param c table checked options
---@param schedule diffusion.schedule
---@param name string
---@return table {schedule = one with these levels, whole(N) = the levels of N steps, trained(t) = the given
---  schedule's level with the same noise, or the nearest}
function curve.of(c, schedule, name)
  local low, high, own = schedule:sigma(1), schedule:sigma(schedule.T), name == "lu" and {} or c
  local ends = { sigma_min = own.sigma_min or low, sigma_max = own.sigma_max or high }
  local wide = widened(schedule, ends)
  ends.sigma_min = math.max(ends.sigma_min, wide:sigma(1)) -- which may miss them by rounding
  ends.sigma_max = math.min(ends.sigma_max, wide:sigma(wide.T))
  local function whole(N) return grids.preset("diffusers-dpm-" .. name)(wide, N, ends):times() end
  local function trained(t)
    if wide == schedule then return t end
    return schedule:level_of_sigma(math.max(low, math.min(high, wide:sigma(t))))
  end
  return { schedule = wide, whole = whole, trained = trained }
end

--- The timestep of a level between whole ones, rounded half to even.
---@param t number
---@return integer
function curve.rounded(t) return preset_times.even(t - 1) end

--- The timestep below a level, which is that of a whole one.
---@param t number
---@return integer
function curve.cut(t) return math.floor(t - 1 + 1e-9) end

return curve

-- Curves of sigma that replace the spacing in time, by the grids of the same name.
local grids = require("diffusion.grid").grid
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

--- Levels on a curve between the schedule's ends, or those of the config.
---@param c table checked options
---@param schedule diffusion.schedule
---@param name string
---@param N integer steps
---@return number[]
function curve.whole(c, schedule, name, N)
  local ends = { sigma_min = c.sigma_min, sigma_max = c.sigma_max }
  return grids.preset("diffusers-dpm-" .. name)(schedule, N, ends):times()
end

--- Levels on a curve between the ends that the spacing in time gives.
---@param c table checked options
---@param schedule diffusion.schedule
---@param name string
---@param N integer steps
---@return number[]
function curve.spaced(c, schedule, name, N)
  return grids.preset("diffusers-" .. name)(schedule, N,
    { spacing = c.timestep_spacing, offset = c.timestep_spacing == "leading" and c.steps_offset or nil }):times()
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

-- The timesteps of a run as diffusers spaces them, counted from 0, the latest first. Each formula is
-- numpy's, with its rounding half to even.
local fail = require "diffusion.fail"
local times_of = require "diffusion.grid.preset_times"

local even, each = times_of.even, times_of.each

local spacing = {}

-- The number of T, T - T/N, ... above 0, and value number i of it. In double the list can be one too long.
local function trailing(first, T, N)
  local step = T / N
  local count = math.min(N, math.ceil(first / step))
  return each(count, function(i) return even(first + (i - 1) * ((first - step) - first)) - 1 end)
end

local function leading(ratio, N, offset, lowest)
  return each(N, function(i) return (N - i + lowest) * ratio + offset end)
end

--- The timesteps that DDPM, DDIM, PNDM and the classes of sigma take.
---@param c table checked options
---@param N integer steps
---@return integer[]
function spacing.plain(c, N)
  local T = c.num_train_timesteps
  if c.timestep_spacing == "trailing" then return trailing(T, T, N) end
  if c.timestep_spacing == "leading" then return leading(T // N, N, c.steps_offset, 0) end
  return each(N, function(i) return N == 1 and 0 or i == 1 and T - 1 or even((N - i) * ((T - 1) / (N - 1))) end)
end

--- The timesteps of the multistep solvers, which take one point more and drop the lowest.
---@param c table checked options
---@param N integer steps
---@param first integer|nil the number of training steps up to the first, if it isn't all of them
---@return integer[]
function spacing.dropped(c, N, first)
  local T = c.num_train_timesteps
  first = first or T
  if c.timestep_spacing == "trailing" then return trailing(first, T, N) end
  if c.timestep_spacing == "leading" then return leading(first // (N + 1), N, c.steps_offset, 1) end
  return each(N, function(i) return i == 1 and first - 1 or even((N + 1 - i) * ((first - 1) / N)) end)
end

--- The timesteps that the multistep solvers take backwards: the earliest first, the highest dropped.
---@param c table checked options
---@param N integer steps
---@param top integer the level at which the run ends
---@return integer[]
function spacing.rising(c, N, top)
  local T = c.num_train_timesteps
  if c.timestep_spacing == "trailing" then
    local list = trailing(top, T, N)
    return each(#list, function(i) return list[#list + 1 - i] end)
  end
  local ratio = top // (N + 1)
  if c.timestep_spacing == "leading" then return each(N, function(i) return (i - 1) * ratio + c.steps_offset end) end
  return each(N, function(i) return even((i - 1) * ((top - 1) / N)) end)
end

--- Timesteps of the user's, as whole numbers.
---@param list number[]
---@return integer[]
function spacing.given(list) return each(#list, function(i) return math.floor(list[i]) end) end

--- Timesteps as levels here, which count from 1. Raises unless there is a level for each.
---@param steps integer[]
---@param T integer
---@param N integer number of steps, for the message
---@return integer[]
function spacing.levels(steps, T, N)
  if steps[1] >= T then
    fail.raise("the first of %d steps is at timestep %d, but training has 0..%d", N, steps[1], T - 1)
  end
  for i = 2, #steps do
    if steps[i] >= steps[i - 1] then
      fail.raise("steps %d and %d of %d are both at timestep %d of %d; take fewer steps", i - 1, i, N,
        steps[i], T)
    end
  end
  return each(#steps, function(i) return steps[i] + 1 end)
end

return spacing

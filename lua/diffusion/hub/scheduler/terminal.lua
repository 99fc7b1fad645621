-- The option shift_terminal of flow matching.
local fail = require "diffusion.fail"

--- Stretches the levels w of a path, in place, so that the last is `terminal`.
---@param list number[] descending, in (0, 1]
---@param terminal number
---@return number[] list
return function(list, terminal)
  local whole = 1 - list[#list]
  if whole == 0 then
    fail.raise("shift_terminal = %g: a single step is at w = 1, which can't be moved there", terminal)
  end
  local scale = whole / (1 - terminal) -- in diffusers' order, since timesteps are truncated
  for i, w in ipairs(list) do list[i] = 1 - (1 - w) / scale end
  return list
end

-- Gradients held against central differences, in double.
local d = require "diffusion"

local STEP = 1e-5

--- Returns how far the gradient of loss() by differences is from that by the tape, along one direction of x.
--- It is relative to max(1, |.|).
---@param g diffusion.tensor the gradient by the tape
return function(loss, x, g)
  local u = d.randn(x:shape())
  local function at(h)
    x:add_(u * h)
    local value = loss():item()
    x:add_(u * -h)
    return value
  end
  local want = (at(STEP) - at(-STEP)) / (2 * STEP)
  return math.abs((g * u):sum():item() - want) / math.max(1, math.abs(want))
end

-- Rows of spec/peers/schedulers.py where diffusers is wrong. of(row) names the defect, or returns nil.
local defects = {}

-- Whether a column has a number that is not finite.
local function lost(row)
  for _, key in ipairs { "a", "w", "e" } do
    for _, value in ipairs(row[key] or {}) do
      if type(value) ~= "number" then return true end
    end
  end
  return false
end

local by_class = {}

-- SASolver noises an image to the level of its table at a timestep that stands for another sigma.
function by_class.SASolverScheduler(row)
  local o = row.o
  local curve = o.use_karras_sigmas or o.use_exponential_sigmas or o.use_beta_sigmas
  return row.from and (o.use_flow_sigmas or curve) and "add_noise takes the level of a rounded timestep"
end

function defects.of(row)
  local own = by_class[row.c]
  return own and own(row) or lost(row) and "the samples become NaN or infinite" or nil
end

return defects

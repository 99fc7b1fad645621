-- Rows of spec/peers/schedulers.py where diffusers is wrong. `defects.of(row)` is {why, start}, or nil. Some begin
-- wrong: with `start` the steps are still compared, from diffusers' own start.
local d = require "diffusion"

local defects = {}

local function any(row, names)
  for _, name in ipairs(names) do if row.o[name] then return true end end
  return false
end

-- The image's share where the noise's should be.
local function swapped(_, sample, noise, process, t) return (process:q_sample(noise, t, sample)) end

-- The level of a whole timestep of the betas.
local function at_timestep(row, sample, noise, _, _, timestep)
  local config = { _class_name = "DDPMScheduler" }
  for _, key in ipairs { "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas" } do
    config[key] = row.o[key]
  end
  local process = assert(d.hub.scheduler(config, { steps = 1 }))
  return (process:q_sample(sample, timestep + 1, noise))
end

local curves = { "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas" }

-- Classes that round timesteps, and how many calls of the network a step takes.
local calls = { DPMSolverMultistepScheduler = 1, DPMSolverSinglestepScheduler = 1, UniPCMultistepScheduler = 1,
  DEISMultistepScheduler = 1, SASolverScheduler = 1, KDPM2DiscreteScheduler = 2, KDPM2AncestralDiscreteScheduler = 2 }

-- Whether the first timestep of a run from noise comes twice.
local function starts_twice(row)
  local t, more = row.t or {}, calls[row.c]
  return more and not row.from and t[1] and t[1] == t[1 + more]
end

local list = {
  {
    why = "the first timestep comes twice after rounding, and the run starts at the second, one step late",
    unmet = true, has = starts_twice,
  },
  {
    why = "trailing: numpy.arange makes a step too many, at timestep -1",
    unmet = true,
    has = function(row) return row.o.timestep_spacing == "trailing" and row.t and row.t[#row.t] == -1 end,
  },
  {
    why = "solver_type heun and order 3 divide by h, which is 0 in a step from a level to itself: NaN",
    has = function(row)
      return row.c:find "DPMSolver" and (row.o.solver_type == "heun" or row.o.solver_order == 3)
    end,
  },
  {
    why = "invert_sigmas: scale_noise gives the image the noise's share, so a later start has noise where the image "
      .. "should be; the steps from there are met",
    start = swapped,
    has = function(row) return row.o.invert_sigmas and row.from end,
  },
  {
    why = "add_noise takes the level of a whole timestep of the betas, but the steps start from the curve's or the "
      .. "path's own level; the steps from there are met",
    start = at_timestep,
    has = function(row) return row.c == "SASolverScheduler" and row.from and any(row, curves) end,
  },
  {
    why = "sigma_down is the root of a difference of squares, which cancels: NaN where the sigmas of a step are far "
      .. "apart",
    has = function(row) return row.c == "KDPM2AncestralDiscreteScheduler" end,
  },
  {
    why = "lambda is infinite at sigma = 0, and the last step multiplies it by 0: NaN with final_sigmas_type zero and "
      .. "bh1, predict_x0 false or lower_order_final false",
    has = function(row)
      return row.c == "UniPCMultistepScheduler" and row.o.final_sigmas_type ~= "sigma_min"
        and (row.o.solver_type == "bh1" or row.o.predict_x0 == false or row.o.lower_order_final == false)
    end,
  },
}

--- The defect that a row may show.
function defects.of(row)
  for _, defect in ipairs(list) do
    if defect.has(row) then return defect end
  end
end

return defects

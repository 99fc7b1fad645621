-- Rows of spec/peers/schedulers.py where diffusers is wrong, and why. of(row) returns {why, start}, or nil. With
-- `start`, the run is still compared from diffusers' own start.
local defects = {}

local function curved(o) return o.use_karras_sigmas or o.use_exponential_sigmas or o.use_beta_sigmas end

local list = {
  {
    why = "SASolver noises an image to the level of its betas at the first timestep, where curves and paths have "
      .. "another; the steps from there are met",
    start = "of betas",
    has = function(row)
      return row.c == "SASolverScheduler" and row.from and (row.o.use_flow_sigmas or curved(row.o))
    end,
  },
  {
    why = "UniPC with bh1, predict_x0 = false or lower_order_final = false takes h = infinity at sigma = 0: NaN",
    has = function(row)
      local o = row.o
      return row.c == "UniPCMultistepScheduler"
        and (o.solver_type == "bh1" or o.predict_x0 == false or o.lower_order_final == false)
    end,
  },
  {
    why = "invert_sigmas: scale_noise gives the image the noise's share, so a later start has noise where the image "
      .. "should be; the steps from there are met",
    start = "swapped",
    has = function(row) return row.o.invert_sigmas and row.from end,
  },
  {
    why = "sigma_down as the root of a difference of squares that cancels: NaN where the sigmas of a step are far apart",
    has = function(row) return row.c == "KDPM2AncestralDiscreteScheduler" end,
  },
}

--- The defect that a row may show.
function defects.of(row)
  for _, defect in ipairs(list) do
    if defect.has(row) then return defect end
  end
end

return defects

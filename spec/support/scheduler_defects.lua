-- Rows of spec/peers/schedulers.py where diffusers is wrong, and why. of(row) returns {why, start}, or nil. With
-- `start`, "swapped", the run is still compared from diffusers' own start.
local defects = {}

local list = {
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

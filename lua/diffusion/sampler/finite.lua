--- Samples that become NaN or infinite raise an error in the step that made them, unless
--- nan = "keep".
local core = require "diffusion.core"
local fail = require "diffusion.fail"

local finite = {}

local function step_text(pair)
  if not pair then return "" end
  local number = pair.i and pair.n and (" %d of %d"):format(pair.i, pair.n) or ""
  return ("step%s, from t = %.6g to %.6g: "):format(number, pair.t, pair.s)
end

--- Raises an error that says how many samples aren't finite.
---@param who string "sampler heun"
---@param pair table|nil {t, s, i, n}
---@param count integer number of samples that aren't finite
---@param B integer number of all samples
---@param place string|nil the place within the step, as " at lambda = -3"
function finite.fail(who, pair, count, B, place)
  fail.raise("%s: %s%d of %d samples %s finite%s%s", who, step_text(pair), count, B, count == 1 and "isn't" or "aren't",
    place or "", pair and "; check the model's output there, or pass nan = \"keep\" to continue" or "")
end

--- Raises unless all samples after a step are finite.
---@param who string
---@param pair table
---@param x diffusion.tensor {B, ...}
function finite.check(who, pair, x)
  local count = core.nonfinite_samples(x:contiguous())
  if count > 0 then finite.fail(who, pair, count, x:size(1)) end
end

return finite

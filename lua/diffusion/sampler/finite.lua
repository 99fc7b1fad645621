--- Samples that stop being numbers: an error at the step in which they do, unless the user says
--- nan = "keep".
local core = require "diffusion.core"
local fail = require "diffusion.fail"

local finite = {}

local function step_text(pair)
  if not pair then return "" end
  local number = pair.i and pair.n and (" %d of %d"):format(pair.i, pair.n) or ""
  return ("step%s, from t = %.6g to %.6g: "):format(number, pair.t, pair.s)
end

--- Raises: so many samples aren't finite.
---@param who string "sampler heun"
---@param pair table|nil {t, s, i, n}
---@param count integer of samples that aren't
---@param B integer of all
---@param place string|nil where within the step, as " at lambda = -3"
function finite.fail(who, pair, count, B, place)
  fail.raise("%s: %s%d of %d samples %s finite%s%s", who, step_text(pair), count, B, count == 1 and "isn't" or "aren't",
    place or "", pair and "; look at what the model says there, or go on with nan = \"keep\"" or "")
end

--- Raises unless all samples that a step made are finite.
---@param who string
---@param pair table
---@param x diffusion.tensor {B, ...}
function finite.check(who, pair, x)
  local count = core.sick_samples(x:contiguous())
  if count > 0 then finite.fail(who, pair, count, x:size(1)) end
end

return finite

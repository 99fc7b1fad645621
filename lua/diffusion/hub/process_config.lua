-- A process as the config of diffusers' DDPMScheduler.
local json = require "diffusion.file.json"
local keys = require "diffusion.hub.scheduler.keys"
local legible = require "diffusion.legible"

local process_config = {}

local PREDICTS = { eps = "epsilon", x0 = "sample", v = "v_prediction" }
-- diffusers' "learned" is the variance itself, and ours is its logarithm.
local VARIANCES = { fixed_small = "fixed_small", fixed_large = "fixed_large", learned_range = "learned_range",
  learned_direct = "learned" }

-- Betas that diffusers has by name: its name, with the same options.
local named = {}

local function with_ends(beta_schedule)
  return function(c)
    local scale = c.rescale and 1000 / c.T or 1
    return { beta_schedule = beta_schedule, beta_start = c.beta_start * scale, beta_end = c.beta_end * scale }
  end
end

named.linear, named.scaled_linear = with_ends "linear", with_ends "scaled_linear"
named.sigmoid_beta = with_ends "sigmoid"

function named.cosine(c)
  return c.s == 0.008 and c.max_beta == 0.999 and { beta_schedule = "squaredcos_cap_v2" } or nil
end

-- All betas, for any other schedule.
local function listed(schedule)
  local betas = {}
  for t = 1, schedule.T do betas[t] = schedule:beta(t) end
  return { trained_betas = betas }
end

local function betas_of(schedule)
  local c = schedule:config()
  return named[c.name] and named[c.name](c) or listed(schedule)
end

-- Why diffusers can't follow a process, nil if it can.
local function fault(process)
  if not process.schedule:is_vp() then
    return ("its schedule %s isn't one of betas (a^2 + s^2 = 1), which DDPMScheduler needs"):format(
      process.schedule.name)
  end
  if process.T > keys.MOST_STEPS then
    return ("it has %d steps, and a config has at most %d"):format(process.T, keys.MOST_STEPS)
  end
  if not PREDICTS[process.predict] then
    return ("it predicts %s, and DDPMScheduler knows eps, x0 and v"):format(process.predict)
  end
  if process.variance == "learned" then
    return "its variance is 'learned', which is ln variance, but 'learned' of DDPMScheduler is the variance itself; "
      .. "'learned_range' means the same in both"
  end
  if not VARIANCES[process.variance] then
    local variance = type(process.variance) == "string" and process.variance or "a function"
    return ("its variance is %s; fixed_small, fixed_large, learned_range or learned_direct expected"):format(variance)
  end
end

-- x0 is clipped to a range, or by dynamic thresholding.
local function clip_of(clip)
  local out = { clip_sample = type(clip) == "number", clip_sample_range = type(clip) == "number" and clip + 0.0 or 1.0,
    thresholding = false, dynamic_thresholding_ratio = 0.995, sample_max_value = 1.0 }
  if type(clip) == "table" or clip == "dynamic" then
    local t = type(clip) == "table" and clip or {}
    out.thresholding, out.dynamic_thresholding_ratio = true, t.ratio or 0.995
    out.sample_max_value = t.most or math.huge
  end
  return out
end

--- The config of the scheduler that follows a process.
---@param process diffusion.process
---@return table<string, any>|nil config nil with a message if no scheduler of diffusers follows it
---@return string|nil message
function process_config.of(process)
  local why = fault(process)
  if why then return legible.refused("the process can't be a scheduler of diffusers: %s", why) end
  local out = { _class_name = "DDPMScheduler", num_train_timesteps = process.T, beta_start = 0.0001, beta_end = 0.02,
    beta_schedule = "linear", trained_betas = json.null, variance_type = VARIANCES[process.variance],
    prediction_type = PREDICTS[process.predict], timestep_spacing = "leading", steps_offset = 0,
    rescale_betas_zero_snr = false }
  for _, more in ipairs { betas_of(process.schedule), clip_of(process.clip) } do
    for key, value in pairs(more) do out[key] = value end
  end
  return out
end

return process_config

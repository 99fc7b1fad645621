-- The constructor options of diffusers' schedulers that several classes share, as rules of opts.check.
-- A class joins groups and adds its own. A default of nil stands for Python's None.
local made = require "diffusion.schedule.made"

local keys = {}

--- A truth value.
---@param value boolean|nil default
---@return table rule
function keys.flag(value) return { "boolean", default = value } end

--- A finite number, unless `more` says otherwise.
---@param value number|nil default
---@param more table|nil further fields of the rule
---@return table rule
function keys.number(value, more)
  local rule = { "number", default = value }
  for field, v in pairs(more or {}) do rule[field] = v end
  return rule
end

--- A whole number.
---@param value integer|nil default
---@param least integer|nil
---@param most integer|nil
---@return table rule
function keys.integer(value, least, most) return { "integer", default = value, min = least, max = most } end

-- The largest number of steps of training.
keys.MOST_STEPS = made.MOST_STEPS

--- The number of steps of training.
---@param value integer default
---@param least integer|nil 1 if not given
---@return table rule
function keys.steps(value, least) return keys.integer(value, least or 1, keys.MOST_STEPS) end

--- One of some names.
---@param value string|nil default
---@param names string[]
---@return table rule
function keys.choice(value, names) return { one_of = names, default = value } end

--- The betas of training.
---@param more table|nil other defaults, and the names of beta schedules: {first, last, kind, kinds}
---@return table rules
function keys.betas(more)
  more = more or {}
  return {
    num_train_timesteps = keys.steps(1000),
    beta_start = keys.number(more.first or 1e-4, { above = 0 }),
    beta_end = keys.number(more.last or 0.02, { above = 0 }),
    beta_schedule = keys.choice(more.kind or "linear",
      more.kinds or { "linear", "scaled_linear", "squaredcos_cap_v2" }),
    trained_betas = { "table", each = { "number", above = 0 }, least = 1 },
  }
end

--- The defaults of Stable Diffusion.
keys.latent = { first = 0.00085, last = 0.012, kind = "scaled_linear" }

--- The times of a run.
---@param spacing string default of timestep_spacing
---@return table rules
function keys.spacing(spacing)
  return { timestep_spacing = keys.choice(spacing, { "linspace", "leading", "trailing" }),
           steps_offset = keys.integer(0, 0) }
end

--- The prediction target of the network.
---@param names string[]|nil
---@return table rules
function keys.predicts(names)
  return { prediction_type = keys.choice("epsilon", names or { "epsilon", "sample", "v_prediction" }) }
end

--- Dynamic thresholding of x0.
keys.threshold = {
  thresholding = keys.flag(false),
  dynamic_thresholding_ratio = keys.number(0.995, { min = 0, max = 1 }),
  sample_max_value = keys.number(1, { above = 0 }),
}

--- Clipping of x0.
---@param value boolean default of clip_sample
---@return table rules
function keys.clip(value)
  return { clip_sample = keys.flag(value), clip_sample_range = keys.number(1, { above = 0 }) }
end

--- Curves of sigma in place of times. A config that was copied from another class may have its
--- sigma_min and sigma_max, which diffusers then uses as the ends of a curve.
keys.curves = {
  use_karras_sigmas = keys.flag(false), use_exponential_sigmas = keys.flag(false),
  use_beta_sigmas = keys.flag(false),
  sigma_min = keys.number(nil, { above = 0 }), sigma_max = keys.number(nil, { above = 0 }),
}

--- The path x_t = (1 - w) x_0 + w eps in place of betas.
keys.flow = { use_flow_sigmas = keys.flag(false), flow_shift = keys.number(1, { above = 0 }) }

--- A shift of the path that depends on the size of the image, by the option mu.
keys.dynamic = { use_dynamic_shifting = keys.flag(false),
                 time_shift_type = keys.choice("exponential", { "exponential", "linear" }) }

--- The end of a run.
---@param value string default of final_sigmas_type
---@return table rules
function keys.final(value) return { final_sigmas_type = keys.choice(value, { "zero", "sigma_min" }) } end

--- The variance of DDPM. Solvers of an ODE use only the prediction of a network that learned one. Other
--- variances are left in configs that are copied from DDPMScheduler, and mean nothing.
keys.variance = { variance_type = keys.choice(nil, { "learned", "learned_range", "fixed_small", "fixed_small_log",
                                                     "fixed_large", "fixed_large_log" }) }

--- The largest noise level of a run, as its lambda = ln(a/s).
keys.clipped_lambda = { lambda_min_clipped = keys.number(-math.huge, { infinite = true }) }

--- The options of d.hub.scheduler for churn.
keys.churn = { s_churn = true, s_tmin = true, s_tmax = true, s_noise = true }

--- Euler with churn as diffusers has it, which evaluates the network before it adds the noise. nil without s_churn.
---@param o table options of d.hub.scheduler
---@param of string the prediction target of the network
---@param steps integer|nil the number over which the noise is spread
---@return table|nil sampler
function keys.churned(o, of, steps)
  if not o.s_churn then return nil end
  return { "diffusers-euler-churn-after-model", s_churn = o.s_churn, s_tmin = o.s_tmin, s_tmax = o.s_tmax,
           s_noise = o.s_noise, steps = steps, of = of }
end

local predicts = { epsilon = "eps", v_prediction = "v", sample = "x0", original_sample = "x0",
                   flow_prediction = "flow" }

--- The name of the prediction target here.
---@param c table checked options
---@return string
function keys.predict(c) return predicts[c.prediction_type] end

--- How the process clips x0: by thresholding, or else by clip_sample.
---@param c table checked options
---@return number|table|nil
function keys.clip_of(c)
  if c.thresholding then return { ratio = c.dynamic_thresholding_ratio, most = c.sample_max_value } end
  return c.clip_sample and c.clip_sample_range or nil
end

return keys

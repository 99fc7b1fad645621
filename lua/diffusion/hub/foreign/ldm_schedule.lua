-- This file finds the target of a single file's denoiser, and the schedule that it was trained with.
local parser = require "diffusion.file.parser"

local schedule = {}

local fault = parser.fault()

-- ==== the target =========================================================================

local STATED = { epsilon = "eps", eps = "eps", v = "v", v_prediction = "v" }

-- The target that the file's metadata or marks tell, nil if they don't.
local function stated(p, shapes)
  local given = p.outer.facts["modelspec.prediction_type"]
  return shapes.v_pred and "v" or type(given) == "string" and STATED[given:lower()] or nil
end

--- The target of a network. The keys of version 2 are the same for both targets, so it is asked for.
---@param p table a plan
---@param kind string from ldm_unet.kind
---@param file table {shapes, all}
---@return string|nil "eps", "v" or "x0"; nil if it was asked for
function schedule.target(p, kind, file)
  return p:ask("predict", stated(p, file.shapes) or kind ~= "sd2" and "eps" or nil)
end

-- ==== the scheduler ======================================================================

local START, END, T = 0.00085, 0.012, 1000

-- Whether betas are those of Stable Diffusion. Files in half precision have them rounded.
local function is_usual(betas)
  if #betas ~= T then return false end
  local a, b = START ^ 0.5, END ^ 0.5
  for t, beta in ipairs(betas) do
    local want = (a + (b - a) * (t - 1) / (T - 1)) ^ 2
    if not (math.abs(beta - want) <= 0.01 * want) then return false end
  end
  return true
end

local function check_betas(p, betas)
  for t, beta in ipairs(betas) do
    if not (beta > 0 and beta < 1) then p:refuse("its betas make no schedule: beta %d is %g", t, beta) end
  end
end

-- The betas that the file has, if they are other ones.
local function own_betas(p, file)
  if not file.shapes.betas then return nil end
  local betas = file.all.betas:flatten():to("f64"):totable()
  if is_usual(betas) then return nil end
  check_betas(p, betas)
  return betas
end

local CLASSES = { sd1 = "PNDMScheduler", sd2 = "DDIMScheduler", xl = "EulerDiscreteScheduler",
  refiner = "EulerDiscreteScheduler" }
local TARGETS = { eps = "epsilon", v = "v_prediction", x0 = "sample" }

local function scheduler_of(p, kind, target, file)
  local config = { _class_name = CLASSES[kind], beta_schedule = "scaled_linear", beta_start = START, beta_end = END,
    num_train_timesteps = T, prediction_type = TARGETS[target], steps_offset = 1 }
  if kind == "sd1" or kind == "sd2" then
    if kind == "sd2" and target == "eps" then config._class_name = CLASSES.sd1 end
    if target == "x0" then config._class_name = CLASSES.sd2 end -- PNDM takes no images
    config.set_alpha_to_one, config.skip_prk_steps, config.clip_sample = false, true, false
  else
    config.timestep_spacing = "leading"
    if file.shapes.ztsnr then config.rescale_betas_zero_snr, config.timestep_spacing = true, "trailing" end
  end
  local betas = own_betas(p, file)
  if betas then config.trained_betas, config.num_train_timesteps = betas, #betas end
  return config
end

--- The scheduler's config of a file, or the process that the options name.
---@param p table a plan
---@param kind string
---@param target string|nil
---@param file table {shapes, all}
---@return table {scheduler} or {process}
function schedule.of(p, kind, target, file)
  if p.o.process then return { process = p.o.process } end
  if p.o.schedule then
    local make = p:process { predict = target, variance = "fixed_small" }
    return target and #p.missing == 0 and { process = make() } or {}
  end
  return { scheduler = target and scheduler_of(p, kind, target, file) }
end

-- ==== others =============================================================================

local OTHERS = { ["edm_vpred.sigma_max"] = "CosXL", edm_mean = "Playground 2.5" }

--- Refuses files that have the keys of Stable Diffusion XL, but are trained for another process.
---@param file table {path, shapes}
function schedule.refuse_others(file)
  for key, name in pairs(OTHERS) do
    if file.shapes[key] then
      fault("%s: %s, which has another process; open the folder that diffusers makes of it", file.path, name)
    end
  end
end

return schedule

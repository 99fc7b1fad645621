-- DPM-Solver and DPM-Solver++, multistep and singlestep, and backwards.
local keys = require "diffusion.hub.scheduler.keys"
local solver = require "diffusion.hub.scheduler.solver"

local dpm = {}

-- Other names of solver_type belong to other classes and mean midpoint here.
local forms = { "midpoint", "heun", "logrho", "bh1", "bh2" }
local function form_of(c) return c.solver_type == "heun" and "heun" or "midpoint" end

--- The multistep sampler of a config.
---@param c table checked options
---@param lower integer lower_order_final of the sampler
---@return table sampler
function dpm.multistep(c, lower)
  local o = { form = form_of(c), lower_order_final = lower, euler_at_final = c.euler_at_final }
  local kind, order = c.algorithm_type, c.solver_order
  if kind == "sde-dpmsolver++" then
    return order == 1 and { "ddim", eta = 1 } or { "dpmpp_2m_sde" }
  end
  if order == 1 then return { "ddim" } end
  if kind == "dpmsolver" then o[1], o.order = "dpm_solver_multistep", order
  else o[1] = order == 3 and "dpmpp_3m" or "dpmpp_2m" end
  if order == 3 then o.d2 = 1 end
  return o
end

local function multistep(c, o)
  local plan = solver.plan(c)
  plan.sampler = dpm.multistep(c, solver.lowered(c, plan, o.steps))
  return plan
end

local function inverse(c, o)
  c.final_sigmas_type = "sigma_min"
  local plan = solver.plan(c)
  plan.sampler = { "dpmpp_2m_inversion", form = form_of(c), lower_order_final = solver.lowered(c, plan, o.steps) }
  plan.upward = true
  return plan
end

-- The order of each of N evaluations, starting at number `first`.
local function orders_of(N, order, lower, first)
  local out = {}
  for i = first, N do
    out[#out + 1] = N % order == 0 and lower and i == N and 1 or (i - 1) % order + 1
  end
  return out
end

local function singlestep(c, o)
  c.timestep_spacing, c.steps_offset = "linspace", 0
  local plan, order, N = solver.plan(c), c.solver_order, o.steps
  local lower = c.lower_order_final or N and N % order ~= 0 or c.final_sigmas_type == "zero"
  plan.sampler = { c.algorithm_type == "dpmsolver" and "dpm_solver_singlestep" or "dpmpp_singlestep", order = order,
                   form = form_of(c), lower_order_final = lower }
  if o.first > 1 then plan.sampler.orders = orders_of(N, order, lower, o.first) end
  return plan
end

local algorithms = { "dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver", "deis" }
local function common(lower)
  return solver.keys {
    solver_order = keys.integer(2, 1, 3), algorithm_type = keys.choice("dpmsolver++", algorithms),
    solver_type = keys.choice("midpoint", forms), lower_order_final = keys.flag(lower),
    lambda_min_clipped = keys.clipped_lambda.lambda_min_clipped, variance_type = keys.variance.variance_type,
  }
end

local multistep_keys = common(true)
multistep_keys.euler_at_final = keys.flag(false)
multistep_keys.use_lu_lambdas = keys.flag(false)
multistep_keys.rescale_betas_zero_snr = keys.flag(false)
multistep_keys.final_sigmas_type = keys.final("zero").final_sigmas_type

local inverse_keys = common(true)
inverse_keys.euler_at_final = keys.flag(false)

local singlestep_keys = common(false)
singlestep_keys.timestep_spacing, singlestep_keys.steps_offset = nil, nil
singlestep_keys.final_sigmas_type = keys.final("zero").final_sigmas_type

dpm.classes = {
  DPMSolverMultistepScheduler = { keys = multistep_keys, plan = multistep },
  DPMSolverMultistepInverseScheduler = { keys = inverse_keys, plan = inverse },
  DPMSolverSinglestepScheduler = { keys = singlestep_keys, plan = singlestep },
}

return dpm

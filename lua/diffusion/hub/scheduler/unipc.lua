-- UniPC, DEIS and SA-Solver: multistep methods in lambda.
local keys = require "diffusion.hub.scheduler.keys"
local solver = require "diffusion.hub.scheduler.solver"

-- The last level before pure noise, where UniPC's flow starts: float32's 1 - 1e-6.
local function before_noise(plan)
  local w = string.unpack("f", string.pack("f", 1 - 1e-6))
  local times = plan.times
  function plan.times(N)
    local list, last = times(N)
    list[1] = plan.schedule:level_of_sigma(w / (1 - w))
    return list, last
  end
  return plan
end

local function unipc(c)
  local plan = solver.plan(c, "diffusers-unipc-flow")
  if c.use_flow_sigmas then before_noise(plan) end
  plan.sampler = { c.predict_x0 and "unipc" or "unipc_eps", order = c.solver_order,
                   variant = c.solver_type == "bh1" and "bh1" or "bh2",
                   lower_order_final = c.lower_order_final and math.maxinteger or 0 }
  return plan
end

local function deis(c, o)
  c.final_sigmas_type = "sigma_min"
  local plan = solver.plan(c)
  plan.sampler = { "deis", order = c.solver_order, lower_order_final = solver.lowered(c, plan, o.steps) }
  return plan
end

-- tau is 1 between their times 200 and 800.
local function sa(c)
  c.final_sigmas_type = "sigma_min"
  local plan = solver.plan(c)
  local function tau(t)
    local told = plan.shown and plan.shown(t) or t - 1
    return told >= 200 and told <= 800 and 1 or 0
  end
  plan.sampler = { "sa_solver", variant = "bh1", predictor = c.predictor_order, corrector = c.corrector_order,
                   tau = tau, lower_order_final = c.lower_order_final and math.maxinteger or 0 }
  return plan
end

local unipc_keys = solver.keys {
  solver_order = keys.integer(2, 1, 3), predict_x0 = keys.flag(true), lower_order_final = keys.flag(true),
  solver_type = keys.choice("bh2", { "bh1", "bh2", "midpoint", "heun", "logrho" }),
  disable_corrector = { "table", each = { "integer" } },
  final_sigmas_type = keys.final("zero").final_sigmas_type, rescale_betas_zero_snr = keys.flag(false),
}
local deis_keys = solver.keys {
  solver_order = keys.integer(2, 1, 3), lower_order_final = keys.flag(true),
  algorithm_type = keys.choice("deis", { "deis", "dpmsolver", "dpmsolver++" }),
  solver_type = keys.choice("logrho", { "logrho", "midpoint", "heun", "bh1", "bh2" }),
}
local sa_keys = solver.keys {
  predictor_order = keys.integer(2, 1, 4), corrector_order = keys.integer(2, 0, 4),
  algorithm_type = keys.choice("data_prediction", { "data_prediction", "noise_prediction" }),
  lower_order_final = keys.flag(true), lambda_min_clipped = keys.clipped_lambda.lambda_min_clipped,
  variance_type = keys.variance.variance_type,
}

return {
  UniPCMultistepScheduler = { keys = unipc_keys, plan = unipc },
  DEISMultistepScheduler = { keys = deis_keys, plan = deis },
  SASolverScheduler = { keys = sa_keys, plan = sa },
}

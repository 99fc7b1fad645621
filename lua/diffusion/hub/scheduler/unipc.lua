-- UniPC, DEIS and SA-Solver: multistep methods in lambda.
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local solver = require "diffusion.hub.scheduler.solver"

local all = math.maxinteger

-- The steps of a run that don't correct x: those after the entries of disable_corrector, which count
-- from 0.
local function uncorrected(c, first)
  local out = {}
  for _, k in ipairs(c.disable_corrector or {}) do
    local i = k + 3 - first
    if i >= 1 then out[#out + 1] = i end
  end
  return out
end

local function unipc(c, o)
  if c.solver_p then fail.raise "solver_p: another scheduler as predictor isn't followed" end
  if c.shift_terminal and not c.use_flow_sigmas then fail.raise "shift_terminal needs use_flow_sigmas = true" end
  local of = c.predict_x0 and "x0" or "eps"
  if of == "eps" then c.thresholding = false end -- as diffusers does
  local plan = solver.plan(c, o, { of = of, ends = "own", path = "unipc" })
  plan.sampler = { of == "x0" and "unipc" or "unipc_eps", order = c.solver_order,
                   variant = c.solver_type == "bh1" and "bh1" or "bh2", uncorrected = uncorrected(c, o.first),
                   lower_order_final = c.lower_order_final and all or 0 }
  return plan
end

-- diffusers takes x0 = x - sigma v on betas, and makes eps of it by (x - a x0)/sigma, where s divides otherwise.
local function divided_by_sigma(plan, c)
  if c.thresholding then
    fail.raise "prediction_type 'flow_prediction' with thresholding needs use_flow_sigmas"
  end
  local s = plan.schedule
  function plan.skip(t)
    local a = s:signal(t)
    return (1 - a + a ^ 2) / a
  end
  function plan.out(t) return -s:noise(t) end
end

local function deis(c, o)
  local plan = solver.plan(c, o, { of = "x0", ends = "own" })
  if c.prediction_type == "flow_prediction" and not c.use_flow_sigmas then divided_by_sigma(plan, c) end
  plan.sampler = { "deis", order = c.solver_order, lower_order_final = solver.lowered(c, plan, o.steps) }
  return plan
end

local function sa(c, o)
  local of = c.algorithm_type == "data_prediction" and "x0" or "eps"
  if of == "eps" and c.thresholding then
    fail.raise "thresholding with algorithm_type 'noise_prediction' fails in diffusers"
  end
  local plan = solver.plan(c, o, { of = of, ends = "own" })
  -- 1 between diffusers' timesteps 200 and 800
  local function tau(t)
    local step = plan.told[t] or plan.shown and plan.shown(t) or t - 1
    return step >= 200 and step <= 800 and 1 or 0
  end
  plan.sampler = { "sa_solver", variant = "bh1", predictor = c.predictor_order, corrector = c.corrector_order,
                   tau = tau, of = of, draws = "every", lower_order_final = c.lower_order_final and all or 0 }
  return plan
end

local forms = { "bh1", "bh2", "midpoint", "heun", "logrho" } -- names of other classes have a meaning too

local unipc_keys = solver.keys(opts.joined(keys.final "zero", keys.dynamic, {
  solver_order = keys.integer(2, 1, 3), predict_x0 = keys.flag(true), lower_order_final = keys.flag(true),
  solver_type = keys.choice("bh2", forms), disable_corrector = { "table", each = { "integer" } },
  rescale_betas_zero_snr = keys.flag(false), shift_terminal = keys.number(nil, { above = 0, below = 1 }),
  solver_p = { "any" },
}))
local deis_keys = solver.keys(opts.joined(keys.dynamic, {
  solver_order = keys.integer(2, 1, 3), lower_order_final = keys.flag(true),
  algorithm_type = keys.choice("deis", { "deis", "dpmsolver", "dpmsolver++" }),
  solver_type = keys.choice("logrho", forms),
}))
local sa_keys = solver.keys(opts.joined(keys.clipped_lambda, keys.variance, {
  predictor_order = keys.integer(2, 1, 4), corrector_order = keys.integer(2, 1, 4),
  algorithm_type = keys.choice("data_prediction", { "data_prediction", "noise_prediction" }),
  lower_order_final = keys.flag(true),
}))

return {
  UniPCMultistepScheduler = { keys = unipc_keys, plan = unipc, call = { mu = true, sigmas = true } },
  DEISMultistepScheduler = { keys = deis_keys, plan = deis, call = { mu = true } },
  SASolverScheduler = { keys = sa_keys, plan = sa },
}

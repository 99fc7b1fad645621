-- DPM-Solver and DPM-Solver++, multistep and singlestep, and backwards.
local fail = require "diffusion.fail"
local keys = require "diffusion.hub.scheduler.keys"
local opts = require "diffusion.opts"
local curve = require "diffusion.hub.scheduler.curve"
local spacing = require "diffusion.hub.scheduler.spacing"
local solver = require "diffusion.hub.scheduler.solver"

local dpm = {}

-- Names of solver_type and algorithm_type that belong to other classes have a meaning here too.
local forms = { "midpoint", "heun", "logrho", "bh1", "bh2" }
local function settled(c)
  if c.solver_type ~= "heun" then c.solver_type = "midpoint" end
  if c.algorithm_type == "deis" then c.algorithm_type = "dpmsolver++" end
  if not c.algorithm_type:find "%+%+$" and c.final_sigmas_type == "zero" then
    fail.raise("algorithm_type '%s' with final_sigmas_type 'zero', which diffusers refuses; 'sigma_min' expected",
      c.algorithm_type)
  end
  return c.algorithm_type:find "%+%+$" and "x0" or "eps"
end

local ode = { x0 = { "ddim", "dpmpp_2m", "dpmpp_3m" },
              eps = { "ddim", "dpm_solver_multistep", "dpm_solver_multistep" } }

--- The multistep sampler of a config.
---@param c table checked options
---@param of string "x0" or "eps"
---@param lower integer lower_order_final of the sampler
---@return table sampler
function dpm.multistep(c, of, lower)
  local order = c.solver_order
  local o = { lower_order_final = lower, euler_at_final = c.euler_at_final, form = c.solver_type }
  if c.algorithm_type:find "^sde" then
    if order == 3 and of == "eps" then fail.raise "algorithm_type 'sde-dpmsolver' has no solver_order 3" end
    if of == "eps" then
      o[1], o.order = "diffusers-dpm-sde", order
      return o
    end
    if order == 1 then return { "ddim", eta = 1 } end
    o[1] = order == 2 and "dpmpp_2m_sde" or "diffusers-dpmpp-3m-sde-wrong-sign"
    return o
  end
  if order == 1 then return { "ddim" } end
  o[1] = ode[of][order]
  if of == "eps" then o.order = order end
  if order == 3 then o.d2 = 1 end
  return o
end

local function multistep(c, o)
  local of = settled(c)
  local plan = solver.plan(c, o, { of = of, unrounded_cosine = true })
  plan.sampler = dpm.multistep(c, of, solver.lowered(c, plan, o.steps))
  return plan
end

-- ==== singlestep ===========================================================================

local cycles = { { 1 }, { 1, 2 }, { 1, 2, 3 } }

-- The order of each of N evaluations.
local function orders_of(c, N)
  local out, order = {}, c.solver_order
  for i = 1, N do out[i] = cycles[order][(i - 1) % order + 1] end
  local lower = c.lower_order_final or c.final_sigmas_type == "zero"
  if N % order == 0 and lower or c.final_sigmas_type == "zero" then out[N] = 1 end
  return out
end

local function singlestep(c, o)
  local of = settled(c)
  c.timestep_spacing, c.steps_offset = "linspace", 0
  local plan, sde = solver.plan(c, o, { of = of }), c.algorithm_type:find "^sde"
  local name = of == "eps" and "dpm_solver_singlestep"
    or sde and "diffusers-dpmpp-singlestep-sde-wrong-sign" or "dpmpp_singlestep"
  plan.sampler = { name, order = c.solver_order, form = c.solver_type }
  if o.steps then
    local orders = orders_of(c, #plan.times(o.steps))
    plan.sampler.orders = table.move(orders, o.first, #orders, 1, {})
  end
  return plan
end

-- ==== backwards ============================================================================

-- The levels from data to noise, one more than steps, and the timestep of each. A curve ends with a step from its
-- last level to itself.
local function rising(c, plan, N)
  local name = curve.name(c)
  local top, out, told = solver.unclipped(c, plan.schedule), {}, {}
  if not name then
    for i, step in ipairs(spacing.rising(c, N, top)) do out[i], told[i] = step + 1, step end
    out[#out + 1] = top
    return out, told
  end
  local levels = N == 1 and { 1 } or curve.of(c, plan.schedule, name).whole(N)
  for i = 1, N do
    out[i] = levels[N + 1 - i]
    told[i] = plan.shown(out[i])
  end
  out[N + 1] = out[N]
  return out, told
end

-- The same from noise to data. diffusers counts a rounded timestep once, and so it leaves out the last levels. Those
-- that it truncates are truncated later.
local function falling(c, plan)
  local name = curve.name(c)
  local rounds = not name or name == "karras"
  return function(N)
    local levels, told = rising(c, plan, N)
    local times, map, seen, n = {}, {}, {}, 0
    for _, step in ipairs(told) do
      if not (rounds and seen[step]) then n, seen[step] = n + 1, true end
      if not map[levels[n]] then map[levels[n]] = step end
    end
    for i = 1, n do times[i] = levels[n + 2 - i] end
    return times, levels[1], map
  end
end

local upward_of = { x0 = { "ddim_inversion", "dpmpp_2m_inversion", "diffusers-dpmpp-3m-inverse" },
  eps = { "ddim_inversion", "diffusers-dpm-inverse", "diffusers-dpm-inverse" } }

local function inverse(c, o)
  local of = settled(c)
  if c.algorithm_type:find "^sde" then
    fail.raise("algorithm_type '%s': backwards, its noise has a negative variance in diffusers", c.algorithm_type)
  end
  if c.use_flow_sigmas then fail.raise "use_flow_sigmas: diffusers takes its levels from noise to data here" end
  if c.sigma_min or c.sigma_max then fail.raise "sigma_min and sigma_max, which diffusers takes for each other here" end
  local plan = solver.plan(c, o, { of = of })
  plan.times = falling(c, plan)
  plan.sampler = dpm.multistep(c, of, solver.lowered(c, plan, o.steps))
  plan.sampler[1] = upward_of[of][c.solver_order]
  plan.upward = true
  return plan
end

-- ==== options ==============================================================================

local function algorithms(names)
  return { solver_order = keys.integer(2, 1, 3), algorithm_type = keys.choice("dpmsolver++", names),
           solver_type = keys.choice("midpoint", forms) }
end
local all = { "dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver", "deis" }

local multistep_keys = solver.keys(opts.joined(algorithms(all), keys.clipped_lambda, keys.variance, keys.final "zero",
  keys.dynamic, { lower_order_final = keys.flag(true), euler_at_final = keys.flag(false),
    use_lu_lambdas = keys.flag(false), rescale_betas_zero_snr = keys.flag(false) }))
local singlestep_keys = solver.keys(opts.joined(algorithms { "dpmsolver++", "dpmsolver", "sde-dpmsolver++", "deis" },
  keys.clipped_lambda, keys.variance, keys.final "zero", keys.dynamic, { lower_order_final = keys.flag(false) }))
local inverse_keys = solver.keys(opts.joined(algorithms(all), keys.clipped_lambda, keys.variance,
  { lower_order_final = keys.flag(true), euler_at_final = keys.flag(false) }))

dpm.classes = {
  DPMSolverMultistepScheduler = { keys = multistep_keys, plan = multistep, call = { timesteps = true, mu = true } },
  DPMSolverSinglestepScheduler = { keys = singlestep_keys, plan = singlestep,
                                   call = { timesteps = true, mu = true } },
  DPMSolverMultistepInverseScheduler = { keys = inverse_keys, plan = inverse },
}

return dpm

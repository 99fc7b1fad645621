--- DPM-Solver with values of earlier steps: Lu et al. 2022, "DPM-Solver++", app. B. Its multistep
--- expansions hold for eps as well as for x0.
-- r0 and r1 are the lengths of the last two steps divided by h. With A = (e - e1)/r0 and
-- B = (e1 - e2)/r1 the derivatives of eps in units of the step are
--   D' = A + r0 (A - B)/(r0 + r1),   D'' = 2 (A - B)/(r0 + r1).
-- Order 2 uses A alone, which "midpoint" weighs by half of g(1). d2 = 1 omits the 2 of D'', as
-- other libraries do. At s = 0 h is infinite, and the step returns x0.
-- A step of no length returns x.
local expansion = require "diffusion.sampler.expansion"
local multistep = require "diffusion.sampler.multistep"
local order = require "diffusion.sampler.order"

-- The weights of the values from their places, newest first.
local function weights(g, h, past, opts)
  local r0 = (past[1].place - past[2].place) / h
  if not past[3] then
    local w = (opts.form == "heun" and g(2) or g(1) / 2) / r0
    return { g(1) + w, -w }
  end
  local r1 = (past[2].place - past[3].place) / h
  local ab = (g(2) * r0 + g(3) * opts.d2) / (r0 + r1) -- weight of A - B
  local a, b = (g(2) + ab) / r0, ab / r1
  return { g(1) + a, -a - b, b }
end

local function step(opts, x, t, s, used)
  local keep, scale, g = expansion.eps(t, s)
  local w = used[2] and weights(g, s.lambda - t.lambda, used, opts) or { g(1) }
  return multistep.sum(opts.mix, keep, x, scale, w, used)
end

return {
  dpm_solver_multistep = { make = multistep.of_eps(step),
    source = 'Lu et al. 2022, "DPM-Solver++", app. B, on eps',
    order = 2, signal = true, remembers = { past = {} }, rules = order.rules {
    order = { "integer", default = 2, min = 1, max = 3, text = "values that a step uses" }, d2 = order.d2,
    form = order.form,
  } },
}

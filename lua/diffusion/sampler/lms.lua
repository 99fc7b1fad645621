--- Linear multistep in sigma, for steps of any lengths: Adams-Bashforth on the probability-flow ODE
--- of Karras et al. 2022, eq. 1 (k-diffusion's "lms").
-- y_s = y_t + integral over sigma_t..sigma_s of the polynomial through the last slopes eps,
-- y = x/a. In units of the step the integral of r^j is 1/(j + 1).
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"

local function lms(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    local past = multistep.remember(history, eps, t.sigma, opts.order)
    if s.t == 0 and not opts.final then return x0 end
    local way, nodes, moments = s.sigma - t.sigma, {}, {}
    for i, old in ipairs(past) do
      nodes[i], moments[i] = (old.place - t.sigma) / way, 1 / i
    end
    return multistep.sum(opts.mix, s.a / t.a, x, s.a * way, multistep.weights(nodes, moments), past)
  end
end

return {
  lms = { make = lms, source = "Adams and Bashforth on Karras et al. 2022, eq. 1",
    order = 4, signal = true, remembers = { past = {} }, rules = {
    order = { "integer", default = 4, min = 1, max = 4, text = "values that a step uses" },
    final = { "boolean", default = false, text = "the step to level 0 is a step like the others, not x0" },
  } },
}

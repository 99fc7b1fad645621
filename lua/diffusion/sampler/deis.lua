--- DEIS (Zhang & Chen 2023, eq. 15) uses the time rho = s/a and polynomials in ln rho (log-rho tAB).
--   x_s = a_s (x_t/a_t + sum_j C_j eps_j),  C_j = integral of polynomial j over rho_t..rho_s.
-- The polynomials pass through the last values of eps, in ln rho = -lambda. With r in units of the
-- step h of lambda, the C of r^j is j! gain(j + 1, -h), in multiples of s_s/a_s.
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"
local order = require "diffusion.sampler.order"

local function step(opts, x, t, s, used)
  local h, nodes, moments, factorial = s.lambda - t.lambda, {}, {}, 1
  for i, old in ipairs(used) do
    nodes[i] = (old.place - t.lambda) / h
    moments[i] = factorial * levels.gain(i, -h)
    factorial = factorial * i
  end
  return multistep.sum(opts.mix, s.a / t.a, x, s.s, multistep.weights(nodes, moments), used)
end

return {
  deis = { make = multistep.of_eps(step), source = "Zhang & Chen 2023, eq. 15, in ln rho",
    order = 3, signal = true, remembers = { past = {} },
    rules = order.rules { order = { "integer", default = 3, min = 1, max = 4,
      text = "values that a step uses" } } },
}

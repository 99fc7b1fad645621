--- Noise added before a step: Karras et al. 2022, algorithm 2, lines 4 to 6. x moves from t up to
--- sigma = (1 + gamma) sigma_t with gamma = min(s_churn/n, sqrt(2) - 1). It does so if
--- s_tmin <= sigma_t <= s_tmax, and not beyond the schedule's last level.
local churn = {}

churn.rules = {
  s_churn = { "number", default = 0, min = 0, text = "noise that is added before steps, over all of them" },
  s_tmin = { "number", default = 0, min = 0, text = "least sigma at which noise is added" },
  s_tmax = { "number", default = math.huge, min = 0, infinite = true, text = "greatest sigma at which noise is added" },
  s_noise = { "number", default = 1, min = 0, text = "factor of that noise" },
}

--- Adds the noise to x.
---@param opts table the sampler's options, with mix and mix_noise
---@param level function as levels.of gives it
---@param process diffusion.process
---@param x diffusion.tensor
---@param pair table
---@return diffusion.tensor x
---@return table level of the new x
function churn.up(opts, level, process, x, pair)
  local t = level(pair.t)
  local inside = t.sigma >= opts.s_tmin and t.sigma <= opts.s_tmax
  local gamma = inside and math.min(opts.s_churn / pair.n, math.sqrt(2) - 1) or 0
  local schedule = process.schedule
  local sigma = math.min(t.sigma * (1 + gamma), schedule:sigma(schedule.T))
  if sigma <= t.sigma then
    if opts.draws == "every" then opts.mix_noise(0, 0, x) end
    return x, t
  end
  local up = level(schedule:level_of_sigma(sigma))
  local fresh = opts.s_noise * math.sqrt(math.max(0, up.sigma ^ 2 - t.sigma ^ 2))
  return opts.mix_noise(up.a * fresh, up.a / t.a, x), up
end

return churn

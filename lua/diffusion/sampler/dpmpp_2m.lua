--- DPM-Solver++(2M): Lu et al. 2022, "DPM-Solver++", algorithm 2.
-- With lambda = ln(a/s), h = lambda_s - lambda_t and m the model's x0:
--   x_s = (s_s / s_t) x_t + a_s (1 - e^-h) (m + (m - m_before) / 2r),  r = h_before / h.
-- The first step has no m_before, and the last (s = 0, h infinite) returns m: both first
-- order.
local function dpmpp_2m(denoise, process, opts)
  local schedule = process.schedule
  local function lambda(t) return schedule:log_snr(t) / 2 end
  return function(x, pair, history)
    local t, s = pair.t, pair.s
    local m = denoise(x, t)
    if s == 0 then return m end
    local h = lambda(s) - lambda(t)
    local shrink = schedule:noise(s) / schedule:noise(t)
    local gain = -schedule:signal(s) * (math.exp(-h) - 1)
    local before = history.m
    history.m = m
    local r = before and history.h / h
    history.h = h
    if not before then return opts.mix(shrink, x, gain, m) end
    return opts.mix(shrink, x, gain * (1 + 1 / (2 * r)), m, -gain / (2 * r), before)
  end
end

return dpmpp_2m

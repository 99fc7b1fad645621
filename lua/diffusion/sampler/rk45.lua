--- The probability-flow ODE solved by the pair of Dormand & Prince of orders 5 and 4. Each sample
--- chooses its own steps. Song et al. 2021 (score SDE), appendix D.4, uses it. A step to s = 0 goes to
--- the schedule's first level and returns the x0 predicted there.
local fail = require "diffusion.fail"
local adaptive = require "diffusion.sampler.adaptive"
local dormand_prince = require "diffusion.sampler.dormand_prince"

local each, angle = adaptive.each, dormand_prince.angle

local function slope_of(denoise, mix)
  return function(z, l)
    local x0, eps = denoise(z, l)
    return mix(each(#l, function(b) return l[b].a end), eps, each(#l, function(b) return -l[b].s end), x0)
  end
end

-- A schedule given by numbers has no levels between T and T - 1 if x_T holds no signal. A step of
-- ddim crosses that gap.
local function crossed(process, level, ask, mix, z, t, s)
  local schedule = process.schedule
  if t.a > 0 or t.t == s.t or fail.pcall(schedule.log_snr, schedule, t.t - 1 / 2) then return z, t end
  local x0, eps = ask(z, each(z:size(1), function() return t end))
  local n = level(math.max(s.t, t.t - 1))
  return mix(n.a, x0, n.s, eps), n
end

local function rk45(denoise, process, opts)
  local level, ask = adaptive.circle(process), adaptive.denoiser(denoise, opts.mix)
  local slope = slope_of(ask, opts.mix)
  local o = { h = 0.02, atol = opts.atol, rtol = opts.rtol, most = opts.most, order = 5, name = "sampler rk45",
              place = "the angle", mix = opts.mix, nan = opts.nan }
  return function(x, pair)
    o.pair = pair
    local t, s = level(pair.t), level(math.max(pair.s, math.min(1, pair.t)))
    local z
    z, t = crossed(process, level, ask, opts.mix, opts.mix(1 / t.r, x), t, s)
    z = adaptive.walk(z, angle(t), angle(s), dormand_prince.stepper(process, level, t, s, slope, opts.mix), o)
    x = opts.mix(s.r, z)
    return pair.s > 0 and x or (denoise(x, s.t))
  end
end

return {
  rk45 = { make = rk45, source = "Song et al. 2021 (score SDE), app. D.4; Dormand & Prince 1980",
    order = 5, evaluations = 6, whole = true, rules = adaptive.rules(1e-5, 1e-5) },
}

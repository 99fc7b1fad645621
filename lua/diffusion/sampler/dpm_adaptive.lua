--- DPM-Solver-12 and -23 with adaptive steps: Lu et al. 2022, "DPM-Solver", appendix C.
-- Order 2 compares DPM-Solver-1 with DPM-Solver-2 (r1 = 1/2). Order 3 compares DPM-Solver-2
-- (r1 = 1/3) with DPM-Solver-3. Each sample has its own lambda and step of lambda. A step to s = 0
-- goes to the schedule's first level and returns the x0 predicted there.
local adaptive = require "diffusion.sampler.adaptive"
local levels = require "diffusion.sampler.levels"

local each = adaptive.each
local function rise(k, h) return -levels.gain(k, -h) end -- as in dpm_solver

-- The levels at lambda_b + r h_b, clamped to those of the pair.
local function reader(process, level, t, s)
  local low, high = math.min(t.sigma, s.sigma), math.max(t.sigma, s.sigma)
  return function(lambda, h, r)
    return each(#lambda, function(b)
      local sigma = math.exp(-lambda[b] - r * h[b])
      return level(process.schedule:level_of_sigma(math.max(low, math.min(high, sigma))))
    end)
  end
end

-- (a_q/a_p) z - s_q sum of c_i(b) eps_i, with p and q the levels at both ends.
local function taken(mix, z, p, q, ...)
  local terms, given = { each(#p, function(b) return q[b].a / p[b].a end), z }, { ... }
  for i = 1, #given, 2 do
    local c = given[i]
    terms[i + 2], terms[i + 3] = each(#p, function(b) return -q[b].s * c(b) end), given[i + 1]
  end
  return mix(table.unpack(terms))
end

local function second(denoise, mix, at)
  return function(z, lambda, h)
    local p, m, q = at(lambda, h, 0), at(lambda, h, 1 / 2), at(lambda, h, 1)
    local _, eps = denoise(z, p)
    local _, middle = denoise(taken(mix, z, p, m, function(b) return rise(1, h[b] / 2) end, eps), m)
    local function all(b) return rise(1, h[b]) end
    return taken(mix, z, p, q, all, eps), taken(mix, z, p, q, all, middle)
  end
end

local function third(denoise, mix, at)
  return function(z, lambda, h)
    local p, m, n, q = at(lambda, h, 0), at(lambda, h, 1 / 3), at(lambda, h, 2 / 3), at(lambda, h, 1)
    local _, eps = denoise(z, p)
    local _, eps_m = denoise(taken(mix, z, p, m, function(b) return rise(1, h[b] / 3) end, eps), m)
    local function bend(b) return 2 * rise(2, 2 * h[b] / 3) end
    local function rest(b) return rise(1, 2 * h[b] / 3) - bend(b) end
    local _, eps_n = denoise(taken(mix, z, p, n, rest, eps, bend, eps_m), n)
    local function all(b) return rise(1, h[b]) end
    local function slope(b) return rise(2, h[b]) * 3 / 2 end
    return taken(mix, z, p, q, function(b) return -all(b) / 2 end, eps, function(b) return all(b) * 3 / 2 end, eps_m),
      taken(mix, z, p, q, function(b) return all(b) - slope(b) end, eps, slope, eps_n)
  end
end

local function dpm_adaptive(denoise, process, opts)
  local level, order = adaptive.circle(process), opts.order
  local ask = adaptive.denoiser(denoise, opts.mix)
  local o = { h = opts.h, atol = opts.atol, rtol = opts.rtol, most = opts.most, order = order,
              name = "sampler dpm_adaptive", place = "lambda", mix = opts.mix, nan = opts.nan }
  return function(x, pair)
    o.pair = pair
    local t, s = level(pair.t), level(math.max(pair.s, math.min(1, pair.t)))
    local try = (order == 2 and second or third)(ask, opts.mix, reader(process, level, t, s))
    local z = adaptive.walk(opts.mix(1 / t.r, x), t.lambda, s.lambda, try, o)
    x = opts.mix(s.r, z)
    return pair.s > 0 and x or (denoise(x, s.t))
  end
end

local rules = adaptive.rules(0.0078, 0.05)
rules.order = { "integer", default = 3, min = 2, max = 3, text = "order of the solver" }
rules.h = { "number", default = 0.05, above = 0, text = "first step in ln(a/s)" }

return {
  dpm_adaptive = { make = dpm_adaptive, source = 'Lu et al. 2022, "DPM-Solver", app. C',
    order = 3, evaluations = 3, whole = true, signal = true, rules = rules },
}

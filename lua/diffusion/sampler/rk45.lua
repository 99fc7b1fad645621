--- The probability-flow ODE by Dormand's and Prince's pair of orders 5 and 4, with steps that
--- each sample finds for itself: Song et al. 2021 (score SDE), appendix D.4, uses it.
-- In the angle phi = atan(s/a), z = x/r with r^2 = a^2 + s^2 moves by
--   dz/dphi = cos(phi) eps - sin(phi) x0
-- (v of Salimans & Ho 2022, appendix D, where r = 1): regular at both ends, where sigma is 0
-- or infinite. A step to s = 0 goes to the schedule's first level, and takes x0 there.
local adaptive = require "diffusion.sampler.adaptive"

local each = adaptive.each

-- Dormand & Prince 1980: nodes, rows of the matrix (the last is the fifth order's weights),
-- and the fourth order's weights.
local nodes = { 0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1 }
local rows = {
  {}, { 1 / 5 }, { 3 / 40, 9 / 40 }, { 44 / 45, -56 / 15, 32 / 9 },
  { 19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729 },
  { 9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656 },
  { 35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84 },
}
local fourth = { 5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40 }

local function angle(l) return math.atan(l.s, l.a) end

-- The level with this angle, between the pair's, whose own angles are met exactly.
local function reader(process, level, t, s)
  return function(phi)
    if phi >= angle(t) then return t end
    if phi <= angle(s) then return s end
    return level(process.schedule:level_of_sigma(math.tan(phi)))
  end
end

-- z + sum of h w_i k_i, each sample with its own h.
local function sum(mix, z, h, w, k)
  local terms = { 1, z }
  for i, weight in ipairs(w) do
    if weight ~= 0 then
      terms[#terms + 1] = each(#h, function(b) return h[b] * weight end)
      terms[#terms + 1] = k[i]
    end
  end
  return mix(table.unpack(terms))
end

-- A step of z by both orders, and the slope at its end, which is the next one's at its start.
local function stepper(denoise, mix, at)
  local function slope(z, l)
    local x0, eps = denoise(z, l)
    return mix(each(#l, function(b) return l[b].a end), eps, each(#l, function(b) return -l[b].s end), x0)
  end
  return function(z, phi, h, first)
    local k = { first }
    for i = first and 2 or 1, 7 do
      local l = each(#phi, function(b) return at(phi[b] + nodes[i] * h[b]) end)
      k[i] = slope(sum(mix, z, h, rows[i], k), l)
    end
    return sum(mix, z, h, fourth, k), sum(mix, z, h, rows[7], k), k[7]
  end
end

-- Where x_T holds no signal, a schedule of numbers alone has no levels between T and T - 1: a
-- step of ddim crosses there.
local function crossed(process, level, ask, mix, z, t, s)
  local schedule = process.schedule
  if t.a > 0 or t.t == s.t or pcall(schedule.log_snr, schedule, t.t - 1 / 2) then return z, t end
  local x0, eps = ask(z, each(z:size(1), function() return t end))
  local n = level(math.max(s.t, t.t - 1))
  return mix(n.a, x0, n.s, eps), n
end

local function rk45(denoise, process, opts)
  local level, ask = adaptive.circle(process), adaptive.denoiser(denoise, opts.mix)
  local o = { h = 0.02, atol = opts.atol, rtol = opts.rtol, most = opts.most, order = 5, name = "rk45",
              place = "the angle", mix = opts.mix }
  return function(x, pair)
    local t, s = level(pair.t), level(math.max(pair.s, math.min(1, pair.t)))
    local z
    z, t = crossed(process, level, ask, opts.mix, opts.mix(1 / t.r, x), t, s)
    z = adaptive.walk(z, angle(t), angle(s), stepper(ask, opts.mix, reader(process, level, t, s)), o)
    x = opts.mix(s.r, z)
    return pair.s > 0 and x or (denoise(x, s.t))
  end
end

return {
  rk45 = { make = rk45, source = "Song et al. 2021 (score SDE), app. D.4; Dormand & Prince 1980",
    order = 5, evaluations = 6, whole = true, rules = adaptive.rules(1e-5, 1e-5) },
}

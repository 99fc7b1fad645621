--- Pseudo linear multistep: Liu et al. 2022 (PNDM), for steps of equal length in t.
-- eps' is a fixed combination of the last eps, and takes the place of eps in ddim's step
-- (eq. 11), "transfer" below:
--   x_s = (a_s/a_t) x_t + (s_s - a_s s_t/a_t) eps'.
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"

-- Adams and Bashforth's weights for equal steps; eq. 12 has the last.
local weights = {
  { 1 }, { 3 / 2, -1 / 2 }, { 23 / 12, -16 / 12, 5 / 12 }, { 55 / 24, -59 / 24, 37 / 24, -9 / 24 },
}

local function transfer(mix, x, t, s, w, past)
  return multistep.sum(mix, s.a / t.a, x, s.s - s.a * t.s / t.a, w, past)
end

local function as_past(...)
  local past = {}
  for i, eps in ipairs { ... } do past[i] = { value = eps } end
  return past
end

-- The first step by Heun's method: the mean of eps here and at the guess.
local function heun_start(denoise, mix, x, t, s, eps)
  local _, there = denoise(transfer(mix, x, t, s, { 1 }, as_past(eps)), s.t)
  return transfer(mix, x, t, s, { 1 / 2, 1 / 2 }, as_past(eps, there))
end

-- The first three by Runge's and Kutta's, halfway in t (the paper's PRK; four evaluations each).
local function runge_kutta_start(denoise, mix, x, t, s, m, eps)
  local _, second = denoise(transfer(mix, x, t, m, { 1 }, as_past(eps)), m.t)
  local _, third = denoise(transfer(mix, x, t, m, { 1 }, as_past(second)), m.t)
  local _, fourth = denoise(transfer(mix, x, t, s, { 1 }, as_past(third)), s.t)
  return transfer(mix, x, t, s, { 1 / 6, 1 / 3, 1 / 3, 1 / 6 }, as_past(eps, second, third, fourth))
end

local function plms(denoise, process, opts)
  local level = levels.of(process)
  local kutta = opts.start == "runge_kutta"
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local _, eps = denoise(x, t.t)
    local past = multistep.remember(history, eps, t.t, 4)
    if s.t > 0 and #past == 1 and not kutta then return heun_start(denoise, opts.mix, x, t, s, eps) end
    if s.t > 0 and #past < 4 and kutta then
      return runge_kutta_start(denoise, opts.mix, x, t, s, level((t.t + s.t) / 2), eps)
    end
    return transfer(opts.mix, x, t, s, weights[#past], past)
  end
end

--- The same without a start of its own: as many eps as there are (the "improved" PNDM of
--- diffusers).
local function ipndm(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local _, eps = denoise(x, t.t)
    local past = multistep.remember(history, eps, t.t, 4)
    return transfer(opts.mix, x, t, s, weights[#past], past)
  end
end

return {
  plms = { make = plms, order = 2, signal = true,
           rules = { start = { one_of = { "heun", "runge_kutta" }, default = "heun" } } },
  ipndm = { make = ipndm, order = 2, signal = true },
}

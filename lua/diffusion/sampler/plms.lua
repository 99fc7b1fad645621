--- Pseudo linear multistep: Liu et al. 2022 (PNDM), for steps of equal length in t.
-- eps' is a fixed combination of the last values of eps. It replaces eps in ddim's step (eq. 11),
-- called "transfer" below:
--   x_s = (a_s/a_t) x_t + (s_s - a_s s_t/a_t) eps'.
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"

local weights = multistep.adams -- eq. 12 has the last row

local function transfer(mix, x, t, s, w, past)
  return multistep.sum(mix, s.a / t.a, x, s.s - s.a * t.s / t.a, w, past)
end

local function ask(denoise, x, l) return select(2, denoise(x, l.t)) end

-- The same step from values of v: at t, eps' is s_t x_t + a_t v'.
local function transfer_v(mix, x, t, s, w, past)
  local c = s.s - s.a * t.s / t.a
  return multistep.sum(mix, s.a / t.a + c * t.s, x, c * t.a, w, past)
end

local function ask_v(denoise, x, l, mix)
  local x0, eps = denoise(x, l.t)
  return mix(l.a, eps, -l.s, x0)
end

local function as_past(...)
  local past = {}
  for i, value in ipairs { ... } do past[i] = { value = value } end
  return past
end

-- The first step by Heun's method: the mean of eps at x and at the guess.
local function heun_start(value, move, x, t, s, eps)
  local there = value(move(x, t, s, { 1 }, as_past(eps)), s)
  return move(x, t, s, { 1 / 2, 1 / 2 }, as_past(eps, there))
end

-- The first three steps by Runge-Kutta with a level halfway in t (PRK of the paper). Each evaluates
-- the model four times.
local function runge_kutta_start(value, move, x, t, s, m, eps)
  local second = value(move(x, t, m, { 1 }, as_past(eps)), m)
  local third = value(move(x, t, m, { 1 }, as_past(second)), m)
  local fourth = value(move(x, t, s, { 1 }, as_past(third)), s)
  return move(x, t, s, { 1 / 6, 1 / 3, 1 / 3, 1 / 6 }, as_past(eps, second, third, fourth))
end

local function plms(denoise, process, opts)
  local level, mix, by_v = levels.of(process), opts.mix, opts.of == "v"
  local kutta = opts.start == "runge_kutta"
  local function value(x, l) return (by_v and ask_v or ask)(denoise, x, l, mix) end
  local function move(...) return (by_v and transfer_v or transfer)(mix, ...) end
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local eps = value(x, t)
    local past = multistep.remember(history, eps, t.t, 4)
    if s.t > 0 and #past == 1 and not kutta then return heun_start(value, move, x, t, s, eps) end
    if s.t > 0 and #past < 4 and kutta then
      return runge_kutta_start(value, move, x, t, s, level((t.t + s.t) / 2), eps)
    end
    return move(x, t, s, weights[#past], past)
  end
end

--- The same without a special start: it uses as many values of eps as there are (diffusers'
--- "improved" PNDM).
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
  plms = { make = plms, source = "Liu et al. 2022 (PNDM), eq. 12",
    order = 2, signal = true, remembers = { past = {} }, rules = {
    start = { one_of = { "heun", "runge_kutta" }, default = "heun", text = "method of the first steps" },
    of = { one_of = { "eps", "v" }, default = "eps", text = "the predictions that are combined" },
  } },
  ipndm = { make = ipndm, source = "diffusers, after Liu et al. 2022 (PNDM)",
    order = 2, signal = true, remembers = { past = {} } },
}

--- Forms of DPM-Solver that diffusers has: SDE-DPM-Solver on eps, steps of a block with noise, and
--- multistep solvers from data to noise.
local blocks = require "diffusion.sampler.block"
local dpmpp = require "diffusion.sampler.dpmpp"
local expansion = require "diffusion.sampler.expansion"
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"
local ode = require "diffusion.sampler.dpm_solver_multistep"
local order = require "diffusion.sampler.order"

-- SDE-DPM-Solver of order 1 and 2: Lu et al. 2022, "DPM-Solver++", its section on diffusion SDEs. The
-- reverse SDE has twice the ODE's term in eps:
--   x_s = (a_s/a_t) x_t - 2 s_s (integral of e^(h - u) eps over u in 0..h) + s_s sqrt(e^(2h) - 1) z.
local function dpm_sde(opts, x, t, s, used)
  local keep, scale, g = expansion.eps(t, s)
  local h, w = s.lambda - t.lambda, { g(1) }
  if used[2] then
    w[2] = -(opts.form == "heun" and g(2) or g(1) / 2) * h / (used[1].place - used[2].place)
    w[1] = w[1] - w[2]
  end
  local terms = { keep, x }
  for i, weight in ipairs(w) do
    terms[2 * i + 1], terms[2 * i + 2] = 2 * scale * weight, used[i].value
  end
  return opts.mix_noise(s.s * math.sqrt(-levels.gain(1, -2 * h)), table.unpack(terms))
end

-- CogVideoX's: SDE-DPM-Solver++(2M) whose steps lead to t - floor(T/N), and draw normals twice if they use
-- two values. The last step uses one.
local function dpmpp_2m_sde_drawn_twice(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local before = pair.t - process.T // (opts.steps or pair.n)
    local t, s = level(pair.t), level(before >= 1 and before or opts.last)
    local m, twice = denoise(x, t.t), history.past and before >= 1
    local past = multistep.remember(history, m, t.lambda, 2)
    if s.t == 0 then return m end
    if s.t == t.t then return opts.mix_noise(0, 1, x) end
    local h = s.lambda - t.lambda
    local g, w = levels.gain(1, 2 * h), 0
    if twice then opts.mix_noise(0, 0, x) end
    if twice and past[2] then w = g / 2 * h / (past[1].place - past[2].place) end
    return opts.mix_noise(s.s * math.sqrt(g), s.s / t.s * math.exp(-h), x, s.a * (g + w), m,
      -s.a * w, (past[2] or past[1]).value)
  end
end

-- DPM-Solver++'s block with the noise of the SDE. Each step of a block starts again from the block's
-- start, and its noise is that of the whole way. The factor of the second difference has -1/2 for
-- +1/2, so it is g(3) - 1.
local function singlestep_sde_wrong_sign(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local x0 = denoise(x, t.t)
    local block = blocks.add(history, opts, pair, x, t.t, { value = x0, place = t.lambda })
    if s.t == 0 then return x0 end
    local start = level(history.t)
    local h = s.lambda - start.lambda
    if h == 0 then return x end
    local function g(k) return levels.gain(k, 2 * h) - (k == 3 and 1 or 0) end
    local terms = { s.s / start.s * math.exp(-h), history.x }
    for i, weight in ipairs(blocks.weights(g, h, block, opts.form)) do
      terms[2 * i + 1], terms[2 * i + 2] = s.a * weight, block[i].value
    end
    return opts.mix_noise(s.s * math.sqrt(levels.gain(1, 2 * h)), table.unpack(terms))
  end
end

-- A multistep solver from data to noise: pair = (t, s) takes x at s to t. A step from s = 0, where no
-- network was trained, or to a_t = 0, is that of ddim_inversion.
local function upward(make)
  return function(denoise, process, opts)
    local step, level = make(denoise, process, opts), levels.of(process)
    return function(x, pair, history)
      local t, s = level(pair.t), level(pair.s)
      if s.t == 0 or t.a == 0 then
        local _, eps = denoise(x, s.t > 0 and s.t or t.t)
        return opts.mix(t.a / s.a, x, t.s - s.s * t.a / s.a, eps)
      end
      return step(x, { t = pair.s, s = pair.t, i = pair.i, n = pair.n }, history)
    end
  end
end

local function inverse(solver, source)
  return { make = upward(solver.make), source = source, upward = true, remembers = solver.remembers,
           rules = solver.rules }
end

local sde_rules = order.rules {
  order = { "integer", default = 2, min = 1, max = 2, text = "values that a step uses" }, form = order.form,
}

return {
  ["diffusers-dpmpp-2m-sde-drawn-twice"] = { make = dpmpp_2m_sde_drawn_twice, stochastic = true,
    source = "SDE-DPM-Solver++(2M) as CogVideoX has it", remembers = { past = {} }, rules = {
      steps = { "integer", min = 1, default_text = "steps of the run", text = "the stride is T // steps" },
      last = { "integer", default = 0, min = 0, max = 1, text = "level below the first stride" } } },
  ["diffusers-dpm-sde"] = { make = multistep.of_eps(dpm_sde),
    source = 'Lu et al. 2022, "DPM-Solver++", SDE-DPM-Solver on eps', stochastic = true, signal = true,
    remembers = { past = {} }, rules = sde_rules },
  ["diffusers-dpmpp-singlestep-sde-wrong-sign"] = { make = singlestep_sde_wrong_sign,
    source = "dpmpp_singlestep with the noise of the SDE, as diffusers has it", stochastic = true,
    remembers = blocks.remembers, rules = blocks.rules },
  ["diffusers-dpmpp-3m-inverse"] = inverse(dpmpp.dpmpp_3m, "dpmpp_3m backwards, from data to noise"),
  ["diffusers-dpm-inverse"] = inverse(ode.dpm_solver_multistep,
    "dpm_solver_multistep backwards, from data to noise"),
}

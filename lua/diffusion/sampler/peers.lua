--- Samplers of other libraries that differ from the publication. Each function reproduces one defect,
--- so that its results can be compared. The name says the defect. None is in d.sampler.names(), all
--- are in d.sampler.presets().
local churn = require "diffusion.sampler.churn"
local dpm2 = require "diffusion.sampler.dpm2"
local dpmpp = require "diffusion.sampler.dpmpp"
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"
local order = require "diffusion.sampler.order"

-- diffusers' Euler takes y x + n noise + c x0 for x0 at sigma (1 + gamma) = `up`. The x0 is that predicted at
-- sigma, and the noise that which was added. Each function returns y, n and c.
local reach = {
  x0 = function() return 0, 0, 1 end,
  v = function(t) return 0, 1 / (t ^ 2 + 1), 1 end,
  edm = function(t, up, data)
    local function skip(sigma) return data ^ 2 / (sigma ^ 2 + data ^ 2) end
    local gain = up / t * math.sqrt((t ^ 2 + data ^ 2) / (up ^ 2 + data ^ 2))
    return skip(up) - gain * skip(t), skip(up), gain
  end,
}

-- diffusers' Euler with churn evaluates the model before it adds the noise: x is at sigma (1 + gamma), but the output
-- is that at sigma. An eps is used as it is.
local function euler_churn_after_model(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    local inside = t.sigma >= opts.s_tmin and t.sigma <= opts.s_tmax
    local gamma = inside and math.min(opts.s_churn / (opts.steps or pair.n), math.sqrt(2) - 1) or 0
    local up = t.sigma * (1 + gamma)
    if gamma == 0 then return opts.mix(s.a / t.a, x, s.a * (s.sigma - up), eps) end
    local n, r = s.a * opts.s_noise * math.sqrt(up ^ 2 - t.sigma ^ 2), s.sigma / up
    if opts.of == "eps" then return opts.mix_noise(n, s.a / t.a, x, s.a * (s.sigma - up), eps) end
    local of_x, of_n, of_x0 = reach[opts.of](t.sigma, up, process.sigma_data)
    return opts.mix_noise(n * (r + (1 - r) * of_n), s.a / t.a * (r + (1 - r) * of_x), x, s.a * (1 - r) * of_x0, x0)
  end
end

-- diffusers' ScoreSdeVp takes Euler-Maruyama's step of the reverse SDE with dt = 1/N, though its N times are
-- 1/(N - 1) apart. The last step returns the mean.
local function score_vp_equal_steps(denoise, process, opts)
  local level, T = levels.of(process), process.T
  return function(x, pair)
    local t = level(pair.t)
    local _, eps = denoise(x, t.t)
    local step = (opts.beta_min + t.t / T * (opts.beta_max - opts.beta_min)) / (opts.steps or pair.n)
    if pair.s == 0 then return opts.mix(1 + step / 2, x, -step / t.s, eps) end
    return opts.mix_noise(math.sqrt(step), 1 + step / 2, x, -step / t.s, eps)
  end
end

-- diffusers' IPNDM starts at a = 0 and divides by 1e-8 there. So its first step loses x0, and any
-- difference between x and the history is multiplied by 1e8.
local function ipndm_start_without_x0(denoise, process, opts)
  local level, mix = levels.of(process), opts.mix
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local past = multistep.remember(history, select(2, denoise(x, t.t)), t.t, 4)
    local eps = multistep.sum(mix, 0, x, 1, multistep.adams[#past], past)
    return mix(s.a / math.max(t.a, 1e-8), mix(1, x, -t.s, eps), s.s, eps)
  end
end

-- diffusers' LMS can start in the middle of its grid, as for a half-noised image. It then uses the
-- weights for the slopes of the skipped steps as well. It drops those without a slope, so the
-- weights no longer add up to the step. `skipped` lists the levels before the start.
local function lms_of_missing_slopes(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local _, eps = denoise(x, t.t)
    local past = multistep.remember(history, eps, t.sigma, opts.order)
    local way, nodes, moments = s.sigma - t.sigma, {}, {}
    for i = 1, math.min(opts.order, pair.i + #opts.skipped) do
      local place = past[i] and past[i].place or level(opts.skipped[#opts.skipped + 1 + #past - i]).sigma
      nodes[i], moments[i] = (place - t.sigma) / way, 1 / i
    end
    local w = multistep.weights(nodes, moments)
    return multistep.sum(opts.mix, s.a / t.a, x, s.a * way, table.move(w, 1, #past, 1, {}), past)
  end
end

-- diffusers' SDE-DPM-Solver++ of order 3 has -1/2 for +1/2 in the factor of the second difference,
-- which is also half of its true value. It is gain(3, H) - 1 instead of 2 gain(3, H) as in
-- dpmpp_3m_sde (eta = 1).
local function dpmpp_3m_sde_wrong_sign(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local m = denoise(x, t.t)
    local past = multistep.remember(history, m, t.lambda, 3)
    if s.t == 0 then return m end
    if s.t == t.t then return x end
    local h, g = s.lambda - t.lambda, {}
    for k = 1, 3 do g[k] = levels.gain(k, 2 * h) end
    local nodes = {}
    for i = 1, math.min(#past, order.at(opts, pair, 3)) do nodes[i] = (past[i].place - t.lambda) / h end
    local w = multistep.weights(nodes, #nodes == 3 and { g[1], g[2], g[3] - 1 }
      or { g[1], opts.form == "heun" and g[2] or g[1] / 2 })
    local terms = {}
    for i in ipairs(nodes) do terms[2 * i - 1], terms[2 * i] = s.a * w[i], past[i].value end
    local sigma = s.s * math.sqrt(levels.gain(1, 2 * h))
    return opts.mix_path(sigma, t.lambda, s.lambda, 1, s.s / t.s * math.exp(-h), x, table.unpack(terms))
  end
end

-- With eta = 1 the midpoints of dpm2_ancestral are at the level where the step ends. diffusers shows two
-- timesteps there, on a line in sigma at the end and in ln sigma at the midpoint. So midpoints are set
-- apart by 1e-13 of t, which a denoiser can tell.
local function midpoints_told_apart(denoise, process, opts)
  local calls
  local step = dpm2.dpm2_ancestral.make(function(x, t)
    calls = calls + 1
    return denoise(x, calls == 2 and t * (1 + 1e-13) or t)
  end, process, opts)
  return function(x, pair, history)
    calls = 0
    return step(x, pair, history)
  end
end

-- diffusers caps the dynamic threshold at sample_max_value, by default 1. So |x0| is at most what a
-- static clip allows, and a threshold below 1 scales x0 up to 1.
local function capped(make)
  return function(denoise, process, opts)
    local function threshold(x, t)
      local x0, eps = denoise(x, t)
      local B = x:size(1)
      if B == 0 then return x0, eps end
      local q = x0:abs():reshape(B, x0:numel() // B):quantile(opts.ratio, 2)
      q = q:maximum(1):minimum(opts.most):over(x0)
      return x0:minimum(q):maximum(-q) / q, eps
    end
    return make(threshold, process, opts)
  end
end

local function with_threshold(solver)
  local rules = { ratio = { "number", default = 0.995, min = 0, max = 1,
    text = "quantile of |x0| that is the threshold" },
                  most = { "number", default = 1, above = 0, text = "cap of the threshold" } }
  for name, rule in pairs(solver.rules) do rules[name] = rule end
  return { make = capped(solver.make), order = solver.order, upward = solver.upward, remembers = solver.remembers,
           rules = rules }
end

local churn_rules = {
  steps = { "integer", min = 1, default_text = "steps of the run", text = "s_churn is over so many steps" },
  of = { one_of = { "eps", "v", "x0", "edm" }, default = "eps", later = true,
    text = "prediction target of the model's output" },
}
for name, rule in pairs(churn.rules) do churn_rules[name] = rule end
local missing_rules = {
  skipped = { "table", required = true, as = "number[]", text = "the levels before the start" },
  order = { "integer", default = 4, min = 1, max = 4, later = true, text = "values that a step uses" },
}

local peers = {
  ["diffusers-euler-churn-after-model"] = { make = euler_churn_after_model, stochastic = true, signal = true,
                                            rules = churn_rules },
  ["diffusers-ipndm-start-without-x0"] = { make = ipndm_start_without_x0, remembers = { past = {} } },
  ["diffusers-score-vp-equal-steps"] = { make = score_vp_equal_steps, stochastic = true, every = true,
    rules = { steps = { "integer", min = 1, default_text = "steps of the run", text = "the step is 1/steps" },
      beta_min = { "number", default = 0.1, min = 0, text = "beta(0)" },
      beta_max = { "number", default = 20, above = 0, text = "beta(1)" } } },
  ["diffusers-kdpm2-ancestral-midpoints-told-apart"] = { make = midpoints_told_apart, stochastic = true,
    signal = true, rules = dpm2.dpm2_ancestral.rules },
  ["diffusers-lms-of-missing-slopes"] = { make = lms_of_missing_slopes, signal = true, remembers = { past = {} },
                                          rules = missing_rules },
  ["diffusers-dpmpp-3m-sde-wrong-sign"] = { make = dpmpp_3m_sde_wrong_sign, stochastic = true,
                                            remembers = { past = {} },
                                            rules = order.rules { form = order.form } },
  ["diffusers-dpmpp-2m-threshold-capped"] = with_threshold(dpmpp.dpmpp_2m),
  ["diffusers-dpmpp-2m-inverse-threshold-capped"] = with_threshold(dpmpp.dpmpp_2m_inversion),
}
for _, family in ipairs {
  require "diffusion.sampler.peer_ddim",
  require "diffusion.sampler.peer_dpm",
  require "diffusion.sampler.peer_pndm",
  require "diffusion.sampler.peer_flow",
  (require "diffusion.sampler.peer_repaint"),
} do
  for name, solver in pairs(family) do peers[name] = solver end
end
for _, solver in pairs(peers) do
  solver.source = solver.source or "as another library computes it, including its defect"
end

return peers

--- DDPM and DDIM as diffusers computes them, each with a defect of its own. The name says the defect.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local levels = require "diffusion.sampler.levels"

-- x0 clipped to [-clip, clip] by the sampler's own options, or by a dynamic threshold. Raises if the
-- process clips, since it would do so first.
local function clipped(process, opts)
  if process.clip then
    fail.raise("sampler: it uses the eps from before x0 was clipped, so it clips x0 itself; give it clip = %s, and "
      .. "the process none", kind.shown(process.clip))
  end
  local r, ratio, most = opts.clip, opts.ratio, opts.most
  if r then return function(x0) return x0:clamp(-r, r) end end
  if not ratio then return function(x0) return x0 end end
  return function(x0)
    local B = x0:size(1)
    if B == 0 then return x0 end
    local q = x0:abs():reshape(B, x0:numel() // B):quantile(ratio, 2):maximum(1):minimum(most):over(x0)
    return x0:minimum(q):maximum(-q) / q
  end
end

-- The level that a step of T // steps timesteps from t leads to.
local function by_stride(process, opts, pair)
  local s = pair.t - process.T // (opts.steps or pair.n)
  return s >= 1 and s or opts.last
end

-- diffusers' DDIM with clip_sample and use_clipped_model_output = false, its default. x0 is clipped but
-- eps is not changed, so the two no longer combine to x_t. The clip is an option here, because a
-- process that clips makes the pair agree before a sampler sees it. Its step can lead to t -
-- floor(T/N) even if the grid's next level is another.
local function ddim(strides)
  return function(denoise, process, opts)
    local level, schedule, clip, mix = levels.of(process), process.schedule, clipped(process, opts), opts.mix
    return function(x, pair)
      local t, s = level(pair.t), level(strides and by_stride(process, opts, pair) or pair.s)
      local x0, eps = denoise(x, t.t)
      x0 = clip(x0)
      if s.t == 0 then return x0 end
      if opts.pair == "clipped" then eps = mix(1 / t.s, x, -t.a / t.s, x0) end
      local variance = s.t < t.t and opts.eta ^ 2 * schedule:posterior_variance(t.t, s.t) or 0
      local direction = math.sqrt(math.max(0, s.s ^ 2 - variance))
      if opts.eta == 0 then return mix(s.a, x0, direction, eps) end
      return opts.mix_noise(math.sqrt(variance), s.a, x0, direction, eps)
    end
  end
end

-- x0 and eps at level s, of what the network returned at t.
local function estimate(denoise, process, mix, x, t, s)
  local x0, eps = denoise(x, t.t)
  if process.predict == "x0" then return x0, mix(1 / s.s, x, -s.a / s.s, x0) end
  if process.predict == "v" then eps = mix(s.s, x, s.a * t.a, eps, -s.a * t.s, x0) end
  return mix(1 / s.a, x, -s.s / s.a, eps), eps
end

-- diffusers' DDIMInverse evaluates the network at t, the level it goes to, but uses the result as one
-- at s, the level of x. x0 is clipped and eps is not changed.
local function ddim_inverse_told_next_time(denoise, process, opts)
  local level, clip = levels.of(process), clipped(process, opts)
  return function(x, pair)
    local t = level(pair.t)
    local s = level(opts.steps and by_stride(process, opts, pair) or pair.s)
    local x0, eps = estimate(denoise, process, opts.mix, x, t, s)
    return opts.mix(t.a, clip(x0), t.s, eps)
  end
end

-- The standard deviation of diffusers' DDPM in a step from t to s. At s = 0 it has the smallest variance
-- 1e-20, or that of q(x_t | x_0).
local function deviation(process, pair, v)
  local t, s = pair.t, pair.s
  if v and (s > 0 or process.variance ~= "learned_range") then return process:learned_variance(v, t, s):sqrt() end
  if s > 0 then return math.sqrt(process:step_variance(t, s)) end
  local large = process.schedule:noise(t) ^ 2
  if v then return ((v + 1) * (math.log(large / 1e-20) / 4) + math.log(1e-20) / 2):exp() end
  return process.variance == "fixed_large" and math.sqrt(large) or 1e-10
end

-- diffusers' DDPM omits the noise if t, rather than s, is the last level. So a grid that ends above t =
-- 1 returns x0 with noise added.
local function ddpm_noise_in_last_step(denoise, process, opts)
  return function(x, pair)
    local x0, _, v = denoise(x, pair.t)
    local c0, ct = process:posterior_coefficients(pair.t, pair.s)
    if pair.t == 1 then return opts.mix(c0, x0, ct, x) end
    local sigma = deviation(process, pair, v)
    if not v then return opts.mix_noise(sigma, c0, x0, ct, x) end
    return opts.mix(c0, x0, ct, x) + sigma * opts.mix_noise(1, 0, x)
  end
end

-- diffusers' Wuerstchen ends at a level with noise, and adds none in the step to it.
local function ddpm_without_last_noise(denoise, process, opts)
  return function(x, pair)
    local x0 = denoise(x, pair.t)
    local c0, ct, variance = process:posterior_coefficients(pair.t, pair.s)
    local noise = pair.s > opts.last and variance > opts.least and math.sqrt(variance) or 0
    return opts.mix_noise(noise, c0, x0, ct, x)
  end
end

local clip = {
  clip = { "number", above = 0, text = "x0 is clipped to [-clip, clip]" },
  ratio = { "number", min = 0, max = 1, text = "quantile of |x0| that is a dynamic threshold" },
  most = { "number", default = 1, above = 0, later = true, text = "cap of that threshold" },
}
local own = {
  eta = { "number", default = 0, min = 0, later = true, text = "factor of the posterior's standard deviation" },
  pair = { one_of = { "unclipped", "clipped" }, default = "unclipped", later = true, text = "x0 to which eps belongs" },
}
local stride = {
  steps = { "integer", min = 1, default_text = "steps of the run", text = "the stride is T // steps" },
  last = { "integer", default = 0, min = 0, max = 1, later = true, text = "level below the first stride" },
}

local function joined(...)
  local out = {}
  for _, rules in ipairs { ... } do
    for name, rule in pairs(rules) do out[name] = rule end
  end
  return out
end

return {
  ["diffusers-ddim-eps-of-unclipped-x0"] = { make = ddim(false), rules = joined(clip, own) },
  ["diffusers-ddim-previous-by-stride"] = { make = ddim(true), rules = joined(clip, own, stride) },
  ["diffusers-ddim-inverse-told-next-time"] = { make = ddim_inverse_told_next_time, upward = true,
                                                rules = joined(clip, stride) },
  ["diffusers-ddpm-without-last-noise"] = { make = ddpm_without_last_noise, stochastic = true,
    rules = { last = { "integer", default = 1, min = 0, text = "the last level, to which a step adds no noise" },
      least = { "number", default = 0, min = 0, text = "smaller variances of a step are none" } } },
  ["diffusers-ddpm-noise-in-last-step"] = { make = ddpm_noise_in_last_step, stochastic = true, every = true },
}

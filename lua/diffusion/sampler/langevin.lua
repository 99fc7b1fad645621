--- Langevin dynamics at one level: steps along the score, with noise. Short steps leave the level's
--- own distribution unchanged.
local levels = require "diffusion.sampler.levels"

-- One corrector step of Song et al. 2021 (score SDE), algorithms 4 and 5. With the score g = -eps/s
-- and noise z it is x + e g + sqrt(2 e) z, e = 2 alpha (snr |z|/|g|)^2. The norms are those of each
-- sample, while the paper's code has means over the batch. |z| is its expected value sqrt(D), so the
-- length of a step doesn't depend on its own noise. e is at most s^2/5, because a small |eps| would
-- make it far larger in few dimensions.
local function correct(denoise, opts, x, l, alpha)
  local _, eps = denoise(x, l.t)
  local B = x:size(1)
  if B == 0 then return x end
  local square, ahead, fresh = eps:reshape(B, x:numel() // B):square():mean(2):totable(), {}, {}
  for b = 1, B do
    local e = math.min(0.2, 2 * alpha * opts.snr ^ 2 / square[b]) -- in units of s^2
    ahead[b], fresh[b] = -e * l.s, math.sqrt(2 * e) * l.s
  end
  return opts.mix_noise(fresh, 1, x, ahead, eps)
end

-- The same with the norms of the paper's code: means over the batch, of this step's own noise, and e isn't bounded.
local function correct_batch(denoise, opts, x, l, alpha)
  local _, eps = denoise(x, l.t)
  local B = x:size(1)
  if B == 0 then return x end
  local z = opts.mix_noise(1, 0, x)
  local function norm(y) return y:reshape(B, x:numel() // B):square():sum(2):sqrt():mean():item() end
  local e = 2 * alpha * (opts.snr * norm(z) / norm(eps)) ^ 2 -- in units of s^2
  return opts.mix(1, x, -e * l.s, eps, math.sqrt(2 * e) * l.s, z)
end

--- Predictor and corrector: Song et al. 2021 (score SDE), algorithms 2 and 3.
-- The predictor is the reverse SDE's step, in y = x/a (eq. 46, where a = 1),
--   y_s = y_t - (sigma_t^2 - sigma_s^2)/sigma_t eps + sqrt(sigma_t^2 - sigma_s^2) z,
-- or the step of ancestral sampling, where the variance of z is multiplied by (sigma_s/sigma_t)^2
-- (eq. 47). Then the corrector acts at s. The last step, to s = 0, returns the predictor's mean.
-- The corrector's e is larger at small |eps|, so its steps converge to p(x)/e(x), not p itself. For a
-- Gaussian in D dimensions this multiplies the variance by 1 + 2/D, except for the cap on e. For
-- images the effect is negligible. In two dimensions N(0, 0.5^2) ends with a std of 0.57, against
-- 0.51 without corrections (100 steps). In 64 dimensions it is 0.508 with one and 0.511 without.
local function predictor_corrector(denoise, process, opts)
  local level, step = levels.of(process), opts.norms == "batch" and correct_batch or correct
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local function corrected(l)
      for _ = 1, opts.corrections do x = step(denoise, opts, x, l, (t.a / s.a) ^ 2) end
      return x
    end
    if opts.corrector == "before" then x = corrected(t) end
    local x0, eps = denoise(x, t.t)
    if s.t == 0 then return x0 end
    local way = t.sigma ^ 2 - s.sigma ^ 2
    local fresh = math.sqrt(way) * (opts.predictor == "ancestral" and s.sigma / t.sigma or 1)
    x = opts.mix_path(s.a * fresh, t.lambda, s.lambda, 1, s.a / t.a, x, -s.a * way / t.sigma, eps)
    return opts.corrector == "after" and corrected(s) or x
  end
end

--- Annealed Langevin dynamics: Song & Ermon 2019, algorithm 1. At each level `inner` steps
--   x + (step/2) s^2 g + sqrt(step) s z,
-- with step = epsilon / sigma_L^2 in the paper's notation (0.2 there). Between levels y = x/a stays.
-- The last step returns x0, the denoised sample.
local function annealed_langevin(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    for _ = 1, opts.inner do
      local _, eps = denoise(x, t.t)
      x = opts.mix_noise(math.sqrt(opts.step) * t.s, 1, x, -opts.step / 2 * t.s, eps)
    end
    if s.t == 0 then return (denoise(x, t.t)) end
    return opts.mix(s.a / t.a, x)
  end
end

return {
  predictor_corrector = { make = predictor_corrector,
    source = "Song et al. 2021 (score SDE), algorithms 2 to 5",
    order = 1, evaluations = 2, stochastic = true, signal = true, every = true,
    rules = {
      predictor = { one_of = { "reverse", "ancestral" }, default = "reverse",
        text = "step of the reverse SDE, or of ancestral sampling" },
      corrections = { "integer", default = 1, min = 0, text = "corrector steps at each level" },
      corrector = { one_of = { "after", "before" }, default = "after", later = true,
        text = "the corrector acts at s after the predictor, or at t before it, as in the paper's code" },
      norms = { one_of = { "sample", "batch" }, default = "sample", later = true,
        text = "norms of each sample, or means over the batch with the norm of the noise drawn, as in that code" },
      snr = { "number", default = 0.16, above = 0, text = "ratio of score to noise in a corrector step" },
    } },
  annealed_langevin = { make = annealed_langevin, source = "Song & Ermon 2019, algorithm 1",
    evaluations = 5, stochastic = true, signal = true, every = true, rules = {
    inner = { "integer", default = 5, min = 1, text = "steps at each level" },
    step = { "number", default = 0.2, above = 0, below = 4, text = "length of a step, in units of s^2" },
  } },
}

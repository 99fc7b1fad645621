--- RePaint as diffusers computes it: Lugmayr et al. 2022, with the same noise for the known and the
--- unknown part. d.edit.repaint has the published algorithm, and takes any sampler.
local levels = require "diffusion.sampler.levels"

-- From level t to t - T // steps by DDIM. The known part is the original at that level.
local function reverse(denoise, process, opts, level, x, t)
  local s = level(math.max(0, t.t - process.T // opts.steps))
  local x0, eps = denoise(x, t.t)
  if opts.clip then x0 = x0:clamp(-opts.clip, opts.clip) end
  local z = opts.mix_noise(1, 0, x)
  local variance = s.t > 0 and opts.eta ^ 2 * process.schedule:posterior_variance(t.t, s.t) or 0
  local y = opts.mix(s.a, x0, math.sqrt(math.max(0, s.s ^ 2 - variance)), eps,
    t.t > 1 and math.sqrt(variance) or 0, z)
  if not opts.mask then return y end
  return opts.mask * opts.mix(s.a, opts.original, s.s, z) + (1 - opts.mask) * y
end

-- A jump: one step of the forward process for each level.
local function back(process, opts, x, last)
  for t = last, last + process.T // opts.steps - 1 do
    local beta = process.schedule:beta(t)
    x = opts.mix_noise(math.sqrt(beta), math.sqrt(1 - beta), x)
  end
  return x
end

-- The run's levels rise where it jumps back. The last level before tells which a step is.
local function repaint(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local last = history.last or process.T + 1
    history.last = pair.t
    if not opts.steps then opts.steps = pair.n end
    if pair.t < last then return reverse(denoise, process, opts, level, x, level(pair.t)) end
    return back(process, opts, x, last)
  end
end

return {
  ["diffusers-repaint-one-noise-for-both-parts"] = { make = repaint, stochastic = true, remembers = { last = {} },
    rules = {
      original = { "tensor", default_text = "none", text = "the picture whose known part stays" },
      mask = { "tensor", default_text = "none: nothing is known", text = "1 where the original is known" },
      eta = { "number", default = 0, min = 0, text = "factor of the posterior's standard deviation" },
      clip = { "number", above = 0, text = "x0 is clipped to [-clip, clip]" },
      steps = { "integer", min = 1, default_text = "steps of the run", text = "a step has T // steps levels" },
    } },
}

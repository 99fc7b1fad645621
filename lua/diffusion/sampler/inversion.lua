--- DDIM backwards, from data to the noise that ddim maps to it: Song et al. 2021, "Denoising
--- diffusion implicit models", sec. 4.3. It follows a grid from its end to its start: pair = (t, s)
--- takes x at s to t.
-- x_t = (a_t/a_s) x_s + (s_t - s_s a_t/a_s) eps. With eps at (x_s, s) the error falls as 1/N. At
-- s = 0, where no network was trained, eps is taken at (x_s, t). ddim's own step has eps at
-- (x_t, t). exact = true solves for that x_t by iteration, so that ddim returns to x_s. A sample
-- whose change does not shrink moves half as far from then on. One that has converged stays. The
-- residual is the largest last change of x_t over the samples, as a root mean square.
local levels = require "diffusion.sampler.levels"

-- The state of each sample: the factor of its next change, and the size of its last.
local function start(B)
  local far, change = {}, {}
  for b = 1, B do far[b], change[b] = 1, math.huge end
  return far, change
end

-- Stores the changes of this iteration. Returns the largest last change of any sample.
local function judge(far, change, now, tolerance)
  local largest = 0
  for b, gap in ipairs(now) do
    if far[b] > 0 then
      if gap >= change[b] then far[b] = far[b] / 2 end
      change[b] = gap
      if gap <= tolerance or gap ~= gap then far[b] = 0 end
    end
    largest = math.max(largest, change[b])
  end
  return largest
end

-- y with y = toward(y), from a first guess, and the residual.
local function fixed_point(y, toward, mix, o)
  local B = y:size(1)
  if B == 0 then return y, 0 end
  local far, change = start(B)
  local residual = 0
  for _ = 1, o.iterations do
    local z = toward(y)
    local now = (z - y):reshape(B, y:numel() // B):square():mean(2):sqrt():totable()
    local stay = {}
    for b = 1, B do stay[b] = 1 - far[b] end
    y = mix(stay, y, far, z)
    residual = judge(far, change, now, o.tolerance)
    if residual <= o.tolerance then break end
  end
  return y, residual
end

local function ddim_inversion(denoise, process, opts)
  local level = levels.of(process)
  return function(x, pair, history)
    local t, s = level(pair.t), level(pair.s)
    local keep = t.a / s.a
    local function step(eps) return opts.mix(keep, x, t.s - s.s * keep, eps) end
    local at = (s.t == 0 or opts.at == "t") and t.t or s.t
    local y = step(select(2, denoise(x, at)))
    if not opts.exact then return y end
    local residual
    y, residual = fixed_point(y, function(z) return step(select(2, denoise(z, t.t))) end, opts.mix, opts)
    history.residual = math.max(history.residual or 0, residual)
    return y
  end
end

return {
  ddim_inversion = { make = ddim_inversion,
    source = 'Song et al. 2021, "Denoising diffusion implicit models", sec. 4.3',
    order = 1, upward = true, remembers = { residual = {} }, rules = {
    at = { one_of = { "s", "t" }, default = "s", text = "level at which the model is evaluated" },
    exact = { "boolean", default = false, text = "solves each step by iteration, so that ddim returns to the data" },
    tolerance = { "number", default = 1e-6, above = 0, text = "residual at which the iteration ends" },
    iterations = { "integer", default = 100, min = 1, text = "iterations of a step at most" },
  } },
}

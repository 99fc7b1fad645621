-- Edits in double on distributions with known results. Moments of img2img and of RePaint
-- are computed independently. Also tested are the conditional Gaussian that RePaint
-- approaches, great circles, and exact inverses.
local d = require "diffusion"
local gaussian = d.oracle.gaussian

local function near(expected, got, tolerance, what)
  assert(math.abs(expected - got) <= tolerance, ("%s: %.12g, not %.12g"):format(what or "value", got, expected))
end

-- Mean and variance of a column.
local function moments(x, column)
  x = x:narrow(2, column, 1)
  return x:mean():item(), x:square():mean():item() - x:mean():item() ^ 2
end

-- n rows of a point.
local function rows(n, point) return d.zeros(n, #point) + d.tensor(point):reshape(1, #point) end

describe("img2img of Gaussian data", function()
  local process = d.process { schedule = d.schedule.linear { T = 50, beta_end = 0.2, rescale = false }, predict = "x0" }
  local std, point, n = 0.7, { 1.5, -0.5 }, 20000

  -- ddpm's steps on N(0, std^2): x_s = (c0 E + ct) x_t + sigma z, E the gain of the best denoiser.
  local function expected(p, mu)
    local schedule = process.schedule
    local mean, variance = schedule:signal(p.start) * mu, schedule:noise(p.start) ^ 2
    for _, step in ipairs(p.grid) do
      local t, s = step[1], step[2]
      local a, noise = schedule:signal(t), schedule:noise(t)
      local c0, ct, left = process:posterior_coefficients(t, s)
      local gain = c0 * a * std ^ 2 / (a ^ 2 * std ^ 2 + noise ^ 2) + ct
      mean, variance = gain * mean, gain ^ 2 * variance + (s > 0 and left or 0)
    end
    return mean, variance
  end

  it("has the mean and the variance of its plan", function()
    local model = gaussian { mean = { 0, 0 }, std = std }:denoiser(process)
    for _, strength in ipairs { 0.2, 0.6, 1 } do
      local x, p = d.edit.img2img { model = model, process = process, x0 = rows(n, point), strength = strength,
        steps = 10, sampler = "ddpm", seed = 3 }
      assert.equal(10, p.evaluations)
      for column, mu in ipairs(point) do
        local mean, variance = moments(x, column)
        local mean_, variance_ = expected(p, mu)
        near(mean_, mean, 4 * math.sqrt(variance_ / n), "mean at strength " .. strength)
        near(1, variance / variance_, 4 * math.sqrt(2 / n), "variance at strength " .. strength)
      end
    end
  end)

  it("is x0 where the data are that point alone", function()
    local x0 = rows(3, point)
    local x = d.edit.img2img { model = function(xt) return xt * 0 + x0 end, process = process, x0 = x0, start = 37,
      steps = 5, seed = 1 }
    assert((x - x0):abs():max():item() < 1e-12)
  end)
end)

-- ==== RePaint ================================================================================

describe("RePaint of a Gaussian, its first coordinate kept", function()
  local coarse = d.process { schedule = d.schedule.linear { T = 40, beta_end = 0.3, rescale = false }, predict = "x0" }
  local mean, cov = { 0.5, -1 }, { { 1, 0.8 }, { 0.8, 1 } }
  local kept, n = 2, 8000
  local conditional = { mean = mean[2] + cov[1][2] / cov[1][1] * (kept - mean[1]),
    variance = cov[2][2] - cov[1][2] ^ 2 / cov[1][1] }

  -- E[x0_2 | x_t] = m2 + g1 (x_1 - a m1) + g2 (x_2 - a m2): row 2 of a C (a^2 C + s^2)^-1.
  local function gains(a, s)
    local p, q, r = a ^ 2 * cov[1][1] + s ^ 2, a ^ 2 * cov[1][2], a ^ 2 * cov[2][2] + s ^ 2
    local det = p * r - q * q
    return a * (cov[1][2] * r - cov[2][2] * q) / det, a * (cov[2][2] * p - cov[1][2] * q) / det
  end

  -- Mean and variance of the painted coordinate along the levels of a walk. The kept one is
  -- N(a kept, s^2) at every level but the first, of a draw of its own: independent of the painted.
  local function expected(process, times)
    local schedule = process.schedule
    local m, v, k, kv = 0, 1, 0, 1
    for i = 2, #times do
      local from, to = times[i - 1], times[i]
      local a, s = schedule:signal(from), schedule:noise(from)
      if to > from then
        local factor, fresh = process:q_moments(1, to, from)
        m, v = factor * m, factor ^ 2 * v + fresh
      else
        local c0, ct, left = process:posterior_coefficients(from, to)
        local g1, g2 = gains(a, s)
        m = c0 * (mean[2] + g1 * (k - a * mean[1]) + g2 * (m - a * mean[2])) + ct * m
        v = (c0 * g2 + ct) ^ 2 * v + (c0 * g1) ^ 2 * kv + (to > 0 and left or 0)
      end
      k, kv = schedule:signal(to) * kept, schedule:noise(to) ^ 2
    end
    return m, v
  end

  it("has at every resampling the moments of independent draws", function()
    local model = gaussian { mean = mean, cov = cov }:denoiser(coarse)
    for _, case in ipairs { { 10, 1 }, { 10, 4 }, { 3, 3 } } do
      local x0 = rows(n, { kept, 77 })
      local x, p = d.edit.repaint { model = model, process = coarse, x0 = x0, keep = d.tensor { 1, 0 }, steps = 40,
        jump = case[1], resample = case[2], seed = 5 }
      local m, v = moments(x, 2)
      local m_, v_ = expected(coarse, p.times)
      near(m_, m, 4 * math.sqrt(v_ / n), "mean")
      near(1, v / v_, 4 * math.sqrt(2 / n), "variance")
      assert.equal(true, x:narrow(2, 1, 1):equal(x0:narrow(2, 1, 1)))
    end
  end)

  -- |mean - true mean| + |variance - true variance| at the end of a walk.
  local published = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "x0" }
  local function gap(steps, resample)
    local p = d.edit.repaint_plan { process = published, steps = steps, jump = 20, resample = resample }
    local m, v = expected(published, p.times)
    return math.abs(m - conditional.mean) + math.abs(v - conditional.variance)
  end

  -- A reverse step takes the kept part from its noisy copy, not from x0. So an error
  -- remains even with any number of repetitions; finer steps make it small.
  it("nears the conditional distribution as it resamples, and in finer steps", function()
    local last = math.huge
    for _, case in ipairs { { 250, 1 }, { 250, 2 }, { 250, 5 }, { 250, 20 }, { 250, 80 }, { 1000, 80 } } do
      local now = gap(table.unpack(case))
      assert(now < last, ("%d steps, resample %d: %g, after %g"):format(case[1], case[2], now, last))
      last = now
    end
    assert(gap(250, 1) > 0.5 and gap(250, 80) < 0.06 and last < 0.03, last)
  end)

  it("walks as published", function()
    -- Lugmayr et al. 2022, appendix: times of T, jump length, samples; left steps less one there.
    local function theirs(T, length, samples)
      local jumps, t, out = {}, T, {}
      for j = 0, T - length - 1, length do jumps[j] = samples - 1 end
      while t >= 1 do
        t = t - 1
        out[#out + 1] = t
        if (jumps[t] or 0) > 0 then
          jumps[t] = jumps[t] - 1
          for _ = 1, length do
            t = t + 1
            out[#out + 1] = t
          end
        end
      end
      out[#out + 1] = -1
      return out
    end
    for _, case in ipairs { { 40, 10, 10 }, { 40, 1, 3 }, { 13, 4, 2 }, { 40, 7, 5 } } do
      local T, length, samples = table.unpack(case)
      local p = d.edit.repaint_plan { steps = T, jump = length, resample = samples,
        process = d.process { schedule = d.schedule.cosine { T = T }, predict = "x0" } }
      local visited = {} -- a jump in one leap, where theirs counts the levels it leaps over
      for i, t in ipairs(p.times) do
        for between = p.times[i - 1] and p.times[i - 1] + 1 or t, t - 1 do visited[#visited + 1] = between - 1 end
        visited[#visited + 1] = t - 1
      end
      assert.equal(table.concat(theirs(T, length, samples), " "), table.concat(visited, " "))
    end
  end)
end)

-- ==== between ================================================================================

describe("slerp", function()
  local a = d.randn({ 4, 3, 5 }, { seed = 1 })
  local function flat(x) return x:reshape(4, 15) end

  it("turns evenly along the great circle and keeps unit length", function()
    local function unit(x) return x / flat(x):square():sum(2):sqrt():reshape(4, 1, 1) end
    local p, q = unit(a), unit(d.randn({ 4, 3, 5 }, { seed = 2 }))
    local theta = flat(p * q):sum(2)
    for _, u in ipairs { 0, 0.2, 0.5, 1 } do
      local x = d.edit.slerp(p, q, u)
      local length, along = flat(x):square():sum(2), flat(x * p):sum(2)
      for k = 1, 4 do
        near(1, length[k], 1e-12, "length")
        near(math.cos(u * math.acos(theta[k])), along[k], 1e-12, "cosine to a")
      end
    end
  end)

  it("keeps sin((1 - u) theta)/sin theta of a near 0 and pi, where acos has no digits", function()
    for _, angle in ipairs { 1e-5, 1e-3, math.pi - 1e-5 } do
      local x = d.edit.slerp(d.tensor { { 3, 0 } }, d.tensor { { 3 * math.cos(angle), 3 * math.sin(angle) } }, 0.3)
      near(3 * math.cos(0.3 * angle), x[1][1], 1e-9)
      near(3 * math.sin(0.3 * angle), x[1][2], 1e-9)
    end
  end)

  it("is the straight line where both point the same way, or one is nothing", function()
    local b = d.cat({ a:narrow(1, 1, 1) * 3, a:narrow(1, 2, 1) * 0, a:narrow(1, 3, 1) * -2, a:narrow(1, 4, 1) }, 1)
    assert((d.edit.slerp(a, b, 0.25) - (0.75 * a + 0.25 * b)):abs():max():item() < 1e-15)
  end)
end)

describe("interpolation", function()
  local process = d.process { schedule = d.schedule.linear { T = 50, beta_end = 0.2, rescale = false }, predict = "x0" }
  local std = 0.6
  local model = gaussian { mean = { 0, 0, 0 }, std = std }:denoiser(process)
  local a, b = d.tensor { { 1, 2, 3 } }, d.tensor { { -1, 0.5, 2 } }
  local u = { 0, 0.3, 1, 1.2 }

  -- By noise that both share x is linear in u, and the noise isn't thinned midway: x_t is
  -- a_t ((1 - u) a + u b) + s_t eps for every u.
  it("by shared noise mixes the pictures alone", function()
    local x = d.edit.interpolate { model = model, process = process, a = a, b = b, u = u, at = 30, steps = 6, seed = 4,
      sampler = "ddim" }
    for k, v in ipairs(u) do
      local mixed = (1 - v) * a + v * b
      local alone = d.edit.img2img { model = model, process = process, x0 = mixed, start = 30, steps = 6, seed = 4,
        sampler = "ddim" }
      assert((alone - x:narrow(1, k, 1)):abs():max():item() < 1e-12)
    end
  end)

  it("by inversion has the ends for ends, and on Gaussian data the great circle between", function()
    local x, p = d.edit.interpolate { model = model, process = process, a = a, b = b, u = u, by = "inversion",
      steps = 8, tolerance = 1e-13 }
    assert.equal(8, p.steps)
    for k, v in ipairs(u) do -- x_T is a multiple of x0 there, so the reverse of the mixture is one too
      assert((d.edit.slerp(a, b, v) - x:narrow(1, k, 1)):abs():max():item() < 1e-10)
    end
  end)
end)

-- ==== inversion ==============================================================================

describe("inversion", function()
  local process = d.process { schedule = d.schedule.linear { beta_end = 0.015, T = 1000 }, predict = "eps" }
  local std = 0.5
  local x0 = d.randn({ 5, 2 }, { seed = 3 }) * std
  local model = gaussian { mean = { 0, 0 }, std = std }:denoiser(process)

  it("is the product of ddim's gains on Gaussian data, undone", function()
    local xt, report = d.edit.invert { model = model, process = process, x0 = x0, steps = 12, tolerance = 1e-14,
      check = true }
    local schedule, gain = process.schedule, 1
    for _, step in ipairs(report.grid) do
      local t, s = step[1], step[2]
      local at, nt, as, ns = schedule:signal(t), schedule:noise(t), schedule:signal(s), schedule:noise(s)
      gain = gain * (as * at * std ^ 2 + ns * nt) / (at ^ 2 * std ^ 2 + nt ^ 2)
    end
    assert((xt * gain - x0):abs():max():item() < 1e-11)
    assert(report.residual <= 1e-14 and report.error < 1e-12, tostring(report))
  end)

  it("of explicit steps is off by what falls as 1/N", function()
    local model_ = d.oracle.moons():denoiser(process)
    local points, errors = d.oracle.moons():sample(6, { seed = 1 }), {}
    for i, N in ipairs { 25, 50, 100 } do
      local _, report = d.edit.invert { model = model_, process = process, x0 = points, steps = N, exact = false,
        check = true }
      assert.is_nil(report.residual)
      errors[i] = report.error
    end
    local order = math.log(errors[1] / errors[3], 4)
    assert(order > 0.7 and order < 1.4, order)
  end)
end)

--- Steps along a straight path, x_t = (1 - w) x0 + w eps with w = s_t (Liu et al. 2023;
--- Lipman et al. 2023): dx/dw = u = eps - x0, by Euler, Heun and the midpoint method.
local fail = require "diffusion.fail"
local levels = require "diffusion.sampler.levels"

-- The levels of a schedule with a straight path. Raises for any other.
local function straight(name, process)
  local level = levels.of(process)
  return function(t)
    local l = level(t)
    if math.abs(l.a + l.s - 1) > 1e-9 then
      fail.raise("sampler %s: a straight path has a + s = 1, but %s has %.6g + %.6g at t = %g; use d.schedule.flow, or "
        .. "unipc", name, process.schedule.name, l.a, l.s, t)
    end
    return l
  end
end

local function flow_euler(denoise, process, opts)
  local level = straight("flow_euler", process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    local way = s.s - t.s
    return opts.mix(1, x, way, eps, -way, x0)
  end
end

-- The slope at the end of Euler's step is averaged with the first. At s = 0 there is none.
local function flow_heun(denoise, process, opts)
  local level = straight("flow_heun", process)
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    local way = s.s - t.s
    local guess = opts.mix(1, x, way, eps, -way, x0)
    if s.t == 0 then return guess end
    local x0_s, eps_s = denoise(guess, s.t)
    return opts.mix(1, x, way / 2, eps, -way / 2, x0, way / 2, eps_s, -way / 2, x0_s)
  end
end

-- The slope halfway in w is used for the whole step, unless it lies below the schedule's first
-- level.
local function flow_midpoint(denoise, process, opts)
  local level, schedule = straight("flow_midpoint", process), process.schedule
  return function(x, pair)
    local t, s = level(pair.t), level(pair.s)
    local x0, eps = denoise(x, t.t)
    local way, w = s.s - t.s, (t.s + s.s) / 2
    if w >= schedule:noise(1) then
      local middle = opts.mix(1, x, way / 2, eps, -way / 2, x0)
      x0, eps = denoise(middle, schedule:level_of_sigma(w / (1 - w)))
    end
    return opts.mix(1, x, way, eps, -way, x0)
  end
end

return {
  flow_euler = { make = flow_euler, source = "Liu et al. 2023; Lipman et al. 2023, by Euler",
    order = 1 },
  flow_heun = { make = flow_heun, source = "Liu et al. 2023; Lipman et al. 2023, by Heun",
    order = 2, evaluations = 2 },
  flow_midpoint = { make = flow_midpoint,
    source = "Liu et al. 2023; Lipman et al. 2023, by the midpoint method",
    order = 2, evaluations = 2 },
}

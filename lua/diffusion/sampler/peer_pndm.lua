--- PNDM as diffusers computes it. plms agrees with it where its steps have equal lengths.
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"

-- The network's eps, or its v.
local function asked(denoise, x, l, mix, of)
  local x0, eps = denoise(x, l.t)
  return of == "eps" and eps or mix(l.a, eps, -l.s, x0)
end

-- DDIM's step from level t to level s with this value. A v counts as one at x and t.
local function move(mix, x, t, s, value, of)
  local c = s.s - s.a * t.s / t.a
  if of == "eps" then return mix(s.a / t.a, x, c, value) end
  return mix(s.a / t.a + c * t.s, x, c * t.a, value)
end

local function mean(mix, w, past)
  local terms = {}
  for i, weight in ipairs(w) do terms[2 * i - 1], terms[2 * i] = weight, past[i].value end
  return mix(table.unpack(terms))
end

-- A step of Runge-Kutta from a level: the levels at which the network is evaluated, and those that x is
-- taken to with each value. Its middle is at t - floor(stride/2), while the network is evaluated at s +
-- floor(stride/2).
local function group_of(opts, pair, stride)
  if opts.groups then return opts.groups[pair.i] end
  local t, s, half = pair.t, pair.s, stride // 2
  return { from = t, told = { t, s + half, s + half, s }, to = { t - half, s + half, s, s } }
end

-- A step leads from t to t - stride with stride = floor(T/N), wherever the grid's next level is, but the
-- network is evaluated at the grid's levels. The first step of PLMS evaluates it at `second` too and
-- then repeats itself, from second + stride to second.
local function pndm(denoise, process, opts)
  local level, mix, of = levels.of(process), opts.mix, opts.of
  local function stride(pair) return process.T // (opts.steps or pair.n) end
  local function at(t) return level(t >= 1 and t or opts.last) end
  local function ask(x, l) return asked(denoise, x, l, mix, of) end

  local function heun_start(x, pair, value)
    local second = level(opts.second or pair.s)
    local guess = move(mix, x, level(pair.t), at(pair.t - stride(pair)), value, of)
    local there = ask(guess, second)
    return move(mix, x, level(second.t + stride(pair)), second, mix(1 / 2, value, 1 / 2, there), of)
  end

  local function runge_kutta(x, pair, value)
    local group, values, y = group_of(opts, pair, stride(pair)), {}, nil
    for k, t in ipairs(group.told) do
      values[k] = { value = k == 1 and value or ask(y, level(t)) }
      local all = k == 4 and mean(mix, { 1 / 6, 1 / 3, 1 / 3, 1 / 6 }, values) or values[k].value
      y = move(mix, x, level(group.from), at(group.to[k]), all, of)
    end
    return y
  end

  return function(x, pair, history)
    local t = level(pair.t)
    local value = ask(x, t)
    local past = multistep.remember(history, value, t.t, 4)
    local single = pair.n == 1 and not opts.second
    if opts.start == "runge_kutta" and #past < 4 then return runge_kutta(x, pair, value) end
    if #past == 1 and not single then return heun_start(x, pair, value) end
    return move(mix, x, t, at(pair.t - stride(pair)), mean(mix, multistep.adams[#past], past), of)
  end
end

return {
  ["diffusers-pndm-previous-by-stride"] = { make = pndm, signal = true, remembers = { past = {} }, rules = {
    start = { one_of = { "heun", "runge_kutta" }, default = "heun", text = "method of the first steps" },
    of = { one_of = { "eps", "v" }, default = "eps", text = "the predictions that are combined" },
    steps = { "integer", min = 1, default_text = "steps of the run", text = "the stride is T // steps" },
    last = { "integer", default = 0, min = 0, max = 1, text = "level below the first stride" },
    groups = { "table", as = "table[]", default_text = "four of each of the first three steps",
      text = "steps of Runge-Kutta: tables with the levels of their evaluations and moves" },
    second = { "integer", min = 1, default_text = "the second level", text = "level of the second evaluation" },
  } },
}

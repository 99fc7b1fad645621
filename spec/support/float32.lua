-- This file has the float32 computations of diffusers: its tables of alpha_bar, and the coefficients of
-- DDPM and IPNDM. They replace our doubles, to show that a row differs only by rounding.
local multistep = require "diffusion.sampler.multistep"

local float32 = {}

local function f(x) return (string.unpack("f", string.pack("f", x))) end
float32.round = f

-- torch.linspace: from both ends to the middle, with each product and sum rounded once.
local function linspace(first, last, n)
  first, last = f(first), f(last)
  local step, out = f(f(last - first) / f(n - 1)), {}
  for i = 0, n - 1 do out[i + 1] = f(i < n // 2 and first + step * i or last - step * (n - i - 1)) end
  return out
end

local betas = {
  linear = linspace,
  scaled_linear = function(first, last, n)
    local out = linspace(math.sqrt(first), math.sqrt(last), n)
    for i, root in ipairs(out) do out[i] = f(root * root) end
    return out
  end,
  squaredcos_cap_v2 = function(_, _, n)
    local out = {}
    local function alpha_bar(u) return math.cos((u + 0.008) / 1.008 * math.pi / 2) ^ 2 end
    for i = 1, n do out[i] = f(math.min(0.999, 1 - alpha_bar(i / n) / alpha_bar((i - 1) / n))) end
    return out
  end,
}

--- alpha_bar of a config, with the product in double as in torch; nil for other kinds.
function float32.alpha_bar(kind, first, last, T)
  if not betas[kind] then return nil end
  local out, product = {}, 1.0
  for t, beta in ipairs(betas[kind](first, last, T)) do
    product = product * f(1 - beta)
    out[t] = f(product)
  end
  return out
end

-- The coefficients of a step of DDPM from t to s, with each operation rounded. 1 -
-- alpha_bar and
-- 1 - alpha lose their last digits near the data and near pure noise.
local function coefficients(schedule, betas_too, t, s)
  local function alpha_bar(u) return u > 0 and f(schedule:alpha_bar(u)) or 1 end
  local at, as = alpha_bar(t), alpha_bar(s)
  local left_t, left_s, alpha = f(1 - at), f(1 - as), f(at / as)
  local beta = f(1 - alpha)
  if betas_too and s == t - 1 then beta, alpha = f(betas_too[t]), f(1 - f(betas_too[t])) end
  return {
    a = f(math.sqrt(at)), s = f(math.sqrt(left_t)), c0 = f(f(f(math.sqrt(as)) * beta) / left_t),
    ct = f(f(f(math.sqrt(alpha)) * left_s) / left_t), variance = f(f(left_s / left_t) * beta),
  }
end

--- diffusers' DDPM and UnCLIP in float32, as a sampler. It clips x0 to 1, for processes
--- that predict eps or v and do not clip. UnCLIP takes beta from its table if s = t - 1.
function float32.ddpm(kind, first, last, T)
  local table_of = kind == "squaredcos_cap_v2" and betas[kind](first, last, T)
  return function(denoise, process, opts)
    return function(x, pair)
      local c = coefficients(process.schedule, table_of, pair.t, pair.s)
      local clean, eps = denoise(x, pair.t)
      if process.predict == "v" then
        local v = opts.mix(c.a, eps, -c.s, clean)
        clean = opts.mix(c.a, x, -c.s, v)
      else
        clean = opts.mix(1, x, -c.s, eps) * (1 / c.a)
      end
      clean = clean:clamp(-1, 1)
      if pair.s == 0 then return opts.mix(c.c0, clean, c.ct, x) end
      return opts.mix_noise(math.sqrt(c.variance), c.c0, clean, c.ct, x)
    end
  end
end

--- diffusers' IPNDM of T levels in float32. This sampler's denoise returns the network's
--- output v, and the time that the network gets at a level.
function float32.ipndm(T)
  local u, levels = linspace(1, 0, T + 1), { [0] = { a = 1, s = 0 } }
  for t = 1, T do
    local s = f(f(math.sin(f(u[T + 1 - t] * f(math.pi / 2)))) ^ 2)
    local a = f(math.sqrt(f(1 - f(s * s))))
    levels[t] = { a = a, s = s, told = f(f(f(math.atan(s, a)) / f(math.pi)) * 2) }
  end
  local function sampler(denoise, _, opts)
    return function(x, pair, history)
      local t, s = levels[pair.t], levels[pair.s]
      local past = multistep.remember(history, opts.mix(t.s, x, t.a, denoise(x, pair.t)), 0, 4)
      local eps = multistep.sum(opts.mix, 0, x, 1, multistep.adams[#past], past)
      return opts.mix(s.a, opts.mix(1, x, -t.s, eps) * (1 / math.max(t.a, 1e-8)), s.s, eps)
    end
  end
  return sampler, function(t) return levels[t].told end
end

return float32

-- diffusers' tables of alpha_bar as it computes them, in float32: what a row misses by that
-- alone shows when our float64 schedule has its place taken by one of these.
local float32 = {}

local function f(x) return (string.unpack("f", string.pack("f", x))) end
float32.round = f

-- torch.linspace: from both ends to the middle, each product and sum rounded once.
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

--- alpha_bar of a config, its product kept in double as torch does; nil for other kinds.
function float32.alpha_bar(kind, first, last, T)
  if not betas[kind] then return nil end
  local out, product = {}, 1.0
  for t, beta in ipairs(betas[kind](first, last, T)) do
    product = product * f(1 - beta)
    out[t] = f(product)
  end
  return out
end

return float32

-- Quantiles of the Beta distribution: the x in [0, 1] with I_x(a, b) = p, to 1e-12. I_x is the
-- regularised incomplete beta function.

-- ln Gamma(x) for x > 0, by the Lanczos approximation with g = 7 and nine terms, to 1e-15.
local lanczos = {
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
}
local function ln_gamma(x)
  local sum = lanczos[1]
  for i = 2, 9 do sum = sum + lanczos[i] / (x + i - 2) end
  local t = x + 6.5
  return 0.5 * math.log(2 * math.pi) + (x - 0.5) * math.log(t) - t + math.log(sum)
end

local function ln_beta(a, b) return ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b) end

local function nonzero(x) return math.abs(x) < 1e-300 and 1e-300 or x end

-- The continued fraction of I_x by Lentz's method. It converges fast for x < (a + 1)/(a + b + 2).
local function fraction(x, a, b)
  local c, d = 1, 1 / nonzero(1 - (a + b) * x / (a + 1))
  local value = d
  for m = 1, 10000 do
    local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    d, c = 1 / nonzero(1 + even * d), nonzero(1 + even / c)
    value = value * d * c
    local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d, c = 1 / nonzero(1 + odd * d), nonzero(1 + odd / c)
    value = value * d * c
    if math.abs(d * c - 1) < 4e-16 then break end
  end
  return value
end

-- I_x(a, b) from ln B(a, b).
local function incomplete(x, a, b, ln_whole)
  local front = math.exp(a * math.log(x) + b * math.log(1 - x) - ln_whole)
  if x < (a + 1) / (a + b + 2) then return front * fraction(x, a, b) / a end
  return 1 - front * fraction(1 - x, b, a) / b
end

-- The quantile of p <= 1/2. In y = ln x, ln I is concave and nearly straight (a y + const towards
-- 0). Newton's method solves it, with bisection if a step leaves the bracket. For x <= 1/2, I_x is
-- at most x^a 2^max(0, 1 - b) / (a B), which bounds y from below.
local function lower(p, a, b, ln_whole)
  local first = (math.log(p) + math.log(a) + ln_whole) / a
  local low, high = first - math.max(0, 1 - b) * math.log(2) / a - 1e-6, math.log(0.5)
  local y = math.min(high, first)
  for _ = 1, 200 do
    local x = math.exp(y)
    local value = incomplete(x, a, b, ln_whole)
    local off = math.log(value / p)
    if off > 0 then high = y else low = y end
    local slope = math.exp(a * y + (b - 1) * math.log(1 - x) - ln_whole) / value
    local step = off / slope
    if math.abs(step) < 1e-9 then return math.exp(y - step) end -- the next step would be its square
    local new = y - step
    if not (new > low and new < high) then new = (low + high) / 2 end
    y = new
  end
  return math.exp(y)
end

--- The x below which a Beta(a, b) distribution has the probability p.
---@param p number in [0, 1]
---@param a number > 0
---@param b number > 0
---@return number x
return function(p, a, b)
  if p <= 0 then return 0 elseif p >= 1 then return 1 end
  local ln_whole = ln_beta(a, b)
  if p <= incomplete(0.5, a, b, ln_whole) then return lower(p, a, b, ln_whole) end
  return 1 - lower(1 - p, b, a, ln_whole)
end

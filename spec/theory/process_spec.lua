-- The process in double. Conversions of tensors round-trip to 1e-12 at every t of every
-- schedule. The posterior of tensors equals the posterior of numbers up to rounding.
local d = require "diffusion"

local schedules = {
  d.schedule.linear(), d.schedule.cosine(), d.schedule.scaled_linear(), d.schedule.sigmoid(),
}

-- x0 and eps of deterministic spread, one sample per t.
local function batch(T)
  local a, b, t = {}, {}, {}
  for i = 1, T do a[i], b[i], t[i] = { math.sin(i), 1 }, { math.cos(7 * i), -0.5 }, i end
  return d.tensor(a), d.tensor(b), t
end

describe("in double", function()
  it("eps -> x0 -> v -> eps comes back to 1e-12, in units of what x0 and eps contribute", function()
    for _, s in ipairs(schedules) do
      local p = d.process{ schedule = s }
      local x0, eps, t = batch(s.T)
      local xt = p:q_sample(x0, t, eps)
      local function to(value, from, target)
        return p:convert(value, { from = from, to = target, xt = xt, t = t })
      end
      local got = to(to(to(eps, "eps", "x0"), "x0", "v"), "v", "eps"):totable()
      local expected = eps:totable()
      for i = 1, s.T do
        -- rounding of x0 (of size s/a) returns divided by s/a, that of x_t by s
        local scale = 1 + 1 / s:noise(i)
        for j = 1, 2 do assert.is_true(math.abs(got[i][j] - expected[i][j]) <= 1e-14 * scale + 1e-12) end
      end
      assert.allclose(eps, to(to(eps, "eps", "score"), "score", "eps"), { rtol = 1e-14, atol = 1e-300 })
    end
  end)

  it("the posterior of tensors is that of numbers", function()
    for _, s in ipairs(schedules) do
      local p = d.process{ schedule = s }
      local x0, xt, t = batch(s.T)
      local mean, variance = p:posterior(x0, xt, t)
      local m, v, a, b = mean:totable(), variance:totable(), x0:totable(), xt:totable()
      for i = 1, s.T do
        local number, spread = p:posterior(a[i][1], b[i][1], i)
        assert.is_true(math.abs(m[i][1] - number) < 1e-14)
        assert.equal(spread, v[i])
      end
    end
  end)

  it("gradients of x0 through q_sample are the signal", function()
    local p = d.process{ schedule = schedules[1] }
    local x0, eps, t = batch(1000)
    local dx = d.grad(function(x) return p:q_sample(x, t, eps):sum() end, x0)
    local a = p.schedule:signal(t):totable()
    for i, row in ipairs(dx:totable()) do assert.is_true(math.abs(row[1] - a[i]) < 1e-15) end
  end)
end)

-- The forms of gelu against compositions of simpler ops, in double.
local d = require "diffusion"

local x = d.linspace(-12, 12, 481)

local function same(want, got)
  assert.is_true((want - got):abs():max():item() < 1e-14)
end

describe("in double", function()
  it("gelu by tanh is its formula", function()
    local u = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    same(x * (u:tanh() + 1) * 0.5, x:gelu "tanh")
  end)

  it("quick_gelu is x sigmoid(1.702 x)", function()
    same(x * (x * 1.702):sigmoid(), x:quick_gelu())
  end)

  it("gelu is x erfc(-x / sqrt 2) / 2", function()
    same(x * (x * -math.sqrt(0.5)):erfc() * 0.5, x:gelu())
  end)

  it("geglu is a gelu(b)", function()
    local both = d.stack({ x + 1, x }, 2):reshape(481, 2)
    same((x + 1) * x:gelu(), both:geglu():view(481))
  end)
end)

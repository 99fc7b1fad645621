-- A norm that writes a convolution's operand (DF_PADDED and others) gives the same as a
-- norm in rows followed by the convolution. This includes the backward pass. At each
-- precision both agree with doubles.
local d = require "diffusion"
local child = dofile "spec/support/child.lua"
local products = require "spec.support.products"
local values = require "spec.support.operand_values"

local core = require "diffusion.core"
local single = core.real == "f32"

local function in_double()
  local text, code = child.run("spec/support/operand_values.lua", { env = "DIFFUSION_PRECISION=double" })
  assert(code == 0, text)
  local out = {}
  for key, line in text:gmatch "(%S+)\t([^\n]*)" do
    out[key] = {}
    for word in line:gmatch "%S+" do table.insert(out[key], tonumber(word)) end
  end
  return out
end

-- Bounds for each precision, with room for the norm and for sums that nearly cancel. A
-- product at medium is up to 1e-2 off.
local most = { highest = 1e-5, high = 1e-5, medium = 1.5e-2 }

describe("a norm that writes a convolution's operand", function()
  local before, isa, sets = d.precision(), core.isa()
  after_each(function()
    d.precision(before)
    core.isa(isa)
    core.algorithm "best"
  end)

  it("gives what norm, silu and convolution give in turn, and all their gradients", function()
    for _, row in ipairs(products.promised) do
      d.precision(row.name)
      for k, case in ipairs(values.cases) do
        local apart, together = values.by_ops(case), values.by_layer(case)
        for name, list in pairs(apart) do
          local off = products.distance(list, together[name])
          assert(off < products.tiny, ("case %d at %s: %s is off by %.2g"):format(k, row.name, name, off))
        end
      end
    end
  end)

  it("is what doubles say, as near as the precision promises", function()
    local expected = in_double()
    for _, row in ipairs(products.promised) do
      d.precision(row.name)
      local worst = 0
      for k, case in ipairs(values.cases) do
        for name, list in pairs(values.by_layer(case)) do
          local off = products.distance(expected[("%d.%s"):format(k, name)], list)
          worst = math.max(worst, off)
          assert(off < most[row.name], ("case %d at %s: %s is off by %.2g"):format(k, row.name, name, off))
        end
      end
      assert(worst >= row.least and (single or row.name == "medium" or worst < 1e-12))
    end
  end)

  it("is that in planes of bf16 too, two at high and one at medium, by each instruction set", function()
    if not single then return end
    local expected = in_double()
    core.algorithm "tiles"
    for precision, least in pairs { high = 2e-7, medium = 2e-4 } do
      d.precision(precision)
      for _, set in ipairs(sets) do
        core.isa(set)
        local worst = 0
        for k, case in ipairs(values.cases) do
          for name, list in pairs(values.by_layer(case)) do
            local off = products.distance(expected[("%d.%s"):format(k, name)], list)
            worst = math.max(worst, off)
            assert(off < most[precision],
              ("case %d in %s at %s: %s is off by %.2g"):format(k, set, precision, name, off))
          end
        end
        assert(worst > least, set .. " rounds nothing at " .. precision)
      end
    end
  end)
end)

-- Every op's gradient against central differences, in double: the list of ops makes the
-- tests. An op without examples needs a reason here.
local d = require "diffusion"
local core = require "diffusion.core"
local examples = require "spec.support.examples"

local no_gradient = {
  argmax = "its value is a position",
  argmin = "its value is a position",
  detach = "its value is a constant, on purpose",
  eq = "its value is a mask", ne = "its value is a mask", lt = "its value is a mask",
  le = "its value is a mask", gt = "its value is a mask", ge = "its value is a mask",
  isfinite = "its value is a mask",
  sign = "flat wherever it has a slope",
  floor = "flat wherever it has a slope",
  round = "flat wherever it has a slope",
  fourier = "t is a place in the process, and its frequencies are fixed",
  sinusoid = "t is a place in the process, not a value that is learned",
  to = "rounds; that its gradient passes is held in tensor_spec",
}

local TOLERANCE = 1e-6

-- d loss / d leaves[which], elements in order
local function by_differences(example, which)
  local leaf, out = example.leaves[which], {}
  local flat = leaf:flatten()
  local function at(i, value)
    local moved = flat:clone()
    moved[i] = value
    local leaves = table.move(example.leaves, 1, #example.leaves, 1, {})
    leaves[which] = moved:reshape(leaf:shape())
    return example.loss(leaves):item()
  end
  for i = 1, flat:numel() do
    local v = flat[i]
    local h = 1e-5 * math.max(1, math.abs(v))
    out[i] = (at(i, v + h) - at(i, v - h)) / (2 * h)
  end
  return out
end

local function check(example)
  local found = examples.gradients(example)
  for which, leaf in ipairs(example.leaves) do
    local got = found[which]:flatten():totable()
    assert.same(leaf:shape(), found[which]:shape())
    for i, want in ipairs(by_differences(example, which)) do
      local gap = math.abs(got[i] - want) / math.max(1, math.abs(want))
      assert(gap <= TOLERANCE, ("%s: tensor %d, element %d: gradient %.10g, by differences %.10g")
        :format(example.text, which, i, got[i], want))
    end
  end
end

-- A term after the op in the record sends its gradient first: the op adds to it.
local function check_adding(example)
  local alone = examples.gradients(example)
  local both = examples.gradients(example, function(leaves)
    local loss = example.loss(leaves)
    for _, leaf in ipairs(leaves) do loss = loss + (leaf * 3):sum() end
    return loss
  end)
  for which in ipairs(example.leaves) do
    assert(both[which]:allclose(alone[which] + 3, { rtol = 1e-12, atol = 1e-12 }),
      ("%s: tensor %d: the gradient isn't added to what has arrived"):format(example.text, which))
  end
end

-- The same numbers behind other strides.
local function turned(leaf)
  local order = {}
  for i = 1, leaf:dim() do order[i] = leaf:dim() + 1 - i end
  return leaf:permute(order):clone():permute(order)
end

local function check_strides(example)
  local other = { leaves = {}, loss = example.loss }
  for i, leaf in ipairs(example.leaves) do other.leaves[i] = turned(leaf) end
  local close = { rtol = 1e-12, atol = 1e-12 }
  assert(example.value(example.leaves):allclose(example.value(other.leaves), close),
    example.text .. ": another value of strided tensors")
  local want, got = examples.gradients(example), examples.gradients(other)
  for which in ipairs(example.leaves) do
    assert(got[which]:allclose(want[which], close),
      ("%s: another gradient by strided tensor %d"):format(example.text, which))
  end
end

describe("the gradient", function()
  it("is checked in double", function() assert.equal("f64", core.real) end)

  for _, name in ipairs(examples.names()) do
    if core.op_examples[name] then
      it("of " .. name, function()
        for _, example in ipairs(examples.of(name)) do
          assert(#example.leaves > 0, example.text .. " has no tensor to differentiate by")
          check(example)
          check_adding(example)
          if not example.text:find "view" then check_strides(example) end
        end
      end)
    end
  end

  it("is given for every op but those with a reason", function()
    for name in pairs(core.ops) do
      local examined = core.op_examples[name] and true or false
      assert(examined ~= (no_gradient[name] ~= nil),
        name .. (examined and " has examples and a reason for none" or " has no examples and no reason"))
    end
    for name in pairs(no_gradient) do assert(core.ops[name], name .. " is no op") end
  end)

  it("of a guest that is wrong is found", function()
    local nn = require "diffusion.gradient"
    local wrong = nn.guest(function(x) return x * x end, function(dy, _, x) return dy * x end)
    local x = d.tensor { 1, 2, 3 }
    assert.is_false(d.gradcheck(wrong, { x }))
    assert.is_true(d.gradcheck(function(y) return y * y end, { x }))
  end)
end)

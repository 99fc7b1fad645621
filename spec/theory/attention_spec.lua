-- Attention with masks against a composition of matmul and softmax, in double.
local cases = require "spec.support.attention_cases"

describe("attention in double", function()
  it("is its definition for every form of mask, and so are its gradients", function()
    cases.hold(1e-10, 1)
  end)
end)

-- UNet2DConditionModel in double against the peer in double. The records are in float32, and the waves of times
-- are so in both.
local records = require "spec.support.peer_unet2dcondition"

describe("UNet2DConditionModel in double", function()
  it("is the peer's, with its gradients, in every recorded configuration", function()
    for _, case in ipairs(records.read "spec/fixtures/peers/unet2dcondition.safetensors") do
      local y, dx, sums, where, leaf = records.answer(case)
      assert(y < 2e-6 and dx < 1e-5 and sums < 1e-5,
        ("%s: off by %g, %g (%s) and %g (%s)"):format(records.text(case), y, dx, leaf, sums, where))
    end
  end)
end)

-- UNet2DModel in double: the records of the peer's float32 are met more closely than in float32.
local records = require "spec.support.peer_unet2d"

describe("UNet2DModel in double", function()
  it("is the peer's, with its gradients, in every recorded configuration", function()
    for _, case in ipairs(records.read "spec/fixtures/peers/unet2d.safetensors") do
      local y, dx, sums, where = records.answer(case)
      assert(y < 1e-5 and dx < 1e-5 and sums < 1e-5,
        ("%s: off by %g, %g and %g (%s)"):format(records.text(case), y, dx, sums, where))
    end
  end)
end)

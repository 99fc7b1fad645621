-- UNet2DConditionModel against the peer in double: random configurations (SEED=, N=), forward and backward. Some are
-- ill-conditioned: PyTorch in float32 is up to 3e-5 away from itself in double. Then networks that d.hub.save wrote are
-- opened by diffusers.
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local check = require "spec.support.peer_check"
local random = require "spec.support.peer_random"
local records = require "spec.support.peer_unet2dcondition"

d.precision "highest"
check.failed = random.compare(records, "unet2dcondition.py", 200, 5e-5)

-- A network of the fixture's configurations, with the inputs of its case.
local function saved(k, case)
  local options = records.options(case.config)
  local model, io = records.model(options), records.given(case, options)
  io.y, io.t = records.theirs(records.run(case, options, model)), d.tensor(case.t)
  return { name = ("unet2dcondition %d"):format(k), model = model, io = io }
end

local list = {}
for k, case in ipairs(records.read "spec/fixtures/peers/unet2dcondition.safetensors") do
  if k % 3 == 1 then list[#list + 1] = saved(k, case) end
end
check.reopened(list)
check.finish "unet2dcondition"

-- UNet2DConditionModel against the peer in double: random configurations (SEED=, N=), forward and backward. Some are
-- ill-conditioned: PyTorch in float32 is up to 3e-5 away from itself in double.
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local random = require "spec.support.peer_random"
local records = require "spec.support.peer_unet2dcondition"

d.precision "highest"
os.exit(random.compare(records, "unet2dcondition.py", 200, 5e-5) == 0)

-- UNet2DModel against the peer: random configurations (SEED=, N=), forward and backward. FULL=names adds models of
-- full size (unet2d_full.py), FULL=all all of them.
package.path = "./?.lua;" .. package.path
local random = require "spec.support.peer_random"
local records = require "spec.support.peer_unet2d"

local failed = random.compare(records, "unet2d.py", 60, 2e-4)
local full = os.getenv "FULL"
if full then random.run("unet2d_full.py", full) end
os.exit(failed == 0)

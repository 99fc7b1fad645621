-- UNet2DModel against the peer: random configurations (SEED=, N=), forward and backward. If the
-- peer fails on one, so must this library. FULL=names adds models of full size (unet2d_full.py), FULL=all all
-- of them.
package.path = "./?.lua;" .. package.path
local records = require "spec.support.peer_unet2d"

local python = os.getenv "PEERS" .. "/bin/python"
local seed, n = os.getenv "SEED" or "1", os.getenv "N" or "60"

local function run(words)
  local ok = os.execute(("%s spec/peers/unet2d.py %s"):format(python, words))
  if ok ~= true then error("unet2d.py " .. words .. " failed", 0) end
end

-- ==== random configurations ===================================================================

local TOLERANCE = 2e-4

local failed, met, refused, worst = 0, 0, 0, { 0, 0, 0 }

local function complain(case, format, ...)
  failed = failed + 1
  print("FAILED: " .. records.text(case) .. ": " .. format:format(...))
end

-- The peer's result may hold NaN, where it divides by 0.
local function is_finite(case) return case.get "y":isfinite():all() and case.get "dx":isfinite():all() end

local function compare(case)
  local fine, y, dx, sums, where = pcall(records.answer, case)
  if case.failed then
    if fine then return complain(case, "runs here, but the peer says %s", case.failed) end
    refused = refused + 1
    return
  end
  if not fine then return complain(case, "%s", y) end
  if not is_finite(case) then return complain(case, "the peer's output isn't finite") end
  if not (y < TOLERANCE and dx < TOLERANCE and sums < TOLERANCE) then
    return complain(case, "off by %g, dx %g, gradient of %s %g", y, dx, where, sums)
  end
  met = met + 1
  for i, off in ipairs { y, dx, sums } do worst[i] = math.max(worst[i], off) end
end

local path = os.tmpname()
run(("random %s %s %s"):format(seed, n, path))
for _, case in ipairs(records.read(path)) do compare(case) end
os.remove(path)
print(("seed %s: %d configurations met (output %.1g, dx %.1g, gradients %.1g of the range), %d refused by both")
  :format(seed, met, worst[1], worst[2], worst[3], refused))

local full = os.getenv "FULL"
if full and os.execute(("%s spec/peers/unet2d_full.py %s"):format(python, full)) ~= true then failed = failed + 1 end

os.exit(failed == 0)

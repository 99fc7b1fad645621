-- Compares random configurations of a class with the peer, forward and backward, for scripts of `make check-peers`.
-- If the peer fails on one, so must this library.
local M = {}

local python = (os.getenv "PEERS" or "build/peers") .. "/bin/python"

-- The peer's result may hold NaN, where it divides by 0.
local function is_finite(case) return case.get "y":isfinite():all() and case.get "dx":isfinite():all() end

local function complain(found, records, case, format, ...)
  found.failed = found.failed + 1
  print("FAILED: " .. records.text(case) .. ": " .. format:format(...))
end

local function compare(found, records, case, tolerance)
  local fine, y, dx, sums, where, leaf = pcall(records.answer, case)
  if case.failed then
    if fine then return complain(found, records, case, "runs here, but the peer says %s", case.failed) end
    found.refused = found.refused + 1
    return
  end
  if not fine then return complain(found, records, case, "%s", y) end
  if not is_finite(case) then return complain(found, records, case, "the peer's output isn't finite") end
  if not (y < tolerance and dx < tolerance and sums < tolerance) then
    return complain(found, records, case, "off by %g, gradient of %s %g, of %s %g", y, leaf, dx, where, sums)
  end
  found.met = found.met + 1
  for i, off in ipairs { y, dx, sums } do found.worst[i] = math.max(found.worst[i], off) end
end

--- Runs a script of spec/peers; an error if it fails.
function M.run(script, words)
  local ok = os.execute(("%s spec/peers/%s %s"):format(python, script, words))
  if ok ~= true then error(script .. " " .. words .. " failed", 0) end
end

--- Compares N random configurations of the seed SEED, which `script random SEED N FILE` records, and prints a line.
---@param records table as peer_digests.of returns it
---@param script string
---@param n integer the number if N isn't given
---@param tolerance number
---@return integer failed
function M.compare(records, script, n, tolerance)
  local found = { failed = 0, met = 0, refused = 0, worst = { 0, 0, 0 } }
  local seed, path = os.getenv "SEED" or "1", os.tmpname()
  M.run(script, ("random %s %s %s"):format(seed, os.getenv "N" or n, path))
  for _, case in ipairs(records.read(path)) do compare(found, records, case, tolerance) end
  os.remove(path)
  print(("seed %s: %d configurations met (output %.1g, dx %.1g, gradients %.1g of the range), %d refused by both")
    :format(seed, found.met, found.worst[1], found.worst[2], found.worst[3], found.refused))
  return found.failed
end

return M

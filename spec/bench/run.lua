--- make bench: every workload by us and by PyTorch in turns, and who was faster. Settings
-- come from the environment; README.md says which.
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local agree = require "agree"
local duel = require "duel"
local search = require "search"
local settings = require "settings"
local sides = require "sides"
local workloads = require "workloads"
local recorded = require "peer"

local function key_of(w) return w.threads == "2" and w.name or w.name .. "@" .. w.threads end

local function best_variant(w)
  local best = recorded.best
  return settings.variant or best[key_of(w)] or best[w.name] or "nhwc,malloc"
end

local function say(w, results, foreign)
  local ours, peer = results[1], results[2]
  print(("  ours %.3f to %.3f"):format(ours.low * 1e3, ours.high * 1e3)
    .. (peer and (", peer %.3f to %.3f (%s)"):format(peer.low * 1e3, peer.high * 1e3, w.variant) or "")
    .. (", %d rounds, others took %.0f %% of the machine"):format(settings.rounds, 100 * foreign))
  print(("bench %s %.3f %s %s"):format(w.name, ours.seconds * 1e3,
    peer and ("%.3f"):format(peer.seconds * 1e3) or "-",
    peer and ("%.2f"):format(peer.seconds / ours.seconds) or "-"))
end

local function measure(w)
  w.variant = best_variant(w)
  local both = { sides.ours(w), sides.has_peer and sides.peer(w) or nil }
  if sides.has_peer then agree.check(w, both[1], both[2]) end
  say(w, duel.fight(both, settings.rounds, 0.25))
  for _, one in ipairs(both) do one:close() end
end

local function find_best(w)
  if not sides.has_peer or w.task ~= "train" and w.task ~= "sample" then return end
  print(w.name)
  recorded.best[key_of(w)] = search.best(w, sides.peer, 3)
  search.write(here .. "/peer.lua", recorded.best, sides.python)
end

local function wanted(w)
  local only = settings.only
  if w.asks and not (only and only:find(w.asks, 1, true)) then return false end
  if only and not w.name:find(only) then return false end
  return settings.mode ~= "quick" or w.quick or false
end

if not sides.has_peer then print "PyTorch isn't here (`make peers` gets it), so there is nothing to compare with" end
for _, w in ipairs(workloads) do
  w.threads = w.threads or settings.threads
  if wanted(w) then (settings.mode == "search" and find_best or measure)(w) end
end
os.exit(not agree.failed, true)

--- make bench: every workload by us and by PyTorch in turns, and who was faster. Settings
-- come from the environment; lua/diffusion/guide/performance.md lists them.
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local core = require "diffusion.core"
local agree = require "agree"
local costs = require "costs"
local meeting = require "meeting"
local memory = require "memory"
local record = require "record"
local sd_folder = require "sd_folder"
local search = require "search"
local settings = require "settings"
local sides = require "sides"
local speed_table = require "speed_table"
local speeds = require "speeds"
local start = require "start"
local versions = require "versions"
local workloads = require "workloads"
local recorded = require "peer"

local function key_of(w) return w.threads == "2" and w.name or w.name .. "@" .. w.threads end

-- A run of steps is sampled as one of them is.
local function best_variant(w)
  local best, step = recorded.best, w.name:gsub("%.ddim%d+%.", ".sample1.")
  return settings.variant or best[key_of(w)] or best[step] or recorded.default[w.task] or "nhwc,malloc"
end

local function figures(ms, ratio) return ms and ("%.3f %.2f"):format(ms, ratio) or "- -" end

-- After PyTorch come the others, by name.
local function line(w, ours, peer, beside)
  local text = { ("bench %s %.3f"):format(key_of(w), ours), figures(peer, peer and peer / ours) }
  for _, one in ipairs(beside or {}) do
    text[#text + 1] = one.name .. " " .. figures(one.seconds and one.seconds * 1e3, one.ratio)
  end
  print(table.concat(text, " "))
  costs.note(w.name, ours, peer)
end

local ways = {}

-- By turns, in ms. If w.apart, the ratio to a later opponent is that of its own fight.
function ways.duel(w)
  if w.task == "sd" then w.folder = sd_folder.path() end
  local seconds, opponents = meeting.hold(w)
  if not seconds then return end
  for _, one in ipairs(opponents) do record.note(w, one.name, one.ratio) end
  local first = (w.against or sides.has.pytorch) and table.remove(opponents, 1) or {}
  line(w, seconds * 1e3, first.seconds and first.seconds * 1e3, opponents)
end

-- In MiB. The peer's allocator gives back what it can: that costs it time, not memory.
function ways.memory(w)
  w.variant = w.variant:gsub(",?malloc", "")
  line(w, memory.measure(w))
end

-- In ms of a whole process.
function ways.start(w) line(w, start.measure(w)) end

function ways.script(w)
  if not os.execute(settings.lua .. " " .. here .. "/" .. w.name .. ".lua") then agree.failed = true end
end

-- A worker that falls over costs its own line, not the table.
local function measure(w)
  local fine, why = pcall(ways[w.way], w)
  if fine then return end
  print(("  FAILED: %s"):format(why))
  agree.failed = true
end

local function find_best(w)
  if not sides.has_peer or w.way ~= "duel" or w.against or not search.knows(w.task) then return end
  print(w.name)
  recorded.best[key_of(w)] = search.best(w, sides.peer, 3)
  search.write(here .. "/peer.lua", recorded)
end

local function wanted(w)
  local only = settings.only
  if w.asks and not (only and only:find(w.asks, 1, true)) then return false end
  if only and not w.name:find(only) then return false end
  return settings.mode ~= "quick" or w.quick or false
end

io.stdout:setvbuf "line"
local began = core.clock()
versions.print(recorded.versions)
for _, w in ipairs(workloads) do
  w.threads = settings.threads
  w.variant = best_variant(w)
  if wanted(w) then (settings.mode == "search" and find_best or measure)(w) end
end
sd_folder.remove()
costs.report()
if settings.record then
  local version = require "diffusion"._VERSION:match "%S+$"
  record.write(here .. "/speeds.lua", speeds, { name = settings.record, date = os.date "%Y-%m-%d", version = version })
  speed_table.write("README.md", speeds)
end
print(("%.0f s in all"):format(core.clock() - began))
os.exit(not agree.failed, true)

--- Measures the start of a script in a new process. It loads the library, or loads a
-- network from its file and draws an image with ten steps of DDIM.
local core = require "diffusion.core"
local duel = require "duel"
local settings = require "settings"
local sides = require "sides"

local start = {}

local here = arg[0]:match "^(.*)/" or "."
local ours = settings.lua .. " " .. here .. "/start_ours.lua "
local peer = sides.python .. " " .. here .. "/peer/start.py "

-- Milliseconds of the process, and MiB that it says it has at the end.
local function run(command)
  local began = core.clock()
  local pipe = assert(io.popen(command .. " 2>" .. settings.folder .. "/start.log"))
  local resident = pipe:read "l"
  assert(pipe:close(), command)
  return (core.clock() - began) * 1e3, (tonumber(resident) or 0) / 2 ^ 20
end

local function medians(commands, rounds)
  local times, resident = {}, {}
  for round = 0, rounds do -- the first brings the files into memory
    for i, command in ipairs(commands) do
      times[i] = times[i] or {}
      local ms, mib = run(command)
      if round > 0 then times[i][round] = ms end
      resident[i] = mib
    end
  end
  for i in ipairs(commands) do times[i] = duel.median(times[i]) end
  return times, resident
end

--- ms of both sides for w.what: "require" or "sample".
function start.measure(w)
  local file = settings.folder .. "/start"
  local arguments = w.what .. " " .. file
  if w.what == "sample" then
    run(ours .. "prepare " .. file)
    if sides.has_peer then run(peer .. "prepare " .. file) end
  end
  local commands = { ours .. arguments, sides.has_peer and peer .. arguments or nil }
  local times, resident = medians(commands, settings.rounds or 7)
  print(("  resident at its end: ours %.0f MiB"):format(resident[1])
    .. (resident[2] and (", peer %.0f MiB"):format(resident[2]) or ""))
  return times[1], times[2]
end

return start

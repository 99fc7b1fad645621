--- Ours and its opponents at one workload, by turns. If w.apart, one opponent after another, so that their weights
-- are not in memory at once.
local agree = require "agree"
local duel = require "duel"
local settings = require "settings"
local sides = require "sides"

local meeting = {}

local function rounds(w) return settings.rounds or w.rounds or 7 end

local function range(one) return ("%.3f to %.3f"):format(one.low * 1e3, one.high * 1e3) end

-- Starts an opponent and compares its answers with ours. One that falls over costs its own columns.
local function start(w, ours, opponent)
  local fine, why = pcall(function()
    opponent.worker = opponent.start()
    agree.check(w, ours, opponent)
  end)
  if fine then return true end
  print(("  %s FAILED: %s"):format(opponent.name, why))
  agree.failed = true
  return false
end

local function most(worker) return worker:ask("memory").peak / 2 ^ 30 end

-- The whole processes, where one of them could be too large for the machine.
local function say_memory(ours, present)
  local text = { ("  GiB at most: ours %.2f"):format(most(ours)) }
  for _, one in ipairs(present) do text[#text + 1] = ("%s %.2f"):format(one.name, most(one.worker)) end
  print(table.concat(text, ", "))
end

local function say(w, results, present, foreign)
  local text = { "  ours " .. range(results[1]) }
  for i, one in ipairs(present) do
    text[#text + 1] = ("%s %s (%s)"):format(one.name, range(results[i + 1]), one.setting)
  end
  text[#text + 1] = ("%d rounds, others took %.0f %% of the machine"):format(rounds(w), 100 * foreign)
  print(table.concat(text, ", "))
end

-- One fight; notes the seconds of each opponent, and how many times faster ours is.
local function fight(w, ours, opponents)
  local workers, present = { ours }, {}
  for _, one in ipairs(opponents) do
    if start(w, ours, one) then
      workers[#workers + 1], present[#present + 1] = one.worker, one
    end
  end
  local results, foreign = duel.fight(workers, rounds(w), 0.25)
  say(w, results, present, foreign)
  if w.apart then say_memory(ours, present) end
  for i, one in ipairs(present) do
    one.seconds, one.ratio = results[i + 1].seconds, results[i + 1].seconds / results[1].seconds
    one.worker:close()
  end
  return results[1].seconds
end

--- Lets them meet.
---@param w table the workload
---@return number seconds ours
---@return table[] opponents {name, seconds, ratio}; those that are not here have no seconds
function meeting.hold(w)
  local opponents, ours, seconds = sides.opponents(w), sides.ours(w), nil
  if w.apart and #opponents > 0 then
    for _, one in ipairs(opponents) do
      local own = fight(w, ours, { one })
      seconds = seconds or own
    end
  else
    seconds = fight(w, ours, opponents)
  end
  ours:close()
  return seconds, opponents
end

return meeting

--- Ours and its opponents at one workload, by turns. If w.apart, one opponent after another, so that their weights
-- are not in memory at once.
local agree = require "agree"
local duel = require "duel"
local keep = require "keep"
local settings = require "settings"
local sides = require "sides"

local meeting = {}

local function rounds(w) return settings.rounds or w.rounds or 7 end

local function range(one) return ("%.3f to %.3f"):format(one.low * 1e3, one.high * 1e3) end

-- Answers that agreed and are kept are not compared again.
local function compare(w, ours, opponent)
  if keep.read(w, opponent.name).agreed then return end
  if agree.check(w, ours, opponent) then keep.add(w, opponent.name, { agreed = 1 }) end
end

-- Starts an opponent and compares its answers with ours. One that falls over costs its own columns.
local function start(w, ours, opponent)
  local fine, why = pcall(function()
    opponent.worker = opponent.start()
    compare(w, ours, opponent)
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

local DISTURBED = 0.1 -- turns with others at more of the machine are not kept, nor those without agreement

-- The turns; notes the seconds of each opponent, and how many times faster ours is.
local function take_turns(w, workers, present)
  local results, foreign = duel.fight(workers, rounds(w), 0.25)
  say(w, results, present, foreign)
  local own = results[1].seconds
  for i, one in ipairs(present) do
    one.seconds, one.ratio = results[i + 1].seconds, results[i + 1].seconds / own
    if foreign <= DISTURBED and keep.read(w, one.name).agreed then
      keep.add(w, one.name, { ours = own, seconds = one.seconds, ratio = one.ratio })
    end
  end
  return own
end

-- One fight. Without rounds it ends after the comparison of answers.
local function fight(w, ours, opponents)
  local workers, present, own = { ours }, {}, nil
  for _, one in ipairs(opponents) do
    if start(w, ours, one) then
      workers[#workers + 1], present[#present + 1] = one.worker, one
    end
  end
  if rounds(w) > 0 then own = take_turns(w, workers, present) end
  if w.apart then say_memory(ours, present) end
  for _, one in ipairs(present) do one.worker:close() end
  return own
end

local function is_asked(name) return not settings.meet or settings.meet:find(name, 1, true) ~= nil end

-- Those that take part and whose meetings are not kept. All get what was found before.
local function still_to_meet(w, opponents)
  local left, own = {}, nil
  for _, one in ipairs(opponents) do
    local known = keep.read(w, one.name)
    one.seconds, one.ratio = tonumber(known.seconds), tonumber(known.ratio)
    own = own or tonumber(known.ours)
    if not one.ratio and is_asked(one.name) then left[#left + 1] = one end
  end
  return left, own
end

-- One opponent after another.
local function meet_each(w, opponents)
  local left, seconds = still_to_meet(w, opponents)
  if #left == 0 then return seconds end
  local ours = sides.ours(w)
  for _, one in ipairs(left) do
    local own = fight(w, ours, { one })
    seconds = seconds or own
  end
  ours:close()
  return seconds
end

--- Lets them meet.
---@param w table the workload
---@return number? seconds ours; nil without rounds
---@return table[] opponents {name, seconds, ratio}; those that are not here have no seconds
function meeting.hold(w)
  local opponents = sides.opponents(w)
  if w.apart and #opponents > 0 then return meet_each(w, opponents), opponents end
  local ours = sides.ours(w)
  local seconds = fight(w, ours, opponents)
  ours:close()
  return seconds, opponents
end

return meeting

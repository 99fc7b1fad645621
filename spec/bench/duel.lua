--- Two workers at the same workload by turns: noise of the machine falls on both, and the
-- median of the turns stands for a side.
local load = require "load"
local words = require "words"

local duel = {}

function duel.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local half = #sorted // 2
  if #sorted % 2 == 1 then return sorted[half + 1] end
  return (sorted[half] + sorted[half + 1]) / 2
end

-- How many steps a turn has, so that it lasts about that long.
local function steps_in(seconds, one) return math.max(1, math.min(1000, math.floor(seconds / one))) end

-- A long step warms up once: packing and compiling are a small part of it.
local function warm(worker, turn)
  local first = tonumber(worker:ask("time 1").seconds)
  if first > 20 * turn then return 1 end
  local one = tonumber(worker:ask("time 1").seconds)
  return steps_in(turn, one)
end

local function take_turn(one)
  local before = load.busy()
  local answer = one.worker:ask("time " .. one.steps)
  one.foreign = one.foreign + load.busy() - before - answer.cpu
  one.wall = one.wall + answer.wall
  one.turns[#one.turns + 1] = duel.median(words.numbers(answer.seconds))
end

--- Lets the workers work by turns; the order is turned around at each round.
---@param workers table list of sides
---@param rounds integer
---@param turn number seconds a turn lasts at least, where a step is shorter
---@return table results a side: {seconds = median, low, high, turns}
---@return number foreign share of the machine that others took meanwhile
function duel.fight(workers, rounds, turn)
  local list, foreign, wall = {}, 0, 0
  for i, worker in ipairs(workers) do
    list[i] = { worker = worker, steps = warm(worker, turn), turns = {}, foreign = 0, wall = 0 }
  end
  for round = 1, rounds do
    for i = 1, #list do take_turn(list[round % 2 == 1 and i or #list + 1 - i]) end
  end
  for i, one in ipairs(list) do
    foreign, wall = foreign + one.foreign, wall + one.wall
    list[i] = { seconds = duel.median(one.turns), low = math.min(table.unpack(one.turns)),
                high = math.max(table.unpack(one.turns)), turns = one.turns }
  end
  return list, foreign / (wall * load.cpus())
end

return duel

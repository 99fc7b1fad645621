-- make bench ONLY=ranks: training over ranks of this machine, against the plain loop on one thread.
--   lua5.4 spec/bench/ranks.lua [NETWORK [RANKS]]
-- Each rank has the plain loop's batch. Results are kept in build/bench, for scale.lua and for a table of parts that
-- were measured one by one. Times are medians of steps.
local kept = dofile "spec/bench/ranks_kept.lua"
local ranks = dofile "spec/support/ranks.lua"

local EFFORT <const> = { demo = { 5, 5 }, small = { 5, 3 }, cifar = { 5, 2 } } -- rounds, and steps of each
local MOST <const> = 600 -- seconds of a part
local WAYS <const> = {
  { "alone", "pieces=1", "pieces=2", "pieces=4" },
  { "alone", "both", "pieces=4", "pieces=1", "pieces=4,reproducible=0", "pieces=1,reproducible=0" },
  [4] = { "pieces=2", "pieces=1" },
}

-- ==== measuring ===========================================================================

local function measure(name, P)
  local arguments = { name, table.unpack(EFFORT[name]) }
  for i, value in ipairs(arguments) do arguments[i] = tostring(value) end
  table.move(WAYS[P], 1, #WAYS[P], #arguments + 1, arguments)
  local text, code = ranks.run(P, "spec/bench/ranks_steps.lua", arguments, nil, MOST)
  if code == 0 then return kept.write(name, P, text) end
  print(("%s on %d ranks: code %s\n%s"):format(name, P, code, text))
end

-- ==== the table ===========================================================================

local function waiting(part, way)
  local rows = part.rows[way]
  return ("to ranks %.1f ms, waiting %.1f, from ranks %.1f"):format(rows.gradients_to_ranks * 1e3,
    rows.wait_for_ranks * 1e3, rows.gradients_from_ranks * 1e3)
end

local function print_one(name, part)
  local plain = part.ways.alone.seconds
  print(("%s, 1 rank, %d parameters: the plain loop needs %.1f ms a step"):format(name, part.parameters, plain * 1e3))
  for _, way in ipairs(WAYS[1]) do
    if way ~= "alone" then
      print(("  %-24s %8.1f ms  %.3f   %s"):format(way, part.ways[way].seconds * 1e3, plain / part.ways[way].seconds,
        waiting(part, way)))
    end
  end
end

-- A rank sends 2 (P - 1) / P of the gradient, the loss and the wish to stop.
local function print_two(name, part)
  local plain, least = part.ways.alone.seconds, part.parameters * 4 + 8
  print(("%s, 2 ranks: the plain loop alone %.1f ms; a step sends %.0f bytes by the formula"):format(name, plain * 1e3,
    least))
  for i = 2, #WAYS[2] do
    local way = part.ways[WAYS[2][i]]
    local rows = i > 2 and waiting(part, WAYS[2][i]) or "the most that two processes can reach here"
    print(("  %-24s %8.1f ms  efficiency %.3f  %3.0f messages, %.0f bytes   %s"):format(WAYS[2][i], way.seconds * 1e3,
      plain / way.seconds, way.messages, way.bytes, rows))
  end
end

if not (arg[1] and arg[2]) then
  for _, name in ipairs(arg[1] and { arg[1] } or kept.names) do
    for _, P in ipairs { 1, 2, 4 } do measure(name, P) end
  end
else
  measure(arg[1], math.tointeger(tonumber(arg[2])))
end
for _, name in ipairs(kept.names) do
  local one, two = kept.read(name, 1), kept.read(name, 2)
  if one then print_one(name, one) end
  if two then print_two(name, two) end
end

-- Gives damaged files to the parsers that are written in Lua, and to the readers of the core
-- through Lua:
--   lua5.4 spec/fuzz/parsers.lua CASES [name or part of names]
-- A parser must return a value, or nil and a sentence. It must not raise, hang, or take more
-- memory than the file warrants. All runs try the same cases. A file that is refused with a new
-- sentence is damaged further. A case that fails is left in build/fuzz/found.
local core = require "diffusion.core"
local child = dofile "spec/support/child.lua"
local driver = dofile "spec/fuzz/driver.lua"
local mutate = dofile "spec/support/mutate.lua"
local parsers = dofile "spec/fuzz/parsers_table.lua"

local cases, only = tonumber(arg[1]) or 100000, arg[2] or ""
local found = (os.getenv "DIFFUSION_BUILD" or "build") .. "/fuzz/found"

local MOST = 20 -- faults after which a parser is given up

local SEEDS = 500 -- texts that are damaged further

-- A sentence without its numbers and names.
local function bare(message) return message and message:gsub('".-"', '"'):gsub("%d[%d,.]*", "0"):sub(1, 120) end

local function fuzz(parser)
  local whole, seeds, known, good, failed, began = parser.seeds(), parser.seeds(), {}, 0, 0, os.clock()
  local wrap = parser.wrap or function(text) return text end
  for _, seed in ipairs(whole) do assert(parser.read(wrap(seed))) end
  for k = 1, cases do
    if k % 20 == 0 then collectgarbage() end
    local random = mutate.random(k)
    local from = random(1, 4) > 1 and whole or seeds -- most damaged files are refused by the same check
    local text = mutate.text(from[random(1, #from)], random, parser.words)
    local bytes = wrap(text)
    local fault, message = driver.run(parser, bytes)
    local sentence = bare(message)
    if sentence and not known[sentence] and #seeds < SEEDS then
      known[sentence], seeds[#seeds + 1] = true, text
    end
    good = good + ((fault or message) and 0 or 1)
    if fault then
      failed = failed + 1
      child.write(("%s/%s-%d"):format(found, parser.name, k), bytes)
      print(("%s, case %d: %s"):format(parser.name, k, fault))
      if failed == MOST then break end
    end
  end
  print(("%-16s %7d cases, %6d read, %4d seeds, %d faults, %.0f s"):format(parser.name, cases, good, #seeds, failed,
    os.clock() - began))
  return failed == 0
end

io.stdout:setvbuf "line"
assert(os.execute(("mkdir -p '%s'"):format(found)))
core.memory_limit(core.memory().live + (256 << 20))
local fine = true
local exact = false
for _, parser in ipairs(parsers) do exact = exact or parser.name == only end
for _, parser in ipairs(parsers) do
  local chosen = parser.name == only or not exact and parser.name:find(only, 1, true)
  if chosen then fine = fuzz(parser) and fine end
end
os.exit(fine)

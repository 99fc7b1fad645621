-- The whole matrix of spec/peers/schedulers.py: every combination of options, steps and start, and
-- COUNT combinations drawn from SEED that are new for every seed. It prints how the rows of each
-- class come out, and the failures. CLASS= chooses classes whose names begin so.
local rows = dofile "spec/support/scheduler_rows.lua"

local python = os.getenv "PEERS" .. "/bin/python"
local seed, count, class = os.getenv "SEED", os.getenv "COUNT" or "2000", os.getenv "CLASS" or ""

-- Rows that the peer makes, in a temporary file.
local function made(arguments)
  local path = os.tmpname()
  local done = os.execute(("%s spec/peers/schedulers.py %s > %s"):format(python, arguments, path))
  local all = done and rows.read(path)
  os.remove(path)
  return assert(all, "spec/peers/schedulers.py failed")
end

local failed = 0
for _, arguments in ipairs(seed and { ("random %s %s %s"):format(seed, count, class) }
  or { "all " .. class, ("random %d 1000 %s"):format(os.time(), class) }) do
  print("-- schedulers.py " .. arguments)
  failed = failed + rows.report(made(arguments), os.getenv "VERBOSE")
end
os.exit(failed == 0)

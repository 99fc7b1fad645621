-- Runs each harness of libFuzzer until it has run RUNS times, and for SECONDS without a new edge.
--   lua5.4 spec/fuzz/run.lua SECONDS RUNS [words in the names of what to run]
-- Inputs that reach new edges are kept in build/fuzz/corpus, so a second run goes on from there.
-- An input that crashes a reader is left in build/fuzz/found.
local core = require "diffusion.core"
local seeds = dofile "spec/fuzz/seeds.lua"

local quiet, runs, only = tonumber(arg[1]), tonumber(arg[2]), arg[3] or ""
local build = (os.getenv "DIFFUSION_BUILD" or "build") .. "/fuzz"

-- Bytes of an input at most. A decoded picture is much larger than its file.
local LARGEST = { png = 2048, jpeg = 2048, gzip = 4096, idx = 1024, chunks = 1024, segments = 1024, map = 256,
  printable = 256 }

local SLICE = 60 -- seconds between two looks at the edges

local function shell(command) assert(os.execute(command), command) end

local COMMAND = [[nice 'BUILD/NAME' -max_total_time=SLICE -max_len=LARGEST -timeout=20 -malloc_limit_mb=512 \
  -rss_limit_mb=2048 -print_final_stats=1 -reload=0 -artifact_prefix='BUILD/found/NAME-' 'BUILD/corpus/NAME' \
  'BUILD/seeds/NAME' $(ls -d spec/fuzz/corpus/NAME 2>/dev/null) 2>&1]]

-- Runs a harness for some seconds. Returns edges, executions, and its words if it failed.
local function slice(name, seconds)
  local pipe = assert(io.popen((COMMAND:gsub("%u%u+", { BUILD = build, NAME = name, SLICE = seconds,
    LARGEST = LARGEST[name] }))))
  local edges, executions, tail = 0, 0, {}
  for line in pipe:lines() do
    edges = math.max(edges, tonumber(line:match "cov: (%d+)") or 0)
    executions = tonumber(line:match "number_of_executed_units: (%d+)") or executions
    tail[#tail + 1] = not line:find "^#" and line or nil
    if #tail > 60 then table.remove(tail, 1) end
  end
  return edges, executions, not pipe:close() and table.concat(tail, "\n") or nil
end

local function harness(name)
  shell(("mkdir -p '%s/corpus/%s' '%s/seeds/%s' '%s/found'"):format(build, name, build, name, build))
  seeds(name, ("%s/seeds/%s"):format(build, name))
  local most, total, began, since = 0, 0, core.clock(), core.clock()
  repeat
    local edges, executions, fault = slice(name, math.min(SLICE, quiet))
    total = total + executions
    if edges > most then most, since = edges, core.clock() end
    if fault then
      print(("%s: %d edges, then\n%s"):format(name, most, fault))
      return false
    end
  until core.clock() - since >= quiet and total >= runs
  print(("%-12s %5d edges, %9d executions, %5.0f s, the last %.0f without a new edge"):format(name, most, total,
    core.clock() - began, core.clock() - since))
  return true
end

io.stdout:setvbuf "line"
local names, fine = {}, true
for name in pairs(LARGEST) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  if name:find(only, 1, true) then fine = harness(name) and fine end
end
os.exit(fine)

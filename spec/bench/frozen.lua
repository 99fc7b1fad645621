-- The cost of opening and running a frozen network in half precision:
--   DIFFUSION_BUILD=build LUA_PATH="lua/?.lua;lua/?/init.lua;./?.lua;;" LUA_CPATH="build/?.so;;" \
--     lua5.4 spec/bench/frozen.lua [GiB] [bytes of the budget for packs]
-- The file is written by this script and removed at the end.
local d = require "diffusion"
local core = require "diffusion.core"
local large = require "spec.support.large_network"

local WIDTH = 8192

-- MiB of this process: the most resident memory, and what of it is the mapped file.
local function resident()
  local now = {}
  for line in io.lines "/proc/self/status" do
    local name, kilobytes = line:match "^(%w+):%s+(%d+) kB"
    if name then now[name] = kilobytes / 1024 end
  end
  return now.VmHWM, now.RssFile
end

local function report(what, from)
  local most, file = resident()
  print(("%-6s %6.2f s   peak %6.0f MiB, of the file %6.0f, packs %6.0f"):format(what, core.clock() - from, most, file,
    core.memory().packs / 2 ^ 20))
end

-- A process of its own: the writer's memory is not counted.
local function measure(path, budget)
  if budget then d.pack_budget(budget) end
  local from = core.clock()
  local model = assert(d.load_model(path, { frozen = true }))
  report("open", from)
  local x = d.randn(16, WIDTH)
  for i = 1, 3 do
    from = core.clock()
    model(x)
    report("run " .. i, from)
  end
end

if arg[1] == "measure" then
  measure(arg[2], tonumber(arg[3]))
else
  local path = os.tmpname()
  local n = math.max(1, (tonumber(arg[1] or 1) * 2 ^ 30 / (2 * WIDTH * WIDTH)) // 1 | 0)
  print(("a file of %d bytes"):format(large.write(path, WIDTH, n)))
  os.execute(("%s spec/bench/frozen.lua measure %s %s"):format(arg[-1], path, arg[2] or ""))
  os.remove(path)
end

--- Our worker makes the task that its arguments describe. It then executes commands, one
-- per line: time N, export FILE, compare FILE, facts, memory.
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local words = require "words"
local d = require "diffusion"
local core = require "diffusion.core"

local function status(name)
  for line in io.lines "/proc/self/status" do
    local kib = line:match("^" .. name .. ":%s*(%d+)")
    if kib then return kib * 1024 end
  end
  return 0
end

local imported = status "VmRSS"

local w = words.parse(arg)
w.image = words.numbers(w.image)
w.batch = w.batch and math.tointeger(w.batch)
d.threads(math.tointeger(w.threads))
d.precision(w.precision)
d.manual_seed(0)
local task = require("ours." .. w.task)(w)

local commands = {}

-- A turn of N steps, after 20 ms of others where they are short: what was in the caches
-- belonged to the other side.
function commands.time(n)
  local cpu, began, seconds = os.clock(), core.clock(), {}
  n = math.tointeger(n)
  while n > 1 and core.clock() - began < 0.02 do task.step() end
  for i = 1, n do
    local start = core.clock()
    task.step()
    seconds[i] = ("%.7f"):format(core.clock() - start)
  end
  return { cpu = os.clock() - cpu, wall = core.clock() - began, seconds = seconds }
end

function commands.export(path)
  assert(d.save(path, task.answers()))
  return { done = 1 }
end

function commands.compare(path) return task.compare(assert(d.load(path))) end

function commands.facts() return task.facts() end

function commands.memory()
  return { imported = imported, peak = status "VmHWM", tensors = d.memory().peak }
end

for line in io.lines() do
  local command, argument = line:match "^(%S+) ?(.*)$"
  io.stdout:write(words.format(commands[command](argument)), "\n")
  io.stdout:flush()
end

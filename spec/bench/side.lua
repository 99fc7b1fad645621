--- A worker of one side. This process reads commands from a pipe, one per line, and answers
-- over a fifo. Between two commands it waits in a read and takes no time.
local words = require "words"

local side = {}
side.__index = side

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function environment(set)
  local out = {}
  for name, value in pairs(set) do out[#out + 1] = name .. "=" .. quoted(tostring(value)) end
  return table.concat(out, " ")
end

--- Starts a worker.
---@param name string name of its files in `folder`
---@param command string
---@param environ table<string, any> variables
---@param workload table the workload, as words
---@param folder string for the fifo and its stderr
function side.start(name, command, environ, workload, folder)
  local fifo, log = folder .. "/" .. name .. ".fifo", folder .. "/" .. name .. ".log"
  os.remove(fifo)
  assert(os.execute("mkfifo " .. quoted(fifo)))
  local line = ("env %s %s %s >%s 2>%s"):format(environment(environ), command,
    quoted(words.format(workload)), quoted(fifo), quoted(log))
  local pipe = assert(io.popen("exec " .. line, "w"))
  return setmetatable({ name = name, log = log, pipe = pipe, answers = assert(io.open(fifo)) }, side)
end

local function last_lines(path, count)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return table.concat(lines, "\n", math.max(1, #lines - count + 1))
end

--- Sends a command without waiting.
function side:send(command)
  self.pipe:write(command, "\n")
  self.pipe:flush()
end

--- Its answer, as a table of words; an error where the worker fell over.
function side:answer()
  local line = self.answers:read "l"
  if line then return words.parse(line) end
  error(("%s ended; see %s\n%s"):format(self.name, self.log, last_lines(self.log, 5)), 0)
end

function side:ask(command)
  self:send(command)
  return self:answer()
end

function side:close()
  self.pipe:close()
  self.answers:close()
end

return side

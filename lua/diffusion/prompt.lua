--- The prompt of the command `diffusion`. Lines are edited if the interpreter can. Ctrl-C raises an
--- error in running code. Otherwise it drops the line.
local core = require "diffusion.core"
local legible = require "diffusion.legible"

-- Reads lines until they are a complete chunk. The result is nil and a message for a syntax error, and
-- nil alone after Ctrl-C. It is false at the end of the input. If the chunk is incomplete then, a
-- message follows.
local function read_chunk()
  local text, mark, fault = "", "> ", nil
  repeat
    local line = core.read_line(mark)
    if line == nil then return false, fault end
    if not line then return nil end
    text, mark = text .. line .. "\n", ">> "
    local chunk = load("return " .. text, "=stdin")
    if chunk then return chunk end
    chunk, fault = load(text, "=stdin")
    if chunk then return chunk end
  until not fault:find("<eof>", 1, true)
  return nil, fault
end

local function print_any(...)
  if select("#", ...) > 0 then print(...) end
end

local function run(chunk) print_any(chunk()) end

-- The message without the prompt's own frames, which are below those of every chunk.
local function shown(message)
  return legible.printable((message:gsub("\n[^\n]*\n[^\n]*'diffusion%.core%.attended'.*", "")))
end

local function loop()
  repeat
    local chunk, fault = read_chunk()
    local fine, message = true, nil
    if chunk then fine, message = core.attended(run, chunk) end
    if fault or not fine then print(shown(fault or message)) end
  until chunk == false
  print()
end

local function handed(thread, fine, ...)
  if fine then return ... end
  coroutine.close(thread)
  error((...), 0)
end

-- coroutine.wrap by way of coroutine.resume.
local function wrap(fn)
  local thread = coroutine.create(fn)
  return function(...) return handed(thread, coroutine.resume(thread, ...)) end
end

local prompt = {}

--- Reads lines at a prompt, with the module as d, until the input ends (Ctrl-D). Ctrl-C ends
--- running code, and values stay. The second Ctrl-C ends a coroutine. At a line it drops the line.
function prompt.prompt()
  _G.d = package.loaded["diffusion"]
  print(_G.d)
  local own = { resume = coroutine.resume, wrap = coroutine.wrap }
  rawset(coroutine, "resume", core.known(own.resume))
  rawset(coroutine, "wrap", wrap)
  core.at_prompt(loop)
  for name, fn in pairs(own) do rawset(coroutine, name, fn) end
end

return prompt

-- The command `diffusion`: runs a script, or reads lines at a prompt with the module as `d`.

local usage = [[
usage: diffusion                    a prompt, with the module as d
       diffusion script.lua [args]  runs a script
       diffusion --version | --info | --help]]

local function fail(message)
  io.stderr:write("diffusion: ", tostring(message), "\n")
  os.exit(1, true)
end

local function trace(message)
  return debug.traceback(tostring(message), 2)
end

local function run(path, ...)
  local chunk, message = loadfile(path)
  if not chunk then fail(message) end
  local inner = {}
  for i, word in pairs(arg) do inner[i - 1] = word end
  _G.arg = inner
  local ok, fault = xpcall(chunk, trace, ...)
  if not ok then fail(fault) end
end

-- A chunk from the lines typed so far; nil, message, and whether more lines may complete it.
local function compile(text)
  local chunk = load("return " .. text, "=stdin")
  if chunk then return chunk end
  local message
  chunk, message = load(text, "=stdin")
  return chunk, message, message and message:find("<eof>", 1, true) ~= nil
end

local function read_chunk()
  io.write "> "
  local text = io.read()
  while text do
    local chunk, message, more = compile(text)
    if not more then return chunk, message end
    io.write ">> "
    local line = io.read()
    if not line then return nil, message end
    text = text .. "\n" .. line
  end
end

local function answer(ok, ...)
  if not ok then
    print((...))
  elseif select("#", ...) > 0 then
    print(...)
  end
end

local function prompt(d)
  _G.d = d
  print(d._VERSION)
  while true do
    local chunk, message = read_chunk()
    if chunk then
      answer(xpcall(chunk, trace))
    elseif message then
      print(message)
    else
      return print()
    end
  end
end

local word = arg[1]
if word == "--help" or word == "-h" then
  print(usage)
elseif word == "--version" or word == "-v" then
  print(require "diffusion"._VERSION)
elseif word == "--info" then
  print(require "diffusion".info())
elseif word and word:find "^%-" then
  fail("unknown option " .. word .. "\n" .. usage)
elseif word then
  run(table.unpack(arg))
else
  prompt(require "diffusion")
end

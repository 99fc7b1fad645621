-- The command `diffusion`: draws pictures, runs a script, or reads lines at a prompt with the module as `d`.

local usage = [[
usage: diffusion                    a prompt, with the module as d
       diffusion script.lua [args]  runs a script
       diffusion sample MODEL [flags] -o out.png    draws pictures
       diffusion replay out.png -o again.png        draws a picture again
       diffusion --version | --info | --help

diffusion sample --help and diffusion replay --help list the flags.]]

-- A rock's command also finds its modules in a tree that isn't on Lua's path.
local tree, version = arg[0]:match "^(.*)/lib/luarocks/rocks%-([%d.]+)/"
if tree then
  local share = tree .. "/share/lua/" .. version
  package.path = share .. "/?.lua;" .. share .. "/?/init.lua;" .. package.path
  package.cpath = tree .. "/lib/lua/" .. version .. "/?.so;" .. package.cpath
end

-- The core, or nil if it can't be loaded.
local function core()
  pcall(require, "diffusion")
  return package.loaded["diffusion.core"]
end

-- Paths and options may hold any bytes. The library's own messages are printable already.
local function printable(text)
  local c = core()
  return c and c.printable(text) or text
end

local function fail(message)
  io.stderr:write("diffusion: ", printable(message), "\n")
  os.exit(1, true)
end

-- A script that fails under mpirun ends all ranks, which would wait for it otherwise.
local function fail_everywhere(message)
  local c = core()
  if c and c.ranks and c.ranks.size > 1 then c.ranks.end_all(printable(message), 1) end
  fail(message)
end

local function trace(message) return debug.traceback(tostring(message), 2) end

local commands = { "replay", "sample" }

-- Why a script can't be read. It may be a command that was mistyped.
local function unread(path, message)
  local c = core()
  local near = c and not path:find "[./\\]" and c.nearest(path, commands)
  return near and ("there is no command or script '%s'; did you mean '%s'?"):format(path, near) or message
end

local function run(path, ...)
  local chunk, message = loadfile(path)
  if not chunk then fail(unread(path, message)) end
  _G.arg = table.move(arg, 0, #arg, -1, { [-2] = arg[-1] })
  local ok, fault = xpcall(chunk, trace, ...)
  if not ok then fail_everywhere(fault) end
end

local others = { height = "size", width = "size" } -- flags of other names than their options

local function flag_of(name) return ("--%s:"):format((others[name] or name):gsub("_", "-")) end

-- The sentence about a flag whose option a pipe doesn't have.
local function unused(name) return flag_of(name) .. " this model has no use for it" end

-- The sentence of an error without the function that checked it. It names the flag that set an option.
local function plainly(message)
  local text = message:gsub("^[^\n:]*%.lua:%d+: ", ""):gsub("^bad argument #%d+ to '[^']*' %((.*)%)$", "%1")
  text = text:gsub("^unknown option '([%l_]+)'.*", unused)
  return (text:gsub("^option '([%l_]+)':", flag_of))
end

local function called(name, words) return require "diffusion".command(name, words) end

local function command(name, ...)
  local ok, text, message = pcall(called, name, { ... })
  if not ok then fail(plainly(tostring(text))) end
  if not text then fail(message) end
  print(printable(text))
end

local word = arg[1]
if word == "--help" then print(usage)
elseif word == "--version" then print(require "diffusion"._VERSION)
elseif word == "--info" then print(require "diffusion".info())
elseif word == "sample" or word == "replay" then command(table.unpack(arg))
elseif word and word:find "^%-" then fail("unknown option " .. word .. "\n" .. usage)
elseif word then run(table.unpack(arg))
else require "diffusion".prompt() end

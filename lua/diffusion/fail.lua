-- Errors. A misuse is raised at the user's line, even if other functions of the library lie between. A
-- failure of files or other programs is returned as nil and a message.
local legible = require "diffusion.legible"

local fail = {}

local home = debug.getinfo(1, "S").source:match "^(.*[/\\])" or "@"

-- The level, as `error` counts it in the function that calls this one, of the first Lua
-- function outside the library. 0 (no position) if there is none.
local function users_level()
  local level = 3
  while true do
    local info = debug.getinfo(level, "S")
    if not info then return 0 end
    if info.what ~= "C" and info.source:sub(1, #home) ~= home then return level - 1 end
    level = level + 1
  end
end

--- Raises a sentence at the user's line. Names from outside among the arguments are made printable.
---@param format string as in string.format
---@param ... any its arguments
function fail.raise(format, ...)
  error((legible.said(format, ...):gsub("%-nan", "nan")), users_level())
end

--- A sentence that begins with the user's line, for warnings.
---@param sentence string
---@return string
function fail.placed(sentence)
  local level = users_level()
  local info = level > 0 and debug.getinfo(level, "Sl")
  return info and ("%s:%d: %s"):format(info.short_src, info.currentline, sentence) or sentence
end

local function settle(fine, ...)
  if fine then return ... end
  local message = ...
  -- the number and the name are those of the core's function, not of the one that the user called
  if type(message) == "string" then message = message:match "^bad argument #%-?%d+ to '[^']*' %((.*)%)$" or message end
  local placed = type(message) ~= "string" or message:find "^[^\n]-:%d+: "
  if type(message) == "string" then message = legible.printable(message) end
  error(message, placed and 0 or users_level())
end

--- Calls a function of the core. An error in it is raised at the user's line, not at the
--- line of the library that made the call.
---@param fn any
---@param ... any its arguments
---@return any ...
function fail.call(fn, ...) return settle(pcall(fn, ...)) end

--- Whether Lua or the core raised this error because memory ran out. Then no file and no argument
--- is the cause.
---@param message any
---@return boolean
function fail.out_of_memory(message)
  return type(message) == "string" and message:find("not enough memory", 1, true) ~= nil
end

-- Whether Ctrl-C raised this error, as lua and the library's prompt do. Then no file is the cause either.
local function is_interruption(message) return type(message) == "string" and message:find "interrupted!$" ~= nil end

local function unless_apart(fine, ...)
  if not fine and (fail.out_of_memory((...)) or is_interruption((...))) then error((...), 0) end
  return fine, ...
end

--- pcall, except that a lack of memory and Ctrl-C are raised again.
---@param fn any
---@param ... any its arguments
---@return boolean fine
---@return any ... as pcall's
function fail.pcall(fn, ...) return unless_apart(pcall(fn, ...)) end

local function refused(fine, ...)
  if fine then return ... end
  return nil, (legible.printable((...)):gsub("^[^\n]-:%d+: ", "", 1))
end

--- Calls a function that checks a file's contents. Its error becomes nil and a message, since the
--- user's line is not the cause.
---@param fn any
---@param ... any its arguments
---@return any ... what fn returns, or nil and its message
function fail.try(fn, ...) return refused(fail.pcall(fn, ...)) end

return fail

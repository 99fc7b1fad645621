-- Runs a parser on damaged bytes and says what is wrong with its answer.
local core = require "diffusion.core"

local driver = {}

local SECONDS = 5    -- CPU time of one case, under ASan
local ROOM = 1 << 20 -- bytes that any parser may take
local LUA = 2000     -- bytes of Lua's for each of the file's: a table for each "{}"
local CORE = 64      -- bytes of tensors for each of the file's

local OURS = "lua/diffusion/[%w_/]*%.lua:%d+"

-- The fault of an answer, or nil.
local function answer_fault(fine, value, message)
  if not fine then return "raised: " .. tostring(value) end
  if value ~= nil then return nil end
  if type(message) ~= "string" or #message < 4 then return "no sentence: " .. tostring(message) end
  if message:find(OURS) then return "a line of the library in its sentence: " .. message end
  if core.printable(message) ~= message then return "a sentence that can't be printed: " .. message end
  if message:find "not enough memory" then return message end
end

-- The sentence if a case took too much memory, or nil.
local function memory_fault(parser, bytes, lua, tensors)
  local warranted = ROOM + (parser.room or 0)
  if lua > warranted + LUA * bytes then return ("%d bytes of Lua for a file of %d"):format(lua, bytes) end
  if tensors > warranted + (parser.core or CORE) * bytes then
    return ("%d bytes of tensors for a file of %d"):format(tensors, bytes)
  end
end

--- Runs one case. No garbage is collected meanwhile, so Lua's count is all that the case took.
---@param parser table a row of spec/fuzz/parsers_table.lua
---@param bytes string
---@return string|nil fault
---@return string|nil message that of the parser, nil if it gave a value
function driver.run(parser, bytes)
  collectgarbage "stop"
  core.memory_reset_peak()
  local live, count, began = core.memory().live, collectgarbage "count", os.clock()
  local fine, value, message = pcall(parser.read, bytes)
  local seconds, lua = os.clock() - began, (collectgarbage "count" - count) * 1024
  local tensors = core.memory().peak - live
  collectgarbage "restart"
  if seconds > SECONDS then return ("%.1f seconds"):format(seconds) end
  local fault = answer_fault(fine, value, message) or memory_fault(parser, #bytes, lua, tensors)
  return fault, fine and value == nil and message or nil
end

return driver

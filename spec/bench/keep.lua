--- The results of meetings, kept in a folder, so that a long table is measured in parts. A file has one workload, one
--- opponent and one instruction set of ours. A new version needs a new folder.
local core = require "diffusion.core"
local settings = require "settings"
local words = require "words"

local keep = {}

local function path(w, opponent)
  return ("%s/%s@%s.%s.%s"):format(settings.keep, w.name, w.threads, opponent, core.isa())
end

--- Reads a meeting: `agreed`, and of its turns `ours`, `seconds` and `ratio`.
---@param w table the workload
---@param opponent string
---@return table<string, string> known empty if nothing is kept
function keep.read(w, opponent)
  local f <close> = settings.keep and io.open(path(w, opponent))
  return f and words.parse(f:read "a") or {}
end

--- Adds to what is known.
---@param w table the workload
---@param opponent string
---@param found table<string, any>
function keep.add(w, opponent, found)
  if not settings.keep then return end
  local known = keep.read(w, opponent)
  for key, value in pairs(found) do known[key] = value end
  assert(os.execute(("mkdir -p '%s'"):format(settings.keep)))
  local f <close> = assert(io.open(path(w, opponent), "w"))
  f:write(words.format(known), "\n")
end

return keep

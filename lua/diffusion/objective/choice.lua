-- A choice among named laws: a name, or a table of the name and its options.
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"

--- The law that a choice names.
---@param what string the kind of choice, for messages
---@param which string|table "name", or {"name", option = ...}
---@param laws table<string, table> each with the `rules` of its options
---@return string name
---@return table law
---@return table options
local function choice(what, which, laws)
  local options = {}
  if type(which) == "table" then
    for k, v in pairs(which) do if k ~= 1 then options[k] = v end end
    which = which[1]
  end
  local law = laws[which]
  if law then
    return which, law, opts.check(("objective: %s %s"):format(what, which), options, law.rules or {}, 0)
  end
  fail.raise("objective: %s", opts.unknown(what, which, opts.names(laws)))
end

return choice

--- The commands of the program `diffusion` that need no script.
local opts = require "diffusion.opts"

local commands = { sample = require "diffusion.command.sample", replay = require "diffusion.command.replay" }

local rules = {
  name = { one_of = opts.names(commands) },
  words = { "table", each = { "string" }, as = "string[]", required = true },
}

--- Runs a command of the program `diffusion`: sample draws pictures, replay draws one again.
---@param name string "sample" or "replay"
---@param words string[] the words behind it; {"--help"} lists its flags
---@return string|nil text about what was written; nil with a message
---@return string|nil message
---@usage print(d.command("sample", { "--help" }))
local function command(name, words)
  opts.argument("command", 1, "name", name, rules.name)
  return commands[name].run(opts.check("command", { words = words }, { words = rules.words }, 2).words)
end

return { command = command }

--- The commands of the program `diffusion` that need no script.
local fail = require "diffusion.fail"
local legible = require "diffusion.legible"

local commands = { sample = require "diffusion.command.sample", replay = require "diffusion.command.replay" }

--- Runs a command of the program `diffusion`: sample draws pictures, replay draws one again.
---@param name string "sample" or "replay"
---@param words string[] the words behind it; {"--help"} lists its flags
---@return string|nil text about what was written; nil with a message
---@return string|nil message
---@usage print(d.command("sample", { "--help" }))
local function command(name, words)
  if not commands[name] then fail.raise("command: 'sample' or 'replay' expected, got '%s'", legible.line(name)) end
  return commands[name].run(words)
end

return { command = command }

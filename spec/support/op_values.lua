-- Writes the results of every example of every op, in the build named by
-- DIFFUSION_PRECISION. A line `key number number ...` has the value or one gradient.
-- lua5.4 spec/support/op_values.lua
local examples = require "spec.support.examples"

local M = {}

local function numbers(x)
  return x:flatten():totable()
end

--- Calls visit(key, list of numbers) for each result and gradient.
function M.each(visit)
  local core = require "diffusion.core"
  for _, name in ipairs(examples.names()) do
    for k, example in ipairs(core.op_examples[name] and examples.of(name) or {}) do
      local key = ("%s.%d"):format(name, k)
      visit(key .. ".value", numbers(example.value(example.leaves)), example.text)
      for i, g in ipairs(examples.gradients(example)) do
        visit(("%s.gradient.%d"):format(key, i), numbers(g), example.text)
      end
    end
  end
end

if arg and arg[0] and arg[0]:find "op_values%.lua$" then
  M.each(function(key, list)
    for i, v in ipairs(list) do list[i] = ("%.17g"):format(v) end
    print(key, table.concat(list, " "))
  end)
end

return M
